"""Compose many loops, play and certify each, and print what they look like beside real music.

    python -m export.loop_report --real corpus/valid [--count 200] [--bars 16] [--seed 0] [-j 2] [--json]

The looping themes take turns; every loop has a seed of its own. A loop whose certificate fails is composed again with the
next seed of its sequence, as `nesasset compose` and `build` do it; how often is printed, and its cost counts. The real
figures are windows of as many bars from the songs of a prepared split, and for the seam the true loops of its songs,
measured by the same code. Progress goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from export.measures import (
    MEASURES,
    Piece,
    cells_to_piece,
    fallen_silent,
    is_degenerate,
    mean_measures,
    measure,
    melody_key,
    score_to_piece,
)
from export.prepare import load_rows
from nesasset.build.stages import seeds
from nesasset.certificate import certify
from nesasset.compose.controls import Controls
from nesasset.driver import drive
from nesasset.errors import NesassetError
from nesasset.render import render
from nesasset.score import Score
from nesasset.themes import THEMES
from nesasset.vocabulary import REST_ID

Composer = Callable[[str, int, Controls], Score]
SAMPLE_RATE_HZ: Final = 44_100
WINDOWS_PER_SONG: Final = 2  # a long song does not speak for all
BAR_ROWS: Final = 16
# The bars: lowest and highest value that meets each, None for no limit.
BARS: Final[dict[str, tuple[float | None, float | None]]] = {
    "certificates_passed": (1.0, None),  # share of the loops
    "degenerate": (None, 0),
    "distinct_melodies": (1.0, None),  # share of the loops
    "exact_bar_repeat_rate": (0.15, 0.28),
    "best_lag_similarity": (0.50, 0.68),
    "scale_consistency": (0.89, 0.95),
    "consonance": (0.74, None),
    "seam_less_interior_bits": (None, 0.5),
    "compose_cpu_s": (None, 0.6),
    "render_times_real_time": (30.0, None),
}


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """What is known of one loop."""

    theme: str
    seed: int
    failures: tuple[str, ...]
    """Names of the certificate's rules that do not hold, or the error that kept the loop from being made."""
    first_failures: tuple[str, ...]
    """The same of the first seed's loop."""
    attempts: int
    """Seeds tried."""
    measures: dict[str, float | None]
    degenerate: bool
    fallen_silent: tuple[str, ...]
    melody: str
    transposed_melody: str
    """The melody counted from its first note: the same for a transposed one."""
    seam_bits: float | None
    interior_bits: float | None
    compose_cpu_s: float
    render_cpu_s: float
    audio_s: float


def examine(theme: str, seed: int, controls: Controls, compose: Composer) -> Loop:
    """Compose a loop until one passes its certificate, and measure it; an expected error makes a loop that failed for it."""
    compose_s = render_s = audio_s = 0.0
    first: tuple[str, ...] | None = None
    for attempt, number in enumerate(seeds(seed), start=1):
        started = time.process_time()
        try:
            score = compose(theme, number, controls)
        except NesassetError as error:
            spent = time.process_time() - started
            nothing: dict[str, float | None] = dict.fromkeys(MEASURES)
            why = (f"{type(error).__name__}: {error}",)
            return Loop(theme, seed, why, first or why, attempt, nothing, True, (), "", "", None, None, spent, 0, 0)
        composed = time.process_time()
        log = drive(score)
        before_render = time.process_time()
        audio = render(log, SAMPLE_RATE_HZ)
        render_s += time.process_time() - before_render
        compose_s += composed - started
        audio_s += audio.seconds
        failures = tuple(check.name for check in certify(score, audio).failures)
        first = failures if first is None else first
        if not failures:
            break
    piece = score_to_piece(score)
    surprisal = score.provenance.get("surprisal") or {}
    return Loop(
        theme=theme,
        seed=seed,
        failures=failures,
        first_failures=first or (),
        attempts=attempt,
        measures=measure(piece),
        degenerate=is_degenerate(piece),
        fallen_silent=fallen_silent(piece),
        melody=melody_key(piece, relative=False),
        transposed_melody=melody_key(piece),
        seam_bits=surprisal.get("seam"),
        interior_bits=surprisal.get("interior"),
        compose_cpu_s=compose_s,
        render_cpu_s=render_s,
        audio_s=audio_s,
    )


def real_surprisal(folder: Path, least_bars: int = 8) -> list[tuple[float, float]]:
    """Return (seam, interior) bits a row of the true loops of a prepared split, by the judge that ranks our own."""
    from nesasset.compose.judge import Told, surprisal
    from nesasset.model import load_model

    model, rows = load_model(), load_rows(folder)
    found = []
    for song, (start, end) in enumerate(np.asarray(rows.loops).tolist()):
        bar_rows = int(rows.bar_rows[song])
        if start < 0 or (end - start) % bar_rows or end - start < least_bars * bar_rows:
            continue
        a = int(rows.offsets[song])
        cells, slots = np.asarray(rows.cells[a : a + end]), np.asarray(rows.slots[a : a + end])
        palettes = np.asarray(rows.pulse_palette[song]), np.asarray(rows.noise_palette[song])
        controls = np.asarray(rows.controls[song])
        found.append(surprisal(model, cells.astype(np.int64), slots.astype(np.int64), Told(bar_rows, controls, *palettes), start))
    return found


def real_windows(folder: Path, bars: int, per_song: int = WINDOWS_PER_SONG) -> list[Piece]:
    """Cut windows of whole bars from the songs in 16-row metre of a prepared split.

    Args:
        folder: What `export.prepare` wrote for a split.
        bars: Length of a window.
        per_song: How many windows a song may give, from its first row on, one behind the other.
    """
    rows = load_rows(folder)
    width = bars * BAR_ROWS
    windows = []
    for song in np.flatnonzero(np.asarray(rows.bar_rows) == BAR_ROWS).tolist():
        a, b = int(rows.offsets[song]), int(rows.offsets[song + 1])
        cells, slots = np.asarray(rows.cells[a:b]), np.asarray(rows.slots[a:b])
        for start in range(0, len(cells) - width + 1, width)[:per_song]:
            before = cells_to_piece(cells[:start]).sounding[-1] if start else np.full(4, REST_ID)
            instruments = np.insert(slots[start : start + width], 2, -1, axis=1)  # the triangle has none
            windows.append(cells_to_piece(cells[start : start + width], BAR_ROWS, instruments, before))
    return windows


def summarise(
    loops: list[Loop], windows: list[Piece], real_seams: list[tuple[float, float]] | None = None
) -> dict[str, Any]:
    """Return the report's figures as JSON values."""
    made = [loop for loop in loops if loop.melody]
    seams = [
        (loop.seam_bits, loop.interior_bits)
        for loop in made
        if loop.seam_bits is not None and loop.interior_bits is not None
    ]
    usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    measured = {
        name: _mean([value for loop in made if (value := loop.measures[name]) is not None]) for name in MEASURES
    }
    figures: dict[str, Any] = {
        "certificates_passed": sum(not loop.failures for loop in loops),
        "passed_at_first": sum(not loop.first_failures for loop in loops),
        "seeds_tried": sum(loop.attempts for loop in loops),
        "degenerate": sum(loop.degenerate for loop in loops),
        "with_a_voice_fallen_silent": sum(bool(loop.fallen_silent) for loop in made),
        "distinct_melodies": len({loop.melody for loop in made}),
        "distinct_transposed_melodies": len({loop.transposed_melody for loop in made}),
        **measured,
        "seam_bits": _mean([seam for seam, _ in seams]),
        "interior_bits": _mean([interior for _, interior in seams]),
        "seam_less_interior_bits": _mean([seam - interior for seam, interior in seams]),
        "compose_cpu_s": _mean([loop.compose_cpu_s for loop in made]),
        "compose_cpu_s_median": float(np.median([loop.compose_cpu_s for loop in made])) if made else None,
        "render_cpu_s": _mean([loop.render_cpu_s for loop in made]),
        "render_times_real_time": _quotient(
            sum(loop.audio_s for loop in made), sum(loop.render_cpu_s for loop in made)
        ),
        "peak_memory_mib": max(usage) / (1024 if sys.platform != "darwin" else 1024 * 1024),
    }
    real = {
        **mean_measures(windows),
        "degenerate": sum(is_degenerate(piece) for piece in windows),
        "with_a_voice_fallen_silent": sum(bool(fallen_silent(piece)) for piece in windows),
        "distinct_melodies": len({melody_key(piece, relative=False) for piece in windows}),
        "distinct_transposed_melodies": len({melody_key(piece) for piece in windows}),
        "seam_bits": _mean([seam for seam, _ in real_seams or []]),
        "interior_bits": _mean([interior for _, interior in real_seams or []]),
        "seam_less_interior_bits": _mean([seam - interior for seam, interior in real_seams or []]),
    }
    return {
        "loops": len(loops),
        "real_windows": len(windows),
        "figures": figures,
        "real": real,
        "bars": {name: _verdict(name, figures[name], len(loops)) for name in BARS},
        "failures": dict(Counter(why for loop in loops for why in loop.first_failures).most_common()),
        "failed": [f"{loop.theme} {loop.seed}" for loop in loops if loop.failures],
        "degenerate_loops": [f"{loop.theme} {loop.seed}" for loop in loops if loop.degenerate],
    }


def _verdict(name: str, value: float | None, count: int) -> dict[str, Any]:
    low, high = BARS[name]
    if name in ("certificates_passed", "distinct_melodies"):
        low = count
    met = None if value is None else (low is None or value >= low) and (high is None or value <= high)
    if low is None or high is None:
        limits = f"<= {high:g}" if low is None else f">= {low:g}"
    else:
        limits = f"{low:g} to {high:g}"
    return {"bar": limits, "met": met}


_WORDS: Final = {True: "met", False: "MISSED", None: "not measured"}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _quotient(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"


def table(summary: dict[str, Any]) -> str:
    """Return the report as text: every figure, the real one beside it, its bar."""
    lines = [
        f"{summary['loops']} loops, {summary['real_windows']} real windows",
        f"{'':32}{'loops':>10}{'real':>10}  bar",
    ]
    for name, value in summary["figures"].items():
        bar = summary["bars"].get(name)
        verdict = f"{bar['bar']:>14}  {_WORDS[bar['met']]}" if bar else ""
        lines.append(
            f"{name.replace('_', ' '):32}{_shown(value):>10}{_shown(summary['real'].get(name)):>10}  {verdict}".rstrip()
        )
    for why, count in summary["failures"].items():
        lines.append(f"{count} failed at first: {why}")
    if summary["failed"]:
        lines.append("without a certificate: " + ", ".join(summary["failed"]))
    if summary["degenerate_loops"]:
        lines.append("degenerate: " + ", ".join(summary["degenerate_loops"]))
    return "\n".join(lines)


def _model_composer(theme: str, seed: int, controls: Controls) -> Score:
    from nesasset.build.stages import compose_score  # loads the model once a process

    return compose_score(theme, seed, controls)


def _work(job: tuple[str, int, Controls]) -> Loop:
    return examine(*job, compose=_model_composer)


def _warm_up(controls: Controls) -> None:
    """Load the model, so that no loop's time holds it."""
    with contextlib.suppress(NesassetError):  # every loop will say the same
        _model_composer(next(iter(THEMES)), 0, controls)


@click.command()
@click.option("--count", type=click.IntRange(1), default=200, show_default=True, help="Loops to compose.")
@click.option("--bars", type=click.IntRange(1, 64), default=16, show_default=True, help="Bars of each loop.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first loop; each has the next."
)
@click.option(
    "--real",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="A prepared split, such as corpus/valid.",
)
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def main(count: int, bars: int, seed: int, real: Path, jobs: int, as_json: bool) -> None:
    """Compose loops over all looping themes and print their certificates, measures and costs."""
    from rich.console import Console
    from rich.progress import Progress

    themes = [theme.name for theme in THEMES.values() if theme.loops]
    controls = Controls(bars=bars)
    work = [(themes[index % len(themes)], seed + index, controls) for index in range(count)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_warm_up, initargs=(controls,)) as executor:
        if jobs == 1:
            _warm_up(controls)
        results = map(_work, work) if jobs == 1 else executor.map(_work, work)
        with Progress(console=Console(stderr=True)) as progress:
            loops = list(progress.track(results, total=count, description="loops"))
    summary = summarise(loops, real_windows(real, bars), real_surprisal(real))
    click.echo(json.dumps(summary, indent=1) if as_json else table(summary))


if __name__ == "__main__":
    main()
