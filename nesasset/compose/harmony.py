"""The harmony of a piece: a chord for each half bar, drawn before any note, and priced. Counts, no network.

Chords are told as degrees: moved so that the key's tonic is C. What the form settles is not drawn: a bar whose melodic
voices all repeat another has that bar's chords, one that repeats it elsewhere has them moved. Of the others each chord is
coded, half bar by half bar, given the key's mode, the chords before it, and the chord that the referenced bar has there,
which says the more, the more of that bar is kept. Where a theme is asked for, chords that its songs have more often than
others are drawn the more often: a dungeon wanders where a town stays at home.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import transpose_chords
from nesasset.compose.counts import Chain, Counts
from nesasset.vocabulary import EXACT, HALVES, LABELS, N_CHORDS, NO_CHORD, SEQUENCE, SILENT

MELODIC: Final = 3
NONE: Final = N_CHORDS  # before the first half bar; no reference
# Tuned on valid by hand: 3.43 bits a bar, 4.66 by the two chords before alone, 3.51 with the first numbers tried.
PRIORS: Final = ((1.0, 0.0), (10.0, 2.0), (40.0, 4.0), (10.0, 4.0), (10.0, 4.0), (20.0, 8.0))
LABEL_PRIOR: Final = 400.0  # chords of all songs that are counted with a theme's own
_KEPT: Final = 5  # classes of how much of the referenced bar is kept
EVENNESS: Final = 0.7  # power of the chords' probabilities, the rare ones left out: without these the commonest would come too often
_BASE: Final = N_CHORDS + 1


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What the harmony is told of a piece: its plan and the mode of its key."""

    lags: NDArray[np.integer]
    """(n_bars,)."""
    classes: NDArray[np.integer]
    """(n_bars, 4)."""
    shifts: NDArray[np.integer]
    """(n_bars,)."""
    minor: bool
    label: int = 0
    """Class of vocabulary.LABELS of the theme, 0 none."""

    def settled(self) -> NDArray[np.bool_]:
        """Return which bars have their chords from the form, shape (n_bars,)."""
        silent = self.classes[:, :MELODIC] == SILENT
        exact = ((self.classes[:, :MELODIC] == EXACT) | silent).all(axis=1)
        moved = ((self.classes[:, :MELODIC] == SEQUENCE) | silent).all(axis=1)
        return np.asarray((self.lags > 0) & (exact | moved) & ~silent.all(axis=1))


def settle(chords: NDArray[np.integer], form: Form) -> NDArray[np.int64]:
    """Return chords, (n_bars, 2), in which every settled bar has those that the form gives it."""
    out = chords.astype(np.int64)
    for bar in np.flatnonzero(form.settled()).tolist():
        out[bar] = transpose_chords(out[bar - int(form.lags[bar])], int(form.shifts[bar]))
    return out


@dataclass(frozen=True, slots=True, eq=False)
class HarmonyModel:
    """Prices and draws chords; make one with `HarmonyModel.fit`."""

    chain: Chain
    labelled: NDArray[np.integer]
    """(n_labels, 2, N_CHORDS): how often songs of each label have each chord, in major and in minor; zeros where that was not counted."""

    @staticmethod
    def fit(songs: Iterable[tuple[NDArray[np.integer], Form]]) -> HarmonyModel:
        """Count the degrees, (n_bars, 2), of songs with their forms."""
        outcomes, contexts = [np.zeros(0, dtype=np.int64)], [np.zeros((0, len(PRIORS)), dtype=np.int64)]
        labelled = np.zeros((len(LABELS), 2, N_CHORDS), dtype=np.int64)
        for degrees, form in songs:
            free = np.repeat(~form.settled(), HALVES)
            outcomes.append(degrees.reshape(-1).astype(np.int64)[free])
            np.add.at(labelled[form.label, int(form.minor)], outcomes[-1], 1)
            contexts.append(_contexts(degrees.astype(np.int64), form)[free])
        said, seen = np.concatenate(outcomes), np.concatenate(contexts)
        return HarmonyModel(Chain(tuple(Counts.of(column, said, N_CHORDS) for column in seen.T), PRIORS), labelled)

    def leaning(self, label: int, minor: bool) -> NDArray[np.float64]:
        """Return how much more often songs of a label have each chord than all songs of the mode, (N_CHORDS,); 1 without a label, or songs of it."""
        own, every = self.labelled[label, int(minor)], self.labelled[:, int(minor)].sum(axis=0) + 1.0
        if not label or not own.any():
            return np.ones(N_CHORDS)
        every = every / every.sum()
        share = (own + LABEL_PRIOR * every) / (own.sum() + LABEL_PRIOR)
        return np.asarray(share / every)

    def bits(self, degrees: NDArray[np.integer], form: Form) -> float:
        """Return the code length of a piece's harmony in bits; its plan and its key are known."""
        free = np.repeat(~form.settled(), HALVES)
        said = degrees.reshape(-1).astype(np.int64)[free]
        p = self._probabilities(_contexts(degrees.astype(np.int64), form)[free])
        return float(-np.log2(p[np.arange(len(said)), said]).sum())

    def sample(
        self,
        rng: np.random.Generator,
        form: Form,
        given: NDArray[np.integer],
        floor: float = 0.0,
        weights: NDArray[np.float64] | None = None,
        home: int | None = None,
    ) -> NDArray[np.int64]:
        """Draw the degrees of a piece, shape (n_bars, 2).

        Args:
            rng: The only source of chance.
            form: The piece's.
            given: (n_bars, 2), chords that are fixed, -1 for those to draw. What the form settles is as the form has it.
            floor: Share of the likeliest chord's probability below which another is not drawn, 0 to 1.
            weights: (N_CHORDS,), factors of the probabilities; None for those of the form's label.
            home: The bar that follows the last one, to whose first chord the last one is to lead; None for a piece that ends.
        """
        degrees = np.where(given < 0, NONE, given).astype(np.int64)
        line = degrees.reshape(-1)  # the same memory
        settled = form.settled()
        silent = (form.classes[:, :MELODIC] == SILENT).all(axis=1)
        weights = self.leaning(form.label, form.minor) if weights is None else weights
        for bar in range(len(degrees)):
            lag = int(form.lags[bar])
            if settled[bar]:
                degrees[bar] = transpose_chords(degrees[bar - lag], int(form.shifts[bar]))
                continue
            for half in range(HALVES):
                if given[bar, half] >= 0:
                    continue
                if silent[bar]:
                    degrees[bar, half] = NO_CHORD
                    continue
                p = self.chain.one(chord_context(line, form, bar, half))
                p[NO_CHORD] = 0  # something sounds here
                p = p * weights
                p[p < floor * p.max()] = 0
                p **= EVENNESS
                if home is not None and (bar, half) == (len(degrees) - 1, HALVES - 1) and bar > home:
                    p = p * self._leads(line, form, int(degrees[home, 0]))
                degrees[bar, half] = rng.choice(N_CHORDS, p=p / p.sum())
        return degrees

    def _leads(self, line: NDArray[np.int64], form: Form, first: int) -> NDArray[np.float64]:
        """Return how likely a chord follows each one in the last half bar of a line, (N_CHORDS,)."""
        going_on = Form(np.append(form.lags, 0), form.classes, np.append(form.shifts, 0), form.minor)
        extended = np.append(line, NONE)
        found = np.zeros(N_CHORDS)
        for chord in range(N_CHORDS):
            extended[-2] = chord
            found[chord] = self.chain.one(chord_context(extended, going_on, len(form.lags), 0))[first]
        return found

    def _probabilities(self, contexts: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.chain.probabilities(list(contexts.T), np.ones((len(contexts), N_CHORDS), dtype=bool))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the counts as arrays that `from_arrays` reads; contexts seen once, but for short ones, are left out."""
        arrays: dict[str, NDArray[Any]] = {}
        for number, level in enumerate(self.chain.levels):
            keep = level.counts.sum(axis=1) >= (1 if number < 3 else 2)
            place, outcome = np.nonzero(level.counts[keep])
            arrays[f"harmony_contexts_{number}"] = level.contexts[keep]
            arrays[f"harmony_sizes_{number}"] = np.bincount(place, minlength=int(keep.sum())).astype(np.uint8)
            arrays[f"harmony_outcomes_{number}"] = outcome.astype(np.uint8)
            arrays[f"harmony_counts_{number}"] = level.counts[keep][place, outcome].astype(np.uint16)
        return {**arrays, "harmony_labels": self.labelled.astype(np.uint32)}

    @staticmethod
    def from_arrays(arrays: dict[str, NDArray[Any]]) -> HarmonyModel:
        """Return the model whose counts `to_arrays` gave; those of labels are zeros in files from which they are missing."""
        levels = []
        for number in range(len(PRIORS)):
            contexts = arrays[f"harmony_contexts_{number}"]
            counts = np.zeros((len(contexts), N_CHORDS), dtype=np.float32)
            place = np.repeat(np.arange(len(contexts)), arrays[f"harmony_sizes_{number}"])
            counts[place, arrays[f"harmony_outcomes_{number}"]] = arrays[f"harmony_counts_{number}"]
            levels.append(Counts(contexts, counts))
        none = np.zeros((len(LABELS), 2, N_CHORDS), dtype=np.int64)
        labelled = arrays.get("harmony_labels", none)
        if labelled.shape != none.shape:
            raise ValueError(f"harmony_labels must be {none.shape} counts, not {labelled.shape}")
        return HarmonyModel(Chain(tuple(levels), PRIORS), labelled)


def chord_context(degrees: Sequence[int] | NDArray[np.int64], form: Form, bar: int, half: int) -> tuple[int, ...]:
    """Return the contexts of one half bar, shortest first; degrees are those of all half bars before it, flat, and more."""
    here = HALVES * bar + half
    last, before = (degrees[here - back] if here >= back else NONE for back in (1, 2))
    lag, shift = int(form.lags[bar]), int(form.shifts[bar])
    expected, similar = NONE, 0
    if lag:
        expected = degrees[here - HALVES * lag]
        if shift and 0 < expected < N_CHORDS:
            expected += (expected - 1 + shift) % 12 - (expected - 1) % 12
        classes = form.classes[bar, :MELODIC].tolist()
        kept = sum(kind in (EXACT, SEQUENCE) for kind in classes)
        similar = 1 + _KEPT * (classes[2] == EXACT) + min(kept, MELODIC)
    mode = int(form.minor)
    one = (similar * HALVES + half) * _BASE + expected
    return (
        mode,
        (last * HALVES + half) * 2 + mode,
        ((last * _BASE + before) * HALVES + half) * 2 + mode,
        one,
        one * _BASE + last,
        (one * _BASE + last) * _BASE + before,
    )


def _contexts(degrees: NDArray[np.int64], form: Form) -> NDArray[np.int64]:
    """Return the contexts of every half bar, shape (2 * bars, len(PRIORS)), shortest first."""
    line = degrees.reshape(-1).tolist()
    places = [(bar, half) for bar in range(len(degrees)) for half in range(HALVES)]
    return np.array([chord_context(line, form, *place) for place in places], dtype=np.int64).reshape(-1, len(PRIORS))
