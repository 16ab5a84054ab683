"""FamiStudio text: played by the manual's rules it sounds as the driver makes it, and what cannot be held is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from pieces import jingle_score, loop_score
from strategies import scores
from test_famitracker import driven, heard, silent

from nesasset.errors import ScoreError
from nesasset.formats import famistudio
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, Vibrato

NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


def objects(text: str) -> list[tuple[int, str, dict[str, str]]]:
    """Return depth, kind and attributes of each line, read the way FamiStudio reads it."""
    found = []
    for line in text.rstrip("\n").split("\n"):
        body = line.lstrip("\t")
        kind, _, rest = body.partition(" ")
        pairs = re.findall(r'([^"=\s]+)="((?:""|[^"])*)"', rest)
        assert re.sub(r'[^"=\s]+="(?:""|[^"])*"', "", rest).strip() == ""
        found.append((len(line) - len(body), kind, {key: value.replace('""', '"') for key, value in pairs}))
    return found


def play(text: str, n_frames: int) -> list[tuple[tuple[int, int, int], ...]]:
    """Return for each frame and voice volume, note and duty: FamiTracker tempo, no loop."""
    lines = objects(text)
    envelopes: dict[str, dict[str, tuple[int, list[int]]]] = {}
    patterns: dict[tuple[str, str], list[dict[str, str]]] = {}
    order: dict[str, dict[int, str]] = {}
    lengths: dict[int, int] = {}
    song: dict[str, str] = {}
    name = channel = pattern = ""
    for _, kind, attributes in lines:
        if kind == "Instrument":
            name = attributes["Name"]
            assert name not in envelopes
            envelopes[name] = {}
        elif kind == "Envelope":
            values = [int(value) for value in attributes["Values"].split(",")]
            assert len(values) == int(attributes["Length"])
            envelopes[name][attributes["Type"]] = (int(attributes["Loop"]), values)
        elif kind == "Song":
            song = attributes
        elif kind == "PatternCustomSettings":
            lengths[int(attributes["Time"])] = int(attributes["Length"])
        elif kind == "Channel":
            channel = attributes["Type"]
            order[channel] = {}
        elif kind == "Pattern":
            pattern = attributes["Name"]
            patterns[channel, pattern] = []
        elif kind == "Note":
            patterns[channel, pattern].append(attributes)
        elif kind == "PatternInstance":
            order[channel][int(attributes["Time"])] = attributes["Pattern"]
    rows: dict[str, dict[int, dict[str, str]]] = {channel: {} for channel in order}
    n_rows = 0
    for time in range(int(song["Length"])):
        for channel, entries in order.items():
            for note in patterns[channel, entries[time]] if time in entries else []:
                rows[channel][n_rows + int(note["Time"])] = note
        n_rows += lengths.get(time, int(song["PatternLength"]))
    speed = int(song["FamiTrackerSpeed"])
    starts = []
    frame = 0
    for row in range(n_rows):
        speed = int(rows["DPCM"].get(row, {}).get("Speed", speed))
        starts.append(frame)
        frame += speed
    starts.append(frame)
    shown: list[list[tuple[int, int, int]]] = []
    for channel in ("Square1", "Square2", "Triangle", "Noise"):
        part = [(0, 0, 0)] * frame
        for row, note in sorted(rows[channel].items()):
            onset = starts[row] + int(note.get("NoteDelay", 0))
            if note["Value"] == "Stop":
                part[onset:] = [(0, 0, 0)] * (frame - onset)
                continue
            number = NAMES.index(note["Value"][:-1]) + 12 * int(note["Value"][-1])
            end = starts[min(n_rows, row + int(note["Duration"]))]
            own = envelopes[note["Instrument"]]

            def value(kind: str, default: int, age: int, own: dict[str, Any] = own) -> int:
                loop, values = own.get(kind, (0, [default]))
                return values[age if age < len(values) else loop + (age - loop) % (len(values) - loop)]

            part[onset:] = [
                (
                    value("Volume", 15, at - onset),
                    (number - 31) & 15 if channel == "Noise" else number,
                    value("DutyCycle", 0, at - onset),
                )
                if at < end
                else (0, 0, 0)
                for at in range(onset, frame)
            ]
        shown.append(part)
    return [tuple(voice[at] for voice in shown) for at in range(n_frames)]


def within_rows(score: Score) -> Score:
    """Return the score with voices that lag by less than a row; longer delays are the other tracker's test."""
    return replace(score, delays={voice: min(lag, min(score.groove) - 1) for voice, lag in score.delays.items()})


@given(scores(max_rows=12, loops=False, provenance=False).map(within_rows))
@settings(max_examples=40)
def test_it_plays_what_the_driver_plays(score: Score) -> None:
    """Played by FamiStudio's rules, grooves, delays, rests and envelopes sound in every frame as the driver makes them."""
    try:
        text = famistudio.dumps(score)
    except ScoreError as error:
        assume("row has room for one" not in str(error) and "highest note is B7" not in str(error))
        raise
    assert [heard(frame) for frame in play(text, score.n_frames)] == [
        silent(frame) for frame in driven(score, score.n_frames)
    ]


def test_a_loop_is_a_pattern_to_go_on_from() -> None:
    """The loop point is the pattern at the loop's start, and rows behind the loop are left out."""
    score = loop_score(intro_bars=1, bars=3)
    song = next(attributes for _, kind, attributes in objects(famistudio.dumps(score)) if kind == "Song")
    assert (song["Length"], song["LoopPoint"], song["PatternLength"]) == ("4", "1", "16")
    shorter = famistudio.dumps(replace(score, loop=(16, 40)))
    song = next(attributes for _, kind, attributes in objects(shorter) if kind == "Song")
    assert (song["Length"], song["LoopPoint"]) == ("3", "1")
    assert '\t\tPatternCustomSettings Time="2" Length="8"\n' in shorter
    assert 'LoopPoint="-1"' in famistudio.dumps(jingle_score())


def test_the_text_of_a_small_score() -> None:
    """Names, envelopes, volumes, a slide, a vibrato, a late rest and a groove are written like this, and nothing else."""
    rest: tuple[Cell, ...] = (HOLD, HOLD, HOLD, HOLD)
    lead = Instrument(
        "pulse", (15, 8), duty=2, name="lead", arpeggio=(0, 4), arpeggio_loop=0, vibrato=Vibrato(0, 12, 30)
    )
    score = Score(
        {
            "P1": (Note(0, 69, volume=12), Note(0, 72, slide=6, volume=12), HOLD, REST),
            "P2": rest,
            "TR": rest,
            "NO": (Note(1), HOLD, HOLD, HOLD),
        },
        (lead, Instrument("noise", (9, 0), period=15, name="lead")),
        groove=(6, 7),
        loop=(0, 4),
        delays={"P1": 2},
        title='A "b"',
        provenance={"author": "C"},
    )
    assert famistudio.dumps(score) == (
        'Project TempoMode="FamiTracker" Name="A ""b""" Author="C"\n'
        '\tInstrument Name="lead"\n'
        '\t\tEnvelope Type="Volume" Length="2" Loop="1" Values="15,8"\n'
        '\t\tEnvelope Type="DutyCycle" Length="1" Loop="0" Values="2"\n'
        '\t\tEnvelope Type="Arpeggio" Length="2" Loop="0" Values="0,4"\n'
        '\tInstrument Name="lead (2)"\n'
        '\t\tEnvelope Type="Volume" Length="2" Loop="1" Values="9,0"\n'
        '\tSong Name="A ""b""" Length="1" LoopPoint="0" PatternLength="16" BeatLength="4" FamiTrackerTempo="150" '
        'FamiTrackerSpeed="6"\n'
        '\t\tPatternCustomSettings Time="0" Length="4"\n'
        '\t\tChannel Type="Square1"\n'
        '\t\t\tPattern Name="Pattern 1"\n'
        '\t\t\t\tNote Time="0" Value="A3" Duration="2" Instrument="lead" Volume="12" VibratoSpeed="5" VibratoDepth="3" '
        'NoteDelay="2"\n'
        '\t\t\t\tNote Time="1" Value="A3" Duration="3" Instrument="lead" SlideTarget="C4" Volume="12" VibratoSpeed="5" '
        'VibratoDepth="3" NoteDelay="2"\n'
        '\t\t\t\tNote Time="3" Value="Stop" NoteDelay="2"\n'
        '\t\t\tPatternInstance Time="0" Pattern="Pattern 1"\n'
        '\t\tChannel Type="Square2"\n'
        '\t\tChannel Type="Triangle"\n'
        '\t\tChannel Type="Noise"\n'
        '\t\t\tPattern Name="Pattern 1"\n'
        '\t\t\t\tNote Time="0" Value="G2" Duration="4" Instrument="lead (2)"\n'
        '\t\t\tPatternInstance Time="0" Pattern="Pattern 1"\n'
        '\t\tChannel Type="DPCM"\n'
        '\t\t\tPattern Name="Pattern 1"\n'
        '\t\t\t\tNote Time="0" Speed="6"\n'
        '\t\t\t\tNote Time="1" Speed="7"\n'
        '\t\t\t\tNote Time="2" Speed="6"\n'
        '\t\t\t\tNote Time="3" Speed="7"\n'
        '\t\t\tPatternInstance Time="0" Pattern="Pattern 1"\n'
    )


def test_bars_that_repeat_share_a_pattern() -> None:
    """Four equal bars are four places of one pattern."""
    score = loop_score(bars=4)
    bars = {voice: score.voices[voice][:16] * 4 for voice in score.voices}
    lines = objects(famistudio.dumps(replace(score, voices=bars)))
    assert sum(kind == "Pattern" for _, kind, _ in lines) == 4
    assert sum(kind == "PatternInstance" for _, kind, _ in lines) == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groove": (40,)}, "at most 31 frames a row, not 40"),
        ({"voices": dict.fromkeys(("P1", "P2", "TR", "NO"), (HOLD,) * 16_385)}, "at most 16384 rows can become a tracker's text"),
        ({"voices": {"TR": (Note(1, 108), HOLD)}}, "triangle row 1: FamiStudio's highest note is B7"),
    ],
)
def test_what_passes_a_limit(changes: dict[str, Any], message: str) -> None:
    """A score that FamiStudio has no room for is refused with one sentence."""
    rest: tuple[Cell, ...] = (HOLD, HOLD)
    voices = {"P1": rest, "P2": rest, "TR": rest, "NO": rest} | changes.pop("voices", {})
    score = Score(voices, (Instrument("pulse"), Instrument("triangle")), **changes)
    with pytest.raises(ScoreError, match=re.escape(message)):
        famistudio.dumps(score)


def test_files_are_written(tmp_path: Path) -> None:
    """A saved file holds the text."""
    famistudio.save(loop_score(), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text("utf-8") == famistudio.dumps(loop_score())
