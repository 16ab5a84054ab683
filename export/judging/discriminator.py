"""Classifiers as judges: can one tell real from generated, and can one tell the theme from the notes?

Gradient-boosted trees of scikit-learn over the statistics of export/judging/features.py; every prediction is made for a
game or a seed that the classifier has not seen. Holds no features and no tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

FOLDS: Final = 5
BOOTSTRAPS: Final = 400
INTERVAL: Final = (2.5, 97.5)  # percentiles: 95 %
ITERATIONS: Final = 60
THEME_FOLDS: Final = 3
THEME_ITERATIONS: Final = 25  # of several tried the best on games left out; more learn the games
LEAST_OF_A_LABEL: Final = 5  # rows to learn it from
LEAST_JUDGED: Final = 4  # rows to say anything of it
LEAST_ROWS: Final = 2 * FOLDS  # of either side


@dataclass(frozen=True, slots=True)
class Auc:
    """Area under the ROC curve with a bootstrap interval: 0.5 is chance, 1 tells every pair apart."""

    value: float
    low: float
    high: float


def auc(is_positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float | None:
    """Return the share of pairs (positive, negative) in which the positive has the higher score, ties counted half.

    None if one of the two is missing.
    """
    positive = int(is_positive.sum())
    negative = len(is_positive) - positive
    if not positive or not negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores, from 1
    return float((ranks[inverse][is_positive].sum() - positive * (positive + 1) / 2) / (positive * negative))


def trees(iterations: int, seed: int = 0) -> Any:
    """Return an untrained classifier; values that are nan are allowed.

    Raises:
        click.ClickException: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]
    except ImportError as error:
        raise click.ClickException(
            "scikit-learn is not installed, and the classifiers need it; install it with: pip install scikit-learn"
        ) from error
    return HistGradientBoostingClassifier(
        max_iter=iterations,
        learning_rate=0.08,
        max_leaf_nodes=8,
        min_samples_leaf=15,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )


def fold_of_groups(groups: Sequence[Hashable], rng: np.random.Generator, folds: int = FOLDS) -> NDArray[np.int64]:
    """Return a fold for each row, the same for all rows of a group, folds of about equal size; shape (n,)."""
    names = list(dict.fromkeys(groups))
    sizes = dict.fromkeys(names, 0)
    for group in groups:
        sizes[group] += 1
    filled = np.zeros(folds, dtype=np.int64)
    fold: dict[Hashable, int] = {}
    for at in rng.permutation(len(names)).tolist():
        fold[names[at]] = int(filled.argmin())
        filled[fold[names[at]]] += sizes[names[at]]
    return np.array([fold[group] for group in groups], dtype=np.int64)


def tell_apart(
    first: NDArray[np.float64],
    first_groups: Sequence[Hashable],
    second: NDArray[np.float64],
    second_groups: Sequence[Hashable],
    seed: int = 0,
) -> Auc | None:
    """Return how well a classifier tells two sets apart on groups that it was not trained on.

    Args:
        first: Statistics, shape (n, k).
        first_groups: A game or a seed for each row; a group is never in training and test at once.
        second: Shape (m, k).
        second_groups: Likewise.
        seed: Of the folds, the trees and the bootstrap, which draws whole groups.

    Returns:
        The area under the curve of all predictions, None if a side has fewer than ten rows or five groups.
    """
    sides = ((first, first_groups), (second, second_groups))
    if any(len(rows) < LEAST_ROWS or len(set(groups)) < FOLDS for rows, groups in sides):
        return None
    rng = np.random.default_rng(seed)
    table = np.concatenate([first, second])
    is_second = np.arange(len(table)) >= len(first)
    folds = np.concatenate([fold_of_groups(groups, rng) for _, groups in sides])
    scores = np.empty(len(table))
    for fold in range(FOLDS):
        held_out = folds == fold
        known = np.isfinite(table[~held_out]).any(axis=0)  # the trees refuse a column of nothing but nan
        machine = trees(ITERATIONS, seed).fit(table[~held_out][:, known], is_second[~held_out])
        scores[held_out] = machine.decision_function(table[held_out][:, known])
    return _with_interval(
        is_second, scores, [(0, group) for group in first_groups] + [(1, group) for group in second_groups], rng
    )


def _with_interval(
    is_second: NDArray[np.bool_], scores: NDArray[np.float64], groups: Sequence[Hashable], rng: np.random.Generator
) -> Auc:
    """Return the area and the interval of its bootstrap over groups, drawn within each side."""
    members: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    sides: list[list[NDArray[np.int64]]] = [[], []]
    for own in members.values():
        sides[int(is_second[own[0]])].append(np.array(own, dtype=np.int64))
    drawn = []
    for _ in range(BOOTSTRAPS):
        rows = np.concatenate([side[at] for side in sides for at in rng.integers(len(side), size=len(side)).tolist()])
        drawn.append(auc(is_second[rows], scores[rows]))
    low, high = np.percentile(np.array(drawn, dtype=np.float64), INTERVAL)
    value = auc(is_second, scores)
    assert value is not None
    return Auc(value, float(low), float(high))


@dataclass(frozen=True, slots=True, eq=False)
class ThemeJudge:
    """A classifier of themes; make one with `learn_themes`."""

    machine: Any
    known: NDArray[np.bool_]
    """Columns that it looks at."""
    labels: tuple[str, ...]

    def aucs(self, table: NDArray[np.float64], labels: Sequence[str]) -> dict[str, float]:
        """Return how well each label is told from the rest in rows of statistics; of labels with four rows at least."""
        if not len(table):
            return {}
        probable = self.machine.predict_proba(table[:, self.known])
        found = {}
        for column, label in enumerate(self.labels):
            is_label = np.array([name == label for name in labels])
            value = auc(is_label, probable[:, column])
            if value is not None and is_label.sum() >= LEAST_JUDGED:
                found[label] = value
        return found


def learn_themes(table: NDArray[np.float64], labels: Sequence[str], seed: int = 0) -> ThemeJudge | None:
    """Train a classifier of labels on statistics of shape (n, k).

    Labels of fewer than five rows are left out; None if fewer than two labels are left.
    """
    counts = Counter(labels)
    kept = np.array([counts[label] >= LEAST_OF_A_LABEL for label in labels], dtype=bool)
    names = np.array(labels)[kept]
    if len(set(names.tolist())) < 2:
        return None
    known = np.isfinite(table[kept]).any(axis=0)
    machine = trees(THEME_ITERATIONS, seed).fit(table[kept][:, known], names)
    return ThemeJudge(machine, known, tuple(str(name) for name in machine.classes_))


def themes_across_games(
    table: NDArray[np.float64], labels: Sequence[str], games: Sequence[Hashable], seed: int = 0
) -> dict[str, float]:
    """Return how well each label is told from the rest in games that the classifier has not seen: what real music allows.

    Args:
        table: Statistics, shape (n, k).
        labels: Of each row.
        games: Of each row.
        seed: Of folds and trees.
    """
    folds = fold_of_groups(games, np.random.default_rng(seed), THEME_FOLDS)
    names = np.array(labels)
    probable: dict[str, NDArray[np.float64]] = {}
    for fold in range(THEME_FOLDS):
        held_out = folds == fold
        judge = learn_themes(table[~held_out], names[~held_out].tolist(), seed)
        if judge is None or not held_out.any():
            return {}
        found = judge.machine.predict_proba(table[held_out][:, judge.known])
        for column, label in enumerate(judge.labels):
            probable.setdefault(label, np.zeros(len(table)))[held_out] = found[:, column]
    areas = {label: auc(names == label, scores) for label, scores in probable.items()}
    return {label: area for label, area in areas.items() if area is not None}
