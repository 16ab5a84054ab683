"""A game of one screen: the title's music, then the level's, then the jingle. `python game.py --frames 90` ends by itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pygame

sys.path.insert(0, str(Path(__file__).parent / "music"))
import nesasset_music as music

SCENES = (music.TITLE, music.CELLAR, music.WON)


def main() -> None:
    """Show a scene for each track; space goes on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=0, help="end after so many frames, scenes changing by themselves")
    frames = parser.parse_args().frames
    pygame.init()
    screen = pygame.display.set_mode((320, 180))
    clock, scene, frame = pygame.time.Clock(), 0, 0
    SCENES[scene].play()
    while not frames or frame < frames:
        pressed = [event.key for event in pygame.event.get(pygame.KEYDOWN)]
        if pygame.event.get(pygame.QUIT) or pygame.K_ESCAPE in pressed:
            break
        frame += 1
        if pygame.K_SPACE in pressed or (frames and frame % (frames // len(SCENES) + 1) == 0):
            scene = (scene + 1) % len(SCENES)
            SCENES[scene].play(fade_ms=100)
        screen.fill((20 + 60 * scene, 22, 40))
        pygame.display.flip()
        clock.tick(60)
    print(f"{frame} frames, {SCENES[scene].title} is playing: {pygame.mixer.music.get_busy()}")
    pygame.quit()


if __name__ == "__main__":
    main()
