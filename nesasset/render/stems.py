"""Stems: each voice of a log alone, so that their sum is the music."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from nesasset.apu.chip import CHANNELS
from nesasset.apu.mixer import TND_TRIM, pulse_output, tnd_output
from nesasset.apu.stream import DEFAULT_VOICING, check_settings
from nesasset.audio import Audio
from nesasset.formats import sound_stream
from nesasset.formats.sound_stream import MAX_HELD_SAMPLES, SoundStream
from nesasset.register_log import RegisterLog
from nesasset.render.stream import check_length, render_stream

STEM_GAIN: Final = (pulse_output(15, 15) + TND_TRIM * tnd_output(15, 15, 0)) / (
    2 * pulse_output(15, 0) + TND_TRIM * (tnd_output(15, 0, 0) + tnd_output(0, 15, 0))
)
"""Factor on stems, -1.1 dB: four voices at full volume, added, are then as high as the chip's mixer makes them."""


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
    check_length(log, sample_rate_hz, MAX_HELD_SAMPLES)
    streams = stem_streams(log, sample_rate_hz, voicing, gain)
    return {name: sound_stream.hold(stream) for name, stream in streams.items()}


def mix_stems(stems: Mapping[str, Audio]) -> Audio:
    """Return the sum of stems, sample by sample; sums beyond 16 bits are cut off, which four voices never reach."""
    first = next(iter(stems.values()))
    samples = sound_stream.sum_blocks([stem.samples for stem in stems.values()])
    return Audio(samples, first.sample_rate_hz, first.loop)
