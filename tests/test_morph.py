"""The way between two scores: its ends, its steps, what is refused."""

from __future__ import annotations

import importlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from standin_model import standin

from nesasset.cli import group
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.morph import Way, likeness, morph
from nesasset.compose.point import between, point_of
from nesasset.compose.request import generator
from nesasset.errors import ControlError, MaterialError
from nesasset.formats import score_json
from nesasset.model import Model
from nesasset.score import Note, Score
from nesasset.units import VOICES


@pytest.fixture(scope="module")
def model() -> Model:
    return standin()


@pytest.fixture(scope="module")
def ends(model: Model) -> tuple[Score, Score]:
    """Two pieces of different length, tempo and key."""
    controls = [Controls(bars=4, key="C", tempo_bpm=100, candidates=1), Controls(bars=6, key="E", tempo_bpm=150, candidates=1)]
    one, other = (compose("castle", seed, wishes, model) for seed, wishes in enumerate(controls))
    return one, other


@pytest.fixture(scope="module")
def way(ends: tuple[Score, Score], model: Model) -> list[Score]:
    return morph(*ends, steps=5, seed=3, model=model)


def test_the_ends_are_the_pieces_themselves(ends: tuple[Score, Score], way: list[Score]) -> None:
    """First and last are the very scores; what is between has both as parents, in order."""
    assert way[0] is ends[0] and way[-1] is ends[1]
    for number, score in enumerate(way[1:-1], start=1):
        assert score.provenance["operation"] == "morph" and score.provenance["share"] == number / 4
        assert [parent["sha256"] for parent in score.provenance["parents"]] == [score_json.music_digest(end) for end in ends]


def test_every_step_loops_and_tempo_goes_along(way: list[Score]) -> None:
    """Each loops from its first row to its last, in whole bars, a little faster than the one before."""
    for score in way[1:-1]:
        assert score.loop == (0, score.n_rows) and score.n_rows == 6 * 16
        assert any(isinstance(cell, Note) for voice in VOICES for cell in score.voices[voice])
    tempos = [score.tempo_bpm for score in way]
    assert tempos == sorted(tempos)


def test_the_same_seed_gives_the_same_way(ends: tuple[Score, Score], way: list[Score], model: Model) -> None:
    """Bytes are equal for the same seed and differ for another."""
    again, other = (Way.between(*ends, model).step(2, 5, seed) for seed in (3, 4))
    assert score_json.dumps(again) == score_json.dumps(way[2])
    assert score_json.dumps(other) != score_json.dumps(way[2])


def test_another_chance_keeps_what_stands(ends: tuple[Score, Score], model: Model) -> None:
    """A step composed again keeps its place on the way: the parts of both pieces are the same, what is between them is another."""
    line = Way.between(*ends, model)
    own, again = line.step(4, 9, 3), line.step(4, 9, 3, chance=7)
    assert own.voices != again.voices
    assert (own.provenance["seed"], again.provenance["seed"], again.provenance["chance"]) == (3, 3, 7)
    words = ("morph", *(parent["sha256"] for parent in own.provenance["parents"]), 3)
    source = np.repeat(line.sources(0.5, generator(words).random((6, 4))), 16, axis=0)
    assert 0.2 < (source >= 0).mean() < 0.9
    for column, voice in enumerate(VOICES):
        pairs = zip(own.voices[voice], again.voices[voice], source[:, column].tolist(), strict=True)
        kept = [(type(one), getattr(one, "pitch", None)) == (type(other), getattr(other, "pitch", None)) for one, other, where in pairs if where >= 0]
        assert all(kept)


def test_a_step_that_falls_back_is_composed_again(ends: tuple[Score, Score], model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are added until one is no farther from the second piece than was asked, some rounds at most; then the nearest is taken."""
    module = importlib.import_module("nesasset.compose.morph")
    line = Way.between(*ends, model)
    counted: list[int] = []
    carry_out = module.carry_out
    monkeypatch.setattr(module, "carry_out", lambda *given: counted.append(len(given[2])) or carry_out(*given))
    free = line.step(4, 9, 3)
    assert counted == [module.CANDIDATES]
    counted.clear()
    far = line.step(4, 9, 3, beyond=1.0)
    assert counted == [module.CANDIDATES] * module.ROUNDS
    assert line.progress(far, 0.5) >= line.progress(free, 0.5)
    assert line.progress(ends[0], 0) < line.progress(free, 0.5) < line.progress(ends[1], 1)


def test_what_has_left_never_returns_and_what_has_entered_stays(ends: tuple[Score, Score], model: Model) -> None:
    """Sources of parts along a fine way: the first score's only ever become fewer, the second's only ever more; repeats go together."""
    line = Way.between(*ends, model)
    lots = np.random.default_rng(0).random((6, 4))
    steps = [line.sources(share, lots) for share in np.linspace(0, 1, 41)]
    assert (steps[0] == 0).all() and (steps[-1] == 1).all()
    assert all((step == -1).any() for step in steps[16:24])
    for before, after in pairwise(steps):
        assert not ((before != 0) & (after == 0)).any()
        assert not ((before == 1) & (after != 1)).any()


def test_kept_parts_are_the_pieces_own(ends: tuple[Score, Score], model: Model) -> None:
    """Near an end nearly all is that end's, in the step's key, and nearly nothing the other's."""
    line = Way.between(*ends, model)
    for place, near in ((1, 0), (31, 1)):
        score, moved = line.step(place, 33, 3), round(place / 32 * line.semitones)
        shares = likeness(score, ends[0], moved), likeness(score, ends[1], moved - line.semitones)
        assert shares[near] > 0.75 and shares[1 - near] < 0.3
    assert likeness(ends[0], ends[0], 0) == 1


def test_other_metres_and_pieces_that_end_are_refused(ends: tuple[Score, Score], model: Model) -> None:
    """One sentence each."""
    waltz = replace(ends[0], bar_rows=12, voices={voice: part[:48] for voice, part in ends[0].voices.items()}, loop=(0, 48))
    with pytest.raises(MaterialError, match="one metre: the bars of the first have 16 rows, those of the second 12"):
        morph(ends[0], waltz, model=model)
    jingle = compose("victory", 1, Controls(bars=2, candidates=1), model)
    with pytest.raises(MaterialError, match="does not loop"):
        morph(jingle, ends[1], model=model)
    for steps in (2, 34, True):
        with pytest.raises(ControlError, match="steps must be between 3 and 33"):
            morph(*ends, steps=steps, model=model)


def test_points_between_are_on_the_arc() -> None:
    """The ends are the ends, the length goes evenly, the angle likewise; points without an arc go straight."""
    one, other = np.array([2.0, 0, 0]), np.array([0, 4.0, 0])
    assert np.allclose(between(one, other, 0), one) and np.allclose(between(one, other, 1), other)
    middle = between(one, other, 0.5)
    assert np.linalg.norm(middle) == pytest.approx(3) and middle[0] == pytest.approx(middle[1])
    assert np.allclose(between(one, -one, 0.25), [1, 0, 0]) and np.allclose(between(one, 2 * one, 0.5), [3, 0, 0])


def test_a_piece_and_its_transposition_are_nearer_than_two_pieces(model: Model) -> None:
    """The point says how a piece goes more than where it lies, even under a model of random weights."""
    rng = np.random.default_rng(0)
    cells = np.where(rng.random((64, 4)) < 0.6, 0, 40 + rng.integers(0, 12, (64, 4)))
    slots = np.where(cells[:, [0, 1, 3]] > 1, 0, -1)
    others = np.where(rng.random((64, 4)) < 0.2, 0, 30 + rng.integers(0, 24, (64, 4)))
    points = [point_of(model, each, slots, 16) for each in (cells, np.where(cells > 1, cells + 2, cells), others)]
    assert np.linalg.norm(points[0] - points[1]) < np.linalg.norm(points[0] - points[2])


def test_the_command_writes_every_step(ends: tuple[Score, Score], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbered scores and a picture; a bad wish leaves nothing behind."""
    for name, score in zip(("a", "b"), ends, strict=True):
        score_json.save(score, tmp_path / f"{name}.json")
    monkeypatch.setattr("nesasset.model.default_model", standin)
    told = ["morph", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "-o", str(tmp_path / "out")]
    bad = CliRunner().invoke(group, [*told, "--steps", "2"])
    assert bad.exit_code and not (tmp_path / "out").exists()
    result = CliRunner().invoke(group, [*told, "--steps", "3", "--plot", str(tmp_path / "way.png"), "--json"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-b-1.json", "a-b-2.json", "a-b-3.json"]
    assert score_json.load(tmp_path / "out" / "a-b-1.json").voices == ends[0].voices
    assert (tmp_path / "way.png").read_bytes().startswith(b"\x89PNG")
