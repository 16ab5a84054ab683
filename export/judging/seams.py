"""Does a loop lead into its own beginning? The composer's judge asked about real loops, generated ones and wrong turns.

Holds how loops of a prepared split and of scores are shown to `nesasset.compose.judge`, both with the same knowledge:
label, row length and bar length, nothing else of the controls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from export.measures import score_to_piece
from export.prepare import load_rows
from nesasset.compose.judge import CONTEXT_ROWS, JUDGED_ROWS, Told
from nesasset.score import Note, Score
from nesasset.themes import THEMES
from nesasset.vocabulary import (
    CONTROLS,
    ENVELOPE_FRAMES,
    LABELS,
    PALETTE_SLOTS,
    bar_rows_class,
    row_frames_class,
)

if TYPE_CHECKING:
    from nesasset.model import Model

LEAST_BARS: Final = 8
CUTS: Final = 2  # random places a loop
TOLD: Final = ("label", "row_frames", "bar_rows")
SLOT_COLUMN: Final = {"P1": 0, "P2": 1, "NO": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Rows that go round, as the model reads them."""

    cells: NDArray[np.int64]
    """(n_rows, 4)."""
    slots: NDArray[np.int64]
    """(n_rows, 3), -1 where no note begins."""
    bar_rows: int
    controls: NDArray[np.int64]
    pulse: NDArray[np.int64]
    """(16, 4) palette."""
    noise: NDArray[np.int64]
    """(16, 4) palette."""

    @property
    def told(self) -> Told:
        """What the judge is told beside the rows."""
        return Told(self.bar_rows, self.controls, self.pulse, self.noise)


@dataclass(frozen=True, slots=True)
class Seam:
    """What the judge says of one loop, in bits a row."""

    seam: float
    """After the wrap."""
    interior: float
    """After bar lines inside."""
    cuts: tuple[float, ...]
    """After the loop's end where a random place of the loop follows, one for each draw; () where there is no such place."""


def split_loops(folder: Path) -> list[Loop]:
    """Return the true loops of a prepared split: whole bars, eight at least."""
    rows = load_rows(folder)
    known = [name in TOLD for name in CONTROLS]
    found = []
    for song, (start, end) in enumerate(np.asarray(rows.loops).tolist()):
        bar_rows = int(rows.bar_rows[song])
        if start < 0 or (end - start) % bar_rows or end - start < LEAST_BARS * bar_rows:
            continue
        part = slice(int(rows.offsets[song]) + start, int(rows.offsets[song]) + end)
        controls = np.where(known, np.asarray(rows.controls[song]), 0)
        found.append(
            Loop(
                np.asarray(rows.cells[part]).astype(np.int64),
                np.asarray(rows.slots[part]).astype(np.int64),
                bar_rows,
                controls.astype(np.int64),
                np.asarray(rows.pulse_palette[song]).astype(np.int64),
                np.asarray(rows.noise_palette[song]).astype(np.int64),
            )
        )
    return found


def score_loop(score: Score, model: Model) -> Loop | None:
    """Return a score's loop with its instruments as slots and shapes of the model; None if it is not for this model.

    That is: no loop, bars of other than 12 or 16 rows, a part of a bar, or a loop shorter than eight bars.
    """
    if score.loop is None or score.bar_rows not in (12, 16):
        return None
    start, end = score.loop
    if (end - start) % score.bar_rows or end - start < LEAST_BARS * score.bar_rows:
        return None
    slot_of, palettes = _palettes(score, model)
    slots = np.full((score.n_rows, 3), -1, dtype=np.int64)
    for voice, column in SLOT_COLUMN.items():
        for row, cell in enumerate(score.voices[voice]):
            if isinstance(cell, Note):
                slots[row, column] = slot_of[cell.instrument]
    theme = THEMES.get(score.theme or "")
    frames = float(np.mean([score.groove[row % len(score.groove)] for row in range(start, end)]))
    told = {
        "label": LABELS.index(theme.label) if theme is not None and theme.label else 0,
        "row_frames": row_frames_class(min(max(frames, 3.0), 9.5)),
        "bar_rows": bar_rows_class(score.bar_rows),
    }
    controls = np.array([told.get(name, 0) for name in CONTROLS], dtype=np.int64)
    return Loop(score_to_piece(score).cells, slots[start:end], score.bar_rows, controls, *palettes)


def _palettes(score: Score, model: Model) -> tuple[dict[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the slot of each instrument, and pulse and noise palette.

    Composed instruments are called "pulse 3" or "drum 0" after their slots; others are numbered as they come. More than
    sixteen share the last slot.
    """
    slot_of: dict[int, int] = {}
    palettes = {kind: np.full((PALETTE_SLOTS, 4), -1, dtype=np.int64) for kind in ("pulse", "noise")}
    for kind, palette in palettes.items():
        shapes = np.array(model.sidecar[f"{kind}_shapes"], dtype=np.float64)[:, :ENVELOPE_FRAMES]
        named: dict[str, int] = {}
        for index, entry in enumerate(score.instruments):
            if entry.kind != kind:
                continue
            name = entry.name or str(index)
            number = re.fullmatch(r"(?:pulse|drum) (\d{1,2})", name)
            slot = named.setdefault(name, int(number[1]) if number else len(named))
            slot = slot_of[index] = min(slot, PALETTE_SLOTS - 1)
            if palette[slot, 0] >= 0:
                continue
            volume = np.array(entry.volume[:ENVELOPE_FRAMES], dtype=np.float64)
            volume = np.pad(volume, (0, shapes.shape[1] - len(volume)), mode="edge")
            peak = max(1, int(volume.max()))
            shape = int(np.abs(shapes * peak / 15 - volume).sum(axis=1).argmin())
            timbre = (entry.duty, 0) if kind == "pulse" else (entry.mode, entry.period)
            palette[slot] = *timbre, shape, peak
    return slot_of, (palettes["pulse"], palettes["noise"])


def judge_seam(model: Model, loop: Loop, rng: np.random.Generator) -> Seam:
    """Return what the judge says of a loop, and of its end followed by a random place of its own.

    The random place is any row, bar line or not, whose next rows are not those of the beginning and do not lie where the judge
    has just read. What lies there may be the same once more, in a form whose second half has the middle of its first again: such
    a place surprises less than many a beginning. A loop of less than 161 rows has no such place.
    """
    from nesasset.compose.judge import surprisal

    def bits(cells: NDArray[np.int64], slots: NDArray[np.int64]) -> tuple[float, float]:
        return surprisal(model, cells, slots, loop.told)

    seam, interior = bits(loop.cells, loop.slots)
    length = len(loop.cells)
    judged = min(JUDGED_ROWS, length)
    context = min(CONTEXT_ROWS, length - judged)
    rows = range(1, length - context - judged + 1)
    places = [row for row in rows if (loop.cells[row : row + judged] != loop.cells[:judged]).any()]
    # A piece that begins with those rows and ends as the loop does; between them what makes its bars whole.
    between = -(judged + context) % loop.bar_rows
    cuts = []
    for place in rng.permutation(places)[:CUTS].tolist():
        here, end = slice(place, place + judged + between), slice(length - context, length)
        spliced = [np.concatenate([array[here], array[end]]) for array in (loop.cells, loop.slots)]
        cuts.append(bits(spliced[0], spliced[1])[0])
    return Seam(seam, interior, tuple(cuts))


def summarise_seams(seams: list[Seam]) -> dict[str, Any]:
    """Return mean seam and interior, their difference, and the share of cuts that surprise more than their loop's wrap."""
    compared = [(seam.seam, cut) for seam in seams for cut in seam.cuts]

    def mean(values: list[float]) -> float | None:
        return float(np.mean(values)) if values else None

    return {
        "seam_bits": mean([seam.seam for seam in seams]),
        "interior_bits": mean([seam.interior for seam in seams]),
        "seam_less_interior_bits": mean([seam.seam - seam.interior for seam in seams]),
        "wrap_beats_random_cut": mean([float(seam < cut) for seam, cut in compared]),
    }
