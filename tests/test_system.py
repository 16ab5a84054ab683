"""`nesasset info --system`: what an installation is made of, said also where parts of it are missing or broken."""

from __future__ import annotations

import json
import platform
import sys
import types
from importlib.metadata import version
from pathlib import Path

import pytest

import nesasset
from nesasset.apu import extension
from nesasset.model import DEFAULT_MODEL

FAST = "nesasset.apu._fast"
MODELS = Path(__file__).parent.parent / "models"


@pytest.fixture
def ask(run, monkeypatch):
    """Return what --system says of the extension, with a module in its place and the variable set."""

    def ask(module: types.ModuleType | None, variable: str = "") -> dict[str, object]:
        monkeypatch.setitem(sys.modules, FAST, module)  # None: no such module
        monkeypatch.setenv("NESASSET_NO_EXTENSION", variable)
        extension.fast.cache_clear()
        code, output, errors = run("info", "--system", "--json")
        assert (code, errors) == (0, "")
        return json.loads(output)["extension"]

    yield ask
    extension.fast.cache_clear()


def made(number: int) -> types.ModuleType:
    module = types.ModuleType(FAST)
    module.VERSION = number
    return module


def test_versions_and_platform_are_this_interpreters(run) -> None:
    """Versions and the platform are those of the running Python and of the packages installed."""
    code, output, errors = run("info", "--system", "--json")
    assert (code, errors) == (0, "")
    facts = json.loads(output)
    assert set(facts) == {"nesasset", "python", "numpy", "onnxruntime", "platform", "extension", "model"}
    assert (facts["nesasset"], facts["python"]) == (nesasset.__version__, platform.python_version())
    assert (facts["numpy"], facts["onnxruntime"]) == (version("numpy"), version("onnxruntime"))
    assert facts["platform"] == platform.platform()


def test_people_get_the_same_facts(run) -> None:
    """Without --json each fact has a line of its own."""
    facts = json.loads(run("info", "--system", "--json")[1])
    code, output, errors = run("info", "--system")
    assert (code, errors) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert lines["python"] == facts["python"]
    assert lines["platform"] == facts["platform"]
    assert lines["extension.in_use"] == str(facts["extension"]["in_use"])
    assert lines["model.sha256"] == facts["model"]["sha256"]


def test_the_model_is_the_default_one(run) -> None:
    """The model is named with the start of the SHA-256 that its sidecar has."""
    if not list(MODELS.glob("*.onnx")):
        pytest.skip("no model in models/")
    sidecar = json.loads((MODELS / f"{DEFAULT_MODEL}.json").read_bytes())
    facts = json.loads(run("info", "--system", "--json")[1])
    assert facts["model"] == {"name": DEFAULT_MODEL, "sha256": sidecar["model"]["sha256"][:12]}


def test_a_missing_model_is_a_finding(run, tmp_path: Path, monkeypatch) -> None:
    """Without a model everything else is still said, and the sentence stands where the model would."""
    monkeypatch.setenv("NESASSET_MODEL_DIR", str(tmp_path))
    code, output, errors = run("info", "--system", "--json")
    assert (code, errors) == (0, "")
    facts = json.loads(output)
    assert list(facts["model"]) == ["fault"]
    assert facts["model"]["fault"].endswith(f"{DEFAULT_MODEL}.json is not in {tmp_path}")
    assert facts["nesasset"] == nesasset.__version__


def test_a_loaded_extension_is_in_use(ask) -> None:
    """A compiled module of this version is in use, and there is no reason why not."""
    assert ask(made(extension.VERSION)) == {"in_use": True, "reason": None}


def test_no_extension_is_not_built(ask) -> None:
    """Where there is no compiled module, it was not built."""
    assert ask(None) == {"in_use": False, "reason": "not built"}


@pytest.mark.parametrize("module", [None, made(extension.VERSION)])
def test_the_variable_forces_it_off(ask, module) -> None:
    """With NESASSET_NO_EXTENSION=1 that is the reason, built or not; 0 forces nothing."""
    assert ask(module, "1") == {"in_use": False, "reason": "forced off by NESASSET_NO_EXTENSION"}
    assert ask(made(extension.VERSION), "0")["in_use"] is True


def test_an_extension_of_another_version_is_named_so(ask) -> None:
    """A compiled module of another version is not in use, though it was built."""
    answer = ask(made(extension.VERSION + 1))
    assert answer == {"in_use": False, "reason": "built from another version's source; install again"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Missing argument 'FILE'."),
        (["--json"], "Missing argument 'FILE'."),
        (["a.json", "--system"], "--system takes no FILE: it describes the installation"),
    ],
)
def test_a_file_or_the_system(run, arguments: list[str], sentence: str) -> None:
    """Exactly one of FILE and --system must be given."""
    assert run("info", *arguments) == (2, "", f"nesasset: {sentence} (see nesasset info --help)\n")
