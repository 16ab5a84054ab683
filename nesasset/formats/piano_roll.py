"""A score as a picture that a person can read as music: a piano roll of four voices, bar by bar. Holds no sound.

Time runs in rows from left to right, in systems of a few bars like lines of print; pitch runs upwards, with a line and a
name at every C. A note's brightness follows its volume; one that slides begins slanted; an arpeggio is a row of thin steps
over the pale note that is written. Below each system stands the noise: one line a period, the highest hiss on top, short
(metallic) noise as an outline. The loop is a bracket above the bars.

`Roll` draws a stretch of a score on any canvas, its frames wherever they are wanted there.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from nesasset.formats import canvas
from nesasset.formats.canvas import (
    BACKGROUND,
    BAR_LINE,
    BEAT_LINE,
    FAINT_TEXT,
    HEADER_HEIGHT,
    LOOP,
    MARGIN,
    PANEL,
    VOICE_COLORS,
    Color,
    font,
    mix,
    plain,
)
from nesasset.formats.sounding import SoundingNote, sounding_notes
from nesasset.score import Instrument, Note, Score
from nesasset.units import MAX_VOLUME, NOISE_PERIODS, PITCH_RANGES, VOICES, pitch_to_name

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

LABEL_WIDTH: Final = 44
RULER_HEIGHT: Final = 26
SEMITONE: Final = 6
_NOISE_LINE: Final = 4
_NOISE_GAP: Final = 6
_SYSTEM_GAP: Final = 22
_SYSTEM_WIDTH: Final = 1280  # what the rows of a system should fill at most
_MAX_SYSTEMS: Final = 24  # a longer score gets longer systems of narrower rows
_MIN_SEMITONES: Final = 24
_STEP_HEIGHT: Final = 2  # of an arpeggio's steps

_BLACK_KEY: Final = (22, 25, 36)
_OCTAVE_LINE: Final = (54, 60, 82)
_BLACK_KEYS: Final = {1, 3, 6, 8, 10}
_TRIANGLE_LEVEL: Final = 12  # brightness as of this volume
_WRITTEN_SHARE: Final = 0.3  # how bright the written note is under its arpeggio


def draw(score: Score) -> Image:
    """Return the piano roll as an RGB picture, the same pixels for the same score and version of Pillow.

    Args:
        score: Any score; the picture's width is bounded by about 3000 pixels, its height by about 17 000.
    """
    from PIL import Image, ImageDraw

    bars_per_system, row_width = _layout(score)
    rows_per_system = bars_per_system * score.bar_rows
    n_systems = -(-score.n_rows // rows_per_system)
    roll = Roll(score)
    width = MARGIN * 2 + LABEL_WIDTH + max(min(rows_per_system, score.n_rows) * row_width, 560)
    height = HEADER_HEIGHT + n_systems * (roll.height + _SYSTEM_GAP) + MARGIN - _SYSTEM_GAP
    image = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(image)
    canvas.draw_header(pen, width, title_of(score), [*facts_of(score), f"{score.n_frames / 60:.1f} s"], voices=True)
    left = MARGIN + LABEL_WIDTH

    for first in range(0, score.n_rows, rows_per_system):
        rows = range(first, min(first + rows_per_system, score.n_rows))
        top = HEADER_HEIGHT + first // rows_per_system * (roll.height + _SYSTEM_GAP)

        def place(frame: int, first: int = first) -> int:
            """Return the place of a frame: rows are equally wide, whatever their frames."""
            starts = roll.starts
            row = min(bisect_right(starts, frame) - 1, len(starts) - 2)
            part = (frame - starts[row]) / (starts[row + 1] - starts[row])
            return left + round((row + part - first) * row_width)

        roll.draw(pen, rows, top, place, row_width)
    return image


def save(score: Score, path: str | os.PathLike[str]) -> None:
    """Write the piano roll as a PNG, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    canvas.save_png(draw(score), path)


def title_of(score: Score) -> str:
    """Return what stands above a picture of the score."""
    return plain(score.title or score.theme or "Untitled", 60)


def facts_of(score: Score) -> list[str]:
    """Return what is said below the title: theme, tempo, bars, key; empty where it is not known."""
    return [
        plain(score.theme, 40),
        f"{score.tempo_bpm:.1f}".removesuffix(".0") + " BPM",
        f"{score.n_bars} bar{'s' * (score.n_bars != 1)}",
        _key(score),
    ]


def _layout(score: Score) -> tuple[int, int]:
    """Return bars a system, a power of two where it can be, and the width of a row in pixels."""
    for row_width in (12, 10, 8, 6, 4, 3, 2, 1):
        bars = max(1, _SYSTEM_WIDTH // (row_width * score.bar_rows))
        bars = 1 << (bars.bit_length() - 1)
        # Eight bars in a line read best; wider rows are worth it only while that many fit, or all there are.
        if bars >= min(8, score.n_bars) and -(-score.n_bars // bars) <= _MAX_SYSTEMS:
            return bars, row_width
    return -(-score.n_bars // _MAX_SYSTEMS), 1


def _key(score: Score) -> str:
    """Return the key that provenance names, at its top or among the controls; empty when there is none."""
    controls = score.provenance.get("controls")
    for place in (score.provenance, controls if isinstance(controls, dict) else {}):
        if isinstance(place.get("key"), str):
            return plain(place["key"], 20)
    return ""


class _Part(NamedTuple):
    """A note and where its slide begins."""

    sound: SoundingNote
    source: int | None
    """Pitch of the note before; None without a slide."""


class Roll:
    """A score ready to be drawn: its notes, and the pitches that they span."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.starts = [0]
        """First frame of each row, and the length in frames."""
        for row in range(score.n_rows):
            self.starts.append(self.starts[-1] + score.groove[row % len(score.groove)])
        self.parts = {voice: _parts(score, voice) for voice in VOICES}
        self.low, self.high = _pitch_span(self.parts)
        self.height = RULER_HEIGHT + (self.high - self.low + 1) * SEMITONE + _NOISE_GAP + NOISE_PERIODS * _NOISE_LINE
        """Pixels that a stretch needs from the ruler's top to the noise's bottom."""

    def draw(
        self,
        pen: ImageDraw,
        rows: range,
        top: int,
        place: Callable[[int], int],
        row_width: float,
        bar_step: int = 1,
    ) -> None:
        """Draw some rows; labels take up to LABEL_WIDTH pixels to their left.

        Args:
            pen: Draws on the picture.
            rows: Which rows, at least one.
            top: Where the ruler begins; the stretch is `height` pixels high.
            place: Frame to pixels from the left; never falls.
            row_width: Width of a row in pixels, about: decides which lines and names there is room for.
            bar_step: Every so many bars get a line.
        """
        _Stretch(pen, self, rows, top, place, row_width, bar_step).draw()


def _parts(score: Score, voice: str) -> list[_Part]:
    """Return the notes of a voice. A slide begins where the driver begins it: in a loop's first note, at the loop's last."""
    start, end = score.loop or (score.n_rows, score.n_rows)
    last = next((cell.pitch for cell in reversed(score.voices[voice][start:end]) if isinstance(cell, Note)), None)
    sources: list[int | None] = []
    before: int | None = None
    entered = False
    for row, cell in enumerate(score.voices[voice]):
        if not isinstance(cell, Note):
            continue
        if row >= start and not entered:
            before, entered = before if last is None else last, True
        sources.append(before if cell.slide and before != cell.pitch else None)
        before = cell.pitch
    # The notes that do not sound are those that a delay pushes past the end: the last ones.
    return [_Part(sound, source) for sound, source in zip(sounding_notes(score, voice), sources, strict=False)]


def _step_at(instrument: Instrument, age: int) -> int:
    """Return what an instrument's arpeggio adds so many frames after the onset."""
    steps, loop = instrument.arpeggio, instrument.arpeggio_loop
    if age < len(steps):
        return steps[age]
    return steps[-1] if loop is None else steps[loop + (age - loop) % (len(steps) - loop)]


def _clamp(value: float, low: int, high: int) -> float:
    return min(max(value, low), high)


def _pitch_span(parts: dict[str, list[_Part]]) -> tuple[int, int]:
    """Return the lowest and highest pitch to show: every note with a semitone of air, two octaves at least."""
    pitches: list[int] = []
    for voice, (lowest, highest) in PITCH_RANGES.items():
        for sound, source in parts[voice]:
            ends = [pitch for pitch in (sound.note.pitch, source) if pitch is not None]
            steps = {0, *sound.instrument.arpeggio[: sound.end_frame - sound.onset_frame]}
            pitches += (int(_clamp(pitch + step, lowest, highest)) for pitch in ends for step in steps)
    low, high = min(pitches, default=54) - 1, max(pitches, default=66) + 1
    missing = max(0, _MIN_SEMITONES - (high - low + 1))
    return low - missing // 2, high + missing - missing // 2


class _Stretch:
    """One line of the picture: some rows with their frame of reference."""

    def __init__(
        self,
        pen: ImageDraw,
        roll: Roll,
        rows: range,
        top: int,
        place: Callable[[int], int],
        row_width: float,
        bar_step: int,
    ) -> None:
        self.pen, self.roll, self.score, self.rows, self.starts = pen, roll, roll.score, rows, roll.starts
        self.place, self.row_width, self.bar_step = place, row_width, bar_step
        self.left, self.right = place(self.starts[rows.start]), place(self.starts[rows.stop])
        self.ruler = top
        self.top = top + RULER_HEIGHT
        self.bottom = self.top + (roll.high - roll.low + 1) * SEMITONE
        self.noise_top = self.bottom + _NOISE_GAP
        self.noise_bottom = self.noise_top + NOISE_PERIODS * _NOISE_LINE

    def draw(self) -> None:
        self._draw_grid()
        for voice in ("TR", "P2", "P1", "NO"):  # the melody lies on top
            for part in self.roll.parts[voice]:
                self._draw_note(voice, part)
        self._draw_loop()

    def _row_x(self, row: int) -> int:
        return self.place(self.starts[row])

    def _frame_x(self, frame: int) -> int:
        return min(max(self.place(frame), self.left), self.right)

    def _pitch_y(self, pitch: float) -> int:
        return self.top + round((self.roll.high - pitch) * SEMITONE)

    def _draw_grid(self) -> None:
        pen, score = self.pen, self.score
        pen.rectangle((self.left, self.top, self.right, self.bottom - 1), fill=PANEL)
        pen.rectangle((self.left, self.noise_top, self.right, self.noise_bottom - 1), fill=PANEL)
        for pitch in range(self.roll.low, self.roll.high + 1):
            y = self._pitch_y(pitch)
            if pitch % 12 in _BLACK_KEYS:
                pen.rectangle((self.left, y, self.right, y + SEMITONE - 1), fill=_BLACK_KEY)
            if pitch % 12 == 0:
                pen.line((self.left, y + SEMITONE - 1, self.right, y + SEMITONE - 1), fill=_OCTAVE_LINE)
                name = pitch_to_name(pitch).replace("-", "", 1)
                pen.text((self.left - 8, y + SEMITONE // 2), name, fill=FAINT_TEXT, font=font(11), anchor="rm")
        middle = (self.noise_top + self.noise_bottom) // 2
        pen.text((self.left - 8, middle), "noise", fill=FAINT_TEXT, font=font(11), anchor="rm")
        spans = ((self.top, self.bottom - 1), (self.noise_top, self.noise_bottom - 1))
        for row in range(self.rows.start, self.rows.stop + 1):
            bar, in_bar = divmod(row, score.bar_rows)
            last = row == self.rows.stop
            if in_bar and not last and (in_bar % score.beat_rows or self.row_width * score.beat_rows < 6):
                continue
            if not in_bar and not last and bar % self.bar_step:
                continue
            for above, below in spans:
                pen.line((self._row_x(row), above, self._row_x(row), below), fill=BEAT_LINE if in_bar else BAR_LINE)
            if not in_bar and not last and self._numbers_bar(bar):
                pen.text((self._row_x(row) + 5, self.ruler + 8), str(bar + 1), fill=FAINT_TEXT, font=font(12))

    def _numbers_bar(self, bar: int) -> bool:
        """Say whether there is room for this bar's number; narrow bars show every second, fourth … only."""
        step = 1
        while step * self.score.bar_rows * self.row_width < 30:
            step *= 2
        return (bar - self.rows.start // self.score.bar_rows) % step == 0

    def _draw_note(self, voice: str, part: _Part) -> None:
        sound, source = part
        frames = range(
            max(sound.onset_frame, self.starts[self.rows.start]), min(sound.end_frame, self.starts[self.rows.stop])
        )
        if not frames:
            return
        volumes = sound.volumes()
        # The triangle sounds or not; it has no loudness.
        levels: Sequence[int] = [_TRIANGLE_LEVEL * (volume > 0) for volume in volumes] if voice == "TR" else volumes
        drawn_to = -1
        first = frames.start - sound.onset_frame
        for level, run in groupby(range(first, first + len(frames)), key=levels.__getitem__):
            ages = list(run)
            start, end = sound.onset_frame + ages[0], sound.onset_frame + ages[-1] + 1
            x = self._frame_x(start)
            right = max(self._frame_x(end), x + 1)  # a hit of one frame shows even where rows are a pixel wide
            if level == 0:
                continue
            share = 0.45 + 0.55 * level / MAX_VOLUME
            if x >= drawn_to:
                drawn_to = right
                written = share * _WRITTEN_SHARE if any(sound.instrument.arpeggio) else share
                fill = mix(VOICE_COLORS[voice], PANEL, written)
                if source is None or ages[0] >= sound.note.slide:
                    self._draw_block(voice, sound, (x, right - 1), fill)
                else:
                    self._draw_slide(voice, sound, source, ages, fill)
            if any(sound.instrument.arpeggio):
                self._draw_steps(voice, part, ages, mix(VOICE_COLORS[voice], PANEL, share))
        if sound.onset_frame in frames and volumes[0] and self.row_width >= 1:  # a bright edge parts repeated notes
            x = self._frame_x(sound.onset_frame)
            y, height = self._lane(voice, sound, self._pitch(part, 0))
            self.pen.line((x, y, x, y + height - 1), fill=mix((255, 255, 255), VOICE_COLORS[voice], 0.55))

    def _pitch(self, part: _Part, age: int) -> float:
        """Return the pitch without its arpeggio so many frames after the onset; 0 for noise."""
        sound, source = part
        pitch = sound.note.pitch or 0
        if source is None or age >= sound.note.slide:
            return pitch
        return source + (pitch - source) * age / sound.note.slide

    def _lane(self, voice: str, sound: SoundingNote, pitch: float) -> tuple[int, int]:
        """Return top and height of a note at a pitch, or of the noise."""
        if sound.note.pitch is None:
            return self.noise_top + sound.instrument.period * _NOISE_LINE, _NOISE_LINE
        if voice == "P1":  # in unison pulse 2 and the triangle look out above and below
            return self._pitch_y(pitch) + 1, SEMITONE - 2
        return self._pitch_y(pitch), SEMITONE

    def _draw_block(self, voice: str, sound: SoundingNote, columns: tuple[int, int], fill: Color) -> None:
        """Draw a note, or what one volume makes of it, on its pitch."""
        x, right = columns
        y, height = self._lane(voice, sound, sound.note.pitch or 0)
        if voice == "NO" and sound.instrument.mode:
            self.pen.rectangle((x, y, right, y), fill=fill)
            self.pen.rectangle((x, y + height - 1, right, y + height - 1), fill=fill)
        else:
            self.pen.rectangle((x, y, right, y + height - 1), fill=fill)

    def _draw_slide(self, voice: str, sound: SoundingNote, source: int, ages: list[int], fill: Color) -> None:
        """Draw what one volume makes of a note that begins with a slide, slanted until the pitch is reached."""
        arrival = min(ages[-1] + 1, sound.note.slide)
        places = [self._frame_x(sound.onset_frame + age) for age in (ages[0], arrival, ages[-1] + 1)]
        part = _Part(sound, source)
        (first, height), (last, _) = (self._lane(voice, sound, self._pitch(part, age)) for age in (ages[0], arrival))
        x, turn, right = places[0], places[1] - 1, places[2] - 1
        if right > turn:
            self._draw_block(voice, sound, (max(turn, x), right), fill)
        if turn <= x:
            self.pen.line((x, min(first, last), x, max(first, last) + height - 1), fill=fill)
        else:
            corners = ((x, first), (turn, last), (turn, last + height - 1), (x, first + height - 1))
            self.pen.polygon(corners, fill=fill)

    def _draw_steps(self, voice: str, part: _Part, ages: list[int], fill: Color) -> None:
        """Draw the steps of an arpeggio, frame by frame where the pitch really is, thin and clamped to the voice's range."""
        sound = part.sound

        def step_y(age: int) -> int:
            step = _step_at(sound.instrument, age)
            if sound.note.pitch is None:
                line = int(_clamp(sound.instrument.period + step, 0, NOISE_PERIODS - 1))
                return self.noise_top + line * _NOISE_LINE + (_NOISE_LINE - _STEP_HEIGHT) // 2
            pitch = _clamp(self._pitch(part, age) + step, *PITCH_RANGES[voice])
            return self._pitch_y(pitch) + (SEMITONE - _STEP_HEIGHT) // 2

        for y, run in groupby(ages, key=step_y):
            held = list(run)
            x = self._frame_x(sound.onset_frame + held[0])
            right = max(self._frame_x(sound.onset_frame + held[-1] + 1), x + 1)
            self.pen.rectangle((x, y, right - 1, y + _STEP_HEIGHT - 1), fill=fill)

    def _draw_loop(self) -> None:
        if self.score.loop is None:
            return
        start, end = self.score.loop
        first, stop = max(start, self.rows.start), min(end, self.rows.stop)
        if first >= stop:
            return
        left, right, y = self._row_x(first), self._row_x(stop), self.ruler + 4
        self.pen.rectangle((left, y, right, y + 1), fill=LOOP)
        if start == first:
            self.pen.rectangle((left, y, left + 1, self.top), fill=LOOP)
            if self.score.bar_rows * self.row_width >= 64:  # between two bar numbers
                self.pen.text((left + 28, self.ruler + 8), "loop", fill=LOOP, font=font(12))
        if end == stop:
            self.pen.rectangle((right - 1, y, right, self.top), fill=LOOP)
