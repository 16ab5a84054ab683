"""Idioms of NES music: an echo on the second pulse, vibrato on long notes, drums that slide. Score in, Score out.

Holds plain functions over scores and makers of instruments. What an instrument does frame by frame is the driver's work.
Default numbers come from NES-MDB where it shows them; docs/driver.md has the figures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nesasset.errors import ScoreError, out_of_range
from nesasset.score import (
    HOLD,
    MAX_ARPEGGIO,
    MAX_ENVELOPE_FRAMES,
    MAX_INSTRUMENTS,
    MAX_ROWS,
    REST,
    Cell,
    Instrument,
    Note,
    Score,
    Vibrato,
    scale_volume,
)
from nesasset.units import MAX_VOLUME, NOISE_PERIODS

# Delay and period as where NES-MDB's own swings are wide enough to be seen; the depth is that of a shallow one.
DELAYED_VIBRATO: Final = Vibrato(delay=20, period=12, depth=20)
# The median of the first five frames of hits whose period rises or falls, and an end that NES-MDB leaves open.
FALLING_VOLUME: Final = (11, 7, 5, 5, 5, 3, 0)
RISING_VOLUME: Final = (11, 8, 5, 4, 0)

_ECHOED, _ECHO = "P1", "P2"
_SINGERS: Final = ("P1", "P2")


def drum_fall(
    period: int = 2, step: int = 1, volume: tuple[int, ...] = FALLING_VOLUME, mode: int = 0, name: str = "drum fall"
) -> Instrument:
    """Return a noise drum whose pitch falls, like a tom or an explosion: the period index grows in every frame.

    Args:
        period: Index of the first frame, 0 (highest) to 15.
        step: Steps of the index a frame, 1 to 15; the fall ends at index 15, or with the volume's last entry.
        volume: Envelope, one entry a frame.
        mode: 0 hiss, 1 metallic.
        name: For people.

    Raises:
        ScoreError: A number is out of range.
    """
    _check("step", step, 1, NOISE_PERIODS - 1)
    _check("noise period", period, 0, NOISE_PERIODS - 1)
    steps = tuple(min(step * frame, NOISE_PERIODS - 1 - period) for frame in range(len(volume)))
    return Instrument("noise", volume, period=period, mode=mode, name=name, arpeggio=steps)


def drum_rise(
    period: int = 4, step: int = 2, volume: tuple[int, ...] = RISING_VOLUME, mode: int = 0, name: str = "drum rise"
) -> Instrument:
    """Return a noise drum that begins with one low frame and goes on higher: a thump under a hiss, a snare.

    This is what most hits of NES-MDB do whose period changes at all.

    Args:
        period: Index of the first frame, 0 (highest) to 15.
        step: By how much the index is smaller from the second frame on, 1 to 15; it ends at index 0.
        volume: Envelope, one entry a frame.
        mode: 0 hiss, 1 metallic.
        name: For people.

    Raises:
        ScoreError: A number is out of range.
    """
    _check("step", step, 1, NOISE_PERIODS - 1)
    _check("noise period", period, 0, NOISE_PERIODS - 1)
    return Instrument("noise", volume, period=period, mode=mode, name=name, arpeggio=(0, -min(step, period)))


def triangle_drum(fall: int = 2, frames: int = 6, name: str = "triangle drum") -> Instrument:
    """Return a triangle instrument that drops in pitch and stops: a kick or a tom, begun around C-3 to C-4.

    Args:
        fall: Semitones a frame, 1 to 96.
        frames: How long it sounds, 1 to 1023; the whole drop, fall * (frames - 1), at most 96 semitones.
        name: For people.

    Raises:
        ScoreError: A number is out of range.
    """
    _check("frames", frames, 1, MAX_ENVELOPE_FRAMES - 1)
    _check("fall", fall, 1, MAX_ARPEGGIO // max(1, frames - 1))
    steps = tuple(-fall * frame for frame in range(frames))
    return Instrument("triangle", (*(MAX_VOLUME,) * frames, 0), name=name, arpeggio=steps)


def with_echo(score: Score, rows: int, volume: int, min_silence: int = 1) -> Score:
    """Let pulse 2 repeat pulse 1 later and quieter wherever it is silent itself.

    An echo begins with the onset of a note, never in the midst of one, and ends where pulse 2 plays again or pulse 1's
    rest comes round. Within a loop it is the echo of the loop: its first rows repeat its last. After an intro the seam cuts
    the echo off, so that both ways into the loop sound alike. A note of pulse 2 that follows an echo loses its slide,
    which would begin at the echo's pitch.

    Args:
        score: Any score.
        rows: How much later, 1 to the number of rows.
        volume: How loud, 1 to 15: scales the volumes of the repeated notes, which keep their instruments.
        min_silence: Rows that pulse 2 must be silent for, at least 1; what is shorter stays silent.

    Raises:
        ScoreError: rows, volume or min_silence is out of range.
    """
    _check("rows of the echo", rows, 1, score.n_rows)
    _check("volume of the echo", volume, 1, MAX_VOLUME)
    leader, cells = score.voices[_ECHOED], list(score.voices[_ECHO])
    silent = _long_silence(score, _ECHO, min_silence)
    start, end = _loop_or_none(score)
    lag = score.delays.get(_ECHO, 0)
    ringing = False  # an echo has begun in this stretch of silence
    follows = False  # the last note of pulse 2 was an echo

    def walk(first: int, stop: int) -> None:
        nonlocal ringing, follows
        for row in range(first, stop):
            cell = cells[row]
            if not silent[row]:
                if isinstance(cell, Note):
                    cells[row] = replace(cell, slide=0) if follows else cell
                    follows = False
                ringing = False
                continue
            at = row - rows if row < start else start + (row - rows - start) % (end - start)
            source = leader[at] if at >= 0 else HOLD
            if isinstance(source, Note):
                # Where a rest, or a silent note, is what ends a note of pulse 2, the echo must not begin later than it.
                room = score.groove[row % len(score.groove)] - lag - 1 if ringing or cell is HOLD else 0
                cells[row] = replace(
                    source,
                    delay=max(0, min(source.delay, room)),
                    volume=scale_volume(source.volume, volume),
                    slide=source.slide if ringing else 0,
                )
                ringing = follows = True
            elif ringing:
                cells[row] = source
            elif row == start > 0 and cell is HOLD:
                cells[row] = REST

    if score.loop is None:
        walk(0, score.n_rows)
    else:
        original = list(cells)
        walk(start, end)  # only to learn how the loop ends
        cells[start:end] = original[start:end]
        ringing, follows, rings_on, turned = False, False, ringing, follows
        walk(0, start)
        ringing, follows = rings_on and start == 0, follows or turned
        walk(start, end)
    return replace(score, voices={**score.voices, _ECHO: tuple(cells)})


def free_rows(score: Score, min_silence: int) -> int:
    """Return in how many rows pulse 1 sounds while pulse 2 is silent for at least so many rows: the room for an echo.

    Raises:
        ScoreError: min_silence is out of range.
    """
    sounding = [not silent for silent in _silent_rows(score, _ECHOED)]
    return sum(a and b for a, b in zip(sounding, _long_silence(score, _ECHO, min_silence), strict=True))


def with_vibrato(score: Score, min_rows: int, vibrato: Vibrato = DELAYED_VIBRATO) -> Score:
    """Give the long notes of the pulses a vibrato.

    Each instrument that plays one gets a twin with the vibrato, and the long notes change over to it. Instruments that
    have a vibrato keep their own. Where a score has no room for more than 256 instruments, the later ones get no twin.

    Args:
        score: Any score.
        min_rows: Rows that a note must be held, at least 1; over the seam of a loop it is held on into the loop's start.
        vibrato: The vibrato; its delay keeps the beginning of the note still.

    Raises:
        ScoreError: min_rows is out of range.
    """
    _check("min_rows", min_rows, 1, MAX_ROWS)
    instruments = list(score.instruments)
    twins: dict[int, int] = {}
    voices = dict(score.voices)
    for voice in _SINGERS:
        cells = list(voices[voice])
        for row, length in _note_rows(score, voice):
            note = cells[row]
            assert isinstance(note, Note)
            plain = instruments[note.instrument]
            if length < min_rows or plain.vibrato is not None:
                continue
            if note.instrument not in twins and len(instruments) < MAX_INSTRUMENTS:
                twins[note.instrument] = len(instruments)
                instruments.append(replace(plain, vibrato=vibrato, name=f"{plain.name} vibrato".strip()))
            cells[row] = replace(note, instrument=twins.get(note.instrument, note.instrument))
        voices[voice] = tuple(cells)
    return replace(score, voices=voices, instruments=tuple(instruments))


def _check(label: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ScoreError(out_of_range(label, value, low, high))


def _loop_or_none(score: Score) -> tuple[int, int]:
    """Return the loop in rows; where there is none, one of no rows at the end."""
    return (score.n_rows, score.n_rows) if score.loop is None else score.loop


def _note_rows(score: Score, voice: str) -> list[tuple[int, int]]:
    """Return row and length in rows of every note that is heard; held for a whole loop it is as long as all rows."""
    cells = score.voices[voice]
    start, end = _loop_or_none(score)
    onsets = [row for row in range(end) if cells[row] is not HOLD]
    found = []
    for index, row in enumerate(onsets):
        if not isinstance(cells[row], Note):
            continue
        if index + 1 < len(onsets):
            length = onsets[index + 1] - row
        else:
            again = [other for other in onsets if other >= start]
            length = end - row + (again[0] - start if again else 0 if score.loop is None else score.n_rows)
        found.append((row, length))
    return found


def _silent_rows(score: Score, voice: str) -> list[bool]:
    """Return for each row whether the voice is silent from the row's first frame on until its next note, if any.

    Silent is a rest, and a note whose envelope has come to its end. In a loop's rows this is what all passes have.
    """
    cells = score.voices[voice]
    start, end = _loop_or_none(score)
    turn = score.row_frame(end) - score.row_frame(start)
    last: tuple[int, Cell] | None = None  # frame and cell
    inside = [row for row in range(start, end) if cells[row] is not HOLD]
    silent = []
    for row, cell in enumerate(cells):
        frame = score.row_frame(row)
        if row == start and inside:
            last = (score.row_frame(inside[-1]) - turn, cells[inside[-1]])
        elif row == start and last is not None and score.loop is not None:
            last = (frame - 2 * MAX_ENVELOPE_FRAMES, last[1])  # what only holds has come to its end
        # A note that begins late in its row leaves the row's first frames to what was before.
        before = isinstance(cell, Note) and cell.delay > 0 and last is not None and _is_heard(score, last[1], frame - last[0])
        if cell is not HOLD:
            last = (frame, cell)
        silent.append(not before and (last is None or not _is_heard(score, last[1], frame - last[0])))
    return silent


def _long_silence(score: Score, voice: str, min_rows: int) -> list[bool]:
    """Return `_silent_rows` without the stretches that are shorter; one over a loop's seam is as long as both its parts."""
    _check("min_silence", min_rows, 1, MAX_ROWS)
    silent = _silent_rows(score, voice)
    stretches = [[row, row] for row in range(score.n_rows) if silent[row] and not (row and silent[row - 1])]
    for stretch in stretches:
        stretch[1] = next((row for row in range(stretch[0], score.n_rows) if not silent[row]), score.n_rows)
    start, end = _loop_or_none(score)
    head = next((stretch for stretch in stretches if stretch[0] <= start < stretch[1]), None)
    tail = next((stretch for stretch in stretches if stretch[0] < end <= stretch[1]), None)
    for stretch in stretches:
        length = stretch[1] - stretch[0]
        if head is not None and tail is not None and head is not tail and stretch in (head, tail):
            length = (min(tail[1], end) - tail[0]) + (head[1] - start) if stretch is tail else length + min(tail[1], end) - tail[0]
        if length < min_rows:
            silent[stretch[0] : stretch[1]] = [False] * (stretch[1] - stretch[0])
    return silent


def _is_heard(score: Score, cell: Cell, age: int) -> bool:
    """Say whether a cell that began `age` frames ago is heard in this frame or a later one."""
    if not isinstance(cell, Note) or cell.volume == 0:
        return False
    volume = score.instruments[cell.instrument].volume
    at = min(max(0, age - cell.delay), len(volume) - 1)
    return any(volume[at:])
