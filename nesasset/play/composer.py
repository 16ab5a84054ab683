"""Who composes for a game: a worker process, a thread where there can be no process, or, for tests, the caller itself.

All of them take orders at once and answer later, through a function that they are given; none ever raises or waits.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from nesasset.formats import score_json
from nesasset.play.worker import Answer, Desk, answers, read_answer

log = logging.getLogger("nesasset.play")

MAX_RESTARTS: Final = 3
_GIVEN_UP: Final = "the composing process ended again and again; the music stays as it is"
Order = Mapping[str, Any]


class Composer(Protocol):
    """What a `Music` needs of a composer."""

    def order(self, order: Order) -> None:
        """Take an order; see `nesasset.play.worker.answers`."""

    def close(self) -> None:
        """Stop; nothing is answered any more."""


class InlineComposer:
    """Composes at once, in the thread that asks: for tests and for rendering faster than time."""

    def __init__(self, answer: Callable[[Answer], None]) -> None:
        self._answer = answer

    def order(self, order: Order) -> None:
        """Compose and answer, then return."""
        for answer in answers(order):
            self._answer(answer)

    def close(self) -> None:
        """Do nothing: there is nothing that runs."""


class ThreadComposer:
    """Composes in a thread: where processes cannot be had. The interpreter is shared with the game."""

    def __init__(self, answer: Callable[[Answer], None]) -> None:
        self._answer = answer
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="nesasset composer", daemon=True)
        self._thread.start()

    def order(self, order: Order) -> None:
        """Take an order."""
        self._orders.put(order)

    def close(self) -> None:
        """Stop after the bar that is being composed."""
        self._closed = True
        self._orders.put(None)

    def _run(self) -> None:
        desk = Desk()
        while not self._closed:
            while desk.is_empty or not self._orders.empty():
                order = self._orders.get()
                if order is None:
                    return
                desk.take(order)
            answer = desk.work()
            if answer is not None and not self._closed:
                self._answer(answer)


class ProcessComposer:
    """Composes in a process of its own; if it dies, another takes over what was left, three times."""

    def __init__(self, answer: Callable[[Answer], None]) -> None:
        """Start the process.

        Raises:
            OSError: There can be no process here.
        """
        self._answer = answer
        self._open: dict[str, Order] = {}
        """Orders that are not wholly answered, oldest first."""
        self._lock = threading.Lock()
        self._closed = False
        self._restarts = 0
        self._given_up = False
        self._process = _start()
        self._outbox: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        for target, name in ((self._read, "reader"), (self._write, "writer")):
            threading.Thread(target=target, name=f"nesasset composer {name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def order(self, order: Order) -> None:
        """Take an order."""
        with self._lock:
            given_up = self._given_up
            if not given_up:
                self._open[order["name"]] = order
        if given_up:
            self._answer({"name": order["name"], "error": _GIVEN_UP})
            return
        self._outbox.put(order)

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._outbox.put(None)
        _end(self._process)

    def _write(self) -> None:
        # A thread of its own: neither a pipe that is full nor the text of long scores must make the game wait.
        while (order := self._outbox.get()) is not None:
            line = json.dumps(dict(order), default=score_json.dumps).encode() + b"\n"
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except (OSError, ValueError):  # it has died: the reader sees that, too, and orders again
                continue

    def _read(self) -> None:
        while not self._closed:
            assert self._process.stdout is not None
            try:
                answer = read_answer(self._process.stdout)
            except Exception as error:  # what comes out of a process that dies may be anything
                log.debug("unreadable answer: %r", error)
                answer = None
            if answer is None:
                if self._closed or not self._replace():
                    return
                continue
            if answer.get("complete") or "error" in answer or "warm" in answer:
                with self._lock:
                    self._open.pop(answer["name"], None)
            self._answer(answer)

    def _replace(self) -> bool:
        """Start another process and order again what is open; return False if that is no use."""
        _end(self._process)
        self._restarts += 1
        if self._restarts <= MAX_RESTARTS:
            log.warning("the composing process ended; another takes over (%d of %d)", self._restarts, MAX_RESTARTS)
            try:
                self._process = _start()
            except OSError as error:
                log.warning("no other composing process could be started: %s", error)
            else:
                with self._lock:
                    orders = list(self._open.values())
                for order in orders:
                    self._outbox.put(order)
                return True
        with self._lock:
            orders, self._open = list(self._open.values()), {}
            self._given_up = True
        for order in orders:
            self._answer({"name": order["name"], "error": _GIVEN_UP})
        return False


def _start() -> subprocess.Popen[bytes]:
    if getattr(sys, "frozen", False):
        if not getattr(sys, "nesasset_worker", False):  # set by our PyInstaller hook, which also serves in such a process
            raise OSError("a frozen program without nesasset's hook cannot start itself as a composer")
        command = [sys.executable, "--nesasset-composer"]
    elif sys.executable:
        command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; from nesasset.play.worker import main; main()"]
    else:
        raise OSError("there is no Python interpreter to start")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    return subprocess.Popen(  # noqa: S603  # our own interpreter with our own text
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, creationflags=flags
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.terminate()
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def best_composer(answer: Callable[[Answer], None]) -> Composer:
    """Return a composer in a process, or in a thread where that cannot be had."""
    if sys.platform in ("emscripten", "wasi"):
        return ThreadComposer(answer)
    try:
        return ProcessComposer(answer)
    except OSError as error:
        log.warning("composing in a thread: no process can be started (%s)", error)
        return ThreadComposer(answer)
