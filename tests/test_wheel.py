"""The wheel, not the checkout: built with and without a compiler, installed alone, and made to work without the tools of development."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pieces
import pytest

import nesasset
from nesasset.formats import score_json

ROOT = Path(__file__).parent.parent
MAX_BYTES = 20_000_000

pytest.importorskip("hatchling", reason="the wheel is built with hatchling, from the extra dev")
pytest.importorskip("setuptools", reason="the extension is compiled with setuptools, from the extra dev")

HEADER = Path(sysconfig.get_path("include")) / "Python.h"
compiler = pytest.mark.skipif(
    os.name == "nt" or shutil.which(os.environ.get("CC", "cc")) is None or not HEADER.exists(),
    reason="no C compiler, or no headers of Python",
)

WALL = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "onnxscript", "lightning", "pygame", "pretty_midi", "pytest", "export"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Wall())
"""


def build(folder: Path, **variables: str) -> tuple[Path, str]:
    """Build the wheel and return it, and what was printed on standard error."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    environment = os.environ | variables
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))[0]


@pytest.fixture(scope="module")
def pure(tmp_path_factory) -> tuple[Path, str]:
    """Return a wheel that was built with a compiler that fails, and what the build said."""
    return build(tmp_path_factory.mktemp("pure"), CC="false")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("environment"))


def install(wheel: Path, folder: Path) -> Path:
    """Return the Python of a fresh environment with the wheel, and with this environment's other packages behind it.

    A path file makes the dependencies visible without a network; it does not follow this environment's own path files,
    so an editable install of the checkout stays unseen.
    """
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (site / "wall.py").write_text(WALL)
    (site / "wall.pth").write_text("import wall\n")
    return scripts / "python"


def run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = ("PYTHONPATH", "NESASSET_MODEL_DIR", "NESASSET_NO_EXTENSION")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = [str(python), "-m", "nesasset", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path, record_property) -> None:
    """Only nesasset/ and its metadata are in the wheel, with py.typed; its size is printed and bounded."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    size = wheel.stat().st_size
    record_property("wheel_bytes", size)
    print(f"{wheel.name}: {size / 1e6:.2f} MB, {len(names)} files")
    assert {name.split("/")[0] for name in names} == {"nesasset", f"nesasset-{nesasset.__version__}.dist-info"}
    assert {"nesasset/py.typed", "nesasset/build/preview.html"} <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".pkl", ".pt", ".ckpt", ".c", "_build.py"))]
    assert size <= MAX_BYTES


def test_the_models_are_in_the_wheel(wheel: Path) -> None:
    """Every file of models/ is package data."""
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if name.startswith("nesasset/models/")}
    models = ROOT / "models"
    expected = {f"nesasset/models/{path.relative_to(models).as_posix()}" for path in models.rglob("*") if path.is_file()}
    assert shipped == expected


def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    """The fresh environment imports the wheel, not the checkout."""
    program = "import nesasset; print(nesasset.__file__)"
    done = subprocess.run([str(installed), "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(ROOT) not in done.stdout


def test_the_installed_wheel_renders(installed: Path, tmp_path: Path) -> None:
    """Without PyTorch, onnx and pygame, a score becomes sound and MIDI and is described."""
    score_json.save(pieces.loop_score(), tmp_path / "score.json")
    for arguments in (
        ["--version"],
        ["themes"],
        ["render", "score.json", "-o", "a.ogg"],
        ["render", "score.json", "-o", "a.wav"],
        ["render", "score.json", "-o", "a.mid"],
        ["info", "a.ogg"],
    ):
        done = run(installed, tmp_path, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments


def test_the_installed_wheel_composes_and_builds(installed: Path, tmp_path: Path) -> None:
    """Without PyTorch, onnx and pygame, the shipped model composes and a pack is built."""
    if not list((ROOT / "models").glob("*.onnx")):
        pytest.skip("no model in models/")
    (tmp_path / "nesasset.toml").write_text("schema = 1\n[pack]\nname = 'n'\n[track.a]\ntheme = 'item'\n")
    for arguments in (["compose", "item", "-o", "a.json"], ["build"]):
        done = run(installed, tmp_path, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments


def extension_of(python: Path, folder: Path) -> dict[str, object]:
    return json.loads(run(python, folder, "info", "--system", "--json").stdout)["extension"]


@compiler
def test_the_extension_is_in_the_wheel(wheel: Path, installed: Path, tmp_path: Path) -> None:
    """With a compiler the wheel is one for this platform and every Python from 3.11 on, and its extension is used."""
    with zipfile.ZipFile(wheel) as archive:
        assert "nesasset/apu/_fast.abi3.so" in archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("dist-info/WHEEL"))
    tag = wheel.stem.split("-", 2)[2]
    assert tag.startswith("cp311-abi3-")
    assert not tag.endswith("-any")
    assert {"Root-Is-Purelib: false", f"Tag: {tag}"} <= set(metadata.splitlines())
    assert extension_of(installed, tmp_path) == {"in_use": True, "reason": None}


@pytest.mark.skipif(os.name == "nt", reason="CC does not choose the compiler there")
def test_without_a_compiler_the_wheel_is_pure(pure: tuple[Path, str]) -> None:
    """A compiler that fails does not fail the build: the wheel is one for all platforms, and one line says why."""
    path, said = pure
    assert path.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if "_fast" in name]
    (line,) = (line for line in said.splitlines() if line.startswith("nesasset: "))
    assert line.startswith("nesasset: built without nesasset.apu._fast, which needs a C compiler")


@compiler
def test_both_wheels_render_the_same_bytes(pure: tuple[Path, str], installed: Path, tmp_path: Path) -> None:
    """With the extension and without it a score becomes the same files."""
    plain = install(pure[0], tmp_path / "environment")
    assert extension_of(plain, tmp_path) == {"in_use": False, "reason": "not built"}
    score_json.save(pieces.loop_score(), tmp_path / "score.json")
    for python, name in ((installed, "a"), (plain, "b")):
        done = run(python, tmp_path, "render", "score.json", "-o", f"{name}.wav", "--loops", "2")
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


HOOK = """
import sys
from nesasset.apu._build import FastHook

made = {"force_include": {}}
hook = FastHook(sys.argv[1], {}, None, None, sys.argv[1], "wheel")
hook.initialize("editable", made)
hook.finalize("editable", made, "")
assert made == {"force_include": {}}, made
"""


@compiler
def test_an_editable_install_compiles_beside_the_source(tmp_path: Path) -> None:
    """The extension is written beside _fast.c; without a compiler none is left there, not even an old one."""
    folder = tmp_path / "nesasset" / "apu"
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "nesasset/apu/_fast.c", folder / "_fast.c")
    found = []
    for variables in ({}, {"CC": "false"}):
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
        command = [sys.executable, "-c", HOOK, str(tmp_path)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
        found.append((done.returncode, done.stderr.split(",")[0], sorted(path.name for path in folder.iterdir())))
    assert found == [
        (0, "", ["_fast.abi3.so", "_fast.c"]),
        (0, "nesasset: built without nesasset.apu._fast", ["_fast.c"]),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["nesasset"]
