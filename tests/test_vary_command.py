"""`nesasset vary`, and what `nesasset compose` does with music that is there: files, figures, pictures, sentences."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from standin_model import standin

from nesasset.formats import contact_sheet, midi, score_json
from nesasset.score import HOLD, REST, Instrument, Note, Score
from nesasset.units import VOICES


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands compose with the stand-in."""
    loaded = standin()
    monkeypatch.setattr("nesasset.model.default_model", lambda: loaded)


def tune(n_rows: int = 64, bar_rows: int = 16) -> Score:
    """Return a melody that loops and breathes: a note a beat, silent before the seam."""
    line = [Note(0, 60 + row // 4 * 5 % 12) if row % 4 == 0 else HOLD for row in range(n_rows)]
    line[-2] = REST
    silent = (REST, *[HOLD] * (n_rows - 1))
    voices = {"P1": tuple(line), "P2": silent, "TR": silent, "NO": silent}
    return Score(voices, (Instrument("pulse", (15, 8, 4, 0)),), bar_rows=bar_rows, loop=(0, n_rows), title="tune")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "tune.json"
    score_json.save(tune(), path)
    return str(path)


def test_vary_writes_a_score(run, file: str, tmp_path: Path) -> None:
    """The bars are new, the rest is the parent's, and the command says what it did."""
    out = tmp_path / "new.json"
    code, text, error = run("vary", file, "--bars", "2", "-o", str(out))
    assert (code, error) == (0, "")
    assert "new" in text and "P1 16 rows" in text and "certificate  passed" in text
    old, new = tune(), score_json.load(out)
    assert [a == b for a, b in zip(old.voices["P1"], new.voices["P1"], strict=True)].count(False) > 0
    assert old.voices["P1"][32:] == new.voices["P1"][32:] and old.voices["P1"][:16] == new.voices["P1"][:16]
    assert new.provenance["parent"]["title"] == "tune"


def test_vary_in_a_pipe_and_for_programs(run, file: str, tmp_path: Path) -> None:
    """-o - prints the score; --json prints what was done."""
    code, text, _ = run("vary", file, "--voices", "P1", "--strength", "0.5", "-o", "-")
    assert code == 0 and score_json.loads(text).provenance["operation"] == "vary"
    code, text, _ = run("vary", file, "--bars", "2", "-o", str(tmp_path / "x.json"), "--json")
    told = json.loads(text)
    assert code == 0 and told["free"] == {"P1": [[16, 32]]} and told["certificate"]["passed"]


def test_candidates(run, file: str, tmp_path: Path) -> None:
    """Numbered files from the best on, a table, a picture; one alone is what its seed gives without --count."""
    out = tmp_path / "new.json"
    code, text, _ = run("vary", file, "--bars", "2-3", "--count", "3", "--seed", "5", "-o", str(out), "--json")
    assert code == 0
    rows = json.loads(text)["candidates"]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert sorted(row["seed"] for row in rows) == [5, 6, 7]
    assert all(Path(row["file"]).is_file() for row in rows) and not out.exists()
    with Image.open(tmp_path / "new.png") as image:
        assert image.width > 1000
    worst = rows[-1]
    run("vary", file, "--bars", "2-3", "--seed", str(worst["seed"]), "-o", str(out))
    assert out.read_bytes() == Path(worst["file"]).read_bytes()
    code, text, _ = run("vary", file, "--bars", "2-3", "--count", "2", "-o", str(out))
    assert code == 0 and text.splitlines()[0].split()[:2] == ["file", "seed"] and text.splitlines()[-1].startswith("picture")


def test_compose_with_kept_voices_of_a_midi_file(run, tmp_path: Path) -> None:
    """A melody from MIDI is kept note for note."""
    path = tmp_path / "tune.mid"
    path.write_bytes(midi.encode(tune()))
    out = tmp_path / "town.json"
    code, _, error = run("compose", "town", "--keep", f"{path}:P1", "--candidates", "1", "-o", str(out))
    assert (code, error) == (0, "")
    piece = score_json.load(out)
    pitches = [[cell.pitch for cell in score.voices["P1"] if isinstance(cell, Note)] for score in (tune(), piece)]
    assert pitches[0] == pitches[1]
    assert piece.provenance["keep"]["voices"] == "P1"


def test_compose_after_written_pitches(run, tmp_path: Path) -> None:
    """The pitches begin the piece, and several may be had at once."""
    out = tmp_path / "cave.json"
    arguments = ("--primer-pitches", "67,64,60,62", "--primer-mode", "keep", "--bars", "4", "--candidates", "1")
    code, _, _ = run("compose", "cave", *arguments, "--count", "2", "-o", str(out))
    assert code == 0
    piece = score_json.load(tmp_path / "cave-2.json")
    assert [piece.voices["P1"][row].pitch for row in (0, 4, 8, 12)] == [67, 64, 60, 62]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("vary", "FILE", "--bars", "9", "-o", "x.json"), 2, "bars must be from 1 to 4, which the score has"),
        (("vary", "FILE", "--strength", "2", "-o", "x.json"), 2, "strength must be between 0 and 1, not 2.0"),
        (("vary", "FILE", "--voices", "organ", "-o", "x.json"), 2, "voices must be some of"),
        (("vary", "FILE", "--count", "2", "-o", "-"), 2, "--count, which writes several files, needs -o NAME.json"),
        (("vary", "FILE", "-o", "x.ogg"), 2, "a score is saved as FILE.json"),
        (("vary", "tune.wav", "-o", "x.json"), 2, "the suffix of 'tune.wav' must be one of .json"),
        (("vary", "absent.json", "-o", "x.json"), 1, "absent.json"),
        (("compose", "town", "--keep", "FILE:TR", "-o", "x.json"), 1, "TR cannot be kept: in the score only P1 plays"),
        (("compose", "town", "--keep", "FILE:bells", "-o", "x.json"), 2, "voices must be some of"),
        (("compose", "town", "--keep", "FILE", "--bars", "2", "-o", "x.json"), 2, "has 4 bars, more than the 2"),
        (("compose", "town", "--primer", "FILE", "--primer-pitches", "60", "-o", "x.json"), 2, "two ways to say the same"),
        (("compose", "town", "--primer-mode", "keep", "-o", "x.json"), 2, "--primer-mode needs a primer"),
        (("compose", "town", "--primer", "FILE", "--primer-mode", "inject", "-o", "x.json"), 2, "context or keep, not 'inject'"),
        (("compose", "town", "--primer-pitches", "67,999", "-o", "x.json"), 2, "a primer's pitch must be"),
    ],
)
def test_what_cannot_be(arguments: tuple[str, ...], code: int, message: str, run, file: str, tmp_path: Path, monkeypatch) -> None:
    """One sentence, the right exit code, and no file."""
    monkeypatch.chdir(tmp_path)
    got, text, error = run(*(word.replace("FILE", file) for word in arguments))
    assert (got, text) == (code, "")
    assert message in error and len(error.splitlines()) == 1 and "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tune.json"]


def test_scores_that_are_none(run, tmp_path: Path) -> None:
    """A score of a newer format, an empty one, one of another metre, and MIDI without notes or of ten hours: a sentence each."""
    newer = json.loads(score_json.dumps(tune())) | {"version": 99}
    silent = Score(dict.fromkeys(VOICES, (REST,) * 16), ())
    files = {
        "newer.json": (json.dumps(newer), "version"),
        "silent.json": (score_json.dumps(silent), "no notes to compose with"),
        "five.json": (score_json.dumps(tune(80, 20)), "16 or 12 rows, or parts or multiples of these, not of 20"),
        "empty.mid": (b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0", "no notes"),
"long.mid": (b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x0f\0\x90\x3c\x40\x83\xa5\xf0\0\x80\x3c\x40\0\xff\x2f\0", "at most"),  # ten hours
    }
    for name, (content, message) in files.items():
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        code, _, error = run("vary", str(path), "-o", str(tmp_path / "out.json"))
        assert code == 1, name
        assert message in error and "Traceback" not in error, (name, error)


def test_the_sheet_stands_equal_bars_below_each_other() -> None:
    """Shorter scores take less of the width; every entry adds its roll and its caption."""
    long, short = tune(), replace(tune(32), title="short")
    one = contact_sheet.draw("sheet", [contact_sheet.Entry("a", long)])
    two = contact_sheet.draw("sheet", [contact_sheet.Entry("a", long), contact_sheet.Entry("b", short, ("seed 1",))])
    assert one.width == two.width and two.height > one.height
    x = contact_sheet.MARGIN + contact_sheet.LABEL_WIDTH + contact_sheet.WIDTH * 3 // 4
    assert two.getpixel((x, two.height - 40)) == contact_sheet.BACKGROUND
