"""Bits per row of a model and of every baseline on the same rows of music.

    python -m export.evaluate --data nesmdb_midi/valid --tracks tracks.csv --corpus corpus
    python -m export.evaluate --data corpus/valid --corpus corpus --songs 12 --json

DIR is a folder of NES-MDB MIDI files (or one with such folders in it), put on rows as export.prepare does it, or a split
that export.prepare wrote. Songs that cannot be put on rows, doubles, and songs whose first rows stand in the training
split are left out, as in preparation. A system whose file is not there is left out with a line on standard error.

Every figure is a code length: what it would take to write the songs down, given what was learnt from other songs.

* cells: hold, rest or note of four voices. Cells that the plan fixes cost nothing; that the plan and the past do give
  them is checked for every song by decoding them (`decode_fixed`).
* instruments: the palette slot of every note, and once a song the palette itself, under the unigram code of
  export.baselines.unigram, the same for all systems.
* plan: the form plan under the n-gram model of nesasset.compose.plan_model, for the systems that are told it.
* harmony: the chords under the n-gram model of nesasset.compose.harmony, for the systems that are told them; the song's key,
  one of twelve tonics and two modes, is charged with it.

Not priced, for no system: the number of rows, bar length, and where the song loops. Not priced, for the networks: the
controls; their price under unigrams is printed with the table.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import pickle
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from export.baselines import ngram, unigram
from export.baselines.music import Music
from export.baselines.unigram import PaletteCode
from export.dataset import Corpus, take, to_batch, windows
from export.instruments import Library
from export.model import RowModel
from export.plan_library import song_harmonies
from export.prepare import SAME_ROWS, Rows, convert_all, load_rows, load_tracks, without_doubles, write_split
from export.songs import DATA_FRAME_RATE_HZ, Song
from export.train import TrainConfig, load_model
from nesasset.compose.harmony import HarmonyModel
from nesasset.compose.plan_model import PlanModel
from nesasset.errors import NesassetError
from nesasset.features import forget_chords, forget_plan
from nesasset.model import Model
from nesasset.model import Song as SongVectors
from nesasset.model import load_model as load_exported
from nesasset.vocabulary import CONTROLS, EXACT, FIXED_CLASSES, HOLD_ID, ONSET_ID, REST_ID, SEQUENCE, SILENT

Bits = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Of every cell, (n_rows, 4), and every instrument, (n_rows, 3), of the songs one after the other."""
Tick = Callable[[int], None]
"""Told how many rows are done."""
ROWS_A_CALL = 16  # of a floating-point graph, where it makes no difference
SONGS_A_CALL = 8
KEY_BITS = float(np.log2(24))
FORGET_ROWS = 64  # of a full cache at once: moving it for every row would cost more than the row


@dataclass(frozen=True, slots=True)
class Result:
    """One system's prices; bits per row but for the last two."""

    cells: float
    instruments: float
    plan: float
    harmony: float
    total: float
    bits_per_note: float
    bits_per_minute: float


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """What was learnt from the training songs about plans and palettes."""

    plan: PlanModel
    harmony: HarmonyModel
    palette: PaletteCode

    @staticmethod
    def of_rows(rows: Rows) -> Prices:
        """Count a prepared training split."""
        plans = _plans(rows.bar_offsets, rows.lags, rows.classes, rows.shifts)
        harmony = HarmonyModel.fit(song_harmonies(rows))
        return Prices(PlanModel.fit(plans), harmony, PaletteCode.fit(*map(np.asarray, (rows.pulse_palette, rows.noise_palette))))

    @staticmethod
    def of_library(path: Path) -> Prices:
        """Count the plan library that travels with a model."""
        with np.load(path) as data:
            plans = _plans(*(data[name] for name in ("bars", "lags", "classes", "shifts")))
            harmony = HarmonyModel.from_arrays(dict(data))
            return Prices(PlanModel.fit(plans), harmony, PaletteCode.fit(data["pulse_palette"], data["noise_palette"]))


def _plans(bars: NDArray[Any], *parts: NDArray[Any]) -> list[tuple[NDArray[Any], ...]]:
    return [tuple(np.asarray(part[a:b]) for part in parts) for a, b in pairwise(np.asarray(bars))]


# --- the music --------------------------------------------------------------------------------------------------------


def split_folders(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Return a folder and the names of its subfolders that hold MIDI files, for `convert_all`."""
    folder = folder.resolve()
    if any(folder.glob("*.mid")):
        return folder.parent, (folder.name,)
    inside = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and any(path.glob("*.mid"))))
    if not inside:
        hint = ", give one of its splits" if any(folder.glob("*/cells.npy")) else ""
        raise click.UsageError(f"{folder}: neither MIDI files nor a prepared split{hint}")
    return folder, inside


def prepare_songs(
    folder: Path,
    out: Path,
    tracks: dict[str, dict[str, str]],
    library: Library,
    edges: dict[str, list[float]],
    train: Rows | None,
    jobs: int = 1,
) -> dict[str, int]:
    """Put a folder of MIDI files on rows and write them as a split.

    Args:
        folder: See `split_folders`.
        out: Folder for the split's arrays.
        tracks: Rows of tracks.csv by song name; may be empty, then no song has a loop or a label.
        library: Volume shapes the palettes are made of.
        edges: Class edges of the measured controls.
        train: Training split whose songs are left out, or None.
        jobs: Processes.

    Returns:
        Why songs were left out, and how many.
    """
    parent, inside = split_folders(folder)
    songs: list[Song] = []
    dropped: list[str] = []
    with (
        ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as executor,
        contextlib.redirect_stdout(sys.stderr),  # progress does not belong into the results
    ):
        for result in convert_all(parent, tracks, inside, executor):
            if isinstance(result, Song):
                songs.append(result)
            else:
                dropped.append(result[1])
        songs, doubles = without_doubles(songs)
        dropped += [why for _, why in doubles]
        if train is not None:
            known = {rows.tobytes() for rows in first_rows(train)}
            fresh = [song for song in songs if song.cells[:SAME_ROWS].tobytes() not in known]
            dropped += ["stands in the training split"] * (len(songs) - len(fresh))
            songs = fresh
        if not songs:
            raise click.UsageError(f"{folder}: no song left ({'; '.join(f'{n}: {why}' for why, n in Counter(dropped).items())})")
        write_split(out, songs, library, edges, executor)
    return dict(Counter(dropped))


def first_rows(rows: Rows) -> Iterator[NDArray[np.int32]]:
    """Yield the first rows of every song of a split, as `without_doubles` compares them."""
    offsets = np.asarray(rows.offsets)
    for a, b in pairwise(offsets):
        yield np.asarray(rows.cells[a : min(b, a + SAME_ROWS)]).astype(np.int32)


def decode_fixed(
    cells: NDArray[np.integer],
    starts: NDArray[np.integer],
    lags: NDArray[np.integer],
    classes: NDArray[np.integer],
    shifts: NDArray[np.integer],
    bar_rows: int,
) -> NDArray[np.integer]:
    """Return the song with every cell that its plan fixes written anew from the plan and the rows before it.

    An exact voice repeats the referenced bar, a sequence repeats it moved by the bar's shift. A silent voice holds; on its first row it rests if a note still sounds.

    Args:
        cells: Shape (n_rows, 4); what it holds where the plan fixes a cell is not looked at.
        starts: First row of each bar and the end.
        lags: Shape (n_bars,).
        classes: Shape (n_bars, 4).
        shifts: Shape (n_bars,).
        bar_rows: Rows of a whole bar.
    """
    out = np.array(cells)
    fixed = np.repeat(np.isin(classes, FIXED_CLASSES), np.diff(starts), axis=0)
    out[fixed] = -1
    sounds = np.full(4, REST_ID)
    for bar, (a, b) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        for voice in range(4):
            if classes[bar, voice] in (EXACT, SEQUENCE):
                back = int(lags[bar]) * bar_rows
                shift = int(shifts[bar]) if classes[bar, voice] == SEQUENCE else 0
                part = out[a - back : b - back, voice]
                out[a:b, voice] = np.where(part >= ONSET_ID, part + shift, part)
            elif classes[bar, voice] == SILENT:
                out[a:b, voice] = HOLD_ID
                out[a, voice] = REST_ID if sounds[voice] >= ONSET_ID else HOLD_ID
            events = np.flatnonzero(out[a:b, voice] != HOLD_ID)
            if len(events):
                sounds[voice] = out[a + events[-1], voice]
    return out


def check_fixed(corpus: Corpus, songs: NDArray[np.int64]) -> None:
    """Raise ClickException where a cell that costs nothing does not follow from the plan and the past."""
    for song in songs.tolist():
        starts, *plan = corpus.plan(song)
        cells = corpus.cells[corpus.offsets[song] : corpus.offsets[song + 1]]
        if not np.array_equal(decode_fixed(cells, starts, *plan, int(corpus.rows.bar_rows[song])), cells):
            raise click.ClickException(f"song {song} of the split does not follow from its plan, prepare the split anew")


# --- the systems ------------------------------------------------------------------------------------------------------


def rows_of(corpus: Corpus, songs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first row of each of the songs in the results, and the end; shape (n + 1,)."""
    lengths = (corpus.offsets[1:] - corpus.offsets[:-1])[songs]
    return np.concatenate([[0], np.cumsum(lengths)])


@torch.inference_mode()
def torch_bits(net: RowModel, corpus: Corpus, songs: NDArray[np.int64], tick: Tick, *, plan: bool) -> Bits:
    """Price songs with a PyTorch network, in windows of its context of which all but the first score their second half.

    Args:
        net: In evaluation mode.
        corpus: Split that holds the songs.
        songs: Which ones.
        tick: Progress.
        plan: Whether the network is told the plan and the harmony.
    """
    first = rows_of(corpus, songs)
    cells, slots = np.zeros((first[-1], 4)), np.zeros((first[-1], 3))
    crops = [(place, *one) for place, song in enumerate(songs) for one in windows(corpus, int(song), net.config.context)]
    crops.sort(key=lambda one: one[1].stop - one[1].start)
    for part in range(0, len(crops), SONGS_A_CALL):
        group = crops[part : part + SONGS_A_CALL]
        width = max(crop.stop - crop.start for _, crop, _ in group)
        parts = [take(corpus, crop, width) for _, crop, _ in group]
        if not plan:
            for one in parts:
                forget_plan(one["ids"], one["slots"], np.ones(width, dtype=bool), np.ones(4, dtype=bool))
                forget_chords(one["ids"])
        out = net(to_batch(parts))
        for index, (place, crop, context) in enumerate(group):
            here = slice(first[place] + crop.start + context, first[place] + crop.stop)
            there = slice(context, crop.stop - crop.start)
            cells[here], slots[here] = out["cells"][index, there].numpy(), out["slots"][index, there].numpy()
            tick(crop.stop - crop.start - context)
    return cells, slots


def open_graphs(rows: Path, song: Path, facts: dict[str, Any]) -> Model:
    """Return any row graph with its song graph as a model without plans.

    Args:
        rows: Row graph, quantised or not.
        song: Song graph.
        facts: context, heads and head_width, as in a sidecar.
    """
    return Model(rows.stem, {**facts, "model": {"sha256": ""}}, rows.read_bytes(), song.read_bytes(), b"")


def onnx_bits(
    model: Model,
    corpus: Corpus,
    songs: NDArray[np.int64],
    tick: Tick,
    songs_a_call: int = SONGS_A_CALL,
    rows_a_call: int = ROWS_A_CALL,
) -> Bits:
    """Price songs with the runtime's model: symbols forced, a rolling cache, no row sees more than its context.

    Args:
        model: Exported from a network that is told the plan.
        corpus: Split that holds the songs.
        songs: Which ones.
        tick: Progress.
        songs_a_call: Songs that go through the graph side by side, longest first so that few wait.
        rows_a_call: Rows at once. An int8 graph scales its activations over all that goes through it in one call: only
            with one song and one row a call does it compute what it computes when it composes.
    """
    first = rows_of(corpus, songs)
    lengths = np.diff(first)
    cell_bits, slot_bits = np.zeros((first[-1], 4)), np.zeros((first[-1], 3))
    order = np.argsort(-lengths, kind="stable")
    forget = max(rows_a_call, min(FORGET_ROWS, model.context // 2))
    for part in range(0, len(order), songs_a_call):
        alive = order[part : part + songs_a_call]
        rows, which = corpus.rows, songs[alive]
        song = model.song(rows.controls[which], rows.pulse_palette[which], rows.noise_palette[which])
        cache = model.cache(len(alive))
        row = 0
        while len(alive):
            count = int(min(rows_a_call, lengths[alive].min() - row))
            if cache.length + count > model.context:
                cache.trim(0, model.context - forget)
            at = corpus.offsets[songs[alive]][:, None] + row + np.arange(count)
            out = model.run(
                song,
                cache,
                corpus.ids[at],
                corpus.slot_ids[at],
                np.broadcast_to(row + np.arange(count), at.shape),
                force_cells=corpus.cells[at],
                force_slots=np.maximum(corpus.slots[at], 0),
            )
            here = first[alive][:, None] + row + np.arange(count)
            cell_bits[here], slot_bits[here] = out.cell_bits, out.slot_bits
            row += count
            tick(count * len(alive))
            keep = lengths[alive] > row
            if not keep.all():
                alive = alive[keep]
                song = SongVectors({name: array[keep] for name, array in song.arrays.items()})
                cache.take(np.flatnonzero(keep))
    return cell_bits, slot_bits


# --- the results ------------------------------------------------------------------------------------------------------


def palette_bits(prices: Prices, corpus: Corpus, songs: NDArray[np.int64]) -> float:
    """Return the price of all palettes."""
    rows = corpus.rows
    return sum(prices.palette.bits(rows.pulse_palette[song], rows.noise_palette[song]) for song in songs)


def plan_bits(prices: Prices, corpus: Corpus, songs: NDArray[np.int64]) -> float:
    """Return the price of all plans."""
    return sum(prices.plan.bits(*corpus.plan(int(song))[1:]) for song in songs)


def harmony_bits(prices: Prices, corpus: Corpus, songs: NDArray[np.int64]) -> float:
    """Return the price of all harmonies and keys."""
    known = song_harmonies(corpus.rows)
    return sum(prices.harmony.bits(*known[song]) + KEY_BITS for song in songs.tolist())


def control_bits(train: Rows, corpus: Corpus, songs: NDArray[np.int64]) -> float:
    """Return the price of all songs' controls, each under its unigram in the training songs."""
    total = 0.0
    for column, size in enumerate(CONTROLS.values()):
        counts = np.bincount(np.asarray(train.controls)[:, column], minlength=size) + 0.5
        total -= float(np.log2(counts / counts.sum())[np.asarray(corpus.rows.controls)[songs, column]].sum())
    return total


def result(bits: Bits, palette: float, plan: float, harmony: float, corpus: Corpus, songs: NDArray[np.int64]) -> Result:
    """Put one system's prices together.

    Args:
        bits: Of cells and instruments.
        palette: Bits of all palettes.
        plan: Bits of all plans, 0 for a system that is not told them.
        harmony: Bits of all harmonies, 0 for a system that is not told them.
        corpus: Split that holds the songs.
        songs: Which ones.
    """
    lengths = np.diff(rows_of(corpus, songs))
    n_rows = int(lengths.sum())
    onsets = sum(int((corpus.cells[corpus.offsets[song] : corpus.offsets[song + 1]] >= ONSET_ID).sum()) for song in songs)
    minutes = float((lengths * np.asarray(corpus.rows.row_frames)[songs]).sum()) / DATA_FRAME_RATE_HZ / 60
    cells, slots = float(bits[0].sum()), float(bits[1].sum()) + palette
    total = cells + slots + plan + harmony
    return Result(cells / n_rows, slots / n_rows, plan / n_rows, harmony / n_rows, total / n_rows, total / max(onsets, 1), total / minutes)


def to_json(results: dict[str, Result], n_songs: int, n_rows: int) -> dict[str, Any]:
    """Return the results as JSON values, four decimals."""
    rounded = {name: {key: round(value, 4) for key, value in asdict(one).items()} for name, one in results.items()}
    return {"songs": n_songs, "rows": n_rows, "results": rounded}


def to_table(results: dict[str, Result], n_songs: int, n_rows: int) -> str:
    """Return the results as a text table."""
    head = f"{'bits per row':<16}{'cells':>8}{'instr.':>8}{'plan':>8}{'harmony':>9}{'total':>8}{'a note':>9}{'a minute':>10}"
    lines = [
        f"{name:<16}{one.cells:>8.3f}{one.instruments:>8.3f}{one.plan:>8.3f}{one.harmony:>9.3f}{one.total:>8.3f}{one.bits_per_note:>9.3f}{one.bits_per_minute:>10.0f}"
        for name, one in results.items()
    ]
    return "\n".join([f"{n_songs} songs, {n_rows} rows", head, *lines])


@contextlib.contextmanager
def counted(progress: Progress, name: str, n_rows: int) -> Iterator[Tick]:
    """Show a system's progress over the rows."""
    task = progress.add_task(name, total=n_rows)
    yield lambda rows: progress.advance(task, rows)


def open_checkpoint(path: Path) -> tuple[RowModel, TrainConfig]:
    """Load a checkpoint, or say in one sentence why not."""
    try:
        return load_model(path)
    except (RuntimeError, KeyError, TypeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise click.ClickException(f"{path} is not a checkpoint of export.train: {reason}") from error


def checkpoint_bits(path: Path, corpus: Corpus, songs: NDArray[np.int64], tick: Tick) -> tuple[Bits, bool]:
    """Price songs with a checkpoint; also return whether it was told the plan, as its settings say."""
    net, settings = open_checkpoint(path)
    plan = settings.crops.plan
    return torch_bits(net, corpus, songs, tick, plan=plan), plan


def learnt(corpus: Path | None, model: Path) -> tuple[Rows | None, Library, dict[str, list[float]], Prices]:
    """Return the training rows if there are any, the instrument library, control edges and prices.

    From a prepared corpus, or else from what travels with the model.
    """
    if corpus is not None:
        train = load_rows(corpus / "train")
        edges = json.loads((corpus / "corpus.json").read_text(encoding="utf-8"))["edges"]
        return train, Library.load(corpus / "library.npz"), edges, Prices.of_rows(train)
    sidecar, plans = model.with_name(model.name + ".json"), model.with_name(model.name + ".plans.npz")
    if not sidecar.exists() or not plans.exists():
        raise click.UsageError(f"neither --corpus nor {sidecar} with {plans.name} is there: nothing to price plans and palettes with")
    facts = json.loads(sidecar.read_text(encoding="utf-8"))
    library = Library(*(np.array(facts[name], dtype=np.uint8) for name in ("pulse_shapes", "noise_shapes")))
    return None, library, facts["edges"], Prices.of_library(plans)


def exported_bits(name: str, path: Path, sidecar: Path, corpus: Corpus, songs: NDArray[np.int64], tick: Tick, exact: bool) -> Bits:
    """Price songs with the int8 model, or with the unquantised row graph and the rest of that model."""
    shape = (1, 1) if exact and name == "onnx_int8" else (SONGS_A_CALL, ROWS_A_CALL)
    try:
        model = load_exported(sidecar)
        if name == "onnx_fp32":
            model = open_graphs(path, sidecar.with_suffix(".song.onnx"), dict(model.sidecar))
        return onnx_bits(model, corpus, songs, tick, *shape)
    except NesassetError as error:
        raise click.ClickException(str(error)) from error


EXISTING = click.Path(path_type=Path)


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="MIDI files, or a prepared split.")
@click.option("--tracks", type=EXISTING, default=None, help="tracks.csv: where songs loop, and their labels.")
@click.option("--corpus", type=EXISTING, default=Path("corpus"), show_default=True, help="Output of export.prepare, for counts.")
@click.option("--model", type=EXISTING, default=Path("models/nes-1"), show_default=True, help="Exported model, without suffix.")
@click.option("--fp32", type=EXISTING, default=Path("runs/main/fp32.onnx"), show_default=True, help="Unquantised row graph.")
@click.option("--checkpoint", type=EXISTING, default=Path("runs/main/best.ckpt"), show_default=True, help="The model in PyTorch.")
@click.option("--no-plan", type=EXISTING, default=Path("runs/no_plan/best.ckpt"), show_default=True, help="The same network without a plan.")
@click.option("--lstm", type=EXISTING, default=Path("runs/lstm/best.ckpt"), show_default=True, help="The LSTM baseline.")
@click.option("--songs", type=click.IntRange(1), default=None, help="Only so many songs, evenly spread.")
@click.option("--only", multiple=True, help="Only these systems, by name; may be repeated.")
@click.option("--exact-int8/--fast-int8", default=False, help="One song and one row a call, as when composing; slower.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that read MIDI files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(
    data: Path,
    tracks: Path | None,
    corpus: Path,
    model: Path,
    fp32: Path,
    checkpoint: Path,
    no_plan: Path,
    lstm: Path,
    songs: int | None,
    only: tuple[str, ...],
    exact_int8: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Price music with a model and its baselines."""
    train, library, edges, prices = learnt(corpus if (corpus / "corpus.json").exists() else None, model)
    with contextlib.ExitStack() as stack:
        if (data / "cells.npy").exists():
            split = Corpus(data)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            table = load_tracks(tracks) if tracks else {}
            dropped = prepare_songs(data, folder, table, library, edges, train, jobs)
            for why, count in sorted(dropped.items()):
                click.echo(f"{count} songs left out: {why}", err=True)
            split = Corpus(folder)
        chosen = np.unique(np.linspace(0, len(split) - 1, songs or len(split)).round().astype(np.int64))
        check_fixed(split, chosen)
        n_rows = int(rows_of(split, chosen)[-1])
        palettes, plans = palette_bits(prices, split, chosen), plan_bits(prices, split, chosen)
        harmonies = harmony_bits(prices, split, chosen)
        progress = stack.enter_context(Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()))
        counts: dict[str, Callable[[Music, Music], Bits]] = {
            "unigram": unigram.score,
            "ngram": lambda known, music: ngram.score(known, music, cache=False),
            "ngram_cache": lambda known, music: ngram.score(known, music, cache=True),
        }
        int8, sidecar = model.with_name(model.name + ".onnx"), model.with_name(model.name + ".json")
        results: dict[str, Result] = {}
        music: tuple[Music, Music] | None = None
        for name, path in {
            "pytorch": checkpoint,
            "onnx_fp32": fp32,
            "onnx_int8": int8,
            "unigram": corpus,
            "ngram": corpus,
            "ngram_cache": corpus,
            "lstm": lstm,
            "pytorch_no_plan": no_plan,
        }.items():
            if only and name not in only:
                continue
            missing = [file for file in (path, *((sidecar,) if "onnx" in name else ())) if not file.exists()]
            if missing or (name in counts and train is None):
                click.echo(f"{name} left out: {(missing or [path])[0]} is not there", err=True)
                continue
            with counted(progress, name, n_rows) as tick:
                if name in counts:
                    assert train is not None
                    music = music or (Music.of(train), Music.of(split.rows, chosen))
                    bits, told = counts[name](*music), False
                    tick(n_rows)
                elif "onnx" in name:
                    bits, told = exported_bits(name, path, sidecar, split, chosen, tick, exact_int8), True
                else:
                    bits, told = checkpoint_bits(path, split, chosen, tick)
            results[name] = result(bits, palettes, plans * told, harmonies * told, split, chosen)
    if as_json:
        click.echo(json.dumps(to_json(results, len(chosen), n_rows), indent=1))
        return
    click.echo(to_table(results, len(chosen), n_rows))
    click.echo(f"instruments include {palettes / n_rows:.3f} bits a row for the palettes")
    if train is not None:
        click.echo(f"in no total: {control_bits(train, split, chosen) / n_rows:.3f} bits a row for the controls that networks are told")


if __name__ == "__main__":
    main()
