"""The preview page and the sprites in a real browser: Debian's Chromium, without a window."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from test_engines import RATE, TRACKS, compose, expected, rounds

from nesasset.build import builder, preview, project, studio
from nesasset.build.builder import Settings
from nesasset.build.cache import Cache

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"])
        yield made
        made.close()


@pytest.fixture
def page(browser) -> Iterator[object]:
    """A page whose messages and requests are written down."""
    opened = browser.new_page()
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def game(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("game")
    text = TRACKS + "[export.plain]\ndir = 'plain'\n[export.phaser]\ndir = 'phaser'\nformat = 'wav'\n[export.howler]\ndir = 'howler'\nformat = 'wav'\n"
    (folder / "nesasset.toml").write_text(text, encoding="utf-8")
    found = project.load(folder / "nesasset.toml")
    cache = Cache(folder / "cache")
    builder.build(found, Settings(make=partial(studio.make, compose=compose), cache=cache))
    (folder / "preview.html").write_text(preview.page(found, list(found.orders), cache), encoding="utf-8")
    return folder


def heard(page, script: str, *arguments: object) -> np.ndarray:
    """Return what an OfflineAudioContext gives out, as 16-bit samples; the script returns it as base64 of float32."""
    raw = base64.b64decode(page.evaluate(script, list(arguments)))
    return np.rint(np.frombuffer(raw, dtype="<f4").astype(np.float64) * 32_768).astype(np.int64)


def until(page, condition: str, timeout_s: float = 30) -> None:
    """Wait for a condition; the page's own policy forbids playwright's way, which makes code of a text."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


TO_TEXT = """
const text = (samples) => {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let found = '';
  for (let at = 0; at < bytes.length; at += 8192) found += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(found);
};
"""


def test_the_page_loads_and_says_nothing(page, game: Path) -> None:
    """All tracks are there with their facts, the console stays empty, and nothing but the file is asked for."""
    page.goto((game / "preview.html").as_uri())
    assert page.locator("article").count() == 3
    assert page.locator("article h2").all_inner_texts() == ["old-cave", "boss", "victory"]
    text = page.locator("#track-old-cave").inner_text()
    start, length = expected().loop
    assert f"samples {start} to {start + length}" in text
    assert "Certificate of the loop: passed" in text
    assert "LUFS" in text
    assert page.locator("img").first.evaluate("image => image.naturalWidth") > 500
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []


def test_a_track_plays_and_turns_at_its_loop(page, game: Path) -> None:
    """The button plays, the clock runs with the audio hardware's, and after the end the loop's start comes again."""
    page.goto((game / "preview.html").as_uri())
    page.locator("#track-old-cave button").first.click()
    until(page, "nesasset.position() && nesasset.position().seconds > 0.2")
    start, length = (value / RATE for value in expected().loop)
    first = page.evaluate("nesasset.position()")
    assert first["round"] == 1
    until(page, "nesasset.position().round >= 2")
    again = page.evaluate("nesasset.position()")
    assert start <= again["seconds"] < start + length
    assert page.locator("#track-old-cave button").first.inner_text() == "Stop"
    page.locator("#track-old-cave button").first.click()
    assert page.evaluate("nesasset.position()") is None
    assert page.said == []


def test_a_jingle_ends_by_itself(page, game: Path) -> None:
    """What does not loop stops, and its button is ready again."""
    page.goto((game / "preview.html").as_uri())
    page.evaluate("nesasset.play('victory', nesasset.data.tracks[2].samples / nesasset.data.tracks[2].rate - 0.3)")
    until(page, "nesasset.position() === null")
    assert page.locator("#track-victory button").first.inner_text() == "Play"


def test_the_page_plays_the_very_samples(page, game: Path) -> None:
    """Web Audio, from the page's own source with its own loop points, gives out intro and loop three times, sample for sample."""
    page.goto((game / "preview.html").as_uri())
    wanted = rounds(expected().samples, expected().loop, 3)
    script = f"""async ([id, count]) => {{ {TO_TEXT}
      const track = nesasset.data.tracks.find((one) => one.id === id);
      const context = new OfflineAudioContext(1, count, track.rate);
      nesasset.source(context, await nesasset.decoded(track), track).start();
      return text((await context.startRendering()).getChannelData(0)); }}"""
    assert np.array_equal(heard(page, script, "old-cave", len(wanted)), wanted)


@pytest.mark.parametrize("engine", ["phaser", "howler"])
def test_a_sprites_parts_loop_in_the_browser(page, game: Path, engine: str) -> None:
    """Each looping part, cut and looped by the list's numbers as the engine's library does it, is the loop, sample for sample."""
    document = json.loads((game / engine / "music.json").read_text())
    if engine == "phaser":
        parts = {key: (entry["start"], entry["end"]) for key, entry in document["spritemap"].items() if entry["loop"]}
    else:
        parts = {key: (entry[0] / 1000, (entry[0] + entry[1]) / 1000) for key, entry in document["sprite"].items() if len(entry) > 2}
    start, length = expected().loop
    loops = {"old_cave": expected().samples[start : start + length], "boss": expected("boss").samples}
    assert set(parts) == set(loops)
    data = base64.b64encode((game / engine / "music.wav").read_bytes()).decode()
    script = f"""async ([data, start, end, count, rate]) => {{ {TO_TEXT}
      const raw = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer;
      const context = new OfflineAudioContext(1, count, rate);
      const source = context.createBufferSource();
      source.buffer = await context.decodeAudioData(raw);
      source.loop = true; source.loopStart = start; source.loopEnd = end;
      source.connect(context.destination);
      source.start(0, start);
      return text((await context.startRendering()).getChannelData(0)); }}"""
    page.goto("about:blank")
    for key, sound in loops.items():
        found = heard(page, script, data, *parts[key], 3 * len(sound), RATE)
        assert np.abs(found - np.tile(sound, 3)).max() <= 1, key


def test_a_name_that_looks_like_code_is_text(page, tmp_path: Path) -> None:
    """A pack's name with tags in it is shown, not run."""
    name = "</script><script>document.title = 'run'</script><b>"
    (tmp_path / "nesasset.toml").write_text(f"schema = 1\n[pack]\nname = {json.dumps(name)}\n[track.a]\ntheme = 'victory'\n")
    found = project.load(tmp_path / "nesasset.toml", str(tmp_path / "pack"))
    builder.build(found, Settings(make=partial(studio.make, compose=compose)))
    (tmp_path / "page.html").write_text(preview.page(found, ["a"]), encoding="utf-8")
    page.goto((tmp_path / "page.html").as_uri())
    assert page.title() == f"{name}: music"
    assert page.locator("h1").inner_text() == name
    assert page.said == []
