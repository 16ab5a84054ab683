"""`nesasset info`: what a file holds, and with --system what this installation is made of."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import click

import nesasset
from nesasset.commands._shared import JSON_OPTION, print_facts, print_json, print_table
from nesasset.commands._sources import suffix_of
from nesasset.errors import FormatError, NesassetError

_MAX_TEXT_BYTES: Final = 16 * 1024 * 1024  # of a tracker's text


@click.command("info")
@click.argument("path", metavar="[FILE]", required=False)
@click.option("--system", "system", is_flag=True, help="Instead of a file: versions, platform, extension, model.")
@JSON_OPTION
@click.pass_context
def command(context: click.Context, path: str | None, system: bool, as_json: bool) -> None:
    """Say what a file holds.

    FILE is a score, a track's sidecar, pack.json, WAV, OGG, FLAC, MIDI, VGM or VGZ, NSF, .nes, a register log (.log), FamiTracker or FamiStudio text (.ftm.txt, .fms.txt) or a model. A score is played and certified; the files that a sidecar or pack.json lists are compared with their SHA-256.

    Example: nesasset info pack/castle.track.json
    """
    if system and path is not None:
        raise click.UsageError("--system takes no FILE: it describes the installation", context)
    if path is None and not system:
        raise click.UsageError("Missing argument 'FILE'.", context)
    if path is None:
        facts = _system_facts()
    else:
        facts = _file_facts(path)
    if as_json:
        print_json(facts)
        return
    print_facts(_flat(facts))
    certificate = facts.get("certificate")
    if isinstance(certificate, Mapping):
        click.echo()
        print_table(
            ("check", "value", "limit", "", "finding"),
            (
                (
                    check["name"],
                    _number(check["value"]),
                    _number(check["limit"]),
                    "passed" if check["passed"] else "FAILED",
                    check["sentence"],
                )
                for check in certificate["checks"]
            ),
        )
    elif facts.get("kind") == "nsf" and facts["tracks"]:
        click.echo()
        print_table(
            ("song", "title", "seconds"),
            ((track["number"], track["title"], _number(track["seconds"])) for track in facts["tracks"]),
        )
    elif facts.get("kind") == "pack":
        click.echo()
        print_table(
            ("track", "theme", "bars", "tempo", "seconds", "certificate"),
            (
                (
                    track["id"],
                    track["theme"],
                    track["bars"],
                    track["tempo_bpm"],
                    track["seconds"],
                    "passed" if track["certificate"] else "FAILED",
                )
                for track in facts["tracks"]
            ),
        )


def _file_facts(path: str) -> dict[str, Any]:
    """Return what a file holds, as JSON values; its suffix says who reads it."""
    suffix = suffix_of(path, tuple(_READERS))
    if suffix is None:
        raise FormatError(f"cannot tell what {path!r} is: the suffix must be one of {', '.join(_READERS)}")
    return {"file": Path(path).name, **_READERS[suffix](path)}


def _built_facts(path: str) -> dict[str, Any]:
    from nesasset.build.facts import file_facts

    return file_facts(path)


def _vgm_facts(path: str) -> dict[str, Any]:
    from nesasset.formats import vgm

    info = vgm.describe(path)
    loop = None if info.loop is None else {"start": info.loop[0], "length": info.loop[1], "end": sum(info.loop)}
    return {"kind": "vgm", **asdict(info), "seconds": f"{info.seconds:.9f}", "loop": loop}


def _nsf_facts(path: str) -> dict[str, Any]:
    from nesasset.formats import nsf

    facts = asdict(nsf.describe(path))
    titles, seconds = facts.pop("titles"), facts.pop("seconds")
    songs = zip_longest(range(1, max(len(titles), len(seconds)) + 1), titles, seconds)
    return {
        "kind": "nsf",
        **facts,
        "tracks": [{"number": number, "title": title or "", "seconds": time} for number, title, time in songs],
    }


def _rom_facts(path: str) -> dict[str, Any]:
    from nesasset.formats import rom

    return {"kind": "rom", **asdict(rom.describe(path))}


def _log_facts(path: str) -> dict[str, Any]:
    from nesasset.formats import register_text

    info = register_text.describe(path)
    loop = None if info.loop is None else {"start": info.loop[0], "end": info.loop[1]}
    return {"kind": "log", **asdict(info), "seconds": f"{info.seconds:.9f}", "loop": loop}


def _famitracker_facts(path: str) -> dict[str, Any]:
    """Return what the reader makes of the first track, and how much of everything the file has."""
    from nesasset.formats import famitracker

    score, left_out = famitracker.load(path)
    words = [word.upper() for word in _first_words(_text(path))]
    return {
        "kind": "famitracker",
        "title": score.title,
        "tracks": words.count("TRACK"),
        "patterns": words.count("PATTERN"),
        "instruments": sum(word.startswith("INST") for word in words),
        "rows": score.n_rows,
        "tempo_bpm": round(score.tempo_bpm, 6),
        "loop": None if score.loop is None else {"start": score.loop[0], "end": score.loop[1]},
        "left_out": list(left_out),
    }


def _famistudio_facts(path: str) -> dict[str, Any]:
    """Return the project's name and how many songs, patterns and instruments it has: FamiStudio text is only written here."""
    text = _text(path)
    words = _first_words(text)
    if words[:1] != ["Project"] or "Song" not in words:
        raise FormatError(f"{path}: the file is no FamiStudio text: it must begin with 'Project' and have a 'Song'")
    _, _, name = text.lstrip().partition("\n")[0].partition(' Name="')
    return {
        "kind": "famistudio",
        "title": name.replace('""', "\0").partition('"')[0].replace("\0", '"'),
        "tracks": words.count("Song"),
        "patterns": words.count("Pattern"),
        "instruments": words.count("Instrument"),
    }


def _text(path: str) -> str:
    from nesasset.formats import files

    return files.read_bytes(path, _MAX_TEXT_BYTES).decode("utf-8-sig", "replace")


def _first_words(text: str) -> list[str]:
    """Return the first word of each line that has any."""
    return [words[0] for words in (line.split(None, 1) for line in text.split("\n")) if words]


_READERS: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    **dict.fromkeys((".json", ".wav", ".ogg", ".flac", ".mid", ".onnx"), _built_facts),
    ".vgm": _vgm_facts,
    ".vgz": _vgm_facts,
    ".nsf": _nsf_facts,
    ".nes": _rom_facts,
    ".log": _log_facts,
    ".ftm.txt": _famitracker_facts,
    ".fms.txt": _famistudio_facts,
}


def _system_facts() -> dict[str, Any]:
    """Return what a report of a fault needs, as JSON values; what is missing or broken is said, not raised."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    facts: dict[str, Any] = {"nesasset": nesasset.__version__, "python": platform.python_version()}
    for name in ("numpy", "onnxruntime"):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "missing"
    facts["platform"] = platform.platform()
    try:
        reason = _why_no_extension()
        facts["extension"] = {"in_use": reason is None, "reason": reason}
    except ImportError as error:  # numpy, which the chip cannot do without
        facts["extension"] = {"in_use": False, "reason": f"the chip cannot be loaded ({error})"}
    try:
        from nesasset.model import default_model

        model = default_model()
        facts["model"] = {"name": model.name, "sha256": model.sha256[:12]}
    except (NesassetError, ImportError) as error:
        facts["model"] = {"fault": str(error)}
    return facts


def _why_no_extension() -> str | None:
    """Return why the compiled hot path is not in use, or None if it is."""
    from nesasset.apu import extension

    if extension.fast() is not None:
        return None
    if os.environ.get("NESASSET_NO_EXTENSION", "") not in ("", "0"):
        return "forced off by NESASSET_NO_EXTENSION"
    try:
        importlib.import_module("nesasset.apu._fast")
    except ModuleNotFoundError:
        return "not built"
    except ImportError as error:
        return f"cannot be loaded ({error})"
    return "built from another version's source; install again"


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield names and plain values, nested names joined by dots; what has a table of its own is left out."""
    for name, value in facts.items():
        if not prefix and (name == "certificate" or (name == "tracks" and facts["kind"] in {"pack", "nsf"})):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)) and any(isinstance(entry, Mapping) for entry in value):
            for number, entry in enumerate(value):
                yield from _flat({str(number): entry}, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield prefix + name, " ".join(map(str, value))
        else:
            yield prefix + name, value


def _number(value: object) -> str:
    return "-" if value is None else f"{value:.6g}"
