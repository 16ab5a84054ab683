"""Progress of a build on a terminal: a line for each track that is being made, and a bar. Knows no stage's work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from nesasset.build.plan import Plan
    from nesasset.build.studio import Made


_STAGES: Final = {"compose": "composing", "log": "driving", "sound": "rendering", "facts": "measuring", "file": "encoding"}


class Shown:
    """What stands on the terminal."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._all: TaskID | None = None
        self._tracks: dict[str, TaskID] = {}

    def planned(self, todo: Plan) -> None:
        """Show how many tracks there are to make."""
        stale = sum(not track.fresh for track in todo.tracks.values())
        if stale:
            self._all = self._bar.add_task("building", total=stale)

    def started(self, track_id: str) -> None:
        """Note that a track waits for its turn."""
        self._tracks[track_id] = self._bar.add_task(track_id, total=None, visible=False)

    def look(self, folder: Path) -> None:
        """Show the stages that the workers have told."""
        for track_id, task in list(self._tracks.items()):
            try:
                name = (folder / track_id).read_text(encoding="utf-8")
            except OSError:
                continue
            if name:  # it is just being written
                self._bar.update(task, description=f"{track_id}: {_STAGES.get(name, name)}", visible=True)

    def finished(self, made: Made) -> None:
        """Take a track's line away and move the bar."""
        if made.id in self._tracks:
            self._bar.remove_task(self._tracks.pop(made.id))
        if self._all is not None:
            self._bar.advance(self._all)


@contextmanager
def progress(stages: Path | None) -> Iterator[Shown]:
    """Give a terminal's progress, gone at the end.

    Args:
        stages: Folder in which workers tell what they are at; None where they cannot.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    ended = threading.Event()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = Shown(bar)

        def look() -> None:
            while stages is not None and not ended.wait(0.2):
                shown.look(stages)

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield shown
        finally:
            ended.set()
            looking.join()
