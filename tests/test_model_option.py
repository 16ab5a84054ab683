"""`--model NAME` of the commands that make something of a piece: another model than the one that composed it, by name, or a sentence."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pieces import loop_score
from standin_model import EDGES, STANDIN

from nesasset.formats import score_json

COMMANDS = {
    "vary": ("vary", "a.json", "--bars", "2", "--candidates", "1", "-o", "made.json"),
    "bridge": ("bridge", "a.json", "b.json", "--bars", "1", "-o", "made.json"),
    "family": ("family", "a.json", "--members", "boss", "-o", "made"),
    "morph": ("morph", "a.json", "b.json", "--steps", "3", "-o", "made"),
}
MADE = {"vary": "made.json", "bridge": "made.json", "family": "made/a-boss.json", "morph": "made/a-b-2.json"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two pieces of the default model, which cannot be loaded, and install the stand-in as mystyle."""
    home = tmp_path / "home"
    home.mkdir()
    for path in STANDIN.parent.glob("standin.*"):
        shutil.copy(path, home / path.name.replace("standin", "mystyle"))
    sidecar = json.loads((home / "mystyle.json").read_text())
    (home / "mystyle.json").write_text(json.dumps({**sidecar, "edges": EDGES}))
    monkeypatch.setattr("nesasset.model_names.user_models_dir", lambda: home)
    monkeypatch.setattr("nesasset.model.default_model", lambda: pytest.fail("the default model was loaded"))
    place = tmp_path / "game"
    place.mkdir()
    monkeypatch.chdir(place)
    for seed, name in ((3, "a"), (8, "b")):
        score_json.save(replace(loop_score(seed), provenance={"model": "nes-1"}), place / f"{name}.json")
    return place


@pytest.mark.parametrize("name", COMMANDS)
def test_the_named_model_composes(name: str, run) -> None:
    """What is new says whose it is."""
    code, _, error = run(*COMMANDS[name], "--model", "mystyle")
    assert (code, error) == (0, "")
    assert score_json.load(MADE[name]).provenance["model"] == "mystyle"


def test_the_training_songs_of_the_named_model(run) -> None:
    """`originality` compares with its index, or says that it has none."""
    code, text, _ = run("originality", "a.json", "--model", "mystyle", "--json")
    told = json.loads(text)
    assert code == 0 and (told["model"], told["training"]) == ("mystyle", None)
    assert "the model mystyle has no index" in run("originality", "a.json", "--model", "mystyle")[1]


@pytest.mark.parametrize("arguments", [*COMMANDS.values(), ("originality", "a.json")])
def test_models_that_are_not_there(arguments: tuple[str, ...], run, folder: Path) -> None:
    """A name that nobody has and a path are refused in one sentence, and nothing is written."""
    for wrong, expected, message in (("mystile", 1, "no model 'mystile' is installed, did you mean mystyle?"), ("../mystyle", 2, "model must be the name of an installed model")):
        code, text, error = run(*arguments, "--model", wrong)
        assert (code, text) == (expected, "")
        assert message in error and len(error.splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "b.json"]
