"""What four voices do in a frame as register writes. Writes what has changed, as the driver does; knows no music.

For what is made frame by frame, sound effects and live music; the driver makes a whole score's registers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from nesasset.driver import (
    CONSTANT_VOLUME,
    ENABLE_FOUR_VOICES,
    FOUR_STEP_NO_IRQ,
    LENGTH_LOAD,
    SWEEP_OFF,
    TRIANGLE_OFF,
    TRIANGLE_ON,
)
from nesasset.register_log import RegisterLog

# In the order in which the driver writes them, see docs/driver.md.
ADDRESSES: Final = (
    *(0x4015, 0x4017, 0x4000, 0x4001, 0x4002, 0x4003, 0x4004, 0x4005, 0x4006, 0x4007),
    *(0x4008, 0x400A, 0x400B, 0x400C, 0x400E, 0x400F),
)
Sound = tuple[int, int, int]
"""What a voice does in a frame: volume (of the triangle 0 or more), duty or noise mode, timer period or noise period's index."""

SILENCE: Final[Sound] = (0, 0, 0)
SILENT: Final[tuple[Sound, ...]] = (SILENCE,) * 4


def register_values(sounds: Sequence[Sound]) -> list[int]:
    """Return the value of each of ADDRESSES for what P1, P2, TR and NO do."""
    (v1, d1, p1), (v2, d2, p2), (v3, _, p3), (v4, mode, p4) = sounds
    return [
        *(ENABLE_FOUR_VOICES, FOUR_STEP_NO_IRQ),
        *(d1 << 6 | CONSTANT_VOLUME | v1, SWEEP_OFF, p1 & 0xFF, LENGTH_LOAD | p1 >> 8),
        *(d2 << 6 | CONSTANT_VOLUME | v2, SWEEP_OFF, p2 & 0xFF, LENGTH_LOAD | p2 >> 8),
        *(TRIANGLE_ON if v3 else TRIANGLE_OFF, p3 & 0xFF, LENGTH_LOAD | p3 >> 8),
        *(CONSTANT_VOLUME | v4, mode << 7 | p4, LENGTH_LOAD),
    ]


class Registers:
    """The sixteen registers as they were left."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: list[int] | None = None

    def changes(self, sounds: Sequence[Sound], state_all: bool = False) -> list[tuple[int, int]]:
        """Return address and value of the writes of one frame: those that change something, or all."""
        wanted, had = register_values(sounds), self.values
        self.values = wanted
        if had is None or state_all:
            return list(zip(ADDRESSES, wanted, strict=True))
        return [(address, new) for address, new, old in zip(ADDRESSES, wanted, had, strict=True) if new != old]

    def write(self, sounds: Sequence[Sound], state_all: bool = False) -> RegisterLog:
        """Return the writes of one frame, see `changes`, as a log."""
        pairs = self.changes(sounds, state_all)
        addresses = np.array([address for address, _ in pairs], dtype=np.uint16)
        values = np.array([value for _, value in pairs], dtype=np.uint8)
        return RegisterLog(np.zeros(len(pairs), dtype=np.int64), addresses, values, 1)
