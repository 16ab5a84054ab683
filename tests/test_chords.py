"""Chords: names and degrees to ids and back, moves, and the chords mined from rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesasset.chords import DIMINISHED, MAJOR, MINOR, chord_id, chord_name, chord_tones, parse_chord, transpose_chords
from nesasset.compose.chord_mining import mine_chords
from nesasset.errors import ControlError
from nesasset.vocabulary import HOLD_ID, N_CHORDS, NO_CHORD, ONSET_ID, REST_ID, UNKNOWN_CHORD, pitch_to_id


@pytest.mark.parametrize("chord", range(1, N_CHORDS))
def test_a_name_is_read_back(chord: int) -> None:
    """Every triad's name is that triad, whatever the key."""
    assert parse_chord(chord_name(chord), 7, "minor") == chord


@pytest.mark.parametrize(
    ("name", "tonic", "mode", "expected"),
    [
        ("I", 0, "major", chord_id(0, MAJOR)),
        ("vi", 0, "major", chord_id(9, MINOR)),
        ("VI", 0, "minor", chord_id(8, MAJOR)),
        ("bVII", 2, "major", chord_id(0, MAJOR)),
        ("vii°", 0, "major", chord_id(11, DIMINISHED)),
        ("V7", 9, "minor", chord_id(4, MAJOR)),
        ("iv", 9, "minor", chord_id(2, MINOR)),
        ("#iv°", 0, "major", chord_id(6, DIMINISHED)),
        ("Am", 5, "major", chord_id(9, MINOR)),
        ("Bb7", 5, "major", chord_id(10, MAJOR)),
        ("Cb", 5, "major", chord_id(11, MAJOR)),
        ("F#dim", 5, "major", chord_id(6, DIMINISHED)),
        ("Dmaj7", 5, "major", chord_id(2, MAJOR)),
        ("Gsus4", 5, "major", chord_id(7, MAJOR)),
    ],
)
def test_what_people_write(name: str, tonic: int, mode: str, expected: int) -> None:
    """Degrees count the mode's own scale, capitals are major; of a larger chord the triad is taken."""
    assert parse_chord(name, tonic, mode) == expected


@pytest.mark.parametrize("name", ["H", "", "VIII", "c", "C#b", "I/V", "Cmm", "12", "viI"])
def test_no_chord(name: str) -> None:
    """What is no chord is refused with what is one."""
    with pytest.raises(ControlError, match="a chord must be a name such as"):
        parse_chord(name, 0, "major")


@given(st.integers(0, N_CHORDS), st.integers(-24, 24))
def test_a_moved_chord_has_the_moved_notes(chord: int, semitones: int) -> None:
    """Moving a chord moves its notes; no chord and the unknown one stay, and moving back undoes it."""
    tones = chord_tones()
    moved = int(transpose_chords(np.array(chord), semitones))
    assert (tones[moved] == np.roll(tones[chord], semitones)).all()
    assert transpose_chords(np.array(moved), -semitones) == chord
    if chord in (NO_CHORD, UNKNOWN_CHORD):
        assert moved == chord


def block(roots: list[tuple[int, ...]], rows: int = 8) -> np.ndarray:
    """Return rows in which P1, P2 and the triangle hold the three notes of a chord for so many rows each."""
    cells = np.full((rows * len(roots), 4), HOLD_ID)
    for place, notes in enumerate(roots):
        for column, note in zip((2, 1, 0), notes, strict=True):
            cells[rows * place, column] = pitch_to_id(48 + note + 12 * (column < 2))
    return cells


def test_chords_are_heard() -> None:
    """C, F, G and A minor, half a bar each, are what they are."""
    cells = block([(0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16)])
    found = mine_chords(cells, np.array([0, 16, 32]), 16)
    assert [chord_name(int(chord)) for chord in found.reshape(-1)] == ["C", "F", "G", "Am"]


def test_a_silent_half_bar_has_no_chord() -> None:
    """Where nothing sounds there is no chord, and the next one is heard all the same."""
    cells = block([(0, 4, 7), (0, 4, 7), (7, 11, 14)])
    cells[8:16] = HOLD_ID
    cells[8] = REST_ID
    cells = np.concatenate([cells, np.full((8, 4), HOLD_ID)])
    found = mine_chords(cells, np.array([0, 16, 32]), 16)
    assert [chord_name(int(chord)) for chord in found.reshape(-1)] == ["C", "-", "G", "G"]


@given(st.integers(0, 2**32 - 1), st.integers(-5, 6))
def test_mined_chords_move_with_the_notes(seed: int, semitones: int) -> None:
    """A song a few semitones higher has the same chords, so many semitones higher."""
    rng = np.random.default_rng(seed)
    cells = np.where(rng.random((64, 4)) < 0.6, HOLD_ID, pitch_to_id(50) + rng.integers(0, 20, (64, 4)))
    cells[:, 3] = np.minimum(cells[:, 3], ONSET_ID)
    moved = cells.copy()
    moved[:, :3] += np.where(cells[:, :3] >= ONSET_ID, semitones, 0)
    starts = np.arange(0, 65, 16)
    here, there = mine_chords(cells, starts, 16), mine_chords(moved, starts, 16)
    agree = (transpose_chords(here.astype(int), semitones) == there).mean()
    assert agree > 0.6  # ties between chords of equal worth go to the lower id
