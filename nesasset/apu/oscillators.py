"""From segments to level changes: each oscillator is a table read at a constant rate. Holds no mixing.

Only the places where a table changes its value become events, looked up in a list made once a table: a 12.5 % pulse
gives 2 events a cycle instead of 8, the noise channel half as many as its clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.chip import Segments, short_orbits
from nesasset.apu.tables import DUTY_SEQUENCES, TRIANGLE_SEQUENCE

# Levels of the triangle are in halves, so that the mean of its 16 levels, 7.5, is a whole number.
TRIANGLE_SCALE: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Level changes of one channel, in order."""

    cycles: NDArray[np.float64]
    """CPU cycle of each change; shape (n_events,). Whole numbers, but for a triangle whose loop was closed."""
    levels: NDArray[np.int64]
    """Level from then on, shape (n_events,): pulse and noise 0 to 15, triangle 0 to 30, DMC 0 to 127."""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Periodic sequences laid end to end, and where they change."""

    values: NDArray[np.int64]
    value_offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    changes: NDArray[np.int64]
    """Steps whose value differs from the step before; rising within each sequence."""
    changed_values: NDArray[np.int64]
    """The value at each of those steps."""
    change_offsets: NDArray[np.int64]
    change_counts: NDArray[np.int64]
    changes_before: NDArray[np.int64]
    """For each step of each sequence: the number of changes at that step or an earlier one."""


def make_tables(sequences: list[NDArray[np.int64]]) -> Tables:
    """Return the look-up tables of a list of sequences."""
    lengths = np.array([len(sequence) for sequence in sequences])
    changed = [sequence != np.roll(sequence, 1) for sequence in sequences]
    counts = np.array([int(flags.sum()) for flags in changed])
    end = np.zeros(1, dtype=np.int64)  # something to find for a sequence without a change at the end of the list
    return Tables(
        values=np.concatenate(sequences),
        value_offsets=np.cumsum(lengths) - lengths,
        lengths=lengths,
        changes=np.concatenate([*(np.flatnonzero(flags) for flags in changed), end]),
        changed_values=np.concatenate([*(s[flags] for s, flags in zip(sequences, changed, strict=True)), end]),
        change_offsets=np.cumsum(counts) - counts,
        change_counts=counts,
        changes_before=np.concatenate([np.cumsum(flags) for flags in changed]),
    )


@lru_cache(maxsize=1)
def tables() -> Mapping[str, Tables]:
    """Return the tables that each channel reads: keys P1, P2, TR, NO, DM."""
    duties = make_tables([np.array(sequence, dtype=np.int64) for sequence in DUTY_SEQUENCES])
    triangle = np.array(TRIANGLE_SEQUENCE, dtype=np.int64) * TRIANGLE_SCALE
    mean = np.full(len(triangle), int(triangle.mean()), dtype=np.int64)
    # The channel is silent while bit 0 is 1.
    noise = make_tables([1 - (states & 1).astype(np.int64) for states in short_orbits().states])
    level = make_tables([np.ones(2, dtype=np.int64)])
    return {"P1": duties, "P2": duties, "TR": make_tables([triangle, mean]), "NO": noise, "DM": level}


def close_triangle(segments: Segments, position: int, limit_cents: float) -> Segments:
    """Bring the triangle's sequencer to the end of a loop where it stood at the start, by a change of pitch.

    The triangle never starts anew, so only luck would close a loop of it. Its steps over the loop are stretched or
    squeezed evenly until they make whole rounds of the sequence: about 16 steps more or fewer at most.

    Args:
        segments: The triangle's segments of one pass of the loop.
        position: Where the sequencer stands at the loop's start. The segments' own position does not matter.
        limit_cents: If the pitch would change by more than this, it is left alone and the loop stays open.

    Returns:
        Segments whose first ticks and periods may be fractions. A first tick may lie before its segment's start, by
        less than a period: in the segment before, or, one level and unheard, in the rest before a note.
    """
    moved = replace(
        segments, positions=(segments.positions - segments.positions[:1] + position) % len(TRIANGLE_SEQUENCE)
    )
    passed = np.concatenate([[0], np.cumsum(segments.counts)])  # steps before each segment, and in all
    # Parts of a step: what is already past of the first one at the start, and of the one under way at the end.
    head = _elapsed(segments, 0, int(segments.starts[0]), 0)
    tail = _elapsed(segments, -1, segments.end, int(segments.counts[-1]))
    advance = float(passed[-1]) + tail - head
    rounds = len(TRIANGLE_SEQUENCE)
    wanted = round(advance / rounds) * rounds
    if wanted <= 0 or abs(1200 * math.log2(wanted / advance)) > limit_cents:
        return moved
    # The old step count c becomes head + (c - head) * wanted / advance; a new step is where that is a whole number.
    scale = wanted / advance
    passed_then = np.floor(head + (passed - head) * scale).astype(np.int64)
    np.clip(passed_then, 0, wanted, out=passed_then)  # before the first whole step there is none to take back
    passed_then[0], passed_then[-1] = 0, wanted
    first_counts = head + (passed_then[:-1] + 1 - head) / scale
    return replace(
        segments,
        first_ticks=segments.first_ticks + (first_counts - passed[:-1] - 1) * segments.periods,
        periods=segments.periods / scale,
        counts=np.diff(passed_then),
        positions=(position + passed_then[:-1]) % rounds,
    )


def _elapsed(segments: Segments, which: int, cycle: int, ticks: int) -> float:
    """Return what part of a triangle's step is past at a cycle, a number of ticks into a segment; 0 if it stands still."""
    if not segments.amplitudes[which]:
        return 0.0
    due = segments.first_ticks[which] + ticks * segments.periods[which]
    return min(1.0, max(0.0, 1.0 - float(due - cycle) / float(segments.periods[which])))


def cut(segments: Segments, first_cycle: int, end_cycle: int) -> Segments:
    """Return the segments that begin in [first_cycle, end_cycle); both should be places where the trace was split."""
    lower, upper = np.searchsorted(segments.starts, (first_cycle, end_cycle))
    window = slice(int(lower), int(upper))
    return Segments(
        starts=segments.starts[window],
        first_ticks=segments.first_ticks[window],
        periods=segments.periods[window],
        counts=segments.counts[window],
        positions=segments.positions[window],
        sequences=segments.sequences[window],
        amplitudes=segments.amplitudes[window],
        end=min(segments.end, end_cycle),
    )


def sequence_values(segments: Segments, table: Tables, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what the sequence of each segment reads at a position."""
    lengths = table.lengths[segments.sequences]
    return table.values[table.value_offsets[segments.sequences] + positions % lengths]


def levels_of(segments: Segments, channel: str) -> Levels:
    """Return the level changes of segments: one at each start, and one at each tick that changes the level.

    The triangle's amplitude says whether it runs, not how loud: where it stands still it holds its level.
    """
    n_segments, table = len(segments.starts), tables()[channel]
    start_values = sequence_values(segments, table, segments.positions)
    if channel == "TR":
        amplitudes = np.ones(n_segments, dtype=np.int64)
    else:
        amplitudes = segments.amplitudes
    sequences, counts = segments.sequences, np.where(amplitudes > 0, segments.counts, 0)
    lengths, per_round = table.lengths[sequences], table.change_counts[sequences]
    positions = segments.positions % lengths
    # The changes of a sequence are numbered on for ever, round after round. Those of a segment come strictly after its
    # first position, up to the last one reached.
    rounds, places = np.divmod(positions + counts, lengths)
    before = table.changes_before[table.value_offsets[sequences] + positions]
    n_changes = rounds * per_round + table.changes_before[table.value_offsets[sequences] + places] - before
    # One event for the start of each segment, then one for each of its changes.
    sizes = n_changes + 1
    starts = np.cumsum(sizes) - sizes
    number = np.arange(int(sizes.sum())) - np.repeat(starts + 1 - before, sizes)
    number[starts] = 0  # a start is no change: what is looked up for it is overwritten below
    rounds, number = np.divmod(number, np.repeat(np.maximum(per_round, 1), sizes))
    entry = np.repeat(table.change_offsets[sequences], sizes) + number
    steps = table.changes[entry]
    periods = segments.periods
    rounds *= np.repeat(lengths, sizes)
    cycles = (rounds + steps) * np.repeat(periods, sizes)
    cycles = cycles + np.repeat(segments.first_ticks - (positions + 1) * periods, sizes)
    values = table.changed_values[entry]
    if channel != "TR":
        values = values * np.repeat(amplitudes, sizes)
    cycles[starts] = segments.starts
    values[starts] = start_values * amplitudes
    return Levels(cycles.astype(np.float64), values)
