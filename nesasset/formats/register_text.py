"""Register logs as text, a write a line: lossless, the same text for equal logs, made to be read and compared.

    nesasset register log 1
    rate 60
    region ntsc
    length 3840
    loop 960 3840
    memory C000 A5A5…
    columns frame register value

    0 4015 0F
    0 4000 B9

Frames and cycles are decimal, registers, values and memory hexadecimal. The header's lines may stand in any order
before `columns`; only `length` and `columns` must be there. What follows a # is a remark. A log with cycles has a fourth
column, `cycle`, the CPU cycle since the log's start.

Reads one foreign form too: lines of CPU cycle (decimal), register less $4000 and value (two hexadecimal digits each),
as emulators print them. Holds no chip and no notes.
"""

from __future__ import annotations

import os
import re
from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.writes import MAX_FRAME_RATE_HZ, MIN_FRAME_RATE_HZ
from nesasset.errors import FormatError, RegisterLogError, did_you_mean, out_of_range
from nesasset.formats import files
from nesasset.formats.vgm import cycle_frames
from nesasset.register_log import APU_REGISTERS, MAX_MEMORY, RegisterLog
from nesasset.units import CLOCKS_HZ, FRAME_RATE_HZ

MAX_CHARACTERS: Final = 16 * 1024 * 1024  # an hour at 200 writes a second, cycles included
FIRST_LINE: Final = "nesasset register log 1"

_COLUMNS: Final = "frame register value"
_COLUMNS_WITH_CYCLES: Final = "frame register value cycle"
_MEMORY_START: Final = 0xC000
_MEMORY_LINE_BYTES: Final = 32
_KEYS: Final = ("rate", "region", "length", "loop", "memory", "columns")

_MAX_DIGITS: Final = 15  # every number then is exact as a float too
_NUMBER: Final = f"([0-9]{{1,{_MAX_DIGITS}}})"
_WRITE: Final = re.compile(rf"{_NUMBER} +([0-9A-Fa-f]{{4}}) +([0-9A-Fa-f]{{2}})")
_WRITE_WITH_CYCLE: Final = re.compile(rf"{_WRITE.pattern} +{_NUMBER}")
_CYCLE_LINE: Final = re.compile(rf"{_NUMBER} +([0-9A-Fa-f]{{2}}) +([0-9A-Fa-f]{{2}})")
_RATE: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,20})?")
_TWO_NUMBERS: Final = re.compile(rf"{_NUMBER} +{_NUMBER}")
_MEMORY: Final = re.compile(rf"([0-9A-Fa-f]{{4}}) +((?:[0-9A-Fa-f]{{2}}){{1,{MAX_MEMORY}}})")
_SHOWN: Final = 60  # characters of a line that a message quotes


@dataclass(frozen=True, slots=True)
class LogInfo:
    """What a register log holds."""

    frames: int
    """Of one pass, intro and loop."""
    seconds: float
    frame_rate_hz: float
    region: str
    writes: int
    loop: tuple[int, int] | None
    """First frame of the loop and the frame after its last; None for a piece that ends."""
    has_cycles: bool
    """Whether each write has its CPU cycle."""
    memory_bytes: int
    """Of sample memory."""


def dumps(log: RegisterLog) -> str:
    """Return the text of a register log; `loads` gives the log back.

    Raises:
        RegisterLogError: The frame rate is out of range, a number has more than fifteen digits, or the text would
            have more than 16 Mi characters.
    """
    rate = float(log.frame_rate_hz)
    if not MIN_FRAME_RATE_HZ <= rate <= MAX_FRAME_RATE_HZ:  # also catches NaN
        raise RegisterLogError(out_of_range("frame_rate_hz", rate, MIN_FRAME_RATE_HZ, MAX_FRAME_RATE_HZ))
    longest = max(log.n_frames, 0 if log.cycles is None else int(log.cycles.max(initial=0)))
    if longest >= 10**_MAX_DIGITS:
        raise RegisterLogError(f"frames and cycles of a text must have at most {_MAX_DIGITS} digits, not {longest}")
    lines = [
        FIRST_LINE,
        f"rate {int(rate) if rate.is_integer() else repr(rate)}",
        f"region {log.region}",
        f"length {log.n_frames}",
    ]
    if log.loop is not None:
        lines.append(f"loop {log.loop[0]} {log.loop[1]}")
    lines += [
        f"memory {_MEMORY_START + at:04X} {log.memory[at : at + _MEMORY_LINE_BYTES].hex().upper()}"
        for at in range(0, len(log.memory), _MEMORY_LINE_BYTES)
    ]
    lines += [f"columns {_COLUMNS if log.cycles is None else _COLUMNS_WITH_CYCLES}", ""]
    columns = (log.frames.tolist(), log.addresses.tolist(), log.values.tolist())
    if log.cycles is None:
        lines += [f"{frame} {register:04X} {value:02X}" for frame, register, value in zip(*columns, strict=True)]
    else:
        lines += [
            f"{frame} {register:04X} {value:02X} {cycle}"
            for frame, register, value, cycle in zip(*columns, log.cycles.tolist(), strict=True)
        ]
    text = "\n".join(lines) + "\n"
    if len(text) > MAX_CHARACTERS:
        raise RegisterLogError(
            f"a text of {len(text)} characters is too long, at most {MAX_CHARACTERS}: write a shorter log"
        )
    return text


def loads(text: str, name: str) -> RegisterLog:
    """Read the text of a register log, or an emulator's lines of cycle, register and value.

    Lines of the second form give a log of an NTSC console in frames of 1/60 s, as long as its last write; those to
    $4014 and $4016, which make no sound, are left out.

    Args:
        text: The file's content.
        name: What to call it in messages.

    Raises:
        FormatError: The text is neither, a line is damaged, or it has more than 16 Mi characters.
    """
    if len(text) > MAX_CHARACTERS:
        raise FormatError(
            f"{name}: a register log may have at most {MAX_CHARACTERS} characters, and it has {len(text)}"
        )
    try:
        lines = text.split("\n")  # not splitlines: that would end a line at characters that no editor counts
        first, words = _next_line(lines, 0)
        if words == FIRST_LINE:
            return _read_log(lines, first + 1)
        if _CYCLE_LINE.fullmatch(words):
            return _read_cycle_lines(lines, first)
        raise FormatError(
            f"line {first + 1} must be {FIRST_LINE!r}, or a cycle, a register and a value such as '1905 15 0F', "
            f"not {_shown(words)}"
        )
    except (FormatError, RegisterLogError) as error:
        raise FormatError(f"{name}: {error}") from error


def load(path: str | os.PathLike[str]) -> RegisterLog:
    """Read a file; see `loads` for the errors."""
    data = files.read_bytes(path, MAX_CHARACTERS)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{os.fspath(path)}: byte {error.start} is no UTF-8; save the register log as UTF-8 text") from error
    return loads(text, os.fspath(path))


def describe(path: str | os.PathLike[str]) -> LogInfo:
    """Return what a register log holds; see `loads` for the errors."""
    log = load(path)
    return LogInfo(
        frames=log.n_frames,
        seconds=log.n_frames / log.frame_rate_hz,
        frame_rate_hz=log.frame_rate_hz,
        region=log.region,
        writes=len(log.frames),
        loop=log.loop,
        has_cycles=log.cycles is not None,
        memory_bytes=len(log.memory),
    )


def _words(line: str) -> str:
    """Return a line without its remark and the blanks round it."""
    return line.partition("#")[0].strip(" \t\r")


def _shown(words: str) -> str:
    return repr(words if len(words) <= _SHOWN else words[:_SHOWN] + "…")


def _next_line(lines: list[str], at: int) -> tuple[int, str]:
    """Return the number, from 0, and the words of the next line that has any; after the last, the end and nothing."""
    while at < len(lines):
        if words := _words(lines[at]):
            return at, words
        at += 1
    return max(0, len(lines) - 1), ""


def _read_log(lines: list[str], at: int) -> RegisterLog:
    """Read what follows the first line."""
    rate, region, n_frames = float(FRAME_RATE_HZ), "ntsc", 0
    loop: tuple[int, int] | None = None
    memory = bytearray()
    seen: set[str] = set()
    while "columns" not in seen:
        at, words = _next_line(lines, at)
        where = f"line {at + 1}"
        key, _, rest = words.partition(" ")
        rest = rest.strip(" \t")
        if key not in _KEYS:
            raise FormatError(
                f"{where}: the header's lines begin with {', '.join(_KEYS)}, and 'columns' ends them, "
                f"not {_shown(key)}{did_you_mean(key[:_SHOWN], _KEYS)}"
            )
        if key in seen and key != "memory":
            raise FormatError(f"{where}: {key} must be given once, and it was before")
        seen.add(key)
        if key == "rate":
            rate = _rate(rest, where)
        elif key == "region":
            region = rest[:_SHOWN]  # the log knows which there are
        elif key == "length":
            if not re.fullmatch(_NUMBER, rest):
                raise FormatError(
                    f"{where}: length must be a number of frames such as 'length 960', not {_shown(rest)}"
                )
            n_frames = int(rest)
        elif key == "loop":
            match = _TWO_NUMBERS.fullmatch(rest)
            if match is None:
                raise FormatError(
                    f"{where}: loop must be its first frame and the frame after its last such as 'loop 0 960', not {_shown(rest)}"
                )
            loop = int(match[1]), int(match[2])
        elif key == "memory":
            _read_memory(rest, memory, where)
        elif rest not in (_COLUMNS, _COLUMNS_WITH_CYCLES):
            raise FormatError(f"{where}: columns must be {_COLUMNS!r} or {_COLUMNS_WITH_CYCLES!r}, not {_shown(rest)}")
        at += 1
    if "length" not in seen:
        raise FormatError(f"line {at}: a header must give the length in frames before its columns")
    with_cycles = rest == _COLUMNS_WITH_CYCLES
    rows = _read_rows(lines, at, _WRITE_WITH_CYCLE if with_cycles else _WRITE, rest)
    return RegisterLog(
        frames=rows[0],
        addresses=_addresses(rows[1]),
        values=rows[2].astype(np.uint8),
        n_frames=n_frames,
        loop=loop,
        frame_rate_hz=rate,
        cycles=rows[3] if with_cycles else None,
        region=region,
        memory=bytes(memory),
    )


def _rate(rest: str, where: str) -> float:
    rate = float(rest) if _RATE.fullmatch(rest) else 0.0
    if not MIN_FRAME_RATE_HZ <= rate <= MAX_FRAME_RATE_HZ:
        raise FormatError(f"{where}: {out_of_range('rate', rest[:_SHOWN], MIN_FRAME_RATE_HZ, MAX_FRAME_RATE_HZ)}")
    return rate


def _read_memory(rest: str, memory: bytearray, where: str) -> None:
    """Append a line of memory, which must begin where the line before it ended."""
    match = _MEMORY.fullmatch(rest)
    expected = _MEMORY_START + len(memory)
    if match is None or int(match[1], 16) != expected:
        raise FormatError(
            f"{where}: memory must go on with its address {expected:04X} and bytes such as '{expected:04X} 00FF', not {_shown(rest)}"
        )
    memory += bytes.fromhex(match[2])
    if len(memory) > MAX_MEMORY:
        raise FormatError(f"{where}: memory must end at FFFF, not at {_MEMORY_START + len(memory) - 1:X}")


def _read_rows(lines: list[str], at: int, pattern: re.Pattern[str], columns: str) -> list[NDArray[np.int64]]:
    """Return the columns of the lines from one on: the second and third are hexadecimal."""
    found = [array("q") for _ in range(pattern.groups)]
    bases = (10, 16, 16, 10)
    for number in range(at, len(lines)):
        words = _words(lines[number])
        if not words:
            continue
        match = pattern.fullmatch(words)
        if match is None:
            raise FormatError(f"line {number + 1} must have the columns {columns}, not {_shown(words)}")
        for column, word, base in zip(found, match.groups(), bases, strict=False):
            column.append(int(word, base))
    return [np.frombuffer(column, dtype=np.int64).copy() for column in found]


def _addresses(registers: NDArray[np.int64]) -> NDArray[np.uint16]:
    return registers.astype(np.uint16)


def _read_cycle_lines(lines: list[str], at: int) -> RegisterLog:
    """Read lines of cycle, register and value."""
    cycles, registers, values = _read_rows(lines, at, _CYCLE_LINE, "cycle register value")
    addresses = 0x4000 + registers
    unknown = addresses > max(APU_REGISTERS)
    if unknown.any():
        which = int(np.argmax(unknown))
        raise FormatError(f"write {which + 1} is to ${int(addresses[which]):04X}, which is no APU register")
    heard = np.isin(addresses, sorted(APU_REGISTERS))
    cycles = cycles[heard]
    frames = cycle_frames(cycles, CLOCKS_HZ["ntsc"], FRAME_RATE_HZ)
    return RegisterLog(
        frames=frames,
        addresses=_addresses(addresses[heard]),
        values=values[heard].astype(np.uint8),
        n_frames=int(frames[-1]) + 1 if len(frames) else 1,
        cycles=cycles,
    )
