"""A bridge: one bar that leads from one piece into another. Two scores in, a score out; no chance in it.

It stands on the dominant of the piece to come, its tempo goes in a straight line from the one to the other, pulse 1 walks
the new scale from the old tune's last note to the new tune's first, and the drums roll up to the bar line. It is what is played
where the model's own bridge (compose/bridge.py), which is ordered for one place, is not there when that place comes.
"""

from __future__ import annotations

from typing import Final

from nesasset.compose.recast import ramp
from nesasset.play.harmony import key_of
from nesasset.score import HOLD, Cell, Instrument, Note, Score
from nesasset.units import VOICES, in_range

_SCALES: Final = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 11)}  # minor with its leading note
_LEAD: Final = Instrument("pulse", (12, 12, 11, 10, 9, 8, 8), duty=2, name="bridge lead")
_INNER: Final = Instrument("pulse", (8, 7, 6, 5, 4), duty=1, name="bridge inner")
_BASS: Final = Instrument("triangle", (15, 15, 15, 15, 15, 15, 15, 0), name="bridge bass")
_DRUM: Final = Instrument("noise", (12, 8, 5, 2, 0), period=6, name="bridge drum")
_PREFIX: Final = "bridge to "


def bridge_name(target: str, left: str = "", row: int = 0) -> str:
    """Return the engine's name of a bridge to a piece: of the one by rule, or of the model's that leaves a piece before a row."""
    return f"{_PREFIX}{target} from {left} before row {row}" if left else f"{_PREFIX}{target}"


def is_bridge(name: str) -> bool:
    """Return whether the engine's name of a score is a bridge's."""
    return name.startswith(_PREFIX)


def bridge(before: Score, after: Score, row: int = 0) -> Score:
    """Return a bar that leads from one piece into another.

    Args:
        before: The piece that plays.
        after: The piece to come; the bar has its metre.
        row: Row of `before` at which it is left.

    Returns:
        A score of one bar, without a loop, that ends where `after` begins.
    """
    rows, beat = after.bar_rows, after.beat_rows
    tonic, mode = key_of(after)
    scale = [(tonic + step) % 12 for step in _SCALES[mode]]
    dominant = (tonic + 7) % 12
    lead = _pitch_near(before, "P1", row, backwards=True) or 72
    goal = _pitch_near(after, "P1", 0) or 72
    half = max(1, beat // 2)
    voices: dict[str, list[Cell]] = {voice: [HOLD] * rows for voice in VOICES}
    starts = range(0, rows, half)
    for at, pitch in zip(starts, _walk(lead, goal, len(starts), scale), strict=True):
        voices["P1"][at] = Note(0, in_range(pitch, "P1"))
    for number, at in enumerate(range(0, rows, beat)):
        root = in_range(36 + dominant, "TR")
        voices["TR"][at] = Note(2, in_range(root + (0, 12, 0, 7)[number % 4], "TR"))
        voices["P2"][at] = Note(1, in_range(48 + (dominant + (4, 10)[number % 2]) % 12 + 12, "P2"))
    roll = rows - beat
    for at in range(rows):
        if at >= roll or (at % half == 0 and at >= rows // 2) or at % beat == 0:
            voices["NO"][at] = Note(3, volume=7 + 8 * at // max(1, rows - 1))
    instruments = (_like(after, "P1", _LEAD), _like(after, "P2", _INNER), _BASS, _like(after, "NO", _DRUM))
    cells = {voice: tuple(part) for voice, part in voices.items()}
    return Score(cells, instruments, ramp(before, after, rows), rows, beat, title="bridge", theme=after.theme)


def _pitch_near(score: Score, voice: str, row: int, backwards: bool = False) -> int | None:
    """Return the pitch of a voice's first note at or after a row, or of its last one before it."""
    cells = score.voices[voice]
    for cell in reversed(cells[:row]) if backwards else cells[row:]:
        if isinstance(cell, Note):
            return cell.pitch
    return None


def _walk(lead: int, goal: int, count: int, scale: list[int]) -> list[int]:
    """Return so many tones of a scale that go from near one pitch to a step before another."""
    tones = [pitch for pitch in range(24, 108) if pitch % 12 in scale]
    start = min(range(len(tones)), key=lambda at: abs(tones[at] - lead))
    end = min(range(len(tones)), key=lambda at: abs(tones[at] - goal))
    end += -1 if end > start or (end == start and end > 0) else 1
    if abs(end - start) < count // 2:  # too near for a walk: from an octave below
        start = end - count + 1 if end - count + 1 >= 0 else end + count - 1
    return [tones[min(max(round(start + (end - start) * at / max(1, count - 1)), 0), len(tones) - 1)] for at in range(count)]


def _like(score: Score, voice: str, otherwise: Instrument) -> Instrument:
    """Return the instrument with which a voice begins, without what moves its pitch."""
    for cell in score.voices[voice]:
        if isinstance(cell, Note):
            found = score.instruments[cell.instrument]
            if max(found.volume) == 0:
                break
            return Instrument(found.kind, found.volume, found.duty, found.period, found.mode, f"bridge {found.name}", found.duties)
    return otherwise


