"""Tracks from maps: levels of Tiled and LDtk whose properties say what they sound like. Reads maps; judges no wish.

A level with a `music_theme` becomes a track. Properties: `music_theme` (text), `music_intensity` (number from 0 to 1),
`music_seed` (whole number) and `music_id` (text; else the map's or level's name). The seed comes from `music_seed`, else, as the
manifest says, from the level's name or from the tiles of its map: the same place has the same music for ever.

Sources: Tiled's documentation, "TMX Map Format" and "JSON Map Format"; LDtk's JSON schema 1.5 (levels, fieldInstances, layerInstances,
externalRelPath).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from nesasset.build.manifest import ID_PATTERN, Manifest, Sources, Track
from nesasset.compose.controls import SEED_RANGE
from nesasset.errors import FormatError, ManifestError
from nesasset.formats.files import collector_paused, read_bytes

MAX_MAP_BYTES: Final = 64 * 1024 * 1024
MAX_MAPS: Final = 4096
SUFFIXES: Final = (".tmx", ".tmj", ".json", ".ldtk")
_KEYS: Final = {"music_theme": str, "music_intensity": (int, float), "music_seed": int, "music_id": str}
_DOCTYPE: Final = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Level:
    """One level that wants music."""

    origin: str
    """File and level, for people."""
    name: str
    properties: Mapping[str, Any]
    tiles: str
    """A digest of the map's size and tiles."""


def tracks(manifest: Manifest, root: Path) -> tuple[dict[str, Track], list[Path]]:
    """Return the tracks that maps ask for, by id, and the files that were read.

    A track that the manifest has too keeps everything that its table says; the map fills in what the table cannot.

    Raises:
        ManifestError: A map cannot be read, or asks for what nobody can give; the message has a line for each fault.
    """
    sources = manifest.sources
    if sources is None:
        return {}, []
    paths = _maps(sources, root)
    found: dict[str, Track] = {}
    members = set(manifest.ids()) - set(manifest.track)
    origins: dict[str, str] = {}
    faults: list[str] = []
    read: list[Path] = []
    for path in paths:
        shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
        try:
            for level in _levels(path, shown, read):
                track_id = _id(level)
                if track_id in origins:
                    raise ManifestError(f"{level.origin}: its track {track_id!r} is that of {origins[track_id]} too; give one of them another music_id")
                if track_id in members:
                    raise ManifestError(f"{level.origin}: its track {track_id!r} is a member of a family in the manifest too; give the level another music_id")
                origins[track_id] = level.origin
                if track_id not in manifest.track:
                    found[track_id] = _track(level, track_id, sources, manifest)
        except (ManifestError, FormatError) as error:
            faults += str(error).splitlines()
    if faults:
        raise ManifestError("\n".join(faults))
    wrong = manifest.plan_faults({**manifest.track, **found})
    if wrong:
        raise ManifestError("\n".join(f"{'.'.join(place)}: {reason}" for place, reason in wrong))
    if not found and not manifest.track:
        raise ManifestError(f"no map of [sources] has a music_theme and there is no [track.ID]: looked at {len(paths)} files")
    return found, read


def _maps(sources: Sources, root: Path) -> list[Path]:
    paths: list[Path] = []
    for pattern in sources.maps:
        plain = not any(letter in pattern for letter in "*?[")
        try:
            matched = [root / pattern] if plain else sorted(path for path in root.glob(pattern) if path.is_file())
        except (ValueError, NotImplementedError) as error:
            raise ManifestError(f"sources.maps: {pattern!r} is no pattern of paths ({error}); write one such as maps/*.tmj") from error
        if not matched:
            raise ManifestError(f"sources.maps: no file is named {pattern!r}; check the pattern")
        paths += [path for path in matched if path not in paths]
        if len(paths) > MAX_MAPS:
            raise ManifestError(f"sources.maps: at most {MAX_MAPS} maps are read, and {pattern!r} names more; write a narrower pattern")
    return paths


def _track(level: Level, track_id: str, sources: Sources, manifest: Manifest) -> Track:
    """Return the track that a level asks for.

    Raises:
        ManifestError: It asks for what nobody can give.
    """
    from pydantic import ValidationError

    from nesasset.errors import ControlError

    seed = level.properties.get("music_seed")
    if seed is None:
        word = level.name if sources.seed == "id" else level.tiles
        digest = hashlib.sha256(f"nesasset level {word}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big") % (SEED_RANGE[1] + 1)
    wishes = {"theme": level.properties["music_theme"], "seed": seed}
    if "music_intensity" in level.properties:
        wishes["intensity"] = float(level.properties["music_intensity"])
    try:
        track = Track.model_validate(wishes)
        manifest.controls_of(track_id, track)
    except ValidationError as error:
        reasons = [str(fault.get("ctx", {}).get("error", fault["msg"])) for fault in error.errors(include_url=False)]
        raise ManifestError("\n".join(f"{level.origin}: {reason}" for reason in reasons)) from error
    except ControlError as error:
        raise ManifestError(f"{level.origin}: {error}") from error
    return track


def _id(level: Level) -> str:
    """Return the id of a level's track: its name in the letters that file names may have."""
    name = level.properties.get("music_id", level.name)
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-")[:64].strip("-")
    if not ID_PATTERN.fullmatch(slug):
        raise ManifestError(f"{level.origin}: {name[:80]!r} gives no track id; give the level a music_id of a-z, 0-9 and -")
    return slug


def _levels(path: Path, shown: str, read: list[Path]) -> Iterator[Level]:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ManifestError(f"{shown}: a map is one of {', '.join(SUFFIXES)}, not {suffix or 'a file without suffix'}")
    read.append(path)
    data = read_bytes(path, MAX_MAP_BYTES)
    if suffix == ".tmx":
        yield from _tmx(data, shown, path.stem)
        return
    document = _json(data, shown)
    if isinstance(document.get("levels"), list):
        yield from _ldtk(document, path, shown, read)
    else:
        yield from _tmj(document, shown, path.stem)


def _json(data: bytes, shown: str) -> dict[str, Any]:
    try:
        with collector_paused():
            document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{shown}: the map is no JSON ({type(error).__name__}); save it again") from error
    if not isinstance(document, dict):
        raise ManifestError(f"{shown}: a map must be a JSON object, not {type(document).__name__}; save it again")
    return document


def _level(shown: str, name: object, properties: Mapping[str, Any], tiles: Any) -> Iterator[Level]:
    """Yield a level if it wants music; its properties are judged."""
    wanted = {key: value for key, value in properties.items() if key in _KEYS and value not in (None, "")}
    if not wanted:
        return
    if not isinstance(name, str) or not name:
        raise ManifestError(f"{shown}: a level must have a name")
    origin = f"{shown}: level {name[:80]}" if name != Path(shown).stem else shown
    for key, value in wanted.items():
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):  # type: ignore[arg-type]
            kind = {"music_theme": "a text", "music_intensity": "a number", "music_seed": "a whole number", "music_id": "a text"}[key]
            raise ManifestError(f"{origin}: {key} must be {kind}, not {str(value)[:80]!r}")
    if "music_theme" not in wanted:
        raise ManifestError(f"{origin}: it has {', '.join(wanted)} but no music_theme; add one, or remove the others")
    digest = hashlib.sha256(json.dumps(tiles, sort_keys=True, default=str).encode()).hexdigest()
    yield Level(origin, name, wanted, digest)


def _tmj(document: Mapping[str, Any], shown: str, stem: str) -> Iterator[Level]:
    """Yield a Tiled map in JSON."""
    properties = document.get("properties", [])
    if not isinstance(properties, list):
        raise ManifestError(f"{shown}: properties must be a list; save the map again")
    found = {entry["name"]: entry.get("value") for entry in properties if isinstance(entry, dict) and isinstance(entry.get("name"), str)}
    layers = document.get("layers", [])
    data = [layer.get("data", layer.get("chunks")) for layer in layers if isinstance(layer, dict) and layer.get("type") == "tilelayer"] if isinstance(layers, list) else []
    yield from _level(shown, stem, found, [document.get("width"), document.get("height"), data])


def _tmx(data: bytes, shown: str, stem: str) -> Iterator[Level]:
    """Yield a Tiled map in XML."""
    if _DOCTYPE.search(data):  # entities can make a megabyte of a line; Tiled writes none
        raise ManifestError(f"{shown}: a map must not declare a document type or entities; save it with Tiled")
    try:
        root = ET.fromstring(data)  # noqa: S314, no entities, see above
    except (ET.ParseError, ValueError, RecursionError, LookupError) as error:
        raise ManifestError(f"{shown}: the map is no XML ({error}); save it again") from error
    if root.tag != "map":
        raise ManifestError(f"{shown}: a .tmx begins with <map>, not <{root.tag[:40]}>; save it with Tiled")
    found: dict[str, Any] = {}
    for entry in root.findall("./properties/property"):
        found[entry.get("name", "")] = _typed(entry.get("type", "string"), entry.get("value", entry.text or ""), shown)
    tiles = [[layer.get("width"), layer.get("height"), "".join("".join(node.itertext()) for node in layer.findall("data")).split()] for layer in root.iter("layer")]
    yield from _level(shown, stem, found, [root.get("width"), root.get("height"), tiles])


def _typed(kind: str, value: str, shown: str) -> Any:
    try:
        return int(value) if kind == "int" else float(value) if kind == "float" else value
    except ValueError as error:
        raise ManifestError(f"{shown}: a property says that it is {kind} and holds {value[:40]!r}; mend it in Tiled") from error


def _ldtk(document: Mapping[str, Any], path: Path, shown: str, read: list[Path]) -> Iterator[Level]:
    """Yield the levels of an LDtk project; levels in files of their own are read too."""
    for level in document["levels"]:
        if not isinstance(level, dict):
            raise ManifestError(f"{shown}: a level must be a JSON object; save the project again")
        place = level.get("externalRelPath")
        layers = level.get("layerInstances")
        if isinstance(place, str) and place:
            other = path.parent / place
            if ".." in Path(place).parts or Path(place).is_absolute():
                raise ManifestError(f"{shown}: a level's file must lie beside its project, not at {place[:80]!r}")
            read.append(other)
            layers = _json(read_bytes(other, MAX_MAP_BYTES), other.name).get("layerInstances")
        fields = level.get("fieldInstances", [])
        found = {
            entry["__identifier"]: entry.get("__value")
            for entry in (fields if isinstance(fields, list) else [])
            if isinstance(entry, dict) and isinstance(entry.get("__identifier"), str)
        }
        tiles = [
            [layer.get("__identifier"), layer.get("intGridCsv"), [[tile.get("px"), tile.get("t")] for tile in layer.get("gridTiles") or [] if isinstance(tile, dict)]]
            for layer in (layers if isinstance(layers, list) else [])
            if isinstance(layer, dict)
        ]
        yield from _level(shown, level.get("identifier"), found, [level.get("pxWid"), level.get("pxHei"), tiles])
