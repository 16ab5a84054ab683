"""The judge's seams and its command: the whole on made-up songs."""


from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pieces
import pytest
from click.testing import CliRunner
from judged_pieces import form_score, grow_few_trees, melody, tune, tune_items
from made_up_corpus import write_corpus

from export.judge import draw_windows, main, most_telling
from export.judging.features import (
    bar_statistics,
)
from export.judging.negatives import shuffle_rows
from export.judging.seams import Seam, judge_seam, score_loop, split_loops, summarise_seams
from export.judging.sides import Item, fill_folder, load_scores, score_items, song_windows
from export.judging.table import BARS, verdict
from export.loop_report import real_windows
from export.measures import cells_to_piece, score_to_piece
from nesasset.compose import compose
from nesasset.compose.assemble import instrument_volumes
from nesasset.compose.controls import Controls
from nesasset.errors import CertificateError
from nesasset.formats import score_json
from nesasset.model import load_model
from nesasset.score import Note
from nesasset.vocabulary import HOLD_ID

STANDIN = Path(__file__).parent / "standin" / "standin.json"


@pytest.fixture(scope="module")
def model():
    return load_model(STANDIN)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("judge") / "corpus", n_train=45, n_valid=24, n_bars=5)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    grow_few_trees(monkeypatch)


# Seams.


def test_a_score_as_the_model_reads_it(model):
    """A composed score gives back its rows, the slots of its notes, and palettes that play its instruments' volumes."""
    score = compose("overworld", 3, Controls(bars=8, candidates=1), model)
    loop = score_loop(score, model)
    assert (loop.cells == score_to_piece(score).cells).all()
    for voice, column, palette, kind in (("P1", 0, loop.pulse, "pulse"), ("NO", 2, loop.noise, "noise")):
        shapes = np.array(model.sidecar[f"{kind}_shapes"])
        for row, cell in enumerate(score.voices[voice]):
            if isinstance(cell, Note):
                entry, number = score.instruments[cell.instrument], int(loop.slots[row, column])
                first = next(other for other in score.instruments if other.name == entry.name)
                assert entry.name.split()[1] == str(number)
                assert instrument_volumes(shapes[palette[number, 2]], int(palette[number, 3]))[:4] == first.volume[:4]


def test_a_score_that_the_judge_cannot_read(model):
    """What ends, is shorter than eight bars or has other bars is left out."""
    assert score_loop(pieces.jingle_score(), model) is None
    assert score_loop(pieces.loop_score(bars=4), model) is None
    assert score_loop(form_score(["0 NNNN"] * 16, {"P1": "CEGE" * 16}), model) is None


def test_the_cut_is_a_place_unlike_the_beginning(model):
    """A loop has a figure for its wrap and for a wrong turn; one that is short or the same everywhere has no wrong turn."""
    loop = score_loop(pieces.loop_score(bars=16), model)
    found = judge_seam(model, loop, np.random.default_rng(0))
    assert min(found.seam, found.interior, *found.cuts) > 0
    assert len(found.cuts) == 2
    same = replace(loop, cells=np.full_like(loop.cells, HOLD_ID), slots=np.full_like(loop.slots, -1))
    assert judge_seam(model, same, np.random.default_rng(0)).cuts == ()
    assert judge_seam(model, score_loop(pieces.loop_score(bars=10), model), np.random.default_rng(0)).cuts == ()


def test_the_cut_follows_the_loops_end(model, monkeypatch):
    """What is judged is the loop's last rows and then rows of the place, which the judge has not just read."""
    loop = score_loop(pieces.loop_score(bars=16), model)
    cells = np.arange(256 * 4).reshape(256, 4)
    asked = []
    module = import_module("nesasset.compose.judge")  # by name: nesasset.compose is hidden by the function it holds
    monkeypatch.setattr(module, "surprisal", lambda model, rows, *rest: asked.append(rows) or (1.0, 1.0))
    for seed in range(20):
        judge_seam(model, replace(loop, cells=cells), np.random.default_rng(seed))
    for spliced in (rows for rows in asked if len(rows) < 256):
        place = int(spliced[0, 0]) // 4
        assert 1 <= place <= 256 - 128 - 32
        assert (spliced[:32] == cells[place : place + 32]).all()
        assert (spliced[-128:] == cells[-128:]).all()


def test_true_loops_of_a_split(corpus):
    """Only loops of whole bars count, eight at least; the controls that tell of the music are hidden."""
    assert split_loops(corpus / "valid") == []


def test_seams_in_sum():
    """The wrap wins where it surprises less than the cut; a loop without a cut does not vote."""
    found = summarise_seams([Seam(3.0, 2.0, (4.0, 2.0)), Seam(5.0, 5.0, (4.0, 6.0)), Seam(1.0, 2.0, ())])
    assert found == {
        "seam_bits": 3.0,
        "interior_bits": 3.0,
        "seam_less_interior_bits": 0.0,
        "wrap_beats_random_cut": 0.5,
    }
    assert set(summarise_seams([]).values()) == {None}


# The command.


def test_windows_are_those_of_the_loop_report(corpus):
    """The real side is cut as export.loop_report cuts it, and each window knows its game."""
    ours, theirs = song_windows(corpus / "train", 2), real_windows(corpus / "train", 2)
    assert len(ours) == len(theirs) > 10
    assert all(
        (a.piece.cells == b.cells).all() and (a.piece.sounding == b.sounding).all()
        for a, b in zip(ours, theirs, strict=True)
    )


def test_every_game_before_any_again():
    """Windows are drawn from as many games as there are."""
    items = [Item(melody((0, 60)), f"game {index // 5}", "", 6.0) for index in range(50)]
    assert len({item.owner for item in draw_windows(items, 10, np.random.default_rng(0))}) == 10


def test_what_tells_most():
    """Music with the rows shuffled is told by what the shuffling broke, and the areas come in order."""
    rng = np.random.default_rng(0)
    found = most_telling(tune_items(rng, 20, "a"), tune_items(rng, 20, "b", lambda piece: shuffle_rows(piece, rng)))
    areas = [abs(entry["area"] - 0.5) for entry in found]
    assert areas == sorted(areas, reverse=True)
    assert "P1 waits 2" in {entry["name"] for entry in found}


@pytest.mark.parametrize(
    ("name", "value", "met"),
    [
        ("consonance", 0.77, True),
        ("consonance", 0.76, False),
        ("exact_bar_repeat_rate", 0.3, False),
        ("degenerate", 0, True),
        ("frechet_distance", None, None),
    ],
)
def test_bars(name, value, met):
    """A value on the limit meets its bar; what was not measured neither meets nor misses it."""
    assert verdict(name, value)["met"] is met


def test_a_folder_is_filled_once(tmp_path, monkeypatch):
    """Scores that are there are kept, and a theme that fails is told and left out."""
    asked = []

    def stand_in(order, compose=None):
        asked.append(order.theme)
        if order.theme == "map":
            raise CertificateError("track: none of 8 seeds passes")
        return _Take(pieces.loop_score(order.seed))

    monkeypatch.setattr("export.judging.sides.take", stand_in)
    assert fill_folder(tmp_path, 4, 8, 5, 1) == ["track: none of 8 seeds passes"]
    assert sorted(path.name for path in tmp_path.glob("*")) == [
        "000005-title.json",
        "000007-overworld.json",
        "000008-town.json",
    ]
    assert asked == ["title", "map", "overworld", "town"]
    fill_folder(tmp_path, 4, 8, 5, 1)
    assert asked[4:] == ["map"]


class _Take:
    def __init__(self, score):
        self.score = score


def test_two_models_are_not_judged_together(tmp_path):
    """A folder with the music of two models is refused."""
    for name, digest in (("one", "a"), ("two", "b")):
        score = pieces.loop_score()
        score_json.save(
            replace(score, provenance={**score.provenance, "model_sha256": digest * 64}), tmp_path / f"{name}.json"
        )
    with pytest.raises(Exception, match="scores of 2 models: aaaaaaaaaaaa \\(1\\), bbbbbbbbbbbb \\(1\\)"):
        load_scores(tmp_path)


@pytest.mark.parametrize(("content", "message"), [(None, "holds no score JSON"), ("{", "broken.json")])
def test_a_folder_without_scores(tmp_path, content, message):
    """An empty folder and a broken file are told in a sentence."""
    if content:
        (tmp_path / "broken.json").write_text(content)
    with pytest.raises(Exception, match=message):
        load_scores(tmp_path)


def test_the_whole_report(corpus, tmp_path, monkeypatch, model):
    """The command prints a table and one JSON line with every bar, and writes the card."""
    pytest.importorskip("sklearn")
    monkeypatch.setattr("nesasset.model.load_model", lambda name=None: model)
    folder = tmp_path / "loops"
    folder.mkdir()
    themes = ("boss", "town", "ending", "dungeon")
    for seed in range(12):
        score = pieces.loop_score(seed, bars=8, theme=themes[seed % 4])
        form = ["0 NNNN"] + ["1 NNNN"] * 7
        score_json.save(replace(score, provenance={**score.provenance, "form": form}), folder / f"{seed}.json")
    arguments = [
        "--real",
        str(corpus / "valid"),
        "--generated",
        str(folder),
        "--bars",
        "4",
        "--no-pyxel",
        "--card",
        str(tmp_path / "card.md"),
    ]
    failed = CliRunner().invoke(main, arguments)
    assert failed.exit_code == 1
    assert "no loop of 4 bars" in failed.output
    for path in folder.glob("*.json"):
        score_json.save(pieces.loop_score(int(path.stem), bars=4, theme=themes[int(path.stem) % 4]), path)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout.splitlines()[-1])
    assert list(report["bars"]) == list(BARS)
    assert report["counts"]["generated"] == 12
    assert report["columns"]["generated"]["distinct_melodies"] == 1
    assert report["columns"]["rows shuffled"]["best_lag_similarity"] < report["columns"]["real"]["best_lag_similarity"]
    assert "no plan in the provenance of 12 of 12 loops" in done.stdout
    assert "| exact bar repeat rate | 0.15 to 0.25 |" in (tmp_path / "card.md").read_text()


def test_items_of_scores():
    """A score's label is its theme's, its row length the mean of its groove."""
    item = score_items({"a": pieces.loop_score(groove=(6, 7), theme="boss")})[0]
    assert (item.label, item.row_frames, item.owner) == ("boss_battle", 6.5, "a")


def test_a_bar_has_as_many_numbers_as_another():
    """Statistics of an empty bar and of a full one have the same length."""
    piece = cells_to_piece(np.concatenate([tune(np.random.default_rng(0), 1).cells, np.zeros((16, 4), dtype=np.int64)]))
    assert bar_statistics(piece, 0).shape == bar_statistics(piece, 1).shape
