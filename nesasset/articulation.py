"""Articulation: repeated notes set off from each other, so that the chip plays two and not one long one. Score in, Score out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Final

from nesasset.score import HOLD, MAX_ENVELOPE_FRAMES, MAX_INSTRUMENTS, Cell, Instrument, Note, Score, scale_volume
from nesasset.units import VOICES

STRUCK_AGAIN: Final = 3  # a rise of the volume of 15 that is heard as a new note, as export.notes finds them


def articulate(score: Score) -> Score:
    """Set off every note that repeats its predecessor without a rest, so that it is heard as a new one.

    A row is too coarse for the gap that a console's driver leaves between two notes of one pitch, and the envelope of the
    first often does not fall far enough. The triangle, without a volume, would play them as one long note. So the first
    note gets its instrument with a lower last frame: silent for the triangle, else as much lower as it takes. Such an
    instrument fits one length of note. Where a score has no room for more, the second note begins with a silent frame
    instead, which fits all lengths but is a frame late.

    Args:
        score: Any score.

    Returns:
        The score with more instruments and otherwise the same cells.
    """
    cells = {voice: list(score.voices[voice]) for voice in VOICES}
    repeats = [
        (voice, first, second, length)
        for voice in VOICES
        for first, second, length in _repeats(score, voice)
        if not _is_heard(score, voice, first, second, length)
    ]
    known: dict[Instrument | None, int] = {}
    for index, instrument in enumerate(score.instruments):
        known.setdefault(instrument, index)
    instruments = list(score.instruments)
    late = {score.voices[voice][second].instrument for voice, _, second, _ in repeats}  # type: ignore[union-attr]
    room = MAX_INSTRUMENTS - len(instruments) - len(late)
    wanted = Counter(_set_off(score, *repeat) for repeat in repeats)
    for wish, _ in wanted.most_common():
        if wish is not None and wish not in known and room > 0:
            known[wish] = len(instruments)
            instruments.append(wish)
            room -= 1
    unset = []
    for repeat in repeats:
        chosen = _set_off(score, *repeat)
        if chosen in known:
            _give(cells[repeat[0]], repeat[1], known[chosen])
        else:
            unset.append(repeat)
    for voice, _, second, _ in unset:
        note = cells[voice][second]
        assert isinstance(note, Note)
        plain = instruments[note.instrument]
        chosen = replace(plain, volume=(0, *(plain.volume[1:] or plain.volume)))
        if chosen not in known and len(instruments) < MAX_INSTRUMENTS:
            known[chosen] = len(instruments)
            instruments.append(chosen)
        if chosen in known:
            _give(cells[voice], second, known[chosen])
    return replace(score, voices={voice: tuple(part) for voice, part in cells.items()}, instruments=tuple(instruments))


def _give(cells: list[Cell], row: int, instrument: int) -> None:
    note = cells[row]
    assert isinstance(note, Note)
    cells[row] = replace(note, instrument=instrument)


def _repeats(score: Score, voice: str) -> list[tuple[int, int, int]]:
    """Return rows of two notes of one sound with nothing but holds between, and the frames from one to the other.

    A silent second note is left out: there is nothing of it to be heard.
    """
    part, lag = score.voices[voice], score.delays.get(voice, 0)
    end = score.n_rows if score.loop is None else score.loop[1]
    events = [(row, cell) for row, cell in enumerate(part[:end]) if cell is not HOLD]

    def frame(row: int) -> int:
        cell = part[row]
        return score.row_frame(row) + lag + (cell.delay if isinstance(cell, Note) else 0)

    pairs = [(a, b, frame(b[0]) - frame(a[0])) for a, b in pairwise(events)]
    if score.loop is not None and score.loop_frames is not None:
        inside = [event for event in events if event[0] >= score.loop[0]]
        if inside:  # over the seam
            turn = score.loop_frames[1] - score.loop_frames[0]
            pairs.append((inside[-1], inside[0], frame(inside[0][0]) + turn - frame(inside[-1][0])))
    return [
        (first, second, length)
        for (first, a), (second, b), length in pairs
        if isinstance(a, Note) and isinstance(b, Note) and b.volume and length > 0 and _sound(score, a) == _sound(score, b)
    ]


def _sound(score: Score, note: Note) -> tuple[int, ...]:
    instrument = score.instruments[note.instrument]
    return (instrument.period, instrument.mode) if note.pitch is None else (note.pitch,)


def _volumes(score: Score, voice: str, first: int, second: int, length: int) -> tuple[int, int]:
    """Return the last volume of one note and the first one of the next, as the notes' own volumes leave them."""
    before, after = score.voices[voice][first], score.voices[voice][second]
    assert isinstance(before, Note) and isinstance(after, Note)
    volume = score.instruments[before.instrument].volume
    last = scale_volume(volume[min(length, len(volume)) - 1], before.volume)
    return last, scale_volume(score.instruments[after.instrument].volume[0], after.volume)


def _is_heard(score: Score, voice: str, first: int, second: int, length: int) -> bool:
    last, start = _volumes(score, voice, first, second, length)
    if voice == "TR":
        return last == 0
    return (last == 0 and start > 0) or start - last >= STRUCK_AGAIN


def _set_off(score: Score, voice: str, first: int, second: int, length: int) -> Instrument | None:
    """Return the first note's instrument with its last frame lowered; None if it lasts too long for an envelope."""
    _, start = _volumes(score, voice, first, second, length)
    before = score.voices[voice][first]
    assert isinstance(before, Note)
    instrument = score.instruments[before.instrument]
    if not 2 <= length <= MAX_ENVELOPE_FRAMES:
        return None
    volume = instrument.volume[:length]
    volume += volume[-1:] * (length - len(volume))
    most = 0 if voice == "TR" else max(0, start - STRUCK_AGAIN)
    last = max(entry for entry in range(volume[-1] + 1) if scale_volume(entry, before.volume) <= most)
    return replace(instrument, volume=(*volume[:-1], last))
