"""`nesasset originality`: how much of a score stands in other music."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nesasset.commands._shared import JSON_OPTION, print_json, print_table

if TYPE_CHECKING:
    from nesasset.originality import Finding
    from nesasset.score import Score


@click.command("originality")
@click.argument("path", metavar="FILE.json")
@click.option("--against", "others", multiple=True, metavar="FILE.json|DIR", help="Also against another score, or all in a folder; may be repeated. --against scores")
@click.option("--model", metavar="NAME", help="An installed model, whose training songs are meant; by default those of the one that comes with nesasset. --model open")
@JSON_OPTION
def command(path: str, others: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """Say how much of a score stands in the model's training songs, or in other scores.

    Of each melodic voice, in any key: the longest passage that is known, and how many of its 8-grams and 16-grams are. An n-gram is n notes with the moves and rows from each to its next. Passages of eight or nine notes are often chance.

    Example: nesasset originality scores/castle.json --against scores
    """
    from nesasset import originality
    from nesasset.compose.controls import Controls
    from nesasset.formats import score_json
    from nesasset.model import DEFAULT_MODEL
    from nesasset.model_names import sidecar_of

    Controls(model=model)
    name = model or DEFAULT_MODEL
    score = score_json.load(path)
    compared = _others(path, others)
    index = originality.load_index(sidecar_of(name).parent, name)
    training = None if index is None else originality.compare(score, index)
    found = {file: originality.compare(score, originality.known_of([other])) for file, other in compared.items()}
    if as_json:
        facts: dict[str, Any] = {"file": path, "model": name, "training": None if training is None else originality.to_json(training)}
        print_json({**facts, "against": {file: originality.to_json(findings) for file, findings in found.items()}})
        return
    if training is None or index is None:
        click.echo(f"the model {name} has no index of its training songs")
    else:
        click.echo(f"against the training songs of {name}, {len(index.keys)} passages of eight notes")
        _print(training, score)
    for file, findings in found.items():
        click.echo(f"\nagainst {file}")
        _print(findings, score)


def _others(path: str, names: tuple[str, ...]) -> dict[str, Score]:
    """Return the scores of files and folders, without the score itself."""
    from nesasset.errors import FormatError
    from nesasset.formats import score_json

    found: dict[str, Score] = {}
    for name in names:
        place = Path(name)
        files = sorted(place.glob("*.json")) if place.is_dir() else [place]
        if not files:
            raise FormatError(f"there is no score in {name}: a folder's scores are its files *.json")
        found |= {str(file): score_json.load(file) for file in files if not (file.exists() and file.samefile(path))}
    return found


def _print(findings: Mapping[str, Finding], score: Score) -> None:
    """Print a table with a line for each voice."""
    rows = []
    for voice, finding in findings.items():
        place = "" if finding.row is None else f"bar {finding.row // score.bar_rows + 1}, row {finding.row % score.bar_rows + 1}"
        shares = ["-" if (share := finding.share(n)) is None else f"{share:.1%}" for n in finding.known]
        rows.append((voice, f"{finding.longest} notes" if finding.longest else "none", place, *shares))
    print_table(("voice", "longest known", "at", "8-grams", "16-grams"), rows)
