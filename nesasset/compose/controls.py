"""Controls: what a caller may ask of a composition beside its theme and seed. Holds the ranges, not their effect."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from nesasset.errors import ControlError, out_of_range
from nesasset.themes import MODES
from nesasset.units import NOTE_NAMES

BARS_RANGE: Final = (1, 64)
TEMPO_RANGE_BPM: Final = (30.0, 300.0)  # 30 down to 3 frames a row at four rows a beat
DENSITY_RANGE: Final = (0.0, 1.0)
CANDIDATES_RANGE: Final = (1, 64)
TEMPERATURE_RANGE: Final = (0.1, 2.0)
SEED_RANGE: Final = (0, 2**63 - 1)

_FLATS: Final = {"DB": "C#", "EB": "D#", "FB": "E", "GB": "F#", "AB": "G#", "BB": "A#", "CB": "B", "E#": "F", "B#": "C"}


@dataclass(frozen=True, slots=True)
class Controls:
    """Wishes for one composition; None everywhere means the theme's or the model's default."""

    bars: int | None = None
    """Length in bars, 1 to 64."""
    tempo_bpm: float | None = None
    """Beats a minute, 30 to 300."""
    key: str | None = None
    """Tonic: C, C#, D … B; flats (Db, Eb …) are taken and kept as sharps."""
    mode: str | None = None
    """'major' or 'minor'."""
    density: float | None = None
    """How busy the melodic voices are: 0 the sparsest of the training songs, 1 the busiest."""
    candidates: int | None = None
    """How many pieces are composed, of which the best is kept, 1 to 64."""
    temperature: float | None = None
    """How daring the choice of notes is, 0.1 to 2."""
    ornaments: bool | None = None
    """Whether instruments get what drivers do: duty sequences, drum courses, vibrato, echo. None: they do."""

    def __post_init__(self) -> None:
        _check_int("bars", self.bars, BARS_RANGE)
        _check_number("tempo_bpm", self.tempo_bpm, TEMPO_RANGE_BPM)
        _check_number("density", self.density, DENSITY_RANGE)
        _check_int("candidates", self.candidates, CANDIDATES_RANGE)
        _check_number("temperature", self.temperature, TEMPERATURE_RANGE)
        if self.ornaments not in (None, True, False):
            raise ControlError(f"ornaments must be true or false, not {self.ornaments!r}")
        if self.key is not None:
            object.__setattr__(self, "key", _sharp_key(self.key))
        if self.mode is not None and self.mode not in MODES:
            raise ControlError(f"mode must be major or minor, not {self.mode!r}")

    @property
    def tonic(self) -> int | None:
        """The key's pitch class, 0 for C to 11 for B; None where no key is asked for."""
        return None if self.key is None else NOTE_NAMES.index(self.key)

    def to_json(self) -> dict[str, Any]:
        """Return the controls that were given, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def check_seed(seed: int) -> int:
    """Return the seed, a whole number from 0 to 2**63 - 1; raise ControlError otherwise."""
    _check_int("seed", seed, SEED_RANGE)
    return seed


def _sharp_key(key: str) -> str:
    name = key.strip().upper() if isinstance(key, str) else ""
    name = _FLATS.get(name, name)
    if name not in NOTE_NAMES:
        raise ControlError(f"key must be a note name such as C, F# or Bb, not {key!r}")
    return name


def _check_int(name: str, value: int | None, limits: tuple[int, int]) -> None:
    if value is not None and (
        not isinstance(value, int) or isinstance(value, bool) or not limits[0] <= value <= limits[1]
    ):
        raise ControlError(out_of_range(name, value, *limits))


def _check_number(name: str, value: float | None, limits: tuple[float, float]) -> None:
    if value is None:
        return
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or not limits[0] <= value <= limits[1]:
        raise ControlError(out_of_range(name, value, *(f"{limit:g}" for limit in limits)))
