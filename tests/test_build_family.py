"""Families in a build: members are tracks of their own, made from their parent's score, locked and cached like all others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pieces
import pytest

from nesasset.build import builder, lock, manifest, plan, project, studio
from nesasset.build.builder import Settings
from nesasset.build.cache import Cache
from nesasset.build.seal import is_edited, seal
from nesasset.compose.family import make
from nesasset.compose.kinship import same_grid
from nesasset.compose.members import find_member
from nesasset.errors import CertificateError, ManifestError
from nesasset.formats import score_json

MANIFEST = """
schema = 1
[pack]
name = "tests"
[defaults]
bars = 2
[track.town]
theme = "town"
seed = 3
title = "Market day"
family = ["calm", "fast"]
[track.boss]
theme = "boss"
seed = 4
[export.plain]
dir = "pack"
[export.godot]
dir = "godot"
"""
MAKE = partial(studio.make, compose=pieces.compose)


def game(folder: Path, text: str = MANIFEST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nesasset.toml").write_text(text, encoding="utf-8")
    return folder


def build(folder: Path, make=MAKE, cache: Cache | None = None, **settings) -> builder.Result:
    return builder.build(project.load(folder / "nesasset.toml"), Settings(make=make, cache=cache, **settings))


def reasons(folder: Path) -> dict[str, tuple[str, ...]]:
    todo = plan.make(project.load(folder / "nesasset.toml"))
    return {track_id: track.reasons for track_id, track in todo.tracks.items() if not track.fresh}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = game(tmp_path_factory.mktemp("family") / "game")
    build(folder)
    return folder


@pytest.fixture
def fresh(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "game"))


def test_members_are_tracks(built: Path) -> None:
    """Each has its score and files, on the parent's grid, with a title of its own; the sidecars say who belongs to whom."""
    parent = score_json.load(built / "scores/town.json")
    for member, tempo in (("calm", 0.9), ("fast", 4 / 3)):
        score = score_json.load(built / f"scores/town-{member}.json")
        assert same_grid(parent, score)
        assert score.title == f"Market day ({member})"
        assert score.tempo_bpm == pytest.approx(parent.tempo_bpm * tempo, rel=0.03)
        facts = json.loads((built / f"pack/town-{member}.track.json").read_text())
        assert facts["family"] == {"of": "town", "member": member}
        assert not facts["edited"]
    facts = json.loads((built / "pack/town.track.json").read_text())
    assert facts["family"] == {"members": ["town-calm", "town-fast"]}
    assert "family" not in json.loads((built / "pack/boss.track.json").read_text())
    tracks = {entry["id"]: entry for entry in json.loads((built / "pack/pack.json").read_text())["tracks"]}
    assert list(tracks) == ["town", "town-calm", "town-fast", "boss"]
    assert tracks["town-calm"]["bars"] == tracks["town"]["bars"]


def test_a_second_build_does_nothing(fresh: Path) -> None:
    """Members are pinned: nothing is stale, and --locked and --frozen are content."""
    assert reasons(fresh) == {}
    for mode in ("locked", "frozen"):
        assert build(fresh, mode=mode).written == []


@pytest.mark.parametrize("settings", [{"processes": 2}, {"cache": True}], ids=["processes", "cache"])
def test_every_build_gives_the_same_bytes(built: Path, tmp_path: Path, settings: dict) -> None:
    """With two processes, and with a cache twice, the files are those of one process without one."""
    cache = Cache(tmp_path / "cache") if settings.pop("cache", False) else None
    for name in ("one", "two"):
        folder = game(tmp_path / name)
        build(folder, cache=cache, **settings)
        assert contents(folder) == contents(built)


def test_the_lock_and_the_scores_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """On another machine the scores and the lock are enough, and nothing is composed."""
    folder = game(tmp_path / "game")
    shutil.copytree(built / "scores", folder / "scores")
    shutil.copy(built / "nesasset.lock", folder)
    build(folder, make=partial(studio.make, compose=lambda *_: pytest.fail("composed")), mode="locked")
    assert contents(folder) == contents(built)


def test_a_lost_lock_composes_nothing(fresh: Path, built: Path) -> None:
    """Without the lock, members are known as their parent's by what their scores say of it."""
    (fresh / "nesasset.lock").unlink()
    assert all(not why for why in reasons(fresh).values())
    build(fresh, make=partial(studio.make, compose=lambda *_: pytest.fail("composed")))
    assert contents(fresh) == contents(built)


def test_a_member_follows_its_parent(fresh: Path) -> None:
    """Another seed of the parent, or a hand on its score, makes its members anew, and no others."""
    text = MANIFEST.replace("seed = 3", "seed = 8")
    game(fresh, text)
    assert set(reasons(fresh)) == {"town", "town-calm", "town-fast"}
    build(fresh)
    assert reasons(fresh) == {}
    path = fresh / "scores/town.json"
    score = score_json.loads(path.read_text())
    voices = dict(score.voices)
    voices["P1"] = tuple(reversed(voices["P1"][:16])) + voices["P1"][16:]
    path.write_text(score_json.dumps(replace(score, voices=voices)))
    found = reasons(fresh)
    assert found["town-calm"] == ("its parent town has changed",)
    assert "boss" not in found
    before = (fresh / "scores/town-calm.json").read_bytes()
    build(fresh)
    assert (fresh / "scores/town-calm.json").read_bytes() != before
    assert score_json.load(fresh / "scores/town-calm.json").provenance["parent"]["sha256"] == score_json.music_digest(score_json.load(path))
    assert reasons(fresh) == {}


def test_a_new_title_of_the_parent_composes_nothing(fresh: Path) -> None:
    """The titles of the whole family change; no note does."""
    game(fresh, MANIFEST.replace("Market day", "Fair"))
    build(fresh, make=partial(studio.make, compose=lambda *_: pytest.fail("composed")))
    assert score_json.load(fresh / "scores/town-calm.json").title == "Fair (calm)"
    assert reasons(fresh) == {}


def test_an_edited_member_is_kept(fresh: Path) -> None:
    """A hand on a member's score is no reason to make it anew, nor is another parent then."""
    path = fresh / "scores/town-calm.json"
    score = score_json.load(path)
    path.write_text(score_json.dumps(replace(score, groove=(9,))))
    kept = path.read_bytes()
    game(fresh, MANIFEST.replace("seed = 3", "seed = 8"))
    build(fresh)
    assert path.read_bytes() == kept


def test_what_was_made_of_another_score_by_hand_is_kept(fresh: Path) -> None:
    """A member or a variation that a person has put in a track's place is never composed anew, sealed or not."""
    made = seal(make(score_json.load(fresh / "scores/boss.json"), find_member("night")))
    (fresh / "scores/boss.json").write_text(score_json.dumps(made))
    assert is_edited(made)
    build(fresh)
    assert score_json.load(fresh / "scores/boss.json") == made
    assert reasons(fresh) == {}


def test_one_more_member_makes_one(fresh: Path) -> None:
    """A member that is added is made; of the parent only its files are, which name the family."""
    game(fresh, MANIFEST.replace('"fast"', '"fast", "night"'))
    assert reasons(fresh) == {"town-night": ("it is new",), "town": ()}
    build(fresh)
    assert (fresh / "pack/town-night.ogg").is_file()
    assert reasons(fresh) == {}


def test_only_a_member(tmp_path: Path) -> None:
    """A member can be made before its parent has been, and stays when that comes."""
    folder = game(tmp_path / "game")
    build(folder, only=lambda track_id: track_id == "town-calm")
    made = (folder / "scores/town-calm.json").read_bytes()
    assert not (folder / "scores/town.json").exists()
    build(folder)
    assert (folder / "scores/town-calm.json").read_bytes() == made


def refuse_town(theme, seed, controls):
    raise CertificateError("no town")


def test_a_parent_that_fails_takes_its_family_along(tmp_path: Path) -> None:
    """Members of a track that cannot be made are not tried; all others are written."""

    def compose(theme, seed, controls):
        return refuse_town(theme, seed, controls) if theme == "town" else pieces.compose(theme, seed, controls)

    folder = game(tmp_path / "game")
    with pytest.raises(CertificateError, match=r"^no town$"):
        build(folder, make=partial(studio.make, compose=compose))
    assert sorted(path.name for path in (folder / "scores").iterdir()) == ["boss.json"]


def test_the_lock_comes_back(built: Path) -> None:
    """Members and their parents' digests survive the lock's text."""
    known = lock.load(built / "nesasset.lock")
    assert known is not None
    assert known.tracks["town-calm"].wishes["family"] == "calm"
    assert known.tracks["town-calm"].parent_pcm == known.tracks["town"].pcm_sha256[:16]
    assert lock.loads(lock.dumps(known)) == known


def test_godot_knows_the_family(built: Path) -> None:
    """The script has a table of the family, the lengths by which a place in one is found in another, and functions that use them."""
    text = (built / "godot/nesasset_music.gd").read_text()
    assert '"town": ["town", "town_calm", "town_fast"]' in text
    assert "func change(track: String)" in text
    assert "func family(track: String)" in text
    seconds = {name: float(json.loads((built / f"pack/{name}.track.json").read_text())["seconds"]) for name in ("town", "town-fast")}
    for name, length in seconds.items():
        assert f'"{name.replace("-", "_")}": {length:.9f}' in text
    assert text.count("{") == text.count("}")


def test_godot_without_families_has_no_word_of_them(tmp_path: Path) -> None:
    """The script of a pack without families is as it was."""
    folder = game(tmp_path / "game", MANIFEST.replace('family = ["calm", "fast"]\n', ""))
    build(folder)
    text = (folder / "godot/nesasset_music.gd").read_text()
    assert "FAMILIES" not in text
    assert "family" not in text


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ('["clam"]', "a family has no member 'clam', did you mean calm"),
        ('["calm", "calm"]', "calm stands there twice"),
        ('"calm"', "track.town.family must be a list in brackets"),
        ('["fast"]\n[track.town-fast]\ntheme = "boss"', "its fast would be the track town-fast, which there is already"),
    ],
)
def test_faults_of_a_family(family: str, message: str) -> None:
    """Members that are unknown, stand there twice or take another track's id are told with their line."""
    with pytest.raises(ManifestError, match=r"nesasset\.toml:\d+: ") as caught:
        manifest.loads(MANIFEST.replace('["calm", "fast"]', family))
    assert message in str(caught.value)


def test_a_long_id_has_no_room_for_a_member() -> None:
    """An id of 62 letters cannot have -calm behind it."""
    with pytest.raises(ManifestError, match="would have 67 letters"):
        manifest.loads(MANIFEST.replace("[track.town]", f"[track.{'t' * 62}]"))
