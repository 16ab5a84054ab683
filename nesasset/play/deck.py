"""A deck: one score being played, with a speed that may change at any frame. Knows rows and voices, no chip.

Time within a row is counted in 65536ths of a frame, in whole numbers: at speed 1 every row lasts exactly the frames of its
groove, at any other speed the remainder goes into the next row, so that nothing drifts.
"""

from __future__ import annotations

from typing import Any, Final

from nesasset.play.voices import Voice
from nesasset.registers import Sound
from nesasset.score import Score
from nesasset.units import VOICES

ONE: Final = 1 << 16
"""Speed 1, and one frame of progress."""
PHRASE_BARS: Final = 4


class Deck:
    """Plays a score row by row. Its score may grow while it plays: bars that come later are added behind."""

    __slots__ = ("complete", "due_rows", "ended", "loops", "name", "own_speed", "passed_end", "progress", "row", "score", "semitones", "voices")

    def __init__(self, name: str, score: Score, complete: bool = True) -> None:
        self.name = name
        """What the engine knows the score by."""
        self.score = score
        self.complete = complete
        """False while bars are still being composed: until then what is there repeats."""
        self.row = 0
        self.progress = 0
        """Of the row, at the beginning of the frame to come, in 65536ths of a frame."""
        self.due_rows = [0]
        """Rows that begin in the frame to come."""
        self.passed_end = False
        """Whether the frame to come begins the loop once more."""
        self.loops = 0
        self.ended = False
        self.own_speed = ONE
        """Factor on the speed, for a stinger that keeps another piece's time."""
        self.semitones = 0
        """On top of the engine's transposition, for the same reason."""
        self.voices = {name: Voice(name) for name in VOICES}

    @property
    def loop(self) -> tuple[int, int] | None:
        """The loop in rows; of a piece that is still growing, all that is there."""
        if self.complete:
            return self.score.loop
        return (0, self.score.n_rows)

    def row_length(self, row: int) -> int:
        """Return the length of a row in 65536ths of a frame."""
        groove = self.score.groove
        return groove[row % len(groove)] * ONE

    def begins(self, unit: str) -> bool:
        """Return whether a beat, bar, phrase or a new pass begins with the frame to come; "now" always does."""
        if unit == "now":
            return True
        if unit == "end":
            return self.passed_end or self.ended
        if self.ended:
            return True  # nobody waits for a beat of a piece that is over
        rows = {"beat": self.score.beat_rows, "bar": self.score.bar_rows, "phrase": PHRASE_BARS * self.score.bar_rows}[unit]
        home = self.score.loop[0] if unit == "phrase" and self.score.loop else 0
        return any((row - home) % rows == 0 for row in self.due_rows)

    @property
    def left_row(self) -> int:
        """The row before which the piece is left if it is left with the frame to come; behind its end where it has just come to that."""
        loop = self.loop
        last = self.score.n_rows if loop is None else loop[1]
        return last if self.passed_end or self.ended else self.row

    def next_left_row(self, unit: str) -> int | None:
        """Return what `left_row` will be where the next bar, phrase or pass begins; None where nobody can say yet.

        That is within a bar, where it is at once, and at the end of a piece that is still growing.
        """
        if unit not in ("bar", "phrase", "end") or self.begins(unit):
            return None
        loop = self.loop
        last = self.score.n_rows if loop is None else loop[1]
        home = loop[0] if unit == "phrase" and self.score.loop and loop else 0
        rows = self.score.bar_rows * (PHRASE_BARS if unit == "phrase" else 1)
        row = last if unit == "end" else min(home + ((self.row - home) // rows + 1) * rows, last)
        return None if row == last and unit != "bar" and not self.complete else row

    @property
    def states_all(self) -> bool:
        """Whether the frame to come states every register, as the driver does where a loop begins."""
        loop = self.loop
        return loop is not None and loop[0] in self.due_rows

    def step(self, speed: int, semitones: int) -> list[Sound]:
        """Go on by one frame and return what each voice does in it.

        Args:
            speed: In 65536ths of the written one.
            semitones: By which all notes are moved.
        """
        for row in self.due_rows:
            for voice in self.voices.values():
                voice.begin_row(self.score, row)
        sounds = [voice.step(self.score, semitones + self.semitones) for voice in self.voices.values()]
        self.due_rows, self.passed_end = [], False
        self.progress += speed * self.own_speed // ONE
        while not self.ended and self.progress >= self.row_length(self.row):
            self.progress -= self.row_length(self.row)
            self._next_row()
        return sounds

    def _next_row(self) -> None:
        loop = self.loop
        last = self.score.n_rows if loop is None else loop[1]
        self.row += 1
        if self.row >= last:
            if loop is None:
                self.ended = True
                self.due_rows.append(-1)
                return
            self.row, self.passed_end = loop[0], True
            self.loops += 1
        self.due_rows.append(self.row)

    def grow(self, score: Score, complete: bool) -> None:
        """Take a longer version of the same piece; what has been played of it must be the same."""
        self.score, self.complete = score, complete

    def seek(self, row: int, progress: int = 0) -> None:
        """Go to a row as if the score had been played up to there.

        Args:
            row: The row.
            progress: Time since the row's start, in 65536ths of a frame.
        """
        self.row, self.progress = row, progress
        self.due_rows = [] if progress else [row]
        for voice in self.voices.values():
            voice.seek(self.score, row, progress // ONE)

    def frames_of_beats(self, beats: int, speed: int) -> int:
        """Return how many frames it takes from here to the end of so many beats, at a constant speed."""
        rows, row, length = beats * self.score.beat_rows, self.row, -self.progress
        for _ in range(rows):
            length += self.row_length(row)
            row += 1
            loop = self.loop
            if loop is not None and row >= loop[1]:
                row = loop[0]
        step = max(1, speed * self.own_speed // ONE)
        return max(1, -(-length // step))

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values, without the score. Inverse of `from_json`."""
        return {
            "name": self.name,
            "complete": self.complete,
            "row": self.row,
            "progress": self.progress,
            "due_rows": self.due_rows,
            "passed_end": self.passed_end,
            "loops": self.loops,
            "ended": self.ended,
            "own_speed": self.own_speed,
            "semitones": self.semitones,
            "voices": {name: voice.to_json() for name, voice in self.voices.items()},
        }

    @staticmethod
    def from_json(data: dict[str, Any], score: Score) -> Deck:
        """Return the deck that `to_json` described, playing that score."""
        deck = Deck(data["name"], score, data["complete"])
        for key in ("row", "progress", "due_rows", "passed_end", "loops", "ended", "own_speed", "semitones"):
            setattr(deck, key, data[key])
        for name, voice in deck.voices.items():
            voice.from_json(data["voices"][name])
        return deck
