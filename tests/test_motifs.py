"""The blind search for what scores have in common, and its command."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nesasset.formats import score_json, stack
from nesasset.motifs import find_common, line_symbols, places
from nesasset.score import HOLD, Instrument, Note, Score
from nesasset.units import VOICES

INSTRUMENTS = (Instrument("pulse"), Instrument("triangle"))
MAJOR = ((0, 60), (4, 62), (6, 64), (8, 67), (12, 65), (14, 71), (16, 69), (20, 67), (24, 60))  # F to B: a tritone, a fourth in minor
MINOR = ((0, 60), (4, 62), (6, 63), (8, 67), (12, 65), (14, 70), (16, 68), (20, 67), (24, 60))


def score(seed: int, planted: tuple[tuple[int, int], ...] = (), voice: str = "P1", at: tuple[int, ...] = (), move: int = 0) -> Score:
    """Return lines by chance in three voices, with a passage planted at some rows of one."""
    rng = np.random.default_rng(seed)
    voices = {name: [HOLD] * 256 for name in VOICES}
    for name in ("P1", "P2", "TR"):
        for row in np.flatnonzero(rng.random(256) < 0.4).tolist():
            voices[name][row] = Note(int(name == "TR"), int(rng.choice([48, 50, 52, 53, 55, 57, 59, 60, 62, 64])))
    for start in at:
        for row in range(start, start + planted[-1][0] + 1):
            voices[voice][row] = HOLD
        for row, pitch in planted:
            voices[voice][start + row] = Note(int(voice == "TR"), pitch + move)
    return Score({name: tuple(cells) for name, cells in voices.items()}, INSTRUMENTS)


def test_a_planted_passage_is_found() -> None:
    """In any voice, key, mode and place; it is told as long as it is, and everywhere it stands."""
    scores = {
        "a": score(1, MAJOR, "P1", (0, 128)),
        "b": score(2, MINOR, "P2", (37,), 5),
        "c": score(3, MAJOR, "TR", (200,), -7),
    }
    found = find_common(scores)
    assert found is not None
    assert found.notes == len(MAJOR)
    assert {name: [(place.voice, place.row) for place in there] for name, there in found.places.items()} == {
        "a": [("P1", 0), ("P1", 128)], "b": [("P2", 37)], "c": [("TR", 200)],
    }  # fmt: skip
    assert found.places["b"][0].pitches == tuple(pitch + 5 for _, pitch in MINOR)
    assert found.places["b"][0].rows == tuple(37 + row for row, _ in MINOR)
    rows, pitches = np.array(MINOR).T
    assert found.symbols == tuple(line_symbols(rows, pitches).tolist())
    assert list(places(found.symbols, score(4))) == []


def test_a_longer_passage_of_fewer_scores_does_not_count() -> None:
    """What two of three have is not common to all; what the third has of it is."""
    found = find_common({"a": score(1, MAJOR, at=(0,)), "b": score(2, MAJOR, at=(16,)), "c": score(3, MAJOR[:8], at=(16,))})
    assert found is not None
    assert found.notes == 8


@pytest.mark.parametrize("seed", range(20))
def test_chance_has_nothing_in_common(seed: int) -> None:
    """Lines by chance over one scale share no eight notes."""
    assert find_common({str(number): score(1000 * seed + number) for number in range(2)}) is None


def test_another_rhythm_or_step_is_another_passage() -> None:
    """A note a row later, or a third in the place of a step, and there is nothing in common."""
    late = tuple((row + (row == 12), pitch) for row, pitch in MAJOR)
    wide = tuple((row, pitch + 2 * (row == 14)) for row, pitch in MAJOR)
    for other in (late, wide):
        assert find_common({"a": score(1, MAJOR, at=(0,)), "b": score(2, other, at=(0,))}) is None


def test_repetitions_say_nothing() -> None:
    """One note again and again is no motif, however long it is."""
    same = tuple((2 * step, 60) for step in range(20))
    assert find_common({"a": score(1, same, at=(0,)), "b": score(2, same, at=(64,))}) is None


def test_nothing_to_search() -> None:
    """Without scores, or with silent ones, nothing is found."""
    silent = Score(dict.fromkeys(VOICES, (HOLD,) * 8), INSTRUMENTS)
    assert find_common({}) is None
    assert find_common({"a": silent, "b": silent}) is None


def test_a_score_is_found_in_itself() -> None:
    """Two equal scores have their longest line in common."""
    own = score(1)
    found = find_common({"a": own, "b": replace(own, title="b")})
    assert found is not None
    assert found.notes == max(sum(isinstance(cell, Note) for cell in own.voices[voice]) for voice in VOICES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pack").mkdir()
    score_json.save(score(1, MAJOR, "P1", (0, 128)), tmp_path / "pack/a.json")
    score_json.save(score(2, MINOR, "P2", (37,), 5), tmp_path / "pack/b.json")
    score_json.save(score(5), tmp_path / "c.json")
    return tmp_path


def test_the_command(run, folder: Path, monkeypatch) -> None:
    """It prints length, notes and places, and draws all scores with the passage framed."""
    monkeypatch.chdir(folder)
    code, output, errors = run("leitmotif", "pack", "-o", "all.png")
    assert (code, errors) == (0, "")
    assert output.splitlines() == [
        "9 notes in all 2 scores, as pack/a.json has them: C4/4 D4/2 E4/2 G4/4 F4/2 B4/2 A4/4 G4/4 C4/1",
        "score        times  where",
        "pack/a.json      2  P1 bars 1, 9",
        "pack/b.json      1  P2 bar 3",
    ]
    assert (folder / "all.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(run("leitmotif", "pack/a.json", "pack/b.json", "--json")[1])
    assert told["notes"] == 9
    assert [entry["places"][0]["row"] for entry in told["scores"]] == [0, 37]


def test_the_command_finds_nothing(run, folder: Path, monkeypatch) -> None:
    """Scores without a common passage are no failure."""
    monkeypatch.chdir(folder)
    assert run("leitmotif", "pack", "c.json") == (0, "the 3 scores have no passage of 8 notes in common\n", "")
    assert run("leitmotif", "pack", "c.json", "--json")[1] == "null\n"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("pack/a.json",), 2, "two scores at least have something in common, not 1"),
        (("pack/a.json", "pack/a.json"), 2, "two scores at least have something in common, not 1"),
        ((".", "-o", "a.jpg"), 2, "the picture is a PNG, so its name ends in .png, not 'a.jpg'"),
        (("empty",), 1, "there is no score in empty"),
        (("no.json", "c.json"), 1, "cannot read 'no.json'"),
    ],
)
def test_wrong_usage_is_one_sentence(run, folder: Path, monkeypatch, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    """Exit code 2 for what was typed, 1 for files."""
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    found, output, errors = run("leitmotif", *arguments)
    assert (found, output, errors.count("\n")) == (code, "", 1)
    assert sentence in errors


def test_marks_frame_a_passage() -> None:
    """A mark changes pixels about its notes, and none in the other score's roll."""
    scores = {"a": score(1), "b": score(2)}
    plain, marked = (np.asarray(stack.draw(scores, "t", marks=marks)) for marks in (None, {"a": [(0, 32, 50, 60)]}))
    rows = np.flatnonzero((plain != marked).any(axis=(1, 2)))
    assert 0 < len(rows) < len(plain) / 2
    assert rows.max() < len(plain) / 2


def test_waits_and_moves_are_limited() -> None:
    """The longest waits and widest moves stay apart from each other."""
    symbols = line_symbols(np.array([0, 500, 501, 502]), np.array([21, 108, 21, 22]))
    assert len(set(symbols.tolist())) == 3
    assert all(one != other for one, other in pairwise(symbols.tolist()))
