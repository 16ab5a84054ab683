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

from collections.abc import Collection, Iterator
from functools import partial
from typing import Final

from nesasset.apu.chip import CHANNELS
from nesasset.apu.filters import VOICINGS
from nesasset.apu.stream import DEFAULT_VOICING, LATENCY, Player, check_settings, to_16_bits
from nesasset.apu.writes import cut_frames, frame_cycles
from nesasset.audio import Audio
from nesasset.errors import AudioError
from nesasset.formats import sound_stream
from nesasset.formats.sound_stream import MAX_HELD_SAMPLES, MAX_SAMPLES, Block, SoundStream
from nesasset.register_log import RegisterLog
from nesasset.render.loop import Looping, play_loop

_PIECE_S: Final = 10  # of a log without a loop: how much of it is looked at at a time


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
    check_length(log, sample_rate_hz, MAX_HELD_SAMPLES)
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
    check_length(log, sample_rate_hz, MAX_SAMPLES)
    if log.loop is None:
        player = partial(Player, sample_rate_hz, voicing, gain, channels, log.region, log.frame_rate_hz)
        n_samples = sample_of(log, log.n_frames, sample_rate_hz)
        return SoundStream(n_samples, sample_rate_hz, None, lambda: _play_once(log, player()))
    start, end = (sample_of(log, frame, sample_rate_hz) for frame in log.loop)
    if start == end:
        raise AudioError(f"the loop of {log.loop} lasts less than one sample at {sample_rate_hz} Hz: make it longer")
    looping = Looping(log, start, end - start, VOICINGS[voicing], sample_rate_hz, frozenset(channels))

    def blocks() -> Iterator[Block]:
        for sound in play_loop(looping):
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


def check_length(log: RegisterLog, sample_rate_hz: int, max_samples: int) -> None:
    """Raise AudioError if a log's sound would have more samples than allowed, RegisterLogError for a frame rate out of range."""
    frame_cycles(0, log.frame_rate_hz)  # raises if the rate is out of range
    seconds = log.n_frames / log.frame_rate_hz
    if seconds * sample_rate_hz > max_samples:
        longest = max_samples // sample_rate_hz
        advice = " and held; render_stream makes it block by block" if max_samples < MAX_SAMPLES else ""
        raise AudioError(
            f"the log lasts {seconds:.0f} s, at most {longest} s can be rendered at {sample_rate_hz} Hz{advice}"
        )


def sample_of(log: RegisterLog, frame: int, sample_rate_hz: int) -> int:
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
