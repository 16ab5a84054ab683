"""Leitmotifs: a tune that a piece is composed around, and where such tunes come from.

The tune stands in pulse 1 where the loop begins, and in a piece of eight bars or more again about half way: in the piece's key
and mode, in its melody's register, note for note. Form and chords are drawn to go with it, the other voices and bars are written
by the model, which reads the tune as it reads all that stands already. Pieces of one pack that are given one tune are kin; see
nesasset/motifs.py for a search that finds that out.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import DEGREES, chord_tones
from nesasset.compose.accompany import chords_around, form_around, opened, plan_model, whole_bars
from nesasset.compose.assemble import REGISTER_EDGES
from nesasset.compose.controls import Controls
from nesasset.compose.given import Given
from nesasset.compose.harmony import HarmonyModel
from nesasset.compose.key import find_key, pitch_class_weights
from nesasset.compose.material import cells_of
from nesasset.compose.motif import Motif, checked, parse_motif
from nesasset.compose.plan import Plan, draw_form, with_chords
from nesasset.compose.request import BEAT_ROWS, Request, generator
from nesasset.compose.writer import ENDING_ROWS
from nesasset.errors import ControlError, MaterialError
from nesasset.model import Model
from nesasset.originality import WORD, hashes, melody_symbols, repetitions
from nesasset.score import Score
from nesasset.units import NOTE_NAMES, PITCH_RANGES
from nesasset.vocabulary import CONTROLS, HALVES, HOLD_ID, ONSET_ID, id_to_pitch

BAR_ROWS: Final = 16
TWICE_FROM: Final = 8  # bars of a loop in which the tune stands twice
PHRASE_BARS: Final = 2  # of an invented motif
PHRASE_NOTES: Final = (8, 12)  # eight are what the blind search needs
LEAST_PITCHES: Final = 5  # different ones
LEAST_MOVES: Final = 4  # different ones
MOST_REPEATED: Final = 0.25  # of the moves: notes that are struck again
LEAST_WAITS: Final = 2
WIDEST: Final = 19  # semitones that a phrase spans: an octave and a fifth
LONG_ROWS: Final = 6  # a last note of so many is one to end on
MOST_REST: Final = 0.35  # of a phrase's rows
MIDDLE_PITCH: Final = 72  # about which a motif is written down
LOOKED_AT: Final = 4  # pieces of whose phrases the best is taken
ATTEMPTS: Final = 32  # pieces in which a motif is looked for at most
_P1: Final = np.array([True, False, False, False])


# A piece around a motif.


def draw_around(request: Request, model: Model, harmony: HarmonyModel, rng: np.random.Generator) -> tuple[Plan, Given]:
    """Draw a plan that has a place for the motif that was asked for, and return it with the motif's cells.

    Args:
        request: What is wanted, with a motif.
        model: The model.
        harmony: Its counts of chords.
        rng: The only source of chance.

    Raises:
        ControlError: The motif has no place in the key and the range of the melody that were asked for.
    """
    plan = draw_form(model.plans, request, rng, BAR_ROWS)
    column = list(CONTROLS).index("mode")
    minor = (request.mode or int(plan.controls[column]) or 1 + int(rng.random() < 0.5)) == 2
    tune = parse_motif(request.wishes.motif or "").in_mode(minor)
    tonic, move = _home_of(tune, minor, plan, request, rng)
    plan.controls[column] = 1 + minor
    plan = replace(plan, tonic=tonic)
    given, bars = _cells(tune.moved(move), plan, request)
    plan = opened(plan, given.cells, _P1)
    known = np.maximum(given.cells, HOLD_ID)
    plan = form_around(plan, known, whole_bars(given.cells, BAR_ROWS), plan_model(model), rng)
    chords = None if request.wishes.chords or request.wishes.scale else _chords(plan, known, bars, minor, harmony, rng)
    return with_chords(plan, harmony, replace(request, tonic=tonic, mode=1 + minor), rng, chords), given


def _home_of(tune: Motif, minor: bool, plan: Plan, request: Request, rng: np.random.Generator) -> tuple[int, int]:
    """Return the piece's tonic and by how many semitones the tune is moved there, from C."""
    wishes = request.wishes
    low, high = wishes.melody_pitches or PITCH_RANGES["P1"]
    tonic = _tonic_of_names(wishes, minor) if request.tonic is None else request.tonic
    if tonic is None:
        fitting = [tonic for tonic in range(12) if tune.moves(tonic, low, high)]
        tonic = fitting[int(rng.integers(len(fitting)))] if fitting else 0
    moves = tune.moves(tonic, low, high)
    if not moves:
        raise ControlError(f"the motif has no place within {wishes.melody_range} in the key of {NOTE_NAMES[tonic]}; ask for a wider melody_range or another key")
    register = request.register if wishes.register else int(plan.controls[list(CONTROLS).index("register")]) or request.register
    middle = float(np.mean(wishes.melody_pitches or REGISTER_EDGES))
    if not wishes.melody_range:
        middle += (register - 2) * (REGISTER_EDGES[1] - REGISTER_EDGES[0])
    return tonic, min(moves, key=lambda move: abs(float(np.mean(tune.pitches)) + move - middle))


def _tonic_of_names(wishes: Controls, minor: bool) -> int | None:
    """Return the tonic of chords that were asked for by their names; None where there are none, or degrees among them."""
    mode = "minor" if minor else "major"
    chords = wishes.progression(0, mode)
    if not chords or chords != wishes.progression(1, mode):
        return None
    tonic, found, _ = find_key(chord_tones()[[chord for bar in chords for chord in bar]].sum(axis=0).astype(np.float64))
    return tonic if found == mode else (tonic + (9 if minor else 3)) % 12


def _cells(tune: Motif, plan: Plan, request: Request) -> tuple[Given, list[range]]:
    """Return the cells of a tune where it stands in a piece, and the bars of each place; what is too long loses its end."""
    end = plan.n_bars * BAR_ROWS - (0 if request.loops else ENDING_ROWS)
    given = Given.nothing(plan.n_bars * BAR_ROWS)
    found = []
    for bar in _places(plan, request):
        row = bar * BAR_ROWS
        line = tune.head(end - row).cells()
        given.cells[row : row + len(line), 0] = line
        found.append(range(bar, bar - (-len(line) // BAR_ROWS)))
    return given, found


def _places(plan: Plan, request: Request) -> list[int]:
    """Return the bars in which the tune begins: the loop's first, and one about half way where the form does not bring it back."""
    sections = request.sections
    again = any(section.letter == sections[0].letter and not section.shift and section.strokes < 2 for section in sections[1:])
    if request.bars < TWICE_FROM or again:
        return [plan.home]
    return [plan.home, plan.home + request.bars // 4 * 2]


def _chords(plan: Plan, known: NDArray[np.int64], places: list[range], minor: bool, harmony: HarmonyModel, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return chords that go with the tune, the same in each of its places, (n_bars, 2); -1 for those that are free."""
    stop = places[0].stop
    start = replace(plan, lags=plan.lags[:stop], classes=plan.classes[:stop], shifts=plan.shifts[:stop])
    found = chords_around(start, known[: stop * BAR_ROWS], minor, harmony, rng)
    chords = np.full((plan.n_bars, HALVES), -1, dtype=np.int64)
    for bars in places:
        chords[bars.start : bars.stop] = found[places[0].start :][: len(bars)]
    return chords


# Where motifs come from.


def invent(theme: str, seed: int, model: Model) -> Motif:
    """Return a motif that is nobody's yet: the most memorable phrase of a piece that is composed for it.

    Eight to twelve notes in two bars, in one key, of several moves and lengths, easy to sing, of which no eight notes
    stand in the model's training songs.

    Args:
        theme: Name of a theme.
        seed: Another seed, another motif.
        model: The model.

    Raises:
        UnknownThemeError: No theme has that name.
        ControlError: The seed is out of range.
        MaterialError: None of the pieces of this seed has such a phrase.
    """
    from nesasset.compose import compose, index_of
    from nesasset.compose.controls import check_seed

    check_seed(seed)
    known = index_of(model)
    controls = Controls(bars=8, candidates=1, ornaments=False)
    found: list[tuple[float, Motif]] = []
    for attempt in range(ATTEMPTS):
        drawn = int(generator(("motif", theme, seed, attempt)).integers(2**31))
        for value, tune, symbols in _phrases(compose(theme, drawn, controls, model)):
            if known is None or not known.knows(hashes(symbols, WORD)).any():
                found.append((value, tune))
        if found and attempt + 1 >= LOOKED_AT:
            return max(found, key=lambda item: item[0])[1]
    raise MaterialError(f"none of {ATTEMPTS} pieces for the theme {theme} and the seed {seed} has a phrase that makes a motif; try another seed")


def phrase_of(score: Score, bars: str | None = None) -> Motif:
    """Return a motif that a score's pulse 1 has.

    Args:
        score: Any score.
        bars: The bars, as in '1-2', four at most; None takes the most memorable two.

    Raises:
        ControlError: There are no such bars, or too many or few notes in them.
        MaterialError: No two bars make a motif.
    """
    from nesasset.compose.vary import parse_bars

    cells = _sixteenths(score)
    if bars is None:
        found = _phrases(score)
        if not found:
            raise MaterialError("no two bars of the score's pulse 1 make a motif; name some with --bars")
        return max(found, key=lambda item: item[0])[1]
    chosen = parse_bars(bars, score.n_bars)
    if chosen != list(range(chosen[0], chosen[-1] + 1)):
        raise ControlError(f"the bars of a motif must follow one another, as in 1-2, not {bars!r}")
    first, stop = (bar * score.bar_rows * BEAT_ROWS // score.beat_rows for bar in (chosen[0], chosen[-1] + 1))
    tune = _tune(cells[first:stop, 0])
    if not tune.pitches:
        raise MaterialError(f"pulse 1 has no note in the bars {bars}; choose others")
    return _in_c(checked(tune), find_key(pitch_class_weights(cells))[0])


def _sixteenths(score: Score) -> NDArray[np.int64]:
    """Return a score's cells, (n, 4), four rows a beat; of several in one sixteenth the last that is no hold."""
    cells = cells_of(score)
    if score.beat_rows == BEAT_ROWS:
        return cells
    out = np.full((-(-len(cells) * BEAT_ROWS // score.beat_rows), 4), HOLD_ID, dtype=np.int64)
    for row, column in np.argwhere(cells != HOLD_ID).tolist():
        out[row * BEAT_ROWS // score.beat_rows, column] = cells[row, column]
    return out


def _tune(line: NDArray[np.int64]) -> Motif:
    """Return a line of cells, (n_rows,), as a tune where it stands; what is held into it is a rest."""
    notes: list[tuple[int | None, int]] = []
    for cell in line.tolist():
        if cell >= ONSET_ID:
            notes.append((id_to_pitch(cell), 1))
        elif notes and (cell == HOLD_ID or notes[-1][0] is None):
            notes[-1] = (notes[-1][0], notes[-1][1] + 1)
        else:
            notes.append((None, 1))
    return Motif(tuple(notes))


def _in_c(tune: Motif, tonic: int) -> Motif:
    """Return a tune in a tonic's key as it is written down: in C, about the middle."""
    moves = tune.moves(-tonic % 12, *PITCH_RANGES["P1"])
    return tune.moved(min(moves, key=lambda move: abs(float(np.mean(tune.pitches)) + move - MIDDLE_PITCH)))


def _phrases(score: Score) -> list[tuple[float, Motif, NDArray[np.uint64]]]:
    """Return the phrases of pulse 1 that would make a motif: how memorable each is, the motif, and its pairs (originality.py)."""
    cells = _sixteenths(score)
    tonic, mode, _ = find_key(pitch_class_weights(cells))
    bar_rows = max(1, score.bar_rows * BEAT_ROWS // score.beat_rows)
    found = []
    for start in range(0, len(cells) - PHRASE_BARS * bar_rows + 1, bar_rows):
        line = cells[start : start + PHRASE_BARS * bar_rows, 0]
        symbols, tune = melody_symbols(line), _tune(line)
        few, many = PHRASE_NOTES
        if line[0] < ONSET_ID or not few <= len(tune.pitches) <= many or tune.span > WIDEST:
            continue
        tune = _in_c(tune, tonic)
        if _is_singable(tune, mode) and not repetitions(symbols, WORD).any():
            found.append((_variety(tune, symbols), tune, symbols))
    return found


def _is_singable(tune: Motif, mode: str) -> bool:
    """Return whether a tune keeps to its key and dwells on it, leaps no tritone in either mode, moves and waits in several ways, and seldom rests."""
    onsets = _onsets(tune)
    moves = [b - a for a, b in pairwise(tune.pitches)]
    rests = sum(rows for pitch, rows in tune.notes if pitch is None)
    return (
        {pitch % 12 for pitch in tune.pitches} <= set(DEGREES[mode])
        and tune.minor == (mode == "minor")
        and all(_dwells_on(tune.in_mode(minor)) == 0 for minor in (False, True))
        and len(set(tune.pitches)) >= LEAST_PITCHES
        and len(set(moves)) >= LEAST_MOVES
        and moves.count(0) <= MOST_REPEATED * len(moves)
        and len({b - a for a, b in pairwise(onsets)}) >= LEAST_WAITS
        and not any(abs(b - a) % 12 == 6 for minor in (False, True) for a, b in pairwise(tune.in_mode(minor).pitches))
        and rests <= MOST_REST * tune.rows
    )


def _dwells_on(tune: Motif) -> int:
    """Return the tonic of the key that a tune by itself is heard in."""
    sounding = [pitch for pitch, rows in tune.notes for _ in range(rows) if pitch is not None]
    return find_key(np.bincount(np.array(sounding) % 12, minlength=12).astype(np.float64))[0]


def _onsets(tune: Motif) -> list[int]:
    """Return the rows in which the notes of a tune begin."""
    starts = accumulate((rows for _, rows in tune.notes), initial=0)
    return [row for (pitch, _), row in zip(tune.notes, starts, strict=False) if pitch is not None]


def _variety(tune: Motif, symbols: NDArray[np.uint64]) -> float:
    """Return how memorable a tune is: moves that differ, notes on the beat, a last one to rest on, of the tonic's chord."""
    last, rows = next((pitch, rows) for pitch, rows in reversed(tune.notes) if pitch is not None)
    steady = float(np.mean(np.array(_onsets(tune)) % BEAT_ROWS == 0))
    return len(set(symbols.tolist())) / len(symbols) + 0.5 * steady + 0.5 * (rows >= LONG_ROWS) + 0.3 * (last % 12 in (0, 3, 4, 7))
