"""Every frame of a voice as a MIDI file tells it: key, bend, volume and timbre. Reads and writes no file.

Both ways meet here: midi.py writes the frames of a score as events, midi_tracks.py reads events back into frames, and
where the two agree a score is exact.

How the idioms are told, and why so:

- An arpeggio is fast notes, as in NES-MDB: they can be seen and edited, tools that know nothing of bends hear them, and
  players that smooth the bend wheel do not smear them. For the noise they are the only way.
- A slide and a vibrato are pitch bend: one note that moves. The same in notes would begin anew in every frame, and the
  modulation wheel has neither speed nor depth of its own. A distance of more than 24 semitones, which is what common
  players reach, is bridged by notes two octaves apart.
- The pitch is the one that is meant, not the one of the timer's whole periods; only where the driver holds a pitch back
  (at the ends of the timer's range, and a pulse's vibrato at a change of the period's high bits) does the bend follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.state import CYCLES_PER_PERIOD
from nesasset.apu.tables import MAX_PERIOD
from nesasset.driver import period_table
from nesasset.formats.sounding import SoundingNote, sounding_notes
from nesasset.score import Instrument, Score, scale_volume
from nesasset.units import CPU_CLOCK_HZ, MAX_VOLUME, NOISE_PERIODS, PITCH_RANGES, VOICE_KINDS

MAX_BEND: Final = 24  # semitones
# General MIDI percussion: closed hi-hat, open hi-hat, snare, low tom, bass drum, by noise period index.
PERCUSSION: Final = (42,) * 4 + (46,) * 3 + (38,) * 4 + (45,) * 3 + (36,) * 2
HIGHEST_KEY: Final = 127
_SCALED: Final = np.array(
    [[scale_volume(volume, level) for volume in range(MAX_VOLUME + 1)] for level in range(MAX_VOLUME + 1)],
    dtype=np.int8,
)


@dataclass(frozen=True, slots=True, eq=False)
class VoiceFrames:
    """One voice, frame by frame; arrays of shape (n_frames,). Where nothing sounds the key is -1 and the rest means nothing."""

    keys: NDArray[np.int16]
    """MIDI note number, -1 for silence."""
    bends: NDArray[np.int32]
    """Cents on top of the key."""
    volumes: NDArray[np.int8]
    """1 to 15; 15 throughout on the triangle."""
    timbres: NDArray[np.int8]
    """Duty of a pulse, mode of the noise, 0 on the triangle."""
    onsets: NDArray[np.bool_]
    """Whether a MIDI note begins: after silence, at a note of the score, at a new key."""

    def differ(self, other: VoiceFrames) -> NDArray[np.bool_]:
        """Return the frames in which two readings differ to the ear; bends within a cent are the same."""
        sounds = self.keys >= 0
        unlike = (self.volumes != other.volumes) | (self.timbres != other.timbres) | (self.onsets != other.onsets)
        unlike |= np.abs(self.bends - other.bends) > 1
        found: NDArray[np.bool_] = (self.keys != other.keys) | (sounds & unlike)
        return found

    def cut(self, n_frames: int) -> VoiceFrames:
        """Return the first frames."""
        return self.part(slice(0, n_frames))

    def part(self, here: slice | NDArray[np.int64]) -> VoiceFrames:
        """Return some of the frames."""
        return VoiceFrames(self.keys[here], self.bends[here], self.volumes[here], self.timbres[here], self.onsets[here])


def score_frames(score: Score, voice: str, general_midi: bool = False) -> VoiceFrames:
    """Return one voice of the first pass of a score. Inverse: midi_edits.py.

    Args:
        score: The score.
        voice: P1, P2, TR or NO.
        general_midi: Noise on the percussion keys of General MIDI, one for each note: a drum has no other pitch.
    """
    notes = sounding_notes(score, voice)
    frames = _silence(score.n_frames)
    if not notes:
        return frames
    begin = np.array([note.onset_frame for note in notes])
    lengths = np.array([note.end_frame for note in notes]) - begin
    which = np.repeat(np.arange(len(notes), dtype=np.int32), lengths)
    age = (np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)).astype(np.int32)
    at: NDArray[np.int64] = begin[which] + age
    numbers: dict[int, int] = {}  # of each instrument in use, by identity: hashing long envelopes for each note is slow
    used: list[Instrument] = []
    chosen = []
    for note in notes:
        if id(note.instrument) not in numbers:
            numbers[id(note.instrument)] = len(used)
            used.append(note.instrument)
        chosen.append(numbers[id(note.instrument)])
    player = np.array(chosen, dtype=np.int32)[which]
    levels = np.array([note.note.volume for note in notes], dtype=np.int8)[which]
    volumes = _SCALED[levels, _entries([entry.volume for entry in used], player, age)]
    arpeggio = np.zeros(len(which), dtype=np.int64)
    if any(entry.arpeggio for entry in used):
        loops = [entry.arpeggio_loop for entry in used]
        arpeggio = _entries([entry.arpeggio or (0,) for entry in used], player, age, loops).astype(np.int64)
    timbres = np.zeros(len(which), dtype=np.int8)
    bends: NDArray[np.int64] = np.zeros(len(which), dtype=np.int64)
    if voice == "NO":
        timbres = np.array([entry.mode for entry in used], dtype=np.int8)[player]
        periods = np.array([entry.period for entry in used])[player]
        moved = np.clip(periods + arpeggio, 0, NOISE_PERIODS - 1)
        keys = np.array(PERCUSSION)[periods] if general_midi else NOISE_PERIODS - moved
    else:
        keys, bends = _keys(VOICE_KINDS[voice], notes, which, used, player, age, arpeggio)
        if voice == "TR":
            volumes = np.where(volumes > 0, np.int8(MAX_VOLUME), np.int8(0))
        else:
            timbres = _entries([entry.duties or (entry.duty,) for entry in used], player, age).astype(np.int8)
    sounds = volumes > 0
    at, keys = at[sounds], keys[sounds]
    frames.keys[at], frames.bends[at] = keys, bends[sounds]
    frames.volumes[at], frames.timbres[at] = volumes[sounds], timbres[sounds]
    frames.onsets[:] = _changes(frames.keys)
    frames.onsets[at[age[sounds] == 0]] = True
    return frames


def spans_to_frames(
    n_frames: int, starts: NDArray[np.int64], ends: NDArray[np.int64], spans: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each frame the entry of `spans` whose start and end it lies between, -1 for none. None may overlap."""
    found = np.full(n_frames, -1, dtype=np.int64)
    lengths = ends - starts
    at = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
    found[at] = np.repeat(spans, lengths)
    return found


def sounding_frames(
    keys: NDArray[np.int16], bends: NDArray[np.int32], volumes: NDArray[np.int8], timbres: NDArray[np.int8],
    begun: NDArray[np.int64],
) -> VoiceFrames:  # fmt: skip
    """Return frames read from a file, silent where the volume is 0; `begun` are the frames in which its notes begin."""
    keys = np.where(volumes > 0, keys, np.int16(-1)).astype(np.int16)
    onsets = _changes(keys)
    onsets[begun] = True
    return VoiceFrames(keys, bends, volumes, timbres, onsets & (keys >= 0))


def _silence(n_frames: int) -> VoiceFrames:
    return VoiceFrames(
        np.full(n_frames, -1, dtype=np.int16),
        np.zeros(n_frames, dtype=np.int32),
        np.zeros(n_frames, dtype=np.int8),
        np.zeros(n_frames, dtype=np.int8),
        np.zeros(n_frames, dtype=bool),
    )


def _changes(keys: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Return where another key begins."""
    found: NDArray[np.bool_] = (keys >= 0) & (keys != np.concatenate([[-1], keys[:-1]]))
    return found


def _entries(
    sequences: list[tuple[int, ...]],
    player: NDArray[np.int32],
    age: NDArray[np.int32],
    loops: list[int | None] | None = None,
) -> NDArray[np.int32]:
    """Return the entry of each frame; after the last one a sequence goes on at its loop, or holds where that is None."""
    lengths = np.array([len(entries) for entries in sequences], dtype=np.int32)
    flat = np.concatenate([np.array(entries, dtype=np.int32) for entries in sequences])
    own = lengths[player]
    at = np.minimum(age, own - 1)
    if loops is not None and any(loop is not None for loop in loops):
        last = (lengths - 1).tolist()
        back = np.array([at if loop is None else loop for at, loop in zip(last, loops, strict=True)])[player]
        at = np.where(age < own, age, back + (age - back) % (own - back))
    found: NDArray[np.int32] = flat[(np.cumsum(lengths) - lengths)[player] + at]
    return found


# Pitch, in whole cents


def _keys(
    kind: str,
    notes: list[SoundingNote],
    which: NDArray[np.int32],
    used: list[Instrument],
    player: NDArray[np.int32],
    age: NDArray[np.int32],
    arpeggio: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the key of each frame, and the cents that are left for the bend wheel."""
    targets = np.array([note.note.pitch for note in notes])
    pitch = targets[which]
    meant = 100 * pitch
    slides = np.array([note.note.slide for note in notes])
    if slides.any():
        slide = slides[which]
        sources = [note.note.pitch if note.source is None else note.source for note in notes]
        way = (100 * (targets - np.array(sources)))[which]
        gone = (2 * way * age + slide) // np.maximum(2 * slide, 1)
        meant = np.where(age < slide, meant - way + gone, meant)
    meant = meant + 100 * arpeggio
    lowest, highest = PITCH_RANGES["TR" if kind == "triangle" else "P1"][0], HIGHEST_KEY
    cents = _period_cents(kind)
    playable = period_table(kind)
    heard = np.clip(meant, cents[MAX_PERIOD], cents[int(playable[-1])])
    swing = _swing(used, player, age)
    if swing is not None:
        swung = np.clip(meant + swing, cents[MAX_PERIOD], cents[int(playable[-1])])
        if kind == "pulse":  # the driver never lets a vibrato change the high bits of the period
            middle = playable[np.clip(meant, 0, len(playable) - 1)]
            swung = np.clip(swung, cents[middle | 0xFF], cents[np.maximum(middle & ~0xFF, playable[-1])])
        heard = np.where(swing == 0, heard, swung)
    keys = np.clip(pitch + arpeggio, lowest, highest)
    left = heard - 100 * keys
    # Towards zero, so that two octaves are bridged only where a bend does not reach.
    octaves = np.sign(left) * (np.abs(left) // (100 * MAX_BEND))
    bridged = np.minimum(keys + MAX_BEND * octaves, highest)
    return bridged, heard - 100 * bridged


def _swing(used: list[Instrument], player: NDArray[np.int32], age: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """Return the cents that vibratos add, the driver's own curve; None without any."""
    if not any(entry.vibrato for entry in used):
        return None
    settings = [(0, 4, 0) if (v := entry.vibrato) is None else (v.delay, v.period, v.depth) for entry in used]
    delay, period, depth = (np.array(column)[player] for column in zip(*settings, strict=True))
    half = 2 * ((age - delay) % period)  # see driver._swing: Bhaskara's fraction for the sine of half a swing
    up = half < period
    half = np.where(up, half, half - period)
    hump = half * (period - half)
    below = 5 * period * period - 4 * hump
    bend = (32 * hump * depth + below) // (2 * below)
    found: NDArray[np.int64] = np.where(age < delay, 0, np.where(up, bend, -bend))
    return found


@lru_cache(maxsize=2)
def _period_cents(kind: str) -> NDArray[np.int64]:
    """Return the cents above MIDI pitch 0 of every timer period, shape (2048,): f = clock / (cycles (period + 1))."""
    hz = CPU_CLOCK_HZ / (CYCLES_PER_PERIOD[kind] * np.arange(1, MAX_PERIOD + 2))
    cents: NDArray[np.int64] = np.rint(6900 + 1200 * np.log2(hz / 440)).astype(np.int64)
    return cents
