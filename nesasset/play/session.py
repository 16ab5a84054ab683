"""An engine with what is around it: commands that wait, a record of them, and what happened when. No thread, no sound card.

Commands may come from any thread; frames are made by one. The record holds every command with the frame at which it
was obeyed, pieces that were composed meanwhile included, so that `replay` gives the same bytes.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import ControlError, NesassetError
from nesasset.formats import score_json
from nesasset.play.engine import Engine, Frame
from nesasset.score import Score
from nesasset.sfx.effect import Effect

log = logging.getLogger("nesasset.play")

Command = dict[str, Any]
_MAX_SAVE: Final = 1 << 26


class Session:
    """Takes commands, makes frames."""

    def __init__(self, sample_rate_hz: int = 44_100, record: bool = False) -> None:
        self.engine = Engine(sample_rate_hz)
        self.commands: deque[Command] = deque()
        self.record: list[list[Any]] | None = [] if record else None
        """Frame and command, JSON values."""
        self._told: set[str] = set()

    def say_once(self, sentence: str) -> None:
        """Tell the log something, once."""
        if sentence not in self._told and len(self._told) < 1000:
            self._told.add(sentence)
            log.warning("%s", sentence)

    def obey(self) -> None:
        """Obey what has been commanded. Never raises: what goes wrong is told once, and the music goes on."""
        engine = self.engine
        while self.commands:
            command = self.commands.popleft()
            try:
                engine.do(command)
            except NesassetError as error:
                self.say_once(str(error))
            except Exception as error:  # the game goes on, whatever we have overlooked
                self.say_once(f"the command {command.get('do')!r} failed unexpectedly, please report it ({error!r})")
            else:
                if self.record is not None:
                    self.record.append([engine.frame, _plain(command)])

    def frame(self) -> Frame:
        """Obey what has been commanded, then make a frame. Never raises, as `obey`."""
        self.obey()
        engine = self.engine
        try:
            return engine.step()
        except Exception as error:  # likewise: rather silence than the end of the game
            self.say_once(f"playing {engine.deck.name if engine.deck else 'nothing'} failed, the music stops ({error!r})")
            engine.deck = engine.stinger = engine.pending_stinger = engine.fading = engine.after_bridge = None
            engine.pending = []
            engine.effects.running.clear()
            return engine.step()

    def save(self, more: Mapping[str, Any]) -> bytes:
        """Return the state, and what the caller wants with it, as bytes. Inverse of `load`."""
        # Commands that are not obeyed yet belong to the state: they would be obeyed with the next frame.
        waiting = [_plain(command) for command in self.commands]
        data = {"format": "nesasset-music", "engine": self.engine.to_json(), "commands": waiting, **more}
        return zlib.compress(json.dumps(data, separators=(",", ":"), sort_keys=True).encode(), 6)

    def load(self, data: bytes) -> dict[str, Any]:
        """Take up a state that `save` returned, and return what the caller had put with it.

        Raises:
            ControlError: These bytes are no saved music, or of another sample rate.
        """
        try:
            box = zlib.decompressobj()
            found = json.loads(box.decompress(data, _MAX_SAVE))
            if not box.eof or found["format"] != "nesasset-music":
                raise ValueError("cut off, or another format")
            commands = [dict(command) for command in found["commands"]]
        except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ControlError("these bytes are no saved music: begin anew") from error
        engine = Engine.from_json(found["engine"])
        if engine.sample_rate_hz != self.engine.sample_rate_hz:
            raise ControlError(
                f"this music was saved at {engine.sample_rate_hz} Hz, and the mixer runs at {self.engine.sample_rate_hz} Hz: "
                "open the mixer at that rate, or begin anew"
            )
        self.engine = engine
        self.commands = deque(commands)
        return {key: value for key, value in found.items() if key not in ("format", "engine", "commands")}


def replay(record: Iterable[list[Any]], n_frames: int, sample_rate_hz: int = 44_100) -> NDArray[np.int16]:
    """Return the sound of a record: the same bytes as when it was made."""
    session = Session(sample_rate_hz)
    waiting = deque(record)
    parts = []
    for frame in range(n_frames):
        while waiting and waiting[0][0] <= frame:
            session.commands.append(waiting.popleft()[1])
        parts.append(session.frame().samples)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)


def _plain(command: Mapping[str, Any]) -> Command:
    """Return a command as JSON values."""
    plain = dict(command)
    for key, value in command.items():
        if isinstance(value, Score):
            plain[key] = score_json.dumps(value)
        elif isinstance(value, Effect):
            plain[key] = value.to_json()
    return plain
