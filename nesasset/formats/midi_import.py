"""MIDI files as scores. Writing MIDI, and what a MIDI file says about itself, is midi.py.

Files with tracks p1, p2, tr and no (midi.py's own, and NES-MDB's) come back frame by frame: every note with its volumes and
duties, as an instrument that other notes share where they sound alike. Any other file is arranged for the four voices by
midi_arrange.py. What does not fit is reported.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, zip_longest
from typing import Final

from nesasset.errors import FormatError, ScoreError
from nesasset.formats.midi_arrange import arrange, key_to_period
from nesasset.formats.midi_notes import Midi, MidiTrack, count_units, into_range, loop_ticks, parse, title_of
from nesasset.score import (
    HOLD,
    MAX_ENVELOPE_FRAMES,
    MAX_INSTRUMENTS,
    MAX_ROW_FRAMES,
    MAX_ROWS,
    REST,
    Cell,
    Instrument,
    Note,
    Score,
)
from nesasset.units import FRAME_RATE_HZ, MAX_VOLUME, NOISE_PERIODS, VOICE_KINDS, VOICE_NAMES, VOICES

MAX_BYTES: Final = 4 * 1024 * 1024  # four times the largest file of NES-MDB
MAX_FRAMES: Final = 432_000  # two hours
_VOLUME, _TIMBRE = 11, 12  # control changes, as midi.py writes them
_SCALE: Final = 8  # midi.py's factor of volumes for common players
_MAX_SWUNG: Final = 20_000  # notes up to which a swinging groove is looked for
_EXACT: Final = Fraction(1, 40_000)  # by which a tempo in whole microseconds may miss a whole number of frames


def loads(data: bytes, name: str = "the MIDI file") -> tuple[Score, tuple[str, ...]]:
    """Return the score that a MIDI file makes, and a sentence for each thing that was left out or changed.

    A file with tracks p1, p2, tr and no keeps its frames. Any other one is arranged so: channel 10 plays the noise. The
    rest, if it is up to three tracks of one line each, goes by mean pitch: the highest to pulse 1, the lowest of several to
    the triangle, the one between to pulse 2. Else note by note: the highest line to pulse 1, of what it leaves the lowest
    line to the triangle, and the highest of the remainder to pulse 2; where lines cross, the outer note wins. Notes begin
    and end on sixteenths, and move by octaves into their voice's range.

    Args:
        data: The file.
        name: What error messages call it.

    Raises:
        FormatError: The data are no MIDI file of type 0 or 1, are damaged, or longer than a score can be.
    """
    try:
        return _read(data)
    except (FormatError, ScoreError) as error:
        raise FormatError(f"{name}: {error}") from error


def load(path: str | os.PathLike[str]) -> tuple[Score, tuple[str, ...]]:
    """Read a MIDI file as a score; see `loads`.

    Raises:
        FormatError: The file cannot be read or is no usable MIDI file.
    """
    from nesasset.formats import files

    return loads(files.read_bytes(path, MAX_BYTES), os.fspath(path))


def _read(data: bytes) -> tuple[Score, tuple[str, ...]]:
    if len(data) > MAX_BYTES:
        raise FormatError(f"a MIDI file to be arranged must have at most {MAX_BYTES} bytes, not {len(data)}")
    left_out: Counter[str] = Counter()
    midi = parse(data, left_out)
    voices = {track.name.upper(): track for track in midi.tracks if track.name.upper() in VOICES}
    if len(voices) == len(VOICES):
        score = _read_voices(midi, voices, left_out)
    else:
        score = arrange(midi, left_out)
    return score, tuple(f"{what} ({count} times)" if count > 1 else what for what, count in left_out.items())


@dataclass(slots=True)
class _Sounding:
    """A note of one voice, in frames."""

    onset: int
    end: int
    pitch: int
    states: tuple[tuple[int, int], ...] = ()
    """Volume and duty or mode of each frame."""


def _read_voices(midi: Midi, tracks: dict[str, MidiTrack], left_out: Counter[str]) -> Score:
    ticks_per_frame, beat = _frame_clock(midi, left_out)
    louder = any(note.velocity > MAX_VOLUME for voice in ("P1", "P2") for note in tracks[voice].notes)
    louder = louder or any(note.velocity > MAX_VOLUME for note in tracks["NO"].drums)

    def frame(tick: int) -> int:
        number, exact = count_units(tick, ticks_per_frame)
        if not exact:
            left_out["times that are no whole frames are rounded"] += 1
        return number

    ends = [tick for tick, _ in midi.signatures if tick]
    n_frames = max(1, frame(ends[0] if ends else midi.end))
    if n_frames > MAX_FRAMES:
        raise FormatError(f"the music must have at most {MAX_FRAMES} frames, not {n_frames}")
    lines = {voice: _sounding(tracks[voice], voice, n_frames, frame, louder) for voice in VOICES}
    bar = midi.signatures[0][1] if midi.signatures else Fraction(4)
    groove, beat_rows = _grid([[note.onset for note in line] for line in lines.values()], beat, n_frames)
    starts = [0]
    while starts[-1] < n_frames:
        starts.append(starts[-1] + groove[(len(starts) - 1) % len(groove)])
    if len(starts) - 1 > MAX_ROWS:
        raise FormatError(f"the music needs {len(starts) - 1} rows, and a score has at most {MAX_ROWS}")
    if starts[-1] != n_frames:
        left_out["the end is no row's end and comes later"] += 1
    voices, instruments = _rows(lines, starts, left_out)
    loop = loop_ticks(midi)
    rows = None
    if loop is not None:
        first, end = (_nearest(starts, frame(tick), left_out) for tick in loop)
        rows = (first, end) if first < end else None
    return Score(
        voices=voices,
        instruments=instruments,
        groove=groove,
        bar_rows=min(256, max(1, round(bar * beat_rows))),
        beat_rows=beat_rows,
        loop=rows,
        title=title_of(midi),
    )


def _frame_clock(midi: Midi, left_out: Counter[str]) -> tuple[Fraction, Fraction]:
    """Return ticks a frame and frames a beat, whole ticks where the tempo means them."""
    if isinstance(midi.ticks_per_beat, Fraction):
        return midi.ticks_per_beat / FRAME_RATE_HZ, Fraction(24)
    tempo = midi.tempos[0][1] if midi.tempos else 500_000
    if any(other != tempo for _, other in midi.tempos):
        left_out["tempo changes"] += 1
    beat = Fraction(tempo * FRAME_RATE_HZ, 1_000_000)
    exact = midi.ticks_per_beat / beat
    whole = max(1, round(exact))
    if abs(whole / exact - 1) <= _EXACT:
        return Fraction(whole), Fraction(midi.ticks_per_beat, whole)
    return exact, beat


def _sounding(track: MidiTrack, voice: str, n_frames: int, frame: object, louder: bool) -> list[_Sounding]:
    """Return the notes of a voice in time order, none overlapping, with the volume and timbre of each frame."""
    assert callable(frame)
    notes = sorted((*track.notes, *track.drums), key=lambda note: note.start)
    volumes = [(tick, value) for tick, control, value in track.controls if control == _VOLUME]
    timbres = [(tick, value) for tick, control, value in track.controls if control == _TIMBRE]
    scale = _SCALE if louder else 1
    found: list[_Sounding] = []
    for index, note in enumerate(notes):
        end = min(note.end, notes[index + 1].start) if index + 1 < len(notes) else note.end
        onset, stop = frame(note.start), min(frame(end), n_frames)
        if onset >= stop:
            continue
        level = [(onset, note.velocity)]
        level += [(frame(tick), value) for tick, value in _between(volumes, note.start, end)]
        timbre = [(onset, _last(timbres, note.start))]
        timbre += [(frame(tick), value) for tick, value in _between(timbres, note.start, end)]
        states = tuple(
            (MAX_VOLUME if voice == "TR" else min(MAX_VOLUME, round(v / scale)), 0 if voice == "TR" else t & 3)
            for v, t in zip(_each_frame(level, onset, stop), _each_frame(timbre, onset, stop), strict=True)
        )
        found.append(_Sounding(onset, stop, _voice_pitch(note.pitch, voice, louder), states))
    return found


def _voice_pitch(number: int, voice: str, louder: bool) -> int:
    """Return the pitch, or for the noise the period index."""
    if voice == "NO":
        return key_to_period(number) if louder else min(NOISE_PERIODS - 1, max(0, NOISE_PERIODS - number))
    return into_range(number, voice)


def _between(changes: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return the changes after start and before end."""
    return changes[bisect_right(changes, (start, 1 << 30)) : bisect_left(changes, (end, -1))]


def _last(changes: list[tuple[int, int]], tick: int) -> int:
    """Return the value in force at a tick, 0 if there is none yet."""
    at = bisect_right(changes, (tick, 1 << 30))
    return changes[at - 1][1] if at else 0


def _each_frame(changes: list[tuple[int, int]], onset: int, stop: int) -> list[int]:
    values: list[int] = []
    for (at, value), (following, _) in pairwise([*changes, (stop, 0)]):
        values += [value] * (min(following, stop) - max(at, onset))
    return values


def _grid(onsets: list[list[int]], beat: Fraction, n_frames: int) -> tuple[tuple[int, ...], int]:
    """Return groove and rows a beat: sixteenths if they fit, else what puts most notes on the first frame of a row.

    Args:
        onsets: First frames of the notes of each voice, rising. Where notes end says nothing: envelopes end them anywhere.
        beat: Frames a beat.
        n_frames: Length of the music.
    """
    best: tuple[float, tuple[int, ...], int] | None = None
    total = max(1, sum(map(len, onsets)))
    for rank, rows in enumerate((4, 3, 6, 8, 12, 2, 16, 24, 32, 48, 64, 96, 128, 256)):
        length = beat / rows
        if not 1 <= length <= MAX_ROW_FRAMES or n_frames / length > MAX_ROWS:
            continue
        for index, groove in enumerate(_grooves(length, swings=rows == 4 and total <= _MAX_SWUNG)):
            if _crowded(onsets, groove):
                continue
            off = sum(_off_grid(line, groove) for line in onsets)
            cost = off / total + 0.02 * rank + (0.01 if index else 0)
            if best is None or cost < best[0]:
                best = (cost, groove, rows)
            if not off and not rank:
                return groove, rows
    if best is None:  # a row a frame, or as near as the number of rows allows
        frames = min(MAX_ROW_FRAMES, -(-n_frames // MAX_ROWS))
        return (frames,), min(256, max(1, round(beat / frames)))
    return best[1], best[2]


def _grooves(length: Fraction, swings: bool) -> Iterable[tuple[int, ...]]:
    """Yield grooves of this mean length: even ones, and where asked for, two rows of unequal length."""
    near = length.limit_denominator(16)
    count = near.denominator
    floors = [int(near * row) for row in range(count + 1)]
    ceilings = [-int(-near * row) for row in range(count + 1)]
    yield tuple(after - before for before, after in pairwise(floors))
    if count > 1:
        yield tuple(after - before for before, after in pairwise(ceilings))
    if swings and (2 * length).denominator == 1:
        for first in range(1, int(2 * length)):
            if max(first, int(2 * length) - first) <= MAX_ROW_FRAMES:
                yield (first, int(2 * length) - first)


def _crowded(onsets: list[list[int]], groove: tuple[int, ...]) -> bool:
    """Return whether two notes of one voice begin in one row."""
    turn, starts = sum(groove), _starts(groove)
    for line in onsets:
        before = -1
        for onset in line:
            whole, rest = divmod(onset, turn)
            row = whole * len(groove) + bisect_right(starts, rest)
            if row == before:
                return True
            before = row
    return False


def _off_grid(moments: list[int], groove: tuple[int, ...]) -> int:
    """Return how many frames are not the first of a row."""
    turn, starts = sum(groove), set(_starts(groove))
    return sum(moment % turn not in starts for moment in moments)


def _starts(groove: tuple[int, ...]) -> list[int]:
    return [sum(groove[:row]) for row in range(len(groove))]


def _nearest(starts: list[int], frame: int, left_out: Counter[str]) -> int:
    after = min(bisect_left(starts, frame), len(starts) - 1)
    row = min((max(0, after - 1), after), key=lambda row: abs(starts[row] - frame))
    if starts[row] != frame:
        left_out["the loop moves to the nearest row"] = 1
    return row


def _rows(
    lines: dict[str, list[_Sounding]], starts: list[int], left_out: Counter[str]
) -> tuple[dict[str, tuple[Cell, ...]], tuple[Instrument, ...]]:
    """Return the cells of each voice, and the instruments that give the notes their volumes and timbres."""
    n_rows = len(starts) - 1
    wanted: list[tuple[str, int, tuple[str, int], tuple[tuple[int, int], ...], _Sounding]] = []
    parts: dict[str, list[Cell]] = {voice: [HOLD] * n_rows for voice in VOICES}
    for voice, line in lines.items():
        taken: dict[int, _Sounding] = {}
        for note in line:
            row = min(bisect_right(starts, note.onset) - 1, n_rows - 1)
            if row in taken:
                left_out[f"notes of {VOICE_NAMES[voice]} too near to the one before"] += 1
                continue
            taken[row] = note
        rows = sorted(taken)
        for row, following in zip_longest(rows, rows[1:]):
            note = taken[row]
            states = note.states
            until = starts[-1] if following is None else taken[following].onset
            if note.end < until:  # silence follows: a rest where a row begins then, else an envelope that ends
                at = bisect_left(starts, note.end)
                if at < n_rows and starts[at] == note.end and at not in taken:
                    parts[voice][at] = REST
                elif len(states) < MAX_ENVELOPE_FRAMES:
                    states = (*states, (0, states[-1][1]))
                else:
                    left_out[f"ends of long notes of {VOICE_NAMES[voice]} move to a row"] += 1
                    if at < n_rows and at not in taken:
                        parts[voice][at] = REST
            states = states[:MAX_ENVELOPE_FRAMES]
            group = (VOICE_KINDS[voice], note.pitch if voice == "NO" else 0)
            if voice == "NO":  # the mode is the instrument's, for the whole note
                if len({timbre & 1 for volume, timbre in states if volume}) > 1:
                    left_out["changes of the noise mode within a note"] += 1
                mode = states[0][1] & 1
                states = tuple((volume, mode) for volume, _ in states)
            wanted.append((voice, row, group, states, note))
    instruments, chosen = _share([(group, states) for _, _, group, states, _ in wanted], left_out)
    for (voice, row, _, _, note), index in zip(wanted, chosen, strict=True):
        if index is not None:
            pitch = None if voice == "NO" else note.pitch
            parts[voice][row] = Note(index, pitch, note.onset - starts[row])
    return {voice: tuple(part) for voice, part in parts.items()}, instruments


def _share(
    wanted: list[tuple[tuple[str, int], tuple[tuple[int, int], ...]]], left_out: Counter[str]
) -> tuple[tuple[Instrument, ...], list[int | None]]:
    """Return instruments and which of them plays each note: a note that is cut short shares the one of a longer note."""
    found: dict[tuple[str, int], list[tuple[tuple[tuple[int, int], ...], int]]] = {}
    instruments: list[Instrument] = []
    known: dict[tuple[tuple[str, int], tuple[tuple[int, int], ...]], int | None] = {}
    for group, states in sorted(dict.fromkeys(wanted), key=lambda item: (-len(item[1]), item)):
        core = _without_tail(states)
        same = found.setdefault(group, [])
        index = next(
            (
                index
                for other, index in same
                if (other[: len(states)] == states if len(states) <= len(other) else core == other)
            ),
            None,
        )
        if index is None and len(instruments) < MAX_INSTRUMENTS:
            index = len(instruments)
            instruments.append(_to_instrument(group, core))
            same.append((core, index))
        elif index is None:
            left_out["notes that play the nearest of 256 instruments"] += 1
            index = next((index for other, index in same), None)
        known[group, states] = index
    chosen = [known[item] for item in wanted]
    # Numbered by first use, so that the first note plays instrument 0.
    order = list(dict.fromkeys(index for index in chosen if index is not None))
    numbers: dict[int | None, int] = {index: number for number, index in enumerate(order)}
    return tuple(instruments[index] for index in order), [numbers.get(index) for index in chosen]


def _without_tail(states: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Return the states without those at the end that only repeat the last."""
    length = len(states)
    while length > 1 and states[length - 2] == states[-1]:
        length -= 1
    return states[:length]


def _to_instrument(group: tuple[str, int], states: tuple[tuple[int, int], ...]) -> Instrument:
    kind, period = group
    volume = tuple(volume for volume, _ in states)
    timbres = tuple(timbre for _, timbre in states)
    if kind == "triangle":
        return Instrument(kind, volume)
    if kind == "noise":
        return Instrument(kind, volume, period=period, mode=timbres[0])
    return Instrument(kind, volume, duty=timbres[0], duties=timbres if len(set(timbres)) > 1 else ())
