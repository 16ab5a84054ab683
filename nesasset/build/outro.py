"""An outro: a way to end a track that goes round for ever, made of its own notes.

What a listener waits for at a loop's end is its beginning. So the last bars are played once more, and then the beginning's
first beat, held and dying away, with which every voice ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from nesasset.score import HOLD, MAX_INSTRUMENTS, REST, Cell, Instrument, Note, Score
from nesasset.units import VOICES

BARS: Final = 2  # of the loop, before the closing one
HELD_FRAMES: Final = 90  # over which the closing notes die away: a second and a half
TRIANGLE_FRAMES: Final = 48  # the triangle has one volume only and is cut


def outro(score: Score) -> Score:
    """Return a score that ends: the loop's last two bars and a closing one; a score without a loop comes back as it is."""
    if score.loop is None:
        return score
    start, end = score.loop
    first = max(start, end - BARS * score.bar_rows)
    n_closing = max(1, -(-(HELD_FRAMES + 30) // min(score.groove)))
    closing_rows = -(-n_closing // score.bar_rows) * score.bar_rows
    instruments = list(score.instruments)
    voices: dict[str, tuple[Cell, ...]] = {}
    for voice in VOICES:
        body = list(score.voices[voice][first:end])
        body[0] = _sounding(score.voices[voice], start, first) if body[0] is HOLD else body[0]
        closing: list[Cell] = [HOLD] * closing_rows
        closing[0] = _last(score.voices[voice][start:end], score, voice, instruments)
        if voice == "TR" and isinstance(closing[0], Note):
            closing[min(closing_rows - 1, -(-TRIANGLE_FRAMES // max(score.groove)))] = REST
        voices[voice] = tuple(body + closing)
    # The groove repeats from the score's first row; what is cut out begins elsewhere in it.
    turn = first % len(score.groove)
    groove = score.groove[turn:] + score.groove[:turn]
    title = f"{score.title} (outro)" if score.title else ""
    return replace(score, voices=voices, instruments=tuple(instruments), groove=groove, loop=None, title=title)


def _sounding(cells: Sequence[Cell], start: int, row: int) -> Cell:
    """Return the note that sounds when a row begins without one of its own, as a new note; a rest if none does."""
    for cell in [*reversed(cells[start:row])]:
        if cell is not HOLD:
            return replace(cell, delay=0, slide=0) if isinstance(cell, Note) else REST
    return REST


def _last(cells: Sequence[Cell], score: Score, voice: str, instruments: list[Instrument]) -> Cell:
    """Return the closing note of a voice: the loop's first if it lies in the first beat, with an envelope that dies away."""
    note = next((cell for cell in cells[: score.beat_rows] if isinstance(cell, Note)), None)
    if note is None:
        return REST
    old = score.instruments[note.instrument]
    if voice == "TR":
        envelope: tuple[int, ...] = (15,)
    elif voice == "NO":
        envelope = (*old.volume[:20], 0)
    else:
        top = max(*old.volume, 4)
        envelope = (*(round(top * (1 - frame / HELD_FRAMES) ** 1.5) for frame in range(HELD_FRAMES)), 0)
    closing = replace(old, volume=envelope, name="closing")
    if closing not in instruments:
        if len(instruments) >= MAX_INSTRUMENTS:
            return REST
        instruments.append(closing)
    return replace(note, instrument=instruments.index(closing), delay=0, slide=0)
