"""The end of a loop, written anew until it leads into its beginning. A draft in, drafts out that differ in their last bars alone.

The loop's beginning is known to whoever writes the end, but the end is drawn, and may be drawn badly. To write a whole second
draft for it costs eight times as much as two bars do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from nesasset.compose.given import Given
from nesasset.compose.plan import Plan
from nesasset.compose.request import Request
from nesasset.compose.writer import Draft, write
from nesasset.model import Model
from nesasset.vocabulary import FIXED_CLASSES, MAX_LAG, SILENT, VARIED

BARS: Final = 2
FARTHEST: Final = 4  # bars from the end in which something must be free


def first_free_bar(plan: Plan) -> int | None:
    """Return the bar from which on the end is written anew: the last two, or more where the plan copies all of these.

    None if nothing is free in the last bars, or nothing would be left before them.
    """
    free = np.flatnonzero(~np.isin(plan.classes, FIXED_CLASSES).all(axis=1))
    last = int(free[-1]) if len(free) else 0
    if last < plan.n_bars - FARTHEST or last <= plan.home:
        return None
    return max(plan.home + 1, min(last, plan.n_bars - BARS))


def foretelling(plan: Plan, bars: int = 1) -> Plan | None:
    """Return a plan whose last bars vary the loop's first ones; None where they are too near or too far apart, or nothing plays in both."""
    first, home = plan.n_bars - bars, plan.home
    here, there = slice(first, None), slice(home, home + bars)
    playing = (plan.classes[there] != SILENT) & (plan.classes[here] != SILENT)
    if not 2 * bars <= first - home <= MAX_LAG or not playing[:, :3].any(axis=1).all():
        return None
    lags, classes, shifts = plan.lags.copy(), plan.classes.copy(), plan.shifts.copy()
    lags[here], shifts[here] = first - home, 0
    classes[here] = np.where(playing, VARIED, SILENT)
    return replace(plan, lags=lags, classes=classes, shifts=shifts)


def endings(
    model: Model, request: Request, draft: Draft, generators: list[np.random.Generator], given: Given | None = None
) -> list[Draft]:
    """Return drafts with other endings, one a generator; none where the plan leaves nothing free near the end.

    Args:
        model: The model.
        request: What was asked for.
        draft: A whole draft of a loop.
        generators: The only sources of chance.
        given: Cells that stand already, as the draft was written around them; None for none.
    """
    bar = first_free_bar(draft.plan)
    if bar is None:
        return []
    cells, slots = np.array(draft.cells), np.array(draft.slots)
    rows = slice(bar * draft.plan.bar_rows, None)
    cells[rows], slots[rows] = (-1, -1) if given is None else (given.cells[rows], given.slots[rows])
    return write(model, request, draft.plan, generators, Given(cells, slots, own=given is None or given.own))
