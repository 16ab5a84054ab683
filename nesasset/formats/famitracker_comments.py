"""What our writer says of a score in a FamiTracker text's comments, read again: bars, groove, delays, vibratos, theme.

Holds no notes; everything else that stands in the comments is the author's, and goes into the score's provenance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from nesasset.errors import ScoreError
from nesasset.formats.famitracker_lines import Module
from nesasset.score import MAX_ROW_FRAMES, Vibrato


@dataclass(slots=True)
class Hints:
    """What our own comments say; a field of Score that is not told is empty."""

    theme: str = ""
    bar: tuple[int, int] | None = None
    groove: tuple[int, ...] = ()
    delays: dict[str, int] = field(default_factory=dict)
    vibratos: dict[int, Vibrato] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


_BAR_LINE: Final = re.compile(r"Bar: ([0-9]{1,3}) rows, beat: ([0-9]{1,3}) rows")
_GROOVE_LINE: Final = re.compile(r"Groove: ([0-9 ]{1,200})")
_DELAYS_LINE: Final = re.compile(r"Delays: ((?:(?:P1|P2|TR|NO) [0-9]{1,2}(?:, |$)){1,4})")
_VIBRATO_LINE: Final = re.compile(
    r"Vibrato ([0-9A-F]{2}): after ([0-9]{1,4}) frames, ([0-9]{1,3}) frames a swing, ([0-9]{1,4}) cents"
)


def read_hints(comments: Iterable[str]) -> Hints:
    """Return what the lines of a text's comments say; those that are not ours stand in `others`."""
    hints = Hints()
    for line in comments:
        if line.startswith("Theme: ") and not hints.theme:
            hints.theme = line[7:]
        elif (match := _BAR_LINE.fullmatch(line)) and all(1 <= int(word) <= 256 for word in match.groups()):
            hints.bar = (int(match[1]), int(match[2]))
        elif match := _GROOVE_LINE.fullmatch(line):
            hints.groove = tuple(int(word) for word in match[1].split() if len(word) < 4)
        elif match := _DELAYS_LINE.fullmatch(line):
            pairs = (pair.split() for pair in match[1].split(","))
            hints.delays = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and int(pair[1]) < MAX_ROW_FRAMES}
        elif match := _VIBRATO_LINE.fullmatch(line):
            try:
                vibrato = Vibrato(int(match[2]), int(match[3]), int(match[4]))
            except ScoreError:
                hints.others.append(line)
            else:
                hints.vibratos[int(match[1], 16)] = vibrato
        elif line:
            hints.others.append(line)
    return hints


def found_provenance(module: Module, hints: Hints) -> dict[str, str]:
    """Return author, copyright and the author's own comments, without what is empty."""
    found = {"author": module.texts.get("AUTHOR", ""), "copyright": module.texts.get("COPYRIGHT", "")}
    found["comment"] = "\n".join(hints.others)
    return {key: value for key, value in found.items() if value}
