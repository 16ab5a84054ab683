"""Is it new, and is it always something else? Melodies against the training songs, loops against each other.

Holds shares of pulse 1's n-grams, which nesasset/originality.py defines, shared bars, and distances inside groups of
pieces of one theme.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.measures import P1, Piece
from export.prepare import load_rows
from nesasset.originality import melody_symbols, ngrams
from nesasset.vocabulary import ONSET_ID

SHARED_LIMIT: Final = 0.5  # of a loop's bars: with more of them in another loop it is no piece of its own


def known_ngrams(folder: Path, n: int) -> NDArray[np.uint64]:
    """Return the sorted n-grams of pulse 1 of all songs of a prepared split."""
    rows = load_rows(folder)
    melody, offsets = np.asarray(rows.cells[:, P1]), np.asarray(rows.offsets)
    parts = [ngrams(melody_symbols(melody[a:b]), n) for a, b in pairwise(offsets.tolist())]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.uint64)


def found_share(pieces: Sequence[Piece], known: NDArray[np.uint64], n: int) -> tuple[float | None, float | None]:
    """Return the share of all n-grams of the pieces that are known, and the share in the worst piece.

    Args:
        pieces: The pieces.
        known: n-grams, sorted, as `known_ngrams` gives them.
        n: Their length.
    """
    total = hits = 0
    worst: float | None = None
    for piece in pieces:
        found = ngrams(melody_symbols(piece.cells[:, P1]), n)
        if len(found):
            inside = _count_known(found, known)
            total, hits = total + len(found), hits + inside
            worst = max(worst or 0.0, inside / len(found))
    return (hits / total if total else None), worst


def _count_known(found: NDArray[np.uint64], known: NDArray[np.uint64]) -> int:
    """Return how many are among the known, which are sorted; np.isin would sort them for every piece again."""
    if not len(known):
        return 0
    place = np.minimum(np.searchsorted(known, found), len(known) - 1)
    return int((known[place] == found).sum())


def shared_bars(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """Return for each piece the largest share of its bars that stand in one other piece, note for note in all voices.

    Bars in which no note begins do not count.
    """
    numbers: dict[bytes, int] = {}
    bars = []
    for piece in pieces:
        heard = [bar for bar in piece.bars if (bar >= ONSET_ID).any()]
        bars.append([numbers.setdefault(bar.astype(np.int16).tobytes(), len(numbers)) for bar in heard])
    counts = np.zeros((len(pieces), len(numbers)), dtype=np.float32)
    for at, found in enumerate(bars):
        np.add.at(counts[at], found, 1)
    shared = counts @ (counts > 0).T.astype(np.float32)
    np.fill_diagonal(shared, 0)
    share: NDArray[np.float64] = shared.max(axis=1, initial=0) / np.maximum(counts.sum(axis=1), 1)
    return share


def melody_agreement(first: Piece, second: Piece) -> float | None:
    """Return the share of rows in which both melodies sound and have the same pitch; None if they never sound together."""
    rows = min(len(first.cells), len(second.cells))
    one, two = first.sounding[:rows, P1], second.sounding[:rows, P1]
    both = (one >= ONSET_ID) & (two >= ONSET_ID)
    return float((one == two)[both].mean()) if both.any() else None


def within_groups(
    pieces: Sequence[Piece], table: NDArray[np.float64], groups: Sequence[Hashable], owners: Sequence[Hashable]
) -> tuple[float | None, float | None]:
    """Return how far apart pieces of one group are: in features, and in the agreement of their melodies.

    Args:
        pieces: The pieces.
        table: Their scaled features, shape (n, k).
        groups: A theme or a label for each.
        owners: A game or a seed for each; pieces of one owner are not compared.

    Returns:
        The root mean square difference over features in standard deviations, and the share of rows with the same pitch
        in pulse 1. Both are means over pairs, then over groups, so that every group has one vote.
    """
    distances, agreements = [], []
    for group in dict.fromkeys(groups):
        members = [at for at, name in enumerate(groups) if name == group]
        pairs = [(a, b) for at, a in enumerate(members) for b in members[at + 1 :] if owners[a] != owners[b]]
        if not pairs:
            continue
        distances.append(np.mean([np.sqrt(((table[a] - table[b]) ** 2).mean()) for a, b in pairs]))
        alike = [value for a, b in pairs if (value := melody_agreement(pieces[a], pieces[b])) is not None]
        if alike:
            agreements.append(np.mean(alike))
    return (float(np.mean(distances)) if distances else None), (float(np.mean(agreements)) if agreements else None)
