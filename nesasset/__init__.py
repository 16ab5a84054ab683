"""nesasset: looping, level-themed NES music for games, composed on demand.

    import nesasset
    score = nesasset.compose("castle", seed=7)
    audio = nesasset.render(nesasset.drive(score))

Importing this package loads neither numpy nor onnxruntime; the names below load what they need on first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = ("play", "sfx")  # packages that are used by name: nesasset.play.Music()

_HOME = {
    "Audio": "nesasset.audio",
    "Controls": "nesasset.compose.controls",
    "HOLD": "nesasset.score",
    "Instrument": "nesasset.score",
    "Note": "nesasset.score",
    "REST": "nesasset.score",
    "RegisterLog": "nesasset.register_log",
    "Score": "nesasset.score",
    "compose": "nesasset.compose",
    "drive": "nesasset.driver",
    "load_model": "nesasset.model",
    "render": "nesasset.render",
}

if TYPE_CHECKING:
    from nesasset import play as play
    from nesasset import sfx as sfx
    from nesasset.audio import Audio as Audio
    from nesasset.compose import compose as compose
    from nesasset.compose.controls import Controls as Controls
    from nesasset.driver import drive as drive
    from nesasset.model import load_model as load_model
    from nesasset.register_log import RegisterLog as RegisterLog
    from nesasset.render import render as render
    from nesasset.score import HOLD as HOLD
    from nesasset.score import REST as REST
    from nesasset.score import Instrument as Instrument
    from nesasset.score import Note as Note
    from nesasset.score import Score as Score

__all__ = [
    "HOLD",
    "REST",
    "Audio",
    "Controls",
    "Instrument",
    "Note",
    "RegisterLog",
    "Score",
    "__version__",
    "compose",
    "drive",
    "load_model",
    "render",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"nesasset.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'nesasset' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """This package: `compose` and `render` are verbs here, though modules have the same names.

    Python binds a submodule to its package once it is imported, and would so hide the function from then on.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
