"""FLAC: lossless, with LOOPSTART and LOOPLENGTH in a comment block that the project writes itself.

Source: RFC 9639, section 8 (metadata blocks).
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Final

from nesasset.audio import Audio
from nesasset.errors import AudioError, FormatError
from nesasset.formats import sound_stream, soundfile_encoder, vorbis_comment
from nesasset.formats.audio_info import AudioInfo, check_loop, opened
from nesasset.formats.sound_stream import SoundStream, Write

_MAGIC: Final = b"fLaC"
_STREAMINFO, _PADDING, _SEEKTABLE, _COMMENT = 0, 1, 3, 4
_LAST: Final = 0x80
_MAX_METADATA_BYTES: Final = 1 << 26  # a cover picture has 16 MiB at most
_OWN_METADATA_BYTES: Final = 1 << 16  # libFLAC writes some hundred bytes of it
_PADDING_BYTES: Final = 512  # room in which a tagger may work without moving the sound; all zero


def encode(audio: Audio, tags: Mapping[str, str] | None = None) -> bytes:
    """Return audio as the bytes of a FLAC file, the same for the same input and libFLAC.

    Raises:
        AudioError: The audio is empty, FLAC cannot hold its rate (above 65 535 Hz: multiples of ten only), or a tag
            cannot be a tag.
    """
    file = io.BytesIO()
    with _encoder(file, sound_stream.of(audio), tags) as write:
        write(audio.samples)
    return file.getvalue()


def save(sound: Audio | SoundStream, path: str | os.PathLike[str], tags: Mapping[str, str] | None = None) -> None:
    """Write a FLAC file, whole or not at all; a stream is made and written block by block.

    Raises:
        AudioError: As `encode`.
        OutputError: The file cannot be written.
    """
    sound_stream.write_out(sound, lambda stream: writing(stream, path, tags))


def writing(
    sound: SoundStream, path: str | os.PathLike[str], tags: Mapping[str, str] | None = None
) -> AbstractContextManager[Write]:
    """Give a function that takes the blocks of a sound and writes them; see `wav.writing`."""
    return sound_stream.written(path, lambda file: _encoder(file, sound, tags))


@contextmanager
def _encoder(file: BinaryIO, sound: SoundStream, tags: Mapping[str, str] | None) -> Iterator[Write]:
    """Give a function that takes the blocks of a sound; then write libFLAC's file with our comments."""
    vorbis_comment.check_tags(tags or {})
    if not sound.n_samples:
        raise AudioError("a FLAC must hold at least one sample, not 0; write WAV instead")
    with tempfile.TemporaryDirectory(prefix="nesasset-") as folder:
        plain = os.path.join(folder, "plain.flac")
        with soundfile_encoder.encoder(plain, sound, "FLAC", "PCM_16", 0.625) as write:  # libFLAC's usual level 5 of 8
            yield write
        with open(plain, "rb") as encoded:
            blocks, first_frame = _metadata(encoded.read(_OWN_METADATA_BYTES))
            file.write(_MAGIC + _with_comment(blocks, sound, tags or {}))
            encoded.seek(first_frame)
            shutil.copyfileobj(encoded, file)


def _with_comment(blocks: list[tuple[int, bytes]], sound: SoundStream, tags: Mapping[str, str]) -> bytes:
    """Return metadata blocks with a comment of our own and some room after it."""
    vendor = next((vorbis_comment.decode(body)[0] for kind, body in blocks if kind == _COMMENT), b"")
    # A seek table stays true: its points count from the first frame, not from the file's beginning.
    kept = [(kind, body) for kind, body in blocks if kind in (_STREAMINFO, _SEEKTABLE)]
    comment = vorbis_comment.encode(vendor, tags, sound.loop)
    if len(comment) >= 1 << 24:
        raise AudioError(
            f"the tags of a FLAC must have less than 16 MiB together, not {len(comment)} bytes; shorten them"
        )
    blocks = [*kept, (_COMMENT, comment), (_PADDING, bytes(_PADDING_BYTES))]
    heads = [kind | (_LAST if index == len(blocks) - 1 else 0) for index, (kind, _) in enumerate(blocks)]
    return b"".join(
        bytes([head]) + len(body).to_bytes(3, "big") + body for head, (_, body) in zip(heads, blocks, strict=True)
    )


def describe(path: str | os.PathLike[str]) -> AudioInfo:
    """Return what a FLAC file says about itself.

    Raises:
        FormatError: The file cannot be read, is no FLAC, is cut off, or its loop lies outside its samples.
    """
    with opened(path) as file:
        return _describe(file.read(_MAX_METADATA_BYTES), os.fspath(path))


def loop_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return the first sample of a FLAC file's loop and its length; None without one. Raises as `describe`."""
    return describe(path).loop


def _metadata(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Return the metadata blocks (type, body) and where the audio frames begin."""
    if data[:4] != _MAGIC:
        raise FormatError("the file is no FLAC: it does not begin with fLaC")
    blocks: list[tuple[int, bytes]] = []
    at, last = 4, False
    while not last:
        if at + 4 > len(data):
            raise FormatError(f"the FLAC is cut off in the head of a metadata block at byte {at}")
        kind, last, size = data[at] & ~_LAST, bool(data[at] & _LAST), int.from_bytes(data[at + 1 : at + 4], "big")
        if at + 4 + size > len(data):
            raise FormatError(f"the FLAC is cut off: metadata block {len(blocks)} has less than its {size} bytes")
        blocks.append((kind, data[at + 4 : at + 4 + size]))
        at += 4 + size
    return blocks, at


def _describe(data: bytes, path: str) -> AudioInfo:
    blocks, _ = _metadata(data)
    kind, info = blocks[0]
    if kind != _STREAMINFO or len(info) != 34:
        raise FormatError("the FLAC's first metadata block must be STREAMINFO of 34 bytes; the file is damaged")
    # After 10 bytes of block and frame sizes: rate 20 bits, channels - 1 3, bits - 1 5, samples 36.
    packed = int.from_bytes(info[10:18], "big")
    rate, n_channels, n_samples = packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
    if not rate or not n_samples:
        raise FormatError(f"the FLAC must say its rate and length, not {rate} Hz and {n_samples} samples")
    comments = [vorbis_comment.decode(body)[1] for kind, body in blocks if kind == _COMMENT]
    tags, loop = vorbis_comment.split_loop(comments[0] if comments else [])
    check_loop(loop, n_samples)
    soundfile_encoder.check_last_sample(path, n_samples)
    return AudioInfo("FLAC", rate, n_channels, n_samples, loop, tags)
