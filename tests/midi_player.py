"""A player of our MIDI files by the rules of the standard, on mido's reading. No test is in here."""

from __future__ import annotations

import io
from typing import NamedTuple

import mido


class Heard(NamedTuple):
    """One frame of a track in which a note sounds."""

    key: int
    cents: float
    """The bend's part of the pitch."""
    velocity: int
    """Of the note, or what control change 11 has made of it since: NES-MDB's volume."""
    expression: int
    """Control change 11 alone, a player's volume; 127 until there is one."""
    timbre: int
    """Control change 12."""
    begins: bool


def open_file(data: bytes) -> mido.MidiFile:
    """Return a file as mido reads it."""
    return mido.MidiFile(file=io.BytesIO(data))


def to_bytes(file: mido.MidiFile) -> bytes:
    """Return the bytes of a file as mido writes it."""
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def frame_ticks(file: mido.MidiFile) -> int:
    """Return the ticks of 1/60 s."""
    tempo = next(message.tempo for message in file.tracks[0] if message.type == "set_tempo")
    return round(file.ticks_per_beat * 1_000_000 / (60 * tempo))


def play(data: bytes, track: int) -> list[Heard | None]:
    """Return what sounds in each frame of a track, None for silence. Every event must stand at a frame's beginning."""
    file = open_file(data)
    ticks = frame_ticks(file)
    key, velocity, expression, timbre, wheel, begins = -1, 0, 127, 0, 0, False
    parameter: dict[int, int] = {}
    reach = 2.0  # semitones, until registered parameter 0 says otherwise
    frames: list[Heard | None] = []
    for message in file.tracks[track]:
        assert message.time % ticks == 0
        for _ in range(message.time // ticks):
            cents = wheel * reach * 100 / 8192
            frames.append(Heard(key, cents, velocity, expression, timbre, begins) if key >= 0 else None)
            begins = False
        if message.type == "note_on":
            assert key < 0
            key, velocity, begins = message.note, message.velocity, True
        elif message.type == "note_off":
            assert message.note == key
            key = -1
        elif message.type == "pitchwheel":
            wheel = message.pitch
        elif message.type == "control_change":
            if message.control == 11:
                velocity = expression = message.value
            elif message.control == 12:
                timbre = message.value
            elif message.control in (100, 101):
                parameter[message.control] = message.value
            elif message.control == 6 and parameter == {100: 0, 101: 0}:
                reach = float(message.value)
    assert key < 0
    return frames
