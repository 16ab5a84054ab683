"""Leitmotifs that can be heard: packs composed around a motif, and a search that knows nothing of it.

    python -m export.leitmotif_report -o leitmotifs [--docs docs/families.md] [--picture docs/media/leitmotif.png] [--seed 1] [--rounds 3]

Packs of eight tracks with an invented motif, with another one, and without, keys along an arc; each kind several times, with other
seeds. Scores go to -o. Figures: what the blind search finds in each pack, how the bars of the motif sound and join beside others, and
what a motif costs.
`--docs` rewrites the table between its two marks in the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time
from typing import Any, Final

import click
import numpy as np

from export import docs_table
from export.hands_report import excerpt
from export.measures import consonance, score_to_piece
from nesasset.build.arc import Arc, along
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.judge import Told, line_bits
from nesasset.compose.leitmotif import invent
from nesasset.compose.material import to_material
from nesasset.compose.motif import Motif, motif_text
from nesasset.formats import canvas, score_json, stack
from nesasset.model import Model, default_model
from nesasset.motifs import Passage, find_common, line_symbols, places
from nesasset.score import Score

LEVELS: Final = ("overworld", "cave", "town", "castle", "boss", "water", "title", "ending")
KINDS: Final = {"first": ("title", "fifths"), "second": ("overworld", "rising"), "without": (None, "fifths")}
BARS: Final = 16
HALF: Final = 8  # the bar of the motif's second place
PICTURE_BARS: Final = 12


Pack = Mapping[str, Score]
"""Tracks by level."""


def compose_pack(motif: Motif | None, keys: str, seed: int, model: Model, tick: Callable[[], None]) -> tuple[Pack, float]:
    """Return a pack's tracks by level, and the seconds of processor time that composing them took."""
    arc = Arc(LEVELS, 0, keys)
    made, spent = {}, 0.0
    for number, level in enumerate(LEVELS):
        controls = along(arc, level, level, Controls(bars=BARS, motif=None if motif is None else motif_text(motif)))
        begun = process_time()
        made[level] = compose(level, 100 * seed + number, controls, model)
        spent += process_time() - begun
        tick()
    return made, spent


def symbols_of(motif: Motif) -> tuple[int, ...]:
    """Return the pairs of a motif as the search tells them."""
    line = motif.cells()
    rows = [row for row, cell in enumerate(line.tolist()) if cell > 1]
    return tuple(line_symbols(np.array(rows), np.array(motif.pitches)).tolist())


def found_in(packs: Mapping[str, list[Pack]], kind: str, motif: Motif | None) -> list[dict[str, Any]]:
    """Return for each pack of a kind what the blind search finds in it, whether that is the motif, and where else it stands."""
    others = [score for other, found in packs.items() if other != kind for tracks in found for score in tracks.values()]
    report = []
    for passage in map(find_common, packs[kind]):
        if passage is None:
            report.append({"notes": 0})
            continue
        there = motif is not None and all(_has(motif, passage.symbols, found) for found in passage.places.values())
        times = [len(found) for found in passage.places.values()]
        sought = symbols_of(motif) if motif is not None and there else passage.symbols
        elsewhere = sum(bool(list(places(sought, score))) for score in others)
        report.append({"notes": passage.notes, "is_motif": there, "times": times, "in_others": elsewhere, "others": len(others)})
    return report


def _has(motif: Motif, symbols: tuple[int, ...], found: tuple[Any, ...]) -> bool:
    """Return whether a passage of these pairs has in some place all notes of a motif, in one of its modes, moved as a whole.

    It may have more: what goes on alike in all tracks of a pack belongs to what they have in common.
    """
    own = symbols_of(motif)
    starts = [start for start in range(len(symbols) - len(own) + 1) if symbols[start : start + len(own)] == own]
    lines = [np.array(motif.in_mode(minor).pitches) for minor in (False, True)]
    cuts = [np.array(place.pitches[start : start + len(own) + 1]) for place in found for start in starts]
    return any(len(cut) == len(line) and np.ptp(cut - line) == 0 for cut in cuts for line in lines)


def consonances(scores: list[Score], bars: int) -> dict[str, float | None]:
    """Return the mean consonance of pulse 1 and triangle in the bars where a motif of so many bars stands, and in all others."""
    told: dict[str, list[float]] = {"motif": [], "others": []}
    for score in scores:
        for first, stop, where in ((0, bars, "motif"), (bars, HALF, "others"), (HALF, HALF + bars, "motif"), (HALF + bars, BARS, "others")):
            value = consonance(score_to_piece(excerpt(score, first, stop)))
            if value is not None:
                told[where].append(value)
    return {where: float(np.mean(values)) if values else None for where, values in told.items()}


def seams(scores: list[Score], bars: int, model: Model) -> dict[str, float]:
    """Return by how many bits a row bars cost more than others do: the one in which a motif comes again, and those behind it."""
    over: dict[str, list[float]] = {"into": [], "out of": []}
    for score in scores:
        made = to_material(score, model)
        out = [bars, HALF + bars]
        others = [bar for bar in range(1, BARS) if bar not in (HALF, *out) and bar not in range(bars) and bar not in range(HALF, HALF + bars)]
        bits = line_bits(model, made.cells, made.slots, Told.of(made.plan), [HALF, *out, *others], 0)
        interior = float(bits[3:].mean())
        over["into"].append(float(bits[0]) - interior)
        over["out of"].append(float(bits[1:3].mean()) - interior)
    return {name: float(np.mean(values)) for name, values in over.items()}


def to_markdown(report: Mapping[str, Any]) -> str:
    """Return the report as a Markdown table."""
    kinds = [report[kind] for kind in KINDS]
    count = len(kinds[0]["found"])
    lines = [f"| what | a motif, {count} packs | another, {count} packs | none, {count} packs |", "|---|---|---|---|"]

    def row(what: str, *values: str) -> None:
        lines.append(f"| {what} | {' | '.join(values)} |")

    row("the motif", *(f"`{own['motif']}`" if own["motif"] else "" for own in kinds))
    row("notes of the longest passage in all eight tracks, found blind", *(", ".join(str(found["notes"] or "none") for found in own["found"]) for own in kinds))
    row("packs in which that has the motif, note for note in every track", *(f"{sum(found['is_motif'] for found in own['found'])} of {count}" if own["motif"] else "" for own in kinds))
    row("times in a track: fewest, mean, most", *(_times([time for found in own["found"] for time in found.get("times", ())]) for own in kinds))
    row("tracks of the other packs that have it", *(f"{sum(found['in_others'] for found in own['found'])} of {sum(found['others'] for found in own['found'])}" if own["motif"] else "" for own in kinds))
    row("pieces in the key that was asked for, by all their notes", *(f"{own['in_key']:.0%}" for own in kinds))
    row("consonance of pulse 1 and triangle, the motif's bars", *(_number(own["consonance"]["motif"]) for own in kinds))
    row("the same, other bars", *(_number(own["consonance"]["others"]) for own in kinds))
    row("bits a row over other bars: where the motif comes again", *(f"{own['seams']['into']:+.2f}" for own in kinds))
    row("the same, behind it", *(f"{own['seams']['out of']:+.2f}" for own in kinds))
    row("the loop's seam, over the interior", *(f"{own['loop']:+.2f}" for own in kinds))
    row("composing, processor time beside none", *(f"{own['cost']:.2f}" for own in kinds))
    return "\n".join(lines)


def _times(times: list[int]) -> str:
    return f"{min(times)}, {np.mean(times):.1f}, {max(times)}" if times else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def draw(scores: Pack, passage: Passage | None, path: Path) -> None:
    """Write a picture of a pack with the passage framed."""
    marks = {} if passage is None else {name: [(place.row, place.end, min(place.pitches), max(place.pitches)) for place in found] for name, found in passage.places.items()}
    image = stack.draw(scores, "One motif in eight tracks", PICTURE_BARS, marks)
    canvas.save_png(image, path)


def run(out: Path, seed: int, rounds: int, model: Model, tick: Callable[[], None]) -> tuple[dict[str, Any], dict[str, list[Pack]]]:
    """Return the whole report by kind of pack, and the packs, whose tracks are saved."""
    packs: dict[str, list[Pack]] = {}
    motifs: dict[str, Motif | None] = {}
    seconds: dict[str, float] = {}
    for number, (kind, (theme, keys)) in enumerate(KINDS.items()):
        motifs[kind] = None if theme is None else invent(theme, seed + number, model)
        made = [compose_pack(motifs[kind], keys, seed + again, model, tick) for again in range(rounds)]
        packs[kind], seconds[kind] = [tracks for tracks, _ in made], sum(spent for _, spent in made)
        for again, tracks in enumerate(packs[kind], start=1):
            folder = out / f"{kind}-{again}"
            folder.mkdir(parents=True, exist_ok=True)
            for level, score in tracks.items():
                score_json.save(score, folder / f"{level}.json")
    report: dict[str, Any] = {}
    for kind, motif in motifs.items():
        bars = 2 if motif is None else -(-motif.rows // 16)
        scores = [score for tracks in packs[kind] for score in tracks.values()]
        told = [score.provenance for score in scores]
        report[kind] = {
            "motif": "" if motif is None else motif_text(motif),
            "found": found_in(packs, kind, motif),
            "in_key": float(np.mean([entry["key"].split()[0] == entry["controls"]["key"] for entry in told])),
            "consonance": consonances(scores, bars),
            "seams": seams(scores, bars, model),
            "loop": float(np.mean([entry["surprisal"]["seam"] - entry["surprisal"]["interior"] for entry in told])),
            "cost": seconds[kind] / seconds["without"],
        }
    return report, packs


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for the scores.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of motifs and tracks.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Packs of each kind.")
@click.option("--docs", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Write the table between its marks here.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the first pack here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(out: Path, seed: int, rounds: int, docs: Path | None, picture: Path | None, as_json: bool) -> None:
    """Compose packs with motifs and find them again."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("composing", total=rounds * len(KINDS) * len(LEVELS))
        report, packs = run(out, seed, rounds, default_model(), lambda: progress.advance(task))
    table = to_markdown(report)
    if docs is not None:
        docs_table.write(docs, "leitmotif", table)
    if picture is not None:
        draw(packs["first"][0], find_common(packs["first"][0]), picture)
    click.echo(json.dumps(report, indent=1) if as_json else table)


if __name__ == "__main__":
    main()
