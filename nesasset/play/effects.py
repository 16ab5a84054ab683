"""Sound effects over music: which effect holds which voice. The music counts on below; when the effect ends it is heard again."""

from __future__ import annotations

from typing import Any, Final

from nesasset.registers import Sound
from nesasset.sfx.effect import Effect
from nesasset.units import VOICES

# Voices that an effect's part may take, the one that music misses least first.
TAKES: Final = {"pulse": ("P2", "P1"), "triangle": ("TR",), "noise": ("NO",)}


class Effects:
    """The effects that sound now, at most one a voice."""

    __slots__ = ("running",)

    def __init__(self) -> None:
        self.running: dict[str, list[Any]] = {}
        """By voice: priority, number of frames played, frames."""

    def start(self, effect: Effect) -> list[str]:
        """Begin an effect and return the voices that it took; a part that finds only voices of a higher priority is left out."""
        taken = []
        for kind, frames in effect.parts.items():
            free = [voice for voice in TAKES[kind] if voice not in self.running]
            weaker = [voice for voice in TAKES[kind] if voice in self.running and self.running[voice][0] <= effect.priority]
            weaker.sort(key=lambda voice: self.running[voice][0])
            for voice in (*free, *weaker)[:1]:
                self.running[voice] = [effect.priority, 0, frames]
                taken.append(voice)
        return taken

    def step(self, sounds: list[Sound]) -> list[Sound]:
        """Return what sounds in a frame, the voices that effects hold being theirs."""
        if not self.running:
            return sounds
        heard = list(sounds)
        for voice, entry in list(self.running.items()):
            _, at, frames = entry
            heard[VOICES.index(voice)] = frames[at]
            entry[1] += 1
            if entry[1] >= len(frames):
                del self.running[voice]
        return heard

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values. Inverse of `load_json`."""
        return {voice: [priority, at, [list(frame) for frame in frames]] for voice, (priority, at, frames) in self.running.items()}

    def load_json(self, data: dict[str, Any]) -> None:
        """Take the state that `to_json` returned."""
        self.running = {
            voice: [priority, at, tuple((frame[0], frame[1], frame[2]) for frame in frames)]
            for voice, (priority, at, frames) in data.items()
        }
