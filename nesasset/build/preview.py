"""A page to listen to: every track of a game in one HTML file, with its true loop, picture, certificate and origin. Writes nothing.

The page needs no server and no network: sound is inside as FLAC, which every browser decodes to the very samples, and its own
policy forbids it to load anything.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any, Final

from nesasset.build import history, lock
from nesasset.build.cache import Cache
from nesasset.build.diff import compare, words
from nesasset.build.lock import Lock
from nesasset.build.project import Project
from nesasset.build.provenance import originality, originality_words
from nesasset.build.studio import Job, Studio
from nesasset.errors import LockError, NesassetError
from nesasset.formats import flac, plot, score_json
from nesasset.formats.files import read_bytes
from nesasset.score import Score

_TEMPLATE: Final = Path(__file__).with_name("preview.html")
_MARK: Final = "@DATA@"


def page(project: Project, track_ids: list[str], cache: Cache | None = None) -> str:
    """Return the page of some tracks of a project.

    Raises:
        LockError: A track has no score yet: build first.
        CertificateError, FormatError, ScoreError: A kept score cannot be played.
    """
    pinned = lock.load(project.lock_path) or Lock()
    tracks = [_track(project, pinned, track_id, cache) for track_id in track_ids]
    data = {"name": project.pack.name, "author": project.pack.author, "tracks": tracks}
    # Within a script element only "<" could end it.
    text = json.dumps(data, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")
    return _TEMPLATE.read_text(encoding="utf-8").replace(_MARK, text)


def _track(project: Project, pinned: Lock, track_id: str, cache: Cache | None) -> dict[str, Any]:
    path = project.score_path(track_id)
    if not path.is_file():
        raise LockError(f"track {track_id} has no score yet: build first, then listen")
    score = score_json.loads(read_bytes(path, score_json.MAX_BYTES).decode("utf-8", "replace"))
    order, quality = project.orders[track_id], project.quality
    studio = Studio(order, cache)
    job = Job(order, None, (), quality.loudness, quality.true_peak, quality.tolerance)
    facts, gain_db = studio.facts(score, job)
    audio = studio.sound(score, order.sample_rate_hz, "", gain_db)
    image = plot.draw(audio, score, facts["title"])
    left, wide = plot.time_axis(image.width)
    picture = io.BytesIO()
    image.save(picture, "PNG", optimize=False, compress_level=6)
    entry = pinned.tracks.get(track_id)
    origin = dict(score.provenance)
    return {
        **{name: facts[name] for name in ("id", "title", "theme", "seed", "seed_used", "edited", "driver", "bars", "tempo_bpm", "seconds", "rate", "samples", "loop", "loudness", "certificate", "model", "pcm_sha256")},
        "controls": facts["controls"],
        "key": origin.get("key") if isinstance(origin.get("key"), str) else None,
        "originality": originality_words(originality(score)) or None,
        "pinned": entry is not None and entry.pcm_sha256 == facts["pcm_sha256"] if entry is not None else None,
        "changes": _changes(path, score),
        "axis": [left / image.width, wide / image.width],
        "picture": base64.b64encode(picture.getvalue()).decode(),
        "sound": base64.b64encode(flac.encode(audio)).decode(),
    }  # fmt: skip


def _changes(path: Path, score: Score) -> list[str]:
    """Return what has changed in a score since the last commit, in words; empty where nothing has, or nobody knows."""
    before = history.committed(path)
    if before is None:
        return []
    try:
        changes = compare(score_json.loads(before), score)
    except NesassetError:
        return []
    return words(changes) if changes else []
