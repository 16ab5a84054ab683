"""From rows to a score: instruments from the palette, the key, the groove, the loop. Rows in, a Score out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.articulation import articulate
from nesasset.compose.key import find_key, pitch_class_weights
from nesasset.compose.ornament import find_idioms, ornament
from nesasset.compose.plan import Plan, plan_to_json
from nesasset.compose.request import BEAT_ROWS, Request
from nesasset.compose.writer import Draft
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score
from nesasset.units import NOTE_NAMES, PITCH_RANGES, VOICES, in_range
from nesasset.vocabulary import HOLD_ID, ONSET_ID, REST_ID, id_to_pitch

REGISTER_EDGES: Final = (66.0, 73.0)  # thirds of NES-MDB's training songs by the median pitch of pulse 1
_SLOT_COLUMN = {"P1": 0, "P2": 1, "NO": 2}


def at_peak(shapes: NDArray[np.integer], peak: NDArray[np.integer] | int) -> NDArray[np.int64]:
    """Return shapes, 15 at their peak, scaled to peaks of 1 to 15 and rounded half up: the exact volumes an instrument plays."""
    volumes: NDArray[np.int64] = (shapes.astype(np.int64) * np.expand_dims(peak, -1) * 2 + 15) // 30
    return volumes


def instrument_volumes(shape: NDArray[np.integer], peak: int) -> tuple[int, ...]:
    """Return the volumes of a shape of the model's library at a peak, their constant end cut off."""
    volumes = at_peak(shape, peak).tolist()
    while len(volumes) > 1 and volumes[-1] == volumes[-2]:
        volumes.pop()
    return tuple(volumes)


def shift_for(cells: NDArray[np.integer], tonic: int | None) -> tuple[int, tuple[int, str, float]]:
    """Return semitones that bring a piece to a tonic within its voices' ranges, and the key found (before the shift)."""
    key = find_key(pitch_class_weights(cells))
    if tonic is None:
        return 0, key
    low, high = -127, 127
    for column, voice in enumerate(VOICES[:3]):
        onsets = cells[:, column]
        onsets = onsets[onsets >= ONSET_ID]
        if len(onsets):
            low = max(low, PITCH_RANGES[voice][0] - id_to_pitch(int(onsets.min())))
            high = min(high, PITCH_RANGES[voice][1] - id_to_pitch(int(onsets.max())))
    up = (tonic - key[0]) % 12
    for shift in sorted((up, up - 12), key=abs):
        if low <= shift <= high:
            return shift, key
    return (up if abs(up) <= abs(up - 12) else up - 12), key


def to_score(
    draft: Draft,
    request: Request,
    shapes: Mapping[str, NDArray[np.integer]],
    provenance: Mapping[str, Any],
    *,
    ornaments: bool = True,
) -> Score:
    """Turn a draft into a score.

    Args:
        draft: Rows and the plan they follow.
        request: What was asked for: tempo, key, loop.
        shapes: The model's volume shapes, "pulse" and "noise".
        provenance: Goes into the score, with the key that was found; its "model" names the file of idioms.
        ornaments: Whether the piece is played as a sound driver would play it; see compose/ornament.py.
    """
    cells, slots = draft.cells.copy(), draft.slots
    home = draft.plan.home * draft.plan.bar_rows
    for row in {0, home}:  # a loop begins by itself: nothing is held into it
        cells[row] = np.where(cells[row] == HOLD_ID, REST_ID, cells[row])
    wishes = request.wishes
    placed = wishes.chords or wishes.scale or wishes.melody_range or wishes.motif  # these are where they were asked for
    shift, key = shift_for(cells, None if placed else request.tonic)
    if request.wishes.register:
        cells[:, 0] = _in_register(cells[:, 0], request.register, shift)
    keys = _keys_in_use(cells, slots)
    instruments, numbers = palette_instruments(draft.plan, shapes, keys)
    voices = {voice: _part(cells, slots, voice, shift, numbers) for voice in VOICES}
    tonic = NOTE_NAMES[(key[0] + shift) % 12]
    score = Score(
        voices=voices,
        instruments=instruments,
        groove=request.groove(draft.plan.bar_rows),
        bar_rows=draft.plan.bar_rows,
        beat_rows=BEAT_ROWS,
        loop=(home, len(cells)) if request.loops else None,
        title=request.theme,
        theme=request.theme,
        provenance={**provenance, **plan_to_json(draft.plan, shift), "key": f"{tonic} {key[1]}"},
    )
    idioms = find_idioms(provenance.get("model"), shapes) if ornaments else None
    if idioms is None:
        return articulate(score)
    palette = {number: _palette_entry(*key, draft.plan)[:3] for key, number in numbers.items()}
    echo = "P2" in request.voices and not request.sections  # in a section that comes back, the end of another would ring
    played = articulate(ornament(score, palette, idioms, request.seed, echo=echo))
    if request.tonic is None or placed or _tonic(played) == request.tonic:
        return played
    return articulate(ornament(score, palette, idioms, request.seed, echo=False))  # an echo may tip the balance between two keys


def _tonic(score: Score) -> int:
    """Return the tonic of the key that a score's notes are in."""
    from nesasset.compose.material import cells_of  # which stands above this module

    return find_key(pitch_class_weights(cells_of(score)))[0]


Key = tuple[str, int]
"""An instrument of a plan's palettes: 'pulse' or 'noise', and its slot."""


def bar_to_score(
    draft: Draft, bar: int, request: Request, shapes: Mapping[str, NDArray[np.integer]], provenance: Mapping[str, Any]
) -> Score:
    """Return one finished bar of a draft as a score without a loop; all bars of a piece have the same instruments.

    A voice that holds on the first row holds what the bar before left.
    """
    plan = draft.plan
    rows = slice(bar * plan.bar_rows, (bar + 1) * plan.bar_rows)
    cells, slots = draft.cells[rows].copy(), draft.slots[rows]
    if bar in (0, plan.home):
        cells[0] = np.where(cells[0] == HOLD_ID, REST_ID, cells[0])
    instruments, numbers = palette_instruments(plan, shapes, _all_keys(plan))
    voices = {voice: _part(cells, slots, voice, 0, numbers) for voice in VOICES}
    groove = request.groove(plan.bar_rows)
    return Score(voices, instruments, groove, plan.bar_rows, BEAT_ROWS, None, title=request.theme, theme=request.theme, provenance=provenance)


def palette_instruments(
    plan: Plan, shapes: Mapping[str, NDArray[np.integer]], keys: Sequence[Key]
) -> tuple[tuple[Instrument, ...], dict[Key, int]]:
    """Return the triangle's instrument and those of the keys, and the number of each key's."""
    instruments = [Instrument("triangle", name="triangle")]
    for kind, slot in keys:
        timbre, period, shape, peak = _palette_entry(kind, slot, plan)
        volume = instrument_volumes(shapes[kind][shape], peak)
        if kind == "noise":
            instruments.append(Instrument(kind, volume, period=period, mode=timbre, name=f"drum {slot}"))
        else:
            instruments.append(Instrument(kind, volume, duty=timbre, name=f"pulse {slot}"))
    return tuple(instruments), {key: number for number, key in enumerate(keys, start=1)}


def _kind(voice: str) -> str:
    return "noise" if voice == "NO" else "pulse"


def _keys_in_use(cells: NDArray[np.int64], slots: NDArray[np.int64]) -> list[Key]:
    """Return the instruments that are played, P1's first, each voice's in the order in which they come."""
    found: dict[Key, None] = {}
    for voice, column in _SLOT_COLUMN.items():
        onsets = cells[:, VOICES.index(voice)] >= ONSET_ID
        found |= {(_kind(voice), slot): None for slot in slots[onsets, column].tolist()}
    return list(found)


def _all_keys(plan: Plan) -> list[Key]:
    """Return every instrument of a plan's palettes."""
    return [(kind, slot) for kind, part in (("pulse", plan.pulse), ("noise", plan.noise)) for slot in np.flatnonzero(part[:, 0] >= 0).tolist()]


def _part(cells: NDArray[np.int64], slots: NDArray[np.int64], voice: str, shift: int, numbers: Mapping[Key, int]) -> tuple[Cell, ...]:
    """Return a voice's cells, its notes moved by semitones."""
    part: list[Cell] = []
    for row, cell in enumerate(cells[:, VOICES.index(voice)].tolist()):
        if cell == HOLD_ID:
            part.append(HOLD)
        elif cell == REST_ID:
            part.append(REST)
        else:
            instrument = 0 if voice == "TR" else numbers[_kind(voice), int(slots[row, _SLOT_COLUMN[voice]])]
            pitch = None if voice == "NO" else in_range(id_to_pitch(cell) + shift, voice)
            part.append(Note(instrument, pitch))
    return tuple(part)


def _in_register(line: NDArray[np.int64], register: int, shift: int) -> NDArray[np.int64]:
    """Return pulse 1's cells, (n,), an octave or two up or down where that brings their median into the third asked for.

    Args:
        line: The cells.
        register: 1 low, 2 mid, 3 high.
        shift: Semitones by which the piece will be moved besides.
    """
    onsets = line[line >= ONSET_ID]
    if not len(onsets):
        return line
    low, high = ((-np.inf, REGISTER_EDGES[0]), REGISTER_EDGES, (REGISTER_EDGES[1], np.inf))[register - 1]
    lowest, highest = PITCH_RANGES["P1"]
    pitches = onsets + (id_to_pitch(ONSET_ID) - ONSET_ID + shift)

    def misses(octave: int) -> tuple[float, int]:
        median = float(np.median(pitches)) + octave
        return max(low - median, median - high, 0.0), abs(octave)

    allowed = [o for o in (-24, -12, 0, 12, 24) if pitches.min() + o >= lowest and pitches.max() + o <= highest] or [0]
    return np.where(line >= ONSET_ID, line + min(allowed, key=misses), line)


def _palette_entry(kind: str, slot: int, plan: Plan) -> tuple[int, int, int, int]:
    """Return timbre, noise period, shape and peak of a slot."""
    timbre, period, shape, peak = (plan.noise if kind == "noise" else plan.pulse)[slot].tolist()
    return timbre, period, shape, peak
