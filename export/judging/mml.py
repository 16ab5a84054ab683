"""Reads the music macro language that pyxel's gen_bgm writes, as rows. That dialect only; sounds are not looked at.

One text a channel. Known are T L Q V O, notes A to G with # and dots, R, < and >, ties such as G2&8 and G& G, repeats such as
[AB]3, and the choice of tones, @0 @ENV1{...} @VIB0. A sixteenth is a row. Q shortens notes by less than a row and is
passed over: a note holds until the next one or a rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import FormatError
from nesasset.vocabulary import HIGHEST_PITCH, HOLD_ID, LOWEST_PITCH, ONSET_ID, REST_ID, pitch_to_id

ROWS_A_WHOLE: Final = 16
MAX_EVENTS: Final = 10_000
SEMITONES: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
# Ignored: tempo, gate, volume, and what chooses a sound.
_TOKEN: Final = re.compile(
    r"\s+|(?P<sound>[TQV]\d+|@(?:ENV|VIB)\d+(?:\{[^}]*\})?|@\d+)|L(?P<length>\d+)|O(?P<octave>\d+)|(?P<shift>[<>])"
    r"|(?P<note>[A-GR])(?P<sharp>#?)(?P<value>\d*)(?P<dots>\.*)|&(?P<tie>\d+)(?P<tie_dots>\.*)|(?P<slur>&)|(?P<open>\[)|\](?P<times>\d+)"
)


def unroll(text: str) -> list[re.Match[str]]:
    """Return a channel's tokens with every repeat written out.

    Raises:
        FormatError: The text is not of this dialect, or its repeats make more than 10 000 tokens.
    """
    stack: list[list[re.Match[str]]] = [[]]
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise FormatError(f"MML column {at + 1}: {text[at : at + 12]!r} is not of the dialect of pyxel's gen_bgm")
        at = token.end()
        if token["open"]:
            stack.append([])
        elif token["times"]:
            if len(stack) < 2:
                raise FormatError(f"MML column {at}: a repeat ends that has not begun; every ] needs its [")
            part = stack.pop()
            if len(part) * int(token["times"]) > MAX_EVENTS:
                raise FormatError(f"MML column {at}: {token['times']} repeats make more than {MAX_EVENTS} tokens")
            stack[-1] += part * int(token["times"])
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise FormatError("MML: a repeat begins that does not end; every [ needs its ]")
    return stack[0]


def _rows(value: str, dots: str, default: float) -> float:
    if value and not int(value):
        raise FormatError("MML: a note's length must be 1 or more, not 0")
    rows = ROWS_A_WHOLE / int(value) if value else default
    return rows * (2 - 0.5 ** len(dots))


def channel_events(text: str) -> list[tuple[int, int | None]]:
    """Return the events of a channel and its end: (row, MIDI pitch or None for a rest); the last one marks the end.

    An event between two rows goes to the earlier one. A note tied to one of its own pitch is no event. O4 A is 440 Hz.
    """
    events: list[tuple[int, int | None]] = []
    octave, default, time = 4, float(ROWS_A_WHOLE) / 4, 0.0
    tied = False
    for token in unroll(text):
        if token["length"]:
            default = _rows(token["length"], "", default)
        elif token["octave"]:
            octave = int(token["octave"])
        elif token["shift"]:
            octave += 1 if token["shift"] == ">" else -1
        elif token["tie"]:
            time += _rows(token["tie"], token["tie_dots"], default)
        elif token["slur"]:
            tied = True
        elif token["note"]:
            pitch = None
            if token["note"] != "R":
                pitch = 12 * (octave + 1) + SEMITONES[token["note"]] + len(token["sharp"])
            if not (tied and pitch is not None and events and events[-1][1] == pitch):
                events.append((int(time), pitch))
            tied = False
            time += _rows(token["value"], token["dots"], default)
    return [*events, (round(time), None)]


def mml_to_cells(melody: str, second: str, bass: str, drums: str, n_rows: int) -> NDArray[np.int64]:
    """Return the cells of four channels, shape (n_rows, 4), columns P1, P2, TR, NO; what lasts longer is cut off."""
    cells = np.full((n_rows, 4), HOLD_ID, dtype=np.int64)
    for column, text in enumerate((melody, second, bass, drums)):
        sounds = False
        for row, pitch in channel_events(text):
            if row >= n_rows:
                break
            if pitch is None:
                if sounds:
                    cells[row, column] = REST_ID
                sounds = False
            else:
                clipped = min(max(pitch, LOWEST_PITCH), HIGHEST_PITCH)
                cells[row, column] = ONSET_ID if column == 3 else pitch_to_id(clipped)
                sounds = True
    return cells


def length_in_rows(texts: Sequence[str]) -> int:
    """Return the rows of the longest channel."""
    return max((channel_events(text)[-1][0] for text in texts), default=0)
