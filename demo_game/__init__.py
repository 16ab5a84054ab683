"""The Lantern Run: a small platformer whose music is composed and played live by nesasset. Uses its public names only.

Play it with `python -m demo_game`; see __main__.py for playing without screen and sound card.
"""
