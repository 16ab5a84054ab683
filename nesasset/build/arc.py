"""The arc of a soundtrack: keys and tempos of a game's levels from the first to the last. Numbers only; no music, no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from nesasset.compose.controls import TEMPO_RANGE_BPM, Controls
from nesasset.themes import theme
from nesasset.units import NOTE_NAMES

KEYS: Final = {"same": 0, "fifths": 7, "rising": 2}  # semitones from each level's tonic to the next one's
FACTOR_RANGE: Final = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Arc:
    """What becomes of key and tempo from level to level."""

    levels: tuple[str, ...]
    """Ids of tracks in the game's order."""
    tonic: int | None = None
    """Pitch class of the first level's key, 0 for C; None leaves keys alone."""
    keys: str = "same"
    """One of KEYS."""
    tempo: Sequence[float] | None = None
    """Factors on the theme's own tempo, of the first level and of the last; None leaves tempos alone."""


def along(arc: Arc, track_id: str, theme_name: str, controls: Controls) -> Controls:
    """Return a track's controls with the key and tempo of its place in the arc, where they ask for none themselves.

    Chords have a key of their own, and an intensity a tempo: such tracks keep these.
    """
    if track_id not in arc.levels:
        return controls
    place = arc.levels.index(track_id)
    if arc.tonic is not None and controls.key is None and controls.chords is None:
        controls = replace(controls, key=NOTE_NAMES[(arc.tonic + place * KEYS[arc.keys]) % 12])
    if arc.tempo is not None and controls.tempo_bpm is None and controls.intensity is None:
        first, last = arc.tempo
        factor = first + (last - first) * place / max(1, len(arc.levels) - 1)
        low, high = TEMPO_RANGE_BPM
        controls = replace(controls, tempo_bpm=round(min(max(theme(theme_name).tempo_bpm * factor, low), high), 1))
    return controls
