"""The numbers that the model speaks: ids of cells, themes, plan classes and controls, and how scores become them.

One table drives both directions and both packages: export/ trains with these ids, the runtime samples them, and the
sidecar carries their hash, so that a model made for another vocabulary is refused.

A row of the model has seven symbols: a cell for TR, P1, P2 and NO and an instrument slot for P1, P2 and NO.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

# Cells. Melodic voices share one numbering, so that a transposition is an addition; the noise voice has only ONSET.
HOLD_ID: Final = 0
REST_ID: Final = 1
ONSET_ID: Final = 2  # id of the lowest pitch, and of any noise onset
LOWEST_PITCH: Final = 21  # MIDI A0, the triangle's lowest in NES-MDB
HIGHEST_PITCH: Final = 108
N_CELLS: Final = ONSET_ID + HIGHEST_PITCH - LOWEST_PITCH + 1  # 90
N_NOISE_CELLS: Final = 3

# Voices as columns of every array: P1, P2, TR, NO (units.VOICES). The model's head speaks them in this order:
HEAD_ORDER: Final = (2, 0, 1, 3)  # bass first, then the pulses on top of it, drums last

# Instrument palette of one song: slots, not global ids. P1 and P2 share the pulse palette.
PALETTE_SLOTS: Final = 16
PULSE_SHAPES: Final = 128
NOISE_SHAPES: Final = 32
ENVELOPE_FRAMES: Final = 40

# Labels of the training songs, from keyword rules over their titles (the data's tracks.csv). 0 is "not known".
LABELS: Final = (
    "",
    "overworld_stage",
    "title_menu",
    "boss_battle",
    "victory_clear",
    "gameover_death",
    "ending_credits",
    "town_shop_indoor",
    "castle_fortress",
    "dungeon_underground",
    "powerup_invincible",
    "water",
    "bonus_minigame",
    "map",
)

# Measured controls: name and number of classes, 0 is "not known" for each. The edges are in the model's sidecar.
CONTROLS: Final = {
    "label": len(LABELS),
    "row_frames": 15,  # 1 + (row_frames - 3) * 2, 3 to 9.5 frames
    "bar_rows": 3,  # 1 = 12, 2 = 16
    "mode": 3,  # 1 major, 2 minor
    "density": 6,  # onsets per row and sounding melodic voice, fifths of the training songs
    "noise_density": 5,  # 1 none, then thirds of the songs with noise
    "active_P1": 4,  # share of bars in which the voice sounds: 1 under 5 %, 2 under 60 %, 3 more
    "active_P2": 4,
    "active_TR": 4,
    "active_NO": 4,
    "pitch_entropy": 4,  # thirds
    "register": 4,  # median pitch of P1, thirds
    "loop_bars": 66,  # 1 ends, 1 + bars up to 65
}

# The form plan, per bar: a lag to one earlier bar (0 none) and per voice what becomes of that bar's part. Classes below NEW
# compare with that bar; a sequence is its part moved by the bar's shift.
MAX_LAG: Final = 31
EXACT, VARIED, RHYTHM, SEQUENCE, NEW, SILENT = range(6)
PLAN_CLASSES: Final = ("exact", "varied", "rhythm", "sequence", "new", "silent")
FIXED_CLASSES: Final = (EXACT, SEQUENCE, SILENT)  # these leave nothing to choose
UNKNOWN_LAG: Final = MAX_LAG + 1
UNKNOWN_CLASS: Final = len(PLAN_CLASSES)
MAX_SHIFT: Final = 12  # semitones to either side

# The harmony: a chord for each half of a bar. Id 0 is no chord, 1 + 12 * quality + root a triad, root 0 for C.
CHORD_QUALITIES: Final = ("major", "minor", "diminished")
CHORD_INTERVALS: Final = ((0, 4, 7), (0, 3, 7), (0, 3, 6))
N_CHORDS: Final = 1 + 12 * len(CHORD_QUALITIES)
NO_CHORD: Final = 0
UNKNOWN_CHORD: Final = N_CHORDS
HALVES: Final = 2  # of a bar, each with a chord

MAX_BAR_ROWS: Final = 16
MAX_BARS_REMAINING: Final = 32  # 0 … 32, and one more class for "not known"
UNKNOWN_REMAINING: Final = MAX_BARS_REMAINING + 1
MAX_AGE: Final = 31  # rows since a voice's last event, clipped


def vocabulary_hash() -> str:
    """Return a SHA-256 over every number of this module, for the sidecar."""
    numbers = {name: value for name, value in globals().items() if name.isupper() and isinstance(value, (int, tuple, dict))}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


def row_frames_class(row_frames: float) -> int:
    """Return the control class of a row length in frames, 0 outside 3 to 9.5."""
    value = 1 + round((row_frames - 3) * 2)
    return value if 1 <= value < CONTROLS["row_frames"] else 0


def mode_class(mode: str | None) -> int:
    """Return the control class of a mode: 1 major, 2 minor, 0 either."""
    return {None: 0, "major": 1, "minor": 2}[mode]


def bar_rows_class(bar_rows: int) -> int:
    """Return the control class of a bar of 12 or 16 rows."""
    return {12: 1, 16: 2}[bar_rows]


def pitch_to_id(pitch: int) -> int:
    """Return the cell id of a MIDI pitch. Inverse: `id_to_pitch`."""
    return pitch - LOWEST_PITCH + ONSET_ID


def id_to_pitch(cell: int) -> int:
    """Return the MIDI pitch of a cell id that is an onset."""
    return cell - ONSET_ID + LOWEST_PITCH
