"""What a piece has done before in places like this one: for each voice the row it would go on with, and how surely.

Every earlier row votes for the row after it. Its weight doubles with each row back over which the voice agrees with where we
are now; rows on which the other voices agree count a sixth, the same place in the bar counts as two rows. The cell with
the most votes wins. The weights are whole numbers, so that every machine counts the same. Chosen by how well the winner and
its share foretell the next cell on songs of NES-MDB; see export/LOG.md.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.vocabulary import N_CELLS

LOOK_BACK: Final = 1024  # rows that may vote, the last ones
LONGEST_RUN: Final = 16  # rows of agreement that count
OTHERS: Final = 6  # rows of the other voices that weigh as one of the voice's own
SAME_PLACE: Final = 2  # rows that the same place in the bar weighs
# Bounds between the classes of a winner's share of the votes, and rows of agreement between the classes of their sum.
SHARES: Final = (0.35, 0.5, 0.65, 0.8, 0.9, 0.96, 0.99)
SUM_ROWS: Final = 5
SUM_CLASSES: Final = 4
N_STRENGTHS: Final = 1 + (len(SHARES) + 1) * SUM_CLASSES  # class 0: nothing to recall
_MOST: Final = LONGEST_RUN + 3 * LONGEST_RUN // OTHERS + SAME_PLACE
_WEIGHTS: Final = np.concatenate([[0.0], np.exp2(np.arange(_MOST + 1))])  # of a score plus one; 0 is no vote
_WEIGHTS.setflags(write=False)


class Recall:
    """The past of several pieces that grow together.

    Attributes:
        rows: (n_pieces, 4) int64, the row each voice would go on with; -1 for none.
        strength: (n_pieces, 4) int64, class of the certainty, 0 to N_STRENGTHS - 1; 0 where there is no such row.
    """

    def __init__(self, n_pieces: int, bar_rows: int) -> None:
        self.rows = np.full((n_pieces, 4), -1, dtype=np.int64)
        self.strength = np.zeros((n_pieces, 4), dtype=np.int64)
        self._bar_rows, self._n_rows = bar_rows, 0
        # Arrays of (voice, piece, row). A cell is stored with the number of its ballot box, one box a voice and piece.
        self._boxes = np.arange(4 * n_pieces).reshape(4, n_pieces) * N_CELLS
        self._cells = np.zeros((4, n_pieces, 64), dtype=np.int64)
        self._runs = np.zeros((4, n_pieces, 0), dtype=np.int16)  # rows of agreement that end at each row but the last

    def add(self, cells: NDArray[np.integer]) -> None:
        """Append one row, cells (n_pieces, 4), and look for the next."""
        n, room = self._n_rows, self._cells.shape[2]
        if n == room:
            self._cells = np.concatenate([self._cells, np.zeros_like(self._cells)], axis=2)
        now = cells.T + self._boxes
        self._cells[:, :, n] = now
        self._n_rows = n + 1
        if n == 0:
            return
        first = max(0, n + 1 - LOOK_BACK)
        runs = np.zeros((*now.shape, n - first), dtype=np.int16)
        runs[:, :, n - first - self._runs.shape[2] :] = self._runs  # each belongs to the row after it now
        runs += 1
        np.minimum(runs, LONGEST_RUN, out=runs)
        runs *= self._cells[:, :, first:n] == now[..., None]
        self._runs = runs
        score = runs + (runs.sum(axis=0, dtype=np.int16) - runs) // OTHERS + 1
        score[:, :, -self._bar_rows :: -self._bar_rows] += SAME_PLACE  # the row to come, whole bars back
        weight = _WEIGHTS[score * (runs > 0)]
        candidates = self._cells[:, :, first + 1 : n + 1]
        votes = np.bincount(candidates.ravel(), weight.ravel(), now.size * N_CELLS).reshape(*now.shape, N_CELLS)
        best, total = votes.argmax(axis=2), votes.sum(axis=2)
        known = total > 0
        share = votes.max(axis=2) / np.maximum(total, 1)
        doublings = np.frexp(total)[1] - 1
        strength = 1 + np.searchsorted(SHARES, share, side="right") * SUM_CLASSES
        strength += np.minimum(doublings // SUM_ROWS, SUM_CLASSES - 1)
        self.strength = np.where(known, strength, 0).T
        weight *= candidates == (best + self._boxes)[..., None]
        last = n - weight[:, :, ::-1].argmax(axis=2)  # the latest of the strongest
        self.rows = np.where(known, last, -1).T


def recall_song(cells: NDArray[np.integer], bar_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what `Recall` says before each row of a piece, or of several of one length.

    Args:
        cells: (n, 4) or (n_pieces, n, 4).
        bar_rows: Rows of a bar.

    Returns:
        Rows and strengths, each of the shape of `cells`.
    """
    pieces = cells.reshape(-1, *cells.shape[-2:])
    rows, strength = np.empty(pieces.shape, dtype=np.int64), np.empty(pieces.shape, dtype=np.int64)
    recall = Recall(len(pieces), bar_rows)
    for row in range(pieces.shape[1]):
        rows[:, row], strength[:, row] = recall.rows, recall.strength
        recall.add(pieces[:, row])
    return rows.reshape(cells.shape), strength.reshape(cells.shape)
