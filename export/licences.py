"""Under what licence a file of music stands, by the papers that lie beside it; and the attributions that licences ask for.

    python -m export.licences corpus -o ATTRIBUTION.md

Asked in this order: a table of sources that the command is given, one table of the form below for each first folder; the file itself (a FamiTracker text's COPYRIGHT line); a `licence.toml` in its folder or one above; a licence's
own text (LICENSE, COPYING …) there. A `licence.toml` looks so, every key may be absent:

    licence = "CC-BY-4.0"           # for all files of the folder
    author = "Ada"
    source = "https://example.org"
    note = "from the second album"
    exclude = ["demo_*.mid"]        # files that are not to be used
    [files."battle*.mid"]           # what differs, by file name
    licence = "CC0-1.0"
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import click

FILE_NAME = "licence.toml"
UNKNOWN = "unknown"
_KEYS = ("licence", "author", "source", "note")
_MAX_BYTES = 256 * 1024
# What a licence's text says near its beginning, and its SPDX identifier; the first match counts.
_TEXTS = (
    (r"CC0 1\.0 Universal", "CC0-1.0"),
    (r"Attribution-NonCommercial", "CC-BY-NC"),
    (r"Attribution-ShareAlike 4\.0", "CC-BY-SA-4.0"),
    (r"Attribution 4\.0 International", "CC-BY-4.0"),
    (r"Boost Software License", "BSL-1.0"),
    (r"zlib License", "Zlib"),
    (r"DO WHAT THE FUCK YOU WANT", "WTFPL"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "GPL-3.0"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 2", "GPL-2.0"),
    (r"Permission is hereby granted, free of charge", "MIT"),
    (r"Redistribution and use in source and binary forms", "BSD-3-Clause"),
)
_NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "License*", "license*")


@dataclass(frozen=True, slots=True)
class Licence:
    """What is known of a file's licence."""

    licence: str = UNKNOWN
    author: str = ""
    source: str = ""
    note: str = ""
    where: str = ""
    """Which paper says so."""
    excluded: bool = False


class LicenceError(click.UsageError):
    """A licence.toml cannot be read."""


def read_sources(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return the tables of a file of sources, by folder.

    Raises:
        LicenceError: It cannot be read, or something in it is no table.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise LicenceError(f"{path} cannot be read ({error})") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise LicenceError(f"{path}: {name!r} must be the table of a folder")
        _check(table, f"{path}, {name}")
    return tables


def licence_of(
    path: Path, root: Path, given: Licence | None = None, sources: Mapping[str, Mapping[str, Any]] | None = None
) -> Licence:
    """Return the licence of a file below a folder; `given` stands in where no paper is found."""
    first = path.relative_to(root).parts[0]
    if sources and first in sources:
        return _from_table(sources[first], path, root / first)
    for folder in path.parents:
        if folder != root and root not in folder.parents:
            break
        table = _table(folder / FILE_NAME)
        if table is not None:
            return _from_table(table, path, folder)
        text = _from_text(folder)
        if text is not None:
            return text
    return given or Licence()


def from_copyright(text: str) -> str:
    """Return the identifier of a free licence that a file's own copyright line names, "" for none."""
    upper = text.upper().replace(" ", "-")
    if "CC0" in upper or "PUBLIC-DOMAIN" in upper:
        return "CC0-1.0"
    if "CC-BY" in upper and "-NC" not in upper and "-ND" not in upper:
        return "CC-BY-SA" if "-SA" in upper else "CC-BY-4.0" if "4.0" in upper else "CC-BY"
    return ""


def tracker_copyright(data: bytes) -> tuple[str, str]:
    """Return the COPYRIGHT and AUTHOR lines of a FamiTracker text."""
    found = dict(re.findall(r'^(COPYRIGHT|AUTHOR)\s+"(.*)"\s*$', data[:20_000].decode(errors="replace"), re.MULTILINE))
    return found.get("COPYRIGHT", ""), found.get("AUTHOR", "")


@lru_cache(maxsize=4096)
def _table(path: Path) -> Mapping[str, Any] | None:
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _MAX_BYTES:
            raise LicenceError(f"{path}: a {FILE_NAME} has at most {_MAX_BYTES} bytes")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise LicenceError(f"{path} cannot be read ({error})") from error
    _check(table, str(path))
    return table


def _check(table: Mapping[str, Any], where: str) -> None:
    unknown = sorted(set(table) - {*_KEYS, "exclude", "files"})
    if unknown:
        raise LicenceError(f"{where}: {unknown[0]!r} is no key; known are {', '.join((*_KEYS, 'exclude', 'files'))}")


def _from_table(table: Mapping[str, Any], path: Path, folder: Path) -> Licence:
    found = Licence(where=FILE_NAME, **{key: str(table[key]) for key in _KEYS if key in table})
    name = path.relative_to(folder).as_posix()
    patterns = table.get("exclude", [])
    if isinstance(patterns, list) and any(fnmatch.fnmatch(name, str(p)) or fnmatch.fnmatch(path.name, str(p)) for p in patterns):
        return replace(found, excluded=True)
    special = table.get("files", {})
    for pattern, values in special.items() if isinstance(special, dict) else ():
        if isinstance(values, dict) and (fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(path.name, pattern)):
            found = replace(found, **{key: str(values[key]) for key in _KEYS if key in values})
    return found


@lru_cache(maxsize=4096)
def _from_text(folder: Path) -> Licence | None:
    for pattern in _NAMES:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.stat().st_size <= _MAX_BYTES:
                text = path.read_bytes().decode(errors="replace")
                for expression, identifier in _TEXTS:
                    if re.search(expression, text[:8000], re.IGNORECASE):
                        return Licence(identifier, where=path.name)
    return None


def write_attributions(records: list[dict[str, str]], path: Path) -> int:
    """Write who made the music and under what licence, for a model's users; return the number of songs.

    Args:
        records: Rows of a corpus' files.csv.
        path: Where the Markdown goes.
    """
    kept = [row for row in records if row["status"] == "kept"]
    lines = ["# Attribution", "", "The music that this model was trained on, by source; titles are file names.", ""]
    for source in sorted({row["source"] for row in kept}):
        songs = [row for row in kept if row["source"] == source]
        lines += [f"## {source}", ""]
        licences = sorted({(row["licence"], row["author"], row["url"], row["note"]) for row in songs})
        for licence, author, url, note in licences:
            mine = [row for row in songs if (row["licence"], row["author"], row["url"], row["note"]) == (licence, author, url, note)]
            who = ", ".join(text for text in (author, url, note) if text)
            lines.append(f"- **{licence}**{f' ({who})' if who else ''}: {len(mine)} songs")
            if len(mine) <= 150 or "BY" in licence:
                names = ", ".join(sorted(Path(row["path"]).name for row in mine)) if len(mine) <= 150 else f"all files of {source}"
                lines.append(f"  {names}")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
    return len(kept)


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Where the Markdown goes.")
def main(corpus: Path, out: Path) -> None:
    """Write the attribution file of a corpus that export.ingest made."""
    from export.ingest import read_records

    count = write_attributions(read_records(corpus), out)
    click.echo(f"{out}: {count} songs")


if __name__ == "__main__":
    main()
