"""A small sample of tests/benchmarks/hostile.py: damaged files of every format through the command line, and who judges them."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limits are Linux's")


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


hostile_files = _load("hostile_files")
hostile = _load("hostile")


@pytest.fixture(scope="module")
def whole():
    return hostile_files.whole_files(with_model=False)


@pytest.fixture(scope="module")
def runner():
    with hostile.Runner() as running:
        yield running


def test_damaged_files_are_answered(runner, whole) -> None:
    """Sixty damaged files are played, read or refused in one sentence, in time, and leave nothing behind."""
    found = []
    for number in range(60):
        entry = hostile_files.damaged(random.Random(f"test {number}"), whole)
        finding = runner.run(entry.suffix, entry.data, hostile.commands_for(entry.suffix, random.Random(number)))
        if finding.outcome in hostile.FAULTS:
            found.append((number, entry.story, finding.details))
    assert found == []


@pytest.mark.parametrize("suffix", [".vgm", ".vgz", ".log", ".mid", ".ftm.txt", ".json"])
def test_whole_files_are_accepted(runner, whole, suffix: str) -> None:
    """What the damage is done to is accepted as it is, or the damage would prove nothing."""
    _, data = whole[suffix][1]
    commands = hostile.commands_for(suffix, random.Random(1))
    assert runner.run(suffix, data, commands).outcome == "accepted"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "accepted"),
        ({"code": 1, "err": "nesasset: in.vgm: the file is no VGM\n"}, "refused"),
        ({"code": 1, "err": "nesasset: one\nnesasset: two\n"}, "unclear"),
        ({"code": 2, "err": "nesasset: " + "x" * 2000 + "\n"}, "unclear"),
        ({"code": 3, "err": "Traceback\nKeyError: 3\n"}, "traceback"),
        ({"code": 3, "err": "Traceback\nMemoryError\n"}, "memory"),
        ({"err": "a.py:3: RuntimeWarning: overflow\n"}, "traceback"),
        ({"seconds": 2.5}, "slow"),
        ({"code": 130, "err": "nesasset: interrupted\n"}, "slow"),
        ({"code": 1, "err": "nesasset: no\n", "stray": [".nesasset-1.tmp"]}, "stray"),
    ],
)
def test_the_judge(changes, outcome: str) -> None:
    """Every kind of fault is told from what is well."""
    answer = {"command": ["info", "IN"], "code": 0, "seconds": 0.1, "stray": [], "err": "", "where": ""} | changes
    assert hostile.judge([answer]).outcome == outcome


def test_the_same_number_is_the_same_file(whole) -> None:
    """A file that finds a fault can be made again from its number."""
    first, again = (hostile_files.damaged(random.Random("0 12"), whole) for _ in range(2))
    assert first == again


def test_the_process_lives_on(runner) -> None:
    """One refusal after the other comes from a process that goes on, in a folder that holds nothing of the last file."""
    for _ in range(2):
        finding = runner.run(".json", b"{}", [("render", "IN", "-o", "out.wav")])
        assert (finding.outcome, finding.details) == ("refused", [])
