"""MIDI files as scores. Writing MIDI, and what a MIDI file says about itself, is midi.py.

Files with tracks p1, p2, tr and no (midi.py's own, and NES-MDB's) come back frame by frame: every note with its volumes,
duties and quick changes of pitch, as an instrument that other notes share where they sound alike.

In our own files a text holds the score (midi.py). It is believed note by note, as far as the file sounds like it: the
frames of the text's score are compared with those of the file, and whatever differs is read from the file's notes. So
a file that nobody changed gives its score back, and in one that somebody worked on the notes win.

Any other file is arranged for the four voices by midi_arrange.py. What does not fit is reported.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import FormatError, ScoreError
from nesasset.formats import midi as writer
from nesasset.formats.midi_arrange import arrange, key_to_period
from nesasset.formats.midi_frames import VoiceFrames, score_frames, sounding_frames, spans_to_frames
from nesasset.formats.midi_notes import Midi, MidiTrack, bar_of, into_range, loop_ticks, parse, title_of, to_name
from nesasset.score import (
    HOLD,
    MAX_ARPEGGIO,
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
from nesasset.units import FRAME_RATE_HZ, MAX_VOLUME, NOISE_PERIODS, PITCH_RANGES, VOICE_KINDS, VOICE_NAMES, VOICES

MAX_BYTES: Final = writer.MAX_BYTES
MAX_NOTES: Final = 50_000  # that have to be arranged or made into instruments: 14 a second for an hour
MAX_FRAMES: Final = 216_000  # an hour
_MAX_TEXT: Final = 1024 * 1024  # bytes of a score's JSON, as midi.py writes it at most
_MAX_SWUNG: Final = 20_000  # notes up to which a swinging groove is looked for
_EXACT: Final = Fraction(1, 40_000)  # by which a tempo in whole microseconds may miss a whole number of frames
_ROUNDS: Final = 4  # of comparing text and notes, before a whole voice is read from its notes
_MANY: Final = 1000  # cells that differ, if they are also most of a voice's, for which no round is worth its time


def loads(data: bytes, name: str = "the MIDI file") -> tuple[Score, tuple[str, ...]]:
    """Return the score that a MIDI file makes, and a sentence for each thing that was left out or changed.

    A file with tracks p1, p2, tr and no keeps its frames; one that midi.py wrote gives back the whole score, with what was
    changed in it since. Any other one is arranged so: channel 10 plays the noise. The rest, if it is up to three tracks
    of one line each, goes by mean pitch: the highest to pulse 1, the lowest of several to the triangle, the one between to
    pulse 2. Else note by note: the highest line to pulse 1, of what it leaves the lowest line to the triangle, and the
    highest of the remainder to pulse 2; where lines cross, the outer note wins. Notes begin and end on sixteenths, and move
    by octaves into their voice's range.

    Args:
        data: The file.
        name: What error messages call it.

    Raises:
        FormatError: The data are no MIDI file of type 0 or 1, are damaged, too large, or longer than a score can be.
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
        raise FormatError(f"a MIDI file must have at most {MAX_BYTES} bytes, not {len(data)}")
    left_out: Counter[str] = Counter()
    midi = parse(data)
    voices = {track.name.upper(): track for track in midi.tracks if track.name.upper() in VOICES}
    if len(voices) == len(VOICES):
        score = _read_voices(midi, voices, left_out)
    else:
        _check_number(sum(len(track.notes) + len(track.drums) for track in midi.tracks))
        left_out["pitch bends"] += sum(len(track.bends) for track in midi.tracks)
        score = arrange(midi, left_out)
    return score, tuple(f"{what} ({count} times)" if count > 1 else what for what, count in left_out.items() if count)


def _check_number(n_notes: int) -> None:
    if n_notes > MAX_NOTES:
        raise FormatError(f"a MIDI file must have at most {MAX_NOTES} notes to be made into a score, not {n_notes}")


def _read_voices(midi: Midi, tracks: dict[str, MidiTrack], left_out: Counter[str]) -> Score:
    text = _text_score(midi)
    if any(tempo != midi.tempos[0][1] for _, tempo in midi.tempos):
        left_out["tempo changes"] += 1
    ticks_per_frame, beat = _file_clock(midi)
    followed = text is not None and _keeps_time(midi, text)
    if text is not None and followed:
        beat = writer.frame_clock(text)[1]
        ticks_per_frame = Fraction(midi.ticks_per_beat) / beat
    clock = _Clock(ticks_per_frame, left_out)
    n_frames = max(1, clock.frame(next((tick for tick, _, _ in midi.signatures if tick), midi.end)))
    if n_frames > MAX_FRAMES:
        raise FormatError(f"the music must have at most {MAX_FRAMES} frames, not {n_frames}")
    louder = any(note.velocity > MAX_VOLUME for track in tracks.values() for note in (*track.notes, *track.drums))
    frames = {voice: _file_frames(tracks[voice], voice, n_frames, clock, louder) for voice in VOICES}
    if text is None or not followed:
        _check_number(sum(int(part.onsets.sum()) for part in frames.values()))
        grid = _found_grid(midi, frames, beat, n_frames, text)
    else:
        grid = _given_grid(midi, text, n_frames)
        if not louder and not _sounds_like(grid, frames, general_midi=False):
            # All volumes may be so low that times eight they are no more than 15: try that reading, too.
            quiet = {voice: _file_frames(tracks[voice], voice, n_frames, clock, louder=True) for voice in VOICES}
            if _sounds_like(grid, quiet, general_midi=True):
                frames, louder = quiet, True
    starts = _row_starts(grid.groove, grid.n_rows)
    if starts[-1] != n_frames:
        left_out["the end is no row's end and comes later"] += 1
    loop = _loop(midi, grid, starts, clock, left_out)
    if loop != grid.loop:
        grid = replace(grid, loop=loop)
    parts = {voice: _Part(_spans(grid, voice, starts, n_frames), whole=not followed) for voice in VOICES}
    return _fill(grid, parts, frames, starts, louder, left_out)


# The text


def _text_score(midi: Midi) -> Score | None:
    """Return the score whose JSON stands in a track's texts; None without one."""
    from nesasset.formats import score_json

    for track in midi.tracks:
        # Texts of other programs may stand between ours.
        lines = [line for line in track.texts if line[:1] in (b"{", b"}", b'"', b"[", b"]")]
        if b"{" not in lines:
            continue
        if sum(map(len, lines)) > _MAX_TEXT:
            return None
        try:
            score = score_json.loads(b"\n".join(lines[lines.index(b"{") :]).decode(errors="replace"))
        except (FormatError, ScoreError):
            return None
        return score if score.n_frames <= MAX_FRAMES else None
    return None


def _keeps_time(midi: Midi, text: Score) -> bool:
    """Return whether the file has the one tempo that the text's score gives."""
    if isinstance(midi.ticks_per_beat, Fraction):
        return False
    wanted = writer.tempo_us(writer.frame_clock(text)[1])
    return bool(midi.tempos) and all(abs(tempo - wanted) <= 1 for _, tempo in midi.tempos)


# Time


class _Clock:
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
        return int(self.frames([tick])[0])


def _file_clock(midi: Midi) -> tuple[Fraction, Fraction]:
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


# What the file sounds like


def _file_frames(track: MidiTrack, voice: str, n_frames: int, clock: _Clock, louder: bool) -> VoiceFrames:
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


def _held(clock: _Clock, changes: list[tuple[int, int]], n_frames: int) -> NDArray[np.int32]:
    """Return the value in force in each frame, 0 before the first; changes are in time order."""
    frames = clock.frames(tick for tick, _ in changes)
    values = np.array([0, *(value for _, value in changes)], dtype=np.int32)
    found: NDArray[np.int32] = values[np.searchsorted(frames, np.arange(n_frames), side="right")]
    return found


# Rows


def _found_grid(midi: Midi, frames: dict[str, VoiceFrames], beat: Fraction, n_frames: int, text: Score | None) -> Score:
    """Return an empty score with the rows that fit the notes best; of a text only what time has no part in."""
    groove, beat_rows = _grid([np.flatnonzero(part.onsets) for part in frames.values()], beat, n_frames)
    turn = sum(groove)
    n_rows = n_frames // turn * len(groove)
    while n_rows // len(groove) * turn + sum(groove[: n_rows % len(groove)]) < n_frames:
        n_rows += 1
    if n_rows > MAX_ROWS:
        raise FormatError(f"the music needs {n_rows} rows, and a score has at most {MAX_ROWS}")
    bar = bar_of(midi)
    return Score(
        voices=dict.fromkeys(VOICES, (HOLD,) * n_rows),
        instruments=(),
        groove=groove,
        bar_rows=min(256, max(1, round(bar * beat_rows))),
        beat_rows=beat_rows,
        title=title_of(midi) if text is None else _title(midi, text),
        theme="" if text is None else text.theme,
        provenance={} if text is None else text.provenance,
    )


def _given_grid(midi: Midi, text: Score, n_frames: int) -> Score:
    """Return the text's score in the file's length, title and bars."""
    numerator, denominator = writer.time_signature(text)
    bar = bar_of(midi) if midi.signatures else Fraction(4 * numerator, denominator)
    bar_rows = text.bar_rows
    if bar != Fraction(4 * numerator, denominator):
        bar_rows = min(256, max(1, round(bar * text.beat_rows)))
    starts = _row_starts(text.groove, MAX_ROWS)
    n_rows = bisect_left(starts, n_frames)
    if n_rows > MAX_ROWS:
        raise FormatError(f"the music must have at most {MAX_ROWS} rows, and {n_frames} frames are more")
    title = _title(midi, text)
    if (bar_rows, n_rows, title) == (text.bar_rows, text.n_rows, text.title):
        return text
    voices = {voice: (*text.voices[voice], *(HOLD,) * (n_rows - text.n_rows))[:n_rows] for voice in VOICES}
    loop = text.loop if text.loop is not None and text.loop[1] <= n_rows else None
    return replace(text, voices=voices, loop=loop, bar_rows=bar_rows, title=title)


def _title(midi: Midi, text: Score) -> str:
    """Return the text's title, unless the first track has been given another name."""
    same = midi.tracks[0].name == to_name(writer.track_title(text).encode())
    return text.title if same else title_of(midi)


def _row_starts(groove: tuple[int, ...], n_rows: int) -> list[int]:
    """Return the first frame of each row, and the end."""
    return [0, *np.cumsum(np.resize(np.array(groove), n_rows)).tolist()]


def _loop(midi: Midi, grid: Score, starts: list[int], clock: _Clock, left_out: Counter[str]) -> tuple[int, int] | None:
    """Return the loop in rows, as the file's marks have it."""
    ticks = loop_ticks(midi)
    if ticks is None:
        return None
    frames = tuple(clock.frame(tick) for tick in ticks)
    if grid.loop is not None and frames == grid.loop_frames:
        return grid.loop
    first, end = (_nearest(starts, frame, left_out) for frame in frames)
    return (first, end) if first < end else None


def _grid(onsets: list[NDArray[np.int64]], beat: Fraction, n_frames: int) -> tuple[tuple[int, ...], int]:
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
            starts = np.cumsum((0, *groove))[:-1]
            found = [np.divmod(line, sum(groove)) for line in onsets]
            places = [np.searchsorted(starts, rest, side="right") - 1 for _, rest in found]
            rows_of = [whole * len(groove) + place for (whole, _), place in zip(found, places, strict=True)]
            if any((np.diff(line) == 0).any() for line in rows_of):  # two notes of one voice begin in one row
                continue
            off = sum(int((starts[at] != rest).sum()) for (_, rest), at in zip(found, places, strict=True))
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


def _nearest(starts: list[int], frame: int, left_out: Counter[str]) -> int:
    after = min(bisect_left(starts, frame), len(starts) - 1)
    row = min((max(0, after - 1), after), key=lambda row: abs(starts[row] - frame))
    if starts[row] != frame:
        left_out["the loop moves to the nearest row"] = 1
    return row


# Text and notes, compared


def _sounds_like(score: Score, frames: dict[str, VoiceFrames], general_midi: bool) -> bool:
    return not any(len(_differences(score, voice, frames[voice], general_midi)) for voice in VOICES)


def _differences(score: Score, voice: str, frames: VoiceFrames, general_midi: bool) -> NDArray[np.int64]:
    """Return the frames of a voice in which a score sounds otherwise than the file."""
    own = score_frames(score, voice, general_midi).cut(len(frames.keys))
    return np.flatnonzero(own.differ(frames))


@dataclass(slots=True)
class _Span:
    """A cell of the text's score and where it sounds."""

    row: int
    """-1 for the silence before the first cell."""
    start: int
    cell: Cell
    """The cell; REST before the first one."""
    read: bool = False
    """Whether the notes of the file stand here instead."""


@dataclass(slots=True)
class _Phrase:
    """What one note of the score has to sound like, read from the file."""

    row: int
    delay: int
    pitch: int
    """Of the noise its period."""
    mode: int
    states: bytes
    """Two bytes a frame: volume and duty as 16 x volume + duty, and the step of the arpeggio + 128."""


@dataclass(slots=True)
class _Part:
    """One voice on its way from the text to the file."""

    spans: list[_Span] = field(default_factory=list)
    whole: bool = False
    """Whether all of it is read from the file, and so has no lag."""


def _fill(
    grid: Score,
    parts: dict[str, _Part],
    frames: dict[str, VoiceFrames],
    starts: list[int],
    general_midi: bool,
    left_out: Counter[str],
) -> Score:
    """Return the score that sounds like the file: the grid's own cells where they do, notes of the file elsewhere."""
    score = grid
    for turn in range(_ROUNDS + 1):
        if turn or any(part.whole for part in parts.values()):
            score = _rebuild(grid, parts, frames, starts, general_midi)
        found = {voice: _differences(score, voice, frames[voice], general_midi) for voice in VOICES}
        doubtful = [voice for voice in VOICES if len(found[voice]) and not parts[voice].whole]
        if not doubtful:
            break
        for voice in doubtful:
            if turn == _ROUNDS - 1:
                parts[voice].whole = True
            else:
                _doubt(parts[voice], found[voice], frames[voice], grid, voice, general_midi, repairs=turn == 0)
    for voice in VOICES:
        if len(found[voice]):
            left_out[f"frames of {VOICE_NAMES[voice]} that sound otherwise"] += len(found[voice])
    return score


def _spans(grid: Score, voice: str, starts: list[int], n_frames: int) -> list[_Span]:
    """Return the cells of a voice that sound or are silent within the pass, in time order, without gaps."""
    lag = grid.delays.get(voice, 0)
    spans = [_Span(-1, 0, REST)]
    for row, cell in enumerate(grid.voices[voice]):
        if cell is HOLD:
            continue
        start = starts[row] + lag + (cell.delay if isinstance(cell, Note) else 0)
        if start >= n_frames:
            break
        spans.append(_Span(row, start, cell))
    return spans


def _doubt(
    part: _Part,
    found: NDArray[np.int64],
    frames: VoiceFrames,
    grid: Score,
    voice: str,
    general_midi: bool,
    repairs: bool,
) -> None:
    """Mend the spans in which text and file differ, or leave them to the file's notes.

    A note that was moved keeps its instrument, one that was deleted becomes a rest. A span that is read already and still
    differs pulls in its neighbours: what is held into it, and what begins in its last row.
    """
    begin = np.array([span.start for span in part.spans])
    # A span without a frame (the silence before a cell in frame 0) is no place for a difference.
    wrong = sorted(set((np.searchsorted(begin, found, side="right") - 1).tolist()))
    if len(wrong) > max(_MANY, len(begin) // 2):
        part.whole = True
        return
    own = score_frames(grid, voice, general_midi) if repairs else None
    for index in wrong:
        span = part.spans[index]
        end = int(begin[index + 1]) if index + 1 < len(begin) else len(frames.keys)
        if own is not None:
            mended = _mended(span, end, voice, own, frames)
            if mended is not None:
                span.cell = mended
                continue
        if span.read:
            for near in (index - 1, index + 1):
                if 0 <= near < len(part.spans):
                    part.spans[near].read = True
        span.read = True
    if grid.delays.get(voice) and any(span.read for span in part.spans):
        part.whole = True


def _mended(span: _Span, end: int, voice: str, own: VoiceFrames, frames: VoiceFrames) -> Cell | None:
    """Return the cell that a small change has made of this one; None if it was a greater one."""
    here = slice(span.start, end)
    keys, before = frames.keys[here], own.keys[here]
    if not isinstance(span.cell, Note):
        return None
    if (keys < 0).all():
        return REST
    if span.cell.pitch is None or not ((keys >= 0) == (before >= 0)).all():
        return None
    sounds = keys >= 0
    moved = (keys - before)[sounds]
    pitch = span.cell.pitch + int(moved[0])
    low, high = PITCH_RANGES[voice]
    if (moved != moved[0]).any() or not low <= pitch <= high:
        return None
    same = (
        (frames.volumes[here] == own.volumes[here])
        & (frames.timbres[here] == own.timbres[here])
        & (frames.onsets[here] == own.onsets[here])
        & (np.abs(frames.bends[here] - own.bends[here]) <= 1)
    )
    return replace(span.cell, pitch=pitch) if same[sounds].all() else None


# From the notes of the file


def _rebuild(
    grid: Score, parts: dict[str, _Part], frames: dict[str, VoiceFrames], starts: list[int], general_midi: bool
) -> Score:
    """Return the grid with what stands in the parts, and for what is read from the file new notes and instruments."""
    voices: dict[str, list[Cell]] = {}
    phrases: list[tuple[str, _Phrase]] = []
    for voice, part in parts.items():
        cells = list(grid.voices[voice])
        if part.whole:
            cells = [HOLD] * grid.n_rows
            areas = [(0, len(frames[voice].keys), False)]
        else:
            for span in part.spans:
                if span.row >= 0:
                    cells[span.row] = HOLD if span.read else span.cell
            areas = _areas(part.spans, len(frames[voice].keys))
        voices[voice] = cells
        phrases += [(voice, found) for found in _phrases(voice, frames[voice], areas, starts, cells, general_midi)]
    _check_number(len(phrases))
    instruments, chosen = _share([(VOICE_KINDS[voice], phrase) for voice, phrase in phrases], len(grid.instruments))
    for (voice, phrase), index in zip(phrases, chosen, strict=True):
        if index is not None:
            voices[voice][phrase.row] = Note(index, None if voice == "NO" else phrase.pitch, phrase.delay)
    return replace(
        grid,
        voices={voice: tuple(cells) for voice, cells in voices.items()},
        instruments=(*grid.instruments, *instruments),
        delays={voice: lag for voice, lag in grid.delays.items() if not (parts[voice].whole and lag)},
    )


def _areas(spans: list[_Span], n_frames: int) -> list[tuple[int, int, bool]]:
    """Return first frame and end of what is read from the file, and whether a cell began it that a rest may replace."""
    areas: list[tuple[int, int, bool]] = []
    for index, span in enumerate(spans):
        end = spans[index + 1].start if index + 1 < len(spans) else n_frames
        if span.read and areas and areas[-1][1] == span.start:
            areas[-1] = (areas[-1][0], end, areas[-1][2] or (areas[-1][0] == span.start and span.row >= 0))
        elif span.read:
            areas.append((span.start, end, span.row >= 0))
    return areas


def _phrases(
    voice: str,
    frames: VoiceFrames,
    areas: list[tuple[int, int, bool]],
    starts: list[int],
    cells: list[Cell],
    general_midi: bool,
) -> list[_Phrase]:
    """Return the notes of the areas, at most one a row, and put the rests between them into the cells.

    What begins in a row that has its note already goes on in that note's instrument, as steps of its arpeggio.
    """
    onsets = np.flatnonzero(frames.onsets)
    rows = (np.searchsorted(starts, onsets, side="right") - 1).tolist()
    begun: list[tuple[int, int, int]] = []  # first frame, end, row
    for first, end, replaces in areas:
        own = slice(*np.searchsorted(onsets, [first, end]).tolist())
        chosen: list[tuple[int, int]] = []
        for onset, row in zip(onsets[own].tolist(), rows[own], strict=True):
            if cells[row] is HOLD and not (chosen and chosen[-1][1] == row):
                chosen.append((onset, row))
        until = chosen[0][0] if chosen else end
        if replaces and first < until:
            _rest(cells, starts, first, until)
        ends = [*(onset for onset, _ in chosen[1:]), end][: len(chosen)]
        begun += [(onset, stop, row) for (onset, row), stop in zip(chosen, ends, strict=True)]
    if not begun:
        return []
    numbers, states = _states(voice, frames, [(first, end) for first, end, _ in begun], general_midi)
    sounds = frames.keys >= 0
    last = np.maximum.accumulate(np.where(sounds, np.arange(len(sounds)), -1))
    taken = {row for _, _, row in begun}
    found = []
    for (first, end, row), pitch in zip(begun, numbers, strict=True):
        silent = int(last[end - 1]) + 1
        shown = states[2 * first : 2 * silent]
        # The last row may reach beyond the end of the file.
        following = end if end < len(sounds) else starts[-1]
        if silent < following:  # a rest where a row begins then, else an envelope that ends
            at = bisect_left(starts, silent)
            on_time = at < len(cells) and starts[at] == silent and cells[at] is HOLD and at not in taken
            if on_time:
                cells[at] = REST
            elif silent - first < MAX_ENVELOPE_FRAMES:
                shown += bytes([shown[-2] & 0x0F, shown[-1]])
            elif at not in taken:
                _rest(cells, starts, silent, following)
        mode = int(frames.timbres[first]) if voice == "NO" else 0
        found.append(_Phrase(row, first - starts[row], pitch, mode, shown))
    return found


def _rest(cells: list[Cell], starts: list[int], first: int, end: int) -> None:
    """Put a rest into the first row that begins in these frames, if it is free."""
    at = bisect_left(starts, first)
    if at < len(cells) and starts[at] < end and cells[at] is HOLD:
        cells[at] = REST


def _states(
    voice: str, frames: VoiceFrames, spans: list[tuple[int, int]], general_midi: bool
) -> tuple[list[int], bytes]:
    """Return the pitch (of the noise the period) of each span, and all frames as `_Phrase.states` has them."""
    sounds = frames.keys >= 0
    if voice == "NO":
        table = [
            key_to_period(key) if general_midi else min(NOISE_PERIODS - 1, max(0, NOISE_PERIODS - key))
            for key in range(128)
        ]
    else:
        table = [into_range(key, voice) if key < PITCH_RANGES[voice][0] else key for key in range(-128, 256)]
    heights = np.where(sounds, frames.keys, 0)
    if voice != "NO":
        heights = heights + np.rint(np.where(sounds, frames.bends, 0) / 100).astype(np.int64) + 128
    heights = np.array(table)[heights]
    # Silence goes on as what sounded before it, so that it needs no entries of its own.
    before = np.maximum.accumulate(np.where(sounds, np.arange(len(sounds)), 0))
    heights, timbres = heights[before], frames.timbres[before].astype(np.int64)
    firsts = np.array([first for first, _ in spans])
    numbers = heights[firsts]
    if voice == "NO":
        timbres = timbres * 0
    else:
        numbers = np.clip(numbers, *PITCH_RANGES[voice])
    own = np.zeros(len(sounds), dtype=np.int64)
    for (first, end), number in zip(spans, numbers.tolist(), strict=True):
        own[first:end] = number
    states = np.empty((len(sounds), 2), dtype=np.uint8)
    states[:, 0] = np.where(sounds, frames.volumes, 0).astype(np.int64) << 4 | timbres
    states[:, 1] = np.clip(heights - own, -MAX_ARPEGGIO, MAX_ARPEGGIO) + 128
    return numbers.tolist(), states.tobytes()


def _share(wanted: list[tuple[str, _Phrase]], taken: int) -> tuple[tuple[Instrument, ...], list[int | None]]:
    """Return instruments and which of them plays each note: a note that is cut short shares the one of a longer note.

    Args:
        wanted: Kind and phrase of each note.
        taken: How many instruments the score has already; the new ones are numbered on from there.
    """
    items = [((kind, phrase.pitch if kind == "noise" else 0, phrase.mode), phrase.states) for kind, phrase in wanted]
    unlike = sorted(set(items))
    # In this order a phrase that another one begins with stands right before one that it begins.
    owners: dict[tuple[tuple[str, int, int], bytes], tuple[tuple[str, int, int], bytes]] = {}
    for item, after in zip(reversed(unlike), [None, *reversed(unlike)], strict=False):
        longer = after is not None and after[0] == item[0] and after[1].startswith(item[1])
        owners[item] = owners[after] if longer and after is not None else (item[0], _without_tail(item[1]))
    counts = Counter(owners[item] for item in items)  # in the order of first use
    kept = {core for core, _ in counts.most_common(MAX_INSTRUMENTS - taken)}
    numbers = {core: taken + number for number, core in enumerate(core for core in counts if core in kept)}
    nearest: dict[tuple[str, int, int], int] = {}
    for core, number in numbers.items():
        nearest.setdefault(core[0], number)
    chosen = [numbers.get(owners[item], nearest.get(item[0])) for item in items]
    return tuple(_to_instrument(*core) for core in numbers), chosen


def _without_tail(states: bytes) -> bytes:
    """Return the states without those at the end that only repeat the last, and no more than an instrument may have."""
    length = len(states)
    while length > 2 and states[length - 4 : length - 2] == states[-2:]:
        length -= 2
    return states[: min(length, 2 * MAX_ENVELOPE_FRAMES)]


def _to_instrument(group: tuple[str, int, int], states: bytes) -> Instrument:
    kind, period, mode = group
    volume = _held_last([state >> 4 for state in states[::2]])
    duties = _held_last([state & 3 for state in states[::2]])
    steps = _held_last([state - 128 for state in states[1::2]])
    return Instrument(
        kind,
        volume,
        duty=duties[0] if kind == "pulse" else 0,
        period=period,
        mode=mode,
        duties=duties if len(duties) > 1 and kind == "pulse" else (),
        arpeggio=steps if steps != (0,) else (),
    )


def _held_last(entries: list[int]) -> tuple[int, ...]:
    """Return the entries without those at the end that only repeat the last."""
    length = len(entries)
    while length > 1 and entries[length - 2] == entries[-1]:
        length -= 1
    return tuple(entries[:length])
