"""`nesasset leitmotif`: the passage that scores have in common."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nesasset.commands._shared import JSON_OPTION, print_json, print_table

if TYPE_CHECKING:
    from nesasset.motifs import Passage, Place
    from nesasset.score import Score


@click.command("leitmotif")
@click.argument("paths", nargs=-1, required=True, metavar="FILE.json|DIR...")
@click.option("-o", "output", metavar="FILE.png", help="Also a picture of all scores, one above the other, the passage marked. -o leitmotif.png")
@JSON_OPTION
def command(paths: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Find the longest passage that all scores have in common, in any voice, key and mode.

    The search is blind: it knows nothing of the motif that the scores were composed with. A passage has at least eight notes, with the same steps and leaps and the same rows from each to the next.

    Example: nesasset leitmotif scores -o leitmotif.png
    """
    from nesasset.errors import FormatError
    from nesasset.formats import score_json, stack
    from nesasset.motifs import FEWEST_NOTES, find_common

    if output is not None and not output.lower().endswith(".png"):
        raise click.UsageError(f"the picture is a PNG, so its name ends in .png, not {output!r}")
    files: list[Path] = []
    for name in paths:
        found = sorted(Path(name).glob("*.json")) if Path(name).is_dir() else [Path(name)]
        if not found:
            raise FormatError(f"there is no score in {name}: a folder's scores are its files *.json")
        files += found
    files = list(dict.fromkeys(files))
    if len(files) < 2:
        raise click.UsageError(f"two scores at least have something in common, not {len(files)}; name more of them, or a folder")
    scores = {str(file): score_json.load(file) for file in files}
    passage = find_common(scores)
    if output is not None:
        marks = {} if passage is None else {name: [(place.row, place.end, min(place.pitches), max(place.pitches)) for place in places] for name, places in passage.places.items()}
        stack.save(scores, "Leitmotif", output, marks=marks)
    if as_json:
        print_json(None if passage is None else _facts(passage, scores))
        return
    if passage is None:
        click.echo(f"the {len(scores)} scores have no passage of {FEWEST_NOTES} notes in common")
        return
    first = next(iter(scores))
    click.echo(f"{passage.notes} notes in all {len(scores)} scores, as {first} has them: {_text(passage.places[first][0])}")
    print_table(("score", "times", "where"), [(name, len(places), _where(scores[name], places)) for name, places in passage.places.items()])


def _text(place: Place) -> str:
    """Return the notes of a passage as they stand in one place, in the way of motifs; the last is as long as a row."""
    from nesasset.compose.motif import pitch_text

    lengths = [b - a for a, b in zip(place.rows, (*place.rows[1:], place.end), strict=True)]
    return " ".join(f"{pitch_text(pitch)}/{rows}" for pitch, rows in zip(place.pitches, lengths, strict=True))


def _where(score: Score, places: tuple[Place, ...]) -> str:
    bars: dict[str, list[str]] = {}
    for place in places:
        bars.setdefault(place.voice, []).append(str(place.row // score.bar_rows + 1))
    return "; ".join(f"{voice} bar{'s' * (len(found) > 1)} {', '.join(found)}" for voice, found in bars.items())


def _facts(passage: Passage, scores: dict[str, Score]) -> dict[str, object]:
    return {
        "notes": passage.notes,
        "scores": [
            {
                "file": name,
                "times": len(places),
                "voices": dict(Counter(place.voice for place in places)),
                "places": [{"voice": place.voice, "bar": place.row // scores[name].bar_rows + 1, "row": place.row, "notes": _text(place)} for place in places],
            }
            for name, places in passage.places.items()
        ],
    }
