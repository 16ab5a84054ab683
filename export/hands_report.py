"""What composing around given music is worth: kept melodies, infilled bars, primers and variations, on held-out songs.

    python -m export.hands_report --midi data/nesmdb_midi --tracks data/tracks.csv --library corpus/library.npz [--songs 40] [--docs docs/hands.md]

Parents are songs of NES-MDB's valid split, which the model has not been trained on, cut to a few bars, and for variations as
many composed pieces. Everything is one draft a song unless it says otherwise: what a user gets is ranked, and better.
`--docs` rewrites the table between its two marks in the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from export import docs_table
from export.control_report import spearman
from export.instruments import Library
from export.measures import consonance, score_to_piece
from export.prepare import load_tracks
from export.songs import read_frames, to_song
from export.to_score import song_to_score
from nesasset.compose import _harmony, compose
from nesasset.compose.controls import Controls
from nesasset.compose.judge import Told, line_bits
from nesasset.compose.material import to_material
from nesasset.compose.request import generator, resolve
from nesasset.compose.rewrite import carry_out
from nesasset.compose.sources import Sources, prepare, told_by
from nesasset.compose.vary import Variation, vary
from nesasset.model import Model, default_model
from nesasset.score import HOLD, REST, Note, Score
from nesasset.themes import theme
from nesasset.units import VOICES
from nesasset.vocabulary import HOLD_ID

THEME: Final = "overworld"
PARTICLES: Final = (1, 8)
BARS: Final = 16  # of a parent, at most
FEWEST_BARS: Final = 12
PRIMER_BARS: Final = 4
STRENGTHS: Final = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0)
INFILLED_BARS: Final = 4


def songs(midi: Path, tracks: Path, library: Path, count: int) -> Iterator[Score]:
    """Yield scores of held-out songs of enough bars, in an order that chance has settled, each cut to BARS bars."""
    table, shapes = load_tracks(tracks), Library.load(library)
    paths = sorted((midi / "valid").glob("*.mid"))
    found = 0
    for place in np.random.default_rng(0).permutation(len(paths)).tolist():
        song = to_song(read_frames(paths[place]), paths[place].stem, "valid", table.get(paths[place].stem))
        if isinstance(song, str):
            continue
        score = excerpt(song_to_score(song, shapes), 0, BARS)
        onsets = {voice: sum(isinstance(cell, Note) for cell in score.voices[voice]) for voice in VOICES}
        if score.n_bars < FEWEST_BARS or min(onsets["P1"], onsets["TR"]) < 2 * score.n_bars:
            continue
        yield score
        found += 1
        if found == count:
            return


def excerpt(score: Score, first: int, stop: int) -> Score:
    """Return some bars of a score as one that does not loop; whole bars only."""
    last = min(stop, score.n_rows // score.bar_rows)
    rows = range(first * score.bar_rows, last * score.bar_rows)
    groove = tuple(score.groove[row % len(score.groove)] for row in rows)
    voices = {}
    for voice in VOICES:
        part = [score.voices[voice][row] for row in rows]
        part[0] = REST if part[0] is HOLD else part[0]
        voices[voice] = tuple(part)
    return replace(score, voices=voices, groove=groove, loop=None)


def change(parent: Score, child: Score, model: Model) -> float:
    """Return how much of a score another has changed: of the cells in which either has an event, the share that differs."""
    one, other = (to_material(score, model).cells for score in (parent, child))
    either = (one != HOLD_ID) | (other != HOLD_ID)
    return float((one != other)[either].mean()) if either.any() else 0.0


def harmonised(parents: list[Score], model: Model, tick: Callable[[], None]) -> dict[str, Any]:
    """Compose the other voices around each parent's pulse 1; return shares kept, and consonance by number of particles."""
    kept: list[bool] = []
    found: dict[str, list[float]] = {"real": [value for score in parents if (value := consonance(score_to_piece(score))) is not None]}
    for number, parent in enumerate(parents):
        sources = Sources(keep=parent, keep_voices="P1")
        request = resolve(theme(THEME), number, told_by(sources, Controls(voices="P1 P2 TR NO")), model.sidecar["sampling"])
        for particles in PARTICLES:
            work = prepare(sources, request, model, _harmony(model), generator(("plan", number)))
            score, _ = carry_out(model, work, [generator(("rows", number))], particles)[0]
            kept += [_same(a, b, parent, score) for a, b in zip(parent.voices["P1"], score.voices["P1"], strict=True)]
            value = consonance(score_to_piece(score))
            if value is not None:
                found.setdefault(f"{particles} particles", []).append(value)
        score = compose(THEME, number, Controls(), model, sources)
        value = consonance(score_to_piece(score))
        if value is not None:
            found.setdefault("as composed", []).append(value)
        tick()
    return {"kept": float(np.mean(kept)), **{name: (float(np.mean(values)), _error(values)) for name, values in found.items()}}


def _same(old: object, new: object, parent: Score, child: Score) -> bool:
    if isinstance(old, Note) and isinstance(new, Note):
        return old == new and parent.instruments[old.instrument] == child.instruments[new.instrument]
    return old is new


def _error(values: list[float]) -> float:
    return float(np.std(values) / max(1, len(values)) ** 0.5)


def infilled(parents: list[Score], model: Model, tick: Callable[[], None]) -> dict[str, Any]:
    """Compose four bars of each parent anew, their place another in each; return bits a row at both seams and inside, new and real."""
    rows = {"new": [], "real": []}  # type: dict[str, list[tuple[float, float, float]]]
    for number, parent in enumerate(parents):
        start = 1 + 3 * number % (parent.n_bars - INFILLED_BARS - 1)
        child = vary(parent, number, Variation(f"{start + 1}-{start + INFILLED_BARS}"), model)
        for name, score in (("new", child), ("real", parent)):
            made = to_material(score, model)
            per = made.plan.bar_rows
            first, stop = (bar * parent.bar_rows // per for bar in (start, start + INFILLED_BARS))
            others = [bar for bar in range(1, made.plan.n_bars) if not first <= bar <= stop]
            bits = line_bits(model, made.cells, made.slots, Told.of(made.plan), [first, stop, *others], None)
            rows[name].append((float(bits[0]), float(bits[1]), float(bits[2:].mean())))
        tick()
    return {name: np.mean(values, axis=0).tolist() for name, values in rows.items()}


def continued(parents: list[Score], model: Model, tick: Callable[[], None]) -> dict[str, Any]:
    """Go on from the first bars of each parent; return bits a row of the four bars that follow, composed and real."""
    found: dict[str, list[float]] = {"real": [], "context": [], "keep": [], "another song's": []}
    for number, parent in enumerate(parents):
        primer = excerpt(parent, 0, PRIMER_BARS)
        for mode in ("context", "keep"):
            sources = Sources(primer=primer, primer_mode=mode)
            piece = compose(THEME, number, Controls(bars=12, candidates=1), model, sources)
            follows = excerpt(piece, 0 if mode == "context" else PRIMER_BARS, BARS)
            found[mode].append(_bits_after(primer, follows, model))
        found["real"].append(_bits_after(primer, excerpt(parent, PRIMER_BARS, BARS), model))
        stranger = next((other for other in (*parents[number + 1 :], *parents) if other.bar_rows == parent.bar_rows and other is not parent), None)
        if stranger is not None:
            found["another song's"].append(_bits_after(primer, excerpt(stranger, PRIMER_BARS, BARS), model))
        tick()
    return {name: (float(np.mean(values)), _error(values)) for name, values in found.items()}


def _bits_after(primer: Score, follows: Score, model: Model) -> float:
    """Return bits a row of a score's first four bars, read after a primer, by the model without plan and harmony."""
    one, other = to_material(primer, model), to_material(follows, model)
    cells = np.concatenate([one.cells, other.cells])
    slots: NDArray[np.int64] = np.concatenate([one.slots, np.full_like(other.slots, 0)])
    slots[len(one.slots) :] = np.where(other.slots >= 0, 0, -1)  # its instruments are other numbers: cells alone are judged
    lines = range(one.plan.n_bars, one.plan.n_bars + min(4, other.plan.n_bars))
    return float(line_bits(model, cells, slots, Told.of(one.plan), list(lines), None).mean())


def varied(parents: list[Score], model: Model, tick: Callable[[], None]) -> dict[str, Any]:
    """Vary parents at every strength; return Spearman of strength and change, over all and the mean of each parent's own."""
    asked: list[float] = []
    measured: list[float] = []
    own: list[float] = []
    for number, parent in enumerate(parents):
        changes = [
            change(parent, vary(parent, number, Variation(strength=strength, candidates=1), model), model) for strength in STRENGTHS
        ]
        own.append(spearman(list(STRENGTHS), changes))
        asked += STRENGTHS
        measured += changes
        tick()
    curve = [float(np.mean([m for a, m in zip(asked, measured, strict=True) if a == strength])) for strength in STRENGTHS]
    return {"over all": spearman(asked, measured), "each": float(np.mean(own)), "change": curve}


def to_markdown(figures: dict[str, Any], count: int) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| what | figure | asked for |", "|---|---|---|"]
    if "harmonised" in figures:
        part = figures["harmonised"]
        lines.append(f"| pulse 1 of {count} held-out songs kept, cells | {100 * part['kept']:.1f} % | 100 % |")
        for name in ("real", *(f"{particles} particles" for particles in PARTICLES), "as composed"):
            value, error = part[name]
            bar = ">= 0.77" if name == "as composed" else ""
            lines.append(f"| consonance of pulse 1 and triangle: {name} | {value:.3f} ± {error:.3f} | {bar} |")
    if "infilled" in figures:
        for name, (before, after, inside) in figures["infilled"].items():
            told = f"before {before - inside:+.2f}, after {after - inside:+.2f}"
            bar = "<= +0.5 each" if name == "new" else ""
            what = "composed anew" if name == "new" else "as they were"
            lines.append(f"| four bars {what}: bits a row at the seams beside the interior's {inside:.2f} | {told} | {bar} |")
    if "continued" in figures:
        for name, (value, error) in figures["continued"].items():
            lines.append(f"| bits a row of the four bars after four bars of primer: {name} | {value:.2f} ± {error:.2f} | |")
    if "varied" in figures:
        part = figures["varied"]
        lines.append(f"| strength of `vary` against measured change, Spearman over all | {part['over all']:.3f} | >= 0.9 |")
        lines.append(f"| the same, mean over parents | {part['each']:.3f} | |")
        curve = ", ".join(f"{100 * value:.0f}" for value in part["change"])
        strengths = ", ".join(f"{strength:g}" for strength in STRENGTHS)
        lines.append(f"| per cent of events changed at strengths {strengths} | {curve} | |")
    return "\n".join(lines)


PARTS: Final = {"harmonised": harmonised, "infilled": infilled, "continued": continued, "varied": varied}


@click.command()
@click.option("--midi", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Folder with valid/.")
@click.option("--tracks", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="tracks.csv.")
@click.option("--library", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="library.npz of the model.")
@click.option("--songs", "count", type=click.IntRange(2), default=40, show_default=True, help="Held-out songs.")
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True, help="Only this part; may be given again.")
@click.option("--docs", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Write the table between its marks here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(midi: Path, tracks: Path, library: Path, count: int, parts: tuple[str, ...], docs: Path | None, as_json: bool) -> None:
    """Measure composing around given music."""
    from rich.console import Console
    from rich.progress import Progress

    model = default_model()
    parents = list(songs(midi, tracks, library, count))
    figures: dict[str, Any] = {}
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for name in parts or PARTS:
            task = progress.add_task(name, total=len(parents))
            given = parents if name != "varied" else [*parents[::2], *(compose(THEME, seed, Controls(bars=8)) for seed in range(count // 2))]
            figures[name] = PARTS[name](given, model, lambda task=task: progress.advance(task))
            print(name, json.dumps(figures[name]), file=sys.stderr, flush=True)
    table = to_markdown(figures, len(parents))
    if docs is not None:
        docs_table.write(docs, "hands", table)
    click.echo(json.dumps(figures, indent=1) if as_json else table)


if __name__ == "__main__":
    main()
