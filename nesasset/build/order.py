"""An order: what one track is to be, and the seeds that it may take. Data only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from nesasset.compose.controls import SEED_RANGE, Controls

ATTEMPTS: Final = 8  # seeds tried before a track is given up


@dataclass(frozen=True, slots=True)
class Order:
    """What one track is to be."""

    id: str
    """Stem of the track's file names."""
    theme: str
    seed: int = 0
    controls: Controls = field(default_factory=Controls)
    title: str = ""
    """For people and players; the id where empty."""
    sample_rate_hz: int = 44_100
    pack: str = ""
    """Name of the pack, the album in the players' words."""
    author: str = ""
    license: str = ""


def seeds(seed: int, count: int = ATTEMPTS) -> Iterator[int]:
    """Yield a seed and its successors: the seed itself, then numbers that depend on nothing but it and their place."""
    yield seed
    for attempt in range(1, count):
        digest = hashlib.sha256(f"nesasset seed {seed} attempt {attempt}".encode()).digest()
        yield int.from_bytes(digest[:4], "big") % (SEED_RANGE[1] + 1)
