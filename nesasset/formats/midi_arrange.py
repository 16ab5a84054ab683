"""Any MIDI file arranged for the four voices, on a grid of sixteenths, by the rule in midi_import.loads."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import Final

from nesasset.errors import FormatError
from nesasset.formats.midi import to_seconds
from nesasset.formats.midi_notes import Midi, MidiNote, bar_of, count_units, into_range, loop_ticks, title_of
from nesasset.formats.tracker_cells import shortest_groove
from nesasset.score import HOLD, MAX_ROW_FRAMES, MAX_ROWS, REST, Cell, Instrument, Note, Score
from nesasset.units import FRAME_RATE_HZ, MAX_VOLUME, VOICE_NAMES

_LEAD, _SECOND, _BASS, _KICK, _SNARE, _CYMBAL, _HAT = range(7)
_INSTRUMENTS: Final = (
    Instrument("pulse", (15, 14, 13, 12, 11, 10), duty=2, name="lead"),
    Instrument("pulse", (12, 11, 10, 9, 8, 7), duty=1, name="second"),
    Instrument("triangle", name="bass"),
    Instrument("noise", (15, 11, 6, 2, 0), period=13, name="kick"),
    Instrument("noise", (14, 11, 8, 6, 4, 2, 0), period=7, name="snare"),
    Instrument("noise", (12, 10, 9, 8, 7, 6, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0), period=4, name="cymbal"),
    Instrument("noise", (9, 5, 2, 0), period=2, name="hat"),
)
# General MIDI's percussion keys, by what the noise can make of them; all others are snares.
_KEYS: Final = {
    **dict.fromkeys((35, 36, 41, 43, 45, 47, 64), _KICK),
    **dict.fromkeys((46, 49, 51, 52, 53, 55, 57, 59), _CYMBAL),
    **dict.fromkeys((42, 44, 54, 69, 70, 75, 80, 82), _HAT),
}


def key_to_period(key: int) -> int:
    """Return the noise period that stands for a key of General MIDI's percussion."""
    return _INSTRUMENTS[_KEYS.get(key, _SNARE)].period


def arrange(midi: Midi, left_out: Counter[str]) -> Score:
    """Return the score; what was moved or left out is counted.

    Raises:
        FormatError: The file has no notes, or more sixteenths than a score has rows.
    """
    row_ticks = midi.ticks_per_beat / Fraction(8 if isinstance(midi.ticks_per_beat, Fraction) else 4)
    sounding = [note for track in midi.tracks for note in (*track.notes, *track.drums)]
    if not sounding:
        raise FormatError("the MIDI file has no notes")
    bar = bar_of(midi)
    if len({(numerator, power) for _, numerator, power in midi.signatures}) > 1:
        left_out["changes of the time signature"] += 1
    bar_rows = min(256, max(1, round(bar * 4)))
    last = max(note.end for note in sounding)
    n_rows = -(-max(1, count_units(last, row_ticks)[0]) // bar_rows) * bar_rows
    if n_rows > MAX_ROWS:
        raise FormatError(f"the music must have at most {MAX_ROWS} sixteenths, not {n_rows}")

    def to_rows(notes: list[MidiNote]) -> list[MidiNote]:
        found = []
        for note in notes:
            first, exact = count_units(note.start, row_ticks)
            if not exact:
                left_out["notes moved to the nearest sixteenth"] += 1
            if first < n_rows:
                end = max(first + 1, count_units(note.end, row_ticks)[0])
                found.append(MidiNote(first, min(end, n_rows), note.pitch, note.velocity))
        return sorted(found, key=lambda note: (note.start, -note.pitch))

    lines = _lines([to_rows(track.notes) for track in midi.tracks if track.notes], left_out)
    drums = to_rows([note for track in midi.tracks for note in track.drums])
    voices = {voice: _line_cells(lines.get(voice, []), voice, n_rows, left_out) for voice in ("P1", "P2", "TR")}
    voices["NO"] = _drum_cells(drums, n_rows, left_out)
    loop = loop_ticks(midi)
    rows = None
    if loop is not None:
        first, end = (min(n_rows, count_units(tick, row_ticks)[0]) for tick in loop)
        rows = (first, end) if first < end else None
    return Score(
        voices=voices,
        instruments=_INSTRUMENTS,
        groove=_tempo_groove(midi, row_ticks, n_rows, left_out),
        bar_rows=bar_rows,
        beat_rows=4,
        loop=rows,
        title=title_of(midi),
    )


def _tempo_groove(midi: Midi, row_ticks: Fraction, n_rows: int, left_out: Counter[str]) -> tuple[int, ...]:
    """Return the frames of the rows under the file's tempos; one tempo gives a groove of at most 16 rows."""
    tempos = [(tick, tempo) for tick, tempo in midi.tempos if tick < n_rows * row_ticks]
    if isinstance(midi.ticks_per_beat, Fraction):
        tempos = []
    if len({tempo for _, tempo in tempos}) <= 1 and (not tempos or tempos[0][0] == 0):
        row = Fraction((tempos[0][1] if tempos else 500_000) * FRAME_RATE_HZ, 4_000_000)
        near = min(Fraction(MAX_ROW_FRAMES), max(Fraction(1), row.limit_denominator(16)))
        if near != row.limit_denominator(16):
            left_out["the tempo is beyond 1 to 64 frames a row"] += 1
        starts = [int(near * index) for index in range(near.denominator + 1)]
        return tuple(after - before for before, after in pairwise(starts))
    ticks = [round(index * row_ticks) for index in range(n_rows + 1)]
    frames = [round(seconds * FRAME_RATE_HZ) for seconds in to_seconds(ticks, tempos, midi.ticks_per_beat)]
    lengths = [after - before for before, after in pairwise(frames)]
    if any(not 1 <= length <= MAX_ROW_FRAMES for length in lengths):
        left_out["the tempo is beyond 1 to 64 frames a row"] += 1
    return shortest_groove([min(MAX_ROW_FRAMES, max(1, length)) for length in lengths])


def _lines(tracks: list[list[MidiNote]], left_out: Counter[str]) -> dict[str, list[MidiNote]]:
    """Return the notes of each melodic voice, by the rule in `loads`; what is left is counted."""
    tracks = [track for track in tracks if track]
    single = all(after.start >= before.end for track in tracks for before, after in pairwise(track))
    if single and len(tracks) <= 3:
        ranked = sorted(tracks, key=lambda track: -sum(note.pitch for note in track) / len(track))
        names = {0: (), 1: ("P1",), 2: ("P1", "TR"), 3: ("P1", "P2", "TR")}[len(ranked)]
        return dict(zip(names, ranked, strict=True))
    rest = sorted((note for track in tracks for note in track), key=lambda note: (note.start, -note.pitch))
    lines = {}
    for voice, sign in (("P1", 1), ("TR", -1), ("P2", 1)):
        lines[voice], rest = _outline(rest, sign)
    if rest:
        left_out["notes for which no voice is free"] += len(rest)
    return lines


def _outline(notes: list[MidiNote], sign: int) -> tuple[list[MidiNote], list[MidiNote]]:
    """Return the highest line of notes, or with sign -1 the lowest, and the notes that are not in it."""
    line: list[MidiNote] = []
    rest: list[MidiNote] = []
    for note in sorted(notes, key=lambda note: (note.start, -sign * note.pitch)):
        if line and note.start < line[-1].end and sign * note.pitch <= sign * line[-1].pitch:
            rest.append(note)
        else:
            line.append(note)
    return line, rest


def _line_cells(line: list[MidiNote], voice: str, n_rows: int, left_out: Counter[str]) -> tuple[Cell, ...]:
    part: list[Cell] = [HOLD] * n_rows
    instrument = {"P1": _LEAD, "P2": _SECOND, "TR": _BASS}[voice]
    for index, note in enumerate(line):
        if index and line[index - 1].start == note.start:
            left_out["notes too near to the one before"] += 1
            continue
        pitch = into_range(note.pitch, voice)
        if pitch != note.pitch:
            left_out[f"notes of {VOICE_NAMES[voice]} moved by octaves into its range"] += 1
        part[note.start] = Note(instrument, pitch, volume=max(1, round(note.velocity * MAX_VOLUME / 127)))
        following = line[index + 1].start if index + 1 < len(line) else n_rows
        if note.end < following:
            part[note.end] = REST
    return tuple(part)


def _drum_cells(drums: list[MidiNote], n_rows: int, left_out: Counter[str]) -> tuple[Cell, ...]:
    """Return the noise: of drums that begin together the deepest."""
    part: list[Cell] = [HOLD] * n_rows
    for note in drums:
        new = Note(_KEYS.get(note.pitch, _SNARE), volume=max(1, round(note.velocity * MAX_VOLUME / 127)))
        old = part[note.start]
        if isinstance(old, Note):
            left_out["drums that begin together with a deeper one"] += 1
            if old.instrument <= new.instrument:
                continue
        part[note.start] = new
    return tuple(part)
