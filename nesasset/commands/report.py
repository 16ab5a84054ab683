"""`nesasset report`: where the music came from, as files for players, shops and lawyers."""

from __future__ import annotations

import click

from nesasset.commands._shared import JSON_OPTION, print_json
from nesasset.commands.build import MANIFEST_OPTION


@click.command("report")
@MANIFEST_OPTION
@click.option("-o", "folder", default="provenance", show_default=True, metavar="DIR", help="Folder for the files. -o docs/music")
@JSON_OPTION
def command(manifest_path: str | None, folder: str, as_json: bool) -> None:
    """Write where the music came from: provenance.json and texts for people, credits and shops.

    Build first: the report speaks of the lock and of the kept scores.

    Example: nesasset report -o provenance
    """
    from pathlib import Path

    from nesasset.build import project, provenance
    from nesasset.build.writer import Writer

    found = provenance.provenance(project.load(project.find(manifest_path)))
    place = Path(folder).absolute()
    with Writer() as writer:
        writer.prepare(place)
        writer.commit({(place, name): text.encode() for name, text in provenance.files(found).items()})
    if as_json:
        print_json(found)
        return
    composed = sum(entry["model"] is not None for entry in found["tracks"])
    edited = sum(entry["edited"] for entry in found["tracks"])
    click.echo(f"{len(found['tracks'])} tracks, {composed} composed by a model, {edited} edited or written by hand")
    for name in provenance.FILES:
        click.echo(f"{folder}/{name}")
