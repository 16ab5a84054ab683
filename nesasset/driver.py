"""The sound driver: turns a score into the register writes of a console's music routine, 60 frames a second.

A score is a performance without end if it loops, and the log is cut out of that performance:

- The intro is the first pass up to the loop's first frame.
- The loop is what every pass but the first plays: its steady state. A voice or note delay that carries a note past the
  loop's end makes it begin at the start of the loop; a voice that holds at the loop's start holds what the loop's end
  left, with its envelope, arpeggio, vibrato and slide as old as they are then. The first pass hears the same loop. So
  the log repeats without a difference, and it can differ from a first pass only until each voice's first cell in the loop.
- The loop's first frame restates every register, so a jump to it from anywhere gives the same sound. Restating
  $4003 and $4007 restarts the pulses' sequencers there, once a pass, which is where a bar line is.

Everywhere else a register is written only when its value changes: writing $4003 or $4007 again would click. A vibrato
never changes them: it is clamped to the periods that share their high bits with the period it swings around.
All arithmetic is on integers; the same score gives the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.state import CYCLES_PER_PERIOD
from nesasset.apu.tables import MAX_PERIOD, MIN_PULSE_PERIOD, ULTRASONIC_TRIANGLE_PERIOD
from nesasset.apu.writes import unroll
from nesasset.errors import RegisterLogError, out_of_range
from nesasset.register_log import RegisterLog
from nesasset.score import (
    HOLD,
    MAX_ENVELOPE_FRAMES,
    MAX_ROW_FRAMES,
    MAX_ROWS,
    REST,
    Cell,
    Instrument,
    Note,
    Score,
    scale_volume,
)
from nesasset.units import CPU_CLOCK_HZ, MAX_VOLUME, NOISE_PERIODS, VOICE_KINDS, VOICES

MAX_FRAMES: Final = MAX_ROWS * MAX_ROW_FRAMES

# Written at the start and at the loop's start only. NESdev wiki, pages "APU Status", "APU Frame Counter", "APU Sweep".
ENABLE_FOUR_VOICES: Final = 0x0F
FOUR_STEP_NO_IRQ: Final = 0x40
SWEEP_OFF: Final = 0x08  # negate set: without it the idle sweep unit silences periods from $400 up
CONSTANT_VOLUME: Final = 0x30  # bits 5 and 4: length counter halted, volume as written
LENGTH_LOAD: Final = 0x08  # index 1, 254 half frames; halted, so any length but none will do
TRIANGLE_ON, TRIANGLE_OFF = 0xFF, 0x80  # linear counter held at 127, or at 0

# Registers in the order in which a frame writes them.
_ORDER: Final = (
    *(0x4015, 0x4017, 0x4000, 0x4001, 0x4002, 0x4003, 0x4004, 0x4005, 0x4006, 0x4007),
    *(0x4008, 0x400A, 0x400B, 0x400C, 0x400E, 0x400F),
)
_ROW: Final = {address: row for row, address in enumerate(_ORDER)}
_CONSTANT: Final = {
    0x4015: ENABLE_FOUR_VOICES,
    0x4017: FOUR_STEP_NO_IRQ,
    0x4001: SWEEP_OFF,
    0x4005: SWEEP_OFF,
    0x400F: LENGTH_LOAD,
}


# The pitch, in cents above MIDI pitch 0. Beyond the table every period is clamped anyway.
_MAX_CENTS: Final = 14_000
_A4_CENTS, _A4_HZ = 6900, 440
_LOWEST_PERIOD: Final = {"pulse": MIN_PULSE_PERIOD, "triangle": ULTRASONIC_TRIANGLE_PERIOD}
# One cent, 2 ** (1 / 1200), as a whole number of 2 ** -96: a literal, because libraries of different machines disagree in the last
# bit of a power. Check: CENT ** 1200 <= 2 ** (96 * 1200 + 1) < (CENT + 1) ** 1200.
CENT_BITS: Final = 96
CENT: Final = 79273939715188702585654373947


@lru_cache(maxsize=2)
def period_table(kind: str) -> NDArray[np.int32]:
    """Return the playable timer period nearest to each pitch from 0 to 14 000 cents above MIDI pitch 0, shape (14001,).

    f = CPU clock / (16 (period + 1)) for the pulses, / (32 (period + 1)) for the triangle (NESdev wiki, "APU").
    Playable are 8 to 2047 on the pulses, 2 to 2047 on the triangle.

    Args:
        kind: 'pulse' or 'triangle'.
    """
    octave = [1 << CENT_BITS]  # 2 ** (cents / 1200) for each cent, in 2 ** -96
    for _ in range(1199):
        octave.append(octave[-1] * CENT >> CENT_BITS)
    table = []
    for cents in range(_MAX_CENTS + 1):
        octaves, rest = divmod(cents - _A4_CENTS, 1200)
        clock = CPU_CLOCK_HZ << CENT_BITS + 8  # eight bits more, so that octaves below A4 shift to the left, too
        steps = CYCLES_PER_PERIOD[kind] * _A4_HZ * octave[rest] << 8 + octaves
        table.append((2 * clock + steps) // (2 * steps) - 1)
    periods: NDArray[np.int32] = np.clip(np.array(table), _LOWEST_PERIOD[kind], MAX_PERIOD).astype(np.int32)
    periods.flags.writeable = False  # one table for all callers
    return periods


def pitch_to_period(voice: str, pitch: int) -> int:
    """Return the playable timer period that comes nearest to a MIDI pitch on P1, P2 or TR; see `period_table`.

    Inverse: `nesasset.apu.state.period_to_pitch`.
    """
    return int(period_table(VOICE_KINDS[voice])[min(max(100 * pitch, 0), _MAX_CENTS)])


def drive(score: Score, frame_count: int | None = None) -> RegisterLog:
    """Play a score into a register log.

    Args:
        score: The score. Rows after the end of its loop are never heard.
        frame_count: None for one pass, intro and loop, with the loop kept. A number for that many frames of the
            performance, played on through as many loops as it takes, without a loop; after the end of a score that
            ends, every voice rests.

    Returns:
        The log; its loop is `score.loop_frames`.

    Raises:
        RegisterLogError: frame_count is out of range.
    """
    if frame_count is not None and (type(frame_count) is not int or not 1 <= frame_count <= MAX_FRAMES):
        raise RegisterLogError(out_of_range("frame_count", frame_count, 1, MAX_FRAMES))
    log = _VERSIONS[score.driver](score, frame_count)
    return log if frame_count is None else unroll(log, frame_count)


def _drive_1(score: Score, frame_count: int | None) -> RegisterLog:
    """Version 1. What it writes is frozen: tests/test_driver_versions.py has the hashes of its logs."""
    loop = score.loop_frames
    n_frames = score.n_frames if loop is None else loop[1]
    if frame_count is not None and loop is None:
        n_frames = frame_count
    registers = np.zeros((len(_ORDER), n_frames), dtype=np.uint8)
    for address, value in _CONSTANT.items():
        registers[_ROW[address]] = value
    for voice in VOICES:
        _play_voice(score, voice, registers)
    return _write_changes(registers, loop)


# A driver that would write other registers for a score that exists is a new entry here and in score.DRIVERS; the old one stays.
_VERSIONS: Final = {1: _drive_1}


def _write_changes(registers: NDArray[np.uint8], loop: tuple[int, int] | None) -> RegisterLog:
    """Return the writes that give each register its value in each frame; shape (n_registers, n_frames)."""
    n_frames = registers.shape[1]
    written = np.empty((n_frames, len(_ORDER)), dtype=bool)
    written[1:] = (registers[:, 1:] != registers[:, :-1]).T
    written[0] = True
    if loop is not None:
        written[loop[0]] = True
    frames, rows = np.nonzero(written)
    return RegisterLog(
        frames=frames.astype(np.int64),
        addresses=np.array(_ORDER, dtype=np.uint16)[rows],
        values=registers[rows, frames],
        n_frames=n_frames,
        loop=loop,
    )


def _play_voice(score: Score, voice: str, registers: NDArray[np.uint8]) -> None:
    """Fill in the registers of one voice for every frame."""
    n_frames = registers.shape[1]
    starts, cells, before_loop = _cell_frames(score, voice)
    which, age = _cell_of_each_frame(score, starts, before_loop, n_frames)
    which = which + 1  # entry 0 of everything below is the silence before the first note, entry c + 1 is cell c
    rulers = _rulers(cells, starts, before_loop)
    instruments = (*score.instruments, Instrument(VOICE_KINDS[voice], volume=(0,)))
    silent = len(score.instruments)
    player = np.array([silent if note is None else note.instrument for note, _, _ in rulers])[which]
    level = np.array([0 if note is None or stop is not None else note.volume for note, _, stop in rulers])[which]
    volume = _SCALED_VOLUMES[level, _sequence([entry.volume for entry in instruments], player, age)]
    stopped = np.array([-1 if stop is None else stop for _, _, stop in rulers])[which]
    age = np.where(stopped < 0, age, stopped)
    arpeggio = _arpeggio(instruments, player, age)
    if voice == "NO":
        period = np.array([entry.period for entry in instruments])[player] + arpeggio
        mode = np.array([entry.mode << 7 for entry in instruments])[player]
        registers[_ROW[0x400C]] = CONSTANT_VOLUME | volume
        registers[_ROW[0x400E]] = mode | np.clip(period, 0, NOISE_PERIODS - 1)
        return
    cents = _glide(rulers, which, age) + 100 * arpeggio
    period = _swing(instruments, VOICE_KINDS[voice], player, age, cents)
    period = np.where(np.array([note is None for note, _, _ in rulers])[which], 0, period)
    low, high = (period & 0xFF).astype(np.uint8), (LENGTH_LOAD | period >> 8).astype(np.uint8)
    if voice == "TR":
        registers[_ROW[0x4008]] = np.where(volume > 0, TRIANGLE_ON, TRIANGLE_OFF)
        registers[_ROW[0x400A]], registers[_ROW[0x400B]] = low, high
        return
    base = 0x4000 if voice == "P1" else 0x4004
    duty = _sequence([entry.duties or (entry.duty,) for entry in instruments], player, age)
    registers[_ROW[base]] = duty << 6 | CONSTANT_VOLUME | volume
    registers[_ROW[base + 2]], registers[_ROW[base + 3]] = low, high


# What each note does, frame by frame. `player` is the index of the instrument, `age` the frames since the onset; all of
# shape (n_frames,), as are the results.

_SCALED_VOLUMES: Final = np.array(
    [[scale_volume(volume, level) for volume in range(MAX_VOLUME + 1)] for level in range(MAX_VOLUME + 1)]
)


class _Ruler(NamedTuple):
    """What rules a voice while a cell lasts."""

    note: Note | None
    """The note that sounds, or in a rest the last one: a rest changes the volume only. None before the first note."""
    source: int | None
    """Pitch at which its slide begins: that of the note before, as written, whatever became of it. None for noise."""
    stop: int | None
    """Age in frames at which the note stopped, and all that moves with it; None while it sounds."""


def _rulers(cells: Sequence[Cell], starts: NDArray[np.int64], before_loop: int) -> list[_Ruler]:
    """Return what rules in the silence before the first cell, and then in each cell.

    The first note of a loop follows the loop's last, as in every pass but the first.
    """
    rulers = [_Ruler(None, None, None)]
    source: int | None = None
    turned = [cell.pitch for cell in cells[before_loop:] if isinstance(cell, Note)]
    onset = 0
    for index, (cell, start) in enumerate(zip(cells, starts.tolist(), strict=True)):
        if index == before_loop and turned:
            source = turned[-1]
        ruler = rulers[-1]
        if isinstance(cell, Note):
            ruler = _Ruler(cell, cell.pitch if source is None else source, None)
            source, onset = cell.pitch, start
        elif ruler.stop is None:
            ruler = _Ruler(ruler.note, ruler.source, max(0, start - onset - 1))
        rulers.append(ruler)
    return rulers


def _sequence(
    sequences: Sequence[tuple[int, ...]],
    player: NDArray[np.int64],
    age: NDArray[np.int64],
    loops: Sequence[int | None] | None = None,
) -> NDArray[np.int64]:
    """Return the entry of each frame; after the last one a sequence goes on at its loop, or holds where that is None."""
    lengths = np.array([len(entries) for entries in sequences])
    flat = np.concatenate([np.array(entries, dtype=np.int64) for entries in sequences])
    at = np.minimum(age, lengths[player] - 1)
    if loops is not None:
        ends = lengths - 1
        back = np.array([end if loop is None else loop for end, loop in zip(ends.tolist(), loops, strict=True)])[player]
        at = np.where(age < lengths[player], age, back + (age - back) % (lengths[player] - back))
    found: NDArray[np.int64] = flat[(np.cumsum(lengths) - lengths)[player] + at]
    return found


def _arpeggio(instruments: Sequence[Instrument], player: NDArray[np.int64], age: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the steps that arpeggios add."""
    if not any(entry.arpeggio for entry in instruments):
        return np.zeros_like(age)
    sequences = [entry.arpeggio or (0,) for entry in instruments]
    return _sequence(sequences, player, age, [entry.arpeggio_loop for entry in instruments])


def _glide(rulers: Sequence[_Ruler], which: NDArray[np.int64], age: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pitch in cents, slides included; 0 before the first note."""
    target = 100 * np.array([0 if note is None else note.pitch for note, _, _ in rulers])[which]
    slides = np.array([0 if note is None else note.slide for note, _, _ in rulers])
    if not slides.any():
        return target
    slide = slides[which]
    way = target - 100 * np.array([source or 0 for _, source, _ in rulers])[which]
    gone = (2 * way * age + slide) // np.maximum(2 * slide, 1)  # to the nearest cent
    return np.where(age < slide, target - way + gone, target)


def _swing(
    instruments: Sequence[Instrument],
    kind: str,
    player: NDArray[np.int64],
    age: NDArray[np.int64],
    cents: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Return the timer period of a pitch with its vibrato, which on a pulse never changes the period's high bits."""
    table = period_table(kind)
    middle = table[np.clip(cents, 0, _MAX_CENTS)]
    if not any(entry.vibrato for entry in instruments):
        return middle
    settings = [(0, 4, 0) if (v := entry.vibrato) is None else (v.delay, v.period, v.depth) for entry in instruments]
    delay, period, depth = (np.array(column)[player] for column in zip(*settings, strict=True))
    # The sine of a half swing by Bhaskara's fraction, at most 0.0017 off it: 16 x (1 - x) / (5 - 4 x (1 - x)), x from 0 to 1.
    half = 2 * ((age - delay) % period)
    up = half < period
    half = np.where(up, half, half - period)
    hump = half * (period - half)
    below = 5 * period * period - 4 * hump
    bend = (2 * 16 * hump * depth + below) // (2 * below)  # to the nearest cent
    bend = np.where(age < delay, 0, np.where(up, bend, -bend))
    swung = table[np.clip(cents + bend, 0, _MAX_CENTS)]
    return swung if kind == "triangle" else np.clip(swung, middle & ~0xFF, middle | 0xFF)


# When each cell begins.


def _cell_frames(score: Score, voice: str) -> tuple[NDArray[np.int64], list[Cell], int]:
    """Return when the notes and rests of a voice begin in the first pass, those cells, and how many precede the loop."""
    lag = score.delays.get(voice, 0)
    loop_start, end = (score.n_rows, score.n_rows) if score.loop is None else score.loop
    row_lengths = np.resize(np.array(score.groove, dtype=np.int64), score.n_rows)
    row_frames = (np.cumsum(row_lengths) - row_lengths + lag).tolist()
    frames: list[int] = []
    cells: list[Cell] = []
    before_loop = 0
    for row, cell in enumerate(score.voices[voice][:end]):
        if cell is HOLD:
            continue
        frames.append(row_frames[row] + (cell.delay if isinstance(cell, Note) else 0))
        cells.append(cell)
        before_loop += row < loop_start
    if score.loop is None:
        frames.append(score.n_frames + lag)
        cells.append(REST)  # the piece is over; heard only if more frames are asked for
    return np.array(frames, dtype=np.int64), cells, before_loop


def _cell_of_each_frame(
    score: Score, starts: NDArray[np.int64], before_loop: int, n_frames: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each frame the index of the cell that rules it, -1 for none yet, and the frames since it began."""
    if score.loop_frames is None:
        return _latest(starts, np.arange(n_frames))
    loop_start, loop_end = score.loop_frames
    which, age = _latest(starts[:before_loop], np.arange(loop_start))
    in_loop = np.arange(loop_start, loop_end)
    if before_loop == len(starts):  # a loop that only holds: for ever what the intro left
        held = np.full(len(in_loop), before_loop - 1)
        held_age = _settled_age(in_loop - (starts[-1] if len(starts) else 0))
    else:
        length = loop_end - loop_start
        wrapped = loop_start + (starts[before_loop:] - loop_start) % length
        order = np.argsort(wrapped)
        # Once as the pass before left them, once as this pass begins them.
        latest, held_age = _latest(np.concatenate([wrapped[order] - length, wrapped[order]]), in_loop)
        held = before_loop + order[latest % len(order)]
    return np.concatenate([which, held]), np.concatenate([age, held_age])


def _settled_age(age: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ages in the first pass in which all that comes to an end has done so, given those of pass 0.

    Only arpeggio loops and vibratos go on; once a pass they start again where that pass began, unless it is whole turns long.
    """
    passes = max(0, -(-(MAX_ENVELOPE_FRAMES - int(age[0])) // len(age)))
    return age + passes * len(age)


def _latest(starts: NDArray[np.int64], frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each frame the index of the last start at or before it, -1 for none, and its age in frames."""
    which = np.searchsorted(starts, frames, side="right") - 1
    if not len(starts):
        return which, np.zeros_like(frames)
    return which, np.maximum(frames - starts[which], 0)  # the age of none is never used
