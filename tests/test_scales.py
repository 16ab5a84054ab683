"""Scales and ranges: what was asked for is the only thing there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesasset.chords import chord_id, chord_tones
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.scales import SCALES, chord_weights, pitch_classes, scale_mode
from nesasset.errors import ControlError
from nesasset.model import Model, load_model
from nesasset.score import Note
from nesasset.units import NOTE_NAMES


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(Path(__file__).parent / "standin" / "standin.json")


@pytest.mark.parametrize("name", SCALES)
def test_no_note_is_outside_the_scale(name: str, model: Model) -> None:
    """A network of random weights writes nothing outside, over two seeds and tonics, in copies and sequences neither."""
    for seed, key in ((1, "D"), (2, "Bb")):
        score = compose("overworld", seed, Controls(bars=8, scale=name, key=key, candidates=1), model)
        inside = pitch_classes(SCALES[name], 2 if key == "D" else 10)
        notes = [cell.pitch for voice in ("P1", "P2", "TR") for cell in score.voices[voice] if isinstance(cell, Note)]
        assert notes
        assert all(inside[pitch % 12] for pitch in notes if pitch is not None)


@pytest.mark.parametrize(
    ("text", "low", "high", "form"), [("C4-C6", 60, 84, "A A+7 A"), ("bb2 - c4", 46, 60, None), ("A1-C8", 33, 108, None)]
)
def test_the_melody_stays_in_its_range(text: str, low: int, high: int, form: str | None, model: Model) -> None:
    """Pulse 1 plays nothing beyond, where a section is moved neither; notes are named as pianists name them."""
    controls = Controls(bars=9, melody_range=text, form=form, candidates=1)
    assert controls.melody_pitches == (low, high)
    score = compose("overworld", 4, controls, model)
    notes = [cell.pitch for cell in score.voices["P1"] if isinstance(cell, Note) and cell.pitch is not None]
    assert notes
    assert low <= min(notes) <= max(notes) <= high


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"scale": "hungarian"}, "scale must be major, minor, .*not 'hungarian'"),
        ({"scale": "dorian", "mode": "major"}, "mode major contradicts the scale dorian, which is minor"),
        ({"melody_range": "C4"}, "melody_range must be two notes, as in C4-C6, not 'C4'"),
        ({"melody_range": "C4-F4"}, "melody_range must span an octave at least"),
        ({"melody_range": "C0-C6"}, "melody_range must lie between A1 and C8"),
        ({"melody_range": 7}, "melody_range must be two notes"),
        ({"melody_range": "C4-C6", "register": "low"}, "say the same thing"),
    ],
)
def test_wishes_that_cannot_be(wishes: dict[str, object], sentence: str) -> None:
    """Each is refused with one sentence."""
    with pytest.raises(ControlError, match=sentence):
        Controls(**wishes)  # type: ignore[arg-type]


def test_modes_of_scales() -> None:
    """The third decides."""
    assert [scale_mode(name) for name in ("major", "dorian", "lydian", "blues", "whole-tone")] == ["major", "minor", "major", "minor", "major"]


@pytest.mark.parametrize("name", SCALES)
def test_chords_suit_their_scale(name: str) -> None:
    """Where a scale has triads enough, only those are drawn; elsewhere those that have two of three notes in it."""
    weights, tones = chord_weights(name), chord_tones()
    inside = pitch_classes(SCALES[name], 0)
    for chord in range(1, len(weights)):
        share = (tones[chord] & inside).sum() / 3
        assert (weights[chord] > 0) <= (share > 0.6)
    assert (weights[1:] > 0).sum() >= 3
    assert weights[chord_id(0, 1 if scale_mode(name) == "minor" else 0)] > 0  # the tonic's own


def test_a_mode_that_was_asked_for_leads_the_notes(model: Model) -> None:
    """A network that knows nothing of modes plays the third of the mode asked for more often than the other one."""
    thirds = np.zeros(2)
    for seed, mode in ((1, "major"), (2, "minor")):
        score = compose("overworld", seed, Controls(bars=16, mode=mode, key="C", candidates=1, ornaments=False), model)
        tonic = NOTE_NAMES.index(str(score.provenance["key"]).split()[0])
        notes = np.array([cell.pitch for voice in ("P1", "P2") for cell in score.voices[voice] if isinstance(cell, Note)]) - tonic
        own, other = (4, 3) if mode == "major" else (3, 4)
        thirds += (notes % 12 == own).sum(), (notes % 12 == other).sum()
    assert thirds[0] > 1.3 * thirds[1]
