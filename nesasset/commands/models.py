"""`nesasset models`: which models there are, and others added."""

from __future__ import annotations

import click

from nesasset.commands._shared import JSON_OPTION, print_facts, print_json


@click.command("models")
@click.argument("action", type=click.Choice(["list", "add", "remove"]), default="list")
@click.argument("what", metavar="[FILE.nesmodel|NAME]", required=False)
@click.option("--replace", is_flag=True, help="With add: in place of another model of this name. --replace")
@JSON_OPTION
def command(action: str, what: str | None, replace: bool, as_json: bool) -> None:
    """List the installed models, or add or remove one.

    A model of your own music is one file, made by python -m export.style. It is added to your own folder of data, and then every command takes it by name: --model NAME, or [defaults] model in a manifest.

    Example: nesasset models

    Example: nesasset models add mystyle.nesmodel

    Example: nesasset models remove mystyle
    """
    if (action == "list") != (what is None):
        raise click.UsageError("nesasset models takes nothing, add FILE.nesmodel or remove NAME")
    from dataclasses import asdict

    from nesasset import model_files

    if action == "remove":
        assert what is not None
        model_files.remove(what)
    models = [model_files.add(what, replace)] if action == "add" and what is not None else model_files.installed()
    if as_json:
        print_json({"models": [asdict(model) for model in models]})
        return
    for model in models:
        about = model.problem or f"{model.songs} songs: {model.data}" if model.songs is not None or model.problem else model.data
        print_facts([(model.name, f"{model.bytes / 1e6:.1f} MB, {'added' if model.place == 'user' else 'comes with nesasset'}; {about}")])
