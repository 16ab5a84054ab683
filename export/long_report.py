"""Does a long piece keep its quality? Pieces of ten minutes, measured minute by minute beside real music.

    python -m export.long_report --real corpus/valid [--pieces 8] [--minutes 10] [--seed 0] [--json]

A piece is cut into windows of sixteen bars, and every window is measured as the judge measures loops, with the bits a row
that the model finds in it without knowing its plan. A window counts for the minute in which it begins. Real are windows of
the songs of a prepared split. What falls off with the minutes is what the model forgets: its context is shorter than they are.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from export.judging.seams import Loop, score_loop, split_loops
from export.judging.sides import song_windows
from export.measures import MEASURES, Piece, mean_measures, score_to_piece
from nesasset.compose import compose
from nesasset.compose.controls import BARS_RANGE, Controls
from nesasset.compose.judge import surprisal
from nesasset.model import Model, default_model
from nesasset.themes import THEMES

WINDOW_BARS: Final = 16
SHOWN: Final = (
    "exact_bar_repeat_rate",
    "best_lag_similarity",
    "scale_consistency",
    "consonance",
    "pitch_class_entropy",
    "melodic_density",
    "step_rate",
    "empty_beat_rate",
)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Sixteen bars of a piece."""

    minute: int
    piece: Piece
    bits: float
    """Bits a row of cells after bar lines inside."""


def bits_inside(model: Model, loop: Loop) -> float:
    """Return what the model finds surprising inside rows that need not go round, bits a row."""
    _, interior = surprisal(model, loop.cells, loop.slots, loop.told)
    return float(interior)


def long_piece(model: Model, theme: str, seed: int, minutes: float) -> list[Window]:
    """Compose a piece that lasts so many minutes, or the most bars there may be, and return its windows."""
    tempo = THEMES[theme].tempo_bpm
    bars = min(BARS_RANGE[1], round(minutes * tempo / 4))
    score = compose(theme, seed, Controls(bars=bars, candidates=1), model)
    whole, loop = score_to_piece(score), score_loop(score, model)
    assert loop is not None  # a looping theme in bars of 12 or 16 rows
    rows = WINDOW_BARS * score.bar_rows
    windows = []
    for start in range(0, len(whole.cells) - rows + 1, rows):
        part = slice(start, start + rows)
        piece = replace(whole, cells=whole.cells[part], sounding=whole.sounding[part], instruments=whole.instruments[part])
        inside = replace(loop, cells=loop.cells[part], slots=loop.slots[part])
        minute = int(score.row_frame(start) / 3600)
        windows.append(Window(minute, piece, bits_inside(model, inside)))
    return windows


def summarise(windows: list[Window]) -> dict[str, float | None]:
    """Return the mean of each shown measure, the bits, and how many windows there are."""
    means = mean_measures([window.piece for window in windows])
    return {**{name: means[name] for name in SHOWN}, "bits": float(np.mean([w.bits for w in windows])), "windows": len(windows)}


def drift(windows: list[Window]) -> dict[str, float]:
    """Return the correlation of each measure with the minute, over all windows; 0 where it never varies."""
    minutes = np.array([window.minute for window in windows], dtype=np.float64)
    out = {}
    for name in (*SHOWN, "bits"):
        values = np.array([w.bits if name == "bits" else np.nan if (v := MEASURES[name](w.piece)) is None else v for w in windows])
        known = np.isfinite(values)
        spread = values[known].std() * minutes[known].std() if known.any() else 0.0
        out[name] = float(np.corrcoef(values[known], minutes[known])[0, 1]) if spread > 0 else 0.0
    return out


def to_markdown(report: dict[str, Any]) -> str:
    """Return the report as a Markdown table."""
    names = [*SHOWN, "bits", "windows"]
    lines = ["| | " + " | ".join(name.replace("_", " ") for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for label, row in report["rows"].items():
        cells = ["-" if row.get(name) is None else str(row[name]) if name == "windows" else f"{row[name]:.3f}" for name in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines.append("| correlation with the minute | " + " | ".join(f"{report['drift'][name]:+.3f}" for name in names[:-1]) + " | |")
    return "\n".join(lines)


@click.command()
@click.option("--real", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="A prepared split, e.g. corpus/valid.")
@click.option("--pieces", type=click.IntRange(1), default=8, show_default=True, help="Themes take turns.")
@click.option("--minutes", type=click.FloatRange(1, 60), default=10.0, show_default=True, help="Of each piece, as far as 512 bars go.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first piece.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(real: Path, pieces: int, minutes: float, seed: int, as_json: bool) -> None:
    """Measure long pieces minute by minute."""
    from rich.console import Console
    from rich.progress import track

    model = default_model()
    themes = [theme.name for theme in THEMES.values() if theme.loops]
    console = Console(stderr=True)
    turns = track(range(pieces), "composing", console=console, disable=not sys.stderr.isatty())
    windows = [window for place in turns for window in long_piece(model, themes[place % len(themes)], seed + place, minutes)]
    songs = [item.piece for item in song_windows(real, WINDOW_BARS)]
    loops = split_loops(real)
    rows: dict[str, dict[str, float | None]] = {}
    for minute in sorted({window.minute for window in windows}):
        rows[f"minute {minute + 1}"] = summarise([window for window in windows if window.minute == minute])
    means = mean_measures(songs)
    bits = float(np.mean([bits_inside(model, loop) for loop in loops])) if loops else None
    rows["real"] = {**{name: means[name] for name in SHOWN}, "bits": bits, "windows": len(songs)}
    report = {"rows": rows, "drift": drift(windows), "minutes": minutes, "pieces": pieces, "seed": seed}
    click.echo(json.dumps(report, indent=1) if as_json else to_markdown(report))


if __name__ == "__main__":
    main()
