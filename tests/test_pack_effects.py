"""Sound effects in packs: a file in every export, named in its code, made anew when something changes, refused with a sentence."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pieces
import pytest
import soundfile
from ear import loudness

from nesasset import sfx
from nesasset.build import builder, manifest, project, studio
from nesasset.build.builder import Settings
from nesasset.build.engines import BUILT_IN
from nesasset.errors import ManifestError
from nesasset.render import render

TRACKS = 'schema = 1\n[pack]\nname = "tests"\n[defaults]\nbars = 1\n[track.town]\ntheme = "town"\n'
EFFECTS = '[sfx.coin]\nseed = 3\n[sfx.low-boom]\nclass = "explosion"\n[sfx.win]\nclass = "power-up"\nchord = "C"\n'


def build(folder: Path, text: str) -> builder.Result:
    folder.mkdir(exist_ok=True)
    (folder / "nesasset.toml").write_text(text)
    return builder.build(project.load(folder / "nesasset.toml"), Settings(make=partial(studio.make, compose=pieces.compose)))


def names(result: builder.Result) -> set[str]:
    return {path.name for path in result.written}


def test_every_engine_gets_the_effects(tmp_path: Path) -> None:
    """Each export has the three, in the engine's own folder and naming, heard, and at their ends silent."""
    exports = "".join(f'[export.{name}]\ndir = "out/{name}"\n' for name in BUILT_IN)
    build(tmp_path, TRACKS + EFFECTS + exports)
    for name, engine in BUILT_IN.items():
        folder = tmp_path / "out" / name / engine.effects
        files = sorted(folder.iterdir())
        assert {path.stem for path in files} == {engine.stem(effect) for effect in ("coin", "low-boom", "win")}, name
        for path in files:
            assert path.suffix[1:] in engine.carriers
            samples, rate = soundfile.read(path, dtype="int16")
            assert rate == 44_100
            assert loudness(samples) > 100
            assert loudness(samples[-200:]) < 60


def test_a_file_is_the_effect_of_its_class_seed_and_chord(tmp_path: Path) -> None:
    """A WAV has the very samples that the class gives, tuned where a chord is asked for."""
    build(tmp_path, TRACKS + EFFECTS + "[export.pygame]\n")
    for path, effect in (("coin", sfx.make("coin", 3)), ("win", sfx.make("power-up", 0, sfx.tuned_to("C")))):
        samples, _ = soundfile.read(tmp_path / f"music/sfx/{path}.wav", dtype="int16")
        assert np.array_equal(samples, render(effect.to_log()).samples)


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    """Nothing to do the second time; another seed makes one effect anew and composes nothing; a lost file comes back."""
    text = TRACKS + EFFECTS + "[export.pygame]\n"
    build(tmp_path, text)
    assert not build(tmp_path, text).written
    again = build(tmp_path, text.replace("seed = 3", "seed = 4"))
    assert again.plan.around == {"pygame": ("the sound effects have changed",)}
    assert names(again) == {"coin.wav", "nesasset.lock"}
    (tmp_path / "music/sfx/win.wav").unlink()
    assert names(build(tmp_path, text.replace("seed = 3", "seed = 4"))) == {"win.wav"}


def test_code_and_lists_name_the_effects(tmp_path: Path) -> None:
    """The pygame module has a path for each id, the plain pack a list; without effects neither says a word of them."""
    build(tmp_path, TRACKS + EFFECTS + "[export.pygame]\n[export.plain]\n")
    spec = importlib.util.spec_from_file_location("nesasset_music_with_effects", tmp_path / "music/nesasset_music.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks there
    spec.loader.exec_module(module)
    assert set(module.EFFECTS) == {"coin", "low-boom", "win"}
    assert all(path.is_file() for path in module.EFFECTS.values())
    pack = json.loads((tmp_path / "pack/pack.json").read_text())
    assert pack["effects"]["low-boom"] == "sfx/low-boom.wav"
    build(tmp_path / "without", TRACKS + "[export.pygame]\n[export.plain]\n")
    assert "EFFECTS" not in (tmp_path / "without/music/nesasset_music.py").read_text()
    assert "effects" not in json.loads((tmp_path / "without/pack/pack.json").read_text())


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("[sfx.ring]\n", "sfx.ring: a class"),
        ('[sfx.ring]\nclass = "expolsion"\n', "did you mean explosion"),
        ('[sfx.coin]\nchord = "H"\n', "sfx.coin.chord"),
        ("[sfx.coin]\nseed = -1\n", "sfx.coin.seed"),
        ("[sfx.coin]\npitch = 3\n", "pitch"),
        ('[sfx."a/b"]\nclass = "coin"\n', "it becomes a file name"),
        ('[sfx.a-b]\nclass = "coin"\n[sfx.a_b]\nclass = "coin"\n', "the same file as a-b"),
    ],
)
def test_what_makes_no_sense_is_refused(table: str, sentence: str) -> None:
    """One line a fault, with its place."""
    with pytest.raises(ManifestError) as caught:
        manifest.loads(TRACKS + table + "[export.pygame]\n")
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
