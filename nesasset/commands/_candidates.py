"""Many scores at once: numbered files, their figures in a table, one picture to choose from. Composes nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nesasset.commands._shared import print_json, print_table, progress_bar

if TYPE_CHECKING:
    from nesasset.build.stages import Take

COUNT_RANGE: Final = (1, 99)
COUNT_OPTION = click.option(
    "--count", type=click.IntRange(*COUNT_RANGE), default=None, metavar="N",
    help="Make N pieces, with the seed and those that follow it, rank them, and draw NAME.png to choose from. --count 6",
)  # fmt: skip


def check_output(output: str, as_json: bool, count: int | None) -> None:
    """Refuse an output that is no score file, or standard output where it has no place."""
    if output == "-" and (as_json or count is not None):
        what = "--json cannot print there too" if as_json else "--count, which writes several files, needs -o NAME.json"
        raise click.UsageError(f"-o - prints the score on standard output, so {what}")
    if output != "-" and not output.lower().endswith(".json"):
        raise click.UsageError(f"a score is saved as FILE.json, not {output!r}; nesasset render makes other formats")


def save_candidates(make: Callable[[int], Take], seed: int, count: int, output: str, title: str, as_json: bool) -> None:
    """Make takes with successive seeds, save them as NAME-1.json … from the best on, and NAME.png; print their figures.

    Args:
        make: Makes a take from a seed.
        seed: The first.
        count: How many.
        output: NAME.json.
        title: Of the picture.
        as_json: Whether figures are printed for programs.
    """
    from nesasset.compose.rewrite import badness
    from nesasset.formats import contact_sheet, score_json

    takes = []
    with progress_bar(count, "composing") as tick:
        for number in range(count):
            takes.append((seed + number, make(seed + number)))
            tick(f"{number + 1} of {count}")
    takes.sort(key=lambda item: (badness(dict(item[1].score.provenance)), item[0]))
    stem = output[: -len(".json")]
    rows = []
    for rank, (asked, take) in enumerate(takes, start=1):
        path = f"{stem}-{rank}.json"
        score_json.save(take.score, path)
        rows.append({"file": path, "rank": rank, "seed": asked, "seed_used": take.seed, **_figures(take)})
    picture = f"{stem}.png"
    entries = [
        contact_sheet.Entry(Path(row["file"]).stem, take.score, (f"seed {row['seed']}", *_words(row)))
        for row, (_, take) in zip(rows, takes, strict=True)
    ]
    contact_sheet.save(title, entries, picture, (f"{count} pieces, the one that hangs together best first",))
    if as_json:
        print_json({"candidates": rows, "picture": picture})
        return
    head = ("file", "seed", "bars", "tempo", "seam", "new", "interior", "known", "notes")
    print_table(head, [tuple(_cell(row, name) for name in head) for row in rows])
    click.echo(f"picture  {picture}")


def _figures(take: Take) -> dict[str, Any]:
    """Return the figures of a take: bits a row at the loop's seam, where what is new begins and ends, and inside; the share of known passages of 16 notes."""
    from nesasset.score import Note

    score, told = take.score, take.score.provenance
    whole, seams = told.get("surprisal") or {}, told.get("seams") or {}
    edges = [seams[name] for name in ("before", "after") if name in seams]
    return {
        "bars": score.n_bars,
        "tempo": round(score.tempo_bpm, 1),
        "seam": whole.get("seam"),
        "new": max(edges, default=None),
        "interior": whole.get("interior"),
        "known": (told.get("originality") or {}).get("known_16"),
        "notes": sum(isinstance(cell, Note) for part in score.voices.values() for cell in part),
        "certificate": take.certificate.passed,
    }


def _words(row: dict[str, Any]) -> list[str]:
    names = {"seam": "seam", "new": "new parts' seams", "interior": "interior"}
    return [f"{words} {row[name]:.2f}" for name, words in names.items() if row[name] is not None]


def _cell(row: dict[str, Any], name: str) -> object:
    value = row[name]
    if value is None:
        return "-"
    if name == "known":
        return f"{100 * value:.0f} %"
    return Path(value).name if name == "file" else f"{value:.2f}" if isinstance(value, float) and name != "tempo" else value
