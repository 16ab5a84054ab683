"""Forms that a caller writes down: the notation, and the plans they make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_compose import model  # noqa: F401

from nesasset.compose import _harmony
from nesasset.compose.controls import Controls
from nesasset.compose.form import Section, form_text, parse_form
from nesasset.compose.plan import draw_plan
from nesasset.compose.request import generator, resolve
from nesasset.errors import ControlError
from nesasset.themes import theme
from nesasset.vocabulary import EXACT, NEW, RHYTHM, SEQUENCE, SILENT, VARIED

SECTIONS = st.lists(st.builds(Section, st.sampled_from("ABCD"), st.integers(0, 3), st.integers(-12, 12)), min_size=1, max_size=12)


@given(SECTIONS)
def test_a_form_is_read_back(sections: list[Section]) -> None:
    """The text of a form is that form, once each letter has a plain first section."""
    known: set[str] = set()
    plain = []
    for section in sections:
        plain.append(section if section.letter in known else Section(section.letter, 0, 0))
        known.add(section.letter)
    assert parse_form(form_text(tuple(plain))) == tuple(plain)


@pytest.mark.parametrize("text", ["AABA", "A A B A", "a-a-b-a", "A, A, B, A", "A|A|B|A"])
def test_spellings(text: str) -> None:
    """Letters may stand close, apart, or between bar lines, commas and dashes."""
    assert form_text(parse_form(text)) == "A A B A"


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "1 to 64 sections"), ("A1", "a form is letters"), ("A'B", "nothing to vary"), ("A A+13", "at most 12"), ("A" * 65, "1 to 64")],
)
def test_broken_forms(text: str, why: str) -> None:
    """What is no form is refused with the reason."""
    with pytest.raises(ControlError, match=why):
        parse_form(text)


@pytest.mark.parametrize(("bars", "form"), [(3, "AABA"), (6, "AABA")])
def test_a_form_must_fit_the_bars(bars: int, form: str) -> None:
    """Sections share the bars evenly, or the caller is told which number of bars would do."""
    with pytest.raises(ControlError, match="bars"):
        Controls(bars=bars, form=form)


def drawn(model, **wishes):  # noqa: F811
    request = resolve(theme("overworld"), 5, Controls(**wishes), model.sidecar["sampling"])
    return draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))


def test_sections_repeat_and_move(model) -> None:  # noqa: F811
    """Of A A B A+2 the second section is the first one again, the last one the first moved by two, and B is its own."""
    plan = drawn(model, bars=16, form="A A B A+2")
    assert plan.lags[4:8].tolist() == [4] * 4
    assert np.isin(plan.classes[4:8], (EXACT, SILENT)).all()
    assert (plan.lags[8:12] <= np.arange(4)).all()
    assert plan.lags[12:].tolist() == [12] * 4
    assert plan.shifts[12:].tolist() == [2] * 4
    assert np.isin(plan.classes[12:, :3], (SEQUENCE, SILENT)).all()
    assert (plan.chords[4:8] == plan.chords[:4]).all()


def test_strokes_vary_ever_more(model) -> None:  # noqa: F811
    """One stroke varies the lead's second half, two the pulses, three writes the lead anew."""
    plan = drawn(model, bars=16, form="A A' A'' A'''")
    lead = [set(plan.classes[4 * section : 4 * section + 4, 0].tolist()) - {SILENT} for section in (1, 2, 3)]
    assert lead[0] <= {EXACT, VARIED}
    assert VARIED in lead[0]
    assert lead[1:] == [{VARIED}, {NEW}]
    assert set(plan.classes[8:12, 1].tolist()) <= {VARIED, SILENT}


def test_voices_that_are_not_asked_for_are_silent(model) -> None:  # noqa: F811
    """Without P2 and drums every bar has them silent, and some voice plays in most bars."""
    plan = drawn(model, voices="P1 TR")
    assert (plan.classes[:, [1, 3]] == SILENT).all()
    assert ((plan.classes[:, [0, 2]] != SILENT).any(axis=1)).mean() >= 0.75


def test_an_intro_stands_in_front(model) -> None:  # noqa: F811
    """Two intro bars make the plan two bars longer, nothing in the loop refers to them."""
    plan = drawn(model, bars=8, intro_bars=2)
    assert (plan.n_bars, plan.home) == (10, 2)
    assert (plan.lags[2:] <= np.arange(8)).all()


def test_given_chords_are_kept_and_what_repeats_follows_them(model) -> None:  # noqa: F811
    """The chords are the caller's, bar by bar; no part is repeated as it was over another chord."""
    plan = drawn(model, bars=16, key="C", mode="major", chords="I vi IV,V I", form="AABA")
    names = [(1, 1), (1 + 12 + 9, 1 + 12 + 9), (1 + 5, 1 + 7), (1, 1)]
    assert [tuple(bar) for bar in plan.chords.tolist()] == names * 4
    other = drawn(model, bars=8, key="C", mode="major", chords="I IV ii", form="A B A A")
    for bar in np.flatnonzero(other.lags > 0):
        there = bar - other.lags[bar]
        if (other.chords[bar] != other.chords[there]).any():
            assert not (other.classes[bar, :3] == EXACT).any()
            moved = (other.classes[bar, :3] == SEQUENCE).any()
            assert moved == bool(other.shifts[bar])
            if moved:
                assert (other.chords[bar, 0] - other.chords[there, 0] - other.shifts[bar]) % 12 == 0
            else:
                assert (other.classes[bar, :3] >= RHYTHM).all()


def test_a_voice_without_an_instrument_is_silent(model) -> None:  # noqa: F811
    """An intro from a song with drums has none before a loop whose song has no drum to play them on."""
    library = {name: array.copy() for name, array in model.plans.items()}
    library["noise_palette"][:] = -1
    request = resolve(theme("overworld"), 5, Controls(bars=8, intro_bars=2), model.sidecar["sampling"])
    plan = draw_plan(library, _harmony(model), request, generator(("a plan",)))
    assert (plan.classes[:, 3] == SILENT).all()
