"""The chip over a log, window by window: what its oscillators do, and the triangle brought round to where a loop began.

Holds segments in CPU cycles, no samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu import synthesis
from nesasset.apu.chip import CHANNELS, Segments
from nesasset.apu.tables import TRIANGLE_SEQUENCE
from nesasset.apu.writes import Writes, write_cycles
from nesasset.register_log import RegisterLog

WINDOW_CYCLES: Final = 1 << 20  # about 0.6 s: how much is turned from segments into samples at a time
CLOSING_LIMIT_CENTS: Final = 0.5
_CHUNK_WRITES: Final = 1 << 16  # of a log with one


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the oscillators do over a stretch of time."""

    start: int
    """First CPU cycle since the log's start."""
    end: int
    segments: Mapping[str, Segments]
    """Of every channel, in CPU cycles since the log's start."""


def _timed(log: RegisterLog, first_frame: int, last_frame: int) -> Iterator[tuple[NDArray[np.int64], slice]]:
    """Yield the cycles of the writes in frames [first, last) and where in the log they stand, some at a time."""
    at, upper = (int(edge) for edge in np.searchsorted(log.frames, (first_frame, last_frame)))
    while at < upper:
        end = min(upper, at + _CHUNK_WRITES)
        if end < upper:  # when a write happens may depend on the others of its frame
            end = int(np.searchsorted(log.frames, log.frames[end - 1], side="right"))
        chunk = slice(at, end)
        cycles = None if log.cycles is None else log.cycles[chunk]
        some = replace(
            log, frames=log.frames[chunk], addresses=log.addresses[chunk], values=log.values[chunk], cycles=cycles
        )
        yield write_cycles(some), chunk
        at = end


def run_windows(
    log: RegisterLog, state: NDArray[np.int64], first_frame: int, last_frame: int, marks: tuple[int, ...], late: int
) -> Iterator[Window]:
    """Run a chip over the frames [first, last) of a log, from its first mark to its last.

    Args:
        log: The log.
        state: The chip's, changed in place.
        first_frame: First frame whose writes happen.
        last_frame: The frame after the last one.
        marks: CPU cycles at which a window begins or the last one ends.
        late: CPU cycles by which all happens later than the log says: 0, or a pass of the loop.
    """
    chunks = _timed(log, first_frame, last_frame)
    cycles, addresses, values = np.empty(0, dtype=np.int64), log.addresses[:0], log.values[:0]
    for start, end in _edges(marks):
        while not len(cycles) or cycles[-1] < end:
            more = next(chunks, None)
            if more is None:
                break
            cycles = np.concatenate([cycles, more[0]])
            addresses = np.concatenate([addresses, log.addresses[more[1]]])
            values = np.concatenate([values, log.values[more[1]]])
        count = int(np.searchsorted(cycles, end))
        now = (cycles[:count] - start, addresses[:count], values[:count])
        cycles, addresses, values = cycles[count:], addresses[count:], values[count:]
        segments = synthesis.advance(state, Writes(*now, (0, end - start), log.region, log.memory))
        yield Window(
            start + late, end + late, {name: _later(segments[name], start + late) for name in CHANNELS}
        )


def _edges(marks: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield first and last cycle of windows: every WINDOW_CYCLES from each mark."""
    for first, last in pairwise(marks):
        for start in range(first, last, WINDOW_CYCLES):
            yield start, min(last, start + WINDOW_CYCLES)


def _later(segments: Segments, cycles: int) -> Segments:
    return replace(
        segments,
        starts=segments.starts + cycles,
        first_ticks=segments.first_ticks + cycles,
        end=segments.end + cycles,
    )


@dataclass(frozen=True, slots=True)
class _Closing:
    """How the triangle of a loop is brought round: what `close_triangle` finds out and does, for windows."""

    position: int
    """Where the sequencer stands at the loop's start."""
    moved: int
    """What the chip's own positions lack to that; counts only where the loop stays open."""
    head: float
    """What part of a step is past at the loop's start."""
    scale: float
    """New steps for each old one; 0 where the loop stays open."""
    wanted: int
    """New steps in all."""


def find_closing(windows: Iterator[Window], position: int) -> _Closing:
    """Look through the windows of a pass and return how to close its triangle."""
    first = next(windows)
    triangle = first.segments["TR"]
    moved = position - int(triangle.positions[0])
    head, passed = _elapsed(triangle, 0, int(triangle.starts[0]), 0), int(triangle.counts.sum())
    for window in windows:
        triangle = window.segments["TR"]
        passed += int(triangle.counts.sum())
    rounds = len(TRIANGLE_SEQUENCE)
    advance = float(passed) + _elapsed(triangle, -1, triangle.end, int(triangle.counts[-1])) - head
    wanted = round(advance / rounds) * rounds
    if wanted <= 0 or abs(1200 * math.log2(wanted / advance)) > CLOSING_LIMIT_CENTS:
        return _Closing(position, moved, head, 0.0, 0)
    return _Closing(position, moved, head, wanted / advance, wanted)


def _elapsed(triangle: Segments, which: int, cycle: int, ticks: int) -> float:
    """Return what part of a triangle's step is past at a cycle, a number of ticks into a segment; 0 if it stands still."""
    if not triangle.amplitudes[which]:
        return 0.0
    due = triangle.first_ticks[which] + ticks * triangle.periods[which]
    return min(1.0, max(0.0, 1.0 - float(due - cycle) / float(triangle.periods[which])))


def closed_windows(windows: Iterator[Window], closing: _Closing, end: int) -> Iterator[Window]:
    """Yield the windows of a pass that ends at a cycle, their triangle closed; see `close_triangle` for the sums."""
    rounds = len(TRIANGLE_SEQUENCE)
    before = 0  # steps before the window
    for window in windows:
        old = window.segments["TR"]
        if not closing.scale:
            new = replace(old, positions=(old.positions + closing.moved) % rounds)
        else:
            passed = before + np.concatenate([[0], np.cumsum(old.counts)])
            then = np.floor(closing.head + (passed - closing.head) * closing.scale).astype(np.int64)
            np.clip(then, 0, closing.wanted, out=then)
            if not before:
                then[0] = 0
            if window.end == end:
                then[-1] = closing.wanted
            first_counts = closing.head + (then[:-1] + 1 - closing.head) / closing.scale
            new = replace(
                old,
                first_ticks=old.first_ticks + (first_counts - passed[:-1] - 1) * old.periods,
                periods=old.periods / closing.scale,
                counts=np.diff(then),
                positions=(closing.position + then[:-1]) % rounds,
            )
            before = int(passed[-1])
        yield replace(window, segments={**window.segments, "TR": new})


# From windows to samples. Entries are differences of samples as `add_steps` counts them, LEAD before their samples.
