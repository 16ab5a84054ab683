"""Families: from one score the versions that a game changes between, on one grid of bars and one harmony. Score in, Scores out.

Each member keeps the melody, its harmony, bars, rows and loop. What a rule can do is done by rule (`recast`): tempo,
instruments, octaves, muted voices, figures over the chords. Where new notes are right, the model composes them around what is
kept: drums that press, a second voice of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from nesasset.compose import recast
from nesasset.compose.members import MEMBERS, Member, find_member
from nesasset.idioms import with_vibrato
from nesasset.model import Model
from nesasset.score import Instrument, Score, Vibrato
from nesasset.units import VOICES

CANDIDATES: Final = 2  # that the model composes for a member at a time, of which the better one is kept
ATTEMPTS: Final = 3  # until the seam surprises little enough
MOST_SURPRISAL: Final = 2.0  # bits a row that the seam may cost more than the interior; a certificate allows 2.5
DRUMS: Final = 4  # class of noise_density that pressing drums are asked for in: the busiest
BUSY: Final = 5  # class of density that a second voice is asked for in

_WOBBLE: Final = Vibrato(delay=0, period=40, depth=30)
_SWAY: Final = Vibrato(delay=14, period=16, depth=20)
_HARP: Final = Instrument("pulse", (7, 8, 7, 6, 5, 4, 4, 3, 3, 2, 2, 1), duty=2, name="harp")
_BELL: Final = Instrument("pulse", (11, 10, 8, 7, 6, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0), name="bell")
_ALARM: Final = Instrument("pulse", (11, 11, 9, 5, 0), duty=0, name="alarm")
_HEART: Final = Instrument("noise", (9, 6, 3, 1, 0), period=14, name="heart")
_HUSH: Final = Instrument("noise", (3, 2, 1, 0), period=3, name="hush")


def _calm(score: Score) -> Score:
    score = recast.silenced(score, "NO")
    score = recast.softened(recast.replayed(score, "P1", recast.in_duty(2)), "P1", 10)
    score = recast.softened(recast.replayed(score, "P2", recast.in_duty(2)), "P2", 7)
    fewer = recast.thinned(recast.thinned(score, "P2", score.beat_rows), "TR", score.beat_rows)
    return with_vibrato(recast.in_harmony(fewer, score, ("TR", "P2")), 2 * score.beat_rows, _SWAY)


def _danger(score: Score) -> Score:
    half = max(1, score.beat_rows // 2)
    score = recast.replayed(score, "P1", recast.in_duty(1))
    return recast.struck_again(recast.replayed(score, "P2", recast.in_duty(0)), "TR", half)


def _boss(score: Score) -> Score:
    half = max(1, score.beat_rows // 2)
    score = recast.replayed(score, "P1", recast.in_duty(0))
    return recast.in_harmony(recast.leaping(recast.struck_again(score, "TR", half), "TR", half), score, ("TR",))


def _fast(score: Score) -> Score:
    return score


def _night(score: Score) -> Score:
    beat = score.beat_rows
    score = recast.softened(recast.replayed(score, "P1", recast.in_duty(2)), "P1", 9)
    score = recast.softened(recast.replayed(score, "P2", lambda player: replace(_BELL, duty=2)), "P2", 8)
    lower = recast.in_harmony(recast.moved(score, "P1", -1), score, ("P1",))
    return recast.beaten(with_vibrato(lower, 2 * beat, _SWAY), _HUSH, range(beat, score.bar_rows, 2 * beat))


def _underwater(score: Score) -> Score:
    half = max(1, score.beat_rows // 2)
    score = recast.silenced(score, "NO")
    score = recast.chord_figure(score, "P2", _HARP, (0, 2, 3, 4, 5, 4, 3, 2), half, 57)
    score = recast.softened(recast.replayed(score, "P1", lambda player: replace(player, duty=2, duties=(), vibrato=_WOBBLE)), "P1", 8)
    return recast.in_harmony(recast.thinned(score, "TR", 2 * score.beat_rows), score, ("TR",))


def _low_health(score: Score) -> Score:
    beat = score.beat_rows
    half = max(1, beat // 2)
    score = recast.in_harmony(recast.chord_figure(score, "P2", _ALARM, (6, 6, -1, -1), half, 69), score, ("P2",))
    score = recast.softened(recast.replayed(score, "P1", recast.in_duty(1)), "P1", 9)
    return recast.beaten(score, _HEART, [row for row in range(score.bar_rows) if row % (2 * beat) in (0, half)])


_RECASTS: Final[dict[str, Callable[[Score], Score]]] = {
    "calm": _calm,
    "danger": _danger,
    "boss": _boss,
    "fast": _fast,
    "night": _night,
    "underwater": _underwater,
    "low-health": _low_health,
}


def family(score: Score, members: Iterable[str] = tuple(MEMBERS), seed: int = 0, model: Model | None = None) -> dict[str, Score]:
    """Return members of a score's family by name.

    Args:
        score: Any score: the parent, which is not among them.
        members: Names of members.MEMBERS.
        seed: Of what the model composes.
        model: A loaded model; None loads the one that composed the parent, or the default, where a member needs it.

    Returns:
        Scores with the parent's bars, rows and loop, whose provenance names it and what was done.

    Raises:
        ControlError: There is no such member, or the seed is out of range.
        MaterialError: The score is none that the model can compose around, or leaves no room for more instruments.
        ModelMismatchError: The model cannot be loaded.
    """
    wanted = [find_member(name) for name in members]
    return {member.name: make(score, member, seed, model) for member in wanted}


def make(score: Score, member: Member, seed: int = 0, model: Model | None = None) -> Score:
    """Return one member of a score's family; see `family`."""
    import nesasset
    from nesasset.compose.controls import check_seed
    from nesasset.compose.rewrite import parent_of

    check_seed(seed)
    parent = parent_of(score)
    told: dict[str, Any] = {
        "generator": f"nesasset {nesasset.__version__}",
        "operation": "family",
        "member": member.name,
        "parent": parent,
    }
    told |= {name: score.provenance[name] for name in ("model", "model_sha256", "key", "originality") if name in score.provenance}
    made = recast.with_tempo(_RECASTS[member.name](score), member.tempo)
    title = f"{score.title} ({member.name})" if score.title else ""
    made = replace(made, title=title, provenance=told)
    if member.composed:
        made = _composed(made, member, seed, model, (parent["sha256"], member.name, seed))
    return recast.finish(made)


def _composed(score: Score, member: Member, seed: int, model: Model | None, words: tuple[Any, ...]) -> Score:
    """Return a member with some voices composed anew around the others, over the parent's harmony."""
    from nesasset.chords import chord_name
    from nesasset.compose import with_originality
    from nesasset.compose.accompany import form_around, plan_model
    from nesasset.compose.given import Given
    from nesasset.compose.material import equipped, to_material
    from nesasset.compose.request import generator
    from nesasset.compose.rewrite import Rewrite, badness, carry_out, figures_of
    from nesasset.compose.vary import request_of
    from nesasset.features import SLOT_VOICES
    from nesasset.model_names import model_of
    from nesasset.vocabulary import NEW, SILENT

    model = model or model_of(score)
    material = to_material(score, model)
    free = np.isin(VOICES, member.composed)
    plan = material.plan
    request = request_of(material, seed, model)
    request = replace(
        request,
        noise_density=DRUMS if "NO" in member.composed else request.noise_density,
        density=BUSY if "P2" in member.composed else request.density,
    )
    sounds = (plan.classes != SILENT).any(axis=0)
    chance = generator(("plan", *words))
    if (free & ~sounds).any():
        plan = equipped(plan, free & ~sounds, request, model, chance)
    plan = replace(plan, classes=np.where(free, NEW, plan.classes))
    plan = form_around(plan, material.cells, np.broadcast_to(~free, plan.classes.shape), plan_model(model), chance)
    plan = replace(plan, classes=np.where(free & (plan.classes == SILENT), NEW, plan.classes))  # asked for, so it plays
    ids = np.unique(plan.chords)
    told = " ".join(",".join(chord_name(int(chord)) for chord in bar) for bar in plan.chords) if (ids > 0).all() and (ids < 37).all() else None
    request = replace(request, wishes=replace(request.wishes, chords=told))
    given = Given(np.where(free, -1, material.cells), np.where(free[list(SLOT_VOICES)], -1, material.slots))
    work = Rewrite(score, np.broadcast_to(free, (material.n_rows, 4)), request, plan, given, material.lead, material.players)
    found: list[tuple[Score, dict[str, Any]]] = []
    for attempt in range(ATTEMPTS):
        chances = [generator(("rows", *words, attempt, number)) for number in range(CANDIDATES)]
        found += [(made, figures_of(model, work, draft)) for made, draft in carry_out(model, work, chances)]
        best, figures = min(found, key=lambda item: badness(item[1]))
        seam = figures.get("surprisal", {"seam": 0.0, "interior": 0.0})
        if seam["seam"] - seam["interior"] <= MOST_SURPRISAL:
            break
    provenance = {**score.provenance, "model": model.name, "model_sha256": model.sha256, "seed": seed, "composed": list(member.composed), **figures}
    return with_originality(replace(recast.in_harmony(best, score, member.composed), provenance=provenance), model)
