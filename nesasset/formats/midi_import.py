"""MIDI files as scores. Writing MIDI, and what a MIDI file says about itself, is midi.py.

Files with tracks p1, p2, tr and no (midi.py's own, and NES-MDB's) come back frame by frame: every note with its volumes,
duties and quick changes of pitch, as an instrument that other notes share where they sound alike.

In our own files a text holds the score (midi_text.py). It is believed note by note, as far as the file sounds like it
(midi_edits.py): a file that nobody changed gives its score back, and in one that somebody worked on the notes win.

Any other file is arranged for the four voices by nesasset.arranging. What does not fit is reported.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Final

from nesasset.arranging.arrange import arrange
from nesasset.errors import FormatError, ScoreError
from nesasset.formats import midi as writer
from nesasset.formats.midi_edits import fill, sounds_like
from nesasset.formats.midi_notes import Midi, MidiTrack, parse
from nesasset.formats.midi_phrases import check_number
from nesasset.formats.midi_pieces import midi_to_piece
from nesasset.formats.midi_rows import found_grid, read_loop, row_starts
from nesasset.formats.midi_text import given_grid, keeps_time, labelled, text_score
from nesasset.formats.midi_tracks import MAX_FRAMES, Clock, file_clock, file_frames
from nesasset.score import Score
from nesasset.units import MAX_VOLUME, VOICES

MAX_BYTES: Final = writer.MAX_BYTES


def loads(data: bytes, name: str = "the MIDI file") -> tuple[Score, tuple[str, ...]]:
    """Return the score that a MIDI file makes, and a sentence for each thing that was left out or changed.

    A file with tracks p1, p2, tr and no keeps its frames; one that midi.py wrote gives back the whole score, with what was
    changed in it since. Any other one is arranged by the rule of `nesasset.arranging.arrange`.

    Args:
        data: The file.
        name: What error messages call it.

    Raises:
        FormatError: The data are no MIDI file of type 0 or 1, are damaged, too large, or longer than a score can be.
    """
    try:
        return _read(data)
    except (FormatError, ScoreError) as error:
        raise FormatError(f"{name}: {error}") from error


def load(path: str | os.PathLike[str]) -> tuple[Score, tuple[str, ...]]:
    """Read a MIDI file as a score; see `loads`.

    Raises:
        FormatError: The file cannot be read or is no usable MIDI file.
    """
    from nesasset.formats import files

    return loads(files.read_bytes(path, MAX_BYTES), os.fspath(path))


def _read(data: bytes) -> tuple[Score, tuple[str, ...]]:
    if len(data) > MAX_BYTES:
        raise FormatError(f"a MIDI file must have at most {MAX_BYTES} bytes, not {len(data)}")
    left_out: Counter[str] = Counter()
    midi = parse(data)
    voices = {track.name.upper(): track for track in midi.tracks if track.name.upper() in VOICES}
    if len(voices) == len(VOICES):
        score = _read_voices(midi, voices, left_out)
    else:
        check_number(sum(len(track.notes) + len(track.drums) for track in midi.tracks))
        left_out["pitch bends"] += sum(len(track.bends) for track in midi.tracks)
        score = arrange(midi_to_piece(midi, left_out), left_out)
    return score, tuple(f"{what} ({count} times)" if count > 1 else what for what, count in left_out.items() if count)


def _read_voices(midi: Midi, tracks: dict[str, MidiTrack], left_out: Counter[str]) -> Score:
    text = text_score(midi)
    if any(tempo != midi.tempos[0][1] for _, tempo in midi.tempos):
        left_out["tempo changes"] += 1
    ticks_per_frame, beat = file_clock(midi)
    followed = text is not None and keeps_time(midi, text)
    if text is not None and followed:
        beat = writer.frame_clock(text)[1]
        ticks_per_frame = Fraction(midi.ticks_per_beat) / beat
    clock = Clock(ticks_per_frame, left_out)
    n_frames = max(1, clock.frame(next((tick for tick, _, _ in midi.signatures if tick), midi.end)))
    if n_frames > MAX_FRAMES:
        raise FormatError(f"the music must have at most {MAX_FRAMES} frames, not {n_frames}")
    louder = any(note.velocity > MAX_VOLUME for track in tracks.values() for note in (*track.notes, *track.drums))
    frames = {voice: file_frames(tracks[voice], voice, n_frames, clock, louder) for voice in VOICES}
    if text is None or not followed:
        check_number(sum(int(part.onsets.sum()) for part in frames.values()))
        grid = labelled(found_grid(midi, frames, beat, n_frames), midi, text)
    else:
        grid = given_grid(midi, text, n_frames)
        if not louder and not sounds_like(grid, frames, general_midi=False):
            # All volumes may be so low that times eight they are no more than 15: try that reading, too.
            quiet = {voice: file_frames(tracks[voice], voice, n_frames, clock, louder=True) for voice in VOICES}
            if sounds_like(grid, quiet, general_midi=True):
                frames, louder = quiet, True
    starts = row_starts(grid.groove, grid.n_rows)
    if starts[-1] != n_frames:
        left_out["the end is no row's end and comes later"] += 1
    loop = read_loop(midi, grid, starts, clock, left_out)
    if loop != grid.loop:
        grid = replace(grid, loop=loop)
    return fill(grid, frames, louder, followed, left_out)
