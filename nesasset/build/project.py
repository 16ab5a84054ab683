"""A project: what a manifest at its place asks for, with the tracks of its maps, and where everything lies. Builds nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from nesasset.build import keys
from nesasset.build.cache import Cache
from nesasset.build.engines import Engine, engine
from nesasset.build.layout import Options
from nesasset.build.order import Order
from nesasset.compose.controls import Controls
from nesasset.errors import FormatError, ManifestError
from nesasset.formats.files import read_bytes

DEFAULT_NAME: Final = "nesasset.toml"
MAX_BYTES: Final = 1_000_000  # a manifest of 4000 tracks has about 300 kB
LOCK_NAME: Final = "nesasset.lock"
DEFAULT_FOLDER: Final = "pack"


@dataclass(frozen=True, slots=True)
class Target:
    """One export with its place."""

    engine: Engine
    options: Options
    folder: Path
    patterns: tuple[str, ...]

    def wants(self, track_id: str) -> bool:
        """Return whether a track is exported."""
        return any(fnmatchcase(track_id, pattern) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Pack:
    """What holds for all tracks."""

    name: str
    rate: int
    author: str
    license: str
    scores: str
    """Folder of the kept scores, seen from the manifest."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What a build makes sure of."""

    loudness: float | None
    true_peak: float
    tolerance: float
    alike: float | None = None
    """Share of their passages that two tracks may have in common; None for any."""

    def to_json(self) -> dict[str, Any]:
        """Return what was asked for as JSON values; what a pack does not use is left out, so that its files stay fresh."""
        return {name: value for name, value in asdict(self).items() if name != "alike" or value is not None}


@dataclass(frozen=True, slots=True)
class Effect:
    """A sound effect that is wanted."""

    kind: str
    """Its class."""
    seed: int
    chord: str | None
    """Whose tones it keeps to."""


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that is to be built."""

    path: Path
    """The manifest's file."""
    pack: Pack
    quality: Quality
    orders: Mapping[str, Order]
    """By track id: those of the manifest, then those of the maps."""
    targets: tuple[Target, ...]
    inputs: tuple[Path, ...]
    """Files that were read: a change of one may change what is to be built."""
    effects: Mapping[str, Effect] = field(default_factory=dict)
    """Sound effects by id."""

    @property
    def root(self) -> Path:
        """The manifest's folder."""
        return self.path.parent

    @property
    def scores(self) -> Path:
        """Folder of the kept scores."""
        return self.root / self.pack.scores

    @property
    def lock_path(self) -> Path:
        """The lock's file."""
        return self.root / LOCK_NAME

    def score_path(self, track_id: str) -> Path:
        """Return where a track's score is kept."""
        return self.scores / f"{track_id}.json"


def find(told: str | None) -> Path:
    """Return the manifest: the one that is named, else the nearest in this folder and those above.

    Raises:
        ManifestError: There is none.
    """
    if told is not None:
        path = Path(told)
        return path / DEFAULT_NAME if path.is_dir() else path
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / DEFAULT_NAME).is_file():
            return Path(os.path.relpath(folder / DEFAULT_NAME))
        other = folder / "pyproject.toml"
        if other.is_file() and "[tool.nesasset" in _text(other):
            return Path(os.path.relpath(other))
    raise ManifestError(f"no manifest: there is no {DEFAULT_NAME} here or in a folder above; nesasset init writes one")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def load(path: Path, folder: str | None = None, cache: Cache | None = None) -> Project:
    """Read a project.

    Args:
        path: The manifest.
        folder: Where the files go, from the command line: of a manifest without exports all files, else the folder in which
            the exports' own folders lie. None: as the manifest says.
        cache: Keeps what a manifest without maps has been found to say: a check of one that has not changed then need not
            load the library that judges it.

    Raises:
        ManifestError: The manifest or a map says what it may not say.
    """
    root = Path(os.path.abspath(path.parent))
    text = read(str(path))
    key = keys.key("manifest", {"text": text, "name": str(path)}) if cache is not None else ""
    known = cache.get("manifest", key) if cache is not None else None
    maps: list[Path] = []
    if known is not None:
        values = json.loads(known)
    else:
        values, maps = _judged(text, str(path), root)
        if cache is not None and not values["maps"]:
            cache.put("manifest", key, json.dumps(values).encode())
    pack = Pack(**values["pack"])
    orders = {order.id: order for track_id, entry in values["tracks"].items() for order in _orders(track_id, entry, pack)}
    inputs = (root / path.name, *maps)
    effects = {name: Effect(**entry) for name, entry in values.get("effects", {}).items()}  # what was judged before has none
    targets = _targets(values["exports"], pack.rate, root, folder)
    return Project(root / path.name, pack, Quality(**values["quality"]), orders, targets, inputs, effects)


def member_id(track_id: str, member: str) -> str:
    """Return the id of the track that is a member of another one's family."""
    return f"{track_id}-{member}"


def _orders(track_id: str, entry: Mapping[str, Any], pack: Pack) -> Iterator[Order]:
    """Yield the order of a track, then those of its family."""
    family = tuple(member_id(track_id, member) for member in entry["family"])
    controls = Controls(**entry["controls"])
    order = Order(
        track_id, entry["theme"], entry["seed"], controls, entry["title"], pack.rate, pack.name, pack.author, pack.license, family=family
    )
    yield order
    for member_track, member in zip(family, entry["family"], strict=True):
        title = f"{order.title} ({member})" if order.title else ""
        yield replace(order, id=member_track, title=title, parent=track_id, member=member, family=())


def read(path: str) -> str:
    """Return the text of a manifest.

    Raises:
        ManifestError: The file cannot be read or is no text.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
    except FormatError as error:
        raise ManifestError(f"no manifest: {error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: a manifest must be UTF-8 text ({error.reason} at byte {error.start})") from error


def _judged(text: str, name: str, root: Path) -> tuple[dict[str, Any], list[Path]]:
    """Return what a manifest and its maps say, as JSON values, and the maps."""
    from nesasset.build import manifest as manifests  # pydantic: half of the time of a check
    from nesasset.build import sources

    manifest = manifests.loads(text, name)
    more, maps = sources.tracks(manifest, root)
    tracks = {
        track_id: {"theme": track.theme, "seed": track.seed, "controls": manifest.controls_of(track_id, track).to_json(), "title": track.title, "family": track.family}
        for track_id, track in {**manifest.track, **more}.items()
    }
    return {
        "pack": manifest.pack.model_dump(),
        "quality": manifest.quality.model_dump(),
        "tracks": tracks,
        "exports": {name: export.model_dump() for name, export in manifest.export.items()},
        "effects": {name: {"kind": effect.class_ or name, "seed": effect.seed, "chord": effect.chord} for name, effect in manifest.sfx.items()},
        "maps": manifest.sources is not None,
    }, maps


def _targets(exports: Mapping[str, Mapping[str, Any]], rate: int, root: Path, folder: str | None) -> tuple[Target, ...]:
    if not exports:
        plain = engine("plain")
        options = Options(plain.name, plain.carriers[0], 0.4, (rate,))
        return (Target(plain, options, Path(folder).absolute() if folder else root / DEFAULT_FOLDER, ("*",)),)
    base = root if folder is None else Path(folder).absolute()
    found = []
    for name, export in exports.items():
        target = engine(name)
        rates = tuple(dict.fromkeys(export["rates"] or (rate,)))
        options = Options(name, export["format"] or target.carriers[0], export["quality"], rates, export["stems"], export["fade"], export["outro"])
        found.append(Target(target, options, Path(os.path.normpath(base / (export["dir"] or target.folder))), tuple(export["tracks"])))
    return tuple(found)
