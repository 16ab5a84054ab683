"""The cells of a text's score and the frames of the file around it: where they differ, the frames win."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.formats.midi_frames import VoiceFrames, score_frames
from nesasset.formats.midi_phrases import Phrase, check_number, phrases, share
from nesasset.score import HOLD, REST, Cell, Note, Score
from nesasset.units import PITCH_RANGES, VOICE_KINDS, VOICE_NAMES, VOICES

_ROUNDS: Final = 4  # of comparing text and notes, before a whole voice is read from its notes
_MANY: Final = 1000  # cells that differ, if they are also most of a voice's, for which no round is worth its time


def sounds_like(score: Score, frames: dict[str, VoiceFrames], general_midi: bool) -> bool:
    """Return whether a score sounds like the file in every voice."""
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
class Part:
    """One voice on its way from the text to the file."""

    spans: list[_Span] = field(default_factory=list)
    whole: bool = False
    """Whether all of it is read from the file, and so has no lag."""


def fill(
    grid: Score,
    parts: dict[str, Part],
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


def spans(grid: Score, voice: str, starts: list[int], n_frames: int) -> list[_Span]:
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
    part: Part,
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


def _rebuild(
    grid: Score, parts: dict[str, Part], frames: dict[str, VoiceFrames], starts: list[int], general_midi: bool
) -> Score:
    """Return the grid with what stands in the parts, and for what is read from the file new notes and instruments."""
    voices: dict[str, list[Cell]] = {}
    read: list[tuple[str, Phrase]] = []
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
        read += [(voice, found) for found in phrases(voice, frames[voice], areas, starts, cells, general_midi)]
    check_number(len(read))
    instruments, chosen = share([(VOICE_KINDS[voice], phrase) for voice, phrase in read], len(grid.instruments))
    for (voice, phrase), index in zip(read, chosen, strict=True):
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
