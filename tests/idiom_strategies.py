"""Hypothesis strategies for scores that use every idiom of a sound driver. No test is in here."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from strategies import scores

from nesasset.score import HOLD, REST, Instrument, Note, Score, Vibrato
from nesasset.units import VOICES

vibratos = st.builds(Vibrato, st.integers(0, 12), st.integers(4, 24), st.integers(1, 200) | st.integers(1, 1200))
steps = st.integers(-12, 12) | st.integers(-96, 96)


@st.composite
def moves(draw: st.DrawFn) -> dict[str, object]:
    """Draw the fields of an instrument that change something while a note lasts."""
    arpeggio = tuple(draw(st.lists(steps, max_size=6)))
    return {
        "duties": tuple(draw(st.lists(st.integers(0, 3), max_size=6))),
        "arpeggio": arpeggio,
        "arpeggio_loop": draw(st.none() | st.integers(0, len(arpeggio) - 1)) if arpeggio else None,
        "vibrato": draw(st.none() | vibratos),
    }


@st.composite
def idiom_scores(
    draw: st.DrawFn, max_rows: int = 12, max_row_frames: int = 6, loops: bool | None = None, provenance: bool = False
) -> Score:
    """Draw a valid score; see `strategies.scores`. Instruments move, notes have volumes and slides."""
    score = draw(scores(max_rows, max_row_frames, loops, provenance))
    instruments = tuple(replace(entry, **draw(moves())) for entry in score.instruments)
    manners = draw(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 30)), min_size=1, max_size=5))
    voices = {}
    for voice in VOICES:
        cells = list(score.voices[voice])
        for index, cell in enumerate(cells):
            if isinstance(cell, Note):
                volume, slide = manners[index % len(manners)]
                cells[index] = replace(cell, volume=volume, slide=slide)
        voices[voice] = tuple(cells)
    return replace(score, voices=voices, instruments=instruments)


def still(score: Score) -> Score:
    """Return a score without any vibrato."""
    return replace(score, instruments=tuple(replace(entry, vibrato=None) for entry in score.instruments))


def one_note(instrument: Instrument, pitch: int | None, frames: int, **manner: int) -> Score:
    """Return a score of one note that lasts some frames, one row a frame, on the voice of its kind."""
    voice = {"pulse": "P1", "triangle": "TR", "noise": "NO"}[instrument.kind]
    voices = dict.fromkeys(VOICES, (REST,) * frames)
    voices[voice] = (Note(0, pitch, **manner), *(HOLD,) * (frames - 1))
    return Score(voices, (instrument,), groove=(1,))
