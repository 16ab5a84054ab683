"""NES-MDB's MIDI files, read exactly: every state change of every voice at its 44.1 kHz sample.

NES-MDB (Donahue, Mao, McAuley, ISMIR 2018) writes a song as four tracks p1, p2, tr, no at 22050 ticks a beat and
120 beats a minute, so that one tick is one sample at 44.1 kHz. Control change 11 is a volume change within a note,
12 is the duty of a pulse or the mode of the noise, the velocity is the volume at the onset, and the second time
signature marks the end of the song. Tempo and bars carry no meaning. Holds no musical judgement: export/ has that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import FormatError
from nesasset.formats import files, midi
from nesasset.units import VOICES

SAMPLE_RATE_HZ = 44_100
FRAME_SAMPLES = 44_100 / 60.0988  # the console's own frame, 733.79 samples: the clock of the data, not of our files
MAX_SAMPLES = 44_100 * 3600
_TRACKS = {"p1": "P1", "p2": "P2", "tr": "TR", "no": "NO"}
_TICKS_PER_BEAT = 22_050
_META, _TRACK_NAME, _TIME_SIGNATURE = 0xFF, 0x03, 0x58
_Event = tuple[int, int, int, int | bytes]  # as midi.read_events gives them


@dataclass(frozen=True, slots=True, eq=False)
class NesmdbSong:
    """One NES-MDB song."""

    n_samples: int
    """Length at 44.1 kHz."""
    states: dict[str, NDArray[np.int32]]
    """For each voice an array (n, 4): sample, note (0 silent), volume (0 to 15), timbre; in time order, one row a sample."""


def load(path: str | Path) -> NesmdbSong:
    """Read an NES-MDB MIDI file.

    Raises:
        FormatError: The file is no MIDI file, or not one of NES-MDB's.
    """
    data = files.read_bytes(path, midi.MAX_BYTES)
    try:
        return loads(data)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def loads(data: bytes) -> NesmdbSong:
    """Return the song that a MIDI file holds; see `load`."""
    ticks_per_beat, contents = midi.read_tracks(data)
    if ticks_per_beat != _TICKS_PER_BEAT:
        raise FormatError(f"NES-MDB files have {_TICKS_PER_BEAT} ticks a beat, this one has {ticks_per_beat}")
    room = midi.MAX_EVENTS
    tracks: dict[str, list[_Event]] = {}
    for index, content in enumerate(contents):
        events: list[_Event] = list(midi.read_events(content, index, room))
        room -= len(events)
        if not index:
            head = events
        names = (text for _, status, kind, text in events if status == _META and kind == _TRACK_NAME)
        name = next(names, b"")
        tracks[name.decode("latin1") if isinstance(name, bytes) else ""] = events
    ends = [tick for tick, status, kind, _ in head if status == _META and kind == _TIME_SIGNATURE]
    if len(ends) < 2 or not 0 < ends[1] <= MAX_SAMPLES:
        raise FormatError(f"no end mark (a second time signature within {MAX_SAMPLES} samples) was found")
    if not tracks.keys() >= _TRACKS.keys():
        found = ", ".join(name[:20] for name in list(tracks)[:8])
        raise FormatError(f"NES-MDB files have tracks p1, p2, tr and no, this one has {found!r}")
    return NesmdbSong(ends[1], {voice: _states(tracks[name], voice) for name, voice in _TRACKS.items()})


def _states(events: list[_Event], voice: str) -> NDArray[np.int32]:
    """Fold a track's events into states, the last one of each sample kept; nothing after the longest song is looked at."""
    rows: list[tuple[int, int, int, int]] = []
    note = volume = timbre = 0
    for tick, status, first, second in events:
        kind = status & 0xF0
        if kind not in (0x80, 0x90, 0xB0):
            continue
        assert isinstance(second, int)  # bytes are of metadata and system messages
        if tick > MAX_SAMPLES:
            break
        if kind == 0xB0:
            if first == 11:
                volume = second
            elif first == 12:
                timbre = second
            else:
                continue
        elif kind == 0x90 and second:
            note, volume = first, 15 if voice == "TR" else second
        elif first == note:
            note = 0
        else:
            continue  # the off of a note that another one has already replaced
        state = (tick, note, volume if note else 0, timbre)
        if rows and rows[-1][0] == tick:
            rows[-1] = state
        else:
            rows.append(state)
    return np.array(rows, dtype=np.int32).reshape(-1, 4)


def without_glitches(states: NDArray[np.int32], shortest: float = FRAME_SAMPLES / 2) -> NDArray[np.int32]:
    """Drop sounding notes shorter than half a frame: register writes in passing, never heard as notes.

    Args:
        states: One voice of a song, shape (n, 4).
        shortest: Samples that a note must last.
    """
    if len(states) < 2:
        return states
    notes = states[:, 1]
    starts = np.flatnonzero(np.diff(notes, prepend=-1))  # runs of one note value
    ends = np.append(states[starts[1:], 0], np.iinfo(np.int32).max)
    short = (ends - states[starts, 0] < shortest) & (notes[starts] > 0)
    keep = ~np.repeat(short, np.diff(np.append(starts, len(states))))
    kept: NDArray[np.int32] = states[keep]
    return kept


def frame_phase(song: NesmdbSong) -> float:
    """Return where in the 733.79-sample frame the song's writes cluster, in samples from the song's start."""
    ticks = np.concatenate([song.states[voice][:, 0] for voice in VOICES])
    if not len(ticks):
        return 0.0
    angle = np.angle(np.exp(2j * np.pi * ticks / FRAME_SAMPLES).sum())
    return float(angle / (2 * np.pi) % 1 * FRAME_SAMPLES)


def to_frames(song: NesmdbSong) -> NDArray[np.uint8]:
    """Sample a song once a frame, in the middle between two clusters of writes, glitches dropped.

    Returns:
        Array (n_frames, 4, 3): voices P1, P2, TR, NO; note (0 silent), volume 0 to 15, timbre.
    """
    phase = frame_phase(song)
    if phase > FRAME_SAMPLES / 2:
        phase -= FRAME_SAMPLES  # a cluster that straddles the start belongs to frame 0
    n_frames = max(1, round((song.n_samples - phase) / FRAME_SAMPLES))
    at = phase + (np.arange(n_frames) + 0.5) * FRAME_SAMPLES
    out = np.zeros((n_frames, 4, 3), dtype=np.uint8)
    for index, voice in enumerate(VOICES):
        states = without_glitches(song.states[voice])
        if len(states):
            row = np.searchsorted(states[:, 0], at, side="right") - 1
            out[:, index] = np.where(row[:, None] >= 0, states[np.maximum(row, 0), 1:], 0)
    return out
