"""Packs: the same bytes every time, each track whole or untouched, nothing done twice."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pieces
import pytest

from nesasset.build import builder, lock, plan, project, studio, workers, writer
from nesasset.build.builder import Settings
from nesasset.build.cache import Cache
from nesasset.build.order import ATTEMPTS, Order, seeds
from nesasset.build.stages import take
from nesasset.compose.controls import Controls
from nesasset.errors import CertificateError, LockError, NesassetError, OutputError
from nesasset.formats import files, midi, ogg, score_json

ROOT = Path(__file__).parent.parent
MANIFEST = """
schema = 1
[pack]
name = "tests"
author = "nobody"
[defaults]
bars = 2
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
MAKE = partial(studio.make, compose=pieces.compose)
SUFFIXES = (".json", ".mid", ".ogg", ".png", ".track.json")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def game(folder: Path, text: str = MANIFEST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nesasset.toml").write_text(text, encoding="utf-8")
    return folder


SHARED: list[Cache] = []


@pytest.fixture(scope="module", autouse=True)
def shared_cache(tmp_path_factory):
    """One cache for the builds of this file that do not say otherwise: what they test is not how sound is made."""
    SHARED.append(Cache(tmp_path_factory.mktemp("shared-cache")))
    yield
    SHARED.clear()


def build(folder: Path, output: str | None = None, *, make=MAKE, cache: Cache | str | None = "shared", **settings) -> builder.Result:
    """Build the game in a folder; its files go to folder/pack."""
    found = project.load(folder / "nesasset.toml", output or str(folder / "pack"))
    return builder.build(found, Settings(make=make, cache=SHARED[0] if isinstance(cache, str) else cache, **settings))


def planned(folder: Path, **more) -> plan.Plan:
    return plan.make(project.load(folder / "nesasset.toml", str(folder / "pack")), **more)


def why(folder: Path) -> list[str]:
    return [f"{what}: {reason}" for what, reason in planned(folder).reasons]


@pytest.fixture(scope="module")
def built_game(tmp_path_factory) -> Path:
    folder = game(tmp_path_factory.mktemp("game"))
    build(folder)
    return folder


@pytest.fixture(scope="module")
def built(built_game: Path) -> Path:
    return built_game / "pack"


@pytest.fixture
def fresh_game(built_game: Path, tmp_path: Path) -> Path:
    """A copy of the game that has been built."""
    import shutil

    return Path(shutil.copytree(built_game, tmp_path / "game"))


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
    assert not sidecar["edited"]


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
    assert (boss.n_bars, boss.tempo_bpm) == (2, 180)
    assert midi.describe(built / "boss.mid").tempo_bpm == pytest.approx(180, rel=1e-5)


def test_nothing_tells_the_place_or_the_date(built: Path) -> None:
    """No file holds a path of the machine it was built on."""
    for content in contents(built).values():
        assert str(built).encode() not in content
        assert str(Path.home()).encode() + b"/" not in content


# Determinism.


@pytest.mark.parametrize("settings", [{}, {"processes": 2}, {"cache": True}], ids=["again", "processes", "cache"])
def test_every_build_gives_the_same_bytes(built_game: Path, tmp_path: Path, cache_folder: Path, settings: dict) -> None:
    """Scores, lock and files do not depend on the run, on the number of processes or on the cache."""
    more = {name: value for name, value in settings.items() if name != "cache"}
    cache = Cache(cache_folder) if "cache" in settings else None
    if cache is not None:
        build(game(tmp_path / "first"), cache=cache)  # fills it
    build(game(tmp_path / "game"), cache=cache, **more)
    assert contents(tmp_path / "game") == contents(built_game)


def test_the_lock_and_the_scores_alone_give_the_same_bytes(built_game: Path, tmp_path: Path) -> None:
    """A fresh clone with manifest, lock and scores builds the files of the lock, and composes nothing."""
    folder = game(tmp_path / "clone")
    (folder / "scores").mkdir()
    for name in ("nesasset.lock", *(f"scores/{name}.json" for name in ("town", "boss", "victory"))):
        (folder / name).write_bytes((built_game / name).read_bytes())
    build(folder, mode="locked", make=partial(studio.make, compose=never), cache=None)
    assert contents(folder) == contents(built_game)


def test_the_seed_sequence_is_fixed() -> None:
    """The first seed is the asked one; the others depend on it alone."""
    assert list(seeds(7)) == list(seeds(7))
    assert next(seeds(7)) == 7
    assert len(set(seeds(7)) | set(seeds(8))) == 2 * ATTEMPTS
    assert list(seeds(7))[1] == int.from_bytes(hashlib.sha256(b"nesasset seed 7 attempt 1").digest()[:4], "big")


# Certificates.


def test_a_failing_loop_is_composed_again(tmp_path: Path) -> None:
    """The next seed of the sequence is used, and the sidecar says so."""
    made = build(game(tmp_path), make=partial(studio.make, compose=pieces.compose_second_try))
    town = made.made["town"].facts
    assert (town["seed"], town["attempt"], town["seed_used"]) == (3, 1, list(seeds(3))[1])


def test_the_used_seed_composes_the_same_at_once() -> None:
    """Asking for the seed that was used gives the same score in the first attempt."""
    first = take(Order("a", "town", 3), pieces.compose_second_try)
    again = take(Order("a", "town", first.seed), pieces.compose_second_try)
    assert again.attempt == 0
    assert again.score == first.score


def test_a_loop_that_never_closes_fails_the_build(tmp_path: Path) -> None:
    """When all seeds fail the build says which track, how many seeds and why, and keeps the other tracks."""
    with pytest.raises(CertificateError) as caught:
        build(game(tmp_path), make=partial(studio.make, compose=compose_broken_boss))
    assert "track boss: none of 8 seeds from 4 gave a boss that passes its certificate" in str(caught.value)
    assert "held notes: triangle would go on otherwise" in str(caught.value)
    assert set(contents(tmp_path / "pack")) == {f"{name}{suffix}" for name in ("town", "victory") for suffix in SUFFIXES}


def never(theme: str, seed: int, controls: Controls):
    raise AssertionError("composed for nothing")


def compose_broken_boss(theme: str, seed: int, controls: Controls):
    return (pieces.compose_broken if theme == "boss" else pieces.compose)(theme, seed, controls)


# Writing.


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """A build replaces its own files and touches no other."""
    folder = game(tmp_path)
    (folder / "pack").mkdir()
    (folder / "pack/mine.txt").write_text("keep")
    (folder / "pack/town.ogg").write_text("old")
    build(folder)
    assert (folder / "pack/mine.txt").read_text() == "keep"
    assert (folder / "pack/town.ogg").read_bytes()[:4] == b"OggS"


@pytest.mark.parametrize("place", ["file/pack", "file"])
def test_unwritable_folder_is_one_sentence(tmp_path: Path, place: str) -> None:
    """A folder that cannot be made is reported before anything is composed."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to the folder") as caught:
        build(game(tmp_path), str(tmp_path / place), make=partial(studio.make, compose=never))
    assert "\n" not in str(caught.value)


def test_a_full_disk_changes_no_track_by_half(built: Path, tmp_path: Path, monkeypatch) -> None:
    """When a track's third file does not fit, its first two are not replaced either; tracks before it stay."""
    folder = game(tmp_path)
    (folder / "pack").mkdir()
    old = {f"{name}{suffix}": b"old" for name in ("town", "boss") for suffix in SUFFIXES}
    for name, content in old.items():
        (folder / "pack" / name).write_bytes(content)
    real, calls = writer._put, []

    def full_at_the_ninth(path: Path, content: bytes, durable: bool) -> None:
        calls.append(path)
        if len(calls) >= 9:  # six files of the first track, with its score, and two of the second
            with files.telling(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content, durable)

    monkeypatch.setattr(writer, "_put", full_at_the_ninth)
    with pytest.raises(OutputError, match="the disk is full"):
        build(folder)
    found = contents(folder / "pack")
    assert {name: found[name] for name in found if name.startswith("boss")} == {
        name: b"old" for name in old if name.startswith("boss")
    }
    assert found["town.ogg"] == contents(built)["town.ogg"]
    assert set(found) == set(old)
    assert not (folder / "scores/boss.json").exists()


def test_after_a_full_disk_the_next_build_goes_on(built_game: Path, tmp_path: Path, monkeypatch) -> None:
    """What a build that failed has left is good for the next one, which ends as if nothing had been."""
    folder = game(tmp_path)
    real = os.fsync

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OutputError):
        build(folder)
    monkeypatch.setattr(files.os, "fsync", real)
    build(folder)
    assert contents(folder) == contents(built_game)


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
    from nesasset.build.writer import Writer

    real = os.replace

    def interrupting(source, target) -> None:
        real(source, target)
        if Path(target).parent == tmp_path:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", interrupting)
    with pytest.raises(KeyboardInterrupt), Writer() as writing:
        writing.commit({(tmp_path, "a"): b"1", (tmp_path, "b"): b"2", (tmp_path, "c"): b"3"})
    assert contents(tmp_path) == {"a": b"1", "b": b"2", "c": b"3"}


def test_an_interrupted_build_is_taken_up_where_it_was(built_game: Path, tmp_path: Path, cache_folder: Path) -> None:
    """After Ctrl-C in the second track the next build composes the two that are missing, and ends as if nothing had been."""
    folder, composed = game(tmp_path), []

    def compose(theme: str, seed: int, controls: Controls):
        composed.append(theme)
        if len(composed) == 2:
            raise KeyboardInterrupt
        return pieces.compose(theme, seed, controls)

    make = partial(studio.make, compose=compose)
    with pytest.raises(KeyboardInterrupt):
        build(folder, make=make, cache=Cache(cache_folder))
    build(folder, make=make, cache=Cache(cache_folder))
    assert composed == ["town", "boss", "boss", "victory"]
    assert contents(folder) == contents(built_game)


def die(job):
    os._exit(1)


def test_a_worker_that_dies_is_one_sentence(tmp_path: Path) -> None:
    """A killed worker process is reported in words."""
    with pytest.raises(NesassetError, match="a worker process ended unexpectedly"):
        build(game(tmp_path), make=die, processes=2)
    assert set(contents(tmp_path)) == {"nesasset.toml"}


def test_an_executor_of_the_caller_is_used(built_game: Path, tmp_path: Path) -> None:
    """Tracks are made wherever the caller says."""
    with workers.processes(2) as executor:
        build(game(tmp_path), executor=executor)
    assert contents(tmp_path) == contents(built_game)


# Nothing is done twice.


def test_a_second_build_does_nothing(fresh_game: Path) -> None:
    """What is as it should be is neither made nor touched."""
    before = {path: path.stat().st_mtime_ns for path in fresh_game.rglob("*")}
    result = build(fresh_game, make=die)
    assert (result.written, result.made) == ([], {})
    assert {path: path.stat().st_mtime_ns for path in fresh_game.rglob("*")} == before


def test_one_changed_track_makes_one(fresh_game: Path) -> None:
    """A new seed for one track composes that track alone, and changes its files, the list and the lock."""
    game(fresh_game, MANIFEST.replace("seed = 3", "seed = 30"))
    result = build(fresh_game)
    assert [name for name, made in result.made.items() if made.files] == ["town"]
    changed = {path.relative_to(fresh_game).as_posix() for path in result.written}
    assert changed == {"scores/town.json", "nesasset.lock", "pack/pack.json", *(f"pack/town{suffix}" for suffix in SUFFIXES)}


def test_a_new_title_composes_nothing(fresh_game: Path) -> None:
    """A title stands in the score and in the files, and changes no note."""
    before = score_json.load(fresh_game / "scores/town.json")
    game(fresh_game, MANIFEST.replace("Market day", "Fish market"))
    build(fresh_game, make=partial(studio.make, compose=never))
    after = score_json.load(fresh_game / "scores/town.json")
    assert (after.title, after.voices) == ("Fish market", before.voices)
    assert ogg.describe(fresh_game / "pack/town.ogg").tags["TITLE"] == "Fish market"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: game(folder, MANIFEST.replace("tempo = 180", "tempo = 150")), ["boss: tempo 180 → 150"]),
        (lambda folder: game(folder, MANIFEST.replace("bars = 2", "bars = 4")), ["town: bars 2 → 4", "boss: bars 2 → 4", "victory: bars 2 → 4"]),
        (lambda folder: game(folder, MANIFEST.replace("tempo = 180\n", "")), ["boss: tempo 180 → the theme's"]),
        (lambda folder: game(folder, MANIFEST.replace('theme = "boss"', 'theme = "battle"')), ["boss: theme boss → battle"]),
        (lambda folder: game(folder, MANIFEST.replace("nobody", "somebody")), [f"{name}: title, pack, author or license has changed" for name in ("town", "boss", "victory")]),
        (lambda folder: game(folder, MANIFEST + '[track.item]\ntheme = "item"\n'), ["item: it is new"]),
        (lambda folder: (folder / "pack/boss.ogg").unlink(), ["boss: boss.ogg is missing"]),
        (lambda folder: (folder / "pack/boss.ogg").write_bytes(b"x"), ["boss: boss.ogg is not the file that the build made"]),
        (lambda folder: (folder / "scores/boss.json").unlink(), ["boss: its score scores/boss.json is missing"]),
        (lambda folder: (folder / "nesasset.lock").unlink(), [f"{name}: its files are not in the lock" for name in ("town", "boss", "victory")]),
    ],
)  # fmt: skip
def test_a_plan_says_why(fresh_game: Path, change, expected: list[str]) -> None:
    """Everything that is to be made has its reason, in words."""
    change(fresh_game)
    found = [line for line in why(fresh_game) if not line.startswith("export.")]
    assert found == expected


def test_a_track_that_is_gone_keeps_its_files(fresh_game: Path) -> None:
    """Nothing is ever deleted; the lock and the list forget the track, and the plan says so."""
    game(fresh_game, MANIFEST.partition("[track.victory]")[0])
    assert why(fresh_game)[-1] == "nesasset.lock: victory is no longer asked for; its files stay"
    build(fresh_game)
    assert (fresh_game / "pack/victory.ogg").exists()
    assert "victory" not in (fresh_game / "nesasset.lock").read_text()
    assert why(fresh_game) == []


def test_only_some_tracks(tmp_path: Path, built: Path) -> None:
    """--only makes its tracks; the list of all comes with the last."""
    folder = game(tmp_path)
    build(folder, only=lambda track_id: track_id == "boss")
    assert set(contents(folder / "pack")) == {f"boss{suffix}" for suffix in SUFFIXES}
    build(folder)
    assert contents(folder / "pack") == contents(built)


# Locks.


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: game(folder, MANIFEST.replace("seed = 3", "seed = 30")),
        lambda folder: game(folder, MANIFEST + '[track.item]\ntheme = "item"\n'),
        lambda folder: game(folder, MANIFEST.partition("[track.victory]")[0]),
        lambda folder: (folder / "scores/boss.json").unlink(),
        lambda folder: edit(folder / "scores/boss.json"),
        lambda folder: (folder / "nesasset.lock").unlink(),
    ],
)
def test_locked_changes_nothing(fresh_game: Path, change) -> None:
    """With --locked a build that would change the lock or a score fails and writes nothing."""
    change(fresh_game)
    before = contents(fresh_game)
    with pytest.raises(LockError, match="--locked"):
        build(fresh_game, mode="locked")
    assert contents(fresh_game) == before


def test_locked_makes_missing_files(fresh_game: Path, built_game: Path) -> None:
    """What a fresh machine lacks is made, the same bytes as in the lock."""
    for name in ("town.ogg", "pack.json"):
        (fresh_game / "pack" / name).unlink()
    build(fresh_game, mode="locked")
    assert contents(fresh_game) == contents(built_game)


def test_locked_refuses_another_sound(fresh_game: Path) -> None:
    """A synth that plays the pinned score otherwise than the lock says is noticed."""
    path = fresh_game / "nesasset.lock"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f'pcm_sha256 = "{"0" * 64}"' if line.startswith("pcm_sha256") else line for line in lines))
    (fresh_game / "pack/town.ogg").unlink()
    with pytest.raises(LockError, match=r"the sound of town are not those in the lock"):
        build(fresh_game, mode="locked")


def test_other_encoders_may_write_other_bytes(fresh_game: Path, cache_folder: Path) -> None:
    """Files of another version of the encoder differ; with the same sound that is no fault, and then all is as it should be."""
    path = fresh_game / "nesasset.lock"
    text = path.read_text().replace('soundfile = "', 'soundfile = "0.1+')
    for name in ("town.ogg", "pack.json"):  # as another machine may have made them
        text = text.replace(hashlib.sha256((fresh_game / "pack" / name).read_bytes()).hexdigest(), "0" * 64)
        (fresh_game / "pack" / name).unlink()
    path.write_text(text)
    build(fresh_game, mode="locked", cache=Cache(cache_folder))
    assert ogg.describe(fresh_game / "pack/town.ogg").n_samples
    assert planned(fresh_game, cache=Cache(cache_folder)).fresh
    assert path.read_text() == text
    (fresh_game / "pack/town.ogg").write_bytes(b"damaged")
    assert not planned(fresh_game, cache=Cache(cache_folder)).fresh


def test_frozen_takes_the_scores_as_they_are(fresh_game: Path) -> None:
    """With --frozen the manifest's wishes change no note, and the lock stays."""
    game(fresh_game, MANIFEST.replace("seed = 3", "seed = 30").replace("nobody", "somebody"))
    before = contents(fresh_game)
    build(fresh_game, mode="frozen", make=partial(studio.make, compose=never))
    after = contents(fresh_game)
    assert {name for name in after if after[name] != before[name]} >= {"pack/town.ogg"}
    assert all(after[name] == before[name] for name in ("nesasset.lock", "scores/town.json"))


def test_frozen_composes_nothing(fresh_game: Path) -> None:
    """A score that is missing fails a frozen build."""
    (fresh_game / "scores/boss.json").unlink()
    with pytest.raises(LockError, match=r"--frozen forbids .* boss: its score scores/boss.json is missing"):
        build(fresh_game, mode="frozen")


@pytest.mark.parametrize("text", ["", "x", "version = 2", "version = 1\n[track.town]", "version = 1\ntrack = 3", "version = 1\n[track.a.export.b.files]\n'../x' = 'y'", "a = " + "[" * 9999])
def test_a_damaged_lock_is_one_sentence(fresh_game: Path, text: str) -> None:
    """A lock that is none is refused with what to do."""
    (fresh_game / "nesasset.lock").write_text(text)
    with pytest.raises(LockError, match=r"nesasset.lock is damaged .*restore it") as caught:
        build(fresh_game)
    assert "\n" not in str(caught.value)


def test_a_lock_comes_back_as_it_was(built_game: Path) -> None:
    """Writing and reading a lock loses nothing, and its text is the same each time."""
    path = built_game / "nesasset.lock"
    found = lock.load(path)
    assert lock.loads(lock.dumps(found)) == found
    assert lock.dumps(found) == path.read_text(encoding="utf-8")
    assert found.tracks["boss"].wishes == {"theme": "boss", "seed": 4, "controls": {"bars": 2, "tempo_bpm": 180.0}}


# Edits.


def edit(path: Path) -> None:
    """Change a note as a person would: in the file's text."""
    text = path.read_text(encoding="utf-8")
    changed = re.sub(r"\b([A-G])([-#][0-9]/)", lambda note: ("D" if note[1] != "D" else "E") + "-" + note[2][1:], text, count=1)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


def test_an_edited_score_is_kept_and_played(fresh_game: Path) -> None:
    """A score that a person has changed is never overwritten, its files follow it, and everybody is told."""
    edit(fresh_game / "scores/town.json")
    edited = (fresh_game / "scores/town.json").read_bytes()
    assert "town: somebody has worked on its score" in why(fresh_game)
    build(fresh_game, make=partial(studio.make, compose=never))
    assert (fresh_game / "scores/town.json").read_bytes() == edited
    sidecar = json.loads((fresh_game / "pack/town.track.json").read_bytes())
    assert sidecar["edited"]
    assert (fresh_game / "pack/town.json").read_bytes() == edited
    assert ogg.describe(fresh_game / "pack/town.ogg").tags["COMMENT"].endswith(", edited by hand")
    assert planned(fresh_game).fresh


def test_an_edited_score_outlives_new_wishes_and_a_lost_lock(fresh_game: Path) -> None:
    """Neither another seed in the manifest nor a missing lock overwrites a person's work."""
    edit(fresh_game / "scores/town.json")
    edited = (fresh_game / "scores/town.json").read_bytes()
    build(fresh_game)
    game(fresh_game, MANIFEST.replace("seed = 3", "seed = 30"))
    notes = planned(fresh_game).tracks["town"].notes
    assert notes == ("kept, somebody has worked on it; the manifest asks for seed 3 → 30",)
    (fresh_game / "nesasset.lock").unlink()
    build(fresh_game, make=partial(studio.make, compose=never))
    assert (fresh_game / "scores/town.json").read_bytes() == edited


def test_an_edited_score_that_is_gone_is_not_composed_anew(fresh_game: Path) -> None:
    """Lost work is told, not replaced."""
    edit(fresh_game / "scores/town.json")
    build(fresh_game)
    (fresh_game / "scores/town.json").unlink()
    with pytest.raises(LockError, match=r"restore scores/town.json from version control"):
        build(fresh_game)


def test_recompose_gives_the_composers_score_back(fresh_game: Path, built_game: Path) -> None:
    """Only --recompose overwrites an edited score."""
    edit(fresh_game / "scores/town.json")
    build(fresh_game)
    build(fresh_game, recompose=("town",))
    assert contents(fresh_game) == contents(built_game)


def test_an_edited_score_must_pass_its_certificate(fresh_game: Path) -> None:
    """An edit that breaks the loop fails the build and names the check; the files stay as they were."""
    before = contents(fresh_game / "pack")
    score_json.save(pieces.broken_loop_score(), fresh_game / "scores/town.json")
    with pytest.raises(CertificateError, match=r"track town: its score fails the certificate .held notes"):
        build(fresh_game)
    assert contents(fresh_game / "pack") == before


def test_a_score_by_hand_is_a_track(tmp_path: Path) -> None:
    """A score that lies there before the first build is taken, marked as a person's work, and called no AI's."""
    folder = game(tmp_path)
    (folder / "scores").mkdir()
    score_json.save(pieces.jingle_score(3), folder / "scores/victory.json")
    build(folder)
    sidecar = json.loads((folder / "pack/victory.track.json").read_bytes())
    assert (sidecar["edited"], sidecar["ai"]) == (True, {"pre_generated": False})
    assert "COMMENT" not in ogg.describe(folder / "pack/victory.ogg").tags


def test_a_kept_score_that_is_broken_is_one_sentence(fresh_game: Path) -> None:
    """A score that cannot be read stops the build and is not overwritten."""
    (fresh_game / "scores/town.json").write_text("{")
    with pytest.raises(NesassetError, match=r"scores/town.json: .*restore it from version control, or build with --recompose town"):
        build(fresh_game)
    assert (fresh_game / "scores/town.json").read_text() == "{"


def test_formatting_is_no_edit(fresh_game: Path) -> None:
    """A score whose text was laid out anew plays the same and is not marked."""
    path = fresh_game / "scores/town.json"
    path.write_text(json.dumps(json.loads(path.read_bytes())))
    build(fresh_game, make=partial(studio.make, compose=never))
    assert not json.loads((fresh_game / "pack/town.track.json").read_bytes())["edited"]
