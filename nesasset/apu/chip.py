"""The control pass: what each channel of the 2A03 is set to, cycle-true, from its writes. Makes no sound.

Between two changes of its settings an oscillator is a table read at a constant rate, so the chip hands on *segments*:
when the settings hold, when the timer ticks, where the sequencer stands. Everything is integer arithmetic, and all the
chip knows is a row of integers (`power_on`, `advance`): to copy a playing chip, copy the row.

Within one CPU cycle the order is: the timers, then the frame counter, then writes; so it fits the cycle-exact logs and
the sound of Mesen2 best. The pulses' timers tick in even cycles. The DMC reads its bytes from the log's memory, in no
time: what a fetch takes from the CPU is already in the cycles of the log's writes. A byte that the log does not carry
leaves the DMC's level as it is.

Sources: NESdev wiki, pages "APU", "APU Pulse", "APU Sweep", "APU Envelope", "APU Triangle", "APU Noise", "APU DMC",
"APU Length Counter", "APU Frame Counter".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.tables import (
    CONSOLES,
    LENGTHS,
    MAX_PERIOD,
    MIN_PULSE_PERIOD,
    ULTRASONIC_TRIANGLE_PERIOD,
    Console,
)
from nesasset.apu.writes import Writes

CHANNELS: Final = ("P1", "P2", "TR", "NO", "DM")
LFSR_BITS: Final = 15
LFSR_START: Final = 1  # the chip wakes with all zeros and leaves them at once; emulators agree on 1
DMC_BASE: Final = 0xC000  # where the memory of a log begins


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Stretches of constant settings of one channel, in order, without gaps. All arrays of shape (n_segments,), int64.

    `oscillators.close_triangle` alone makes first ticks and periods float64.
    """

    starts: NDArray[np.int64]
    """First CPU cycle."""
    first_ticks: NDArray[np.int64] | NDArray[np.float64]
    """CPU cycle of the timer's first tick from the start on; it may lie after the segment's end."""
    periods: NDArray[np.int64] | NDArray[np.float64]
    """CPU cycles from tick to tick."""
    counts: NDArray[np.int64]
    """Ticks that move the sequencer, in the segment or, where a write follows, in the cycle of its end."""
    positions: NDArray[np.int64]
    """Step of the sequence at the start, before the first tick; within the sequence."""
    sequences: NDArray[np.int64]
    """Which sequence is read: a duty; 0 triangle, 1 its mean; noise: 0 long, else see `short_orbits`; DMC: 0."""
    amplitudes: NDArray[np.int64]
    """What the sequence is multiplied by: volume 0 to 15; triangle 1 while it runs, else 0; DMC level 0 to 127."""
    end: int
    """CPU cycle after the last segment."""


def power_on() -> NDArray[np.int64]:
    """Return the state of a chip that was just switched on, shape (STATE_SIZE,), int64.

    Its times are in cycles from now, so chips that will sound the same compare equal whenever it is.
    """
    return np.array(_Chip(CONSOLES["ntsc"], b"").save(0), dtype=np.int64)


def advance(state: NDArray[np.int64], writes: Writes, splits: Sequence[int] = ()) -> Mapping[str, Segments]:
    """Run a chip from cycle 0 to the last mark of some writes.

    Args:
        state: What `power_on` or a former call left; changed in place to the state at the end.
        writes: Register writes, in order; cycles count from now.
        splits: CPU cycles at which every channel but the DMC begins a new segment, rising; for callers that cut the
            segments. The writes' marks are always such places.

    Returns:
        Segments of every channel (keys P1, P2, TR, NO, DM), from cycle 0 to the end.
    """
    end = writes.marks[-1]
    chip = _Chip(CONSOLES[writes.region], writes.memory)
    chip.load(state.tolist())
    ahead = sorted({split for split in (*splits, *writes.marks) if 0 < split < end})
    at = 0
    for cycle, address, value in zip(
        writes.cycles.tolist(), writes.addresses.tolist(), writes.values.tolist(), strict=True
    ):
        while at < len(ahead) and ahead[at] <= cycle:
            chip.split(ahead[at])
            at += 1
        chip.run_to(cycle + 1)
        chip.write(address, value, cycle)
    for split in (*ahead[at:], end):
        chip.split(split)
    state[:] = chip.save(end)
    return chip.segments(end)


def run(writes: Writes, splits: Sequence[int] = ()) -> Mapping[str, Segments]:
    """Run a chip that was just switched on over writes; see `advance`."""
    return advance(power_on(), writes, splits)


# The parts of the chip. What each keeps for the state is listed in its `kept`.


class _Track:
    """One oscillator's timer and sequencer, and the segments it has been through."""

    kept = ("tick", "period", "position", "sequence", "amplitude", "moving")
    __slots__ = (*kept, "lengths", "rows", "start")

    def __init__(self, period: int, lengths: Sequence[int], moving: int = 1) -> None:
        self.start = 0
        self.tick = 0
        self.period = period
        self.position = 0
        self.sequence = 0
        self.amplitude = 0
        self.moving = moving
        """0 while the timer ticks but the sequencer stands still."""
        self.lengths = lengths
        """Steps of each sequence."""
        self.rows: list[tuple[int, int, int, int, int, int, int]] = []

    def close(self, cycle: int, last_tick: int) -> None:
        """End the segment at a cycle, having ticked up to one, and begin the next with the same settings."""
        ticks = (last_tick - self.tick) // self.period + 1 if self.tick <= last_tick else 0
        count = ticks if self.moving else 0
        if cycle > self.start or count:
            self.rows.append((self.start, self.tick, self.period, count, self.position, self.sequence, self.amplitude))
            self.position = (self.position + count) % self.lengths[self.sequence]
            self.start = cycle
        self.tick += ticks * self.period

    def set(self, cycle: int, period: int, sequence: int, amplitude: int, moving: int = 1) -> None:
        """Change settings at a cycle. A new period waits for the next tick: the countdown under way goes on."""
        if (
            period == self.period
            and amplitude == self.amplitude
            and sequence == self.sequence
            and moving == self.moving
        ):
            return
        self.close(cycle, cycle)
        self.period, self.sequence, self.amplitude, self.moving = period, sequence, amplitude, moving


def _segments(rows: Sequence[tuple[int, ...]], end: int) -> Segments:
    starts, ticks, periods, counts, positions, sequences, amplitudes = (
        np.array(rows, dtype=np.int64).reshape(-1, 7).T.copy()
    )
    return Segments(starts, ticks, periods, counts, positions, sequences, amplitudes, end)


class _Envelope:
    """Envelope generator of a pulse or noise channel: constant volume, or a decay from 15."""

    kept = ("volume", "constant", "loop", "decay", "divider", "restart")
    __slots__ = kept

    def __init__(self) -> None:
        self.constant = self.restart = 0
        self.loop = 0
        """The flag that also halts the channel's length counter."""
        self.volume = self.decay = self.divider = 0

    def write(self, value: int) -> None:
        self.loop, self.constant, self.volume = value >> 5 & 1, value >> 4 & 1, value & 15

    def clock(self) -> None:
        if self.restart:
            self.restart, self.decay, self.divider = 0, 15, self.volume
        elif self.divider:
            self.divider -= 1
        else:
            self.divider = self.volume
            if self.decay:
                self.decay -= 1
            elif self.loop:
                self.decay = 15

    def level(self) -> int:
        return self.volume if self.constant else self.decay


class _Pulse:
    """Settings of a pulse channel: envelope, sweep, length, timer period."""

    kept = ("duty", "period", "length", "sweep", "divider", "reload")
    __slots__ = (*kept, "envelope", "ones_complement", "track")

    def __init__(self, ones_complement: bool) -> None:
        self.ones_complement = ones_complement  # pulse 1 subtracts one more than pulse 2 when it sweeps up
        self.envelope = _Envelope()
        self.duty = self.period = self.sweep = self.divider = self.length = self.reload = 0
        self.track = _Track(2, (8, 8, 8, 8))

    def target(self) -> int:
        """Return the period that the sweep unit aims at; it silences the channel when out of range, even if idle."""
        change = self.period >> (self.sweep & 7)
        if self.sweep & 8:
            return max(0, self.period - change - self.ones_complement)
        return self.period + change

    def clock_sweep(self) -> None:
        target = self.target()
        due = self.divider == 0
        if due and self.sweep & 0x80 and self.sweep & 7 and self.period >= MIN_PULSE_PERIOD and target <= MAX_PERIOD:
            self.period = target
        if due or self.reload:
            self.divider, self.reload = self.sweep >> 4 & 7, 0
        else:
            self.divider -= 1

    def update(self, cycle: int) -> None:
        audible = self.length and self.period >= MIN_PULSE_PERIOD and self.target() <= MAX_PERIOD
        volume = self.envelope.level() if audible else 0
        self.track.set(cycle, 2 * (self.period + 1), self.duty, volume)


class _Triangle:
    """Settings of the triangle: length and linear counter, timer period."""

    kept = ("period", "length", "linear", "linear_load", "control", "reload")
    __slots__ = (*kept, "track")

    def __init__(self) -> None:
        self.period = self.length = self.linear = self.linear_load = self.control = self.reload = 0
        self.track = _Track(1, (32, 32), moving=0)

    def runs(self) -> int:
        return int(self.linear > 0 and self.length > 0)

    def update(self, cycle: int) -> None:
        runs = self.runs()
        mean = int(runs and self.period < ULTRASONIC_TRIANGLE_PERIOD)
        self.track.set(cycle, self.period + 1, mean, runs, runs)


class _Noise:
    """Settings of the noise channel: envelope, length, period and mode of the shift register."""

    kept = ("register", "length")
    __slots__ = (*kept, "envelope", "periods", "track")

    def __init__(self, periods: Sequence[int]) -> None:
        self.register = self.length = 0
        self.envelope = _Envelope()
        self.periods = periods
        self.track = _Track(periods[0], short_orbits().lengths)

    def update(self, cycle: int) -> None:
        volume = self.envelope.level() if self.length else 0
        self.track.set(cycle, self.periods[self.register & 15], self.track.sequence, volume)

    def switch_mode(self, cycle: int) -> None:
        """Find the sequence in which the shift register goes on from its present state."""
        track, orbits = self.track, short_orbits()
        track.close(cycle, cycle)
        if self.register & 0x80:
            state = int(long_states()[track.position])
            track.sequence, track.position = int(orbits.sequences[state]), int(orbits.places[state])
        else:
            state = int(orbits.states[track.sequence][track.position])
            track.sequence, track.position = 0, int(long_places()[state])


_EMPTY: Final = -2  # no byte
_UNKNOWN: Final = -1  # a byte that the log does not carry


class _Dmc:
    """The sample channel: a 7-bit counter that the bits of a sample move by 2."""

    kept = ("rate", "loop", "level", "tick", "bits", "shift", "buffer", "start", "size", "address", "left")
    __slots__ = (*kept, "memory", "periods", "rows")

    def __init__(self, periods: Sequence[int], memory: bytes) -> None:
        self.periods, self.memory = periods, memory
        self.rate = self.loop = self.level = self.tick = 0
        self.bits = 8
        """Bits until the next byte."""
        self.shift = self.buffer = _EMPTY
        """The byte being played; the byte after it."""
        self.start, self.size = DMC_BASE, 1
        """Of the sample that $4015 starts."""
        self.address = self.left = 0
        """Next byte, and how many are left."""
        self.rows: list[tuple[int, int]] = []

    def set(self, cycle: int, level: int) -> None:
        if level == self.level:
            return
        self.level = level
        if self.rows[-1][0] == cycle:
            self.rows.pop()
        self.rows.append((cycle, level))

    def restart(self) -> None:
        self.address, self.left = self.start, self.size

    def fetch(self) -> None:
        """Fill the buffer if it is empty and the sample goes on."""
        if self.buffer != _EMPTY or not self.left:
            return
        at = self.address - DMC_BASE
        self.buffer = self.memory[at] if 0 <= at < len(self.memory) else _UNKNOWN
        self.address = 0x8000 if self.address == 0xFFFF else self.address + 1
        self.left -= 1
        if not self.left and self.loop:
            self.restart()

    def run_to(self, cycle: int) -> None:
        """Play bits up to, not including, a cycle."""
        period = self.periods[self.rate]
        while self.tick < cycle:
            if self.shift == self.buffer == _EMPTY:  # nothing to play, and nothing will come by itself
                ticks = -((self.tick - cycle) // period)
                self.bits = (self.bits - 1 - ticks) % 8 + 1
                self.tick += ticks * period
                return
            if self.shift >= 0:
                if self.shift & 1:
                    self.set(self.tick, self.level + 2 if self.level <= 125 else self.level)
                else:
                    self.set(self.tick, self.level - 2 if self.level >= 2 else self.level)
                self.shift >>= 1
            self.bits -= 1
            if not self.bits:
                self.bits, self.shift, self.buffer = 8, self.buffer, _EMPTY
                self.fetch()
            self.tick += period

    def write(self, register: int, value: int, cycle: int) -> None:
        self.run_to(cycle + 1)
        if register == 0x10:
            self.rate, self.loop = value & 15, value >> 6 & 1
        elif register == 0x11:
            self.set(cycle, value & 0x7F)
        elif register == 0x12:
            self.start = DMC_BASE + 64 * value
        elif register == 0x13:
            self.size = 16 * value + 1
        elif not value & 0x10:
            self.left = 0
        elif not self.left:
            self.restart()
            self.fetch()


class _Chip:
    """The registers and counters of the 2A03."""

    kept = ("enabled", "odd", "five", "frame_start", "next_tick", "reset_at", "reset_value")
    __slots__ = (*kept, "console", "dmc", "noise", "pulses", "triangle")

    def __init__(self, console: Console, memory: bytes) -> None:
        self.console = console
        self.pulses = (_Pulse(True), _Pulse(False))
        self.triangle = _Triangle()
        self.noise = _Noise(console.noise_cycles)
        self.dmc = _Dmc(console.dmc_cycles, memory)
        self.enabled = 0
        self.odd = 0
        """1 if cycle 0 is an odd one since power-on."""
        self.five = 0
        """1 in the frame counter's five-step mode."""
        self.frame_start = 0
        self.next_tick = 0  # index into the ticks
        self.reset_at = 0  # cycle at which a write to $4017 takes effect
        self.reset_value = -1  # what was written; -1: nothing waits

    # The state as integers.

    def _parts(self) -> Iterator[tuple[object, Iterable[str]]]:
        yield self, self.kept
        for channel in (*self.pulses, self.triangle, self.noise):
            yield channel, channel.kept
            if not isinstance(channel, _Triangle):
                yield channel.envelope, channel.envelope.kept
            yield channel.track, channel.track.kept
        yield self.dmc, self.dmc.kept

    def _move_time(self, cycles: int) -> None:
        self.odd ^= cycles & 1
        self.frame_start -= cycles
        self.reset_at = self.reset_at - cycles if self.reset_value >= 0 else 0
        self.dmc.tick -= cycles
        for track in self._tracks():
            track.tick -= cycles

    def save(self, cycle: int) -> list[int]:
        """Return the state at a cycle up to which the chip has run; the chip is used up."""
        self._move_time(cycle)
        return [int(getattr(part, name)) for part, names in self._parts() for name in names]

    def load(self, state: Sequence[int]) -> None:
        """Take a state over, at cycle 0."""
        values = iter(state)
        for part, names in self._parts():
            for name in names:
                setattr(part, name, next(values))
        self.dmc.rows = [(0, self.dmc.level)]

    # The frame counter.

    def run_to(self, cycle: int) -> None:
        """Clock the frame counter up to, not including, a cycle."""
        while True:
            ticks, length = self.console.frame_counters[self.five]
            tick, half = ticks[self.next_tick]
            due = self.frame_start + tick
            if self.reset_value >= 0 and self.reset_at <= due:
                if self.reset_at >= cycle:
                    return
                self._reset_frame_counter()
                continue
            if due >= cycle:
                return
            self._clock(due, half)
            self.next_tick += 1
            if self.next_tick == len(ticks):
                self.next_tick = 0
                self.frame_start += length

    def _reset_frame_counter(self) -> None:
        self.five = self.reset_value >> 7
        self.frame_start, self.next_tick = self.reset_at, 0
        if self.five:
            self._clock(self.reset_at, True)
        self.reset_value = -1

    def _clock(self, cycle: int, half: bool) -> None:
        """Clock the quarter-frame units and, on a half frame, those too."""
        for pulse in self.pulses:
            pulse.envelope.clock()
            if half:
                if pulse.length and not pulse.envelope.loop:
                    pulse.length -= 1
                pulse.clock_sweep()
            # An envelope at constant volume runs on unheard; nothing else changes between half frames.
            if half or not pulse.envelope.constant:
                pulse.update(cycle)
        triangle, noise = self.triangle, self.noise
        if triangle.reload:
            triangle.linear = triangle.linear_load
        elif triangle.linear:
            triangle.linear -= 1
        if not triangle.control:
            triangle.reload = 0
        noise.envelope.clock()
        if half:
            if triangle.length and not triangle.control:
                triangle.length -= 1
            if noise.length and not noise.envelope.loop:
                noise.length -= 1
        if triangle.runs() != triangle.track.moving:
            triangle.update(cycle)
        if half or not noise.envelope.constant:
            noise.update(cycle)

    # The registers.

    def write(self, address: int, value: int, cycle: int) -> None:
        """Apply one write at the end of a cycle."""
        register = address - 0x4000
        if register < 8:
            self._write_pulse(register >> 2, register & 3, value, cycle)
        elif register < 0xC:
            triangle = self.triangle
            if register == 8:
                triangle.control, triangle.linear_load = value >> 7, value & 0x7F
            elif register == 0xA:
                triangle.period = triangle.period & 0x700 | value
            elif register == 0xB:
                triangle.period = triangle.period & 0xFF | (value & 7) << 8
                triangle.reload = 1
                if self.enabled & 4:
                    triangle.length = LENGTHS[value >> 3]
            triangle.update(cycle)
        elif register < 0x10:
            noise = self.noise
            if register == 0xC:
                noise.envelope.write(value)
            elif register == 0xE:
                switched = (noise.register ^ value) & 0x80
                noise.register = value
                if switched:
                    noise.switch_mode(cycle)
            elif register == 0xF:
                noise.envelope.restart = 1
                if self.enabled & 8:
                    noise.length = LENGTHS[value >> 3]
            noise.update(cycle)
        elif register < 0x14:
            self.dmc.write(register, value, cycle)
        elif register == 0x15:
            self._enable(value, cycle)
        elif register == 0x17:
            # "APU Frame Counter": the reset comes 3 or 4 CPU cycles after the write, by the cycle's parity.
            self.reset_at, self.reset_value = cycle + 3 + (cycle + self.odd & 1), value

    def _write_pulse(self, index: int, register: int, value: int, cycle: int) -> None:
        pulse = self.pulses[index]
        if register == 0:
            pulse.duty = value >> 6
            pulse.envelope.write(value)
        elif register == 1:
            pulse.sweep, pulse.reload = value, 1
        elif register == 2:
            pulse.period = pulse.period & 0x700 | value
        else:
            pulse.period = pulse.period & 0xFF | (value & 7) << 8
            pulse.envelope.restart = 1
            if self.enabled >> index & 1:
                pulse.length = LENGTHS[value >> 3]
            pulse.track.close(cycle, cycle)
            pulse.track.position = 0  # the sequencer restarts, the timer's countdown does not
        pulse.update(cycle)

    def _enable(self, value: int, cycle: int) -> None:
        self.enabled = value & 15
        for index, pulse in enumerate(self.pulses):
            if not value >> index & 1:
                pulse.length = 0
            pulse.update(cycle)
        if not value & 4:
            self.triangle.length = 0
        if not value & 8:
            self.noise.length = 0
        self.triangle.update(cycle)
        self.noise.update(cycle)
        self.dmc.write(0x15, value, cycle)

    # The result.

    def _tracks(self) -> tuple[_Track, ...]:
        return self.pulses[0].track, self.pulses[1].track, self.triangle.track, self.noise.track

    def split(self, cycle: int) -> None:
        """Begin new segments at a cycle that has not come yet."""
        self.run_to(cycle)
        self.dmc.run_to(cycle)
        for track in self._tracks():
            track.close(cycle, cycle - 1)

    def segments(self, end: int) -> Mapping[str, Segments]:
        found = {name: _segments(track.rows, end) for name, track in zip(CHANNELS, self._tracks(), strict=False)}
        found["DM"] = _segments([(cycle, cycle, 1, 0, 0, 0, level) for cycle, level in self.dmc.rows], end)
        return found


# Lowest and highest value of each number of the state, by its part. A state from a file is checked against them.
_BYTE: Final = (0, 255)
_FLAG: Final = (0, 1)
_PERIOD: Final = (0, MAX_PERIOD)
_TRACK_BOUNDS: Final = ((0, 8191), (1, 8191))
_ENVELOPE_BOUNDS: Final = ((0, 15), _FLAG, _FLAG, (0, 15), (0, 15), _FLAG)
_PULSE_BOUNDS: Final = (
    *((0, 3), _PERIOD, (0, 254), _BYTE, (0, 7), _FLAG),
    *_ENVELOPE_BOUNDS,
    *(*_TRACK_BOUNDS, (0, 7), (0, 3), (0, 15), _FLAG),
)
STATE_BOUNDS: Final = (
    *((0, 15), _FLAG, _FLAG, (-50_000, 50_000), (0, 3), (0, 4), (-1, 255)),
    *_PULSE_BOUNDS,
    *_PULSE_BOUNDS,
    *(_PERIOD, (0, 254), (0, 127), (0, 127), _FLAG, _FLAG, *_TRACK_BOUNDS, (0, 31), _FLAG, _FLAG, _FLAG),
    *(_BYTE, (0, 254), *_ENVELOPE_BOUNDS, *_TRACK_BOUNDS, (0, 32_766), (0, 353), (0, 15), _FLAG),
    *((0, 15), _FLAG, (0, 127), (0, 8191), (1, 8), (-2, 255), (-2, 255)),
    *((DMC_BASE, 0xFFFF), (1, 4081), (0, 0xFFFF), (0, 4081)),
)


def is_state(state: NDArray[np.int64]) -> bool:
    """Return whether a chip could be in a state: every number within its bounds, the noise within its sequence."""
    if state.shape != (STATE_SIZE,):
        return False
    inside = all(low <= value <= high for value, (low, high) in zip(state.tolist(), STATE_BOUNDS, strict=True))
    position, sequence = state[_NOISE_POSITION : _NOISE_POSITION + 2].tolist()
    return inside and position < short_orbits().lengths[sequence]


_NOISE_POSITION: Final = len(_Chip.kept) + 2 * (6 + 6 + 6) + (6 + 6) + (2 + 6) + 2
STATE_SIZE: Final = len(_Chip.kept) + 2 * (6 + 6 + 6) + (6 + 6) + (2 + 6 + 6) + len(_Dmc.kept)


# The noise channel's shift register.


def next_state(state: int, mode: int) -> int:
    """Return the state after one clock: feedback of bits 0 and 1 (mode 0) or 0 and 6 (mode 1) enters at bit 14."""
    feedback = (state ^ state >> (6 if mode else 1)) & 1
    return state >> 1 | feedback << LFSR_BITS - 1


@lru_cache(maxsize=1)
def long_states() -> NDArray[np.uint16]:
    """Return the 32767 states that mode 0 goes round, from the first; shape (32767,)."""
    states = np.empty(2**LFSR_BITS - 1, dtype=np.uint16)
    state = LFSR_START
    for at in range(len(states)):
        states[at] = state
        state = next_state(state, 0)
    return states


@lru_cache(maxsize=1)
def long_places() -> NDArray[np.uint16]:
    """Return where in `long_states` a state stands; shape (32768,), entry 0 unused."""
    states = long_states()
    places = np.zeros(2**LFSR_BITS, dtype=np.uint16)
    places[states] = np.arange(len(states), dtype=np.uint16)
    return places


@dataclass(frozen=True, slots=True, eq=False)
class Orbits:
    """The sequences of the noise channel: the long one, then the 353 that mode 1 goes round, by their smallest state."""

    states: tuple[NDArray[np.uint16], ...]
    """States of each sequence; 0 is the long one, the others begin with their smallest state."""
    lengths: tuple[int, ...]
    """32767; then 93, and once 31."""
    sequences: NDArray[np.int64]
    """In which short sequence a state lies, 1 to 353; shape (32768,), entry 0 unused."""
    places: NDArray[np.int64]
    """Where in that sequence; same shape."""


@lru_cache(maxsize=1)
def short_orbits() -> Orbits:
    """Return the sequences of the noise channel in both modes."""
    sequences, places = np.zeros(2**LFSR_BITS, dtype=np.int64), np.zeros(2**LFSR_BITS, dtype=np.int64)
    found = [long_states()]
    for first in range(1, 2**LFSR_BITS):
        if sequences[first]:
            continue
        orbit, state = [first], next_state(first, 1)
        while state != first:
            orbit.append(state)
            state = next_state(state, 1)
        sequences[orbit], places[orbit] = len(found), np.arange(len(orbit))
        found.append(np.array(orbit, dtype=np.uint16))
    return Orbits(tuple(found), tuple(map(len, found)), sequences, places)
