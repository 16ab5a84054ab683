"""Which note of a score sounds from which frame to which: for files that speak of notes. Holds no register write."""

from __future__ import annotations

from dataclasses import dataclass

from nesasset.score import Gap, Instrument, Note, Score, scale_volume


@dataclass(frozen=True, slots=True)
class SoundingNote:
    """A note and the frames of one pass in which it owns its voice."""

    onset_frame: int
    """First frame."""
    end_frame: int
    """Frame after the last: the next note, a rest, or the end of the score."""
    note: Note
    instrument: Instrument
    source: int | None = None
    """Pitch at which the note's slide begins, as the driver plays it: that of the voice's note before, as written; in a
    loop's first note that of the loop's last. None for noise and for a voice's first note."""

    def volumes(self) -> tuple[int, ...]:
        """Return the volume, 0 to 15, of every frame from onset to end: the envelope, its last value held, by the note's."""
        length, envelope = self.end_frame - self.onset_frame, self.instrument.volume
        volumes = (envelope + envelope[-1:] * max(0, length - len(envelope)))[:length]
        return tuple(scale_volume(volume, self.note.volume) for volume in volumes)


def sounding_notes(score: Score, voice: str) -> list[SoundingNote]:
    """Return the notes of one voice in time order, none overlapping, each at least one frame long.

    A voice's delay moves all its notes and rests; what it pushes past the end of the pass is left out.

    Args:
        score: The score.
        voice: P1, P2, TR or NO.
    """
    lag, end = score.delays.get(voice, 0), score.n_frames
    notes: list[SoundingNote] = []
    current: tuple[int, Note, int | None] | None = None

    def close(frame: int) -> None:
        if current is not None and current[0] < min(frame, end):
            onset, note, source = current
            notes.append(SoundingNote(onset, min(frame, end), note, score.instruments[note.instrument], source))

    loop_start, loop_end = score.loop or (score.n_rows, score.n_rows)
    looped = [cell.pitch for cell in score.voices[voice][loop_start:loop_end] if isinstance(cell, Note)]
    before: int | None = None
    frame = lag
    for row, cell in enumerate(score.voices[voice]):
        if row == loop_start and looped:
            before = looped[-1]
        if isinstance(cell, Note):
            close(frame + cell.delay)
            current = (frame + cell.delay, cell, before)
            before = cell.pitch
        elif cell is Gap.REST:
            close(frame)
            current = None
        frame += score.groove[row % len(score.groove)]
    close(end)
    return notes
