"""The loop certificate: what makes a loop seamless, each rule checked by a number. Holds no composing and no repair.

A looping track is certified from its score and from its sound; a jingle gets a certificate of its ending instead.
The rules and the figures behind their limits are explained in docs/certificate.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.state import channel_frames
from nesasset.audio import Audio
from nesasset.driver import drive
from nesasset.errors import AudioError
from nesasset.score import HOLD, Note, Score
from nesasset.units import FRAME_RATE_HZ, VOICE_NAMES, VOICES, samples_per_frame

FULL_SCALE: Final = 32_768
JUMP_WINDOW_S: Final = 0.001  # a click is one step between two samples; the window forgives an onset a moment late
JUMP_FACTOR: Final = 1.5
JUMP_MARGIN: Final = 0.05  # of full scale: keeps a track of very soft bar lines from failing on an ordinary onset
SPECTRUM_WINDOW_S: Final = 0.046  # 2048 samples at 44.1 kHz: just under three frames
SPECTRUM_MARGIN: Final = 0.25  # with 0.15 one real loop in eight fails, see docs/certificate.md
BAND_EDGES_HZ: Final = tuple(50 * 2 ** (step / 4) for step in range(33))  # four bands an octave, 50 Hz to 12.8 kHz
FEW_LINES: Final = 4  # below this many bar lines inside the loop its beat lines are taken too
SURPRISAL_MARGIN_BITS: Final = 2.5  # real loops +0.2 bits a row, broken ones +2.8 to +3.4, measured with a model
SILENCE_LIMIT: Final = 0.01  # of full scale, -40 dB: nobody hears it stop
SILENCE_WINDOW_S: Final = 1.0 / FRAME_RATE_HZ


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of a certificate and how it went."""

    name: str
    value: float | None
    """What was measured; None where there was nothing to measure."""
    limit: float | None
    """The most that passes; None where nothing is compared."""
    passed: bool
    sentence: str
    """What was found, for people."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """All rules for one track."""

    kind: str
    """'loop' or 'ending'."""
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """True if every rule holds."""
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The rules that do not hold."""
        return tuple(check for check in self.checks if not check.passed)

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON values, numbers rounded to six places."""
        return {
            "kind": self.kind,
            "passed": self.passed,
            "checks": [
                {
                    "name": check.name,
                    "value": _round(check.value),
                    "limit": _round(check.limit),
                    "passed": check.passed,
                    "sentence": check.sentence,
                }
                for check in self.checks
            ],
        }


def certify(score: Score, audio: Audio) -> Certificate:
    """Certify the loop, or the ending, of a score and the sound that was made from it.

    Args:
        score: The score.
        audio: One pass, intro and loop, as `render` gives it: its loop is in samples.

    Returns:
        A certificate of kind 'loop' if the score loops, else of kind 'ending'.

    Raises:
        AudioError: The audio is not one of this score: one loops and the other does not.
    """
    if (score.loop is None) != (audio.loop is None):
        raise AudioError("score and audio must both loop or both end; render the audio from this score")
    if score.loop is None:
        return Certificate("ending", (_last_notes(score), _silence(audio)))
    checks = [_whole_bars(score), _whole_samples(score, audio), _equal_voices(score), _held_notes(score)]
    checks += [_jump(score, audio), _spectrum(score, audio), _surprisal(score.provenance)]
    return Certificate("loop", tuple(checks))


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


# The score's side of the loop.


def _whole_bars(score: Score) -> Check:
    start, end = _loop(score)
    left = (end - start) % score.bar_rows
    bars = (end - start) / score.bar_rows
    found = f"the loop is {bars:g} bars of {score.bar_rows} rows"
    return Check("whole bars", left, 0, left == 0, found if left == 0 else f"{found}, {left} rows over a whole bar")


def _whole_samples(score: Score, audio: Audio) -> Check:
    assert score.loop_frames is not None and audio.loop is not None
    start, end = (frame * samples_per_frame(audio.sample_rate_hz) for frame in score.loop_frames)
    name, rate = "whole samples", audio.sample_rate_hz
    if start.denominator != 1 or end.denominator != 1:
        sentence = f"the loop does not fall on whole samples at {rate} Hz; 44100 and 48000 Hz always do"
        return Check(name, float(max(start % 1, end % 1)), 0, False, sentence)
    off = max(abs(audio.loop[0] - start), abs(sum(audio.loop) - end))
    if off:
        return Check(name, float(off), 0, False, f"the audio's loop is {off} samples off the score's")
    return Check(name, 0, 0, True, f"the loop is samples {start} to {end} exactly at {rate} Hz")


def _equal_voices(score: Score) -> Check:
    lengths = {len(score.voices[voice]) for voice in VOICES}
    spread = max(lengths) - min(lengths)
    return Check("equal voices", spread, 0, spread == 0, f"all four voices last {score.n_rows} rows and turn together")


def _held_notes(score: Score) -> Check:
    """Compare what the driver plays over the loop's start on the first pass with what it plays there on every later one.

    Looked at are the frames in which a voice goes on with what came before: a note held over the seam until the voice's
    first own cell, and a slide that begins where the note before ended. Without an intro there is no first pass of its
    own: the driver plays a loop as it sounds when it has come round.
    """
    start, _ = _loop(score)
    wrong = []
    if start > 0:
        first, later = (channel_frames(drive(pass_)) for pass_ in (replace(score, loop=None), score))
        for voice in VOICES:
            begin, end = _carried(score, voice)
            if not np.array_equal(_heard(first[voice], voice, begin, end), _heard(later[voice], voice, begin, end)):
                wrong.append(VOICE_NAMES[voice])
    sentence = "every voice that holds over the seam holds the same note in the same state on every pass"
    if wrong:
        sentence = f"{' and '.join(wrong)} would go on otherwise after the seam than after the intro"
    return Check("held notes", len(wrong), 0, not wrong, sentence)


def _carried(score: Score, voice: str) -> tuple[int, int]:
    """Return the frames of the loop in which what a voice plays depends on the cells before the loop."""
    (start, end), cells, lag = _loop(score), score.voices[voice], score.delays.get(voice, 0)
    first = next((row for row in range(start, end) if cells[row] is not HOLD), None)
    begin = score.row_frame(start)
    if first is None:
        return begin, score.row_frame(end)
    cell = cells[first]
    own = score.row_frame(first) + lag + (cell.delay if isinstance(cell, Note) else 0)
    until = own + (cell.slide if isinstance(cell, Note) else 0)
    return min(begin if cells[start] is HOLD else own, score.row_frame(end)), min(until, score.row_frame(end))


def _heard(columns: Mapping[str, NDArray[np.integer]], voice: str, begin: int, end: int) -> NDArray[np.int64]:
    """Return what a voice plays in each frame, shape (n, 3) or (n, 2): all zero where it is silent."""
    names = ("on", "period") if voice == "TR" else ("volume", "period", "mode" if voice == "NO" else "duty")
    table = np.stack([columns[name][begin:end].astype(np.int64) for name in names], axis=1)
    return np.where(table[:, :1] > 0, table, 0)


def _loop(score: Score) -> tuple[int, int]:
    assert score.loop is not None
    return score.loop


# The sound's side of the loop: the seam beside the track's own bar lines.


def _lines(score: Score, audio: Audio) -> NDArray[np.int64]:
    """Return the samples of the bar lines inside the loop; of its beats, if bars are few; shape (n_lines,)."""
    start, end = _loop(score)
    for step in (score.bar_rows, score.beat_rows, 1):
        rows = range(start + step, end, step)
        if len(rows) >= FEW_LINES:
            break
    scale = samples_per_frame(audio.sample_rate_hz)
    return np.array([round(score.row_frame(row) * scale) for row in rows], dtype=np.int64)


def _around(audio: Audio, sample: int, width: int) -> NDArray[np.float64]:
    """Return the looped sound from `width` samples before a sample to `width` after it, in [-1, 1]; shape (2 width,)."""
    assert audio.loop is not None
    start, length = audio.loop
    at = start + (np.arange(sample - width, sample + width) - start) % length
    return audio.samples[at].astype(np.float64) / FULL_SCALE


def _jump(score: Score, audio: Audio) -> Check:
    width = max(2, round(JUMP_WINDOW_S * audio.sample_rate_hz))

    def largest_step(sample: int) -> float:
        return float(np.abs(np.diff(_around(audio, sample, width))).max())

    assert audio.loop is not None
    seam = largest_step(audio.loop[0])
    bars = max((largest_step(int(line)) for line in _lines(score, audio)), default=0.0)
    limit = JUMP_FACTOR * bars + JUMP_MARGIN
    sentence = f"the wave's largest step at the seam is {seam:.3f} of full scale, at bar lines up to {bars:.3f}"
    return Check("jump", seam, limit, seam <= limit, sentence)


def _spectrum(score: Score, audio: Audio) -> Check:
    width = max(16, round(SPECTRUM_WINDOW_S * audio.sample_rate_hz))
    window = np.hanning(width)
    first_bins = np.unique(np.searchsorted(np.fft.rfftfreq(width, 1 / audio.sample_rate_hz), BAND_EDGES_HZ))
    first_bins = first_bins[first_bins <= width // 2]

    def change(sample: int) -> float:
        """Return how far the spectra before and after a sample differ: 0 the same, 1 nothing in common."""
        sound = _around(audio, sample, width)
        halves = (np.abs(np.fft.rfft(window * half)) for half in (sound[:width], sound[width:]))
        before, after = (np.add.reduceat(half, first_bins) for half in halves)
        total = float((before + after).sum())
        if total <= SILENCE_LIMIT * width:
            return 0.0
        return min(1.0, float(np.abs(after - before).sum()) / total)  # rounding may carry the sum above 1

    assert audio.loop is not None
    seam = change(audio.loop[0])
    bars = max((change(int(line)) for line in _lines(score, audio)), default=0.0)
    limit = min(1.0, bars + SPECTRUM_MARGIN)
    sentence = f"the spectrum changes by {seam:.2f} at the seam, at bar lines by up to {bars:.2f} (1 is total)"
    return Check("spectrum", seam, limit, seam <= limit, sentence)


def _surprisal(provenance: Mapping[str, Any]) -> Check:
    """Compare how unexpected the seam is to the model with how unexpected the rest is; nothing known passes."""
    name, figures = "surprisal", provenance.get("surprisal")
    pair = [figures.get(place) if isinstance(figures, Mapping) else None for place in ("seam", "interior")]
    seam, interior = (value if _is_number(value) else None for value in pair)
    if seam is None or interior is None:
        return Check(name, None, SURPRISAL_MARGIN_BITS, True, "the score does not say how surprising its seam is")
    more = seam - interior
    sentence = f"the seam costs the model {seam:.2f} bits a row, the rest {interior:.2f}"
    return Check(name, more, SURPRISAL_MARGIN_BITS, more <= SURPRISAL_MARGIN_BITS, sentence)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


# The ending of a piece that does not loop.


def _last_notes(score: Score) -> Check:
    """Count the voices that would sound for ever after the last row."""
    stuck = []
    for voice in VOICES:
        last = next((cell for cell in reversed(score.voices[voice]) if cell is not HOLD), None)
        if isinstance(last, Note) and last.volume and score.instruments[last.instrument].volume[-1]:
            stuck.append(VOICE_NAMES[voice])
    sentence = "every voice has fallen silent at the end"
    if stuck:
        sentence = f"{' and '.join(stuck)} would sound on after the end"
    return Check("last notes", len(stuck), 0, not stuck, sentence)


def _silence(audio: Audio) -> Check:
    tail = audio.samples[-max(1, round(SILENCE_WINDOW_S * audio.sample_rate_hz)) :]
    loudest = float(np.abs(tail.astype(np.float64)).max()) / FULL_SCALE if len(tail) else 0.0
    sentence = f"the last frame's loudest sample is {loudest:.4f} of full scale"
    return Check("silence at the end", loudest, SILENCE_LIMIT, loudest <= SILENCE_LIMIT, sentence)
