"""Frames of a voice as notes of a score: where each begins, and the instruments that they share."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesasset.arranging.sounds import key_to_period
from nesasset.errors import FormatError
from nesasset.formats.midi_frames import VoiceFrames
from nesasset.score import HOLD, MAX_ARPEGGIO, MAX_ENVELOPE_FRAMES, MAX_INSTRUMENTS, REST, Cell, Instrument
from nesasset.units import NOISE_PERIODS, PITCH_RANGES, in_range

MAX_NOTES: Final = 50_000  # that have to be arranged or made into instruments: 14 a second for an hour


def check_number(n_notes: int) -> None:
    """Raise FormatError for more notes than are made into a score."""
    if n_notes > MAX_NOTES:
        raise FormatError(f"a MIDI file must have at most {MAX_NOTES} notes to be made into a score, not {n_notes}")


@dataclass(slots=True)
class Phrase:
    """What one note of the score has to sound like, read from the file."""

    row: int
    delay: int
    pitch: int
    """Of the noise its period."""
    mode: int
    states: bytes
    """Two bytes a frame: volume and duty as 16 x volume + duty, and the step of the arpeggio + 128."""


def phrases(
    voice: str,
    frames: VoiceFrames,
    areas: list[tuple[int, int, bool]],
    starts: list[int],
    lag: int,
    cells: list[Cell],
    general_midi: bool,
) -> list[Phrase]:
    """Return the notes of the areas, at most one a row, and put the rests between them into the cells.

    What begins in a row that has its note already goes on in that note's instrument, as steps of its arpeggio. What begins
    where no delay reaches in a voice that lags begins with the row, in silence.

    Args:
        voice: P1, P2, TR or NO.
        frames: The file.
        areas: First frame and end of each, and whether a cell began it that a rest may replace.
        starts: First frame of each row without the lag, and the end.
        lag: Frames by which the voice lags behind the rows.
        cells: The voice's cells; rests are put in.
        general_midi: Whether noise stands on the keys of General MIDI.
    """
    lengths = np.diff(starts).tolist()
    starts = [start + lag for start in starts]
    onsets = np.flatnonzero(frames.onsets)
    sounds = frames.keys >= 0
    last = np.maximum.accumulate(np.where(sounds, np.arange(len(sounds)), -1))
    rows = (np.searchsorted(starts, onsets, side="right") - 1).tolist()
    begun: list[tuple[int, int, int, int]] = []  # first frame, first that sounds, end, row
    for first, end, replaces in areas:
        own = slice(*np.searchsorted(onsets, [first, end]).tolist())
        chosen: list[tuple[int, int, int]] = []
        for onset, row in zip(onsets[own].tolist(), rows[own], strict=True):
            if row < 0 or cells[row] is not HOLD or (chosen and chosen[-1][2] == row):
                continue
            begin = onset
            if begin > starts[row] and lag + begin - starts[row] >= lengths[row]:
                begin = starts[row]
            if begin == onset or (begin >= first and last[onset - 1] < begin):
                chosen.append((begin, onset, row))
        until = chosen[0][0] if chosen else end
        if replaces and first < until:
            _rest(cells, starts, first, until)
        ends = [*(begin for begin, _, _ in chosen[1:]), end][: len(chosen)]
        begun += [(begin, onset, stop, row) for (begin, onset, row), stop in zip(chosen, ends, strict=True)]
    if not begun:
        return []
    numbers, states = _states(voice, frames, begun, general_midi)
    taken = {row for *_, row in begun}
    found = []
    for (first, onset, end, row), pitch in zip(begun, numbers, strict=True):
        silent_from = int(last[end - 1]) + 1
        shown = states[2 * first : 2 * silent_from]
        # The last row may reach beyond the end of the file.
        following = end if end < len(sounds) else starts[-1]
        if silent_from < following:  # a rest where a row begins then, else an envelope that ends
            at = bisect_left(starts, silent_from)
            on_time = at < len(cells) and starts[at] == silent_from and cells[at] is HOLD and at not in taken
            if on_time:
                cells[at] = REST
            elif silent_from - first < MAX_ENVELOPE_FRAMES:
                shown += bytes([shown[-2] & 0x0F, shown[-1]])
            elif at not in taken:
                _rest(cells, starts, silent_from, following)
        mode = int(frames.timbres[onset]) if voice == "NO" else 0
        found.append(Phrase(row, first - starts[row], pitch, mode, shown))
    return found


def _rest(cells: list[Cell], starts: list[int], first: int, end: int) -> None:
    """Put a rest into the first row that begins in these frames, if it is free."""
    at = bisect_left(starts, first)
    if at < len(cells) and starts[at] < end and cells[at] is HOLD:
        cells[at] = REST


def _states(
    voice: str, frames: VoiceFrames, begun: list[tuple[int, int, int, int]], general_midi: bool
) -> tuple[list[int], bytes]:
    """Return the pitch (of the noise the period) of each note, and all frames as `Phrase.states` has them.

    The notes are given as in `phrases`: first frame, first that sounds, end, row.
    """
    sounds = frames.keys >= 0
    if voice == "NO":
        table = [
            key_to_period(key) if general_midi else min(NOISE_PERIODS - 1, max(0, NOISE_PERIODS - key))
            for key in range(128)
        ]
    else:
        table = [in_range(key, voice) if key < PITCH_RANGES[voice][0] else key for key in range(-128, 256)]
    heights = np.where(sounds, frames.keys, 0)
    if voice != "NO":
        heights = heights + np.rint(np.where(sounds, frames.bends, 0) / 100).astype(np.int64) + 128
    heights = np.array(table)[heights]
    # Silence goes on as what sounded before it, so that it needs no entries of its own.
    before = np.maximum.accumulate(np.where(sounds, np.arange(len(sounds)), 0))
    heights, timbres = heights[before], frames.timbres[before].astype(np.int64)
    for first, onset, _, _ in begun:
        if first < onset:
            heights[first:onset], timbres[first:onset] = heights[onset], timbres[onset]
    numbers = heights[[onset for _, onset, _, _ in begun]]
    if voice == "NO":
        timbres = timbres * 0
    else:
        numbers = np.clip(numbers, *PITCH_RANGES[voice])
    own = np.zeros(len(sounds), dtype=np.int64)
    for (first, _, end, _), number in zip(begun, numbers.tolist(), strict=True):
        own[first:end] = number
    states = np.empty((len(sounds), 2), dtype=np.uint8)
    states[:, 0] = np.where(sounds, frames.volumes, 0).astype(np.int64) << 4 | timbres
    states[:, 1] = np.clip(heights - own, -MAX_ARPEGGIO, MAX_ARPEGGIO) + 128
    return numbers.tolist(), states.tobytes()


def share(wanted: list[tuple[str, Phrase]], taken: int) -> tuple[tuple[Instrument, ...], list[int | None]]:
    """Return instruments and which of them plays each note: a note that is cut short shares the one of a longer note.

    Args:
        wanted: Kind and phrase of each note.
        taken: How many instruments the score has already; the new ones are numbered on from there.
    """
    items = [((kind, phrase.pitch if kind == "noise" else 0, phrase.mode), phrase.states) for kind, phrase in wanted]
    unlike = sorted(set(items))
    # In this order a phrase that another one begins with stands right before one that it begins.
    owners: dict[tuple[tuple[str, int, int], bytes], tuple[tuple[str, int, int], bytes]] = {}
    for item, after in zip(reversed(unlike), [None, *reversed(unlike)], strict=False):
        longer = after is not None and after[0] == item[0] and after[1].startswith(item[1])
        owners[item] = owners[after] if longer and after is not None else (item[0], _without_tail(item[1]))
    counts = Counter(owners[item] for item in items)  # in the order of first use
    kept = {core for core, _ in counts.most_common(MAX_INSTRUMENTS - taken)}
    numbers = {core: taken + number for number, core in enumerate(core for core in counts if core in kept)}
    nearest: dict[tuple[str, int, int], int] = {}
    for core, number in numbers.items():
        nearest.setdefault(core[0], number)
    chosen = [numbers.get(owners[item], nearest.get(item[0])) for item in items]
    return tuple(_to_instrument(*core) for core in numbers), chosen


def _without_tail(states: bytes) -> bytes:
    """Return the states without those at the end that only repeat the last, and no more than an instrument may have."""
    length = len(states)
    while length > 2 and states[length - 4 : length - 2] == states[-2:]:
        length -= 2
    return states[: min(length, 2 * MAX_ENVELOPE_FRAMES)]


def _to_instrument(group: tuple[str, int, int], states: bytes) -> Instrument:
    kind, period, mode = group
    volume = _held_last([state >> 4 for state in states[::2]])
    duties = _held_last([state & 3 for state in states[::2]])
    steps = _held_last([state - 128 for state in states[1::2]])
    return Instrument(
        kind,
        volume,
        duty=duties[0] if kind == "pulse" else 0,
        period=period,
        mode=mode,
        duties=duties if len(duties) > 1 and kind == "pulse" else (),
        arpeggio=steps if steps != (0,) else (),
    )


def _held_last(entries: list[int]) -> tuple[int, ...]:
    """Return the entries without those at the end that only repeat the last."""
    length = len(entries)
    while length > 1 and entries[length - 2] == entries[-1]:
        length -= 1
    return tuple(entries[:length])
