"""A player that goes on: frames of writes in, samples out, in pieces of any size. Holds no loops.

The pieces make no difference: their samples, laid end to end, are those of one piece, and of `render` from sample
LATENCY on. What a player knows between two pieces is small and plain; it can be copied, saved as bytes and compared.
"""

from __future__ import annotations

import copy
import struct
from bisect import bisect_left
from collections.abc import Collection
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from nesasset.apu import extension, filters, synthesis
from nesasset.apu.chip import CHANNELS, is_state, power_on
from nesasset.apu.filters import VOICINGS
from nesasset.apu.mixer import TND_TRIM
from nesasset.apu.oscillators import TRIANGLE_SCALE
from nesasset.apu.steps import LEAD, TAPS
from nesasset.apu.tables import CONSOLES
from nesasset.apu.writes import Writes, frame_cycles, write_cycles
from nesasset.audio import MAX_RATE_HZ, MIN_RATE_HZ
from nesasset.errors import AudioError, FormatError, RegisterLogError, did_you_mean, out_of_range
from nesasset.register_log import RegisterLog
from nesasset.units import FRAME_RATE_HZ

# The famicom voicing: one high-pass at 37 Hz leaves the triangle's bass and all treble to the game's own mix. The nes
# voicing (440 Hz high-pass) thins the bass out: faithful to a television's loudspeaker, poor under sound effects.
DEFAULT_VOICING: Final = "famicom"

# One gain for every track, so that tracks keep their loudness to each other. The four voices together fill 0.614 of
# the mixer's range, and what the filters and the band limit add to a jump over all of it is at most a sixth.
GAIN: Final = 1.4
FULL_SCALE: Final = 32_768
MAX_GAIN: Final = 16.0
MAX_DIFFERENCE: Final = 2.0**13  # see `steps`: below it sums are exact
MAX_STREAM: Final = 2**40  # samples

LATENCY: Final = TAPS // 2
"""Samples by which a player is late: a band-limited step begins before it happens."""

_WINDOW_S: Final = 1.0  # how much is worked on at a time: memory does not grow with the piece
_MAGIC: Final = b"2A03"
_VERSION: Final = 1
# Sample rate, frame rate, gain, trim, then bit masks and indices: channels, voicing, region; then the frame.
_HEADER: Final = struct.Struct("<4sHIdddBBBq")
_REGIONS: Final = tuple(CONSOLES)
_VOICINGS: Final = tuple(VOICINGS)
_TAIL: Final = TAPS + 2  # differences that are not complete at the end of a piece


def check_settings(sample_rate_hz: int, voicing: str, gain: float, channels: Collection[str]) -> None:
    """Raise AudioError for a setting out of its range."""
    if type(sample_rate_hz) is not int or not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        raise AudioError(out_of_range("sample_rate_hz", sample_rate_hz, MIN_RATE_HZ, MAX_RATE_HZ))
    if voicing not in VOICINGS:
        hint = did_you_mean(str(voicing), VOICINGS)
        raise AudioError(f"voicing must be one of {', '.join(VOICINGS)}, not {voicing!r}{hint}")
    if not isinstance(gain, (int, float)) or isinstance(gain, bool) or not 0 < gain <= MAX_GAIN:
        raise AudioError(f"gain must be above 0 and at most {MAX_GAIN:g}, not {gain!r}")
    if not set(channels) <= set(CHANNELS) or not channels:
        raise AudioError(
            f"channels must be some of {', '.join(CHANNELS)}, not {', '.join(map(str, channels)) or 'none'}"
        )


def to_16_bits(sound: NDArray[np.float64], gain: float, out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
    """Round a sound of the mixer's range to samples, in an array of that size or a new one; the sound is used up."""
    samples = np.empty(len(sound), dtype=np.int16) if out is None else out
    factor = GAIN * FULL_SCALE * gain
    if (fast := extension.fast()) is not None:
        fast.to_16_bits(sound, factor, samples)
        return samples
    sound *= factor
    np.rint(sound, out=sound)
    np.clip(sound, -FULL_SCALE, FULL_SCALE - 1, out=sound)
    samples[...] = sound
    return samples


class Player:
    """A 2A03 and its filters, playing. Use `play` for the next frames; `copy`, `to_bytes` and == for its state."""

    __slots__ = (
        "_chip",
        "_clock_hz",
        "_filters",
        "_levels",
        "_stages",
        "_tail",
        "channels",
        "frame",
        "frame_rate_hz",
        "gain",
        "region",
        "sample_rate_hz",
        "tnd_trim",
        "voicing",
    )

    def __init__(
        self,
        sample_rate_hz: int = 44_100,
        voicing: str = DEFAULT_VOICING,
        gain: float = 1.0,
        channels: Collection[str] = CHANNELS,
        region: str = "ntsc",
        frame_rate_hz: float = float(FRAME_RATE_HZ),
        tnd_trim: float = TND_TRIM,
    ) -> None:
        """Switch a chip on.

        Args:
            sample_rate_hz: Output rate, 8000 to 96000.
            voicing: 'raw', 'famicom' or 'nes', as in `render`.
            gain: Factor on the loudness, above 0 to 16.
            channels: What to play, of P1, P2, TR, NO and DM.
            region: Which console: 'ntsc', 'pal' or 'dendy'.
            frame_rate_hz: Frames a second, 1 to 10000.
            tnd_trim: Factor on triangle, noise and DMC against the pulses, above 0 to 2; see `mixer.TND_TRIM`.

        Raises:
            AudioError: A setting is out of range.
            RegisterLogError: The region is unknown, or the frame rate out of range.
        """
        check_settings(sample_rate_hz, voicing, gain, channels)
        if region not in CONSOLES:
            raise RegisterLogError(f"region must be one of {', '.join(CONSOLES)}, not {region!r}")
        if not 0 < tnd_trim <= 2:
            raise AudioError(f"tnd_trim must be above 0 and at most 2, not {tnd_trim!r}")
        frame_cycles(0, frame_rate_hz)  # raises if the rate is out of range
        self.sample_rate_hz, self.voicing, self.gain = sample_rate_hz, voicing, float(gain)
        self.channels = tuple(name for name in CHANNELS if name in channels)
        self.region, self.frame_rate_hz, self.tnd_trim = region, float(frame_rate_hz), float(tnd_trim)
        self.frame = 0
        """Frames played so far."""
        self._clock_hz = CONSOLES[region].clock_hz
        self._stages = filters.coefficients(VOICINGS[voicing], sample_rate_hz)
        self._chip = power_on()
        self._levels = synthesis.resting_levels(self.channels)
        self._tail = np.zeros(_TAIL)
        self._filters = filters.at_rest(self._stages)

    def play(self, piece: RegisterLog) -> NDArray[np.int16]:
        """Play some more frames.

        Args:
            piece: What is written in them; its first frame is the one after those played so far. Its loop does not
                matter. Cycles, if it has them, count from its start; what lies after its end is left out.

        Returns:
            The samples of these frames, LATENCY late: the first piece begins with so many of the silence before it.

        Raises:
            RegisterLogError: The piece is for another console or another frame rate.
            AudioError: Too much has been played: after 2**40 samples, half a year and more, a player wants to rest.
        """
        if (piece.region, piece.frame_rate_hz) != (self.region, self.frame_rate_hz):
            raise RegisterLogError(
                f"the player runs as {self.region} at {self.frame_rate_hz:g} frames a second, "
                f"not as {piece.region} at {piece.frame_rate_hz:g}"
            )
        if self._sample(self.frame + piece.n_frames) > MAX_STREAM:
            raise AudioError(f"a player plays at most {MAX_STREAM} samples, make a new one")
        cycles = write_cycles(piece, self.frame)
        addresses = piece.addresses.astype(np.uint16, copy=False)
        values = piece.values.astype(np.uint8, copy=False)
        first_cycle, first_sample = self._cycle(self.frame), self._sample(self.frame)
        window = max(1, int(self.frame_rate_hz * _WINDOW_S))
        last, lower = self.frame + piece.n_frames, 0
        samples = np.empty(self._sample(last) - first_sample, dtype=np.int16)
        start, at = first_cycle, 0
        while self.frame < last:
            end_frame = min(last, self.frame + window)
            end, end_at = self._cycle(end_frame), self._sample(end_frame) - first_sample
            upper = bisect_left(cycles, end - first_cycle)  # as with np.zeros below, np.searchsorted lets go
            inside = slice(lower, upper)
            writes = Writes(
                cycles[inside] - (start - first_cycle),
                addresses[inside],
                values[inside],
                (0, end - start),
                self.region,
                piece.memory,
            )
            self._play(writes, start, first_sample + at, samples[at:end_at])
            self.frame, start, at, lower = end_frame, end, end_at, upper
        return samples

    def flush(self) -> NDArray[np.int16]:
        """Return the LATENCY samples that would follow if nothing changed any more; the player itself stays as it is."""
        sound, state = self._tail[:LATENCY].copy(), self._filters.copy()
        filters.run(sound, self._stages, state)
        return to_16_bits(sound, self.gain)

    def _play(self, writes: Writes, start: int, first_sample: int, out: NDArray[np.int16]) -> None:
        """Play the writes of some whole frames, which begin at a cycle and a sample, into what these last."""
        size = len(out)
        # Not np.zeros, which lets go of the interpreter: beside a busy thread a live player waits 5 ms until it is back.
        buffer = np.frombuffer(bytearray(8 * (size + _TAIL)))
        buffer[:_TAIL] = self._tail
        synthesis.play(
            self._chip,
            writes,
            self.channels,
            buffer,
            self._levels,
            scale=self.sample_rate_hz / self._clock_hz,
            base_cycle=start,
            origin=first_sample - LATENCY + LEAD,
            tnd_trim=self.tnd_trim,
        )
        self._tail[:] = buffer[size:]
        sound = buffer[:size]
        filters.run(sound, self._stages, self._filters)
        to_16_bits(sound, self.gain, out)

    def _cycle(self, frame: int) -> int:
        return round(frame * self._clock_hz / self.frame_rate_hz)

    def _sample(self, frame: int) -> int:
        return round(frame * self.sample_rate_hz / self.frame_rate_hz)

    # The state.

    def copy(self) -> Self:
        """Return a player that goes on by itself from here."""
        other = copy.copy(self)
        for name in ("_chip", "_levels", "_tail", "_filters"):
            setattr(other, name, getattr(self, name).copy())
        return other

    def to_bytes(self) -> bytes:
        """Return settings and state, the same bytes on every machine. Inverse of `from_bytes`."""
        header = _HEADER.pack(
            _MAGIC,
            _VERSION,
            self.sample_rate_hz,
            self.frame_rate_hz,
            self.gain,
            self.tnd_trim,
            sum(1 << number for number, name in enumerate(CHANNELS) if name in self.channels),
            _VOICINGS.index(self.voicing),
            _REGIONS.index(self.region),
            self.frame,
        )
        whole, real = ((self._chip, self._levels), (self._tail, self._filters))
        return header + b"".join(
            [
                *(part.astype("<i8").tobytes() for part in whole),
                *((part + 0.0).astype("<f8").tobytes() for part in real),
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the player that `to_bytes` saved.

        Raises:
            FormatError: These bytes are no saved player.
        """
        try:
            magic, version, *settings = _HEADER.unpack_from(data)
            rate, frame_rate, gain, trim, mask, voicing, region, frame = settings
            if (magic, version) != (_MAGIC, _VERSION):
                raise ValueError("wrong magic or version")
            channels = [name for number, name in enumerate(CHANNELS) if mask >> number & 1]
            player = cls(rate, _VOICINGS[voicing], gain, channels, _REGIONS[region], frame_rate, trim)
            if not frame >= 0 or not player._sample(frame) <= MAX_STREAM:
                raise ValueError("frame")
            player.frame = frame
            at = _HEADER.size
            for part, kind in (
                *((part, "<i8") for part in (player._chip, player._levels)),
                *((part, "<f8") for part in (player._tail, player._filters)),
            ):
                part[...] = np.frombuffer(data, kind, part.size, at).reshape(part.shape)
                at += 8 * part.size
            player._check(at == len(data))
        except (struct.error, ValueError, IndexError, OverflowError) as error:
            raise FormatError("these bytes are no saved player: make a new one") from error
        return player

    def _check(self, complete: bool) -> None:
        """Raise ValueError for a state that no player can be in."""
        used = self._filters[:, 3]
        highest = (15, 15, 15 * TRIANGLE_SCALE, 15, 127)
        if not (
            complete
            and is_state(self._chip)
            and all(0 <= level <= high for level, high in zip(self._levels.tolist(), highest, strict=True))
            and np.all(np.abs(self._tail) < MAX_DIFFERENCE)
            and np.all(np.abs(self._filters[:, :3]) < MAX_DIFFERENCE)
            and np.all((used >= 0) & (used < filters.BLOCK) & (used == np.floor(used)))
        ):
            raise ValueError("state")

    def __eq__(self, other: object) -> bool:
        """Two players are equal if whatever follows will sound the same."""
        return isinstance(other, Player) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]  # it changes with every frame
