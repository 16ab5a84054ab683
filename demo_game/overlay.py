"""The debug overlay (F1): a piano roll in motion, the voices, bar and beat, the ring's fill, the time of a frame."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import pygame

from demo_game import font
from demo_game.drawing import SIZE

if TYPE_CHECKING:
    from nesasset.play import Music

_WIDTH: Final = 200
_TOP, _HEIGHT = 118, 84
_LOWEST, _HIGHEST = 33, 100
COLOURS: Final = {"P1": (255, 120, 120), "P2": (255, 200, 90), "TR": (110, 200, 255), "NO": (190, 190, 190)}
_VOICES: Final = ("P1", "P2", "TR", "NO")


class Overlay:
    """Remembers the last few seconds of the voices and of the game's frames."""

    def __init__(self) -> None:
        self.visible = False
        self._columns: deque[tuple[tuple[float | None, ...], tuple[int, ...], tuple[str, ...], bool]] = deque(maxlen=_WIDTH)
        self._frame_ms: deque[float] = deque(maxlen=_WIDTH)
        self._last_beat = (0, 0)

    def note(self, music: Music, frame_ms: float) -> None:
        """Take down what is heard in this frame of the game."""
        self._frame_ms.append(frame_ms)
        frame = music.frame
        if frame is None:
            self._columns.append(((None, None, None), (0, 0, 0, 0), (), False))
            return
        place = (frame.position.bar, frame.position.beat)
        on_bar, self._last_beat = place[0] != self._last_beat[0], place
        volumes = tuple(sound[0] for sound in frame.sounds)
        self._columns.append((frame.pitches, volumes, frame.held, on_bar))

    def draw(self, target: pygame.Surface, music: Music) -> None:
        """Draw it over a picture."""
        veil = pygame.Surface((SIZE[0], SIZE[1] - 30), pygame.SRCALPHA)
        veil.fill((8, 6, 20, 170))
        target.blit(veil, (0, 30))
        place, facts = music.position, music.statistics
        left = 8
        lines = (
            f"PLAYING  {place.playing or '-'}",
            f"BAR {place.bar + 1} BEAT {place.beat + 1}  LOOP {place.loops}  {place.tempo_bpm:.0f} BPM",
            f"KEY {place.key or '-'}  CHORD {place.chord or '-'}",
            f"RING {1000 * facts.fill_s:.0f} MS  LATENCY {1000 * facts.latency_s:.0f} MS  BREAKS {facts.underruns}",
            f"ENGINE {facts.frame_ms:.2f} MS A FRAME  GAME {self._frame_ms[-1] if self._frame_ms else 0:.1f} MS",
        )
        for number, text in enumerate(lines):
            font.write(target, text, (left, 36 + 8 * number), (230, 230, 245), shadow=False)
        self._draw_bars(target, left, 80, facts.fill_s)
        self._draw_roll(target, left)
        self._draw_voices(target, 222)
        self._draw_frames(target, 222, 176)

    def _draw_bars(self, target: pygame.Surface, x: int, y: int, fill_s: float) -> None:
        font.write(target, "RING", (x, y), (160, 160, 190), shadow=False)
        target.fill((50, 46, 80), (x + 24, y, 160, 5))
        target.fill((110, 220, 130) if fill_s > 0.03 else (240, 90, 80), (x + 24, y, round(160 * min(1.0, fill_s / 0.3)), 5))

    def _draw_roll(self, target: pygame.Surface, x: int) -> None:
        target.fill((18, 14, 36), (x, _TOP, _WIDTH, _HEIGHT))
        for octave in range(36, _HIGHEST, 12):
            target.fill((34, 30, 58), (x, _row(octave), _WIDTH, 1))
        for column, (pitches, volumes, held, on_bar) in enumerate(self._columns):
            at = x + _WIDTH - len(self._columns) + column
            if on_bar:
                target.fill((60, 56, 96), (at, _TOP, 1, _HEIGHT))
            for voice, pitch in zip(_VOICES, pitches, strict=False):
                if pitch is not None:
                    target.fill((255, 255, 255) if voice in held else COLOURS[voice], (at, _row(pitch), 1, 2))
            if volumes[3]:
                colour = (255, 255, 255) if "NO" in held else COLOURS["NO"]
                target.fill(colour, (at, _TOP + _HEIGHT - 1 - volumes[3] // 2, 1, 1 + volumes[3] // 2))

    def _draw_voices(self, target: pygame.Surface, x: int) -> None:
        volumes, held = ((0, 0, 0, 0), ()) if not self._columns else self._columns[-1][1:3]
        for number, voice in enumerate(_VOICES):
            y = _TOP + 12 * number
            font.write(target, voice, (x, y), COLOURS[voice], shadow=False)
            width = 7 * volumes[number] if voice != "TR" else 105 * bool(volumes[number])
            target.fill((40, 36, 66), (x + 14, y, 105, 5))
            target.fill((255, 255, 255) if voice in held else COLOURS[voice], (x + 14, y, width, 5))
            if voice in held:
                font.write(target, "EFFECT", (x + 122, y), (255, 255, 255), shadow=False)

    def _draw_frames(self, target: pygame.Surface, x: int, y: int) -> None:
        font.write(target, "FRAME TIME", (x, y - 8), (160, 160, 190), shadow=False)
        target.fill((18, 14, 36), (x, y, 150, 26))
        target.fill((120, 60, 60), (x, y + 26 - 17, 150, 1))
        for number, value in enumerate(list(self._frame_ms)[-150:]):
            height = min(26, round(value))
            target.fill((110, 220, 130) if value <= 17.5 else (240, 90, 80), (x + number, y + 26 - height, 1, height))


def _row(pitch: float) -> int:
    part = (min(max(pitch, _LOWEST), _HIGHEST) - _LOWEST) / (_HIGHEST - _LOWEST)
    return _TOP + _HEIGHT - 10 - round(part * (_HEIGHT - 12))
