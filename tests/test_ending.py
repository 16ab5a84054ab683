"""Endings written anew, with the stand-in model: what stays, what may change, and that the better one is taken."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
from standin_model import standin

from nesasset.compose import _harmony, compose
from nesasset.compose.controls import Controls
from nesasset.compose.ending import endings, first_free_bar, foretelling
from nesasset.compose.given import Given
from nesasset.compose.judge import BEAT_ROWS, CONTEXT_ROWS, JUDGED_ROWS, PLACES, Told, elsewhere_bits, surprisal
from nesasset.compose.plan import draw_plan
from nesasset.compose.request import Request, generator, resolve
from nesasset.compose.writer import Draft, write
from nesasset.model import Model
from nesasset.themes import theme
from nesasset.vocabulary import EXACT, MAX_LAG, NEW, ONSET_ID, SILENT, VARIED

composing = importlib.import_module("nesasset.compose")


@pytest.fixture(scope="module")
def model() -> Model:
    return standin()


def draft_of(model: Model, classes: list[int]) -> tuple[Request, Draft]:
    """Return a draft whose bars are of the given classes in all voices; copies are of the first bar."""
    request = resolve(theme("castle"), 4, Controls(bars=len(classes)), model.sidecar["sampling"])
    drawn = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    lags = np.where(np.array(classes) < NEW, np.arange(len(classes)), 0)
    plan = replace(drawn, lags=lags, classes=np.repeat(np.array(classes)[:, None], 4, axis=1), shifts=np.zeros(len(classes), dtype=np.int64))
    return request, write(model, request, plan, [generator(("chance",))])[0]


@pytest.mark.parametrize(
    ("classes", "first"),
    [
        ([NEW] * 8, 6),
        ([NEW] * 6 + [EXACT] * 2, 5),
        ([NEW] * 5 + [EXACT] * 3, 4),
        ([NEW] * 4 + [EXACT] * 4, None),
        ([NEW] * 6 + [EXACT, VARIED], 6),
        ([NEW, EXACT], None),
        ([NEW, NEW], 1),
    ],
)
def test_the_last_bars_that_are_free(classes: list[int], first: int | None, model: Model) -> None:
    """Two bars are written anew, more where the plan copies the last ones, none where it copies too many."""
    _, draft = draft_of(model, classes)
    assert first_free_bar(draft.plan) == first


def test_the_rest_stays(model: Model) -> None:
    """Endings differ from the draft and from each other in the last bars only, have its plan, and are the same again."""
    request, draft = draft_of(model, [NEW, NEW, VARIED, NEW, EXACT, VARIED, NEW, NEW])
    kept = 6 * draft.plan.bar_rows
    first, again = (endings(model, request, draft, [generator((number,)) for number in (1, 2)]) for _ in range(2))
    for ending in first:
        assert (ending.cells[:kept] == draft.cells[:kept]).all()
        assert (ending.slots[:kept] == draft.slots[:kept]).all()
        assert (ending.cells[kept:] != draft.cells[kept:]).any()
    assert (first[0].cells != first[1].cells).any()
    assert all((a.cells == b.cells).all() for a, b in zip(first, again, strict=True)) and len(again) == 2


def test_what_is_given_stays(model: Model) -> None:
    """Cells that a draft was written around stand in its other endings, too."""
    request, draft = draft_of(model, [NEW] * 6)
    cells = np.full_like(draft.cells, -1)
    cells[-8:, 0] = draft.cells[-8:, 0]
    given = Given(cells, np.where(cells[:, :3] >= ONSET_ID, 0, -1))
    for ending in endings(model, request, draft, [generator((number,)) for number in (1, 2)], given):
        assert (ending.cells[-8:, 0] == draft.cells[-8:, 0]).all()
        assert (ending.cells[-32:] != draft.cells[-32:]).any()


def test_the_better_ending_is_taken(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """With endings a seam never surprises more than without, and less for some seeds."""
    monkeypatch.setattr(composing, "RETURNS", 1)
    found = {}
    for rough in (99.0, -99.0):
        monkeypatch.setattr(composing, "ROUGH", rough)
        scores = [compose("castle", seed, Controls(bars=8, candidates=1, ornaments=False), model) for seed in range(6)]
        found[rough] = np.array([score.provenance["surprisal"]["seam"] for score in scores])
    assert (found[-99.0] <= found[99.0]).all()
    assert (found[-99.0] < found[99.0] - 0.01).any()


@pytest.mark.parametrize(("short", "drawn", "kept"), [([0.0], 1, 0), ([1.0, -0.1], 1, 0), ([2.0, 1.0, 0.5, 0.2], 2, 1), ([2.0, 1.0, 3.0, 2.5], 2, 0)])
def test_a_seed_draws_once_more_where_the_end_does_not_lead_home(short: list[float], drawn: int, kept: int, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two plans' pieces the one is kept whose end is less short of home; one that is not short at all is left as it came."""
    asked: list[Draft] = []
    told = iter(short)

    def short_of_home(order: object, draft: Draft, figures: object) -> float:
        asked.append(draft)
        return next(told)

    monkeypatch.setattr(composing, "_short_of_home", short_of_home)
    score = compose("castle", 5, Controls(bars=8, candidates=1, ornaments=False), model)
    plans = [draft.plan for draft in asked[::2]]  # each is asked about as it came, and with another end
    assert next(told, None) is None and len(plans) == drawn
    assert [bar.split()[1] for bar in score.provenance["form"][:6]] == ["".join("EVRQNS"[kind] for kind in bar) for bar in plans[kept].classes[:6].tolist()]


def test_elsewhere_is_judged_as_a_cut_is(model: Model) -> None:
    """The loop's end followed by other places surprises as much as in a piece spliced together; short loops, and loops of one figure, have no places."""
    _, draft = draft_of(model, [NEW] * 16)
    rows = draft.plan.bar_rows
    loop = (draft.cells, draft.slots)
    told = Told.of(draft.plan)
    found = elsewhere_bits(model, *loop, told)
    length = len(draft.cells)
    places = [int(place * length) // BEAT_ROWS * BEAT_ROWS for place in PLACES]
    places = [place for place in places if place + JUDGED_ROWS <= length - CONTEXT_ROWS]
    assert len(found) == len(places) > 0
    between = -(JUDGED_ROWS + CONTEXT_ROWS) % rows
    for place, bits in zip(places, found.tolist(), strict=True):
        spliced = [np.concatenate([array[place : place + JUDGED_ROWS + between], array[-CONTEXT_ROWS:]]) for array in loop]
        assert surprisal(model, spliced[0], spliced[1], told)[0] == pytest.approx(bits, rel=0.02)
    assert len(elsewhere_bits(model, draft.cells[: 8 * rows], draft.slots[: 8 * rows], told)) == 0
    same = np.tile(draft.cells[:4], (length // 4, 1)), np.tile(draft.slots[:4], (length // 4, 1))
    assert len(elsewhere_bits(model, *same, told)) == 0


def test_nothing_is_written_where_nothing_is_free(model: Model) -> None:
    """A draft whose last bars are all copies has no other endings."""
    request, draft = draft_of(model, [NEW] * 4 + [EXACT] * 4)
    assert endings(model, request, draft, [generator((1,))]) == []


def test_a_last_bar_that_foretells_varies_the_first(model: Model) -> None:
    """It refers to the loop's first bar in the voices that play in both; the other bars stay."""
    _, draft = draft_of(model, [NEW, NEW, EXACT, NEW, NEW, NEW])
    classes = draft.plan.classes.copy()
    classes[-1, 1], classes[1, 3] = SILENT, SILENT
    plan = foretelling(replace(draft.plan, classes=classes, home=1))
    assert plan is not None
    assert plan.lags[-1] == 4 and plan.classes[-1].tolist() == [VARIED, SILENT, VARIED, SILENT]
    assert (plan.lags[:-1] == draft.plan.lags[:-1]).all() and (plan.classes[:-1] == classes[:-1]).all()
    assert foretelling(replace(plan, home=4)) is None  # next to each other
    classes[-1, :3] = SILENT
    assert foretelling(replace(draft.plan, classes=classes)) is None


def test_two_last_bars_may_foretell_the_first_two(model: Model) -> None:
    """Each refers to its own one; where one of them has no voice that plays in both, there is no such plan."""
    _, draft = draft_of(model, [NEW] * 6)
    plan = foretelling(draft.plan, 2)
    assert plan is not None and plan.lags.tolist() == [0, 0, 0, 0, 4, 4]
    assert (plan.classes[4:] == VARIED).all() and (plan.classes[:4] == draft.plan.classes[:4]).all()
    assert foretelling(replace(draft.plan, home=1), 2) is None  # too near
    classes = draft.plan.classes.copy()
    classes[1, :3] = SILENT
    assert foretelling(replace(draft.plan, classes=classes), 2) is None
    assert foretelling(replace(draft.plan, classes=classes), 1) is not None


@pytest.mark.parametrize(("bars", "there"), [(MAX_LAG + 1, True), (MAX_LAG + 2, False)])
def test_only_a_beginning_in_reach_is_foretold(bars: int, there: bool, model: Model) -> None:
    """No plan refers farther back than the model has learnt."""
    _, draft = draft_of(model, [NEW, NEW, NEW])
    lags, classes = np.zeros(bars, dtype=np.int64), np.full((bars, 4), NEW)
    assert (foretelling(replace(draft.plan, lags=lags, classes=classes, shifts=lags)) is not None) is there


def test_a_rough_seam_is_foretold_unless_the_form_was_asked_for(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where endings of the plan's own leave the seam rough, a foretelling one may be taken, and its form is told; a caller's form stays."""
    monkeypatch.setattr(composing, "ROUGH", -99.0)
    monkeypatch.setattr(composing, "RETURNS", 1)
    own, foretold, asked = [], [], []
    for bars, forms in (((), own), ((1, 2), foretold)):
        monkeypatch.setattr(composing, "FORETOLD", bars)
        scores = [compose("castle", seed, Controls(bars=8, ornaments=False), model) for seed in range(6)]
        forms += [(score.provenance["surprisal"]["seam"], score.provenance["form"][-1]) for score in scores]
        asked.append(compose("castle", 2, Controls(bars=8, form="AABA", ornaments=False), model).provenance["form"])
    changed = [(one, other) for one, other in zip(own, foretold, strict=True) if one != other]
    assert changed
    assert all(other[0] < one[0] and other[1].startswith(("7 ", "6 ")) for one, other in changed)
    assert asked[0] == asked[1]
