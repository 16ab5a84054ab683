"""A loop as sound: intro, then the loop in its steady state, held or block by block. See the package for how."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu import filters, synthesis
from nesasset.apu.chip import Segments, power_on
from nesasset.apu.filters import Voicing
from nesasset.apu.oscillators import close_triangle, cut
from nesasset.apu.steps import LEAD, TAPS, add_steps
from nesasset.apu.tables import CONSOLES
from nesasset.apu.writes import frame_cycles
from nesasset.register_log import RegisterLog
from nesasset.render.windows import Window, closed_windows, find_closing, run_windows

Samples = NDArray[np.float64]

HELD_LOOP_SAMPLES: Final = 1 << 22  # 95 s at 44.1 kHz, 32 MiB: a longer loop is played in pieces
CLOSING_LIMIT_CENTS: Final = 0.5
LEAD_IN_S: Final = 0.05  # over which an intro's end takes on the filters' state at the loop's start
_REACH: Final = 4096  # samples by which a closed triangle's step may lie before its window, and far more


@dataclass(frozen=True, slots=True, eq=False)
class Looping:
    """A log with a loop, and how it is to sound."""

    log: RegisterLog
    start: int
    """First sample of the loop."""
    length: int
    """Its length in samples."""
    voicing: Voicing
    sample_rate_hz: int
    channels: frozenset[str]

    def add(self, buffer: Samples, window: Window, levels: NDArray[np.int64], scale: float, base: int, at: int) -> None:
        """Add the steps of a window to a buffer that begins with an entry."""
        chosen = {name: segments for name, segments in window.segments.items() if name in self.channels}
        synthesis.add_segments(buffer, chosen, levels, scale, -base, at)

    def entries(
        self, windows: Iterator[Window], levels: NDArray[np.int64], scale: float, base: int, count: int
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


def play_loop(it: Looping) -> Iterator[Samples]:
    """Yield intro and loop, filtered."""
    log = it.log
    assert log.loop is not None
    clock_hz = CONSOLES[log.region].clock_hz
    loop_start, loop_end = (int(frame_cycles(frame, log.frame_rate_hz, clock_hz)) for frame in log.loop)
    state, levels = power_on(), synthesis.resting_levels(it.channels)
    first_pass = run_windows(log, state, 0, log.loop[1], (0, loop_start, loop_end), 0)
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


def _before(windows: Iterator[Window], cycle: int) -> Iterator[Window]:
    """Yield windows until one ends at a cycle, and take no more."""
    for window in windows:
        yield window
        if window.end == cycle:
            return


class _Intro:
    """The sound before the loop, filtered; its last moments wait until it is known what they lead into."""

    def __init__(self, it: Looping) -> None:
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
        it: Looping,
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

    def _windows(self) -> Iterator[Window]:
        log, loop = self._it.log, self._it.log.loop
        assert loop is not None
        return run_windows(log, self._state.copy(), *loop, self._marks, self._marks[1] - self._marks[0])

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

    def _close(self, windows: list[Window]) -> list[Window]:
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

    def _maker(self) -> Callable[[], Iterator[Window]]:
        if "TR" not in self._it.channels:
            return self._windows
        position = self._position
        if position < 0:
            position = int(next(self._windows()).segments["TR"].positions[0])
        closing = find_closing(self._windows(), position)
        return lambda: closed_windows(self._windows(), closing, self._end)

    def _tail(self, windows: Iterator[Window], memory: int) -> tuple[Samples, Samples, int]:
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
