"""For tests of games that use nesasset: music that makes no sound, has no thread, and is as quick as you are.

    from nesasset.testing import SilentMusic

    def test_the_boss_has_its_music():
        music = SilentMusic()
        game = Game(music)
        game.enter_boss_room()
        music.advance(seconds=3)
        assert music.position.theme == "boss"
        assert music.heard_events("begin")

Time passes in `advance` only. What would have been heard is in `samples`. By default a small round is played instead of composing,
at once and the same on every machine; `compose=True` composes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import NesassetError
from nesasset.play import Music, MusicEvent
from nesasset.play.composer import Composer, InlineComposer
from nesasset.play.outputs import Silence
from nesasset.play.worker import Answer
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score
from nesasset.themes import theme as find_theme
from nesasset.units import VOICES

__all__ = ["SilentMusic", "round_for"]

_LEAD = Instrument("pulse", (12, 12, 11, 10, 9, 8, 7, 6), duty=2, name="lead")
_SOFT = Instrument("pulse", (7, 6, 5, 4), duty=1, name="soft")
_BASS = Instrument("triangle", (15,) * 22 + (0,), name="bass")
_HAT = Instrument("noise", (8, 4, 1, 0), period=2, name="hat")


def round_for(theme: str, seed: int = 0, bars: int = 2) -> Score:
    """Return a small piece for a theme, in a tempo and key of its own: what `SilentMusic` plays instead of composing.

    Raises:
        UnknownThemeError: No theme has that name.
    """
    wanted = find_theme(theme)
    tonic = 60 + (sum(map(ord, theme)) + seed) % 12
    steps = (0, 4, 7, 12) if wanted.mode != "minor" else (0, 3, 7, 12)
    voices: dict[str, list[Cell]] = {voice: [HOLD] * (16 * bars) for voice in VOICES}
    for beat in range(4 * bars):
        at = 4 * beat
        voices["P1"][at] = Note(0, tonic + steps[(beat + seed) % 4])
        voices["P2"][at] = Note(1, tonic - 12 + steps[(beat + 1) % 3])
        voices["TR"][at] = Note(2, tonic - 24 + (0, 0, 7, 0)[beat % 4])
        voices["NO"][at] = Note(3)
    if not wanted.loops:
        for voice in VOICES:
            voices[voice][-2] = REST
    cells = {voice: tuple(part) for voice, part in voices.items()}
    groove = (max(1, round(900 / wanted.tempo_bpm)),)
    loop = (0, 16 * bars) if wanted.loops else None
    return Score(cells, (_LEAD, _SOFT, _BASS, _HAT), groove, loop=loop, title=theme, theme=theme, provenance={"theme": theme, "seed": seed})


class _Rounds:
    """A composer that plays rounds."""

    def __init__(self, answer: Callable[[Answer], None]) -> None:
        self._answer = answer

    def order(self, order: Mapping[str, Any]) -> None:
        """Answer at once."""
        if order.get("warm") or "before" in order:
            return
        try:
            score = round_for(order["theme"], order.get("seed", 0))
        except NesassetError as error:
            self._answer({"name": order["name"], "error": str(error)})
        else:
            self._answer({"name": order["name"], "score": score, "complete": True})

    def close(self) -> None:
        """Do nothing."""


class SilentMusic(Music):
    """A `Music` without sound card, thread and clock."""

    def __init__(
        self,
        sample_rate_hz: int = 44_100,
        compose: bool = False,
        strict: bool = True,
        record: bool = False,
        model: str | None = None,
        composer: Callable[[Callable[[Answer], None]], Composer] | None = None,
        keep: bool = True,
    ) -> None:
        """Begin in silence.

        Args:
            sample_rate_hz: Of `samples`.
            compose: Compose with the model, in `advance`'s caller's thread, instead of playing rounds.
            strict: Raise what is wrong in a call, as a test wants it.
            record: See `Music`.
            model: See `Music`.
            composer: Another composer.
            keep: Keep all samples and events; False for hours of play.
        """
        self._parts: list[NDArray[np.int16]] = []
        self._all: list[MusicEvent] = []
        self._keep = keep
        maker = composer or (InlineComposer if compose else _Rounds)
        output = Silence(lambda: False, sample_rate_hz)
        super().__init__(output, model=model, strict=strict, record=record, composer=maker, threaded=False)

    def advance(self, seconds: float = 0.0, frames: int = 0) -> NDArray[np.int16]:
        """Let time pass and return what would have been heard.

        Args:
            seconds: Rounded to whole frames of 1/60 s.
            frames: In addition.
        """
        made: list[NDArray[np.int16]] = []
        for _ in range(round(60 * seconds) + frames):
            made.append(self.step())
            events = self.update()
            if self._keep:
                self._parts.append(made[-1])
                self._all += events
        return np.concatenate(made) if made else np.zeros(0, dtype=np.int16)

    @property
    def samples(self) -> NDArray[np.int16]:
        """All that would have been heard so far, one channel."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, dtype=np.int16)

    def heard_events(self, kind: str | None = None) -> list[MusicEvent]:
        """Return what has happened so far, all of it or one kind."""
        return [event for event in self._all if kind in (None, event.kind)]
