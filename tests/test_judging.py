"""Each measure of the judge on a case that can be counted by hand or has a closed form: mirrors export/judging/."""


from __future__ import annotations

import sys
from statistics import NormalDist

import click
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_pieces import form_score, grow_few_trees, melody, tune, tune_items
from made_up_corpus import made_up_song, write_corpus
from strategies import scores

from export.judge import bar_table
from export.judging.discriminator import auc, fold_of_groups, learn_themes, tell_apart, themes_across_games, trees
from export.judging.features import (
    FEATURES,
    STATISTICS,
    distances_area,
    feature_table,
    fit_scaling,
    frechet_distance,
    overlapping_area,
    statistics,
)
from export.judging.mml import channel_events, mml_to_cells
from export.judging.negatives import foreign_basses, pyxel_pieces, shuffle_rows
from export.judging.obedience import BarPlan, obedience, plain_cells, read_form, realised
from export.judging.originality import (
    found_share,
    known_ngrams,
    melody_agreement,
    melody_symbols,
    ngrams,
    shared_bars,
    within_groups,
)
from export.judging.sides import song_windows
from export.measures import cells_to_piece, measure, score_to_piece
from nesasset.compose.form_mining import mine_plan
from nesasset.errors import FormatError
from nesasset.idioms import with_echo
from nesasset.vocabulary import HOLD_ID, ONSET_ID, REST_ID, pitch_to_id


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("judge") / "corpus", n_train=45, n_valid=24, n_bars=5)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    grow_few_trees(monkeypatch)


# Sets of pieces.


def test_sixteen_features():
    """The features are sixteen, and those that export.measures knows have its values."""
    piece = tune(np.random.default_rng(0))
    row = dict(zip(FEATURES, feature_table([piece])[0], strict=True))
    assert len(row) == 16
    for name, value in measure(piece).items():
        assert row[name] == pytest.approx(np.nan if value is None else value, nan_ok=True)


def test_features_of_an_empty_piece_are_unknown_or_nothing():
    """Silence has no pitch and no wait, and its statistics are numbers or nan."""
    silence = cells_to_piece(np.zeros((64, 4), dtype=np.int64))
    row = dict(zip(FEATURES, feature_table([silence])[0], strict=True))
    assert np.isnan(row["melody_pitch"])
    assert np.isnan(row["melody_wait"])
    assert row["triangle_activity"] == 0
    assert len(statistics(silence)) == len(statistics(tune(np.random.default_rng(1))))


@settings(max_examples=8)
@given(scores())
def test_statistics_take_any_score(score):
    """Statistics of whatever score have one length, and no infinite number among them."""
    found = statistics(score_to_piece(score))
    assert found.shape == (len(STATISTICS),)
    assert not np.isinf(found).any()


def test_scaling_clips_and_fills():
    """A table is told in deviations of the reference, at most three, and what is missing is the mean."""
    scaling = fit_scaling(np.array([[0.0, 5.0], [2.0, 5.0]]))
    assert scaling.scale(np.array([[2.0, 6.0], [100.0, np.nan]])).tolist() == [[1.0, 1.0], [3.0, 0.0]]


def _with_covariance(rng, mean, covariance, n=40):
    """Return a table that has exactly that mean and covariance."""
    table = rng.standard_normal((n, len(mean)))
    table -= table.mean(axis=0)
    table = table @ np.linalg.inv(np.linalg.cholesky(np.cov(table, rowvar=False))).T
    return table @ np.linalg.cholesky(np.array(covariance)).T + mean


def test_frechet_distance_of_two_normals():
    """Of independent features the distance is the sum of squared differences of means and of deviations."""
    rng = np.random.default_rng(0)
    one = _with_covariance(rng, [0.0, 1.0], [[1.0, 0.0], [0.0, 4.0]])
    two = _with_covariance(rng, [3.0, 1.0], [[4.0, 0.0], [0.0, 9.0]])
    assert frechet_distance(one, two) == pytest.approx(9 + 1 + 1)


def test_frechet_distance_of_dependent_features():
    """Where features depend on each other the trace of (S1 S2)^½ is the sum of the roots of S1 S2's eigenvalues."""
    rng = np.random.default_rng(1)
    first, second = [[2.0, 0.7], [0.7, 1.0]], [[1.0, -0.4], [-0.4, 3.0]]
    one, two = _with_covariance(rng, [0, 0], first), _with_covariance(rng, [1, 2], second)
    cross = np.sqrt(np.linalg.eigvals(np.array(first) @ np.array(second)).real).sum()
    assert frechet_distance(one, two) == pytest.approx(5 + 3 + 4 - 2 * cross)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, two[:1]) is None


BOTH_AREAS = pytest.mark.parametrize("area", [overlapping_area, distances_area])


@BOTH_AREAS
def test_areas_of_equal_sets(area):
    """Equal sets overlap wholly; of the distances, but for each member's distance to itself."""
    values = np.random.default_rng(0).standard_normal(300)
    assert area(values, values) == pytest.approx(1, abs=0.01)


def test_area_of_two_normals():
    """Two normals of deviation 1 whose means are 2 apart have 2 (1 - F(1)) = 0.317 in common."""
    quantiles = np.array([NormalDist().inv_cdf((place + 0.5) / 2000) for place in range(2000)])
    assert overlapping_area(quantiles, quantiles + 2) == pytest.approx(2 * (1 - NormalDist().cdf(1)), abs=0.03)


@BOTH_AREAS
def test_areas_tell_sets_apart(area):
    """A set of the same kind is near the whole area, a shifted one in between, one far away has none of it."""
    rng = np.random.default_rng(0)
    reference = rng.standard_normal(400)
    same, shifted, far = (area(reference, rng.standard_normal(200) + shift) for shift in (0, 2, 100))
    assert same > 0.9
    assert 0.25 < shifted < 0.8
    assert far < 0.01


@BOTH_AREAS
@pytest.mark.parametrize("other", [[], [np.nan]])
def test_areas_of_nothing(area, other):
    """Without values there is no area."""
    assert area(np.arange(4.0), np.array(other)) is None


@BOTH_AREAS
def test_areas_of_constants(area):
    """A feature that never varies overlaps with itself wholly and with another constant not at all."""
    assert area(np.zeros(5), np.zeros(3)) == pytest.approx(1)
    assert area(np.zeros(5), np.ones(3)) < 0.01


# Classifiers.


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=30))
def test_auc_counts_pairs(rows):
    """The area is the share of pairs in which the positive has the higher score, ties counted half."""
    positive, scored = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a in scored[positive] for b in scored[~positive]]
    found = auc(positive, scored)
    assert found == pytest.approx(np.mean(pairs)) if pairs else found is None


def test_a_group_is_in_one_fold():
    """All rows of a game are in one fold, and the folds are of about one size."""
    groups = [f"game {row % 40}" for row in range(200)]
    folds = fold_of_groups(groups, np.random.default_rng(0))
    assert all(
        len({fold for fold, name in zip(folds, groups, strict=True) if name == group}) == 1 for group in set(groups)
    )
    assert np.bincount(folds).tolist() == [40] * 5


def test_the_same_kind_of_music_is_not_told_apart():
    """Bars of two sets from one source are told apart no better than by chance."""
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    sides = [bar_table(tune_items(rng, 40, name), rng) for name in ("a", "b")]
    found = tell_apart(*sides[0], *sides[1])
    assert 0.3 < found.value < 0.7
    assert found.low < found.value < found.high


def test_shuffled_bars_are_told_apart():
    """Bars of music and bars with the rows shuffled are nearly always told apart."""
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    real = bar_table(tune_items(rng, 40, "a"), rng)
    wrong = bar_table(tune_items(rng, 40, "b", lambda piece: shuffle_rows(piece, rng)), rng)
    assert tell_apart(*real, *wrong).value > 0.95


def test_a_few_pieces_are_not_judged():
    """With fewer than five groups a side there is nothing to learn from and to test on."""
    rows = np.random.default_rng(0).random((20, 3))
    assert tell_apart(rows, [row % 4 for row in range(20)], rows, list(range(20))) is None


def test_without_scikit_learn(monkeypatch):
    """Where it is missing, a sentence says what to install."""
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(click.ClickException, match="pip install scikit-learn"):
        trees(1)


def test_themes_are_told_from_statistics():
    """A classifier of labels finds those that differ, in rows that it has not seen, and only labels that occur."""
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    labels = ["boss", "town", "map"] * 40
    table = rng.standard_normal((120, 4))
    table[:, 2] += np.array([3.0, -3.0, 0.0] * 40)
    found = learn_themes(table[:90], labels[:90]).aucs(table[90:], ["boss", "town", ""] * 10)
    assert sorted(found) == ["boss", "town"]
    assert min(found.values()) > 0.8
    assert learn_themes(table, ["boss"] * 120) is None
    assert min(themes_across_games(table, labels, list(range(120))).values()) > 0.8


# Obedience.


def test_every_letter_that_was_kept():
    """A bar that became what its form asked for counts for its letter, in each voice."""
    score = form_score(
        ["0 NNNN", "1 EQVS +2", "2 RNES"],
        {"P1": "CEGECEGEDFAD", "P2": "CD.EDE.f--G.", "TR": "C.E.C.D.C.E.", "NO": "C..C-......."},
    )
    found = obedience([score])
    assert found["scores"] == 1
    assert found["rates"] == dict.fromkeys("EVRQNS", 1.0)
    assert found["table"]["S"] == {"S": 2}


def test_what_was_not_kept():
    """A varied bar that came out the same, a new one that did, and a silent one that sounds count against their letters."""
    score = form_score(["0 NNSS", "1 VNSS"], {"P1": "CEGE" * 2, "P2": "C.E." * 2, "TR": "....C..."})
    found = obedience([score])
    assert found["table"]["V"] == {"E": 1}
    assert found["table"]["N"] == {"E": 1}
    assert found["table"]["S"] == {"S": 3, "N": 1}
    assert found["rates"]["S"] == 0.75
    assert found["rates"]["E"] is None


@pytest.mark.parametrize(
    "form", [None, "0 NNNN", ["0 NNNN"], ["0 NNNN", "x"], ["0 NNNN", 3], ["0 NNNN", "2 EEEE"], ["0 NNNN", "1 EEEX"]]
)
def test_a_score_without_a_plan(form):
    """No form, one of another length, one that refers to bars before the first, or nonsense: no plan."""
    score = form_score(form, {"P1": "CEGE" * 2})
    assert read_form(score) is None
    assert obedience([score])["scores"] == 0


def test_an_exact_copy_of_silence_is_exact():
    """Where the bar that is to be copied came out silent, its copy obeys."""
    score = form_score(["0 NNNN", "1 EEVS"], {"P1": "CEGE" * 2})
    assert obedience([score])["table"] == {"E": {"E": 2}, "V": {"S": 1}, "S": {"S": 1}, "N": {}, "R": {}, "Q": {}}


def test_an_echo_does_not_count():
    """Pulse 2 is silent where only the echo of pulse 1 sounds in it, and a bar with another echo is still the same bar."""
    plain = form_score(
        ["0 NSSS", "1 ESSS", "1 ENSS"],
        {"P1": "CEGE" * 3, "P2": "........C.-."},
        ornaments={"echo": {"rows": 2, "volume": 6}},
    )
    echoed = with_echo(plain, 2, 6)
    assert echoed.voices["P2"] != plain.voices["P2"]
    assert (plain_cells(echoed) == plain_cells(plain)).all()
    assert obedience([echoed])["rates"]["S"] == 1


def test_a_rest_that_cuts_nothing_is_no_difference():
    """A copy whose predecessor has fallen silent sounds as its reference, whose first rest ended a note; a longer note does not."""
    forms = ["0 NNSS", "0 NNSS", "1 EESS"]
    voices = {"P1": "CGCE" + "-.E-" + "-.E-", "P2": "CGCE" + "-.E-" + "..E."}
    table = obedience([form_score(forms, voices)])["table"]
    assert table["E"] == {"E": 1, "N": 1}


def test_the_form_that_is_mined_is_kept():
    """A song obeys the plan that form_mining finds in it, the definitions are the same."""
    rng = np.random.default_rng(5)
    for _ in range(8):
        cells = made_up_song(rng, n_bars=6).astype(np.int64)
        cells = cells[: len(cells) // 16 * 16]
        lags, classes, shifts = mine_plan(cells.astype(np.int32), 16, 0)
        letters = "EVRQNS"
        plan = [
            BarPlan(int(lag), "".join(letters[kind] for kind in row), int(shift))
            for lag, row, shift in zip(lags, classes.tolist(), shifts, strict=True)
        ]
        for asked, got in zip(plan, realised(cells, plan, 16), strict=True):
            assert got == (asked.letters if asked.lag else asked.letters.replace("N", "-"))


# Originality.


def test_a_transposed_copy_is_found():
    """Moves and waits do not depend on the key: a training melody elsewhere is found, another one is not."""
    notes = [(0, 60), (2, 64), (3, 67), (6, 65), (8, 62), (11, 60), (12, 71), (15, 69), (17, 60), (20, 66)]
    line, copy = melody(*notes), melody(*[(row + 4, pitch + 5) for row, pitch in notes])
    other = melody(*[(row * 2, pitch) for row, pitch in notes])
    known = np.unique(ngrams(melody_symbols(line.cells[:, 0]), 8))
    assert found_share([copy], known, 8) == (1.0, 1.0)
    assert found_share([other], known, 8) == (0.0, 0.0)
    assert found_share([copy, other], known, 8) == (0.5, 1.0)


def test_pure_repetitions_say_nothing():
    """One note again and again, or one figure of two, is no n-gram; a figure of three is one."""
    assert len(ngrams(melody_symbols(melody(*[(row, 60) for row in range(32)]).cells[:, 0]), 8)) == 0
    assert len(ngrams(melody_symbols(melody(*[(row, 60 + row % 2) for row in range(32)]).cells[:, 0]), 8)) == 0
    assert len(ngrams(melody_symbols(melody(*[(row, 60 + row % 3) for row in range(32)]).cells[:, 0]), 8)) == 24


def test_ngrams_of_a_split(corpus):
    """The n-grams of a split are those of its songs, none across two songs."""
    known = known_ngrams(corpus / "valid", 8)
    found = found_share([item.piece for item in song_windows(corpus / "valid", 4)], known, 8)
    assert found == (1.0, 1.0)


def test_shared_bars():
    """Of three bars of one piece two stand in the other; bars without a note do not count."""
    first = melody((0, 60), (16, 62), (32, 64), n_rows=64)
    second = melody((0, 60), (16, 60), (32, 62), n_rows=64)
    third = melody((1, 60), n_rows=64)
    assert shared_bars([first, second, third]).tolist() == pytest.approx([2 / 3, 1.0, 0.0])


def test_melody_agreement():
    """Two melodies that share the pitch in half of the rows agree by half."""
    assert melody_agreement(melody((0, 60), n_rows=16), melody((0, 60), (8, 62), n_rows=16)) == 0.5
    assert melody_agreement(melody((0, 60), n_rows=16), cells_to_piece(np.zeros((16, 4), dtype=np.int64))) is None


def test_distances_within_groups():
    """Only pieces of one group and of different owners are compared, and every group has one vote."""
    lines = [melody((0, pitch), n_rows=16) for pitch in (60, 60, 60, 60, 60)]
    table = np.array([[0.0], [2.0], [9.0], [0.0], [6.0]])
    distance, agreement = within_groups(lines, table, ["a", "a", "a", "b", "b"], ["x", "y", "x", "x", "y"])
    assert distance == pytest.approx(((2 + 7) / 2 + 6) / 2)
    assert agreement == 1
    assert within_groups(lines[:2], table[:2], ["a", "b"], ["x", "y"]) == (None, None)


# Worse music.


def test_shuffled_rows_keep_their_notes():
    """Shuffling moves whole rows: the same rows are there, in another order."""
    piece = tune(np.random.default_rng(0))
    wrong = shuffle_rows(piece, np.random.default_rng(1))
    assert sorted(map(tuple, wrong.cells.tolist())) == sorted(map(tuple, piece.cells.tolist()))
    assert (wrong.cells != piece.cells).any()


def test_a_foreign_bass_is_another_owners():
    """Each piece gets the triangle of the next piece of another game, and keeps its other voices."""
    rng = np.random.default_rng(0)
    three = [tune(rng) for _ in range(3)]
    wrong = foreign_basses(three, ["a", "a", "b"])
    assert [
        (made.cells[:, 2] == three[source].cells[:, 2]).all() for made, source in zip(wrong, (2, 2, 0), strict=True)
    ] == [True] * 3
    assert all(
        (made.cells[:, [0, 1, 3]] == piece.cells[:, [0, 1, 3]]).all() for made, piece in zip(wrong, three, strict=True)
    )


def test_mml_as_rows():
    """Lengths, dots, ties, octaves, rests and repeats of the dialect become rows; what chooses a sound is passed over."""
    text = "T133 L16 @ENV1{0,0,127} Q88 V96 @2 @ENV1 @VIB0 O4C8.DR8 [>E<A#16]2 G4&8 F& F"
    assert channel_events(text) == [
        (0, 60),
        (3, 62),
        (4, None),
        (6, 76),
        (7, 70),
        (8, 76),
        (9, 70),
        (10, 67),
        (16, 65),
        (18, None),
    ]


def test_mml_channels_as_cells():
    """Four texts become four columns; a rest ends a note, and drums have no pitch."""
    cells = mml_to_cells("L4 O4CR", "L1 O3A", "O2L8CC", "O6L4A", 8)
    assert cells[:, 0].tolist() == [pitch_to_id(60), 0, 0, 0, REST_ID, 0, 0, 0]
    assert cells[:, 1].tolist() == [pitch_to_id(57)] + [HOLD_ID] * 7
    assert cells[:, 2].tolist() == [pitch_to_id(36), 0, pitch_to_id(36), 0, REST_ID, 0, 0, 0]
    assert cells[:, 3].tolist() == [ONSET_ID, 0, 0, 0, REST_ID, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C4 X", "not of the dialect"),
        ("[C", "does not end"),
        ("C]2", "not begun"),
        ("C0", "1 or more"),
        ("[[C]999]999", "more than"),
    ],
)
def test_mml_of_another_dialect(text, message):
    """What the reader does not know is refused with its place."""
    with pytest.raises(FormatError, match=message):
        channel_events(text)


@settings(max_examples=60)
@given(st.text("CDR#48.0&<>O9[]2L@ENV{}, \n", max_size=30))
def test_any_text_is_read_or_refused(text):
    """Whatever the text, it gives events in order of time or a FormatError."""
    try:
        events = channel_events(text)
    except FormatError:
        return
    rows = [row for row, _ in events]
    assert rows == sorted(rows)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import no_such_module_at_all", "pyxel is not installed"),
        ("raise SystemExit('no display')", "pyxel failed: no display"),
        ('print(\'[["L16 X", "C", "C", "C"]]\')', "could not be read: MML column 5: 'X'"),
        ("print('[[1]]')", "could not be read"),
    ],
)
def test_no_pyxel_is_a_reason(monkeypatch, program, reason):
    """Where pyxel cannot be asked, or writes what cannot be read, there is a sentence and no column."""
    monkeypatch.setattr("export.judging.negatives._PROGRAM", program)
    assert reason in pyxel_pieces(1)


def test_pyxel_as_pieces(monkeypatch):
    """The parts of gen_bgm, melody, bass, second voice and drums, become a loop of whole bars."""
    monkeypatch.setattr("export.judging.negatives._PROGRAM", 'print(\'[["L1 O4CD", "L1 O2CC", "L1 O3EE", "L4 CCCC"]]\')')
    (piece,) = pyxel_pieces(1)
    assert piece.cells[[0, 16]].tolist() == [
        [pitch_to_id(60), pitch_to_id(52), pitch_to_id(36), ONSET_ID],
        [pitch_to_id(62), pitch_to_id(52), pitch_to_id(36), REST_ID],
    ]
