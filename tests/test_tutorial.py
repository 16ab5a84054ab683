"""The tutorial docs/style.md runs as it stands: its commands, in its order, on songs that a program makes up."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="export/ needs the extra train: torch is absent")
pytest.importorskip("lightning", reason="export/ needs the extra train: lightning is absent")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

from made_up_corpus import EDGES  # noqa: E402
from made_up_music import write_folder  # noqa: E402
from standin.make import CONFIG  # noqa: E402

from export.train import TrainConfig  # noqa: E402

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "style.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```sh\n(.*?)```", TEXT, re.DOTALL))


def stand_in(folder: Path) -> Path:
    """Return the stand-in as a published model: with edges and the settings of its network."""
    folder.mkdir()
    for path in (ROOT / "tests" / "standin").glob("standin.*"):
        shutil.copy(path, folder)
    sidecar = json.loads((folder / "standin.json").read_text())
    training = {"data": "nothing", "config": asdict(TrainConfig(model=CONFIG))}
    (folder / "standin.json").write_text(json.dumps({**sidecar, "edges": EDGES, "training": training}))
    return folder / "standin.onnx"


def test_from_folder_to_game(tmp_path) -> None:
    """A folder becomes a model, the model a pack with its report; only the base is smaller and the time shorter."""
    base = stand_in(tmp_path / "base")
    write_folder(tmp_path / "my_music", 8)
    (tmp_path / "my_music" / "licence.toml").write_text(re.search(r"```toml\n(licence.*?)```", TEXT, re.DOTALL)[1])
    (tmp_path / "nesasset.toml").write_text(re.search(r"<!-- manifest -->\n```toml\n(.*?)```", TEXT, re.DOTALL)[1])
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, module in (("python", ""), ("nesasset", "-m nesasset")):
        (binaries / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (binaries / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(tmp_path / "data")}

    def run(script: str) -> str:
        done = subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout

    said = run(BLOCKS["train"].rstrip() + f" --base {base} --minutes 0.2 --no-samples -j 1\n")
    assert "| my_music | 8 | CC-BY-4.0 |" in said
    said = run(BLOCKS["add"])
    assert "mystyle" in said
    assert json.loads((tmp_path / "castle.json").read_text())["provenance"]["model"] == "mystyle"
    run(BLOCKS["build"])
    assert {path.name for path in (tmp_path / "pack").glob("*.ogg")} == {"town.ogg", "boss.ogg"}
    report = (tmp_path / "report" / "PROVENANCE.md").read_text()
    assert "mystyle" in report and "CC-BY-4.0" in report


def test_the_table_of_expectations_is_the_programs() -> None:
    """What the page says of few and many songs, the command says, too."""
    from export.ingest import EXPECT

    assert [most for most, _ in EXPECT[:-1]] == [9, 29, 99, 999]
    for words in ("learnt by heart before their style is", "little of its melodies", "enough for a style", "train from scratch"):
        assert any(words in text for _, text in EXPECT)
