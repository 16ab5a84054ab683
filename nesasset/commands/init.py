"""`nesasset init`: a first manifest for a game."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command("init")
@click.option("--name", metavar="TEXT", help="Of the game; the folder's by default. --name 'The Mole'")
@click.option("--engine", "engine_name", metavar="NAME", help="What the game is made with; told from its files by default. --engine godot")
@click.option("--themes", metavar="LIST", help="One track for each. --themes title,overworld,boss,victory")
@click.option("--dir", "folder", metavar="DIR", help="Where the music goes; where the engine looks for it by default. --dir assets/music")
@click.option("--author", default="", metavar="TEXT", help="Written into the files. --author 'A. Composer'")
@click.option("--schema", is_flag=True, help="Write nesasset.schema.json too, for editors that complete and check keys.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing.")
@click.option("-o", "output", default="nesasset.toml", show_default=True, metavar="FILE", help="The manifest; never overwritten. -o music/nesasset.toml")
def command(
    name: str | None,
    engine_name: str | None,
    themes: str | None,
    folder: str | None,
    author: str,
    schema: bool,
    yes: bool,
    output: str,
) -> None:
    """Write a commented manifest for the game in this folder.

    On a terminal it asks for what no option says, and Enter takes what is proposed. After it, nesasset build makes the music.

    Example: nesasset init

    Example: nesasset init --engine godot --themes title,cave,boss
    """
    from nesasset.build import start
    from nesasset.errors import ManifestError, OutputError
    from nesasset.formats.files import write_bytes

    path = Path(output)
    if os.path.lexists(path):
        raise OutputError(f"{output} is there already and is not overwritten: edit it, or name another file with -o")
    place = Path(os.path.abspath(path.parent))
    guessed, sign = start.guess_engine(place)
    ask = sys.stdin.isatty() and not yes
    if engine_name is None:
        engine_name = click.prompt(f"Engine{f' ({sign} tells)' if sign else ''}", default=guessed) if ask else guessed
    if name is None:
        name = click.prompt("Name of the game", default=place.name or "my-game") if ask else place.name or "my-game"
    if themes is None:
        default = ",".join(start.DEFAULT_THEMES)
        themes = click.prompt("Themes, one track each", default=default) if ask else default
    words = [word.strip() for word in themes.split(",") if word.strip()]
    if not words:
        raise click.UsageError("--themes must name at least one theme; nesasset themes lists them")
    try:
        text = start.manifest_text(name, engine_name, words, folder, author, "nesasset.schema.json" if schema else "")
    except ValueError as error:
        raise click.UsageError(f"--engine: {error}") from error
    from nesasset.build import manifest

    try:
        made = manifest.loads(text, output)  # a name of 300 letters, a folder that is none
    except ManifestError as error:
        raise click.UsageError(str(error).splitlines()[0]) from error
    if schema:
        import json

        write_bytes(place / "nesasset.schema.json", (json.dumps(manifest.json_schema(), indent=2, sort_keys=True) + "\n").encode())
    write_bytes(path, text.encode())
    where = "" if output == "nesasset.toml" else f" -m {output}"
    click.echo(f"{output}: {len(made.track)} tracks for {engine_name}. Next: nesasset build{where}")
