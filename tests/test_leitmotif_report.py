"""The report of leitmotifs: it measures what it says, and its figures can be bad."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from pieces import loop_score
from standin_model import standin

from export import leitmotif_report as module
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.motif import motif_text, parse_motif

MOTIF = parse_motif("C5/4 D5/2 E5/2 G5/4 A5/4 F5/2 E5/2 D5/4 C5/8")


def test_what_is_found_is_compared_with_the_motif():
    """A pack with the motif has it; one in which another tune is common has not, nor one without anything in common."""
    model = standin()
    controls = [Controls(bars=2, motif=motif_text(MOTIF), mode=mode, candidates=1) for mode in ("major", "minor", "minor")]
    packs = {
        "with": [{str(number): compose("town", number, wish, model) for number, wish in enumerate(controls)}],
        "other": [{"a": loop_score(1), "b": loop_score(98)}],
        "none": [{"a": loop_score(1), "b": compose("cave", 3, Controls(bars=4, candidates=1), model)}],
    }
    (own,) = module.found_in(packs, "with", MOTIF)
    assert (own["notes"], own["is_motif"], own["in_others"], own["others"]) == (9, True, 0, 4)
    (other,) = module.found_in(packs, "other", MOTIF)
    assert (other["is_motif"], other["in_others"]) == (False, 1)
    assert module.found_in(packs, "none", None) == [{"notes": 0}]


def test_the_whole_report(tmp_path, monkeypatch):
    """Scores, a table between the marks, a picture."""
    model = standin()
    monkeypatch.setattr(module, "default_model", lambda: model)
    monkeypatch.setattr(module, "invent", lambda theme, seed, model: MOTIF.moved(0) if theme == "title" else MOTIF.in_mode(True).head(24))
    monkeypatch.setattr(module, "LEVELS", ("town", "cave"))
    (tmp_path / "page.md").write_text("a\n<!-- leitmotif: begin -->\nold\n<!-- leitmotif: end -->\nb\n")
    arguments = ["-o", str(tmp_path / "out"), "--rounds", "1", "--docs", str(tmp_path / "page.md"), "--picture", str(tmp_path / "all.png"), "--json"]
    result = CliRunner().invoke(module.main, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    (first,) = report["first"]["found"]
    assert first["notes"] >= 9
    assert report["without"]["cost"] == pytest.approx(1)
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("a\n") and text.endswith("\nb\n") and "old" not in text
    assert f"| the motif | `{motif_text(MOTIF)}` |" in text
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (tmp_path / "out/without-1").iterdir()} == {"town.json", "cave.json"}
