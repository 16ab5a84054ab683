"""The plan of a soundtrack: keys and tempos over the levels, and tracks that are too much alike."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pieces
import pytest

from nesasset.build import builder, lock, manifest, plan, project, studio
from nesasset.build.alike import share, too_alike, words_of
from nesasset.build.arc import Arc, along
from nesasset.build.builder import Settings
from nesasset.build.cache import Cache
from nesasset.build.order import Order
from nesasset.compose.controls import Controls
from nesasset.compose.motif import parse_motif
from nesasset.errors import ManifestError, QualityError
from nesasset.formats import score_json
from nesasset.score import HOLD, Note, Score
from nesasset.themes import THEMES
from nesasset.units import VOICES

HEAD = "schema = 1\n[pack]\nname = 'tests'\n"
TRACKS = "".join(f"[track.{name}]\ntheme = '{name}'\nseed = 1\n" for name in ("overworld", "cave", "castle", "boss"))
PLAN = "[plan]\nlevels = ['overworld', 'cave', 'castle', 'boss']\nkey = 'D'\nkeys = 'fifths'\ntempo = [0.9, 1.2]\n"
MOTIF = "C5/4 D5/2 E5/2 G5/4 A5/4 F5/2 E5/2 D5/4 C5/4 G5/4"


# The arc.


def wishes(text: str) -> dict[str, Controls]:
    made = manifest.loads(text)
    return {track_id: made.controls(track_id) for track_id in made.track}


def test_keys_and_tempos_go_along_the_levels() -> None:
    """Each level is a fifth above the last, and faster in even steps beside its theme's own tempo."""
    found = wishes(HEAD + TRACKS + PLAN)
    assert [controls.key for controls in found.values()] == ["D", "A", "E", "B"]
    factors = [controls.tempo_bpm / THEMES[name].tempo_bpm for name, controls in found.items()]
    assert factors == pytest.approx([0.9, 1.0, 1.1, 1.2], abs=0.001)


@pytest.mark.parametrize(
    ("more", "keys"),
    [
        ("key = 'D'", ["D", "D", "D", "D"]),
        ("keys = 'rising'", ["C", "D", "E", "F#"]),
        ("key = 'Bb'\nkeys = 'rising'", ["A#", "C", "D", "E"]),
        ("tempo = [1, 1]", [None] * 4),
    ],
)
def test_keys(more: str, keys: list[str | None]) -> None:
    """Without keys all have one; without a key it begins in C; without both there is no key."""
    assert [controls.key for controls in wishes(f"{HEAD}{TRACKS}[plan]\nlevels = ['overworld', 'cave', 'castle', 'boss']\n{more}\n").values()] == keys


def test_what_a_track_asks_for_goes_before() -> None:
    """A track's own key, tempo, chords and intensity stay, and so do the defaults; the other levels keep their places."""
    own = TRACKS.replace("[track.castle]\n", "[track.castle]\nkey = 'F'\nintensity = 0.5\n").replace("[track.cave]\n", "[track.cave]\nchords = 'C F G C'\ntempo = 100\n")
    found = wishes(HEAD + own + PLAN)
    assert [controls.key for controls in found.values()] == ["D", None, "F", "B"]
    assert (found["cave"].tempo_bpm, found["castle"].tempo_bpm) == (100, None)
    found = wishes(HEAD + "[defaults]\nkey = 'G'\ntempo = 90\n" + TRACKS + PLAN)
    assert {(controls.key, controls.tempo_bpm) for controls in found.values()} == {("G", 90)}


def test_a_track_outside_the_levels_is_left_alone() -> None:
    """Only the levels are planned, and one level alone begins the arc; a tempo stays within what may be asked for."""
    found = wishes(HEAD + TRACKS + "[plan]\nlevels = ['boss']\nkey = 'E'\ntempo = [2, 1]\n")
    assert found["overworld"] == Controls()
    assert found["boss"] == Controls(key="E", tempo_bpm=300.0)
    assert along(Arc(("a",), 4, "same", (0.5, 0.5)), "a", "ending", Controls()).tempo_bpm == 50.0


def test_members_follow_their_parent() -> None:
    """A family's members have the controls of the track that they are versions of."""
    text = HEAD + TRACKS.replace("[track.cave]\n", "[track.cave]\nfamily = ['calm']\n") + PLAN
    values, _ = project._judged(text, "nesasset.toml", Path())
    assert values["tracks"]["cave"]["controls"]["key"] == "A"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("levels = ['overwolrd']", "nesasset.toml:18: plan.levels: no track is named 'overwolrd', did you mean overworld?"),
        ("levels = ['x']", "nesasset.toml:18: plan.levels: no track is named 'x'; there are overworld, cave, castle, boss"),
        ("levels = ['cave', 'cave']", "nesasset.toml:18: plan.levels: cave stands there twice; once is enough"),
        ("levels = []", "nesasset.toml:18: plan.levels must have at least 1 entries"),
        ("key = 'C'", "plan.levels is missing"),
        ("levels = ['cave']\nkey = 'H'", "nesasset.toml:19: plan.key: key must be a note name"),
        ("levels = ['cave']\nkeys = 'fourths'", "nesasset.toml:19: plan.keys must be 'same', 'fifths' or 'rising', not 'fourths'"),
        ("levels = ['cave']\ntempo = [1]", "nesasset.toml:19: plan.tempo must have at least 2 entries"),
        ("levels = ['cave']\ntempo = [1, 9]", "must be at most 2, not 9"),
        ("levels = ['cave']\ntmepo = [1, 1]", "unknown key plan.tmepo, did you mean tempo?"),
    ],
)
def test_faults_of_a_plan_have_their_place(more: str, sentence: str) -> None:
    """Line, key, what is allowed and what was meant."""
    with pytest.raises(ManifestError) as caught:
        manifest.loads(f"{HEAD}{TRACKS}\n[plan]\n{more}\n")
    assert sentence in str(caught.value)


def test_a_member_is_no_level() -> None:
    """It follows its parent, which is said."""
    with pytest.raises(ManifestError, match=r"plan.levels: cave-calm is a member of a family and follows its parent; name that one"):
        manifest.loads(HEAD + TRACKS.replace("[track.cave]\n", "[track.cave]\nfamily = ['calm']\n") + "[plan]\nlevels = ['cave-calm']\n")


def test_a_motif_for_all_tracks() -> None:
    """It stands under [defaults], is judged as it is on the command line, and a key of the plan that leaves it no place is a fault of the track."""
    found = wishes(f"{HEAD}[defaults]\nmotif = '{MOTIF}'\n{TRACKS}")
    assert {controls.motif for controls in found.values()} == {MOTIF}
    other = TRACKS.replace("[track.cave]\n", "[track.cave]\nmotif = ''\nvoices = 'TR'\n").replace("[track.boss]\n", "[track.boss]\nmotif = 'c5/4 d5/4  e5/4 c5/4'\n")
    assert [controls.motif for controls in wishes(f"{HEAD}[defaults]\nmotif = '{MOTIF}'\n{other}").values()] == [MOTIF, None, MOTIF, "C5/4 D5/4 E5/4 C5/4"]
    with pytest.raises(ManifestError, match=r"defaults.motif: a motif must have 4 to 32 notes, not 1"):
        manifest.loads(f"{HEAD}[defaults]\nmotif = 'C5/4'\n{TRACKS}")
    narrow = TRACKS.replace("[track.castle]\n", "[track.castle]\nmelody_range = 'C4-C5'\n")
    with pytest.raises(ManifestError, match=r"track.castle: the motif spans 9 semitones and has no place within C4-C5 in the key of E"):
        manifest.loads(f"{HEAD}[defaults]\nmotif = '{MOTIF}'\n{narrow}{PLAN}".replace("'D'", "'D'"))


def test_levels_may_come_from_maps(tmp_path: Path) -> None:
    """A map's track is a level like others; a level that neither has is told."""
    level = '{"type": "map", "width": 1, "height": 1, "layers": [], "properties": [{"name": "music_theme", "type": "string", "value": "cave"}]}'
    (tmp_path / "deep.tmj").write_text(level)
    text = HEAD + "[sources]\nmaps = ['*.tmj']\n[track.boss]\ntheme = 'boss'\n[plan]\nlevels = ['deep', 'boss']\nkey = 'E'\nkeys = 'fifths'\n"
    values, _ = project._judged(text, "nesasset.toml", tmp_path)
    assert [values["tracks"][name]["controls"]["key"] for name in ("deep", "boss")] == ["E", "B"]
    with pytest.raises(ManifestError, match=r"plan.levels: no track is named 'deeep', did you mean deep\?"):
        project._judged(text.replace("'deep'", "'deeep'"), "nesasset.toml", tmp_path)


# Tracks that are alike.


def random_score(seed: int, motif: str | None = None) -> Score:
    """Return a piece by chance that begins with a motif."""
    rng = np.random.default_rng(seed)
    voices = {voice: [HOLD] * 256 for voice in VOICES}
    for row in np.flatnonzero(rng.random(256) < 0.5).tolist():
        voices["P1"][row] = Note(0, int(rng.integers(60, 80)))
    row = 0
    for pitch, rows in parse_motif(motif).notes if motif else ():
        for there in range(row, row + rows):
            voices["P1"][there] = HOLD
        if pitch is not None:
            voices["P1"][row] = Note(0, pitch)
        row += rows
    return Score({voice: tuple(cells) for voice, cells in voices.items()}, pieces.INSTRUMENTS)


def test_shares() -> None:
    """The same piece is wholly alike in another key; one by chance not at all; a half is a half, and counts for the shorter one."""
    one, other = words_of(pieces.loop_score(1), None), words_of(pieces.loop_score(98), None)
    assert share(one, one) == share(one, other) == 1.0
    found, stranger = words_of(random_score(1), None), words_of(random_score(2), None)
    assert share(found, stranger) == 0.0
    assert share(found[:40], found) == 1.0
    assert share(np.concatenate([found[:20], stranger[:20]]), found) == 0.5
    assert share(found[:7], found) == 0.0


def test_a_motif_in_common_does_not_count() -> None:
    """Its passages are left out of both."""
    without = words_of(random_score(1, MOTIF), MOTIF)
    assert len(np.intersect1d(words_of(random_score(1, MOTIF), None), words_of(random_score(2, MOTIF), None))) == 3
    assert not len(np.intersect1d(without, words_of(random_score(2, MOTIF), None)))


def test_whom_the_sentence_names() -> None:
    """Of two the later one, or the one that was made; never two of a family, nor two that were judged before."""
    score = random_score(1)
    scores = {"a": score, "b": score, "b-calm": score}
    orders = {"a": Order("a", "cave"), "b": Order("b", "cave"), "b-calm": Order("b-calm", "cave", parent="b", member="calm")}
    assert [name for name, _ in too_alike(scores, orders, {"a", "b"}, 0.5)] == ["b", "a"]
    assert [name for name, _ in too_alike(scores, orders, {"a"}, 0.5)] == ["a", "a"]
    assert list(too_alike(scores, orders, set(), 0.5)) == []
    assert list(too_alike(scores, orders, {"a", "b"}, 1.0)) == []


# In a build.

ALIKE = HEAD + "[track.one]\ntheme = 'town'\nseed = 3\n[track.two]\ntheme = 'boss'\nseed = 3\n[track.three]\ntheme = 'cave'\nseed = 4\n[quality]\nalike = 0.95\n"
MAKE = partial(studio.make, compose=pieces.compose)
SENTENCE = "track two has 100% of its passages of eight notes in common with one, where 95% are allowed: give one of them another seed, or allow more with alike in [quality]"


def game(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nesasset.toml").write_text(text, encoding="utf-8")
    return folder


def build(folder: Path, **settings) -> builder.Result:
    return builder.build(project.load(folder / "nesasset.toml"), Settings(make=MAKE, **settings))


def test_the_build_fails_until_a_track_is_another(tmp_path: Path) -> None:
    """The sentence names both tracks; the others are finished and locked; it fails again, and passes with another seed."""
    folder, cache = game(tmp_path / "game", ALIKE), Cache(tmp_path / "cache")
    for _ in range(2):
        with pytest.raises(QualityError) as caught:
            build(folder, cache=cache)
        assert str(caught.value) == SENTENCE
        assert set(lock.load(folder / "nesasset.lock").tracks) == {"one", "three"}
        assert [name for name, track in plan.make(project.load(folder / "nesasset.toml")).tracks.items() if not track.fresh] == ["two"]
    game(folder, ALIKE.replace("theme = 'boss'\nseed = 3", "theme = 'boss'\nseed = 5"))
    build(folder, cache=cache)
    assert set(lock.load(folder / "nesasset.lock").tracks) == {"one", "two", "three"}
    assert build(folder, cache=cache).plan.fresh


def test_a_stricter_wish_is_judged_again(tmp_path: Path) -> None:
    """Without alike nothing is judged; when it is asked for, a pack that is finished is."""
    folder, cache = game(tmp_path / "game", ALIKE.replace("[quality]\nalike = 0.95\n", "")), Cache(tmp_path / "cache")
    build(folder, cache=cache)
    game(folder, ALIKE)
    with pytest.raises(QualityError, match="track two has 100%"):
        build(folder, cache=cache)


def test_packs_that_do_not_ask_stay_fresh() -> None:
    """What [quality] says of a track's files is what it said before there was such a wish."""
    assert project.Quality(None, -1.0, 2.0).to_json() == {"loudness": None, "true_peak": -1.0, "tolerance": 2.0}
    assert project.Quality(None, -1.0, 2.0, 0.5).to_json()["alike"] == 0.5


def test_the_number_of_workers_does_not_matter(tmp_path: Path) -> None:
    """Two processes fail with the same sentence and lock as one."""
    texts = []
    for processes in (1, 2):
        folder = game(tmp_path / str(processes), ALIKE)
        with pytest.raises(QualityError) as caught:
            build(folder, processes=processes)
        texts.append((str(caught.value), (folder / "nesasset.lock").read_bytes()))
    assert texts[0] == texts[1]


def test_a_motif_is_a_wish_of_the_lock(tmp_path: Path) -> None:
    """Another motif composes the tracks anew, and says so."""
    folder = game(tmp_path / "game", f"{HEAD}[defaults]\nmotif = '{MOTIF}'\n[track.one]\ntheme = 'town'\n")
    build(folder)
    assert score_json.load(folder / "scores/one.json").provenance["controls"]["motif"] == MOTIF
    game(folder, f"{HEAD}[defaults]\nmotif = 'C5/4 D5/4 E5/4 C5/4'\n[track.one]\ntheme = 'town'\n")
    todo = plan.make(project.load(folder / "nesasset.toml"))
    assert todo.tracks["one"].reasons == (f"motif {MOTIF} → C5/4 D5/4 E5/4 C5/4",)
