"""What an audio file says about itself: the answer of every audio reader here. Holds no format and no samples."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from nesasset.errors import FormatError


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The header of an audio file."""

    format: str
    """'WAV', 'OGG' or 'FLAC'."""
    sample_rate_hz: int
    n_channels: int
    n_samples: int
    """Length of one channel."""
    loop: tuple[int, int] | None
    """First sample of the loop and its length in samples, as in `nesasset.audio.Audio`; None without loop tags."""
    tags: Mapping[str, str]
    """Comments by upper-case name, in file order, without the loop tags; the first value where one is repeated."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate_hz


def check_loop(loop: tuple[int, int] | None, n_samples: int) -> tuple[int, int] | None:
    """Return the loop if it lies within the samples.

    SDL_mixer drops a loop that reaches one sample too far without a word and loops the whole file, so this is an error.

    Raises:
        FormatError: The loop is empty or reaches past the last sample.
    """
    if loop is not None and not (loop[0] >= 0 and loop[1] >= 1 and sum(loop) <= n_samples):
        raise FormatError(f"the loop must lie within the {n_samples} samples, not start {loop[0]} length {loop[1]}")
    return loop


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a sound file of any size to read what it says; a FormatError inside is told with the file's name.

    Raises:
        FormatError: There is no such file, or it cannot be read.
    """
    shown = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(shown).st_mode):  # opening a pipe would wait for ever
            raise FormatError(f"cannot read {shown!r}: it is not a regular file; give the name of one")
        with open(shown, "rb") as file:
            try:
                yield file
            except FormatError as error:
                raise FormatError(f"{shown}: {error}") from error
    except OSError as error:
        raise FormatError(f"cannot read {shown!r}: {error.strerror or error}; check the path") from error
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"cannot read {shown!r}: {error}; check the path") from error
