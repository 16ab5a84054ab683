"""Engines and themes of another package, installed as a package: found by name, told by name when they are broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = """
from nesasset.build.engines import Engine, Export
from nesasset.themes import Theme


def notes(export: Export) -> dict[str, str]:
    return {"tracks.txt": "".join(f"{piece.stem} {piece.files['whole']} {piece.rate}\\n" for piece in export.pieces)}


ENGINE = Engine("tiny-engine", "Tiny engine", "tiny", ("wav",), "code", "samples", "exact", "Writes a list.", notes)
THEMES = [Theme("swamp", "dungeon_underground", 110.0, (90.0, 130.0), "minor", 0.3, "low", 8, True, "Mud and fog.")]
BROKEN = 3
"""


def install(site: Path, points: str) -> None:
    """Lay a package out as pip does: its module, and a dist-info with entry points."""
    site.mkdir()
    (site / "tiny_engine.py").write_text(PACKAGE)
    info = site / "tiny_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


def nesasset(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(folder / "site")])
    program = "import sys\nimport pieces\nfrom nesasset.build import stages\nstages.compose_score = pieces.compose\nfrom nesasset import cli\nsys.exit(cli.main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, check=False)


GOOD = "[nesasset.exporters]\ntiny-engine = tiny_engine:ENGINE\n[nesasset.themes]\ntiny = tiny_engine:THEMES\n"
MANIFEST = "schema = 1\n[pack]\nname = 'n'\n[defaults]\nbars = 1\n[track.mire]\ntheme = 'swamp'\n[export.tiny-engine]\n"


def test_an_installed_package_brings_an_engine_and_a_theme(tmp_path: Path) -> None:
    """Both are used by name in a manifest, the engine's files are made and checked like ours, and the schema knows it."""
    install(tmp_path / "site", GOOD)
    (tmp_path / "nesasset.toml").write_text(MANIFEST)
    done = nesasset(tmp_path, "build", "-j", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "tiny/tracks.txt").read_text() == "mire mire.wav 44100\n"
    assert nesasset(tmp_path, "build", "--check").returncode == 0
    (tmp_path / "tiny/tracks.txt").unlink()
    assert nesasset(tmp_path, "build", "--check").returncode == 1
    assert '"tiny-engine"' in nesasset(tmp_path, "schema").stdout


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ("", "unknown engine 'tiny-engine'"),
        ("[nesasset.exporters]\ntiny-engine = tiny_engine:BROKEN\n", "the exporter 'tiny-engine' of tiny-engine must be an Engine, not int"),
        ("[nesasset.exporters]\ntiny-engine = tiny_engine:NONE\n", "the plugin 'tiny-engine' of tiny-engine cannot be loaded (AttributeError"),
        ("[nesasset.exporters]\ntiny-engine = no_such_module:X\n", "cannot be loaded (ModuleNotFoundError"),
        ("[nesasset.exporters]\nother = tiny_engine:ENGINE\n", "the exporter 'other' of tiny-engine must have its entry point's name"),
        ("[nesasset.exporters]\ntiny-engine = tiny_engine:ENGINE\n[nesasset.themes]\na = tiny_engine:BROKEN\n", "the themes 'a' of tiny-engine must be Theme, not int"),
    ],
)
def test_a_broken_package_is_told_by_name(tmp_path: Path, points: str, sentence: str) -> None:
    """Whatever another package does wrong is a sentence with its name, and no traceback."""
    install(tmp_path / "site", points)
    (tmp_path / "nesasset.toml").write_text(MANIFEST)
    done = nesasset(tmp_path, "build", "-j", "1")
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
