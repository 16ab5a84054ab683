"""The judge: whether a draft is music at all, and how surprising its seam is beside its interior.

The surprise is the model's, which reads the rows without plan and harmony.
The seam: rows before the loop's end, then its first rows. The interior: the same at bar lines inside. The plan, the
loop's length and the bars remaining are hidden, so that only the notes speak. Bits a row, cells only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.features import (
    COLUMN,
    FEATURES,
    NO_SLOT,
    PAST,
    RECALL,
    SLOT_FEATURES,
    STRENGTH,
    forget_chords,
    forget_plan,
    history_features,
    recalled,
)
from nesasset.model import Model
from nesasset.recall import recall_song
from nesasset.vocabulary import CONTROLS, HOLD_ID, ONSET_ID, UNKNOWN_REMAINING

if TYPE_CHECKING:
    from nesasset.compose.plan import Plan

FEW_NOTES: Final = 8  # of a piece of four bars or more, two a bar below
STUCK_BARS: Final = 8
CONTEXT_ROWS: Final = 128  # half a piece: with less a beginning that the piece has prepared looks like chance
JUDGED_ROWS: Final = 32
INTERIOR_PLACES: Final = 2
PLACES: Final = (0.08, 0.21, 0.33)  # of a loop, to which its end must not lead rather than home: in bars 2, 4 and 6 of sixteen
BEAT_ROWS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What the judge is told of a piece beside its rows."""

    bar_rows: int
    controls: NDArray[np.integer]
    """(n_controls,) classes; those that tell of the loop are hidden."""
    pulse: NDArray[np.integer]
    """(16, 4) palette."""
    noise: NDArray[np.integer]
    """(16, 4) palette."""

    @staticmethod
    def of(plan: Plan, controls: NDArray[np.integer] | None = None) -> Told:
        """Return what a plan says of its piece, with other controls than the plan's own where they are given."""
        return Told(plan.bar_rows, plan.controls if controls is None else controls, plan.pulse, plan.noise)


def is_lifeless(cells: NDArray[np.integer], bar_rows: int) -> bool:
    """Return whether rows of shape (n, 4) are no music: hardly a note, or a voice that holds one note for eight bars."""
    onset = cells >= ONSET_ID
    if onset.sum() < min(FEW_NOTES, 2 * len(cells) // bar_rows):
        return True
    for column in range(4):
        events = np.flatnonzero(cells[:, column] != HOLD_ID)
        if len(events):
            waits = np.diff(np.append(events, events[0] + len(cells)))  # the last one may sound over the seam
            if waits[onset[events, column]].max(initial=0) >= STUCK_BARS * bar_rows:
                return True
    return False


def surprisal(
    model: Model,
    cells: NDArray[np.integer],
    slots: NDArray[np.integer],
    told: Told,
    loop_start: int = 0,
) -> tuple[float, float]:
    """Return bits a row over the rows after the seam, and after bar lines inside the loop.

    Args:
        model: The reader.
        cells: (n, 4), the piece; it loops from its end to loop_start.
        slots: (n, 3).
        told: What is known of the piece.
        loop_start: First row of the loop.

    Returns:
        Bits after the seam, and the mean after two bar lines inside; where there are none, the first number twice.
    """
    length = len(cells) - loop_start
    context, judged = _reach(length, told.bar_rows)
    lines = np.arange(context, length - judged + 1, told.bar_rows) if length >= context + judged else np.array([], dtype=int)
    if len(lines) > INTERIOR_PLACES:
        lines = lines[np.linspace(0, len(lines) - 1, INTERIOR_PLACES).round().astype(int)]
    windows = [(0, length - context, length), *((0, int(line) - context, int(line)) for line in lines)]
    twice = [_twice(cells, slots, loop_start)]
    bits = _window_bits(model, twice, windows, judged, length, told)
    return float(bits[0]), float(bits[1:].mean()) if len(bits) > 1 else float(bits[0])


def seam_bits(
    model: Model,
    loops: Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]],
    told: Told,
    loop_start: int = 0,
) -> NDArray[np.float32]:
    """Return bits a row over the rows after the seam of several loops of one plan, (n_loops,); arguments as for `surprisal`, loops as cells and slots."""
    length = len(loops[0][0]) - loop_start
    context, judged = _reach(length, told.bar_rows)
    windows = [(number, length - context, length) for number in range(len(loops))]
    twice = [_twice(cells, slots, loop_start) for cells, slots in loops]
    return _window_bits(model, twice, windows, judged, length, told)


def elsewhere_bits(
    model: Model,
    cells: NDArray[np.integer],
    slots: NDArray[np.integer],
    told: Told,
    loop_start: int = 0,
) -> NDArray[np.float32]:
    """Return bits a row if the loop's end were followed by other places of the loop than its beginning, (n_places,); arguments as for `surprisal`.

    The places are PLACES of the loop, on beats, whose rows differ from the beginning's and do not reach into what is read before; a
    short loop has none.
    """
    body, played = np.asarray(cells)[loop_start:], np.asarray(slots)[loop_start:]
    length = len(body)
    context, judged = _reach(length, told.bar_rows)
    rows = [int(place * length) // BEAT_ROWS * BEAT_ROWS for place in PLACES]
    rows = [row for row in rows if row + judged <= length - context and (body[row : row + judged] != body[:judged]).any()]
    if not rows:
        return np.zeros(0, dtype=np.float32)
    pieces = [(np.concatenate([body, body[row : row + judged]]), np.concatenate([played, played[row : row + judged]])) for row in rows]
    windows = [(piece, length - context, length) for piece in range(len(pieces))]
    return _window_bits(model, pieces, windows, judged, length, told, shared=True)


def _reach(length: int, bar_rows: int) -> tuple[int, int]:
    """Return how many rows are read before a place of a loop, and how many after it are judged."""
    judged = min(JUDGED_ROWS, length)
    return min(CONTEXT_ROWS, max(bar_rows, length - judged)), judged


def _twice(cells: NDArray[np.integer], slots: NDArray[np.integer], loop_start: int) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return a loop's rows and the same again."""
    return np.concatenate([cells[loop_start:]] * 2), np.concatenate([slots[loop_start:]] * 2)


def line_bits(
    model: Model,
    cells: NDArray[np.integer],
    slots: NDArray[np.integer],
    told: Told,
    lines: Sequence[int],
    home: int | None = 0,
) -> NDArray[np.float64]:
    """Return bits a row over the bar that begins at each of some bar lines, (n_lines,).

    Args:
        model: The reader.
        cells: (n, 4), whole bars.
        slots: (n, 3).
        told: What is known of the piece.
        lines: Bars, 1 to the number of them; the last is the line at the end, behind which the loop begins anew.
        home: The loop's first bar; None for a piece that ends.
    """
    n = len(cells)
    start = n if home is None else home * told.bar_rows
    first = slice(start, start + told.bar_rows)
    on = [(np.concatenate([cells, cells[first]]), np.concatenate([slots, slots[first]]))]
    rows = np.array(lines, dtype=np.int64) * told.bar_rows
    contexts = np.minimum(rows, CONTEXT_ROWS)
    bits = np.zeros(len(rows))
    for context in np.unique(contexts):
        alike = np.flatnonzero(contexts == context)
        windows = [(0, int(row - context), int(row)) for row in rows[alike]]
        bits[alike] = _window_bits(model, on, windows, told.bar_rows, n, told)
    return bits


def _window_bits(
    model: Model,
    pieces: Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]],
    windows: Sequence[tuple[int, int, int]],
    judged: int,
    length: int,
    told: Told,
    *,
    shared: bool = False,
) -> NDArray[np.float32]:
    """Return bits a row over the rows behind each window (piece, first row, row after its last), all equally long; (n_windows,).

    Args:
        model: The reader.
        pieces: Cells (n, 4) and slots (n, 3) of each.
        windows: What is read before.
        judged: Rows that count.
        length: Rows after which bars are counted anew.
        told: What is known of the piece.
        shared: The rows of the windows are the same in all pieces, so that they need be read once.
    """
    context = windows[0][2] - windows[0][1]
    past = [history_features(*piece) for piece in pieces]
    total = context + judged
    ids = np.zeros((len(windows), total, len(FEATURES)), dtype=np.int64)
    seen_slots = np.full((len(windows), total, len(SLOT_FEATURES)), NO_SLOT, dtype=np.int64)
    force = np.zeros((len(windows), total, 4), dtype=np.int64)
    played = np.zeros((len(windows), total, 3), dtype=np.int64)
    for window, (piece, start, _) in enumerate(windows):
        here = slice(start, start + total)
        (cells, slots), (past_ids, past_slots) = pieces[piece], past[piece]
        token = np.zeros((total, len(FEATURES)), dtype=np.int16)
        token_slots = np.full((total, len(SLOT_FEATURES)), NO_SLOT, dtype=np.int8)
        token[:, PAST], token_slots[:, :6] = past_ids[here], past_slots[here]
        forget_plan(token, token_slots, np.ones(total, dtype=bool), np.ones(4, dtype=bool))
        forget_chords(token)
        token[:, COLUMN["row_in_bar"]] = np.arange(start, start + total) % length % told.bar_rows
        token[:, COLUMN["bars_remaining"]] = UNKNOWN_REMAINING
        ids[window], seen_slots[window] = token, token_slots
        force[window], played[window] = cells[here], slots[here]
    # A window recalls itself alone: across the seam the whole piece has been heard before.
    rows, ids[:, :, STRENGTH : STRENGTH + 4] = recall_song(force, told.bar_rows)
    ids[:, :, RECALL : RECALL + 4], seen_slots[:, :, 9:] = recalled(force, played, rows)
    controls = np.array(told.controls, dtype=np.int64)
    controls[list(CONTROLS).index("loop_bars")] = 0
    song, slots = model.song(controls[None], told.pulse[None], told.noise[None]), np.maximum(played, 0)
    cache, first = model.cache(1 if shared else len(windows)), 0
    if shared:
        head, first = slice(0, context), context
        model.run(song, cache, ids[:1, head], seen_slots[:1, head], np.arange(context)[None], force_cells=force[:1, head], force_slots=slots[:1, head])
        cache.take(np.zeros(len(windows), dtype=np.int64))
    out = model.run(
        song.repeat(len(windows)),
        cache,
        ids[:, first:],
        seen_slots[:, first:],
        np.broadcast_to(np.arange(first, total), (len(windows), total - first)),
        force_cells=force[:, first:],
        force_slots=slots[:, first:],
    )
    return np.asarray(out.cell_bits[:, context - first :].sum(axis=-1).mean(axis=-1))
