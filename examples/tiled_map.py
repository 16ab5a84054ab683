"""A Tiled map that brings its music: properties of the map say the theme, regions of an object layer change it.

The map's properties: music_theme, music_seed, music_intensity. Objects of the layer "music" with such properties hold where the
player stands. Arrow keys move the player.
"""

import json
import sys
from pathlib import Path

import pygame

import nesasset

MAP = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "maps" / "river.tmj"


def properties(thing: dict) -> dict:
    """Return the properties of a map, layer or object as a dictionary."""
    return {entry["name"]: entry["value"] for entry in thing.get("properties", [])}


chart = json.loads(MAP.read_text(encoding="utf-8"))
tile, whole = chart["tilewidth"], properties(chart)
ground = next(layer for layer in chart["layers"] if layer["type"] == "tilelayer")
regions = [item for layer in chart["layers"] if layer["name"] == "music" for item in layer["objects"]]
colours = {0: (90, 160, 90), 1: (90, 160, 90), 2: (70, 110, 200), 3: (120, 110, 100)}

pygame.init()
window = pygame.display.set_mode((chart["width"] * tile, chart["height"] * tile))
music = nesasset.play.Music()
x, y, playing, running = tile * 2, tile * 4, None, True
while running:
    running = not any(event.type == pygame.QUIT for event in pygame.event.get())
    keys = pygame.key.get_pressed()
    x += 2 * (keys[pygame.K_RIGHT] - keys[pygame.K_LEFT])
    y += 2 * (keys[pygame.K_DOWN] - keys[pygame.K_UP])
    here = dict(whole)
    for region in regions:
        if region["x"] <= x < region["x"] + region["width"] and region["y"] <= y < region["y"] + region["height"]:
            here |= properties(region)
    wanted = (here["music_theme"], here.get("music_seed", 0))
    if wanted != playing:
        music.to(*wanted, at="bar", via="bridge" if playing else "cut")
        playing = wanted
    music.intensity(here.get("music_intensity"))
    for number, kind in enumerate(ground["data"]):
        place = (number % chart["width"] * tile, number // chart["width"] * tile, tile, tile)
        window.fill(colours.get(kind, (0, 0, 0)), place)
    pygame.draw.circle(window, (250, 230, 140), (x, y), 6)
    pygame.display.flip()
    pygame.time.wait(16)
music.close()
