"""A song on its rows as a file of arrays: written whole or not at all, read without a pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from export.songs import Song

_NUMBERS = ("name", "split", "row_frames", "delays", "bar_rows", "loop", "tail", "label", "on_row", "lost")
_ARRAYS = ("boundaries", "cells", "note_delays")


def save(song: Song, path: Path) -> None:
    """Write a song to an .npz file. Inverse: `load`."""
    numbers = json.dumps({name: getattr(song, name) for name in _NUMBERS}, default=float)
    arrays = {name: getattr(song, name) for name in _ARRAYS}
    for voice in song.notes:
        arrays[f"notes_{voice}"], arrays[f"envelopes_{voice}"] = song.notes[voice], song.envelopes[voice]
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, numbers=np.array(numbers), **arrays)
    temporary.replace(path)


def load(path: Path) -> Song:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as data:
        numbers = json.loads(str(data["numbers"]))
        voices = [name.removeprefix("notes_") for name in data.files if name.startswith("notes_")]
        song = Song(
            **{**numbers, "delays": tuple(numbers["delays"]), "loop": tuple(numbers["loop"]) if numbers["loop"] else None},
            **{name: data[name] for name in _ARRAYS},
        )
        song.notes = {voice: data[f"notes_{voice}"] for voice in voices}
        song.envelopes = {voice: data[f"envelopes_{voice}"] for voice in voices}
    return song
