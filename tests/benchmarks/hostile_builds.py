"""Damaged manifests, locks, scores, maps and cache objects into `nesasset build`: no traceback, the right exit code, nothing lost.

    python tests/benchmarks/hostile_builds.py [--files 300] [--seed 1]

Each round takes a game that has been built, damages one file, and runs `--check` and `build`. Nothing may end with 3, no line may be
a traceback, a person's score must still be there byte by byte, and once the damaged file is put back, a build must give the very
files of before. Composes small pieces. Prints a table, and JSON on the last line; ends with 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import pieces  # noqa: E402

from nesasset import cli  # noqa: E402
from nesasset.build import stages  # noqa: E402
from nesasset.formats import score_json  # noqa: E402

MANIFEST = """schema = 1
[pack]
name = "hostile"
rate = 44100
[defaults]
bars = 1
[track.town]
theme = "town"
seed = 3
form = "AB"
bars = 2
[track.mine]
theme = "boss"
[export.plain]
dir = "plain"
[export.godot]
dir = "godot"
[quality]
loudness = -21.5
tolerance = 6
[sources]
maps = ["maps/*.t*", "world.ldtk"]
"""
TMX = '<?xml version="1.0"?>\n<map width="2" height="1"><properties><property name="music_theme" value="cave"/></properties><layer id="1" width="2" height="1"><data encoding="csv">1,2</data></layer></map>'
TMJ = {"width": 2, "height": 1, "layers": [{"type": "tilelayer", "data": [1, 2]}], "properties": [{"name": "music_theme", "type": "string", "value": "item"}]}
LDTK = {"levels": [{"identifier": "Level_0", "fieldInstances": [{"__identifier": "music_theme", "__value": "victory"}], "layerInstances": []}]}
WORDS = (b"null", b"-1", b"1e999", b"[]", b"{}", b'""', b"99999999999999999999", b"true", b"\x00", b"\xff\xfe", b"[[", b'"', b"=", b"../../x", b"nan", b"\xed\xa0\x80", b"0", b"-", b"a" * 3000)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return data damaged in one of many ways."""
    kind = chance.randrange(9)
    at = chance.randrange(len(data) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + chance.choice(WORDS) + data[at + chance.randrange(12) :]
    if kind == 3:  # a line twice, or one less
        lines = data.splitlines(keepends=True)
        number = chance.randrange(len(lines)) if lines else 0
        return b"".join(lines[:number] + lines[number + 1 :] if chance.random() < 0.5 else lines[: number + 1] + lines[number:])
    if kind == 4:
        end = min(len(data), at + chance.randrange(200))
        return data[:at] + data[end:]
    if kind == 5:
        return data[:at] + data[at : at + 200] * 3 + data[at:]
    if kind == 6:
        return chance.choice((b"", b"\x00" * 50, b"{", b"[" * 5000, b"\xff" * 9, b"schema = 1\n", b"version = 1\n", b"<a>" * 3000))
    if kind == 7:  # one number becomes another
        digits = [index for index, byte in enumerate(data) if 48 <= byte <= 57]
        if not digits:
            return data + b"0"
        index = chance.choice(digits)
        return data[:index] + chance.choice((b"-7", b"7.5", b"1234567890123", b"")) + data[index + 1 :]
    words = bytearray(data)
    for _ in range(chance.randrange(1, 30)):
        if words:
            words[chance.randrange(len(words))] = chance.randrange(256)
    return bytes(words)


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command line in a folder and return its code and all that it said."""
    said = io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = cli.main(arguments)
    finally:
        os.chdir(before)
    return code, said.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def restore(folder: Path, wanted: dict[str, bytes]) -> None:
    """Make a folder hold exactly those files."""
    for name in contents(folder):
        if name not in wanted:
            (folder / name).unlink()
    for name, content in wanted.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def main() -> int:
    """Damage, run, look, put back."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance, codes, wrong = random.Random(options.seed), Counter(), []
    stages.compose_score = pieces.compose
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder, cache = place / "game", place / "cache"
        os.environ["NESASSET_CACHE_DIR"] = str(cache)
        (folder / "maps").mkdir(parents=True)
        (folder / "scores").mkdir()
        (folder / "nesasset.toml").write_text(MANIFEST)
        (folder / "maps/a.tmx").write_text(TMX)
        (folder / "maps/b.tmj").write_text(json.dumps(TMJ, indent=1))
        (folder / "world.ldtk").write_text(json.dumps(LDTK, indent=1))
        score_json.save(pieces.loop_score(9, 1, theme="boss"), folder / "scores/mine.json")  # a person's work
        code, said = run(folder, "build", "-j", "1")
        assert code == 0, said
        wanted, mine = contents(folder), (folder / "scores/mine.json").read_bytes()
        groups = {
            "manifest": ["nesasset.toml"], "lock": ["nesasset.lock"], "scores": [name for name in wanted if name.startswith("scores/")],
            "maps": ["maps/a.tmx", "maps/b.tmj", "world.ldtk"], "cache": [],
        }  # fmt: skip
        for number in range(options.files):
            group = list(groups)[number % len(groups)]
            target = folder / chance.choice(groups[group]) if group != "cache" else chance.choice([path for path in sorted(cache.rglob("*")) if path.is_file()])
            original = target.read_bytes()
            damaged = mutate(original, chance)
            target.write_bytes(damaged)
            if group == "cache":
                shutil.rmtree(folder / "plain")  # so that the build looks into the cache
            for arguments in (("build", "--check"), ("build", "-j", "1")):
                code, said = run(folder, *arguments)
                codes[group, arguments[-1] if arguments[-1] == "--check" else "build", code] += 1
                if code not in (0, 1, 2) or "Traceback" in said or not said.strip():
                    wrong.append(f"{number} {group} {target.name} {arguments[1]}: code {code}, {said[-300:]!r}")
                if any(len(line) > 2000 for line in said.splitlines()):
                    wrong.append(f"{number} {group} {target.name}: a line of {max(map(len, said.splitlines()))} letters")
            if target != folder / "scores/mine.json" and (folder / "scores/mine.json").read_bytes() != mine:
                wrong.append(f"{number} {group} {target.name}: the person's score was overwritten")
            if group == "scores" and target.read_bytes() != damaged and target.name == "mine.json":
                wrong.append(f"{number} {target.name}: a damaged score of a person was overwritten")
            if group != "cache":
                # Everything that the damaged file led to is put back but the cache: it must not have learnt anything wrong.
                restore(folder, {name: content for name, content in wanted.items() if not name.startswith(("plain/", "godot/"))})
            code, said = run(folder, "build", "-j", "1")
            if code or contents(folder) != wanted:
                wrong.append(f"{number} {group} {target.name}: afterwards {code} {sorted(set(contents(folder).items()) ^ set(wanted.items()))[:2]}"[:400])
                restore(folder, wanted)
    print(f"{'what':10}{'how':10}" + "".join(f"{f'code {code}':>9}" for code in (0, 1, 2)))
    for group in groups:
        for how in ("--check", "build"):
            print(f"{group:10}{how:10}" + "".join(f"{codes[group, how, code]:9}" for code in (0, 1, 2)))
    print(f"{options.files} files, {len(wrong)} wrong")
    for line in wrong[:20]:
        print(line)
    print(json.dumps({"files": options.files, "wrong": len(wrong)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
