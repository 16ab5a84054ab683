"""`nesasset build` and the commands around it, as a user or a CI runs them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pieces
import pytest

from nesasset.build import provenance, stages
from nesasset.formats import famitracker, midi, score_json

ROOT = Path(__file__).parent.parent
MANIFEST = """schema = 1
[pack]
name = 'tests'
author = "A | B"
[defaults]
bars = 2
[track.town]
theme = 'town'
seed = 3
[track.item]
theme = 'item'
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch) -> Path:
    """Run every test in a folder with a manifest, with pieces instead of the model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages, "compose_score", pieces.compose)
    (tmp_path / "nesasset.toml").write_text(MANIFEST)
    return tmp_path


@pytest.fixture
def built(place: Path, run) -> Path:
    assert run("build", "-j", "1")[0] == 0
    return place


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "nesasset.toml").read_text()
    assert old in text
    (folder / "nesasset.toml").write_text(text.replace(old, new))


# check, dry run, explain


def test_check_is_quiet_about_what_is_right(run, built: Path) -> None:
    """A pack that is as it should be ends with 0."""
    assert run("build", "--check") == (0, "2 tracks are as nesasset.toml asks\n", "")
    assert run("build", "-j", "1")[1] == "2 tracks in pack, nothing to do\n"


def test_check_says_what_is_stale_and_why(run, built: Path) -> None:
    """A check ends with 1, lists every reason, and changes no file."""
    change(built, "seed = 3", "seed = 4")
    before = files(built)
    code, output, errors = run("build", "--check")
    assert (code, output) == (1, "town: seed 3 → 4\nexport.plain: its tracks have changed\n")
    assert errors == "nesasset: 2 things not as nesasset.toml asks; nesasset build makes them so\n"
    assert files(built) == before


def test_a_dry_run_says_the_same_and_ends_with_0(run, built: Path) -> None:
    """What would be made, and why; nothing is made."""
    change(built, "seed = 3", "seed = 4")
    before = files(built)
    assert run("build", "--dry-run") == (0, "town: seed 3 → 4\nexport.plain: its tracks have changed\n", "")
    assert files(built) == before


def test_explain_says_why_while_it_builds(run, built: Path) -> None:
    """The reasons go to standard error, the result to standard output."""
    change(built, "seed = 3", "seed = 4")
    code, output, errors = run("build", "--explain", "-j", "1")
    assert (code, errors) == (0, "town: seed 3 → 4\nexport.plain: its tracks have changed\n")
    assert output.splitlines()[-1].startswith("2 tracks in pack, 1 of them made in ")


def test_check_tells_an_edit_as_a_musician_would(run, built: Path) -> None:
    """A score that was edited since the last commit is told bar by bar."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True, cwd=built, env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull})
    path = built / "scores/town.json"
    path.write_text(path.read_text().replace('"groove": [6]', '"groove": [5]'))
    code, output, _ = run("build", "--check")
    assert code == 1
    assert "town: tempo 150 → 180\n" in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--check", "--frozen"], "--frozen and --check do not go together"),
        (["--locked", "--frozen"], "--locked and --frozen do not go together"),
        (["--recompose", "town", "--locked"], "--recompose changes scores"),
        (["--recompose", "twon"], "--recompose: no track is named 'twon', did you mean town?"),
        (["--only", "boss*"], "--only: no track is named 'boss*'"),
        (["--watch", "--check"], "--watch builds"),
        (["--no-cache", "--cache-dir", "x"], "--cache-dir names a cache"),
        (["--format", "xml"], None),
    ],
)
def test_wrong_usage_is_one_sentence(run, place: Path, arguments: list[str], sentence: str | None) -> None:
    """Options that make no sense are refused before anything is made."""
    code, output, errors = run("build", *arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert sentence is None or sentence in errors
    assert not (place / "pack").exists()


# Reports.


def test_the_report_has_every_track_and_stage(run, place: Path) -> None:
    """A build's report names action, reasons, stages, loudness and the files that changed."""
    assert run("build", "-j", "1", "--report", "build.json")[0] == 0
    report = json.loads((place / "build.json").read_text())
    town = report["tracks"][0]
    assert (report["fresh"], town["action"], town["reasons"]) == (False, "compose", ["it is new"])
    assert {stage["name"] for stage in town["stages"]} == {"compose", "log", "sound", "facts", "file"}
    assert town["loudness"].keys() == {"lufs", "true_peak_dbtp", "gain_db"}
    assert {"scores/town.json", "pack/town.ogg", "pack/pack.json", "nesasset.lock"} <= set(report["written"])
    assert json.loads(run("build", "--check", "--format", "json")[1])["fresh"]


def test_a_changed_title_comes_from_the_cache(run, built: Path) -> None:
    """The stages that a title does not touch are not run again."""
    change(built, "seed = 3", "seed = 3\ntitle = 'Fish'")
    assert run("build", "-j", "1", "--report", "build.json")[0] == 0
    stages_run = [(stage["name"], stage["cached"]) for stage in json.loads((built / "build.json").read_text())["tracks"][0]["stages"]]
    assert ("sound", True) in stages_run
    assert ("sound", False) not in stages_run
    assert ("file", False) in stages_run


def test_github_gets_annotations_a_summary_and_outputs(run, place: Path, monkeypatch) -> None:
    """Faults point to file and line, the job's page gets a table, later steps learn whether anything changed."""
    for name in ("SUMMARY", "OUTPUT"):
        monkeypatch.setenv({"SUMMARY": "GITHUB_STEP_SUMMARY", "OUTPUT": "GITHUB_OUTPUT"}[name], str(place / name))
    assert run("build", "-j", "1", "--format", "github")[0] == 0
    assert "| town | compose | it is new |" in (place / "SUMMARY").read_text()
    assert (place / "OUTPUT").read_text() == "changed=true\n"
    change(place, "seed = 3", "sead = 3")
    code, output, _ = run("build", "--format", "github")
    assert (code, output) == (2, "::error file=nesasset.toml,line=9,title=nesasset::unknown key track.town.sead, did you mean seed or scale?\n")
    change(place, "sead = 3", "seed = 5")
    code, output, _ = run("build", "--check", "--format", "github")
    assert (code, output.splitlines()[0]) == (1, "::error file=nesasset.toml,title=nesasset::town: seed 3 → 5")


def test_a_report_on_standard_output_is_json(run, built: Path) -> None:
    """`--report -` prints the report; `--format json` alone as well."""
    assert json.loads(run("build", "--check", "--report", "-", "--format", "github")[1])["fresh"]


# Edits out and back.


@pytest.mark.parametrize("way", ["json", "ftm", "mid"])
def test_an_edit_in_another_program_comes_back_into_the_game(run, built: Path, way: str) -> None:
    """A score that went out, was edited and is imported for its track keeps its origin, is marked and stays."""
    score = score_json.load(built / "scores/town.json")
    slower = score_json.loads(score_json.dumps(score).replace('"groove": [6]', '"groove": [7]'))
    name = {"json": "out.json", "ftm": "out.ftm.txt", "mid": "out.mid"}[way]
    if way == "json":
        score_json.save(slower, name)
    elif way == "ftm":
        famitracker.save(slower, name)
    else:
        Path(name).write_bytes(midi.encode(slower))
    assert run("import", name, "--track", "town")[0] == 0
    kept = (built / "scores/town.json").read_bytes()
    assert run("build", "-j", "1")[0] == 0
    assert (built / "scores/town.json").read_bytes() == kept
    sidecar = json.loads((built / "pack/town.track.json").read_bytes())
    assert (sidecar["edited"], sidecar["model"]["name"], sidecar["tempo_bpm"]) == (True, "pieces", pytest.approx(128.571, abs=0.01))
    assert run("build", "--check")[0] == 0


def test_import_for_a_track_that_is_not_there(run, built: Path) -> None:
    """An unknown track is told with what was meant."""
    code, _, errors = run("import", "scores/town.json", "--track", "twon")
    assert (code, errors) == (2, "nesasset: --track: no track is named 'twon', did you mean town?\n")


# Provenance.


def test_the_provenance_fits_its_schema(run, built: Path) -> None:
    """provenance.json is what its schema says, by another reader, and speaks of the files that are there."""
    assert run("report", "-o", "out")[0] == 0
    found = json.loads((built / "out/provenance.json").read_text())
    assert set(provenance.FILES) == {path.name for path in (built / "out").iterdir()}
    for track in found["tracks"]:
        for name, sha256 in track["files"]["plain"].items():
            import hashlib

            assert hashlib.sha256((built / "pack" / name).read_bytes()).hexdigest() == sha256
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    run("schema", "--of", "provenance", "-o", "schema.json")
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", "schema.json", "out/provenance.json"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    found["tracks"][0]["mood"] = "sad"
    (built / "out/provenance.json").write_text(json.dumps(found))
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_the_provenance_tells_a_model_from_a_hand(run, built: Path) -> None:
    """What a model composed, what was edited and what was written by hand are told apart, in every text."""
    change(built, "seed = 3", "seed = 3\n[track.mine]\ntheme = 'cave'")
    score_json.save(pieces.jingle_score(), built / "scores/mine.json")
    path = built / "scores/town.json"
    path.write_text(path.read_text().replace('"groove": [6]', '"groove": [5]'))
    assert run("build", "-j", "1")[0] == 0
    run("report", "-o", "out")
    found = {track["id"]: track["origin"] for track in json.loads((built / "out/provenance.json").read_text())["tracks"]}
    assert found == {"town": "composed by the model, edited by hand", "mine": "by hand", "item": "by hand"}
    assert "| town | town | town | composed by the model, edited by hand | 3 |" in (built / "out/PROVENANCE.md").read_text()
    assert "1 of them composed by a model (pieces), 1 of these edited by hand" in (built / "out/STORE-DISCLOSURE.md").read_text()


def test_a_report_needs_a_build(run, place: Path) -> None:
    """Without a lock there is nothing to report."""
    assert run("report") == (1, "", "nesasset: there is no nesasset.lock: build first, then ask where the music came from\n")


# Watching.


def test_watch_builds_again_after_a_change(run, built: Path, monkeypatch) -> None:
    """A changed manifest is built while the command watches, a fault in it does not end it, and Ctrl-C does."""
    from nesasset.commands import _watch

    steps = iter([lambda: change(built, "seed = 3", "seed = 'x'"), lambda: change(built, "seed = 'x'", "seed = 8"), None])

    def ticks(folder: Path):
        while True:
            step = next(steps)
            if step is None:
                raise KeyboardInterrupt
            step()
            yield

    monkeypatch.setattr(_watch, "_ticks", ticks)
    code, output, errors = run("build", "-j", "1", "--watch")
    assert code == 130
    assert "track.town.seed must be a whole number" in errors
    assert "1 of them made" in output
    assert json.loads((built / "pack/town.track.json").read_bytes())["seed"] == 8


def test_looking_twice_a_second_notices_a_change(built: Path, monkeypatch) -> None:
    """Without watchfiles the files' times are looked at."""
    from nesasset.commands import _watch

    monkeypatch.setitem(sys.modules, "watchfiles", None)
    path = built / "nesasset.toml"
    before = _watch._state(_watch._watched(path, None))
    ticks = _watch._ticks(built)
    threading.Timer(0.1, lambda: os.utime(path, (1, 1))).start()
    deadline = time.monotonic() + 20
    while _watch._state(_watch._watched(path, None)) == before and time.monotonic() < deadline:
        next(ticks)
    assert _watch._state(_watch._watched(path, None)) != before


# CI.


def test_the_action_is_what_github_asks_for() -> None:
    """action.yml fits the published schema of actions."""
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", str(ROOT / "action.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    workflow = ROOT / "examples/game/.github/workflows/music.yml"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_actions_script_builds(built: Path, tmp_path: Path) -> None:
    """The shell of the action's last step, run as GitHub would run it, builds and hands on its outputs."""
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert all("${{" not in step.get("run", "") for step in action["runs"]["steps"]), "inputs go through the environment only"
    script = action["runs"]["steps"][-1]["run"]
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin/nesasset"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nesasset "$@"\n')
    tool.chmod(0o755)
    more = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "REPORT": "r.json", "MANIFEST": "", "OUTPUT": "", "ARGUMENTS": "--locked --explain"}
    more |= {"GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    done = subprocess.run(["bash", "-e", "-c", script], env=os.environ | more, cwd=built, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output").read_text() == "report=r.json\nchanged=false\n"
    assert json.loads((built / "r.json").read_text())["fresh"]


def test_the_hooks_run_commands_that_are_there(run) -> None:
    """Each pre-commit hook's entry is a command of ours with options that exist, and its pattern fits our files."""
    yaml = pytest.importorskip("yaml")
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        words = hook["entry"].split()
        assert words[0] == "nesasset"
        assert all(word in run(words[1], "--help")[1] for word in words[2:])
        for name in ("nesasset.toml", "game/nesasset.lock", "scores/town.json", "maps/a.tmj"):
            assert re.search(hook["files"], name)
        assert not re.search(hook["files"], "src/main.py")


@pytest.mark.skipif(os.name == "nt", reason="the example's script is a shell's")
def test_the_example_games_own_ci_passes(tmp_path: Path) -> None:
    """A copy of the example builds from its lock alone, passes the gate, reports, and runs without screen or sound."""
    if importlib.util.find_spec("pygame") is None:
        pytest.skip("pygame is not installed")
    folder = tmp_path / "game"
    shutil.copytree(ROOT / "examples/game", folder, ignore=shutil.ignore_patterns("music", "provenance"))
    (tmp_path / "bin").mkdir()
    for name, rest in (("nesasset", '-m nesasset "$@"'), ("python", '"$@"')):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {rest}\n')
        (tmp_path / "bin" / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    before = {name: content for name, content in files(folder).items() if name.startswith("scores/") or name == "nesasset.lock"}
    done = subprocess.run(["bash", "ci.sh"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 frames, Out of the cellar is playing: True" in done.stdout
    assert {name: content for name, content in files(folder).items() if name in before} == before
