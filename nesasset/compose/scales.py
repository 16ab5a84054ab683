"""Scales: which pitch classes a piece may use. One table; what is done with it is the plan's and the writer's affair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nesasset.chords import chord_tones
from nesasset.vocabulary import N_CHORDS, NO_CHORD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Semitones over the tonic. Source: the usual names of music theory, as in Persichetti, Twentieth-Century Harmony, 1961, chapter 2.
SCALES: Final = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic-minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "major-pentatonic": (0, 2, 4, 7, 9),
    "minor-pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
}
MIN_CHORDS: Final = 3  # that lie in a scale, below which chords are also taken that lie in it only for the most part


def scale_mode(name: str) -> str:
    """Return the mode that a scale's third makes it: 'minor' where it is minor alone, else 'major'."""
    return "minor" if 3 in SCALES[name] and 4 not in SCALES[name] else "major"


def pitch_classes(intervals: tuple[int, ...], tonic: int) -> NDArray[np.bool_]:
    """Return which pitch classes intervals over a tonic are, shape (12,)."""
    import numpy as np

    inside = np.zeros(12, dtype=bool)
    inside[(np.array(intervals) + tonic) % 12] = True
    return inside


def chord_weights(name: str) -> NDArray[np.float64]:
    """Return how well each chord, told as a degree, suits a scale, shape (N_CHORDS,).

    1 and 0 for those inside and outside. A scale with few triads of its own takes those that share most tones with it.
    """
    import numpy as np

    tones = chord_tones()[:N_CHORDS]
    inside = pitch_classes(SCALES[name], 0)
    share = (tones & inside).sum(axis=1) / np.maximum(tones.sum(axis=1), 1)
    share[NO_CHORD] = 1.0
    full = share >= 1
    return np.asarray(full.astype(np.float64) if full.sum() > MIN_CHORDS else np.where(share > 0.6, share, 0.0))
