"""What several subcommands need: options that set controls, output, progress. Holds no music."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nesasset.model import Model

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print the result for programs, as JSON.")
MODEL_OPTION = click.option("--model", metavar="NAME", help="Another installed model than the one that composed the piece; nesasset models lists them. --model open")


def asked_model(name: str | None) -> Model | None:
    """Return the installed model that an option names; None for None, where the piece's own is taken.

    Raises:
        ControlError: This is no name of a model.
        ModelMismatchError: No such model is installed, or its files do not belong together.
    """
    if name is None:
        return None
    from nesasset.compose.controls import Controls
    from nesasset.model_names import named_model

    Controls(model=name)
    return named_model(name)


def print_json(value: Any) -> None:
    """Print a value as JSON with sorted keys on standard output."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a head in columns on standard output; numbers stand to the right."""
    texts = [tuple(map(str, row)) for row in rows]
    right = [bool(texts) and all(_looks_numeric(row[column]) for row in texts) for column in range(len(head))]
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    for row in (tuple(head), *texts):
        cells = (
            text.rjust(width) if flush else text.ljust(width)
            for text, width, flush in zip(row, widths, right, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line, on standard output."""
    pairs = [(name, value) for name, value in facts if value not in (None, "")]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}  {value}")


def _looks_numeric(text: str) -> bool:
    return text[:1].isdigit() and (text[-1:].isdigit() or text.endswith(" s"))


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show on a terminal that work is going on; show nothing anywhere else."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


@contextmanager
def progress_bar(total: int, text: str) -> Iterator[Callable[[str], None]]:
    """Give a function that moves a progress bar on a terminal by one and names what was done."""
    if not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda name: bar.update(task, advance=1, description=name)
