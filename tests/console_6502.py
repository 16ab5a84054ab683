"""A console made of py65's 6502 and just enough of what surrounds it: for tests of our own player. No test is in here.

It knows the NSF's banks, the mappers 0, 2 and 31, the PPU's memory and the pad, and it notes every write to the sound
chip with its frame. It is strict where hardware is: the PPU may be written in the vertical blank or with the picture
off only, and UxROM's bank number must lie under the written byte.
"""

from __future__ import annotations

import struct

from py65.devices.mpu6502 import MPU

from nesasset.register_log import APU_REGISTERS

VBLANK_CYCLES = 2273  # NESdev wiki, "Cycle reference chart"
FRAME_CYCLES = 29_780
RETURN = 0xFFF0  # no code of ours is there; a subroutine that comes back comes back here
DRAWING = 0x18  # in jukebox.s: not 0 while the main program has the PPU, and the interrupt leaves the picture alone

Write = tuple[int, int, int]
"""Frame, address, value."""


class Machine:
    """A 6502 with 2 KiB of memory and the sound chip's registers."""

    seen: list[int | None]
    """What the CPU sees from $8000 on; None where hardware does not say: reading it fails."""

    def __init__(self) -> None:
        self.ram = [0xA5] * 0x800  # memory is random at power-on; code that trusts it is wrong
        self.mpu = MPU(memory=self)
        self.frame = 0
        self.writes: list[Write] = []

    def __getitem__(self, address: int) -> int:
        if address >= 0x8000:  # first, because most reads are instructions
            return self.seen[address - 0x8000]
        if address < 0x2000:
            return self.ram[address & 0x7FF]
        return self.read_register(address)

    def __setitem__(self, address: int, value: int) -> None:
        if address < 0x2000:
            self.ram[address & 0x7FF] = value
        elif address in APU_REGISTERS:
            self.writes.append((self.frame, address, value))
        else:
            self.write_register(address, value)

    def show(self, address: int, content: bytes) -> None:
        """Have a bank seen from an address on."""
        self.seen[address - 0x8000 : address - 0x8000 + len(content)] = content

    def read_register(self, address: int) -> int:
        """Return what a register between memory and cartridge answers."""
        raise AssertionError(f"read of ${address:04X}")

    def write_register(self, address: int, value: int) -> None:
        """Do what a write to such a register, or to the cartridge, does."""
        raise AssertionError(f"write to ${address:04X}")


class NsfMachine(Machine):
    """Plays an NSF's code as the specification says."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        head = struct.unpack("<5s3B3H", data[:14])
        assert head[0] == b"NESM\x1a"
        self.load, self.init_address, self.play_address = head[4:7]
        size = int.from_bytes(data[0x7D:0x80], "little") or len(data) - 0x80
        assert self.load & 0xFFF == 0
        self.data = data[0x80 : 0x80 + size]
        assert any(data[0x70:0x78])
        self.seen = [None] * 0x8000
        for place, bank in enumerate(data[0x70:0x78]):
            self.show(0x8000 + 0x1000 * place, self.data[0x1000 * bank : 0x1000 * (bank + 1)])

    def write_register(self, address: int, value: int) -> None:
        """Do what a write to such a register, or to the cartridge, does."""
        assert 0x5FF8 <= address <= 0x5FFF, f"write to ${address:04X}"
        assert value < len(self.data) // 0x1000, f"bank {value} is not there"
        self.show(0x8000 + 0x1000 * (address - 0x5FF8), self.data[0x1000 * value : 0x1000 * (value + 1)])

    def call(self, address: int, a: int = 0, x: int = 0) -> int:
        """Run a subroutine and return its cycles."""
        mpu = self.mpu
        mpu.sp, mpu.pc, mpu.a, mpu.x = 0xFF, address, a, x
        for byte in divmod(RETURN - 1, 256):
            mpu.stPush(byte)
        before = mpu.processorCycles
        while mpu.pc != RETURN:
            mpu.step()
            assert mpu.processorCycles - before < 10 * FRAME_CYCLES, "it hangs"
        return mpu.processorCycles - before

    def perform(self, song: int, n_frames: int) -> tuple[list[Write], list[int]]:
        """Return the writes of a song, frame 0 being the first call of play, and the cycles of each call."""
        self.call(self.init_address, a=song)
        self.writes = []
        cycles = []
        for self.frame in range(n_frames):
            cycles.append(self.call(self.play_address))
        return self.writes, cycles


class RomMachine(Machine):
    """Runs a .nes file, frame by frame."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        assert data[:4] == b"NES\x1a"
        assert data[7] & 0x0C == 0x08, "not NES 2.0"
        self.mapper = data[6] >> 4 | data[7] & 0xF0
        self.prg = data[16 : 16 + 0x4000 * data[4]]
        self.has_chr_rom = data[5] > 0
        self.ppu = bytearray(0x4000)
        if self.has_chr_rom:
            self.ppu[:0x2000] = data[16 + len(self.prg) :]
        assert self.mapper in {0, 2, 31}
        self.seen = [None] * 0x8000
        self.show({0: 0x8000, 2: 0xC000, 31: 0xF000}[self.mapper], self.prg[-{0: 0x8000, 2: 0x4000, 31: 0x1000}[self.mapper] :])
        self.address, self.high_next, self.control, self.mask, self.blank = 0, True, 0, 0, 0
        self.nmi_start: int | None = None
        self.pad, self.pad_left, self.strobe = 0, 0, 0
        self.picture_off = 0
        self.mpu.pc = self[0xFFFC] | self[0xFFFD] << 8
        while not self.control & 0x80:  # the boot code, until it waits for interrupts
            self.mpu.step()
            assert self.mpu.processorCycles < 20 * FRAME_CYCLES, "it does not boot"
        self.frame = -1

    def read_register(self, address: int) -> int:
        """Return what a register between memory and cartridge answers."""
        if address == 0x2002:
            self.high_next = True
            self.blank ^= 0x80
            return self.blank
        if address == 0x4016:
            value = self.pad_left & 1
            self.pad_left = self.pad_left >> 1 | 0x80
            return 0x40 | value
        raise AssertionError(f"read of ${address:04X}")

    def write_register(self, address: int, value: int) -> None:
        """Do what a write to such a register, or to the cartridge, does."""
        if address >= 0x8000:
            if self.mapper == 2:
                assert self.seen[address - 0x8000] == value, "a conflict on the bus"
                assert 0x4000 * value < len(self.prg)
                self.show(0x8000, self.prg[0x4000 * value : 0x4000 * (value + 1)])
        elif address == 0x5FF9:
            if self.mapper == 31:
                assert 0x1000 * value < len(self.prg)
                self.show(0x9000, self.prg[0x1000 * value : 0x1000 * (value + 1)])
        elif address == 0x4016:
            if self.strobe and not value:
                self.pad_left = self.pad
            self.strobe = value
        elif address == 0x2000:
            self.control = value
        elif address == 0x2001:
            self.mask = value
        elif address == 0x2005:
            assert value == 0
        elif address in {0x2006, 0x2007}:
            self._check_time()
            if address == 0x2007:
                if self.address >= 0x2000 or not self.has_chr_rom:
                    self.ppu[self.address & 0x3FFF] = value
                self.address += 32 if self.control & 4 else 1
            elif self.high_next:
                self.address, self.high_next = value << 8, False
            else:
                self.address, self.high_next = self.address | value, True
        else:
            raise AssertionError(f"write to ${address:04X}")

    def _check_time(self) -> None:
        if self.mask & 0x18:
            assert self.nmi_start is not None, "the PPU is written while it draws"
            assert self.mpu.processorCycles - self.nmi_start < VBLANK_CYCLES, "the vertical blank is over"

    def run_frame(self, pad: int = 0, main_cycles: int = 500) -> int:
        """Run the interrupt and a bit of the main program; return the interrupt's cycles.

        Args:
            pad: Buttons down, A in bit 0, then B Select Start Up Down Left Right.
            main_cycles: How long the main program runs: less than it needs to draw a page, so that it is interrupted.
        """
        self.pad = pad
        self.frame += 1
        mpu = self.mpu
        stack = mpu.sp
        self.nmi_start = mpu.processorCycles
        mpu.processorCycles += 7
        mpu.stPush(mpu.pc >> 8)
        mpu.stPush(mpu.pc & 0xFF)
        mpu.stPush(mpu.p)
        mpu.pc = self[0xFFFA] | self[0xFFFB] << 8
        step = mpu.step
        while mpu.sp != stack:
            step()
            assert mpu.processorCycles - self.nmi_start < FRAME_CYCLES, "the interrupt takes longer than a frame"
        cycles = mpu.processorCycles - self.nmi_start
        self.nmi_start = None
        end = mpu.processorCycles + main_cycles
        while mpu.processorCycles < end:
            mpu.step()
        return int(cycles)

    def perform(self, n_frames: int, n_with_picture: int | None = None) -> tuple[list[Write], list[int]]:
        """Return the writes of the next frames, counted from 0, and the cycles of each interrupt.

        Args:
            n_frames: How many frames.
            n_with_picture: After so many, the console is kept as it is while a page is drawn, and the main program
                stands still: twice as fast. None: never.
        """
        self.writes = []
        first = self.frame + 1
        n_whole = n_frames if n_with_picture is None else min(n_frames, n_with_picture)
        cycles = [self.run_frame() for _ in range(n_whole)]
        before, self.ram[DRAWING] = self.ram[DRAWING], int(n_whole < n_frames)
        cycles += [self.run_frame(main_cycles=0) for _ in range(n_frames - n_whole)]
        self.ram[DRAWING] = before
        return [(frame - first, address, value) for frame, address, value in self.writes], cycles

    def lines(self) -> list[str]:
        """Return the screen as text: tile 0 is a blank, tiles 0 to 63 are ASCII from 32 on, a star is another tile."""
        rows = [self.ppu[0x2000 + at : 0x2000 + at + 32] for at in range(0, 960, 32)]
        return ["".join(chr(32 + tile) if tile < 64 else "*" for tile in row).rstrip() for row in rows]

    def palette_of(self, row: int) -> int:
        """Return which palette colours a row of tiles, which must be one from left to right."""
        attributes = self.ppu[0x23C0 + 8 * (row // 4) : 0x23C8 + 8 * (row // 4)]
        shift = 4 * (row // 2 % 2)
        found = {byte >> shift >> part & 3 for byte in attributes for part in (0, 2)}
        assert len(found) == 1
        return found.pop()
