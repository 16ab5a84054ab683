"""Register logs as the stream of commands that player.s plays, placed in banks. Holds no file format.

A step is what happens in one frame and how long nothing follows it. Music repeats itself, and so do its steps, so a
run of steps that has been there before is stored as a passage to play again (the command $E1). A passage is an item of
the stream as a step is, so it may be part of a later passage; with four in each other, which is what the player allows,
three songs of 73 s need 120 bytes a second, with one 163, without any 264.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import numpy as np

from nesasset.apu.writes import MAX_FRAME_RATE_HZ, MIN_FRAME_RATE_HZ
from nesasset.errors import FormatError, out_of_range
from nesasset.register_log import RegisterLog
from nesasset.units import CLOCKS_HZ

MAX_SONGS: Final = 255  # a byte, one of its values being none
MAX_FRAMES: Final = 2**22  # of a song; 19 hours, and a bound on time and memory here

# Commands, see player.s.
END, JUMP, PASSAGE = 0x80, 0xE0, 0xE1
MAX_STEP_FRAMES: Final = 96
MAX_PASSAGE_ITEMS: Final = 255
MAX_DEPTH: Final = 4
JUMP_BYTES, PASSAGE_BYTES = 4, 5
MAX_RUN: Final = 240  # bytes of a step without a jump: the player counts them in a byte

SILENCE: Final = bytes([0x15, 0x00, END])  # after the end of a log without a loop, so that no last note rings for ever

# Cycles of a call of play with n writes, from above: the jukebox's count of a write and its share of jumps, one change
# of bank, four passages that begin and four that end. A frame that has more than three quarters of its time for this has none for anything else.
CYCLES_OF_A_CALL: Final = 900
CYCLES_OF_A_WRITE: Final = 32

# How many places a search looks at: the longest earlier passage is rarely missed, and time stays bounded.
_GRAM: Final = 3
_PLACES: Final = 48
_LONGEST: Final = 4096  # steps


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the CPU's address space in one bank."""

    bank: int
    address: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Play again what is stored."""

    start: int
    """Its first item, counted from the first of the first song; the end of an intro and of a loop counts as one."""
    count: int
    """Items."""


@dataclass(frozen=True, slots=True)
class Song:
    """A song as what is stored: steps in full, and passages."""

    intro: tuple[bytes | Passage, ...]
    loop: tuple[bytes | Passage, ...]


Address = tuple[int, int]
"""Bank, and address there."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Songs and texts in their segments."""

    images: tuple[bytes, ...]
    """What each segment holds; as many as were given, empty where nothing was needed."""
    songs: tuple[Address, ...]
    """Where each song begins."""
    texts: tuple[Address, ...]
    """Where each text begins."""


def check_logs(logs: Sequence[RegisterLog], titles: Sequence[str] | None) -> tuple[str, ...]:
    """Return the titles of songs, "Song 1" and so on where there are none.

    Raises:
        FormatError: There are no songs or too many, titles are missing, the songs differ in frame rate or region, or
            a frame holds more writes than the CPU has time for.
    """
    if not 1 <= len(logs) <= MAX_SONGS:
        raise FormatError(out_of_range("the number of songs", len(logs), 1, MAX_SONGS))
    if titles is None:
        titles = [f"Song {number}" for number in range(1, len(logs) + 1)]
    if len(titles) != len(logs):
        raise FormatError(f"every song needs a title, but there are {len(logs)} songs and {len(titles)} titles")
    first = logs[0]
    if not MIN_FRAME_RATE_HZ <= first.frame_rate_hz <= MAX_FRAME_RATE_HZ:  # also catches NaN
        raise FormatError(out_of_range("frame_rate_hz", first.frame_rate_hz, MIN_FRAME_RATE_HZ, MAX_FRAME_RATE_HZ))
    limit = int((0.75 * CLOCKS_HZ[first.region] / first.frame_rate_hz - CYCLES_OF_A_CALL) / CYCLES_OF_A_WRITE)
    for number, log in enumerate(logs, 1):
        for name, value, wanted in (
            ("frames a second", log.frame_rate_hz, first.frame_rate_hz),
            ("region", log.region, first.region),
        ):
            if value != wanted:
                raise FormatError(
                    f"all songs of one file must have the same {name}, "
                    f"but song 1 has {wanted} and song {number} has {value}; write two files"
                )
        if log.n_frames > MAX_FRAMES:
            raise FormatError(out_of_range(f"the number of frames of song {number}", log.n_frames, 1, MAX_FRAMES))
        frames, counts = np.unique(log.frames, return_counts=True)
        if len(counts) and counts.max() > limit:
            at = int(counts.argmax())
            raise FormatError(
                f"song {number} writes {counts[at]} registers in frame {frames[at]}, and at {log.frame_rate_hz:g} frames "
                f"a second the console's CPU has time for {max(limit, 0)}; thin the log out"
            )
    return tuple(titles)


def steps_of(log: RegisterLog) -> tuple[list[bytes], list[bytes]]:
    """Return the steps of intro and loop. A log that ends falls silent there and loops through nothing."""
    end = log.n_frames if log.loop is None else log.loop[1]
    loop_start = end if log.loop is None else log.loop[0]
    frames, first = np.unique(log.frames, return_index=True)
    bounds = [*first.tolist(), len(log.frames)]
    registers = (log.addresses.astype(np.int64) - 0x4000).astype(np.uint8)
    writes = np.stack([registers, log.values.astype(np.uint8)], axis=1)
    content = {
        frame: writes[lower:upper].tobytes()
        for frame, lower, upper in zip(frames.tolist(), bounds[:-1], bounds[1:], strict=True)
        if frame < end
    }
    starts = sorted({0, loop_start, *content} - {end})
    intro: list[bytes] = []
    loop: list[bytes] = []
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        part = intro if start < loop_start else loop
        part += _wait(content.get(start, b""), stop - start)
    if log.loop is None:
        intro.append(SILENCE)
        loop = _wait(b"", MAX_STEP_FRAMES)
    return intro, loop


def _wait(writes: bytes, n_frames: int) -> list[bytes]:
    """Return the steps of writes and the frames without one that follow."""
    n_long, rest = divmod(n_frames, MAX_STEP_FRAMES)
    lengths = [MAX_STEP_FRAMES] * n_long + [rest] * (rest > 0)
    return [(writes if at == 0 else b"") + bytes([END + length - 1]) for at, length in enumerate(lengths)]


def compress(parts: Sequence[tuple[list[bytes], list[bytes]]]) -> list[Song]:
    """Return songs with every run of steps that any song had before replaced by a passage, where that saves bytes."""
    memory = _Memory()
    return [Song(memory.store(intro), memory.store(loop)) for intro, loop in parts]


@dataclass(slots=True)
class _Memory:
    """Everything stored so far: items, and the steps that they come to when played."""

    numbers: dict[bytes, int] = field(default_factory=dict)
    """A number for each step."""
    steps: list[int] = field(default_factory=list)
    """All steps as they are played, by number; -1 where an intro or a loop ends."""
    begins: list[int] = field(default_factory=list)
    """Where each item begins among them; the end of a part is an item, too."""
    depths: list[int] = field(default_factory=list)
    """0 for a step, else how many passages lie in each other."""
    ones: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The items that begin with a step,"""
    grams: dict[tuple[int, ...], list[int]] = field(default_factory=lambda: defaultdict(list))
    """and with three steps in a row."""
    n_indexed: int = 0
    """Items that `grams` knows."""

    def store(self, steps: list[bytes]) -> tuple[bytes | Passage, ...]:
        numbers = [self.numbers.setdefault(step, len(self.numbers)) for step in steps]
        sizes = [0, *accumulate(len(step) for step in steps)]
        items: list[bytes | Passage] = []
        at = 0
        while at < len(steps):
            passage, n_steps = self._find(numbers, sizes, at)
            if passage is not None and self._find(numbers, sizes, at + 1)[1] > n_steps:
                passage = None  # one step on begins a longer one
            if passage is None:
                items.append(steps[at])
                self._add(numbers[at : at + 1], 0)
                at += 1
            else:
                items.append(passage)
                self._add(
                    numbers[at : at + n_steps], 1 + max(self.depths[passage.start : passage.start + passage.count])
                )
                at += n_steps
        self._add([-1], MAX_DEPTH)
        return tuple(items)

    def _find(self, numbers: list[int], sizes: list[int], at: int) -> tuple[Passage | None, int]:
        """Return the passage that plays the most of the steps from `at` on, and how many; None if none saves bytes."""
        gram = tuple(numbers[at : at + _GRAM])
        places = self.grams.get(gram) or (self.ones.get(gram[0]) if gram else None) or []
        limit = min(_LONGEST, len(numbers) - at)
        best, n_best = None, 0
        for first in places[-_PLACES:]:
            begin = self.begins[first]
            longest = min(limit, len(self.steps) - begin)
            same = 0
            while same < longest and self.steps[begin + same] == numbers[at + same]:
                same += 1
            last = first
            end = self._last_whole(begin + same)
            while last < min(end, first + MAX_PASSAGE_ITEMS) and self.depths[last] < MAX_DEPTH:
                last += 1
            n_steps = self._begin(last) - begin
            if n_steps > n_best:
                best, n_best = Passage(first, last - first), n_steps
        return (best, n_best) if sizes[at + n_best] - sizes[at] > PASSAGE_BYTES else (None, 0)

    def _begin(self, item: int) -> int:
        return self.begins[item] if item < len(self.begins) else len(self.steps)

    def _last_whole(self, end: int) -> int:
        """Return the item behind the last one that is over at step `end`."""
        return len(self.begins) if end == len(self.steps) else bisect_right(self.begins, end) - 1

    def _add(self, numbers: list[int], depth: int) -> None:
        self.ones[numbers[0]].append(len(self.begins))
        self.begins.append(len(self.steps))
        self.depths.append(depth)
        self.steps += numbers
        while self._begin(self.n_indexed) + _GRAM <= len(self.steps):
            begin = self.begins[self.n_indexed]
            self.grams[tuple(self.steps[begin : begin + _GRAM])].append(self.n_indexed)
            self.n_indexed += 1


def place(songs: Sequence[Song], texts: Sequence[bytes], segments: Sequence[Segment]) -> Placed | None:
    """Return songs, and texts each in one piece, in segments; None if they do not fit."""
    writer = _Writer(segments)
    try:
        text_places = tuple(writer.text(text) for text in texts)
        song_places = tuple(writer.song(song) for song in songs)
    except _FullError:
        return None
    return Placed(tuple(bytes(image) for image in writer.images), song_places, text_places)


class _FullError(Exception):
    """The segments are used up."""


class _Writer:
    """Fills one segment after the other; each keeps room at its end for a jump to the next."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments
        self.images = [bytearray() for _ in segments]
        self.items: list[Address] = []
        """Where each item begins."""
        self._at = 0
        if not segments:
            raise _FullError

    def text(self, text: bytes) -> Address:
        if not self._fits(len(text)):
            self._next_segment()
        here = self._here()
        self.images[self._at] += text
        return here

    def song(self, song: Song) -> Address:
        if not self._fits(JUMP_BYTES):  # nothing leads on from the song before, so no jump is needed
            self._next_segment()
        start = self._here()
        for item in song.intro:
            self._item(item)
        self._reserve(JUMP_BYTES)
        loop_start = self._here()
        self.items.append(loop_start)  # the intro's end
        for item in song.loop:
            self._item(item)
        self.items.append(self._here())
        self.images[self._at] += _jump(loop_start)  # in the room kept for the jump to the next segment
        return start

    def _item(self, item: bytes | Passage) -> None:
        if isinstance(item, Passage):
            self._reserve(PASSAGE_BYTES)
            self.items.append(self._here())
            bank, address = self.items[item.start]
            self.images[self._at] += bytes([PASSAGE, item.count, address & 0xFF, address >> 8, bank])
            return
        self._reserve(min(len(item), JUMP_BYTES))
        self.items.append(self._here())
        if len(item) <= MAX_RUN and self._fits(len(item)):
            self.images[self._at] += item
            return
        run = 0
        for at in range(0, len(item), 2):  # the last one is the wait alone
            command = item[at : at + 2]
            if self._reserve(len(command)):
                run = 0
            if run + len(command) > MAX_RUN:
                self._reserve(JUMP_BYTES)
                bank, address = self._here()
                self.images[self._at] += _jump((bank, address + JUMP_BYTES))
                run = 0
                self._reserve(len(command))
            self.images[self._at] += command
            run += len(command)

    def _here(self) -> Address:
        segment = self.segments[self._at]
        return segment.bank, segment.address + len(self.images[self._at])

    def _fits(self, n_bytes: int) -> bool:
        return len(self.images[self._at]) + n_bytes + JUMP_BYTES <= self.segments[self._at].size

    def _reserve(self, n_bytes: int) -> bool:
        """Make room for bytes of a song, if need be in the next segment; return whether it is that."""
        if self._fits(n_bytes):
            return False
        left = self._at
        self._next_segment()
        self.images[left] += _jump(self._here())
        return True

    def _next_segment(self) -> None:
        self._at += 1
        if self._at == len(self.segments):
            raise _FullError


def _jump(address: Address) -> bytes:
    return bytes([JUMP, address[1] & 0xFF, address[1] >> 8, address[0]])
