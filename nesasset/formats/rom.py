""".nes: register logs as a cartridge that lists its songs and plays them. Writes; reads the header of any cartridge.

Source: NESdev wiki, pages "NES 2.0", "NROM", "UxROM", "INES Mapper 031".

The smallest board that holds the songs is taken: NROM (28 KiB of songs), UxROM with 64 to 256 KiB, mapper 31 with up to
1 MiB in the 4 KiB banks of an NSF. The last 4 KiB, at $F000 on every board, are the jukebox, its font and its tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from nesasset.errors import FormatError
from nesasset.formats import files
from nesasset.formats.nes_player import JUKEBOX_CODE, font, stream
from nesasset.register_log import RegisterLog

ROWS: Final = 10  # songs on a screen
TITLE_CHARACTERS: Final = 23  # what a line of the screen has room for beside a number of two digits
HEADER_CHARACTERS: Final = 28

# Frames a second of each console, NESdev wiki "Cycle reference chart", and the code of NES 2.0 byte 12.
_CONSOLES: Final = {"ntsc": (60.0988, 0), "pal": (50.0070, 1), "dendy": (50.0070, 3)}
_RATE_TOLERANCE: Final = 0.005  # a log of 60 frames a second is played at 60.0988: 0.16 % fast, 3 cents were it pitch

_KIB: Final = 1024
_FIXED_BYTES: Final = 4 * _KIB
# Offsets from $F000; the names are those of jukebox.s.
_FONT, _SONGS, _PAGES, _LAST, _HEADER, _BANKS, _VECTORS = 0x800, 0xB00, 0xE00, 0xE60, 0xE80, 0xF00, 0xFFA
_VECTOR_BYTES: Final = bytes([0x03, 0xF0, 0x00, 0xF0, 0x06, 0xF0])  # NMI, reset, IRQ
_LINE: Final = 26  # tiles of a song's line


@dataclass(frozen=True, slots=True)
class Board:
    """A cartridge's circuit: which banks it has and where the CPU sees them."""

    name: str
    mapper: int
    prg_bytes: int
    segments: tuple[stream.Segment, ...]
    """Where songs can be, in the order of the ROM; the jukebox lies behind the last, at the ROM's end."""
    has_chr_rom: bool = False
    """The tiles are in a ROM; else the jukebox draws them into RAM."""

    def image(self, contents: Sequence[bytes], fixed: bytes) -> bytes:
        """Return the program ROM: each segment's content, filled up, and the fixed bank."""
        parts = [one.ljust(segment.size, b"\xff") for one, segment in zip(contents, self.segments, strict=True)]
        rom = b"".join(parts) + fixed
        assert len(rom) == self.prg_bytes
        return rom


def _boards() -> Iterator[Board]:
    """Yield the boards from the smallest ROM to the largest."""
    yield Board("NROM", 0, 32 * _KIB, (stream.Segment(0, 0x8000, 28 * _KIB),), has_chr_rom=True)
    for n_banks in (4, 8, 16):
        switched = tuple(stream.Segment(bank, 0x8000, 16 * _KIB) for bank in range(n_banks - 1))
        # The last bank is always seen at $C000, whichever bank is chosen.
        yield Board("UxROM", 2, n_banks * 16 * _KIB, (*switched, stream.Segment(0, 0xC000, 12 * _KIB)))
    for n_banks in (128, 256):
        switched = tuple(stream.Segment(bank, 0x9000, 4 * _KIB) for bank in range(n_banks - 1))
        yield Board("mapper 31", 31, n_banks * 4 * _KIB, switched)


def dumps(
    logs: Sequence[RegisterLog], *, titles: Sequence[str] | None = None, author: str = "", album: str = ""
) -> bytes:
    """Return a .nes file (NES 2.0) that lists songs, one for each log, and plays the one that the pad chooses.

    The first begins at once. Loops repeat for ever; after the end of a log without a loop there is silence. Frames,
    order and values of all writes are kept; where in its frame a write stood (`RegisterLog.cycles`) is not.

    Args:
        logs: 1 to 255 logs of one region, with about its 60 or 50 frames a second: the picture's own clock plays them.
        titles: One for each log. The screen has ASCII capitals only, and room for 23 letters (22 from song 100 on).
        author: The second line of the screen, 28 letters.
        album: The first line of the screen, 28 letters.

    Raises:
        FormatError: The logs cannot be one cartridge, are too much for 1 MiB, or play samples.
    """
    names = stream.check_logs(logs, titles)
    console_rate, timing = _CONSOLES[logs[0].region]
    if abs(logs[0].frame_rate_hz / console_rate - 1) > _RATE_TOLERANCE:
        raise FormatError(
            f"a cartridge for {logs[0].region} plays {console_rate:.2f} frames a second, not {logs[0].frame_rate_hz:g}; "
            "write an NSF instead"
        )
    for number, log in enumerate(logs, 1):
        if ((log.addresses == 0x4015) & (log.values & 0x10 > 0)).any():
            raise FormatError(
                f"song {number} plays samples, for which these cartridges have no room; write an NSF instead"
            )
    songs = stream.compress([stream.steps_of(log) for log in logs])
    pages = _pages(names)
    for board in _boards():
        placed = stream.place(songs, pages, board.segments)
        if placed is not None:
            fixed = _fixed_bank(placed, len(logs), album, author)
            chr_rom = font.chr_rom() if board.has_chr_rom else b""
            return _header(board, len(chr_rom), timing) + board.image(placed.images, fixed) + chr_rom
    raise FormatError(
        f"a cartridge holds 1 MiB, and these {len(logs)} songs need more; put them into several files, or shorten them"
    )


def save(
    logs: Sequence[RegisterLog],
    path: str | os.PathLike[str],
    *,
    titles: Sequence[str] | None = None,
    author: str = "",
    album: str = "",
) -> None:
    """Write a .nes file, whole or not at all; see `dumps`.

    Raises:
        FormatError: The logs cannot be one cartridge, are too much for 1 MiB, or play samples.
        OutputError: The file cannot be written.
    """
    files.write_bytes(path, dumps(logs, titles=titles, author=author, album=album))


MAX_BYTES: Final = 64 * 1024 * 1024  # of a file to describe; the largest cartridges sold had 2
_MAPPERS: Final = {0: "NROM", 1: "MMC1", 2: "UxROM", 3: "CNROM", 4: "MMC3", 5: "MMC5", 7: "AxROM", 31: "mapper 31"}


@dataclass(frozen=True, slots=True)
class RomInfo:
    """What the header of a .nes file says."""

    header: str
    """'iNES' or 'NES 2.0'."""
    mapper: int
    """Number of the circuit; 0, 2 or 31 for a cartridge of ours."""
    board: str
    """Its usual name; empty where it has none here."""
    prg_bytes: int
    """Program ROM."""
    chr_bytes: int
    """ROM with the picture's tiles; 0 where they are in RAM."""
    region: str
    """'ntsc', 'pal', 'dendy' or 'both'."""


def describe(path: str | os.PathLike[str]) -> RomInfo:
    """Return what the header of a .nes file says; the program in it is not run.

    Raises:
        FormatError: The file cannot be read, is no .nes file, is cut off, or has more than 64 MiB.
    """
    data = files.read_bytes(path, MAX_BYTES)
    try:
        return _describe(data)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)}: {error}") from error


def _describe(data: bytes) -> RomInfo:
    if data[:4] != b"NES\x1a":
        raise FormatError("the file is no .nes file: it does not begin with 'NES' and a byte 1A")
    if len(data) < 16:
        raise FormatError(f"the .nes file is cut off: it has {len(data)} bytes, its header alone needs 16")
    is_nes2 = data[7] & 0x0C == 0x08
    mapper = data[6] >> 4
    if is_nes2 or not any(data[12:16]):  # old tools left their names in the bytes behind the mapper's first half
        mapper |= data[7] & 0xF0
    prg_high, chr_high = (data[9] & 0x0F, data[9] >> 4) if is_nes2 else (0, 0)
    mapper |= (data[8] & 0x0F) << 8 if is_nes2 else 0
    prg_bytes, chr_bytes = _rom_bytes(data[4], prg_high, 16 * _KIB), _rom_bytes(data[5], chr_high, 8 * _KIB)
    end = 16 + (512 if data[6] & 4 else 0) + prg_bytes + chr_bytes  # 512: a trainer, which hardly any file has
    if end > len(data):
        raise FormatError(f"the .nes file is cut off: it has {len(data)} of its {end} bytes")
    region = ("ntsc", "pal", "both", "dendy")[data[12] & 3] if is_nes2 else ("ntsc", "pal")[data[9] & 1]
    return RomInfo("NES 2.0" if is_nes2 else "iNES", mapper, _MAPPERS.get(mapper, ""), prg_bytes, chr_bytes, region)


def _rom_bytes(low: int, high: int, unit: int) -> int:
    """Return the size of a ROM: units, or where the high part is 15, a power of two by an odd number."""
    return (low | high << 8) * unit if high < 15 else 2 ** (low >> 2) * (2 * (low & 3) + 1)


def _pages(names: Sequence[str]) -> list[bytes]:
    """Return each page of the list in tiles: ten lines, then its number."""
    n_pages = -(-len(names) // ROWS)
    pages = []
    for page in range(n_pages):
        first = page * ROWS
        lines = [f"{number:02} {name}" for number, name in enumerate(names[first : first + ROWS], first + 1)]
        lines += [""] * (ROWS - len(lines))
        count = f"{page + 1:02}/{n_pages:02}" if n_pages > 1 else ""
        pages.append(b"".join(font.to_tiles(line, _LINE) for line in lines) + font.to_tiles(count, 5))
    return pages


def _fixed_bank(placed: stream.Placed, n_songs: int, album: str, author: str) -> bytes:
    """Return $F000 to $FFFF: code, font, tables, vectors."""
    bank = bytearray(b"\xff" * _FIXED_BYTES)

    def put(at: int, content: bytes) -> None:
        bank[at : at + len(content)] = content

    put(0, JUKEBOX_CODE)
    put(_FONT, font.tiles())
    for number, (song_bank, address) in enumerate(placed.songs):
        for table, value in enumerate((address & 0xFF, address >> 8, song_bank)):
            bank[_SONGS + 0x100 * table + number] = value
    for number, (text_bank, address) in enumerate(placed.texts):
        for table, value in enumerate((address & 0xFF, address >> 8, text_bank)):
            bank[_PAGES + 0x20 * table + number] = value
    put(_LAST, bytes([n_songs - 1, len(placed.texts) - 1, (n_songs - 1) % ROWS]))
    put(_HEADER, _header_line(album) + _header_line(author))
    put(_BANKS, bytes(range(16)))
    put(_VECTORS, _VECTOR_BYTES)
    return bytes(bank)


def _header_line(text: str) -> bytes:
    middle = font.to_ascii(text)[:HEADER_CHARACTERS].strip().center(HEADER_CHARACTERS)
    return font.to_tiles(middle, HEADER_CHARACTERS)


def _header(board: Board, chr_rom_bytes: int, timing: int) -> bytes:
    """Return the header of a NES 2.0 file."""
    return bytes(
        [
            *b"NES\x1a",
            board.prg_bytes // (16 * _KIB),
            chr_rom_bytes // (8 * _KIB),
            (board.mapper & 0x0F) << 4 | 1,  # vertical mirroring; the jukebox shows one screen only
            (board.mapper & 0xF0) | 0x08,  # NES 2.0
            *(0, 0, 0),  # no submapper, high bits of sizes, no RAM for the program
            0 if chr_rom_bytes else 7,  # 64 << 7: 8 KiB of RAM for tiles
            timing,
            *(0, 0, 1),  # a console, no further ROMs, two standard pads
        ]
    )
