"""`nesasset compose`: one piece for one theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from nesasset.commands._shared import JSON_OPTION, busy, print_facts, print_json

# Options that go into Controls as they are: name of the field, option, type, what it is called, help.
_WISHES: Final = (
    ("bars", "--bars", int, "N", "Length of the loop in bars, 1 to 512; the theme's own by default. --bars 8"),
    ("tempo_bpm", "--tempo", float, "BPM", "Beats a minute, 30 to 300; the theme's own by default. --tempo 120"),
    ("key", "--key", str, "NOTE", "Tonic: C, F#, Bb …; left to the piece by default. --key D"),
    ("mode", "--mode", str, "MODE", "major or minor; the theme's own by default. --mode minor"),
    ("scale", "--scale", str, "NAME", "The only notes there are: major, dorian, minor-pentatonic, blues … --scale dorian"),
    ("density", "--density", float, "X", "From 0, sparse, to 1, busy; the theme's own by default. --density 0.6"),
    ("intensity", "--intensity", float, "X", "From 0 to 1: density, drums and tempo together. --intensity 0.9"),
    ("register", "--register", str, "WHERE", "Where the melody lies: low, mid or high. --register high"),
    ("melody_range", "--melody-range", str, "LOW-HIGH", "Lowest and highest note of pulse 1. --melody-range C4-C6"),
    ("swing", "--swing", float, "X", "Share of a pair of rows that its first has, 0.5 to 0.75. --swing 0.66"),
    ("intro_bars", "--intro", int, "N", "Bars before the loop that are played once, 0 to 16. --intro 2"),
    ("voices", "--voices", str, "LIST", "The voices that play; the others stay free for effects. --voices 'P1 TR NO'"),
    ("form", "--form", str, "FORM", "Sections: AABA, A A' B A (strokes vary), A A+2 B A (moved by semitones). --form AABA"),
    ("chords", "--chords", str, "LIST", "A chord a bar, by degree or name; C,Am is two in a bar. --chords 'I vi IV V'"),
    ("guidance", "--guidance", float, "X", "How strongly the theme is felt, 0 to 4; 1 by default. --guidance 2"),
    ("candidates", "--candidates", int, "N", "Compose so many, 1 to 64, and keep the best. --candidates 4"),
    ("temperature", "--temperature", float, "X", "How daring the choice of notes is, 0.1 to 2. --temperature 0.9"),
    ("model", "--model", str, "NAME", "Another installed model than the default; nesasset models lists them. --model open"),
)


def wish_options(command: Callable[..., object]) -> Callable[..., object]:
    """Add an option for every control to a command, which gets them by the names of Controls' fields."""
    for field, option, kind, metavar, text in reversed(_WISHES):
        command = click.option(option, field, type=kind, metavar=metavar, help=text)(command)
    return command


@click.command("compose")
@click.argument("theme")
@click.option("--seed", type=int, default=0, show_default=True, help="Same theme, seed and controls: same piece. --seed 7")
@wish_options
@click.option("--plain", is_flag=True, help="Leave out what drivers add: duty sequences, vibrato, echo. --plain")
@click.option("-o", "output", required=True, metavar="FILE.json", help="Where the score goes; - is standard output. -o castle.json")
@JSON_OPTION
def command(theme: str, seed: int, plain: bool, output: str, as_json: bool, **wishes: Any) -> None:
    """Compose a piece for THEME and save its score.

    A piece whose loop fails its certificate is composed anew with the next seed of its sequence, as in a build.

    Example: nesasset compose castle --seed 7 --key D -o castle.json
    """
    from nesasset.compose.controls import Controls, check_seed
    from nesasset.themes import theme as find_theme

    wanted = find_theme(theme)
    check_seed(seed)
    controls = Controls(**wishes, ornaments=False if plain else None)
    if output == "-" and as_json:
        raise click.UsageError("-o - prints the score on standard output, so --json cannot print there too")
    if output != "-" and not output.lower().endswith(".json"):
        raise click.UsageError(f"a score is saved as FILE.json, not {output!r}; nesasset render makes other formats")

    from nesasset.build import stages
    from nesasset.build.order import Order
    from nesasset.build.provenance import originality_words
    from nesasset.formats import score_json

    with busy(f"composing {wanted.name}"):
        made = stages.take(Order("piece", wanted.name, seed, controls))
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
            ("known", originality_words(made.score.provenance.get("originality"))),
            ("certificate", f"passed ({len(made.certificate.checks)} checks of the {made.certificate.kind})"),
        )
    )
