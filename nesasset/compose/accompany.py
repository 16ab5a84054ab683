"""Form and harmony around given voices: what becomes of the others bar by bar, and the chords that the given notes suggest.

Both are drawn from the counts that plans and chords of composed pieces are drawn from; here some of it is known. No notes are
written here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import transpose_chords
from nesasset.compose.form_mining import mine_plan
from nesasset.compose.harmony import Form, HarmonyModel, chord_context
from nesasset.compose.key import sounding_cells
from nesasset.compose.likeness import classify
from nesasset.compose.plan import Plan
from nesasset.compose.plan_model import PlanModel
from nesasset.model import Model
from nesasset.vocabulary import (
    HALVES,
    LOWEST_PITCH,
    N_CHORDS,
    NEW,
    NO_CHORD,
    ONSET_ID,
    REST_ID,
    SEQUENCE,
    SILENT,
)

# How long pitch classes sound over a chord, in semitones over its root, as shares: NES-MDB's 4131 training songs with the
# chords that chord_mining finds in them. Major, minor, diminished; both pulses, which differ by less than 0.03, and the triangle.
OVER_CHORD: Final = (
    (
        (0.302, 0.010, 0.056, 0.008, 0.225, 0.043, 0.023, 0.231, 0.009, 0.032, 0.028, 0.034),
        (0.336, 0.020, 0.053, 0.199, 0.007, 0.054, 0.012, 0.208, 0.021, 0.015, 0.060, 0.015),
        (0.263, 0.037, 0.028, 0.191, 0.019, 0.033, 0.305, 0.013, 0.028, 0.023, 0.029, 0.031),
    ),
    (
        (0.554, 0.015, 0.035, 0.006, 0.122, 0.025, 0.011, 0.165, 0.006, 0.018, 0.021, 0.021),
        (0.520, 0.026, 0.032, 0.151, 0.008, 0.033, 0.007, 0.142, 0.015, 0.010, 0.042, 0.015),
        (0.497, 0.023, 0.017, 0.135, 0.015, 0.018, 0.223, 0.012, 0.019, 0.008, 0.021, 0.013),
    ),
)
EVIDENCE: Final = 6.0  # notes that a voice's half bar counts for; found best of 1.5 to 6 by the chords of valid songs, told their melody alone
BEAT_WEIGHT: Final = 1.5  # of the first row of a beat
BEAT_ROWS: Final = 4
BEAM: Final = 48  # progressions that are followed side by side


@lru_cache(maxsize=2)
def plan_model(model: Model) -> PlanModel:
    """Return the counts of a model's plan library, made once."""
    parts = [model.plans[name] for name in ("lags", "classes", "shifts")]
    return PlanModel.fit([(parts[0][a:b], parts[1][a:b], parts[2][a:b]) for a, b in pairwise(model.plans["bars"])])


def whole_bars(cells: NDArray[np.int64], bar_rows: int) -> NDArray[np.bool_]:
    """Return which voices are given in which bars as a whole, (n_bars, 4), by cells, (n_rows, 4), -1 where nothing is given."""
    return np.asarray((cells >= 0).reshape(-1, bar_rows, 4).all(axis=1))


def opened(plan: Plan, cells: NDArray[np.int64], voices: NDArray[np.bool_]) -> Plan:
    """Return a plan in which bars that are given in part are new: nothing of them can be copied.

    Args:
        plan: What there is.
        cells: (n_rows, 4), -1 where nothing is given.
        voices: (4,), those of which something is given.
    """
    some = (cells >= 0).reshape(-1, plan.bar_rows, 4).any(axis=1)
    part = (some & ~whole_bars(cells, plan.bar_rows)).any(axis=1)
    classes, lags, shifts = plan.classes.copy(), plan.lags.copy(), plan.shifts.copy()
    lags[part], shifts[part] = 0, 0
    classes[part] = np.where(classes[part] < NEW, NEW, classes[part])
    classes[np.ix_(part, voices)] = NEW
    return replace(plan, classes=classes, lags=lags, shifts=shifts)


def form_around(
    plan: Plan, cells: NDArray[np.int64], given: NDArray[np.bool_], counts: PlanModel, rng: np.random.Generator
) -> Plan:
    """Return a plan that fits given voices: their own form, and what becomes of the others drawn to go with it.

    A bar refers to the earlier bar of which the given voices keep most; where they keep nothing of any, the lag is drawn. Bars
    in which nothing is given stay as the plan has them.

    Args:
        plan: Says which voices are silent in which bars, and the rest of what is not given.
        cells: (n_rows, 4); what is not given is not looked at.
        given: (n_bars, 4), which voices are given in which bars.
        counts: Of plans.
        rng: The only source of chance.
    """
    bar_rows = plan.bar_rows
    known = np.repeat(given, bar_rows, axis=0)
    own_lags, own, own_shifts = mine_plan(np.where(known, cells, REST_ID), bar_rows)
    lags, classes, shifts = plan.lags.copy(), plan.classes.copy(), plan.shifts.copy()
    for bar in np.flatnonzero(given.any(axis=1)).tolist():
        held = given[bar]
        rests = plan.classes[bar] == SILENT
        if held.all() or own_lags[bar]:
            lags[bar], shifts[bar] = own_lags[bar], own_shifts[bar]
        else:
            lags[bar], shifts[bar] = counts.draw_lag(rng, lags, classes, bar), 0
        lag = int(lags[bar])
        there = given[bar - lag] if lag else np.zeros(4, dtype=bool)
        compared = classify(_bar(cells, bar, bar_rows), _bar(cells, bar - lag, bar_rows))
        told = np.where(own[bar] == SILENT, SILENT, np.where(there, own[bar] if lag == own_lags[bar] else compared, NEW))
        fixed = np.where(held, told, np.where(rests, SILENT, -1))
        classes[bar] = counts.draw_classes(rng, lags, classes, bar, fixed, shifted=bool(shifts[bar]))
        if (classes[bar] >= NEW).all():
            lags[bar] = 0
        if not (classes[bar] == SEQUENCE).any():
            shifts[bar] = 0
    return replace(plan, lags=lags, classes=classes, shifts=shifts)


def _bar(cells: NDArray[np.int64], bar: int, bar_rows: int) -> NDArray[np.int64]:
    return cells[bar * bar_rows : (bar + 1) * bar_rows]


def chords_around(
    plan: Plan, cells: NDArray[np.int64], minor: bool, harmony: HarmonyModel, rng: np.random.Generator, heat: float = 0.5
) -> NDArray[np.int64]:
    """Return the chords, (n_bars, 2), that go with what is given: likely after each other, and over them the given notes.

    The best of progressions that are followed side by side, of those with the same last two chords only the better one. What
    the form settles is as the form has it.

    Args:
        plan: Form and key.
        cells: (n_rows, 4), HOLD_ID where nothing is given.
        minor: Whether the key is minor.
        harmony: Counts of chords.
        rng: The only source of chance.
        heat: Standard deviations of chance added to each step's log probability, so that other seeds take other ways.
    """
    form = Form(plan.lags, plan.classes, plan.shifts, minor)
    settled, silent = form.settled(), (plan.classes[:, :3] == SILENT).all(axis=1)
    worth = _evidence(cells, plan)
    ways: list[tuple[float, list[int]]] = [(0.0, [])]
    for bar in range(plan.n_bars):
        for half in range(HALVES):
            here = HALVES * bar + half
            chance = heat * rng.gumbel(size=N_CHORDS)
            best: dict[tuple[int, ...], tuple[float, list[int]]] = {}
            for value, way in ways:
                if settled[bar]:
                    there = way[here - HALVES * int(plan.lags[bar])]
                    scores = np.full(N_CHORDS, -np.inf)
                    scores[int(transpose_chords(np.array(there), int(plan.shifts[bar])))] = 0.0
                elif silent[bar]:
                    scores = np.full(N_CHORDS, -np.inf)
                    scores[NO_CHORD] = 0.0
                else:
                    p = harmony.chain.one(chord_context(way, form, bar, half))
                    scores = np.log(np.maximum(p, 1e-9)) + worth[bar, half] + chance
                    scores[NO_CHORD] = -np.inf  # something sounds here
                for chord in np.argsort(-scores, kind="stable")[:BEAM].tolist():
                    total = value + float(scores[chord])
                    if not np.isfinite(total):
                        break
                    key = (*way[-1:], chord)
                    if key not in best or total > best[key][0]:
                        best[key] = (total, [*way, chord])
            ways = sorted(best.values(), key=lambda item: -item[0])[:BEAM]
    degrees = np.array(ways[0][1], dtype=np.int64).reshape(-1, HALVES)
    return transpose_chords(degrees, plan.tonic).astype(np.int64)


def _evidence(cells: NDArray[np.int64], plan: Plan) -> NDArray[np.float64]:
    """Return how much likelier each chord, told as a degree, makes the given notes of each half bar, (n_bars, 2, N_CHORDS)."""
    heard = sounding_cells(cells[:, :3]).astype(np.int64)
    notes = heard >= ONSET_ID
    weight = np.ones(len(cells))
    weight[::BEAT_ROWS] = BEAT_WEIGHT
    half_rows = plan.bar_rows // HALVES
    degree = (heard - ONSET_ID + LOWEST_PITCH - plan.tonic) % 12
    worth = np.zeros((plan.n_bars * HALVES, N_CHORDS))
    table = np.log(np.array(OVER_CHORD))  # (pulse or triangle, quality, semitones)
    for voice in range(3):
        share = np.zeros((len(worth), 12))
        np.add.at(share, (np.arange(len(cells)) // half_rows, degree[:, voice]), weight * notes[:, voice])
        share *= EVIDENCE / weight[:half_rows].sum()
        for quality in range(3):
            for root in range(12):
                worth[:, 1 + 12 * quality + root] += share @ np.roll(table[int(voice == 2), quality], root)
    return worth.reshape(-1, HALVES, N_CHORDS)
