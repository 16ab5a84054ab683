"""The versions that a piece can have, as data: `family` makes them, manifests name them. Loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesasset.errors import ControlError, did_you_mean


@dataclass(frozen=True, slots=True)
class Member:
    """One version that a piece can have."""

    name: str
    sentence: str
    """When it is for, and what is done."""
    tempo: float
    """Factor on the piece's own."""
    composed: tuple[str, ...] = ()
    """Voices that the model composes anew around the others; all else is done by rule."""


MEMBERS: Final = {
    member.name: member
    for member in (
        Member("calm", "when nothing threatens: slower, softer and rounder, no drums, fewer notes below", 0.9),
        Member("danger", "when something is near: faster, the bass drives, the model writes pressing drums", 1.12, ("NO",)),
        Member("boss", "the fight: fast and sharp, a leaping bass, second voice and drums written anew by the model", 1.25, ("P2", "NO")),
        Member("fast", "time runs out: note for note the same, a third faster", 4 / 3),
        Member("night", "the same place at night: slow, an octave lower, bells for the second voice, a hush for the drums", 0.85),
        Member("underwater", "below the surface: swaying, a harp over the chords, hardly a bass, no drums", 0.95),
        Member("low-health", "on the last heart: an alarm on the chord, a heartbeat for the drums", 1.06),
    )
}


def find_member(name: str) -> Member:
    """Return a member by its name.

    Raises:
        ControlError: There is none of that name.
    """
    if name not in MEMBERS:
        near = did_you_mean(str(name), MEMBERS) or f"; it has {', '.join(MEMBERS)}"
        raise ControlError(f"a family has no member {name!r}{near}")
    return MEMBERS[name]
