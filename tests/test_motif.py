"""Motifs: their text, the pieces that are composed around them, and the ones that are invented or taken from music."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standin_model import standin

from nesasset import model as models
from nesasset.certificate import certify
from nesasset.compose import compose, compose_bars, leitmotif
from nesasset.compose.controls import Controls
from nesasset.compose.leitmotif import invent, phrase_of
from nesasset.compose.motif import Motif, checked, motif_text, parse_motif
from nesasset.compose.sources import Sources, pitches_to_score
from nesasset.driver import drive
from nesasset.errors import ControlError, MaterialError
from nesasset.formats import score_json
from nesasset.model import Model
from nesasset.render import render
from nesasset.score import HOLD, Note, Score
from nesasset.units import NOTE_NAMES

MAJOR = "C5/4 D5/2 E5/2 G5/4 A5/4 F5/2 E5/2 D5/4 C5/8"
MINOR = "-/2 G4/2 Eb5/2 D5/2 C5/4 Ab4/4 G4/2 F4/2 Bb4/4 G4/6"


@pytest.fixture(scope="module")
def model() -> Model:
    return standin()


motifs = st.lists(st.tuples(st.none() | st.integers(50, 86), st.integers(1, 16)), min_size=1, max_size=40).map(lambda notes: Motif(tuple(notes)))


# The text.


@given(motifs)
def test_a_text_says_the_motif(motif: Motif) -> None:
    """What can be composed with comes back from its text, rests that follow one another as one; what cannot is refused."""
    merged: list[tuple[int | None, int]] = []
    for pitch, rows in motif.notes:
        before = merged.pop()[1] if pitch is None and merged and merged[-1][0] is None else 0
        merged.append((pitch, before + rows))
    try:
        checked(motif)
    except (ControlError, ValueError):
        with pytest.raises(ControlError):
            parse_motif(motif_text(motif))
        return
    assert parse_motif(motif_text(motif)) == Motif(tuple(merged))


@given(motifs, st.integers(0, 64))
def test_a_head_is_the_beginning(motif: Motif, rows: int) -> None:
    """The head of a motif has the rows that were asked for, and the cells that the motif has there."""
    head = motif.head(rows)
    assert head.rows == min(rows, motif.rows)
    assert (head.cells() == motif.cells()[:rows]).all()


def test_modes_and_keys() -> None:
    """Third, sixth and seventh degree change with the mode and nothing else; back is the same motif."""
    major, minor = parse_motif(MAJOR), parse_motif(MINOR)
    assert (major.minor, minor.minor) == (False, True)
    assert motif_text(major.in_mode(True)) == "C5/4 D5/2 Eb5/2 G5/4 Ab5/4 F5/2 Eb5/2 D5/4 C5/8"
    assert major.in_mode(True).in_mode(False) == major
    assert minor.in_mode(False).in_mode(True) == minor
    assert [parse_motif(text).minor for text in ("C5/4 G5/4 Ab5/4 G5/4", "C5/4 G5/4 A5/4 G5/4", "C5/4 D5/4 G5/4 C5/4")] == [True, False, False]
    assert major.moves(2, 72, 84) == [2]
    assert major.moves(5, 72, 84) == []
    assert major.moves(0, 60, 96) == [-12, 0, 12]


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"motif": "C5/4 D5/4 E5 G5/8"}, r"a motif is notes with their lengths in rows, as in 'C5/4 Eb5/2 -/2 G5/8', not .* \(at 'E5'\)"),
        ({"motif": "C5/4 D5/4 E5/0 G5/8"}, "at 'E5/0'"),
        ({"motif": "H5/4"}, "at 'H5/4'"),
        ({"motif": ""}, "a motif must have 4 to 32 notes, not 0"),
        ({"motif": "C5/4 -/4 D5/4"}, "a motif must have 4 to 32 notes, not 2"),
        ({"motif": "C5/1 " * 33}, "a motif must have 4 to 32 notes, not 33"),
        ({"motif": "C5/17 " * 4}, "a motif must have at most 64 rows, which are four bars, not 68"),
        ({"motif": "C3/4 D3/4 C6/4 D6/4"}, "the notes of a motif must lie within 36 semitones, not 38"),
        ({"motif": "C5/4 D5/4 E5/4 G9/4"}, "the notes of a motif must lie between A1 and C8, which pulse 1 can play, not 'G9/4'"),
        ({"motif": 7}, "motif must be a text such as"),
        ({"motif": MAJOR, "voices": "P2 TR"}, "a motif is played by P1, which is not among the voices P2 TR"),
        ({"motif": MAJOR, "scale": "major-pentatonic"}, "the motif, written in C, has F5, which is not in the scale major-pentatonic"),
        ({"motif": MAJOR, "melody_range": "C4-C5", "key": "A"}, "the motif spans 9 semitones and has no place within C4-C5 in the key of A"),
        ({"motif": "C5/4 D5/4 E5/4 G6/4", "melody_range": "C4-C5"}, "the motif spans 19 semitones and has no place within C4-C5; ask for"),
    ],
)  # fmt: skip
def test_what_is_no_motif_gets_its_sentence(wishes: dict[str, object], sentence: str) -> None:
    """One sentence says what was wrong and what is allowed."""
    with pytest.raises(ControlError, match=sentence) as caught:
        Controls(**wishes)
    assert "\n" not in str(caught.value)


def test_a_motif_is_kept_as_it_is_written_best() -> None:
    """Spelling and spaces do not matter: one motif, one text, one piece."""
    assert Controls(motif="  c5/4 d#5/2\nA#4/2  -/1 -/1 G4/4 ").motif == "C5/4 Eb5/2 Bb4/2 -/2 G4/4"


# Pieces.


def sounding(score: Score, first: int, count: int, voice: str = "P1") -> list[object]:
    """Return pitches and gaps of a voice's rows."""
    return [cell.pitch if isinstance(cell, Note) else cell.value for cell in score.voices[voice][first : first + count]]


def written(text: str, minor: bool, rows: int | None = None) -> list[object]:
    """Return the same of a motif in C, in a mode."""
    tune = parse_motif(text).in_mode(minor)
    tune = tune if rows is None else tune.head(rows)
    out: list[object] = []
    for pitch, length in tune.notes:
        out += ["-" if pitch is None else pitch, *["."] * (length - 1)]
    return out


def moved_by(found: list[object], asked: list[object]) -> set[int] | None:
    """Return by which semitones notes are moved; None where rows differ in anything else."""
    if [isinstance(cell, int) for cell in found] != [isinstance(cell, int) for cell in asked]:
        return None
    if any(one != other for one, other in zip(found, asked, strict=True) if not isinstance(other, int)):
        return None
    return {one - other for one, other in zip(found, asked, strict=True) if isinstance(one, int) and isinstance(other, int)}


@pytest.mark.parametrize("key", NOTE_NAMES)
@pytest.mark.parametrize(("text", "mode"), [(MAJOR, "major"), (MAJOR, "minor"), (MINOR, "minor"), (MINOR, "major")])
def test_the_motif_stands_twice(key: str, text: str, mode: str, model: Model) -> None:
    """In every key and either mode pulse 1 has the motif note for note in the loop's first bar and half way."""
    score = compose("castle", 1, Controls(bars=8, key=key, mode=mode, motif=text, candidates=1), model)
    asked = written(text, mode == "minor")
    moves = [moved_by(sounding(score, bar * 16, len(asked)), asked) for bar in (0, 4)]
    assert moves[0] == moves[1]
    assert moves[0] is not None and len(moves[0]) == 1
    assert moves[0].pop() % 12 == NOTE_NAMES.index(key)
    assert score.bar_rows == 16
    assert score.provenance["controls"]["motif"] == text


@pytest.mark.parametrize(
    ("wishes", "places"),
    [
        ({"bars": 16}, (0, 8)),
        ({"bars": 12, "intro_bars": 2}, (2, 8)),
        ({"bars": 8, "register": "high"}, (0, 4)),
        ({"bars": 8, "register": "low"}, (0, 4)),
        ({"bars": 8, "melody_range": "C4-C6"}, (0, 4)),
        ({"bars": 8, "melody_range": "C4-C5"}, (0, 4)),
        ({"bars": 8, "form": "AABA"}, (0, 2, 6)),
        ({"bars": 8, "form": "ABCD"}, (0, 4)),
        ({"bars": 8, "chords": "I IV V I"}, (0, 4)),
        ({"bars": 8, "chords": "F Bb C F"}, (0, 4)),
        ({"bars": 8, "scale": "major"}, (0, 4)),
        ({"bars": 8, "voices": "P1"}, (0, 4)),
        ({"bars": 8, "density": 0.1}, (0, 4)),
        ({"bars": 4}, (0,)),
        ({"bars": 2}, (0,)),
        ({"bars": 64, "temperature": 0.8}, (0, 32)),
    ],
)
def test_the_motif_stands_where_it_should(wishes: dict[str, object], places: tuple[int, ...], model: Model) -> None:
    """Whatever else is asked for: the motif is there, moved as a whole, and pulse 1 keeps to its range."""
    controls = Controls(motif=MAJOR, mode="major" if "scale" not in wishes else None, candidates=1, **wishes)
    score = compose("overworld", 2, controls, model)
    asked = written(MAJOR, False)
    moves = [moved_by(sounding(score, bar * 16, len(asked)), asked) for bar in places]
    assert all(move == moves[0] and move is not None and len(move) == 1 for move in moves)
    if controls.melody_pitches:
        low, high = controls.melody_pitches
        assert all(low <= cell.pitch <= high for cell in score.voices["P1"] if isinstance(cell, Note))
    if "chords" in wishes and "F" in str(wishes["chords"]):
        assert {move % 12 for move in moves[0]} == {5}


def test_named_chords_have_their_key(model: Model) -> None:
    """A progression of names says in which key the motif stands."""
    for chords, mode, tonic in (("F Bb C F", "major", 5), ("Am Dm E7 Am", "minor", 9), ("G D Em C", "major", 7)):
        score = compose("overworld", 1, Controls(bars=4, chords=chords, mode=mode, motif=MAJOR, candidates=1), model)
        asked = written(MAJOR, mode == "minor")
        (move,) = moved_by(sounding(score, 0, len(asked)), asked)
        assert move % 12 == tonic


@pytest.mark.parametrize(("theme", "bars", "rows"), [("item", 1, 14), ("level-up", 2, 30), ("victory", 4, 32), ("game-over", 4, 32), ("item", 16, 32)])
def test_what_ends_has_the_head(theme: str, bars: int, rows: int, model: Model) -> None:
    """A jingle has as much of the motif as there is room for, and still ends in silence."""
    score = compose(theme, 3, Controls(bars=bars, mode="major", motif=MAJOR, candidates=1), model)
    asked = written(MAJOR, False, rows)
    moves = moved_by(sounding(score, 0, len(asked)), asked)
    assert moves is not None and len(moves) == 1
    assert certify(score, render(drive(score))).passed


@pytest.mark.parametrize("bars", [1, 2, 3])
def test_a_short_loop_has_whole_bars_of_it(bars: int, model: Model) -> None:
    """A loop of fewer bars than the motif has its first bars."""
    long = "C5/4 E5/4 G5/4 E5/4 D5/4 F5/4 A5/4 F5/4 E5/8 G5/8 C5/16"
    score = compose("town", 3, Controls(bars=bars, motif=long, mode="major", candidates=1), model)
    asked = written(long, False, 16 * bars)
    assert len(moved_by(sounding(score, 0, 16 * bars), asked) or ()) == 1
    assert score.n_bars == bars


def test_bars_that_come_one_by_one(model: Model) -> None:
    """Live music has the motif too, in the key that was asked for."""
    bars = list(compose_bars("town", 3, Controls(bars=8, key="D", mode="minor", motif=MAJOR), model))
    asked = written(MAJOR, True)
    for first in (0, 4):
        found = [cell for bar in bars[first : first + 2] for cell in sounding(bar, 0, 16)]
        assert {move % 12 for move in moved_by(found, asked) or {None}} == {2}


def test_the_same_again(model: Model) -> None:
    """A motif is a wish like others: it fixes the piece with theme and seed, and another motif gives another piece."""
    texts = [score_json.dumps(compose("town", 3, Controls(bars=4, motif=motif, candidates=1), model)) for motif in (MAJOR, MAJOR, MINOR)]
    assert texts[0] == texts[1] != texts[2]


def test_loops_pass_their_certificate(model: Model) -> None:
    """What is composed around a motif is as sound as any loop: whole bars, nothing held into it."""
    for seed in range(3):
        score = compose("town", seed, Controls(bars=8, intro_bars=seed, motif=MINOR, candidates=1), model)
        checks = {check.name: check.passed for check in certify(score, render(drive(score))).checks}
        assert checks["whole bars"]
        assert all(part[row] is not HOLD for part in score.voices.values() for row in (0, score.loop[0]))


def test_a_motif_goes_with_no_other_music(model: Model) -> None:
    """With kept music, a primer or a style a motif is refused."""
    for sources in (Sources(keep=pitches_to_score("67,64,60")), Sources(primer=pitches_to_score("67,64,60")), Sources(like=pitches_to_score("67"))):
        with pytest.raises(ControlError, match="a motif cannot be asked for together with kept music, a primer or a style"):
            compose("town", 1, Controls(motif=MAJOR), model, sources)


# Where motifs come from.


def test_a_phrase_comes_back_as_its_motif(model: Model) -> None:
    """Taken from the bars where it stands, a motif is the one that was asked for, in C."""
    score = compose("overworld", 2, Controls(bars=8, key="C", mode="major", motif=MAJOR, candidates=1, ornaments=False), model)
    taken = phrase_of(score, "5-6")
    own = parse_motif(MAJOR)
    moves = {a - b for a, b in zip(taken.pitches, own.pitches, strict=True)}
    assert len(moves) == 1
    assert [rows for _, rows in taken.notes] == [rows for _, rows in own.notes]


def test_scores_of_finer_rows_are_counted_in_sixteenths() -> None:
    """A motif of a score of eight rows a beat has half the rows."""
    score = pitches_to_score("60,62,64,67,72")
    fine = replace(score, voices={voice: tuple(cell for one in part for cell in (one, HOLD)) for voice, part in score.voices.items()}, beat_rows=8, bar_rows=32)
    assert phrase_of(fine, "1-2") == phrase_of(score, "1-2")
    assert motif_text(phrase_of(score, "1-2")) == "C5/4 D5/4 E5/4 G5/4 C6/4"


@pytest.mark.parametrize(
    ("bars", "error", "sentence"),
    [
        ("7", ControlError, "bars must be from 1 to 2"),
        ("1,1-2,x", ControlError, "bars must be numbers"),
        ("2", ControlError, "a motif must have 4 to 32 notes, not 1"),
        (None, MaterialError, "no two bars of the score's pulse 1 make a motif"),
    ],
)
def test_bars_that_make_no_motif(bars: str | None, error: type[Exception], sentence: str) -> None:
    """Each gets its sentence."""
    with pytest.raises(error, match=sentence):
        phrase_of(pitches_to_score("60,62,64,67,72"), bars)


def test_scores_of_any_kind_give_a_sentence() -> None:
    """Very wide lines and very odd bars are no motifs, and no mistakes of ours."""
    wide = pitches_to_score("33,108,33,108,33")
    with pytest.raises(ControlError, match="the notes of a motif must lie within 36 semitones, not 75"):
        phrase_of(wide, "1-2")
    with pytest.raises(MaterialError, match="no two bars"):
        phrase_of(replace(wide, bar_rows=1, beat_rows=256))


def test_invented_motifs(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best phrase of a composed piece: sung easily, in one key, and the same for the same seed."""
    tune = "C5/4 D5/2 E5/2 G5/4 E5/4 F5/2 E5/2 D5/4 C5/8"
    made: list[int] = []

    def composed(theme: str, seed: int, controls: Controls, model: Model) -> Score:
        made.append(seed)
        own = {"voices": "TR"} if len(made) < 4 else {"voices": "P1", "bars": 2, "mode": "major", "motif": tune}
        return compose(theme, seed, replace(controls, **own), model)

    monkeypatch.setattr(sys.modules["nesasset.compose"], "compose", composed)
    found = invent("overworld", 5, model)
    assert len(set(made)) == len(made) == 4
    assert motif_text(found) == tune


@pytest.mark.parametrize(
    ("notes", "mode", "good"),
    [
        ("C5/4 D5/2 E5/2 G5/4 E5/4 F5/2 E5/2 D5/4 C5/8", "major", True),
        ("C5/4 D5/2 F#5/2 G5/4 E5/4 F5/2 E5/2 D5/4 C5/8", "major", False),  # out of its key
        ("C5/4 D5/4 E5/4 D5/4 C5/4 D5/4 E5/4 D5/4 C5/8", "major", False),  # few moves
        ("C5/4 C5/2 D5/2 D5/4 E5/4 E5/2 G5/2 E5/4 F5/8", "major", False),  # struck again and again
        ("C5/4 D5/2 E5/2 G5/4 C5/4 G5/2 E5/2 D5/4 C5/8", "major", False),  # four pitches
        ("C5/4 D5/4 E5/4 G5/4 E5/4 F5/4 E5/4 D5/4 C5/4", "major", False),  # one length but the last
        ("C5/4 E5/2 F5/2 B4/4 C5/4 G5/2 E5/2 D5/4 C5/8", "major", False),  # a tritone
        ("C5/4 E5/2 A5/2 D5/4 C5/4 G5/2 E5/2 D5/4 C5/8", "major", False),  # a tritone in minor
        ("G5/8 B5/4 D5/2 G5/2 A5/4 B5/2 A5/2 G5/8", "major", False),  # at home on G
        ("C5/4 D5/1 -/7 E5/2 G5/4 E5/1 -/7 F5/2 -/8 E5/2 C5/4", "major", False),  # it rests too long
    ],
)
def test_what_can_be_sung(notes: str, mode: str, good: bool) -> None:
    """Key, moves, lengths, leaps and rests are looked at."""
    assert leitmotif._is_singable(parse_motif(notes), mode) is good


def test_no_phrase_in_any_piece(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be found it is said how hard it was looked for."""
    monkeypatch.setattr(sys.modules["nesasset.compose"], "compose", lambda *args: pitches_to_score("60"))
    with pytest.raises(MaterialError, match="none of 32 pieces for the theme town and the seed 1 has a phrase that makes a motif; try another seed"):
        invent("town", 1, model)


# The commands.


@pytest.fixture
def default(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "default_model", lambda: model)


def test_the_command_takes_a_motif_of_a_file(run, tmp_path) -> None:
    """The text is printed, and how to use it."""
    score_json.save(pitches_to_score("62,64,66,69,74"), tmp_path / "tune.json")
    code, output, errors = run("motif", "--of", str(tmp_path / "tune.json"), "--bars", "1-2")
    assert (code, errors) == (0, "")
    assert output.splitlines()[0] == "motif      C5/4 D5/4 E5/4 G5/4 C6/4"
    assert "compose overworld --motif 'C5/4 D5/4 E5/4 G5/4 C6/4'" in output
    told = json.loads(run("motif", "--of", str(tmp_path / "tune.json"), "--bars", "1-2", "--json")[1])
    assert (told["motif"], told["mode"], told["rows"], told["notes"]) == ("C5/4 D5/4 E5/4 G5/4 C6/4", "major", 20, 5)


def test_the_command_invents_one(run, monkeypatch, default) -> None:
    """Theme and seed go to the one who invents."""
    asked: list[tuple[str, int]] = []

    def invented(theme: str, seed: int, model: Model) -> Motif:
        asked.append((theme, seed))
        return parse_motif(MAJOR)

    monkeypatch.setattr(leitmotif, "invent", invented)
    assert run("motif", "--theme", "boss", "--seed", "4")[1].startswith(f"motif      {MAJOR}\n")
    assert json.loads(run("motif", "--json")[1])["theme"] == "title"
    assert asked == [("boss", 4), ("title", 0)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("motif", "--bars", "1-2"), "--bars are those of a file: name it with --of FILE"),
        (("motif", "--of", "a.json", "--seed", "3"), "a motif of a file has no theme, seed and model"),
        (("motif", "--model", "A model"), "model must be the name of an installed model"),
        (("motif", "--theme", "castel"), "unknown theme 'castel'"),
        (("motif", "--seed", "-1"), "seed must be between 0"),
        (("motif", "--of", "a.wav"), "the suffix of 'a.wav' must be one of"),
        (("compose", "town", "--motif", "C5", "-o", "a.json"), "a motif is notes with their lengths in rows"),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(run, tmp_path, monkeypatch, arguments: tuple[str, ...], sentence: str) -> None:
    """Nothing is composed and nothing is written."""
    monkeypatch.chdir(tmp_path)
    code, output, errors = run(*arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert sentence in errors
    assert not list(tmp_path.iterdir())


def test_cells_of_a_motif() -> None:
    """A note holds for its rows, a rest is silent for them."""
    assert np.flatnonzero(parse_motif(MINOR).cells()).tolist() == [0, 2, 4, 6, 8, 12, 16, 18, 20, 24]
