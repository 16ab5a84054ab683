"""A build on a real Dask cluster of two workers on this machine, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_build import contents

from nesasset.build import builder, project, studio, workers
from nesasset.build.builder import Events, Settings
from nesasset.errors import NesassetError

ROOT = Path(__file__).parent.parent
THEMES = ("town", "boss", "cave", "water", "victory", "item", "castle", "sky")
MANIFEST = "schema = 1\n[pack]\nname = 'n'\n[defaults]\nbars = 1\n" + "".join(f"[track.{name}]\ntheme = '{name}'\nseed = {number}\n" for number, name in enumerate(THEMES))


def make(job):
    """Make a track of pieces, slowly enough for a worker to die while it works; workers import this by name."""
    import pieces

    time.sleep(0.4)
    return studio.make(job, pieces.compose)


@pytest.fixture
def cluster(tmp_path: Path):
    """The address of a scheduler with two workers, processes of their own."""
    pytest.importorskip("distributed", reason="distributed is not installed")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "5"}
    programs = []

    def start(*arguments: str) -> subprocess.Popen:
        program = subprocess.Popen([sys.executable, "-m", *arguments], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        programs.append(program)
        return program

    file = tmp_path / "scheduler.json"
    start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    import json

    address = json.loads(file.read_text())["address"]
    found = [start("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--death-timeout", "30") for _ in range(2)]
    yield address, found
    for program in programs:
        program.kill()
        program.wait()


@pytest.mark.filterwarnings("ignore")  # distributed's own, about a connection that nobody takes
def test_a_cluster_that_is_not_there_is_one_sentence() -> None:
    """An address at which nobody answers is told with the address."""
    pytest.importorskip("distributed", reason="distributed is not installed")
    with pytest.raises(NesassetError, match=r"no Dask scheduler answers at 'tcp://127.0.0.1:1'"), workers.dask("tcp://127.0.0.1:1", 0.5):
        pass


@pytest.mark.skipif(os.name == "nt", reason="a worker is killed by a POSIX signal here")
@pytest.mark.filterwarnings("ignore")  # distributed's own, when a worker vanishes
def test_a_worker_that_is_killed_loses_nothing(cluster, tmp_path: Path) -> None:
    """Two workers build, one is killed with -9 after the second track: every track is there, the same bytes as here."""
    address, programs = cluster

    def build(folder: Path, **settings) -> None:
        folder.mkdir()
        (folder / "nesasset.toml").write_text(MANIFEST)
        found = project.load(folder / "nesasset.toml", str(folder / "pack"))
        builder.build(found, Settings(make=make, share_cache=False, **settings), Events(finished=finished if settings else lambda made: None))

    done: list[str] = []

    def finished(made) -> None:
        done.append(made.id)
        if len(done) == 2:
            programs[0].send_signal(signal.SIGKILL)

    with workers.dask(address, 60) as executor:
        deadline = time.monotonic() + 60
        while len(executor._client.scheduler_info()["workers"]) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        build(tmp_path / "cluster", executor=executor)
    assert programs[0].wait(20) == -signal.SIGKILL
    assert sorted(done) == sorted(THEMES)
    build(tmp_path / "here")
    assert contents(tmp_path / "cluster") == contents(tmp_path / "here")
