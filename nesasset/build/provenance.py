"""Where a game's music came from, for players, shops and lawyers: as JSON with a schema, and as texts. Writes nothing.

States what is known and what is not. The model's own words on its training data are quoted from its sidecar; nothing here
is legal advice, and the texts say so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import nesasset
from nesasset.build import keys, lock
from nesasset.build.lock import Lock
from nesasset.build.project import Project
from nesasset.build.seal import is_edited
from nesasset.errors import LockError, NesassetError
from nesasset.formats import score_json
from nesasset.formats.files import read_bytes
from nesasset.score import Score

FORMAT: Final = "nesasset-provenance"
VERSION: Final = 1
FILES: Final = ("provenance.json", "PROVENANCE.md", "CREDITS.txt", "LICENSE-OUTPUT", "STORE-DISCLOSURE.md")
_GUARDS: Final = (
    "the generator writes notes for four sound channels, no speech, no lyrics, no recordings",
    "it runs on the developer's machine, without a network",
    "every file was made before release and can be listened to before it ships",
)
# What reaches the player with the files: nothing. With a game that renders at run time, these.
_LIBRARIES: Final = (
    ("nesasset", "MIT"),
    ("numpy", "BSD-3-Clause"),
    ("onnxruntime", "MIT"),
    ("soundfile", "BSD-3-Clause, with libsndfile, LGPL-2.1-or-later"),
)


def provenance(project: Project) -> dict[str, Any]:
    """Return everything that is known of a project's music, as JSON values; `json_schema` describes them.

    Raises:
        LockError: The project has no lock or no score of a track: build it first.
        FormatError, ScoreError: A kept score cannot be read.
    """
    pinned = lock.load(project.lock_path)
    if pinned is None:
        raise LockError(f"there is no {project.lock_path.name}: build first, then ask where the music came from")
    tracks = [_track(project, pinned, track_id) for track_id in project.orders]
    models = {entry["model"]["name"]: entry["model"] for entry in tracks if entry["model"] is not None}
    return {
        "format": FORMAT,
        "version": VERSION,
        "generator": f"nesasset {nesasset.__version__}",
        "pack": {"name": project.pack.name, "author": project.pack.author, "license": project.pack.license},
        "manifest_sha256": keys.bytes_digest(project.path.read_bytes()),
        "lock_sha256": keys.bytes_digest(project.lock_path.read_bytes()),
        "ai": {"pre_generated": bool(models), "live_generated": False},
        "models": [_model(model) for _, model in sorted(models.items())],
        "output_license": "CC0-1.0",
        "guard_rails": list(_GUARDS),
        "tracks": tracks,
    }


def _track(project: Project, pinned: Lock, track_id: str) -> dict[str, Any]:
    path = project.score_path(track_id)
    entry = pinned.tracks.get(track_id)
    if entry is None or not path.is_file():
        raise LockError(f"track {track_id} has not been built: build first, then ask where the music came from")
    data = read_bytes(path, score_json.MAX_BYTES)
    score = score_json.loads(data.decode("utf-8", "replace"))
    origin = dict(score.provenance)
    name, sha256 = origin.get("model"), origin.get("model_sha256")
    composed = isinstance(name, str) and isinstance(sha256, str)
    order = project.orders[track_id]
    return {
        "id": track_id,
        "title": order.title or track_id,
        "theme": order.theme,
        "origin": "composed by the model" if composed and not is_edited(score) else "composed by the model, edited by hand" if composed else "by hand",
        "model": {"name": name, "sha256": sha256} if composed else None,
        "seed": origin.get("seed") if isinstance(origin.get("seed"), int) else None,
        "controls": origin.get("controls") if isinstance(origin.get("controls"), dict) else {},
        "edited": is_edited(score),
        "driver": score.driver,
        "originality": originality(score),
        "score": {"path": path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else path.name, "sha256": keys.bytes_digest(data)},
        "pcm_sha256": entry.pcm_sha256,
        "files": {engine: {name: sha for name, (sha, _) in sorted(files.files.items())} for engine, files in sorted(entry.exports.items())},
    }


def originality(score: Score) -> dict[str, Any] | None:
    """Return how much of a score the training songs have: as it says itself, or measured anew where somebody has worked on it."""
    told = score.provenance.get("originality")
    if not is_edited(score):
        return dict(told) if isinstance(told, Mapping) else None
    from nesasset import originality as measures
    from nesasset.model import DEFAULT_MODEL, models_dir
    from nesasset.model_names import model_file

    name = str(score.provenance.get("model") or DEFAULT_MODEL)
    place = model_file(name, ".json")
    try:
        index = measures.load_index(models_dir() if place is None else place.parent, name)
    except NesassetError:  # a report is no reason to have a model
        return None
    return None if index is None else measures.to_json(measures.compare(score, index))


def originality_words(found: Mapping[str, Any] | None) -> str:
    """Return the same in words; empty where nothing is known."""
    if not found or "known_16" not in found:
        return ""
    return f"{found['known_16']:.0%} of 16-grams, longest {found['longest']} notes" if found["longest"] else "nothing known"


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model with its own words on its training, if it is installed here."""
    from nesasset.model import MAX_SIDECAR_BYTES, models_dir
    from nesasset.model_names import model_file

    statement, songs = "not known: this model is not installed here", None
    try:
        path = model_file(str(model["name"]), ".json") or models_dir() / f"{model['name']}.json"
        sidecar = json.loads(read_bytes(path, MAX_SIDECAR_BYTES))
        if sidecar["model"]["sha256"] == model["sha256"]:
            statement, songs = str(sidecar["training"]["data"]), sidecar["training"].get("songs")
    except (NesassetError, ValueError, KeyError, TypeError):
        pass
    return {**model, "training_data": statement, "training_songs": songs}


def files(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of all files by name."""
    return {
        "provenance.json": json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n",
        "PROVENANCE.md": _markdown(found),
        "CREDITS.txt": _credits(found),
        "LICENSE-OUTPUT": _license(found),
        "STORE-DISCLOSURE.md": _disclosure(found),
    }


def _training(found: Mapping[str, Any]) -> str:
    lines = [f"- {model['name']} (SHA-256 {model['sha256'][:16]}…): {model['training_data']}" + (f"; {model['training_songs']} songs" if model["training_songs"] else "") + "." for model in found["models"]]
    return "\n".join(lines) or "- No model: everything was written by hand."


def _markdown(found: Mapping[str, Any]) -> str:
    rows = [
        f"| {entry['id']} | {_cell(entry['title'])} | {entry['theme']} | {entry['origin']} | {'' if entry['seed'] is None else entry['seed']} | {originality_words(entry['originality'])} | {entry['score']['sha256'][:16]} |"
        for entry in found["tracks"]
    ]
    return f"""# Where the music of {_cell(found["pack"]["name"])} came from

Made with {found["generator"]} before release; nothing is generated while the game runs. `provenance.json` has all of this
for programs, with the hash of every file.

| track | title | theme | origin | seed | known from the training songs | score |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}

## What the model learnt from

{_training(found)}

The table says what of each track stands in those songs: of the passages of seventeen notes in the voice that has most, and the
longest such passage; transposed copies count. Passages of eight notes are common to much music, and some match by chance.

The model's files hold weights and counts, no recording and no tune of that music. Whether training on it is allowed, and what
follows for what the model composes, depends on where you live and is not settled everywhere. If that is a question for your
game, ask a lawyer; this page is no legal advice.

## What may be claimed

- The makers of nesasset claim no rights in what it composes; see `LICENSE-OUTPUT`.
- In many countries music that nobody composed is not protected by copyright: others may then use it too.
- What a person added (notes that were edited by hand, an arrangement, a choice among many) may be protected. Tracks that
  were edited are marked above; keep their history in version control as evidence.
- Do not claim that a person composed what a model composed, and do not register it as such.

Every sound file says in its tags that it is AI-generated, with the model and the seed.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _credits(found: Mapping[str, Any]) -> str:
    author = found["pack"]["author"]
    made = "Music composed with nesasset, a neural network for NES music" if found["ai"]["pre_generated"] else "Music played by nesasset"
    lines = [f"{made}{f', arranged by {author}' if author else ''}."]
    lines += ["", "The sound files need no further credit. A game that renders with nesasset while it runs also ships:", ""]
    return "\n".join([*lines, *(f"  {name}: {terms}" for name, terms in _LIBRARIES), ""])


def _license(found: Mapping[str, Any]) -> str:
    return f"""Licence of the music in "{_cell(found["pack"]["name"])}" as far as nesasset is concerned

SPDX-License-Identifier: CC0-1.0

The makers of nesasset claim no copyright in scores, sound files and pictures that nesasset makes, and waive any that they
might have, worldwide, under CC0 1.0 Universal (https://creativecommons.org/publicdomain/zero/1.0/).

This says nothing about rights of others: of whoever edited a score, and of the owners of the music that the model was
trained on, who have given no licence (see PROVENANCE.md). No warranty is given.
"""


def _disclosure(found: Mapping[str, Any]) -> str:
    composed = [entry for entry in found["tracks"] if entry["model"] is not None]
    edited = sum(entry["edited"] for entry in composed)
    names = ", ".join(sorted({model["name"] for model in found["models"]})) or "none"
    if not composed:
        return "# Texts for shops\n\nNo track was composed by a model, so there is nothing to disclose for this music.\n"
    return f"""# Texts for shops

Paste and adapt; they describe this pack of {len(found["tracks"])} tracks, {len(composed)} of them composed by a model ({names}){f", {edited} of these edited by hand" if edited else ""}.

## Steam, content survey: pre-generated

> Background music and jingles were composed with nesasset, a small neural network for the sound chip of the NES, during
> development. The developers chose{" and edited" if edited else ""} the pieces and listened to all of them. No other content of this kind is
> part of the music.

Tick **pre-generated**.

## Steam, content survey: live-generated

> No music is generated while the game runs.

Leave **live-generated** empty if you ship only these files. If your game composes with nesasset while it runs, tick it and describe
the guard-rails:

> Music is composed on the player's machine by a fixed model without a network. It can only write notes for four sound
> channels: no speech, no lyrics, no pictures, no text, so it cannot produce illegal content of those kinds.

## itch.io

Set *AI generation disclosure* to yes, tag **AI Generated** and, of the kinds, **Sounds**. A pack that was edited by hand is disclosed
all the same.
"""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of provenance.json."""
    text, sha256 = {"type": "string"}, {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    model = {"name": text, "sha256": sha256}
    track = {
        "id": text, "title": text, "theme": text, "origin": text,
        "model": {"anyOf": [_object(model), {"type": "null"}]},
        "seed": {"type": ["integer", "null"]}, "controls": {"type": "object"}, "edited": {"type": "boolean"}, "driver": {"type": "integer"},
        "originality": {"type": ["object", "null"]},
        "score": _object({"path": text, "sha256": sha256}), "pcm_sha256": sha256,
        "files": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": sha256}},
    }  # fmt: skip
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nesasset provenance",
        **_object(
            {
                "format": {"const": FORMAT}, "version": {"const": VERSION}, "generator": text,
                "pack": _object({"name": text, "author": text, "license": text}),
                "manifest_sha256": sha256, "lock_sha256": sha256,
                "ai": _object({"pre_generated": {"type": "boolean"}, "live_generated": {"type": "boolean"}}),
                "models": {"type": "array", "items": _object({**model, "training_data": text, "training_songs": {"type": ["integer", "null"]}})},
                "output_license": text, "guard_rails": {"type": "array", "items": text},
                "tracks": {"type": "array", "items": _object(track)},
            }
        ),
    }


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}
