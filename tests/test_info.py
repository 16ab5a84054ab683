"""`nesasset info` of chip and tracker files: what it says agrees with what was written, and nothing broken surprises it."""

from __future__ import annotations

import gzip
import json
import random
import struct
from pathlib import Path

import pieces
import pytest

from nesasset.commands import info
from nesasset.driver import drive
from nesasset.errors import FormatError, NesassetError
from nesasset.formats import famistudio, famitracker, nsf, register_text, rom, vgm

SCORE = pieces.loop_score(3, bars=2, intro_bars=1, groove=(6, 5))
LOG = drive(SCORE)
JINGLE = drive(pieces.jingle_score())
TEXTS = {"titles": ["Höhle", "Well done"], "author": "A. Composer", "album": "The Mole's Journey"}


def contents() -> dict[str, bytes]:
    """Return a file of each kind by its name."""
    return {
        "a.vgm": vgm.dumps(LOG, title="Höhle", author="A", game="G", notes="two\nlines"),
        "a.vgz": vgm.dumps_vgz(LOG, title="Höhle"),
        "a.nsf": nsf.dumps([LOG, JINGLE], **TEXTS),
        "a.nes": rom.dumps([LOG, JINGLE], **TEXTS),
        "a.log": register_text.dumps(LOG).encode(),
        "a.ftm.txt": famitracker.dumps(SCORE).encode(),
        "a.fms.txt": famistudio.dumps(SCORE).encode(),
    }


FILES = contents()
KINDS = {"a.vgm": "vgm", "a.vgz": "vgm", "a.nsf": "nsf", "a.nes": "rom", "a.log": "log", "a.ftm.txt": "famitracker", "a.fms.txt": "famistudio"}


@pytest.fixture
def facts(run, tmp_path: Path):
    """Return a function that gives what `info --json` says of a file with a name and content."""

    def tell(name: str, content: bytes):
        (tmp_path / name).write_bytes(content)
        code, output, errors = run("info", str(tmp_path / name), "--json")
        assert (code, errors) == (0, "")
        return json.loads(output)

    return tell


@pytest.fixture
def refusal(run, tmp_path: Path):
    """Return a function that gives the one sentence with which `info` refuses a file."""

    def tell(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        code, output, errors = run("info", str(tmp_path / name))
        assert (code, output, errors.count("\n")) == (1, "", 1)
        return errors

    return tell


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_described_for_people_and_for_programs(run, facts, name: str) -> None:
    """Each kind has its name, in a table and in JSON; a suffix may be in capitals."""
    assert facts(name, FILES[name])["kind"] == KINDS[name]
    told = facts(name.upper(), FILES[name])
    assert (told["file"], told["kind"]) == (name.upper(), KINDS[name])


def test_a_vgm(facts) -> None:
    """Version, chip, clock, length, loop, writes and all tags, in samples and seconds."""
    start, end = LOG.loop
    assert facts("a.vgm", FILES["a.vgm"]) == {
        "file": "a.vgm",
        "kind": "vgm",
        "version": "1.61",
        "is_packed": False,
        "chips": {"2A03": 1_789_773},
        "samples": 735 * end,
        "seconds": f"{end / 60:.9f}",
        "loop": {"start": 735 * start, "length": 735 * (end - start), "end": 735 * end},
        "writes": len(LOG.frames),
        "tags": {"title": "Höhle", "game": "G", "system": "Nintendo Entertainment System", "author": "A", "notes": "two\nlines"},
    }


def test_a_vgz_that_ends(facts) -> None:
    """A packed file says so; a piece that ends has no loop."""
    told = facts("a.vgz", vgm.dumps_vgz(JINGLE))
    assert (told["is_packed"], told["loop"], told["writes"]) == (True, None, len(JINGLE.frames))


def test_a_vgm_of_other_chips(facts) -> None:
    """A file for another console is described by its header; its music is not read."""
    header = bytearray(0x40)
    header[:4] = b"Vgm "
    for at, number in {0x04: 0x41 - 4, 0x08: 0x150, 0x0C: 3_579_545, 0x18: 88_200, 0x2C: 7_670_454, 0x34: 0x0C}.items():
        struct.pack_into("<I", header, at, number)
    told = facts("a.vgm", bytes(header) + b"\x66")
    assert (told["version"], told["chips"]) == ("1.50", {"SN76489": 3_579_545, "YM2612": 7_670_454})
    assert (told["seconds"], told["loop"], told["writes"], told["tags"]) == ("2.000000000", None, None, {})


def test_an_nsf2(facts) -> None:
    """Songs with titles and times, the three texts whole, banks and speed."""
    told = facts("a.nsf", FILES["a.nsf"])
    assert (told["version"], told["songs"], told["region"], told["expansions"]) == (2, 2, "ntsc", [])
    assert (told["album"], told["author"], told["copyright"]) == ("The Mole's Journey", "A. Composer", "")
    assert (told["banks"], told["data_bytes"], told["frames_a_second"]) == (2, 0x2000, 59.999)
    start, end = LOG.loop
    assert told["tracks"] == [
        {"number": 1, "title": "Höhle", "seconds": round((2 * end - start) / 0.06) / 1000},
        {"number": 2, "title": "Well done", "seconds": round(JINGLE.n_frames / 0.06) / 1000},
    ]


def test_an_nsf_of_version_1(facts) -> None:
    """A file without chunks has what its header has, and no list of songs."""
    told = facts("a.nsf", nsf.dumps([LOG], titles=["Höhle"], author="Zoë", nsf2=False))
    assert (told["version"], told["album"], told["author"], told["tracks"]) == (1, "Hohle", "Zoe", [])


def test_an_nsf_with_more_chips(facts) -> None:
    """The expansion flags of somebody else's file are named; a file for both consoles runs at the NTSC speed."""
    data = bytearray(nsf.dumps([LOG], nsf2=False))
    data[0x70:0x7C] = bytes(8) + struct.pack("<HBB", 20_000, 2, 0b101001)
    told = facts("a.nsf", bytes(data))
    assert (told["expansions"], told["region"], told["banks"], told["frames_a_second"]) == (["VRC6", "MMC5", "5B"], "both", 0, 59.999)


def test_a_table_of_songs_is_printed(run, tmp_path: Path) -> None:
    """For people, the songs of an NSF2 stand in a table."""
    nsf.save([LOG, JINGLE], tmp_path / "a.nsf", **TEXTS)
    lines = run("info", str(tmp_path / "a.nsf"))[1].splitlines()
    assert lines[-3].split() == ["song", "title", "seconds"]
    assert lines[-1].split()[:3] == ["2", "Well", "done"]


@pytest.mark.parametrize("filler", [0, 60, 600])
def test_a_cartridge(facts, filler: int) -> None:
    """Each board of ours is named with the sizes that it has."""
    from test_nsf import crowded_log

    told = facts("a.nes", rom.dumps([crowded_log(filler, 250)] if filler else [LOG]))
    board, mapper, prg = {0: ("NROM", 0, 32), 60: ("UxROM", 2, 64), 600: ("mapper 31", 31, 512)}[filler]
    assert (told["header"], told["board"], told["mapper"], told["region"]) == ("NES 2.0", board, mapper, "ntsc")
    assert (told["prg_bytes"], told["chr_bytes"]) == (prg * 1024, 0 if filler else 8192)


@pytest.mark.parametrize(
    ("head", "size", "expected"),
    [
        ("02 01 41 00", 0xA000, ("iNES", 4, "MMC3", 0x8000, 0x2000)),
        ("01 00 10 40 00 00 00 00 44 69 73 6B", 0x4000, ("iNES", 1, "MMC1", 0x4000, 0)),  # "Disk", of an old tool
        ("01 00 02 08 01", 0x4000, ("NES 2.0", 256, "", 0x4000, 0)),
        ("2D 00 00 08 00 0F", 3 * 2**11, ("NES 2.0", 0, "NROM", 3 * 2**11, 0)),  # the form for odd sizes
        ("01 00 04 00", 0x4200, ("iNES", 0, "NROM", 0x4000, 0)),  # with a trainer
    ],
)
def test_cartridges_of_other_makers(facts, head: str, size: int, expected: tuple) -> None:
    """Headers of both kinds are read as the specification has them."""
    told = facts("a.nes", b"NES\x1a" + bytes.fromhex(head).ljust(12, b"\0") + bytes(size))
    assert tuple(told[key] for key in ("header", "mapper", "board", "prg_bytes", "chr_bytes")) == expected


def test_a_register_log(facts) -> None:
    """Frames, writes, loop and region of the log."""
    told = facts("a.log", FILES["a.log"])
    assert (told["frames"], told["writes"], told["region"]) == (LOG.n_frames, len(LOG.frames), "ntsc")
    assert told["loop"] == {"start": LOG.loop[0], "end": LOG.loop[1]}
    assert (told["seconds"], told["has_cycles"], told["memory_bytes"]) == (f"{LOG.n_frames / 60:.9f}", False, 0)


def test_famitracker_text(facts) -> None:
    """Tracks, patterns and instruments are counted; rows, tempo and loop are those that an import gives."""
    told = facts("a.ftm.txt", FILES["a.ftm.txt"])
    assert (told["title"], told["tracks"], told["instruments"]) == (SCORE.title, 1, len(SCORE.instruments))
    assert told["patterns"] == FILES["a.ftm.txt"].count(b"\nPATTERN ")
    assert (told["rows"], told["loop"]) == (SCORE.n_rows, {"start": SCORE.loop[0], "end": SCORE.loop[1]})
    assert told["tempo_bpm"] == pytest.approx(SCORE.tempo_bpm)


def test_famistudio_text(facts) -> None:
    """Songs, patterns and instruments are counted; quotation marks in the name come back."""
    told = facts("a.fms.txt", FILES["a.fms.txt"].replace(b'Name="A round"', b'Name="A ""round"""', 1))
    assert (told["title"], told["tracks"], told["instruments"]) == ('A "round"', 1, len(SCORE.instruments))
    assert told["patterns"] == FILES["a.fms.txt"].count(b"\tPattern ")


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_no_file(refusal, name: str) -> None:
    """An empty file and one of another kind are refused in one sentence that names the file."""
    for content in (b"", b"\0" * 200, FILES["a.nes" if name != "a.nes" else "a.nsf"]):
        assert name in refusal(name, content)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("a.vgm", lambda data: data[:-1], "is cut off"),
        ("a.vgm", lambda data: data[:0x20] + b"\xff" * 4 + data[0x24:], "loop must lie within its"),
        ("a.vgz", lambda data: data[:-1], "is cut off"),
        ("a.vgz", lambda data: gzip.compress(bytes(vgm.MAX_BYTES + 1)), "at most 16777216 bytes"),
        ("a.nsf", lambda data: data[:0x80], "its header alone needs 128"),
        ("a.nsf", lambda data: data[:0x1000], "its data end at byte 8320"),
        ("a.nsf", lambda data: data[:-3], "cut off or damaged in the chunk at byte"),
        ("a.nsf", lambda data: data[:5] + b"\3\0" + data[7:], "not version 3 and 0 songs"),
        ("a.nes", lambda data: data[:8], "its header alone needs 16"),
        ("a.nes", lambda data: data[:-1], "it has 40975 of its 40976 bytes"),
        ("a.nes", lambda data: data[:4] + b"\xff" + data[5:9] + b"\x0f" + data[10:], "is cut off: it has 40976 of its"),
        ("a.log", lambda data: data[:-1] + b"G", "must have the columns"),
        ("a.ftm.txt", lambda data: data.replace(b"TRACK ", b"TRACK x "), "line"),
        ("a.fms.txt", lambda data: data[1:], "it must begin with 'Project' and have a 'Song'"),
    ],
)
def test_damage_is_named(refusal, name: str, change, message: str) -> None:
    """What is wrong with a damaged file is said in one sentence."""
    assert message in refusal(name, change(FILES[name]))


def test_a_suffix_that_nobody_knows(run) -> None:
    """All suffixes that can be read are named, also those of two parts."""
    code, output, errors = run("info", "a.txt")
    assert (code, output) == (1, "")
    assert errors == (
        "nesasset: cannot tell what 'a.txt' is: the suffix must be one of .json, .wav, .ogg, .flac, .mid, .onnx, .vgm, .vgz, "
        ".nsf, .nes, .log, .ftm.txt, .fms.txt\n"
    )


def test_every_file_that_render_writes_is_known() -> None:
    """No suffix that `render` and `build` write is one that `info` cannot read."""
    from nesasset.commands.render import FORMATS

    assert set(info._READERS) == {*FORMATS, ".json", ".onnx"}


def test_the_help_names_every_kind(run) -> None:
    """The help says what FILE may be."""
    output = " ".join(run("info", "--help")[1].split())
    assert all(word in output for word in ("VGM", "VGZ", "NSF", ".nes", ".log", "FamiTracker", "FamiStudio", ".ftm.txt", ".fms.txt"))


@pytest.mark.parametrize("name", ["a.vgm", "a.nsf", "a.nes"])
def test_damaged_headers_give_facts_or_our_error(tmp_path: Path, name: str) -> None:
    """Whatever stands in the first bytes of a file, and wherever it ends, `info` answers or refuses."""
    module = {"a.vgm": vgm, "a.nsf": nsf, "a.nes": rom}[name]
    rng = random.Random(name)
    path = tmp_path / name
    messages = []
    for _ in range(400):
        data = bytearray(FILES[name])
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(0x100)] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        path.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        try:
            module.describe(path)
        except FormatError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all("\n" not in message and name in message for message in messages)


def test_a_folder_is_refused(run, tmp_path: Path) -> None:
    """A folder with a file's name is an expected failure."""
    (tmp_path / "a.nsf").mkdir()
    with pytest.raises(NesassetError, match="not a regular file"):
        nsf.describe(tmp_path / "a.nsf")
