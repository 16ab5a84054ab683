"""The manifest: nesasset.toml, read and checked as a whole. Holds what may stand in it, not what is made of it.

    schema = 1

    [pack]
    name = "my-game"

    [defaults]
    candidates = 2

    [track.overworld-1]
    theme = "overworld"
    seed = 7

    [sfx.coin]
    class = "coin"

All faults are reported at once, each with its place and line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nesasset.chords import parse_chord
from nesasset.compose.controls import Controls, check_seed
from nesasset.errors import ControlError, FormatError, ManifestError, UnknownThemeError, did_you_mean
from nesasset.formats.files import read_bytes
from nesasset.sfx import CLASSES
from nesasset.themes import theme

DEFAULT_NAME: Final = "nesasset.toml"
SCHEMA: Final = 1
MAX_BYTES: Final = 1_000_000  # a manifest of 4000 tracks has about 300 kB
MAX_TRACKS: Final = 1000
ID_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Microsoft's documentation, "Naming Files, Paths, and Namespaces": device names, reserved with any suffix too.
_DEVICES: Final = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
_OWN_NAMES: Final = {"pack"}  # pack.json is the pack's own


# Keys whose control has another name; register_, since a model has a method of that name.
_CONTROL_NAMES: Final = {"tempo": "tempo_bpm", "intro": "intro_bars", "register_": "register"}


def _control(name: str) -> Callable[[Any], Any]:
    """Return a validator that lets Controls judge one of its fields."""

    def check(value: Any) -> Any:
        return getattr(Controls(**{name: value}), name)

    return check


def _theme_name(name: str) -> str:
    try:
        return theme(name).name
    except UnknownThemeError as error:
        raise ValueError(str(error)) from error  # pydantic collects ValueErrors only


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Wishes(_Table):
    """What a track may ask for; in [defaults] for all tracks."""

    bars: Annotated[int, AfterValidator(_control("bars"))] | None = None
    tempo: Annotated[float, AfterValidator(_control("tempo_bpm"))] | None = None
    key: Annotated[str, AfterValidator(_control("key"))] | None = None
    mode: Annotated[str, AfterValidator(_control("mode"))] | None = None
    density: Annotated[float, AfterValidator(_control("density"))] | None = None
    intensity: Annotated[float, AfterValidator(_control("intensity"))] | None = None
    register_: Annotated[str, AfterValidator(_control("register"))] | None = Field(default=None, alias="register")
    swing: Annotated[float, AfterValidator(_control("swing"))] | None = None
    intro: Annotated[int, AfterValidator(_control("intro_bars"))] | None = None
    voices: Annotated[str, AfterValidator(_control("voices"))] | None = None
    form: Annotated[str, AfterValidator(_control("form"))] | None = None
    chords: Annotated[str, AfterValidator(_control("chords"))] | None = None
    guidance: Annotated[float, AfterValidator(_control("guidance"))] | None = None
    candidates: Annotated[int, AfterValidator(_control("candidates"))] | None = None
    temperature: Annotated[float, AfterValidator(_control("temperature"))] | None = None
    ornaments: bool | None = None


class Track(Wishes):
    """One [track.ID] table."""

    theme: Annotated[str, AfterValidator(_theme_name)]
    seed: Annotated[int, AfterValidator(check_seed)] = 0
    title: Annotated[str, Field(max_length=100)] = ""


def _effect_class(name: str) -> str:
    if name not in CLASSES:
        raise ValueError(f"unknown class of effect {name!r}{did_you_mean(name, CLASSES)}")
    return name


def _chord(name: str) -> str:
    parse_chord(name, 0, "major")  # a ControlError is a ValueError
    return name


class SoundEffect(_Table):
    """One [sfx.ID] table."""

    class_: Annotated[str, Field(alias="class"), AfterValidator(_effect_class)]
    seed: Annotated[int, AfterValidator(check_seed)] = 0
    chord: Annotated[str, AfterValidator(_chord)] | None = None


class Pack(_Table):
    """The [pack] table."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    rate: Literal[44_100, 48_000] = 44_100
    author: Annotated[str, Field(max_length=200)] = ""
    license: Annotated[str, Field(max_length=200)] = ""


def _track_id(name: str) -> str:
    """Return a track's id if it is safe as a file name everywhere."""
    if not ID_PATTERN.fullmatch(name):
        raise ValueError(
            f"a track id has 1 to 64 of a-z, 0-9, - and _ and starts with a letter or digit, not {name!r}: "
            "it becomes a file name"
        )
    if name in _DEVICES:
        raise ValueError(f"{name!r} is a reserved name on Windows, choose another track id")
    if name in _OWN_NAMES:
        raise ValueError(f"{name!r} is kept for the pack's own {name}.json, choose another track id")
    return name


def _schema(version: int) -> int:
    if version != SCHEMA:
        raise ValueError(f"this nesasset reads schema {SCHEMA}, not {version}")
    return version


class Manifest(_Table):
    """A whole manifest."""

    schema_: Annotated[int, Field(alias="schema"), AfterValidator(_schema)]
    pack: Pack
    defaults: Wishes = Wishes()
    track: Annotated[dict[Annotated[str, AfterValidator(_track_id)], Track], Field(min_length=1, max_length=MAX_TRACKS)]
    sfx: Annotated[dict[Annotated[str, AfterValidator(_track_id)], SoundEffect], Field(max_length=MAX_TRACKS)] = Field(default_factory=dict)

    def controls(self, track_id: str) -> Controls:
        """Return the controls of a track: its own wishes over the defaults."""
        own = self.track[track_id]
        wishes = {name: getattr(own, name) for name in Wishes.model_fields}
        given = {name: getattr(self.defaults, name) if wish is None else wish for name, wish in wishes.items()}
        return Controls(**{_CONTROL_NAMES.get(name, name): wish for name, wish in given.items()})

    @model_validator(mode="after")
    def _wishes_agree(self) -> Manifest:
        """Refuse wishes that are possible one by one but not together, such as a form and a number of bars."""
        faults = [f"sfx.{name}: a track has that id, too, and both become file names; choose another" for name in self.sfx if name in self.track]
        for track_id in self.track:
            try:
                self.controls(track_id)
            except ControlError as error:
                faults.append(f"track.{track_id}: {error}")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def load(path: str | Path) -> Manifest:
    """Read a manifest.

    Args:
        path: A TOML file.

    Returns:
        The manifest, complete and in range.

    Raises:
        ManifestError: The file cannot be read or says what it may not say; the message has a line for each fault.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
    except FormatError as error:
        raise ManifestError(f"no manifest: {error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: a manifest must be UTF-8 text ({error.reason} at byte {error.start})") from error
    return loads(text, str(path))


def loads(text: str, name: str = DEFAULT_NAME) -> Manifest:
    """Return the manifest that a TOML text holds; `name` stands in the error messages. See `load`."""
    try:
        tables = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ManifestError(f"{name}: not valid TOML: {str(error) or type(error).__name__}") from error
    try:
        return Manifest.model_validate(tables)
    except ValidationError as error:
        faults = [_sentence(fault, text) for fault in error.errors(include_url=False)]
    lines = [f"{name}:{line}: {sentence}" if line else f"{name}: {sentence}" for line, sentence in sorted(faults)]
    raise ManifestError("\n".join(lines))


def _sentence(fault: Mapping[str, Any], text: str) -> tuple[int, str]:
    """Return the line and the sentence for one of pydantic's faults."""
    place = tuple(str(part) for part in fault["loc"] if part != "[key]")
    line, path = line_of(text, place), ".".join(place)
    kind, value, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(place[:-1])
        return line, f"unknown key {path}{did_you_mean(place[-1], known) or ', allowed are ' + ', '.join(known)}"
    if kind == "missing" or (kind == "too_short" and path == "track"):
        return line if kind == "too_short" else line_of(text, place[:-1]), f"{_TABLES.get(path, path)} is missing"
    if kind == "value_error":
        reason = str(context.get("error", fault["msg"]))
        return line, f"{path}: {reason}" if path else reason
    if kind == "literal_error":
        return line, f"{path} must be {context['expected']}, not {value!r}"
    if kind.endswith(("_type", "_parsing", "_from_float")):
        return line, f"{path} must be {_TYPES.get(kind, kind)}, not {value!r}"
    return line, f"{path}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, not {value!r}"


_TABLES: Final = {"schema": "schema = 1", "pack": "the table [pack]", "track": "a table [track.ID] for each track"}
_TYPES: Final = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text in quotes",
    "model_type": "a table",
    "dict_type": "a table",
}


def _known_keys(place: tuple[str, ...]) -> list[str]:
    """Return the keys allowed in the table at a place."""
    if not place:
        return ["schema", "pack", "defaults", "track", "sfx"]
    tables: dict[str, type[BaseModel]] = {"pack": Pack, "defaults": Wishes, "sfx": SoundEffect}
    return [field.alias or name for name, field in tables.get(place[0], Track).model_fields.items()]


_HEADER: Final = re.compile(r"\s*\[\[?\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART: Final = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")


def line_of(text: str, place: tuple[str, ...]) -> int:
    """Return the line (from 1) on which a key or table of a TOML text stands, or of the table that should hold it.

    tomllib keeps no line numbers. This small scan knows headers and `key = value` lines, which is how manifests are
    written; for inline tables it returns the line of the outer key, and 0 for the top of the file.
    """
    best_length, best_line = 0, 0
    table: tuple[str, ...] = ()
    inside = 0  # the first line of something within the place: [a.b] for the place a
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            path = table = _parts(header[1])
        elif key := _KEY.match(line):
            path = (*table, *_parts(key[1]))
        else:
            continue
        if len(path) > best_length and place[: len(path)] == path:
            best_length, best_line = len(path), number
        if not inside and place and path[: len(place)] == place:
            inside = number
    return best_line if best_length == len(place) else inside or best_line


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
