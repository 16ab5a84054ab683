"""When the writes of a register log happen, in CPU cycles, and what a player of a loop writes. Holds no chip.

A log may know the cycle of each write; then that counts. Else it knows frames only: frame i begins at cycle
i * CPU clock / frame rate, rounded to a whole cycle from the exact product, so no error adds up, and the writes of one
frame follow each other as a CPU would do them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.tables import CONSOLES
from nesasset.errors import RegisterLogError, out_of_range
from nesasset.register_log import RegisterLog
from nesasset.units import CPU_CLOCK_HZ

# LDA immediate and STA absolute, NESdev wiki "6502 cycle times": the least a CPU needs from one write to the next.
# Not zero, so that a frame may write a register twice on purpose (the sweep trick with $4017 needs it).
WRITE_SPACING_CYCLES: Final = 6

MIN_FRAME_RATE_HZ: Final = 1.0
MAX_FRAME_RATE_HZ: Final = 10_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Writes:
    """Register writes on the CPU's clock."""

    cycles: NDArray[np.int64]
    """CPU cycle of each write, never falling; shape (n_writes,)."""
    addresses: NDArray[np.uint16]
    values: NDArray[np.uint8]
    marks: tuple[int, ...]
    """CPU cycles at which passes begin, and the end: (0, end), or (0, loop start, loop end, end of a second pass)."""
    region: str = "ntsc"
    """Which console's tables: a key of `tables.CONSOLES`."""
    memory: bytes = b""
    """What the DMC reads, from $C000 on."""


def frame_cycles(
    frames: NDArray[np.int64] | int, frame_rate_hz: float, clock_hz: int = CPU_CLOCK_HZ
) -> NDArray[np.int64]:
    """Return the CPU cycle at which frames begin, to the nearest whole cycle.

    Raises:
        RegisterLogError: The frame rate is out of range.
    """
    if not MIN_FRAME_RATE_HZ <= frame_rate_hz <= MAX_FRAME_RATE_HZ:  # also catches NaN
        raise RegisterLogError(out_of_range("frame_rate_hz", frame_rate_hz, MIN_FRAME_RATE_HZ, MAX_FRAME_RATE_HZ))
    exact = np.asarray(frames, dtype=np.int64) * clock_hz / frame_rate_hz
    return np.rint(exact).astype(np.int64)


def write_cycles(log: RegisterLog, first_frame: int = 0) -> NDArray[np.int64]:
    """Return the CPU cycle of each write, counted from the log's start: its own, or those at which our driver would write.

    Args:
        log: The log. If it has cycles and a loop, they are kept out of the frames before and after the loop, so that a
            log whose frames are not exactly those of its frame rate still has the whole loop in the loop.
        first_frame: Frames before the log's first one, if it is a piece of something longer: rounding depends on it.
    """
    clock_hz = CONSOLES[log.region].clock_hz
    frames = log.frames.astype(np.int64)
    if log.cycles is not None:
        cycles = log.cycles.astype(np.int64)
        if log.loop is not None:
            start, end = frame_cycles(np.array(log.loop), log.frame_rate_hz, clock_hz).tolist()
            before, after = frames < log.loop[0], frames >= log.loop[1]
            low = np.where(before, 0, np.where(after, end, start))
            high = np.where(before, start, np.where(after, np.maximum(cycles, end), end - 1))
            cycles = np.clip(cycles, low, high)
        return cycles
    start = int(frame_cycles(first_frame, log.frame_rate_hz, clock_hz))
    if log.n_frames == 1:  # as below, but quick: players play frame by frame
        length = int(frame_cycles(first_frame + 1, log.frame_rate_hz, clock_hz)) - start
        spaced = min(WRITE_SPACING_CYCLES, length // (len(frames) + 1))
        return np.array([number * spaced for number in range(len(frames))], dtype=np.int64)
    starts, next_starts = (
        frame_cycles(edge, log.frame_rate_hz, clock_hz) - start
        for edge in (frames + first_frame, frames + first_frame + 1)
    )
    first_of_frame = np.searchsorted(frames, frames, side="left")
    count_in_frame = np.searchsorted(frames, frames, side="right") - first_of_frame
    # A frame with more writes than fit is not an error: they move closer together, at worst onto one cycle.
    room = (next_starts - starts) // (count_in_frame + 1)
    spacing = np.minimum(WRITE_SPACING_CYCLES, room)
    return starts + (np.arange(len(frames)) - first_of_frame) * spacing


def time_writes(log: RegisterLog, passes: int = 1) -> Writes:
    """Place the writes of a log on the CPU's clock.

    Args:
        log: The log.
        passes: 1 for the log as it stands, 2 for a log with a loop: intro, loop, and the loop once more. The second
            pass is the first one moved by a whole number of cycles, so both have the same inner timing.

    Returns:
        The writes and the marks between the passes. Writes after the last mark are left out.
    """
    clock_hz = CONSOLES[log.region].clock_hz
    cycles = write_cycles(log)
    addresses, values = log.addresses.astype(np.uint16), log.values.astype(np.uint8)
    if log.loop is None:
        end = int(frame_cycles(log.n_frames, log.frame_rate_hz, clock_hz))
        kept = slice(int(np.searchsorted(cycles, end)))
        return Writes(cycles[kept], addresses[kept], values[kept], (0, end), log.region, log.memory)
    loop_start, loop_end = (int(frame_cycles(frame, log.frame_rate_hz, clock_hz)) for frame in log.loop)
    marks: list[int] = [0, loop_start, loop_end]
    lower, upper = np.searchsorted(log.frames, log.loop)
    chosen = [np.arange(upper)]
    shifts = [np.zeros(upper, dtype=np.int64)]
    for number in range(1, passes):
        chosen.append(np.arange(lower, upper))
        shifts.append(np.full(upper - lower, number * (loop_end - loop_start)))
        marks.append(loop_end + number * (loop_end - loop_start))
    at = np.concatenate(chosen)
    return Writes(cycles[at] + np.concatenate(shifts), addresses[at], values[at], tuple(marks), log.region, log.memory)


def unroll(log: RegisterLog, n_frames: int) -> RegisterLog:
    """Play a log out for a number of frames as an endless player would, and return that as a log without a loop.

    Args:
        log: The log; after the end of its loop its loop's start follows. A log without a loop is cut, or goes on
            without a write.
        n_frames: Frames to play, at least 1.

    Returns:
        A log of n_frames frames, loop None.
    """
    if n_frames < 1:
        raise RegisterLogError(f"a register log lasts at least one frame, not {n_frames}")
    frames, at = log.frames.astype(np.int64), np.arange(len(log.frames))
    cycles = None if log.cycles is None else write_cycles(log)
    if log.loop is not None:
        start, end = log.loop
        lower, upper = (int(edge) for edge in np.searchsorted(frames, log.loop))
        passes = max(1, -(-(n_frames - start) // (end - start)))
        at = np.concatenate([np.arange(lower), np.tile(np.arange(lower, upper), passes)])
        shift = np.repeat(np.arange(passes) * (end - start), upper - lower)
        frames = frames[at] + np.concatenate([np.zeros(lower, dtype=np.int64), shift])
        if cycles is not None:
            clock_hz = CONSOLES[log.region].clock_hz
            moved = frame_cycles(start + shift, log.frame_rate_hz, clock_hz)
            moved = moved - frame_cycles(start, log.frame_rate_hz, clock_hz)
            # A pass may be a cycle shorter than the one before it.
            cycles = np.maximum.accumulate(cycles[at] + np.concatenate([np.zeros(lower, dtype=np.int64), moved]))
    kept = frames < n_frames
    at = at[kept]
    return replace(
        log,
        frames=frames[kept],
        addresses=log.addresses[at],
        values=log.values[at],
        n_frames=n_frames,
        loop=None,
        cycles=None if cycles is None else cycles[kept],
    )


def cut_frames(log: RegisterLog, start: int, end: int) -> RegisterLog:
    """Return the frames [start, end) of a log, without its loop, for a player that has played those before.

    Writes with cycles go by their cycles, so that pieces laid end to end hold each write at its time.
    """
    if not 0 <= start < end <= log.n_frames:
        raise RegisterLogError(f"frames must lie within 0 to {log.n_frames}, not {start} to {end}")
    cycles = None
    if log.cycles is None:
        inside = slice(*(int(edge) for edge in np.searchsorted(log.frames, (start, end))))
    else:
        clock_hz = CONSOLES[log.region].clock_hz
        edges = frame_cycles(np.array([start, end]), log.frame_rate_hz, clock_hz)
        inside = slice(*(int(edge) for edge in np.searchsorted(log.cycles, edges)))
        cycles = log.cycles[inside] - edges[0]
    return replace(
        log,
        frames=np.clip(log.frames[inside].astype(np.int64) - start, 0, end - start - 1),
        addresses=log.addresses[inside],
        values=log.values[inside],
        n_frames=end - start,
        loop=None,
        cycles=cycles,
    )
