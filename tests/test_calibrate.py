"""Calibration: what is counted, which way the numbers go, where they act, and what a sidecar may hold."""

from __future__ import annotations

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_up_corpus import write_split
from standin_model import STANDIN, standin

from export.calibrate import DEGREE_LIMIT, LIMIT, PART, Counts, compose_pieces, corrected, count, main
from export.measures import cells_to_piece
from nesasset.compose import _harmony
from nesasset.compose.calibration import DEFAULT, KEY, MODES, PLACES, Calibration
from nesasset.compose.controls import Controls
from nesasset.compose.given import Given
from nesasset.compose.plan import draw_plan
from nesasset.compose.request import generator, resolve
from nesasset.errors import ModelMismatchError
from nesasset.model import load_model
from nesasset.themes import theme
from nesasset.vocabulary import HOLD_ID, LOWEST_PITCH, ONSET_ID, REST_ID


def zeros() -> Calibration:
    """Return a calibration that does nothing."""
    return Calibration(np.zeros((len(PLACES), 4), np.float32), np.zeros(4, np.float32), np.zeros((len(MODES), 12), np.float32))


def scale_piece(steps: tuple[int, ...], every: int = 2) -> np.ndarray:
    """Return four bars in which pulse 1 plays pitches in turn, a note every so many rows, and the others rest."""
    cells = np.full((64, 4), HOLD_ID)
    at = np.arange(0, 64, every)
    cells[at, 0] = ONSET_ID + 60 - LOWEST_PITCH + np.resize(steps, len(at))
    return cells


def test_what_is_counted() -> None:
    """Onsets by place and rests, of bars in which the voice plays, and degrees of the key's mode."""
    cells = scale_piece((0, 4, 7, 0, 2, 5, 9, 11))
    cells[6::16, 0] = REST_ID
    cells[3:16:4, 3] = ONSET_ID  # drums in the first bar only, on the last of four rows
    found = count([cells_to_piece(cells)])
    assert found.onsets[:, 0].tolist() == [1.0, 1.0, 0.0, 0.75, 0.0]
    assert found.onsets[:, 3].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert found.rests.tolist() == [1 / 16, 0, 0, 0]
    major = found.degrees[MODES.index("major")]
    assert major.sum() == pytest.approx(1) and major[0] == major.max() and major[[1, 3, 6, 8, 10]].sum() == 0
    assert (found.degrees[MODES.index("minor")] == 1 / 12).all()  # no piece tells


def test_what_there_is_too_little_of_becomes_likelier() -> None:
    """By a part of the difference of log odds, up to a limit; equal counts change nothing, and notes outside the scale are left alone."""
    even = Counts(np.full((len(PLACES), 4), 0.5), np.full(4, 0.1), np.full((len(MODES), 12), 1 / 12))
    same = corrected(DEFAULT, even, even)
    assert all((getattr(same, name) == getattr(DEFAULT, name)).all() for name in ("onsets", "rests", "degrees"))
    onsets, degrees = even.onsets.copy(), even.degrees.copy()
    onsets[0, 2], onsets[1, 1], degrees[:, :] = 0.8, 1.0, 0.2
    wanted = replace(even, onsets=onsets, degrees=degrees)
    moved = corrected(zeros(), wanted, even)
    assert moved.onsets[0, 2] == pytest.approx(PART * np.log(4)) and moved.onsets[1, 1] == LIMIT
    assert np.count_nonzero(moved.onsets) == 2 and not moved.rests.any()
    assert np.flatnonzero(moved.degrees[MODES.index("major")]).tolist() == [0, 2, 4, 5, 7, 9, 11]
    assert (moved.degrees[moved.degrees != 0] == np.float32(DEGREE_LIMIT)).all()


def test_the_table_acts(tmp_path: Path) -> None:
    """A model told to play on the second of four rows, not on the downbeat, does so; told to rest, it rests."""
    model = standin()
    before = count(compose_pieces(model, 8, 1))
    table = zeros()
    table.onsets[0], table.onsets[2] = -LIMIT * 3, LIMIT * 3
    table.rests[:] = 2.0
    model.sidecar = {**model.sidecar, KEY: table.to_json()}
    after = count(compose_pieces(model, 8, 1))
    assert (after.onsets[2, :3] > before.onsets[2, :3] + 0.1).all()
    assert (after.onsets[0, :3] < before.onsets[0, :3] - 0.1).all()
    assert (after.rests > before.rests).all()


def test_beside_music_that_was_there_it_does_not_act() -> None:
    """A piece's own bars and its motif are written with the model's table, what joins somebody's music without it."""
    writer = importlib.import_module("nesasset.compose.writer")
    model, table = standin(), zeros()
    table.rests[:] = 0.5
    model.sidecar = {**model.sidecar, KEY: table.to_json()}
    request = resolve(theme("castle"), 4, Controls(bars=4), model.sidecar["sampling"])
    plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    nothing = Given.nothing(plan.n_bars * plan.bar_rows)
    for given, acts in ((None, True), (nothing, True), (replace(nothing, own=False), False)):
        desk = writer._Desk(model, request, plan, [generator(("chance",))], given)
        assert (desk.steering.calibration.rests == (0.5 if acts else 0)).all()


def test_keys_and_metres() -> None:
    """Degrees turn with the tonic; where the mode is open both count; bars of other than 16 rows have the mean of their places."""
    table = zeros()
    table.degrees[0, 4], table.degrees[1, 3] = 0.5, 1.0
    assert np.flatnonzero(table.pitch_classes(10, "major")).tolist() == [2]
    assert table.pitch_classes(0, None)[[3, 4]].tolist() == [0.5, 0.25]
    table.onsets[0, 1] = 1.6
    rows = table.onsets_by_row(16)
    assert rows[0, 1] == np.float32(1.6) and not rows[1:].any()
    assert np.allclose(table.onsets_by_row(12)[:, 1], 0.1) and table.onsets_by_row(12).shape == (12, 4)


def test_a_round_brings_counts_nearer_to_the_songs(tmp_path: Path) -> None:
    """The command writes a table into the sidecar that the model loads, and of a second run's pieces more are as the songs are."""
    corpus = write_split(tmp_path / "train", 5, 24, 17)
    folder = tmp_path / "models"
    shutil.copytree(STANDIN.parent, folder)
    command = ["--corpus", str(corpus), "--model", str(folder / "standin.json"), "--pieces", "8"]
    done = CliRunner().invoke(main, [*command, "--rounds", "2"])
    assert done.exit_code == 0, done.output
    apart = [float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("round")]
    assert len(apart) == 2 and apart[1] < apart[0]
    sidecar = json.loads((folder / "standin.json").read_text(encoding="utf-8"))
    assert Calibration.of(sidecar).to_json() == sidecar[KEY]
    assert load_model(folder / "standin.json").sidecar[KEY] == sidecar[KEY]
    assert not list(folder.glob("*.tmp"))


def test_what_cannot_be_calibrated_is_one_sentence(tmp_path: Path) -> None:
    """No prepared split, songs that are too short, a sidecar that is none: an error says so, and the model's files stay."""
    folder = tmp_path / "models"
    shutil.copytree(STANDIN.parent, folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    short, long = write_split(tmp_path / "short", 5, 3, 4), write_split(tmp_path / "long", 5, 3, 17)
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    for corpus, model, words in ((tmp_path, folder / "standin.json", "not a prepared split"), (short, folder / "standin.json", "no song of 16 bars"), (long, broken, "broken.json")):
        done = CliRunner().invoke(main, ["--corpus", str(corpus), "--model", str(model), "--pieces", "8"])
        assert done.exit_code in (1, 2) and isinstance(done.exception, SystemExit) and words in done.output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "table",
    [{}, 7, {"onsets": 1}, {"onsets": [[0] * 4] * 5, "rests": [0, 0, 0], "degrees": [[0] * 12] * 2}, {"onsets": [["x"] * 4] * 5, "rests": [0] * 4, "degrees": [[0] * 12] * 2},
     {"onsets": [[float("nan")] * 4] * 5, "rests": [0] * 4, "degrees": [[0] * 12] * 2}],
)
def test_a_broken_table_is_one_sentence(table: object) -> None:
    """Whatever stands there, the error says what to do."""
    with pytest.raises(ModelMismatchError, match=r"export\.calibrate"):
        Calibration.of({KEY: table}, "a-model")


def test_without_a_table_there_is_a_default() -> None:
    """A model that was never calibrated has the first one's."""
    assert Calibration.of({}) is DEFAULT
