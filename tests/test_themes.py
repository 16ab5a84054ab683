"""Themes and controls: the table is whole, and wrong names and values get the right sentence."""

from __future__ import annotations

import pytest

from nesasset.compose.controls import Controls, check_seed
from nesasset.errors import ControlError, UnknownThemeError
from nesasset.themes import MODES, REGISTERS, THEMES, theme
from nesasset.vocabulary import LABELS

PROMISED = (
    "title map overworld town forest cave dungeon castle water ice desert sky space factory battle boss final-boss "
    "chase bonus shop ending credits victory game-over level-up item death"
).split()
JINGLES = {"victory", "game-over", "level-up", "item", "death"}


def test_all_promised_themes_are_there() -> None:
    """The themes that the documents promise exist."""
    assert set(PROMISED) <= set(THEMES)


@pytest.mark.parametrize("entry", THEMES.values(), ids=lambda entry: entry.name)
def test_every_theme_is_in_range(entry) -> None:
    """Every value of a theme is one that compose accepts, and its label one that the model knows."""
    slowest, fastest = entry.tempo_range_bpm
    assert entry.label is None or entry.label in LABELS[1:]
    assert slowest <= entry.tempo_bpm <= fastest
    assert entry.mode in (None, *MODES)
    assert entry.register in REGISTERS
    assert entry.loops == (entry.name not in JINGLES)
    assert entry.sentence.endswith(".")
    Controls(bars=entry.bars, tempo_bpm=entry.tempo_bpm, mode=entry.mode, density=entry.density)


def test_default_tempos_are_whole_frames_a_row() -> None:
    """At its default tempo every row of a theme lasts equally long."""
    for entry in THEMES.values():
        assert (900 / entry.tempo_bpm) == pytest.approx(round(900 / entry.tempo_bpm))


def test_theme_is_found_by_name() -> None:
    """A theme is what its name says."""
    assert theme("castle").label == "castle_fortress"


@pytest.mark.parametrize(("wrong", "near"), [("castel", "castle"), ("finalboss", "final-boss"), ("Town", "town")])
def test_unknown_theme_offers_nearest_names(wrong: str, near: str) -> None:
    """An unknown name is answered with the nearest names."""
    with pytest.raises(UnknownThemeError, match=f"unknown theme '{wrong}', did you mean .*{near}"):
        theme(wrong)


@pytest.mark.parametrize("wrong", ["", "zzzzzz", None, 3])
def test_hopeless_theme_names_get_the_list(wrong: object) -> None:
    """A name that is near to none is answered with the way to the list."""
    with pytest.raises(UnknownThemeError, match="nesasset themes lists them all"):
        theme(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"bars": 0}, "bars must be between 1 and 512, not 0"),
        ({"bars": 2.0}, "bars must be between 1 and 512, not 2.0"),
        ({"bars": True}, "bars must be between 1 and 512, not True"),
        ({"tempo_bpm": 900}, "tempo_bpm must be between 30 and 300, not 900"),
        ({"tempo_bpm": float("nan")}, "tempo_bpm must be between 30 and 300, not nan"),
        ({"density": -0.1}, "density must be between 0 and 1, not -0.1"),
        ({"density": "x"}, "density must be between 0 and 1, not 'x'"),
        ({"candidates": 65}, "candidates must be between 1 and 64, not 65"),
        ({"temperature": 0.0}, "temperature must be between 0.1 and 2, not 0.0"),
        ({"key": "H"}, "key must be a note name such as C, F# or Bb, not 'H'"),
        ({"key": 5}, "key must be a note name such as C, F# or Bb, not 5"),
        ({"mode": "dorian"}, "mode must be major or minor, not 'dorian'"),
    ],
)
def test_controls_out_of_range_are_refused(wish: dict, sentence: str) -> None:
    """Every control out of range is refused with its range."""
    with pytest.raises(ControlError) as caught:
        Controls(**wish)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("given", "kept", "tonic"), [("c", "C", 0), ("Bb", "A#", 10), ("f#", "F#", 6), ("Cb", "B", 11)])
def test_keys_are_kept_as_sharps(given: str, kept: str, tonic: int) -> None:
    """Flats and lower case are taken; the sharp's name is kept."""
    controls = Controls(key=given)
    assert (controls.key, controls.tonic) == (kept, tonic)


def test_controls_to_json_holds_what_was_given() -> None:
    """Only the wishes that were given are written down."""
    assert Controls(bars=8, mode="minor").to_json() == {"bars": 8, "mode": "minor"}
    assert Controls().tonic is None


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True])
def test_seeds_out_of_range_are_refused(seed: object) -> None:
    """A seed is a whole number of 63 bits."""
    with pytest.raises(ControlError, match="seed must be between 0 and"):
        check_seed(seed)  # type: ignore[arg-type]
