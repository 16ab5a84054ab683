"""Ears for tests of live music: what is in captured samples, without a look at the state of what made them. No test is in here."""

from __future__ import annotations

import numpy as np


def strength(samples: np.ndarray, hz: float, rate: int = 44_100) -> float:
    """Return the amplitude of a frequency in samples, by a windowed Fourier sum."""
    sound = samples.astype(np.float64)
    window = np.hanning(len(sound))
    turn = np.exp(-2j * np.pi * hz / rate * np.arange(len(sound)))
    return float(2 * abs((sound * window * turn).sum()) / window.sum())


def pitch_of(samples: np.ndarray, rate: int = 44_100, low: float = 60.0, high: float = 2000.0) -> float:
    """Return the pitch of a single tone as a MIDI number, by autocorrelation to a fraction of a sample."""
    sound = samples.astype(np.float64) - samples.mean()
    size = 1 << (2 * len(sound)).bit_length()
    spectrum = np.fft.rfft(sound, size)
    same = np.fft.irfft(abs(spectrum) ** 2)[: len(sound)]
    same = same / (len(sound) - np.arange(len(sound)))
    first, last = int(rate / high), int(rate / low)
    near = same[first:last]
    best = first + int(np.argmax(near >= 0.97 * near.max()))  # the first of the multiples
    while same[best + 1] > same[best]:
        best += 1
    left, middle, right = same[best - 1 : best + 2]
    period = best + 0.5 * (left - right) / (left - 2 * middle + right)
    return float(69 + 12 * np.log2(rate / period / 440.0))


def loudness(samples: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


def onsets(samples: np.ndarray, rate: int = 44_100, quiet: float = 60.0) -> np.ndarray:
    """Return the samples at which sound begins after silence of ten milliseconds and more."""
    heard = np.flatnonzero(abs(samples.astype(int)) > quiet)
    if not len(heard):
        return heard
    gaps = np.diff(heard) > rate // 100
    return np.concatenate([heard[:1], heard[1:][gaps]])


def largest_jump(samples: np.ndarray) -> int:
    """Return the greatest difference of two samples in a row."""
    return int(abs(np.diff(samples.astype(int))).max()) if len(samples) > 1 else 0
