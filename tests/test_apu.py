"""The 2A03: every stage against a second, slow implementation, against the published formulas, or against theory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from chip_measures import ALIAS_TONES, Tone, alias_db, flatness_db, pitch_error_cents
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pieces import Write, make_log
from slow_chip import slow_levels

from nesasset.apu import filters, mixer
from nesasset.apu.chip import (
    CHANNELS,
    STATE_BOUNDS,
    Segments,
    is_state,
    long_places,
    long_states,
    next_state,
    power_on,
    run,
    short_orbits,
)
from nesasset.apu.oscillators import TRIANGLE_SCALE, close_triangle, levels_of
from nesasset.apu.state import channel_frames, period_pitches, period_to_pitch
from nesasset.apu.steps import LEAD, TAPS, add_steps, kernel
from nesasset.apu.tables import CONSOLES
from nesasset.apu.writes import Writes, time_writes, unroll
from nesasset.driver import pitch_to_period
from nesasset.errors import RegisterLogError
from nesasset.register_log import RegisterLog
from nesasset.units import CPU_CLOCK_HZ, PITCH_RANGES


def fast_levels(writes: Writes, splits: Sequence[int] = ()) -> NDArray[np.int64]:
    """Return the same from the package."""
    trace = run(writes, splits)
    every = np.arange(writes.marks[-1])
    levels = np.empty((5, len(every)), dtype=np.int64)
    for row, channel in enumerate(CHANNELS):
        found = levels_of(trace[channel], channel)
        assert np.all(np.diff(found.cycles) >= 0)
        levels[row] = found.levels[np.searchsorted(found.cycles, every, side="right") - 1]
    return levels


START: list[Write] = [(0, 0x4015, 0x0F), (0, 0x4017, 0x40), (0, 0x4001, 8), (0, 0x4005, 8)]
SONG: list[Write] = [
    *START,
    *((0, 0x4000, 0x7F), (0, 0x4002, 0x1C), (0, 0x4003, 0x08), (0, 0x4004, 0xB7), (0, 0x4006, 0x60), (0, 0x4007, 0x09)),
    *((0, 0x4008, 0xFF), (0, 0x400A, 0x55), (0, 0x400B, 0x08), (0, 0x400C, 0x3A), (0, 0x400E, 0x03), (0, 0x400F, 8)),
    *((1, 0x4000, 0x3B), (1, 0x4002, 0xFD), (1, 0x4004, 0xF2), (1, 0x400E, 0x84), (1, 0x4011, 0x30)),
    *((2, 0x4003, 0x09), (2, 0x4008, 0x80), (2, 0x400C, 0x31), (2, 0x400E, 0x05), (2, 0x4007, 0x0A)),
]


@pytest.mark.parametrize("duty", range(4))
def test_duty_sequences_match_a_cycle_by_cycle_chip(duty: int) -> None:
    """A pulse of each duty has the level of the slow chip in every single cycle, a phase reset included."""
    writes = [*START, (0, 0x4000, duty << 6 | 0x3F), (0, 0x4002, 0x30), (0, 0x4003, 0x08), (1, 0x4003, 0x08)]
    timed = time_writes(make_log(writes, 2))
    assert np.array_equal(fast_levels(timed)[0], slow_levels(timed)[0])


def test_a_song_matches_a_cycle_by_cycle_chip() -> None:
    """All channels of a few frames of music have the slow chip's levels in every cycle."""
    timed = time_writes(make_log(SONG, 3))
    assert np.array_equal(fast_levels(timed), slow_levels(timed))


addresses = st.sampled_from([*range(0x4000, 0x4014), 0x4015, 0x4017])
any_write = st.one_of(
    st.tuples(st.integers(0, 45_000), addresses, st.integers(0, 255)),
    st.tuples(st.integers(0, 45_000), st.sampled_from([0x4012, 0x4013]), st.integers(0, 3)),
    st.tuples(st.integers(0, 45_000), st.just(0x4010), st.integers(12, 15)),
)


@settings(max_examples=8, deadline=None)
@given(st.lists(any_write, max_size=60), st.sampled_from(sorted(CONSOLES)), st.binary(max_size=80))
def test_random_writes_match_a_cycle_by_cycle_chip(found: list[Write], region: str, memory: bytes) -> None:
    """Whatever is written whenever, sweeps, envelopes, counters and samples included, each level of each cycle agrees."""
    ordered = sorted([(0, 0x4015, 0x1F), *found], key=lambda write: write[0])
    cycles, register, values = (np.array(column) for column in zip(*ordered, strict=True))
    marks = (0, 50_000)
    writes = Writes(cycles, register.astype(np.uint16), values.astype(np.uint8), marks, region, memory)
    assert np.array_equal(fast_levels(writes), slow_levels(writes))


SAMPLE: list[Write] = [(0, 0x4010, 0x4F), (0, 0x4011, 0x40), (0, 0x4012, 1), (0, 0x4013, 1), (0, 0x4015, 0x10)]


def played(writes: Sequence[Write], n_frames: int, memory: bytes, region: str = "ntsc") -> NDArray[np.int64]:
    """Return the DMC's levels in every cycle of a log with sample memory, checked against the slow chip."""
    timed = time_writes(replace(make_log(writes, n_frames), memory=memory, region=region))
    levels = fast_levels(timed)[4]
    assert np.array_equal(levels, slow_levels(timed)[4])
    return levels


def test_a_sample_plays_its_bits_from_the_lowest() -> None:
    """A byte's set bits raise the level by 2 and its others lower it, one every 54 cycles at the highest rate."""
    memory = bytes(64) + bytes([0b00001111] * 17)
    levels = played(SAMPLE, 1, memory)
    begin = int(np.argmax(levels == 0x42))
    assert levels[begin : begin + 8 * 54 : 54].tolist() == [0x42, 0x44, 0x46, 0x48, 0x46, 0x44, 0x42, 0x40]


def test_a_sample_stops_or_goes_round() -> None:
    """A sample of 17 bytes is over after 17 times 8 bits; with the loop flag it never is."""
    memory = bytes(64) + bytes([0x55] * 17)
    once, for_ever = (played([(0, 0x4010, flags | 15), *SAMPLE[1:]], 1, memory) for flags in (0, 0x40))
    assert np.flatnonzero(np.diff(once)).max() < 2 * 8 * 54 + 17 * 8 * 54
    assert np.flatnonzero(np.diff(for_ever)).max() > len(for_ever) - 2 * 54


def test_a_sample_stays_between_0_and_127() -> None:
    """Bits that would lead out of range are ignored."""
    assert played(SAMPLE, 1, bytes([0xFF] * 200)).max() == 0x7E
    assert played(SAMPLE, 1, bytes(200)).min() == 0


def test_bytes_that_a_log_does_not_carry_leave_the_level_alone() -> None:
    """A log without memory that starts a sample keeps what $4011 wrote."""
    assert np.all(played(SAMPLE, 1, b"")[100:] == 0x40)


def test_clearing_bit_4_stops_a_sample_after_its_byte() -> None:
    """The byte being played goes on, and the one in the buffer after it."""
    memory = bytes(64) + bytes([0x55] * 17)
    levels = played([*SAMPLE, (1, 0x4015, 0)], 3, memory)
    assert len(levels) // 3 < np.flatnonzero(np.diff(levels)).max() < len(levels) // 3 + 2 * 8 * 54


@pytest.mark.parametrize("region", sorted(CONSOLES))
def test_each_region_has_its_clock_and_tables(region: str) -> None:
    """A song with samples has the slow chip's levels in every cycle of each region, and lasts as long in seconds."""
    timed = time_writes(
        replace(
            make_log(sorted([*SONG, *SAMPLE], key=lambda write: write[0]), 3),
            region=region,
            memory=bytes(range(1, 200)),
        )
    )
    clock_hz = {"ntsc": 1_789_773, "pal": 1_662_607, "dendy": 1_773_448}[region]
    assert timed.marks[1] == round(3 * clock_hz / 60)
    assert np.array_equal(fast_levels(timed), slow_levels(timed))


@pytest.mark.parametrize("parity", [0, 1])
def test_a_write_to_4017_acts_3_or_4_cycles_later(parity: int) -> None:
    """Bit 7 clocks a quarter frame, which starts the triangle, 3 cycles after an even cycle and 4 after an odd one."""
    setup = [(0, 0x4015, 4), (6, 0x4008, 0xFF), (12, 0x400A, 40), (18, 0x400B, 0), (100 + parity, 0x4017, 0x80)]
    cycles, register, values = (np.array(column) for column in zip(*setup, strict=True))
    segments = run(Writes(cycles, register.astype(np.uint16), values.astype(np.uint8), (0, 300)))["TR"]
    assert segments.starts[np.argmax(segments.amplitudes)] == 100 + parity + 3 + parity


def test_cycles_of_a_log_are_used() -> None:
    """A log that knows its cycles is played at them; those behind its end are left out."""
    log = replace(make_log([(0, 0x4011, 1), (0, 0x4011, 2), (1, 0x4011, 3)], 2), cycles=np.array([7, 1234, 99_999]))
    timed = time_writes(log)
    assert timed.cycles.tolist() == [7, 1234]
    assert fast_levels(timed)[4][[6, 7, 1233, 1234]].tolist() == [0, 1, 1, 2]


def test_cycles_stay_in_the_loop() -> None:
    """Where cycles and frames do not quite agree, the second pass still holds the whole loop, in order."""
    log = make_log([(0, 0x4011, 1), (1, 0x4011, 2), (2, 0x4011, 3)], 3, (1, 3))
    timed = time_writes(replace(log, cycles=np.array([5, 29_000, 200_000])), passes=2)
    first, second = timed.marks[1:3]
    assert timed.values.tolist() == [1, 2, 3, 2, 3]
    assert timed.cycles.tolist() == [5, first, second - 1, second, timed.marks[3] - 1]


def test_unroll_keeps_cycles_and_memory() -> None:
    """The endless player's log has the writes' own timing in every pass."""
    log = make_log([(0, 0x4011, 1), (1, 0x4011, 2)], 2, (1, 2))
    out = unroll(replace(log, cycles=np.array([3, 29_900]), region="dendy", memory=b"abc"), 4)
    assert (out.region, out.memory, out.n_frames) == ("dendy", b"abc", 4)
    length = 1_773_448 / 60
    assert out.cycles is not None and np.allclose(
        out.cycles - [3, 29_900, 29_900 + length, 29_900 + 2 * length], 0, atol=1
    )


def test_the_state_of_a_chip_stays_within_its_bounds() -> None:
    """A chip that was just switched on is a possible state, one with a number out of range is not."""
    state = power_on()
    assert is_state(state)
    for place, (low, high) in enumerate(STATE_BOUNDS):
        for value in (low - 1, high + 1):
            broken = state.copy()
            broken[place] = value
            assert not is_state(broken)


def test_splitting_a_trace_changes_no_level() -> None:
    """Segments that are cut at arbitrary cycles give the same levels."""
    timed = time_writes(make_log(SONG, 4))
    assert np.array_equal(fast_levels(timed), fast_levels(timed, splits=(1, 5000, 29_830, 29_831, 77_777)))


def test_sound_matches_the_box_filtered_slow_chip() -> None:
    """The rendered samples follow the mean of the slow chip's mixed levels over each sample."""
    rate = 44_100
    timed = time_writes(make_log(SONG, 3))
    p1, p2, triangle, noise, dmc = slow_levels(timed)
    with np.errstate(divide="ignore"):
        pulses = 95.88 / (8128 / (p1 + p2) + 100)
        rest = 159.79 / (1 / (triangle / 2 / 8227 + noise / 12241 + dmc / 22638) + 100)
    mixed = np.concatenate([[0.0], np.cumsum(pulses + 0.95 * rest)])
    n_samples = 735 * 3
    # 16 samples at a time: the difference of the two kinds of low-pass is far above what is compared.
    edges = np.arange(0, n_samples + 1, 16)
    box = (
        np.diff(np.interp((edges - 0.5) * len(p1) / n_samples, np.arange(len(mixed)), mixed)) * n_samples / len(p1) / 16
    )
    sound = np.cumsum(differences(timed, rate, n_samples))
    ours = np.add.reduceat(sound[: edges[-1]], edges[:-1]) / 16 + box_start()
    error = (ours - box)[2:]
    assert np.sqrt(np.mean(error**2)) < 0.01 * np.std(box)


def box_start() -> float:
    """Return the mixed level at power-on: the triangle rests at its top."""
    return 0.95 * 159.79 / (1 / (15 / 8227) + 100)


def differences(writes: Writes, rate: int, n_samples: int) -> NDArray[np.float64]:
    """Return the differences of the band-limited output, unfiltered."""
    trace = run(writes)
    levels = {channel: levels_of(trace[channel], channel) for channel in CHANNELS}
    before = dict.fromkeys(CHANNELS, 0) | {"TR": 15 * TRIANGLE_SCALE}
    buffer = np.zeros(n_samples + TAPS)
    for steps in mixer.mix(levels, before):
        add_steps(buffer, steps.cycles, steps.heights, n_samples / writes.marks[-1])
    buffer[LEAD] += buffer[:LEAD].sum()
    return buffer[LEAD : LEAD + n_samples]


# Noise, mixer, kernel, filters: each against its definition.


def test_the_long_noise_sequence_has_32767_states() -> None:
    """Mode 0 goes through every state but zero once, and places are the inverse of states."""
    states = long_states()
    assert np.array_equal(np.sort(states), np.arange(1, 32768))
    assert np.array_equal(long_places()[states], np.arange(32767))


def test_short_noise_sequences_have_93_or_31_states() -> None:
    """Mode 1 divides the states into 352 rounds of 93 and one of 31, and each state knows its place."""
    orbits = short_orbits()
    assert sorted(orbits.lengths[1:]) == [31] + [93] * 352
    for state in range(1, 32768):
        orbit = orbits.states[orbits.sequences[state]]
        place = orbits.places[state]
        assert (orbit[place], orbit[(place + 1) % len(orbit)]) == (state, next_state(state, 1))


@pytest.mark.parametrize("dmc", [0, 1, 64, 127])
def test_the_mixer_follows_the_published_formula(dmc: int) -> None:
    """The mixed level is the wiki's formula with the second group trimmed, for every level of the other channels."""
    for p1, p2, triangle, noise in (
        (a, b, c, d) for a in range(0, 16, 5) for b in (0, 7) for c in range(16) for d in (0, 9, 15)
    ):
        pulses = 95.88 / (8128 / (p1 + p2) + 100) if p1 + p2 else 0
        weighted = triangle / 8227 + noise / 12241 + dmc / 22638
        rest = 159.79 / (1 / weighted + 100) if weighted else 0
        levels = {"P1": p1, "P2": p2, "TR": triangle * TRIANGLE_SCALE, "NO": noise, "DM": dmc}
        assert mixer.mixed_level(levels) * mixer.HEIGHT_UNIT == pytest.approx(pulses + 0.95 * rest, abs=1e-6)


def test_a_band_limited_step_keeps_its_height() -> None:
    """Each row of the kernel sums to exactly 1, so no rounding adds up to a drift."""
    assert np.array_equal(kernel().sum(axis=1), np.ones(129))


def test_the_kernel_is_symmetrical() -> None:
    """A step a little before a sample is the mirror image of one as much after it."""
    assert np.allclose(kernel(), kernel()[::-1, ::-1], atol=2**-18)


@pytest.mark.parametrize("voicing", sorted(filters.VOICINGS))
def test_filters_equal_a_sample_by_sample_recursion(voicing: str) -> None:
    """The blockwise filters give what plain loops over samples give."""
    rng = np.random.default_rng(5)
    steps = rng.normal(size=20_000)
    chosen = filters.VOICINGS[voicing]
    slow = [float(value) for value in np.cumsum(steps)]
    for corner in chosen.high_pass_hz:
        pole, out, before, state = math.exp(-2 * math.pi * corner / 44_100), [], 0.0, 0.0
        for value in slow:
            state = pole * state + (1 + pole) / 2 * (value - before)
            before = value
            out.append(state)
        slow = out
    if chosen.low_pass_hz is not None:
        pole = math.exp(-2 * math.pi * chosen.low_pass_hz / 44_100)
        gain = 1 / math.sqrt(1 + (22_050 / chosen.low_pass_hz) ** 2)
        now, late = ((1 - pole) + gain * (1 + pole)) / 2, ((1 - pole) - gain * (1 + pole)) / 2
        out, before, state = [], 0.0, 0.0
        for value in slow:
            state = pole * state + now * value + late * before
            before = value
            out.append(state)
        slow = out
    fast = filters.apply(steps.copy(), chosen, 44_100, circular=False)
    assert np.allclose(fast, slow, atol=1e-9)


@pytest.mark.parametrize("voicing", sorted(filters.VOICINGS))
@pytest.mark.parametrize("size", [1, 40, 9000])
def test_circular_filters_are_the_steady_state_of_repetition(voicing: str, size: int) -> None:
    """Filtering one period in a circle gives the last of many repetitions."""
    steps = np.random.default_rng(6).normal(size=size)
    steps -= steps.mean()
    times = -(-200_000 // size)
    repeated = filters.apply(np.tile(steps, times), filters.VOICINGS[voicing], 44_100, circular=False)
    circle = filters.apply(steps.copy(), filters.VOICINGS[voicing], 44_100, circular=True)
    assert np.allclose(circle, repeated[-size:], atol=1e-8)


# Sound quality, before samples are rounded.

ONE_OF_EACH = [ALIAS_TONES[0], ALIAS_TONES[2], ALIAS_TONES[6], ALIAS_TONES[7]]


@pytest.mark.parametrize("tone", ONE_OF_EACH, ids=lambda tone: tone.name)
def test_pitch_is_exact(tone: Tone) -> None:
    """A tone lies within a thousandth of a cent of CPU clock / cycles a period."""
    assert pitch_error_cents(tone, 44_100) < 1e-3


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("tone", ONE_OF_EACH, ids=lambda tone: tone.name)
def test_aliases_are_inaudible(tone: Tone, rate: int) -> None:
    """Everything from 20 Hz to 20 kHz that is no harmonic is at least 100 dB below the tone."""
    assert alias_db(tone, rate) < -100


def test_the_treble_is_flat_to_16_khz() -> None:
    """The odd harmonics of a half-and-half pulse fall as one over their number to within 0.1 dB up to 16 kHz."""
    assert flatness_db(44_100) < 0.1


# Logs in time, and read back.


def test_frames_begin_on_time_for_ever() -> None:
    """The writes of frame i lie at most half a cycle from i sixtieths of a second, however long the log."""
    frames = np.arange(0, 40_000, 7)
    log = RegisterLog(frames, np.full(len(frames), 0x4011), np.zeros(len(frames), dtype=np.uint8), 40_000)
    cycles = time_writes(log).cycles
    assert np.max(np.abs(cycles * 60 - frames * CPU_CLOCK_HZ)) <= 30


def test_the_second_pass_has_the_inner_timing_of_the_first() -> None:
    """Both passes of a loop are the same writes a constant number of cycles apart."""
    writes = time_writes(make_log([(frame, 0x4011, frame) for frame in range(9)], 9, (2, 9)), passes=2)
    assert np.array_equal(writes.cycles[9:] - writes.cycles[2:9], np.full(7, writes.marks[2] - writes.marks[1]))


def test_more_writes_than_fit_a_frame_stay_in_it() -> None:
    """A frame with too many writes squeezes them instead of running into the next frame."""
    log = make_log([(0, 0x4011, 1)] * 32_000 + [(1, 0x4011, 2)], 2)
    assert np.all(np.diff(time_writes(log).cycles) >= 0)


def test_unroll_repeats_the_loop() -> None:
    """The endless player's frames are intro, loop, loop, as far as asked."""
    log = make_log([(0, 0x4011, 10), (1, 0x4011, 11), (3, 0x4011, 13)], 4, (1, 4))
    out = unroll(log, 9)
    assert list(zip(out.frames.tolist(), out.values.tolist(), strict=True)) == [
        (0, 10), (1, 11), (3, 13), (4, 11), (6, 13), (7, 11),
    ]  # fmt: skip
    assert (out.n_frames, out.loop) == (9, None)


def test_unroll_refuses_no_frames() -> None:
    """Nothing to play is an error with the log's own sentence."""
    with pytest.raises(RegisterLogError, match="a register log lasts at least one frame, not 0"):
        unroll(make_log([], 1), 0)


@pytest.mark.parametrize("rate", [0.0, -60.0, float("nan"), float("inf")])
def test_an_impossible_frame_rate_is_refused(rate: float) -> None:
    """A frame rate that is no rate names the range."""
    log = RegisterLog(np.zeros(0, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.uint8), 5, None, rate)
    with pytest.raises(RegisterLogError, match="frame_rate_hz must be between"):
        time_writes(log)


@pytest.mark.parametrize("voice", ["P1", "P2", "TR"])
def test_every_pitch_survives_its_period(voice: str) -> None:
    """Pitch to timer period and back is the same pitch over the voice's whole range."""
    low, high = PITCH_RANGES[voice]
    assert [period_to_pitch(voice, pitch_to_period(voice, pitch)) for pitch in range(low, high + 1)] == list(
        range(low, high + 1)
    )


def test_period_pitches_is_the_table_of_period_to_pitch() -> None:
    """The table for arrays holds the single function's values."""
    assert period_pitches("TR")[507] == period_to_pitch("TR", 507)


def test_channel_frames_reads_the_state_of_each_frame() -> None:
    """Period, volume, duty, gate and mode are those written, frame by frame."""
    frames = channel_frames(make_log(SONG, 4))
    assert frames["P1"]["period"].tolist() == [0x1C, 0xFD, 0x1FD, 0x1FD]
    assert frames["P1"]["volume"].tolist() == [15, 11, 11, 11]
    assert frames["P1"]["duty"].tolist() == [1, 0, 0, 0]
    assert frames["P2"]["volume"].tolist() == [7, 2, 2, 2]
    assert frames["TR"]["on"].tolist() == [1, 1, 0, 0]
    assert frames["TR"]["period"].tolist() == [0x55] * 4
    assert frames["NO"]["period"].tolist() == [3, 4, 5, 5]
    assert frames["NO"]["mode"].tolist() == [0, 1, 0, 0]
    assert frames["NO"]["volume"].tolist() == [10, 10, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 2000)), min_size=1, max_size=8), st.integers(0, 31))
def test_a_closed_triangle_makes_whole_rounds(parts: list[tuple[int, int]], position: int) -> None:
    """After closing, the steps of the loop are a multiple of 32, evenly spread, never out of order, never out of place."""
    counts, periods = (np.array(column, dtype=np.int64) for column in zip(*parts, strict=True))
    lengths = counts * periods + periods  # one period more than the ticks need
    starts = np.cumsum(lengths) - lengths
    zeros = np.zeros(len(parts), dtype=np.int64)
    before = Segments(starts, starts + periods - 1, periods, counts, zeros, zeros, zeros + 1, end=int(lengths.sum()))
    after = close_triangle(before, position, limit_cents=1e9)
    total = int(after.counts.sum())
    assert total == int(counts.sum()) or total % 32 == 0
    assert abs(total - int(counts.sum())) <= 17
    assert after.positions[0] == position
    levels = levels_of(after, "TR")
    steps = levels.cycles[1:][np.diff(levels.levels) != 0]
    assert np.all(np.diff(steps) > 0)
    assert np.all((steps >= -2000) & (steps <= before.end))


def test_a_closed_triangle_takes_no_step_back() -> None:
    """Segments without a step before the loop's first whole step have none, and not one less, once the loop is closed."""
    starts, periods = np.array([0, 66, 72, 178_977]), np.array([960, 816, 48, 960])
    ticks, counts = np.array([785, 785, 785, 179_009]), np.array([0, 0, 3713, 94])
    zeros = np.zeros(4, dtype=np.int64)
    before = Segments(starts, ticks, periods, counts, zeros, zeros, zeros + 1, end=268_466)
    after = close_triangle(before, 0, limit_cents=1e9)
    assert after.counts.min() >= 0
    assert after.counts.sum() % 32 == 0


def test_a_triangle_that_would_go_out_of_tune_stays_open() -> None:
    """If closing costs more than the limit, periods and counts are left alone."""
    one = np.ones(1, dtype=np.int64)
    open_loop = Segments(one * 0, one * 0, one * 100, one * 47, one * 3, one * 0, one, end=4700)
    after = close_triangle(open_loop, 9, limit_cents=0.5)
    assert (after.counts[0], after.periods[0], after.positions[0]) == (47, 100, 9)
