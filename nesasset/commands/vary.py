"""`nesasset vary`: some of a score composed anew, the rest kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from nesasset.commands._candidates import COUNT_OPTION, check_output, save_candidates
from nesasset.commands._shared import JSON_OPTION, MODEL_OPTION, asked_model, busy, print_facts, print_json
from nesasset.commands._sources import read_score, title_of

if TYPE_CHECKING:
    from nesasset.build.stages import Take
    from nesasset.compose.vary import Variation
    from nesasset.model import Model
    from nesasset.score import Score


@click.command("vary")
@click.argument("source", metavar="FILE")
@click.option("--bars", metavar="LIST", help="The bars to compose anew, counted from 1; all by default. --bars 5-8")
@click.option("--voices", metavar="LIST", help="The voices to compose anew; all by default. --voices TR")
@click.option("--strength", type=float, default=1.0, show_default=True, metavar="X", help="From 0, nothing, over slight changes to 1, new parts. --strength 0.3")
@click.option("--seed", type=int, default=0, show_default=True, help="Same score, seed and wishes: same variation. --seed 7")
@click.option("--candidates", type=int, default=None, metavar="N", help="Compose so many at a time, 1 to 64, up to six times, and keep the best. --candidates 4")
@MODEL_OPTION
@COUNT_OPTION
@click.option("-o", "output", required=True, metavar="FILE.json", help="Where the score goes; - is standard output. -o castle-2.json")
@JSON_OPTION
def command(
    source: str,
    bars: str | None,
    voices: str | None,
    strength: float,
    seed: int,
    candidates: int | None,
    model: str | None,
    count: int | None,
    output: str,
    as_json: bool,
) -> None:
    """Compose some of FILE anew and keep the rest, note for note and instrument for instrument.

    FILE is a score (.json), MIDI, MusicXML or FamiTracker text. Without bars, voices and strength everything is new but the form, the harmony, the instruments and the tempo. A variation whose loop fails its certificate is composed anew with the next seed of its sequence.

    Example: nesasset vary castle.json --bars 5-8 -o castle-2.json

    Example: nesasset vary castle.json --voices 'P2 TR' --strength 0.4 --count 6 -o castle-2.json
    """
    from nesasset.compose.controls import check_seed
    from nesasset.compose.vary import CANDIDATES, Variation, parse_bars

    check_seed(seed)
    variation = Variation(bars, voices, strength, CANDIDATES if candidates is None else candidates)
    check_output(output, as_json, count)
    score = read_score(source)
    if bars is not None:
        parse_bars(bars, score.n_bars)  # before the model is loaded

    make = partial(_make, score, variation, asked_model(model), title_of(score, source))
    if count is not None:
        save_candidates(make, seed, count, output, title_of(score, source), as_json)
        return
    from nesasset.formats import score_json

    with busy(f"varying {source}"):
        made = make(seed)
    if output == "-":
        click.echo(score_json.dumps(made.score), nl=False)
        return
    score_json.save(made.score, output)
    told = made.score.provenance
    if as_json:
        facts = {name: told.get(name) for name in ("parent", "asked", "free", "surprisal", "seams")}
        print_json({"file": output, "seed": seed, "seed_used": made.seed, "certificate": made.certificate.to_json(), **facts})
        return
    seams = told.get("seams") or {}
    print_facts(
        (
            ("score", output),
            ("seed", seed if made.attempt == 0 else f"{made.seed} (number {made.attempt + 1} of the sequence from {seed})"),
            ("new", _new(made.score)),
            ("seams", ", ".join(f"{name} {bits:.2f}" for name, bits in seams.items()) + " bits a row" if seams else ""),
            ("certificate", f"passed ({len(made.certificate.checks)} checks of the {made.certificate.kind})"),
        )
    )


def _make(score: Score, variation: Variation, model: Model | None, title: str, seed: int) -> Take:
    """Return a variation of a score that passes its certificate."""
    from nesasset.build import stages
    from nesasset.compose.vary import vary
    from nesasset.driver import drive
    from nesasset.render import render

    return stages.first_certified(lambda seed: vary(score, seed, variation, model), seed, lambda made: render(drive(made)), title, "a variation")


def _new(score: Score) -> str:
    """Return how many rows of which voices are new, in words."""
    free = score.provenance.get("free") or {}
    parts = [f"{voice} {sum(end - start for start, end in runs)} rows" for voice, runs in free.items()]
    return ", ".join(parts) or "nothing"
