"""The lock: nesasset.lock, which pins every score and every file of a build. Reads and writes it; compares nothing.

It stands beside the manifest, under version control, with the scores. A lock says of each track what was asked for, in the
clear, so that a change can be told in words; the SHA-256 of its score and of its sound; and the files of each export with
what they were made from. It is TOML with sorted keys, a table a track, so that two people's changes can be merged.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nesasset.errors import LockError
from nesasset.formats.files import read_bytes, write_bytes

VERSION: Final = 1
MAX_BYTES: Final = 16_000_000  # 4096 tracks for three engines take about 10 MB
_FILE: Final = re.compile(r"([0-9a-f]{64}) ([0-9]{1,12})")
_HEAD: Final = "# Written by nesasset build: pins the music. Keep it under version control beside the scores; do not edit it.\n"


@dataclass(frozen=True, slots=True)
class Files:
    """What one export has of one track, or around all of them."""

    made_from: Mapping[str, Any]
    """Short digests and versions of everything that the files depend on, by name."""
    files: Mapping[str, tuple[str, int]]
    """SHA-256 and size by path."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """One track."""

    wishes: Mapping[str, Any]
    """theme, seed and controls as the manifest had them, and of a family's member which it is."""
    title: str
    score_sha256: str
    edited: bool
    """A person has worked on the score; it is never composed anew."""
    driver: int
    pcm_sha256: str
    """Of the sound at the pack's rate."""
    exports: Mapping[str, Files] = field(default_factory=dict)
    parent_pcm: str = ""
    """Of a family's member: the beginning of its parent's pcm_sha256 when it was made."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A whole lock."""

    generator: str = ""
    encoders: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries that encoded the files: others may encode the same sound as other bytes."""
    tracks: Mapping[str, Pinned] = field(default_factory=dict)
    around: Mapping[str, Files] = field(default_factory=dict)
    """Files that belong to no single track, by engine."""


def load(path: Path) -> Lock | None:
    """Read a lock; None if there is none.

    Raises:
        LockError: It cannot be read or is damaged.
    """
    if not path.exists():
        return None
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8")
        return loads(text)
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        reason = str(error) if isinstance(error, LockError) else f"{type(error).__name__}: {str(error)[:120]}"
        raise LockError(f"{path.name} is damaged ({reason}); restore it from version control, or remove it and build: the scores stay") from error


def loads(text: str) -> Lock:
    """Return the lock that a text holds. Inverse of `dumps`.

    Raises:
        LockError, ValueError, KeyError, TypeError: The text is no lock; `load` makes one sentence of these.
    """
    tables = tomllib.loads(text)
    version = tables.get("version")
    if version != VERSION:
        raise LockError(f"its version must be {VERSION}, not {str(version)[:20]}; a newer nesasset may read it")
    tracks = {str(name): _pinned(table) for name, table in _table(tables.get("track", {})).items()}
    around = {str(name): _files(table) for name, table in _table(tables.get("export", {})).items()}
    encoders = {str(name): str(value) for name, value in _table(tables.get("encoders", {})).items()}
    return Lock(str(tables.get("generator", "")), encoders, tracks, around)


def _pinned(table: Any) -> Pinned:
    table = _table(table)
    wishes = {"theme": _typed(table["theme"], str), "seed": _typed(table["seed"], int), "controls": dict(_table(table.get("controls", {})))}
    if "family" in table:
        wishes["family"] = _typed(table["family"], str)
    return Pinned(
        wishes,
        _typed(table["title"], str),
        _typed(table["score_sha256"], str),
        _typed(table["edited"], bool),
        _typed(table["driver"], int),
        _typed(table["pcm_sha256"], str),
        {str(name): _files(entry) for name, entry in _table(table.get("export", {})).items()},
        _typed(table.get("parent_pcm", ""), str),
    )


def _files(table: Any) -> Files:
    table = _table(table)
    files: dict[str, tuple[str, int]] = {}
    for path, value in _table(table.get("files", {})).items():
        match = _FILE.fullmatch(_typed(value, str))
        parts = path.split("/")
        if match is None or ".." in parts or "" in parts or "\\" in path or "\0" in path or ":" in path:
            raise LockError(f"{path[:80]!r} is no file of an export")
        files[path] = (match[1], int(match[2]))
    return Files(dict(_table(table.get("made_from", {}))), files)


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LockError(f"a table must stand where {str(value)[:40]!r} is")
    return value


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise LockError(f"{str(value)[:40]!r} must be {kind.__name__}")
    return value


def dumps(lock: Lock) -> str:
    """Return the text of a lock. Inverse of `loads`."""
    import tomli_w

    tracks = {
        name: {
            **{key: pinned.wishes[key] for key in ("theme", "seed", "family") if key in pinned.wishes},
            **({"parent_pcm": pinned.parent_pcm} if pinned.parent_pcm else {}),
            "title": pinned.title,
            "driver": pinned.driver,
            "edited": pinned.edited,
            "score_sha256": pinned.score_sha256,
            "pcm_sha256": pinned.pcm_sha256,
            "controls": dict(sorted(pinned.wishes["controls"].items())),
            "export": {engine: _files_table(files) for engine, files in sorted(pinned.exports.items())},
        }
        for name, pinned in sorted(lock.tracks.items())
    }
    tables = {
        "version": VERSION,
        "generator": lock.generator,
        "encoders": dict(sorted(lock.encoders.items())),
        "export": {engine: _files_table(files) for engine, files in sorted(lock.around.items())},
        "track": tracks,
    }
    return _HEAD + tomli_w.dumps(tables)


def _files_table(files: Files) -> dict[str, Any]:
    return {
        "made_from": dict(sorted(files.made_from.items())),
        "files": {path: f"{sha256} {size}" for path, (sha256, size) in sorted(files.files.items())},
    }


def save(lock: Lock, path: Path) -> None:
    """Write a lock, whole or not at all. Inverse of `load`.

    Raises:
        OutputError: The file cannot be written.
    """
    write_bytes(path, dumps(lock).encode())
