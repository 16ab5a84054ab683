"""The harmony model: a proper code, draws that obey the form, counts that survive being stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nesasset.chords import MAJOR, MINOR, chord_id, transpose_chords
from nesasset.compose.harmony import Form, HarmonyModel, _contexts, settle
from nesasset.vocabulary import EXACT, LABELS, N_CHORDS, NEW, NO_CHORD, SEQUENCE, SILENT

PROGRESSION = [chord_id(0, MAJOR), chord_id(9, MINOR), chord_id(5, MAJOR), chord_id(7, MAJOR)]


def form(n_bars, seed=0):
    """Return four new bars, then bars that repeat, move or renew what stood four bars before."""
    rng = np.random.default_rng(seed)
    lags = np.where(np.arange(n_bars) >= 4, 4, 0)
    kinds = rng.choice([EXACT, SEQUENCE, NEW], size=n_bars)
    classes = np.full((n_bars, 4), NEW)
    classes[4:, :3] = kinds[4:, None]
    lags = np.where((classes == NEW).all(axis=1), 0, lags)
    return Form(lags, classes, np.where((classes == SEQUENCE).any(axis=1), 5, 0), bool(seed % 2))


def song(n_bars, seed):
    """Return the degrees of a song that goes round I vi IV V, and its form."""
    told = form(n_bars, seed)
    return settle(np.repeat(np.resize(PROGRESSION, n_bars)[:, None], 2, axis=1), told), told


@pytest.fixture(scope="module")
def model():
    return HarmonyModel.fit([song(16, seed) for seed in range(60)])


def test_the_code_is_normalised(model):
    """The probabilities of all chords of a last half bar sum to one, found by pricing each of them."""
    degrees, told = song(3, 1)
    prices = []
    for chord in range(N_CHORDS):
        degrees[2, 1] = chord
        prices.append(model.bits(degrees, told))
    rest = degrees[:2], Form(told.lags[:2], told.classes[:2], told.shifts[:2], told.minor)
    first_half = [model.bits(np.vstack([rest[0], [[degrees[2, 0], chord]]]), told) for chord in range(N_CHORDS)]
    assert first_half == prices
    total = sum(2.0 ** -(price - model.bits(*rest)) for price in prices)
    every = []
    for chord in range(N_CHORDS):
        degrees[2] = chord, 1
        every.append(sum(2.0 ** -(model.bits(np.vstack([rest[0], [[chord, last]]]), told) - model.bits(*rest)) for last in range(N_CHORDS)))
    assert sum(every) == pytest.approx(1.0)
    assert total == pytest.approx(every[int(song(3, 1)[0][2, 0])])


def test_settled_bars_cost_nothing(model):
    """A bar that repeats another in all melodic voices has its chords from there, for nothing."""
    degrees, _ = song(4, 0)
    classes = np.full((8, 4), NEW)
    classes[4:, :3] = EXACT
    lags = np.array([0] * 4 + [4] * 4)
    longer = Form(lags, classes, np.zeros(8, dtype=int), minor=False)
    short = Form(lags[:4], classes[:4], np.zeros(4, dtype=int), minor=False)
    assert model.bits(np.tile(degrees, (2, 1)), longer) == pytest.approx(model.bits(degrees, short))


def test_context_pays(model):
    """Songs of the kind it was counted on cost far less than chords at random."""
    assert np.mean([model.bits(*song(16, seed)) for seed in range(100, 110)]) < 0.3 * 16 * 2 * np.log2(N_CHORDS)


@pytest.mark.parametrize("seed", range(6))
def test_draws_obey_the_form(model, seed):
    """Settled bars have the chords that the form gives them, moved ones moved; given chords stay; silent bars have none."""
    told = form(12, seed)
    told.classes[2, :3] = SILENT
    given = np.full((12, 2), -1)
    given[0] = chord_id(2, MINOR)
    drawn = model.sample(np.random.default_rng(seed), told, given)
    assert (drawn[0] == chord_id(2, MINOR)).all()
    assert (drawn[2] == NO_CHORD).all()
    for bar in np.flatnonzero(told.settled()):
        assert (drawn[bar] == transpose_chords(drawn[bar - told.lags[bar]], int(told.shifts[bar]))).all()
    assert (drawn[[1, 3]] != NO_CHORD).all()
    assert (model.sample(np.random.default_rng(seed), told, given) == drawn).all()


def test_draws_follow_the_counts(model):
    """Songs go from I to vi; so do draws, mostly."""
    told = Form(np.zeros(4, dtype=int), np.full((4, 4), NEW), np.zeros(4, dtype=int), minor=False)
    drawn = [model.sample(np.random.default_rng(seed), told, np.full((4, 2), -1)) for seed in range(30)]
    assert np.mean([piece[1, 0] == PROGRESSION[1] for piece in drawn if piece[0, 1] == PROGRESSION[0]]) > 0.5


def test_a_theme_has_the_chords_of_its_songs():
    """Songs of one label go round I bII, all others I V; a draw for that label has bII the more often, one for another label never does more."""
    strange = np.repeat(np.array([chord_id(0, MAJOR), chord_id(1, MAJOR)] * 8)[:, None], 2, axis=1)
    usual = np.repeat(np.array([chord_id(0, MAJOR), chord_id(7, MAJOR)] * 8)[:, None], 2, axis=1)
    dungeon, town = LABELS.index("dungeon_underground"), LABELS.index("town_shop_indoor")
    told = free_form(16)
    songs = [(strange, replace(told, label=dungeon))] * 30 + [(usual, replace(told, label=town))] * 70
    counted = HarmonyModel.fit(songs)
    leanings = [counted.leaning(label, minor=False)[chord_id(1, MAJOR)] for label in (dungeon, town)]
    assert leanings[0] > 1.5 and leanings[1] < 1
    assert (counted.leaning(0, minor=False) == 1).all()
    assert (counted.leaning(dungeon, minor=True) == 1).all()  # no song tells

    def share(label):
        drawn = [counted.sample(np.random.default_rng(seed), replace(told, label=label), np.full((16, 2), -1)) for seed in range(40)]
        return np.mean(np.stack(drawn) == chord_id(1, MAJOR))

    assert share(dungeon) > share(0) + 0.05 > share(town) + 0.1
    again = HarmonyModel.from_arrays(counted.to_arrays())
    assert (again.leaning(dungeon, minor=False) == counted.leaning(dungeon, minor=False)).all()
    with pytest.raises(ValueError, match="harmony_labels"):
        HarmonyModel.from_arrays({**counted.to_arrays(), "harmony_labels": np.zeros((3, 2, N_CHORDS), dtype=np.uint32)})
    before = {name: array for name, array in counted.to_arrays().items() if name != "harmony_labels"}
    assert (HarmonyModel.from_arrays(before).leaning(dungeon, minor=False) == 1).all()


def test_counts_come_back_from_arrays(model):
    """What is stored beside a model draws and prices like what was counted; only rare contexts are left behind."""
    again = HarmonyModel.from_arrays(model.to_arrays())
    ours, theirs = (np.mean([one.bits(*song(16, seed)) for seed in range(20)]) for one in (model, again))
    assert theirs == pytest.approx(ours, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_one_place_is_as_likely_as_among_many(model, seed):
    """What is drawn from has the probabilities that are priced, seen contexts and unseen ones alike."""
    told = form(10, seed)
    degrees = np.random.default_rng(seed).integers(0, N_CHORDS, (10, 2))
    contexts = _contexts(degrees, told)
    together = model.chain.probabilities(list(contexts.T), np.ones((len(contexts), N_CHORDS), dtype=bool))
    for place, context in enumerate(contexts.tolist()):
        assert model.chain.one(context) == pytest.approx(together[place], rel=1e-9)


def free_form(n_bars):
    """Return bars that are all new."""
    return Form(np.zeros(n_bars, dtype=np.int64), np.full((n_bars, 4), NEW), np.zeros(n_bars, dtype=np.int64), False)


def test_the_last_chord_leads_home(model):
    """With a bar to return to, last chords are drawn that lead to its first one more often; a piece that ends has no such wish."""
    told = free_form(5)  # the round is in its first bar again, which does not lead to itself
    given = np.full((5, 2), -1)
    given[:4] = np.repeat(np.array(PROGRESSION)[:, None], 2, axis=1)
    leads = {}
    for home in (None, 0):
        drawn = [model.sample(np.random.default_rng(seed), told, given, home=home) for seed in range(200)]
        leads[home] = np.mean([model._leads(line.reshape(-1), told, PROGRESSION[0])[line[-1, -1]] for line in drawn])
    assert leads[0] > 1.1 * leads[None]
    with_more = model._leads(np.array(PROGRESSION * 2 + PROGRESSION[:2]), told, PROGRESSION[0])
    assert with_more.argmax() == PROGRESSION[3]  # in the songs the fifth degree's chord stands before the first degree's


def test_rare_chords_are_left_out(model):
    """With a floor of 1 only the likeliest chord is drawn, whatever the seed; without one there are others."""
    told, given = free_form(8), np.full((8, 2), -1)
    strict = {model.sample(np.random.default_rng(seed), told, given, floor=1.0).tobytes() for seed in range(8)}
    free = {model.sample(np.random.default_rng(seed), told, given).tobytes() for seed in range(8)}
    assert len(strict) == 1 and len(free) > 4
