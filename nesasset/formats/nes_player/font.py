"""The jukebox's letters: 96 tiles of 8x8 pixels, drawn for it, one bit a pixel. Holds no text and no colours.

Tiles 0 to 63 are ASCII 32 to 95: capitals only, as on most cartridges. Behind them: a note, a rule, five pieces of a
level meter with 0 to 4 marks lit. Letters are drawn 5 pixels wide and made bold by one pixel to the right, since a
line of one pixel loses its colour on a television. A bold 0 has no room for a stroke, so it is narrower than an O.
"""

from __future__ import annotations

import unicodedata
from typing import Final

N_TILES: Final = 96
NOTE, RULE, BAR = 64, 65, 66

# Eight characters side by side, seven rows each; the order is ASCII's.
_LETTERS: Final = """
..... ..#.. .#.#. .#.#. ..#.. ##..# .##.. ..#..
..... ..#.. .#.#. ##### .#### ##.#. #..#. ..#..
..... ..#.. ..... .#.#. #.#.. ...#. #..#. .....
..... ..#.. ..... .#.#. .###. ..#.. .##.. .....
..... ..#.. ..... ##### ..#.# .#... #.#.# .....
..... ..... ..... .#.#. ####. .#.## #..#. .....
..... ..#.. ..... ..... ..#.. #..## .##.# .....

...#. .#... ..... ..... ..... ..... ..... ....#
..#.. ..#.. .#.#. ..#.. ..... ..... ..... ...#.
.#... ...#. ..#.. ..#.. ..... ..... ..... ...#.
.#... ...#. ##### ##### ..... ##### ..... ..#..
.#... ...#. ..#.. ..#.. ..... ..... ..... .#...
..#.. ..#.. .#.#. ..#.. ..#.. ..... ..... .#...
...#. .#... ..... ..... .#... ..... ..#.. #....

.##.. ..#.. .###. .###. ...#. ##### .###. #####
#..#. .##.. #...# #...# ..##. #.... #.... #...#
#..#. ..#.. ....# ....# .#.#. ####. #.... ....#
#..#. ..#.. ..##. ..##. #..#. ....# ####. ...#.
#..#. ..#.. .#... ....# ##### ....# #...# ..#..
#..#. ..#.. #.... #...# ...#. #...# #...# ..#..
.##.. .###. ##### .###. ...#. .###. .###. ..#..

.###. .###. ..... ..... ...#. ..... .#... .###.
#...# #...# ..#.. ..#.. ..#.. ..... ..#.. #...#
#...# #...# ..#.. ..#.. .#... ##### ...#. ....#
.###. .#### ..... ..... #.... ..... ....# ..##.
#...# ....# ..#.. ..... .#... ##### ...#. ..#..
#...# ....# ..#.. ..#.. ..#.. ..... ..#.. .....
.###. .###. ..... .#... ...#. ..... .#... ..#..

.###. .###. ####. .###. ####. ##### ##### .###.
#...# #...# #...# #...# #...# #.... #.... #...#
#.### #...# #...# #.... #...# #.... #.... #....
#.#.# ##### ####. #.... #...# ####. ####. #.###
#.### #...# #...# #.... #...# #.... #.... #...#
#.... #...# #...# #...# #...# #.... #.... #...#
.#### #...# ####. .###. ####. ##### #.... .###.

#...# .###. ....# #...# #.... #...# #...# .###.
#...# ..#.. ....# #..#. #.... ##.## ##..# #...#
#...# ..#.. ....# #.#.. #.... #.#.# #.#.# #...#
##### ..#.. ....# ##... #.... #...# #.#.# #...#
#...# ..#.. #...# #.#.. #.... #...# #..## #...#
#...# ..#.. #...# #..#. #.... #...# #...# #...#
#...# .###. .###. #...# ##### #...# #...# .###.

####. .###. ####. .###. ##### #...# #...# #...#
#...# #...# #...# #...# ..#.. #...# #...# #...#
#...# #...# #...# #.... ..#.. #...# #...# #...#
####. #...# ####. .###. ..#.. #...# #...# #...#
#.... #.#.# #.#.. ....# ..#.. #...# .#.#. #.#.#
#.... #..#. #..#. #...# ..#.. #...# .#.#. ##.##
#.... .##.# #...# .###. ..#.. .###. ..#.. #...#

#...# #...# ##### .###. #.... .###. ..#.. .....
#...# #...# ....# .#... .#... ...#. .#.#. .....
.#.#. #...# ...#. .#... .#... ...#. #...# .....
..#.. .#.#. ..#.. .#... ..#.. ...#. ..... .....
.#.#. ..#.. .#... .#... ...#. ...#. ..... .....
#...# ..#.. #.... .#... ...#. ...#. ..... .....
#...# ..#.. ##### .###. ....# .###. ..... #####
"""

_NOTE: Final = bytes([0x18, 0x1C, 0x16, 0x12, 0x10, 0x70, 0xF0, 0x60])  # two blank columns before a number
_RULE: Final = bytes([0, 0xFF, 0xAA, 0, 0, 0, 0, 0])  # under the header, away from the list

_STAND_INS: Final = str.maketrans({"`": "'", "{": "(", "}": ")", "|": "!", "~": "-"})
# What no decomposition turns into ASCII, of the Latin letters and the marks that word processors set.
_LETTERS_TO_SPELL: Final = {
    "ß": "ss",
    "æ": "ae",
    "Æ": "AE",
    "ø": "o",
    "Ø": "O",
    "œ": "oe",
    "Œ": "OE",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "þ": "th",
    "Þ": "TH",
    "ð": "d",
    "Ð": "D",
    "\u0131": "i",  # without a dot
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),  # hyphens, dashes, minus
    **dict.fromkeys("\u2018\u2019", "'"),
    **dict.fromkeys("\u201c\u201d", '"'),
    "\u00d7": "x",
}
_SPELLINGS: Final = str.maketrans(_LETTERS_TO_SPELL)


def to_ascii(text: str) -> str:
    """Return text in printable ASCII: letters lose their accents, what has no such form becomes '?'."""
    spread = unicodedata.normalize("NFKD", text.translate(_SPELLINGS))
    plain = ("" if unicodedata.combining(one) else " " if ord(one) < 32 or one == "\x7f" else one for one in spread)
    return "".join(one if one <= "~" else "?" for one in plain)


def to_tiles(text: str, width: int) -> bytes:
    """Return the tiles of text in capitals, cut or filled up with blanks to a width."""
    letters = to_ascii(text).translate(_STAND_INS).upper()[:width].ljust(width)
    return bytes(ord(letter) - 32 for letter in letters)


def tiles() -> bytes:
    """Return all tiles, 96 * 8 bytes: a byte is a row of pixels, its highest bit on the left."""
    made = bytearray()
    for block in _LETTERS.strip("\n").split("\n\n"):
        rows = [line.split(" ") for line in block.splitlines()]
        for glyph in zip(*rows, strict=True):
            thin = [int(row.replace(".", "0").replace("#", "1"), 2) << 2 for row in glyph]
            made += bytes([*(row | row >> 1 for row in thin), 0])
    made += _NOTE + _RULE
    for lit in range(5):
        marks = sum(0x80 >> (2 * mark) for mark in range(lit))
        made += bytes([0, *[marks] * 5, 0xAA, 0])
    return bytes(made.ljust(8 * N_TILES, b"\0"))


def chr_rom() -> bytes:
    """Return 8 KiB of pattern table as the jukebox itself makes it: plane 0 the tile, plane 1 its lower half."""
    source = tiles()
    planes = (source[at : at + 8] + bytes(4) + source[at + 4 : at + 8] for at in range(0, len(source), 8))
    return b"".join(planes).ljust(0x2000, b"\0")
