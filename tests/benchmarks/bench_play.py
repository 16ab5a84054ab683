"""Measure live music in a game, every figure beside its bar.

The game's frames, breaks in the sound, transitions, drift, time to the first sound, replay, commands, pictures, examples, memory.

    python tests/benchmarks/bench_play.py                       everything, some twenty minutes: the game for ten of them
    python tests/benchmarks/bench_play.py --game 60             quicker
    python tests/benchmarks/bench_play.py --only first drift

Needs pygame, and a machine with nothing else to do: figures in ms are by the clock. Uses SDL's dummy drivers, whose sound runs in
real time. Prints a table; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

os.environ["SDL_VIDEODRIVER"] = os.environ["SDL_AUDIODRIVER"] = "dummy"
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import pygame  # noqa: E402
from ear import largest_jump, loudness  # noqa: E402

import nesasset  # noqa: E402
from nesasset.apu.stream import Player  # noqa: E402
from nesasset.play import Engine, Music, replay  # noqa: E402
from nesasset.play.endless_wav import HEADER_BYTES, EndlessWav  # noqa: E402
from nesasset.play.outputs import SDL_BLOCK  # noqa: E402
from nesasset.register_log import RegisterLog  # noqa: E402
from nesasset.score import Score  # noqa: E402
from nesasset.testing import SilentMusic  # noqa: E402

FRAME_MS = 1000 / 60
FRAME = 735  # samples
# What each figure must be; a figure that is not here is told for its own sake.
BARS: Final[dict[str, dict[str, tuple[str, float]]]] = {
    "game": {
        "of them caused by our calls": ("==", 0),
        "our share p99 ms": ("<=", 1.0),
        "worker cpu % of a core": ("<=", 15),
        "underruns": ("==", 0),
    },
    "busy": {"underruns": ("==", 0)},
    "scene": {
        "samples that a transition is off its beat": ("<=", 1),
        "samples unlike logs laid end to end": ("==", 0),
        "largest jump at a seam, of the music's own": ("<=", 1.0),
    },
    "drift": {"drift in samples": ("==", 0), "largest jump at a seam, of the music's own": ("<=", 1.0)},
    "first": {"warm ms median": ("<=", 150), "cold ms median": ("<=", 1000)},
    "same": {"bytes that differ in the replay": ("==", 0), "bytes that differ after restore": ("==", 0)},
    "commands": {"tests that listen, failed": ("==", 0)},
    "shown": {"pictures of levels and overlay": ("==", 11), "pictures that are empty": ("==", 0), "lines of the eight-line example": ("==", 8), "examples that fail, the frozen one included": ("==", 0)},
    "memory": {"growth after the first minute in MiB": ("<=", 1.0)},
}
_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {"==": operator.eq, "<=": operator.le}


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
    reads = _note_reads()
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
        # SDL asks every 92.9 ms; that it comes later is a wait for the interpreter or for a processor.
        "longest time SDL came late ms": round(1000 * float(np.diff(reads).max()) - 1000 * SDL_BLOCK / 44_100, 1) if len(reads) > 1 else None,
        "margin at the end ms": round(1000 * getattr(getattr(music.output, "margin", None), "seconds", 0.0)),
        "load average": round(os.getloadavg()[0], 2),
    }


def _note_reads() -> list[float]:
    """Return a list to which the time of every read of sound by SDL is added from now on."""
    times: list[float] = []
    read = getattr(EndlessWav, "_unwatched", EndlessWav.read)

    def watched(self: EndlessWav, size: int = -1) -> bytes:
        if self.tell() >= HEADER_BYTES:
            times.append(time.perf_counter())
        return read(self, size)

    EndlessWav._unwatched = read  # type: ignore[attr-defined]
    EndlessWav.read = watched  # type: ignore[method-assign]
    return times


def scene() -> dict[str, Any]:
    """Change between composed pieces at every place and by every way over, and compare with the driver's logs laid end to end.

    The place is worked out from the old piece's rows alone; the reference knows nothing of the engine but the bridge's notes.
    """
    names = ("castle", "cave", "town", "boss")
    scores = {name: nesasset.compose(name, 11) for name in names}
    off, unlike, seam, own, done = 0, 0, 0.0, 1.0, 0
    for number, (place, via) in enumerate([(place, via) for via in ("cut", "fade", "bridge") for place in ("beat", "bar", "phrase", "end")]):
        old, new = scores[names[number % 4]], scores[names[(number + 1) % 4]]
        asked = 37 + 61 * number
        due = _next_place(old, asked, place, beats=2 if via == "fade" else 0)
        engine = Engine()
        engine.do({"do": "add", "name": "old", "score": old})
        engine.do({"do": "add", "name": "new", "score": new})
        engine.do({"do": "switch", "to": "old", "at": "now"})
        frames, begun = due + 400, {}
        parts = []
        for frame in range(frames):
            if frame == asked:
                engine.do({"do": "switch", "to": "new", "at": place, "via": via, "beats": 2})
            made = engine.step()
            parts.append(made.samples)
            begun |= {facts["name"]: made.position.sample for kind, facts in made.events if kind == "begin"}
        heard = np.concatenate(parts)
        pieces = [(old, due), (new, frames - due)]
        if via == "bridge":
            middle = engine.scores["bridge to new"]
            pieces[1:] = [(middle, middle.n_frames), (new, frames - due - middle.n_frames)]
        expected = _laid_end_to_end(pieces)
        first = due * FRAME if via == "fade" else 0  # while it sinks, the old piece is not as it was written
        unlike += int((heard[first:] != expected[first:]).sum())
        off = max(off, abs(begun["bridge to new" if via == "bridge" else "new"] - due * FRAME))
        around = heard[due * FRAME - FRAME : due * FRAME + FRAME]
        inside = max(largest_jump(_laid_end_to_end([(score, 900)])) for score in (old, new))
        if largest_jump(around) / inside > seam / own:
            seam, own = largest_jump(around), inside
        done += 1
    return {
        "transitions": done,
        "samples that a transition is off its beat": off,
        "samples unlike logs laid end to end": unlike,
        "largest jump at a seam, of the music's own": round(seam / own, 3),
    }


def _next_place(score: Score, asked: int, place: str, beats: int) -> int:
    """Return the frame of the next beat, bar, phrase or end of the loop from a frame on, and so many beats later."""
    assert score.loop is not None
    rows = {"beat": score.beat_rows, "bar": score.bar_rows, "phrase": 4 * score.bar_rows, "end": score.loop[1]}[place]
    groove, frame, row = score.groove, 0, 0
    while frame < asked or row % rows:
        frame, row = frame + groove[row % len(groove)], row + 1
    for extra in range(beats * score.beat_rows):
        frame += groove[(row + extra) % len(groove)]
    return frame


def _laid_end_to_end(pieces: list[tuple[Score, int]]) -> np.ndarray:
    """Return the sound of scores one after the other, each so many frames, by the driver and one chip."""
    logs, at, starts = [nesasset.drive(score, frames) for score, frames in pieces], 0, []
    for _, frames in pieces:
        starts.append(at)
        at += frames
    kept = [log.frames < frames for log, (_, frames) in zip(logs, pieces, strict=True)]
    return Player(44_100).play(
        RegisterLog(
            np.concatenate([log.frames[inside] + start for log, inside, start in zip(logs, kept, starts, strict=True)]),
            np.concatenate([log.addresses[inside] for log, inside in zip(logs, kept, strict=True)]),
            np.concatenate([log.values[inside] for log, inside in zip(logs, kept, strict=True)]),
            at,
        )
    )


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
    with tempfile.TemporaryDirectory() as compiled:
        # As pip leaves a package: compiled to byte code, which the first round, not counted, does here.
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(rounds + 1):
            began = time.time()
            done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True, env=environment, timeout=60)
            cold.append(1000 * (float(done.stdout.split()[-1]) - began))
    del cold[0]
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
        "largest jump at a seam, of the music's own": round(seam / inside, 3),
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
    found: dict[int, float] = {}
    for second in range(round(60 * minutes)):
        music.effect("coin", second, tuned=True)
        if second % 23 == 0:
            music.to(("cave", "boss", "town", "castle")[second // 23 % 4], second, via=("cut", "fade", "bridge")[second % 3], evolve=True)
        if second % 61 == 0:
            music.stinger("victory")
        music.advance(1.0)
        if second % 60 == 59:
            found[second // 60 + 1] = memory_mb()
    return {
        "minutes": minutes,
        **{f"MiB after minute {minute}": round(found[minute], 2) for minute in (1, 2, 10, 30, round(minutes)) if minute in found},
        "growth after the first minute in MiB": round(found[max(found)] - found[1], 2),
    }


def commands() -> dict[str, Any]:
    """Run the tests that listen to what commands do: pitch, tempo, voices, loudness in captured samples."""
    passed, failed = _tests("tests/test_play_engine.py", "tests/test_play.py", "tests/test_play_outputs.py")
    return {"tests that listen, passed": passed, "tests that listen, failed": failed}


def _tests(*files: str) -> tuple[int, int]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *files], capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    return counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0) + (done.returncode > 1)


def shown() -> dict[str, Any]:
    """Play the demo without a screen for a minute, and look at its pictures and sound; run the examples, one of them frozen."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "demo_game", "--headless", "3600", "--out", folder]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        pictures = sorted(Path(folder).glob("*.png"))
        empty = sum(len(np.unique(pygame.surfarray.array2d(pygame.image.load(path)))) < 16 for path in pictures)
        data = np.frombuffer((Path(folder) / "heard.wav").read_bytes()[44:], "<i2")
    seconds = [loudness(data[at : at + 44_100]) for at in range(0, len(data) - 44_100, 44_100)]
    lines = [line for line in (ROOT / "examples/eight_lines.py").read_text().splitlines() if line.strip()]
    passed, failed = _tests("tests/test_examples.py")
    return {
        "pictures of levels and overlay": len(pictures),
        "pictures that are empty": empty,
        "seconds of sound": len(seconds),
        "silent seconds": sum(one < 30 for one in seconds),
        "peak, of full scale": round(float(abs(data.astype(int)).max()) / 32_768, 3),
        "lines of the eight-line example": len(lines),
        "tests of examples, passed": passed,
        "examples that fail, the frozen one included": failed,
    }


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", type=float, default=600.0, help="seconds of the demo")
    parser.add_argument("--busy", type=float, default=60.0, help="seconds of the demo beside a busy thread")
    parser.add_argument("--hours", type=float, default=1.0, help="of simulated play")
    parser.add_argument("--only", nargs="*", choices=list(BARS))
    wishes = parser.parse_args()
    parts = {
        "game": lambda: game(wishes.game),
        "busy": lambda: game(wishes.busy, busy=True),
        "scene": scene,
        "drift": drift,
        "first": first_sound,
        "same": same_again,
        "commands": commands,
        "shown": shown,
        "memory": lambda: memory(60 * wishes.hours),
    }
    results, missed = {}, 0
    for name, measure in parts.items():
        if wishes.only and name not in wishes.only:
            continue
        results[name] = measure()
        print(name)
        for label, value in results[name].items():
            sign, bar = BARS[name].get(label, ("", 0.0))
            met = not sign or _SIGNS[sign](value, bar)
            missed += not met
            print(f"  {label:44} {value!s:12} {f'bar {sign} {bar:g}' if sign else '':14} {'' if met else 'NOT MET'}".rstrip())
    print(f"{missed} bars not met")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
