"""Scores as standard MIDI files, and what a MIDI file says about itself. Reading NES-MDB's MIDI is nesmdb_midi.py.

The layout is NES-MDB's, so that tools for that data read ours: after a track of tempo and marks, four tracks p1, p2, tr
and no; velocity and control change 11 carry the volume 0 to 15 (triangle: velocity 1), control change 12 the duty or the
noise mode; a voice whose volume falls to 0 ends its note; a second time signature stands at the song's end. The noise
note is 16 minus the period index: 1 is the lowest hiss, 16 the highest (nesmdb's score/rawsco.py computes it so).

Slides and vibratos are pitch bend, arpeggios fast notes; midi_frames.py says why. What notes cannot say (instruments, names,
rows) stands in the first track as text: the lines of the score's JSON, each bar where it begins.

Unlike NES-MDB's, our tempo is the music's: a beat is a quarter note, and every frame (1/60 s) is a whole number of
ticks, so notes are exact in frames whatever the groove. When the average beat is no simple number of frames (a groove of
very many numbers), the quarter note becomes a whole number of frames near the beat: times stay exact, bar lines do not.

The loop is told three ways: markers loopStart and loopEnd, and control change 111 at its start for RPG Maker, on the
first track, where readers of NES-MDB do not look for controls.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any, Final

from nesasset.errors import FormatError, ScoreError
from nesasset.formats import files
from nesasset.score import Score
from nesasset.units import FRAME_RATE_HZ, VOICES

MAX_BYTES: Final = 4 * 1024 * 1024  # the largest file of NES-MDB has less than 1 MiB
MAX_EVENTS: Final = 250_000  # a quarter of an hour in which all four voices change in every frame
MAX_TRACKS: Final = 256
MAX_SECONDS: Final = 24 * 3600
_MAX_TICKS: Final = 0x0FFF_FFFF  # MIDI's longest delta time, 28 bits
_TICKS_PER_BEAT: Final = 480  # at least this many, where possible
_MAX_TICKS_PER_BEAT: Final = 4000
_MAX_TEMPO_US: Final = 0xFF_FFFF  # 24 bits
_CHANNELS: Final = {"P1": 0, "P2": 1, "TR": 2, "NO": 9}  # 9 is General MIDI's percussion
# General MIDI programs that NES-MDB uses: square lead, saw lead, synth bass 1, breath noise.
_PROGRAMS: Final = {"P1": 80, "P2": 81, "TR": 38, "NO": 121}
VOLUME, TIMBRE, RPG_MAKER_LOOP = 11, 12, 111  # control changes
GENERAL_MIDI_SCALE: Final = 8  # volume 15 becomes 120 of 127
_TRIANGLE_VELOCITY: Final = 12  # times 8; the triangle has one loudness, near that of a pulse at 12
_MAX_TEXT: Final = 1024 * 1024  # bytes of a score's JSON; a longer one would make a file that no player wants
_TEXT, _TRACK_NAME, _MARKER, _END, _TEMPO, _SIGNATURE = 0x01, 0x03, 0x06, 0x2F, 0x51, 0x58  # meta events


@dataclass(frozen=True, slots=True)
class MidiTrack:
    """One track that holds notes."""

    name: str
    n_notes: int
    lowest: int
    """Lowest MIDI note number."""
    highest: int


@dataclass(frozen=True, slots=True)
class MidiInfo:
    """What a MIDI file says about itself."""

    title: str
    """Name of the first track, when that track has no notes."""
    seconds: float
    """Time of the last event."""
    tempo_bpm: float
    """First tempo, in quarter notes a minute; 120 when none is given, 0 in a file that counts frames."""
    tracks: tuple[MidiTrack, ...]
    """Tracks with notes, in file order."""
    loop_seconds: tuple[float, float] | None
    """Start and end by markers loopStart and loopEnd, or by control change 111 and the last event; None without."""


# Writing


def encode(score: Score, general_midi: bool = False) -> bytes:
    """Return a score as the bytes of a MIDI file of type 1, the same for the same score. Inverse: `midi_import.loads`.

    Args:
        score: The score. What a voice's delay pushes past the end of the pass is not heard.
        general_midi: Write for common MIDI players instead of NES-MDB's tools: volumes times 8 (15 of 127 can hardly
            be heard), the triangle at 96, and noise on the percussion keys of General MIDI, without its arpeggios.
    """
    ticks_per_frame, frames_per_beat = frame_clock(score)
    parts = [_mark_events(score, frames_per_beat), *(_voice_events(score, voice, general_midi) for voice in VOICES)]
    tracks = [_track([*events, (score.n_frames, _meta(_END))], ticks_per_frame) for events in parts]
    division = int(ticks_per_frame * frames_per_beat)
    head = b"".join(number.to_bytes(2, "big") for number in (1, len(tracks), division))
    return b"MThd" + len(head).to_bytes(4, "big") + head + b"".join(tracks)


def save(score: Score, path: str | os.PathLike[str], general_midi: bool = False) -> None:
    """Write a MIDI file, whole or not at all; see `encode`.

    Raises:
        OutputError: The file cannot be written.
    """
    files.write_bytes(path, encode(score, general_midi))


def frame_clock(score: Score) -> tuple[int, Fraction]:
    """Return ticks a frame, a whole number, and frames a beat; their product, ticks a beat, is whole too.

    The tempo is stored in whole microseconds a beat. At 24 frames a beat that is exact; at its worst, one frame a beat,
    it is 20 millionths off.
    """
    beat = Fraction(score.beat_rows * sum(score.groove), len(score.groove))
    multiple = max(1, _TICKS_PER_BEAT // beat.numerator)
    ticks_per_frame = multiple * beat.denominator
    simple = beat.numerator <= _MAX_TICKS_PER_BEAT and score.n_frames * ticks_per_frame <= _MAX_TICKS
    if simple and tempo_us(beat) <= _MAX_TEMPO_US:
        return ticks_per_frame, beat
    beat = Fraction(min(max(1, round(beat)), _MAX_TEMPO_US * FRAME_RATE_HZ // 1_000_000))
    return max(1, min(_TICKS_PER_BEAT // beat.numerator, _MAX_TICKS // score.n_frames)), beat


def tempo_us(frames_per_beat: Fraction) -> int:
    """Return the microseconds a beat that a file says."""
    return round(frames_per_beat * 1_000_000 / FRAME_RATE_HZ)


def time_signature(score: Score) -> tuple[int, int]:
    """Return numerator and denominator: 4/4 for 16 rows of 4 a beat, 7/8 for 14.

    MIDI knows only powers of two below the line: a bar of a third of a beat more is rounded to whole beats.
    """
    bar = Fraction(score.bar_rows, score.beat_rows)
    if bar.denominator & (bar.denominator - 1):
        bar = Fraction(max(1, round(bar)))
    numerator, denominator = bar.numerator, 4 * bar.denominator
    while numerator > 255 or (numerator > 16 and numerator % 2 == 0 and denominator > 1):
        numerator, denominator = -(-numerator // 2), max(1, denominator // 2)
    return numerator, denominator


def track_title(score: Score) -> str:
    """Return the title as the first track has it: a lone surrogate has no bytes in a file."""
    return score.title.encode(errors="replace").decode()


_Event = tuple[int, bytes]  # frame and message


def _mark_events(score: Score, frames_per_beat: Fraction) -> list[_Event]:
    """Return everything that belongs to no voice, in time order."""
    numerator, denominator = time_signature(score)
    events = [
        (0, _meta(_TRACK_NAME, track_title(score).encode())),
        (0, _meta(_TEMPO, tempo_us(frames_per_beat).to_bytes(3, "big"))),
        (0, _meta(_SIGNATURE, bytes([numerator, denominator.bit_length() - 1, 24, 8]))),
        *_texts(score),
    ]
    if score.loop_frames is not None:
        start, end = score.loop_frames
        events += [
            (start, _meta(_MARKER, b"loopStart")),
            (start, bytes([0xB0, RPG_MAKER_LOOP, 0])),
            (end, _meta(_MARKER, b"loopEnd")),
        ]
    # NES-MDB's sign for the end of the song.
    events.append((score.n_frames, _meta(_SIGNATURE, bytes([1, 0, 24, 8]))))
    return sorted(events, key=lambda event: event[0])


def _texts(score: Score) -> list[_Event]:
    """Return the score's JSON, a text a line, each bar where it begins; nothing for a score that JSON cannot hold."""
    from nesasset.formats import score_json

    try:
        lines = score_json.dumps(score).removesuffix("\n").split("\n")
    except ScoreError:  # its provenance is no JSON, or a text no Unicode; notes and title are told all the same
        return []
    # ASCII, because programs disagree about how a text event is encoded.
    texts = [re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], line).encode() for line in lines]
    if sum(map(len, texts)) > _MAX_TEXT:
        return []
    first = texts.index(b'"bars": [') + 1
    rows, turn = len(score.groove), sum(score.groove)
    starts = [0, *accumulate(score.groove)]
    bars = [row // rows * turn + starts[row % rows] for row in range(0, score.n_rows, score.bar_rows)]
    frames = [0] * first + bars
    frames += [score.n_frames] * (len(texts) - len(frames))
    return [(frame, _meta(_TEXT, text)) for frame, text in zip(frames, texts, strict=True)]


def _voice_events(score: Score, voice: str, general_midi: bool) -> list[_Event]:
    """Return the events of one voice in time order; at one frame note-off, controls, note-on."""
    import numpy as np

    from nesasset.formats.midi_frames import score_frames

    channel = _CHANNELS[voice]
    on, off, control, wheel = (kind | channel for kind in (0x90, 0x80, 0xB0, 0xE0))
    scale = GENERAL_MIDI_SCALE if general_midi else 1
    events: list[_Event] = [
        (0, _meta(_TRACK_NAME, voice.lower().encode())),
        (0, bytes([0xC0 | channel, _PROGRAMS[voice]])),
    ]
    frames = score_frames(score, voice, general_midi)
    # The triangle has no volume, and MIDI no velocity 0.
    levels = frames.volumes.astype(int) * scale
    if voice == "TR":
        levels[:] = _TRIANGLE_VELOCITY * scale if general_midi else 1
    sounds = frames.keys >= 0
    heard = np.flatnonzero(sounds)
    reach = 0 if not len(heard) else int(np.abs(frames.bends[heard]).max())
    semitones = max(2, -(-reach // 100))  # 2 is what a player takes for granted, should it not know how to be told
    wheels = np.rint(frames.bends * (8192 / (100 * semitones))).astype(int).clip(-8192, 8191) + 8192
    if reach:  # registered parameter 0, the range of the wheel; parameter 127/127 closes it to further data
        for number, value in ((101, 0), (100, 0), (6, semitones), (38, 0), (101, 127), (100, 127)):
            events.append((0, bytes([control, number, value])))
    new_timbre, new_wheel = np.zeros_like(sounds), np.zeros_like(sounds)
    new_timbre[heard] = np.diff(frames.timbres[heard], prepend=0) != 0
    new_wheel[heard] = np.diff(wheels[heard], prepend=8192) != 0
    if reach and score.loop_frames is not None:  # a player that jumps here keeps the bend of where it comes from
        new_wheel[heard[heard >= score.loop_frames[0]][:1]] = True
    ends = np.diff(sounds, prepend=False) & ~sounds
    new_level = sounds & (np.diff(levels, prepend=0) != 0)
    key = -1
    for frame in np.flatnonzero(frames.onsets | ends | new_timbre | new_wheel | new_level).tolist():
        onset, level = bool(frames.onsets[frame]), int(levels[frame])
        if key >= 0 and (onset or ends[frame]):
            events.append((frame, bytes([off, key, 0])))
            key = -1
        if new_timbre[frame]:
            events.append((frame, bytes([control, TIMBRE, int(frames.timbres[frame])])))
        if new_wheel[frame]:
            wheel_at = int(wheels[frame])
            events.append((frame, bytes([wheel, wheel_at & 0x7F, wheel_at >> 7])))
        if onset:
            if general_midi and voice != "TR":
                # Controls hold from note to note in a player; NES-MDB's tools take the velocity as the new volume.
                events.append((frame, bytes([control, VOLUME, level])))
            key = int(frames.keys[frame])
            events.append((frame, bytes([on, key, level])))
        elif new_level[frame]:
            events.append((frame, bytes([control, VOLUME, level])))
    if key >= 0:
        events.append((score.n_frames, bytes([off, key, 0])))
    return events


def _meta(kind: int, content: bytes = b"") -> bytes:
    return bytes([0xFF, kind]) + _number(len(content)) + content


def _number(value: int) -> bytes:
    """Return a number as MIDI writes it: seven bits a byte, the high bit set in all but the last."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F | 0x80)
    return bytes(reversed(parts))


def _track(events: list[_Event], ticks_per_frame: int) -> bytes:
    content = bytearray()
    previous, running = 0, 0
    for frame, message in events:
        content += _number((frame - previous) * ticks_per_frame)
        # Running status: the same first byte is not repeated.
        content += message[1:] if message[0] == running else message
        previous, running = frame, message[0] if message[0] < 0xF0 else 0
    return b"MTrk" + len(content).to_bytes(4, "big") + bytes(content)


# Reading


Event = tuple[int, int, int, Any]
"""Tick; status (first byte of a channel message, 0xFF for a meta event, 0xF0 and 0xF7 for system exclusive); first data byte,
or kind of a meta event; second data byte (0 where there is none), or content."""


def describe(path: str | os.PathLike[str]) -> MidiInfo:
    """Return what a MIDI file says about itself, ours or any other of type 0 or 1.

    The file is walked once, event by event: every event takes a byte at least, so no file is endless.

    Raises:
        FormatError: The file cannot be read, is no MIDI file, is damaged or cut off, or lasts longer than a day.
    """
    data = files.read_bytes(path, MAX_BYTES)
    try:
        return _describe(data)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)}: {error}") from error


def _describe(data: bytes) -> MidiInfo:
    ticks_per_beat, tracks = read_tracks(data)
    names: dict[int, str] = {}
    notes: dict[int, list[int]] = {}  # track: count, lowest, highest
    tempos: list[tuple[int, int]] = []  # tick, microseconds a beat
    marks: dict[str, int] = {}
    end, room = 0, MAX_EVENTS
    for index, track in enumerate(tracks):
        for tick, status, first, second in read_events(track, index, room):
            end = max(end, tick)
            room -= 1
            if status & 0xF0 == 0x90 and second:
                found = notes.setdefault(index, [0, 127, 0])
                found[:] = found[0] + 1, min(found[1], first), max(found[2], first)
            elif status & 0xF0 == 0xB0 and first == RPG_MAKER_LOOP:
                marks.setdefault("cc111", tick)
            elif status == 0xFF:
                if first == _TEMPO and len(second) == 3:
                    tempos.append((tick, int.from_bytes(second, "big")))
                elif first == _TRACK_NAME:
                    names.setdefault(index, second.decode(errors="replace"))
                elif first == _MARKER:
                    marks.setdefault(second[:63].decode(errors="replace").lower(), tick)
    tempos.sort()
    start, stop = marks.get("loopstart", marks.get("cc111")), marks.get("loopend", end)
    loop = None if start is None or stop <= start else (start, stop)
    moments = [end, *(loop or ())]
    seconds = dict(zip(sorted(moments), to_seconds(sorted(moments), tempos, ticks_per_beat), strict=True))
    if seconds[end] > MAX_SECONDS:
        raise FormatError(
            f"a MIDI file must last at most {MAX_SECONDS} seconds, not {seconds[end]:.0f}; it may be damaged"
        )
    first_tempo = next((tempo for tick, tempo in tempos if tempo > 0), 500_000)
    return MidiInfo(
        title="" if 0 in notes else names.get(0, ""),
        seconds=seconds[end],
        tempo_bpm=60_000_000 / first_tempo if isinstance(ticks_per_beat, int) else 0.0,
        tracks=tuple(MidiTrack(names.get(index, ""), *found) for index, found in notes.items()),
        loop_seconds=None if loop is None else (seconds[loop[0]], seconds[loop[1]]),
    )


def to_seconds(ticks: list[int], tempos: list[tuple[int, int]], ticks_per_beat: int | Fraction) -> Iterator[float]:
    """Yield the time of each tick, rising, under a tempo map; a Fraction is ticks a second and needs no map."""
    if isinstance(ticks_per_beat, Fraction):
        yield from (float(tick / ticks_per_beat) for tick in ticks)
        return
    at, tempo, microseconds, index = 0, 500_000, 0, 0  # whole microseconds times ticks a beat: exact
    for tick in ticks:
        while index < len(tempos) and tempos[index][0] <= tick:
            microseconds += (tempos[index][0] - at) * tempo
            at, tempo = tempos[index]
            index += 1
        yield (microseconds + (tick - at) * tempo) / ticks_per_beat / 1e6


def read_tracks(data: bytes) -> tuple[int | Fraction, list[bytes]]:
    """Return ticks a beat (or, as a Fraction, a second) and the bytes of every track."""
    if data[:4] != b"MThd" or len(data) < 14 or int.from_bytes(data[4:8], "big") < 6:
        raise FormatError("the file is no MIDI file: it does not begin with MThd and a header")
    kind, n_tracks = int.from_bytes(data[8:10], "big"), int.from_bytes(data[10:12], "big")
    if kind not in (0, 1):
        raise FormatError(f"a MIDI file must be of type 0 or 1, not {kind}")
    if not 1 <= n_tracks <= MAX_TRACKS:
        raise FormatError(f"a MIDI file must have between 1 and {MAX_TRACKS} tracks, not {n_tracks}")
    division: int | Fraction = int.from_bytes(data[12:14], "big")
    if data[12] & 0x80:  # SMPTE: minus the frames a second (29 means 30 000 / 1001), and ticks a frame
        frames = 256 - data[12]
        division = (Fraction(30_000, 1001) if frames == 29 else Fraction(frames)) * data[13]
    if not division:
        raise FormatError("a MIDI file must have at least one tick a beat, not 0")
    tracks: list[bytes] = []
    at = 8 + int.from_bytes(data[4:8], "big")
    while len(tracks) < n_tracks:
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if at + 8 + size > len(data):
            raise FormatError(f"the MIDI file is cut off in track {len(tracks)} of {n_tracks}")
        if data[at : at + 4] == b"MTrk":  # the standard tells readers to pass over chunks they do not know
            tracks.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return division, tracks


def read_events(track: bytes, index: int, room: int = MAX_EVENTS) -> Iterator[Event]:
    """Yield the events of a track up to its end mark.

    Args:
        track: Its bytes.
        index: What error messages call it.
        room: Most events that may come.

    Raises:
        FormatError: The track is damaged or has more events.
    """
    at, tick, running, size = 0, 0, 0, len(track)
    try:  # an index past the end is the one way in which a number or a message can break off
        for _ in range(room):
            part = track[at]
            at += 1
            if part < 0x80:
                tick += part
            else:
                delta, at = _read_number(track, at - 1, index)
                tick += delta
            status = track[at]
            if status < 0x80:  # running status: the byte is data already
                status = running
            else:
                at += 1
            if 0x80 <= status < 0xF0:
                running = status
                first = track[at]
                if 0xC0 <= status < 0xE0:
                    second = 0
                    at += 1
                else:
                    second = track[at + 1]
                    at += 2
                if first > 0x7F or second > 0x7F:
                    raise FormatError(f"track {index} of the MIDI file has a data byte above 127 before byte {at}")
                yield tick, status, first, second
            elif status in (0xF0, 0xF7, 0xFF):
                running = kind = 0
                if status == 0xFF:
                    kind = track[at]
                    at += 1
                length, at = _read_number(track, at, index)
                if length > size - at:
                    raise IndexError
                yield tick, status, kind, track[at : at + length]
                at += length
                if status == 0xFF and kind == _END:
                    return
            else:
                raise FormatError(f"track {index} of the MIDI file has no event at byte {at - (status >= 0x80)}")
            if at >= size:
                raise FormatError(f"track {index} of the MIDI file lacks its end mark; the file is damaged")
    except IndexError as error:
        if not size:
            raise FormatError(f"track {index} of the MIDI file lacks its end mark; the file is damaged") from error
        raise FormatError(f"track {index} of the MIDI file breaks off in the midst of an event") from error
    raise FormatError(f"a MIDI file must have at most {MAX_EVENTS} events, and this one has more")


def _read_number(track: bytes, at: int, index: int) -> tuple[int, int]:
    """Return a number of up to four bytes, and where the next thing begins."""
    value = 0
    for place in range(at, at + 4):
        part = track[place]
        value = value << 7 | part & 0x7F
        if part < 0x80:
            return value, place + 1
    raise FormatError(f"track {index} of the MIDI file has a number of more than four bytes before byte {at + 4}")
