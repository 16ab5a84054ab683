"""Events of the music in pygame's own queue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nesasset.play.feeder import MusicEvent

log = logging.getLogger("nesasset.play")

_type: list[int] = []


def event_type() -> int:
    """Return the type that events of the music have, the same for the whole program."""
    if not _type:
        import pygame

        _type.append(pygame.event.custom_type())
    return _type[0]


def poster() -> Callable[[MusicEvent], None]:
    """Return a function that posts an event; a queue that is full or closed loses it."""
    import pygame

    kind = event_type()

    def post(event: MusicEvent) -> None:
        facts: dict[str, Any] = {"kind": event.kind, "facts": dict(event.facts), "position": event.position}
        try:
            pygame.event.post(pygame.event.Event(kind, facts))
        except pygame.error as error:
            log.debug("event lost: %s", error)

    return post
