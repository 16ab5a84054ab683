"""The cache: results of stages by their keys, on disk. Safe with several builds at once, and with a build that is killed.

An entry is one file, named by its key, that begins with the SHA-256 of the rest: what is damaged counts as not there and
is removed. Entries are written beside their place and renamed, so that nobody ever reads half of one; two builds that
write the same key write the same bytes. Losing the cache, or any part of it, costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nesasset.errors import OutputError

ENVIRONMENT: Final = "NESASSET_CACHE_DIR"
MAX_BYTES: Final = 2 << 30  # above it a build removes what has not been used for the longest time
_VERSION: Final = "1"
_MAGIC: Final = b"nesasset cache 1\n"
_STALE_S: Final = 3600  # a temporary file of that age belongs to a build that was killed
_MARK: Final = ".nesasset"  # in the cache's folder: nothing is ever removed from a folder without it


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a cache holds."""

    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of results; a plain value, so that worker processes can be handed one."""

    folder: Path
    """None of its files but our own are touched."""

    def get(self, stage: str, key: str) -> bytes | None:
        """Return a result, or None if it is not there or damaged."""
        path = self._path(stage, key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        head = len(_MAGIC) + 32
        if data[: len(_MAGIC)] == _MAGIC and hashlib.sha256(data[head:]).digest() == data[len(_MAGIC) : head]:
            with suppress(zlib.error):
                result = zlib.decompress(data[head:])
                with suppress(OSError):
                    os.utime(path)  # used now: what is pruned is what was not
                return result
        with suppress(OSError):
            path.unlink()
        return None

    def put(self, stage: str, key: str, result: bytes) -> None:
        """Keep a result. A cache that cannot be written costs time later; the build goes on."""
        packed = zlib.compress(result, 1)
        path = self._path(stage, key)
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            self._make(path.parent)
            temporary.write_bytes(_MAGIC + hashlib.sha256(packed).digest() + packed)
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def memo(self, stage: str, key: str, make: Callable[[], bytes]) -> bytes:
        """Return a result, made and kept if it is not there."""
        found = self.get(stage, key)
        if found is None:
            found = make()
            self.put(stage, key, found)
        return found

    def usage(self) -> Usage:
        """Return how many entries there are and what they take on disk."""
        sizes = [size for _, _, size in self._entries()]
        return Usage(len(sizes), sum(sizes))

    def prune(self, max_bytes: int) -> Usage:
        """Remove what has not been used for the longest time until at most max_bytes are left; return what went.

        Raises:
            OutputError: The folder is not a cache of ours.
        """
        self._check()
        with suppress(OSError):
            for path in self.folder.rglob(".*.tmp"):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _STALE_S:
                        path.unlink()
        entries = sorted(self._entries(), key=lambda entry: entry[0])
        left = sum(size for _, _, size in entries)
        removed = freed = 0
        for _, path, size in entries:
            if left <= max_bytes:
                break
            with suppress(OSError):
                path.unlink()
                left -= size
                freed += size
                removed += 1
        return Usage(removed, freed)

    def _path(self, stage: str, key: str) -> Path:
        return self.folder / _VERSION / stage / key[:2] / key[2:]

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / _MARK
        if not mark.exists():
            mark.write_text("A cache of nesasset: results of builds. It may be removed at any time.\n", encoding="utf-8")

    def _check(self) -> None:
        if self.folder.exists() and not (self.folder / _MARK).exists() and any(self.folder.iterdir()):
            raise OutputError(f"{self.folder} is no cache of nesasset: it has no {_MARK}; name another folder")

    def _entries(self) -> Iterator[tuple[float, Path, int]]:
        """Yield time of last use, path and size of each entry; what vanishes meanwhile is left out."""
        with suppress(OSError):
            for path in (self.folder / _VERSION).rglob("*"):
                with suppress(OSError):
                    if not path.name.startswith(".") and path.is_file():
                        status = path.stat()
                        yield status.st_mtime, path, status.st_size


def default_folder() -> Path:
    """Return where the cache lies: NESASSET_CACHE_DIR, else the system's folder for caches."""
    told = os.environ.get(ENVIRONMENT)
    if told:
        return Path(told).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("nesasset", appauthor=False)
