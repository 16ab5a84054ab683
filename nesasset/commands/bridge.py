"""`nesasset bridge`: bars that lead from one piece into another."""

from __future__ import annotations

import click

from nesasset.commands._shared import JSON_OPTION, MODEL_OPTION, asked_model, busy, print_facts, print_json


@click.command("bridge")
@click.argument("before", metavar="A.json")
@click.argument("after", metavar="B.json")
@click.option("-o", "output", required=True, metavar="FILE.json", help="Where the bridge's score goes; - is standard output. -o bridge.json")
@click.option("--bar", type=int, metavar="N", help="The bar of A after which it is left; its last by default. --bar 8")
@click.option("--bars", type=int, default=2, show_default=True, metavar="N", help="Length of the bridge, 1 or 2. --bars 1")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another bridge. --seed 3")
@MODEL_OPTION
@click.option("--plot", metavar="FILE.png", help="Also a picture of A, the bridge and B. --plot bridge.png")
@JSON_OPTION
def command(before: str, after: str, output: str, bar: int | None, bars: int, seed: int, model: str | None, plot: str | None, as_json: bool) -> None:
    """Compose bars that lead from any bar of A into the first bar of B.

    The tempo goes from the one to the other, the harmony to the dominant of B's key. Printed is how much the two seams surprise the model, in bits a row, beside the other bar lines of both pieces.

    Example: nesasset bridge castle.json boss.json --bar 8 -o castle-boss.json
    """
    if output == "-" and as_json:
        raise click.UsageError("-o - prints the score on standard output, so --json cannot print there too")
    if output != "-" and not output.lower().endswith(".json"):
        raise click.UsageError(f"a score is saved as FILE.json, not {output!r}; nesasset render makes other formats")
    if plot is not None and not plot.lower().endswith(".png"):
        raise click.UsageError(f"the picture is a PNG, so its name ends in .png, not {plot!r}")
    from nesasset.compose.bridge import bridge
    from nesasset.formats import score_json, stack

    scores = [score_json.load(path) for path in (before, after)]
    with busy("writing a bridge"):
        made = bridge(scores[0], scores[1], bar, bars, seed, asked_model(model))
    if output == "-":
        click.echo(score_json.dumps(made), nl=False)
        return
    score_json.save(made, output)
    if plot is not None:
        stack.save({"before": scores[0], "bridge": made, "after": scores[1]}, made.title or "bridge", plot)
    told = made.provenance
    if as_json:
        print_json({"file": output, "seed": seed, "bars": bars, **{name: told.get(name) for name in ("parents", "seams", "key", "originality")}})
        return
    seams = told.get("seams") or {}
    print_facts(
        (
            ("score", output),
            ("bars", bars),
            ("tempo", f"{_tempo(made.groove[:1], made.beat_rows):.0f} to {_tempo(made.groove[-1:], made.beat_rows):.0f} beats a minute"),
            ("seams", ", ".join(f"{name} {bits:.2f}" for name, bits in seams.items()) + " bits a row" if seams else ""),
        )
    )


def _tempo(groove: tuple[int, ...], beat_rows: int) -> float:
    return 3600 * len(groove) / (sum(groove) * beat_rows)
