"""The 2A03's mixer: levels of the channels to steps of the output. Holds no band limiting.

The chip adds two groups, pulses and triangle-noise-DMC, and each group saturates by itself, so each is mixed alone.
The output is rounded to whole numbers, millionths of the mixer's range: `steps` adds exactly from here on.

Source: NESdev wiki, page "APU Mixer", the exact formula:
    pulse = 95.88 / (8128 / (p1 + p2) + 100)
    tnd   = 159.79 / (1 / (t / 8227 + n / 12241 + d / 22638) + 100)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.oscillators import TRIANGLE_SCALE, Levels

# The formula is 1.0 dB too loud for triangle, noise and DMC against the one recording of a real console at hand
# (nes-test-roms, volume_tests); consoles differ by as much. NSFPlay trims by the same factor, -0.45 dB.
TND_TRIM: Final = 0.95

HEIGHT_BITS: Final = 20
HEIGHT_UNIT: Final = 1.0 / 2**HEIGHT_BITS
"""Of the whole numbers in which levels of the output are given, in parts of the mixer's range 0 to 1."""

GROUPS: Final = (("P1", "P2"), ("TR", "NO", "DM"))
# A group's levels make one number: the sum of level times weight, which numbers the entries of the group's table.
_WEIGHTS: Final = {"P1": 1, "P2": 1, "TR": 1, "NO": 32, "DM": 32 * 16}


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Steps of the mixed output, of shape (n_steps,)."""

    cycles: NDArray[np.float64]
    heights: NDArray[np.int64]
    """By how much the output rises, in units of HEIGHT_UNIT, never 0."""


def pulse_output(p1: int, p2: int) -> float:
    """Return the pulse group's output for volumes 0 to 15."""
    return 95.88 / (8128 / (p1 + p2) + 100) if p1 + p2 else 0.0


def tnd_output(triangle: float, noise: int, dmc: int) -> float:
    """Return the other group's output, untrimmed, for triangle and noise 0 to 15 and DMC 0 to 127."""
    total = triangle / 8227 + noise / 12241 + dmc / 22638
    return 159.79 / (1 / total + 100) if total else 0.0


@lru_cache(maxsize=4)
def output_tables(tnd_trim: float = TND_TRIM) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the output of each group in units of HEIGHT_UNIT, for each number its levels make: shapes (31,), (65536,).

    The second group's number is triangle in halves + 32 * noise + 512 * DMC.
    """
    pulse = np.array([pulse_output(total, 0) for total in range(31)])
    triangle = np.arange(32)[None, None, :] / TRIANGLE_SCALE
    noise, dmc = np.arange(16)[None, :, None], np.arange(128)[:, None, None]
    total = triangle / 8227 + noise / 12241 + dmc / 22638
    total[0, 0, 0] = 1.0  # overwritten below
    tnd = 159.79 / (1 / total + 100) * tnd_trim
    tnd[0, 0, 0] = 0.0
    whole, rest = (np.rint(part / HEIGHT_UNIT).astype(np.int32) for part in (pulse, tnd.reshape(-1)))
    return whole, rest


def mixed_level(levels: Mapping[str, int], tnd_trim: float = TND_TRIM) -> int:
    """Return the output for one level of each channel (keys P1, P2, TR, NO, DM; triangle in halves)."""
    return sum(
        int(table[sum(levels[channel] * _WEIGHTS[channel] for channel in group)])
        for group, table in zip(GROUPS, output_tables(tnd_trim), strict=True)
    )


def mix(levels: Mapping[str, Levels], before: Mapping[str, int], tnd_trim: float = TND_TRIM) -> list[Steps]:
    """Mix level changes.

    Args:
        levels: Changes of every channel over the same stretch of time.
        before: Level of every channel before that stretch.
        tnd_trim: Factor on triangle, noise and DMC.

    Returns:
        The steps of each group, in order of time, at most one for each moment.
    """
    result = []
    for group, table in zip(GROUPS, output_tables(tnd_trim), strict=True):
        parts = [_changes(levels[channel], before[channel]) for channel in group]
        cycles = np.concatenate([cycles for cycles, _ in parts])
        # What each event adds to the group's number; summed up in order of time it gives the number itself.
        changes = np.concatenate(
            [change * _WEIGHTS[channel] for (_, change), channel in zip(parts, group, strict=True)]
        )
        order = np.argsort(cycles, kind="stable")
        cycles = cycles[order]
        first = sum(before[channel] * _WEIGHTS[channel] for channel in group)
        numbers = np.cumsum(changes[order]) + first
        last = np.ones(len(cycles), dtype=bool)  # of those in the same moment
        np.not_equal(cycles[1:], cycles[:-1], out=last[:-1])
        cycles = cycles[last]
        heights = np.diff(table[numbers[last]], prepend=table[first]).astype(np.int64)
        rising = heights != 0
        result.append(Steps(cycles[rising], heights[rising]))
    return result


def _changes(levels: Levels, before: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the moments at which a channel's level changes, never falling, and by how much."""
    changes = np.diff(levels.levels, prepend=before)
    moving = changes != 0
    return np.maximum.accumulate(levels.cycles[moving]), changes[moving]
