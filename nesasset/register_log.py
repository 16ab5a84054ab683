"""The register log: what the console's CPU would write to the 2A03, frame by frame.

It is the seam of the house: below it nothing knows music, above it nothing knows cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import RegisterLogError, out_of_range
from nesasset.units import FRAME_RATE_HZ

# NESdev wiki, page "APU registers": $4000-$4013 channels, $4015 enable, $4017 frame counter. $4014 is OAM DMA, $4016 the pads.
APU_REGISTERS = frozenset(range(0x4000, 0x4014)) | {0x4015, 0x4017}
_IS_REGISTER = np.array([0x4000 + offset in APU_REGISTERS for offset in range(0x18)])  # a table: live players make 60 logs a second
REGIONS = ("ntsc", "pal", "dendy")
MAX_MEMORY = 0x4000  # $C000 to $FFFF
MAX_WRITES_A_FRAME = 32_768  # a frame has some 30 000 CPU cycles, and a write takes four


@dataclass(frozen=True, slots=True, eq=False)
class RegisterLog:
    """Register writes in the order in which they happen, and how long to listen."""

    frames: NDArray[np.int64]
    """Frame of each write, never falling; shape (n_writes,)."""
    addresses: NDArray[np.uint16]
    """Register of each write, $4000 to $4017; shape (n_writes,)."""
    values: NDArray[np.uint8]
    """Value of each write; shape (n_writes,)."""
    n_frames: int
    """Length of one pass, intro and loop."""
    loop: tuple[int, int] | None = None
    """First frame of the loop and the frame after its last; None for a piece that ends."""
    frame_rate_hz: float = float(FRAME_RATE_HZ)
    """Frames a second; 60 for our own logs."""
    cycles: NDArray[np.int64] | None = None
    """CPU cycle of each write since the log's start, never falling, shape (n_writes,); None: as our driver would place the
    writes of a frame. Logs of real programs have them."""
    region: str = "ntsc"
    """Which console's clock and tables: ntsc, pal or dendy."""
    memory: bytes = b""
    """What the sample channel reads, from $C000 on; at most 16 KiB."""

    def __post_init__(self) -> None:
        if not len(self.frames) == len(self.addresses) == len(self.values):
            raise RegisterLogError(
                "frames, addresses and values must have the same length, not "
                f"{len(self.frames)}, {len(self.addresses)} and {len(self.values)}"
            )
        if len(self.frames):
            if np.any(np.diff(self.frames) < 0):
                at = int(np.argmax(np.diff(self.frames) < 0)) + 1
                raise RegisterLogError(f"time runs backwards at write {at}: frame {self.frames[at]} after {self.frames[at - 1]}")
            if self.frames[0] < 0 or self.frames[-1] >= self.n_frames:
                raise RegisterLogError(
                    f"writes must lie in frames 0 to {self.n_frames - 1}, not {self.frames[0]} to {self.frames[-1]}"
                )
            crowded = self.frames[MAX_WRITES_A_FRAME:] == self.frames[:-MAX_WRITES_A_FRAME]
            if crowded.any():
                frame = self.frames[int(np.argmax(crowded))]
                raise RegisterLogError(f"frame {frame} has more than {MAX_WRITES_A_FRAME} writes, more than a console's CPU can make")
            offsets = self.addresses.astype(np.int64) - 0x4000
            inside = (offsets >= 0) & (offsets < len(_IS_REGISTER))
            known = inside & _IS_REGISTER[np.where(inside, offsets, 0)]
            if not known.all():
                at = int(np.argmin(known))
                raise RegisterLogError(f"write {at} addresses ${int(self.addresses[at]):04X}, which is no APU register")
        if self.n_frames < 1:
            raise RegisterLogError(f"a register log lasts at least one frame, not {self.n_frames}")
        if self.cycles is not None:
            if len(self.cycles) != len(self.frames):
                raise RegisterLogError(f"a cycle for each of the {len(self.frames)} writes is needed, not {len(self.cycles)}")
            if len(self.cycles) and (self.cycles[0] < 0 or np.any(np.diff(self.cycles) < 0)):
                raise RegisterLogError("cycles must begin at 0 or later and never fall")
        if self.region not in REGIONS:
            raise RegisterLogError(f"region must be one of {', '.join(REGIONS)}, not {self.region!r}")
        if len(self.memory) > MAX_MEMORY:
            raise RegisterLogError(out_of_range("bytes of sample memory", len(self.memory), 0, MAX_MEMORY))
        if self.loop is not None and not 0 <= self.loop[0] < self.loop[1] <= self.n_frames:
            raise RegisterLogError(f"loop must be two frames with 0 <= start < end <= {self.n_frames}, not {self.loop}")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, RegisterLog)
            and (self.n_frames, self.loop, self.frame_rate_hz) == (other.n_frames, other.loop, other.frame_rate_hz)
            and np.array_equal(self.frames, other.frames)
            and np.array_equal(self.addresses, other.addresses)
            and np.array_equal(self.values, other.values)
            and (self.cycles is None) == (other.cycles is None)
            and (self.cycles is None or other.cycles is None or np.array_equal(self.cycles, other.cycles))
            and (self.region, self.memory) == (other.region, other.memory)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays inside
