"""What a build has to do, and why: the manifest beside the lock, the kept scores and the files on disk. Changes nothing.

It loads neither numpy nor the model, so that a check of a pack that is up to date takes a fraction of a second.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nesasset.build import effects, keys, lock
from nesasset.build.cache import Cache
from nesasset.build.lock import Files, Lock, Pinned
from nesasset.build.order import Order, seeds
from nesasset.build.project import LOCK_NAME, Project, Target
from nesasset.build.seal import asked_for, is_edited
from nesasset.errors import FormatError, LockError, ScoreError
from nesasset.formats import score_json
from nesasset.formats.files import read_bytes
from nesasset.units import SYNTH_VERSION

KEEP, COMPOSE, RETITLE = "keep", "compose", "retitle"
WRITTEN: Final = "written"  # the cache's name for files of locked builds whose encoders are not the lock's
_NAMES: Final = {"tempo_bpm": "tempo", "intro_bars": "intro"}  # as the manifest calls them


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """What is to be done about one track."""

    order: Order
    action: str
    """KEEP, COMPOSE or RETITLE its score."""
    reasons: tuple[str, ...]
    """Why its score is not kept as it is; empty for KEEP."""
    score: str | None
    """The kept score's JSON; None where it is to be composed, or where nothing needs it."""
    score_sha256: str
    edited: bool
    stale: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Reasons by engine, for the exports whose files are to be made."""
    notes: tuple[str, ...] = ()
    """What a person may want to know and nothing follows from."""

    @property
    def fresh(self) -> bool:
        """Whether nothing is to be done."""
        return self.action == KEEP and not self.stale


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build has to do."""

    tracks: Mapping[str, TrackPlan]
    """Every track, in the project's order."""
    around: Mapping[str, tuple[str, ...]]
    """Reasons by engine, for the files around the tracks that are to be made."""
    lock: tuple[str, ...]
    """What would change in the lock beside tracks and files."""
    locked: Lock | None
    """The lock as it is."""

    @property
    def fresh(self) -> bool:
        """Whether nothing is to be done at all."""
        return not self.around and not self.lock and all(track.fresh for track in self.tracks.values())

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """What is to be done, as pairs of what (a track, or an export) and why."""
        found: list[tuple[str, str]] = []
        for track_id, track in self.tracks.items():
            found += [(track_id, reason) for reason in track.reasons]
            if not track.reasons:
                several = len(track.stale) > 1
                found += [(track_id, f"{engine}: {reason}" if several else reason) for engine, reasons in track.stale.items() for reason in reasons]
        found += [(f"export.{engine}", reason) for engine, reasons in self.around.items() for reason in reasons]
        return found + [(LOCK_NAME, reason) for reason in self.lock]


def make(project: Project, frozen: bool = False, recompose: Sequence[str] = (), cache: Cache | None = None) -> Plan:
    """Return what a build of a project has to do.

    Args:
        project: What is asked for.
        frozen: Take every score as it is, whatever the manifest asks of the composer.
        recompose: Ids of tracks whose scores are to be composed anew, even if a person has worked on them.
        cache: Knows files that a locked build wrote with other encoders than the lock's.

    Raises:
        LockError: The lock is damaged, or an edited score is gone.
        FormatError, ScoreError: A kept score cannot be read.
    """
    locked = lock.load(project.lock_path)
    known = locked or Lock()
    tracks: dict[str, TrackPlan] = {}
    for track_id, order in project.orders.items():  # a parent comes before the members of its family
        parent = (tracks[order.parent], known.tracks.get(order.parent)) if order.member else None
        plan = _score_plan(project, order, known.tracks.get(track_id), frozen, track_id in recompose, parent)
        tracks[track_id] = replace(plan, stale=_stale(project, plan, known.tracks.get(track_id), cache))
    around = {}
    for target in project.targets:
        reasons = _around(project, target, tracks, known, cache)
        if reasons:
            around[target.engine.name] = reasons
    gone = [f"{track_id} is no longer asked for; its files stay" for track_id in known.tracks if track_id not in project.orders]
    engines = {target.engine.name for target in project.targets}
    gone += [f"[export.{name}] is no longer asked for; its files stay" for name in known.around if name not in engines]
    return Plan(tracks, around, tuple(gone), locked)


Parent = tuple[TrackPlan, Pinned | None]
"""What is to be done about the parent of a member, and what the lock says of it."""


def _score_plan(project: Project, order: Order, pinned: Pinned | None, frozen: bool, anew: bool, parent: Parent | None) -> TrackPlan:
    path = project.score_path(order.id)
    shown = path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)
    if not path.is_file():
        if pinned is not None and pinned.edited and not anew:
            raise LockError(f"the score of {order.id} that somebody has worked on is gone: restore {shown} from version control, or build with --recompose {order.id}")
        reason = "it is new" if pinned is None else f"its score {shown} is missing"
        return TrackPlan(order, COMPOSE, (reason,), None, "", False)
    if anew:
        return TrackPlan(order, COMPOSE, ("it is to be composed anew",), None, "", False)
    data = read_bytes(path, score_json.MAX_BYTES)
    digest = keys.bytes_digest(data)
    try:
        text = data.decode("utf-8")
        if pinned is not None and digest == pinned.score_sha256:
            had, edited, title = dict(pinned.wishes), pinned.edited, pinned.title
        else:
            score = score_json.loads(text)
            had, edited, title = asked_for(score.provenance), is_edited(score), score.title
            if had["seed"] in seeds(order.seed):
                had["seed"] = order.seed  # composed by the seed itself or by a later one of its sequence
            title = order.title if not order.title else title
    except (UnicodeDecodeError, FormatError, ScoreError) as error:
        raise FormatError(f"{shown}: {error}; restore it from version control, or build with --recompose {order.id}") from error
    changes = tuple(_changes(had, order.wishes))
    if parent is not None and not changes:
        changes = _parent_changes(order, parent, pinned, digest, text)
    if frozen or edited:
        notes = (f"kept, somebody has worked on it; the manifest asks for {', '.join(changes)}",) if edited and changes and pinned is not None else ()
        return TrackPlan(order, KEEP, (), text, digest, edited, notes=notes)
    if changes:
        return TrackPlan(order, COMPOSE, changes, None, digest, False)
    if title != order.title and order.title:
        return TrackPlan(order, RETITLE, (f"title {title!r} → {order.title!r}",), text, digest, False)
    return TrackPlan(order, KEEP, (), text, digest, False)


def _parent_changes(order: Order, parent: Parent, pinned: Pinned | None, digest: str, text: str) -> tuple[str, ...]:
    """Return why a member that is as it was asked for is to be made anew all the same: its parent is another one."""
    plan, locked = parent
    reason = f"its parent {order.parent} has changed"
    if plan.action == COMPOSE:
        return (f"its parent {order.parent} is composed anew",)
    if pinned is not None and pinned.parent_pcm and digest == pinned.score_sha256 and locked is not None and plan.score_sha256 == locked.score_sha256:
        return () if parent_pcm(locked) == pinned.parent_pcm else (reason,)
    told = score_json.loads(text).provenance.get("parent")  # no lock, or another parent than the lock's
    same = isinstance(told, Mapping) and told.get("sha256") == score_json.music_digest(score_json.loads(plan.score or ""))
    return () if same else (reason,)


def parent_pcm(pinned: Pinned) -> str:
    """Return what a member's entry in the lock says of its parent's."""
    return pinned.pcm_sha256[:16]


def _changes(had: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return what differs between what a score was composed for and what is asked for: 'tempo 132 → 138'."""
    old, new = ({**{key: value for key, value in wishes.items() if key != "controls"}, **(wishes.get("controls") or {})} for wishes in (had, wanted))
    names = [*("theme", "seed"), *sorted((set(old) | set(new)) - {"theme", "seed"})]
    return [
        f"{_NAMES.get(name, name)} {_shown(old.get(name))} → {_shown(new.get(name))}"
        for name in names
        if _plain(old.get(name)) != _plain(new.get(name))
    ]


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "the theme's" if value is None else str(value)


# Files.


def _told(order: Order) -> dict[str, Any]:
    """Return what the sidecar tells of an order beside its names."""
    return {**order.wishes, **({"members": list(order.family)} if order.family else {}), **({"parent": order.parent} if order.member else {})}


def made_from(project: Project, target: Target, order: Order, score_sha256: str) -> dict[str, Any]:
    """Return what a track's files in an export depend on, by name."""
    quality = project.quality
    return {
        "score": score_sha256[:16],
        "names": keys.digest([order.title, order.pack, order.author, order.license])[:16],
        "options": keys.digest([target.options.to_json(), quality.to_json(), order.sample_rate_hz])[:16],
        "engine": target.engine.version,
        "synth": SYNTH_VERSION,
        # What the sidecar tells of the wish; the score may be an edited one, which the wish did not make.
        **({"wishes": keys.digest(_told(order))[:16]} if "track.json" in target.engine.extras else {}),
    }


_WHY: Final = {
    "score": "its score has changed",
    "names": "title, pack, author or license has changed",
    "options": "the options of the export or [quality] have changed",
    "engine": "nesasset now writes the engine's files in another way",
    "synth": "nesasset's synth has changed",
    "wishes": "the manifest asks for something else",
    "tracks": "its tracks have changed",
    "effects": "the sound effects have changed",
}


def _stale(project: Project, plan: TrackPlan, pinned: Pinned | None, cache: Cache | None) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for target in project.targets:
        if not target.wants(plan.order.id):
            continue
        if plan.action != KEEP:
            found[target.engine.name] = plan.reasons
            continue
        was = None if pinned is None else pinned.exports.get(target.engine.name)
        reasons = _file_reasons(target, was, made_from(project, target, plan.order, plan.score_sha256), cache)
        if pinned is not None and plan.score_sha256 != pinned.score_sha256 and plan.edited:
            reasons = ["somebody has worked on its score", *[reason for reason in reasons if reason != _WHY["score"]]]
        if reasons:
            found[target.engine.name] = tuple(reasons)
    return found


def _file_reasons(target: Target, was: Files | None, made: Mapping[str, Any], cache: Cache | None) -> list[str]:
    """Return why files are not as they should be; hashes are compared only if nothing else is wrong already."""
    if was is None:
        return ["its files are not in the lock"]
    reasons = [_WHY.get(name, f"{name} has changed") for name in sorted(set(made) | set(was.made_from)) if made.get(name) != was.made_from.get(name)]
    if reasons:
        return reasons
    missing: list[str] = []
    changed: list[str] = []
    for path, (sha256, size) in was.files.items():
        state = _state(target, path, sha256, size, cache)
        if state:
            (missing if state == "missing" else changed).append(path)
    for what, paths in (("missing", missing), ("not the file that the build made", changed)):
        if paths:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            reasons.append(f"{paths[0]}{more} {'is' if len(paths) == 1 else 'are'} {what}")
    return reasons


def _state(target: Target, path: str, sha256: str, size: int, cache: Cache | None) -> str:
    """Return 'missing', 'changed' or '' for a file on disk."""
    place = target.folder / path
    try:
        if target.engine.merged and path.endswith(target.engine.merged):
            from nesasset.build.glue import godot

            return "" if keys.bytes_digest(godot.owned(place.read_text(encoding="utf-8")).encode()) == sha256 else "changed"
        if os.stat(place).st_size == size and keys.bytes_digest(place.read_bytes()) == sha256:
            return ""
        written = cache.get(WRITTEN, written_key(path, sha256)) if cache is not None else None
        return "" if written is not None and keys.bytes_digest(place.read_bytes()) == written.decode() else "changed"
    except (OSError, UnicodeDecodeError):
        return "missing"


def written_key(path: str, sha256: str) -> str:
    """Return the cache's key for what a locked build wrote in the place of a file that the lock has otherwise."""
    return keys.digest([path, sha256])


def around_made_from(project: Project, target: Target, digests: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the files around an export's tracks depend on; `digests` has `made_from` of each track."""
    wanted = {track_id: digests[track_id] for track_id in project.orders if target.wants(track_id) and track_id in digests}
    titles = {track_id: [project.orders[track_id].title, project.orders[track_id].theme] for track_id in wanted}
    pack = project.pack
    return {
        "tracks": keys.digest([list(wanted.items()), titles])[:16],
        "names": keys.digest([pack.name, pack.author, pack.license, pack.rate])[:16],
        "options": keys.digest(target.options.to_json())[:16],
        "engine": target.engine.version,
        **effects.made_from(project, target),
    }


def _around(project: Project, target: Target, tracks: Mapping[str, TrackPlan], locked: Lock, cache: Cache | None) -> tuple[str, ...]:
    chosen = [plan for track_id, plan in tracks.items() if target.wants(track_id)]
    if not chosen or not (target.engine.glue or target.engine.sprite or project.effects):
        return ()
    if any(plan.action != KEEP for plan in chosen):
        return (_WHY["tracks"],)
    digests = {plan.order.id: made_from(project, target, plan.order, plan.score_sha256) for plan in chosen}
    return tuple(_file_reasons(target, locked.around.get(target.engine.name), around_made_from(project, target, digests), cache))


