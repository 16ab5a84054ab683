"""Which files a track becomes for an engine, and what stands in each. Holds names, not sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from nesasset.build.engines import Engine
from nesasset.units import VOICES

FADE_LOOPS: Final = 2  # rounds that a file with a fade-out plays
WHOLE, INTRO, LOOP, OUTRO, FADE = "whole", "intro", "loop", "outro", "fade"


@dataclass(frozen=True, slots=True)
class Options:
    """What an [export.ENGINE] table asks for, with the engine's own ways where it is silent."""

    engine: str
    format: str
    quality: float
    rates: tuple[int, ...]
    stems: bool = False
    fade: float | None = None
    outro: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        return {**asdict(self), "rates": list(self.rates)}


@dataclass(frozen=True, slots=True)
class Product:
    """One file of a track."""

    role: str
    """What it is to the engine's code: 'whole', 'intro', 'loop', 'P1', '48000', 'P1-intro' …"""
    path: str
    """Within the export's folder."""
    format: str
    """'ogg', 'wav', 'flac', 'json', 'mid', 'png' or 'track.json'."""
    rate: int = 0
    voice: str = ""
    """Of a stem; '' is the mix."""
    part: str = WHOLE

    @property
    def is_sound(self) -> bool:
        """Whether it holds sound."""
        return self.format in ("ogg", "wav", "flac")


def track_files(engine: Engine, options: Options, track_id: str, loop: tuple[int, int] | None) -> list[Product]:
    """Return the files of a track, sidecar last.

    Args:
        engine: For which they are.
        options: Of its export.
        track_id: The track.
        loop: First row of its loop and the row after its last; None for a jingle.
    """
    start = engine.folders.get(loop is not None, "") + engine.stem(track_id)
    products = [] if engine.sprite else list(_sounds(engine, options, start, loop))
    for kind in engine.extras:
        products.append(Product(kind, f"{start}.{kind}", kind))
    return products


def _sounds(engine: Engine, options: Options, start: str, loop: tuple[int, int] | None) -> Iterator[Product]:
    def product(rate: int, voice: str, part: str) -> Product:
        first = rate == options.rates[0]
        labels = [*([] if first else [str(rate)]), *([voice] if voice else []), *([] if part == WHOLE else [part])]
        return Product("-".join(labels) or WHOLE, engine.separator.join([start, *labels]) + f".{options.format}", options.format, rate, voice, part)

    parts = [WHOLE]
    if engine.split and loop is not None:
        parts = [INTRO, LOOP] if loop[0] else [LOOP]
    for rate in options.rates:
        for voice in ("", *VOICES) if options.stems else ("",):
            yield from (product(rate, voice, part) for part in parts)
        if loop is not None and options.fade is not None:
            yield product(rate, "", FADE)
        if loop is not None and options.outro:
            yield product(rate, "", OUTRO)
