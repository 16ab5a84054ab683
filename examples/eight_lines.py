import pygame, nesasset
pygame.init()
pygame.display.set_mode((320, 240))
music = nesasset.play.Music()
music.play("overworld", seed=7)
while not any(event.type == pygame.QUIT for event in pygame.event.get()):
    music.intensity(pygame.mouse.get_pos()[0] / 320)
    pygame.time.wait(16)
