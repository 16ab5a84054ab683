"""Band-limited steps: where the output jumps between two samples, without aliases. Holds no oscillators.

The kernel is the *difference* of a band-limited step from sample to sample, that is a windowed sinc averaged over one
sample: summed up it gives the step itself. A sampled sinc, summed up, would rise by 1.8 dB at 15 kHz. 32 taps at 128
positions with linear interpolation between positions keep aliases below -100 dB and are flat to 16 kHz at 44.1 kHz.

Every number here is a whole number of small units: heights 2**-20, taps 2**-20, positions 2**-19 samples. So a
sum of products is a multiple of 2**-40, and below 2**13 float64 holds it exactly: **sums do not depend on the order in
which they are made**, nor on the pieces in which sound is made. A sample stays below 2**11: at 8000 Hz 224 cycles fall
on it, each of the two groups makes at most one step a cycle, and the taps of one position add up to less than 4.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.mixer import HEIGHT_UNIT

TAPS: Final = 32
PHASES: Final = 128
CUTOFF: Final = 0.46  # of the sample rate
KAISER_BETA: Final = 9.0
HALF_WIDTH: Final = TAPS / 2 - 0.5  # of the window, in samples: what 32 taps cover wherever the step lies
LEAD: Final = TAPS // 2 - 1  # taps before the sample nearest to the step
TAP_UNIT: Final = 1.0 / 2**20
FRACTION_BITS: Final = 12  # between two positions
PLACE_BITS: Final = 7 + FRACTION_BITS  # 128 positions
_CHUNK: Final = 1024  # steps at a time: their taps fit the cache


@lru_cache(maxsize=1)
def kernel() -> NDArray[np.float64]:
    """Return the taps for each position of a step, shape (PHASES + 1, TAPS); every row sums to 1.

    Row r is for a step r / PHASES - 1/2 samples after a sample n; tap j lands on sample n - LEAD + j.
    """
    fine = 4 * PHASES  # points a sample: Simpson's rule over cells of 1/256 sample, exact to 1e-11
    at = np.arange(-(TAPS + 2) // 2 * fine, (TAPS + 2) // 2 * fine + 1) / fine
    inside = np.clip(1.0 - (at / HALF_WIDTH) ** 2, 0.0, None)
    window = np.where(np.abs(at) < HALF_WIDTH, np.i0(KAISER_BETA * np.sqrt(inside)), 0.0)
    impulse = 2 * CUTOFF * np.sinc(2 * CUTOFF * at) * window
    cells = (impulse[:-2:2] + 4 * impulse[1:-1:2] + impulse[2::2]) / (6 * fine / 2)
    step = np.concatenate([[0.0], np.cumsum(cells)])
    step = step[::2] / step[-1]  # the step at every 1/128 sample, from 0 to 1
    rows = np.empty((PHASES + 1, TAPS))
    for row in range(PHASES + 1):
        # Sample n - LEAD + j lies j - LEAD - (row / PHASES - 1/2) samples after the step.
        ends = (TAPS + 2) // 2 * PHASES + (np.arange(-1, TAPS) - LEAD) * PHASES + PHASES // 2 - row
        rows[row] = np.diff(step[ends])
    rounded = np.rint(rows / TAP_UNIT)
    rounded[:, LEAD] += 1 / TAP_UNIT - rounded.sum(axis=1)  # whole numbers: the sum is exact
    return _aligned(rounded * TAP_UNIT)


def _aligned(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a copy that begins where a line of the cache does: the compiled path reads it in wide pieces."""
    room = np.empty(table.nbytes + 64, dtype=np.uint8)
    begin = -room.__array_interface__["data"][0] % 64
    copy = room[begin : begin + table.nbytes].view(np.float64).reshape(table.shape)
    copy[...] = table
    return copy


@lru_cache(maxsize=1)
def slopes() -> NDArray[np.float64]:
    """Return the differences between neighbouring rows of the kernel, shape (PHASES, TAPS); every row sums to 0."""
    return _aligned(np.diff(kernel(), axis=0))


def add_steps(
    buffer: NDArray[np.float64], cycles: NDArray[np.float64], heights: NDArray[np.int64], scale: float, origin: int = 0
) -> None:
    """Add the differences of band-limited steps to a buffer; its running sum is then the sound.

    Args:
        buffer: Sample n of the sound is entry n - origin + LEAD; its end is TAPS after the last step or more. Changed
            in place.
        cycles: Where each step lies.
        heights: By how much each step rises, in units of HEIGHT_UNIT; same shape.
        scale: Samples a cycle.
        origin: Number of the buffer's sample 0; a step before it is moved to half a sample before it.
    """
    taps, rises = kernel(), slopes()
    offsets = np.arange(TAPS)
    # Work space for all chunks: fresh arrays of this size would cost as much again in page faults.
    all_weights, all_slopes = np.empty((_CHUNK, TAPS)), np.empty((_CHUNK, TAPS))
    all_indices = np.empty((_CHUNK, TAPS), dtype=np.int64)
    for begin in range(0, len(cycles), _CHUNK):
        height = heights[begin : begin + _CHUNK]
        places = np.floor((cycles[begin : begin + _CHUNK] * scale + 0.5) * 2.0**PLACE_BITS).astype(np.int64)
        np.maximum(places, origin << PLACE_BITS, out=places)
        phase = places >> FRACTION_BITS & PHASES - 1
        fraction = places & (1 << FRACTION_BITS) - 1
        # The interpolation, rounded: the slopes' sums are 0, so this cannot add up to a drift.
        height_between = height * fraction + (1 << FRACTION_BITS - 1) >> FRACTION_BITS
        size = len(height)
        weights, slope, index = all_weights[:size], all_slopes[:size], all_indices[:size]
        taps.take(phase, axis=0, out=weights, mode="clip")
        weights *= (height * HEIGHT_UNIT)[:, None]
        rises.take(phase, axis=0, out=slope, mode="clip")
        slope *= (height_between * HEIGHT_UNIT)[:, None]
        weights += slope
        first = (places >> PLACE_BITS) - origin  # entry of tap 0, which is LEAD samples before the nearest
        low = int(first.min())
        np.add((first - low)[:, None], offsets, out=index)
        sums = np.bincount(index.ravel(), weights=weights.ravel())
        buffer[low : low + len(sums)] += sums
