"""Music that plays the game: notes played live through the 2A03, which a game may change at any moment.

    import pygame, nesasset
    pygame.init()
    music = nesasset.play.Music()
    music.play("overworld", seed=7)

The parts, from the bottom:

    voices, deck    one score, frame by frame        registers, master   writes for the chip, gains and filter after it
    layers          intensity                        effects, bridge     what plays over music and between two pieces
    harmony         key and chord of any score       engine              all of it: commands in, a frame out; no clock
    session         commands that wait, a record     worker, composer    composing in a process of its own
    ring, endless_wav, outputs                       from the thread that makes sound to the one that plays it
    feeder          that thread                      commands            what an engine can be told
    music           what a game calls                states              game states as a table

pygame is imported by outputs and pygame_events only, when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "EVENTS": "music",
    "Engine": "engine",
    "Frame": "engine",
    "Music": "music",
    "MusicEvent": "feeder",
    "MusicState": "states",
    "Position": "engine",
    "Statistics": "music",
    "replay": "session",
}

if TYPE_CHECKING:
    from nesasset.play.engine import Engine as Engine
    from nesasset.play.engine import Frame as Frame
    from nesasset.play.engine import Position as Position
    from nesasset.play.feeder import MusicEvent as MusicEvent
    from nesasset.play.music import EVENTS as EVENTS
    from nesasset.play.music import Music as Music
    from nesasset.play.music import Statistics as Statistics
    from nesasset.play.session import replay as replay
    from nesasset.play.states import MusicState as MusicState

__all__ = ["EVENTS", "Engine", "Frame", "Music", "MusicEvent", "MusicState", "Position", "Statistics", "replay"]


def __getattr__(name: str) -> Any:
    # Loaded when used: the composing process needs none of them, and is waited for.
    if name not in _HOME:
        raise AttributeError(f"module 'nesasset.play' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nesasset.play.{_HOME[name]}"), name)
