"""`nesasset motif`: a short tune for pieces to have in common."""

from __future__ import annotations

import click

from nesasset.commands._shared import JSON_OPTION, asked_model, busy, print_facts, print_json
from nesasset.commands._sources import read_score


@click.command("motif")
@click.option("--theme", metavar="THEME", help="Of the piece that the motif is invented in; title by default. --theme overworld")
@click.option("--seed", type=int, help="Same theme and seed: same motif; 0 by default. --seed 7")
@click.option("--of", "path", metavar="FILE", help="Take it from a score (.json), MIDI, MusicXML or FamiTracker text. --of tune.mid")
@click.option("--bars", metavar="LIST", help="The bars of that file, four at most; the most memorable two by default. --bars 1-2")
@click.option("--model", metavar="NAME", help="Another installed model than the default to invent it; nesasset models lists them. --model open")
@JSON_OPTION
def command(theme: str | None, seed: int | None, path: str | None, bars: str | None, model: str | None, as_json: bool) -> None:
    """Invent a motif, or take one from music that is there, and print it as a text.

    Give the text to all tracks of a game and they are kin: compose --motif TEXT, or motif = "TEXT" under [defaults] of a manifest. It is written in C; each piece has it in its own key and mode. An invented motif has eight to twelve notes, of which no eight stand in the training songs.

    Example: nesasset motif --seed 3

    Example: nesasset motif --of tune.mid --bars 1-2
    """
    from nesasset.compose.motif import motif_text

    if path is None and bars is not None:
        raise click.UsageError("--bars are those of a file: name it with --of FILE")
    if path is not None and (theme is not None or seed is not None or model is not None):
        raise click.UsageError("a motif of a file has no theme, seed and model; leave --of out, or the others")
    theme, seed = theme or "title", seed or 0
    if path is None:
        from nesasset.compose.controls import check_seed
        from nesasset.themes import theme as find_theme

        theme = find_theme(theme).name
        check_seed(seed)
        with busy("inventing a motif"):
            from nesasset.compose.leitmotif import invent
            from nesasset.model_names import named_model

            motif = invent(theme, seed, asked_model(model) or named_model(None))
    else:
        score = read_score(path)
        from nesasset.compose.leitmotif import phrase_of

        motif = phrase_of(score, bars)
    text = motif_text(motif)
    if as_json:
        made = {"theme": theme, "seed": seed} if path is None else {"file": path, "bars": bars}
        print_json({"motif": text, "notes": len(motif.pitches), "rows": motif.rows, "mode": "minor" if motif.minor else "major", **made})
        return
    print_facts(
        (
            ("motif", text),
            ("notes", f"{len(motif.pitches)}, in {'minor' if motif.minor else 'major'}, {motif.rows} rows"),
            ("manifest", f'motif = "{text}" under [defaults]'),
            ("one piece", f"nesasset compose overworld --motif '{text}' -o overworld.json"),
        )
    )
