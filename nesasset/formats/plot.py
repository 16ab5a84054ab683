"""A piece in one picture: piano roll, waveform, spectrogram and the loop's seam, one below the other, time axes aligned.

Holds the drawing and the measuring behind it. Sound is made and files are read elsewhere; a piano roll is there only
where a score is given.

The picture is at most MAX_WIDTH pixels wide, however long the piece. The same piece gives the same bytes, on one machine
with one set of versions of numpy and Pillow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.audio import Audio
from nesasset.errors import AudioError
from nesasset.formats import canvas, piano_roll
from nesasset.formats.canvas import (
    BACKGROUND,
    BAR_LINE,
    BEAT_LINE,
    FAINT_TEXT,
    HEADER_HEIGHT,
    LEVEL_COLORS,
    LOOP,
    MARGIN,
    PANEL,
    TEXT,
    VOICE_COLORS,
    Color,
    font,
)
from nesasset.score import Score
from nesasset.units import FRAME_RATE_HZ, samples_per_frame

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

MAX_SECONDS: Final = 3600
MAX_WIDTH: Final = 4096
FULL_SCALE: Final = 32_768

# Sizes in pixels.
_PIXELS_PER_SECOND: Final = FRAME_RATE_HZ  # a frame is a pixel, where the picture does not get too narrow or too wide
_MIN_PLOT_WIDTH: Final = 1200
_LEFT: Final = MARGIN + piano_roll.LABEL_WIDTH
_RIGHT: Final = MARGIN + 56  # the legend of the spectrogram
_CAPTION: Final = 24
_GAP: Final = 20
_AXIS: Final = 24
_WAVE_HEIGHT: Final = 128
_SPECTROGRAM_HEIGHT: Final = 320
_SEAM_HEIGHT: Final = 176
_SEAM_GAP: Final = 48
_TICK_ROOM: Final = 88
_SMOOTHING: Final = 4  # a sample's line is drawn so much larger and then made small
_MIN_BAR_WIDTH: Final = 4

# The spectrogram.
LOW_HZ, HIGH_HZ = 40.0, 16_000.0
TOP_DB, FLOOR_DB = -10.0, -70.0  # of a sine of full scale; a loud note of ours has about -15, its noise -50
_WINDOW_S: Final = 0.08  # at least: tells semitones apart from about 200 Hz on, and still the notes of a fast run
_MAX_WINDOWS: Final = 8  # a column of a long piece averages so many at most
_BATCH: Final = 128  # windows transformed at a time, about: 4 MiB at 44.1 kHz
_SHADES: Final = 256
_LABELLED_HZ: Final = (50, 100, 200, 500, 1000, 2000, 5000, 10_000)

SEAM_S: Final = 0.02
_SCALES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)  # of full scale; what an axis of samples may reach to
_BEFORE, _AFTER = VOICE_COLORS["P2"], VOICE_COLORS["TR"]


def check_length(seconds: float) -> None:
    """Raise AudioError if a piece is longer than a picture can show, or has no length."""
    if seconds > MAX_SECONDS:
        raise AudioError(
            f"a picture shows at most {MAX_SECONDS} seconds, and the piece lasts {seconds:.0f}; cut a part out of it first"
        )
    if seconds <= 0:
        raise AudioError("there is nothing to show: the sound has no samples; give one that has")


def draw(audio: Audio, score: Score | None = None, title: str = "", facts: Sequence[str] = ()) -> Image:
    """Return the picture of a piece as RGB.

    Args:
        audio: One pass, intro and loop, at most an hour.
        score: The score that the audio was rendered from, for its piano roll and bar lines; None where there is none.
        title: What stands above; a score's own title where empty.
        facts: What stands below the title, before what a score says, the length and the loop.

    Raises:
        AudioError: The audio is empty or too long, or is not that of the score.
    """
    from PIL import Image, ImageDraw

    check_length(audio.seconds)
    if score is not None and (score.loop is None) != (audio.loop is None):
        raise AudioError("score and audio must both loop or both end; render the audio from this score")
    roll = None if score is None else piano_roll.Roll(score)
    wide = round(min(max(audio.seconds * _PIXELS_PER_SECOND, _MIN_PLOT_WIDTH), MAX_WIDTH - _LEFT - _RIGHT))
    bracket = piano_roll.RULER_HEIGHT if roll is None and audio.loop is not None else 0
    wave_top = HEADER_HEIGHT + (0 if roll is None else roll.height + _GAP) + bracket + _CAPTION
    spectrogram_top = wave_top + _WAVE_HEIGHT + _GAP + _CAPTION
    bottom = spectrogram_top + _SPECTROGRAM_HEIGHT + _AXIS
    seam_top = bottom + _GAP + _CAPTION
    height = (bottom if audio.loop is None else seam_top + _SEAM_HEIGHT + _AXIS) + MARGIN - 8

    image = Image.new("RGB", (_LEFT + wide + _RIGHT, height), BACKGROUND)
    pen = ImageDraw.Draw(image)
    own_facts = [*facts, *([] if score is None else piano_roll.facts_of(score)), canvas.duration(audio.seconds), _loop_fact(audio)]
    heading = canvas.plain(title, 60) or ("Untitled" if score is None else piano_roll.title_of(score))
    canvas.draw_header(pen, image.width, heading, own_facts, voices=score is not None)
    lines = [] if score is None or roll is None else _draw_roll(pen, roll, score, audio, wide)
    _draw_wave(image, audio, lines, wide, wave_top)
    _draw_spectrogram(image, audio, wide, spectrogram_top)
    _draw_time(pen, audio, wide, bottom - _AXIS)
    if audio.loop is not None:
        _draw_loop_lines(pen, audio, wide, ((wave_top, _WAVE_HEIGHT), (spectrogram_top, _SPECTROGRAM_HEIGHT)))
        if bracket:
            _draw_bracket(pen, audio, wide, HEADER_HEIGHT)
        _draw_seam(image, audio, score, wide, seam_top)
    return image


def time_axis(width: int) -> tuple[int, int]:
    """Return where time begins in a picture of that width, and how many pixels the whole piece takes."""
    return _LEFT, width - _LEFT - _RIGHT


# Places: all panels but the seam share one axis of time.


def _x(share: float, wide: int) -> int:
    return _LEFT + round(share * wide)


def _loop_fact(audio: Audio) -> str:
    if audio.loop is None:
        return "no loop"
    start, length = audio.loop
    return f"loop {start / audio.sample_rate_hz:.2f} to {(start + length) / audio.sample_rate_hz:.2f} s"


def _caption(pen: ImageDraw, x: int, top: int, name: str, rest: str = "") -> None:
    """Write what a panel is above its top, its name brighter than the rest."""
    pen.text((x, top - 8), name, fill=TEXT, font=font(13), anchor="ls")
    if rest:
        pen.text((x + pen.textlength(name + "   ", font=font(13)), top - 8), rest, fill=FAINT_TEXT, font=font(12), anchor="ls")


def _draw_roll(pen: ImageDraw, roll: piano_roll.Roll, score: Score, audio: Audio, wide: int) -> list[int]:
    """Draw the rows that are heard, and return the places of their bar lines."""
    n_rows = score.n_rows if score.loop is None else score.loop[1]
    n_frames = audio.seconds * FRAME_RATE_HZ
    row_width = wide / n_frames * sum(score.groove) / len(score.groove)
    # A power of two, as for the bars' numbers, so that every numbered bar has its line.
    bar_step = 1 << (math.ceil(_MIN_BAR_WIDTH / (row_width * score.bar_rows)) - 1).bit_length()

    def place(frame: int) -> int:
        return _x(min(frame / n_frames, 1.0), wide)

    roll.draw(pen, range(n_rows), HEADER_HEIGHT, place, row_width, bar_step)
    return [place(roll.starts[row]) for row in range(0, n_rows, score.bar_rows * bar_step)]


def _draw_loop_lines(pen: ImageDraw, audio: Audio, wide: int, panels: Sequence[tuple[int, int]]) -> None:
    assert audio.loop is not None
    for sample in (audio.loop[0], sum(audio.loop)):
        x = min(_x(sample / len(audio.samples), wide), _LEFT + wide - 1)
        for top, height in panels:
            pen.line((x, top, x, top + height - 1), fill=LOOP)


def _draw_bracket(pen: ImageDraw, audio: Audio, wide: int, top: int) -> None:
    """Draw the bracket that a piano roll would bring along."""
    assert audio.loop is not None
    start, length = audio.loop
    left, right = (_x(sample / len(audio.samples), wide) for sample in (start, start + length))
    y = top + 4
    pen.rectangle((left, y, right, y + 1), fill=LOOP)
    pen.rectangle((left, y, left + 1, y + 8), fill=LOOP)
    pen.rectangle((right - 1, y, right, y + 8), fill=LOOP)
    if right - left >= 48:
        pen.text((left + 8, y + 4), "loop", fill=LOOP, font=font(12))


def _draw_time(pen: ImageDraw, audio: Audio, wide: int, top: int) -> None:
    """Draw the axis of time below the spectrogram."""
    for at, name in canvas.second_ticks(audio.seconds, wide / _TICK_ROOM):
        x = _x(at / audio.seconds, wide)
        pen.line((x, top, x, top + 5), fill=BAR_LINE)
        pen.text((x, top + 8), name, fill=FAINT_TEXT, font=font(11), anchor="mt")


# The waveform.


def wave_bounds(samples: NDArray[np.int16], columns: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the least and the greatest sample of each column of pixels, in 16 bits; both of shape (columns,).

    Args:
        samples: At least one, shape (n_samples,).
        columns: How many; where there are fewer samples, some are shown by several columns.
    """
    first = np.arange(columns) * len(samples) // columns
    return np.minimum.reduceat(samples, first), np.maximum.reduceat(samples, first)


def _scale_of(samples: NDArray[np.int16]) -> float:
    """Return the share of full scale at which an axis for these samples should end."""
    peak = max(int(samples.max()), -int(samples.min())) / FULL_SCALE
    return next(scale for scale in _SCALES if peak <= scale)


def _draw_scale(pen: ImageDraw, left: int, top: int, height: int, scale: float) -> None:
    """Write the axis of samples to the left of a panel: its two ends and the middle."""
    middle = top + (height - 1) // 2
    for y, name in ((top + 5, f"{scale:g}"), (middle, "0"), (top + height - 6, f"-{scale:g}")):
        pen.text((left - 8, y), name, fill=FAINT_TEXT, font=font(11), anchor="rm")


def _draw_wave(image: Image, audio: Audio, lines: Sequence[int], wide: int, top: int) -> None:
    from PIL import Image, ImageDraw

    pen = ImageDraw.Draw(image)
    height = _WAVE_HEIGHT
    pen.rectangle((_LEFT, top, _LEFT + wide - 1, top + height - 1), fill=PANEL)
    for x in lines or [_x(at / audio.seconds, wide) for at, _ in canvas.second_ticks(audio.seconds, wide / _TICK_ROOM)]:
        pen.line((x, top, x, top + height - 1), fill=BEAT_LINE)
    middle = top + (height - 1) // 2
    pen.line((_LEFT, middle, _LEFT + wide - 1, middle), fill=BAR_LINE)
    low, high = wave_bounds(audio.samples, wide)
    # A column reaches to its neighbour's nearer end, so that steep waves stay in one piece.
    joined_low = np.minimum(low, np.concatenate([low[:1], high[:-1]]))
    joined_high = np.maximum(high, np.concatenate([high[:1], low[:-1]]))
    scale = _scale_of(audio.samples)
    above, below = (
        np.rint((1 - bound / (FULL_SCALE * scale)) / 2 * (height - 1)).clip(0, height - 1)
        for bound in (joined_high, joined_low)
    )
    rows = np.arange(height)[:, np.newaxis]
    filled = ((rows >= above) & (rows <= below)).astype(np.uint8) * 255
    image.paste(_BEFORE, (_LEFT, top), Image.fromarray(filled))
    _caption(pen, _LEFT, top, "waveform", "share of full scale")
    _draw_scale(pen, _LEFT, top, height, scale)


# The spectrogram.


def levels(audio: Audio, columns: int, rows: int) -> NDArray[np.float64]:
    """Return the level of each pixel of a spectrogram in decibels; shape (rows, columns), the highest row first.

    A column is the mean power of windows spread over it. A row that spans several of the transform's frequencies shows the
    strongest of them, one that falls between two what lies between. Rows are equally high on a logarithmic scale from LOW_HZ to
    HIGH_HZ; those beyond half the sample rate are NaN. A sine of full scale has 0 dB.

    Args:
        audio: At least one sample.
        columns: Spread evenly over the audio.
        rows: At least one.
    """
    rate, n_samples = audio.sample_rate_hz, len(audio.samples)
    size = 1 << (math.ceil(_WINDOW_S * rate) - 1).bit_length()
    window = np.hanning(size + 1)[:-1]
    bin_hz = rate / size
    edges_hz = LOW_HZ * (HIGH_HZ / LOW_HZ) ** (np.arange(rows + 1) / rows)
    first_bins = np.minimum(np.ceil(edges_hz / bin_hz).astype(np.int64), size // 2)
    stop = max(first_bins[-1], first_bins[-2] + 1)
    between = first_bins[1:] == first_bins[:-1]
    middles = np.sqrt(edges_hz[1:] * edges_hz[:-1]) / bin_hz
    below = np.minimum(middles.astype(np.int64), size // 2 - 1)
    part = np.minimum(middles - below, 1.0)

    per_column = min(_MAX_WINDOWS, max(1, math.ceil(2 * n_samples / (columns * size))))
    centers = ((np.arange(columns * per_column) + 0.5) / (columns * per_column) * n_samples).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(_mirrored(audio.samples, size // 2), size)
    batch = max(1, _BATCH // per_column)
    power = np.empty((columns, rows))
    for start in range(0, columns, batch):
        spectra = np.fft.rfft(windows[centers[start * per_column : (start + batch) * per_column]] * window)
        powers = (spectra.real**2 + spectra.imag**2).reshape(-1, per_column, spectra.shape[1]).mean(axis=1)
        strongest = np.maximum.reduceat(powers[:, :stop], first_bins[:-1], axis=1)
        blend = powers[:, below] * (1 - part) + powers[:, below + 1] * part
        power[start : start + batch] = np.where(between, blend, strongest)
    full = (FULL_SCALE * window.sum() / 2) ** 2
    found = 10 * np.log10(power / full + 1e-20)
    found[:, edges_hz[:-1] >= rate / 2] = np.nan
    turned: NDArray[np.float64] = found.T[::-1]
    return turned


def _mirrored(samples: NDArray[np.int16], width: int) -> NDArray[np.int16]:
    """Return samples with so many more at both ends, mirrored, which makes no click; shape (n_samples + 2 width,)."""
    last = len(samples) - 1
    ends = [np.arange(-width, 0), np.arange(last + 1, last + 1 + width)]
    before, after = (samples[last - np.abs(end % max(1, 2 * last) - last)] for end in ends)
    return np.concatenate([before, samples, after])


def shades() -> NDArray[np.uint8]:
    """Return the colors of the spectrogram from FLOOR_DB to TOP_DB, shape (256, 3)."""
    anchors = np.array(LEVEL_COLORS, dtype=np.float64)
    at = np.linspace(0, len(anchors) - 1, _SHADES)
    columns = [np.interp(at, np.arange(len(anchors)), anchors[:, color]) for color in range(3)]
    return np.rint(np.stack(columns, axis=1)).astype(np.uint8)


def _draw_spectrogram(image: Image, audio: Audio, wide: int, top: int) -> None:
    from PIL import Image, ImageDraw

    pen = ImageDraw.Draw(image)
    height, right = _SPECTROGRAM_HEIGHT, _LEFT + wide
    table = shades()
    found = levels(audio, wide, height)
    index = np.rint(np.nan_to_num((found - FLOOR_DB) / (TOP_DB - FLOOR_DB)) * (_SHADES - 1)).clip(0, _SHADES - 1)
    pixels = table[index.astype(np.intp)]
    pixels[np.isnan(found)] = BACKGROUND
    image.paste(Image.fromarray(pixels), (_LEFT, top))
    for hz in _LABELLED_HZ:
        y = top + round(height * (1 - math.log(hz / LOW_HZ) / math.log(HIGH_HZ / LOW_HZ)))
        pen.line((_LEFT - 5, y, _LEFT - 1, y), fill=BAR_LINE)
        name = f"{hz // 1000}k" if hz >= 1000 else str(hz)
        pen.text((_LEFT - 9, y), name, fill=FAINT_TEXT, font=font(11), anchor="rm")
    _caption(pen, _LEFT, top, "spectrogram", "Hz, logarithmic")

    legend = np.repeat(table[::-1][np.arange(height) * _SHADES // height][:, np.newaxis], 12, axis=1)
    image.paste(Image.fromarray(legend), (right + 14, top))
    for db in range(int(FLOOR_DB), int(TOP_DB) + 1, 10):
        y = top + round((TOP_DB - db) / (TOP_DB - FLOOR_DB) * (height - 1))
        inside = min(max(y, top + 5), top + height - 6)
        pen.text((right + 32, inside), str(db), fill=FAINT_TEXT, font=font(11), anchor="lm")
    pen.text((right + 14, top - 8), "dB", fill=FAINT_TEXT, font=font(11), anchor="ls")


# The seam.


def around(audio: Audio, sample: int, width: int) -> NDArray[np.int16]:
    """Return the looped sound from `width` samples before a sample of the loop to `width` after; shape (2 width,)."""
    assert audio.loop is not None
    start, length = audio.loop
    return audio.samples[start + (np.arange(sample - width, sample + width) - start) % length]


def inner_line(audio: Audio, score: Score | None) -> tuple[int, str]:
    """Return the sample of the bar line nearest to the middle of the loop, and what it is.

    Without a score, or in a loop without a bar line inside, it is the middle itself.
    """
    assert audio.loop is not None
    start, length = audio.loop
    if score is not None and score.loop is not None:
        first, stop = score.loop
        bars = range((first // score.bar_rows + 1) * score.bar_rows, stop, score.bar_rows)
        if bars:
            row = min(bars, key=lambda row: abs(2 * row - first - stop))
            sample = round(score.row_frame(row) * samples_per_frame(audio.sample_rate_hz))
            return sample, f"bar line {row // score.bar_rows + 1}"
    return start + length // 2, "middle of the loop"


def _draw_seam(image: Image, audio: Audio, score: Score | None, wide: int, top: int) -> None:
    from PIL import ImageDraw

    assert audio.loop is not None
    pen = ImageDraw.Draw(image)
    width = max(1, round(SEAM_S * audio.sample_rate_hz))
    inner, name = inner_line(audio, score)
    seam, beside = around(audio, audio.loop[0], width), around(audio, inner, width)
    scale = max(_scale_of(seam), _scale_of(beside))
    box = (wide - _SEAM_GAP) // 2
    for left, samples, what, color, where in (
        (_LEFT, seam, "seam", LOOP, "the loop's last 20 ms and its first"),
        (_LEFT + wide - box, beside, name, BAR_LINE, "for comparison"),
    ):
        step = abs(int(samples[width]) - int(samples[width - 1])) / FULL_SCALE
        _caption(pen, left, top, what, f"{where}; step at the line {step:.4f} of full scale")
        _draw_close_up(image, samples, (left, top, box), scale, color)


def _draw_close_up(image: Image, samples: NDArray[np.int16], place: tuple[int, int, int], scale: float, color: Color) -> None:
    """Draw every sample of a stretch as a line through all of them, and a line where its second half begins."""
    from PIL import Image, ImageDraw

    pen = ImageDraw.Draw(image)
    left, top, wide = place
    height, width = _SEAM_HEIGHT, len(samples) // 2
    pen.rectangle((left, top, left + wide - 1, top + height - 1), fill=PANEL)
    axis = top + (height - 1) // 2
    pen.line((left, axis, left + wide - 1, axis), fill=BEAT_LINE)
    for ms in range(-20, 21, 5):
        x = left + round((ms / 20 + 1) / 2 * (wide - 1))
        if ms:
            pen.line((x, top, x, top + height - 1), fill=BEAT_LINE)
        pen.line((x, top + height, x, top + height + 5), fill=BAR_LINE)
        if ms % 10 == 0:
            name = "0" if ms == 0 else f"{ms:+} ms"
            anchor = "lt" if ms == -20 else "rt" if ms == 20 else "mt"
            pen.text((x, top + height + 8), name, fill=FAINT_TEXT, font=font(11), anchor=anchor)
    middle = left + round((wide - 1) / 2)
    pen.line((middle, top, middle, top + height - 1), fill=color)

    # Sample i is played from time i on: the one that the line stands for lies on it.
    across = np.arange(len(samples)) / width / 2 * (wide - 1) * _SMOOTHING
    down = (1 - samples / (FULL_SCALE * scale)) / 2 * (height - 1) * _SMOOTHING
    points = np.rint(np.stack([across, down], axis=1)).astype(np.int64)
    for line_color, stretch in ((_BEFORE, points[: width + 1]), (_AFTER, points[width:])):
        mask = Image.new("L", (wide * _SMOOTHING, height * _SMOOTHING))
        ImageDraw.Draw(mask).line([tuple(point) for point in stretch.tolist()], fill=255, width=_SMOOTHING, joint="curve")
        image.paste(line_color, (left, top), mask.reduce(_SMOOTHING))
    _draw_scale(pen, left, top, height, scale)
