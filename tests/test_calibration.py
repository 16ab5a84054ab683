"""A model's calibration: where its numbers act, and what a sidecar may hold."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
from standin_model import standin

from nesasset.compose import _harmony
from nesasset.compose.calibration import DEFAULT, KEY, MODES, PLACES, Calibration
from nesasset.compose.controls import Controls
from nesasset.compose.given import Given
from nesasset.compose.harmony import Form, HarmonyModel
from nesasset.compose.plan import draw_plan
from nesasset.compose.request import generator, resolve
from nesasset.errors import ModelMismatchError
from nesasset.features import NONE_CELL
from nesasset.themes import theme
from nesasset.vocabulary import LABELS, ONSET_ID


def zeros() -> Calibration:
    """Return a calibration that does nothing."""
    return Calibration(np.zeros((len(PLACES), 4), np.float32), np.zeros(4, np.float32), np.zeros((len(MODES), 12), np.float32))


def test_beside_music_that_was_there_it_does_not_act() -> None:
    """A piece's own bars and its motif are written with the model's table, what joins somebody's music without it."""
    writer = importlib.import_module("nesasset.compose.writer")
    model, table = standin(), zeros()
    table.rests[:] = 0.5
    model.sidecar = {**model.sidecar, KEY: table.to_json()}
    request = resolve(theme("castle"), 4, Controls(bars=4), model.sidecar["sampling"])
    plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    nothing = Given.nothing(plan.n_bars * plan.bar_rows)
    for given, acts in ((None, True), (nothing, True), (replace(nothing, own=False), False)):
        desk = writer._Desk(model, request, plan, [generator(("chance",))], given)
        assert (desk.steering.calibration.rests == (0.5 if acts else 0)).all()


def test_a_theme_has_its_own_table_on_top() -> None:
    """Where its label is composed, and in no other; the tables come back from the sidecar."""
    base, more = zeros(), zeros()
    base.rests[:], more.rests[1] = 0.5, 0.25
    more.degrees[1, 1] = 0.5
    table = replace(base, themes={"dungeon_underground": more})
    told = Calibration.of({KEY: table.to_json()})
    dungeon = told.of_theme(LABELS.index("dungeon_underground"))
    assert dungeon.rests.tolist() == [0.5, 0.75, 0.5, 0.5] and dungeon.degrees[1, 1] == 0.5
    for label in (0, LABELS.index("town_shop_indoor")):
        assert (told.of_theme(label).rests == 0.5).all() and not told.of_theme(label).degrees.any()
    writer, model = importlib.import_module("nesasset.compose.writer"), standin()
    model.sidecar = {**model.sidecar, KEY: table.to_json()}
    for name, rest in (("cave", 0.75), ("castle", 0.5)):
        request = resolve(theme(name), 4, Controls(bars=4), model.sidecar["sampling"])
        plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
        desk = writer._Desk(model, request, plan, [generator(("chance",))], None)
        assert desk.steering.calibration.rests[1] == rest
    sparse = writer.calibration_of(model, resolve(theme("cave"), 4, Controls(bars=4, density=0.2), model.sidecar["sampling"]))
    assert sparse.rests[1] == 0.5 and sparse.degrees[1, 1] == 0.5  # a density that was asked for goes before where notes begin


def test_a_mode_that_was_asked_for_goes_before_a_theme_s_chords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chords are drawn as the theme's songs have them, unless the caller has said which mode it is to be."""
    model, told = standin(), []
    sample = HarmonyModel.sample

    def watched(self: HarmonyModel, rng: np.random.Generator, form: Form, *rest: object, **more: object) -> object:
        told.append(form.label)
        return sample(self, rng, form, *rest, **more)

    monkeypatch.setattr(HarmonyModel, "sample", watched)
    for controls, label in ((Controls(bars=4), LABELS.index("dungeon_underground")), (Controls(bars=4, mode="minor"), 0)):
        told.clear()
        draw_plan(model.plans, _harmony(model), resolve(theme("cave"), 4, controls, model.sidecar["sampling"]), generator(("a plan",)))
        assert set(told) == {label}


def test_keys_and_metres() -> None:
    """Degrees turn with the tonic; where the mode is open both count; bars of other than 16 rows have the mean of their places."""
    table = zeros()
    table.degrees[0, 4], table.degrees[1, 3] = 0.5, 1.0
    assert np.flatnonzero(table.pitch_classes(10, "major")).tolist() == [2]
    assert table.pitch_classes(0, None)[[3, 4]].tolist() == [0.5, 0.25]
    table.onsets[0, 1] = 1.6
    table.moves[1, 1], table.moves[1, 6] = 0.5, 1.0
    after = table.after_note()
    middle = after[1, ONSET_ID + 40]
    assert np.flatnonzero(middle == np.float32(0.5)).tolist() == [38, 39, 41, 42]
    assert np.flatnonzero(middle == 1).tolist() == [*range(28), *range(53, 88)] and np.count_nonzero(middle) == 67
    assert not after[[0, 2]].any() and not after[:, :ONSET_ID].any() and not after[:, NONE_CELL].any()
    rows = table.onsets_by_row(16)
    assert rows[0, 1] == np.float32(1.6) and not rows[1:].any()
    assert np.allclose(table.onsets_by_row(12)[:, 1], 0.1) and table.onsets_by_row(12).shape == (12, 4)


@pytest.mark.parametrize(
    "table",
    [{}, 7, {"onsets": 1}, {"onsets": [[0] * 4] * 5, "rests": [0, 0, 0], "degrees": [[0] * 12] * 2}, {"onsets": [["x"] * 4] * 5, "rests": [0] * 4, "degrees": [[0] * 12] * 2},
     {"onsets": [[float("nan")] * 4] * 5, "rests": [0] * 4, "degrees": [[0] * 12] * 2},
     {**zeros().to_json(), "themes": 7}, {**zeros().to_json(), "themes": {"map": {}}}, {**zeros().to_json(), "themes": {"map": {**zeros().to_json(), "rests": [0]}}}],
)
def test_a_broken_table_is_one_sentence(table: object) -> None:
    """Whatever stands there, the error says what to do."""
    with pytest.raises(ModelMismatchError, match=r"export\.calibrate"):
        Calibration.of({KEY: table}, "a-model")


def test_without_a_table_there_is_a_default() -> None:
    """A model that was never calibrated has the first one's."""
    assert Calibration.of({}) is DEFAULT
