"""FamiTracker text: a score comes back with all that the form can hold, people's files are read, damaged ones refused."""

from __future__ import annotations

import random
import re
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pieces import jingle_score, loop_score
from strategies import scores

from nesasset.errors import FormatError, ScoreError
from nesasset.formats import famitracker
from nesasset.formats import tracker_cells as cells
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, Vibrato
from nesasset.units import VOICES

vibratos = st.builds(Vibrato, st.integers(0, 30), st.integers(4, 70), st.integers(1, 300))


@st.composite
def idiomatic_scores(draw: st.DrawFn, **options: Any) -> Score:
    """Draw a score whose notes have volumes and slides, and whose instruments move their pitch and duty."""
    score = draw(scores(provenance=False, **options))
    steps = st.lists(st.integers(-24, 24), max_size=4)
    instruments = []
    for instrument in score.instruments:
        arpeggio = tuple(draw(steps))
        instruments.append(
            replace(
                instrument,
                duties=tuple(draw(st.lists(st.integers(0, 3), max_size=3))),
                arpeggio=arpeggio,
                arpeggio_loop=draw(st.none() | st.integers(0, len(arpeggio) - 1)) if arpeggio else None,
                vibrato=draw(st.none() | vibratos),
            )
        )
    volumes, slides = st.just(15) | st.integers(0, 15), st.just(0) | st.integers(0, 40)
    voices = {
        voice: tuple(
            replace(cell, volume=draw(volumes), slide=draw(slides)) if isinstance(cell, Note) else cell
            for cell in score.voices[voice]
        )
        for voice in VOICES
    }
    return replace(score, voices=voices, instruments=tuple(instruments))


def held(score: Score) -> Score:
    """Return what of a score the form can hold, as docs/tracker-files.md lists it."""
    starts = cells.row_starts(score)
    voices: dict[str, tuple[Cell, ...]] = {}
    used: set[int] = set()
    for voice in VOICES:
        part: list[Cell] = [HOLD] * score.n_rows
        before = None
        for event in cells.place(score, voice, starts):
            cell = event.cell
            if isinstance(cell, Note):
                used.add(cell.instrument)
                frames = 0
                if cell.pitch is not None:
                    here = cells.period(voice, cell.pitch)
                    distance = 0 if before is None else abs(before - here)
                    frames = cells.portamento_frames(distance, cells.portamento_speed(distance, cell.slide))
                    before = here
                cell = replace(cell, slide=frames)
            part[event.source] = cell
        voices[voice] = tuple(part)
    instruments = tuple(
        held_instrument(instrument, index, index in used) for index, instrument in enumerate(score.instruments)
    )
    return replace(
        score,
        voices=voices,
        instruments=instruments,
        delays={voice: lag for voice, lag in score.delays.items() if lag},
        title=cells.one_line(score.title),
        theme=cells.one_line(score.theme),
        provenance={},
    )


def held_instrument(instrument: Instrument, index: int, used: bool) -> Instrument:
    """Return what of an instrument the form can hold."""
    plain = replace(instrument, name=cells.shown_name(instrument, index))
    duties = plain.duties if len(plain.duties) > 1 else ()
    duty = plain.duties[0] if plain.duties else plain.duty
    steps = plain.arpeggio
    if plain.kind == "noise":
        steps = tuple(min(15, max(0, plain.period + step)) - plain.period for step in steps)
        if used:
            return replace(plain, duty=0, duties=(), arpeggio=steps, vibrato=None)
        steps, duty, duties = tuple(-step for step in steps), plain.mode, ()
        plain = replace(plain, vibrato=None)
    if plain.kind == "triangle":
        duty, duties = 0, ()
        if used:
            return replace(plain, duty=0, period=0, mode=0, duties=())
    return replace(plain, kind="pulse", duty=duty, period=0, mode=0, duties=duties, arpeggio=steps)


def written(score: Score) -> str:
    """Return the text of a score; scores that the form has no room for are not drawn."""
    try:
        return famitracker.dumps(score)
    except ScoreError as error:
        assume("row has room for one" not in str(error) and "highest note is B-7" not in str(error))
        raise


@given(idiomatic_scores(max_rows=12))
@settings(max_examples=60)
def test_out_and_back(score: Score) -> None:
    """Every score comes back with all that the form can hold, nothing is reported, and the text is the same again."""
    text = written(score)
    again, left_out = famitracker.loads(text)
    assert again == held(score)
    assert left_out == ()
    assert famitracker.dumps(again) == text


# An independent player: FamiTracker's rules, as far as our files use them, on the text itself.


def play(text: str, n_frames: int) -> list[tuple[tuple[int, int, int], ...]]:
    """Return for each frame and voice volume, note and duty, played the way FamiTracker plays."""
    order = {int(a, 16): b.split() for a, b in re.findall(r"^ORDER (\S+) : (.*)$", text, re.MULTILINE)}
    rows: dict[tuple[str, int], list[list[str]]] = {}
    pattern = ""
    for line in text.split("\n"):
        if line.startswith("PATTERN"):
            pattern = line.split()[1]
        elif line.startswith("ROW"):
            number, *parts = line[4:].split(" : ")
            rows[pattern, int(number, 16)] = [part.split() for part in parts]
    macros = {}
    for kind, index, loop, values in re.findall(r"^MACRO\s+(\d) +(\d+) +(-?\d+) +-1 +0 : (.*)$", text, re.MULTILINE):
        macros[int(kind), int(index)] = (int(loop), [int(value) for value in values.split()])
    instruments = {
        int(words[0]): [int(word) for word in words[1:]]
        for words in (line.split() for line in re.findall(r"^INST2A03 ([ 0-9-]*) \"", text, re.MULTILINE))
    }
    length, speed, tempo = (int(word) for word in re.findall(r"^TRACK +(\d+) +(\d+) +(\d+)", text, re.MULTILINE)[0])
    entry = row = counter = 0
    halted = False
    channels = [{"gate": False, "age": 0, "note": 0, "instrument": 0, "waiting": None} for _ in range(4)]
    frames = []

    def step(macro: tuple[int, list[int]] | None, age: int, default: int) -> int:
        if macro is None:
            return default
        loop, values = macro
        if age >= len(values):
            age = len(values) - 1 if loop < 0 else loop + (age - loop) % (len(values) - loop)
        return values[age]

    def act(channel: dict[str, Any], words: list[str], index: int) -> None:
        if words[0] == "---":
            channel["gate"] = False
        elif words[0] != "...":
            names = ["C-", "C#", "D-", "D#", "E-", "F-", "F#", "G-", "G#", "A-", "A#", "B-"]
            number = int(words[0][0], 16) if index == 3 else names.index(words[0][:2]) + 12 * int(words[0][2])
            channel.update(gate=True, age=0, note=number, instrument=int(words[1], 16))

    for _ in range(n_frames):
        if counter <= 0 and not halted:
            words_of_row = [rows[order[entry][index], row][index] for index in range(5)]
            target: tuple[int, int] | None = None
            for words in words_of_row:
                for effect in words[3:]:
                    if effect[0] == "F":
                        speed = int(effect[1:], 16)
                    elif effect[0] == "B":
                        target = (int(effect[1:], 16), 0)
                    elif effect[0] == "D":
                        target = target or (entry + 1, 0)
                    elif effect[0] == "C":
                        halted = True
            for index, channel in enumerate(channels):
                if channel["waiting"] is not None:
                    act(channel, channel["waiting"][1], index)
                    channel["waiting"] = None
                words = words_of_row[index]
                delay = [int(effect[1:], 16) for effect in words[3:] if effect[0] == "G"]
                if delay:
                    channel["waiting"] = [delay[0], words]
                else:
                    act(channel, words, index)
            entry, row = target or ((entry, row + 1) if row + 1 < length else ((entry + 1) % len(order), 0))
            counter += 3600 - tempo * 24 % speed
        counter -= tempo * 24 // speed
        shown = []
        for index, channel in enumerate(channels):
            if channel["waiting"] is not None:
                if channel["waiting"][0] == 0:
                    act(channel, channel["waiting"][1], index)
                    channel["waiting"] = None
                else:
                    channel["waiting"][0] -= 1
            used = [
                macros.get((kind, number))
                for kind, number in enumerate(instruments.get(channel["instrument"], [-1] * 5))
            ]
            volume = step(used[0], channel["age"], 15) if channel["gate"] else 0
            note = channel["note"] + step(used[1], channel["age"], 0)
            shown.append((volume, note, step(used[4], channel["age"], 0)))
            channel["age"] += 1
        frames.append(tuple(shown))
    return frames


def driven(score: Score, n_frames: int) -> list[tuple[tuple[int, ...], ...]]:
    """Return for each frame and voice what the driver writes: volume, period and duty."""
    from nesasset.driver import drive

    log = drive(score, n_frames)
    registers = dict.fromkeys(range(0x4000, 0x4018), 0)
    frames, at = [], 0
    for frame in range(n_frames):
        while at < len(log.frames) and log.frames[at] == frame:
            registers[int(log.addresses[at])] = int(log.values[at])
            at += 1
        r = registers
        frames.append(
            (
                (r[0x4000] & 15, r[0x4002] | (r[0x4003] & 7) << 8, r[0x4000] >> 6),
                (r[0x4004] & 15, r[0x4006] | (r[0x4007] & 7) << 8, r[0x4004] >> 6),
                (int(r[0x4008] != 0x80), r[0x400A] | (r[0x400B] & 7) << 8),
                (r[0x400C] & 15, r[0x400E] & 15, r[0x400E] >> 7),
            )
        )
    return frames


def heard(frame: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, ...], ...]:
    """Return a frame of `play` as the registers of `driven`; what is silent is told only as silent."""
    # FamiTracker's table ends at C-0 and B-7; arpeggios that go on beyond are taken as the driver takes them.
    exact = [round(1789773 / (16 * 440 * 2 ** ((note - 45) / 12)) - 1) for _, note, _ in frame[:3]]
    period = [min(2047, max(low, number)) for number, low in zip(exact, (8, 8, 0), strict=True)]
    (v1, _, d1), (v2, _, d2), (v3, _, _), (v4, n4, d4) = frame
    return silent(((v1, period[0], d1), (v2, period[1], d2), (int(v3 > 0), period[2]), (v4, 15 - n4, d4)))


def silent(frame: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Return a frame in which a silent voice has neither period nor duty."""
    return tuple(voice if voice[0] else (0,) for voice in frame)


def without_approximations(score: Score) -> Score:
    """Return the score without what a tracker plays only nearly.

    Volumes of notes, slides and vibrato; delays that may push a note of the intro into the loop; and arpeggios that turn
    on a note held through the whole loop: the tracker turns them on, the driver begins them anew with each pass.
    """
    voices = {
        voice: tuple(
            replace(cell, volume=15, slide=0) if isinstance(cell, Note) else cell for cell in score.voices[voice]
        )
        for voice in VOICES
    }
    instruments = tuple(replace(entry, vibrato=None) for entry in score.instruments)
    if score.loop is not None and any(set(cells[slice(*score.loop)]) == {HOLD} for cells in score.voices.values()):
        instruments = tuple(replace(entry, arpeggio_loop=None) for entry in instruments)
    delays = {} if score.loop is not None and score.loop[0] else score.delays
    return replace(score, voices=voices, instruments=instruments, delays=delays)


@given(idiomatic_scores(max_rows=10).map(without_approximations))
@settings(max_examples=40)
def test_a_tracker_plays_what_the_driver_plays(score: Score) -> None:
    """Played by the tracker's rules, grooves, delays, loops and macros sound in every frame as the driver makes them."""
    text = written(score)
    if score.loop_frames is None:
        assert [heard(f) for f in play(text, score.n_frames + 8)][: score.n_frames] == [
            silent(f) for f in driven(score, score.n_frames)
        ]
        return
    start, end = score.loop_frames
    late = end + 80 // (end - start) * (end - start)  # all envelopes are over, each voice's first cell is long past
    ours = [heard(f) for f in play(text, late + end - start)]
    theirs = [silent(f) for f in driven(score, late + end - start)]
    assert ours[:start] == theirs[:start]
    assert ours[late:] == theirs[late:]


def test_four_hundred_forty_hertz_is_a_3() -> None:
    """A pulse of 440 Hz is written A-3 and a triangle of 220 Hz too: the same period sounds an octave lower there."""
    rest: tuple[Cell, ...] = (HOLD,)
    score = Score(
        {"P1": (Note(0, 69),), "P2": rest, "TR": (Note(1, 57),), "NO": (Note(2),)},
        (Instrument("pulse", duty=2), Instrument("triangle"), Instrument("noise", period=10)),
    )
    assert "ROW 00 : A-3 00 . ... : ... .. . ... : A-3 01 . ... : 5-# 02 . ... :" in famitracker.dumps(score)


# Files as people make them

SMALL = """# FamiTracker text export 0.4.2
TITLE "A ""quoted"" name"
AUTHOR "Somebody"
COPYRIGHT ""
COMMENT "made by hand"
MACHINE 0
FRAMERATE 0
EXPANSION 0
VIBRATO 1
SPLIT 32
MACRO 0 0 -1 -1 0 : 15 12 9 6
MACRO 0 1 1 -1 0 : 15 8 4
MACRO 1 0 0 -1 0 : 0 4 7
MACRO 4 0 -1 -1 0 : 2
INST2A03 0 0 -1 -1 -1 0 "lead"
INST2A03 1 1 0 -1 -1 -1 "echo"
TRACK 4 6 150 "first"
COLUMNS : 2 1 1 1 1
ORDER 00 : 00 00 00 00 00
ORDER 01 : 01 01 01 01 01
PATTERN 00
ROW 00 : C-3 00 . ... ... : ... .. . ... : A-2 01 . ... : F-# 00 8 ... : ... .. . ...
ROW 01 : ... .. . ... ... : E-3 01 . V01 : ... .. . ... : ... .. . ... : ... .. . ...
ROW 02 : --- .. . ... ... : ... .. . ... : ... .. . ... : 0-# 00 . ... : ... .. . ...
ROW 03 : ... .. . ... ... : ... .. . ... : --- .. . ... : ... .. . ... : ... .. . ...
PATTERN 01
ROW 00 : D#4 00 7 G02 347 : ... .. . ... : ... .. . ... : ... .. . ... : ... .. . ...
ROW 01 : ... .. . ... ... : ... .. . ... : ... .. . ... : ... .. . ... : ... .. . ...
ROW 02 : ... .. . ... ... : ... .. . ... : ... .. . ... : ... .. . ... : ... .. . D00
"""


def read(*changes: tuple[str, str]) -> tuple[Score, tuple[str, ...]]:
    """Return what SMALL with some of its text replaced is read as."""
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return famitracker.loads(text)


def test_a_file_by_hand() -> None:
    """Notes, instruments, volumes, delays and portamento of a small file are where they should be."""
    score, left_out = read()
    assert (score.title, score.groove, score.bar_rows, score.loop) == ('A "quoted" name', (6,), 4, (0, 7))
    assert score.provenance == {"author": "Somebody", "comment": "made by hand"}
    lead, echo, *others = score.instruments
    assert lead == Instrument("pulse", (15, 12, 9, 6), duty=2, name="lead")
    # The echo plays pulse 2 with a duty by effect, and the triangle; its volume loops for the 36 frames of its longest note.
    assert echo == Instrument("pulse", (15, *(8, 4) * 17, 8), duty=1, name="echo", arpeggio=(0, 4, 7), arpeggio_loop=0)
    assert [(other.kind, other.period) for other in others] == [("triangle", 0), ("noise", 0), ("noise", 15)]
    assert score.voices["P1"] == (
        Note(0, 60), HOLD, REST, HOLD, Note(0, 75, delay=2, volume=7, slide=3), HOLD, HOLD
    )  # fmt: skip
    assert score.voices["NO"][0] == Note(3, volume=8)
    assert score.voices["TR"][3] == REST
    assert left_out == ()


@pytest.mark.parametrize(
    ("effect", "rows", "loop"),
    [
        ("B01", 5, (0, 5)),  # into the second pattern, whose three rows lead back to the first
        ("D01", 4, (0, 4)),  # into its second row
        ("C00", 1, None),  # the row that halts holds no note and is not played
    ],
)
def test_the_order_of_play(effect: str, rows: int, loop: tuple[int, int] | None) -> None:
    """Jumps, skips and halts are followed as FamiTracker follows them."""
    row = next(line for line in SMALL.split("\n") if line.startswith("ROW 01"))
    empty = "... .. . ..."
    score, _ = read((row, f"ROW 01 : {empty} ... : {empty} : {empty} : {empty} : ... .. . {effect}"))
    assert (score.n_rows, score.loop) == (rows, loop)


def test_tempo_without_whole_frames() -> None:
    """A row of 6.5 frames becomes rows of 7 and 6, as FamiTracker's counter gives them."""
    score, _ = read(('TRACK 4 6 150 "first"', 'TRACK 4 6 138 "first"'))
    assert score.groove[:4] == (7, 7, 6, 7)  # 3600 / (138 * 24 / 6) = 6.52 frames


def test_what_is_left_out_is_told() -> None:
    """Effects, commands and voices that a score has no word for are reported, and counted."""
    _, left_out = read(
        ("ROW 02 : --- .. . ...", "ROW 02 : --- .. . P80"),
        ("ROW 03 : ... .. . ...", "ROW 03 : ... .. . P7F"),
        ("EXPANSION 0", "EXPANSION 1\nGROOVE 0 2 : 6 7"),
        ("MACHINE 0", "MACHINE 1"),
    )
    assert left_out == (
        "lines that begin with GROOVE",
        "a song for PAL, 50 frames a second, plays at 60",
        "the voices of an expansion chip",
        "fine pitch (Pxx) (2 times)",
    )


def test_edits_come_back() -> None:
    """A note, a name and a macro that a person changes in a written file are in the score that is read from it."""
    text = famitracker.dumps(loop_score(intro_bars=1))
    row = next(line for line in text.split("\n") if line.startswith("ROW 00 : "))
    edited = text.replace(row, "ROW 00 : A-4 05 9 G01 : " + row.split(" : ", 2)[2], 1)
    edited = edited.replace('"lead"', '"brass"').replace(": 8 4 1 0", ": 9 3 0")
    edited = edited.replace("COLUMNS : 1", "COLUMNS : 1")
    score, left_out = famitracker.loads(edited)
    assert score.voices["P1"][0] == Note(5, 81, delay=1, volume=9)
    assert score.instruments[0].name == "brass"
    assert score.instruments[3].volume == (9, 3, 0)
    assert left_out == ()


def test_bars_that_repeat_share_a_pattern() -> None:
    """Four bars that are all the same need one pattern, and a bar is a pattern."""
    score = loop_score(bars=4)
    bar = {voice: score.voices[voice][:16] * 4 for voice in VOICES}
    text = famitracker.dumps(replace(score, voices=bar))
    assert "TRACK  16   6 150" in text
    assert re.findall("ORDER .*", text) == [f"ORDER {index:02X} : 00 00 00 00 0{int(index == 3)}" for index in range(4)]


def test_a_piece_that_ends_halts() -> None:
    """A piece without a loop silences its voices and halts; read again it has no loop and no row more."""
    score = jingle_score()
    text = famitracker.dumps(score)
    assert re.findall(r"^ROW (..) .*C00$", text, re.MULTILINE) == ["00"]
    assert text.count("ORDER") == 3  # two bars, and a frame to halt in
    again, _ = famitracker.loads(text)
    assert (again.n_rows, again.loop) == (score.n_rows, None)


def test_a_long_envelope_that_repeats_is_a_loop() -> None:
    """An envelope longer than a macro is written by its repeating end, and sounds the same when read."""
    envelope = (15, 14, *(9, 5, 7) * 330)
    rows: tuple[Cell, ...] = (HOLD,) * 15
    score = Score(
        {"P1": (Note(0, 60), *rows), "P2": (REST, *rows), "TR": (REST, *rows), "NO": (REST, *rows)},
        (Instrument("pulse", envelope),),
        groove=(64,),
    )
    text = famitracker.dumps(score)
    assert "MACRO       0   0   2  -1   0 : 15 14 9 5 7\n" in text
    again, _ = famitracker.loads(text)
    assert again.instruments[0].volume[: len(envelope)] == envelope


def test_a_score_longer_than_128_bars_has_longer_patterns() -> None:
    """Where bars are more than FamiTracker has frames, a pattern holds several of them."""
    score = loop_score(bars=4)
    long = {voice: score.voices[voice] * 50 for voice in VOICES}
    text = famitracker.dumps(replace(score, voices=long, loop=(0, 3200)))
    assert "TRACK  32   6 150" in text
    assert famitracker.loads(text)[0].voices == long


def unheld(**changes: Any) -> Score:
    rows: tuple[Cell, ...] = (HOLD,) * changes.pop("rows", 4)
    voices = {"P1": rows, "P2": rows, "TR": rows, "NO": rows} | changes.pop("voices", {})
    return Score(voices, **{"instruments": (Instrument("pulse"), Instrument("triangle")), **changes})


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (unheld(voices={"TR": (Note(1, 108),) * 4}), "triangle row 1: FamiTracker's highest note is B-7"),
        (unheld(rows=16_385), "at most 16384 rows can become a tracker's text, not one of 16385"),
        (unheld(rows=16_384, bar_rows=129), "at most 127 patterns of 256 rows, and 16384 rows in bars of 129 need more"),
        (
            unheld(voices={"P1": tuple(Note(i, 60) for i in range(80))}, rows=80, instruments=tuple(
                Instrument("pulse", (15, i % 16, i // 16)) for i in range(80))),
            "at most 64 instruments, and this score plays 80",
        ),
        (
            unheld(voices={"P1": (Note(0, 60), HOLD, HOLD, HOLD)}, instruments=(
                Instrument("pulse", tuple(i * i % 16 * (i % 7) % 16 if i % 11 else i // 64 for i in range(600))),)),
            "instrument 0: the volume envelope has 600 frames and a tracker's macro holds 252",
        ),
        (
            unheld(voices={"P1": (Note(0, 60), Note(0, 62), Note(0, 64), HOLD)}, groove=(2, 2, 2, 12), delays={"P1": 5}),
            "pulse 1: the delay of 5 frames puts two notes or rests into row 4",
        ),
    ],
)  # fmt: skip
def test_what_passes_a_limit(score: Score, message: str) -> None:
    """A score that FamiTracker has no room for is refused with one sentence."""
    with pytest.raises(ScoreError, match=re.escape(message)):
        famitracker.dumps(score)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (SMALL, "hello", "no TRACK line"),
        ("C-3 00 .", "C-3 00 Q", "line 22, channel 1: a hexadecimal number is needed, not 'Q'"),
        ("C-3 00 .", "C-33 00 .", "line 22, channel 1: a note must have three letters, not 'C-33'"),
        ("G02", "G0", "line 27, channel 1: an effect must have three letters, not 'G0'"),
        ("G02 347", "G02 347 100 100 100", "line 27, channel 1: effects of a cell must be between 0 and 4, not 5"),
        ("-1 0 : 15 12", "-1 0 :" + " 15" * 1025, "line 11: values of a macro must be between 0 and 1024, not 1027"),
        ("TRACK 4 6", "TRACK 0 6", "line 17: rows of a pattern must be between 1 and 256, not 0"),
        ("TRACK 4 6", "TRACK 4", "line 17: 3 whole numbers are needed, not 2"),
        ("ORDER 00 : 00", "ORDER 00 :", "line 19: ORDER must name at least 5 patterns, not 4"),
        ("-1 0 : 15 12", "-1 0 : x 12", "line 11: a whole number is needed, not 'x'"),
        ('TRACK 4 6 150 "first"', "", "line 19: ORDER stands before any TRACK"),
    ],
)
def test_broken_files(old: str, new: str, message: str) -> None:
    """A damaged text is refused with its name, the line and what is needed there."""
    text = SMALL.replace(old, new, 1)
    if "before any" in message:
        text = text.replace("COLUMNS : 2 1 1 1 1", "")
    with pytest.raises(FormatError, match=f"^song.txt: .*{re.escape(message)}"):
        famitracker.loads(text, "song.txt")


def test_the_longest_track() -> None:
    """16 384 rows are read and written, those behind the loop among them; one entry of the ORDER more is refused."""
    cells = " : ".join(["... .. . ..."] * 5)
    head = f'TRACK 256 6 150 "long"\nPATTERN 00\nROW 00 : {cells.replace("...", "C-3", 1)}\n'
    order = [f"ORDER {entry:02X} : 00 00 00 00 00" for entry in range(65)]
    score, _ = famitracker.loads(head + "\n".join(order[:64]))
    assert score.n_rows == 16_384
    famitracker.dumps(replace(score, instruments=(Instrument("pulse"),)))
    with pytest.raises(FormatError, match=r"^song: the track must play at most 16384 rows, and it plays more; shorten it$"):
        famitracker.loads(head + "\n".join(order), "song")
    jump = f"PATTERN 01\nROW 00 : {cells[:-3]}B00\n"  # 16 384 rows more behind the loop, which nobody hears
    with pytest.raises(FormatError, match="at most 16384 rows"):
        famitracker.loads(head + jump + "ORDER 00 : 01 01 01 01 01\n" + "\n".join(order[1:]) + "\nORDER 41 : 00 00 00 00 00")


def test_too_many_lines_are_refused() -> None:
    """A text of nothing but lines is refused before they are looked at."""
    with pytest.raises(FormatError, match="at most 131072 lines, and this one has more"):
        famitracker.loads("A\n" * 131_072)


def test_a_flood_of_unknown_words_is_summed_up() -> None:
    """Of lines that begin with many unknown words, twenty words are reported each and the rest together."""
    _, left_out = read(("MACHINE 0", "\n".join(["MACHINE 0", *(f"X{number}" for number in range(1000))])))
    assert len(left_out) == 21
    assert left_out[-1] == "lines that begin with other words (980 times)"


def test_another_track() -> None:
    """The track that is asked for is read, and one that is not there is refused."""
    text = SMALL + SMALL[SMALL.index("TRACK") :].replace("first", "second").replace("C-3", "G-3")
    score, left_out = famitracker.loads(text, track=2)
    assert (score.title, score.voices["P1"][0]) == ("second", Note(0, 67))
    assert left_out == ("of 2 tracks only number 2 was read",)
    with pytest.raises(FormatError, match="track must be between 1 and 2, not 3"):
        famitracker.loads(text, track=3)


def test_files_are_read_and_written(tmp_path: Path) -> None:
    """A saved file loads; one in Windows' Latin letters does too."""
    score = loop_score()
    famitracker.save(score, tmp_path / "a.txt")
    assert famitracker.load(tmp_path / "a.txt")[0].voices == score.voices
    (tmp_path / "b.txt").write_bytes(SMALL.replace("Somebody", "Jörg").encode("cp1252"))
    assert famitracker.load(tmp_path / "b.txt")[0].provenance["author"] == "Jörg"
    with pytest.raises(FormatError, match=r"cannot read .*c\.txt"):
        famitracker.load(tmp_path / "c.txt")


def test_mutated_texts_raise_only_our_errors() -> None:
    """2000 damaged texts are read or refused with one of our errors, in one sentence; each that is read can be written."""
    generator = random.Random(5)
    pieces = [
        "-1",
        "99999",
        "FF",
        "...",
        "B00",
        "D03",
        "C00",
        "F00",
        "F01",
        "FFF",
        "GFF",
        "4F0",
        "3FF",
        ":",
        '"',
        "\n",
        "x",
    ]
    pieces += [
        "TRACK 256 1 1",
        "ORDER FF : 00 00 00 00 00",
        "MACRO 0 0 0 0 2 : 1",
        "\0",
        "٣",
        "^-1",
        "===",
        "MACRO 1 0",
    ]
    messages = []
    for _ in range(2000):
        text = SMALL
        for _ in range(generator.choice((1, 1, 2, 5))):
            start = generator.randrange(len(text))
            stop = start + generator.choice((0, 1, 3, 3, 12, 80))
            text = text[:start] + generator.choice([*pieces, generator.choice(string.printable), ""]) + text[stop:]
        try:
            score, _ = famitracker.loads(text)
            if generator.random() < 0.1:
                famitracker.dumps(score)
        except (FormatError, ScoreError) as error:
            messages.append(str(error))
    assert 500 < len(messages) < 1900
    assert max(map(len, messages)) < 400
    assert not any("\n" in message for message in messages)
