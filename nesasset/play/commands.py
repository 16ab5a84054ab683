"""What an engine can be told: names of commands, their fields and the ranges of these. One table checks them all.

A command is a dictionary of JSON values with "do" and its fields, such as {"do": "tempo", "factor": 1.2}. Scores and effects may
also be given as objects. Games call the methods of `nesasset.play.Music`, which make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nesasset.errors import ControlError, out_of_range
from nesasset.units import VOICES

PLACES: Final = ("now", "beat", "bar", "phrase", "end")
WAYS: Final = ("cut", "fade", "bridge", "equivalent")

_SECONDS: Final = (0, 3600)

# Fields by command. A range: a number in it. "whole": a whole number. Strings: one of them. "optional" in front: may be None or
# missing. Anything else is looked at where it is used.
_FIELDS: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "add": {},
    "drop": {},
    "switch": {"at": PLACES, "via": WAYS, "beats": ("whole", 1, 64)},
    "stop": {"at": PLACES, "beats": ("whole", 0, 64)},
    "tempo": {"factor": (0.25, 4)},
    "transpose": {"semitones": ("whole", -24, 24)},
    "intensity": {"level": ("optional", 0, 1)},
    "mute": {},
    "low_pass": {"amount": (0, 1)},
    "volume": {"level": (0, 1), "seconds": _SECONDS},
    "duck": {"level": (0, 1), "seconds": ("optional", *_SECONDS), "attack": _SECONDS, "release": _SECONDS},
    "pause": {},
    "resume": {},
    "stinger": {"at": PLACES},
    "effect": {},
}
NAMES: Final = tuple(_FIELDS)
# What is meant where a field is missing.
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "switch": {"at": "bar", "via": "cut", "beats": 4},
    "stop": {"at": "now", "beats": 0},
    "volume": {"seconds": 0.05},
    "duck": {"seconds": None, "attack": 0.1, "release": 0.3},
    "stinger": {"at": "beat"},
    "intensity": {"level": None},
}


def check(command: Mapping[str, Any]) -> dict[str, Any]:
    """Return a command with what it leaves out filled in.

    Raises:
        ControlError: There is no such command, or a field is missing or out of its range.
    """
    action = command.get("do")
    if action not in NAMES:
        raise ControlError(f"unknown command {action!r}: it must be one of {', '.join(NAMES)}")
    told = {**DEFAULTS.get(action, {}), **command}
    for name, allowed in _FIELDS[action].items():
        if name not in told:
            raise ControlError(f"the command {action!r} needs {name!r}")
        _check_field(f"{action} {name}", told[name], allowed)
    if action == "mute" and not set(told.get("voices", "?")) <= set(VOICES):
        raise ControlError(f"voices must be some of {', '.join(VOICES)}, not {told.get('voices')!r}")
    return told


def _check_field(label: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if allowed in (PLACES, WAYS):
        if value not in allowed:
            raise ControlError(f"{label} must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {value!r}")
        return
    kind, low, high = allowed if len(allowed) == 3 else ("", *allowed)
    if kind == "optional" and value is None:
        return
    if kind == "whole" and type(value) is not int:
        raise ControlError(f"{label} must be a whole number, not {value!r}")
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        raise ControlError(out_of_range(label, value, f"{low:g}", f"{high:g}"))
