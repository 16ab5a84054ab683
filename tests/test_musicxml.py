"""MusicXML as scores: parts, ties, chords and chord symbols; damaged and hostile files are refused in a sentence."""

from __future__ import annotations

import io
import random
import zipfile
from collections import Counter

import pytest

from nesasset.errors import FormatError
from nesasset.formats import musicxml
from nesasset.score import Note, Score


def note(step: str, octave: int, duration: int, more: str = "") -> str:
    chord = "<chord/>" if "chord" in more else ""
    more = more.replace("chord", "")
    return f"<note>{chord}<pitch><step>{step}</step><octave>{octave}</octave></pitch><duration>{duration}</duration>{more}</note>"


def document(*parts: tuple[str, str], divisions: int = 4) -> bytes:
    """Return a score of parts of (name, content of its measures); measures are parted by '|'."""
    heads = "".join(
        f'<score-part id="P{index}"><part-name>{name}</part-name></score-part>' for index, (name, _) in enumerate(parts)
    )
    first = f"<attributes><divisions>{divisions}</divisions><key><fifths>-1</fifths><mode>minor</mode></key><time><beats>3</beats><beat-type>4</beat-type></time></attributes><direction><sound tempo='150'/></direction>"
    bodies = ""
    for index, (_, content) in enumerate(parts):
        measures = "".join(
            f"<measure>{'' if at else first}{text}</measure>" for at, text in enumerate(content.split("|"))
        )
        bodies += f'<part id="P{index}">{measures}</part>'
    text = f"<score-partwise><work><work-title>A  Waltz</work-title></work><part-list>{heads}</part-list>{bodies}</score-partwise>"
    return b"<?xml version='1.0'?>" + text.encode()


def pitches(score: Score, voice: str) -> dict[int, int | None]:
    return {row: cell.pitch for row, cell in enumerate(score.voices[voice]) if isinstance(cell, Note)}


SONG = document(
    ("Voice", note("A", 4, 8) + note("B", 4, 4, "<tie type='start'/>") + "|" + note("B", 4, 4, "<tie type='stop'/>") + note("D", 5, 8)),
    (
        "Piano",
        note("E", 4, 12, "<staff>1</staff>") + "<backup><duration>12</duration></backup>" + note("A", 2, 12, "<staff>2</staff>")
        + "|" + note("F", 4, 12, "<staff>1</staff>") + "<backup><duration>12</duration></backup>" + note("D", 2, 12, "<staff>2</staff>"),
    ),
)


def test_parts_become_voices() -> None:
    """A song: the voice is pulse 1, the piano's staves pulse 2 and triangle; a tied note is one; bars, tempo and key are told."""
    score, left_out = musicxml.loads(SONG)
    assert pitches(score, "P1") == {0: 69, 8: 71, 16: 74}
    assert pitches(score, "P2") == {0: 64, 12: 65}
    assert pitches(score, "TR") == {0: 45, 12: 38}
    assert (score.bar_rows, score.n_rows, score.groove, score.title) == (12, 24, (6,), "A Waltz")
    assert score.provenance == {"key": "D minor"}
    assert left_out == ()


def test_chord_symbols_make_an_accompaniment() -> None:
    """A tune with chord symbols gets roots and fifths on the triangle and broken chords in eighths on pulse 2."""
    harmony = "<harmony><root><root-step>D</root-step></root><kind>minor</kind></harmony>"
    score, _ = musicxml.loads(document(("Tune", harmony + note("A", 5, 12) + "|" + note("D", 5, 12))))
    assert pitches(score, "P1") == {0: 81, 12: 74}
    assert pitches(score, "TR") == {0: 38, 8: 45, 16: 38}
    assert set(pitches(score, "P2")) == set(range(0, 24, 2))
    assert {pitch % 12 for pitch in pitches(score, "P2").values() if pitch} == {2, 5, 9}


def test_what_is_passed_over_is_counted() -> None:
    """Grace notes, unpitched notes and repeats are told."""
    grace = "<note><grace/><pitch><step>C</step><octave>5</octave></pitch></note>"
    drum = "<note><unpitched/><duration>4</duration></note>"
    repeat = "<barline><repeat direction='backward'/></barline>"
    _, left_out = musicxml.loads(document(("Tune", grace + note("A", 4, 4) + drum + repeat)))
    assert set(left_out) >= {"grace notes", "notes without a pitch", "repeats that are played once"}


def test_packed_files_are_read() -> None:
    """An .mxl gives the same piece as its text."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("META-INF/container.xml", "<container/>")
        file.writestr("score.xml", SONG)
    assert musicxml.loads(packed.getvalue()) == musicxml.loads(SONG)


def bomb() -> bytes:
    """Return a small archive of 64 MiB of blanks."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("score.xml", b" " * (64 << 20))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no readable XML"),
        (SONG[:300], "no readable XML"),
        (b"<score-timewise/>", "score-partwise"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><score-partwise/>", "entities"),
        (b"<score-partwise/>", "has no notes"),
        (b"PK\x03\x04 no archive", "the packed file is damaged"),
        (bomb(), "holds more than 33554432 bytes"),
        (bytes(musicxml.MAX_BYTES + 1), "at most 8388608 bytes"),
        (document(("Tune", note("A", 4, 2**31) * 3), divisions=1), "longer than a score can be"),
        (document(("Tune", note("A", 4, 90_000)), divisions=1), "at most 65536"),
    ],
)  # fmt: skip
def test_unusable_files(data: bytes, message: str) -> None:
    """What is no MusicXML, is damaged, a bomb or endless is refused by name, in one sentence."""
    with pytest.raises(FormatError, match=f"^a.mxl: .*{message}"):
        musicxml.loads(data, "a.mxl")


def test_mutated_files_raise_only_format_errors() -> None:
    """300 damaged files, plain and packed, become scores or are refused."""
    generator = random.Random(8)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("score.xml", SONG)
    outcomes: Counter[bool] = Counter()
    for _ in range(300):
        data = bytearray(generator.choice((SONG, packed.getvalue())))
        for _ in range(generator.choice((1, 1, 3))):
            data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            musicxml.loads(bytes(data))
            outcomes[True] += 1
        except FormatError:
            outcomes[False] += 1
    assert outcomes[True] and outcomes[False]
