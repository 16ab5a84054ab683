"""Composing with music that is there: a melody that the others are composed around, a primer, a style. Scores in, a Score out.

One way for all of it: what is kept stands in the piece's first bars, as the voices that are to be kept; a primer that is
context only stands in front of the piece and is cut off; what is composed gets its form, harmony and instruments from what
stands there, and where that says nothing from the theme, as any piece does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.accompany import chords_around, form_around, opened, plan_model, whole_bars
from nesasset.compose.assemble import Key, shift_for
from nesasset.compose.controls import TEMPO_RANGE_BPM, Controls, voice_list
from nesasset.compose.given import Given
from nesasset.compose.harmony import HarmonyModel
from nesasset.compose.key import find_key, pitch_class_weights
from nesasset.compose.material import Material, heard_rows, to_material
from nesasset.compose.plan import Plan, draw_form, with_chords
from nesasset.compose.request import BEAT_ROWS, Request
from nesasset.compose.rewrite import Rewrite, parent_of
from nesasset.errors import ControlError, MaterialError
from nesasset.features import SLOT_VOICES
from nesasset.model import Model
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score
from nesasset.units import NOTE_NAMES, PITCH_RANGES, VOICES, in_range
from nesasset.vocabulary import (
    CONTROLS,
    EXACT,
    HOLD_ID,
    ONSET_ID,
    PALETTE_SLOTS,
    REST_ID,
    SEQUENCE,
    SILENT,
    VARIED,
    mode_class,
)

PRIMER_MODES: Final = ("context", "keep")
MAX_PITCHES: Final = 256
FORM_DRAWS: Final = 12  # until the voices that are composed around kept ones play in half of the bars
BESIDE_TEMPERATURE: Final = 0.9  # of the choice of notes beside kept ones, times the model's own
CONTEXT_BARS: Final = 16  # of a primer that is context, the last ones
FORMED_VOICES: Final = 3  # that a primer has at least if its form is to say how the piece's goes on
MORE_BARS: Final = 4  # that a piece goes on after a kept primer at least, where no length is asked for
LEAD: Final = Instrument("pulse", (15, 14, 13, 12, 11, 10), duty=2, name="lead")
_PITCH: Final = re.compile(r"([A-Ga-g])([#b]?)(-?\d)")
_LETTERS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KINDS: Final = {"pulse": (0, 1), "noise": (3,)}


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Music that a piece is made with."""

    keep: Score | None = None
    """Stays in the piece note for note, from its first bar on; the rest is composed around it."""
    keep_voices: str | None = None
    """The voices of it that are kept, as in 'P1 TR'; None for all that play."""
    primer: Score | None = None
    """What the piece goes on from."""
    primer_mode: str = "context"
    """'context': it is heard by the composer only; 'keep': the piece begins with it."""
    like: Score | None = None
    """What the piece should be like: instruments, tempo, density, drums, register, how bars come back; none of its notes."""

    def __post_init__(self) -> None:
        if self.primer_mode not in PRIMER_MODES:
            raise ControlError(f"primer_mode must be context or keep, not {self.primer_mode!r}")
        if self.keep is not None and self.primer is not None and self.primer_mode == "keep":
            raise ControlError("a piece cannot begin with a kept primer and with other kept music; leave one of them out, or use the primer as context")
        if self.keep_voices is not None:
            object.__setattr__(self, "keep_voices", voice_list(self.keep_voices))

    def __bool__(self) -> bool:
        return any(score is not None for score in (self.keep, self.primer, self.like))

    @property
    def kept(self) -> Score | None:
        """What stands in the piece: what is kept, or a primer that is."""
        return self.primer if self.keep is None and self.primer_mode == "keep" else self.keep

    @property
    def context(self) -> Score | None:
        """A primer that is not in the piece."""
        return self.primer if self.primer_mode == "context" else None

    def to_json(self) -> dict[str, Any]:
        """Return what a provenance says of them."""
        told: dict[str, Any] = {}
        if self.keep is not None:
            told["keep"] = {**parent_of(self.keep), "voices": self.keep_voices or " ".join(_playing(self.keep))}
        if self.primer is not None:
            told["primer"] = {**parent_of(self.primer), "mode": self.primer_mode}
        if self.like is not None:
            told["like"] = parent_of(self.like)
        return told


def pitches_to_score(text: str) -> Score:
    """Return a line of pulse 1 for a primer that was written down: '67,64,60' or 'G4 E4 C4', a beat each, '-' for a rest.

    Raises:
        ControlError: A word is no pitch that pulse 1 can play.
    """
    words = re.split(r"[\s,]+", text.strip())
    if not 1 <= len(words) <= MAX_PITCHES or not words[0]:
        raise ControlError(f"a primer must have 1 to {MAX_PITCHES} pitches, as in 67,64,60, not {text!r}")
    line: list[Cell] = []
    for word in words:
        line += [REST if word == "-" else Note(0, _pitch(word)), *[HOLD] * (BEAT_ROWS - 1)]
    silent = (REST, *[HOLD] * (len(line) - 1))
    return Score({"P1": tuple(line), "P2": silent, "TR": silent, "NO": silent}, (LEAD,), title="primer")


def _pitch(word: str) -> int:
    low, high = PITCH_RANGES["P1"]
    found = _PITCH.fullmatch(word)
    if found:
        pitch = 12 * (int(found[3]) + 1) + _LETTERS[found[1].upper()] + {"": 0, "#": 1, "b": -1}[found[2]]
    else:
        pitch = int(word) if word.isascii() and word.isdigit() and len(word) < 4 else -1
    if not low <= pitch <= high:
        raise ControlError(f"a primer's pitch must be a MIDI number from {low} to {high} or a name such as G4, or - for a rest, not {word!r}")
    return pitch


def _playing(score: Score) -> list[str]:
    return [voice for voice in VOICES if any(isinstance(cell, Note) for cell in score.voices[voice][: heard_rows(score)])]


def only(score: Score, voices: tuple[str, ...]) -> Score:
    """Return a score in which voices other than these are silent; its instruments keep their numbers.

    Raises:
        MaterialError: None of the voices plays.
    """
    playing = _playing(score)
    missing = [voice for voice in voices if voice not in playing]
    if missing:
        there = f"only {', '.join(playing)}" if playing else "no voice"
        raise MaterialError(f"{' and '.join(missing)} cannot be kept: in the score {there} plays")
    silent = (REST, *[HOLD] * (score.n_rows - 1))
    return replace(score, voices={voice: score.voices[voice] if voice in voices else silent for voice in VOICES})


def told_by(sources: Sources, controls: Controls) -> Controls:
    """Return controls in which what was left open is as the sources have it: the tempo of what is kept, continued or copied."""
    model = next((score for score in (sources.kept, sources.context, sources.like) if score is not None), None)
    if model is None or controls.tempo_bpm is not None or controls.intensity is not None:
        return controls
    return replace(controls, tempo_bpm=_tempo_of(model))


def _tempo_of(score: Score) -> float:
    """Return the tempo of a score in beats of four rows, within what may be asked for."""
    low, high = TEMPO_RANGE_BPM
    return min(max(score.tempo_bpm * score.beat_rows / BEAT_ROWS, low), high)


def prepare(
    sources: Sources, request: Request, model: Model, harmony: HarmonyModel, rng: np.random.Generator
) -> Rewrite:
    """Return what is to be written: plan, given rows and the score that they go into.

    Args:
        sources: What there is.
        request: What was asked for.
        model: The model.
        harmony: Its counts of chords.
        rng: The only source of chance.

    Raises:
        MaterialError: A source cannot be composed with, or two do not fit each other.
        ControlError: The piece is too short for what is to be kept, or is asked for in another key.
    """
    kept = _kept_material(sources, model)
    context = None if sources.context is None else to_material(_moved(last_bars(sources.context), request, model), model)
    like = None if sources.like is None else to_material(sources.like, model)
    bar_rows = _metre(kept, context)
    if sources.keep is not None and request.wishes.temperature is None:
        request = replace(request, note_temperature=request.note_temperature * BESIDE_TEMPERATURE)
    request = _lengthened(request, sources, kept)
    if kept is not None and request.tonic is not None and request.tonic != kept.plan.tonic:
        raise ControlError(
            f"key {NOTE_NAMES[request.tonic]} cannot be had: the music to be kept is in {NOTE_NAMES[kept.plan.tonic]} and stays there; leave the key out"
        )
    if like is not None:
        request, bar_rows = _like(request, like), bar_rows or like.plan.bar_rows
    begins = (context or kept) if sources.keep is None and not request.intro_bars else None
    if begins is not None and len(_playing(begins.score)) < FORMED_VOICES:
        begins = None
    front = context.plan.n_bars if begins is not None and context is not None else 0
    wanted = replace(request, bars=request.bars + front)
    plan = _band(sources, wanted, model, rng, bar_rows, None if like is None else like.plan, None if begins is None else begins.plan)
    if front:
        plan = _behind(plan, front)
    if begins is not None:
        plan = replace(plan, point=begins.plan.point)
    own = next((part for part in (kept, context, like) if part is not None), None)
    players: dict[Key, tuple[int, int]] = {}
    if own is not None:
        plan, players = _with_palettes(plan, own), dict(own.players)
    if like is not None:
        pulse, noise = _merged(plan.pulse, like.plan.pulse), _merged(plan.noise, like.plan.noise)
        plan = replace(plan, pulse=pulse, noise=noise, controls=like.plan.controls.copy(), point=like.plan.point)
    return _work(sources, request, plan, kept, context, own, players, harmony, model, rng)


def _band(
    sources: Sources,
    request: Request,
    model: Model,
    rng: np.random.Generator,
    bar_rows: int | None,
    like: Plan | None,
    begins: Plan | None,
) -> Plan:
    """Draw a form; around kept voices one in which those play that are asked for, or the melodic ones, or where these are all kept the drums."""
    kept = () if sources.keep is None else (sources.keep_voices or " ".join(_playing(sources.keep))).split()
    wanted = request.voices if request.wishes.voices else [voice for voice in VOICES[:3] if voice not in kept] or ["NO"]
    for _ in range(FORM_DRAWS):
        plan = draw_form(model.plans, request, rng, bar_rows, like, begins)
        rests = (plan.classes == SILENT).mean(axis=0)
        if sources.keep is None or all(rests[VOICES.index(voice)] <= 0.5 for voice in wanted):
            break
    return plan


def _behind(plan: Plan, front: int) -> Plan:
    """Return the bars of a plan behind its first ones; what would copy those, which are not in the piece, varies them."""
    bars = np.arange(front, plan.n_bars)
    lags, classes, shifts = plan.lags[front:], plan.classes[front:], plan.shifts[front:]
    outside = bars - lags < front
    copies = outside[:, None] & np.isin(classes, (EXACT, SEQUENCE)) & (lags > 0)[:, None]
    classes = np.where(copies, VARIED, classes)
    return replace(
        plan, lags=lags, classes=classes, shifts=np.where((classes == SEQUENCE).any(axis=1), shifts, 0), chords=plan.chords[front:]
    )


def last_bars(score: Score) -> Score:
    """Return the end of a score, as far back as a primer is heard: its last CONTEXT_BARS bars, as a score that does not loop."""
    n = heard_rows(score)
    first = max(0, (-(-n // score.bar_rows) - CONTEXT_BARS) * score.bar_rows)
    groove = tuple(score.groove[row % len(score.groove)] for row in range(first, first + len(score.groove)))
    voices = {}
    for voice, part in score.voices.items():
        line = list(part[first:n])
        line[0] = REST if line[0] is HOLD else line[0]
        voices[voice] = tuple(line)
    return replace(score, voices=voices, groove=groove, loop=None)


def _kept_material(sources: Sources, model: Model) -> Material | None:
    score = sources.kept
    if score is None:
        return None
    voices = tuple(_playing(score))
    if not voices:
        raise MaterialError("the music to be kept has no notes")
    if sources.keep is None:  # a primer begins the piece, which does not loop where the primer did
        n = heard_rows(score)
        score = replace(score, voices={voice: part[:n] for voice, part in score.voices.items()}, loop=None)
    elif sources.keep_voices:
        voices = tuple(sources.keep_voices.split())
    return to_material(only(score, voices), model)


def _metre(kept: Material | None, context: Material | None) -> int | None:
    found = {part.plan.bar_rows for part in (kept, context) if part is not None}
    if len(found) > 1:
        raise MaterialError("a primer with bars of 12 rows cannot lead into music with bars of 16, nor the other way round; use one of them")
    return found.pop() if found else None


def _moved(primer: Score, request: Request, model: Model) -> Score:
    """Return a primer in the key that was asked for: it is not in the piece, so it may be moved."""
    if request.tonic is None:
        return primer
    shift, _ = shift_for(to_material(primer, model).cells, request.tonic)

    def move(voice: str, cell: Cell) -> Cell:
        return replace(cell, pitch=in_range(cell.pitch + shift, voice)) if isinstance(cell, Note) and cell.pitch is not None else cell

    return replace(primer, voices={voice: tuple(move(voice, cell) for cell in part) for voice, part in primer.voices.items()})


def _lengthened(request: Request, sources: Sources, kept: Material | None) -> Request:
    """Return a request of the length that what is kept needs, and of its intro."""
    if kept is None:
        return request
    bars, wishes = kept.plan.n_bars, request.wishes
    what = "primer" if sources.keep is None else "music to be kept"
    asked = None if wishes.bars is None else wishes.bars + (wishes.intro_bars or 0)
    if asked is not None and asked < bars:
        raise ControlError(
            f"the {what} has {bars} bars, more than the {asked} that the piece is to have; ask for {bars} or more, or give fewer bars of it"
        )
    if sources.keep is None:
        needed = -(-(bars + 1) // MORE_BARS) * MORE_BARS
        total = asked or max(request.total_bars, needed)
        return replace(request, bars=total - request.intro_bars)
    if wishes.intro_bars and kept.plan.home:
        raise ControlError("intro_bars cannot be asked for: the music to be kept has its own intro")
    intro = kept.plan.home or request.intro_bars
    total = asked or bars + (0 if request.loops else 1)  # what ends gets a bar in which its last notes end
    if total <= intro:
        raise ControlError(f"an intro of {intro} bars leaves nothing of the {total} bars of the piece for its loop; ask for more bars")
    return replace(request, bars=total - intro, intro_bars=intro)


def _like(request: Request, like: Material) -> Request:
    """Return a request that asks for a score's character where nothing else was asked for."""
    own = dict(zip(CONTROLS, like.plan.controls.tolist(), strict=True))
    wishes = request.wishes
    busy = wishes.density is not None or wishes.intensity is not None
    return replace(
        request,
        mode=request.mode if wishes.mode or wishes.scale else own["mode"],
        density=request.density if busy else max(1, own["density"]),
        noise_density=request.noise_density if wishes.intensity is not None else own["noise_density"],
        register=request.register if wishes.register else own["register"] or request.register,
        voices=request.voices if wishes.voices else tuple(_playing(like.score)),
    )


def _with_palettes(plan: Plan, own: Material) -> Plan:
    """Return a plan with the instruments of a source.

    Instruments of the drawn plan join where the source has a voice of their kind that does not play, and does not where it
    has all: there, what is new is to sound like what is old.
    """
    plays = [bool((own.cells[:, column] >= ONSET_ID).any()) for column in range(len(VOICES))]
    palettes: dict[str, NDArray[np.int64]] = {}
    for kind, voices in _KINDS.items():
        mine, theirs = getattr(own.plan, kind), getattr(plan, kind)
        palettes[kind] = mine if all(plays[voice] for voice in voices) else _merged(mine, theirs)
    return replace(plan, pulse=palettes["pulse"], noise=palettes["noise"])


def _merged(mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a palette, (16, 4), of the first's entries and, behind them, those of the second that it lacks."""
    rows = [row for row in mine.tolist() if row[0] >= 0]
    rows += [row for row in theirs.tolist() if row[0] >= 0 and row not in rows]
    out = np.full((PALETTE_SLOTS, 4), -1, dtype=np.int64)
    out[: min(len(rows), PALETTE_SLOTS)] = np.array(rows[:PALETTE_SLOTS], dtype=np.int64).reshape(-1, 4)
    return out


def _work(
    sources: Sources,
    request: Request,
    plan: Plan,
    kept: Material | None,
    context: Material | None,
    own: Material | None,
    players: dict[Key, tuple[int, int]],
    harmony: HarmonyModel,
    model: Model,
    rng: np.random.Generator,
) -> Rewrite:
    """Return the work; arguments as they are named in `prepare`."""
    bar_rows, n_rows = plan.bar_rows, plan.n_bars * plan.bar_rows
    cells, slots = np.full((n_rows, 4), -1, dtype=np.int64), np.full((n_rows, 3), -1, dtype=np.int64)
    lead = 0
    if kept is not None:
        lead = kept.lead
        voices = np.array([voice in _playing(kept.score) for voice in VOICES])
        cells[: len(kept.cells), voices] = kept.cells[:, voices]
        slots[: len(kept.cells), voices[list(SLOT_VOICES)]] = kept.slots[:, voices[list(SLOT_VOICES)]]
        tail = kept.n_rows if sources.keep is None else len(kept.cells)
        cells[tail:], slots[tail:] = -1, -1  # a primer goes on where it stops, within its last bar as well
        cells[:, voices] = _ended(cells[:, voices], len(kept.cells), request)
        plan = opened(plan, cells, voices)
        plan = form_around(plan, np.maximum(cells, HOLD_ID), whole_bars(cells, bar_rows), plan_model(model), rng)
    plan, front_cells, front_slots = _fronted(plan, cells, slots, context)
    cells, slots = np.concatenate([front_cells, cells]), np.concatenate([front_slots, slots])
    plan, request = _harmonised(plan, cells, request, harmony, rng)
    start = len(front_cells) + lead
    score = _base(request, plan, kept, own, n_rows - lead)
    free = cells[start:] < 0
    return Rewrite(score, free, request, plan, Given(cells, slots), start, players, request.tonic if kept is None else None)


def _ended(line: NDArray[np.int64], end: int, request: Request) -> NDArray[np.int64]:
    """Let kept voices fall silent behind their end where the piece is not to loop."""
    if not request.loops and end < len(line) and (line[end:] < 0).all():
        line = line.copy()
        line[end], line[end + 1 :] = REST_ID, HOLD_ID
    return line


def _fronted(
    plan: Plan, cells: NDArray[np.int64], slots: NDArray[np.int64], context: Material | None
) -> tuple[Plan, NDArray[np.int64], NDArray[np.int64]]:
    """Return a plan with the bars of a primer in front, and the primer's rows; its last incomplete bar counts as whole."""
    if context is None:
        return plan, cells[:0], slots[:0]
    front = context.plan
    controls = plan.controls.copy()
    for name in ("density", "noise_density", "pitch_entropy", "register"):
        controls[list(CONTROLS).index(name)] = front.controls[list(CONTROLS).index(name)]
    joined = replace(
        plan,
        lags=np.concatenate([front.lags, plan.lags]),
        classes=np.concatenate([front.classes, plan.classes]),
        shifts=np.concatenate([front.shifts, plan.shifts]),
        chords=np.concatenate([front.chords, plan.chords]),
        controls=controls,
        home=front.n_bars + plan.home,
    )
    playing = np.array([voice in _playing(context.score) for voice in VOICES])
    given = np.where(playing, context.cells, REST_ID)
    given[1:, ~playing] = HOLD_ID
    return joined, given, context.slots


def _harmonised(
    plan: Plan, cells: NDArray[np.int64], request: Request, harmony: HarmonyModel, rng: np.random.Generator
) -> tuple[Plan, Request]:
    """Return a plan with key and chords: those asked for, or those that go with what is given, or drawn ones; and a request for its mode."""
    known = np.where(cells >= 0, cells, HOLD_ID)
    if request.wishes.chords or not (known[:, :3] >= ONSET_ID).any():
        return with_chords(plan, harmony, request, rng), request
    tonic, found, _ = find_key(pitch_class_weights(known))
    mode = request.wishes.mode or found
    plan = replace(plan, tonic=tonic)
    chords = chords_around(plan, known, mode == "minor", harmony, rng)
    return replace(plan, chords=chords), replace(request, mode=mode_class(mode))  # the given notes' mode, whatever the theme's is


def _base(request: Request, plan: Plan, kept: Material | None, own: Material | None, n_rows: int) -> Score:
    """Return the score that the new cells are written into: what is kept, held on to the piece's end, and else nothing."""
    source = None if kept is None else kept.score
    voices: dict[str, tuple[Cell, ...]] = {}
    for voice in VOICES:
        part: list[Cell] = [] if source is None else list(source.voices[voice][: heard_rows(source)])
        part += [HOLD if request.loops else REST] * (n_rows - len(part))
        if part[0] is HOLD:
            part[0] = REST
        voices[voice] = tuple(part)
    instruments = () if own is None else own.score.instruments
    groove, loop = request.groove(plan.bar_rows), (max(0, n_rows - request.bars * plan.bar_rows), n_rows)
    piece = Score(voices, instruments, groove, plan.bar_rows, BEAT_ROWS, loop if request.loops else None, title=request.theme, theme=request.theme)
    if source is None:
        return piece
    delays = {voice: source.delays[voice] for voice in _playing(source) if voice in source.delays}
    as_it_was = request.wishes.tempo_bpm == _tempo_of(source)
    return replace(
        piece, groove=source.groove if as_it_was else groove, bar_rows=source.bar_rows, beat_rows=source.beat_rows, delays=delays
    )
