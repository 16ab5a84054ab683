"""What a piece recalls: against a slow count of the same rule, and on pieces where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesasset import recall
from nesasset.recall import LONGEST_RUN, N_STRENGTHS, OTHERS, SAME_PLACE, Recall, recall_song
from nesasset.vocabulary import HOLD_ID


def slowly(cells: list[list[int]], bar_rows: int, look_back: int) -> list[list[tuple[int, int]]]:
    """Return row and sum of votes before each row and voice, counted one vote after the other."""

    def run(now: int, then: int, voice: int) -> int:
        length = 0
        while length < LONGEST_RUN and then - length >= 0 and cells[then - length][voice] == cells[now - length][voice]:
            length += 1
        return length

    out = []
    for now in range(len(cells)):
        line = []
        for voice in range(4):
            votes: dict[int, int] = {}
            best: dict[int, tuple[int, int]] = {}
            for row in range(max(0, now - look_back) + 1, now):
                own = run(now - 1, row - 1, voice)
                if own:
                    others = sum(run(now - 1, row - 1, other) for other in range(4) if other != voice)
                    score = own + others // OTHERS + SAME_PLACE * ((now - row) % bar_rows == 0)
                    cell = cells[row][voice]
                    votes[cell] = votes.get(cell, 0) + 2**score
                    best[cell] = max(best.get(cell, (0, 0)), (score, row))
            winner = min(votes, key=lambda cell: (-votes[cell], cell), default=None)
            line.append((-1, 0) if winner is None else (best[winner][1], sum(votes.values())))
        out.append(line)
    return out


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 70), st.sampled_from([12, 16]), st.sampled_from([9, 1024]))
def test_the_rows_are_those_of_a_slow_count(seed: int, n: int, bar_rows: int, look_back: int) -> None:
    """Row by row and voice by voice the fast way finds what counting votes one by one finds."""
    rng = np.random.default_rng(seed)
    cells = np.tile(rng.integers(0, 4, (7, 4)), (1 + n // 7, 1))[:n]
    cells = np.where(rng.random(cells.shape) < 0.15, rng.integers(0, 4, cells.shape), cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recall, "LOOK_BACK", look_back)
        rows, strength = recall_song(cells, bar_rows)
    expected = slowly(cells.tolist(), bar_rows, look_back)
    assert rows.tolist() == [[row for row, _ in line] for line in expected]
    assert ((strength > 0) == (rows >= 0)).all()
    assert strength.max() < N_STRENGTHS


def test_a_repeated_bar_is_recalled_with_certainty() -> None:
    """The second time round every note is known, and the row is the one a pass earlier."""
    cells = np.random.default_rng(1).integers(0, 80, (48, 4))
    rows, strength = recall_song(np.concatenate([cells, cells]), 16)
    assert (rows[60:] == np.arange(12, 48)[:, None]).all()
    assert (strength[80:] == N_STRENGTHS - 1).all()


def test_pieces_side_by_side_do_not_mix() -> None:
    """Several pieces recall what each would alone."""
    cells = np.random.default_rng(2).integers(HOLD_ID, 3, (3, 40, 4))
    together = Recall(3, 12)
    for row in range(40):
        together.add(cells[:, row])
    rows, strength = recall_song(cells, 12)
    for piece in range(3):
        assert (recall_song(cells[piece], 12)[0] == rows[piece]).all()
        assert (recall_song(cells[piece], 12)[1] == strength[piece]).all()
        alone = Recall(1, 12)
        for row in range(40):
            alone.add(cells[piece, row][None])
        assert (together.rows[piece] == alone.rows[0]).all()
        assert (together.strength[piece] == alone.strength[0]).all()
