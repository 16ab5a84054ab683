"""What the judge compares: windows of real songs, and composed loops from a folder. Holds no figures."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np

from export.measures import Piece, cells_to_piece, score_to_piece
from export.prepare import load_rows
from nesasset.build.stages import Order, take
from nesasset.compose.controls import Controls
from nesasset.errors import NesassetError
from nesasset.formats import score_json
from nesasset.score import Score
from nesasset.themes import THEMES
from nesasset.vocabulary import LABELS, REST_ID

BAR_ROWS: Final = 16
WINDOWS_PER_SONG: Final = 2  # a long song does not speak for all
NONSENSE_SEEDS: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A piece and whose it is."""

    piece: Piece
    owner: str
    """The game of a real one; one of its own for a generated one."""
    label: str
    """Of vocabulary.LABELS, "" for none."""
    row_frames: float


def song_windows(folder: Path, bars: int) -> list[Item]:
    """Cut windows of whole bars from the songs in 16-row metre of a prepared split, two a song at most.

    They lie one behind the other from the song's first row on, from which its bars are counted.
    """
    rows = load_rows(folder)
    names = (folder / "names.txt").read_text(encoding="utf-8").split("\n")
    width = bars * BAR_ROWS
    items = []
    for song in np.flatnonzero(np.asarray(rows.bar_rows) == BAR_ROWS).tolist():
        a, b = int(rows.offsets[song]), int(rows.offsets[song + 1])
        cells, slots = np.asarray(rows.cells[a:b]), np.asarray(rows.slots[a:b])
        label = LABELS[int(rows.controls[song, 0])]
        game = names[song].rsplit("_", 2)[0]  # 012_AlphaMission_01_02SYDsThemeArea
        for start in range(0, len(cells) - width + 1, width)[:WINDOWS_PER_SONG]:
            before = cells_to_piece(cells[:start]).sounding[-1] if start else np.full(4, REST_ID)
            instruments = np.insert(slots[start : start + width], 2, -1, axis=1)  # the triangle has none
            piece = cells_to_piece(cells[start : start + width], BAR_ROWS, instruments, before)
            items.append(Item(piece, game, label, float(rows.row_frames[song])))
    return items


def load_scores(folder: Path) -> dict[str, Score]:
    """Return the scores of a folder by file name.

    Raises:
        click.ClickException: There is none, one cannot be read, or they come from several models.
    """
    scores = {}
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(".track.json"):
            continue
        try:
            scores[path.stem] = score_json.load(path)
        except NesassetError as error:
            raise click.ClickException(str(error)) from error
    if not scores:
        raise click.ClickException(f"{folder} holds no score JSON; fill it with --compose 400 or with nesasset compose")
    models = Counter(str(score.provenance.get("model_sha256", "no model named"))[:12] for score in scores.values())
    if len(models) > 1:
        found = ", ".join(f"{name} ({count})" for name, count in models.most_common())
        raise click.ClickException(f"{folder} holds scores of {len(models)} models: {found}; judge one model at a time")
    return scores


def score_items(scores: dict[str, Score]) -> list[Item]:
    """Return the loops of scores as items."""
    items = []
    for name, score in scores.items():
        theme = THEMES.get(score.theme or "")
        label = (theme.label or "") if theme is not None else ""
        items.append(Item(score_to_piece(score), name, label, float(np.mean(score.groove))))
    return items


def fill_folder(folder: Path, count: int, bars: int, seed: int, jobs: int, model: str | None = None, plain: bool = False) -> list[str]:
    """Compose loops into a folder, themes in turn and a seed each, and leave out what is there; return what failed."""
    from rich.console import Console
    from rich.progress import Progress

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot make the folder {folder}: {error.strerror or error}") from error
    themes = [theme.name for theme in THEMES.values() if theme.loops]
    work = []
    for index in range(count):
        theme = themes[index % len(themes)]
        path = folder / f"{seed + index:06d}-{theme}.json"
        if not path.exists():
            work.append((os.fspath(path), theme, seed + index, Controls(bars=bars, model=model, ornaments=False if plain else None)))
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(jobs, mp_context=context) as executor,
        Progress(console=Console(stderr=True)) as progress,
    ):
        results = map(_compose, work) if jobs == 1 else executor.map(_compose, work)
        return [failure for failure in progress.track(results, total=len(work), description="composing") if failure]


def compose_nonsense(path: Path, bars: int) -> dict[str, Score]:
    """Return loops that an untrained model composes, two of each looping theme, by name.

    Raises:
        click.ClickException: There is no such model.
    """
    from nesasset.compose import compose
    from nesasset.model import load_model

    names = [theme.name for theme in THEMES.values() if theme.loops]
    try:
        model = load_model(path)
        work = [(name, seed) for seed in range(NONSENSE_SEEDS) for name in names]
        return {f"{name} {seed}": compose(name, seed, Controls(bars=bars, candidates=1), model) for name, seed in work}
    except NesassetError as error:
        raise click.ClickException(str(error)) from error


def _compose(job: tuple[str, str, int, Controls]) -> str:
    """Write one certified loop; return why there is none, or nothing."""
    path, theme, seed, controls = job
    try:
        score_json.save(take(Order(Path(path).stem, theme, seed, controls)).score, path)
    except NesassetError as error:
        return str(error)
    return ""
