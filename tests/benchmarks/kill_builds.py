"""Kills builds with -9 at random moments, and starts two at once; after each the next build must end with the very same files.

    python tests/benchmarks/kill_builds.py [--kills 50] [--pairs 10] [--seed 1]

Composes small pieces instead of the model's, so that the moments fall into all stages: reading, rendering, writing, pinning.
Prints a table, and JSON on the last line; ends with 1 if a file differs or is left over.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MAIN = """
import sys
import pieces
from nesasset.build import stages
stages.compose_score = pieces.compose  # worker processes import this file too
if __name__ == "__main__":
    from nesasset import cli
    sys.exit(cli.main(sys.argv[1:]))
"""
THEMES = ("town", "boss", "cave", "water", "victory", "item")


def game(folder: Path) -> Path:
    """Write a game of six tracks for two engines."""
    folder.mkdir()
    lines = ["schema = 1", "[pack]", 'name = "kill"', "[defaults]", "bars = 2", "[export.plain]", 'dir = "plain"', "[export.godot]", 'dir = "godot"', "[export.rpgmaker]", 'dir = "audio"']
    for number, name in enumerate(THEMES):
        lines += [f"[track.{name}]", f'theme = "{name}"', f"seed = {number}"]
    (folder / "nesasset.toml").write_text("\n".join(lines) + "\n")
    return folder


def start(folder: Path, main: Path, cache: Path, jobs: int) -> subprocess.Popen:
    """Start a build in a process group of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "NESASSET_CACHE_DIR": str(cache)}
    return subprocess.Popen([sys.executable, str(main), "build", "-j", str(jobs)], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(program: subprocess.Popen) -> None:
    """Wait for a build that must succeed."""
    _, errors = program.communicate(timeout=300)
    if program.returncode:
        raise SystemExit(f"a build ended with {program.returncode}: {errors.decode()}")


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of everything below a folder, hidden files and empty folders too."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder" for path in sorted(folder.rglob("*"))}


def state(folder: Path) -> str:
    """Return how far a killed build had come."""
    names = {path.name for path in folder.rglob("*")}
    if "nesasset.lock" in names:
        return "after the lock"
    if any(name.startswith(".nesasset-") for name in names):
        return "while writing" if any((folder / "scores").glob("*.json")) else "before the first track"
    return "before writing"


def main() -> int:
    """Kill, build again, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance, wrong, states = random.Random(options.seed), [], Counter()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "main.py").write_text(MAIN)
        reference = game(place / "reference")
        begun = time.perf_counter()
        finish(start(reference, place / "main.py", place / "cache-reference", 2))
        whole, wanted = time.perf_counter() - begun, contents(reference)
        for number in range(options.kills):
            # Half of the kills start cold, half with the results of the kill before; one or two processes.
            folder, cache = game(place / f"kill-{number}"), place / f"cache-{number // 2}"
            program = start(folder, place / "main.py", cache, 1 + number % 2)
            time.sleep(chance.uniform(0, whole))
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            states[state(folder)] += 1
            finish(start(folder, place / "main.py", cache, 1 + number % 2))
            if contents(folder) != wanted:
                wrong.append(f"kill {number}: {sorted(set(contents(folder).items()) ^ set(wanted.items()))[:4]}")
        for number in range(options.pairs):
            folder, cache = game(place / f"pair-{number}"), place / f"cache-pair-{number}"
            programs = [start(folder, place / "main.py", cache, 1), start(folder, place / "main.py", cache if number % 2 else place / f"cache-other-{number}", 2)]
            for program in programs:
                finish(program)
            if contents(folder) != wanted:
                wrong.append(f"pair {number}")
    print(f"a whole build takes {whole:.1f} s; killed: " + ", ".join(f"{count} {what}" for what, count in states.most_common()))
    print(f"{options.kills} kills and {options.pairs} pairs, {len(wrong)} with other files")
    for line in wrong[:10]:
        print(line)
    print(json.dumps({"kills": options.kills, "pairs": options.pairs, "states": states, "wrong": len(wrong), "whole_s": round(whole, 2)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
