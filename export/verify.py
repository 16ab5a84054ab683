"""Does the exported model compute what the trained one computes?

    python -m export.verify --checkpoint runs/main/best.ckpt --fp32 runs/main/fp32.onnx --int8 models/nes-1.onnx \
        --data corpus/valid --report runs/main/parity.json

Three comparisons on held-out songs:

* greedy rows: PyTorch and the fp32 graph go on by themselves from the first bars of songs, each with its own cache and
  without noise; every symbol must be the same.
* bits: known rows through the network as it is trained (a whole window at once) and through the fp32 graph (a cache, few
  rows at once); the largest difference of any symbol's bits is written down.
* int8: the same rows through the int8 graph, one by one as it composes; the difference of bits per row is written down.

Exit code 1 where a comparison is beyond its tolerance; the report is written all the same. `--publish` puts it into the
sidecar, if nothing is.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.dataset import Corpus, Crop, take, to_batch
from export.evaluate import ROWS_A_CALL, check_fixed, onnx_bits, open_checkpoint, open_graphs
from export.model import SLOT_COLUMN, VOICE_CELLS, Block, RowModel, rotary_tables, sounding
from export.to_onnx import dumps_sidecar, write_sums
from nesasset.errors import NesassetError
from nesasset.features import COLUMN, NO_SLOT, STRENGTH, song_features
from nesasset.formats import files
from nesasset.model import Model
from nesasset.recall import Recall
from nesasset.vocabulary import EXACT, HEAD_ORDER, HOLD_ID, ONSET_ID, REST_ID, SEQUENCE, SILENT

PROMPT_BARS = 2
BITS_TOLERANCE = (
    0.01  # largest difference of one symbol's bits, PyTorch against fp32; 0.0005 is usual, more where bits are many
)
MEAN_TOLERANCE = 1e-4  # of the mean difference
INT8_TOLERANCE = 0.02  # bits per row


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """The beginning of a song, and the plan by which both continue it."""

    cells: NDArray[np.int64]
    """(n_rows, 4); rows from `known` on are to be composed."""
    slots: NDArray[np.int64]
    starts: NDArray[np.int64]
    lags: NDArray[np.int64]
    classes: NDArray[np.int64]
    shifts: NDArray[np.int64]
    chords: NDArray[np.int64]
    bar_rows: int
    loop_start: int | None
    known: int
    song: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    """Controls, pulse palette, noise palette."""


class Stepper(Protocol):
    """One way to compute rows: keeps its cache, takes one row of every piece, says it."""

    def step(self, feed: dict[str, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return cells (B, 4) and slots (B, 3), -1 where no note begins."""


class OnnxStepper:
    """The exported graphs, as the runtime runs them."""

    def __init__(self, model: Model, prompts: list[Prompt]) -> None:
        self.model = model
        self.song = model.song(*(np.stack(part) for part in zip(*(prompt.song for prompt in prompts), strict=True)))
        self.cache = model.cache(len(prompts))

    def step(self, feed: dict[str, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        out = self.model.run(self.song, self.cache, **{name: array[:, None] for name, array in feed.items()})
        return out.cells[:, 0], out.slots[:, 0]


class TorchStepper:
    """The trained network itself, by the same parts that training calls, with a cache; not the module that is exported."""

    def __init__(self, net: RowModel, prompts: list[Prompt]) -> None:
        self.net = net
        controls, pulse, noise = (
            torch.from_numpy(np.stack(part)) for part in zip(*(prompt.song for prompt in prompts), strict=True)
        )
        self.used = (pulse[..., 0] >= 0, noise[..., 0] >= 0)
        with torch.inference_mode():
            self.song, self.pulse, self.noise = net.song_vector(controls, pulse, noise)
        width = net.config.width // net.config.heads
        empty = torch.zeros(len(prompts), net.config.heads, 0, width)
        self.past = [(empty, empty)] * net.config.layers

    @torch.inference_mode()
    def step(self, feed: dict[str, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        net, head = self.net, self.net.head
        ids, slots, positions, force_cells, force_slots = (
            torch.from_numpy(feed[name]).unsqueeze(1)
            for name in ("ids", "slots", "positions", "force_cells", "force_slots")
        )
        x = net.embed(ids, slots, self.song, self.pulse, self.noise)
        cos, sin = rotary_tables(positions, net.config.width // net.config.heads)
        for layer, block in enumerate(net.blocks):
            assert isinstance(block, Block)
            q, k, v = block.split(x, (cos.unsqueeze(1), sin.unsqueeze(1)))
            keys, values = (torch.cat(pair, dim=2) for pair in zip(self.past[layer], (k, v), strict=True))
            self.past[layer] = keys, values
            x = block.finish(x, torch.nn.functional.scaled_dot_product_attention(q, keys, values))
        state = net.norm(x)
        cells, chosen = torch.zeros(len(ids), 4, dtype=torch.int64), torch.full((len(ids), 3), -1)
        heard: dict[int, torch.Tensor] = {}
        for voice in HEAD_ORDER:
            reference, kind, extra = head.context(voice, ids)
            logits, hidden = head.cell_logits(voice, state + extra, ids, reference, kind, heard)
            cell = torch.where(force_cells[..., voice] >= 0, force_cells[..., voice], likeliest_cell(logits))
            cells[:, voice] = cell[:, 0]
            held = torch.clamp(ids[..., COLUMN["held_P1"] + voice], max=VOICE_CELLS[voice] - 1)
            heard[voice] = sounding(cell, held)
            state = state + head.said[voice](cell) + head.sounds[voice](heard[voice])
            if voice in SLOT_COLUMN:
                column = SLOT_COLUMN[voice]
                entries, used = (self.noise, self.used[1]) if voice == 3 else (self.pulse, self.used[0])
                likely = head.slot_logits(
                    column, hidden, cell, entries, used, slots, kind, ids[..., STRENGTH + voice]
                ).argmax(-1)
                slot = torch.where(force_slots[..., column] >= 0, force_slots[..., column], likely)
                onset = cell >= ONSET_ID
                chosen[:, column] = torch.where(onset, slot, -1)[:, 0]
                index = torch.where(onset, slot, NO_SLOT).unsqueeze(-1).expand(-1, -1, entries.shape[-1])
                state = state + head.spoken(torch.gather(entries, 1, index))
        return cells.numpy(), chosen.numpy()


def likeliest_cell(logits: Tensor) -> Tensor:
    """Return the likeliest of hold, rest and onset, and for an onset the likeliest pitch, for logits (..., n_cells)."""
    onsets = logits[..., ONSET_ID:]
    event = torch.cat([logits[..., :ONSET_ID], onsets.logsumexp(-1, keepdim=True)], dim=-1).argmax(-1)
    return torch.where(event == ONSET_ID, onsets.argmax(-1) + ONSET_ID, event)


def make_prompts(corpus: Corpus, count: int, rows: int) -> list[Prompt]:
    """Return the first bars of songs that are long enough, evenly spread over the split.

    Args:
        corpus: Split.
        count: Number of prompts.
        rows: Rows to be composed behind each.
    """
    long = [song for song in range(len(corpus)) if corpus.length(song) >= rows + 16 * (PROMPT_BARS + 1)]
    if not long:
        raise click.UsageError(f"no song of the split has {rows + 16 * (PROMPT_BARS + 1)} rows, use --rows for fewer")
    prompts = []
    for song in [long[int(place)] for place in np.linspace(0, len(long) - 1, count).round()]:
        a = int(corpus.offsets[song])
        starts, lags, classes, shifts = corpus.plan(song)
        known = int(starts[min(PROMPT_BARS, len(starts) - 1)])
        n = known + rows
        bars = int(np.searchsorted(starts, n, side="left"))
        held = corpus.rows
        prompts.append(
            Prompt(
                corpus.cells[a : a + n].astype(np.int64),
                corpus.slots[a : a + n].astype(np.int64),
                np.append(starts[:bars], n),
                lags[:bars].astype(np.int64),
                classes[:bars].astype(np.int64),
                shifts[:bars].astype(np.int64),
                corpus.chords(song)[:bars].astype(np.int64),
                int(held.bar_rows[song]),
                None if held.loops[song, 0] < 0 else int(held.loops[song, 0]),
                known,
                (
                    np.asarray(held.controls[song]).astype(np.int64),
                    np.asarray(held.pulse_palette[song]).astype(np.int64),
                    np.asarray(held.noise_palette[song]).astype(np.int64),
                ),
            )
        )
    return prompts


def compose_greedily(
    prompts: list[Prompt], stepper: Stepper
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Return each prompt's cells and slots, continued row by row with the likeliest symbols; prompts are forced.

    Pieces of different length end up at their own length: all go on until the longest is done, and the rest is cut off.
    """
    n_rows = max(len(prompt.cells) for prompt in prompts)
    cells = [np.full((n_rows, 4), HOLD_ID, dtype=np.int64) for _ in prompts]
    slots = [np.full((n_rows, 3), -1, dtype=np.int64) for _ in prompts]
    pasts = [Recall(1, prompt.bar_rows) for prompt in prompts]
    recalled = [np.zeros((2, len(prompt.cells), 4), dtype=np.int64) for prompt in prompts]  # rows and strengths
    for row in range(n_rows):
        ids, slot_ids, force_cells, force_slots = [], [], [], []
        for prompt, own, own_slots, past, recall in zip(prompts, cells, slots, pasts, recalled, strict=True):
            n = len(prompt.cells)
            at = min(row, n - 1)
            if row < n:
                recall[:, row] = past.rows[0], past.strength[0]
            features = song_features(
                own[:n],
                own_slots[:n],
                prompt.starts,
                prompt.lags,
                prompt.classes,
                prompt.shifts,
                prompt.chords,
                prompt.bar_rows,
                (recall[0], recall[1]),
                prompt.loop_start,
            )
            ids.append(features[0][at])
            slot_ids.append(features[1][at])
            force_cells.append(prompt.cells[at] if row < prompt.known else _fixed(prompt, own, at))
            force_slots.append(np.maximum(prompt.slots[at], 0) if row < prompt.known else np.full(3, -1))
        feed = {
            "ids": np.stack(ids).astype(np.int64),
            "slots": np.stack(slot_ids).astype(np.int64),
            "positions": np.full(len(prompts), row, dtype=np.int64),
            "force_cells": np.stack(force_cells).astype(np.int64),
            "force_slots": np.stack(force_slots).astype(np.int64),
        }
        said, chosen = stepper.step(feed)
        for place in range(len(prompts)):
            cells[place][row], slots[place][row] = said[place], chosen[place]
            pasts[place].add(said[place : place + 1])
    lengths = [len(prompt.cells) for prompt in prompts]
    return [part[:n] for part, n in zip(cells, lengths, strict=True)], [
        part[:n] for part, n in zip(slots, lengths, strict=True)
    ]


def _fixed(prompt: Prompt, cells: NDArray[np.int64], row: int) -> NDArray[np.int64]:
    """Return the cells of a row that the plan fixes, -1 for the others."""
    bar = int(np.searchsorted(prompt.starts, row, side="right")) - 1
    out = np.full(4, -1, dtype=np.int64)
    for voice in range(4):
        kind = prompt.classes[bar, voice]
        if kind in (EXACT, SEQUENCE):
            cell = cells[row - prompt.lags[bar] * prompt.bar_rows, voice]
            out[voice] = cell + prompt.shifts[bar] * (kind == SEQUENCE and cell >= ONSET_ID)
        elif kind == SILENT:
            events = np.flatnonzero(cells[:row, voice] != HOLD_ID)
            sounds = len(events) and cells[events[-1], voice] >= ONSET_ID
            out[voice] = REST_ID if sounds else HOLD_ID
    return out


def compare_greedy(net: RowModel, model: Model, prompts: list[Prompt]) -> dict[str, int]:
    """Return how many prompts and composed rows there were, and how many of these differ in any symbol."""
    theirs = compose_greedily(prompts, TorchStepper(net, prompts))
    ours = compose_greedily(prompts, OnnxStepper(model, prompts))
    rows = differing = onsets = 0
    for place, prompt in enumerate(prompts):
        same = (theirs[0][place] == ours[0][place]).all(axis=1) & (theirs[1][place] == ours[1][place]).all(axis=1)
        rows += len(same) - prompt.known
        differing += int((~same).sum())
        onsets += int((ours[0][place][prompt.known :] >= ONSET_ID).sum())
    shortest = min(len(prompt.cells) - prompt.known for prompt in prompts)
    return {"prompts": len(prompts), "rows_each": shortest, "rows": rows, "onsets": onsets, "differing_rows": differing}


def compare_bits(net: RowModel, model: Model, corpus: Corpus, songs: NDArray[np.int64]) -> dict[str, float]:
    """Return differences of the bits of every symbol of the songs' first windows: whole window against cache."""
    largest = [0.0, 0.0]
    total = count = 0.0
    for song in songs.tolist():
        rows = min(corpus.length(song), net.config.context - ROWS_A_CALL)  # the cache forgets nothing
        with torch.inference_mode():
            out = net(to_batch([take(corpus, Crop(song, 0, rows), rows)]))
        ours = onnx_bits(model, corpus, np.array([song]), lambda _: None)
        for place, (name, bits) in enumerate(zip(("cells", "slots"), ours, strict=True)):
            difference = np.abs(out[name][0].numpy() - bits[:rows])
            largest[place] = max(largest[place], float(difference.max()))
            total += float(difference.sum())
            count += difference.size
    return {"largest_cell": largest[0], "largest_instrument": largest[1], "mean": total / count, "songs": len(songs)}


def compare_int8(fp32: Model, int8: Model, corpus: Corpus, songs: NDArray[np.int64]) -> dict[str, float]:
    """Return bits per row of both graphs, the int8 one as it composes: one song, one row a call."""

    def a_row(bits: tuple[NDArray[np.float64], NDArray[np.float64]]) -> float:
        return float(bits[0].sum() + bits[1].sum()) / len(bits[0])

    plain = a_row(onnx_bits(fp32, corpus, songs, lambda _: None))
    small = a_row(onnx_bits(int8, corpus, songs, lambda _: None, 1, 1))
    return {"fp32": plain, "int8": small, "difference": small - plain, "songs": len(songs)}


def judge(report: dict[str, Any]) -> list[str]:
    """Return a sentence for everything that is beyond its tolerance."""
    faults = []
    greedy, bits, int8 = report["greedy"], report["bits"], report["int8"]
    if greedy["differing_rows"]:
        faults.append(
            f"{greedy['differing_rows']} of {greedy['rows']} greedy rows differ between PyTorch and fp32, none may"
        )
    for name, limit in (
        ("largest_cell", BITS_TOLERANCE),
        ("largest_instrument", BITS_TOLERANCE),
        ("mean", MEAN_TOLERANCE),
    ):
        if not bits[name] <= limit:
            faults.append(
                f"{name} difference of bits between PyTorch and fp32 is {bits[name]:.2g}, at most {limit} is allowed"
            )
    if not int8["difference"] <= INT8_TOLERANCE:
        faults.append(
            f"int8 costs {int8['difference']:.4f} bits a row more than fp32, at most {INT8_TOLERANCE} is allowed"
        )
    return faults


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, (json.dumps(report, indent=1) + "\n").encode())
    except (OSError, NesassetError) as error:
        raise click.ClickException(f"{path} could not be written, choose another --report: {error}") from error


@click.command()
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The model in PyTorch.",
)
@click.option(
    "--fp32",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="Row graph, as to_onnx keeps it.",
)
@click.option(
    "--int8",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="Row graph; NAME.song.onnx beside it.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="A prepared split, e.g. corpus/valid.",
)
@click.option("--prompts", type=click.IntRange(1), default=8, show_default=True, help="Songs that are continued.")
@click.option("--rows", type=click.IntRange(1), default=224, show_default=True, help="Rows composed for each.")
@click.option("--songs", type=click.IntRange(1), default=16, show_default=True, help="Songs whose bits are compared.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write the report here, too."
)
@click.option("--publish", is_flag=True, help="If all is well, put the report into the sidecar beside --int8.")
def main(
    checkpoint: Path,
    fp32: Path,
    int8: Path,
    data: Path,
    prompts: int,
    rows: int,
    songs: int,
    report: Path | None,
    publish: bool,
) -> None:
    """Compare the exported model with the trained one."""
    torch.set_num_threads(1)
    net, settings = open_checkpoint(checkpoint)
    if not (data / "cells.npy").exists():
        raise click.UsageError(f"{data} is not a prepared split: give e.g. corpus/valid")
    corpus = Corpus(data)
    song_graph = int8.with_name(int8.name.removesuffix(".onnx") + ".song.onnx")
    sizes = settings.model
    facts = {"context": sizes.context, "heads": sizes.heads, "head_width": sizes.width // sizes.heads}
    try:
        plain, small = open_graphs(fp32, song_graph, facts), open_graphs(int8, song_graph, facts)
    except (NesassetError, OSError) as error:
        raise click.ClickException(str(error)) from error
    chosen = np.unique(np.linspace(0, len(corpus) - 1, songs).round().astype(np.int64))
    found: dict[str, Any] = {}
    check_fixed(corpus, chosen)
    click.echo("greedy rows …", err=True)
    found["greedy"] = compare_greedy(net, plain, make_prompts(corpus, prompts, rows))
    click.echo("bits, PyTorch and fp32 …", err=True)
    found["bits"] = compare_bits(net, plain, corpus, chosen)
    click.echo("bits, fp32 and int8 …", err=True)
    found["int8"] = compare_int8(plain, small, corpus, chosen)
    found["tolerances"] = {"bits": BITS_TOLERANCE, "mean": MEAN_TOLERANCE, "int8": INT8_TOLERANCE}
    faults = judge(found)
    found["passed"] = not faults
    if report is not None:
        write_report(found, report)
    click.echo(json.dumps(found, indent=1))
    if publish and not faults:
        path = int8.with_suffix(".json")
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        files.write_bytes(path, dumps_sidecar({**sidecar, "parity": found}).encode())
        write_sums(path.parent)
    for fault in faults:
        click.echo(fault, err=True)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
