"""The notes, controls, bends and marks of any MIDI file, in ticks. Makes no score: midi_import.py does, midi_pieces.py makes parts of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, NamedTuple

from nesasset.arranging.piece import PartNote
from nesasset.formats.midi import MAX_EVENTS, RPG_MAKER_LOOP, TIMBRE, VOLUME, read_events, read_tracks
from nesasset.units import VOICES

_DRUMS: Final = 9  # General MIDI's channel 10
_BEND_RANGE: Final = 200  # cents, where a file does not set it
_CHANNEL_VOLUME, _USUAL_VOLUME = 7, 100  # control change, and General MIDI's value before any
_LOOPS: Final = {RPG_MAKER_LOOP: "cc111", 116: "cc116", 117: "cc117"}  # RPG Maker's start; EMIDI's start and end


class MidiNote(NamedTuple):
    """A note of any track."""

    start: int
    end: int
    """In ticks, in frames or in rows."""
    pitch: int
    velocity: int


@dataclass(slots=True)
class MidiTrack:
    """One track: its notes, those of the drum channel apart; and in file order what changes, as tick and value."""

    name: str = ""
    notes: list[MidiNote] = field(default_factory=list)
    drums: list[MidiNote] = field(default_factory=list)
    volumes: list[tuple[int, int]] = field(default_factory=list)
    """Control change 11."""
    timbres: list[tuple[int, int]] = field(default_factory=list)
    """Control change 12."""
    bends: list[tuple[int, int]] = field(default_factory=list)
    """In cents, under the range that the file sets."""
    texts: list[bytes] = field(default_factory=list)
    """Text events."""
    players: dict[int, list[PartNote]] = field(default_factory=dict)
    """The notes once more, by channel, with the channel's volume and expression in their loudness."""
    programs: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Program changes by channel, as tick and General MIDI's number from 0."""


@dataclass(slots=True)
class Midi:
    """A whole file."""

    ticks_per_beat: int | Fraction
    """A Fraction counts ticks a second."""
    tracks: list[MidiTrack] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    """Tick and microseconds a beat."""
    signatures: list[tuple[int, int, int]] = field(default_factory=list)
    """Tick, numerator and the denominator's power of two."""
    marks: dict[str, int] = field(default_factory=dict)
    keys: list[tuple[int, int, bool]] = field(default_factory=list)
    """Tick, sharps (flats are negative) and whether it is minor."""
    end: int = 0


def parse(data: bytes) -> Midi:
    """Read a file.

    Raises:
        FormatError: The data are no MIDI file of type 0 or 1, are damaged, or have too many events.
    """
    division, tracks = read_tracks(data)
    midi = Midi(division)
    room = MAX_EVENTS
    for index, content in enumerate(tracks):
        room -= _read_track(midi, content, index, room)
    midi.tempos.sort()
    midi.signatures.sort()
    return midi


def _read_track(midi: Midi, content: bytes, index: int, room: int) -> int:
    """Add a track of at most so many events, and return how many it has."""
    track = MidiTrack()
    midi.tracks.append(track)
    sounding: dict[int, tuple[int, int, int]] = {}  # by 128 times the channel plus the key: tick, velocity, loudness
    volumes: dict[int, int] = {}  # of each channel
    expressions: dict[int, int] = {}
    parameters: dict[int, dict[int, int]] = {}  # by channel: controls 98 to 101, 6 and 38, that set a bend's range
    ranges: dict[int, int] = {}

    def close(key: int, tick: int) -> None:
        start, velocity, loudness = sounding.pop(key)
        notes = track.drums if key >> 7 == _DRUMS else track.notes
        notes.append(MidiNote(start, tick, key & 0x7F, velocity))
        track.players.setdefault(key >> 7, []).append(PartNote(start, tick, key & 0x7F, loudness))

    tick = count = 0
    for tick, status, first, second in read_events(content, index, room):
        count += 1
        kind = status & 0xF0
        if kind <= 0x90:
            key = (status & 0x0F) << 7 | first
            if key in sounding:
                close(key, tick)
            if kind == 0x90 and second:
                channel = status & 0x0F
                level = volumes.get(channel, _USUAL_VOLUME) * expressions.get(channel, 127)
                sounding[key] = (tick, second, max(1, second * level // (_USUAL_VOLUME * 127)))
        elif kind == 0xB0:
            if first == VOLUME:
                track.volumes.append((tick, second))
                expressions[status & 0x0F] = second
            elif first == _CHANNEL_VOLUME:
                volumes[status & 0x0F] = second
            elif first == TIMBRE:
                track.timbres.append((tick, second))
            elif first in _LOOPS:
                midi.marks.setdefault(_LOOPS[first], tick)
            elif first in (6, 38, 98, 99, 100, 101):
                channel = status & 0x0F
                ranges[channel] = _bend_range(parameters.setdefault(channel, {}), first, second, ranges.get(channel))
        elif kind == 0xC0:
            track.programs.setdefault(status & 0x0F, []).append((tick, first))
        elif kind == 0xE0:
            reach = ranges.get(status & 0x0F, _BEND_RANGE)
            track.bends.append((tick, _to_cents((second << 7 | first) - 8192, reach)))
        elif status == 0xFF:
            _read_meta(midi, track, tick, first, second)
    midi.end = max(midi.end, tick)
    for key in list(sounding):
        close(key, midi.end)
    track.notes.sort(key=lambda note: (note.start, -note.pitch))
    return count


def _bend_range(parameters: dict[int, int], control: int, value: int, reach: int | None) -> int:
    """Return a channel's bend range in cents after a control: registered parameter 0, data in 6 and 38."""
    reach = _BEND_RANGE if reach is None else reach
    if control in (98, 99):  # a parameter that is not registered: data is not for us until 100 and 101 come again
        parameters.pop(100, None)
        parameters.pop(101, None)
    elif control in (100, 101):
        parameters[control] = value
    elif parameters.get(100) == 0 and parameters.get(101) == 0:
        semitones, cents = divmod(reach, 100)
        return 100 * value + cents if control == 6 else 100 * semitones + min(value, 99)
    return reach


def _to_cents(wheel: int, reach: int) -> int:
    """Return a position of the wheel, -8192 to 8191, in cents, rounded half up."""
    return (2 * wheel * reach + 8192) // 16384


def _read_meta(midi: Midi, track: MidiTrack, tick: int, kind: int, content: bytes) -> None:
    if kind == 0x51 and len(content) == 3:
        midi.tempos.append((tick, max(1, int.from_bytes(content, "big"))))
    elif kind == 0x01:
        track.texts.append(content)
    elif kind == 0x03 and not track.name:
        track.name = to_name(content)
    elif kind == 0x06:
        midi.marks.setdefault(_to_mark(content), tick)
    elif kind == 0x59 and len(content) == 2 and content[1] < 2:
        sharps = content[0] - 256 if content[0] > 127 else content[0]
        if -7 <= sharps <= 7:
            midi.keys.append((tick, sharps, bool(content[1])))
    elif kind == 0x58 and len(content) == 4 and content[0] and content[1] < 8:
        midi.signatures.append((tick, content[0], content[1]))


def _to_mark(content: bytes) -> str:
    """Return a marker in one spelling: 'Loop Start', 'LOOPSTART' and 'loop_start' are one."""
    return "".join(letter for letter in content[:64].decode(errors="replace").lower() if letter.isalnum())


def to_name(content: bytes) -> str:
    """Return a track's name as it is read, at most 1024 bytes of it."""
    return content[:1024].decode(errors="replace")


def title_of(midi: Midi) -> str:
    """Return the name of the first track, if that is a title and no voice's name."""
    first = midi.tracks[0]
    return "" if first.notes or first.drums or first.name.upper() in VOICES else first.name


def bar_of(midi: Midi) -> Fraction:
    """Return the quarter notes of a bar, by the first time signature."""
    _, numerator, power = midi.signatures[0] if midi.signatures else (0, 4, 2)
    return Fraction(4 * numerator, 1 << power)


def loop_ticks(midi: Midi) -> tuple[int, int] | None:
    """Return the loop's start and end; None without one.

    Markers loopStart and loopEnd (Final Fantasy's, and LOOPSTART in other spellings), control change 111 (RPG Maker's) or
    116 and 117 (EMIDI's). Without an end the file's is meant.
    """
    start = next((midi.marks[name] for name in ("loopstart", "cc111", "cc116") if name in midi.marks), None)
    if start is None:
        return None
    end = next((midi.marks[name] for name in ("loopend", "cc117") if name in midi.marks), midi.end)
    return (start, end) if start < end else None
