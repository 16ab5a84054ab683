"""Which tracks of a pack are too much alike, by the passages of eight notes that their melodies have in common.

Members of one family are meant to be alike, and a motif that two tracks share is meant to be heard in both: neither counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.build.order import Order
from nesasset.compose.motif import parse_motif
from nesasset.originality import WORD, lines, melody_symbols, ngrams
from nesasset.score import Score

FEWEST: Final = 8  # passages that a track must have for a share of them to say anything


def words_of(score: Score, motif: str | None) -> NDArray[np.uint64]:
    """Return the different passages of eight notes of a score's melodic voices, as hashes, (n,), without those of its motif."""
    found = [ngrams(symbols, WORD) for symbols, _ in lines(score).values()]
    own = [] if motif is None else [ngrams(melody_symbols(parse_motif(motif).in_mode(minor).cells()), WORD) for minor in (False, True)]
    return np.setdiff1d(np.concatenate(found), np.concatenate(own) if own else [])


def share(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Return the share of passages that two tracks have in common, of the one that has fewer; 0 where that has hardly any."""
    fewer = min(len(one), len(other))
    return 0.0 if fewer < FEWEST else len(np.intersect1d(one, other, assume_unique=True)) / fewer


def too_alike(scores: Mapping[str, Score], orders: Mapping[str, Order], made: Collection[str], allowed: float) -> Iterator[tuple[str, str]]:
    """Yield the tracks that are too much like another one, each with a sentence.

    Of two the later one of the pack is named, unless only the other was made now.

    Args:
        scores: Of all tracks, in the pack's order.
        orders: What the tracks are to be.
        made: Those that were made now; others were judged when they were.
        allowed: The greatest share that two may have in common, 0 to 1.
    """
    words = {track_id: words_of(score, orders[track_id].controls.motif) for track_id, score in scores.items()}
    families = {track_id: orders[track_id].parent or track_id for track_id in scores}
    for one, other in combinations(scores, 2):
        if families[one] == families[other] or not {one, other} & set(made):
            continue
        found = share(words[one], words[other])
        if found > allowed:
            wrong = other if other in made else one
            yield wrong, (
                f"track {other} has {found:.0%} of its passages of eight notes in common with {one}, where {allowed:.0%} are allowed: "
                f"give one of them another seed, or allow more with alike in [quality]"
            )
