"""VGM and VGZ: what is written, read by a second reader that is only in here; what is read; what is refused."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from fractions import Fraction

import numpy as np
import pieces
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from nesasset.apu.writes import frame_cycles
from nesasset.driver import drive
from nesasset.errors import FormatError, RegisterLogError
from nesasset.formats import vgm
from nesasset.register_log import APU_REGISTERS, RegisterLog
from nesasset.units import CLOCKS_HZ

ADDRESSES = sorted(APU_REGISTERS)


@st.composite
def logs(draw, rates=(60.0, 50.0)):
    """Draw a log without cycles that ends where its loop does."""
    n_frames = draw(st.integers(1, 200))
    write = st.tuples(st.integers(0, n_frames - 1), st.sampled_from(ADDRESSES), st.integers(0, 255))
    writes = sorted(draw(st.lists(write, max_size=40)), key=lambda entry: entry[0])
    return pieces.make_log(
        writes,
        n_frames,
        loop=draw(st.none() | st.integers(0, n_frames - 1).map(lambda start: (start, n_frames))),
        frame_rate_hz=draw(st.sampled_from(rates)),
        region=draw(st.sampled_from(list(CLOCKS_HZ))),
        memory=draw(st.binary(max_size=80)),
    )


def play(data, passes=1):
    """Play a file as a player does and return its writes as (sample, address, value), its length, and its memory.

    The second reader: it walks the file as a stream of bytes and jumps back at the end command.
    """
    offset = lambda at: struct.unpack_from("<I", data, at)[0]  # noqa: E731
    stream = iter(data[0x34 + offset(0x34) :])
    take = lambda count: bytes(next(stream) for _ in range(count))  # noqa: E731
    now, writes, memory = 0, [], {}
    while True:
        command = next(stream)
        if command == 0xB4:
            register, value = take(2)
            writes.append((now, 0x4000 | register, value))
        elif command >> 4 == 7:
            now += (command & 15) + 1
        elif command == 0x61:
            now += int.from_bytes(take(2), "little")
        elif command in (0x62, 0x63):
            now += {0x62: 735, 0x63: 882}[command]
        elif command == 0x67:
            compatible, kind, size, start = struct.unpack("<BBIH", take(8))
            assert (compatible, kind) == (0x66, 0xC2)
            memory.update(enumerate(take(size - 2), start))
        else:
            assert command == 0x66
            passes -= 1
            if not passes or not offset(0x1C):
                return writes, now, memory
            stream = iter(data[0x1C + offset(0x1C) :])


def expected(log, passes):
    """Return what a player of a log writes, as `play` does, computed from the log with exact fractions."""
    rate = Fraction(log.frame_rate_hz)
    sample = lambda frame: int(frame * 44_100 / rate + Fraction(1, 2))  # noqa: E731  # all are positive: int() rounds down
    rows = list(zip(log.frames.tolist(), log.addresses.tolist(), log.values.tolist(), strict=True))
    writes = [(sample(frame), address, value) for frame, address, value in rows]
    if log.loop is None:
        return writes, sample(log.n_frames)
    start, end = map(sample, log.loop)
    looped = [write for write, (frame, _, _) in zip(writes, rows, strict=True) if frame >= log.loop[0]]
    for number in range(1, passes):
        writes += [(at + number * (end - start), address, value) for at, address, value in looped]
    return writes, start + passes * (end - start)


def make_file(commands, loop_at=None, rate=60, clock=1_789_773, n_samples=0):
    """Make a file round commands; loop_at is a byte of the commands."""
    header = bytearray(0xC0)
    header[:4] = b"Vgm "
    loop = 0 if loop_at is None else 0xC0 + loop_at - 0x1C
    ends = {0x04: 0xC0 + len(commands) - 4, 0x34: 0xC0 - 0x34}
    for at, number in (ends | {0x08: 0x161, 0x18: n_samples, 0x1C: loop, 0x24: rate, 0x84: clock}).items():
        struct.pack_into("<I", header, at, number)
    return bytes(header) + commands


def patched(data, at, value):
    """Return a file with one 32-bit number changed."""
    return data[:at] + struct.pack("<I", value) + data[at + 4 :]


SONG = drive(pieces.loop_score(5, bars=2, intro_bars=1, groove=(6, 7)))
FILE = vgm.dumps(SONG, title="Caves", author="A", game="G", notes="N")


# What is written


def test_a_small_file_byte_for_byte():
    """Header, writes, waits, end command and tags stand where the specification has them."""
    log = pieces.make_log([(0, 0x4015, 0x0F), (1, 0x4000, 0xB9)], 3, loop=(1, 3))
    data = vgm.dumps(log)
    texts = ["", "", "", "", "Nintendo Entertainment System", "", "", "", "", "", ""]
    tags = "\0".join([*texts, ""]).encode("utf-16-le")
    music = bytes.fromhex("B4 15 0F 62 B4 00 B9 62 62 66")
    assert data[0xC0:] == music + b"Gd3 " + struct.pack("<II", 0x100, len(tags)) + tags
    header = dict(enumerate(struct.unpack("<48I", data[:0xC0])))
    assert {4 * place: number for place, number in header.items() if number} == {
        0x00: int.from_bytes(b"Vgm ", "little"),
        0x04: len(data) - 4,
        0x08: 0x161,
        0x14: 0xC0 + len(music) - 0x14,
        0x18: 3 * 735,
        0x1C: 0xC0 + 4 - 0x1C,  # the write of frame 1
        0x20: 2 * 735,
        0x24: 60,
        0x34: 0xC0 - 0x34,
        0x84: 1_789_773,
    }


@given(score=strategies.scores())
@settings(max_examples=40)
def test_a_second_reader_finds_the_writes_of_a_score_over_two_loops(score):
    """Intro, loop and loop again: every write at its sample, none more, none less."""
    log = drive(score)
    assert play(vgm.dumps(log), passes=2)[:2] == expected(log, passes=2)


@given(log=logs(rates=(60.0, 50.0, 60.0988, 30.0, 199.99, 1.0)))
def test_a_second_reader_finds_the_writes_of_any_log_over_two_loops(log):
    """Whatever the log holds, the file says the same, sample memory included."""
    writes, length, memory = play(vgm.dumps(log), passes=2)
    assert (writes, length) == expected(log, passes=2)
    assert memory == dict(enumerate(log.memory, 0xC000))


def test_the_driver_restates_every_register_at_the_loop():
    """The file's jump resets nothing, so all of the song's registers are written at the loop's first sample."""
    writes, length, _ = play(FILE)
    start = length - struct.unpack_from("<I", FILE, 0x20)[0]
    assert start == SONG.loop[0] * 735
    assert {address for at, address, _ in writes if at == start} == {address for _, address, _ in writes}


def test_waits_never_add_up_rounding():
    """After an hour at 60.0988 Hz each write is still within half a sample of its frame."""
    log = pieces.make_log([(frame, 0x4000, 0) for frame in range(0, 216_000, 997)], 216_000, frame_rate_hz=60.0988)
    writes, length, _ = play(vgm.dumps(log))
    frames = log.frames.tolist()
    assert all(abs(at - frame * 44_100 / 60.0988) <= 0.5 for (at, _, _), frame in zip(writes, frames, strict=True))
    assert length == round(216_000 * 44_100 / 60.0988)


def test_long_waits_are_split():
    """A silence longer than one command can wait comes out whole."""
    log = pieces.make_log([(0, 0x4000, 0), (5000, 0x4000, 1)], 10_000)
    assert play(vgm.dumps(log))[0][1][0] == 5000 * 735


def test_what_stands_after_the_loop_is_left_out():
    """A write that is never heard is not in the file."""
    log = pieces.make_log([(0, 0x4000, 1), (9, 0x4000, 2)], 10, loop=(0, 5))
    assert play(vgm.dumps(log), passes=2)[:2] == ([(0, 0x4000, 1), (5 * 735, 0x4000, 1)], 10 * 735)


@pytest.mark.parametrize("region", list(CLOCKS_HZ))
def test_cycles_are_kept_to_a_sample(region):
    """A log with cycles is written in its own time, less than a sample early and never late."""
    clock = CLOCKS_HZ[region]
    rng = np.random.default_rng(1)
    cycles = np.sort(rng.integers(0, 20 * clock, 500))
    frames = vgm.cycle_frames(cycles, clock, 60.0)
    log = RegisterLog(
        frames=frames,
        addresses=rng.choice(ADDRESSES, 500).astype(np.uint16),
        values=rng.integers(0, 256, 500).astype(np.uint8),
        n_frames=1200,
        cycles=cycles,
        region=region,
    )
    writes = play(vgm.dumps(log))[0]
    late = np.array([at for at, _, _ in writes]) - cycles * 44_100 / clock
    assert (late <= 0).all()
    assert (late > -1).all()
    assert [write[1:] for write in writes] == list(zip(log.addresses.tolist(), log.values.tolist(), strict=True))


def test_cycles_beside_their_frame_stay_on_their_side_of_the_loop():
    """A write of the loop whose cycle was rounded to before it is still played in every pass."""
    frames, cycles = np.array([1, 2]), np.array([59_700, 59_650])
    edge = int(frame_cycles(2, 60.0))
    log = RegisterLog(
        frames=frames,
        addresses=np.array([0x4000, 0x4001], dtype=np.uint16),
        values=np.array([1, 2], dtype=np.uint8),
        n_frames=4,
        loop=(2, 4),
        cycles=np.array([edge + 100, edge + 101]),
    )
    assert (cycles < edge).any()
    assert play(vgm.dumps(log), passes=2)[0] == [(1470, 0x4000, 1), (1472, 0x4001, 2), (1470 + 1472, 0x4001, 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_rate_hz": float("nan")}, "frame_rate_hz must be between 1.0 and 10000.0, not nan"),
        ({"frame_rate_hz": 0.0}, "frame_rate_hz must be between"),
        ({"n_frames": 2**31}, "lasts at most 4294967295 samples"),
        ({"frame_rate_hz": 10_000.0, "loop": (0, 1)}, "loop lasts at least 5 samples at 44.1 kHz, not 4"),
    ],
)
def test_logs_that_no_file_can_hold(change, message):
    """What the format cannot say is refused in one sentence."""
    with pytest.raises(RegisterLogError, match=message):
        vgm.dumps(pieces.make_log([(0, 0x4000, 0)], **({"n_frames": 9} | change)))


def test_a_file_too_long_for_the_reader_is_not_written():
    """Nothing is written that could not be read again."""
    count = vgm.MAX_BYTES // 3 + 1
    frames = np.arange(count) // 1000
    log = RegisterLog(
        frames, np.full(count, 0x4011, dtype=np.uint16), np.zeros(count, dtype=np.uint8), int(frames[-1]) + 1
    )
    with pytest.raises(RegisterLogError, match="too long, at most 16777216"):
        vgm.dumps(log)


# Tags


@given(texts=st.lists(strategies.texts.filter(lambda text: "\0" not in text), min_size=4, max_size=4))
def test_tags_come_back(texts):
    """Title, author, game and notes are read as they were written, from both forms; empty ones are left out."""
    tags = dict(zip(("title", "author", "game", "notes"), texts, strict=True))
    for write in (vgm.dumps, vgm.dumps_vgz):
        assert vgm.read_tags(write(SONG, **tags), "x") == {tag: text for tag, text in tags.items() if text}


def test_tags_stand_where_gd3_has_them():
    """English title, game, system and author, then notes last, in UTF-16 with a zero after each."""
    data = vgm.dumps(SONG, title="Höhle 洞", author="Ada", game="Tief", notes="one\ntwo")
    at = 0x14 + struct.unpack_from("<I", data, 0x14)[0]
    assert struct.unpack_from("<4sII", data, at) == (b"Gd3 ", 0x100, len(data) - at - 12)
    texts = data[at + 12 :].decode("utf-16-le").split("\0")
    assert texts == ["Höhle 洞", "", "Tief", "", "Nintendo Entertainment System", "", "Ada", "", "", "", "one\ntwo", ""]


@pytest.mark.parametrize(("text", "message"), [("a\0b", "none, not 'a.x00b'"), ("\ud800", "must be Unicode text")])
def test_texts_that_no_tag_can_hold(text, message):
    """A zero character or half a character is refused."""
    with pytest.raises(FormatError, match=f"the game of a VGM .*{message}"):
        vgm.dumps(SONG, game=text)


# VGZ


def test_a_vgz_is_the_vgm_packed():
    """Any gzip program unpacks it to the VGM."""
    assert gzip.decompress(vgm.dumps_vgz(SONG, title="Caves", author="A", game="G", notes="N")) == FILE


def test_a_vgz_holds_no_date_and_no_system():
    """The gzip head has no time, no name, and an unknown system, so it is the same everywhere."""
    assert vgm.dumps_vgz(SONG)[:10] == bytes.fromhex("1F8B 08 00 00000000 02 FF")


# What is read


@given(log=logs())
def test_a_log_comes_back(log):
    """At 60 and 50 Hz a log is equal to itself written and read."""
    assert vgm.loads(vgm.dumps(log), "x") == log


@given(score=strategies.scores())
@settings(max_examples=30)
def test_a_score_s_log_comes_back_from_a_vgz(score):
    """A driver's log is equal to itself packed and unpacked."""
    log = drive(score)
    assert vgm.loads(vgm.dumps_vgz(log), "x") == log


foreign_commands = st.lists(
    st.one_of(
        st.tuples(st.just(0xB4), st.sampled_from([address & 0xFF for address in ADDRESSES]), st.integers(0, 255)),
        st.tuples(st.just(0x61), st.integers(0, 255), st.integers(0, 12)),
        st.tuples(st.sampled_from([0x62, 0x63, *range(0x70, 0x80)])),
    ).map(bytes),
    min_size=1,
    max_size=40,
)


@given(commands=foreign_commands, data=st.data(), rate=st.sampled_from([0, 50, 60]))
def test_a_foreign_file_keeps_its_time(commands, data, rate):
    """Writes come back in order at their samples, moved only as a whole; the loop keeps its length to the sample."""
    loop = data.draw(st.none() | st.integers(0, len(commands) - 1))
    end = b"\x74\x66"  # five samples more, so that any loop is long enough
    file = make_file(b"".join(commands) + end, None if loop is None else sum(map(len, commands[:loop])), rate)
    log = vgm.loads(file, "x")
    writes, length, _ = play(file)
    assert log.addresses.tolist() == [address for _, address, _ in writes]
    assert log.values.tolist() == [value for _, _, value in writes]
    back, back_length, _ = play(vgm.dumps(log))
    moved = {new[0] - old[0] for new, old in zip(back, writes, strict=True)}
    if loop is None:
        assert moved <= {0}
        assert 0 <= back_length - length < 883
        return
    n_before = sum(command[0] == 0xB4 for command in commands[:loop])
    loop_sample = play(make_file(b"".join(commands[:loop]) + b"\x66"))[1]
    shift = back_length - length
    assert 0 <= shift < 2 * 883
    assert (log.frames < log.loop[0]).sum() == n_before
    assert vgm.dumps(log)[0x20:0x24] == struct.pack("<I", length - loop_sample)
    # A write at the very sample of a jump belongs to the sample before it.
    assert moved <= {shift, shift - 1}
    for (new, _, _), (old, _, _) in zip(back, writes, strict=True):
        assert new == old + shift or old in (loop_sample, length)


@given(commands=foreign_commands, data=st.data())
def test_what_was_read_can_be_written_and_read_again(commands, data):
    """Reading a file and writing it again is a fixed point: the second log equals the first."""
    loop = data.draw(st.none() | st.integers(0, len(commands) - 1))
    file = make_file(b"".join(commands) + b"\x74\x66", None if loop is None else sum(map(len, commands[:loop])))
    log = vgm.loads(file, "x")
    assert vgm.loads(vgm.dumps(log), "x") == log


@given(commands=foreign_commands, data=st.data())
def test_frames_and_cycles_agree(commands, data):
    """Where cycles are given, each lies in its write's frame as the renderer counts frames."""
    loop = data.draw(st.none() | st.integers(0, len(commands) - 1))
    file = make_file(b"".join(commands) + b"\x74\x66", None if loop is None else sum(map(len, commands[:loop])))
    log = vgm.loads(file, "x")
    if log.cycles is not None:
        assert (frame_cycles(log.frames, log.frame_rate_hz) <= log.cycles).all()
        assert (frame_cycles(log.frames + 1, log.frame_rate_hz) > log.cycles).all()


def test_a_loop_of_no_whole_number_of_frames_bends_the_frame_rate():
    """A loop of 10.3 frames becomes 10 frames that are a little longer."""
    log = vgm.loads(make_file(bytes.fromhex("B4 00 01 61 93 1D 66"), loop_at=0), "x")
    assert log.loop == (0, 10)
    assert log.n_frames / log.frame_rate_hz * 44_100 == pytest.approx(0x1D93, abs=1e-6)


def test_writes_before_a_loop_from_the_start_stay_before_it():
    """Set-up writes at sample 0, the loop after them: they are not repeated."""
    log = vgm.loads(make_file(bytes.fromhex("B4 15 0F B4 00 01 62 66"), loop_at=3), "x")
    assert log.loop == (1, 2)
    assert log.frames.tolist() == [0, 1]


def test_a_write_at_the_very_end_of_a_loop_is_its_last():
    """What is written just before the jump back belongs to the loop, at the end of its last frame."""
    log = vgm.loads(make_file(bytes.fromhex("B4 00 01 62 B4 00 02 66"), loop_at=0), "x")
    assert (log.loop, log.n_frames) == ((0, 1), 1)
    assert vgm.cycle_samples(log.cycles, CLOCKS_HZ["ntsc"]).tolist() == [0, 734]


def wait(samples):
    """Return the command that waits for a number of samples."""
    return b"\x61" + struct.pack("<H", samples)


def test_many_writes_before_a_loop_that_begins_between_samples():
    """A loop of frames of 735.6 samples: forty writes of the sample before it stay outside."""
    before = wait(736) + bytes.fromhex("B41100") * 40
    log = vgm.loads(make_file(before + bytes.fromhex("B40001") + wait(5 * 735 + 3) + b"\x66", loop_at=len(before)), "x")
    assert log.loop == (1, 6)
    assert log.frames.tolist() == [0] * 40 + [1]
    assert (log.cycles[:40] < frame_cycles(1, log.frame_rate_hz)).all()


@pytest.mark.parametrize("start", range(730, 740))
@pytest.mark.parametrize("length", [1471, 3 * 735 + 1, 5, 367, 368, 2 * 735])
def test_no_write_is_moved_before_the_log(start, length):
    """Wherever the loop begins, a write at sample 0 stays at or after it, and the loop keeps its length."""
    before = bytes.fromhex("B40001") + wait(start)
    data = make_file(before + bytes.fromhex("B40002") + wait(length) + b"\x66", loop_at=len(before))
    writes, end, _ = play(vgm.dumps(vgm.loads(data, "x")), passes=2)
    assert writes[2][0] - writes[1][0] == length
    assert writes[1][0] - writes[0][0] == start
    assert writes[0][0] == end - start - 2 * length


def test_writes_that_make_no_sound_are_left_out():
    """OAM DMA and the pads' register are no part of a register log."""
    log = vgm.loads(make_file(bytes.fromhex("B4 14 02 B4 16 01 B4 11 40 62 66")), "x")
    assert log.addresses.tolist() == [0x4011]


@pytest.mark.parametrize(
    ("start", "content", "memory"),
    [
        (0xC000, "0102", "0102"),
        (0xC002, "0102", "00000102"),
        (0xBFFF, "FF0102", "0102"),
        (0x8000, "01", ""),
        (0xFFFF, "07", "00" * 0x3FFF + "07"),
        (0xC000, "", ""),
    ],
)
def test_sample_memory_from_other_addresses(start, content, memory):
    """What lies below $C000 is cut off, what is missing is zero."""
    body = bytes.fromhex(content)
    block = struct.pack("<BBBIH", 0x67, 0x66, 0xC2, len(body) + 2, start) + body
    assert vgm.loads(make_file(block + b"\x62\x66"), "x").memory == bytes.fromhex(memory)


@given(samples=st.lists(st.integers(0, 3000), max_size=60).map(sorted), region=st.sampled_from(list(CLOCKS_HZ)))
def test_cycles_and_samples_are_inverse(samples, region):
    """Cycles of samples never fall, and lie in their samples."""
    clock = CLOCKS_HZ[region]
    cycles = vgm.sample_cycles(np.array(samples, dtype=np.int64), clock)
    assert (np.diff(cycles) >= 0).all()
    assert vgm.cycle_samples(cycles, clock).tolist() == samples


@pytest.mark.parametrize("rate", [60.0, 50.0, 60.0988, 9999.0])
def test_frames_of_cycles_at_their_borders(rate):
    """The first cycle of a frame is in it, the one before is not."""
    starts = frame_cycles(np.arange(1, 4000), rate)
    assert vgm.cycle_frames(starts, CLOCKS_HZ["ntsc"], rate).tolist() == list(range(1, 4000))
    assert vgm.cycle_frames(starts - 1, CLOCKS_HZ["ntsc"], rate).tolist() == list(range(3999))


# What is refused


def test_an_empty_file_is_refused():
    """Nothing at all is no VGM."""
    with pytest.raises(FormatError, match=r"song\.vgm: the file is no VGM"):
        vgm.loads(b"", "song.vgm")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF" + FILE[4:], "no VGM: it does not begin with 'Vgm '"),
        (patched(FILE, 0x08, 0x151), "version 1.61 or later and its header, not 1.51"),
        (patched(FILE, 0x34, 0), "version 1.61 or later and its header"),
        (patched(FILE, 0x34, 0xFFFF_FFFF), "must begin before its end"),
        (patched(FILE, 0x2C, 7_670_453), "uses the YM2612"),
        (patched(FILE, 0x80, 4_194_304), "uses the Game Boy"),
        (patched(FILE, 0x84, 1_789_773 | 1 << 31), "Famicom Disk System"),
        (patched(FILE, 0x84, 1_789_773 | 1 << 30), "two 2A03s"),
        (patched(FILE, 0x84, 0), "clock must be near 1789773, 1662607, 1773447 Hz, not 0"),
        (patched(FILE, 0x84, 1_780_000), "clock must be near"),
        (patched(FILE, 0x14, 0x100), "tags at byte 276 are damaged"),
        (patched(FILE, 0x14, 0xFFFF_FFFF), "tags at byte 4294967315 are damaged"),
        (patched(FILE, 0x1C, 1), "loop must begin with a command .* not at byte 29"),
        (patched(FILE, 0x1C, 0xC1 - 0x1C), "loop must begin with a command"),
        (patched(FILE, 0x1C, 0xFFFF_FFFF), "loop must begin with a command"),
        (make_file(bytes.fromhex("73 66"), loop_at=0), "5 samples or more before the end"),
        (make_file(bytes.fromhex("B4 20 00 66")), "byte 192 is to the Famicom Disk System or a second 2A03"),
        (make_file(bytes.fromhex("B4 95 00 66")), "byte 192 is to the Famicom Disk System or a second 2A03"),
        (make_file(bytes.fromhex("62 52 00 00 66")), r"command \$52 at byte 193 is for another chip"),
        (make_file(bytes.fromhex("62")), "no end command"),
        (make_file(bytes.fromhex("B4 00")), "cut off in the command at byte 192"),
        (make_file(bytes.fromhex("67 66 00 01000000 00 66")), r"block at byte 192 is of type \$00"),
        (make_file(bytes.fromhex("67 00 C2 02000000 00C0 66")), "block at byte 192 is of type"),
        (make_file(bytes.fromhex("67 66 C2 FFFFFFFF 00C0 66")), "4294967295 bytes are announced"),
        (make_file(bytes.fromhex("67 66 C2 01000000 00 66")), "1 bytes are announced"),
        (
            make_file(bytes.fromhex("67 66 C2 04000000 FFFF 0000 66")),
            r"must end within 64 KiB of memory, not at \$10001",
        ),
        (
            make_file(bytes.fromhex("67 66 C2 03000000 00C0 01 62 67 66 C2 03000000 00C0 02 66")),
            "byte 203 changes sample memory during the music",
        ),
        (make_file(b"\x61\xff\xff" * 65_538 + b"\x66"), "at most 4294967295 samples, not 4295032830"),
    ],
)
def test_files_that_are_refused(data, message):
    """What is no VGM of one 2A03, or is damaged, is refused in one sentence that names the file."""
    with pytest.raises(FormatError, match=rf"^song\.vgm: .*{message}"):
        vgm.loads(data, "song.vgm")


def test_a_file_cut_off_anywhere_is_refused():
    """No beginning of a file passes for the whole."""
    data = vgm.dumps(pieces.make_log([(0, 0x4000, 1), (3, 0x4002, 2)], 9, loop=(3, 9), memory=b"\x55\xaa"), title="T")
    for size in range(len(data)):
        with pytest.raises(FormatError):
            vgm.loads(data[:size], "x")


def test_a_packed_file_cut_off_anywhere_is_refused():
    """No beginning of a packed file passes for the whole."""
    data = vgm.dumps_vgz(pieces.make_log([(0, 0x4000, 1), (3, 0x4002, 2)], 9, loop=(3, 9)))
    for size in range(len(data)):
        with pytest.raises(FormatError):
            vgm.loads(data[:size], "x")


def test_a_packed_file_with_a_wrong_sum_is_refused():
    """A byte of the checksum changed is told."""
    data = bytearray(vgm.dumps_vgz(SONG))
    data[-5] ^= 1
    with pytest.raises(FormatError, match="the VGZ is damaged"):
        vgm.loads(bytes(data), "x")


def test_a_gzip_bomb_is_refused():
    """A small file that unpacks to far more than it may is refused, and not unpacked any further than that."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()
    assert len(bomb) < 1_000_000
    with pytest.raises(FormatError, match="at most 16777216 bytes, and this one has more"):
        vgm.loads(bomb, "x")


def test_a_file_too_large_is_refused():
    """More than 16 MiB are not looked at."""
    with pytest.raises(FormatError, match="at most 16777216 bytes"):
        vgm.loads(FILE + bytes(vgm.MAX_BYTES), "x")


def mutate(data, rng):
    """Return data with a few bytes changed, cut, doubled or moved."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(6)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at : at + rng.randint(1, 9)]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 40)]
        elif kind == 4:
            data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x80", b"\xff\xff\xff\x7f"])
        else:
            data[at] = rng.choice([0x66, 0x67, 0xB4, 0x61])
        data = data or bytearray(1)
    return bytes(data)


@pytest.mark.parametrize("packed", [False, True], ids=["vgm", "vgz"])
def test_mutated_files_give_a_log_or_our_error(packed):
    """Whatever a thousand damaged files say, the readers return or raise FormatError."""
    rng = random.Random(2)
    messages = []
    small = vgm.dumps(
        pieces.make_log(
            [(frame, 0x4000 + frame % 4, frame) for frame in range(30)], 40, loop=(8, 40), memory=bytes(range(64))
        ),
        title="T",
        notes="N",
    )
    for number in range(1000):
        # Damage before packing gets past the checksum to the reader; damage after it meets the unpacker.
        data = mutate(small, rng)
        if packed:
            data = gzip.compress(data, 1, mtime=0) if number % 2 else mutate(gzip.compress(small, 1, mtime=0), rng)
        for read in (vgm.loads, vgm.read_tags):
            try:
                read(data, "mutated")
            except FormatError as error:
                messages.append(str(error))
    assert len(messages) > 500
    assert all(message.startswith("mutated: ") and "\n" not in message for message in messages)
