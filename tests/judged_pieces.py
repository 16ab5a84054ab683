"""Small pieces for the tests of the judge: melodies, tunes, scores with a form. No test is in here."""

from __future__ import annotations

import numpy as np
import pieces

from export.judging.sides import Item
from export.measures import cells_to_piece
from nesasset.score import HOLD, Instrument, Note, Score
from nesasset.vocabulary import ONSET_ID, pitch_to_id


def melody(*notes, n_rows=None, bar_rows=16):
    """Return a piece of a melody alone: (row, pitch) pairs."""
    cells = np.zeros((n_rows or -(-(notes[-1][0] + 1) // 16) * 16, 4), dtype=np.int64)
    for row, pitch in notes:
        cells[row, 0] = pitch_to_id(pitch)
    return cells_to_piece(cells, bar_rows)


def tune(rng, bars=4):
    """Return a piece whose bars rhyme: a melody in eighths over a bass in quarters."""
    cells = np.zeros((16 * bars, 4), dtype=np.int64)
    figure = rng.integers(0, 8, size=8)
    for step in range(8 * bars):
        cells[2 * step, 0] = pitch_to_id(60 + int(figure[step % 8]))
        if step % 2 == 0:
            cells[2 * step, 2] = pitch_to_id(36 + int(rng.integers(3)))
            cells[2 * step, 3] = ONSET_ID
    return cells_to_piece(cells)


def tune_items(rng, count, name, change=lambda piece: piece):
    """Return so many tunes as items of the judge, two of each game."""
    return [Item(change(tune(rng)), f"{name} {index // 2}", "", 6.0) for index in range(count)]


def form_score(form, voices, **provenance):
    """Return a score of bars of four rows: voices as texts, a letter a pitch from C-4, '.' holds, '-' rests."""
    lines = {}
    for name in ("P1", "P2", "TR", "NO"):
        kind = {"P1": 0, "P2": 0, "TR": 1, "NO": 2}[name]
        text = voices.get(name, "." * len(voices["P1"]))
        cells = []
        for letter in text:
            pitch = None if name == "NO" else 60 + "CcDdEFfGgAaB".index(letter) if letter not in ".-" else None
            cells.append(HOLD if letter == "." else pieces.REST if letter == "-" else Note(kind, pitch))
        lines[name] = tuple(cells)
    players = (Instrument("pulse", (12,)), Instrument("triangle"), Instrument("noise", (9, 0), period=3))
    loop = (0, len(voices["P1"]))
    return Score(lines, players, (6,), bar_rows=4, loop=loop, provenance={"form": form, **provenance})


def grow_few_trees(monkeypatch):
    """Grow few trees: the cases are plain."""
    monkeypatch.setattr("export.judging.discriminator.ITERATIONS", 10)
    monkeypatch.setattr("export.judging.discriminator.THEME_ITERATIONS", 10)
    monkeypatch.setattr("export.judging.discriminator.BOOTSTRAPS", 40)
