"""How fast drive, render and a player are, one thread, CPU time; libgme beside them, and what an hour costs.

python tests/benchmarks/bench_render.py
python tests/benchmarks/bench_render.py --runs 9 --themes castle,boss --minutes 1,5
python tests/benchmarks/bench_render.py --themes "" --minutes "" --seconds 20

A busy score of one minute, then composed tracks, are rendered with the compiled hot path and with numpy alone. Where the
compiled path is not built, it is compiled from the source beside it. libgme plays the same music as an NSF file where it is
installed (Debian: libgme0): it also runs the 6502, mixes linearly and has shorter kernels. Its runs and ours take turns, so that
both meet the same neighbours on the processor; the ratio is the median of the turns. The last line is JSON; bars are printed beside what they are for, and hold nobody up.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import compiled_apu

from nesasset.apu import extension
from nesasset.apu.stream import Player
from nesasset.apu.writes import cut_frames
from nesasset.driver import drive
from nesasset.formats import nsf
from nesasset.register_log import RegisterLog
from nesasset.render import render
from nesasset.score import HOLD, Cell, Instrument, Note, Score

ROW_FRAMES = 6
SAMPLE_RATE_HZ = 44_100


def busy_score(seconds: float, seed: int = 1) -> Score:
    """Return a looping score with a note on most sixteenths of every voice, high hats and snares on the noise."""
    rng = random.Random(seed)
    fade = tuple(range(15, 3, -1))
    instruments = (
        Instrument("pulse", fade, duty=1),
        Instrument("pulse", (12, 11, 10, 9), duty=2),
        Instrument("triangle", (1,) * 5 + (0,)),
        Instrument("noise", (12, 8, 5, 3, 2, 1, 0), period=2),
        Instrument("noise", (15, 13, 11, 9, 7, 5, 4, 3, 2, 1, 0), period=6),
        Instrument("noise", (15, 10, 5, 0), period=11),
    )
    n_rows = max(16, round(seconds * 60 / ROW_FRAMES / 16) * 16)
    scale = (0, 2, 3, 5, 7, 8, 10)

    def melody(instrument: int, low: int, share: float) -> tuple[Cell, ...]:
        return tuple(
            Note(instrument, low + rng.choice(scale) + 12 * rng.randrange(2))
            if rng.random() < share or not row
            else HOLD
            for row in range(n_rows)
        )

    noise = tuple(
        Note(rng.choice((3, 3, 4, 5))) if row % 2 == 0 or rng.random() < 0.4 else HOLD for row in range(n_rows)
    )
    voices = {"P1": melody(0, 69, 0.8), "P2": melody(1, 57, 0.8), "TR": melody(2, 45, 0.7), "NO": noise}
    return Score(voices, instruments, groove=(ROW_FRAMES,), loop=(0, n_rows))


def cpu_seconds(calls: list[Callable[[], object]], runs: int) -> list[list[float]]:
    """Return the CPU time of each run of each call; they take turns."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(runs):
        for times, call in zip(taken, calls, strict=True):
            begin = time.process_time()
            call()
            times.append(time.process_time() - begin)
    return taken


def stream(pieces: list[RegisterLog]) -> None:
    """Play a log frame by frame."""
    player = Player(SAMPLE_RATE_HZ)
    for piece in pieces:
        player.play(piece)


def libgme(data: bytes, seconds: float) -> Callable[[], None] | None:
    """Return a call that has libgme play an NSF file, or None where it is not installed."""
    name = ctypes.util.find_library("gme")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.gme_delete.argtypes = [ctypes.c_void_p]
    library.gme_ignore_silence.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.gme_start_track.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.gme_play.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    half_second = SAMPLE_RATE_HZ  # of two channels
    out = (ctypes.c_int16 * half_second)()

    def call() -> None:
        emulator = ctypes.c_void_p()
        library.gme_open_data(data, ctypes.c_long(len(data)), ctypes.byref(emulator), SAMPLE_RATE_HZ)
        library.gme_ignore_silence(emulator, 1)
        library.gme_start_track(emulator, 0)
        for _ in range(round(2 * seconds)):
            library.gme_play(emulator, half_second, out)
        library.gme_delete(emulator)

    call()
    if not any(out):
        raise SystemExit("libgme played silence: the comparison would mean nothing")
    return call


def memory_kib() -> int:
    """Return the memory that this process has now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


class Report:
    """What was measured: printed as it comes, kept for the last line."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.figures: dict[str, Any] = {}

    def measure(
        self,
        seconds: float,
        calls: dict[str, Callable[[], object]],
        at_least: dict[str, float],
        runs: int | None = None,
    ) -> list[list[float]]:
        """Print how fast calls are that make so many seconds of music, and the bars of some of them, in times real time."""
        taken = cpu_seconds(list(calls.values()), runs or self.runs)
        for name, times in zip(calls, taken, strict=True):
            cpu_s = min(times)
            speed = seconds / cpu_s
            self.figures[name] = {"cpu_s": round(cpu_s, 4), "times_real_time": round(speed, 1)}
            bar = self.verdict(name, speed, at_least.get(name))
            print(
                f"{name:34} {cpu_s * 1000:9.1f} ms CPU for {seconds:4.0f} s, {speed:8.1f} x real time{bar}", flush=True
            )
        return taken

    def ratio(self, name: str, value: float, at_least: float) -> None:
        """Print how fast one is beside another."""
        self.figures[name] = {"ratio": round(value, 3)}
        print(f"{name:34} {value:9.2f}{self.verdict(name, value, at_least)}", flush=True)

    def verdict(self, name: str, value: float, at_least: float | None) -> str:
        """Return what is printed of a bar, and keep it."""
        if at_least is None:
            return ""
        self.figures[name] |= {"at_least": at_least, "met": value >= at_least}
        return f"   at least {at_least:g}: {'met' if value >= at_least else 'MISSED'}"


def use(module: Any) -> None:
    """Have the chip use a compiled module, or None for numpy."""
    extension.fast = lambda: module  # type: ignore[assignment]


def with_module(module: Any, call: Callable[[], object]) -> Callable[[], None]:
    """Return a call made with a compiled module, or None for numpy."""

    def made() -> None:
        use(module)
        call()

    return made


def measure_track(report: Report, name: str, looping: RegisterLog, compiled: Any, *, composed: bool) -> None:
    """Measure how fast a log is rendered, beside libgme."""
    log = replace(looping, loop=None)
    seconds = log.n_frames / float(log.frame_rate_hz)
    one, loop = (lambda: render(log, SAMPLE_RATE_HZ)), (lambda: render(looping, SAMPLE_RATE_HZ))
    calls: dict[str, Callable[[], object]] = {}
    player = libgme(nsf.dumps([looping]), seconds)
    if player is None:
        print("libgme is not installed")
    else:
        calls[f"{name}, libgme"] = player
    if compiled is not None:
        calls[f"{name}, compiled"] = with_module(compiled, one)
        calls[f"{name} as a loop, compiled"] = with_module(compiled, loop)
    taken = dict(zip(calls, report.measure(seconds, calls, {}, runs=3 * report.runs), strict=True))
    if player is not None and compiled is not None:
        pairs = zip(taken[f"{name}, libgme"], taken[f"{name}, compiled"], strict=True)
        report.ratio(f"{name}, compiled : libgme", median(theirs / ours for theirs, ours in pairs), 0.5)
    calls = {f"{name}, numpy": with_module(None, one), f"{name} as a loop, numpy": with_module(None, loop)}
    report.measure(seconds, calls, {f"{name}, numpy": 30} if composed else {})


def measure_length(report: Report, pieces: list[RegisterLog], minutes: list[int]) -> None:
    """Print what a minute costs in ever longer streams of pieces of a second each, and how memory grows."""
    for length in minutes:
        player, cpu_s, memory = Player(SAMPLE_RATE_HZ), 0.0, []
        for minute in range(length):
            begin = time.process_time()
            for number in range(60):
                player.play(pieces[(60 * minute + number) % len(pieces)])
            cpu_s += time.process_time() - begin
            memory.append(memory_kib())
        growth = max(memory) - memory[0]
        report.figures[f"{length} minutes"] = {
            "cpu_s_per_minute": round(cpu_s / length, 4),
            "memory_growth_kib": growth,
        }
        print(
            f"{length:3} minutes streamed: {cpu_s / length * 1000:7.1f} ms CPU a minute, "
            f"memory {growth:+} KiB after the first minute",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the busy score, e.g. 60")
    parser.add_argument(
        "--runs", type=int, default=3, help="the best of so many runs counts, of thrice as many beside libgme, e.g. 3"
    )
    parser.add_argument("--themes", default="castle,title", help="composed tracks, none if empty, e.g. castle,boss")
    parser.add_argument("--minutes", default="1,5,20,60", help="lengths of streams, none if empty, e.g. 1,5,20,60")
    options = parser.parse_args()
    report = Report(options.runs)
    score = busy_score(options.seconds)
    looping = drive(score)
    log = replace(looping, loop=None)
    seconds = log.n_frames / 60
    report.figures |= {"seconds": seconds, "writes": len(log.frames)}
    with tempfile.TemporaryDirectory() as folder:
        compiled = extension.fast() or compiled_apu.build(Path(folder))
        if compiled is None:
            print("the compiled hot path is not built, and there is no compiler")
        report.measure(seconds, {"drive": lambda: drive(score)}, {})
        measure_track(report, "busy", looping, compiled, composed=False)
        frames = [cut_frames(log, frame, frame + 1) for frame in range(log.n_frames)]
        if compiled is not None:
            name = "frame by frame, compiled"
            report.measure(seconds, {name: with_module(compiled, lambda: stream(frames))}, {name: 100})
        # Slow, so once.
        report.measure(seconds, {"frame by frame, numpy": with_module(None, lambda: stream(frames))}, {}, runs=1)
        for theme in filter(None, options.themes.split(",")):
            from nesasset.compose import compose

            measure_track(report, theme, drive(compose(theme, seed=1)), compiled, composed=True)
        use(compiled)
        second = [cut_frames(log, first, first + 60) for first in range(0, log.n_frames - 59, 60)]
        measure_length(report, second, [int(length) for length in filter(None, options.minutes.split(","))])
    print(json.dumps(report.figures))


if __name__ == "__main__":
    main()
