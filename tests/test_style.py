"""A folder of music to a model in one file: the chain, killed and begun again; what it says of bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export/ needs the extra train: torch is absent")
pytest.importorskip("lightning", reason="export/ needs the extra train: lightning is absent")
pytestmark = pytest.mark.torch

from click.testing import CliRunner  # noqa: E402
from made_up_corpus import EDGES  # noqa: E402
from made_up_music import write_folder  # noqa: E402
from pieces import loop_score  # noqa: E402
from standin.make import CONFIG  # noqa: E402

from export import style, tune  # noqa: E402
from export.dataset import Corpus, CropConfig, Crops  # noqa: E402
from export.ingest import ingest  # noqa: E402
from export.model import ModelConfig  # noqa: E402
from export.train import Run, TrainConfig  # noqa: E402
from nesasset import model_files  # noqa: E402
from nesasset.compose import Controls, compose  # noqa: E402
from nesasset.model import load_model  # noqa: E402

ROOT = Path(__file__).parent.parent
STANDIN = ROOT / "tests" / "standin"
SMALL = ModelConfig(width=16, layers=1, heads=2, feed_forward=32, context=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("music") / "tunes", 8)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Return the stand-in with edges, as published models have them."""
    folder = tmp_path_factory.mktemp("base")
    for path in STANDIN.glob("standin.*"):
        shutil.copy(path, folder)
    sidecar = json.loads((folder / "standin.json").read_text())
    (folder / "standin.json").write_text(json.dumps({**sidecar, "edges": EDGES, "training": {"data": "nothing", "config": asdict(TrainConfig(model=CONFIG))}}))
    return folder / "standin.onnx"


@pytest.fixture(scope="module")
def corpus(folder, base, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("c") / "corpus"
    ingest(folder, out, ratio=0.25, jobs=1, like=base.with_suffix(".json"))
    return out


def invoke(*arguments: str):
    return CliRunner().invoke(style.main, list(arguments))


# The chain


@pytest.mark.slow
def test_killed_twice_and_begun_again(folder, base, tmp_path, monkeypatch) -> None:
    """Killed while two processes train and after that, the same command goes on, and ends in a file that composes by name."""
    out = tmp_path / "mystyle"
    line = [
        sys.executable, "-m", "export.style", str(folder), "--name", "mystyle", "-o", str(out), "--base", str(base),
        "--minutes", "0.3", "--licence", "CC-BY-4.0", "--author", "Ada", "--no-samples", "-j", "1", "--devices", "2",
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}

    def killed_when(there) -> bool:
        with subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as process:
            while not there() and process.poll() is None:
                time.sleep(0.02)
            running = process.poll() is None
            os.killpg(process.pid, 9) if running else None
            return running

    assert killed_when((out / "run" / "last.ckpt").is_file)
    assert killed_when((out / "run" / "tuned.json").is_file)
    songs = {path: path.stat().st_mtime_ns for path in (out / "corpus" / "songs").glob("*.json")}
    tuned = (out / "run" / "tuned.json").read_bytes()
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path: path.stat().st_mtime_ns for path in songs} == songs
    assert (out / "run" / "tuned.json").read_bytes() == tuned
    home = tmp_path / "home"
    monkeypatch.setattr("nesasset.model_names.user_models_dir", lambda: home)
    monkeypatch.setattr("nesasset.model_files.user_models_dir", lambda: home)
    added = model_files.add(out / "mystyle.nesmodel")
    assert "CC-BY-4.0" in added.data and "fine-tuned from standin" in added.data
    score = compose("town", 1, Controls(bars=2, model="mystyle"))
    assert score.provenance["model"] == "mystyle"
    assert "known_16" in score.provenance["originality"]
    card = (home / "mystyle.md").read_text()
    assert "| tunes | 8 | CC-BY-4.0 |" in card and "bits a row on the songs held out" in card
    assert "Ada" in (home / "mystyle.attribution.md").read_text()
    again = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert "fine-tuning" not in again.stderr  # all is done: it is packed again, and no more
    other = subprocess.run([*line, "--author", "Eve"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert other.returncode == 2 and "was begun with another author" in other.stderr


# Bad input


def test_bad_input_is_refused_in_a_sentence(folder, base, tmp_path) -> None:
    """Names that are none, a base without a sidecar, folders with too little."""
    for name in ("../x", "A b", "nes-1", ""):
        result = invoke(str(folder), "--name", name)
        assert result.exit_code == 2 and "--name must be" in result.output
    lonely = tmp_path / "lonely.onnx"
    lonely.write_bytes(b"x")
    result = invoke(str(folder), "--name", "x", "--base", str(lonely))
    assert result.exit_code == 2 and "with its sidecar" in result.output
    empty = tmp_path / "empty"
    empty.mkdir()
    result = invoke(str(empty), "--name", "x", "-o", str(tmp_path / "x"), "--base", str(base))
    assert result.exit_code == 2 and "no music was found" in result.output
    write_folder(empty, 2)
    result = invoke(str(empty), "--name", "x", "-o", str(tmp_path / "x"), "--base", str(base))
    assert result.exit_code == 1 and "2 files are too few" in result.output


# Its parts


def test_clocked_steps_are_undone(corpus) -> None:
    """Taking a few steps to see how long they take changes no weight, and few songs bound the number of steps."""
    train = Corpus(corpus / "train")
    settings = tune.settings_for(TrainConfig(model=SMALL), train, 100)
    run = Run(settings)
    before = {name: tensor.clone() for name, tensor in run.net.state_dict().items()}
    steps, seconds = tune.steps_for(run, Crops(train, replace(settings.crops, rows=32, batch=2)), 1e6, len(train.cells))
    assert seconds > 0
    assert steps == max(8, int(tune.MOST_ROUNDS * len(train.cells) / 64))
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.net.state_dict().items())


@pytest.mark.filterwarnings("ignore")  # Lightning's and torch's own
def test_training_lowers_the_bits(corpus, tmp_path) -> None:
    """A small network learns the folder's songs; the curve and the checkpoints are kept; asked again, it is done."""
    train = Corpus(corpus / "train")
    settings = replace(tune.settings_for(TrainConfig(model=SMALL), train, 10), steps=1)
    torch.manual_seed(1)
    run = Run(settings)
    start = tmp_path / "start.ckpt"
    state = {f"average.module.{name}": tensor for name, tensor in run.net.state_dict().items()}
    trainer_settings = {}
    run.on_save_checkpoint(trainer_settings)
    torch.save({"state_dict": state, **trainer_settings}, start)
    shown = []
    result = tune.tune(corpus, start, tmp_path / "run", minutes=0.05, rate=3e-3, make_samples=lambda path: shown.append(path) or [loop_score(bars=1)])
    assert result["after"] < result["before"]
    assert len(result["curve"]) >= 2 and shown
    assert list((tmp_path / "run" / "log").glob("events*"))
    assert not list((tmp_path / "run").glob("*.tmp"))
    assert tune.tune(corpus, start, tmp_path / "run", minutes=0.05) == json.loads((tmp_path / "run" / "tuned.json").read_text())


def test_a_full_disk_is_told_and_leaves_the_last_checkpoint(tmp_path) -> None:
    """A checkpoint that cannot be written is one sentence; the one before it stays."""
    import click

    class Full:
        def save_checkpoint(self, path, weights_only):
            Path(path).write_bytes(b"half")
            raise RuntimeError("no space left on device\nand a long story")

    (tmp_path / "last.ckpt").write_bytes(b"whole")
    keep = tune.Keep(tmp_path, 1, 1)
    with pytest.raises(click.ClickException, match=r"last\.ckpt cannot be written \(no space left on device\); make room"):
        keep._save(Full(), "last.ckpt")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"last.ckpt": b"whole"}


def test_a_folder_without_loops_is_learnt(folder, tmp_path) -> None:
    """Songs that end, and are too short for a future, give batches."""
    ingest(folder, tmp_path / "c", ratio=0.25, jobs=1, whole=False)
    corpus = Corpus(tmp_path / "c" / "train")
    crops = Crops(corpus, CropConfig(rows=64, batch=2))
    crops.loop_songs = np.zeros(0, dtype=np.int64)
    corpus.offsets = np.minimum(corpus.offsets, np.arange(len(corpus.offsets)) * 24)
    batches = iter(crops)
    assert all(next(batches)["ids"].shape[0] == 2 for _ in range(12))


def test_pieces_are_looked_at() -> None:
    """Quotes of what is known are counted, and certificates."""
    from nesasset.originality import known_of

    scores = [loop_score(seed=seed, bars=4) for seed in range(3)]
    figures = style.look_at(scores, known_of(scores[:1]))
    assert figures["pieces"] == 3 and figures["certificates"] == 3
    assert figures["most_known_16"] > 0.5 and figures["longest"] > 8
    assert style.look_at(scores[1:], known_of([]))["known_16"] == 0


def test_pieces_are_the_same_each_time(base) -> None:
    """The same model composes the same pieces to be looked at."""
    first, again = (style.compose_pieces(base.with_suffix(".json"), 2, 2) for _ in range(2))
    assert first == again
    assert load_model(base.with_suffix(".json")).name == "standin"


def test_a_style_is_told_from_others(corpus) -> None:
    """The classifier of the report knows songs of the folder, held out, from pieces that have nothing of them."""
    from made_up_corpus import made_up_song

    from export import style_report
    from export.judging.sides import Item, song_windows
    from export.measures import cells_to_piece

    rng = np.random.default_rng(2)
    windows = [item for split in ("train", "valid") for item in song_windows(corpus / split, 2)] * 4
    others = [Item(cells_to_piece(made_up_song(rng, 16, 3)[:32]), str(index), "", 6.0) for index in range(40)]
    scores = style_report.style_scores((windows, others[:20]), {"style": windows[:8], "others": others[20:]})
    assert style_report.area(scores["style"], scores["others"]) > 0.9
