"""One voice of a score, played frame by frame. The driver's rules, with a transposition that may change at any time.

`nesasset.driver` works on whole scores at once; this module knows only the frame that is to come, because a game may
change everything after it. Played without interference both give the same registers, which a test compares.
All arithmetic is on integers.
"""

from __future__ import annotations

from typing import Any, Final

from nesasset.driver import period_table
from nesasset.registers import SILENCE, Sound
from nesasset.score import REST, Instrument, Note, Score, scale_volume
from nesasset.units import MAX_VOLUME, NOISE_PERIODS, VOICE_KINDS, in_range

_SCALED: Final = tuple(tuple(scale_volume(volume, level) for volume in range(MAX_VOLUME + 1)) for level in range(MAX_VOLUME + 1))


class Voice:
    """What one voice of a deck is doing. Everything it knows is whole numbers; the notes stay in the score."""

    __slots__ = ("age", "due", "kind", "last_pitch", "name", "row", "source", "stop", "table")

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = VOICE_KINDS[name]
        self.table: list[int] = [] if name == "NO" else _periods(self.kind)
        self.row = -1
        """Row of the note that sounds, or that sounded last; -1 before the first."""
        self.age = 0
        """Frames since its onset."""
        self.stop: int | None = None
        """Age at which a rest stopped it."""
        self.source: int | None = None
        """Pitch at which its slide begins."""
        self.last_pitch: int | None = None
        """Pitch of the last note, as written."""
        self.due: list[tuple[int, int]] = []
        """Cells on their way, delayed: frames to wait and row; row -1 is the rest after a score's end."""

    def begin_row(self, score: Score, row: int) -> None:
        """Note what begins in a row; it happens after the voice's and the note's delay."""
        cell = score.voices[self.name][row] if row >= 0 else REST
        if isinstance(cell, Note):
            self.due.append((score.delays.get(self.name, 0) + cell.delay, row))
        elif cell is REST:
            self.due.append((score.delays.get(self.name, 0), row))

    def step(self, score: Score, semitones: int) -> Sound:
        """Go on by one frame and return what sounds in it."""
        self.age += 1
        if self.due:
            waiting = []
            for frames, row in sorted(self.due, key=lambda entry: entry[0]):
                if frames > 0:
                    waiting.append((frames - 1, row))
                else:
                    self._begin(score, row)
            self.due = waiting
        return self.sound(score, semitones)

    def _begin(self, score: Score, row: int) -> None:
        cell = score.voices[self.name][row] if row >= 0 else REST
        if isinstance(cell, Note):
            self.source = cell.pitch if self.last_pitch is None else self.last_pitch
            self.last_pitch, self.row, self.age, self.stop = cell.pitch, row, 0, None
        elif self.row > row >= 0:
            self._rest_after_turn(score, row)
        elif self.stop is None and self.row >= 0:
            self.stop = max(0, self.age - 1)

    def _rest_after_turn(self, score: Score, row: int) -> None:
        """Rest in a row that the loop has come back to: what is left is, as for the driver, the note written before that row."""
        cells = score.voices[self.name]
        self.row = next((at for at in range(row - 1, -1, -1) if isinstance(cells[at], Note)), -1)
        if self.row < 0:
            self.stop = None
            return
        note = cells[self.row]
        assert isinstance(note, Note)
        ended = next(at for at in range(self.row + 1, row + 1) if cells[at] is REST)
        self.age = self.stop = max(0, score.row_frame(ended) - score.row_frame(self.row) - note.delay - 1)
        earlier = (cell.pitch for cell in reversed(cells[: self.row]) if isinstance(cell, Note))
        self.source = next(earlier, note.pitch)

    def sound(self, score: Score, semitones: int) -> Sound:
        """Return what sounds in this frame."""
        if self.row < 0:
            return SILENCE
        note = score.voices[self.name][self.row]
        assert isinstance(note, Note)
        instrument = score.instruments[note.instrument]
        envelope = instrument.volume
        volume = 0 if self.stop is not None else _SCALED[note.volume][envelope[min(self.age, len(envelope) - 1)]]
        age = self.age if self.stop is None else self.stop
        step = _arpeggio(instrument, age) if instrument.arpeggio else 0
        if note.pitch is None:
            return volume, instrument.mode, min(max(instrument.period + step, 0), NOISE_PERIODS - 1)
        moved = in_range(note.pitch + semitones, self.name)
        cents = 100 * (moved + step)
        if age < note.slide and self.source is not None:
            way = 100 * (note.pitch - self.source)
            cents += (2 * way * age + note.slide) // (2 * note.slide) - way
        period = self._swing(instrument, age, cents)
        if self.kind == "triangle":
            return volume, 0, period
        duties = instrument.duties
        duty = duties[min(age, len(duties) - 1)] if duties else instrument.duty
        return volume, duty, period

    def _swing(self, instrument: Instrument, age: int, cents: int) -> int:
        """Return the period of a pitch with its vibrato; the formula of `nesasset.driver`, where it is explained."""
        top = len(self.table) - 1
        middle = self.table[min(max(cents, 0), top)]
        vibrato = instrument.vibrato
        if vibrato is None or age < vibrato.delay:
            return middle
        half = 2 * ((age - vibrato.delay) % vibrato.period)
        up = half < vibrato.period
        half = half if up else half - vibrato.period
        hump = half * (vibrato.period - half)
        below = 5 * vibrato.period * vibrato.period - 4 * hump
        bend = (2 * 16 * hump * vibrato.depth + below) // (2 * below)
        swung = self.table[min(max(cents + (bend if up else -bend), 0), top)]
        return swung if self.kind == "triangle" else min(max(swung, middle & ~0xFF), middle | 0xFF)

    def seek(self, score: Score, row: int, progress: int) -> None:
        """Take the state in which a voice is that has played its score up to a row.

        Args:
            score: The score.
            row: The row; what begins in it has begun if progress is above 0, else it is still to come.
            progress: Frames since the row's start.
        """
        self.__init__(self.name)  # type: ignore[misc]  # the state of a voice that has played nothing
        cells, lag = score.voices[self.name], score.delays.get(self.name, 0)
        here = score.row_frame(row) + progress
        first = 0 if score.loop is None else score.loop[0]
        turn = 0 if score.loop_frames is None else score.loop_frames[1] - score.loop_frames[0]
        rest_age: int | None = None
        for at, wrapped in _backwards(score, row if progress else row - 1):
            cell = cells[at]
            if cell is REST:
                rest_age = here - score.row_frame(at) - lag + (turn if wrapped else 0) if rest_age is None else rest_age
            elif isinstance(cell, Note):
                age = here - score.row_frame(at) - lag - cell.delay + (turn if wrapped else 0)
                if age < 0 and not wrapped and at >= first:
                    self.due.insert(0, (-age - 1, at))  # on its way
                    continue
                self.row, self.age, self.last_pitch, self.source = at, max(age - 1, 0), cell.pitch, cell.pitch
                if rest_age is not None:
                    self.stop = max(0, age - rest_age - 1)
                return

    def to_json(self) -> list[Any]:
        """Return the state as JSON values. Inverse of `from_json`."""
        return [self.row, self.age, self.stop, self.source, self.last_pitch, [list(entry) for entry in self.due]]

    def from_json(self, data: list[Any]) -> None:
        """Take the state that `to_json` returned."""
        self.row, self.age, self.stop, self.source, self.last_pitch, due = data
        self.due = [(frames, row) for frames, row in due]


def _periods(kind: str) -> list[int]:
    if kind not in _PERIODS:
        _PERIODS[kind] = period_table(kind).tolist()  # a list: single numbers come out of it three times as fast
    return _PERIODS[kind]


_PERIODS: Final[dict[str, list[int]]] = {}


def _arpeggio(instrument: Instrument, age: int) -> int:
    steps, loop = instrument.arpeggio, instrument.arpeggio_loop
    if age < len(steps):
        return steps[age]
    back = len(steps) - 1 if loop is None else loop
    return steps[back + (age - back) % (len(steps) - back)]


def _backwards(score: Score, row: int) -> list[tuple[int, bool]]:
    """Return the rows from one back to the beginning, and through the loop's end once more; with whether that was passed."""
    rows = [(at, False) for at in range(row, -1, -1)]
    if score.loop is not None and row >= score.loop[0] - 1:
        rows = [(at, False) for at in range(row, score.loop[0] - 1, -1)]
        rows += [(at, True) for at in range(score.loop[1] - 1, max(row, score.loop[0] - 1), -1)]
        rows += [(at, False) for at in range(score.loop[0] - 1, -1, -1)]
    return rows
