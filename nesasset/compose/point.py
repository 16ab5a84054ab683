"""A piece as a point: where the model's latent has it, and the way from one point to another. Rows in, a point out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nesasset.features import COLUMN, FEATURES, PAST, history_features
from nesasset.model import Model


def point_of(model: Model, cells: NDArray[np.integer], slots: NDArray[np.integer], bar_rows: int) -> NDArray[np.float32] | None:
    """Return the point of a piece, (latent,); None under a model that has no latent.

    Args:
        model: The model.
        cells: (n_rows, 4), from a bar line on.
        slots: (n_rows, 3), -1 where no note begins.
        bar_rows: Rows of a bar.
    """
    return model.encode(encoder_ids(cells, slots, bar_rows), cells)[0] if model.latent else None


def encoder_ids(cells: NDArray[np.integer], slots: NDArray[np.integer], bar_rows: int) -> NDArray[np.int64]:
    """Return what the encoder is told of rows beside their cells, (n_rows, n_features): the past of each and its place in the bar."""
    past, _ = history_features(cells, slots)
    ids = np.zeros((len(cells), len(FEATURES)), dtype=np.int64)
    ids[:, PAST] = past[:-1]
    ids[:, COLUMN["row_in_bar"]] = np.arange(len(cells)) % bar_rows
    return ids


def between(one: NDArray[np.floating], other: NDArray[np.floating], share: float) -> NDArray[np.float32]:
    """Return a point on the way from one to another, 0 to 1: along the arc, since points lie around a sphere more than within it.

    The length goes evenly from the one's to the other's. Points in opposite or the same directions have no arc: there it is a line.
    """
    lengths = np.linalg.norm(one), np.linalg.norm(other)
    cosine = float(np.clip(one @ other / max(float(lengths[0] * lengths[1]), 1e-9), -1, 1))
    angle = np.arccos(cosine)
    if np.sin(angle) < 1e-3:
        return np.asarray((1 - share) * one + share * other, dtype=np.float32)
    weights = np.sin((1 - share) * angle) / np.sin(angle), np.sin(share * angle) / np.sin(angle)
    along = weights[0] * one / lengths[0] + weights[1] * other / lengths[1]
    return np.asarray(along * ((1 - share) * lengths[0] + share * lengths[1]), dtype=np.float32)
