"""VGM 1.61 and VGZ: register logs with their time in samples at 44.1 kHz. Plays nothing, and reads the music of one chip, the 2A03.

Source: "VGM Spec v1.71 beta" of the VGM project (vgmrips), whose parts about the NES APU date from 1.61. GD3, the block
of tags: "Gd3 spec v1.00" of SMS Power.

The jump of a VGM's loop resets nothing, as the jump of a register log's loop does not. So a log's writes are the
file's writes, one for one, and what a loop needs restated the log must restate; the driver's logs do.

Reading keeps a loop's length to the sample. Where that is no whole number of frames at 60 Hz, the frame rate gives way
a little (a loop of 20 s: by at most 0.025 Hz), and the whole begins later by less than two frames, so that the loop
begins on a frame.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.writes import MAX_FRAME_RATE_HZ, MIN_FRAME_RATE_HZ, WRITE_SPACING_CYCLES
from nesasset.errors import FormatError, RegisterLogError, out_of_range
from nesasset.formats import files
from nesasset.register_log import APU_REGISTERS, MAX_MEMORY, RegisterLog
from nesasset.units import CLOCKS_HZ

MAX_BYTES: Final = 16 * 1024 * 1024  # unpacked; an hour of busy music has about 6 MiB
MAX_SAMPLES: Final = 0xFFFF_FFFF  # the header's field, 27 hours
SAMPLE_RATE_HZ: Final = 44_100
MIN_LOOP_SAMPLES: Final = 5  # a shorter one would need frames of more than 10 kHz

_CLOCK_TOLERANCE: Final = 0.002  # NTSC and Dendy are 0.9 % apart

_VERSION: Final = 0x161
_HEADER_BYTES: Final = 0xC0  # all fields of 1.61
_NES_CLOCK: Final = 0x84
_FDS_FLAG, _SECOND_CHIP_FLAG = 1 << 31, 1 << 30
_MEMORY_START: Final = 0xC000
_NES_RAM_BLOCK: Final = 0xC2
# Header fields with the clocks of the other chips, up to 1.71.
_OTHER_CHIPS: Final = {
    0x0C: "SN76489", 0x10: "YM2413", 0x2C: "YM2612", 0x30: "YM2151", 0x38: "Sega PCM", 0x40: "RF5C68", 0x44: "YM2203",
    0x48: "YM2608", 0x4C: "YM2610", 0x50: "YM3812", 0x54: "YM3526", 0x58: "Y8950", 0x5C: "YMF262", 0x60: "YMF278B",
    0x64: "YMF271", 0x68: "YMZ280B", 0x6C: "RF5C164", 0x70: "PWM", 0x74: "AY8910", 0x80: "Game Boy", 0x88: "MultiPCM",
    0x8C: "uPD7759", 0x90: "OKIM6258", 0x98: "OKIM6295", 0x9C: "K051649", 0xA0: "K054539", 0xA4: "HuC6280",
    0xA8: "C140", 0xAC: "K053260", 0xB0: "Pokey", 0xB4: "QSound", 0xB8: "SCSP", 0xC0: "WonderSwan", 0xC4: "VSU",
    0xC8: "SAA1099", 0xCC: "ES5503", 0xD0: "ES5506", 0xD8: "X1-010", 0xDC: "C352", 0xE0: "GA20",
}  # fmt: skip

_WAIT, _WAIT_735, _WAIT_882, _END, _BLOCK, _WRITE = 0x61, 0x62, 0x63, 0x66, 0x67, 0xB4
# Bytes of each command; of a block, those of its head.
_SIZES: Final = dict.fromkeys(range(0x70, 0x80), 1) | {
    _WAIT: 3,
    _WAIT_735: 1,
    _WAIT_882: 1,
    _END: 1,
    _BLOCK: 7,
    _WRITE: 3,
}
_GZIP: Final = b"\x1f\x8b"
_FRAME_SAMPLES: Final = {60: 735, 50: 882}  # by the header's rate; any other is read as 60

_GD3_VERSION: Final = 0x100
# In the order of the block; "" is the Japanese form of the one before.
_GD3_NAMES: Final = ("title", "", "game", "", "system", "", "author", "", "date", "converter", "notes")
_SYSTEM: Final = "Nintendo Entertainment System"


@dataclass(frozen=True, slots=True)
class VgmInfo:
    """What a VGM says about itself, for the 2A03 or any other chip."""

    version: str
    """Of the format: '1.61'."""
    is_packed: bool
    """Whether it is a VGZ."""
    chips: Mapping[str, int]
    """Clock of each chip in Hz, by its name."""
    samples: int
    """Length of one pass at 44.1 kHz, intro and loop, as the header says."""
    loop: tuple[int, int] | None
    """First sample of the loop and its length; None for a piece that ends."""
    writes: int | None
    """Writes to the 2A03; None for a file with other chips, whose music is not read."""
    tags: Mapping[str, str]
    """Title, game, system, author, date, converter and notes, those that are not empty."""

    @property
    def seconds(self) -> float:
        """Length of one pass in seconds."""
        return self.samples / SAMPLE_RATE_HZ


def dumps(log: RegisterLog, *, title: str = "", author: str = "", game: str = "", notes: str = "") -> bytes:
    """Return a register log as the bytes of a VGM file, the same for the same input. Inverse of `loads`.

    Frame i begins at sample 44100 i / frame rate, rounded from the exact product; a log with cycles keeps its own time,
    to a sample. What stands after a loop's end is never heard and left out.

    Args:
        log: The log.
        title: Of the track.
        author: Of the music.
        game: Game or album.
        notes: Anything else; may have several lines.

    Raises:
        RegisterLogError: The frame rate is out of range, the loop lasts less than five samples, or the file would be
            too long.
        FormatError: A text cannot be stored as one.
    """
    tags = _gd3({"title": title, "author": author, "game": game, "notes": notes, "system": _SYSTEM})
    _check_size(3 * len(log.frames))  # before the work
    samples, start, end = _timeline(log)
    body = bytearray()
    if log.memory:
        block = struct.pack("<H", _MEMORY_START) + log.memory
        body += struct.pack("<BBBI", _BLOCK, 0x66, _NES_RAM_BLOCK, len(block)) + block
    now = 0
    loop_at: int | None = None
    first_of_loop = len(samples) if log.loop is None else int(np.searchsorted(log.frames, log.loop[0]))
    registers = (log.addresses[: len(samples)].astype(np.int64) - 0x4000).tolist()
    for index, (sample, register, value) in enumerate(
        zip(samples, registers, log.values[: len(samples)].tolist(), strict=True)
    ):
        if index == first_of_loop and log.loop is not None:
            body += _waits(start - now)
            now, loop_at = start, len(body)
        if sample > now:
            body += _waits(sample - now)
            now = sample
        body += bytes((_WRITE, register, value))
    if log.loop is not None and loop_at is None:  # a loop that only holds
        body += _waits(start - now)
        now, loop_at = start, len(body)
    body += _waits(end - now)
    body.append(_END)
    size = _HEADER_BYTES + len(body) + len(tags)
    _check_size(size)
    header = bytearray(_HEADER_BYTES)
    header[:4] = b"Vgm "
    fields = {
        0x04: size - 0x04,
        0x08: _VERSION,
        0x14: _HEADER_BYTES + len(body) - 0x14,
        0x18: end,
        0x1C: 0 if loop_at is None else _HEADER_BYTES + loop_at - 0x1C,
        0x20: 0 if loop_at is None else end - start,
        0x24: round(log.frame_rate_hz),
        0x34: _HEADER_BYTES - 0x34,
        _NES_CLOCK: CLOCKS_HZ[log.region],
    }
    for at, number in fields.items():
        struct.pack_into("<I", header, at, number)
    return bytes(header + body) + tags


def dumps_vgz(log: RegisterLog, *, title: str = "", author: str = "", game: str = "", notes: str = "") -> bytes:
    """Return a register log as a VGZ, a VGM packed with gzip: no date, no name, the same for one version of zlib.

    Arguments and errors are those of `dumps`.
    """
    plain = dumps(log, title=title, author=author, game=game, notes=notes)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # Written here because gzip's own head names the system it ran on. RFC 1952: no flags, no time, best, unknown.
    head = _GZIP + b"\x08\0\0\0\0\0\x02\xff"
    return head + packer.compress(plain) + packer.flush() + struct.pack("<II", zlib.crc32(plain), len(plain))


def loads(data: bytes, name: str) -> RegisterLog:
    """Read a VGM or VGZ file of one 2A03.

    Frames are 1/60 s long, 1/50 s if the header says so, but for what a loop needs (see above). Cycles are given where
    a write does not lie on the beginning of a frame; the writes of one sample follow each other within it. Writes to
    $4014 and $4016, which make no sound, are left out.

    Args:
        data: The file.
        name: What to call it in messages.

    Returns:
        The log, with its loop, region and sample memory.

    Raises:
        FormatError: The file is no VGM, is damaged or cut off, uses another chip, or is larger than 16 MiB unpacked.
    """
    try:
        return _log(_parse(_unpacked(data)))
    except (FormatError, RegisterLogError) as error:
        raise FormatError(f"{name}: {error}") from error


def read_tags(data: bytes, name: str) -> dict[str, str]:
    """Return title, author, game and notes of a VGM or VGZ file, those that are not empty.

    Raises:
        FormatError: As `loads`, for what precedes the music.
    """
    try:
        plain = _unpacked(data)
        header = _header(plain)
        tags = _tags(plain, header.tags_at, header.end)
        return {tag: tags[tag] for tag in ("title", "author", "game", "notes") if tags.get(tag)}
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from error


def describe(path: str | os.PathLike[str]) -> VgmInfo:
    """Return what a VGM or VGZ says about itself. If it is for one 2A03 alone, the music is read, too.

    Raises:
        FormatError: The file cannot be read, is no VGM, is damaged or cut off, or is larger than 16 MiB.
    """
    data = files.read_bytes(path, MAX_BYTES)
    try:
        return _describe(_unpacked(data), data[:2] == _GZIP)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)}: {error}") from error


def _describe(data: bytes, is_packed: bool) -> VgmInfo:
    version, end, data_start = _start(data)
    names = {**_OTHER_CHIPS, _NES_CLOCK: "2A03"}
    clocks = {at: _number(data, at) for at in sorted(names) if at + 4 <= min(data_start, end)}
    chips = {names[at]: clock & ~(_FDS_FLAG | _SECOND_CHIP_FLAG) for at, clock in clocks.items() if clock}
    writes = None
    if list(chips) == ["2A03"] and chips["2A03"] == clocks[_NES_CLOCK]:
        writes = len(_parse(data).values)
    samples, looped = _number(data, 0x18), _number(data, 0x20)
    if looped > samples:
        raise FormatError(f"the VGM's loop must lie within its {samples} samples, and it has {looped}")
    tags = _tags(data, _place(data, 0x14), end)
    return VgmInfo(
        version=f"{version >> 8:x}.{version & 0xFF:02x}",
        is_packed=is_packed,
        chips=chips,
        samples=samples,
        loop=(samples - looped, looped) if looped and _number(data, 0x1C) else None,
        writes=writes,
        tags={tag: text for tag, text in tags.items() if text},
    )


def sample_cycles(samples: NDArray[np.int64], clock_hz: int) -> NDArray[np.int64]:
    """Return CPU cycles for times in samples at 44.1 kHz; writes of one sample follow each other within it.

    Args:
        samples: Never falling, from 0 on; shape (n_writes,).
        clock_hz: CPU clock; one sample is 37 cycles or more on every console.

    Returns:
        Cycles that never fall, so that `cycle_samples` gives the samples back.
    """
    first, after = np.searchsorted(samples, samples, side="left"), np.searchsorted(samples, samples, side="right")
    spacing = np.minimum(WRITE_SPACING_CYCLES, clock_hz // SAMPLE_RATE_HZ // (after - first))
    begins = -(-samples * clock_hz // SAMPLE_RATE_HZ)
    return np.asarray(begins + (np.arange(len(samples)) - first) * spacing, dtype=np.int64)


def cycle_samples(cycles: NDArray[np.int64], clock_hz: int) -> NDArray[np.int64]:
    """Return the samples at 44.1 kHz in which CPU cycles lie. Inverse of `sample_cycles`."""
    return np.asarray(cycles.astype(np.int64) * SAMPLE_RATE_HZ // clock_hz, dtype=np.int64)


def frame_starts(frames: NDArray[np.int64] | int, clock_hz: int, frame_rate_hz: float) -> NDArray[np.int64]:
    """Return the CPU cycles at which frames begin, to the nearest whole one, as the renderer has them."""
    return np.rint(np.asarray(frames, dtype=np.int64) * clock_hz / frame_rate_hz).astype(np.int64)


def cycle_frames(cycles: NDArray[np.int64], clock_hz: int, frame_rate_hz: float) -> NDArray[np.int64]:
    """Return the frames in which CPU cycles lie. `frame_starts` says where those begin."""
    frames = np.floor(cycles * frame_rate_hz / clock_hz).astype(np.int64)
    for _ in range(2):  # rounding may have put a cycle at a border into a neighbour, on either side
        frames -= frame_starts(frames, clock_hz, frame_rate_hz) > cycles
        frames += frame_starts(frames + 1, clock_hz, frame_rate_hz) <= cycles
    return frames


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise RegisterLogError(f"a VGM of {size} bytes is too long, at most {MAX_BYTES}: write a shorter log")


def _timeline(log: RegisterLog) -> tuple[list[int], int, int]:
    """Return the sample of each write that is heard, the sample of the loop's start (0 without) and that of the end."""
    if not MIN_FRAME_RATE_HZ <= log.frame_rate_hz <= MAX_FRAME_RATE_HZ:  # also catches NaN
        raise RegisterLogError(out_of_range("frame_rate_hz", log.frame_rate_hz, MIN_FRAME_RATE_HZ, MAX_FRAME_RATE_HZ))
    loop_start, loop_end = (0, log.n_frames) if log.loop is None else log.loop
    start, end = (_frame_sample(frame, log.frame_rate_hz) for frame in (loop_start, loop_end))
    if end > MAX_SAMPLES:
        raise RegisterLogError(f"a VGM lasts at most {MAX_SAMPLES} samples at 44.1 kHz, not {end}: write a shorter log")
    if log.loop is not None and end - start < MIN_LOOP_SAMPLES:
        raise RegisterLogError(f"a VGM's loop lasts at least {MIN_LOOP_SAMPLES} samples at 44.1 kHz, not {end - start}")
    lower, upper = (int(edge) for edge in np.searchsorted(log.frames, (loop_start, loop_end)))
    if log.cycles is None:
        frames, which = np.unique(log.frames[:upper], return_inverse=True)
        begins = [_frame_sample(frame, log.frame_rate_hz) for frame in frames.tolist()]
        samples = np.array(begins, dtype=np.int64)[which]
    else:
        samples = cycle_samples(log.cycles[:upper], CLOCKS_HZ[log.region])
        # Cycles may lie beside their frame by what was rounded; the file's loop is cut by frames.
        samples[:lower] = np.minimum(samples[:lower], start)
        samples[lower:] = np.clip(samples[lower:], start, end)
    return samples.tolist(), start, end


def _frame_sample(frame: int, frame_rate_hz: float) -> int:
    """Return the sample at which a frame begins: the nearest to the exact product, the later of two."""
    rate, divisor = float(frame_rate_hz).as_integer_ratio()
    return (2 * frame * SAMPLE_RATE_HZ * divisor + rate) // (2 * rate)


def _waits(samples: int) -> bytes:
    """Return the shortest commands that wait for a number of samples."""
    longest, rest = divmod(samples, 0xFFFF)
    return b"\x61\xff\xff" * longest + _short_wait(rest)


def _short_wait(samples: int) -> bytes:
    if samples == 0:
        return b""
    if samples <= 16:
        return bytes((0x6F + samples,))
    if samples in (735, 2 * 735):
        return bytes((_WAIT_735,)) * (samples // 735)
    if samples in (882, 2 * 882):
        return bytes((_WAIT_882,)) * (samples // 882)
    return bytes((_WAIT, samples & 0xFF, samples >> 8))


def _gd3(tags: dict[str, str]) -> bytes:
    """Return the block of tags."""
    texts = []
    for tag in _GD3_NAMES:
        text = tags.get(tag, "") if tag else ""
        if "\0" in text:
            raise FormatError(
                f"the {tag} of a VGM ends at its first zero character, so it must have none, not {text[:60]!r}"
            )
        try:
            texts.append(text.encode("utf-16-le") + b"\0\0")
        except UnicodeEncodeError as error:
            raise FormatError(f"the {tag} of a VGM must be Unicode text, not {text[:60]!r}") from error
    body = b"".join(texts)
    return b"Gd3 " + struct.pack("<II", _GD3_VERSION, len(body)) + body


@dataclass(frozen=True, slots=True)
class _Header:
    data_start: int
    end: int
    """Byte after the file's last."""
    tags_at: int | None
    loop_at: int | None
    """Byte of the loop's first command."""
    frame_samples: int
    region: str


@dataclass(frozen=True, slots=True)
class _Music:
    """What the commands say, in file order."""

    header: _Header
    samples: NDArray[np.int64]
    registers: bytes
    values: bytes
    n_samples: int
    loop_sample: int | None
    n_before_loop: int
    """Writes that stand before the loop in the file."""
    memory: bytes


def _unpacked(data: bytes) -> bytes:
    """Return the VGM inside a VGZ, or the VGM that is none."""
    if data[:2] == _GZIP:
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            plain = unpacker.decompress(data, MAX_BYTES + 1)
        except zlib.error as error:
            raise FormatError(f"the VGZ is damaged: {error}") from error
        if len(plain) <= MAX_BYTES and not unpacker.eof:
            raise FormatError("the VGZ is cut off")
        data = plain
    if len(data) > MAX_BYTES:
        raise FormatError(f"a VGM may have at most {MAX_BYTES} bytes, and this one has more")
    return data


def _number(data: bytes, at: int) -> int:
    """Return a field of the header."""
    return int.from_bytes(data[at : at + 4], "little")


def _place(data: bytes, at: int) -> int | None:
    """Return the byte of the file that a field points to, counted from itself; None for a field of zero."""
    return at + _number(data, at) if _number(data, at) else None


def _start(data: bytes) -> tuple[int, int, int]:
    """Return the version, the byte after the file's last and the byte of its first command; raise FormatError if cut off."""
    if data[:4] != b"Vgm ":
        raise FormatError("the file is no VGM: it does not begin with 'Vgm '")
    if len(data) < 0x40:
        raise FormatError(f"the VGM is cut off: it has {len(data)} bytes, its header alone needs 64")
    version, end, data_start = _number(data, 0x08), 0x04 + _number(data, 0x04), 0x34 + (_number(data, 0x34) or 0x0C)
    if end > len(data):
        raise FormatError(f"the VGM is cut off: it has {len(data)} of its {end} bytes")
    return version, end, data_start


def _header(data: bytes) -> _Header:
    """Check the header; raise FormatError if the file is cut off or not for one 2A03 alone."""
    version, end, data_start = _start(data)
    if version < _VERSION or data_start < _NES_CLOCK + 4:
        raise FormatError(
            f"a VGM of the 2A03 has version 1.61 or later and its header, not {version >> 8:x}.{version & 0xFF:02x}"
        )
    if data_start >= end:
        raise FormatError(f"the VGM's music must begin before its end at byte {end}, not at byte {data_start}")
    for at, chip in _OTHER_CHIPS.items():
        if at + 4 <= data_start and _number(data, at):
            raise FormatError(f"the VGM uses the {chip}; only the 2A03 alone can be read")
    clock = _number(data, _NES_CLOCK)
    if clock & (_FDS_FLAG | _SECOND_CHIP_FLAG):
        extra = "the Famicom Disk System's sound" if clock & _FDS_FLAG else "two 2A03s"
        raise FormatError(f"the VGM uses {extra}; only one 2A03 alone can be read")
    region = min(CLOCKS_HZ, key=lambda key: abs(CLOCKS_HZ[key] - clock))
    if abs(CLOCKS_HZ[region] - clock) > _CLOCK_TOLERANCE * clock:
        raise FormatError(
            f"the VGM's 2A03 clock must be near {', '.join(map(str, CLOCKS_HZ.values()))} Hz, not {clock}"
        )
    frame_samples = _FRAME_SAMPLES.get(_number(data, 0x24), 735)
    return _Header(data_start, end, _place(data, 0x14), _place(data, 0x1C), frame_samples, region)


def _tags(data: bytes, at: int | None, end: int) -> dict[str, str]:
    """Return the texts of the GD3 block at a byte of a file that ends at another, by name; missing ones are left out."""
    if at is None:
        return {}
    size = int.from_bytes(data[at + 8 : at + 12], "little")
    if data[at : at + 4] != b"Gd3 " or at + 12 + size > end:
        raise FormatError(
            f"the VGM's tags at byte {at} are damaged: no GD3 block that ends within the file begins there"
        )
    texts = data[at + 12 : at + 12 + size].decode("utf-16-le", errors="replace").split("\0", len(_GD3_NAMES))
    return {tag: text for tag, text in zip(_GD3_NAMES, texts, strict=False) if tag}


def _parse(data: bytes) -> _Music:
    """Read header and commands, and look at the tags."""
    header = _header(data)
    _tags(data, header.tags_at, header.end)
    at, end = header.data_start, header.end
    samples, registers, values = array("q"), bytearray(), bytearray()
    memory = _Memory()
    now = 0
    loop: tuple[int, int] | None = None
    while True:
        if at >= end:
            raise FormatError("the VGM is cut off: its music has no end command")
        if at == header.loop_at:
            loop = now, len(samples)
        command = data[at]
        size = _SIZES.get(command)
        if size is None:
            raise FormatError(
                f"command ${command:02X} at byte {at} is for another chip than the 2A03, or the VGM is damaged"
            )
        if at + size > end:
            raise FormatError(f"the VGM is cut off in the command at byte {at}")
        if command == _WRITE:
            register = data[at + 1]
            if register >= 0x20:
                raise FormatError(
                    f"the write at byte {at} is to the Famicom Disk System or a second 2A03, which cannot be read"
                )
            if 0x4000 + register in APU_REGISTERS:
                samples.append(now)
                registers.append(register)
                values.append(data[at + 2])
        elif command >= 0x70:
            now += command - 0x6F
        elif command == _WAIT:
            now += data[at + 1] | data[at + 2] << 8
        elif command == _WAIT_735:
            now += 735
        elif command == _WAIT_882:
            now += 882
        elif command == _BLOCK:
            size += memory.read_block(data, at, end)
        else:
            break
        at += size
    if now > MAX_SAMPLES:
        raise FormatError(f"a VGM lasts at most {MAX_SAMPLES} samples, not {now}")
    if header.loop_at is not None and (loop is None or now - loop[0] < MIN_LOOP_SAMPLES):
        raise FormatError(
            f"the VGM's loop must begin with a command {MIN_LOOP_SAMPLES} samples or more before the end, not at byte {header.loop_at}"
        )
    return _Music(
        header=header,
        samples=np.frombuffer(samples, dtype=np.int64).copy(),
        registers=bytes(registers),
        values=bytes(values),
        n_samples=now,
        loop_sample=None if loop is None else loop[0],
        n_before_loop=0 if loop is None else loop[1],
        memory=memory.content(),
    )


class _Memory:
    """What the blocks of a file put where the sample channel reads."""

    def __init__(self) -> None:
        self._bytes = bytearray(MAX_MEMORY)
        self._known = bytearray(MAX_MEMORY)  # 1 where a block has been

    def read_block(self, data: bytes, at: int, end: int) -> int:
        """Take in the block at a byte of the file and return its size without its head of seven bytes."""
        kind, size = data[at + 2], int.from_bytes(data[at + 3 : at + 7], "little")
        if data[at + 1] != 0x66 or kind != _NES_RAM_BLOCK:
            raise FormatError(
                f"the block at byte {at} is of type ${kind:02X}; only $C2, memory of the 2A03, can be read"
            )
        if not 2 <= size <= end - at - 7:
            raise FormatError(f"the VGM is cut off or damaged: {size} bytes are announced for the block at byte {at}")
        start = data[at + 7] | data[at + 8] << 8
        body = data[at + 9 : at + 7 + size]
        if start + len(body) > 0x1_0000:
            raise FormatError(f"the block at byte {at} must end within 64 KiB of memory, not at ${start + len(body):X}")
        body = body[max(0, _MEMORY_START - start) :]  # what lies lower, the sample channel does not reach
        first = max(0, start - _MEMORY_START)
        last = first + len(body)
        if any(self._known[first:last]):
            same = all(
                not known or old == new
                for known, old, new in zip(self._known[first:last], self._bytes[first:last], body, strict=True)
            )
            if not same:
                raise FormatError(f"the block at byte {at} changes sample memory during the music, which a log cannot")
        self._bytes[first:last] = body
        self._known[first:last] = b"\x01" * len(body)
        return size

    def content(self) -> bytes:
        """Return memory from $C000 to the last byte known."""
        return bytes(self._bytes[: self._known.rfind(1) + 1])


def _log(music: _Music) -> RegisterLog:
    """Put the writes into frames."""
    base, clock = music.header.frame_samples, CLOCKS_HZ[music.header.region]
    samples, before = music.samples, music.n_before_loop
    loop: tuple[int, int] | None = None
    frame, rate = Fraction(base), SAMPLE_RATE_HZ / base
    if music.loop_sample is None:
        shift = 0
        n_frames = ceil(Fraction(max(music.n_samples, int(samples[-1]) + 1 if len(samples) else 1), base))
    else:
        start, end = music.loop_sample, music.n_samples
        # A write before the jump or the loop, though of the same sample, belongs to the sample, and the frame, before.
        samples[:before] = np.minimum(samples[:before], start - 1)
        samples = np.minimum(samples, end - 1)
        n_loop = max(1, floor(Fraction(end - start, base) + Fraction(1, 2)))
        frame = Fraction(end - start, n_loop)
        rate = float(SAMPLE_RATE_HZ / frame)
        earliest = start + int(len(samples) > 0 and samples[0] < 0)  # a loop from sample 0 on, with writes before it
        first = ceil((earliest - Fraction(1, 2)) / frame)
        first += _frame_sample(first, rate) < earliest  # between two samples a rounded rate may go either way
        shift = _frame_sample(first, rate) - start
        loop = (first, first + n_loop)
        n_frames = loop[1]
    samples = samples + shift
    cycles: NDArray[np.int64] | None = None
    if frame == base and not np.any(samples % base):
        frames = samples // base
    else:
        cycles = sample_cycles(samples, clock)
        if loop is not None:  # a frame may begin within a sample
            edges = frame_starts(np.array(loop), clock, rate)
            cycles[:before] = np.minimum(cycles[:before], edges[0] - 1)
            cycles[before:] = np.clip(cycles[before:], edges[0], edges[1] - 1)
        frames = cycle_frames(cycles, clock, rate)
    return RegisterLog(
        frames=frames,
        addresses=np.frombuffer(music.registers, dtype=np.uint8).astype(np.uint16) + np.uint16(0x4000),
        values=np.frombuffer(music.values, dtype=np.uint8),
        n_frames=n_frames,
        loop=loop,
        frame_rate_hz=rate,
        cycles=cycles,
        region=music.header.region,
        memory=music.memory,
    )
