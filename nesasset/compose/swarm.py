"""Drafts that compete: of several of one piece, those go on that foretell best what is given. Weights only; no music.

A voice that is spoken before a given one, the triangle before a melody say, cannot hear it in its own row. So several drafts
(particles) guess, each is weighed by the likelihood that the model then gives what stands there, and at half bars the
light ones are replaced by copies of the heavy ones: sequential Monte Carlo, with systematic resampling.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

THINNED: Final = 0.5  # share of effective drafts below which a group is drawn anew


class Swarm:
    """The weights of groups of drafts; a group is one piece, its drafts stand next to each other."""

    def __init__(self, generators: list[np.random.Generator], size: int) -> None:
        self.size = size
        self._generators = generators
        self._weights = np.zeros((len(generators), size))  # natural logarithms
        self._marked = self._weights.copy()

    def mark(self) -> None:
        """Remember the weights as they are."""
        self._marked = self._weights.copy()

    def take_back(self) -> None:
        """Return to the weights at the mark; a group drawn anew since then weighs the same all over."""
        self._weights = self._marked.copy()

    def weigh(self, bits: NDArray[np.floating]) -> None:
        """Take into account by how many bits, (n_groups * size,), the given cells have surprised each draft."""
        self._weights -= np.log(2) * bits.reshape(self._weights.shape).astype(np.float64)

    def order(self) -> NDArray[np.int64] | None:
        """Return which draft goes on in each place, (n_groups * size,), after which all weigh the same; None where all go on."""
        if self.size == 1:
            return None
        order = np.arange(self._weights.size).reshape(self._weights.shape)
        for group, weights in enumerate(self._weights):
            share = np.exp(weights - weights.max())
            share /= share.sum()
            if 1 / (share**2).sum() >= THINNED * self.size:
                continue
            places = (np.arange(self.size) + self._generators[group].random()) / self.size
            chosen = np.minimum(np.searchsorted(np.cumsum(share), places), self.size - 1)
            order[group] = order[group][chosen]
            self._weights[group] = self._marked[group] = 0
        flat = order.reshape(-1)
        return None if (flat == np.arange(len(flat))).all() else flat

    def best(self) -> NDArray[np.int64]:
        """Return the heaviest draft of each group, (n_groups,); of equal ones the first."""
        return np.asarray(np.arange(len(self._weights)) * self.size + self._weights.argmax(axis=1))
