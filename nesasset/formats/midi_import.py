"""MIDI files as scores. Writing MIDI, and what a MIDI file says about itself, is midi.py.

Files with tracks p1, p2, tr and no (midi.py's own, and NES-MDB's) come back frame by frame: every note with its volumes and
duties, as an instrument that other notes share where they sound alike. Any other file is arranged for the four voices by
the rule in `loads`, on a grid of sixteenths. What does not fit is reported.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, zip_longest
from typing import Final

from nesasset.errors import FormatError, ScoreError
from nesasset.formats.midi import _events, _seconds, _tracks
from nesasset.formats.tracker_cells import shortest_groove
from nesasset.score import (
    HOLD,
    MAX_ENVELOPE_FRAMES,
    MAX_INSTRUMENTS,
    MAX_ROW_FRAMES,
    MAX_ROWS,
    REST,
    Cell,
    Instrument,
    Note,
    Score,
)
from nesasset.units import FRAME_RATE_HZ, MAX_VOLUME, NOISE_PERIODS, PITCH_RANGES, VOICE_KINDS, VOICE_NAMES, VOICES

MAX_BYTES: Final = 4 * 1024 * 1024  # four times the largest file of NES-MDB
MAX_NOTES: Final = 200_000
MAX_FRAMES: Final = 432_000  # two hours
_VOLUME, _TIMBRE, _RPG_MAKER_LOOP = 11, 12, 111  # control changes, as midi.py writes them
_DRUMS: Final = 9  # General MIDI's channel 10
_SCALE: Final = 8  # midi.py's factor of volumes for common players
_MAX_SWUNG: Final = 20_000  # notes up to which a swinging groove is looked for
_EXACT: Final = Fraction(1, 40_000)  # by which a tempo in whole microseconds may miss a whole number of frames


@dataclass(frozen=True, slots=True)
class _MidiNote:
    start: int
    end: int
    """In ticks, in frames or in rows."""
    pitch: int
    velocity: int


@dataclass(slots=True)
class _MidiTrack:
    name: str = ""
    notes: list[_MidiNote] = field(default_factory=list)
    drums: list[_MidiNote] = field(default_factory=list)
    controls: list[tuple[int, int, int]] = field(default_factory=list)
    """Tick, control and value."""


@dataclass(slots=True)
class _Midi:
    ticks_per_beat: int | Fraction
    """A Fraction counts ticks a second."""
    tracks: list[_MidiTrack] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    """Tick and microseconds a beat."""
    signatures: list[tuple[int, Fraction]] = field(default_factory=list)
    """Tick and quarter notes a bar."""
    marks: dict[str, int] = field(default_factory=dict)
    end: int = 0


def loads(data: bytes, name: str = "the MIDI file") -> tuple[Score, tuple[str, ...]]:
    """Return the score that a MIDI file makes, and a sentence for each thing that was left out or changed.

    A file with tracks p1, p2, tr and no keeps its frames. Any other one is arranged so: channel 10 plays the noise. The
    rest, if it is up to three tracks of one line each, goes by mean pitch: the highest to pulse 1, the lowest of several to
    the triangle, the one between to pulse 2. Else note by note: the highest line to pulse 1, of what it leaves the lowest
    line to the triangle, and the highest of the remainder to pulse 2; where lines cross, the outer note wins. Notes begin
    and end on sixteenths, and move by octaves into their voice's range.

    Args:
        data: The file.
        name: What error messages call it.

    Raises:
        FormatError: The data are no MIDI file of type 0 or 1, are damaged, or longer than a score can be.
    """
    try:
        return _read(data)
    except (FormatError, ScoreError) as error:
        raise FormatError(f"{name}: {error}") from error


def load(path: str | os.PathLike[str]) -> tuple[Score, tuple[str, ...]]:
    """Read a MIDI file as a score; see `loads`.

    Raises:
        FormatError: The file cannot be read or is no usable MIDI file.
    """
    from nesasset.formats import files

    return loads(files.read_bytes(path, MAX_BYTES), os.fspath(path))


def _read(data: bytes) -> tuple[Score, tuple[str, ...]]:
    if len(data) > MAX_BYTES:
        raise FormatError(f"a MIDI file to be arranged must have at most {MAX_BYTES} bytes, not {len(data)}")
    left_out: Counter[str] = Counter()
    midi = _parse(data, left_out)
    voices = {track.name.upper(): track for track in midi.tracks if track.name.upper() in VOICES}
    if len(voices) == len(VOICES):
        score = _read_voices(midi, voices, left_out)
    else:
        score = _arrange(midi, left_out)
    return score, tuple(f"{what} ({count} times)" if count > 1 else what for what, count in left_out.items())


def _parse(data: bytes, left_out: Counter[str]) -> _Midi:
    division, tracks = _tracks(data)
    midi = _Midi(division)
    n_notes = 0
    for index, content in enumerate(tracks):
        track = _MidiTrack()
        midi.tracks.append(track)
        sounding: dict[tuple[int, int], tuple[int, int]] = {}

        def close(
            key: tuple[int, int],
            tick: int,
            track: _MidiTrack = track,
            open_: dict[tuple[int, int], tuple[int, int]] = sounding,
        ) -> None:
            start, velocity = open_.pop(key)
            notes = track.drums if key[0] == _DRUMS else track.notes
            notes.append(_MidiNote(start, tick, key[1], velocity))

        for event in _events(content, index):
            midi.end = max(midi.end, event.tick)
            kind, channel = event.status & 0xF0, event.status & 0x0F
            if kind in (0x80, 0x90):
                key = (channel, event.data[0])
                if key in sounding:
                    close(key, event.tick)
                if kind == 0x90 and event.data[1]:
                    sounding[key] = (event.tick, event.data[1])
                    n_notes += 1
                    if n_notes > MAX_NOTES:
                        raise FormatError(f"a MIDI file to be arranged must have at most {MAX_NOTES} notes")
            elif kind == 0xB0:
                if event.data[0] == _RPG_MAKER_LOOP:
                    midi.marks.setdefault("cc111", event.tick)
                track.controls.append((event.tick, event.data[0], event.data[1]))
            elif kind == 0xE0:
                left_out["pitch bends"] += 1
            elif event.status == 0xFF:
                _read_meta(midi, track, event.tick, event.data)
        for key in list(sounding):
            close(key, midi.end)
        track.notes.sort(key=lambda note: (note.start, -note.pitch))
    midi.tempos.sort()
    midi.signatures.sort()
    return midi


def _read_meta(midi: _Midi, track: _MidiTrack, tick: int, data: bytes) -> None:
    kind, content = data[0], data[1:]
    if kind == 0x51 and len(content) == 3:
        midi.tempos.append((tick, max(1, int.from_bytes(content, "big"))))
    elif kind == 0x03 and not track.name:
        track.name = content[:1024].decode(errors="replace")
    elif kind == 0x06:
        midi.marks.setdefault(content[:64].decode(errors="replace").lower(), tick)
    elif kind == 0x58 and len(content) == 4 and content[0] and content[1] < 8:
        midi.signatures.append((tick, Fraction(4 * content[0], 1 << content[1])))


def _title(midi: _Midi) -> str:
    first = midi.tracks[0]
    return "" if first.notes or first.drums or first.name.upper() in VOICES else first.name


def _loop_ticks(midi: _Midi) -> tuple[int, int] | None:
    start = midi.marks.get("loopstart", midi.marks.get("cc111"))
    if start is None:
        return None
    end = midi.marks.get("loopend", midi.end)
    return (start, end) if start < end else None


def _count(tick: int, unit: Fraction) -> tuple[int, bool]:
    """Return how many units of so many ticks a tick is, rounded, and whether that is exact. Fractions alone are slow."""
    doubled, rest = divmod(2 * tick * unit.denominator, unit.numerator)
    return (doubled + 1) // 2, not rest and not doubled % 2


# Files with the four voices


@dataclass(slots=True)
class _Sounding:
    """A note of one voice, in frames."""

    onset: int
    end: int
    pitch: int
    states: tuple[tuple[int, int], ...] = ()
    """Volume and duty or mode of each frame."""


def _read_voices(midi: _Midi, tracks: dict[str, _MidiTrack], left_out: Counter[str]) -> Score:
    ticks_per_frame, beat = _frame_clock(midi, left_out)
    louder = any(note.velocity > MAX_VOLUME for voice in ("P1", "P2") for note in tracks[voice].notes)
    louder = louder or any(note.velocity > MAX_VOLUME for note in tracks["NO"].drums)

    def frame(tick: int) -> int:
        number, exact = _count(tick, ticks_per_frame)
        if not exact:
            left_out["times that are no whole frames are rounded"] += 1
        return number

    ends = [tick for tick, _ in midi.signatures if tick]
    n_frames = max(1, frame(ends[0] if ends else midi.end))
    if n_frames > MAX_FRAMES:
        raise FormatError(f"the music must have at most {MAX_FRAMES} frames, not {n_frames}")
    lines = {voice: _sounding(tracks[voice], voice, n_frames, frame, louder) for voice in VOICES}
    bar = midi.signatures[0][1] if midi.signatures else Fraction(4)
    groove, beat_rows = _grid([[note.onset for note in line] for line in lines.values()], beat, n_frames)
    starts = [0]
    while starts[-1] < n_frames:
        starts.append(starts[-1] + groove[(len(starts) - 1) % len(groove)])
    if len(starts) - 1 > MAX_ROWS:
        raise FormatError(f"the music needs {len(starts) - 1} rows, and a score has at most {MAX_ROWS}")
    if starts[-1] != n_frames:
        left_out["the end is no row's end and comes later"] += 1
    voices, instruments = _rows(lines, starts, left_out)
    loop = _loop_ticks(midi)
    rows = None
    if loop is not None:
        first, end = (_nearest(starts, frame(tick), left_out) for tick in loop)
        rows = (first, end) if first < end else None
    return Score(
        voices=voices,
        instruments=instruments,
        groove=groove,
        bar_rows=min(256, max(1, round(bar * beat_rows))),
        beat_rows=beat_rows,
        loop=rows,
        title=_title(midi),
    )


def _frame_clock(midi: _Midi, left_out: Counter[str]) -> tuple[Fraction, Fraction]:
    """Return ticks a frame and frames a beat, whole ticks where the tempo means them."""
    if isinstance(midi.ticks_per_beat, Fraction):
        return midi.ticks_per_beat / FRAME_RATE_HZ, Fraction(24)
    tempo = midi.tempos[0][1] if midi.tempos else 500_000
    if any(other != tempo for _, other in midi.tempos):
        left_out["tempo changes"] += 1
    beat = Fraction(tempo * FRAME_RATE_HZ, 1_000_000)
    exact = midi.ticks_per_beat / beat
    whole = max(1, round(exact))
    if abs(whole / exact - 1) <= _EXACT:
        return Fraction(whole), Fraction(midi.ticks_per_beat, whole)
    return exact, beat


def _sounding(track: _MidiTrack, voice: str, n_frames: int, frame: object, louder: bool) -> list[_Sounding]:
    """Return the notes of a voice in time order, none overlapping, with the volume and timbre of each frame."""
    assert callable(frame)
    notes = sorted((*track.notes, *track.drums), key=lambda note: note.start)
    volumes = [(tick, value) for tick, control, value in track.controls if control == _VOLUME]
    timbres = [(tick, value) for tick, control, value in track.controls if control == _TIMBRE]
    scale = _SCALE if louder else 1
    found: list[_Sounding] = []
    for index, note in enumerate(notes):
        end = min(note.end, notes[index + 1].start) if index + 1 < len(notes) else note.end
        onset, stop = frame(note.start), min(frame(end), n_frames)
        if onset >= stop:
            continue
        level = [(onset, note.velocity)]
        level += [(frame(tick), value) for tick, value in _between(volumes, note.start, end)]
        timbre = [(onset, _last(timbres, note.start))]
        timbre += [(frame(tick), value) for tick, value in _between(timbres, note.start, end)]
        states = tuple(
            (MAX_VOLUME if voice == "TR" else min(MAX_VOLUME, round(v / scale)), 0 if voice == "TR" else t & 3)
            for v, t in zip(_each_frame(level, onset, stop), _each_frame(timbre, onset, stop), strict=True)
        )
        found.append(_Sounding(onset, stop, _voice_pitch(note.pitch, voice, louder), states))
    return found


def _voice_pitch(number: int, voice: str, louder: bool) -> int:
    """Return the pitch, or for the noise the period index."""
    if voice == "NO":
        return _key_to_period(number) if louder else min(NOISE_PERIODS - 1, max(0, NOISE_PERIODS - number))
    low, high = PITCH_RANGES[voice]
    return number + 12 * max(0, -(-(low - number) // 12)) - 12 * max(0, -(-(number - high) // 12))


def _between(changes: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return the changes after start and before end."""
    return changes[bisect_right(changes, (start, 1 << 30)) : bisect_left(changes, (end, -1))]


def _last(changes: list[tuple[int, int]], tick: int) -> int:
    """Return the value in force at a tick, 0 if there is none yet."""
    at = bisect_right(changes, (tick, 1 << 30))
    return changes[at - 1][1] if at else 0


def _each_frame(changes: list[tuple[int, int]], onset: int, stop: int) -> list[int]:
    values: list[int] = []
    for (at, value), (following, _) in pairwise([*changes, (stop, 0)]):
        values += [value] * (min(following, stop) - max(at, onset))
    return values


def _grid(onsets: list[list[int]], beat: Fraction, n_frames: int) -> tuple[tuple[int, ...], int]:
    """Return groove and rows a beat: sixteenths if they fit, else what puts most notes on the first frame of a row.

    Args:
        onsets: First frames of the notes of each voice, rising. Where notes end says nothing: envelopes end them anywhere.
        beat: Frames a beat.
        n_frames: Length of the music.
    """
    best: tuple[float, tuple[int, ...], int] | None = None
    total = max(1, sum(map(len, onsets)))
    for rank, rows in enumerate((4, 3, 6, 8, 12, 2, 16, 24, 32, 48, 64, 96, 128, 256)):
        length = beat / rows
        if not 1 <= length <= MAX_ROW_FRAMES or n_frames / length > MAX_ROWS:
            continue
        for index, groove in enumerate(_grooves(length, swings=rows == 4 and total <= _MAX_SWUNG)):
            if _crowded(onsets, groove):
                continue
            off = sum(_off_grid(line, groove) for line in onsets)
            cost = off / total + 0.02 * rank + (0.01 if index else 0)
            if best is None or cost < best[0]:
                best = (cost, groove, rows)
            if not off and not rank:
                return groove, rows
    if best is None:  # a row a frame, or as near as the number of rows allows
        frames = min(MAX_ROW_FRAMES, -(-n_frames // MAX_ROWS))
        return (frames,), min(256, max(1, round(beat / frames)))
    return best[1], best[2]


def _grooves(length: Fraction, swings: bool) -> Iterable[tuple[int, ...]]:
    """Yield grooves of this mean length: even ones, and where asked for, two rows of unequal length."""
    near = length.limit_denominator(16)
    count = near.denominator
    floors = [int(near * row) for row in range(count + 1)]
    ceilings = [-int(-near * row) for row in range(count + 1)]
    yield tuple(after - before for before, after in pairwise(floors))
    if count > 1:
        yield tuple(after - before for before, after in pairwise(ceilings))
    if swings and (2 * length).denominator == 1:
        for first in range(1, int(2 * length)):
            if max(first, int(2 * length) - first) <= MAX_ROW_FRAMES:
                yield (first, int(2 * length) - first)


def _crowded(onsets: list[list[int]], groove: tuple[int, ...]) -> bool:
    """Return whether two notes of one voice begin in one row."""
    turn, starts = sum(groove), _starts(groove)
    for line in onsets:
        before = -1
        for onset in line:
            whole, rest = divmod(onset, turn)
            row = whole * len(groove) + bisect_right(starts, rest)
            if row == before:
                return True
            before = row
    return False


def _off_grid(moments: list[int], groove: tuple[int, ...]) -> int:
    """Return how many frames are not the first of a row."""
    turn, starts = sum(groove), set(_starts(groove))
    return sum(moment % turn not in starts for moment in moments)


def _starts(groove: tuple[int, ...]) -> list[int]:
    return [sum(groove[:row]) for row in range(len(groove))]


def _nearest(starts: list[int], frame: int, left_out: Counter[str]) -> int:
    after = min(bisect_left(starts, frame), len(starts) - 1)
    row = min((max(0, after - 1), after), key=lambda row: abs(starts[row] - frame))
    if starts[row] != frame:
        left_out["the loop moves to the nearest row"] = 1
    return row


def _rows(
    lines: dict[str, list[_Sounding]], starts: list[int], left_out: Counter[str]
) -> tuple[dict[str, tuple[Cell, ...]], tuple[Instrument, ...]]:
    """Return the cells of each voice, and the instruments that give the notes their volumes and timbres."""
    n_rows = len(starts) - 1
    wanted: list[tuple[str, int, tuple[str, int], tuple[tuple[int, int], ...], _Sounding]] = []
    parts: dict[str, list[Cell]] = {voice: [HOLD] * n_rows for voice in VOICES}
    for voice, line in lines.items():
        taken: dict[int, _Sounding] = {}
        for note in line:
            row = min(bisect_right(starts, note.onset) - 1, n_rows - 1)
            if row in taken:
                left_out[f"notes of {VOICE_NAMES[voice]} too near to the one before"] += 1
                continue
            taken[row] = note
        rows = sorted(taken)
        for row, following in zip_longest(rows, rows[1:]):
            note = taken[row]
            states = note.states
            until = starts[-1] if following is None else taken[following].onset
            if note.end < until:  # silence follows: a rest where a row begins then, else an envelope that ends
                at = bisect_left(starts, note.end)
                if at < n_rows and starts[at] == note.end and at not in taken:
                    parts[voice][at] = REST
                elif len(states) < MAX_ENVELOPE_FRAMES:
                    states = (*states, (0, states[-1][1]))
                else:
                    left_out[f"ends of long notes of {VOICE_NAMES[voice]} move to a row"] += 1
                    if at < n_rows and at not in taken:
                        parts[voice][at] = REST
            states = states[:MAX_ENVELOPE_FRAMES]
            group = (VOICE_KINDS[voice], note.pitch if voice == "NO" else 0)
            if voice == "NO":  # the mode is the instrument's, for the whole note
                if len({timbre & 1 for volume, timbre in states if volume}) > 1:
                    left_out["changes of the noise mode within a note"] += 1
                mode = states[0][1] & 1
                states = tuple((volume, mode) for volume, _ in states)
            wanted.append((voice, row, group, states, note))
    instruments, chosen = _share([(group, states) for _, _, group, states, _ in wanted], left_out)
    for (voice, row, _, _, note), index in zip(wanted, chosen, strict=True):
        if index is not None:
            pitch = None if voice == "NO" else note.pitch
            parts[voice][row] = Note(index, pitch, note.onset - starts[row])
    return {voice: tuple(part) for voice, part in parts.items()}, instruments


def _share(
    wanted: list[tuple[tuple[str, int], tuple[tuple[int, int], ...]]], left_out: Counter[str]
) -> tuple[tuple[Instrument, ...], list[int | None]]:
    """Return instruments and which of them plays each note: a note that is cut short shares the one of a longer note."""
    found: dict[tuple[str, int], list[tuple[tuple[tuple[int, int], ...], int]]] = {}
    instruments: list[Instrument] = []
    known: dict[tuple[tuple[str, int], tuple[tuple[int, int], ...]], int | None] = {}
    for group, states in sorted(dict.fromkeys(wanted), key=lambda item: (-len(item[1]), item)):
        core = _without_tail(states)
        same = found.setdefault(group, [])
        index = next(
            (
                index
                for other, index in same
                if (other[: len(states)] == states if len(states) <= len(other) else core == other)
            ),
            None,
        )
        if index is None and len(instruments) < MAX_INSTRUMENTS:
            index = len(instruments)
            instruments.append(_to_instrument(group, core))
            same.append((core, index))
        elif index is None:
            left_out["notes that play the nearest of 256 instruments"] += 1
            index = next((index for other, index in same), None)
        known[group, states] = index
    chosen = [known[item] for item in wanted]
    # Numbered by first use, so that the first note plays instrument 0.
    order = list(dict.fromkeys(index for index in chosen if index is not None))
    numbers: dict[int | None, int] = {index: number for number, index in enumerate(order)}
    return tuple(instruments[index] for index in order), [numbers.get(index) for index in chosen]


def _without_tail(states: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Return the states without those at the end that only repeat the last."""
    length = len(states)
    while length > 1 and states[length - 2] == states[-1]:
        length -= 1
    return states[:length]


def _to_instrument(group: tuple[str, int], states: tuple[tuple[int, int], ...]) -> Instrument:
    kind, period = group
    volume = tuple(volume for volume, _ in states)
    timbres = tuple(timbre for _, timbre in states)
    if kind == "triangle":
        return Instrument(kind, volume)
    if kind == "noise":
        return Instrument(kind, volume, period=period, mode=timbres[0])
    return Instrument(kind, volume, duty=timbres[0], duties=timbres if len(set(timbres)) > 1 else ())


# Any other file

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


def _key_to_period(key: int) -> int:
    return _INSTRUMENTS[_KEYS.get(key, _SNARE)].period


def _arrange(midi: _Midi, left_out: Counter[str]) -> Score:
    row_ticks = midi.ticks_per_beat / Fraction(8 if isinstance(midi.ticks_per_beat, Fraction) else 4)
    sounding = [note for track in midi.tracks for note in (*track.notes, *track.drums)]
    if not sounding:
        raise FormatError("the MIDI file has no notes")
    bar = midi.signatures[0][1] if midi.signatures else Fraction(4)
    if len({length for _, length in midi.signatures}) > 1:
        left_out["changes of the time signature"] += 1
    bar_rows = min(256, max(1, round(bar * 4)))
    last = max(note.end for note in sounding)
    n_rows = -(-max(1, _count(last, row_ticks)[0]) // bar_rows) * bar_rows
    if n_rows > MAX_ROWS:
        raise FormatError(f"the music must have at most {MAX_ROWS} sixteenths, not {n_rows}")

    def to_rows(notes: list[_MidiNote]) -> list[_MidiNote]:
        found = []
        for note in notes:
            first, exact = _count(note.start, row_ticks)
            if not exact:
                left_out["notes moved to the nearest sixteenth"] += 1
            if first < n_rows:
                end = max(first + 1, _count(note.end, row_ticks)[0])
                found.append(_MidiNote(first, min(end, n_rows), note.pitch, note.velocity))
        return sorted(found, key=lambda note: (note.start, -note.pitch))

    lines = _lines([to_rows(track.notes) for track in midi.tracks if track.notes], left_out)
    drums = to_rows([note for track in midi.tracks for note in track.drums])
    voices = {voice: _line_cells(lines.get(voice, []), voice, n_rows, left_out) for voice in ("P1", "P2", "TR")}
    voices["NO"] = _drum_cells(drums, n_rows, left_out)
    loop = _loop_ticks(midi)
    rows = None
    if loop is not None:
        first, end = (min(n_rows, _count(tick, row_ticks)[0]) for tick in loop)
        rows = (first, end) if first < end else None
    return Score(
        voices=voices,
        instruments=_INSTRUMENTS,
        groove=_tempo_groove(midi, row_ticks, n_rows, left_out),
        bar_rows=bar_rows,
        beat_rows=4,
        loop=rows,
        title=_title(midi),
    )


def _tempo_groove(midi: _Midi, row_ticks: Fraction, n_rows: int, left_out: Counter[str]) -> tuple[int, ...]:
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
    frames = [round(seconds * FRAME_RATE_HZ) for seconds in _seconds(ticks, tempos, midi.ticks_per_beat)]
    lengths = [after - before for before, after in pairwise(frames)]
    if any(not 1 <= length <= MAX_ROW_FRAMES for length in lengths):
        left_out["the tempo is beyond 1 to 64 frames a row"] += 1
    return shortest_groove([min(MAX_ROW_FRAMES, max(1, length)) for length in lengths])


def _lines(tracks: list[list[_MidiNote]], left_out: Counter[str]) -> dict[str, list[_MidiNote]]:
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


def _outline(notes: list[_MidiNote], sign: int) -> tuple[list[_MidiNote], list[_MidiNote]]:
    """Return the highest line of notes, or with sign -1 the lowest, and the notes that are not in it."""
    line: list[_MidiNote] = []
    rest: list[_MidiNote] = []
    for note in sorted(notes, key=lambda note: (note.start, -sign * note.pitch)):
        if line and note.start < line[-1].end and sign * note.pitch <= sign * line[-1].pitch:
            rest.append(note)
        else:
            line.append(note)
    return line, rest


def _line_cells(line: list[_MidiNote], voice: str, n_rows: int, left_out: Counter[str]) -> tuple[Cell, ...]:
    part: list[Cell] = [HOLD] * n_rows
    instrument = {"P1": _LEAD, "P2": _SECOND, "TR": _BASS}[voice]
    for index, note in enumerate(line):
        if index and line[index - 1].start == note.start:
            left_out["notes too near to the one before"] += 1
            continue
        pitch = _voice_pitch(note.pitch, voice, louder=False)
        if pitch != note.pitch:
            left_out[f"notes of {VOICE_NAMES[voice]} moved by octaves into its range"] += 1
        part[note.start] = Note(instrument, pitch, volume=max(1, round(note.velocity * MAX_VOLUME / 127)))
        following = line[index + 1].start if index + 1 < len(line) else n_rows
        if note.end < following:
            part[note.end] = REST
    return tuple(part)


def _drum_cells(drums: list[_MidiNote], n_rows: int, left_out: Counter[str]) -> tuple[Cell, ...]:
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
