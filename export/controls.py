"""Measured controls of the training songs and the edges between their classes; what is measured is nesasset.compose.character's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.songs import Song
from nesasset.compose.character import character, raw_character


def raw_controls(song: Song) -> dict[str, float]:
    """Return the unquantised measures of a song."""
    return raw_character(song.cells)


def control_edges(raw: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return the class edges of the measures: quantiles over the training songs."""
    def quantiles(name: str, parts: int, above: float = 0.0) -> list[float]:
        values = [row[name] for row in raw if row[name] > above] or [0.0]
        return [float(edge) for edge in np.quantile(values, np.arange(1, parts) / parts)]

    return {
        "density": quantiles("density", 5),
        "noise_density": quantiles("noise_density", 3),
        "pitch_entropy": quantiles("pitch_entropy", 3),
        "register": quantiles("register", 3),
    }


def measure_controls(song: Song, edges: dict[str, list[float]]) -> NDArray[np.int16]:
    """Return the control classes of a song in the order of vocabulary.CONTROLS, shape (n_controls,)."""
    return character(song.cells, song.bar_rows, song.row_frames, song.loop, song.label, edges)
