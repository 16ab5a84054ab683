"""The manifest: nesasset.toml, or [tool.nesasset] of a pyproject.toml, read and checked as a whole.

    schema = 1

    [pack]
    name = "my-game"

    [track.overworld-1]
    theme = "overworld"
    seed = 7

    [export.godot]
    dir = "music"

Holds what may stand in it, not what is made of it. All faults are told at once, each with file, line and key. Tracks that
come from maps are read by `sources`; `project` puts both together.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from nesasset.build import arc, faults
from nesasset.build.project import DEFAULT_NAME, member_id, read
from nesasset.compose import controls as ranges
from nesasset.compose.controls import Controls, check_seed
from nesasset.compose.members import MEMBERS, find_member
from nesasset.compose.scales import SCALES
from nesasset.errors import ControlError, ManifestError, UnknownThemeError, did_you_mean
from nesasset.sfx import CLASSES, tuned_to
from nesasset.themes import MODES, REGISTERS, THEMES, theme

SCHEMA: Final = 1
MAX_TRACKS: Final = 4096
ID_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RATES: Final = (44_100, 48_000)
# Microsoft's documentation, "Naming Files, Paths, and Namespaces": device names, reserved with any suffix too.
_DEVICES: Final = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
_OWN_NAMES: Final = {"pack"}  # pack.json is the pack's own
# Keys whose control has another name; register_, since a model has a method of that name.
_CONTROL_NAMES: Final = {"tempo": "tempo_bpm", "intro": "intro_bars", "register_": "register"}


class FaultsError(ValueError):
    """Several faults of one rule, each with its place."""

    def __init__(self, found: list[tuple[faults.Place, str]]) -> None:
        super().__init__("; ".join(reason for _, reason in found))
        self.faults = found


def _control(name: str) -> AfterValidator:
    """Return a validator that lets Controls judge one of its fields."""

    def check(value: Any) -> Any:
        return getattr(Controls(**{name: value}), name)

    return AfterValidator(check)


def _number(kind: str, limits: tuple[float, float]) -> WithJsonSchema:
    """Return what an editor is told of a number; what is judged is the validator beside it."""
    return WithJsonSchema({"type": kind, "minimum": limits[0], "maximum": limits[1]})


def _choice(words: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(words)})


def _motif(text: str) -> str:
    """Return a motif as it is written best, or '' for none."""
    return text and (Controls(motif=text).motif or "")


def _theme_name(name: str) -> str:
    try:
        return theme(name).name
    except UnknownThemeError as error:
        raise ValueError(str(error)) from error  # pydantic collects ValueErrors only


def _member_name(name: str) -> str:
    try:
        return find_member(name).name
    except ControlError as error:
        raise ValueError(str(error)) from error


def _effect_class(name: str) -> str:
    if name not in CLASSES:
        raise ValueError(f"unknown class of effect {name!r}{did_you_mean(name, CLASSES) or ' (nesasset sfx --list names them all)'}")
    return name


def _chord(name: str) -> str:
    try:
        tuned_to(name)
    except ControlError as error:
        raise ValueError(str(error)) from error
    return name


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _about(text: str, default: Any = None, alias: str | None = None) -> Any:
    return Field(default=default, description=text, alias=alias)


class Wishes(_Table):
    """What a track may ask for; in [defaults] for all tracks."""

    bars: Annotated[int, _control("bars"), _number("integer", ranges.BARS_RANGE)] | None = _about("Length of the loop in bars.")
    tempo: Annotated[float, _control("tempo_bpm"), _number("number", ranges.TEMPO_RANGE_BPM)] | None = _about("Beats a minute.")
    key: Annotated[str, _control("key")] | None = _about("Tonic: C, F#, Bb …")
    mode: Annotated[str, _control("mode"), _choice(MODES)] | None = _about("major or minor.")
    scale: Annotated[str, _control("scale"), _choice(tuple(SCALES))] | None = _about("The only notes there are, over the tonic.")
    density: Annotated[float, _control("density"), _number("number", ranges.SHARE_RANGE)] | None = _about("How busy the melodic voices are: 0 sparse, 1 busy.")
    intensity: Annotated[float, _control("intensity"), _number("number", ranges.SHARE_RANGE)] | None = _about("Density, drums and tempo together, 0 to 1.")
    register_: Annotated[str, _control("register"), _choice(REGISTERS)] | None = _about("Where the melody lies: low, mid or high.", alias="register")
    melody_range: Annotated[str, _control("melody_range")] | None = _about("Lowest and highest note of pulse 1, as in C4-C6.")
    swing: Annotated[float, _control("swing"), _number("number", ranges.SWING_RANGE)] | None = _about("0.5 even, up to 0.75.")
    intro: Annotated[int, _control("intro_bars"), _number("integer", ranges.INTRO_RANGE)] | None = _about("Bars before the loop that are played once.")
    voices: Annotated[str, _control("voices")] | None = _about("The voices that play, as in 'P1 TR NO'; the others stay free for effects.")
    form: Annotated[str, _control("form")] | None = _about("Sections: AABA, A A' B A (strokes vary), A A+2 B A (moved by semitones).")
    chords: Annotated[str, _control("chords")] | None = _about("A chord a bar, by degree or name: 'I vi IV V'.")
    motif: Annotated[str, AfterValidator(_motif)] | None = _about("A tune that the pieces have in common, written in C: 'C5/4 D5/4 Eb5/2 -/2 G5/8'; '' for none. nesasset motif invents one.")
    guidance: Annotated[float, _control("guidance"), _number("number", ranges.GUIDANCE_RANGE)] | None = _about("How strongly the theme is felt.")
    candidates: Annotated[int, _control("candidates"), _number("integer", ranges.CANDIDATES_RANGE)] | None = _about("Compose so many and keep the best.")
    temperature: Annotated[float, _control("temperature"), _number("number", ranges.TEMPERATURE_RANGE)] | None = _about("How daring the choice of notes is.")
    ornaments: bool | None = _about("Duty sequences, drum courses, vibrato, echo; true by default.")
    model: Annotated[str, _control("model")] | None = _about("Name of an installed model; nesasset models lists them.")


ThemeName = Annotated[str, AfterValidator(_theme_name), WithJsonSchema({"type": "string", "enum": list(THEMES)})]
Seed = Annotated[int, AfterValidator(check_seed), _number("integer", ranges.SEED_RANGE)]


MemberName = Annotated[str, AfterValidator(_member_name), _choice(tuple(MEMBERS))]


class Track(Wishes):
    """One [track.ID] table."""

    theme: ThemeName = Field(description="What the level is about; nesasset themes lists them.")
    seed: Seed = _about("Another seed, another piece.", 0)
    title: Annotated[str, Field(max_length=100)] = _about("For people and players; the id where empty.", "")
    family: list[MemberName] = _about("Versions of it that are tracks of their own, ID-calm and so on, on the same bars and harmony.", [])


class Pack(_Table):
    """The [pack] table."""

    name: Annotated[str, Field(min_length=1, max_length=100, description="The album in a player's words.")]
    rate: Literal[44_100, 48_000] = _about("Samples a second.", 44_100)
    author: Annotated[str, Field(max_length=200)] = _about("Written into the files' tags.", "")
    license: Annotated[str, Field(max_length=200)] = _about("Written into the files' tags.", "")
    scores: Annotated[str, Field(max_length=200)] = _about("Folder of the kept scores, seen from the manifest.", "scores")


class Effect(_Table):
    """One [sfx.ID] table: a sound effect of the chip, a file in every export."""

    class_: Annotated[str, AfterValidator(_effect_class), _choice(CLASSES)] | None = _about("What happens; the id where it is left out. nesasset sfx --list names them.", alias="class")
    seed: Seed = _about("Another seed, another effect of the class.", 0)
    chord: Annotated[str, AfterValidator(_chord)] | None = _about("Keep to the tones of a chord: C, F#m, Bdim.")


class Quality(_Table):
    """The [quality] table: what the build makes sure of."""

    loudness: Annotated[float, Field(ge=-40, le=-8)] | None = _about("Loudness of every track in LUFS; left as it is where absent.")
    true_peak: Annotated[float, Field(ge=-20, le=0)] = _about("Highest true peak in dBTP that a gain may lead to.", -1.0)
    tolerance: Annotated[float, Field(ge=0.1, le=20)] = _about("How far a track may stay from the loudness, in LU, before the build fails.", 2.0)
    alike: Annotated[float, Field(ge=0, le=1)] | None = _about("Share of their passages of eight notes that two tracks may have in common before the build fails; any where absent.")


class Export(_Table):
    """One [export.ENGINE] table; what is left out is the engine's own way."""

    dir: Annotated[str, Field(min_length=1, max_length=300)] | None = _about("Folder of the files, seen from the manifest.")
    format: Literal["ogg", "wav", "flac"] | None = _about("Sound files of another kind than the engine's usual one.")
    quality: Annotated[float, Field(ge=0, le=1)] = _about("Of OGG Vorbis, 0 to 1.", 0.4)
    rates: Annotated[list[Literal[44_100, 48_000]], Field(min_length=1, max_length=2)] | None = _about("Sample rates to render at; the pack's by default.")
    stems: bool = _about("A file for each voice too; their sum is the mix.", False)
    fade: Annotated[float, Field(ge=0.1, le=60)] | None = _about("Also a file that ends: two rounds, then a fade-out of so many seconds.")
    outro: bool = _about("Also a file to end the track with: its last bars and a closing note.", False)
    tracks: Annotated[list[str], Field(min_length=1)] = _about("Patterns of the tracks to export.", ["*"])


class Sources(_Table):
    """The [sources] table: maps whose properties make tracks."""

    maps: Annotated[list[str], Field(min_length=1)] = Field(description="Patterns of Tiled (.tmx, .tmj) and LDtk (.ldtk) files.")
    seed: Literal["id", "map"] = _about("Where a level's seed comes from: its name, or the tiles of its map.", "id")


Factor = Annotated[float, Field(ge=arc.FACTOR_RANGE[0], le=arc.FACTOR_RANGE[1])]


class SoundtrackPlan(_Table):
    """The [plan] table: the way of keys and tempos through the levels."""

    levels: Annotated[list[str], Field(min_length=1, description="Ids of tracks in the game's order.")]
    key: Annotated[str, _control("key")] | None = _about("Of the first level; C where only keys is given.")
    keys: Literal["same", "fifths", "rising"] | None = _about("Each level's key from the last: the same, a fifth higher, a whole tone higher; the same by default.")
    tempo: Annotated[list[Factor], Field(min_length=2, max_length=2)] | None = _about("Factors on the theme's own tempo, of the first level and of the last.")

    @property
    def arc(self) -> arc.Arc:
        """The same as data."""
        tonic = Controls(key=self.key or "C").tonic if self.key or self.keys else None
        return arc.Arc(tuple(self.levels), tonic, self.keys or "same", self.tempo)


def _track_id(name: str) -> str:
    """Return a track's id if it is safe as a file name everywhere."""
    if not ID_PATTERN.fullmatch(name):
        raise ValueError(
            f"a track id has 1 to 64 of a-z, 0-9, - and _ and starts with a letter or digit, not {name[:80]!r}: "
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


def _engine_name(name: str) -> str:
    from nesasset.build.engines import engine

    return engine(name).name


TrackId = Annotated[str, AfterValidator(_track_id)]
EngineName = Annotated[str, AfterValidator(_engine_name)]


class Manifest(_Table):
    """A whole manifest."""

    schema_: Annotated[int, AfterValidator(_schema), WithJsonSchema({"const": SCHEMA})] = Field(alias="schema", description="Version of this form.")
    pack: Pack
    defaults: Wishes = Wishes()
    track: Annotated[dict[TrackId, Track], Field(max_length=MAX_TRACKS)] = {}
    export: dict[EngineName, Export] = {}
    quality: Quality = Quality()
    sfx: Annotated[dict[TrackId, Effect], Field(max_length=MAX_TRACKS)] = {}
    sources: Sources | None = None
    plan: SoundtrackPlan | None = None

    def controls(self, track_id: str) -> Controls:
        """Return the controls of a track: its own wishes over the defaults, and what the plan fills in."""
        return self.controls_of(track_id, self.track[track_id])

    def controls_of(self, track_id: str, own: Track) -> Controls:
        """Return the controls of a track's table, which may come from a map."""
        wishes = {name: getattr(own, name) for name in Wishes.model_fields}
        given = {name: getattr(self.defaults, name) if wish is None else wish for name, wish in wishes.items()}
        given["motif"] = given["motif"] or None  # a track may do without the one of [defaults]
        controls = Controls(**{_CONTROL_NAMES.get(name, name): wish for name, wish in given.items()})
        return controls if self.plan is None else arc.along(self.plan.arc, track_id, own.theme, controls)

    @model_validator(mode="after")
    def _agrees(self) -> Manifest:
        """Refuse what is possible one by one but not together, such as a form and a number of bars."""
        found: list[tuple[faults.Place, str]] = []
        if not self.track and self.sources is None:
            found.append((("track",), ""))
        for track_id in self.track:
            try:
                self.controls(track_id)
            except ControlError as error:
                found.append((("track", track_id), str(error)))
        found += self.plan_faults(self.track) if self.sources is None else []  # of maps' tracks nobody knows yet
        found += self._family_faults() + self._effect_faults() + self._export_faults() + _path_faults(self)
        if found:
            raise FaultsError([(place, _at(place, reason)) for place, reason in found])
        return self

    def plan_faults(self, known: Mapping[str, Track]) -> list[tuple[faults.Place, str]]:
        """Return the levels of the plan that are none of the tracks, all of which are known, or stand there twice."""
        found: list[tuple[faults.Place, str]] = []
        levels = self.plan.levels if self.plan is not None else []
        for number, level in enumerate(levels):
            if level in levels[:number]:
                found.append((("plan", "levels"), f"{level} stands there twice; once is enough"))
            elif level in self.ids() and level not in known:
                found.append((("plan", "levels"), f"{level} is a member of a family and follows its parent; name that one"))
            elif level not in known:
                found.append((("plan", "levels"), f"no track is named {level[:80]!r}{did_you_mean(level, known) or '; there are ' + ', '.join(list(known)[:8])}"))
        return found

    def _family_faults(self) -> list[tuple[faults.Place, str]]:
        """Return the members whose tracks would not have an id of their own, or none that can be a file's name."""
        found: list[tuple[faults.Place, str]] = []
        for track_id, track in self.track.items():
            for number, member in enumerate(track.family):
                name = member_id(track_id, member)
                if member in track.family[:number]:
                    found.append((("track", track_id, "family"), f"{member} stands there twice; once is enough"))
                elif name in self.track:
                    found.append((("track", track_id, "family"), f"its {member} would be the track {name}, which there is already; change that one's id"))
                elif not ID_PATTERN.fullmatch(name):
                    found.append((("track", track_id, "family"), f"{name} would have {len(name)} letters, and a track's id has 64 at most; give the track a shorter one"))
        return found

    def _effect_faults(self) -> list[tuple[faults.Place, str]]:
        """Return the effects of no class, and those that an engine cannot tell from another."""
        from nesasset.build.engines import engine

        found: list[tuple[faults.Place, str]] = []
        for name, effect in self.sfx.items():
            if effect.class_ is None and name not in CLASSES:
                hint = did_you_mean(name, CLASSES) or f" such as {', '.join(CLASSES[:4])}"
                found.append((("sfx", name), f'a class = "…" is missing, and {name!r} is none itself{hint}'))
        for target in map(engine, self.export):
            stems: dict[str, str] = {}
            for name in self.sfx:
                other = stems.setdefault(target.stem(name), name)
                if other != name:
                    found.append((("sfx", name), f"{target.title} would give it the same file as {other}; change one of the ids"))
        return found

    def ids(self) -> list[str]:
        """Return the ids of all tracks, members of families too."""
        return [name for track_id, track in self.track.items() for name in (track_id, *(member_id(track_id, member) for member in track.family))]

    def _export_faults(self) -> list[tuple[faults.Place, str]]:
        from nesasset.build.engines import engine

        found: list[tuple[faults.Place, str]] = []
        places: dict[str, str] = {}
        for name, export in self.export.items():
            target = engine(name)
            folder = str(PurePosixPath(export.dir or target.folder))
            if folder in places:
                found.append((("export", name), f"the folder {folder!r} is that of [export.{places[folder]}] too; give each its own dir"))
            places[folder] = name
            if export.format is not None and export.format not in target.carriers:
                allowed = " or ".join(target.carriers)
                found.append((("export", name, "format"), f"{target.title} takes {allowed}, not {export.format!r}"))
            if target.sprite and (export.stems or export.outro or export.fade or len(export.rates or ()) > 1):
                found.append((("export", name), f"{target.title} gets one file with all tracks: stems, outro, fade and several rates are not for it"))
            chosen = [track_id for track_id in self.ids() if any(fnmatchcase(track_id, pattern) for pattern in export.tracks)]
            if self.track and self.sources is None and not chosen:
                found.append((("export", name, "tracks"), f"no track is named {' or '.join(export.tracks)}; there are {', '.join(self.ids()[:8])}"))
            stems: dict[str, str] = {}
            for track_id in chosen:
                other = stems.setdefault(target.stem(track_id), track_id)
                if other != track_id:
                    found.append((("track", track_id), f"{target.title} would give it the same file as {other}; change one of the ids"))
        return found


def _at(place: faults.Place, reason: str) -> str:
    return f"{'.'.join(place)}: {reason}" if reason else "a table [track.ID] for each track is missing"


def _path_faults(manifest: Manifest) -> list[tuple[faults.Place, str]]:
    """Return the folders and patterns that mean something else on another machine."""
    paths: list[tuple[faults.Place, str]] = [(("pack", "scores"), manifest.pack.scores)]
    paths += [(("export", name, "dir"), export.dir) for name, export in manifest.export.items() if export.dir is not None]
    paths += [(("sources", "maps"), pattern) for pattern in (manifest.sources.maps if manifest.sources else ())]
    found: list[tuple[faults.Place, str]] = []
    for place, path in paths:
        if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or "\\" in path or path.startswith("~"):
            found.append((place, f"a path must be relative to the manifest and have / between folders, not {path[:80]!r}"))
        elif "\0" in path or not path.strip():
            found.append((place, f"a path must be a name, not {path[:80]!r}"))
    return found


def load(path: str) -> Manifest:
    """Read a manifest.

    Args:
        path: A TOML file; of a pyproject.toml the table [tool.nesasset] is read.

    Returns:
        The manifest, complete and in range.

    Raises:
        ManifestError: The file cannot be read or says what it may not say; the message has a line for each fault.
    """
    return loads(read(path), str(path))


def loads(text: str, name: str = DEFAULT_NAME) -> Manifest:
    """Return the manifest that a TOML text holds; `name` stands in the error messages. See `load`."""
    try:
        tables: Any = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ManifestError(f"{name}: not valid TOML: {str(error) or type(error).__name__}") from error
    prefix: faults.Place = ()
    if PurePosixPath(name.replace("\\", "/")).name == "pyproject.toml":
        prefix = ("tool", "nesasset")
        tool = tables.get("tool", {})
        tables = tool.get("nesasset") if isinstance(tool, dict) else None
        if tables is None:
            raise ManifestError(f"{name} has no table [tool.nesasset]; write one, or a {DEFAULT_NAME} with nesasset init")
    try:
        return Manifest.model_validate(tables)
    except ValidationError as error:
        lines = faults.sentences(error.errors(include_url=False), text, name, prefix, known_keys)
    raise ManifestError("\n".join(lines))


_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "pack": Pack, "defaults": Wishes, "track": Track, "export": Export, "sfx": Effect, "quality": Quality, "sources": Sources,
    "plan": SoundtrackPlan,
}  # fmt: skip


def known_keys(place: faults.Place) -> list[str]:
    """Return the keys allowed in the table at a place."""
    model = _MODELS.get(place[0], Manifest) if place else Manifest
    return [field.alias or name for name, field in model.model_fields.items()]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a manifest, for editors; it has no null, since TOML has none."""
    from nesasset.build.engines import engines

    schema = Manifest.model_json_schema()
    exports = schema["properties"]["export"]
    exports["properties"] = dict.fromkeys(sorted(engines()), exports["additionalProperties"])
    exports["additionalProperties"] = False
    schema["properties"]["track"]["propertyNames"] = {"pattern": f"^{ID_PATTERN.pattern}$"}
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nesasset manifest"}
    cleaned: dict[str, Any] = _without_null(schema)
    return cleaned


def _without_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_null(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {key: _without_null(entry) for key, entry in value.items() if not (key == "default" and (entry is None or isinstance(entry, dict)))}
    options = found.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        del found["anyOf"]
        found = {**found, **rest[0]} if len(rest) == 1 else {**found, "anyOf": rest}
    return found


