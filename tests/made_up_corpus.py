"""A prepared corpus of made-up songs for the tests of export/: small, seeded, with repeats worth a plan."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from export.instruments import Library
from export.prepare import Rows
from nesasset.compose.chord_mining import mine_chords
from nesasset.compose.form_mining import bar_starts, mine_plan
from nesasset.recall import recall_song
from nesasset.vocabulary import (
    CONTROLS,
    HOLD_ID,
    NOISE_SHAPES,
    ONSET_ID,
    PALETTE_SLOTS,
    PULSE_SHAPES,
    REST_ID,
    pitch_to_id,
)

EDGES = {"density": [0.1, 0.2, 0.3, 0.4], "noise_density": [0.2, 0.4], "pitch_entropy": [1.0, 2.0], "register": [60.0, 70.0]}


def canonical(cells):
    """Turn a rest while nothing sounds into a hold, in place: songs have none."""
    for column in range(4):
        sounds = False
        for row, cell in enumerate(cells[:, column].tolist()):
            if cell == REST_ID and not sounds:
                cells[row, column] = HOLD_ID
            sounds = cell >= ONSET_ID or (sounds and cell == HOLD_ID)
    return cells


def random_cells(rng, n_rows):
    """Return cells without any form, shape (n_rows, 4)."""
    event = rng.random((n_rows, 4))
    pitch = pitch_to_id(48) + rng.integers(0, 12, size=(n_rows, 4))
    pitch[:, 3] = ONSET_ID
    return canonical(np.where(event < 0.55, HOLD_ID, np.where(event < 0.65, REST_ID, pitch)).astype(np.int32))


def made_up_song(rng, bar_rows=16, n_bars=None, first=0):
    """Return cells of a song with repeated, varied and silent bars, and an incomplete bar of `first` rows in front."""
    n_bars = n_bars or int(rng.integers(3, 7))
    bars = [random_cells(rng, bar_rows)]
    for _ in range(n_bars - 1):
        bar = bars[rng.integers(0, len(bars))].copy() if rng.random() < 0.75 else random_cells(rng, bar_rows)
        voice = int(rng.integers(0, 4))
        if rng.random() < 0.3:
            bar[:, :3] += np.where(bar[:, :3] >= ONSET_ID, rng.integers(-3, 4), 0).astype(np.int32)
        if rng.random() < 0.5:
            bar[:, voice] = random_cells(rng, bar_rows)[:, voice]
        if rng.random() < 0.3:
            bar[:, (voice + 1) % 4] = HOLD_ID
            bar[0, (voice + 1) % 4] = REST_ID
        bars.append(bar)
    last = random_cells(rng, int(rng.integers(1, bar_rows)))
    return canonical(np.concatenate([random_cells(rng, first), *bars, last]))


def write_split(folder: Path, seed: int, n_songs: int, n_bars: int | None = None) -> Path:
    """Write a split as export.prepare does."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list] = {name: [] for name in Rows.__slots__}
    rows = bars = 0
    for song in range(n_songs):
        bar_rows = 12 if song % 3 == 2 else 16
        cells, loop = made_up_song(rng, bar_rows, n_bars), (-1, -1)
        if song % 2:  # a bar in front, then a loop
            cells = cells[: len(cells) // bar_rows * bar_rows]
            loop = (bar_rows, len(cells))
        slots = np.full((len(cells), 3), -1, dtype=np.int8)
        for column, voice in enumerate((0, 1, 3)):
            onset = cells[:, voice] >= ONSET_ID
            slots[onset, column] = rng.integers(0, 3, size=int(onset.sum()))
        for name, shapes, periods in (("pulse_palette", PULSE_SHAPES, 1), ("noise_palette", NOISE_SHAPES, 16)):
            palette = np.full((PALETTE_SLOTS, 4), -1, dtype=np.int16)
            palette[:3] = np.stack([rng.integers(0, 2, 3), rng.integers(0, periods, 3), rng.integers(0, shapes, 3), rng.integers(1, 16, 3)], axis=1)
            parts[name].append(palette)
        lags, classes, shifts = mine_plan(cells, bar_rows)
        parts["cells"].append(cells.astype(np.int16))
        parts["slots"].append(slots)
        parts["offsets"].append(rows)
        parts["bar_offsets"].append(bars)
        parts["controls"].append(np.array([rng.integers(0, size) for size in CONTROLS.values()], dtype=np.int16))
        parts["bar_rows"].append(bar_rows)
        parts["loops"].append(loop)
        parts["lags"].append(lags)
        parts["classes"].append(classes)
        parts["shifts"].append(shifts)
        parts["chords"].append(mine_chords(cells, bar_starts(len(cells), bar_rows), bar_rows))
        parts["row_frames"].append(6.0)
        recall, strength = recall_song(cells, bar_rows)
        parts["recall"].append(recall.astype(np.int32))
        parts["strength"].append(strength.astype(np.int8))
        rows += len(cells)
        bars += len(lags)
    folder.mkdir(parents=True)
    parts["offsets"].append(rows)
    parts["bar_offsets"].append(bars)
    kinds = {"offsets": np.int64, "bar_offsets": np.int64, "loops": np.int32, "bar_rows": np.int16, "row_frames": np.float32}
    for name, part in parts.items():
        joined = name in ("cells", "slots", "lags", "classes", "shifts", "chords", "recall", "strength")
        array = np.concatenate(part) if joined else np.array(part, dtype=kinds.get(name, np.int16))
        np.save(folder / f"{name}.npy", array)
    (folder / "names.txt").write_text("".join(f"song {song}\n" for song in range(n_songs)), encoding="utf-8")
    return folder


def write_corpus(folder: Path, n_train: int = 24, n_valid: int = 5, n_bars: int | None = None) -> Path:
    """Write a whole corpus as export.prepare does."""
    write_split(folder / "train", 1, n_train)
    write_split(folder / "valid", 2, n_valid, n_bars)
    rng = np.random.default_rng(3)
    shapes = {name: rng.integers(0, 16, size=(count, 40)).astype(np.uint8) for name, count in (("pulse", PULSE_SHAPES), ("noise", NOISE_SHAPES))}
    Library(**shapes).save(folder / "library.npz")
    summary = {"edges": EDGES, "dropped": {}, "train": {"songs": n_train, "rows": 0}, "valid": {"songs": n_valid, "rows": 0}}
    (folder / "corpus.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder
