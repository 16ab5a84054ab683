"""`nesasset play` and `nesasset sfx`: keys, MIDI messages, files, and what is refused."""

from __future__ import annotations

import json

import pytest
import soundfile
from ear import loudness
from tones import chord, melody

from nesasset.errors import ControlError
from nesasset.formats import score_json
from nesasset.play import midi_out
from nesasset.play.jukebox import KEYS, Jukebox, parse_script
from nesasset.play.midi_out import MidiNotes
from nesasset.sfx import CLASSES, Effect
from nesasset.testing import SilentMusic
from nesasset.units import VOICES


@pytest.fixture
def box(tmp_path) -> Jukebox:
    music = SilentMusic()
    made = Jukebox(music, "cave", 3, folder=tmp_path)
    music.play("cave", 3)
    music.advance(0.5)
    return made


def test_every_key_can_be_pressed_at_any_time(box: Jukebox) -> None:
    """None of them fails, twice over, and all but q leave the music running."""
    for key in [*KEYS, *KEYS]:
        box.press(key)
        box.music.advance(0.2)
        assert box.line()
    box.press("no such key")
    assert not box.running


def test_keys_do_what_they_say(box: Jukebox) -> None:
    """The next seed at the next bar, faster, higher, without drums."""
    for key in "n+>4":
        box.press(key)
    box.music.advance(3)
    place = box.music.position
    assert place.playing == "cave 4"
    assert place.tempo_bpm == pytest.approx(900 / 7 * 1.05, rel=0.01)
    assert box.music.frame.sounds[VOICES.index("NO")][0] == 0
    assert (box.semitones, box.seed) == (1, 4)


def test_a_kept_score_is_the_one_that_plays(box: Jukebox) -> None:
    """Saved under theme and seed, and under another name the second time."""
    first, second = box.keep(), box.keep()
    assert (first.name, second.name) == ("cave-3.json", "cave-3-2.json")
    assert score_json.load(first) == box.music.score()


def test_keeping_into_nowhere_is_one_sentence(box: Jukebox, tmp_path) -> None:
    """A folder that is not there does not end the music."""
    box.folder = tmp_path / "none"
    assert box.keep() is None
    assert "its folder does not exist" in box.line()


def test_headless_play_obeys_its_script_and_saves_what_would_be_heard(run, tmp_path) -> None:
    """A score file for three seconds, paused in the second one."""
    score_json.save(melody([60, 64, 67]), tmp_path / "a.json")
    wave = tmp_path / "heard.wav"
    code, out, err = run("play", str(tmp_path / "a.json"), "--headless", "3", "--script", "1:space 2:space", "-o", str(wave), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["seconds"] == 3.0
    samples, rate = soundfile.read(wave, dtype="int16")
    assert loudness(samples[: rate - 2000]) > 300
    assert not samples[rate + 2000 : 2 * rate].any()
    assert loudness(samples[2 * rate + 2000 :]) > 300


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("play", "castel", "--headless", "1"), "unknown theme 'castel', did you mean castle"),
        (("play", "cave", "--script", "1:n"), "--script and -o belong to --headless"),
        (("play", "cave", "--headless", "0"), "--headless must be above 0"),
        (("play", "cave", "--headless", "1", "--script", "1:?"), "unknown key '?' in the script"),
        (("play", "cave", "--headless", "1", "-o", "a.ogg"), "saved as FILE.wav"),
        (("play", "cave", "--headless", "1", "--tempo", "9"), "tempo factor must be between 0.25 and 4"),
        (("play", "cave", "--headless", "1", "--buffer", "5"), "--buffer must be between 20 and 1000"),
        (("sfx",), "a CLASS is needed"),
        (("sfx", "coin"), "-o FILE is needed"),
        (("sfx", "coyn", "-o", "a.wav"), "unknown class of effect 'coyn', did you mean coin"),
        (("sfx", "coin", "-o", "a.mp3"), "the suffix of 'a.mp3' must be one of"),
        (("sfx", "coin", "--chord", "H", "-o", "a.wav"), "a chord must be a name such as"),
        (("sfx", "coin", "--rate", "9", "-o", "a.vgm"), "--rate is for sound"),
    ],
)
def test_wrong_usage_has_exit_code_two_and_one_sentence(run, arguments: tuple[str, ...], sentence: str) -> None:
    """Nothing is played and nothing is written."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


def test_a_file_that_is_no_score_is_refused(run, tmp_path) -> None:
    """Exit code 1 and one sentence."""
    (tmp_path / "a.json").write_text("{}")
    code, _, err = run("play", str(tmp_path / "a.json"), "--headless", "1")
    assert code == 1
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("suffix", ["wav", "ogg", "flac", "nsf", "vgm", "vgz", "log", "json"])
def test_an_effect_is_saved_in_every_format(run, tmp_path, suffix: str) -> None:
    """The same command twice gives the same bytes."""
    one, two = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    for path in (one, two):
        code, _, err = run("sfx", "explosion", "--seed", "4", "-o", str(path))
        assert (code, err) == (0, "")
    assert one.read_bytes() == two.read_bytes()
    if suffix == "json":
        assert Effect.from_json(json.loads(one.read_text())).name == "explosion"


def test_the_list_of_effects(run) -> None:
    """All classes, for people and for programs."""
    code, out, _ = run("sfx", "--list")
    assert code == 0
    assert all(f"\n{name} " in out for name in CLASSES)
    assert set(json.loads(run("sfx", "--list", "--json")[1])) == set(CLASSES)


# MIDI.


def test_notes_are_sent_as_they_begin_and_end() -> None:
    """Two bars of a chord: each tone is on and off in turn, on its own channel, and nothing hangs at the end."""
    music, notes, sent = SilentMusic(), MidiNotes(), []
    music.play(chord())
    for frame in range(192):
        music.advance(frames=1)
        sent += [(frame, *message) for message in notes.messages(music.frame.sounds)]
    begun = [(frame, status & 0x0F, key) for frame, status, key, _ in sent if status & 0xF0 == midi_out.NOTE_ON]
    assert {(channel, key) for _, channel, key in begun} == {(0, 69), (1, 76), (2, 47), (9, 44)}
    assert [frame for frame, channel, _ in begun if channel == 9] == list(range(0, 192, 24))
    held = set()
    for _, status, key, _ in [*sent, *((0, *message) for message in notes.off())]:
        if status & 0xF0 == midi_out.NOTE_ON:
            assert (status & 0x0F, key) not in held
            held.add((status & 0x0F, key))
        elif status & 0xF0 == midi_out.NOTE_OFF:
            held.remove((status & 0x0F, key))
    assert not held


def test_a_port_that_is_not_there_is_named(monkeypatch) -> None:
    """The sentence lists the ports that are."""
    monkeypatch.setattr(midi_out, "_open_mido", lambda name: midi_out._chosen(name, ["Synth 1", "Loop"]))
    assert midi_out.open_port("synth") == "Synth 1"
    with pytest.raises(ControlError, match=r"no MIDI port 'list'; ports: Synth 1, Loop"):
        midi_out.open_port("list")


def test_a_script_is_times_and_keys() -> None:
    """In order of time; space has a name."""
    assert parse_script("4:+ 2:n 3.5:space") == [(2.0, "n"), (3.5, " "), (4.0, "+")]
    with pytest.raises(ControlError, match=r"a script is made of SECONDS:KEY"):
        parse_script("n")
