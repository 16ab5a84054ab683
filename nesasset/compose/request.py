"""What is wanted, in the model's terms: a theme and controls resolved to classes. Data only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from nesasset.compose.controls import TEMPO_RANGE_BPM, Controls
from nesasset.compose.form import Section, parse_form
from nesasset.compose.scales import scale_mode
from nesasset.themes import Theme
from nesasset.units import FRAME_RATE_HZ, VOICES
from nesasset.vocabulary import CONTROLS, LABELS, mode_class

BEAT_ROWS: Final = 4
ROW_FRAMES_RANGE: Final = (
    3.0,
    9.5,
)  # what the model has been trained on; rows of other lengths are composed as the nearest
_REGISTERS: Final = {"low": 1, "mid": 2, "high": 3}
DENSITY_CLASSES: Final = CONTROLS["density"] - 1
NOISE_CLASSES: Final = CONTROLS["noise_density"] - 1
# Onsets a row and melodic voice that plays, by the share of NES-MDB's 4131 training songs that have fewer.
DENSITY_QUANTILES: Final = ((0.0, 0.09), (0.1, 0.191), (0.2, 0.243), (0.4, 0.326), (0.6, 0.409), (0.8, 0.522), (0.9, 0.631), (1.0, 0.85))
ASKED_STEERING: Final = 9.0  # how many times as hard a density is held that was asked for
INTENSITY_TEMPO: Final = 1.5  # factor of the tempo at intensity 1, divisor at 0


@dataclass(frozen=True, slots=True)
class Request:
    """One piece to be composed."""

    theme: str
    seed: int
    bars: int
    """Of the loop, or of a piece that ends."""
    intro_bars: int
    loops: bool
    label: int
    """Class of vocabulary.LABELS, 0 none."""
    tempo_bpm: float
    swing: float
    """Share of a pair of rows that its first has."""
    tonic: int | None
    """Pitch class asked for, 0 = C; None leaves it to the piece."""
    mode: int
    """1 major, 2 minor, 0 either."""
    density: int
    """1 sparse to 5 busy: fifths of the training songs."""
    onsets: float | None
    """Onsets a row and melodic voice that were asked for; None leaves them to the form that is drawn for the density."""
    noise_density: int
    """1 none to 4 busy; 0 leaves it to the form that is drawn."""
    register: int
    """1 low, 2 mid, 3 high; the form's own is told to the model where it was not asked for."""
    voices: tuple[str, ...]
    """Those that play."""
    sections: tuple[Section, ...]
    """Of the form asked for; empty for none."""
    wishes: Controls
    """As they were given: what the fields above do not say, such as the chords, whose key is known later."""
    guidance: float
    candidates: int
    event_temperature: float
    """Of the choice between a note, a rest and going on; below 1 rhythms are steadier."""
    note_temperature: float
    slot_temperature: float
    min_p: float

    @property
    def total_bars(self) -> int:
        """Bars of intro and loop."""
        return self.intro_bars + self.bars

    @property
    def steering(self) -> float:
        """How hard the density is held: 1, or more where it was asked for."""
        return 1.0 if self.onsets is None else ASKED_STEERING

    @property
    def picks_form(self) -> bool:
        """Whether a density or a register was asked for: that picks the form, before whatever else is good in one."""
        return self.onsets is not None or self.wishes.register is not None

    @property
    def row_frames(self) -> float:
        """Frames of a row at the asked tempo, on average."""
        return 60.0 * FRAME_RATE_HZ / (self.tempo_bpm * BEAT_ROWS)

    def groove(self, bar_rows: int) -> tuple[int, ...]:
        """Return the rows' lengths in frames: constant where the tempo allows it, else one bar of mixed lengths."""
        frames = self.row_frames
        if self.swing == 0.5:
            if abs(frames - round(frames)) < 1e-9:
                return (round(frames),)
            edges = [int(np.floor(row * frames + 0.5)) for row in range(bar_rows + 1)]
        else:
            pairs = [int(np.floor(pair * 2 * frames + 0.5)) for pair in range(bar_rows // 2 + 1)]
            edges = [0]
            for start, end in pairwise(pairs):
                first = min(max(round((end - start) * self.swing), 1), end - start - 1)
                edges += [start + first, end]
        lengths = [b - a for a, b in pairwise(edges)]
        for period in range(1, bar_rows + 1):
            if bar_rows % period == 0 and lengths == lengths[:period] * (bar_rows // period):
                return tuple(lengths[:period])
        return tuple(lengths)


def resolve(theme: Theme, seed: int, controls: Controls, defaults: Mapping[str, Any]) -> Request:
    """Return the request of a theme with controls; what they leave open is the theme's, then the model's default."""
    intensity = 0.5 if controls.intensity is None else controls.intensity
    density = controls.density
    if density is None:  # of the theme at 0.5, the sparsest at 0, the busiest at 1
        density = float(np.interp(intensity, (0, 0.5, 1), (0, theme.density, 1)))
    tempo = controls.tempo_bpm or min(max(theme.tempo_bpm * INTENSITY_TEMPO ** (2 * intensity - 1), TEMPO_RANGE_BPM[0]), TEMPO_RANGE_BPM[1])
    drums = 0 if controls.intensity is None else 1 + round(intensity * (NOISE_CLASSES - 1))
    sections = parse_form(controls.form) if controls.form else ()
    voices = tuple(controls.voices.split()) if controls.voices else VOICES
    return Request(
        theme=theme.name,
        seed=seed,
        bars=controls.bars or _whole_sections(theme.bars, len(sections)),
        intro_bars=controls.intro_bars or 0,
        loops=theme.loops,
        label=LABELS.index(theme.label) if theme.label else 0,
        tempo_bpm=tempo,
        swing=controls.swing or 0.5,
        tonic=controls.tonic,
        mode=mode_class(scale_mode(controls.scale) if controls.scale else controls.mode or theme.mode),
        onsets=None if controls.density is None and controls.intensity is None else density_onsets(density),
        density=1 + min(DENSITY_CLASSES - 1, max(0, int(density * DENSITY_CLASSES))),
        noise_density=drums if "NO" in voices else 1,
        register=_REGISTERS[controls.register or theme.register],
        voices=voices,
        sections=sections,
        wishes=controls,
        guidance=1.0 if controls.guidance is None else controls.guidance,
        candidates=controls.candidates or int(defaults["candidates"]),
        event_temperature=float(defaults.get("event_temperature", 1.0)),  # sidecars of before do not say
        note_temperature=float(controls.temperature or defaults["note_temperature"]),
        slot_temperature=float(defaults["slot_temperature"]),
        min_p=float(defaults["min_p"]),
    )


def class_onsets(density: int) -> float:
    """Return the onsets a row and melodic voice in the middle of a density class, 1 to 5."""
    return density_onsets((density - 0.5) / DENSITY_CLASSES)


def density_onsets(density: float) -> float:
    """Return the onsets a row and melodic voice of a density, 0 to 1."""
    shares, rates = np.array(DENSITY_QUANTILES).T
    return float(np.interp(density, shares, rates))


def _whole_sections(bars: int, sections: int) -> int:
    """Return the number of bars nearest to a theme's own that a form's sections share evenly."""
    return bars if not sections else max(1, round(bars / sections)) * sections


def generator(words: Sequence[object]) -> np.random.Generator:
    """Return a random generator that depends on nothing but the words: the same on every machine, PCG64."""
    digest = hashlib.sha256("\x1f".join(map(str, words)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
