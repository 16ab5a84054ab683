"""Rendering: plays a register log through the 2A03 and returns sound, its loop in samples. Holds no chip.

The promise: the same log gives the same bytes, on every run and every machine, with the compiled hot path and without.
What keeps it: the control pass is integer arithmetic; steps are added exactly, in any order; the filters are float64
additions and multiplications in an order of their own; everything that comes from a sine or an exponential is rounded
to a coarse grid before it is used; samples are rounded to 16 bits at the end.

How a loop is made. The chip plays intro, loop, and the loop once more. The loop in the file is that second pass, in
its steady state: what rings over its end rings into its start, the jump from its last level to its first is a
band-limited step like any other, and the filters are those of a loop that has been going on for ever. The triangle,
whose sequencer nothing restarts, is brought round to where it began by a change of pitch of half a cent at most.

Sound is made in blocks, so that a log of ten hours needs no more memory than one of a minute. A long loop's steady
state is found by playing its ends first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu import filters, synthesis
from nesasset.apu.chip import CHANNELS, Segments, power_on
from nesasset.apu.filters import VOICINGS, Voicing
from nesasset.apu.mixer import TND_TRIM, pulse_output, tnd_output
from nesasset.apu.oscillators import close_triangle, cut
from nesasset.apu.steps import LEAD, TAPS, add_steps
from nesasset.apu.stream import DEFAULT_VOICING, LATENCY, Player, check_settings, to_16_bits
from nesasset.apu.tables import CONSOLES, TRIANGLE_SEQUENCE
from nesasset.apu.writes import Writes, cut_frames, frame_cycles, write_cycles
from nesasset.audio import Audio
from nesasset.errors import AudioError
from nesasset.formats import sound_stream
from nesasset.formats.sound_stream import MAX_HELD_SAMPLES, MAX_SAMPLES, Block, SoundStream
from nesasset.register_log import RegisterLog

Samples = NDArray[np.float64]

WINDOW_CYCLES: Final = 1 << 20  # about 0.6 s: how much is turned from segments into samples at a time
HELD_LOOP_SAMPLES: Final = 1 << 22  # 95 s at 44.1 kHz, 32 MiB: a longer loop is played in pieces
CLOSING_LIMIT_CENTS: Final = 0.5
LEAD_IN_S: Final = 0.05  # over which an intro's end takes on the filters' state at the loop's start
_PIECE_S: Final = 10  # of a log without a loop: how much of it is looked at at a time
_CHUNK_WRITES: Final = 1 << 16  # of a log with one
_REACH: Final = 4096  # samples by which a closed triangle's step may lie before its window, and far more

STEM_GAIN: Final = (pulse_output(15, 15) + TND_TRIM * tnd_output(15, 15, 0)) / (
    2 * pulse_output(15, 0) + TND_TRIM * (tnd_output(15, 0, 0) + tnd_output(0, 15, 0))
)
"""Factor on stems, -1.1 dB: four voices at full volume, added, are then as high as the chip's mixer makes them."""


def render(
    log: RegisterLog,
    sample_rate_hz: int = 44_100,
    voicing: str = DEFAULT_VOICING,
    gain: float = 1.0,
    channels: Collection[str] = CHANNELS,
) -> Audio:
    """Play a register log through the 2A03.

    Args:
        log: The log; its loop, if it has one, becomes the audio's, and what stands after the loop's end is not heard.
        sample_rate_hz: Output rate, 8000 to 96000. At 44100 and 48000 every frame of a 60 Hz log is a whole number of
            samples; at other rates the length and the loop are rounded to whole samples.
        voicing: 'raw' (nothing but the constant part removed), 'famicom' (37 Hz high-pass) or 'nes' (90 Hz and
            440 Hz high-pass, 14 kHz low-pass).
        gain: Factor on the loudness, above 0 to 16. At 1 the four voices never clip; above, and with a log that
            writes the DMC's level, samples beyond 16 bits are cut off.
        channels: What to play, of P1, P2, TR, NO and DM. The chip's mixer is not linear, so single channels do not add
            up to the whole; `render_stems` makes stems that do.

    Returns:
        Mono audio of one pass, intro and loop.

    Raises:
        AudioError: An argument is out of range, or the sound would be too long to hold; see `render_stream`.
        RegisterLogError: The log's frame rate is out of range.
    """
    check_settings(sample_rate_hz, voicing, gain, channels)
    _check_length(log, sample_rate_hz, MAX_HELD_SAMPLES)
    return sound_stream.hold(render_stream(log, sample_rate_hz, voicing, gain, channels))


def render_stream(
    log: RegisterLog,
    sample_rate_hz: int = 44_100,
    voicing: str = DEFAULT_VOICING,
    gain: float = 1.0,
    channels: Collection[str] = CHANNELS,
) -> SoundStream:
    """Return the sound of `render`, the same samples, made block by block when it is asked for.

    Its memory does not grow with the length: a ten-hour log needs some hundred MiB beside its own arrays.

    Args:
        log: As for `render`.
        sample_rate_hz: As for `render`.
        voicing: As for `render`.
        gain: As for `render`.
        channels: As for `render`.

    Raises:
        AudioError: An argument is out of range, or the sound would have more than 2**32 samples, 27 hours at 44.1 kHz.
        RegisterLogError: The log's frame rate is out of range.
    """
    check_settings(sample_rate_hz, voicing, gain, channels)
    _check_length(log, sample_rate_hz, MAX_SAMPLES)
    if log.loop is None:
        player = partial(Player, sample_rate_hz, voicing, gain, channels, log.region, log.frame_rate_hz)
        n_samples = _sample(log, log.n_frames, sample_rate_hz)
        return SoundStream(n_samples, sample_rate_hz, None, lambda: _play_once(log, player()))
    start, end = (_sample(log, frame, sample_rate_hz) for frame in log.loop)
    if start == end:
        raise AudioError(f"the loop of {log.loop} lasts less than one sample at {sample_rate_hz} Hz: make it longer")
    looping = _Looping(log, start, end - start, VOICINGS[voicing], sample_rate_hz, frozenset(channels))

    def blocks() -> Iterator[Block]:
        for sound in _play_loop(looping):
            yield to_16_bits(sound, gain)

    return SoundStream(end, sample_rate_hz, (start, end - start), blocks)


def play_loops(audio: Audio, loops: int, fade_s: float) -> Audio:
    """Return a sound that ends: the intro, a number of passes, and a fade-out over the loop going on.

    Args:
        audio: A sound; one without a loop is returned as it is, for it ends by itself.
        loops: How often the loop is heard before the fade, 1 to 1000.
        fade_s: Length of the fade-out in seconds, 0 to 60.

    Returns:
        The sound, without a loop. `sound_stream.play_out` makes the same as a stream.

    Raises:
        AudioError: An argument is out of range, or the sound would be too long to hold.
    """
    played = sound_stream.play_out(sound_stream.of(audio), loops, fade_s)
    if audio.loop is None:
        return audio
    if played.n_samples > MAX_HELD_SAMPLES:
        raise AudioError(f"{played.n_samples} samples are too many, at most {MAX_HELD_SAMPLES}: ask for fewer loops")
    return sound_stream.hold(played)


# Stems.


def stem_channels(log: RegisterLog) -> tuple[str, ...]:
    """Return which channels a log's stems are: the four voices, and DM if the log writes to it."""
    writes_dmc = bool(np.any((log.addresses >= 0x4010) & (log.addresses <= 0x4013)))
    return tuple(name for name in CHANNELS if name != "DM" or writes_dmc)


def stem_streams(
    log: RegisterLog, sample_rate_hz: int = 44_100, voicing: str = DEFAULT_VOICING, gain: float = 1.0
) -> dict[str, SoundStream]:
    """Return each voice alone, as streams that keep step: `sound_stream.add_up` of them is the music, to the last bit.

    Each channel has the curve that the chip's mixer gives it alone (NESdev wiki, "APU Mixer"), and channels do not
    weaken each other, which no sum of files could do. `STEM_GAIN` makes up for that: four voices never clip, and a
    piece is about as loud as through the chip's own mixer.

    Args:
        log: As for `render`.
        sample_rate_hz: As for `render`.
        voicing: As for `render`; the filters are linear, so they may come before the sum.
        gain: As for `render`.

    Returns:
        P1, P2, TR and NO, and DM if the log writes to it, of one length and with one loop.

    Raises:
        AudioError: As `render_stream`.
        RegisterLogError: The log's frame rate is out of range.
    """
    check_settings(sample_rate_hz, voicing, gain, CHANNELS)
    return {
        name: render_stream(log, sample_rate_hz, voicing, gain * STEM_GAIN, (name,)) for name in stem_channels(log)
    }


def render_stems(
    log: RegisterLog, sample_rate_hz: int = 44_100, voicing: str = DEFAULT_VOICING, gain: float = 1.0
) -> dict[str, Audio]:
    """Return each voice of a log alone, held; see `stem_streams`. Their sum is the music: `mix_stems`.

    Raises:
        AudioError: As `render`.
        RegisterLogError: The log's frame rate is out of range.
    """
    check_settings(sample_rate_hz, voicing, gain, CHANNELS)
    _check_length(log, sample_rate_hz, MAX_HELD_SAMPLES)
    streams = stem_streams(log, sample_rate_hz, voicing, gain)
    return {name: sound_stream.hold(stream) for name, stream in streams.items()}


def mix_stems(stems: Mapping[str, Audio]) -> Audio:
    """Return the sum of stems, sample by sample; sums beyond 16 bits are cut off, which four voices never reach."""
    first = next(iter(stems.values()))
    samples = sound_stream.sum_blocks([stem.samples for stem in stems.values()])
    return Audio(samples, first.sample_rate_hz, first.loop)


# Times.


def _check_length(log: RegisterLog, sample_rate_hz: int, max_samples: int) -> None:
    frame_cycles(0, log.frame_rate_hz)  # raises if the rate is out of range
    seconds = log.n_frames / log.frame_rate_hz
    if seconds * sample_rate_hz > max_samples:
        longest = max_samples // sample_rate_hz
        advice = " and held; render_stream makes it block by block" if max_samples < MAX_SAMPLES else ""
        raise AudioError(
            f"the log lasts {seconds:.0f} s, at most {longest} s can be rendered at {sample_rate_hz} Hz{advice}"
        )


def _sample(log: RegisterLog, frame: int, sample_rate_hz: int) -> int:
    """Return the sample at which a frame begins: exact where that is whole, else the nearest."""
    return round(frame * sample_rate_hz / log.frame_rate_hz)


def _play_once(log: RegisterLog, player: Player) -> Iterator[Block]:
    """Yield the sound of a log that ends, and nothing after it."""
    late = LATENCY
    piece = max(1, round(_PIECE_S * log.frame_rate_hz))
    for first in range(0, log.n_frames, piece):
        samples = player.play(cut_frames(log, first, min(log.n_frames, first + piece)))
        yield samples[late:]
        late = max(0, late - len(samples))
    yield player.flush()[late:]


# The chip over a log with a loop, window by window.


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """What the oscillators do over a stretch of time."""

    start: int
    """First CPU cycle since the log's start."""
    end: int
    segments: Mapping[str, Segments]
    """Of every channel, in CPU cycles since the log's start."""


def _timed(log: RegisterLog, first_frame: int, last_frame: int) -> Iterator[tuple[NDArray[np.int64], slice]]:
    """Yield the cycles of the writes in frames [first, last) and where in the log they stand, some at a time."""
    at, upper = (int(edge) for edge in np.searchsorted(log.frames, (first_frame, last_frame)))
    while at < upper:
        end = min(upper, at + _CHUNK_WRITES)
        if end < upper:  # when a write happens may depend on the others of its frame
            end = int(np.searchsorted(log.frames, log.frames[end - 1], side="right"))
        chunk = slice(at, end)
        cycles = None if log.cycles is None else log.cycles[chunk]
        some = replace(
            log, frames=log.frames[chunk], addresses=log.addresses[chunk], values=log.values[chunk], cycles=cycles
        )
        yield write_cycles(some), chunk
        at = end


def _run(
    log: RegisterLog, state: NDArray[np.int64], first_frame: int, last_frame: int, marks: tuple[int, ...], late: int
) -> Iterator[_Window]:
    """Run a chip over the frames [first, last) of a log, from its first mark to its last.

    Args:
        log: The log.
        state: The chip's, changed in place.
        first_frame: First frame whose writes happen.
        last_frame: The frame after the last one.
        marks: CPU cycles at which a window begins or the last one ends.
        late: CPU cycles by which all happens later than the log says: 0, or a pass of the loop.
    """
    chunks = _timed(log, first_frame, last_frame)
    cycles, addresses, values = np.empty(0, dtype=np.int64), log.addresses[:0], log.values[:0]
    for start, end in _edges(marks):
        while not len(cycles) or cycles[-1] < end:
            more = next(chunks, None)
            if more is None:
                break
            cycles = np.concatenate([cycles, more[0]])
            addresses = np.concatenate([addresses, log.addresses[more[1]]])
            values = np.concatenate([values, log.values[more[1]]])
        count = int(np.searchsorted(cycles, end))
        now = (cycles[:count] - start, addresses[:count], values[:count])
        cycles, addresses, values = cycles[count:], addresses[count:], values[count:]
        segments = synthesis.advance(state, Writes(*now, (0, end - start), log.region, log.memory))
        yield _Window(
            start + late, end + late, {name: _later(segments[name], start + late) for name in CHANNELS}
        )


def _edges(marks: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield first and last cycle of windows: every WINDOW_CYCLES from each mark."""
    for first, last in pairwise(marks):
        for start in range(first, last, WINDOW_CYCLES):
            yield start, min(last, start + WINDOW_CYCLES)


def _later(segments: Segments, cycles: int) -> Segments:
    return replace(
        segments,
        starts=segments.starts + cycles,
        first_ticks=segments.first_ticks + cycles,
        end=segments.end + cycles,
    )


@dataclass(frozen=True, slots=True)
class _Closing:
    """How the triangle of a loop is brought round: what `close_triangle` finds out and does, for windows."""

    position: int
    """Where the sequencer stands at the loop's start."""
    moved: int
    """What the chip's own positions lack to that; counts only where the loop stays open."""
    head: float
    """What part of a step is past at the loop's start."""
    scale: float
    """New steps for each old one; 0 where the loop stays open."""
    wanted: int
    """New steps in all."""


def _closing(windows: Iterator[_Window], position: int) -> _Closing:
    """Look through the windows of a pass and return how to close its triangle."""
    first = next(windows)
    triangle = first.segments["TR"]
    moved = position - int(triangle.positions[0])
    head, passed = _elapsed(triangle, 0, int(triangle.starts[0]), 0), int(triangle.counts.sum())
    for window in windows:
        triangle = window.segments["TR"]
        passed += int(triangle.counts.sum())
    rounds = len(TRIANGLE_SEQUENCE)
    advance = float(passed) + _elapsed(triangle, -1, triangle.end, int(triangle.counts[-1])) - head
    wanted = round(advance / rounds) * rounds
    if wanted <= 0 or abs(1200 * math.log2(wanted / advance)) > CLOSING_LIMIT_CENTS:
        return _Closing(position, moved, head, 0.0, 0)
    return _Closing(position, moved, head, wanted / advance, wanted)


def _elapsed(triangle: Segments, which: int, cycle: int, ticks: int) -> float:
    """Return what part of a triangle's step is past at a cycle, a number of ticks into a segment; 0 if it stands still."""
    if not triangle.amplitudes[which]:
        return 0.0
    due = triangle.first_ticks[which] + ticks * triangle.periods[which]
    return min(1.0, max(0.0, 1.0 - float(due - cycle) / float(triangle.periods[which])))


def _closed(windows: Iterator[_Window], closing: _Closing, end: int) -> Iterator[_Window]:
    """Yield the windows of a pass that ends at a cycle, their triangle closed; see `close_triangle` for the sums."""
    rounds = len(TRIANGLE_SEQUENCE)
    before = 0  # steps before the window
    for window in windows:
        old = window.segments["TR"]
        if not closing.scale:
            new = replace(old, positions=(old.positions + closing.moved) % rounds)
        else:
            passed = before + np.concatenate([[0], np.cumsum(old.counts)])
            then = np.floor(closing.head + (passed - closing.head) * closing.scale).astype(np.int64)
            np.clip(then, 0, closing.wanted, out=then)
            if not before:
                then[0] = 0
            if window.end == end:
                then[-1] = closing.wanted
            first_counts = closing.head + (then[:-1] + 1 - closing.head) / closing.scale
            new = replace(
                old,
                first_ticks=old.first_ticks + (first_counts - passed[:-1] - 1) * old.periods,
                periods=old.periods / closing.scale,
                counts=np.diff(then),
                positions=(closing.position + then[:-1]) % rounds,
            )
            before = int(passed[-1])
        yield replace(window, segments={**window.segments, "TR": new})


# From windows to samples. Entries are differences of samples as `add_steps` counts them, LEAD before their samples.


@dataclass(frozen=True, slots=True, eq=False)
class _Looping:
    """A log with a loop, and how it is to sound."""

    log: RegisterLog
    start: int
    """First sample of the loop."""
    length: int
    """Its length in samples."""
    voicing: Voicing
    sample_rate_hz: int
    channels: frozenset[str]

    def add(self, buffer: Samples, window: _Window, levels: NDArray[np.int64], scale: float, base: int, at: int) -> None:
        """Add the steps of a window to a buffer that begins with an entry."""
        chosen = {name: segments for name, segments in window.segments.items() if name in self.channels}
        synthesis.add_segments(buffer, chosen, levels, scale, -base, at)

    def entries(
        self, windows: Iterator[_Window], levels: NDArray[np.int64], scale: float, base: int, count: int
    ) -> Iterator[tuple[int, Samples]]:
        """Yield the entries of windows in order, each with the number of its first, up to a count of them.

        Args:
            windows: What to play.
            levels: Those before; changed to those after.
            scale: Samples a cycle.
            base: The cycle at which sample 0 is.
            count: How many entries there are.
        """
        at, left = -1, np.empty(0)  # entries that later windows may still change
        for window in windows:
            if at < 0:
                at = max(0, math.floor((window.start - base) * scale) - _REACH)
            end = math.floor((window.end - base) * scale + 0.5) + TAPS + 2
            buffer = np.zeros(end - at)
            buffer[: len(left)] = left
            self.add(buffer, window, levels, scale, base, at)
            done = max(0, end - TAPS - 2 - _REACH - at)
            if done:
                yield at, buffer[:done]
            at, left = at + done, buffer[done:].copy()
        rest = np.zeros(count - at)
        size = min(len(rest), len(left))
        rest[:size] = left[:size]
        yield at, rest


def _play_loop(it: _Looping) -> Iterator[Samples]:
    """Yield intro and loop, filtered."""
    log = it.log
    assert log.loop is not None
    clock_hz = CONSOLES[log.region].clock_hz
    loop_start, loop_end = (int(frame_cycles(frame, log.frame_rate_hz, clock_hz)) for frame in log.loop)
    state, levels = power_on(), synthesis.resting_levels(it.channels)
    first_pass = _run(log, state, 0, log.loop[1], (0, loop_start, loop_end), 0)
    position = -1
    intro = _Intro(it)
    if loop_start:
        # The window after the intro's last is asked for with it: it says where the triangle stands at the loop's start.
        before_loop = _before(first_pass, loop_start)
        scale = it.start / loop_start
        for at, entries in it.entries(before_loop, levels, scale, 0, it.start + TAPS + 1):
            yield from intro.play(at, entries)
        position = int(next(first_pass).segments["TR"].positions[0])
    for _ in first_pass:
        pass  # the chip's state is all that is wanted of the first pass
    second = _SecondPass(it, state, levels, loop_start, loop_end, position)
    body = second.held() if it.length <= HELD_LOOP_SAMPLES else second.streamed()
    first = next(body)
    tail = min(it.length, TAPS)
    while len(first) < tail:
        first = np.concatenate([first, next(body)])
    yield from intro.lead(second.follows_intro, float(first[tail - 1]))
    yield first
    yield from body


def _before(windows: Iterator[_Window], cycle: int) -> Iterator[_Window]:
    """Yield windows until one ends at a cycle, and take no more."""
    for window in windows:
        yield window
        if window.end == cycle:
            return


class _Intro:
    """The sound before the loop, filtered; its last moments wait until it is known what they lead into."""

    def __init__(self, it: _Looping) -> None:
        self._it = it
        self._stages = filters.coefficients(it.voicing, it.sample_rate_hz)
        self._state = filters.at_rest(self._stages)
        self._ramp_length = min(it.start, round(LEAD_IN_S * it.sample_rate_hz))
        self._waiting = min(it.start, self._ramp_length + TAPS)
        self._left = np.empty(0)  # differences of the samples that wait
        self._at = 0  # number of the first of them
        self._first = 0.0  # what lies before sample 0 is added to it, so that no step loses height

    def play(self, at: int, entries: Samples) -> Iterator[Samples]:
        """Take some entries, the first of them with its number, and yield what is ready."""
        early = max(0, min(len(entries), LEAD - at))
        self._first += float(sum(entries[:early].tolist()))
        self._left = np.concatenate([self._left, entries[early:]])
        ready = min(len(self._left), self._it.start - self._waiting - self._at)
        if ready > 0:
            sound = self._take(ready)
            self._left = self._left[ready:].copy()
            self._at += ready
            filters.run(sound, self._stages, self._state)
            yield sound

    def lead(self, follows: Samples, loop_sample: float) -> Iterator[Samples]:
        """Yield the rest.

        Args:
            follows: First entries of the loop as it follows the intro.
            loop_sample: Where the steady loop stands TAPS samples after its start, or at its end.
        """
        if not self._it.start:
            return
        # The intro sounds as if the loop's first samples followed it. Where the filters would then stand differs from
        # where they stand in the steady loop; the intro's last moments move there along a smooth ramp, too slow to be
        # heard.
        wait, tail, ramp_length = self._waiting, min(self._it.length, TAPS), self._ramp_length
        size = wait + tail
        left = np.zeros(size)
        left[: min(size, len(self._left))] = self._left[:size]
        places = np.maximum(wait - LEAD + np.arange(min(len(follows), tail + LEAD)), 0)
        np.add.at(left, places, follows[: len(places)])
        self._left = left
        led = self._take(size)
        filters.run(led, self._stages, self._state)
        ramp = np.arange(1, ramp_length + 1) / ramp_length
        ramp = ramp * ramp * (3 - 2 * ramp)
        led[wait - ramp_length : wait] += ramp * (loop_sample - led[size - 1])
        yield led[:wait]

    def _take(self, count: int) -> Samples:
        sound = self._left[:count].copy()
        if not self._at:
            sound[0] += self._first
        return sound


class _SecondPass:
    """The loop once more, after intro and loop: what stands in the file."""

    def __init__(
        self,
        it: _Looping,
        state: NDArray[np.int64],
        levels: NDArray[np.int64],
        loop_start: int,
        loop_end: int,
        position: int,
    ) -> None:
        """Take what the first pass leaves.

        Args:
            it: What is played.
            state: The chip's at the loop's end.
            levels: Those at the intro's end.
            loop_start: CPU cycle.
            loop_end: CPU cycle.
            position: Where the triangle stands at the loop's start after an intro; -1 without one: then where it stands
                after many passes.
        """
        self._it, self._state, self._levels, self._position = it, state, levels, position
        self._marks, self._base = (loop_start, loop_end), loop_end
        self._end = loop_end + (loop_end - loop_start)
        self._scale = it.length / (loop_end - loop_start)
        self._before = synthesis.output_level(levels)
        self._n_entries = it.length + TAPS + 1
        self.follows_intro: Samples = np.empty(0)
        """The first entries of the loop as it follows the intro; in the loop proper its own end comes before its start."""

    def _windows(self) -> Iterator[_Window]:
        log, loop = self._it.log, self._it.log.loop
        assert loop is not None
        return _run(log, self._state.copy(), *loop, self._marks, self._marks[1] - self._marks[0])

    def _closing_step(self, level_after: int) -> Samples:
        """Return the entries of the step from the level at the loop's end, not the intro's, to that at its start."""
        entries = np.zeros(TAPS + 1)
        add_steps(entries, np.zeros(1), np.array([self._before - level_after]), 1.0)
        return entries

    def held(self) -> Iterator[Samples]:
        """Yield the whole loop at once: a loop that fits into memory, and that may be shorter than what filters remember."""
        it, length = self._it, self._it.length
        windows = list(self._windows())
        if "TR" in it.channels:
            windows = self._close(windows)
        body = np.zeros(self._n_entries)
        for window in windows:
            it.add(body, window, self._levels, self._scale, self._base, 0)
        self.follows_intro = body[: 2 * TAPS].copy()
        body[: TAPS + 1] += self._closing_step(synthesis.output_level(self._levels))
        loop = np.zeros(length)
        for begin in range(0, len(body), length):  # several rounds only if the loop is shorter than the kernel
            part = body[begin : begin + length]
            loop[: len(part)] += part
        yield filters.apply(np.roll(loop, -LEAD), it.voicing, it.sample_rate_hz, circular=True)

    def _close(self, windows: list[_Window]) -> list[_Window]:
        parts = [window.segments["TR"] for window in windows]
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("starts", "first_ticks", "periods", "counts", "positions", "sequences", "amplitudes")
        }
        whole = Segments(**columns, end=parts[-1].end)
        position = int(whole.positions[0]) if self._position < 0 else self._position
        closed = close_triangle(whole, position, CLOSING_LIMIT_CENTS)
        return [
            replace(window, segments={**window.segments, "TR": cut(closed, window.start, window.end)})
            for window in windows
        ]

    def streamed(self) -> Iterator[Samples]:
        """Yield a long loop block by block.

        The chip runs over it three times: to learn how the triangle comes round, to make the loop's two ends, and for
        the sound. What the filters would remember of an eternity of passes is what they remember of the loop's end.
        """
        it, length = self._it, self._it.length
        make = self._maker()
        # What filters remember, all of them one after the other, in whole blocks, so that blocks count from the loop.
        stages = filters.coefficients(it.voicing, it.sample_rate_hz)
        memory = sum(math.ceil(math.log(_NEGLIGIBLE) / math.log(stage[2])) for stage in stages.tolist())
        memory = -(-memory // filters.BLOCK) * filters.BLOCK
        levels = self._levels.copy()
        _, self.follows_intro = next(it.entries(make(), levels, self._scale, self._base, self._n_entries))
        past, ring, level_after = self._tail(make(), memory)
        closing = self._closing_step(level_after)
        over_end = self.follows_intro[:LEAD] + closing[:LEAD]
        past[-LEAD:] += over_end
        state = filters.at_rest(stages)
        filters.run(past, stages, state)
        at_start = ring
        at_start[: TAPS + 1 - LEAD] += closing[LEAD:]
        for at, entries in it.entries(make(), self._levels, self._scale, self._base, self._n_entries):
            begin = max(0, LEAD - at)  # in this block
            sound = entries[begin : length + LEAD - at].copy()
            first = at + begin - LEAD  # sample
            if not first:
                sound[: len(at_start)] += at_start
            overlap = first + len(sound) - (length - LEAD)
            if overlap > 0:
                sound[max(0, len(sound) - overlap) :] += over_end[max(0, overlap - len(sound)) : overlap]
            if len(sound):
                filters.run(sound, stages, state)
                yield sound

    def _maker(self) -> Callable[[], Iterator[_Window]]:
        if "TR" not in self._it.channels:
            return self._windows
        position = self._position
        if position < 0:
            position = int(next(self._windows()).segments["TR"].positions[0])
        closing = _closing(self._windows(), position)
        return lambda: _closed(self._windows(), closing, self._end)

    def _tail(self, windows: Iterator[_Window], memory: int) -> tuple[Samples, Samples, int]:
        """Return the differences of the loop's last samples, the entries that ring over its end, and its last level.

        Levels before the first window that is played are not known; the steps from there to its own lie before all
        that is returned.
        """
        length, scale = self._it.length, self._scale
        wanted = length - memory + LEAD  # first entry
        last = (window for window in windows if (window.end - self._base) * scale > wanted - _REACH)
        levels = synthesis.resting_levels(self._it.channels)
        tail = np.zeros(self._n_entries - wanted)
        for at, entries in self._it.entries(last, levels, scale, self._base, self._n_entries):
            part = entries[max(0, wanted - at) :]
            place = max(0, at - wanted)
            tail[place : place + len(part)] = part
        return tail[:memory].copy(), tail[memory:].copy(), synthesis.output_level(levels)


_NEGLIGIBLE: Final = 2.0**-60  # of what filters remember
