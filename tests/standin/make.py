"""Make the stand-in model: the shipped model's shape at a hundredth of its size, with random weights and invented plans.

    python tests/standin/make.py

It composes nonsense quickly, by the same code as the real one, and holds nothing of any training data. Needs the extra
"train". The files beside this script are its output.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from export.model import ModelConfig, RowModel
from export.to_onnx import dumps_sidecar, export_fp32, make_sidecar, quantise, write_sums
from nesasset.chords import chord_id
from nesasset.compose.harmony import Form, HarmonyModel, settle
from nesasset.vocabulary import (
    CONTROLS,
    ENVELOPE_FRAMES,
    EXACT,
    NEW,
    NOISE_SHAPES,
    PALETTE_SLOTS,
    PULSE_SHAPES,
    SEQUENCE,
    SILENT,
    VARIED,
)

HERE = Path(__file__).parent
NAME = "standin"
CONFIG = ModelConfig(width=16, layers=1, heads=2, feed_forward=32, head_width=16, entry_width=4, context=96, latent=4, encoder_width=8)


def plans(rng: np.random.Generator, songs: int = 48) -> dict[str, np.ndarray]:
    """Return an invented plan library: songs of 1 to 24 bars, some that loop and some that end."""
    lags, classes, shifts, bars, harmonies = [], [], [], [0], []
    for song in range(songs):
        count = 1 + song % 24
        lag = np.where(np.arange(count) >= 4, 4, np.where(np.arange(count) >= 2, 2, 0))
        kind = np.full((count, 4), NEW)
        kind[lag > 0] = rng.choice([EXACT, VARIED, NEW], size=((lag > 0).sum(), 4), p=[0.5, 0.2, 0.3])
        kind[lag > 0, 2] = EXACT  # a reference that no voice uses is none
        if song % 3 == 0:
            kind[:, 3] = SILENT
        shift = np.zeros(count, dtype=int)
        if song % 4 == 0 and count > 4:
            kind[4, 2], shift[4] = SEQUENCE, 2 + song % 5
        form = Form(lag, kind, shift, minor=bool(song % 2))
        chords = np.repeat(rng.choice([chord_id(0, 0), chord_id(5, 0), chord_id(7, 0), chord_id(9, 1)], size=(count, 1)), 2, axis=1)
        harmonies.append((settle(chords, form), form))
        shifts.append(shift)
        lags.append(lag)
        classes.append(kind)
        bars.append(bars[-1] + count)
    controls = np.ones((songs, len(CONTROLS)), dtype=np.int8)
    names = list(CONTROLS)
    controls[:, names.index("loop_bars")] = np.where(np.arange(songs) % 2, 1, 9)
    for name in ("active_P1", "active_P2", "active_TR"):
        controls[:, names.index(name)] = 3
    pulse = np.full((songs, PALETTE_SLOTS, 4), -1, dtype=np.int16)
    pulse[:, :3] = np.stack([rng.integers(0, 4, (songs, 3)), np.zeros((songs, 3), int), rng.integers(0, 128, (songs, 3)), rng.integers(6, 16, (songs, 3))], axis=2)
    noise = np.full((songs, PALETTE_SLOTS, 4), -1, dtype=np.int16)
    noise[:, :2] = np.stack([np.zeros((songs, 2), int), rng.integers(0, 16, (songs, 2)), rng.integers(0, 32, (songs, 2)), rng.integers(6, 16, (songs, 2))], axis=2)
    return {
        "bars": np.array(bars, dtype=np.int32),
        "lags": np.concatenate(lags).astype(np.int8),
        "classes": np.concatenate(classes).astype(np.int8),
        "shifts": np.concatenate(shifts).astype(np.int8),
        "bar_rows": np.where(np.arange(songs) % 5 == 4, 12, 16).astype(np.int8),
        "controls": controls,
        "row_frames": np.full(songs, 6, dtype=np.float32),
        "pulse_palette": pulse,
        "noise_palette": noise,
        **HarmonyModel.fit(harmonies).to_arrays(),
    }


def shapes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return invented volume shapes: straight decays of several speeds."""
    speed = rng.uniform(0.2, 4, (count, 1))
    return np.clip(np.rint(15 - speed * np.arange(ENVELOPE_FRAMES)), 0, 15).astype(np.uint8)


def main() -> None:
    """Write the files."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    plain = RowModel(replace(CONFIG, latent=0))
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    net = RowModel(CONFIG).eval()
    net.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        for cell in net.head.cell:  # as often hold, rest and onset as in music
            cell.bias[0] += 4.0
            cell.bias[1] += 1.0
    with tempfile.TemporaryDirectory() as folder:
        fp32 = Path(folder) / "fp32.onnx"
        export_fp32(net, fp32, HERE / f"{NAME}.song.onnx", HERE / f"{NAME}.latent.onnx")
        quantise(fp32, HERE / f"{NAME}.onnx")
    np.savez_compressed(HERE / f"{NAME}.plans.npz", **plans(rng))
    sidecar = make_sidecar(
        HERE, NAME, CONFIG, shapes(rng, PULSE_SHAPES), shapes(rng, NOISE_SHAPES), edges={}, training={"data": "none: random weights"}
    )
    (HERE / f"{NAME}.json").write_text(dumps_sidecar(sidecar), encoding="utf-8")
    write_sums(HERE)


if __name__ == "__main__":
    main()
