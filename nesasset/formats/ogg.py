"""OGG Vorbis with LOOPSTART and LOOPLENGTH, the same bytes on every run.

soundfile encodes; the project then writes the comment packet, the page layout of the headers, the stream's serial
number (libsndfile draws a random one), page numbers and checksums anew. The sound packets stay untouched, and the
file ends where the audio ends: the decoder's length is the input's.

Sources: RFC 3533 (Ogg pages); Vorbis I specification, sections 4.2 (headers) and A.2 (Vorbis in Ogg: the first header
alone on the first page, the other two after it, sound from a fresh page).
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, Final

from nesasset.audio import Audio
from nesasset.errors import AudioError, FormatError, out_of_range
from nesasset.formats import sound_stream, soundfile_encoder, vorbis_comment
from nesasset.formats.audio_info import AudioInfo, check_loop, opened
from nesasset.formats.sound_stream import Block, SoundStream, Write

DEFAULT_QUALITY: Final = 0.4  # libvorbis q4, libsndfile's own default: about 128 kbit/s in stereo

_PAGE: Final = struct.Struct("<4sBBqIIIB")  # magic, version, flags, granule, serial, number, checksum, n segments
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_MAX_SEGMENTS: Final = 255
_NO_PACKET_ENDS: Final = -1  # granule position of such a page
_IDENTIFICATION, _COMMENT, _SETUP = b"\x01vorbis", b"\x03vorbis", b"\x05vorbis"
_FRAMING_BIT: Final = b"\x01"
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class _Page:
    flags: int
    granule: int
    """Samples decoded when the last packet that ends here is done; -1 where none ends."""
    serial: int
    number: int
    lacing: bytes
    """Segment sizes; a packet ends with the first segment below 255."""
    body: bytes


def encode(audio: Audio, tags: Mapping[str, str] | None = None, quality: float = DEFAULT_QUALITY) -> bytes:
    """Return audio as the bytes of an OGG Vorbis file, the same for the same input and libvorbis.

    Args:
        audio: The sound; decoding gives as many samples back.
        tags: Comments in the order to write them.
        quality: 0 (small) to 1 (large).

    Raises:
        AudioError: quality is out of range, a tag cannot be a tag, or Vorbis cannot hold the audio.
    """
    file = io.BytesIO()
    with _encoder(file, sound_stream.of(audio), tags, quality) as write:
        write(audio.samples)
    return file.getvalue()


def save(
    sound: Audio | SoundStream,
    path: str | os.PathLike[str],
    tags: Mapping[str, str] | None = None,
    quality: float = DEFAULT_QUALITY,
) -> None:
    """Write an OGG Vorbis file, whole or not at all; a stream is made and written block by block.

    Raises:
        AudioError: As `encode`.
        OutputError: The file cannot be written.
    """
    sound_stream.write_out(sound, lambda stream: writing(stream, path, tags, quality))


def writing(
    sound: SoundStream,
    path: str | os.PathLike[str],
    tags: Mapping[str, str] | None = None,
    quality: float = DEFAULT_QUALITY,
) -> AbstractContextManager[Write]:
    """Give a function that takes the blocks of a sound and writes them; see `wav.writing`."""
    return sound_stream.written(path, lambda file: _encoder(file, sound, tags, quality))


@contextmanager
def _encoder(
    file: BinaryIO, sound: SoundStream, tags: Mapping[str, str] | None, quality: float
) -> Iterator[Write]:
    """Give a function that takes the blocks of a sound; then write libvorbis' packets on pages of our own."""
    if not 0 <= quality <= 1:
        raise AudioError(out_of_range("quality", quality, 0, 1))
    vorbis_comment.check_tags(tags or {})
    serial = 0
    with tempfile.TemporaryDirectory(prefix="nesasset-") as folder:
        plain = os.path.join(folder, "plain.ogg")
        with soundfile_encoder.encoder(plain, sound, "OGG", "VORBIS", 1 - quality) as encode:
            # A serial must differ between streams that are joined in one file, so it comes from the sound.
            samples_sum = sound.sample_rate_hz

            def write(block: Block) -> None:
                nonlocal samples_sum
                samples_sum = zlib.crc32(block.astype("<i2", copy=False).tobytes(), samples_sum)
                encode(block)

            yield write
            serial = samples_sum
        with open(plain, "rb") as encoded:
            _write_pages(_read_pages(encoded), serial, sound, tags or {}, file)


def _write_pages(
    pages: Iterator[_Page], serial: int, sound: SoundStream, tags: Mapping[str, str], file: BinaryIO
) -> None:
    """Write a stream with a comment and a serial of our own."""
    identification, comment, setup = _header_packets(list(_header_pages(pages)))
    vendor, _ = vorbis_comment.decode(comment[len(_COMMENT) :])
    comment = _COMMENT + vorbis_comment.encode(vendor, tags, sound.loop) + _FRAMING_BIT
    headers = _paginate([identification], _FIRST) + _paginate([comment, setup], 0)
    file.writelines(
        _page_to_bytes(page.flags, page.granule, serial, number, page.lacing, page.body)
        for number, page in enumerate(chain(headers, pages))
    )


def describe(path: str | os.PathLike[str]) -> AudioInfo:
    """Return what an OGG file with one Vorbis stream says about itself; every page's checksum is tested.

    Raises:
        FormatError: The file cannot be read, is no such OGG, is damaged or cut off, or its loop lies outside its samples.
    """
    with opened(path) as file:
        return _describe(file)


def loop_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return the first sample of an OGG file's loop and its length; None without one. Raises as `describe`."""
    return describe(path).loop


def _describe(file: BinaryIO) -> AudioInfo:
    pages = _read_pages(file)
    headers = list(_header_pages(pages))
    identification, comment, _ = _header_packets(headers)
    if len(identification) < 30:
        raise FormatError(f"the OGG's first header must have 30 bytes, not {len(identification)}; the file is damaged")
    n_channels, rate = struct.unpack_from("<BI", identification, 11)  # after type, 'vorbis' and a version of 32 bits
    last = headers[0]
    for number, page in enumerate(chain(headers, pages)):
        if page.serial != headers[0].serial:
            raise FormatError("the OGG must hold one stream, and it holds several")
        if page.number != number:
            raise FormatError(f"page {number} of the OGG is missing; the file is damaged")
        if number and last.flags & _LAST:
            raise FormatError(f"the OGG must end with the last page of its stream, {number - 1}, and it goes on")
        last = page
    if not last.flags & _LAST:
        raise FormatError(f"the OGG is cut off: page {last.number} is not the last one of its stream")
    n_samples = last.granule
    if not n_channels or not rate or n_samples < 0:
        raise FormatError(f"the OGG's header is damaged: {n_channels} channels, {rate} Hz, {n_samples} samples")
    tags, loop = vorbis_comment.split_loop(vorbis_comment.decode(comment[len(_COMMENT) :])[1])
    return AudioInfo("OGG", rate, n_channels, n_samples, check_loop(loop, n_samples), tags)


def _read_pages(file: BinaryIO) -> Iterator[_Page]:
    """Yield every page of a file. Raises FormatError at the first one that is cut off or fails its checksum."""
    at = count = 0
    while (head := file.read(_PAGE.size)) or not count:
        if not head:
            raise FormatError("the file is no OGG: it is empty")
        if len(head) < _PAGE.size:
            raise FormatError(f"the OGG is cut off in the head of page {count}")
        magic, version, flags, granule, serial, number, checksum, n_segments = _PAGE.unpack(head)
        if magic != b"OggS" or version != 0:
            raise FormatError(f"the file is no OGG or is damaged: no page begins at byte {at}")
        lacing = file.read(n_segments)
        body = file.read(sum(lacing))
        size, there = _PAGE.size + n_segments + sum(lacing), len(head) + len(lacing) + len(body)
        if there < size or len(lacing) < n_segments:
            raise FormatError(f"the OGG is cut off: page {count} has {there} of its {size} bytes")
        if _checksum(head[:22] + bytes(4) + head[26:] + lacing + body) != checksum:
            raise FormatError(f"page {count} of the OGG does not match its checksum; the file is damaged")
        yield _Page(flags, granule, serial, number, lacing, body)
        at, count = at + size, count + 1


def _pages(data: bytes) -> list[_Page]:
    """Return every page of a whole file, as tests that change pages want them; see `_read_pages`."""
    return list(_read_pages(io.BytesIO(data)))


def _header_pages(pages: Iterator[_Page]) -> Iterator[_Page]:
    """Yield the pages up to the one on which the third packet ends, and take no more."""
    n_packets = 0
    for page in pages:
        yield page
        n_packets += sum(size < _MAX_SEGMENTS for size in page.lacing)
        if n_packets >= 3:
            return


def _header_packets(pages: list[_Page]) -> list[bytes]:
    """Return the three packets that the header pages hold and nothing else."""
    packets = [bytearray()]  # growing in place: a cover picture makes a comment of 65 000 segments
    for page in pages:
        at = 0
        for size in page.lacing:
            packets[-1] += page.body[at : at + size]
            at += size
            if size < _MAX_SEGMENTS:
                packets.append(bytearray())
    if len(packets) != 4 or packets[3]:
        raise FormatError(
            "the OGG must begin with three Vorbis headers on pages of their own; it is of another kind or damaged"
        )
    for packet, head in zip(packets, (_IDENTIFICATION, _COMMENT, _SETUP), strict=False):
        if not packet.startswith(head):
            raise FormatError(f"the OGG holds no Vorbis: a header must begin with {head!r}, not {bytes(packet[:7])!r}")
    return [bytes(packet) for packet in packets[:3]]


def _paginate(packets: list[bytes], flags: int) -> list[_Page]:
    """Return pages that hold the packets and nothing else; flags are those of the first page."""
    lacing: list[int] = []
    for packet in packets:
        lacing += [255] * (len(packet) // 255) + [len(packet) % 255]
    body = b"".join(packets)
    pages: list[_Page] = []
    at = 0
    for start in range(0, len(lacing), _MAX_SEGMENTS):
        sizes = bytes(lacing[start : start + _MAX_SEGMENTS])
        continued = start > 0 and lacing[start - 1] == 255
        granule = 0 if min(sizes) < 255 else _NO_PACKET_ENDS
        page_flags = (flags if start == 0 else 0) | (_CONTINUED if continued else 0)
        pages.append(_Page(page_flags, granule, 0, 0, sizes, body[at : at + sum(sizes)]))
        at += sum(sizes)
    return pages


def _page_to_bytes(flags: int, granule: int, serial: int, number: int, lacing: bytes, body: bytes) -> bytes:
    def page(checksum: int) -> bytes:
        return _PAGE.pack(b"OggS", 0, flags, granule, serial, number, checksum, len(lacing)) + lacing + body

    return page(_checksum(page(0)))


def _checksum(page: bytes) -> int:
    """Return Ogg's CRC-32: polynomial 0x04C11DB7, most significant bit first, from 0, nothing inverted.

    zlib's CRC has the same polynomial with the bits of each byte and of the result reversed, from all ones and inverted
    at the end. So: reverse the input's bytes, start it such that its register is 0, undo its last inversion, reverse.
    """
    register = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{register:032b}"[::-1], 2)
