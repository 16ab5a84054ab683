"""What happens to the sound after the chip: loudness, fades, ducking, the muffling of being under water. Samples in, samples out.

Gains go from value to value in a straight line over a frame, sample by sample, so no change clicks. The low-pass is two
first-order recursions; their corner moves in steps small enough not to be heard.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu import filters
from nesasset.units import FRAME_RATE_HZ

OPEN_HZ: Final = 16_000.0
"""Corner where the low-pass is just not open; at 0 it is out of the way altogether."""
CLOSED_HZ: Final = 350.0
"""Corner at 1."""
GLIDE: Final = 1 / 12
"""By how much the low-pass moves in a frame: 0.2 s from open to closed."""
_STAGES: Final = 2


class Gain:
    """A factor that goes to its goal in a straight line."""

    __slots__ = ("frames", "goal", "now")

    def __init__(self, now: float = 1.0) -> None:
        self.now = now
        self.goal = now
        self.frames = 0
        """Frames until it is there."""

    def go(self, goal: float, frames: int) -> None:
        """Be at a goal in so many frames, at least one."""
        self.goal, self.frames = float(goal), max(1, frames)

    def step(self) -> tuple[float, float]:
        """Return the factor at the beginning of the next frame and after it."""
        before = self.now
        if self.frames:
            self.now += (self.goal - self.now) / self.frames
            self.frames -= 1
            if not self.frames:
                self.now = self.goal
        return before, self.now

    def to_json(self) -> list[float]:
        """Return the state as JSON values. Inverse of `from_json`."""
        return [self.now, self.goal, self.frames]

    @staticmethod
    def from_json(data: list[float]) -> Gain:
        """Return the gain that `to_json` described."""
        gain = Gain(data[0])
        gain.goal, gain.frames = data[1], int(data[2])
        return gain


class Master:
    """Gains and the low-pass, with their state."""

    GAINS = ("volume", "fade", "duck", "pause")

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.gains = {name: Gain() for name in self.GAINS}
        """Factors on each other: what the game set, a transition's, a dialogue's, a pause's."""
        self.duck_frames = 0
        """Frames until the ducking ends by itself; 0: it stays."""
        self.duck_release = 15
        """Frames in which it then goes away."""
        self.low_pass = 0.0
        self.low_pass_goal = 0.0
        self._stages = np.zeros((_STAGES, 3))
        self._state = np.zeros((_STAGES, 4))

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return a frame's samples as they are heard."""
        if self.duck_frames:
            self.duck_frames -= 1
            if not self.duck_frames:
                self.gains["duck"].go(1.0, self.duck_release)
        before = after = 1.0
        for gain in self.gains.values():
            one, other = gain.step()
            before, after = before * one, after * other
        self._move_low_pass()
        if before == after == 1.0 and self.low_pass == 0.0:
            return samples
        sound = samples.astype(np.float64)
        if self.low_pass:
            filters.run(sound, self._stages, self._state)
        if before == after:
            sound *= after
        elif len(sound):
            # The first sample of the next frame has the factor `after`: so a gain of 0 is reached with the frame.
            sound *= before + (after - before) / len(sound) * np.arange(len(sound))
        heard: NDArray[np.int16] = np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16)
        return heard

    def _move_low_pass(self) -> None:
        if self.low_pass == self.low_pass_goal:
            return
        way = self.low_pass_goal - self.low_pass
        was_open = self.low_pass == 0.0
        self.low_pass = self.low_pass_goal if abs(way) <= GLIDE else self.low_pass + math.copysign(GLIDE, way)
        if was_open:
            self._state[:] = 0.0  # it begins almost open: what was before it is gone within a few samples
        corner = OPEN_HZ * (CLOSED_HZ / OPEN_HZ) ** self.low_pass
        corner = min(corner, 0.45 * self.sample_rate_hz)
        pole = round(math.exp(-2 * math.pi * corner / self.sample_rate_hz) * 2**40) / 2**40
        for stage, kept in zip(self._stages, self._state, strict=True):
            # The recursion counts in blocks; with another pole it must begin a new one, from its last output.
            used, last = int(kept[3]), float(kept[2])
            if used:
                last = float(kept[1]) + last * float(stage[2]) ** used
            kept[1:] = 0.0, last, 0.0
            stage[:] = 1.0 - pole, 0.0, pole

    def duck(self, level: float, seconds: float | None, attack_s: float, release_s: float) -> None:
        """Be quieter, for some seconds or until told otherwise."""
        self.gains["duck"].go(level, round(attack_s * FRAME_RATE_HZ))
        self.duck_frames = 0 if seconds is None else max(1, round((attack_s + seconds) * FRAME_RATE_HZ))
        self.duck_release = max(1, round(release_s * FRAME_RATE_HZ))

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values. Inverse of `load_json`."""
        return {
            "gains": {name: gain.to_json() for name, gain in self.gains.items()},
            "duck": [self.duck_frames, self.duck_release],
            "low_pass": [self.low_pass, self.low_pass_goal],
            "stages": self._stages.tolist(),
            "state": self._state.tolist(),
        }

    def load_json(self, data: dict[str, Any]) -> None:
        """Take the state that `to_json` returned."""
        self.gains = {name: Gain.from_json(data["gains"][name]) for name in self.GAINS}
        self.duck_frames, self.duck_release = data["duck"]
        self.low_pass, self.low_pass_goal = data["low_pass"]
        self._stages[:], self._state[:] = data["stages"], data["state"]
