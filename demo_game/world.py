"""The rules: a level, the player, enemies, what they do to each other. Sixty steps a second, no clock, no chance, no pictures.

What happens is told as words in `World.happened`, which sound and screens read: jump, land, coin, hurt, stomp, splash and so on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from demo_game.levels import HEIGHT, Level, rows_of

TILE: Final = 16
GRAVITY, WATER_GRAVITY = 0.34, 0.09
MAX_FALL, MAX_SINK = 6.0, 1.6
JUMP, SWIM = -5.9, -2.1
RUN, FAST_RUN, SWIM_RUN = 1.7, 2.6, 1.3
MAX_HEALTH: Final = 3
SAFE_FRAMES: Final = 90
"""Frames after a blow in which no other counts."""
STAR_FRAMES: Final = 60 * 8
BOSS_HEALTH: Final = 5
DANGER_REACH: Final = 9 * TILE


@dataclass(slots=True)
class Controls:
    """What the player presses in a frame."""

    left: bool = False
    right: bool = False
    jump: bool = False
    """Held."""
    jump_pressed: bool = False
    """Just now."""


@dataclass(slots=True)
class Body:
    """Something that moves; the place is its upper left corner, in pixels."""

    kind: str
    x: float
    y: float
    width: int = 12
    height: int = 14
    vx: float = 0.0
    vy: float = 0.0
    facing: int = 1
    grounded: bool = False
    age: int = 0
    health: int = 1
    alive: bool = True
    home: float = 0.0

    def meets(self, other: Body) -> bool:
        """Return whether two bodies overlap."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


@dataclass(slots=True)
class Shot:
    """What the boss throws."""

    x: float
    y: float
    vx: float
    vy: float


@dataclass(slots=True)
class World:
    """A level being played."""

    level: Level
    health: int = MAX_HEALTH
    coins: int = 0
    rows: list[str] = field(default_factory=list)
    player: Body = field(default_factory=lambda: Body("player", 0, 0))
    bodies: list[Body] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)
    things: dict[tuple[int, int], str] = field(default_factory=dict)
    """Coins, hearts, stars and the lantern, by column and row."""
    frame: int = 0
    safe: int = 0
    star: int = 0
    underwater: bool = False
    won: bool = False
    dead: bool = False
    happened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = rows_of(self.level)
        for row, line in enumerate(self.rows):
            for column, tile in enumerate(line):
                x, y = column * TILE, row * TILE
                if tile == "P":
                    self.player = Body("player", x + 2, y + 2)
                elif tile == "w":
                    self.bodies.append(Body("walker", x + 1, y + 2, vx=-0.6, facing=-1))
                elif tile == "f":
                    kind = "fish" if self.level.flooded or self._near_water(column, row) else "flyer"
                    self.bodies.append(Body(kind, x, y, height=10, vx=-0.8, home=y))
                elif tile == "B":
                    self.bodies.append(Body("boss", x, y - 14, width=28, height=30, health=BOSS_HEALTH, facing=-1))
                elif tile in "ohsF":
                    self.things[column, row] = tile
        self.rows = ["".join(self._medium(column, row) for column in range(len(self.rows[0]))) for row in range(HEIGHT)]

    @property
    def width(self) -> int:
        """Pixels."""
        return len(self.rows[0]) * TILE

    def _near_water(self, column: int, row: int) -> bool:
        return "~" in self.rows[row][max(0, column - 1) : column + 2]

    def _medium(self, column: int, row: int) -> str:
        """Return the tile at a place without what stood in it."""
        tile = self.rows[row][column]
        if tile not in "PwfBohsF":
            return tile
        return "~" if (self.level.flooded and row >= 3) or self._near_water(column, row) else "."

    def tile(self, column: int, row: int) -> str:
        """Return the tile at a place; beyond the sides there is rock, above and below nothing."""
        if not 0 <= column < len(self.rows[0]):
            return "#"
        return self.rows[row][column] if 0 <= row < HEIGHT else "."

    def at(self, x: float, y: float) -> str:
        """Return the tile under a pixel."""
        return self.tile(int(x // TILE), int(y // TILE))

    @property
    def boss(self) -> Body | None:
        """The boss, while it lives."""
        return next((body for body in self.bodies if body.kind == "boss"), None)

    @property
    def danger(self) -> float:
        """How near the nearest enemy is, 0 to 1."""
        me = self.player
        near = min((math.hypot(body.x - me.x, body.y - me.y) for body in self.bodies), default=DANGER_REACH)
        return max(0.0, 1 - near / DANGER_REACH)

    def step(self, controls: Controls) -> None:
        """Let a frame pass."""
        self.happened = []
        self.frame += 1
        if self.dead or self.won:
            return
        self.safe, self.star = max(0, self.safe - 1), max(0, self.star - 1)
        self._move_player(controls)
        self._touch_things()
        for body in self.bodies:
            self._move_body(body)
        self._move_shots()
        self._meet_bodies()
        self.bodies = [body for body in self.bodies if body.alive]

    # The player.

    def _move_player(self, controls: Controls) -> None:
        me = self.player
        wet = self.at(me.x + 6, me.y + 7) == "~"
        if wet != self.underwater:
            self.underwater = wet
            if abs(me.vy) > 0.8:
                self.happened.append("splash")
        top = FAST_RUN if self.star else SWIM_RUN if wet else RUN
        wish = (controls.right - controls.left) * top
        me.vx += (wish - me.vx) * (0.25 if me.grounded else 0.14)
        if abs(me.vx) < 0.05:
            me.vx = 0.0
        if wish:
            me.facing = 1 if wish > 0 else -1
        if controls.jump_pressed and (me.grounded or wet):
            me.vy = SWIM if wet else JUMP
            self.happened.append("swim" if wet else "jump")
        if not controls.jump and me.vy < -2.5 and not wet:
            me.vy *= 0.6  # let go: a short jump
        me.vy = min(me.vy + (WATER_GRAVITY if wet else GRAVITY), MAX_SINK if wet else MAX_FALL)
        was_up, fall = me.grounded, me.vy
        self._slide(me)
        if me.grounded and not was_up and fall > 3:
            self.happened.append("land")
        if me.grounded and abs(me.vx) > 1 and self.frame % 14 == 0:
            self.happened.append("step")
        me.x = min(max(me.x, 0), self.width - me.width)
        if me.y > HEIGHT * TILE:
            self._die()
        feet = {self.at(me.x + 2, me.y + me.height - 1), self.at(me.x + me.width - 2, me.y + me.height - 1)}
        if feet & {"^", "L"}:
            me.vy = JUMP * 0.8
            self._hurt()

    def _slide(self, body: Body) -> None:
        """Move a body by its speed, and stop it at walls, floors and ceilings."""
        body.x += body.vx
        ahead = body.x + (body.width if body.vx > 0 else 0)
        if body.vx and any(self.at(ahead, y) == "#" for y in (body.y + 1, body.y + body.height / 2, body.y + body.height - 2)):
            column = int(ahead // TILE)
            body.x = column * TILE - body.width - 0.01 if body.vx > 0 else (column + 1) * TILE + 0.01
            body.vx = 0.0
        before = body.y + body.height
        body.y += body.vy
        body.grounded = False
        feet = body.y + body.height
        for x in (body.x + 2, body.x + body.width - 2):
            below = self.at(x, feet)
            ledge = below == "-" and before <= int(feet // TILE) * TILE + 0.01
            if body.vy >= 0 and (below == "#" or ledge):
                body.y = int(feet // TILE) * TILE - body.height
                body.vy, body.grounded = 0.0, True
                return
        if body.vy < 0 and any(self.at(x, body.y) == "#" for x in (body.x + 2, body.x + body.width - 2)):
            body.y = (int(body.y // TILE) + 1) * TILE + 0.01
            body.vy = 0.0

    def _touch_things(self) -> None:
        me = self.player
        for column in range(int(me.x // TILE), int((me.x + me.width) // TILE) + 1):
            for row in range(int(me.y // TILE), int((me.y + me.height) // TILE) + 1):
                thing = self.things.get((column, row))
                if thing is None or (thing == "F" and self.boss is not None):
                    continue
                del self.things[column, row]
                if thing == "o":
                    self.coins += 1
                    self.happened.append("coin")
                elif thing == "h":
                    self.health = min(MAX_HEALTH, self.health + 1)
                    self.happened.append("heal")
                elif thing == "s":
                    self.star = STAR_FRAMES
                    self.happened.append("power-up")
                else:
                    self.won = True
                    self.happened.append("won")

    def _hurt(self) -> None:
        if self.safe or self.star:
            return
        self.health -= 1
        self.safe = SAFE_FRAMES
        self.happened.append("hurt")
        if self.health <= 0:
            self._die()

    def _die(self) -> None:
        if not self.dead:
            self.dead, self.health = True, 0
            self.happened.append("death")

    # The others.

    def _move_body(self, body: Body) -> None:
        body.age += 1
        if body.kind == "walker":
            body.vy = min(body.vy + GRAVITY, MAX_FALL)
            wish = 0.6 * body.facing
            body.vx = wish
            self._slide(body)
            edge = self.at(body.x + (body.width if body.facing > 0 else 0), body.y + body.height + 4)
            if body.vx == 0.0 or (body.grounded and edge not in "#-"):
                body.facing = -body.facing
        elif body.kind in ("flyer", "fish"):
            body.x += 0.8 * body.facing
            body.y = body.home + 10 * math.sin(body.age / 18)
            ahead = self.at(body.x + (body.width if body.facing > 0 else 0), body.y + 5)
            dry = body.kind == "fish" and ahead != "~"
            if ahead == "#" or dry or body.age % 160 == 0:
                body.facing = -body.facing
        elif body.kind == "boss":
            self._move_boss(body)

    def _move_boss(self, boss: Body) -> None:
        me = self.player
        if abs(me.x - boss.x) > 15 * TILE:
            return
        boss.facing = 1 if me.x > boss.x else -1
        boss.vy = min(boss.vy + GRAVITY, MAX_FALL)
        angry = BOSS_HEALTH - boss.health
        if boss.grounded and boss.age % max(60, 130 - 14 * angry) == 0:
            boss.vy, boss.vx = -5.2, boss.facing * (1.0 + 0.15 * angry)
            self.happened.append("boss jump")
        if boss.age % max(50, 110 - 12 * angry) == 30:
            self.shots.append(Shot(boss.x + 14, boss.y + 10, boss.facing * 1.8, -1.0))
            self.happened.append("laser")
        was_up = boss.grounded
        self._slide(boss)
        if boss.grounded:
            if not was_up:
                self.happened.append("boss land")
            boss.vx = 0.0

    def _move_shots(self) -> None:
        for shot in self.shots:
            shot.x, shot.y, shot.vy = shot.x + shot.vx, shot.y + shot.vy, shot.vy + 0.05
            me = self.player
            if me.x < shot.x < me.x + me.width and me.y < shot.y < me.y + me.height:
                self._hurt()
                shot.y = HEIGHT * TILE * 2
        self.shots = [shot for shot in self.shots if self.at(shot.x, shot.y) not in "#-" and shot.y < HEIGHT * TILE]

    def _meet_bodies(self) -> None:
        me = self.player
        for body in self.bodies:
            if not body.alive or not me.meets(body):
                continue
            from_above = me.vy > 0.5 and me.y + me.height < body.y + body.height * 0.6
            if from_above or (self.star and body.kind != "boss"):
                me.vy = JUMP * 0.7
                body.health -= 1
                self.happened.append("stomp" if body.kind != "boss" else "hit")
                if body.health <= 0:
                    body.alive = False
                    if body.kind == "boss":
                        self.happened.append("explosion")
                elif body.kind == "boss":
                    body.vy, me.vx = -3.0, -3.0 * body.facing
            else:
                self._hurt()
