"""From a folder of music to a model of its style in one file, in one command that may be killed and run again.

    python -m export.style my_music --name mystyle
    python -m export.style my_music --name mystyle --minutes 10 --licence CC-BY-4.0 --author Ada
    nesasset models add mystyle/mystyle.nesmodel
    nesasset compose castle --model mystyle -o castle.json

Six stages, each of which leaves what it has made in the folder NAME and is not done twice: read the folder (export.ingest), make a
checkpoint of our published weights (export.from_onnx), fine-tune (export.tune), write the model files (export.to_onnx) and check them
(export.verify), look at what it composes beside the base model and the folder itself, and pack it all into NAME/NAME.nesmodel.
NAME/NAME.md is the model's card: what it was made of, what it learnt, and how much of the folder it quotes.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np

from export import ingest as ingesting
from export.licences import Licence
from export.prepare import load_rows

STATE = "style.json"
THEMES = ("overworld", "town", "boss", "dungeon", "castle", "title")
BARS = 8
PIECES = 12  # that are composed and looked at
PROMPT_ROWS = 48  # that a song must have beside those composed, for export.verify to go on from it
INT8_SHARE = 0.1  # of the bits a row that int8 may cost on the songs held out
KNOWN = 0.2  # share of 16-grams from which on a piece quotes the folder; as in nesasset.compose


class State:
    """What has been done, kept in a file after each stage."""

    def __init__(self, out: Path, options: dict[str, Any]) -> None:
        self.path = out / STATE
        self.done: dict[str, Any] = {}
        if self.path.is_file():
            saved = json.loads(self.path.read_text(encoding="utf-8"))
            if saved["options"] != options:
                changed = sorted(name for name in options if saved["options"].get(name) != options[name])
                raise click.UsageError(f"{out} was begun with another {' and '.join(changed)}; take another --name, or delete the folder to begin anew")
            self.done = saved["done"]
        self.options = options

    def __contains__(self, stage: str) -> bool:
        return stage in self.done

    def finish(self, stage: str, result: Any) -> Any:
        """Note a stage's result, JSON values, and return it."""
        self.done[stage] = result
        temporary = self.path.with_name(f"{STATE}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps({"options": self.options, "done": self.done}, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)
        return result


@contextmanager
def _stage(number: int, text: str) -> Iterator[None]:
    begun = time.monotonic()
    _tell(f"{number} of 6: {text} …")
    yield
    _tell(f"{number} of 6: done in {(time.monotonic() - begun) / 60:.1f} minutes")


def _tell(text: str) -> None:
    """Say how far it is; processes that only share the training (Lightning numbers them from 0) say nothing."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        click.echo(text, err=True)


def write_model(checkpoint: Path, corpus: Path, name: str, folder: Path, facts: dict[str, Any], fp32: Path | None = None) -> None:
    """Write a checkpoint's model files into a folder, with what they were made of in the sidecar."""
    from export import originality_index, to_onnx

    callback = to_onnx.main.callback
    assert callback is not None
    callback(checkpoint=checkpoint, corpus=corpus, name=name, out=folder, keep_fp32=fp32)
    path = folder / f"{name}.json"
    sidecar = json.loads(path.read_text(encoding="utf-8"))
    sidecar["training"] = {**sidecar["training"], **facts}
    path.write_text(to_onnx.dumps_sidecar(sidecar), encoding="utf-8")
    # The index knows the folder's passages again: what is composed says how much of it stands there.
    originality_index.write_index(originality_index.song_lines(corpus / "train"), folder, name)


def compose_pieces(sidecar: Path, count: int, bars: int = BARS) -> list[Any]:
    """Return pieces that a model composes, over all themes of the list; the same ones each time."""
    from nesasset.compose import Controls, compose
    from nesasset.model import load_model

    model = load_model(sidecar)
    controls = Controls(bars=bars)
    return [compose(THEMES[index % len(THEMES)], 100 + index, controls, model) for index in range(count)]


def look_at(scores: list[Any], known: Any) -> dict[str, Any]:
    """Return figures of composed pieces: certificates, how much of the folder they quote, density."""
    from nesasset.certificate import certify
    from nesasset.driver import drive
    from nesasset.originality import compare, to_json
    from nesasset.render import render
    from nesasset.score import Note

    passed = 0
    quotes, longest, density = [], [], []
    for score in scores:
        passed += certify(score, render(drive(score))).passed
        found = to_json(compare(score, known))
        quotes.append(found.get("known_16", 0.0))
        longest.append(found["longest"])
        notes = sum(isinstance(cell, Note) for voice in ("P1", "P2", "TR") for cell in score.voices[voice])
        density.append(notes / (3 * score.n_rows))
    return {
        "pieces": len(scores),
        "certificates": passed,
        "known_16": float(np.mean(quotes)),
        "most_known_16": float(max(quotes)),
        "quoting": sum(share > KNOWN for share in quotes),
        "longest": int(max(longest)),
        "density": float(np.mean(density)),
    }


def held_out_known(corpus: Path, known: Any) -> dict[str, float]:
    """Return how much of the songs that were held out the index of the others knows: what is usual within the folder."""
    from export.originality_index import song_lines
    from nesasset.originality import find_known

    findings = [find_known(symbols, rows, known) for part in song_lines(corpus / "valid").values() for symbols, rows in part]
    shares = [finding.share(16) or 0.0 for finding in findings]
    return {"known_16": float(np.mean(shares)) if shares else 0.0, "longest": float(max((finding.longest for finding in findings), default=0))}


def card(
    name: str, base: str, corpus_facts: dict[str, Any], tuned: dict[str, Any], parity: dict[str, Any], looks: dict[str, Any]
) -> str:
    """Return the model's card."""
    sources = [f"| {source} | {found['songs']} | {', '.join(found['licences']) or '-'} |" for source, found in corpus_facts["sources"].items()]
    gain = 1 - tuned["after"] / tuned["before"]
    rows = [
        ("pieces looked at", "pieces", "{:d}"),
        ("loops and jingles that pass their certificate", "certificates", "{:d}"),
        ("share of 16-grams that stand in the folder, mean", "known_16", "{:.1%}"),
        ("the same of the piece with most", "most_known_16", "{:.1%}"),
        (f"pieces with more than {KNOWN:.0%}", "quoting", "{:d}"),
        ("longest passage of the folder, notes", "longest", "{:d}"),
        ("notes a row and melodic voice", "density", "{:.3f}"),
    ]
    table = [f"| {text} | {form.format(looks['base'][key])} | {form.format(looks['tuned'][key])} |" for text, key, form in rows]
    verdict = (
        "It quotes the folder more than songs of the folder quote each other: use more songs, or fewer minutes."
        if looks["tuned"]["known_16"] > max(0.02, 1.5 * looks["held_out"]["known_16"])
        else "It quotes the folder no more than songs of the folder quote each other."
    )
    return f"""# {name}

Fine-tuned from {base} on a folder of music, with python -m export.style.

## Music it was tuned on

{corpus_facts['train']['songs']} songs, {corpus_facts['train']['rows']} rows; {corpus_facts['valid']['songs']} songs held out.

| source | songs | licence |
|---|---|---|
{chr(10).join(sources)}

What the base model was trained on is in its own card. Whether the music above may be trained on is for the maker of this model to know.

## What it learnt

| | before | after |
|---|---|---|
| bits a row on the songs held out | {tuned['before']:.3f} | {tuned['after']:.3f} |

{gain:.1%} fewer bits, of which int8 takes {parity['int8']['difference']:.3f} back; after {tuned['steps_done']} steps in {tuned['minutes']:.1f} minutes. Of {corpus_facts['train']['songs']} songs: {ingesting.expectation(corpus_facts['train']['songs'])}.

## What it composes

| | {base} | {name} |
|---|---|---|
{chr(10).join(table)}

Songs of the folder that were held out have {looks['held_out']['known_16']:.1%} of their 16-grams in common with the others. {verdict}
Every piece says in its provenance how much of the folder it has.
"""


def run(
    folder: Path, out: Path, name: str, *, base: Path, minutes: float, options: dict[str, Any], ingest_options: dict[str, Any], samples: bool,
    devices: int = 1,
) -> Path:  # fmt: skip
    """Run the stages that are not done yet; return the packed model."""
    from export.tune import tune
    from nesasset import model_files
    from nesasset.originality import load_index

    out.mkdir(parents=True, exist_ok=True)
    state = State(out, options)
    corpus, model = out / "corpus", out / "model"
    sidecar = base.with_suffix(".json")
    base_name = base.stem
    if "ingest" not in state:
        with _stage(1, "reading the folder"):
            summary = ingesting.ingest(folder, corpus, like=sidecar, **ingest_options)
            state.finish("ingest", {key: summary[key] for key in ("sources", "train", "valid", "dropped")})
    facts = state.done["ingest"]
    _tell(f"{facts['train']['songs']} songs to learn from: {ingesting.expectation(facts['train']['songs'])}")
    start = out / "start.ckpt"
    if "start" not in state:
        with _stage(2, f"taking the weights of {base_name}"):
            from export import from_onnx

            callback = from_onnx.main.callback
            assert callback is not None
            callback(model=base, out=start)
            state.finish("start", str(start))
    told = {
        "data": f"fine-tuned from {base_name} on: " + "; ".join(f"{source} ({found['songs']} songs, {', '.join(found['licences'])})" for source, found in facts["sources"].items() if found["songs"]),
        "base": base_name,
        "sources": facts["sources"],
    }
    if "tune" not in state:
        with _stage(3, f"fine-tuning, at most {minutes:g} minutes"):
            maker = (lambda checkpoint: _sample(checkpoint, corpus, told)) if samples else None
            state.finish("tune", tune(corpus, start, out / "run", minutes=minutes, devices=devices, make_samples=maker))
    tuned = state.done["tune"]
    best, fp32 = out / "run" / "best.ckpt", out / "fp32.onnx"
    if "export" not in state:
        with _stage(4, "writing and checking the model files"):
            shutil.rmtree(model, ignore_errors=True)
            model.mkdir(parents=True)
            write_model(best, corpus, name, model, {**told, "fine_tuning": {key: tuned[key] for key in ("steps_done", "minutes", "before", "after", "rate")}}, fp32)
            idioms = base.with_name(f"{base_name}.idioms.json")
            if idioms.is_file():  # they go by the volume shapes, which are the base's
                shutil.copy(idioms, model / f"{name}.idioms.json")
            state.finish("export", _verify(best, fp32, model / f"{name}.onnx", corpus / "valid"))
            fp32.unlink(missing_ok=True)
    if "look" not in state:
        with _stage(5, "composing with it and with the base model"):
            known = load_index(model, name)
            assert known is not None
            looks = {"tuned": look_at(compose_pieces(model / f"{name}.json", PIECES), known), "held_out": held_out_known(corpus, known)}
            looks["base"] = look_at(compose_pieces(sidecar, PIECES), known)
            state.finish("look", looks)
    bundle = out / f"{name}{model_files.SUFFIX}"
    with _stage(6, "packing it"):
        text = card(name, base_name, facts, tuned, state.done["export"], state.done["look"])
        (model / f"{name}.md").write_text(text, encoding="utf-8")
        from export.ingest import read_records
        from export.licences import write_attributions

        write_attributions(read_records(corpus), model / f"{name}.attribution.md")
        model_files.pack(model, name, bundle)
    click.echo(text)
    return bundle


def _sample(checkpoint: Path, corpus: Path, told: dict[str, Any]) -> list[Any]:
    """Return two pieces that a checkpoint composes."""
    with tempfile.TemporaryDirectory() as folder:
        write_model(checkpoint, corpus, "sample", Path(folder), told)
        return compose_pieces(Path(folder) / "sample.json", 2, 4)


def _verify(checkpoint: Path, fp32: Path, int8: Path, valid: Path) -> dict[str, Any]:
    """Compare the graphs with the network, publish the report in the sidecar, and return it.

    Raises:
        click.ClickException: They do not compute the same.
    """
    from export import to_onnx, verify

    longest = int(np.diff(load_rows(valid).offsets).max())
    rows = min(96, max(8, longest - PROMPT_ROWS))
    report = int8.parent.parent / "parity.json"
    callback = verify.main.callback
    assert callback is not None
    try:
        callback(checkpoint=checkpoint, fp32=fp32, int8=int8, data=valid, prompts=3, rows=rows, songs=4, report=report, publish=False)
        found = json.loads(report.read_text(encoding="utf-8"))
    except SystemExit as error:
        found = json.loads(report.read_text(encoding="utf-8"))
        # A handful of songs held out is few: of int8 only the share that it costs is judged, and the card tells it.
        allowed = max(verify.INT8_TOLERANCE, INT8_SHARE * found["int8"]["fp32"])
        found["tolerances"]["int8"] = allowed
        if error.code and (found["int8"]["difference"] > allowed or verify.judge({**found, "int8": {**found["int8"], "difference": 0.0}})):
            raise click.ClickException(f"the exported model does not compute what the trained one does; {report} has the figures") from error
    found["passed"] = True
    path = int8.with_suffix(".json")
    path.write_text(to_onnx.dumps_sidecar({**json.loads(path.read_text(encoding="utf-8")), "parity": found}), encoding="utf-8")
    return found


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", required=True, help="Name of the model, and of the folder of all that is made. --name mystyle")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=None, help="Folder of all that is made; ./NAME by default.")
@click.option("--base", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=Path("models/nes-1.onnx"), show_default=True, help="Model to start from, NAME.onnx with its other files beside it.")
@click.option("--minutes", type=click.FloatRange(0.1), default=25.0, show_default=True, help="Time for the fine-tuning itself.")
@click.option("--eval-ratio", type=click.FloatRange(0.0, 0.5), default=0.15, show_default=True, help="Share of the songs that are held out, by file.")
@click.option("--licence", default=None, help="Licence of files that have no paper. --licence CC-BY-4.0")
@click.option("--author", default="", help="Author of files that have no paper.")
@click.option("--url", default="", help="Where they came from.")
@click.option("--label", default=None, help="Theme label of all files; by default what the names say.")
@click.option("--samples/--no-samples", default=True, show_default=True, help="Composed pieces on TensorBoard as training goes.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="Processes that share the training, a graphics card each where there are cards. --devices 2")
@click.option("-j", "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes that read files.")
def main(
    folder: Path, name: str, out: Path | None, base: Path, minutes: float, eval_ratio: float, licence: str | None, author: str, url: str,
    label: str | None, samples: bool, devices: int, jobs: int,
) -> None:  # fmt: skip
    """Make a model of the style of a folder of music."""
    from nesasset.compose.controls import MODEL_NAME
    from nesasset.model import models_dir

    if not MODEL_NAME.fullmatch(name) or (models_dir() / f"{name}.json").is_file():
        raise click.UsageError(f"--name must be 1 to 64 of a-z, 0-9, . - and _, beginning with a letter or digit, and none of a model that comes with nesasset: {name!r} is not")
    if base.suffix != ".onnx" or not base.with_suffix(".json").is_file():
        raise click.UsageError(f"--base must be NAME.onnx with its sidecar NAME.json beside it, not {base.name!r}")
    given = Licence(licence or "unknown", author, url, where="the command") if licence or author or url else None
    options = {
        "folder": str(folder.resolve()), "base": str(base), "minutes": minutes, "eval_ratio": eval_ratio, "licence": licence,
        "author": author, "url": url, "label": label,
    }  # fmt: skip
    ingest_options = {"ratio": eval_ratio, "jobs": jobs, "given": given, "label": label}
    try:
        bundle = run(folder, out or Path(name), name, base=base, minutes=minutes, options=options, ingest_options=ingest_options, samples=samples, devices=devices)
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror or error}; run the same command again when that is mended, it goes on where it stopped") from error
    click.echo(f"{bundle}: add it with nesasset models add {bundle}")


if __name__ == "__main__":
    main()
