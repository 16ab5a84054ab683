"""`nesasset compose`: one piece for one theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from nesasset.commands._candidates import COUNT_OPTION, check_output, save_candidates
from nesasset.commands._shared import JSON_OPTION, busy, print_facts, print_json
from nesasset.commands._sources import IMPORTED, read_score

if TYPE_CHECKING:
    from nesasset.compose.sources import Sources
    from nesasset.score import Score

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
    ("motif", "--motif", str, "TEXT", "A tune that the piece is to have, in C: notes with lengths in rows. --motif 'C5/4 D5/4 Eb5/2 -/2 G5/8'"),
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


def _split(text: str) -> tuple[str, str | None]:
    """Return file and voices of FILE or FILE:VOICES; a colon with anything but voices behind it belongs to the file's name."""
    from nesasset.compose.controls import voice_list
    from nesasset.errors import ControlError

    path, colon, voices = text.rpartition(":")
    try:
        return (path, voice_list(voices)) if colon else (text, None)
    except ControlError:
        if path.lower().endswith((".json", *IMPORTED)):  # what stands behind a whole name was meant as voices
            raise
        return text, None


def _sources(keep: str | None, primer: str | None, pitches: str | None, mode: str | None, like: str | None) -> Sources:
    """Read the music to compose with."""
    from nesasset.compose.sources import Sources, pitches_to_score

    if primer is not None and pitches is not None:
        raise click.UsageError("--primer and --primer-pitches are two ways to say the same; leave one of them out")
    if mode is not None and primer is None and pitches is None:
        raise click.UsageError("--primer-mode needs a primer: --primer FILE or --primer-pitches LIST")
    path, voices = (None, None) if keep is None else _split(keep)
    begun = pitches_to_score(pitches) if pitches is not None else None if primer is None else read_score(primer)
    return Sources(
        keep=None if path is None else read_score(path),
        keep_voices=voices,
        primer=begun,
        primer_mode=mode or "context",
        like=None if like is None else read_score(like),
    )


@click.command("compose")
@click.argument("theme")
@click.option("--seed", type=int, default=0, show_default=True, help="Same theme, seed and controls: same piece. --seed 7")
@wish_options
@click.option("--plain", is_flag=True, help="Leave out what drivers add: duty sequences, vibrato, echo. --plain")
@click.option("--keep", metavar="FILE[:VOICES]", help="Music that stays note for note; the rest is composed around it. --keep tune.mid:P1")
@click.option("--primer", metavar="FILE", help="Music that the piece goes on from. --primer start.json")
@click.option("--primer-pitches", metavar="LIST", help="The same, written down: a beat each, - is a rest. --primer-pitches 67,64,60")
@click.option("--primer-mode", metavar="MODE", help="context: only heard by the composer, or keep: the piece begins with it. --primer-mode keep")
@click.option("--like", metavar="FILE", help="A score whose instruments, character and form are taken, no notes. --like cave.json")
@COUNT_OPTION
@click.option("-o", "output", required=True, metavar="FILE.json", help="Where the score goes; - is standard output. -o castle.json")
@JSON_OPTION
def command(
    theme: str,
    seed: int,
    plain: bool,
    keep: str | None,
    primer: str | None,
    primer_pitches: str | None,
    primer_mode: str | None,
    like: str | None,
    count: int | None,
    output: str,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Compose a piece for THEME and save its score.

    A piece whose loop fails its certificate is composed anew with the next seed of its sequence, as in a build. Music to compose with is a score (.json), MIDI, MusicXML or FamiTracker text; docs/hands.md says what is made of it.

    Example: nesasset compose castle --seed 7 --key D -o castle.json

    Example: nesasset compose town --keep melody.mid:P1 -o town.json

    Example: nesasset compose cave --primer-pitches 67,64,60 --primer-mode keep --count 6 -o cave.json
    """
    from nesasset.compose.controls import Controls, check_seed
    from nesasset.themes import theme as find_theme

    wanted = find_theme(theme)
    check_seed(seed)
    controls = Controls(**wishes, ornaments=False if plain else None)
    check_output(output, as_json, count)
    sources = _sources(keep, primer, primer_pitches, primer_mode, like)

    from nesasset.build import stages
    from nesasset.build.order import Order
    from nesasset.build.provenance import originality_words
    from nesasset.formats import score_json

    def with_sources(theme: str, seed: int, controls: Controls) -> Score:
        from nesasset.compose import compose

        score: Score = compose(theme, seed, controls, sources=sources)
        return score

    def make(seed: int) -> stages.Take:
        return stages.take(Order("piece", wanted.name, seed, controls), with_sources if sources else None)

    if count is not None:
        save_candidates(make, seed, count, output, wanted.name, as_json)
        return
    with busy(f"composing {wanted.name}"):
        made = make(seed)
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
