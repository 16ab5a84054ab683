"""The plan model: a proper code over plans that can be, counts that beat their own unigrams, draws that are valid."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

from nesasset.compose.plan_model import (
    N_CLASSES,
    N_LAGS,
    PlanModel,
    allowed_classes,
    allowed_lags,
)
from nesasset.errors import FormatError
from nesasset.vocabulary import EXACT, MAX_LAG, MAX_SHIFT, NEW, SEQUENCE, SILENT


def made_up_plan(rng, n_bars):
    """Make a plan with a habit: four new bars, then copies at lag 4 with a changing first voice, now and then a break or a move."""
    shifts = np.zeros(n_bars, dtype=np.int8)
    lags = np.zeros(n_bars, dtype=np.int8)
    classes = np.full((n_bars, 4), NEW, dtype=np.int8)
    for bar in range(4, n_bars):
        if rng.random() < 0.85:
            lags[bar] = 4
            classes[bar] = EXACT
            if rng.random() < 0.5:
                classes[bar, 0] = rng.integers(0, N_CLASSES)
                shifts[bar] = rng.choice([-2, 2, 5]) if classes[bar, 0] == SEQUENCE else 0
        else:
            classes[bar, rng.random(4) < 0.3] = SILENT
    return lags, classes, shifts


def made_up_plans(seed, count=120):
    rng = np.random.default_rng(seed)
    return [made_up_plan(rng, int(rng.integers(1, 60))) for _ in range(count)]


@pytest.fixture(scope="module")
def model():
    return PlanModel.fit(made_up_plans(1))


def mass_of_last_bar(model, lags, classes, shifts):
    """Return the total probability of all possible last bars behind the given ones, by pricing each of them.

    What a sequence is moved by does not hang on the word, so that all shifts are priced for one word only.
    """
    bar = len(lags)
    before = model.bits(lags, classes, shifts)

    def probability(lag, word, shift):
        return 2.0 ** (before - model.bits(np.append(lags, lag), np.vstack([classes, word]), np.append(shifts, shift)))

    total, moves = 0.0, 1.0
    if bar:
        word = [SEQUENCE, NEW, NEW, NEW]
        every = sum(probability(1, word, shift) for shift in range(-MAX_SHIFT, MAX_SHIFT + 1) if shift)
        moves = every / probability(1, word, 1)
    for lag in range(min(bar, MAX_LAG) + 1):
        for word in itertools.product(range(N_CLASSES), repeat=4):
            try:
                total += probability(lag, word, 1) * moves if SEQUENCE in word else probability(lag, word, 0)
            except FormatError:
                continue
    return total


@pytest.mark.parametrize("n_before", [0, 1])
def test_the_code_is_normalised(model, n_before):
    """The probabilities of everything that may come next sum to one, found by pricing every single outcome."""
    assert mass_of_last_bar(model, *made_up_plan(np.random.default_rng(n_before), n_before)) == pytest.approx(1.0, abs=1e-9)


def test_the_code_is_normalised_without_any_counts():
    """A model that has seen nothing prices with equal shares of what is possible, and they sum to one."""
    empty = PlanModel.fit([])
    assert mass_of_last_bar(empty, np.zeros(1, dtype=np.int8), np.full((1, 4), NEW, dtype=np.int8), np.zeros(1, dtype=np.int8)) == pytest.approx(1.0)


def test_a_bar_without_reference_is_new_or_silent(model):
    """At lag 0 the classes that compare have no mass, and asking for their price says why."""
    assert allowed_classes(np.array([0]), np.zeros((1, 0), dtype=int)).tolist() == [[False, False, False, False, True, True]]
    with pytest.raises(FormatError, match=r"bar 0 of a plan cannot have the classes \[0, 4, 4, 4\] at lag 0"):
        model.bits(np.array([0]), np.array([[EXACT, NEW, NEW, NEW]]), np.zeros(1, dtype=int))


def test_a_reference_is_used_by_some_voice(model):
    """A lag with no voice that is exact, varied or rhythm has no mass: mining never writes it."""
    assert allowed_classes(np.array([2]), np.array([[NEW, SILENT, NEW]])).tolist() == [[True, True, True, False, False, False]]
    with pytest.raises(FormatError, match="cannot have the classes"):
        model.bits(np.array([0, 1]), np.full((2, 4), NEW), np.zeros(2, dtype=int))


def test_a_lag_stays_within_the_song(model):
    """A lag reaches back to bar 0 at most, and never beyond MAX_LAG."""
    assert allowed_lags(np.array([0, 3, 100])).sum(axis=1).tolist() == [1, 4, N_LAGS]
    with pytest.raises(FormatError, match="the lag of bar 1 of a plan must be between 0 and 1, not 2"):
        model.bits(np.array([0, 2]), np.array([[NEW] * 4, [EXACT] * 4]), np.zeros(2, dtype=int))


def test_what_was_never_seen_has_a_finite_price(model):
    """A possible plan that is unlike every training plan costs many bits, but not infinitely many."""
    lags = np.array([0, 1, 2, 3, 1])
    classes = np.array([[SILENT, NEW, SILENT, NEW], *[[1, 2, 1, 2]] * 4])
    assert 20 < model.bits(lags, classes, np.zeros(5, dtype=int)) < 400


@pytest.mark.parametrize(
    ("word", "shift"),
    [([SEQUENCE, NEW, NEW, NEW], 0), ([EXACT, NEW, NEW, NEW], 3), ([SEQUENCE, NEW, NEW, NEW], 13)],
    ids=["sequence without a shift", "shift without a sequence", "too far"],
)
def test_shifts_and_sequences_belong_together(model, word, shift):
    """A shift stands where a voice is a sequence, within an octave, and nowhere else."""
    with pytest.raises(FormatError, match=f"bar 1 of a plan has the shift {shift}"):
        model.bits(np.array([0, 1]), np.array([[NEW] * 4, word]), np.array([0, shift]))


def test_drums_are_no_sequence(model):
    """The noise has no pitch that could be moved."""
    with pytest.raises(FormatError, match="cannot have the classes"):
        model.bits(np.array([0, 1]), np.array([[NEW] * 4, [NEW, NEW, NEW, SEQUENCE]]), np.array([0, 2]))


@pytest.mark.parametrize(
    ("lags", "classes"),
    [
        (np.zeros(2), np.full((2, 4), NEW)),
        (np.zeros(2, dtype=int), np.full((3, 4), NEW)),
        (np.zeros((2, 1), dtype=int), np.full((2, 4), NEW)),
        (np.zeros(1, dtype=int), np.full((1, 4), 9)),
        (np.full(1, -1), np.full((1, 4), NEW)),
    ],
)
def test_broken_plans_are_refused(model, lags, classes):
    """Arrays of another shape, kind or range raise FormatError, in pricing and in fitting."""
    shifts = np.zeros(len(lags), dtype=int)
    with pytest.raises(FormatError, match="plan"):
        model.bits(lags, classes, shifts)
    with pytest.raises(FormatError, match="plan"):
        PlanModel.fit([(lags, classes, shifts)])


def test_context_pays(model):
    """On plans it has not seen, the model beats unigrams of lags and words counted on those very plans."""
    plans = made_up_plans(2)
    symbols = [(int(lag), *map(int, word)) for lags, classes, _ in plans for lag, word in zip(lags, classes, strict=True)]
    counts = np.array(list({s: symbols.count(s) for s in set(symbols)}.values()))
    unigram = -(counts * np.log2(counts / counts.sum())).sum()
    assert sum(model.bits(*plan) for plan in plans) < 0.95 * unigram


def test_price_matches_a_direct_count():
    """One context level by hand: after one training bar the first bar's lag and classes cost what the formula says."""
    plan = np.array([0]), np.array([[NEW, NEW, SILENT, NEW]]), np.array([0])
    model = PlanModel.fit([plan])
    # The lag is certain. Each class: uniform over two, then six contexts that each saw the same outcome once.
    p = {True: 0.5, False: 0.5}
    for fixed, per_type in ((1, 0), (4, 1), (10, 2), (20, 2), (20, 4), (80, 0)):
        weight = fixed + per_type
        p = {seen: ((1 if seen else 0) + weight * p[seen]) / (1 + weight) for seen in p}
    same = model.bits(*plan)
    assert same == pytest.approx(-4 * math.log2(p[True]))


def test_bits_are_the_sum_over_bars(model):
    """The price of a song is the sum of its bars' prices, and a prefix costs the same inside the whole."""
    plan = made_up_plan(np.random.default_rng(5), 30)
    bars = model.bar_bits(*plan)
    assert model.bits(*plan) == pytest.approx(bars.sum())
    assert model.bar_bits(*(part[:11] for part in plan)) == pytest.approx(bars[:11])


def test_songs_do_not_leak_into_each_other():
    """Fitting two songs counts the second one's first bar as a first bar."""
    one = (np.zeros(3, dtype=np.int8), np.full((3, 4), SILENT, dtype=np.int8), np.zeros(3, dtype=np.int8))
    two = (np.array([0, 1], dtype=np.int8), np.array([[NEW] * 4, [EXACT] * 4], dtype=np.int8), np.zeros(2, dtype=np.int8))
    assert PlanModel.fit([one, two]).bits(*two) == pytest.approx(PlanModel.fit([two, one]).bits(*two))


@pytest.mark.parametrize("n_bars", [0, 1, 2, 7, 40])
def test_drawn_plans_are_possible(model, n_bars):
    """Whatever is drawn can be priced, has the right shape, and repeats for the same seed."""
    for seed in range(5):
        lags, classes, shifts = model.sample(np.random.default_rng(seed), n_bars)
        assert lags.shape == shifts.shape == (n_bars,)
        assert classes.shape == (n_bars, 4)
        assert lags.dtype == classes.dtype == np.int8
        assert math.isfinite(model.bits(lags, classes, shifts))
        again = model.sample(np.random.default_rng(seed), n_bars)
        assert (again[0] == lags).all()
        assert (again[1] == classes).all()
        assert (again[2] == shifts).all()


def test_drawn_plans_follow_the_counts(model):
    """Training plans copy four bars back in most bars; so do drawn ones."""
    lags = np.concatenate([model.sample(np.random.default_rng(seed), 24)[0][4:] for seed in range(20)])
    assert 0.6 < (lags == 4).mean() < 1.0


def test_an_unfitted_model_still_draws():
    """With no counts every possible plan is equally likely, so drawing works."""
    plan = PlanModel.fit([]).sample(np.random.default_rng(0), 8)
    assert math.isfinite(PlanModel.fit([]).bits(*plan))


def test_no_torch_is_needed():
    """The module runs where torch cannot be imported."""
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from nesasset.compose.plan_model import PlanModel\n"
        "print(len(PlanModel.fit([]).sample(np.random.default_rng(0), 3)[0]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"
