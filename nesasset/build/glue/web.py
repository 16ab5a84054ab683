"""Phaser and howler.js: the list of a sprite's parts, and the few lines that follow an intro by its loop."""

from __future__ import annotations

import json
import re

from nesasset.build.engines import Export, Texts, milliseconds


def _comment(text: str) -> str:
    return re.sub(r"[\r\n*/]+", " ", text)


def _loops(export: Export) -> set[str]:
    return {piece.stem for piece in export.pieces if piece.loop is not None}


def _rate(export: Export) -> int:
    return export.pieces[0].rate


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def phaser(export: Export) -> Texts:
    """Return music.json, in the form of audiosprite that `load.audioSprite` reads, and nesasset_music.js."""
    rate, loops = _rate(export), _loops(export)
    sprites = {
        name: {"start": start / rate, "end": (start + length) / rate, "loop": name in loops}
        for name, (start, length) in export.sprite.items()
    }
    return {
        "music.json": _json({"resources": [export.sprite_file], "spritemap": sprites}),
        "nesasset_music.js": f"""// Music of {_comment(export.pack["name"])}, written by nesasset build.
//     preload() {{ this.load.audioSprite('music', '{export.below('')}music.json', '{export.below('')}{export.sprite_file}'); }}
//     create()  {{ this.music = playMusic(this, '{export.pieces[0].stem}'); }}
const INTROS = {json.dumps([name for name in export.sprite if name.endswith("_intro")])};

/** Plays a track of the sprite: its intro once, then its loop on the sample. Returns an object with stop(). */
export function playMusic(scene, name, volume = 1) {{
  const playing = [];
  const context = scene.sound.context;
  const play = (part, loop, delay) => {{
    const sound = scene.sound.addAudioSprite('music');
    sound.play(part, {{ loop, delay, volume }});
    playing.push(sound);
    return sound;
  }};
  const intro = `${{name}}_intro`;
  const marker = scene.cache.json.get('music').spritemap;
  if (INTROS.includes(intro)) {{
    play(intro, false, 0);
    play(name, marker[name].loop, marker[intro].end - marker[intro].start);
  }} else {{
    play(name, marker[name].loop, 0);
  }}
  return {{ stop: () => playing.forEach((sound) => sound.destroy()), context }};
}}
""",
    }


def howler(export: Export) -> Texts:
    """Return music.json, what `new Howl` takes, and nesasset_music.js."""
    rate, loops = _rate(export), _loops(export)
    sprite = {
        name: [milliseconds(start, rate), milliseconds(length, rate), *([True] if name in loops else [])]
        for name, (start, length) in export.sprite.items()
    }
    return {
        "music.json": _json({"src": [export.sprite_file], "sprite": sprite}),
        "nesasset_music.js": f"""// Music of {_comment(export.pack["name"])}, written by nesasset build. Needs howler.js, and its Web Audio mode (html5: false).
//     const music = await loadMusic('{export.below('')}');
//     const playing = music.play('{export.pieces[0].stem}');
//     playing.stop();

/** Loads the sprite; `folder` ends in a slash. */
export async function loadMusic(folder, HowlClass = globalThis.Howl) {{
  const list = await (await fetch(`${{folder}}music.json`)).json();
  const howl = new HowlClass({{ src: list.src.map((file) => folder + file), sprite: list.sprite, html5: false }});
  return {{
    howl,
    /** Plays a track: its intro once, then its loop. Returns an object with stop(). */
    play(name) {{
      const intro = `${{name}}_intro`;
      let id = howl.play(intro in list.sprite ? intro : name);
      if (intro in list.sprite) {{
        howl.once('end', () => {{ id = howl.play(name); }}, id);
      }}
      return {{ stop: () => howl.stop(id), id: () => id }};
    }},
  }};
}}
""",
    }
