"""From the lines of a FamiTracker text to a score: what is played in which order, and which sounds it needs.

Facts about how FamiTracker plays: its tempo counter and channel handlers, as published, and its manual.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from nesasset.errors import FormatError, out_of_range
from nesasset.formats import tracker_cells as cells
from nesasset.formats.famitracker_comments import found_provenance, read_hints
from nesasset.formats.famitracker_lines import (
    DPCM,
    NOTHING,
    VOLUME,
    Module,
    parse,
)
from nesasset.formats.famitracker_playing import NO_NOTES, OF_ALL, Playing
from nesasset.formats.famitracker_sounds import Sound, Sounds, to_instruments
from nesasset.score import (
    HOLD,
    MAX_ENVELOPE_FRAMES,
    MAX_ROW_FRAMES,
    REST,
    Cell,
    Note,
    Score,
    Vibrato,
)
from nesasset.units import MAX_VOLUME, PITCH_RANGES, VOICE_KINDS, VOICE_NAMES, VOICES


@dataclass(slots=True)
class _Heard:
    """A note or a rest as the file shows it, in rows as they are played."""

    row: int
    offset: int
    pitch: int | None
    sound: Sound | None
    """None for a rest."""
    volume: int = MAX_VOLUME
    portamento: int = 0
    swing: tuple[int, int] | None = None
    """Row and parameter of the vibrato."""


def read(text: str, number: int) -> tuple[Score, tuple[str, ...]]:
    """Return the score of a text's track, counted from 1, and what was left out; see `famitracker.loads`."""
    left_out: Counter[str] = Counter()
    module = parse(text, number, left_out)
    if not 1 <= number <= len(module.tracks):
        if not module.tracks:
            raise FormatError("the text has no TRACK line; is it a FamiTracker text export?")
        raise FormatError(out_of_range("track", number, 1, len(module.tracks)))
    if len(module.tracks) > 1:
        left_out[f"of {len(module.tracks)} tracks only number {number} was read"] += 1
    if module.numbers.get("MACHINE"):
        left_out["a song for PAL, 50 frames a second, plays at 60"] += 1
    elif module.numbers.get("FRAMERATE", 0) not in (0, 60):
        left_out[f"a song for {module.numbers['FRAMERATE']} frames a second plays at 60"] += 1
    if module.numbers.get("EXPANSION"):
        left_out["the voices of an expansion chip"] += 1
    track = module.tracks[number - 1]
    hints = read_hints(module.comments)
    played = Playing(module, track, left_out)
    loop = played.loop
    known = Sounds()
    heard = {voice: _read_voice(played, channel, voice, known, left_out) for channel, voice in enumerate(VOICES)}
    _report_samples(played, left_out)
    starts = [0]
    for frames in played.row_frames:
        starts.append(starts[-1] + frames)
    parts: dict[str, list[Cell]] = {}
    lags: dict[str, int] = {}
    placed: dict[str, list[tuple[int, int, _Heard]]] = {}
    longest: dict[int, int] = {}
    for voice in VOICES:
        events = heard[voice]
        _name_vibratos(voice, events, starts, loop, hints.vibratos, known)
        ends = [*(starts[event.row] + event.offset for event in events[1:]), starts[-1]]
        for event, end in zip(events, ends, strict=False):
            if event.sound is not None:
                frames = end - starts[event.row] - event.offset
                longest[event.sound.instrument] = max(longest.get(event.sound.instrument, 0), frames)
        lags[voice], placed[voice] = _without_lag(voice, events, starts, loop, hints.delays.get(voice, 0), left_out)
    sounds = [event.sound for voice in VOICES for _, _, event in placed[voice] if event.sound is not None]
    instruments, numbers = to_instruments(module, sounds, longest, hints.vibratos, left_out)
    for voice in VOICES:
        part: list[Cell] = [HOLD] * len(played.row_frames)
        before: int | None = None
        slides: dict[int, int] = {}
        for event in heard[voice]:
            if event.sound is not None and event.pitch is not None:
                if event.portamento and before is not None:
                    distance = abs(cells.period(voice, before) - cells.period(voice, event.pitch))
                    slides[id(event)] = cells.portamento_frames(distance, event.portamento)
                before = event.pitch
        for row, delay, event in placed[voice]:
            if event.sound is None:
                part[row] = REST
            else:
                part[row] = Note(numbers[event.sound], event.pitch, delay, event.volume, slides.get(id(event), 0))
        parts[voice] = part
    bar_rows, beat_rows = hints.bar or (min(256, max(1, track.rows)), 4)
    title, short = track.name, module.texts.get("TITLE", "")
    score = Score(
        voices={voice: tuple(parts[voice]) for voice in VOICES},
        instruments=tuple(instruments),
        groove=_groove(played.row_frames, hints.groove),
        bar_rows=bar_rows,
        beat_rows=beat_rows,
        loop=loop,
        delays={voice: lag for voice, lag in lags.items() if lag},
        title=title if len(module.tracks) > 1 or title.startswith(short) else short,
        theme=hints.theme,
        provenance=found_provenance(module, hints),
    )
    return score, tuple(f"{what} ({count} times)" if count > 1 else what for what, count in left_out.items())


# Voices

_LETTERS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS: Final = {"-": 0, ".": 0, "#": 1, "+": 1, "B": -1, "F": -1}


@lru_cache(maxsize=1024)
def _to_pitch(note: str, voice: str) -> tuple[int | None, bool]:
    """Return the MIDI pitch of a note of pulse or triangle, None if it is none, and whether it had to be moved by octaves."""
    letter, accidental, octave = note[0].upper(), note[1].upper(), note[2]
    if letter not in _LETTERS or accidental not in _ACCIDENTALS or octave not in "01234567":
        return None, False
    number = (_LETTERS[letter] + _ACCIDENTALS[accidental]) % 12 + 12 * int(octave)
    pitch = cells.note_to_pitch(voice, number)
    low, high = PITCH_RANGES[voice]
    if pitch < low:
        return pitch + 12 * (-(-(low - pitch) // 12)), True
    if pitch > high:
        return pitch - 12 * (-(-(pitch - high) // 12)), True
    return pitch, False


# Letters of effects that a score has no word for. FamiTracker's manual, "Effect list".
_EFFECTS: Final = {
    "1": "pitch slides (1xx)",
    "2": "pitch slides (2xx)",
    "7": "tremolo (7xy)",
    "A": "volume slides (Axy)",
    "E": "volumes (Exx)",
    "H": "hardware sweeps (Hxy)",
    "I": "hardware sweeps (Ixy)",
    "P": "fine pitch (Pxx)",
    "Q": "note slides (Qxy)",
    "R": "note slides (Rxy)",
}


def _read_voice(
    played: Playing, channel: int, voice: str, known: Sounds, left_out: Counter[str]
) -> list[_Heard]:
    """Return the notes and rests of one voice in the order of rows."""
    events: list[_Heard] = []
    kind = VOICE_KINDS[voice]
    instrument, volume, duty, arpeggio, portamento, vibrato = 0, MAX_VOLUME, 0, 0, 0, 0
    for row, found in enumerate(played.rows):
        cell = found[channel]
        if cell is NOTHING:
            continue
        last = events[-1] if events and events[-1].sound is not None else None
        is_note = cell.note not in NO_NOTES
        pitch: int | None = None
        period = 0
        if is_note and voice == "NO":
            digit = cell.note[0].upper()
            is_note = digit in "0123456789ABCDEF"
            period = 15 - int(digit, 16) if is_note else 0
        elif is_note:
            pitch, moved = _to_pitch(cell.note, voice)
            is_note = pitch is not None
            if moved:
                left_out[f"notes of {VOICE_NAMES[voice]} beyond its range are octaves off"] += 1
        if not is_note and cell.note not in NO_NOTES:
            left_out["notes that are no pitches"] += 1
        offset, cut = 0, None
        for letter, parameter in cell.effects:
            if letter == "G":
                offset = parameter
            elif letter == "S":
                cut = parameter
            elif letter == "V":
                duty = parameter & 3
                if not is_note and last is not None and kind != "triangle":
                    left_out["changes of the duty within a note (Vxx)"] += 1
            elif letter == "0":
                arpeggio, portamento = parameter, 0
                if not is_note and last is not None and parameter:
                    left_out["arpeggios that begin within a note (0xy)"] += 1
            elif letter == "3":
                arpeggio, portamento = 0, parameter
            elif letter == "4" and kind != "noise":
                vibrato = parameter if parameter >> 4 and parameter & 15 else 0
                if not is_note and last is not None:
                    if last.swing is None and vibrato:
                        last.swing = (row, vibrato)
                    elif last.swing is not None and last.swing[1] != vibrato:
                        left_out["changes of the vibrato within a note (4xy)"] += 1
            elif letter not in OF_ALL:
                if letter in "12":
                    portamento = arpeggio = 0
                left_out[_EFFECTS.get(letter, f"effects {letter}xx")] += 1
        if cell.volume is not None:
            volume = cell.volume
            if not is_note and last is not None:
                left_out["changes of the volume within a note"] += 1
        if cell.instrument is not None and cell.note not in ("---", "==="):
            if not is_note and last is not None and instrument != cell.instrument:
                left_out["changes of the instrument within a note"] += 1
            instrument = cell.instrument
        if offset >= played.row_frames[row]:
            left_out["note delays (Gxx) longer than their row"] += 1
            offset = played.row_frames[row] - 1
        if is_note:
            sound = known.find(
                instrument,
                kind,
                period,
                0 if kind == "triangle" else duty & 1 if kind == "noise" else duty,
                arpeggio,
                cut,
            )
            swing = (row, vibrato) if vibrato and kind != "noise" else None
            events.append(_Heard(row, offset, pitch, sound, volume, portamento if kind != "noise" else 0, swing))
        elif cell.note == "---" or (cell.note == "===" and _releases(played.module, instrument)):
            if cell.note == "===":
                left_out["releases are rests (===)"] += 1
            events.append(_Heard(row, offset, None, None))
        elif cut is not None and last is not None:
            events.append(_Heard(row, min(cut, played.row_frames[row] - 1), None, None))
    return events


def _releases(module: Module, instrument: int) -> bool:
    """Return whether a release is heard: only a volume macro that has a part for it makes one."""
    found = module.instruments.get(instrument)
    macro = module.macros.get((VOLUME, found.macros[VOLUME])) if found is not None else None
    return macro is not None and macro.release is not None


def _report_samples(played: Playing, left_out: Counter[str]) -> None:
    count = sum(row[DPCM].note not in NO_NOTES for row in played.rows)
    if count:
        left_out["notes of the sample channel"] += count


def _name_vibratos(
    voice: str,
    events: list[_Heard],
    starts: list[int],
    loop: tuple[int, int] | None,
    named: Mapping[int, Vibrato],
    known: Sounds,
) -> None:
    """Give each note its vibrato: the one our comment names where the effects agree with it, else what the effects say."""
    untils = cells.next_rows([event.row for event in events], len(starts) - 1, loop)
    heard: dict[tuple[int, int, int], Vibrato] = {}
    for event, until in zip(events, untils, strict=True):
        if event.sound is None or event.pitch is None:
            continue
        vibrato = named.get(event.sound.instrument)
        if vibrato is None and event.swing is None:
            continue
        onset = starts[event.row] + event.offset
        expected = cells.vibrato_effect(vibrato, voice, event.pitch, event.row, onset, until, starts)
        if expected != event.swing:
            vibrato = None
            if event.swing is not None:
                row, parameter = event.swing
                delay = 0 if row == event.row else min(MAX_ENVELOPE_FRAMES, starts[row] - onset)
                vibrato = heard.get((delay, parameter, event.pitch))
                if vibrato is None:
                    cents = cells.vibrato_cents(voice, event.pitch, parameter & 15)
                    vibrato = heard[delay, parameter, event.pitch] = Vibrato(delay, round(64 / (parameter >> 4)), cents)
        if vibrato is not None:
            event.sound = known.with_vibrato(event.sound, vibrato)


def _without_lag(
    voice: str,
    events: list[_Heard],
    starts: list[int],
    loop: tuple[int, int] | None,
    named: int,
    left_out: Counter[str],
) -> tuple[int, list[tuple[int, int, _Heard]]]:
    """Return a voice's delay and, for each note and rest, the row without it, the note's own delay and the event."""
    smallest = min((event.offset for event in events), default=0)
    for lag in dict.fromkeys((named, smallest)):
        moved = _moved(events, starts, loop, lag) if lag else _as_they_are(events, starts)
        if moved is not None:
            return lag, moved
    placed = []
    taken = {event.row for event in events}
    edges = {len(starts) - 1, *(loop or ())}
    for event in events:
        row = event.row
        if event.sound is None and event.offset:
            left_out[f"rests of {VOICE_NAMES[voice]} within a row begin with the nearest row"] += 1
            late = 2 * event.offset >= starts[row + 1] - starts[row]
            row += late and row + 1 not in taken | edges
        placed.append((row, event.offset if event.sound is not None else 0, event))
    return 0, placed


def _as_they_are(events: list[_Heard], starts: list[int]) -> list[tuple[int, int, _Heard]] | None:
    """Return what `_moved` does without a lag."""
    for event in events:
        offset = event.offset
        if offset and (event.sound is None or offset >= starts[event.row + 1] - starts[event.row]):
            return None
    return [(event.row, event.offset, event) for event in events]


def _moved(
    events: list[_Heard], starts: list[int], loop: tuple[int, int] | None, lag: int
) -> list[tuple[int, int, _Heard]] | None:
    """Return rows and delays of the events, each so many frames earlier; None where a score cannot say it."""
    first, end = loop or (len(starts) - 1, len(starts) - 1)
    placed: dict[int, tuple[int, int, _Heard]] = {}
    for event in events:
        frame = starts[event.row] + event.offset - lag
        if first <= event.row < end:
            frame = starts[first] + (frame - starts[first]) % (starts[end] - starts[first])
        elif frame < (0 if event.row < first else starts[end]):
            return None
        row = bisect_right(starts, frame) - 1
        delay = frame - starts[row]
        allowed = starts[row + 1] - starts[row] - lag
        if row in placed or (delay and (event.sound is None or delay >= allowed)):
            return None
        placed[row] = (row, delay, event)
    return [placed[row] for row in sorted(placed)]


def _groove(row_frames: list[int], named: tuple[int, ...]) -> tuple[int, ...]:
    """Return the groove that our comment names, if the rows follow it, else the shortest that they follow."""
    possible = named and all(1 <= frames <= MAX_ROW_FRAMES for frames in named)
    if possible and all(frames == named[row % len(named)] for row, frames in enumerate(row_frames)):
        return named
    return cells.shortest_groove(row_frames)
