"""A sound effect of the 2A03: what some of its voices do, frame by frame. Holds no recipe and no player."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nesasset.apu.tables import MAX_PERIOD
from nesasset.driver import (
    CONSTANT_VOLUME,
    ENABLE_FOUR_VOICES,
    FOUR_STEP_NO_IRQ,
    LENGTH_LOAD,
    SWEEP_OFF,
    TRIANGLE_OFF,
    TRIANGLE_ON,
)
from nesasset.errors import ControlError, out_of_range
from nesasset.register_log import RegisterLog
from nesasset.units import MAX_VOLUME, NOISE_PERIODS

Frame = tuple[int, int, int]
"""Volume 0 to 15 (triangle: 0 silent), duty 0 to 3 or noise mode 0 or 1, timer period or noise period index."""

KINDS: Final = ("pulse", "triangle", "noise")
MAX_FRAMES: Final = 600  # ten seconds
MAX_PRIORITY: Final = 100
_HIGHEST: Final = {"pulse": (3, MAX_PERIOD), "triangle": (0, MAX_PERIOD), "noise": (1, NOISE_PERIODS - 1)}
_TAIL: Final = 3  # frames of silence after an effect that stands alone: what the filters still say
# Where each kind is played when an effect stands alone: base register.
_BASES: Final = {"pulse": 0x4000, "triangle": 0x4008, "noise": 0x400C}


@dataclass(frozen=True, slots=True)
class Effect:
    """What voices do in each frame; in a game it takes these voices from the music, which counts on."""

    parts: Mapping[str, tuple[Frame, ...]]
    """Keys: some of pulse, triangle and noise; a frame is 1/60 s."""
    priority: int = 50
    """0 to 100: on a voice that another effect holds, the lower one gives way; of two alike the later one wins."""
    name: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.parts or not set(self.parts) <= set(KINDS):
            raise ControlError(f"an effect has parts for some of {', '.join(KINDS)}, not {', '.join(map(str, self.parts)) or 'none'}")
        if type(self.priority) is not int or not 0 <= self.priority <= MAX_PRIORITY:
            raise ControlError(out_of_range("priority", self.priority, 0, MAX_PRIORITY))
        for kind, frames in self.parts.items():
            if not 1 <= len(frames) <= MAX_FRAMES:
                raise ControlError(out_of_range(f"number of {kind} frames", len(frames), 1, MAX_FRAMES))
            timbres, periods = _HIGHEST[kind]
            for frame in frames:
                for label, value, high in zip(("volume", "duty or mode", "period"), frame, (MAX_VOLUME, timbres, periods), strict=True):
                    if type(value) is not int or not 0 <= value <= high:
                        raise ControlError(out_of_range(f"{kind} {label}", value, 0, high))

    @property
    def n_frames(self) -> int:
        """Length in frames."""
        return max(map(len, self.parts.values()))

    def to_json(self) -> dict[str, Any]:
        """Return the effect as JSON values. Inverse of `from_json`."""
        parts = {kind: [list(frame) for frame in frames] for kind, frames in self.parts.items()}
        return {"name": self.name, "seed": self.seed, "priority": self.priority, "parts": parts}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Effect:
        """Return the effect that `to_json` described.

        Raises:
            ControlError: It describes none.
        """
        try:
            parts = {kind: tuple((int(a), int(b), int(c)) for a, b, c in frames) for kind, frames in data["parts"].items()}
            return Effect(parts, data["priority"], str(data["name"]), data["seed"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ControlError):
                raise
            raise ControlError(f"these values describe no effect ({error!r})") from error

    def to_log(self) -> RegisterLog:
        """Return the effect by itself as a register log, with a little silence after it."""
        n_frames = self.n_frames + _TAIL
        had: dict[int, int] = {}
        rows: list[tuple[int, int, int]] = []
        for frame in range(n_frames):
            wanted = {0x4015: ENABLE_FOUR_VOICES, 0x4017: FOUR_STEP_NO_IRQ}
            for kind, base in _BASES.items():
                frames = self.parts.get(kind, ((0, 0, 0),))
                volume, timbre, period = frames[min(frame, len(frames) - 1)]
                if frame >= len(frames):
                    volume = 0
                if kind == "noise":
                    wanted |= {base: CONSTANT_VOLUME | volume, base + 2: timbre << 7 | period, base + 3: LENGTH_LOAD}
                    continue
                if kind == "pulse":
                    wanted |= {base: timbre << 6 | CONSTANT_VOLUME | volume, base + 1: SWEEP_OFF}
                else:
                    wanted[base] = TRIANGLE_ON if volume else TRIANGLE_OFF
                wanted |= {base + 2: period & 0xFF, base + 3: LENGTH_LOAD | period >> 8}
            rows += [(frame, address, value) for address, value in wanted.items() if had.get(address) != value]
            had = wanted
        frames, addresses, values = zip(*rows, strict=True)
        return RegisterLog(
            np.array(frames, dtype=np.int64), np.array(addresses, dtype=np.uint16), np.array(values, dtype=np.uint8), n_frames
        )
