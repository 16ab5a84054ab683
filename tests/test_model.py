"""Loading a model: the files belong together or they are refused, in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nesasset.errors import ModelMismatchError
from nesasset.features import FEATURES, NO_SLOT, SLOT_FEATURES
from nesasset.model import Model, load_model, models_dir
from nesasset.vocabulary import CONTROLS

STANDIN = Path(__file__).parent / "standin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in STANDIN.glob("standin.*"):
        shutil.copy(file, tmp_path)
    return tmp_path


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "standin.json"
    sidecar = json.loads(path.read_text(encoding="utf-8"))
    edit(sidecar)
    path.write_text(json.dumps(sidecar), encoding="utf-8")


def test_whole_files_load(folder: Path) -> None:
    """Untouched files load, by path of either file."""
    assert load_model(folder / "standin.json").name == "standin"
    assert load_model(folder / "standin.onnx").name == "standin"


@pytest.mark.parametrize("suffix", [".onnx", ".song.onnx", ".plans.npz", ".latent.onnx"])
def test_changed_file_is_refused(folder: Path, suffix: str) -> None:
    """One changed byte in any file is noticed by its hash."""
    path = folder / f"standin{suffix}"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelMismatchError, match=r"does not belong to standin\.json"):
        load_model(folder / "standin.json")


@pytest.mark.parametrize("suffix", [".onnx", ".song.onnx"])
def test_foreign_graph_is_refused(folder: Path, suffix: str) -> None:
    """A file that is no ONNX graph is refused even if its hash is the sidecar's."""
    import hashlib

    path = folder / f"standin{suffix}"
    path.write_bytes(b"not a graph")
    key = "song" if "song" in suffix else "model"
    change(folder, lambda sidecar: sidecar[key].update(sha256=hashlib.sha256(b"not a graph").hexdigest()))
    with pytest.raises(ModelMismatchError, match="is no model that onnxruntime"):
        load_model(folder / "standin.json")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s: s.update(version=2), "sidecar version 2"),
        (lambda s: s.update(format="other"), "format must be"),
        (lambda s: s.update(vocabulary="0"), "another vocabulary"),
        (lambda s: s.pop("model"), "no model.sha256"),
        (lambda s: s.update(plans=3), "no plans.sha256"),
        (lambda s: s.update(heads=0), "heads must be"),
        (lambda s: s.update(context="x"), "context must be"),
    ],
)
def test_sidecar_mismatch(folder: Path, edit: Callable[[dict[str, Any]], object], message: str) -> None:
    """A sidecar of another format, version or vocabulary, or with holes, is refused with its reason."""
    change(folder, edit)
    with pytest.raises(ModelMismatchError, match=message):
        load_model(folder / "standin.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_unreadable_sidecar(folder: Path, content: bytes) -> None:
    """A broken sidecar is one sentence, not a traceback of the JSON reader."""
    (folder / "standin.json").write_bytes(content)
    with pytest.raises(ModelMismatchError, match=r"standin\.json"):
        load_model(folder / "standin.json")


def test_missing_model_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not in the models folder is refused."""
    monkeypatch.setenv("NESASSET_MODEL_DIR", str(tmp_path))
    assert models_dir() == tmp_path
    with pytest.raises(ModelMismatchError, match="no model 'nes-9'"):
        load_model("nes-9")


def feeds(model: Model, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, min(size, 3), (1, rows)) for size in FEATURES.values()], axis=2)
    return {
        "ids": ids,
        "slots": np.full((1, rows, len(SLOT_FEATURES)), NO_SLOT),
        "positions": np.arange(rows)[None],
        "force_cells": rng.integers(0, 3, (1, rows, 4)),
        "force_slots": np.zeros((1, rows, 3), dtype=np.int64),
    }


def test_reading_at_once_is_reading_row_by_row() -> None:
    """Many rows in one call say the same as one row a call: the cache and its growth change nothing."""
    model = load_model(STANDIN / "standin.json")
    palette = np.full((1, 16, 4), -1)
    palette[0, 0] = (1, 0, 2, 9)
    song = model.song(np.zeros((1, len(CONTROLS)), dtype=np.int64), palette, palette)
    rows = 90  # more than the cache's first room
    all_feeds = feeds(model, rows)
    at_once = model.run(song, model.cache(1), **all_feeds)
    cache, bits = model.cache(1), []
    for row in range(rows):
        out = model.run(song, cache, **{name: array[:, row : row + 1] for name, array in all_feeds.items()})
        bits.append(out.cell_bits)
    assert cache.length == rows
    assert np.abs(np.concatenate(bits, axis=1) - at_once.cell_bits).max() < 0.05  # int8 rounds activations by the call


def test_trimmed_cache_keeps_both_ends() -> None:
    """Trimming forgets the middle only."""
    model = load_model(STANDIN / "standin.json")
    palette = np.full((1, 16, 4), -1)
    palette[0, 0] = (1, 0, 2, 9)
    song = model.song(np.zeros((1, len(CONTROLS)), dtype=np.int64), palette, palette)
    cache = model.cache(1)
    model.run(song, cache, **feeds(model, 30))
    before = cache.arrays[0].copy()
    cache.trim(4, 10)
    assert cache.length == 14
    assert (cache.arrays[0][:, :, :4] == before[:, :, :4]).all()
    assert (cache.arrays[0][:, :, 4:14] == before[:, :, 20:30]).all()
