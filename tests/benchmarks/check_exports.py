"""Every chip file of composed music, played back by programs that are not ours, and compared with the log it is made from.

python tests/benchmarks/check_exports.py --tracks 24
python tests/benchmarks/check_exports.py --tracks 4 --seed 7 --work /tmp/exports --jobs 4 --json

Two questions are asked of every track, short and long, looping, looping after an intro, and ending. Does the file
hold every write of the log, in its frame and order, over two loops? py65, a 6502, runs NSF and ROM; VGM is read by our
reader and by the one that is in test_vgm.py only, written from the specification. And does it sound as we render the
log? libgme plays the NSF, Debian's Nestopia the ROM, MAME's vgmplay the VGM, one melodic voice at a time.

What is not installed is left out and said so. Composed scores and pictures of the ROM's screen stay in the working folder. Ends
with 1 if a bar is missed. This is no test: a track takes about 15 s of CPU time.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

import test_nsf
import test_rom
import test_vgm
from console_6502 import NsfMachine, RomMachine

from nesasset.apu.writes import unroll
from nesasset.compose import Controls, compose
from nesasset.driver import drive
from nesasset.formats import nsf, register_text, rom, score_json, vgm
from nesasset.register_log import RegisterLog
from nesasset.render import render
from nesasset.score import Score
from nesasset.themes import THEMES
from nesasset.units import CPU_CLOCK_HZ

Samples = NDArray[np.float64]

LENGTHS: Final = (None, 4, 2, 8, 4, 2, 8, 4, 2, 32, 4, 2)  # bars, in turns; None: the theme's own
INTRO_EVERY: Final = 4  # every so many-th looping track gets an intro of its first bar
AFTER_THE_SEAM_S: Final = 2.0  # libgme is heard for a pass and so much of the next
WITH_PICTURE_FRAMES: Final = 60  # of a cartridge in py65; after that its picture is left out

MELODIC: Final = ("P1", "P2", "TR")
FIRST_REGISTER: Final = {"P1": 0x4000, "P2": 0x4004, "TR": 0x4008}
CYCLES_OF_A_PERIOD: Final = {"P1": 16, "P2": 16, "TR": 32}

MAX_ONSET_FRAMES, MAX_CENTS = 1.0, 5.0
# A cartridge plays at the picture's 60.0988 Hz, 0.4 frames sooner after four seconds, and its menu's first frames count too.
MAX_ROM_FRAMES = 2.0
MAX_UNLIKE: Final = 0.5  # a missing note gives 0.9 and more, other filters and mixers up to 0.23
MIN_PEAK: Final = 300  # of 32767: a voice that sounds at all

HOPS: Final = 4  # columns of a spectrogram in a frame
WINDOW_S: Final = 0.046
MAX_LAG: Final = 3 * HOPS  # how far an onset is looked for
BESIDE: Final = 2 * HOPS  # how far from there the sounds must differ
HIGHEST_HZ: Final = 6000.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be composed."""

    name: str
    theme: str
    seed: int
    bars: int | None
    has_intro: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """How far another program's sound is from ours."""

    onset_frames: float
    """The largest shift of a clear onset, after the start of the music."""
    cents: float
    """The largest difference of a pitch."""
    onsets: int
    clear: int
    """Onsets whose place is clear: two frames beside the best shift the sounds differ twice as much."""
    unlike: float
    """The least likeness of an onset: what the spectra behind it differ by, as a share of ours; 1 where nothing is heard."""
    pitches: int
    """Notes long enough to measure."""
    silent: int
    """Voices that should sound and do not."""


def wishes(count: int, seed: int) -> list[Wish]:
    """Return what to compose: themes spread over the whole table, lengths in turns."""
    names = list(THEMES)
    found = []
    looping = 0
    for number in range(count):
        theme = names[number * len(names) // count % len(names)] if count <= len(names) else names[number % len(names)]
        bars = LENGTHS[number % len(LENGTHS)] if THEMES[theme].loops else None
        looping += THEMES[theme].loops
        has_intro = THEMES[theme].loops and looping % INTRO_EVERY == 0
        found.append(Wish(f"{number + 1:02} {theme}", theme, seed + number, bars, has_intro))
    return found


def composed(wish: Wish, folder: Path) -> Score:
    """Return the score of a wish, from the folder if it is there."""
    path = folder / f"{wish.theme}-{wish.seed}-{wish.bars or 'own'}.json"
    if path.exists():
        score = score_json.load(path)
    else:
        score = compose(wish.theme, wish.seed, Controls(bars=wish.bars))
        score_json.save(score, path)
    if wish.has_intro:
        score = replace(score, loop=(score.bar_rows, score.loop[1]))
    return replace(score, title=score.title or wish.theme)


# Write for write


def differing(found: Iterable[object], wanted: Iterable[object]) -> int:
    """Return how many places of two lists are not the same."""
    return sum(one != other for one, other in zip_longest(found, wanted))


def nsf_differences(data: bytes, song: int, log: RegisterLog) -> int:
    """Return the writes in which a song of an NSF, run by py65, differs from its log over two loops."""
    n_frames = test_nsf.two_loops(log)
    return differing(NsfMachine(data).perform(song, n_frames)[0], test_nsf.expected(log, n_frames))


def rom_differences(data: bytes, song: int, log: RegisterLog) -> int:
    """Return the same of a cartridge, after the pad has chosen the song."""
    machine = RomMachine(data)
    machine.run_frame()
    for button in (*[test_rom.RIGHT] * (song // rom.ROWS), *[test_rom.DOWN] * (song % rom.ROWS), test_rom.A if song else 0):
        if button:
            for _ in range(30 if button == test_rom.RIGHT else 2):  # a page is drawn over several frames
                machine.run_frame()
            machine.run_frame(button)
    if song:
        machine.run_frame()
    n_frames = test_nsf.two_loops(log)
    return differing(machine.perform(n_frames, WITH_PICTURE_FRAMES)[0], test_nsf.expected(log, n_frames))


def vgm_differences(data: bytes, log: RegisterLog) -> int:
    """Return the writes in which a VGM, read by our reader, differs from its log over two loops."""
    found = vgm.loads(data, "a.vgm")
    n_frames = test_nsf.two_loops(log)
    return differing(test_nsf.expected(found, n_frames), test_nsf.expected(log, n_frames)) + (found.loop != log.loop)


def foreign_vgm_differences(data: bytes, log: RegisterLog) -> int:
    """Return the same, read by the reader of test_vgm.py: each write with its sample, and the length."""
    writes, end, _ = test_vgm.play(data, passes=2)
    wanted, wanted_end = test_vgm.expected(log, 2)
    return differing(writes, wanted) + (end != wanted_end)


def text_differences(text: str, log: RegisterLog) -> int:
    """Return the lines in which a log's text differs from the log, and whether our reader gives another log."""
    rows = text.partition("value\n")[2].split("\n")
    found = [tuple(int(word, base) for word, base in zip(row.split(), (10, 16, 16), strict=True)) for row in rows if row]
    wanted = zip(log.frames.tolist(), log.addresses.tolist(), log.values.tolist(), strict=True)
    return differing(found, wanted) + (register_text.loads(text, "a.log") != log)


# By ear


@dataclass(frozen=True, slots=True)
class Line:
    """What a log does to a melodic voice, frame by frame."""

    sounds: NDArray[np.bool_]
    hz: Samples
    onsets: NDArray[np.int64]
    """Frames in which it begins to sound, jumps by more than half a semitone, or gets a quarter louder at once."""
    goes_on: NDArray[np.bool_]
    """Whether the wave of a frame is that of the frame before, unbroken: same period, same duty, not begun anew."""


def line_of(log: RegisterLog, voice: str, n_frames: int) -> Line:
    """Follow the registers of a voice over some frames, loops played out; sweeps and length counters are not looked at."""
    played = unroll(log, n_frames)
    first = FIRST_REGISTER[voice]
    low, high, loud = np.zeros(n_frames, int), np.zeros(n_frames, int), np.zeros(n_frames, int)
    anew = np.zeros(n_frames, bool)
    state = dict.fromkeys((first, first + 2, first + 3), 0)
    writes = iter([*zip(played.frames.tolist(), played.addresses.tolist(), played.values.tolist(), strict=True), (n_frames, 0, 0)])
    at, address, value = next(writes)
    for frame in range(n_frames):
        while at <= frame:
            if address in state:
                state[address] = value
                anew[frame] |= address == first + 3 and voice != "TR"  # restarts a pulse in the midst of its period
            at, address, value = next(writes)
        loud[frame], low[frame], high[frame] = state[first], state[first + 2], state[first + 3] & 7
    volume = np.where(loud & 0x7F, 15, 0) if voice == "TR" else loud & 15
    if log.loop is None:
        volume[log.n_frames :] = 0
    hz = CPU_CLOCK_HZ / CYCLES_OF_A_PERIOD[voice] / ((high << 8 | low) + 1)
    before, hz_before = np.concatenate([[0], volume[:-1]]), np.concatenate([hz[:1], hz[:-1]])
    jumps = np.abs(np.log2(hz / hz_before)) > 1 / 24
    onsets = np.flatnonzero((volume > 0) & ((before == 0) | jumps | (volume > 1.25 * before)))
    duty = np.zeros(n_frames, int) if voice == "TR" else loud >> 6
    same = (hz == hz_before) & (duty == np.concatenate([duty[:1], duty[:-1]])) & (before > 0) & (volume > 0)
    return Line(volume > 0, hz, onsets, same & ~anew)


def spectrogram(sound: Samples, rate: int, n_columns: int) -> NDArray[np.float32]:
    """Return the logarithm of the spectrum a quarter frame apart: shape (n_columns, n_bins)."""
    size = round(WINDOW_S * rate) // 2 * 2
    starts = np.rint(np.arange(n_columns) * rate / (60 * HOPS)).astype(int)
    padded = np.concatenate([np.zeros(size // 2), sound, np.zeros(size + int(starts[-1]))])
    window = np.hanning(size)
    bins = int(HIGHEST_HZ / rate * size)
    rows = [
        np.abs(np.fft.rfft(np.stack([padded[at : at + size] for at in starts[part : part + 256]]) * window)[:, 1:bins])
        for part in range(0, n_columns, 256)
    ]
    magnitudes = np.concatenate(rows)
    return np.log1p(magnitudes / (0.003 * magnitudes.max() + 1e-9)).astype(np.float32)


def hear(ours: Samples, theirs: Samples, rate: int, line: Line, latest_start: int) -> Heard:
    """Compare the sound of one voice with ours.

    An onset is found by sliding: at which shift do the spectra round it fit best? Of shifts that fit as well the
    smallest counts. Where other shifts fit nearly as well, because nobody hears the note begin, it has no say.

    Args:
        ours: Our sound; frame i of the line begins at sample i * rate / 60.
        theirs: The other's, which may begin up to latest_start frames later.
        rate: Samples a second of both.
        line: What the log does.
        latest_start: Frames.
    """
    n_columns = HOPS * len(line.hz)
    one, other = (spectrogram(sound, rate, n_columns + extra) for sound, extra in ((ours, 0), (theirs, HOPS * latest_start)))
    head = slice(0, min(n_columns, 2400))  # ten seconds tell where the music starts
    costs = [((other[lag : lag + head.stop] - one[head]) ** 2).sum() for lag in range(HOPS * latest_start + 1)]
    start = int(np.argmin(costs))
    reach = MAX_LAG + BESIDE
    edge = np.zeros((reach, one.shape[1]), np.float32)
    other = np.concatenate([edge, other[start : start + n_columns], edge])
    other = np.pad(other, ((0, n_columns + 2 * reach - len(other)), (0, 0)))
    # Round an onset: what lies up to two frames before and four after it. The last frames have nothing to slide into.
    onsets = line.onsets[line.onsets < len(line.hz) - 10] * HOPS
    low, high = np.maximum(0, onsets - 2 * HOPS), onsets + 4 * HOPS
    fits, behind = [], []
    for first in range(2 * reach + 1):
        cost = ((other[first : first + n_columns] - one) ** 2).sum(axis=1, dtype=np.float64)
        total = np.concatenate([[0], np.cumsum(cost)])
        fits.append(total[high] - total[low])
        behind.append(total[high] - total[onsets + HOPS])  # without the click of the first frame, which filters shape
    near, wide = np.array(fits)[BESIDE:-BESIDE], np.array(fits)  # (lags, onsets)
    best = near.argmin(axis=0)
    energy = np.concatenate([[0], np.cumsum((one**2).sum(axis=1, dtype=np.float64))])
    ours_alone = energy[high] - energy[low] + 1e-9
    good = near <= 1.05 * near.min(axis=0) + 1e-4 * ours_alone
    lags = np.abs(np.arange(-MAX_LAG, MAX_LAG + 1))[:, None]
    shifts = np.where(good, lags, MAX_LAG).min(axis=0, initial=MAX_LAG)
    each = np.arange(len(onsets))
    clear = np.minimum(wide[best, each], wide[best + 2 * BESIDE, each]) > 2 * near.min(axis=0)
    cents = [abs(value) for value in pitch_differences(ours, theirs, rate, line, start / HOPS)]
    return Heard(
        onset_frames=float(shifts[clear].max(initial=0)) / HOPS,
        cents=max(cents, default=0.0),
        onsets=len(onsets),
        clear=int(clear.sum()),
        unlike=float((np.array(behind)[best + BESIDE, each] / (energy[high] - energy[onsets + HOPS] + 1e-9)).max(initial=0)),
        pitches=len(cents),
        silent=int(line.sounds.any() and np.abs(theirs - theirs.mean()).max() < MIN_PEAK),
    )


def pitch_differences(ours: Samples, theirs: Samples, rate: int, line: Line, start_frames: float) -> list[float]:
    """Return how many cents each steady note is higher than ours: notes of four frames and eight periods or more."""
    found = []
    steady = line.goes_on[1:]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], steady, [0]]).astype(int)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):  # the same pitch from frame first to frame last
        hz = line.hz[first]
        seconds = min((last - first - 1) / 60, max(40 / hz, 4 / 60))  # a frame is left for the change
        if seconds < max(4 / 60, 8 / hz) or hz > rate / 4:
            continue
        pitches = []
        for sound, offset in ((ours, 0.0), (theirs, start_frames)):
            at = round((first + 1 + offset) * rate / 60)
            pitches.append(pitch_near(sound[at : at + round(seconds * rate)], rate, hz))
        if min(pitches) > 0:
            found.append(float(1200 * np.log2(pitches[1] / pitches[0])))
    return found


def pitch_near(sound: Samples, rate: int, hz: float) -> float:
    """Return the frequency of the spectrum's peak within a semitone of one; 0 if the sound is too short."""
    if len(sound) * hz < 7 * rate:
        return 0.0
    size = 1 << (4 * len(sound) - 1).bit_length()
    spectrum = np.log(np.abs(np.fft.rfft((sound - sound.mean()) * np.hanning(len(sound)), size)) + 1e-9)
    low, high = (int(hz * factor * size / rate) for factor in (0.944, 1.06))
    at = low + int(spectrum[low : high + 1].argmax())
    left, middle, right = spectrum[at - 1 : at + 2]
    bend = left - 2 * middle + right
    return float(at + (0.5 * (left - right) / bend if bend else 0.0)) * rate / size


def our_sound(log: RegisterLog, voice: str, rate: int, seconds: float) -> Samples:
    """Return our sound of one voice, the loop played again, silence after an end."""
    audio = render(log, rate, "raw", channels=(voice,))
    samples = audio.samples.astype(np.float64)
    n_samples = round(seconds * rate)
    while len(samples) < n_samples and audio.loop is not None:
        samples = np.concatenate([samples, samples[-audio.loop[1] :]])
    return np.pad(samples, (0, max(0, n_samples - len(samples))))[:n_samples]


def listen(
    log: RegisterLog,
    play: Callable[[str, float], Samples],
    rate: int,
    seconds: float,
    latest_start: int,
    voices: Sequence[str] = MELODIC,
) -> Heard:
    """Compare melodic voices of a log, one by one, and return the worst of each figure.

    Args:
        log: The log.
        play: Gives the other program's sound of a voice, so many seconds of it.
        rate: Its samples a second.
        seconds: How much of the music is compared.
        latest_start: How many frames later than ours the other may begin.
        voices: Those that are compared.
    """
    heard = []
    for voice in voices:
        line = line_of(log, voice, int(seconds * 60))
        if line.sounds.any():
            theirs = play(voice, seconds + latest_start / 60)
            heard.append(hear(our_sound(log, voice, rate, seconds), theirs, rate, line, latest_start))
    return Heard(
        onset_frames=max((one.onset_frames for one in heard), default=0.0),
        cents=max((one.cents for one in heard), default=0.0),
        onsets=sum(one.onsets for one in heard),
        clear=sum(one.clear for one in heard),
        unlike=max((one.unlike for one in heard), default=0.0),
        pitches=sum(one.pitches for one in heard),
        silent=sum(one.silent for one in heard),
    )


def planted_faults(log: RegisterLog) -> tuple[float, float]:
    """Return what the ear says of pulse 1 moved by two frames from the middle on, and of a triangle by a Dendy's clock."""
    seconds = min(8.0, log.n_frames / 60)
    line, sound = line_of(log, "P1", int(seconds * 60)), our_sound(log, "P1", 44_100, seconds)
    middle = 735 * int(line.onsets[len(line.onsets) // 2])
    late = np.concatenate([sound[:middle], np.zeros(2 * 735), sound[middle:]])
    onset = hear(sound, late, 44_100, line, 0).onset_frames
    line, sound = line_of(log, "TR", int(seconds * 60)), our_sound(log, "TR", 44_100, seconds)
    flat = our_sound(replace(log, region="dendy"), "TR", 44_100, seconds)
    return onset, hear(sound, flat, 44_100, line, 0).cents


# The other programs


def libgme() -> ctypes.CDLL | None:
    """Return libgme with its functions' types, or None where it is not installed."""
    name = ctypes.util.find_library("gme")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.gme_open_data.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.POINTER(pointer), number]
    library.gme_open_data.restype = ctypes.c_char_p
    for function, arguments in {
        "gme_delete": [],
        "gme_ignore_silence": [number],
        "gme_mute_voices": [number],
        "gme_start_track": [number],
        "gme_play": [number, pointer],
    }.items():
        getattr(library, function).argtypes = [pointer, *arguments]
    return library


def libgme_sound(library: ctypes.CDLL, data: bytes, song: int, voice: str, seconds: float) -> Samples:
    """Return a voice of a song of an NSF as libgme plays it at 44.1 kHz."""
    emulator = ctypes.c_void_p()
    fault = library.gme_open_data(data, len(data), ctypes.byref(emulator), 44_100)
    if fault:
        raise SystemExit(f"libgme refuses the NSF: {fault.decode()}")
    library.gme_ignore_silence(emulator, 1)
    library.gme_mute_voices(emulator, 0x1F & ~(1 << MELODIC.index(voice)))
    library.gme_start_track(emulator, song)
    out = np.zeros(2 * round(seconds * 44_100), dtype=np.int16)
    library.gme_play(emulator, len(out), out.ctypes.data_as(ctypes.c_void_p))
    library.gme_delete(emulator)
    return out[::2].astype(np.float64)


def nestopia_sound(path: Path, voice: str, seconds: float, picture: Path | None) -> Samples:
    """Return a voice of a cartridge's first song as Nestopia plays it at 48 kHz; write a picture of its screen."""
    from libretro import Core

    channel = dict(zip(MELODIC, ("sq1", "sq2", "tri"), strict=True))[voice]
    volumes = {f"nestopia_audio_vol_{channel}": "100", "nestopia_audio_vol_": "0", "nestopia_overscan": "disabled"}
    with tempfile.TemporaryDirectory() as folder:
        core = Core(str(test_rom.NESTOPIA), path, Path(folder), volumes)
        try:
            sound = core.run(round(seconds * 60))
            if picture is not None:
                save_picture(core.picture, picture)
        finally:
            core.close()
    return sound


def save_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a screen as PNG, twice as large."""
    from PIL import Image

    Image.fromarray(picture).resize((2 * picture.shape[1], 2 * picture.shape[0]), Image.Resampling.NEAREST).save(path)


def mame() -> str | None:
    """Return where MAME is, or None; Debian has it where not every path leads."""
    return shutil.which("mame") or shutil.which("mame", path="/usr/games")


def mame_home(folder: Path) -> Path:
    """Make a home for MAME in which the ROMs of vgmplay's other chips are zeros: none of them is used, but it asks."""
    roms = folder / "mame" / "vgmplay"
    if not roms.exists():
        roms.mkdir(parents=True)
        listing = subprocess.run([mame(), "-listroms", "vgmplay"], capture_output=True, text=True, check=True).stdout
        for words in map(str.split, listing.splitlines()):
            if len(words) > 2 and words[1].isdecimal():
                (roms / words[0]).write_bytes(bytes(int(words[1])))
    return roms.parent


def mame_sound(log: RegisterLog, voice: str, seconds: float, home: Path) -> Samples:
    """Return a voice of a log's VGM as MAME plays it at 44.1 kHz: the file has the other melodic voices' writes left out."""
    first = FIRST_REGISTER[voice]
    kept = ((log.addresses >= first) & (log.addresses < first + 4)) | (log.addresses >= 0x4015)
    alone = replace(log, frames=log.frames[kept], addresses=log.addresses[kept], values=log.values[kept])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.vgm").write_bytes(vgm.dumps(alone))
        options = "-video none -sound none -nothrottle -skip_gameinfo -samplerate 44100 -wavwrite a.wav -quik a.vgm"
        command = [mame(), "vgmplay", "-rompath", str(home), *options.split(), "-seconds_to_run", str(int(seconds) + 1)]
        environment = os.environ | {"HOME": name, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True, timeout=600)
        with wave.open(str(folder / "a.wav")) as file:
            n_channels = file.getnchannels()
            frames = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return frames[::n_channels].astype(np.float64)


# One track


def check_track(
    number: int, name: str, logs: Sequence[RegisterLog], titles: Sequence[str], folder: Path, heard_s: float
) -> dict[str, Any]:
    """Write every chip file of a track and return what became of it."""
    begin = time.monotonic()
    log, title = logs[number], titles[number]
    texts = {"author": "nesasset", "album": "Exports"}
    one, pack = nsf.dumps([log], titles=[title], **texts), (folder / "pack.nsf").read_bytes()
    plain = vgm.dumps(log, title=title)
    cartridge = rom.dumps([log], titles=[title], **texts)
    path = folder / f"{name.replace(' ', '-')}.nes"
    for suffix, data in (
        (".nes", cartridge),
        (".nsf", one),
        (".vgm", plain),
        (".vgz", vgm.dumps_vgz(log, title=title)),
        (".log", register_text.dumps(log).encode()),
    ):
        path.with_suffix(suffix).write_bytes(data)
    oldest = nsf.dumps([log], nsf2=False, **texts)
    writes = {
        "NSF": nsf_differences(one, 0, log) + (one[0x80 : len(oldest)] != oldest[0x80:]),
        "NSF pack": nsf_differences(pack, number, log),
        "ROM": rom_differences(cartridge, 0, log),
        "ROM pack": rom_differences((folder / "pack.nes").read_bytes(), number, log),
        "VGM": vgm_differences(plain, log),
        "VGM, 2nd reader": foreign_vgm_differences(plain, log),
        "VGZ": int(gzip.decompress(path.with_suffix(".vgz").read_bytes()) != plain),
        "text": text_differences(path.with_suffix(".log").read_text(encoding="utf-8"), log),
    }
    heard: dict[str, Heard] = {}
    library = libgme()
    whole, part = log.n_frames / 60 + AFTER_THE_SEAM_S, min(heard_s, log.n_frames / 60 + 1)
    if library is not None:
        heard["libgme"] = listen(log, lambda voice, seconds: libgme_sound(library, one, 0, voice, seconds), 44_100, whole, 4)
    if test_rom.NESTOPIA.exists():
        picture = path.with_suffix(".png")
        heard["Nestopia"] = listen(
            log,
            lambda voice, seconds: nestopia_sound(path, voice, seconds, picture),
            48_000,
            part,
            40,
        )
    if mame():
        home = mame_home(folder)
        sounding = [voice for voice in MELODIC if line_of(log, voice, int(part * 60)).sounds.any()]
        voices = (sounding[number % len(sounding)],)  # MAME plays all chips that it knows, so one voice in turns
        heard["MAME"] = listen(log, lambda voice, seconds: mame_sound(log, voice, seconds, home), 44_100, part, 8, voices)
    return {
        "track": name,
        "frames": log.n_frames,
        "loop": log.loop,
        "writes": len(log.frames),
        "bytes": {"NSF": len(one), "ROM": len(cartridge), "VGM": len(plain)},
        "differences": writes,
        "heard": {program: asdict(one) for program, one in heard.items()},
        "seconds": round(time.monotonic() - begin, 1),
    }


# The report


def bars_of(tracks: Sequence[dict[str, Any]], planted: tuple[float, float]) -> list[dict[str, Any]]:
    """Return every bar with the worst figure of all tracks; None where nothing was measured."""
    bars: list[dict[str, Any]] = []

    def bar(name: str, value: float | None, limit: float, at_least: bool = False) -> None:
        met = None if value is None else (value >= limit if at_least else value <= limit)
        bars.append({"bar": name, "worst": value, "limit": limit, "at_least": at_least, "met": met})

    bar("the ear: an onset two frames late is heard, frames", planted[0], 1.5, at_least=True)
    bar("the ear: 16 cents too low are heard, cents", planted[1], 15.0, at_least=True)
    for kind in tracks[0]["differences"]:
        bar(f"{kind}: writes beside the log over two loops", max(track["differences"][kind] for track in tracks), 0)
    for program, file in (("libgme", "NSF"), ("Nestopia", "ROM"), ("MAME", "VGM")):
        figures = [track["heard"][program] for track in tracks if program in track["heard"]]

        def worst(name: str, figures: list[dict[str, Any]] = figures) -> float | None:
            return max((round(figure[name], 3) for figure in figures), default=None)

        bar(f"{file} in {program}: voices that are silent and should sound", worst("silent"), 0)
        bar(f"{file} in {program}: an onset's sound unlike ours, share", worst("unlike"), MAX_UNLIKE)
        bar(f"{file} in {program}: onset beside ours, frames", worst("onset_frames"), MAX_ROM_FRAMES if file == "ROM" else MAX_ONSET_FRAMES)
        bar(f"{file} in {program}: pitch beside ours, cents", worst("cents"), MAX_CENTS)
    return bars


def show(tracks: Sequence[dict[str, Any]], bars: Sequence[dict[str, Any]]) -> None:
    """Print the table of tracks and the table of bars."""
    programs = ("libgme", "Nestopia", "MAME")
    kinds = list(tracks[0]["differences"])
    print(f"{'track':16} {'seconds':>7} {'loop':>11} {'writes':>6}  differing writes    " + "".join(f"{one + ' fr / ct':>18}" for one in programs))
    for track in tracks:
        loop = "ends" if track["loop"] is None else f"{track['loop'][0]}-{track['loop'][1]}"
        counts = " ".join(str(track["differences"][kind]) for kind in kinds)
        ears = "".join(
            f"{figure['onset_frames']:>10.2f} / {figure['cents']:<5.2f}" if figure else f"{'-':>18}"
            for figure in (track["heard"].get(program) for program in programs)
        )
        print(f"{track['track']:16} {track['frames'] / 60:>7.1f} {loop:>11} {track['writes']:>6}  {counts:20}{ears}")
    print(f"differing writes: {', '.join(kinds)}\n")
    for program in programs:
        figures = [track["heard"][program] for track in tracks if program in track["heard"]]
        if figures:
            onsets, clear, pitches = (sum(figure[name] for figure in figures) for name in ("onsets", "clear", "pitches"))
            print(f"{program}: {onsets} onsets, the place of {clear} of them clear; {pitches} pitches")
        else:
            print(f"{program}: not installed, nothing measured")
    print()
    for one in bars:
        worst = "-" if one["worst"] is None else f"{one['worst']:.3g}"
        verdict = {True: "met", False: "MISSED", None: "not measured"}[one["met"]]
        print(f"{one['bar']:62} {worst:>8}  {'at least' if one['at_least'] else 'at most'} {one['limit']:<4g} {verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=24, help="how many are composed, 1 to 255, e.g. 24")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the others follow, e.g. 1")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "nesasset-exports", help="folder for scores, files and pictures")
    parser.add_argument("--jobs", type=int, default=1, help="processes, e.g. 4")
    parser.add_argument("--heard", type=float, default=8.0, help="seconds of each track in Nestopia and MAME, 1 to 60, e.g. 8")
    parser.add_argument("--json", action="store_true", help="print the line of JSON only")
    options = parser.parse_args()
    if not 1 <= options.tracks <= 255:
        parser.error(f"--tracks must be between 1 and 255, not {options.tracks}")
    if not 1 <= options.heard <= 60:
        parser.error(f"--heard must be between 1 and 60, not {options.heard}")
    (options.work / "scores").mkdir(parents=True, exist_ok=True)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    plan = wishes(options.tracks, options.seed)
    scores = []
    for wish in plan:
        begin = time.monotonic()
        scores.append(composed(wish, options.work / "scores"))
        tell(f"composed {wish.name}, {scores[-1].n_frames / 60:.1f} s, in {time.monotonic() - begin:.1f} s")
    logs, titles = [drive(score) for score in scores], [score.title for score in scores]
    texts = {"titles": titles, "author": "nesasset", "album": "Exports"}
    (options.work / "pack.nsf").write_bytes(nsf.dumps(logs, **texts))
    (options.work / "pack.nes").write_bytes(rom.dumps(logs, **texts))
    if mame():
        mame_home(options.work)
    if test_rom.NESTOPIA.exists():
        nestopia_sound(options.work / "pack.nes", "P1", 3.0, options.work / "pack.png")
    planted = planted_faults(max(logs, key=lambda log: log.n_frames))
    tell(f"the ear hears planted faults of 2 frames and 15.9 cents as {planted[0]:.2f} and {planted[1]:.1f}")

    found: dict[int, dict[str, Any]] = {}
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as executor:
        tasks = {
            executor.submit(check_track, number, wish.name, logs, titles, options.work, options.heard): number
            for number, wish in enumerate(plan)
        }
        for done, task in enumerate(as_completed(tasks), 1):
            track = found[tasks[task]] = task.result()
            heard = ", ".join(f"{program} {one['onset_frames']:.2f} frames {one['cents']:.2f} cents" for program, one in track["heard"].items())
            tell(f"{done}/{len(plan)} {track['track']}: {sum(track['differences'].values())} writes differ; {heard}; {track['seconds']:.0f} s")
    tracks = [found[number] for number in range(len(plan))]
    bars = bars_of(tracks, planted)
    met = all(bar["met"] is not False for bar in bars)
    if not options.json:
        show(tracks, bars)
    print(json.dumps({"tracks": len(tracks), "seed": options.seed, "met": met, "bars": bars, "each": tracks}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
