"""The tracks p1, p2, tr and no of a MIDI file, frame by frame, and the file's time in frames. Makes no score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.formats import midi as writer
from nesasset.formats.midi_frames import VoiceFrames, sounding_frames, spans_to_frames
from nesasset.formats.midi_notes import Midi, MidiTrack
from nesasset.units import FRAME_RATE_HZ, MAX_VOLUME

MAX_FRAMES: Final = 216_000  # an hour
_EXACT: Final = Fraction(1, 40_000)  # by which a tempo in whole microseconds may miss a whole number of frames


class Clock:
    """Turns ticks into frames, and counts what falls between two."""

    def __init__(self, ticks_per_frame: Fraction, left_out: Counter[str]) -> None:
        self._unit = ticks_per_frame
        self._left_out = left_out

    def frames(self, ticks: Iterable[int]) -> NDArray[np.int64]:
        """Return the nearest frames; ticks beyond MAX_FRAMES are cut, which keeps all numbers below 2 ** 63."""
        latest = int((MAX_FRAMES + 1) * self._unit)
        found = np.minimum(np.fromiter(ticks, dtype=np.int64), latest)
        doubled, rest = np.divmod(2 * self._unit.denominator * found, self._unit.numerator)
        off = int(((rest != 0) | (doubled % 2 != 0)).sum())
        if off:
            self._left_out["times that are no whole frames are rounded"] += off
        frames: NDArray[np.int64] = (doubled + 1) // 2
        return frames

    def frame(self, tick: int) -> int:
        """Return the nearest frame."""
        return int(self.frames([tick])[0])


def file_clock(midi: Midi) -> tuple[Fraction, Fraction]:
    """Return ticks a frame and frames a beat, whole ticks where the tempo means them."""
    if isinstance(midi.ticks_per_beat, Fraction):
        return midi.ticks_per_beat / FRAME_RATE_HZ, Fraction(24)
    tempo = midi.tempos[0][1] if midi.tempos else 500_000
    beat = Fraction(tempo * FRAME_RATE_HZ, 1_000_000)
    exact = midi.ticks_per_beat / beat
    whole = max(1, round(exact))
    if abs(whole / exact - 1) <= _EXACT:
        return Fraction(whole), Fraction(midi.ticks_per_beat, whole)
    return exact, beat


def file_frames(track: MidiTrack, voice: str, n_frames: int, clock: Clock, louder: bool) -> VoiceFrames:
    """Return a voice's frames. Where notes overlap the later one sounds; each begins with its velocity as the volume."""
    notes = sorted((*track.notes, *track.drums), key=lambda note: note.start)
    starts = clock.frames(note.start for note in notes)
    ends = np.minimum(clock.frames(note.end for note in notes), n_frames)
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    whole = np.flatnonzero(starts < ends)
    which = spans_to_frames(n_frames, starts[whole], ends[whole], whole)
    pitches = np.array([note.pitch for note in notes] or [0], dtype=np.int16)
    keys = np.where(which >= 0, pitches[which], np.int16(-1)).astype(np.int16)
    timbres = np.zeros(n_frames, dtype=np.int8)
    if voice == "TR":
        volumes = np.full(n_frames, MAX_VOLUME, dtype=np.int8)
    else:
        # At one tick the velocity comes last, whatever the order in the file.
        changes = sorted(
            [(tick, 0, value) for tick, value in track.volumes] + [(note.start, 1, note.velocity) for note in notes]
        )
        levels = _held(clock, [(tick, value) for tick, _, value in changes], n_frames)
        scale = writer.GENERAL_MIDI_SCALE if louder else 1
        volumes = np.minimum(MAX_VOLUME, np.rint(levels / scale)).astype(np.int8)
        timbres = (_held(clock, track.timbres, n_frames) & (1 if voice == "NO" else 3)).astype(np.int8)
    return sounding_frames(keys, _held(clock, track.bends, n_frames), volumes, timbres, starts[whole])


def _held(clock: Clock, changes: list[tuple[int, int]], n_frames: int) -> NDArray[np.int32]:
    """Return the value in force in each frame, 0 before the first; changes are in time order."""
    frames = clock.frames(tick for tick, _ in changes)
    values = np.array([0, *(value for _, value in changes)], dtype=np.int32)
    found: NDArray[np.int32] = values[np.searchsorted(frames, np.arange(n_frames), side="right")]
    return found
