"""`nesasset schema`: the JSON Schema of manifests and of provenance.json, for editors and checkers."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.option("--of", "what", type=click.Choice(("manifest", "provenance")), default="manifest", show_default=True, help="Which file's schema. --of provenance")
@click.option("-o", "output", default="-", metavar="FILE", help="Where the schema goes; - is standard output. -o nesasset.schema.json")
def command(what: str, output: str) -> None:
    """Print the JSON Schema of a manifest.

    An editor that knows taplo completes and checks keys if the manifest begins with a line such as #:schema nesasset.schema.json.

    Example: nesasset schema -o nesasset.schema.json
    """
    if what == "manifest":
        from nesasset.build.manifest import json_schema
    else:
        from nesasset.build.provenance import json_schema

    text = json.dumps(json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if output == "-":
        click.echo(text, nl=False)
        return
    from nesasset.formats.files import write_bytes

    write_bytes(output, text.encode())
