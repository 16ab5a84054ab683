"""`nesasset family`: the versions of a piece that a game changes between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nesasset.commands._shared import JSON_OPTION, MODEL_OPTION, asked_model, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from nesasset.audio import Audio
    from nesasset.score import Score


@click.command("family")
@click.argument("path", metavar="FILE.json")
@click.option("-o", "folder", required=True, metavar="DIR", help="Folder for the scores, FILE-calm.json and so on. -o scores")
@click.option("--members", metavar="LIST", help="Only these, of calm, danger, boss, fast, night, underwater and low-health. --members calm,boss")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what the model composes for danger and boss. --seed 3")
@MODEL_OPTION
@click.option("--plot", metavar="FILE.png", help="Also a picture of all of them, one above the other. --plot family.png")
@JSON_OPTION
def command(path: str, folder: str, members: str | None, seed: int, model: str | None, plot: str | None, as_json: bool) -> None:
    """Make the versions of a piece that a game changes between, from its score.

    All have its bars, its loop and its harmony, so that a game may go from any beat of one to the same beat of another. Printed for each: the share of half bars with the very same chord and of bars in harmony, and by how much it differs from the piece, in steps of what is sure to be noticed.

    Example: nesasset family scores/castle.json -o scores --members calm,boss
    """
    from nesasset.build import stages
    from nesasset.compose.controls import check_seed
    from nesasset.compose.family import make
    from nesasset.compose.kinship import bars_in_harmony, difference, harmony_agreement
    from nesasset.compose.members import MEMBERS, find_member
    from nesasset.driver import drive
    from nesasset.errors import ControlError
    from nesasset.formats import score_json, stack
    from nesasset.formats.files import write_bytes
    from nesasset.render import render

    check_seed(seed)
    names = list(dict.fromkeys(word.strip() for word in members.split(","))) if members is not None else list(MEMBERS)
    if not names or "" in names:
        raise ControlError(f"--members must be names as in calm,boss, not {members!r}")
    wanted = [find_member(name) for name in names]
    if plot is not None and not plot.lower().endswith(".png"):
        raise click.UsageError(f"the picture is a PNG, so its name ends in .png, not {plot!r}")
    score = score_json.load(path)
    composer = asked_model(model)

    def play(version: Score) -> Audio:
        return render(drive(version))

    made, rows, facts = {}, [], []
    with progress_bar(len(wanted), "making the family") as done:
        for member in wanted:
            take = stages.first_certified(lambda used, member=member: make(score, member, used, composer), seed, play, path, f"a {member.name} version")  # type: ignore[misc]
            version = made[member.name] = take.score
            same, _ = harmony_agreement(score, version)
            harmony, steps = float(bars_in_harmony(score, version).mean()), difference(score, version)
            rows.append((member.name, f"{version.tempo_bpm:.1f}", f"{same:.0%}", f"{harmony:.0%}", f"{steps['total']:.1f}"))
            facts.append(_facts(member.name, version, {"same_chords": round(same, 4), "bars_in_harmony": round(harmony, 4), "difference": steps}))
            done(member.name)
    place = Path(folder)
    stem = Path(path).name.removesuffix(".json")
    files = {name: place / f"{stem}-{name}.json" for name in made}
    place.mkdir(parents=True, exist_ok=True)
    for name, version in made.items():
        write_bytes(files[name], score_json.dumps(version).encode())
    if plot is not None:
        stack.save({"as it is": score, **made}, score.title or score.theme or stem, plot)
    if as_json:
        print_json({"parent": path, "members": [{**entry, "file": str(files[entry["name"]])} for entry in facts]})
        return
    print_table(("member", "tempo", "same chords", "bars in harmony", "differs by"), rows)


def _facts(name: str, score: Any, figures: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "tempo_bpm": round(score.tempo_bpm, 6), "composed": score.provenance.get("composed", []), **figures}
