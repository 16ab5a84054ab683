"""The harmony of a piece, mined from its rows: a chord for each half of a bar. Rows in, chord ids out.

Each half bar counts how long each pitch class sounds, the bass more than the rest. A chord is worth what its notes account
for less what it leaves out; the path of chords through the song that is worth most is taken, where a change costs a
little and chords of the song's key are worth a little more.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import DEGREES, chord_tones
from nesasset.compose.key import find_key, pitch_class_weights, sounding_cells
from nesasset.features import half_of
from nesasset.vocabulary import HALVES, LOWEST_PITCH, N_CHORDS, NO_CHORD, ONSET_ID

BASS_WEIGHT: Final = 1.5  # of the triangle's rows
BEAT_WEIGHT: Final = 1.5  # of the first row of a beat
BEAT_ROWS: Final = 4
OUTSIDE: Final = 0.7  # what a note outside the chord costs
ROOT: Final = 0.35  # share by which the root counts more, as it does in the lowest voice
FIFTH: Final = -0.1
CHANGE: Final = 0.18  # of a half bar's weight
IN_KEY: Final = 0.06
DIMINISHED: Final = -0.1


def mine_chords(cells: NDArray[np.integer], starts: NDArray[np.integer], bar_rows: int) -> NDArray[np.int8]:
    """Return the chords of a piece, shape (n_bars, 2); what its form settles is left to nesasset.compose.harmony.settle.

    Args:
        cells: Shape (n_rows, 4).
        starts: First row of each bar and the end.
        bar_rows: Rows of a whole bar.
    """
    n = HALVES * (len(starts) - 1)
    heard = sounding_cells(cells[:, :3]).astype(np.int64)
    notes = heard >= ONSET_ID
    weight = notes * np.array([1.0, 1.0, BASS_WEIGHT])
    weight[starts[0] % BEAT_ROWS :: BEAT_ROWS] *= BEAT_WEIGHT
    rows = np.arange(len(cells))
    bar = np.searchsorted(starts, rows, side="right") - 1
    lengths = starts[bar + 1] - starts[bar]
    half = HALVES * bar + half_of(rows - starts[bar], lengths, bar_rows, (bar == 0) & (len(starts) > 2) & (lengths < bar_rows))
    pitch = (heard - ONSET_ID + LOWEST_PITCH) % 12
    place = half[:, None] * 12 + pitch
    counts = np.bincount(place[notes], weight[notes], minlength=n * 12).reshape(n, 12)
    low = np.where(notes, heard, 999).argmin(axis=1)  # the lowest voice that sounds
    any_note = notes.any(axis=1)
    rows = np.flatnonzero(any_note)
    bass = np.bincount(half[rows] * 12 + pitch[rows, low[rows]], weight[rows, low[rows]], minlength=n * 12).reshape(n, 12)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    counts, bass = counts / total, bass / total
    worth = _worth(counts, bass)
    tonic, mode, _ = find_key(pitch_class_weights(cells))
    scale = np.zeros(12, dtype=bool)
    scale[[(tonic + degree) % 12 for degree in DEGREES[mode]]] = True
    tones = chord_tones()[1:N_CHORDS]
    worth += IN_KEY * (tones <= scale).all(axis=1)
    silent = ~np.isin(np.arange(n), half[rows])
    return _best_path(worth, silent).reshape(-1, HALVES)


def _worth(counts: NDArray[np.float64], bass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each triad is worth in each half bar, (n, N_CHORDS - 1)."""
    tones = chord_tones()[1:N_CHORDS].astype(np.float64)
    roots = np.arange(N_CHORDS - 1) % 12
    inside = counts @ tones.T
    worth = inside - OUTSIDE * (1 - inside) + ROOT * bass[:, roots] + FIFTH * bass[:, (roots + 7) % 12]
    worth[:, 24:] += DIMINISHED
    return np.asarray(worth)


def _best_path(worth: NDArray[np.float64], silent: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return the ids along the path of most worth; a silent half bar has no chord and costs no change."""
    out = np.full(len(worth), NO_CHORD, dtype=np.int8)
    at = np.flatnonzero(~silent)
    if not len(at):
        return out
    back = np.zeros((len(at), worth.shape[1]), dtype=np.int64)
    best = worth[at[0]].copy()
    for step, place in enumerate(at[1:], start=1):
        leap = int(best.argmax())
        stay = best >= best[leap] - CHANGE
        back[step] = np.where(stay, np.arange(len(best)), leap)
        best = np.where(stay, best, best[leap] - CHANGE) + worth[place]
    chord = int(best.argmax())
    for step in range(len(at) - 1, -1, -1):
        out[at[step]] = 1 + chord
        chord = int(back[step, chord])
    return out
