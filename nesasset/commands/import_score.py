"""`nesasset import`: a score from a tracker's text, a MIDI file or MusicXML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nesasset.commands._shared import JSON_OPTION, print_facts, print_json
from nesasset.commands._sources import IMPORTED, suffix_of

if TYPE_CHECKING:
    from nesasset.score import Score



@click.command("import")
@click.argument("source", metavar="FILE")
@click.option("-o", "output", metavar="FILE.json", help="Where the score goes. -o castle.json")
@click.option("--track", metavar="ID", help="Keep it as the score of a track of the manifest, instead of -o. --track castle")
@click.option("-m", "manifest_path", metavar="FILE", help="The manifest that --track means; the nearest by default. -m music/nesasset.toml")
@JSON_OPTION
def command(source: str, output: str | None, track: str | None, manifest_path: str | None, as_json: bool) -> None:
    """Make a score of a tracker's text, a MIDI file or MusicXML.

    FILE is FamiTracker text (.ftm.txt), MIDI (.mid), MusicXML (.mxl, .musicxml) or, with --track, a score (.json). What a score cannot hold is left out, and a line says what. A MIDI file that nesasset wrote comes back with the edits in it; any other file is arranged for the four voices: tune, second voice, bass and drums. With --track the score takes its place in the game: builds play it, mark it as edited and never overwrite it.

    Example: nesasset import castle.ftm.txt -o castle.json

    Example: nesasset import song.mid -o song.json

    Example: nesasset import castle.mid --track castle
    """
    if (output is None) == (track is None):
        raise click.UsageError("say where the score goes: either -o FILE.json or --track ID")
    allowed = IMPORTED if track is None else (*IMPORTED, ".json")
    suffix = suffix_of(source, allowed)
    if suffix is None:
        raise click.UsageError(f"the suffix of {source!r} must be one of {', '.join(allowed)}")
    from nesasset.formats import famitracker, midi_import, musicxml, score_json
    notes: tuple[str, ...] = ()
    score: Score
    if suffix == ".json":
        score = score_json.load(source)
    else:
        reader = {".ftm.txt": famitracker, ".mxl": musicxml, ".musicxml": musicxml}.get(suffix, midi_import)
        score, found = reader.load(source)
        notes = tuple(found)
    if track is not None:
        score, output = _place(score, track, manifest_path)
    assert output is not None
    score_json.save(score, output)
    facts: dict[str, object] = {
        "file": output,
        "title": score.title,
        "bars": score.n_bars,
        "tempo_bpm": round(score.tempo_bpm, 6),
        **({"key": score.provenance["key"]} if "key" in score.provenance else {}),
        **({"loop_rows": list(score.loop)} if score.loop else {}),
        "left_out": list(notes),
    }
    if as_json:
        print_json(facts)
        return
    print_facts((name, value) for name, value in facts.items() if name != "left_out")
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _place(score: Score, track: str, manifest_path: str | None) -> tuple[Score, str]:
    """Return a score as the one of a track, and its file: what is known of where the music came from stays with it."""
    from contextlib import suppress
    from dataclasses import replace

    from nesasset.build import project
    from nesasset.build.seal import SEAL
    from nesasset.errors import ManifestError, NesassetError, did_you_mean
    from nesasset.formats import score_json

    found = project.load(project.find(manifest_path))
    if track not in found.orders:
        raise ManifestError(f"--track: no track is named {track!r}{did_you_mean(track, found.orders)}")
    path = found.score_path(track)
    before: dict[str, object] = {}
    with suppress(NesassetError):  # there may be none yet, or none that says where it came from
        before = dict(score_json.load(path).provenance)
    # The seal of the score before stays if it has none: whether the music is still the same, it will show.
    provenance = {**before, **score.provenance}
    if SEAL in before and SEAL not in score.provenance:
        provenance[SEAL] = before[SEAL]
    path.parent.mkdir(parents=True, exist_ok=True)
    order = found.orders[track]
    return replace(score, title=order.title or score.title, theme=order.theme, provenance=provenance), str(path)
