"""Music from a table: the game says how things stand, the table says what that sounds like.

Arrow right: the next level. Space held: danger. W: water. H: health goes down.
"""

import pygame

import nesasset

TABLE = [
    {"when": {"level": 0}, "play": "overworld", "seed": 7},
    {"when": {"level": 1}, "play": "cave", "seed": 3, "via": "bridge"},
    {"when": {"level": 2}, "play": "boss", "seed": 9, "at": "beat"},
    {"intensity": "danger"},
    {"when": {"health": "<0.3"}, "tempo": 1.15, "transpose": 1},
    {"when": {"water": True}, "low_pass": 0.7},
    {"when": {"health": "<=0"}, "stinger": "death"},
]

pygame.init()
window = pygame.display.set_mode((320, 240))
music = nesasset.play.Music()
states = nesasset.play.MusicState(music, TABLE)
level, health, water, running = 0, 1.0, False, True
while running:
    for event in pygame.event.get():
        if event.type == pygame.QUIT:
            running = False
        elif event.type == pygame.KEYDOWN:
            level = (level + 1) % 3 if event.key == pygame.K_RIGHT else level
            water = not water if event.key == pygame.K_w else water
            health = (health - 0.25 if health > 0 else 1.0) if event.key == pygame.K_h else health
    danger = 0.9 if pygame.key.get_pressed()[pygame.K_SPACE] else 0.5
    states.update(level=level, danger=danger, health=health, water=water)
    place = music.position
    window.fill((20, 30 + 60 * (place.beat == 0), 80))
    pygame.display.set_caption(f"{place.theme} bar {place.bar + 1} beat {place.beat + 1} in {place.key}")
    pygame.display.flip()
    pygame.time.wait(16)
music.close()
