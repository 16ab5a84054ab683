"""`nesasset sfx`: sound effects of the 2A03 as files."""

from __future__ import annotations

from typing import Final

import click

from nesasset.commands._shared import JSON_OPTION, print_facts, print_json, print_table
from nesasset.commands._sources import suffix_of

SOUND: Final = (".wav", ".ogg", ".flac")
CHIP: Final = (".nsf", ".vgm", ".vgz", ".log")
_RATE_HZ: Final = 44_100


@click.command("sfx")
@click.argument("kind", metavar="CLASS", required=False)
@click.option("--seed", type=int, default=0, show_default=True, help="Same class, seed and chord: same effect. --seed 3")
@click.option("--chord", metavar="CHORD", help="Keep to the tones of a chord: C, F#m, Bdim. --chord Am")
@click.option("-o", "output", metavar="FILE", help=f"{', '.join((*SOUND, *CHIP))} or .json, the frames. -o coin.wav")
@click.option("--rate", type=int, metavar="HZ", help="Samples a second, 8000 to 96000; 44100 by default. --rate 48000")
@click.option("--list", "listing", is_flag=True, help="Print the classes and leave.")
@JSON_OPTION
def command(kind: str | None, seed: int, chord: str | None, output: str | None, rate: int | None, listing: bool, as_json: bool) -> None:
    """Make a sound effect of CLASS and save it.

    Effects are sequences of registers for pulse, triangle or noise: in a game `nesasset.play` lets them take a voice from the music.

    Example: nesasset sfx coin --seed 3 -o coin.wav

    Example: nesasset sfx power-up --chord Am -o power-up.ogg
    """
    from nesasset.sfx.recipes import RECIPES

    if listing:
        if as_json:
            print_json({name: {"priority": entry.priority, "for": entry.sentence} for name, entry in RECIPES.items()})
        else:
            print_table(("class", "priority", "for"), ((name, entry.priority, entry.sentence) for name, entry in RECIPES.items()))
        return
    if kind is None:
        raise click.UsageError("a CLASS is needed; --list names them all")
    if output is None:
        raise click.UsageError("-o FILE is needed: where the effect goes")
    suffix = suffix_of(output, (*SOUND, *CHIP, ".json"))
    if suffix is None:
        raise click.UsageError(f"the suffix of {output!r} must be one of {', '.join((*SOUND, *CHIP))} or .json")
    if rate is not None and suffix not in SOUND:
        raise click.UsageError(f"--rate is for sound; a {suffix} file has none")

    import nesasset

    classes = () if chord is None else nesasset.sfx.tuned_to(chord)
    effect = nesasset.sfx.make(kind, seed, classes)
    _save(effect, output, suffix, rate or _RATE_HZ)
    facts = {
        "file": output,
        "class": kind,
        "seed": seed,
        "chord": chord,
        "voices": ", ".join(effect.parts),
        "frames": effect.n_frames,
        "seconds": round(effect.n_frames / 60, 3),
        "priority": effect.priority,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts.items())


def _save(effect: object, output: str, suffix: str, rate: int) -> None:
    import json

    from nesasset.formats import files, flac, nsf, ogg, register_text, vgm, wav
    from nesasset.render import render
    from nesasset.sfx import Effect

    assert isinstance(effect, Effect)
    log, title = effect.to_log(), f"{effect.name} {effect.seed}"
    if suffix in SOUND:
        {".wav": wav.save, ".ogg": ogg.save, ".flac": flac.save}[suffix](render(log, rate), output, {"TITLE": title})
    elif suffix == ".json":
        files.write_bytes(output, (json.dumps(effect.to_json(), indent=1) + "\n").encode())
    elif suffix == ".log":
        files.write_bytes(output, register_text.dumps(log).encode())
    elif suffix == ".nsf":
        nsf.save([log], output, titles=[title])
    else:
        files.write_bytes(output, (vgm.dumps_vgz if suffix == ".vgz" else vgm.dumps)(log, title=title))
