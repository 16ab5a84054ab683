"""The notes, controls and marks of any MIDI file, in ticks. Makes no score: midi_import.py and midi_arrange.py do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from nesasset.errors import FormatError
from nesasset.formats.midi import read_events, read_tracks
from nesasset.units import PITCH_RANGES, VOICES

MAX_NOTES: Final = 200_000
_RPG_MAKER_LOOP: Final = 111  # the control change that marks a loop's start
_DRUMS: Final = 9  # General MIDI's channel 10


@dataclass(frozen=True, slots=True)
class MidiNote:
    """A note of any track."""

    start: int
    end: int
    """In ticks, in frames or in rows."""
    pitch: int
    velocity: int


@dataclass(slots=True)
class MidiTrack:
    """One track: its notes, those of the drum channel apart."""

    name: str = ""
    notes: list[MidiNote] = field(default_factory=list)
    drums: list[MidiNote] = field(default_factory=list)
    controls: list[tuple[int, int, int]] = field(default_factory=list)
    """Tick, control and value."""


@dataclass(slots=True)
class Midi:
    """A whole file."""

    ticks_per_beat: int | Fraction
    """A Fraction counts ticks a second."""
    tracks: list[MidiTrack] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    """Tick and microseconds a beat."""
    signatures: list[tuple[int, Fraction]] = field(default_factory=list)
    """Tick and quarter notes a bar."""
    marks: dict[str, int] = field(default_factory=dict)
    end: int = 0


def parse(data: bytes, left_out: Counter[str]) -> Midi:
    """Read a file; what music it holds that no score can is counted in left_out.

    Raises:
        FormatError: The data are no MIDI file of type 0 or 1, are damaged, or have too many notes.
    """
    division, tracks = read_tracks(data)
    midi = Midi(division)
    n_notes = 0
    for index, content in enumerate(tracks):
        track = MidiTrack()
        midi.tracks.append(track)
        sounding: dict[tuple[int, int], tuple[int, int]] = {}

        def close(
            key: tuple[int, int],
            tick: int,
            track: MidiTrack = track,
            open_: dict[tuple[int, int], tuple[int, int]] = sounding,
        ) -> None:
            start, velocity = open_.pop(key)
            notes = track.drums if key[0] == _DRUMS else track.notes
            notes.append(MidiNote(start, tick, key[1], velocity))

        for event in read_events(content, index):
            midi.end = max(midi.end, event.tick)
            kind, channel = event.status & 0xF0, event.status & 0x0F
            if kind in (0x80, 0x90):
                key = (channel, event.data[0])
                if key in sounding:
                    close(key, event.tick)
                if kind == 0x90 and event.data[1]:
                    sounding[key] = (event.tick, event.data[1])
                    n_notes += 1
                    if n_notes > MAX_NOTES:
                        raise FormatError(f"a MIDI file to be arranged must have at most {MAX_NOTES} notes")
            elif kind == 0xB0:
                if event.data[0] == _RPG_MAKER_LOOP:
                    midi.marks.setdefault("cc111", event.tick)
                track.controls.append((event.tick, event.data[0], event.data[1]))
            elif kind == 0xE0:
                left_out["pitch bends"] += 1
            elif event.status == 0xFF:
                _read_meta(midi, track, event.tick, event.data)
        for key in list(sounding):
            close(key, midi.end)
        track.notes.sort(key=lambda note: (note.start, -note.pitch))
    midi.tempos.sort()
    midi.signatures.sort()
    return midi


def _read_meta(midi: Midi, track: MidiTrack, tick: int, data: bytes) -> None:
    kind, content = data[0], data[1:]
    if kind == 0x51 and len(content) == 3:
        midi.tempos.append((tick, max(1, int.from_bytes(content, "big"))))
    elif kind == 0x03 and not track.name:
        track.name = content[:1024].decode(errors="replace")
    elif kind == 0x06:
        midi.marks.setdefault(content[:64].decode(errors="replace").lower(), tick)
    elif kind == 0x58 and len(content) == 4 and content[0] and content[1] < 8:
        midi.signatures.append((tick, Fraction(4 * content[0], 1 << content[1])))


def title_of(midi: Midi) -> str:
    """Return the name of the first track, if that is a title and no voice's name."""
    first = midi.tracks[0]
    return "" if first.notes or first.drums or first.name.upper() in VOICES else first.name


def loop_ticks(midi: Midi) -> tuple[int, int] | None:
    """Return the loop's start and end, from markers or from the control change of RPG Maker; None without one."""
    start = midi.marks.get("loopstart", midi.marks.get("cc111"))
    if start is None:
        return None
    end = midi.marks.get("loopend", midi.end)
    return (start, end) if start < end else None


def count_units(tick: int, unit: Fraction) -> tuple[int, bool]:
    """Return how many units of so many ticks a tick is, rounded, and whether that is exact. Fractions alone are slow."""
    doubled, rest = divmod(2 * tick * unit.denominator, unit.numerator)
    return (doubled + 1) // 2, not rest and not doubled % 2


def into_range(pitch: int, voice: str) -> int:
    """Return a pitch moved by octaves into the range of P1, P2 or TR."""
    low, high = PITCH_RANGES[voice]
    return pitch + 12 * max(0, -(-(low - pitch) // 12)) - 12 * max(0, -(-(pitch - high) // 12))
