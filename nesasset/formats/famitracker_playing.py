"""Which rows of a FamiTracker track are played in which order, how long each lasts, and where the song turns back.

Facts about how FamiTracker plays: its tempo counter and its handling of Bxx, Cxx, Dxx and Fxx, as published, and its manual.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from nesasset.errors import FormatError
from nesasset.formats import tracker_cells as cells
from nesasset.formats.famitracker_lines import (
    DPCM,
    NOTHING,
    SPLIT,
    Module,
    Track,
    TrackerCell,
    to_cell,
)
from nesasset.score import MAX_ROW_FRAMES

_FIRST_PATTERNS: Final = (0,) * 5  # of an ORDER entry that is not there
NO_NOTES: Final = frozenset(("...", "---", "==="))  # cells in which no note begins
OF_ALL: Final = frozenset("BCDF")  # letters of effects that are of the song, not of a voice
_TICKS: Final = 24  # the tempo counter falls by 24 * tempo / speed a frame and rises by 3600 a row
_COUNTER: Final = 3600


class Playing:
    """The rows of a track in the order in which they are played, with their lengths."""

    def __init__(self, module: Module, track: Track, left_out: Counter[str]) -> None:
        self.module, self.track = module, track
        self._cache: dict[str, TrackerCell] = {}
        self._n_frames = max(track.order, default=0) + 1
        self._positions: list[tuple[int, int]] = []
        """ORDER entry and row of the pattern."""
        self.rows: list[tuple[TrackerCell, ...]] = []
        """The cells of the voices and of the sample channel, row by row."""
        self._commands: list[list[tuple[str, int]]] = []
        """Row by row what is of the song, not of a voice: letters B, C, D and F."""
        self.loop: tuple[int, int] | None = None
        self._follow()
        self.row_frames = self._measure(left_out)

    def _cells(self, position: tuple[int, int]) -> tuple[TrackerCell, ...]:
        """Return the five cells at an ORDER entry and row."""
        entry, row = position
        found = []
        for channel, pattern in enumerate(self.track.order.get(entry, _FIRST_PATTERNS)):
            written = self.track.cells.get((pattern, row))
            if written is None:
                found.append(NOTHING)
                continue
            where, parts = written
            text = parts[channel]
            cell = self._cache.get(text)
            if cell is None:
                cell = self._cache[text] = to_cell(text, f"{where}, channel {channel + 1}")
            found.append(cell)
        return tuple(found)

    def _append(self, position: tuple[int, int]) -> list[tuple[str, int]]:
        """Take in a row, and return the effects in it that are of the song."""
        if len(self._positions) > cells.MAX_TRACK_ROWS:  # one more for the halt behind the last
            raise FormatError(f"the track must play at most {cells.MAX_TRACK_ROWS} rows, and it plays more; shorten it")
        row = self._cells(position)
        commands = [effect for cell in row for effect in cell.effects if effect[0] in OF_ALL]
        self._positions.append(position)
        self.rows.append(row)
        self._commands.append(commands)
        return commands

    def _follow(self) -> None:
        """Walk through the song until it halts or comes back to a row."""
        seen: dict[tuple[int, int], int] = {}
        position = (0, 0)
        while position not in seen:
            seen[position] = len(self._positions)
            commands = self._append(position)
            if any(letter == "C" for letter, _ in commands):
                if len(self.rows) > 1 and all(cell.note in NO_NOTES for cell in self.rows[-1][:DPCM]):
                    for rows in (self._positions, self.rows, self._commands):
                        rows.pop()
                return
            position = self._next(position, commands)
        self.loop = (seen[position], len(self._positions))
        self._append_unheard()

    def _next(self, position: tuple[int, int], effects: list[tuple[str, int]]) -> tuple[int, int]:
        entry, row = position
        if effects:
            jumps = [parameter for letter, parameter in effects if letter == "B"]
            skips = [parameter for letter, parameter in effects if letter == "D"]
            if jumps:
                return (jumps[-1] if jumps[-1] < self._n_frames else 0, 0)
            if skips:
                return ((entry + 1) % self._n_frames, skips[-1] if skips[-1] < self.track.rows else 0)
        return (entry, row + 1) if row + 1 < self.track.rows else ((entry + 1) % self._n_frames, 0)

    def _append_unheard(self) -> None:
        """Keep what stands behind the loop's jump: nobody hears it, but somebody wrote it."""
        entry = max(entry for entry, _ in self._positions) + 1
        while entry < self._n_frames:
            for row in range(self.track.rows):
                letters = {letter for letter, _ in self._append((entry, row))}
                if letters & {"B", "C", "D"}:
                    break
            entry += 1

    def _measure(self, left_out: Counter[str]) -> list[int]:
        """Return the frames of each row, as FamiTracker's tempo counter gives them."""
        split = self.module.numbers.get("SPLIT", SPLIT)
        speed, tempo, counter = self.track.speed, self.track.tempo, 0
        first = (speed, tempo)
        rows = []
        for index, commands in enumerate(self._commands):
            speed, tempo = _speed(commands, speed, tempo, split)
            if self.loop is not None and index == self.loop[0]:
                first = (speed, tempo)
            if tempo:
                fall = max(1, _TICKS * tempo // speed)
                counter += _COUNTER - _TICKS * tempo % speed
                frames = max(1, -(-counter // fall))
                counter -= frames * fall
            else:  # a later tracker's way to say that the speed is all
                frames = speed
            if frames > MAX_ROW_FRAMES:
                left_out[f"rows of more than {MAX_ROW_FRAMES} frames are shorter"] += 1
            rows.append(min(frames, MAX_ROW_FRAMES))
            if self.loop is not None and index == self.loop[1] - 1:
                again = _speed(self._commands[self.loop[0]], speed, tempo, split)
                if again != first:
                    left_out["the loop plays at another speed from its second time on"] += 1
        return rows


def _speed(commands: list[tuple[str, int]], speed: int, tempo: int, split: int) -> tuple[int, int]:
    """Return speed and tempo from a row on."""
    for letter, parameter in commands:
        if letter == "F":
            if parameter >= split and tempo:
                tempo = parameter
            else:
                speed = max(1, parameter)
    return speed, tempo
