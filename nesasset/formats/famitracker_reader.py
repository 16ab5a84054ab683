"""From the lines of a FamiTracker text to a score: what is played in which order, and which sounds it needs.

Facts about how FamiTracker plays: its tempo counter and channel handlers, as published, and its manual.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from nesasset.errors import FormatError, ScoreError, out_of_range
from nesasset.formats import tracker_cells as cells
from nesasset.formats.famitracker_lines import (
    ARPEGGIO,
    DPCM,
    DUTY,
    HI_PITCH,
    NOTHING,
    PITCH,
    SPLIT,
    VOLUME,
    Macro,
    Module,
    Track,
    TrackerCell,
    TrackerInstrument,
    parse,
    to_cell,
)
from nesasset.score import (
    HOLD,
    MAX_ARPEGGIO,
    MAX_ENVELOPE_FRAMES,
    MAX_INSTRUMENTS,
    MAX_ROW_FRAMES,
    REST,
    Cell,
    Instrument,
    Note,
    Score,
    Vibrato,
)
from nesasset.units import MAX_VOLUME, PITCH_RANGES, VOICE_KINDS, VOICE_NAMES, VOICES

_FIRST_PATTERNS: Final = (0,) * 5  # of an ORDER entry that is not there
_NO_NOTES: Final = frozenset(("...", "---", "==="))
_OF_ALL: Final = frozenset("BCDF")  # letters of effects that are of the song, not of a voice
_TICKS: Final = 24  # the tempo counter falls by 24 * tempo / speed a frame and rises by 3600 a row
_COUNTER: Final = 3600


@dataclass(frozen=True, slots=True, eq=False)
class _Sound:
    """All that turns a tracker's instrument into one of the score's. `_Sounds` makes one of equal ones: `is` compares."""

    instrument: int
    kind: str
    period: int = 0
    duty: int = 0
    arpeggio: int = 0
    cut: int | None = None
    vibrato: Vibrato | None = None


class _Sounds:
    """The sounds of a track, each once: a track has a hundred thousand notes and a few sounds."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], _Sound] = {}

    def find(
        self,
        instrument: int,
        kind: str,
        period: int = 0,
        duty: int = 0,
        arpeggio: int = 0,
        cut: int | None = None,
        vibrato: Vibrato | None = None,
    ) -> _Sound:
        """Return the sound of these fields."""
        key = (instrument, kind, period, duty, arpeggio, cut, vibrato)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = _Sound(instrument, kind, period, duty, arpeggio, cut, vibrato)
        return found

    def with_vibrato(self, sound: _Sound, vibrato: Vibrato) -> _Sound:
        """Return a sound with a vibrato."""
        return self.find(
            sound.instrument, sound.kind, sound.period, sound.duty, sound.arpeggio, sound.cut, vibrato
        )


@dataclass(slots=True)
class _Heard:
    """A note or a rest as the file shows it, in rows as they are played."""

    row: int
    offset: int
    pitch: int | None
    sound: _Sound | None
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
    hints = _hints(module.comments)
    played = _Playing(module, track, left_out)
    loop = played.loop
    known = _Sounds()
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
    instruments, numbers = _instruments(module, sounds, longest, hints.vibratos, left_out)
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
        provenance=_found_provenance(module, hints),
    )
    return score, tuple(f"{what} ({count} times)" if count > 1 else what for what, count in left_out.items())


# Comments


@dataclass(slots=True)
class _Hints:
    """What our own comments say."""

    theme: str = ""
    bar: tuple[int, int] | None = None
    groove: tuple[int, ...] = ()
    delays: dict[str, int] = field(default_factory=dict)
    vibratos: dict[int, Vibrato] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


_BAR_LINE: Final = re.compile(r"Bar: ([0-9]{1,3}) rows, beat: ([0-9]{1,3}) rows")
_GROOVE_LINE: Final = re.compile(r"Groove: ([0-9 ]{1,200})")
_DELAYS_LINE: Final = re.compile(r"Delays: ((?:(?:P1|P2|TR|NO) [0-9]{1,2}(?:, |$)){1,4})")
_VIBRATO_LINE: Final = re.compile(
    r"Vibrato ([0-9A-F]{2}): after ([0-9]{1,4}) frames, ([0-9]{1,3}) frames a swing, ([0-9]{1,4}) cents"
)


def _hints(comments: Iterable[str]) -> _Hints:
    hints = _Hints()
    for line in comments:
        if line.startswith("Theme: ") and not hints.theme:
            hints.theme = line[7:]
        elif (match := _BAR_LINE.fullmatch(line)) and all(1 <= int(word) <= 256 for word in match.groups()):
            hints.bar = (int(match[1]), int(match[2]))
        elif match := _GROOVE_LINE.fullmatch(line):
            hints.groove = tuple(int(word) for word in match[1].split() if len(word) < 4)
        elif match := _DELAYS_LINE.fullmatch(line):
            pairs = (pair.split() for pair in match[1].split(","))
            hints.delays = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and int(pair[1]) < MAX_ROW_FRAMES}
        elif match := _VIBRATO_LINE.fullmatch(line):
            try:
                vibrato = Vibrato(int(match[2]), int(match[3]), int(match[4]))
            except ScoreError:
                hints.others.append(line)
            else:
                hints.vibratos[int(match[1], 16)] = vibrato
        elif line:
            hints.others.append(line)
    return hints


def _found_provenance(module: Module, hints: _Hints) -> dict[str, str]:
    found = {"author": module.texts.get("AUTHOR", ""), "copyright": module.texts.get("COPYRIGHT", "")}
    found["comment"] = "\n".join(hints.others)
    return {key: value for key, value in found.items() if value}


# Playing


class _Playing:
    """The rows of a track in the order in which they are played, with their lengths."""

    def __init__(self, module: Module, track: Track, left_out: Counter[str]) -> None:
        self.module, self.track = module, track
        self._cache: dict[str, TrackerCell] = {}
        self._n_frames = max(track.order, default=0) + 1
        self._positions: list[tuple[int, int]] = []
        """ORDER entry and row of the pattern."""
        self.rows: list[tuple[TrackerCell, ...]] = []
        """The cells of the voices and of the sample channel, row by row."""
        self._commands: list[list[tuple[str, int]]] = []
        """Row by row what is of the song, not of a voice: letters B, C, D and F."""
        self.loop: tuple[int, int] | None = None
        self._follow()
        self.row_frames = self._measure(left_out)

    def _cells(self, position: tuple[int, int]) -> tuple[TrackerCell, ...]:
        """Return the five cells at an ORDER entry and row."""
        entry, row = position
        found = []
        for channel, pattern in enumerate(self.track.order.get(entry, _FIRST_PATTERNS)):
            written = self.track.cells.get((pattern, row))
            if written is None:
                found.append(NOTHING)
                continue
            where, parts = written
            text = parts[channel]
            cell = self._cache.get(text)
            if cell is None:
                cell = self._cache[text] = to_cell(text, f"{where}, channel {channel + 1}")
            found.append(cell)
        return tuple(found)

    def _append(self, position: tuple[int, int]) -> list[tuple[str, int]]:
        """Take in a row, and return the effects in it that are of the song."""
        if len(self._positions) > cells.MAX_TRACK_ROWS:  # one more for the halt behind the last
            raise FormatError(f"the track must play at most {cells.MAX_TRACK_ROWS} rows, and it plays more; shorten it")
        row = self._cells(position)
        commands = [effect for cell in row for effect in cell.effects if effect[0] in _OF_ALL]
        self._positions.append(position)
        self.rows.append(row)
        self._commands.append(commands)
        return commands

    def _follow(self) -> None:
        """Walk through the song until it halts or comes back to a row."""
        seen: dict[tuple[int, int], int] = {}
        position = (0, 0)
        while position not in seen:
            seen[position] = len(self._positions)
            commands = self._append(position)
            if any(letter == "C" for letter, _ in commands):
                if len(self.rows) > 1 and all(cell.note in _NO_NOTES for cell in self.rows[-1][:DPCM]):
                    for rows in (self._positions, self.rows, self._commands):
                        rows.pop()
                return
            position = self._next(position, commands)
        self.loop = (seen[position], len(self._positions))
        self._append_unheard()

    def _next(self, position: tuple[int, int], effects: list[tuple[str, int]]) -> tuple[int, int]:
        entry, row = position
        if effects:
            jumps = [parameter for letter, parameter in effects if letter == "B"]
            skips = [parameter for letter, parameter in effects if letter == "D"]
            if jumps:
                return (jumps[-1] if jumps[-1] < self._n_frames else 0, 0)
            if skips:
                return ((entry + 1) % self._n_frames, skips[-1] if skips[-1] < self.track.rows else 0)
        return (entry, row + 1) if row + 1 < self.track.rows else ((entry + 1) % self._n_frames, 0)

    def _append_unheard(self) -> None:
        """Keep what stands behind the loop's jump: nobody hears it, but somebody wrote it."""
        entry = max(entry for entry, _ in self._positions) + 1
        while entry < self._n_frames:
            for row in range(self.track.rows):
                letters = {letter for letter, _ in self._append((entry, row))}
                if letters & {"B", "C", "D"}:
                    break
            entry += 1

    def _measure(self, left_out: Counter[str]) -> list[int]:
        """Return the frames of each row, as FamiTracker's tempo counter gives them."""
        split = self.module.numbers.get("SPLIT", SPLIT)
        speed, tempo, counter = self.track.speed, self.track.tempo, 0
        first = (speed, tempo)
        rows = []
        for index, commands in enumerate(self._commands):
            speed, tempo = _speed(commands, speed, tempo, split)
            if self.loop is not None and index == self.loop[0]:
                first = (speed, tempo)
            if tempo:
                fall = max(1, _TICKS * tempo // speed)
                counter += _COUNTER - _TICKS * tempo % speed
                frames = max(1, -(-counter // fall))
                counter -= frames * fall
            else:  # a later tracker's way to say that the speed is all
                frames = speed
            if frames > MAX_ROW_FRAMES:
                left_out[f"rows of more than {MAX_ROW_FRAMES} frames are shorter"] += 1
            rows.append(min(frames, MAX_ROW_FRAMES))
            if self.loop is not None and index == self.loop[1] - 1:
                again = _speed(self._commands[self.loop[0]], speed, tempo, split)
                if again != first:
                    left_out["the loop plays at another speed from its second time on"] += 1
        return rows


def _speed(commands: list[tuple[str, int]], speed: int, tempo: int, split: int) -> tuple[int, int]:
    """Return speed and tempo from a row on."""
    for letter, parameter in commands:
        if letter == "F":
            if parameter >= split and tempo:
                tempo = parameter
            else:
                speed = max(1, parameter)
    return speed, tempo


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
    played: _Playing, channel: int, voice: str, known: _Sounds, left_out: Counter[str]
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
        is_note = cell.note not in _NO_NOTES
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
        if not is_note and cell.note not in _NO_NOTES:
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
            elif letter not in _OF_ALL:
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


def _report_samples(played: _Playing, left_out: Counter[str]) -> None:
    count = sum(row[DPCM].note not in _NO_NOTES for row in played.rows)
    if count:
        left_out["notes of the sample channel"] += count


def _name_vibratos(
    voice: str,
    events: list[_Heard],
    starts: list[int],
    loop: tuple[int, int] | None,
    named: Mapping[int, Vibrato],
    known: _Sounds,
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


# Instruments


def _instruments(
    module: Module,
    sounds: list[_Sound],
    longest: Mapping[int, int],
    vibratos: Mapping[int, Vibrato],
    left_out: Counter[str],
) -> tuple[list[Instrument], dict[_Sound, int]]:
    """Return the score's instruments and the index of each sound: the tracker's order, further sounds behind."""
    order = dict.fromkeys(sounds)
    tracker = sorted({*module.instruments, *(sound.instrument for sound in order)})
    main: dict[int, _Sound] = {}
    for sound in order:
        main.setdefault(sound.instrument, sound)
    # What no note plays has no kind: call it a pulse.
    listed = [main.get(number, _Sound(number, "pulse", vibrato=vibratos.get(number))) for number in tracker]
    listed += [sound for sound in order if main[sound.instrument] is not sound]
    if len(listed) > MAX_INSTRUMENTS:
        raise FormatError(f"the track has {len(listed)} sounds and a score has room for {MAX_INSTRUMENTS}; use fewer")
    numbers = {sound: index for index, sound in enumerate(listed)}
    return [_instrument(module, sound, longest.get(sound.instrument, 0), left_out) for sound in listed], numbers


def _instrument(module: Module, sound: _Sound, longest: int, left_out: Counter[str]) -> Instrument:
    found = module.instruments.get(sound.instrument)
    if found is None:
        left_out[f"instrument {sound.instrument:02X} is played but not there"] += 1
        found = TrackerInstrument("")
    macros = {
        kind: module.macros[kind, index]
        for kind, index in enumerate(found.macros)
        if index >= 0 and (kind, index) in module.macros and module.macros[kind, index].values
    }
    if PITCH in macros or HI_PITCH in macros:
        left_out["pitch macros"] += 1
    volume = tuple(min(MAX_VOLUME, max(0, value)) for value in _held(macros.get(VOLUME), longest)) or (MAX_VOLUME,)
    if sound.cut is not None:
        volume = (*(volume + volume[-1:] * sound.cut)[: min(sound.cut, MAX_ENVELOPE_FRAMES - 1)], 0)
    duties = tuple(value & 3 for value in _held(macros.get(DUTY), longest)) or (sound.duty,)
    arpeggio, loop = _arpeggio(macros.get(ARPEGGIO), sound, left_out)
    if sound.kind == "noise":
        if len({value & 1 for value in duties}) > 1:
            left_out["changes of the noise mode within a note"] += 1
        return Instrument(
            "noise",
            volume,
            period=sound.period,
            mode=duties[0] & 1,
            name=found.name,
            arpeggio=tuple(-step for step in arpeggio),
            arpeggio_loop=loop,
        )
    if sound.kind == "triangle":
        return Instrument(
            "triangle", volume, name=found.name, arpeggio=arpeggio, arpeggio_loop=loop, vibrato=sound.vibrato
        )
    return Instrument(
        "pulse",
        volume,
        duty=duties[0],
        name=found.name,
        duties=duties if len(duties) > 1 else (),
        arpeggio=arpeggio,
        arpeggio_loop=loop,
        vibrato=sound.vibrato,
    )


def _held(macro: Macro | None, longest: int) -> tuple[int, ...]:
    """Return a macro's values while the note is held, loops unrolled for the longest note."""
    if macro is None:
        return ()
    if macro.release is None:
        return cells.unroll(macro.values, macro.loop, longest)
    values = macro.values[: macro.release + 1]
    return cells.unroll(values, macro.loop, longest)


def _arpeggio(macro: Macro | None, sound: _Sound, left_out: Counter[str]) -> tuple[tuple[int, ...], int | None]:
    """Return steps and loop, from the macro or, if there is none, from 0xy."""
    if macro is None:
        steps = (0, sound.arpeggio >> 4, sound.arpeggio & 15) if sound.arpeggio else ()
        return steps[: 3 if sound.arpeggio & 15 else 2], 0 if steps else None
    values = macro.values if macro.release is None else macro.values[: macro.release + 1]
    loop = macro.loop if macro.loop is not None and macro.loop < len(values) else None
    if macro.setting == 2 and loop is None:  # relative: each value is added to the last
        total, added = 0, []
        for value in values:
            total += value
            added.append(total)
        values = tuple(added)
    elif macro.setting:
        left_out["arpeggio macros that are fixed, or relative with a loop"] += 1
        return (), None
    if any(abs(value) > MAX_ARPEGGIO for value in values):
        left_out[f"arpeggio steps beyond {MAX_ARPEGGIO} semitones"] += 1
    return tuple(min(MAX_ARPEGGIO, max(-MAX_ARPEGGIO, value)) for value in values), loop
