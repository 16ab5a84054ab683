"""The score that a MIDI file of ours carries as text: found, and fitted to what else the file says of itself.

Writing it is midi.py's; which of its cells are believed, midi_edits.py's.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction
from typing import Final

from nesasset.errors import FormatError, ScoreError
from nesasset.formats import midi as writer
from nesasset.formats.midi_notes import Midi, bar_of, title_of, to_name
from nesasset.formats.midi_rows import row_starts
from nesasset.formats.midi_tracks import MAX_FRAMES
from nesasset.score import HOLD, MAX_ROWS, Score
from nesasset.units import VOICES

_MAX_TEXT: Final = 1024 * 1024  # bytes of a score's JSON, as midi.py writes it at most


def text_score(midi: Midi) -> Score | None:
    """Return the score whose JSON stands in a track's texts; None without one."""
    from nesasset.formats import score_json

    for track in midi.tracks:
        # Texts of other programs may stand between ours.
        lines = [line for line in track.texts if line[:1] in (b"{", b"}", b'"', b"[", b"]")]
        if b"{" not in lines:
            continue
        if sum(map(len, lines)) > _MAX_TEXT:
            return None
        try:
            score = score_json.loads(b"\n".join(lines[lines.index(b"{") :]).decode(errors="replace"))
        except (FormatError, ScoreError):
            return None
        return score if score.n_frames <= MAX_FRAMES else None
    return None


def keeps_time(midi: Midi, text: Score) -> bool:
    """Return whether the file has the one tempo that the text's score gives."""
    if isinstance(midi.ticks_per_beat, Fraction):
        return False
    wanted = writer.tempo_us(writer.frame_clock(text)[1])
    return bool(midi.tempos) and all(abs(tempo - wanted) <= 1 for _, tempo in midi.tempos)


def given_grid(midi: Midi, text: Score, n_frames: int) -> Score:
    """Return the text's score in the file's length, title and bars."""
    numerator, denominator = writer.time_signature(text)
    bar = bar_of(midi) if midi.signatures else Fraction(4 * numerator, denominator)
    bar_rows = text.bar_rows
    if bar != Fraction(4 * numerator, denominator):
        bar_rows = min(256, max(1, round(bar * text.beat_rows)))
    starts = row_starts(text.groove, MAX_ROWS)
    n_rows = bisect_left(starts, n_frames)
    if n_rows > MAX_ROWS:
        raise FormatError(f"the music must have at most {MAX_ROWS} rows, and {n_frames} frames are more")
    title = _title(midi, text)
    if (bar_rows, n_rows, title) == (text.bar_rows, text.n_rows, text.title):
        return text
    voices = {voice: (*text.voices[voice], *(HOLD,) * (n_rows - text.n_rows))[:n_rows] for voice in VOICES}
    loop = text.loop if text.loop is not None and text.loop[1] <= n_rows else None
    return replace(text, voices=voices, loop=loop, bar_rows=bar_rows, title=title)


def labelled(grid: Score, midi: Midi, text: Score | None) -> Score:
    """Return a grid of found rows with what of a text time has no part in: title, theme and provenance."""
    if text is None:
        return grid
    return replace(grid, title=_title(midi, text), theme=text.theme, provenance=text.provenance)


def _title(midi: Midi, text: Score) -> str:
    """Return the text's title, unless the first track has been given another name."""
    same = midi.tracks[0].name == to_name(writer.track_title(text).encode())
    return text.title if same else title_of(midi)
