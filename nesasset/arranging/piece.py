"""Music as files of other programs have it: parts of notes in ticks, tempos, bars, chord symbols, a loop. No judgement here."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple


class PartNote(NamedTuple):
    """A note of a part."""

    start: int
    end: int
    """In ticks, or in rows once they have been found."""
    pitch: int
    loudness: int
    """1 to 127: velocity, and what the part's volume makes of it."""


@dataclass(slots=True)
class Part:
    """What one player plays."""

    notes: list[PartNote]
    name: str = ""
    program: int | None = None
    """General MIDI's, 0 to 127; None where it is not told."""
    is_drums: bool = False
    """Whether the pitches are General MIDI's percussion keys."""


class Chord(NamedTuple):
    """A chord symbol; it holds until the next one."""

    tick: int
    root: int
    """Pitch class, 0 for C; -1 for no chord."""
    intervals: tuple[int, ...]
    """Semitones above the root, the root's 0 first."""


@dataclass(slots=True)
class Piece:
    """A whole piece."""

    ticks_per_beat: int | Fraction
    """Of a quarter note. A Fraction counts ticks a second, and there are no tempos then."""
    parts: list[Part]
    tempos: list[tuple[int, int]] = field(default_factory=list)
    """Tick and microseconds a quarter note, in time order."""
    signatures: list[tuple[int, int, int]] = field(default_factory=list)
    """Tick, numerator and the denominator's power of two, in time order."""
    chords: list[Chord] = field(default_factory=list)
    key: tuple[int, bool] | None = None
    """Sharps of the key signature (flats are negative), and whether it is minor."""
    loop: tuple[int, int] | None = None
    """In ticks."""
    title: str = ""
