"""What `render` and `import` read: which file is music for which of our nouns, by its suffix. Holds no format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from nesasset.register_log import RegisterLog
    from nesasset.score import Score

TRACKERS: Final = (".ftm.txt", ".fms.txt")
IMPORTED: Final = (".ftm.txt", ".mid", ".midi", ".mxl", ".musicxml")
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


def read_score(path: str) -> Score:
    """Read what can be composed with: a score, MIDI, MusicXML or FamiTracker's text; what was left out is told on standard error."""
    suffix = suffix_of(path, (".json", *IMPORTED))
    if suffix is None:
        raise click.UsageError(f"the suffix of {path!r} must be one of .json, {', '.join(IMPORTED)}")
    from nesasset.formats import famitracker, midi_import, musicxml, score_json

    score: Score
    if suffix == ".json":
        score = score_json.load(path)
        return score
    reader = {".ftm.txt": famitracker, ".mxl": musicxml, ".musicxml": musicxml}.get(suffix, midi_import)
    score, notes = reader.load(path)
    for note in notes:
        click.echo(f"note: {path}: {note}", err=True)
    return score


def title_of(music: Score | RegisterLog, path: str) -> str:
    """Return a score's title, else the file's name without its suffixes."""
    return getattr(music, "title", "") or Path(path).name.split(".")[0]
