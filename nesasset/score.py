"""The score: what a tracker shows. Rows of whole frames, four voices, instruments, a loop in rows.

Holds the data classes and their rules only. JSON is in formats/score_json.py, sound starts in driver.py.

A cell is one of
- `HOLD`: what sounded goes on;
- `REST`: the voice falls silent;
- `Note`: a note begins, played by one of the score's instruments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from nesasset.errors import ScoreError, out_of_range
from nesasset.units import FRAME_RATE_HZ, MAX_VOLUME, NOISE_PERIODS, PITCH_RANGES, VOICE_KINDS, VOICES

MAX_ROWS: Final = 65_536  # ten minutes at four frames a row are 9000; this only bounds what a file may ask for
MAX_ROW_FRAMES: Final = 64
MAX_ENVELOPE_FRAMES: Final = 1024
MAX_INSTRUMENTS: Final = 256
MAX_ARPEGGIO: Final = 96  # eight octaves, more than a voice reaches from end to end
MIN_VIBRATO_PERIOD: Final = 4  # four frames are up, back, down, back; fewer cannot show a swing
MAX_VIBRATO_PERIOD: Final = 256
MAX_VIBRATO_CENTS: Final = 1200
DRIVERS: Final = (1,)  # versions of the sound driver that scores may ask for, all of them playable for ever; the last is the newest


class Gap(Enum):
    """A cell without a note."""

    HOLD = "."
    REST = "-"


HOLD: Final = Gap.HOLD
REST: Final = Gap.REST


@dataclass(frozen=True, slots=True)
class Note:
    """A cell in which a note begins."""

    instrument: int
    """Index into the score's instruments."""
    pitch: int | None = None
    """MIDI pitch; None for noise, whose instrument carries the period."""
    delay: int = 0
    """Frames after the row's first frame, on top of the voice's own delay."""
    volume: int = MAX_VOLUME
    """0 to 15: scales the volumes of the instrument, see `scale_volume`."""
    slide: int = 0
    """Frames, 0 to 1024, over which the pitch glides from that of the voice's previous note to this one's; 0: at once.
    Means nothing to the noise, nor to a voice's first note."""


Cell = Gap | Note


@dataclass(frozen=True, slots=True)
class Vibrato:
    """A swing of the pitch, like a sine: first up, then down, by the same number of cents."""

    delay: int
    """Frames after the onset before it begins, 0 to 1024."""
    period: int
    """Frames of one swing, up and down, 4 to 256."""
    depth: int
    """Cents to each side, 1 to 1200; a semitone is 100."""

    def __post_init__(self) -> None:
        for label, value, low, high in (
            ("delay", self.delay, 0, MAX_ENVELOPE_FRAMES),
            ("period", self.period, MIN_VIBRATO_PERIOD, MAX_VIBRATO_PERIOD),
            ("depth", self.depth, 1, MAX_VIBRATO_CENTS),
        ):
            if not _is_int(value) or not low <= value <= high:
                raise ScoreError(out_of_range(f"vibrato {label}", value, low, high))


@dataclass(frozen=True, slots=True)
class Instrument:
    """How a note sounds: a volume for each frame and, by kind, duties or a noise period and mode, and moves of the pitch.

    What a kind has no use for is allowed and means nothing.
    """

    kind: str
    """'pulse', 'triangle' or 'noise'."""
    volume: tuple[int, ...] = (MAX_VOLUME,)
    """Volume 0 to 15 for each frame (1/60 s) after the onset; the last one holds. Triangle: 0 silent, else sounding."""
    duty: int = 0
    """Pulse only: 0 = 12.5 %, 1 = 25 %, 2 = 50 %, 3 = 75 %."""
    period: int = 0
    """Noise only: index 0 (highest) to 15 (lowest) into the chip's period table."""
    mode: int = 0
    """Noise only: 0 long sequence (hiss), 1 short sequence (metallic)."""
    name: str = ""
    """For people; may be empty."""
    duties: tuple[int, ...] = ()
    """Pulse only: duty of each frame after the onset, the last one holds; empty: `duty` throughout."""
    arpeggio: tuple[int, ...] = ()
    """Added in each frame after the onset, -96 to 96: semitones, for the noise steps of the period index (up is lower).
    What leaves the range of the voice is clamped by the driver."""
    arpeggio_loop: int | None = None
    """Index at which `arpeggio` goes on after its last entry; None: the last one holds."""
    vibrato: Vibrato | None = None
    """Pulse and triangle."""

    def __post_init__(self) -> None:
        if self.kind not in ("pulse", "triangle", "noise"):
            raise ScoreError(f"instrument kind must be pulse, triangle or noise, not {self.kind!r}")
        if not 1 <= len(self.volume) <= MAX_ENVELOPE_FRAMES:
            raise ScoreError(out_of_range("volume envelope length", len(self.volume), 1, MAX_ENVELOPE_FRAMES))
        for label, steps in (("duty sequence length", self.duties), ("arpeggio length", self.arpeggio)):
            if len(steps) > MAX_ENVELOPE_FRAMES:
                raise ScoreError(out_of_range(label, len(steps), 0, MAX_ENVELOPE_FRAMES))
        for label, value, low, high in (
            *(("volume", volume, 0, MAX_VOLUME) for volume in self.volume),
            ("duty", self.duty, 0, 3),
            ("noise period", self.period, 0, NOISE_PERIODS - 1),
            ("noise mode", self.mode, 0, 1),
            *(("duty of the sequence", duty, 0, 3) for duty in self.duties),
            *(("arpeggio step", step, -MAX_ARPEGGIO, MAX_ARPEGGIO) for step in self.arpeggio),
        ):
            if not _is_int(value) or not low <= value <= high:
                raise ScoreError(out_of_range(label, value, low, high))
        if self.arpeggio_loop is not None:
            if not self.arpeggio:
                raise ScoreError(f"arpeggio_loop must be None where there is no arpeggio, not {self.arpeggio_loop!r}")
            if not _is_int(self.arpeggio_loop) or not 0 <= self.arpeggio_loop < len(self.arpeggio):
                raise ScoreError(out_of_range("arpeggio_loop", self.arpeggio_loop, 0, len(self.arpeggio) - 1))
        if self.vibrato is not None and not isinstance(self.vibrato, Vibrato):
            raise ScoreError(f"vibrato must be a Vibrato or None, not {self.vibrato!r}")


@dataclass(frozen=True, slots=True)
class Score:
    """A piece of music for the four voices of the 2A03, in rows."""

    voices: Mapping[str, tuple[Cell, ...]]
    """Keys P1, P2, TR, NO; all of the same length, one cell a row."""
    instruments: tuple[Instrument, ...]
    groove: tuple[int, ...] = (6,)
    """Frames of row 0, 1, 2 … repeated for ever: (6,) is 6 frames a row, (6, 7) is 6.5 on average."""
    bar_rows: int = 16
    beat_rows: int = 4
    loop: tuple[int, int] | None = None
    """First row of the loop and the row after its last; None for a piece that ends."""
    delays: Mapping[str, int] = field(default_factory=dict)
    """Frames by which a whole voice lags behind the rows (an NES driver's habit); 0 where absent."""
    title: str = ""
    theme: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Where the score came from: model, seed, controls, parents. JSON values only."""
    driver: int = DRIVERS[-1]
    """Version of the sound driver that plays it: a score that is kept sounds the same when a newer driver has come."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.voices["P1"])

    def row_frame(self, row: int) -> int:
        """Return the first frame of a row (row = n_rows gives the length in frames)."""
        whole, rest = divmod(row, len(self.groove))
        return whole * sum(self.groove) + sum(self.groove[:rest])

    @property
    def n_frames(self) -> int:
        """Length of one pass, intro and loop, in frames."""
        return self.row_frame(self.n_rows)

    @property
    def loop_frames(self) -> tuple[int, int] | None:
        """The loop in frames."""
        return None if self.loop is None else (self.row_frame(self.loop[0]), self.row_frame(self.loop[1]))

    @property
    def tempo_bpm(self) -> float:
        """Beats a minute."""
        return 60.0 * FRAME_RATE_HZ * len(self.groove) / (sum(self.groove) * self.beat_rows)

    @property
    def n_bars(self) -> int:
        """Number of bars, a last incomplete one counted."""
        return -(-self.n_rows // self.bar_rows)


def scale_volume(volume: int, note_volume: int) -> int:
    """Return an envelope's volume under a note's: volume * note_volume / 15, rounded half up, 1 at least where both are."""
    scaled = (2 * volume * note_volume + MAX_VOLUME) // (2 * MAX_VOLUME)
    return max(scaled, min(volume, note_volume, 1))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(score: Score) -> None:
    """Raise ScoreError naming the place of the first broken rule."""
    if not _is_int(score.driver) or score.driver not in DRIVERS:
        raise ScoreError(f"{out_of_range('driver', score.driver, DRIVERS[0], DRIVERS[-1])}; a newer version of nesasset may play it")
    if sorted(score.voices) != sorted(VOICES):
        raise ScoreError(f"voices must be P1, P2, TR and NO, not {', '.join(map(str, score.voices)) or 'none'}")
    lengths = {voice: len(score.voices[voice]) for voice in VOICES}
    if len(set(lengths.values())) != 1:
        raise ScoreError(f"all voices must have the same number of rows, not {lengths}")
    if not 1 <= score.n_rows <= MAX_ROWS:
        raise ScoreError(out_of_range("number of rows", score.n_rows, 1, MAX_ROWS))
    if not score.groove or len(score.groove) > MAX_ROWS:
        raise ScoreError(out_of_range("groove length", len(score.groove), 1, MAX_ROWS))
    for frames in score.groove:
        if not _is_int(frames) or not 1 <= frames <= MAX_ROW_FRAMES:
            raise ScoreError(out_of_range("groove frames", frames, 1, MAX_ROW_FRAMES))
    for label, value in (("bar_rows", score.bar_rows), ("beat_rows", score.beat_rows)):
        if not _is_int(value) or not 1 <= value <= 256:
            raise ScoreError(out_of_range(label, value, 1, 256))
    if score.loop is not None:
        start, end = score.loop
        if not (_is_int(start) and _is_int(end) and 0 <= start < end <= score.n_rows):
            raise ScoreError(f"loop must be two rows with 0 <= start < end <= {score.n_rows}, not {score.loop}")
    if len(score.instruments) > MAX_INSTRUMENTS:
        raise ScoreError(out_of_range("number of instruments", len(score.instruments), 0, MAX_INSTRUMENTS))
    for voice, delay in score.delays.items():
        if voice not in VOICES:
            raise ScoreError(f"delays may name P1, P2, TR and NO, not {voice!r}")
        if not _is_int(delay) or not 0 <= delay < MAX_ROW_FRAMES:
            raise ScoreError(out_of_range(f"delay of {voice}", delay, 0, MAX_ROW_FRAMES - 1))
    for voice in VOICES:
        kind, lag = VOICE_KINDS[voice], score.delays.get(voice, 0)
        for row, cell in enumerate(score.voices[voice]):
            if isinstance(cell, Gap):
                continue
            where = f"{voice} row {row}"
            if not isinstance(cell, Note):
                raise ScoreError(f"{where}: a cell must be HOLD, REST or a Note, not {cell!r}")
            if not _is_int(cell.instrument) or not 0 <= cell.instrument < len(score.instruments):
                raise ScoreError(f"{where}: {out_of_range('instrument', cell.instrument, 0, len(score.instruments) - 1)}")
            if score.instruments[cell.instrument].kind != kind:
                raise ScoreError(
                    f"{where}: instrument {cell.instrument} is a {score.instruments[cell.instrument].kind} instrument, "
                    f"this voice needs a {kind} one"
                )
            if voice == "NO":
                if cell.pitch is not None:
                    raise ScoreError(f"{where}: a noise note has no pitch, its instrument has a period, not {cell.pitch!r}")
            else:
                low, high = PITCH_RANGES[voice]
                if not _is_int(cell.pitch) or not low <= cell.pitch <= high:  # type: ignore[operator]
                    raise ScoreError(f"{where}: {out_of_range('pitch', cell.pitch, low, high)}")
            length = score.groove[row % len(score.groove)]
            if not _is_int(cell.delay) or cell.delay < 0 or (cell.delay + lag >= length and cell.delay > 0):
                raise ScoreError(f"{where}: the note's delay of {cell.delay!r} frames must stay within its row of {length}")
            for label, value, high in (
                ("the note's volume", cell.volume, MAX_VOLUME),
                ("the note's slide", cell.slide, MAX_ENVELOPE_FRAMES),
            ):
                if not _is_int(value) or not 0 <= value <= high:
                    raise ScoreError(f"{where}: {out_of_range(label, value, 0, high)}")
