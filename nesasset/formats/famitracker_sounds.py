"""The sounds of a FamiTracker track as the score's instruments: macros unrolled, each sound once.

A sound is a tracker's instrument with what its notes add: the noise period, the duty of Vxx, 0xy, Sxx, a vibrato.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from nesasset.errors import FormatError
from nesasset.formats import tracker_cells as cells
from nesasset.formats.famitracker_lines import (
    ARPEGGIO,
    DUTY,
    HI_PITCH,
    PITCH,
    VOLUME,
    Macro,
    Module,
    TrackerInstrument,
)
from nesasset.score import (
    MAX_ARPEGGIO,
    MAX_ENVELOPE_FRAMES,
    MAX_INSTRUMENTS,
    Instrument,
    Vibrato,
)
from nesasset.units import MAX_VOLUME


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """All that turns a tracker's instrument into one of the score's. `Sounds` makes one of equal ones: `is` compares."""

    instrument: int
    kind: str
    period: int = 0
    duty: int = 0
    arpeggio: int = 0
    cut: int | None = None
    vibrato: Vibrato | None = None


class Sounds:
    """The sounds of a track, each once: a track has a hundred thousand notes and a few sounds."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Sound] = {}

    def find(
        self,
        instrument: int,
        kind: str,
        period: int = 0,
        duty: int = 0,
        arpeggio: int = 0,
        cut: int | None = None,
        vibrato: Vibrato | None = None,
    ) -> Sound:
        """Return the sound of these fields."""
        key = (instrument, kind, period, duty, arpeggio, cut, vibrato)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Sound(instrument, kind, period, duty, arpeggio, cut, vibrato)
        return found

    def with_vibrato(self, sound: Sound, vibrato: Vibrato) -> Sound:
        """Return a sound with a vibrato."""
        return self.find(
            sound.instrument, sound.kind, sound.period, sound.duty, sound.arpeggio, sound.cut, vibrato
        )


def to_instruments(
    module: Module,
    sounds: list[Sound],
    longest: Mapping[int, int],
    vibratos: Mapping[int, Vibrato],
    left_out: Counter[str],
) -> tuple[list[Instrument], dict[Sound, int]]:
    """Return the score's instruments and the index of each sound: the tracker's order, further sounds behind."""
    order = dict.fromkeys(sounds)
    tracker = sorted({*module.instruments, *(sound.instrument for sound in order)})
    main: dict[int, Sound] = {}
    for sound in order:
        main.setdefault(sound.instrument, sound)
    # What no note plays has no kind: call it a pulse.
    listed = [main.get(number, Sound(number, "pulse", vibrato=vibratos.get(number))) for number in tracker]
    listed += [sound for sound in order if main[sound.instrument] is not sound]
    if len(listed) > MAX_INSTRUMENTS:
        raise FormatError(f"the track has {len(listed)} sounds and a score has room for {MAX_INSTRUMENTS}; use fewer")
    numbers = {sound: index for index, sound in enumerate(listed)}
    return [_instrument(module, sound, longest.get(sound.instrument, 0), left_out) for sound in listed], numbers


def _instrument(module: Module, sound: Sound, longest: int, left_out: Counter[str]) -> Instrument:
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


def _arpeggio(macro: Macro | None, sound: Sound, left_out: Counter[str]) -> tuple[tuple[int, ...], int | None]:
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
