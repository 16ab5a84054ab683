"""NES-MDB's songs as register logs, so that any of them can be heard through our chip. Reads no file, judges no music.

NES-MDB tells what each voice does at which sample at 44.1 kHz: note, volume, duty or noise mode. Each such change
becomes the writes that bring the chip there, from the first CPU cycle of that sample on. The writes are those of our
driver: length counters halted, sweeps off, constant volume, the period's high byte only when it changes, because writing
it restarts a pulse.

One thing is not the driver's: the triangle starts and stops at quarter frames only, up to 4 ms after its register is
written. So $4017 is written after it, which clocks a quarter frame at once: the triangle is in time to a few cycles.

What NES-MDB does not know, a log cannot have: the DMC, pitch between semitones, hardware envelopes and sweeps.
"""

from __future__ import annotations

from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.driver import (
    CONSTANT_VOLUME,
    ENABLE_FOUR_VOICES,
    LENGTH_LOAD,
    SWEEP_OFF,
    TRIANGLE_OFF,
    TRIANGLE_ON,
    pitch_to_period,
)
from nesasset.errors import FormatError, out_of_range
from nesasset.formats.nesmdb_midi import FRAME_SAMPLES, SAMPLE_RATE_HZ, NesmdbSong, frame_phase
from nesasset.formats.vgm import sample_cycles
from nesasset.register_log import RegisterLog
from nesasset.units import CPU_CLOCK_HZ, MAX_VOLUME, NOISE_PERIODS, PITCH_RANGES, VOICES

FRAME_RATE_HZ: Final = SAMPLE_RATE_HZ / FRAME_SAMPLES  # 60.0988, the console's: what is heard was played at it

# Bit 7: a quarter and a half frame are clocked at once; bit 6: no IRQ. NESdev wiki, "APU Frame Counter".
_FIVE_STEP_NO_IRQ: Final = 0xC0
_FIRST: Final = {"P1": 0x4000, "P2": 0x4004, "TR": 0x4008, "NO": 0x400C}
_HIGHEST_TIMBRE: Final = {"P1": 3, "P2": 3, "TR": 127, "NO": 1}  # the triangle has none, whatever its track says

# Before the first change: everything silent, and what no change touches. (address, value) in the driver's order.
_START: Final = (
    *((0x4015, ENABLE_FOUR_VOICES), (0x4017, _FIVE_STEP_NO_IRQ)),
    *((0x4000, CONSTANT_VOLUME), (0x4001, SWEEP_OFF), (0x4002, 0), (0x4003, LENGTH_LOAD)),
    *((0x4004, CONSTANT_VOLUME), (0x4005, SWEEP_OFF), (0x4006, 0), (0x4007, LENGTH_LOAD)),
    *((0x4008, TRIANGLE_OFF), (0x400A, 0), (0x400B, LENGTH_LOAD)),
    *((0x400C, CONSTANT_VOLUME), (0x400E, 0), (0x400F, LENGTH_LOAD)),
)


def to_log(song: NesmdbSong) -> RegisterLog:
    """Turn an NES-MDB song into a register log of the same length and timing.

    Args:
        song: As `nesmdb_midi.load` gives it.

    Returns:
        A log with cycles, without a loop. Its frames are the console's, 60.0988 a second, laid so that the song's
        writes fall into their middle: what one run of the music routine wrote stays together.

    Raises:
        FormatError: A note, volume or timbre is none that the chip has.
    """
    ticks: list[int] = [0] * len(_START)
    writes: list[tuple[int, int]] = list(_START)
    state = dict(_START)
    changes = sorted(
        (tick, number, note, volume, timbre)
        for number, voice in enumerate(VOICES)
        for tick, note, volume, timbre in _checked(song, voice)
    )
    for tick, number, note, volume, timbre in changes:
        changed = [
            (address, value)
            for address, value in _registers(VOICES[number], note, volume, timbre)
            if state[address] != value
        ]
        state.update(changed)
        if any(address == 0x4008 for address, _ in changed):
            changed.append((0x4017, _FIVE_STEP_NO_IRQ))
        writes += changed
        ticks += [tick] * len(changed)
    samples = np.array(ticks, dtype=np.int64)
    frames = _frames(samples, frame_phase(song))
    return RegisterLog(
        frames=frames,
        addresses=np.array([address for address, _ in writes], dtype=np.uint16),
        values=np.array([value for _, value in writes], dtype=np.uint8),
        n_frames=max(ceil(song.n_samples / FRAME_SAMPLES), int(frames[-1]) + 1),
        frame_rate_hz=FRAME_RATE_HZ,
        cycles=sample_cycles(samples, CPU_CLOCK_HZ),
    )


def note_to_noise_period(note: int) -> int:
    """Return the chip's period index, 0 (highest) to 15, of a noise note of NES-MDB, 1 (lowest) to 16."""
    return NOISE_PERIODS - note


def _checked(song: NesmdbSong, voice: str) -> list[list[int]]:
    """Return the states of a voice, or raise FormatError at the first one that the chip cannot take."""
    states = song.states[voice].astype(np.int64)
    low, high = PITCH_RANGES.get(voice, (1, NOISE_PERIODS))
    notes = states[:, 1]
    checks = (
        ("the sample", states[:, 0], 0, song.n_samples, np.zeros(len(states), dtype=bool)),
        ("the note", notes, low, high, notes == 0),  # 0 is silence
        ("the volume", states[:, 2], 0, MAX_VOLUME, np.zeros(len(states), dtype=bool)),
        ("the timbre", states[:, 3], 0, _HIGHEST_TIMBRE[voice], np.zeros(len(states), dtype=bool)),
    )
    for label, column, lowest, highest, allowed in checks:
        wrong = ((column < lowest) | (column > highest)) & ~allowed
        if wrong.any():
            at = int(np.argmax(wrong))
            raise FormatError(
                f"{voice} at sample {states[at, 0]}: {out_of_range(label, int(column[at]), lowest, highest)}"
            )
    rows: list[list[int]] = states.tolist()
    return rows


def _registers(voice: str, note: int, volume: int, timbre: int) -> list[tuple[int, int]]:
    """Return what the registers of a voice hold in a state; a silent one keeps its pitch."""
    first = _FIRST[voice]
    if voice == "NO":
        loudness = (first, CONSTANT_VOLUME | volume)
        return [loudness, (first + 2, timbre << 7 | note_to_noise_period(note))] if note else [loudness]
    if voice == "TR":
        loudness = (first, TRIANGLE_ON if note and volume else TRIANGLE_OFF)
    else:
        loudness = (first, timbre << 6 | CONSTANT_VOLUME | volume)
    if not note:
        return [loudness]
    period = pitch_to_period(voice, note)
    return [loudness, (first + 2, period & 0xFF), (first + 3, LENGTH_LOAD | period >> 8)]


def _frames(samples: NDArray[np.int64], phase: float) -> NDArray[np.int64]:
    """Return the frame of each write: the nearest, if frames have their middle where the writes cluster."""
    if phase > FRAME_SAMPLES / 2:
        phase -= FRAME_SAMPLES  # a cluster that straddles the start belongs to frame 0
    frames: NDArray[np.int64] = np.floor((samples - phase) / FRAME_SAMPLES + 0.5).astype(np.int64)
    return np.maximum(0, frames)
