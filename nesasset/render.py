"""Rendering: plays a register log through the 2A03 and returns sound, its loop in samples. Holds no chip.

The promise: the same log gives the same bytes, on every run and every machine, with the compiled hot path and without.
What keeps it: the control pass is integer arithmetic; steps are added exactly, in any order; the filters are float64
additions and multiplications in an order of their own; everything that comes from a sine or an exponential is rounded
to a coarse grid before it is used; samples are rounded to 16 bits at the end.

How a loop is made. The chip plays intro, loop, and the loop once more. The loop in the file is that second pass, in
its steady state: what rings over its end rings into its start, the jump from its last level to its first is a
band-limited step like any other, and the filters are those of a loop that has been going on for ever. The triangle,
whose sequencer nothing restarts, is brought round to where it began by a change of pitch of half a cent at most.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu import synthesis
from nesasset.apu.chip import CHANNELS, Segments, power_on
from nesasset.apu.filters import VOICINGS, Voicing, apply
from nesasset.apu.oscillators import close_triangle, cut
from nesasset.apu.steps import LEAD, TAPS, add_steps
from nesasset.apu.stream import DEFAULT_VOICING, LATENCY, Player, check_settings, to_16_bits
from nesasset.apu.writes import Writes, frame_cycles, time_writes
from nesasset.audio import Audio
from nesasset.errors import AudioError, out_of_range
from nesasset.register_log import RegisterLog

MAX_SAMPLES: Final = 2**27  # 50 minutes at 44.1 kHz; one such array is 1 GiB on the way
WINDOW_CYCLES: Final = 1 << 20  # about 0.6 s: how much is turned from segments into samples at a time
CLOSING_LIMIT_CENTS: Final = 0.5
LEAD_IN_S: Final = 0.05  # over which an intro's end takes on the filters' state at the loop's start


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
        channels: What to play, of P1, P2, TR, NO and DM: for stems. The mixer is not linear, so stems do not add up to
            the whole exactly.

    Returns:
        Mono audio of one pass, intro and loop.

    Raises:
        AudioError: An argument is out of range, or the sound would be too long.
        RegisterLogError: The log's frame rate is out of range.
    """
    check_settings(sample_rate_hz, voicing, gain, channels)
    _check_length(log, sample_rate_hz)
    if log.loop is None:
        player = Player(sample_rate_hz, voicing, gain, channels, log.region, log.frame_rate_hz)
        samples = np.concatenate([player.play(log), player.flush()])
        return Audio(samples[LATENCY:], sample_rate_hz)
    start, end = (_sample(log, frame, sample_rate_hz) for frame in log.loop)
    sound = _render_loop(log, start, end - start, VOICINGS[voicing], sample_rate_hz, channels)
    return Audio(to_16_bits(sound, gain), sample_rate_hz, (start, end - start))


def play_loops(audio: Audio, loops: int, fade_s: float) -> Audio:
    """Return a sound that ends: the intro, a number of passes, and a fade-out over the loop going on.

    Args:
        audio: A sound; one without a loop is returned as it is, for it ends by itself.
        loops: How often the loop is heard before the fade, 1 to 1000.
        fade_s: Length of the fade-out in seconds, 0 to 60.

    Returns:
        The sound, without a loop.

    Raises:
        AudioError: An argument is out of range, or the sound would be too long.
    """
    if type(loops) is not int or not 1 <= loops <= 1000:
        raise AudioError(out_of_range("loops", loops, 1, 1000))
    if not _is_number(fade_s) or not 0 <= fade_s <= 60:
        raise AudioError(out_of_range("fade_s", fade_s, 0, 60))
    if audio.loop is None:
        return audio
    start, length = audio.loop
    fade = round(fade_s * audio.sample_rate_hz)
    total = start + loops * length + fade
    if total > MAX_SAMPLES:
        raise AudioError(f"{total} samples are too many, at most {MAX_SAMPLES}: ask for fewer loops")
    at = np.arange(total)
    at[start:] = start + (at[start:] - start) % length
    samples = audio.samples[at]
    if fade:
        falling = (np.arange(fade, 0, -1) / fade) ** 2  # squared: the ear hears a straight line as a late, sudden end
        samples[total - fade :] = np.rint(samples[total - fade :] * falling).astype(np.int16)
    return Audio(samples, audio.sample_rate_hz)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_length(log: RegisterLog, sample_rate_hz: int) -> None:
    frame_cycles(0, log.frame_rate_hz)  # raises if the rate is out of range
    seconds = log.n_frames / log.frame_rate_hz
    if seconds * sample_rate_hz > MAX_SAMPLES:
        longest = MAX_SAMPLES // sample_rate_hz
        raise AudioError(f"the log lasts {seconds:.0f} s, at most {longest} s can be rendered at {sample_rate_hz} Hz")


def _sample(log: RegisterLog, frame: int, sample_rate_hz: int) -> int:
    """Return the sample at which a frame begins: exact where that is whole, else the nearest."""
    return round(frame * sample_rate_hz / log.frame_rate_hz)


def _window_edges(marks: tuple[int, ...]) -> list[int]:
    """Return the cycles at which windows begin: every WINDOW_CYCLES from each mark."""
    edges: list[int] = []
    for start, end in pairwise(marks):
        edges += range(start, end, WINDOW_CYCLES)
    return edges


class _Passes:
    """The passes of a loop as segments, turned into differences of samples one after the other."""

    def __init__(self, writes: Writes, channels: Collection[str]) -> None:
        found = synthesis.advance(power_on(), writes, _window_edges(writes.marks))
        self._segments: dict[str, Segments] = {name: found[name] for name in CHANNELS if name in channels}
        self.levels = synthesis.resting_levels(channels)

    def triangle_position(self, cycle: int) -> int:
        """Return where the triangle's sequencer stands when a segment begins at a cycle."""
        triangle = self._segments["TR"]
        return int(triangle.positions[np.searchsorted(triangle.starts, cycle)])

    def close_triangle(self, start: int, end: int, position: int) -> None:
        """Close the triangle's loop over a stretch of cycles; only that stretch can be played afterwards."""
        stretch = cut(self._segments["TR"], start, end)
        self._segments["TR"] = close_triangle(stretch, position, CLOSING_LIMIT_CENTS)

    def play(self, buffer: NDArray[np.float64], start: int, end: int, n_samples: int) -> None:
        """Add a stretch of cycles to a buffer (see `add_steps`), stretched to a whole number of samples."""
        scale = n_samples / (end - start)
        for first in range(start, end, WINDOW_CYCLES):
            last = min(end, first + WINDOW_CYCLES)
            window = {name: cut(segments, first, last) for name, segments in self._segments.items()}
            synthesis.add_segments(buffer, window, self.levels, scale, -start)


def _trim(buffer: NDArray[np.float64], n_samples: int) -> NDArray[np.float64]:
    """Return the samples of a buffer; what lies before the first is added to it, so that no step loses height."""
    before = float(sum(buffer[:LEAD].tolist()))
    samples = buffer[LEAD : LEAD + n_samples]
    samples[0] += before
    return samples


def _render_loop(
    log: RegisterLog, start: int, length: int, filters: Voicing, sample_rate_hz: int, channels: Collection[str]
) -> NDArray[np.float64]:
    """Return intro and loop of a log, filtered; shape (start + length,)."""
    if length < 1:
        raise AudioError(f"the loop of {log.loop} lasts less than one sample at {sample_rate_hz} Hz: make it longer")
    writes = time_writes(log, passes=2)
    _, loop_start, loop_end, end = writes.marks
    passes = _Passes(writes, channels)
    intro = np.zeros(start + TAPS + 1)
    if loop_start:
        passes.play(intro, 0, loop_start, start)
    level_before = synthesis.output_level(passes.levels)
    if "TR" in channels:
        # After an intro the triangle goes on where the intro leaves it; else where it stands after many passes.
        passes.close_triangle(loop_end, end, passes.triangle_position(loop_start or loop_end))
    body = np.zeros(length + TAPS + 1)
    passes.play(body, loop_end, end, length)
    # Played so far: the loop as it follows the intro. In the loop proper its own end comes before its start.
    follows_intro = body.copy()
    add_steps(body, np.zeros(1), np.array([level_before - synthesis.output_level(passes.levels)]), 1.0)
    loop = np.zeros(length)
    for begin in range(0, len(body), length):  # several rounds only if the loop is shorter than the kernel
        part = body[begin : begin + length]
        loop[: len(part)] += part
    loop = apply(np.roll(loop, -LEAD), filters, sample_rate_hz, circular=True)
    if not start:
        return loop
    # The intro sounds as if the loop's first samples followed it. Where the filters would then stand differs from where
    # they stand in the steady loop; the intro's last moments move there along a smooth ramp, too slow to be heard.
    tail = min(length, TAPS)
    whole = np.zeros(max(start + tail + TAPS, len(intro)))
    whole[: len(intro)] += intro
    reach = min(len(body), len(whole) - start)
    whole[start : start + reach] += follows_intro[:reach]
    led = apply(_trim(whole, start + tail), filters, sample_rate_hz, circular=False)
    ramp_length = min(start, round(LEAD_IN_S * sample_rate_hz))
    ramp = np.arange(1, ramp_length + 1) / ramp_length
    ramp = ramp * ramp * (3 - 2 * ramp)
    led[start - ramp_length : start] += ramp * (loop[tail - 1] - led[start + tail - 1])
    return np.concatenate([led[:start], loop])
