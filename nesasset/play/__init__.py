"""Music that plays the game: notes played live through the 2A03, which a game may change at any moment.

    import pygame, nesasset
    pygame.init()
    music = nesasset.play.Music()
    music.play("overworld", seed=7)

The parts, from the bottom:

    voices, deck    one score, frame by frame        registers, master   writes for the chip, gains and filter after it
    layers          intensity                        effects, bridge     what plays over music and between two pieces
    harmony         key and chord of any score       engine              all of it: commands in, a frame out; no clock
    session         commands that wait, a record     worker, composer    composing in a process of its own
    ring, endless_wav, outputs                       from the thread that makes sound to the one that plays it
    music           what a game calls                states              game states as a table

pygame is imported by outputs and pygame_events only, when they are used.
"""

from nesasset.play.engine import Engine, Frame, Position
from nesasset.play.music import EVENTS, Music, MusicEvent, Statistics
from nesasset.play.session import replay
from nesasset.play.states import MusicState

__all__ = ["EVENTS", "Engine", "Frame", "Music", "MusicEvent", "MusicState", "Position", "Statistics", "replay"]
