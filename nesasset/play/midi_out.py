"""What the voices do, as MIDI messages in time: for a synthesiser or a DAW that plays along. Frames in, messages out.

Pulse 1 and 2 and the triangle are channels 1 to 3, the noise is channel 10, the drums; as in the MIDI files of this package.
Vibrato and the like are left out: a note is the nearest key, and a new one begins where the key changes or the volume rises.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from nesasset.apu.state import period_pitches
from nesasset.errors import ControlError, did_you_mean
from nesasset.registers import SILENCE, Sound
from nesasset.units import MAX_VOLUME, VOICES

Message = tuple[int, int, int]
"""Status byte and two data bytes."""

NOTE_ON, NOTE_OFF, CONTROL = 0x90, 0x80, 0xB0
ALL_NOTES_OFF: Final = 123
CHANNELS: Final = {"P1": 0, "P2": 1, "TR": 2, "NO": 9}
STRUCK_AGAIN: Final = 3  # a rise of the volume that is heard as a new note
_HIGHEST: Final = 127
# General MIDI drums by the noise's period: closed hat, pedal hat, snare, toms, bass drum.
_DRUMS: Final = (42, 42, 42, 44, 38, 38, 40, 38, 45, 45, 43, 41, 36, 36, 35, 35)


class MidiNotes:
    """Remembers which notes sound."""

    def __init__(self) -> None:
        self._before: tuple[Sound, ...] = (SILENCE,) * 4
        self._sounding: dict[str, int] = {}
        self._keys = {voice: period_pitches(voice).tolist() for voice in VOICES[:3]}

    def messages(self, sounds: Sequence[Sound]) -> list[Message]:
        """Return what changes with a frame: notes that end, then notes that begin."""
        ending: list[Message] = []
        beginning: list[Message] = []
        for voice, sound, before in zip(VOICES, sounds, self._before, strict=True):
            volume, _, period = sound
            key = _DRUMS[period] if voice == "NO" else min(max(self._keys[voice][period], 0), _HIGHEST)
            held, channel = self._sounding.get(voice), CHANNELS[voice]
            struck = volume - before[0] >= STRUCK_AGAIN and voice != "TR"
            if held is not None and (volume == 0 or struck or (key != held and voice != "NO")):
                ending.append((NOTE_OFF | channel, held, 0))
                held = self._sounding.pop(voice, None) and None
            if held is None and volume:
                velocity = 100 if voice == "TR" else max(1, volume * _HIGHEST // MAX_VOLUME)
                beginning.append((NOTE_ON | channel, key, velocity))
                self._sounding[voice] = key
        self._before = tuple(sounds)
        return ending + beginning

    def off(self) -> list[Message]:
        """Return what silences everything."""
        ended = [(NOTE_OFF | CHANNELS[voice], key, 0) for voice, key in self._sounding.items()]
        self._sounding.clear()
        return ended + [(CONTROL | channel, ALL_NOTES_OFF, 0) for channel in CHANNELS.values()]


def open_port(name: str) -> tuple[Callable[[Message], None], Callable[[], None]]:
    """Open a MIDI output and return what sends a message to it, and what closes it.

    Args:
        name: A port's name or the beginning of it; "list" raises the error that names all ports.

    Raises:
        ControlError: There is no such port, or nothing here that can open one.
    """
    for opener in (_open_mido, _open_pygame):
        found = opener(name)
        if found is not None:
            return found
    raise ControlError("no MIDI output can be opened here: install pygame, or mido with python-rtmidi")


def _open_mido(name: str) -> tuple[Callable[[Message], None], Callable[[], None]] | None:
    try:
        import mido

        ports = mido.get_output_names()
    except (ImportError, OSError, AttributeError):  # mido is there, and no backend of it
        return None
    port = mido.open_output(_chosen(name, ports))
    return (lambda message: port.send(mido.Message.from_bytes(list(message)))), port.close


def _open_pygame(name: str) -> tuple[Callable[[Message], None], Callable[[], None]] | None:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        from pygame import midi
    except ImportError:
        return None
    midi.init()
    known: dict[str, int] = {}
    for number in range(midi.get_count()):
        facts: Any = midi.get_device_info(number)
        if facts[3]:
            known[facts[1].decode(errors="replace")] = number
    try:
        port = midi.Output(known[_chosen(name, list(known))])
    except ControlError:
        midi.quit()
        raise

    def close() -> None:
        port.close()
        midi.quit()

    return (lambda message: port.write_short(*message)), close


def _chosen(name: str, ports: Sequence[str]) -> str:
    for port in ports:
        if port == name or port.lower().startswith(name.lower()):
            return port
    listed = ", ".join(ports) if ports else "there is none on this machine"
    raise ControlError(f"no MIDI port {name!r}{did_you_mean(name, ports)}; ports: {listed}")
