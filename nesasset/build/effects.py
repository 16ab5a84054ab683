"""Sound effects of a pack: a file each, from a class and a seed, beside the tracks of every engine. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nesasset.build import keys
from nesasset.units import SYNTH_VERSION

if TYPE_CHECKING:
    from nesasset.build.project import Project, Target


def paths(project: Project, target: Target) -> dict[str, str]:
    """Return the path of each effect within an export's folder, by id."""
    engine = target.engine
    suffix = "wav" if "wav" in engine.carriers else engine.carriers[0]  # short, and wanted at once: nothing to decode
    return {name: f"{engine.effects}{engine.stem(name)}.{suffix}" for name in project.effects}


def made_from(project: Project, target: Target) -> Mapping[str, Any]:
    """Return what an export's effects depend on, by name; nothing where there are none."""
    if not project.effects:
        return {}
    told = {name: asdict(effect) for name, effect in project.effects.items()}
    return {"effects": keys.digest([told, target.options.rates[0], SYNTH_VERSION])[:16]}


def files(project: Project, target: Target) -> dict[str, bytes]:
    """Return the contents of an export's effects by path."""
    from nesasset import sfx
    from nesasset.build.stages import generator
    from nesasset.build.studio import encode
    from nesasset.render import render

    pack, contents = project.pack, {}
    for name, path in paths(project, target).items():
        wish = project.effects[name]
        effect = sfx.make(wish.kind, wish.seed, sfx.tuned_to(wish.chord) if wish.chord else ())
        tags = {"TITLE": name, "ALBUM": pack.name, "ARTIST": pack.author, "LICENSE": pack.license, "ENCODER": generator()}
        audio = render(effect.to_log(), target.options.rates[0])
        contents[path] = encode(audio, Path(path).suffix[1:], {key: value for key, value in tags.items() if value}, target.options.quality)
    return contents
