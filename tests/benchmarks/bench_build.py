"""Measure builds, every figure beside its bar: time, memory, the same bytes in every way, other programs' reading, kills, damage.

    python tests/benchmarks/bench_build.py                  everything, some twenty minutes
    python tests/benchmarks/bench_build.py --only times     a pack of 24 tracks: cold, nothing to do, checked, one changed

Whole processes are timed, interpreter and imports with them. Beside the wall's time stands the processors' time, which other
work on the machine does not lengthen as much. Prints a table; the last line is JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import operator
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from nesasset.themes import THEMES  # noqa: E402


def tree_memory(number: int) -> int:
    """Return the resident bytes of a process and all below it; memory that they share counts for each."""
    total, wanted = 0, {number}
    for entry in sorted((path for path in Path("/proc").iterdir() if path.name.isdigit()), key=lambda path: int(path.name)):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(entry.name) in wanted or int(fields[1]) in wanted:
                wanted.add(int(entry.name))
                total += int(fields[21]) * resource.getpagesize()
        except (OSError, ValueError):
            continue
    return total


def run(folder: Path, cache: Path, *arguments: str, memory: bool = False) -> dict:
    """Run nesasset and return what it took."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NESASSET_CACHE_DIR": str(cache)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    program = subprocess.Popen([sys.executable, "-m", "nesasset", *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = 0

    def watch() -> None:
        nonlocal peak
        while program.poll() is None:
            peak = max(peak, tree_memory(program.pid))
            time.sleep(0.1)

    watching = threading.Thread(target=watch) if memory else None
    if watching:
        watching.start()
    output, errors = program.communicate()
    seconds = time.perf_counter() - begun
    if watching:
        watching.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if program.returncode not in (0, 1):
        raise SystemExit(errors)
    return {"seconds": seconds, "cpu_s": cpu, "peak_mb": peak / 1e6, "code": program.returncode, "output": output}


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def game(folder: Path, n_tracks: int) -> Path:
    """Write the manifest of a game of so many tracks, for two engines."""
    folder.mkdir()
    names = list(THEMES)
    lines = ["schema = 1", "[pack]", 'name = "bench"', "[export.pygame]", 'dir = "music"']
    for number in range(n_tracks):
        name = names[number % len(names)]
        lines += [f"[track.{name}-{number}]", f'theme = "{name}"', f"seed = {number}"]
    (folder / "nesasset.toml").write_text("\n".join(lines) + "\n")
    return folder


def agree(place: Path, first: Path, n_tracks: int) -> dict[str, bool]:
    """Build in other ways and compare all bytes."""
    wanted = contents(first)
    one = game(place / "one", n_tracks)
    run(one, place / "cache-one", "build", "-j", "1")
    lock = place / "lock"
    lock.mkdir()
    for name in [name for name in wanted if name.startswith(("scores/", "nesasset."))]:
        (lock / name).parent.mkdir(exist_ok=True)
        (lock / name).write_bytes((first / name).read_bytes())
    run(lock, place / "cache-lock", "build", "--locked", "-j", "2")
    found = {"-j1": contents(one) == wanted, "lock alone": contents(lock) == wanted}
    try:
        import distributed
    except ImportError:
        return found
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    os.environ["PYTHONPATH"] = environment["PYTHONPATH"]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as cluster:
        many = game(place / "dask", n_tracks)
        run(many, place / "cache-dask", "build", "--dask", cluster.scheduler_address)
    return {**found, "dask": contents(many) == wanted}


def times(options: argparse.Namespace) -> dict[str, Any]:
    """Build a pack cold, with nothing to do, with one track changed; and check it."""
    found: dict[str, Any] = {"tracks": options.tracks, "processes": options.jobs}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder, cache = game(place / "game", options.tracks), place / "cache"
        cold = run(folder, cache, "build", "-j", str(options.jobs), memory=True)
        found |= {"cold build, s": round(cold["seconds"], 1), "cold build, s of CPU": round(cold["cpu_s"], 1), "cold build, peak MB": round(cold["peak_mb"])}
        for title, arguments in (("nothing to do", ("build",)), ("--check", ("build", "--check"))):
            several = [run(folder, cache, *arguments) for _ in range(7)]
            found[f"{title}, s"] = round(statistics.median(one["seconds"] for one in several), 3)
            found[f"{title}, s of CPU"] = round(statistics.median(one["cpu_s"] for one in several), 3)
            found[f"{title}, exit code"] = max(one["code"] for one in several)
        text = (folder / "nesasset.toml").read_text()
        (folder / "nesasset.toml").write_text(text.replace("seed = 3\n", "seed = 300\n"))
        before = contents(folder / "music")
        changed = run(folder, cache, "build", "-j", str(options.jobs))
        after = contents(folder / "music")
        made = sum(before[name] != after[name] for name in before if name.endswith(".ogg"))
        found |= {"one track changed, s": round(changed["seconds"], 2), "one track changed, tracks made": made}
        (folder / "nesasset.toml").write_text(text)
        back = run(folder, cache, "build", "-j", str(options.jobs))
        found |= {"changed back, s (from the cache)": round(back["seconds"], 2), "changed back, files unlike before": sum(before[name] != digest for name, digest in contents(folder / "music").items())}
    return found


def agreement(options: argparse.Namespace) -> dict[str, Any]:
    """Build in every other way and compare."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder = game(place / "game", options.tracks)
        run(folder, place / "cache", "build", "-j", str(options.jobs))
        same = agree(place, folder, options.tracks)
    return {"ways compared with -j2": ", ".join(same), "ways with other bytes": sum(not equal for equal in same.values())}


def program(name: str, *arguments: str) -> dict[str, Any]:
    """Run another benchmark and return what its last line says."""
    done = subprocess.run([sys.executable, str(Path(__file__).with_name(name)), *arguments], capture_output=True, text=True, check=False)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {"wrong": done.stderr[-500:]}
    return told


def kills(options: argparse.Namespace) -> dict[str, Any]:
    """Kill builds, and start pairs of them."""
    told = program("kill_builds.py", "--kills", str(options.kills))
    return {"builds killed": told.get("kills"), "pairs at once": told.get("pairs"), "with other files afterwards": told["wrong"]}


def damaged(options: argparse.Namespace) -> dict[str, Any]:
    """Build from damaged files."""
    told = program("hostile_builds.py", "--files", str(options.files))
    return {"damaged manifests, locks, scores, maps, cache objects": told.get("files"), "handled wrongly": told["wrong"]}


# What reads our files that is not ours, and the tests in which it does.
READERS: Final = {
    "SDL_mixer: captured, three passes": "tests/test_engines.py -k sdl_mixer",
    "the RPG Maker rule, imitated": "tests/test_engines.py tests/test_formats_audio.py -k rpg_maker",
    "libsndfile and mutagen": "tests/test_formats_audio.py -k out_and_back or mutagen or sound_is_untouched",
    "ffprobe and ffmpeg": "tests/test_engines.py -k ffprobe or ffmpeg",
    "PyMusicLooper": "tests/test_engines.py -k pymusiclooper",
    "Lua: the code for LOVE and Defold": "tests/test_engines.py -k love or defold",
    "taplo and check-jsonschema: the manifest": "tests/test_manifest.py -k another_reader or editor",
    "check-jsonschema: the action; its script run": "tests/test_build_command.py -k action or example_game or hooks",
    "Chromium: the page and the sprite": "tests/test_browser.py",
}


def readers(options: argparse.Namespace) -> dict[str, Any]:
    """Run the tests in which other programs read what we write."""
    found: dict[str, Any] = {}
    failed = 0
    for title, told in READERS.items():
        files, _, chosen = told.partition(" -k ")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *files.split(), *(["-k", chosen] if chosen else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout.splitlines()[-1])}
        failed += counts.get("failed", 0) + counts.get("error", 0) + (not counts.get("passed") and not counts.get("skipped"))
        found[title] = ", ".join(f"{count} {word}" for word, count in counts.items())
    return {**found, "readers that disagree": failed}


def newcomer(options: argparse.Namespace) -> dict[str, Any]:
    """Go from a game's folder to its music as the README says, answering nothing."""
    commands = (("init",), ("build",))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "game"
        folder.mkdir()
        (folder / "main.py").write_text("import pygame\n")
        begun = time.perf_counter()
        for arguments in commands:
            run(folder, Path(name) / "cache", *arguments)
        seconds = time.perf_counter() - begun
        files = list(folder.rglob("*.ogg"))
    return {"commands from nothing to a pack": len(commands), "questions on a pipe": 0, "OGG files": len(files), "seconds": round(seconds, 1)}


# What each figure must be; a figure that is not here is told for its own sake.
BARS: Final[dict[str, dict[str, tuple[str, float]]]] = {
    "times": {
        "cold build, s": ("<=", 45),
        "cold build, peak MB": ("<=", 1000),
        "nothing to do, s": ("<=", 0.5),
        "--check, s": ("<=", 0.4),
        "nothing to do, exit code": ("==", 0),
        "--check, exit code": ("==", 0),
        "one track changed, tracks made": ("==", 1),
        "changed back, files unlike before": ("==", 0),
    },
    "agreement": {"ways with other bytes": ("==", 0)},
    "newcomer": {"commands from nothing to a pack": ("<=", 2), "OGG files": (">=", 1)},
    "readers": {"readers that disagree": ("==", 0)},
    "kills": {"with other files afterwards": ("==", 0)},
    "damaged": {"handled wrongly": ("==", 0)},
}
PARTS: Final[dict[str, Callable[[argparse.Namespace], dict[str, Any]]]] = {
    "times": times,
    "agreement": agreement,
    "newcomer": newcomer,
    "readers": readers,
    "kills": kills,
    "damaged": damaged,
}
_SIGNS: Final[dict[str, Callable[[Any, float], bool]]] = {"==": operator.eq, "<=": operator.le, ">=": operator.ge}


def main() -> None:
    """Measure what is asked for, and print it beside its bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=list(PARTS))
    parser.add_argument("--tracks", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--files", type=int, default=300)
    options = parser.parse_args()
    results, missed = {}, 0
    for name, measure in PARTS.items():
        if options.only and name not in options.only:
            continue
        results[name] = measure(options)
        print(name)
        for label, value in results[name].items():
            sign, bar = BARS[name].get(label, ("", 0.0))
            met = not sign or (isinstance(value, (int, float)) and _SIGNS[sign](value, bar))
            missed += not met
            print(f"  {label:54} {value!s:14} {f'bar {sign} {bar:g}' if sign else '':12} {'' if met else 'NOT MET'}".rstrip(), flush=True)
    print(f"{missed} bars not met")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
