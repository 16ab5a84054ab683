"""New cells in a score that is there: some are written, all others stay the objects they were. Knows no reason why.

A `Rewrite` says what is free, under which plan and after what the writing begins: rows in front of the score's own are read
and not kept, so that a loop's first bar can be written after its last, or a piece after a primer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.articulation import articulate
from nesasset.chords import transpose_chords
from nesasset.compose.assemble import Key, palette_instruments, shift_for
from nesasset.compose.given import Given
from nesasset.compose.judge import Told, line_bits, surprisal
from nesasset.compose.material import TRIANGLE
from nesasset.compose.ornament import find_idioms, ornament
from nesasset.compose.plan import Plan
from nesasset.compose.request import Request
from nesasset.compose.writer import Draft, control_classes, write
from nesasset.errors import MaterialError
from nesasset.formats import score_json
from nesasset.model import Model
from nesasset.score import HOLD, MAX_INSTRUMENTS, REST, Cell, Note, Score
from nesasset.units import MAX_VOLUME, VOICE_KINDS, VOICES, in_range
from nesasset.vocabulary import HOLD_ID, ONSET_ID, REST_ID, id_to_pitch, pitch_to_id

PARTICLES: Final = 8  # drafts that compete where voices are given; consonance under a given melody grows with them, 0.74 for 1 to 0.76 for 8
INTERIOR_LINES: Final = 6  # bar lines between kept bars that the seams of new ones are compared with, at most
_SLOTTED: Final = {"P1": 0, "P2": 1, "NO": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Rewrite:
    """What is to be written, and into which score."""

    score: Score
    """What the result is made from: its free cells are replaced."""
    free: NDArray[np.bool_]
    """(rows of the score that are heard, 4): the cells to be written."""
    request: Request
    plan: Plan
    """Of all rows that are written, those in front included; palettes and players must agree."""
    given: Given
    """The same rows."""
    start: int
    """Row of the writing that is the score's first."""
    players: Mapping[Key, tuple[int, int]]
    """Instrument of the score and note volume that play a palette's slot; what is missing gets an instrument of the palette's."""
    tonic: int | None = None
    """Pitch class to which what is written is moved, 0 for C; only where nothing is kept. None leaves it where it is."""


def carry_out(
    model: Model, work: Rewrite, generators: list[np.random.Generator], particles: int | None = None
) -> list[tuple[Score, Draft]]:
    """Write a score with the chance of each generator; beside each the rows it was made from, those in front cut off.

    Args:
        model: The model.
        work: What is to be done.
        generators: The only sources of chance, one a score.
        particles: Drafts that compete for each score; None for several where a voice is given beside a free one, else 1.

    Raises:
        MaterialError: The score has no room for the instruments of new parts.
    """
    beside = bool(((work.given.cells >= 0).any(axis=1) & (work.given.cells < 0).any(axis=1)).any())
    drafts = write(model, work.request, work.plan, generators, work.given, particles or (PARTICLES if beside else 1))
    drafts = [_moved(draft, work.tonic) for draft in drafts]
    return [(_patched(model, work, draft), cut(draft, work)) for draft in drafts]


def _moved(draft: Draft, tonic: int | None) -> Draft:
    """Return a draft whose notes are in the key of a tonic, within their voices' ranges."""
    rows = draft.plan.home * draft.plan.bar_rows
    shift, _ = shift_for(draft.cells[rows:], tonic)
    if not shift:
        return draft
    cells = draft.cells.copy()
    for column, voice in enumerate(VOICES[:3]):
        line = cells[:, column]
        cells[:, column] = [pitch_to_id(in_range(id_to_pitch(cell) + shift, voice)) if cell >= ONSET_ID else cell for cell in line.tolist()]
    return Draft(replace(draft.plan, chords=transpose_chords(draft.plan.chords, shift).astype(np.int64)), cells, draft.slots)


def cut(draft: Draft, work: Rewrite) -> Draft:
    """Return a draft without the whole bars in front of the score."""
    bars = work.start // draft.plan.bar_rows
    rows = bars * draft.plan.bar_rows
    plan = draft.plan
    lags = plan.lags[bars:]
    lags = np.where(lags > np.arange(len(lags)), 0, lags)
    own = replace(
        plan,
        lags=lags,
        classes=plan.classes[bars:],
        shifts=plan.shifts[bars:],
        chords=plan.chords[bars:],
        home=max(0, plan.home - bars),
    )
    return Draft(own, draft.cells[rows:], draft.slots[rows:])


def _patched(model: Model, work: Rewrite, draft: Draft) -> Score:
    """Return the work's score with the draft in its free cells, played as a driver plays; kept cells are the same objects."""
    old = work.score
    rows = slice(work.start, work.start + len(work.free))
    cells, slots = np.array(draft.cells[rows]), draft.slots[rows]
    for row in {0, old.loop[0] if old.loop else 0}:  # a loop begins by itself: nothing is held into it
        cells[row] = np.where(cells[row] == HOLD_ID, REST_ID, cells[row])
    shapes = {kind: np.array(model.sidecar[f"{kind}_shapes"], dtype=np.int64) for kind in ("pulse", "noise")}
    new: dict[Key, None] = {}
    for column, voice in enumerate(VOICES):
        for row in np.flatnonzero(work.free[:, column] & (cells[:, column] >= ONSET_ID)).tolist():
            new |= {_key(voice, slots[row]): None}
    missing = [key for key in new if key not in work.players]
    added, numbers = palette_instruments(draft.plan, shapes, [key for key in missing if key != TRIANGLE])
    first = len(old.instruments)
    if missing and first + len(added) > MAX_INSTRUMENTS:
        raise MaterialError(f"the score has {first} instruments, which leaves no room for the {len(added)} of its new parts")
    players = dict(work.players)
    if missing:
        players |= {key: (first + numbers.get(key, 0), MAX_VOLUME) for key in missing}
    voices = {}
    for column, voice in enumerate(VOICES):
        part = list(old.voices[voice])
        for row in np.flatnonzero(work.free[:, column]).tolist():
            part[row] = _cell(int(cells[row, column]), voice, slots[row], players)
        voices[voice] = tuple(part)
    score = replace(old, voices=voices, instruments=(*old.instruments, *(added if missing else ())))
    if missing and work.request.wishes.ornaments is not False:
        idioms = find_idioms(model.name, shapes)
        if idioms is not None:
            palette = {first + numbers[key]: _timbre(key, draft.plan) for key in missing if key in numbers}
            score = ornament(score, palette, idioms, work.request.seed, echo=bool(work.free[:, VOICES.index("P2")].all()))
    return _restored(articulate(score), old, work.free)


def _key(voice: str, slots: NDArray[np.integer]) -> Key:
    return TRIANGLE if voice == "TR" else (VOICE_KINDS[voice], int(slots[_SLOTTED[voice]]))


def _timbre(key: Key, plan: Plan) -> tuple[int, int, int]:
    timbre, period, shape, _ = (plan.noise if key[0] == "noise" else plan.pulse)[key[1]].tolist()
    return timbre, period, shape


def _cell(cell: int, voice: str, slots: NDArray[np.integer], players: Mapping[Key, tuple[int, int]]) -> Cell:
    if cell < ONSET_ID:
        return HOLD if cell == HOLD_ID else REST
    instrument, volume = players[_key(voice, slots)]
    return Note(instrument, None if voice == "NO" else id_to_pitch(cell), volume=volume)


def _restored(score: Score, old: Score, free: NDArray[np.bool_]) -> Score:
    """Return a score in which every cell that is not free is the old score's: what plays a note may have changed it."""
    voices = {}
    for column, voice in enumerate(VOICES):
        part = list(old.voices[voice])
        for row in np.flatnonzero(free[:, column]).tolist():
            part[row] = score.voices[voice][row]
        voices[voice] = tuple(part)
    return replace(score, voices=voices)


def parent_of(score: Score) -> dict[str, Any]:
    """Return what a child's provenance says of its parent."""
    told = {"sha256": score_json.music_digest(score), "title": score.title, "theme": score.theme}
    return {**told, **{name: score.provenance[name] for name in ("seed", "operation") if name in score.provenance}}


def stretches(free: NDArray[np.bool_], bar_rows: int) -> list[tuple[int, int]]:
    """Return first bar and the bar after the last of each run of bars, (n_bars * bar_rows, …) rows, in which something is free."""
    bars = free.reshape(-1, bar_rows * free.shape[1]).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], bars, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def seams_of(model: Model, work: Rewrite, draft: Draft) -> dict[str, float] | None:
    """Return bits a row over the bar before and after which something was written begins or ends, and over other bar lines.

    Args:
        model: The reader.
        work: What was asked for.
        draft: A whole draft, rows in front included, as `write` gives it, cut by `cut`.

    Returns:
        "before" for the lines at which new music begins, "after" for those at which it ends, "interior" for all others;
        None where all bars have new cells, or there are no others.
    """
    bar_rows = draft.plan.bar_rows
    lead = work.start % bar_rows
    free = np.zeros(draft.cells.shape, dtype=bool)
    free[lead : lead + len(work.free)] = work.free
    home, n_bars = draft.plan.home, draft.plan.n_bars
    runs = stretches(free, bar_rows)
    loops = work.score.loop is not None
    before = {(a if a > home or not loops else n_bars) for a, _ in runs if a or loops}
    after = {(b if b < n_bars or not loops else n_bars) for _, b in runs if b < n_bars or loops}
    lines = sorted(before | after)
    others = [bar for bar in range(home + 1, n_bars) if bar not in lines and not free[bar * bar_rows : (bar + 1) * bar_rows].any()]
    if not lines or not others or (len(runs) == 1 and runs[0] == (0, n_bars)):
        return None
    if len(others) > INTERIOR_LINES:
        others = [others[place] for place in np.linspace(0, len(others) - 1, INTERIOR_LINES).round().astype(int).tolist()]
    told = Told.of(draft.plan, control_classes(draft.plan, work.request))
    bits = line_bits(model, draft.cells, draft.slots, told, [*lines, *others], home)
    of = dict(zip([*lines, *others], bits.tolist(), strict=True))

    def mean(bars: set[int] | list[int]) -> float:
        return round(float(np.mean([of[bar] for bar in bars])), 3)

    figures = {"interior": mean(others)}
    if before:
        figures["before"] = mean(before)
    if after:
        figures["after"] = mean(after)
    return figures


def figures_of(model: Model, work: Rewrite, draft: Draft) -> dict[str, Any]:
    """Return the figures that a score's provenance has of how it hangs together: its loop's seam, and the seams of what is new."""
    figures: dict[str, Any] = {}
    plan, seams = draft.plan, seams_of(model, work, draft)
    if work.score.loop is not None:
        told, home = Told.of(plan, control_classes(plan, work.request)), plan.home * plan.bar_rows
        seam, interior = surprisal(model, draft.cells, draft.slots, told, home)
        figures["surprisal"] = {"seam": round(seam, 3), "interior": round(interior, 3)}
    if seams is not None:
        figures["seams"] = seams
    return figures


def excess(seams: dict[str, float] | None) -> float:
    """Return by how many bits a row the worse of two seams surprises more than other bar lines; 0 where nothing is known."""
    if seams is None:
        return 0.0
    return max(seams[name] for name in ("before", "after") if name in seams) - seams["interior"]


def badness(figures: dict[str, Any]) -> float:
    """Return how ill a piece hangs together, in bits a row: what its seams surprise more than its interior, and a share of that."""
    whole, seams = figures.get("surprisal", {}), figures.get("seams", {})
    worst = max((seams[name] - seams["interior"] for name in ("before", "after") if name in seams), default=-1.0)
    worst = max(worst, whole.get("seam", 0.0) - whole.get("interior", 0.0), -1.0)
    return float(worst + 0.25 * whole.get("interior", 0.0))
