"""A first manifest: which engine a folder's game is made with, and the text of a nesasset.toml for it. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nesasset.build.engines import engine
from nesasset.themes import theme

DEFAULT_THEMES: Final = ("title", "overworld", "cave", "boss", "victory", "game-over")
# A file or folder that tells an engine, and a word in it where the name alone does not; the first that fits counts.
_SIGNS: Final = (
    ("project.godot", "", "godot"),
    ("*.yyp", "", "gamemaker"),
    ("game.project", "", "defold"),
    ("ProjectSettings/ProjectVersion.txt", "", "unity"),
    ("Game.rpgproject", "", "rpgmaker"),
    ("game.rmmzproject", "", "rpgmaker"),
    ("game/*.rpy", "", "renpy"),
    ("main.lua", "love.", "love"),
    ("conf.lua", "love.", "love"),
    ("Cargo.toml", "bevy", "bevy"),
    ("*.csproj", "MonoGame", "monogame"),
    ("*.csproj", "FNA", "monogame"),
    ("package.json", "phaser", "phaser"),
    ("package.json", "howler", "howler"),
    ("*.py", "pygame", "pygame"),
    ("*/*.py", "pygame", "pygame"),
    ("pyproject.toml", "pygame", "pygame"),
)
_LOOKED_AT: Final = 200  # files of a pattern
_READ_BYTES: Final = 200_000


def guess_engine(folder: Path) -> tuple[str, str]:
    """Return the engine that a folder's game seems to be made with and the file that told so; ('plain', '') if none does."""
    for pattern, word, name in _SIGNS:
        for number, path in enumerate(sorted(folder.glob(pattern))):
            if number >= _LOOKED_AT:
                break
            if path.is_file() and (not word or word in _beginning(path)):
                return name, path.relative_to(folder).as_posix()
    return "plain", ""


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def manifest_text(name: str, engine_name: str, themes: Sequence[str], folder: str | None = None, author: str = "", schema: str = "") -> str:
    """Return a commented manifest.

    Args:
        name: Of the game.
        engine_name: Key of the table of engines.
        themes: One track each, named after it; a theme that comes twice gets a number.
        folder: Where the music goes; None: where the engine looks for it.
        author: Written into the files' tags.
        schema: File of the JSON Schema for editors; '' for none.

    Raises:
        ValueError: No engine has that name.
        UnknownThemeError: No theme has that name.
    """
    target = engine(engine_name)
    lines = [f"#:schema {schema}"] if schema else []
    lines += [
        "# Music of the game. `nesasset build` makes it; commit this file, nesasset.lock and scores/ beside it.",
        "# All keys: nesasset schema, or docs/cli.md of nesasset.",
        "schema = 1",
        "",
        "[pack]",
        f"name = {_text(name)}",
        *([f"author = {_text(author)}"] if author else ['# author = "Your name"']),
        "# rate = 48000            # samples a second; 44100 by default",
        "",
        "[defaults]               # wishes for all tracks",
        "# candidates = 4         # compose so many of each and keep the best",
        '# model = "mystyle"      # composes in place of the one that comes with nesasset; nesasset models lists what there is',
        '# motif = "C5/4 D5/2 E5/2 G5/4 A5/2 G5/2"  # a tune that all have in common: nesasset motif invents one',
        "",
        f"[export.{target.name}]".ljust(25) + f"# {target.title}",
        f"dir = {_text(folder or target.folder)}",
        "",
        "# [quality]",
        "# loudness = -20         # LUFS: every track as loud as the others",
        "# alike = 0.5            # no two tracks may have more passages in common",
        "",
        "# [plan]                 # keys and tempos along the levels",
        f"# levels = [{', '.join(_text(name) for name in dict.fromkeys(theme(word).name for word in themes))}]",
        '# key = "C"',
        '# keys = "fifths"        # or rising, same',
        "# tempo = [0.95, 1.15]",
        "",
        "# [sfx.coin]             # sound effects: nesasset sfx --list names what there is",
        "# seed = 3",
    ]
    seen: dict[str, int] = {}
    for number, word in enumerate(themes, start=1):
        entry = theme(word)
        seen[entry.name] = seen.get(entry.name, 0) + 1
        track_id = entry.name if seen[entry.name] == 1 else f"{entry.name}-{seen[entry.name]}"
        lines += ["", f"[track.{track_id}]".ljust(25) + f"# {entry.sentence}", f"theme = {_text(entry.name)}", f"seed = {number}".ljust(25) + "# another seed, another piece"]
        if number == 1:
            lines += ["# tempo = 150            # beats a minute", '# key = "D"', "# bars = 16", "# intensity = 0.7        # density, drums and tempo together"]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Return a text as a TOML string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
