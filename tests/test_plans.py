"""Plans mined from rows: classes mean what they say, and exact and silent parts follow from the plan."""

from __future__ import annotations

import importlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_corpus import made_up_song, random_cells

from nesasset.compose.controls import Controls
from nesasset.compose.form_mining import bar_starts, mine_plan
from nesasset.compose.plan import EQUALS, MIDDLE_FIT, _fit, _found, _middle_returns, _typical
from nesasset.compose.request import resolve
from nesasset.themes import theme
from nesasset.vocabulary import (
    CONTROLS,
    EXACT,
    HOLD_ID,
    MAX_LAG,
    NEW,
    ONSET_ID,
    REST_ID,
    RHYTHM,
    SEQUENCE,
    SILENT,
    VARIED,
)

SAMPLING = {"candidates": 1, "event_temperature": 1.0, "note_temperature": 1.0, "slot_temperature": 1.0, "min_p": 0.0}


@pytest.mark.parametrize("first", [0, 5])
def test_bars_are_counted_from_the_first_whole_one(first: int) -> None:
    """An incomplete bar in front and one at the end are bars of their own."""
    starts = bar_starts(first + 40, 16, first)
    assert starts.tolist() == ([0, 16, 32, 40] if first == 0 else [0, 5, 21, 37, 45])


@given(st.integers(0, 5000), st.sampled_from([12, 16]))
def test_classes_are_true(seed: int, bar_rows: int) -> None:
    """Exact parts equal the referenced part, silent ones have no note, lags stay within the song."""
    cells = made_up_song(np.random.default_rng(seed), bar_rows)
    starts = bar_starts(len(cells), bar_rows, 0)
    lags, classes, shifts = mine_plan(cells, bar_rows, 0)
    assert len(lags) == len(shifts) == len(starts) - 1
    for bar, (a, b) in enumerate(pairwise(starts)):
        assert 0 <= lags[bar] <= min(bar, MAX_LAG)
        for voice in range(4):
            part = cells[a:b, voice]
            if classes[bar, voice] == EXACT:
                assert (part == cells[a - lags[bar] * bar_rows : b - lags[bar] * bar_rows, voice]).all()
            if classes[bar, voice] == SEQUENCE:
                there = cells[a - lags[bar] * bar_rows : b - lags[bar] * bar_rows, voice]
                assert (part == np.where(there >= ONSET_ID, there + shifts[bar], there)).all()
                assert voice < 3
                assert shifts[bar] != 0
            if classes[bar, voice] == SILENT:
                assert not (part >= ONSET_ID).any()
                assert (part[1:] == HOLD_ID).all()
            if lags[bar] == 0:
                assert classes[bar, voice] in (NEW, SILENT)


def test_varied_rhythm_and_new() -> None:
    """One changed note is a variation, all pitches changed the same rhythm, another rhythm new material."""
    rng = np.random.default_rng(1)
    bar = random_cells(rng, 16)
    bar[0] = ONSET_ID + 20
    bar[0, 3] = ONSET_ID
    varied, rhythm = bar.copy(), bar.copy()
    varied[0, 0] += 1
    pitched = bar[:, 1] >= ONSET_ID
    rhythm[pitched, 1] += np.arange(pitched.sum()) % 3 + 7
    other = random_cells(np.random.default_rng(2), 16)
    cells = np.concatenate([bar, varied, rhythm])
    cells[32:, 2] = np.roll(other[:, 2], 5)
    lags, classes, _ = mine_plan(cells, 16, 0)
    assert lags[1] == 1
    assert classes[1].tolist() == [VARIED, EXACT, EXACT, EXACT]
    assert classes[2, 1] == RHYTHM


def test_a_song_of_rests_has_no_reference() -> None:
    """Silence refers to nothing."""
    cells = np.full((32, 4), HOLD_ID, dtype=np.int32)
    cells[0] = REST_ID
    lags, classes, _ = mine_plan(cells, 16, 0)
    assert (lags == 0).all()
    assert (classes == SILENT).all()


def test_a_moved_bar_is_a_sequence() -> None:
    """A bar that comes back three semitones higher is a sequence by three; a voice that moves otherwise is not part of it."""
    bar = random_cells(np.random.default_rng(6), 16)
    bar[0] = ONSET_ID + 20
    bar[0, 3] = ONSET_ID
    moved = bar.copy()
    onset = bar >= ONSET_ID
    moved[:, :3] += np.where(onset[:, :3], 3, 0)
    moved[:, 1] += np.where(onset[:, 1], 2, 0)
    lags, classes, shifts = mine_plan(np.concatenate([bar, moved]), 16, 0)
    assert (lags[1], shifts[1]) == (1, 3)
    assert classes[1].tolist() == [SEQUENCE, RHYTHM, SEQUENCE, EXACT]


def test_typical_songs_of_a_label() -> None:
    """A song's character speaks for a label as far as it is commoner there; a label that no song has gets nothing from any."""
    controls = np.zeros((60, len(CONTROLS)), dtype=np.int64)
    label, density = list(CONTROLS).index("label"), list(CONTROLS).index("density")
    controls[:20, label] = 3
    controls[:, density] = np.where(np.arange(60) % 4 == 0, 5, 1)
    controls[:20, density] = np.where(np.arange(20) % 4 == 0, 1, 5)  # here the busy ones are the rule
    found = _typical(controls, 3)
    busy = controls[:, density] == 5
    assert found[busy].min() > 0 > found[~busy].max()
    assert len(np.unique(found)) == 2  # by character alone, whatever the song's own label is
    assert _typical(controls, 7) == pytest.approx(np.zeros(60))


def test_the_best_fitting_entries_are_drawn_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry that fits best by far is not drawn more often than the next few; what fits worse is rare, and what was asked for goes before."""
    plan = importlib.import_module("nesasset.compose.plan")
    drawn = np.zeros(40)

    def cut(library: object, entry: int, bars: int) -> None:
        drawn[entry] += 1

    monkeypatch.setattr(plan, "_cut", cut)
    monkeypatch.setattr(plan, "_is_usable", lambda found: True)
    request = resolve(theme("castle"), 1, Controls(bars=8), SAMPLING)
    fit = -3.0 * np.arange(40)
    rng = np.random.default_rng(5)
    for _ in range(1600):
        _found({}, request, rng, fit, np.full(40, 16))
    assert (np.abs(drawn[:EQUALS] / 1600 - 1 / EQUALS) < 0.03).all()
    assert drawn[EQUALS:].sum() < 0.02 * 1600
    for asked in (Controls(bars=8, density=0.5), Controls(bars=8, intensity=0.5), Controls(bars=8, register="low")):
        drawn[:] = 0
        for _ in range(100):
            _found({}, resolve(theme("castle"), 1, asked, SAMPLING), rng, fit, np.full(40, 16))
        assert drawn[0] > 90


def form_library(*forms: list[int]) -> dict[str, np.ndarray]:
    """Return entries of bars that copy the bar so many before in all voices, or are new where that is 0."""
    lags = np.concatenate([np.array(form) for form in forms])
    count = len(forms)
    return {
        "bars": np.cumsum([0, *map(len, forms)]),
        "lags": lags.astype(np.int8),
        "classes": np.where(lags > 0, EXACT, NEW)[:, None].repeat(4, axis=1).astype(np.int8),
        "controls": np.ones((count, len(CONTROLS)), dtype=np.int8),
        "row_frames": np.full(count, 6.0),
        "bar_rows": np.full(count, 16),
    }


def test_forms_whose_middle_returns_are_rarer() -> None:
    """A B C D, C again behind the middle leads there; A B again leads home, and so does nothing again. What was asked for goes before."""
    home, middle, through, indirect = [0, 0, 0, 0, 4, 4, 0, 0], [0, 0, 0, 0, 2, 0, 0, 0], [0] * 8, [0, 0, 0, 1, 1, 0, 0, 0]
    library = form_library(home, middle, through, indirect, [0, 0, 0, 1, 1])
    assert _middle_returns(library, 8).tolist() == [False, True, False, True, False]  # the last is too short
    assert not _middle_returns(library, 4).any()
    plain, asked = (resolve(theme("castle"), 1, controls, SAMPLING) for controls in (Controls(bars=8), Controls(bars=8, register="low")))
    for request, loss in ((plain, MIDDLE_FIT), (asked, 0.0)):
        fit = _fit(library, request, np.diff(library["bars"]))
        assert fit[2] - fit[1] == pytest.approx(loss)
