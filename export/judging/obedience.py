"""Did a piece become what its plan asked for? Reads the form that a score's provenance tells and compares bars.

A form is a list with one text a bar, such as "4 EEQN +2": bars back to the reference (0 none), what was asked of P1, P2,
TR and NO, and the semitones of a sequence. E exact, V varied, R same rhythm, Q sequence, N new, S silent. The definitions
are those of nesasset/compose/form_mining.py.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.form_mining import RHYTHM_FROM, VARIED_FROM
from nesasset.score import HOLD, Note, Score
from nesasset.units import MAX_VOLUME, VOICES
from nesasset.vocabulary import HOLD_ID, ONSET_ID, REST_ID, pitch_to_id

LETTERS: Final = "EVRQNS"
NOISE: Final = 3  # column of the voice without pitches
ECHOING: Final = 1  # P2
_BAR: Final = re.compile(r"(\d{1,3}) ([EVRQNS]{4})(?: ([+-]\d{1,3}))?")


@dataclass(frozen=True, slots=True)
class BarPlan:
    """What a form asks of one bar."""

    lag: int
    """Bars back to the reference, 0 none."""
    letters: str
    """Of P1, P2, TR and NO."""
    shift: int = 0
    """Semitones from the reference to the voices that are sequences."""


def read_form(score: Score) -> list[BarPlan] | None:
    """Return the form in a score's provenance; None if there is none, or none that fits the score's bars."""
    form = score.provenance.get("form")
    if not isinstance(form, (list, tuple)) or len(form) != score.n_rows // score.bar_rows:
        return None
    plan = []
    for bar, text in enumerate(form):
        found = _BAR.fullmatch(text) if isinstance(text, str) else None
        if found is None or int(found[1]) > bar:
            return None
        plan.append(BarPlan(int(found[1]), found[2], int(found[3] or 0)))
    return plan


def plain_cells(score: Score) -> NDArray[np.int64]:
    """Return the rows as they were composed, shape (n_rows, 4): without an echo, and no rest where nothing sounds.

    An echo is played on pulse 2 where its own part is silent; its notes are softer than full volume, which no composed one is.
    """
    cells = np.full((score.n_rows, 4), HOLD_ID, dtype=np.int64)
    ornaments = score.provenance.get("ornaments")
    echo = isinstance(ornaments, dict) and "echo" in ornaments
    for column, voice in enumerate(VOICES):
        held = REST_ID
        for row, cell in enumerate(score.voices[voice]):
            if cell is HOLD:
                continue
            if isinstance(cell, Note) and not (echo and column == ECHOING and cell.volume < MAX_VOLUME):
                held = cells[row, column] = ONSET_ID if cell.pitch is None else pitch_to_id(cell.pitch)
            elif held != REST_ID:
                held = cells[row, column] = REST_ID
    return cells


def realised(cells: NDArray[np.int64], plan: list[BarPlan], bar_rows: int) -> list[str]:
    """Return the letters that each bar's voices have become, one text of four a bar, "-" for new without a reference.

    Of the letters that hold the first counts: S, E, Q (only where the bar's shift is not 0), V, R, N. A silent bar that was
    asked to be exact and equals its reference is exact.
    """
    event = np.where(cells != HOLD_ID, np.arange(len(cells))[:, None], -1)
    last = np.maximum.accumulate(event, axis=0)
    sounding = np.where(last >= 0, np.take_along_axis(cells, np.maximum(last, 0), axis=0), REST_ID)
    words = []
    for bar, asked in enumerate(plan):
        here = slice(bar * bar_rows, (bar + 1) * bar_rows)
        before = slice(here.start - asked.lag * bar_rows, here.stop - asked.lag * bar_rows)
        word = ""
        for column in range(4):
            own, other = cells[here, column], cells[before, column]
            # A rest cuts what rings over the bar line; where nothing rings it is the same as none.
            quiet = (sounding[here, column] == REST_ID) & (sounding[before, column] == REST_ID)
            silent = not (own >= ONSET_ID).any() and (sounding[here, column] == REST_ID).all()
            if asked.letters[column] == "E" and asked.lag and ((own == other) | quiet).all():
                word += "E"
            elif silent:
                word += "S"
            elif asked.lag == 0:
                word += "-"
            else:
                word += likeness(other, own, 0 if column == NOISE else asked.shift)
        words.append(word)
    return words


def likeness(reference: NDArray[np.int64], own: NDArray[np.int64], shift: int = 0) -> str:
    """Return what a voice's bar, not silent, is against its reference, both of shape (bar_rows,): E, Q, V, R or N."""
    if (own == reference).all():
        return "E"
    if shift and (own == np.where(reference >= ONSET_ID, reference + shift, reference)).all():
        return "Q"
    either = (own != HOLD_ID) | (reference != HOLD_ID)
    if (own == reference)[either].mean() >= VARIED_FROM:
        return "V"
    kinds = np.minimum(own, ONSET_ID) == np.minimum(reference, ONSET_ID)
    return "R" if kinds[either].mean() >= RHYTHM_FROM else "N"


def obedience(scores: list[Score]) -> dict[str, Any]:
    """Return how often what was asked for was done.

    Returns:
        "scores": how many have a plan; "table": requested letter to realised letter to count; "rates": letter to the share
        that became what was asked. N counts in bars with a reference only: without one there is nothing to be new against.
    """
    table: dict[str, Counter[str]] = {letter: Counter() for letter in LETTERS}
    planned = 0
    for score in scores:
        plan = read_form(score)
        if plan is None:
            continue
        planned += 1
        for asked, word in zip(plan, realised(plain_cells(score), plan, score.bar_rows), strict=True):
            for wanted, got in zip(asked.letters, word, strict=True):
                if asked.lag or wanted == "S":
                    table[wanted]["N" if got == "-" else got] += 1
    rates = {letter: counts[letter] / counts.total() if counts.total() else None for letter, counts in table.items()}
    return {"scores": planned, "table": {letter: dict(counts) for letter, counts in table.items()}, "rates": rates}
