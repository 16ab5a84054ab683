"""The instruments of arranged scores: one for each family of General MIDI and voice, and the drums.

General MIDI counts programs in sixteen families of eight. What a family sounds like is told by duty and envelope: plucked
and struck ones die away, blown and bowed ones hold, pads come slowly. Set by ear, no measurement.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nesasset.score import Instrument

_PLUCKED: Final = (15, 14, 13, 12, 11, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 5, 4, 4, 4, 3)
_STRUCK: Final = (15, 13, 11, 10, 9, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 3, 2)
_HELD: Final = (15, 14, 13, 12, 11, 10)
_BLOWN: Final = (11, 13, 15, 14, 13, 13, 12)
_SLOW: Final = (3, 5, 7, 8, 9, 10, 11, 12)
_FLAT: Final = (13,)
# Name, duty as pulse 1, duty as pulse 2, envelope; the families are those of General MIDI 1, in order.
_FAMILIES: Final = (
    ("piano", 2, 1, _PLUCKED),
    ("bell", 0, 0, _STRUCK),
    ("organ", 2, 2, _FLAT),
    ("guitar", 1, 0, _PLUCKED),
    ("bass", 2, 2, _PLUCKED),
    ("strings", 1, 2, _BLOWN),
    ("ensemble", 2, 2, _SLOW),
    ("brass", 1, 1, _HELD),
    ("reed", 1, 1, _BLOWN),
    ("flute", 2, 2, _BLOWN),
    ("lead", 2, 1, _HELD),
    ("pad", 2, 1, _SLOW),
    ("effect", 1, 0, _SLOW),
    ("ethnic", 0, 0, _PLUCKED),
    ("percussion", 0, 0, _STRUCK),
    ("noise", 0, 0, _STRUCK),
)
UNKNOWN_FAMILY: Final = 10
"""What a part without a program plays: a lead."""
SECOND_PEAK: Final = 12
"""Loudest volume of pulse 2, so that the tune stands out."""
ARPEGGIO_FRAMES: Final = 2
"""Frames that each note of a chord's arpeggio sounds: quick enough to be heard as one chord."""
BASS: Final = Instrument("triangle", name="bass")
TRIANGLE_DRUM: Final = Instrument(
    "triangle", (15, 15, 15, 15, 15, 15, 0), arpeggio=(0, -4, -8, -12, -16, -20), name="drum"
)
"""A kick or a tom on a free triangle: the pitch falls two octaves within a tenth of a second."""
TRIANGLE_KICK, TRIANGLE_TOM = 52, 60  # pitches at which it begins

KICK, TOM, SNARE, CYMBAL, HAT = range(5)
DRUMS: Final = (
    Instrument("noise", (15, 11, 6, 2, 0), period=13, name="kick"),
    Instrument("noise", (14, 11, 8, 5, 3, 1, 0), period=12, name="tom"),
    Instrument("noise", (14, 11, 8, 6, 4, 2, 0), period=7, name="snare"),
    Instrument("noise", (12, 10, 9, 8, 7, 6, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0), period=4, name="cymbal"),
    Instrument("noise", (9, 5, 2, 0), period=2, name="hat"),
)
# General MIDI's percussion keys, by what the noise can make of them; all others are snares.
_KEYS: Final = {
    **dict.fromkeys((35, 36), KICK),
    **dict.fromkeys((41, 43, 45, 47, 48, 50, 60, 61, 62, 63, 64, 65, 66), TOM),
    **dict.fromkeys((46, 49, 51, 52, 53, 55, 57, 59), CYMBAL),
    **dict.fromkeys((42, 44, 54, 69, 70, 75, 80, 82), HAT),
}


def key_to_drum(key: int) -> int:
    """Return which of `DRUMS` stands for a key of General MIDI's percussion."""
    return _KEYS.get(key, SNARE)


def key_to_period(key: int) -> int:
    """Return the noise period that stands for a key of General MIDI's percussion."""
    return DRUMS[key_to_drum(key)].period


def pulse_instrument(family: int, voice: str, intervals: tuple[int, ...] = ()) -> Instrument:
    """Return how a family sounds on P1 or P2; with intervals as a chord's quick arpeggio above its lowest note."""
    name, first, second, envelope = _FAMILIES[family]
    lead = voice == "P1"
    volume = envelope if lead else tuple(max(1, entry * SECOND_PEAK // 15) for entry in envelope)
    made = Instrument("pulse", volume, duty=first if lead else second, name=name)
    if not intervals:
        return made
    steps = tuple(step for interval in (0, *intervals) for step in (interval,) * ARPEGGIO_FRAMES)
    return replace(made, arpeggio=steps, arpeggio_loop=0, name=f"{name} {'-'.join(map(str, (0, *intervals)))}")
