"""A second 2A03: the chip cycle by cycle, as the NESdev wiki tells it, with its own tables. No test is in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.writes import Writes


class SlowChip:
    """A 2A03 that is clocked once a CPU cycle. Slow, plain, and written without looking at apu/."""

    DUTY = ("01000000", "01100000", "01111000", "10011111")
    LENGTH = tuple(b"\x0a\xfe\x14\x02\x28\x04\x50\x06\xa0\x08\x3c\x0a\x0e\x0c\x1a\x0e")
    LENGTH += tuple(b"\x0c\x10\x18\x12\x30\x14\x60\x16\xc0\x18\x48\x1a\x10\x1c\x20\x1e")
    NTSC_NOISE = (4, 8, 16, 32, 64, 96, 128, 160, 202, 254, 380, 508, 762, 1016, 2034, 4068)
    PAL_NOISE = (4, 8, 14, 30, 60, 88, 118, 148, 188, 236, 354, 472, 708, 944, 1890, 3778)
    NOISE: ClassVar = {"ntsc": NTSC_NOISE, "pal": PAL_NOISE, "dendy": NTSC_NOISE}
    NTSC_RATES = (428, 380, 340, 320, 286, 254, 226, 214, 190, 160, 142, 128, 106, 84, 72, 54)
    PAL_RATES = (398, 354, 316, 298, 276, 236, 210, 198, 176, 148, 132, 118, 98, 78, 66, 50)
    RATES: ClassVar = {"ntsc": NTSC_RATES, "pal": PAL_RATES, "dendy": NTSC_RATES}
    NTSC_SEQUENCER = (7457, 14913, 22371, 29829, 37281, 0)
    SEQUENCER: ClassVar = {
        "ntsc": NTSC_SEQUENCER,
        "pal": (8313, 16627, 24939, 33252, 41565, 1),
        "dendy": NTSC_SEQUENCER,
    }

    def __init__(self, region: str = "ntsc", memory: bytes = b"") -> None:
        self.region, self.memory = region, memory
        self.dac, self.rate_timer, self.bits_left = 0, 0, 8
        self.bits: list[int] | None = None
        self.sample_buffer: list[int] | None = None
        self.reader, self.bytes_left = 0, 0
        self.r = [0] * 24
        self.time = 0
        self.length = [0, 0, 0, 0]
        self.enabled = 0
        self.timer = [0, 0, 0, 0]
        self.place = [0, 0, 0]
        self.shift = 1
        self.decay, self.divider, self.begin = [0, 0, 0], [0, 0, 0], [False] * 3
        self.sweep_divider, self.sweep_reload = [0, 0], [False, False]
        self.period = [0, 0]
        self.linear, self.linear_reload = 0, False
        self.sequencer, self.five = 0, False
        self.reset_in: int | None = None

    def envelope_register(self, unit: int) -> int:
        """Return the register of an envelope: pulse 1, pulse 2, noise."""
        return self.r[(0, 4, 12)[unit]]

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        register = address - 0x4000
        self.r[register] = value
        channel = register // 4
        if register in (1, 5):
            self.sweep_reload[channel] = True
        elif register in (2, 6):
            self.period[channel] = self.period[channel] & 0x700 | value
        elif register in (3, 7, 11, 15):
            if self.enabled >> channel & 1:
                self.length[channel] = self.LENGTH[value >> 3]
            if register in (3, 7):
                self.period[channel] = self.period[channel] & 0xFF | (value & 7) << 8
                self.place[channel] = 0
                self.begin[channel] = True
            if register == 11:
                self.linear_reload = True
            if register == 15:
                self.begin[2] = True
        elif register == 0x11:
            self.dac = value & 127
        elif register == 0x15:
            if not value & 16:
                self.bytes_left = 0
            elif self.bytes_left == 0:
                self.begin_sample()
                self.read_byte()
            self.enabled = value
            self.length = [self.length[i] if value >> i & 1 else 0 for i in range(4)]
        elif register == 0x17:
            self.reset_in = 3 if self.time % 2 == 0 else 4

    def begin_sample(self) -> None:
        """Go to the start of the sample in $4012 and $4013."""
        self.reader, self.bytes_left = 0xC000 + self.r[0x12] * 64, self.r[0x13] * 16 + 1

    def read_byte(self) -> None:
        """Fill an empty buffer with the bits of the next byte, none if the log does not have it."""
        if self.sample_buffer is not None or self.bytes_left == 0:
            return
        place = self.reader - 0xC000
        known = place >= 0 and place < len(self.memory)
        self.sample_buffer = [self.memory[place] >> bit & 1 for bit in range(8)] if known else []
        self.reader = self.reader + 1 if self.reader < 0xFFFF else 0x8000
        self.bytes_left -= 1
        if self.bytes_left == 0 and self.r[0x10] & 0x40:
            self.begin_sample()

    def sample_bit(self) -> None:
        """Clock the DMC's timer."""
        if self.rate_timer > 0:
            self.rate_timer -= 1
            return
        self.rate_timer = self.RATES[self.region][self.r[0x10] & 15] - 1
        if self.bits:
            moved = self.dac + (2 if self.bits.pop(0) else -2)
            self.dac = moved if 0 <= moved <= 127 else self.dac
        self.bits_left -= 1
        if self.bits_left == 0:
            self.bits_left, self.bits, self.sample_buffer = 8, self.sample_buffer, None
            self.read_byte()

    def triangle_period(self) -> int:
        """Return the triangle's timer period."""
        return self.r[10] | (self.r[11] & 7) << 8

    def triangle_runs(self) -> bool:
        """Return whether the triangle's sequencer moves."""
        return self.linear > 0 and self.length[2] > 0

    def target(self, i: int) -> int:
        """Return the period that the sweep unit aims at."""
        sweep, period = self.r[(1, 5)[i]], self.period[i]
        change = period >> (sweep & 7)
        if sweep & 8:
            return max(0, period - change - (1 if i == 0 else 0))
        return period + change

    def quarter(self) -> None:
        """Clock envelopes and the linear counter."""
        for unit in range(3):
            register = self.envelope_register(unit)
            if self.begin[unit]:
                self.begin[unit], self.decay[unit], self.divider[unit] = False, 15, register & 15
            elif self.divider[unit] > 0:
                self.divider[unit] -= 1
            else:
                self.divider[unit] = register & 15
                if self.decay[unit] > 0:
                    self.decay[unit] -= 1
                elif register & 0x20:
                    self.decay[unit] = 15
        if self.linear_reload:
            self.linear = self.r[8] & 0x7F
        elif self.linear:
            self.linear -= 1
        if not self.r[8] & 0x80:
            self.linear_reload = False

    def half(self) -> None:
        """Clock length counters and sweep units."""
        halted = (self.r[0] & 0x20, self.r[4] & 0x20, self.r[8] & 0x80, self.r[12] & 0x20)
        for i in range(4):
            if self.length[i] and not halted[i]:
                self.length[i] -= 1
        for i in range(2):
            sweep, target = self.r[(1, 5)[i]], self.target(i)
            change = sweep & 0x80 and sweep & 7 and self.period[i] >= 8 and target <= 0x7FF
            if self.sweep_divider[i] == 0 and change:
                self.period[i] = target
            if self.sweep_divider[i] == 0 or self.sweep_reload[i]:
                self.sweep_divider[i], self.sweep_reload[i] = sweep >> 4 & 7, False
            else:
                self.sweep_divider[i] -= 1

    def cycle(self, writes: Sequence[tuple[int, int]]) -> tuple[int, int, int, int, int]:
        """Run one CPU cycle, with these writes at its end, and return the levels after it; the triangle's in halves."""
        if self.time % 2 == 0:
            for i in range(2):
                if self.timer[i] == 0:
                    self.timer[i] = self.period[i]
                    self.place[i] = (self.place[i] + 1) % 8
                else:
                    self.timer[i] -= 1
        if self.timer[2] == 0:
            self.timer[2] = self.triangle_period()
            self.place[2] = (self.place[2] + self.triangle_runs()) % 32
        else:
            self.timer[2] -= 1
        if self.timer[3] == 0:
            self.timer[3] = self.NOISE[self.region][self.r[14] & 15] - 1
            tap = 6 if self.r[14] & 0x80 else 1
            bit = (self.shift ^ self.shift >> tap) & 1
            self.shift = self.shift >> 1 | bit << 14
        else:
            self.timer[3] -= 1
        self.sample_bit()
        if self.reset_in is not None:
            self.reset_in -= 1
        if self.reset_in == 0:
            self.reset_in, self.five, self.sequencer = None, bool(self.r[0x17] & 0x80), 0
            if self.five:
                self.quarter()
                self.half()
        first, second, third, fourth, fifth, pause = self.SEQUENCER[self.region]
        last = fifth if self.five else fourth
        if self.sequencer in (first, second, third, last):
            self.quarter()
        if self.sequencer in (second, last):
            self.half()
        # The PAL sequence of four steps waits a cycle more before it begins again.
        self.sequencer = 0 if self.sequencer == last + (0 if self.five else pause) else self.sequencer + 1
        for address, value in writes:
            self.write(address, value)
        self.time += 1
        volumes = [
            self.envelope_register(u) & 15 if self.envelope_register(u) & 0x10 else self.decay[u] for u in range(3)
        ]
        pulses = [
            volumes[i] * int(self.DUTY[self.r[4 * i] >> 6][self.place[i]])
            if self.length[i] and self.period[i] >= 8 and self.target(i) <= 0x7FF
            else 0
            for i in range(2)
        ]
        triangle = 2 * (15 - self.place[2] if self.place[2] < 16 else self.place[2] - 16)
        if self.triangle_runs() and self.triangle_period() < 2:
            triangle = 15  # too high to hear: its mean
        noise = volumes[2] if self.length[3] and not self.shift & 1 else 0
        return pulses[0], pulses[1], triangle, noise, self.dac


def slow_levels(writes: Writes) -> NDArray[np.int64]:
    """Return the level of every channel in every cycle, shape (5, n_cycles)."""
    chip, at = SlowChip(writes.region, writes.memory), 0
    todo = list(zip(writes.cycles.tolist(), writes.addresses.tolist(), writes.values.tolist(), strict=True))
    levels = np.empty((writes.marks[-1], 5), dtype=np.int64)
    for cycle in range(writes.marks[-1]):
        now = at
        while at < len(todo) and todo[at][0] == cycle:
            at += 1
        levels[cycle] = chip.cycle([write[1:] for write in todo[now:at]])
    return levels.T
