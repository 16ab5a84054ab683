"""Samples on their way from the thread that makes them to the one that plays them. Neither ever waits for the other.

One writer, one reader: each counter is changed by one of them only, and only after the samples are in place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ring:
    """Holds int16 samples of one channel, first in, first out."""

    def __init__(self, capacity: int) -> None:
        self._samples = np.zeros(capacity, dtype=np.int16)
        self.written = 0
        self.read_count = 0
        self.missing = 0
        """Samples that were asked for and not there."""

    @property
    def fill(self) -> int:
        """Samples that wait."""
        return self.written - self.read_count

    @property
    def room(self) -> int:
        """Samples that may be written."""
        return len(self._samples) - self.fill

    def write(self, samples: NDArray[np.int16]) -> int:
        """Put samples behind the others, as many as there is room for, and return how many that were."""
        count = min(len(samples), self.room)
        start = self.written % len(self._samples)
        first = min(count, len(self._samples) - start)
        self._samples[start : start + first] = samples[:first]
        self._samples[: count - first] = samples[first:count]
        self.written += count
        return count

    def read(self, count: int) -> NDArray[np.int16]:
        """Take samples out; where there are too few, silence follows, and it is counted."""
        there = min(count, self.fill)
        out = np.zeros(count, dtype=np.int16)
        start = self.read_count % len(self._samples)
        first = min(there, len(self._samples) - start)
        out[:first] = self._samples[start : start + first]
        out[first:there] = self._samples[: there - first]
        self.read_count += there
        self.missing += count - there
        return out
