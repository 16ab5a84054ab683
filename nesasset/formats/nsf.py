"""NSF and NSF2: register logs as music that plays on the console, the player with it. Writes; reads what a file says of itself.

Source: NESdev wiki, pages "NSF", "NSF2", "NSFe" (the chunks appended to an NSF2).

The file is the header and 4 KiB banks: bank 0 holds the player and its tables and is seen at $8000, the stream's banks
are seen one at a time at $9000, and a log's sample memory at $C000, where the chip reads it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nesasset.errors import FormatError, out_of_range
from nesasset.formats import files
from nesasset.formats.nes_player import NSF_CODE, stream
from nesasset.formats.nes_player.font import to_ascii
from nesasset.register_log import RegisterLog

BANK_BYTES: Final = 0x1000
MAX_BANKS: Final = 256
MAX_LOOPS: Final = 1000
MAX_FADE_MS: Final = 600_000
MAX_BYTES: Final = 4 * 1024 * 1024  # of a file to describe: 1 MiB of banks, and what stands behind them

_HEADER: Final = struct.Struct("<5s3B3H32s32s32sH8sH2BB3s")
_INIT, _PLAY, _LOAD = 0x8000, 0x8003, 0x8000
_TABLES: Final = 0x8200  # SONG_LOW and what follows in nsf.s, 256 bytes each
_WINDOW: Final = 0x9000
_TEXT_BYTES: Final = 31  # and a zero
_SAMPLE_BANKS: Final = 4  # $C000 to $FFFF
_SAMPLE_CHANNEL: Final = 0x10  # the bit of $4015
_REGIONS: Final = {"ntsc": 0, "pal": 1}
_EXPANSIONS: Final = ("VRC6", "VRC7", "FDS", "MMC5", "N163", "5B", "VT02+")  # bits of the header's byte $7B


@dataclass(frozen=True, slots=True)
class NsfInfo:
    """What an NSF says about itself, ours or any other."""

    version: int
    """1, or 2 for an NSF2."""
    songs: int
    album: str
    """The header's first line: a game, a pack, or the title of the only song."""
    author: str
    copyright: str
    region: str
    """'ntsc', 'pal', or 'both'."""
    frames_a_second: float
    """By the header's period in microseconds, the NTSC one unless the file is for PAL only."""
    data_bytes: int
    """Program and music."""
    banks: int
    """Of 4 KiB, filled up; 0 for a file that is loaded as a whole."""
    expansions: tuple[str, ...]
    """Sound chips beside the 2A03."""
    titles: tuple[str, ...]
    """Of the songs, where chunks behind the data have them."""
    seconds: tuple[float | None, ...]
    """How long each song is to be heard, without its fade, where chunks say so; None for a song of which they do not."""


def dumps(
    logs: Sequence[RegisterLog],
    *,
    titles: Sequence[str] | None = None,
    author: str = "",
    album: str = "",
    copyright: str = "",
    nsf2: bool = True,
    loops: int = 2,
    fade_ms: int = 8000,
) -> bytes:
    """Return an NSF with one song for each log. The player repeats a loop for ever, and is silent after a log's end.

    Frames, order and values of all writes are kept; where in its frame a write stood (`RegisterLog.cycles`) is not.

    Args:
        logs: 1 to 255 logs of one frame rate and one region (NTSC or PAL).
        titles: One for each log; only an NSF2 holds them. The header of a file with one song has its title where
            `album` is empty.
        author: Who made the music.
        album: The name of the game or the pack.
        copyright: The line of that name in the header.
        nsf2: Version 2, with titles and times behind the data; or version 1, for old players. The header holds the
            first 31 characters of album, author and copyright in ASCII; an NSF2 holds them whole and in UTF-8 as well.
        loops: How often an NSF2 says that a loop is to be heard, 1 to 1000; the player itself never stops.
        fade_ms: How long an NSF2 says that a looping song fades after that, in milliseconds, 0 to 600000.

    Raises:
        FormatError: The logs cannot be one NSF, or are too much for its 1 MiB.
    """
    names = stream.check_logs(logs, titles)
    if not 1 <= loops <= MAX_LOOPS:
        raise FormatError(out_of_range("loops", loops, 1, MAX_LOOPS))
    if not 0 <= fade_ms <= MAX_FADE_MS:
        raise FormatError(out_of_range("fade_ms", fade_ms, 0, MAX_FADE_MS))
    if logs[0].region not in _REGIONS:
        raise FormatError(f"an NSF is for NTSC or PAL, not {logs[0].region!r}; write another format")
    period_us = round(1e6 / logs[0].frame_rate_hz)
    if not 1 <= period_us <= 0xFFFF:
        raise FormatError(out_of_range("frames a second of an NSF", logs[0].frame_rate_hz, 15.26, 10_000))
    album = album or (names[0] if len(logs) == 1 else "")
    data = _banks(logs)
    body = _HEADER.pack(
        b"NESM\x1a",
        *(2 if nsf2 else 1, len(logs), 1),
        *(_LOAD, _INIT, _PLAY),
        *(_field(album), _field(author), _field(copyright)),
        period_us,
        bytes([0, 1, 0, 0, 0, 0, 0, 0]),
        period_us,  # a PAL machine keeps the tempo, too
        _REGIONS[logs[0].region],
        *(0, 0),
        len(data).to_bytes(3, "little") if nsf2 else bytes(3),
    )
    return body + data + (_metadata(logs, names, (album, author, copyright), loops, fade_ms) if nsf2 else b"")


def save(
    logs: Sequence[RegisterLog],
    path: str | os.PathLike[str],
    *,
    titles: Sequence[str] | None = None,
    author: str = "",
    album: str = "",
) -> None:
    """Write an NSF2 file, whole or not at all; see `dumps`.

    Raises:
        FormatError: The logs cannot be one NSF, or are too much for its 1 MiB.
        OutputError: The file cannot be written.
    """
    files.write_bytes(path, dumps(logs, titles=titles, author=author, album=album))


def describe(path: str | os.PathLike[str]) -> NsfInfo:
    """Return what an NSF or NSF2 says about itself; the program in it is not run.

    Raises:
        FormatError: The file cannot be read, is no NSF, is damaged or cut off, or has more than 4 MiB.
    """
    data = files.read_bytes(path, MAX_BYTES)
    try:
        return _describe(data)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)}: {error}") from error


def _describe(data: bytes) -> NsfInfo:
    if data[:5] != b"NESM\x1a":
        raise FormatError("the file is no NSF: it does not begin with 'NESM' and a byte 1A")
    if len(data) <= _HEADER.size:
        raise FormatError(f"the NSF is cut off: it has {len(data)} bytes, its header alone needs {_HEADER.size}")
    _, version, songs, _, _, _, _, *rest = _HEADER.unpack_from(data)
    album, author, rights, ntsc_us, banks, pal_us, region, expansions, _, size = rest
    if version not in {1, 2} or not songs:
        raise FormatError(f"an NSF has version 1 or 2 and 1 to 255 songs, not version {version} and {songs} songs")
    data_bytes = int.from_bytes(size, "little") or len(data) - _HEADER.size  # 0: to the end of the file
    end = _HEADER.size + data_bytes
    if end > len(data):
        raise FormatError(f"the NSF is cut off: it has {len(data)} bytes, and its data end at byte {end}")
    chunks = _chunks(data, end)
    period_us = pal_us if region & 3 == _REGIONS["pal"] else ntsc_us
    lines = _texts(chunks[b"auth"]) if b"auth" in chunks else ()
    album, author, rights = (
        whole or field.partition(b"\0")[0].decode("cp1252", "replace").strip()
        for whole, field in zip((*lines, "", "", "")[:3], (album, author, rights), strict=True)
    )
    times = chunks.get(b"time", b"")
    milliseconds = struct.unpack(f"<{len(times) // 4}i", times[: len(times) // 4 * 4])
    return NsfInfo(
        version=version,
        songs=songs,
        album=album,
        author=author,
        copyright=rights,
        region="both" if region & 2 else "pal" if region & 1 else "ntsc",
        frames_a_second=round(1e6 / period_us, 3) if period_us else 0.0,
        data_bytes=data_bytes,
        banks=-(-data_bytes // BANK_BYTES) if any(banks) else 0,
        expansions=tuple(name for bit, name in enumerate(_EXPANSIONS) if expansions >> bit & 1),
        titles=_texts(chunks.get(b"tlbl", b""))[:songs],
        seconds=tuple(time / 1000 if time >= 0 else None for time in milliseconds[:songs]),
    )


def _chunks(data: bytes, at: int) -> dict[bytes, bytes]:
    """Return the chunks behind the data by name; the last is NEND."""
    found: dict[bytes, bytes] = {}
    while at < len(data) and b"NEND" not in found:
        head = data[at : at + 8]
        size = int.from_bytes(head[:4], "little")
        if len(head) < 8 or at + 8 + size > len(data):
            raise FormatError(f"the NSF is cut off or damaged in the chunk at byte {at}")
        found.setdefault(head[4:], data[at + 8 : at + 8 + size])
        at += 8 + size
    return found


def _texts(chunk: bytes) -> tuple[str, ...]:
    """Return the strings of a chunk, each of which ends with a zero."""
    return tuple(text.decode("utf-8", "replace").strip() for text in chunk.removesuffix(b"\0").split(b"\0")) if chunk else ()


def _banks(logs: Sequence[RegisterLog]) -> bytes:
    """Return all banks: player and tables, streams, samples."""
    songs = stream.compress([stream.steps_of(log) for log in logs])
    samples: dict[bytes, int] = {}  # a bank's content to its number among the sample banks
    wanted = [[samples.setdefault(bank, len(samples)) for bank in _sample_memory(log)] for log in logs]
    n_free = MAX_BANKS - 1 - len(samples)
    segments = [stream.Segment(bank, _WINDOW, BANK_BYTES) for bank in range(1, 1 + n_free)]
    placed = stream.place(songs, (), segments)
    if placed is None:
        raise FormatError(
            f"an NSF holds 1 MiB, and these {len(logs)} songs need more; put them into several files, or shorten them"
        )
    images = [image.ljust(BANK_BYTES, b"\0") for image in placed.images if image]
    first_sample_bank = 1 + len(images)
    tables = [bytearray(0x100) for _ in range(3 + _SAMPLE_BANKS)]
    for song, ((bank, address), numbers) in enumerate(zip(placed.songs, wanted, strict=True)):
        entries = (address & 0xFF, address >> 8, bank, *(first_sample_bank + number for number in numbers))
        for table, entry in zip(tables, entries, strict=False):  # a song without samples leaves the last four at 0
            table[song] = entry
    code = NSF_CODE.ljust(_TABLES - _LOAD, b"\0") + b"".join(tables)
    return code.ljust(BANK_BYTES, b"\0") + b"".join(images) + b"".join(samples)


def _sample_memory(log: RegisterLog) -> list[bytes]:
    """Return the four banks that the sample channel of a log reads; none for a log that never switches it on."""
    if not ((log.addresses == 0x4015) & (log.values & _SAMPLE_CHANNEL > 0)).any():
        return []
    memory = log.memory.ljust(_SAMPLE_BANKS * BANK_BYTES, b"\0")
    return [memory[at : at + BANK_BYTES] for at in range(0, len(memory), BANK_BYTES)]


def _field(text: str) -> bytes:
    return to_ascii(text)[:_TEXT_BYTES].rstrip().encode("ascii")


def _metadata(
    logs: Sequence[RegisterLog], names: Sequence[str], texts: tuple[str, str, str], loops: int, fade_ms: int
) -> bytes:
    """Return the chunks that follow an NSF2's data: texts, titles, times and fades in milliseconds."""
    times = []
    for log in logs:
        start, end = log.loop or (log.n_frames, log.n_frames)
        times.append(min(round((start + loops * (end - start)) * 1000 / log.frame_rate_hz), 2**31 - 1))
    fades = [0 if log.loop is None else fade_ms for log in logs]
    chunks = (
        (b"auth", _strings([*texts, ""])),
        (b"tlbl", _strings(names)),
        (b"time", struct.pack(f"<{len(times)}i", *times)),
        (b"fade", struct.pack(f"<{len(fades)}i", *fades)),
        (b"NEND", b""),
    )
    return b"".join(struct.pack("<I", len(content)) + name + content for name, content in chunks)


def _strings(texts: Sequence[str]) -> bytes:
    return b"".join(text.replace("\0", " ").encode(errors="replace") + b"\0" for text in texts)
