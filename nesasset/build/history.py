"""What a score was before somebody changed it: from version control. Runs git, if there is one; changes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nesasset.build.lock import Lock
from nesasset.build.plan import Plan
from nesasset.build.project import Project
from nesasset.errors import NesassetError
from nesasset.formats import score_json

_TIMEOUT_S: Final = 10


def edits(project: Project, todo: Plan) -> Iterator[tuple[str, list[str]]]:
    """Yield each track whose score is not the lock's, with what has changed in words; nothing where git does not know it."""
    pinned = (todo.locked or Lock()).tracks
    for track_id, track in todo.tracks.items():
        if track.score is None or track_id not in pinned or pinned[track_id].score_sha256 == track.score_sha256:
            continue
        before = committed(project.score_path(track_id))
        if before is None:
            continue
        from nesasset.build.diff import compare, words

        try:
            yield track_id, words(compare(score_json.loads(before), score_json.loads(track.score)))
        except NesassetError:
            continue


def committed(path: Path) -> str | None:
    """Return a file as the last commit has it; None if git does not know it."""
    try:
        done = subprocess.run(  # noqa: S603, a list of arguments and no shell
            ["git", "show", f"HEAD:./{path.name}"],  # noqa: S607, the user's own git
            cwd=path.parent, capture_output=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
