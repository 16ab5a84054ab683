"""The rules of a score: what notes and instruments may say, and the sentence when they say something else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nesasset.errors import ScoreError
from nesasset.score import HOLD, MAX_ENVELOPE_FRAMES, REST, Instrument, Note, Score, Vibrato
from nesasset.units import VOICES


def test_the_idioms_are_off_by_default() -> None:
    """A note is loud and does not slide, an instrument does not move."""
    note, instrument = Note(0, 60), Instrument("pulse")
    assert (note.volume, note.slide) == (15, 0)
    assert (instrument.duties, instrument.arpeggio, instrument.arpeggio_loop, instrument.vibrato) == ((), (), None, None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"duties": (0, 4)}, "duty of the sequence must be between 0 and 3, not 4"),
        ({"duties": (True,)}, "duty of the sequence must be between 0 and 3, not True"),
        ({"duties": (0,) * 1025}, "duty sequence length must be between 0 and 1024, not 1025"),
        ({"arpeggio": (0, -97)}, "arpeggio step must be between -96 and 96, not -97"),
        ({"arpeggio": (0.5,)}, "arpeggio step must be between -96 and 96, not 0.5"),
        ({"arpeggio": (0,) * 1025}, "arpeggio length must be between 0 and 1024, not 1025"),
        ({"arpeggio": (0, 4), "arpeggio_loop": 2}, "arpeggio_loop must be between 0 and 1, not 2"),
        ({"arpeggio": (0, 4), "arpeggio_loop": -1}, "arpeggio_loop must be between 0 and 1, not -1"),
        ({"arpeggio": (0, 4), "arpeggio_loop": True}, "arpeggio_loop must be between 0 and 1, not True"),
        ({"arpeggio_loop": 0}, "arpeggio_loop must be None where there is no arpeggio, not 0"),
        ({"vibrato": (1, 2, 3)}, "vibrato must be a Vibrato or None, not (1, 2, 3)"),
    ],
)
@pytest.mark.parametrize("kind", ["pulse", "triangle", "noise"])
def test_instruments_out_of_range_are_refused(kind: str, fields: dict[str, Any], message: str) -> None:
    """A wrong number in an instrument gives its name, the range and the number."""
    with pytest.raises(ScoreError, match=f"^{re.escape(message)}$"):
        Instrument(kind, **fields)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1, 8, 20), "vibrato delay must be between 0 and 1024, not -1"),
        ((1025, 8, 20), "vibrato delay must be between 0 and 1024, not 1025"),
        ((0, 3, 20), "vibrato period must be between 4 and 256, not 3"),
        ((0, 257, 20), "vibrato period must be between 4 and 256, not 257"),
        ((0, 8, 0), "vibrato depth must be between 1 and 1200, not 0"),
        ((0, 8, 1201), "vibrato depth must be between 1 and 1200, not 1201"),
        ((0, 8.0, 20), "vibrato period must be between 4 and 256, not 8.0"),
    ],
)
def test_vibratos_out_of_range_are_refused(values: tuple[Any, Any, Any], message: str) -> None:
    """A wrong number in a vibrato gives its name, the range and the number."""
    with pytest.raises(ScoreError, match=f"^{re.escape(message)}$"):
        Vibrato(*values)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"volume": 16}, "P1 row 1: the note's volume must be between 0 and 15, not 16"),
        ({"volume": -1}, "P1 row 1: the note's volume must be between 0 and 15, not -1"),
        ({"volume": None}, "P1 row 1: the note's volume must be between 0 and 15, not None"),
        ({"slide": -1}, "P1 row 1: the note's slide must be between 0 and 1024, not -1"),
        ({"slide": 1025}, "P1 row 1: the note's slide must be between 0 and 1024, not 1025"),
        ({"slide": True}, "P1 row 1: the note's slide must be between 0 and 1024, not True"),
    ],
)
def test_notes_out_of_range_are_refused_with_their_place(fields: dict[str, Any], message: str) -> None:
    """A wrong number in a note gives voice and row, the range and the number."""
    voices = {**dict.fromkeys(VOICES, (REST, HOLD)), "P1": (Note(0, 60), Note(0, 60, **fields))}
    with pytest.raises(ScoreError, match=f"^{re.escape(message)}$"):
        Score(voices, (Instrument("pulse"),))


def test_the_ends_of_all_ranges_are_allowed() -> None:
    """What the messages name as limits is accepted."""
    longest = MAX_ENVELOPE_FRAMES
    for vibrato in (Vibrato(0, 4, 1), Vibrato(longest, 256, 1200)):
        instrument = Instrument("pulse", (15,) * longest, 0, 0, 0, "", (3,) * longest, (-96, 96) * (longest // 2), 1023, vibrato)
        note = Note(0, 60, volume=0, slide=longest)
        voices = {**dict.fromkeys(VOICES, (REST,)), "P1": (note,)}
        assert Score(voices, (instrument,)).voices["P1"] == (note,)


def test_what_a_kind_cannot_use_means_nothing() -> None:
    """Duties of a triangle and a vibrato of the noise are allowed, as a duty of either always was."""
    assert Instrument("triangle", duties=(1,)).duties == (1,)
    assert Instrument("noise", vibrato=Vibrato(0, 8, 20)).vibrato is not None
