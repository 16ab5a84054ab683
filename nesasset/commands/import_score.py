"""`nesasset import`: a score from a tracker's text or a MIDI file."""

from __future__ import annotations

import click

from nesasset.commands._shared import JSON_OPTION, print_facts, print_json
from nesasset.commands._sources import suffix_of

FORMATS = (".ftm.txt", ".mid", ".midi")


@click.command("import")
@click.argument("source", metavar="FILE")
@click.option("-o", "output", required=True, metavar="FILE.json", help="Where the score goes. -o castle.json")
@JSON_OPTION
def command(source: str, output: str, as_json: bool) -> None:
    """Make a score of a tracker's text or a MIDI file.

    FILE is FamiTracker text (.ftm.txt) or MIDI (.mid). What a score cannot hold is left out, and a line says what. A MIDI file that nesasset wrote comes back with the edits in it; any other is reduced to four voices.

    Example: nesasset import castle.ftm.txt -o castle.json
    """
    suffix = suffix_of(source, FORMATS)
    if suffix is None:
        raise click.UsageError(f"the suffix of {source!r} must be one of {', '.join(FORMATS)}")
    from nesasset.formats import famitracker, midi_import, score_json

    score, notes = (famitracker if suffix == ".ftm.txt" else midi_import).load(source)
    score_json.save(score, output)
    facts: dict[str, object] = {
        "file": output,
        "title": score.title,
        "bars": score.n_bars,
        "tempo_bpm": round(score.tempo_bpm, 6),
        "left_out": list(notes),
    }
    if as_json:
        print_json(facts)
        return
    print_facts((name, value) for name, value in facts.items() if name != "left_out")
    for note in notes:
        click.echo(f"note: {note}", err=True)
