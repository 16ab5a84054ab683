"""Evaluation: what costs nothing is determined, figures add up, and the command says what it left out."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="export/ needs torch")

import click
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_corpus import made_up_song, random_cells, write_corpus

from export import evaluate
from export.dataset import Corpus
from export.model import ModelConfig, RowModel
from export.plan_library import song_harmonies
from export.prepare import load_rows
from export.train import Run, TrainConfig
from nesasset.compose.form_mining import bar_starts, mine_plan
from nesasset.compose.harmony import HarmonyModel
from nesasset.vocabulary import EXACT, FIXED_CLASSES, ONSET_ID, REST_ID, SILENT

pytestmark = pytest.mark.torch

TINY = ModelConfig(width=32, layers=2, heads=2, feed_forward=64, head_width=32, entry_width=16, context=64)
NOT_THERE = ["--model", "none", "--checkpoint", "none", "--fp32", "none", "--lstm", "none", "--no-plan", "none"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("made_up") / "corpus")


@pytest.fixture(scope="module")
def valid(corpus):
    return Corpus(corpus / "valid")


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    return RowModel(TINY).eval()


def save_checkpoint(path, **crops):
    """Write a checkpoint of an untrained tiny network as export.train does."""
    from export.dataset import CropConfig

    torch.manual_seed(1)
    run = Run(TrainConfig(TINY, CropConfig(**crops)))
    saved = {"state_dict": run.state_dict()}
    run.on_save_checkpoint(saved)
    torch.save(saved, path)
    return path


def evaluate_json(*arguments):
    done = CliRunner().invoke(evaluate.main, [*arguments, "--json"])
    assert done.exit_code == 0, done.output + str(done.exception)
    return json.loads(done.stdout), done.stderr


# --- cells that the plan fixes


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([12, 16]), st.integers(0, 11))
def test_fixed_cells_follow_from_the_plan_and_the_past(seed, bar_rows, first):
    """Every cell that costs nothing is decoded back from the mined plan and the cells before it."""
    cells = made_up_song(np.random.default_rng(seed), bar_rows, first=first)
    lags, classes, shifts = mine_plan(cells, bar_rows, first)
    starts = bar_starts(len(cells), bar_rows, first)
    fixed = np.repeat(np.isin(classes, FIXED_CLASSES), np.diff(starts), axis=0)
    hidden = np.where(fixed, -7, cells)
    assert np.array_equal(evaluate.decode_fixed(hidden, starts, lags, classes, shifts, bar_rows), cells)


def test_some_cells_are_fixed():
    """The property above is not empty: made-up songs have exact, moved and silent voices, the silent one with a rest in front."""
    kinds, rests = set(), 0
    for seed in range(20):
        cells = made_up_song(np.random.default_rng(seed))
        _, classes, _ = mine_plan(cells, 16, 0)
        kinds |= set(classes.ravel().tolist())
        for bar, voice in np.argwhere(classes == SILENT):
            rests += cells[16 * bar, voice] == REST_ID
    assert set(FIXED_CLASSES) <= kinds
    assert rests


def test_fixed_cells_of_another_song_are_found_out(corpus):
    """A split whose cells do not follow from its plans is refused: its figures would be no code length."""
    broken = Corpus(corpus / "valid")
    song = next(s for s in range(len(broken)) if (broken.plan(s)[2] == EXACT).any())
    starts, _, classes, _ = broken.plan(song)
    bar, voice = np.argwhere(classes == EXACT)[0]
    broken.cells = broken.cells.copy()
    row = broken.offsets[song] + starts[bar]
    broken.cells[row, voice] = REST_ID if broken.cells[row, voice] != REST_ID else ONSET_ID
    with pytest.raises(click.ClickException, match="does not follow from its plan"):
        evaluate.check_fixed(broken, np.arange(len(broken)))


def test_untouched_songs_pass(valid):
    """The same check accepts the split as it was prepared."""
    evaluate.check_fixed(valid, np.arange(len(valid)))


# --- networks


def test_every_row_is_scored_once(valid, net):
    """Windows cover each song without gap or overlap: the tick counts its rows, every free cell has a price."""
    songs = np.arange(len(valid))
    done = []
    cells, slots = evaluate.torch_bits(net, valid, songs, done.append, plan=False)
    assert sum(done) == len(cells) == evaluate.rows_of(valid, songs)[-1]
    assert (cells > 0).all()
    assert ((slots > 0) == (valid.slots >= 0)).all()


def test_the_plan_makes_fixed_cells_free(valid, net):
    """Told the plan, exactly the cells of exact and silent voices cost nothing."""
    songs = np.arange(len(valid))
    cells, _ = evaluate.torch_bits(net, valid, songs, lambda _: None, plan=True)
    first = evaluate.rows_of(valid, songs)
    for song in songs:
        starts, _, classes, _ = valid.plan(song)
        free = np.repeat(np.isin(classes, FIXED_CLASSES), np.diff(starts), axis=0)
        assert np.array_equal(cells[first[song] : first[song + 1]] == 0, free)


def test_batches_change_nothing(valid, net, monkeypatch):
    """A song's prices do not depend on the songs it is computed with."""
    songs = np.arange(len(valid))
    together = evaluate.torch_bits(net, valid, songs, lambda _: None, plan=True)[0]
    monkeypatch.setattr(evaluate, "SONGS_A_CALL", 1)
    alone = evaluate.torch_bits(net, valid, songs, lambda _: None, plan=True)[0]
    assert np.allclose(together, alone, atol=1e-4)


def test_choice_of_songs(valid, net):
    """Songs asked for alone have the prices they have among all, in the order asked for."""
    everything = evaluate.torch_bits(net, valid, np.arange(len(valid)), lambda _: None, plan=True)[0]
    first = evaluate.rows_of(valid, np.arange(len(valid)))
    chosen = evaluate.torch_bits(net, valid, np.array([3, 1]), lambda _: None, plan=True)[0]
    expected = np.concatenate([everything[first[3] : first[4]], everything[first[1] : first[2]]])
    assert np.allclose(chosen, expected, atol=1e-4)


# --- figures


def test_figures_add_up(corpus, valid):
    """Total is the sum of its parts, and the three totals are the same bits over rows, notes and minutes."""
    songs = np.array([0, 2])
    n = int(evaluate.rows_of(valid, songs)[-1])
    one = evaluate.result((np.full((n, 4), 0.5), np.full((n, 3), 0.25)), 30.0, 20.0, 10.0, valid, songs)
    assert one.cells == pytest.approx(2.0)
    assert one.instruments == pytest.approx(0.75 + 30 / n)
    assert one.plan == pytest.approx(20 / n)
    assert one.harmony == pytest.approx(10 / n)
    assert one.total == pytest.approx(one.cells + one.instruments + one.plan + one.harmony)
    notes = sum(int((valid.cells[valid.offsets[s] : valid.offsets[s + 1]] >= ONSET_ID).sum()) for s in songs)
    assert one.bits_per_note * notes == pytest.approx(one.total * n)
    assert one.bits_per_minute * (n * 6.0 / 60.0988 / 60) == pytest.approx(one.total * n)


def test_json_has_the_promised_form(corpus, tmp_path):
    """Names and keys are those that other programs read; only the networks that are told the plan pay for it."""
    told, untold = save_checkpoint(tmp_path / "a.ckpt"), save_checkpoint(tmp_path / "b.ckpt", plan=False)
    arguments = ["--data", str(corpus / "valid"), "--corpus", str(corpus), *NOT_THERE, "--checkpoint", str(told)]
    found, said = evaluate_json(*arguments, "--no-plan", str(untold))
    assert list(found) == ["songs", "rows", "results"]
    assert found["songs"] == 5
    assert found["rows"] == len(np.load(corpus / "valid" / "cells.npy"))
    assert list(found["results"]) == ["pytorch", "unigram", "ngram", "ngram_cache", "pytorch_no_plan"]
    for name, one in found["results"].items():
        assert list(one) == ["cells", "instruments", "plan", "harmony", "total", "bits_per_note", "bits_per_minute"]
        assert (one["plan"] > 0) == (name == "pytorch")
        assert one["total"] == pytest.approx(one["cells"] + one["instruments"] + one["plan"] + one["harmony"], abs=2e-4)
    for name in ("onnx_fp32", "onnx_int8", "lstm"):
        assert f"{name} left out: none" in said


def test_table_is_printed_by_default(corpus):
    """Without --json a person reads one line a system."""
    done = CliRunner().invoke(evaluate.main, ["--data", str(corpus / "valid"), "--corpus", str(corpus), *NOT_THERE, "--only", "unigram"])
    assert done.exit_code == 0
    assert "unigram" in done.stdout
    assert "controls that networks are told" in done.stdout


def test_a_choice_of_songs_is_evenly_spread(corpus):
    """--songs takes so many, the first and the last among them."""
    found, _ = evaluate_json("--data", str(corpus / "valid"), "--corpus", str(corpus), *NOT_THERE, "--only", "unigram", "--songs", "2")
    offsets = load_rows(corpus / "valid").offsets
    assert found["songs"] == 2
    assert found["rows"] == offsets[1] + offsets[-1] - offsets[-2]


def test_prices_of_a_library_and_of_rows_agree(corpus, tmp_path):
    """Prices are the same whether counted in the split or in the library that travels with a model; rare chord contexts stay behind."""
    rows = load_rows(corpus / "train")
    path = tmp_path / "plans.npz"
    parts = {name: getattr(rows, name) for name in ("lags", "classes", "shifts", "pulse_palette", "noise_palette")}
    np.savez(path, bars=rows.bar_offsets, **parts, **HarmonyModel.fit(song_harmonies(rows)).to_arrays())
    valid = Corpus(corpus / "valid")
    for price, near in ((evaluate.plan_bits, 1e-6), (evaluate.palette_bits, 1e-6), (evaluate.harmony_bits, 0.05)):
        one = price(evaluate.Prices.of_rows(rows), valid, np.arange(5))
        assert one == pytest.approx(price(evaluate.Prices.of_library(path), valid, np.arange(5)), rel=near)
        assert one > 0


# --- bad input


@pytest.mark.parametrize("name", ["empty.ckpt", "text.ckpt", "other.ckpt"])
def test_a_broken_checkpoint_is_one_sentence(corpus, tmp_path, name):
    """A file that is no checkpoint is refused with its name, and nothing is printed as a result."""
    path = tmp_path / name
    path.write_bytes(b"" if name == "empty.ckpt" else b"no checkpoint at all")
    if name == "other.ckpt":
        torch.save({"weights": 1}, path)
    done = CliRunner().invoke(
        evaluate.main,
        ["--data", str(corpus / "valid"), "--corpus", str(corpus), *NOT_THERE, "--checkpoint", str(path), "--only", "pytorch"],
    )
    assert done.exit_code == 1
    assert f"{path} is not a checkpoint of export.train" in done.stderr
    assert done.stdout == ""


def test_a_folder_without_music_is_refused(corpus, tmp_path):
    """Neither MIDI files nor arrays: a usage error that names the folder."""
    done = CliRunner().invoke(evaluate.main, ["--data", str(tmp_path), "--corpus", str(corpus), *NOT_THERE])
    assert done.exit_code == 2
    assert "neither MIDI files nor a prepared split" in done.stderr


def test_a_corpus_is_not_a_split(corpus):
    """Given the corpus' root, the message says to name a split."""
    done = CliRunner().invoke(evaluate.main, ["--data", str(corpus), "--corpus", str(corpus), *NOT_THERE])
    assert done.exit_code == 2
    assert "give one of its splits" in done.stderr


def test_nothing_to_price_with(corpus, tmp_path):
    """Without corpus and model there are no counts for plans and palettes, and the message says which files would do."""
    done = CliRunner().invoke(evaluate.main, ["--data", str(corpus / "valid"), "--corpus", str(tmp_path / "none"), *NOT_THERE])
    assert done.exit_code == 2
    assert "nothing to price plans and palettes with" in done.stderr


# --- MIDI files


def write_midi(path, seed, n_bars=6):
    """Write a tune in NES-MDB's conventions: 44.1 kHz ticks, six frames a row, volume in CC11, duty in CC12."""
    import mido

    cells = random_cells(np.random.default_rng(seed), 16 * n_bars)
    file = mido.MidiFile(type=1, ticks_per_beat=22_050)
    frame = 44_100 / 60.0988
    end = round(len(cells) * 6 * frame)
    marks = [mido.MetaMessage("time_signature", time=time) for time in (0, end)]
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000), *marks]))
    for voice, name in enumerate(("p1", "p2", "tr", "no")):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        at, sounding = 0, None
        for row, cell in enumerate([*cells[:, voice].tolist(), REST_ID]):
            now = round(row * 6 * frame)
            if cell and sounding is not None:
                track.append(mido.Message("note_off", note=sounding, time=now - at, channel=voice))
                at, sounding = now, None
            if cell >= ONSET_ID:
                sounding = 5 if voice == 3 else cell + 19
                for number, value in ((11, 12), (12, 2 if voice < 2 else 0)):
                    track.append(mido.Message("control_change", control=number, value=value, time=now - at, channel=voice))
                    at = now
                track.append(mido.Message("note_on", note=sounding, velocity=12, time=0, channel=voice))
        file.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)


@pytest.fixture(scope="module")
def midi(tmp_path_factory):
    folder = tmp_path_factory.mktemp("midi") / "some"
    for seed in range(3):
        write_midi(folder / f"{seed:03d}_Game_00_01Song.mid", seed)
    (folder / "099_Game_00_01Broken.mid").write_bytes(b"MThd nothing")
    return folder


def test_any_folder_of_midi_files(corpus, midi):
    """MIDI files are put on rows; one that cannot be read is left out and counted on standard error."""
    found, said = evaluate_json("--data", str(midi), "--corpus", str(corpus), *NOT_THERE, "--only", "unigram")
    assert found["songs"] == 3
    assert found["rows"] > 3 * 80
    assert "1 songs left out: unreadable" in said


def test_songs_of_the_training_split_are_left_out(corpus, midi, tmp_path):
    """A song whose first rows stand in training is no test of anything; when none is left the message says so."""
    from export.instruments import Library

    library = Library.load(corpus / "library.npz")
    edges = json.loads((corpus / "corpus.json").read_text())["edges"]
    evaluate.prepare_songs(midi, tmp_path / "one", {}, library, edges, None)
    with pytest.raises(click.UsageError, match="3: stands in the training split"):
        evaluate.prepare_songs(midi, tmp_path / "two", {}, library, edges, load_rows(tmp_path / "one"))
