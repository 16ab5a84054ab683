"""A model of form plans: which earlier bar each bar refers to, and what becomes of each voice. Counts, no network.

It prices plans in bits (every model that is told the plan is charged for it) and draws plans for lengths that a plan
library lacks. It knows nothing of notes. Form has a hierarchy of four and eight bars, which it sees through the bar's
number and through what was so many bars ago; a plan from a library is to be preferred where there is one.

A bar's plan is a lag, 0 for none, one class per voice, together its word, and a shift where a voice is a sequence. The
code of a song is, bar by bar,

    lag    | the two lags before and those four and eight bars ago, bar number, previous word
    class  | is there a reference, the voice's class in the previous and in the referenced bar and four and eight bars ago,
             classes already said, previous word, lag
    shift  | the previous bar's

each an interpolation of counts from short to long contexts, see counts.py. What cannot be has no mass: a lag beyond the
first bar; a class that compares where there is nothing to compare with; a reference that no voice uses; a sequence of
drums.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.counts import Chain, Counts
from nesasset.errors import FormatError
from nesasset.vocabulary import MAX_LAG, MAX_SHIFT, NEW, PLAN_CLASSES, SEQUENCE

Plan = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer]]
"""Lags of shape (n_bars,), classes of shape (n_bars, 4), columns P1, P2, TR, NO, and shifts of shape (n_bars,)."""

N_LAGS: Final = MAX_LAG + 1
N_CLASSES: Final = len(PLAN_CLASSES)
N_SHIFTS: Final = 2 * MAX_SHIFT + 1
NO_LAG: Final = N_LAGS  # before the first bar
NO_CLASS: Final = N_CLASSES  # before the first bar; where no bar is referred to
NO_WORD: Final = N_CLASSES**4
_DIGITS: Final = N_CLASSES ** np.arange(3, -1, -1)  # a word is its classes read as digits, P1 first
_PERIOD: Final = 8  # bars beyond the sixteenth are told apart by their place among eight

# Weight of each context's prior: fixed part and part per distinct outcome seen, shortest context first. Tuned one after
# the other on a tenth of the training songs, counted on the rest; factors of two either way change less than 0.01 bits.
# What was four and eight bars ago is worth 0.026 bits a bar of valid to the lag and 0.013 to the classes.
LAG_PRIORS: Final = ((1.0, 0.0), (40.0, 2.0), (80.0, 2.0), (80.0, 4.0), (20.0, 2.0), (10.0, 4.0))
CLASS_PRIORS: Final = ((1.0, 0.0), (4.0, 1.0), (10.0, 2.0), (20.0, 2.0), (20.0, 4.0), (80.0, 0.0))
SHIFT_PRIORS: Final = ((1.0, 0.0), (20.0, 2.0))

# What pays in bits scatters when it draws from itself: probabilities are raised to this power, with which bars that
# repeat exactly are as frequent in the first sixteen as in training songs (10 %; at 1.0 they are half as frequent).
SHARPNESS: Final = 1.25


def class_words(classes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the word of each bar, 0 to N_CLASSES ** 4 - 1, for classes of shape (n_bars, 4)."""
    return classes.astype(np.int64) @ _DIGITS


def allowed_lags(bars: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which lags bars of these numbers may have, shape (n, N_LAGS)."""
    return np.arange(N_LAGS) <= np.asarray(bars)[:, None]


def allowed_classes(lags: NDArray[np.integer], said: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which classes the next voice may have, shape (n, N_CLASSES).

    Args:
        lags: Shape (n,).
        said: Classes of the voices before it in the bar, shape (n, 0 to 3).
    """
    allowed = np.ones((len(lags), N_CLASSES), dtype=bool)
    allowed[lags == 0, :NEW] = False
    if said.shape[1] == 3:
        allowed[:, SEQUENCE] = False
    if said.shape[1] == 3:  # a bar refers to another only where a voice makes use of it
        unused = (lags > 0) & (said >= NEW).all(axis=1)
        allowed[unused, NEW:] = False
    return allowed


@dataclass(frozen=True, slots=True, eq=False)
class PlanModel:
    """Prices and draws plans; make one with `PlanModel.fit`."""

    lag: Chain
    voices: tuple[Chain, ...]
    """Of P1, P2, TR, NO."""
    shift: Chain

    @staticmethod
    def fit(plans: Iterable[Plan]) -> PlanModel:
        """Count plans.

        Args:
            plans: (lags, classes, shifts) of each song, as the plan library or a prepared corpus holds them.

        Raises:
            FormatError: A plan cannot be: a lag before the song's start, or classes that do not fit the lag.
        """
        songs = [tuple(np.asarray(part) for part in plan) for plan in plans]
        for lags, classes, shifts in songs:
            _check_shapes(lags, classes, shifts)
        lags = np.concatenate([np.zeros(0, dtype=np.int64), *(lags for lags, _, _ in songs)])
        classes = np.concatenate([np.zeros((0, 4), dtype=np.int64), *(classes for _, classes, _ in songs)])
        shifts = np.concatenate([np.zeros(0, dtype=np.int64), *(shifts for _, _, shifts in songs)])
        bars = np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(len(lags)) for lags, _, _ in songs)])
        _check_bars(lags, classes, shifts, bars)
        views = _views(lags, classes, bars)
        lags, classes = views.lags, views.classes
        lag = tuple(Counts.of(context, lags, N_LAGS) for context in _lag_contexts(views))
        voices = tuple(
            Chain(
                tuple(Counts.of(context, classes[:, voice], N_CLASSES) for context in _class_contexts(views, voice)),
                CLASS_PRIORS,
            )
            for voice in range(4)
        )
        moved = np.flatnonzero(shifts)
        shift = tuple(
            Counts.of(context[moved], shifts[moved].astype(np.int64) + MAX_SHIFT, N_SHIFTS)
            for context in _shift_contexts(shifts, bars)
        )
        return PlanModel(Chain(lag, LAG_PRIORS), voices, Chain(shift, SHIFT_PRIORS))

    def bits(self, lags: NDArray[np.integer], classes: NDArray[np.integer], shifts: NDArray[np.integer]) -> float:
        """Return the code length of a song's plan in bits; its number of bars is known.

        Args:
            lags: Bars back to the reference, 0 none, shape (n_bars,).
            classes: Plan class per voice, shape (n_bars, 4).
            shifts: Semitones of the sequences, shape (n_bars,).

        Raises:
            FormatError: The plan cannot be.
        """
        return float(self.bar_bits(lags, classes, shifts).sum())

    def bar_bits(
        self, lags: NDArray[np.integer], classes: NDArray[np.integer], shifts: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return the code length of each bar's plan given the bars before it, shape (n_bars,); errors as for `bits`."""
        lags, classes, shifts = np.asarray(lags), np.asarray(classes), np.asarray(shifts)
        _check_shapes(lags, classes, shifts)
        bars = np.arange(len(lags))
        _check_bars(lags, classes, shifts, bars)
        views = _views(lags, classes, bars)
        lags, classes = views.lags, views.classes
        rows = np.arange(len(lags))
        bits = -np.log2(self.lag.probabilities(_lag_contexts(views), allowed_lags(bars))[rows, lags])
        for voice, chain in enumerate(self.voices):
            p = chain.probabilities(_class_contexts(views, voice), allowed_classes(lags, classes[:, :voice]))
            bits -= np.log2(p[rows, classes[:, voice]])
        moved = np.flatnonzero(shifts)
        p = self.shift.probabilities([part[moved] for part in _shift_contexts(shifts, bars)], _allowed_shifts(len(moved)))
        bits[moved] -= np.log2(p[np.arange(len(moved)), shifts[moved].astype(np.int64) + MAX_SHIFT])
        return bits

    def sample(self, rng: np.random.Generator, n_bars: int) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int8]]:
        """Draw a plan.

        Args:
            rng: Source of randomness; the same state draws the same plan.
            n_bars: 0 or more.

        Returns:
            Lags of shape (n_bars,), classes of shape (n_bars, 4) and shifts of shape (n_bars,), all int8.
        """
        lags = np.zeros(n_bars, dtype=np.int8)
        classes = np.full((n_bars, 4), NEW, dtype=np.int8)
        shifts = np.zeros(n_bars, dtype=np.int8)
        for bar in range(n_bars):
            lags[bar] = self.draw_lag(rng, lags, classes, bar)
            classes[bar] = self.draw_classes(rng, lags, classes, bar)
            if (classes[bar] == SEQUENCE).any():
                contexts = [part[-1:] for part in _shift_contexts(shifts[: bar + 1], np.arange(bar + 1))]
                p = self.shift.probabilities(contexts, _allowed_shifts(1))
                shifts[bar] = rng.choice(N_SHIFTS, p=_sharpened(p[0])) - MAX_SHIFT
        return lags, classes, shifts

    def draw_lag(self, rng: np.random.Generator, lags: NDArray[np.integer], classes: NDArray[np.integer], bar: int) -> int:
        """Draw the lag of a bar, given those (n_bars,) and the classes (n_bars, 4) of the bars before it."""
        p = self.lag.probabilities(_lag_contexts(_last_view(lags, classes, bar)), allowed_lags(np.array([bar])))
        return int(rng.choice(N_LAGS, p=_sharpened(p[0])))

    def draw_classes(
        self,
        rng: np.random.Generator,
        lags: NDArray[np.integer],
        classes: NDArray[np.integer],
        bar: int,
        known: NDArray[np.integer] | None = None,
        *,
        shifted: bool = True,
    ) -> NDArray[np.int64]:
        """Draw the classes of a bar, (4,), given its lag and the bars before it.

        Args:
            rng: Source of randomness.
            lags: (n_bars,), this bar's among them.
            classes: (n_bars, 4) of the bars before.
            bar: Its number.
            known: (4,) classes that are settled, -1 for those to draw; None for all to be drawn.
            shifted: Whether a voice that is not settled may be a sequence.
        """
        views = _last_view(lags, classes, bar)
        known = np.full(4, -1) if known is None else known
        for voice, chain in enumerate(self.voices):
            if known[voice] >= 0:
                views.classes[0, voice] = known[voice]
                continue
            allowed = allowed_classes(views.lags, views.classes[:, :voice])
            allowed[:, SEQUENCE] &= shifted
            p = chain.probabilities(_class_contexts(views, voice), allowed)
            views.classes[0, voice] = rng.choice(N_CLASSES, p=_sharpened(p[0]))
        return np.array(views.classes[0])


def _sharpened(p: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = p**SHARPNESS
    normalised: NDArray[np.float64] = raised / raised.sum()
    return normalised


def _check_shapes(lags: NDArray[np.integer], classes: NDArray[np.integer], shifts: NDArray[np.integer]) -> None:
    whole = all(part.dtype.kind in "iu" for part in (lags, classes, shifts))
    if not whole or lags.ndim != 1 or classes.shape != (len(lags), 4) or shifts.shape != lags.shape:
        raise FormatError(
            "a plan needs whole numbers: lags of shape (n,), classes of shape (n, 4) and shifts of shape (n,), "
            f"not {lags.dtype} {lags.shape}, {classes.dtype} {classes.shape} and {shifts.dtype} {shifts.shape}"
        )


def _check_bars(
    lags: NDArray[np.integer], classes: NDArray[np.integer], shifts: NDArray[np.integer], bars: NDArray[np.int64]
) -> None:
    """Raise FormatError where no plan can be like this one; `bars` numbers the bars within their songs."""
    most = np.minimum(bars, MAX_LAG)
    far = np.flatnonzero((lags < 0) | (lags > most))
    if len(far):
        at = far[0]
        raise FormatError(f"the lag of bar {bars[at]} of a plan must be between 0 and {most[at]}, not {lags[at]}")
    known = ((classes >= 0) & (classes < N_CLASSES)).all(axis=1) & (classes[:, 3] != SEQUENCE)
    fits = np.where(lags > 0, (classes < NEW).any(axis=1), (classes >= NEW).all(axis=1))
    wrong = np.flatnonzero(~(known & fits))
    if len(wrong):
        at = wrong[0]
        raise FormatError(f"bar {bars[at]} of a plan cannot have the classes {classes[at].tolist()} at lag {lags[at]}")
    astray = np.flatnonzero((np.abs(shifts) > MAX_SHIFT) | ((shifts != 0) != (classes == SEQUENCE).any(axis=1)))
    if len(astray):
        at = astray[0]
        raise FormatError(
            f"bar {bars[at]} of a plan has the shift {shifts[at]}; it must be from 1 to {MAX_SHIFT} semitones up or down where "
            "a voice is a sequence, 0 elsewhere"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """What contexts are made of, per bar of one song or of several behind each other."""

    lags: NDArray[np.int64]
    classes: NDArray[np.int64]
    bars: NDArray[np.int64]
    """Number of the bar within its song."""
    last: NDArray[np.int64]
    """Lag of the bar before; NO_LAG where there is none, as below."""
    before: NDArray[np.int64]
    lag_4: NDArray[np.int64]
    """Lag four bars ago."""
    lag_8: NDArray[np.int64]
    previous: NDArray[np.int64]
    """Classes of the bar before, (n, 4); NO_CLASS where there is none, as below."""
    reference: NDArray[np.int64]
    """Classes of the referenced bar."""
    classes_4: NDArray[np.int64]
    """Classes four bars ago."""
    classes_8: NDArray[np.int64]


def _views(lags: NDArray[np.integer], classes: NDArray[np.integer], bars: NDArray[np.int64]) -> _Views:
    """Return the views of every bar."""
    wide, kinds = lags.astype(np.int64), classes.astype(np.int64)
    at = np.arange(len(wide))

    def ago(array: NDArray[np.int64], count: int, none: int) -> NDArray[np.int64]:
        known = (bars >= count).reshape(-1, *(1,) * (array.ndim - 1))
        return np.where(known, array[np.maximum(at - count, 0)], none)

    reference = np.where((wide > 0)[:, None], kinds[at - wide], NO_CLASS)
    last, before, lag_4, lag_8 = (ago(wide, count, NO_LAG) for count in (1, 2, 4, 8))
    previous, classes_4, classes_8 = (ago(kinds, count, NO_CLASS) for count in (1, 4, 8))
    return _Views(wide, kinds, bars, last, before, lag_4, lag_8, previous, reference, classes_4, classes_8)


def _last_view(lags: NDArray[np.integer], classes: NDArray[np.integer], bar: int) -> _Views:
    """Return the views of one bar of a song, each of length one."""
    whole = _views(lags[: bar + 1], classes[: bar + 1], np.arange(bar + 1))
    return _Views(*(getattr(whole, name)[bar:] for name in _Views.__slots__))


def _lag_contexts(views: _Views) -> list[NDArray[np.int64]]:
    bars, last, base = views.bars, views.last, NO_LAG + 1
    place = np.where(bars < 2 * _PERIOD, bars, 2 * _PERIOD + bars % _PERIOD)
    lags = last * base + views.before
    placed = lags * 3 * _PERIOD + place
    word = np.where(bars > 0, class_words(views.previous), NO_WORD)
    group = ((last * base + views.lag_4) * base + views.lag_8) * 3 * _PERIOD + place
    return [np.zeros_like(bars), last, lags, placed, group, (placed * (NO_WORD + 1) + word) * base + views.lag_4]


def _class_contexts(views: _Views, voice: int) -> list[NDArray[np.int64]]:
    lags, classes, base = views.lags, views.classes, NO_CLASS + 1
    refers = (lags > 0).astype(np.int64)
    own = (refers * base + views.previous[:, voice]) * base + views.reference[:, voice]
    said = class_words(np.concatenate([classes[:, :voice], np.zeros((len(lags), 4 - voice), dtype=np.int64)], axis=1))
    spoken = own * NO_WORD + said
    group = (spoken * base + views.classes_4[:, voice]) * base + views.classes_8[:, voice]
    word = np.where(views.bars > 0, class_words(views.previous), NO_WORD)
    return [refers, own, spoken, group, spoken * (NO_WORD + 1) + word, spoken * N_LAGS + lags]


def _shift_contexts(shifts: NDArray[np.integer], bars: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    before = np.concatenate([[0], shifts[:-1]]).astype(np.int64)[: len(shifts)]
    return [np.zeros_like(bars), np.where(bars > 0, before, 0) + MAX_SHIFT]


def _allowed_shifts(count: int) -> NDArray[np.bool_]:
    """Return which shifts there are, (count, N_SHIFTS): all but none."""
    return np.tile(np.arange(N_SHIFTS) != MAX_SHIFT, (count, 1))
