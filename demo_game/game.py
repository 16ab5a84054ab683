"""The game: its screens and what leads from one to the next. A frame is `step`, then `draw`; it owns no clock and no window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pygame

from demo_game import drawing, font
from demo_game.drawing import SIZE
from demo_game.inputs import Line, Pressed
from demo_game.levels import LEVELS, NAMES
from demo_game.overlay import Overlay
from demo_game.sound import Sound
from demo_game.world import MAX_HEALTH, Controls, World

if TYPE_CHECKING:
    from demo_game.bot import Bot
    from nesasset.play import Music

WON_FRAMES: Final = 60 * 5
LOST_FRAMES: Final = 60 * 3
TALK_FRAMES: Final = 60 * 3
_WORDS: Final = {
    "meadow": "FIND THE LANTERN AT THE END OF THE MEADOW.",
    "cave": "IT IS DARK. SOMETHING FLUTTERS.",
    "lake": "HOLD YOUR BREATH: JUMP TO SWIM.",
    "castle": "DO NOT TOUCH WHAT GLOWS.",
    "boss": "THE KEEPER HAS THE LAST LIGHT. JUMP ON ITS HEAD.",
}
_MAP_PLACES: Final = ((60, 150), (124, 112), (196, 146), (262, 106), (326, 136))


@dataclass(slots=True)
class Options:
    """What the player may set."""

    volume: int = 10
    """Tenths."""
    effects: bool = True
    bars: bool = True
    """Whether the picture moves with the beat."""


class Game:
    """All of the game but window, clock and loudspeaker."""

    def __init__(self, music: Music, bot: Bot | None = None) -> None:
        self.music = music
        self.sound = Sound(music)
        self.options = Options()
        self.overlay = Overlay()
        self.screen = "title"
        """title, map, options, level or ending."""
        self.paused = False
        self.world: World | None = None
        self.bot = bot
        self.frame = 0
        self.choice = 0
        self.unlocked = 1
        self.place = 0
        self.coins = 0
        self.waiting = 0
        """Frames until a level that is won or lost is left."""
        self.talking = 0
        self.running = True
        self._beat = 0.0
        self._last_beat = (-1, -1)
        self._return_to = "title"

    # A frame.

    def step(self, pressed: Pressed, lines: list[Line] = []) -> None:  # noqa: B006  # never changed
        """Let a frame pass.

        Args:
            pressed: Actions.
            lines: What a script says beside keys.
        """
        self.frame += 1
        for line in lines:
            self._obey(line)
        if pressed.quit:
            self.running = False
        if "overlay" in pressed.new:
            self.overlay.visible = not self.overlay.visible
        getattr(self, f"_step_{self.screen}")(pressed)
        self._follow_beat()
        self.sound.update(self.screen if self.screen != "map" else "title", self.world, self.paused, self.talking > 0)
        self.music.update()

    def _follow_beat(self) -> None:
        place = self.music.position
        now = (place.bar, place.beat)
        self._beat = 1.0 if now != self._last_beat and place.playing else max(0.0, self._beat - 0.06)
        self._last_beat = now

    @property
    def beat(self) -> float:
        """1 on a beat of the music, falling to 0."""
        return self._beat if self.options.bars else 0.0

    def _obey(self, line: Line) -> None:
        if line.word == "level" and line.value in NAMES:
            self.enter(NAMES.index(line.value))
        elif line.word == "screen" and line.value in ("title", "map", "options", "ending"):
            self.screen, self.world, self.paused = line.value, None, False
        elif line.word == "health" and self.world is not None and line.value.isdigit():
            self.world.health = max(1, min(MAX_HEALTH, int(line.value)))
        elif line.word == "bot":
            from demo_game.bot import Bot

            self.bot = Bot() if line.value == "on" else None

    # Screens.

    def enter(self, number: int) -> None:
        """Begin a level."""
        self.place, self.screen, self.paused = number, "level", False
        self.world = World(LEVELS[number])
        self.waiting, self.talking = 0, TALK_FRAMES
        if number + 1 < len(LEVELS):
            self.sound.ahead(NAMES[number + 1])

    def _step_title(self, pressed: Pressed) -> None:
        self._choose(pressed, 3)
        if self.frame == 2:
            self.sound.ahead(NAMES[0])
        if pressed.new & {"jump", "start"}:
            self.sound.happened(["select"])
            if self.choice == 0:
                self.screen = "map"
            elif self.choice == 1:
                self._return_to, self.screen, self.choice = "title", "options", 0
            else:
                self.running = False

    def _choose(self, pressed: Pressed, count: int) -> None:
        step = ("down" in pressed.new) - ("up" in pressed.new)
        if step:
            self.choice = (self.choice + step) % count
            self.sound.happened(["blip"])

    def _step_map(self, pressed: Pressed) -> None:
        step = ("right" in pressed.new) - ("left" in pressed.new)
        if step:
            self.place = min(max(self.place + step, 0), self.unlocked - 1)
            self.sound.happened(["blip"])
        if pressed.new & {"jump", "start"}:
            self.sound.happened(["select"])
            self.enter(self.place)
        elif "back" in pressed.new:
            self.sound.happened(["cancel"])
            self.screen, self.choice = "title", 0

    def _step_options(self, pressed: Pressed) -> None:
        self._choose(pressed, 4)
        step = ("right" in pressed.new) - ("left" in pressed.new)
        if self.choice == 0 and step:
            self.options.volume = min(max(self.options.volume + step, 0), 10)
            self.sound.volume = self.options.volume / 10
            self.sound.happened(["blip"])
        elif self.choice == 1 and (step or "jump" in pressed.new):
            self.options.effects = self.sound.effects = not self.options.effects
        elif self.choice == 2 and (step or "jump" in pressed.new):
            self.options.bars = not self.options.bars
        if "back" in pressed.new or (self.choice == 3 and pressed.new & {"jump", "start"}):
            self.sound.happened(["cancel"])
            self.screen, self.choice = self._return_to, 0

    def _step_level(self, pressed: Pressed) -> None:
        world = self.world
        assert world is not None
        if "start" in pressed.new and not (world.won or world.dead):
            self.paused = not self.paused
            self.sound.happened(["select" if self.paused else "cancel"])
            self.choice = 0
        if self.paused:
            self._step_pause(pressed)
            return
        self.talking = max(0, self.talking - 1)
        controls = Controls("left" in pressed.held, "right" in pressed.held, "jump" in pressed.held, "jump" in pressed.new)
        if self.bot is not None:
            controls = self.bot.controls(world)
        world.step(controls)
        self.sound.happened(world.happened, self.frame // 600)
        if (world.won or world.dead) and not self.waiting:
            self.waiting = WON_FRAMES if world.won else LOST_FRAMES
        elif self.waiting:
            self.waiting -= 1
            if self.waiting == 1:
                self._leave(world)

    def _step_pause(self, pressed: Pressed) -> None:
        self._choose(pressed, 3)
        if "jump" in pressed.new or "back" in pressed.new:
            if self.choice == 1:
                self._return_to, self.screen = "level", "options"
            elif self.choice == 2:
                self.screen, self.world = "map", None
            self.paused = self.choice == 1
            self.choice = 0
            self.sound.happened(["cancel"])

    def _leave(self, world: World) -> None:
        if world.dead:
            self.enter(self.place)
            return
        self.coins += world.coins
        self.unlocked = max(self.unlocked, min(self.place + 2, len(LEVELS)))
        if self.place + 1 == len(LEVELS):
            self.screen, self.world = "ending", None
        elif self.bot is not None:
            self.enter(self.place + 1)
        else:
            self.place += 1
            self.screen, self.world = "map", None

    def _step_ending(self, pressed: Pressed) -> None:
        if pressed.new & {"jump", "start", "back"}:
            self.screen, self.choice = "title", 0

    # Pictures.

    def draw(self, target: pygame.Surface) -> None:
        """Draw what is to be seen."""
        getattr(self, f"_draw_{self.screen}")(target)
        if self.overlay.visible:
            self.overlay.draw(target, self.music)

    def _draw_menu(self, target: pygame.Surface, words: list[str], top: int) -> None:
        for number, word in enumerate(words):
            chosen = number == self.choice
            text = f"> {word} <" if chosen else word
            font.write(target, text, (SIZE[0] // 2, top + 14 * number), (255, 236, 150) if chosen else (200, 200, 220), 1, centred=True)

    def _draw_title(self, target: pygame.Surface) -> None:
        drawing.background(target, "title", self.frame * 0.4, self.beat, self.frame)
        glow = 8 + round(3 * self.beat + 2 * math.sin(self.frame / 20))
        pygame.draw.circle(target, (255, 180, 80), (192, 66), glow + 8)
        pygame.draw.circle(target, (255, 240, 190), (192, 66), glow)
        font.write(target, "THE LANTERN RUN", (192, 92), (255, 244, 210), 4, centred=True)
        self._draw_menu(target, ["PLAY", "OPTIONS", "QUIT"], 140)
        font.write(target, "EVERY NOTE IS COMPOSED AND PLAYED AS YOU PLAY. F1 SHOWS HOW.", (192, 206), (170, 170, 210), 1, centred=True)

    def _draw_map(self, target: pygame.Surface) -> None:
        drawing.background(target, "title", 120, self.beat, self.frame)
        for number, (place, level) in enumerate(zip(_MAP_PLACES, LEVELS, strict=True)):
            if number:
                pygame.draw.line(target, (120, 110, 160), _MAP_PLACES[number - 1], place, 2)
            known = number < self.unlocked
            pygame.draw.circle(target, (255, 200, 90) if known else (80, 76, 110), place, 9 + round(2 * self.beat * (number == self.place)))
            font.write(target, level.title, (place[0], place[1] + 14), (255, 255, 255) if known else (120, 116, 150), 1, centred=True)
        x, y = _MAP_PLACES[self.place]
        pygame.draw.polygon(target, (255, 255, 255), [(x, y - 12), (x - 5, y - 22), (x + 5, y - 22)])
        font.write(target, f"COINS {self.coins}", (8, 8), (255, 236, 150))

    def _draw_options(self, target: pygame.Surface) -> None:
        drawing.background(target, "title", 60, self.beat, self.frame)
        font.write(target, "OPTIONS", (192, 60), (255, 244, 210), 3, centred=True)
        options = self.options
        words = [f"VOLUME {options.volume * 10}%", f"EFFECTS {'ON' if options.effects else 'OFF'}", f"MOVE WITH THE BEAT {'ON' if options.bars else 'OFF'}", "BACK"]
        self._draw_menu(target, words, 100)

    def _draw_level(self, target: pygame.Surface) -> None:
        world = self.world
        assert world is not None
        camera = round(min(max(world.player.x - SIZE[0] * 0.42, 0), max(0, world.width - SIZE[0])))
        drawing.background(target, world.level.name, camera, self.beat, self.frame)
        drawing.world(target, world, camera, self.beat)
        if world.underwater:
            veil = pygame.Surface(SIZE, pygame.SRCALPHA)
            veil.fill((20, 60, 140, 50))
            target.blit(veil, (0, 0))
        drawing.status(target, world, self.beat)
        if self.talking and not self.paused:
            target.fill((12, 10, 24), (40, 40, SIZE[0] - 80, 20))
            font.write(target, _WORDS[world.level.name], (192, 47), (230, 230, 245), 1, centred=True)
        if world.won:
            font.write(target, "THE LANTERN IS LIT!", (192, 84), (255, 244, 160), 3, centred=True)
        elif world.dead:
            font.write(target, "OUT OF LIGHT", (192, 84), (240, 120, 120), 3, centred=True)
        if self.paused:
            veil = pygame.Surface(SIZE, pygame.SRCALPHA)
            veil.fill((8, 6, 20, 150))
            target.blit(veil, (0, 0))
            font.write(target, "PAUSE", (192, 70), (255, 255, 255), 3, centred=True)
            self._draw_menu(target, ["GO ON", "OPTIONS", "TO THE MAP"], 104)

    def _draw_ending(self, target: pygame.Surface) -> None:
        drawing.background(target, "meadow", self.frame * 0.3, self.beat, self.frame)
        font.write(target, "ALL FIVE LANTERNS ARE LIT", (192, 70), (255, 252, 220), 3, centred=True)
        font.write(target, f"COINS {self.coins}", (192, 100), (255, 236, 150), 2, centred=True)
        font.write(target, "THANK YOU FOR PLAYING", (192, 130), (255, 255, 255), 1, centred=True)
