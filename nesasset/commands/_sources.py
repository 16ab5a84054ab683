"""What `render` and `import` read: which file is music for which of our nouns, by its suffix. Holds no format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from nesasset.register_log import RegisterLog
    from nesasset.score import Score

TRACKERS: Final = (".ftm.txt", ".fms.txt")
LOGS: Final = (".vgm", ".vgz", ".log")


def suffix_of(path: str, suffixes: tuple[str, ...]) -> str | None:
    """Return the suffix of `suffixes` that a file's name ends with, or None."""
    return next((suffix for suffix in suffixes if path.lower().endswith(suffix)), None)


def read_music(path: str, nesmdb: bool) -> Score | RegisterLog:
    """Read what can be played: a score, a register log, or with `nesmdb` one of NES-MDB's MIDI files."""
    if suffix_of(path, (".mid", ".midi")):
        if not nesmdb:
            raise click.UsageError(f"{path} is MIDI: make a score of it with nesasset import, or play it as NES-MDB's with --nesmdb")
        from nesasset.formats import nesmdb_log, nesmdb_midi

        return nesmdb_log.to_log(nesmdb_midi.load(path))
    if suffix_of(path, TRACKERS):
        raise click.UsageError(f"{path} is a tracker's text: make a score of FamiTracker's with nesasset import")
    suffix = suffix_of(path, LOGS)
    if suffix == ".log":
        from nesasset.formats import register_text

        return register_text.load(path)
    if suffix:
        from nesasset.formats import files, vgm

        return vgm.loads(files.read_bytes(path, vgm.MAX_BYTES), path)
    from nesasset.formats import score_json

    return score_json.load(path)


def title_of(music: Score | RegisterLog, path: str) -> str:
    """Return a score's title, else the file's name without its suffixes."""
    return getattr(music, "title", "") or Path(path).name.split(".")[0]
