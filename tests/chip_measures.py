"""What people judge a chip by, as numbers: pitch, aliases, flatness, and how near it comes to a console and to Mesen2.

One home for each measurement: tests/test_apu.py and tests/test_reference.py hold the cheap ones against their bars,
tests/benchmarks/bench_chip.py prints all. Everything is measured before samples are rounded to 16 bits.

The references are data for measuring only and not part of the project. They lie in ../shared/data/synth_reference.tar.xz
beside a checkout: logs (CPU cycle, register, value), Mesen2's sound at 96 kHz, and Damian Yerrick's volume_tests played on an
NTSC NES (one console, one capture card, lossy).
"""

from __future__ import annotations

import math
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from nesasset.apu import filters, mixer, synthesis
from nesasset.apu.chip import CHANNELS, power_on
from nesasset.apu.mixer import TND_TRIM
from nesasset.apu.steps import LEAD, TAPS
from nesasset.apu.tables import NOISE_PERIOD_CYCLES
from nesasset.apu.writes import Writes
from nesasset.units import CPU_CLOCK_HZ

ARCHIVE: Final = Path(__file__).parent.parent.parent / "shared" / "data" / "synth_reference.tar.xz"
RATES: Final = (44_100, 48_000)

Sound = NDArray[np.float64]


@contextmanager
def unpacked(place: Path) -> Iterator[Path]:
    """Give the folder of the references, from that folder, from one that holds it, or from the archive."""
    if place.is_dir():
        yield place / "synth_reference" if (place / "synth_reference").is_dir() else place
        return
    with tempfile.TemporaryDirectory() as folder, tarfile.open(place) as archive:
        archive.extractall(folder, filter="data")
        yield Path(folder) / "synth_reference"


def play(
    writes: Writes, rate: int, voicing: filters.Voicing, channels: Collection[str] = CHANNELS, trim: float = 1.0
) -> Sound:
    """Return what the package makes of writes, unrounded."""
    n_samples = round(writes.marks[-1] * rate / CPU_CLOCK_HZ)
    buffer = np.zeros(n_samples + TAPS + 2)
    levels = synthesis.resting_levels(channels)
    synthesis.play(power_on(), writes, channels, buffer, levels, rate / CPU_CLOCK_HZ, 0, 0, trim)
    return filters.apply(buffer[LEAD : LEAD + n_samples].copy(), voicing, rate, circular=False)


# Constant tones, against theory.


@dataclass(frozen=True, slots=True)
class Tone:
    """A constant tone of one channel."""

    kind: str
    """pulse, triangle or noise (short)."""
    period: int
    """Timer period; of the noise, the index of one."""
    duty: int = 2
    """Of a pulse: 0 to 3."""

    @property
    def hz(self) -> float:
        """Frequency that the CPU clock gives it."""
        if self.kind == "noise":
            return CPU_CLOCK_HZ / (NOISE_PERIOD_CYCLES[self.period] * 93)
        return CPU_CLOCK_HZ / ((32 if self.kind == "triangle" else 16) * (self.period + 1))

    @property
    def name(self) -> str:
        """For people."""
        duty = (" 12.5 %", " 25 %", " 50 %", " 75 %")[self.duty] if self.kind == "pulse" else ""
        return f"{'short noise' if self.kind == 'noise' else self.kind}{duty} {self.hz:.0f} Hz"

    def writes(self) -> Writes:
        """Return the writes of two and a half seconds of it, in the first cycles."""
        if self.kind == "pulse":
            own = [(0x4000, self.duty << 6 | 0x3F), (0x4002, self.period & 0xFF), (0x4003, 8 | self.period >> 8)]
        elif self.kind == "triangle":
            own = [(0x4008, 0xFF), (0x400A, self.period & 0xFF), (0x400B, 8 | self.period >> 8)]
        else:
            own = [(0x400C, 0x3F), (0x400E, 0x80 | self.period), (0x400F, 8)]
        addresses, values = zip((0x4015, 0x0F), (0x4017, 0x40), (0x4001, 8), (0x4005, 8), *own, strict=True)
        cycles = np.arange(len(addresses), dtype=np.int64) * 6
        end = round(2.5 * CPU_CLOCK_HZ)
        return Writes(cycles, np.array(addresses, np.uint16), np.array(values, np.uint8), (0, end))


PULSE_PERIODS: Final = (9, 20, 40, 80, 126, 253, 427, 800, 1200, 2047)
TRIANGLE_PERIODS: Final = (4, 10, 20, 40, 63, 126, 253, 427, 854, 2047)
NOISE_INDICES: Final = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
PITCH_TONES: Final = (
    *(Tone("pulse", period) for period in PULSE_PERIODS),
    *(Tone("triangle", period) for period in TRIANGLE_PERIODS),
    *(Tone("noise", index) for index in NOISE_INDICES),
)
ALIAS_TONES: Final = (
    *(Tone("pulse", 253), Tone("pulse", 40), Tone("pulse", 9), Tone("pulse", 253, duty=0), Tone("pulse", 40, duty=1)),
    *(Tone("triangle", 253), Tone("triangle", 40), Tone("noise", 4), Tone("noise", 6)),
)


def heard(tone: Tone, rate: int) -> Sound:
    """Return one second of a tone after its first, with nothing but its constant part taken away."""
    # The last half second is left out: what would follow the end and ring into it is not there.
    return play(tone.writes(), rate, filters.VOICINGS["raw"], trim=TND_TRIM)[rate : 2 * rate]


def partial_hz(sound: Sound, hz: float, rate: int) -> float:
    """Return the frequency, in hertz, of the partial nearest to one expected, by the turn of its phase."""
    half = len(sound) // 2
    at = np.arange(half) / rate
    window = np.kaiser(half, 14)  # its sidelobes keep the neighbours of a low tone's partials out
    turning = window * np.exp(-2j * np.pi * hz * at)
    first, second = (np.sum(part * turning) for part in (sound[:half], sound[half : 2 * half]))
    if min(abs(first), abs(second)) < 1e-5 * window.sum():
        return 0.0  # there is no such partial
    turn = np.angle(second / first * np.exp(-2j * np.pi * hz * half / rate))
    return hz + float(turn) / (2 * np.pi * half / rate)


def pitch_error_cents(tone: Tone, rate: int) -> float:
    """Return how far a tone is from the CPU clock over its cycles a period."""
    if tone.kind == "noise":
        number = 9
    else:
        number = 1 + 2 * round(max(0.0, 400 / tone.hz - 1) / 2)  # an odd partial, well above the window's width
    expected = number * tone.hz
    found = partial_hz(heard(tone, rate), expected, rate)
    return abs(1200 * math.log2(found / expected)) if found > 0 else math.inf


def harmonic_fit(sound: Sound, hz: float, rate: int) -> tuple[Sound, Sound]:
    """Return the least-squares weights of a constant and the sines of all harmonics, and what they add up to."""
    at = np.arange(len(sound)) / rate
    columns = [np.ones_like(at)]
    for number in range(1, int(rate / 2 / hz) + 1):
        columns += [np.cos(2 * np.pi * number * hz * at), np.sin(2 * np.pi * number * hz * at)]
    base = np.stack(columns, axis=1)
    weights = np.linalg.solve(base.T @ base, base.T @ sound)
    return weights, base @ weights


def alias_db(tone: Tone, rate: int) -> float:
    """Return everything from 20 Hz to 20 kHz that is no harmonic of a tone, against the tone."""
    sound = heard(tone, rate)
    residue = sound - harmonic_fit(sound, tone.hz, rate)[1]
    window = np.kaiser(len(sound), 30)  # its sidelobes lie below what is measured
    band = slice(*(int(hz * len(sound) / rate) for hz in (20, 20_000)))
    power = [float(np.sum(np.abs(np.fft.rfft(window * part)[band]) ** 2)) for part in (residue, sound)]
    return 10 * math.log10(power[0] / power[1])


def flatness_db(rate: int) -> float:
    """Return how far the odd harmonics of a half-and-half pulse are from one over their number, up to 16 kHz."""
    tone = Tone("pulse", 126)
    weights, _ = harmonic_fit(heard(tone, rate)[: rate // 2], tone.hz, rate)
    strengths = np.hypot(weights[1::2], weights[2::2])
    odd = np.arange(1, int(16_000 / tone.hz) + 1, 2)
    ideal = 2 / np.pi / odd * mixer.pulse_output(15, 0)
    return float(np.max(np.abs(20 * np.log10(strengths[odd - 1] / ideal))))


# Mesen2, playing the same cycle-exact writes.

MESEN_RATE: Final = 96_000
MESEN: Final = filters.Voicing((30.0,))  # its DC filter, about
AUDIBLE_HZ: Final = 20_000
FIT_TAPS: Final = 257  # a linear filter takes out what colours all sound alike, and a constant delay

MESEN_TONES: Final = ("tone_pulse_d2_p253", "tone_tri_p40")
# Mesen's sound, its log, what of ours it is compared with, and from when to when, in seconds.
MESEN_SONGS: Final = {
    "pulse 1": ("lawnmower_pulse1", "lawnmower_solo", ("P1",), 1.5, 4.5),
    # Here writes of the period meet a tick of the timer.
    "pulse 2": ("lawnmower_pulse2", "lawnmower_solo", ("P2",), 8.5, 12.0),
    "triangle": ("lawnmower_triangle", "lawnmower_solo", ("TR",), 1.5, 4.5),
    "all but noise": ("lawnmower_without_noise", "lawnmower_solo", ("P1", "P2", "TR", "DM"), 1.5, 4.5),
    "mix": ("lawnmower_mix", "lawnmower", CHANNELS, 1.5, 4.5),  # the noise is silent here
}
APU_MIXER: Final = {"square": (12.5, -28.0), "triangle": (8.2, -33.0), "dmc": (10.8, -36.0)}
"""Of each program: its length in seconds, and the bar in dB."""


def read_log(path: Path, seconds: float, delay: int = 0) -> Writes:
    """Return the writes of a log's first seconds, all of them some cycles later."""
    rows = [line.split() for line in path.read_text().splitlines()]
    found = [(int(row[0]), 0x4000 + int(row[1], 16), int(row[2], 16)) for row in rows if len(row) == 3]
    end = round(seconds * CPU_CLOCK_HZ)
    cycles, addresses, values = (np.array(column) for column in zip(*found, strict=True))
    kept = cycles + delay < end
    return Writes(cycles[kept] + delay, addresses[kept].astype(np.uint16), values[kept].astype(np.uint8), (0, end))


def low_passed(sound: Sound) -> Sound:
    """Return what is audible of a sound at Mesen's rate."""
    at = np.arange(-400, 401) / MESEN_RATE
    taps = 2 * AUDIBLE_HZ / MESEN_RATE * np.sinc(2 * AUDIBLE_HZ * at) * np.kaiser(801, 10)
    size = 1 << (len(sound) + 801).bit_length()
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(taps, size), size)[800 : len(sound)]


def agreement_db(ours: Sound, theirs: Sound) -> float:
    """Return how far the difference lies below the sound after the linear filter that brings ours nearest to theirs."""
    ours, theirs = (part - part.mean() for part in (low_passed(ours), low_passed(theirs)))
    size, half = 1 << (2 * len(ours)).bit_length(), FIT_TAPS // 2
    spectrum, other = np.fft.rfft(ours, size), np.fft.rfft(theirs, size)
    own = np.fft.irfft(np.abs(spectrum) ** 2, size)
    cross = np.fft.irfft(np.conj(spectrum) * other, size)
    lags = np.abs(np.subtract.outer(np.arange(FIT_TAPS), np.arange(FIT_TAPS)))
    matrix = own[lags] + 1e-11 * own[0] * np.eye(FIT_TAPS)  # above 20 kHz nothing is left to fit
    taps = np.linalg.solve(matrix, cross[np.arange(-half, half + 1)])
    error = (theirs - np.convolve(ours, taps, mode="same"))[half:-half]
    return float(10 * np.log10(np.sum(theirs[half:-half] ** 2) / np.sum(error**2)))


def mesen(folder: Path, name: str, seconds: float) -> Sound:
    """Return the first seconds of Mesen's sound."""
    sound, rate = soundfile.read(folder / "mesen" / f"{name}.flac", frames=round(seconds * MESEN_RATE))
    assert rate == MESEN_RATE
    return sound


def tone_agreement_db(folder: Path, name: str) -> float:
    """Return the agreement of a constant tone with Mesen's, one of MESEN_TONES."""
    ours = play(read_log(folder / "logs" / f"{name}.log", 3.5), MESEN_RATE, MESEN)
    late = slice(MESEN_RATE, None)  # after the DC filters have settled
    return agreement_db(ours[late], mesen(folder, name, 3.5)[late])


def song_agreement_db(folder: Path, which: str) -> float:
    """Return the agreement of a voice of a song, or of the mix, with Mesen's: a key of MESEN_SONGS."""
    name, log, channels, start, end = MESEN_SONGS[which]
    ours = play(read_log(folder / "logs" / f"{log}.log", end), MESEN_RATE, MESEN, channels)
    late = slice(round(start * MESEN_RATE), None)
    return agreement_db(ours[late], mesen(folder, name, end)[late])


def apu_mixer_db(folder: Path, name: str) -> tuple[float, float]:
    """Return what blargg's apu_mixer leaves of a channel and its inverse through $4011: ours and Mesen's, in dB.

    Heard as on a console's output; the loudest tenth of a second against the height of the beep before.
    """
    end = APU_MIXER[name][0]
    # The log does not say in which half of an APU cycle it begins; in this one the pulses tick in its odd cycles.
    writes = read_log(folder / "logs" / f"apu_mixer_{name}.log", end, delay=1)
    nes = filters.VOICINGS["nes"]
    theirs = filters.apply(np.diff(mesen(folder, f"apu_mixer_{name}", end), prepend=0.0), nes, MESEN_RATE, False)
    worst = []
    for sound in (play(writes, MESEN_RATE, nes), theirs):
        tenths = sound[: len(sound) // 9600 * 9600].reshape(-1, 9600)
        beep = np.abs(tenths[36:41]).max()
        worst.append(float(20 * np.log10(np.sqrt(np.mean(tenths[46:] ** 2, axis=1)).max() / beep)))
    return worst[0], worst[1]


# A real console.

FULL_PULSE_AT: Final = 3.5928  # pulse 1, half and half, volume 15: what levels are relative to
PULSE_RAMPS: Final = {"one pulse": (0x4000, 3.5, 4.6, 0.15), "two pulses": (0x4004, 8.3, 9.4, 0.3)}
"""Of each: the register that its volumes 15 to 1 are written to, when, in seconds, and the bar in dB."""
TRIANGLES: Final = {0: 10.9, 48: 25.56, 96: 40.22}
"""When the triangle sounds, in seconds, by what $4011 holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """volume_tests from us and from the console, laid in time upon each other."""

    ours: Sound
    theirs: Sound
    rate: int
    events: list[tuple[float, int, int]]
    """Second, address and value of each write."""

    def full_pulse_db(self) -> float:
        """Return how much louder the recording is than ours."""
        ours, theirs = self.tone_db(FULL_PULSE_AT + 0.01, 0.05)
        return theirs - ours

    def tone_db(self, start: float, seconds: float) -> tuple[float, float]:
        """Return our and their level of the tone of 999 Hz, pulse period $6F and triangle period $37, in a stretch."""
        return self._tone_db(self.ours, start, seconds), self._tone_db(self.theirs, start, seconds)

    def _tone_db(self, sound: Sound, start: float, seconds: float) -> float:
        part = sound[round(start * self.rate) : round((start + seconds) * self.rate)]
        window = np.hanning(len(part))
        turning = np.exp(-2j * np.pi * CPU_CLOCK_HZ / (16 * 0x70) * np.arange(len(part)) / self.rate)
        return float(20 * np.log10(2 * abs(np.sum(part * window * turning)) / window.sum()))


def console(folder: Path) -> Recording:
    """Return volume_tests, ours beside the console's."""
    recording, rate = soundfile.read(folder / "console" / "volume_tests_nes-001.ogg")
    writes = read_log(folder / "logs" / "volume_tests.log", 42.0)
    ours = play(writes, rate, filters.VOICINGS["nes"], trim=TND_TRIM)
    hop = rate // 200
    loudness = [
        np.sqrt(np.mean(part[: len(part) // hop * hop].reshape(-1, hop) ** 2, axis=1)) for part in (ours, recording)
    ]
    size = 1 << (2 * len(loudness[1])).bit_length()
    match = np.fft.irfft(np.conj(np.fft.rfft(loudness[0], size)) * np.fft.rfft(loudness[1], size), size)
    lag = (int(np.argmax(match)) + size // 2) % size - size // 2
    events = zip(
        (writes.cycles / CPU_CLOCK_HZ).tolist(), writes.addresses.tolist(), writes.values.tolist(), strict=True
    )
    return Recording(ours, np.roll(recording, -lag * hop), rate, list(events))


def ramp_error_db(recording: Recording, which: str) -> float:
    """Return the largest error of volumes 15 to 1 against the console, one pulse at full volume being right."""
    register, begin, end, _ = PULSE_RAMPS[which]
    found = [
        (value & 15, *recording.tone_db(at + 0.01, 0.05))
        for at, address, value in recording.events
        if begin < at < end and address == register and value & 15
    ]
    assert [volume for volume, *_ in found] == list(range(15, 0, -1))
    full = recording.full_pulse_db()
    return max(abs(theirs - ours - full) for _, ours, theirs in found)


def triangle_error_db(recording: Recording, dmc: int) -> float:
    """Return how much louder our triangle is than the console's beside $4011 at a level, a key of TRIANGLES."""
    ours, theirs = recording.tone_db(TRIANGLES[dmc], 0.6)
    return ours + recording.full_pulse_db() - theirs
