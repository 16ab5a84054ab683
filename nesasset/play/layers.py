"""Intensity: how much of a piece is heard. Takes away from, and above four fifths adds to, what the score says.

| intensity | what sounds |
|---|---|
| None | the score as it is written |
| 0 to 0.25 | pulse 1 and triangle, softly |
| from 0.25 | pulse 2, too |
| from 0.45 | noise, too |
| from 0.7 | everything at its full volume |
| above 0.85 | a hat on every empty half beat, too |
"""

from __future__ import annotations

from typing import Final

from nesasset.play.deck import Deck
from nesasset.registers import Sound
from nesasset.score import HOLD, REST
from nesasset.units import VOICES

JOINS: Final = {"P1": 0.0, "TR": 0.0, "P2": 0.25, "NO": 0.45}
FULL_VOLUME: Final = 0.7
SOFTEST: Final = 0.55
"""Factor on the volume at intensity 0."""
HATS: Final = 0.85
HAT_VOLUMES: Final = (5, 3, 1)
HAT_PERIOD: Final = 1


class Layers:
    """Applies an intensity to what a deck's voices do."""

    __slots__ = ("hat",)

    def __init__(self) -> None:
        self.hat = len(HAT_VOLUMES)
        """Frame of the hat that sounds; from its length on none does."""

    def step(self, sounds: list[Sound], intensity: float | None, deck: Deck, rows: list[int]) -> list[Sound]:
        """Return what sounds at an intensity.

        Args:
            sounds: Of the four voices, as the deck plays them.
            intensity: 0 to 1, or None.
            deck: Where they come from.
            rows: Rows that begin in this frame.
        """
        self.hat += 1
        if intensity is None:
            return sounds
        heard = []
        factor = min(1.0, SOFTEST + (1 - SOFTEST) * intensity / FULL_VOLUME)
        for voice, (volume, timbre, period) in zip(VOICES, sounds, strict=True):
            if intensity < JOINS[voice]:
                heard.append((0, timbre, period))
            elif factor < 1.0 and volume and voice != "TR":
                heard.append((max(1, int(volume * factor + 0.5)), timbre, period))
            else:
                heard.append((volume, timbre, period))
        if intensity >= HATS:
            heard[3] = self._with_hat(heard[3], deck, rows)
        return heard

    def _with_hat(self, sound: Sound, deck: Deck, rows: list[int]) -> Sound:
        half = max(1, deck.score.beat_rows // 2)
        cells = deck.score.voices["NO"]
        if any(row >= 0 and row % half == 0 and cells[row] in (HOLD, REST) for row in rows):
            self.hat = 0
        if self.hat < len(HAT_VOLUMES) and sound[0] <= HAT_VOLUMES[self.hat]:
            return HAT_VOLUMES[self.hat], 0, HAT_PERIOD
        return sound
