"""WAV: 16-bit PCM, the loop in a `smpl` chunk, tags in a `LIST INFO` chunk. Mono only, as our audio is.

Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE, INFO); the
`smpl` chunk from Microsoft's "New Multimedia Data Types and Data Techniques".
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Final

from nesasset.audio import Audio
from nesasset.errors import FormatError, OutputError
from nesasset.formats import sound_stream, vorbis_comment
from nesasset.formats.audio_info import AudioInfo, check_loop, opened
from nesasset.formats.sound_stream import Block, SoundStream, Write

# Tag to INFO chunk; a tag that is not here has no place in a WAV and is left out.
_INFO: Final = {
    "TITLE": b"INAM",
    "ARTIST": b"IART",
    "ALBUM": b"IPRD",
    "GENRE": b"IGNR",
    "DATE": b"ICRD",
    "COPYRIGHT": b"ICOP",
    "COMMENT": b"ICMT",
    "ENCODER": b"ISFT",
}
_INFO_TAGS: Final = {chunk: tag for tag, chunk in _INFO.items()}
_SMPL_HEAD: Final = struct.Struct("<9I")
_SMPL_LOOP: Final = struct.Struct("<6I")
_FMT: Final = struct.Struct("<HHIIHH")
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_MAX_CHUNKS: Final = 10_000
_MAX_BODY_BYTES: Final = 1 << 24  # of a chunk that is read: loops and tags, and none of the samples
_MAX_DATA_BYTES: Final = 0xF000_0000  # the sizes of chunks have 32 bits, and the others need room too


def encode(audio: Audio, tags: Mapping[str, str] | None = None) -> bytes:
    """Return audio as the bytes of a WAV file, the same for the same input. A sound without a loop gets no `smpl`.

    (SDL_mixer loops any WAV with a `smpl` loop for ever, however it is asked to play it.)

    Raises:
        AudioError: A tag cannot be a tag.
        OutputError: The audio is too long for a WAV.
    """
    file = io.BytesIO()
    with _encoder(file, sound_stream.of(audio), tags) as write:
        write(audio.samples)
    return file.getvalue()


def save(sound: Audio | SoundStream, path: str | os.PathLike[str], tags: Mapping[str, str] | None = None) -> None:
    """Write a WAV file, whole or not at all; a stream is made and written block by block.

    Raises:
        AudioError: A tag cannot be a tag.
        OutputError: The file cannot be written, or the sound is too long for a WAV.
    """
    sound_stream.write_out(sound, lambda stream: writing(stream, path, tags))


def writing(
    sound: SoundStream, path: str | os.PathLike[str], tags: Mapping[str, str] | None = None
) -> AbstractContextManager[Write]:
    """Give a function that takes the blocks of a sound and writes them; see `sound_stream.written` and `save`.

    Args:
        sound: What the header says; its blocks are not asked for.
        path: File to make or replace when the context ends.
        tags: Of the file.
    """
    return sound_stream.written(path, lambda file: _encoder(file, sound, tags))


@contextmanager
def _encoder(file: BinaryIO, sound: SoundStream, tags: Mapping[str, str] | None) -> Iterator[Write]:
    """Give a function that takes the blocks of a sound, and write head and tail of the file round them."""
    vorbis_comment.check_tags(tags or {})
    rate, n_bytes = sound.sample_rate_hz, 2 * sound.n_samples
    if n_bytes > _MAX_DATA_BYTES:
        raise OutputError(f"a WAV holds at most 4 GiB, not {sound.n_samples} samples; write FLAC instead")
    tail = _tail(sound, tags or {})
    head = b"WAVE" + _chunk(b"fmt ", _FMT.pack(_PCM, 1, rate, 2 * rate, 2, 16)) + b"data" + struct.pack("<I", n_bytes)
    file.write(b"RIFF" + struct.pack("<I", len(head) + n_bytes + len(tail)) + head)
    written = 0

    def write(block: Block) -> None:
        nonlocal written
        file.write(block.astype("<i2", copy=False).tobytes())
        written += len(block)

    yield write
    assert written == sound.n_samples
    file.write(tail)


def _tail(sound: SoundStream, tags: Mapping[str, str]) -> bytes:
    """Return the chunks after the samples: loop and tags."""
    chunks = b""
    if sound.loop is not None:
        start, length = sound.loop
        # manufacturer, product, sample period in ns, unity note, pitch fraction, SMPTE format and offset, loops, data
        head = _SMPL_HEAD.pack(0, 0, round(1e9 / sound.sample_rate_hz), 60, 0, 0, 0, 1, 0)
        # cue id, forward, first frame, last frame played (inclusive), fraction, 0 = for ever
        chunks += _chunk(b"smpl", head + _SMPL_LOOP.pack(0, 0, start, start + length - 1, 0, 0))
    info = [(_INFO[name.upper()], value.encode() + b"\0") for name, value in tags.items() if name.upper() in _INFO]
    if info:
        chunks += _chunk(b"LIST", b"INFO" + b"".join(_chunk(*item) for item in info))
    return chunks


def describe(path: str | os.PathLike[str]) -> AudioInfo:
    """Return what a WAV file says about itself: PCM or float of any width, any number of channels.

    Raises:
        FormatError: The file cannot be read, is no WAV, is cut off, or its loop lies outside its samples.
    """
    with opened(path) as file:
        return _describe(file)


def loop_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return the first sample of a WAV file's loop and its length; None without one. Raises as `describe`."""
    return describe(path).loop


def _chunk(name: bytes, body: bytes) -> bytes:
    """Return a RIFF chunk; the pad byte that evens its length is not counted in its size."""
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _chunks(file: BinaryIO, end: int, names: Collection[bytes]) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield name, size and body of the chunks from here to a byte; of those that are not in names, no body."""
    at, there = file.tell(), file.seek(0, os.SEEK_END)
    count = 0
    while at < end:
        if at + 8 > end:
            raise FormatError(f"the WAV is cut off in the head of a chunk at byte {at}")
        if count == _MAX_CHUNKS:
            raise FormatError(f"the WAV has more than {_MAX_CHUNKS} chunks; the file is damaged")
        file.seek(at)
        head = file.read(8)
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if at + 8 + size > min(end, there):
            raise FormatError(f"the WAV is cut off: chunk {name!r} has {min(end, there) - at - 8} of its {size} bytes")
        yield name, size, file.read(min(size, _MAX_BODY_BYTES)) if name in names else b""
        at += 8 + size + size % 2
        count += 1


def _describe(file: BinaryIO) -> AudioInfo:
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise FormatError("the file is no WAV: it does not begin with RIFF and WAVE")
    size, there = int.from_bytes(head[4:8], "little") + 8, file.seek(0, os.SEEK_END)
    if size > there:
        raise FormatError(f"the WAV is cut off: it has {there} of its {size} bytes")
    found: dict[bytes, bytes] = {}
    n_bytes = -1
    file.seek(12)
    for name, length, body in _chunks(file, size, (b"fmt ", b"smpl", b"LIST")):
        if name == b"data" and n_bytes < 0:
            n_bytes = length
        elif body:
            found.setdefault(b"INFO" if body[:4] == b"INFO" else name, body)
    if len(found.get(b"fmt ", b"")) < _FMT.size or n_bytes < 0:
        raise FormatError("the WAV lacks its fmt or data chunk")
    kind, n_channels, rate, _, block, _ = _FMT.unpack_from(found[b"fmt "])
    if kind not in (_PCM, _FLOAT, _EXTENSIBLE):
        raise FormatError(f"the WAV's format must be PCM (1) or float (3), not {kind}")
    if not n_channels or not rate or not block:
        raise FormatError(f"the WAV's fmt chunk is damaged: {n_channels} channels, {rate} Hz, {block} bytes a frame")
    n_samples = n_bytes // block
    tags: dict[str, str] = {}
    info = io.BytesIO(found.get(b"INFO", b"INFO"))
    info.seek(4)
    for name, _, body in _chunks(info, len(info.getvalue()), _INFO_TAGS):
        if name in _INFO_TAGS:
            tags.setdefault(_INFO_TAGS[name], body.split(b"\0")[0].decode(errors="replace"))
    return AudioInfo("WAV", rate, n_channels, n_samples, check_loop(_smpl_loop(found.get(b"smpl")), n_samples), tags)


def _smpl_loop(body: bytes | None) -> tuple[int, int] | None:
    """Return start and length of the first loop of a `smpl` chunk."""
    if body is None:
        return None
    if len(body) < _SMPL_HEAD.size:
        raise FormatError(f"the WAV's smpl chunk must have at least {_SMPL_HEAD.size} bytes, not {len(body)}")
    if _SMPL_HEAD.unpack_from(body)[7] == 0:
        return None
    if len(body) < _SMPL_HEAD.size + _SMPL_LOOP.size:
        raise FormatError("the WAV's smpl chunk announces a loop and holds none")
    _, _, start, last, _, _ = _SMPL_LOOP.unpack_from(body, _SMPL_HEAD.size)
    return start, last - start + 1
