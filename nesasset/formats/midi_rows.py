"""Rows for a MIDI file's frames: the groove that fits its notes, and its loop in rows. Knows no cell."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import FormatError
from nesasset.formats.midi_frames import VoiceFrames
from nesasset.formats.midi_notes import Midi, bar_of, loop_ticks, title_of
from nesasset.formats.midi_tracks import Clock
from nesasset.score import HOLD, MAX_ROW_FRAMES, MAX_ROWS, Score
from nesasset.units import VOICES

_MAX_SWUNG: Final = 20_000  # notes up to which a swinging groove is looked for


def row_starts(groove: tuple[int, ...], n_rows: int) -> list[int]:
    """Return the first frame of each row, and the end."""
    return [0, *np.cumsum(np.resize(np.array(groove), n_rows)).tolist()]


def found_grid(midi: Midi, frames: dict[str, VoiceFrames], beat: Fraction, n_frames: int) -> Score:
    """Return an empty score with the rows that fit the notes best, and the bars and the title that the file tells."""
    groove, beat_rows = _grid([np.flatnonzero(part.onsets) for part in frames.values()], beat, n_frames)
    turn = sum(groove)
    n_rows = n_frames // turn * len(groove)
    while n_rows // len(groove) * turn + sum(groove[: n_rows % len(groove)]) < n_frames:
        n_rows += 1
    if n_rows > MAX_ROWS:
        raise FormatError(f"the music needs {n_rows} rows, and a score has at most {MAX_ROWS}")
    bar = bar_of(midi)
    return Score(
        voices=dict.fromkeys(VOICES, (HOLD,) * n_rows),
        instruments=(),
        groove=groove,
        bar_rows=min(256, max(1, round(bar * beat_rows))),
        beat_rows=beat_rows,
        title=title_of(midi),
    )


def _grid(onsets: list[NDArray[np.int64]], beat: Fraction, n_frames: int) -> tuple[tuple[int, ...], int]:
    """Return groove and rows a beat: sixteenths if they fit, else what puts most notes on the first frame of a row.

    Args:
        onsets: First frames of the notes of each voice, rising. Where notes end says nothing: envelopes end them anywhere.
        beat: Frames a beat.
        n_frames: Length of the music.
    """
    best: tuple[float, tuple[int, ...], int] | None = None
    total = max(1, sum(map(len, onsets)))
    for rank, rows in enumerate((4, 3, 6, 8, 12, 2, 16, 24, 32, 48, 64, 96, 128, 256)):
        length = beat / rows
        if not 1 <= length <= MAX_ROW_FRAMES or n_frames / length > MAX_ROWS:
            continue
        for index, groove in enumerate(_grooves(length, swings=rows == 4 and total <= _MAX_SWUNG)):
            starts = np.cumsum((0, *groove))[:-1]
            found = [np.divmod(line, sum(groove)) for line in onsets]
            places = [np.searchsorted(starts, rest, side="right") - 1 for _, rest in found]
            rows_of = [whole * len(groove) + place for (whole, _), place in zip(found, places, strict=True)]
            if any((np.diff(line) == 0).any() for line in rows_of):  # two notes of one voice begin in one row
                continue
            off = sum(int((starts[at] != rest).sum()) for (_, rest), at in zip(found, places, strict=True))
            cost = off / total + 0.02 * rank + (0.01 if index else 0)
            if best is None or cost < best[0]:
                best = (cost, groove, rows)
            if not off and not rank:
                return groove, rows
    if best is None:  # a row a frame, or as near as the number of rows allows
        frames = min(MAX_ROW_FRAMES, -(-n_frames // MAX_ROWS))
        return (frames,), min(256, max(1, round(beat / frames)))
    return best[1], best[2]


def _grooves(length: Fraction, swings: bool) -> Iterable[tuple[int, ...]]:
    """Yield grooves of this mean length: even ones, and where asked for, two rows of unequal length."""
    near = length.limit_denominator(16)
    count = near.denominator
    floors = [int(near * row) for row in range(count + 1)]
    ceilings = [-int(-near * row) for row in range(count + 1)]
    yield tuple(after - before for before, after in pairwise(floors))
    if count > 1:
        yield tuple(after - before for before, after in pairwise(ceilings))
    if swings and (2 * length).denominator == 1:
        for first in range(1, int(2 * length)):
            if max(first, int(2 * length) - first) <= MAX_ROW_FRAMES:
                yield (first, int(2 * length) - first)


def read_loop(midi: Midi, grid: Score, starts: list[int], clock: Clock, left_out: Counter[str]) -> tuple[int, int] | None:
    """Return the loop in rows, as the file's marks have it."""
    ticks = loop_ticks(midi)
    if ticks is None:
        return None
    frames = tuple(clock.frame(tick) for tick in ticks)
    if grid.loop is not None and frames == grid.loop_frames:
        return grid.loop
    first, end = (_nearest(starts, frame, left_out) for frame in frames)
    return (first, end) if first < end else None


def _nearest(starts: list[int], frame: int, left_out: Counter[str]) -> int:
    after = min(bisect_left(starts, frame), len(starts) - 1)
    row = min((max(0, after - 1), after), key=lambda row: abs(starts[row] - frame))
    if starts[row] != frame:
        left_out["the loop moves to the nearest row"] = 1
    return row
