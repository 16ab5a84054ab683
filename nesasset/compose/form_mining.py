"""The form of a piece, mined from its rows: per bar a lag to one earlier bar and per voice what becomes of that bar's part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.key import sounding_cells
from nesasset.compose.likeness import RHYTHM_FROM, VARIED_FROM, classify, likeness
from nesasset.vocabulary import (
    MAX_LAG,
    MAX_SHIFT,
    NEW,
    ONSET_ID,
    REST_ID,
    SEQUENCE,
    SILENT,
)

DISTANCE_COST = 0.004
SEQUENCE_WORTH = 0.5  # of a voice that is the earlier bar's, moved by the bar's shift


def _kinds(cells: NDArray[np.integer]) -> NDArray[np.integer]:
    """Reduce cells to hold, rest, onset."""
    return np.asarray(np.minimum(cells, ONSET_ID))


def mine_plan(
    cells: NDArray[np.integer], bar_rows: int, first_row: int = 0
) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int8]]:
    """Return the plan of a piece.

    Args:
        cells: Shape (n_rows, 4). Instruments are not looked at: equal notes on others still count as exact.
        bar_rows: 12 or 16.
        first_row: Rows of an incomplete bar in front, 0 to bar_rows - 1: it has a plan entry of its own if not 0.

    Returns:
        lags, shape (n_bars,), classes, shape (n_bars, 4), and shifts, shape (n_bars,): semitones from the reference to the
        voices that are sequences, 0 where none is. Bar b covers rows starts[b] to starts[b + 1] with
        starts = bar_starts(n_rows, bar_rows, first_row).
    """
    starts = bar_starts(len(cells), bar_rows, first_row)
    n_bars = len(starts) - 1
    lags = np.zeros(n_bars, dtype=np.int8)
    classes = np.full((n_bars, 4), NEW, dtype=np.int8)
    shifts = np.zeros(n_bars, dtype=np.int8)
    sounding = sounding_cells(cells)
    whole = [bar for bar in range(n_bars) if starts[bar + 1] - starts[bar] == bar_rows]
    index = {bar: place for place, bar in enumerate(whole)}
    grid = np.stack([cells[starts[bar] : starts[bar + 1]] for bar in whole]) if whole else np.zeros((0, bar_rows, 4), dtype=np.int32)
    kinds = _kinds(grid)
    for bar in range(n_bars):
        a, b = int(starts[bar]), int(starts[bar + 1])
        own = cells[a:b]
        silent = ~(cells[a:b] >= ONSET_ID).any(axis=0) & (sounding[a:b] == REST_ID).all(axis=0)
        classes[bar] = np.where(silent, SILENT, NEW)
        if b - a != bar_rows:
            continue
        place = index[bar]
        first = max(0, place - MAX_LAG)
        if place == first or silent.all():
            continue
        past = grid[first:place]
        same, rhythm, exact = likeness(past, own)
        shift, moved = _sequences(past, kinds[first:place], own, kinds[place])
        worth = np.where(silent, 0.0, np.maximum(same, SEQUENCE_WORTH * moved) + 0.25 * rhythm + 0.5 * exact).sum(axis=1)
        distance = place - np.arange(first, place)
        worth = worth - DISTANCE_COST * distance
        best = int(len(worth) - 1 - worth[::-1].argmax())
        if not (exact[best] | moved[best] | (same[best] >= VARIED_FROM) | (rhythm[best] >= RHYTHM_FROM))[~silent].any():
            continue
        lags[bar] = distance[best]
        kind = classify(own, past[best])
        kind[moved[best] & ~exact[best]] = SEQUENCE
        kind[silent] = SILENT
        classes[bar] = kind
        shifts[bar] = shift[best] if (kind == SEQUENCE).any() else 0
    return lags, classes, shifts


def _sequences(
    past: NDArray[np.integer], past_kinds: NDArray[np.integer], own: NDArray[np.integer], own_kinds: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return by how much a bar is moved against each earlier one, (k,), and which voices are just that, (k, 4).

    Of several shifts the one of most voices counts, of equal ones the lowest voice's.

    Args:
        past: Earlier bars, (k, bar_rows, 4).
        past_kinds: The same, reduced to hold, rest, onset.
        own: The bar, (bar_rows, 4).
        own_kinds: The same, reduced.
    """
    onset = own_kinds[:, :3] == ONSET_ID
    step = np.where(onset, own[:, :3] - past[:, :, :3], 0)
    low = np.where(onset, step, 999).min(axis=1)
    high = np.where(onset, step, -999).max(axis=1)  # (k, 3)
    one = (past_kinds[:, :, :3] == own_kinds[:, :3]).all(axis=1) & onset.any(axis=0) & (low == high)
    one &= (low != 0) & (np.abs(low) <= MAX_SHIFT)
    votes = np.stack([(one & (low == low[:, [voice]])).sum(axis=1) * one[:, voice] for voice in (2, 0, 1)], axis=1)
    chosen = np.take_along_axis(low[:, [2, 0, 1]], votes.argmax(axis=1)[:, None], axis=1)
    shift = np.where(votes.max(axis=1) > 0, chosen[:, 0], 0)
    moved = np.zeros((len(past), 4), dtype=bool)
    moved[:, :3] = one & (low == shift[:, None])
    return shift, moved


def bar_starts(n_rows: int, bar_rows: int, first_row: int = 0) -> NDArray[np.int64]:
    """Return the first row of every bar and the end; incomplete bars at either end count."""
    starts = list(range(first_row, n_rows, bar_rows))
    if first_row:
        starts.insert(0, 0)
    return np.array([*starts, n_rows], dtype=np.int64)
