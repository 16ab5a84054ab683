"""What sets of pieces look like side by side: 16 features, their Fréchet distance and overlapping area, statistics.

Holds the features and the distances between two sets; what a single measure means is in export/measures.py, the
classifiers that read the statistics are in export/judging/discriminator.py. Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.measures import (
    MEASURES,
    NO,
    P1,
    TR,
    Piece,
    consonance,
    pitch_class_entropy,
    scale_consistency,
)
from nesasset.chords import CONSONANT
from nesasset.compose.calibration import MOVES
from nesasset.compose.key import find_key
from nesasset.vocabulary import LOWEST_PITCH, ONSET_ID

P2: Final = 1
CLIP_SD: Final = 3.0  # a few odd songs would rule the covariance
GRID_POINTS: Final = 1024
PAD_BANDWIDTHS: Final = 4.0
BANDWIDTH_POWER: Final = -0.2  # Scott's rule in one dimension
WAITS: Final = (1, 2, 3, 4, 5, 8, 9)  # lower edges of the classes of a wait between onsets in rows


def _pitches(piece: Piece, column: int) -> NDArray[np.int64]:
    """Return the MIDI pitches of a voice's onsets."""
    pitches: NDArray[np.int64] = piece.cells[piece.onsets[:, column], column] - ONSET_ID + LOWEST_PITCH
    return pitches


def _activity(piece: Piece, column: int) -> float:
    return float((piece.sounding[:, column] >= ONSET_ID).mean()) if len(piece.cells) else 0.0


def triangle_activity(piece: Piece) -> float | None:
    """Return the share of rows in which the triangle sounds."""
    return _activity(piece, TR)


def melody_pitch(piece: Piece) -> float | None:
    """Return the median MIDI pitch of pulse 1's onsets."""
    pitches = _pitches(piece, P1)
    return float(np.median(pitches)) if len(pitches) else None


def melody_range(piece: Piece) -> float | None:
    """Return the semitones from the 10th to the 90th percentile of pulse 1's onsets."""
    pitches = _pitches(piece, P1)
    return float(np.diff(np.percentile(pitches, (10, 90)))[0]) if len(pitches) else None


def melody_wait(piece: Piece) -> float | None:
    """Return the mean number of rows from an onset of pulse 1 to its next."""
    waits = np.diff(np.flatnonzero(piece.onsets[:, P1]))
    return float(waits.mean()) if len(waits) else None


FEATURES: Final[dict[str, Callable[[Piece], float | None]]] = {
    **MEASURES,
    "triangle_activity": triangle_activity,
    "melody_pitch": melody_pitch,
    "melody_range": melody_range,
    "melody_wait": melody_wait,
}
"""The twelve measures of export.measures and four more: 16."""


def feature_table(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """Return the features of pieces, shape (n_pieces, 16), nan where a piece has nothing to measure."""
    rows = [[function(piece) for function in FEATURES.values()] for piece in pieces]
    return np.array(rows, dtype=np.float64).reshape(len(pieces), len(FEATURES))


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Mean and deviation of a reference set by which every set is scaled."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def scale(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a table in standard deviations, clipped at 3; what a piece has not becomes the mean."""
        scaled = np.clip((table - self.mean) / self.deviation, -CLIP_SD, CLIP_SD)
        return np.where(np.isnan(scaled), 0.0, scaled)


def fit_scaling(reference: NDArray[np.float64]) -> Scaling:
    """Return the scaling of a reference table of shape (n, k); a feature that never varies keeps its unit."""
    known = np.isfinite(reference)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, reference, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, reference - mean, 0.0) ** 2).sum(axis=0) / count)
    return Scaling(mean, np.where(deviation > 0, deviation, 1.0))


def frechet_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return the Fréchet distance of the normal distributions that fit two tables best, shapes (n, k) and (m, k).

    |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½), as in Heusel et al., 2017. Few rows make it too large: a set of n rows from the
    very same source is roughly k (k + 3) / 4n away, so figures of sets of different size are not comparable. None if a
    table has fewer than two rows.
    """
    if min(len(first), len(second)) < 2:
        return None
    means = first.mean(axis=0) - second.mean(axis=0)
    one, two = (np.cov(table, rowvar=False).reshape(table.shape[1], -1) for table in (first, second))
    root = _root(one)
    # tr (S1 S2)^½ = tr (S1^½ S2 S1^½)^½, and that matrix is symmetric.
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0.0)).sum()
    return max(0.0, float(means @ means + np.trace(one) + np.trace(two) - 2 * cross))


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def overlapping_area(reference: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Return the area under the densities of both sets in one feature, 0 to 1: equal sets have 1.

    Args:
        reference: Shape (n,).
        other: Shape (m,). Values that are not finite are left out in both.

    Returns:
        The area under both Gaussian kernel densities, Scott's bandwidth each; None where a set is empty.
    """
    known, others = reference[np.isfinite(reference)], other[np.isfinite(other)]
    return _common_area(known, others) if len(known) and len(others) else None


def distances_area(reference: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Return how much the distances inside a set and those from it to the reference are alike in one feature, 0 to 1.

    mgeval's overlapping area (Yang and Lerch, 2018): the density of |a - b| for all pairs in the set, and that for all pairs
    of the reference and the set. Unlike there the densities are integrated over the whole line, so that equal sets give 1.
    Arguments as in `overlapping_area`; None where there are no distances.
    """
    known, others = reference[np.isfinite(reference)], other[np.isfinite(other)]
    if len(others) < 2 or not len(known):
        return None
    inside = np.abs(others[:, None] - others)[np.triu_indices(len(others), 1)]
    return _common_area(inside, np.abs(known[:, None] - others).reshape(-1))


def _common_area(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    low, high = min(first.min(), second.min()), max(first.max(), second.max())
    least = max((high - low) / GRID_POINTS, 1e-12)  # the grid shows nothing finer
    widths = [max(values.std() * len(values) ** BANDWIDTH_POWER, least) for values in (first, second)]
    pad = PAD_BANDWIDTHS * max(widths)
    step = (high - low + 2 * pad) / GRID_POINTS
    densities = [
        _density(values, width, low - pad, step) for values, width in zip((first, second), widths, strict=True)
    ]
    return float(np.minimum(*densities).sum())


def _density(values: NDArray[np.float64], width: float, low: float, step: float) -> NDArray[np.float64]:
    """Return a kernel density as shares of a grid's cells, which sum to 1."""
    place = np.minimum(((values - low) / step).astype(np.int64), GRID_POINTS - 1)
    counts = np.bincount(place, minlength=GRID_POINTS) / len(values)
    reach = min(int(np.ceil(PAD_BANDWIDTHS * width / step)), GRID_POINTS // 2 - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    return np.convolve(counts, kernel / kernel.sum(), mode="same")


def by_feature(
    area: Callable[[NDArray[np.float64], NDArray[np.float64]], float | None],
    reference: NDArray[np.float64],
    other: NDArray[np.float64],
) -> dict[str, float | None]:
    """Return `overlapping_area` or `distances_area` of every feature of two tables from `feature_table`."""
    return {name: area(reference[:, at], other[:, at]) for at, name in enumerate(FEATURES)}


# Statistics for classifiers: what is heard, no title, no text, no instrument's name.


def _shares(values: NDArray[np.integer], edges: tuple[int, ...]) -> list[float]:
    """Return the shares of values in classes with those lower edges; zeros where there are none."""
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 1)
    shares: list[float] = (np.bincount(place, minlength=len(edges)) / max(len(values), 1)).tolist()
    return shares


def _voice_statistics(piece: Piece, column: int) -> list[float]:
    """Return activity, density, median pitch, range, moves and waits of a melodic voice."""
    pitches, rows = _pitches(piece, column), np.flatnonzero(piece.onsets[:, column])
    moves = np.diff(pitches)
    low, middle, high = np.percentile(pitches, (10, 50, 90)) if len(pitches) else (np.nan,) * 3
    return [
        _activity(piece, column),
        float(piece.onsets[:, column].mean()),
        float(middle),
        float(high - low),
        float((moves > 0).mean()) if len(moves) else np.nan,
        *_shares(np.abs(moves), MOVES),
        *_shares(np.diff(rows), WAITS),
    ]


def _interval_consonance(piece: Piece, upper: int, lower: int) -> float:
    both = piece.onsets[:, upper] & (piece.sounding[:, lower] >= ONSET_ID)
    interval = (piece.cells[both, upper] - piece.sounding[both, lower]) % 12
    return float(np.isin(interval, CONSONANT).mean()) if len(interval) else np.nan


_MOVE_NAMES: Final = ("repeated", "1 or 2", "3 or 4", "5 to 7", "8 to 11", "12", "over 12")
_WAIT_NAMES: Final = ("1", "2", "3", "4", "5 to 7", "8", "over 8")
STATISTICS: Final = (
    *(name.replace("_", " ") for name in FEATURES if name != "pulse_instruments"),
    *(
        f"{voice} {name}"
        for voice in ("P1", "P2", "TR")
        for name in (
            *("activity", "density", "median pitch", "range", "moves up"),
            *(f"moves {move}" for move in _MOVE_NAMES),
            *(f"waits {wait}" for wait in _WAIT_NAMES),
        )
    ),
    *(
        f"{voice} onsets on {place} {number}"
        for voice in ("P1", "TR", "NO")
        for place in ("row", "beat")
        for number in range(1, 5)
    ),
    *(f"pitches {semitones} above the tonic" for semitones in range(12)),
    *("minor", "clearness of the key", "consonance of P2 and TR", "consonance of P1 and P2"),
    *(f"rows with {count} onsets" for count in range(5)),
)
"""What `statistics` returns, in its order; moves in semitones, waits in rows."""


def statistics(piece: Piece) -> NDArray[np.float64]:
    """Return the numbers named in STATISTICS of a piece of any length, nan where there is nothing to measure.

    The 16 features without the number of instruments, each melodic voice's statistics, where in the beat and in the bar
    onsets fall, the pitch classes counted from the key's tonic, and the intervals between voices.
    """
    features = [function(piece) for name, function in FEATURES.items() if name != "pulse_instruments"]
    heard = piece.sounding[:, :3]
    classes = np.bincount((heard[heard >= ONSET_ID] - ONSET_ID + LOWEST_PITCH) % 12, minlength=12).astype(np.float64)
    tonic, mode, clear = find_key(classes)
    rows = np.arange(len(piece.cells))
    places = []
    for column in (P1, TR, NO):
        hits = rows[piece.onsets[:, column]]
        share = max(len(hits), 1)
        places += (np.bincount(hits % piece.beat_rows, minlength=4)[:4] / share).tolist()
        places += (np.bincount(hits % piece.bar_rows // piece.beat_rows, minlength=4)[:4] / share).tolist()
    together = piece.onsets.sum(axis=1)
    return np.array(
        [
            *(np.nan if value is None else value for value in features),
            *(number for column in (P1, P2, TR) for number in _voice_statistics(piece, column)),
            *places,
            *(np.roll(classes, -tonic) / max(classes.sum(), 1)).tolist(),
            float(mode == "minor"),
            clear,
            _interval_consonance(piece, P2, TR),
            _interval_consonance(piece, P1, P2),
            *(float((together == count).mean()) for count in range(5)),
        ],
        dtype=np.float64,
    )


def bar_statistics(piece: Piece, bar: int) -> NDArray[np.float64]:
    """Return numbers of one bar of a piece: where each voice starts notes, and what they are; shape (n_statistics,).

    Bars of other than 16 rows are not supported: the onsets are told row by row.
    """
    rows = slice(bar * piece.bar_rows, (bar + 1) * piece.bar_rows)
    part = Piece(piece.cells[rows], piece.sounding[rows], piece.instruments[rows], piece.bar_rows, piece.beat_rows)
    measured = (pitch_class_entropy(part), scale_consistency(part), consonance(part))
    return np.concatenate(
        [
            part.onsets.reshape(-1).astype(np.float64),
            np.array([number for column in (P1, P2, TR) for number in _voice_statistics(part, column)]),
            np.array([np.nan if value is None else value for value in measured], dtype=np.float64),
            np.array([_interval_consonance(part, P2, TR), _interval_consonance(part, P1, P2)]),
        ]
    )


def is_heard(piece: Piece, bar: int) -> bool:
    """Return whether a note begins in a bar."""
    return bool(piece.onsets[bar * piece.bar_rows : (bar + 1) * piece.bar_rows].any())
