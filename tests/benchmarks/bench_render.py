"""How fast drive, render and a player are: a busy score of one minute, one thread, CPU time; libgme beside it.

python tests/benchmarks/bench_render.py
python tests/benchmarks/bench_render.py --seconds 60 --runs 5

Rendering is measured with the compiled hot path, where it is built, and with numpy alone. libgme plays the same music as an NSF
file where it is installed (Debian: libgme0): it also runs the 6502, mixes linearly and has shorter kernels.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nesasset.apu import extension
from nesasset.apu.stream import Player
from nesasset.apu.writes import cut_frames
from nesasset.driver import drive
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


def cpu_seconds(call: Callable[[], object], runs: int) -> float:
    """Return the least CPU time of some runs."""
    best = float("inf")
    for _ in range(runs):
        begin = time.process_time()
        call()
        best = min(best, time.process_time() - begin)
    return best


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the score, e.g. 60")
    parser.add_argument("--runs", type=int, default=3, help="the best of so many runs counts, e.g. 3")
    options = parser.parse_args()
    score = busy_score(options.seconds)
    looping = drive(score)
    log = replace(looping, loop=None)
    pieces = [cut_frames(log, frame, frame + 1) for frame in range(log.n_frames)]
    seconds = log.n_frames / 60
    figures: dict[str, Any] = {"seconds": seconds, "writes": len(log.frames)}

    def measure(name: str, call: Callable[[], object]) -> None:
        taken = cpu_seconds(call, options.runs)
        figures[name] = {"cpu_s": round(taken, 4), "times_real_time": round(seconds / taken, 1)}
        print(f"{name:24} {taken * 1000:9.1f} ms CPU for {seconds:.0f} s of music, {seconds / taken:8.1f} x real time")

    measure("drive", lambda: drive(score))
    compiled = extension.fast()
    if compiled is None:
        print("the compiled hot path is not built")
    for kind, module in (("compiled", compiled), ("numpy", None)):
        if kind == "numpy" or compiled is not None:
            extension.fast = lambda module=module: module
            measure(f"render, {kind}", lambda: render(log, SAMPLE_RATE_HZ))
            measure(f"render a loop, {kind}", lambda: render(looping, SAMPLE_RATE_HZ))
            measure(f"frame by frame, {kind}", lambda: stream(pieces))
    from nesasset.formats import nsf

    player = libgme(nsf.dumps([looping]), seconds)
    if player is None:
        print("libgme is not installed")
    else:
        measure("libgme", player)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
