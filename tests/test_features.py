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
    forget_plan,
    history_features,
    song_features,
)
from nesasset.recall import recall_song
from nesasset.vocabulary import HOLD_ID, ONSET_ID, REST_ID, UNKNOWN_CLASS, UNKNOWN_LAG, UNKNOWN_REMAINING


def random_rows(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cells = rng.choice([HOLD_ID, REST_ID, 2, 40, 89], p=[0.5, 0.1, 0.1, 0.2, 0.1], size=(n, 4))
    cells[:, 3] = np.minimum(cells[:, 3], ONSET_ID)
    slots = np.where(cells[:, [0, 1, 3]] >= ONSET_ID, rng.integers(0, 16, (n, 3)), -1)
    return cells, slots


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
    ids, seen = song_features(cells, slots, starts, lags, np.zeros((bars, 4), dtype=int), bar_rows, recall_song(cells, bar_rows))
    assert (ids >= 0).all()
    assert (ids < np.array(list(FEATURES.values()))).all()
    assert ((seen >= 0) & (seen <= NO_SLOT)).all()
    assert OFFSETS[-1] + list(FEATURES.values())[-1] == N_IDS


def test_reference_is_the_row_of_the_referenced_bar() -> None:
    """A bar with lag 2 shows the cells of two bars earlier, and the row after."""
    cells, slots = random_rows(3, 64)
    lags = np.array([0, 0, 2, 1])
    ids, seen = song_features(cells, slots, np.arange(0, 65, 16), lags, np.zeros((4, 4), dtype=int), 16, recall_song(cells, 16))
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
        ids, used = song_features(cells, slots, np.array([0, 16, 32]), lags, classes, 16, recall_song(cells, 16))
        forget_plan(ids, used, np.ones(32, dtype=bool), np.ones(4, dtype=bool))
        seen.append((ids, used))
    assert (seen[0][0] == seen[1][0]).all()
    assert (seen[0][1] == seen[1][1]).all()
    assert (seen[0][0][:, COLUMN["lag"]] == UNKNOWN_LAG).all()
    assert (seen[0][0][:, COLUMN["class_P1"]] == UNKNOWN_CLASS).all()


def test_future_tokens_say_so() -> None:
    """Rows of the future carry their segment and no place in the loop."""
    cells, slots = random_rows(5, 16)
    ids, used = song_features(cells, slots, np.array([0, 16]), np.array([0]), np.zeros((1, 4), dtype=int), 16, recall_song(cells, 16))
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
