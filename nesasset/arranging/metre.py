"""Rows for a piece: how many a beat, how many a bar, how many frames each. Ticks in, rows out; knows no voice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.arranging.piece import Part, PartNote, Piece
from nesasset.errors import FormatError
from nesasset.formats.tracker_cells import shortest_groove
from nesasset.score import MAX_ROW_FRAMES, MAX_ROWS
from nesasset.units import FRAME_RATE_HZ

# Rows of a quarter note, and by what share of all onsets a grid must fit better than sixteenths to be worth its price. Music that
# was played and not written fits none: it stays on sixteenths.
_COSTS: Final = {4: 0.0, 3: 0.05, 8: 0.08, 6: 0.10, 12: 0.30}
_NEAR: Final = 1 / 6  # of a row, within which an onset is on it: of onsets anywhere two thirds are off, on every grid
_FEWEST_FRAMES: Final = 2.0  # a row; finer grids are not tried
ROW_NAMES: Final = {4: "sixteenth", 3: "triplet eighth", 8: "thirty-second", 6: "triplet sixteenth", 12: "twelfth of a beat"}


@dataclass(frozen=True, slots=True)
class Metre:
    """The rows of a piece."""

    row_ticks: Fraction
    beat_rows: int
    bar_rows: int
    n_rows: int
    groove: tuple[int, ...]


def find_metre(piece: Piece, left_out: Counter[str]) -> Metre:
    """Return the rows that fit a piece's onsets, and the frames that its tempos give them.

    Raises:
        FormatError: The piece needs more rows than a score has.
    """
    quarter = piece.ticks_per_beat / Fraction(2 if isinstance(piece.ticks_per_beat, Fraction) else 1)
    beat_rows = _beat_rows(piece, quarter)
    row_ticks = quarter / beat_rows
    bar = _bar(piece, left_out)
    bar_rows = min(256, max(1, round(bar * beat_rows)))
    last = max(note.end for part in piece.parts for note in part.notes)
    n_rows = -(-max(1, _count(last, row_ticks)) // bar_rows) * bar_rows
    if n_rows > MAX_ROWS:
        raise FormatError(f"the music must have at most {MAX_ROWS} {ROW_NAMES[beat_rows]}s, not {n_rows}")
    return Metre(row_ticks, beat_rows, bar_rows, n_rows, _groove(piece, row_ticks, n_rows, left_out))


def to_rows(part: Part, metre: Metre, left_out: Counter[str]) -> list[PartNote]:
    """Return a part's notes in rows, in time order and from the top of each chord down; what was moved is counted."""
    if not part.notes:
        return []
    starts, exact = _counts([note.start for note in part.notes], metre.row_ticks)
    ends, _ = _counts([note.end for note in part.notes], metre.row_ticks)
    found: dict[tuple[int, int], PartNote] = {}
    for note, start, stop, on_row in zip(part.notes, starts.tolist(), ends.tolist(), exact.tolist(), strict=True):
        if not on_row:
            left_out[f"notes moved to the nearest {ROW_NAMES[metre.beat_rows]}"] += 1
        if start >= metre.n_rows:
            continue
        end = min(max(start + 1, stop), metre.n_rows)
        before = found.get((start, note.pitch))
        if before is None or before.end < end:
            found[start, note.pitch] = PartNote(start, end, note.pitch, note.loudness)
    return sorted(found.values(), key=lambda note: (note.start, -note.pitch))


def to_row(tick: int, metre: Metre) -> int:
    """Return the row nearest to a tick, at most the last one's end."""
    return min(metre.n_rows, _count(tick, metre.row_ticks))


def _beat_rows(piece: Piece, quarter: Fraction) -> int:
    """Return the rows a quarter note on which most onsets are; a finer grid must earn its place."""
    onsets = np.unique([note.start for part in piece.parts for note in part.notes])
    places = onsets.astype(np.float64) / float(quarter)
    tempo = piece.tempos[0][1] if piece.tempos else 500_000
    frames = tempo * FRAME_RATE_HZ / 1_000_000
    best, sixteenths_off = (np.inf, 4), 1.0
    for rows, cost in _COSTS.items():
        if cost and frames / rows < _FEWEST_FRAMES:
            continue
        off = float((np.abs(places * rows - np.rint(places * rows)) > _NEAR).mean())
        if not cost:
            sixteenths_off = off
        if not cost or 2 * off <= sixteenths_off:  # twice as good, or it is chance
            best = min(best, (off + cost, rows))
    return best[1]


def _bar(piece: Piece, left_out: Counter[str]) -> Fraction:
    """Return the quarter notes of the bar that most of the piece has."""
    signatures = piece.signatures or [(0, 4, 2)]
    if len({signature[1:] for signature in signatures}) > 1:
        left_out["changes of the time signature"] += 1
    end = max(note.end for part in piece.parts for note in part.notes)
    lasting: Counter[Fraction] = Counter()
    for index, (tick, numerator, power) in enumerate(signatures):
        until = signatures[index + 1][0] if index + 1 < len(signatures) else max(end, tick + 1)
        lasting[Fraction(4 * numerator, 1 << power)] += max(0, until - tick)
    return lasting.most_common(1)[0][0]


def _groove(piece: Piece, row_ticks: Fraction, n_rows: int, left_out: Counter[str]) -> tuple[int, ...]:
    """Return the frames of the rows under the piece's tempos; one tempo gives a groove of at most 16 rows."""
    tempos = [(tick, tempo) for tick, tempo in piece.tempos if tick < n_rows * row_ticks]
    if isinstance(piece.ticks_per_beat, Fraction):
        seconds_a_row = float(row_ticks / piece.ticks_per_beat)
        tempos = []
    else:
        tempo = tempos[0][1] if tempos else 500_000
        seconds_a_row = float(tempo * row_ticks / piece.ticks_per_beat) / 1e6
    if len({tempo for _, tempo in tempos}) <= 1 and (not tempos or tempos[0][0] == 0):
        row = Fraction(seconds_a_row * FRAME_RATE_HZ).limit_denominator(1_000_000).limit_denominator(16)
        near = min(Fraction(MAX_ROW_FRAMES), max(Fraction(1), row))
        if near != row:
            left_out[f"the tempo is beyond 1 to {MAX_ROW_FRAMES} frames a row"] += 1
        starts = [int(near * index) for index in range(near.denominator + 1)]
        return tuple(after - before for before, after in pairwise(starts))
    lengths = np.diff(np.rint(_seconds(tempos, piece.ticks_per_beat, row_ticks, n_rows) * FRAME_RATE_HZ)).astype(np.int64)
    if ((lengths < 1) | (lengths > MAX_ROW_FRAMES)).any():
        left_out[f"the tempo is beyond 1 to {MAX_ROW_FRAMES} frames a row"] += 1
    return shortest_groove(np.clip(lengths, 1, MAX_ROW_FRAMES).tolist())


def _seconds(
    tempos: list[tuple[int, int]], ticks_per_beat: int | Fraction, row_ticks: Fraction, n_rows: int
) -> NDArray[np.float64]:
    """Return when each row begins, and when the last one ends."""
    ticks = np.array([round(index * row_ticks) for index in range(n_rows + 1)], dtype=np.float64)
    changes = [(0, 500_000), *tempos]
    at = np.array([tick for tick, _ in changes], dtype=np.float64)
    speed = np.array([tempo for _, tempo in changes], dtype=np.float64) / 1e6 / float(ticks_per_beat)
    reached = np.concatenate([[0.0], np.cumsum(np.diff(at) * speed[:-1])])
    which = np.searchsorted(at, ticks, side="right") - 1
    found: NDArray[np.float64] = reached[which] + (ticks - at[which]) * speed[which]
    return found


def _counts(ticks: list[int], unit: Fraction) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return how many units of so many ticks each tick is, rounded half up, and which are exact."""
    if max(ticks) * unit.denominator < 1 << 61:
        doubled, rest = np.divmod(2 * unit.denominator * np.array(ticks, dtype=np.int64), unit.numerator)
        return (doubled + 1) // 2, (rest == 0) & (doubled % 2 == 0)
    pairs = [divmod(2 * tick * unit.denominator, unit.numerator) for tick in ticks]
    return (
        np.array([min((twice + 1) // 2, 1 << 61) for twice, _ in pairs], dtype=np.int64),
        np.array([not rest and not twice % 2 for twice, rest in pairs]),
    )


def _count(tick: int, unit: Fraction) -> int:
    return (2 * tick * unit.denominator // unit.numerator + 1) // 2
