"""Is a tuned model nearer to its style, and what has it forgotten? Bits of held-out songs, and a classifier's word on what it composes.

    python -m export.style_report mystyle --others corpus --pieces 60

A classifier learns to tell windows of the folder's training songs from windows of other music (--others, a corpus of export.prepare) by
the judge's statistics, and is checked on songs of both that were held out. Then it is asked about loops that the base model
and the tuned one have composed, for the same themes and seeds. The last line is JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from export.judge import theme_table
from export.judging.discriminator import auc, trees
from export.judging.sides import Item, score_items, song_windows
from nesasset.compose import Controls, compose
from nesasset.model import load_model
from nesasset.themes import THEMES

BARS = 8
ROUNDS = 120  # of the classifier's trees


def loops(sidecar: Path, count: int, seed: int) -> list[Item]:
    """Return loops that a model composes, themes in turn."""
    model = load_model(sidecar)
    themes = [theme.name for theme in THEMES.values() if theme.loops]
    scores = {str(index): compose(themes[index % len(themes)], seed + index, Controls(bars=BARS, candidates=1), model) for index in range(count)}
    return score_items(scores)


def style_scores(
    train: tuple[list[Item], list[Item]], asked: dict[str, list[Item]], seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Return how surely a classifier takes items for the style's, between 0 and 1.

    Args:
        train: Items of the style, and others; both count the same whatever their numbers.
        asked: Sets of items by name.
        seed: Of the classifier.
    """
    tables = [theme_table(items) for items in train]
    truth = np.concatenate([np.ones(len(tables[0])), np.zeros(len(tables[1]))])
    weight = np.concatenate([np.full(len(table), 0.5 / len(table)) for table in tables]) * len(truth)
    classifier = trees(ROUNDS, seed).fit(np.concatenate(tables), truth, sample_weight=weight)
    return {name: classifier.predict_proba(theme_table(items))[:, 1] for name, items in asked.items()}


def area(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return the share of pairs in which the first has the higher score."""
    return auc(np.arange(len(first) + len(second)) < len(first), np.concatenate([first, second]))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--others", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="A prepared corpus of other music, with train and valid.")
@click.option("--base", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=Path("models/nes-1.json"), show_default=True, help="Sidecar of the model that was tuned.")
@click.option("--pieces", type=click.IntRange(2), default=60, show_default=True, help="Loops that each model composes.")
@click.option("--songs", type=click.IntRange(1), default=20, show_default=True, help="Songs of --others' valid whose bits are taken.")
@click.option("--seed", type=int, default=7000, show_default=True, help="First seed.")
def main(folder: Path, others: Path, base: Path, pieces: int, songs: int, seed: int) -> None:
    """Compare a model that export.style made with its base."""
    from export.train import load_model as load_checkpoint
    from export.tune import bits_a_row

    report: dict[str, Any] = {}
    for name, checkpoint in (("before", folder / "start.ckpt"), ("after", folder / "run" / "best.ckpt")):
        net, _ = load_checkpoint(checkpoint)
        report[name] = {"style": bits_a_row(net, folder / "corpus" / "valid"), "others": bits_a_row(net, others / "valid", songs)}
        click.echo(f"{name:7} {report[name]['style']:.3f} bits a row of the style's held-out songs, {report[name]['others']:.3f} of others", err=True)
    rng = np.random.default_rng(seed)
    style = {split: song_windows(folder / "corpus" / split, BARS) for split in ("train", "valid")}
    foreign = {split: song_windows(others / split, BARS) for split in ("train", "valid")}
    foreign = {split: [items[index] for index in rng.permutation(len(items))[:600]] for split, items in foreign.items()}
    name = next(path.stem for path in (folder / "model").glob("*.json") if not path.name.endswith(".idioms.json"))
    asked = {
        "style": style["valid"],
        "others": foreign["valid"],
        "base": loops(base, pieces, seed),
        "tuned": loops(folder / "model" / f"{name}.json", pieces, seed),
    }
    scores = style_scores((style["train"], foreign["train"]), asked)
    report["classifier"] = {
        "held_out_auc": area(scores["style"], scores["others"]),
        "taken_for_style": {key: float((values > 0.5).mean()) for key, values in scores.items()},
        "style_against_base": area(scores["style"], scores["base"]),
        "style_against_tuned": area(scores["style"], scores["tuned"]),
        "tuned_against_base": area(scores["tuned"], scores["base"]),
        "windows": {key: len(items) for key, items in asked.items()},
    }
    for key, value in report["classifier"].items():
        click.echo(f"{key:24}{value}", err=True)
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
