"""The 2A03 against sound that is not ours: Mesen2 playing the same cycle-exact writes, and a recording of a console.

The references are data for measuring only and not part of the project; without them these tests are skipped. They lie in
../shared/data/synth_reference.tar.xz beside a checkout: logs (CPU cycle, register, value), Mesen2's sound at 96 kHz, and
Damian Yerrick's volume_tests played on an NTSC NES (one console, one capture card, lossy).
"""

from __future__ import annotations

import tarfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from nesasset.apu import filters, synthesis
from nesasset.apu.chip import CHANNELS, power_on
from nesasset.apu.mixer import TND_TRIM
from nesasset.apu.steps import LEAD, TAPS
from nesasset.apu.writes import Writes
from nesasset.units import CPU_CLOCK_HZ

ARCHIVE = Path(__file__).parent.parent.parent / "shared" / "data" / "synth_reference.tar.xz"
MESEN_RATE = 96_000
MESEN = filters.Voicing((30.0,))  # its DC filter, about
AUDIBLE_HZ = 20_000
FIT_TAPS = 257  # a linear filter takes out what colours all sound alike, and a constant delay

pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason="the reference recordings are not at hand")

Sound = NDArray[np.float64]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return the unpacked references."""
    place = tmp_path_factory.mktemp("references")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(place, filter="data")
    return place / "synth_reference"


def read_log(path: Path, seconds: float, delay: int = 0) -> Writes:
    """Return the writes of a log's first seconds, all of them some cycles later."""
    rows = [line.split() for line in path.read_text().splitlines()]
    found = [(int(row[0]), 0x4000 + int(row[1], 16), int(row[2], 16)) for row in rows if len(row) == 3]
    end = round(seconds * CPU_CLOCK_HZ)
    cycles, addresses, values = (np.array(column) for column in zip(*found, strict=True))
    kept = cycles + delay < end
    return Writes(cycles[kept] + delay, addresses[kept].astype(np.uint16), values[kept].astype(np.uint8), (0, end))


def play(
    writes: Writes, rate: int, voicing: filters.Voicing, channels: Collection[str] = CHANNELS, trim: float = 1.0
) -> Sound:
    """Return what the package makes of writes, unrounded."""
    n_samples = round(writes.marks[-1] * rate / CPU_CLOCK_HZ)
    buffer = np.zeros(n_samples + TAPS + 2)
    levels = synthesis.resting_levels(channels)
    synthesis.play(power_on(), writes, channels, buffer, levels, rate / CPU_CLOCK_HZ, 0, 0, trim)
    return filters.apply(buffer[LEAD : LEAD + n_samples].copy(), voicing, rate, circular=False)


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


@pytest.mark.parametrize("name", ["tone_pulse_d2_p253", "tone_tri_p40"])
def test_constant_tones_agree_with_mesen(folder: Path, name: str) -> None:
    """A tone is Mesen's to 65 dB."""
    ours = play(read_log(folder / "logs" / f"{name}.log", 3.5), MESEN_RATE, MESEN)
    late = slice(MESEN_RATE, None)  # after the DC filters have settled
    db = agreement_db(ours[late], mesen(folder, name, 3.5)[late])
    print(f"{name}: {db:.1f} dB")
    assert db >= 65


@pytest.mark.parametrize(
    ("name", "log", "channels", "start", "end"),
    [
        ("lawnmower_pulse1", "lawnmower_solo", ("P1",), 1.5, 4.5),
        ("lawnmower_pulse2", "lawnmower_solo", ("P2",), 8.5, 12.0),  # period writes that meet a tick of the timer
        ("lawnmower_triangle", "lawnmower_solo", ("TR",), 1.5, 4.5),
        ("lawnmower_without_noise", "lawnmower_solo", ("P1", "P2", "TR", "DM"), 1.5, 4.5),
        ("lawnmower_mix", "lawnmower", CHANNELS, 1.5, 4.5),  # the noise is silent here
    ],
)
def test_a_song_agrees_with_mesen(
    folder: Path, name: str, log: str, channels: tuple[str, ...], start: float, end: float
) -> None:
    """Each voice of a real song, and the mix, is Mesen's to 50 dB: no timer and no counter is a tick off."""
    ours = play(read_log(folder / "logs" / f"{log}.log", end), MESEN_RATE, MESEN, channels)
    late = slice(round(start * MESEN_RATE), None)
    db = agreement_db(ours[late], mesen(folder, name, end)[late])
    print(f"{name}: {db:.1f} dB")
    assert db >= 50


@pytest.mark.parametrize(("name", "end", "bar_db"), [("square", 12.5, -28), ("triangle", 8.2, -33), ("dmc", 10.8, -36)])
def test_a_channel_and_its_inverse_cancel(folder: Path, name: str, end: float, bar_db: float) -> None:
    """What blargg's apu_mixer leaves of a channel and its inverse through $4011 is far below the beep, and as in Mesen.

    Heard as on a console's output; the level of a tenth of a second against the height of the beep before.
    """
    # The log does not say in which half of an APU cycle it begins; in this one the pulses tick in its odd cycles.
    writes = read_log(folder / "logs" / f"apu_mixer_{name}.log", end, delay=1)
    nes = filters.VOICINGS["nes"]
    theirs = filters.apply(np.diff(mesen(folder, f"apu_mixer_{name}", end), prepend=0.0), nes, MESEN_RATE, False)
    worst = []
    for sound in (play(writes, MESEN_RATE, nes), theirs):
        tenths = sound[: len(sound) // 9600 * 9600].reshape(-1, 9600)
        beep = np.abs(tenths[36:41]).max()
        worst.append(20 * np.log10(np.sqrt(np.mean(tenths[46:] ** 2, axis=1)).max() / beep))
    print(f"{name}: {worst[0]:.1f} dB, Mesen {worst[1]:.1f} dB")
    assert worst[0] <= bar_db
    assert abs(worst[0] - worst[1]) <= 2


@pytest.fixture(scope="module")
def console(folder: Path) -> tuple[Sound, Sound, int, list[tuple[float, int, int]]]:
    """Return our and the console's volume_tests laid in time upon each other, the rate, and (second, address, value)."""
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
    theirs = np.roll(recording, -lag * hop)
    events = zip(
        (writes.cycles / CPU_CLOCK_HZ).tolist(), writes.addresses.tolist(), writes.values.tolist(), strict=True
    )
    return ours, theirs, rate, list(events)


def tone_db(sound: Sound, rate: int, start: float, seconds: float) -> float:
    """Return the level of the tone of 999 Hz, pulse period $6F and triangle period $37, in a stretch of sound."""
    part = sound[round(start * rate) : round((start + seconds) * rate)]
    window = np.hanning(len(part))
    turning = np.exp(-2j * np.pi * CPU_CLOCK_HZ / (16 * 0x70) * np.arange(len(part)) / rate)
    return float(20 * np.log10(2 * abs(np.sum(part * window * turning)) / window.sum()))


def tones(
    console: tuple[Sound, Sound, int, list[tuple[float, int, int]]], register: int, begin: float, end: float
) -> list[tuple[int, float, float]]:
    """Return (value, our level, the console's) for each audible volume that is written in a stretch of time."""
    ours, theirs, rate, events = console
    return [
        (value & 15, tone_db(ours, rate, at + 0.01, 0.05), tone_db(theirs, rate, at + 0.01, 0.05))
        for at, address, value in events
        if begin < at < end and address == register and value & 15
    ]


FULL_PULSE_AT = 3.5928  # pulse 1, half and half, volume 15: what levels are relative to


def full_pulse(console: tuple[Sound, Sound, int, list[tuple[float, int, int]]]) -> float:
    """Return how much louder the recording is than ours."""
    ours, theirs, rate, _ = console
    return tone_db(theirs, rate, FULL_PULSE_AT + 0.01, 0.05) - tone_db(ours, rate, FULL_PULSE_AT + 0.01, 0.05)


def test_the_pulse_volumes_are_the_consoles(console) -> None:
    """Volumes 15 to 1 of one half-and-half pulse are a real console's to 0.15 dB."""
    found = tones(console, 0x4000, 3.5, 4.6)
    assert [value for value, *_ in found] == list(range(15, 0, -1))
    worst = max(abs(theirs - ours - full_pulse(console)) for _, ours, theirs in found)
    print(f"one pulse: {worst:.2f} dB")
    assert worst <= 0.15


def test_two_pulses_are_the_consoles(console) -> None:
    """Volumes 15 to 1 of two half-and-half pulses in unison are a real console's to 0.3 dB."""
    found = tones(console, 0x4004, 8.3, 9.4)
    assert [value for value, *_ in found] == list(range(15, 0, -1))
    worst = max(abs(theirs - ours - full_pulse(console)) for _, ours, theirs in found)
    print(f"two pulses: {worst:.2f} dB")
    assert worst <= 0.3


@pytest.mark.parametrize(("dmc", "start"), [(0, 10.9), (48, 25.56), (96, 40.22)])
def test_the_triangle_is_the_consoles(console, dmc: int, start: float) -> None:
    """The triangle beside $4011 at rest, at 48 and at 96 is a real console's to 0.6 dB, with the usual trim."""
    ours, theirs, rate, _ = console
    error = tone_db(ours, rate, start, 0.6) + full_pulse(console) - tone_db(theirs, rate, start, 0.6)
    print(f"triangle at {dmc}: {error:+.2f} dB")
    assert abs(error) <= 0.6
