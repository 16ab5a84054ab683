"""Whole files of every format that is read, and ways to damage them: what hostile.py feeds to the command line.

Every file follows from a seed and its number alone, so that one that finds a fault can be made again. Holds no judgement.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mido
import numpy as np

from nesasset.driver import drive
from nesasset.errors import NesassetError
from nesasset.formats import famistudio, famitracker, midi, nsf, register_text, score_json, vgm
from nesasset.register_log import RegisterLog
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, Vibrato
from nesasset.units import PITCH_RANGES, VOICE_KINDS, VOICES

SUFFIXES = (".vgm", ".vgz", ".log", ".nsf", ".mid", ".ftm.txt", ".fms.txt", ".json")
# How many files of a hundred are of each format; what has most to say gets most.
_SHARES = {".vgm": 18, ".vgz": 8, ".log": 10, ".nsf": 8, ".mid": 20, ".ftm.txt": 16, ".fms.txt": 2, ".json": 18}


@dataclass(frozen=True, slots=True)
class Hostile:
    """A file to feed."""

    suffix: str
    data: bytes
    story: str
    """What it was and what was done to it."""


# Whole files


def moving_score(rng: random.Random, rows: int, groove: tuple[int, ...] = (6,), loop: bool = True) -> Score:
    """Return a score that uses all that a score can hold."""
    instruments = (
        Instrument("pulse", (15, 12, 9, 6, 3), duty=1, name="lead"),
        Instrument("pulse", (8,), duties=(0, 1, 2, 3), arpeggio=(0, 4, 7), arpeggio_loop=0, name='with "quotes"'),
        Instrument("pulse", tuple(range(15, -1, -1)), 2, vibrato=Vibrato(6, 12, 40), name="ländlich"),
        Instrument("triangle", (15,) * 9 + (0,), arpeggio=(12, 0)),
        Instrument("triangle", vibrato=Vibrato(0, 8, 25)),
        Instrument("noise", (9, 5, 2, 0), period=3),
        Instrument("noise", (15, 0), period=9, mode=1, arpeggio=(0, 1, 2, 3)),
    )
    delays = {"P2": 2, "NO": 1} if min(groove) > 4 else {}

    def cell(voice: str, row: int) -> Cell:
        if rng.random() < 0.5:
            return rng.choice((HOLD, HOLD, REST))
        usable = [index for index, entry in enumerate(instruments) if entry.kind == VOICE_KINDS[voice]]
        low, high = PITCH_RANGES.get(voice, (0, 0))
        pitch = None if voice == "NO" else rng.randrange(low + 3, min(high, 96))
        room = groove[row % len(groove)] - delays.get(voice, 0)
        delay = rng.randrange(room) if rng.random() < 0.1 and room > 1 else 0
        return Note(rng.choice(usable), pitch, delay, rng.choice((15, 15, 9)), rng.choice((0, 0, 0, 8)))

    voices = {voice: tuple(cell(voice, row) for row in range(rows)) for voice in VOICES}
    ends = (rows // 4, rows) if loop and rows > 3 else None
    more = {"author": "A. N. Other", "comment": "one\ntwo", "numbers": [1, 2.5, None, {"deep": [True]}]}
    return Score(voices, instruments, groove, 16, 4, ends, delays, "A mole's round", "town", more)


def _scores(with_model: bool) -> list[tuple[str, Score]]:
    rng = random.Random(1)
    found = [
        ("one row", Score(dict.fromkeys(VOICES, (HOLD,)), ())),
        ("all idioms", moving_score(rng, 32)),
        ("a groove", moving_score(rng, 48, (7, 5, 6))),
        ("an ending", moving_score(rng, 20, (4,), loop=False)),
        ("long", moving_score(rng, 600, (6, 7))),
    ]
    if with_model:
        from nesasset.compose import compose

        try:
            found.append(("composed", compose("castle", 7)))
        except NesassetError as error:
            print(f"no composed piece: {error}")
    return found


def _sampled_log() -> RegisterLog:
    """Return a log with sample memory, its own cycles and another console's clock."""
    writes = [(0, 0x4015, 0x1F), (0, 0x4010, 0x4F), (1, 0x4012, 0), (1, 0x4013, 4), (2, 0x4000, 0xBF), (2, 0x4002, 90)]
    frames, addresses, values = (np.array(column) for column in zip(*writes, strict=True))
    return RegisterLog(
        frames.astype(np.int64), addresses.astype(np.uint16), values.astype(np.uint8), 50, (1, 50), 50.0,
        cycles=np.array([100, 700, 33_300, 33_301, 66_700, 66_710]), region="pal", memory=bytes(range(200)),
    )  # fmt: skip


def _other_midi(kind: int, smpte: bool = False) -> bytes:
    """Return a MIDI file as any program may write it: chords, drums, tempos, bends, system messages, running status."""
    rng = random.Random(kind)
    song = mido.MidiFile(type=kind, ticks_per_beat=96)
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("track_name", name="A song"))
    head.append(mido.MetaMessage("time_signature", numerator=3, denominator=4))
    for tempo in (500_000, 431_111, 600_000):
        head.append(mido.MetaMessage("set_tempo", tempo=tempo, time=96))
    head.append(mido.MetaMessage("marker", text="loopStart"))
    head.append(mido.Message("sysex", data=(1, 2, 3), time=7))
    tracks = [head] if kind == 0 else [head, *(mido.MidiTrack() for _ in range(4))]
    for index, track in enumerate(tracks[-4:]):
        channel = 9 if index == 3 else index
        track.append(mido.Message("program_change", channel=channel, program=30, time=0))
        for _ in range(24):
            pitch, off = rng.randrange(36, 90), rng.choice((24, 31, 48))
            for step in (0, 4, 7)[: 1 + index]:
                track.append(mido.Message("note_on", channel=channel, note=pitch + step, velocity=rng.randrange(1, 127)))
            track.append(mido.Message("pitchwheel", channel=channel, pitch=rng.randrange(-8192, 8191), time=off))
            for step in (0, 4, 7)[: 1 + index]:
                track.append(mido.Message("note_on", channel=channel, note=pitch + step, velocity=0))
            track.append(mido.Message("control_change", channel=channel, control=rng.choice((7, 11, 111)), value=5))
    song.tracks.extend(tracks)
    out = io.BytesIO()
    song.save(file=out)
    data = bytearray(out.getvalue())
    if smpte:
        data[12:14] = bytes([256 - 25, 40])
    return bytes(data)


def _nesmdb_midi() -> bytes:
    """Return a MIDI file in NES-MDB's own layout."""
    song = mido.MidiFile(type=1, ticks_per_beat=22_050)
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
    head.append(mido.MetaMessage("time_signature", numerator=1, denominator=1, time=90_000))
    song.tracks.append(head)
    for name in ("p1", "p2", "tr", "no"):
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("track_name", name=name))
        for step in range(20):
            pitch = 1 + step % 16 if name == "no" else 50 + step
            track.append(mido.Message("control_change", control=12, value=step % 2 if name != "tr" else 0))
            track.append(mido.Message("note_on", note=pitch, velocity=1 + step % 15, time=734))
            track.append(mido.Message("control_change", control=11, value=1 + step % 14, time=734))
            track.append(mido.Message("note_off", note=pitch, time=1468))
        song.tracks.append(track)
    out = io.BytesIO()
    song.save(file=out)
    return out.getvalue()


_HAND_MADE_TRACKER = """\
# FamiTracker text export 0.4.2
TITLE "All sorts" \r
AUTHOR "Somebody"
COMMENT "Bar: 8 rows, beat: 4 rows"
COMMENT "Delays: P1 1, TR 2"
COMMENT "Vibrato 00: after 3 frames, 16 frames a swing, 30 cents"
MACHINE 0
FRAMERATE 0
EXPANSION 5
SPLIT 32
N163CHANNELS 0
MACRO 0 0 2 -1 0 : 15 12 9 6
MACRO 0 1 -1 1 0 : 15 10 5
MACRO 1 0 0 -1 2 : 0 1 -1
MACRO 2 0 -1 -1 0 : 0 1
MACRO 4 0 -1 -1 0 : 0 1 2
MACROVRC6 0 0 -1 -1 0 : 15
DPCMDEF 0 17 "kick"
DPCM : 00 FF 55 AA
INST2A03 0 0 0 0 -1 0 "lead"
INST2A03 1 1 -1 -1 -1 -1 "bass"
INSTVRC6 2 -1 -1 -1 -1 -1 "saw"
KEYDPCM 0 3 1 0 15 0 0 -1
TRACK 8 6 150 "first"
COLUMNS : 2 1 1 1 1 1
ORDER 00 : 00 00 00 00 00 00
ORDER 01 : 01 00 00 00 00 00
PATTERN 00
ROW 00 : C-3 00 F 047 ... : E-3 00 8 437 : C-2 01 . ... : 4-# 00 . ... : C-3 00 . ... : ... .. . ...
ROW 01 : ... .. . G02 V01 : --- .. . ... : E-2 01 . 304 : ... .. . S02 : ... .. . F07 : ... .. . ...
ROW 02 : G-3 00 . 300 P7F : === .. . ... : ... .. . ... : 7-# 00 5 ... : ... .. . F50 : ... .. . ...
ROW 05 : ^-1 .. . ... ... : F#4 && 3 A0F : B-1 01 . Q12 : F-# 00 . H23 : ... .. . ... : ... .. . ...
PATTERN 01
ROW 00 : A-3 00 . ... ... : ... .. . ... : ... .. . ... : ... .. . ... : ... .. . ... : ... .. . ...
ROW 07 : ... .. . B01 ... : ... .. . ... : ... .. . ... : ... .. . ... : ... .. . D03 : ... .. . ...
TRACK 4 3 0 "second"
COLUMNS : 1 1 1 1 1 1
ORDER 00 : 00 00 00 00 00 00
PATTERN 00
ROW 00 : C-3 05 F ... : ... .. . ... : ... .. . ... : ... .. . ... : ... .. . C00 : ... .. . ...
# End of export
"""


def whole_files(with_model: bool) -> dict[str, list[tuple[str, bytes]]]:
    """Return undamaged files by suffix: what our own writers make, and some made by hand with what others write."""
    found: dict[str, list[tuple[str, bytes]]] = {suffix: [] for suffix in SUFFIXES}
    scores = _scores(with_model)
    logs = [*((name, drive(score)) for name, score in scores), ("samples", _sampled_log())]
    for name, score in scores:
        found[".json"].append((name, score_json.dumps(score).encode()))
        found[".mid"].append((name, midi.encode(score)))
        found[".ftm.txt"].append((name, famitracker.dumps(score).encode()))
        found[".fms.txt"].append((name, famistudio.dumps(score).encode()))
    for name, log in logs:
        found[".vgm"].append((name, vgm.dumps(log, title="A title", author="Ä", game="Ω")))
        found[".vgz"].append((name, vgm.dumps_vgz(log, title="A title")))
        found[".log"].append((name, register_text.dumps(log).encode()))
        found[".nsf"].append((name, nsf.dumps([log], titles=[name])))
    found[".log"].append(("cycle lines", b"".join(b"%d %02X %02X\n" % (700 * n, n % 24, n) for n in range(200))))
    found[".nsf"].append(("version 1, two songs", nsf.dumps([logs[1][1], logs[3][1]], nsf2=False)))
    found[".mid"] += [("type 0", _other_midi(0)), ("type 1", _other_midi(1)), ("25 frames", _other_midi(1, smpte=True))]
    found[".mid"] += [("NES-MDB", _nesmdb_midi()), ("General MIDI", midi.encode(scores[1][1], general_midi=True))]
    found[".ftm.txt"].append(("all sorts", _HAND_MADE_TRACKER.encode()))
    return found


# Damage to bytes

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)


def _span(rng: random.Random, size: int) -> tuple[int, int]:
    """Return a place and an end; beginnings of files, where headers stand, are chosen more often."""
    start = rng.randrange(min(size, 256)) if rng.random() < 0.3 else rng.randrange(size)
    return start, min(size, start + rng.choice((1, 1, 2, 4, 16, 100, size)))


def _damage_bytes(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Return data with one thing done to it."""
    if not data:
        return rng.randbytes(rng.choice((1, 4, 64))), "begun anew"
    start, end = _span(rng, len(data))
    what = rng.choice(("bits", "byte", "delete", "insert", "double", "many", "cut", "field", "field", "zeros", "move", "junk"))
    if what == "bits":
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 3, 20))):
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(changed), what
    if what == "byte":
        return data[:start] + bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))]) + data[start + 1 :], what
    if what == "delete":
        return data[:start] + data[end:], what
    if what == "insert":
        return data[:start] + rng.randbytes(rng.choice((1, 2, 4, 33))) + data[start:], what
    if what == "double":
        return data[:end] + data[start:], what
    if what == "many":
        part = data[start : start + 40]
        return data[:start] + part * rng.choice((10, 100, 1000)) + data[start:], what
    if what == "cut":
        return data[: rng.randrange(len(data))], what
    if what == "field":
        size, order = rng.choice((1, 2, 4, 4)), rng.choice(("little", "big"))
        number = rng.choice((*_EXTREMES, len(data), len(data) + 1, rng.getrandbits(32))) & ((1 << 8 * size) - 1)
        start = start // size * size if rng.random() < 0.7 else start
        return data[:start] + number.to_bytes(size, order) + data[start + size :], what  # type: ignore[arg-type]
    if what == "zeros":
        return data[:start] + bytes(end - start) + data[end:], what
    if what == "move":
        at = rng.randrange(len(data))
        part, rest = data[start:end], data[:start] + data[end:]
        return rest[:at] + part + rest[at:], what
    return data + rng.randbytes(rng.choice((1, 100, 5000))), what


# Damage to text

_NUMBERS = (
    "0", "-1", "1", "255", "256", "65536", "99999", "4294967296", "-2147483649", "9" * 30, "9" * 5000, "1e308", "1e999",
    "NaN", "Infinity", "-Infinity", "0.1", "1_0", "0x10", "٣", "²", "+5", "--", "FF", "fff", "",
)  # fmt: skip
_WORDS = (
    "null", "true", "[]", "{}", "[[]]", '"', "'", "\\", "\\ud800", "\0", "\r", "\x0b", "\x1a", "\ufeff", "\u2028", ":", ",", ";",
    "#", "...", "---", "===", "B00", "BFF", "D00", "C00", "F00", "F01", "FFF", "GFF", "SFF", "4F0", "3FF", "0FF", "Q00", "^-1",
    "C-9/0", "x/0", "C-4/0+99v99~9999", "{", "}", "[", "]", "TRACK 256 1 1", "ORDER FF : 00 00 00 00 00", "PATTERN FFFF",
    "MACRO 0 0 0 0 2 : 1 2 3", "memory C000 00", "loop 0 1", "rate 1", "length 999999999999999", "columns frame register value",
    "4015", "5000", "FF FF FF", "-5 4000 00",
)  # fmt: skip


def _damage_text(rng: random.Random, text: str) -> tuple[str, str]:
    """Return text with one thing done to it."""
    what = rng.choice(("number", "number", "number", "swap", "word", "line", "lines", "drop", "repeat", "key", "character"))
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    if what == "number":
        places = list(re.finditer(r"-?[0-9A-F]+", text))
        if places:
            place = rng.choice(places)
            near = str(rng.randrange(17)).zfill(len(place[0]) if rng.random() < 0.8 else 1)  # mostly one that may stand there
            number = near if rng.random() < 0.6 else rng.choice(_NUMBERS)
            return text[: place.start()] + number + text[place.end() :], what
    elif what == "swap":
        words = re.split(r"(\s+)", text)
        one, other = rng.randrange(len(words)), rng.randrange(len(words))
        words[one], words[other] = words[other], words[one]
        return "".join(words), what
    elif what == "word":
        place = rng.randrange(len(text) + 1)
        return text[:place] + rng.choice(_WORDS) + text[place + rng.choice((0, 0, 1, 5)) :], what
    elif what == "line":
        lines[at] = rng.choice(_WORDS)
    elif what == "lines":
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif what == "drop":
        del lines[at : at + rng.choice((1, 1, 5, 50))]
    elif what == "repeat":
        lines[at:at] = lines[at : at + rng.choice((1, 5))] * rng.choice((1, 3, 300))
    elif what == "key":
        keys = list(re.finditer(r'"[a-z_]+":', text))
        if len(keys) > 1:
            one, other = rng.choice(keys), rng.choice(keys)
            return text[: one.start()] + other[0] + text[one.end() :], what
    else:
        place = rng.randrange(len(text) + 1)
        return text[:place] + chr(rng.choice((rng.randrange(0x20, 0x7F), rng.randrange(0x20), rng.randrange(0xD000)))) + text[place:], what
    return "\n".join(lines), what


def _nested(rng: random.Random) -> Any:
    value: Any = 0
    for _ in range(rng.choice((3, 64, 65, 300))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _damage_json(rng: random.Random, text: str) -> tuple[str, str]:
    """Return JSON with one value in it replaced, removed or repeated."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _damage_text(rng, text)
    places: list[tuple[Any, Any]] = []
    level = [document]
    while level:
        value = level.pop()
        if isinstance(value, (dict, list)):
            for key in list(value) if isinstance(value, dict) else range(len(value)):
                places.append((value, key))
                level.append(value[key])
    if not places:
        return "[]", "value"
    holder, key = rng.choice(places)
    what = rng.choice(("value", "value", "remove", "repeat", "nest", "grow"))
    if what == "value":
        choices = (None, True, -1, 0, 2**31, 10**30, 1.5, "", "x", "." * 3000, [], {}, [0], {"a": 0}, [1, 2, 3], "- . -")
        holder[key] = rng.choice(choices)
    elif what == "remove":
        del holder[key]
    elif what == "repeat":
        if isinstance(holder, list):
            holder[key:key] = [holder[key]] * rng.choice((1, 4, 300))
        else:
            holder[f"{key}s"] = holder[key]
    elif what == "nest":
        holder[key] = _nested(rng)
    else:
        holder[key] = rng.choice(([0] * 5000, {str(n): n for n in range(3000)}, ". " * 5000, [[". " * 16] * 4] * 500))
    return json.dumps(document, ensure_ascii=rng.random() < 0.5), what


def damaged(rng: random.Random, files: dict[str, list[tuple[str, bytes]]]) -> Hostile:
    """Return a damaged file of a format drawn by its share."""
    suffix = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
    chosen = [(name, data) for name, data in files[suffix] if len(data) < 20_000 or rng.random() < 0.15]
    name, data = rng.choice(chosen)
    text_like = suffix in (".log", ".ftm.txt", ".fms.txt", ".json")
    packed = suffix == ".vgz" and rng.random() < 0.8
    if packed:
        data = gzip.decompress(data)
    steps = []
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if text_like and rng.random() < 0.8:
            text = data.decode("utf-8", errors="surrogateescape")
            damage = _damage_json if suffix == ".json" and rng.random() < 0.5 and len(data) < 100_000 else _damage_text
            text, step = damage(rng, text)
            data = text.encode("utf-8", errors="surrogatepass")
        else:
            data, step = _damage_bytes(rng, data)
        steps.append(step)
    if packed:
        data = gzip.compress(data, 1, mtime=0)
    if rng.random() < 0.01:
        suffix, steps = rng.choice(SUFFIXES), [*steps, f"named {suffix}"]
    return Hostile(suffix, data, f"{name}: {', '.join(steps)}")


# Files that are large or deep on purpose


def _vgm(commands: bytes) -> bytes:
    """Return a VGM of the 2A03 round commands."""
    head = bytearray(0xC0)
    head[:4] = b"Vgm "
    total = len(head) + len(commands) + 1
    for at, number in ((0x04, total - 4), (0x08, 0x161), (0x34, 0xC0 - 0x34), (0x84, 1_789_773)):
        head[at : at + 4] = struct.pack("<I", number)
    return bytes(head) + commands + b"\x66"


def _midi(*tracks: bytes, division: int = 96) -> bytes:
    chunks = b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), division) + chunks


_END = b"\x00\xff\x2f\x00"


def _nesmdb(events: bytes) -> bytes:
    mark = b"\xff\x58\x04\x04\x02\x18\x08"
    names = [b"\x00\xff\x03\x02" + name for name in (b"p1", b"p2", b"tr", b"no")]
    voices = [names[0] + events + _END, *(name + _END for name in names[1:])]
    return _midi(b"\x00" + mark + b"\x81\x80\x00" + mark + _END, *voices, division=22_050)


def _tracker(rows: int = 256, entries: int = 256, cells: Callable[[int], Sequence[str]] | None = None, pad: str = "") -> bytes:
    """Return a tracker's text of so many entries of patterns of their own; cells gives the five cells of a row."""
    lines = ["MACRO 0 0 -1 -1 0 : 15 14 13", 'INST2A03 0 0 -1 -1 -1 -1 "a"', f'TRACK {rows} 6 150 "x"']
    lines += [f"ORDER {entry:02X} : {' '.join([f'{entry:02X}'] * 5)}" for entry in range(entries)]
    number = 0
    for entry in range(entries):
        lines.append(f"PATTERN {entry:02X}")
        for row in range(rows):
            found = cells(number) if cells else ["... .. . ..."] * 5
            lines.append(f"ROW {row:02X} : {' : '.join(found)}{pad}")
            number += 1
    return "\n".join(lines).encode()


_NAMES = ("C-", "C#", "D-", "D#", "E-", "F-", "F#", "G-", "G#", "A-", "A#", "B-")


def _dense(number: int) -> list[str]:
    """Return cells with a note in each voice and all the effects that a cell may have, no two rows the same for long."""
    notes = [f"{_NAMES[(number * step) % 12]}{2 + number * step // 12 % 4} 00 {number * step % 16:X}" for step in (1, 5, 7)]
    effects = f"3{number // 7 % 256:02X} 400 P{number // 3 % 256:02X} Q{number % 256:02X}"
    return [*(f"{note} {effects}" for note in notes), f"{number % 16:X}-# 00 . A{number % 256:02X}", "... .. . ..."]


def _big_score(rows: int, groove: tuple[int, ...] = (6,), bar_rows: int = 16, distinct: bool = True) -> Score:
    """Return a score with a note in every cell."""
    instruments = tuple(Instrument(kind, (15 - n % 16,) * 1024) for n in range(64) for kind in ("pulse", "triangle", "noise"))
    voices: dict[str, tuple[Cell, ...]] = {}
    for voice in VOICES:
        usable = [index for index, entry in enumerate(instruments) if entry.kind == VOICE_KINDS[voice]]
        low, high = PITCH_RANGES.get(voice, (0, 0))
        voices[voice] = tuple(
            Note(
                usable[row % 64], None if voice == "NO" else low + row % (high - low - 12), 0,
                row // 64 % 16 if distinct else 15, row // 1024 if distinct else 0,
            )
            for row in range(rows)
        )  # fmt: skip
    return Score(voices, instruments, groove, bar_rows, loop=(0, rows))


def _wide_json(item: str, size: int) -> bytes:
    """Return a small score whose provenance is a list of so many bytes."""
    text = score_json.dumps(Score(dict.fromkeys(VOICES, (HOLD,)), ()))
    many = f"[{','.join([item] * (size // (len(item) + 1)))}]"
    return text.replace('"provenance": {}', f'"provenance": {{"a": {many}}}').encode()


def largest() -> Iterator[Hostile]:
    """Yield files that announce or hold as much as they can, one after the other; each is made when it is asked for."""
    mib = 1 << 20
    yield Hostile(".vgz", gzip.compress(bytes(256 * mib), 9, mtime=0), "256 MiB of zeros, packed")
    yield Hostile(".vgz", gzip.compress(gzip.compress(bytes(64 * mib), 9, mtime=0), mtime=0), "packed twice")
    yield Hostile(".vgz", gzip.compress(_vgm(b"\x70" * (16 * mib - 300)), 1, mtime=0), "16 MiB of shortest waits, packed")
    yield Hostile(".vgm", _vgm(b"\x70" * (16 * mib - 300)), "16 MiB of shortest waits")
    yield Hostile(".vgm", _vgm(b"\xb4\x00\x3f" * (5 * mib)), "15 MiB of writes at one time")
    yield Hostile(".vgm", _vgm(b"\xb4\x00\x3f\x70" * (4 * mib - 100)), "16 MiB of writes and waits")
    yield Hostile(".vgm", _vgm(b"\x61\xff\xff" * 65_000), "27 hours of silence")
    yield Hostile(".vgm", _vgm(b"\x67\x66\xc2\x02\x00\x00\x00\x00\xc0" * mib), "a million empty blocks")
    yield Hostile(".vgm", _vgm(b"\x67\x66\xc2\x02\x40\x00\x00\x00\xc0" + bytes(0x4000)) * 300, "sample memory again and again")
    yield Hostile(".vgm", _vgm((b"\x67\x66\xc2\x02\x40\x00\x00\x00\xc0" + bytes(0x4000)) * 1000), "a thousand blocks of memory")
    log = b"nesasset register log 1\nlength %s\ncolumns frame register value\n"
    yield Hostile(".log", log % (b"9" * 15), "a quadrillion frames")
    yield Hostile(".log", log % b"1000" + b"0 4000 3F\n" * (16 * mib // 10 - 10), "16 MiB of writes")
    yield Hostile(".log", log % b"9999999" + b"".join(b"%d 4000 3F\n" % n for n in range(1_000_000)), "a million frames")
    yield Hostile(".log", log % b"1000" + b"\n" * (16 * mib - 100), "16 MiB of empty lines")
    yield Hostile(".log", b"\n" * (16 * mib), "nothing but empty lines")
    yield Hostile(".log", b"#" * (16 * mib), "one remark of 16 MiB")
    yield Hostile(".log", b"9" * (8 * mib) + b" 00 00", "a cycle of eight million digits")
    yield Hostile(".log", b"".join(b"%d 00 3F\n" % (10**14 + n) for n in range(500_000)), "cycles of years")
    yield Hostile(".nsf", b"NESM\x1a\x01\xff\x01" + b"\xff" * 120 + bytes(4 * mib), "an NSF of 255 songs and all chips")
    yield Hostile(".nsf", b"NESM\x1a" + bytes(64 * mib), "an NSF of 64 MiB")
    note = b"\x01\x90\x40\x40\x01\x80\x40\x40"
    yield Hostile(".mid", _midi(note * (16 * mib // 8 - 100) + _END), "16 MiB of notes")
    yield Hostile(".mid", _midi(note * (4 * mib // 8 - 100) + _END), "4 MiB of notes")
    yield Hostile(".mid", _midi(note * 99_000 + _END), "99 000 notes")
    yield Hostile(".mid", _midi(b"\x00\x90\x40\x40\x00\x41\x40" * 80_000 + _END), "a chord of everything")
    yield Hostile(".mid", _midi(*[b"\x00\x90\x40\x40" * 700 + _END] * 256), "256 tracks of repeated notes")
    yield Hostile(".mid", _midi(b"\xff\xff\xff\x7f\x90\x40\x40" * 5 + _END), "notes years apart")
    yield Hostile(".mid", _midi(b"\x00\xff\x51\x03\x00\x00\x01" * 500_000 + _END), "half a million tempos")
    yield Hostile(".mid", _midi(b"\x01\xb0\x07\x01" * mib + _END), "4 MiB of controls")
    yield Hostile(".mid", _midi(b"\x01\xff\x06\x01a" * 800_000 + _END), "4 MiB of markers")
    yield Hostile(".mid", _midi(b"\x01\xe0\x00\x40" + b"\x00\x40\x00" * mib + _END), "3 MiB of pitch bends")
    yield Hostile(".mid", _midi(b"\x00\xf0\xff\xff\xff\x7f" + _END), "a message of 256 MiB announced")
    yield Hostile(".mid", b"MThd\x00\x00\x00\x06\x00\x01\xff\xff\x00\x60", "65 535 tracks announced")
    yield Hostile(".mid", _nesmdb(b"\x01\x90\x40\x0f\x01\x80\x40\x00" * 100_000), "NES-MDB, a change in every sample")
    yield Hostile(".mid", _nesmdb(b"\x01\x90\x40\x0f\x01\x80\x40\x00" * (2 * mib - 100)), "NES-MDB, 16 MiB of changes")
    yield Hostile(".mid", _nesmdb(b"\x00\x90\x40\x0f" * 250_000), "NES-MDB, a million bytes at one sample")
    yield Hostile(".ftm.txt", _tracker(cells=_dense), "a tracker's 65 536 full rows")
    yield Hostile(".ftm.txt", _tracker(entries=64), "a tracker's 16 384 empty rows")
    yield Hostile(".ftm.txt", _tracker(entries=64, cells=_dense), "a tracker's 16 384 full rows")
    wide = [f"C-3 00 F {' '.join(['300'] * 80)}", *["... .. . ..."] * 4]
    yield Hostile(".ftm.txt", _tracker(64, 1, cells=lambda number: wide), "eighty effects in a cell")
    most, lines = 8 * mib - 100, 131_000
    yield Hostile(".ftm.txt", b"\n" * lines, "as many empty lines as there may be")
    yield Hostile(".ftm.txt", b"\n" * most, "8 MiB of empty lines")
    yield Hostile(".ftm.txt", b"\n".join(b"X%d" % n for n in range(lines)), "as many different unknown lines")
    yield Hostile(".ftm.txt", b'TITLE "' + b'"' * most, "a title of quotation marks")
    yield Hostile(".ftm.txt", b"COMMENT a\n" * lines + _tracker(4, 1, _dense), "as many comments")
    yield Hostile(".ftm.txt", b"MACRO 0 0 -1 -1 0 :" + b" 15" * (most // 3), "a macro of 8 MiB")
    yield Hostile(".ftm.txt", b"".join(b"MACRO 0 %d -1 -1 0 : 15 14\n" % n for n in range(lines)), "as many macros")
    yield Hostile(".ftm.txt", b"".join(b'INST2A03 %d 0 0 0 0 0 "a"\n' % n for n in range(lines)), "as many instruments")
    macros = b"".join(b'MACRO 0 %d 0 -1 0 :%b\nINST2A03 %d %d -1 -1 -1 -1 "a"\n' % (n, b" 15 3" * 500, n, n) for n in range(256))
    plays = _tracker(256, 1, lambda number: [f"C-3 {number:02X} . ...", *["... .. . ..."] * 4])
    yield Hostile(".ftm.txt", plays[: plays.index(b"TRACK")] + macros + plays[plays.index(b"TRACK") :], "256 instruments of long macros")
    yield Hostile(".ftm.txt", b'TRACK 4 6 150 "x"\n' * lines, "as many tracks")
    yield Hostile(".ftm.txt", b"ORDER " * (most // 6), "one long line")
    yield Hostile(".json", score_json.dumps(_big_score(65_536)).encode(), "65 536 rows of notes")
    yield Hostile(".json", score_json.dumps(_big_score(65_536, bar_rows=1)).encode(), "65 536 bars of one row")
    yield Hostile(".json", score_json.dumps(_big_score(65_536, groove=(64,), distinct=False)).encode(), "19 hours of notes")
    yield Hostile(".json", score_json.dumps(replace(_big_score(65_536, distinct=False), groove=(5, 6) * 32_768)).encode(), "a groove as long as the score")
    yield Hostile(".json", score_json.dumps(Score(dict.fromkeys(VOICES, (HOLD,) * 65_536), (), (64,))).encode(), "65 536 rows of nothing")
    yield Hostile(".json", b"[" * 100_000, "100 000 brackets")
    yield Hostile(".json", b'{"a":' * 100_000, "100 000 braces")
    yield Hostile(".json", b"[" * 900 + b"]" * 900, "900 levels")
    yield Hostile(".json", b"9" * (4 * mib), "a number of four million digits")
    yield Hostile(".json", b"[" + b"9" * 4000 + (b"," + b"9" * 4000) * 2000 + b"]", "2000 numbers of 4000 digits")
    yield Hostile(".json", b'{"format": "' + b"a" * most + b'"}', "a format of 8 MiB")
    yield Hostile(".json", b'"' + b"\\u0041" * (most // 6) + b'"', "8 MiB of escapes")
    yield Hostile(".json", b'{"format": "nesasset-score", ' + b", ".join(b'"k%d": 0' % n for n in range(600_000)) + b"}", "600 000 keys")
    for item in ("0", "[]", "1.5", '""', '{"a":0}'):
        yield Hostile(".json", _wide_json(item, most - 1000), f"8 MiB of {item}")
    yield Hostile(".json", b"[" + b"[]," * (20 * mib) + b"[]]", "60 MiB of empty lists")
    yield Hostile(".json", b'{"format": "nesasset-pack", "a": [' + b"0," * (20 * mib) + b"0]}", "a pack of 40 MiB")
