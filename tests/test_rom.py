"""The cartridge: each board plays the log write for write, the screen lists the songs, the pad chooses, a console boots it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pieces
import pytest

from nesasset.driver import drive
from nesasset.errors import FormatError
from nesasset.formats import rom
from nesasset.formats.nes_player import font, stream

pytest.importorskip("py65", reason="py65, a 6502 for tests, is not installed")
from console_6502 import RomMachine
from test_nsf import COMPOSED, compare_by_ear, crowded_log, expected, melody, two_loops

A, B, SELECT, START, UP, DOWN, LEFT, RIGHT = (1 << bit for bit in range(8))
NESTOPIA = Path("/usr/lib/x86_64-linux-gnu/libretro/nestopia_libretro.so")

ROUND = drive(pieces.loop_score(4, bars=1, intro_bars=1, groove=(5, 6)))
# Noise in the first song makes a ROM of the size that needs the board.
FILLERS = {"NROM": 0, "UxROM": 60, "UxROM, 256 KiB": 400, "mapper 31": 600}


def cartridge(filler: int = 0, **texts) -> bytes:
    """Return a cartridge with one looping song, noise in front of it if asked for."""
    noise = [crowded_log(filler, 250)] if filler else []
    return rom.dumps([*noise, ROUND], **texts)


def press(machine: RomMachine, *buttons: int) -> None:
    """Press buttons one after the other, and let the page be drawn."""
    for button in buttons:
        machine.run_frame(button)
        for _ in range(25):
            machine.run_frame()


@pytest.mark.parametrize("board", FILLERS)
def test_each_board_plays_what_the_log_says(board: str) -> None:
    """On every board, over two loops, the interrupt writes each frame's writes in their order, and no others."""
    data = cartridge(FILLERS[board])
    assert len(data) == {"NROM": 16 + 0xA000, "UxROM": 16 + 0x10000, "UxROM, 256 KiB": 16 + 0x40000}.get(board, 16 + 0x80000)
    machine = RomMachine(data)
    log = ROUND
    if FILLERS[board]:
        machine.run_frame()
        machine.run_frame(DOWN)
        machine.run_frame(A)  # the next frame begins the song
    machine.run_frame()
    writes, cycles = machine.perform(two_loops(log))
    assert writes == expected(log, two_loops(log))
    assert max(cycles) < 6000


@pytest.mark.parametrize("filler", list(FILLERS.values())[1:], ids=list(FILLERS)[1:])
def test_a_song_across_banks_is_played_whole(filler: int) -> None:
    """The noise itself, which fills the banks, is played write for write over its bank boundaries."""
    machine = RomMachine(cartridge(filler))
    machine.run_frame()
    writes, _ = machine.perform(60)
    assert writes == expected(crowded_log(filler, 250), 60)


def test_crowded_frames_leave_time() -> None:
    """With the most writes that a frame may have, the interrupt is over before the next begins."""
    limit = int((0.75 * stream.CLOCKS_HZ["ntsc"] / 60 - stream.CYCLES_OF_A_CALL) / stream.CYCLES_OF_A_WRITE)
    log = crowded_log(6, limit)  # beyond any music, and still no frame is lost
    machine = RomMachine(rom.dumps([log]))
    machine.run_frame()
    writes, cycles = machine.perform(6)
    assert writes == expected(log, 6)
    assert max(cycles) < 29_780


def test_music_goes_on_while_a_page_is_drawn() -> None:
    """Turning pages, drawn over several frames by an interrupted main program, changes no write."""
    log = COMPOSED["loop"]
    machine = RomMachine(rom.dumps([log] * 30))
    machine.run_frame()
    machine.writes, first = [], machine.frame + 1
    for number in range(120):
        machine.run_frame(RIGHT if number % 20 == 10 else 0, main_cycles=350)
    assert [(frame - first, *rest) for frame, *rest in machine.writes] == expected(log, 120)


def test_the_screen_lists_the_songs() -> None:
    """Album, author, numbered titles, meters and help stand on the screen; the first song is chosen and marked as playing."""
    titles = ["Höhle", "The very long title that no line of this screen can hold", "x{y}~\t\u4e16"]
    machine = RomMachine(rom.dumps([COMPOSED["loop"]] * 3, titles=titles, album="Castle pack", author="José"))
    for _ in range(5):
        machine.run_frame()
    lines = machine.lines()
    assert (lines[2].strip(), lines[4].strip()) == ("CASTLE PACK", "JOSE")
    assert lines[5] == "  " + "*" * 28
    assert lines[6] == "  >*01 HOHLE"
    assert lines[8] == "    02 THE VERY LONG TITLE THA"
    assert lines[10] == "    03 X(Y)- ?"
    assert all(line == "" for line in lines[11:26])
    assert lines[27] == "  A PLAY  B STOP"
    assert [machine.palette_of(row) for row in (2, 4, 6, 8, 10, 24, 26)] == [3, 3, 1, 0, 0, 0, 3]


def test_pages() -> None:
    """Ten songs are a page; right, left, up and down turn pages, and both ends lead to each other."""
    logs = [COMPOSED["jingle"]] * 23
    machine = RomMachine(rom.dumps(logs, titles=[f"T{number}" for number in range(1, 24)]))
    press(machine)

    def chosen() -> tuple[str, str]:
        press(machine)
        for _ in range(30):
            machine.run_frame()
        (line,) = [line for line in machine.lines() if ">" in line]
        return line.replace("*", " ")[4:].strip(), machine.lines()[27][25:]

    assert chosen() == ("01 T1", "01/03")
    for button, after in (
        (UP, ("23 T23", "03/03")),
        (DOWN, ("01 T1", "01/03")),
        (RIGHT, ("11 T11", "02/03")),
        (UP, ("10 T10", "01/03")),
        (RIGHT, ("20 T20", "02/03")),
        (RIGHT, ("23 T23", "03/03")),
        (LEFT, ("13 T13", "02/03")),
        (DOWN, ("14 T14", "02/03")),
        (LEFT, ("04 T4", "01/03")),
        (LEFT, ("01 T1", "01/03")),
    ):
        machine.run_frame(button)
        assert chosen() == after


def test_a_held_direction_repeats() -> None:
    """A direction moves once at once, again after a pause, and then every few frames."""
    machine = RomMachine(rom.dumps([COMPOSED["jingle"]] * 10))
    rows = []
    for _ in range(45):
        machine.run_frame(DOWN)
        rows.append(next(at for at, line in enumerate(machine.lines()) if ">" in line) // 2 - 3)
    changes = [at for at in range(1, 45) if rows[at] != rows[at - 1]]
    assert np.diff(changes).tolist() == [24, 6, 6, 6]


def test_the_chosen_song_plays_and_is_marked() -> None:
    """A begins the chosen song, silenced registers first; B stops it, and the mark goes with it."""
    first, second = pieces.make_log([(0, 0x4000, 0x31)], 9, (0, 9)), pieces.make_log([(0, 0x4004, 0x32)], 9, (0, 9))
    machine = RomMachine(rom.dumps([first, second]))
    press(machine, DOWN)
    machine.writes = []
    press(machine, A)
    assert [write[1:] for write in machine.writes if write[1] in {0x4000, 0x4004}][:3] == [(0x4004, 0), (0x4000, 0), (0x4004, 0x32)]
    press(machine, UP)
    assert machine.lines()[6] == "  > 01 SONG 1"
    assert machine.lines()[8] == "   *02 SONG 2"
    assert (machine.palette_of(6), machine.palette_of(8)) == (1, 2)
    press(machine, B)
    assert machine.lines()[8] == "    02 SONG 2"
    assert machine.palette_of(8) == 0
    machine.writes = []
    press(machine)
    assert machine.writes == []


def test_meters_show_the_volumes() -> None:
    """Each meter shows its channel's volume in four tiles and falls step by step when the channel is switched off."""
    log = pieces.make_log(
        [(0, 0x4015, 0x0F), (0, 0x4000, 0x3F), (0, 0x4004, 0x36), (0, 0x4008, 0xFF), (0, 0x400C, 0x30), (40, 0x4015, 0)], 99
    )
    machine = RomMachine(rom.dumps([log]))

    def levels() -> list[int]:
        row = machine.ppu[0x2340:0x2360]
        return [sum(tile - font.BAR for tile in row[at : at + 4]) for at in (4, 11, 18, 25)]

    for _ in range(10):
        machine.run_frame()
    assert levels() == [15, 6, 12, 0]
    while not (machine.writes and machine.writes[-1][1:] == (0x4015, 0) and machine.frame > 30):
        machine.run_frame()
    machine.run_frame()
    assert levels() == [14, 5, 11, 0]


def test_text_and_picture_keep_to_the_vertical_blank() -> None:
    """The interrupt with a page of ten songs updates the picture in time, whatever is pressed (the console checks)."""
    machine = RomMachine(rom.dumps([COMPOSED["intro"]] * 12))
    for button in (0, DOWN, A, RIGHT, B, UP | START, LEFT | RIGHT | A | B, SELECT):
        press(machine, button)
    assert machine.mask & 0x08


@pytest.mark.parametrize(
    ("filler", "head"),
    [
        (0, "4e45531a 02 01 01 08 00 00 00 00 00 00 00 01"),
        (60, "4e45531a 04 00 21 08 00 00 00 07 00 00 00 01"),
        (600, "4e45531a 20 00 f1 18 00 00 00 07 00 00 00 01"),
    ],
)
def test_header(filler: int, head: str) -> None:
    """The NES 2.0 header names the board, its sizes and the pads."""
    assert cartridge(filler)[:16] == bytes.fromhex(head)


def test_pal_and_dendy_cartridges() -> None:
    """A log of 50 frames a second becomes a cartridge for the console of its region."""
    for region, timing in (("pal", 1), ("dendy", 3)):
        assert rom.dumps([pieces.make_log([(0, 0x4000, 1)], 5, frame_rate_hz=50.0, region=region)])[12] == timing


def test_255_songs() -> None:
    """All 255 songs of the largest pack are on its 26 pages, and the last one plays."""
    logs = [pieces.make_log([(0, 0x4000, number)], 5) for number in range(255)]
    machine = RomMachine(rom.dumps(logs))
    press(machine, UP)
    assert machine.lines()[14] == "  > 255 SONG 255"
    assert machine.lines()[27].endswith("26/26")
    machine.run_frame(A)
    machine.run_frame()
    assert machine.perform(3)[0] == [(0, 0x4000, 254)]


REFUSED = {
    "the number of songs must be between 1 and 255, not 0": [],
    "a cartridge for ntsc plays 60.10 frames a second, not 50; write an NSF instead": [pieces.make_log([], 1, frame_rate_hz=50.0)],
    "a cartridge for pal plays 50.01 frames a second, not 60; write an NSF instead": [pieces.make_log([], 1, region="pal")],
    "song 2 plays samples, for which these cartridges have no room; write an NSF instead": [
        COMPOSED["loop"],
        pieces.make_log([(0, 0x4015, 0x1F)], 5),
    ],
    "a cartridge holds 1 MiB, and these 1 songs need more; put them into several files, or shorten them": [crowded_log(1050, 500)],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_no_cartridge_can_hold_is_refused(message: str) -> None:
    """Each hopeless request is answered by one sentence."""
    with pytest.raises(FormatError, match=re.escape(message) + "$"):
        rom.dumps(REFUSED[message])


def test_save_writes_the_bytes(tmp_path: Path) -> None:
    """A saved file holds what dumps returns, the same bytes every time."""
    rom.save([COMPOSED["jingle"]], tmp_path / "a.nes", titles=["t"], author="a", album="b")
    assert (tmp_path / "a.nes").read_bytes() == rom.dumps([COMPOSED["jingle"]], titles=["t"], author="a", album="b")


def test_letters_are_all_different() -> None:
    """No two characters of the font have the same picture, and only the blank is empty."""
    tiles = font.tiles()
    pictures = [tiles[at : at + 8] for at in range(0, 8 * 71, 8)]
    assert len(set(pictures)) == 71
    assert [at for at, picture in enumerate(pictures) if not any(picture)] == [0]


@pytest.fixture
def nestopia(tmp_path: Path):
    """Return a function that boots a cartridge in Debian's Nestopia."""
    if not NESTOPIA.exists():
        pytest.skip("Debian's libretro-nestopia is not installed")
    from libretro import Core

    cores = []

    def boot(data: bytes) -> Core:
        path = tmp_path / "a.nes"
        path.write_bytes(data)
        # Without a volume for each channel there is no sound; without overscan the picture is whole.
        options = {"nestopia_audio_vol_": "100", "nestopia_overscan": "disabled"}
        cores.append(Core(str(NESTOPIA), path, tmp_path, options))
        return cores[-1]

    yield boot
    for core in cores:
        core.close()


def read_picture(picture: np.ndarray) -> list[str]:
    """Return the text in a console's picture, by comparing its cells with the font."""
    lit = picture.max(axis=2) > 40
    if len(lit) == 224:  # eight lines cut off above and below
        lit = np.pad(lit, ((8, 8), (0, 0)))
    assert lit.shape == (240, 256)
    tiles = np.unpackbits(np.frombuffer(font.tiles(), dtype=np.uint8).reshape(96, 8, 1), axis=2).astype(bool)
    letters = {tile.tobytes(): chr(32 + at) if at < 64 else "*" for at, tile in reversed(list(enumerate(tiles)))}
    cells = lit.reshape(30, 8, 32, 8).swapaxes(1, 2)
    return ["".join(letters.get(cell.tobytes(), "\u25a1") for cell in row).rstrip() for row in cells]


@pytest.mark.parametrize("board", ["NROM", "UxROM", "mapper 31"])
def test_nestopia_shows_the_list(nestopia, board: str) -> None:
    """Nestopia boots each board; its picture, read letter by letter, is the list, and the pad moves the mark."""
    console = nestopia(cartridge(FILLERS[board], titles=["NOISE", "A ROUND"][-1 if board == "NROM" else 0 :], album="PACK"))
    console.run(20)
    lines = read_picture(console.picture)
    print("\n".join(lines))
    assert lines[2].strip() == "PACK"
    assert lines[6] == "  >*01 " + ("A ROUND" if board == "NROM" else "NOISE")
    assert len(np.unique(console.picture.reshape(-1, 3), axis=0)) > 4
    if board != "NROM":
        console.run(3, "down")
        console.run(3)
        assert read_picture(console.picture)[8] == "  > 02 A ROUND"
        console.run(2, "a")
        sound = console.run(60)
        assert read_picture(console.picture)[8] == "  >*02 A ROUND"
        assert np.abs(sound).max() > 500


def test_nestopia_hears_what_we_render(nestopia) -> None:
    """Nestopia plays our cartridge with every onset within a frame and every pitch within 5 cents of our own sound."""
    from nesasset.render import render

    log = melody()
    log = pieces.make_log(expected(log, 1200), 1200)
    console = nestopia(rom.dumps([log]))
    theirs = console.run(1230)
    assert len(theirs) == 1230 * 800  # this core runs 60 frames a second, not the console's 60.0988, at the console's pitch
    ours = render(log, 48_000, channels=("P1", "TR")).samples.astype(float)
    drift, cents = compare_by_ear(ours, theirs, 48_000)
    print(f"Nestopia: onsets within {drift:.2f} frames, pitches within {cents:.2f} cents")
    assert drift < 1
    assert cents < 5
