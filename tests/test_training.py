"""Crops and the training loop, on a made-up corpus."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export/ needs the extra train: torch is absent")
pytest.importorskip("lightning", reason="export/ needs the extra train: lightning is absent")
pytestmark = pytest.mark.torch

import click  # noqa: E402
from click.testing import CliRunner  # noqa: E402
from made_up_corpus import write_corpus  # noqa: E402

from export.dataset import PITCH_COLUMNS, Corpus, Crop, CropConfig, Crops, take, transpose, windows  # noqa: E402
from export.mix import main as mix  # noqa: E402
from export.model import ModelConfig, RowModel  # noqa: E402
from export.train import TrainConfig, begin_with, check_shares, load_config, load_model, main, rate_factor  # noqa: E402
from nesasset.chords import transpose_chords  # noqa: E402
from nesasset.features import CHORD, COLUMN, song_features  # noqa: E402
from nesasset.recall import recall_song  # noqa: E402
from nesasset.vocabulary import ONSET_ID, UNKNOWN_CLASS, UNKNOWN_LAG  # noqa: E402

TINY = """
[model]
width = 16
layers = 1
heads = 2
feed_forward = 16
head_width = 16
entry_width = 4
context = 64

[crops]
rows = 32
batch = 2

[train]
steps = 6
warm_up = 2
check_every = 3
check_songs = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus")
    write_corpus(path)
    return path


@pytest.fixture(scope="module")
def corpus(folder):
    return Corpus(folder / "train")


def test_crops_repeat_by_seed(corpus):
    """The same seed draws the same batches, another seed others."""
    first, second, other = (next(iter(Crops(corpus, CropConfig(rows=32, batch=3), seed))) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(first[name].shape != other[name].shape or not torch.equal(first[name], other[name]) for name in first)


def test_batches_have_one_shape(corpus):
    """Future rows stand in front of all crops of a batch or of none, and every id lies within its table."""
    crops = Crops(corpus, CropConfig(rows=32, batch=4), 3)
    rng = np.random.default_rng(3)
    futures = set()
    for _ in range(30):
        batch = crops.batch(rng)
        rows = batch["ids"].shape[1]
        futures.add(rows - 32)
        assert batch["cells"].shape == (4, 32, 4)
        assert batch["positions"].shape == (4, rows)
        assert int(batch["ids"].min()) >= 0
        segment = batch["ids"][:, :, COLUMN["segment"]]
        assert (segment[:, : rows - 32] == 1).all()
        assert (segment[:, rows - 32 :] == 0).all()
    assert {0, 16} <= futures


def test_future_rows_show_what_follows(corpus):
    """The future tokens of a crop carry the cells that come after it in the song."""
    song = max(range(len(corpus)), key=corpus.length)
    base = int(corpus.offsets[song])
    part = take(corpus, Crop(song, 0, 16, (16, 28)), 16)
    first = COLUMN["previous_P1"]
    assert (part["ids"][:12, first : first + 4] == corpus.cells[base + 16 : base + 28]).all()
    assert part["positions"][:12].tolist() == list(range(17, 29))
    assert (part["ids"][:12, COLUMN["class_P1"]] == UNKNOWN_CLASS).all()


def test_transposition_is_the_features_of_the_transposed_song(corpus):
    """Moving the ids gives what the features of the moved notes would be."""
    song = 0
    a, b = corpus.offsets[song], corpus.offsets[song + 1]
    starts, *plan = corpus.plan(song)
    cells = corpus.cells[a:b].astype(np.int64)
    moved = cells.copy()
    moved[:, :3] = np.where(cells[:, :3] >= ONSET_ID, cells[:, :3] + 3, cells[:, :3])
    loop = int(corpus.rows.loops[song, 0])
    rows = int(corpus.rows.bar_rows[song])
    chords = transpose_chords(corpus.chords(song), 3)
    home = loop if loop >= 0 else None
    expected, _ = song_features(moved, corpus.slots[a:b], starts, *plan, chords, rows, recall_song(moved, rows), home)
    ids = corpus.ids[a:b].copy()
    transpose(ids, PITCH_COLUMNS, 3)
    ids[:, CHORD : CHORD + 3] = transpose_chords(ids[:, CHORD : CHORD + 3], 3)
    assert (ids == expected).all()


def test_without_a_plan_nothing_of_it_is_seen(corpus):
    """`plan = false` hides lag, classes and references in every crop."""
    crops = Crops(corpus, CropConfig(rows=32, batch=2, plan=False), 5)
    batch = crops.batch(np.random.default_rng(5))
    assert (batch["ids"][:, :, COLUMN["lag"]] == UNKNOWN_LAG).all()
    assert (batch["ids"][:, :, COLUMN["class_TR"]] == UNKNOWN_CLASS).all()


@pytest.mark.parametrize("context", [16, 32, 64])
def test_windows_score_each_row_once(corpus, context):
    """Windows cover a song; the rows beyond each one's context part are every row, once."""
    for song in range(len(corpus)):
        scored = np.zeros(corpus.length(song), dtype=int)
        for crop, seen in windows(corpus, song, context):
            scored[crop.start + seen : crop.stop] += 1
        assert (scored == 1).all()


def test_rate_warms_up_stays_and_falls():
    """The learning rate rises over the warm-up, is constant, and ends at 3 %."""
    config = TrainConfig(steps=1000, warm_up=10, cool_down=0.3)
    factors = [rate_factor(step, config) for step in range(1001)]
    assert factors[0] == pytest.approx(0.1)
    assert set(factors[10:700]) == {1.0}
    assert factors[850] == pytest.approx(0.515, abs=0.01)
    assert factors[1000] == pytest.approx(0.03)
    assert all(a >= b for a, b in pairwise(factors[10:]))


@pytest.mark.filterwarnings("ignore")  # Lightning warns of a folder that is not empty, of few workers and the like
def test_a_run_trains_stops_and_resumes(folder, tmp_path):
    """A run writes its checkpoints, goes on from the last one, and its averaged weights can be loaded."""
    config = tmp_path / "tiny.toml"
    config.write_text(TINY, encoding="utf-8")
    out = tmp_path / "run"
    arguments = ["--corpus", str(folder), "--config", str(config), "--out", str(out)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert {path.name for path in out.glob("*.ckpt")} == {"best.ckpt", "last.ckpt", "stable.ckpt"}
    config.write_text(TINY.replace("steps = 6", "steps = 9"), encoding="utf-8")
    CliRunner().invoke(main, [*arguments, "--resume"], catch_exceptions=False)
    saved = torch.load(out / "last.ckpt", map_location="cpu", weights_only=True)
    assert saved["global_step"] == 9
    net, settings = load_model(out / "best.ckpt")
    assert settings.model.width == 16
    assert not net.training


# Several processes


def test_processes_share_every_batch(corpus, monkeypatch):
    """Each of three processes has its third of the crops that one alone would have."""
    crops = Crops(corpus, CropConfig(rows=32, batch=6), 4)
    whole = next(iter(crops))
    for rank in range(3):
        monkeypatch.setattr("export.dataset.place", lambda rank=rank: (rank, 3))
        share = next(iter(crops))
        assert all(torch.equal(share[name], whole[name][rank::3]) for name in whole)


def test_batches_that_cannot_be_shared_are_refused(folder, tmp_path, monkeypatch):
    """One sentence names the batch, what it must be a multiple of, and why; so for numbers that are none, and for cards that are not there."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    check_shares(TrainConfig(crops=CropConfig(batch=3)), 1)
    check_shares(TrainConfig(crops=CropConfig(batch=6), long_from=2.0), 3)
    with pytest.raises(click.UsageError, match=r"batch must be a multiple of 6 for 3 processes to share it; longer crops halve it, not 9"):
        check_shares(TrainConfig(crops=CropConfig(batch=9)), 3)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(click.UsageError, match="at most 1, the number of graphics cards here, not 2"):
        check_shares(TrainConfig(), 2)
    config = tmp_path / "tiny.toml"
    config.write_text(TINY, encoding="utf-8")
    for wrong in ("two", "0", "-1", "1.5"):
        result = CliRunner().invoke(main, ["--corpus", str(folder), "--config", str(config), "--out", str(tmp_path / "no"), "--devices", wrong])
        assert result.exit_code == 2 and f"--devices must be auto or a number from 1 on, not '{wrong}'" in result.output
    assert not (tmp_path / "no").exists()


def train_apart(arguments, devices):
    """Run the training command as a user does: Lightning begins it again for every further process."""
    line = [sys.executable, "-m", "export.train", *arguments, "--devices", str(devices), "--precision", "32-true"]
    root = Path(__file__).parent.parent
    env = {**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("best valid") == 1  # one process speaks
    return done.stdout


def curves(out):
    """Return the losses that a run has logged: by name, step and value."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(out / "log")).Reload()
    return {tag: {event.step: event.value for event in log.Scalars(tag)} for tag in log.Tags()["scalars"] if tag.startswith(("train/", "valid/"))}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # TensorBoard's own
def test_two_processes_train_as_one(folder, tmp_path):
    """Two processes that share each batch log the losses of one that has all of it, end with its weights, and so after a resume, too.

    The sums are taken in another order, so single precision tells them apart: losses by 2e-7 of their value over forty steps, and weights by
    2e-5, of which most is in biases that have no gradient but noise.
    """
    config = tmp_path / "tiny.toml"
    tiny = TINY.replace("batch = 2", "batch = 4").replace("context = 64", "context = 64\ndropout = 0.0")
    runs = {devices: tmp_path / str(devices) for devices in (1, 2)}
    for steps in (6, 9):
        config.write_text(tiny.replace("steps = 6", f"steps = {steps}"), encoding="utf-8")
        for devices, out in runs.items():
            arguments = ["--corpus", str(folder), "--config", str(config), "--out", str(out)]
            assert "rows a second" in train_apart([*arguments, *(["--resume"] if steps > 6 else [])], devices)
        one, two = (curves(out) for out in runs.values())
        assert one.keys() == two.keys() >= {"train/cells", "train/instruments", "valid/bits"}
        assert len(one["train/cells"]) == steps
        for tag, values in one.items():
            assert values.keys() == two[tag].keys()
            assert list(two[tag].values()) == pytest.approx(list(values.values()), rel=1e-5), tag
        saved = [torch.load(out / "last.ckpt", map_location="cpu", weights_only=True) for out in runs.values()]
        assert [checkpoint["global_step"] for checkpoint in saved] == [steps, steps]
        first, second = (checkpoint["state_dict"] for checkpoint in saved)
        assert first.keys() == second.keys()
        for name, tensor in first.items():
            torch.testing.assert_close(second[name], tensor, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_weights_of_a_smaller_network_say_the_same_in_a_larger_one(corpus):
    """What older weights do not know of is silent until it is trained: the same bits to the last digit."""
    torch.manual_seed(0)
    sizes = ModelConfig(width=16, layers=1, heads=2, feed_forward=16, head_width=16, entry_width=4, context=64)
    old = RowModel(sizes).eval()
    weights = {name: tensor.clone() for name, tensor in old.state_dict().items() if "recalled" not in name and "in_chord" not in name}
    weights["table.weight"][-60:] = 0
    weights["slots.weight"][:, -12:] = 0
    old.load_state_dict(weights, strict=False)
    weights["table.weight"] = weights["table.weight"][:-60]
    weights["slots.weight"] = weights["slots.weight"][:, :-12]
    new = RowModel(sizes).eval()
    begin_with(new, weights)
    batch = next(iter(Crops(corpus, CropConfig(rows=32, batch=2), 1)))
    with torch.no_grad():
        before, after = old(batch), new(batch)
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(click.UsageError, match="take the sizes"):
        begin_with(RowModel(ModelConfig(width=8, layers=1, heads=2, feed_forward=16, head_width=16, entry_width=4)), weights)


def test_unknown_settings_are_refused(tmp_path):
    """A misspelt key in a config is an error."""
    path = tmp_path / "wrong.toml"
    path.write_text("[train]\nstepps = 3\n", encoding="utf-8")
    with pytest.raises(TypeError, match="stepps"):
        load_config(path)


@pytest.mark.filterwarnings("ignore")  # as above
def test_a_mixed_network_lies_between_two(folder, tmp_path):
    """Every averaged weight is the weighted mean of both runs'; what comes out loads; other sizes are refused in a sentence."""
    config = tmp_path / "tiny.toml"
    config.write_text(TINY, encoding="utf-8")
    runs = [tmp_path / name for name in ("one", "two")]
    arguments = ["--corpus", str(folder), "--config", str(config), "--out"]
    main([*arguments, str(runs[0])], standalone_mode=False)
    main([*arguments, str(runs[1]), "--start", str(runs[0] / "best.ckpt")], standalone_mode=False)
    out = tmp_path / "mixed.ckpt"
    done = CliRunner().invoke(mix, [*(str(run / "best.ckpt") for run in runs), "--share", "0.25", "-o", str(out)])
    assert done.exit_code == 0, done.output
    first, second, mixed = (load_model(path)[0].state_dict() for path in (runs[0] / "best.ckpt", runs[1] / "best.ckpt", out))
    assert any((first[name] != second[name]).any() for name in first)
    for name, weight in mixed.items():
        assert torch.allclose(weight, 0.25 * first[name] + 0.75 * second[name], atol=1e-6), name
    config.write_text(TINY.replace("layers = 1", "layers = 2"), encoding="utf-8")
    main([*arguments, str(tmp_path / "larger")], standalone_mode=False)
    refused = CliRunner().invoke(mix, [str(out), str(tmp_path / "larger" / "best.ckpt"), "-o", str(out)])
    assert refused.exit_code == 2 and "mix runs of one [model]" in refused.output
    config.write_text("no checkpoint", encoding="utf-8")
    refused = CliRunner().invoke(mix, [str(out), str(config), "-o", str(tmp_path / "other.ckpt")])
    assert refused.exit_code == 1 and "is not a checkpoint of export.train" in refused.output
    assert not (tmp_path / "other.ckpt").exists()
