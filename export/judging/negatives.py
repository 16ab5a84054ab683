"""Music that is known to be worse, for the judge's further columns: a figure that does not see the fault says nothing.

Rows shuffled, the bass of another song, and the music of pyxel's gen_bgm, a generator without a model.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import numpy as np

from export.judging.mml import length_in_rows, mml_to_cells
from export.measures import TR, Piece, cells_to_piece
from nesasset.errors import FormatError

BAR_ROWS: Final = 16
MAX_BARS: Final = 64
PYXEL_PRESETS: Final = 8
TIME_LIMIT_S: Final = 120
# A program of its own: pyxel starts its engine in the process, changes its folder and stops it on any fault.
_PROGRAM: Final = """
import json, sys
import pyxel
pyxel.init(16, 16, headless=True)
print(json.dumps([pyxel.gen_bgm(index % 8, 0, 3, index) for index in range(int(sys.argv[1]))]))
"""


def shuffle_rows(piece: Piece, rng: np.random.Generator) -> Piece:
    """Return a piece whose rows come in any order: the same notes, no music."""
    order = rng.permutation(len(piece.cells))
    return cells_to_piece(piece.cells[order], piece.bar_rows, piece.instruments[order], loops=piece.loops)


def foreign_basses(pieces: Sequence[Piece], owners: Sequence[str]) -> list[Piece]:
    """Return the pieces with triangles from one another: each has that of the next one of another owner in which it plays.

    Args:
        pieces: Pieces of the same length.
        owners: The game of each. Where there is no other owner, a piece stays as it is.
    """
    made = []
    for at, piece in enumerate(pieces):
        circle = [*range(at + 1, len(pieces)), *range(at)]
        other = next((k for k in circle if owners[k] != owners[at] and pieces[k].onsets[:, TR].any()), at)
        cells, sounding = piece.cells.copy(), piece.sounding.copy()
        cells[:, TR], sounding[:, TR] = pieces[other].cells[:, TR], pieces[other].sounding[:, TR]
        made.append(Piece(cells, sounding, piece.instruments, piece.bar_rows, piece.beat_rows, piece.loops))
    return made


def pyxel_pieces(count: int) -> list[Piece] | str:
    """Return loops of pyxel's gen_bgm, melody, second voice, bass and drums, its presets in turn; or why there are none."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(count)],
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"pyxel did not answer ({type(error).__name__})"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return "pyxel is not installed" if "No module named" in last else f"pyxel failed: {last[:120]}"
    pieces = []
    try:
        for melody, bass, second, drums in json.loads(done.stdout.strip().splitlines()[-1]):
            bars = min(MAX_BARS, -(-length_in_rows([melody, bass]) // BAR_ROWS))
            cells = mml_to_cells(melody, second, bass, drums, bars * BAR_ROWS)
            pieces.append(cells_to_piece(cells, BAR_ROWS, loops=True))
    except (FormatError, ValueError, IndexError) as error:
        return f"pyxel's music could not be read: {error}"
    return pieces
