"""What the latent is worth and what it costs: on held-out songs, and along the way between composed pieces.

    python -m export.latent_report --corpus corpus [--model models/nes-1.onnx] [--songs 60] [--ways 8] [--docs docs/hands.md]

Price: bits a row of songs of valid whose point is told, beside the same rows untold and told another song's point; the nats of the
point are the price (the bits-back argument: Hinton and van Camp, Keeping neural networks simple, 1993). Reconstruction: each song's
form, instruments and controls composed anew, with its point and without; a good point is found again in what was composed of it.
Sampling: the same forms with points drawn from the standard Gaussian. Interpolation: morphs of nine steps. `--docs` rewrites the
table between its two marks in the file.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import torch
from numpy.typing import NDArray

from export import docs_table, from_onnx
from export.control_report import spearman
from export.dataset import Corpus, Crop, take, to_batch
from export.measures import MEASURES, Piece, cells_to_piece, measure
from export.model import RowModel
from nesasset.audio import Audio
from nesasset.build.stages import first_certified
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.morph import Way, likeness
from nesasset.compose.plan import Plan
from nesasset.compose.point import point_of
from nesasset.compose.request import Request, generator, resolve
from nesasset.compose.writer import Draft, write
from nesasset.driver import drive
from nesasset.errors import CertificateError
from nesasset.model import Model, load_model
from nesasset.render import render
from nesasset.score import Score
from nesasset.themes import theme
from nesasset.vocabulary import CONTROLS, NEW, SILENT

ROWS: Final = 256  # of a song, from its first bar line
STEPS: Final = 9
BARS: Final = 8  # of the pieces between which morphs lead
SHOWN: Final = ("scale_consistency", "consonance", "exact_bar_repeat_rate", "best_lag_similarity", "melodic_density", "step_rate")
THEMES: Final = ("overworld", "castle", "town", "boss", "cave", "title")


def crops(corpus: Corpus, count: int) -> list[Crop]:
    """Return so many crops of ROWS rows from a bar line on, of songs in bars of 16 rows, spread evenly over the split."""
    found = []
    for song in range(len(corpus)):
        first = int(corpus.plan(song)[0][0])
        if int(corpus.rows.bar_rows[song]) == 16 and corpus.length(song) >= first + ROWS:
            found.append(Crop(song, first, first + ROWS))
    return [found[place] for place in np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)]


@torch.no_grad()
def priced(net: RowModel, corpus: Corpus, parts: list[Crop]) -> dict[str, float]:
    """Return bits a row untold, told, and told the point of the song before, and the point's own price in bits a row."""
    sums = {"untold": 0.0, "told": 0.0, "told another's": 0.0, "price": 0.0}
    assert net.encoder is not None and net.point is not None
    before = None
    for part in [parts[-1], *parts]:
        batch = to_batch([take(corpus, part, ROWS)])
        mean, _ = net.encoder(batch["ids"], batch["cells"], batch["weight"])
        if before is not None:
            told = net({**batch, "told": torch.ones(1)})
            sums["untold"] += _bits(net(batch))
            sums["told"] += _bits(told)
            sums["price"] += float(told["nats"][0]) / np.log(2)
            sums["told another's"] += _bits(_told(net, batch, before))
        before = mean
    return {name: value / (len(parts) * ROWS) for name, value in sums.items()}


def _bits(out: dict[str, torch.Tensor]) -> float:
    return float(out["cells"].sum() + out["slots"].sum())


def _told(net: RowModel, batch: dict[str, torch.Tensor], point: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what the network says of rows that are told a point which is not theirs."""
    encoder = net.encoder
    net.encoder = _Fixed(point)  # type: ignore[assignment]
    try:
        return net({**batch, "told": torch.ones(1)})
    finally:
        net.encoder = encoder


class _Fixed(torch.nn.Module):
    """An encoder that has made up its mind."""

    def __init__(self, point: torch.Tensor) -> None:
        super().__init__()
        self.point = point

    def forward(self, *_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.point, torch.ones_like(self.point)


def song_plan(corpus: Corpus, part: Crop, model: Model) -> tuple[Plan, NDArray[np.int64]]:
    """Return the plan of a crop with its point, and its cells."""
    base = int(corpus.offsets[part.song])
    here = slice(base + part.start, base + part.stop)
    cells, slots = corpus.cells[here].astype(np.int64), corpus.slots[here].astype(np.int64)
    starts, lags, classes, shifts = corpus.plan(part.song)
    bars = np.flatnonzero((starts >= part.start) & (starts < part.stop))
    reach = lags[bars] > np.arange(len(bars))  # what refers to bars before the crop
    plan = Plan(
        bar_rows=16,
        lags=np.where(reach, 0, lags[bars]).astype(np.int64),
        classes=np.where(reach[:, None] & (classes[bars] != SILENT), NEW, classes[bars]).astype(np.int64),
        shifts=shifts[bars].astype(np.int64),
        chords=corpus.chords(part.song)[bars].astype(np.int64),
        pulse=np.asarray(corpus.rows.pulse_palette[part.song]).astype(np.int64),
        noise=np.asarray(corpus.rows.noise_palette[part.song]).astype(np.int64),
        controls=np.asarray(corpus.rows.controls[part.song]).astype(np.int64),
        point=point_of(model, cells, slots, 16),
    )
    return plan, cells


def request_for(plan: Plan, model: Model) -> Request:
    """Return a request that wants nothing but the plan."""
    wanted = resolve(theme("overworld"), 0, Controls(bars=plan.n_bars, candidates=1), model.sidecar["sampling"])
    own = dict(zip(CONTROLS, plan.controls.tolist(), strict=True))
    return replace(wanted, label=0, mode=0, density=max(1, own["density"]), noise_density=0, onsets=None)


def rebuilt(model: Model, corpus: Corpus, parts: list[Crop]) -> dict[str, Any]:
    """Compose each song's form with its point, with none, and with one by chance; return how well the point is found again."""
    rng = np.random.default_rng(0)
    points, found = [], {"told": [], "untold": [], "by chance": []}  # type: ignore[var-annotated]
    drawn, pieces = [], {"real": [], **{name: [] for name in found}}  # type: ignore[var-annotated]
    for number, part in enumerate(parts):
        plan, cells = song_plan(corpus, part, model)
        assert plan.point is not None
        points.append(plan.point)
        drawn.append(rng.standard_normal(model.latent).astype(np.float32))
        pieces["real"].append(cells_to_piece(cells, 16))
        for name, point in (("told", plan.point), ("untold", None), ("by chance", drawn[-1])):
            draft = write(model, request_for(plan, model), replace(plan, point=point), [generator(("latent", number))])[0]
            found[name].append(point_of(model, draft.cells, draft.slots, 16))
            pieces[name].append(_piece(draft))
    figures: dict[str, Any] = {}
    for name, goals in (("told", points), ("untold", points), ("by chance", drawn)):
        likes = _cosines(np.array(found[name]), np.array(goals))
        rank = (likes >= np.diag(likes)[:, None]).sum(axis=1)
        figures[name] = {"cosine": float(np.diag(likes).mean()), "first": float((rank == 1).mean()), "of": len(parts)}
    real = _table(pieces["real"])
    for name in ("told", "untold"):
        other = _table(pieces[name])
        figures[name]["spearman"] = {key: spearman(real[key], other[key]) for key in SHOWN}
    figures["means"] = {name: {key: float(np.mean(values)) for key, values in _table(pieces[name]).items()} for name in pieces}
    return figures


def _piece(draft: Draft) -> Piece:
    return cells_to_piece(draft.cells, draft.plan.bar_rows)


def _table(pieces: list[Piece]) -> dict[str, list[float]]:
    rows = [measure(piece) for piece in pieces]
    return {name: [float(row[name] or 0.0) for row in rows] for name in SHOWN if name in MEASURES}


def _cosines(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the cosine of every point with every other's, means taken off."""
    a, b = (points - points.mean(axis=0) for points in (one, other))
    a, b = (points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9) for points in (a, b))
    return np.asarray(a @ b.T)


def _play(score: Score) -> Audio:
    return render(drive(score))


def _end(name: str, seed: int, model: Model) -> Score:
    """Return a composed piece that passes its certificate, as those do that people morph."""

    def make(used: int) -> Score:
        return compose(name, used, Controls(bars=BARS, candidates=1), model)

    return first_certified(make, seed, _play, "a morph", f"a {name}").score


def ways(model: Model, count: int) -> dict[str, float]:
    """Compose morphs between composed pieces; return how evenly they go and how many steps loop by their certificates.

    A way one of whose steps passes with none of the seeds that are tried is given up, as it is for people, and only counted.
    """
    falls, rises, monotone, passed, total, given_up = [], [], 0, 0, 0, 0
    for number in range(count):
        names = THEMES[number % len(THEMES)], THEMES[(number + 1) % len(THEMES)]
        ends = [_end(name, 100 + number, model) for name in names]
        if ends[0].bar_rows != ends[1].bar_rows:
            continue
        way = Way.between(ends[0], ends[1], model)
        steps = [ends[0]]
        try:
            for place in range(1, STEPS - 1):
                beyond = way.progress(steps[-1], (place - 1) / (STEPS - 1))
                total += 1
                found = first_certified(partial(way.step, place, STEPS, number, beyond=beyond), number, _play, "a morph", "a step")
                steps.append(found.score)
                passed += found.attempt == 0
        except CertificateError as error:
            click.echo(str(error), err=True)
            given_up += 1
            continue
        steps.append(ends[1])
        moved = [round(place / (STEPS - 1) * way.semitones) for place in range(STEPS)]
        first = [likeness(step, ends[0], by) for step, by in zip(steps, moved, strict=True)]
        second = [likeness(step, ends[1], by - way.semitones) for step, by in zip(steps, moved, strict=True)]
        falls.append(spearman(list(range(STEPS)), first))
        rises.append(spearman(list(range(STEPS)), second))
        nearer = np.array(second) - np.array(first)
        monotone += int((np.diff(nearer) >= -1e-9).all())
    return {
        "ways": len(falls),
        "first": float(np.mean(falls)),
        "second": float(np.mean(rises)),
        "monotone": monotone / max(1, len(falls)),
        "certified": passed / max(1, total),
        "steps": total,
        "given_up": given_up,
    }


def to_markdown(price: dict[str, float], again: dict[str, Any], way: dict[str, float]) -> str:
    """Return the figures as Markdown."""
    told, untold, chance = again["told"], again["untold"], again["by chance"]
    lines = [
        "| what | figure |",
        "|---|---|",
        f"| bits a row, point untold | {price['untold']:.3f} |",
        f"| bits a row, the song's own point told | {price['told']:.3f} |",
        f"| bits a row, another song's point told | {price['told another' + chr(39) + 's']:.3f} |",
        f"| price of the point, bits a row | {price['price']:.3f} |",
        f"| own point found first among {told['of']} in what was composed of it | {100 * told['first']:.0f} % (form alone, untold: {100 * untold['first']:.0f} %) |",
        f"| cosine of that point and the told one | {told['cosine']:.2f} (untold: {untold['cosine']:.2f}) |",
        f"| the same for points drawn by chance | {100 * chance['first']:.0f} % first, cosine {chance['cosine']:.2f} |",
    ]
    for name in SHOWN:
        means = again["means"]
        lines.append(
            f"| {name.replace('_', ' ')}: real, told, untold, by chance | {means['real'][name]:.3f}, {means['told'][name]:.3f}, "
            f"{means['untold'][name]:.3f}, {means['by chance'][name]:.3f} (Spearman with the real song told {told['spearman'][name]:.2f}, untold {untold['spearman'][name]:.2f}) |"
        )
    lines += [
        f"| {way['ways']} morphs of {STEPS} steps: likeness to the first piece falls, Spearman | {way['first']:.3f} |",
        f"| likeness to the second rises, Spearman | {way['second']:.3f} |",
        f"| morphs that come nearer to the second with every step | {100 * way['monotone']:.0f} % |",
        f"| of {way['steps']} steps, those whose loops pass their certificates at the first try | {100 * way['certified']:.1f} % |",
        f"| morphs given up, since a step passed with none of eight seeds | {way['given_up']} |",
    ]
    return "\n".join(lines)


@click.command()
@click.option("--corpus", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Output of export.prepare.")
@click.option("--model", "path", type=click.Path(path_type=Path, exists=True), default=Path("models/nes-1.onnx"), show_default=True)
@click.option("--songs", type=click.IntRange(4), default=60, show_default=True, help="Held-out songs.")
@click.option("--ways", "n_ways", type=click.IntRange(1), default=8, show_default=True, help="Morphs.")
@click.option("--docs", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Write the table between its marks in this file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(corpus: Path, path: Path, songs: int, n_ways: int, docs: Path | None, as_json: bool) -> None:
    """Measure the latent."""
    net, _ = from_onnx.load(path)
    model, valid = load_model(path), Corpus(corpus / "valid")
    if not model.latent:
        raise click.UsageError(f"{path.name} has no latent")
    parts = crops(valid, songs)
    price = priced(net, valid, parts)
    click.echo(f"price: {price}", err=True)
    again = rebuilt(model, valid, parts)
    click.echo(f"composed anew: {again['told']}", err=True)
    way = ways(model, n_ways)
    table = to_markdown(price, again, way)
    if docs is not None:
        docs_table.write(docs, "latent", table)
    click.echo(json.dumps({"price": price, "rebuilt": again, "ways": way}) if as_json else table)


if __name__ == "__main__":
    main()
