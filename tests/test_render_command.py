"""`nesasset render` into several files, and of what is too long to hold: stems, intro and loop, streams."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pieces
import pytest
import soundfile
from numpy.typing import NDArray

from nesasset.driver import drive
from nesasset.formats import flac, ogg, register_text, score_json, sound_stream, wav
from nesasset.score import Score

VOICES = ("P1", "P2", "TR", "NO")
MODULES = {".wav": wav, ".ogg": ogg, ".flac": flac}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch) -> Path:
    """Run every test in an empty folder that holds scores and a register log."""
    monkeypatch.chdir(tmp_path)
    piece = pieces.loop_score(2, bars=1, intro_bars=1, groove=(3,))
    score_json.save(piece, tmp_path / "intro.json")
    score_json.save(pieces.loop_score(2, bars=1, groove=(3,)), tmp_path / "round.json")
    score_json.save(pieces.jingle_score(), tmp_path / "jingle.json")
    (tmp_path / "long.log").write_text(register_text.dumps(drive(piece)))
    return tmp_path


def sound(name: str) -> NDArray[np.int16]:
    samples: NDArray[np.int16] = soundfile.read(name, dtype="int16")[0]
    return samples


def total(*names: str) -> NDArray[np.int64]:
    return np.sum([sound(name).astype(np.int64) for name in names], axis=0)


# Stems.


def test_stems_add_up_to_the_mix(run) -> None:
    """The voices' files, added sample by sample, are the file of the mix."""
    code, out, _ = run("render", "intro.json", "-o", "a.wav", "--stems", "--rate", "8000", "--json")
    names = [f"a.{voice}.wav" for voice in VOICES]
    assert (code, json.loads(out)["files"]) == (0, ["a.wav", *names])
    assert np.array_equal(total(*names), sound("a.wav"))


@pytest.mark.parametrize("suffix", MODULES)
def test_stems_are_aligned_in_every_format(run, suffix: str) -> None:
    """Every stem has length, rate and loop tags of the mix, and a title that says its voice."""
    assert run("render", "intro.json", "-o", f"a{suffix}", "--stems", "--rate", "8000")[0] == 0
    whole, *stems = (MODULES[suffix].describe(f"a{part}{suffix}") for part in ("", *(f".{voice}" for voice in VOICES)))
    for voice, stem in zip(VOICES, stems, strict=True):
        assert stem == replace(whole, tags=dict(whole.tags) | {"TITLE": f"A round ({voice})"})
    assert whole.loop is not None


def test_stems_played_out_add_up_too(run) -> None:
    """With --loops and --fade every stem is repeated and faded alike."""
    run("render", "intro.json", "-o", "a.wav", "--stems", "--rate", "8000", "--loops", "3", "--fade", "0.5")
    assert np.array_equal(total(*(f"a.{voice}.wav" for voice in VOICES)), sound("a.wav"))
    assert wav.describe("a.P2.wav").loop is None


def test_stems_of_a_log_that_writes_to_the_dmc(run, place: Path) -> None:
    """The sample channel has a stem where the log writes to it."""
    (place / "dmc.log").write_text("nesasset register log 1\nlength 9\ncolumns frame register value\n1 4011 20\n")
    assert run("render", "dmc.log", "-o", "a.wav", "--stems")[0] == 0
    assert np.array_equal(sound("a.DM.wav"), sound("a.wav"))
    assert sound("a.DM.wav").any()


def test_stems_of_a_loop_that_fails_are_not_written(run, place: Path) -> None:
    """The certificate is that of the mix, and without it no file is written."""
    score_json.save(pieces.broken_loop_score(), place / "bad.json")
    code, _, errors = run("render", "bad.json", "-o", "a.wav", "--stems", "--rate", "8000")
    assert (code, errors[:43]) == (1, "nesasset: the loop fails its certificate (h")
    assert not list(place.glob("a*.wav"))


# Intro and loop.


def test_intro_and_loop_joined_are_the_one_piece(run) -> None:
    """The two files end to end are the one file sample for sample; the loop repeats whole, the intro does not."""
    run("render", "intro.json", "-o", "whole.wav", "--rate", "8000")
    code, out, _ = run("render", "intro.json", "-o", "a.wav", "--rate", "8000", "--split", "--json")
    assert (code, json.loads(out)["files"]) == (0, ["a.intro.wav", "a.loop.wav"])
    assert np.array_equal(np.concatenate([sound("a.intro.wav"), sound("a.loop.wav")]), sound("whole.wav"))
    whole, intro, loop = (wav.describe(name) for name in ("whole.wav", "a.intro.wav", "a.loop.wav"))
    assert (whole.loop, intro.loop, loop.loop) == ((intro.n_samples, loop.n_samples), None, (0, loop.n_samples))
    assert not Path("a.wav").exists()


def test_a_piece_without_an_intro_is_its_loop(run, place: Path) -> None:
    """Where nothing comes before the loop one file is written, and the command says so."""
    code, out, _ = run("render", "round.json", "-o", "a.wav", "--rate", "8000", "--split")
    assert code == 0
    assert "file     a.loop.wav\nintro    none: the piece begins with its loop\n" in out
    assert [path.name for path in place.glob("a*.wav")] == ["a.loop.wav"]


def test_stems_can_be_split(run, place: Path) -> None:
    """Every stem, and the mix, is parted at the same sample."""
    assert run("render", "intro.json", "-o", "a.wav", "--rate", "8000", "--split", "--stems")[0] == 0
    labels = ("", *(f".{voice}" for voice in VOICES))
    assert sorted(path.name for path in place.glob("a*.wav")) == sorted(
        f"a{label}.{part}.wav" for label in labels for part in ("intro", "loop")
    )
    assert np.array_equal(total(*(f"a{label}.loop.wav" for label in labels[1:])), sound("a.loop.wav"))


def test_no_part_is_written_when_one_cannot_be(run, place: Path) -> None:
    """If one of several files cannot be made none appears, and nothing else is left."""
    (place / "a.loop.wav").mkdir()
    before = sorted(place.iterdir())
    code, _, errors = run("render", "intro.json", "-o", "a.wav", "--rate", "8000", "--split")
    assert (code, errors) == (1, "nesasset: cannot write 'a.loop.wav': it is a folder; give the name of a file\n")
    assert sorted(place.iterdir()) == before


# What does not go together.


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("intro.json", "-o", "a.mid", "--split"), 2, "--stems and --split are for sound; a .mid file has neither"),
        (("intro.json", "-o", "a.nsf", "--stems"), 2, "--stems and --split are for sound; a .nsf file has neither"),
        (
            ("intro.json", "-o", "a.wav", "--split", "--loops", "2"),
            2,
            "--split keeps the endless loop and --loops plays it out; leave one of them out",
        ),
        (("jingle.json", "-o", "a.wav", "--split"), 1, "the piece does not loop, so --split has nothing to part; leave it out"),
        (
            ("jingle.json", "-o", "a.wav", "--stems", "--loops", "2"),
            1,
            "the piece does not loop, so --loops has nothing to repeat; leave it out",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(run, place: Path, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    """A wish that a format or a piece cannot fulfil is named, and nothing is written."""
    result, out, errors = run("render", *arguments)
    assert (result, out, errors.removesuffix(" (see nesasset render --help)\n").rstrip()) == (code, "", f"nesasset: {sentence}")
    assert not list(place.glob("a*"))


# Long sounds.


def test_a_register_log_is_never_held(run, monkeypatch) -> None:
    """The sound of a log goes to its file block by block, looping, played out or parted."""
    monkeypatch.setattr(sound_stream, "hold", None)  # calling it would be an unexpected error
    for more in ((), ("--loops", "1000"), ("--split",), ("--stems",)):
        assert run("render", "long.log", "-o", "a.wav", "--rate", "8000", *more)[0] == 0


def test_a_log_of_fifteen_hours_is_too_long_for_a_wav(run, place: Path) -> None:
    """More than a WAV can hold is refused at once, with what can hold it."""
    (place / "quiet.log").write_text("nesasset register log 1\nlength 3240000\ncolumns frame register value\n")
    code, _, errors = run("render", "quiet.log", "-o", "a.wav")
    assert (code, errors) == (1, "nesasset: a WAV holds at most 4 GiB, not 2381400000 samples; write FLAC instead\n")
    assert not (place / "a.wav").exists()


def test_the_bytes_are_those_of_the_library(run, place: Path) -> None:
    """What the command streams is what the library renders and saves at once."""
    from nesasset.render import render

    piece: Score = score_json.load("intro.json")
    run("render", "long.log", "-o", "a.wav", "--rate", "8000")
    wav.save(render(drive(piece), 8_000), "b.wav", {"TITLE": "long"})
    assert (place / "a.wav").read_bytes() == (place / "b.wav").read_bytes()
