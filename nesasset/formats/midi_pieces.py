"""A MIDI file as a piece of parts, one for each channel of a track. What becomes of them is nesasset.arranging's affair."""

from __future__ import annotations

from collections import Counter
from typing import Final

from nesasset.arranging.piece import Part, Piece
from nesasset.formats.midi_notes import Midi, MidiTrack, loop_ticks, title_of

_DRUMS: Final = 9  # General MIDI's channel 10
_EFFECTS: Final = 120  # programs from here on are noises: breath, birds, applause
# General MIDI's programs that are drums with a pitch: woodblock, taiko, tom, synth drum, reverse cymbal, by percussion key.
_PERCUSSION: Final = {115: 75, 116: 36, 117: 45, 118: 45, 119: 49}


def midi_to_piece(midi: Midi, left_out: Counter[str]) -> Piece:
    """Return a file's parts; sound effects are left out, and counted."""
    parts = []
    for track in midi.tracks:
        for channel, notes in sorted(track.players.items()):
            program = _program(track, channel)
            if channel == _DRUMS:
                parts.append(Part(sorted(notes), track.name, None, is_drums=True))
            elif program is not None and program >= _EFFECTS:
                left_out["notes of sound effects"] += len(notes)
            elif program in _PERCUSSION:
                key = _PERCUSSION[program]
                parts.append(Part(sorted(note._replace(pitch=key) for note in notes), track.name, program, is_drums=True))
            else:
                parts.append(Part(sorted(notes), track.name, program))
    return Piece(
        ticks_per_beat=midi.ticks_per_beat,
        parts=_without_doubles(parts, left_out),
        tempos=midi.tempos,
        signatures=midi.signatures,
        key=next(((sharps, minor) for _, sharps, minor in sorted(midi.keys)), None),
        loop=loop_ticks(midi),
        title=title_of(midi),
    )


def _program(track: MidiTrack, channel: int) -> int | None:
    """Return the first program that a channel of a track is given."""
    changes = track.programs.get(channel)
    return changes[0][1] if changes else None


def _without_doubles(parts: list[Part], left_out: Counter[str]) -> list[Part]:
    """Return the parts without those that play what an earlier one plays, note by note."""
    kept: list[Part] = []
    seen: set[tuple[bool, tuple[tuple[int, int], ...]]] = set()
    for part in parts:
        what = (part.is_drums, tuple((note.start, note.pitch) for note in part.notes))
        if what in seen:
            left_out["notes of parts that double another"] += len(part.notes)
        else:
            seen.add(what)
            kept.append(part)
    return kept
