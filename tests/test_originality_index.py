"""The index of the training songs: made from a corpus, told to the sidecar, and what its check says of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = pytest.mark.torch

from export import originality_index as module  # noqa: E402
from nesasset.originality import MELODIC, WORD, hashes, load_index  # noqa: E402
from tests.made_up_corpus import write_corpus  # noqa: E402

STANDIN = Path(__file__).parent / "standin"


@pytest.fixture
def made(tmp_path):
    """A corpus and a folder with a stand-in that has the index of its songs."""
    corpus = write_corpus(tmp_path / "corpus", n_train=12, n_valid=4, n_bars=6)
    out = tmp_path / "models"
    shutil.copytree(STANDIN, out)
    result = CliRunner().invoke(module.main, ["--corpus", str(corpus), "--name", "standin", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return corpus, out


def test_every_passage_of_the_songs_is_known(made):
    """All words of the train split are in the index, of all three voices; the sidecar and SHA256SUMS name it."""
    corpus, out = made
    known = load_index(out, "standin")
    for part in module.song_lines(corpus / "train").values():
        for symbols, _ in part:
            assert known.knows(hashes(symbols, WORD)).all()
    digest = hashlib.sha256((out / "standin.originality.npz").read_bytes()).hexdigest()
    sidecar = json.loads((out / "standin.json").read_text())
    assert sidecar["originality"]["sha256"] == digest
    assert {key: value for key, value in sidecar.items() if key != "originality"} == json.loads((STANDIN / "standin.json").read_text())
    assert f"{digest}  standin.originality.npz" in (out / "SHA256SUMS").read_text()


def test_the_index_is_the_same_again(made):
    """Made twice, it is the same bytes."""
    corpus, out = made
    before = {name: (out / name).read_bytes() for name in ("standin.originality.npz", "standin.json", "SHA256SUMS")}
    module.write_index(module.song_lines(corpus / "train"), out, "standin")
    assert {name: (out / name).read_bytes() for name in before} == before


def test_the_check_says_what_it_is_worth(made, monkeypatch):
    """Everything that is planted is found; what is never there is hardly known; the last line is JSON."""
    corpus, out = made
    for name, value in (("PLANTED", 50), ("WALKS", 3), ("WALK_NOTES", 2)):
        monkeypatch.setattr(module, name, value)
    result = CliRunner().invoke(module.main, ["--corpus", str(corpus), "--name", "standin", "--out", str(out), "--check"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.output.splitlines()[-1])
    assert report["planted"] == {"planted": 50, "found": 1.0}
    assert report["bytes"] == (out / "standin.originality.npz").stat().st_size
    assert report["false_alarms"]["made_up"]["taken_for_known"] < 0.01
    assert set(report["unseen"]) == set(MELODIC)
    assert report["reading"]["fewest"] >= 1  # the tune that was there is among what fits


def test_a_planted_passage_is_missed_by_an_empty_index(made):
    """The check can fail: of an index of other songs it finds nothing."""
    corpus, _ = made
    lines = module.song_lines(corpus / "train")
    other = module.Known.of([module.made_up_line(np.random.default_rng(1), 300)], 64)
    assert module.find_planted(lines, other, np.random.default_rng(0))["found"] == 0


def test_a_model_without_an_index_cannot_be_checked(tmp_path):
    """--check of a sidecar that names none says what to do."""
    (tmp_path / "corpus").mkdir()
    result = CliRunner().invoke(module.main, ["--corpus", str(tmp_path / "corpus"), "--name", "standin", "--out", str(STANDIN), "--check"])
    assert result.exit_code == 1
    assert "names no index" in result.output
