"""A pack on disk: every track of a manifest and pack.json. Holds order, parallel work and writing; no music.

A track's files appear only when all of them are ready: they are written into a hidden folder beside their place and
then moved, so that a full disk or Ctrl-C leaves every track as it was before or complete. Finished tracks are kept.
The bytes depend on the manifest, the model and the versions of the libraries, not on the number of workers.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from nesasset.build.manifest import Manifest
from nesasset.build.stages import (
    EffectOrder,
    Order,
    Track,
    fingerprint,
    generator,
    make_effect,
    make_track,
    sidecar_name,
    to_json_bytes,
)
from nesasset.errors import CertificateError, NesassetError, OutputError

PACK_FORMAT: Final = "nesasset-pack"
PACK_VERSION: Final = 1
PACK_FILE: Final = "pack.json"

Make = Callable[[Order], Track]


@dataclass(frozen=True, slots=True)
class Pack:
    """What a build has made."""

    folder: Path
    tracks: tuple[Mapping[str, Any], ...]
    """The tracks' sidecars, in the manifest's order."""
    summary: Mapping[str, Any]
    """What pack.json holds."""


def orders(manifest: Manifest) -> list[Order]:
    """Return what is to be made, in the manifest's order."""
    pack = manifest.pack
    return [
        Order(
            id=track_id,
            theme=track.theme,
            seed=track.seed,
            controls=manifest.controls(track_id),
            title=track.title,
            sample_rate_hz=pack.rate,
            pack=pack.name,
            author=pack.author,
            license=pack.license,
        )
        for track_id, track in manifest.track.items()
    ]


def effect_orders(manifest: Manifest) -> list[EffectOrder]:
    """Return the sound effects that are to be made, in the manifest's order."""
    return [EffectOrder(name, entry.class_, entry.seed, entry.chord, manifest.pack.rate) for name, entry in manifest.sfx.items()]


def build(
    manifest: Manifest,
    folder: str | Path,
    executor: Executor | None = None,
    make: Make = make_track,
    done: Callable[[Track], None] = lambda track: None,
) -> Pack:
    """Make every track of a manifest and write the pack.

    Args:
        manifest: What to make.
        folder: Where to; made if it is not there. Files of other names in it are left alone.
        executor: Where the tracks are made; None makes them here, one after the other.
        make: Makes one track; it must be importable by name for an executor of processes.
        done: Called after each track has been written.

    Returns:
        What was made.

    Raises:
        CertificateError: Tracks found no loop that passes; all others have been written.
        OutputError: The folder cannot be written; tracks written before that stay.
    """
    folder, wanted = Path(folder), orders(manifest)
    sidecars: dict[str, Mapping[str, Any]] = {}
    fingerprints: dict[str, Any] = {}
    failures: list[str] = []
    with _staging(folder) as staging:
        for order, track in _made(wanted, make, executor):
            if isinstance(track, CertificateError):
                failures.append(str(track))
                continue
            _commit(track.files, staging, folder)
            sidecars[order.id] = track.sidecar
            fingerprints |= {name: fingerprint(content) for name, content in track.files.items()}
            done(track)
        if failures:
            raise CertificateError("\n".join(sorted(failures)))
        effects = []
        for effect in effect_orders(manifest):
            files, facts = make_effect(effect)
            _commit(files, staging, folder)
            fingerprints |= {name: fingerprint(content) for name, content in files.items()}
            effects.append(facts)
        made = tuple(sidecars[order.id] for order in wanted)
        summary = _summary(manifest, made, effects, fingerprints)
        _commit({PACK_FILE: to_json_bytes(summary)}, staging, folder)
    return Pack(folder, made, summary)


def _summary(
    manifest: Manifest, sidecars: Iterable[Mapping[str, Any]], effects: list[dict[str, Any]], fingerprints: Mapping[str, Any]
) -> dict[str, Any]:
    kept = ("id", "title", "theme", "seed", "seed_used", "bars", "tempo_bpm", "seconds", "loop")
    return {
        "format": PACK_FORMAT,
        "version": PACK_VERSION,
        "generator": generator(),
        "name": manifest.pack.name,
        "author": manifest.pack.author,
        "license": manifest.pack.license,
        "rate": manifest.pack.rate,
        "ai": {"pre_generated": True},
        "tracks": [
            {
                **{name: sidecar[name] for name in kept},
                "certificate": sidecar["certificate"]["passed"],
                "sidecar": sidecar_name(sidecar["id"]),
            }
            for sidecar in sidecars
        ],
        **({"effects": effects} if effects else {}),
        "files": dict(fingerprints),
    }


def _made(
    wanted: list[Order], make: Make, executor: Executor | None
) -> Iterator[tuple[Order, Track | CertificateError]]:
    """Yield each order with its track, or with the certificate error that ended it, as they are finished."""
    if executor is None:
        for order in wanted:
            yield order, _outcome(partial(make, order))
        return
    futures: dict[Future[Track], Order] = {}
    try:
        with _interrupts_ignored():  # inherited by the processes that start here: Ctrl-C is this process's affair
            for order in wanted:
                futures[executor.submit(make, order)] = order
        for future in as_completed(futures):
            yield futures[future], _outcome(future.result)
    except BrokenProcessPool as error:
        raise NesassetError("a worker process ended unexpectedly, perhaps for want of memory; try -j 1") from error
    finally:
        for future in futures:
            future.cancel()


def _outcome(result: Callable[[], Track]) -> Track | CertificateError:
    try:
        return result()
    except CertificateError as error:
        return error


@contextmanager
def workers(count: int) -> Iterator[Executor | None]:
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


def default_jobs(n_tracks: int) -> int:
    """Return how many processes to use: one a processor that we may use, but no more than there are tracks."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, n_tracks))


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # a process a processor is enough


# Writing.


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Give an empty hidden folder on the same disk as `folder`, which is made; it is gone afterwards."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".nesasset-", dir=folder))
    except OSError as error:
        raise OutputError(f"cannot write to the folder {folder}: {error.strerror or error}") from error
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _commit(files: Mapping[str, bytes], staging: Path, folder: Path) -> None:
    """Write files so that all of them change or none: everything that can fail happens in the staging folder."""
    from nesasset.formats.files import write_bytes

    for name, content in files.items():
        write_bytes(staging / name, content)
    with _interrupts_deferred():
        for name in files:
            try:
                os.replace(staging / name, folder / name)
            except OSError as error:
                raise OutputError(f"cannot replace {folder / name}: {error.strerror or error}") from error


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    with _interrupt_handler(signal.SIG_IGN):
        yield


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
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
