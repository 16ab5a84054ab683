"""Judge a model's music: every figure beside real music's, with music that is known to be worse as control.

    python -m export.judge --real corpus/valid --generated loops --compose 400 -j 2
    python -m export.judge --real corpus/valid --generated loops --untrained tests/standin/standin.json --card table.md
    python -m export.judge --real corpus/valid --generated loops --json

DIR of --generated holds score JSONs, as `nesasset compose` writes them; --compose fills it first with loops of the looping
themes in turn, composed again with the next seed where the certificate fails. What is there already is kept, so a broken
run goes on where it stopped. docs/judging.md says what each figure is. The table goes to standard output, its last line is
the whole report as one JSON object; progress goes to standard error. Needs scikit-learn.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from export.judging.discriminator import Auc, ThemeJudge, auc, learn_themes, tell_apart, themes_across_games
from export.judging.features import (
    FEATURES,
    STATISTICS,
    Scaling,
    bar_statistics,
    by_feature,
    distances_area,
    feature_table,
    fit_scaling,
    frechet_distance,
    is_heard,
    overlapping_area,
    statistics,
)
from export.judging.negatives import foreign_basses, pyxel_pieces, shuffle_rows
from export.judging.obedience import obedience
from export.judging.originality import SHARED_LIMIT, found_share, known_ngrams, shared_bars, within_groups
from export.judging.seams import Seam, judge_seam, score_loop, split_loops, summarise_seams
from export.judging.sides import (
    BAR_ROWS,
    Item,
    compose_nonsense,
    fill_folder,
    load_scores,
    score_items,
    song_windows,
)
from export.judging.table import BARS, shown, table_markdown, table_text, verdict
from export.measures import MEASURES, Piece, is_degenerate, melody_key
from nesasset.errors import NesassetError
from nesasset.formats.files import write_bytes
from nesasset.score import Score

REFERENCE_WINDOWS: Final = 600
BARS_PER_PIECE: Final = 4  # that the discriminator of bars sees
SAME_SIZE_DRAWS: Final = 20
TELLING: Final = 10
PYXEL_LOOPS: Final = 160
NGRAMS: Final = (8, 16)

Figures = dict[str, float | None]


# Figures of one side.


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _column_means(table: NDArray[np.float64]) -> dict[str, float | None]:
    """Return the mean of each measure over the pieces that have it."""
    names = list(FEATURES)
    return {name: _mean(column[np.isfinite(column)]) for name in MEASURES for column in [table[:, names.index(name)]]}


def _spread(table: NDArray[np.float64]) -> dict[str, list[float] | None]:
    """Return the 10th, 50th and 90th percentile of each feature."""
    known = {name: table[np.isfinite(table[:, at]), at] for at, name in enumerate(FEATURES)}
    return {
        name: np.percentile(column, (10, 50, 90)).tolist() if len(column) else None for name, column in known.items()
    }


def set_figures(
    items: Sequence[Item], table: NDArray[np.float64], reference: NDArray[np.float64], scaling: Scaling
) -> Figures:
    """Return the measures of a set of items, and how far it is from a reference.

    Args:
        items: The items.
        table: Their features, not scaled.
        reference: Features of the reference windows, not scaled.
        scaling: That of the reference.
    """
    areas, distances = (by_feature(kind, reference, table).values() for kind in (overlapping_area, distances_area))
    return {
        **_column_means(table),
        "degenerate": float(sum(is_degenerate(item.piece) for item in items)),
        "frechet_distance": frechet_distance(scaling.scale(reference), scaling.scale(table)),
        "overlapping_area": _mean([area for area in areas if area is not None]),
        "overlapping_area_of_distances": _mean([area for area in distances if area is not None]),
    }


def novelty_figures(pieces: Sequence[Piece], known: dict[int, NDArray[np.uint64]]) -> Figures:
    """Return how much of the melodies stands in the training songs, in all and in the worst piece."""
    figures: Figures = {}
    for n, grams in known.items():
        figures[f"melody_{n}grams_in_train"], worst = found_share(pieces, grams, n)
    figures[f"worst_melody_{n}grams_in_train"] = worst
    return figures


def distinctness_figures(pieces: Sequence[Piece]) -> Figures:
    """Return how many melodies differ, and how many pieces share more than half their bars with another."""
    shared = shared_bars(pieces)
    return {
        "distinct_melodies": len({melody_key(piece, relative=False) for piece in pieces}) / len(pieces),
        "sharing_half_their_bars": float((shared > SHARED_LIMIT).mean()),
        "most_bars_shared": float(shared.max(initial=0)),
    }


def theme_table(items: Sequence[Item]) -> NDArray[np.float64]:
    """Return the statistics from which themes are told: what is heard, with the row length."""
    rows = [np.append(statistics(item.piece), item.row_frames) for item in items]
    return np.array(rows).reshape(len(items), -1)


def bar_table(items: Sequence[Item], rng: np.random.Generator) -> tuple[NDArray[np.float64], list[str]]:
    """Return the statistics of bars drawn from each piece, not its first, and their owners.

    The first is left out because a window of a song may begin inside a note and a composed loop does not.
    """
    rows, owners = [], []
    for item in items:
        heard = [bar for bar in range(1, len(item.piece.bars)) if is_heard(item.piece, bar)]
        for bar in rng.permutation(heard)[:BARS_PER_PIECE].tolist():
            rows.append(bar_statistics(item.piece, int(bar)))
            owners.append(item.owner)
    return np.array(rows).reshape(len(rows), -1), owners


def tell_items_apart(
    first: Sequence[Item], second: Sequence[Item], seed: int, *, windows: bool = True
) -> dict[str, Auc | None]:
    """Return how well bars, and whole pieces, of two sets of items are told apart."""
    rng = np.random.default_rng(seed)
    bars = [bar_table(items, rng) for items in (first, second)]
    found = {"discriminator_bars": tell_apart(*bars[0], *bars[1], seed=seed)}
    if windows:
        tables = [np.array([statistics(item.piece) for item in items]) for items in (first, second)]
        owners = [[item.owner for item in items] for items in (first, second)]
        found["discriminator_windows"] = tell_apart(tables[0], owners[0], tables[1], owners[1], seed=seed)
    return found


def most_telling(generated: Sequence[Item], real: Sequence[Item]) -> list[dict[str, Any]]:
    """Return the statistics that alone tell generated pieces from real ones best: name, both means, and the area.

    The area is the share of pairs in which the generated piece has more of it: 0.5 is alike.
    """
    tables = [np.array([statistics(item.piece) for item in items]) for items in (generated, real)]
    found: list[dict[str, Any]] = []
    for at, name in enumerate(STATISTICS):
        ours, theirs = (table[np.isfinite(table[:, at]), at] for table in tables)
        area = auc(np.arange(len(ours) + len(theirs)) < len(ours), np.concatenate([ours, theirs]))
        if area is not None:
            found.append({"name": name, "generated": _mean(ours), "real": _mean(theirs), "area": area})
    return sorted(found, key=lambda entry: -abs(entry["area"] - 0.5))[:TELLING]


def draw_windows(items: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """Draw items, as many games as possible: each game gives a second one only after every other has given one."""
    order = rng.permutation(len(items)).tolist()
    turns: Counter[str] = Counter()
    ranked: list[tuple[int, int, int]] = []
    for at in order:
        ranked.append((turns[items[at].owner], len(ranked), at))
        turns[items[at].owner] += 1
    return [items[at] for _, _, at in sorted(ranked)[:count]]


def variety_figures(
    items: Sequence[Item], table: NDArray[np.float64], groups: Sequence[str], scaling: Scaling
) -> Figures:
    """Return how far apart the pieces of one theme or label are; pieces without one, "", are left out."""
    kept = [at for at, group in enumerate(groups) if group]
    distance, agreement = within_groups(
        [items[at].piece for at in kept],
        scaling.scale(table[kept]),
        [groups[at] for at in kept],
        [items[at].owner for at in kept],
    )
    return {"same_theme_distance": distance, "same_theme_melody_agreement": agreement}


def theme_figures(items: Sequence[Item], themes: ThemeJudge | None) -> Figures:
    """Return how well each label is told from the rest; items without a label are left out."""
    labelled = [item for item in items if item.label]
    if themes is None or not labelled:
        return {}
    found = themes.aucs(theme_table(labelled), [item.label for item in labelled])
    return {f"theme_{label}": value for label, value in found.items()}


# The report.


def judge(
    real: Path,
    train: Path,
    scores: dict[str, Score],
    untrained: dict[str, Score] | None = None,
    *,
    bars: int = 16,
    seed: int = 0,
    pyxel: bool = True,
) -> dict[str, Any]:
    """Measure everything.

    Args:
        real: A prepared split of songs that the model was not trained on.
        train: The prepared split that it was trained on.
        scores: What it has composed, by name.
        untrained: What a model that has learnt nothing composed.
        bars: Length of the windows of real songs. Generated loops of another length count in seam, degenerate and
            obedience only.
        seed: Of every draw.
        pyxel: Whether to ask for a column of pyxel's gen_bgm.

    Returns:
        The report as JSON values: "columns", "bars", "intervals", "spread", "obedience", "counts" and "notes".

    Raises:
        click.ClickException: There is too little of either side.
    """
    rng = np.random.default_rng(seed)
    looping = {name: score for name, score in scores.items() if score.loop is not None}
    every = score_items(looping)
    generated = _comparable(every, bars)
    notes = []
    if len(looping) < len(scores):
        notes.append(f"{len(scores) - len(looping)} scores do not loop and are left out")
    if len(generated) < len(every):
        others = len(every) - len(generated)
        notes.append(
            f"{others} loops are not {bars} bars of {BAR_ROWS} rows: they count in seam, degenerate and obedience only"
        )
    if not generated:
        raise click.ClickException(
            f"no loop of {bars} bars of {BAR_ROWS} rows among {len(scores)} scores; name their length with --bars"
        )

    _say("features")
    valid, songs = song_windows(real, bars), song_windows(train, bars)
    halves = _halves(songs, rng)
    if min(len(valid), *(len(half) for half in halves)) < 2:
        raise click.ClickException(f"{real} and {train} need a few windows of {bars} bars each; prepare more songs")
    base, again = (draw_windows(half, REFERENCE_WINDOWS, rng) for half in halves)
    sets = {"generated": generated, "real": valid, "real again": again}
    sets |= _rearranged(valid, rng)
    if untrained is None:
        notes.append("no column untrained: no untrained model was named with --untrained")
    else:
        sets["untrained"] = _comparable(score_items(untrained), bars)
    rivals = pyxel_pieces(PYXEL_LOOPS) if pyxel else "not asked for"
    if isinstance(rivals, str):
        notes.append(f"no column pyxel: {rivals}")
    else:
        sets["pyxel"] = [Item(piece, f"pyxel {at}", "", np.nan) for at, piece in enumerate(rivals)]
        notes.append("pyxel's loops have 8 bars and are measured as they are")
    sets = {name: items for name, items in sets.items() if items}
    tables = {name: feature_table([item.piece for item in items]) for name, items in sets.items()}
    base_table = feature_table([item.piece for item in base])
    scaling = fit_scaling(base_table)
    columns = {name: set_figures(items, tables[name], base_table, scaling) for name, items in sets.items()}
    columns["generated"]["degenerate"] = float(sum(is_degenerate(item.piece) for item in every))

    _say("novelty and variety")
    known = {n: known_ngrams(train, n) for n in NGRAMS}
    own_labels = {item.label for item in generated}
    groups = {
        "generated": [looping[item.owner].theme for item in generated],
        "real": [item.label if item.label in own_labels else "" for item in valid],
    }
    for name, items in sets.items():
        if name != "real again":  # they are training songs themselves
            columns[name] |= novelty_figures([item.piece for item in items], known)
        if name in ("generated", "untrained", "pyxel"):
            columns[name] |= distinctness_figures([item.piece for item in items])
        if name in groups:
            columns[name] |= variety_figures(items, tables[name], groups[name], scaling)

    _say("themes")
    labelled = [item for item in songs if item.label]
    theme_rows, labels = theme_table(labelled), [item.label for item in labelled]
    themes = learn_themes(theme_rows, labels, seed)
    for name, items in sets.items():
        if name != "real again":
            columns[name] |= theme_figures(items, themes)
    across = themes_across_games(theme_rows, labels, [item.owner for item in labelled], seed)
    columns["real again"] |= {f"theme_{label}": value for label, value in across.items()}

    _say("discriminator")
    pools = [[*half, *(item for item in valid if _side(item.owner) == side)] for side, half in enumerate(halves)]
    intervals: dict[str, dict[str, list[float]]] = {}
    for name, found in _discriminate(sets, pools, rng, seed).items():
        columns[name] |= {figure: area.value if area else None for figure, area in found.items()}
        intervals[name] = {figure: [area.low, area.high] for figure, area in found.items() if area}

    telling = most_telling(generated, draw_windows(pools[0], REFERENCE_WINDOWS // 2, rng))

    _say("seams")
    seams, told = _seams(real, looping, seed)
    for name, values in seams.items():
        columns[name] |= summarise_seams(values)

    obeyed = obedience(list(looping.values()))
    columns["generated"] |= {f"obedience_{letter}": rate for letter, rate in obeyed["rates"].items()}
    if obeyed["scores"] < len(looping):
        told.append(f"no plan in the provenance of {len(looping) - obeyed['scores']} of {len(looping)} loops")
    told.append(_same_size(base_table, tables["real again"], scaling, len(generated), rng))
    first = next(iter(scores.values())).provenance
    return {
        "model": str(first.get("model", "not named")),
        "model_sha256": str(first.get("model_sha256", "")),
        "counts": {
            "scores": len(scores),
            "reference": len(base),
            "real_loops": len(seams.get("real", [])),
            **{name.replace(" ", "_"): len(items) for name, items in sets.items()},
        },
        "columns": columns,
        "bars": {name: verdict(name, columns["generated"].get(name)) for name in BARS},
        "intervals": intervals,
        "spread": {name: _spread(tables[name]) for name in ("generated", "real")},
        "overlapping_areas": by_feature(overlapping_area, base_table, tables["generated"]),
        "feature_aucs": _feature_aucs(tables["generated"], tables["real"]),
        "most_telling": telling,
        "obedience": obeyed["table"],
        "notes": notes + told,
    }


def _feature_aucs(generated: NDArray[np.float64], real: NDArray[np.float64]) -> dict[str, float | None]:
    """Return the share of pairs in which the generated piece has more of a feature than the real one: 0.5 is alike."""
    found = {}
    for at, name in enumerate(FEATURES):
        ours, theirs = (table[np.isfinite(table[:, at]), at] for table in (generated, real))
        both = np.concatenate([ours, theirs])
        found[name] = auc(np.arange(len(both)) < len(ours), both)
    return found


def _comparable(items: Sequence[Item], bars: int) -> list[Item]:
    """Return the items that are as long as the real windows, and in their metre."""
    return [item for item in items if item.piece.bar_rows == BAR_ROWS and len(item.piece.bars) == bars]


def _halves(songs: Sequence[Item], rng: np.random.Generator) -> list[list[Item]]:
    """Return the windows of one half of the games, and those of the other."""
    games = rng.permutation(sorted({item.owner for item in songs})).tolist()
    first = set(games[::2])
    return [[item for item in songs if (item.owner in first) == side] for side in (True, False)]


def _rearranged(items: Sequence[Item], rng: np.random.Generator) -> dict[str, list[Item]]:
    """Return the same items with their rows shuffled, and with the basses of others."""
    wrong = {
        "rows shuffled": [shuffle_rows(item.piece, rng) for item in items],
        "foreign bass": foreign_basses([item.piece for item in items], [item.owner for item in items]),
    }
    return {
        name: [replace(item, piece=piece) for item, piece in zip(items, pieces, strict=True)]
        for name, pieces in wrong.items()
    }


def _discriminate(
    sets: dict[str, list[Item]], pools: Sequence[Sequence[Item]], rng: np.random.Generator, seed: int
) -> dict[str, dict[str, Auc | None]]:
    """Return how well each set is told from real windows of the first pool; those of the second have no game in common.

    Each comparison has as many of either side, at most as many as there are generated pieces.
    """
    size = len(sets["generated"])
    here, there = (draw_windows(pool, size, rng) for pool in pools)
    against = {"generated": sets["generated"], "real again": there, **_rearranged(there, rng)}
    against |= {name: sets[name][:size] for name in ("untrained", "pyxel") if name in sets}
    return {
        name: tell_items_apart(here[: len(items)], items, seed, windows=name != "pyxel")
        for name, items in against.items()
    }


def _side(game: str) -> int:
    """Return 0 or 1 for a game, about half of them each, always the same."""
    return sum(game.encode()) % 2


def _same_size(
    base: NDArray[np.float64], again: NDArray[np.float64], scaling: Scaling, size: int, rng: np.random.Generator
) -> str:
    """Return a note about the distance of as many real windows as there are generated loops."""
    size = min(size, len(again))
    reference = scaling.scale(base)
    draws = [scaling.scale(again[rng.permutation(len(again))[:size]]) for _ in range(SAME_SIZE_DRAWS)]
    found = [distance for draw in draws if (distance := frechet_distance(reference, draw)) is not None]
    return f"Fréchet distance of {size} windows of real again: {shown(_mean(found))} (mean of {SAME_SIZE_DRAWS} draws)"


def _say(stage: str) -> None:
    click.echo(f"{stage} …", err=True)


def _seams(real: Path, looping: dict[str, Score], seed: int) -> tuple[dict[str, list[Seam]], list[str]]:
    """Return the seams of real and generated loops, and notes about what could not be judged."""
    from nesasset.model import load_model

    try:
        model = load_model()
    except NesassetError as error:
        return {}, [f"no seam figures: {error}"]
    loops = [score_loop(score, model) for score in looping.values()]
    judged = [loop for loop in loops if loop is not None]
    notes = [f"the seam's judge is {model.name} ({model.sha256[:12]})"]
    if len(judged) < len(loops):
        notes.append(
            f"{len(loops) - len(judged)} loops are too short for the seam's judge, or their last bar is not whole"
        )
    sides = {"real": split_loops(real), "generated": judged}
    return {
        name: [judge_seam(model, loop, np.random.default_rng([seed, at])) for at, loop in enumerate(side)]
        for name, side in sides.items()
        if side
    }, notes


@click.command()
@click.option(
    "--real",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="A prepared split, such as corpus/valid.",
)
@click.option(
    "--generated", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of score JSONs."
)
@click.option(
    "--train",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The training split; train beside the real one by default.",
)
@click.option(
    "--untrained",
    type=click.Path(path_type=Path, exists=True),
    help="An untrained model's NAME.json, or a folder of its score JSONs.",
)
@click.option("--compose", "count", type=click.IntRange(1), help="Fill the folder first with so many loops.")
@click.option(
    "--bars", type=click.IntRange(2, 64), default=16, show_default=True, help="Bars of a loop and of a real window."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first loop, and of every draw."
)
@click.option("--model", "name", help="Name of the model that composes; the default one by default.")
@click.option("--plain", is_flag=True, help="Compose without ornaments.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that compose.")
@click.option("--card", type=click.Path(path_type=Path, dir_okay=False), help="Write the table as Markdown as well.")
@click.option("--pyxel/--no-pyxel", default=True, show_default=True, help="Whether pyxel's generator has a column.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and no table.")
def main(
    real: Path,
    generated: Path,
    train: Path | None,
    untrained: Path | None,
    count: int | None,
    bars: int,
    seed: int,
    name: str | None,
    plain: bool,
    jobs: int,
    card: Path | None,
    pyxel: bool,
    as_json: bool,
) -> None:
    """Judge generated loops beside real music and beside music that is known to be worse."""
    train = train or real.parent / "train"
    for folder in (real, train):
        if not (folder / "cells.npy").is_file():
            raise click.UsageError(f"{folder} is no prepared split; make one with: python -m export.prepare")
    failures = fill_folder(generated, count, bars, seed, jobs, name, plain) if count else []
    scores = load_scores(generated)
    nonsense = None
    if untrained:
        nonsense = load_scores(untrained) if untrained.is_dir() else compose_nonsense(untrained, bars)
    report = judge(real, train, scores, nonsense, bars=bars, seed=seed, pyxel=pyxel)
    report["notes"] += [f"not composed: {failure}" for failure in failures]
    if card:
        try:
            write_bytes(card, table_markdown(report).encode())
        except NesassetError as error:
            raise click.ClickException(str(error)) from error
    if not as_json:
        click.echo(table_text(report))
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
