"""Keys of stages: a hash over everything that a stage's result depends on. Holds no stage and no cache.

What a stage depends on beside its inputs is its own code and the libraries that it calls. The code's part is a hash of the
sources themselves, so that no change can be forgotten; released versions differ in it, and so do two states of a checkout.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

_PACKAGE: Final = Path(__file__).parent.parent
_SOUND: Final = ("apu", "render", "audio.py", "register_log.py", "units.py")
# Which sources and libraries a stage's result depends on. Folders count with all that is in them.
_CODE: Final[Mapping[str, tuple[str, ...]]] = {
    "manifest": ("build/arc.py", "build/engines.py", "build/faults.py", "build/manifest.py", "build/project.py", "chords.py", "compose/controls.py",
                 "compose/form.py", "compose/members.py", "compose/motif.py", "compose/scales.py", "themes.py"),
    "compose": (*_SOUND, "compose", "articulation.py", "certificate.py", "chords.py", "driver.py", "features.py", "idioms.py",
                "model.py", "model_names.py", "originality.py", "recall.py", "score.py", "themes.py", "vocabulary.py", "build/order.py", "build/seal.py", "build/stages.py",
                "build/studio.py"),
    "log": ("apu/tables.py", "apu/state.py", "apu/writes.py", "driver.py", "formats/register_text.py", "register_log.py", "score.py", "units.py",
            "build/studio.py"),
    "sound": (*_SOUND, "formats/sound_stream.py", "build/studio.py"),
    "facts": (*_SOUND, "certificate.py", "driver.py", "loudness.py", "score.py", "build/order.py", "build/seal.py", "build/stages.py", "build/studio.py",
              "__init__.py"),
    "file": ("apu/state.py", "formats", "score.py", "units.py", "build/layout.py", "build/outro.py", "build/stages.py", "build/studio.py",
             "__init__.py"),
}  # fmt: skip
_LIBRARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "manifest": (),  # pydantic judges, and what it let through stays right
    "compose": ("numpy", "onnxruntime"),
    "log": (),  # integers
    "sound": (),  # exact, see docs/decisions.md, 13
    "facts": ("numpy",),
    "file": ("libsndfile", "soundfile", "pillow", "numpy"),
}


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in one fixed form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def bytes_digest(content: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def key(stage: str, inputs: Mapping[str, Any]) -> str:
    """Return the key of a stage's result for its inputs, JSON values."""
    return digest({"stage": stage, "code": fingerprint(stage), "inputs": inputs})


@cache
def fingerprint(stage: str) -> str:
    """Return a hash of a stage's code and of the versions of the libraries that it calls."""
    return digest({"code": _sources(_CODE[stage]), "libraries": {name: library(name) for name in _LIBRARIES[stage]}})


@cache
def library(name: str) -> str:
    """Return the installed version of a library, or '' where there is none; libsndfile is whichever soundfile has found."""
    if name == "libsndfile":
        import soundfile

        return str(soundfile.__libsndfile_version__)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def encoders() -> dict[str, str]:
    """Return the versions of what encodes files: other versions may write other bytes for the same sound."""
    return {name: library(name) for name in ("libsndfile", "soundfile", "pillow")}


def _sources(names: Iterable[str]) -> str:
    hasher = hashlib.sha256()
    for name in names:
        place = _PACKAGE / name
        for path in sorted(place.rglob("*")) if place.is_dir() else (place,):
            if path.suffix in (".py", ".c", ".s"):
                hasher.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()
