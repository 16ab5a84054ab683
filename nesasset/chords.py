"""Chords: the ids of vocabulary.py as roots, notes and names. Holds no harmony of a piece and no model of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nesasset.errors import ControlError
from nesasset.units import NOTE_NAMES
from nesasset.vocabulary import CHORD_INTERVALS, N_CHORDS, NO_CHORD, UNKNOWN_CHORD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAJOR, MINOR, DIMINISHED = range(3)
DEGREES: Final = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}  # semitones of I to VII over the tonic
CONSONANT: Final = (0, 3, 4, 5, 7, 8, 9)  # semitones over a bass, modulo 12
_NUMERALS: Final = ("I", "II", "III", "IV", "V", "VI", "VII")
_LETTERS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SUFFIXES: Final = {"": MAJOR, "maj": MAJOR, "M": MAJOR, "m": MINOR, "min": MINOR, "-": MINOR, "dim": DIMINISHED, "°": DIMINISHED, "o": DIMINISHED}
# What a triad with more notes is called; the more is not heard, the triad is.
_MORE: Final = r"(?:6|7|9|11|13|maj7|M7|add9|sus2|sus4|5|\+|aug)?"
_NAME: Final = re.compile(rf"([A-G])([#b]?)(maj|min|dim|m|M|-|°|o)?{_MORE}$")
_NUMERAL: Final = re.compile(rf"([#b]?)(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(°|o|dim)?{_MORE}$")


def chord_id(root: int, quality: int) -> int:
    """Return the id of a triad: root 0 for C to 11, quality MAJOR, MINOR or DIMINISHED."""
    return 1 + 12 * quality + root % 12


def chord_root(chord: int) -> int:
    """Return the root of a triad's id, 0 for C."""
    return (chord - 1) % 12


def chord_quality(chord: int) -> int:
    """Return the quality of a triad's id."""
    return (chord - 1) // 12


def chord_tones() -> NDArray[np.bool_]:
    """Return which pitch classes each chord has, shape (N_CHORDS + 1, 12): none for no chord, all for the unknown one."""
    import numpy as np  # here: a manifest that names chords is read without it

    tones = np.zeros((N_CHORDS + 1, 12), dtype=bool)
    for quality, intervals in enumerate(CHORD_INTERVALS):
        for root in range(12):
            tones[chord_id(root, quality), [(root + step) % 12 for step in intervals]] = True
    tones[UNKNOWN_CHORD] = True
    return tones


def transpose_chords(chords: NDArray[np.integer], semitones: NDArray[np.integer] | int) -> NDArray[np.integer]:
    """Return chord ids moved by semitones; no chord and the unknown one stay."""
    import numpy as np

    moved = chords - (chords - 1) % 12 + (chords - 1 + semitones) % 12
    return np.where((chords > NO_CHORD) & (chords < UNKNOWN_CHORD), moved, chords)


def chord_name(chord: int) -> str:
    """Return a chord's name: C, F#m, Bdim; - for no chord and ? for the unknown one."""
    if chord == NO_CHORD:
        return "-"
    if chord == UNKNOWN_CHORD:
        return "?"
    return NOTE_NAMES[chord_root(chord)] + ("", "m", "dim")[chord_quality(chord)]


def parse_chord(name: str, tonic: int, mode: str) -> int:
    """Return the id of a chord that is named by its root (C, F#m, Bb7, Gdim) or by its degree (I, vi, bVII, vii°).

    Of a chord with more than three notes the triad is taken. Numerals count the degrees of the mode's own scale, as
    `vi` is A minor in C major and `VI` is A flat major in C minor; lower case is minor.

    Args:
        name: The chord.
        tonic: Root of degree I, 0 for C.
        mode: 'major' or 'minor'.

    Raises:
        ControlError: It is no such name.
    """
    found = _NAME.fullmatch(name.strip())
    if found:
        letter, sign, quality = found.groups()
        return chord_id(_LETTERS[letter] + _sign(sign), _SUFFIXES[quality or ""])
    found = _NUMERAL.fullmatch(name.strip())
    if found:
        sign, numeral, diminished = found.groups()
        root = tonic + DEGREES[mode][_NUMERALS.index(numeral.upper())] + _sign(sign)
        return chord_id(root, DIMINISHED if diminished else MAJOR if numeral.isupper() else MINOR)
    raise ControlError(
        f"a chord must be a name such as C, F#m, Bb7 or Gdim, or a degree such as I, vi, bVII or vii°, not {name!r}"
    )


def _sign(sign: str) -> int:
    return {"": 0, "#": 1, "b": -1}[sign]
