"""How the world looks: tiles, creatures and backgrounds, all drawn by code. Reads the world, changes nothing."""

from __future__ import annotations

import math
from typing import Final

import pygame

from demo_game import font
from demo_game.levels import HEIGHT
from demo_game.world import MAX_HEALTH, STAR_FRAMES, TILE, Body, World

SIZE: Final = (384, 224)
"""Pixels of the picture, before it is enlarged."""

Colour = tuple[int, int, int]

# Sky above, sky below, far hills, near hills, ground, its edge, ledge.
PALETTES: Final[dict[str, tuple[Colour, ...]]] = {
    "meadow": ((92, 148, 252), (176, 216, 255), (116, 184, 148), (72, 148, 96), (124, 84, 48), (84, 200, 72), (188, 132, 68)),
    "cave": ((16, 12, 32), (36, 26, 58), (44, 34, 72), (58, 44, 88), (76, 62, 96), (136, 112, 164), (104, 84, 72)),
    "lake": ((40, 120, 196), (24, 64, 140), (28, 88, 156), (32, 104, 164), (196, 172, 116), (232, 212, 148), (128, 148, 96)),
    "castle": ((40, 16, 28), (92, 32, 36), (56, 28, 40), (72, 36, 44), (92, 88, 100), (148, 144, 156), (124, 76, 52)),
    "boss": ((12, 8, 20), (84, 12, 44), (40, 12, 40), (60, 16, 52), (68, 44, 76), (156, 60, 92), (120, 52, 60)),
    "title": ((20, 20, 60), (92, 60, 120), (44, 40, 92), (32, 28, 68), (20, 18, 44), (56, 52, 104), (80, 60, 60)),
}


def background(target: pygame.Surface, name: str, scroll: float, pulse: float, frame: int) -> None:
    """Draw sky and hills, which move more slowly than the ground; a pulse of the music, 0 to 1, lights the sky a little."""
    above, below, far, near = PALETTES[name][:4]
    for band in range(14):
        part = band / 13
        lit = [min(255, round(a + (b - a) * part + 10 * pulse)) for a, b in zip(above, below, strict=True)]
        target.fill(lit, (0, band * 16, SIZE[0], 16))
    if name in ("meadow", "title"):
        x, y = (300, 40) if name == "meadow" else (60, 44)
        pygame.draw.circle(target, (255, 236, 160) if name == "meadow" else (232, 232, 248), (x, y), 15 + round(2 * pulse))
    if name in ("title", "boss", "cave"):
        for star in range(40):
            x, y = (star * 97 + 13) % SIZE[0], (star * 53 + 7) % 120
            bright = 120 + 100 * ((star * 7 + frame // 20) % 5 == 0)
            target.fill((bright, bright, bright + 20), (x, y, 1, 1))
    for colour, speed, base, height, width in ((far, 0.2, 132, 40, 74), (near, 0.45, 164, 34, 52)):
        shift = scroll * speed
        points = [(0, SIZE[1])]
        for x in range(0, SIZE[0] + 8, 8):
            wave = math.sin((x + shift) / width) + 0.5 * math.sin((x + shift) / (width * 0.37))
            points.append((x, round(base - height * 0.5 * wave)))
        pygame.draw.polygon(target, colour, [*points, (SIZE[0], SIZE[1])])


def world(target: pygame.Surface, world: World, camera: int, beat: float) -> None:
    """Draw the level from a camera's left edge; coins and lanterns move with the beat, 1 on it and falling to 0."""
    palette = PALETTES[world.level.name]
    _water(target, world, camera)
    first = camera // TILE
    for column in range(first, first + SIZE[0] // TILE + 2):
        for row in range(HEIGHT):
            tile = world.tile(column, row)
            if tile in "#-^L" and column < len(world.rows[0]):
                _tile(target, world, tile, column, row, (column * TILE - camera, row * TILE), palette)
    for (column, row), thing in world.things.items():
        x, y = column * TILE - camera, row * TILE
        if -TILE < x < SIZE[0]:
            _thing(target, thing, x, y - round(2 * beat), world.frame)
    for body in world.bodies:
        if -40 < body.x - camera < SIZE[0] + 40:
            _BODIES[body.kind](target, body, round(body.x) - camera, round(body.y))
    for shot in world.shots:
        pygame.draw.circle(target, (255, 120, 80), (round(shot.x) - camera, round(shot.y)), 4)
        pygame.draw.circle(target, (255, 232, 160), (round(shot.x) - camera, round(shot.y)), 2)
    _player(target, world, camera)


def _water(target: pygame.Surface, world: World, camera: int) -> None:
    veil = pygame.Surface((TILE, TILE), pygame.SRCALPHA)
    veil.fill((40, 110, 210, 120))
    first = camera // TILE
    for column in range(first, first + SIZE[0] // TILE + 2):
        for row in range(HEIGHT):
            if world.tile(column, row) == "~":
                place = (column * TILE - camera, row * TILE)
                target.blit(veil, place)
                if world.tile(column, row - 1) != "~" and world.tile(column, row - 1) != "#":
                    crest = round(1.5 * math.sin(world.frame / 12 + column))
                    target.fill((190, 226, 255), (place[0], place[1] + crest, TILE, 2))


def _tile(
    target: pygame.Surface, world: World, tile: str, column: int, row: int, place: tuple[int, int], palette: tuple[Colour, ...]
) -> None:
    x, y = place
    ground, edge, ledge = palette[4:7]
    dark = tuple(max(0, value - 28) for value in ground)
    if tile == "#":
        target.fill(ground, (x, y, TILE, TILE))
        if (column * 5 + row * 3) % 4 == 0:
            target.fill(dark, (x + 3, y + 6, 5, 3))
        if (column * 3 + row * 7) % 5 == 0:
            target.fill(dark, (x + 9, y + 11, 4, 2))
        if world.tile(column, row - 1) != "#":
            target.fill(edge, (x, y, TILE, 4))
            for tuft in range(0, TILE, 4):
                target.fill(edge, (x + tuft, y + 4, 2, 1 + (column + tuft) % 2))
    elif tile == "-":
        target.fill(ledge, (x, y, TILE, 5))
        target.fill(tuple(max(0, value - 40) for value in ledge), (x, y + 5, TILE, 2))
    elif tile == "^":
        for spike in range(2):
            left = x + 8 * spike
            pygame.draw.polygon(target, (200, 204, 216), [(left, y + 15), (left + 4, y + 3), (left + 7, y + 15)])
    else:
        glow = 30 * math.sin(world.frame / 15 + column)
        target.fill((220, round(90 + glow), 20), (x, y + 3, TILE, TILE - 3))
        target.fill((255, round(200 + glow), 90), (x, y + 3 + round(math.sin(world.frame / 9 + column)), TILE, 3))


def _thing(target: pygame.Surface, thing: str, x: int, y: int, frame: int) -> None:
    if thing == "o":
        width = max(2, round(10 * abs(math.cos(frame / 14 + x / 40))))
        pygame.draw.ellipse(target, (248, 200, 40), (x + 8 - width // 2, y + 2, width, 12))
        if width > 4:
            pygame.draw.ellipse(target, (255, 240, 160), (x + 8 - width // 4, y + 4, max(1, width // 3), 8))
    elif thing == "h":
        heart(target, x + 2, y + 3, (240, 60, 90))
    elif thing == "s":
        points = []
        for corner in range(10):
            reach = 8 if corner % 2 == 0 else 3.5
            angle = corner * math.pi / 5 + frame / 30
            points.append((x + 8 + reach * math.sin(angle), y + 8 - reach * math.cos(angle)))
        pygame.draw.polygon(target, (255, 244, 120), points)
    else:
        target.fill((110, 84, 60), (x + 7, y - 14, 3, 30))
        glow = 4 + round(2 * math.sin(frame / 10))
        pygame.draw.circle(target, (255, 196, 80), (x + 8, y - 16), glow + 3)
        pygame.draw.circle(target, (255, 248, 208), (x + 8, y - 16), glow)


def heart(target: pygame.Surface, x: int, y: int, colour: Colour) -> None:
    """Draw a heart of eleven pixels."""
    pygame.draw.circle(target, colour, (x + 3, y + 3), 3)
    pygame.draw.circle(target, colour, (x + 8, y + 3), 3)
    pygame.draw.polygon(target, colour, [(x, y + 4), (x + 11, y + 4), (x + 5, y + 11)])


def _walker(target: pygame.Surface, body: Body, x: int, y: int) -> None:
    pygame.draw.ellipse(target, (152, 60, 140), (x - 1, y, 14, 12))
    feet = 2 if body.age // 8 % 2 else 0
    target.fill((60, 24, 60), (x + feet, y + 11, 4, 3))
    target.fill((60, 24, 60), (x + 8 - feet, y + 11, 4, 3))
    eye = x + 7 + 2 * body.facing
    target.fill((255, 255, 255), (eye - 3, y + 3, 3, 4))
    target.fill((255, 255, 255), (eye + 1, y + 3, 3, 4))
    target.fill((0, 0, 0), (eye - 2 + (body.facing > 0), y + 5, 1, 2))
    target.fill((0, 0, 0), (eye + 2 + (body.facing > 0), y + 5, 1, 2))


def _flyer(target: pygame.Surface, body: Body, x: int, y: int) -> None:
    lift = round(4 * math.sin(body.age / 4))
    pygame.draw.polygon(target, (92, 76, 128), [(x + 6, y + 5), (x - 5, y + lift), (x + 1, y + 8)])
    pygame.draw.polygon(target, (92, 76, 128), [(x + 6, y + 5), (x + 17, y + lift), (x + 11, y + 8)])
    pygame.draw.circle(target, (60, 48, 96), (x + 6, y + 6), 5)
    target.fill((255, 220, 80), (x + 4, y + 4, 2, 2))
    target.fill((255, 220, 80), (x + 8, y + 4, 2, 2))


def _fish(target: pygame.Surface, body: Body, x: int, y: int) -> None:
    tail = x + (0 if body.facing > 0 else 12)
    pygame.draw.ellipse(target, (255, 140, 60), (x, y, 13, 9))
    wag = round(2 * math.sin(body.age / 4))
    pygame.draw.polygon(target, (232, 100, 40), [(tail, y + 4), (tail - 6 * body.facing, y + wag), (tail - 6 * body.facing, y + 8 + wag)])
    target.fill((0, 0, 0), (x + 6 + 4 * body.facing, y + 3, 2, 2))


def _boss(target: pygame.Surface, body: Body, x: int, y: int) -> None:
    pygame.draw.rect(target, (84, 24, 60), (x, y + 4, 28, 26), border_radius=8)
    pygame.draw.polygon(target, (224, 200, 160), [(x + 3, y + 8), (x, y - 4), (x + 9, y + 5)])
    pygame.draw.polygon(target, (224, 200, 160), [(x + 25, y + 8), (x + 28, y - 4), (x + 19, y + 5)])
    for side in (6, 18):
        target.fill((255, 80, 60), (x + side, y + 12, 5, 5))
        target.fill((255, 240, 120), (x + side + 1 + body.facing, y + 13, 2, 3))
    target.fill((20, 6, 20), (x + 6, y + 21, 17, 4))
    for tooth in range(4):
        target.fill((250, 244, 220), (x + 7 + 4 * tooth, y + 21, 2, 2))
    for point in range(body.health):
        target.fill((240, 60, 90), (x + 1 + 6 * point, y - 9, 4, 3))


_BODIES: Final = {"walker": _walker, "flyer": _flyer, "fish": _fish, "boss": _boss}


def _player(target: pygame.Surface, world: World, camera: int) -> None:
    me = world.player
    if world.safe and world.frame // 4 % 2 and not world.dead:
        return
    x, y = round(me.x) - camera, round(me.y)
    coat = (36, 108, 200)
    if world.star:
        hue = world.frame * 9 % 360
        colour = pygame.Color(0)
        colour.hsva = (hue, 60, 100, 100)
        coat = (colour.r, colour.g, colour.b)
    stride = round(2 * math.sin(world.frame / 3)) if me.grounded and abs(me.vx) > 0.3 else 0
    target.fill((60, 40, 32), (x + 2 - stride // 2, y + 11, 4, 3))
    target.fill((60, 40, 32), (x + 7 + stride // 2, y + 11, 4, 3))
    pygame.draw.rect(target, coat, (x + 1, y + 5, 10, 7), border_radius=2)
    pygame.draw.rect(target, (248, 208, 168), (x + 2, y, 9, 6), border_radius=2)
    target.fill((200, 48, 56), (x + 1, y - 2, 10, 3))
    target.fill((0, 0, 0), (x + (8 if me.facing > 0 else 4), y + 2, 1, 2))
    lantern = x + (12 if me.facing > 0 else -3)
    pygame.draw.circle(target, (255, 216, 112), (lantern, y + 9), 3)


def status(target: pygame.Surface, world: World, beat: float) -> None:
    """Draw hearts, coins and what is left of a star's power."""
    for number in range(MAX_HEALTH):
        heart(target, 6 + 14 * number, 6, (240, 60, 90) if number < world.health else (64, 52, 72))
    font.write(target, f"COINS {world.coins}", (54, 9), (255, 236, 150), 1)
    font.write(target, world.level.title, (SIZE[0] - 6 - 4 * len(world.level.title), 9))
    if world.star:
        target.fill((255, 244, 120), (6, 22, round(60 * world.star / STAR_FRAMES), 3))
    target.fill((255, 255, 255) if beat > 0.6 else (110, 110, 130), (SIZE[0] - 10, 18, 4, 4))
