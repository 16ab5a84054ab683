"""`nesasset cache`: how much the cache holds, and less of it."""

from __future__ import annotations

import re
from typing import Final

import click

from nesasset.commands._shared import JSON_OPTION, print_facts, print_json

_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@click.command("cache")
@click.option("--prune", metavar="SIZE", help="Remove what was not used for the longest time until so much is left; 0 for all. --prune 500M")
@click.option("--cache-dir", metavar="DIR", help="Another cache than NESASSET_CACHE_DIR or the system's. --cache-dir .cache")
@JSON_OPTION
def command(prune: str | None, cache_dir: str | None, as_json: bool) -> None:
    """Say where the cache is and how much it holds, or make it smaller.

    Losing the cache costs time and nothing else. A build keeps it below 2 GiB.

    Example: nesasset cache --prune 500M
    """
    from nesasset.commands.build import cache_of

    cache = cache_of(cache_dir, no_cache=False)
    assert cache is not None
    facts: dict[str, object] = {"folder": str(cache.folder)}
    if prune is not None:
        removed = cache.prune(_bytes(prune))
        facts |= {"removed_entries": removed.entries, "removed_bytes": removed.bytes}
    usage = cache.usage()
    facts |= {"entries": usage.entries, "bytes": usage.bytes}
    if as_json:
        print_json(facts)
    else:
        print_facts(facts.items())


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12})\s*([kKmMgG]?)(?:i?[bB])?", text.strip())
    if match is None:
        raise click.UsageError(f"--prune must be a size such as 500M or 2G, not {text[:40]!r}")
    return int(match[1]) * _UNITS[match[2].lower()]
