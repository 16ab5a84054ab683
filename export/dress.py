"""Drums and instruments by rule, for songs that were written for none: a choir or a piano does not sound like a game.

What a song gets is drawn from its name, so that it is the same each time. Its notes stay as they are. Drums are added where a song
has none, and only in most such songs: a model must learn both. All patterns and their shares are set by ear.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from export.songs import Song
from nesasset.arranging.sounds import DRUMS, HAT, KICK, SNARE, pulse_instrument
from nesasset.units import MAX_VOLUME
from nesasset.vocabulary import ENVELOPE_FRAMES, HOLD_ID, ONSET_ID

DRUMMED: Final = 0.75  # share of the songs without drums that get some
LATE: Final = 0.35  # of these: drums begin only after an eighth to a quarter of the song
FILL_BARS: Final = 8  # every so many bars the last beat is a fill
# Sounds of the tune and of the second voice, as families of General MIDI; see nesasset/arranging/sounds.py.
TUNES: Final = (0, 1, 2, 5, 7, 8, 9, 10, 10)
SECONDS: Final = (0, 1, 2, 3, 6, 10, 11, 13)
LEVELS: Final = np.array([5, 7, 9, 11, 13, 15])  # volumes to which peaks are rounded: a driver has few
# Drum patterns of a bar by its rows: k kick, s snare, h hat, . nothing.
PATTERNS: Final = {
    16: (
        "k...s...k...s...", "k.h.s.h.k.h.s.h.", "k...s..k..k.s...", "khhhshhhkhhhshhh", "k.hhs.h.k.k.s.hh", "k...h...s...h...",
        "k.k.s...k.k.s.h.", "h.h.h.h.h.h.h.h.", "k.......s.......", "k..ks..k..k.s..h",
    ),
    12: ("k.h.s.h.s.h.", "k...h...h...", "k.h.h.s.h.h.", "k..h..s..h..", "k...s...s...", "k..k..s..h.h"),
}  # fmt: skip
FILL: Final = "ssss"
_DRUM_OF: Final = {"k": KICK, "s": SNARE, "h": HAT}


def dress(song: Song) -> None:
    """Give a song instruments, and drums where it has none, in place."""
    rng = np.random.default_rng(list(hashlib.sha256(song.name.encode(errors="surrogateescape")).digest()[:16]))
    for voice, families in (("P1", TUNES), ("P2", SECONDS)):
        instrument = pulse_instrument(int(rng.choice(families)), voice)
        table, curves = song.notes[voice], song.envelopes[voice]
        if not len(table):
            continue
        shape = np.array(instrument.volume[:ENVELOPE_FRAMES])
        shape = np.concatenate([shape, np.full(ENVELOPE_FRAMES - len(shape), shape[-1])])
        peaks = curves.max(axis=1).astype(np.int64)
        peaks = LEVELS[np.abs(peaks[:, None] - LEVELS).argmin(axis=1)]
        volumes = np.maximum(1, np.rint(shape[None] * peaks[:, None] / MAX_VOLUME))
        known = np.arange(ENVELOPE_FRAMES) < table[:, 3:4]
        song.envelopes[voice] = np.where(known, volumes, 0).astype(np.uint8)
        table[:, 1] = instrument.duty
    if not (song.cells[:, 3] >= ONSET_ID).any() and rng.random() < DRUMMED:
        _add_drums(song, rng)


def _add_drums(song: Song, rng: np.random.Generator) -> None:
    """Write a pattern for most of the song, another one for a part of it, and fills."""
    n_rows, bar_rows = len(song.cells), song.bar_rows
    patterns = PATTERNS[bar_rows]
    usual, other = (patterns[index] for index in rng.choice(len(patterns), 2, replace=False))
    n_bars = n_rows // bar_rows
    first = int(n_bars * rng.uniform(0.12, 0.25)) if rng.random() < LATE else 0
    change = int(n_bars * rng.choice((0.5, 0.75, 1.0)))
    hits: list[tuple[int, int]] = []
    for bar in range(first, n_bars):
        pattern = usual if bar < change else other
        if (bar + 1) % FILL_BARS == 0:
            pattern = pattern[:-4] + FILL
        hits += [(bar * bar_rows + row, _DRUM_OF[drum]) for row, drum in enumerate(pattern) if drum != "."]
    song.cells[:, 3] = HOLD_ID
    table, curves = [], []
    for index, (row, drum) in enumerate(hits):
        instrument = DRUMS[drum]
        until = hits[index + 1][0] if index + 1 < len(hits) else n_rows
        frames = int(np.clip(song.boundaries[until] - song.boundaries[row], 1, ENVELOPE_FRAMES))
        curve = np.zeros(ENVELOPE_FRAMES, dtype=np.uint8)
        curve[: len(instrument.volume)] = instrument.volume
        curve[frames:] = 0
        song.cells[row, 3] = ONSET_ID
        table.append((row, instrument.mode, instrument.period, frames, int(np.flatnonzero(curve)[-1]) + 1))
        curves.append(curve)
    song.notes["NO"] = np.array(table, dtype=np.int32).reshape(-1, 5)
    song.envelopes["NO"] = np.array(curves, dtype=np.uint8).reshape(-1, ENVELOPE_FRAMES)
