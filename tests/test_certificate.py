"""Certificates: good loops and endings pass, and each fault is found by its own check."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pieces
import pytest

from nesasset.audio import Audio
from nesasset.certificate import _held_notes, certify
from nesasset.driver import drive
from nesasset.errors import AudioError
from nesasset.render import render
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, Vibrato


def sound(score: Score, rate: int = 44_100) -> Audio:
    return render(drive(score), rate)


def failed(score: Score, audio: Audio | None = None) -> set[str]:
    return {check.name for check in certify(score, audio or sound(score)).failures}


@pytest.fixture(scope="module")
def loop() -> Score:
    return pieces.loop_score()


@pytest.fixture(scope="module")
def loop_sound(loop: Score) -> Audio:
    return sound(loop)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("intro_bars", [0, 1])
def test_loops_pass(seed: int, intro_bars: int) -> None:
    """A piece whose end leads into its start passes, with and without an intro."""
    certificate = certify(score := pieces.loop_score(seed, intro_bars=intro_bars), sound(score))
    assert certificate.kind == "loop"
    assert certificate.passed, certificate.failures


@pytest.mark.parametrize("rate", [44_100, 48_000, 24_000])
def test_loops_pass_at_rates_of_whole_samples(loop: Score, rate: int) -> None:
    """Rates that are multiples of 60 give loops of whole samples."""
    assert not failed(loop, sound(loop, rate))


@pytest.mark.parametrize("seed", range(4))
def test_endings_pass(seed: int) -> None:
    """A jingle that falls silent gets a certificate of its ending."""
    certificate = certify(score := pieces.jingle_score(seed), sound(score))
    assert certificate.kind == "ending"
    assert certificate.passed, certificate.failures


def test_a_row_too_many_is_found(loop: Score) -> None:
    """A loop that is no whole number of bars fails for that."""
    voices = {voice: (*cells, REST) for voice, cells in loop.voices.items()}
    longer = replace(loop, voices=voices, loop=(0, loop.n_rows + 1))
    assert "whole bars" in failed(longer)


def test_fractions_of_samples_are_found() -> None:
    """At 22 050 Hz a frame is 367.5 samples: a loop of an odd number of frames is not exact."""
    score = pieces.loop_score(bars=1, intro_bars=1, groove=(6,) * 15 + (7,))
    assert failed(score, sound(score, 22_050)) == {"whole samples"}


def test_a_loop_one_sample_off_is_found(loop: Score, loop_sound: Audio) -> None:
    """Audio whose loop is not the score's fails."""
    start, length = loop_sound.loop
    shifted = Audio(loop_sound.samples, loop_sound.sample_rate_hz, (start, length - 1))
    assert "whole samples" in failed(loop, shifted)


def test_a_different_held_note_is_found() -> None:
    """A voice that holds other notes over the seam than after the intro fails."""
    assert "held notes" in failed(pieces.broken_loop_score())


def test_the_same_held_note_passes() -> None:
    """Intro and loop may lead into a hold by the same note."""
    score = pieces.loop_score(intro_bars=1)
    bass = list(score.voices["TR"])
    bass[15], bass[16], bass[-1] = Note(2, 40), HOLD, Note(2, 40)
    assert "held notes" not in failed(replace(score, voices={**score.voices, "TR": tuple(bass)}))


def test_the_same_note_at_another_age_is_found() -> None:
    """The same note further along its envelope is another state."""
    score = pieces.loop_score(intro_bars=1)
    lead = list(score.voices["P1"])
    lead[14:17] = [Note(0, 60), REST, HOLD]
    lead[15] = Note(0, 60)
    lead[-2:] = [Note(0, 60), HOLD]
    fast = replace(score, groove=(2,), voices={**score.voices, "P1": tuple(lead)})
    assert "held notes" in failed(fast)


def over_the_seam(instrument: Instrument, after_intro: tuple[Cell, ...], after_loop: tuple[Cell, ...]) -> Score:
    """Return a loop whose lead holds one instrument over the seam; the cells end the intro and the loop."""
    score = pieces.loop_score(intro_bars=1)
    new = len(score.instruments)
    lead = [replace(cell, instrument=new) if isinstance(cell, Note) else cell for cell in score.voices["P1"]]
    lead[16 - len(after_intro) : 19] = [*after_intro, HOLD, HOLD, Note(new, 64)]
    lead[-len(after_loop) :] = after_loop
    fix = [replace(cell, instrument=new) if isinstance(cell, Note) else cell for cell in lead]
    return replace(score, instruments=(*score.instruments, instrument), voices={**score.voices, "P1": tuple(fix)})


EVEN = Instrument("pulse", (12,))
SOON, LATER = (Note(0, 60),), (Note(0, 60), HOLD)  # 6 and 12 frames old at the seam


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        ({}, False),
        ({"duties": (0, 0, 0, 0, 2)}, False),
        ({"duties": (0,) * 10 + (2,)}, True),
        ({"arpeggio": (0, 4, 7), "arpeggio_loop": 0}, False),
        ({"arpeggio": (0, 4, 7, 12), "arpeggio_loop": 0}, True),
        ({"arpeggio": (0, 4)}, False),
        ({"vibrato": Vibrato(0, 6, 50)}, False),
        ({"vibrato": Vibrato(0, 8, 50)}, True),
        ({"vibrato": Vibrato(10, 6, 50)}, True),
        ({"vibrato": Vibrato(40, 6, 50)}, False),
    ],
)
def test_a_held_note_is_in_the_same_state_on_every_pass(change: dict[str, object], fails: bool) -> None:
    """Duty, arpeggio and vibrato at the seam must be where they are after the intro, as far as it is heard."""
    score = over_the_seam(replace(EVEN, **change), SOON, LATER)
    assert _held_notes(score).passed is not fails


@pytest.mark.parametrize(("slide", "source", "fails"), [(3, 67, False), (10, 55, True), (20, 67, True)])
def test_a_slide_over_the_seam_is_where_it_is_after_the_intro(slide: int, source: int, fails: bool) -> None:
    """A slide that has arrived by then is none; one under way must have come as far, from the same pitch."""
    note = Note(0, 60, slide=slide)
    score = over_the_seam(EVEN, (Note(0, 55), note), (Note(0, source), note) if source != 55 else (Note(0, 55), note, HOLD))
    assert _held_notes(score).passed is not fails


@pytest.mark.parametrize(("last", "fails"), [(55, False), (67, True)])
def test_a_slide_into_the_loop_begins_at_one_pitch(last: int, fails: bool) -> None:
    """The loop's first note slides from the intro's last note once, then from the loop's last one."""
    score = over_the_seam(EVEN, (Note(0, 55),), (Note(0, last),))
    lead = list(score.voices["P1"])
    lead[16] = Note(len(score.instruments) - 1, 60, slide=4)
    assert _held_notes(replace(score, voices={**score.voices, "P1": tuple(lead)})).passed is not fails


def test_a_note_that_died_away_is_silence() -> None:
    """A note whose envelope has ended in silence equals a rest."""
    score = pieces.loop_score(intro_bars=1)
    noise = list(score.voices["NO"])
    noise[12:16] = [Note(3), HOLD, HOLD, HOLD]
    noise[16] = HOLD
    noise[-2:] = [REST, HOLD]
    assert "held notes" not in failed(replace(score, voices={**score.voices, "NO": tuple(noise)}))


def test_a_note_may_hold_over_the_seam_without_an_intro(loop: Score) -> None:
    """Without an intro the first pass sounds as all others do, so there is nothing to differ."""
    bass = (HOLD, *loop.voices["TR"][1:-1], Note(2, 40))
    assert "held notes" not in failed(replace(loop, voices={**loop.voices, "TR": bass}))


def test_a_click_is_found(loop: Score, loop_sound: Audio) -> None:
    """A step of the wave at the seam that no bar line has fails."""
    samples = loop_sound.samples.copy()
    samples[:40] = -30_000
    samples[-40:] = 30_000
    assert "jump" in failed(loop, Audio(samples, loop_sound.sample_rate_hz, loop_sound.loop))


def test_a_cut_in_the_sound_is_found(loop: Score) -> None:
    """A loop whose last frames are another sound fails by its spectrum."""
    steady = {voice: (Note(i, p), *(HOLD,) * (loop.n_rows - 1)) for voice, i, p in (("P1", 0, 60), ("TR", 2, 48))}
    silent = (REST,) * loop.n_rows
    score = replace(loop, voices={"P2": silent, "NO": silent, **steady})
    audio = sound(score)
    samples = audio.samples.copy()
    noise = np.random.default_rng(0).integers(-9000, 9000, 4000)
    samples[-4000:] = noise
    assert "spectrum" in failed(score, Audio(samples, audio.sample_rate_hz, audio.loop))


@pytest.mark.parametrize(("seam", "fails"), [(5.0, False), (7.4, False), (8.0, True)])
def test_surprisal_is_compared_with_the_interior(loop: Score, loop_sound: Audio, seam: float, fails: bool) -> None:
    """A seam far more surprising than the rest fails."""
    score = replace(loop, provenance={"surprisal": {"seam": seam, "interior": 5.0}})
    assert failed(score, loop_sound) == ({"surprisal"} if fails else set())


@pytest.mark.parametrize("figures", [None, 3, {}, {"seam": "x", "interior": 1}, {"seam": float("nan"), "interior": 1.0}])
def test_unusable_surprisal_is_no_fault(loop: Score, loop_sound: Audio, figures: object) -> None:
    """A score that does not say how surprising it is passes; the entry has no value."""
    certificate = certify(replace(loop, provenance={"surprisal": figures}), loop_sound)
    assert certificate.passed
    assert certificate.checks[-1].value is None


def test_a_note_that_sounds_on_is_found() -> None:
    """A jingle whose bass is never released fails."""
    score = pieces.jingle_score()
    bass = tuple(HOLD if cell is REST else cell for cell in score.voices["TR"])
    assert "last notes" in failed(replace(score, voices={**score.voices, "TR": bass}))


def test_an_ending_that_is_not_silent_is_found() -> None:
    """Sound in the last frame fails."""
    audio = sound(score := pieces.jingle_score())
    samples = audio.samples.copy()
    samples[-100:] = 5000
    assert failed(score, Audio(samples, audio.sample_rate_hz)) == {"silence at the end"}


def test_sound_of_another_kind_of_score_is_refused(loop_sound: Audio) -> None:
    """A looping sound is not the sound of a jingle."""
    with pytest.raises(AudioError, match="must both loop or both end"):
        certify(pieces.jingle_score(), loop_sound)


def test_to_json_is_plain(loop: Score, loop_sound: Audio) -> None:
    """The JSON form has every check and survives a round trip."""
    value = certify(loop, loop_sound).to_json()
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert [check["name"] for check in value["checks"]] == [
        "whole bars",
        "whole samples",
        "equal voices",
        "held notes",
        "jump",
        "spectrum",
        "surprisal",
    ]
