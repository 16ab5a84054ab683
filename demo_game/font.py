"""Letters of three by five pixels, drawn by hand for this game. Capitals only; what is not here is a space."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import pygame

# Five rows of three pixels each, top to bottom, one digit a row: 4 is the left pixel, 1 the right one.
_TABLE: Final = """
A25755 B65656 C34443 D65556 E74647 F74644 G34553 H55755 I72227 J11152 K55655 L44447 M57755 N65555 O25552 P65644
Q25563 R65655 S34216 T72222 U55557 V55552 W55775 X55255 Y55222 Z71247 075557 126227 261247 361216 455711 574616
634757 771122 875757 975716 .00002 ,00024 :02020 !22202 ?61202 -00700 +02720 /11244 %51245 #57575 (12221 )42224
<12421 >42124 =07070 '22000 _00007 *05250 ~03600
"""
_GLYPHS: Final = {word[0]: word[1:] for word in _TABLE.split()}
WIDTH, HEIGHT = 4, 6
"""Pixels from letter to letter and from line to line."""


@lru_cache(maxsize=512)
def _rendered(text: str, colour: tuple[int, int, int], scale: int) -> pygame.Surface:
    picture = pygame.Surface((max(1, len(text) * WIDTH * scale), HEIGHT * scale), pygame.SRCALPHA)
    for number, letter in enumerate(text.upper()):
        for row, bits in enumerate(_GLYPHS.get(letter, "00000")):
            for column in range(3):
                if int(bits) >> (2 - column) & 1:
                    picture.fill(colour, ((number * WIDTH + column) * scale, row * scale, scale, scale))
    return picture


def write(
    target: pygame.Surface,
    text: str,
    place: tuple[int, int],
    colour: tuple[int, int, int] = (255, 255, 255),
    scale: int = 1,
    centred: bool = False,
    shadow: bool = True,
) -> None:
    """Draw a text; the place is its upper left corner, or the middle of its upper edge."""
    picture = _rendered(text, colour, scale)
    x, y = place
    if centred:
        x -= (picture.get_width() - scale) // 2
    if shadow:
        target.blit(_rendered(text, (12, 10, 24), scale), (x + scale, y + scale))
    target.blit(picture, (x, y))
