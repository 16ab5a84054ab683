"""Where the sound goes: pygame's music stream, a pygame channel where that is taken, a puller, or nowhere, in time.

Every output says how many samples it wants now and how many have been heard; none makes sound. All calls but `pull` come
from one thread. With pygame the music stream is the first choice (no gap in it was ever measured); a channel's queue has a race
in pygame that can silence it for good, so there a watchdog starts it again.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nesasset.play.endless_wav import EndlessWav
from nesasset.play.margin import MAX_S, Margin
from nesasset.play.ring import Ring

log = logging.getLogger("nesasset.play")

DEFAULT_RATE_HZ: Final = 44_100
SDL_BLOCK: Final = 4096
"""Frames that SDL_mixer reads of a WAV file at a time, whatever the mixer's buffer."""
DEFAULT_MARGIN_S: Final = 0.1
"""How late the thread that makes sound may be, at first. A busy thread of pure Python was seen to hold it up for 35 ms, two for 75,
and for 350 where two other programs kept both processors busy: `margin` sees to that."""
CHANNEL_CHUNK_S: Final = 0.05
_STALL_S: Final = 0.1
_MAX_SLEEP_S: Final = 0.25  # a clock that jumped by more has slept: nothing is made up for


class Output(Protocol):
    """What a `Music` needs of an output."""

    sample_rate_hz: int
    ring: Ring

    def wanted(self) -> int:
        """Return how many samples should be made now."""

    def filled(self) -> None:
        """Take note that samples have been made."""

    def heard(self) -> int:
        """Return how many samples have come out of the loudspeaker, as far as one can know."""

    @property
    def underruns(self) -> int:
        """How often the sound broke off because samples were missing."""

    def wake(self) -> None:
        """Play at once: what was silent has something to say."""

    def close(self) -> None:
        """Stop playing."""


class PygameStream:
    """Plays through `pygame.mixer.music`, which the game then cannot use for anything else."""

    def __init__(self, is_idle: Callable[[], bool], margin_s: float = DEFAULT_MARGIN_S) -> None:
        """Use the mixer as it is.

        Raises:
            RuntimeError: The mixer is not there, or its music is in use.
        """
        self._mixer = _mixer()
        self.sample_rate_hz, self.buffer = _mixer_rate(self._mixer)
        if self._mixer.music.get_busy():
            raise RuntimeError("pygame.mixer.music is in use")
        self._is_idle = is_idle
        self.margin = Margin(margin_s)
        self._goal = 0
        """Samples that were to be ahead of what is heard when that was last looked after."""
        self.ring = Ring(4 * SDL_BLOCK + round(max(2 * margin_s, 2 * MAX_S) * self.sample_rate_hz))
        self._stream: EndlessWav | None = None
        self._lost = 0
        self._starts = True

    def wanted(self) -> int:
        """Return how many samples should be made now: the block being played, and the margin, ahead of what is heard.

        Raises:
            RuntimeError: The mixer has been closed.
        """
        if not self._mixer.get_init():
            raise RuntimeError("pygame's mixer has been closed")
        if self._is_idle():
            return 0
        if self._stream is None or self._starts:
            ahead = self.ring.fill
        else:
            ahead = self.ring.written - (self.heard() + self.buffer)
            self.margin.note((self._goal - ahead) / self.sample_rate_hz)
        self._goal = SDL_BLOCK + round(self.margin.seconds * self.sample_rate_hz)
        return max(0, min(self._goal - ahead, self.ring.room))

    def filled(self) -> None:
        """Begin to play when there is a block to play."""
        if self._starts and self.ring.fill >= self._goal - self.sample_rate_hz // 60:  # a frame less at most
            self._starts = False
            if self._stream is None:
                self._stream = EndlessWav(self.ring, self.sample_rate_hz, self._is_idle)
                self._mixer.music.load(self._stream, "wav")
            self._mixer.music.play(-1)  # from its start: SDL reads at once, and not when a block of silence is over
        if self._stream is not None and self._stream.underruns > self._lost:
            if not self._lost:
                log.warning("the sound broke off: the game holds the interpreter too long, or the machine is overloaded")
            self._lost = self._stream.underruns
            self.margin.note(self.margin.seconds)

    def heard(self) -> int:
        """Return how many samples have been heard, from the time and size of SDL's last read."""
        if self._stream is None:
            return 0
        at, before, count = self._stream.last_read
        gone = min(count, max(0, round((time.perf_counter() - at) * self.sample_rate_hz)))
        return max(0, min(before + gone, self.ring.read_count) - self.buffer)

    @property
    def underruns(self) -> int:
        """How often SDL found too few samples."""
        return 0 if self._stream is None else self._stream.underruns

    def wake(self) -> None:
        """Start the stream anew after silence, so that the block of silence that SDL holds is not waited for."""
        self._starts = self._stream is None or self._stream.found == 0  # a block with sound in it is played out
        self._goal = 0  # nothing was to be there: that it is not is no lateness

    def close(self) -> None:
        """Stop the stream."""
        try:
            if self._stream is not None and self._mixer.get_init():
                self._mixer.music.stop()
                self._mixer.music.unload()
        except Exception as error:  # pygame has gone first
            log.debug("closing: %r", error)


class PygameChannel:
    """Plays short sounds one behind the other on a channel of the mixer."""

    def __init__(self, is_idle: Callable[[], bool], chunk_s: float = CHANNEL_CHUNK_S) -> None:
        """Reserve the last channel that is free.

        Raises:
            RuntimeError: The mixer is not there, or no channel is free.
        """
        self._mixer = _mixer()
        self.sample_rate_hz, self.buffer = _mixer_rate(self._mixer)
        self._format, self._channels = self._mixer.get_init()[1:3]
        self._is_idle = is_idle
        self._chunk = max(256, round(chunk_s * self.sample_rate_hz))
        self.ring = Ring(8 * self._chunk)
        self._channel = self._take_channel()
        self._kept: list[Any] = []  # sounds that play or wait: pygame holds them, but a reference is cheap
        self._quiet_since: float | None = None
        self._given = 0
        self._given_at = time.perf_counter()
        self.restarts = 0
        """How often the watchdog had to start the channel again."""
        self.underruns = 0

    def _take_channel(self) -> Any:
        for number in range(self._mixer.get_num_channels() - 1, -1, -1):
            channel = self._mixer.Channel(number)
            if not channel.get_busy():
                return channel
        raise RuntimeError("no mixer channel is free")

    def wanted(self) -> int:
        """Return how many samples fill two chunks."""
        return 0 if self._is_idle() else max(0, 2 * self._chunk - self.ring.fill)

    def filled(self) -> None:
        """Put a chunk behind the one that plays, and look whether the channel is stuck."""
        now = time.perf_counter()
        waiting, busy = self._channel.get_queue() is not None, bool(self._channel.get_busy())
        if waiting and not busy:
            if self._quiet_since is None:
                self._quiet_since = now
            elif now - self._quiet_since > _STALL_S:  # pygame's race: the sound waits on a channel that never takes it
                self._channel.play(self._channel.get_queue())
                self.restarts += 1
                self._quiet_since = None
            return
        self._quiet_since = None
        if waiting or self.ring.fill < self._chunk:
            if not busy and self._given and not self._is_idle() and not waiting and self.ring.fill < self._chunk:
                self.underruns += self._given > self._chunk and now - self._given_at > 3 * self._chunk / self.sample_rate_hz
            return
        sound = self._mixer.Sound(buffer=in_format(self.ring.read(self._chunk), self._format, self._channels))
        self._kept = [*self._kept[-3:], sound]
        if busy:
            self._channel.queue(sound)
        else:
            self._channel.play(sound)
        self._given += self._chunk
        self._given_at = now

    def heard(self) -> int:
        """Return how many samples have been heard, to a chunk or so."""
        since = round((time.perf_counter() - self._given_at) * self.sample_rate_hz)
        return max(0, min(self._given, self._given - 2 * self._chunk + since) - self.buffer)

    def wake(self) -> None:
        """Do nothing: a channel that is silent plays what it is given at once."""

    def close(self) -> None:
        """Stop the channel."""
        try:
            if self._mixer.get_init():
                self._channel.stop()
        except Exception as error:  # pygame has gone first
            log.debug("closing: %r", error)


class Pull:
    """Gives samples to whoever asks for them: any audio library's callback."""

    def __init__(self, is_idle: Callable[[], bool], sample_rate_hz: int = DEFAULT_RATE_HZ, margin_s: float = DEFAULT_MARGIN_S) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._is_idle = is_idle
        self.margin = Margin(margin_s)
        self._largest = 1024
        self.ring = Ring(1 << 18)
        self.underruns = 0
        self._asked = 0

    def pull(self, count: int) -> NDArray[np.int16]:
        """Return the next samples; never waits, silence where there are none."""
        self._largest = min(max(self._largest, count), 1 << 15)
        missing = self.ring.missing
        samples = self.ring.read(count)
        if self.ring.missing > missing and not self._is_idle() and self._asked:
            self.underruns += 1
            self.margin.note(self.margin.seconds)
        self._asked = 0 if self._is_idle() else self._asked + 1
        return samples

    def wanted(self) -> int:
        """Return how many samples fill what one call takes, and the margin."""
        return 0 if self._is_idle() else max(0, self._largest + round(self.margin.seconds * self.sample_rate_hz) - self.ring.fill)

    def filled(self) -> None:
        """Do nothing: the other side comes by itself."""

    def heard(self) -> int:
        """Return how many samples have been taken; what the other side keeps is not known."""
        return self.ring.read_count

    def wake(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Silence:
    """Plays nothing, in time: where there is no sound card the music goes on all the same, with its events."""

    underruns = 0

    def __init__(self, is_idle: Callable[[], bool], sample_rate_hz: int = DEFAULT_RATE_HZ) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._is_idle = is_idle
        self.ring = Ring(1 << 16)
        self._last = time.perf_counter()
        self._rest = 0.0

    def wanted(self) -> int:
        """Return how many samples have become due."""
        now = time.perf_counter()
        gone, self._last = min(now - self._last, _MAX_SLEEP_S), now
        if self._is_idle():
            self._rest = 0.0
            return 0
        self._rest += gone * self.sample_rate_hz
        self.ring.read(self.ring.fill)
        due = int(self._rest)
        self._rest -= due
        return due

    def filled(self) -> None:
        """Do nothing."""

    def heard(self) -> int:
        """Return how many samples would have been heard."""
        return self.ring.read_count

    def wake(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def in_format(samples: NDArray[np.int16], size: int, channels: int) -> bytes:
    """Return samples in a mixer's format: bits (negative: signed; 32: floats), the same on all channels."""
    if size == 32:
        data: NDArray[Any] = samples.astype(np.float32) / 32_768
    elif abs(size) == 8:
        data = (samples >> 8).astype(np.int8) if size < 0 else ((samples >> 8) + 128).astype(np.uint8)
    elif size == 16:
        data = (samples.astype(np.int32) + 32_768).astype(np.uint16)
    else:
        data = samples
    return np.repeat(data, channels).tobytes()


def _mixer() -> Any:
    try:
        return importlib.import_module("pygame.mixer")
    except ImportError as error:
        raise RuntimeError(f"pygame is not installed ({error}): pip install nesasset[game]") from error


def _mixer_rate(mixer: Any) -> tuple[int, int]:
    """Return the rate at which the mixer really runs, and samples that lie between it and the loudspeaker."""
    settings = mixer.get_init()
    if not settings:
        raise RuntimeError("pygame's mixer is not running: call pygame.init() first; without a sound card it cannot run")
    return int(settings[0]), 1024


def start_mixer() -> None:
    """Start pygame's mixer where a program has no other use of pygame.

    Raises:
        RuntimeError: pygame is not installed, or there is no sound card.
    """
    import os

    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    mixer = _mixer()
    if mixer.get_init():
        return
    try:
        mixer.init(DEFAULT_RATE_HZ, -16, 2, 1024)
    except Exception as error:  # pygame.error, whose class may not be imported here
        raise RuntimeError(str(error)) from error


def best_output(is_idle: Callable[[], bool], margin_s: float) -> Output:
    """Return the best output that can be had: the music stream, a channel, or silence in time, with a warning."""
    for kind in (lambda: PygameStream(is_idle, margin_s), lambda: PygameChannel(is_idle)):
        try:
            return kind()
        except Exception as error:  # pygame has errors of its own, and there are many mixers
            reason = error
    log.warning("the music will not be heard: %s", reason)
    return Silence(is_idle)
