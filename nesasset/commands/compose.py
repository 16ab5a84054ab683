"""`nesasset compose`: one piece for one theme."""

from __future__ import annotations

import click

from nesasset.commands._shared import JSON_OPTION, busy, print_facts, print_json


@click.command("compose")
@click.argument("theme")
@click.option("--seed", type=int, default=0, show_default=True, help="Same theme, seed and controls: same piece. --seed 7")
@click.option("--bars", type=int, help="Length in bars, 1 to 64; the theme's own by default. --bars 8")
@click.option("--tempo", type=float, metavar="BPM", help="Beats a minute, 30 to 300; the theme's own by default. --tempo 120")
@click.option("--key", help="Tonic: C, F#, Bb …; left to the piece by default. --key D")
@click.option("--mode", help="major or minor; the theme's own by default. --mode minor")
@click.option("--density", type=float, metavar="X", help="From 0, sparse, to 1, busy; the theme's own by default. --density 0.6")
@click.option("--candidates", type=int, metavar="N", help="Compose so many, 1 to 64, and keep the best. --candidates 4")
@click.option("--plain", is_flag=True, help="Leave out what drivers add: duty sequences, vibrato, echo. --plain")
@click.option("-o", "output", required=True, metavar="FILE.json", help="Where the score goes; - is standard output. -o castle.json")
@JSON_OPTION
def command(
    theme: str,
    seed: int,
    bars: int | None,
    tempo: float | None,
    key: str | None,
    mode: str | None,
    density: float | None,
    candidates: int | None,
    plain: bool,
    output: str,
    as_json: bool,
) -> None:
    """Compose a piece for THEME and save its score.

    A piece whose loop fails its certificate is composed anew with the next seed of its sequence, as in a build.

    Example: nesasset compose castle --seed 7 --key D -o castle.json
    """
    from nesasset.compose.controls import Controls, check_seed
    from nesasset.themes import theme as find_theme

    wanted = find_theme(theme)
    check_seed(seed)
    controls = Controls(bars, tempo, key, mode, density, candidates, ornaments=False if plain else None)
    if output == "-" and as_json:
        raise click.UsageError("-o - prints the score on standard output, so --json cannot print there too")
    if output != "-" and not output.lower().endswith(".json"):
        raise click.UsageError(f"a score is saved as FILE.json, not {output!r}; nesasset render makes other formats")

    from nesasset.build import stages
    from nesasset.formats import score_json

    with busy(f"composing {wanted.name}"):
        made = stages.take(stages.Order("piece", wanted.name, seed, controls))
    if output == "-":
        click.echo(score_json.dumps(made.score), nl=False)
        return
    score_json.save(made.score, output)
    facts = {
        "file": output,
        "theme": wanted.name,
        "seed": seed,
        "seed_used": made.seed,
        "controls": controls.to_json(),
        "certificate": made.certificate.to_json(),
        **stages.timing(made.score, made.audio),
    }
    if as_json:
        print_json(facts)
        return
    print_facts(
        (
            ("score", output),
            ("theme", wanted.name),
            ("seed", seed if made.attempt == 0 else f"{made.seed} (number {made.attempt + 1} of the sequence from {seed})"),
            ("bars", made.score.n_bars),
            ("tempo", f"{made.score.tempo_bpm:.1f} beats a minute"),
            ("length", f"{made.audio.seconds:.2f} s"),
            ("certificate", f"passed ({len(made.certificate.checks)} checks of the {made.certificate.kind})"),
        )
    )
