"""Composing: a theme, controls and a seed to a score.

The same theme, seed and controls give the same score on one machine with one set of versions. Across machines the last
bit of a float may flip a sampled symbol: save the score and build from it.

Way of the data: theme and controls → Request → a Plan from the model's library → Drafts (rows) → the best one → Score.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nesasset.compose.controls import Controls

if TYPE_CHECKING:
    from nesasset.compose.harmony import HarmonyModel
    from nesasset.compose.writer import Draft
    from nesasset.model import Model
    from nesasset.score import Score

__all__ = ["Controls", "compose"]

ATTEMPTS = 4  # plans that a seed may draw until one of their drafts is alive; the last drafts are taken as they are


def compose(theme: str, seed: int = 0, controls: Controls | None = None, model: Model | None = None) -> Score:
    """Compose a piece.

    Args:
        theme: Name of a theme; `nesasset themes` lists them.
        seed: Another seed, another piece; 0 to 2**63 - 1.
        controls: Wishes; None leaves everything to the theme.
        model: A loaded model; None loads the default one.

    Returns:
        A score that loops as a whole, or a jingle that ends, by theme. Its provenance names model, seed and controls.

    Raises:
        UnknownThemeError: No theme has that name.
        ControlError: The seed is out of range.
        ModelMismatchError: The model cannot be loaded.
    """
    import numpy as np

    import nesasset
    from nesasset.compose.assemble import to_score
    from nesasset.compose.controls import check_seed
    from nesasset.compose.judge import is_lifeless
    from nesasset.compose.plan import draw_plan
    from nesasset.compose.request import generator, resolve
    from nesasset.compose.writer import write
    from nesasset.model import default_model
    from nesasset.themes import theme as find_theme

    wanted = find_theme(theme)
    controls = controls or Controls()
    check_seed(seed)
    model = model or default_model()
    request = resolve(wanted, seed, controls, model.sidecar["sampling"])
    told = [item for item in sorted(controls.to_json().items()) if item[0] not in ("candidates", "ornaments")]
    for attempt in range(ATTEMPTS):
        words = (wanted.name, seed, told, attempt)
        plan = draw_plan(model.plans, _harmony(model), request, generator(("plan", *words)))
        chances = [generator(("rows", *words, number)) for number in range(request.candidates)]
        drafts = write(model, request, plan, chances)
        living = [draft for draft in drafts if not is_lifeless(draft.cells, plan.bar_rows)]
        if living:
            drafts = living
            break
    best, figures = _best(model, request, drafts)
    provenance: dict[str, Any] = {
        "generator": f"nesasset {nesasset.__version__}",
        "model": model.name,
        "model_sha256": model.sha256,
        "theme": wanted.name,
        "seed": seed,
        "controls": controls.to_json(),
        **figures,
    }
    shapes = {
        "pulse": np.array(model.sidecar["pulse_shapes"], dtype=np.int64),
        "noise": np.array(model.sidecar["noise_shapes"], dtype=np.int64),
    }
    return to_score(best, request, shapes, provenance, ornaments=controls.ornaments is not False)


@lru_cache(maxsize=4)
def _harmony(model: Model) -> HarmonyModel:
    """Return the counts of chords that travel with a model, unpacked once."""
    from nesasset.compose.harmony import HarmonyModel
    from nesasset.errors import ModelMismatchError

    try:
        return HarmonyModel.from_arrays(model.plans)
    except (KeyError, ValueError, IndexError) as error:
        raise ModelMismatchError(f"{model.name}.plans.npz has no usable counts of chords ({error}); install the package again") from error


def _best(model: Model, request: Any, drafts: list[Draft]) -> tuple[Draft, dict[str, Any]]:
    """Return the draft whose seam surprises least beside its interior, of those in the mode that was asked for."""
    from nesasset.compose.judge import surprisal
    from nesasset.compose.key import find_key, pitch_class_weights
    from nesasset.compose.writer import control_classes
    from nesasset.vocabulary import mode_class

    ranked = []
    for place, draft in enumerate(drafts):
        _, mode, clear = find_key(pitch_class_weights(draft.cells))
        wrong_mode = bool(request.mode) and mode_class(mode) != request.mode and clear > 0.7
        seam = interior = 0.0
        if request.loops:
            plan = draft.plan
            told = control_classes(plan, request)
            home = plan.home * plan.bar_rows
            seam, interior = surprisal(model, draft.cells, draft.slots, plan.bar_rows, told, plan.pulse, plan.noise, home)
        ranked.append(((wrong_mode, max(seam - interior, -1.0) + 0.25 * interior, place), draft, seam, interior))
    _, draft, seam, interior = min(ranked, key=lambda item: item[0])
    if not request.loops:
        return draft, {}
    return draft, {"surprisal": {"seam": round(seam, 3), "interior": round(interior, 3)}}
