"""Motifs that a caller writes down: a short tune as text. Holds the notation, keys and modes, not what is composed with it.

`C5/4 D5/4 Eb5/2 -/2 G5/8`: a note's name and octave, C4 being middle C, or - for a rest; a slash; how many rows it lasts, a
sixteenth each. It is written as if the piece were in C: in minor if it has an E flat and no E, or, where it has no third, an
A flat or B flat and no A or B; else in major.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nesasset.errors import ControlError
from nesasset.units import PITCH_RANGES
from nesasset.vocabulary import HOLD_ID, REST_ID, pitch_to_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOTES_RANGE: Final = (4, 32)
MAX_MOTIF_ROWS: Final = 64  # four bars
MAX_SPAN: Final = 36  # semitones: it has a place in every key within what pulse 1 can play
_WORD: Final = re.compile(r"(?:([A-Ga-g])([#b]?)(\d)|-)/(\d{1,2})")
_LETTERS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_TO_MINOR: Final = {4: 3, 9: 8, 11: 10}  # third, sixth and seventh degree, in semitones over the tonic
_TO_MAJOR: Final = {minor: major for major, minor in _TO_MINOR.items()}


@dataclass(frozen=True, slots=True)
class Motif:
    """A tune of one voice."""

    notes: tuple[tuple[int | None, int], ...]
    """MIDI pitch, None for a rest, and length in rows of each."""

    @property
    def pitches(self) -> tuple[int, ...]:
        """MIDI pitches of the notes, without the rests."""
        return tuple(pitch for pitch, _ in self.notes if pitch is not None)

    @property
    def rows(self) -> int:
        """Length in rows."""
        return sum(rows for _, rows in self.notes)

    @property
    def span(self) -> int:
        """Semitones from the lowest note to the highest."""
        return max(self.pitches) - min(self.pitches)

    @property
    def minor(self) -> bool:
        """Whether it is in C minor rather than in C major."""
        found = {pitch % 12 for pitch in self.pitches}
        if found & {3, 4}:
            return 4 not in found
        return bool(found & {8, 10}) and not found & {9, 11}

    def moved(self, semitones: int) -> Motif:
        """Return the motif so many semitones higher."""
        return Motif(tuple((None if pitch is None else pitch + semitones, rows) for pitch, rows in self.notes))

    def in_mode(self, minor: bool) -> Motif:
        """Return the motif, which is in C, in C minor or C major: third, sixth and seventh degree change."""
        if minor == self.minor:
            return self
        steps = _TO_MINOR if minor else _TO_MAJOR
        return Motif(tuple((None if pitch is None else pitch - pitch % 12 + steps.get(pitch % 12, pitch % 12), rows) for pitch, rows in self.notes))

    def head(self, rows: int) -> Motif:
        """Return its first rows; a note that goes on beyond them is cut."""
        kept: list[tuple[int | None, int]] = []
        for pitch, length in self.notes:
            if rows > 0:
                kept.append((pitch, min(length, rows)))
            rows -= length
        return Motif(tuple(kept))

    def cells(self) -> NDArray[np.int64]:
        """Return the motif as cells (vocabulary.py), shape (rows,)."""
        import numpy as np  # here: a manifest with a motif is read without it

        line = np.full(self.rows, HOLD_ID, dtype=np.int64)
        row = 0
        for pitch, rows in self.notes:
            line[row] = REST_ID if pitch is None else pitch_to_id(pitch)
            row += rows
        return line

    def moves(self, tonic: int, low: int, high: int) -> list[int]:
        """Return by how many semitones the motif, which is in C, may be moved to lie in a tonic's key and within a range."""
        first = low - min(self.pitches)
        return list(range(first + (tonic - first) % 12, high - max(self.pitches) + 1, 12))


def parse_motif(text: str) -> Motif:
    """Return the motif that a text writes down; rests that follow one another become one. Inverse: `motif_text`.

    Raises:
        ControlError: The text is no motif.
    """
    low, high = PITCH_RANGES["P1"]
    notes: list[tuple[int | None, int]] = []
    for word in text.split():
        found = _WORD.fullmatch(word)
        if found is None or not int(found[4]):
            raise ControlError(f"a motif is notes with their lengths in rows, as in 'C5/4 Eb5/2 -/2 G5/8', not {text!r} (at {word!r})")
        rows = int(found[4])
        if found[1] is None:
            if notes and notes[-1][0] is None:
                rows += notes.pop()[1]
            notes.append((None, rows))
            continue
        pitch = 12 * (int(found[3]) + 1) + _LETTERS[found[1].upper()] + {"": 0, "#": 1, "b": -1}[found[2]]
        if not low <= pitch <= high:
            raise ControlError(f"the notes of a motif must lie between {pitch_text(low)} and {pitch_text(high)}, which pulse 1 can play, not {word!r}")
        notes.append((pitch, rows))
    return checked(Motif(tuple(notes)))


def checked(motif: Motif) -> Motif:
    """Return a motif if it is of a size that can be composed with; raise ControlError otherwise."""
    few, many = NOTES_RANGE
    if not few <= len(motif.pitches) <= many:
        raise ControlError(f"a motif must have {few} to {many} notes, not {len(motif.pitches)}; give more or fewer of them")
    if motif.rows > MAX_MOTIF_ROWS:
        raise ControlError(f"a motif must have at most {MAX_MOTIF_ROWS} rows, which are four bars, not {motif.rows}; make it shorter")
    if motif.span > MAX_SPAN:
        raise ControlError(f"the notes of a motif must lie within {MAX_SPAN} semitones, not {motif.span}; bring them nearer to each other")
    return motif


def motif_text(motif: Motif) -> str:
    """Return a motif as text. Inverse: `parse_motif`."""
    return " ".join(f"{'-' if pitch is None else pitch_text(pitch)}/{rows}" for pitch, rows in motif.notes)


def pitch_text(pitch: int) -> str:
    """Return a MIDI pitch as a motif writes it: 60 is C4, 63 is Eb4."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"
