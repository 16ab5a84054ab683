"""WAV, OGG and FLAC: sample-exact loops, the same bytes on every run, and damaged files refused."""

from __future__ import annotations

import io
import random
import re
import struct
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import numpy as np
import pytest

from nesasset.audio import Audio
from nesasset.errors import AudioError, FormatError, NesassetError, OutputError
from nesasset.formats import flac, ogg, vorbis_comment, wav
from nesasset.formats.audio_info import AudioInfo
from nesasset.formats.sound_stream import SoundStream, Write, written

soundfile = pytest.importorskip("soundfile")

FORMATS = {"wav": wav, "ogg": ogg, "flac": flac}
TAGS = {"TITLE": "Höhle", "ARTIST": "nesasset", "COMMENT": "a = b\nc"}


def square(n_samples: int, loop: tuple[int, int] | None = None, rate: int = 44_100) -> Audio:
    """Return a decaying square wave with some dither, which no codec finds trivial."""
    time = np.arange(n_samples)
    noise = np.random.default_rng(n_samples).integers(-20, 20, n_samples)
    samples = np.where(time % 100 < 50, 9000, -9000) * np.exp(-(time % 9000) / 5000) + noise
    return Audio(samples.astype(np.int16), rate, loop)


LOOPING = square(60_001, (10_007, 49_994))


def encoded(module: ModuleType, audio: Audio = LOOPING, tags: dict[str, str] | None = None) -> bytes:
    """Return the bytes of a file."""
    data: bytes = module.encode(audio, TAGS if tags is None else tags)
    return data


def described(module: ModuleType, data: bytes, folder: Path) -> AudioInfo:
    """Return what a module's reader says about bytes."""
    path = folder / "file"
    path.write_bytes(data)
    info: AudioInfo = module.describe(path)
    return info


each_format = pytest.mark.parametrize("module", FORMATS.values(), ids=FORMATS)


@each_format
def test_out_and_back(module: ModuleType, tmp_path: Path) -> None:
    """Rate, length, loop and tags come back from a saved file."""
    module.save(LOOPING, tmp_path / "a", TAGS)
    info = module.describe(tmp_path / "a")
    assert (info.sample_rate_hz, info.n_channels, info.n_samples) == (44_100, 1, 60_001)
    assert info.loop == LOOPING.loop == module.loop_of(tmp_path / "a")
    assert info.tags == TAGS


@each_format
@pytest.mark.parametrize("n_samples", [1, 16_384, 16_385, 60_001])
def test_decoded_length_is_the_inputs(module: ModuleType, n_samples: int) -> None:
    """The library libsndfile decodes as many samples as went in: the file ends where the loop ends."""
    audio = square(n_samples, (0, n_samples))
    decoded, rate = soundfile.read(io.BytesIO(encoded(module, audio)), dtype="int16")
    assert (len(decoded), rate) == (n_samples, 44_100)
    if module is not ogg:
        assert np.array_equal(decoded, audio.samples)


@each_format
@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_rates(module: ModuleType, rate: int, tmp_path: Path) -> None:
    """Every rate that games use is written and read back."""
    assert described(module, encoded(module, square(5000, (0, 5000), rate)), tmp_path).sample_rate_hz == rate


@each_format
def test_same_bytes_every_run(module: ModuleType) -> None:
    """Encoding twice gives the same bytes."""
    assert encoded(module) == encoded(module)


@each_format
def test_one_shot_has_no_loop(module: ModuleType, tmp_path: Path) -> None:
    """A sound that ends carries no loop in any form."""
    data = encoded(module, square(5000))
    assert b"smpl" not in data
    assert b"LOOP" not in data
    assert described(module, data, tmp_path).loop is None


@each_format
def test_every_truncation_is_noticed(module: ModuleType, tmp_path: Path) -> None:
    """A file cut off at any place is a FormatError."""
    data = encoded(module, square(3000, (0, 3000)))
    for length in [*range(0, len(data) - 1, max(1, len(data) // 60)), len(data) - 2]:
        with pytest.raises(FormatError):
            described(module, data[:length], tmp_path)


@each_format
def test_mutated_files_raise_only_our_errors(module: ModuleType, tmp_path: Path) -> None:
    """300 damaged files are described or raise a NesassetError, nothing else."""
    generator = random.Random(2)
    data = encoded(module, square(3000, (5, 2995)))
    header = min(len(data), 600)  # where most of what we read ourselves stands
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(generator.choice((1, 1, 3, 20))):
            damaged[generator.randrange(generator.choice((header, len(data))))] = generator.choice(
                (0, 255, generator.randrange(256))
            )
        try:
            described(
                module,
                bytes(damaged[: generator.choice((len(data), len(data), generator.randrange(len(data))))]),
                tmp_path,
            )
        except NesassetError:
            refused += 1
    assert refused > 100


def test_mutated_ogg_with_true_checksums(tmp_path: Path) -> None:
    """300 OGGs whose headers lie although their checksums fit are described or raise a NesassetError."""
    generator = random.Random(4)
    pages = unchecked_pages(encoded(ogg, square(3000, (5, 2995))))
    refused = 0
    for _ in range(300):
        data = b""
        target = generator.randrange(2)
        for index, page in enumerate(pages):
            body = bytearray(page.body)
            if index == target:
                body[generator.randrange(min(len(body), 160))] = generator.choice((0, 255, generator.randrange(256)))
            granule = generator.choice((page.granule, page.granule, -1, 0))
            data += ogg._page_to_bytes(page.flags, granule, page.serial, page.number, page.lacing, bytes(body))
        try:
            described(ogg, data, tmp_path)
        except NesassetError:
            refused += 1
    assert 100 < refused < 300


@each_format
@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"": "x"}, "a tag's name must be printable ASCII"),
        ({"A=B": "x"}, "a tag's name must be printable ASCII"),
        ({"TITEL\n": "x"}, "a tag's name must be printable ASCII"),
        ({"loopstart": "1"}, "the tag LOOPSTART is written from the audio's own loop"),
        ({"TITLE": "LOOPLENGTH=3"}, "must not contain LOOPSTART= or LOOPLENGTH="),
        ({"TITLE": "a\0b"}, "must not hold a zero character"),
        ({"TITLE": "\ud800"}, "must be Unicode text"),
    ],
)
def test_tags_that_cannot_be(module: ModuleType, tags: dict[str, str], message: str) -> None:
    """A tag that would break a file or mislead a reader is an AudioError."""
    with pytest.raises(AudioError, match=re.escape(message)):
        module.encode(LOOPING, tags)


@each_format
def test_a_failed_save_leaves_nothing(module: ModuleType, tmp_path: Path) -> None:
    """A file in a folder that is not there is an OutputError, and nothing is made."""
    with pytest.raises(OutputError, match="its folder does not exist"):
        module.save(LOOPING, tmp_path / "missing" / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", [ogg, flac])
def test_loop_past_the_end_is_refused(module: ModuleType, tmp_path: Path) -> None:
    """A loop that reaches one sample too far, which SDL_mixer drops silently, is a FormatError."""
    data = encoded(module, square(3000, (0, 3000)), {})
    wrong = data.replace(b"LOOPLENGTH=3000", b"LOOPLENGTH=3001")
    if module is ogg:  # the checksum of the page must fit, or that would be the error
        wrong = b"".join(
            ogg._page_to_bytes(page.flags, page.granule, page.serial, page.number, page.lacing, page.body)
            for page in unchecked_pages(wrong)
        )
    with pytest.raises(FormatError, match="the loop must lie within the 3000 samples, not start 0 length 3001"):
        described(module, wrong, tmp_path)


# Streams


def in_blocks(audio: Audio, size: int) -> SoundStream:
    """Return a sound that comes in blocks of a size."""
    parts = [audio.samples[at : at + size] for at in range(0, len(audio.samples), size)]
    return SoundStream(len(audio.samples), audio.sample_rate_hz, audio.loop, lambda: iter(parts))


@each_format
@pytest.mark.parametrize("size", [777, 16_384, 30_000])
def test_a_stream_makes_the_same_file(module: ModuleType, size: int, tmp_path: Path) -> None:
    """Written block by block, whatever the blocks, a file has the bytes of the sound encoded at once."""
    module.save(in_blocks(LOOPING, size), tmp_path / "a", TAGS)
    assert (tmp_path / "a").read_bytes() == encoded(module)


@each_format
def test_an_interrupted_stream_leaves_the_old_file(module: ModuleType, tmp_path: Path) -> None:
    """When making the sound fails half-way, the old file stays and no other is left."""

    def blocks() -> Iterator[np.ndarray]:
        yield LOOPING.samples[:30_000]
        raise KeyboardInterrupt

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        module.save(SoundStream(60_001, 44_100, None, blocks), tmp_path / "a")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@each_format
def test_an_error_of_the_sound_is_not_the_formats(module: ModuleType, tmp_path: Path) -> None:
    """What goes wrong while the sound is made is told as it is, not as something that the format cannot hold."""

    def blocks() -> Iterator[np.ndarray]:
        yield LOOPING.samples[:30_000]
        raise RuntimeError("the chip is out of order")

    with pytest.raises(RuntimeError, match="the chip is out of order"):
        module.save(SoundStream(60_001, 44_100, None, blocks), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_is_one_sentence(tmp_path: Path) -> None:
    """An error of the system while blocks are written names the file and leaves nothing."""

    @contextmanager
    def failing(file: BinaryIO) -> Iterator[Write]:
        def write(block: object) -> None:
            raise OSError(28, "No space left on device")

        yield write

    sentence = re.escape(f"cannot write '{tmp_path / 'a'}': the disk is full; free some space and try again")
    with pytest.raises(OutputError, match=sentence), written(tmp_path / "a", failing) as write:
        write(LOOPING.samples)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["folder", "null", "a\0b"])
def test_what_cannot_be_a_sound_file_is_not_replaced(name: str, tmp_path: Path) -> None:
    """Folders, devices and impossible names are refused before any sound is made."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "null").symlink_to("/dev/null")
    with pytest.raises(OutputError, match="cannot write"):
        wav.save(LOOPING, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "null"]


# WAV


def test_a_wav_above_4_gib_is_refused(tmp_path: Path) -> None:
    """Sizes in a WAV have 32 bits; a longer sound is refused before any of it is made."""
    with pytest.raises(OutputError, match="a WAV holds at most 4 GiB, not 2100000000 samples; write FLAC instead"):
        wav.save(SoundStream(2_100_000_000, 44_100, None, lambda: iter(())), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_large_wav_is_described_without_its_samples(tmp_path: Path) -> None:
    """A WAV of 3 GB says what it is; its samples, here a hole in the file, are not read."""
    head = bytearray(wav.encode(square(2)))
    head[4:8], head[40:44] = struct.pack("<I", 36 + 3_000_000_000), struct.pack("<I", 3_000_000_000)
    with (tmp_path / "a").open("wb") as file:
        file.write(head[:44])
        file.truncate(44 + 3_000_000_000)
    assert wav.describe(tmp_path / "a").n_samples == 1_500_000_000


def test_a_wav_of_nothing_but_chunks_is_refused(tmp_path: Path) -> None:
    """A file with more chunks than any program writes is damaged, and not walked through to its end."""
    body = b"WAVE" + b"\0" * 8 * 10_001
    with pytest.raises(FormatError, match="the WAV has more than 10000 chunks; the file is damaged"):
        described(wav, b"RIFF" + struct.pack("<I", len(body)) + body, tmp_path)


def test_wav_bytes() -> None:
    """A WAV of three samples with a loop of two, byte by byte."""
    audio = Audio(np.array([1, -2, 3], dtype=np.int16), 44_100, (1, 2))
    assert (
        wav.encode(audio, {"TITLE": "abc"})
        == bytes.fromhex(
            "52494646 86000000 57415645"  # RIFF, size, WAVE
            "666d7420 10000000 0100 0100 44ac0000 88580100 0200 1000"  # fmt: PCM, mono, 44100, 88200 bytes/s, 2 bytes, 16 bits
            "64617461 06000000 0100 feff 0300"  # data: three samples, an even size
            "736d706c 3c000000 00000000 00000000"  # smpl: 60 bytes; manufacturer, product
            "94580000 3c000000 00000000"  # 22676 ns a sample; note 60; pitch fraction
            "00000000 00000000 01000000 00000000"  # SMPTE format, offset; one loop; no more data
            "00000000 00000000 01000000 02000000"  # cue 0, forward, first sample 1, last sample 2 (inclusive)
            "00000000 00000000"  # fraction; 0 = for ever
            "4c495354 10000000 494e464f"  # LIST of 16 bytes, INFO
            "494e414d 04000000 61626300"  # INAM: abc and its zero
        )
    )


def test_wav_for_the_standard_library() -> None:
    """Python's own reader agrees about the sound."""
    with wave.open(io.BytesIO(encoded(wav))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 44_100)
        assert file.readframes(file.getnframes()) == LOOPING.samples.astype("<i2").tobytes()


def test_wav_chunks_are_even() -> None:
    """A tag of odd length is padded, and its size does not count the pad."""
    data = wav.encode(square(10), {"TITLE": "ab"})
    assert data.endswith(b"INAM\x03\0\0\0ab\0\0")
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_wav_of_another_program(tmp_path: Path) -> None:
    """A stereo float WAV with a smpl chunk before its data is described."""
    smpl = struct.pack("<9I", 0, 0, 20833, 60, 0, 0, 0, 1, 0) + struct.pack("<6I", 0, 0, 3, 7, 0, 0)
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 3, 2, 48_000, 384_000, 8, 32)
    chunks += b"smpl" + struct.pack("<I", len(smpl)) + smpl + b"data" + struct.pack("<I", 80) + bytes(80)
    info = described(wav, b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks, tmp_path)
    assert (info.sample_rate_hz, info.n_channels, info.n_samples, info.loop) == (48_000, 2, 10, (3, 5))


# OGG


def unchecked_pages(data: bytes) -> list[ogg._Page]:
    """Return the pages of an OGG by a walk of our own, checksums untested."""
    pages = []
    at = 0
    while at < len(data):
        _, _, flags, granule, serial, number, _, n_segments = struct.unpack_from("<4sBBqIIIB", data, at)
        lacing = data[at + 27 : at + 27 + n_segments]
        end = at + 27 + n_segments + sum(lacing)
        pages.append(ogg._Page(flags, granule, serial, number, lacing, data[at + 27 + n_segments : end]))
        at = end
    return pages


def crc_by_bits(data: bytes) -> int:
    """Return Ogg's checksum the long way, as RFC 3533 words it."""
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register & 0x80000000 else 0)) & 0xFFFFFFFF
    return register


@pytest.mark.parametrize("length", [0, 1, 27, 300])
def test_ogg_checksum_by_two_ways(length: int) -> None:
    """The checksum by zlib equals the one by bits."""
    data = random.Random(length).randbytes(length)
    assert ogg._checksum(data) == crc_by_bits(data)


def test_ogg_sound_is_untouched() -> None:
    """The decoded sound is that of libsndfile's own file: only headers and page heads change."""
    plain = io.BytesIO()
    soundfile.write(plain, LOOPING.samples[:16_000], 44_100, format="OGG", subtype="VORBIS", compression_level=0.6)
    ours = ogg.encode(Audio(LOOPING.samples[:16_000], 44_100), TAGS)
    expected = soundfile.read(io.BytesIO(plain.getvalue()), dtype="int16")[0]
    assert np.array_equal(soundfile.read(io.BytesIO(ours), dtype="int16")[0], expected)


def test_ogg_loop_tags_are_last_and_adjacent() -> None:
    """LOOPSTART and LOOPLENGTH end the comment packet in this order, and the framing bit follows."""
    data = encoded(ogg)
    ending = b"\x0f\0\0\0LOOPSTART=10007\x10\0\0\0LOOPLENGTH=49994\x01"
    assert data.count(b"LOOP") == 2
    assert ending in data


@pytest.mark.parametrize("module", [ogg, flac])
@pytest.mark.parametrize("length", range(40, 60))
def test_rpg_maker_reads_the_loop(module: ModuleType, length: int) -> None:
    """RPG Maker's rule, digits up to the next zero byte, finds the loop whatever the other tags' lengths are."""
    audio = square(20_300, (300, 20_000))
    head = module.encode(audio, {"COMMENT": "LOOP " + "x" * (length - 13)})[:4000].decode("latin1")
    found = {}
    for text in re.findall("LOOP[^\0]*", head):
        for name, digits in re.findall("(LOOPSTART|LOOPLENGTH)=([0-9]+)", text):
            found[name] = int(digits)
    assert found == {"LOOPSTART": 300, "LOOPLENGTH": 20_000}


@pytest.mark.parametrize("length", [0, 100, 254, 255, 256, 65_025 - 3600, 65_025, 65_026, 200_000, 195_075 - 3542])
def test_ogg_pages_for_any_length_of_comments(length: int, tmp_path: Path) -> None:
    """Comments that move the header pages leave a file that the reference decoder and our reader take."""
    audio = square(5000, (0, 5000))
    data = ogg.encode(audio, {"COMMENT": "x" * length})
    assert len(soundfile.read(io.BytesIO(data))[0]) == 5000
    info = described(ogg, data, tmp_path)
    assert (len(info.tags["COMMENT"]), info.loop) == (length, (0, 5000))
    pages = unchecked_pages(data)
    assert [page.number for page in pages] == list(range(len(pages)))
    assert len({page.serial for page in pages}) == 1
    # A page that begins within a packet says so, and one on which none ends has granule -1.
    for before, page in pairwise(pages):
        assert bool(page.flags & 1) == (before.lacing[-1] == 255)
        assert (page.granule == -1) == (min(page.lacing) == 255)


def test_ogg_serial_comes_from_the_sound() -> None:
    """Other sounds have other serials, other tags have not."""
    serials = [
        unchecked_pages(data)[0].serial
        for data in (encoded(ogg), encoded(ogg, tags={}), encoded(ogg, square(5000)), encoded(ogg, square(5001)))
    ]
    assert serials[0] == serials[1]
    assert len(set(serials)) == 3


def test_ogg_quality_changes_the_size() -> None:
    """A higher quality makes a larger file; out of range is an AudioError."""
    assert len(ogg.encode(LOOPING, quality=0.8)) > len(ogg.encode(LOOPING, quality=0.1))
    with pytest.raises(AudioError, match=r"quality must be between 0 and 1, not 1\.5"):
        ogg.encode(LOOPING, quality=1.5)


@pytest.mark.parametrize("module", [ogg, flac])
def test_mutagen_agrees(module: ModuleType) -> None:
    """Another tag library reads vendor, tags and loop."""
    mutagen = pytest.importorskip("mutagen")
    file = mutagen.File(io.BytesIO(encoded(module)))
    assert {name.upper(): values for name, values in file.tags.as_dict().items()} == {
        **{name: [value] for name, value in TAGS.items()},
        "LOOPSTART": ["10007"],
        "LOOPLENGTH": ["49994"],
    }
    assert file.tags.vendor
    assert file.info.length == pytest.approx(60_001 / 44_100)


# FLAC


def test_flac_refuses_what_it_cannot_hold() -> None:
    """Silence of no length and rates that FLAC cannot write are an AudioError, not a crash."""
    with pytest.raises(AudioError, match="a FLAC must hold at least one sample, not 0"):
        flac.encode(square(0))
    with pytest.raises(AudioError, match="FLAC cannot hold 100 samples at 95999 Hz"):
        flac.encode(square(100, rate=95_999))


def test_flac_blocks() -> None:
    """The file has STREAMINFO, our comments and padding, the last one marked as last."""
    data = encoded(flac)
    blocks, first_frame = flac._metadata(data)
    assert [kind for kind, _ in blocks] == [0, 4, 1]
    assert data[first_frame : first_frame + 2] in (b"\xff\xf8", b"\xff\xf9")


# Comments


@pytest.mark.parametrize(
    ("comments", "loop"),
    [
        ([("LOOPSTART", "5"), ("LOOPLENGTH", "7")], (5, 7)),
        ([("LOOPSTART", "5"), ("LOOPEND", "12")], (5, 7)),
        ([("LOOPSTART", "5")], None),
        ([("LOOPSTART", "0:01.0"), ("LOOPLENGTH", "7")], None),
        ([("LOOPSTART", "-5"), ("LOOPLENGTH", "7")], None),
    ],
)
def test_loop_of_comments(comments: list[tuple[str, str]], loop: tuple[int, int] | None) -> None:
    """Start with length or end gives a loop; what is no plain number is no loop tag."""
    assert vorbis_comment.split_loop([("TITLE", "x"), *comments]) == ({"TITLE": "x"}, loop)


def test_comment_block_out_and_back() -> None:
    """Vendor and comments come back from a block."""
    block = vorbis_comment.encode(b"libVorbis", {"title": "a=b"}, (1, 2))
    assert vorbis_comment.decode(block) == (
        b"libVorbis",
        [("TITLE", "a=b"), ("LOOPSTART", "1"), ("LOOPLENGTH", "2")],
    )
