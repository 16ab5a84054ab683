"""How far ahead of need sound is made: as little as is safe, for a command is heard only after what is made already.

A margin is the time by which the thread that makes sound may be late. It is what was asked for, as long as that thread comes about
when it wants to; beside a busy thread of Python, or on a machine that has too much to do, it grows at once, and falls back slowly.
"""

from __future__ import annotations

import time
from typing import Final

MAX_S: Final = 0.6
"""It never grows beyond this, unless more was asked for."""
_FACTOR: Final = 4.0  # the next time it may be that much worse than ever lately
_FORGIVEN_S: Final = 0.004  # of lateness, a second


class Margin:
    """Watches how late the sound is made and says how far ahead it should be. In seconds."""

    def __init__(self, least_s: float) -> None:
        self.least_s = least_s
        self._worst_s = 0.0
        self._noted_at = time.perf_counter()

    def note(self, late_s: float) -> None:
        """Take note of how much sound was lacking when it was looked after."""
        now = time.perf_counter()
        self._worst_s = max(self._worst_s - _FORGIVEN_S * (now - self._noted_at), late_s, 0.0)
        self._noted_at = now

    @property
    def seconds(self) -> float:
        """How late the sound may be made."""
        return max(self.least_s, min(_FACTOR * self._worst_s, MAX_S))
