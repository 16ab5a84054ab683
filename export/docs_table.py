"""Tables in documents that a report writes: between two marks, which stay."""

from __future__ import annotations

from pathlib import Path

import click


def write(docs: Path, name: str, table: str) -> None:
    """Put a table between the marks of a name, `<!-- NAME: begin -->` and `<!-- NAME: end -->`, in place of what is there.

    Raises:
        click.UsageError: The document has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = docs.read_text(encoding="utf-8")
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise click.UsageError(f"{docs} must hold the marks {begin} and {end}")
    docs.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")
