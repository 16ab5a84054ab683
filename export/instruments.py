"""Instruments from data: a library of volume envelopes learnt over all songs, and a palette of few of them per song.

A note's volume curve over its span (its onset to the next one, silence included) is coded as shape times peak: 128 shapes
for the pulses and 32 for the noise, of 40 frames, by masked k-means; the last frame holds. A palette has at most 16
instruments: (duty, shape, peak) for the pulses, (period, mode, shape, peak) for the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.assemble import at_peak
from nesasset.vocabulary import ENVELOPE_FRAMES, NOISE_SHAPES, PALETTE_SLOTS, PULSE_SHAPES

DUTY_COST = 2.0  # a wrong duty weighs as much as a volume that is wrong by 2 of 15 in every frame
MODE_COST = 4.0
PERIOD_COST = 0.7  # per step of the period table
SLOT_COST = 4.0  # a palette slot must save this much (mean error per frame, summed over notes) …
SLOT_SHARE = 0.006  # … plus this much per note of the song


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """Volume shapes, peak = 15; uint8 arrays of shape (n_shapes, ENVELOPE_FRAMES)."""

    pulse: NDArray[np.uint8]
    noise: NDArray[np.uint8]

    def save(self, path: Path) -> None:
        """Write both arrays to an .npz file."""
        np.savez(path, pulse=self.pulse, noise=self.noise)

    @staticmethod
    def load(path: Path) -> Library:
        """Read what `save` wrote."""
        with np.load(path) as data:
            return Library(data["pulse"], data["noise"])


def fit_shapes(envelopes: NDArray[np.uint8], spans: NDArray[np.int64], count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Learn `count` shapes by masked k-means.

    Args:
        envelopes: Volumes, shape (n_notes, ENVELOPE_FRAMES); frames beyond the span are ignored.
        spans: Frames of each note that count.
        count: Number of shapes.
        seed: Of the starting points.

    Returns:
        uint8 of shape (count, ENVELOPE_FRAMES), commonest first, 15 = peak.
    """
    if not len(envelopes):  # a corpus without drums
        return np.full((count, ENVELOPE_FRAMES), 15, dtype=np.uint8)
    rng = np.random.default_rng(seed)
    packed = np.concatenate([envelopes, spans[:, None].astype(np.uint8)], axis=1)
    unique, counts = np.unique(packed, axis=0, return_counts=True)
    values = unique[:, :-1].astype(np.float32)
    mask = (np.arange(ENVELOPE_FRAMES) < unique[:, -1:]).astype(np.float32)
    peak = (values * mask).max(axis=1, keepdims=True)
    values = values / np.maximum(peak, 1) * 15 * mask
    weight = (np.minimum(counts, 2000) ** 0.75 * (peak[:, 0] / 15)).astype(np.float32)
    # Start from long notes (they show a whole shape), spread by k-means++ over a sample.
    pool = rng.choice(len(values), size=min(len(values), 20_000), replace=False, p=weight / weight.sum())
    pool = pool[np.argsort(-mask[pool].sum(axis=1))][: max(count * 8, len(pool) // 3)]
    centres = [_held(values[pool[0]], mask[pool[0]])]
    distance = np.full(len(pool), np.inf, dtype=np.float32)
    for _ in range(count - 1):
        distance = np.minimum(distance, (((values[pool] - centres[-1]) ** 2) * mask[pool]).mean(axis=1))
        if not distance.any():  # fewer unlike curves than shapes: the rest are doubles
            centres.append(centres[-1])
            continue
        pick = int(rng.choice(len(pool), p=distance / distance.sum()))
        centres.append(_held(values[pool[pick]], mask[pool[pick]]))
    centre = np.array(centres, dtype=np.float32)
    squares = (values**2).sum(axis=1)
    for _ in range(25):
        best = np.empty(len(values), dtype=np.int64)
        for part in range(0, len(values), 20_000):
            cut = slice(part, part + 20_000)
            cost = squares[cut, None] - 2 * values[cut] @ centre.T + mask[cut] @ (centre**2).T
            best[cut] = cost.argmin(axis=1)
        total = np.zeros_like(centre)
        mass = np.zeros_like(centre)
        np.add.at(total, best, values * weight[:, None])
        np.add.at(mass, best, mask * weight[:, None])
        previous = centre
        centre = np.where(mass > 0, total / np.maximum(mass, 1e-9), previous)
        for frame in range(1, ENVELOPE_FRAMES):  # where no member reaches, the last volume holds
            centre[:, frame] = np.where(mass[:, frame] > 0, centre[:, frame], centre[:, frame - 1])
    order = np.argsort(-np.bincount(best, weights=weight, minlength=count), kind="stable")
    return np.clip(np.rint(centre[order]), 0, 15).astype(np.uint8)


def _held(values: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill a curve's unknown end with its last known volume."""
    last = int(mask.sum()) - 1
    return np.where(mask > 0, values, values[last])


def _shape_errors(
    envelopes: NDArray[np.uint8], spans: NDArray[np.int64], shapes: NDArray[np.uint8], peaks: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the mean volume error per frame of each note (rows) under each (shape, peak) pair (columns)."""
    volumes = at_peak(shapes, peaks).astype(np.float32)
    out = np.empty((len(envelopes), len(volumes)), dtype=np.float32)
    for note in range(len(envelopes)):
        length = int(spans[note])
        out[note] = np.abs(volumes[:, :length] - envelopes[note, :length]).mean(axis=1)
    return out


def make_palette(
    envelopes: NDArray[np.uint8],
    spans: NDArray[np.int64],
    timbre: NDArray[np.int64],
    period: NDArray[np.int64] | None,
    shapes: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose at most PALETTE_SLOTS instruments for the notes of one song and give each note its slot.

    Candidates are the best code of each distinct note; slots are added greedily while each still pays for itself, so that
    notes whose curves differ by little share one instrument.

    Args:
        envelopes: Shape (n_notes, ENVELOPE_FRAMES).
        spans: Frames that count, 1 to ENVELOPE_FRAMES.
        timbre: Duty, or noise mode.
        period: Noise period 0 to 15, or None for pulses.
        shapes: The library's.

    Returns:
        Palette of shape (n, 4): timbre, period (0 for pulses), shape, peak; and the slot of each note.
    """
    if not len(envelopes):
        return np.zeros((0, 4), dtype=np.int64), np.zeros(0, dtype=np.int64)
    where = period if period is not None else np.zeros_like(timbre)
    packed = np.concatenate([envelopes, spans[:, None], timbre[:, None], where[:, None]], axis=1).astype(np.uint8)
    unique, inverse, counts = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    curves, lengths = unique[:, :ENVELOPE_FRAMES], unique[:, ENVELOPE_FRAMES].astype(np.int64)
    kinds, places = unique[:, -2].astype(np.int64), unique[:, -1].astype(np.int64)
    mask = np.arange(ENVELOPE_FRAMES) < lengths[:, None]
    peaks = np.maximum((curves * mask).max(axis=1).astype(np.int64), 1)

    head = np.argsort(-counts, kind="stable")[:160]
    codes = np.empty((len(head), 4), dtype=np.int64)
    for index, note in enumerate(head):
        length = int(lengths[note])
        error = np.abs(at_peak(shapes[:, :length], int(peaks[note])) - curves[note, :length]).mean(axis=1)
        codes[index] = kinds[note], places[note], int(error.argmin()), peaks[note]
    codes = np.unique(codes, axis=0)
    cost = _shape_errors(curves, lengths, shapes[codes[:, 2]], codes[:, 3])
    if period is None:
        cost += DUTY_COST * (kinds[:, None] != codes[None, :, 0])
    else:
        cost += MODE_COST * (kinds[:, None] != codes[None, :, 0])
        cost += PERIOD_COST * np.minimum(np.abs(places[:, None] - codes[None, :, 1]), 8)
    cost *= counts[:, None]
    least = SLOT_COST + SLOT_SHARE * float(counts.sum())
    chosen: list[int] = []
    current = np.full(len(unique), 1e9, dtype=np.float32)
    while len(chosen) < PALETTE_SLOTS:
        gain = np.maximum(current[:, None] - cost, 0).sum(axis=0)
        best = int(gain.argmax())
        if chosen and gain[best] < least:
            break
        chosen.append(best)
        current = np.minimum(current, cost[:, best])
    slots = cost[:, chosen].argmin(axis=1)
    used = np.bincount(slots, weights=counts, minlength=len(chosen))
    order = np.argsort(-used, kind="stable")[: int((used > 0).sum())]
    rank = np.zeros(len(chosen), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return codes[np.array(chosen)[order]], rank[slots][inverse]


def learn_library(pulse: tuple[NDArray[np.uint8], NDArray[np.int64]], noise: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> Library:
    """Fit both libraries from (envelopes, spans) of the training notes."""
    return Library(fit_shapes(*pulse, PULSE_SHAPES), fit_shapes(*noise, NOISE_SHAPES))
