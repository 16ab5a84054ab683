"""The report of originality, families and bridges: it measures what it says, and its figures can be bad."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from pieces import loop_score
from standin_model import standin

from export import kin_report as module
from nesasset.compose.family import family
from nesasset.formats import score_json
from nesasset.originality import Known, lines


def test_known_pieces_are_found_out():
    """Of two pieces of which one stands in the index, that one is the worst."""
    scores = {"new": loop_score(1), "old": loop_score(2)}
    figures = module.originality_figures(scores, Known.of([lines(scores["old"])["P1"][0]]))
    assert figures["worst_piece"] == "old"
    assert figures["P1"]["worst"] == 1.0
    assert figures["P1"]["over_a_fifth"] == 1
    assert module.originality_figures(scores, Known.of([]))["P1"]["worst"] == 0


def test_members_by_rule_are_told_by_their_kind():
    """Of three families by rule every member is told right; a piece that takes a member's place is not in harmony by itself."""
    names = ("calm", "fast", "night", "underwater", "low-health")
    found = {str(seed): {"": loop_score(seed, bars=4), **family(loop_score(seed, bars=4), names)} for seed in (1, 2, 3)}
    figures = module.family_figures(found)
    assert figures["told_right"] == 1.0
    assert figures["fast"]["same_chords"] == 1.0
    assert figures["nearest_two"] > 2
    mixed = {name: {**members, "calm": members[""]} for name, members in found.items()}
    assert module.family_figures(mixed)["nearest_two"] == 0


def test_the_whole_report(tmp_path, monkeypatch):
    """Figures, pictures, and JSON on the last line."""
    model = standin()
    monkeypatch.setattr(module, "default_model", lambda: model)
    (tmp_path / "loops").mkdir()
    for seed in (1, 2):
        score_json.save(loop_score(seed, bars=2), tmp_path / f"loops/{seed}.json")
    result = CliRunner().invoke(module.main, ["--loops", str(tmp_path / "loops"), "--out", str(tmp_path / "out"), "--families", "1", "--bridges", "1"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.output.splitlines()[-1])
    assert report["originality"] is None
    assert report["families"]["fast"]["bars_in_harmony"] == pytest.approx(1.0)
    assert report["bridges"]["2"]["bridges"] == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"family.png", "bridge.png"}
