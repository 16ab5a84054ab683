"""Key finding: which pitch classes a piece dwells on, and what key that is. Rows in, a key out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.features import last_event
from nesasset.vocabulary import LOWEST_PITCH, ONSET_ID, REST_ID

# Krumhansl and Kessler's key profiles (Krumhansl, Cognitive Foundations of Musical Pitch, 1990), from C.
PROFILES: Final = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
_KEYS: Final = np.array([np.roll((np.array(p) - np.mean(p)) / np.std(p), tonic) for p in PROFILES.values() for tonic in range(12)])


def key_profile(tonic: int, mode: str) -> NDArray[np.float64]:
    """Return how much a key dwells on each pitch class, standardised, shape (12,)."""
    return np.asarray(_KEYS[12 * tuple(PROFILES).index(mode) + tonic])


def mode_profile(tonic: int, mode: str) -> NDArray[np.float64]:
    """Return what tells a key from the two of the other mode that it is taken for, shape (12,): its parallel and its relative."""
    other, relative = ("minor", tonic + 9) if mode == "major" else ("major", tonic + 3)
    return key_profile(tonic, mode) - (key_profile(tonic, other) + key_profile(relative % 12, other)) / 2


def sounding_cells(cells: NDArray[np.integer]) -> NDArray[np.integer]:
    """Replace each hold by what it holds: the id of the last onset, or REST_ID where nothing sounds. Shape (n, v)."""
    event = last_event(cells)
    held = np.take_along_axis(cells, np.maximum(event, 0), axis=0)
    return np.where(event >= 0, held, REST_ID)


def pitch_class_weights(cells: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return how many rows each pitch class sounds in the three melodic voices, shape (12,)."""
    heard = sounding_cells(cells[:, :3])
    heard = heard[heard >= ONSET_ID]
    return np.bincount((heard - ONSET_ID + LOWEST_PITCH) % 12, minlength=12).astype(np.float64)


def find_key(weights: NDArray[np.float64]) -> tuple[int, str, float]:
    """Return tonic (0 = C), mode and correlation of the best key for pitch-class weights of shape (12,)."""
    spread = weights.std()
    if spread == 0:
        return 0, "major", 0.0
    correlations = _KEYS @ ((weights - weights.mean()) / spread) / 12
    best = int(correlations.argmax())
    return best % 12, tuple(PROFILES)[best // 12], float(correlations[best])


def fits(weights: NDArray[np.float64], tonic: int, mode: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how well pitch-class weights, (n, 12), correlate with a key, and with the best key of the other mode, (n,) each."""
    spread = weights.std(axis=1, keepdims=True)
    standard = (weights - weights.mean(axis=1, keepdims=True)) / np.where(spread == 0, 1, spread)
    correlations = standard @ _KEYS.T / 12
    first = 12 * tuple(PROFILES).index(mode)
    return correlations[:, first + tonic], correlations[:, (np.arange(12) + 12 - first)].max(axis=1)
