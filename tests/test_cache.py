"""The cache: what is kept comes back, what is damaged does not, and nothing that is not ours is touched."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from nesasset.build import keys
from nesasset.build.cache import Cache, Usage
from nesasset.errors import OutputError


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".nesasset"]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


KEY = "0" * 64


def test_what_is_kept_comes_back(cache: Cache) -> None:
    """A result is found under its stage and key, and under no other."""
    assert cache.get("sound", KEY) is None
    cache.put("sound", KEY, b"result")
    assert cache.get("sound", KEY) == b"result"
    assert cache.get("log", KEY) is None
    assert cache.get("sound", "1" * 64) is None


def test_a_result_is_made_once(cache: Cache) -> None:
    """`memo` makes what is not there and only that."""
    made: list[int] = []
    for _ in range(2):
        assert cache.memo("file", KEY, lambda: bytes(made.append(1) or b"x")) == b"x"
    assert made == [1]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:60] + b"?" + data[61:], lambda data: b"x" * 99, lambda data: data[:49]])
def test_a_damaged_entry_is_not_there(cache: Cache, damage) -> None:
    """What was cut off or changed is never given out; it is removed and may be made again."""
    cache.put("sound", KEY, bytes(1000))
    (path,) = entries(cache.folder)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("sound", KEY) is None
    assert not entries(cache.folder)
    cache.put("sound", KEY, bytes(1000))
    assert cache.get("sound", KEY) == bytes(1000)


def test_pruning_takes_what_was_not_used_for_the_longest_time(cache: Cache) -> None:
    """The oldest use goes first; a look is a use."""
    for number in range(4):
        cache.put("file", f"{number}" * 64, os.urandom(1000))
    for age, path in enumerate(sorted(entries(cache.folder))):
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    cache.get("file", "0" * 64)
    size = cache.usage().bytes
    removed = cache.prune(size // 2)
    assert removed.entries == 2
    assert [cache.get("file", f"{number}" * 64) is None for number in range(4)] == [False, True, True, False]
    cache.prune(0)
    assert cache.usage() == Usage(0, 0)


def test_only_a_cache_of_ours_is_pruned(tmp_path: Path) -> None:
    """A folder that is something else is refused and stays as it is."""
    (tmp_path / "1/file/00").mkdir(parents=True)
    (tmp_path / "1/file/00/mine").write_text("keep")
    with pytest.raises(OutputError, match="is no cache of nesasset"):
        Cache(tmp_path).prune(0)
    assert (tmp_path / "1/file/00/mine").read_text() == "keep"


def test_left_temporary_files_go(cache: Cache) -> None:
    """What a killed build was writing an hour ago is removed; what is being written now stays."""
    cache.put("file", KEY, b"x")
    old, new = (cache.folder / name for name in (".0123456789abcdef.tmp", ".fedcba9876543210.tmp"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.prune(1 << 30)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    """Results are then simply not kept."""
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file/cache")
    cache.put("sound", KEY, b"x")
    assert cache.get("sound", KEY) is None


def test_writers_and_readers_at_once_see_whole_results(cache: Cache) -> None:
    """Eight threads that write, read and prune one key never see another result than the one there is."""
    content, wrong = os.urandom(50_000), []

    def work(number: int) -> None:
        for _ in range(30):
            if number % 2:
                cache.put("sound", KEY, content)
            elif (found := cache.get("sound", KEY)) not in (None, content):
                wrong.append(found)
            if number == 7:
                cache.prune(0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_keys_depend_on_all_inputs_and_on_the_code(monkeypatch) -> None:
    """Another input, another stage or other sources: another key; the order of inputs is none."""
    known = keys.key("sound", {"a": 1, "b": 2})
    assert known == keys.key("sound", {"b": 2, "a": 1})
    assert len({known, keys.key("sound", {"a": 1, "b": 3}), keys.key("log", {"a": 1, "b": 2})}) == 3
    monkeypatch.setattr(keys, "fingerprint", lambda stage: "other")
    assert keys.key("sound", {"a": 1, "b": 2}) != known


def test_every_source_that_a_stage_names_is_there() -> None:
    """The lists of sources name files and folders that exist."""
    for stage, names in keys._CODE.items():
        assert all((keys._PACKAGE / name).exists() for name in names), stage


def test_the_composers_key_covers_what_it_imports() -> None:
    """Every module of the package that composing and certifying load is among the sources of the composer's key."""
    import subprocess
    import sys

    program = (
        "import sys, nesasset.compose.writer, nesasset.compose.assemble, nesasset.compose.judge, nesasset.build.stages\n"
        "print(*[m.__file__ for n, m in sys.modules.items() if n.startswith('nesasset') and getattr(m, '__file__', None)], sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(keys._PACKAGE.parent)})
    # Packages themselves, errors' texts and the formats of scores decide nothing about a note.
    harmless = {"__init__.py", "errors.py", "build/__init__.py"}
    for line in done.stdout.splitlines():
        name = Path(line).relative_to(keys._PACKAGE).as_posix()
        covered = any(name == known or name.startswith(f"{known}/") for known in keys._CODE["compose"])
        assert covered or name in harmless or name.startswith("formats/"), name


def test_the_command_tells_and_prunes(run, cache_folder: Path) -> None:
    """`nesasset cache` says how much there is, and makes it less."""
    Cache(cache_folder).put("file", KEY, os.urandom(1000))
    assert f"folder   {cache_folder}" in run("cache")[1]
    assert "removed_entries" in run("cache", "--prune", "0")[1]
    assert not entries(cache_folder)
    code, _, errors = run("cache", "--prune", "much")
    assert (code, errors) == (2, "nesasset: --prune must be a size such as 500M or 2G, not 'much' (see nesasset cache --help)\n")
