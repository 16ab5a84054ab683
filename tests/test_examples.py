"""The examples run: each for some seconds without a screen, pressed on its keys; the eight lines are eight; a game is frozen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ear import loudness

from nesasset._pyinstaller import get_hook_dirs
from nesasset.themes import THEMES

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

pytest.importorskip("pygame", reason="pygame is not installed", exc_type=ImportError)

# Runs an example for so many turns of its loop, pressing keys on the way, with the stand-in model; tells what was heard.
RUNNER = """
import os, sys, runpy, logging, time
os.environ.update(SDL_VIDEODRIVER="dummy", SDL_AUDIODRIVER="dummy", PYGAME_HIDE_SUPPORT_PROMPT="1")
logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="WARNING %(message)s")
import pygame, nesasset
from nesasset.play import Music
path, keys, turns, model = sys.argv[1], [int(key) for key in sys.argv[2].split(",") if key], int(sys.argv[3]), sys.argv[4]
made, started = [], Music.__init__
def start(self, *arguments, **named):
    made.append(self)
    started(self, *arguments, **{**named, "model": model, "strict": True})
Music.__init__ = start
themes, turn, get, late = set(), 0, pygame.event.get, time.monotonic() + 60
def events(*arguments):
    global turn
    theme = made[0].position.theme if made else ""
    themes.add(theme)
    turn += bool(turn or theme or time.monotonic() > late)  # its turns count from when it is heard
    found = list(get(*arguments))
    if keys and turn % 30 == 29:
        found.append(pygame.event.Event(pygame.KEYDOWN, key=keys.pop(0)))
    if turn > turns:
        found.append(pygame.event.Event(pygame.QUIT))
    return found
pygame.event.get = events
sys.argv = [path]
runpy.run_path(path, run_name="__main__")
print(*sorted(themes - {""}))
made[0].close()
"""


@pytest.mark.parametrize(
    ("name", "keys", "heard"),
    [
        ("eight_lines", "", {"overworld"}),
        ("state_table", "K_RIGHT,K_w,K_h", {"overworld"}),
        ("tiled_map", "", {"overworld"}),
        ("save_restore", "K_F5,K_SPACE,K_F9", {"town"}),
    ],
)
def test_an_example_runs_and_is_heard(run_python, name: str, keys: str, heard: set[str]) -> None:
    """Some seconds of its loop, with its keys pressed: its theme plays, and nothing is told to the log."""
    import pygame

    pressed = ",".join(str(getattr(pygame, key)) for key in keys.split(",") if key)
    standin = str(ROOT / "tests" / "standin" / "standin.json")
    done = run_python(RUNNER, str(ROOT / "examples" / f"{name}.py"), pressed, "110", standin, timeout=100)
    assert done.returncode == 0, done.stderr
    assert heard <= set(done.stdout.split())
    told = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert not [line for line in told if "the machine is overloaded" not in line]


def test_the_list_of_examples_that_run_is_complete() -> None:
    """No program in the folder is left out above."""
    assert {path.stem for path in EXAMPLES} == {"eight_lines", "state_table", "tiled_map", "save_restore"}


def test_the_eight_lines_are_eight() -> None:
    """A whole game loop with adaptive music, nothing left out, none of them long."""
    lines = [line for line in (ROOT / "examples/eight_lines.py").read_text().splitlines() if line.strip()]
    assert len(lines) == 8
    assert max(map(len, lines)) < 80


def test_the_map_is_one_that_tiled_writes() -> None:
    """A ground as large as it says, and themes that exist."""
    chart = json.loads((ROOT / "examples/maps/river.tmj").read_text())
    assert len(chart["layers"][0]["data"]) == chart["width"] * chart["height"]
    told = [*chart["properties"], *(entry for item in chart["layers"][1]["objects"] for entry in item["properties"])]
    assert {entry["value"] for entry in told if entry["name"] == "music_theme"} <= set(THEMES)


def test_the_hook_folder_has_what_pyinstaller_looks_for() -> None:
    """A hook for the package, and a runtime hook that its table names."""
    folder = Path(get_hook_dirs()[0])
    table = json.loads((folder / "rthooks.dat").read_text())
    assert (folder / "hook-nesasset.py").exists()
    assert all((folder / "rthooks" / name).exists() for name in table["nesasset"])


def heard_so_far(path: Path) -> np.ndarray:
    """Return what SDL's disk driver has written so far, one of its two channels."""
    data = path.read_bytes() if path.exists() else b""
    return np.frombuffer(data[: len(data) // 4 * 4], "<i2")[::2]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for the composing process in Linux's /proc")
def test_a_frozen_example_composes_and_is_heard(tmp_path) -> None:
    """The eight lines, frozen by PyInstaller, started without any Python of ours: another process composes, SDL plays it."""
    pytest.importorskip("PyInstaller", reason="PyInstaller is not installed")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "--additional-hooks-dir", get_hook_dirs()[0]]
    for name in ("torch", "onnx", "scipy", "sympy", "distributed", "dask"):  # what onnxruntime would use and does not need
        command += ["--exclude-module", name]
    made = subprocess.run(
        [*command, str(ROOT / "examples" / "eight_lines.py")], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert made.returncode == 0, made.stderr[-3000:]
    assert not list((tmp_path / "dist").rglob("*torch*"))
    program, raw = tmp_path / "dist" / "eight_lines" / "eight_lines", tmp_path / "heard.raw"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    bare |= {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "disk", "SDL_DISKAUDIOFILE": str(raw)}
    with subprocess.Popen([program], cwd=tmp_path, env=bare, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 100
        while running.poll() is None and np.count_nonzero(heard_so_far(raw)) < 44_100 and time.monotonic() < until:
            time.sleep(0.1)
        composing = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(program).encode() + b"\0--nesasset-composer" in _text(path)]
        running.terminate()  # SDL makes a QUIT event of it
        _, said = running.communicate(timeout=20)
    assert running.returncode == 0, said[-3000:]
    assert len(composing) == 1, said[-3000:]
    assert loudness(heard_so_far(raw)[-22_050:]) > 300


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def test_examples_are_text() -> None:
    """Nothing but text in the folder: no sounds, no pictures."""
    files = [path for path in (ROOT / "examples").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert files
    for path in files:
        assert "\0" not in path.read_text(encoding="utf-8")
