"""`nesasset morph`: the way from one piece to another, in steps that each loop."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nesasset.commands._shared import JSON_OPTION, MODEL_OPTION, asked_model, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from nesasset.audio import Audio
    from nesasset.score import Score


@click.command("morph")
@click.argument("first", metavar="FROM.json")
@click.argument("second", metavar="TO.json")
@click.option("-o", "folder", required=True, metavar="DIR", help="Folder for the scores, FROM-TO-1.json and so on. -o scores")
@click.option("--steps", type=int, default=9, show_default=True, help="How many scores, both ends included, 3 to 33. --steps 5")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another way. --seed 3")
@MODEL_OPTION
@click.option("--plot", metavar="FILE.png", help="Also a picture of all steps, one above the other. --plot way.png")
@JSON_OPTION
def command(first: str, second: str, folder: str, steps: int, seed: int, model: str | None, plot: str | None, as_json: bool) -> None:
    """Compose the way from one piece to another: parts of the first leave, parts of the second enter, and what is between is composed.

    Both must loop and be of one metre. Key and tempo go along; the first step is the one piece, the last the other. Printed for each: how much of it is the first piece's, and how much the second's.

    Example: nesasset morph scores/town.json scores/castle.json -o scores --steps 5
    """
    from nesasset.build import stages
    from nesasset.compose.controls import check_seed
    from nesasset.compose.morph import Way, check_steps, likeness
    from nesasset.driver import drive
    from nesasset.formats import score_json, stack
    from nesasset.formats.files import write_bytes
    from nesasset.model_names import model_of
    from nesasset.render import render

    check_seed(seed)
    check_steps(steps)
    if plot is not None and not plot.lower().endswith(".png"):
        raise click.UsageError(f"the picture is a PNG, so its name ends in .png, not {plot!r}")
    ends = score_json.load(first), score_json.load(second)
    way = Way.between(*ends, asked_model(model) or model_of(ends[0]))

    def play(version: Score) -> Audio:
        return render(drive(version))

    made: list[Score] = []
    with progress_bar(steps, "composing the way") as done:
        for place in range(steps):
            if place in (0, steps - 1):
                made.append(ends[place > 0])
            else:
                beyond = way.progress(made[-1], (place - 1) / (steps - 1))
                make = partial(way.step, place, steps, seed, beyond=beyond)
                made.append(stages.first_certified(make, seed, play, first, f"step {place + 1} of the way").score)
            done(f"step {place + 1}")
    stem = "-".join(Path(path).name.removesuffix(".json") for path in (first, second))
    place_of = Path(folder)
    place_of.mkdir(parents=True, exist_ok=True)
    files = [place_of / f"{stem}-{number}.json" for number in range(1, steps + 1)]
    rows, facts = [], []
    for place, (file, score) in enumerate(zip(files, made, strict=True)):
        write_bytes(file, score_json.dumps(score).encode())
        moved = round(place / (steps - 1) * way.semitones)
        shares = likeness(score, ends[0], moved), likeness(score, ends[1], moved - way.semitones)
        rows.append((str(place + 1), f"{score.tempo_bpm:.1f}", f"{shares[0]:.0%}", f"{shares[1]:.0%}"))
        facts.append({"file": str(file), "tempo_bpm": round(score.tempo_bpm, 6), "of_first": round(shares[0], 4), "of_second": round(shares[1], 4)})
    if plot is not None:
        stack.save({f"{number}": score for number, score in enumerate(made, start=1)}, stem, plot)
    if as_json:
        print_json({"from": first, "to": second, "steps": facts})
        return
    print_table(("step", "tempo", "of the first", "of the second"), rows)
