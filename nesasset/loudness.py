"""Loudness in LUFS and true peak in dBTP of sound. Measures; changes nothing.

Source: ITU-R BS.1770-5, annexes 1 (loudness, gates of -70 LUFS and -10 LU) and 2 (true peak, by four times the samples). The
recommendation gives the K-weighting's coefficients at 48 kHz; those for other rates come from the same two analogue filters,
whose frequencies and quality factors are those of EBU's libebur128. Check: ffmpeg's ebur128 filter, in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.audio import Audio

FULL_SCALE: Final = 32_768
SILENCE_LUFS: Final = -70.0  # the absolute gate: what is softer has no loudness
_BLOCK_S: Final = 0.4
_STEPS: Final = 4  # a block begins at every quarter of one
_RELATIVE_GATE_LU: Final = -10.0
_SHELF: Final = (1681.974450955533, 3.999843853973347, 0.7071752369554196)  # Hz, dB, Q
_SHELF_EXPONENT: Final = 0.4996667741545416
_HIGH_PASS: Final = (38.13547087602444, 0.5003270373238773)  # Hz, Q
_RINGING_S: Final = 1.0  # the high-pass has died away by then
_OVERSAMPLING: Final = 4
_REACH: Final = 16  # samples to each side that a sample between two others is made of


@dataclass(frozen=True, slots=True)
class Loudness:
    """How loud a sound is."""

    lufs: float
    """Integrated loudness; -70 for silence."""
    true_peak_dbtp: float
    """Highest level between the samples, 0 is full scale; -100 for silence."""

    def to_json(self) -> dict[str, float]:
        """Return both numbers, rounded to hundredths."""
        return {"lufs": round(self.lufs, 2), "true_peak_dbtp": round(self.true_peak_dbtp, 2)}


def measure(audio: Audio) -> Loudness:
    """Return the loudness and the true peak of one pass, intro and loop."""
    sound = audio.samples.astype(np.float64) / FULL_SCALE
    return Loudness(_integrated(sound, audio.sample_rate_hz), _true_peak(sound))


def _integrated(sound: NDArray[np.float64], rate: int) -> float:
    block, step = round(_BLOCK_S * rate), round(_BLOCK_S * rate) // _STEPS
    if len(sound) < block:  # a sound that is shorter than a block is measured as one
        sound = np.concatenate([sound, np.zeros(block - len(sound))])
    weighted = _k_weighted(sound, rate) ** 2
    total = np.concatenate([[0.0], np.cumsum(weighted)])
    starts = np.arange(0, len(sound) - block + 1, step)
    power = (total[starts + block] - total[starts]) / block
    loud = power[power > _power(SILENCE_LUFS)]
    if not len(loud):
        return SILENCE_LUFS
    gate = float(loud.mean()) * 10 ** (_RELATIVE_GATE_LU / 10)
    kept = loud[loud > gate]
    return max(SILENCE_LUFS, _lufs(float(kept.mean())))


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


def _k_weighted(sound: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Return a sound through the two filters, as a product of spectra: no recursion over a million samples."""
    size = _fast_size(len(sound) + round(_RINGING_S * rate))
    # z to the power of -1 at each frequency of the transform.
    back = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(len(back), dtype=np.complex128)
    for numerator, denominator in _filters(rate):
        response *= np.polyval(numerator[::-1], back) / np.polyval(denominator[::-1], back)
    filtered: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(sound, size) * response, size)[: len(sound)]
    return filtered


def _filters(rate: int) -> list[tuple[list[float], list[float]]]:
    """Return numerator and denominator of the shelf and of the high-pass at a rate."""
    hz, gain_db, quality = _SHELF
    k, high = math.tan(math.pi * hz / rate), 10 ** (gain_db / 20)
    band = high**_SHELF_EXPONENT
    a0 = 1 + k / quality + k * k
    shelf = (
        [(high + band * k / quality + k * k) / a0, 2 * (k * k - high) / a0, (high - band * k / quality + k * k) / a0],
        [1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0],
    )
    hz, quality = _HIGH_PASS
    k = math.tan(math.pi * hz / rate)
    a0 = 1 + k / quality + k * k
    return [shelf, ([1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0])]


def _fast_size(least: int) -> int:
    """Return an even number, at least `least`, of small factors: a power of two times 1, 3, 5, 9 or 15, over 16."""
    return min(odd << max(4, math.ceil(math.log2(least / odd))) for odd in (1, 3, 5, 9, 15))


def _true_peak(sound: NDArray[np.float64]) -> float:
    highest = float(np.abs(sound).max(initial=0.0))
    places = np.arange(-_REACH + 1, _REACH + 1)
    for phase in range(1, _OVERSAMPLING):
        at = places - phase / _OVERSAMPLING
        taps = np.sinc(at) * np.cos(np.pi * at / (2 * _REACH)) ** 2
        highest = max(highest, float(np.abs(np.convolve(sound, taps / taps.sum())).max(initial=0.0)))
    return 20 * math.log10(highest) if highest > 1e-5 else -100.0
