"""How a track's score is found: compose, play, certify, and again with the next seed. Plain functions; nothing touches the disk.

`studio` runs them through the cache and makes the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

import nesasset
from nesasset.audio import Audio
from nesasset.build.order import ATTEMPTS, Order, seeds
from nesasset.build.seal import seal
from nesasset.certificate import Certificate, certify
from nesasset.compose.controls import Controls
from nesasset.driver import drive
from nesasset.errors import CertificateError
from nesasset.render import render
from nesasset.score import Score
from nesasset.themes import theme
from nesasset.units import FRAME_RATE_HZ

SIDECAR_FORMAT: Final = "nesasset-track"
SIDECAR_VERSION: Final = 1

Composer = Callable[[str, int, Controls], Score]
Play = Callable[[Score], Audio]


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


def compose_score(theme_name: str, seed: int, controls: Controls) -> Score:
    """Compose with the model of this installation, loaded once a process. See `nesasset.compose.compose`."""
    from nesasset.compose import compose  # onnxruntime, only where something is really composed

    score: Score = compose(theme_name, seed, controls)
    return score


def member_score(parent: Score, member: str, seed: int) -> Score:
    """Return a member of a score's family. See `nesasset.compose.family`."""
    from nesasset.compose.family import make
    from nesasset.compose.members import find_member

    return make(parent, find_member(member), seed)


def take(order: Order, compose: Composer | None = None, play: Play | None = None, parent: Score | None = None) -> Take:
    """Compose, play and certify, with the next seed of the sequence as long as the certificate fails.

    Args:
        order: What is wanted.
        compose: Makes a score from theme, seed and controls; None is the model.
        play: Makes the sound of a score at the order's rate; None drives and renders it.
        parent: Of a family's member: the score that it is a version of.

    Returns:
        The first take that passes, its score sealed.

    Raises:
        UnknownThemeError: No theme has that name.
        CertificateError: None of the seeds gave a track that passes; the message says why the last one did not.
    """
    composer = compose or compose_score

    def make(seed: int) -> Score:
        score = composer(theme(order.theme).name, seed, order.controls) if parent is None else member_score(parent, order.member, seed)
        if order.title:
            score = replace(score, title=order.title)
        told = {**replace(order, seed=seed).wishes, "theme": theme(order.theme).name}
        return replace(score, provenance={**told, **score.provenance})

    play = play or (lambda score: render(drive(score), order.sample_rate_hz))
    return first_certified(make, order.seed, play, f"track {order.id}", f"a {order.theme}")


def first_certified(make: Callable[[int], Score], seed: int, play: Play, label: str, what: str) -> Take:
    """Make a score, play and certify it, with the next seed of the sequence as long as the certificate fails.

    Args:
        make: Makes a score from a seed.
        seed: The first one.
        play: Makes the sound of a score.
        label: What error messages begin with.
        what: What they call the score.

    Returns:
        The first take that passes, its score sealed.

    Raises:
        CertificateError: None of the seeds gave a score that passes; the message says why the last one did not.
    """
    last = ""
    for attempt, used in enumerate(seeds(seed)):
        score = make(used)
        audio = play(score)
        certificate = certify(score, audio)
        if certificate.passed:
            return Take(seal(score), audio, certificate, used, attempt)
        last = "; ".join(f"{check.name}: {check.sentence}" for check in certificate.failures)
    raise CertificateError(
        f"{label}: none of {ATTEMPTS} seeds from {seed} gave {what} that passes its "
        f"certificate (the last: {last}); choose another seed or other controls"
    )


def sidecar_name(track_id: str) -> str:
    """Return the file name of a track's sidecar."""
    return f"{track_id}.track.json"


def _title(order: Order) -> str:
    return order.title or order.id


def tags(
    score: Score, title: str = "", album: str = "", author: str = "", license: str = "", edited: bool = False
) -> dict[str, str]:
    """Return the tags that a player shows; the loop tags are the writers' own affair.

    Music that a model composed says so, as shops and laws ask; a score written by hand has no such line.
    """
    made_by, worked_on = score.provenance.get("model"), ", edited by hand" if edited else ""
    known = {
        "TITLE": title or score.title or score.theme,
        "ALBUM": album,
        "ARTIST": author,
        "LICENSE": license,
        "GENRE": "Chiptune",
        "COMMENT": f"AI-generated music, model {made_by}, seed {score.provenance.get('seed')}{worked_on}" if made_by else "",
        "ENCODER": generator(),
    }
    return {name: value for name, value in known.items() if value}


def generator() -> str:
    """Return the name and version that our files carry."""
    return f"nesasset {nesasset.__version__}"


def facts_of(order: Order, score: Score, audio: Audio, certificate: Certificate, edited: bool) -> dict[str, Any]:
    """Return the facts of a track: every number that an engine's exporter or a person may need.

    Args:
        order: What was asked for.
        score: What is played.
        audio: Its sound at the pack's rate.
        certificate: Of both.
        edited: Whether a person has worked on the score.

    Returns:
        JSON values, the sidecar's without its list of files; the keys are documented in docs/cli.md.
    """
    provenance = dict(score.provenance)
    used = provenance.get("seed")
    tried = list(seeds(order.seed))
    return {
        "format": SIDECAR_FORMAT,
        "version": SIDECAR_VERSION,
        "generator": generator(),
        "id": order.id,
        "title": _title(order),
        "theme": order.theme,
        "seed": order.seed,
        "seed_used": used,
        "attempt": tried.index(used) if used in tried else None,
        "controls": order.controls.to_json(),
        "edited": edited,
        "driver": score.driver,
        "model": {"name": provenance.get("model"), "sha256": provenance.get("model_sha256")},
        "license": order.license,
        "author": order.author,
        "ai": {"pre_generated": bool(provenance.get("model"))},
        **({"family": {"of": order.parent, "member": order.member}} if order.member else {}),
        **({"family": {"members": list(order.family)}} if order.family else {}),
        **timing(score, audio),
        "certificate": certificate.to_json(),
        "surprisal": provenance.get("surprisal"),
        **({} if edited or "originality" not in provenance else {"originality": provenance["originality"]}),
        "pcm_sha256": hashlib.sha256(audio.samples.astype("<i2").tobytes()).hexdigest(),
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
