"""Themes: what a level is about, as data. Holds one table and its look-up; composing is in compose/.

A theme says two things to the composer. Its `label` is a class that the model has seen in training (from titles of
the training songs). The rest are measurable controls, which the model has learnt from the notes themselves: mode,
density, register, length. A biome such as ice or desert is no class that a model could learn from titles (a classifier
tells them apart at chance), so those themes carry the label of an ordinary level and act through their controls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from nesasset.errors import PluginError, UnknownThemeError, did_you_mean

MODES: Final = ("major", "minor")
REGISTERS: Final = ("low", "mid", "high")


@dataclass(frozen=True, slots=True)
class Theme:
    """One row of the table of themes."""

    name: str
    """What a user types: lower case, words joined by hyphens."""
    label: str | None
    """The model's class, one of vocabulary.LABELS; None leaves the choice to the other controls."""
    tempo_bpm: float
    """Beats a minute where the user asks for no tempo."""
    tempo_range_bpm: tuple[float, float]
    """Slowest and fastest tempo that suits the theme; advice to people and to varying by seed, no limit."""
    mode: str | None
    """'major', 'minor', or None for either."""
    density: float
    """How busy the melodic voices are: 0 the sparsest of the training songs, 1 the busiest."""
    register: str
    """Where the melody lies: 'low', 'mid' or 'high'."""
    bars: int
    """Length in bars where the user asks for none."""
    loops: bool
    """True for music that goes round; False for a jingle, which is played once and ends."""
    sentence: str
    """What the theme is for, in one sentence."""


def _bpm(frames_per_row: float) -> float:
    """Return the tempo of four rows a beat at 60 frames a second: 6 frames a row are 150 beats a minute."""
    return 900.0 / frames_per_row


def _theme(
    name: str,
    label: str | None,
    frames_per_row: tuple[float, float, float],
    mode: str | None,
    density: float,
    register: str,
    bars: int,
    sentence: str,
    *,
    loops: bool = True,
) -> Theme:
    """Return a row of the table; speeds are (fastest, default, slowest) in frames a row, the console's own unit."""
    fastest, default, slowest = frames_per_row
    tempo_range_bpm = (_bpm(slowest), _bpm(fastest))
    return Theme(name, label, _bpm(default), tempo_range_bpm, mode, density, register, bars, loops, sentence)


# Source: the labels are those of vocabulary.LABELS; tempo, mode, density, register and length are this project's own
# choices for each name. Default speeds are whole frames a row, so that every row lasts equally long; the slowest is 9,
# the range that the model has been trained on.
_TABLE: Final = (
    _theme("title", "title_menu", (5, 6, 8), "major", 0.55, "mid", 16, "The first screen: bright, broad and memorable."),
    _theme("map", "map", (5, 6, 8), "major", 0.45, "mid", 8, "The map between levels: short, light, easy to hear often."),
    _theme("overworld", "overworld_stage", (5, 6, 7), "major", 0.65, "mid", 16, "The open land: a lively walking tune."),
    _theme("town", "town_shop_indoor", (6, 8, 9), "major", 0.4, "mid", 16, "A safe place with people: calm and friendly."),
    _theme("forest", "overworld_stage", (6, 7, 8), None, 0.5, "mid", 16, "Among trees: moving, a little mysterious."),
    _theme("cave", "dungeon_underground", (6, 7, 9), "minor", 0.35, "low", 16, "Underground: sparse, low and wary."),
    _theme("dungeon", "dungeon_underground", (6, 7, 9), "minor", 0.5, "low", 16, "A maze with traps: dark and steady."),
    _theme("castle", "castle_fortress", (5, 6, 8), "minor", 0.6, "mid", 16, "A fortress: stern, marching, dangerous."),
    _theme("water", "water", (6, 8, 9), "major", 0.4, "high", 16, "Sea and lakes: floating, gentle, flowing."),
    _theme("ice", "overworld_stage", (6, 7, 8), "minor", 0.45, "high", 16, "Snow and ice: clear, high and cool."),
    _theme("desert", "overworld_stage", (6, 7, 8), "minor", 0.5, "mid", 16, "Sand and heat: winding, in minor, unhurried."),
    _theme("sky", "overworld_stage", (5, 6, 7), "major", 0.6, "high", 16, "Among clouds: high, open and quick."),
    _theme("space", "overworld_stage", (5, 7, 9), "minor", 0.4, "high", 16, "Between stars: wide, thin and strange."),
    _theme("factory", "overworld_stage", (5, 6, 7), "minor", 0.75, "low", 16, "Machines: driving, mechanical, busy."),
    _theme("battle", "boss_battle", (4, 5, 6), "minor", 0.75, "mid", 16, "A common fight: fast and restless."),
    _theme("boss", "boss_battle", (4, 5, 6), "minor", 0.8, "low", 16, "A strong enemy: fast, heavy and urgent."),
    _theme("final-boss", "boss_battle", (4, 5, 6), "minor", 0.9, "low", 16, "The last enemy: the busiest and darkest of all."),
    _theme("chase", "powerup_invincible", (4, 4, 5), "minor", 0.85, "mid", 8, "Running against the clock: as fast as it gets."),
    _theme("bonus", "bonus_minigame", (4, 5, 6), "major", 0.7, "high", 8, "A bonus game: cheerful, quick and short."),
    _theme("shop", "town_shop_indoor", (6, 7, 9), "major", 0.45, "mid", 8, "Buying and choosing: relaxed, short, pleasant."),
    _theme("ending", "ending_credits", (7, 9, 9), "major", 0.4, "mid", 16, "The story's close: slow, warm and singing."),
    _theme("credits", "ending_credits", (5, 7, 9), "major", 0.55, "mid", 16, "Names going by: a content, flowing farewell."),
    _theme("victory", "victory_clear", (5, 6, 7), "major", 0.7, "high", 4, "A level won: a short fanfare.", loops=False),
    _theme("game-over", "gameover_death", (7, 9, 9), "minor", 0.3, "low", 4, "The game is lost: a slow fall.", loops=False),
    _theme("level-up", "victory_clear", (4, 5, 6), "major", 0.75, "high", 2, "A new rank: a quick rise.", loops=False),
    _theme("item", "victory_clear", (4, 5, 6), "major", 0.7, "high", 1, "Something found: one bright flourish.", loops=False),
    _theme("death", "gameover_death", (5, 6, 8), "minor", 0.5, "mid", 2, "A life lost: a short tumble.", loops=False),
)

THEMES: Final[dict[str, Theme]] = {entry.name: entry for entry in _TABLE}


def theme(name: str) -> Theme:
    """Return the theme of that name.

    Raises:
        UnknownThemeError: No theme has that name; the message offers the nearest names.
    """
    found = THEMES.get(name) if isinstance(name, str) else None
    if found is None and isinstance(name, str):
        found = plugin_themes().get(name)
    if found is None:
        near = did_you_mean(name.lower(), all_themes()) if isinstance(name, str) else ""
        raise UnknownThemeError(f"unknown theme {name!r}{near or ' (nesasset themes lists them all)'}")
    return found


ENTRY_POINTS: Final = "nesasset.themes"


@lru_cache(maxsize=1)
def plugin_themes() -> Mapping[str, Theme]:
    """Return the themes that other packages bring by their entry points `nesasset.themes`, by name.

    Raises:
        PluginError: An entry point cannot be loaded, is no theme, or has the name of another one.
    """
    from importlib.metadata import entry_points  # 30 ms, and only for names that are not in the table

    found: dict[str, Theme] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        origin = point.dist.name if point.dist else point.value
        try:
            loaded = point.load()
        except Exception as error:  # whatever a foreign module does while it is imported
            raise PluginError(f"the themes {point.name!r} of {origin} cannot be loaded ({type(error).__name__}: {error}); mend the package or remove it") from error
        for entry in loaded if isinstance(loaded, (list, tuple)) else (loaded,):
            if not isinstance(entry, Theme):
                raise PluginError(f"the themes {point.name!r} of {origin} must be Theme, not {type(entry).__name__}; mend the package or remove it")
            if entry.name in THEMES or entry.name in found:
                raise PluginError(f"the theme {entry.name!r} of {origin} has the name of another one; remove one of the packages")
            found[entry.name] = entry
    return found


def all_themes() -> Mapping[str, Theme]:
    """Return every theme by name: those of the table, then those of other packages."""
    return {**THEMES, **plugin_themes()}
