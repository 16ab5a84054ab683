"""From one NES-MDB song to rows: frames, notes, grid, cells, loop, controls. One song in, one `Song` out; no training here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.grid import BAR_ROWS, Grid, find_bar_rows, find_grid
from export.notes import Notes, find_notes
from nesasset.formats import nesmdb_midi
from nesasset.units import VOICES
from nesasset.vocabulary import ENVELOPE_FRAMES, HOLD_ID, ONSET_ID, REST_ID, pitch_to_id

DATA_FRAME_RATE_HZ = 60.0988
MIN_ROWS = 24
MIN_ON_ROW = 0.75  # share of onsets that start within a frame of a row, below which a song has no usable grid
LATE_ROWS = 3  # by which a file may end before or after its last bar line: a third of them end one or two rows late
MAX_LOST = 0.15  # share of onsets lost because a row of a voice holds one only


@dataclass(slots=True)
class Song:
    """A song on its rows."""

    name: str
    split: str
    row_frames: float
    boundaries: NDArray[np.int32]
    """First frame of each row, and the end; shape (n_rows + 1,)."""
    delays: tuple[int, int, int, int]
    cells: NDArray[np.int32]
    """Shape (n_rows, 4), columns P1, P2, TR, NO; ids of vocabulary."""
    note_delays: NDArray[np.int32]
    """Frames by which an onset lies behind its row (on top of the voice's delay); same shape."""
    notes: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    """For P1, P2 and NO: (n, 5): row, timbre, period, span, off-span of each onset, in row order."""
    envelopes: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    """For the same: (n, ENVELOPE_FRAMES) volumes."""
    bar_rows: int = 16
    loop: tuple[int, int] | None = None
    tail: bool = False
    label: str = ""
    on_row: float = 0.0
    lost: float = 0.0


def read_frames(path: Path) -> NDArray[np.uint8]:
    """Return the song's frames on its own clock, shape (n_frames, 4, 3)."""
    return nesmdb_midi.to_frames(nesmdb_midi.load(path))


def to_song(frames: NDArray[np.uint8], name: str, split: str, meta: dict[str, str] | None) -> Song | str:
    """Put a song on rows.

    Args:
        frames: Shape (n_frames, 4, 3).
        name: File name without suffix.
        split: train or valid.
        meta: The song's row of tracks.csv, or None.

    Returns:
        The song, or the reason why it has no rows.
    """
    notes = [find_notes(frames[:, column], voice) for column, voice in enumerate(VOICES)]
    if not any(len(part.start) for part in notes):
        return "silent"
    grid = find_grid([part.start for part in notes], len(frames))
    if grid is None:
        return "fewer than four onsets"
    song = _on_rows(frames, notes, grid, name, split)
    if song is None:
        return "no onset on a row"
    if song.on_row < MIN_ON_ROW:
        return "no clear row grid"
    if len(song.cells) < MIN_ROWS:
        return f"fewer than {MIN_ROWS} rows"
    if song.lost > MAX_LOST:
        return "too many onsets within one row"
    song.label = meta["theme"] if meta else ""
    song.tail = bool(max((int(part.off[-1]) for part in notes if len(part.off)), default=0) < len(frames) - 30)
    loops = {bar_rows: find_loop(song, len(frames), meta, bar_rows) for bar_rows in BAR_ROWS}
    song.bar_rows = find_bar_rows(song.cells, [bar_rows for bar_rows, loop in loops.items() if loop])
    song.loop = loops[song.bar_rows]
    if song.loop:
        _end_at(song, song.loop[1])
    return song


def _end_at(song: Song, n_rows: int) -> None:
    """Cut a song to so many rows, or let its last notes ring until there."""
    more = n_rows - len(song.cells)
    if more > 0:
        held = np.full((more, 4), HOLD_ID, dtype=song.cells.dtype)
        song.cells, song.note_delays = np.concatenate([song.cells, held]), np.concatenate([song.note_delays, np.zeros_like(held)])
        ends = song.boundaries[-1] + np.round(np.arange(1, more + 1) * song.row_frames)
        song.boundaries = np.concatenate([song.boundaries, ends.astype(song.boundaries.dtype)])
    song.cells, song.note_delays = song.cells[:n_rows], song.note_delays[:n_rows]
    song.boundaries = song.boundaries[: n_rows + 1]
    for voice, table in song.notes.items():
        keep = table[:, 0] < n_rows
        song.notes[voice], song.envelopes[voice] = table[keep], song.envelopes[voice][keep]


def _on_rows(
    frames: NDArray[np.uint8], notes: list[Notes], grid: Grid, name: str, split: str
) -> Song | None:
    """Give every onset its row; one onset a voice and row, the first one stays. None if no onset has one."""
    starts = grid.boundaries[:-1]
    n_rows = len(starts)
    cells = np.full((n_rows, 4), HOLD_ID, dtype=np.int32)
    late = np.zeros((n_rows, 4), dtype=np.int32)
    song = Song(name, split, grid.row_frames, grid.boundaries, grid.delays, cells, late)
    total = near = lost = 0
    for column, (voice, part) in enumerate(zip(VOICES, notes, strict=True)):
        lag = grid.delays[column]
        table: list[tuple[int, int, int, int, int]] = []
        curves: list[NDArray[np.uint8]] = []
        kept: list[int] = []
        for index, start in enumerate(part.start.tolist()):
            at = start - lag
            row = int(np.searchsorted(starts, at + 1, side="right")) - 1  # one frame early still means this row
            if row < 0 or at - grid.boundaries[row] >= grid.boundaries[row + 1] - grid.boundaries[row] + 1:
                continue  # after the last row
            total += 1
            near += abs(at - int(starts[row])) <= 1
            if cells[row, column] != HOLD_ID:
                lost += 1
                continue
            cells[row, column] = ONSET_ID if voice == "NO" else pitch_to_id(int(part.pitch[index]))
            late[row, column] = max(0, at - int(starts[row]))
            kept.append(index)
        rows = np.flatnonzero(cells[:, column]).tolist()
        for place, index in enumerate(kept):
            row, start = rows[place], int(part.start[index])
            following = rows[place + 1] if place + 1 < len(rows) else n_rows
            end = int(part.start[kept[place + 1]]) if place + 1 < len(kept) else int(starts[-1]) + 64
            # The next note that lost its row still belongs to this span; off is the last sounding frame before `end`.
            heard = np.flatnonzero(frames[start:end, column, 1])
            off = start + int(heard[-1]) + 1 if len(heard) else start + 1
            if voice == "TR":  # no envelope: the nearest row ends the note
                rest = _nearest_row(starts, off - lag)
            else:
                rest = int(np.searchsorted(starts, off - lag, side="left"))
            rest = max(rest, row + 1)
            if rest < following:
                cells[rest, column] = REST_ID
                end = min(end, int(starts[rest]) + lag)
            if voice != "TR":
                span = max(1, min(end - start, ENVELOPE_FRAMES))
                curve = np.zeros(ENVELOPE_FRAMES, dtype=np.uint8)
                known = frames[start : min(start + span, len(frames)), column, 1]
                curve[: len(known)] = known
                period = 16 - int(part.pitch[index]) if voice == "NO" else 0  # NES-MDB writes 16 - period
                table.append((row, int(part.timbre[index]), period, span, off - start))
                curves.append(curve)
        if voice != "TR":
            song.notes[voice] = np.array(table, dtype=np.int32).reshape(-1, 5)
            song.envelopes[voice] = np.array(curves, dtype=np.uint8).reshape(-1, ENVELOPE_FRAMES)
    if not total:
        return None
    song.on_row, song.lost = near / total, lost / total
    return song


def _nearest_row(starts: NDArray[np.int32], frame: int) -> int:
    row = int(np.searchsorted(starts, frame, side="left"))
    if 0 < row < len(starts) and frame - starts[row - 1] < starts[row] - frame:
        return row - 1
    return row


def find_loop(song: Song, n_frames: int, meta: dict[str, str] | None, bar_rows: int) -> tuple[int, int] | None:
    """Find the loop in rows, from bar line to bar line: known to the second from tracks.csv, refined on the grid.

    The file is one pass and ends at the loop's end, to within a few rows. The metadata counts whole seconds, rounded up; it is
    trusted where title and length agree. Bars are counted from the song's first row: there the bass changes as often on bar
    lines in the last third of a song as in the first (31 % of its changes, by chance 24), where loops were looked
    for without regard to bars it did so in 27 %. A song whose loop is on no bar lines has none.
    """
    if meta is None or meta["looping"] != "True" or not meta["meta_loop"] or not meta["meta_total"]:
        return None
    if _letters(meta["title"]) != _letters(meta["file_title"]):
        return None
    seconds, total_s, loop_s = n_frames / DATA_FRAME_RATE_HZ, float(meta["meta_total"]), float(meta["meta_loop"])
    if abs(np.ceil(seconds) - total_s) > 1 or loop_s < 2:
        return None
    whole = loop_s >= total_s - 1  # the whole file loops; its leading silence may or may not belong to the loop's end
    low, high = (loop_s - 1.1) * DATA_FRAME_RATE_HZ, (loop_s + 0.1) * DATA_FRAME_RATE_HZ
    known = len(song.boundaries)
    rows = np.arange(known + LATE_ROWS + 1)
    frames = np.append(song.boundaries, song.boundaries[-1] + np.round((rows[known:] - known + 1) * song.row_frames))
    candidates: list[tuple[tuple[bool, float, float], tuple[int, int]]] = []
    for end_frame in {n_frames, n_frames + int(song.boundaries[0]) if whole else n_frames}:
        for end in rows[(rows % bar_rows == 0) & (rows > 0) & (np.abs(frames - end_frame) <= LATE_ROWS * song.row_frames)].tolist():
            length = frames[end] - frames[:end:bar_rows]
            starts = np.flatnonzero((length >= low) & (length <= high)).tolist()
            for start in {0, *starts} if whole else starts:
                fit = (whole and start == 0, -abs(float(frames[end]) - end_frame), -abs(float(length[start]) - (low + high) / 2))
                candidates.append((fit, (start * bar_rows, end)))
    return max(candidates)[1] if candidates else None


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
