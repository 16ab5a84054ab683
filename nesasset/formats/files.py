"""Whole files, read within a bound and written at once or not at all. Holds no format."""

from __future__ import annotations

import errno
import gc
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from nesasset.errors import FormatError, NesassetError, OutputError

_ADVICE: Final = {
    errno.ENOENT: "its folder does not exist; make the folder first",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EACCES: "permission is denied; choose a place you may write to",
    errno.EPERM: "permission is denied; choose a place you may write to",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EFBIG: "the file would be too large for this file system; choose another place",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole: after an error or an interrupt the old file, or none, is there, never half of the new one.

    Args:
        path: File to make or replace; its folder must exist.
        data: Everything the file will hold.

    Raises:
        OutputError: The file cannot be written; says why and what to do.
    """
    with whole_file(path) as file, telling(path):
        file.write(data)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a new file that takes its name when the context ends without error.

    The bytes go to a temporary file in the same folder (a rename across file systems is not atomic), reach the
    disk, and then take the name. A symbolic link stays a link; the file it names is replaced.

    Args:
        path: File to make or replace; its folder must exist.

    Raises:
        OutputError: The file cannot be made; what is done with it in the body is the body's, see `telling`.
    """
    with telling(path):
        target = Path(os.path.realpath(os.fspath(path)))
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            # os.replace would put a plain file in the place of a device or pipe.
            raise OutputError(f"cannot write {os.fspath(path)!r}: it is not a regular file; give the name of one")
        # The name is chosen before the file exists, so that no interrupt can fall between making and knowing it.
        temporary = target.with_name(f".nesasset-{secrets.token_hex(8)}.tmp")
    try:
        with telling(path):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            file = os.fdopen(os.open(temporary, flags, 0o666), "w+b")  # the umask takes its part of 666
        with file:
            yield file
            with telling(path):
                file.flush()
                os.fsync(file.fileno())
        with telling(path):
            os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def telling(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system says against a file that is written into one sentence, an OutputError."""
    try:
        yield
    except NesassetError:
        raise
    except OSError as error:
        reason = _ADVICE.get(error.errno or 0) or f"{error.strerror or error}; choose another place"
        raise OutputError(f"cannot write {os.fspath(path)!r}: {reason}") from error
    except ValueError as error:  # a zero byte or a lone surrogate in the name
        raise OutputError(f"cannot write {os.fspath(path)!r}: {error}; choose another name") from error


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's garbage collector while a file becomes some hundred thousand small objects.

    None of them is garbage, and walking over them again and again takes a quarter of the time of reading.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_bytes(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Read a whole regular file of at most max_bytes.

    Raises:
        FormatError: There is no such file, it cannot be read, or it is larger than max_bytes.
    """
    shown = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(shown).st_mode):  # opening a pipe would wait for ever
            raise FormatError(f"cannot read {shown!r}: it is not a regular file; give the name of one")
        with open(shown, "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise FormatError(f"cannot read {shown!r}: {error.strerror or error}; check the path") from error
    except ValueError as error:
        raise FormatError(f"cannot read {shown!r}: {error}; check the path") from error
    if len(data) > max_bytes:
        raise FormatError(f"cannot read {shown!r}: it must have at most {max_bytes} bytes, and it has more")
    return data
