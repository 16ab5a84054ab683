"""A model as one file to hand on, NAME.nesmodel: packed, checked, added to the user's models, removed. Runs no model.

The file is a zip archive of the model's files, all with the model's name, and SHA256SUMS over them:

- needed: NAME.json (the sidecar), NAME.onnx, NAME.song.onnx, NAME.plans.npz;
- if there are any: NAME.latent.onnx, NAME.md (the card), NAME.idioms.json, NAME.originality.npz, NAME.attribution.md.

Nothing of it is trusted: names are those above or the file is refused, no member is read beyond what a model's file may have, hashes
must agree, the sidecar must be of our vocabulary, and graphs may not refer to files outside. Members are written by us under names
of our own; the sidecar comes last, so that a model is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesasset.compose.controls import MODEL_NAME
from nesasset.errors import FormatError, ModelMismatchError, OutputError, did_you_mean
from nesasset.formats.files import read_bytes, write_bytes
from nesasset.model import DEFAULT_MODEL, MAX_FILE_BYTES, MAX_SIDECAR_BYTES, _read_sidecar, models_dir
from nesasset.model_names import model_file, model_names, user_models_dir

SUFFIX: Final = ".nesmodel"
SUMS: Final = "SHA256SUMS"
NEEDED: Final = (".onnx", ".song.onnx", ".plans.npz", ".json")
OPTIONAL: Final = (".latent.onnx", ".md", ".idioms.json", ".originality.npz", ".attribution.md")
MAX_BUNDLE_BYTES: Final = 2 * MAX_FILE_BYTES
_LIMITS: Final = {".json": MAX_SIDECAR_BYTES, ".md": 4_000_000, ".idioms.json": 1_000_000, ".attribution.md": 16_000_000}
_EXTERNAL: Final = b"\x0a\x08location"  # ONNX: an entry of a tensor's external data, which lie in a file elsewhere
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that can be asked for by name."""

    name: str
    place: str
    """'nesasset' for this installation's, 'user' for those that were added."""
    sha256: str
    songs: int | None
    """How many it was trained on; None where its sidecar does not say."""
    data: str
    """Its own words on the music that it was trained on."""
    bytes: int
    problem: str = ""
    """Why it cannot be used; empty if it can."""


def installed() -> list[Installed]:
    """Return all models that are there, this installation's first; those that cannot be used with the reason."""
    found = []
    for name in model_names():
        path = model_file(name, ".json")
        assert path is not None
        place = "user" if path.parent == user_models_dir() else "nesasset"
        size = sum(file.stat().st_size for suffix in (*NEEDED, *OPTIONAL) if (file := path.parent / f"{name}{suffix}").is_file())
        try:
            sidecar = _read_sidecar(path)
            training = sidecar.get("training") if isinstance(sidecar.get("training"), dict) else {}
            assert training is not None
            songs = training.get("songs")
            found.append(
                Installed(name, place, sidecar["model"]["sha256"], songs if isinstance(songs, int) else None, str(training.get("data", "")), size)
            )
        except ModelMismatchError as error:
            found.append(Installed(name, place, "", None, "", size, str(error)))
    return found


def pack(folder: str | os.PathLike[str], name: str, path: str | os.PathLike[str]) -> None:
    """Write the model of a folder as one file, the same bytes for the same files. Inverse: `add`.

    Raises:
        ModelMismatchError: A file is missing or is not the sidecar's.
        OutputError: The file cannot be written.
    """
    members = {}
    for suffix in (*NEEDED, *OPTIONAL):
        file = Path(folder) / f"{name}{suffix}"
        if file.is_file():
            members[file.name] = read_bytes(file, _limit(suffix))
    _check(name, members, f"{name}{SUFFIX}")
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {member}\n" for member, data in sorted(members.items()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, data in [*sorted(members.items()), (SUMS, sums.encode())]:
            info = zipfile.ZipInfo(member, _EPOCH)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    write_bytes(path, packed.getvalue())


def add(path: str | os.PathLike[str], replace: bool = False) -> Installed:
    """Add the model of a file to the user's models.

    Args:
        path: What `pack` has written.
        replace: Whether another model of this name may be replaced.

    Raises:
        FormatError: The file cannot be read or is no such file.
        ModelMismatchError: Its parts do not belong together, it is for another version, or another model has its name.
        OutputError: It cannot be written.
    """
    shown = os.fspath(path)
    try:
        name, members = _read(read_bytes(path, MAX_BUNDLE_BYTES))
    except FormatError as error:
        raise error if shown in str(error) else FormatError(f"{shown}: {error}") from error
    sidecar = _check(name, members, shown)
    sha256 = sidecar["model"]["sha256"]
    if name == DEFAULT_MODEL or (models_dir() / f"{name}.json").is_file():
        raise ModelMismatchError(f"{shown}: the name {name!r} is that of a model that comes with nesasset; pack it under another name")
    folder = user_models_dir()
    there = folder / f"{name}.json"
    if there.is_file() and not replace and hashlib.sha256(there.read_bytes()).hexdigest() != hashlib.sha256(members[there.name]).hexdigest():
        raise ModelMismatchError(f"{shown}: another model is named {name!r} already; remove it, or add this one with --replace")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=".adding-", dir=folder))
    except OSError as error:
        raise OutputError(f"{folder}: the folder of models cannot be written ({error.strerror})") from error
    try:
        for member, data in members.items():
            (waiting / member).write_bytes(data)
        if there.is_file():
            there.unlink()  # without a sidecar a model is not there
        for suffix in (*OPTIONAL, *NEEDED):  # the sidecar is the last
            target = folder / f"{name}{suffix}"
            if (waiting / target.name).is_file():
                (waiting / target.name).replace(target)
            else:
                target.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: the model cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    return next(model for model in installed() if model.name == name and (model.sha256 == sha256 or model.problem))


def remove(name: str) -> None:
    """Remove a model that was added.

    Raises:
        ModelMismatchError: There is none of that name, or it comes with nesasset.
    """
    own = [model.name for model in installed() if model.place == "user"]
    if name not in own:
        if name in model_names():
            raise ModelMismatchError(f"{name!r} comes with nesasset and cannot be removed")
        raise ModelMismatchError(f"no model named {name!r} was added{did_you_mean(name, own) if own else ''}")
    for suffix in reversed((*OPTIONAL, *NEEDED)):
        (user_models_dir() / f"{name}{suffix}").unlink(missing_ok=True)


def _limit(suffix: str) -> int:
    return _LIMITS.get(suffix, MAX_FILE_BYTES)


def _read(data: bytes) -> tuple[str, dict[str, bytes]]:
    """Return the name and the files of a packed model; every name and size is checked before it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > len(NEEDED) + len(OPTIONAL) + 1:
                raise FormatError(f"a model's file has at most {len(NEEDED) + len(OPTIONAL) + 1} parts, not {len(infos)}")
            names = [info.filename for info in infos]
            sidecars = [name for name in names if name.endswith(".json") and not name.endswith(".idioms.json")]
            name = sidecars[0].removesuffix(".json") if len(sidecars) == 1 else ""
            if not MODEL_NAME.fullmatch(name):
                raise FormatError("the file is no packed model: it must hold one sidecar NAME.json, NAME of a-z, 0-9, . - and _")
            allowed = {f"{name}{suffix}": _limit(suffix) for suffix in (*NEEDED, *OPTIONAL)} | {SUMS: 10_000}
            wrong = next((member for member in names if member not in allowed or names.count(member) > 1), None)
            if wrong is not None:
                raise FormatError(f"{wrong[:80]!r} is no part of a model named {name!r}")
            members = {}
            for info in infos:
                with archive.open(info) as file:
                    content = file.read(allowed[info.filename] + 1)
                if len(content) > allowed[info.filename]:
                    raise FormatError(f"{info.filename} holds more than {allowed[info.filename]} bytes")
                members[info.filename] = content
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"the file is no packed model, or damaged ({error})") from error
    sums = members.pop(SUMS, b"").decode(errors="replace")
    wanted = dict(reversed(match) for match in re.findall(r"^([0-9a-f]{64})  (\S+)$", sums, re.MULTILINE))
    for member, content in members.items():
        if wanted.get(member) != hashlib.sha256(content).hexdigest():
            raise FormatError(f"{member} is not what {SUMS} says; get the file again")
    return name, members


def _check(name: str, members: dict[str, bytes], shown: str) -> dict[str, Any]:
    """Return the sidecar of a model's files, which must belong together."""
    missing = [f"{name}{suffix}" for suffix in NEEDED if f"{name}{suffix}" not in members]
    if missing:
        raise ModelMismatchError(f"{shown}: {missing[0]} is missing")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.json"
        path.write_bytes(members[path.name])
        try:
            sidecar = _read_sidecar(path)
        except ModelMismatchError as error:
            raise ModelMismatchError(f"{shown}: {error}") from error
    told = {".onnx": sidecar["model"], ".song.onnx": sidecar["song"], ".plans.npz": sidecar["plans"], ".latent.onnx": sidecar.get("latent"), ".originality.npz": sidecar.get("originality")}
    for suffix, part in told.items():
        content = members.get(f"{name}{suffix}")
        if content is not None and (not isinstance(part, dict) or hashlib.sha256(content).hexdigest() != part.get("sha256")):
            raise ModelMismatchError(f"{shown}: {name}{suffix} does not belong to {name}.json: its SHA-256 is not the sidecar's")
        if content is not None and suffix.endswith(".onnx") and _EXTERNAL in content:
            raise ModelMismatchError(f"{shown}: {name}{suffix} refers to a file outside, which no model of ours does")
    for key, suffix in (("latent", ".latent.onnx"), ("originality", ".originality.npz")):
        if sidecar.get(key) and f"{name}{suffix}" not in members:
            raise ModelMismatchError(f"{shown}: {name}{suffix} is missing, which {name}.json names")
    return sidecar

