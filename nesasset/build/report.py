"""What a build, a check or a plan tells: as text, as JSON for programs, as annotations and a summary for GitHub. Prints nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nesasset.build.plan import Plan
from nesasset.build.project import Project

if TYPE_CHECKING:
    from nesasset.build.builder import Result

REPORT_FORMAT: Final = "nesasset-build"
REPORT_VERSION: Final = 1
_PLACE: Final = re.compile(r"^(?P<file>[^:\n]+?)(?::(?P<line>[0-9]+))?: (?P<text>.*)$", re.DOTALL)


def of_plan(project: Project, todo: Plan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    import nesasset

    return {
        "format": REPORT_FORMAT,
        "version": REPORT_VERSION,
        "generator": f"nesasset {nesasset.__version__}",
        "manifest": project.path.name,
        "fresh": todo.fresh,
        "tracks": [
            {
                "id": track_id,
                "action": track.action,
                "reasons": list(track.reasons),
                "notes": list(track.notes),
                "edited": track.edited,
                "stale": {engine: list(reasons) for engine, reasons in track.stale.items()},
            }
            for track_id, track in todo.tracks.items()
        ],
        "exports": [
            {"engine": target.engine.name, "folder": shown(target.folder, project), "reasons": list(todo.around.get(target.engine.name, ()))}
            for target in project.targets
        ],
        "lock": list(todo.lock),
    }


def of_build(project: Project, result: Result) -> dict[str, Any]:
    """Return what a build has done as JSON values."""
    report = of_plan(project, result.plan)
    for entry in report["tracks"]:
        made = result.made.get(entry["id"])
        if made is None:
            continue
        facts = made.facts
        entry |= {
            "edited": facts["edited"],
            "seed_used": facts["seed_used"],
            "bars": facts["bars"],
            "tempo_bpm": facts["tempo_bpm"],
            "seconds": facts["seconds"],
            "loudness": facts["loudness"],
            "certificate": facts["certificate"],
            "stages": [{"name": name, "seconds": round(seconds, 4), "cached": cached} for name, seconds, cached in made.stages],
        }
    return report | {
        "seconds": round(result.seconds, 3),
        "written": sorted(shown(path, project) for path in result.written),
        "encoders": dict(result.lock.encoders),
    }


def shown(path: Path, project: Project) -> str:
    """Return a path as people want to see it: from the manifest's folder, with slashes."""
    return os.path.relpath(path, project.root).replace(os.sep, "/")


# GitHub: the documentation's "Workflow commands for GitHub Actions".


def github_lines(message: str, kind: str = "error", file: str = "") -> Iterator[str]:
    """Yield a workflow command for each line of a message; `FILE:LINE: text` points to its place."""
    for line in message.splitlines():
        match = _PLACE.match(line)
        place = {"file": file, "line": ""}
        text = line
        if match is not None and match["file"].endswith((".toml", ".tmx", ".tmj", ".ldtk", ".json", ".lock")):
            place = {"file": match["file"].removeprefix("no manifest: "), "line": match["line"] or ""}
            text = match["text"]
        told = ",".join([*(f"{key}={_property(value)}" for key, value in place.items() if value), "title=nesasset"])
        yield f"::{kind} {told}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(report: Mapping[str, Any]) -> str:
    """Return a report as Markdown, for a job's summary page."""
    lines = ["### nesasset", ""]
    if report["fresh"]:
        return "\n".join([*lines, f"{len(report['tracks'])} tracks are as the manifest asks.", ""])
    lines += ["| track | what | why | LUFS | dBTP |", "|---|---|---|---|---|"]
    for entry in report["tracks"]:
        reasons = [*entry["reasons"]] or sorted({reason for why in entry["stale"].values() for reason in why})
        if reasons:
            loud = entry.get("loudness", {})
            cells = [entry["id"], entry["action"], "; ".join(reasons), loud.get("lufs", ""), loud.get("true_peak_dbtp", "")]
            lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    lines += [f"| {entry['engine']} | files around the tracks | {'; '.join(entry['reasons'])} | | |" for entry in report["exports"] if entry["reasons"]]
    lines += [f"| lock | | {reason} | | |" for reason in report["lock"]]
    return "\n".join([*lines, ""])
