"""Bridges: a bar or two that lead from any bar of one piece into the first bar of another. Two Scores in, a Score out.

The model writes them between the bars that are heard before and those that come after, which it has in sight. The first bar of
what comes stands in front of everything, too, so that the bridge's plan can refer to it: a bridge goes on as what was, or
foretells what comes. Tempo and harmony are settled by rule: the tempo goes in a straight line, the harmony from the old chord
to the dominant of the new key. Of several drafts that one is kept whose two seams surprise least. Music in a running game orders
few of them, as soon as it knows its way; what is not ready in time is made by rule alone, in play/bridge.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import DEGREES, MAJOR, MINOR, chord_id, chord_root
from nesasset.compose import with_originality
from nesasset.compose.controls import Controls, check_seed
from nesasset.compose.given import Given
from nesasset.compose.judge import Told, line_bits
from nesasset.compose.key import find_key, pitch_class_weights
from nesasset.compose.material import Material, bar_rows_of, cells_of, heard_rows, to_material
from nesasset.compose.plan import Plan
from nesasset.compose.recast import finish, ramp
from nesasset.compose.request import Request, generator
from nesasset.compose.rewrite import Rewrite, carry_out, parent_of, seams_of
from nesasset.compose.vary import request_of
from nesasset.compose.writer import Draft, control_classes
from nesasset.errors import ControlError, out_of_range
from nesasset.features import SLOT_VOICES
from nesasset.model import Model
from nesasset.model_names import model_of
from nesasset.score import HOLD, REST, Cell, Note, Score
from nesasset.units import NOTE_NAMES, VOICES
from nesasset.vocabulary import EXACT, NEW, NO_CHORD, RHYTHM, SILENT, VARIED

BARS_RANGE: Final = (1, 2)
AROUND: Final = 8  # bars that are read before and after: as much as the judge of seams reads
CANDIDATES: Final = 6  # drafts of each way
# What becomes of P1, P2, TR and NO of the bar before in the bars that go on, and of the first bar to come in the last that foretells it.
_WAYS: Final = (
    ((NEW, RHYTHM, RHYTHM, VARIED), (VARIED, VARIED, VARIED, EXACT)),
    ((VARIED, VARIED, VARIED, EXACT), (VARIED, RHYTHM, RHYTHM, EXACT)),
    ((VARIED, VARIED, VARIED, EXACT), (NEW, RHYTHM, RHYTHM, VARIED)),
)
_SHORT_WAYS: Final = (
    ((VARIED, VARIED, VARIED, EXACT), ()),
    ((), (VARIED, VARIED, VARIED, EXACT)),
    ((), (NEW, RHYTHM, RHYTHM, VARIED)),
)


def bridge(
    before: Score, after: Score, bar: int | None = None, bars: int = 2, seed: int = 0, model: Model | None = None, candidates: int = CANDIDATES
) -> Score:
    """Return bars that lead from one piece into another.

    Args:
        before: The piece that is left.
        after: The piece to come: its first bar follows. The bridge has its metre.
        bar: The bar of `before`, counted from 1, after which it is left; None for its last.
        bars: Length of the bridge, 1 or 2; two have room to go on and to foretell: their seams surprise much less.
        seed: Another seed, another bridge.
        model: A loaded model; None loads the one that composed the first score, or the default.
        candidates: Drafts of each of the ways in which the bars can go on and foretell, of which there are three.

    Returns:
        A score without a loop, whose tempo goes from the one piece's to the other's. Its provenance names both and has the
        surprise of the seams beside that of other bar lines.

    Raises:
        ControlError: There is no such bar, or a number is out of range.
        MaterialError: A score is none that can be composed with.
        ModelMismatchError: The model cannot be loaded.
    """
    import nesasset

    check_seed(seed)
    Controls(candidates=candidates)
    if not isinstance(bars, int) or isinstance(bars, bool) or not BARS_RANGE[0] <= bars <= BARS_RANGE[1]:
        raise ControlError(out_of_range("bars of a bridge", bars, *BARS_RANGE))
    n_bars = -(-heard_rows(before) // before.bar_rows)
    left = n_bars if bar is None else bar
    if not isinstance(left, int) or isinstance(left, bool) or not 1 <= left <= n_bars:
        raise ControlError(f"bar must be between 1 and {n_bars}, which the first score has, not {bar!r}")
    model = model or model_of(before)
    parents = {"from": {**parent_of(before), "bar": left}, "to": parent_of(after)}
    length = bars * after.bar_rows
    joined, front, start = _joined(before, after, min(left * before.bar_rows, heard_rows(before)), length)
    material = to_material(joined, model)
    words = (parents["from"]["sha256"], left, parents["to"]["sha256"], bars, seed)
    found: list[tuple[float, Score, Rewrite, Draft]] = []
    for way, (plan, request) in enumerate(_ways(material, after, front + start, length, seed, model)):
        work = _work(material, plan, request, front, start, length)
        chances = [generator(("bridge", *words, way, number)) for number in range(candidates)]
        found += [(_worse_seam(model, work, draft), made, work, draft) for made, draft in carry_out(model, work, chances)]
    _, made, work, draft = min(found, key=lambda item: item[0])
    seams = seams_of(model, work, draft)
    provenance: dict[str, Any] = {
        "generator": f"nesasset {nesasset.__version__}",
        "model": model.name,
        "model_sha256": model.sha256,
        "operation": "bridge",
        "parents": parents,
        "seed": seed,
        "bars": bars,
        **({} if seams is None else {"seams": seams}),
    }
    tonic, mode, _ = find_key(pitch_class_weights(cells_of(after)))
    told = after.provenance.get("key")
    provenance["key"] = told if isinstance(told, str) else f"{NOTE_NAMES[tonic]} {mode}"
    score = _cut(made, before, after, start, length, provenance)
    return with_originality(score, model)


def _worse_seam(model: Model, work: Rewrite, draft: Draft) -> float:
    """Return the bits a row of the worse of the two seams."""
    plan, told = draft.plan, Told.of(draft.plan, control_classes(draft.plan, work.request))
    rows = np.flatnonzero(work.free.any(axis=1))
    lines = [row // plan.bar_rows for row in (int(rows[0]), int(rows[-1]) + 1) if 0 < row < len(draft.cells)]
    return float(line_bits(model, draft.cells, draft.slots, told, lines, plan.home).max())


def _joined(before: Score, after: Score, end: int, length: int) -> tuple[Score, int, int]:
    """Return a score of what is to come, what is heard before, so many empty rows and what comes after.

    With it go the rows of its first part, which is there to be referred to, and those of its second.

    Args:
        before: Is left at a row, having been heard for AROUND bars, its loop going round.
        after: Is heard for AROUND bars.
        end: The row.
        length: Rows between.
    """
    around = AROUND * after.bar_rows
    first = before.loop[0] if before.loop else 0
    rows = list(range(end))
    while before.loop is not None and len(rows) < around:
        rows = [*range(first, before.loop[1]), *rows]
    rows = rows[max(0, len(rows) - around) :]
    rows = rows[len(rows) % after.bar_rows :]  # bars of another metre are counted backwards from the place
    tail = list(range(min(around, heard_rows(after))))
    tail = tail[: len(tail) // after.bar_rows * after.bar_rows or len(tail)]
    front = bar_rows_of(after)
    shown = [row for row in range(front) if row < heard_rows(after)]
    shift = len(before.instruments)
    voices: dict[str, tuple[Cell, ...]] = {}
    for voice in VOICES:
        head = _heard(before, voice, rows)
        first_bar, coming = ([replace(cell, instrument=cell.instrument + shift) if isinstance(cell, Note) else cell for cell in _heard(after, voice, part)] for part in (shown, tail))
        head[0] = REST if head and head[0] is HOLD else head[0]
        voices[voice] = (*first_bar, *[HOLD] * (front - len(shown)), *head, *[HOLD] * length, *coming)
    used = sorted({cell.instrument for part in voices.values() for cell in part if isinstance(cell, Note)})
    numbers = {old: new for new, old in enumerate(used)}
    instruments = (*before.instruments, *after.instruments)
    voices = {voice: tuple(replace(cell, instrument=numbers[cell.instrument]) if isinstance(cell, Note) else cell for cell in part) for voice, part in voices.items()}
    groove = (max(1, round(sum(after.groove) / len(after.groove))),)
    score = Score(voices, tuple(instruments[number] for number in used), groove, after.bar_rows, after.beat_rows, None, theme=after.theme)
    return score, front, len(rows)


def _heard(score: Score, voice: str, rows: Sequence[int]) -> list[Cell]:
    """Return a voice's cells of rows that are heard one after the other; what the first one holds begins with it."""
    part = score.voices[voice]
    cells: list[Cell] = [replace(cell, delay=0, slide=0) if isinstance(cell, Note) else cell for cell in (part[row] for row in rows)]
    if rows and cells[0] is HOLD:
        last = next((cell for cell in reversed(part[: rows[0]]) if cell is not HOLD), REST)
        cells[0] = replace(last, delay=0, slide=0) if isinstance(last, Note) else REST
    return cells


def _ways(
    material: Material, after: Score, start: int, length: int, seed: int, model: Model
) -> list[tuple[Plan, Request]]:
    """Return plans for the bars between, each with a request: going on as before or anew, over chords that are asked for or free."""
    plan = material.plan
    span = range((material.lead + start) // plan.bar_rows, -(-(material.lead + start + length) // plan.bar_rows))
    near = [bar for bar in (span[0] - 1, span[-1] + 1) if 0 <= bar < plan.n_bars]
    plays = (plan.classes[near] != SILENT).any(axis=0) if near else np.ones(4, dtype=bool)
    request = request_of(material, seed, model)
    request = replace(request, note_temperature=min(request.note_temperature, 0.9))
    ways = []
    for onward, toward in _WAYS if len(span) > 1 else _SHORT_WAYS:
        lags, classes, chords, shifts = plan.lags.copy(), plan.classes.copy(), plan.chords.copy(), plan.shifts.copy()
        for number, bar in enumerate(span):
            kinds = toward if bar == span[-1] and toward else onward
            lags[bar] = bar if kinds is toward else 1 + number  # the very first bar is what comes, the one before what was
            there = plan.classes[bar - lags[bar]] != SILENT
            classes[bar] = np.where(there, kinds, np.where(plays, NEW, SILENT))
        chords[span[0] : span[-1] + 1] = _leading(plan, span, after)
        shifts[list(span)] = 0
        way = replace(plan, lags=lags, classes=classes, shifts=shifts, chords=chords)
        ways.append((way, replace(request, wishes=replace(request.wishes, chords="I"))))  # the plan's own are held: see steering.py
    return ways


def _leading(plan: Plan, span: range, after: Score) -> NDArray[np.int64]:
    """Return the chords of the bars between, (n, 2): the last one heard, if the new key has its root, else the subdominant; at the end the dominant."""
    tonic, mode, _ = find_key(pitch_class_weights(cells_of(after)))
    scale = {(tonic + degree) % 12 for degree in DEGREES[mode]}
    dominant, subdominant = chord_id(tonic + 7, MAJOR), chord_id(tonic + 5, MINOR if mode == "minor" else MAJOR)
    last = int(plan.chords[span[0] - 1, -1]) if span[0] else NO_CHORD
    first = last if NO_CHORD < last < 37 and chord_root(last) in scale else subdominant
    if len(span) == 1:
        return np.array([[first, dominant]])
    return np.array([*[[first, subdominant]] * (len(span) - 1), [dominant, dominant]])


def _work(material: Material, plan: Plan, request: Request, front: int, start: int, length: int) -> Rewrite:
    """Return the writing of the rows between; the score it is done in begins behind what is there to be referred to."""
    wide = np.zeros((len(material.cells), 4), dtype=bool)
    wide[front + start : front + start + length] = True
    given = Given(np.where(wide, -1, material.cells), np.where(wide[:, list(SLOT_VOICES)], -1, material.slots))
    score = replace(material.score, voices={voice: part[front:] for voice, part in material.score.voices.items()})
    return Rewrite(score, wide[front : front + score.n_rows], request, plan, given, front, material.players)


def _cut(made: Score, before: Score, after: Score, start: int, length: int, provenance: dict[str, Any]) -> Score:
    """Return the bars between as a score of their own; what is held into them begins anew with them."""
    rows = list(range(start, start + length))
    voices = {voice: tuple(_heard(made, voice, rows)) for voice in VOICES}
    title = f"{before.title or before.theme} to {after.title or after.theme}" if after.title or after.theme else ""
    score = Score(
        voices,
        made.instruments,
        ramp(before, after, length),
        after.bar_rows,
        after.beat_rows,
        None,
        title=title,
        theme=after.theme,
        provenance=provenance,
    )
    return finish(score)
