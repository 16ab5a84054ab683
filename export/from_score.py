"""From a score that can be played to a training song on its rows: the way back of to_score.py. One score in, one `Song` out.

The model knows rows of 3 to 9.5 frames and bars of 12 or 16 rows. Longer rows are halved and shorter ones joined in pairs, as
`export.grid` does with NES-MDB; a bar of another length is joined or cut to 16 or 12 where it is a multiple or a part of them,
else the song's own repeats tell which is nearer. What a song cannot hold (slides, vibratos, arpeggios, duty sequences) is
left to the driver's idioms and not learnt.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from export.grid import HALVE_FROM, find_bar_rows
from export.songs import MAX_LOST, MIN_ROWS, Song
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score
from nesasset.units import MAX_VOLUME, VOICES
from nesasset.vocabulary import ENVELOPE_FRAMES, HOLD_ID, ONSET_ID, REST_ID, pitch_to_id

FEWEST_FRAMES = 2.75  # a row: shorter ones are joined
MOST_ROWS = 16_384  # of a song: half an hour and more is no piece to learn from
LONGEST_LOOP_BARS = 64  # a piece without loop marks that is longer does not loop as a whole


def score_to_song(score: Score, name: str, split: str = "", label: str = "", *, whole: bool = True) -> Song | str:
    """Put a score on the model's rows.

    Args:
        score: Any.
        name: The song's.
        split: train or valid, may be told later.
        label: One of vocabulary.LABELS.
        whole: Whether a piece without loop marks loops as a whole.

    Returns:
        The song, or the reason why it has no rows.
    """
    if score.n_rows > MOST_ROWS:
        return f"longer than {MOST_ROWS} rows"
    fitted = _fit_rows(score)
    if isinstance(fitted, str):
        return fitted
    score, lost = fitted
    first, end = _heard(score)
    if first == end:
        return "silent"
    bar_rows = _bar_rows(score)
    # Silent bars before and after the music go; what is left begins on a bar line of the score.
    start = 0 if score.loop is None else score.loop[0] % bar_rows
    first = first - (first - start) % bar_rows if first >= start else first
    first = max(0, first)
    end = first + -(-(end - first) // bar_rows) * bar_rows
    if end > score.n_rows:  # the last notes ring until the bar is full
        score = replace(score, voices={voice: (*cells, *(HOLD,) * (end - score.n_rows)) for voice, cells in score.voices.items()})
    lengths = np.resize(np.array(score.groove), score.n_rows)[first:end]
    boundaries = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    if end - first < MIN_ROWS:
        return f"fewer than {MIN_ROWS} rows"
    usual = float(np.median(lengths)) if len(set(score.groove)) > 2 else float(np.mean(lengths))
    song = Song(
        name,
        split,
        round(2 * usual) / 2,
        boundaries,
        tuple(min(int(lengths.min()) - 1, score.delays.get(voice, 0)) for voice in VOICES),  # type: ignore[arg-type]
        np.full((end - first, 4), HOLD_ID, dtype=np.int32),
        np.zeros((end - first, 4), dtype=np.int32),
        bar_rows=bar_rows,
        label=label,
        on_row=1.0,
        lost=lost,
    )
    for column, voice in enumerate(VOICES):
        _add_voice(song, column, score.voices[voice][first:end], score)
    if not (song.cells >= ONSET_ID).any():
        return "silent"
    if lost > MAX_LOST:
        return "too many onsets within one row"
    song.loop = _loop(score, first, end, bar_rows, whole)
    if song.loop is not None and song.loop[1] < len(song.cells):
        cut(song, song.loop[1])
    return song


def _fit_rows(score: Score) -> tuple[Score, float] | str:
    """Return the score with rows that the model knows, and the share of notes lost on the way; or why there are none."""
    lost, notes = 0, sum(isinstance(cell, Note) for part in score.voices.values() for cell in part)
    for _ in range(4):
        usual = sum(score.groove) / len(score.groove)
        if usual >= HALVE_FROM:
            score = _halve(score)
        elif usual < FEWEST_FRAMES:
            score, more = _join(score)
            lost += more
        else:
            return score, lost / max(1, notes)
    return f"rows of {usual:.1f} frames fit no tempo that the model knows"


def _halve(score: Score) -> Score:
    groove = tuple(part for length in score.groove for part in ((length + 1) // 2, max(1, length // 2)))
    voices = {}
    for voice, cells in score.voices.items():
        rows: list[Cell] = []
        for at, cell in enumerate(cells):
            first = groove[2 * at % len(groove)]
            late = isinstance(cell, Note) and cell.delay >= first
            if isinstance(cell, Note):
                delay = cell.delay - first if late else cell.delay
                cell = replace(cell, delay=delay)  # noqa: PLW2901 - the cell in its new row
            rows += [HOLD, cell] if late else [cell, HOLD]
        voices[voice] = tuple(rows)
    loop = None if score.loop is None else (2 * score.loop[0], 2 * score.loop[1])
    return replace(
        score, voices=_calm(voices), groove=groove, bar_rows=min(256, 2 * score.bar_rows), beat_rows=min(256, 2 * score.beat_rows), loop=loop, delays={}
    )


def _calm(voices: dict[str, tuple[Cell, ...]]) -> dict[str, tuple[Cell, ...]]:
    """Return cells whose delays are within any row: what a delay of a frame or two says is not learnt."""
    return {
        voice: tuple(replace(cell, delay=0) if isinstance(cell, Note) else cell for cell in cells)
        for voice, cells in voices.items()
    }


def _join(score: Score) -> tuple[Score, int]:
    """Return the score with two rows made one, and how many notes were lost by it."""
    lost, voices = 0, {}
    for voice, cells in score.voices.items():
        rows: list[Cell] = []
        padded = (*cells, HOLD) if len(cells) % 2 else cells
        for first, second in zip(padded[::2], padded[1::2], strict=True):
            if isinstance(first, Note):
                lost += isinstance(second, Note)
                rows.append(first)
            else:
                rows.append(second if second is not HOLD else first)
        voices[voice] = tuple(rows)
    lengths = np.resize(np.array(score.groove), 2 * len(score.groove) if len(score.groove) % 2 else len(score.groove))
    groove = tuple(int(value) for value in lengths.reshape(-1, 2).sum(axis=1))
    loop = None if score.loop is None else (score.loop[0] // 2, score.loop[1] // 2)
    if loop is not None and loop[0] >= loop[1]:
        loop = None
    return (
        replace(
            score, voices=_calm(voices), groove=groove, bar_rows=max(1, score.bar_rows // 2), beat_rows=max(1, score.beat_rows // 2), loop=loop, delays={}
        ),
        lost,
    )  # fmt: skip


def _heard(score: Score) -> tuple[int, int]:
    """Return the first row with a note, and the row after the last one that sounds."""
    rows = [row for cells in score.voices.values() for row, cell in enumerate(cells) if isinstance(cell, Note)]
    if not rows:
        return 0, 0
    end = 0
    for cells in score.voices.values():
        last = max((row for row, cell in enumerate(cells) if isinstance(cell, Note)), default=None)
        if last is not None:
            end = max(end, next((row for row in range(last + 1, len(cells)) if cells[row] is REST), len(cells)))
    return min(rows), end


def _bar_rows(score: Score) -> int:
    """Return 16 or 12."""
    for bar_rows in (16, 12):
        if score.bar_rows % bar_rows == 0 or bar_rows % score.bar_rows == 0:
            return bar_rows
    cells = np.array([[0 if cell is HOLD else 1 if cell is REST else cell.pitch or 2 for cell in score.voices[voice]] for voice in VOICES])
    return find_bar_rows(cells.T.astype(np.int32))


def _add_voice(song: Song, column: int, cells: tuple[Cell, ...], score: Score) -> None:
    """Write a voice's cells, and for P1, P2 and NO what each note's instrument makes of it."""
    voice, n_rows = VOICES[column], len(cells)
    table: list[tuple[int, int, int, int, int]] = []
    curves: list[NDArray[np.uint8]] = []
    made: dict[tuple[int, int, int], NDArray[np.uint8]] = {}  # by instrument, volume and frames
    sounds = False
    events = [row for row, cell in enumerate(cells) if cell is not HOLD] + [n_rows]
    for at, row in enumerate(events[:-1]):
        cell = cells[row]
        if not isinstance(cell, Note):
            if sounds and cell is REST:  # songs have no rests while nothing sounds
                song.cells[row, column] = REST_ID
            sounds = False
            continue
        instrument = score.instruments[cell.instrument]
        lag = song.delays[column]
        start, stop = int(song.boundaries[row]) + cell.delay, int(song.boundaries[events[at + 1]])
        frames = max(1, min(stop - start, ENVELOPE_FRAMES))
        key = (cell.instrument, 15 if voice == "TR" else cell.volume, frames)
        if key not in made:
            made[key] = _curve(instrument, *key[1:])
        curve = made[key]
        if not curve[:frames].any():
            if sounds:
                song.cells[row, column] = REST_ID
            sounds = False
            continue
        if voice != "TR":
            timbre = instrument.mode if voice == "NO" else max(instrument.duties, key=instrument.duties.count, default=instrument.duty)
            held = frames < ENVELOPE_FRAMES or not curve[-1]
            off = int(np.flatnonzero(curve)[-1]) + 1 if held else stop - start
            table.append((row, timbre, instrument.period if voice == "NO" else 0, frames, off))
            curves.append(curve)
        song.cells[row, column] = ONSET_ID if voice == "NO" else pitch_to_id(cell.pitch or 0)
        song.note_delays[row, column] = max(0, cell.delay + score.delays.get(voice, 0) - lag)
        sounds = True
    if voice != "TR":
        song.notes[voice] = np.array(table, dtype=np.int32).reshape(-1, 5)
        song.envelopes[voice] = np.array(curves, dtype=np.uint8).reshape(-1, ENVELOPE_FRAMES)


def _curve(instrument: Instrument, volume: int, frames: int) -> NDArray[np.uint8]:
    """Return the volumes of a note of so many frames, 0 behind its end."""
    known = np.array(instrument.volume[:frames], dtype=np.int64)
    curve = np.zeros(ENVELOPE_FRAMES, dtype=np.int64)
    curve[:frames] = known[-1]
    curve[: len(known)] = known
    scaled = np.maximum((2 * curve * volume + MAX_VOLUME) // (2 * MAX_VOLUME), min(1, volume))
    return np.where(curve > 0, scaled, 0).astype(np.uint8)


def _loop(score: Score, first: int, end: int, bar_rows: int, whole: bool) -> tuple[int, int] | None:
    """Return the loop in rows of the song, if it is one of whole bars."""
    if score.loop is None:
        length = end - first
        return (0, length) if whole and length % bar_rows == 0 and length <= LONGEST_LOOP_BARS * bar_rows else None
    start, stop = score.loop[0] - first, min(score.loop[1], end) - first
    start = max(0, start)
    if start % bar_rows or (stop - start) % bar_rows or stop <= start:
        return None
    return start, stop


def cut(song: Song, n_rows: int) -> None:
    """Leave out what stands behind a song's loop."""
    song.cells, song.note_delays = song.cells[:n_rows], song.note_delays[:n_rows]
    song.boundaries = song.boundaries[: n_rows + 1]
    for voice, table in song.notes.items():
        keep = table[:, 0] < n_rows
        song.notes[voice], song.envelopes[voice] = table[keep], song.envelopes[voice][keep]
