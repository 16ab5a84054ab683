"""General MIDI songs that a program makes up: a tune, chords, a bass and drums, the same ones for the same seed."""

from __future__ import annotations

import random
from pathlib import Path

from nesasset.formats.midi import _number

SCALE = (0, 2, 4, 5, 7, 9, 11)
TICKS = 480


def _track(events: list[tuple[int, bytes]]) -> bytes:
    content, before = b"", 0
    for tick, message in sorted(events, key=lambda event: (event[0], event[1][0] & 0xF0 == 0x90)):
        content += _number(tick - before) + message
        before = tick
    content += b"\x00\xff\x2f\x00"
    return b"MTrk" + len(content).to_bytes(4, "big") + content


def _note(channel: int, start: int, end: int, pitch: int, velocity: int = 100) -> list[tuple[int, bytes]]:
    unit = TICKS // 4
    return [(start * unit, bytes([0x90 | channel, pitch, velocity])), (end * unit, bytes([0x80 | channel, pitch, 0]))]


def made_up_midi(seed: int, bars: int = 8, tempo_bpm: int = 140) -> bytes:
    """Return a song in sixteenths: an AABA of two-bar phrases over four chords, with a marker where it loops."""
    rng = random.Random(seed)
    key = rng.randrange(12)
    roots = [rng.choice((0, 3, 4, 5)) for _ in range(4)]

    def pitch(degree: int, octave: int) -> int:
        return 12 * octave + key + 12 * (degree // 7) + SCALE[degree % 7]

    def phrase() -> list[tuple[int, int, int]]:
        found, row, degree = [], 0, rng.randrange(7)
        while row < 32:
            length = rng.choice((2, 2, 4, 4, 6))
            degree = max(-2, min(10, degree + rng.choice((-2, -1, -1, 1, 1, 2, 3))))
            found.append((row, min(32, row + length), degree))
            row += length
        return found

    first, other = phrase(), phrase()
    tune: list[tuple[int, bytes]] = [(0, b"\xc0\x50")]
    chords: list[tuple[int, bytes]] = [(0, b"\xc1\x30")]
    bass: list[tuple[int, bytes]] = [(0, b"\xc2\x21")]
    drums: list[tuple[int, bytes]] = []
    for bar in range(bars):
        root, at = roots[bar % 4], 16 * bar
        if bar % 2 == 0:
            for start, end, degree in other if bar // 2 % 4 == 2 else first:
                tune += _note(0, at + start, at + end, pitch(degree, 6))
        for degree in (0, 2, 4):
            chords += _note(1, at, at + 16, pitch(root + degree, 5), 70)
        for beat in range(0, 16, 4):
            bass += _note(2, at + beat, at + beat + 3, pitch(root, 3))
            drums += _note(9, at + beat, at + beat + 1, 36 if beat % 8 == 0 else 38)
        for beat in range(0, 16, 2):
            drums += _note(9, at + beat, at + beat + 1, 42, 60)
    microseconds = round(60_000_000 / tempo_bpm).to_bytes(3, "big")
    head = [(0, b"\xff\x51\x03" + microseconds), (0, b"\xff\x58\x04\x04\x02\x18\x08"), (0, b"\xff\x06\x09loopStart")]
    tracks = [_track(events) for events in (head, tune, chords, bass, drums)]
    return b"MThd" + bytes([0, 0, 0, 6, 0, 1, 0, len(tracks)]) + TICKS.to_bytes(2, "big") + b"".join(tracks)


def write_folder(folder: Path, count: int, seed: int = 0) -> Path:
    """Write so many songs as song_0.mid, song_1.mid and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (folder / f"song_{index}.mid").write_bytes(made_up_midi(1000 * seed + index, 8 + 8 * (index % 2), 120 + 5 * (index % 8)))
    return folder
