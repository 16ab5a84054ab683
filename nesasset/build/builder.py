"""Building: runs a plan and writes what comes of it. Holds order, parallel work and writing; no music.

One process writes: workers return a track's files as values. Scores go first, then files, the lock last; a build that is
ended anywhere between leaves whole files, and the next one finds the scores sealed and the stages' results in the cache.
The bytes depend on the manifest, the kept scores, the model and the versions of the libraries, and on nothing else: not on
the number of workers, nor on their order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nesasset.build import around, keys, lock, plan, workers
from nesasset.build.cache import MAX_BYTES, Cache
from nesasset.build.engines import Export
from nesasset.build.lock import Files, Lock, Pinned
from nesasset.build.plan import COMPOSE, KEEP, RETITLE, Plan, TrackPlan
from nesasset.build.project import LOCK_NAME, Project, Target
from nesasset.build.writer import Writer, alone, interrupts_ignored, sweep
from nesasset.errors import CertificateError, FormatError, LockError, NesassetError, QualityError, ScoreError

if TYPE_CHECKING:
    from nesasset.build.studio import Job, Made

FREE, LOCKED, FROZEN = "free", "locked", "frozen"
Make = Callable[["Job"], "Made"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a build is to be done; what is to be built says the project."""

    mode: str = FREE
    """FREE; LOCKED: fail if the lock would change; FROZEN: compose nothing and leave the lock alone."""
    only: Callable[[str], bool] = lambda track_id: True
    """Which tracks may be made."""
    recompose: tuple[str, ...] = ()
    """Tracks to be composed anew, even if a person has worked on them."""
    cache: Cache | None = None
    share_cache: bool = True
    """Whether workers see the same disk."""
    executor: Executor | None = None
    """Where tracks are made: processes of the caller's, a cluster. None: in processes of our own."""
    processes: int = 1
    """How many of our own at most; with one, tracks are made here, one after the other."""
    progress: Path | None = None
    """A folder in which workers say in which stage each track is; None where nobody looks."""
    make: Make | None = None
    """Makes one track; must be importable by name for an executor of processes."""


@dataclass(slots=True)
class Events:
    """What a build tells while it works; each may be replaced."""

    waiting: Callable[[], None] = lambda: None
    planned: Callable[[Plan], None] = lambda plan: None
    started: Callable[[str], None] = lambda track_id: None
    finished: Callable[[Made], None] = lambda made: None


@dataclass(slots=True)
class Result:
    """What a build has done."""

    plan: Plan
    lock: Lock
    made: dict[str, Made] = field(default_factory=dict)
    """Tracks that were made, by id; facts of others too if files around them were made."""
    written: list[Path] = field(default_factory=list)
    """Files that changed."""
    seconds: float = 0.0


def build(project: Project, settings: Settings | None = None, events: Events | None = None) -> Result:
    """Build a project.

    Args:
        project: What to build.
        settings: How.
        events: Whom to tell.

    Returns:
        What was done; nothing, if everything was as it should be.

    Raises:
        LockError: The lock is damaged, or would change and may not.
        CertificateError, QualityError: Tracks do not pass; all others have been written.
        FormatError, ScoreError: A kept score cannot be read.
        OutputError: A file cannot be written; tracks that were written before stay.
    """
    settings, events = settings or Settings(), events or Events()
    begun = time.perf_counter()
    with alone(project.root, events.waiting):
        sweep({project.root, project.scores, *(target.folder for target in project.targets)})
        todo = plan.make(project, settings.mode == FROZEN, settings.recompose, settings.cache)
        if settings.mode != FREE:
            _refuse_changes(todo, settings)
        events.planned(todo)
        result = Result(todo, todo.locked or Lock())
        if not todo.fresh:
            with Writer() as writer:
                _Build(project, settings, events, todo, writer, result).run()
                result.written = writer.written
    result.seconds = time.perf_counter() - begun
    return result


def _refuse_changes(todo: Plan, settings: Settings) -> None:
    """Raise LockError if scores would have to change and may not."""
    option = f"--{settings.mode}"
    if todo.locked is None and settings.mode == LOCKED:
        raise LockError(f"{option} needs a {LOCK_NAME}, and there is none: build once without {option} and commit the lock and the scores")
    wrong = [f"{track.order.id}: {'; '.join(track.reasons)}" for track in todo.tracks.values() if track.action != KEEP and settings.only(track.order.id)]
    if settings.mode == LOCKED:
        pinned = (todo.locked or Lock()).tracks
        wrong += [f"{name}: its score is not the one in the lock" for name, track in todo.tracks.items() if track.action == KEEP and name in pinned and pinned[name].score_sha256 != track.score_sha256]
        wrong += [f"{name}: it is not in the lock" for name, track in todo.tracks.items() if track.action == KEEP and name not in pinned]
        wrong += list(todo.lock)
    if wrong:
        more = f"; and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise LockError(f"{option} forbids what would have to change: {'; '.join(wrong[:8])}{more}. Build without {option}, and commit the lock and the scores")


@dataclass(slots=True)
class _Build:
    """One build on its way."""

    project: Project
    settings: Settings
    events: Events
    todo: Plan
    writer: Writer
    result: Result

    def run(self) -> None:
        """Make what is stale, write it, and pin it."""
        from nesasset.build import studio  # numpy and the chip, only where something is really made

        chosen = [track for track in self.todo.tracks.values() if not track.fresh and self.settings.only(track.order.id)]
        for folder in {target.folder for target in self.project.targets}:
            self.writer.prepare(folder)  # a folder that cannot be written is told before anything is composed
        pinned = dict((self.todo.locked or Lock()).tracks)
        failures: dict[str, NesassetError] = {}
        make = self.settings.make or studio.make
        with self._executor(len(chosen)) as executor:
            for generation in ([t for t in chosen if not t.order.member], [t for t in chosen if t.order.member]):  # parents first
                jobs = {track.order.id: self._job(track) for track in generation if track.order.parent not in failures}
                for track_id, outcome in self._made(jobs, make, executor):
                    if isinstance(outcome, NesassetError):
                        failures[track_id] = outcome
                        continue
                    pinned[track_id] = self._write_track(self.todo.tracks[track_id], outcome, pinned)
                    self.result.made[track_id] = outcome
                    around.keep_facts(self.settings.cache, self.project, outcome)
                    self.events.finished(outcome)
        if self.project.quality.alike is not None:
            for track_id, error in self._too_alike(self.project.quality.alike).items():
                failures[track_id] = error
                pinned.pop(track_id, None)  # its files are there, but nobody has accepted them
        self._write_lock(pinned, self._write_around(pinned, make))
        if self.settings.cache is not None and chosen:
            self.settings.cache.prune(MAX_BYTES)
        if failures:
            kinds = {type(failure) for failure in failures.values()}
            kind = kinds.pop() if len(kinds) == 1 else CertificateError
            raise kind("\n".join(sorted(map(str, failures.values()))))

    def _too_alike(self, allowed: float) -> dict[str, NesassetError]:
        """Return the tracks made now that are too much like another one, of which the score is at hand, each with its error."""
        from nesasset.build.alike import too_alike
        from nesasset.formats import score_json

        made = self.result.made
        texts = {track_id: made[track_id].score if track_id in made else track.score for track_id, track in self.todo.tracks.items()}
        scores = {track_id: score_json.loads(text) for track_id, text in texts.items() if text is not None}
        return {track_id: QualityError(sentence) for track_id, sentence in too_alike(scores, self.project.orders, set(made), allowed)}

    def _job(self, track: TrackPlan, exports: bool = True) -> Job:
        from nesasset.build.studio import Job

        quality = self.project.quality
        text = track.score
        if track.action == RETITLE and text is not None:
            from nesasset.formats import score_json

            text = score_json.dumps(replace(score_json.loads(text), title=track.order.title))
        stale = [target.options for target in self.project.targets if exports and target.engine.name in track.stale]
        cache = self.settings.cache if self.settings.share_cache else None
        told = str(self.settings.progress / track.order.id) if self.settings.progress is not None else ""
        composed = track.action == COMPOSE
        parent = self._parent_score(track.order.parent) if track.order.member and composed else None
        limits = (quality.loudness, quality.true_peak, quality.tolerance)
        return Job(track.order, None if composed else text, tuple(stale), *limits, cache, told, parent)

    def _parent_score(self, track_id: str) -> str | None:
        """Return the score of a member's parent: just made, or kept; None where it has not been made yet."""
        made = self.result.made.get(track_id)
        return made.score if made is not None else self.todo.tracks[track_id].score

    def _executor(self, n_jobs: int) -> AbstractContextManager[Executor | None]:
        """Give where tracks are made; no more processes are started than there are tracks."""
        if self.settings.executor is not None:
            return nullcontext(self.settings.executor)
        return workers.processes(min(self.settings.processes, n_jobs))

    def _made(self, jobs: Mapping[str, Job], make: Make, executor: Executor | None) -> Iterator[tuple[str, Made | NesassetError]]:
        """Yield each track with what was made, or with the error that ended it, as they are finished."""
        if executor is None:
            for track_id, job in jobs.items():
                self.events.started(track_id)
                yield track_id, _outcome(partial(make, job))
            return
        futures: dict[Future[Made], str] = {}
        try:
            with interrupts_ignored():  # inherited by the processes that start here: Ctrl-C is this process's affair
                for track_id, job in jobs.items():
                    futures[executor.submit(make, job)] = track_id
                    self.events.started(track_id)
            for future in as_completed(futures):
                yield futures[future], _outcome(future.result)
        except BrokenProcessPool as error:
            raise NesassetError("a worker process ended unexpectedly, perhaps for want of memory; try -j 1") from error
        finally:
            for future in futures:
                future.cancel()

    # Writing.

    def _write_track(self, track: TrackPlan, made: Made, pinned: Mapping[str, Pinned]) -> Pinned:
        """Write a track's score and files, and return what the lock says of it."""
        data = made.score.encode()
        digest = keys.bytes_digest(data)
        order = track.order
        before = pinned.get(order.id)
        contents: dict[tuple[Path, str], bytes] = {}
        path = self.project.score_path(order.id)
        score = (path.parent, path.name)
        if track.action != KEEP:
            contents[score] = data
        exports = {name: files for name, files in (before.exports if before else {}).items() if name in self._engines(order.id)}
        for target in self.project.targets:
            if target.engine.name in made.files:
                own = dict(made.files[target.engine.name])
                contents |= {(target.folder, path): content for path, content in own.items()}
                listed = {path: (keys.bytes_digest(content), len(content)) for path, content in own.items()}
                exports[target.engine.name] = Files(plan.made_from(self.project, target, order, digest), listed)
        wishes = order.wishes
        if self.settings.mode == FROZEN and before is not None:
            wishes = dict(before.wishes)
        pcm, parent = str(made.facts["pcm_sha256"]), plan.parent_pcm(pinned[order.parent]) if order.parent in pinned else ""
        now = Pinned(wishes, order.title, digest, bool(made.facts["edited"]), int(made.facts["driver"]), pcm, exports, parent)
        if self.settings.mode == LOCKED and before is not None:
            self._refuse_other_files(order.id, before, now)
        self.writer.commit(contents, durable={score})
        if before is not None:
            for name, files in exports.items():
                self._remember(before.exports.get(name), files)
        return now

    def _engines(self, track_id: str) -> set[str]:
        return {target.engine.name for target in self.project.targets if target.wants(track_id)}

    def _refuse_other_files(self, track_id: str, before: Pinned, after: Pinned) -> None:
        """Raise LockError if a track came out otherwise than the lock has it; other encoders may write other bytes."""
        what = "sound" if before.pcm_sha256 != after.pcm_sha256 else ""
        if not what and dict((self.todo.locked or Lock()).encoders) == keys.encoders() and before.exports != after.exports:
            what = "files"
        if what:
            raise LockError(f"--locked forbids what would have to change: the {what} of {track_id} are not those in the lock. Build without --locked and commit the lock")

    def _remember(self, was: Files | None, now: Files) -> None:
        """Note in the cache what was written in the place of files that a lock, which stays as it is, has otherwise."""
        if self.settings.mode == FREE or self.settings.cache is None or was is None:
            return
        for path, (sha256, _) in now.files.items():
            if path in was.files and was.files[path][0] != sha256:
                self.settings.cache.put(plan.WRITTEN, plan.written_key(path, was.files[path][0]), sha256.encode())

    def _write_around(self, pinned: Mapping[str, Pinned], make: Make) -> dict[str, Files]:
        """Write the files that belong to no single track, and return what the lock says of them."""
        names = {target.engine.name for target in self.project.targets}
        found = {name: files for name, files in (self.todo.locked or Lock()).around.items() if name in names}
        for target in self.project.targets:
            name = target.engine.name
            if name not in self.todo.around and not any(name in made.files for made in self.result.made.values()):
                continue
            wanted = [track_id for track_id in self.project.orders if target.wants(track_id)]
            complete = [track_id for track_id in wanted if track_id in pinned and name in pinned[track_id].exports]
            if not complete or len(complete) < len(wanted):
                continue  # --only, or tracks that failed: the list comes with the last of them
            digests = {track_id: pinned[track_id].exports[name].made_from for track_id in complete}
            export = self._export(target, complete, pinned, make)
            texts = around.texts(self.project, target, export, self.result.made, self.settings.cache)
            self.writer.commit({(target.folder, path): content for path, content in texts.items()})
            listed = {path: around.listed(target, path, content) for path, content in texts.items()}
            self._remember(found.get(name), Files({}, listed))
            found[name] = Files(plan.around_made_from(self.project, target, digests), listed)
        return found

    def _export(self, target: Target, track_ids: Sequence[str], pinned: Mapping[str, Pinned], make: Make) -> Export:
        """Return an export with the facts of all its tracks; those that were not made now come from the cache."""
        missing = {track_id: self._job(self.todo.tracks[track_id], exports=False) for track_id in track_ids if track_id not in self.result.made}
        for track_id, job in list(missing.items()):
            known = around.known_facts(self.settings.cache, self.project, track_id, job.score or "")
            if known is not None:
                self.result.made[track_id] = known
                del missing[track_id]
        for track_id, outcome in self._made(missing, make, None):
            if isinstance(outcome, NesassetError):
                raise outcome
            self.result.made[track_id] = outcome
            around.keep_facts(self.settings.cache, self.project, outcome)
        return around.export_of(self.project, target, self.result.made, pinned, track_ids)

    def _write_lock(self, pinned: Mapping[str, Pinned], files: Mapping[str, Files]) -> None:
        """Write the lock, if it is to be written and would change."""
        import nesasset

        tracks = {track_id: pinned[track_id] for track_id in self.project.orders if track_id in pinned}
        made = any(made.files for made in self.result.made.values())
        before = self.todo.locked or Lock()
        encoders = keys.encoders() if made or not before.encoders else dict(before.encoders)
        after = Lock(f"nesasset {nesasset.__version__}" if made else before.generator or f"nesasset {nesasset.__version__}", encoders, tracks, files)
        if self.settings.mode != FREE:
            return
        self.result.lock = after
        path = self.project.lock_path
        place = (path.parent, path.name)
        self.writer.commit({place: lock.dumps(after).encode()}, durable={place})


def _outcome(result: Callable[[], Made]) -> Made | NesassetError:
    try:
        return result()
    except (CertificateError, QualityError, FormatError, ScoreError) as error:
        return error
