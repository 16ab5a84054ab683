"""The live engine: the same registers as the driver, and every command heard in the samples."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ear import largest_jump, loudness, onsets, pitch_of, strength
from hypothesis import given, settings
from hypothesis import strategies as st
from idiom_strategies import idiom_scores
from pieces import jingle_score, loop_score
from tones import HIGH, HZ, PITCHES, chord, melody, ticks, tone

from nesasset import sfx
from nesasset.apu.stream import LATENCY, Player
from nesasset.driver import drive
from nesasset.errors import ControlError
from nesasset.play.bridge import bridge_name, is_bridge
from nesasset.play.deck import ONE, Deck
from nesasset.play.engine import Engine
from nesasset.play.session import Session, replay
from nesasset.register_log import RegisterLog
from nesasset.registers import Registers
from nesasset.score import HOLD, REST, Score
from nesasset.units import pitch_to_hz

FRAME = 735
BEAT = 24 * FRAME  # of six frames a row
BAR = 4 * BEAT


class Stage:
    """An engine that keeps what it has played."""

    def __init__(self, score: Score | None = None, rate: int = 44_100) -> None:
        self.engine = Engine(rate)
        self.parts: list[np.ndarray] = []
        self.events: list[tuple[int, str, dict]] = []
        if score is not None:
            self.add("a", score)
            self.do("switch", to="a", at="now")

    def add(self, name: str, score: Score, complete: bool = True) -> None:
        """Hand a score over."""
        self.engine.do({"do": "add", "name": name, "score": score, "complete": complete})

    def do(self, action: str, **fields) -> None:
        """Give a command."""
        self.engine.do({"do": action, **fields})

    def play(self, frames: int) -> np.ndarray:
        """Play some frames and return their samples."""
        made = []
        for _ in range(frames):
            frame = self.engine.step()
            made.append(frame.samples)
            self.events += [(frame.position.sample, kind, facts) for kind, facts in frame.events]
        self.parts += made
        return np.concatenate(made)

    @property
    def samples(self) -> np.ndarray:
        """All that has been played."""
        return np.concatenate(self.parts)

    def when(self, kind: str) -> list[int]:
        """Return the samples at which events of a kind happened."""
        return [sample for sample, name, _ in self.events if name == kind]


def alone(score: Score, frames: int) -> np.ndarray:
    """Return what a score sounds like by itself."""
    return Player(44_100).play(drive(score, frames))


# The driver's second implementation.


def live_writes(score: Score, frames: int) -> list[tuple[int, int, int]]:
    deck, registers, rows = Deck("a", score), Registers(), []
    for frame in range(frames):
        state_all = deck.states_all
        log = registers.write(deck.step(ONE, 0), state_all)
        rows += [(frame, a, v) for a, v in zip(log.addresses.tolist(), log.values.tolist(), strict=True)]
    return rows


def driver_writes(score: Score, frames: int) -> list[tuple[int, int, int]]:
    log = drive(score, frames)
    return list(zip(log.frames.tolist(), log.addresses.tolist(), log.values.tolist(), strict=True))


@settings(max_examples=60)
@given(idiom_scores())
def test_a_deck_writes_what_the_driver_writes(score: Score) -> None:
    """Whatever the idioms, a score that ends gives the same register writes frame by frame as the driver's."""
    ends = replace(score, loop=None)
    frames = ends.n_frames + 70
    assert live_writes(ends, frames) == driver_writes(ends, frames)


@pytest.mark.parametrize("score", [loop_score(3), loop_score(4, intro_bars=1, groove=(5, 6)), jingle_score(2)])
def test_undisturbed_the_engine_gives_the_samples_of_the_renderer(score: Score) -> None:
    """Three passes of a loop and more: the same bytes as the driver's log through a player."""
    frames = 3 * score.n_frames + 17
    assert np.array_equal(Stage(score).play(frames), alone(score, frames))


def with_rests(score: Score, rows: range) -> Score:
    """Return a score whose pulses rest for some rows."""
    voices = {name: tuple(REST if at == rows[0] else HOLD if at in rows else cell for at, cell in enumerate(cells)) for name, cells in score.voices.items()}
    return replace(score, voices=score.voices | {name: voices[name] for name in ("P1", "P2")})


@pytest.mark.parametrize(("intro_bars", "rows"), [(0, range(9)), (1, range(16, 23))])
def test_a_loop_that_begins_with_a_rest_is_the_renderer_s_in_every_pass(intro_bars: int, rows: range) -> None:
    """What a rest leaves behind is the note before it in the score, not the loop's last: it sets the phase of the next one."""
    score = with_rests(loop_score(3, intro_bars=intro_bars), rows)
    frames = 4 * score.n_frames
    assert np.array_equal(Stage(score).play(frames), alone(score, frames))


# What commands do, by ear.


def test_a_transposition_is_heard_at_once() -> None:
    """Three semitones up, in the midst of a note, and back down an octave."""
    stage = Stage(tone(69))
    assert pitch_of(stage.play(30)[2000:]) == pytest.approx(69, abs=0.1)
    stage.do("transpose", semitones=3)
    assert pitch_of(stage.play(30)[2000:]) == pytest.approx(72, abs=0.1)
    stage.do("transpose", semitones=-12)
    assert pitch_of(stage.play(30)[2000:]) == pytest.approx(57, abs=0.1)


def test_a_transposition_leaves_drums_alone() -> None:
    """The noise has no pitch to move: its samples stay the same."""
    drums = replace(chord(), voices={voice: cells if voice == "NO" else (REST, *(HOLD,) * 31) for voice, cells in chord().voices.items()})
    plain, moved = Stage(drums), Stage(drums)
    moved.do("transpose", semitones=5)
    assert np.array_equal(plain.play(96), moved.play(96))


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_a_tempo_is_heard_in_the_time_between_beats(factor: float) -> None:
    """Beats come as many times as quickly; the pitch stays."""
    stage = Stage(ticks(bars=4))
    stage.do("tempo", factor=factor)
    sound = stage.play(600)
    gaps = np.diff(onsets(sound))
    assert np.mean(gaps) == pytest.approx(BEAT / factor, rel=0.005)
    assert abs(gaps - BEAT / factor).max() <= FRAME  # a frame is the finest that a driver knows
    assert pitch_of(sound[200:3500]) == pytest.approx(69, abs=0.3)


def test_a_tempo_that_changes_in_a_row_takes_effect_there() -> None:
    """Half of a beat at one speed and half at twice that last three quarters of a beat."""
    stage = Stage(ticks(bars=4))
    stage.play(12)
    stage.do("tempo", factor=2.0)
    stage.play(40)
    assert np.diff(onsets(stage.samples))[0] == pytest.approx(0.75 * BEAT, abs=30)


@pytest.mark.parametrize("voice", ["P1", "P2", "TR"])
def test_a_muted_voice_is_not_heard(voice: str) -> None:
    """Its tone is gone from the sound, those of the others stay; unmuted it is back."""
    stage = Stage(chord())
    before = stage.play(24)[4000:]
    stage.do("mute", voices=[voice])
    without = stage.play(24)[4000:]
    stage.do("mute", voices=[])
    after = stage.play(24)[4000:]
    for name, hz in HZ.items():
        ratio = strength(without, hz) / strength(before, hz)
        assert ratio < 0.02 if name == voice else ratio > 0.7
        assert strength(after, hz) > 0.7 * strength(before, hz)


def test_intensity_brings_voices_in_one_by_one() -> None:
    """At the lowest the second pulse and the drums are silent, in the middle it is there, above the drums are."""
    stage = Stage(chord())
    heard = {}
    for level in (0.1, 0.3, 0.6, None):
        stage.do("intensity", level=level)
        sound = stage.play(96)
        treble = np.diff(sound.astype(float), n=3)
        hisses = loudness(treble[:1000])  # the hiss of beat one
        heard[level] = strength(sound[4000:20000], HZ["P1"]), strength(sound[4000:20000], HZ["P2"]), hisses
    assert heard[0.1][1] < 0.02 * heard[None][1]
    assert heard[0.3][1] > 0.5 * heard[None][1]
    assert heard[0.1][0] < 0.85 * heard[None][0]
    assert heard[0.3][2] < 0.5 * heard[0.6][2]


def test_the_highest_intensity_adds_hats() -> None:
    """Where the score has no drums at all, drums are heard on every half beat."""
    stage = Stage(tone(69))
    stage.do("mute", voices=["P1"])
    stage.do("intensity", level=1.0)
    stage.engine.muted = {"P1"}
    sounds = [stage.engine.step().sounds for _ in range(96)]
    assert [frame for frame, sound in enumerate(sounds) if sound[3][0] and not sounds[frame - 1][3][0]] == list(range(0, 96, 12))


def test_a_low_pass_takes_the_treble_away_and_gives_it_back() -> None:
    """The ninth harmonic is gone, the fundamental hardly; open again the samples are those of an engine that never closed."""
    stage, other = Stage(tone(57, bars=8)), Stage(tone(57, bars=8))
    plain = stage.play(60)[20_000:]
    other.play(60)
    stage.do("low_pass", amount=1.0)
    muffled = stage.play(60)[20_000:]
    other.play(60)
    fundamental, treble = 220.0, 9 * 220.0
    assert strength(muffled, treble) < 0.1 * strength(plain, treble)
    assert strength(muffled, fundamental) > 0.5 * strength(plain, fundamental)
    stage.do("low_pass", amount=0.0)
    stage.play(20)
    other.play(20)
    assert np.array_equal(stage.play(30), other.play(30))


def test_ducking_is_heard_and_ends_by_itself() -> None:
    """The music is at a third for a second, then back."""
    stage = Stage(tone(69, bars=8))
    before = loudness(stage.play(30)[4000:])
    stage.do("duck", level=0.3, seconds=1.0, attack=0.1, release=0.2)
    stage.play(12)
    assert loudness(stage.play(40)) == pytest.approx(0.3 * before, rel=0.05)
    stage.play(40)
    assert loudness(stage.play(20)) == pytest.approx(before, rel=0.05)


def test_a_pause_stands_still_to_the_sample() -> None:
    """What follows a pause is what would have followed without it, and no step is heard at either end."""
    stage, other = Stage(melody([60, 64, 67])), Stage(melody([60, 64, 67]))
    stage.play(50)
    other.play(51)
    stage.do("pause")
    fading = stage.play(1)
    assert not stage.play(100).any()
    stage.do("resume")
    back = stage.play(1)
    other.play(1)
    assert np.array_equal(stage.play(60), other.play(60))
    assert max(abs(int(fading[-1])), abs(int(back[0]))) < 40


def test_volume_goes_in_a_line() -> None:
    """To nothing within half a second: half as loud in the middle, silent after."""
    stage = Stage(tone(69, bars=8))
    before = loudness(stage.play(30)[4000:])
    stage.do("volume", level=0.0, seconds=0.5)
    stage.play(13)
    assert loudness(stage.play(4)) == pytest.approx(0.5 * before, rel=0.1)
    stage.play(14)
    assert not stage.play(10).any()


# Transitions.


def begins(stage: Stage, name: str) -> int:
    return next(sample for sample, kind, facts in stage.events if kind == "begin" and facts["name"] == name)


def spliced(old: Score, new: Score, frame: int, frames: int) -> np.ndarray:
    """Return the sound of the driver's log of one score up to a frame, and of another's from there on, through one chip."""
    first, second = drive(old, frame), drive(new, frames - frame)
    both = RegisterLog(
        np.concatenate([first.frames, second.frames + frame]),
        np.concatenate([first.addresses, second.addresses]),
        np.concatenate([first.values, second.values]),
        frames,
    )
    return Player(44_100).play(both)


def keeps_time(samples: np.ndarray, start: int, groove: int = 6) -> bool:
    """Whether the ticks of `ticks(HIGH)` sound on every beat after a start, to half of their wave, in which there is no sound."""
    heard = onsets(samples[start + 6000 :], quiet=150) + 6000
    beat = 4 * groove * FRAME
    wanted = beat * np.arange(1, 1 + len(heard)) + LATENCY - 1
    return len(heard) >= 2 and bool((abs(heard - wanted) <= 7).all())


@pytest.mark.parametrize(("place", "expected"), [("now", 50 * FRAME), ("beat", 3 * BEAT), ("bar", BAR), ("phrase", 4 * BAR), ("end", 6 * BAR)])
def test_a_cut_comes_on_its_place_to_the_sample(place: str, expected: int) -> None:
    """The old tune is heard up to the place, the new one from there on: sample for sample as two logs laid end to end."""
    old, new = melody([60, 64, 67, 72], bars=6), loop_score(4)
    stage = Stage(old)
    stage.play(50)
    stage.add("b", new)
    stage.do("switch", to="b", at=place, via="cut")
    stage.play(expected // FRAME - 50 + 120)
    assert np.array_equal(stage.samples, spliced(old, new, expected // FRAME, expected // FRAME + 120))
    unchanged = alone(old, expected // FRAME + 120)
    assert expected <= int(np.argmax(stage.samples != unchanged)) <= expected + LATENCY  # within which a step rises
    assert begins(stage, "b") == expected


def test_a_cut_from_silence_is_at_once() -> None:
    """With nothing to wait for, a piece begins with the next frame."""
    stage = Stage()
    stage.play(7)
    stage.add("a", tone(69))
    stage.do("switch", to="a", at="phrase")
    assert onsets(stage.play(20))[0] <= 2 * LATENCY


def test_a_fade_falls_to_nothing_and_the_new_piece_is_on_the_beat() -> None:
    """Over two beats the old piece sinks, and the new one begins at full strength with the third."""
    old, new = tone(60, bars=8), ticks(HIGH)
    stage = Stage(old)
    stage.play(10)
    stage.add("b", new)
    stage.do("switch", to="b", at="beat", via="fade", beats=2)
    stage.play(200)
    start, sound = 3 * BEAT, stage.samples
    assert begins(stage, "b") == start
    full, half, end = (loudness(sound[at : at + 2000]) for at in (BEAT - 4000, 2 * BEAT - 1000, start - 2000))
    assert half == pytest.approx(full / 2, rel=0.15)
    assert end < 0.06 * full
    assert np.array_equal(sound[start:], spliced(old, new, start // FRAME, 210)[start:])


def test_a_bridge_leads_over_in_a_bar_of_its_own() -> None:
    """Between old and new there is one bar that is neither, in the new key, its tempo between theirs."""
    stage = Stage(melody([60, 64, 67, 72], groove=6))
    stage.add("b", replace(ticks(HIGH, groove=8), provenance={"key": "A major"}))
    stage.play(10)
    stage.do("switch", to="b", at="bar", via="bridge")
    stage.play(500)
    middle, new = begins(stage, "bridge to b"), begins(stage, "b")
    assert middle == BAR
    assert 16 * 6 * FRAME < new - middle < 16 * 8 * FRAME
    assert keeps_time(stage.samples, new, groove=8)
    assert loudness(stage.samples[middle:new]) > 0.3 * loudness(stage.samples[:middle])


def over_a_bridge(at: str, left: int, played: int, intro_bars: int = 0) -> list[str]:
    """Return what begins on the way from a piece of four bars to another, where the model's bridge for one row is there."""
    stage = Stage(loop_score(3, bars=4, intro_bars=intro_bars))
    stage.add("b", ticks(HIGH))
    stage.play(played)
    foreseen = stage.engine.deck.next_left_row(at)
    stage.add(bridge_name("b", "a", left), replace(tone(72, bars=1), loop=None))
    stage.do("switch", to="b", at=at, via="bridge")
    stage.play(4 * BAR // FRAME + 200 * intro_bars + 300)
    begun = [facts["name"] for _, kind, facts in stage.events if kind == "begin"]
    assert (begun[1] == bridge_name("b", "a", left)) == (foreseen == left)
    assert [name for name in stage.engine.scores if is_bridge(name)] == [begun[1]]  # no other is kept
    return begun


@pytest.mark.parametrize(
    ("at", "left", "played", "intro_bars"),
    [("bar", 16, 10, 0), ("bar", 64, 300, 0), ("bar", 16, 400, 0), ("phrase", 64, 30, 0), ("phrase", 16, 30, 1), ("phrase", 80, 150, 1), ("end", 64, 30, 0), ("end", 80, 30, 1)],
)
def test_the_models_bridge_is_played_at_the_place_it_was_written_for(at: str, left: int, played: int, intro_bars: int) -> None:
    """Where that place is foreseen, in the midst of a piece, at its end, in its second pass; then comes the piece."""
    assert over_a_bridge(at, left, played, intro_bars) == ["a", bridge_name("b", "a", left), "b"]


@pytest.mark.parametrize(("at", "left", "played"), [("bar", 32, 10), ("end", 48, 10), ("phrase", 16, 10)])
def test_a_bridge_for_another_place_is_not_played(at: str, left: int, played: int) -> None:
    """There the bar by rule leads over."""
    assert over_a_bridge(at, left, played) == ["a", "bridge to b", "b"]


def test_a_place_that_cannot_be_foreseen() -> None:
    """Where a row begins the place itself, and within a bar, there is no time for a bridge."""
    stage = Stage(loop_score(3, bars=4))
    stage.play(1)
    deck = stage.engine.deck
    assert deck.next_left_row("now") is None and deck.next_left_row("beat") is None
    stage.play(BAR // FRAME - 1)
    assert deck.due_rows == [16] and deck.next_left_row("bar") is None
    assert deck.left_row == 16
    stage.play(3 * BAR // FRAME)
    assert (deck.row, deck.left_row) == (0, 64)  # it comes from behind its end


def test_the_end_of_a_piece_that_grows_cannot_be_foreseen() -> None:
    """Its next bar line can, and its end once all of it is there."""
    whole = loop_score(3, bars=4)
    stage = Stage()
    stage.add("a", replace(whole, voices={voice: cells[:32] for voice, cells in whole.voices.items()}, loop=None), complete=False)
    stage.do("switch", to="a", at="now")
    stage.play(10 + BAR // FRAME)
    deck = stage.engine.deck
    assert [deck.next_left_row(unit) for unit in ("bar", "phrase", "end")] == [32, None, None]
    stage.add("a", whole)
    assert [deck.next_left_row(unit) for unit in ("bar", "phrase", "end")] == [32, 64, 64]


def test_an_equivalent_switch_keeps_the_place_in_the_bar() -> None:
    """Left in the third beat of the second bar, the other piece goes on in its third beat, with the rest of the row."""
    notes = [60, 62, 64, 65, 67, 69, 71, 72]
    stage = Stage(melody(notes))
    stage.add("b", melody([note + 12 for note in notes]))
    stage.play(6 * 24 + 10)
    stage.do("switch", to="b", at="now", via="equivalent")
    rest = stage.play(14)
    assert pitch_of(rest[1500:]) == pytest.approx(notes[6] + 12, abs=0.2)
    assert pitch_of(stage.play(24)[1500:]) == pytest.approx(notes[7] + 12, abs=0.2)
    assert pitch_of(stage.play(24)[1500:]) == pytest.approx(notes[0] + 12, abs=0.2)


def test_an_equivalent_switch_of_a_piece_to_itself_changes_nothing() -> None:
    """At any frame, held notes and their age included, the samples are those of no switch at all."""
    score = loop_score(5, bars=2)
    for frame in (0, 7, 95, 96, 100, 191, 192, 250):
        stage, other = Stage(score), Stage(score)
        stage.add("same", score)
        stage.play(frame + 200)
        other.play(frame + 200)
        stage.do("switch", to="same", at="now", via="equivalent")
        assert np.array_equal(stage.play(60), other.play(60)), frame


def test_stop_at_a_bar_ends_there_without_a_click() -> None:
    """Sound up to the bar line, silence a hundredth of a second after it, no jump beyond those of the music."""
    stage = Stage(tone(60, bars=4))
    stage.play(20)
    stage.do("stop", at="bar")
    stage.play(140)
    sound = stage.samples
    assert loudness(sound[BAR - 1000 : BAR]) > 500
    assert loudness(sound[BAR + 441 * 3 :]) < 30
    assert largest_jump(sound[BAR:]) <= largest_jump(sound[:BAR])


def test_no_seam_jumps_more_than_the_music_does() -> None:
    """Cuts at any place between busy pieces make no larger step than their own notes do."""
    one, two = loop_score(1), loop_score(8)
    limit = max(largest_jump(alone(score, 800)) for score in (one, two))
    for at in ("now", "beat", "bar"):
        stage = Stage(one)
        stage.add("b", two)
        stage.play(101)
        stage.do("switch", to="b", at=at)
        stage.play(150)
        assert largest_jump(stage.samples) <= limit


def test_a_minute_of_looping_does_not_drift() -> None:
    """Every pass begins a whole number of loops after the first, to the sample, and the last sounds where it should."""
    stage = Stage(ticks(HIGH))
    stage.play(3600)
    passes = stage.when("loop")
    assert passes == [number * 2 * BAR for number in range(1, len(passes) + 1)]
    assert keeps_time(stage.samples, 0)


def test_a_piece_that_ends_falls_silent_and_says_so() -> None:
    """After its last row a jingle is over."""
    stage = Stage(jingle_score())
    stage.play(240)
    assert stage.when("end") == [192 * FRAME]
    assert not stage.play(30).any()


def test_a_transition_waits_for_its_piece_and_the_music_repeats() -> None:
    """Until the next piece is there the loop goes round; then the change comes at the next place."""
    stage = Stage(melody([60, 64], bars=1))
    stage.play(1)
    stage.do("switch", to="b", at="end")
    stage.play(249)
    assert stage.when("loop") == [BAR, 2 * BAR]
    assert loudness(stage.samples[-5000:]) > 500
    stage.add("b", melody([72], bars=1))
    stage.play(100)
    assert begins(stage, "b") == 3 * BAR


def test_what_is_asked_for_after_a_piece_that_has_not_begun_follows_it() -> None:
    """Play this and, at its end, that: both are heard, in this order."""
    stage = Stage(melody([60], bars=1))
    stage.add("b", melody([72], bars=1))
    stage.do("switch", to="b", at="end")
    stage.play(150)
    assert (begins(stage, "a"), begins(stage, "b")) == (0, BAR)


def test_a_piece_that_grows_plays_what_is_there() -> None:
    """One bar repeats until the second has come; then both are heard."""
    whole = melody([60, 60, 60, 60, 72, 72, 72, 72])
    first = melody([60], bars=1)
    stage = Stage()
    stage.add("a", replace(first, loop=None), complete=False)
    stage.do("switch", to="a", at="now")
    assert pitch_of(stage.play(24)[1500:]) == pytest.approx(60, abs=0.2)
    stage.play(72 + 40)
    stage.add("a", whole)
    stage.play(96 - 40)
    assert pitch_of(stage.play(24)[1500:]) == pytest.approx(72, abs=0.2)


def test_a_piece_that_is_dropped_is_waited_for_no_longer() -> None:
    """A composition that failed leaves the music as it was."""
    stage = Stage(tone(60))
    stage.play(1)
    stage.do("switch", to="b", at="bar")
    stage.do("drop", name="b")
    stage.play(120)
    assert not stage.engine.pending
    assert pitch_of(stage.play(24)[1500:]) == pytest.approx(60, abs=0.1)


# Stingers and effects.


def test_a_stinger_is_in_the_music_s_key_and_tempo_and_the_music_returns_where_it_would_be() -> None:
    """A jingle in C comes in D over music in D, at the music's tempo, and afterwards the music has gone on counting."""
    notes = [62, 62, 66, 69, 62, 66, 69, 74]  # D major
    music = replace(melody(notes, bars=2), provenance={"key": "D major"})
    jingle = replace(melody([72, 72, 72, 72], bars=1, groove=8), loop=None, provenance={"key": "C major"})
    stage = Stage(music)
    stage.add("j", jingle)
    stage.play(30)
    stage.do("stinger", to="j", at="beat")
    stage.play(260)
    start, end = stage.when("stinger")[0], stage.when("stinger end")[0]
    assert start == 2 * BEAT
    assert end == start + BAR  # as long as a bar of the music, though written slower
    assert pitch_of(stage.samples[start + 1500 : start + BEAT]) == pytest.approx(74, abs=0.2)
    assert pitch_of(stage.samples[end + 1500 : end + BEAT]) == pytest.approx(notes[(end // BEAT) % 8], abs=0.2)


def test_an_effect_takes_its_voice_and_the_music_counts_on() -> None:
    """While a tone on the second pulse sounds the music's second pulse does not; afterwards it is where it would have been."""
    effect = sfx.Effect({"pulse": tuple((12, 2, 211) for _ in range(20))}, 50)  # 211: about C5
    notes = [76, 79, 83, 86]
    stage = Stage(melody(notes, voice="P2"))
    stage.play(10)
    stage.do("effect", effect=effect)
    during = stage.play(20)[2000:]
    assert pitch_of(during) == pytest.approx(69 + 12 * np.log2(1_789_773 / 16 / 212 / 440), abs=0.1)
    assert strength(during, pitch_to_hz(notes[0])) < 0.05 * loudness(during)
    stage.play(18)
    assert pitch_of(stage.play(24)[1500:]) == pytest.approx(notes[2], abs=0.15)


def test_the_other_voices_go_on_under_an_effect() -> None:
    """A hit takes noise and triangle; pulse 1 and 2 are as loud as before."""
    stage = Stage(chord())
    before = stage.play(30)[3000:]
    stage.do("effect", effect=sfx.Effect({"triangle": ((15, 0, 900),) * 40}, 50))
    during = stage.play(30)[3000:]
    for voice in ("P1", "P2"):
        assert strength(during, HZ[voice]) == pytest.approx(strength(before, HZ[voice]), rel=0.2)
    assert strength(during, HZ["TR"]) < 0.1 * strength(before, HZ["TR"])


def test_two_effects_share_the_pulses_and_the_third_goes_by_priority() -> None:
    """The first takes pulse 2, the second pulse 1; a third of lower priority is left out, one of higher takes the weakest."""
    stage = Stage(chord())

    def tone_of(priority: int) -> sfx.Effect:
        return sfx.Effect({"pulse": ((9, 2, 300),) * 30}, priority)

    for priority, taken in ((50, ["P2"]), (60, ["P1"]), (40, []), (55, ["P2"])):
        stage.do("effect", effect=tone_of(priority))
        stage.play(1)
        assert [facts["voices"] for _, kind, facts in stage.events if kind == "effect"][-1] == taken


def test_a_muted_voice_still_plays_effects() -> None:
    """Mute is for the music."""
    stage = Stage(chord())
    stage.do("mute", voices=["P1", "P2", "TR", "NO"])
    stage.play(10)
    stage.do("effect", effect=sfx.make("coin", 1))
    assert loudness(stage.play(12)) > 300


# State.

SCRIPT = {
    0: [("add", {"name": "a", "score": loop_score(3)}), ("switch", {"to": "a", "at": "now"})],
    20: [("add", {"name": "b", "score": loop_score(9, bars=2, groove=(7,))}), ("switch", {"to": "b", "at": "bar", "via": "bridge"})],
    40: [("low_pass", {"amount": 0.8}), ("tempo", {"factor": 1.3})],
    90: [("low_pass", {"amount": 0.0}), ("effect", {"effect": sfx.make("explosion", 1)})],
    150: [("add", {"name": "j", "score": jingle_score()}), ("stinger", {"to": "j"})],
    200: [("intensity", {"level": 0.9}), ("transpose", {"semitones": 4})],
    330: [("duck", {"level": 0.2, "seconds": 0.5}), ("switch", {"to": "a", "at": "beat", "via": "fade", "beats": 2})],
    420: [("switch", {"to": "b", "at": "now", "via": "equivalent"})],
    440: [("pause", {})],
    450: [("resume", {})],
}


def play_script(save_at: int | None = None, frames: int = 480) -> np.ndarray:
    stage = Stage()
    for frame in range(frames):
        for action, fields in SCRIPT.get(frame, []):
            stage.do(action, **fields)
        if frame == save_at:
            stage.engine = Engine.from_json(json.loads(json.dumps(stage.engine.to_json())))
        stage.play(1)
    return stage.samples


@pytest.mark.parametrize("frame", [1, 45, 93, 100, 151, 180, 335, 370, 421, 440, 445, 451])
def test_saved_and_restored_the_sound_goes_on_to_the_byte(frame: int, whole_script: np.ndarray) -> None:
    """In the midst of a bridge, fade, stinger, effect, ducking or pause."""
    assert np.array_equal(play_script(frame), whole_script)


@pytest.fixture(scope="module")
def whole_script() -> np.ndarray:
    return play_script()


def test_a_record_is_replayed_to_the_byte(whole_script: np.ndarray) -> None:
    """The commands with their frames, through JSON, give the same samples."""
    session = Session(record=True)
    parts = []
    for frame in range(480):
        session.commands += [{"do": action, **fields} for action, fields in SCRIPT.get(frame, [])]
        parts.append(session.frame().samples)
    assert np.array_equal(np.concatenate(parts), whole_script)
    assert np.array_equal(replay(json.loads(json.dumps(session.record)), 480), whole_script)


@pytest.mark.parametrize("damage", [{"version": 99}, {"player": "?"}, {"deck": {"name": "x"}}, {"registers": ["a"]}])
def test_a_damaged_state_is_refused(damage: dict) -> None:
    """What is no saved state gives one sentence."""
    stage = Stage(loop_score())
    stage.play(3)
    with pytest.raises(ControlError, match=r"begin anew"):
        Engine.from_json({**stage.engine.to_json(), **damage})


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ({"do": "dance"}, "unknown command 'dance'"),
        ({"do": "tempo", "factor": 9}, "tempo factor must be between 0.25 and 4, not 9"),
        ({"do": "tempo", "factor": float("nan")}, "tempo factor must be"),
        ({"do": "transpose", "semitones": 1.5}, "transpose semitones must be a whole number, not 1.5"),
        ({"do": "intensity", "level": "loud"}, "intensity level must be between 0 and 1, not 'loud'"),
        ({"do": "switch", "to": "a", "at": "soon"}, "switch at must be now, beat, bar, phrase or end, not 'soon'"),
        ({"do": "switch", "to": "a", "via": "magic"}, "switch via must be cut, fade, bridge or equivalent"),
        ({"do": "mute", "voices": ["P3"]}, "voices must be some of P1, P2, TR, NO"),
        ({"do": "effect", "effect": {"parts": 3}}, "these values describe no effect"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(command: dict, sentence: str) -> None:
    """Each error names the value and what is allowed."""
    with pytest.raises(ControlError, match=sentence):
        Engine().do(command)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 80), st.sampled_from(sorted(SCRIPT))), max_size=6))
def test_any_order_of_commands_is_survived(order: list[tuple[int, int]]) -> None:
    """Commands at any frame, in any order, never raise and never give samples out of time."""
    stage = Stage(loop_score(2))
    todo = sorted(order)
    for frame in range(90):
        while todo and todo[0][0] == frame:
            for action, fields in SCRIPT[todo.pop(0)[1]]:
                stage.do(action, **fields)
        assert len(stage.play(1)) == FRAME


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_other_rates_keep_their_time(rate: int) -> None:
    """A second has as many samples as the rate says, and the pitch is right."""
    stage = Stage(tone(69), rate)
    sound = stage.play(60)
    assert len(sound) == rate
    assert pitch_of(sound[rate // 10 : rate // 2], rate) == pytest.approx(69, abs=0.15)


def test_the_position_knows_bar_beat_and_chord() -> None:
    """In the third beat of the second bar, over a fifth of A and E with B in the bass."""
    stage = Stage(chord())
    stage.play(96 + 50)
    position = stage.engine.position()
    assert (position.bar, position.beat, position.row) == (1, 2, 16 + 8)
    assert position.sample == 146 * FRAME
    assert PITCHES["P2"] % 12 in stage.engine.pitch_classes()
    assert position.chord == "E"


def test_a_frame_says_the_pitches_of_its_voices() -> None:
    """For displays: pitches as MIDI numbers, None for silence."""
    stage = Stage(chord())
    stage.do("mute", voices=["P2"])
    first, second, low = stage.engine.step().pitches
    assert (round(first), second, round(low)) == (69, None, 47)
