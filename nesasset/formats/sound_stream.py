"""Sound that need not be held: blocks of samples made one after the other, and files that are written as they come.

Holds what is the same for every way of making sound and every format of a file. Makes no sound and knows no format.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.audio import Audio
from nesasset.errors import AudioError, OutputError, out_of_range
from nesasset.formats import files

Block = NDArray[np.int16]
Write = Callable[[Block], None]

MAX_SAMPLES: Final = 2**32  # 27 hours at 44.1 kHz, as long as a VGM can be
MAX_HELD_SAMPLES: Final = 2**27  # 50 minutes at 44.1 kHz, 256 MiB
MAX_LOOPS: Final = 1000
MAX_FADE_S: Final = 60
_BLOCK_SAMPLES: Final = 1 << 16
_SPOOL_BYTES: Final = 1 << 25  # what of a loop that is played again stays in memory; six minutes at 44.1 kHz


@dataclass(frozen=True, slots=True, eq=False)
class SoundStream:
    """One channel of sound whose samples are made when they are asked for. `Audio` is the same, held."""

    n_samples: int
    sample_rate_hz: int
    loop: tuple[int, int] | None
    """First sample of the loop and its length in samples; None for a sound that ends."""
    blocks: Callable[[], Iterator[Block]]
    """Makes the sound from its start: int16 blocks of any size, n_samples together. Each call makes it anew."""


def of(audio: Audio) -> SoundStream:
    """Return a held sound as a stream. Inverse of `hold`."""

    def blocks() -> Iterator[Block]:
        for start in range(0, len(audio.samples), _BLOCK_SAMPLES):
            yield audio.samples[start : start + _BLOCK_SAMPLES]

    return SoundStream(len(audio.samples), audio.sample_rate_hz, audio.loop, blocks)


def hold(sound: SoundStream) -> Audio:
    """Make a whole sound and hold it. Inverse of `of`.

    Raises:
        AudioError: The sound is too long for that.
    """
    if sound.n_samples > MAX_HELD_SAMPLES:
        raise AudioError(f"at most {MAX_HELD_SAMPLES} samples can be held, not {sound.n_samples}: write them as they come")
    samples, at = np.empty(sound.n_samples, dtype=np.int16), 0
    for block in sound.blocks():
        samples[at : at + len(block)] = block
        at += len(block)
    assert at == sound.n_samples
    return Audio(samples, sound.sample_rate_hz, sound.loop)


def play_out(sound: SoundStream, loops: int, fade_s: float) -> SoundStream:
    """Return a sound that ends: the intro, a number of passes, and a fade-out over the loop going on.

    Args:
        sound: A sound; one without a loop is returned as it is, for it ends by itself.
        loops: How often the loop is heard before the fade, 1 to 1000.
        fade_s: Length of the fade-out in seconds, 0 to 60.

    Returns:
        The sound, without a loop. The loop is made once: its later passes are copies of the first, kept in memory or,
        if they are long, in a temporary file.

    Raises:
        AudioError: An argument is out of range, or the sound would be too long.
    """
    if type(loops) is not int or not 1 <= loops <= MAX_LOOPS:
        raise AudioError(out_of_range("loops", loops, 1, MAX_LOOPS))
    if not isinstance(fade_s, (int, float)) or isinstance(fade_s, bool) or not 0 <= fade_s <= MAX_FADE_S:
        raise AudioError(out_of_range("fade_s", fade_s, 0, MAX_FADE_S))
    if sound.loop is None:
        return sound
    start, length = sound.loop
    fade = round(fade_s * sound.sample_rate_hz)
    total = start + loops * length + fade
    if total > MAX_SAMPLES:
        raise AudioError(f"{total} samples are too many, at most {MAX_SAMPLES}: ask for fewer loops")
    return SoundStream(total, sound.sample_rate_hz, None, lambda: _played_out(sound, start, length, total, fade))


def _played_out(sound: SoundStream, start: int, length: int, total: int, fade: int) -> Iterator[Block]:
    try:
        with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as body:
            at = 0
            for made in sound.blocks():
                block = made[: start + length - at]  # what stands after the loop's end is not heard
                yield block
                body.write(block[max(0, start - at) :].tobytes())
                at += len(block)
            body.seek(0)
            while at < total:
                block = np.frombuffer(body.read(2 * min(_BLOCK_SAMPLES, total - at)), dtype=np.int16)
                if not len(block):
                    body.seek(0)
                    continue
                yield _faded(block, total - at, fade)
                at += len(block)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot keep the loop in a temporary file: {error.strerror or error}; free some space in {tempfile.gettempdir()!r}"
        ) from error


def _faded(block: Block, left: int, fade: int) -> Block:
    """Return a block with its part of the fade-out; left counts the samples from its first to the sound's end."""
    if left - len(block) >= fade:
        return block
    # Squared: the ear hears a straight line as a late, sudden end.
    falling = (np.minimum(np.arange(left, left - len(block), -1), fade) / fade) ** 2
    return np.rint(block * falling).astype(np.int16)


def add_up(sounds: Sequence[SoundStream]) -> SoundStream:
    """Return the sum of sounds of one length, rate and loop, made in step; sums beyond 16 bits are cut off."""
    first = sounds[0]

    def blocks() -> Iterator[Block]:
        for parts in zip(*(sound.blocks() for sound in sounds), strict=True):
            yield sum_blocks(parts)

    return SoundStream(first.n_samples, first.sample_rate_hz, first.loop, blocks)


def sum_blocks(parts: Sequence[Block]) -> Block:
    """Return the sum of blocks of one size; sums beyond 16 bits are cut off."""
    total = np.sum(parts, axis=0, dtype=np.int32)
    return np.clip(total, -32_768, 32_767).astype(np.int16)


# Files.


def write_out(sound: Audio | SoundStream, writing: Callable[[SoundStream], AbstractContextManager[Write]]) -> None:
    """Write a whole sound with a format's `writing`; a stream is made and written block by block."""
    stream = of(sound) if isinstance(sound, Audio) else sound
    with writing(stream) as write:
        for block in stream.blocks():
            write(block)


@contextmanager
def written(
    path: str | os.PathLike[str], encoder: Callable[[BinaryIO], AbstractContextManager[Write]]
) -> Iterator[Write]:
    """Give a function that adds blocks to a new sound file, which takes its name when the context ends without error.

    After an error or an interrupt the old file, or none, is there.

    Args:
        path: File to make or replace; its folder must exist.
        encoder: A format's encoder, given the open file.

    Raises:
        OutputError: The file cannot be written; says why and what to do.
    """
    with files.whole_file(path) as file:
        with files.telling(path):
            encoding = encoder(file)
            encode = encoding.__enter__()

        def write(block: Block) -> None:
            with files.telling(path):
                encode(block)

        try:
            yield write
        except BaseException as error:
            encoding.__exit__(type(error), error, error.__traceback__)
            raise
        with files.telling(path):
            encoding.__exit__(None, None, None)
