"""How long composing takes, one thread: 16 bars, the first bar of a stream, and whether the stream keeps ahead of the music.

python tests/benchmarks/bench_compose.py
python tests/benchmarks/bench_compose.py --pieces 27 --candidates 1,2

CPU seconds for a loop as it is shipped and with other numbers of drafts; wall-clock milliseconds from the call to the first bar
with the model loaded, and how much of a bar's playing time the slowest bar took to write. pyxel's gen_bgm stands beside it
where it is installed: it draws from tables, and is the floor. The last line is JSON; bars are printed beside what they are for.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from statistics import median
from typing import Any

from nesasset.compose import compose, compose_bars
from nesasset.compose.controls import Controls
from nesasset.model import default_model
from nesasset.themes import THEMES

BARS = 16
COMPOSE_BAR_S = 0.6
FIRST_BAR_MS = 60.0


def turns(pieces: int) -> list[tuple[str, int]]:
    """Return looping themes in turn, each with a seed of its own."""
    names = [theme.name for theme in THEMES.values() if theme.loops]
    return [(names[place % len(names)], 1000 + place) for place in range(pieces)]


def whole(pieces: int, candidates: int | None) -> list[float]:
    """Return the CPU seconds of each loop."""
    found = []
    for theme, seed in turns(pieces):
        start = time.process_time()
        compose(theme, seed, Controls(bars=BARS, candidates=candidates))
        found.append(time.process_time() - start)
    return found


def stream(pieces: int) -> tuple[list[float], list[float], list[float]]:
    """Return seconds to the first bar, wall-clock and CPU, and of each piece the slowest bar as a share of its playing time."""
    first, busy, slowest = [], [], []
    for theme, seed in turns(pieces):
        cpu = time.process_time()
        last = start = time.perf_counter()
        worst = 0.0
        for number, bar in enumerate(compose_bars(theme, seed, Controls(bars=BARS))):
            now = time.perf_counter()
            if number == 0:
                first.append(now - start)
                busy.append(time.process_time() - cpu)
            else:
                worst = max(worst, (now - last) / (bar.n_frames / 60))
            last = now
        slowest.append(worst)
    return first, busy, slowest


# pyxel wants a window, if one that is not seen, and would end this program where it cannot have one.
PYXEL = """
import sys, time
import pyxel
pyxel.init(16, 16, headless=True)
start = time.process_time()
for seed in range(int(sys.argv[1])):
    pyxel.gen_bgm(seed % 8, 0, 3, seed)
print((time.process_time() - start) / int(sys.argv[1]))
"""


def pyxel_seconds(pieces: int) -> float | None:
    """Return the CPU seconds of a piece of pyxel's generator, None where it does not run."""
    done = subprocess.run([sys.executable, "-c", PYXEL, str(pieces)], capture_output=True, text=True, timeout=60, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=18, help="loops of each kind, e.g. 18")
    parser.add_argument("--candidates", default="1,2", help="numbers of drafts, e.g. 1,2")
    options = parser.parse_args()
    if options.pieces < 1:
        parser.error(f"--pieces must be 1 or more, not {options.pieces}")
    start = time.perf_counter()
    model = default_model()
    loaded = time.perf_counter() - start
    compose("overworld", 0, Controls(bars=2))  # what is loaded once is not the pieces' to pay
    shipped = int(model.sidecar["sampling"]["candidates"])
    figures: dict[str, Any] = {"load_s": round(loaded, 3), "candidates": shipped}
    print(f"model loaded in {loaded:.2f} s; {shipped} drafts are the default", flush=True)
    for count in sorted({shipped, *map(int, options.candidates.split(","))}):
        seconds = whole(options.pieces, count)
        figures[f"compose_{count}_s"] = round(median(seconds), 3)
        print(f"{BARS} bars, {count} drafts: {median(seconds):.2f} s of CPU, {min(seconds):.2f} to {max(seconds):.2f} (bar {COMPOSE_BAR_S})", flush=True)
    first, busy, slowest = stream(options.pieces)
    figures |= {"first_bar_ms": round(1000 * median(first), 1), "first_bar_cpu_ms": round(1000 * median(busy), 1)}
    figures |= {"slowest_bar_share": round(median(slowest), 3)}
    print(f"first bar after {1000 * median(first):.0f} ms, {1000 * min(first):.0f} to {1000 * max(first):.0f}; {1000 * median(busy):.0f} ms of CPU (bar {FIRST_BAR_MS:g})")
    print(f"slowest bar: {100 * median(slowest):.0f} % of the time it plays, at worst {100 * max(slowest):.0f} %")
    rival = pyxel_seconds(options.pieces)
    if rival is None:
        print("pyxel does not run here: nothing stands beside these figures", file=sys.stderr)
    else:
        figures["pyxel_s"] = round(rival, 6)
        print(f"pyxel's gen_bgm: {1000 * rival:.2f} ms a piece")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
