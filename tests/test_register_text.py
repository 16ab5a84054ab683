"""Register logs as text: lossless, readable, and what is refused."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pieces
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from nesasset.apu.writes import frame_cycles
from nesasset.driver import drive
from nesasset.errors import FormatError, RegisterLogError
from nesasset.formats import register_text
from nesasset.register_log import APU_REGISTERS, REGIONS, RegisterLog

TEXT = """\
nesasset register log 1
rate 60
region ntsc
length 960
loop 480 960
memory C000 00FF
columns frame register value

0 4015 0F
0 4000 B9
12 4002 FD
"""


@st.composite
def logs(draw):
    """Draw any log at all."""
    n_frames = draw(st.integers(1, 10**9))
    writes = draw(
        st.lists(st.tuples(st.integers(0, n_frames - 1), st.sampled_from(sorted(APU_REGISTERS)), st.integers(0, 255)))
    )
    count = len(writes)
    cycles = st.lists(st.integers(0, 10**14), min_size=count, max_size=count).map(sorted)
    starts = st.integers(0, n_frames - 1)
    return RegisterLog(
        frames=np.array(sorted(frame for frame, _, _ in writes), dtype=np.int64),
        addresses=np.array([address for _, address, _ in writes], dtype=np.uint16),
        values=np.array([value for _, _, value in writes], dtype=np.uint8),
        n_frames=n_frames,
        loop=draw(
            st.none() | starts.flatmap(lambda start: st.tuples(st.just(start), st.integers(start + 1, n_frames)))
        ),
        frame_rate_hz=draw(st.sampled_from([60.0, 50.0, 60.0988]) | st.floats(1, 10_000)),
        cycles=draw(st.none() | cycles.map(lambda entries: np.array(entries, dtype=np.int64))),
        region=draw(st.sampled_from(REGIONS)),
        memory=draw(st.binary(max_size=100)),
    )


@given(log=logs())
def test_a_log_comes_back(log):
    """Every field of any log is the same after writing and reading."""
    assert register_text.loads(register_text.dumps(log), "x") == log


@given(score=strategies.scores())
@settings(max_examples=20)
def test_a_score_s_log_comes_back(score):
    """A driver's log is the same after writing and reading, and writing it again gives the same text."""
    text = register_text.dumps(drive(score))
    assert register_text.dumps(register_text.loads(text, "x")) == text


def test_full_memory_comes_back():
    """All 16 KiB, in lines of 32 bytes."""
    log = RegisterLog(
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.uint16),
        np.zeros(0, dtype=np.uint8),
        1,
        memory=bytes(range(256)) * 64,
    )
    text = register_text.dumps(log)
    assert register_text.loads(text, "x") == log
    assert sum(line.startswith("memory ") for line in text.splitlines()) == 512


def test_the_text_line_by_line():
    """The form is the documented one, byte for byte."""
    log = RegisterLog(
        frames=np.array([0, 0, 12]),
        addresses=np.array([0x4015, 0x4000, 0x4002], dtype=np.uint16),
        values=np.array([0x0F, 0xB9, 0xFD], dtype=np.uint8),
        n_frames=960,
        loop=(480, 960),
        memory=b"\x00\xff",
    )
    assert register_text.dumps(log) == TEXT
    assert register_text.loads(TEXT, "x") == log


def test_cycles_are_a_fourth_column():
    """A log with cycles says so in its columns."""
    text = (
        TEXT.replace("value\n", "value cycle\n")
        .replace("15 0F", "15 0F 0")
        .replace("B9", "B9 6")
        .replace("FD", "FD 357960")
    )
    log = register_text.loads(text, "x")
    assert log.cycles.tolist() == [0, 6, 357_960]
    assert register_text.dumps(log) == text


def test_a_changed_write_changes_one_line():
    """Two logs that differ in a value have texts that differ in its line alone."""
    log = drive(pieces.loop_score(1, bars=1))
    values = log.values.copy()
    values[40] ^= 1
    other = RegisterLog(log.frames, log.addresses, values, log.n_frames, log.loop)
    pairs = zip(register_text.dumps(log).splitlines(), register_text.dumps(other).splitlines(), strict=True)
    assert sum(one != another for one, another in pairs) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "# a tune\n\n" + text,
        lambda text: text.replace("0 4015 0F", "0\u0020\u0020 4015   0f\t# four voices"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("rate 60\nregion ntsc\n", ""),
        lambda text: text.replace("rate 60\n", "rate 60.000\n"),
    ],
    ids=["windows", "remark", "blanks", "no last newline", "defaults", "decimals"],
)
def test_what_hands_may_change(change):
    """Line ends, remarks, blanks, small letters and what is as always may differ."""
    assert register_text.loads(change(TEXT), "x") == register_text.loads(TEXT, "x")


def test_an_emulator_s_lines():
    """Cycle, register and value: frames follow from the cycles, and $4014 and $4016 are left out."""
    log = register_text.loads("7 15 00\n29830 00 b9\n29831 14 02\n29832 16 01\n59659 11 40\n", "x")
    assert log.cycles.tolist() == [7, 29_830, 59_659]
    assert log.addresses.tolist() == [0x4015, 0x4000, 0x4011]
    assert log.values.tolist() == [0x00, 0xB9, 0x40]
    assert log.frames.tolist() == [0, 1, 2]
    assert (log.n_frames, log.frame_rate_hz, log.region, log.loop) == (3, 60.0, "ntsc", None)


def test_frames_of_an_emulator_s_lines_are_the_renderer_s():
    """Each write lies in the frame in which the renderer would count its cycle."""
    cycles = np.sort(np.random.default_rng(3).integers(0, 10**9, 2000))
    log = register_text.loads("".join(f"{cycle} 11 00\n" for cycle in cycles), "x")
    assert (frame_cycles(log.frames, 60.0) <= cycles).all()
    assert (frame_cycles(log.frames + 1, 60.0) > cycles).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "line 1 must be 'nesasset register log 1', or a cycle, a register and a value .* not ''"),
        (lambda text: text.replace("log 1", "log 2"), "line 1 must be .* not 'nesasset register log 2'"),
        (lambda text: "PK\x03\x04" * 99, r"line 1 must be .*…'$"),
        (
            lambda text: text.replace("loop", "lop"),
            "line 5: the header's lines begin with .* not 'lop', did you mean loop",
        ),
        (lambda text: text.replace("rate 60", "rate 0"), "line 2: rate must be between 1.0 and 10000.0, not '0'"),
        (lambda text: text.replace("rate 60", "rate nan"), "line 2: rate must be between"),
        (lambda text: text.replace("rate 60", "rate 6_0"), "line 2: rate must be between"),
        (lambda text: text.replace("ntsc", "secam"), "region must be one of ntsc, pal, dendy, not 'secam'"),
        (lambda text: text.replace("length 960\n", ""), "a header must give the length"),
        (lambda text: text.replace("length 960", "length 0"), "at least one frame, not 0|frames 0 to -1"),
        (
            lambda text: text.replace("length 960", "length 9e9"),
            "line 4: length must be a number of frames .* not '9e9'",
        ),
        (lambda text: text.replace("length 960", "length 9"), "writes must lie in frames 0 to 8, not 0 to 12"),
        (lambda text: text.replace("length 960", "length 960\nlength 960"), "line 5: length must be given once"),
        (lambda text: text.replace("480 960", "960 480"), "loop must be two frames with 0 <= start < end"),
        (lambda text: text.replace("480 960", "480"), "line 5: loop must be its first frame .* not '480'"),
        (lambda text: text.replace("C000 00FF", "C001 00FF"), "line 6: memory must go on with its address C000"),
        (lambda text: text.replace("C000 00FF", "C000 00F"), "line 6: memory must go on"),
        (lambda text: text.replace("C000 00FF", "C000 " + "00" * 0x4001), "line 6: memory must"),
        (
            lambda text: text.replace("memory C000 00FF", f"memory C000 {'00' * 0x4000}\nmemory 10000 00"),
            "line 7: memory must go on with its address 10000",
        ),
        (lambda text: text.replace("value", "valve"), "line 7: columns must be .* not 'frame register valve'"),
        (lambda text: text.partition("columns")[0], "line 7: the header's lines begin with .* not ''"),
        (
            lambda text: text.replace("0 4000 B9", "0 4000"),
            "line 10 must have the columns frame register value, not '0 4000'",
        ),
        (lambda text: text.replace("0 4000 B9", "0 4000 1B9"), "line 10 must have the columns"),
        (lambda text: text.replace("0 4000 B9", "-1 4000 B9"), "line 10 must have the columns"),
        (lambda text: text.replace("0 4000 B9", "\u0660 4000 B9"), "line 10 must have the columns"),
        (lambda text: text.replace("0 4000 B9", "0 4000 B9 7"), "line 10 must have the columns"),
        (lambda text: text.replace("12 4002", "1" * 5000 + " 4002"), "line 11 must have the columns .*…'$"),
        (lambda text: text.replace("0 4000 B9", "13 4000 B9"), "time runs backwards at write 2: frame 12 after 13"),
        (lambda text: text.replace("4002", "4014"), r"write 2 addresses \$4014, which is no APU register"),
        (
            lambda text: text.replace("value\n", "value cycle\n"),
            "line 9 must have the columns frame register value cycle",
        ),
        (lambda text: "7 15 00\n9 15", "line 2 must have the columns cycle register value, not '9 15'"),
        (lambda text: "7 15 00\n5 15 00", "cycles must begin at 0 or later and never fall|time runs backwards"),
        (lambda text: text + "12 4000 3F\n" * 32_768, "frame 12 has more than 32768 writes"),
        (lambda text: "7 15 00\n9 18 00", r"write 2 is to \$4018, which is no APU register"),
        (lambda text: "0" * (register_text.MAX_CHARACTERS + 1), "at most 16777216 characters, and it has 16777217"),
    ],
)
def test_texts_that_are_refused(change, message):
    """A fault is told in one sentence that names the file and, where there is one, the line."""
    with pytest.raises(FormatError, match=rf"^song\.txt: .*{message}") as caught:
        register_text.loads(change(TEXT), "song.txt")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_text_cut_off_in_a_line_is_refused_or_shorter():
    """A text that ends early never gives other writes than the first ones of the whole."""
    whole = register_text.loads(TEXT, "x")
    for size in range(len(TEXT)):
        try:
            log = register_text.loads(TEXT[:size], "x")
        except FormatError:
            continue
        assert log.values.tolist() == whole.values[: len(log.values)].tolist()


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0.0, -60.0, 1e9])
def test_frame_rates_that_no_renderer_takes_are_not_written(rate):
    """Nothing is written that could not be read again."""
    log = RegisterLog(
        np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=np.uint8), 1, frame_rate_hz=rate
    )
    with pytest.raises(RegisterLogError, match=r"frame_rate_hz must be between 1\.0 and 10000\.0"):
        register_text.dumps(log)


def test_numbers_too_long_to_read_are_not_written():
    """Sixteen digits are refused when writing as they are when reading."""
    log = RegisterLog(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=np.uint8), 10**15)
    with pytest.raises(RegisterLogError, match="at most 15 digits, not 1000000000000000"):
        register_text.dumps(log)


def test_mutated_texts_give_a_log_or_our_error():
    """Whatever a thousand damaged texts say, the reader returns or raises FormatError."""
    rng = random.Random(4)
    with_cycles = register_text.dumps(
        register_text.loads("".join(f"{at * 999} 11 {at:02x}\n" for at in range(40)), "x")
    )
    sources = [TEXT, with_cycles, "7 15 00\n29830 00 b9\n59659 11 40\n"]
    messages = []
    for _ in range(1000):
        text = rng.choice(sources)
        for _ in range(rng.randint(1, 3)):
            at, end = rng.randrange(len(text) + 1), rng.randint(1, 12)
            word = rng.choice(
                ["", "0", "F", " ", "\n", "-", "9" * 30, "loop ", "é", "\0", "\u2028", chr(rng.randrange(0xD800))]
            )
            text = text[:at] + word + text[at + rng.choice([0, end]) :]
        try:
            register_text.loads(text, "mutated")
        except FormatError as error:
            messages.append(str(error))
    assert len(messages) > 300
    assert all(message.startswith("mutated: ") and "\n" not in message for message in messages)


def test_the_example_in_the_document_is_a_log():
    """The text shown in docs/chip-files.md is read, and is what this file expects of the form."""
    document = Path(__file__).parents[1] / "docs/chip-files.md"
    example = re.search(r"```text\n(nesasset register log.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert register_text.loads(example, "x") == register_text.loads(TEXT, "x")
