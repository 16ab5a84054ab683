"""The stages of one track, each through the cache: compose -> score -> register log -> sound -> facts -> files.

`make` is what worker processes and clusters run: it takes a Job and returns everything as values, so that one process can
write the files. Each stage's key is made of what it depends on (`keys`), so a changed title renders nothing anew, a changed
quality composes nothing anew.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from nesasset.apu.stream import DEFAULT_VOICING
from nesasset.audio import Audio
from nesasset.build import keys, stages
from nesasset.build.cache import Cache
from nesasset.build.engines import engine
from nesasset.build.layout import FADE, FADE_LOOPS, INTRO, LOOP, OUTRO, WHOLE, Options, Product, track_files
from nesasset.build.order import Order
from nesasset.build.outro import outro
from nesasset.build.seal import is_edited
from nesasset.build.stages import Composer
from nesasset.certificate import Certificate, certify
from nesasset.driver import drive
from nesasset.errors import CertificateError, QualityError
from nesasset.formats import score_json
from nesasset.loudness import Loudness, measure
from nesasset.register_log import RegisterLog
from nesasset.render import STEM_GAIN, play_loops, render
from nesasset.score import Score
from nesasset.themes import theme

GAIN_STEP_DB: Final = 0.1  # gains are whole steps: the last bit of a measurement then changes no file


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be made of one track."""

    order: Order
    score: str | None = None
    """The kept score's JSON; None: compose it."""
    exports: tuple[Options, ...] = ()
    """The exports whose files are wanted; none: only the score and its facts."""
    loudness: float | None = None
    """LUFS that the track is brought to."""
    true_peak: float = -1.0
    tolerance: float = 2.0
    cache: Cache | None = None
    """None where the worker shares no disk with us."""
    progress: str = ""
    """A file into which the worker writes the stage that it is in; '' where nobody looks."""
    parent: str | None = None
    """The JSON of the parent's score, of a member that is to be composed; None: compose that, too."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished track."""

    id: str
    score: str
    """The score's JSON, as it is to be kept."""
    facts: Mapping[str, Any]
    """The sidecar without its list of files."""
    files: Mapping[str, Mapping[str, bytes]]
    """Contents by path, by engine."""
    roles: Mapping[str, Mapping[str, str]]
    """Paths by role, by engine."""
    stages: tuple[tuple[str, float, bool], ...] = ()
    """Name, seconds and whether the cache had it, for the report."""


@dataclass(slots=True)
class Studio:
    """One track on its way through the stages."""

    order: Order
    cache: Cache | None = None
    compose: Composer | None = None
    progress: str = ""
    log: list[tuple[str, float, bool]] = field(default_factory=list)
    _sounds: dict[tuple[Any, ...], Audio] = field(default_factory=dict)
    _digests: list[tuple[Score, str]] = field(default_factory=list)

    def composed(self, parent: str | None = None) -> Score:
        """Return the score that the composer gives for the order, sealed and with its title.

        Args:
            parent: Of a family's member: its parent's score as JSON; None composes that first.

        Raises:
            CertificateError: No seed of the order's sequence gave a track that passes.
        """
        order, source = replace(self.order, title=""), None
        if order.member:
            first = replace(order, id=order.parent, member="", parent="")
            source = score_json.loads(parent) if parent is not None else Studio(first, self.cache, self.compose).composed()
            source = replace(source, title="")

        def make() -> bytes:
            made = stages.take(order, self.compose, lambda score: self.sound(score, order.sample_rate_hz), source)
            return score_json.dumps(made.score).encode()

        wanted = theme(order.theme)
        inputs = {
            "composer": _name(self.compose),
            "model": _model_digest(self.order.controls.model) if self.compose is None else "",
            "theme": asdict(wanted),
            "seed": order.seed,
            "controls": order.controls.to_json(),
            "rate": order.sample_rate_hz,
            **({"member": order.member, "parent": keys.bytes_digest(score_json.dumps(source).encode())} if source is not None else {}),
        }
        score = score_json.loads(self._stage("compose", inputs, make).decode())
        return replace(score, title=self.order.title or score.title)

    def registers(self, score: Score) -> tuple[RegisterLog, str]:
        """Return the register log of a score, and its digest."""

        def make() -> bytes:
            return _pack_log(drive(score))

        data = self._stage("log", {"music": self._music(score)}, make)
        return _unpack_log(data), keys.bytes_digest(data)

    def _music(self, score: Score) -> str:
        """Return the digest of a score's music; a track has one score or two, which are asked for again and again."""
        for known, digest in self._digests:
            if known is score:
                return digest
        digest = score_json.music_digest(score)
        self._digests.append((score, digest))
        return digest

    def sound(self, score: Score, rate: int, voice: str = "", gain_db: float = 0.0) -> Audio:
        """Return one pass of a score, or of one of its voices, at a rate and with a gain."""
        known = (self._music(score), rate, voice, gain_db)
        if known not in self._sounds:
            log, digest = self.registers(score)
            gain = 10 ** (gain_db / 20)

            def make() -> bytes:
                if voice:
                    return _pack_audio(render(log, rate, DEFAULT_VOICING, gain * STEM_GAIN, (voice,)))
                return _pack_audio(render(log, rate, DEFAULT_VOICING, gain))

            inputs = {"log": digest, "rate": rate, "voice": voice, "gain_db": gain_db, "voicing": DEFAULT_VOICING}
            self._sounds[known] = _unpack_audio(self._stage("sound", inputs, make), rate)
        return self._sounds[known]

    def facts(self, score: Score, job: Job) -> tuple[dict[str, Any], float]:
        """Return the facts of a score at the pack's rate, and the gain in dB that its sound gets.

        Raises:
            CertificateError: The score, which somebody has worked on, fails its certificate.
            QualityError: The loudness that is asked for cannot be had.
        """
        rate = self.order.sample_rate_hz
        gain_db = 0.0
        audio = self.sound(score, rate)
        if job.loudness is not None:
            plain = self._measured(audio)
            room = job.true_peak - plain.true_peak_dbtp
            gain_db = math.floor(min(job.loudness - plain.lufs, room, 24.0) / GAIN_STEP_DB + 1e-6) * GAIN_STEP_DB
            gain_db = round(gain_db, 1) + 0.0  # no minus before a zero
            audio = self.sound(score, rate, "", gain_db)
        loud = self._measured(audio)
        if job.loudness is not None and abs(loud.lufs - job.loudness) > job.tolerance:
            raise QualityError(
                f"track {self.order.id} has {loud.lufs:.1f} LUFS where {job.loudness:g} are asked for and {job.tolerance:g} LU are allowed: "
                f"its true peak of {loud.true_peak_dbtp:.1f} dBTP leaves no room; ask for less loudness in [quality]"
            )
        certificate = self._certificate(score, audio)
        if not certificate["passed"]:
            reasons = "; ".join(f"{check['name']}: {check['sentence']}" for check in certificate["checks"] if not check["passed"])
            raise CertificateError(f"track {self.order.id}: its score fails the certificate ({reasons}); mend the score")
        empty = Certificate(certificate["kind"], ())
        facts = stages.facts_of(self.order, score, audio, empty, is_edited(score))
        return {**facts, "certificate": certificate, "loudness": {**loud.to_json(), "gain_db": gain_db}}, gain_db

    def file(self, score: Score, product: Product, options: Options, gain_db: float) -> bytes:
        """Return the content of one file."""
        if not product.is_sound:
            inputs: dict[str, Any] = {"score": keys.bytes_digest(score_json.dumps(score).encode()), "format": product.format}
            return self._stage("file", inputs, lambda: _write_score(score, product.format))
        played = outro(score) if product.part == OUTRO else score
        audio = self._part(self.sound(played, product.rate, product.voice, gain_db), product.part, options.fade)
        labels = [label for label in (product.voice, "" if product.part == WHOLE else product.part) if label]
        title = " ".join([self.order.title or self.order.id, *(f"({label})" for label in labels)])
        tags = stages.tags(score, title, self.order.pack, self.order.author, self.order.license, is_edited(score))
        inputs = {
            "pcm": keys.bytes_digest(audio.samples.tobytes()),
            "rate": audio.sample_rate_hz,
            "loop": list(audio.loop) if audio.loop else None,
            "format": product.format,
            "quality": options.quality if product.format == "ogg" else None,
            "tags": tags,
        }
        return self._stage("file", inputs, lambda: encode(audio, product.format, tags, options.quality))

    @staticmethod
    def _part(audio: Audio, part: str, fade: float | None) -> Audio:
        if part == FADE:
            return play_loops(audio, FADE_LOOPS, fade or 0.0)
        if part in (INTRO, LOOP) and audio.loop is not None:
            start, length = audio.loop
            samples = audio.samples[:start] if part == INTRO else audio.samples[start : start + length]
            return Audio(samples, audio.sample_rate_hz, (0, length) if part == LOOP else None)
        return audio

    def _measured(self, audio: Audio) -> Loudness:
        inputs = {"measure": "loudness", "pcm": keys.bytes_digest(audio.samples.tobytes()), "rate": audio.sample_rate_hz}
        found = json.loads(self._stage("facts", inputs, lambda: json.dumps(asdict(measure(audio))).encode()))
        return Loudness(**found)

    def _certificate(self, score: Score, audio: Audio) -> dict[str, Any]:
        inputs = {
            "measure": "certificate",
            "score": keys.bytes_digest(score_json.dumps(replace(score, title="")).encode()),
            "pcm": keys.bytes_digest(audio.samples.tobytes()),
            "rate": audio.sample_rate_hz,
        }
        made = self._stage("facts", inputs, lambda: json.dumps(certify(score, audio).to_json()).encode())
        found: dict[str, Any] = json.loads(made)
        return found

    def _stage(self, name: str, inputs: Mapping[str, Any], make: Callable[[], bytes]) -> bytes:
        """Run a stage through the cache; a result that cannot be read back counts as damaged and is made anew."""
        begun = time.perf_counter()
        if self.progress:
            with suppress(OSError), open(self.progress, "w", encoding="utf-8") as file:
                file.write(name)
        key = keys.key(name, inputs) if self.cache is not None else ""
        found = self.cache.get(name, key) if self.cache is not None else None
        result = make() if found is None else found
        if found is None and self.cache is not None:
            self.cache.put(name, key, result)
        self.log.append((name, time.perf_counter() - begun, found is not None))
        return result


def make(job: Job, compose: Composer | None = None) -> Made:
    """Make a track.

    Args:
        job: What is wanted.
        compose: Stands in for the model, in tests.

    Raises:
        CertificateError: No seed gave a loop that passes, or the kept score's does not.
        QualityError: A gate of [quality] is not met.
        FormatError, ScoreError: The kept score cannot be read.
    """
    studio = Studio(job.order, job.cache, compose, job.progress)
    score = studio.composed(job.parent) if job.score is None else score_json.loads(job.score)
    facts, gain_db = studio.facts(score, job)
    files: dict[str, dict[str, bytes]] = {}
    roles: dict[str, dict[str, str]] = {}
    for options in job.exports:
        target = engine(options.engine)
        contents: dict[str, bytes] = {}
        products = track_files(target, options, job.order.id, score.loop)
        for product in products:
            if product.format != "track.json":
                contents[product.path] = studio.file(score, product, options, gain_db)
        for product in products:
            if product.format == "track.json":
                listed = {path: stages.fingerprint(content) for path, content in sorted(contents.items())}
                contents[product.path] = stages.to_json_bytes({**facts, "files": listed})
        files[options.engine] = contents
        roles[options.engine] = {product.role: product.path for product in products}
    text = job.score if job.score is not None else score_json.dumps(score)
    return Made(job.order.id, text, facts, files, roles, tuple(studio.log))


def encode(audio: Audio, format: str, tags: Mapping[str, str], quality: float) -> bytes:
    """Return a sound file; the quality is of OGG."""
    from nesasset.formats import flac, ogg, wav

    if format == "ogg":
        return ogg.encode(audio, tags, quality)
    return flac.encode(audio, tags) if format == "flac" else wav.encode(audio, tags)


def _write_score(score: Score, format: str) -> bytes:
    from nesasset.formats import midi, piano_roll

    if format == "png":
        picture = io.BytesIO()
        piano_roll.draw(score).save(picture, "PNG", compress_level=9)
        return picture.getvalue()
    return midi.encode(score) if format == "mid" else score_json.dumps(score).encode()


def _name(compose: Composer | None) -> str:
    """Return what tells a composer from others: a stand-in's pieces are not the model's."""
    return "" if compose is None else f"{getattr(compose, '__module__', '')}.{getattr(compose, '__qualname__', '')}"


def _model_digest(name: str | None) -> str:
    """Return the hash of a model's sidecar, which holds the hashes of the model's other files.

    Raises:
        ModelMismatchError: No such model is installed.
    """
    from nesasset.formats.files import read_bytes
    from nesasset.model import DEFAULT_MODEL, MAX_SIDECAR_BYTES, models_dir
    from nesasset.model_names import model_file, named_model

    path = model_file(name or DEFAULT_MODEL, ".json")
    if path is None and name is not None:
        named_model(name)  # says what there is
    return keys.bytes_digest(read_bytes(path or models_dir() / f"{DEFAULT_MODEL}.json", MAX_SIDECAR_BYTES))


# Values as bytes, for the cache.


def _pack_log(log: RegisterLog) -> bytes:
    from nesasset.formats import register_text

    return register_text.dumps(log).encode()


def _unpack_log(data: bytes) -> RegisterLog:
    from nesasset.formats import register_text

    return register_text.loads(data.decode(), "the cache")


def _pack_audio(audio: Audio) -> bytes:
    head = json.dumps({"loop": audio.loop}).encode()
    return head + b"\n" + audio.samples.astype("<i2").tobytes()


def _unpack_audio(data: bytes, rate: int) -> Audio:
    head, _, samples = data.partition(b"\n")
    loop = json.loads(head)["loop"]
    return Audio(np.frombuffer(samples, dtype="<i2").astype(np.int16), rate, None if loop is None else (loop[0], loop[1]))

