"""Where tracks are made: here, in processes of this machine, on an executor of the caller's, or on a Dask cluster."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from nesasset.errors import NesassetError


@contextmanager
def processes(count: int) -> Iterator[Executor | None]:
    """Give an executor of that many processes, or None for one; what still runs at the end is stopped."""
    if count <= 1:
        yield None
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # onnxruntime's threads do not survive a fork
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True)


def usable_processors() -> int:
    """Return how many processors we may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # a process a processor is enough


@contextmanager
def dask(address: str, timeout_s: float = 15.0) -> Iterator[Executor]:
    """Give an executor of a Dask cluster.

    Tasks of a worker that dies are done again by the others; a task that kills four workers in turn fails the build.

    Args:
        address: Of the scheduler, as in tcp://10.0.0.1:8786. Every worker needs this version of nesasset.
        timeout_s: How long to wait for the scheduler.

    Raises:
        NesassetError: Dask is not installed, or nobody answers at the address.
    """
    try:
        cluster: Any = importlib.import_module("distributed")  # an extra; it ships no types
    except ImportError as error:
        raise NesassetError("a Dask cluster needs the library distributed; pip install 'nesasset[cluster]'") from error
    try:
        client = cluster.Client(address, timeout=timeout_s, set_as_default=False)
    except (OSError, ValueError) as error:
        raise NesassetError(f"no Dask scheduler answers at {address!r} ({type(error).__name__}); check the address") from error
    try:
        yield client.get_executor(pure=False)
    finally:
        client.close()
