"""A model as one file: packed, added, asked for by name everywhere; hostile files are refused in a sentence."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from nesasset import cli, model_files
from nesasset.compose import Controls, compose
from nesasset.errors import ControlError, FormatError, ModelMismatchError
from nesasset.model_names import model_names, user_models_dir

STANDIN = Path(__file__).parent / "standin"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A user's folder of data of the test's own."""
    monkeypatch.setattr("nesasset.model_names.user_models_dir", lambda: tmp_path / "data" / "models")
    monkeypatch.setattr("nesasset.model_files.user_models_dir", lambda: tmp_path / "data" / "models")
    return tmp_path / "data" / "models"


@pytest.fixture
def folder(tmp_path) -> Path:
    """The stand-in under another name, as export.style leaves a model."""
    place = tmp_path / "made"
    place.mkdir()
    for suffix in (*model_files.NEEDED, ".latent.onnx"):
        shutil.copy(STANDIN / f"standin{suffix}", place / f"mystyle{suffix}")
    (place / "mystyle.md").write_text("# mystyle\n")
    return place


@pytest.fixture
def bundle(folder, tmp_path) -> Path:
    model_files.pack(folder, "mystyle", tmp_path / "mystyle.nesmodel")
    return tmp_path / "mystyle.nesmodel"


def run(*arguments: str) -> tuple[int, str]:
    """Return exit code and output of a command line."""
    import contextlib

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = cli.main(list(arguments))
    return code, out.getvalue()


def rewritten(bundle: Path, change) -> bytes:
    """Return a bundle whose members were changed, with sums that agree."""
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != model_files.SUMS}
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(model_files.SUMS, "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items()))
    return out.getvalue()


def test_out_and_back(home, folder, bundle) -> None:
    """What was packed is added byte by byte, listed, composes by name and is removed."""
    added = model_files.add(bundle)
    assert (added.name, added.place, added.problem) == ("mystyle", "user", "")
    for suffix in (*model_files.NEEDED, ".latent.onnx", ".md"):
        assert (home / f"mystyle{suffix}").read_bytes() == (folder / f"mystyle{suffix}").read_bytes()
    assert "mystyle" in model_names()
    score = compose("town", 3, Controls(bars=2, model="mystyle"))
    assert score.provenance["model"] == "mystyle"
    assert score.provenance["controls"]["model"] == "mystyle"
    model_files.add(bundle)  # the same once more
    model_files.remove("mystyle")
    assert not list(home.iterdir())
    with pytest.raises(ModelMismatchError, match="no model 'mystyle'"):
        compose("town", 3, Controls(bars=2, model="mystyle"))


def test_packing_gives_the_same_bytes(folder, bundle, tmp_path) -> None:
    """Packed again, the file is the same."""
    model_files.pack(folder, "mystyle", tmp_path / "again.nesmodel")
    assert (tmp_path / "again.nesmodel").read_bytes() == bundle.read_bytes()


def test_the_commands(home, bundle, tmp_path) -> None:
    """Models add, models, compose --model, models remove; and what goes wrong in a sentence."""
    code, said = run("models", "add", str(bundle))
    assert code == 0 and "mystyle" in said
    code, said = run("models")
    assert code == 0 and "mystyle" in said and "added" in said
    code, said = run("compose", "town", "--bars", "2", "--model", "mystyle", "-o", str(tmp_path / "a.json"), "--plain")
    assert code == 0
    assert json.loads((tmp_path / "a.json").read_text())["provenance"]["model"] == "mystyle"
    code, said = run("compose", "town", "--model", "mystile", "-o", str(tmp_path / "b.json"))
    assert code == 1 and "did you mean mystyle" in said and "Traceback" not in said
    assert not (tmp_path / "b.json").exists()
    assert run("compose", "town", "--model", "../x", "-o", str(tmp_path / "b.json"))[0] == 2
    assert run("models", "add")[0] == 2
    code, said = run("models", "remove", "nobody")
    assert code == 1 and "no model named 'nobody' was added" in said
    assert run("models", "remove", "mystyle")[0] == 0
    assert run("models", "add", str(tmp_path / "none.nesmodel"))[0] == 1


def test_a_manifest_names_the_model(home, bundle, tmp_path) -> None:
    """[defaults] model is every track's, in the lock's keys and the provenance report; without the model the build says so."""
    model_files.add(bundle)
    game = tmp_path / "game"
    game.mkdir()
    text = 'schema = 1\n[pack]\nname = "g"\n[defaults]\nmodel = "mystyle"\nbars = 2\n[track.a]\ntheme = "town"\n'
    (game / "nesasset.toml").write_text(text)
    code, said = run("build", "-m", str(game / "nesasset.toml"))
    assert code == 0, said
    assert json.loads((game / "scores" / "a.json").read_text())["provenance"]["model"] == "mystyle"
    code, said = run("report", "-m", str(game / "nesasset.toml"), "-o", str(game / "report"))
    assert code == 0, said
    assert "mystyle" in (game / "report" / "PROVENANCE.md").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("mystyle.onnx"), "mystyle.onnx is missing"),
        (lambda m: m.update({"../evil.py": b"x"}), "is no part of a model"),
        (lambda m: m.update({"/tmp/evil.md": b"x"}), "is no part of a model"),
        (lambda m: m.update({"other.md": b"x"}), "is no part of a model"),
        (lambda m: m.update({"mystyle.md": bytes(5_000_000)}), "holds more than 4000000 bytes"),
        (lambda m: m.update({"mystyle.onnx": m["mystyle.onnx"] + b" "}), "does not belong to mystyle.json"),
        (lambda m: m.update({"mystyle.json": m["mystyle.json"].replace(b'"version": 1', b'"version": 9', 1)}), "sidecar version 9"),
        (lambda m: m.update({"mystyle.json": b"{}"}), "is no model sidecar"),
        (lambda m: m.pop("mystyle.json"), "must hold one sidecar"),
        (lambda m: m.update({f"{n}.md": b"" for n in range(20)}), "at most 10 parts"),
    ],
)
def test_hostile_files_are_refused(home, bundle, tmp_path, change, message) -> None:
    """Paths, bombs, strangers and parts that do not belong together are refused by name, and nothing is written."""
    bad = tmp_path / "bad.nesmodel"
    bad.write_bytes(rewritten(bundle, change))
    with pytest.raises((FormatError, ModelMismatchError), match=rf"bad\.nesmodel: .*{message}"):
        model_files.add(bad)
    assert not home.exists()
    assert not (tmp_path / "evil.py").exists()


def test_a_graph_may_not_refer_to_files(home, folder, tmp_path) -> None:
    """External data of ONNX, a path to read from, is refused even where all hashes agree."""
    graph = (folder / "mystyle.onnx").read_bytes() + b"\x0a\x08location\x12\x0b/etc/passwd"
    (folder / "mystyle.onnx").write_bytes(graph)
    sidecar = json.loads((folder / "mystyle.json").read_text())
    sidecar["model"]["sha256"] = hashlib.sha256(graph).hexdigest()
    (folder / "mystyle.json").write_text(json.dumps(sidecar))
    with pytest.raises(ModelMismatchError, match="refers to a file outside"):
        model_files.pack(folder, "mystyle", tmp_path / "a.nesmodel")


def test_damaged_files_are_refused(home, bundle, tmp_path) -> None:
    """No archive, a cut one, and one with a flipped bit in its contents."""
    data = bundle.read_bytes()
    flipped = bytearray(data)
    flipped[len(flipped) // 2] ^= 1
    for content in (b"", b"no archive", data[: len(data) // 2], bytes(flipped)):
        (tmp_path / "bad.nesmodel").write_bytes(content)
        with pytest.raises((FormatError, ModelMismatchError), match=r"bad\.nesmodel: "):
            model_files.add(tmp_path / "bad.nesmodel")


def test_names_are_kept(home, folder, bundle, tmp_path) -> None:
    """Another model of the same name needs --replace; the default's name is never free."""
    model_files.add(bundle)
    other = rewritten(bundle, lambda m: m.update({"mystyle.json": m["mystyle.json"] + b"\n"}))
    (tmp_path / "other.nesmodel").write_bytes(other)
    with pytest.raises(ModelMismatchError, match="another model is named 'mystyle'"):
        model_files.add(tmp_path / "other.nesmodel")
    model_files.add(tmp_path / "other.nesmodel", replace=True)
    taken = rewritten(bundle, lambda m: [m.update({name.replace("mystyle", "nes-1"): m.pop(name)}) for name in list(m)])
    (tmp_path / "taken.nesmodel").write_bytes(taken)
    with pytest.raises(ModelMismatchError, match="comes with nesasset"):
        model_files.add(tmp_path / "taken.nesmodel")
    with pytest.raises(ModelMismatchError, match="cannot be removed"):
        model_files.remove("nes-1")


def test_a_model_of_another_version_is_listed_with_its_problem(home, bundle) -> None:
    """It is not hidden, and says why it cannot be used."""
    model_files.add(bundle)
    path = home / "mystyle.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 9', 1))
    found = next(model for model in model_files.installed() if model.name == "mystyle")
    assert "sidecar version 9" in found.problem


def test_names_in_controls() -> None:
    """A model is a name, never a path."""
    for name in ("../x", "", "a/b", "A", 7):
        with pytest.raises(ControlError, match="model must be the name"):
            Controls(model=name)


def test_the_users_folder_is_the_systems() -> None:
    """Added models lie in the system's place for a user's data."""
    assert user_models_dir().name == "models"
    assert "nesasset" in str(user_models_dir())


def test_what_is_made_of_a_piece_has_its_model(home, bundle) -> None:
    """The model that composed a score is taken for what is made of it, the default where that is not installed."""
    from dataclasses import replace

    from pieces import loop_score

    from nesasset.model_names import model_of

    score = replace(loop_score(), provenance={"model": "mystyle"})
    assert model_of(score).name == "nes-1"
    model_files.add(bundle)
    assert model_of(score).name == "mystyle"
    assert model_of(replace(score, provenance={})).name == "nes-1"
