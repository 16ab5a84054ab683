"""How long builds take, what they need, and that they agree: a pack of 24 tracks, cold, warm, checked and with one track changed.

    python tests/benchmarks/bench_build.py [--tracks 24] [--jobs 2] [--agree]

Whole processes are timed, interpreter and imports with them. Beside the wall's time stands the processors' time, which other
work on the machine does not lengthen as much. --agree also builds with one process, from the lock alone and on two workers
of a Dask cluster, and compares all bytes. Prints a table, and JSON on the last line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tracks", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--agree", action="store_true")
    options = parser.parse_args()
    rows: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder, cache = game(place / "game", options.tracks), place / "cache"
        rows["cold build"] = run(folder, cache, "build", "-j", str(options.jobs), memory=True)
        for title, arguments in (("nothing to do", ("build",)), ("check", ("build", "--check"))):
            times = [run(folder, cache, *arguments) for _ in range(7)]
            rows[title] = {"seconds": statistics.median(t["seconds"] for t in times), "cpu_s": statistics.median(t["cpu_s"] for t in times), "least_s": min(t["seconds"] for t in times)}
        text = (folder / "nesasset.toml").read_text()
        (folder / "nesasset.toml").write_text(text.replace("seed = 3\n", "seed = 300\n"))
        before = contents(folder / "music")
        rows["one track changed"] = run(folder, cache, "build", "-j", str(options.jobs))
        after = contents(folder / "music")
        rows["one track changed"]["files"] = sum(before[name] != after[name] for name in before)
        (folder / "nesasset.toml").write_text(text)
        rows["changed back"] = run(folder, cache, "build", "-j", str(options.jobs))
        same = agree(place, folder, options.tracks) if options.agree else {}
    print(f"{'':20}{'wall s':>9}{'cpu s':>9}{'peak MB':>9}")
    for title, row in rows.items():
        print(f"{title:20}{row['seconds']:9.2f}{row['cpu_s']:9.2f}{row.get('peak_mb', 0) or 0:9.0f}" + (f"   least {row['least_s']:.2f} s" if "least_s" in row else "") + (f"   {row['files']} files" if "files" in row else ""))
    for title, equal in same.items():
        print(f"{title:20}{'same bytes' if equal else 'OTHER BYTES':>12}")
    print(json.dumps({"tracks": options.tracks, **{title: {key: value for key, value in row.items() if key != "output"} for title, row in rows.items()}, "agree": same}))


if __name__ == "__main__":
    main()
