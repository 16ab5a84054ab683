"""The house's walls: who may import whom, what loads when, and that nothing needs torch to run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nesasset"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

# From the bottom to the top; a module may import its own floor and those below. What is not named has the floor of the
# package that it lies in.
FLOORS = (
    {"errors"},
    {"units"},
    {"score", "register_log", "audio", "themes", ""},
    {"apu", "vocabulary", "recall", "chords"},
    {"driver", "registers", "sfx", "idioms", "articulation", "render", "model", "model_files", "model_names", "sampling", "features", "originality", "motifs", "formats", "arranging", "certificate", "loudness"},
    {"compose"},
    {"build", "play"},
    {"testing"},
    {"cli", "commands", "__main__", "_pyinstaller"},
)
# Data classes of compose that stand on nothing but the nouns.
LOWER = {"nesasset.compose.controls": 3, "nesasset.compose.form": 2, "nesasset.compose.motif": 3, "nesasset.compose.scales": 3}
FORBIDDEN = {"export", "demo_game", "torch", "lightning", "onnx", "onnxscript", "mutagen", "scipy", "numba", "matplotlib"}
HEAVY = {"numpy", "onnxruntime", "soundfile", "pydantic", "rich", "PIL", "mido", "pygame"}


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> int:
    if module in LOWER:
        return LOWER[module]
    room = module.split(".")[1] if "." in module else ""
    for number, rooms in enumerate(FLOORS):
        if room in rooms:
            return number
    raise AssertionError(f"{module} has no floor: give it one in this test and in the architecture")


def imports(path: Path, top_level_only: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports; what only the type checker sees does not count as loading."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            skipped.update(child for part in node.body for child in ast.walk(part))
        if top_level_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            skipped.update(ast.walk(node))
    known = {dotted(module) for module in MODULES}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            for alias in node.names:  # `from nesasset.formats import ogg` imports the module nesasset.formats.ogg
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_point_downwards(path: Path) -> None:
    """No module imports one of a higher floor, and build and play never meet."""
    module = dotted(path)
    for other in imports(path):
        if other.split(".")[0] != "nesasset" or other == module:
            continue
        assert floor(other) <= floor(module), f"{module} imports {other}, which lies above it"
        assert {module.split(".")[1:2][0] if "." in module else "", other.split(".")[1:2][0] if "." in other else ""} != {
            "build",
            "play",
        }


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_nothing_forbidden_is_imported(path: Path) -> None:
    """The package never imports training code, PyTorch, onnx or a library that it must not carry."""
    wrong = {name.split(".")[0] for name in imports(path)} & FORBIDDEN
    assert not wrong
    if "play" not in path.relative_to(PACKAGE).parts:
        assert "pygame" not in {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", [*(PACKAGE / "commands").glob("*.py"), PACKAGE / "cli.py", PACKAGE / "__main__.py"], ids=dotted)
def test_commands_load_nothing_heavy_at_the_top(path: Path) -> None:
    """Command modules import heavy libraries inside their functions only, so that --help is quick."""
    names = {name.split(".")[0] for name in imports(path, top_level_only=True)}
    assert not names & HEAVY


LOADED = """
import sys
{program}
print(*sorted(name for name in {names} if name in sys.modules))
"""


@pytest.mark.parametrize(
    "program",
    ["import nesasset", "import nesasset; dir(nesasset)", "from nesasset import cli; cli.main(['--help'])"],
)
def test_import_and_help_load_nothing_heavy(run_python, program: str) -> None:
    """`import nesasset` and `nesasset --help` load neither numpy nor onnxruntime nor any other large library."""
    done = run_python(LOADED.format(program=program, names=sorted(HEAVY | {"tomllib", "importlib.metadata"})))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == ""


BLOCKED = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "onnxscript", "lightning", "pygame", "pretty_midi", "hypothesis"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Wall())
"""


def test_a_score_becomes_files_without_torch(run_python, tmp_path: Path) -> None:
    """With torch, onnx and pygame blocked a fresh interpreter drives, renders, certifies and writes every format."""
    program = f"""{BLOCKED}
import pieces
from pathlib import Path
from nesasset.build import builder, project, studio
from functools import partial
Path("nesasset.toml").write_text("schema = 1\\n[pack]\\nname = 'n'\\n[track.a]\\ntheme = 'town'\\n[track.b]\\ntheme = 'item'\\n")
builder.build(project.load(Path("nesasset.toml")), builder.Settings(make=partial(studio.make, compose=pieces.compose)))
from nesasset.cli import main
for suffix in ("wav", "flac", "mid"):
    assert main(["render", "pack/a.json", "-o", "a." + suffix]) == 0
"""
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "pack" / "pack.json").exists()


def test_a_score_is_composed_without_torch(run_python, tmp_path: Path) -> None:
    """With torch, onnx and pygame blocked the shipped model composes."""
    if not list((ROOT / "models").glob("*.onnx")):
        pytest.skip("no model in models/")
    done = run_python(f"{BLOCKED}\nfrom nesasset.cli import main\nsys.exit(main(['compose', 'item', '-o', 'a.json']))")
    assert (done.returncode, done.stderr) == (0, "")


def test_public_names_are_what_they_say(run_python) -> None:
    """Every public name loads, again after its module has been imported, and is not the module itself."""
    program = """
import types
import nesasset
import nesasset.driver, nesasset.render
for _ in range(2):
    for name in nesasset.__all__:
        assert not isinstance(getattr(nesasset, name), types.ModuleType), name
"""
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")
