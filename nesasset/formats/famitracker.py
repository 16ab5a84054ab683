"""Scores as FamiTracker text, the "text export" of FamiTracker 0.4.6, written and read. docs/tracker-files.md describes it.

Written: a pattern a bar, patterns shared where a voice repeats itself, instruments with volume, arpeggio and duty macros,
the groove as speeds (a row lasts as many frames as its speed, at tempo 150), the loop as a jump. Speeds and jumps stand in
the fifth, otherwise empty column, so that a delayed note never delays them. Comments hold what has no place of its own.

Read: that and what people make. What a score has no word for is left out and reported.

Facts about FamiTracker: its text importer, tempo counter and channel handlers, as published; its manual.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from nesasset.errors import FormatError, ScoreError
from nesasset.formats import tracker_cells as cells
from nesasset.formats.famitracker_lines import ARPEGGIO, DPCM, DUTY, SPLIT, VOLUME
from nesasset.formats.tracker_cells import Event
from nesasset.score import MAX_ENVELOPE_FRAMES, MAX_ROW_FRAMES, Instrument, Note, Score
from nesasset.units import MAX_VOLUME, NOTE_NAMES, VOICE_NAMES, VOICES

MAX_BYTES: Final = 8 * 1024 * 1024  # the most rows take 3 MiB; the largest found among published songs has 0.8
MAX_FRAMES: Final = 128  # entries of the ORDER list
MAX_TRACKER_INSTRUMENTS: Final = 64
_MAX_TITLE_BYTES: Final = 31  # FamiTracker's TITLE, AUTHOR and COPYRIGHT; a track's name may be longer
_TEMPO: Final = 150  # at 60 frames a second a row then lasts as many frames as its speed
_MAX_GROOVE_COMMENT: Final = 32
_EMPTY_CELL: Final = ("...", "..", ".")


# Writing


def dumps(score: Score) -> str:
    """Return a score as FamiTracker text. Inverse: `loads`; docs/tracker-files.md lists what the form cannot hold.

    Raises:
        ScoreError: The score has more than 16 384 rows, or passes a limit of FamiTracker: 128 frames of 256 rows, 64
            instruments, macros of 252 values, notes up to B-7, one note a row.
    """
    starts = cells.row_starts(score)
    ends = score.loop is None
    length, spans = cells.cut(score, MAX_FRAMES - ends)
    indices = _instrument_indices(score)
    grid = [[[*_EMPTY_CELL] for _ in range(score.n_rows)] for _ in range(5)]
    for channel, voice in enumerate(VOICES):
        _write_voice(score, voice, starts, indices, grid[channel])
    _write_control(score, length, spans, grid[DPCM])
    patterns = [[_padded(part[first:end], length) for first, end in spans] for part in grid]
    if ends:
        _write_end(patterns, spans, length)
    return _text(score, length, patterns, indices)


def save(score: Score, path: str | os.PathLike[str]) -> None:
    """Write a FamiTracker text file, whole or not at all; see `dumps`.

    Raises:
        ScoreError: As `dumps`.
        OutputError: The file cannot be written.
    """
    from nesasset.formats import files

    files.write_bytes(path, dumps(score).encode())


def _instrument_indices(score: Score) -> dict[int, int]:
    """Return the tracker's number of each instrument: its own, while there are no more than 64.

    Raises:
        ScoreError: More than 64 that differ in sound are played.
    """
    if len(score.instruments) <= MAX_TRACKER_INSTRUMENTS:
        return {index: index for index in range(len(score.instruments))}
    played = sorted({cell.instrument for voice in VOICES for cell in score.voices[voice] if isinstance(cell, Note)})
    numbers: dict[Instrument, int] = {}
    indices = {}
    for index in played:  # noise periods are told by the notes; names are for people
        sound = replace(score.instruments[index], name="", period=0)
        sound = sound if sound.arpeggio == () else replace(sound, period=score.instruments[index].period)
        indices[index] = numbers.setdefault(sound, len(numbers))
    if len(numbers) > MAX_TRACKER_INSTRUMENTS:
        raise ScoreError(
            f"FamiTracker holds at most {MAX_TRACKER_INSTRUMENTS} instruments, and this score plays {len(numbers)}; "
            "use fewer"
        )
    return indices


def _write_voice(
    score: Score, voice: str, starts: list[int], indices: Mapping[int, int], column: list[list[str]]
) -> None:
    """Fill in one voice's column: note, instrument, volume and effects of each row."""
    events = cells.place(score, voice, starts)
    notes = [event.cell for event in events if isinstance(event.cell, Note)]
    with_volume = any(note.volume != MAX_VOLUME for note in notes)
    until = cells.next_rows([event.row for event in events], score.n_rows, score.loop)
    slides = _slides(voice, events)
    swings = [_swing(score, voice, event, end, starts) for event, end in zip(events, until, strict=True)]
    loop_row = -1 if score.loop is None else score.loop[0]
    portamento, vibrato = 0, 0  # what runs, known to be so but in the loop's first note, which has two predecessors
    known_portamento = known_vibrato = True
    passed = score.loop is None
    for event, slide, swing in zip(events, slides, swings, strict=True):
        entry = column[event.row]
        if event.row >= loop_row and not passed:
            passed = True
            known_portamento, known_vibrato = not any(slides), not any(swings)
        if not isinstance(event.cell, Note):
            entry[0] = "---"
        else:
            note = event.cell
            entry[0] = _note_name(score, voice, event)
            entry[1] = f"{indices[note.instrument]:02X}"
            if with_volume:
                entry[2] = f"{note.volume:X}"
            if slide != portamento or not known_portamento:
                entry.append(f"3{slide:02X}")
            at_once = swing is not None and swing[0] == event.row
            wanted = swing[1] if swing is not None and at_once else 0
            if wanted != vibrato or not known_vibrato:
                entry.append(f"4{wanted:02X}")
            portamento, vibrato = slide, wanted
            known_portamento = known_vibrato = True
            if swing is not None and not at_once:
                column[swing[0]].append(f"4{swing[1]:02X}")
                vibrato = swing[1]
        if event.offset:
            entry.append(f"G{event.offset:02X}")


def _slides(voice: str, events: list[Event]) -> list[int]:
    """Return the portamento speed of each event, 0 for none."""
    speeds = []
    before: int | None = None
    for event in events:
        note = event.cell
        pitch = note.pitch if isinstance(note, Note) else None
        if pitch is None:
            speeds.append(0)
            continue
        assert isinstance(note, Note)
        distance = 0 if before is None else abs(cells.period(voice, before) - cells.period(voice, pitch))
        speeds.append(cells.portamento_speed(distance, note.slide))
        before = pitch
    return speeds


def _swing(score: Score, voice: str, event: Event, until: int, starts: list[int]) -> tuple[int, int] | None:
    """Return the row and the parameter of a note's 4xy; None without vibrato."""
    if not isinstance(event.cell, Note) or event.cell.pitch is None:
        return None
    vibrato = score.instruments[event.cell.instrument].vibrato
    onset = starts[event.row] + event.offset
    return cells.vibrato_effect(vibrato, voice, event.cell.pitch, event.row, onset, until, starts)


def _note_name(score: Score, voice: str, event: Event) -> str:
    assert isinstance(event.cell, Note)
    if event.cell.pitch is None:
        return (
            f"{15 - score.instruments[event.cell.instrument].period:X}-#"  # F-# is the highest hiss, register value 0
        )
    number = cells.pitch_to_note(voice, event.cell.pitch)
    if number > cells.MAX_NOTE:
        raise ScoreError(
            f"{VOICE_NAMES[voice]} row {event.source + 1}: FamiTracker's highest note is B-7, sounding B-7 on the triangle, "
            "and this is C-8; lower it"
        )
    return f"{NOTE_NAMES[number % 12]:-<2}{number // 12}"


def _write_control(score: Score, length: int, spans: list[tuple[int, int]], column: list[list[str]]) -> None:
    """Fill in the fifth column: speeds where the groove changes, the loop's jump, the ends of short patterns."""
    speeds = [score.groove[row % len(score.groove)] for row in range(score.n_rows)]
    if len(set(speeds)) > 1:
        firsts = {first for first, _ in spans}
        for row, speed in enumerate(speeds):
            if row in firsts or speed != speeds[row - 1]:
                column[row].append(f"F{speed:02X}")
    for first, end in spans:
        if score.loop is not None and end == score.loop[1]:
            target = next(index for index, span in enumerate(spans) if span[0] == score.loop[0])
            column[end - 1].append(f"B{target:02X}")
        elif end - first < length and (end < score.n_rows or score.loop is not None):
            column[end - 1].append("D00")


def _padded(rows: list[list[str]], length: int) -> list[tuple[str, ...]]:
    return [tuple(row) for row in rows] + [_EMPTY_CELL] * (length - len(rows))


def _write_end(patterns: list[list[list[tuple[str, ...]]]], spans: list[tuple[int, int]], length: int) -> None:
    """Silence all voices and halt in the row after the last, in a pattern of its own if need be."""
    first, end = spans[-1]
    row = end - first
    if row == length:
        for part in patterns:
            part.append([_EMPTY_CELL] * length)
        row = 0
    for channel, part in enumerate(patterns):
        part[-1][row] = (*_EMPTY_CELL, "C00") if channel == DPCM else ("---", *_EMPTY_CELL[1:])


def _text(score: Score, length: int, patterns: list[list[list[tuple[str, ...]]]], indices: Mapping[int, int]) -> str:
    title = cells.one_line(score.title, MAX_BYTES)
    lines = [
        "# FamiTracker text export 0.4.2",  # the importer's own words in all versions up to 0.4.6
        "",
        "# Song information",
        f"TITLE           {_quoted(cells.one_line(title, _MAX_TITLE_BYTES))}",
        f"AUTHOR          {_quoted(_provenance(score, 'author', _MAX_TITLE_BYTES))}",
        f"COPYRIGHT       {_quoted(_provenance(score, 'copyright', _MAX_TITLE_BYTES))}",
        "",
        "# Song comment",
        *(f"COMMENT {_quoted(line)}" for line in _comments(score, indices)),
        "",
        "# Global settings",
        "MACHINE         0",
        "FRAMERATE       0",
        "EXPANSION       0",
        "VIBRATO         1",
        f"SPLIT           {SPLIT if max(score.groove) < SPLIT else MAX_ROW_FRAMES + 1}",
        "",
        "# Macros",
    ]
    macros: list[dict[tuple[tuple[int, ...], int | None], int]] = [{} for _ in range(5)]
    instruments: list[str] = []
    for index, number in sorted(indices.items(), key=lambda item: (item[1], item[0])):
        if instruments and number == len(instruments) - 1:
            continue  # another one of the same sound
        used = _macros(score.instruments[index], index)
        numbers = [
            macros[kind].setdefault(macro, len(macros[kind])) if (macro := used.get(kind)) else -1 for kind in range(5)
        ]
        name = _quoted(cells.shown_name(score.instruments[index], index))
        instruments.append(f"INST2A03 {number:3d}   {' '.join(f'{entry:3d}' for entry in numbers)} {name}")
    for kind, known in enumerate(macros):
        for (values, loop), number in known.items():
            shown = " ".join(map(str, values))
            lines.append(f"MACRO     {kind:3d} {number:3d} {-1 if loop is None else loop:3d}  -1   0 : {shown}")
    lines += ["", "# DPCM samples", "", "# Instruments", *instruments, "", "# Tracks", ""]
    lines.append(f"TRACK {length:3d} {score.groove[0]:3d} {_TEMPO} {_quoted(title)}")
    columns = [max([1, *(len(cell) - 3 for rows in part for cell in rows)]) for part in patterns]
    lines += [f"COLUMNS : {' '.join(map(str, columns))}", ""]
    numbered: list[dict[tuple[tuple[str, ...], ...], int]] = []
    order: list[list[int]] = []
    for part in patterns:
        known_patterns: dict[tuple[tuple[str, ...], ...], int] = {}
        order.append([known_patterns.setdefault(tuple(rows), len(known_patterns)) for rows in part])
        numbered.append(known_patterns)
    lines += [
        f"ORDER {index:02X} : {' '.join(f'{entry:02X}' for entry in entries)}"
        for index, entries in enumerate(zip(*order, strict=True))
    ]
    lines.append("")
    by_number = [{number: rows for rows, number in known.items()} for known in numbered]
    empty = (_EMPTY_CELL,) * length
    for number in range(max(len(known) for known in numbered)):
        lines.append(f"PATTERN {number:02X}")
        parts = [known.get(number, empty) for known in by_number]
        for row in range(length):
            shown_cells = [
                " ".join((*part[row], *["..."] * (columns[channel] + 3 - len(part[row]))))
                for channel, part in enumerate(parts)
            ]
            lines.append(f"ROW {row:02X} : {' : '.join(shown_cells)}")
        lines.append("")
    lines += ["# End of export", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _provenance(score: Score, key: str, max_bytes: int = 127) -> str:
    value = score.provenance.get(key, "")
    return cells.one_line(value, max_bytes) if isinstance(value, str) else ""


def _comments(score: Score, indices: Mapping[int, int]) -> list[str]:
    """Return the lines of the comment: what the form has no place for, in words that people can read and change."""
    lines = [f"Theme: {cells.one_line(score.theme)}"] if score.theme else []
    lines.append(f"Bar: {score.bar_rows} rows, beat: {score.beat_rows} rows")
    if len(score.groove) <= _MAX_GROOVE_COMMENT:
        lines.append(f"Groove: {' '.join(map(str, score.groove))}")
    delays = [f"{voice} {score.delays[voice]}" for voice in VOICES if score.delays.get(voice)]
    if delays:
        lines.append(f"Delays: {', '.join(delays)}")
    vibratos = {number: score.instruments[index] for index, number in indices.items()}
    for number, instrument in vibratos.items():
        vibrato = instrument.vibrato
        if vibrato is not None and instrument.kind != "noise":
            lines.append(
                f"Vibrato {number:02X}: after {vibrato.delay} frames, {vibrato.period} frames a swing, {vibrato.depth} cents"
            )
    comment = score.provenance.get("comment", "")
    if isinstance(comment, str):
        lines += [cells.one_line(line) for line in comment.split("\n") if line]
    return lines


def _macros(instrument: Instrument, index: int) -> dict[int, tuple[tuple[int, ...], int | None]]:
    """Return the macros that an instrument needs, by kind: values and loop."""
    where = f"instrument {index}: the "
    found: dict[int, tuple[tuple[int, ...], int | None]] = {}
    if instrument.volume != (MAX_VOLUME,):
        found[VOLUME] = cells.to_macro(instrument.volume, where + "volume envelope")
    if instrument.arpeggio:
        steps = cells.noise_steps(instrument) if instrument.kind == "noise" else instrument.arpeggio
        if instrument.arpeggio_loop is not None and len(steps) <= cells.MAX_MACRO_FRAMES:
            found[ARPEGGIO] = (steps, instrument.arpeggio_loop)
        else:
            steps = cells.unroll(steps, instrument.arpeggio_loop, MAX_ENVELOPE_FRAMES)
            found[ARPEGGIO] = cells.to_macro(steps, where + "arpeggio")
    duties = {"pulse": instrument.duties or (instrument.duty,), "noise": (instrument.mode,), "triangle": (0,)}[
        instrument.kind
    ]
    if duties != (0,):  # which is what sounds without a macro
        found[DUTY] = cells.to_macro(duties, where + "duty sequence")
    return found


# Reading


def loads(text: str, name: str = "the text", track: int = 1) -> tuple[Score, tuple[str, ...]]:
    """Return the score that a FamiTracker text holds, and a sentence for each thing that was left out or changed.

    Inverse of `dumps`.

    Args:
        text: The file.
        name: What error messages call it.
        track: Which of its tracks, counted from 1.

    Raises:
        FormatError: The text is no FamiTracker text, or damaged; the sentence names the line.
        ScoreError: The music in it breaks a rule of scores.
    """
    if len(text) > MAX_BYTES:
        raise FormatError(f"{name}: a FamiTracker text must have at most {MAX_BYTES} letters, and this one has more")
    from nesasset.formats import famitracker_reader, files  # most who import this module write

    try:
        with files.collector_paused():
            return famitracker_reader.read(text, track)
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from error
    except ScoreError as error:
        raise ScoreError(f"{name}: {error}") from error


def load(path: str | os.PathLike[str], track: int = 1) -> tuple[Score, tuple[str, ...]]:
    """Read a FamiTracker text file, UTF-8 or Windows' Latin letters; see `loads`.

    Raises:
        FormatError: The file cannot be read or is no FamiTracker text.
        ScoreError: The music in it breaks a rule of scores.
    """
    from nesasset.formats import files

    data = files.read_bytes(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    return loads(text, os.fspath(path), track)
