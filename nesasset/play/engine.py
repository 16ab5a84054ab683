"""The engine: commands in, a frame of sound out. All that is heard comes from here, and nothing here knows the time of day.

    commands → Engine.do → (at the next frame) decks, layers, effects → registers → 2A03 → gains → samples

It has no thread, no clock and no chance: the same commands at the same frames give the same bytes. A command is a dictionary
of JSON values, so that a game can be written down and played again; see `commands`. Everything that the engine knows can be
saved as JSON and taken up again, to the byte.
"""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.apu.state import CYCLES_PER_PERIOD
from nesasset.apu.stream import DEFAULT_VOICING, Player
from nesasset.chords import chord_id, chord_name, chord_quality, chord_root
from nesasset.errors import ControlError, NesassetError
from nesasset.formats import score_json
from nesasset.play.bridge import bridge, bridge_name, is_bridge
from nesasset.play.commands import check
from nesasset.play.deck import ONE, Deck
from nesasset.play.effects import Effects
from nesasset.play.harmony import chord_at, chord_pitch_classes, key_of
from nesasset.play.layers import Layers
from nesasset.play.master import Master
from nesasset.registers import SILENT, Registers, Sound
from nesasset.score import Note, Score
from nesasset.sfx.effect import Effect
from nesasset.units import CPU_CLOCK_HZ, FRAME_RATE_HZ, NOTE_NAMES, VOICE_KINDS, VOICES

SAVE_VERSION: Final = 1
QUIET_FRAMES: Final = 12
"""Frames of silence after the last sound until the chip's filters have come to rest."""
_PAUSE_FRAMES: Final = 1
_NEAR_FRAMES: Final = 3  # so near to its end a stinger gives way to a beat of the music

Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Position:
    """Where the music is: of one frame."""

    playing: str = ""
    """What plays, as the engine calls it; empty in silence."""
    theme: str = ""
    bar: int = 0
    """From 0, within the piece."""
    beat: int = 0
    """From 0, within the bar."""
    row: int = 0
    """From 0, within the piece."""
    progress: float = 0.0
    """How much of the row has gone, 0 to 1."""
    loops: int = 0
    """How often the piece has begun again."""
    tempo_bpm: float = 0.0
    key: str = ""
    chord: str = ""
    frame: int = 0
    """Frames that the engine has played, 60 a second."""
    sample: int = 0
    """First sample of the frame, counted from the engine's start."""
    pass_rows: int = 0
    """Rows of the piece, as far as it is composed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame is made of."""

    samples: NDArray[np.int16]
    events: tuple[Event, ...]
    """What happened at its first sample: beat, bar, loop, begin, end, stinger, effect and their facts."""
    position: Position
    sounds: tuple[Sound, ...]
    """What P1, P2, TR and NO do, for displays."""
    held: tuple[str, ...] = ()
    """Voices that effects hold."""

    @property
    def pitches(self) -> tuple[float | None, float | None, float | None]:
        """MIDI pitches of P1, P2 and TR, None where a voice is silent; a vibrato shows in their fractions."""
        kinds = zip(self.sounds, ("P1", "P2", "TR"), strict=False)
        heard = [_pitch(period, voice) if volume else None for (volume, _, period), voice in kinds]
        return heard[0], heard[1], heard[2]


def _pitch(period: int, voice: str) -> float:
    hz = CPU_CLOCK_HZ / (CYCLES_PER_PERIOD[VOICE_KINDS[voice]] * (period + 1))
    return 69 + 12 * math.log2(hz / 440)


class Engine:
    """Plays scores, one at a time, and does what it is told at the next frame."""

    def __init__(self, sample_rate_hz: int = 44_100, voicing: str = DEFAULT_VOICING) -> None:
        """Switch on.

        Args:
            sample_rate_hz: Output rate, 8000 to 96000.
            voicing: As in `nesasset.render`.

        Raises:
            AudioError: A setting is out of range.
        """
        self.player = Player(sample_rate_hz, voicing)
        self.master = Master(sample_rate_hz)
        self.registers = Registers()
        self.layers, self.effects = Layers(), Effects()
        self.scores: dict[str, Score] = {}
        self.unfinished: set[str] = set()
        self.deck: Deck | None = None
        self.stinger: Deck | None = None
        self.stinger_over = False
        self.pending: list[dict[str, Any]] = []
        """Transitions that wait for their places: one, or two if the first is to happen at once and could not yet."""
        self.pending_stinger: dict[str, Any] | None = None
        self.fading: dict[str, Any] | None = None
        self.after_bridge: str | None = None
        self.speed = ONE
        self.semitones = 0
        self.level: float | None = None
        self.muted: set[str] = set()
        self.paused = False
        self.frame = 0
        self.samples = 0
        self._restate = True
        self._quiet = QUIET_FRAMES
        self._events: list[Event] = []
        self._known: dict[str, tuple[tuple[Any, ...], Any]] = {}

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second."""
        return self.player.sample_rate_hz

    @property
    def is_silent(self) -> bool:
        """Whether nothing is heard any more, and nothing begins with the next frame."""
        if self.paused:
            return self.master.gains["pause"].now == 0.0
        if self.deck is not None or self.stinger is not None or self.effects.running or self._quiet < QUIET_FRAMES:
            return False
        waiting = [*self.pending[:1], *([self.pending_stinger] if self.pending_stinger else [])]
        return not any(self.is_there(entry) for entry in waiting)

    # Commands.

    def do(self, command: Mapping[str, Any]) -> None:
        """Obey a command; it holds from the next frame on.

        Raises:
            ControlError: There is no such command, or it says something that it may not say; nothing has changed then.
            NesassetError: The score or effect that comes with it is none.
        """
        told = check(command)
        # Interned: Python's cache of looked-up methods would keep every new text, and grow for hours.
        getattr(self, sys.intern(f"_do_{told['do']}"))(told)

    def _do_add(self, command: Mapping[str, Any]) -> None:
        name, score = command["name"], command["score"]
        if not isinstance(score, Score):
            score = score_json.loads(score)
        if not command.get("complete", True):
            self.unfinished.add(name)
        else:
            self.unfinished.discard(name)
        self.scores[name] = score
        if self.deck is not None and self.deck.name == name:
            self.deck.grow(score, name not in self.unfinished)
        self._forget()

    def _forget(self) -> None:
        """Let go of scores that nothing plays, waits for or leads to, but for the last few."""
        used = {deck.name for deck in (self.deck, self.stinger) if deck is not None}
        used |= {entry["to"] for entry in (*self.pending, self.pending_stinger, self.fading) if entry and entry.get("to")}
        used |= {self.after_bridge or ""} | self.unfinished
        for name in list(self.scores)[: max(0, len(self.scores) - MAX_SCORES)]:
            if name not in used:
                del self.scores[name]

    def _do_switch(self, command: Mapping[str, Any]) -> None:
        self._wait_for(dict(command))

    def _wait_for(self, transition: dict[str, Any]) -> None:
        """Let a transition take the place of the one that waits; one that is to happen at once, and could not yet, goes before."""
        first = [entry for entry in self.pending[:1] if entry["at"] == "now" and transition["at"] != "now"]
        self.pending = [*first, transition]

    def _do_stop(self, command: Mapping[str, Any]) -> None:
        self._wait_for({**command, "to": None, "via": "fade" if command["beats"] else "cut"})

    def _do_drop(self, command: Mapping[str, Any]) -> None:
        """A score that was waited for will not come."""
        name = command["name"]
        self.pending = [entry for entry in self.pending if entry["to"] != name]
        if self.pending_stinger is not None and self.pending_stinger.get("to") == name:
            self.pending_stinger = None
        if name in self.unfinished:
            self.unfinished.discard(name)  # what is there of it is all there will be
            if name in self.scores and self.deck is not None and self.deck.name == name:
                self.deck.complete = False

    def _do_tempo(self, command: Mapping[str, Any]) -> None:
        self.speed = round(command["factor"] * ONE)

    def _do_transpose(self, command: Mapping[str, Any]) -> None:
        self.semitones = command["semitones"]

    def _do_intensity(self, command: Mapping[str, Any]) -> None:
        self.level = command["level"]

    def _do_mute(self, command: Mapping[str, Any]) -> None:
        self.muted = set(command["voices"])

    def _do_low_pass(self, command: Mapping[str, Any]) -> None:
        self.master.low_pass_goal = float(command["amount"])

    def _do_volume(self, command: Mapping[str, Any]) -> None:
        self.master.gains["volume"].go(command["level"], round(command["seconds"] * FRAME_RATE_HZ))

    def _do_duck(self, command: Mapping[str, Any]) -> None:
        self.master.duck(command["level"], command["seconds"], command["attack"], command["release"])

    def _do_pause(self, command: Mapping[str, Any]) -> None:
        if not self.paused:
            self.paused = True
            self.master.gains["pause"].go(0.0, _PAUSE_FRAMES)

    def _do_resume(self, command: Mapping[str, Any]) -> None:
        if self.paused:
            self.paused = False
            self.master.gains["pause"].go(1.0, _PAUSE_FRAMES)

    def _do_stinger(self, command: Mapping[str, Any]) -> None:
        self.pending_stinger = dict(command)

    def _do_effect(self, command: Mapping[str, Any]) -> None:
        effect = command["effect"]
        effect = effect if isinstance(effect, Effect) else Effect.from_json(effect)
        taken = self.effects.start(effect)
        self._events.append(("effect", {"name": effect.name, "voices": taken}))

    # A frame.

    def step(self) -> Frame:
        """Play the next frame."""
        gain = self.master.gains["pause"]
        if self.paused and gain.now == 0.0 and not gain.frames:
            n_samples = self._n_samples()
            position = self.position()
            events = self._take_events()
            self._count(n_samples)
            return Frame(np.zeros(n_samples, dtype=np.int16), events, position, SILENT)
        self._transitions()
        state_all = self._restate or (self.deck is not None and self.stinger is None and self.deck.states_all)
        self._restate = False
        position = self.position()
        sounds = self._sounds()
        self._quiet = self._quiet + 1 if self.deck is None and self.stinger is None and not self.effects.running else 0
        held = tuple(self.effects.running)
        sounds = self.effects.step(sounds)
        samples = self.master.process(self.player.play(self.registers.write(sounds, state_all)))
        self._count(len(samples))
        return Frame(samples, self._take_events(), position, tuple(sounds), held)

    def _count(self, n_samples: int) -> None:
        self.frame += 1
        self.samples += n_samples

    def _n_samples(self) -> int:
        """Return the samples of a frame in which the chip stands still: as many as keep the rate."""
        rate = self.sample_rate_hz
        return (self.frame + 1) * rate // FRAME_RATE_HZ - self.frame * rate // FRAME_RATE_HZ

    def _take_events(self) -> tuple[Event, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _sounds(self) -> list[Sound]:
        sounds: list[Sound] = list(SILENT)
        if self.deck is not None:
            rows = self.deck.due_rows
            sounds = self.layers.step(self.deck.step(self.speed, self.semitones), self.level, self.deck, rows)
            sounds = [(0, *sound[1:]) if voice in self.muted else sound for voice, sound in zip(VOICES, sounds, strict=True)]
        if self.stinger is not None:
            played = self.stinger.step(self.speed if self.deck is not None else ONE, self.semitones)
            drums = any(isinstance(cell, Note) for cell in self.stinger.score.voices["NO"])
            if drums or self.deck is None:
                sounds = played
            else:
                sounds = [*played[:3], sounds[3]]
        return sounds

    # Transitions.

    def _transitions(self) -> None:
        deck = self.deck
        if self.stinger is not None:
            self._end_stinger()
        if self.fading is not None:
            self.fading["left"] -= 1
            if self.fading["left"] <= 0:
                target, self.fading = self.fading["to"], None
                self.master.gains["fade"].go(1.0, 1)
                self.master.gains["fade"].now = 1.0
                self._begin(target)
        elif deck is not None and deck.ended:
            self._after_end(deck)
        if self.pending and self.fading is None and self._is_ready(self.pending[0]):
            self._go(self.pending.pop(0))
        if self.pending_stinger is not None:
            self._begin_stinger(self.pending_stinger)
        if self.deck is not None and not self.deck.ended:
            self._tell_time(self.deck)

    def _tell_time(self, deck: Deck) -> None:
        if deck.passed_end:
            self._events.append(("loop", {"name": deck.name, "loops": deck.loops}))
        for row in deck.due_rows:
            bar, rest = divmod(row, deck.score.bar_rows)
            if rest == 0:
                self._events.append(("bar", {"bar": bar}))
            if row % deck.score.beat_rows == 0:
                self._events.append(("beat", {"bar": bar, "beat": rest // deck.score.beat_rows}))

    def _after_end(self, deck: Deck) -> None:
        if self.after_bridge is not None:
            target, self.after_bridge = self.after_bridge, None
            self._begin(target)
        elif not self.pending and not any(any(voice.due) for voice in deck.voices.values()):
            self._events.append(("end", {"name": deck.name}))
            self._begin(None)

    def _is_ready(self, pending: Mapping[str, Any]) -> bool:
        """Whether a transition's place has come, and the piece that it leads to is there."""
        if not self.is_there(pending):
            return False
        return self.deck is None or (self.after_bridge is None and self.deck.begins(pending["at"]))

    def is_there(self, pending: Mapping[str, Any]) -> bool:
        """Whether the piece is there that a transition or stinger leads to, as a whole where half of it is no use."""
        name = pending["to"]
        whole = pending.get("whole") or pending["do"] == "stinger"
        return name is None or (name in self.scores and not (whole and name in self.unfinished))

    def _go(self, pending: dict[str, Any]) -> None:
        target, via, deck = pending["to"], pending["via"], self.deck
        if deck is None or via == "cut" or (deck.ended and via != "bridge"):
            self._begin(target)
        elif via == "fade":
            frames = deck.frames_of_beats(pending["beats"], self.speed)
            self.fading = {"to": target, "left": frames}
            self.master.gains["fade"].go(0.0, frames)
            self._events.append(("fade", {"name": target or "", "frames": frames}))
        elif via == "bridge":
            self.after_bridge = target
            self._begin(self._bridge_to(target, deck))
        else:
            self._begin_equivalent(target, deck)

    def _bridge_to(self, target: str, deck: Deck) -> str:
        """Return the name of the bridge to a piece: the model's, if one for this very place is there, else one by rule."""
        name = bridge_name(target, deck.name, deck.left_row)
        made = self.scores.get(name)
        if made is None:
            name, made = bridge_name(target), bridge(deck.score, self.scores[target], deck.row)
        self.scores = {known: score for known, score in self.scores.items() if not is_bridge(known) or known == deck.name}
        self.scores[name] = made
        return name

    def _begin(self, target: str | None) -> None:
        if target is None:
            if self.deck is not None:
                self._events.append(("stop", {"name": self.deck.name}))
            self.deck = None
            return
        self.deck = Deck(target, self.scores[target], target not in self.unfinished)
        self._restate = True
        self._events.append(("begin", {"name": target, "theme": self.deck.score.theme}))

    def _begin_equivalent(self, target: str, old: Deck) -> None:
        """Go on in another piece at the place where this one is."""
        new = Deck(target, self.scores[target], target not in self.unfinished)
        loop, other = old.loop, new.loop
        row = old.row
        if old.score.bar_rows != new.score.bar_rows:  # no common grid: the bar of the same number
            row = row // old.score.bar_rows * new.score.bar_rows
        first = 0 if loop is None else loop[0]
        if other is not None and row >= first:
            row = other[0] + (row - first) % (other[1] - other[0])
        row = min(row, new.score.n_rows - 1)
        progress = old.progress * new.row_length(row) // old.row_length(old.row)
        new.seek(row, 0 if old.due_rows else progress)
        new.progress = progress
        if not old.due_rows:
            new.due_rows = []
        new.passed_end, new.loops = False, old.loops
        self.deck = new
        self._events.append(("begin", {"name": target, "theme": new.score.theme, "row": row}))

    def _begin_stinger(self, wanted: dict[str, Any]) -> None:
        name = wanted["to"]
        if not self.is_there(wanted):
            return
        deck = self.deck
        if deck is not None and not deck.begins(wanted["at"]):
            return
        self.pending_stinger = None
        score = self.scores[name]
        stinger = Deck(name, score)
        if deck is not None:
            own, other = (60 / entry.tempo_bpm for entry in (score, deck.score))
            ratio = own / other
            while ratio > 1.5:
                ratio /= 2
            while ratio < 0.75:
                ratio *= 2
            stinger.own_speed = round(ratio * ONE)
            way = (key_of(deck.score)[0] - key_of(score)[0]) % 12
            stinger.semitones = way - 12 if way > 6 else way
        self.stinger, self.stinger_over, self._restate = stinger, False, True
        self._events.append(("stinger", {"name": name, "semitones": stinger.semitones}))

    def _end_stinger(self) -> None:
        """Let the music return with the beat at which the stinger ends, or the next one."""
        stinger = self.stinger
        assert stinger is not None
        left = (stinger.score.n_rows - 1 - stinger.row) * ONE + stinger.row_length(stinger.row) - stinger.progress
        near = stinger.row >= stinger.score.n_rows - 1 and left <= _NEAR_FRAMES * max(self.speed * stinger.own_speed // ONE, 1)
        if stinger.score.loop is not None and stinger.loops:
            stinger.ended = True
        if (stinger.ended or near) and (self.deck is None or self.deck.begins("beat")):
            self._events.append(("stinger end", {"name": stinger.name}))
            self.stinger, self._restate = None, True

    # What is going on.

    def position(self) -> Position:
        """Return where the music is in the frame to come."""
        deck = self.deck
        if deck is None:
            return Position(frame=self.frame, sample=self.samples)
        score = deck.score
        row = max(0, min(deck.row, score.n_rows - 1))
        bar, rest = divmod(row, score.bar_rows)
        return Position(
            deck.name,
            score.theme,
            bar,
            rest // score.beat_rows,
            row,
            min(1.0, deck.progress / deck.row_length(row)),
            deck.loops,
            score.tempo_bpm * self.speed / ONE,
            self._key(score),
            chord_name(self._chord(score, row)),
            self.frame,
            self.samples,
            score.n_rows,
        )

    def _key(self, score: Score) -> str:
        tonic, mode = self._once("key", (score,), lambda: key_of(score))
        return f"{NOTE_NAMES[(tonic + self.semitones) % 12]} {mode}"

    def _chord(self, score: Score, row: int) -> int:
        half = row // max(1, score.bar_rows // 2)
        chord: int = self._once("chord", (score, half), lambda: chord_at(score, row))
        return chord_id(chord_root(chord) + self.semitones, chord_quality(chord))

    def _once(self, what: str, of: tuple[Any, ...], find: Callable[[], Any]) -> Any:
        """Return what was found for the same things the last time, else find it: the score is compared by its identity."""
        known = self._known.get(what)
        if known is None or known[0][0] is not of[0] or known[0][1:] != of[1:]:
            known = self._known[what] = (of, find())
        return known[1]

    def pitch_classes(self) -> tuple[int, ...]:
        """Return the tones of the chord that the music has now, 0 for C; empty in silence."""
        if self.deck is None:
            return ()
        row = max(0, min(self.deck.row, self.deck.score.n_rows - 1))
        return chord_pitch_classes(self._chord(self.deck.score, row))

    # The state.

    def to_json(self) -> dict[str, Any]:
        """Return the whole state as JSON values. Inverse of `from_json`."""
        return {
            "version": SAVE_VERSION,
            "player": base64.b64encode(self.player.to_bytes()).decode(),
            "master": self.master.to_json(),
            "registers": self.registers.values,
            "hat": self.layers.hat,
            "effects": self.effects.to_json(),
            "scores": [[name, score_json.dumps(score)] for name, score in self.scores.items()],
            "unfinished": sorted(self.unfinished),
            "deck": None if self.deck is None else self.deck.to_json(),
            "stinger": None if self.stinger is None else self.stinger.to_json(),
            "pending": self.pending,
            "pending_stinger": self.pending_stinger,
            "fading": self.fading,
            "after_bridge": self.after_bridge,
            "speed": self.speed,
            "semitones": self.semitones,
            "level": self.level,
            "muted": sorted(self.muted),
            "paused": self.paused,
            "frame": self.frame,
            "samples": self.samples,
            "restate": self._restate,
            "quiet": self._quiet,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Engine:
        """Return the engine that `to_json` described.

        Raises:
            ControlError: These values describe no engine of this version.
        """
        try:
            if data["version"] != SAVE_VERSION:
                raise ControlError(f"this state was saved by version {data['version']!r}, not {SAVE_VERSION}: begin anew")
            player = Player.from_bytes(base64.b64decode(data["player"], validate=True))
            engine = Engine(player.sample_rate_hz, player.voicing)
            engine.player = player
            engine.master.load_json(data["master"])
            engine.registers.values = None if data["registers"] is None else [int(value) for value in data["registers"]]
            engine.layers.hat = data["hat"]
            engine.effects.load_json(data["effects"])
            engine.scores = {name: score_json.loads(text) for name, text in data["scores"]}
            engine.unfinished = set(data["unfinished"])
            for name in ("deck", "stinger"):
                if data[name] is not None:
                    setattr(engine, name, Deck.from_json(data[name], engine.scores[data[name]["name"]]))
            for name in ("pending", "pending_stinger", "fading", "after_bridge", "speed", "semitones", "level", "paused", "frame", "samples"):
                setattr(engine, name, data[name])
            engine.muted, engine._restate, engine._quiet = set(data["muted"]), data["restate"], data["quiet"]
        except ControlError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, NesassetError) as error:
            raise ControlError(f"these values are no saved music ({error!r}): begin anew") from error
        return engine


MAX_SCORES: Final = 12
"""How many scores are kept that nothing needs at the moment."""
