"""Which line plays the tune, the second voice and the bass in each section. Numbers in, choices out; makes no score.

For each section every line has log odds of being the tune, and of being the bass: a weighted sum of its features, to which
the part's name and program add where they say something. The best path through the sections pays for each change of
the line. The weights were fitted by logistic regression, see `TUNE`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.arranging.lines import FEATURES, Line, name_hint, pitch_rows
from nesasset.arranging.piece import Part

# Fitted by `python -m export.arranger fit` to sections of songs whose parts are named: 143 songs of OpenScore Lieder (voice;
# the piano's left hand), 60 JS Fake Chorales (soprano; bass) and 38 pieces of Freedoom (leads; basses, 100 of them), every other
# song held out. Loudness is left out for the tune: in Freedoom leads are softer than guitars, elsewhere they are louder.
TUNE: Final = {
    "pitch": 0.37, "top": 1.28, "bottom": -0.17, "sounding": 0.02, "single": 3.66, "onsets": -0.14, "rhythms": 0.47,
    "pitches": 0.20, "steps": 0.52, "same": 1.07, "again": 0.91, "short": 0.10,
}  # fmt: skip
BASS: Final = {
    "pitch": -0.66, "top": -2.31, "bottom": 4.41, "sounding": -0.15, "single": 1.69, "onsets": 0.33, "loudness": 3.10,
    "rhythms": -0.82, "pitches": 0.21, "steps": -0.15, "same": 0.43, "again": -0.14, "short": -0.15,
}  # fmt: skip
CHANGE_COST: Final = 1.5  # log odds that another line must be better by, once, to take over
_SILENT: Final = -4.0  # of a line without onsets in a section: worse than most that play
_SAME: Final = 6.0  # times the share of its time in which a line doubles the tune at the same pitch
_INNER: Final = 2.0  # what an inner line loses where its part does not play the tune
_NONE: Final = -20.0  # of no line at all


def odds(weights: dict[str, float], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log odds of each line in each section, up to a constant; shape (n_sections, n_lines)."""
    vector = np.array([weights.get(name, 0.0) for name in FEATURES])
    scores = np.nan_to_num(found) @ vector
    return np.where(np.isnan(found[:, :, 0]), _SILENT, scores)


def choose(
    lines: list[Line], parts: list[Part], found: NDArray[np.float64], section_rows: int
) -> dict[str, NDArray[np.int64]]:
    """Return for P1, P2 and TR the line that plays in each section, -1 for none.

    Args:
        lines: Of all parts.
        parts: What their names and programs say is heard; drums are not among them.
        found: Features, see `lines.features`.
        section_rows: Rows a section.
    """
    hints = np.array([name_hint(parts[line.part]) for line in lines]).reshape(-1, 2)
    kinds = np.array([line.kind for line in lines])
    part_of = np.array([line.part for line in lines])
    whole = np.array([line.kind == "top" and not (part_of[kinds == "bottom"] == line.part).any() for line in lines])
    tune_odds = odds(TUNE, found) + hints[:, 0]
    bass_odds = odds(BASS, found) + hints[:, 1]
    tune = _path(np.where(kinds == "top", tune_odds, -np.inf))
    sections = np.arange(len(found))
    # The bass is a bottom line, or a part of one line that is not the tune.
    costs = np.where((kinds == "bottom") | whole, bass_odds, -np.inf)
    costs[sections, tune] = -np.inf
    bass = _path(costs)
    second = tune_odds - _SAME * _doubling(lines, tune, section_rows, len(found))
    second[sections, tune] = -np.inf
    second[:, kinds == "bottom"] = -np.inf
    for section in range(len(found)):
        # What stands below the tune in its own part goes with it; elsewhere a top is more than an inner line.
        second[section, (kinds == "inner") & (part_of != part_of[tune[section]])] -= _INNER
        if bass[section] >= 0 and whole[bass[section]]:
            second[section, bass[section]] = -np.inf
    return {"P1": tune, "P2": _path(second), "TR": bass}


def _path(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the line of each section on the best path, changes paid for; -1 where all are ruled out."""
    scores = np.concatenate([scores, np.full((len(scores), 1), _NONE)], axis=1)
    n_sections, n_lines = scores.shape
    best = scores[0].copy()
    back = np.zeros((n_sections, n_lines), dtype=np.int64)
    for section in range(1, n_sections):
        top = int(best.argmax())
        leap = best[top] - CHANGE_COST
        stay = best >= leap
        back[section] = np.where(stay, np.arange(n_lines), top)
        best = np.where(stay, best, leap) + scores[section]
    path = np.zeros(n_sections, dtype=np.int64)
    path[-1] = int(best.argmax())
    for section in range(n_sections - 1, 0, -1):
        path[section - 1] = back[section, path[section]]
    return np.where(path == n_lines - 1, -1, path)


def _doubling(
    lines: list[Line], tune: NDArray[np.int64], section_rows: int, n_sections: int
) -> NDArray[np.float64]:
    """Return the share of each line's time in which it has the tune's pitch, by section."""
    size = n_sections * section_rows
    sounding = np.array([pitch_rows(line.notes, size) for line in lines]).reshape(len(lines), n_sections, section_rows)
    of_tune = sounding[tune, np.arange(n_sections)]
    heard = sounding >= 0
    same = (sounding == of_tune) & heard
    shares: NDArray[np.float64] = (same.sum(axis=2) / np.maximum(heard.sum(axis=2), 1)).T
    return shares
