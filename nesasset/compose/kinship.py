"""How two versions of one piece compare: whether their harmonies agree, and by what a listener tells them apart.

Both stand on one grid of bars and rows; tempos may differ. Rows in, figures out.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import chord_tones
from nesasset.compose.chord_mining import mine_chords
from nesasset.compose.form_mining import bar_starts
from nesasset.compose.key import sounding_cells
from nesasset.compose.material import cells_of
from nesasset.errors import MaterialError
from nesasset.score import Note, Score
from nesasset.units import MAX_VOLUME, VOICES
from nesasset.vocabulary import LOWEST_PITCH, NO_CHORD, ONSET_ID

SHARED_TONES: Final = 2  # of three: with so many two chords are compatible, as C and Am, or F and Dm, are
# What a listener is sure to notice, by trait: a difference of so much counts as one step. Tempo 8 %; loudness 3 dB of the
# volumes; half as many notes again; a fourth; a quarter of the time sounding or silent; half of the notes in another duty;
# a quarter of the notes others.
STEPS: Final = {"tempo": 0.077, "volume": 0.345, "density": 0.405, "register": 5.0, "presence": 0.25, "timbre": 0.5, "notes": 0.25}


def same_grid(one: Score, other: Score) -> bool:
    """Return whether two scores have the same bars, rows and loop, so that a game may change from any place to the same in the other."""
    return (one.n_rows, one.bar_rows, one.beat_rows, one.loop) == (other.n_rows, other.bar_rows, other.beat_rows, other.loop)


def half_bar_chords(score: Score) -> NDArray[np.int8]:
    """Return the chord that is mined from the notes of each half bar, (n_bars, 2)."""
    cells = cells_of(score)
    return mine_chords(cells, bar_starts(len(cells), score.bar_rows), score.bar_rows)


def harmony_agreement(one: Score, other: Score) -> tuple[float, float]:
    """Return the share of half bars that have the same chord in both, and of those whose chords are the same or compatible.

    Compatible are chords with two of three notes in common. A half bar counts where both have a chord.

    Raises:
        MaterialError: They do not stand on one grid.
    """
    if not same_grid(one, other):
        raise MaterialError("only scores of the same bars, rows and loop have a harmony that can be compared bar by bar")
    first, second = half_bar_chords(one).reshape(-1), half_bar_chords(other).reshape(-1)
    both = (first != NO_CHORD) & (second != NO_CHORD)
    if not both.any():
        return 1.0, 1.0
    tones = chord_tones()
    shared = (tones[first] & tones[second]).sum(axis=1)
    return float((first == second)[both].mean()), float((shared >= SHARED_TONES)[both].mean())


def bars_in_harmony(one: Score, other: Score) -> NDArray[np.bool_]:
    """Return in which bars every half that has a chord in both scores has the same or a compatible one, (n_bars,)."""
    first, second = half_bar_chords(one), half_bar_chords(other)
    shared = (chord_tones()[first] & chord_tones()[second]).sum(axis=-1)
    agrees: NDArray[np.bool_] = ((shared >= SHARED_TONES) | (first == NO_CHORD) | (second == NO_CHORD)).all(axis=1)
    return agrees


def traits(score: Score) -> dict[str, NDArray[np.float64]]:
    """Return what a listener hears of a score at once: tempo, and for each voice presence, density, volume, register and timbre.

    Values are in the units of STEPS: logarithms of tempo, density and volume, semitones, shares.
    """
    cells = cells_of(score)
    held = sounding_cells(cells)
    heard = held >= ONSET_ID
    onsets = cells >= ONSET_ID
    volumes, duties, registers = np.zeros(4), np.zeros((4, 4)), np.zeros(4)
    for column, voice in enumerate(VOICES):
        players = [(score.instruments[cell.instrument], cell.volume) for cell in score.voices[voice] if isinstance(cell, Note)]
        players = [(instrument, volume) for instrument, volume in players if volume and any(instrument.volume)]
        if players:
            volumes[column] = np.mean([np.log(max(instrument.volume) * volume / MAX_VOLUME) for instrument, volume in players])
            kinds = [instrument.duties[-1] if instrument.duties else instrument.duty for instrument, _ in players]
            duties[column] = np.bincount(kinds, minlength=4)[:4] / len(kinds)
        if heard[:, column].any() and column < 3:
            registers[column] = np.median(held[heard[:, column], column]) - ONSET_ID + LOWEST_PITCH
    return {
        "tempo": np.array([np.log(score.tempo_bpm)]),
        "presence": heard.mean(axis=0),
        "density": np.log(onsets.mean(axis=0) + 0.02),
        "volume": volumes,
        "register": registers,
        "timbre": duties[:2].reshape(-1),
    }


def difference(one: Score, other: Score) -> dict[str, float]:
    """Return by what a listener tells two versions apart: steps of each trait, those of the voices added up.

    One step of one trait is what is sure to be noticed; "total" is their sum. Volume, register and timbre count for voices
    that both have.
    """
    first, second = traits(one), traits(other)
    both = (first["presence"] > 0) & (second["presence"] > 0)
    found = {}
    for name in ("tempo", "presence", "density"):
        found[name] = float(np.abs(first[name] - second[name]).sum() / STEPS[name])
    for name in ("volume", "register"):
        found[name] = float((np.abs(first[name] - second[name]) * both).sum() / STEPS[name])
    duties = np.abs(first["timbre"] - second["timbre"]).reshape(2, 4).sum(axis=1) / 2
    found["timbre"] = float((duties * both[:2]).sum() / STEPS["timbre"])
    a, b = cells_of(one), cells_of(other)
    rows = min(len(a), len(b))
    either = (a[:rows] >= ONSET_ID) | (b[:rows] >= ONSET_ID)
    apart = ((a[:rows] != b[:rows]) & either).sum(axis=0) / np.maximum(either.sum(axis=0), 1)
    found["notes"] = float((apart * both).sum() / STEPS["notes"])
    return {**{name: round(value, 2) for name, value in found.items()}, "total": round(sum(found.values()), 2)}
