"""What belongs to no single track: an engine's lists, code, sprites and sound effects, made of the facts of all its tracks. Writes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nesasset.build import effects, keys
from nesasset.build.cache import Cache
from nesasset.build.engines import Export, Piece
from nesasset.build.glue import godot
from nesasset.build.layout import track_files
from nesasset.build.lock import Pinned
from nesasset.build.project import Project, Target
from nesasset.units import FRAME_RATE_HZ

if TYPE_CHECKING:
    from nesasset.build.studio import Made


def export_of(
    project: Project, target: Target, made: Mapping[str, Made], pinned: Mapping[str, Pinned], track_ids: Sequence[str]
) -> Export:
    """Return an engine's tracks as a glue function is given them.

    Args:
        project: What is built.
        target: The engine, with its folder.
        made: Facts of all tracks; files of those that were made now.
        pinned: Files of all tracks, with their hashes.
        track_ids: Which tracks, in the project's order.
    """
    pieces = []
    for track_id in track_ids:
        facts = made[track_id].facts
        roles = made[track_id].roles.get(target.engine.name) or _roles(target, track_id, facts)
        if target.options.rates[0] != facts["rate"]:
            facts = {**facts, **_at_rate(facts, target.options.rates[0])}
        pieces.append(Piece(track_id, target.engine.stem(track_id), roles, facts))
    pack = project.pack
    prints = {
        path: {"sha256": sha256, "bytes": size}
        for track_id in track_ids
        for path, (sha256, size) in pinned[track_id].exports[target.engine.name].files.items()
    }
    told = {"name": pack.name, "author": pack.author, "license": pack.license, "rate": pack.rate}
    return Export(told, tuple(pieces), folder=_seen_from(project.root, target.folder), fingerprints=prints)


def texts(project: Project, target: Target, export: Export, made: Mapping[str, Made], cache: Cache | None) -> dict[str, bytes]:
    """Return the contents of an engine's files around the tracks by path; sound effects and a sprite are among them."""
    contents = effects.files(project, target)
    export = replace(export, effects=effects.paths(project, target))
    if target.engine.sprite:
        from nesasset.build.sprite import SpriteJob, make_sprite

        tracks = tuple(
            (piece.stem, project.orders[piece.id], made[piece.id].score, float(piece.facts["loudness"]["gain_db"]))
            for piece in export.pieces
        )
        path = f"music.{target.options.format}"
        contents[path], parts = make_sprite(SpriteJob(target.options, tracks, project.pack.name, cache))
        export = replace(export, sprite=parts, sprite_file=path)
    glue = target.engine.glue_function()
    for path, text in (glue(export) if glue is not None else {}).items():
        contents[path] = (godot.merged(target.folder / path, text) if _is_merged(target, path) else text).encode()
    return contents


def listed(target: Target, path: str, content: bytes) -> tuple[str, int]:
    """Return hash and size of a file as the lock has them; of one that an editor writes to as well, of what is ours in it."""
    content = godot.owned(content.decode()).encode() if _is_merged(target, path) else content
    return keys.bytes_digest(content), len(content)


def _is_merged(target: Target, path: str) -> bool:
    return bool(target.engine.merged) and path.endswith(target.engine.merged)


# Facts of tracks that stayed as they were.


def known_facts(cache: Cache | None, project: Project, track_id: str, score: str) -> Made | None:
    """Return a track's facts from the cache, without its files; None if they are not there."""
    from nesasset.build.studio import Made

    found = cache.get("facts", _key(project, track_id, score)) if cache is not None else None
    return None if found is None else Made(track_id, score, json.loads(found), {}, {})


def keep_facts(cache: Cache | None, project: Project, made: Made) -> None:
    """Keep a track's facts for lists that are made when it has not changed."""
    if cache is not None:
        cache.put("facts", _key(project, made.id, made.score), json.dumps(dict(made.facts)).encode())


def _key(project: Project, track_id: str, score: str) -> str:
    inputs = {"score": keys.bytes_digest(score.encode()), "order": asdict(project.orders[track_id]), "quality": project.quality.to_json()}
    return keys.key("facts", inputs)


def _seen_from(root: Path, folder: Path) -> str:
    """Return a folder as seen from the manifest's, with slashes."""
    return os.path.relpath(folder, root).replace(os.sep, "/")


def _roles(target: Target, track_id: str, facts: Mapping[str, Any]) -> Mapping[str, str]:
    rows = None if facts["loop"] is None else (facts["loop"]["rows"]["start"], facts["loop"]["rows"]["end"])
    return {product.role: product.path for product in track_files(target.engine, target.options, track_id, rows)}


def _at_rate(facts: Mapping[str, Any], rate: int) -> dict[str, Any]:
    """Return the numbers of a track that depend on the rate, at another one; both rates have whole samples a frame."""
    per_frame = rate // FRAME_RATE_HZ
    samples = facts["samples"] * rate // facts["rate"]
    loop = None
    if facts["loop"] is not None:
        frames = facts["loop"]["frames"]
        start, end = frames["start"] * per_frame, frames["end"] * per_frame
        points = {"start": start, "length": end - start, "end": end}
        loop = {**facts["loop"], "samples": points, "seconds": {key: f"{value / rate:.9f}" for key, value in points.items()}}
    return {"rate": rate, "samples": samples, "seconds": f"{samples / rate:.9f}", "loop": loop}
