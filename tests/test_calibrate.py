"""Calibrating a model: what is counted, which way the numbers go, and that they act."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="export/ needs torch")
pytest.importorskip("onnx", reason="export/ needs onnx")

from click.testing import CliRunner
from made_up_corpus import write_split
from standin_model import STANDIN, standin

from export.calibrate import (
    DEGREE_LIMIT,
    FEWEST_WINDOWS,
    LIMIT,
    PART,
    Counts,
    compose_pieces,
    corrected,
    count,
    main,
    of_themes,
)
from export.judging.sides import Item
from export.measures import cells_to_piece
from nesasset.compose.calibration import DEFAULT, KEY, MODES, MOVES, PLACES, Calibration
from nesasset.model import load_model
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
    assert (27 * found.moves[0]).round(6).tolist() == [0, 4, 16, 4, 3, 0, 0]  # a bar's six, and from bar to bar
    assert (found.moves[1:] == 1 / len(MOVES)).all()


def test_what_there_is_too_little_of_becomes_likelier() -> None:
    """By a part of the difference of log odds, up to a limit; equal counts change nothing, and notes outside the scale are left alone."""
    even = Counts(np.full((len(PLACES), 4), 0.5), np.full(4, 0.1), np.full((len(MODES), 12), 1 / 12), np.ones(2), np.full((3, len(MOVES)), 1 / len(MOVES)))
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


def test_a_theme_gets_what_its_songs_have_more_of() -> None:
    """Songs of one label in a scale with a flat second, on the second of four rows: that degree and that place become likelier there, and less likely elsewhere."""
    strange = [Item(cells_to_piece(np.roll(scale_piece((0, 1, 4, 7, 0, 5, 7, 0), 4), 1, axis=0)), f"a{seed}", "dungeon_underground", 6.0) for seed in range(40)]
    usual = [Item(cells_to_piece(scale_piece((0, 2, 4, 7, 0, 5, 7, 0), 4)), f"b{seed}", "town_shop_indoor", 6.0) for seed in range(120)]
    few = [replace(usual[0], label="map")] * (FEWEST_WINDOWS - 1)
    tables = of_themes([*strange, *usual, *few])
    assert set(tables) == {"dungeon_underground", "town_shop_indoor"}
    dungeon, town = tables["dungeon_underground"], tables["town_shop_indoor"]
    major = MODES.index("major")
    assert dungeon.degrees[major, 1] > 0 > town.degrees[major, 1] and dungeon.degrees[major, 2] < 0 < town.degrees[major, 2]
    assert dungeon.onsets[2, 0] > 0 > dungeon.onsets[0, 0] and not dungeon.onsets[:, 1:].any()
    assert not dungeon.degrees[MODES.index("minor")].any()  # no song tells
    assert max(np.abs(dungeon.onsets).max(), np.abs(dungeon.degrees).max()) <= LIMIT


def test_the_table_acts(tmp_path: Path) -> None:
    """A model told to play on the second of four rows, not on the downbeat, does so; told to rest, it rests."""
    model = standin()
    before = count(compose_pieces(model, 8, 1))
    table = zeros()
    table.onsets[0], table.onsets[2] = -LIMIT * 3, LIMIT * 3
    table.rests[:] = 2.0
    table.moves[:, 0] = 3.0  # repeated notes
    model.sidecar = {**model.sidecar, KEY: table.to_json()}
    after = count(compose_pieces(model, 8, 1))
    assert (after.onsets[2, :3] > before.onsets[2, :3] + 0.1).all()
    assert (after.onsets[0, :3] < before.onsets[0, :3] - 0.1).all()
    assert (after.rests > before.rests).all()
    assert (after.moves[:, 0] > before.moves[:, 0] + 0.1).all()


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
