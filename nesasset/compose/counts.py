"""Interpolated counts: how often what followed which context, from short contexts to long ones. Knows nothing of music.

A longer context's counts are joined by a number of observations more that are spread as the shorter context predicts (a
Dirichlet prior; with that number bound to the distinct outcomes alone, as Witten and Bell do, each sharp context would
discount again).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What followed each context."""

    contexts: NDArray[np.int64]
    """Sorted, shape (n,)."""
    counts: NDArray[np.float32]
    """Shape (n, number of outcomes)."""

    @staticmethod
    def of(contexts: NDArray[np.int64], outcomes: NDArray[np.int64], size: int) -> Counts:
        """Count which of `size` outcomes, (n,), followed which contexts, (n,)."""
        known, place = np.unique(contexts, return_inverse=True)
        counts = np.bincount(place.reshape(-1) * size + outcomes, minlength=len(known) * size)
        return Counts(known, counts.reshape(-1, size).astype(np.float32))

    def at(self, contexts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return counts of shape (len(contexts), number of outcomes), zeros for contexts never seen."""
        if not len(self.contexts):
            return np.zeros((len(contexts), self.counts.shape[1]))
        place = np.minimum(np.searchsorted(self.contexts, contexts), len(self.contexts) - 1)
        return np.where((self.contexts[place] == contexts)[:, None], self.counts[place], 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """An interpolation of counts over ever longer contexts."""

    levels: tuple[Counts, ...]
    priors: tuple[tuple[float, float], ...]

    def one(self, contexts: Sequence[int]) -> NDArray[np.float64]:
        """Return the probabilities in one place, shape (number of outcomes,), nothing forbidden.

        The same as `probabilities` of one row, at a tenth of the time: levels that have not seen their context change nothing.
        """
        size = self.levels[0].counts.shape[1]
        p = np.full(size, 1 / size)
        for level, context, (fixed, per_type) in zip(self.levels, contexts, self.priors, strict=True):
            place = int(np.searchsorted(level.contexts, context))
            if place == len(level.contexts) or level.contexts[place] != context:
                continue
            counts = level.counts[place].astype(np.float64)
            weight = fixed + per_type * np.count_nonzero(counts)
            p = (counts + weight * p) / (counts.sum() + weight)
        return p

    def probabilities(self, contexts: list[NDArray[np.int64]], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return probabilities of shape (n, number of outcomes): above 0 where allowed, 0 elsewhere, sum 1."""
        p = allowed / allowed.sum(axis=1, keepdims=True)
        for level, context, (fixed, per_type) in zip(self.levels, contexts, self.priors, strict=True):
            counts = level.at(context)
            weight = fixed + per_type * (counts > 0).sum(axis=1, keepdims=True)
            p = (counts + weight * p) / (counts.sum(axis=1, keepdims=True) + weight)
        p = p * allowed
        normalised: NDArray[np.float64] = p / p.sum(axis=1, keepdims=True)
        return normalised
