"""Long pieces in windows: none is lost, each stands in its minute, and what drifts is told from what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the judge's seams import the training side")

from export.long_report import SHOWN, WINDOW_BARS, drift, long_piece, summarise, to_markdown
from export.measures import melodic_density
from nesasset.model import load_model


@pytest.fixture(scope="module")
def windows():
    """Windows of a piece of a minute and a half that the stand-in model composes."""
    return long_piece(load_model(Path(__file__).parent / "standin" / "standin.json"), "boss", 3, 1.5)


def test_a_piece_is_cut_from_end_to_end(windows):
    """A minute and a half at 180 beats a minute has 68 bars: four windows, three of them in the first minute or begun in it."""
    assert [len(window.piece.bars) for window in windows] == [WINDOW_BARS] * 4
    assert [window.minute for window in windows] == [0, 0, 0, 1]
    assert all(np.isfinite(window.bits) and window.bits > 0 for window in windows)


def test_what_changes_with_the_minutes_drifts(windows):
    """Bits that rise by the minute correlate wholly, those that stay do not."""
    rising = [replace(window, minute=minute, bits=2.0 + minute) for minute, window in enumerate(windows)]
    flat = [replace(window, bits=2.0) for window in rising]
    assert drift(rising)["bits"] == pytest.approx(1.0)
    assert drift(flat)["bits"] == 0


def test_the_table_has_every_minute(windows):
    """Means are of the windows of a minute, and a line of the table has them."""
    first = [window for window in windows if window.minute == 0]
    row = summarise(first)
    assert row["windows"] == 3
    assert row["melodic_density"] == pytest.approx(np.mean([melodic_density(window.piece) for window in first]))
    table = to_markdown({"rows": {"minute 1": row}, "drift": drift(windows)})
    assert f"| minute 1 | {row[SHOWN[0]]:.3f} |" in table
