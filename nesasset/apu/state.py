"""What each channel sounds like in each frame of a register log, and what pitch a timer period has. Makes no sound.

This is the way back from a log towards music: the control pass of the chip runs over the log and is looked at in the
middle of each frame, when every write of the frame, and the quarter frame after it, has taken effect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.chip import Segments, run
from nesasset.apu.tables import CONSOLES, MAX_PERIOD
from nesasset.apu.writes import frame_cycles, time_writes
from nesasset.register_log import RegisterLog
from nesasset.units import CPU_CLOCK_HZ, VOICE_KINDS

# CPU cycles per period of the tone and step of the timer: 8 steps of 2 cycles; 32 steps of 1. NESdev wiki, "APU".
CYCLES_PER_PERIOD: Final = {"pulse": 16, "triangle": 32}


def period_to_pitch(voice: str, period: int) -> int:
    """Return the MIDI pitch nearest to a timer period of P1, P2 or TR. Inverse of `driver.pitch_to_period`.

    The pitch may lie outside the range of scores (`units.PITCH_RANGES`): a foreign log may play anything.
    """
    hz = CPU_CLOCK_HZ / (CYCLES_PER_PERIOD[VOICE_KINDS[voice]] * (period + 1))
    return round(69 + 12 * math.log2(hz / 440.0))


def period_pitches(voice: str) -> NDArray[np.int64]:
    """Return `period_to_pitch` of every timer period, shape (2048,): a table for whole arrays of periods."""
    return np.array([period_to_pitch(voice, period) for period in range(MAX_PERIOD + 1)])


def channel_frames(log: RegisterLog) -> Mapping[str, Mapping[str, NDArray[np.int64]]]:
    """Return the state of every channel in the middle of each frame of one pass of a log.

    Returns:
        For P1 and P2: 'period' (11-bit timer period), 'volume' (0 to 15, 0 where silent for any reason), 'duty'.
        For TR: 'period', 'on' (1 while it runs). For NO: 'period' (index 0 to 15), 'volume', 'mode'.
        Every array int64 of shape (n_frames,).
    """
    trace, console = run(time_writes(log)), CONSOLES[log.region]
    # Twice the rate: every odd half frame is a middle.
    middles = frame_cycles(np.arange(1, 2 * log.n_frames, 2), 2 * log.frame_rate_hz, console.clock_hz)
    frames: dict[str, dict[str, NDArray[np.int64]]] = {}
    for voice in ("P1", "P2"):
        segments, at = trace[voice], _segments_at(trace[voice], middles)
        frames[voice] = {
            "period": segments.periods[at].astype(np.int64) // 2 - 1,
            "volume": segments.amplitudes[at],
            "duty": segments.sequences[at],
        }
    segments, at = trace["TR"], _segments_at(trace["TR"], middles)
    frames["TR"] = {"period": segments.periods[at].astype(np.int64) - 1, "on": segments.amplitudes[at]}
    segments, at = trace["NO"], _segments_at(trace["NO"], middles)
    frames["NO"] = {
        "period": np.searchsorted(console.noise_cycles, segments.periods[at]),
        "volume": segments.amplitudes[at],
        "mode": np.minimum(segments.sequences[at], 1),
    }
    return frames


def _segments_at(segments: Segments, cycles: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(segments.starts, cycles, side="right") - 1
