"""An instrument changed so that one note sounds as an edited MIDI file has it: a step raised, a part silent, another volume.

What was not changed stays as the instrument has it, so vibrato and slide go on, and so does what sounds after the file's end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.arranging.sounds import key_to_period
from nesasset.formats.midi_frames import HIGHEST_KEY, VoiceFrames
from nesasset.score import MAX_ARPEGGIO, MAX_ENVELOPE_FRAMES, Instrument, Note, scale_volume
from nesasset.units import MAX_VOLUME, NOISE_PERIODS, PITCH_RANGES

_LOWEST_KEYS: Final = {"pulse": PITCH_RANGES["P1"][0], "triangle": PITCH_RANGES["TR"][0]}


def edit(
    note: Note, instrument: Instrument, told: VoiceFrames, frames: VoiceFrames, general_midi: bool
) -> tuple[Note, Instrument] | None:
    """Return a note and the instrument with which it sounds like the file, as nearly as one note can.

    Args:
        note: The note of the text.
        instrument: What plays it there.
        told: The note's frames, as these two have them.
        frames: The same frames of the file.
        general_midi: Whether noise stands on the keys of General MIDI.

    Returns:
        None if a note begins where none began, or if nothing about the instrument can be changed so.
    """
    if not len(frames.keys) or (frames.onsets & ~told.onsets).any():
        return None
    changed_note, changed = _with_volumes(note, instrument, frames)
    if instrument.kind == "pulse":
        changed = _with_duties(changed, frames)
    elif instrument.kind == "noise":
        changed = replace(changed, mode=_only(frames.timbres[frames.keys >= 0], instrument.mode))
    if instrument.kind == "noise" and general_midi:
        changed = replace(changed, period=_drum(instrument.period, told, frames))
    else:
        changed = _with_keys(note, changed, told, frames)
    longest = max(len(changed.volume), len(changed.duties), len(changed.arpeggio))
    if longest > MAX_ENVELOPE_FRAMES or (changed_note, changed) == (note, instrument):
        return None
    return changed_note, changed


def _with_volumes(note: Note, instrument: Instrument, frames: VoiceFrames) -> tuple[Note, Instrument]:
    """Return note and instrument with the file's volumes; the note's own volume is full, if it cannot be told with it."""
    heard = np.where(frames.keys >= 0, frames.volumes, 0).astype(np.int64)
    entries = instrument.volume
    scaled = tuple(scale_volume(entry, note.volume) for entry in entries)
    old, before = _unrolled(entries, None, len(heard)), _unrolled(scaled, None, len(heard))
    same = (before > 0) == (heard > 0) if instrument.kind == "triangle" else before == heard
    if note.volume < MAX_VOLUME and (heard[~same] > 0).any():
        note, entries, old = replace(note, volume=MAX_VOLUME), scaled, before
    return note, replace(instrument, volume=_begun_anew(entries, None, np.where(same, old, heard))[0])


def _with_duties(instrument: Instrument, frames: VoiceFrames) -> Instrument:
    entries = instrument.duties or (instrument.duty,)
    old = _unrolled(entries, None, len(frames.keys))
    found = _begun_anew(entries, None, np.where(frames.keys >= 0, frames.timbres, old))[0]
    return instrument if found == entries else replace(instrument, duties=found)


def _only(values: NDArray[np.int8], otherwise: int) -> int:
    """Return the mode of a noise note; it has one, so that of its beginning stands for all."""
    return int(values[0]) if len(values) else otherwise


def _drum(period: int, told: VoiceFrames, frames: VoiceFrames) -> int:
    """Return the period of a noise note on General MIDI's keys, which tell no steps."""
    sounds = frames.keys >= 0
    moved = sounds & (frames.keys != told.keys)
    return key_to_period(int(frames.keys[sounds][0])) if moved.any() else period


def _with_keys(note: Note, instrument: Instrument, told: VoiceFrames, frames: VoiceFrames) -> Instrument:
    """Return an instrument whose arpeggio leads to the file's keys, where they are others than the text's."""
    entries = instrument.arpeggio or (0,)
    old = _unrolled(entries, instrument.arpeggio_loop, len(frames.keys))
    moved = (frames.keys >= 0) & (frames.keys != told.keys)
    if not moved.any():
        return instrument
    keys = frames.keys.astype(np.int64)
    if note.pitch is None:
        wanted = NOISE_PERIODS - keys - instrument.period
    else:
        plain = np.clip(note.pitch + old, _LOWEST_KEYS[instrument.kind], HIGHEST_KEY)
        bridged = np.where(told.keys >= 0, told.keys - plain, 0)  # octaves that the bend does not reach
        wanted = keys - bridged - note.pitch
    steps = np.where(moved, np.clip(wanted, -MAX_ARPEGGIO, MAX_ARPEGGIO), old)
    arpeggio, loop = _begun_anew(entries, instrument.arpeggio_loop, steps)
    return replace(instrument, arpeggio=arpeggio, arpeggio_loop=loop)


def _unrolled(entries: tuple[int, ...], loop: int | None, n_frames: int) -> NDArray[np.int64]:
    """Return the entry of each frame; after the last one a sequence goes on at its loop, or holds where that is None."""
    age = np.arange(n_frames)
    back = len(entries) - 1 if loop is None else loop
    at = np.where(age < len(entries), age, back + (age - back) % (len(entries) - back))
    found: NDArray[np.int64] = np.array(entries, dtype=np.int64)[at]
    return found


def _begun_anew(
    entries: tuple[int, ...], loop: int | None, steps: NDArray[np.int64]
) -> tuple[tuple[int, ...], int | None]:
    """Return a sequence and its loop that begins with these steps, and goes on as it did if their last is as it was."""
    length = len(steps)
    old = _unrolled(entries, loop, length)
    if (steps == old).all():
        return entries, loop
    after: tuple[int, ...] = ()
    back = None
    if steps[-1] == old[-1]:
        if loop is not None and length > loop:
            turn = (length - loop) % (len(entries) - loop)
            after, back = entries[loop + turn :] + entries[loop : loop + turn], length
        else:
            after, back = entries[length:], loop
    found = (*steps.tolist(), *after)
    if back is None:
        while len(found) > 1 and found[-1] == found[-2]:
            found = found[:-1]
    return found, back
