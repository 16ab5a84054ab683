"""What every test file may use: markers that skip, and a manifest made of small pieces."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests share the machine; inherited by the programs they start
hypothesis.settings.register_profile("house", deadline=None)  # a slow machine is no wrong result
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of torch where torch is not installed."""
    if importlib.util.find_spec("torch") is not None:
        return
    for item in items:
        if "torch" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="torch is not installed"))


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a cache of its own: no test sees what another has built, nor what the user has."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NESASSET_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def run_python(tmp_path: Path):
    """Run a program in a fresh interpreter and return what it did."""
    import subprocess

    def run(program: str, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        command = [sys.executable, "-W", "error", "-c", program, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=environment, cwd=tmp_path, check=False
        )

    return run


@pytest.fixture
def run(capsys):
    """Run the command line and return exit code, standard output and standard error."""
    from nesasset import cli

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run
