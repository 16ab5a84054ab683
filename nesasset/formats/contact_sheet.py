"""Several scores in one picture, to choose from or to compare: piano rolls one above the other, each in one line. Holds no sound."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nesasset.formats import canvas
from nesasset.formats.canvas import BACKGROUND, FAINT_TEXT, HEADER_HEIGHT, MARGIN, TEXT, font, plain
from nesasset.formats.piano_roll import LABEL_WIDTH, Roll
from nesasset.score import Score

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH: Final = 1280  # of the longest score's rows
CAPTION_HEIGHT: Final = 24
GAP: Final = 18
_LEAST_BAR: Final = 24  # pixels between the bar lines that are drawn


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One score of the picture."""

    name: str
    score: Score
    facts: tuple[str, ...] = ()
    """What stands behind the name."""


def draw(title: str, entries: Sequence[Entry], facts: Sequence[str] = ()) -> Image:
    """Return the picture, RGB; a row is equally wide in all scores, so that equal bars stand below each other.

    Args:
        title: Stands above.
        entries: At least one; about 30 lines of the picture each.
        facts: Stand below the title.
    """
    from PIL import Image, ImageDraw

    rolls = [Roll(entry.score) for entry in entries]
    row_width = WIDTH / max(entry.score.n_rows for entry in entries)
    width = 2 * MARGIN + LABEL_WIDTH + WIDTH
    height = HEADER_HEIGHT + sum(CAPTION_HEIGHT + roll.height + GAP for roll in rolls) + MARGIN - GAP
    image = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(image)
    canvas.draw_header(pen, width, plain(title, 80), facts, voices=True)
    left, top = MARGIN + LABEL_WIDTH, HEADER_HEIGHT
    for entry, roll in zip(entries, rolls, strict=True):
        name = plain(entry.name, 60)
        pen.text((left, top), name, fill=TEXT, font=font(15))
        pen.text((left + pen.textlength(name, font=font(15)) + 16, top + 2), "   ".join(entry.facts), fill=FAINT_TEXT, font=font(13))
        bar_step = 1
        while bar_step * entry.score.bar_rows * row_width < _LEAST_BAR:
            bar_step *= 2

        def place(frame: int, starts: list[int] = roll.starts) -> int:
            row = min(bisect_right(starts, frame) - 1, len(starts) - 2)
            return left + round((row + (frame - starts[row]) / (starts[row + 1] - starts[row])) * row_width)

        roll.draw(pen, range(entry.score.n_rows), top + CAPTION_HEIGHT, place, row_width, bar_step)
        top += CAPTION_HEIGHT + roll.height + GAP
    return image


def save(title: str, entries: Sequence[Entry], path: str | os.PathLike[str], facts: Sequence[str] = ()) -> None:
    """Write the picture as a PNG, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    canvas.save_png(draw(title, entries, facts), path)
