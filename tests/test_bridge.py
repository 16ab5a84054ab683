"""Bridges: bars that the model writes between two pieces, on the way from one tempo to the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pieces import jingle_score, loop_score
from standin_model import standin

from nesasset.cli import main
from nesasset.compose.bridge import _joined, bridge
from nesasset.compose.material import cells_of
from nesasset.compose.recast import ramp
from nesasset.compose.rewrite import excess
from nesasset.driver import drive
from nesasset.errors import ControlError
from nesasset.formats import score_json
from nesasset.play.engine import Engine
from nesasset.score import HOLD, Note
from nesasset.units import VOICES

STANDIN = Path(__file__).parent / "standin"


@pytest.fixture(scope="module")
def model():
    return standin()


@pytest.fixture(scope="module")
def pair():
    return loop_score(3, bars=4, intro_bars=1), loop_score(8, bars=4, groove=(9,))


@pytest.mark.parametrize("bars", [1, 2])
def test_a_bridge_has_its_bars_and_goes_between_the_tempos(bars, pair, model):
    """It has the metre of what comes, no loop, rows that lengthen from the one to the other, and both parents in its papers."""
    made = bridge(*pair, bar=3, bars=bars, seed=1, model=model)
    assert (made.n_rows, made.bar_rows, made.loop) == (bars * 16, 16, None)
    assert 6 <= made.groove[0] <= made.groove[-1] <= 9
    assert list(made.groove[:4]) < list(made.groove[-4:])
    told = made.provenance
    assert told["parents"]["from"]["sha256"] == score_json.music_digest(pair[0])
    assert told["parents"]["from"]["bar"] == 3
    assert told["parents"]["to"]["sha256"] == score_json.music_digest(pair[1])
    assert set(told["seams"]) == {"before", "after", "interior"}
    assert excess(told["seams"]) == pytest.approx(max(told["seams"]["before"], told["seams"]["after"]) - told["seams"]["interior"])
    assert drive(made).n_frames == made.n_frames
    assert all(made.voices[voice][0] is not HOLD for voice in VOICES)


def test_the_same_again(pair, model):
    """Same pieces, place and seed: same bytes; another place or seed: another bridge."""
    first, again, other, elsewhere = (
        score_json.dumps(bridge(*pair, bar=bar, bars=1, seed=seed, model=model)) for bar, seed in ((2, 1), (2, 1), (2, 2), (3, 1))
    )
    assert first == again
    assert len({first, other, elsewhere}) == 3


def test_what_is_heard_before_goes_round_the_loop(pair):
    """Left after its second bar, a loop of four has been heard for as long as it takes; what comes stands behind the gap, and once in front."""
    before, after = pair
    joined, front, start = _joined(before, after, 3 * 16, 16)
    cells, was, comes = cells_of(joined), cells_of(before), cells_of(after)
    assert (front, start) == (16, 8 * 16)
    head = cells[front : front + start]
    assert (head[-48:, 0] == was[:48, 0]).all()  # the intro and two bars of the loop
    assert (head[-64:-48, 0] == was[64:80, 0]).all()  # before them its end
    assert (cells[:front, 0] == comes[:16, 0]).all()
    assert (cells[front + start + 16 :][:, 0] == comes[:, 0]).all()
    assert not cells[front + start : front + start + 16].any()


def test_from_a_jingle_and_into_another_metre(model):
    """What ends can be left, too; a bridge into bars of twelve rows has such bars."""
    from dataclasses import replace

    waltz = replace(loop_score(5, bars=6), bar_rows=12)
    made = bridge(jingle_score(1), waltz, bars=1, model=model)
    assert made.n_rows == 12
    assert any(isinstance(cell, Note) for part in made.voices.values() for cell in part)


@pytest.mark.parametrize(("fields", "message"), [({"bar": 6}, "bar must be between 1 and 5"), ({"bar": 0}, "bar must be between"), ({"bars": 3}, "bars of a bridge must be between 1 and 2"), ({"seed": -1}, "seed must be")])
def test_what_is_not_there(fields, message, pair, model):
    """Bars and lengths that do not exist are refused."""
    with pytest.raises(ControlError, match=message):
        bridge(*pair, model=model, **fields)


def test_ramps_meet_their_ends():
    """A ramp is as long as its mean tempo says; between equal tempos every row has it."""
    slow, fast = loop_score(1, groove=(10,)), loop_score(1, groove=(4,))
    assert ramp(fast, fast, 16) == (4,) * 16
    assert sum(ramp(slow, fast, 32)) == pytest.approx(7 * 32, abs=2)


def test_a_bridge_plays_between_its_pieces(pair, model):
    """In live music it can be played for itself and be followed by what it leads to."""
    engine = Engine()
    made = bridge(*pair, bars=1, model=model)
    for name, score in (("bridge", made), ("after", pair[1])):
        engine.do({"do": "add", "name": name, "score": score, "complete": True})
    engine.do({"do": "switch", "to": "bridge", "at": "now"})
    engine.step()
    engine.do({"do": "switch", "to": "after", "at": "end"})
    for _ in range(made.n_frames):
        engine.step()
    assert engine.position().playing == "after"


@pytest.fixture
def folder(tmp_path, monkeypatch, pair):
    model = standin()
    monkeypatch.setattr("nesasset.model.default_model", lambda: model)
    monkeypatch.chdir(tmp_path)
    for name, score in zip("ab", pair, strict=True):
        score_json.save(score, tmp_path / f"{name}.json")
    return tmp_path


def test_the_command_writes_a_bridge(folder, capsys):
    """A score, a picture, and the seams."""
    assert main(["bridge", "a.json", "b.json", "-o", "out.json", "--bars", "1", "--bar", "2", "--plot", "out.png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parents"]["from"]["bar"] == 2
    assert score_json.load("out.json").n_bars == 1
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.json", "missing.json", "-o", "o.json"], 1, "missing.json"),
        (["a.json", "b.json", "-o", "o.txt"], 2, "saved as FILE.json"),
        (["a.json", "b.json", "-o", "o.json", "--bar", "99"], 2, "bar must be between"),
        (["a.json", "b.json", "-o", "o.json", "--bars", "7"], 2, "bars of a bridge"),
        (["a.json", "b.json", "-o", "o.json", "--plot", "o.gif"], 2, "ends in .png"),
    ],
)
def test_bad_input_of_the_command(folder, capsys, arguments, code, message):
    """One sentence, the right code, and nothing written."""
    assert main(["bridge", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "b.json"]
