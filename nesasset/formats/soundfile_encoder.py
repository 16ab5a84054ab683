"""Compressed bytes from soundfile (libsndfile with libvorbis and libFLAC), the same on every run but for OGG's serial.

Holds the one call into the library; what the project writes itself (comments, serial) is in ogg.py and flac.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import numpy as np

from nesasset.errors import AudioError, FormatError
from nesasset.formats.sound_stream import Block, SoundStream

# libvorbis crashes the interpreter on one very long write, and the bytes it makes depend on this number: a constant.
BLOCK_SAMPLES: Final = 16_384


@contextmanager
def encoder(
    path: str, sound: SoundStream, format: str, subtype: str, compression_level: float
) -> Iterator[Callable[[Block], None]]:
    """Give a function that takes the blocks of a sound, of any size, and let libsndfile encode them into a file.

    Args:
        path: The file; libsndfile makes it and goes back in it.
        sound: Of any length; FLAC takes no empty one. Its blocks are not asked for.
        format: 'OGG' or 'FLAC'.
        subtype: 'VORBIS' or 'PCM_16'.
        compression_level: 0 (large) to 1 (small).

    Raises:
        AudioError: The library refuses the sound.
    """
    import soundfile

    left = np.empty(0, dtype=np.int16)  # less than a block
    with _refusals(sound, format):
        file = soundfile.SoundFile(
            path, "w", sound.sample_rate_hz, 1, subtype, format=format, compression_level=compression_level
        )

    def write(block: Block) -> None:
        nonlocal left
        samples = np.concatenate([left, block]) if len(left) else block
        whole = len(samples) - len(samples) % BLOCK_SAMPLES
        with _refusals(sound, format):
            for start in range(0, whole, BLOCK_SAMPLES):
                file.write(samples[start : start + BLOCK_SAMPLES])
        left = samples[whole:].copy()

    try:
        yield write
        with _refusals(sound, format):
            file.write(left)
            file.close()
    finally:
        with suppress(soundfile.LibsndfileError):  # after an error: the file is thrown away
            file.close()


@contextmanager
def _refusals(sound: SoundStream, format: str) -> Iterator[None]:
    """Turn the library's errors into a sentence."""
    import soundfile

    try:
        yield
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"{format} cannot hold {sound.n_samples} samples at {sound.sample_rate_hz} Hz ({error}); "
            "choose another rate, such as 44100, or write WAV"
        ) from error


def check_last_sample(path: str, n_samples: int) -> None:
    """Raise FormatError unless the last of n_samples can be decoded: the cheap test for a file that is cut off."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            file.seek(n_samples - 1)
            complete = len(file.read(1, dtype="int16", always_2d=True)) == 1
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise FormatError(
            f"the last of {n_samples} samples cannot be decoded ({error}); the file is damaged"
        ) from error
    if not complete:
        raise FormatError(f"the last of {n_samples} samples is missing; the file is cut off")
