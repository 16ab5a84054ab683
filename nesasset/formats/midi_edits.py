"""The score that a MIDI file carries as text, and the file around it: where they differ, the file wins.

The cells of a voice are compared with the file frame by frame. A cell that sounds like its frames stays. Any other one is
tried in this order, until it does:

1. the same note moved, silenced, cut short or held longer;
2. the same note by an instrument of its own, its cell's with what was changed in it (midi_instruments.py);
3. new notes, read from the file's frames (midi_phrases.py), first in place of this cell, then of its neighbours, too;
4. a whole voice of new notes.

What came nearest to the file stays, if nothing sounds like it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.formats.midi_frames import VoiceFrames, score_frames
from nesasset.formats.midi_instruments import edit
from nesasset.formats.midi_phrases import Phrase, check_number, phrases, share
from nesasset.formats.midi_rows import row_starts
from nesasset.score import HOLD, MAX_INSTRUMENTS, REST, Cell, Instrument, Note, Score
from nesasset.units import PITCH_RANGES, VOICE_KINDS, VOICE_NAMES, VOICES

_ROUNDS: Final = 6  # of comparing text and file, before a whole voice is read from its notes
_MANY: Final = 1000  # cells that differ, if they are also most of a voice's, for which no round is worth its time


def sounds_like(score: Score, frames: dict[str, VoiceFrames], general_midi: bool) -> bool:
    """Return whether a score sounds like the file in every voice."""
    return not any(
        score_frames(score, voice, general_midi).cut(len(frames[voice].keys)).differ(frames[voice]).any()
        for voice in VOICES
    )


def fill(
    grid: Score,
    frames: dict[str, VoiceFrames],
    general_midi: bool,
    followed: bool,
    left_out: Counter[str],
) -> Score:
    """Return the score that sounds like the file: the grid's own cells where they do, notes of the file elsewhere.

    Args:
        grid: The text's score in the file's length, or rows without notes.
        frames: The file, by voice.
        general_midi: Whether noise stands on the keys of General MIDI.
        followed: Whether the grid's cells are worth comparing.
        left_out: Counts the frames in which the score sounds otherwise.
    """
    parts = {voice: _part(grid, voice, len(frames[voice].keys), followed) for voice in VOICES}
    nearest: dict[str, tuple[int, int, _Part]] = {}  # distance, frames that differ, and the voice that is so
    score = grid if followed else _rebuild(grid, parts, frames, general_midi)
    doubtful = list(VOICES)
    for turn in range(_ROUNDS + 1):
        for voice in list(doubtful):
            part = parts[voice]
            heard = score_frames(score, voice, general_midi).cut(len(frames[voice].keys))
            found = np.flatnonzero(heard.differ(frames[voice]))
            distance = _distance(heard.part(found), frames[voice].part(found))
            if voice not in nearest or distance < nearest[voice][0]:
                nearest[voice] = (distance, len(found), replace(part, spans=list(part.spans)))
            if not len(found) or part.whole:
                doubtful.remove(voice)
            elif turn == _ROUNDS - 1:
                part.whole = True
            else:
                _doubt(part, found, frames[voice], grid, voice, general_midi)
        if not doubtful:
            break
        score = _rebuild(grid, parts, frames, general_midi)
    best = {voice: part for voice, (_, _, part) in nearest.items()}
    for voice, (_, number, _) in nearest.items():
        left_out[f"frames of {VOICE_NAMES[voice]} that sound otherwise"] += number
    return score if best == parts else _rebuild(grid, best, frames, general_midi)


def _distance(heard: VoiceFrames, frames: VoiceFrames) -> int:
    """Return how far frames of a score are from the file's, summed over frames.

    A cent counts 100 where the pitch is off by more than half a semitone, which notes without bends need not be, and 1
    below that; silence instead of sound as much as two octaves, another volume or timbre as three semitones. A note that does
    not begin anew counts little, or a step that was raised to its neighbour's pitch would be left as it was.
    """
    silent = (heard.keys < 0) != (frames.keys < 0)
    cents = np.minimum(np.abs(100 * (heard.keys.astype(np.int64) - frames.keys) + heard.bends - frames.bends), 1200)
    faults = 30_000 * ((heard.volumes != frames.volumes).astype(np.int64) + (heard.timbres != frames.timbres))
    each = np.where(cents > 50, 100 * cents, cents) + faults + 500 * (heard.onsets != frames.onsets)
    return int(np.where(silent, 240_000, each).sum())


# One voice on its way from the text to the file


@dataclass(frozen=True, slots=True)
class _Span:
    """A cell of the text's score, what became of it, and where it sounds: up to the next span."""

    row: int
    """-1 for the silence before the first cell."""
    start: int
    """Frame."""
    told: Cell
    """The cell as the text has it; REST before the first one."""
    cell: Cell
    instrument: Instrument | None = None
    """What plays the cell, if it is none of the text's instruments."""
    tried: int = 0
    """0: nothing; 1: a small change of the cell; 2: a changed instrument; 3: the file's notes stand here instead."""

    @property
    def read(self) -> bool:
        return self.tried == 3


@dataclass(slots=True)
class _Part:
    """A voice."""

    spans: list[_Span] = field(default_factory=list)
    """In time order, without gaps."""
    n_rows: int = 0
    """Rows that begin within the file; cells behind them are not heard, and stay."""
    whole: bool = False
    """Whether all of it is read from the file, and so has no lag."""
    told: VoiceFrames | None = field(default=None, compare=False)
    """How the text's cells sound that are left; None until that is asked for."""


def _part(grid: Score, voice: str, n_frames: int, followed: bool) -> _Part:
    """Return a voice with the cells that sound or are silent within the pass."""
    starts = _starts(grid, voice)
    part = _Part([_Span(-1, 0, REST, REST)], grid.n_rows, whole=not followed)
    for row, cell in enumerate(grid.voices[voice]):
        if cell is HOLD:
            continue
        start = starts[row] + (cell.delay if isinstance(cell, Note) else 0)
        if start >= n_frames:
            part.n_rows = row
            break
        part.spans.append(_Span(row, start, cell, cell))
    return part


def _starts(grid: Score, voice: str) -> list[int]:
    """Return the first frame of each row of a voice, its lag counted, and the end."""
    lag = grid.delays.get(voice, 0)
    return [start + lag for start in row_starts(grid.groove, grid.n_rows)]


def _doubt(
    part: _Part, found: NDArray[np.int64], frames: VoiceFrames, grid: Score, voice: str, general_midi: bool
) -> None:
    """Change the spans in which score and file differ: each one to what comes next in the order above."""
    begin = np.array([span.start for span in part.spans])
    # A span without a frame (the silence before a cell in frame 0) is no place for a difference.
    wrong = sorted(set((np.searchsorted(begin, found, side="right") - 1).tolist()))
    if len(wrong) > max(_MANY, len(begin) // 2):
        part.whole = True
        return
    spans, starts = part.spans, _starts(grid, voice)
    if part.told is None:
        as_told = replace(grid, voices={**grid.voices, voice: tuple(_cells(grid, voice, part, told=True))})
        part.told = score_frames(as_told, voice, general_midi)
    told = part.told
    sources = _slide_sources(grid, voice)
    rows = {span.row for span in spans}
    ends = [*(span.start for span in spans[1:]), len(frames.keys)]
    lengthened = -1
    for index in reversed(wrong):  # so that what is put in or taken out moves no index that is still to come
        span, here = spans[index], slice(spans[index].start, ends[index])
        if index == lengthened:
            continue
        if _holds_on(spans, index, frames):
            lengthened = index - 1
            spans[lengthened] = replace(spans[lengthened], tried=0)
            del spans[index]
            part.told = None
            continue
        if span.tried < 1 and isinstance(span.told, Note):
            cell = _changed(span.told, here, voice, told, frames, span.row in sources)
            if cell is not None:
                spans[index] = replace(span, cell=cell, tried=1)
                continue
            at = _cut_short(here, told, frames, starts)
            if at is not None and at not in rows:
                spans.insert(index + 1, _Span(at, starts[at], REST, REST))
                continue
        if span.tried < 2 and isinstance(span.told, Note):
            instrument = grid.instruments[span.told.instrument]
            edited = edit(span.told, instrument, told.part(here), frames.part(here), general_midi)
            if edited is not None:
                spans[index] = replace(span, cell=edited[0], instrument=edited[1], tried=2)
                continue
        near = (index - 1, index, index + 1) if span.read else (index,)
        for place in near:
            if 0 <= place < len(spans):
                spans[place] = replace(spans[place], tried=3)


def _slide_sources(grid: Score, voice: str) -> set[int]:
    """Return the rows whose notes give the pitch from which another note slides; see `SoundingNote.source`."""
    cells = grid.voices[voice]
    loop_start, loop_end = grid.loop or (grid.n_rows, grid.n_rows)
    looped = [row for row in range(loop_start, loop_end) if isinstance(cells[row], Note)]
    found: set[int] = set()
    before: int | None = None
    for row, cell in enumerate(cells):
        if row == loop_start and looped:
            before = looped[-1]
        if isinstance(cell, Note):
            if cell.slide and before is not None and voice != "NO":
                found.add(before)
            before = row
    return found


# Small changes


def _holds_on(spans: list[_Span], index: int, frames: VoiceFrames) -> bool:
    """Return whether this is a rest into which the note before it was lengthened."""
    span = spans[index]
    if index == 0 or span.told is not REST or span.read or spans[index - 1].read:
        return False
    goes_on = frames.keys[span.start] >= 0 and not frames.onsets[span.start]
    return bool(goes_on) and isinstance(spans[index - 1].told, Note)


def _changed(note: Note, here: slice, voice: str, told: VoiceFrames, frames: VoiceFrames, is_source: bool) -> Cell | None:
    """Return the cell that moving or silencing has made of a note; None if it was something else.

    A note from which another one slides keeps its pitch, and may be silent.
    """
    keys, before = frames.keys[here], told.keys[here]
    if (keys < 0).all():
        # A rest would begin with the row, and cut what sounds up to the note's delay.
        cuts = (frames.keys[max(0, here.start - note.delay) : here.start] >= 0).any()
        return replace(note, volume=0) if is_source or cuts else REST
    if note.pitch is None or is_source or not ((keys >= 0) == (before >= 0)).all():
        return None
    sounds = keys >= 0
    moved = (keys - before)[sounds]
    pitch = note.pitch + int(moved[0])
    low, high = PITCH_RANGES[voice]
    if (moved != moved[0]).any() or not low <= pitch <= high:
        return None
    same = (
        (frames.volumes[here] == told.volumes[here])
        & (frames.timbres[here] == told.timbres[here])
        & (frames.onsets[here] == told.onsets[here])
        & (np.abs(frames.bends[here] - told.bends[here]) <= 1)
    )
    return replace(note, pitch=pitch) if same[sounds].all() else None


def _cut_short(here: slice, told: VoiceFrames, frames: VoiceFrames, starts: list[int]) -> int | None:
    """Return the row with whose beginning a note falls silent that is else as it was; None if there is none."""
    heard = np.flatnonzero(frames.keys[here] >= 0)
    if not len(heard):
        return None
    end = here.start + int(heard[-1]) + 1
    at = bisect_left(starts, end)
    if end == here.stop or at >= len(starts) - 1 or starts[at] != end:
        return None
    kept = slice(here.start, end)
    return None if told.part(kept).differ(frames.part(kept)).any() else at


# Back to a score


def _cells(grid: Score, voice: str, part: _Part, told: bool = False) -> list[Cell]:
    """Return the cells of a voice: as the text has those that are left, or with what became of them."""
    cells: list[Cell] = [HOLD] * part.n_rows
    for span in part.spans:
        if span.row >= 0 and (told or not span.read):
            cells[span.row] = span.told if told else span.cell
    return [*cells, *grid.voices[voice][part.n_rows :]]


def _rebuild(grid: Score, parts: dict[str, _Part], frames: dict[str, VoiceFrames], general_midi: bool) -> Score:
    """Return the grid with what stands in the parts, and for what is read from the file new notes and instruments."""
    voices: dict[str, list[Cell]] = {}
    read: list[tuple[str, Phrase]] = []
    own = _own_instruments(parts, MAX_INSTRUMENTS - len(grid.instruments))
    numbers = {instrument: number for number, instrument in enumerate(own, start=len(grid.instruments))}
    for voice, part in parts.items():
        cells: list[Cell] = [HOLD] * grid.n_rows
        areas, lag = [(0, len(frames[voice].keys), False)], 0
        if not part.whole:
            cells = _cells(grid, voice, part)
            for span in part.spans:
                if span.instrument in numbers and isinstance(span.cell, Note):
                    cells[span.row] = replace(span.cell, instrument=numbers[span.instrument])
            areas, lag = _areas(part.spans, len(frames[voice].keys)), grid.delays.get(voice, 0)
        voices[voice] = cells
        starts = row_starts(grid.groove, grid.n_rows)
        read += [(voice, found) for found in phrases(voice, frames[voice], areas, starts, lag, cells, general_midi)]
    check_number(len(read))
    taken = len(grid.instruments) + len(own)
    instruments, chosen = share([(VOICE_KINDS[voice], phrase) for voice, phrase in read], taken)
    for (voice, phrase), index in zip(read, chosen, strict=True):
        if index is not None:
            voices[voice][phrase.row] = Note(index, None if voice == "NO" else phrase.pitch, phrase.delay)
    return replace(
        grid,
        voices={voice: tuple(cells) for voice, cells in voices.items()},
        instruments=(*grid.instruments, *own, *instruments),
        delays={voice: lag for voice, lag in grid.delays.items() if not (parts[voice].whole and lag)},
    )


def _own_instruments(parts: dict[str, _Part], room: int) -> list[Instrument]:
    """Return the changed instruments of the notes, in the order of first use, as many as there is room for."""
    used = (span.instrument for part in parts.values() if not part.whole for span in part.spans if span.tried == 2)
    return list(dict.fromkeys(instrument for instrument in used if instrument is not None))[:room]


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
