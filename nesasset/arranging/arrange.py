"""A piece of any parts as a score of four voices: the rule by which parts, chords and drums are reduced.

- **Pulse 1** plays the tune: in each section of two bars the line that is likeliest to be it (roles.py), of chords the top note.
- **Triangle**: the bass, likewise, of chords the lowest note.
- **Pulse 2**: of the other lines the one most like a tune that does not double it. A chord of three notes and more that lasts
  a beat is played as a quick arpeggio from its lowest note; of any other the top note stays.
- **Noise**: the drums; of those that begin together the deepest. A kick or a tom that begins together with another drum goes to the
  triangle, if that is silent then and has no note of its own for two rows.
- Notes begin and end on rows: sixteenths, or what fits the onsets clearly better. They move by octaves into their voice's range.
- Where there are chord symbols and no bass, the triangle plays roots and fifths on the beats, pulse 2 broken chords in eighths.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from nesasset.arranging.lines import Line, features, part_lines
from nesasset.arranging.metre import Metre, find_metre, to_row, to_rows
from nesasset.arranging.piece import Part, PartNote, Piece
from nesasset.arranging.roles import choose
from nesasset.arranging.sounds import (
    BASS,
    DRUMS,
    KICK,
    TOM,
    TRIANGLE_DRUM,
    TRIANGLE_KICK,
    TRIANGLE_TOM,
    UNKNOWN_FAMILY,
    key_to_drum,
    pulse_instrument,
)
from nesasset.errors import FormatError
from nesasset.score import HOLD, MAX_INSTRUMENTS, REST, Cell, Instrument, Note, Score
from nesasset.units import MAX_VOLUME, VOICE_NAMES, in_range

_LEAST_VOLUME: Final = 3
_LOUD: Final = 0.95  # of all notes in order of loudness: from here on volume 15
_WIDEST: Final = 24  # semitones of a chord's arpeggio
_MAX_CHORDS: Final = 160  # unlike arpeggios, so that a score's instruments suffice
_FREE_ROWS: Final = 2  # that the triangle must have before its next note, to play a drum
_BASS_PITCH: Final = 36  # from here up, the roots of chord symbols
_CHORD_PITCH: Final = 60
_SYMBOL_LOUDNESS: Final = 80
_MAJOR: Final = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_MINOR: Final = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")


def arrange(piece: Piece, left_out: Counter[str]) -> Score:
    """Return a piece as a score; what was moved, reduced or left out is counted.

    Raises:
        FormatError: There are no notes, or more rows than a score has.
    """
    if not any(part.notes for part in piece.parts):
        raise FormatError("the file has no notes")
    metre = find_metre(piece, left_out)
    tuned = [part for part in piece.parts if part.notes and not part.is_drums]
    rows = [to_rows(part, metre, left_out) for part in tuned]
    drums = [note for part in piece.parts if part.is_drums for note in to_rows(part, metre, left_out)]
    lines = voice_lines(tuned, rows, metre)
    _accompany(piece, lines, tuned, rows, metre)
    builder = _Builder(metre, _loud(rows), left_out)
    played: set[Owned] = set()
    for voice in ("P1", "TR", "P2"):
        builder.add_line(voice, lines[voice], tuned, rows, played)
    left = sum(map(len, rows)) - len(played)
    if left:
        left_out["notes for which no voice is free"] += left
    builder.add_drums(drums)
    loop = None
    if piece.loop is not None:
        first, end = (to_row(tick, metre) for tick in piece.loop)
        loop = (first, end) if first < end else None
    provenance = {}
    if piece.key is not None:
        sharps, minor = piece.key
        provenance["key"] = f"{(_MINOR if minor else _MAJOR)[sharps + 7]} {'minor' if minor else 'major'}"
    return Score(
        voices={voice: tuple(cells) for voice, cells in builder.cells.items()},
        instruments=tuple(builder.instruments),
        groove=metre.groove,
        bar_rows=metre.bar_rows,
        beat_rows=metre.beat_rows,
        loop=loop,
        title=piece.title,
        provenance=provenance,
    )


Owned = tuple[int, PartNote]
"""A note with the number of its part."""


def voice_lines(tuned: list[Part], rows: list[list[PartNote]], metre: Metre) -> dict[str, list[Owned]]:
    """Return what P1, P2 and TR play, in time order; no note is played twice.

    Args:
        tuned: The parts that are no drums.
        rows: Their notes in rows.
        metre: Of the piece.
    """
    lines = [line for number, notes in enumerate(rows) for line in part_lines(number, notes)]
    voices: dict[str, list[Owned]] = {"P1": [], "P2": [], "TR": []}
    if not lines:
        return voices
    bars = 2 if metre.bar_rows <= 4 * metre.beat_rows else 1
    section_rows = bars * metre.bar_rows
    found = features(lines, rows, metre.n_rows, section_rows, metre.beat_rows)
    chosen = choose(lines, tuned, found, section_rows)
    taken: set[Owned] = set()
    for voice in ("P1", "TR", "P2"):
        for section, index in enumerate(chosen[voice].tolist()):
            if index >= 0:
                voices[voice] += _within(lines[index], section * section_rows, (section + 1) * section_rows, taken)
        taken |= set(voices[voice])
    return voices


def _within(line: Line, first: int, end: int, taken: set[Owned]) -> list[Owned]:
    """Return a line's notes that begin in these rows and are not taken."""
    return [
        (line.part, note) for note in line.notes if first <= note.start < end and (line.part, note) not in taken
    ]


def _accompany(
    piece: Piece, lines: dict[str, list[Owned]], tuned: list[Part], rows: list[list[PartNote]], metre: Metre
) -> None:
    """Add bass and broken chords by the chord symbols, to a tune that has neither."""
    if not piece.chords or lines["TR"] or lines["P2"]:
        return
    spans = [(to_row(chord.tick, metre), chord) for chord in piece.chords]
    bass: list[PartNote] = []
    broken: list[PartNote] = []
    eighth = max(1, metre.beat_rows // 2)
    for index, (first, chord) in enumerate(spans):
        end = spans[index + 1][0] if index + 1 < len(spans) else metre.n_rows
        if chord.root < 0:
            continue
        root = _BASS_PITCH + (chord.root - _BASS_PITCH) % 12
        for beat, row in enumerate(range(first, end, 2 * metre.beat_rows)):
            pitch = root + (chord.intervals[2] if beat % 2 and len(chord.intervals) > 2 else 0)
            bass.append(PartNote(row, min(row + 2 * metre.beat_rows, end), pitch, _SYMBOL_LOUDNESS))
        tones = [_CHORD_PITCH + (chord.root + interval - _CHORD_PITCH) % 12 for interval in chord.intervals[:4]]
        tones.sort()
        for step, row in enumerate(range(first, end, eighth)):
            broken.append(PartNote(row, min(row + eighth, end), tones[step % len(tones)], _SYMBOL_LOUDNESS))
    for voice, notes, name in (("TR", bass, "bass"), ("P2", broken, "chords")):
        tuned.append(Part(notes, name))
        rows.append(notes)
        lines[voice] = [(len(rows) - 1, note) for note in notes]


def _loud(rows: list[list[PartNote]]) -> int:
    """Return the loudness that is played at full volume."""
    levels = sorted(note.loudness for notes in rows for note in notes)
    return levels[min(len(levels) - 1, int(_LOUD * len(levels)))] if levels else 127


class _Builder:
    """The cells and instruments of a score in the making."""

    def __init__(self, metre: Metre, loud: int, left_out: Counter[str]) -> None:
        self.metre, self.loud, self.left_out = metre, loud, left_out
        self.cells: dict[str, list[Cell]] = {voice: [HOLD] * metre.n_rows for voice in ("P1", "P2", "TR", "NO")}
        self.instruments: list[Instrument] = []
        self._numbers: dict[Instrument, int] = {}
        self._arpeggios: set[tuple[int, ...]] = set()

    def number(self, instrument: Instrument) -> int:
        """Return the number of an instrument, which is added where it is new."""
        if instrument not in self._numbers:
            assert len(self.instruments) < MAX_INSTRUMENTS
            self._numbers[instrument] = len(self.instruments)
            self.instruments.append(instrument)
        return self._numbers[instrument]

    def volume(self, loudness: int) -> int:
        """Return the volume, 3 to 15, of a loudness."""
        return min(MAX_VOLUME, max(_LEAST_VOLUME, round(loudness * MAX_VOLUME / self.loud)))

    def add_line(
        self, voice: str, line: list[Owned], tuned: list[Part], rows: list[list[PartNote]], played: set[Owned]
    ) -> None:
        """Write a voice's notes, and add them and those of its arpeggios to the ones that are played."""
        line = sorted(line, key=lambda owned: (owned[1].start, -owned[1].pitch))
        chords = _chords(line, rows, played) if voice == "P2" else {}
        cells = self.cells[voice]
        for index, (part, note) in enumerate(line):
            if index and line[index - 1][1].start == note.start:
                continue
            following = next((other.start for _, other in line[index + 1 : index + 3] if other.start > note.start), self.metre.n_rows)
            played.add((part, note))
            pitch = note.pitch
            steps: tuple[int, ...] = ()
            chord = chords.get(index, [])
            if len(chord) > 1 and min(note.end, following) - note.start >= self.metre.beat_rows:
                pitches = sorted({other.pitch for other in chord} | {note.pitch})
                wanted = tuple(other - pitches[0] for other in pitches[1:])
                if wanted[-1] <= _WIDEST and (wanted in self._arpeggios or len(self._arpeggios) < _MAX_CHORDS):
                    self._arpeggios.add(wanted)
                    pitch, steps = pitches[0], wanted
                    played.update((part, other) for other in chord)
                    self.left_out["chords played as quick arpeggios"] += 1
            moved = in_range(pitch, voice)
            if moved != pitch:
                self.left_out[f"notes of {VOICE_NAMES[voice]} moved by octaves into its range"] += 1
            instrument = self.number(self._instrument(voice, tuned[part], steps))
            cells[note.start] = Note(instrument, moved, volume=self.volume(note.loudness))
            if note.end < following:
                cells[note.end] = REST

    def _instrument(self, voice: str, part: Part, steps: tuple[int, ...]) -> Instrument:
        if voice == "TR":
            return BASS
        if steps:  # one sound for all chords: unlike chords and families would be too many instruments
            return pulse_instrument(UNKNOWN_FAMILY, voice, steps)
        family = UNKNOWN_FAMILY if part.program is None else part.program // 8
        return pulse_instrument(family, voice)

    def add_drums(self, drums: list[PartNote]) -> None:
        """Write the drums, by the rule above."""
        by_row: dict[int, list[tuple[int, int]]] = {}  # drum and loudness, the deepest first
        for note in drums:
            by_row.setdefault(note.start, []).append((key_to_drum(note.pitch), note.loudness))
        loud = max((loudness for hits in by_row.values() for _, loudness in hits), default=127)
        free = self._triangle_is_free()
        for row in sorted(by_row):
            hits = sorted(by_row[row])
            first = hits[0]
            others = [hit for hit in hits if hit[0] != first[0]]
            if others and first[0] in (KICK, TOM) and free[row]:
                pitch = TRIANGLE_KICK if first[0] == KICK else TRIANGLE_TOM
                self.cells["TR"][row] = Note(self.number(TRIANGLE_DRUM), pitch)
                if row + _FREE_ROWS < self.metre.n_rows and self.cells["TR"][row + _FREE_ROWS] is HOLD:
                    self.cells["TR"][row + _FREE_ROWS] = REST
                self.left_out["kicks and toms on the triangle"] += 1
                first, *others = others
                others = [hit for hit in others if hit[0] != first[0]]
            if others:
                self.left_out["drums that begin together with a deeper one"] += len(others)
            volume = min(MAX_VOLUME, max(_LEAST_VOLUME, round(first[1] * MAX_VOLUME / loud)))
            self.cells["NO"][row] = Note(self.number(DRUMS[first[0]]), volume=volume)

    def _triangle_is_free(self) -> list[bool]:
        """Return the rows in which the triangle is silent, and will be for two rows."""
        sounds, silent = False, []
        for cell in self.cells["TR"]:
            if isinstance(cell, Note):
                sounds = True
            elif cell is REST:
                sounds = False
            silent.append(not sounds)
        return [all(silent[row : row + _FREE_ROWS]) for row in range(len(silent))]


def _chords(line: list[Owned], rows: list[list[PartNote]], played: set[Owned]) -> dict[int, list[PartNote]]:
    """Return for each note of a line, by its index, those below it that its part begins together with it, unless played."""
    starts: dict[tuple[int, int], list[PartNote]] = {}
    for part in {part for part, _ in line}:
        for note in rows[part]:
            if (part, note) not in played:
                starts.setdefault((part, note.start), []).append(note)
    return {
        index: [other for other in starts.get((part, note.start), []) if other.pitch < note.pitch]
        for index, (part, note) in enumerate(line)
    }
