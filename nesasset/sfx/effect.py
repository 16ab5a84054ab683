"""A sound effect of the 2A03: what some of its voices do, frame by frame. Holds no recipe and no player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nesasset.apu.tables import MAX_PERIOD
from nesasset.errors import ControlError, out_of_range
from nesasset.register_log import RegisterLog
from nesasset.registers import SILENCE, Registers, Sound
from nesasset.units import MAX_VOLUME, NOISE_PERIODS

KINDS: Final = ("pulse", "triangle", "noise")
MAX_FRAMES: Final = 600  # ten seconds
MAX_PRIORITY: Final = 100
_HIGHEST: Final = {"pulse": (3, MAX_PERIOD), "triangle": (0, MAX_PERIOD), "noise": (1, NOISE_PERIODS - 1)}
_TAIL: Final = 3  # frames of silence after an effect that stands alone: what the filters still say


@dataclass(frozen=True, slots=True)
class Effect:
    """What voices do in each frame; in a game it takes these voices from the music, which counts on."""

    parts: Mapping[str, tuple[Sound, ...]]
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
        registers, rows = Registers(), []
        for frame in range(self.n_frames + _TAIL):
            pulse, triangle, noise = (_at(self.parts.get(kind, ()), frame) for kind in KINDS)
            rows += [(frame, address, value) for address, value in registers.changes((pulse, SILENCE, triangle, noise))]
        frames, addresses, values = zip(*rows, strict=True)
        return RegisterLog(
            np.array(frames, dtype=np.int64), np.array(addresses, dtype=np.uint16), np.array(values, dtype=np.uint8), self.n_frames + _TAIL
        )


def _at(frames: Sequence[Sound], frame: int) -> Sound:
    """Return what a voice does in a frame; after its last one it is silent where it was."""
    if frame < len(frames):
        return frames[frame]
    return (0, *frames[-1][1:]) if frames else SILENCE
