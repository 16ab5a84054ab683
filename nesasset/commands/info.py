"""`nesasset info`: what a file holds, and with --system what this installation is made of."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import click

import nesasset
from nesasset.commands._shared import JSON_OPTION, print_facts, print_json, print_table
from nesasset.errors import NesassetError


@click.command("info")
@click.argument("path", metavar="[FILE]", required=False)
@click.option("--system", "system", is_flag=True, help="Instead of a file: versions, platform, extension, model.")
@JSON_OPTION
@click.pass_context
def command(context: click.Context, path: str | None, system: bool, as_json: bool) -> None:
    """Say what a file holds.

    FILE is a score, a track's sidecar, pack.json, WAV, OGG, FLAC, MIDI or a model. A score is played and certified; the files that a sidecar or pack.json lists are compared with their SHA-256.

    Example: nesasset info pack/castle.track.json
    """
    if system and path is not None:
        raise click.UsageError("--system takes no FILE: it describes the installation", context)
    if path is None and not system:
        raise click.UsageError("Missing argument 'FILE'.", context)
    if path is None:
        facts = _system_facts()
    else:
        from nesasset.build.facts import file_facts

        facts = file_facts(path)
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
        if not prefix and (name == "certificate" or (name == "tracks" and facts["kind"] == "pack")):
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
