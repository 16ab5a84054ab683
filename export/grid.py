"""The row grid of a song: which frames its rows begin on, how long a bar is. Frames in, frames out; no files.

Row boundaries follow the onsets by dynamic programming: a boundary earns one point for each voice that starts a note
on it and pays for being a row at all and for a length that is not the row's usual one. A fractional row (6.5 frames) has
both neighbouring lengths free. The best usual length wins. Rows of ten frames or more are halved, so that a row is about
a sixteenth everywhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROW_COST, FRACTIONAL_ROW_COST = 0.12, 0.24  # the second pays for the freedom of two lengths
DEVIATION_COST, RESET_COST = 0.6, 3.0  # points per frame of deviation, and at most
CANDIDATES = tuple(float(p) for p in range(3, 17)) + tuple(p + 0.5 for p in range(3, 10))
HALVE_FROM = 10
BAR_ROWS = (16, 12)
WHOLE_BARS = 0.1  # of resemblance: what it is worth that a loop is on bar lines
_MAX_STEP = 24


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Rows of a song."""

    boundaries: NDArray[np.int32]
    """First frame of each row and, last, the frame after the last row; shape (n_rows + 1,)."""
    row_frames: float
    """The usual length of a row, 3 to 9.5 frames."""
    delays: tuple[int, int, int, int]
    """Frames by which P1, P2, TR, NO lag behind the rows."""


def _step_costs() -> NDArray[np.float32]:
    """Return the price of a row of s frames under each candidate, shape (n_candidates, _MAX_STEP + 1)."""
    steps = np.arange(_MAX_STEP + 1)
    costs = np.full((len(CANDIDATES), len(steps)), np.inf, dtype=np.float32)
    for index, usual in enumerate(CANDIDATES):
        slack = 0.0 if usual.is_integer() else 0.5
        price = np.minimum(DEVIATION_COST * np.maximum(np.abs(steps - usual) - slack, 0), RESET_COST)
        allowed = (steps >= max(2, usual / 2)) & (steps <= min(_MAX_STEP, 1.5 * usual))
        costs[index, allowed] = price[allowed] + (ROW_COST if slack == 0 else FRACTIONAL_ROW_COST)
    return costs


_COSTS = _step_costs()


def _boundaries(hits: NDArray[np.float32]) -> tuple[NDArray[np.int32], float]:
    """Return the best row boundaries for the number of voices that start at each frame, and the usual row length."""
    n_frames, n_usual = len(hits), len(CANDIDATES)
    first = int(np.flatnonzero(hits)[0])
    best = np.full((_MAX_STEP + n_frames + 1, n_usual), -np.inf, dtype=np.float32)  # shifted: row f stands at f + _MAX_STEP
    back = np.zeros((n_frames + 1, n_usual), dtype=np.int8)
    reversed_costs = _COSTS[:, :0:-1].T.copy()  # step _MAX_STEP first, step 1 last: matches a window of `best`
    gains = np.append(hits, 0)
    for frame in range(n_frames + 1):
        window = best[frame : frame + _MAX_STEP] - reversed_costs
        choice = window.argmax(axis=0)
        value = window[choice, np.arange(n_usual)]
        if frame <= first and frame > first - _MAX_STEP:  # a song may start here
            fresh = value < 0
            value = np.where(fresh, 0.0, value)
            choice = np.where(fresh, _MAX_STEP, choice)  # step 0 marks the start
        best[frame + _MAX_STEP] = value + gains[frame]
        back[frame] = _MAX_STEP - choice
    tail = best[max(0, n_frames - 8) + _MAX_STEP :]
    usual = int(tail.max(axis=0).argmax())
    frame = max(0, n_frames - 8) + int(tail[:, usual].argmax())
    # The last boundary is the song's end: take the latest frame that costs no more than a row.
    path = [frame]
    while back[frame, usual]:
        frame -= int(back[frame, usual])
        path.append(frame)
    return np.array(path[::-1], dtype=np.int32), CANDIDATES[usual]


def _extend(boundaries: NDArray[np.int32], row_frames: float, n_frames: int) -> NDArray[np.int32]:
    """Add rows of the usual length up to the song's end."""
    path = boundaries.tolist()
    start, count = path[-1], 1
    while start + round(count * row_frames) <= n_frames + row_frames / 2:
        path.append(start + round(count * row_frames))
        count += 1
    return np.array(path, dtype=np.int32)


def find_grid(onsets: list[NDArray[np.int32]], n_frames: int) -> Grid | None:
    """Find the rows of a song from the onset frames of its four voices; None if it has fewer than four onsets.

    The second pass takes out what is constant: a voice most of whose onsets lag by the same number of frames.
    """
    if sum(map(len, onsets)) < 4:
        return None
    delays = [0, 0, 0, 0]
    for _ in range(2):
        hits = np.zeros(n_frames, dtype=np.float32)
        for starts, delay in zip(onsets, delays, strict=True):
            hits[np.maximum(starts - delay, 0)] += 1
        boundaries, row_frames = _boundaries(hits)
        boundaries = _extend(boundaries, row_frames, n_frames)
        found = []
        for starts, delay in zip(onsets, delays, strict=True):
            found.append(delay + _usual_lag(starts - delay, boundaries, row_frames))
        low = min(found)
        if found == delays:
            break
        delays = [lag - low for lag in found]
    if row_frames >= HALVE_FROM:
        boundaries, row_frames = _halve(boundaries, hits), row_frames / 2
    if len(boundaries) < 2:
        return None
    return Grid(boundaries, row_frames, (delays[0], delays[1], delays[2], delays[3]))


def _usual_lag(starts: NDArray[np.int32], boundaries: NDArray[np.int32], row_frames: float) -> int:
    """Return the lag in frames that more than half of a voice's onsets share, else 0."""
    if len(starts) < 8:
        return 0
    row = np.clip(np.searchsorted(boundaries, starts, side="right") - 1, 0, len(boundaries) - 1)
    lag = starts - boundaries[row]
    counts = np.bincount(lag[(lag >= 0) & (lag < max(2, row_frames / 2))], minlength=1)
    usual = int(counts.argmax())
    return usual if counts[usual] > len(starts) / 2 else 0


def _halve(boundaries: NDArray[np.int32], hits: NDArray[np.float32]) -> NDArray[np.int32]:
    """Cut every row in two, at the middle frame on which more voices start."""
    gains = np.append(hits, np.zeros(2 * _MAX_STEP, dtype=np.float32))
    middles = []
    for a, b in zip(boundaries[:-1].tolist(), boundaries[1:].tolist(), strict=True):
        low = (a + b) // 2
        high = min((a + b + 1) // 2, b - 1)
        middles.append(high if gains[high] > gains[low] else low)
    out = np.empty(2 * len(boundaries) - 1, dtype=np.int32)
    out[::2] = boundaries
    out[1::2] = middles
    return out


def find_bar_rows(cells: NDArray[np.int32], likely: Collection[int] = ()) -> int:
    """Return 16 or 12: the bar length at whose multiples the song resembles itself more.

    Args:
        cells: Shape (n_rows, 4); any coding in which 0 is a hold.
        likely: Bar lengths that need less resemblance, such as those whose bar lines the song's loop is on.
    """
    event = cells != 0
    scores = {}
    for bar in BAR_ROWS:
        similarities = []
        for multiple in (1, 2, 4):
            lag = bar * multiple
            if len(cells) < lag + bar:
                continue
            either = event[lag:] | event[:-lag]
            same = (cells[lag:] == cells[:-lag]) & either
            similarities.append(same.sum() / max(1, either.sum()))
        scores[bar] = float(np.mean(similarities)) if similarities else 0.0
        scores[bar] += WHOLE_BARS if bar in likely else 0.0
    return 16 if scores[16] >= scores[12] else 12
