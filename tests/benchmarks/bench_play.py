"""Measure live music in a game: the game's frames, breaks in the sound, time to the first sound, drift, replay, memory.

    python tests/benchmarks/bench_play.py                       everything, the game for a minute
    python tests/benchmarks/bench_play.py --game 600 --only game
    python tests/benchmarks/bench_play.py --only first drift

Needs pygame; uses SDL's dummy drivers, whose sound runs in real time. Prints a table; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

os.environ["SDL_VIDEODRIVER"] = os.environ["SDL_AUDIODRIVER"] = "dummy"
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import pygame  # noqa: E402

import nesasset  # noqa: E402
from nesasset.play import Engine, Music, replay  # noqa: E402
from nesasset.testing import SilentMusic  # noqa: E402

FRAME_MS = 1000 / 60


class Timed:
    """Stands before a Music and adds up the time that the game spends in it."""

    def __init__(self, music: Music) -> None:
        self._music = music
        self.spent = 0.0
        """Seconds, and of them those in which this thread had a processor."""
        self.worked = 0.0
        self.longest = (0.0, "")

    def __getattr__(self, name: str) -> Any:
        began = (time.perf_counter(), time.thread_time())
        found = getattr(self._music, name)
        self._count(began, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            began = (time.perf_counter(), time.thread_time())
            try:
                return found(*arguments, **named)
            finally:
                self._count(began, name)

        return call

    def _count(self, began: tuple[float, float], name: str) -> None:
        seconds = time.perf_counter() - began[0]
        self.spent += seconds
        self.worked += time.thread_time() - began[1]
        self.longest = max(self.longest, (seconds, name))


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, by Linux's /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb() -> float:
    """Return the resident memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def spin(stop: threading.Event) -> None:
    """Keep the interpreter busy with pure Python."""
    count = 0
    while not stop.is_set():
        count += 1


def game(seconds: float, busy: bool = False, silent: bool = False) -> dict[str, Any]:
    """Play the demo by its script in real time, 60 frames a second, with composing going on."""
    from demo_game.bot import Bot
    from demo_game.drawing import SIZE
    from demo_game.game import Game
    from demo_game.inputs import ScriptedInputs, built_in

    pygame.mixer.quit()
    pygame.mixer.init(44_100, -16, 2, 512)
    pygame.display.init()
    pygame.display.set_mode(SIZE)
    stop = threading.Event()
    if busy:
        threading.Thread(target=spin, args=(stop,), daemon=True).start()
    frames = round(seconds * 60)
    music: Any = SilentMusic(keep=False, strict=False) if silent else Music(strict=False)
    timed = Timed(music)
    played, inputs, clock, picture = Game(timed, Bot()), ScriptedInputs(built_in(frames)), pygame.time.Clock(), pygame.Surface(SIZE)  # type: ignore[arg-type]
    worker = getattr(music, "_composer", None)
    pid = getattr(worker, "pid", 0)
    started, cpu, own = time.perf_counter(), cpu_seconds(pid), time.process_time()
    ours, whole, worked, all_worked = (np.zeros(frames) for _ in range(4))
    for frame in range(frames):
        began, began_work = time.perf_counter(), time.thread_time()
        timed.spent = timed.worked = 0.0
        pygame.event.pump()
        played.step(*inputs.read())
        if frame % (60 * 20) == 60 * 15:
            timed.next_section()
        played.draw(picture)
        played.overlay.note(timed, 0.0)  # type: ignore[arg-type]
        ours[frame], whole[frame] = timed.spent, time.perf_counter() - began
        worked[frame], all_worked[frame] = timed.worked, time.thread_time() - began_work
        clock.tick(60)
    wall = time.perf_counter() - started
    facts = music.statistics
    worker_cpu = (cpu_seconds(pid) - cpu) / wall
    game_cpu = (time.process_time() - own) / wall
    stop.set()
    music.close()
    ours, whole, worked, all_worked = (1000 * column for column in (ours, whole, worked, all_worked))
    return {
        "seconds": round(wall, 1),
        "frames": frames,
        "frames over 16.7 ms": int((whole > FRAME_MS).sum()),
        "of them caused by our calls": int(((whole > FRAME_MS) & (whole - ours <= FRAME_MS)).sum()),
        "our share p50 ms": round(float(np.percentile(ours, 50)), 3),
        "our share p99 ms": round(float(np.percentile(ours, 99)), 3),
        "our share max ms": round(float(ours.max()), 3),
        "our work p50 ms": round(float(np.percentile(worked, 50)), 3),
        "our work p99 ms": round(float(np.percentile(worked, 99)), 3),
        "our work max ms": round(float(worked.max()), 3),
        "frames whose work is over 16.7 ms": int((all_worked > FRAME_MS).sum()),
        "longest call": f"{timed.longest[1]} {1000 * timed.longest[0]:.2f} ms",
        "whole frame p50 ms": round(float(np.percentile(whole, 50)), 3),
        "whole frame p99 ms": round(float(np.percentile(whole, 99)), 3),
        "worker cpu % of a core": round(100 * worker_cpu, 1),
        "process cpu % of a core": round(100 * game_cpu, 1),
        "engine ms a frame": round(facts.frame_ms, 3),
        "underruns": facts.underruns,
        "load average": round(os.getloadavg()[0], 2),
    }


COLD = """
import time
import sys
import pygame, nesasset
pygame.mixer.pre_init(44100, -16, 2, 512)
pygame.init()
music = nesasset.play.Music()
music.play("castle", seed=7)
until = time.time() + 30
while music.output.ring.read_count == 0 and time.time() < until:
    time.sleep(0.001)
print(time.time())
music.close()
"""


def first_sound(rounds: int = 5) -> dict[str, Any]:
    """Return how long it takes from `play` to the first sample that SDL takes, warm and from a cold process."""
    pygame.mixer.quit()
    pygame.mixer.init(44_100, -16, 2, 512)
    warm = []
    music = Music()
    ready = threading.Event()
    answered = music._answered

    def answer(message: Any) -> None:
        answered(message)
        if message.get("warm"):
            ready.set()

    music._composer._answer = answer  # type: ignore[attr-defined]
    ready.wait(60)
    for number in range(rounds):
        music.stop()
        time.sleep(1.0)
        before = music.output.ring.read_count
        began = time.perf_counter()
        music.play("castle", seed=100 + number)
        while music.output.ring.read_count == before and time.perf_counter() < began + 30:
            time.sleep(0.0005)
        warm.append(1000 * (time.perf_counter() - began))
    music.close()
    cold = []
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for _ in range(rounds):
        began = time.time()
        done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True, env=environment, timeout=60)
        cold.append(1000 * (float(done.stdout.split()[-1]) - began))
    buffer_ms = 1000 * 512 / 44_100
    return {
        "warm ms median": round(float(np.median(warm)) + buffer_ms, 1),
        "warm ms worst": round(max(warm) + buffer_ms, 1),
        "cold ms median": round(float(np.median(cold)) + buffer_ms, 1),
        "cold ms worst": round(max(cold) + buffer_ms, 1),
        "load average": round(os.getloadavg()[0], 2),
    }


def drift(minutes: float = 10.0) -> dict[str, Any]:
    """Loop for ten minutes: by how many samples the last pass is off, and the largest jump at a seam beside the music's own."""
    score = nesasset.compose("castle", 7)
    engine = Engine()
    engine.do({"do": "add", "name": "a", "score": score})
    engine.do({"do": "switch", "to": "a", "at": "now"})
    assert score.loop_frames is not None
    length = (score.loop_frames[1] - score.loop_frames[0]) * 735
    off, seam, inside, before = 0, 0, 0, 0
    began = time.process_time()
    frames = round(3600 * minutes)
    for _ in range(frames):
        frame = engine.step()
        jumps = np.abs(np.diff(frame.samples.astype(int), prepend=before))
        before = int(frame.samples[-1])
        looped = any(kind == "loop" for kind, _ in frame.events)
        if looped:
            off = max(off, frame.position.sample % length)
            seam = max(seam, int(jumps.max()))
        else:
            inside = max(inside, int(jumps.max()))
    spent = time.process_time() - began
    return {
        "minutes": minutes,
        "passes": engine.deck.loops if engine.deck else 0,
        "drift in samples": off,
        "largest jump at a seam": seam,
        "largest jump elsewhere": inside,
        "engine ms a frame": round(1000 * spent / frames, 3),
    }


def same_again() -> dict[str, Any]:
    """Record and replay a minute, and save and restore in its midst: how many bytes differ."""
    music = SilentMusic(record=True)

    def play(one: SilentMusic, first: int, last: int) -> np.ndarray:
        parts = []
        for second in range(first, last):
            if second % 7 == 0:
                one.to(("cave", "boss", "town", "castle")[second // 7 % 4], second, at="bar", via=("cut", "fade", "bridge", "equivalent")[second // 7 % 4])
            if second % 5 == 0:
                one.tempo(1 + (second % 10) / 20)
                one.effect("explosion", second)
            if second % 11 == 3:
                one.stinger("victory")
                one.low_pass((second % 3) / 2)
            parts.append(one.advance(1.0))
        return np.concatenate(parts)

    first = play(music, 0, 30)
    saved = music.save()
    second = play(music, 30, 60)
    whole = np.concatenate([first, second])
    other = SilentMusic()
    other.restore(saved)
    restored = play(other, 30, 60)
    replayed = replay(json.loads(json.dumps(music.record)), 3600)
    return {
        "bytes that differ in the replay": int((replayed != whole).sum()) * 2,
        "bytes that differ after restore": int((restored != second).sum()) * 2,
        "bytes of a saved game": len(saved),
    }


def memory(minutes: float = 60.0) -> dict[str, Any]:
    """Play an hour without a clock: new sections, transitions, effects; the memory after a minute and after all of it."""
    music = SilentMusic(keep=False)
    music.play("cave", 1, evolve=True)
    after_a_minute = 0.0
    for second in range(round(60 * minutes)):
        music.effect("coin", second, tuned=True)
        if second % 23 == 0:
            music.to(("cave", "boss", "town", "castle")[second // 23 % 4], second, via=("cut", "fade", "bridge")[second % 3], evolve=True)
        if second % 61 == 0:
            music.stinger("victory")
        music.advance(1.0)
        if second == 60:
            after_a_minute = memory_mb()
    return {
        "minutes": minutes,
        "MiB after a minute": round(after_a_minute, 1),
        "MiB at the end": round(memory_mb(), 1),
        "growth in MiB": round(memory_mb() - after_a_minute, 2),
    }


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", type=float, default=60.0, help="seconds of the demo")
    parser.add_argument("--busy", type=float, default=30.0, help="seconds of the demo beside a busy thread")
    parser.add_argument("--hours", type=float, default=1.0, help="of simulated play")
    parser.add_argument("--only", nargs="*", choices=["game", "busy", "first", "drift", "same", "memory"])
    wishes = parser.parse_args()
    parts = {
        "game": lambda: game(wishes.game),
        "busy": lambda: game(wishes.busy, busy=True),
        "first": first_sound,
        "drift": drift,
        "same": same_again,
        "memory": lambda: memory(60 * wishes.hours),
    }
    results = {}
    for name, measure in parts.items():
        if wishes.only and name not in wishes.only:
            continue
        results[name] = measure()
        print(name)
        for label, value in results[name].items():
            print(f"  {label:32} {value}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
