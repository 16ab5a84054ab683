"""Rendering: whole samples, loops without a seam, one loudness, the same bytes."""

from __future__ import annotations

import hashlib
import importlib
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pieces import Write, loop_score, make_log
from strategies import scores

from nesasset.apu.chip import run
from nesasset.apu.filters import VOICINGS, apply
from nesasset.apu.mixer import TND_TRIM, mix, pulse_output, tnd_output
from nesasset.apu.oscillators import Levels, levels_of
from nesasset.apu.steps import LEAD, TAPS, add_steps
from nesasset.apu.stream import GAIN
from nesasset.apu.writes import time_writes, unroll
from nesasset.audio import Audio
from nesasset.driver import drive
from nesasset.errors import AudioError, OutputError, RegisterLogError
from nesasset.formats import sound_stream
from nesasset.formats.sound_stream import SoundStream
from nesasset.register_log import RegisterLog
from nesasset.render import STEM_GAIN, mix_stems, play_loops, render, render_stems, render_stream, stem_streams
from nesasset.score import HOLD, REST, Instrument, Note, Score

loops = importlib.import_module("nesasset.render.loop")
streams = importlib.import_module("nesasset.render.stream")

START: list[Write] = [(0, 0x4015, 0x0F), (0, 0x4017, 0x40), (0, 0x4001, 8), (0, 0x4005, 8)]


def periodic_log() -> RegisterLog:
    """Return a log whose loop is a whole number of rounds of all its oscillators.

    640 frames are 19 090 912 cycles: 29 102 periods of a pulse and 14 551 of a triangle of timer period 40.
    """
    writes = [*START, (0, 0x4008, 0xFF), (0, 0x400A, 40), (0, 0x400B, 8)]
    for frame in range(0, 640, 16):
        writes += [(frame, 0x4000, 0x70 | (frame // 16) % 13 + 3), (frame + 5, 0x4004, 0xB0 | (frame // 16) % 7)]
    writes += [(0, 0x4002, 40), (0, 0x4003, 8), (0, 0x4006, 40), (0, 0x4007, 8)]
    return make_log(sorted(writes, key=lambda write: write[0]), 640, (0, 640))


def largest_step(samples: NDArray[np.int16]) -> float:
    return float(np.abs(np.diff(samples.astype(np.float64))).max())


# Loops.


@pytest.mark.parametrize("voicing", sorted(VOICINGS))
def test_a_loop_joined_to_itself_is_the_music_played_on(voicing: str) -> None:
    """Where oscillators come round exactly, loop after loop equals passes rendered as one, within 1 of 32768."""
    log = periodic_log()
    body = render(log, voicing=voicing)
    played = render(unroll(log, 3 * 640 + 20), voicing=voicing)  # what follows rings into the end
    joined = np.tile(body.samples, 2).astype(int)
    assert np.abs(joined - played.samples[640 * 735 : 3 * 640 * 735].astype(int)).max() <= 1


def test_a_loop_is_the_plain_repetition_of_its_steps() -> None:
    """The circular loop equals the last of many plain repetitions of the same steps, one closing step included."""
    log = drive(loop_score(3, bars=1))
    body = render(log, channels=("P1", "P2", "NO"))
    writes = time_writes(log, passes=2)
    trace = run(writes)
    start, end = writes.marks[2:]
    n_samples, repeats = len(body.samples), 4
    buffer = np.zeros(n_samples * repeats + TAPS)
    before = {"P1": 0, "P2": 0, "TR": 0, "NO": 0, "DM": 0}
    for number in range(repeats):
        levels = {}
        for channel in before:
            found = levels_of(trace[channel], channel)
            kept = (found.cycles >= start) & (channel not in ("TR", "DM"))
            levels[channel] = Levels(found.cycles[kept], found.levels[kept])
        for steps in mix(levels, before):
            cycles = steps.cycles - start + number * (end - start)
            add_steps(buffer, cycles, steps.heights, n_samples / (end - start))
        before = {c: int(found.levels[-1]) if len(found.levels) else 0 for c, found in levels.items()}
    buffer[LEAD] += buffer[:LEAD].sum()
    sound = apply(buffer[LEAD : LEAD + repeats * n_samples], VOICINGS["famicom"], 44_100, circular=False)
    # The last repetition but one: the plain end lacks what rings into it from the next.
    expected = np.rint(sound[2 * n_samples : 3 * n_samples] * 1.4 * 32_768)
    assert np.abs(body.samples - expected).max() <= 1


def test_a_loop_goes_on_as_the_music_would() -> None:
    """Row by row, loop after loop is as loud as three passes rendered as one, within a twentieth of the loudest."""
    score = loop_score(5)
    log = drive(score)
    joined = play_loops(render(log, channels=("P1",)), 3, 0.0).samples
    played = render(unroll(log, 3 * score.n_frames), channels=("P1",)).samples
    rows = [np.sqrt(np.mean(part.astype(float).reshape(-1, 735 * 6) ** 2, axis=1)) for part in (joined, played)]
    assert np.abs(rows[0] - rows[1]).max() < 0.05 * rows[1].max()


@pytest.mark.parametrize("voicing", sorted(VOICINGS))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_step_at_the_seam_is_larger_than_inside(voicing: str, seed: int) -> None:
    """From the loop's last sample to its first the sound moves no further than it does between samples elsewhere."""
    audio = render(drive(loop_score(seed, bars=2, intro_bars=1)), voicing=voicing)
    assert audio.loop is not None
    start, length = audio.loop
    body = audio.samples[start : start + length]
    assert abs(int(body[0]) - int(body[-1])) <= largest_step(body)


@pytest.mark.parametrize("voicing", sorted(VOICINGS))
def test_the_intro_leads_into_the_loop(voicing: str) -> None:
    """Across the loop's start the intro runs on without a step larger than those of bar lines inside."""
    audio = render(drive(loop_score(4, bars=2, intro_bars=1)), voicing=voicing)
    assert audio.loop is not None
    start = audio.loop[0]
    assert abs(int(audio.samples[start]) - int(audio.samples[start - 1])) <= largest_step(audio.samples[:start])


def test_a_held_triangle_runs_through_the_seam() -> None:
    """A triangle that sounds over the seam of a long loop steps there no further than anywhere: its loop is closed."""
    writes = [*START, (0, 0x4008, 0xFF), (0, 0x400A, 0x35), (0, 0x400B, 0x09)]
    audio = render(make_log(writes, 1500, (600, 1500)))
    assert audio.loop is not None
    start, length = audio.loop
    body = audio.samples[start : start + length]
    around = np.concatenate([body[-400:], body[:400]])
    assert largest_step(around) <= largest_step(body) + 1
    assert largest_step(audio.samples[start - 400 : start + 400]) <= largest_step(body) + 60


def test_closing_the_triangle_stays_within_half_a_cent() -> None:
    """The pitch of a closed triangle differs by at most half a cent from that of an open one."""
    writes = [*START, (0, 0x4008, 0xFF), (0, 0x400A, 0x35), (0, 0x400B, 0x09)]
    spectrum = np.abs(np.fft.rfft(render(make_log(writes, 1800, (0, 1800))).samples.astype(float)))
    periods = int(np.argmax(spectrum))  # in the whole loop; a closed triangle makes a whole number of them
    fundamental = spectrum[periods]
    assert abs(1200 * np.log2(periods / (30 * 1_789_773 / (32 * 0x136)))) <= 0.5
    spectrum[::periods] = 0
    assert np.sqrt(np.sum(spectrum[: 30 * 20_000] ** 2)) < 3e-4 * fundamental  # else the seam is heard as a slip


@pytest.mark.parametrize(("rate", "samples"), [(44_100, 735), (48_000, 800)])
def test_frames_are_whole_samples(rate: int, samples: int) -> None:
    """At the two common rates the loop lies exactly on its frames."""
    score = loop_score(1, bars=1, intro_bars=1)
    audio = render(drive(score), rate)
    assert score.loop_frames is not None
    start, end = score.loop_frames
    assert (audio.loop, len(audio.samples)) == ((start * samples, (end - start) * samples), end * samples)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_051, 96_000])
def test_other_rates_round_to_whole_samples(rate: int) -> None:
    """At any rate the loop's ends are the samples nearest to its frames."""
    score = loop_score(1, bars=1, intro_bars=1)
    audio = render(drive(score), rate)
    assert score.loop_frames is not None and audio.loop is not None
    ends = [round(frame * rate / 60) for frame in score.loop_frames]
    assert audio.loop == (ends[0], ends[1] - ends[0])


@pytest.mark.parametrize("loop", [(0, 1), (1, 2), (0, 2)])
def test_the_shortest_loops_render(loop: tuple[int, int]) -> None:
    """A loop of one frame is shorter than what the filters remember, and still renders."""
    audio = render(make_log([*START, (0, 0x4000, 0xBF), (0, 0x4002, 99), (0, 0x4003, 8)], 2, loop))
    assert audio.loop == (735 * loop[0], 735 * (loop[1] - loop[0]))


def test_a_loop_shorter_than_the_kernel_renders() -> None:
    """At a frame rate of thousands a loop can be a few samples, which wrap round more than once."""
    log = RegisterLog(np.zeros(0, int), np.zeros(0, np.uint16), np.zeros(0, np.uint8), 9, (3, 7), 10_000.0)
    assert render(log, 8_000).loop == (2, 4)


def test_a_loop_of_no_sample_is_refused() -> None:
    """A loop that rounds to nothing says so."""
    log = RegisterLog(np.zeros(0, int), np.zeros(0, np.uint16), np.zeros(0, np.uint8), 9, (2, 3), 10_000.0)
    with pytest.raises(AudioError, match="lasts less than one sample at 8000 Hz"):
        render(log, 8_000)


def test_the_dmc_level_outlasts_the_seam() -> None:
    """A level that the DMC keeps over the seam is no jump there: the loop begins where its own end left it."""
    log = make_log([*START, (20, 0x4011, 100), (40, 0x4011, 100)], 90, (10, 90))
    audio = render(log, 8_000, "raw")
    assert not audio.samples[10 * 400 // 3 :].any()


# Long loops.


def any_log(seed: int, n_frames: int, loop: tuple[int, int] | None, **more) -> RegisterLog:
    """Return writes without sense to every register, with their own cycles if the seed is odd."""
    rng = np.random.default_rng(seed)
    count = 2 * n_frames
    frames = np.sort(rng.integers(0, n_frames, count))
    addresses = rng.choice([*range(0x4000, 0x4014), 0x4015, 0x4017], count).astype(np.uint16)
    cycles = np.sort(frames * 29_781 + rng.integers(0, 29_781, count)) if seed % 2 else None
    values = rng.integers(0, 256, count).astype(np.uint8)
    return RegisterLog(frames, addresses, values, n_frames, loop, cycles=cycles, memory=rng.bytes(500), **more)


def held_and_streamed(monkeypatch, log: RegisterLog, **settings) -> tuple[Audio, Audio]:
    held = render(log, 8_000, **settings)
    monkeypatch.setattr(loops, "HELD_LOOP_SAMPLES", 0)
    return held, render(log, 8_000, **settings)


LONG_LOOPS = {
    "music": lambda: drive(loop_score(3, bars=4, intro_bars=1)),
    "no intro": lambda: drive(loop_score(4, bars=4)),
    "anything": lambda: any_log(2, 400, (30, 380)),
    "anything with cycles": lambda: any_log(3, 400, (30, 400)),
    "a PAL console": lambda: any_log(4, 350, (1, 350), region="pal", frame_rate_hz=50.0),
    "a held triangle": lambda: make_log([*START, (0, 0x4008, 0xFF), (0, 0x400A, 0x35), (0, 0x400B, 9)], 900, (100, 900)),
}


@pytest.mark.parametrize("name", LONG_LOOPS)
def test_a_loop_made_in_pieces_is_the_loop_made_whole(name: str, monkeypatch) -> None:
    """The steady state found from a loop's ends gives the samples of the one found from all of it."""
    held, streamed = held_and_streamed(monkeypatch, LONG_LOOPS[name]())
    assert streamed.loop == held.loop
    assert np.array_equal(streamed.samples, held.samples)


@pytest.mark.parametrize("voicing", ["raw", "nes"])
def test_a_loop_made_in_pieces_has_every_voicing(voicing: str, monkeypatch) -> None:
    """Filters with a long memory and filters in a row come to the same steady state from the loop's end."""
    held, streamed = held_and_streamed(monkeypatch, drive(loop_score(6, bars=2, intro_bars=1)), voicing=voicing)
    assert np.array_equal(streamed.samples, held.samples)


def test_a_loop_made_in_pieces_has_single_channels(monkeypatch) -> None:
    """Stems of a long loop are those of a short one."""
    held, streamed = held_and_streamed(monkeypatch, drive(loop_score(7, bars=2, intro_bars=1)), channels=("TR",))
    assert np.array_equal(streamed.samples, held.samples)


@pytest.mark.parametrize("loop", [None, (0, 2400), (1200, 2400)])
def test_a_stream_comes_in_small_blocks(loop: tuple[int, int] | None, monkeypatch) -> None:
    """However long a log is, no block holds more than ten seconds, and together they are as long as the log."""
    monkeypatch.setattr(loops, "HELD_LOOP_SAMPLES", 0)
    stream = render_stream(make_log([*START, (0, 0x4000, 0xBF), (0, 0x4003, 8)], 2400, loop), 8_000)
    sizes = [len(block) for block in stream.blocks()]
    assert sum(sizes) == stream.n_samples == 320_000
    assert max(sizes) <= 80_000


@pytest.mark.parametrize("looping", [False, True])
def test_memory_does_not_grow_with_the_length(looping: bool, monkeypatch) -> None:
    """Twice as long a sound takes no more memory to make."""
    monkeypatch.setattr(loops, "HELD_LOOP_SAMPLES", 0)
    monkeypatch.setattr(streams, "_PIECE_S", 1)
    peaks = []
    for n_frames in (600, 1200):
        log = make_log([*START, (0, 0x4000, 0xBF), (0, 0x4003, 8)], n_frames, (0, n_frames) if looping else None)
        tracemalloc.start()
        for _ in render_stream(log, 8_000).blocks():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_a_stream_can_be_made_again() -> None:
    """Asking twice for the blocks gives the same sound twice."""
    stream = render_stream(drive(loop_score(1, bars=1, intro_bars=1)), 8_000)
    assert np.array_equal(sound_stream.hold(stream).samples, sound_stream.hold(stream).samples)


# Stems.


def linear_mix(log: RegisterLog, rate: int) -> NDArray[np.float64]:
    """Return what the stems add up to before any rounding: every channel's own curve, all steps in one buffer."""
    trace = run(time_writes(log))
    curves = {
        "P1": lambda level: pulse_output(level, 0),
        "P2": lambda level: pulse_output(0, level),
        "TR": lambda level: TND_TRIM * tnd_output(level / 2, 0, 0),
        "NO": lambda level: TND_TRIM * tnd_output(0, level, 0),
    }
    n_samples = round(log.n_frames * rate / 60)
    buffer = np.zeros(n_samples + 2 * TAPS)
    for channel, curve in curves.items():
        found = levels_of(trace[channel], channel)
        outputs = np.rint(np.array([curve(level) for level in found.levels.tolist()]) * 2**20).astype(np.int64)
        rest = round(curve(30) * 2**20) if channel == "TR" else 0
        add_steps(buffer, found.cycles, np.diff(outputs, prepend=rest), rate / 1_789_773)
    buffer[LEAD] += buffer[:LEAD].sum()
    return apply(buffer[LEAD : LEAD + n_samples], VOICINGS["famicom"], rate, circular=False) * GAIN * 32_768 * STEM_GAIN


def test_the_sum_of_the_stems_is_a_linear_mix() -> None:
    """Stems add up to a mixer in which no channel weakens another, within half a step of 16 bits for each stem."""
    score = drive(loop_score(3, bars=1))
    # A frame of silence first: what rings before the first sample is none of this test's business.
    log = replace(score, frames=score.frames + 1, n_frames=score.n_frames + 1, loop=None)
    stems = render_stems(log, 16_000)
    assert np.abs(mix_stems(stems).samples - linear_mix(log, 16_000)).max() <= len(stems) / 2 + 1e-3


def test_stems_are_aligned_and_loop_alike() -> None:
    """Every stem has length, rate and loop of the piece; the DMC has one only where a log writes to it."""
    log = drive(loop_score(2, bars=1, intro_bars=1))
    whole, stems = render(log, 8_000), render_stems(log, 8_000)
    assert list(stems) == ["P1", "P2", "TR", "NO"]
    assert {(len(stem.samples), stem.loop, stem.sample_rate_hz) for stem in stems.values()} == {
        (len(whole.samples), whole.loop, 8_000)
    }
    assert list(stem_streams(make_log([*START, (1, 0x4011, 9)], 2))) == ["P1", "P2", "TR", "NO", "DM"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_stems_mix_is_about_as_loud_as_the_chips(seed: int) -> None:
    """The linear mix is quieter than the chip's by less than 1.2 dB, and never louder."""
    log = drive(loop_score(seed, bars=1))
    loud, linear = (float(np.std(audio.samples)) for audio in (render(log, 16_000), mix_stems(render_stems(log, 16_000))))
    assert -1.2 < 20 * np.log10(linear / loud) <= 0


def test_four_full_stems_do_not_clip() -> None:
    """Four voices at full volume add up to no more than the chip's mixer makes of them."""
    writes = [*START, (0, 0x4008, 0xFF), (0, 0x400A, 0xFF), (0, 0x400B, 9)]
    for frame in range(0, 40, 4):
        writes += [(frame, a, 0xBF) for a in (0x4000, 0x4004, 0x400C)] + [(frame, 0x400E, 9), (frame, 0x400F, 8)]
        writes += [(frame, a, 0xFE) for a in (0x4002, 0x4006)] + [(frame, a, 8) for a in (0x4003, 0x4007)]
    peak = int(np.abs(mix_stems(render_stems(make_log(writes, 40))).samples.astype(int)).max())
    assert 0.4 * 32_767 < peak < 32_767


def test_sums_beyond_16_bits_are_cut_off() -> None:
    """Stems made too loud do not turn over where they are added."""
    parts = [np.array([30_000, -30_000], dtype=np.int16)] * 2
    assert sound_stream.sum_blocks(parts).tolist() == [32_767, -32_768]


# Loudness.


@pytest.mark.parametrize("voicing", sorted(VOICINGS))
def test_four_full_voices_do_not_clip(voicing: str) -> None:
    """All voices at full volume, struck together again and again, stay below full scale and use most of it."""
    loud = (
        Instrument("pulse", (15, 15, 15, 15, 15, 0), duty=2),
        Instrument("triangle", (1, 1, 1, 1, 1, 0)),
        Instrument("noise", (15, 15, 15, 15, 15, 0), period=12),
    )
    pitches = [33 + 7 * step % 40 for step in range(32)]
    voices = {
        "P1": tuple(Note(0, pitch) for pitch in pitches),
        "P2": tuple(Note(0, pitch) for pitch in pitches),
        "TR": tuple(Note(1, pitch) for pitch in pitches),
        "NO": tuple(Note(2) for _ in pitches),
    }
    peak = int(np.abs(render(drive(Score(voices, loud, groove=(9,))), voicing=voicing).samples.astype(int)).max())
    assert 0.4 * 32_767 < peak < 32_767


def test_any_jump_over_the_four_voices_range_stays_below_full_scale() -> None:
    """The bound behind the gain: the largest jump that four voices can make, band-limited and filtered, does not clip."""
    from nesasset.apu.mixer import mixed_level
    from nesasset.apu.stream import GAIN

    top = mixed_level({"P1": 15, "P2": 15, "TR": 30, "NO": 15, "DM": 0})
    buffer = np.zeros(4000 + TAPS)
    add_steps(buffer, np.array([100.3, 1000.3, 1900.7]), np.array([top, -top, top]), 1.0)
    for voicing in VOICINGS.values():
        sound = apply(buffer[LEAD : LEAD + 4000].copy(), voicing, 44_100, circular=False)
        assert np.abs(sound).max() * GAIN < 1


def test_gain_scales_and_saturates() -> None:
    """Half the gain is half the sound; too much is cut off at 16 bits instead of turning over."""
    log = drive(loop_score(2, bars=1))
    normal, half, much = (render(log, gain=gain).samples.astype(float) for gain in (1.0, 0.5, 16.0))
    assert np.abs(normal / 2 - half).max() <= 1
    assert (much.max(), much.min()) == (32_767, -32_768)


def test_a_track_begins_in_silence() -> None:
    """The triangle's resting level is no thump: a log that plays nothing renders to nothing."""
    assert not render(make_log(START, 60)).samples.any()


def test_stems_play_only_their_channel() -> None:
    """A stem of a channel that has nothing to play is silent, and one that has is not."""
    log = make_log([*START, (0, 0x4000, 0xBF), (0, 0x4002, 99), (0, 0x4003, 8)], 30)
    assert render(log, channels=("P1",)).samples.any()
    assert not render(log, channels=("P2", "TR", "NO", "DM")).samples.any()


# The promise of equal bytes.


def small_score() -> Score:
    """Return four bars that nothing else depends on: all voices, both noise modes, an intro, a delay."""
    voices = {
        "P1": tuple(Note(0, 69 + step * 5 % 12) for step in range(16)),
        "P2": tuple(Note(0, 57) if step % 3 == 0 else HOLD for step in range(16)),
        "TR": tuple(Note(1, 45 - step % 5) if step % 2 else REST for step in range(16)),
        "NO": tuple(Note(2 + step % 2) for step in range(16)),
    }
    instruments = (
        Instrument("pulse", (12, 9, 7, 5), duty=1),
        Instrument("triangle"),
        Instrument("noise", (9, 4, 0), period=4),
        Instrument("noise", (7, 0), period=6, mode=1),
    )
    return Score(voices, instruments, groove=(5, 6), bar_rows=4, loop=(4, 16), delays={"P2": 2})


def test_rendering_twice_gives_the_same_bytes() -> None:
    """The same log gives the same samples, whatever was rendered before."""
    log = drive(loop_score(7, bars=2, intro_bars=1))
    first = render(log).samples.tobytes()
    render(drive(loop_score(8, bars=1)), 48_000, "nes")
    assert render(log).samples.tobytes() == first


@pytest.mark.parametrize("voicing", sorted(VOICINGS))
def test_a_piece_has_its_known_bytes(voicing: str) -> None:
    """One small piece renders to the same bytes on every machine; a change of sound shows here and is a decision."""
    audio = render(drive(small_score()), 22_050, voicing)
    assert hashlib.sha256(audio.samples.astype("<i2").tobytes()).hexdigest()[:16] == KNOWN[voicing]


KNOWN = {"raw": "2dcf6538d0970b4b", "famicom": "0a9fc3383188639f", "nes": "f0b6b6c564c692ee"}


@settings(max_examples=25, deadline=None)
@given(scores(max_rows=8, max_row_frames=6, provenance=False))
def test_any_score_renders(score: Score) -> None:
    """Any valid score drives to a valid log and renders to audio of the right length and loop."""
    log = drive(score)
    audio = render(log, 8_000)
    assert len(audio.samples) == round(log.n_frames * 8_000 / 60)
    assert (audio.loop is None) == (score.loop is None)


addresses_of_any_log = [*range(0x4000, 0x4014), 0x4015, 0x4017]


@pytest.mark.parametrize("seed", range(4))
def test_any_log_renders(seed: int) -> None:
    """Writes without sense, with and without a loop, give audio and no other error."""
    rng = np.random.default_rng(seed)
    count = 400
    log = RegisterLog(
        np.sort(rng.integers(0, 30, count)),
        rng.choice(addresses_of_any_log, count).astype(np.uint16),
        rng.integers(0, 256, count).astype(np.uint8),
        30,
        (int(rng.integers(0, 15)), 30) if seed % 2 else None,
    )
    assert len(render(log, 11_025).samples) == round(30 * 11_025 / 60)


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sample_rate_hz": 7_999}, "sample_rate_hz must be between 8000 and 96000, not 7999"),
        ({"sample_rate_hz": 44_100.0}, "sample_rate_hz must be between 8000 and 96000, not 44100.0"),
        ({"voicing": "famicon"}, "voicing must be one of raw, famicom, nes, not 'famicon', did you mean famicom?"),
        ({"gain": 0}, "gain must be above 0 and at most 16, not 0"),
        ({"gain": float("nan")}, "gain must be above 0 and at most 16, not nan"),
        ({"channels": ()}, "channels must be some of P1, P2, TR, NO, DM, not none"),
        ({"channels": ("P1", "VRC6")}, "channels must be some of P1, P2, TR, NO, DM, not P1, VRC6"),
    ],
)
def test_a_bad_argument_is_named(arguments: dict, sentence: str) -> None:
    """Each argument out of range gives one sentence with the value and what is allowed."""
    with pytest.raises(AudioError) as caught:
        render(make_log(START, 2), **arguments)
    assert str(caught.value) == sentence


def test_a_log_of_days_is_refused() -> None:
    """A log too long to hold in memory is refused before any work is done."""
    log = RegisterLog(np.zeros(0, int), np.zeros(0, np.uint16), np.zeros(0, np.uint8), 10**15)
    with pytest.raises(AudioError, match=r"the log lasts \d+ s, at most 3043 s can be rendered at 44100 Hz"):
        render(log)


@pytest.mark.parametrize("rate", [0.0, float("nan"), 1e9])
def test_an_impossible_frame_rate_is_refused(rate: float) -> None:
    """A log with a frame rate that is none is refused as a log."""
    with pytest.raises(RegisterLogError, match="frame_rate_hz must be between"):
        render(replace(make_log(START, 2), frame_rate_hz=rate))


# Playing a loop out.


def counted(loop: tuple[int, int] | None = (10, 100)) -> Audio:
    return Audio(np.arange(1, 111, dtype=np.int16) * 100, 8_000, loop)


def test_play_loops_repeats_and_fades() -> None:
    """Intro, three passes, and a fade over the loop going on."""
    out = play_loops(counted(), 3, 0.01)
    assert len(out.samples) == 10 + 300 + 80
    assert out.samples[309] == out.samples[109] == 11_000
    assert out.samples[310] == 1_100  # the fade begins at full loudness
    assert 0 <= out.samples[-1] < 10
    assert out.loop is None


def test_play_loops_without_a_fade_ends_on_the_seam() -> None:
    """With no fade the sound ends with the last pass."""
    assert len(play_loops(counted(), 2, 0.0).samples) == 210


def test_play_loops_returns_a_sound_that_ends_as_it_is() -> None:
    """A sound without a loop has nothing to repeat."""
    audio = counted(None)
    assert play_loops(audio, 5, 1.0) is audio


@pytest.mark.parametrize(
    ("loops", "fade_s", "sentence"),
    [
        (0, 1.0, "loops must be between 1 and 1000, not 0"),
        (True, 1.0, "loops must be between 1 and 1000, not True"),
        (2, -1.0, "fade_s must be between 0 and 60, not -1.0"),
        (2, float("nan"), "fade_s must be between 0 and 60, not nan"),
    ],
)
def test_play_loops_names_a_bad_argument(loops: int, fade_s: float, sentence: str) -> None:
    """Counts and times out of range are named."""
    with pytest.raises(AudioError) as caught:
        play_loops(counted(), loops, fade_s)
    assert str(caught.value) == sentence


@settings(max_examples=40)
@given(
    st.integers(0, 30),
    st.integers(1, 40),
    st.integers(1, 30),
    st.integers(0, 100),
    st.lists(st.integers(1, 25), min_size=1, max_size=5),
)
def test_playing_out_a_stream_is_plain_repetition(start: int, length: int, loops: int, fade: int, sizes: list[int]) -> None:
    """Blocks of any size, played out, are the samples that plain indexing gives, faded by the same curve."""
    samples = np.random.default_rng(start).integers(-32_768, 32_768, start + length + 3).astype(np.int16)

    def blocks() -> Iterator[NDArray[np.int16]]:
        at = turn = 0
        while at < len(samples):
            yield samples[at : at + sizes[turn % len(sizes)]]
            at, turn = at + sizes[turn % len(sizes)], turn + 1

    stream = SoundStream(len(samples), 8_000, (start, length), blocks)
    out = sound_stream.hold(sound_stream.play_out(stream, loops, fade / 8_000)).samples
    at = np.arange(start + loops * length + fade)
    expected = samples[np.where(at < start, at, start + (at - start) % length)].astype(float)
    if fade:
        expected[-fade:] *= (np.arange(fade, 0, -1) / fade) ** 2
    assert np.array_equal(out, np.rint(expected))


def test_a_loop_played_a_thousand_times_is_made_once(monkeypatch) -> None:
    """Later passes are copies from a temporary file, not made and not held again."""
    monkeypatch.setattr(sound_stream, "_SPOOL_BYTES", 100)
    made = []

    def blocks() -> Iterator[NDArray[np.int16]]:
        made.append(1)
        yield counted().samples

    out = sound_stream.play_out(SoundStream(110, 8_000, (10, 100), blocks), 1000, 0.0)
    played = list(out.blocks())
    assert made == [1]
    assert sum(map(len, played)) == out.n_samples == 100_010
    assert np.array_equal(played[-1], counted().samples[10:])


def test_a_full_disk_under_the_loop_is_one_sentence(monkeypatch) -> None:
    """Where the loop cannot be kept for its later passes, a sentence says so."""

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sound_stream.tempfile, "SpooledTemporaryFile", full)
    with pytest.raises(OutputError, match="cannot keep the loop in a temporary file: No space left on device; free"):
        play_loops(counted(), 2, 0.0)


def test_too_many_loops_are_refused() -> None:
    """A sound of more than 27 hours is refused before anything is made."""
    with pytest.raises(AudioError, match="5000000000 samples are too many, at most 4294967296: ask for fewer loops"):
        sound_stream.play_out(SoundStream(5_000_000, 8_000, (0, 5_000_000), lambda: iter(())), 1000, 0.0)


def test_more_than_can_be_held_is_streamed_or_refused(monkeypatch) -> None:
    """A sound too long for memory is refused as `Audio` and named as a stream's affair."""
    monkeypatch.setattr(streams, "MAX_HELD_SAMPLES", 1000)
    monkeypatch.setattr(sound_stream, "MAX_HELD_SAMPLES", 1000)
    log = make_log(START, 60)
    with pytest.raises(AudioError, match="the log lasts 1 s, at most 0 s can be rendered at 8000 Hz and held; render_stream"):
        render(log, 8_000)
    with pytest.raises(AudioError, match="at most 1000 samples can be held, not 8000: write them as they come"):
        sound_stream.hold(render_stream(log, 8_000))
    with pytest.raises(AudioError, match="1110 samples are too many, at most 1000: ask for fewer loops"):
        play_loops(counted(), 11, 0.0)
