"""Crops of songs as training batches: which rows, what the model is told about them, what it is not told this time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from export.prepare import Rows, load_rows
from export.processes import place
from nesasset.chords import transpose_chords
from nesasset.compose.form_mining import bar_starts
from nesasset.features import (
    CHORD,
    COLUMN,
    SLOT_FEATURES,
    as_future,
    forget_chords,
    forget_plan,
    forget_recall,
    song_features,
)
from nesasset.vocabulary import HIGHEST_PITCH, N_CELLS, ONSET_ID, UNKNOWN_REMAINING, pitch_to_id

PITCH_COLUMNS = tuple(
    COLUMN[f"{name}_{voice}"] for name in ("previous", "held", "last", "reference", "following", "recall") for voice in ("P1", "P2", "TR")
)
LOWEST_IDS = (pitch_to_id(33), pitch_to_id(33), pitch_to_id(21))  # P1, P2, TR
HIGHEST_ID = pitch_to_id(HIGHEST_PITCH)
SONG_ROWS_CAP = 1500  # a song of a quarter of an hour is not drawn more often than one of this length


@dataclass(frozen=True, slots=True)
class CropConfig:
    """How crops are drawn and what is withheld. Shares and probabilities."""

    rows: int = 256
    batch: int = 8
    random: float = 0.45
    starts: float = 0.15
    loops: float = 0.25
    infill: float = 0.15
    forget_plan: float = 0.10
    forget_voice: float = 0.10
    forget_bars: float = 0.05
    forget_recall: float = 0.30
    """High, because a piece is composed without it; see compose/writer.py."""
    forget_chords: float = 0.15
    forget_chord_bars: float = 0.10
    forget_more: float = 0.6
    """Where the whole plan is withheld, the harmony and the recall are with this probability each: that is how the judge reads."""
    forget_control: float = 0.15
    forget_controls: float = 0.10
    forget_remaining: float = 0.30
    transpose: bool = True
    plan: bool = True
    """False trains the same network without plan and harmony: the baseline that shows what they are worth."""
    chords: bool = True
    """False trains it without harmony: the ablation that shows what the chords are worth."""


class Corpus:
    """A prepared split with the features of all its songs in memory (about 0.2 GB for train)."""

    def __init__(self, folder: Path) -> None:
        self.rows: Rows = load_rows(folder)
        self.offsets = np.asarray(self.rows.offsets)
        self.cells = np.asarray(self.rows.cells)
        self.slots = np.asarray(self.rows.slots)
        n_rows = len(self.cells)
        self.ids = np.empty((n_rows, len(COLUMN)), dtype=np.int16)
        self.slot_ids = np.empty((n_rows, len(SLOT_FEATURES)), dtype=np.int8)
        self.ranges = np.empty((len(self), 2), dtype=np.int64)
        for song in range(len(self)):
            a, b = self.offsets[song], self.offsets[song + 1]
            starts, lags, classes, shifts = self.plan(song)
            loop = int(self.rows.loops[song, 0])
            self.ids[a:b], self.slot_ids[a:b] = song_features(
                self.cells[a:b],
                self.slots[a:b],
                starts,
                lags,
                classes,
                shifts,
                self.chords(song),
                int(self.rows.bar_rows[song]),
                (self.rows.recall[a:b].astype(np.int64), self.rows.strength[a:b]),
                loop if loop >= 0 else None,
            )
            low, high = -5, 6
            for voice, lowest in enumerate(LOWEST_IDS):
                onsets = self.cells[a:b, voice]
                onsets = onsets[onsets >= ONSET_ID]
                if len(onsets):
                    low, high = max(low, lowest - int(onsets.min())), min(high, HIGHEST_ID - int(onsets.max()))
            self.ranges[song] = min(low, 0), max(high, 0)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def length(self, song: int) -> int:
        """Return the number of rows of a song."""
        return int(self.offsets[song + 1] - self.offsets[song])

    def plan(self, song: int) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int8], NDArray[np.int8]]:
        """Return bar starts, lags, classes and shifts of a song."""
        a, b = self.rows.bar_offsets[song], self.rows.bar_offsets[song + 1]
        bar_rows = int(self.rows.bar_rows[song])
        starts = bar_starts(self.length(song), bar_rows)
        return starts, *(np.asarray(array[a:b]) for array in (self.rows.lags, self.rows.classes, self.rows.shifts))

    def chords(self, song: int) -> NDArray[np.int8]:
        """Return the chord of each half bar of a song, (n_bars, 2)."""
        return np.asarray(self.rows.chords[self.rows.bar_offsets[song] : self.rows.bar_offsets[song + 1]])


def transpose(ids: NDArray[np.int16], columns: tuple[int, ...], semitones: int) -> None:
    """Move every pitch id in the columns, in place."""
    part = ids[:, columns]
    pitched = (part >= ONSET_ID) & (part < N_CELLS)
    ids[:, columns] = np.where(pitched, part + semitones, part)


@dataclass(frozen=True, slots=True)
class Crop:
    """Rows of one song, and those of its future that are shown."""

    song: int
    start: int
    stop: int
    future: tuple[int, int] | None = None


def take(corpus: Corpus, crop: Crop, width: int) -> dict[str, NDArray]:  # type: ignore[type-arg]
    """Return a crop's arrays, future rows in front, padded at the end to `width` rows of its own."""
    base = int(corpus.offsets[crop.song])
    n = crop.stop - crop.start
    ids = np.zeros((width, len(COLUMN)), dtype=np.int16)
    slots = np.zeros((width, len(SLOT_FEATURES)), dtype=np.int8)
    cells = np.zeros((width, 4), dtype=np.int16)
    targets = np.full((width, 3), -1, dtype=np.int8)
    here = slice(base + crop.start, base + crop.stop)
    ids[:n], slots[:n] = corpus.ids[here], corpus.slot_ids[here]
    cells[:n], targets[:n] = corpus.cells[here], corpus.slots[here]
    positions = np.arange(width)
    if crop.future is not None:
        a, b = crop.future
        there = slice(base + a + 1, base + b + 1)
        future_ids, future_slots = corpus.ids[there].copy(), corpus.slot_ids[there].copy()
        as_future(future_ids, future_slots)
        ids, slots = np.concatenate([future_ids, ids]), np.concatenate([future_slots, slots])
        positions = np.concatenate([n + 1 + np.arange(b - a), positions])
    return {
        "ids": ids,
        "slots": slots,
        "positions": positions,
        "cells": cells,
        "targets": targets,
        "weight": (np.arange(width) < n).astype(np.float32),
        "controls": np.asarray(corpus.rows.controls[crop.song]).copy(),
        "pulse": np.asarray(corpus.rows.pulse_palette[crop.song]),
        "noise": np.asarray(corpus.rows.noise_palette[crop.song]),
    }


def to_batch(parts: list[dict[str, NDArray]]) -> dict[str, Tensor]:  # type: ignore[type-arg]
    """Stack crops; integers become int64, the weight stays float."""
    batch = {}
    for name in parts[0]:
        array = np.stack([part[name] for part in parts])
        batch[name] = torch.from_numpy(array if name == "weight" else array.astype(np.int64))
    return batch


class Crops(IterableDataset):  # type: ignore[type-arg]
    """Endless training batches, the same for the same seed and worker; of several processes that train together, each has its share of every batch."""

    def __init__(self, corpus: Corpus, config: CropConfig, seed: int = 0) -> None:
        self.corpus, self.config, self.seed = corpus, config, seed
        lengths = np.diff(corpus.offsets)
        weights = np.minimum(lengths, SONG_ROWS_CAP).astype(np.float64)
        self.weights = weights / weights.sum()
        looped = np.asarray(corpus.rows.loops)[:, 0] >= 0
        self.loop_songs = np.flatnonzero(looped)
        self.loop_weights = weights[looped] / weights[looped].sum()

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        rank, count = place()
        rng = np.random.default_rng([self.seed, 0, worker.id if worker else 0])
        while True:
            yield {name: tensor[rank::count] for name, tensor in self.batch(rng).items()}

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw one batch; all its crops have the same number of future rows."""
        config = self.config
        shares = np.array([config.random, config.starts, config.loops, config.infill])
        future_rows = int(rng.choice([0, 12, 16, 32], p=[0.6, 0.1, 0.2, 0.1]))
        parts = []
        missed = 0
        while len(parts) < config.batch:
            if missed > 50 * config.batch:  # all songs are too short to have a future
                future_rows, parts = 0, []
            kind = int(rng.choice(4, p=shares / shares.sum()))
            if kind == 2 and not len(self.loop_songs):
                kind = 3 if future_rows else 0
            if future_rows and kind in (0, 1):
                kind = int(rng.choice([2, 3], p=[0.65, 0.35])) if len(self.loop_songs) else 3
            crop = self.draw(rng, kind, future_rows)
            missed = missed + 1 if crop is None else 0
            if crop is not None:
                parts.append(self.withhold(rng, take(self.corpus, crop, config.rows), crop))
        return to_batch(parts)

    def draw(self, rng: np.random.Generator, kind: int, future_rows: int) -> Crop | None:
        """Draw a crop: 0 anywhere, 1 a song's start, 2 a loop's end, 3 with the rows that follow it."""
        corpus, rows = self.corpus, self.config.rows
        if kind == 2:
            song = int(rng.choice(self.loop_songs, p=self.loop_weights))
            start, end = (int(value) for value in corpus.rows.loops[song])
            end = corpus.length(song)
            first = max(start, end - rows)
            if future_rows == 0:
                return Crop(song, first, end)
            if start + future_rows >= end:
                return None
            return Crop(song, first, end, (start, start + future_rows))
        song = int(rng.choice(len(corpus), p=self.weights))
        length = corpus.length(song)
        if kind == 1:
            return Crop(song, 0, min(rows, length))
        start = int(rng.integers(0, max(1, length - rows // 2)))
        stop = min(start + rows, length)
        if kind == 3 and future_rows:
            stop = min(stop, length - future_rows - 1)
            if stop - start < 16:
                return None
            return Crop(song, start, stop, (stop, stop + future_rows))
        return Crop(song, start, stop)

    def withhold(self, rng: np.random.Generator, part: dict[str, NDArray], crop: Crop) -> dict[str, NDArray]:  # type: ignore[type-arg]
        """Transpose the crop and take away some of what the model is told."""
        config, ids, slots = self.config, part["ids"], part["slots"]
        n_future = len(ids) - config.rows
        if config.transpose:
            low, high = self.corpus.ranges[crop.song]
            semitones = int(rng.integers(low, high + 1))
            transpose(ids, PITCH_COLUMNS, semitones)
            transpose(part["cells"], (0, 1, 2), semitones)
            ids[:, CHORD : CHORD + 3] = transpose_chords(ids[:, CHORD : CHORD + 3], semitones)
        main = np.arange(len(ids)) >= n_future
        draw = rng.random(6)
        blind = not config.plan or draw[0] < config.forget_plan
        if blind:
            forget_plan(ids, slots, main, np.ones(4, dtype=bool))
        elif draw[0] < config.forget_plan + config.forget_voice:
            forget_plan(ids, slots, main, rng.random(4) < 0.4)
        elif draw[0] < config.forget_plan + config.forget_voice + config.forget_bars:
            bar = np.cumsum(ids[:, COLUMN["row_in_bar"]] == 0)
            hidden = rng.random(int(bar.max()) + 1) < 0.4
            forget_plan(ids, slots, main & hidden[bar], np.ones(4, dtype=bool))
        if not (config.plan and config.chords) or draw[4] < (config.forget_more if blind else config.forget_chords):
            forget_chords(ids)
        elif draw[4] < config.forget_chords + config.forget_chord_bars:
            half = np.cumsum(np.diff(ids[:, CHORD], prepend=-1) != 0)
            forget_chords(ids, (rng.random(int(half.max()) + 1) < 0.4)[half])
        if draw[1] < config.forget_remaining:
            ids[n_future:, COLUMN["bars_remaining"]] = UNKNOWN_REMAINING
        if draw[3] < (config.forget_more if blind else config.forget_recall):
            forget_recall(ids, slots)
        controls = part["controls"]
        controls[rng.random(len(controls)) < config.forget_control] = 0
        if draw[2] < config.forget_controls:
            controls[:] = 0
        return part


def windows(corpus: Corpus, song: int, context: int) -> Iterator[tuple[Crop, int]]:
    """Yield crops that cover a song, and how many of the first rows of each are context only.

    The first window scores all its rows, each later one its second half.
    """
    length = corpus.length(song)
    yield Crop(song, 0, min(context, length)), 0
    start = context // 2
    while start + context // 2 < length:
        stop = min(start + context, length)
        yield Crop(song, start, stop), context // 2
        start += context // 2
