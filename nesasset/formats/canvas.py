"""What our pictures share: colors, type, plain text, the header, ticks. Holds no music and no sound.

Sizes and places are in pixels, colors are red, green and blue from 0 to 255.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from nesasset.formats import files
from nesasset.units import VOICE_NAMES, VOICES

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

Color = tuple[int, int, int]

MARGIN: Final = 24
HEADER_HEIGHT: Final = 72

BACKGROUND: Final[Color] = (18, 20, 29)
PANEL: Final[Color] = (26, 29, 41)
BEAT_LINE: Final[Color] = (40, 45, 63)
BAR_LINE: Final[Color] = (86, 94, 124)
TEXT: Final[Color] = (226, 230, 240)
FAINT_TEXT: Final[Color] = (142, 150, 176)
LOOP: Final[Color] = (255, 205, 86)
VOICE_COLORS: Final[dict[str, Color]] = {
    "P1": (255, 107, 107),
    "P2": (86, 180, 255),
    "TR": (98, 214, 142),
    "NO": (206, 170, 255),
}

# From quiet to loud. Made in CIELAB (D65): lightness 9 to 97 in steps of 11, hue turning from blue through red to yellow
# so that each color is 26 away from the next. Check: convert to CIELAB and measure; the rounding moves it by less than 1.
LEVEL_COLORS: Final[tuple[Color, ...]] = (
    (21, 25, 37),
    (58, 39, 84),
    (118, 41, 113),
    (178, 46, 112),
    (219, 75, 100),
    (241, 119, 92),
    (249, 166, 96),
    (247, 212, 115),
    (255, 248, 189),
)


@cache
def font(size: int) -> FreeTypeFont | ImageFont:
    """Return Pillow's own font, which is the same on every machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def mix(color: Color, ground: Color, share: float) -> Color:
    """Return a color over a ground; share 1 is the color alone."""
    red, green, blue = (round(b + (a - b) * share) for a, b in zip(color, ground, strict=True))
    return red, green, blue


def plain(text: object, limit: int) -> str:
    """Return text on one line, without what cannot be drawn, and not longer than limit."""
    line = " ".join(str(text).encode(errors="replace").decode().split())
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def draw_header(pen: ImageDraw, width: int, title: str, facts: Iterable[str], voices: bool) -> None:
    """Draw a title, facts below it, and if wished the colors of the voices; HEADER_HEIGHT pixels high."""
    pen.text((MARGIN, 14), title, fill=TEXT, font=font(22))
    pen.text((MARGIN, 44), "   ".join(fact for fact in facts if fact), fill=FAINT_TEXT, font=font(13))
    x = float(width - MARGIN)
    for voice in reversed(VOICES) if voices else ():
        name = VOICE_NAMES[voice]
        x -= pen.textlength(name, font=font(13))
        pen.text((x, 44), name, fill=FAINT_TEXT, font=font(13))
        pen.rectangle((x - 16, 48, x - 7, 57), fill=VOICE_COLORS[voice])
        x -= 34


def tick_step(span: float, room: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20 … and their decimal parts that divides a span into at most `room` parts.

    Args:
        span: What the axis covers, above 0.
        room: How many parts there is room for, above 0.
    """
    least = span / room
    decade = 10.0 ** math.floor(math.log10(least))
    return next(step * decade for step in (1, 2, 5, 10, 20) if step * decade >= least)


def duration(seconds: float) -> str:
    """Return how long something lasts: '25.6 s', or '12.5 ms' where it is less than a second."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.4g} ms"


def second_ticks(seconds: float, room: float) -> Iterator[tuple[float, str]]:
    """Yield times and their names, from 0 on, for an axis of time with room for so many, 2 at least, up to an hour.

    A minute is divided as clocks divide it; a name is '2.5 s', or '1:05' on an axis of two minutes and more, '2.5 ms' where
    the times lie closer than 10 ms.
    """
    step = tick_step(seconds, room)
    if step > 5:
        step = next((even for even in (10, 15, 30, 60, 120, 300, 600, 900) if even >= seconds / room), 1800)
    for number in range(int(seconds / step + 1e-9) + 1):
        at = number * step
        if seconds >= 120:
            name = f"{round(at) // 60}:{round(at) % 60:02}"
        else:
            name = f"{at:.6g} s" if step >= 0.01 else f"{at * 1000:.6g} ms"
        yield at, name


def encode_png(image: Image) -> bytes:
    """Return a picture as PNG without date or name, the same bytes for the same picture and version of Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def save_png(image: Image, path: str | os.PathLike[str]) -> None:
    """Write a picture as PNG, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    files.write_bytes(path, encode_png(image))
