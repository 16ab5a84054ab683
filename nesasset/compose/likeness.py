"""How a bar's part compares with an earlier bar's: the measures behind the plan's classes. Mining and composing share them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.vocabulary import EXACT, HOLD_ID, NEW, ONSET_ID, RHYTHM, VARIED

VARIED_FROM: Final = 0.4  # share of equal cells among those in which either bar has an event
RHYTHM_FROM: Final = 0.8  # share of equal events among the same cells


def likeness(
    own: NDArray[np.integer], other: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return share of equal cells, share of equal events, and whether all is equal, for parts (..., rows, voices); (..., voices)."""
    either = (own != HOLD_ID) | (other != HOLD_ID)
    count = either.sum(axis=-2)
    equal = own == other
    same = np.where(count == 0, 1.0, (equal & either).sum(axis=-2) / np.maximum(count, 1))
    events = np.minimum(own, ONSET_ID) == np.minimum(other, ONSET_ID)
    rhythm = np.where(count == 0, 0.0, (events & either).sum(axis=-2) / np.maximum(count, 1))
    return same, rhythm, equal.all(axis=-2)


def classify(own: NDArray[np.integer], other: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return EXACT, VARIED, RHYTHM or NEW for parts (..., rows, voices); sequences and silence are the caller's affair."""
    same, rhythm, exact = likeness(own, other)
    kind = np.full(same.shape, NEW)
    kind[rhythm >= RHYTHM_FROM] = RHYTHM
    kind[same >= VARIED_FROM] = VARIED
    kind[exact] = EXACT
    return kind
