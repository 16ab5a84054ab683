"""Faults of a manifest as sentences: file, line, key, what is allowed, what was meant. Holds no rule of manifests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from nesasset.errors import did_you_mean

Place = tuple[str, ...]
KnownKeys = Callable[[Place], list[str]]

_TABLES: Final = {"schema": "schema = 1", "pack": "the table [pack]", "track": "a table [track.ID] for each track"}
_TYPES: Final = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "list_type": "a list in brackets",
    "tuple_type": "a list in brackets",
    "model_type": "a table",
    "dict_type": "a table",
}
_SHOWN: Final = 80  # letters of a wrong value that a message quotes


def sentences(
    faults: Sequence[Mapping[str, Any]], text: str, name: str, prefix: Place, known_keys: KnownKeys
) -> list[str]:
    """Return one line for each of pydantic's faults, in the order of the file.

    Args:
        faults: As `ValidationError.errors()` gives them.
        text: The TOML text that was judged.
        name: The file, for people.
        prefix: Where the manifest stands in the file: () or ('tool', 'nesasset').
        known_keys: Gives the keys that the table at a place may hold.
    """
    found = sorted({pair for fault in faults for pair in _sentences(fault, text, prefix, known_keys)})
    return [f"{name}:{line}: {sentence}" if line else f"{name}: {sentence}" for line, sentence in found]


def _sentences(fault: Mapping[str, Any], text: str, prefix: Place, known_keys: KnownKeys) -> list[tuple[int, str]]:
    place = tuple(str(part) for part in fault["loc"] if part != "[key]")
    line, path = line_of(text, prefix + place), ".".join(place)
    kind, value, context = fault["type"], _shown(fault["input"]), fault.get("ctx", {})
    if kind == "extra_forbidden":
        known = known_keys(place[:-1])
        return [(line, f"unknown key {path}{did_you_mean(place[-1], known) or ', allowed are ' + ', '.join(known)}")]
    if kind == "missing":
        return [(line_of(text, prefix + place[:-1]), f"{_TABLES.get(path, path)} is missing")]
    if kind == "value_error":
        error = context.get("error", fault["msg"])
        parts = getattr(error, "faults", None)  # a rule over several keys names the place of each fault itself
        if parts is not None:
            return [(line_of(text, prefix + where), sentence) for where, sentence in parts]
        return [(line, f"{path}: {error}" if path else str(error))]
    if kind == "literal_error":
        near = did_you_mean(fault["input"], re.findall(r"'([^']*)'", context["expected"])) if isinstance(fault["input"], str) else ""
        return [(line, f"{path} must be {context['expected']}, not {value}{near}")]
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        limit, word = next(iter(context.items()))[1], "at least" if kind.startswith("greater") else "at most"
        return [(line, f"{path} must be {word} {limit:g}, not {value}")]
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        least = kind.endswith("short")
        count = context["min_length" if least else "max_length"]
        what = "letters" if kind.startswith("string") else "entries"
        return [(line, f"{path} must have {'at least' if least else 'at most'} {count} {what}, not {value}")]
    if kind.endswith(("_type", "_parsing", "_from_float")):
        return [(line, f"{path} must be {_TYPES.get(kind, kind)}, not {value}")]
    return [(line, f"{path}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, not {value}")]


def _shown(value: object) -> str:
    text = repr(value[: _SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


_HEADER: Final = re.compile(r"\s*\[\[?\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART: Final = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")


def line_of(text: str, place: Place) -> int:
    """Return the line (from 1) on which a key or table of a TOML text stands, or of the table that should hold it.

    tomllib keeps no line numbers. This small scan knows headers and `key = value` lines, which is how manifests are
    written; for inline tables it returns the line of the outer key, and 0 for the top of the file.
    """
    best_length, best_line = 0, 0
    table: Place = ()
    inside = 0  # the first line of something within the place: [a.b] for the place a
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            path = table = _parts(header[1])
        elif key := _KEY.match(line):
            path = (*table, *_parts(key[1]))
        else:
            continue
        if len(path) > best_length and place[: len(path)] == path:
            best_length, best_line = len(path), number
        if not inside and place and path[: len(place)] == place:
            inside = number
    return best_line if best_length == len(place) else inside or best_line


def _parts(dotted: str) -> Place:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
