"""Music in a running game: what a game calls. Every method returns at once, and none of them raises in a game that is running.

    music = nesasset.play.Music()
    music.play("overworld", seed=7)
    music.to("boss", at="bar", via="bridge")

A thread of its own makes sound ahead of need and hands it to an output; a process of its own composes. What goes wrong is told
once through the log "nesasset.play", and the music goes on as it was; `strict=True` raises instead what is wrong in a call.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from nesasset import sfx
from nesasset.compose.controls import Controls, check_seed
from nesasset.errors import ControlError, NesassetError, did_you_mean
from nesasset.formats import score_json
from nesasset.play import outputs
from nesasset.play.bridge import bridge_name, is_bridge
from nesasset.play.commands import check
from nesasset.play.composer import Composer, best_composer
from nesasset.play.engine import Frame, Position
from nesasset.play.feeder import Feeder, MusicEvent
from nesasset.play.outputs import DEFAULT_MARGIN_S, Output, Pull, best_output
from nesasset.play.session import Session
from nesasset.play.worker import Answer
from nesasset.score import Score
from nesasset.sfx import Effect
from nesasset.themes import THEMES
from nesasset.themes import theme as find_theme
from nesasset.units import VOICES

Piece = str | os.PathLike[str] | Score
"""A theme's name, a score, or the path of a score file."""

EVENTS: Final = ("beat", "bar", "loop", "begin", "end", "stop", "fade", "stinger", "stinger end", "effect")
_MAX_SCORES: Final = 512
_made_effect = lru_cache(maxsize=128, typed=True)(sfx.make)  # a coin is taken again and again, and half a millisecond is much in a game's frame
_MAX_ORDERS: Final = 64


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the engine is doing."""

    fill_s: float
    """Sound that waits to be played."""
    underruns: int
    frames: int
    """Made so far."""
    frame_ms: float
    """Time that one frame takes, a running mean."""
    call_ms: float
    """Longest time that a call by the game has taken."""
    latency_s: float
    """From a command to its sound."""


# Closed at the program's end before pygame is: its audio thread must not call into an interpreter that is going down.
_open_ones: weakref.WeakSet[Music] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for music in list(_open_ones):
        music.close()


class Music:
    """Adaptive music and sound effects of one 2A03."""

    def __init__(
        self,
        output: str | Output = "auto",
        sample_rate_hz: int = outputs.DEFAULT_RATE_HZ,
        model: str | os.PathLike[str] | None = None,
        margin_s: float = DEFAULT_MARGIN_S,
        strict: bool = False,
        record: bool = False,
        composer: Callable[[Callable[[Answer], None]], Composer] = best_composer,
        threaded: bool = True,
    ) -> None:
        """Start, silently; the composer's model loads in the background.

        Args:
            output: "auto": pygame's mixer, at its rate; where there is none, silence in time, with events. "pull": any audio
                library, whose callback calls `pull`. Or an output of one's own.
            sample_rate_hz: For "pull", 8000 to 96000.
            model: Name or path of a model; None is the one that comes with nesasset.
            margin_s: How late the thread that makes the sound may be, 0.02 to 1. More is safer, and answers commands later. It
                grows by itself where that thread is held up; see `nesasset.play.margin`.
            strict: Raise what is wrong in a call, instead of telling the log.
            record: Keep every command in `record`, for `nesasset.play.replay`.
            composer: Makes what composes; see `nesasset.play.composer`.
            threaded: False leaves it to the caller to make frames, by `step`; `nesasset.testing` does.
        """
        self._strict = strict
        self._model = None if model is None else os.fspath(model)
        self._composer = composer(self._answered)  # first of all: a process takes its time to start
        margin_s = min(max(margin_s, 0.02), 1.0)
        chosen: Output
        if output == "auto":
            chosen = best_output(self._is_idle, margin_s)
        elif output == "pull":
            chosen = Pull(self._is_idle, sample_rate_hz, margin_s)
        elif isinstance(output, str):
            raise ControlError(f"output must be auto, pull or an object, not {output!r}")
        else:
            chosen = output
        self._session = Session(chosen.sample_rate_hz, record)
        self._feeder = Feeder(self._session, chosen, margin_s, self._made)
        self._orders: dict[str, dict[str, Any]] = {}
        """What was ordered of the composer, by the engine's name for it."""
        self._scores: dict[int, tuple[Score, str]] = {}
        self._evolving: dict[str, Any] | None = None
        self._wanted = ""
        """The engine's name of the piece that the game asked for last: while a bridge plays it is not the one that sounds."""
        self._bridge = ""
        """The engine's name of the bridge that was ordered last."""
        self._listeners: dict[str, list[Callable[[MusicEvent], None]]] = {}
        self._mutes: frozenset[str] = frozenset()
        self._solo: frozenset[str] = frozenset()
        self._call_s = 0.0
        self._closed = False
        self._composer.order({"name": "", "warm": True, "model": self._model})
        if threaded:
            self._feeder.start()
        _open_ones.add(self)

    # What is played.

    def play(
        self,
        piece: Piece,
        seed: int = 0,
        *,
        controls: Controls | Mapping[str, Any] | None = None,
        best: bool = False,
        evolve: bool = False,
        at: str = "now",
        via: str = "cut",
        beats: int = 4,
    ) -> None:
        """Play a piece, at once unless told otherwise.

        Args:
            piece: A theme, which is composed bar by bar while it plays; a score; or the path of a score file.
            seed: Of the composition.
            controls: Wishes beside the theme, as in `nesasset.compose`; a mapping will do.
            best: Compose as `nesasset compose` does, the same piece: better, and it begins a few seconds later. What plays
                goes on until then.
            evolve: Compose another section while one plays, and go on with it where that ends.
            at: Where to leave what plays: now, beat, bar, phrase (four bars) or end.
            via: How: cut; fade, over so many beats; bridge, a bar that leads over; equivalent, at the place where we are.
            beats: Of a fade, 1 to 64.
        """
        self._call(self._play, piece, seed, controls, best, evolve, at, via, beats)

    def to(
        self,
        piece: Piece,
        seed: int = 0,
        *,
        at: str = "bar",
        via: str = "cut",
        controls: Controls | Mapping[str, Any] | None = None,
        best: bool = False,
        evolve: bool = False,
        beats: int = 4,
    ) -> None:
        """Go over to a piece, at the next bar line unless told otherwise. See `play` for the arguments."""
        self._call(self._play, piece, seed, controls, best, evolve, at, via, beats)

    def prepare(
        self, piece: Piece, seed: int = 0, *, controls: Controls | Mapping[str, Any] | None = None, best: bool = False
    ) -> None:
        """Compose a piece without playing it yet, so that it is there when it is wanted."""
        self._call(self._name, piece, seed, controls, best)

    def next_section(self, seed: int | None = None, at: str = "end", via: str = "cut") -> None:
        """Compose another section of the theme that plays, and go on with it where this one ends; until it is there, this one repeats."""
        self._call(self._next_section, seed, at, via)

    def stinger(self, piece: Piece = "victory", seed: int = 0, at: str = "beat") -> None:
        """Play a jingle over the music, in its key and tempo; then the music returns where it would be."""
        self._call(self._stinger, piece, seed, at)

    def stop(self, at: str = "now", beats: int = 0) -> None:
        """Fall silent, fading over so many beats.

        Args:
            at: now, beat, bar, phrase or end.
            beats: 0 to 64.
        """
        self._call(self._stop, at, beats)

    def pause(self) -> None:
        """Stand still, to the sample."""
        self._call(self._do, {"do": "pause"})

    def resume(self) -> None:
        """Go on after `pause`."""
        self._call(self._do, {"do": "resume"})

    # How it is played.

    def intensity(self, level: float | None) -> None:
        """Say how much is going on, 0 to 1: voices join and leave; None plays what is written. Later sections are composed so."""
        self._call(self._do, {"do": "intensity", "level": level})

    def tempo(self, factor: float) -> None:
        """Play faster or slower, 0.25 to 4 times as fast as written. Pitches stay."""
        self._call(self._do, {"do": "tempo", "factor": factor})

    def transpose(self, semitones: int) -> None:
        """Play everything but the drums higher or lower, -24 to 24 semitones."""
        self._call(self._do, {"do": "transpose", "semitones": semitones})

    def mute(self, voice: str, muted: bool = True) -> None:
        """Silence a voice of the music, P1, P2, TR or NO, or let it be heard again; effects still use it."""
        self._call(self._mute, voice, muted, solo=False)

    def solo(self, voice: str, alone: bool = True) -> None:
        """Let only this voice be heard, and others that are also alone."""
        self._call(self._mute, voice, alone, solo=True)

    def low_pass(self, amount: float) -> None:
        """Muffle the sound, 0 not at all to 1 as under water."""
        self._call(self._do, {"do": "low_pass", "amount": amount})

    def volume(self, level: float, seconds: float = 0.05) -> None:
        """Set the loudness, 0 to 1, within some seconds."""
        self._call(self._do, {"do": "volume", "level": level, "seconds": seconds})

    def duck(self, level: float = 0.3, seconds: float | None = None, attack: float = 0.1, release: float = 0.3) -> None:
        """Be quieter for a while, while somebody speaks say.

        Args:
            level: Factor on the loudness, 0 to 1.
            seconds: For how long; None until `duck(1)`.
            attack: Seconds until it is so quiet.
            release: Seconds until it is back.
        """
        self._call(self._do, {"do": "duck", "level": level, "seconds": seconds, "attack": attack, "release": release})

    def effect(self, effect: str | Effect, seed: int = 0, tuned: bool = False) -> None:
        """Play a sound effect on the chip; it takes voices from the music, which counts on below.

        Args:
            effect: A class of `nesasset.sfx`, or an effect.
            seed: Of the class.
            tuned: Keep to the chord that the music has.
        """
        self._call(self._effect, effect, seed, tuned)

    # What happens.

    def on(self, kind: str, listener: Callable[[MusicEvent], None]) -> None:
        """Call a function from `update` when something is heard: one of EVENTS, or "all"."""
        if kind not in (*EVENTS, "all"):
            self._wrong(ControlError(f"unknown event {kind!r}{did_you_mean(str(kind), EVENTS)}"))
            return
        self._listeners.setdefault(kind, []).append(listener)

    def update(self) -> list[MusicEvent]:
        """Call the listeners for what has been heard since the last call, and return it. Once a frame of the game is good."""
        found = []
        while self._feeder.events:
            found.append(self._feeder.events.popleft())
        for event in found:
            for listener in (*self._listeners.get(event.kind, ()), *self._listeners.get("all", ())):
                listener(event)
        return found

    def post_events(self, wanted: bool = True) -> int:
        """Post events of the music to pygame's queue, too, and return their type; their `kind` and facts are attributes.

        Raises:
            RuntimeError: pygame is not there.
        """
        from nesasset.play.pygame_events import event_type, poster

        self._feeder.post = poster() if wanted else None
        return event_type()

    @property
    def output(self) -> Output:
        """Where the sound goes; see `nesasset.play.outputs`."""
        return self._feeder.output

    @property
    def position(self) -> Position:
        """Where the music is that is heard now."""
        frame = self._feeder.heard()
        return Position() if frame is None else frame.position

    @property
    def frame(self) -> Frame | None:
        """The frame that is heard now, with what each voice does; None before the first. For displays."""
        return self._feeder.heard()

    @property
    def is_playing(self) -> bool:
        """Whether something is heard, or on its way to be."""
        return not self._is_idle() or bool(self._session.commands)

    def score(self) -> Score | None:
        """Return the score that plays, as far as it is composed."""
        deck = self._session.engine.deck
        return None if deck is None else deck.score

    @property
    def statistics(self) -> Statistics:
        """How the engine is doing."""
        rate = self.output.sample_rate_hz
        ahead = self._session.engine.samples - self.output.heard()
        return Statistics(
            self.output.ring.fill / rate,
            self.output.underruns,
            self._session.engine.frame,
            1000 * self._feeder.frame_s,
            1000 * self._call_s,
            max(0.0, ahead / rate) if not self._is_idle() else 0.0,
        )

    @property
    def record(self) -> list[list[Any]]:
        """Every command so far with its frame, JSON values, if `record` was asked for."""
        return list(self._session.record or ())

    # Keeping it.

    def save(self) -> bytes:
        """Return the whole state of the music, for a saved game. It is that of the sound made last, a moment ahead of what is heard."""
        with self._feeder.lock:
            orders = {name: order for name, order in self._orders.items() if not order.get("done")}
            state = {
                "orders": orders,
                "wanted": [self._wanted, self._orders.get(self._wanted)],
                "evolving": self._evolving,
                "mutes": [sorted(self._mutes), sorted(self._solo)],
            }
            return self._session.save(state)

    def restore(self, data: bytes) -> None:
        """Go on from what `save` returned: the sound that follows is the same, byte for byte."""
        self._call(self._restore, data)

    def pull(self, count: int) -> NDArray[np.int16]:
        """Return the next samples of one channel; never waits. For output "pull": call it from an audio library's callback."""
        if not isinstance(self.output, Pull):
            return np.zeros(count, dtype=np.int16)
        return self.output.pull(count)

    def close(self) -> None:
        """Stop everything; the object is of no use then. Leaving a `with` block does it, too."""
        if self._closed:
            return
        self._closed = True
        _open_ones.discard(self)
        self._feeder.close()
        self._composer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Behind the calls.

    def _call(self, action: Callable[..., object], *arguments: Any, **named: Any) -> None:
        began = time.perf_counter()
        try:
            action(*arguments, **named)
        except NesassetError as error:
            self._wrong(error)
        except (TypeError, ValueError, OSError) as error:
            self._wrong(ControlError(f"the call cannot be understood ({error})"))
        self._feeder.wake()
        self._call_s = max(self._call_s, time.perf_counter() - began)

    def _wrong(self, error: NesassetError) -> None:
        if self._strict:
            raise error
        self._session.say_once(str(error))

    def _do(self, command: dict[str, Any]) -> None:
        self._session.commands.append(check(command))

    def _play(
        self, piece: Piece, seed: int, controls: Controls | Mapping[str, Any] | None, best: bool, evolve: bool, at: str, via: str, beats: int
    ) -> None:
        switch = check({"do": "switch", "at": at, "via": via, "beats": beats})
        name = self._wanted = self._name(piece, seed, controls, best)
        theme = self._orders.get(name, {}).get("theme", "")
        whole = bool(theme) and not THEMES[theme].loops
        self._evolving = {"name": name, "count": 0} if evolve and theme and not whole else None
        self._session.commands.append({**switch, "to": name, "whole": whole})

    def _name(self, piece: Piece, seed: int, controls: Controls | Mapping[str, Any] | None, best: bool) -> str:
        """Return the engine's name of a piece, which is ordered or handed over where it is not known yet."""
        if isinstance(piece, Score):
            return self._add(piece)
        text = os.fspath(piece)
        if text.lower().endswith(".json") or not isinstance(piece, str):
            return self._add(score_json.load(text))
        theme = find_theme(text)
        check_seed(seed)
        if not isinstance(controls, Controls):
            controls = Controls(**(controls or {}))
        wishes = controls.to_json()
        told = " ".join(f"{key}={value}" for key, value in sorted(wishes.items()))
        name = f"{theme.name} {seed}{' best' if best else ''}{' ' + told if told else ''}"
        known = self._orders.get(name)
        if known is None or known.get("failed") or (name not in self._session.engine.scores and known.get("done")):
            order = {"name": name, "theme": theme.name, "seed": seed, "controls": wishes, "best": best, "model": self._model}
            self._orders[name] = order
            while len(self._orders) > _MAX_ORDERS:  # the engine has long forgotten them, too
                del self._orders[next(iter(self._orders))]
            self._composer.order(order)
        return name

    def _add(self, score: Score) -> str:
        known = self._scores.get(id(score))
        if known is None or known[0] is not score:
            if len(self._scores) >= _MAX_SCORES:
                self._scores.clear()
            known = self._scores[id(score)] = (score, f"score {len(self._scores) + 1} {score.title}".strip())
        # Handed over each time: the engine forgets what it has not needed for long.
        self._session.commands.append({"do": "add", "name": known[1], "score": score})
        return known[1]

    def _next_section(self, seed: int | None, at: str, via: str) -> None:
        engine = self._session.engine
        order = self._orders.get(self._wanted)
        if order is None or "theme" not in order:
            raise ControlError("there is no next section: what plays was not composed for a theme here")
        if seed is None:
            seed = _next_seed(order["seed"])
        controls = dict(order["controls"])
        if engine.level is not None:
            controls["intensity"] = round(engine.level, 1)
        evolving = self._evolving is not None
        self._play(order["theme"], seed, controls, order["best"], evolving, at, via, 4)

    def _stinger(self, piece: Piece, seed: int, at: str) -> None:
        stinger = check({"do": "stinger", "at": at})
        self._session.commands.append({**stinger, "to": self._name(piece, seed, None, best=True)})

    def _stop(self, at: str, beats: int) -> None:
        self._evolving = None
        self._do({"do": "stop", "at": at, "beats": beats})

    def _mute(self, voice: str, on: bool, solo: bool) -> None:
        if voice not in VOICES:
            raise ControlError(f"voice must be one of {', '.join(VOICES)}, not {voice!r}")
        chosen = self._solo if solo else self._mutes
        chosen = chosen | {voice} if on else chosen - {voice}
        if solo:
            self._solo = chosen
        else:
            self._mutes = chosen
        silent = self._mutes | (frozenset(VOICES) - self._solo if self._solo else frozenset())
        self._session.commands.append({"do": "mute", "voices": sorted(silent)})

    def _effect(self, effect: str | Effect, seed: int, tuned: bool) -> None:
        if isinstance(effect, str):
            effect = _made_effect(effect, seed, self._session.engine.pitch_classes() if tuned else ())
        self._session.commands.append({"do": "effect", "effect": effect})

    def _restore(self, data: bytes) -> None:
        with self._feeder.lock:
            more = self._session.load(data)
            self._evolving = more.get("evolving")
            self._wanted, order = more.get("wanted", ("", None))
            if order is not None:
                self._orders[self._wanted] = order
            self._mutes, self._solo = (frozenset(voices) for voices in more.get("mutes", ((), ())))
            self._feeder.engine_changed()
            self._bridge = ""
            for name, order in more.get("orders", {}).items():
                self._orders[name] = order
                self._composer.order(order)

    def _answered(self, answer: Answer) -> None:
        """Take what the composer says; called in a thread of the composer's."""
        name = answer.get("name", "")
        if answer.get("warm"):
            return
        if "error" in answer:
            self._session.say_once(answer["error"])
            if not name or is_bridge(name):
                return
            self._orders.setdefault(name, {})["failed"] = True
            self._session.commands.append({"do": "drop", "name": name})
        elif answer["score"] is not None:
            self._session.commands.append({"do": "add", "name": name, "score": answer["score"], "complete": answer["complete"]})
            if answer["complete"] and name in self._orders:
                self._orders[name]["done"] = True
        self._feeder.wake()

    # Behind the sound.

    def _is_idle(self) -> bool:
        session = getattr(self, "_session", None)
        return session is None or session.engine.is_silent

    def _made(self, frame: Frame) -> None:
        """Order what a frame, which has been made and not yet been heard, lets foresee."""
        self._evolve(frame)
        self._order_bridge()

    def _order_bridge(self) -> None:
        """Order the bridge of the transition that waits, where the piece that it leads to is there and its place is known."""
        engine = self._session.engine
        deck, pending = engine.deck, engine.pending[0] if engine.pending else {}
        if deck is None or pending.get("via") != "bridge" or is_bridge(deck.name) or not engine.is_there(pending):
            return
        row = deck.next_left_row(pending["at"])
        if row is None:
            return
        name = bridge_name(pending["to"], deck.name, row)
        if name != self._bridge and name not in engine.scores:
            self._bridge = name
            bar = -(-row // deck.score.bar_rows)
            self._composer.order({"name": name, "before": deck.score, "after": engine.scores[pending["to"]], "bar": bar, "model": self._model})

    def _evolve(self, frame: Frame) -> None:
        """Order the section after the one that begins with a frame."""
        if self._evolving is None:
            return
        for kind, facts in frame.events:
            if kind == "begin" and facts["name"] == self._evolving["name"]:
                self._call(self._next_section, None, "end", "cut")

    def step(self) -> NDArray[np.int16]:
        """Make one frame here and now, and return it; for music that has no thread (`threaded=False`)."""
        return self._feeder.step().samples


def _next_seed(seed: int) -> int:
    """Return the seed of the section after one: far from those that people count up."""
    return (seed * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % (1 << 62)

