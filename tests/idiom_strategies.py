"""Scores that use every idiom of a sound driver, and what is left of them without one. No test is in here."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from strategies import scores

from nesasset.score import HOLD, REST, Instrument, Note, Score
from nesasset.units import VOICES


def idiom_scores(
    max_rows: int = 12, max_row_frames: int = 6, loops: bool | None = None, provenance: bool = False
) -> st.SearchStrategy[Score]:
    """Return a strategy of valid scores; see `strategies.scores`. Instruments move, notes have volumes and slides."""
    return scores(max_rows, max_row_frames, loops, provenance, idioms=True)


def still(score: Score) -> Score:
    """Return a score without any vibrato."""
    return replace(score, instruments=tuple(replace(entry, vibrato=None) for entry in score.instruments))


def one_note(instrument: Instrument, pitch: int | None, frames: int, **manner: int) -> Score:
    """Return a score of one note that lasts some frames, one row a frame, on the voice of its kind."""
    voice = {"pulse": "P1", "triangle": "TR", "noise": "NO"}[instrument.kind]
    voices = dict.fromkeys(VOICES, (REST,) * frames)
    voices[voice] = (Note(0, pitch, **manner), *(HOLD,) * (frames - 1))
    return Score(voices, (instrument,), groove=(1,))
