"""Every engine's files, read back by something that is not ours wherever it exists: each loops where the score does."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pieces
import pytest
import soundfile

from nesasset.build import builder, engines, plan, project, studio
from nesasset.build.builder import Settings
from nesasset.build.cache import Cache
from nesasset.build.engines import BUILT_IN, Engine, identifier, seconds
from nesasset.build.glue import godot
from nesasset.build.outro import outro
from nesasset.certificate import certify
from nesasset.compose.controls import Controls
from nesasset.driver import drive
from nesasset.errors import QualityError
from nesasset.formats import ogg, score_json, wav
from nesasset.render import render
from nesasset.themes import theme as find_theme

TRACKS = """
schema = 1
[pack]
name = "A \\"game\\" of */ tests"
[defaults]
bars = 2
[track.old-cave]
theme = "cave"
intro = 1
[track.boss]
theme = "boss"
seed = 4
[track.victory]
theme = "victory"
"""
RATE = 44_100
PASSES = 3


def compose(theme: str, seed: int, controls: Controls):
    """Stand in for the composer: a piece that obeys bars, intro and tempo."""
    if not find_theme(theme).loops:
        return pieces.jingle_score(seed, theme)
    return pieces.loop_score(seed, controls.bars or 2, controls.intro_bars or 0, (3,), theme)


def build(folder: Path, text: str, cache: Path | None = None) -> builder.Result:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nesasset.toml").write_text(text, encoding="utf-8")
    make = partial(studio.make, compose=compose)
    return builder.build(project.load(folder / "nesasset.toml"), Settings(make=make, cache=Cache(cache) if cache else None))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache-of-engines")


@pytest.fixture(scope="module")
def game(tmp_path_factory, cache: Path) -> Path:
    """A game that is made with all engines at once."""
    folder = tmp_path_factory.mktemp("game")
    build(folder, TRACKS + "".join(f"[export.{name}]\ndir = 'out/{name}'\n" for name in BUILT_IN), cache)
    return folder / "out"


def expected(name: str = "old-cave"):
    """Return a track's sound, as the synth plays its score."""
    score = {"old-cave": lambda: pieces.loop_score(0, 2, 1, (3,), "cave"), "boss": lambda: pieces.loop_score(4, 2, 0, (3,), "boss"), "victory": lambda: pieces.jingle_score(0)}[name]()
    return render(drive(score))


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0]


def rounds(sound: np.ndarray, loop: tuple[int, int], count: int) -> np.ndarray:
    start, length = loop
    return np.concatenate([sound[:start], *[sound[start : start + length]] * count])


# The table.


def test_every_engine_has_its_sound(game: Path) -> None:
    """Each engine's folder has a file for each track, or one for all."""
    for name, row in BUILT_IN.items():
        found = {path.stem for path in (game / name).rglob(f"*.{row.carriers[0]}")}
        names = {row.stem(track) for track in ("old-cave", "boss", "victory")}
        assert found >= ({"music"} if row.sprite else {f"{stem}_loop" if row.split and stem != "victory" else stem for stem in names}), name


def test_a_second_build_finds_every_engine_as_it_should_be(game: Path) -> None:
    """Nothing that was made for any engine is stale right after."""
    assert plan.make(project.load(game.parent / "nesasset.toml")).reasons == []


@pytest.mark.parametrize(("samples_", "rate"), [(0, 44_100), (1, 44_100), (735, 44_100), (705_599, 44_100), (123_456_789, 48_000), (7, 48_000)])
def test_seconds_hit_the_sample_whether_truncated_or_rounded(samples_: int, rate: int) -> None:
    """An engine that truncates and one that rounds find the same sample."""
    value = float(seconds(samples_, rate, "inside"))
    assert int(value * rate) == round(value * rate) == samples_


@pytest.mark.parametrize("word", ["1up", "a-b", "boss", "3-d_x"])
def test_ids_become_names(word: str) -> None:
    """Every id becomes a name that Python, and so all the others, accepts."""
    assert identifier(word).isidentifier()


# Tags: RPG Maker, pygame and everything on SDL_mixer.


def test_pymusiclooper_reads_the_tags(game: Path) -> None:
    """A program that plays loops by their tags finds ours."""
    looper = pytest.importorskip("pymusiclooper.core", reason="pymusiclooper is not installed")
    start, length = expected().loop
    found = looper.MusicLooper(str(game / "plain/old-cave.ogg")).read_tags("LOOPSTART", "LOOPLENGTH")
    assert tuple(map(int, found)) == (start, start + length)


def rpg_maker_reads(data: bytes) -> dict[str, int]:
    """Imitate the engine: from each LOOP to the next zero byte is text, and digits after the name are the number."""
    found = {}
    for match in re.finditer(rb"LOOP[^\0]*", data[:8192]):
        for name, digits in re.findall(rb"(LOOPSTART|LOOPLENGTH)=([0-9]+)", match[0]):
            found[name.decode()] = int(digits)
    return found


def test_rpg_maker_reads_the_loop(game: Path) -> None:
    """By the engine's own rule; jingles lie with the music effects and have no loop."""
    start, length = expected().loop
    assert rpg_maker_reads((game / "rpgmaker/bgm/old-cave.ogg").read_bytes()) == {"LOOPSTART": start, "LOOPLENGTH": length}
    assert rpg_maker_reads((game / "rpgmaker/me/victory.ogg").read_bytes()) == {}


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_ffprobe_reads_the_tags(game: Path) -> None:
    """Another reader finds the loop, the title, and that a model made the music."""
    done = subprocess.run(["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(game / "plain/old-cave.ogg")], capture_output=True, check=True)
    (stream,) = json.loads(done.stdout)["streams"]
    tags = {name.upper(): value for name, value in stream["tags"].items()}
    start, length = expected().loop
    assert (tags["LOOPSTART"], tags["LOOPLENGTH"], tags["TITLE"]) == (str(start), str(length), "old-cave")
    assert tags["COMMENT"].startswith("AI-generated")
    assert int(stream["sample_rate"]) == RATE


SDL = """
import sys, time
import pygame
pygame.mixer.init(44100, -16, 2, 1024, allowedchanges=0)
pygame.mixer.music.load(sys.argv[1])
pygame.mixer.music.play(-1 if sys.argv[2] == "loop" else 0)
wanted, begun = int(sys.argv[3]), time.time()
import os
while os.path.getsize(os.environ["SDL_DISKAUDIOFILE"]) < 4 * wanted and time.time() - begun < 60:
    time.sleep(0.05)
pygame.quit()
"""


def played_by_sdl(path: Path, mode: str, wanted: int, folder: Path) -> np.ndarray:
    """Return what SDL_mixer plays, on its left channel, from the first sample that sounds."""
    if importlib.util.find_spec("pygame") is None:
        pytest.skip("pygame is not installed")
    raw = folder / "captured.raw"
    more = {"SDL_AUDIODRIVER": "disk", "SDL_DISKAUDIOFILE": str(raw), "SDL_DISKAUDIODELAY": "1", "SDL_VIDEODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    done = subprocess.run([sys.executable, "-c", SDL, str(path), mode, str(wanted + 20_000)], capture_output=True, text=True, env=os.environ | more, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return np.frombuffer(raw.read_bytes(), dtype="<i2")[::2].astype(np.int64)


def aligned(captured: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Return the part of what was captured that begins where the sound begins."""
    probe = sound[:4000].astype(np.float64)
    window = captured[:40_000].astype(np.float64)
    at = int(np.argmax(np.correlate(window, probe, "valid")))
    return captured[at : at + len(sound)]


@pytest.mark.parametrize("format_", ["ogg", "wav", "flac"])
def test_sdl_mixer_plays_intro_and_loop_three_times(tmp_path: Path, cache: Path, game: Path, format_: str) -> None:
    """What SDL_mixer gives out is the intro and then the loop three times, sample for sample but for its gain of 127/128."""
    folder = game / "pygame"
    if format_ != "ogg":
        build(tmp_path / "other", TRACKS + f"[export.pygame]\ndir = 'music'\nformat = '{format_}'\n", cache)
        folder = tmp_path / "other/music"
    path = folder / f"old_cave.{format_}"
    sound, audio = samples(path), expected()
    if format_ != "ogg":
        assert np.array_equal(sound, audio.samples)
    assert len(sound) == len(audio.samples)
    wanted = rounds(sound, audio.loop, PASSES).astype(np.int64)
    found = aligned(played_by_sdl(path, "loop", len(wanted), tmp_path), wanted)
    assert np.abs(found - wanted * 127 / 128).max() <= 2


def test_sdl_mixer_plays_a_jingle_once(game: Path, tmp_path: Path) -> None:
    """After a jingle comes silence."""
    sound = samples(game / "pygame/victory.ogg")
    found = played_by_sdl(game / "pygame/victory.ogg", "once", len(sound), tmp_path)
    last = int(np.flatnonzero(np.abs(found) > 50)[-1])
    assert last < len(sound) + 10_000


def test_the_pygame_module_names_every_track(game: Path) -> None:
    """The module is Python, has types, and its numbers are the sound's."""
    text = (game / "pygame/nesasset_music.py").read_text(encoding="utf-8")
    ast.parse(text)
    scope: dict = {"__file__": str(game / "pygame/nesasset_music.py"), "__name__": "nesasset_music"}
    sys.modules["nesasset_music"] = type(sys)("nesasset_music")
    try:
        exec(compile(text, "nesasset_music.py", "exec"), scope)
    finally:
        del sys.modules["nesasset_music"]
    assert (scope["OLD_CAVE"].loop, scope["OLD_CAVE"].samples) == (expected().loop, len(expected().samples))
    assert scope["VICTORY"].loop is None
    assert [track.path.exists() for track in scope["ALL"]] == [True] * 3


# Godot.


def params(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.partition("[params]")[2].splitlines() if "=" in line)


def test_godot_truncates_to_the_loops_first_sample(game: Path) -> None:
    """The import settings hold the loop; the file ends where the loop ends."""
    found = params((game / "godot/old_cave.ogg.import").read_text())
    start, length = expected().loop
    assert found["loop"] == "true"
    assert int(float(found["loop_offset"]) * RATE) == start
    assert len(samples(game / "godot/old_cave.ogg")) == start + length
    assert params((game / "godot/victory.ogg.import").read_text())["loop"] == "false"
    assert float(found["bpm"]) == pytest.approx(300)


def test_what_the_editor_wrote_is_kept(game: Path, tmp_path: Path) -> None:
    """An import file with a uid keeps everything but the keys of the loop, and then counts as it should be."""
    path = tmp_path / "a.ogg.import"
    editors = '[remap]\n\nimporter="oggvorbisstr"\nuid="uid://abc"\n\n[deps]\n\nsource_file="res://a.ogg"\n\n[params]\n\nloop=false\nloop_offset=0\nbpm=0\nbeat_count=8\n'
    path.write_text(editors)
    wanted = (game / "godot/old_cave.ogg.import").read_text()
    merged = godot.merged(path, wanted)
    assert 'uid="uid://abc"' in merged
    assert {key: params(merged)[key] for key in params(wanted)} == params(wanted)
    assert godot.owned(merged) == godot.owned(wanted)
    path.write_text(merged)
    assert godot.merged(path, wanted) == merged


def test_the_script_names_files_that_are_there(game: Path) -> None:
    """Every preload of the script is a file beside it."""
    text = (game / "godot/nesasset_music.gd").read_text(encoding="utf-8")
    found = re.findall(r'preload\("([^"]+)"\)', text)
    assert sorted(found) == ["boss.ogg", "old_cave.ogg", "victory.ogg"]
    assert all((game / "godot" / name).exists() for name in found)


# Split files.


@pytest.mark.parametrize("name", [name for name, row in BUILT_IN.items() if row.split])
def test_intro_and_loop_together_are_the_piece(game: Path, name: str, tmp_path: Path, cache: Path) -> None:
    """The two files, one after the other, are the synth's sound; a track without an intro is its loop alone."""
    build(tmp_path / "wav", TRACKS + f"[export.{name}]\ndir = 'music'\nformat = 'wav'\n", cache)
    folder = tmp_path / "wav/music"
    start, length = expected().loop
    intro, loop = samples(folder / "old_cave_intro.wav"), samples(folder / "old_cave_loop.wav")
    assert (len(intro), len(loop)) == (start, length)
    assert np.array_equal(np.concatenate([intro, loop]), expected().samples)
    assert not (folder / "boss_intro.wav").exists()
    assert np.array_equal(samples(folder / "boss_loop.wav"), expected("boss").samples)
    assert wav.describe(folder / "old_cave_intro.wav").loop is None


LOVE = """
local counts = {%s}
local played = {}
love = { audio = {}, sound = {} }
function love.sound.newSoundData(name)
  local count = assert(counts[name], name)
  return {
    getSampleRate = function() return 44100 end, getBitDepth = function() return 16 end, getChannelCount = function() return 1 end,
    getSampleCount = function() return count end, getPointer = function() return name end,
  }
end
function love.audio.newQueueableSource(rate, bits, channels, buffers)
  assert(rate == 44100 and bits == 16 and channels == 1)
  local free = buffers
  return {
    getFreeBufferCount = function() local n = free; return n end,
    queue = function(_, pointer, offset, size) free = free - 1; print(pointer, offset, size) end,
    play = function() end, stop = function() end, isPlaying = function() return true end,
    drain = function() free = buffers end,
  }
end
local made = love.audio.newQueueableSource
local source
love.audio.newQueueableSource = function(...) source = made(...); return source end
local music = require("nesasset_music")
music.play(arg[1])
for _ = 1, tonumber(arg[2]) do source.drain(); music.update() end
"""


@pytest.mark.skipif(shutil.which("lua5.4") is None, reason="lua5.4 is not installed")
@pytest.mark.parametrize("track", ["old_cave", "boss", "victory"])
def test_love_queues_the_intro_and_the_loop_for_ever(game: Path, tmp_path: Path, track: str) -> None:
    """The Lua module, run in Lua, queues exactly intro, loop, loop, loop; a jingle once."""
    prefix = json.loads(json.dumps(re.search(r'folder = "([^"]*)"', (game / "love/nesasset_music.lua").read_text())[1]))
    lengths = {f"{prefix}{path.name}": len(samples(path)) for path in (game / "love").glob("*.ogg")}
    (tmp_path / "main.lua").write_text(LOVE % ", ".join(f'["{name}"] = {count}' for name, count in lengths.items()))
    done = subprocess.run(["lua5.4", str(tmp_path / "main.lua"), track, "30"], capture_output=True, text=True, cwd=game / "love", check=False)
    assert done.returncode == 0, done.stderr
    queued = [line.split() for line in done.stdout.splitlines()]
    parts = [f"{track}_intro.ogg", f"{track}_loop.ogg"] if track == "old_cave" else [f"{track}_loop.ogg"] if track == "boss" else [f"{track}.ogg"]
    at, part, turns = 0, 0, 0
    for name, offset, size in queued:
        assert (name, int(float(offset))) == (prefix + parts[part], 2 * at)
        at += int(float(size)) // 2
        assert at <= lengths[name]
        if at == lengths[name]:
            at, turns = 0, turns + 1
            part = min(part + 1, len(parts) - 1)
    assert (turns == 1 and at == 0) if track == "victory" else turns >= 3


def test_defold_plays_the_loop_after_the_intro(game: Path) -> None:
    """The loop's component loops and the intro's does not; the delay is the intro's length."""
    folder = game / "defold"
    assert "looping: 1" in (folder / "old_cave_loop.sound").read_text()
    assert "looping: 0" in (folder / "old_cave_intro.sound").read_text()
    text = (folder / "nesasset_music.lua").read_text()
    value = float(re.search(r"old_cave = .*seconds = ([0-9.]+)", text)[1])
    assert round(value * RATE) == expected().loop[0]


# Code with numbers.


def test_loops_in_code_are_the_sounds(game: Path) -> None:
    """kira, MonoGame, GameMaker and Ren'Py are told the sample at which the loop begins, each in its unit."""
    start, length = expected().loop
    assert f"loop_samples: Some(({start}, {start + length}))" in (game / "bevy/nesasset_music.rs").read_text()
    assert f'OldCave = new NesassetTrack("old_cave.wav", {start}, {length});' in (game / "monogame/NesassetMusic.cs").read_text()
    values = re.search(r'old_cave": .*loop_start: ([0-9.]+), loop_end: ([0-9.]+)', (game / "gamemaker/nesasset_music.gml").read_text())
    assert [int(float(value) * RATE) for value in values.groups()] == [start, start + length]
    value = re.search(r'define audio.old_cave = "<loop ([0-9.]+)>', (game / "renpy/nesasset_music.rpy").read_text())[1]
    assert int(float(value) * RATE) == start
    assert 'define audio.boss = "out/renpy/boss.ogg"' in (game / "renpy/nesasset_music.rpy").read_text()


def test_monogame_finds_the_loop_in_the_wav_too(game: Path) -> None:
    """The WAV's smpl chunk, which libsndfile reads, says the same as the code."""
    start, length = expected().loop
    assert wav.loop_of(game / "monogame/old_cave.wav") == (start, length)
    assert np.array_equal(samples(game / "monogame/old_cave.wav"), expected().samples)


@pytest.mark.parametrize("name", ["phaser", "howler"])
def test_sprites_hold_every_part(game: Path, name: str, tmp_path: Path, cache: Path) -> None:
    """Cut out by the list's own numbers, each part is the synth's sound."""
    build(tmp_path / "wav", TRACKS + f"[export.{name}]\ndir = 'music'\nformat = 'wav'\n", cache)
    document = json.loads((tmp_path / "wav/music/music.json").read_text())
    whole = samples(tmp_path / "wav/music/music.wav")
    if name == "phaser":
        parts = {key: (entry["start"], entry["end"] - entry["start"], entry["loop"]) for key, entry in document["spritemap"].items()}
    else:
        parts = {key: (entry[0] / 1000, entry[1] / 1000, len(entry) > 2) for key, entry in document["sprite"].items()}
    start, _ = expected().loop
    sounds = {"old_cave_intro": expected().samples[:start], "old_cave": expected().samples[start:], "boss": expected("boss").samples, "victory": expected("victory").samples}
    assert {key: entry[2] for key, entry in parts.items()} == {"old_cave_intro": False, "old_cave": True, "boss": True, "victory": False}
    for key, (at, span, _) in parts.items():
        first = round(at * RATE)
        assert first % RATE == 0
        assert np.array_equal(whole[first : first + round(span * RATE)], sounds[key]), key


# What all engines may have.


@pytest.fixture(scope="module")
def rich(tmp_path_factory, cache: Path) -> Path:
    """Plain files with everything that can be asked for."""
    folder = tmp_path_factory.mktemp("rich")
    build(folder, TRACKS + "[export.plain]\ndir = 'music'\nformat = 'wav'\nrates = [44100, 48000]\nstems = true\nfade = 0.5\noutro = true\ntracks = ['old-*', 'victory']\n", cache)
    return folder / "music"


def test_stems_are_files_of_one_length_and_loop(rich: Path) -> None:
    """Each voice is a file with the mix's loop; silent voices too."""
    whole = wav.describe(rich / "old-cave.wav")
    for voice in ("P1", "P2", "TR", "NO"):
        stem = wav.describe(rich / f"old-cave.{voice}.wav")
        assert (stem.n_samples, stem.loop) == (whole.n_samples, whole.loop)


def test_a_second_rate_is_a_second_file(rich: Path) -> None:
    """The other rate's file has its own samples and loop, and the same length in seconds."""
    one, two = wav.describe(rich / "old-cave.wav"), wav.describe(rich / "old-cave.48000.wav")
    assert (two.sample_rate_hz, two.n_samples) == (48_000, one.n_samples * 48_000 // 44_100)
    assert two.loop == tuple(value * 48_000 // 44_100 for value in one.loop)


def test_a_fade_ends_in_silence(rich: Path) -> None:
    """Two rounds and a fade-out, without a loop."""
    faded, audio = samples(rich / "old-cave.fade.wav"), expected()
    assert len(faded) == audio.loop[0] + 2 * audio.loop[1] + RATE // 2
    assert np.abs(faded[-50:]).max() <= 40
    assert wav.describe(rich / "old-cave.fade.wav").loop is None


def test_an_outro_ends_as_an_ending_must(rich: Path) -> None:
    """The outro begins with the loop's last bars, ends in silence and passes the certificate of an ending."""
    ending = outro(pieces.loop_score(0, 4))
    assert certify(ending, render(drive(ending))).passed
    assert ending.voices["P1"][: 2 * 16] == pieces.loop_score(0, 4).voices["P1"][2 * 16 :]
    assert np.abs(samples(rich / "old-cave.outro.wav")[-500:]).max() < 300
    assert not (rich / "victory.outro.wav").exists()


def test_only_the_tracks_that_are_asked_for(rich: Path) -> None:
    """Patterns choose; the list names those alone."""
    assert not (rich / "boss.wav").exists()
    assert [track["id"] for track in json.loads((rich / "pack.json").read_text())["tracks"]] == ["old-cave", "victory"]


def test_loudness_is_matched(tmp_path: Path, cache: Path) -> None:
    """With a target all tracks are as loud, within what is allowed, and none is above the true peak."""
    build(tmp_path, TRACKS + "[quality]\nloudness = -23\ntolerance = 0.3\n[export.plain]\ndir = 'music'\nformat = 'wav'\n", cache)
    for name in ("old-cave", "boss", "victory"):
        loud = json.loads((tmp_path / f"music/{name}.track.json").read_bytes())["loudness"]
        assert abs(loud["lufs"] + 23) <= 0.3
        assert loud["true_peak_dbtp"] <= -1
    with pytest.raises(QualityError, match=r"track .* has .* LUFS where -8 are asked for"):
        build(tmp_path / "loud", TRACKS + "[quality]\nloudness = -8\ntolerance = 0.3\n", cache)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_measures_the_same_loudness(game: Path) -> None:
    """The ebur128 filter of ffmpeg filter agrees within a tenth of a LU, and within three tenths of a dB on the true peak."""
    for name in ("old-cave", "boss"):
        told = json.loads((game / f"plain/{name}.track.json").read_bytes())["loudness"]
        path = game / f"monogame/{identifier(name)}.wav"
        done = subprocess.run(["ffmpeg", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"], capture_output=True, text=True, check=True)
        summary = done.stderr.rpartition("Summary:")[2]
        assert float(re.search(r"I: +(-?[0-9.]+) LUFS", summary)[1]) == pytest.approx(told["lufs"], abs=0.1)
        assert float(re.search(r"Peak: +(-?[0-9.]+) dBFS", summary)[1]) == pytest.approx(told["true_peak_dbtp"], abs=0.3)


# Plugins.


NOTES = Engine("test-notes", "Notes", "notes", ("ogg",), "code", "samples", "exact", "Writes a list.", lambda export: {"tracks.txt": "".join(f"{piece.stem} {piece.loop}\n" for piece in export.pieces)})


def test_an_engine_of_another_package_works_like_ours(tmp_path: Path, cache: Path, monkeypatch) -> None:
    """A row of another package has its table, its files and its place in the lock."""
    monkeypatch.setattr(engines, "engines", lambda: {**BUILT_IN, "test-notes": NOTES})
    build(tmp_path, TRACKS + "[export.test-notes]\n", cache)
    assert (tmp_path / "notes/tracks.txt").read_text().splitlines()[0] == f"old-cave {expected().loop}"
    assert "[export.test-notes.files]" in (tmp_path / "nesasset.lock").read_text()


def test_every_score_of_the_game_is_kept(game: Path) -> None:
    """One score a track, whatever the number of engines."""
    assert sorted(path.name for path in (game.parent / "scores").iterdir()) == ["boss.json", "old-cave.json", "victory.json"]
    assert score_json.load(game.parent / "scores/boss.json").driver == 1
    assert ogg.describe(game / "plain/boss.ogg").loop == expected("boss").loop
