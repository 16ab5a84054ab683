"""The stages of one track: compose -> score -> log -> audio -> files. Plain functions; nothing here touches the disk.

Each stage depends on its arguments only, so that a later cache can key it by them.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

import nesasset
from nesasset.audio import Audio
from nesasset.certificate import Certificate, certify
from nesasset.compose.controls import SEED_RANGE, Controls
from nesasset.driver import drive
from nesasset.errors import CertificateError
from nesasset.render import render
from nesasset.score import Score
from nesasset.themes import theme
from nesasset.units import FRAME_RATE_HZ

ATTEMPTS: Final = 8  # seeds tried before a track is given up
SIDECAR_FORMAT: Final = "nesasset-track"
SIDECAR_VERSION: Final = 1

Composer = Callable[[str, int, Controls], Score]


@dataclass(frozen=True, slots=True)
class Order:
    """What one track is to be."""

    id: str
    """Stem of the track's file names."""
    theme: str
    seed: int = 0
    controls: Controls = field(default_factory=Controls)
    title: str = ""
    """For people and players; the id where empty."""
    sample_rate_hz: int = 44_100
    pack: str = ""
    """Name of the pack, the album in the players' words."""
    author: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True)
class Take:
    """A score that passed its certificate, with its sound."""

    score: Score
    audio: Audio
    certificate: Certificate
    seed: int
    """The seed that composed it: the asked one, or a later one of its sequence."""
    attempt: int
    """0 for the asked seed, 1 for the next …"""


@dataclass(frozen=True, slots=True)
class Track:
    """A finished track, ready to be written."""

    order: Order
    files: Mapping[str, bytes]
    """Contents by file name."""
    sidecar: Mapping[str, Any]
    """What ID.track.json holds."""


def compose_score(theme_name: str, seed: int, controls: Controls) -> Score:
    """Compose with the model of this installation, loaded once a process. See `nesasset.compose.compose`."""
    from nesasset.compose import compose  # onnxruntime, only where something is really composed

    score: Score = compose(theme_name, seed, controls)
    return score


def seeds(seed: int, count: int = ATTEMPTS) -> Iterator[int]:
    """Yield a seed and its successors: the seed itself, then numbers that depend on nothing but it and their place."""
    yield seed
    for attempt in range(1, count):
        digest = hashlib.sha256(f"nesasset seed {seed} attempt {attempt}".encode()).digest()
        yield int.from_bytes(digest[:4], "big") % (SEED_RANGE[1] + 1)


def take(order: Order, compose: Composer | None = None) -> Take:
    """Compose, play and certify, with the next seed of the sequence as long as the certificate fails.

    Args:
        order: What is wanted.
        compose: Makes a score from theme, seed and controls; None is the model.

    Returns:
        The first take that passes.

    Raises:
        UnknownThemeError: No theme has that name.
        CertificateError: None of the seeds gave a track that passes; the message says why the last one did not.
    """
    compose = compose or compose_score
    last = ""
    for attempt, seed in enumerate(seeds(order.seed)):
        score = compose(theme(order.theme).name, seed, order.controls)
        if order.title:
            score = replace(score, title=order.title)
        audio = render(drive(score), order.sample_rate_hz)
        certificate = certify(score, audio)
        if certificate.passed:
            return Take(score, audio, certificate, seed, attempt)
        last = "; ".join(f"{check.name}: {check.sentence}" for check in certificate.failures)
    raise CertificateError(
        f"track {order.id}: none of {ATTEMPTS} seeds from {order.seed} gave a {order.theme} that passes its "
        f"certificate (the last: {last}); choose another seed or other controls"
    )


def make_track(order: Order, compose: Composer | None = None) -> Track:
    """Make a track with all its files. See `take` for the errors."""
    made = take(order, compose)
    files = encode_files(order, made)
    sidecar = sidecar_of(order, made, files)
    files[sidecar_name(order.id)] = to_json_bytes(sidecar)
    return Track(order, files, sidecar)


@dataclass(frozen=True, slots=True)
class EffectOrder:
    """What one sound effect of a pack is to be."""

    id: str
    """Stem of the effect's file names."""
    kind: str
    """Class of `nesasset.sfx`."""
    seed: int = 0
    chord: str | None = None
    sample_rate_hz: int = 44_100


def make_effect(order: EffectOrder) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Make a sound effect: the contents of its files by name, and what pack.json says of it.

    Raises:
        ControlError: There is no such class or chord.
    """
    from nesasset import sfx
    from nesasset.formats import wav

    effect = sfx.make(order.kind, order.seed, () if order.chord is None else sfx.tuned_to(order.chord))
    audio = render(effect.to_log(), order.sample_rate_hz)
    files = {
        f"{order.id}.wav": wav.encode(audio, {"TITLE": order.id, "ENCODER": generator()}),
        f"{order.id}.sfx.json": to_json_bytes(effect.to_json()),
    }
    facts = {"id": order.id, "class": order.kind, "seed": order.seed, "chord": order.chord}
    return files, {**facts, "priority": effect.priority, "seconds": _seconds(len(audio.samples), audio.sample_rate_hz)}


def sidecar_name(track_id: str) -> str:
    """Return the file name of a track's sidecar."""
    return f"{track_id}.track.json"


def encode_files(order: Order, made: Take) -> dict[str, bytes]:
    """Return the contents of the score, OGG, MIDI and picture of a track by file name."""
    from nesasset.formats import midi, ogg, piano_roll, score_json

    picture = io.BytesIO()
    piano_roll.draw(made.score).save(picture, "PNG", compress_level=9)
    return {
        f"{order.id}.json": score_json.dumps(made.score).encode(),
        f"{order.id}.mid": midi.encode(made.score),
        f"{order.id}.ogg": ogg.encode(made.audio, tags(made.score, _title(order), order.pack, order.author, order.license)),
        f"{order.id}.png": picture.getvalue(),
    }


def _title(order: Order) -> str:
    return order.title or order.id


def tags(score: Score, title: str = "", album: str = "", author: str = "", license: str = "") -> dict[str, str]:
    """Return the tags that a player shows; the loop tags are the writers' own affair.

    Music that a model composed says so, as shops and laws ask; a score written by hand has no such line.
    """
    made_by = score.provenance.get("model")
    known = {
        "TITLE": title or score.title or score.theme,
        "ALBUM": album,
        "ARTIST": author,
        "LICENSE": license,
        "GENRE": "Chiptune",
        "COMMENT": f"AI-generated music, model {made_by}, seed {score.provenance.get('seed')}" if made_by else "",
        "ENCODER": generator(),
    }
    return {name: value for name, value in known.items() if value}


def generator() -> str:
    """Return the name and version that our files carry."""
    return f"nesasset {nesasset.__version__}"


def sidecar_of(order: Order, made: Take, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the sidecar of a track: every number that an engine's exporter or a person may need.

    Args:
        order: What was asked for.
        made: What came of it.
        files: The track's other files by name.

    Returns:
        JSON values; the keys are documented in docs/cli.md.
    """
    score, audio = made.score, made.audio
    provenance = dict(score.provenance)
    return {
        "format": SIDECAR_FORMAT,
        "version": SIDECAR_VERSION,
        "generator": generator(),
        "id": order.id,
        "title": _title(order),
        "theme": order.theme,
        "seed": order.seed,
        "seed_used": made.seed,
        "attempt": made.attempt,
        "controls": order.controls.to_json(),
        "model": {"name": provenance.get("model"), "sha256": provenance.get("model_sha256")},
        "license": order.license,
        "author": order.author,
        "ai": {"pre_generated": True},
        **timing(score, audio),
        "certificate": made.certificate.to_json(),
        "surprisal": provenance.get("surprisal"),
        "pcm_sha256": hashlib.sha256(audio.samples.astype("<i2").tobytes()).hexdigest(),
        "files": {name: fingerprint(content) for name, content in sorted(files.items())},
    }


def timing(score: Score, audio: Audio) -> dict[str, Any]:
    """Return length, tempo and loop in every unit that a reader may want; seconds as exact decimal texts."""
    frames_per_beat = Fraction(sum(score.groove) * score.beat_rows, len(score.groove))
    rate = audio.sample_rate_hz
    loop = None
    if audio.loop is not None and score.loop is not None and score.loop_frames is not None:
        start, length = audio.loop
        loop = {
            "samples": {"start": start, "length": length, "end": start + length},
            "seconds": {"start": _seconds(start, rate), "length": _seconds(length, rate), "end": _seconds(start + length, rate)},
            "rows": {"start": score.loop[0], "end": score.loop[1]},
            "frames": {"start": score.loop_frames[0], "end": score.loop_frames[1]},
        }
    return {
        "rate": rate,
        "channels": 1,
        "samples": len(audio.samples),
        "seconds": _seconds(len(audio.samples), rate),
        "frame_rate": FRAME_RATE_HZ,
        "frames": score.n_frames,
        "tempo_bpm": round(score.tempo_bpm, 6),
        "frames_per_beat": str(frames_per_beat),
        "bar_beats": str(Fraction(score.bar_rows, score.beat_rows)),
        "bars": score.n_bars,
        "rows": score.n_rows,
        "loop": loop,
    }


def _seconds(samples: int, rate: int) -> str:
    return f"{samples / rate:.9f}"


def fingerprint(content: bytes) -> dict[str, Any]:
    """Return the SHA-256 and size of a file's content."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def to_json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return JSON as our files hold it: sorted keys, two spaces, LF, UTF-8."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
