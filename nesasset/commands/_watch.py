"""Building again whenever something changes that the build reads. Uses watchfiles where it is installed, else looks twice a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click


def watch(manifest_path: str | None, folder: str | None, build: Callable[[], None]) -> None:
    """Build, and again after every change of the manifest, its maps and the kept scores, until Ctrl-C."""
    from nesasset.build import project
    from nesasset.errors import NesassetError

    path = project.find(manifest_path)
    while True:
        try:
            build()
        except NesassetError as error:
            for line in str(error).splitlines():
                click.echo(f"nesasset: {line}", err=True)
        seen = _state(_watched(path, folder))
        click.echo("watching, Ctrl-C ends", err=True)
        for _ in _ticks(path.parent):
            if _state(_watched(path, folder)) != seen:
                break


def _watched(path: Path, folder: str | None) -> list[Path]:
    """Return the files whose change means work; a manifest with faults is all there is to watch."""
    from nesasset.build import project
    from nesasset.errors import NesassetError

    try:
        found = project.load(path, folder)
    except NesassetError:
        return [path]
    return [*found.inputs, *(found.score_path(track_id) for track_id in found.orders)]


def _state(paths: list[Path]) -> Mapping[Path, tuple[int, int] | None]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _ticks(folder: Path) -> Iterator[None]:
    """Yield whenever something may have changed below a folder."""
    try:
        from watchfiles import watch as changes
    except ImportError:
        while True:
            time.sleep(0.5)
            yield
    for _ in changes(folder, raise_interrupt=True, rust_timeout=1000, yield_on_timeout=True):
        yield
