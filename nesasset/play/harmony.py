"""The key of a score and the chord at a place in it, read off its notes: any score, edited and imported ones, too."""

from __future__ import annotations

from typing import Final

import numpy as np

from nesasset.chords import chord_id, chord_quality, chord_root
from nesasset.compose.key import find_key
from nesasset.score import HOLD, Note, Score
from nesasset.units import NOTE_NAMES, VOICES
from nesasset.vocabulary import CHORD_INTERVALS

_BASS_WEIGHT: Final = 2.0
_MODES: Final = {"major": 0, "minor": 1}


def key_of(score: Score) -> tuple[int, str]:
    """Return tonic, 0 for C to 11, and mode, 'major' or 'minor': as composed, else found from the notes."""
    told = str(score.provenance.get("key", "")).split()
    if len(told) == 2 and told[0] in NOTE_NAMES and told[1] in _MODES:
        return NOTE_NAMES.index(told[0]), told[1]
    tonic, mode, _ = find_key(np.array(_pitch_classes(score, 0, score.n_rows)))
    return tonic, mode


def chord_at(score: Score, row: int) -> int:
    """Return the id of the triad (see `nesasset.chords`) that best explains the half bar around a row.

    Where nothing sounds it is the tonic's.
    """
    half = max(1, score.bar_rows // 2)
    first = row // half * half
    weights = _pitch_classes(score, first, min(first + half, score.n_rows))
    total = sum(weights)
    if not total:
        tonic, mode = key_of(score)
        return chord_id(tonic, _MODES[mode])
    best, most = 0, -1.0
    for quality, intervals in enumerate(CHORD_INTERVALS):
        for root in range(12):
            inside = sum(weights[(root + step) % 12] for step in intervals)
            value = inside + 0.5 * weights[root] - (0.1 if quality == 2 else 0.0) * total
            if value > most + 1e-9:
                best, most = chord_id(root, quality), value
    return best


def chord_pitch_classes(chord: int) -> tuple[int, ...]:
    """Return root, third and fifth of a triad's id, 0 for C."""
    return tuple((chord_root(chord) + step) % 12 for step in CHORD_INTERVALS[chord_quality(chord)])


def _pitch_classes(score: Score, first: int, last: int) -> list[float]:
    """Return for how many rows each of the twelve pitch classes sounds in the melodic voices, the bass counting more."""
    weights = [0.0] * 12
    for voice in VOICES[:3]:
        cells = score.voices[voice]
        held = _held(cells, first)
        for cell in cells[first:last]:
            if cell is not HOLD:
                held = cell.pitch if isinstance(cell, Note) else None
            if held is not None:
                weights[held % 12] += _BASS_WEIGHT if voice == "TR" else 1.0
    return weights


def _held(cells: tuple[object, ...], row: int) -> int | None:
    """Return the pitch that sounds before a row."""
    for cell in reversed(cells[max(0, row - 64) : row]):
        if cell is not HOLD:
            return cell.pitch if isinstance(cell, Note) else None
    return None
