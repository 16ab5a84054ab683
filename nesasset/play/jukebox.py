"""The keys of `nesasset play`: what each does to a `Music`, and the line that says how things stand. Knows no terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nesasset.errors import ControlError, NesassetError
from nesasset.formats import score_json
from nesasset.play.music import Music
from nesasset.themes import THEMES
from nesasset.units import VOICES

_TEMPO_STEP: Final = 1.05
_INTENSITY_STEP: Final = 0.1
_EFFECTS: Final = ("coin", "jump", "hit", "explosion", "laser", "power-up", "splash", "door")
LOOPING: Final = tuple(name for name, theme in THEMES.items() if theme.loops)


@dataclass(frozen=True, slots=True)
class Key:
    """One key and what it is for."""

    action: Callable[[Jukebox], None]
    sentence: str


class Jukebox:
    """What is playing and how, changed by keys."""

    def __init__(self, music: Music, theme: str = "", seed: int = 0, best: bool = False, folder: str | Path = ".") -> None:
        self.music = music
        self.theme = theme
        """Empty where a file plays."""
        self.seed = seed
        self.best = best
        self.folder = Path(folder)
        self.tempo = 1.0
        self.intensity: float | None = None
        self.semitones = 0
        self.muted: set[str] = set()
        self.paused = False
        self.said = ""
        """What the last key has to say."""
        self.running = True
        self._effects = 0

    def press(self, key: str) -> None:
        """Do what a key is for; a key that is for nothing does nothing."""
        found = KEYS.get(key)
        if found is not None:
            self.said = ""
            found.action(self)

    def line(self) -> str:
        """Return one line about what is heard now."""
        place, music = self.music.position, self.music
        name = f"{self.theme} {self.seed}" if self.theme else place.theme or "file"
        parts = [name, f"bar {place.bar + 1}.{place.beat + 1}", f"{place.tempo_bpm:.0f} bpm", place.key, place.chord]
        if self.intensity is not None:
            parts.append(f"intensity {self.intensity:.1f}")
        if self.muted:
            parts.append("without " + " ".join(voice for voice in VOICES if voice in self.muted))
        if self.paused:
            parts.append("paused")
        if music.statistics.underruns:
            parts.append(f"{music.statistics.underruns} underruns")
        return "  ".join(part for part in (*parts, self.said) if part)

    # What keys do.

    def _go(self, theme: str, seed: int, via: str) -> None:
        self.theme, self.seed = theme, seed
        self.music.to(theme, seed, at="bar", via=via, best=self.best)
        self.said = f"next: {theme} {seed}"

    def _another_seed(self, step: int) -> None:
        if not self.theme:
            self.said = "a file has no seed"
            return
        self._go(self.theme, max(0, self.seed + step), "cut")

    def _another_theme(self, step: int) -> None:
        at = LOOPING.index(self.theme) if self.theme in LOOPING else -1
        self._go(LOOPING[(at + step) % len(LOOPING)], self.seed, "bridge")

    def _change_tempo(self, factor: float) -> None:
        self.tempo = min(max(self.tempo * factor, 0.25), 4.0)
        self.music.tempo(self.tempo)

    def _change_intensity(self, step: float) -> None:
        before = 0.7 if self.intensity is None else self.intensity
        self.intensity = round(min(max(before + step, 0.0), 1.0), 2)
        self.music.intensity(self.intensity)

    def _as_written(self) -> None:
        self.tempo, self.intensity, self.semitones = 1.0, None, 0
        self.music.tempo(1.0)
        self.music.intensity(None)
        self.music.transpose(0)

    def _transpose(self, step: int) -> None:
        self.semitones = min(max(self.semitones + step, -24), 24)
        self.music.transpose(self.semitones)

    def _mute(self, voice: str) -> None:
        self.muted ^= {voice}
        self.music.mute(voice, voice in self.muted)

    def _pause(self) -> None:
        self.paused = not self.paused
        (self.music.pause if self.paused else self.music.resume)()

    def _effect(self) -> None:
        kind = _EFFECTS[self._effects % len(_EFFECTS)]
        self.music.effect(kind, self._effects, tuned=True)
        self._effects += 1
        self.said = kind

    def keep(self) -> Path | None:
        """Save the score that plays, under a name that is free, and return its path."""
        score = self.music.score()
        if score is None:
            self.said = "nothing plays that could be kept"
            return None
        stem = f"{self.theme}-{self.seed}" if self.theme else "kept"
        number, path = 1, self.folder / f"{stem}.json"
        while path.exists():
            number, path = number + 1, self.folder / f"{stem}-{number + 1}.json"
        try:
            score_json.save(score, path)
        except NesassetError as error:
            self.said = str(error)
            return None
        self.said = f"kept as {path}"
        return path

    def _keep(self) -> None:
        self.keep()

    def _quit(self) -> None:
        self.running = False


KEYS: Final[dict[str, Key]] = {
    "n": Key(lambda box: box._another_seed(1), "the next seed"),
    "p": Key(lambda box: box._another_seed(-1), "the seed before"),
    "t": Key(lambda box: box._another_theme(1), "the next theme"),
    "T": Key(lambda box: box._another_theme(-1), "the theme before"),
    "+": Key(lambda box: box._change_tempo(_TEMPO_STEP), "faster"),
    "-": Key(lambda box: box._change_tempo(1 / _TEMPO_STEP), "slower"),
    "]": Key(lambda box: box._change_intensity(_INTENSITY_STEP), "more intense"),
    "[": Key(lambda box: box._change_intensity(-_INTENSITY_STEP), "less intense"),
    ">": Key(lambda box: box._transpose(1), "higher"),
    "<": Key(lambda box: box._transpose(-1), "lower"),
    "0": Key(lambda box: box._as_written(), "as written"),
    "1": Key(lambda box: box._mute("P1"), "pulse 1 on or off"),
    "2": Key(lambda box: box._mute("P2"), "pulse 2 on or off"),
    "3": Key(lambda box: box._mute("TR"), "triangle on or off"),
    "4": Key(lambda box: box._mute("NO"), "noise on or off"),
    "s": Key(lambda box: box.music.stinger("victory", box.seed), "a stinger"),
    "e": Key(lambda box: box._effect(), "a sound effect"),
    "x": Key(lambda box: box.music.next_section(), "another section of this theme"),
    " ": Key(lambda box: box._pause(), "pause"),
    "k": Key(lambda box: box._keep(), "keep this one: save its score"),
    "q": Key(lambda box: box._quit(), "quit"),
}


def parse_script(text: str) -> list[tuple[float, str]]:
    """Return times in seconds and keys of a script such as "2:n 4:+ 4.5:+ 9:k".

    Raises:
        ControlError: It is no such script.
    """
    found: list[tuple[float, str]] = []
    for word in text.split():
        when, _, key = word.partition(":")
        try:
            found.append((float(when), {"space": " "}.get(key, key)))
        except ValueError as error:
            raise ControlError(f"a script is made of SECONDS:KEY, as in '2:n 4:+', not {word!r}") from error
        if found[-1][1] not in KEYS:
            raise ControlError(f"unknown key {key!r} in the script; keys: {' '.join(KEYS)}")
    return sorted(found)
