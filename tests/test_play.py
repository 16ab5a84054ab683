"""What a game calls: pieces, sections, events, saved games, and bad luck of every kind."""

from __future__ import annotations

import logging
import sys
import threading
import time
from dataclasses import replace

import compiled_apu
import numpy as np
import pytest
from ear import loudness, pitch_of
from pieces import loop_score
from tones import melody, tone

from nesasset import sfx
from nesasset.apu import extension
from nesasset.compose.controls import Controls
from nesasset.errors import ControlError, UnknownThemeError
from nesasset.formats import score_json
from nesasset.play import Music, MusicState, replay
from nesasset.play.ring import Ring
from nesasset.play.worker import Answer
from nesasset.score import HOLD, REST, Score
from nesasset.testing import SilentMusic, round_for

FRAME = 735


class Later:
    """A composer that answers when it is told to."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.orders: list[dict] = []

    def order(self, order) -> None:
        """Remember an order."""
        if "theme" in order:
            self.orders.append(dict(order))

    def close(self) -> None:
        """Do nothing."""

    def deliver(self, number: int, score: Score | None = None, complete: bool = True) -> None:
        """Answer an order."""
        order = self.orders[number]
        answer: Answer = {"name": order["name"], "score": score or round_for(order["theme"], order["seed"]), "complete": complete}
        self.answer(answer)


def music_with_later(**settings) -> tuple[SilentMusic, Later]:
    made = []

    def maker(answer):
        made.append(Later(answer))
        return made[0]

    return SilentMusic(composer=maker, **settings), made[0]


def names(music: SilentMusic, kind: str = "begin") -> list[str]:
    return [event.facts["name"] for event in music.heard_events(kind)]


# Pieces.


def test_a_theme_is_played_and_the_position_says_so() -> None:
    """Two seconds into a castle theme."""
    music = SilentMusic()
    music.play("castle", seed=3)
    music.advance(2)
    assert (music.position.theme, music.is_playing) == ("castle", True)
    assert loudness(music.samples) > 300


def test_a_score_and_a_file_are_played(tmp_path) -> None:
    """A score object and its JSON file sound alike."""
    score = melody([60, 64, 67])
    score_json.save(score, tmp_path / "a.json")
    one, two = SilentMusic(), SilentMusic()
    one.play(score)
    two.play(tmp_path / "a.json")
    assert np.array_equal(one.advance(2), two.advance(2))


def test_a_piece_that_has_been_prepared_is_not_composed_again() -> None:
    """The composer gets one order for the same wish, and another for another."""
    music, composer = music_with_later()
    music.prepare("cave", 4, controls=Controls(bars=2))
    music.to("cave", 4, controls={"bars": 2})
    music.to("cave", 5)
    assert [(order["theme"], order["seed"], order["controls"]) for order in composer.orders] == [("cave", 4, {"bars": 2}), ("cave", 5, {})]


def test_the_first_bar_is_enough_to_begin() -> None:
    """With one bar delivered the music plays and repeats it; the rest is heard once it is there."""
    music, composer = music_with_later()
    music.play("cave")
    assert not music.advance(0.5).any()
    whole = melody([60, 60, 60, 60, 72, 72, 72, 72])
    composer.deliver(0, replace(melody([60], bars=1), loop=None), complete=False)
    assert loudness(music.advance(3)) > 300
    assert music.position.pass_rows == 16
    composer.deliver(0, whole)
    music.advance(2)
    assert music.position.pass_rows == 32


def test_until_the_next_section_is_there_the_current_one_repeats() -> None:
    """Never silence: the loop goes round three times, then the section that came late follows at its end."""
    music, composer = music_with_later()
    music.play("cave", evolve=True)
    composer.deliver(0, melody([60, 64], bars=1))
    music.advance(4.0)
    assert len(music.heard_events("loop")) == 2
    assert min(loudness(music.samples[at : at + 4000]) for at in range(2000, len(music.samples) - 4000, 4000)) > 300
    composer.deliver(1, melody([72, 67], bars=1))
    music.advance(2.0)
    first, second = music.heard_events("begin")
    assert (second.position.sample - first.position.sample) % (96 * FRAME) == 0
    assert len(composer.orders) == 3  # and the one after that is on order


def test_the_next_section_is_of_the_same_theme_and_of_the_intensity_that_plays() -> None:
    """It has another seed and is told how much is going on."""
    music, composer = music_with_later()
    music.play("cave", seed=9)
    composer.deliver(0)
    music.intensity(0.82)
    music.advance(0.1)
    music.next_section()
    assert composer.orders[1]["theme"] == "cave"
    assert composer.orders[1]["seed"] != 9
    assert composer.orders[1]["controls"] == {"intensity": 0.8}


def test_the_next_section_is_that_of_the_piece_on_its_way() -> None:
    """Asked for while a bridge plays, and after a saved game was taken up."""
    music, composer = music_with_later()
    music.play(tone(60))
    music.to("cave", 3, via="bridge")
    composer.deliver(0)
    music.advance(1.8)
    music.next_section()
    other, second = music_with_later()
    other.restore(music.save())
    other.next_section(seed=5)
    assert [order["theme"] for order in composer.orders] == ["cave", "cave"]
    assert [(order["theme"], order["seed"]) for order in second.orders][-1] == ("cave", 5)


def test_a_jingle_waits_until_it_is_whole() -> None:
    """Half a fanfare would be repeated: it begins when all of it is there, and then ends."""
    music, composer = music_with_later()
    music.play("victory")
    composer.deliver(0, replace(round_for("victory"), loop=None), complete=False)
    assert not music.advance(0.5).any()
    composer.deliver(0)
    music.advance(0.2)
    assert names(music) == ["victory 0"]
    music.advance(8)
    assert names(music, "end") == ["victory 0"]


def test_solo_and_mute_of_single_voices() -> None:
    """Alone means the others are silent; a muted voice stays so when the solo ends."""
    music = SilentMusic()
    music.play("town")
    music.advance(0.2)
    for call, silent in ((lambda: music.mute("NO"), {"NO"}), (lambda: music.solo("TR"), {"P1", "P2", "NO"}), (lambda: music.solo("TR", alone=False), {"NO"})):
        call()
        music.advance(0.05)
        assert music._session.engine.muted == silent
    music.solo("P1")
    music.advance(0.1)
    assert all(sound[0] == 0 for sound in music.frame.sounds[1:])


def test_a_tuned_effect_has_the_chord_that_plays() -> None:
    """Over a C major round the coin is of C, E and G."""
    music = SilentMusic(record=True)
    music.play(melody([60, 64, 67, 72]))
    music.advance(0.5)
    music.effect("coin", seed=5, tuned=True)
    music.advance(0.1)
    assert music.record[-1][1]["effect"] == sfx.make("coin", 5, (0, 4, 7)).to_json()


# Events.


def test_events_come_when_they_are_heard_and_carry_their_place() -> None:
    """Four beats a bar, a loop at the end, in order, each with its sample."""
    music, heard = SilentMusic(), []
    music.on("beat", heard.append)
    music.on("loop", heard.append)
    music.play(tone(60, bars=1))
    music.advance(1.7)
    assert [(event.kind, event.position.sample // FRAME) for event in heard] == [
        ("beat", 0),
        ("beat", 24),
        ("beat", 48),
        ("beat", 72),
        ("loop", 96),
        ("beat", 96),
    ]


def test_an_unknown_event_is_refused() -> None:
    """A slip in the name of an event is told at once."""
    with pytest.raises(ControlError, match=r"unknown event 'beats', did you mean beat"):
        SilentMusic().on("beats", print)


# Saving and replaying.


def play_a_while(music: SilentMusic) -> None:
    music.play("castle", 1)
    music.advance(1.3)
    music.to("boss", 2, at="bar", via="bridge")
    music.low_pass(0.5)
    music.advance(2)
    music.effect("explosion", 3)
    music.tempo(1.2)
    music.stinger("victory")


def test_a_saved_game_goes_on_to_the_byte() -> None:
    """Restored in a new object, the next ten seconds are the same."""
    one, two = SilentMusic(), SilentMusic()
    play_a_while(one)
    saved = one.save()  # with commands that wait
    two.restore(saved)
    assert np.array_equal(one.advance(10), two.advance(10))
    assert len(saved) < 50_000


def test_a_saved_game_orders_what_was_not_there_yet() -> None:
    """A piece that was being composed is composed anew after the load, and heard."""
    one, _ = music_with_later()
    one.play("cave", seed=3)
    one.advance(0.1)
    two, composer = music_with_later()
    two.restore(one.save())
    assert [(order["theme"], order["seed"]) for order in composer.orders] == [("cave", 3)]
    composer.deliver(0)
    assert loudness(two.advance(1)) > 300


@pytest.mark.parametrize("data", [b"", b"nonsense", None, 3, SilentMusic().save()[:-4]])
def test_a_damaged_saved_game_is_refused(data) -> None:
    """What is no saved game is one sentence, and the music goes on."""
    music = SilentMusic()
    music.play(tone(60))
    music.advance(0.2)
    with pytest.raises(ControlError):
        music.restore(data)
    assert loudness(music.advance(0.5)) > 300


def test_a_saved_game_of_another_rate_is_refused() -> None:
    """Samples of 48 kHz cannot go on at 44.1."""
    with pytest.raises(ControlError, match=r"saved at 48000 Hz, and the mixer runs at 44100 Hz"):
        SilentMusic().restore(SilentMusic(48_000).save())


def test_a_session_is_replayed_from_its_record_to_the_byte() -> None:
    """With pieces that came at odd times the record gives the same samples."""
    music, composer = music_with_later(record=True)
    music.play("cave", evolve=True)
    music.advance(0.3)
    composer.deliver(0)
    music.advance(3)
    music.transpose(2)
    music.intensity(0.4)
    composer.deliver(1)
    music.advance(9)
    assert np.array_equal(replay(music.record, len(music.samples) // FRAME), music.samples)


# Bad input and bad luck.


def test_without_strictness_a_wrong_call_is_one_warning_and_the_music_goes_on(caplog) -> None:
    """A theme that does not exist, a tempo out of range, a voice, a place, an effect and a file that are none."""
    music = SilentMusic(strict=False)
    music.play(tone(60))
    music.advance(0.2)
    with caplog.at_level(logging.WARNING, "nesasset.play"):
        for _ in range(3):
            music.to("castel")
            music.tempo(99)
            music.mute("P9")
            music.to("cave", at="soon")
            music.effect("coinz")
            music.play("no-such-file.json")
            music.to("cave", seed="seven")
            music.to("cave", controls={"bras": 3})
            music.next_section()
            music.restore(b"?")
            music.on("beats", print)
    assert len(caplog.records) == 11
    assert loudness(music.advance(1)) > 300


def test_with_strictness_the_same_calls_raise() -> None:
    """For a game's own tests."""
    with pytest.raises(UnknownThemeError, match=r"did you mean castle"):
        SilentMusic().to("castel")


def test_a_composer_that_fails_leaves_the_music_as_it_is(caplog) -> None:
    """The transition is given up with one warning."""
    music, composer = music_with_later(strict=False)
    music.play(tone(60))
    music.to("cave")
    composer.answer({"name": composer.orders[0]["name"], "error": "the cave has fallen in"})
    assert pitch_of(music.advance(2)[4000:20000]) == pytest.approx(60, abs=0.1)
    assert "the cave has fallen in" in caplog.text


def test_a_score_that_cannot_be_played_ends_in_silence_with_one_warning(caplog) -> None:
    """A score whose insides were changed behind its back stops the music, and nothing else."""
    music = SilentMusic(strict=False)
    broken = tone(60)
    object.__setattr__(broken, "instruments", ())
    music.play(broken)
    music.advance(1)
    assert [record.message for record in caplog.records if "the music stops" in record.message]
    music.play(tone(72))
    assert loudness(music.advance(0.5)) > 300


def test_a_score_of_nothing_but_silence_is_played() -> None:
    """No note, no key, no chord: no error."""
    silent = Score(dict.fromkeys(("P1", "P2", "TR", "NO"), (REST, HOLD)), (), loop=(0, 2))
    music = SilentMusic()
    music.play(silent)
    music.to(loop_score(), via="bridge")
    music.advance(3)
    assert names(music)[-1].startswith("score 2")


def test_listeners_may_call_the_music() -> None:
    """A listener that asks for more is no trouble."""
    music = SilentMusic()
    music.on("loop", lambda event: music.to("cave", event.facts["loops"]))
    music.play(tone(60, bars=1))
    music.advance(4)
    assert "cave 1" in names(music)


def test_commands_from_many_threads_are_all_obeyed() -> None:
    """Four threads at once: every command stands in the record."""
    music = SilentMusic(record=True)
    music.play(tone(60))
    threads = [threading.Thread(target=lambda: [music.tempo(1.0) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        music.advance(frames=1)
    for thread in threads:
        thread.join()
    music.advance(frames=1)
    assert sum(entry[1]["do"] == "tempo" for entry in music.record) == 400


def test_hours_of_play_keep_nothing() -> None:
    """After many sections the engine holds no more scores, orders and events than a handful."""
    music = SilentMusic(keep=False)
    for seed in range(120):
        music.to("cave", seed, at="now")
        music.advance(frames=2)
    assert len(music._session.engine.scores) <= 16
    assert len(music._orders) <= 64


# Without pygame: the puller.


def test_a_puller_gets_the_engine_s_samples_without_a_gap() -> None:
    """Pulled in odd pieces from another library's callback, it is the replay of the record, to the byte."""
    with Music(output="pull", record=True, composer=Later) as music:
        music.play(loop_score(2))
        until = time.monotonic() + 20
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < 60_000 and time.monotonic() < until:
            if music.output.ring.fill >= 777:
                parts.append(music.pull(777))
            else:
                time.sleep(0.002)
        sound = np.concatenate(parts)
        record = music.record
    assert len(sound) >= 60_000
    assert np.array_equal(sound, replay(record, 100)[: len(sound)])


def test_pulling_never_waits() -> None:
    """Asked for more than there is, it gives silence at once, and counts it."""
    with Music(output="pull", composer=Later) as music:
        music.play(loop_score(2))
        while not music.output.ring.fill:
            time.sleep(0.002)
        music.pull(100)
        began = time.perf_counter()
        samples = music.pull(60_000)
        assert time.perf_counter() - began < 0.5
        assert len(samples) == 60_000
        assert music.statistics.underruns == 1


def test_a_frame_is_made_and_played_without_letting_go_of_the_interpreter(tmp_path, monkeypatch) -> None:
    """A busy thread, which would keep it for as long as it may, never gets a turn while frames go through the ring."""
    compiled = compiled_apu.build(tmp_path)
    if compiled is None:
        pytest.skip("no C compiler, or no headers of Python")
    monkeypatch.setattr(extension, "fast", lambda: compiled)
    music, ring, turns, go, done = SilentMusic(keep=False), Ring(10_000), [0], threading.Event(), threading.Event()

    def spin() -> None:
        go.wait()
        while not done.is_set():
            turns[0] += 1

    music.play("castle")
    music.advance(0.5)
    before = sys.getswitchinterval()
    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        sys.setswitchinterval(5.0)  # nobody is made to let go, but whoever does will not be back soon
        go.set()
        made = 0
        while not turns[0] and made < 300:
            ring.write(music.step())
            ring.read(FRAME)
            made += 1
    finally:
        sys.setswitchinterval(before)
        done.set()
        thread.join()
    assert made == 300


# States.


class Calls:
    """Keeps what a table calls."""

    def __init__(self) -> None:
        self.made: list[tuple] = []

    def __getattr__(self, name: str):
        return lambda *arguments, **named: self.made.append((name, *arguments, *sorted(named.items())))

    def take(self) -> list[tuple]:
        """Return what has been called since the last time."""
        made, self.made = self.made, []
        return made


TABLE = [
    {"play": "overworld", "seed": 1},
    {"when": {"level": "cave"}, "play": "cave", "seed": 3, "via": "bridge"},
    {"when": {"level": ["castle", "boss"]}, "play": "castle", "at": "beat"},
    {"intensity": "danger"},
    {"when": {"health": "<0.3"}, "tempo": 1.15},
    {"when": {"underwater": True}, "low_pass": 0.8, "mute": ["NO"]},
    {"when": {"won": True}, "stinger": "victory"},
]


def test_a_table_plays_what_the_game_s_state_says() -> None:
    """The first piece at once, the next by its row's way, and each only when it changes."""
    calls = Calls()
    states = MusicState(calls, TABLE)
    states.update(level="meadow", danger=0.2)
    assert calls.take() == [("to", "overworld", ("at", "now"), ("seed", 1)), ("intensity", 0.2)]
    states.update(danger=0.2)
    assert calls.take() == []
    states.update(level="cave")
    assert calls.take() == [("to", "cave", ("seed", 3), ("via", "bridge"))]
    states.update(level="boss")
    assert calls.take() == [("to", "castle", ("at", "beat"))]


def test_what_no_row_says_any_more_goes_back() -> None:
    """Low health is quicker, health restored is not; out of the water the sound is clear."""
    calls = Calls()
    states = MusicState(calls, TABLE[4:6])
    states.update(health=0.2, underwater=True)
    assert set(calls.take()) == {("tempo", 1.15), ("low_pass", 0.8), *(("mute", voice, voice == "NO") for voice in ("P1", "P2", "TR", "NO"))}
    states.update(health=0.9, underwater=False)
    assert {("tempo", 1.0), ("low_pass", 0.0), ("mute", "NO", False)} <= set(calls.take())


def test_a_stinger_is_played_once_each_time_its_row_begins_to_hold() -> None:
    """Won is won once, until it is not and is again."""
    calls = Calls()
    states = MusicState(calls, TABLE[6:])
    for won in (True, True, False, True):
        states.update(won=won)
    assert calls.take() == [("stinger", "victory")] * 2


def test_where_no_row_plays_the_music_stops() -> None:
    """A menu without music: it fades at the bar."""
    calls = Calls()
    states = MusicState(calls, TABLE[1:2])
    states.update(level="cave")
    states.update(level="menu")
    assert calls.take()[1:] == [("stop", ("at", "bar"), ("beats", 2))]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"plya": "cave"}, r"row 1 of the table says 'plya', which no row can say, did you mean play"),
        ({"play": "cave", "at": "soon"}, r"row 1 of the table: at must be one of now, beat"),
        ({"when": "level"}, r"row 1 of the table: when must be a mapping"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(row: dict, sentence: str) -> None:
    """When it is made, not in the midst of a game."""
    with pytest.raises(ControlError, match=sentence):
        MusicState(Calls(), [row])
