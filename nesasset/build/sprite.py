"""A sprite: one sound file with all tracks of an export, for engines of the web, and where each part lies in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.audio import Audio
from nesasset.build import stages
from nesasset.build.cache import Cache
from nesasset.build.layout import Options
from nesasset.build.order import Order
from nesasset.build.studio import Studio, encode
from nesasset.formats import score_json

SPRITE_GAP_S: Final = 1.0  # silence between the parts; parts begin on whole seconds


@dataclass(frozen=True, slots=True)
class SpriteJob:
    """One sound file with all tracks of an export."""

    options: Options
    tracks: tuple[tuple[str, Order, str, float], ...]
    """Name in the sprite, order, score's JSON and gain in dB of each."""
    title: str
    cache: Cache | None = None


def make_sprite(job: SpriteJob) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Return one sound file with all tracks, and the first sample and length of each part.

    A looping track has two parts if it has an intro: NAME_intro and NAME, its loop. Parts begin on whole seconds with at
    least one second of silence between them; the loop's first samples follow it once more, so that a decoder's filter or a
    player that stops late finds nothing but the music.
    """
    rate = job.options.rates[0]
    pieces: list[NDArray[np.int16]] = []
    parts: dict[str, tuple[int, int]] = {}
    at = 0
    for name, order, text, gain_db in job.tracks:
        score = score_json.loads(text)
        audio = Studio(order, job.cache).sound(score, rate, "", gain_db)
        for part, samples in _sprite_parts(name, audio):
            parts[part] = (at, len(samples))
            over = samples[: rate // 10] if audio.loop is not None and part == name else samples[:0]
            used = len(samples) + len(over)
            end = math.ceil((at + used) / rate + SPRITE_GAP_S) * rate
            pieces += [samples, over, np.zeros(end - at - used, dtype=np.int16)]
            at = end
    whole = Audio(np.concatenate(pieces), rate)
    composed = any(score_json.loads(text).provenance.get("model") for _, _, text, _ in job.tracks)
    told = {"COMMENT": "AI-generated music"} if composed else {}
    tags = {"TITLE": job.title, "GENRE": "Chiptune", **told, "ENCODER": stages.generator()}
    return encode(whole, job.options.format, tags, job.options.quality), parts


def _sprite_parts(name: str, audio: Audio) -> Iterator[tuple[str, Any]]:
    if audio.loop is None:
        yield name, audio.samples
        return
    start, length = audio.loop
    if start:
        yield f"{name}_intro", audio.samples[:start]
    yield name, audio.samples[start : start + length]
