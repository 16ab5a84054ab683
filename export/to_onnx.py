"""Turn a checkpoint into the files the runtime loads: graphs (rows in int8, song, latent), plans, sidecar, SHA256SUMS.

    python -m export.to_onnx --checkpoint runs/main/best.ckpt --corpus corpus --name nes-1 --out models

`--keep-fp32 FILE` also writes the unquantised graph, which evaluate and verify compare with.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from export.instruments import Library
from export.latent import BEAT_ROWS, ENCODER_INPUTS, ENCODER_OUTPUTS
from export.model import ModelConfig, RowModel
from export.plan_library import write_plan_library
from export.step import (
    INPUTS,
    SONG_OUTPUTS,
    RowGraph,
    SongGraph,
    encoder_example,
    names,
    row_example,
    song_example,
    song_inputs,
)
from export.train import TrainConfig, load_model
from nesasset.features import FEATURES
from nesasset.originality import INDEX, INDEX_SUFFIX
from nesasset.vocabulary import CONTROLS, LABELS, vocabulary_hash

OPSET = 23  # the first with rotary positions as one node and the last that onnxruntime 1.23, the oldest we support, reads
IR_VERSION = 11
FORMAT_VERSION = 1


def export_fp32(net: RowModel, rows: Path, song: Path, latent: Path | None = None) -> None:
    """Write the row graph, the song graph and the encoder of a network that has one, batch, rows and past as free axes."""
    net = net.eval()
    batch, count, past = torch.export.Dim("batch"), torch.export.Dim("rows"), torch.export.Dim("past")
    inputs, outputs = names(net.config.layers)
    axes: dict[str, Any] = {name: {0: batch, 1: count} for name in INPUTS}
    axes.update({name: {0: batch} for name in SONG_OUTPUTS}, floors=None, guidance={0: batch, 1: batch}, length=None)
    pasts = tuple({0: batch, 2: past} for _ in range(2 * net.config.layers))
    _export(RowGraph(net), row_example(net), inputs, outputs, (*(axes[name] for name in INPUTS), pasts), rows)
    inputs = song_inputs(net)
    _export(SongGraph(net), song_example(net), inputs, SONG_OUTPUTS, tuple({0: batch} for _ in inputs), song)
    if net.encoder is not None and latent is not None:
        rows_axis = BEAT_ROWS * torch.export.Dim("beats")
        axes_of_rows = tuple({0: batch, 1: rows_axis} for _ in ENCODER_INPUTS)
        _export(net.encoder, encoder_example(), ENCODER_INPUTS, ENCODER_OUTPUTS, axes_of_rows, latent)


def _export(
    module: torch.nn.Module,
    example: dict[str, torch.Tensor],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    axes: tuple[Any, ...],
    path: Path,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            module,
            tuple(example[name] for name in inputs),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=axes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    model.ir_version = IR_VERSION
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:]
    del graph.value_info[:]  # stale after the exporter's rewriting; onnxruntime infers its own
    for part in [*graph.node, *graph.input, *graph.output, *graph.initializer]:  # paths of the machine that exported
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def quantise(source: Path, target: Path) -> None:
    """Write an int8 copy: matrix products with int8 weights, one scale a channel; tables stay as they are."""
    quantize_dynamic(
        str(source),
        str(target),
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul"],
        extra_options={"MatMulConstBOnly": True},
    )
    model = onnx.load(str(target))
    _join_norms(model)
    _halve_tables(model)
    onnx.save(model, str(target))


def _join_norms(model: onnx.ModelProto) -> None:
    """Make one node of a sum and the normalisation of it: onnxruntime does so itself only where the sum has no other use."""
    graph = model.graph
    makers = {node.output[0]: node for node in graph.node}
    for norm in [node for node in graph.node if node.op_type == "LayerNormalization"]:
        add = makers.get(norm.input[0])
        if add is None or add.op_type != "Add":
            continue
        if any(makers[name].op_type == "Unsqueeze" for name in add.input if name in makers):
            continue  # one of the two is spread over rows, which the joined node does not do
        joined = onnx.helper.make_node(
            "SkipLayerNormalization",
            [*add.input, *norm.input[1:]],
            [norm.output[0], "", "", add.output[0]],
            domain="com.microsoft",
            epsilon=next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5),
        )
        graph.node.insert(list(graph.node).index(add), joined)
        graph.node.remove(add)
        graph.node.remove(norm)


def _halve_tables(model: onnx.ModelProto, least: int = 20_000) -> None:
    """Store the large look-up tables in half precision: a row is cast back to single after it has been looked up."""
    graph = model.graph
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for tensor in graph.initializer:
        found = users.get(tensor.name, [])
        looked_up = bool(found) and all(node.op_type == "Gather" and node.input[0] == tensor.name for node in found)
        if tensor.data_type != onnx.TensorProto.FLOAT or not looked_up or np.prod(tensor.dims) < least:
            continue
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
        for node in found:
            result = node.output[0]
            node.output[0] = f"{result}_half"
            cast = onnx.helper.make_node("Cast", [node.output[0]], [result], to=onnx.TensorProto.FLOAT)
            graph.node.insert(list(graph.node).index(node) + 1, cast)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def describe(path: Path) -> dict[str, Any]:
    """Return names, types and shapes of a graph's inputs and outputs."""
    graph = onnx.load(str(path)).graph

    def one(value: onnx.ValueInfoProto) -> dict[str, Any]:
        tensor = value.type.tensor_type
        dims = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
        return {"type": onnx.TensorProto.DataType.Name(tensor.elem_type).lower(), "shape": dims}

    return {
        "inputs": {value.name: one(value) for value in graph.input},
        "outputs": {value.name: one(value) for value in graph.output},
    }


def commit() -> str:
    """Return the commit of the working tree, or "unknown"."""
    try:
        return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@click.command()
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--corpus", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--name", default="nes-1", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("models"), show_default=True)
@click.option("--keep-fp32", type=click.Path(path_type=Path), default=None)
def main(checkpoint: Path, corpus: Path, name: str, out: Path, keep_fp32: Path | None) -> None:
    """Export a checkpoint."""
    net, settings = load_model(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fp32 = keep_fp32 or Path(folder) / "fp32.onnx"
        export_fp32(net, fp32, out / f"{name}.song.onnx", out / f"{name}.latent.onnx")
        quantise(fp32, out / f"{name}.onnx")
    library = Library.load(corpus / "library.npz")
    write_plan_library(corpus, out / f"{name}.plans.npz")
    summary = json.loads((corpus / "corpus.json").read_text(encoding="utf-8"))
    training = {
        "data": "NES-MDB (Donahue, Mao, McAuley 2018), train split: transcriptions of commercial game music, no licence from its owners",
        "songs": summary["train"]["songs"],
        "rows": summary["train"]["rows"],
        "commit": commit(),
        "config": training_config(settings),
        "parameters": sum(p.numel() for p in net.parameters()),
    }
    sidecar = make_sidecar(out, name, settings.model, library.pulse, library.noise, summary["edges"], training)
    (out / f"{name}.json").write_text(dumps_sidecar(sidecar), encoding="utf-8")
    write_sums(out)
    click.echo(f"{out / name}.onnx: {(out / f'{name}.onnx').stat().st_size / 1e6:.2f} MB")


def training_config(settings: TrainConfig) -> dict[str, Any]:
    """Return a run's settings as JSON values."""
    return asdict(settings)


def make_sidecar(
    folder: Path,
    name: str,
    config: ModelConfig,
    pulse_shapes: NDArray[np.uint8],
    noise_shapes: NDArray[np.uint8],
    edges: dict[str, list[float]],
    training: dict[str, Any],
) -> dict[str, Any]:
    """Return the sidecar of the model files in a folder; their hashes are taken here."""
    rows, song = folder / f"{name}.onnx", folder / f"{name}.song.onnx"
    encoder = folder / f"{name}.latent.onnx"
    latent = {"latent": {"sha256": sha256(encoder), "numbers": config.latent, **describe(encoder)}} if config.latent else {}
    return {
        "format": "nesasset-model",
        "version": FORMAT_VERSION,
        "name": name,
        "vocabulary": vocabulary_hash(),
        "model": {"sha256": sha256(rows), "bytes": rows.stat().st_size, **describe(rows)},
        "song": {"sha256": sha256(song), "bytes": song.stat().st_size, **describe(song)},
        "plans": {"sha256": sha256(folder / f"{name}.plans.npz")},
        **latent,
        **index_entry(folder, name),
        "context": config.context,
        "heads": config.heads,
        "head_width": config.width // config.heads,
        "features": FEATURES,
        "controls": CONTROLS,
        "labels": list(LABELS),
        "edges": edges,
        "pulse_shapes": pulse_shapes.tolist(),
        "noise_shapes": noise_shapes.tolist(),
        "sampling": {"candidates": 1, "event_temperature": 0.8, "note_temperature": 0.97, "slot_temperature": 0.85, "min_p": 0.015},
        "training": training,
        "parity": None,  # export.verify --publish fills it in
    }


def index_entry(folder: Path, name: str) -> dict[str, Any]:
    """Return what the sidecar says of the index that export.originality_index makes; nothing where there is none."""
    index = folder / f"{name}{INDEX_SUFFIX}"
    return {INDEX: {"sha256": sha256(index), "bytes": index.stat().st_size}} if index.is_file() else {}


def dumps_sidecar(sidecar: dict[str, Any]) -> str:
    """Return readable JSON: one line a top-level key's list item, not one a number."""
    lines = []
    for key, value in sidecar.items():
        text = json.dumps(value)
        if key in ("pulse_shapes", "noise_shapes"):
            text = "[\n  " + ",\n  ".join(json.dumps(row) for row in value) + "\n ]"
        elif isinstance(value, dict):
            text = "{\n  " + ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "\n }"
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over the model files, readable by sha256sum -c."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".onnx", ".json", ".npz", ".md"))
    (folder / "SHA256SUMS").write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files), encoding="utf-8")


if __name__ == "__main__":
    main()
