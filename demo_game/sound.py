"""What the music does with the game: one table for the state, one for what happens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from nesasset.play import Music, MusicState

if TYPE_CHECKING:
    from demo_game.world import World

TABLE: Final[list[dict[str, Any]]] = [
    {"when": {"screen": "title"}, "play": "title", "seed": 4},
    {"when": {"screen": "ending"}, "play": "ending", "seed": 2, "via": "fade"},
    {"when": {"level": "meadow"}, "play": "overworld", "seed": 11, "via": "bridge"},
    {"when": {"level": "cave"}, "play": "cave", "seed": 5, "via": "bridge"},
    {"when": {"level": "lake"}, "play": "water", "seed": 3, "via": "bridge"},
    {"when": {"level": "castle"}, "play": "castle", "seed": 7, "via": "bridge"},
    {"when": {"level": "boss"}, "play": "boss", "seed": 9, "at": "beat"},
    {"when": {"screen": "level"}, "intensity": "intensity"},
    {"when": {"screen": "level", "health": "<1.5"}, "tempo": 1.12},
    {"when": {"screen": "level", "star": True}, "tempo": 1.3, "transpose": 2},
    {"when": {"underwater": True}, "low_pass": 0.6},
    {"when": {"talking": True}, "duck": 0.6},
    {"when": {"paused": True}, "low_pass": 0.75, "duck": 0.5},
    {"volume": "volume"},
    {"when": {"won": True}, "stinger": "victory"},
    {"when": {"dead": True}, "stinger": "death"},
]

# What happens in the world, and its effect: class, whether it keeps to the chord that sounds.
EFFECTS: Final = {
    "jump": ("jump", False),
    "swim": ("bounce", False),
    "land": ("land", False),
    "step": ("step", False),
    "coin": ("coin", True),
    "heal": ("heal", True),
    "power-up": ("power-up", True),
    "hurt": ("hurt", False),
    "stomp": ("bounce", True),
    "hit": ("hit", False),
    "splash": ("splash", True),
    "laser": ("laser", False),
    "boss land": ("door", False),
    "explosion": ("explosion", False),
    "select": ("select", True),
    "blip": ("blip", True),
    "cancel": ("cancel", True),
}
LOWEST_INTENSITY: Final = 0.5


class Sound:
    """Passes on what the game does."""

    def __init__(self, music: Music) -> None:
        self.music = music
        self.effects = True
        self.volume = 1.0
        self._states = MusicState(music, TABLE)
        self._calm = 0.0
        for jingle in ("victory", "death"):
            music.prepare(jingle, best=True)

    def ahead(self, level: str) -> None:
        """Have the music of a level composed before it is entered."""
        for row in TABLE:
            if row.get("when", {}).get("level") == level:
                self.music.prepare(row["play"], row["seed"])

    def update(self, screen: str, world: World | None, paused: bool = False, talking: bool = False) -> None:
        """Tell the table how things stand."""
        playing = world is not None and screen == "level"
        if playing and world is not None:
            # Danger rises at once and falls slowly.
            wanted = max(LOWEST_INTENSITY + 0.5 * world.danger, 0.9 if world.boss is not None else 0.0)
            self._calm = max(wanted, self._calm - 0.003)
        self._states.update(
            screen=screen,
            level=world.level.name if playing and world is not None else "",
            intensity=round(self._calm, 2),
            health=world.health if playing and world is not None else 3,
            star=bool(playing and world is not None and world.star),
            underwater=bool(playing and world is not None and world.underwater),
            paused=paused,
            volume=self.volume,
            talking=talking,
            won=bool(world is not None and world.won),
            dead=bool(world is not None and world.dead),
        )

    def happened(self, words: Iterable[str], seed: int = 0) -> None:
        """Play the effects of what has happened."""
        if not self.effects:
            return
        for word in words:
            if word in EFFECTS:
                kind, tuned = EFFECTS[word]
                self.music.effect(kind, seed, tuned=tuned)
