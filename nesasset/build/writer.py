"""Writing: files of several folders at once, all or none, by one build at a time, with nothing left behind.

A track's files are written into a hidden folder beside their place and then moved, so that a full disk or Ctrl-C leaves
every track as it was before or complete. What a killed build left in hidden places is removed by the next one: the names
say whose it was. A file that would not change is not touched, so that engines import nothing anew.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

from nesasset.errors import OutputError

_STALE_S: Final = 86_400  # what is older belongs to nobody, whatever its name says
_NAME: Final = re.compile(r"\.nesasset-([0-9a-f]{8})-([0-9]+)-[0-9a-f]{16}")


class Writer:
    """Puts files into folders; a context, at whose end no hidden place is left."""

    def __init__(self) -> None:
        self._staging: dict[Path, Path] = {}
        self.written: list[Path] = []
        """Files that changed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in self._staging.values():
            shutil.rmtree(place, ignore_errors=True)

    def prepare(self, folder: Path) -> None:
        """Make a folder and see that it can be written to.

        Raises:
            OutputError: It cannot.
        """
        if folder in self._staging:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / f".nesasset-{_host()}-{os.getpid()}-{secrets.token_hex(8)}"
            place.mkdir()
        except OSError as error:
            raise OutputError(f"cannot write to the folder {_shown(folder)}: {error.strerror or error}") from error
        self._staging[folder] = place

    def commit(self, contents: Mapping[tuple[Path, str], bytes], durable: Collection[tuple[Path, str]] = ()) -> None:
        """Write files so that all of them change or none: everything that can fail happens before the first is moved.

        Args:
            contents: What each file is to hold, by folder and path within it.
            durable: Files that must outlive a power cut from now on. The others can be made again, and whether they are
                whole their hashes tell; waiting for the disk would take longer than making them.

        Raises:
            OutputError: A file cannot be written; all are as they were.
        """
        changed = [(folder, path) for (folder, path), content in contents.items() if not _holds(folder / path, content)]
        for folder, path in changed:
            self.prepare(folder)
            for part in {(folder / path).parent, (self._staging[folder] / path).parent}:
                part.mkdir(parents=True, exist_ok=True)
            target = folder / path
            if target.is_dir():
                raise OutputError(f"cannot write {_shown(target)}: it is a folder; move it away")
            _put(self._staging[folder] / path, contents[folder, path], (folder, path) in durable)
        with interrupts_deferred():
            for folder, path in changed:
                try:
                    os.replace(self._staging[folder] / path, folder / path)
                except OSError as error:
                    raise OutputError(f"cannot replace {_shown(folder / path)}: {error.strerror or error}") from error
                self.written.append(folder / path)


def _put(path: Path, content: bytes, durable: bool) -> None:
    from nesasset.formats import files

    if durable:
        files.write_bytes(path, content)
        return
    with files.telling(path):
        path.write_bytes(content)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def sweep(folders: Iterable[Path]) -> None:
    """Remove what killed builds left in folders; call it only where no other build of ours is at work."""
    for folder in folders:
        with suppress(OSError):
            for entry in folder.iterdir():
                if _abandoned(entry):
                    shutil.rmtree(entry, ignore_errors=True)


def _abandoned(entry: Path) -> bool:
    match = _NAME.fullmatch(entry.name)
    try:
        if match is None:
            return False
        if time.time() - entry.stat().st_mtime > _STALE_S:
            return True
        return match[1] == _host() and not _alive(int(match[2]))
    except OSError:
        return False


def _alive(number: int) -> bool:
    if number == os.getpid():
        return False  # nothing of this process's own is open yet
    if sys.platform == "win32":  # os.kill would end the process there
        return False  # we hold the lock of the project, so nobody else is at work
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def alone(root: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let one build of a project work at a time: the second waits, and then finds everything done.

    Args:
        root: The project's folder.
        waiting: Called once if another build is at work.
    """
    name = hashlib.sha256(os.path.realpath(root).encode()).hexdigest()[:32]
    path = Path(tempfile.gettempdir()) / f"nesasset-{name}.lock"
    try:
        file = open(path, "a+b")  # noqa: SIM115, closed below
    except OSError:  # another user's; then builds are not told apart, and files are still whole
        yield
        return
    with file:
        if not _try_lock(file):
            waiting()
            while not _try_lock(file):
                time.sleep(0.1)
        yield  # closing the file, or the end of the process, however it ends, gives the lock back


def _try_lock(file: Any) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# Ctrl-C.


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Let the block, and the processes that start in it, ignore Ctrl-C."""
    with _interrupt_handler(signal.SIG_IGN):
        yield


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done."""
    seen: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    with _interrupt_handler(note):
        yield
    if seen:
        raise KeyboardInterrupt


@contextmanager
def _interrupt_handler(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only the main thread may, and only it is interrupted
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
