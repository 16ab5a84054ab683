"""Parts as lines of one note at a time, and what of a line can be heard in each section. Rows in, numbers out; nothing chosen.

A part of chords has three lines: its top, its bottom, and what stands highest below its top. A line's features are those
by which people, and measurements of named files, tell a tune from what goes with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.arranging.piece import Part, PartNote

FEATURES: Final = (
    "pitch",  # mean, octaves above middle C
    "top",  # share of its time as the highest line
    "bottom",  # share of its time as the lowest line
    "sounding",  # share of the section
    "single",  # share of its time in which its part plays one note
    "onsets",  # a beat, up to 4
    "loudness",  # above the mean of all parts, in 127ths
    "rhythms",  # how many lengths of time between onsets, as a share of the onsets
    "pitches",  # how many, as a share of the onsets
    "steps",  # share of its intervals that are one or two semitones
    "same",  # share of its intervals that are none
    "again",  # share of its onsets that the section before has in the same place with the same pitch
    "short",  # share of its onsets that last no more than a row
)

# Of General MIDI's sixteen families: basses; reeds, pipes and leads; ensembles, pads and effects.
_BASS_FAMILY, _TUNE_FAMILIES, _BACK_FAMILIES = 4, (8, 9, 10), (6, 11, 12)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a part."""

    part: int
    kind: str
    """'top', 'bottom' or 'inner'."""
    notes: tuple[PartNote, ...]
    """In time order; where they overlap the later one sounds."""


def part_lines(number: int, notes: list[PartNote]) -> list[Line]:
    """Return the lines of a part, its top first; those that are empty or the same as the top are left out."""
    top, below = outline(notes, 1)
    lines = [Line(number, "top", tuple(top))]
    if below:
        lines.append(Line(number, "inner", tuple(outline(below, 1)[0])))
        lines.append(Line(number, "bottom", tuple(outline(notes, -1)[0])))
    return lines


def outline(notes: list[PartNote], sign: int) -> tuple[list[PartNote], list[PartNote]]:
    """Return the highest line of notes, or with sign -1 the lowest, and the notes that are not in it.

    A note that begins under a higher one that still sounds is no part of the line, unless the two only overlap, as in legato:
    the higher one has no more than half of the lower one's length left.
    """
    line: list[PartNote] = []
    rest: list[PartNote] = []
    for note in sorted(notes, key=lambda note: (note.start, -sign * note.pitch)):
        if line and note.start < line[-1].end and sign * note.pitch <= sign * line[-1].pitch:
            left = line[-1].end - note.start
            if note.start == line[-1].start or 2 * left > note.end - note.start:
                rest.append(note)
                continue
        line.append(note)
    return line, rest


def pitch_rows(notes: tuple[PartNote, ...] | list[PartNote], n_rows: int) -> NDArray[np.int16]:
    """Return the pitch of a line in each row, -1 where it is silent."""
    found = np.full(n_rows, -1, dtype=np.int16)
    for index, note in enumerate(notes):
        end = note.end if index + 1 == len(notes) else min(note.end, notes[index + 1].start)
        found[note.start : end] = note.pitch
    return found


def features(
    lines: list[Line], parts: list[list[PartNote]], n_rows: int, section_rows: int, beat_rows: int
) -> NDArray[np.float64]:
    """Return `FEATURES` of every line in every section; NaN throughout where the line has no onset.

    Args:
        lines: Of all parts.
        parts: Notes of each part in rows.
        n_rows: Of the piece.
        section_rows: Rows a section; the last one may be shorter.
        beat_rows: Rows a beat.

    Returns:
        Shape (n_sections, n_lines, n_features).
    """
    n_sections = -(-n_rows // section_rows)
    size = n_sections * section_rows
    found = np.full((n_sections, len(lines), len(FEATURES)), np.nan)
    if not lines:
        return found
    sounding = np.array([pitch_rows(line.notes, size) for line in lines])
    high = sounding.max(axis=0)
    low = np.where(sounding < 0, 128, sounding).min(axis=0)
    voices = {number: _depth(parts[number], size) for number in {line.part for line in lines}}
    everything = [note.loudness for part in parts for note in part]
    usual = float(np.mean(everything)) if everything else 64.0

    def mean(of: NDArray[np.bool_]) -> NDArray[np.float64]:
        shares: NDArray[np.float64] = of.reshape(n_sections, section_rows).sum(axis=1).astype(np.float64)
        return shares

    for index, line in enumerate(lines):
        heard = sounding[index] >= 0
        time = np.maximum(mean(heard), 1)
        pitch = np.where(heard, sounding[index], 0).reshape(n_sections, section_rows).sum(axis=1) / time
        of_time = {
            "pitch": (pitch - 60) / 12,
            "top": mean(heard & (sounding[index] == high)) / time,
            "bottom": mean(heard & (sounding[index] == low)) / time,
            "sounding": mean(heard) / section_rows,
            "single": mean(heard & (voices[line.part] == 1)) / time,
        }
        for name, values in of_time.items():
            found[:, index, FEATURES.index(name)] = values
        _add_onsets(found[:, index], line, section_rows, beat_rows, usual)
    return found


def _depth(notes: list[PartNote], size: int) -> NDArray[np.int64]:
    """Return how many notes of a part sound in each row."""
    change = np.zeros(size + 1, dtype=np.int64)
    for note in notes:
        change[note.start] += 1
        change[min(note.end, size)] -= 1
    return np.cumsum(change)[:size]


def _add_onsets(found: NDArray[np.float64], line: Line, section_rows: int, beat_rows: int, usual: float) -> None:
    """Write what a line's onsets say into the rows of its sections, and NaN where it has none."""
    starts = np.array([note.start for note in line.notes])
    pitches = np.array([note.pitch for note in line.notes])
    loud = np.array([note.loudness for note in line.notes], dtype=np.float64)
    short = np.array([note.end - note.start <= 1 for note in line.notes])
    sections = starts // section_rows
    bounds = np.searchsorted(sections, np.arange(len(found) + 1))
    before: set[tuple[int, int]] = set()
    for section in range(len(found)):
        a, b = int(bounds[section]), int(bounds[section + 1])
        places = set(zip((starts[a:b] % section_rows).tolist(), pitches[a:b].tolist(), strict=True))
        if a == b:
            found[section] = np.nan
            before = places
            continue
        gaps, moves = np.diff(starts[a : b + 1]), np.abs(np.diff(pitches[a:b]))
        values = {
            "onsets": min(4.0, (b - a) * beat_rows / section_rows),
            "loudness": (loud[a:b].mean() - usual) / 127,
            "rhythms": len(set(gaps.tolist())) / (b - a),
            "pitches": len(set(pitches[a:b].tolist())) / (b - a),
            "steps": float(((moves == 1) | (moves == 2)).mean()) if len(moves) else 0.0,
            "same": float((moves == 0).mean()) if len(moves) else 0.0,
            "again": len(places & before) / len(places),
            "short": float(short[a:b].mean()),
        }
        for name, value in values.items():
            found[section, FEATURES.index(name)] = value
        before = places


def name_hint(part: Part) -> tuple[float, float]:
    """Return what a part's name and program say for its being the tune, and the bass: log odds, 0 where they say nothing."""
    name = part.name.lower()
    tune = bass = 0.0
    if any(word in name for word in ("melod", "vocal", "voice", "lead", "solo", "tune", "soprano")):
        tune += 3.0
    if any(word in name for word in ("pad", "rhythm", "chord", "string", "arp", "backing", "accomp", "echo", "choir")):
        tune -= 1.5
    family = None if part.program is None else part.program // 8
    if "bass" in name or family == _BASS_FAMILY:
        bass += 6.0
        tune -= 6.0
    elif family in _TUNE_FAMILIES:
        tune += 1.0
    elif family in _BACK_FAMILIES:
        tune -= 1.0
    return tune, bass
