"""What stands between a session and an output: a thread that makes sound ahead of need, and what of it has been heard.

Everything that is a matter of time is here; commands and pieces are the affair of `music`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nesasset import sfx
from nesasset.driver import period_table
from nesasset.play import outputs
from nesasset.play.engine import Frame, Position
from nesasset.play.outputs import Output
from nesasset.play.session import Session

log = logging.getLogger("nesasset.play")

_NAP_S: Final = 0.008
_IDLE_NAP_S: Final = 0.02
_RETRY_S: Final = 2.0
_MAX_EVENTS: Final = 512
_HISTORY_FRAMES: Final = 240
_MAX_FRAMES_AT_ONCE: Final = 16  # some 2 ms; then the thread lets others have the interpreter


@dataclass(frozen=True, slots=True)
class MusicEvent:
    """Something that has just been heard."""

    kind: str
    """One of `nesasset.play.EVENTS`."""
    facts: Mapping[str, Any]
    """By kind: bar, beat, name, theme, loops …"""
    position: Position
    """Of the frame with which it began."""


class Feeder:
    """Feeds an output with a session's frames, by a thread of its own or by `step`."""

    def __init__(self, session: Session, output: Output, margin_s: float, made: Callable[[Frame], None]) -> None:
        """Take the parts.

        Args:
            session: Makes the frames.
            output: Takes the samples.
            margin_s: For an output that is found later.
            made: Called with each frame when it has been made, before it is heard.
        """
        self.session = session
        self.output = output
        self.lock = threading.RLock()
        """Held while a frame is made."""
        self.events: deque[MusicEvent] = deque(maxlen=_MAX_EVENTS)
        """What has been heard and not been told."""
        self.post: Callable[[MusicEvent], None] | None = None
        self.frame_s = 0.0
        """Time that a frame takes, a running mean."""
        self._made = made
        self._margin_s = margin_s
        self._history: deque[tuple[int, Frame]] = deque(maxlen=_HISTORY_FRAMES)
        self._heard_frame: Frame | None = None
        self._offset = 0
        """Samples of the engine less those of the output: another engine, or output, may have been taken up."""
        self._lost_at = 0.0
        """When the output was lost that we had; 0 while we have one."""
        self._was_idle = True
        self._closed = False
        self._wakeup = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="nesasset music", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether there is something to do."""
        self._wakeup.set()

    def close(self) -> None:
        """End the thread and the output."""
        self._closed = True
        self._wakeup.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2)
        self.output.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing sounds and nothing is about to."""
        return self.session.engine.is_silent

    def engine_changed(self) -> None:
        """Take note that the session has another engine."""
        self._history.clear()
        self._offset = self.session.engine.samples - self.output.ring.written

    def heard(self) -> Frame | None:
        """Return the frame that is heard now; called by any thread."""
        heard, found = self.output.heard(), self._heard_frame
        for sample, frame in list(self._history):  # a copy: the other thread adds and takes away
            if sample > heard:
                break
            found = frame
        return found

    def step(self) -> Frame:
        """Make a frame here and now, and take it as heard: where there is no thread."""
        with self.lock:
            frame = self._make()
        self.output.ring.written += len(frame.samples)
        self.output.ring.read_count = self.output.ring.written
        self._tell()
        return frame

    def _make(self) -> Frame:
        frame = self.session.frame()
        self._history.append((frame.position.sample - self._offset, frame))
        self._made(frame)
        return frame

    # The thread.

    def _run(self) -> None:
        sfx.make("coin")  # builds the tables of periods, once a process: not in the game's thread
        period_table("triangle")
        while not self._closed:
            try:
                nap = self._fill()
            except Exception as error:  # a mixer that was closed under us, say: the music goes on unheard
                self.session.say_once(f"the sound output failed, the music goes on unheard ({error})")
                self._change_output(outputs.Silence(lambda: self.is_idle, self.output.sample_rate_hz))
                nap = _NAP_S
            if self._lost_at and time.perf_counter() - self._lost_at > _RETRY_S:
                self._look_for_mixer()
            self._wakeup.wait(nap)
            self._wakeup.clear()

    def _fill(self) -> float:
        """Make the sound that is wanted now, and return how long to rest."""
        with self.lock:
            self.session.obey()
            idle = self.is_idle
        if self._was_idle and not idle:
            self.output.wake()
        self._was_idle = idle
        wanted, made = self.output.wanted(), 0
        while wanted > 0 and made < _MAX_FRAMES_AT_ONCE:
            began = time.perf_counter()
            with self.lock:
                frame = self._make()
                self.output.ring.write(frame.samples)
            self.frame_s += 0.02 * (time.perf_counter() - began - self.frame_s)
            wanted -= len(frame.samples)
            made += 1
        self.output.filled()
        self._tell()
        if wanted > 0:
            return 0.0005
        return _IDLE_NAP_S if idle and not self._history else _NAP_S

    def _change_output(self, output: Output) -> None:
        with self.lock:
            self.output = output
            self.engine_changed()
            self._was_idle = True
            self._lost_at = time.perf_counter() if isinstance(output, outputs.Silence) else 0.0

    def _look_for_mixer(self) -> None:
        """Go back to pygame's mixer where it runs again, at the rate at which we do."""
        self._lost_at = time.perf_counter()
        try:
            stream = outputs.PygameStream(lambda: self.is_idle, self._margin_s)
        except Exception as error:  # not yet
            log.debug("still no mixer: %r", error)
            return
        if stream.sample_rate_hz == self.session.engine.sample_rate_hz:
            self._change_output(stream)

    def _tell(self) -> None:
        """Take the frames that have been heard from the history, and their events with them."""
        heard = self.output.heard()
        while self._history and self._history[0][0] <= heard:
            self._heard_frame = frame = self._history.popleft()[1]
            for kind, facts in frame.events:
                event = MusicEvent(kind, facts, frame.position)
                self.events.append(event)
                if self.post is not None:
                    self.post(event)
