"""What stands before anything is written: cells and slots that the writer keeps and writes around. Data only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Rows of a piece of which some cells are fixed."""

    cells: NDArray[np.int64]
    """(n_rows, 4), columns P1, P2, TR, NO; -1 where the writer is free."""
    slots: NDArray[np.int64]
    """(n_rows, 3), of P1, P2, NO: the instrument of each note that is given, -1 elsewhere and where the writer is to choose it."""
    own: bool = False
    """Whether what stands belongs to the piece, a motif or bars that were written before, and is not somebody's music that is joined."""

    def __post_init__(self) -> None:
        assert self.cells.shape == (len(self.slots), 4) and self.slots.shape == (len(self.cells), 3)

    @staticmethod
    def nothing(n_rows: int) -> Given:
        """Return rows in which everything is free."""
        return Given(np.full((n_rows, 4), -1, dtype=np.int64), np.full((n_rows, 3), -1, dtype=np.int64), own=True)

    def bars(self, bar_rows: int) -> NDArray[np.bool_]:
        """Return which bars are given as a whole, shape (n_bars,)."""
        return np.asarray((self.cells >= 0).reshape(-1, bar_rows * 4).all(axis=1))
