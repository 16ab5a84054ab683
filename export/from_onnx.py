"""Turn published model files back into a checkpoint that training goes on from.

    python -m export.from_onnx --model models/nes-1.onnx -o runs/nes-1.ckpt
    python -m export.train --corpus corpus --config export/configs/bars.toml --out runs/more --start runs/nes-1.ckpt

The files hold all that the network knows: matrices in int8 with a scale a column, tables in half precision, some of them sums of
the training's tables (export/step.py made them). So nobody needs the checkpoint that a model was made from to fine-tune it. What
only appears as a sum is split in one of the ways that give the same sum. Back and forth costs what int8 costs: nothing that shows.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from export.model import SLOT_COLUMN, VOICE_CELLS, ModelConfig, RowModel, chord_intervals
from export.relations import RELATIONS
from export.train import TrainConfig, split_settings
from nesasset.errors import ModelMismatchError
from nesasset.features import FEATURES, N_IDS
from nesasset.recall import N_STRENGTHS
from nesasset.vocabulary import (
    CHORD_QUALITIES,
    HEAD_ORDER,
    HOLD_ID,
    N_CELLS,
    N_CHORDS,
    ONSET_ID,
    PALETTE_SLOTS,
    PLAN_CLASSES,
)

KINDS = len(PLAN_CLASSES) + 1
CELLS = N_CELLS + 1


class _Graph:
    """The constants of an ONNX file: by name, and the matrices in the order in which they are multiplied."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load(str(path)).graph
        self.tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.path = path
        self.matrices: list[Tensor] = []
        for node in graph.node:
            if node.op_type == "MatMulInteger":
                stem = node.input[1].removesuffix("_quantized")
                scale, zero = self.tensors[f"{stem}_scale"], self.tensors[f"{stem}_zero_point"]
                self.matrices.append(_tensor((self.tensors[node.input[1]].astype(np.float32) - zero) * scale))
            elif node.op_type == "MatMul" and node.input[1] in self.tensors:  # those of Gemm nodes keep their names
                self.matrices.append(_tensor(self.tensors[node.input[1]]))

    def __getitem__(self, name: str) -> Tensor:
        """Return a constant in single precision."""
        if name not in self.tensors:
            raise ModelMismatchError(f"{self.path} has no constant {name}; only files that export.to_onnx of this version wrote can be turned back")
        return _tensor(self.tensors[name])


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))


def load(model: Path) -> tuple[RowModel, dict[str, Any]]:
    """Return the network of model files, ready to evaluate, and the training's entry in the sidecar.

    Args:
        model: NAME.onnx; NAME.song.onnx and NAME.json lie beside it, and NAME.latent.onnx where the model has a latent.

    Raises:
        ModelMismatchError: The files are not what export.to_onnx of this version writes.
    """
    training = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))["training"]
    net = RowModel(ModelConfig(**training["config"]["model"]))
    state = _song_weights(_Graph(model.with_suffix(".song.onnx")), net)
    state |= _row_weights(_Graph(model), net)
    if net.encoder is not None:
        state |= _encoder_weights(_Graph(model.with_suffix(".latent.onnx")), net)
    missing = set(net.state_dict()) - set(state)
    unused = {name for name in missing if name in ("head.said.3.weight", "head.sounds.3.weight")}  # nobody speaks after the noise
    state |= {name: torch.zeros_like(net.state_dict()[name]) for name in unused}
    if missing - unused:
        raise ModelMismatchError(f"{model} holds nothing of {min(missing - unused)}; it was written by another version of export.to_onnx")
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ModelMismatchError(f"{model} has tensors of other sizes than its sidecar says ({error})") from error
    return net.eval(), training


def _song_weights(graph: _Graph, net: RowModel) -> dict[str, Tensor]:
    """Return what the song graph holds: the entries of palettes, the controls, what instruments are chosen by."""
    state = {name.removeprefix("net."): graph[name] for name in graph.tensors if name.startswith("net.") and name != "net.control_offsets"}
    left = list(graph.matrices)
    found: dict[str, Tensor] = {}

    def take(name: str, rows: int, columns: int) -> None:
        place = next((i for i, matrix in enumerate(left) if matrix.shape == (columns, rows)), None)
        if place is None:
            raise ModelMismatchError(f"{graph.path} has no matrix of {columns} by {rows} for {name}; it was written by another version of export.to_onnx")
        found[name] = left.pop(place).T.contiguous()

    E, W = net.config.entry_width, net.config.width
    for palette in ("pulse", "noise"):
        take(f"{palette}.mix.0.weight", 2 * E, E)
        take(f"{palette}.mix.2.weight", E, 2 * E)
    for column in range(3):
        take(f"head.key.{column}.weight", E, E)
    take("head.spoken.weight", W, E)
    return {**found, **state}


def _row_weights(graph: _Graph, net: RowModel) -> dict[str, Tensor]:
    """Return what the row graph holds: the trunk, the head, and the tables that the head's were summed into."""
    config = net.config
    norms = ("norm", "up.bias", "down.bias", "hidden", "query")
    state = {
        name.removeprefix("net."): graph[name]
        for name in graph.tensors
        if name.startswith("net.") and any(part in name for part in norms)
    }
    matrices = iter(graph.matrices)

    def matrix(rows: int, columns: int) -> Tensor:
        found = next(matrices, torch.zeros(0, 0))
        if found.shape != (columns, rows):
            raise ModelMismatchError(f"{graph.path} multiplies by {tuple(found.shape)} where {(columns, rows)} is expected; it was written by another version of export.to_onnx")
        return found.T.contiguous()

    W, H, E = config.width, config.head_width, config.entry_width
    for layer in range(config.layers):
        qkv = matrix(3 * W, W)
        qkv[:W] *= (W // config.heads) ** 0.5  # the graph has the scale of attention in it
        state[f"blocks.{layer}.qkv.weight"] = qkv
        state[f"blocks.{layer}.out.weight"] = matrix(W, W)
        state[f"blocks.{layer}.up.weight"] = matrix(config.feed_forward, W)
        state[f"blocks.{layer}.down.weight"] = matrix(W, config.feed_forward)
    for voice in HEAD_ORDER:
        cells = VOICE_CELLS[voice]
        state[f"head.hidden.{voice}.weight"] = matrix(H, W)
        bias = graph[f"speak.{voice}.bias"]
        weight = matrix(len(bias), H)
        for name, part in (("weight", weight), ("bias", bias)):
            state[f"head.cell.{voice}.{name}"] = part[:cells]
            if voice in RELATIONS:
                state[f"head.related.{voice}.logits.{name}"] = part[cells:-1]
        if voice in SLOT_COLUMN:
            column = SLOT_COLUMN[voice]
            query = matrix(E, H)
            state[f"head.query.{column}.weight"] = query
            # The graph holds the product of the two: of all that give it, the smallest.
            state[f"head.pitch_query.{column}.weight"] = graph[f"cell_queries_{column}"] @ torch.linalg.pinv(query.T)
    words = graph["words"]
    state["table.weight"], state["told.words.weight"] = words[:N_IDS], words[N_IDS:]
    for voice in range(3):  # the graph holds the sums of what is said and what then sounds
        sums, cells = graph[f"cell_words_{voice}"], VOICE_CELLS[voice]
        sounds = sums[N_CELLS : N_CELLS + cells]
        said = sums[:cells] - sounds
        state[f"head.said.{voice}.weight"], state[f"head.sounds.{voice}.weight"] = said - said[HOLD_ID], sounds
    state |= _hints(graph)
    return state


def _hints(graph: _Graph) -> dict[str, Tensor]:
    """Return what reference, recall, chord and last instrument add to logits and state."""
    state: dict[str, Tensor] = {}
    context = graph["context_table"]
    for voice in range(4):
        state[f"head.reference.{voice}.weight"] = context[voice * CELLS : (voice + 1) * CELLS]
        start = 4 * CELLS + voice * KINDS
        state[f"head.kind.{voice}.weight"] = context[start : start + KINDS]
    bias = graph["bias_table"]
    reference, recall, chord = bias.split([4 * KINDS * CELLS, 4 * N_STRENGTHS * 3, 4 * (N_CHORDS + 1)])
    reference = reference.view(4, KINDS, CELLS, N_CELLS)
    other = ONSET_ID + 1  # an onset that is not the cell itself
    same = reference[:, :, ONSET_ID, ONSET_ID] - reference[:, :, other, ONSET_ID]
    event = torch.empty(4, KINDS, 3, 3)
    for cell in range(3):
        for said in range(3):
            event[:, :, cell, said] = reference[:, :, other if cell == ONSET_ID else cell, said]
    event[:, :, range(ONSET_ID), range(ONSET_ID)] -= same.unsqueeze(-1)
    state["head.same_cell"], state["head.same_event"] = same, event
    state["head.recalled_event"] = recall.view(4, N_STRENGTHS, 3, N_CELLS)[..., :3].clone()
    state["head.recalled_cell"] = graph["same_weights"].view(4, N_STRENGTHS)
    in_chord = torch.zeros(3, len(CHORD_QUALITIES) * 12 + 1)
    in_chord[:, chord_intervals()] = chord.view(4, N_CHORDS + 1, N_CELLS)[:3]
    state["head.in_chord"] = in_chord[:, :-1].view(3, len(CHORD_QUALITIES), 12)
    places = PALETTE_SLOTS + 1
    kinds, recalls, last = graph["rank_table"].split([3 * KINDS * places, 3 * N_STRENGTHS * places, 3 * places])
    state["head.slot_reference"] = kinds.view(3, KINDS, places, PALETTE_SLOTS)[:, :, 0, 0]
    state["head.recalled_slot"] = recalls.view(3, N_STRENGTHS, places, PALETTE_SLOTS)[:, :, 0, 0]
    last = last.view(3, places, PALETTE_SLOTS)
    state["head.slot_rank"] = last[:, -1]
    state["head.slot_last"] = last[:, 0, 0] - last[:, -1, 0]
    return state


def _encoder_weights(graph: _Graph, net: RowModel) -> dict[str, Tensor]:
    """Return what the encoder's graph holds: by name, but for the matrices, which the exporter turned over."""
    assert net.encoder is not None
    matrices = iter(graph.matrices)
    state = {}
    for name, tensor in net.encoder.state_dict().items():
        if name.endswith("bias") and name not in graph.tensors:
            found = torch.zeros_like(tensor)  # the exporter leaves out what adds nothing
        else:
            found = graph[name] if name in graph.tensors else next(matrices, torch.zeros(0, 0)).T
        if found.shape != tensor.shape:
            raise ModelMismatchError(f"{graph.path} has no {name} of {tuple(tensor.shape)}; it was written by another version of export.to_onnx")
        state[f"encoder.{name}"] = found.contiguous()
    return state


@click.command()
@click.option("--model", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="NAME.onnx, e.g. models/nes-1.onnx.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The checkpoint to write.")
def main(model: Path, out: Path) -> None:
    """Write the checkpoint of published model files, for --start of export.train."""
    try:
        net, training = load(model)
    except ModelMismatchError as error:
        raise click.UsageError(str(error)) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "state_dict": {f"average.module.{name}": tensor for name, tensor in net.state_dict().items()},
            "features": dict(FEATURES),
            "settings": split_settings(asdict(TrainConfig()) | training["config"]),
        },
        out,
    )
    click.echo(f"{out}: {sum(p.numel() for p in net.parameters()) / 1e6:.2f} M parameters")


if __name__ == "__main__":
    main()
