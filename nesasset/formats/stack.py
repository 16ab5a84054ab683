"""Several scores as one picture: a piano roll of each, one above the other, bar under bar. Holds no sound.

For pieces of one grid, a family or a piece and what was made of it: what stands above each other sounds at the same place.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from nesasset.formats import canvas
from nesasset.formats.piano_roll import LABEL_WIDTH, RULER_HEIGHT, SEMITONE, Roll
from nesasset.score import Score

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BARS: Final = 16  # that are shown
_WIDTH: Final = 1280
_GAP: Final = 12
_LABEL: Final = 22
Mark = tuple[int, int, int, int]
"""A passage to be framed: first row, the row after its last, lowest and highest pitch."""


def draw(
    scores: Mapping[str, Score], title: str, most_bars: int = MOST_BARS, marks: Mapping[str, Sequence[Mark]] | None = None
) -> Image:
    """Return the first bars of scores, one above the other, as an RGB picture.

    Args:
        scores: By what is written above each; all bars are equally wide.
        title: Above all.
        most_bars: How many bars are shown.
        marks: By score: passages to be framed.
    """
    from PIL import Image, ImageDraw

    rolls = {name: Roll(score) for name, score in scores.items()}
    bars = min(most_bars, max((score.n_bars for score in scores.values()), default=1))
    bar_width = max(8, _WIDTH // bars)
    height = canvas.HEADER_HEIGHT + sum(roll.height + _GAP + _LABEL for roll in rolls.values()) + canvas.MARGIN
    image = Image.new("RGB", (2 * canvas.MARGIN + LABEL_WIDTH + bars * bar_width, height), canvas.BACKGROUND)
    pen = ImageDraw.Draw(image)
    shown = f"bars 1 to {bars}" if bars < max((score.n_bars for score in scores.values()), default=1) else ""
    canvas.draw_header(pen, image.width, canvas.plain(title, 60), [f"{len(rolls)} pieces", shown], voices=True)
    left, top = canvas.MARGIN + LABEL_WIDTH, canvas.HEADER_HEIGHT
    for name, roll in rolls.items():
        score, starts = roll.score, roll.starts
        unit = bar_width / score.bar_rows

        def place(frame: int, starts: list[int] = starts, unit: float = unit) -> int:
            row = min(bisect_right(starts, frame) - 1, len(starts) - 2)
            return left + round((row + (frame - starts[row]) / (starts[row + 1] - starts[row])) * unit)

        tempo = f"{score.tempo_bpm:.0f} beats a minute"
        pen.text((left, top + 2), canvas.plain(f"{name}, {tempo}", 90), fill=canvas.FAINT_TEXT, font=canvas.font(13))
        top += _LABEL
        rows = range(min(score.n_rows, bars * score.bar_rows))
        roll.draw(pen, rows, top, place, unit)
        for first, stop, low, high in (marks or {}).get(name, ()):
            if first in rows:
                above, below = (top + RULER_HEIGHT + (roll.high - pitch) * SEMITONE for pitch in (high + 1, low - 1))
                pen.rectangle((place(starts[first]) - 2, above - 2, place(starts[min(stop, rows.stop)]) + 2, below + 2), outline=canvas.TEXT, width=2)
        top += roll.height + _GAP
    return image


def save(
    scores: Mapping[str, Score], title: str, path: str | os.PathLike[str], marks: Mapping[str, Sequence[Mark]] | None = None
) -> None:
    """Write the picture as PNG, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    canvas.save_png(draw(scores, title, marks=marks), path)
