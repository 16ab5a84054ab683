"""NSF: the player plays the log write for write, the header and chunks say what they must, other programs agree.

`python tests/test_nsf.py` assembles the player's source and writes nesasset/formats/nes_player/__init__.py anew.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pieces
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesasset.apu.writes import unroll
from nesasset.driver import drive
from nesasset.errors import FormatError
from nesasset.formats import nes_player, nsf
from nesasset.formats.nes_player import font, stream
from nesasset.register_log import APU_REGISTERS, RegisterLog
from nesasset.units import CLOCKS_HZ

ROOT = Path(__file__).parent.parent
PLAYER = ROOT / "nesasset" / "formats" / "nes_player"
ORIGINS = {"nsf": 0x8000, "jukebox": 0xF000}

py65 = pytest.importorskip("py65", reason="py65, a 6502 for tests, is not installed")
from console_6502 import NsfMachine, Write  # noqa: E402


def random_log(seed: int, n_frames: int, loop: tuple[int, int] | None, n_writes: int = 8, alphabet: int = 256) -> RegisterLog:
    """Return a log with frames of 0 to n_writes writes; a small alphabet makes it repeat itself."""
    random = np.random.default_rng(seed)
    registers = sorted(APU_REGISTERS)
    writes = [
        (frame, int(random.choice(registers)), int(random.integers(alphabet)))
        for frame in range(n_frames)
        if random.random() < 0.6
        for _ in range(random.integers(n_writes + 1))
    ]
    return pieces.make_log(writes, n_frames, loop)


def crowded_log(n_frames: int, n_writes: int) -> RegisterLog:
    """Return a log with n_writes writes of noise in every frame: nothing in it repeats itself."""
    values = np.random.default_rng(0).integers(0, 256, n_frames * n_writes).astype(np.uint8)
    frames = np.repeat(np.arange(n_frames), n_writes)
    return RegisterLog(frames, np.full(len(frames), 0x4011, dtype=np.uint16), values, n_frames)


def expected(log: RegisterLog, n_frames: int) -> list[Write]:
    """Return the writes of an endless performance; a log that ends is silenced."""
    played = unroll(log, n_frames)
    columns = (played.frames.tolist(), played.addresses.tolist(), played.values.tolist())
    writes = list(zip(*columns, strict=True))
    if log.loop is None and log.n_frames < n_frames:
        writes.append((log.n_frames, 0x4015, 0))
    return writes


def two_loops(log: RegisterLog) -> int:
    """Return the frames of the intro, two loops and a bit."""
    start, end = log.loop or (0, log.n_frames)
    return start + 2 * (end - start) + 40


def chunks_of(data: bytes) -> dict[bytes, bytes]:
    """Return the chunks behind an NSF2's data."""
    at = 0x80 + int.from_bytes(data[0x7D:0x80], "little")
    found = {}
    while at < len(data):
        size, name = struct.unpack("<I4s", data[at : at + 8])
        found[name] = data[at + 8 : at + 8 + size]
        assert len(found[name]) == size
        at += 8 + size
    assert list(found)[-1] == b"NEND"
    return found


COMPOSED = {
    "loop": drive(pieces.loop_score(1, bars=4)),
    "intro": drive(pieces.loop_score(2, bars=4, intro_bars=2, groove=(5, 6))),
    "jingle": drive(pieces.jingle_score()),
}


@pytest.mark.parametrize("log", COMPOSED.values(), ids=COMPOSED)
def test_the_player_writes_what_the_log_says(log: RegisterLog) -> None:
    """Over two loops of driven music, play writes each frame's writes in their order, and no others."""
    machine = NsfMachine(nsf.dumps([log]))
    writes, cycles = machine.perform(0, two_loops(log))
    assert writes == expected(log, two_loops(log))
    assert max(cycles) < 1400


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n_frames=st.integers(1, 150),
    loop=st.none() | st.tuples(st.integers(0, 149), st.integers(1, 150)),
    n_writes=st.sampled_from([0, 1, 4, 20, 130, 300]),
    alphabet=st.sampled_from([1, 2, 256]),
)
def test_the_player_plays_any_log(seed: int, n_frames: int, loop, n_writes: int, alphabet: int) -> None:
    """Random logs, with crowded frames, long rests and repetitions, come out of the player write for write."""
    if loop is not None:
        start = loop[0] % n_frames
        loop = (start, min(start + loop[1], n_frames))
    if n_writes > 100:
        n_frames, loop = min(n_frames, 12), None
    log = random_log(seed, n_frames, loop, n_writes, alphabet)
    writes, cycles = NsfMachine(nsf.dumps([log])).perform(0, two_loops(log))
    assert writes == expected(log, two_loops(log))
    crowd = np.bincount(log.frames, minlength=1).max()
    assert max(cycles) <= stream.CYCLES_OF_A_CALL + stream.CYCLES_OF_A_WRITE * crowd


def test_songs_that_cross_banks_and_share_passages() -> None:
    """Three songs over many banks, two of them alike, are each played whole, whatever song came before."""
    noise = random_log(3, 400, (100, 400), n_writes=40)
    half = pieces.make_log([w for w in expected(noise, 300) if w[0] < 300], 300, (0, 300))
    logs = [noise, COMPOSED["loop"], half]
    data = nsf.dumps(logs)
    assert len(data) > 0x80 + 4 * 0x1000
    machine = NsfMachine(data)
    for song in (2, 0, 1):
        writes, _ = machine.perform(song, two_loops(logs[song]))
        assert writes == expected(logs[song], two_loops(logs[song]))


def test_repetition_is_stored_once() -> None:
    """A song again as the second of a pack costs next to nothing, and is still played."""
    log = COMPOSED["intro"]
    once, twice = (sum(map(len, placed(n * [log]).images)) for n in (1, 2))
    assert twice - once < 40
    writes, _ = NsfMachine(nsf.dumps([log, log])).perform(1, two_loops(log))
    assert writes == expected(log, two_loops(log))


def placed(logs: list[RegisterLog]) -> stream.Placed:
    songs = stream.compress([stream.steps_of(log) for log in logs])
    found = stream.place(songs, (), [stream.Segment(bank, 0x9000, 0x1000) for bank in range(255)])
    assert found is not None
    return found


@pytest.mark.parametrize("size", range(40, 72))
def test_every_boundary_between_segments_is_crossed(size: int) -> None:
    """Segments of a few bytes, so that every command comes to stand before, at and behind a boundary."""
    log = random_log(size, 60, (7, 55), n_writes=5, alphabet=3)
    songs = stream.compress([stream.steps_of(log)] * 2)
    segments = [stream.Segment(bank, 0x9000 + 3 * bank, size) for bank in range(60)]
    found = stream.place(songs, (b"text" * 5,), segments)
    assert found is not None
    for song in found.songs:
        assert decoded(found, segments, song, two_loops(log)) == expected(log, two_loops(log))


def decoded(found: stream.Placed, segments: list[stream.Segment], start: stream.Address, n_frames: int) -> list[Write]:
    """Play a stream in plain Python: a second reading of what player.s says at its top."""
    memory = {}
    for segment, image in zip(segments, found.images, strict=True):
        assert len(image) <= segment.size
        memory |= {(segment.bank, segment.address + at): byte for at, byte in enumerate(image)}
    bank, address = start
    frame, passages, writes = 0, [], []
    while frame < n_frames:
        code, one, two, three, four = (memory.get((bank, address + at), 0) for at in range(5))
        if code < 0x80:
            writes.append((frame, 0x4000 + code, one))
            address += 2
        elif code < 0xE0:
            frame += 1 + (code - 0x80)
            address += 1
            while passages:
                passages[-1][0] -= 1
                if passages[-1][0]:
                    break
                _, bank, address = passages.pop()
        elif code == 0xE0:
            bank, address = three, one | two << 8
        else:
            assert code == 0xE1 and len(passages) < 4
            passages.append([one, bank, address + 5])
            bank, address = four, two | three << 8
    return writes


def test_the_bytes_are_those_of_the_source(tmp_path: Path) -> None:
    """ca65 and ld65 make of the commented source exactly the bytes that the package carries."""
    if shutil.which("ca65") is None:
        pytest.skip("cc65 (ca65, ld65) is not installed")
    assert assembled("nsf", tmp_path) == nes_player.NSF_CODE
    assert assembled("jukebox", tmp_path) == nes_player.JUKEBOX_CODE


def assembled(name: str, folder: Path) -> bytes:
    objects, binary = folder / f"{name}.o", folder / f"{name}.bin"
    subprocess.run(["ca65", str(PLAYER / f"{name}.s"), "-o", str(objects)], check=True)
    subprocess.run(["ld65", "-t", "none", "-S", f"0x{ORIGINS[name]:X}", str(objects), "-o", str(binary)], check=True)
    return binary.read_bytes()


def test_header() -> None:
    """Each field of the header stands where the specification puts it; 60 frames a second are 16667 microseconds."""
    data = nsf.dumps([COMPOSED["loop"]] * 3, author="Jos\u00e9", album="x" * 40, copyright="2031 n")
    assert data[:8] == b"NESM\x1a\x02\x03\x01"
    assert struct.unpack("<3H", data[8:14]) == (0x8000, 0x8000, 0x8003)
    assert data[0x0E:0x2E] == b"x" * 31 + b"\0"
    assert data[0x2E:0x4E] == b"Jose".ljust(32, b"\0")
    assert data[0x4E:0x6E] == b"2031 n".ljust(32, b"\0")
    assert struct.unpack("<H", data[0x6E:0x70]) == (16667,)
    assert data[0x70:0x78] == bytes([0, 1, 0, 0, 0, 0, 0, 0])
    assert struct.unpack("<H3B", data[0x78:0x7D]) == (16667, 0, 0, 0)


def test_metadata_of_nsf2() -> None:
    """Titles, texts, times and fades stand in the chunks behind the data, in milliseconds and whole."""
    logs = [COMPOSED["intro"], COMPOSED["jingle"]]
    long_title = "\u00dc" + "very " * 20 + "long"
    data = nsf.dumps(logs, titles=[long_title, "b\0c"], author="A", album="B", copyright="C", loops=3, fade_ms=500)
    found = chunks_of(data)
    assert found[b"tlbl"] == long_title.encode() + b"\0b c\0"
    assert found[b"auth"] == b"B\0A\0C\0\0"
    start, end = logs[0].loop
    assert struct.unpack("<2i", found[b"time"]) == (
        round((start + 3 * (end - start)) / 0.06),
        round(logs[1].n_frames / 0.06),
    )
    assert struct.unpack("<2i", found[b"fade"]) == (500, 0)


def test_version_1_has_no_metadata() -> None:
    """A version 1 file ends with its banks, and its reserved bytes are zero."""
    data = nsf.dumps([COMPOSED["loop"]], nsf2=False)
    assert data[5] == 1
    assert data[0x7C:0x80] == bytes(4)
    assert (len(data) - 0x80) % 0x1000 == 0


def test_rate_and_region_reach_the_header() -> None:
    """A PAL log of 50 frames a second becomes a PAL file with its period."""
    data = nsf.dumps([pieces.make_log([(0, 0x4015, 15)], 9, frame_rate_hz=50.0, region="pal")])
    assert struct.unpack("<H", data[0x78:0x7A]) == (20000,)
    assert data[0x7A] == 1


def test_sample_memory_lies_where_the_chip_reads_it() -> None:
    """Init maps each song's sample memory to $C000, filled up with zeros; equal memories are stored once."""
    first = pieces.make_log([(0, 0x4015, 0x1F)], 9, memory=bytes(range(256)) * 20)
    second = pieces.make_log([(0, 0x4015, 0x10)], 9, memory=b"\x55" * 0x4000)
    data = nsf.dumps([COMPOSED["loop"], first, second, first])
    machine = NsfMachine(data)
    for song, log in ((1, first), (2, second), (3, first)):
        machine.call(machine.init_address, a=song)
        assert bytes(machine[at] for at in range(0xC000, 0x10000)) == log.memory.ljust(0x4000, b"\0")
    assert len(machine.data) == 0x1000 * (1 + 1 + 3 + 1)  # code, streams, two full banks and a zero one, one of $55


def test_init_silences_the_chip_first() -> None:
    """Init leaves no register of the song before, switches four channels on and the frame interrupt off."""
    machine = NsfMachine(nsf.dumps([COMPOSED["loop"]]))
    machine.call(machine.init_address)
    state = {address: value for _, address, value in machine.writes}
    assert state == dict.fromkeys(range(0x4000, 0x4014), 0) | {0x4015: 0x0F, 0x4017: 0x40}
    assert machine.writes[0] == (0, 0x4015, 0)


def test_the_same_logs_give_the_same_bytes() -> None:
    """A file depends on nothing but what it is made from."""
    assert nsf.dumps(list(COMPOSED.values())) == nsf.dumps(list(COMPOSED.values()))


HUGE = crowded_log(1050, 500)

REFUSED = {
    "the number of songs must be between 1 and 255, not 0": {"logs": []},
    "the number of songs must be between 1 and 255, not 256": {"logs": [COMPOSED["jingle"]] * 256},
    "every song needs a title, but there are 1 songs and 2 titles": {"titles": ["a", "b"]},
    "loops must be between 1 and 1000, not 0": {"loops": 0},
    "fade_ms must be between 0 and 600000, not -1": {"fade_ms": -1},
    "all songs of one file must have the same frames a second, but song 1 has 60.0 and song 2 has 50.0; write two files": {
        "logs": [COMPOSED["loop"], pieces.make_log([], 1, frame_rate_hz=50.0)]
    },
    "all songs of one file must have the same region, but song 1 has ntsc and song 2 has pal; write two files": {
        "logs": [COMPOSED["loop"], pieces.make_log([], 1, region="pal")]
    },
    "an NSF is for NTSC or PAL, not 'dendy'; write another format": {"logs": [pieces.make_log([], 1, region="dendy")]},
    "song 1 writes 700 registers in frame 3, and at 60 frames a second the console's CPU has time for 671; thin the log out": {
        "logs": [pieces.make_log([(3, 0x4011, 0)] * 700, 9)]
    },
    "frame_rate_hz must be between 1.0 and 10000.0, not nan": {"logs": [pieces.make_log([], 1, frame_rate_hz=float("nan"))]},
    "frames a second of an NSF must be between 15.26 and 10000, not 10.0": {"logs": [pieces.make_log([], 1, frame_rate_hz=10.0)]},
    "the number of frames of song 1 must be between 1 and 4194304, not 1000000000000": {"logs": [pieces.make_log([], 10**12)]},
    "an NSF holds 1 MiB, and these 1 songs need more; put them into several files, or shorten them": {"logs": [HUGE]},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_no_nsf_can_hold_is_refused(message: str) -> None:
    """Each hopeless request is answered by one sentence."""
    arguments = {"logs": [COMPOSED["loop"]]} | REFUSED[message]
    with pytest.raises(FormatError, match=re.escape(message) + "$"):
        nsf.dumps(arguments.pop("logs"), **arguments)


def test_255_songs() -> None:
    """A pack may have 255 songs; the last one plays."""
    logs = [pieces.make_log([(0, 0x4000, number)], 5) for number in range(255)]
    writes, _ = NsfMachine(nsf.dumps(logs)).perform(254, 3)
    assert writes == [(0, 0x4000, 254)]


def test_save_writes_the_bytes(tmp_path: Path) -> None:
    """A saved file holds what dumps returns."""
    nsf.save([COMPOSED["jingle"]], tmp_path / "a.nsf", titles=["t"], author="a", album="b")
    assert (tmp_path / "a.nsf").read_bytes() == nsf.dumps([COMPOSED["jingle"]], titles=["t"], author="a", album="b")


@given(st.text())
def test_any_text_becomes_printable_ascii(text: str) -> None:
    """No title, however strange, puts anything but printable ASCII into a header or an unknown tile on a screen."""
    assert all(" " <= one <= "~" for one in font.to_ascii(text))
    assert max(font.to_tiles(text, 26)) < 64
    assert len(font.to_tiles(text, 26)) == 26


def melody() -> RegisterLog:
    """Return 40 s of single notes of half a second with a rest behind each: pulse 1 and triangle in turns."""
    writes: list[Write] = [(0, 0x4015, 0x0F), (0, 0x4017, 0x40), (0, 0x4001, 0x08), (0, 0x4000, 0xB0), (0, 0x4008, 0x80)]
    periods = [253, 1016, 338, 126, 507, 800, 169]
    for number in range(80):
        period, frame = periods[number % 7], 6 + 30 * number
        on, off, low = ((0x4000, 0xBC), (0x4000, 0xB0), 0x4002) if number % 2 else ((0x4008, 0xFF), (0x4008, 0x80), 0x400A)
        writes += [(frame, *on), (frame, low, period & 255), (frame, low + 1, 8 | period >> 8), (frame + 20, *off)]
    return pieces.make_log(writes, 6 + 30 * 80, (0, 6 + 30 * 80))


def onsets(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the times in seconds at which sound begins after silence, from differences that no slow drift has."""
    steps = np.abs(np.diff(samples.astype(float)))
    loud = np.convolve(steps, np.ones(64), "same") > 0.05 * steps.max()
    at = np.flatnonzero(loud)
    gaps = np.flatnonzero(np.diff(at) > 0.12 * rate)
    return np.concatenate([at[:1], at[gaps + 1]]) / rate


def pitch_hz(samples: np.ndarray, rate: int) -> float:
    """Return the frequency of a steady tone from the greatest peak of its spectrum below 2 kHz."""
    window = np.hanning(len(samples))
    spectrum = np.log(np.abs(np.fft.rfft(samples * window, 4 * len(samples))) + 1e-9)
    spectrum = spectrum[: int(2000 / rate * 4 * len(samples))]
    at = int(spectrum[20:].argmax()) + 20
    left, middle, right = spectrum[at - 1 : at + 2]
    return float(at + 0.5 * (left - right) / (left - 2 * middle + right)) * rate / (4 * len(samples))


def compare_by_ear(ours: np.ndarray, theirs: np.ndarray, rate: int) -> tuple[float, float]:
    """Return the greatest differences of onsets, in frames after the first, and of pitches in cents."""
    times, their_times = onsets(ours, rate), onsets(theirs, rate)
    n = min(len(times), len(their_times))
    assert n > 15
    drift = np.abs((their_times[:n] - their_times[0]) - (times[:n] - times[0])).max() * 60
    cents = []
    for time, their_time in zip(times[:n], their_times[:n], strict=True):
        steady = slice(int((time + 0.05) * rate), int((time + 0.3) * rate))
        their_steady = slice(int((their_time + 0.05) * rate), int((their_time + 0.3) * rate))
        cents.append(abs(1200 * np.log2(pitch_hz(theirs[their_steady], rate) / pitch_hz(ours[steady], rate))))
    return float(drift), float(max(cents))


@pytest.fixture
def libgme(tmp_path: Path):
    """Return a function that plays an NSF in ffmpeg with libgme: seconds of it, at 44.1 kHz."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    demuxers = subprocess.run(["ffmpeg", "-v", "quiet", "-demuxers"], capture_output=True, text=True, check=True).stdout
    if "libgme" not in demuxers:
        pytest.skip("this ffmpeg has no libgme")

    def play(data: bytes, seconds: int) -> np.ndarray:
        path = tmp_path / "a.nsf"
        path.write_bytes(data)
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-t", str(seconds), "-f", "s16le", "-ac", "1", "-ar", "44100", "-"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=120)
        return np.frombuffer(done.stdout, dtype="<i2").astype(float)

    return play


@pytest.mark.parametrize("nsf2", [True, False], ids=["NSF2", "NSF"])
def test_libgme_hears_what_we_render(libgme, our_melody: np.ndarray, nsf2: bool) -> None:
    """Played by libgme, our NSF has every onset within a frame and every pitch within 5 cents of our own sound."""
    theirs = libgme(nsf.dumps([melody()], nsf2=nsf2), 40)
    assert np.abs(theirs).max() > 1000
    drift, cents = compare_by_ear(our_melody, theirs, 44_100)
    print(f"libgme: onsets within {drift:.2f} frames, pitches within {cents:.2f} cents")
    assert drift < 1
    assert cents < 5


@pytest.fixture(scope="module")
def our_melody() -> np.ndarray:
    """Return the melody as we render it."""
    from nesasset.render import render

    return render(melody(), channels=("P1", "TR")).samples.astype(float)


def test_libgme_plays_the_samples(libgme) -> None:
    """A looped sample of 8 rising and 9 falling bytes sounds in libgme at the pitch that its length and rate give."""
    writes = [(0, 0x4010, 0x4F), (0, 0x4011, 0), (0, 0x4012, 0), (0, 0x4013, 1), (0, 0x4015, 0x1F)]
    log = pieces.make_log(writes, 600, memory=b"\xff" * 8 + b"\0" * 9)
    sound = libgme(nsf.dumps([log]), 2)
    cycles = 17 * 8 * 54  # bytes, bits, cycles of a bit at rate 15
    assert abs(1200 * np.log2(pitch_hz(sound[22_050:44_100], 44_100) / (CLOCKS_HZ["ntsc"] / cycles))) < 5


def write_package() -> None:
    """Assemble the sources and put their bytes into the package."""
    import tempfile

    path = PLAYER / "__init__.py"
    text = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for name in ORIGINS:
            digits = assembled(name, Path(folder)).hex()
            lines = "\n".join(f"    {digits[at : at + 112]}" for at in range(0, len(digits), 112))
            start = text.index(f"{name.upper()}_CODE")
            lower = text.index('"""', start) + 4
            upper = text.index('    """', lower)
            text = text[:lower] + lines + "\n" + text[upper:]
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(write_package())
