"""Originality, families and bridges of real pieces: every figure on one page, with pictures.

    python -m export.kin_report --loops loops --out kin [--families 12] [--bridges 6]

DIR of --loops holds looping scores, as `nesasset compose` or `export.judge --compose` writes them. Originality is measured of
all of them; families and bridges are made of the first few. Pictures go to --out; the last line is the report as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from nesasset.compose import index_of
from nesasset.compose.bridge import bridge
from nesasset.compose.family import family
from nesasset.compose.kinship import bars_in_harmony, difference, harmony_agreement, traits
from nesasset.compose.members import MEMBERS
from nesasset.compose.rewrite import excess
from nesasset.errors import NesassetError
from nesasset.formats import score_json, stack
from nesasset.model import Model, default_model
from nesasset.originality import MELODIC, Finding, Known, compare
from nesasset.score import Score

NGRAM: Final = 16


def originality_figures(scores: Mapping[str, Score], known: Known) -> dict[str, Any]:
    """Return, voice by voice, the share of all n-grams that is known, the worst piece's, and the longest passages."""
    findings = {name: compare(score, known) for name, score in scores.items()}
    report: dict[str, Any] = {"pieces": len(findings)}
    for voice in MELODIC:
        own = [found[voice] for found in findings.values()]
        shares = np.array([finding.share(NGRAM) or 0.0 for finding in own])
        hits, counts = np.array([finding.known[NGRAM] for finding in own]).reshape(-1, 2).sum(axis=0)
        longest = np.array([finding.longest for finding in own])
        report[voice] = {
            "set": float(hits / max(counts, 1)),
            "worst": float(shares.max(initial=0)),
            "over_a_fifth": int((shares > 0.2).sum()),
            "longest_median": float(np.median(longest)) if len(longest) else 0.0,
            "longest": int(longest.max(initial=0)),
        }
    report["worst_piece"] = max(findings, key=lambda name: _worst(findings[name]), default="")
    return report


def _worst(findings: Mapping[str, Finding]) -> float:
    return max(finding.share(NGRAM) or 0.0 for finding in findings.values())


def family_figures(families: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    """Return how well members agree with their parents, how far all are apart, and how often a member is told by its kind.

    Args:
        families: By piece: its members by name, the piece itself under "".
    """
    report: dict[str, Any] = {"families": len(families)}
    for member in MEMBERS:
        pairs = [(found[""], found[member]) for found in families.values() if member in found]
        same = [harmony_agreement(*pair)[0] for pair in pairs]
        bars = [float(bars_in_harmony(*pair).mean()) for pair in pairs]
        steps = [difference(*pair)["total"] for pair in pairs]
        report[member] = {"same_chords": _mean(same), "bars_in_harmony": _mean(bars), "worst_bars": min(bars, default=None), "least_difference": min(steps, default=None)}
    apart = [difference(one, other)["total"] for found in families.values() for one, other in combinations(found.values(), 2)]
    report["nearest_two"] = min(apart, default=None)
    report["told_right"] = _told_right(families)
    return report


def _told_right(families: Mapping[str, Mapping[str, Score]]) -> float | None:
    """Return the share of members whose kind is told right from how their traits differ from the parent's, by other families' means."""
    changes: list[tuple[str, str, NDArray[np.float64]]] = []
    for name, found in families.items():
        home = _vector(found[""])
        changes += [(name, member, _vector(score) - home) for member, score in found.items() if member]
    right = []
    for name, member, change in changes:
        means = {kind: np.mean([other for owner, known, other in changes if known == kind and owner != name], axis=0) for kind in MEMBERS if any(known == kind and owner != name for owner, known, _ in changes)}
        if means:
            right.append(min(means, key=lambda kind, change=change: float(((means[kind] - change) ** 2).sum())) == member)  # type: ignore[misc]
    return float(np.mean(right)) if right else None


def _vector(score: Score) -> NDArray[np.float64]:
    scales = {"tempo": 0.077, "register": 5.0, "volume": 0.345, "density": 0.405, "presence": 0.25, "timbre": 0.5}
    return np.concatenate([values / scales[name] for name, values in traits(score).items()])


def bridge_figures(bridges: Mapping[int, list[Score]]) -> dict[str, Any]:
    """Return, by length in bars, how much the worse seam surprises beyond other bar lines, and how often by half a bit at most."""
    report = {}
    for bars, found in bridges.items():
        over = [excess(score.provenance.get("seams")) for score in found]
        report[str(bars)] = {"bridges": len(over), "mean": _mean(over), "median": float(np.median(over)) if over else None, "within_half_a_bit": _mean([float(value <= 0.5) for value in over])}
    return report


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def run(folder: Path, out: Path, families: int, bridges: int, model: Model) -> dict[str, Any]:
    """Return the whole report of a folder of loops, and write its pictures."""
    scores = {path.stem: score_json.load(path) for path in sorted(folder.glob("*.json"))}
    out.mkdir(parents=True, exist_ok=True)
    known = index_of(model)
    report: dict[str, Any] = {"originality": None if known is None else originality_figures(scores, known)}
    kept: dict[str, dict[str, Score]] = {}
    for name in list(scores)[:families]:
        click.echo(f"family of {name}", err=True)
        try:
            kept[name] = {"": scores[name], **family(scores[name], seed=1, model=model)}
        except NesassetError as error:
            click.echo(f"  {error}", err=True)
    for name, found in list(kept.items())[:1]:
        stack.save({member or "as it is": score for member, score in found.items()}, name, out / "family.png")
    report["families"] = family_figures(kept)
    made: dict[int, list[Score]] = {1: [], 2: []}
    for number, (one, other) in enumerate(list(pairwise(scores))[:bridges]):
        click.echo(f"bridges from {one} to {other}", err=True)
        for bars, found_bridges in made.items():
            found_bridges.append(bridge(scores[one], scores[other], None, bars, 1, model))
        if number == 0:
            stack.save({one: scores[one], "bridge": made[2][0], other: scores[other]}, f"{one} to {other}", out / "bridge.png")
    report["bridges"] = bridge_figures(made)
    return report


@click.command()
@click.option("--loops", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Folder of score JSONs.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the pictures.")
@click.option("--families", type=click.IntRange(0), default=12, show_default=True)
@click.option("--bridges", type=click.IntRange(0), default=6, show_default=True)
def main(loops: Path, out: Path, families: int, bridges: int) -> None:
    """Print what originality, families and bridges come to."""
    report = run(loops, out, families, bridges, default_model())
    found = report["originality"]
    if found is not None:
        for voice in MELODIC:
            own = found[voice]
            click.echo(f"{voice}: {own['set']:.2%} of the {NGRAM}-grams of {found['pieces']} pieces known, worst {own['worst']:.1%}, {own['over_a_fifth']} over 20 %, longest {own['longest']} notes, median {own['longest_median']:.0f}")
    for member in MEMBERS:
        own = report["families"][member]
        if own["bars_in_harmony"] is not None:
            click.echo(f"{member}: bars in harmony {own['bars_in_harmony']:.1%}, worst {own['worst_bars']:.1%}; same chords {own['same_chords']:.1%}; differs by {own['least_difference']:.1f} steps at least")
    if report["families"]["nearest_two"] is not None:
        click.echo(f"nearest two of a family: {report['families']['nearest_two']:.1f} steps; kind told right {report['families']['told_right'] or 0:.1%}")
    for bars, own in report["bridges"].items():
        if own["mean"] is not None:
            click.echo(f"bridges of {bars}: worse seam {own['mean']:+.2f} bits a row over the interior, median {own['median']:+.2f}, {own['within_half_a_bit']:.0%} within 0.5")
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
