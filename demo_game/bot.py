"""A player for scripts: runs to the right, jumps over what is in the way, swims, and stomps on the boss. Looks at the world only."""

from __future__ import annotations

from demo_game.world import TILE, Controls, World


class Bot:
    """Decides what to press, frame by frame."""

    def __init__(self) -> None:
        self._held = 0
        self._stuck = 0
        self._back = 0
        self._last_x = 0.0

    def controls(self, world: World) -> Controls:
        """Return what to press in the next frame."""
        me = world.player
        self._stuck = self._stuck + 1 if abs(me.x - self._last_x) < 0.2 else 0
        self._last_x = me.x
        if self._stuck > 50:
            self._back, self._stuck = 35, 0
        right = True
        if self._back:
            self._back -= 1
            right = self._back < 10
        boss = world.boss
        if boss is not None and abs(boss.x - me.x) < 10 * TILE:
            return self._fight(world, boss.x + boss.width / 2)
        jump = self._wants_to_jump(world, 1 if right else -1)
        pressed = False
        if jump and not self._held and (me.grounded or world.underwater):
            self._held, pressed = (8 if world.underwater else 22), True
        held = self._held > 0
        self._held = max(0, self._held - 1)
        return Controls(left=not right, right=right, jump=held, jump_pressed=pressed)

    def _wants_to_jump(self, world: World, way: int) -> bool:
        me = world.player
        front = me.x + (me.width if way > 0 else 0)
        if world.underwater:
            wall = any(world.at(front + way * reach, me.y + 8) == "#" for reach in (4, 14))
            return wall or me.y > 10.6 * TILE
        wall = any(world.at(front + way * reach, me.y + me.height - 3) in "#^L" for reach in (3, 12, 20))
        hole = all(world.at(front + way * 6, me.y + me.height + depth) not in "#-~" for depth in (2, 18, 34))
        spikes = any(world.at(front + way * reach, me.y + me.height + 4) in "^L" for reach in (2, 10, 18))
        foe = any(0 < (body.x - me.x) * way < 42 and abs(body.y - me.y) < 26 for body in world.bodies)
        return wall or hole or spikes or foe

    def _fight(self, world: World, target: float) -> Controls:
        me = world.player
        middle = me.x + me.width / 2
        away = abs(target - middle)
        pressed = me.grounded and 28 < away < 64
        if pressed:
            self._held = 26
        held = self._held > 0
        self._held = max(0, self._held - 1)
        if me.grounded and away <= 28:  # too near to jump on it: back off
            return Controls(left=target > middle, right=target <= middle, jump=held)
        return Controls(left=target < middle - 2, right=target > middle + 2, jump=held, jump_pressed=pressed)
