"""What any of our files holds: the answers of `nesasset info`. Reads and measures; changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from nesasset.build.glue.plain import PACK_FORMAT
from nesasset.build.stages import SIDECAR_FORMAT, timing
from nesasset.errors import FormatError
from nesasset.formats import files, score_json
from nesasset.score import Note, Score
from nesasset.units import VOICE_NAMES, VOICES, pitch_to_name

_MAX_JSON_BYTES: Final = score_json.MAX_BYTES  # pack.json of a thousand tracks has about 2 MB
_MAX_FILE_BYTES: Final = 512 * 1024 * 1024


def file_facts(path: str | Path) -> dict[str, Any]:
    """Return what one of our files holds, as JSON values; the key `kind` says which of them it is.

    Args:
        path: A score, a track's sidecar, pack.json, WAV, OGG, FLAC, MIDI or a model (.onnx).

    Raises:
        FormatError: It is none of these, or damaged, or a file that it speaks of has changed.
        ScoreError: A score that breaks a rule of scores.
        ModelMismatchError: A model that does not fit its sidecar.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FormatError(f"cannot tell what {str(path)!r} is: the suffix must be one of {', '.join(_READERS)}")
    return {"file": path.name, **reader(path)}


def _json_facts(path: Path) -> dict[str, Any]:
    data = files.read_bytes(path, _MAX_JSON_BYTES)
    try:
        with files.collector_paused():
            value = json.loads(data)
    except (ValueError, RecursionError):
        value = None  # the score reader says better what is wrong
    kind = value.get("format") if isinstance(value, dict) else None
    if kind not in (SIDECAR_FORMAT, PACK_FORMAT):
        return _score_facts(score_json.load(path))
    name = "track" if kind == SIDECAR_FORMAT else "pack"
    if not _shaped(value, _SHAPES[name]) or _depth(value) > _MAX_DEPTH:
        raise FormatError(f"{path}: not a whole {name} file: keys are missing or hold other things; build it again")
    _check_files(path, value["files"])
    return {"kind": name, **{key: entry for key, entry in value.items() if key not in ("format", "version")}}


# What the readers of these files rely on: a type, a list of one shape, or a dictionary with at least these keys.
_NUMBER: Final = (int, float)
_CHECK: Final = {"name": str, "value": (int, float, type(None)), "limit": (int, float, type(None)), "passed": bool, "sentence": str}
_ROW: Final = {"id": str, "theme": str, "bars": int, "tempo_bpm": _NUMBER, "seconds": str, "certificate": bool}
_SHAPES: Final[dict[str, Any]] = {
    "track": {"id": str, "theme": str, "files": dict, "certificate": {"kind": str, "passed": bool, "checks": [_CHECK]}},
    "pack": {"name": str, "files": dict, "tracks": [_ROW]},
}
_MAX_DEPTH: Final = 16


def _shaped(value: object, shape: Any) -> bool:
    """Return whether a JSON value has a shape."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(key in value and _shaped(value[key], part) for key, part in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(_shaped(entry, shape[0]) for entry in value)
    return isinstance(value, shape)


def _depth(value: object) -> int:
    """Return how deep lists and dictionaries are nested, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inner = [entry.values() if isinstance(entry, dict) else entry for entry in level if isinstance(entry, (dict, list))]
        level = [child for children in inner for child in children]
    return depth


def _check_files(path: Path, listed: Mapping[str, Any]) -> None:
    """Raise FormatError unless every file that a sidecar or pack.json lists is there unchanged."""
    for name, entry in listed.items():
        if Path(name).name != name or not isinstance(entry, dict):
            raise FormatError(f"{path}: {name[:80]!r} is no entry of a list of files; build it again")
        content = files.read_bytes(path.parent / name, _MAX_FILE_BYTES)
        if hashlib.sha256(content).hexdigest() != entry.get("sha256"):
            raise FormatError(f"{path.parent / name} is not the file that {path.name} lists: its SHA-256 differs; build it again")


def _score_facts(score: Score) -> dict[str, Any]:
    from nesasset.certificate import certify
    from nesasset.driver import drive
    from nesasset.render import render

    audio = render(drive(score))
    return {
        "kind": "score",
        "title": score.title,
        "theme": score.theme,
        **timing(score, audio),
        "bar_rows": score.bar_rows,
        "beat_rows": score.beat_rows,
        "groove": list(score.groove),
        "instruments": len(score.instruments),
        "voices": {voice: _voice_facts(score, voice) for voice in VOICES},
        "provenance": dict(score.provenance),
        "certificate": certify(score, audio).to_json(),
    }


def _voice_facts(score: Score, voice: str) -> dict[str, Any]:
    notes = [cell for cell in score.voices[voice] if isinstance(cell, Note)]
    pitches = [note.pitch for note in notes if note.pitch is not None]
    return {
        "name": VOICE_NAMES[voice],
        "notes": len(notes),
        "lowest": pitch_to_name(min(pitches)) if pitches else None,
        "highest": pitch_to_name(max(pitches)) if pitches else None,
        "instruments": len({note.instrument for note in notes}),
    }


def _audio_facts(path: Path) -> dict[str, Any]:
    from nesasset.formats import flac, ogg, wav

    module = {".wav": wav, ".ogg": ogg, ".flac": flac}[path.suffix.lower()]
    info = module.describe(path)
    loop = None if info.loop is None else {"start": info.loop[0], "length": info.loop[1], "end": sum(info.loop)}
    return {
        "kind": "audio",
        "format": info.format,
        "rate": info.sample_rate_hz,
        "channels": info.n_channels,
        "samples": info.n_samples,
        "seconds": f"{info.seconds:.9f}",
        "loop": loop,
        "tags": dict(info.tags),
    }


def _midi_facts(path: Path) -> dict[str, Any]:
    from nesasset.formats import midi

    return {"kind": "midi", **asdict(midi.describe(path))}


def _model_facts(path: Path) -> dict[str, Any]:
    from nesasset.model import load_model

    model = load_model(path)
    return {"kind": "model", "name": model.name, "sha256": model.sha256}


_READERS: Final[dict[str, Callable[[Path], dict[str, Any]]]] = {
    ".json": _json_facts,
    ".wav": _audio_facts,
    ".ogg": _audio_facts,
    ".flac": _audio_facts,
    ".mid": _midi_facts,
    ".onnx": _model_facts,
}
