"""What is pressed: keyboard and gamepad, or a script. Holds no game."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import pygame

ACTIONS: Final = ("left", "right", "up", "down", "jump", "start", "back", "overlay")
KEYS: Final = {
    pygame.K_LEFT: "left",
    pygame.K_a: "left",
    pygame.K_RIGHT: "right",
    pygame.K_d: "right",
    pygame.K_UP: "up",
    pygame.K_w: "up",
    pygame.K_DOWN: "down",
    pygame.K_s: "down",
    pygame.K_SPACE: "jump",
    pygame.K_z: "jump",
    pygame.K_RETURN: "start",
    pygame.K_p: "start",
    pygame.K_ESCAPE: "back",
    pygame.K_F1: "overlay",
}
BUTTONS: Final = {0: "jump", 1: "back", 2: "jump", 6: "overlay", 7: "start", 9: "start"}
_DEAD_ZONE: Final = 0.4


@dataclass(slots=True)
class Pressed:
    """Actions in one frame of the game."""

    held: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    """Pressed just now."""
    quit: bool = False


class Inputs:
    """Keyboard and the first gamepad."""

    def __init__(self) -> None:
        self._held: dict[str, set[str]] = {"keys": set(), "pad": set()}
        self._pads: list[Any] = []
        pygame.joystick.init()
        self._find_pads()

    def _find_pads(self) -> None:
        self._pads = [pygame.joystick.Joystick(number) for number in range(pygame.joystick.get_count())]

    def read(self) -> Pressed:
        """Return what is pressed now."""
        found = Pressed()
        before = self._held["keys"] | self._held["pad"]
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                found.quit = True
            elif event.type == pygame.KEYDOWN and event.key in KEYS:
                self._held["keys"].add(KEYS[event.key])
                found.new.add(KEYS[event.key])
            elif event.type == pygame.KEYUP and event.key in KEYS:
                self._held["keys"].discard(KEYS[event.key])
            elif event.type in (pygame.JOYDEVICEADDED, pygame.JOYDEVICEREMOVED):
                self._find_pads()
        self._held["pad"] = self._read_pads()
        found.new |= self._held["pad"] - before
        found.held = self._held["keys"] | self._held["pad"]
        return found

    def _read_pads(self) -> set[str]:
        held: set[str] = set()
        for pad in self._pads[:1]:
            across = pad.get_axis(0) if pad.get_numaxes() else 0.0
            along = pad.get_axis(1) if pad.get_numaxes() > 1 else 0.0
            hat = pad.get_hat(0) if pad.get_numhats() else (0, 0)
            directions = (
                ("left", across < -_DEAD_ZONE or hat[0] < 0),
                ("right", across > _DEAD_ZONE or hat[0] > 0),
                ("up", along < -_DEAD_ZONE or hat[1] > 0),
                ("down", along > _DEAD_ZONE or hat[1] < 0),
            )
            held |= {name for name, pressed in directions if pressed}
            held |= {action for button, action in BUTTONS.items() if button < pad.get_numbuttons() and pad.get_button(button)}
        return held


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a script."""

    frame: int
    word: str
    value: str


WORDS: Final = ("hold", "release", "tap", "bot", "level", "screen", "health", "shot")
"""What a script can say; see `BUILT_IN`."""


def parse_script(text: str) -> list[Line]:
    """Return the lines of a script in order of frames; `#` begins a remark.

    Raises:
        ValueError: A line says what no script can say; the message names it.
    """
    lines = []
    for number, raw in enumerate(text.splitlines(), start=1):
        parts = raw.split("#")[0].split()
        if not parts:
            continue
        if len(parts) != 3 or not parts[0].isdigit() or parts[1] not in WORDS:
            raise ValueError(f"line {number} of the script must be FRAME WORD VALUE with one of {', '.join(WORDS)}, not {raw.strip()!r}")
        if parts[1] in ("hold", "release", "tap") and parts[2] not in ACTIONS:
            raise ValueError(f"line {number} of the script: {parts[1]} takes one of {', '.join(ACTIONS)}, not {parts[2]!r}")
        lines.append(Line(int(parts[0]), parts[1], parts[2]))
    return sorted(lines, key=lambda line: line.frame)


class ScriptedInputs:
    """Presses what a script says."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = list(lines)
        self._held: set[str] = set()
        self.frame = 0

    def read(self) -> tuple[Pressed, list[Line]]:
        """Return what is pressed in the next frame, and the lines that are not for keys."""
        due = [line for line in self._lines if line.frame == self.frame]
        self.frame += 1
        new: set[str] = set()
        for line in due:
            if line.word == "hold":
                new.add(line.value)
                self._held.add(line.value)
            elif line.word == "release":
                self._held.discard(line.value)
            elif line.word == "tap":
                new.add(line.value)
        return Pressed(held=self._held | new, new=new), [line for line in due if line.word not in ("hold", "release", "tap")]


def built_in(frames: int) -> list[Line]:
    """Return a script that shows all there is within so many frames: the title, each level with a bot, overlay, pause."""
    lines = [Line(0, "screen", "title"), Line(min(90, max(1, frames // 40)), "shot", "title")]
    start, levels = max(2, frames // 20), ("meadow", "cave", "lake", "castle", "boss")
    share = max(8, (frames - start) // len(levels))
    for number, level in enumerate(levels):
        first = start + number * share
        lines += [Line(first, "level", level), Line(first + 1, "bot", "on")]
        lines.append(Line(first + share * 9 // 20, "shot", level))  # the keeper is in sight by then
        lines.append(Line(first + share // 2, "tap", "overlay"))
        lines.append(Line(first + share // 2 + share // 5, "shot", f"{level}-overlay"))
        lines.append(Line(first + share // 2 + share // 5 + 1, "tap", "overlay"))
        if level == "castle":
            lines.append(Line(first + share * 3 // 5, "health", "1"))
        if level == "lake":
            lines += [Line(first + share // 4, "tap", "start"), Line(first + share // 4 + share // 40 + 1, "tap", "start")]
    return sorted(lines, key=lambda line: line.frame)
