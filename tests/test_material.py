"""Scores in the model's terms, and writing around what is given: with the stand-in model and made-up scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from standin_model import standin

from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.given import Given
from nesasset.compose.material import MAX_BARS, TRIANGLE, bar_rows_of, to_material
from nesasset.compose.request import generator
from nesasset.compose.swarm import Swarm
from nesasset.compose.vary import request_of
from nesasset.compose.writer import write
from nesasset.errors import MaterialError
from nesasset.model import Model
from nesasset.score import HOLD, REST, Instrument, Note, Score
from nesasset.units import VOICES
from nesasset.vocabulary import EXACT, HOLD_ID, NEW, ONSET_ID, REST_ID, SILENT, pitch_to_id


@pytest.fixture(scope="module")
def model() -> Model:
    return standin()


@pytest.fixture(scope="module")
def parent(model: Model) -> Score:
    return compose("castle", 4, Controls(bars=4, candidates=1), model)


def made_up(n_rows: int = 32, bar_rows: int = 16, loop: tuple[int, int] | None = None) -> Score:
    """Return a line on pulse 1 and a bass, a note every four rows, the second half like the first."""
    line = tuple(Note(0, 60 + row // 4 % 4 * 2) if row % 4 == 0 else HOLD for row in range(n_rows))
    bass = tuple(Note(1, 36) if row % 8 == 0 else HOLD for row in range(n_rows))
    rest = (REST,) + (HOLD,) * (n_rows - 1)
    instruments = (Instrument("pulse", (15, 12, 8, 4)), Instrument("triangle"))
    return Score({"P1": line, "P2": rest, "TR": bass, "NO": rest}, instruments, bar_rows=bar_rows, loop=loop)


def test_rows_form_and_bass(model: Model) -> None:
    """Cells are the notes', a bar like the one before is exact, a silent voice is silent, and new notes have a player."""
    found = to_material(made_up(), model)
    assert found.cells[0].tolist() == [pitch_to_id(60), REST_ID, pitch_to_id(36), REST_ID]
    assert found.cells[1].tolist() == [HOLD_ID] * 4
    assert found.plan.lags.tolist() == [0, 1]
    assert found.plan.classes.tolist() == [[NEW, SILENT, NEW, SILENT], [EXACT, SILENT, EXACT, SILENT]]
    assert found.players == {("pulse", 0): (0, 15), TRIANGLE: (1, 15)}
    assert found.slots[0].tolist() == [0, -1, -1]


def test_a_composed_piece_gives_back_its_palette(model: Model, parent: Score) -> None:
    """Every note of a composed piece has a slot whose entry is its own instrument's duty and peak."""
    found = to_material(parent, model)
    onsets = found.cells[:, 0] >= ONSET_ID
    assert (found.slots[onsets, 0] >= 0).all()
    for row in np.flatnonzero(onsets).tolist():
        cell = parent.voices["P1"][row]
        assert isinstance(cell, Note)
        _, _, _, peak = found.plan.pulse[found.slots[row, 0]].tolist()
        assert peak == max(parent.instruments[cell.instrument].volume)


def test_a_silent_note_is_a_rest(model: Model) -> None:
    """Neither a note without volume nor one of a silent instrument is heard, so the model reads rests."""
    score = made_up()
    line = (Note(0, 60, volume=0), *score.voices["P1"][1:4], Note(2, 60), *score.voices["P1"][5:])
    quiet = replace(score, voices={**score.voices, "P1": line}, instruments=(*score.instruments, Instrument("pulse", (0,))))
    cells = to_material(quiet, model).cells
    assert cells[[0, 4], 0].tolist() == [REST_ID, REST_ID]


@pytest.mark.parametrize(("bar_rows", "counted"), [(16, 16), (12, 12), (8, 16), (4, 16), (32, 16), (24, 12), (6, 12), (3, 12), (48, 16)])
def test_bars_are_regrouped(bar_rows: int, counted: int) -> None:
    """Bars that are parts or multiples of 16 or 12 rows are counted as such."""
    assert bar_rows_of(made_up(bar_rows * 4, bar_rows)) == counted


@pytest.mark.parametrize("bar_rows", [5, 14, 20, 28])
def test_other_metres_are_refused(bar_rows: int, model: Model) -> None:
    """A score of five-four or seven-eight is none that the model knows; the sentence says what it knows."""
    with pytest.raises(MaterialError, match=f"16 or 12 rows.*not of {bar_rows}"):
        to_material(made_up(bar_rows * 4, bar_rows), model)


def test_rows_are_filled_up_to_bars(model: Model) -> None:
    """A loop that begins within a bar begins one, a last incomplete bar is completed, rows behind the loop are left out."""
    found = to_material(made_up(50, loop=(4, 46)), model)
    assert found.lead == 12
    assert len(found.cells) == 64
    assert (found.cells[:12] == REST_ID).all()
    assert found.cells[12, 0] == pitch_to_id(60)
    assert (found.cells[58:] == HOLD_ID).all()
    assert found.plan.home == 1
    assert found.n_rows == 46


def test_too_long_and_empty_scores_are_refused(model: Model) -> None:
    """A score longer than a piece can be is refused, and so is one without a note."""
    with pytest.raises(MaterialError, match=f"{MAX_BARS} bars of 16 rows at most, not {MAX_BARS + 1}"):
        to_material(made_up(16 * (MAX_BARS + 1)), model)
    silent = dict.fromkeys(VOICES, (REST, *((HOLD,) * 15)))
    with pytest.raises(MaterialError, match="no notes"):
        to_material(Score(silent, ()), model)


@pytest.mark.parametrize("particles", [1, 3])
def test_what_is_given_stays(particles: int, model: Model, parent: Score) -> None:
    """Given voices and bars come back cell for cell and slot for slot, others are written, each draft by its own chance."""
    found = to_material(parent, model)
    free = np.zeros(found.cells.shape, dtype=bool)
    free[16:32] = True  # bar 2
    free[:, 2] = True  # the bass
    given = Given(np.where(free, -1, found.cells), np.where(free[:, [0, 1, 3]], -1, found.slots))
    plan = replace(found.plan, lags=np.zeros(4, dtype=np.int64), classes=np.full((4, 4), NEW), shifts=np.zeros(4, dtype=np.int64))
    chances = [generator(("test", number)) for number in range(2)]
    drafts = write(model, request_of(found, 0, model), plan, chances, given, particles)
    assert len(drafts) == 2
    for draft in drafts:
        assert (draft.cells[~free] == found.cells[~free]).all()
        assert (draft.slots[~free[:, [0, 1, 3]]] == found.slots[~free[:, [0, 1, 3]]]).all()
    assert (drafts[0].cells != drafts[1].cells).any()
    again = write(model, request_of(found, 0, model), plan, [generator(("test", number)) for number in range(2)], given, particles)
    assert all((a.cells == b.cells).all() and (a.slots == b.slots).all() for a, b in zip(drafts, again, strict=True))


def test_the_fittest_go_on() -> None:
    """A draft that is surprised by ten bits more than the others of its group dies out; a group of equals goes on as it is."""
    swarm = Swarm([np.random.default_rng(1), np.random.default_rng(2)], 3)
    swarm.weigh(np.array([10.0, 10.0, 0.0, 1.0, 1.0, 1.0]))
    assert swarm.best().tolist() == [2, 3]
    order = swarm.order()
    assert order is not None
    assert order.tolist() == [2, 2, 2, 3, 4, 5]
    assert swarm.order() is None
    assert swarm.best().tolist() == [0, 3]


def test_weights_are_taken_back() -> None:
    """What was weighed since the mark is forgotten."""
    swarm = Swarm([np.random.default_rng(1)], 2)
    swarm.mark()
    swarm.weigh(np.array([5.0, 0.0]))
    swarm.take_back()
    assert swarm.best().tolist() == [0]
