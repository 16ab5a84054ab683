"""One file of music, of any kind that can be read, as a song on its rows. One file in, one `Song` or a reason out.

Known are General MIDI and MusicXML (arranged for the four voices), NES-MDB's MIDI and score pickles, VGM, FamiTracker text and our
own scores. What a file is, is told by its suffix and its first bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.from_score import cut, score_to_song
from export.labels import label_of
from export.songs import DATA_FRAME_RATE_HZ, Song, to_song
from nesasset.apu.state import channel_frames, period_pitches
from nesasset.errors import FormatError, NesassetError
from nesasset.formats import famitracker, files, midi_import, musicxml, nesmdb_midi, nesmdb_scores, score_json, vgm
from nesasset.register_log import RegisterLog
from nesasset.score import Score
from nesasset.themes import THEMES
from nesasset.units import NOISE_PERIODS, PITCH_RANGES

MAX_BYTES = 8 * 1024 * 1024
MAX_FRAMES = 60 * 60 * 20  # twenty minutes: a VGM of an hour costs minutes to put on rows
SUFFIXES = (".mid", ".midi", ".mxl", ".musicxml", ".xml", ".vgm", ".vgz", ".txt", ".pkl", ".json")
NO_READER = {
    ".ftm": "FamiTracker's binary form is not read: export it as text",
    ".0cc": "0CC-FamiTracker's binary form is not read: export it as text",
    ".dnm": "Dn-FamiTracker's binary form is not read: export it as text",
    ".fms": "FamiStudio's own form is not read: export it as FamiTracker text",
    ".uge": "hUGETracker songs are not read",
    ".mod": "tracker modules are not read",
    ".xm": "tracker modules are not read",
    ".nsf": "NSF files are programs and are not read: log them as VGM",
    ".mus": "MUS files are not read: convert them to MIDI",
    ".abc": "ABC is not read: convert it to MIDI or MusicXML",
    ".krn": "kern is not read: convert it to MusicXML",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a file."""

    kind: str
    """'General MIDI', 'MusicXML', 'NES-MDB MIDI', 'NES-MDB score', 'VGM', 'FamiTracker text', 'score'."""
    result: Song | str
    """The song, or the reason why there is none."""
    reduced: tuple[str, ...] = ()
    """What was moved, reduced or left out, a sentence each."""


def may_be_music(path: Path) -> bool:
    """Return whether a file has a suffix of music: texts and JSON only if they begin like it."""
    suffix = path.suffix.lower()
    if suffix in (".txt", ".json", ".xml"):
        try:
            with path.open("rb") as file:
                head = file.read(4096)
        except OSError:
            return True  # to be told as unreadable
        marks = {".txt": b"FamiTracker text export", ".json": b"nesasset", ".xml": b"score-partwise"}
        return marks[suffix] in head
    return suffix in SUFFIXES


def read_song(path: Path, name: str, *, whole: bool = True, label: str | None = None) -> Reading:
    """Read a file.

    Args:
        path: The file.
        name: The song's.
        whole: Whether a piece without loop marks loops as a whole.
        label: The song's label; None for what its name says.

    Raises:
        NesassetError: The file cannot be read.
    """
    data = files.read_bytes(path, MAX_BYTES)
    suffix = path.suffix.lower()
    known = label_of(name) if label is None else label

    def scored(kind: str, score: Score, notes: tuple[str, ...] = ()) -> Reading:
        theme = THEMES[score.theme].label if score.theme in THEMES else None
        return Reading(kind, score_to_song(score, name, label=theme or known, whole=whole), notes)

    if suffix in (".mid", ".midi"):
        if data[:4] == b"MThd" and int.from_bytes(data[12:14], "big") == nesmdb_midi._TICKS_PER_BEAT:  # noqa: SLF001 - NES-MDB's mark
            frames = nesmdb_midi.to_frames(nesmdb_midi.loads(data))
            return Reading("NES-MDB MIDI", _labelled(to_song(frames, name, "", None), known))
        score, notes = midi_import.loads(data, path.name)
        return scored("General MIDI", score, notes)
    if suffix in (".mxl", ".musicxml", ".xml"):
        score, notes = musicxml.loads(data, path.name)
        return scored("MusicXML", score, notes)
    if suffix in (".vgm", ".vgz"):
        return Reading("VGM", _labelled(log_to_song(vgm.loads(data, path.name), name), known))
    if suffix == ".pkl":
        return Reading("NES-MDB score", _labelled(_pickled(nesmdb_scores.loads(data), name), known))
    if suffix == ".txt":
        score, notes = famitracker.loads(data.decode("utf-8", errors="replace"), path.name)
        return scored("FamiTracker text", score, tuple(notes))
    if suffix == ".json":
        return scored("score", score_json.loads(data.decode("utf-8", errors="replace")))
    raise FormatError(f"{path.name}: no music is read from {suffix} files")


def _labelled(song: Song | str, label: str) -> Song | str:
    if isinstance(song, Song):
        song.label = label
    return song


def _pickled(score: nesmdb_scores.NesmdbScore, name: str) -> Song | str:
    """Return a score of 24 slots a second on its rows; onsets are as rough as the slots are."""
    if not score.is_expressive:
        return "a separated score has no volumes: use the expressive one"
    n_frames = int(len(score.values) * DATA_FRAME_RATE_HZ / score.rate_hz)
    if not 0 < n_frames <= MAX_FRAMES:
        return f"longer than {MAX_FRAMES} frames"
    at = np.minimum((np.arange(n_frames) * score.rate_hz / DATA_FRAME_RATE_HZ).astype(np.int64), len(score.values) - 1)
    return to_song(score.values[at], name, "", None)


def log_to_song(log: RegisterLog, name: str) -> Song | str:
    """Return what a register log plays, on its rows; the loop is the log's, if it is on bar lines."""
    if log.n_frames > MAX_FRAMES:
        return f"longer than {MAX_FRAMES} frames"
    frames = log_frames(log)
    song = to_song(frames, name, "", None)
    if isinstance(song, Song) and log.loop is not None:
        rows = [int(np.abs(song.boundaries - frame).argmin()) for frame in log.loop]
        length = (rows[1] - rows[0]) // song.bar_rows * song.bar_rows
        start = rows[0] - rows[0] % song.bar_rows
        if length >= song.bar_rows and rows[1] - rows[0] - length <= 2 and start + length <= len(song.cells):
            song.loop = (start, start + length)
            cut(song, start + length)
    return song


def log_frames(log: RegisterLog) -> NDArray[np.uint8]:
    """Return a log frame by frame as NES-MDB has it: (n_frames, 4, 3) of note, volume, timbre."""
    state = channel_frames(log)
    found = np.zeros((log.n_frames, 4, 3), dtype=np.uint8)
    for column, voice in enumerate(("P1", "P2", "TR")):
        low, high = PITCH_RANGES[voice]
        periods = np.clip(state[voice]["period"], 0, 2047)
        pitch = period_pitches(voice)[periods]
        volume = state[voice]["volume"] if voice != "TR" else 15 * state[voice]["on"]
        heard = (volume > 0) & (pitch >= low) & (pitch <= high)
        found[:, column, 0] = np.where(heard, pitch, 0)
        found[:, column, 1] = np.where(heard, volume, 0)
        if voice != "TR":
            found[:, column, 2] = state[voice]["duty"] & 3
    volume = state["NO"]["volume"]
    found[:, 3, 0] = np.where(volume > 0, NOISE_PERIODS - np.clip(state["NO"]["period"], 0, 15), 0)
    found[:, 3, 1] = volume
    found[:, 3, 2] = state["NO"]["mode"]
    return found


def reason_of(error: Exception) -> str:
    """Return why a file has no song, without its name: alike reasons are counted together."""
    text = str(error)
    return text.split(": ", 1)[1] if isinstance(error, NesassetError) and ": " in text[:120] else text

