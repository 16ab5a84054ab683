"""What the model sees of a row before it speaks: the integer features of its input token, computed from rows alone.

Training computes them for whole songs, the runtime row by row with `History`; a test holds the two together. Every
feature is an id into its own stretch of one embedding table, every slot feature an index into the song's palette.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.recall import N_STRENGTHS
from nesasset.vocabulary import (
    HALVES,
    HOLD_ID,
    MAX_AGE,
    MAX_BAR_ROWS,
    MAX_BARS_REMAINING,
    MAX_SHIFT,
    N_CELLS,
    N_CHORDS,
    ONSET_ID,
    PALETTE_SLOTS,
    PLAN_CLASSES,
    REST_ID,
    UNKNOWN_CHORD,
    UNKNOWN_CLASS,
    UNKNOWN_LAG,
    UNKNOWN_REMAINING,
)

NONE_CELL: Final = N_CELLS  # before the first row; no reference
NO_SLOT: Final = PALETTE_SLOTS
MAX_BAR_INDEX: Final = 63
MAX_MOVE: Final = 24  # semitones to either side, clipped
NO_MOVE: Final = 2 * MAX_MOVE + 1  # fewer than two notes so far

# Name and number of ids of each token feature; the columns of every feature array, in this order.
FEATURES: Final = {
    **{f"previous_{voice}": N_CELLS + 1 for voice in ("P1", "P2", "TR", "NO")},  # the row before
    **{f"held_{voice}": N_CELLS + 1 for voice in ("P1", "P2", "TR", "NO")},  # what sounds: an onset id, or REST_ID
    **{f"last_{voice}": N_CELLS + 1 for voice in ("P1", "P2", "TR")},  # the last onset, even if it has ended
    **{f"age_{voice}": MAX_AGE + 1 for voice in ("P1", "P2", "TR", "NO")},  # rows since the voice's last event
    **{f"reference_{voice}": N_CELLS + 1 for voice in ("P1", "P2", "TR", "NO")},  # the referenced bar's same row
    **{f"following_{voice}": N_CELLS + 1 for voice in ("P1", "P2", "TR", "NO")},  # the row after that one
    **{f"class_{voice}": len(PLAN_CLASSES) + 1 for voice in ("P1", "P2", "TR", "NO")},
    "lag": UNKNOWN_LAG + 1,
    "row_in_bar": MAX_BAR_ROWS,
    "bar_index": MAX_BAR_INDEX + 1,  # from the loop's start
    "bars_remaining": UNKNOWN_REMAINING + 1,  # this one not counted
    "segment": 2,  # 1: a row of the future, put in front
    **{f"recall_{voice}": N_CELLS + 1 for voice in ("P1", "P2", "TR", "NO")},  # how the piece went on before; see recall.py
    **{f"strength_{voice}": N_STRENGTHS for voice in ("P1", "P2", "TR", "NO")},
    "shift": 2 * MAX_SHIFT + 1,  # of the bar's sequences, MAX_SHIFT where there is none
    "chord": N_CHORDS + 1,  # of this half bar
    "next_chord": N_CHORDS + 1,  # of the half bar after it
    "reference_chord": N_CHORDS + 1,  # of the same half of the referenced bar
    **{f"move_{voice}": NO_MOVE + 1 for voice in ("P1", "P2", "TR")},  # semitones from the last onset but one to the last, + MAX_MOVE
}
COLUMN: Final = {name: index for index, name in enumerate(FEATURES)}
OFFSETS: Final = tuple(int(offset) for offset in np.cumsum([0, *FEATURES.values()])[:-1])
N_IDS: Final = sum(FEATURES.values())
RECALL: Final = COLUMN["recall_P1"]
STRENGTH: Final = COLUMN["strength_P1"]
CHORD: Final = COLUMN["chord"]  # and the next and the reference's, in the two columns behind it
MOVE: Final = COLUMN["move_P1"]
PAST: Final = (*range(15), *range(MOVE, MOVE + 3))  # columns that depend on the past alone: previous, held, last, age, move

# Slot features: index into the palette (pulse, pulse, noise), PALETTE_SLOTS for none.
SLOT_FEATURES: Final = (
    *(f"previous_{voice}" for voice in ("P1", "P2", "NO")),
    *(f"last_{voice}" for voice in ("P1", "P2", "NO")),
    *(f"reference_{voice}" for voice in ("P1", "P2", "NO")),
    *(f"recall_{voice}" for voice in ("P1", "P2", "NO")),
)
SLOT_VOICES: Final = (0, 1, 3)  # columns of cells whose notes have an instrument slot


def last_event(cells: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return for each row and voice the last row up to it that is not a hold, -1 where there is none."""
    rows = np.arange(len(cells))[:, None]
    return np.maximum.accumulate(np.where(cells != HOLD_ID, rows, -1), axis=0)


_BEGINNING: Final = (*[NONE_CELL] * 4, *[REST_ID] * 4, *[NONE_CELL] * 3, *[MAX_AGE] * 4, *[NO_MOVE] * 3)


def move_id(pitch: NDArray[np.integer], before: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the id of the move from one cell id to another, both onsets."""
    move = pitch.astype(np.int64) - before
    return np.asarray(np.minimum(np.maximum(move, -MAX_MOVE), MAX_MOVE) + MAX_MOVE)  # np.clip takes twice as long on so few


def _moves(cells: NDArray[np.integer], onset: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return after each row the id of each melodic voice's last move, (n, 3); onset (n, 4) is the last row with a note, or -1."""
    out = np.full((len(cells), 3), NO_MOVE)
    for voice in range(3):
        at = np.flatnonzero(cells[:, voice] >= ONSET_ID)
        moves = np.concatenate([[NO_MOVE], move_id(cells[at[1:], voice], cells[at[:-1], voice])])
        begun = onset[:, voice] >= 0
        out[begun, voice] = moves[np.searchsorted(at, onset[begun, voice])]
    return out


def history_features(cells: NDArray[np.integer], slots: NDArray[np.integer]) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
    """Return the features that depend on the past alone, for rows 0 to n (one more than there are).

    Args:
        cells: Shape (n, 4).
        slots: Shape (n, 3), -1 where no onset is.

    Returns:
        ids of shape (n + 1, len(PAST)): previous, held, last, age, move; and slots of shape (n + 1, 6): previous, last.
    """
    n = len(cells)
    ids = np.empty((n + 1, len(PAST)), dtype=np.int16)
    ids[0] = _BEGINNING
    out = np.full((n + 1, 6), NO_SLOT, dtype=np.int8)
    if n:
        ids[1:, :4] = cells
        event = last_event(cells)
        held = np.take_along_axis(cells, np.maximum(event, 0), axis=0)
        ids[1:, 4:8] = np.where(event >= 0, held, REST_ID)
        rows = np.arange(n)[:, None]
        onset = np.maximum.accumulate(np.where(cells >= ONSET_ID, rows, -1), axis=0)
        last = np.take_along_axis(cells, np.maximum(onset, 0), axis=0)
        ids[1:, 8:11] = np.where(onset >= 0, last, NONE_CELL)[:, :3]
        ids[1:, 11:15] = np.minimum(np.where(event >= 0, rows - event, MAX_AGE), MAX_AGE)
        ids[1:, 15:] = _moves(cells, onset)
        out[1:, :3] = np.where(slots >= 0, slots, NO_SLOT)
        at = onset[:, SLOT_VOICES]
        chosen = np.take_along_axis(slots, np.maximum(at, 0), axis=0)
        out[1:, 3:] = np.where(at >= 0, chosen, NO_SLOT)
    return ids, out


def song_features(
    cells: NDArray[np.integer],
    slots: NDArray[np.integer],
    starts: NDArray[np.integer],
    lags: NDArray[np.integer],
    classes: NDArray[np.integer],
    shifts: NDArray[np.integer],
    chords: NDArray[np.integer],
    bar_rows: int,
    recall: tuple[NDArray[np.integer], NDArray[np.integer]],
    loop_start: int | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
    """Return the features of every row of a song.

    Args:
        cells: Shape (n, 4).
        slots: Shape (n, 3).
        starts: First row of each bar and the end, shape (n_bars + 1,).
        lags: Bars back to the reference, 0 none, shape (n_bars,).
        classes: Plan class per voice, shape (n_bars, 4).
        shifts: Semitones of the sequences, shape (n_bars,).
        chords: Chord of each half bar, shape (n_bars, 2).
        bar_rows: Rows of a whole bar.
        recall: Rows and strengths, (n, 4) each: recall.recall_song.
        loop_start: Row from which bars are counted and to which the song's end leads; None for a song that ends.

    Returns:
        ids of shape (n, len(FEATURES)) and slots of shape (n, len(SLOT_FEATURES)).
    """
    n = len(cells)
    past, past_slots = history_features(cells, slots)
    bar = np.searchsorted(starts, np.arange(n), side="right") - 1
    ids = np.zeros((n, len(FEATURES)), dtype=np.int16)
    ids[:, PAST] = past[:n]
    out = np.full((n, len(SLOT_FEATURES)), NO_SLOT, dtype=np.int8)
    out[:, :6] = past_slots[:n]
    lag = lags[bar].astype(np.int64)
    reference = np.arange(n) - lag * bar_rows
    has = lag > 0
    ids[:, 15:19] = np.where(has[:, None], cells[np.maximum(reference, 0)], NONE_CELL)
    ids[:, 19:23] = np.where(has[:, None], cells[np.clip(reference + 1, 0, n - 1)], NONE_CELL)
    ids[:, 23:27] = classes[bar]
    ids[:, 27] = lag
    chosen = slots[np.maximum(reference, 0)]
    out[:, 6:9] = np.where(has[:, None] & (chosen >= 0), chosen, NO_SLOT)
    first = int(starts[1]) if len(starts) > 1 and starts[1] - starts[0] < bar_rows and len(starts) > 2 else int(starts[0])
    ids[:, 28] = (np.arange(n) - first) % bar_rows
    since = np.arange(n) - (loop_start or 0)
    ids[:, 29] = np.minimum(np.where(since >= 0, since, np.arange(n)) // bar_rows, MAX_BAR_INDEX)
    ids[:, 30] = np.minimum((n - 1 - np.arange(n)) // bar_rows, MAX_BARS_REMAINING)
    ids[:, STRENGTH : STRENGTH + 4] = recall[1]
    ids[:, RECALL : RECALL + 4], out[:, 9:] = recalled(cells, slots, recall[0])
    ids[:, COLUMN["shift"]] = shifts[bar] + MAX_SHIFT
    half = half_of(np.arange(n) - starts[bar], starts[bar + 1] - starts[bar], bar_rows, (bar == 0) & (first > starts[0]))
    home = None if loop_start is None or loop_start >= n else int(np.searchsorted(starts, loop_start, side="right")) - 1
    ids[:, CHORD : CHORD + 3] = chord_features(chords, lags, home)[bar, half]
    return ids, out


def half_of(
    rows: NDArray[np.integer], lengths: NDArray[np.integer], bar_rows: int, pickup: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return which half of its bar each row stands in, for bars of full length or short ones.

    Args:
        rows: Rows since the bar's first.
        lengths: Rows the bar has.
        bar_rows: Rows of a whole bar.
        pickup: Where the bar lacks its beginning; a short bar elsewhere lacks its end.
    """
    missing = np.where(pickup, bar_rows - lengths, 0)
    return np.asarray((rows + missing) // (bar_rows // HALVES), dtype=np.int64)


def chord_features(
    chords: NDArray[np.integer], lags: NDArray[np.integer], home: int | None
) -> NDArray[np.int64]:
    """Return chord, next chord and the reference's chord of each half bar, shape (n_bars, 2, 3).

    Args:
        chords: Shape (n_bars, 2).
        lags: Bars back to the reference, 0 none, shape (n_bars,).
        home: The bar that follows the last one; None where none does.
    """
    own = chords.astype(np.int64)
    out = np.full((*own.shape, 3), UNKNOWN_CHORD, dtype=np.int64)
    out[..., 0] = own
    line = out[..., 1].reshape(-1)
    line[:-1] = own.reshape(-1)[1:]
    if home is not None:
        line[-1] = own[home, 0]
    reference = np.arange(len(own)) - lags.astype(np.int64)
    out[..., 1] = line.reshape(own.shape)
    out[..., 2] = np.where((lags > 0)[:, None], own[reference], UNKNOWN_CHORD)
    return out


def recalled(
    cells: NDArray[np.integer], slots: NDArray[np.integer], rows: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cells, (..., m, 4), and slots, (..., m, 3), of the rows (..., m, 4) each voice recalls.

    Args:
        cells: (..., n, 4).
        slots: (..., n, 3).
        rows: -1 for none.
    """
    n = cells.shape[-2]
    pieces = np.arange(cells.size // (4 * n)).reshape(*cells.shape[:-2], 1, 1)
    at = np.maximum(rows, 0) + pieces * n  # of the rows of all pieces, one below the other
    own = list(SLOT_VOICES)
    chosen = np.take(slots, at[..., own] * 3 + np.arange(3))
    return (
        np.where(rows >= 0, np.take(cells, at * 4 + np.arange(4)), NONE_CELL),
        np.where((rows[..., own] >= 0) & (chosen >= 0), chosen, NO_SLOT),
    )


def forget_recall(ids: NDArray[np.integer], slots: NDArray[np.integer]) -> None:
    """Take away what the piece recalls, in place: ids (..., len(FEATURES)), slots (..., len(SLOT_FEATURES))."""
    ids[..., RECALL : RECALL + 4] = NONE_CELL
    ids[..., STRENGTH : STRENGTH + 4] = 0
    slots[..., 9:] = NO_SLOT


def forget_chords(ids: NDArray[np.integer], rows: NDArray[np.bool_] | slice = slice(None)) -> None:
    """Make the harmony of the given rows unknown, in place: ids (..., n, len(FEATURES)), rows (n,)."""
    ids[..., rows, CHORD : CHORD + 3] = UNKNOWN_CHORD


def forget_plan(ids: NDArray[np.int16], slots: NDArray[np.int8], rows: NDArray[np.bool_], voices: NDArray[np.bool_]) -> None:
    """Make the plan of the given rows and voices unknown, in place.

    Args:
        ids: Shape (n, len(FEATURES)).
        slots: Shape (n, len(SLOT_FEATURES)).
        rows: Shape (n,): rows concerned.
        voices: Shape (4,): voices concerned; all four also hide the lag.
    """
    for voice in np.flatnonzero(voices):
        ids[rows, 15 + voice] = NONE_CELL
        ids[rows, 19 + voice] = NONE_CELL
        ids[rows, 23 + voice] = UNKNOWN_CLASS
        if voice in SLOT_VOICES:
            slots[rows, 6 + SLOT_VOICES.index(int(voice))] = NO_SLOT
    if voices.all():
        ids[rows, 27] = UNKNOWN_LAG
        ids[rows, COLUMN["shift"]] = MAX_SHIFT
        ids[rows, COLUMN["reference_chord"]] = UNKNOWN_CHORD


def as_future(ids: NDArray[np.int16], slots: NDArray[np.int8]) -> None:
    """Turn tokens into rows of the future, in place: their past is shown, what was planned and recalled for them is not."""
    everything = np.ones(len(ids), dtype=bool)
    forget_plan(ids, slots, everything, np.ones(4, dtype=bool))
    forget_recall(ids, slots)
    forget_chords(ids)
    ids[:, COLUMN["bar_index"]] = MAX_BAR_INDEX
    ids[:, COLUMN["bars_remaining"]] = UNKNOWN_REMAINING
    ids[:, COLUMN["segment"]] = 1


class History:
    """The past of several pieces that grow together, row by row: the features `history_features` gives for whole songs.

    Attributes:
        ids: Shape (n_pieces, len(PAST)): previous, held, last, age, move.
        slots: Shape (n_pieces, 6): previous, last.
    """

    def __init__(self, n_pieces: int) -> None:
        self.ids = np.empty((n_pieces, len(PAST)), dtype=np.int64)
        self.ids[:] = _BEGINNING
        self.slots = np.full((n_pieces, 6), NO_SLOT, dtype=np.int64)
        self._age = np.full((n_pieces, 4), MAX_AGE, dtype=np.int64)

    def copy(self) -> History:
        """Return a history that goes on by itself."""
        twin = History(0)
        twin.ids, twin.slots, twin._age = self.ids.copy(), self.slots.copy(), self._age.copy()
        return twin

    def take(self, order: NDArray[np.integer]) -> History:
        """Return a history in which each piece has the past of another: order (n_pieces,) says whose."""
        other = History(0)
        other.ids, other.slots, other._age = self.ids[order], self.slots[order], self._age[order]
        return other

    @property
    def held(self) -> NDArray[np.int64]:
        """What sounds: an onset id, or REST_ID; shape (n_pieces, 4)."""
        return self.ids[:, 4:8]

    @property
    def last(self) -> NDArray[np.int64]:
        """The last note of each melodic voice: an onset id, or NONE_CELL; shape (n_pieces, 3)."""
        return self.ids[:, 8:11]

    def add(self, cells: NDArray[np.integer], slots: NDArray[np.integer]) -> None:
        """Append one row: cells (n_pieces, 4), slots (n_pieces, 3) with -1 where no note begins."""
        event, onset = cells != HOLD_ID, cells >= ONSET_ID
        self.ids[:, :4] = cells
        np.copyto(self.ids[:, 4:8], cells, where=event)
        last, begins = self.last, onset[:, :3]
        if begins.any():
            moved = np.where(last != NONE_CELL, move_id(cells[:, :3], last), NO_MOVE)
            np.copyto(self.ids[:, 15:], moved, where=begins)
            np.copyto(last, cells[:, :3], where=begins)
        np.minimum(self._age + 1, MAX_AGE, out=self._age)
        self._age[event] = 0
        self.ids[:, 11:15] = self._age
        self.slots[:, :3] = np.where(slots >= 0, slots, NO_SLOT)
        np.copyto(self.slots[:, 3:], slots, where=onset[:, SLOT_VOICES])
