"""What differs between two scores, in words, as a picture and for git."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pieces
import pytest

from nesasset.build.diff import compare, picture, words
from nesasset.formats import score_json
from nesasset.score import HOLD, REST, Note, Score

ROOT = Path(__file__).parent.parent
BASE = pieces.loop_score(3, bars=8)


def with_voice(score: Score, voice: str, change) -> Score:
    cells = list(score.voices[voice])
    change(cells)
    return replace(score, voices={**score.voices, voice: tuple(cells)})


def moved(first_bar: int, last_bar: int, semitones: int):
    def change(cells: list) -> None:
        for row in range(16 * (first_bar - 1), 16 * last_bar):
            if isinstance(cells[row], Note):
                cells[row] = replace(cells[row], pitch=cells[row].pitch + semitones)

    return change


def silenced(first_bar: int, last_bar: int):
    def change(cells: list) -> None:
        for row in range(16 * (first_bar - 1), 16 * last_bar):
            cells[row] = REST if row % 16 == 0 else HOLD

    return change


def other_sound(cells: list) -> None:
    for row in range(32, 48):
        if isinstance(cells[row], Note):
            cells[row] = replace(cells[row], instrument=1)


def softer(cells: list) -> None:
    for row in range(32, 48):
        if isinstance(cells[row], Note):
            cells[row] = replace(cells[row], volume=7)


def one_note(cells: list) -> None:
    cells[36] = Note(0, 90)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (BASE, []),
        (replace(BASE, provenance={"seed": 99}), []),
        (replace(BASE, groove=(5,)), ["tempo 150 → 180"]),
        (replace(BASE, groove=(7, 5)), ["swing: rows of 6 → 7 5 frames"]),
        (replace(BASE, title="Other"), ["title 'A round' → 'Other'"]),
        (replace(BASE, loop=(16, 128)), ["loop bars 1-8 → bars 2-8"]),
        (replace(BASE, loop=None), ["loop bars 1-8 → none"]),
        (replace(BASE, delays={"P2": 2}), ["pulse 2 lags by 0 → 2 frames"]),
        (with_voice(BASE, "TR", moved(5, 8, 2)), ["triangle, bars 5-8: moved up by 2 semitones"]),
        (with_voice(BASE, "P2", moved(3, 3, -1)), ["pulse 2, bar 3: moved down by 1 semitone"]),
        (with_voice(BASE, "NO", silenced(2, 3)), ["noise, bars 2-3: falls silent"]),
        (with_voice(BASE, "P1", other_sound), ["pulse 1, bar 3: other instruments"]),
        (with_voice(BASE, "P1", softer), ["pulse 1, bar 3: other volumes, delays or slides"]),
        (with_voice(with_voice(BASE, "TR", moved(1, 2, 12)), "P1", softer), ["pulse 1, bar 3: other volumes, delays or slides", "triangle, bars 1-2: moved up by 12 semitones"]),
    ],
)  # fmt: skip
def test_changes_are_told_as_a_musician_would(changed: Score, expected: list[str]) -> None:
    """Each kind of change has its sentence, neighbouring bars are one, and what is not heard is none."""
    assert [change.sentence for change in compare(BASE, changed)] == expected
    assert words(compare(BASE, BASE)) == ["nothing that is heard differs"]


def test_single_notes_are_named() -> None:
    """A note that was put in is told with its bar, row and pitch."""
    (sentence,) = words(compare(BASE, with_voice(BASE, "P1", one_note)))
    assert sentence.startswith("pulse 1, bar 3: 1 note differs (row 5 ")
    assert sentence.endswith("F#6)")


def cut(score: Score, first_bar: int, last_bar: int) -> Score:
    """Return a score without some bars."""
    keep = [row for row in range(score.n_rows) if not 16 * (first_bar - 1) <= row < 16 * last_bar]
    voices = {voice: tuple(score.voices[voice][row] for row in keep) for voice in score.voices}
    return replace(score, voices=voices, loop=(0, len(keep)))


VARIED = replace(BASE, voices={voice: tuple(cell for bar in range(8) for cell in with_voice(BASE, "TR", moved(1, 8, bar)).voices[voice][16 * bar : 16 * bar + 16]) for voice in BASE.voices})


def test_bars_that_came_or_went_are_found() -> None:
    """Bars that were put in or taken out do not make everything behind them differ."""
    shorter = cut(VARIED, 3, 4)
    assert words(compare(VARIED, shorter)) == ["8 bars → 6", "loop bars 1-8 → bars 1-6", "bars 3-4 of before are gone"]
    assert words(compare(shorter, VARIED)) == ["6 bars → 8", "loop bars 1-6 → bars 1-8", "bars 3-4 are new"]


def test_instruments_with_other_numbers_are_the_same() -> None:
    """Numbers of instruments are no music."""
    order = [1, 0, *range(2, len(BASE.instruments))]
    voices = {voice: tuple(replace(cell, instrument=order.index(cell.instrument)) if isinstance(cell, Note) else cell for cell in cells) for voice, cells in BASE.voices.items()}
    assert compare(BASE, replace(BASE, voices=voices, instruments=tuple(BASE.instruments[index] for index in order))) == []


def test_the_picture_frames_what_changed() -> None:
    """The picture shows both scores, with a frame in the changes' color and only around them."""
    changed = with_voice(BASE, "TR", moved(5, 6, 2))
    image = picture(BASE, changed, compare(BASE, changed))
    red = [(x, y) for x in range(image.width) for y in range(image.height) if image.getpixel((x, y)) == (255, 96, 96)]
    left, right = min(x for x, _ in red), max(x for x, _ in red)
    assert left > image.width / 2
    assert right < image.width * 0.85


def test_the_command_prints_and_draws(run, tmp_path: Path) -> None:
    """Words on standard output, JSON for programs, a PNG beside."""
    score_json.save(BASE, tmp_path / "a.json")
    score_json.save(with_voice(BASE, "TR", moved(5, 8, 2)), tmp_path / "b.json")
    a, b, png = (str(tmp_path / name) for name in ("a.json", "b.json", "c.png"))
    assert run("diff", a, b, "-o", png) == (0, "triangle, bars 5-8: moved up by 2 semitones\n", "")
    assert Path(png).read_bytes()[:4] == b"\x89PNG"
    assert '"bars": [\n        5,\n        8\n      ]' in run("diff", a, b, "--json")[1]
    assert run("diff", a)[0] == 2
    assert run("diff", a, str(tmp_path / "none.json"))[0] == 1


def git(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PYTHONPATH": str(ROOT)}
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True, env=environment).stdout


def test_git_tells_changes_in_words(tmp_path: Path) -> None:
    """As git's own external diff the command tells a changed, a new and a removed score."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitattributes").write_text("*.json diff=nesasset\n")
    score_json.save(BASE, tmp_path / "a.json")
    score_json.save(BASE, tmp_path / "gone.json")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    score_json.save(with_voice(BASE, "TR", moved(5, 8, 2)), tmp_path / "a.json")
    (tmp_path / "gone.json").unlink()
    command = f"diff.nesasset.command={sys.executable} -m nesasset diff --git"
    told = git(tmp_path, "-c", command, "diff")
    assert told == "score a.json\n  triangle, bars 5-8: moved up by 2 semitones\nscore gone.json\n  removed\n"
    (tmp_path / "a.json").write_text("{")
    assert "cannot be compared" in git(tmp_path, "-c", command, "diff", "a.json")
