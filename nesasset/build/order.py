"""An order: what one track is to be, and the seeds that it may take. Data only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

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
    parent: str = ""
    """Id of the track of whose family this is a member; '' for a piece of its own."""
    member: str = ""
    """Which member it is, see compose/members.py; theme, seed and controls are the parent's then."""
    family: tuple[str, ...] = ()
    """Ids of the members of its own family."""

    @property
    def wishes(self) -> dict[str, Any]:
        """What is asked of the composer, as JSON values that can be compared and shown."""
        told = {"theme": self.theme, "seed": self.seed, "controls": self.controls.to_json()}
        return {**told, "family": self.member} if self.member else told


def seeds(seed: int, count: int = ATTEMPTS) -> Iterator[int]:
    """Yield a seed and its successors: the seed itself, then numbers that depend on nothing but it and their place."""
    yield seed
    for attempt in range(1, count):
        digest = hashlib.sha256(f"nesasset seed {seed} attempt {attempt}".encode()).digest()
        yield int.from_bytes(digest[:4], "big") % (SEED_RANGE[1] + 1)
