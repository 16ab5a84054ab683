"""How each class of sound effect is made: small recipes with chance, in the console's own terms. A table and its functions.

A recipe gets a random generator and a set of pitch classes to keep to, or none, and returns parts of an `Effect`. The
classes are those that developers know from small effect generators, and what a platformer or an adventure needs besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesasset.driver import period_table
from nesasset.registers import Sound

Parts = dict[str, tuple[Sound, ...]]
PitchClasses = Sequence[int]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One class of effects."""

    make: Callable[[np.random.Generator, PitchClasses], Parts]
    priority: int
    """What a player must hear goes before what is pleasant to hear."""
    sentence: str


def _any(rng: np.random.Generator, low: int, high: int) -> int:
    """Return a whole number from low to high - 1."""
    return int(rng.integers(low, high))


def _period(pitch: float, kind: str = "pulse") -> int:
    """Return the timer period of a MIDI pitch, which may lie between two keys."""
    table = period_table(kind)
    return int(table[min(max(round(100 * pitch), 0), len(table) - 1)])


def near(pitch: float, classes: PitchClasses) -> float:
    """Return the pitch of the classes that is nearest to a pitch; the pitch itself where there are none."""
    if not classes:
        return pitch
    return float(min((12 * octave + step for octave in range(1, 10) for step in classes), key=lambda tone: (abs(tone - pitch), tone)))


def _up(pitch: float, steps: int, classes: PitchClasses, plain: Sequence[int] = (0, 4, 7)) -> float:
    """Return the tone so many steps of a chord above a pitch, which is a tone of it."""
    tones = sorted((step - round(pitch)) % 12 for step in classes) if classes else list(plain)
    octaves, rest = divmod(steps, len(tones))
    return pitch + 12 * octaves + tones[rest]


def _fade(length: int, first: float, last: float = 0.0) -> list[int]:
    return [round(volume) for volume in np.linspace(first, last, max(1, length))]


def _tone(volumes: Sequence[int], pitches: Sequence[float], duty: int) -> tuple[Sound, ...]:
    return tuple((volume, duty, _period(pitch)) for volume, pitch in zip(volumes, pitches, strict=True))


def _low_tone(volumes: Sequence[int], pitches: Sequence[float]) -> tuple[Sound, ...]:
    return tuple((15 if volume else 0, 0, _period(pitch, "triangle")) for volume, pitch in zip(volumes, pitches, strict=True))


def _noise(volumes: Sequence[int], periods: Sequence[float], mode: int = 0) -> tuple[Sound, ...]:
    return tuple((volume, mode, min(max(round(period), 0), 15)) for volume, period in zip(volumes, periods, strict=True))


def _line(length: int, first: float, last: float) -> list[float]:
    return [float(value) for value in np.linspace(first, last, max(1, length))]


def _notes(pitches: Sequence[float], frames: int, last_frames: int, peak: int, duty: int) -> tuple[Sound, ...]:
    """Return notes one after the other; the last one rings."""
    volumes: list[int] = []
    heard: list[float] = []
    for number, pitch in enumerate(pitches):
        length = last_frames if number == len(pitches) - 1 else frames
        volumes += _fade(length, peak, 0 if number == len(pitches) - 1 else peak - 3)
        heard += [pitch] * length
    return _tone(volumes, heard, duty)


def _coin(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    low = near(_any(rng, 79, 86), classes)
    high = _up(low, _any(rng, 1, 3), classes, (0, 5))
    short = _any(rng, 3, 6)
    return {"pulse": _notes([low, high], short, _any(rng, 18, 30), 13, _any(rng, 1, 3))}


def _jump(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 12, 20)
    first = near(_any(rng, 55, 64), classes)
    last = near(first + _any(rng, 12, 20), classes)
    return {"pulse": _tone(_fade(length, 12, 3), _line(length, first, last), _any(rng, 1, 3))}


def _land(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 5, 8)
    return {"noise": _noise(_fade(length, 9), _line(length, 11 + _any(rng, 0, 3), 14))}


def _hit(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 8, 13)
    start = _any(rng, 3, 7)
    pitch = near(_any(rng, 50, 58), classes)
    return {
        "noise": _noise(_fade(length, 15), _line(length, start, start + 7)),
        "triangle": _low_tone([1] * (length // 2), _line(length // 2, pitch, pitch - 16)),
    }


def _hurt(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 16, 24)
    first = near(_any(rng, 64, 72), classes)
    wobble = [pitch + (2 if frame // 2 % 2 else 0) for frame, pitch in enumerate(_line(length, first, first - 12))]
    return {"pulse": _tone(_fade(length, 14, 2), wobble, _any(rng, 0, 2))}


def _explosion(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 36, 64)
    start = _any(rng, 6, 9)
    periods = [min(period + int(bend), 15) for period, bend in zip(_line(length, start, 15), rng.integers(-1, 2, length), strict=True)]
    rumble = length * 2 // 3
    return {
        "noise": _noise(_fade(length, 15), periods),
        "triangle": _low_tone([1] * rumble, [45 - frame / 2 + _any(rng, -3, 4) for frame in range(rumble)]),
    }


def _power_up(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    first = near(_any(rng, 60, 67), classes)
    steps = _any(rng, 6, 10)
    order = [0, 2, 1] if rng.random() < 0.5 else [0, 1, 2]
    pitches = [_up(first, 3 * (step // 3) + order[step % 3], classes) for step in range(steps)]
    return {"pulse": _notes(pitches, _any(rng, 3, 5), 24, 13, _any(rng, 1, 3))}


def _laser(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 10, 20)
    first = near(_any(rng, 88, 100), classes)
    fall = first - _any(rng, 24, 42) * np.sqrt(np.linspace(0, 1, length))
    return {"pulse": _tone(_fade(length, 13, 2), fall.tolist(), _any(rng, 0, 3))}


def _select(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    first = near(_any(rng, 69, 77), classes)
    return {"pulse": _notes([first, _up(first, 2, classes)], _any(rng, 3, 5), 12, 11, 2)}


def _cancel(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    first = near(_any(rng, 67, 74), classes)
    return {"pulse": _notes([_up(first, 2, classes), first], _any(rng, 3, 5), 10, 10, 2)}


def _blip(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 3, 6)
    return {"pulse": _tone(_fade(length, 10, 2), [near(_any(rng, 72, 84), classes)] * length, _any(rng, 0, 3))}


def _death(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    first = near(_any(rng, 72, 79), classes)
    pitches = [_up(first, -step, classes) for step in range(_any(rng, 5, 8))]
    frames = _any(rng, 5, 8)
    return {
        "pulse": _notes(pitches, frames, 30, 14, 1),
        "noise": _noise(_fade(20, 13), _line(20, 5, 13)),
    }


def _door(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    creak = _any(rng, 14, 22)
    shut = _any(rng, 6, 10)
    low = _any(rng, 38, 44)
    pitches = [low + frame / 3 + (1 if frame % 4 < 2 else 0) for frame in range(creak)]
    return {
        "triangle": _low_tone([1, 1, 0] * (creak // 3), pitches[: creak // 3 * 3]),
        "noise": _noise([0] * creak + _fade(shut, 13), [9.0] * creak + _line(shut, 10, 14)),
    }


def _key(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    first = near(_any(rng, 79, 84), classes)
    pitches = [_up(first, step, classes) for step in (0, 1, 2, 3)]
    return {"pulse": _notes(pitches, 4, 26, 12, 2)}


def _step(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 2, 5)
    return {"noise": _noise(_fade(length, _any(rng, 4, 7), 1), [float(_any(rng, 8, 12))] * length)}


def _splash(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 24, 36)
    swell = [*_fade(4, 6, 14), *_fade(length - 4, 13)]
    periods = [max(0.0, 8 - frame * 0.4) if frame < 12 else 4 + (frame % 3) for frame in range(length)]
    bubbles = [near(_any(rng, 62, 80), classes) for _ in range(length // 4)]
    return {
        "noise": _noise(swell, periods),
        "pulse": _tone([0] * 8 + [6, 5, 3, 0] * len(bubbles), [60.0] * 8 + [b + f for b in bubbles for f in (0, 2, 4, 4)], 2),
    }


def _heal(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    first = near(_any(rng, 64, 70), classes)
    pitches = [_up(first, step, classes) for step in (0, 2, 1, 3, 2, 4)]
    return {"pulse": _notes(pitches, 5, 30, 9, 2)}


def _bounce(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 8, 13)
    first = near(_any(rng, 48, 55), classes)
    return {"triangle": _low_tone([1] * length, (first + 14 * np.sin(np.linspace(0, np.pi * 0.8, length))).tolist())}


def _alarm(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    low = near(_any(rng, 70, 76), classes)
    high = _up(low, 1, classes, (0, 6))
    pitches = [(low, high)[frame // 6 % 2] for frame in range(48)]
    return {"pulse": _tone([12] * 48, pitches, _any(rng, 0, 2))}


def _teleport(rng: np.random.Generator, classes: PitchClasses) -> Parts:
    length = _any(rng, 28, 40)
    first = near(_any(rng, 60, 66), classes)
    pitches = [first + 24 * frame / length + (7 if frame % 2 else 0) for frame in range(length)]
    return {"pulse": _tone(_fade(length, 12, 1), pitches, 1)}


RECIPES: Final[dict[str, Recipe]] = {
    "coin": Recipe(_coin, 40, "Something small is picked up: two quick notes."),
    "jump": Recipe(_jump, 30, "Feet leave the ground: a quick rise."),
    "land": Recipe(_land, 20, "Feet are back on it: a thud."),
    "step": Recipe(_step, 5, "A foot on the ground."),
    "bounce": Recipe(_bounce, 35, "A spring or a head that was jumped on."),
    "hit": Recipe(_hit, 60, "A blow that lands."),
    "hurt": Recipe(_hurt, 70, "The player is hit."),
    "explosion": Recipe(_explosion, 65, "Something blows up."),
    "laser": Recipe(_laser, 45, "A shot: a steep fall."),
    "power-up": Recipe(_power_up, 75, "The player grows stronger: a chord that climbs."),
    "heal": Recipe(_heal, 60, "Health comes back: a soft climb."),
    "key": Recipe(_key, 70, "Something that matters is found."),
    "door": Recipe(_door, 50, "A creak and a bang."),
    "splash": Recipe(_splash, 45, "Into the water."),
    "teleport": Recipe(_teleport, 55, "From one place to another: a flutter that rises."),
    "alarm": Recipe(_alarm, 55, "Two tones in turn: time is running out."),
    "select": Recipe(_select, 50, "A choice in a menu."),
    "cancel": Recipe(_cancel, 50, "A step back in a menu."),
    "blip": Recipe(_blip, 15, "A cursor moves, a letter appears."),
    "death": Recipe(_death, 90, "The player dies: a tumble."),
}
