"""What the two trackers' text files share: notes placed in rows, bars cut into patterns, macros, vibrato and portamento.

Holds no file format; famitracker.py and famistudio.py are built on it. Both trackers count notes in semitones above C-0,
where A-3 is 440 Hz on a pulse and sounds an octave lower on the triangle, as the same timer period does.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from nesasset.errors import ScoreError
from nesasset.score import MAX_ENVELOPE_FRAMES, REST, Cell, Instrument, Note, Score, Vibrato
from nesasset.units import CPU_CLOCK_HZ, NOISE_PERIODS, VOICE_KINDS, VOICE_NAMES, pitch_to_hz

MAX_PATTERN_ROWS: Final = 256
MAX_TRACK_ROWS: Final = 16_384  # 27 minutes at 6 frames a row; more would take seconds to read or to write
MAX_MACRO_FRAMES: Final = 252  # FamiTracker's MAX_SEQUENCE_ITEMS
MAX_NOTE: Final = 95  # B-7
_LOWEST_PITCH: Final = {"pulse": 24, "triangle": 12}  # MIDI pitch of C-0

# Amplitude of the vibrato in timer periods by the second digit of 4xy, FamiTracker's "new" style, also FamiStudio's.
# FamiTracker cuts its sine table to whole numbers, so the first two can hardly be heard.
VIBRATO_DEPTHS: Final = (1.0, 1.5, 2.5, 4.0, 5.0, 7.0, 10.0, 12.0, 14.0, 17.0, 22.0, 30.0, 44.0, 64.0, 96.0, 128.0)


@dataclass(frozen=True, slots=True)
class Event:
    """A note or a rest in the row that a tracker shows it in."""

    row: int
    offset: int
    """Frames after the row's first frame, the tracker's note delay."""
    cell: Cell
    source: int
    """Row of the score's cell; another one than `row` where a voice lags by more than a row."""


# Pitch


def pitch_to_note(voice: str, pitch: int) -> int:
    """Return the tracker's note, semitones above C-0, of a MIDI pitch; may be 96, one above the last. Inverse: `note_to_pitch`."""
    return pitch - _LOWEST_PITCH[VOICE_KINDS[voice]]


def note_to_pitch(voice: str, note: int) -> int:
    """Return the MIDI pitch that a tracker's note sounds as. Inverse of `pitch_to_note`."""
    return note + _LOWEST_PITCH[VOICE_KINDS[voice]]


@lru_cache(maxsize=512)
def period(voice: str, pitch: int) -> int:
    """Return the timer period nearest to a pitch, as the trackers' tables have it (NESdev wiki, "APU")."""
    cycles = 16 if VOICE_KINDS[voice] == "pulse" else 32
    return min(0x7FF, max(0, round(CPU_CLOCK_HZ / (cycles * pitch_to_hz(pitch)) - 1)))


@lru_cache(maxsize=4096)
def vibrato_depth(voice: str, pitch: int, cents: int) -> int:
    """Return the digit 1 to 15 whose swing is nearest to so many cents at this pitch. Inverse: `vibrato_cents`."""
    wanted = (period(voice, pitch) + 1) * (1 - 2 ** (-cents / 1200))
    return min(range(1, 16), key=lambda digit: abs(VIBRATO_DEPTHS[digit] - wanted))


@lru_cache(maxsize=4096)
def vibrato_cents(voice: str, pitch: int, digit: int) -> int:
    """Return the cents of a swing, 1 to 1200."""
    share = VIBRATO_DEPTHS[digit] / (period(voice, pitch) + 1)
    return min(1200, max(1, round(-1200 * math.log2(1 - min(share, 0.5)))))


def portamento_speed(distance: int, frames: int) -> int:
    """Return the speed, 1 to 255 timer periods a frame, that covers a distance in about so many frames; 0: no slide.

    Inverse: `portamento_frames`.
    """
    if not distance or not frames:
        return 0
    return min(255, max(1, round(distance / frames)))


@lru_cache(maxsize=4096)
def portamento_frames(distance: int, speed: int) -> int:
    """Return frames, 0 to 1024, for which `portamento_speed` gives this speed, or the nearest there are."""
    if not distance or not speed:
        return 0
    for frames in (distance // speed, -(-distance // speed)):
        if 1 <= frames <= MAX_ENVELOPE_FRAMES and portamento_speed(distance, frames) == speed:
            return frames
    return min(MAX_ENVELOPE_FRAMES, max(1, round(distance / speed)))


# Rows


def row_starts(score: Score) -> list[int]:
    """Return the first frame of every row, and last the score's length."""
    starts, frame = [0], 0
    for row in range(score.n_rows):
        frame += score.groove[row % len(score.groove)]
        starts.append(frame)
    return starts


def shortest_groove(row_frames: list[int]) -> tuple[int, ...]:
    """Return the shortest groove that gives these rows their frames."""
    borders = [0] * len(row_frames)  # of each beginning, the longest proper part that stands at both its ends
    length = 0
    for index in range(1, len(row_frames)):
        while length and row_frames[index] != row_frames[length]:
            length = borders[length - 1]
        length += row_frames[index] == row_frames[length]
        borders[index] = length
    return tuple(row_frames[: len(row_frames) - length])


def place(score: Score, voice: str, starts: list[int]) -> list[Event]:
    """Return where a voice's notes and rests begin once its delay is applied, in the order of rows.

    As the driver plays it: what a delay pushes past the loop's end begins at the loop's start, what it pushes from the
    intro into the loop, or past the end of all, is not heard and left out.

    Args:
        score: The score.
        voice: P1, P2, TR or NO.
        starts: `row_starts` of the score.

    Raises:
        ScoreError: Two of them begin in one row, which has room for one.
    """
    lag = score.delays.get(voice, 0)
    first, end = score.loop or (score.n_rows, score.n_rows)
    events: dict[int, Event] = {}
    for row, cell in enumerate(score.voices[voice]):
        if cell is not REST and not isinstance(cell, Note):
            continue
        frame = starts[row] + lag + (cell.delay if isinstance(cell, Note) else 0)
        limit = starts[first] if row < first else starts[end] if row < end else starts[-1]
        if frame >= limit:
            if not first <= row < end:
                continue
            frame = starts[first] + (frame - starts[first]) % (starts[end] - starts[first])
        at = bisect_right(starts, frame) - 1
        if at in events:
            raise ScoreError(
                f"{VOICE_NAMES[voice]}: the delay of {lag} frames puts two notes or rests into row {at + 1}, "
                "and a tracker's row has room for one; shorten the delay"
            )
        events[at] = Event(at, frame - starts[at], cell, row)
    return [events[row] for row in sorted(events)]


def next_rows(rows: list[int], n_rows: int, loop: tuple[int, int] | None) -> list[int]:
    """Return for the row of each event the row at which it surely ends: the next one, or the end of intro, loop or score."""
    edges = sorted((*(loop or ()), n_rows))
    after = [*rows[1:], n_rows]
    return [min(end, edges[bisect_right(edges, row)]) for row, end in zip(rows, after, strict=False)]


def vibrato_row(vibrato: Vibrato, event_row: int, onset: int, until: int, starts: list[int]) -> int | None:
    """Return the row whose start is nearest to where a vibrato begins; the note's own without delay; None if too late.

    Args:
        vibrato: The vibrato.
        event_row: Row of the note.
        onset: Frame of the note.
        until: Row at which the note surely ends.
        starts: `row_starts` of the score.
    """
    if not vibrato.delay:
        return event_row
    frame = onset + vibrato.delay
    after = min(max(bisect_right(starts, frame), event_row + 1), len(starts) - 1)
    candidates = [row for row in (after - 1, after) if row >= event_row]
    row = min(candidates, key=lambda row: abs(max(starts[row], onset) - frame))
    return row if row < until else None


def vibrato_effect(
    vibrato: Vibrato | None, voice: str, pitch: int, event_row: int, onset: int, until: int, starts: list[int]
) -> tuple[int, int] | None:
    """Return the row and the two digits, speed and depth, of the effect 4xy nearest to a vibrato; None if it never begins.

    Speed s means a swing of 64 / s frames. For the other arguments see `vibrato_row`.
    """
    if vibrato is None:
        return None
    row = vibrato_row(vibrato, event_row, onset, until, starts)
    if row is None:
        return None
    speed = min(15, max(1, round(64 / vibrato.period)))
    return row, speed << 4 | vibrato_depth(voice, pitch, vibrato.depth)


def cut(score: Score, max_patterns: int) -> tuple[int, list[tuple[int, int]]]:
    """Return rows a pattern and the first row and end of each pattern: whole bars, cut at the loop's start and end.

    Raises:
        ScoreError: The score is too long for so many patterns, or at all.
    """
    if score.n_rows > MAX_TRACK_ROWS:
        raise ScoreError(
            f"a score of at most {MAX_TRACK_ROWS} rows can become a tracker's text, not one of {score.n_rows}; shorten it"
        )
    edges = sorted({0, score.n_rows, *(score.loop or ())})
    for bars in range(1, max(1, MAX_PATTERN_ROWS // score.bar_rows) + 1):
        spans: list[tuple[int, int]] = []
        for first, end in pairwise(edges):
            row = first
            while row < end:
                stop = min(end, (row // score.bar_rows + bars) * score.bar_rows)
                spans.append((row, stop))
                row = stop
        if len(spans) <= max_patterns:
            return bars * score.bar_rows, spans
    raise ScoreError(
        f"a tracker holds at most {max_patterns} patterns of {MAX_PATTERN_ROWS} rows, and {score.n_rows} rows in bars of "
        f"{score.bar_rows} need more; shorten the score"
    )


# Instruments


def to_macro(values: tuple[int, ...], where: str) -> tuple[tuple[int, ...], int | None]:
    """Return a sequence as a macro of at most 252 frames and the index at which it goes on after its last, or None.

    Without an index the last value holds. A longer sequence is told by its beginning and a part that repeats to its end.
    Inverse: `unroll`, which needs to be told the length.

    Raises:
        ScoreError: It does not repeat soon enough.
    """
    if len(values) <= MAX_MACRO_FRAMES:
        return values, None
    for length in range(1, MAX_MACRO_FRAMES + 1):
        same = 0  # values at the end that equal those `length` before
        while same < len(values) - length and values[-1 - same] == values[-1 - same - length]:
            same += 1
        start = len(values) - same - length
        if start + length <= MAX_MACRO_FRAMES:
            return values[: start + length], start
    raise ScoreError(f"{where} has {len(values)} frames and a tracker's macro holds {MAX_MACRO_FRAMES}; shorten it")


def unroll(values: tuple[int, ...], loop: int | None, length: int) -> tuple[int, ...]:
    """Return a macro's values, its loop repeated until there are so many, at most 1024. Without a loop: the values."""
    if loop is None or loop >= len(values):
        return values
    if loop == len(values) - 1:  # one value that repeats: the last one holds anyway
        return values
    length = min(MAX_ENVELOPE_FRAMES, max(length, len(values)))
    turn = values[loop:]
    return (values + turn * (length // len(turn) + 1))[:length]


def noise_steps(instrument: Instrument) -> tuple[int, ...]:
    """Return the arpeggio of a noise instrument in the trackers' direction, up is higher, clamped to the 16 periods."""
    top = NOISE_PERIODS - 1
    return tuple(instrument.period - min(top, max(0, instrument.period + step)) for step in instrument.arpeggio)


def shown_name(instrument: Instrument, index: int) -> str:
    """Return the instrument's name on one line; where it has none, its kind and number."""
    name = one_line(instrument.name)
    return name if name.strip() else f"{instrument.kind} {index}"


def one_line(text: str, max_bytes: int = 127) -> str:
    """Return text without control characters, line breaks and lone surrogates, cut to so many bytes of UTF-8."""
    plain = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in text)
    return plain.encode()[:max_bytes].decode(errors="ignore")
