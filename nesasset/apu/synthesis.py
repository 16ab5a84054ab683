"""From writes to differences of samples: oscillators, mixer and band-limited steps in one call, compiled or in numpy.

Sums of steps are exact (see `steps`), so a stretch of time may be added as one piece or as many, by either of the two
implementations, with the same result to the last bit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu import chip, extension
from nesasset.apu.chip import CHANNELS, Segments
from nesasset.apu.mixer import TND_TRIM, mix, mixed_level, output_tables
from nesasset.apu.oscillators import TRIANGLE_SCALE, Levels, levels_of
from nesasset.apu.steps import add_steps, kernel
from nesasset.apu.tables import CONSOLES
from nesasset.apu.writes import Writes

_REGIONS: Final = tuple(CONSOLES)
_NOTHING: Final = Levels(np.empty(0), np.empty(0, dtype=np.int64))


def resting_levels(channels: Collection[str]) -> NDArray[np.int64]:
    """Return the level of each channel (order of CHANNELS) before the first write, 0 for those that are not played.

    The triangle wakes at its top, and that is where the sound rests.
    """
    return np.array([15 * TRIANGLE_SCALE * (name == "TR") * (name in channels) for name in CHANNELS], dtype=np.int64)


def output_level(levels: NDArray[np.int64], tnd_trim: float = TND_TRIM) -> int:
    """Return the mixed output for levels in the order of CHANNELS, in units of `mixer.HEIGHT_UNIT`."""
    return mixed_level(dict(zip(CHANNELS, levels.tolist(), strict=True)), tnd_trim)


def advance(state: NDArray[np.int64], writes: Writes, splits: Collection[int] = ()) -> Mapping[str, Segments]:
    """Run a chip over writes as `chip.advance` does."""
    fast = extension.fast()
    if fast is None:
        return chip.advance(state, writes, tuple(splits))
    end = writes.marks[-1]
    ahead = np.array(sorted({split for split in (*splits, *writes.marks) if 0 < split < end}), dtype=np.int64)
    parts = fast.advance(state, *_columns(writes), ahead, end, _REGIONS.index(writes.region), writes.memory)
    return {name: _segments(rows, end) for name, rows in zip(CHANNELS, parts, strict=True)}


def add_segments(
    buffer: NDArray[np.float64],
    segments: Mapping[str, Segments],
    levels: NDArray[np.int64],
    scale: float,
    base_cycle: int = 0,
    origin: int = 0,
    tnd_trim: float = TND_TRIM,
) -> None:
    """Add the sound of segments to a buffer of differences.

    Args:
        buffer: See `steps.add_steps`.
        segments: Those of one stretch of time; channels that are left out keep their level.
        levels: Level of each channel before the stretch, in the order of CHANNELS; changed to those at its end.
        scale: Samples a cycle.
        base_cycle: What to add to the segments' cycles before they are scaled.
        origin: Number of the buffer's sample 0.
        tnd_trim: Factor on triangle, noise and DMC.
    """
    fast = extension.fast()
    if fast is not None:
        rows = [_rows(segments[name]) if name in segments else None for name in CHANNELS]
        fast.add_rows(*rows, *_shared(tnd_trim), buffer, levels, scale, base_cycle, origin)
        return
    found = {name: levels_of(segments[name], name) if name in segments else _NOTHING for name in CHANNELS}
    for steps in mix(found, dict(zip(CHANNELS, levels.tolist(), strict=True)), tnd_trim):
        add_steps(buffer, steps.cycles + base_cycle, steps.heights, scale, origin)
    for number, name in enumerate(CHANNELS):
        if len(found[name].levels):
            levels[number] = found[name].levels[-1]


def play(
    state: NDArray[np.int64],
    writes: Writes,
    channels: Collection[str],
    buffer: NDArray[np.float64],
    levels: NDArray[np.int64],
    scale: float,
    base_cycle: int,
    origin: int,
    tnd_trim: float = TND_TRIM,
) -> None:
    """Run a chip over writes and add its sound to a buffer: `advance` and `add_segments` in one."""
    fast = extension.fast()
    if fast is None:
        segments = chip.advance(state, writes)
        chosen = {name: segments[name] for name in CHANNELS if name in channels}
        add_segments(buffer, chosen, levels, scale, base_cycle, origin, tnd_trim)
        return
    end, region = writes.marks[-1], _REGIONS.index(writes.region)
    fast.play(
        state,
        *_columns(writes),
        end,
        region,
        writes.memory,
        _mask(tuple(channels)),
        *_shared(tnd_trim),
        buffer,
        levels,
        scale,
        base_cycle,
        origin,
    )


@lru_cache(maxsize=32)
def _mask(channels: tuple[str, ...]) -> int:
    return sum(1 << number for number, name in enumerate(CHANNELS) if name in channels)


def _columns(writes: Writes) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint8]]:
    return (
        np.ascontiguousarray(writes.cycles, dtype=np.int64),
        np.ascontiguousarray(writes.addresses, dtype=np.uint16),
        np.ascontiguousarray(writes.values, dtype=np.uint8),
    )


@lru_cache(maxsize=4)
def _shared(tnd_trim: float) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    return (*output_tables(tnd_trim), kernel())


def _segments(rows: bytes, end: int) -> Segments:
    starts, ticks, periods, counts, positions, sequences, amplitudes = (
        np.frombuffer(rows).reshape(-1, 7).T.astype(np.int64)
    )
    return Segments(starts, ticks, periods, counts, positions, sequences, amplitudes, end)


def _rows(segments: Segments) -> NDArray[np.float64]:
    columns = (segments.starts, segments.first_ticks, segments.periods, segments.counts)
    return np.column_stack((*columns, segments.positions, segments.sequences, segments.amplitudes)).astype(np.float64)
