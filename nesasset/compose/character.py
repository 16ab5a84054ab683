"""The character of a piece in the model's terms: density, drums, register and the like, measured from its rows, as classes.

Training measures songs with it, composing the scores that it is given. Rows in, classes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.key import find_key, pitch_class_weights, sounding_cells
from nesasset.vocabulary import CONTROLS, LABELS, LOWEST_PITCH, ONSET_ID, bar_rows_class, mode_class, row_frames_class

CLEAR_KEY: Final = 0.7  # correlation below which a piece has no mode


def raw_character(cells: NDArray[np.integer]) -> dict[str, float]:
    """Return the unquantised measures of rows, (n, 4)."""
    onsets = cells >= ONSET_ID
    active = [column for column in range(3) if onsets[:, column].any()]
    weights = pitch_class_weights(cells)
    share = weights / max(weights.sum(), 1)
    first = sounding_cells(cells[:, :1])
    heard = first[first >= ONSET_ID]
    return {
        "density": float(onsets[:, active].mean()) if active else 0.0,
        "noise_density": float(onsets[:, 3].mean()),
        "pitch_entropy": float(-(share[share > 0] * np.log2(share[share > 0])).sum()),
        "register": float(np.median(heard) - ONSET_ID + LOWEST_PITCH) if len(heard) else 0.0,
    }


def character(
    cells: NDArray[np.integer],
    bar_rows: int,
    row_frames: float,
    loop: tuple[int, int] | None,
    label: str,
    edges: Mapping[str, Sequence[float]],
) -> NDArray[np.int16]:
    """Return the control classes of rows in the order of vocabulary.CONTROLS, shape (n_controls,).

    Args:
        cells: (n, 4).
        bar_rows: Rows of a bar.
        row_frames: Frames of a row, on average.
        loop: First row of the loop and the row after its last; None for what ends.
        label: One of vocabulary.LABELS; any other counts as not known.
        edges: Between the classes of each measure; the model's sidecar has them.
    """
    raw = raw_character(cells)
    onsets = cells >= ONSET_ID
    _, mode, clear = find_key(pitch_class_weights(cells))
    values = {
        "label": LABELS.index(label) if label in LABELS else 0,
        "row_frames": row_frames_class(row_frames),
        "bar_rows": bar_rows_class(bar_rows),
        "mode": 0 if clear < CLEAR_KEY else mode_class(mode),
        "density": 1 + int(np.searchsorted(edges["density"], raw["density"])),
        "noise_density": 1 if raw["noise_density"] == 0 else 2 + int(np.searchsorted(edges["noise_density"], raw["noise_density"])),
        "pitch_entropy": 1 + int(np.searchsorted(edges["pitch_entropy"], raw["pitch_entropy"])),
        "register": 1 + int(np.searchsorted(edges["register"], raw["register"])) if raw["register"] else 0,
        "loop_bars": _loop_bars_class(loop, bar_rows),
    }
    for column, voice in enumerate(("P1", "P2", "TR", "NO")):
        values[f"active_{voice}"] = _active_class(onsets[:, column], bar_rows)
    return np.array([values[name] for name in CONTROLS], dtype=np.int16)


def _active_class(onsets: NDArray[np.bool_], bar_rows: int) -> int:
    """Return 1, 2 or 3: a voice has onsets in under 5 %, under 60 % or more of the bars."""
    padded = np.pad(onsets, (0, -len(onsets) % bar_rows)).reshape(-1, bar_rows)
    share = float(padded.any(axis=1).mean())
    return 1 if share < 0.05 else 2 if share < 0.6 else 3


def _loop_bars_class(loop: tuple[int, int] | None, bar_rows: int) -> int:
    """Return the class of a loop's length: 1 for a piece that ends, 1 + bars up to 65, 0 for no whole number of bars."""
    if loop is None:
        return 1
    bars, rest = divmod(loop[1] - loop[0], bar_rows)
    return 0 if rest else min(1 + bars, CONTROLS["loop_bars"] - 1)
