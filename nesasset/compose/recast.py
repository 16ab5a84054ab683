"""A piece played otherwise: tempo, instruments, octaves, drums and figures by rule. Score in, Score out; no model, no chance.

Every function keeps the grid: bars, rows and loop stay, so that a game may change from one version to another at any row. None
adds a note that the harmony does not have: what is added is of the chord that the half bar's notes have. `finish` comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from nesasset.articulation import articulate
from nesasset.chords import chord_root
from nesasset.compose.kinship import bars_in_harmony, half_bar_chords
from nesasset.errors import MaterialError
from nesasset.score import (
    HOLD,
    MAX_INSTRUMENTS,
    MAX_ROW_FRAMES,
    REST,
    Cell,
    Instrument,
    Note,
    Score,
    scale_volume,
)
from nesasset.units import PITCH_RANGES, VOICES, in_range
from nesasset.vocabulary import CHORD_INTERVALS, HALVES, NO_CHORD


def with_tempo(score: Score, factor: float) -> Score:
    """Return a score played faster or slower by a factor, to whole frames a row; bar lines lie as near as can be.

    Notes that begin late within their rows begin no later than the new row allows.
    """
    rows = len(score.groove) * score.bar_rows
    edges = [round(score.row_frame(row) / factor) for row in range(rows + 1)]
    groove = [min(max(b - a, 1), MAX_ROW_FRAMES) for a, b in pairwise(edges)]
    for period in range(1, rows + 1):
        if rows % period == 0 and groove == groove[:period] * (rows // period):
            groove = groove[:period]
            break
    shortest = min(groove)
    delays = {voice: min(delay, shortest - 1) for voice, delay in score.delays.items()}
    voices = {}
    for voice in VOICES:
        room = shortest - delays.get(voice, 0) - 1
        voices[voice] = tuple(replace(cell, delay=min(cell.delay, room)) if isinstance(cell, Note) and cell.delay else cell for cell in score.voices[voice])
    return replace(score, groove=tuple(groove), delays=delays, voices=voices)


def ramp(before: Score, after: Score, rows: int) -> tuple[int, ...]:
    """Return the frames of so many rows whose tempo goes in a straight line from one score's to another's."""
    first, last = (sum(score.groove) / len(score.groove) for score in (before, after))
    edges, total = [0], 0.0
    for row in range(rows):
        total += first + (last - first) * (row + 0.5) / rows
        edges.append(max(edges[-1] + 1, round(total)))
    return tuple(min(b - a, MAX_ROW_FRAMES) for a, b in pairwise(edges))


def silenced(score: Score, voice: str) -> Score:
    """Return a score in which a voice is silent."""
    return _with_part(score, voice, [HOLD] * score.n_rows)


def softened(score: Score, voice: str, volume: int) -> Score:
    """Return a score in which the notes of a voice have at most so much of their volume, 1 to 15. The triangle has none."""
    return _each_note(score, voice, lambda note: replace(note, volume=scale_volume(note.volume, volume)))


def moved(score: Score, voice: str, octaves: int) -> Score:
    """Return a score in which a voice plays octaves higher or lower; as it was, if a note would leave the voice's range."""
    pitches = [cell.pitch + 12 * octaves for cell in score.voices[voice] if isinstance(cell, Note) and cell.pitch is not None]
    low, high = PITCH_RANGES[voice]
    if not pitches or min(pitches) < low or max(pitches) > high:
        return score
    return _each_note(score, voice, lambda note: replace(note, pitch=None if note.pitch is None else note.pitch + 12 * octaves))


def replayed(score: Score, voice: str, change: Callable[[Instrument], Instrument]) -> Score:
    """Return a score in which a voice's instruments are others: each is changed in the same way.

    Raises:
        MaterialError: There is no room for so many instruments.
    """
    instruments = list(score.instruments)
    known = {instrument: number for number, instrument in reversed(list(enumerate(instruments)))}
    numbers: dict[int, int] = {}
    for cell in score.voices[voice]:
        if isinstance(cell, Note) and cell.instrument not in numbers:
            wanted = change(score.instruments[cell.instrument])
            if wanted not in known:
                known[wanted] = len(instruments)
                instruments.append(wanted)
            numbers[cell.instrument] = known[wanted]
    _check_room(len(instruments))
    return _each_note(replace(score, instruments=tuple(instruments)), voice, lambda note: replace(note, instrument=numbers[note.instrument]))


def in_duty(duty: int) -> Callable[[Instrument], Instrument]:
    """Return a change of pulse instruments to one duty throughout, 0 to 3."""
    return lambda instrument: replace(instrument, duty=duty, duties=())


def struck_again(score: Score, voice: str, rows: int) -> Score:
    """Return a score in which what a voice holds is struck again every so many rows of the bar."""
    part: list[Cell] = []
    sounds: Note | None = None
    for row, cell in enumerate(score.voices[voice]):
        if cell is not HOLD:
            sounds = cell if isinstance(cell, Note) else None
        again = cell is HOLD and sounds is not None and row % score.bar_rows % rows == 0
        part.append(replace(sounds, slide=0) if again and sounds is not None else cell)
    return _with_part(score, voice, part)


def leaping(score: Score, voice: str, rows: int) -> Score:
    """Return a score in which every other note that lies on a multiple of rows is an octave higher, where it can be."""
    part = list(score.voices[voice])
    for row, cell in enumerate(part):
        if isinstance(cell, Note) and cell.pitch is not None and row % score.bar_rows % (2 * rows) == rows:
            part[row] = replace(cell, pitch=in_range(cell.pitch + 12, voice), slide=0)
    return _with_part(score, voice, part)


def thinned(score: Score, voice: str, rows: int) -> Score:
    """Return a score in which only those notes of a voice begin that lie on a multiple of rows; the notes before them last on."""
    part = [HOLD if isinstance(cell, Note) and row % score.bar_rows % rows else cell for row, cell in enumerate(score.voices[voice])]
    return _with_part(score, voice, part)


def chord_figure(score: Score, voice: str, player: Instrument, steps: Sequence[int], rows: int, lowest: int, volume: int = 15) -> Score:
    """Return a score in which a voice plays the tones of each half bar's chord, one every so many rows; silence where there is none.

    Args:
        score: The piece; its harmony is mined from its notes.
        voice: P1, P2 or TR.
        player: The instrument.
        steps: Which tone comes when, counted from the root upwards through the octaves: 0 root, 1 third, 2 fifth, 3 root …;
            -1 is a rest.
        rows: Rows of a step.
        lowest: The root is the lowest of its name from this MIDI pitch on.
        volume: Of the notes.
    """
    number = len(score.instruments)
    _check_room(number + 1)
    chords, half = half_bar_chords(score), score.bar_rows // HALVES
    part: list[Cell] = [HOLD] * score.n_rows
    for row in range(min(score.n_rows, len(chords) * score.bar_rows)):
        within = row % score.bar_rows
        if within % rows and within != half:
            continue
        chord = int(chords[row // score.bar_rows, min(within // half, HALVES - 1)])
        step = steps[within // rows % len(steps)]
        if chord == NO_CHORD or step < 0:
            part[row] = REST
            continue
        root = lowest + (chord_root(chord) - lowest) % 12
        octave, tone = divmod(step, 3)
        pitch = root + 12 * octave + CHORD_INTERVALS[(chord - 1) // 12][tone]
        part[row] = Note(number, in_range(pitch, voice), volume=volume)
    return _with_part(replace(score, instruments=(*score.instruments, player)), voice, part)


def beaten(score: Score, player: Instrument, rows: Sequence[int], volume: int = 15) -> Score:
    """Return a score whose noise beats in every bar at the same rows, and nowhere else."""
    number = len(score.instruments)
    _check_room(number + 1)
    part: list[Cell] = [Note(number, volume=volume) if row % score.bar_rows in rows else HOLD for row in range(score.n_rows)]
    return _with_part(replace(score, instruments=(*score.instruments, player)), "NO", part)


def in_harmony(score: Score, base: Score, voices: Sequence[str]) -> Score:
    """Return a score that has the base's notes in those bars in which its harmony is another one.

    Args:
        score: Made from the base by functions of this module.
        base: Has the harmony that is wanted.
        voices: Whose notes are taken back, one voice after the other as long as bars disagree; twice, since what is
            mined of a bar depends on its neighbours.
    """
    for voice in (*voices, *voices):
        part, was = list(score.voices[voice]), base.voices[voice]
        for bar in [bar for bar, agrees in enumerate(bars_in_harmony(score, base).tolist()) if not agrees]:
            rows = slice(bar * score.bar_rows, (bar + 1) * score.bar_rows)
            part[rows] = was[rows]
        score = _with_part(score, voice, part)
    return score


def finish(score: Score) -> Score:
    """Return a score whose loop begins by itself, nothing held into it, and whose repeated notes are set off from each other."""
    for voice in VOICES:
        part = list(score.voices[voice])
        for row in {0, score.loop[0] if score.loop else 0}:
            part[row] = REST if part[row] is HOLD else part[row]
        score = _with_part(score, voice, part)
    return articulate(_pruned(score))


def _pruned(score: Score) -> Score:
    """Return a score without the instruments that nothing plays."""
    used = sorted({cell.instrument for part in score.voices.values() for cell in part if isinstance(cell, Note)})
    numbers = {old: new for new, old in enumerate(used)}
    voices = {
        voice: tuple(replace(cell, instrument=numbers[cell.instrument]) if isinstance(cell, Note) else cell for cell in part)
        for voice, part in score.voices.items()
    }
    return replace(score, voices=voices, instruments=tuple(score.instruments[number] for number in used))


def _with_part(score: Score, voice: str, part: Sequence[Cell]) -> Score:
    return replace(score, voices={**score.voices, voice: tuple(part)})


def _each_note(score: Score, voice: str, change: Callable[[Note], Note]) -> Score:
    return _with_part(score, voice, [change(cell) if isinstance(cell, Note) else cell for cell in score.voices[voice]])


def _check_room(count: int) -> None:
    if count > MAX_INSTRUMENTS:
        raise MaterialError(f"the score has no room for more instruments: {count} would be needed, {MAX_INSTRUMENTS} are the most")
