"""`nesasset diff`: what differs between two scores, in words and as a picture; also for git."""

from __future__ import annotations

import click

from nesasset.commands._shared import JSON_OPTION, print_json


@click.command("diff")
@click.argument("scores", metavar="A.json B.json", nargs=-1, required=True)
@click.option("-o", "output", metavar="FILE.png", help="Draw the bars that differ. -o changes.png")
@click.option("--git", is_flag=True, help="Take git's seven arguments: set diff.nesasset.command to 'nesasset diff --git'.")
@JSON_OPTION
def command(scores: tuple[str, ...], output: str | None, git: bool, as_json: bool) -> None:
    """Say what differs between two scores, as a musician would.

    For git, put 'scores/*.json diff=nesasset' into .gitattributes and run: git config diff.nesasset.command 'nesasset diff --git'.

    Example: nesasset diff old.json new.json -o changes.png
    """
    if git:
        _git(scores)
        return
    if len(scores) != 2:
        raise click.UsageError(f"two scores are compared, not {len(scores)}")
    from nesasset.build import diff
    from nesasset.formats import score_json

    before, after = (score_json.load(path) for path in scores)
    changes = diff.compare(before, after)
    if output is not None:
        if not output.lower().endswith(".png"):
            raise click.UsageError(f"the picture is a PNG, so its name ends in .png, not {output!r}")
        from nesasset.formats import canvas

        canvas.save_png(diff.picture(before, after, changes), output)
    if as_json:
        print_json({"same": not changes, "changes": [change.to_json() for change in changes]})
        return
    for line in diff.words(changes):
        click.echo(line)


def _git(arguments: tuple[str, ...]) -> None:
    """Print the difference as git asks an external program to: path, then file, hash and mode before and after."""
    if len(arguments) not in (7, 9):  # nine of a file that was renamed
        raise click.UsageError(f"--git is for git itself, which gives seven arguments, not {len(arguments)}")
    from nesasset.build import diff
    from nesasset.errors import NesassetError
    from nesasset.formats import score_json

    path, old, new = arguments[0], arguments[1], arguments[4]
    click.echo(f"score {path}")
    if "/dev/null" in (old, new) or "nul" in (old, new):
        click.echo("  new" if old in ("/dev/null", "nul") else "  removed")
        return
    try:
        changes = diff.compare(score_json.load(old), score_json.load(new))
    except NesassetError as error:  # a merge in progress, say: git must go on
        click.echo(f"  cannot be compared: {error}")
        return
    for line in diff.words(changes):
        click.echo(f"  {line}")
