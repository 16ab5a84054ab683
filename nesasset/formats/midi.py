"""Scores as standard MIDI files, and what a MIDI file says about itself. Reading NES-MDB's MIDI is nesmdb_midi.py.

The layout is NES-MDB's, so that tools for that data read ours: after a track of tempo and marks, four tracks p1, p2, tr
and no; velocity and control change 11 carry the volume 0 to 15 (triangle: velocity 1), control change 12 the duty or the
noise mode; a voice whose volume falls to 0 ends its note; a second time signature stands at the song's end. The noise
note is 16 minus the period index: 1 is the lowest hiss, 16 the highest (nesmdb's score/rawsco.py computes it so).

Unlike NES-MDB's, our tempo is the music's: a beat is a quarter note, and every frame (1/60 s) is a whole number of
ticks, so notes are exact in frames whatever the groove. When the average beat is no simple number of frames (a groove of
very many numbers), the quarter note becomes a whole number of frames near the beat: times stay exact, bar lines do not.

The loop is told three ways: markers loopStart and loopEnd, and control change 111 at its start for RPG Maker, on the
first track, where readers of NES-MDB do not look for controls.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from nesasset.errors import FormatError
from nesasset.formats import files
from nesasset.formats.sounding import SoundingNote, sounding_notes
from nesasset.score import Score
from nesasset.units import FRAME_RATE_HZ, NOISE_PERIODS, VOICES

MAX_BYTES: Final = 16 * 1024 * 1024  # the largest file of NES-MDB has less than 1 MiB
MAX_TRACKS: Final = 256
MAX_SECONDS: Final = 24 * 3600
_MAX_TICKS: Final = 0x0FFF_FFFF  # MIDI's longest delta time, 28 bits
_TICKS_PER_BEAT: Final = 480  # at least this many, where possible
_MAX_TICKS_PER_BEAT: Final = 4000
_MAX_TEMPO_US: Final = 0xFF_FFFF  # 24 bits
_CHANNELS: Final = {"P1": 0, "P2": 1, "TR": 2, "NO": 9}  # 9 is General MIDI's percussion
# General MIDI programs that NES-MDB uses: square lead, saw lead, synth bass 1, breath noise.
_PROGRAMS: Final = {"P1": 80, "P2": 81, "TR": 38, "NO": 121}
_VOLUME, _TIMBRE, _RPG_MAKER_LOOP = 11, 12, 111
# General MIDI percussion for `general_midi`: closed hi-hat, open hi-hat, snare, low tom, bass drum, by noise period index.
_PERCUSSION: Final = (42,) * 4 + (46,) * 3 + (38,) * 4 + (45,) * 3 + (36,) * 2
_GENERAL_MIDI_SCALE: Final = 8  # volume 15 becomes 120 of 127
_TRIANGLE_VELOCITY: Final = 12  # times 8; the triangle has one loudness, near that of a pulse at 12


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
    """Return a score as the bytes of a MIDI file of type 1, the same for the same score.

    Args:
        score: The score. What a voice's delay pushes past the end of the pass is left out.
        general_midi: Write for common MIDI players instead of NES-MDB's tools: volumes times 8 (15 of 127 can hardly
            be heard), the triangle at 96, and noise on the percussion keys of General MIDI.
    """
    import mido

    ticks_per_frame, frames_per_beat = _clock(score)
    file = mido.MidiFile(type=1, ticks_per_beat=int(ticks_per_frame * frames_per_beat), charset="utf-8")
    end = score.n_frames
    for events in (
        _mark_events(score, frames_per_beat),
        *(_voice_events(score, voice, general_midi) for voice in VOICES),
    ):
        track = mido.MidiTrack()
        previous = 0
        for frame, message in [*events, (end, mido.MetaMessage("end_of_track"))]:
            track.append(message.copy(time=(frame - previous) * ticks_per_frame))
            previous = frame
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def save(score: Score, path: str | os.PathLike[str], general_midi: bool = False) -> None:
    """Write a MIDI file, whole or not at all; see `encode`.

    Raises:
        OutputError: The file cannot be written.
    """
    files.write_bytes(path, encode(score, general_midi))


def _clock(score: Score) -> tuple[int, Fraction]:
    """Return ticks a frame, a whole number, and frames a beat; their product, ticks a beat, is whole too.

    The tempo is stored in whole microseconds a beat. At 24 frames a beat that is exact; at its worst, one frame a beat,
    it is 20 millionths off.
    """
    beat = Fraction(score.beat_rows * sum(score.groove), len(score.groove))
    multiple = max(1, _TICKS_PER_BEAT // beat.numerator)
    ticks_per_frame = multiple * beat.denominator
    simple = beat.numerator <= _MAX_TICKS_PER_BEAT and score.n_frames * ticks_per_frame <= _MAX_TICKS
    if simple and _tempo_us(beat) <= _MAX_TEMPO_US:
        return ticks_per_frame, beat
    beat = Fraction(min(max(1, round(beat)), _MAX_TEMPO_US * FRAME_RATE_HZ // 1_000_000))
    return max(1, min(_TICKS_PER_BEAT // beat.numerator, _MAX_TICKS // score.n_frames)), beat


def _tempo_us(frames_per_beat: Fraction) -> int:
    return round(frames_per_beat * 1_000_000 / FRAME_RATE_HZ)


def _time_signature(score: Score) -> tuple[int, int]:
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


def _mark_events(score: Score, frames_per_beat: Fraction) -> list[tuple[int, Any]]:
    """Return frame and message of everything that belongs to no voice."""
    import mido

    numerator, denominator = _time_signature(score)
    title = score.title.encode(errors="replace").decode()  # a lone surrogate has no bytes in a file
    events = [
        (0, mido.MetaMessage("track_name", name=title)),
        (0, mido.MetaMessage("set_tempo", tempo=_tempo_us(frames_per_beat))),
        (0, mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)),
    ]
    if score.loop_frames is not None:
        start, end = score.loop_frames
        events += [
            (start, mido.MetaMessage("marker", text="loopStart")),
            (start, mido.Message("control_change", channel=0, control=_RPG_MAKER_LOOP, value=0)),
            (end, mido.MetaMessage("marker", text="loopEnd")),
        ]
    # NES-MDB's sign for the end of the song.
    return [*events, (score.n_frames, mido.MetaMessage("time_signature", numerator=1, denominator=1))]


def _voice_events(score: Score, voice: str, general_midi: bool) -> list[tuple[int, Any]]:
    """Return frame and message of one voice, in time order; at one frame note-off, controls, note-on."""
    import mido

    channel = _CHANNELS[voice]
    scale = _GENERAL_MIDI_SCALE if general_midi else 1
    events: list[tuple[int, Any]] = [
        (0, mido.MetaMessage("track_name", name=voice.lower())),
        (0, mido.Message("program_change", channel=channel, program=_PROGRAMS[voice])),
    ]
    timbre = 0
    for sounding in sounding_notes(score, voice):
        number = _note_number(sounding, general_midi)
        instrument = sounding.instrument
        new_timbre = {"pulse": instrument.duty, "noise": instrument.mode, "triangle": 0}[instrument.kind]
        for start, volumes in _audible_runs(sounding.volumes()):
            first = sounding.onset_frame + start
            if new_timbre != timbre:
                events.append(
                    (first, mido.Message("control_change", channel=channel, control=_TIMBRE, value=new_timbre))
                )
                timbre = new_timbre
            # The triangle has no volume, and MIDI no velocity 0.
            levels = volumes if voice != "TR" else [_TRIANGLE_VELOCITY if general_midi else 1] * len(volumes)
            velocity = levels[0]
            if general_midi and voice != "TR":
                # Controls hold from note to note in a player; NES-MDB's tools take the velocity as the new volume.
                events.append(
                    (first, mido.Message("control_change", channel=channel, control=_VOLUME, value=velocity * scale))
                )
            events.append((first, mido.Message("note_on", channel=channel, note=number, velocity=velocity * scale)))
            for frame, (before, level) in enumerate(pairwise(levels), start=first + 1):
                if level != before:
                    events.append(
                        (frame, mido.Message("control_change", channel=channel, control=_VOLUME, value=level * scale))
                    )
            events.append((first + len(levels), mido.Message("note_off", channel=channel, note=number, velocity=0)))
    return events


def _note_number(sounding: SoundingNote, general_midi: bool) -> int:
    if sounding.note.pitch is not None:
        return sounding.note.pitch
    period = sounding.instrument.period
    return _PERCUSSION[period] if general_midi else NOISE_PERIODS - period


def _audible_runs(volumes: tuple[int, ...]) -> Iterator[tuple[int, list[int]]]:
    """Yield first index and volumes of each stretch without a 0."""
    run: list[int] = []
    for index, volume in enumerate((*volumes, 0)):
        if volume:
            run.append(volume)
        elif run:
            yield index - len(run), run
            run = []


# Reading


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a track at its tick."""

    tick: int
    track: int
    status: int
    """First byte of a channel message; 0xFF for a meta event, 0xF0 and 0xF7 for system exclusive."""
    data: bytes
    """Data bytes of a channel message; type and text of a meta event."""


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
    end = 0
    for index, track in enumerate(tracks):
        for event in read_events(track, index):
            end = max(end, event.tick)
            if event.status & 0xF0 == 0x90 and event.data[1] > 0:
                found = notes.setdefault(index, [0, 127, 0])
                found[:] = found[0] + 1, min(found[1], event.data[0]), max(found[2], event.data[0])
            elif event.status & 0xF0 == 0xB0 and event.data[0] == _RPG_MAKER_LOOP:
                marks.setdefault("cc111", event.tick)
            elif event.status == 0xFF and event.data[0] == 0x51 and len(event.data) == 4:
                tempos.append((event.tick, int.from_bytes(event.data[1:], "big")))
            elif event.status == 0xFF and event.data[0] == 0x03:
                names.setdefault(index, event.data[1:].decode(errors="replace"))
            elif event.status == 0xFF and event.data[0] == 0x06:
                marks.setdefault(event.data[1:64].decode(errors="replace").lower(), event.tick)
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


def read_events(track: bytes, index: int) -> Iterator[Event]:
    """Yield the events of a track up to its end mark."""
    at, tick, running = 0, 0, 0

    def byte() -> int:
        nonlocal at
        if at >= len(track):
            raise FormatError(f"track {index} of the MIDI file breaks off in the midst of an event")
        at += 1
        return track[at - 1]

    def number() -> int:
        value = 0
        for _ in range(4):
            part = byte()
            value = value << 7 | part & 0x7F
            if part < 0x80:
                return value
        raise FormatError(f"track {index} of the MIDI file has a number of more than four bytes before byte {at}")

    while at < len(track):
        tick += number()
        status = byte()
        if status < 0x80:  # running status: the byte is data already
            at -= 1
            status = running
        if 0x80 <= status < 0xF0:
            running = status
            data = bytes(byte() for _ in range(1 if status & 0xE0 == 0xC0 else 2))
            if max(data) > 0x7F:
                raise FormatError(f"track {index} of the MIDI file has a data byte above 127 before byte {at}")
        elif status in (0xF0, 0xF7, 0xFF):
            running = 0
            kind = bytes([byte()]) if status == 0xFF else b""
            size = number()
            if size > len(track) - at:
                raise FormatError(f"track {index} of the MIDI file breaks off in the midst of an event")
            data = kind + track[at : at + size]
            at += size
            if kind == b"\x2f":
                yield Event(tick, index, status, data)
                return
        else:
            raise FormatError(f"track {index} of the MIDI file has no event at byte {at - 1}")
        yield Event(tick, index, status, data)
    raise FormatError(f"track {index} of the MIDI file lacks its end mark; the file is damaged")
