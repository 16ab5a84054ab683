"""Scores of plain tones for the ears of `ear`: each voice with a pitch of its own, so that it can be told from the others."""

from __future__ import annotations

from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score
from nesasset.units import VOICES, pitch_to_hz

STEADY = Instrument("pulse", (10,), duty=2)
SHORT = Instrument("pulse", (12,) * 6 + (0,), duty=2)
LOW = Instrument("triangle", (15,))
HISS = Instrument("noise", (9, 0), period=3)
LOUD = Instrument("pulse", (14,), duty=2)
INSTRUMENTS = (STEADY, SHORT, LOW, HISS, LOUD)
# A pulse begins to sound within an eighth of its wave after its note, wherever its divider happens to stand: the highest
# tone tells a time to a sample and a third.
HIGH = 108
PITCHES = {"P1": 69, "P2": 76, "TR": 47}
HZ = {voice: pitch_to_hz(pitch) for voice, pitch in PITCHES.items()}


def score_of(voices: dict[str, list[Cell]], groove: int = 6, loop: bool = True, theme: str = "town", **more) -> Score:
    rows = len(next(iter(voices.values())))
    cells = {voice: tuple(voices.get(voice, [REST, *[HOLD] * (rows - 1)])) for voice in VOICES}
    return Score(cells, INSTRUMENTS, (groove,), loop=(0, rows) if loop else None, theme=theme, **more)


def tone(pitch: int = 69, bars: int = 2, voice: str = "P1", groove: int = 6, loop: bool = True) -> Score:
    """Return one voice that sounds one pitch, begun anew in every bar."""
    instrument = 2 if voice == "TR" else 0
    cells: list[Cell] = []
    for _ in range(bars):
        cells += [Note(instrument, pitch), *[HOLD] * 15]
    return score_of({voice: cells}, groove, loop)


def chord(bars: int = 2) -> Score:
    """Return all four voices: pulses and triangle on PITCHES, a hiss on each beat."""
    voices: dict[str, list[Cell]] = {voice: [] for voice in VOICES}
    for _ in range(bars):
        voices["P1"] += [Note(0, 69), *[HOLD] * 15]
        voices["P2"] += [Note(0, 76), *[HOLD] * 15]
        voices["TR"] += [Note(2, 47), *[HOLD] * 15]
        voices["NO"] += [Note(3), HOLD, HOLD, HOLD] * 4
    return score_of(voices)


def ticks(pitch: int = 69, bars: int = 2, groove: int = 6, loop: bool = True) -> Score:
    """Return a short tone on every beat and silence between."""
    return score_of({"P1": [Note(1, pitch), HOLD, HOLD, HOLD] * 4 * bars}, groove, loop)


def melody(pitches: list[int], bars: int = 2, groove: int = 6, voice: str = "P1", instrument: int = 0) -> Score:
    """Return a steady tone for each beat, going through the pitches again and again."""
    cells: list[Cell] = []
    for beat in range(4 * bars):
        cells += [Note(instrument, pitches[beat % len(pitches)]), HOLD, HOLD, HOLD]
    return score_of({voice: cells}, groove)
