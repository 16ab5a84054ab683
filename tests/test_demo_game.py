"""The demo game: played by its bot without a screen, its levels, its scripts, its use of nesasset's public names."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from ear import loudness

import nesasset
from nesasset.themes import THEMES

pytest.importorskip("pygame", reason="pygame is not installed", exc_type=ImportError)

from demo_game.bot import Bot
from demo_game.game import Game
from demo_game.inputs import WORDS, Line, Pressed, ScriptedInputs, built_in, parse_script
from demo_game.levels import HEIGHT, LEVELS, NAMES, rows_of
from demo_game.sound import EFFECTS, TABLE
from demo_game.world import TILE, Controls, World
from nesasset.sfx import CLASSES
from nesasset.testing import SilentMusic

ROOT = Path(__file__).parent.parent


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-m", "demo_game", *arguments],
        capture_output=True, text=True, timeout=120, env=environment, cwd=ROOT, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("level", LEVELS, ids=NAMES)
def test_every_level_is_whole(level) -> None:
    """Rows of one length, a place to begin, a lantern to reach, nothing but known tiles."""
    rows = rows_of(level)
    assert len(rows) == HEIGHT
    assert len({len(row) for row in rows}) == 1
    text = "".join(rows)
    assert (text.count("P"), text.count("F")) == (1, 1)
    assert set(text) <= set("#-^~LohsFwfBP.")


@pytest.mark.parametrize("level", [level for level in LEVELS if level.name != "lake"], ids=lambda level: level.name)
def test_the_bot_wins(level) -> None:
    """Each level but the lake, whose fish are too much for it, can be won within a minute, and coins be found."""
    world, bot = World(level), Bot()
    for _ in range(3600):
        world.step(bot.controls(world))
    assert world.won


def test_the_lake_can_be_swum_by_one_who_is_not_hurt() -> None:
    """With the fish gone the bot reaches the lantern."""
    world, bot = World(LEVELS[NAMES.index("lake")]), Bot()
    world.bodies.clear()
    for _ in range(3600):
        world.step(bot.controls(world))
    assert world.won


def test_the_same_presses_give_the_same_game() -> None:
    """There is no chance in the world."""

    def played() -> tuple:
        world, bot = World(LEVELS[0]), Bot()
        for _ in range(900):
            world.step(bot.controls(world))
        return world.player.x, world.player.y, world.coins, world.health

    assert played() == played()


def test_a_fall_a_blow_and_a_stomp() -> None:
    """Below the ground is the end, an enemy costs a heart, jumping on one costs it its life."""
    world = World(LEVELS[0])
    world.player.y = HEIGHT * TILE + 1
    world.step(Controls())
    assert world.dead
    assert world.happened == ["death"]
    world = World(LEVELS[0])
    foe = world.bodies[0]
    world.player.x, world.player.y = foe.x, foe.y
    world.step(Controls())
    assert (world.health, "hurt" in world.happened) == (2, True)
    world = World(LEVELS[0])
    foe = world.bodies[0]
    world.player.x, world.player.y, world.player.vy = foe.x, foe.y - 12, 3.0
    world.step(Controls())
    assert "stomp" in world.happened
    assert foe not in world.bodies


def game_with_script(text: str, frames: int) -> tuple[Game, SilentMusic]:
    music = SilentMusic()
    game, inputs = Game(music), ScriptedInputs(parse_script(text))
    for _ in range(frames):
        game.step(*inputs.read())
        music.advance(frames=1)
        game.overlay.note(music, 1.0)
    return game, music


def test_the_music_follows_the_game() -> None:
    """Title, then a level's own theme over a bridge; the lake muffles, low health hurries."""
    _, music = game_with_script("5 tap start\n30 tap jump\n200 level lake\n500 level castle\n502 health 1", 900)
    begun = [event.facts["name"] for event in music.heard_events("begin")]
    assert begun[0] == "title 4"
    assert [name for name in begun if name.startswith(("overworld", "water", "castle"))] == ["overworld 11", "water 3", "castle 7"]
    assert any(name.startswith("bridge to water") for name in begun)
    assert music.position.tempo_bpm == pytest.approx(150 * 1.12, rel=0.01)


def test_a_lake_is_heard_from_under_water() -> None:
    """Once the player is in it the low-pass is on."""
    game, music = game_with_script("0 level lake", 120)
    assert game.world.underwater
    assert music._session.engine.master.low_pass > 0.5


def test_pause_and_menus() -> None:
    """Pausing stands still and quietens; options are reached from the pause and from the title, and left again."""
    game, music = game_with_script("0 level meadow\n60 tap start\n90 tap down\n95 tap jump\n120 tap right\n140 tap back", 150)
    assert (game.screen, game.paused) == ("level", True)
    assert music._session.engine.master.gains["duck"].goal == 0.5
    game, _ = game_with_script("5 tap down\n10 tap start\n20 tap left\n30 tap back", 40)
    assert (game.screen, game.options.volume) == ("title", 9)


def test_winning_the_last_level_ends_the_game() -> None:
    """The bot beats the keeper, the fanfare is played, the ending comes."""
    game, music = game_with_script("0 level boss\n1 bot on", 60 * 22)
    assert game.screen == "ending"
    assert [event.facts["name"] for event in music.heard_events("stinger")] == ["victory 0 best"]


def test_every_screen_is_drawn() -> None:
    """Each screen and the overlay over each level give a picture that is not empty."""
    import pygame

    pygame.display.init()
    picture = pygame.Surface((384, 224))
    music = SilentMusic()
    game = Game(music)
    screens = [("title", None), ("map", None), ("options", None), ("ending", None), *(("level", name) for name in NAMES)]
    for screen, level in screens:
        game._obey(Line(0, "level" if level else "screen", level or screen))
        game.step(Pressed())
        game.draw(picture)
        plain = pygame.image.tobytes(picture, "RGB")
        assert len(set(plain)) > 8
        game.overlay.visible = True
        game.draw(picture)
        assert pygame.image.tobytes(picture, "RGB") != plain
        game.overlay.visible = False


def test_headless_frames_give_pictures_and_sound(tmp_path) -> None:
    """Twenty seconds by the built-in script: the title, five levels, five overlays, and a WAV as long as the play."""
    done = run_demo("--headless", "1200", "--out", str(tmp_path), "--no-compose")
    assert done.returncode == 0, done.stderr
    pictures = {path.stem for path in tmp_path.glob("*.png")}
    assert pictures == {"title", *NAMES, *(f"{name}-overlay" for name in NAMES)}
    samples, rate = soundfile.read(tmp_path / "heard.wav", dtype="int16")
    assert len(samples) == 20 * rate
    assert loudness(samples[rate : 2 * rate]) > 200


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--headless", "0"), 2, "--headless must be between 1 and"),
        (("--level", "moon"), 2, "--level must be one of meadow"),
        (("--out", "x"), 2, "--script, --out and --no-compose belong to --headless"),
        (("--headless", "5", "--script", "no-such-script"), 1, "no-such-script"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments: tuple[str, ...], code: int, sentence: str) -> None:
    """No traceback."""
    done = run_demo(*arguments)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["5 jump now", "x tap jump", "5 tap fly", "5 tap"])
def test_a_script_that_makes_no_sense_is_refused(text: str) -> None:
    """The message names the line."""
    with pytest.raises(ValueError, match="line 1 of the script"):
        parse_script(text)


@pytest.mark.parametrize("frames", [1, 10, 100, 600, 36_000])
def test_the_built_in_script_fits_any_length(frames: int) -> None:
    """All of its lines are ones that a script may have."""
    lines = built_in(frames)
    assert all(line.word in WORDS for line in lines)
    assert {line.value for line in lines if line.word == "level"} == set(NAMES)


def test_tables_name_what_there_is() -> None:
    """Every theme, level and class of effect in the tables exists."""
    assert {row["play"] for row in TABLE if "play" in row} <= set(THEMES)
    assert {row["when"]["level"] for row in TABLE if "level" in row.get("when", {})} == set(NAMES)
    assert {kind for kind, _ in EFFECTS.values()} <= set(CLASSES)


def test_the_game_uses_public_names_only() -> None:
    """What it imports of nesasset is listed there, and no name begins with an underscore."""
    for path in (ROOT / "demo_game").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nesasset"):
                assert node.module in ("nesasset.play", "nesasset.testing", "nesasset.sfx"), path
                module = __import__(node.module, fromlist=["x"])
                assert all(alias.name in module.__all__ for alias in node.names), path
    assert nesasset.play.Music is not None


class Pad:
    """A gamepad with its stick to the left and its start button pressed."""

    get_numaxes = staticmethod(lambda: 2)
    get_axis = staticmethod(lambda axis: -1.0 if axis == 0 else 0.0)
    get_numhats = staticmethod(lambda: 0)
    get_numbuttons = staticmethod(lambda: 8)
    get_button = staticmethod(lambda button: button == 7)


def test_keyboard_and_gamepad_are_read(monkeypatch) -> None:
    """A key is new once and held until it is let go; a pad's stick and buttons are actions, too."""
    import pygame

    from demo_game.inputs import Inputs

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    pygame.display.set_mode((10, 10))
    pygame.event.clear()
    inputs = Inputs()
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE))
    assert inputs.read() == Pressed(held={"jump"}, new={"jump"})
    assert inputs.read() == Pressed(held={"jump"})
    pygame.event.post(pygame.event.Event(pygame.KEYUP, key=pygame.K_SPACE))
    assert inputs.read() == Pressed()
    inputs._pads = [Pad()]
    assert inputs.read() == Pressed(held={"start", "left"}, new={"start", "left"})
    assert inputs.read() == Pressed(held={"start", "left"})
    pygame.quit()
