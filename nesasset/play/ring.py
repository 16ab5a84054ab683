"""Samples on their way from the thread that makes them to the one that plays them. Neither ever waits for the other.

One writer, one reader: each counter is changed by one of them only, and only after the samples are in place. Samples are moved
as bytes: numpy lets go of the interpreter for arrays of this size, and beside a busy thread it is long until it comes back.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_SIZE: Final = 2  # bytes of a sample


class Ring:
    """Holds int16 samples of one channel, first in, first out."""

    def __init__(self, capacity: int) -> None:
        self._samples = bytearray(_SIZE * capacity)
        self._capacity = capacity
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
        return self._capacity - self.fill

    def write(self, samples: NDArray[np.int16]) -> int:
        """Put samples behind the others, as many as there is room for, and return how many that were."""
        count = min(len(samples), self.room)
        data = samples[:count].tobytes()
        start = _SIZE * (self.written % self._capacity)
        first = min(len(data), len(self._samples) - start)
        self._samples[start : start + first] = data[:first]
        self._samples[: len(data) - first] = data[first:]
        self.written += count
        return count

    def read(self, count: int) -> NDArray[np.int16]:
        """Take samples out; where there are too few, silence follows, and it is counted."""
        there = min(count, self.fill)
        start = _SIZE * (self.read_count % self._capacity)
        out = self._samples[start : start + _SIZE * there]
        out += self._samples[: _SIZE * there - len(out)]
        out += bytes(_SIZE * (count - there))
        self.read_count += there
        self.missing += count - there
        return np.frombuffer(out, dtype=np.int16)
