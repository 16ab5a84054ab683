"""The model file and its sidecar: found, checked, loaded, run. Holds no music and no sampling policy.

A model is four files of one name: NAME.onnx (rows, int8), NAME.song.onnx (what holds for a whole piece), NAME.plans.npz
(forms, palettes and controls of the training songs) and NAME.json, the sidecar with the hashes of the others; a fifth,
NAME.latent.onnx, where the model knows pieces as points of a space. Loading refuses a file whose hash is not the sidecar's,
and a vocabulary that is not ours. Only ONNX is loaded, never a pickle.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from nesasset.errors import ModelMismatchError, did_you_mean
from nesasset.features import FEATURES
from nesasset.vocabulary import ONSET_ID, vocabulary_hash

FORMAT: Final = "nesasset-model"
VERSION: Final = 1
DEFAULT_MODEL: Final = "nes-1"
MAX_FILE_BYTES: Final = 200_000_000
MAX_SIDECAR_BYTES: Final = 4_000_000
BEAT_ROWS: Final = 4  # the encoder of the latent reads whole beats
GROWTH: Final = 32  # rows by which a full cache grows
FILES: Final = {"model": ".onnx", "song": ".song.onnx", "plans": ".plans.npz", "latent": ".latent.onnx"}  # the last is not in every model
FORCE: Final = np.float32(1e12)  # beyond every log probability, also one that a filter has blocked


def models_dir() -> Path:
    """Return the folder of the models: NESASSET_MODEL_DIR, else the installed package's, else the checkout's."""
    told = os.environ.get("NESASSET_MODEL_DIR")
    if told:
        return Path(told)
    package = Path(__file__).parent
    return package / "models" if (package / "models").is_dir() else package.parent / "models"


@dataclass(frozen=True, slots=True, eq=False)
class Song:
    """What the song graph says of a batch of pieces: the row graph's inputs that stay the same for all rows."""

    arrays: Mapping[str, NDArray[np.float32]]
    """By input name; the first axis is the piece, those of the second side behind those of the first."""
    sides: int = 1
    """2 for pieces that are guided: the second side is of the same pieces, told less."""
    guidance: float = 1.0
    """How far cells are drawn as the first side has it: 0 as the second, 1 as the first, more beyond it (Ho and Salimans,
    Classifier-Free Diffusion Guidance, 2022)."""

    def guided(self, plain: Song, guidance: float) -> Song:
        """Return these pieces led away from what they are without what they are told."""
        both = {name: np.concatenate([array, plain.arrays[name]]) for name, array in self.arrays.items()}
        return Song(both, 2, guidance)

    def repeat(self, count: int) -> Song:
        """Return the first piece's, `count` times."""
        arrays = {name: np.repeat(array[:: len(array) // self.sides], count, axis=0) for name, array in self.arrays.items()}
        return Song(arrays, self.sides, self.guidance)

    def shares(self, pieces: int) -> NDArray[np.float32]:
        """Return by how much of each row's log probabilities each row's cells are drawn, (rows, rows)."""
        own = np.eye(pieces, dtype=np.float32)
        if self.sides == 1:
            return own
        return np.kron(np.array([[self.guidance, 1 - self.guidance]] * 2, dtype=np.float32), own)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What the row graph returns for B pieces and T rows."""

    cells: NDArray[np.int64]
    """(B, T, 4)."""
    slots: NDArray[np.int64]
    """(B, T, 3), -1 where no note begins."""
    cell_bits: NDArray[np.float32]
    """(B, T, 4): surprise of each cell in bits, 0 where the plan fixes it."""
    slot_bits: NDArray[np.float32]
    """(B, T, 3)."""


class Cache:
    """The rows a model has read: keys and values of each layer, with room for more rows behind those that count."""

    def __init__(self, count: int, batch: int, heads: int, width: int, room: int = 64) -> None:
        self.length = 0
        """Rows that count."""
        self.arrays = [np.zeros((batch, heads, room, width), dtype=np.float32) for _ in range(count)]

    def add(self, present: list[NDArray[np.float32]]) -> None:
        """Write the new rows, (1, B, heads, T, width) each, behind the others; room grows by a few: unused room is read, too."""
        end = self.length + present[0].shape[3]
        room = self.arrays[0].shape[2]
        if end > room:
            more = max(end, room + GROWTH) - room
            batch, heads, _, width = self.arrays[0].shape
            new = np.zeros((batch, heads, more, width), dtype=np.float32)
            self.arrays = [np.concatenate([array, new], axis=2) for array in self.arrays]
        for array, rows in zip(self.arrays, present, strict=True):
            array[:, :, self.length : end] = rows[0]
        self.length = end

    def take(self, order: NDArray[np.integer], sides: int = 1) -> None:
        """Go on with these pieces, in this order; of a guided song each stands there once a side."""
        pieces = len(self.arrays[0]) // sides
        index = np.concatenate([order + side * pieces for side in range(sides)])
        self.arrays = [array[index] for array in self.arrays]

    def trim(self, first: int, last: int) -> None:
        """Forget the rows between the first and the last few."""
        start = self.length - last
        for array in self.arrays:
            array[:, :, first : first + last] = array[:, :, start : self.length].copy()
        self.length = first + last


class Model:
    """A loaded model. One instance may be used by one thread at a time."""

    def __init__(
        self, name: str, sidecar: Mapping[str, Any], rows: bytes, song: bytes, plans: bytes, encoder: bytes | None = None
    ) -> None:
        self.name = name
        self.sidecar = sidecar
        self.sha256 = str(sidecar["model"]["sha256"])
        self.context = int(sidecar["context"])
        self._rows = _session(rows, f"{name}.onnx")
        self._song = _session(song, f"{name}.song.onnx")
        self._plans = plans
        self._encoder_bytes = encoder
        self.latent = int(sidecar["latent"]["numbers"]) if encoder is not None else 0
        """Numbers of the latent; 0 for a model without."""
        # The graph's own word: export/ opens graphs without an encoder.
        self._points = next((int(found.shape[-1]) for found in self._song.get_inputs() if found.name == "latent"), 0)
        self._song_names = [output.name for output in self._song.get_outputs()]
        self._outputs = [output.name for output in self._rows.get_outputs()]
        self._n_past = len(self._outputs) - 4
        self.guides = any(found.name == "guidance" for found in self._rows.get_inputs())
        """Whether the model's rows can be guided; published files of before could not."""
        self._zeros: dict[tuple[int, int], dict[str, NDArray[Any]]] = {}

    @cached_property
    def plans(self) -> dict[str, NDArray[Any]]:
        """The plan library's arrays; see export/plan_library.py."""
        try:
            with np.load(io.BytesIO(self._plans), allow_pickle=False) as data:
                return {key: data[key] for key in data.files}
        except (ValueError, OSError, EOFError, KeyError) as error:
            raise ModelMismatchError(
                f"{self.name}.plans.npz is damaged ({error}); install the package again"
            ) from error

    @cached_property
    def _encoder(self) -> ort.InferenceSession:
        assert self._encoder_bytes is not None
        return _session(self._encoder_bytes, f"{self.name}.latent.onnx")

    def song(
        self,
        controls: NDArray[np.integer],
        pulse: NDArray[np.integer],
        noise: NDArray[np.integer],
        latent: NDArray[np.floating] | None = None,
    ) -> Song:
        """Read controls (B, n_controls), palettes (B, 16, 4), -1 in unused slots, and points (B, latent) of a model that has them."""
        feeds: dict[str, NDArray[Any]] = {
            name: array.astype(np.int64) for name, array in (("controls", controls), ("pulse", pulse), ("noise", noise))
        }
        if self._points:
            told = np.zeros((len(controls), self._points)) if latent is None else latent
            feeds["latent"] = told.astype(np.float32)
        out = self._song.run(self._song_names, feeds)
        return Song(dict(zip(self._song_names, out, strict=True)))

    def encode(self, ids: NDArray[np.integer], cells: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the point of a piece: mean and standard deviation, (latent,) each.

        Args:
            ids: (n_rows, n_features) of the piece's rows, see features.history_features; only the past and the place in the bar are read.
            cells: (n_rows, 4).

        Raises:
            ModelMismatchError: The model has no latent.
        """
        if not self.latent:
            raise ModelMismatchError(f"the model {self.name} has no latent; take one that has, such as {DEFAULT_MODEL}")
        room = -len(cells) % BEAT_ROWS
        pad = ((0, room), (0, 0))
        feeds = {
            "ids": np.pad(ids, pad).astype(np.int64)[None],
            "cells": np.pad(cells, pad).astype(np.int64)[None],
            "weight": (np.arange(len(cells) + room) < len(cells)).astype(np.float32)[None],
        }
        mean, spread = self._encoder.run(["mean", "spread"], feeds)
        return mean[0], spread[0]

    def cache(self, batch: int, sides: int = 1) -> Cache:
        """Return an empty cache for so many pieces, of a song of so many sides."""
        return Cache(self._n_past, batch * sides, int(self.sidecar["heads"]), int(self.sidecar["head_width"]))

    def run(
        self,
        song: Song,
        cache: Cache,
        ids: NDArray[np.integer],
        slots: NDArray[np.integer],
        positions: NDArray[np.integer],
        **rest: NDArray[Any],
    ) -> Rows:
        """Read or compose T rows and put them into the cache.

        Args:
            song: For the same B pieces; where it has two sides, both are read and the first is returned.
            cache: Of the rows before; changed.
            ids: (B, T, n_features).
            slots: (B, T, n_slot_features).
            positions: (B, T), rows.
            rest: Any of event_push (B, T, 4, 3), pitch_bias and pitch_push (B, T, 3, 88), slot_push (B, T, 3, 16) and floors
                (2,), see export/step.py, and of force_cells (B, T, 4) and force_slots (B, T, 3), -1 where the model chooses.
                What is missing is "likeliest symbol, no bias, no filter".
        """
        shape = (ids.shape[0], ids.shape[1])
        feeds: dict[str, NDArray[Any]] = dict(self._defaults(shape))
        force = {name: rest.pop(name) for name in ("force_cells", "force_slots") if name in rest}
        for name, array in rest.items():
            flat = array if array.ndim == 1 else array.reshape(*array.shape[:2], -1)
            feeds[name] = np.ascontiguousarray(flat, dtype=np.float32)
        _force(feeds, **force)
        feeds.update(
            ids=np.ascontiguousarray(ids, dtype=np.int64),
            slots=np.ascontiguousarray(slots, dtype=np.int64),
            positions=np.ascontiguousarray(positions, dtype=np.int64),
            length=np.array([cache.length]),
        )
        if song.sides == 2:
            feeds.update({name: np.concatenate([array, array]) for name, array in feeds.items() if array.ndim > 1})
        if self.guides:
            feeds["guidance"] = song.shares(shape[0])
        feeds.update(song.arrays)
        for index, array in enumerate(cache.arrays):
            feeds[f"past_{index}"] = array
        cells, chosen, cell_bits, slot_bits, *present = self._rows.run(self._outputs, feeds)
        cache.add(present)
        return Rows(*(array[: shape[0]] for array in (cells, chosen, cell_bits, slot_bits)))

    def _defaults(self, shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
        if shape not in self._zeros:
            sizes = {"event_push": 4 * 3, "pitch_bias": 3 * 88, "pitch_push": 3 * 88, "slot_push": 3 * 16}
            self._zeros[shape] = {name: np.zeros((*shape, size), dtype=np.float32) for name, size in sizes.items()}
            self._zeros[shape]["floors"] = np.array([-1e6, -1e6], dtype=np.float32)
        return self._zeros[shape]


def _force(
    feeds: dict[str, NDArray[Any]],
    force_cells: NDArray[np.integer] | None = None,
    force_slots: NDArray[np.integer] | None = None,
) -> None:
    """Push symbols that are given beyond all others; the arrays in `feeds` are replaced, not changed."""
    if force_cells is not None:
        piece, row, voice = np.nonzero(force_cells >= 0)
        if len(voice):
            cell = force_cells[piece, row, voice]
            feeds["event_push"] = feeds["event_push"].copy()
            feeds["event_push"][piece, row, voice * 3 + np.minimum(cell, ONSET_ID)] = FORCE
            pitched = (cell >= ONSET_ID) & (voice < 3)
            if pitched.any():
                feeds["pitch_push"] = feeds["pitch_push"].copy()
                place = voice * 88 + cell - ONSET_ID
                feeds["pitch_push"][piece[pitched], row[pitched], place[pitched]] = FORCE
    if force_slots is not None:
        piece, row, column = np.nonzero(force_slots >= 0)
        if len(column):
            feeds["slot_push"] = feeds["slot_push"].copy()
            feeds["slot_push"][piece, row, column * 16 + force_slots[piece, row, column]] = FORCE


def _session(data: bytes, label: str) -> ort.InferenceSession:
    """Open a graph on one thread: the same sums in the same order each time, and a game keeps its cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, of no common base
        reason = str(error).splitlines()[0][:200]
        raise ModelMismatchError(
            f"{label} is no model that onnxruntime {ort.__version__} can load ({reason})"
        ) from error


def load_model(name: str | Path | None = None) -> Model:
    """Load a model by name, of this installation or added by the user, or by the path of its NAME.onnx or NAME.json.

    Raises:
        ModelMismatchError: There is no such model, or its files do not belong together.
    """
    text = str(name or DEFAULT_MODEL)
    path = Path(text)
    if path.suffix in (".onnx", ".json"):
        folder, stem = path.parent, path.name.removesuffix(".onnx").removesuffix(".json")
    else:
        from nesasset.model_names import model_file  # which loads by this function

        found = model_file(text, ".json") if path.name == text else None
        folder, stem = models_dir() if found is None else found.parent, text
    sidecar_path = folder / f"{stem}.json"
    if not sidecar_path.is_file():
        known = sorted(found.stem for found in folder.glob("*.json") if not found.stem.endswith(".idioms")) if folder.is_dir() else []
        near = did_you_mean(stem, known) if known else ""
        raise ModelMismatchError(f"no model {text!r}: {sidecar_path.name} is not in {folder}{near}")
    sidecar = _read_sidecar(sidecar_path)
    parts = {}
    for key, suffix in FILES.items():
        if key == "latent" and key not in sidecar:
            continue
        file = folder / f"{stem}{suffix}"
        parts[key] = _read_checked(file, sidecar[key]["sha256"], sidecar_path.name)
    return Model(stem, sidecar, parts["model"], parts["song"], parts["plans"], parts.get("latent"))


def default_model() -> Model:
    """Return the default model of the models folder, loaded once a process. See `load_model` for the errors."""
    return _load_once(models_dir())


@lru_cache(maxsize=1)
def _load_once(folder: Path) -> Model:
    return load_model(folder / f"{DEFAULT_MODEL}.json")


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_SIDECAR_BYTES:
            raise ModelMismatchError(f"{path.name} is larger than a sidecar may be ({MAX_SIDECAR_BYTES} bytes)")
        sidecar = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ModelMismatchError(f"{path.name} is no readable sidecar ({error})") from error
    if not isinstance(sidecar, dict) or sidecar.get("format") != FORMAT:
        raise ModelMismatchError(f"{path.name} is no model sidecar: its format must be {FORMAT!r}")
    if sidecar.get("version") != VERSION:
        raise ModelMismatchError(
            f"{path.name} has sidecar version {sidecar.get('version')!r}, this nesasset reads {VERSION}; get a matching pair"
        )
    if sidecar.get("vocabulary") != vocabulary_hash() or sidecar.get("features") != FEATURES:
        raise ModelMismatchError(
            f"{path.name} belongs to another vocabulary than this nesasset's; install the version that the model was made for"
        )
    for key in FILES:
        part = sidecar.get(key)
        if key == "latent" and part is None:
            continue
        if not isinstance(part, dict) or not isinstance(part.get("sha256"), str):
            raise ModelMismatchError(f"{path.name} has no {key}.sha256; the sidecar must name the hash of each file")
    for key in ("context", "heads", "head_width"):
        if not isinstance(sidecar.get(key), int) or not 1 <= sidecar[key] <= 65_536:
            raise ModelMismatchError(f"{path.name}: {key} must be a number from 1 to 65536, not {sidecar.get(key)!r}")
    return sidecar


def _read_checked(path: Path, expected: str, sidecar: str) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelMismatchError(f"{path.name} is larger than a model may be ({MAX_FILE_BYTES} bytes)")
        data = path.read_bytes()
    except OSError as error:
        raise ModelMismatchError(f"{path.name}, which {sidecar} names, cannot be read ({error.strerror})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ModelMismatchError(
            f"{path.name} does not belong to {sidecar}: its SHA-256 is {found[:12]}…, the sidecar says {expected[:12]}…; "
            "install both files again"
        )
    return data
