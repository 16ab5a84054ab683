"""Saved games with their music: F5 saves, F9 goes on from there, to the note. Space changes the music meanwhile."""

from pathlib import Path

import pygame

import nesasset

SAVE = Path("lantern.music")
THEMES = ("town", "forest", "battle")

pygame.init()
pygame.display.set_mode((320, 240))
music = nesasset.play.Music()
music.play("town", seed=1)
chosen, running = 0, True
while running:
    for event in pygame.event.get():
        if event.type == pygame.QUIT:
            running = False
        elif event.type == pygame.KEYDOWN and event.key == pygame.K_SPACE:
            chosen = (chosen + 1) % len(THEMES)
            music.to(THEMES[chosen], seed=chosen, at="beat")
        elif event.type == pygame.KEYDOWN and event.key == pygame.K_F5:
            SAVE.write_bytes(music.save())
        elif event.type == pygame.KEYDOWN and event.key == pygame.K_F9 and SAVE.exists():
            music.restore(SAVE.read_bytes())
    pygame.display.set_caption(f"{music.position.theme}, bar {music.position.bar + 1}")
    pygame.time.wait(16)
music.close()
