"""A WAV file that never ends, for players that read files: a header, then whatever a ring holds. Read on the audio thread.

SDL_mixer reads the header in pieces, looks once for chunks after the declared end, comes back, and then reads 4096 frames at
a time. So a seek decides nothing but whether header bytes come next. Nothing is made here, only copied.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Final

from nesasset.play.ring import Ring

DATA_BYTES: Final = 0x7FFFFF00 & ~3
"""Declared size, what a reader with signed sizes can hold: six hours at 44.1 kHz; players are told to loop."""
HEADER_BYTES: Final = 44


class EndlessWav:
    """A file object with the methods that players use."""

    def __init__(self, ring: Ring, sample_rate_hz: int, is_idle: Callable[[], bool]) -> None:
        self._ring = ring
        self._is_idle = is_idle
        """Whether nothing plays, so that a lack of samples is no fault."""
        self._header = _header(sample_rate_hz)
        self._at = 0
        self.underruns = 0
        """How often the sound broke off: too few samples, where there had been some."""
        self.last_read: tuple[float, int, int] = (0.0, 0, 0)
        """Time of the last read of sound on time.perf_counter, samples read before it, samples it asked for."""
        self.found = 0
        """How many of those were there."""

    def read(self, size: int = -1) -> bytes:
        """Return header bytes while the position is in the header, then sound."""
        if self._at < HEADER_BYTES:
            part = self._header[self._at : HEADER_BYTES if size < 0 else self._at + size]
            self._at += len(part)
            return part
        if self._at >= HEADER_BYTES + DATA_BYTES:
            return b""  # the reader seeks back to the start and goes on
        count = (4096 * 2 if size < 0 else min(size, HEADER_BYTES + DATA_BYTES - self._at)) // 2
        self.last_read = (time.perf_counter(), self._ring.read_count, count)
        before, self.found = self.found, min(count, self._ring.fill)
        samples = self._ring.read(count)
        if before and self.found < count and not self._is_idle():
            self.underruns += 1
        self._at += 2 * count
        return samples.astype("<i2", copy=False).tobytes()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move within the declared file."""
        base = (0, self._at, HEADER_BYTES + DATA_BYTES)[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the position within the declared file."""
        return self._at

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Do nothing; some players call it."""


def _header(sample_rate_hz: int) -> bytes:
    """Return the header of a mono 16-bit WAV file."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate_hz, 2 * sample_rate_hz, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", DATA_BYTES + 36, b"WAVE") + form + struct.pack("<4sI", b"data", DATA_BYTES)
