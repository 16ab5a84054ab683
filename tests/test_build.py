"""Packs: the same bytes every time, each track whole or untouched, and manifests judged as a whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pieces
import pytest

from nesasset.build import manifest as manifests
from nesasset.build import pack, stages
from nesasset.build.stages import Order, make_track, seeds, take
from nesasset.compose.controls import Controls
from nesasset.errors import CertificateError, ManifestError, NesassetError, OutputError
from nesasset.formats import files, midi, ogg, score_json

ROOT = Path(__file__).parent.parent
MANIFEST = """
schema = 1
[pack]
name = "tests"
author = "nobody"
[defaults]
bars = 4
[track.town]
theme = "town"
seed = 3
title = "Market day"
[track.boss]
theme = "boss"
seed = 4
tempo = 180
[track.victory]
theme = "victory"
seed = 5
"""
MAKE = partial(make_track, compose=pieces.compose)
SUFFIXES = (".json", ".mid", ".ogg", ".png", ".track.json")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def manifest() -> manifests.Manifest:
    return manifests.loads(MANIFEST)


@pytest.fixture(scope="module")
def built(manifest, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    pack.build(manifest, folder, make=MAKE)
    return folder


# What is built.


def test_every_track_has_its_files(built: Path) -> None:
    """A pack is five files a track, pack.json and nothing else."""
    expected = {f"{name}{suffix}" for name in ("town", "boss", "victory") for suffix in SUFFIXES} | {"pack.json"}
    assert set(contents(built)) == expected


def test_pack_json_has_the_hash_of_every_file(built: Path) -> None:
    """pack.json lists every other file with its SHA-256 and size."""
    found = contents(built)
    listed = json.loads(found.pop("pack.json"))["files"]
    assert {name: entry["sha256"] for name, entry in listed.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in found.items()
    }
    assert all(entry["bytes"] == len(found[name]) for name, entry in listed.items())


def test_sidecar_agrees_with_the_sound(built: Path) -> None:
    """Loop, rate and length of the sidecar are those of the OGG file."""
    sidecar = json.loads((built / "town.track.json").read_bytes())
    info = ogg.describe(built / "town.ogg")
    loop = sidecar["loop"]["samples"]
    assert (loop["start"], loop["length"], sidecar["samples"]) == (*info.loop, info.n_samples)
    assert loop["end"] == info.n_samples
    assert sidecar["certificate"]["passed"]


def test_tags_name_title_album_and_origin(built: Path) -> None:
    """A player shows title, album and author, and the file says that a model composed it."""
    tags = ogg.describe(built / "town.ogg").tags
    assert (tags["TITLE"], tags["ALBUM"], tags["ARTIST"]) == ("Market day", "tests", "nobody")
    assert tags["COMMENT"].startswith("AI-generated")


def test_a_jingle_has_no_loop(built: Path) -> None:
    """A jingle's files carry no loop, for players would repeat it for ever."""
    assert ogg.describe(built / "victory.ogg").loop is None
    assert json.loads((built / "victory.track.json").read_bytes())["loop"] is None


def test_controls_reach_the_composer(built: Path) -> None:
    """A track's own wishes and the defaults are both obeyed."""
    boss = score_json.load(built / "boss.json")
    assert (boss.n_bars, boss.tempo_bpm) == (4, 180)
    assert midi.describe(built / "boss.mid").tempo_bpm == pytest.approx(180, rel=1e-5)


def test_nothing_tells_the_place_or_the_date(built: Path) -> None:
    """No file holds a path of the machine it was built on."""
    for content in contents(built).values():
        assert str(built).encode() not in content
        assert str(Path.home()).encode() + b"/" not in content


# Determinism.


def test_two_builds_are_byte_identical(manifest, built: Path, tmp_path: Path) -> None:
    """The same manifest gives the same bytes."""
    pack.build(manifest, tmp_path, make=MAKE)
    assert contents(tmp_path) == contents(built)


def test_workers_do_not_change_a_byte(manifest, built: Path, tmp_path: Path) -> None:
    """Two processes give what one gives."""
    with pack.workers(2) as executor:
        pack.build(manifest, tmp_path, executor, MAKE)
    assert contents(tmp_path) == contents(built)


def test_the_seed_sequence_is_fixed() -> None:
    """The first seed is the asked one; the others depend on it alone."""
    assert list(seeds(7)) == list(seeds(7))
    assert next(seeds(7)) == 7
    assert len(set(seeds(7)) | set(seeds(8))) == 2 * stages.ATTEMPTS
    assert list(seeds(7))[1] == int.from_bytes(hashlib.sha256(b"nesasset seed 7 attempt 1").digest()[:4], "big")


# Certificates.


def test_a_failing_loop_is_composed_again(tmp_path: Path) -> None:
    """The next seed of the sequence is used, and the sidecar says so."""
    manifest = manifests.loads(MANIFEST)
    made = pack.build(manifest, tmp_path, make=partial(make_track, compose=pieces.compose_second_try))
    town = made.tracks[0]
    assert (town["seed"], town["attempt"], town["seed_used"]) == (3, 1, list(seeds(3))[1])


def test_the_used_seed_composes_the_same_at_once() -> None:
    """Asking for the seed that was used gives the same score in the first attempt."""
    first = take(Order("a", "town", 3), pieces.compose_second_try)
    again = take(Order("a", "town", first.seed), pieces.compose_second_try)
    assert again.attempt == 0
    assert again.score == first.score


def test_a_loop_that_never_closes_fails_the_build(tmp_path: Path) -> None:
    """When all seeds fail the build says which track, how many seeds and why, and keeps the other tracks."""
    manifest = manifests.loads(MANIFEST)
    with pytest.raises(CertificateError) as caught:
        pack.build(manifest, tmp_path, make=partial(make_track, compose=compose_broken_boss))
    assert "track boss: none of 8 seeds from 4 gave a boss that passes its certificate" in str(caught.value)
    assert "held notes: triangle would go on otherwise" in str(caught.value)
    assert set(contents(tmp_path)) == {f"{name}{suffix}" for name in ("town", "victory") for suffix in SUFFIXES}


def compose_broken_boss(theme: str, seed: int, controls: Controls):
    return (pieces.compose_broken if theme == "boss" else pieces.compose)(theme, seed, controls)


# Writing.


def test_other_files_are_left_alone(manifest, tmp_path: Path) -> None:
    """A build replaces its own files and touches no other."""
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "town.ogg").write_text("old")
    pack.build(manifest, tmp_path, make=MAKE)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert (tmp_path / "town.ogg").read_bytes()[:4] == b"OggS"


@pytest.mark.parametrize("place", ["file/pack", "file"])
def test_unwritable_folder_is_one_sentence(manifest, tmp_path: Path, place: str) -> None:
    """A folder that cannot be made is reported before anything is composed."""
    (tmp_path / "file").write_text("")

    def never(order: Order):
        raise AssertionError("composed for nothing")

    with pytest.raises(OutputError, match="cannot write to the folder") as caught:
        pack.build(manifest, tmp_path / place, make=never)
    assert "\n" not in str(caught.value)


def test_a_full_disk_changes_no_track_by_half(manifest, built: Path, tmp_path: Path, monkeypatch) -> None:
    """When a track's third file does not fit, its first two are not replaced either; tracks before it stay."""
    old = {f"{name}{suffix}": b"old" for name in ("town", "boss") for suffix in SUFFIXES}
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    real, calls = os.fsync, []

    def full_at_the_eighth(file: int) -> None:
        calls.append(file)
        if len(calls) >= 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(files.os, "fsync", full_at_the_eighth)
    with pytest.raises(OutputError, match="the disk is full"):
        pack.build(manifest, tmp_path, make=MAKE)
    found = contents(tmp_path)
    assert {name: found[name] for name in found if name.startswith("boss")} == {
        name: b"old" for name in old if name.startswith("boss")
    }
    assert found["town.ogg"] == contents(built)["town.ogg"]
    assert set(found) == set(old)


INTERRUPTED = """
import sys
import pieces
from nesasset.build import stages
stages.compose_score = pieces.compose_slowly  # worker processes import this file too
if __name__ == "__main__":
    from nesasset import cli
    sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent by a POSIX signal here")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished_and_spoils_nothing(tmp_path: Path, jobs: str) -> None:
    """An interrupted build ends with 130 and one word; finished tracks are there, no other file has changed."""
    (tmp_path / "nesasset.toml").write_text(MANIFEST.replace("seed = 3", "seed = 0"))
    (tmp_path / "main.py").write_text(INTERRUPTED)
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "boss.ogg").write_bytes(b"old")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    # Tests that run in the background have Ctrl-C ignored, and so would all that they start; what is handled is not passed on.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    program = subprocess.Popen(
        [sys.executable, "main.py", "build", "-o", "pack", "-j", jobs],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not (folder / "town.track.json").exists() and time.monotonic() < deadline and program.poll() is None:
        time.sleep(0.05)
    os.killpg(program.pid, signal.SIGINT)  # as a terminal does: to all processes of the group
    output, errors = program.communicate(timeout=30)
    assert (program.returncode, output, errors) == (130, "", "\nnesasset: interrupted\n")
    found = contents(folder)
    assert set(found) == {f"town{suffix}" for suffix in SUFFIXES} | {"boss.ogg"}
    assert found["boss.ogg"] == b"old"


def test_ctrl_c_while_files_are_moved_waits(tmp_path: Path, monkeypatch) -> None:
    """An interrupt between two moves of a track takes effect after the last."""
    real = os.replace

    def interrupting(source, target) -> None:
        real(source, target)
        if Path(target).parent == tmp_path:
            signal.raise_signal(signal.SIGINT)

    staging = tmp_path / "staging"
    staging.mkdir()
    monkeypatch.setattr(os, "replace", interrupting)
    with pytest.raises(KeyboardInterrupt):
        pack._commit({"a": b"1", "b": b"2", "c": b"3"}, staging, tmp_path)
    assert [(tmp_path / name).read_bytes() for name in "abc"] == [b"1", b"2", b"3"]


def die(order: Order):
    os._exit(1)


def test_a_worker_that_dies_is_one_sentence(manifest, tmp_path: Path) -> None:
    """A killed worker process is reported in words."""
    with pytest.raises(NesassetError, match="a worker process ended unexpectedly"), pack.workers(2) as executor:
        pack.build(manifest, tmp_path, executor, die)
    assert contents(tmp_path) == {}


# Manifests.


def faults(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifests.loads(text, "m.toml")
    return str(caught.value).splitlines()


def test_all_faults_are_reported_with_their_lines() -> None:
    """Every fault has its line and its sentence, in the order of the lines."""
    text = (
        "schema = 2\n[pack]\nnam = 'x'\nrate = 22050\n[defaults]\ntempo = 1000\n[track.con]\ntheme = 'castel'\nbar = 3\n"
        "[track.'A/b']\ntheme = 'cave'\nseed = -1\nbars = 2.5\n[track.c]\nkey = 'H'\nmode = 3\n"
    )
    assert faults(text) == [
        "m.toml:1: schema: this nesasset reads schema 1, not 2",
        "m.toml:2: pack.name is missing",
        "m.toml:3: unknown key pack.nam, did you mean name?",
        "m.toml:4: pack.rate must be 44100 or 48000, not 22050",
        "m.toml:6: defaults.tempo: tempo_bpm must be between 30 and 300, not 1000.0",
        "m.toml:7: track.con: 'con' is a reserved name on Windows, choose another track id",
        "m.toml:8: track.con.theme: unknown theme 'castel', did you mean castle or chase or cave?",
        "m.toml:9: unknown key track.con.bar, did you mean bars?",
        (
            "m.toml:10: track.A/b: a track id has 1 to 64 of a-z, 0-9, - and _ and starts with a letter or digit, "
            "not 'A/b': it becomes a file name"
        ),
        "m.toml:12: track.A/b.seed: seed must be between 0 and 9223372036854775807, not -1",
        "m.toml:13: track.A/b.bars must be a whole number, not 2.5",
        "m.toml:14: track.c.theme is missing",
        "m.toml:15: track.c.key: key must be a note name such as C, F# or Bb, not 'H'",
        "m.toml:16: track.c.mode must be a text in quotes, not 3",
    ]


@pytest.mark.parametrize(
    "track_id", ["aux", "NUL", "com1", "lpt9", "a.b", "..", "a/b", "a\\b", "-x", "ü", "a" * 65, "pack", ""]
)
def test_unsafe_track_ids_are_refused(track_id: str) -> None:
    """An id that is no safe file name somewhere is refused everywhere."""
    (line,) = faults(f"schema = 1\n[pack]\nname = 'n'\n[track.{json.dumps(track_id)}]\ntheme = 'cave'\n")
    assert "track id" in line or "choose another" in line


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "m.toml: schema = 1 is missing"),
        ("schema = true\n[pack]\nname='n'\n[track.a]\ntheme='cave'", "m.toml:1: schema must be a whole number, not True"),
        ("schema = 1\n[pack\n", "m.toml: not valid TOML: Expected ']' at the end of a table declaration (at line 2, column 6)"),
        ("schema = 1\npack = 3\n[track.a]\ntheme='cave'", "m.toml:2: pack must be a table, not 3"),
        ("schema = 1\n[pack]\nname='n'", "m.toml: a table [track.ID] for each track is missing"),
        ("schema = 1\n[pack]\nname='n'\n[track]", "m.toml:4: a table [track.ID] for each track is missing"),
        ("schema = 1\n[pack]\nname='n'\n[tracks.a]\ntheme='cave'", "m.toml:4: unknown key tracks, did you mean track or pack?"),
        ("a=" + "[" * 9999, "m.toml: not valid TOML: "),
        ("schema = " + "9" * 9999, "m.toml: not valid TOML: "),
    ],
)
def test_broken_manifests_get_their_sentence(text: str, sentence: str) -> None:
    """A file that is no manifest is refused in words."""
    assert any(line.startswith(sentence) for line in faults(text)), faults(text)


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder and a file that is no text are each refused."""
    (tmp_path / "latin.toml").write_bytes(b"schema = 1 # \xe9")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(ManifestError):
            manifests.load(path)


def test_the_quickstart_is_a_manifest() -> None:
    """The example in the documents is accepted and has eight tracks."""
    assert len(manifests.load(ROOT / "examples/quickstart/nesasset.toml").track) == 8


def test_own_wishes_go_before_defaults() -> None:
    """A track's wish replaces the default, other defaults stay."""
    manifest = manifests.loads(MANIFEST.replace("tempo = 180", "tempo = 180\nbars = 8\nkey = 'Eb'"))
    assert manifest.controls("boss") == Controls(bars=8, tempo_bpm=180, key="D#")
    assert manifest.controls("town") == Controls(bars=4)


def test_a_pack_has_the_sound_effects_of_its_manifest(tmp_path: Path) -> None:
    """A WAV and its frames for each, listed in pack.json with their SHA-256; the same bytes the second time."""
    text = "schema = 1\n[pack]\nname = 'n'\n[track.a]\ntheme = 'item'\n[sfx.coin]\nclass = 'coin'\nchord = 'Am'\n[sfx.bang]\nclass = 'explosion'\nseed = 4\n"
    made = manifests.loads(text)
    packs = [pack.build(made, tmp_path / name, make=partial(make_track, compose=pieces.compose)) for name in ("one", "two")]
    assert [(entry["id"], entry["class"], entry["chord"]) for entry in packs[0].summary["effects"]] == [("coin", "coin", "Am"), ("bang", "explosion", None)]
    for name in ("coin.wav", "coin.sfx.json", "bang.wav", "bang.sfx.json"):
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        assert packs[0].summary["files"][name]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("[sfx.x]\nclass = 'coyn'", r"unknown class of effect 'coyn', did you mean coin"),
        ("[sfx.x]\nclass = 'coin'\nchord = 'H'", r"a chord must be a name such as"),
        ("[sfx.a]\nclass = 'coin'", r"sfx\.a: a track has that id, too"),
        ("[sfx.x]\nclass = 'coin'\nsede = 1", r"unknown key sfx\.x\.sede, did you mean seed"),
        ("[sfx.x]\nseed = 1", r"sfx\.x\.class is missing"),
    ],
)
def test_effects_that_make_no_sense_are_refused(lines: str, sentence: str) -> None:
    """Each fault names its place."""
    with pytest.raises(ManifestError, match=sentence):
        manifests.loads(f"schema = 1\n[pack]\nname = 'n'\n[track.a]\ntheme = 'item'\n{lines}\n")
