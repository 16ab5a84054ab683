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
from nesasset.features import COLUMN, FEATURES, NO_SLOT, SLOT_FEATURES
from nesasset.model import Model, Song, load_model, models_dir
from nesasset.vocabulary import CONTROLS, NEW

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


def a_song(model: Model, controls: int) -> Song:
    palette = np.full((1, 16, 4), -1)
    palette[0, 0] = (1, 0, 2, 9)
    return model.song(np.full((1, len(CONTROLS)), controls), palette, palette)


def log_p_of_bass(model: Model, song: Song, row: dict[str, np.ndarray]) -> np.ndarray:
    """Return the log probabilities of the bass's cells in a row, (pieces, 90), by forcing one after the other.

    The pieces share a call each time, as they do where they are guided: int8 rounds by the call.
    """
    pieces = len(song.arrays["song"])
    alike = {name: np.repeat(row[name], pieces, axis=0) for name in ("ids", "slots", "positions")}
    found = []
    for cell in range(90):
        force = np.full((pieces, 1, 4), -1)
        force[:, 0, 2] = cell
        found.append(-np.log(2) * model.run(song, model.cache(pieces), **alike, force_cells=force).cell_bits[:, 0, 2])
    return np.stack(found, axis=1)


def likeliest(log_p: np.ndarray) -> int:
    """Return the cell that is drawn without noise: hold, rest or the likeliest of the onsets, which count together."""
    event = int(np.argmax([log_p[0], log_p[1], np.logaddexp.reduce(log_p[2:])]))
    return event if event < 2 else 2 + int(log_p[2:].argmax())


@pytest.mark.parametrize("guidance", [0.0, 1.0, 40.0])
def test_guided_row_is_the_likeliest_of_two_mixed(guidance: float) -> None:
    """Two rows in one call choose what a mixture of their log probabilities has highest, computed here cell by cell.

    The stand-in hardly hears what it is told, so that only a strong guidance makes it choose otherwise.
    """
    model = load_model(STANDIN / "standin.json")
    told, plain = a_song(model, 1), a_song(model, 0)
    elsewhere = 0
    for seed in range(8):
        row = feeds(model, 1, seed)
        row["ids"][..., COLUMN["class_P1"] : COLUMN["class_P1"] + 4] = NEW
        song = told.guided(plain, guidance)
        as_told, as_plain = log_p_of_bass(model, Song(song.arrays), row)
        best = likeliest(guidance * as_told + (1 - guidance) * as_plain)
        del row["force_cells"]
        out = model.run(song, model.cache(1, song.sides), **row)
        assert out.cells.shape == (1, 1, 4)
        assert out.cells[0, 0, 2] == best
        elsewhere += best != likeliest(as_told)
    assert (elsewhere > 3) == (guidance > 1)


def test_guided_cache_keeps_both_sides() -> None:
    """Pieces of a guided song are taken and repeated with both of their sides."""
    model = load_model(STANDIN / "standin.json")
    song = a_song(model, 1).guided(a_song(model, 0), 2.0).repeat(3)
    assert len(song.arrays["song"]) == 6
    assert (song.arrays["song"][0] == song.arrays["song"][2]).all()
    assert (song.arrays["song"][0] != song.arrays["song"][3]).any()
    cache = model.cache(3, song.sides)
    several = {name: np.concatenate([feeds(model, 5, seed)[name] for seed in range(3)]) for name in feeds(model, 5)}
    model.run(song, cache, **several)
    before = cache.arrays[1].copy()
    cache.take(np.array([2, 2, 0]), song.sides)
    assert (cache.arrays[1] == before[[2, 2, 0, 5, 5, 3]]).all()


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
