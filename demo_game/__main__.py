"""`python -m demo_game`: the window, the clock and the loudspeaker; or none of them.

    python -m demo_game                                   arrows and space; gamepads; F1 shows the music's insides
    python -m demo_game --level lake --scale 2
    python -m demo_game --headless 3600 --out shots       a minute of play as pictures and a WAV, without screen or sound card

A script for --headless has a line for each thing: FRAME WORD VALUE. Words: hold, release and tap with an action (left, right, up,
down, jump, start, back, overlay); bot on or off; level NAME; screen NAME; health N; shot NAME saves a picture.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import wave
from pathlib import Path
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Run the game and return the exit code."""
    parser = argparse.ArgumentParser(prog="demo_game", description="A small platformer with live music.")
    parser.add_argument("--level", help="begin in meadow, cave, lake, castle or boss")
    parser.add_argument("--scale", type=int, default=3, help="how many times the picture is enlarged, 1 to 8 (default 3)")
    parser.add_argument("--audio-buffer", type=int, default=1024, help="samples of the mixer's buffer (default 1024)")
    parser.add_argument("--bot", action="store_true", help="let the bot play")
    parser.add_argument("--headless", type=int, metavar="FRAMES", help="play so many frames without screen and sound card")
    parser.add_argument("--script", type=Path, help="what is pressed when; a built-in one where none is given")
    parser.add_argument("--out", type=Path, help="folder for pictures and heard.wav")
    parser.add_argument("--no-compose", action="store_true", help="with --headless: short rounds instead of composing")
    wishes = parser.parse_args(arguments)
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from demo_game.levels import NAMES

    if wishes.level is not None and wishes.level not in NAMES:
        parser.error(f"--level must be one of {', '.join(NAMES)}, not {wishes.level!r}")
    if not 1 <= wishes.scale <= 8:
        parser.error(f"--scale must be between 1 and 8, not {wishes.scale}")
    if wishes.headless is None and (wishes.script or wishes.out or wishes.no_compose):
        parser.error("--script, --out and --no-compose belong to --headless")
    if wishes.headless is not None:
        if not 1 <= wishes.headless <= 10_000_000:
            parser.error(f"--headless must be between 1 and 10000000 frames, not {wishes.headless}")
        try:
            return headless(wishes.headless, wishes.script, wishes.out, compose=not wishes.no_compose)
        except (ValueError, OSError) as error:
            print(f"demo_game: {error}", file=sys.stderr)
            return 1
    try:
        return play(wishes)
    except KeyboardInterrupt:
        return 130


def play(wishes: Any) -> int:
    """Play in a window."""
    import pygame

    import nesasset
    from demo_game.bot import Bot
    from demo_game.drawing import SIZE
    from demo_game.game import Game
    from demo_game.inputs import Inputs
    from demo_game.levels import NAMES

    pygame.mixer.pre_init(44_100, -16, 2, wishes.audio_buffer)
    pygame.init()
    window = pygame.display.set_mode((SIZE[0] * wishes.scale, SIZE[1] * wishes.scale))
    pygame.display.set_caption("The Lantern Run")
    picture, clock, inputs = pygame.Surface(SIZE), pygame.time.Clock(), Inputs()
    with nesasset.play.Music() as music:
        game = Game(music, Bot() if wishes.bot else None)
        if wishes.level:
            game.enter(NAMES.index(wishes.level))
        while game.running:
            began = time.perf_counter()
            game.step(inputs.read())
            game.draw(picture)
            pygame.transform.scale(picture, window.get_size(), window)
            pygame.display.flip()
            game.overlay.note(music, 1000 * (time.perf_counter() - began))
            clock.tick(60)
    pygame.quit()
    return 0


def headless(frames: int, script: Path | None, out: Path | None, compose: bool = True) -> int:
    """Play without screen, sound card and clock; write pictures and what would be heard into a folder."""
    os.environ["SDL_VIDEODRIVER"] = os.environ["SDL_AUDIODRIVER"] = "dummy"
    import pygame

    from demo_game.drawing import SIZE
    from demo_game.game import Game
    from demo_game.inputs import ScriptedInputs, built_in, parse_script
    from nesasset.testing import SilentMusic

    lines = built_in(frames) if script is None else parse_script(script.read_text(encoding="utf-8"))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    pygame.display.init()
    pygame.display.set_mode(SIZE)
    picture, inputs = pygame.Surface(SIZE), ScriptedInputs(lines)
    music = SilentMusic(compose=compose, strict=True, keep=out is not None)
    game, shots = Game(music), 0
    for _ in range(frames):
        began = time.perf_counter()
        pressed, others = inputs.read()
        game.step(pressed, others)
        music.advance(frames=1)
        game.overlay.note(music, 1000 * (time.perf_counter() - began))
        wanted = [line.value for line in others if line.word == "shot"]
        if wanted and out is not None:
            game.draw(picture)
            for name in wanted:
                pygame.image.save(pygame.transform.scale(picture, (2 * SIZE[0], 2 * SIZE[1])), out / f"{Path(name).name}.png")
                shots += 1
        if not game.running:
            break
    if out is not None:
        with wave.open(str(out / "heard.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(music.output.sample_rate_hz)
            file.writeframes(music.samples.astype("<i2").tobytes())
    music.close()
    pygame.quit()
    where = f", {shots} pictures and heard.wav in {out}" if out is not None else ""
    print(f"{game.frame} frames, screen {game.screen}, {game.coins} coins{where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
