"""The model's input features: the incremental way of the runtime against the whole-song way of training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesasset.features import (
    COLUMN,
    FEATURES,
    N_IDS,
    NO_SLOT,
    NONE_CELL,
    OFFSETS,
    History,
    as_future,
    chord_features,
    forget_chords,
    forget_plan,
    history_features,
    song_features,
)
from nesasset.recall import recall_song
from nesasset.vocabulary import (
    HOLD_ID,
    N_CHORDS,
    ONSET_ID,
    REST_ID,
    UNKNOWN_CHORD,
    UNKNOWN_CLASS,
    UNKNOWN_LAG,
    UNKNOWN_REMAINING,
)


def random_rows(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cells = rng.choice([HOLD_ID, REST_ID, 2, 40, 89], p=[0.5, 0.1, 0.1, 0.2, 0.1], size=(n, 4))
    cells[:, 3] = np.minimum(cells[:, 3], ONSET_ID)
    slots = np.where(cells[:, [0, 1, 3]] >= ONSET_ID, rng.integers(0, 16, (n, 3)), -1)
    return cells, slots


def all_features(cells, slots, starts, lags, classes, bar_rows, shifts=None, chords=None, loop_start=None):
    """Call song_features with nothing moved and all in one chord unless told otherwise."""
    shifts = np.zeros(len(lags), dtype=int) if shifts is None else shifts
    chords = np.ones((len(lags), 2), dtype=int) if chords is None else chords
    return song_features(cells, slots, starts, lags, classes, shifts, chords, bar_rows, recall_song(cells, bar_rows), loop_start)


@given(st.integers(0, 10_000), st.integers(1, 90))
def test_history_agrees_with_whole_song(seed: int, n: int) -> None:
    """Features built row by row are those computed for the whole song at once."""
    cells, slots = random_rows(seed, n)
    ids, seen = history_features(cells, slots)
    history = History(1)
    for row in range(n):
        assert (history.ids[0] == ids[row]).all()
        assert (history.slots[0] == seen[row]).all()
        history.add(cells[None, row], slots[None, row])
    assert (history.ids[0] == ids[n]).all()
    assert (history.slots[0] == seen[n]).all()


@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([12, 16]))
def test_every_id_lies_in_its_stretch_of_the_table(seed: int, bars: int, bar_rows: int) -> None:
    """No feature of a song reaches beyond its own ids."""
    cells, slots = random_rows(seed, bars * bar_rows)
    starts = np.arange(0, bars * bar_rows + 1, bar_rows)
    lags = np.minimum(np.arange(bars), 2)
    rng = np.random.default_rng(seed)
    chords, shifts = rng.integers(0, N_CHORDS, (bars, 2)), rng.integers(-12, 13, bars)
    ids, seen = all_features(cells, slots, starts, lags, np.zeros((bars, 4), dtype=int), bar_rows, shifts, chords)
    assert (ids >= 0).all()
    assert (ids < np.array(list(FEATURES.values()))).all()
    assert ((seen >= 0) & (seen <= NO_SLOT)).all()
    assert OFFSETS[-1] + list(FEATURES.values())[-1] == N_IDS


def test_reference_is_the_row_of_the_referenced_bar() -> None:
    """A bar with lag 2 shows the cells of two bars earlier, and the row after."""
    cells, slots = random_rows(3, 64)
    lags = np.array([0, 0, 2, 1])
    ids, seen = all_features(cells, slots, np.arange(0, 65, 16), lags, np.zeros((4, 4), dtype=int), 16)
    first = COLUMN["reference_P1"]
    assert (ids[32:48, first : first + 4] == cells[0:16]).all()
    assert (ids[32:47, first + 4 : first + 8] == cells[1:16]).all()
    assert (ids[:32, first : first + 8] == NONE_CELL).all()
    onset = cells[48 - 16 : 64 - 16, 0] >= ONSET_ID
    assert (seen[48:64, 6][onset] == slots[32:48, 0][onset]).all()


def test_forgotten_plan_leaves_no_trace() -> None:
    """After forgetting, no feature depends on the plan or on the referenced bar."""
    cells, slots = random_rows(4, 32)
    plans = (np.array([0, 1]), np.zeros((2, 4), dtype=int)), (np.array([0, 0]), np.full((2, 4), 3))
    seen = []
    for lags, classes in plans:
        ids, used = all_features(cells, slots, np.array([0, 16, 32]), lags, classes, 16, chords=np.array([[1, 2], [3, 4]]))
        forget_plan(ids, used, np.ones(32, dtype=bool), np.ones(4, dtype=bool))
        seen.append((ids, used))
    assert (seen[0][0] == seen[1][0]).all()
    assert (seen[0][1] == seen[1][1]).all()
    assert (seen[0][0][:, COLUMN["lag"]] == UNKNOWN_LAG).all()
    assert (seen[0][0][:, COLUMN["class_P1"]] == UNKNOWN_CLASS).all()


def test_future_tokens_say_so() -> None:
    """Rows of the future carry their segment and no place in the loop."""
    cells, slots = random_rows(5, 16)
    ids, used = all_features(cells, slots, np.array([0, 16]), np.array([0]), np.zeros((1, 4), dtype=int), 16)
    as_future(ids, used)
    assert (ids[:, COLUMN["segment"]] == 1).all()
    assert (ids[:, COLUMN["bars_remaining"]] == UNKNOWN_REMAINING).all()


@pytest.mark.parametrize("name", ["P1", "P2", "TR", "NO"])
def test_age_counts_rows_since_the_last_event(name: str) -> None:
    """Age is 0 right after an event and grows by one a row of hold."""
    cells = np.zeros((10, 4), dtype=int)
    cells[3] = ONSET_ID
    ids, _ = history_features(cells, np.full((10, 3), -1))
    column = COLUMN[f"age_{name}"]
    assert ids[4:8, column].tolist() == [0, 1, 2, 3]


def test_chords_of_half_bars() -> None:
    """Each row shows its half bar's chord, the next one and that of the referenced bar; the last leads to the loop's first bar."""
    cells, slots = random_rows(6, 48)
    chords = np.array([[5, 6], [7, 8], [9, 10]])
    lags = np.array([0, 0, 1])
    for loop_start, after in ((None, UNKNOWN_CHORD), (16, 7)):
        ids, _ = all_features(cells, slots, np.arange(0, 49, 16), lags, np.zeros((3, 4), dtype=int), 16, None, chords, loop_start)
        seen = ids[::8, COLUMN["chord"] : COLUMN["chord"] + 3].tolist()
        assert seen[:4] == [[5, 6, UNKNOWN_CHORD], [6, 7, UNKNOWN_CHORD], [7, 8, UNKNOWN_CHORD], [8, 9, UNKNOWN_CHORD]]
        assert seen[4:] == [[9, 10, 7], [10, after, 8]]
        assert (ids[:8, COLUMN["chord"]] == 5).all()


def test_a_pickup_has_the_end_of_its_bar() -> None:
    """Of an incomplete first bar the rows are the last ones of its second half."""
    cells, slots = random_rows(7, 21)
    chords = np.array([[5, 6], [7, 8]])
    ids, _ = all_features(cells, slots, np.array([0, 5, 21]), np.zeros(2, dtype=int), np.full((2, 4), 4), 16, None, chords)
    assert ids[:, COLUMN["chord"]].tolist() == [6] * 5 + [7] * 8 + [8] * 8


def test_forgotten_chords_leave_no_trace() -> None:
    """After forgetting, all three chords of a row are unknown, in the rows concerned only."""
    cells, slots = random_rows(8, 32)
    ids, _ = all_features(cells, slots, np.array([0, 16, 32]), np.array([0, 1]), np.zeros((2, 4), dtype=int), 16)
    forget_chords(ids, np.arange(32) < 8)
    column = COLUMN["chord"]
    assert (ids[:8, column : column + 3] == UNKNOWN_CHORD).all()
    assert (ids[8:, column] == 1).all()


def test_chord_features_of_one_bar_that_goes_round() -> None:
    """The last half bar of a loop is followed by the first one."""
    assert chord_features(np.array([[3, 4]]), np.array([0]), 0)[0].tolist() == [[3, 4, UNKNOWN_CHORD], [4, 3, UNKNOWN_CHORD]]
