"""Sound effects of the 2A03: a class and a seed to a sequence of registers. No samples, no network, no model.

    import nesasset
    effect = nesasset.sfx.make("coin", seed=3)
    audio = nesasset.render(effect.to_log())

The same class, seed and chord give the same effect on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nesasset.sfx.effect import Effect as Effect

__all__ = ["CLASSES", "Effect", "make", "tuned_to"]

CLASSES: Final = (
    *("coin", "jump", "land", "step", "bounce", "hit", "hurt", "explosion", "laser", "power-up"),
    *("heal", "key", "door", "splash", "teleport", "alarm", "select", "cancel", "blip", "death"),
)


def make(kind: str, seed: int = 0, pitch_classes: Sequence[int] = ()) -> Effect:
    """Make a sound effect.

    Args:
        kind: One of CLASSES.
        seed: Another seed, another effect of the class; 0 to 2**63 - 1.
        pitch_classes: Tones to keep to, 0 for C to 11: those of the chord that the music has, say. Without them the
            effect has pitches of its own.

    Raises:
        ControlError: There is no such class, or a number is out of range.
    """
    import hashlib

    import numpy as np

    from nesasset.errors import ControlError, did_you_mean, out_of_range
    from nesasset.sfx.effect import Effect
    from nesasset.sfx.recipes import RECIPES

    recipe = RECIPES.get(kind) if isinstance(kind, str) else None
    if recipe is None:
        near = did_you_mean(kind, CLASSES) if isinstance(kind, str) else ""
        raise ControlError(f"unknown class of effect {kind!r}{near or ' (nesasset sfx --list names them all)'}")
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ControlError(out_of_range("seed", seed, 0, 2**63 - 1))
    classes = sorted({int(step) for step in pitch_classes})
    if classes and not (classes[0] >= 0 and classes[-1] <= 11):
        raise ControlError(out_of_range("pitch class", classes[0] if classes[0] < 0 else classes[-1], 0, 11))
    digest = hashlib.sha256(f"{kind}\x1f{seed}".encode()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
    return Effect(recipe.make(rng, classes), recipe.priority, kind, seed)


def tuned_to(chord: str) -> tuple[int, ...]:
    """Return the pitch classes of a chord by its name, such as C, F#m or Bdim, for `make`.

    Raises:
        ControlError: It is no such name.
    """
    from nesasset.chords import chord_quality, chord_root, parse_chord
    from nesasset.vocabulary import CHORD_INTERVALS

    told = parse_chord(chord, 0, "major")
    return tuple((chord_root(told) + step) % 12 for step in CHORD_INTERVALS[chord_quality(told)])


def __getattr__(name: str) -> Any:
    if name == "Effect":  # loaded when used: the names of the classes are wanted without numpy
        from nesasset.sfx.effect import Effect

        return Effect
    raise AttributeError(f"module 'nesasset.sfx' has no attribute {name!r}")
