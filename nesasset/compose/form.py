"""Forms that a caller writes down: letters with strokes to sections of bars. Holds the notation, not the plan.

`AABA`, `A A' B A`, `A A+2 B-1 A'`: a letter is a section, the same letter the same section again; strokes ask for so many
steps of variation, +n and -n for the section n semitones higher or lower.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from nesasset.errors import ControlError

MAX_SECTIONS: Final = 64
MAX_MOVE: Final = 12
_SECTION: Final = re.compile(r"([A-Za-z])('{0,3})([+-]\d{1,2})?")


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a form."""

    letter: str
    """A to Z."""
    strokes: int
    """0 for the section as it was, 1 to 3 for ever more changes."""
    shift: int
    """Semitones from the letter's first section, -12 to 12."""


def parse_form(text: str) -> tuple[Section, ...]:
    """Return the sections of a form.

    Raises:
        ControlError: The text is no form.
    """
    words = re.sub(r"[\s,|-]+(?=[A-Za-z])", " ", text.replace("\u2019", "'")).strip()
    sections = []
    at = 0
    while at < len(words):
        if words[at] == " ":
            at += 1
            continue
        found = _SECTION.match(words, at)
        if not found:
            raise ControlError(
                f"a form is letters with strokes or shifts, as in AABA, A A' B A or A A+2 B A, not {text!r} (at {words[at:][:8]!r})"
            )
        letter, strokes, shift = found.groups()
        sections.append(Section(letter.upper(), len(strokes), int(shift or 0)))
        at = found.end()
    if not 1 <= len(sections) <= MAX_SECTIONS:
        raise ControlError(f"a form must have 1 to {MAX_SECTIONS} sections, not {len(sections)} ({text!r})")
    known: set[str] = set()
    for section in sections:
        if abs(section.shift) > MAX_MOVE:
            raise ControlError(f"a section may be moved by at most {MAX_MOVE} semitones, not {section.shift} ({text!r})")
        if section.letter not in known and (section.strokes or section.shift):
            raise ControlError(f"the first section {section.letter} of a form has nothing to vary or move from ({text!r})")
        known.add(section.letter)
    return tuple(sections)


def form_text(sections: tuple[Section, ...]) -> str:
    """Return the text of a form, its inverse `parse_form`."""
    return " ".join(
        section.letter + "'" * section.strokes + (f"{section.shift:+d}" if section.shift else "") for section in sections
    )
