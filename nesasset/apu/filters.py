"""The console's output filters, first-order recursions that can stop and go on anywhere. Holds no synthesis.

A recursion y[n] = x[n] + a y[n-1] is made in blocks of 32 samples: within a block it starts from 0, and what the block
before left is added as a**(i+1) times its last value. So whole arrays can be worked on, a column of many blocks at a
time, and the additions and multiplications are the same, in the same order, whatever the pieces in which samples come:
blocks are counted from the first sample ever filtered. Every machine gets the same bits.

Source of the corner frequencies: NESdev wiki, page "APU Mixer": NES 90 Hz and 440 Hz high-pass and 14 kHz low-pass;
Famicom 37 Hz high-pass, all first order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu import extension


@dataclass(frozen=True, slots=True)
class Voicing:
    """The filters between the mixer and the output."""

    high_pass_hz: tuple[float, ...]
    """Corner frequencies of first-order high-pass filters, one after the other; at least one."""
    low_pass_hz: float | None = None
    """Corner frequency of a first-order low-pass filter."""


VOICINGS: Final = {
    "raw": Voicing((5.0,)),  # takes the constant part away and nothing one can hear
    "famicom": Voicing((37.0,)),
    "nes": Voicing((90.0, 440.0), 14_000.0),
}

BLOCK: Final = 32
_CHUNK: Final = 1024  # blocks at a time: they fit the cache
_NEGLIGIBLE: Final = 2.0**-60
_SILENT: Final = 2.0**-100  # a state below it becomes 0: numbers that decay for ever grow slow to compute with
# Coefficients are rounded to multiples of 2**-40: exp may differ in its last bit between machines.
_GRID: Final = 2.0**40


def coefficients(voicing: Voicing, sample_rate_hz: int) -> NDArray[np.float64]:
    """Return a row for each stage of a voicing: factor of a sample, of the sample before, of the output before.

    The first stage wants the differences of the sound: a high-pass begins by taking differences.
    """
    rows = []
    for number, corner_hz in enumerate(voicing.high_pass_hz):
        pole = _pole(corner_hz, sample_rate_hz)
        now = (1 + pole) / 2  # gain 1 at half the sample rate
        rows.append((now, -now if number else 0.0, pole))
    if voicing.low_pass_hz is not None:
        # With the analogue filter's gain at 0 and at half the sample rate.
        pole = _pole(voicing.low_pass_hz, sample_rate_hz)
        end_gain = round(_GRID / math.sqrt(1 + (sample_rate_hz / 2 / voicing.low_pass_hz) ** 2)) / _GRID
        now = ((1 - pole) + end_gain * (1 + pole)) / 2
        rows.append((now, (1 - pole) - now, pole))
    return np.array(rows)


def _pole(corner_hz: float, sample_rate_hz: int) -> float:
    return round(math.exp(-2 * math.pi * corner_hz / sample_rate_hz) * _GRID) / _GRID


def at_rest(stages: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the state of stages that have heard nothing yet, shape (n_stages, 4).

    Its columns: the sample before, the output before as if the block had begun from 0, the output at the end of the
    last block, the number of samples since then.
    """
    return np.zeros((len(stages), 4))


def run(samples: NDArray[np.float64], stages: NDArray[np.float64], state: NDArray[np.float64]) -> None:
    """Filter samples in place, going on from a state, which is changed to what the next samples go on from.

    Args:
        samples: float64 of shape (n_samples,).
        stages: See `coefficients`.
        state: See `at_rest`.
    """
    if not len(samples):
        return
    if (fast := extension.fast()) is not None:
        fast.run_filters(samples, stages, state)
        return
    for stage, kept in zip(stages, state, strict=True):
        now, before, pole = stage.tolist()
        late = np.empty_like(samples)
        late[1:] = samples[:-1]
        late[0] = kept[0]
        kept[0] = samples[-1]
        samples *= now
        samples += late * before
        _recursion(samples, pole, kept)


def _recursion(samples: NDArray[np.float64], pole: float, kept: NDArray[np.float64]) -> None:
    """Replace samples by y with y[n] = samples[n] + pole * y[n - 1]; kept is a row of a state."""
    powers = [pole]
    for _ in range(1, BLOCK):
        powers.append(powers[-1] * pole)
    column, last_power = np.array(powers)[:, None], powers[-1]
    within, carry, first = (value for value in kept[1:].tolist())
    used = int(first)  # of the first block
    at = 0
    while at < len(samples):
        part = samples[at : at + _CHUNK * BLOCK - used]
        rows = -(-(used + len(part)) // BLOCK)
        padded = np.zeros(rows * BLOCK)
        padded[used : used + len(part)] = part
        turned = padded.reshape(rows, BLOCK).T.copy()
        for i in range(BLOCK):
            if i:
                turned[i] += pole * turned[i - 1]
            if i == used - 1:
                turned[i, 0] = within
        carries = []
        for last in turned[-1].tolist():
            carries.append(carry)
            carry = last + last_power * carry
            if abs(carry) < _SILENT:
                carry = 0.0
        end = used + len(part)
        used = end % BLOCK
        if used:
            within, carry = float(turned[used - 1, -1]), carries[-1]
        turned += column * np.array(carries)
        part[:] = turned.T.reshape(-1)[end - len(part) : end]
        at += len(part)
    kept[1:] = (within if used else 0.0), carry, used


def apply(
    differences: NDArray[np.float64], voicing: Voicing, sample_rate_hz: int, circular: bool
) -> NDArray[np.float64]:
    """Turn the differences of a sound into the filtered sound.

    Args:
        differences: By how much the sound rises from the sample before, float64 of shape (n_samples,). Used up.
        voicing: The filters.
        sample_rate_hz: Rate of the samples.
        circular: True for a loop in its steady state, whose differences add up to 0; False for a sound that begins
            after an eternity of a constant level.

    Returns:
        The filtered sound, shape (n_samples,).
    """
    samples, stages = differences, coefficients(voicing, sample_rate_hz)
    if not circular:
        run(samples, stages, at_rest(stages))
        return samples
    for number in range(len(stages)):
        stage = stages[number : number + 1]
        # What happened so long ago that nothing is left of it may be left out: start that much before the loop.
        memory = math.ceil(math.log(_NEGLIGIBLE) / math.log(stage[0, 2]))
        past = samples[np.arange(-memory, 0) % len(samples)]
        state = at_rest(stage)
        state[0, 0] = samples[(-memory - 1) % len(samples)]
        run(past, stage, state)
        state[0, 1:] = 0.0, past[-1], 0.0
        run(samples, stage, state)
    return samples
