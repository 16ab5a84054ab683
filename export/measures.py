"""What a piece of music looks like in numbers: repeats, harmony, rhythm, texture. Judges rows, not sound; needs numpy only.

Every measure takes a `Piece` and returns one number, or None where the piece has nothing to measure. Real music and
generated music are measured by the same functions; `export.loop_report` prints both side by side. Definitions follow
MusPy where it has one (Dong et al., ISMIR 2020); where they differ, the docstring says how. None of them tells good music
from bad: shuffled rows keep their scale, an untrained model has a perfect groove.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import CONSONANT
from nesasset.score import HOLD, Note, Score
from nesasset.units import VOICES
from nesasset.vocabulary import HOLD_ID, LOWEST_PITCH, ONSET_ID, REST_ID, pitch_to_id

MELODIC: Final = (0, 1, 2)  # columns of P1, P2, TR
PULSES: Final = (0, 1)
P1, TR, NO = 0, 2, 3
MAX_LAG_BARS: Final = 8
MAJOR_SCALE: Final = (0, 2, 4, 5, 7, 9, 11)  # the natural minor scales have the same twelve sets of notes
STEP, OCTAVE = 2, 12  # semitones
FEW_NOTES: Final = 8
STUCK_BARS: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Rows of music as numbers. Make one with `score_to_piece` or `cells_to_piece`."""

    cells: NDArray[np.int64]
    """Shape (n_rows, 4), columns P1, P2, TR, NO: ids of nesasset.vocabulary."""
    sounding: NDArray[np.int64]
    """Same shape: each hold replaced by what it holds, an onset's id or REST_ID."""
    instruments: NDArray[np.int64]
    """Same shape: a number for the instrument of each onset, -1 where there is none or nothing is known."""
    bar_rows: int = 16
    beat_rows: int = 4
    loops: bool = False
    """True if the last row leads into the first."""

    @property
    def onsets(self) -> NDArray[np.bool_]:
        """Where a note begins, shape (n_rows, 4)."""
        return self.cells >= ONSET_ID

    @property
    def bars(self) -> NDArray[np.int64]:
        """The cells of whole bars, shape (n_bars, bar_rows, 4)."""
        n_bars = len(self.cells) // self.bar_rows
        return self.cells[: n_bars * self.bar_rows].reshape(n_bars, self.bar_rows, 4)


def cells_to_piece(
    cells: NDArray[np.integer],
    bar_rows: int = 16,
    instruments: NDArray[np.integer] | None = None,
    before: NDArray[np.integer] | None = None,
    *,
    loops: bool = False,
) -> Piece:
    """Make a piece from cells.

    Args:
        cells: Shape (n_rows, 4); row 0 begins a bar.
        bar_rows: Rows of a bar.
        instruments: Same shape as cells, -1 where there is none; None if nothing is known.
        before: What sounds before row 0, shape (4,): an onset's id or REST_ID. None for silence, or, in a loop, for what
            its end leaves.
        loops: Whether the last row leads into the first.
    """
    rows = np.asarray(cells, dtype=np.int64).reshape(-1, 4)
    start = np.full(4, REST_ID) if before is None else np.asarray(before)
    if before is None and loops and len(rows):
        start = _sounding(rows, start)[-1]
    known = np.full(rows.shape, -1) if instruments is None else np.asarray(instruments)
    return Piece(rows, _sounding(rows, start), known.astype(np.int64), bar_rows, loops=loops)


def score_to_piece(score: Score) -> Piece:
    """Make a piece from a score's loop, or from the whole of a score that ends.

    Instruments of one kind and name count as one, whatever their envelopes: some differ in the length of note only.
    """
    start, end = score.loop or (0, score.n_rows)
    cells = np.full((score.n_rows, 4), HOLD_ID, dtype=np.int64)
    players = np.full((score.n_rows, 4), -1, dtype=np.int64)
    names = [(entry.kind, entry.name) if entry.name else index for index, entry in enumerate(score.instruments)]
    number = {name: index for index, name in enumerate(dict.fromkeys(names))}
    for column, voice in enumerate(VOICES):
        for row, cell in enumerate(score.voices[voice]):
            if isinstance(cell, Note):
                cells[row, column] = ONSET_ID if cell.pitch is None else pitch_to_id(cell.pitch)
                players[row, column] = number[names[cell.instrument]]
            elif cell is not HOLD:
                cells[row, column] = REST_ID
    before = None
    if start:  # a voice without an event in the loop holds what the intro left
        intro, inside = _sounding(cells[:start], np.full(4, REST_ID))[-1], cells[start:end]
        before = np.where((inside != HOLD_ID).any(axis=0), _sounding(inside, intro)[-1], intro)
    piece = cells_to_piece(cells[start:end], score.bar_rows, players[start:end], before, loops=score.loop is not None)
    return Piece(piece.cells, piece.sounding, piece.instruments, score.bar_rows, score.beat_rows, piece.loops)


def _sounding(cells: NDArray[np.int64], before: NDArray[np.integer]) -> NDArray[np.int64]:
    event = np.where(cells != HOLD_ID, np.arange(len(cells))[:, None], -1)
    last = np.maximum.accumulate(event, axis=0)
    return np.where(last >= 0, np.take_along_axis(cells, np.maximum(last, 0), axis=0), before)


def _share(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole else None


# Form.


def exact_bar_repeat_rate(piece: Piece) -> float | None:
    """Return the share of bars, the first not counted, that equal an earlier bar in every cell of all four voices."""
    bars = piece.bars.reshape(len(piece.bars), piece.bar_rows * 4)
    repeats = [bool((bars[:bar] == bars[bar]).all(axis=1).any()) for bar in range(1, len(bars))]
    return _share(sum(repeats), len(repeats))


def best_lag_similarity(piece: Piece) -> float | None:
    """Return how much the piece resembles itself 1 to 8 bars later, at the best of those distances.

    Resemblance at a distance: of the cells, all voices together, in which either place has an event (a note or a rest),
    the share in which both are equal. Cells that both hold do not count, or holds would make everything alike.
    """
    found = []
    for lag in range(piece.bar_rows, MAX_LAG_BARS * piece.bar_rows + 1, piece.bar_rows):
        later, earlier = piece.cells[lag:], piece.cells[:-lag]
        either = (later != HOLD_ID) | (earlier != HOLD_ID)
        if len(later) >= piece.bar_rows and either.any():
            found.append(float((later == earlier)[either].mean()))
    return max(found, default=None)


# Harmony.


def _pitch_classes(piece: Piece) -> NDArray[np.int64]:
    """Count the onsets of the melodic voices by pitch class, C first; shape (12,)."""
    cells = piece.cells[:, MELODIC]
    return np.bincount((cells[cells >= ONSET_ID] - ONSET_ID + LOWEST_PITCH) % 12, minlength=12)


def scale_consistency(piece: Piece) -> float | None:
    """Return the share of melodic onsets whose pitch lies in the major or natural minor scale that fits best (MusPy)."""
    counts = _pitch_classes(piece)
    return _share(max(int(counts[np.add(MAJOR_SCALE, tonic) % 12].sum()) for tonic in range(12)), int(counts.sum()))


def pitch_class_entropy(piece: Piece) -> float | None:
    """Return the entropy in bits, 0 to log2 12 = 3.58, of the pitch classes of the melodic onsets (MusPy)."""
    counts = _pitch_classes(piece)
    if not counts.any():
        return None
    share = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(share * np.log2(share)).sum()))


def consonance(piece: Piece) -> float | None:
    """Return the share of consonant intervals between pulse 1 and the triangle.

    One interval for each onset of pulse 1 at which the triangle sounds, struck or held: (pulse 1 - triangle) modulo 12.
    Consonant are unison, both thirds, fourth, fifth and both sixths: 0, 3, 4, 5, 7, 8, 9.
    """
    both = piece.onsets[:, P1] & (piece.sounding[:, TR] >= ONSET_ID)
    interval = (piece.cells[both, P1] - piece.sounding[both, TR]) % 12
    return _share(int(np.isin(interval, CONSONANT).sum()), int(both.sum()))


# Rhythm and texture.


def groove_consistency(piece: Piece) -> float | None:
    """Return 1 less the mean share of rows that differ between neighbouring bars in whether any voice starts a note (MusPy)."""
    bars = np.asarray((piece.bars >= ONSET_ID).any(axis=2))
    return float(1 - (bars[1:] != bars[:-1]).mean()) if len(bars) > 1 else None


def empty_beat_rate(piece: Piece) -> float | None:
    """Return the share of beats in which no voice sounds; notes count until their rest, not until their envelope's end."""
    n_beats = len(piece.cells) // piece.beat_rows
    heard = (piece.sounding[: n_beats * piece.beat_rows] >= ONSET_ID).any(axis=1)
    return float((~heard.reshape(n_beats, piece.beat_rows).any(axis=1)).mean()) if n_beats else None


def melodic_density(piece: Piece) -> float | None:
    """Return onsets per row and voice of pulse 1, pulse 2 and triangle, a silent voice counted like the others."""
    return float(piece.onsets[:, MELODIC].mean()) if len(piece.cells) else None


def noise_density(piece: Piece) -> float | None:
    """Return onsets per row of the noise."""
    return float(piece.onsets[:, NO].mean()) if len(piece.cells) else None


def _moves(piece: Piece) -> NDArray[np.int64]:
    """Return the semitones from each onset of pulse 1 to its next, without sign."""
    moves: NDArray[np.int64] = np.abs(np.diff(piece.cells[piece.onsets[:, P1], P1]))
    return moves


def step_rate(piece: Piece) -> float | None:
    """Return the share of pulse 1's moves that are steps: of those to another pitch, the ones by 1 or 2 semitones."""
    moves = _moves(piece)
    return _share(int(((moves > 0) & (moves <= STEP)).sum()), int((moves > 0).sum()))


def leap_rate(piece: Piece) -> float | None:
    """Return the share of pulse 1's moves, repeated notes counted, that are wider than an octave."""
    moves = _moves(piece)
    return _share(int((moves > OCTAVE).sum()), len(moves))


def pulse_instruments(piece: Piece) -> float | None:
    """Return how many instruments both pulses play; None where no onset has a known one."""
    used = piece.instruments[:, PULSES]
    used = used[used >= 0]
    return float(len(np.unique(used))) if len(used) else None


# Failures and sameness.


def longest_held(piece: Piece, column: int) -> int:
    """Return the most rows for which a voice holds one note without any event, over a loop's seam as well."""
    held = (piece.cells[:, column] == HOLD_ID) & (piece.sounding[:, column] >= ONSET_ID)
    return _longest_run(piece, held) + int(piece.onsets[:, column].any())  # the onset's own row


def longest_silence(piece: Piece, column: int) -> int:
    """Return the most rows, once a voice has begun, in which it does not sound; over a loop's seam as well."""
    if not piece.onsets[:, column].any():
        return 0
    silent = piece.sounding[:, column] < ONSET_ID
    if not piece.loops:
        silent = silent[int(np.argmax(piece.onsets[:, column])) :]
    return _longest_run(piece, silent)


def _longest_run(piece: Piece, held: NDArray[np.bool_]) -> int:
    if held.all():
        return len(held)
    if piece.loops:
        held = np.roll(held, -int(np.argmin(held)))  # begins where nothing runs on
    edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]]).astype(np.int8)))
    return int(np.diff(edges)[::2].max(initial=0))


def stuck_voices(piece: Piece) -> tuple[str, ...]:
    """Return the voices that hang: one note is held for 8 bars or longer, with no event of any kind."""
    limit = STUCK_BARS * piece.bar_rows
    return tuple(voice for column, voice in enumerate(VOICES) if longest_held(piece, column) >= limit)


def fallen_silent(piece: Piece) -> tuple[str, ...]:
    """Return the voices that, having begun, are silent for 8 bars or longer. Real music does that now and then."""
    limit = STUCK_BARS * piece.bar_rows
    return tuple(voice for column, voice in enumerate(VOICES) if longest_silence(piece, column) >= limit)


def is_degenerate(piece: Piece) -> bool:
    """Return whether a piece is none: fewer than 8 notes in all, or a stuck voice."""
    return int(piece.onsets.sum()) < FEW_NOTES or bool(stuck_voices(piece))


def melody_key(piece: Piece, *, relative: bool = True) -> str:
    """Return a digest of pulse 1's line, the same for the same line.

    Args:
        piece: The piece.
        relative: True to count pitches from the first one, so that a transposed melody is the same; False for the pitches
            themselves.
    """
    line = piece.cells[:, P1].copy()
    onset = line >= ONSET_ID
    if relative and onset.any():
        line[onset] += 1000 - line[onset][0]  # well away from hold and rest
    return hashlib.sha256(line.astype("<i4").tobytes()).hexdigest()


MEASURES: Final[dict[str, Callable[[Piece], float | None]]] = {
    "exact_bar_repeat_rate": exact_bar_repeat_rate,
    "best_lag_similarity": best_lag_similarity,
    "scale_consistency": scale_consistency,
    "consonance": consonance,
    "pitch_class_entropy": pitch_class_entropy,
    "groove_consistency": groove_consistency,
    "empty_beat_rate": empty_beat_rate,
    "melodic_density": melodic_density,
    "noise_density": noise_density,
    "step_rate": step_rate,
    "leap_rate": leap_rate,
    "pulse_instruments": pulse_instruments,
}


def measure(piece: Piece) -> dict[str, float | None]:
    """Return every measure of a piece by name."""
    return {name: function(piece) for name, function in MEASURES.items()}


def mean_measures(pieces: list[Piece]) -> dict[str, float | None]:
    """Return the mean of every measure over the pieces that have it; None if none has."""
    rows = [measure(piece) for piece in pieces]
    return {name: _mean([value for row in rows if (value := row[name]) is not None]) for name in MEASURES}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
