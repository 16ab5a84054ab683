"""Verification: the exported graphs compute what the network computes, and a graph that does not is found out."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

pytest.importorskip("torch", reason="export/ needs torch")
pytest.importorskip("onnx", reason="export/ needs onnx")

import torch
from click.testing import CliRunner
from made_up_corpus import write_corpus

from export import evaluate, verify
from export.dataset import Corpus
from export.model import ModelConfig
from export.train import Run, TrainConfig
from nesasset.vocabulary import FIXED_CLASSES

pytestmark = pytest.mark.torch

TINY = ModelConfig(width=32, layers=2, heads=2, feed_forward=64, head_width=32, entry_width=16, context=512)
SHORT = ["--prompts", "3", "--rows", "24", "--songs", "3"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Return a corpus whose valid songs are long enough to be continued."""
    return write_corpus(tmp_path_factory.mktemp("made_up") / "corpus", n_train=6, n_valid=4, n_bars=9)


@pytest.fixture(scope="module")
def exported(corpus, tmp_path_factory):
    """Return a folder with best.ckpt, fp32.onnx, nes-1.onnx and nes-1.song.onnx of one network with large random weights."""
    from export.to_onnx import export_fp32, quantise

    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(3)
    run = Run(TrainConfig(TINY))
    with torch.no_grad():  # decided enough that greedy rows are music and int8 rounding shows
        for name, weight in run.average.module.named_parameters():
            if weight.dim() >= 2:
                weight.mul_(4.0 if "table" not in name else 8.0)
            if "reference" in name or "same_" in name:
                weight.add_(torch.randn_like(weight))
    saved = {"state_dict": run.state_dict()}
    run.on_save_checkpoint(saved)
    torch.save(saved, folder / "best.ckpt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_fp32(run.average.module, folder / "fp32.onnx", folder / "nes-1.song.onnx")
        quantise(folder / "fp32.onnx", folder / "nes-1.onnx")
    return folder


@pytest.fixture(scope="module")
def net(exported):
    return evaluate.open_checkpoint(exported / "best.ckpt")[0]


def graphs(exported, name="fp32.onnx", context=512):
    facts = {"context": context, "heads": TINY.heads, "head_width": TINY.width // TINY.heads}
    return evaluate.open_graphs(exported / name, exported / "nes-1.song.onnx", facts)


@pytest.fixture(scope="module")
def valid(corpus):
    return Corpus(corpus / "valid")


def arguments(exported, corpus, *more):
    files = {"--checkpoint": "best.ckpt", "--fp32": "fp32.onnx", "--int8": "nes-1.onnx"}
    given = [part for option, name in files.items() for part in (option, str(exported / name))]
    return [*given, "--data", str(corpus / "valid"), *SHORT, *more]


def test_greedy_rows_agree(net, exported, valid):
    """Graph and network, each with its own cache, say the same rows, and these are no silence."""
    found = verify.compare_greedy(net, graphs(exported), verify.make_prompts(valid, 3, 40))
    assert found["rows"] == 3 * 40
    assert found["rows_each"] == 40
    assert found["differing_rows"] == 0
    assert found["onsets"] > 40


def test_another_networks_rows_differ(net, exported, valid):
    """The comparison can fail: one changed weight of the network and greedy rows part."""
    other = evaluate.open_checkpoint(exported / "best.ckpt")[0]
    with torch.no_grad():
        other.head.cell[0].bias.add_(torch.linspace(-2, 2, len(other.head.cell[0].bias)))
    found = verify.compare_greedy(other, graphs(exported), verify.make_prompts(valid, 3, 40))
    assert found["differing_rows"] > 0


def test_prompts_are_kept_and_fixed_cells_follow_the_plan(exported, valid):
    """What is composed begins with the prompt, and exact and silent voices are what the plan makes them."""
    prompts = verify.make_prompts(valid, 2, 48)
    cells, slots = verify.compose_greedily(prompts, verify.OnnxStepper(graphs(exported), prompts))
    fixed = 0
    for place, prompt in enumerate(prompts):
        assert np.array_equal(cells[place][: prompt.known], prompt.cells[: prompt.known])
        assert np.array_equal(slots[place][: prompt.known], prompt.slots[: prompt.known])
        again = evaluate.decode_fixed(cells[place], prompt.starts, prompt.lags, prompt.classes, prompt.shifts, prompt.bar_rows)
        assert np.array_equal(again, cells[place])
        fixed += int(np.isin(prompt.classes, FIXED_CLASSES).sum())
    assert fixed


def test_bits_agree(net, exported, valid):
    """A whole window in the network as it is trained, and a few rows at a time in the graph, price every symbol alike."""
    found = verify.compare_bits(net, graphs(exported), valid, np.arange(3))
    assert found["largest_cell"] < 1e-3
    assert found["largest_instrument"] < 1e-3
    assert found["mean"] < 1e-5


def test_rows_a_call_change_nothing_in_fp32(exported, valid):
    """One row and one song at a time, or many: the unquantised graph gives the same bits."""
    songs = np.arange(len(valid))
    many = evaluate.onnx_bits(graphs(exported), valid, songs, lambda _: None)
    one = evaluate.onnx_bits(graphs(exported), valid, songs, lambda _: None, 1, 1)
    for left, right in zip(many, one, strict=True):
        assert np.allclose(left, right, atol=1e-3)


def test_songs_of_any_length_go_side_by_side(exported, valid):
    """Songs asked for in any order get their own prices back, and the tick counts every row once."""
    done = []
    songs = np.array([2, 0, 3])
    together = evaluate.onnx_bits(graphs(exported), valid, songs, done.append)[0]
    first = evaluate.rows_of(valid, songs)
    assert sum(done) == first[-1]
    for place, song in enumerate(songs):
        alone = evaluate.onnx_bits(graphs(exported), valid, np.array([song]), lambda _: None)[0]
        assert np.allclose(together[first[place] : first[place + 1]], alone, atol=1e-3)


def test_the_cache_never_exceeds_the_context(exported, valid, monkeypatch):
    """With a context of 40 rows no call sees more, and rows before the first forgetting cost what they always do."""
    from nesasset.model import Model

    lengths = []
    plain = Model.run

    def run(self, song, cache, ids, *rest, **named):
        lengths.append(cache.length + ids.shape[1])
        return plain(self, song, cache, ids, *rest, **named)

    monkeypatch.setattr(Model, "run", run)
    short = evaluate.onnx_bits(graphs(exported, context=40), valid, np.array([0]), lambda _: None, 1, 4)[0]
    assert max(lengths) == 40
    whole = evaluate.onnx_bits(graphs(exported), valid, np.array([0]), lambda _: None, 1, 4)[0]
    assert np.allclose(short[:40], whole[:40], atol=1e-3)
    assert not np.allclose(short[40:], whole[40:], atol=1e-3)


def test_the_command_writes_what_it_found(exported, corpus, tmp_path):
    """Exit code 0 when all is well; the report holds the three comparisons and the tolerances they were held to."""
    path = tmp_path / "reports" / "parity.json"
    done = CliRunner().invoke(verify.main, arguments(exported, corpus, "--report", str(path)))
    report = json.loads(path.read_text())
    assert json.loads(done.stdout) == report
    assert set(report) == {"greedy", "bits", "int8", "tolerances", "passed"}
    assert report["greedy"]["differing_rows"] == 0
    faults = verify.judge(report)
    assert report["passed"] == (not faults)
    assert done.exit_code == (1 if faults else 0), done.stderr


def test_a_wrong_graph_fails(exported, corpus, tmp_path):
    """Another network's checkpoint beside the graphs: exit code 1, a sentence a fault, the report written all the same."""
    torch.manual_seed(9)
    run = Run(TrainConfig(TINY))
    saved = {"state_dict": run.state_dict()}
    run.on_save_checkpoint(saved)
    torch.save(saved, tmp_path / "other.ckpt")
    path = tmp_path / "parity.json"
    done = CliRunner().invoke(verify.main, [*arguments(exported, corpus, "--report", str(path)), "--checkpoint", str(tmp_path / "other.ckpt")])
    assert done.exit_code == 1
    assert "difference of bits between PyTorch and fp32 is" in done.stderr
    assert json.loads(path.read_text())["passed"] is False


def test_every_tolerance_is_judged():
    """Each figure beyond its tolerance gives its own sentence, not-a-number counts as beyond."""
    good = {
        "greedy": {"rows": 10, "differing_rows": 0},
        "bits": {"largest_cell": 0.0, "largest_instrument": 0.0, "mean": 0.0},
        "int8": {"difference": 0.01},
    }
    assert verify.judge(good) == []
    assert "1 of 10 greedy rows differ" in verify.judge(good | {"greedy": {"rows": 10, "differing_rows": 1}})[0]
    assert "int8 costs 0.0300 bits" in verify.judge(good | {"int8": {"difference": 0.03}})[0]
    for name in good["bits"]:
        for value in (1.0, float("nan")):
            assert name in verify.judge(good | {"bits": good["bits"] | {name: value}})[0]


@pytest.mark.parametrize("option", ["--fp32", "--int8"])
def test_a_broken_graph_is_one_sentence(exported, corpus, tmp_path, option):
    """A truncated graph is refused without a traceback."""
    broken = tmp_path / "nes-1.onnx"
    broken.write_bytes((exported / "fp32.onnx").read_bytes()[:5000])
    (tmp_path / "nes-1.song.onnx").write_bytes((exported / "nes-1.song.onnx").read_bytes())
    done = CliRunner().invoke(verify.main, [*arguments(exported, corpus), option, str(broken)])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert "no model that onnxruntime" in done.stderr


def test_songs_that_are_too_short_are_a_usage_error(exported, corpus):
    """More rows asked for than any song has: the message says which option to change."""
    done = CliRunner().invoke(verify.main, [*arguments(exported, corpus), "--rows", "5000"])
    assert done.exit_code == 2
    assert "use --rows for fewer" in done.stderr


def test_a_report_that_cannot_be_written(tmp_path):
    """A file where the report's folder should be: one sentence, and nothing half-written is left."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(verify.click.ClickException, match="could not be written"):
        verify.write_report({}, tmp_path / "file" / "parity.json")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
