"""Variation of scores: what is kept is kept exactly, what is asked for changes, and nothing else is promised of nonsense."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
from standin_model import standin

from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.rewrite import badness
from nesasset.compose.vary import Variation, parse_bars, vary
from nesasset.errors import ControlError
from nesasset.formats import score_json
from nesasset.model import Model
from nesasset.score import HOLD, REST, Instrument, Note, Score
from nesasset.units import VOICES
from nesasset.vocabulary import SILENT, VARIED


@pytest.fixture(scope="module")
def model() -> Model:
    return standin()


@pytest.fixture(scope="module")
def parent(model: Model) -> Score:
    return compose("castle", 4, Controls(bars=6, candidates=1), model)


def changed(parent: Score, child: Score) -> set[tuple[str, int]]:
    """Return voice and row of every cell that is not the very same."""
    return {
        (voice, row)
        for voice in VOICES
        for row, (old, new) in enumerate(zip(parent.voices[voice], child.voices[voice], strict=True))
        if old is not new
    }


@pytest.mark.parametrize(
    ("bars", "voices"), [("2-3", None), ("1", None), ("6", "P1 NO"), (None, "TR"), ("1,5-6", "P1 P2"), (None, None)]
)
def test_only_what_is_asked_for_changes(bars: str | None, voices: str | None, model: Model, parent: Score) -> None:
    """Cells outside the bars and voices are the parent's own objects, its instruments keep their numbers, loop and tempo stay."""
    child = vary(parent, 1, Variation(bars, voices), model)
    inside = parse_bars(bars, 6) if bars else range(6)
    places = changed(parent, child)
    assert places
    assert all(row // parent.bar_rows in inside and voice in (voices or " ".join(VOICES)).split() for voice, row in places)
    assert child.instruments[: len(parent.instruments)] == parent.instruments
    assert (child.loop, child.groove, child.title, child.delays) == (parent.loop, parent.groove, parent.title, parent.delays)


def test_same_seed_same_bytes(model: Model, parent: Score) -> None:
    """Seed and wishes fix the variation; another seed gives another one."""
    one, two, other = (score_json.dumps(vary(parent, seed, Variation("2-4"), model)) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_provenance_names_the_parent(model: Model, parent: Score) -> None:
    """It says what was done, to which music, and where; what was true of the parent alone is gone."""
    child = vary(parent, 9, Variation("2", strength=0.5), model)
    told = child.provenance
    assert told["operation"] == "vary"
    assert told["parent"]["sha256"] == score_json.music_digest(parent)
    assert told["asked"] == {"bars": "2", "strength": 0.5, "candidates": 4}
    assert "form" not in told and told["seed"] == 9


def test_no_strength_changes_nothing(model: Model, parent: Score) -> None:
    """At strength 0 the music is the parent's."""
    assert not changed(parent, vary(parent, 1, Variation(strength=0.0), model))


def test_strength_adds(model: Model, parent: Score) -> None:
    """What a strength touches, a greater one touches as well, and it touches more."""
    free = [vary(parent, 3, Variation(strength=strength, candidates=1), model).provenance.get("free", {}) for strength in (0.2, 0.5, 1.0)]
    rows = [{(voice, row) for voice, runs in part.items() for a, b in runs for row in range(a, b)} for part in free]
    assert rows[0] < rows[1] < rows[2]


def test_a_part_that_is_not_there_is_composed_where_it_is_named(model: Model) -> None:
    """Drums for a melody: named, they get instruments of their own; not named, silence stays silence."""
    line = tuple(Note(0, 60 + row % 5) if row % 4 == 0 else HOLD for row in range(64))
    silent = (REST, *(HOLD,) * 63)
    score = Score({"P1": line, "P2": silent, "TR": silent, "NO": silent}, (Instrument("pulse", (15, 9, 4)),), loop=(0, 64))
    drummed = vary(score, 2, Variation(voices="NO"), model)
    assert drummed.voices["P1"] == line
    assert {drummed.instruments[cell.instrument].kind for cell in drummed.voices["NO"] if isinstance(cell, Note)} == {"noise"}
    assert {voice for voice, _ in changed(score, vary(score, 2, None, model))} == {"P1"}


def test_an_odd_number_of_rows(model: Model) -> None:
    """A score of no whole bars, whose loop begins within a bar, keeps its rows and its loop."""
    line = tuple(Note(0, 60 + row % 7) if row % 3 == 0 else HOLD for row in range(75))
    silent = (REST, *(HOLD,) * 74)
    score = Score({"P1": line, "P2": silent, "TR": silent, "NO": silent}, (Instrument("pulse"),), loop=(5, 70), bar_rows=12)
    child = vary(score, 2, Variation("2-3"), model)
    assert child.n_rows == 75 and child.loop == (5, 70)
    assert {row // 12 for _, row in changed(score, child)} <= {1, 2}


def test_kept_notes_keep_their_driver(model: Model, parent: Score) -> None:
    """Delays, volumes and slides of kept notes are untouched, and so is the order of instruments."""
    part = [replace(cell, volume=7, delay=1, slide=3) if isinstance(cell, Note) else cell for cell in parent.voices["P1"]]
    score = replace(parent, voices={**parent.voices, "P1": tuple(part)})
    child = vary(score, 1, Variation("3"), model)
    kept = [cell for row, cell in enumerate(child.voices["P1"]) if row // 16 != 2 and isinstance(cell, Note)]
    assert kept and all((cell.volume, cell.delay, cell.slide) == (7, 1, 3) for cell in kept)


@pytest.mark.parametrize("bars", ["0", "7", "3-2", "x", "", "1-", "2-9"])
def test_bars_that_are_not_there(bars: str, model: Model, parent: Score) -> None:
    """Bars out of range, in the wrong order or no numbers are refused in one sentence."""
    with pytest.raises(ControlError, match="bars must be"):
        vary(parent, 1, Variation(bars), model)


@pytest.mark.parametrize(("wish", "value"), [("strength", 1.5), ("strength", "much"), ("candidates", 0), ("voices", "organ")])
def test_wishes_out_of_range(wish: str, value: object) -> None:
    """A wish that cannot be is refused when it is made."""
    with pytest.raises(ControlError, match=wish):
        Variation(**{wish: value})


def test_lists_of_bars() -> None:
    """Ranges and single bars, in any order, each once, counted from 1."""
    assert parse_bars("5-6, 1 6", 8) == [0, 4, 5]
    assert np.array(parse_bars("1-8", 8)).tolist() == list(range(8))


def test_drums_where_there_were_none(model: Model, parent: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice that a score lacks is played by instruments of a song that has some, though most songs of the library have none."""
    plans = dict(model.plans)
    plans["noise_palette"] = np.where((np.arange(len(plans["noise_palette"])) % 3 == 0)[:, None, None], plans["noise_palette"], -1)
    monkeypatch.setitem(model.__dict__, "plans", plans)
    quiet = replace(parent, voices={**parent.voices, "NO": (HOLD,) * parent.n_rows})
    for seed in range(4):
        child = vary(quiet, seed, Variation(voices="NO", candidates=1), model)
        drums = [cell for cell in child.voices["NO"] if isinstance(cell, Note)]
        assert drums and all(child.instruments[cell.instrument].kind == "noise" for cell in drums)


def test_every_other_round_foretells_what_follows(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of a run of new bars varies its own old self in one round, the kept bar behind it in the next; nothing else differs."""
    vary_module = importlib.import_module("nesasset.compose.vary")
    parent = compose("castle", 4, Controls(bars=8, candidates=1, form="ABCD"), model)
    plans = []
    carry_out = vary_module.carry_out
    monkeypatch.setattr(vary_module, "carry_out", lambda *given: plans.append(given[1].plan) or carry_out(*given))
    monkeypatch.setattr(vary_module, "JOINED", -99.0)
    vary(parent, 1, Variation("3-6", candidates=1), model)
    own, foretelling = plans[0], plans[1]
    assert [plan is own for plan in plans] == [True, False] * (vary_module.ROUNDS // 2)
    last, follows = 8 + 5, 6  # of the second pass, and in the first
    assert last - int(own.lags[last]) == 5 and last - int(foretelling.lags[last]) == follows
    plays = foretelling.classes[follows] != SILENT
    assert plays.any() and (foretelling.classes[last][plays & (own.classes[last] != SILENT)] == VARIED).all()
    others = np.arange(16) != last
    for name in ("lags", "classes", "shifts"):
        assert (getattr(own, name)[others] == getattr(foretelling, name)[others]).all()


def test_more_are_composed_until_they_join(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """New bars that do not join what is kept are composed again, a given number of times at most; those that join are not."""
    vary_module = importlib.import_module("nesasset.compose.vary")
    parent = compose("castle", 4, Controls(bars=8, candidates=1), model)
    asked = Variation("4-6", candidates=2)
    written: list[int] = []
    carry_out = vary_module.carry_out
    monkeypatch.setattr(vary_module, "carry_out", lambda *given: written.append(len(given[2])) or carry_out(*given))
    found = {}
    for limit in (99.0, -99.0):
        written.clear()
        monkeypatch.setattr(vary_module, "JOINED", limit)
        found[limit] = badness(vary(parent, 1, asked, model).provenance)
        assert written == [2] * (1 if limit > 0 else vary_module.ROUNDS)
    assert found[-99.0] <= found[99.0]
    written.clear()
    monkeypatch.setattr(vary_module, "JOINED", 0.0)
    vary(parent, 1, Variation(candidates=2), model)  # where all is new there is nothing to join
    assert written == [2]
