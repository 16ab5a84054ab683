"""Small original pieces as scores, stand-ins for the composer that play them, and logs written by hand. No test is in here.

The composers are importable by name, so that worker processes can use them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from nesasset.compose.controls import Controls
from nesasset.register_log import RegisterLog
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score
from nesasset.themes import theme as find_theme
from nesasset.units import VOICES

LEAD = Instrument("pulse", (12, 12, 11, 10, 9, 8, 7, 6, 5), duty=2, name="lead")
SOFT = Instrument("pulse", (7, 6, 5, 4, 3), duty=1, name="soft")
BASS = Instrument("triangle", (15,), name="bass")
HAT = Instrument("noise", (8, 4, 1, 0), period=2, name="hat")
SNARE = Instrument("noise", (12, 9, 6, 3, 0), period=7, name="snare")
FADING = Instrument("pulse", (12, 10, 8, 6, 4, 2, 1, 0), duty=2, name="fading")
INSTRUMENTS = (LEAD, SOFT, BASS, HAT, SNARE, FADING)
_LEAD, _SOFT, _BASS, _HAT, _SNARE, _FADING = range(6)

_TUNE = (0, 4, 7, 12, 11, 7, 9, 5)
_ROOTS = (0, 5, 7, 0)


def _bar(number: int, tonic: int, variant: int) -> dict[str, list[Cell]]:
    """Return a bar of 16 rows: a melody in quarters and eighths, broken chords, a bass in quarters, drums."""
    root = tonic + _ROOTS[number % 4]
    voices: dict[str, list[Cell]] = {voice: [HOLD] * 16 for voice in VOICES}
    for step in range(8):
        degree = _TUNE[(step * (1 + variant % 3) + number + variant) % 8]
        if step % 2 == 0 or (step + variant) % 3 == 0:
            voices["P1"][2 * step] = Note(_LEAD, root + degree + 12)
        voices["P2"][2 * step] = Note(_SOFT, root + (0, 7, 4, 7)[step % 4])
    for beat in range(4):
        voices["TR"][4 * beat] = Note(_BASS, root - 12 + (0, 0, 7, 0)[beat])
        voices["TR"][4 * beat + 3] = REST
        voices["NO"][4 * beat] = Note(_SNARE if beat % 2 else _HAT)
        voices["NO"][4 * beat + 2] = Note(_HAT)
    return voices


def loop_score(seed: int = 0, bars: int = 4, intro_bars: int = 0, groove: tuple[int, ...] = (6,), theme: str = "town") -> Score:
    """Return a looping piece; every seed gives another one."""
    tonic = 55 + seed % 12
    parts = [_bar(number, tonic, seed % 97) for number in range(intro_bars + bars)]
    voices = {voice: tuple(cell for part in parts for cell in part[voice]) for voice in VOICES}
    provenance = {"generator": "pieces", "model": "pieces", "model_sha256": "0" * 64, "theme": theme, "seed": seed}
    loop = (16 * intro_bars, 16 * (intro_bars + bars))
    return Score(voices, INSTRUMENTS, groove, loop=loop, title="A round", theme=theme, provenance=provenance)


def jingle_score(seed: int = 0, theme: str = "victory") -> Score:
    """Return a short piece that ends in silence."""
    tonic = 60 + seed % 12
    melody: list[Cell] = [HOLD] * 32
    bass: list[Cell] = [HOLD] * 32
    for row, degree in ((0, 0), (2, 4), (4, 7), (8, 12), (14, 7), (16, 12)):
        melody[row] = Note(_FADING, tonic + degree)
    bass[0], bass[8], bass[16], bass[24] = Note(_BASS, tonic - 24), Note(_BASS, tonic - 17), Note(_BASS, tonic - 24), REST
    melody[28] = REST
    rest = (REST,) * 32
    voices = {"P1": tuple(melody), "P2": rest, "TR": tuple(bass), "NO": rest}
    return Score(voices, INSTRUMENTS, title="Well done", theme=theme, provenance={"theme": theme, "seed": seed})


def broken_loop_score(seed: int = 0) -> Score:
    """Return a loop whose bass holds over the seam another note than after the intro."""
    score = loop_score(seed, intro_bars=1)
    bass = list(score.voices["TR"])
    bass[15], bass[16], bass[-1] = Note(_BASS, 41), HOLD, Note(_BASS, 40)
    return Score({**score.voices, "TR": tuple(bass)}, INSTRUMENTS, loop=score.loop, theme=score.theme)


def compose(theme: str, seed: int, controls: Controls) -> Score:
    """Stand in for the composer: a piece that obeys bars and tempo."""
    wanted = find_theme(theme)
    if not wanted.loops:
        return jingle_score(seed, theme)
    frames = max(1, round(900 / (controls.tempo_bpm or 150)))
    return loop_score(seed, controls.bars or 4, groove=(frames,), theme=theme)


def compose_broken(theme: str, seed: int, controls: Controls) -> Score:
    """Stand in for a composer that never closes a loop."""
    return broken_loop_score(seed)


def compose_second_try(theme: str, seed: int, controls: Controls) -> Score:
    """Stand in for a composer that fails with small seeds: the first of a sequence, in the tests."""
    return broken_loop_score(seed) if seed < 100 else compose(theme, seed, controls)


def compose_slowly(theme: str, seed: int, controls: Controls) -> Score:
    """Stand in for a composer that takes its time from the second track on."""
    if seed:
        time.sleep(60)
    return compose(theme, seed, controls)


Write = tuple[int, int, int]


def make_log(writes: Sequence[Write], n_frames: int, loop: tuple[int, int] | None = None, **more) -> RegisterLog:
    """Return a log of (frame, address, value), with more of RegisterLog's fields by name."""
    frames, addresses, values = zip(*writes, strict=True) if writes else ((), (), ())
    return RegisterLog(
        np.array(frames, dtype=np.int64),
        np.array(addresses, dtype=np.uint16),
        np.array(values, dtype=np.uint8),
        n_frames,
        loop,
        **more,
    )
