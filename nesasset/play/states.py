"""From what goes on in a game to its music, as a table. Decides, and calls a `Music`; plays nothing itself.

    states = MusicState(music, [
        {"when": {"level": "cave"}, "play": "cave", "seed": 3},
        {"when": {"level": "boss"}, "play": "boss", "via": "bridge"},
        {"when": {"danger": ">0.5"}, "intensity": 0.9},
        {"when": {"health": "<0.3"}, "tempo": 1.15},
        {"when": {"underwater": True}, "low_pass": 0.8},
        {"when": {"event": "coin"}, "effect": "coin"},
    ])
    states.update(level="cave", danger=0.2, health=1.0, underwater=False)

Each row whose conditions all hold says something; where two rows say the same thing, the later one wins. What no row says any
more goes back to how it was. A table is plain data: it may stand in a file.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nesasset.errors import ControlError, did_you_mean
from nesasset.play.commands import PLACES, WAYS

if TYPE_CHECKING:
    from nesasset.play.music import Music

# What a row may set, and what holds where no row sets it.
SETTINGS: Final[dict[str, Any]] = {
    "intensity": None,
    "tempo": 1.0,
    "transpose": 0,
    "low_pass": 0.0,
    "volume": 1.0,
    "duck": 1.0,
    "mute": (),
}
# What a row may ask for once, when it begins to hold.
ONCE: Final = ("stinger", "effect")
_WITH_PLAY: Final = ("seed", "controls", "best", "evolve", "at", "via", "beats")
_COMPARISON: Final = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(-?\d+(?:\.\d+)?)\s*$")
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class MusicState:
    """Follows a game's state by a table."""

    def __init__(self, music: Music, table: Sequence[Mapping[str, Any]]) -> None:
        """Take a table.

        Args:
            music: What obeys.
            table: Rows. "when": conditions, names of the game's state with a value, a list of values, or a comparison such as
                "<0.3"; without it a row always holds. "play": a theme, score or file, with seed, controls, best, evolve,
                at, via and beats as in `Music.to`. Of SETTINGS: a value, or the name of a number in the state. "mute": voices.
                "stinger", "effect": played once whenever the row begins to hold.

        Raises:
            ControlError: A row says something that no row can say.
        """
        self._music = music
        self._table = [_checked(number, row) for number, row in enumerate(table)]
        self._settings = dict(SETTINGS)
        self._piece: tuple[Any, ...] | None = None
        self._held: set[int] = set()
        self.state: dict[str, Any] = {}
        """What the game said last."""

    def update(self, **state: Any) -> None:
        """Take note of what is so in the game now; names that are left out stay as they were. Once a frame is good: it is quick."""
        self.state.update(state)
        rows = [(number, row) for number, row in enumerate(self._table) if _holds(row.get("when", {}), self.state)]
        wanted, playing = dict(SETTINGS), None
        for number, row in rows:
            if "play" in row:
                playing = row
            for name in SETTINGS:
                if name in row:
                    value = row[name]
                    wanted[name] = self.state.get(value, SETTINGS[name]) if isinstance(value, str) and name != "mute" else value
            if number not in self._held:
                for name in ONCE:
                    if name in row:
                        getattr(self._music, name)(row[name])
        self._held = {number for number, _ in rows}
        self._play(playing)
        for name, value in wanted.items():
            if value != self._settings[name]:
                self._settings[name] = value
                self._set(name, value)

    def _play(self, row: Mapping[str, Any] | None) -> None:
        if row is None:
            if self._piece is not None:
                self._piece = None
                self._music.stop(at="bar", beats=2)
            return
        piece = (row["play"], row.get("seed", 0), repr(row.get("controls")), row.get("best"))
        if piece == self._piece:
            return
        first, self._piece = self._piece is None, piece
        told = {name: row[name] for name in _WITH_PLAY if name in row}
        if first:
            told["at"] = "now"
        self._music.to(row["play"], **told)

    def _set(self, name: str, value: Any) -> None:
        if name == "mute":
            for voice in ("P1", "P2", "TR", "NO"):
                self._music.mute(voice, voice in value)
        else:
            getattr(self._music, name)(value)


def _checked(number: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
    known = ("when", "play", *SETTINGS, *ONCE, *_WITH_PLAY)
    for name in row:
        if name not in known:
            raise ControlError(f"row {number + 1} of the table says {name!r}, which no row can say{did_you_mean(str(name), known)}")
    for name, allowed in (("at", PLACES), ("via", WAYS)):
        if name in row and row[name] not in allowed:
            raise ControlError(f"row {number + 1} of the table: {name} must be one of {', '.join(allowed)}, not {row[name]!r}")
    if not isinstance(row.get("when", {}), Mapping):
        raise ControlError(f"row {number + 1} of the table: when must be a mapping of names to values, not {row['when']!r}")
    return row


def _holds(conditions: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    return all(name in state and _fits(wanted, state[name]) for name, wanted in conditions.items())


def _fits(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, str) and isinstance(value, (int, float)) and not isinstance(value, bool):
        match = _COMPARISON.match(wanted)
        if match:
            return _OPERATORS[match[1]](value, float(match[2]))
    if isinstance(wanted, (list, tuple, set, frozenset)):
        return value in wanted
    return bool(value == wanted)
