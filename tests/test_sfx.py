"""Sound effects: every class, their registers, their tuning, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ear import loudness
from hypothesis import given, settings
from hypothesis import strategies as st

from nesasset import render, sfx
from nesasset.apu.state import channel_frames, period_to_pitch
from nesasset.errors import ControlError
from nesasset.sfx.recipes import RECIPES

SEEDS = st.integers(0, 2**63 - 1)
TUNED = ("coin", "blip", "select", "cancel", "key", "heal", "power-up", "alarm")


def test_the_list_of_classes_is_the_table_of_recipes() -> None:
    """Each class has its recipe, priority and sentence."""
    assert set(sfx.CLASSES) == set(RECIPES)
    assert all(entry.sentence.endswith(".") and 0 <= entry.priority <= 100 for entry in RECIPES.values())


@pytest.mark.parametrize("kind", sfx.CLASSES)
def test_every_class_is_heard_and_ends(kind: str) -> None:
    """Ten seeds of each class sound, do not clip, and are silent at their end."""
    for seed in range(10):
        sound = render(sfx.make(kind, seed).to_log()).samples
        assert loudness(sound) > 100
        assert abs(sound.astype(int)).max() < 32_000
        assert abs(sound[-200:].astype(int)).max() < 300


@settings(max_examples=60)
@given(st.sampled_from(sfx.CLASSES), SEEDS, st.lists(st.integers(0, 11), max_size=4))
def test_any_seed_gives_an_effect_within_the_chip_s_ranges(kind: str, seed: int, classes: list[int]) -> None:
    """No seed and no chord leads out of range, and the same ones give the same effect, through JSON, too."""
    effect = sfx.make(kind, seed, classes)
    assert effect == sfx.make(kind, seed, classes)
    assert sfx.Effect.from_json(effect.to_json()) == effect


@pytest.mark.parametrize("kind", sfx.CLASSES)
def test_seeds_differ(kind: str) -> None:
    """Of fifty seeds there are several different effects."""
    assert len({repr(sfx.make(kind, seed).parts) for seed in range(50)}) >= 4


@pytest.mark.parametrize("kind", TUNED)
@pytest.mark.parametrize("chord", [(0, 4, 7), (2, 5, 9), (3, 6, 11)])
def test_a_tuned_effect_keeps_to_its_chord(kind: str, chord: tuple[int, ...]) -> None:
    """Every tone that it plays is one of the chord's."""
    for seed in range(8):
        frames = sfx.make(kind, seed, chord).parts["pulse"]
        pitches = {period_to_pitch("P1", period) % 12 for volume, _, period in frames if volume}
        assert pitches <= set(chord)


def test_the_log_of_an_effect_does_what_its_frames_say() -> None:
    """Read back from the registers, each frame has the effect's volume, timbre and period."""
    effect = sfx.make("splash", 4)
    frames = channel_frames(effect.to_log())
    noise, pulse = np.array(effect.parts["noise"]), np.array(effect.parts["pulse"])
    assert frames["NO"]["volume"][: len(noise)].tolist() == noise[:, 0].tolist()
    assert frames["NO"]["period"][: len(noise)].tolist() == noise[:, 2].tolist()
    sounding = pulse[:, 0] > 0
    assert frames["P1"]["period"][: len(pulse)][sounding].tolist() == pulse[sounding, 2].tolist()
    assert not frames["NO"]["volume"][len(noise) :].any()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sfx.make("coins"), r"unknown class of effect 'coins', did you mean coin"),
        (lambda: sfx.make("coin", -1), r"seed must be between 0 and"),
        (lambda: sfx.make("coin", 0, (12,)), r"pitch class must be between 0 and 11, not 12"),
        (lambda: sfx.Effect({}), r"an effect has parts for some of pulse, triangle, noise, not none"),
        (lambda: sfx.Effect({"pulse": ((16, 0, 100),)}), r"pulse volume must be between 0 and 15, not 16"),
        (lambda: sfx.Effect({"noise": ((1, 0, 16),)}), r"noise period must be between 0 and 15, not 16"),
        (lambda: sfx.Effect({"pulse": ((1, 0, 100),)}, 101), r"priority must be between 0 and 100, not 101"),
        (lambda: sfx.Effect.from_json({"name": "x"}), r"these values describe no effect"),
    ],
)
def test_what_makes_no_sense_is_refused(call, sentence: str) -> None:
    """Each error names the value and what is allowed."""
    with pytest.raises(ControlError, match=sentence):
        call()
