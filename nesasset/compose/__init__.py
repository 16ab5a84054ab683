"""Composing: a theme, controls and a seed to a score.

The same theme, seed and controls give the same score on one machine with one set of versions. Across machines the last
bit of a float may flip a sampled symbol: save the score and build from it.

Way of the data: theme and controls → Request → a Plan from the model's library → Drafts (rows) → the best one → Score.
With a motif (leitmotif.py) the plan has a place for it, and its rows stand before the others are written.
With music that is there (sources.py), or some of a score anew (vary.py): a Rewrite → Drafts → new cells in the old score.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nesasset.compose.controls import Controls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from nesasset.compose.given import Given
    from nesasset.compose.harmony import HarmonyModel
    from nesasset.compose.judge import Told
    from nesasset.compose.plan import Plan
    from nesasset.compose.request import Request
    from nesasset.compose.sources import Sources
    from nesasset.compose.writer import Draft
    from nesasset.model import Model
    from nesasset.originality import Known
    from nesasset.score import Score

__all__ = ["Controls", "compose", "compose_bars"]

ATTEMPTS = 4  # plans that a seed may draw until one of their drafts is alive and new; the last drafts are taken as they are
MOST_KNOWN = 0.2  # of a voice's 16-grams: a draft of which more stand in training songs is not new
ENDINGS = 3  # that are written where a loop's end does not lead home
FORETOLD = (1, 2)  # last bars that then vary the first ones, in turn: such an end leads back to them
FORETELLING = 2  # such endings of each
ROUGH = 0.5  # bits a row that the seam may cost more than bar lines inside
RETURNS = 2  # plans that a seed may draw until the end leads home rather than elsewhere


def compose(
    theme: str,
    seed: int = 0,
    controls: Controls | None = None,
    model: Model | None = None,
    sources: Sources | None = None,
) -> Score:
    """Compose a piece.

    Args:
        theme: Name of a theme; `nesasset themes` lists them.
        seed: Another seed, another piece; 0 to 2**63 - 1.
        controls: Wishes; None leaves everything to the theme.
        model: A loaded model; None loads the one that the controls name, or the default one.
        sources: Music to compose with: kept voices, a primer, a style; None for none.

    Returns:
        A score that loops as a whole, or a jingle that ends, by theme. Its provenance names model, seed and controls, and the
        sources.

    Raises:
        UnknownThemeError: No theme has that name.
        ControlError: The seed is out of range, or the controls do not go with the sources.
        MaterialError: A source is no score that can be composed with.
        ModelMismatchError: The model cannot be loaded.
    """
    from nesasset.compose.assemble import to_score
    from nesasset.compose.judge import is_lifeless
    from nesasset.compose.writer import write

    if sources:
        return _compose_with(sources, theme, seed, controls, model)
    order = _Order.of(theme, seed, controls, model)
    known = index_of(order.model)
    made: list[tuple[float, Draft, dict[str, Any]]] = []
    for attempt in range(ATTEMPTS):
        plan, given, chance = order.draw(attempt)
        drafts = write(order.model, order.request, plan, [chance(number) for number in range(order.request.candidates)], given)
        living = [draft for draft in drafts if not is_lifeless(draft.cells, plan.bar_rows)]
        new = [draft for draft in living if _is_new(draft, known)]
        if not new and (made or attempt < ATTEMPTS - 1):
            continue  # what is lifeless or known is taken only where there is nothing else
        draft, figures = _best(order.model, order.request, new or living or drafts)
        short = _short_of_home(order, draft, figures)
        if short > 0:
            draft, figures = _with_better_end(order, draft, figures, short, given, chance)
            short = _short_of_home(order, draft, figures)
        made.append((short, draft, figures))
        if short <= 0 or len(made) == RETURNS:
            break
    _, best, figures = min(made, key=lambda item: item[0])
    provenance = {**order.provenance, **figures}
    score = to_score(best, order.request, order.shapes, provenance, ornaments=order.request.wishes.ornaments is not False)
    return with_originality(score, order.model)


def with_originality(score: Score, model: Model) -> Score:
    """Return a score whose provenance says how much of it the model's training songs have."""
    from dataclasses import replace

    from nesasset.originality import INDEX, compare, to_json

    known = index_of(model)
    found = {"index": None} if known is None else {"index": model.sidecar[INDEX]["sha256"], **to_json(compare(score, known))}
    return replace(score, provenance={**score.provenance, "originality": found})


def index_of(model: Model) -> Known | None:
    """Return what is known of a model's training songs; the index lies beside the model, like the idioms."""
    from nesasset.model_names import model_file
    from nesasset.originality import INDEX, INDEX_SUFFIX, load_index

    path = model_file(model.name, INDEX_SUFFIX) if model.sidecar.get(INDEX) else None
    return None if path is None else load_index(path.parent, model.name)


def _is_new(draft: Draft, known: Known | None) -> bool:
    """Return whether no voice of a draft has too much from training songs; nobody knows without an index."""
    from nesasset.originality import cell_lines, find_known

    findings = [] if known is None else [find_known(symbols, rows, known) for symbols, rows in cell_lines(draft.cells).values()]
    return all((finding.share(16) or 0.0) <= MOST_KNOWN for finding in findings)


def compose_bars(
    theme: str, seed: int = 0, controls: Controls | None = None, model: Model | None = None
) -> Iterator[Score]:
    """Compose a piece and yield each bar as soon as it is written: for music that is heard while it is made.

    One draft, as it comes: it is not compared with others, not moved to the key that its notes turn out to be in (its
    chords are in the key asked for), and not ornamented; so it is not the piece that `compose` makes of the same seed.

    Args:
        theme: As for `compose`.
        seed: As for `compose`.
        controls: As for `compose`; candidates means nothing here.
        model: As for `compose`.

    Yields:
        Scores of one bar, without a loop, all with the same instruments: a voice that holds on a bar's first row holds
        what the bar before left. The last bar leads into the first, or into the first after the intro.

    Raises:
        UnknownThemeError: No theme has that name.
        ControlError: The seed is out of range.
        ModelMismatchError: The model cannot be loaded.
    """
    from nesasset.compose.assemble import bar_to_score
    from nesasset.compose.writer import write_bars

    order = _Order.of(theme, seed, controls, model)
    plan, given, chance = order.draw(0)
    for done, drafts in write_bars(order.model, order.request, plan, [chance(0)], given):
        yield bar_to_score(drafts[0], done - 1, order.request, order.shapes, order.provenance)


def _compose_with(sources: Sources, theme: str, seed: int, controls: Controls | None, model: Model | None) -> Score:
    """Compose a piece with music that is there."""
    from dataclasses import replace

    from nesasset.compose.judge import is_lifeless
    from nesasset.compose.key import find_key, pitch_class_weights
    from nesasset.compose.plan import plan_to_json
    from nesasset.compose.request import generator
    from nesasset.compose.rewrite import badness, carry_out, figures_of
    from nesasset.compose.sources import prepare, told_by
    from nesasset.errors import ControlError
    from nesasset.units import NOTE_NAMES

    asked = controls or Controls()
    if asked.motif is not None:
        raise ControlError("a motif cannot be asked for together with kept music, a primer or a style; leave one of them out")
    order = _Order.of(theme, seed, told_by(sources, asked), model)
    told = sources.to_json()
    words = (*order.words, *(f"{name} {sorted(part.items())}" for name, part in sorted(told.items())))
    for attempt in range(ATTEMPTS):
        work = prepare(sources, order.request, order.model, _harmony(order.model), generator(("plan", *words, attempt)))
        chances = [generator(("rows", *words, attempt, number)) for number in range(order.request.candidates)]
        made = carry_out(order.model, work, chances)
        living = [pair for pair in made if not is_lifeless(pair[1].cells, pair[1].plan.bar_rows)]
        if living:
            made = living
            break
    ranked = [(figures_of(order.model, work, draft), score, draft) for score, draft in made]
    figures, score, draft = min(ranked, key=lambda item: badness(item[0]))
    tonic, mode, _ = find_key(pitch_class_weights(draft.cells))
    own = {**plan_to_json(draft.plan), "key": f"{NOTE_NAMES[tonic]} {mode}", "controls": asked.to_json()}
    provenance = {**score.provenance, **order.provenance, **own, "operation": "compose with", **told, **figures}
    return with_originality(replace(score, provenance=provenance), order.model)


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """What was asked for, made out: everything that a piece is written from."""

    request: Request
    model: Model
    words: tuple[object, ...]
    """What chance hangs on."""
    provenance: dict[str, Any]

    @staticmethod
    def of(theme: str, seed: int, controls: Controls | None, model: Model | None) -> _Order:
        from dataclasses import replace

        import nesasset
        from nesasset.compose.controls import check_seed
        from nesasset.compose.plan import has_learnt
        from nesasset.compose.request import resolve
        from nesasset.model_names import named_model
        from nesasset.themes import theme as find_theme

        wanted = find_theme(theme)
        controls = controls or Controls()
        check_seed(seed)
        model = model or named_model(controls.model)
        told = [item for item in sorted(controls.to_json().items()) if item[0] not in ("candidates", "ornaments", "model")]
        provenance = {
            "generator": f"nesasset {nesasset.__version__}",
            "model": model.name,
            "model_sha256": model.sha256,
            "theme": wanted.name,
            "seed": seed,
            "controls": controls.to_json(),
        }
        request = resolve(wanted, seed, controls, model.sidecar["sampling"])
        if request.label and not has_learnt(model.plans, request.label):
            request = replace(request, label=0)  # the theme acts through its controls alone
        return _Order(request, model, (wanted.name, seed, told), provenance)

    def draw(self, attempt: int) -> tuple[Plan, Given | None, Callable[[object], np.random.Generator]]:
        """Return the plan of an attempt, what of a motif stands in it, and what gives each of its drafts a chance of its own."""
        from nesasset.compose.plan import draw_plan
        from nesasset.compose.request import generator

        words = (*self.words, attempt)
        rng = generator(("plan", *words))

        def chance(draft: object) -> np.random.Generator:
            return generator(("rows", *words, draft))

        if self.request.wishes.motif is not None:
            from nesasset.compose.leitmotif import draw_around

            return *draw_around(self.request, self.model, _harmony(self.model), rng), chance
        return draw_plan(self.model.plans, _harmony(self.model), self.request, rng), None, chance

    @property
    def shapes(self) -> dict[str, NDArray[np.int64]]:
        """The model's volume shapes, by kind."""
        import numpy as np

        return {kind: np.array(self.model.sidecar[f"{kind}_shapes"], dtype=np.int64) for kind in ("pulse", "noise")}


@lru_cache(maxsize=4)
def _harmony(model: Model) -> HarmonyModel:
    """Return the counts of chords that travel with a model, unpacked once."""
    from nesasset.compose.harmony import HarmonyModel
    from nesasset.errors import ModelMismatchError

    try:
        return HarmonyModel.from_arrays(model.plans)
    except (KeyError, ValueError, IndexError) as error:
        raise ModelMismatchError(f"{model.name}.plans.npz has no usable counts of chords ({error}); install the package again") from error


def _best(model: Model, request: Request, drafts: list[Draft]) -> tuple[Draft, dict[str, Any]]:
    """Return the draft whose seam surprises least beside its interior, of those in the mode that was asked for and in their motif's key."""
    from nesasset.compose.key import find_key, pitch_class_weights
    from nesasset.vocabulary import mode_class

    ranked = []
    for place, draft in enumerate(drafts):
        tonic, mode, clear = find_key(pitch_class_weights(draft.cells))
        wrong_mode = bool(request.mode) and mode_class(mode) != request.mode and clear > 0.7
        elsewhere = request.wishes.motif is not None and tonic != draft.plan.tonic  # and it will not be moved
        figures = _surprise(model, request, draft)
        told = figures.get("surprisal", {"seam": 0.0, "interior": 0.0})
        ranked.append(((wrong_mode + elsewhere, max(told["seam"] - told["interior"], -1.0) + 0.25 * told["interior"], place), draft, figures))
    _, draft, figures = min(ranked, key=lambda item: item[0])
    return draft, figures


def _short_of_home(order: _Order, draft: Draft, figures: dict[str, Any]) -> float:
    """Return by how many bits a row a loop's beginning surprises more after its end than it should; 0 or less where it does not.

    That is more than another place of the loop would, or clearly more than what follows bar lines inside. A piece that ends has 0.
    """
    from nesasset.compose.judge import elsewhere_bits

    if not figures:
        return 0.0
    seam, interior = figures["surprisal"]["seam"], figures["surprisal"]["interior"]
    elsewhere = elsewhere_bits(order.model, *_judged(draft, order.request))
    return float(seam - min([interior + ROUGH, *elsewhere.tolist()]))


def _with_better_end(
    order: _Order, draft: Draft, figures: dict[str, Any], short: float, given: Given | None, chance: Callable[[object], np.random.Generator]
) -> tuple[Draft, dict[str, Any]]:
    """Return the draft, or one with another end, after which its beginning surprises less, at best by the bits that it is short of home.

    First with the plan's own last bars, then, unless the caller wrote the form, with last bars that vary the first ones.
    """
    from dataclasses import replace

    from nesasset.compose.ending import endings, foretelling
    from nesasset.compose.judge import is_lifeless, seam_bits

    rounds = [("ending", ENDINGS, draft.plan)]
    if not order.request.sections:
        plans = [(bars, foretelling(draft.plan, bars)) for bars in FORETOLD]
        rounds += [(f"foretelling {bars}", FORETELLING, plan) for bars, plan in plans if plan]
    known = index_of(order.model)
    seam = figures["surprisal"]["seam"]
    goal, better = seam - short, None
    for word, count, plan in rounds:
        others = endings(order.model, order.request, replace(draft, plan=plan), [chance(f"{word} {number}") for number in range(count)], given)
        others = [other for other in others if not is_lifeless(other.cells, plan.bar_rows) and _is_new(other, known)]
        if not others:
            continue
        seams = seam_bits(order.model, [(other.cells, other.slots) for other in others], *_judged(others[0], order.request)[2:])
        if seams.min() < seam:
            seam, better = float(seams.min()), others[int(seams.argmin())]
        if seam <= goal:
            break
    return (draft, figures) if better is None else (better, _surprise(order.model, order.request, better))


def _surprise(model: Model, request: Request, draft: Draft) -> dict[str, Any]:
    """Return what a provenance has of a loop's seam; nothing for a piece that ends."""
    from nesasset.compose.judge import surprisal

    if not request.loops:
        return {}
    seam, interior = surprisal(model, *_judged(draft, request))
    return {"surprisal": {"seam": round(seam, 3), "interior": round(interior, 3)}}


def _judged(draft: Draft, request: Request) -> tuple[NDArray[np.int64], NDArray[np.int64], Told, int]:
    """Return a draft's cells and slots, what the judge is told of it, and the first row of its loop."""
    from nesasset.compose.judge import Told
    from nesasset.compose.writer import control_classes

    plan = draft.plan
    return draft.cells, draft.slots, Told.of(plan, control_classes(plan, request)), plan.home * plan.bar_rows
