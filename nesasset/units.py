"""Clocks, rates, voices and pitch: the numbers that every layer shares. Nothing here converts music.

Sources: NESdev wiki, pages "Cycle reference chart" (clocks), "APU" (pitch ranges); the choice of 60 frames a
second for files is a decision of the house (docs/decisions.md): every frame is then a whole number of samples.
"""

from __future__ import annotations

from fractions import Fraction

CPU_CLOCK_HZ = 1_789_773  # NTSC 2A03: 236.25 MHz / 132 = 1 789 772.73, written 1789773 in every file format
# By the regions of register logs: PAL 26.6017125 MHz / 16, Dendy 26.6017125 MHz / 15, in whole hertz as files have them.
CLOCKS_HZ = {"ntsc": CPU_CLOCK_HZ, "pal": 1_662_607, "dendy": 1_773_447}
FRAME_RATE_HZ = 60  # frames of our scores and files; the console's own 60.0988 Hz is a property of the data only

SYNTH_VERSION = 1  # counted up when the same register log sounds different; tests/test_driver_versions.py holds its sound

VOICES = ("P1", "P2", "TR", "NO")  # nesmdb's keys
VOICE_NAMES = {"P1": "pulse 1", "P2": "pulse 2", "TR": "triangle", "NO": "noise"}
VOICE_KINDS = {"P1": "pulse", "P2": "pulse", "TR": "triangle", "NO": "noise"}

# Lowest and highest MIDI note of each melodic voice, as NES-MDB and this project use them. The pulse timer's
# 11 bits end at A1 (MIDI 33, period 2033); the triangle sounds an octave lower for the same period.
PITCH_RANGES = {"P1": (33, 108), "P2": (33, 108), "TR": (21, 108)}

NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAX_VOLUME = 15
NOISE_PERIODS = 16


def samples_per_frame(sample_rate_hz: int) -> Fraction:
    """Return the exact number of samples of one frame: 735 at 44.1 kHz, 800 at 48 kHz."""
    return Fraction(sample_rate_hz, FRAME_RATE_HZ)


def pitch_to_hz(pitch: float) -> float:
    """Return the frequency of a MIDI pitch in equal temperament, A4 (69) = 440 Hz."""
    return 440.0 * float(2.0 ** ((pitch - 69) / 12))


def in_range(pitch: int, voice: str) -> int:
    """Return a pitch moved by octaves into its voice's range."""
    low, high = PITCH_RANGES[voice]
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def pitch_to_name(pitch: int) -> str:
    """Return a pitch the tracker's way: 60 is 'C-4', 61 is 'C#4'. Inverse of `name_to_pitch`."""
    return f"{NOTE_NAMES[pitch % 12]:-<2}{pitch // 12 - 1}"


def name_to_pitch(name: str) -> int:
    """Return the MIDI pitch of 'C-4' or 'C#4'. Inverse of `pitch_to_name`; raises ValueError otherwise."""
    letter, octave = name[:2].rstrip("-"), name[2:]
    return NOTE_NAMES.index(letter) + 12 * (int(octave) + 1)
