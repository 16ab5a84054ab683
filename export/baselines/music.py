"""Rows of many songs as the counting baselines see them: cells, slots, and what each row's past says, as flat columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.prepare import Rows
from nesasset.features import PAST, history_features
from nesasset.vocabulary import HEAD_ORDER, N_CELLS, ONSET_ID

MAX_ROWS = 4  # how far contexts look back
BEFORE = N_CELLS  # stands for a cell before the song
MIX = np.uint64(0x9E3779B97F4A7C15)
SLOT_VOICE = (0, 1, 3)  # voice of each slot column
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Music:
    """Songs one after the other."""

    cells: Ints
    """(n_rows, 4)."""
    slots: Ints
    """(n_rows, 3), -1 where no onset is."""
    song: Ints
    """(n_rows,): number of the song."""
    row: Ints
    """(n_rows,): row within it."""
    used: Ints
    """(n_songs, 2): instruments in the pulse and in the noise palette."""
    history: Ints
    """(n_rows, len(PAST)): features.history_features."""

    @staticmethod
    def of(rows: Rows, songs: Ints | None = None) -> Music:
        """Gather the given songs of a split, all if None."""
        offsets = np.asarray(rows.offsets)
        songs = np.arange(len(offsets) - 1) if songs is None else songs
        cells, slots, history = ([np.zeros((0, width), dtype=np.int64)] for width in (4, 3, len(PAST)))
        for song in songs:
            a, b = offsets[song], offsets[song + 1]
            cells.append(np.asarray(rows.cells[a:b]).astype(np.int64))
            slots.append(np.asarray(rows.slots[a:b]).astype(np.int64))
            history.append(history_features(cells[-1], slots[-1])[0][:-1].astype(np.int64))
        lengths = (offsets[1:] - offsets[:-1])[songs]
        palettes = (rows.pulse_palette, rows.noise_palette)
        return Music(
            np.concatenate(cells),
            np.concatenate(slots),
            np.repeat(np.arange(len(songs)), lengths),
            np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(length) for length in lengths)]),
            np.stack([(np.asarray(palette)[songs, :, 0] >= 0).sum(axis=1) for palette in palettes], axis=1),
            np.concatenate(history),
        )

    def back(self, array: Ints, rows: int, fill: int) -> Ints:
        """Return the array as it was so many rows ago, `fill` before the song."""
        out = np.full_like(array, fill)
        out[rows:] = array[: max(0, len(array) - rows)]
        out[self.row < rows] = fill
        return out


def mix(*columns: Ints) -> NDArray[np.uint64]:
    """Return one 64-bit number per row for columns of shape (n,) or (n, k): a context's name."""
    key = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        for part in column.reshape(len(column), -1).T:
            key = (key ^ (part.astype(np.uint64) + np.uint64(0x1234567))) * MIX
            key ^= key >> np.uint64(29)
    return key


def kinds(cells: Ints) -> Ints:
    """Reduce cells to hold, rest, onset, and 3 for a cell before the song."""
    return np.where(cells == BEFORE, 3, np.minimum(cells, ONSET_ID))


def cell_contexts(music: Music, voice: int) -> dict[str, list[Ints]]:
    """Return every context in which a voice's cells are counted, by name: columns of shape (n_rows, …)."""
    said = music.cells[:, HEAD_ORDER[: HEAD_ORDER.index(voice)]]
    rows = [music.back(music.cells, back, BEFORE) for back in range(1, MAX_ROWS + 1)]
    own = np.stack([row[:, voice] for row in rows], axis=1)
    rhythm = np.concatenate([kinds(said), kinds(own), np.minimum(music.history[:, 4 + voice], ONSET_ID)[:, None]], axis=1)
    last = music.history[:, 8 + min(voice, 3)]  # the noise voice has no pitch: how long ago its last event was
    return {
        "nothing": [np.zeros_like(music.row)],
        "rhythm": [rhythm],
        "rhythm, last": [rhythm, last],
        "said, last, 1": [said, last, kinds(own[:, 0])],
        "said, last, 2": [said, last, own[:, :2]],
        "said, row": [said, last, rows[0]],
        "said, last, 4": [said, last, own],
        "said, 2 rows": [said, last, *rows[:2]],
        "said, 4 rows": [said, last, *rows],
    }


def slot_contexts(music: Music, column: int) -> tuple[Ints, dict[str, list[Ints]]]:
    """Return the rows on which a voice begins a note, and every context in which its instruments are counted."""
    voice = SLOT_VOICE[column]
    at = np.flatnonzero(music.slots[:, column] >= 0)
    before = HEAD_ORDER[: HEAD_ORDER.index(voice)]
    said = music.cells[at][:, before]
    spoken = music.slots[at][:, [SLOT_VOICE.index(other) for other in before if other in SLOT_VOICE]]
    cell, song, slot = music.cells[at, voice], music.song[at], music.slots[at, column]
    lasts = np.full((len(at), MAX_ROWS), -2, dtype=np.int64)
    for back in range(1, MAX_ROWS + 1):
        same = song[back:] == song[:-back]
        lasts[back:, back - 1] = np.where(same, slot[:-back], -2)
    used = music.used[song, int(voice == 3)]
    rows = [
        np.concatenate([music.back(music.cells, back, BEFORE)[at], music.back(music.slots, back, -2)[at]], axis=1)
        for back in range(1, MAX_ROWS + 1)
    ]
    rhythm = kinds(np.stack([row[:, voice] for row in rows], axis=1))
    here = [cell, said, spoken]
    return at, {
        "nothing": [used],
        "last": [used, lasts[:, :1]],
        "last 2": [used, lasts[:, :2]],
        "last, cell": [used, cell, lasts[:, :1]],
        "last 2, cell": [used, cell, lasts[:, :2]],
        "rhythm": [used, cell, lasts[:, :1], rhythm],
        "last, spoken": [used, cell, lasts[:, :1], spoken, kinds(said)],
        "last 4": [used, cell, lasts],
        "said, row": [used, *here, lasts[:, :1], rows[0]],
        "said, 4 rows": [used, *here, lasts, *rows],
    }
