"""Calibration: what of a model's symbols is made likelier or rarer, so that what it composes has as many as songs have.

Sampling below temperature 1 makes what is likely likelier still: notes on the downbeat, the tonic. And a theme is heard less in what
is composed than in its songs: a dungeon's flat second, a march's drums. export/calibrate.py counts both sides and writes the tables
into the model's sidecar. A sidecar in, log probabilities out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.key import PROFILES
from nesasset.errors import ModelMismatchError
from nesasset.vocabulary import LABELS, N_CELLS, ONSET_ID

KEY: Final = "calibration"
PLACES: Final = ("downbeat", "other beats", "second of four rows", "third of four rows", "last of four rows")
MODES: Final = tuple(PROFILES)
BAR_ROWS: Final = 16  # of the bars in which places are told apart
MOVES: Final = (0, 1, 3, 5, 8, 12, 13)  # lower edges of the classes of a move from one note of a voice to its next, in semitones either way
_SHAPES: Final = {"onsets": (len(PLACES), 4), "rests": (4,), "degrees": (len(MODES), 12), "moves": (3, len(MOVES))}
_PLACE_OF_ROW: Final = np.array((0, 2, 3, 4, *(1, 2, 3, 4) * 3))


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What symbols gain in log probability."""

    onsets: NDArray[np.float32]
    """(n_places, 4): the beginnings of notes of P1, P2, TR and NO, by PLACES."""
    rests: NDArray[np.float32]
    """(4,): falling silent."""
    degrees: NDArray[np.float32]
    """(n_modes, 12): pitches so many semitones above the tonic, by MODES."""
    moves: NDArray[np.float32] = field(default_factory=lambda: np.zeros((3, len(MOVES)), dtype=np.float32))
    """(3, n_moves): notes of P1, P2 and TR so far from the voice's last one, by MOVES."""
    themes: Mapping[str, Calibration] = field(default_factory=dict)
    """What they gain on top of that where a theme of a label is composed, by vocabulary.LABELS."""

    @staticmethod
    def of(sidecar: Mapping[str, Any], name: str = "the model") -> Calibration:
        """Return a model's calibration; one that was never calibrated has DEFAULT.

        Raises:
            ModelMismatchError: The table in the sidecar has another shape.
        """
        table = sidecar.get(KEY)
        if table is None:
            return DEFAULT
        try:
            return replace(_read(table, name), themes={label: _read(own, name) for label, own in table.get("themes", {}).items()})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ModelMismatchError(f"{name}.json has no usable calibration ({error!r}); run export.calibrate, or install the package again") from error

    def to_json(self) -> dict[str, Any]:
        """Return the table as a sidecar has it."""
        own: dict[str, Any] = {key: np.round(getattr(self, key).astype(float), 3).tolist() for key in _SHAPES}
        return {**own, "themes": {label: table.to_json() for label, table in self.themes.items()}} if self.themes else own

    def of_theme(self, label: int) -> Calibration:
        """Return what symbols gain in a theme of a label, a class of vocabulary.LABELS, 0 none."""
        more = self.themes.get(LABELS[label])
        return self if more is None else Calibration(*(getattr(self, key) + getattr(more, key) for key in _SHAPES))

    def onsets_by_row(self, bar_rows: int) -> NDArray[np.float32]:
        """Return what onsets gain in each row of a bar, (bar_rows, 4): in a bar of other than 16 rows everywhere their mean."""
        by_row = self.onsets[_PLACE_OF_ROW]
        return by_row if bar_rows == BAR_ROWS else np.repeat(by_row.mean(axis=0, keepdims=True), bar_rows, axis=0)

    def after_note(self) -> NDArray[np.float32]:
        """Return what pitches gain after each last note of a voice, (3, 91, 88): its cell's id, then the pitch; nothing after what is no note."""
        far = np.abs(np.arange(N_CELLS + 1)[:, None] - np.arange(ONSET_ID, N_CELLS))
        found = self.moves[:, np.searchsorted(MOVES, far, side="right") - 1]
        found[:, [*range(ONSET_ID), N_CELLS]] = 0
        return np.asarray(found)

    def pitch_classes(self, tonic: int, mode: str | None) -> NDArray[np.float32]:
        """Return what each pitch class, C first, gains in a key, (12,); where the mode is open, the modes' mean."""
        own = self.degrees.mean(axis=0) if mode is None else self.degrees[MODES.index(mode)]
        return np.roll(own, tonic)


def _read(table: Mapping[str, Any], name: str) -> Calibration:
    """Return one table of a sidecar, without those of themes."""
    none = {"moves": np.zeros(_SHAPES["moves"])}  # tables of before moves were counted
    parts = {key: np.array({**none, **table}[key], dtype=np.float32) for key in _SHAPES}
    for key, shape in _SHAPES.items():
        if parts[key].shape != shape or not np.isfinite(parts[key]).all():
            raise ModelMismatchError(f"{name}.json: calibration {key} must be {shape} numbers, not {parts[key].shape}; run export.calibrate again")
    return Calibration(parts["onsets"], parts["rests"], parts["degrees"], parts["moves"])


def places(bar: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the mean of rows' values, (16, ...), at each of PLACES, (n_places, ...)."""
    return np.stack([bar[place == _PLACE_OF_ROW].mean(axis=0) for place in range(len(PLACES))])


# What composing music like NES-MDB's needed before there were tables.
_VOICES: Final = np.array((-0.3, -0.1, 0.0, 0.2), dtype=np.float32)  # pulse 1 had too many notes, drums too few
_TONIC: Final = np.where(np.arange(12) == 0, np.float32(-0.2), np.float32(0))  # it dwelt there
DEFAULT: Final = Calibration(np.tile(_VOICES, (len(PLACES), 1)), np.zeros(4, dtype=np.float32), np.tile(_TONIC, (len(MODES), 1)))
