"""Scores as FamiStudio text, for FamiStudio 3 and later. Written only; docs/tracker-files.md describes it.

The project is in FamiTracker tempo, where a row lasts as many frames as the speed at tempo 150, so that every groove is
exact; speeds stand in the sample channel. The line `Project` has no version, which every FamiStudio takes for its own.

Facts about FamiStudio: its manual, "Exporting Songs", and its text reader, as published.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import replace
from itertools import zip_longest
from typing import Final

from nesasset.errors import ScoreError
from nesasset.formats import tracker_cells as cells
from nesasset.formats.tracker_cells import Event
from nesasset.score import MAX_ENVELOPE_FRAMES, Instrument, Note, Score
from nesasset.units import MAX_VOLUME, NOTE_NAMES, VOICE_NAMES, VOICES

MAX_PATTERNS: Final = 256
MAX_FRAMES: Final = 31  # of a speed and of a note's delay
_TEMPO: Final = 150
_CHANNELS: Final = {"P1": "Square1", "P2": "Square2", "TR": "Triangle", "NO": "Noise"}
_LOWEST_NOISE: Final = 31  # G2 stands for the lowest hiss, A#3 for the highest
_MAX_ARPEGGIO: Final = (-64, 63)
# Frames of one swing by FamiStudio's vibrato speed, from 1 on; its manual has the table.
_VIBRATO_PERIODS: Final = (64, 32, 21, 16, 13, 11, 9, 8, 7, 6, 5, 4)

_Attributes = dict[str, object]


def dumps(score: Score) -> str:
    """Return a score as FamiStudio text; docs/tracker-files.md lists what the form cannot hold.

    Rows after the end of the loop, which nobody hears, are left out: a FamiStudio song loops from its end.

    Raises:
        ScoreError: The score has more than 16 384 rows, or passes a limit of FamiStudio: 256 patterns of 256 rows, 31
            frames a row, envelopes of 252 values, notes up to B-7, one note a row.
    """
    if score.loop is not None:
        score = replace(score, voices={voice: score.voices[voice][: score.loop[1]] for voice in VOICES})
    if max(score.groove) > MAX_FRAMES:
        raise ScoreError(
            f"FamiStudio holds at most {MAX_FRAMES} frames a row, not {max(score.groove)}; use shorter rows"
        )
    length, spans = cells.cut(score, MAX_PATTERNS)
    starts = cells.row_starts(score)
    names = _names(score)
    loop = -1 if score.loop is None else next(i for i, span in enumerate(spans) if span[0] == score.loop[0])
    title = cells.one_line(score.title)
    project = {
        "TempoMode": "FamiTracker",
        "Name": title,
        "Author": _text(score, "author"),
        "Copyright": _text(score, "copyright"),
    }
    lines = [_line(0, "Project", {key: value for key, value in project.items() if value})]
    for index, instrument in enumerate(score.instruments):
        lines.append(_line(1, "Instrument", {"Name": names[index]}))
        lines += _envelopes(instrument, index)
    song = {
        "Name": title or cells.one_line(score.theme) or "Song",
        "Length": len(spans),
        "LoopPoint": loop,
        "PatternLength": length,
    }
    song |= {"BeatLength": score.beat_rows, "FamiTrackerTempo": _TEMPO, "FamiTrackerSpeed": score.groove[0]}
    lines.append(_line(1, "Song", song))
    for index, (first, end) in enumerate(spans):
        if end - first < length:
            lines.append(_line(2, "PatternCustomSettings", {"Time": index, "Length": end - first}))
    for voice in VOICES:
        lines += _channel(_CHANNELS[voice], _notes(score, voice, starts, names), spans)
    lines += _channel("DPCM", _speeds(score, spans), spans)
    return "\n".join([*lines, ""])


def save(score: Score, path: str | os.PathLike[str]) -> None:
    """Write a FamiStudio text file, whole or not at all; see `dumps`.

    Raises:
        ScoreError: As `dumps`.
        OutputError: The file cannot be written.
    """
    from nesasset.formats import files

    files.write_bytes(path, dumps(score).encode())


def _line(depth: int, kind: str, attributes: _Attributes) -> str:
    line = "\t" * depth + kind
    for key, value in attributes.items():
        text = value.replace('"', '""') if isinstance(value, str) else value
        line += f' {key}="{text}"'
    return line


def _text(score: Score, key: str) -> str:
    value = score.provenance.get(key, "")
    return cells.one_line(value) if isinstance(value, str) else ""


def _names(score: Score) -> list[str]:
    """Return a name for each instrument, no two the same: FamiStudio finds them by name."""
    taken: set[str] = set()
    names = []
    for index, instrument in enumerate(score.instruments):
        plain = name = cells.shown_name(instrument, index)
        number = 2
        while name in taken:
            name = f"{plain} ({number})"
            number += 1
        taken.add(name)
        names.append(name)
    return names


def _envelopes(instrument: Instrument, index: int) -> list[str]:
    """Return the envelopes of an instrument. All loop, if only on the last value: without a loop a volume would end."""
    where = f"instrument {index}: the "
    low, high = _MAX_ARPEGGIO
    steps = cells.noise_steps(instrument) if instrument.kind == "noise" else instrument.arpeggio
    steps = tuple(min(high, max(low, step)) for step in steps)
    duties = {"pulse": instrument.duties or (instrument.duty,), "noise": (instrument.mode,), "triangle": (0,)}[
        instrument.kind
    ]
    found: dict[str, tuple[tuple[int, ...], int | None]] = {}
    if instrument.volume != (MAX_VOLUME,):
        found["Volume"] = cells.to_macro(instrument.volume, where + "volume envelope")
    if duties != (0,):
        found["DutyCycle"] = cells.to_macro(duties, where + "duty sequence")
    if steps and len(steps) <= cells.MAX_MACRO_FRAMES:
        found["Arpeggio"] = (steps, instrument.arpeggio_loop)
    elif steps:
        found["Arpeggio"] = cells.to_macro(
            cells.unroll(steps, instrument.arpeggio_loop, MAX_ENVELOPE_FRAMES), where + "arpeggio"
        )
    return [
        _line(
            2,
            "Envelope",
            {
                "Type": kind,
                "Length": len(values),
                "Loop": len(values) - 1 if loop is None else loop,
                "Values": ",".join(map(str, values)),
            },
        )
        for kind, (values, loop) in found.items()
    ]


def _notes(score: Score, voice: str, starts: list[int], names: list[str]) -> dict[int, _Attributes]:
    """Return the attributes of each row of one voice that has any."""
    events = cells.place(score, voice, starts)
    untils = cells.next_rows([event.row for event in events], score.n_rows, score.loop)
    notes = [event.cell for event in events if isinstance(event.cell, Note)]
    with_volume = any(note.volume != MAX_VOLUME for note in notes)
    with_vibrato = any(score.instruments[note.instrument].vibrato is not None for note in notes) and voice != "NO"
    rows: dict[int, _Attributes] = {}
    before: int | None = None
    swinging = score.loop is not None and with_vibrato  # not known at the loop's start: say so once
    loop_row = -1 if score.loop is None else score.loop[0]
    passed = score.loop is None
    for event, following, until in zip_longest(events, events[1:], untils):
        row = rows.setdefault(event.row, {})
        if event.offset > MAX_FRAMES:
            raise ScoreError(
                f"{VOICE_NAMES[voice]} row {event.source + 1}: FamiStudio holds a delay of at most {MAX_FRAMES} frames, not "
                f"{event.offset}; shorten it"
            )
        if not isinstance(event.cell, Note):
            row["Value"] = "Stop"
        else:
            note = event.cell
            instrument = score.instruments[note.instrument]
            if not passed and event.row >= loop_row:
                passed = swinging = True
            # What follows late in its row is waited for; it ends this note whatever its length.
            end = score.n_rows if following is None else following.row + (following.offset > 0)
            height = _height(score, voice, event)
            row |= {"Value": _friendly(height), "Duration": end - event.row, "Instrument": names[note.instrument]}
            if note.slide and before is not None and before != height and voice != "NO":
                at = bisect_right(starts, starts[event.row] + event.offset + note.slide - 1)
                row |= {"Value": _friendly(before), "SlideTarget": _friendly(height)}
                if at < min(end, until):
                    row["Duration"] = at - event.row
                    rest = {"Value": _friendly(height), "Duration": end - at, "Instrument": names[note.instrument]}
                    rows[at] = {**rest, "Attack": False}
            before = height
            if with_volume:
                row["Volume"] = note.volume
            swing = None
            if instrument.vibrato is not None and note.pitch is not None:
                onset = starts[event.row] + event.offset
                swing = cells.vibrato_row(instrument.vibrato, event.row, onset, until, starts)
            if with_vibrato and (swing == event.row or swinging):
                row |= (
                    _vibrato(instrument, voice, note) if swing == event.row else {"VibratoSpeed": 0, "VibratoDepth": 0}
                )
            if swing is not None and swing != event.row:
                rows.setdefault(swing, {}).update(_vibrato(instrument, voice, note))
            swinging = swing is not None
        if event.offset:
            row["NoteDelay"] = event.offset
    return rows


def _height(score: Score, voice: str, event: Event) -> int:
    """Return semitones above C0, FamiStudio's lowest note."""
    assert isinstance(event.cell, Note)
    if event.cell.pitch is None:
        return _LOWEST_NOISE + 15 - score.instruments[event.cell.instrument].period
    number = cells.pitch_to_note(voice, event.cell.pitch)
    if number > cells.MAX_NOTE:
        raise ScoreError(
            f"{VOICE_NAMES[voice]} row {event.source + 1}: FamiStudio's highest note is B7, and this is C8; lower it"
        )
    return number


def _friendly(number: int) -> str:
    return f"{NOTE_NAMES[number % 12]}{number // 12}"


def _vibrato(instrument: Instrument, voice: str, note: Note) -> _Attributes:
    vibrato = instrument.vibrato
    assert vibrato is not None and note.pitch is not None
    speed = min(range(len(_VIBRATO_PERIODS)), key=lambda index: abs(_VIBRATO_PERIODS[index] - vibrato.period)) + 1
    return {"VibratoSpeed": speed, "VibratoDepth": cells.vibrato_depth(voice, note.pitch, vibrato.depth)}


def _speeds(score: Score, spans: list[tuple[int, int]]) -> dict[int, _Attributes]:
    """Return the rows in which the speed changes, and the first of every pattern."""
    speeds = [score.groove[row % len(score.groove)] for row in range(score.n_rows)]
    if len(set(speeds)) == 1:
        return {}
    firsts = {first for first, _ in spans}
    return {row: {"Speed": speed} for row, speed in enumerate(speeds) if row in firsts or speed != speeds[row - 1]}


def _channel(kind: str, rows: dict[int, _Attributes], spans: list[tuple[int, int]]) -> list[str]:
    """Return a channel's lines: its patterns, each once, and where they stand."""
    patterns: dict[tuple[str, ...], str] = {}
    instances = []
    for index, (first, end) in enumerate(spans):
        content = tuple(
            _line(4, "Note", {"Time": row - first, **rows[row]}) for row in range(first, end) if row in rows
        )
        if content:
            name = patterns.setdefault(content, f"Pattern {len(patterns) + 1}")
            instances.append(_line(3, "PatternInstance", {"Time": index, "Pattern": name}))
    lines = [_line(2, "Channel", {"Type": kind})]
    for content, name in patterns.items():
        lines += [_line(3, "Pattern", {"Name": name}), *content]
    return lines + instances
