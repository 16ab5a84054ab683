"""The plan library: what the training songs' forms, palettes and controls look like, without any of their notes.

For each song one entry: its plan from the loop's start (or the song's), the palette of its instruments and its measured
controls. The runtime draws an entry and composes new notes to it. Of the songs' harmony there are counts only, of all songs
together: which chord follows which (nesasset.compose.harmony).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.prepare import Rows, load_rows
from nesasset.chords import transpose_chords
from nesasset.compose.form_mining import bar_starts, mine_plan
from nesasset.compose.harmony import Form, HarmonyModel, settle
from nesasset.compose.key import find_key, pitch_class_weights
from nesasset.vocabulary import CONTROLS


def song_harmonies(rows: Rows) -> list[tuple[NDArray[np.int64], Form]]:
    """Return the degrees and the form of every song of a split, as `HarmonyModel.fit` takes them."""
    found = []
    labels = np.asarray(rows.controls)[:, list(CONTROLS).index("label")].tolist()
    for (a, b), (first, end), label in zip(pairwise(rows.bar_offsets.tolist()), pairwise(rows.offsets.tolist()), labels, strict=True):
        tonic, mode, _ = find_key(pitch_class_weights(rows.cells[first:end]))
        form = Form(rows.lags[a:b], rows.classes[a:b], rows.shifts[a:b], mode == "minor", label)
        found.append((settle(transpose_chords(rows.chords[a:b], -tonic), form), form))
    return found


def write_plan_library(corpus: Path, path: Path) -> int:
    """Write the library of a prepared corpus' train split; return its number of entries."""
    rows = load_rows(corpus / "train")
    lags, classes, shifts, kept, sizes = [], [], [], [], []
    for song in range(len(rows.offsets) - 1):
        a, b = int(rows.offsets[song]), int(rows.offsets[song + 1])
        start = max(0, int(rows.loops[song, 0]))
        cells = np.asarray(rows.cells[a + start : b]).astype(np.int32)
        bar_rows = int(rows.bar_rows[song])
        whole = len(cells) // bar_rows
        if whole < 1:
            continue
        cells = cells[: whole * bar_rows]
        song_lags, song_classes, song_shifts = mine_plan(cells, bar_rows)
        assert len(song_lags) == len(bar_starts(len(cells), bar_rows)) - 1
        lags.append(song_lags)
        classes.append(song_classes)
        shifts.append(song_shifts)
        sizes.append(whole)
        kept.append(song)
    np.savez_compressed(
        path,
        bars=np.cumsum([0, *sizes]).astype(np.int32),
        lags=np.concatenate(lags).astype(np.int8),
        classes=np.concatenate(classes).astype(np.int8),
        shifts=np.concatenate(shifts).astype(np.int8),
        bar_rows=np.asarray(rows.bar_rows)[kept].astype(np.int8),
        controls=np.asarray(rows.controls)[kept].astype(np.int8),
        row_frames=np.asarray(rows.row_frames)[kept],
        pulse_palette=np.asarray(rows.pulse_palette)[kept].astype(np.int16),
        noise_palette=np.asarray(rows.noise_palette)[kept].astype(np.int16),
        **HarmonyModel.fit(song_harmonies(rows)).to_arrays(),
    )
    return len(kept)
