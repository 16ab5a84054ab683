"""Tables of the 2A03 and its PAL sister 2A07, as printed. Holds numbers only.

Source: NESdev wiki, pages "APU Pulse", "APU Triangle", "APU Noise", "APU DMC", "APU Length Counter", "APU Frame Counter"
and "Cycle reference chart". Check: tests/test_apu.py plays each table through a chip that is simulated cycle by cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesasset.units import CLOCKS_HZ

# Output of the pulse sequencer, step 0 first, as heard after a phase reset. "APU Pulse", column "output waveform".
DUTY_SEQUENCES: Final = (
    (0, 1, 0, 0, 0, 0, 0, 0),  # 12.5 %
    (0, 1, 1, 0, 0, 0, 0, 0),  # 25 %
    (0, 1, 1, 1, 1, 0, 0, 0),  # 50 %
    (1, 0, 0, 1, 1, 1, 1, 1),  # 75 %: 25 % upside down
)

# Output of the triangle sequencer, step 0 first.
TRIANGLE_SEQUENCE: Final = tuple(range(15, -1, -1)) + tuple(range(16))

# Timer period of the noise channel in CPU cycles, by the index in $400E bits 3-0.
NOISE_PERIOD_CYCLES: Final = (4, 8, 16, 32, 64, 96, 128, 160, 202, 254, 380, 508, 762, 1016, 2034, 4068)
_PAL_NOISE_CYCLES: Final = (4, 8, 14, 30, 60, 88, 118, 148, 188, 236, 354, 472, 708, 944, 1890, 3778)

# CPU cycles from one bit of a DMC sample to the next, by the index in $4010 bits 3-0.
_NTSC_DMC_CYCLES: Final = (428, 380, 340, 320, 286, 254, 226, 214, 190, 160, 142, 128, 106, 84, 72, 54)
_PAL_DMC_CYCLES: Final = (398, 354, 316, 298, 276, 236, 210, 198, 176, 148, 132, 118, 98, 78, 66, 50)

# Length counter, in half frames, by the index in bits 7-3 of each channel's fourth register.
LENGTHS: Final = (
    *(10, 254, 20, 2, 40, 4, 80, 6, 160, 8, 60, 10, 14, 12, 26, 14),
    *(12, 16, 24, 18, 48, 20, 96, 22, 192, 24, 72, 26, 16, 28, 32, 30),
)

FrameCounter = tuple[tuple[tuple[int, bool], ...], int]
"""Its ticks (CPU cycle after its reset, does it clock the half-frame units too), then the cycle of the restart."""

FOUR_STEP: Final[FrameCounter] = (((7457, False), (14913, True), (22371, False), (29829, True)), 29830)
FIVE_STEP: Final[FrameCounter] = (((7457, False), (14913, True), (22371, False), (37281, True)), 37282)
_PAL_FOUR_STEP: Final[FrameCounter] = (((8313, False), (16627, True), (24939, False), (33252, True)), 33254)
_PAL_FIVE_STEP: Final[FrameCounter] = (((8313, False), (16627, True), (24939, False), (41565, True)), 41566)


@dataclass(frozen=True, slots=True)
class Console:
    """What differs between the consoles of the regions."""

    clock_hz: int
    """CPU cycles a second, rounded as file formats do."""
    noise_cycles: tuple[int, ...]
    dmc_cycles: tuple[int, ...]
    frame_counters: tuple[FrameCounter, FrameCounter]
    """Of four and of five steps."""


# A Dendy has the clock of its own and the NTSC chip's tables. The keys are those of `RegisterLog.region`.
CONSOLES: Final = {
    "ntsc": Console(CLOCKS_HZ["ntsc"], NOISE_PERIOD_CYCLES, _NTSC_DMC_CYCLES, (FOUR_STEP, FIVE_STEP)),
    "pal": Console(CLOCKS_HZ["pal"], _PAL_NOISE_CYCLES, _PAL_DMC_CYCLES, (_PAL_FOUR_STEP, _PAL_FIVE_STEP)),
    "dendy": Console(CLOCKS_HZ["dendy"], NOISE_PERIOD_CYCLES, _NTSC_DMC_CYCLES, (FOUR_STEP, FIVE_STEP)),
}

MIN_PULSE_PERIOD: Final = 8  # below it the pulse channels are silent
MAX_PERIOD: Final = 0x7FF
ULTRASONIC_TRIANGLE_PERIOD: Final = 2  # below it the triangle's tone is above 27 kHz: only its mean is heard
