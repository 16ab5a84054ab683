"""Sound read back from WAV, OGG and FLAC: what the file says about itself, and its samples as one channel. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.audio import MAX_RATE_HZ, MIN_RATE_HZ, Audio
from nesasset.errors import AudioError, FormatError, out_of_range
from nesasset.formats import flac, ogg, wav
from nesasset.formats.audio_info import AudioInfo

_MODULES: Final = {".wav": wav, ".ogg": ogg, ".flac": flac}
SUFFIXES: Final = tuple(_MODULES)
FULL_SCALE: Final = 32_768
_BLOCK_SAMPLES: Final = 1 << 16  # bounds what several channels of floats need on the way


def load(path: str | os.PathLike[str], check: Callable[[AudioInfo], None] | None = None) -> tuple[AudioInfo, Audio]:
    """Return what a sound file says about itself and its sound, several channels as their mean, the loop from its tags.

    Args:
        path: A file that ends in .wav, .ogg or .flac.
        check: Sees the header before any sample is decoded, and may raise.

    Raises:
        FormatError: The file cannot be read, is none of these, or is damaged.
        AudioError: Its rate is out of range.
    """
    shown = os.fspath(path)
    module = _MODULES.get(os.path.splitext(shown)[1].lower())
    if module is None:
        raise FormatError(f"cannot read {shown!r} as sound: the suffix must be one of {', '.join(SUFFIXES)}")
    info = module.describe(path)
    if check is not None:
        check(info)
    if not MIN_RATE_HZ <= info.sample_rate_hz <= MAX_RATE_HZ:
        raise AudioError(f"{shown}: {out_of_range('sample_rate_hz', info.sample_rate_hz, MIN_RATE_HZ, MAX_RATE_HZ)}")
    return info, Audio(_mono(shown, info), info.sample_rate_hz, info.loop)


def _mono(path: str, info: AudioInfo) -> NDArray[np.int16]:
    """Return the mean of a file's channels in 16 bits, shape (n_samples,)."""
    import soundfile

    found = bytearray()  # grows with what is really there: a damaged header may promise anything
    at = 0
    try:
        with soundfile.SoundFile(path) as file:
            while at < info.n_samples:
                block = file.read(min(_BLOCK_SAMPLES, info.n_samples - at), dtype="float32", always_2d=True)
                if not len(block):
                    raise FormatError(f"{path}: only {at} of {info.n_samples} samples can be decoded; the file is cut off")
                # Files of floats may hold anything; 1.0 is one above the largest 16-bit sample.
                mean = np.nan_to_num(block, nan=0.0).astype(np.float64).mean(axis=1) * FULL_SCALE
                found += np.clip(np.rint(mean), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16).tobytes()
                at += len(block)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise FormatError(f"{path}: its samples cannot be decoded ({error}); the file is damaged") from error
    return np.frombuffer(found, dtype=np.int16)
