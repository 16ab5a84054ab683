"""What have pieces in common? The longest passage that all of them play, in any voice, anywhere, in any key and either mode.

A line is told by pairs, one a note: the move to the next note as a step, a third and so on, up or down, and the rows until
it. So a tune is the same in every key, and in major as in minor; fourth, tritone and fifth are one, since one of these becomes
another where the mode changes. Rests are not heard: only where notes begin. Passages of fewer than eight notes are often
chance and do not count, nor do mere repetitions (see originality.py).

The search knows nothing of motifs that anything was composed with: it is the test of whether they can be heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.originality import LONGEST_WAIT, WIDEST_MOVE, WORD, hashes, lines, repetitions
from nesasset.score import Note, Score

FEWEST_NOTES: Final = WORD + 1
# Of a move of 0 to 11 semitones: prime, step, third, fourth or fifth, sixth, seventh. An octave more is six more.
_SIZES: Final = np.array((0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5))
_OCTAVE: Final = 6
_WAITS: Final = LONGEST_WAIT + 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passage stands."""

    voice: str
    row: int
    """Of its first note."""
    end: int
    """The row after that in which its last note begins."""
    pitches: tuple[int, ...]
    """MIDI pitches of its notes."""
    rows: tuple[int, ...]
    """In which they begin."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that all of some scores have."""

    symbols: tuple[int, ...]
    """Its pairs, as this module tells them."""
    places: Mapping[str, tuple[Place, ...]]
    """By score: where it stands, voice by voice."""

    @property
    def notes(self) -> int:
        """Its length in notes."""
        return len(self.symbols) + 1


def find_common(scores: Mapping[str, Score]) -> Passage | None:
    """Return the longest passage that all scores have, of equally long ones the most frequent; None if there is none of eight notes."""
    voices = [[symbols for _, symbols, _ in _lines(score)] for score in scores.values()]
    low, high = WORD, 2 * WORD  # what is in a passage is no mere repetition, at one of its ends at least: so lengths can be bisected
    best = _shared(voices, low)
    if not best:
        return None
    while longer := _shared(voices, high):
        best, low, high = longer, high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if longer := _shared(voices, middle):
            best, low = longer, middle
        else:
            high = middle
    symbols, _ = best.most_common(1)[0]  # of equally frequent ones the first of the first score
    return Passage(symbols, {name: tuple(places(symbols, score)) for name, score in scores.items()})


def _shared(voices: list[list[NDArray[np.uint64]]], n: int) -> Counter[tuple[int, ...]]:
    """Return the n-grams that say anything and that each of some scores has, and how often they stand in all of them.

    Args:
        voices: Of each score: its lines as pairs.
        n: Pairs.
    """
    sets = [np.unique(np.concatenate([hashes(symbols, n) for symbols in own])) for own in voices]
    shared = reduce(np.intersect1d, sets) if sets else np.zeros(0, dtype=np.uint64)
    found: Counter[tuple[int, ...]] = Counter()
    for symbols in (symbols for own in voices for symbols in own) if len(shared) else ():
        chosen = np.isin(hashes(symbols, n), shared) & ~repetitions(symbols, n)
        found.update(tuple(symbols[at : at + n].tolist()) for at in np.flatnonzero(chosen).tolist())
    return found


def places(symbols: tuple[int, ...], score: Score) -> Iterator[Place]:
    """Yield the places of a score in which a passage stands, told by its pairs."""
    n = len(symbols)
    for voice, own, rows in _lines(score):
        if len(own) < n:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(own, n)
        for at in np.flatnonzero((windows == np.array(symbols, dtype=np.uint64)).all(axis=1)).tolist():
            here = rows[at : at + n + 1].tolist()
            pitches = [cell.pitch for row in here if isinstance(cell := score.voices[voice][row], Note) and cell.pitch is not None]
            yield Place(voice, here[0], here[-1] + 1, tuple(pitches), tuple(here))


def line_symbols(rows: NDArray[np.integer], pitches: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return the pairs of a line by the rows and MIDI pitches of its notes, both (n_notes,); the last note has none."""
    return _generic(np.clip(np.diff(pitches), -WIDEST_MOVE, WIDEST_MOVE), np.minimum(np.diff(rows), LONGEST_WAIT))


def _lines(score: Score) -> Iterator[tuple[str, NDArray[np.uint64], NDArray[np.int64]]]:
    """Yield key, pairs and rows of the notes of each melodic voice."""
    for voice, (symbols, rows) in lines(score).items():
        moves, waits = np.divmod(symbols.astype(np.int64), _WAITS)
        yield voice, _generic(moves - WIDEST_MOVE, waits), rows


def _generic(moves: NDArray[np.integer], waits: NDArray[np.integer]) -> NDArray[np.uint64]:
    octaves, rest = np.divmod(np.abs(moves), 12)
    sizes = np.sign(moves) * (_OCTAVE * octaves + _SIZES[rest])
    return np.asarray(((sizes + WIDEST_MOVE) * _WAITS + waits).astype(np.uint64))
