"""A score in the model's terms: what composing goes by when it works with music that is there. A Score in, rows and a plan out.

Any score will do, ours or one that was imported: its rows become cells, its instruments the nearest entries of a palette, its
form, harmony and character are mined from the notes. The score itself stays beside them, so that what is kept of it is kept
exactly: `patch` writes new cells over an old score and leaves all others as the very objects they were.

The model counts in bars of 16 or 12 rows that begin with the loop. Bars that divide these, or are divided by them, are
regrouped; where the loop begins within a bar, rests fill up the bar before it; a last incomplete bar is filled up with
holds. None of these rows is in the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.assemble import Key, at_peak
from nesasset.compose.character import character
from nesasset.compose.chord_mining import mine_chords
from nesasset.compose.form_mining import bar_starts, mine_plan
from nesasset.compose.harmony import Form, settle
from nesasset.compose.key import find_key, pitch_class_weights
from nesasset.compose.plan import Plan, draw_form
from nesasset.compose.point import point_of
from nesasset.compose.request import Request
from nesasset.errors import MaterialError, ModelMismatchError
from nesasset.model import Model
from nesasset.score import HOLD, Cell, Instrument, Note, Score, scale_volume
from nesasset.themes import THEMES
from nesasset.units import MAX_VOLUME, VOICE_KINDS, VOICES
from nesasset.vocabulary import CONTROLS, ENVELOPE_FRAMES, HOLD_ID, ONSET_ID, PALETTE_SLOTS, REST_ID, pitch_to_id

BAR_ROWS: Final = (16, 12)
MAX_BARS: Final = 528  # as long as a composed piece with an intro may be
SPAN_FRAMES: Final = 12  # of an envelope at least are compared: a note lasts that long
TIMBRE_COST: Final = 3.0  # of another duty or noise mode, beside a mean error of the volume of 15
PERIOD_COST: Final = 0.7  # of a step of the noise's period
FEW_DRUMS: Final = 2  # class of the control, 1 for none
DRAWS: Final = 32  # of songs, until one has the instruments that are missing
TRIANGLE: Final[Key] = ("triangle", 0)
_SLOTTED: Final = {"P1": 0, "P2": 1, "NO": 2}  # columns of the slots


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A score and what the model is told of it. Make one with `to_material`."""

    score: Score
    cells: NDArray[np.int64]
    """(n_rows, 4), whole bars: `lead` rows of rest, the score's rows to the end of its loop, holds."""
    slots: NDArray[np.int64]
    """(n_rows, 3), -1 where no note begins."""
    plan: Plan
    """The score's own: its `home` is the loop's first bar."""
    lead: int
    """Rows in front that are not the score's."""
    players: Mapping[Key, tuple[int, int]]
    """Instrument of the score and note volume by which a slot of the palettes is played."""

    @property
    def n_rows(self) -> int:
        """Rows of the score that are heard: those behind its loop's end are not."""
        return heard_rows(self.score)

    def widen(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask over the heard rows of the score, (n, …), as one over `cells`; what is not the score's is False."""
        out = np.zeros((len(self.cells), *mask.shape[1:]), dtype=bool)
        out[self.lead : self.lead + self.n_rows] = mask
        return out


def heard_rows(score: Score) -> int:
    """Return how many rows of a score are heard: those of its intro and loop, or all."""
    return score.n_rows if score.loop is None else score.loop[1]


def bar_rows_of(score: Score) -> int:
    """Return the rows of a bar by which the model should count a score's, 16 or 12.

    Raises:
        MaterialError: Its bars are neither parts nor multiples of these.
    """
    triple = score.bar_rows % 3 == 0 and score.bar_rows % 16 != 0
    for rows in sorted(BAR_ROWS) if triple else BAR_ROWS:
        if score.bar_rows % rows == 0 or rows % score.bar_rows == 0:
            return rows
    raise MaterialError(
        f"the bars of a score to compose with must be of 16 or 12 rows, or parts or multiples of these, not of {score.bar_rows}; "
        "set its bar_rows to one of them"
    )


def to_material(score: Score, model: Model) -> Material:
    """Return a score in the terms of a model.

    Raises:
        MaterialError: The score's metre is none that the model knows, it is too long, or has no notes.
        ModelMismatchError: The model's sidecar does not say how scores are measured.
    """
    bar_rows, n = bar_rows_of(score), heard_rows(score)
    if n > MAX_BARS * bar_rows:
        raise MaterialError(
            f"a score to compose with may have {MAX_BARS} bars of {bar_rows} rows at most, not {n / bar_rows:.0f}; cut it first"
        )
    if not any(isinstance(cell, Note) for part in score.voices.values() for cell in part[:n]):
        raise MaterialError("the score has no notes to compose with")
    lead = 0 if score.loop is None else -score.loop[0] % bar_rows
    total = -(-(lead + n) // bar_rows) * bar_rows
    cells = np.full((total, 4), HOLD_ID, dtype=np.int64)
    cells[:lead] = REST_ID
    cells[lead : lead + n] = cells_of(score)
    shapes = {kind: np.array(model.sidecar[f"{kind}_shapes"], dtype=np.int64) for kind in ("pulse", "noise")}
    pulse, of_pulse, players = _palette(score, "pulse", shapes["pulse"])
    noise, of_noise, drums = _palette(score, "noise", shapes["noise"])
    slots = np.full((total, 3), -1, dtype=np.int64)
    for voice, column in _SLOTTED.items():
        known = of_noise if voice == "NO" else of_pulse
        for row, cell in enumerate(score.voices[voice][:n]):
            if isinstance(cell, Note) and cells[lead + row, VOICES.index(voice)] >= ONSET_ID:
                slots[lead + row, column] = known[cell.instrument, cell.volume]
    edges = model.sidecar.get("edges") or {}
    if not {"density", "noise_density", "pitch_entropy", "register"} <= set(edges):
        raise ModelMismatchError(f"{model.name}.json has no edges of its controls, without which no score can be measured; install the package again")
    lags, classes, shifts = mine_plan(cells, bar_rows)
    tonic, mode, _ = find_key(pitch_class_weights(cells))
    chords = mine_chords(cells, bar_starts(total, bar_rows), bar_rows)
    loop = None if score.loop is None else (lead + score.loop[0], total)
    row_frames = sum(score.groove) / len(score.groove)
    label = THEMES[score.theme].label if score.theme in THEMES else None
    plan = Plan(
        bar_rows=bar_rows,
        lags=lags.astype(np.int64),
        classes=classes.astype(np.int64),
        shifts=shifts.astype(np.int64),
        chords=settle(chords, Form(lags, classes, shifts, minor=mode == "minor")),
        pulse=pulse,
        noise=noise,
        controls=character(cells, bar_rows, row_frames, loop, label or "", edges).astype(np.int64),
        tonic=tonic,
        home=0 if loop is None else loop[0] // bar_rows,
        point=point_of(model, cells, slots, bar_rows),
    )
    return Material(score, cells, slots, plan, lead, {**players, **drums, **_bass(score)})


def cells_of(score: Score) -> NDArray[np.int64]:
    """Return the rows of a score that are heard as cells, (n_rows, 4); a note without a volume is a rest."""
    n = heard_rows(score)
    return np.array([[_cell_id(score, cell) for cell in score.voices[voice][:n]] for voice in VOICES], dtype=np.int64).T


def _cell_id(score: Score, cell: Cell) -> int:
    if not isinstance(cell, Note):
        return HOLD_ID if cell is HOLD else REST_ID
    if not cell.volume or not any(score.instruments[cell.instrument].volume):
        return REST_ID
    return ONSET_ID if cell.pitch is None else pitch_to_id(cell.pitch)


def _uses(score: Score, kind: str) -> Counter[tuple[int, int]]:
    """Return how often each instrument of a kind is played at each note volume."""
    return Counter(
        (cell.instrument, cell.volume)
        for voice in VOICES
        if VOICE_KINDS[voice] == kind
        for cell in score.voices[voice][: heard_rows(score)]
        if isinstance(cell, Note) and _cell_id(score, cell) >= ONSET_ID
    )


def _palette(
    score: Score, kind: str, shapes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], dict[tuple[int, int], int], dict[Key, tuple[int, int]]]:
    """Return the palette, (16, 4), nearest to what a score plays, the slot of each instrument and note volume, and who plays it."""
    uses = _uses(score, kind)
    codes = {sound: _code(score.instruments[sound[0]], sound[1], shapes) for sound in uses}
    counts: Counter[tuple[int, int, int, int]] = Counter()
    for sound, count in uses.items():
        counts[codes[sound]] += count
    chosen = [code for code, _ in counts.most_common(PALETTE_SLOTS)]
    palette = np.full((PALETTE_SLOTS, 4), -1, dtype=np.int64)
    palette[: len(chosen)] = np.array(chosen, dtype=np.int64).reshape(-1, 4)
    slot_of = {
        sound: chosen.index(code) if code in chosen else min(range(len(chosen)), key=lambda slot: _distance(code, chosen[slot], shapes))
        for sound, code in codes.items()
    }
    players = {}
    for slot in range(len(chosen)):
        players[kind, slot] = _player(score, Counter({sound: uses[sound] for sound in uses if slot_of[sound] == slot}))
    return palette, slot_of, players


def _code(instrument: Instrument, note_volume: int, shapes: NDArray[np.int64]) -> tuple[int, int, int, int]:
    """Return timbre, period, shape and peak of the palette entry that sounds most like an instrument at a note volume."""
    played = [scale_volume(volume, note_volume) for volume in instrument.volume[:ENVELOPE_FRAMES]]
    span = min(ENVELOPE_FRAMES, max(SPAN_FRAMES, len(played)))
    volumes = np.array(played + played[-1:] * (span - len(played)))[:span]
    peak = max(1, int(volumes.max()))
    shape = int(np.abs(at_peak(shapes[:, :span], peak) - volumes).mean(axis=1).argmin())
    if instrument.kind == "noise":
        return instrument.mode, instrument.period, shape, peak
    return instrument.duties[-1] if instrument.duties else instrument.duty, 0, shape, peak


def _distance(one: tuple[int, int, int, int], other: tuple[int, int, int, int], shapes: NDArray[np.int64]) -> float:
    volumes = [at_peak(shapes[code[2], :SPAN_FRAMES], code[3]) for code in (one, other)]
    error = float(np.abs(volumes[0] - volumes[1]).mean())
    return error + TIMBRE_COST * (one[0] != other[0]) + PERIOD_COST * abs(one[1] - other[1])


def _player(score: Score, uses: Counter[tuple[int, int]]) -> tuple[int, int]:
    """Return the instrument and note volume for new notes in the place of some that a score plays.

    Instruments that differ in the envelope alone are often one, cut for a length of note (see articulation.py): of the
    likes of the commonest the first is taken, which is the whole one.
    """

    def nature(number: int) -> Instrument:
        return replace(score.instruments[number], volume=(MAX_VOLUME,), name="")

    natures: Counter[Instrument] = Counter()
    volumes: Counter[int] = Counter()
    for (number, volume), count in uses.items():
        natures[nature(number)] += count
        volumes[volume] += count
    common = natures.most_common(1)[0][0]
    return min(number for number, _ in uses if nature(number) == common), volumes.most_common(1)[0][0]


def _bass(score: Score) -> dict[Key, tuple[int, int]]:
    """Return who plays new notes of the triangle; empty where the score has no such instrument."""
    uses = _uses(score, "triangle")
    if uses:
        return {TRIANGLE: _player(score, uses)}
    known = [number for number, instrument in enumerate(score.instruments) if instrument.kind == "triangle"]
    return {TRIANGLE: (known[0], MAX_VOLUME)} if known else {}


def equipped(plan: Plan, voices: NDArray[np.bool_], request: Request, model: Model, rng: np.random.Generator) -> Plan:
    """Return a plan with instruments for voices, (4,), that it has none for: those of a song of the training set that suits the request."""
    drums = max(request.noise_density, FEW_DRUMS) if voices[3] else request.noise_density
    wanted = replace(request, sections=(), voices=VOICES, noise_density=drums)
    for _ in range(DRAWS):
        drawn = draw_form(model.plans, wanted, rng, plan.bar_rows)
        if (not voices[:2].any() or (drawn.pulse[:, 0] >= 0).any()) and (not voices[3] or (drawn.noise[:, 0] >= 0).any()):
            break
    pulse, noise = (
        own if (own[:, 0] >= 0).any() or not asked else other
        for own, other, asked in ((plan.pulse, drawn.pulse, voices[:2].any()), (plan.noise, drawn.noise, voices[3]))
    )
    controls, names = plan.controls.copy(), list(CONTROLS)
    for voice in np.flatnonzero(voices):
        controls[names.index(f"active_{VOICES[voice]}")] = 3
    if voices[3]:
        controls[names.index("noise_density")] = max(FEW_DRUMS, int(drawn.controls[names.index("noise_density")]))
    return replace(plan, pulse=pulse, noise=noise, controls=controls)
