"""Variation: some bars or voices of a score composed anew, the rest kept as it is. A Score in, a Score out.

The score is written as if it were played a second time: its first pass stands in front, and each bar of the second refers to
its own bar in the first, so that "varied" and "same rhythm" mean what they mean to the model everywhere. What repeats an
earlier bar goes on to repeat it.

Bars that are kept behind new ones often go on from what is gone. So every other round of candidates ends its new bars as a variation of the bar
that follows, and what joins best is kept.

The strength decides three things at once. How much is touched: of what may change, so large a share is drawn for it. How
deep: from varied notes through new notes in the old rhythm to new parts. And it grows by adding: what a strength touches, a
greater one touches, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose import with_originality
from nesasset.compose.controls import BARS_RANGE, TEMPO_RANGE_BPM, Controls, check_seed, voice_list
from nesasset.compose.given import Given
from nesasset.compose.material import Material, equipped, heard_rows, to_material
from nesasset.compose.plan import Plan
from nesasset.compose.request import Request, generator, resolve
from nesasset.compose.rewrite import Rewrite, badness, carry_out, excess, figures_of, parent_of
from nesasset.errors import ControlError, out_of_range
from nesasset.features import SLOT_VOICES
from nesasset.model import Model
from nesasset.model_names import model_of
from nesasset.score import Score
from nesasset.themes import THEMES
from nesasset.units import VOICES
from nesasset.vocabulary import CONTROLS, EXACT, FIXED_CLASSES, NEW, RHYTHM, SEQUENCE, SILENT, VARIED

CANDIDATES: Final = 4
ROUNDS: Final = 6  # of so many candidates, until new bars join the kept ones
JOINED: Final = 0.4  # bits a row that the worse seam of new bars may cost more than the other bar lines
TEMPERATURE: Final = 0.8  # of the choice of notes, times the model's own: new bars are to be of a piece with the old ones
TOUCHED: Final = 1.25  # strength times this is the share of what may change that does
DEPTHS: Final = (0.4, 0.7)  # below the first a part is varied, below the second its rhythm is kept
DEPTH_SPREAD: Final = 0.4  # width of the chance that is added to the strength before it is compared with these
_RANGE: Final = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class Variation:
    """What of a score is to be composed anew."""

    bars: str | None = None
    """Bars as the score counts them, from 1, as in '5-8' or '1,5-8'; None for all."""
    voices: str | None = None
    """As in 'P1 TR'; None for all."""
    strength: float = 1.0
    """0 nothing to 1 all of the bars and voices, and from slight changes to new parts."""
    candidates: int = CANDIDATES
    """How many are composed at a time, 1 to 64, of which the best is kept; up to six times, until new bars join what is kept."""

    def __post_init__(self) -> None:
        usable = isinstance(self.strength, (int, float)) and not isinstance(self.strength, bool)
        if not usable or not 0 <= self.strength <= 1:
            raise ControlError(out_of_range("strength", self.strength, 0, 1))
        Controls(candidates=self.candidates)
        if self.voices is not None:
            object.__setattr__(self, "voices", voice_list(self.voices))

    def to_json(self) -> dict[str, Any]:
        """Return what was asked for, as JSON values."""
        asked = {"bars": self.bars, "voices": self.voices, "strength": float(self.strength), "candidates": self.candidates}
        return {name: value for name, value in asked.items() if value is not None}


def parse_bars(text: str, n_bars: int) -> list[int]:
    """Return the bars that a text names, counted from 0.

    Args:
        text: As in '5-8' or '1,5-8', counted from 1.
        n_bars: How many there are.

    Raises:
        ControlError: The text names none, or bars that are not there.
    """
    bars: set[int] = set()
    for word in re.split(r"[\s,]+", text.strip()) if isinstance(text, str) else [""]:
        found = _RANGE.fullmatch(word)
        if found is None:
            raise ControlError(f"bars must be numbers as in 5-8 or 1,5-8, not {text!r}")
        first, last = int(found[1]), int(found[2] or found[1])
        if not 1 <= first <= last <= n_bars:
            raise ControlError(f"bars must be from 1 to {n_bars}, which the score has, and in order, not {word!r}")
        bars |= set(range(first - 1, last))
    return sorted(bars)


def vary(score: Score, seed: int = 0, variation: Variation | None = None, model: Model | None = None) -> Score:
    """Compose some of a score anew and keep the rest: every cell that is not asked for is the same object as before.

    Args:
        score: Any score, composed or imported; its loop, tempo, instruments and title stay.
        seed: Another seed, another variation.
        variation: Which bars and voices, and how strongly; None composes everything anew, in the score's form and harmony.
        model: A loaded model; None loads the one that composed the score, or the default.

    Returns:
        A score whose provenance names its parent and what was done to it.

    Raises:
        ControlError: The seed is out of range, or the score has no such bars.
        MaterialError: The score is none that can be composed with.
        ModelMismatchError: The model cannot be loaded.
    """
    import nesasset

    check_seed(seed)
    variation = variation or Variation()
    model = model or model_of(score)
    material = to_material(score, model)
    allowed = _allowed(score, variation)
    parent = parent_of(score)
    told: dict[str, Any] = {
        "generator": f"nesasset {nesasset.__version__}",
        "model": model.name,
        "model_sha256": model.sha256,
        "operation": "vary",
        "parent": parent,
        "seed": seed,
        "asked": variation.to_json(),
    }
    words = (parent["sha256"], seed)  # not the strength: what is touched grows with it
    named = np.isin(VOICES, (variation.voices or "").split())
    request = request_of(material, seed, model)
    request = replace(request, note_temperature=request.note_temperature * TEMPERATURE)
    works = [
        _work(material, allowed, named, variation.strength, request, model, generator(("plan", *words)), foretells)
        for foretells in (False, True)
    ]
    work = works[0]
    told["free"] = {voice: _runs(work.free[:, column]) for column, voice in enumerate(VOICES) if work.free[:, column].any()}
    if not work.free.any():
        return replace(score, provenance=told)
    found: list[tuple[Score, dict[str, Any]]] = []
    for turn in range(ROUNDS):
        first = turn * variation.candidates
        chances = [generator(("rows", *words, number)) for number in range(first, first + variation.candidates)]
        found += [(made, figures_of(model, work, draft)) for made, draft in carry_out(model, works[turn % 2], chances)]
        best, figures = min(found, key=lambda item: badness(item[1]))
        if excess(figures.get("seams")) <= JOINED:
            break
    return with_originality(replace(best, provenance={**told, **figures}), model)


def request_of(material: Material, seed: int, model: Model) -> Request:
    """Return the request that asks for a piece of a score's own length, tempo and character."""
    score, plan = material.score, material.plan
    own = dict(zip(CONTROLS, plan.controls.tolist(), strict=True))
    bars = plan.n_bars - plan.home
    tempo = min(max(score.tempo_bpm * score.beat_rows / 4, TEMPO_RANGE_BPM[0]), TEMPO_RANGE_BPM[1])
    controls = Controls(bars=min(bars, BARS_RANGE[1]), tempo_bpm=tempo)
    theme = THEMES.get(score.theme, THEMES["overworld"])
    request = resolve(theme, seed, controls, model.sidecar["sampling"])
    return replace(
        request,
        theme=score.theme,
        bars=bars,
        intro_bars=plan.home,
        loops=score.loop is not None,
        label=own["label"],
        mode=own["mode"],
        density=max(1, own["density"]),
        onsets=None,
        noise_density=own["noise_density"],
        register=own["register"],
    )


def _allowed(score: Score, variation: Variation) -> NDArray[np.bool_]:
    """Return which cells may change, (rows that are heard, 4)."""
    n = heard_rows(score)
    bars = parse_bars(variation.bars, -(-n // score.bar_rows)) if variation.bars is not None else range(-(-n // score.bar_rows))
    rows = np.isin(np.arange(n) // score.bar_rows, list(bars))
    voices = (variation.voices or " ".join(VOICES)).split()
    return rows[:, None] & np.isin(VOICES, voices)


def _runs(rows: NDArray[np.bool_]) -> list[list[int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(np.int8)))
    return [[int(a), int(b)] for a, b in edges.reshape(-1, 2)]


def _work(
    material: Material, allowed: NDArray[np.bool_], named: NDArray[np.bool_], strength: float, request: Request, model: Model, rng: np.random.Generator,
    foretells: bool
) -> Rewrite:
    """Return the rewriting of a score by which what is allowed changes as strongly as is asked.

    Args:
        material: The score.
        allowed: (heard rows, 4), what may change.
        named: (4,), voices that were asked for by name: they are composed even where the score has no such part.
        strength: 0 to 1.
        request: Of the score.
        model: Has instruments for such parts.
        rng: The only source of chance.
        foretells: Whether a run of new bars ends as a variation of the bar that follows, not of what was there.
    """
    plan = material.plan
    touched, depths = _drawn(plan, strength, rng)
    depths[_edges(np.asarray(material.widen(allowed).reshape(plan.n_bars, plan.bar_rows, 4).any(axis=(1, 2))))] = VARIED
    absent = (plan.classes == SILENT).all(axis=0) & named
    if absent.any():
        plan = equipped(plan, absent, request, model, rng)
        if absent[3]:
            request = replace(request, noise_density=0)  # the score's own, none, is what is to change
    plays = (plan.classes != SILENT) | absent
    wide = material.widen(allowed) & np.repeat(touched & plays, plan.bar_rows, axis=0)
    free_parts = wide.reshape(plan.n_bars, plan.bar_rows, 4).any(axis=1)
    second = _second_pass(plan, free_parts, depths)
    if foretells:
        second = _foretelling(second, free_parts)
    given = Given(
        np.concatenate([material.cells, np.where(wide, -1, material.cells)]),
        np.concatenate([material.slots, np.where(wide[:, SLOT_VOICES], -1, material.slots)]),
    )
    free = wide[material.lead : material.lead + material.n_rows]
    return Rewrite(material.score, free, request, second, given, len(material.cells) + material.lead, material.players)


def _edges(bars: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the first and the last bar of each run of three or more: they join what is kept as what was there did, and only vary it."""
    inside = bars & np.roll(bars, 1) & np.roll(bars, -1)
    return bars & ~inside & (np.roll(inside, 1) | np.roll(inside, -1))


def _foretelling(second: Plan, free: NDArray[np.bool_]) -> Plan:
    """Return the plan of two passes in which the last bar of each run of three or more free bars varies the kept bar that follows it."""
    n = len(free)
    lags, classes, shifts = second.lags.copy(), second.classes.copy(), second.shifts.copy()
    bars, whole = (np.asarray(part) for part in (free.any(axis=1), (free | (classes[n:] == SILENT)).all(axis=1)))
    for bar in range(2, n - 1):
        if bars[bar - 2 : bar + 1].all() and whole[bar] and not bars[bar + 1]:
            lags[n + bar], shifts[n + bar] = n - 1, 0
            classes[n + bar] = np.where(free[bar] & (classes[n + bar + 1] != SILENT), VARIED, classes[n + bar])
    return replace(second, lags=lags, classes=classes, shifts=shifts)


def _drawn(plan: Plan, strength: float, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which parts, (n_bars, 4), a strength touches, and the class each then has; repeats share their originals' lot."""
    lots, depths = rng.random((2, plan.n_bars, 4))
    for bar in range(plan.n_bars):
        same = np.isin(plan.classes[bar], (EXACT, SEQUENCE)) & (plan.lags[bar] > 0)
        lots[bar], depths[bar] = (np.where(same, part[bar - int(plan.lags[bar])], part[bar]) for part in (lots, depths))
    deep = strength + DEPTH_SPREAD * (depths - 0.5)
    classes = np.where(deep < DEPTHS[0], VARIED, np.where(deep < DEPTHS[1], RHYTHM, NEW))
    if strength == 1:
        classes[:] = NEW
    classes[:, 3] = np.where(classes[:, 3] == RHYTHM, VARIED, classes[:, 3])  # drums have nothing but rhythm
    return lots < min(1.0, TOUCHED * strength), classes


def _second_pass(plan: Plan, free: NDArray[np.bool_], depths: NDArray[np.int64]) -> Plan:
    """Return the plan of two passes: the score's own, and the one in which the parts in `free`, (n_bars, 4), are composed anew."""
    n = plan.n_bars
    lags, classes, shifts = np.full(n, n), np.full((n, 4), EXACT), np.zeros(n, dtype=np.int64)
    for bar in range(n):
        own, new = plan.classes[bar], free[bar]
        copies = np.isin(own, (EXACT, SEQUENCE)) & (plan.lags[bar] > 0)
        stale = copies & new & ~free[bar - int(plan.lags[bar])]  # what they repeat is kept: they come to vary it
        repeats = plan.lags[bar] > 0 and (np.isin(own, FIXED_CLASSES) & ~stale)[new].all()
        if new.any() and (repeats or (depths[bar][new] == NEW).all()):
            lags[bar], classes[bar] = plan.lags[bar], np.where(stale, VARIED, own)
            shifts[bar] = plan.shifts[bar] if (classes[bar] == SEQUENCE).any() else 0
        else:
            classes[bar] = np.where(own == SILENT, SILENT, np.where(new, depths[bar], EXACT))
        classes[bar] = np.where(new & (own == SILENT), NEW, classes[bar])
    return replace(
        plan,
        lags=np.concatenate([plan.lags, lags]),
        classes=np.concatenate([plan.classes, classes]),
        shifts=np.concatenate([plan.shifts, shifts]),
        chords=np.concatenate([plan.chords, plan.chords]),
        home=n + plan.home,
    )
