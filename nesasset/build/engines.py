"""Engines: how each one wants its music, as one table. Holds what differs between them; files are made in `layout` and `glue`.

A row says which carrier an engine reads, whether a loop is told by points in the file, by two files or by code, in which
unit a loop is told and how numbers are rounded, and how files are named. Everything else follows from the row. Rows of
other packages come in through the entry points `nesasset.exporters`, see `plugins`.

Sources of the rows: SDL_mixer 2.6's music_ogg.c, RPG Maker MV's core script, the documentation of Godot 4 (AudioStreamOggVorbis,
AudioStreamInteractive), Unity (AudioSource.PlayScheduled), GameMaker (audio_sound_loop_start), Ren'Py (partial playback),
Defold (sound component), LÖVE (Source, queueable sources), kira (loop_region), MonoGame (SoundEffect), Phaser (audio sprite),
howler.js (sprite).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from nesasset.errors import did_you_mean

Texts = Mapping[str, str]
"""Contents of text files by path within the export's folder."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One exported track, as a glue function sees it."""

    id: str
    stem: str
    """Of its file names, and its name in the engine's code."""
    files: Mapping[str, str]
    """Paths within the export's folder by role: 'whole', 'intro', 'loop', 'P1', 'outro' …; see `layout`."""
    facts: Mapping[str, Any]
    """The sidecar: title, theme, rate, samples, loop, tempo, bars; docs/cli.md has the keys."""

    @property
    def loop(self) -> tuple[int, int] | None:
        """First sample of the loop and its length."""
        loop = self.facts["loop"]
        return None if loop is None else (loop["samples"]["start"], loop["samples"]["length"])

    @property
    def rate(self) -> int:
        """Samples a second that `loop` counts in."""
        return int(self.facts["rate"])

    @property
    def samples(self) -> int:
        """Length of intro and loop in samples."""
        return int(self.facts["samples"])


@dataclass(frozen=True, slots=True)
class Export:
    """All of an engine's tracks: what a glue function is given."""

    pack: Mapping[str, Any]
    """Name, author, license and rate of the pack."""
    pieces: tuple[Piece, ...]
    """In the manifest's order."""
    sprite: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """First sample and length of each part of a sprite by name, '' for the whole file; empty for other engines."""
    sprite_file: str = ""
    """The sprite's path."""
    folder: str = ""
    """The export's folder, seen from the manifest."""
    fingerprints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """SHA-256 and size of every sound file and its companions, by path."""
    effects: Mapping[str, str] = field(default_factory=dict)
    """Paths of the sound effects by id."""

    def below(self, parent: str) -> str:
        """Return the export's folder as seen from a folder that the engine counts from, with a slash behind; '' for itself."""
        parts = self.folder.split("/")
        if parent in parts:
            parts = parts[parts.index(parent) + 1 :]
        return "".join(f"{part}/" for part in parts if part not in ("", ".", ".."))


Glue = Callable[[Export], Texts]


def identifier(track_id: str) -> str:
    """Return an id as a name that programming languages take: [a-z_][a-z0-9_]*."""
    name = track_id.replace("-", "_")
    return f"_{name}" if name[:1].isdigit() else name


def unchanged(track_id: str) -> str:
    """Return an id as it is."""
    return track_id


@dataclass(frozen=True, slots=True)
class Engine:
    """One row of the table."""

    name: str
    """What stands in [export.NAME]."""
    title: str
    """What people call it."""
    folder: str
    """Where its music goes if the manifest does not say."""
    carriers: tuple[str, ...]
    """Sound files that it reads, the usual one first."""
    loop: str
    """How it learns of a loop: 'tags' in the file, 'split' into two files, 'code' that is made beside the files."""
    unit: str
    """Unit in which the code tells a loop: 'samples', 'seconds', 'milliseconds', or '' where no code does."""
    rounding: str
    """'exact': the number as it is. 'inside': a quarter of a sample more, so that both truncation and rounding give it."""
    sentence: str
    """What is special about it."""
    glue: str | Glue | None = None
    """Makes the files that belong to no single track: a function, or 'module:function'."""
    stem: Callable[[str], str] = unchanged
    """Track id to stem of its files."""
    separator: str = "."
    """Between the stem and what part of the track a file is."""
    folders: Mapping[bool, str] = field(default_factory=dict)
    """Folder below the export's by whether a track loops."""
    effects: str = "sfx/"
    """Folder of the sound effects, below the export's."""
    sprite: bool = False
    """One sound file holds all tracks."""
    extras: tuple[str, ...] = ()
    """Other files of each track: 'json', 'mid', 'png', 'track.json'."""
    merged: str = ""
    """Suffix of files that belong to the engine's editor too: made once, then only our keys in them are kept right."""
    version: int = 1
    """Counted up when the same scores give other files."""

    @property
    def split(self) -> bool:
        """True if intro and loop are two files."""
        return self.loop == "split"

    def glue_function(self) -> Glue | None:
        """Return the function that makes the files around the sound."""
        if not isinstance(self.glue, str):
            return self.glue
        module, _, name = self.glue.partition(":")
        found: Glue = getattr(importlib.import_module(module), name)
        return found


_GLUE: Final = "nesasset.build.glue"
_TABLE: Final = (
    Engine(
        "plain", "Plain files", "pack", ("ogg", "wav", "flac"), "tags", "", "exact",
        "Sound with loop tags, the score, MIDI, a picture and a sidecar with every number, for engines that are not in this table.",
        f"{_GLUE}.plain:files", extras=("json", "mid", "png", "track.json"),
    ),
    Engine(
        "pygame", "pygame", "music", ("ogg", "flac", "wav"), "tags", "samples", "exact",
        "SDL_mixer reads the loop tags; a typed module names every track.",
        f"{_GLUE}.scripts:pygame", identifier,
    ),
    Engine(
        "godot", "Godot 4", "music", ("ogg",), "code", "seconds", "inside",
        "The loop stands in the file's import settings; a script plays tracks and builds AudioStreamInteractive.",
        f"{_GLUE}.godot:files", identifier, merged=".import",
    ),
    Engine(
        "unity", "Unity", "Assets/Music", ("wav", "ogg"), "split", "samples", "exact",
        "An AudioClip has no loop points: intro and loop are two clips, scheduled one after the other by a script.",
        f"{_GLUE}.csharp:unity", identifier, "_",
    ),
    Engine(
        "rpgmaker", "RPG Maker MV and MZ", "audio", ("ogg",), "tags", "", "exact",
        "The engine reads LOOPSTART and LOOPLENGTH. Loops are background music (bgm), jingles are music effects (me).",
        folders={True: "bgm/", False: "me/"}, effects="se/",
    ),
    Engine(
        "gamemaker", "GameMaker", "datafiles/music", ("ogg",), "code", "seconds", "inside",
        "Included files, streamed; a script sets the loop points on what plays.",
        f"{_GLUE}.scripts:gamemaker", identifier,
    ),
    Engine(
        "renpy", "Ren'Py", "game/audio", ("ogg", "wav", "flac"), "code", "seconds", "inside",
        "The loop stands in the name that is played, <loop 3.2>audio/castle.ogg; definitions give each a short name.",
        f"{_GLUE}.scripts:renpy", identifier,
    ),
    Engine(
        "defold", "Defold", "music", ("ogg", "wav"), "split", "seconds", "exact",
        "A sound component has no loop points: intro and loop are two components, played one after the other by a module.",
        f"{_GLUE}.lua:defold", identifier, "_",
    ),
    Engine(
        "love", "LÖVE", "music", ("ogg", "wav", "flac"), "split", "samples", "exact",
        "A source has no loop points: a module queues the intro's samples and then the loop's, for ever.",
        f"{_GLUE}.lua:love", identifier, "_",
    ),
    Engine(
        "bevy", "Bevy with kira", "assets/music", ("ogg", "wav", "flac"), "code", "samples", "exact",
        "kira's loop_region counts in samples; a module of constants has them.",
        f"{_GLUE}.scripts:bevy", identifier,
    ),
    Engine(
        "monogame", "MonoGame and FNA", "Content/Music", ("wav",), "code", "samples", "exact",
        "SoundEffect's constructor takes loop points in samples; a class reads the WAV and passes them on.",
        f"{_GLUE}.csharp:monogame", identifier,
    ),
    Engine(
        "phaser", "Phaser 3", "assets/music", ("ogg", "wav"), "code", "seconds", "exact",
        "One audio sprite for all tracks, in the form that load.audioSprite reads, and a function that follows an intro by its loop.",
        f"{_GLUE}.web:phaser", identifier, sprite=True,
    ),
    Engine(
        "howler", "howler.js", "assets/music", ("ogg", "wav"), "code", "milliseconds", "exact",
        "One sprite for all tracks; seamless in howler's Web Audio mode only.",
        f"{_GLUE}.web:howler", identifier, sprite=True,
    ),
)  # fmt: skip
BUILT_IN: Final[Mapping[str, Engine]] = {row.name: row for row in _TABLE}
NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


@lru_cache(maxsize=1)
def engines() -> Mapping[str, Engine]:
    """Return all engines by name, those of other packages too."""
    from nesasset.build import plugins

    return {**plugins.exporters(), **BUILT_IN}


def engine(name: str) -> Engine:
    """Return the engine of that name; other packages are asked only for names that are not in the table.

    Raises:
        ValueError: No engine has that name.
    """
    found = BUILT_IN.get(name) or engines().get(name)
    if found is None:
        near = did_you_mean(name, engines()) or f", engines are {', '.join(engines())}"
        raise ValueError(f"unknown engine {name[:80]!r}{near}")
    return found


def seconds(samples: int, rate: int, rounding: str = "exact") -> str:
    """Return samples as seconds with nine decimals.

    With 'inside' the number is a quarter of a sample higher: an engine that truncates seconds * rate and one that rounds it
    then find the same sample. Nine decimals are a ten thousandth of a sample.
    """
    more = 0.25 if rounding == "inside" and samples else 0.0
    return f"{(samples + more) / rate:.9f}"


def milliseconds(samples: int, rate: int) -> float:
    """Return samples as milliseconds, as exact as a double holds them."""
    return samples * 1000 / rate
