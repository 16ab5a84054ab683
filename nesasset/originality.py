"""Is a melody somebody else's? Lines as moves and waits, and how much of them stands in other music.

A line is told by pairs, one a note: the move to the next note in semitones, and the rows until it. So it is the same in
every key and at every tempo. An n-gram is n pairs in a row, n + 1 notes; a word is the n-gram of seven pairs, eight notes.
What is known of other music is the set of its words, each a hash: the model's index has those of its training songs, cut to
so few bits that a word that was never there is taken for known now and then; between scores the hashes are whole.

Longer n-grams are known where all words in them are. In the index, whose words have no order and no place, that is nearly
but not strictly the same as standing in one song.

The index is a file beside the model, NAME.originality.npz, whose hash the sidecar names under INDEX; a model may have none.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import FormatError, ModelMismatchError
from nesasset.formats.files import read_bytes
from nesasset.score import Note, Score
from nesasset.units import VOICES
from nesasset.vocabulary import ONSET_ID

MELODIC: Final = VOICES[:3]  # a drum pattern is nobody's
LONGEST_WAIT: Final = 64  # rows; longer ones count as this
WIDEST_MOVE: Final = 64  # semitones to either side
WORD: Final = 7  # pairs
SHARES: Final = (8, 16)  # pairs of the n-grams whose known share is told
INDEX_BITS: Final = 27  # of a word's hash: with NES-MDB's 624 000 words one in 215 others is taken for known
LOW_BITS: Final = 8  # of these are stored as they are, the upper ones as steps
INDEX: Final = "originality"  # the sidecar's key, which may be missing
INDEX_SUFFIX: Final = ".originality.npz"
MAX_INDEX_BYTES: Final = 50_000_000
MAX_SIDECAR_BYTES: Final = 4_000_000
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)  # odd and well mixed: 2**64 over the golden ratio


# Lines as pairs, pairs as hashes.


def melody_symbols(line: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return the pairs of a line of cells (vocabulary.py), shape (n_rows,), as one symbol each; the last note has none."""
    rows = np.flatnonzero(line >= ONSET_ID)
    return _pairs(rows, line[rows].astype(np.int64))


def _pairs(rows: NDArray[np.integer], pitches: NDArray[np.integer]) -> NDArray[np.uint64]:
    moves = np.clip(np.diff(pitches), -WIDEST_MOVE, WIDEST_MOVE) + WIDEST_MOVE
    waits = np.minimum(np.diff(rows), LONGEST_WAIT)
    return (moves * (LONGEST_WAIT + 1) + waits).astype(np.uint64)


def hashes(symbols: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each n-gram of a line, shape (m,)."""
    return hash_each(np.lib.stride_tricks.sliding_window_view(symbols, n)) if len(symbols) >= n else np.zeros(0, dtype=np.uint64)


def hash_each(grams: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each n-gram, given as (m, n) symbols; shape (m,)."""
    found = np.zeros(len(grams), dtype=np.uint64)
    for place in range(grams.shape[1]):
        found = (found ^ (grams[:, place] + np.uint64(1))) * _MULTIPLIER
        found ^= found >> np.uint64(29)
    return found


def repetitions(symbols: NDArray[np.uint64], n: int) -> NDArray[np.bool_]:
    """Return which n-grams of a line say nothing: one figure of at most n / 4 pairs again and again; shape (m,)."""
    if len(symbols) < n:
        return np.zeros(0, dtype=np.bool_)
    windows = np.lib.stride_tricks.sliding_window_view(symbols, n)
    found = np.zeros(len(windows), dtype=np.bool_)
    for period in range(1, n // 4 + 1):
        found |= (windows[:, period:] == windows[:, :-period]).all(axis=1)
    return found


def ngrams(symbols: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Return the hashes of the n-grams of a line that say anything, shape (m,)."""
    return hashes(symbols, n)[~repetitions(symbols, n)]


# What is known.


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A set of words."""

    keys: NDArray[np.uint64]
    """The upper bits of their hashes, sorted, none twice."""
    bits: int
    """How many these are: 64 between scores, fewer in an index."""

    @staticmethod
    def of(lines: Iterable[NDArray[np.uint64]], bits: int = 64) -> Known:
        """Return the words of lines, each given by its symbols."""
        words = [hashes(symbols, WORD) for symbols in lines]
        return Known(np.unique(np.concatenate(words) >> np.uint64(64 - bits)) if words else np.zeros(0, dtype=np.uint64), bits)

    def knows(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return for each word, by its 64-bit hash, whether it is in the set."""
        if not len(self.keys):
            return np.zeros(len(words), dtype=np.bool_)
        wanted = words >> np.uint64(64 - self.bits)
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found: NDArray[np.bool_] = self.keys[place] == wanted
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the set as small arrays. Inverse: `from_arrays`.

        The lower eight bits of each key stand as they are; the upper ones, which rise from key to key, as steps in unary:
        a 0 for each step up, a 1 for each key.
        """
        upper = (self.keys >> np.uint64(LOW_BITS)).astype(np.int64)
        steps = np.zeros((1 << (self.bits - LOW_BITS)) + len(upper), dtype=np.uint8)
        steps[upper + np.arange(len(upper))] = 1
        low = (self.keys & np.uint64((1 << LOW_BITS) - 1)).astype(np.uint8)
        return {"low": low, "steps": np.packbits(steps), "bits": np.array(self.bits, dtype=np.int64)}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Known:
        """Return the set that arrays hold.

        Raises:
            KeyError, ValueError: They hold none.
        """
        low, ones = arrays["low"], np.flatnonzero(np.unpackbits(arrays["steps"]))
        bits = int(arrays["bits"])
        if low.dtype != np.uint8 or low.shape != ones.shape or not LOW_BITS <= bits <= 64:
            raise ValueError("its parts do not fit each other")
        upper = (ones - np.arange(len(ones))).astype(np.uint64)
        return Known((upper << np.uint64(LOW_BITS)) | low, bits)


# The index of a model.


def load_index(folder: Path, name: str) -> Known | None:
    """Return what is known of a model's training songs, without loading the model; None if its sidecar names no index.

    Args:
        folder: Where the model's files are.
        name: The model's.

    Raises:
        ModelMismatchError: There is no such sidecar, or the index does not belong to it.
    """
    try:
        sidecar = json.loads(read_bytes(folder / f"{name}.json", MAX_SIDECAR_BYTES))
        told = sidecar.get(INDEX)
        sha256 = "" if told is None else told["sha256"]
    except (FormatError, ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise ModelMismatchError(f"{name}.json does not say which index of passages belongs to it ({error}); install the package again") from error
    return _index(folder / f"{name}{INDEX_SUFFIX}", sha256) if sha256 else None


@lru_cache(maxsize=2)
def _index(path: Path, sha256: str) -> Known:
    try:
        data = read_bytes(path, MAX_INDEX_BYTES)
    except FormatError as error:
        raise ModelMismatchError(f"{path.name}, which the model's sidecar names, cannot be read ({error})") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelMismatchError(f"{path.name} does not belong to the model beside it: its SHA-256 is not the sidecar's; install both again")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Known.from_arrays(arrays)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ModelMismatchError(f"{path.name} is damaged ({error}); install the package again") from error


# Scores against what is known.


@dataclass(frozen=True, slots=True)
class Finding:
    """How much of a voice is known."""

    longest: int
    """Notes of the longest known passage that is no mere repetition; 0 for none of eight notes."""
    row: int | None
    """Row in which that begins."""
    known: Mapping[int, tuple[int, int]]
    """By length of n-gram: how many are known, and how many there are; those that say nothing do not count."""

    def share(self, n: int) -> float | None:
        """Return the share of the n-grams that is known; None where there are none."""
        hits, count = self.known[n]
        return hits / count if count else None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values, shares rounded to four places."""
        shares = {f"known_{n}": None if (share := self.share(n)) is None else round(share, 4) for n in self.known}
        return {"longest": self.longest, "row": self.row, **shares}


def find_known(symbols: NDArray[np.uint64], rows: NDArray[np.integer], known: Known) -> Finding:
    """Return how much of a line is known.

    Args:
        symbols: Its pairs.
        rows: The row of each of its notes.
        known: What is known.
    """
    words = known.knows(hashes(symbols, WORD))
    longest, begin = _longest_run(words, repetitions(symbols, WORD))
    counts = {}
    for n in SHARES:
        within = n - WORD + 1  # words in an n-gram
        speaks = ~repetitions(symbols, n)
        whole = np.lib.stride_tricks.sliding_window_view(words, within).all(axis=1) if len(words) >= within else np.zeros(0, dtype=np.bool_)
        counts[n] = (int((whole & speaks).sum()), int(speaks.sum()))
    return Finding(longest + WORD if longest else 0, int(rows[begin]) if longest else None, counts)


def _longest_run(words: NDArray[np.bool_], repeats: NDArray[np.bool_]) -> tuple[int, int]:
    """Return length and place of the longest run of known words, mere repetitions at its ends not counted."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], words, [False]]).astype(np.int8)))
    best = (0, 0)
    for start, end in edges.reshape(-1, 2).tolist():
        speaks = np.flatnonzero(~repeats[start:end])
        if len(speaks):
            best = max(best, (int(speaks[-1] - speaks[0]) + 1, -(start + int(speaks[0]))))
    return best[0], -best[1]


def lines(score: Score) -> dict[str, tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Return symbols and rows of the notes of each melodic voice of a score, intro and one round of the loop."""
    found = {}
    for voice in MELODIC:
        notes = [(row, cell.pitch) for row, cell in enumerate(score.voices[voice]) if isinstance(cell, Note)]
        rows, pitches = np.array(notes, dtype=np.int64).reshape(-1, 2).T
        found[voice] = (_pairs(rows, pitches), rows)
    return found


def cell_lines(cells: NDArray[np.integer]) -> dict[str, tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Return the same of a piece that is still rows, shape (n_rows, 4)."""
    return {voice: (melody_symbols(cells[:, at]), np.flatnonzero(cells[:, at] >= ONSET_ID)) for at, voice in enumerate(MELODIC)}


def compare(score: Score, known: Known) -> dict[str, Finding]:
    """Return for each melodic voice how much of it is known."""
    return {voice: find_known(symbols, rows, known) for voice, (symbols, rows) in lines(score).items()}


def known_of(scores: Iterable[Score]) -> Known:
    """Return the words of all melodic voices of scores."""
    return Known.of(symbols for score in scores for symbols, _ in lines(score).values())


def total_share(findings: Iterable[Finding], n: int) -> float:
    """Return the share of n-grams known in all the voices together; 0 where there are none."""
    hits, counts = np.array([finding.known[n] for finding in findings], dtype=np.int64).reshape(-1, 2).sum(axis=0)
    return float(hits / counts) if counts else 0.0


def to_json(findings: Mapping[str, Finding]) -> dict[str, Any]:
    """Return findings as JSON values: of each voice that has notes enough to tell, and of the worst in short."""
    voices = {voice: finding.to_json() for voice, finding in findings.items()}
    shares = {f"known_{n}": max((finding.share(n) or 0.0 for finding in findings.values()), default=0.0) for n in SHARES}
    return {
        "longest": max((finding.longest for finding in findings.values()), default=0),
        **{name: round(share, 4) for name, share in shares.items()},
        "voices": voices,
    }
