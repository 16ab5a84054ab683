"""Families: members on one grid and one harmony, each of its own kind; by rule, and with the model around what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pieces import loop_score
from standin_model import standin

from nesasset.certificate import certify
from nesasset.cli import main
from nesasset.compose import recast
from nesasset.compose.family import family, make
from nesasset.compose.kinship import bars_in_harmony, difference, harmony_agreement, same_grid
from nesasset.compose.material import cells_of
from nesasset.compose.members import MEMBERS
from nesasset.driver import drive
from nesasset.errors import ControlError, MaterialError
from nesasset.formats import score_json, stack
from nesasset.play.engine import Engine
from nesasset.render import render
from nesasset.score import HOLD, REST, Instrument, Note
from nesasset.units import VOICES
from nesasset.vocabulary import ONSET_ID

STANDIN = Path(__file__).parent / "standin"


@pytest.fixture(scope="module")
def model():
    return standin()


@pytest.fixture(scope="module")
def parent():
    return loop_score(3, bars=8, intro_bars=1)


@pytest.fixture(scope="module")
def members(parent, model):
    return family(parent, seed=1, model=model)


@pytest.mark.parametrize("name", MEMBERS)
def test_members_stand_on_the_parents_grid_and_harmony(name, parent, members):
    """Bars, rows and loop are the parent's, the tempo is the member's, bars are in harmony."""
    member = members[name]
    assert same_grid(parent, member)
    assert member.tempo_bpm == pytest.approx(parent.tempo_bpm * MEMBERS[name].tempo, rel=0.02)
    assert bars_in_harmony(parent, member).mean() >= 0.9
    assert member.provenance["member"] == name
    assert member.provenance["parent"]["sha256"] == score_json.music_digest(parent)


@pytest.mark.parametrize("name", [name for name in MEMBERS if not MEMBERS[name].composed])
def test_members_by_rule_pass_their_certificates(name, members):
    """What is made by rule from a piece that loops loops, too."""
    certificate = certify(members[name], render(drive(members[name])))
    assert certificate.passed, certificate.failures


def test_members_differ_from_the_parent_and_from_each_other(parent, members):
    """Every pair differs by two steps at least of what a listener is sure to notice."""
    everyone = {"parent": parent, **members}
    names = list(everyone)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            assert difference(everyone[one], everyone[other])["total"] > 2, (one, other)
    assert difference(parent, parent)["total"] == 0


def test_fast_is_the_same_but_for_its_tempo(parent, members):
    """The fast member has the parent's notes, every one."""
    assert (cells_of(members["fast"]) == cells_of(parent)).all()
    steps = difference(parent, members["fast"])
    assert steps["total"] == steps["tempo"] > 3


def test_the_model_writes_around_what_is_kept(parent, members):
    """Danger keeps all three melodic voices' notes and gets other drums; boss keeps the melody."""
    was = cells_of(parent)
    danger, boss = cells_of(members["danger"]), cells_of(members["boss"])
    assert (danger[:, 0] == was[:, 0]).all()
    assert (danger[:, 3] != was[:, 3]).any()
    assert (boss[:, 0] == was[:, 0]).all()
    assert (boss[:, 1] != was[:, 1]).any()
    assert members["danger"].provenance["composed"] == ["NO"]
    assert members["danger"].provenance["model"] == "standin"


def test_drums_for_a_piece_without_any(parent, model):
    """A parent without drums gets some, with instruments of its member's own."""
    quiet = recast.finish(recast.silenced(parent, "NO"))
    assert not (cells_of(quiet)[:, 3] >= ONSET_ID).any()
    assert (cells_of(make(quiet, MEMBERS["danger"], 0, model))[:, 3] >= ONSET_ID).any()


def test_same_seed_same_bytes(parent, model):
    """A member is the same again; another seed composes other drums, and does not touch what is by rule."""
    dumps = {seed: {name: score_json.dumps(score) for name, score in family(parent, ("calm", "danger"), seed, model).items()} for seed in (1, 2)}
    assert dumps[1] == {name: score_json.dumps(score) for name, score in family(parent, ("calm", "danger"), 1, model).items()}
    assert dumps[1]["danger"] != dumps[2]["danger"]
    assert dumps[1]["calm"] == dumps[2]["calm"]


def test_members_by_rule_need_no_model(parent, monkeypatch):
    """Nothing is loaded where nothing is composed."""
    monkeypatch.setattr("nesasset.model.default_model", lambda: pytest.fail("the model was loaded"))
    assert set(family(parent, ("calm", "fast", "night"))) == {"calm", "fast", "night"}


def test_a_game_changes_at_any_beat(parent, members):
    """In live music an equivalent change between members keeps bar, beat and row, whatever their tempos."""
    engine = Engine()
    for name, score in {"parent": parent, **members}.items():
        engine.do({"do": "add", "name": name, "score": score, "complete": True})
    engine.do({"do": "switch", "to": "parent", "at": "now"})
    names = ["boss", "calm", "fast", "underwater", "parent", "night"]
    last = -1
    for frame in range(1200):
        if frame % 100 == 50:
            engine.do({"do": "switch", "to": names[frame // 100 % len(names)], "at": "beat", "via": "equivalent"})
        before = engine.position()
        engine.step()
        after = engine.position()
        start, end = parent.loop
        if before.playing:  # one row after the other, the loop's start after its end; a change skips and repeats nothing
            step = after.row - before.row
            assert step in (0, 1) or (before.row == end - 1 and after.row == start), (frame, before.row, after.row)
        last = max(last, after.row)
    assert last == parent.n_rows - 1
    assert engine.position().loops >= 1


def test_an_unknown_member(parent):
    """The error names those that there are."""
    with pytest.raises(ControlError, match="no member 'bos', did you mean boss"):
        family(parent, ("bos",))
    with pytest.raises(ControlError, match="seed must be between"):
        family(parent, ("calm",), seed=-1)


def test_scores_of_other_grids_are_not_compared(parent):
    """Harmony bar by bar needs the same bars."""
    with pytest.raises(MaterialError, match="same bars, rows and loop"):
        harmony_agreement(parent, loop_score(3, bars=4))


# What the rules do.


@given(st.integers(0, 50), st.floats(0.5, 2.0), st.sampled_from([(6,), (7, 5), (4, 3, 4, 3), (8,)]))
@settings(max_examples=40)
def test_a_tempo_is_met_to_whole_frames(seed, factor, groove):
    """Any factor gives whole rows, and bars within a frame of what was asked for."""
    score = loop_score(seed, bars=2, groove=groove)
    made = recast.with_tempo(score, factor)
    assert abs(made.n_frames - score.n_frames / factor) <= 2
    assert (cells_of(made) == cells_of(score)).all()


def test_late_notes_stay_within_shorter_rows():
    """Delays of notes and voices are cut to what a faster row allows."""
    score = loop_score(1, bars=1)
    late = [replace(cell, delay=3) if isinstance(cell, Note) else cell for cell in score.voices["P1"]]
    score = replace(score, voices={**score.voices, "P1": tuple(late)}, delays={"P1": 2})
    made = recast.with_tempo(score, 3.0)
    assert made.groove == (2,)
    assert {cell.delay for cell in made.voices["P1"] if isinstance(cell, Note)} == {0}


def test_octaves_only_where_the_voice_reaches(parent):
    """A voice is moved as a whole or not at all."""
    lower = recast.moved(parent, "P1", -1)
    pitches = [[cell.pitch for cell in score.voices["P1"] if isinstance(cell, Note)] for score in (parent, lower)]
    assert [pitch - 12 for pitch in pitches[0]] == pitches[1]
    assert recast.moved(parent, "P1", -4) is parent


def test_striking_again_and_thinning(parent):
    """A held note is struck on the grid asked for; thinning leaves only notes on it."""
    struck = recast.struck_again(parent, "TR", 2)
    held = recast.thinned(parent, "P2", 4)
    for row in range(parent.n_rows):
        assert row % 4 == 0 or not isinstance(held.voices["P2"][row], Note)
    more = [row for row, cell in enumerate(struck.voices["TR"]) if isinstance(cell, Note)]
    assert set(more) > {row for row, cell in enumerate(parent.voices["TR"]) if isinstance(cell, Note)}
    assert all(row % 2 == 0 or isinstance(parent.voices["TR"][row], Note) for row in more)


def test_a_figure_has_the_chords_tones(parent):
    """Every note of a figure is a tone of its half bar's chord."""
    from nesasset.chords import chord_tones
    from nesasset.compose.kinship import half_bar_chords

    made = recast.chord_figure(parent, "P2", Instrument("pulse"), (0, 1, 2, 4), 2, 60)
    chords = half_bar_chords(parent)
    notes = [(row, cell.pitch) for row, cell in enumerate(made.voices["P2"]) if isinstance(cell, Note)]
    assert len(notes) > parent.n_rows // 3
    for row, pitch in notes:
        assert chord_tones()[chords[row // 16, row % 16 // 8], pitch % 12]


def test_finishing_frees_the_loop_and_the_instruments(parent):
    """No note is held into the loop, and nothing unplayed is left."""
    bare = recast.finish(recast.silenced(recast.silenced(parent, "P2"), "NO"))
    assert all(bare.voices[voice][row] is not HOLD for voice in VOICES for row in (0, parent.loop[0]))
    assert bare.voices["P2"][0] is REST
    assert {instrument.kind for instrument in bare.instruments} == {"pulse", "triangle"}


# The picture and the command.


def test_the_picture_has_a_roll_for_each(parent, members):
    """Pieces stand one above the other: each makes the picture higher, none wider."""
    one, three = stack.draw({"a": parent}, "A"), stack.draw({"a": parent, "b": members["calm"], "c": members["fast"]}, "A")
    assert three.width == one.width
    assert three.height > 2 * one.height
    assert np.asarray(three).std() > 0


@pytest.fixture
def folder(tmp_path, monkeypatch, parent):
    monkeypatch.setattr("nesasset.model.DEFAULT_MODEL", "standin")
    monkeypatch.setenv("NESASSET_MODEL_DIR", str(STANDIN))
    monkeypatch.chdir(tmp_path)
    score_json.save(parent, tmp_path / "round.json")
    return tmp_path


def test_the_command_writes_a_family(folder, parent, capsys):
    """Scores, a picture and a table; the scores are on the parent's grid, and a build leaves them alone where a game keeps them."""
    from nesasset.build.seal import is_edited

    assert main(["family", "round.json", "-o", "out", "--members", "calm, fast", "--plot", "out.png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in found["members"]] == ["calm", "fast"]
    assert found["members"][1]["same_chords"] == 1.0
    for entry in found["members"]:
        score = score_json.load(entry["file"])
        assert same_grid(score, parent)
        assert is_edited(score)
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")
    assert main(["family", "round.json", "-o", "out", "--members", "fast"]) == 0
    assert "100%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.json", "-o", "out"], 1, "missing.json"),
        (["round.json", "-o", "out", "--members", "bos"], 2, "no member 'bos'"),
        (["round.json", "-o", "out", "--members", ""], 2, "--members must be names"),
        (["round.json", "-o", "out", "--seed", "-1"], 2, "seed must be between"),
        (["round.json", "-o", "out", "--plot", "x.gif"], 2, "ends in .png"),
        (["round.json", "-o", "round.json", "--members", "fast"], 1, "round.json"),
    ],
)
def test_bad_input_of_the_command(folder, capsys, arguments, code, message):
    """One sentence, the right code, and nothing written."""
    assert main(["family", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["round.json"]
