"""The lines of a FamiTracker text: macros, instruments, tracks, cells. Holds no music; famitracker_reader.py makes the score.

Facts: the text importer of FamiTracker 0.4.6, as published.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from nesasset.errors import FormatError, out_of_range
from nesasset.formats.tracker_cells import MAX_PATTERN_ROWS
from nesasset.score import MAX_ENVELOPE_FRAMES
from nesasset.units import MAX_VOLUME

SPLIT: Final = 32  # Fxx below it is a speed, from it on a tempo
DPCM: Final = 4  # index of the fifth column
VOLUME, ARPEGGIO, PITCH, HI_PITCH, DUTY = range(5)  # kinds of macros


@dataclass(frozen=True, slots=True)
class Macro:
    """A sequence with a value for each frame of a note."""

    values: tuple[int, ...]
    loop: int | None
    """Index at which it goes on after its last value; None: the last one holds."""
    release: int | None
    """Index of the last value before a release; None without one."""
    setting: int
    """Of an arpeggio: 0 absolute, 1 fixed, 2 relative."""


@dataclass(frozen=True, slots=True)
class TrackerInstrument:
    """An instrument of the 2A03."""

    name: str
    macros: tuple[int, ...] = (-1,) * 5
    """Number of its macro of each kind, -1 for none."""


@dataclass(frozen=True, slots=True)
class TrackerCell:
    """What one voice has in one row."""

    note: str
    """Three letters: a note, '...' for none, '---' for a cut, '===' for a release."""
    instrument: int | None
    volume: int | None
    effects: tuple[tuple[str, int], ...]
    """Letter and parameter."""


NOTHING: Final = TrackerCell("...", None, None, ())


@dataclass(slots=True)
class Track:
    """A song of the file."""

    rows: int
    """Rows of a pattern."""
    speed: int
    tempo: int
    name: str
    order: dict[int, list[int]] = field(default_factory=dict)
    """Five pattern numbers for each entry."""
    cells: dict[tuple[int, int], tuple[str, list[str]]] = field(default_factory=dict)
    """By pattern and row: place in the file, as messages have it, and the text of each channel's cell."""


@dataclass(slots=True)
class Module:
    """A whole file."""

    texts: dict[str, str] = field(default_factory=dict)
    """TITLE, AUTHOR, COPYRIGHT."""
    comments: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    """MACHINE, FRAMERATE, EXPANSION, VIBRATO, SPLIT."""
    macros: dict[tuple[int, int], Macro] = field(default_factory=dict)
    """By kind and number."""
    instruments: dict[int, TrackerInstrument] = field(default_factory=dict)
    tracks: list[Track] = field(default_factory=list)


MAX_LINES: Final = 131_072  # four times what a full track of FamiTracker has; the longest published song has some 20 000
_MAX_EFFECTS: Final = 4  # FamiTracker's MAX_EFFECT_COLUMNS
_MAX_OTHERS: Final = 20  # words at the beginning of lines that are reported each for itself
_INTEGER: Final = re.compile(r"-?[0-9]{1,6}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,4}")
_TEXTS: Final = ("TITLE", "AUTHOR", "COPYRIGHT")
_NUMBERS: Final = ("MACHINE", "FRAMERATE", "EXPANSION", "VIBRATO", "SPLIT")
_KNOWN_AND_UNUSED: Final = {"DPCMDEF", "DPCM", "KEYDPCM", "N163CHANNELS"}


def parse(text: str, wanted: int, left_out: Counter[str]) -> Module:
    """Return the lines of a text as a module.

    Args:
        text: The text.
        wanted: The track, counted from 1, whose patterns are read; the others keep their names only.
        left_out: Counts the lines of commands that are not known.

    Raises:
        FormatError: A line is broken; the sentence begins with its number.
    """
    module = Module()
    pattern = 0
    if text.count("\n") >= MAX_LINES:
        raise FormatError(f"a FamiTracker text must have at most {MAX_LINES} lines, and this one has more")
    others: set[str] = set()
    for line_number, line in enumerate(text.split("\n"), start=1):
        words = line.split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        command, rest = words[0].upper(), words[1] if len(words) > 1 else ""
        where = f"line {line_number}"
        if command in {"ORDER", "ROW", "COLUMNS"}:  # first, for they are most
            if not module.tracks:
                raise FormatError(f"{where}: {command} stands before any TRACK")
            if command != "COLUMNS" and len(module.tracks) == wanted:
                _parse_pattern_line(module.tracks[-1], command, rest, pattern, where)
        elif command in _TEXTS:
            module.texts[command] = _string(rest)
        elif command == "COMMENT":
            module.comments.append(_string(rest))
        elif command in _NUMBERS:
            (module.numbers[command],) = _integers(rest, where, 1)
        elif command == "MACRO":
            _parse_macro(module, rest, where)
        elif command == "INST2A03":
            head, quote, _ = rest.partition('"')
            index, *macros = _integers(head, where, 6)
            module.instruments[index] = TrackerInstrument(_string(rest) if quote else "", tuple(macros))
        elif command == "TRACK":
            rows, speed, tempo = _integers(rest.partition('"')[0], where, 3)
            if not 1 <= rows <= MAX_PATTERN_ROWS:
                raise FormatError(f"{where}: {out_of_range('rows of a pattern', rows, 1, MAX_PATTERN_ROWS)}")
            if not 0 <= tempo <= 255 or not 0 <= speed <= 255:
                raise FormatError(f"{where}: speed and tempo must be between 0 and 255, not {speed} and {tempo}")
            module.tracks.append(Track(rows, max(1, speed), tempo, _string(rest) if '"' in rest else ""))
            pattern = 0
        elif command == "PATTERN":
            pattern = _hexadecimal(rest.strip(), where)
        elif command not in _KNOWN_AND_UNUSED:
            command = command[:20]
            if len(others) < _MAX_OTHERS:
                others.add(command)
            left_out[f"lines that begin with {command if command in others else 'other words'}"] += 1
    return module


def _parse_macro(module: Module, rest: str, where: str) -> None:
    head, colon, tail = rest.partition(":")
    if not colon:
        raise FormatError(f"{where}: a MACRO needs a colon before its values")
    kind, index, loop, release, setting = _integers(head, where, 5)
    n_values = len(tail.split())
    if n_values > MAX_ENVELOPE_FRAMES:
        raise FormatError(f"{where}: {out_of_range('values of a macro', n_values, 0, MAX_ENVELOPE_FRAMES)}")
    values = tuple(_integers(tail, where))
    module.macros[kind, index] = Macro(
        values, loop if 0 <= loop < len(values) else None, release if 0 <= release < len(values) else None, setting
    )


def _parse_pattern_line(track: Track, command: str, rest: str, pattern: int, where: str) -> None:
    head, colon, tail = rest.partition(":")
    if not colon:
        raise FormatError(f"{where}: {command} needs a colon after its number")
    index = _hexadecimal(head.strip(), where)
    if index > 255:
        raise FormatError(f"{where}: {out_of_range(f'number of {command}', index, 0, 255)}")
    if command == "ORDER":
        track.order[index] = [_hexadecimal(word, where) for word in tail.split()[:5]]
        if len(track.order[index]) < 5:
            raise FormatError(f"{where}: ORDER must name at least 5 patterns, not {len(track.order[index])}")
    elif index < track.rows:
        parts = tail.split(":", 5)[:5]
        if len(parts) < 5:
            raise FormatError(f"{where}: ROW must have at least 5 cells, not {len(parts)}")
        track.cells[pattern, index] = (where, parts)


def _string(rest: str) -> str:
    """Return what stands between the first and the last quotation mark, doubled ones made single; without any, all."""
    first, last = rest.find('"'), rest.rfind('"')
    if first == last:
        return rest.strip().replace('"', "")
    return rest[first + 1 : last].replace('""', '"')


def _integers(text: str, where: str, count: int | None = None) -> list[int]:
    words = text.split()
    for word in words:
        if not _INTEGER.fullmatch(word):
            raise FormatError(f"{where}: a whole number is needed, not {word[:20]!r}")
    if count is not None and len(words) != count:
        raise FormatError(f"{where}: {count} whole numbers are needed, not {len(words)}")
    return [int(word) for word in words]


@lru_cache(maxsize=4096)
def _value(word: str) -> int | None:
    """Return a hexadecimal number of at most four digits; None if it is none."""
    return int(word, 16) if _HEX.fullmatch(word) else None


def _hexadecimal(word: str, where: str) -> int:
    found = _value(word)
    if found is None:
        raise FormatError(f"{where}: a hexadecimal number is needed, not {word[:20]!r}")
    return found


@lru_cache(maxsize=4096)
def _effect(word: str) -> tuple[str, int] | None:
    """Return letter and parameter of an effect; None if it has no hexadecimal parameter."""
    parameter = _value(word[1:])
    return None if parameter is None else (word[0].upper(), parameter)


def to_cell(text: str, where: str) -> TrackerCell:
    """Return a cell: note, instrument, volume, effects. Raises FormatError, which begins with where."""
    words = text.split()
    if len(words) < 3:
        raise FormatError(f"{where}: a cell needs a note, an instrument and a volume, not {text.strip()[:30]!r}")
    note, instrument, volume, *effects = words
    if len(note) != 3:
        raise FormatError(f"{where}: a note must have three letters, not {note[:20]!r}")
    number = None if instrument in ("..", "&&") else _hexadecimal(instrument, where)
    level = None if volume == "." else _hexadecimal(volume, where)
    if level is not None and level > MAX_VOLUME:
        raise FormatError(f"{where}: {out_of_range('volume', level, 0, MAX_VOLUME)}")
    if len(effects) > _MAX_EFFECTS:
        raise FormatError(f"{where}: {out_of_range('effects of a cell', len(effects), 0, _MAX_EFFECTS)}")
    found = []
    for effect in effects:
        if effect == "...":
            continue
        if len(effect) != 3:
            raise FormatError(f"{where}: an effect must have three letters, not {effect[:20]!r}")
        parsed = _effect(effect)
        if parsed is None:
            raise FormatError(f"{where}: a hexadecimal number is needed, not {effect[1:]!r}")
        found.append(parsed)
    return TrackerCell(note, number, level, tuple(found))
