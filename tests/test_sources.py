"""Composing with music that is there: kept voices, primers, styles, with the stand-in model."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
from standin_model import standin

from nesasset.certificate import certify
from nesasset.compose import _harmony, compose
from nesasset.compose.controls import Controls
from nesasset.compose.given import Given
from nesasset.compose.plan import draw_plan
from nesasset.compose.request import generator, resolve
from nesasset.compose.sources import LEAD, Sources, only, pitches_to_score
from nesasset.driver import drive
from nesasset.errors import ControlError, MaterialError
from nesasset.formats import score_json
from nesasset.model import Model
from nesasset.render import render
from nesasset.score import HOLD, REST, Instrument, Note, Score
from nesasset.themes import theme
from nesasset.units import VOICES
from nesasset.vocabulary import NEW, ONSET_ID, REST_ID


@pytest.fixture(scope="module")
def model() -> Model:
    return standin()


@pytest.fixture(scope="module")
def parent(model: Model) -> Score:
    return compose("castle", 4, Controls(bars=4, candidates=1, voices="P1 P2 TR"), model)


def sound(score: Score, voice: str) -> list[object]:
    """Return a voice's cells, its notes with their instruments instead of their numbers."""
    return [
        (replace(cell, instrument=0), score.instruments[cell.instrument]) if isinstance(cell, Note) else cell
        for cell in score.voices[voice]
    ]


def notes(score: Score, voice: str) -> int:
    return sum(isinstance(cell, Note) for cell in score.voices[voice])


@pytest.mark.parametrize("voices", ["P1", "TR", "P1 P2", "P1 P2 TR"])
def test_kept_voices_are_kept(voices: str, model: Model, parent: Score) -> None:
    """Kept voices come back note for note and instrument for instrument, with length and tempo; the loop is certified."""
    pieces = (compose("town", seed, Controls(candidates=1), model, Sources(keep=parent, keep_voices=voices)) for seed in range(3, 15))
    piece = next(pieces)
    for voice in voices.split():
        assert sound(piece, voice)[1:] == sound(parent, voice)[1:]
    assert (piece.n_rows, piece.groove, piece.loop) == (parent.n_rows, parent.groove, parent.loop)
    assert piece.theme == "town"
    assert next(check for check in certify(piece, render(drive(piece))).checks if check.name == "whole bars").passed
    others = [voice for voice in VOICES if voice not in voices.split()]
    assert any(notes(made, voice) for made in (piece, *pieces) for voice in others)  # the stand-in seldom drums


def test_the_same_again(model: Model, parent: Score) -> None:
    """Sources, seed and controls fix the piece; another source gives another one."""
    texts = [
        score_json.dumps(compose("town", 3, Controls(candidates=1), model, Sources(keep=parent, keep_voices=voices)))
        for voices in ("P1", "P1", "TR")
    ]
    assert texts[0] == texts[1] != texts[2]


def test_the_piece_goes_on_after_what_is_kept(model: Model, parent: Score) -> None:
    """With more bars asked for, the kept voice stands at the beginning and goes on as a composed one."""
    piece = compose("town", 3, Controls(bars=8, candidates=1), model, Sources(keep=parent, keep_voices="P1"))
    assert piece.n_bars == 8
    assert sound(piece, "P1")[1 : parent.n_rows] == sound(parent, "P1")[1:]


@pytest.mark.parametrize("mode", ["context", "keep"])
def test_primers(mode: str, model: Model, parent: Score) -> None:
    """A primer that is context is not in the piece; one that is kept begins it, and its silent voices are composed."""
    piece = compose("cave", 1, Controls(bars=8, candidates=1), model, Sources(primer=parent, primer_mode=mode))
    assert piece.n_bars == 8 and piece.loop == (0, piece.n_rows)
    begins = [sound(piece, voice)[1 : parent.n_rows] == sound(parent, voice)[1:] for voice in ("P1", "P2", "TR")]
    assert all(begins) if mode == "keep" else not any(begins)
    assert piece.provenance["primer"] == {
        "sha256": score_json.music_digest(parent), "title": "castle", "theme": "castle", "seed": 4, "mode": mode,
    }  # fmt: skip
    assert piece.groove == parent.groove


def test_written_pitches() -> None:
    """Numbers and names are a beat each, a dash is a rest."""
    score = pitches_to_score("67, G4 - Bb3")
    line = score.voices["P1"]
    assert [line[row] for row in range(0, 16, 4)] == [Note(0, 67), Note(0, 67), REST, Note(0, 58)]
    assert {line[row] for row in range(16) if row % 4} == {HOLD}
    assert score.instruments == (LEAD,)


def test_a_bar_goes_on_where_a_primer_stops(model: Model) -> None:
    """Three written beats leave the fourth to the composer; the rows before are as written."""
    piece = compose("cave", 1, Controls(bars=4, candidates=1), model, Sources(primer=pitches_to_score("67,64,60"), primer_mode="keep"))
    assert [piece.voices["P1"][row] for row in (0, 4, 8)] == [Note(0, 67), Note(0, 64), Note(0, 60)]
    assert all(piece.voices["P1"][row] is HOLD for row in (1, 2, 3, 5, 6, 7, 9, 10, 11))


def test_a_primer_is_moved_to_the_key(model: Model, parent: Score) -> None:
    """After a primer as context the piece is in the key that was asked for; kept music is not moved, so that is refused."""
    piece = compose("cave", 1, Controls(bars=4, key="D", candidates=1), model, Sources(primer=parent))
    assert piece.provenance["key"].startswith("D ")
    other = "C" if not parent.provenance["key"].startswith("C ") else "D"
    with pytest.raises(ControlError, match=f"key {other} cannot be had"):
        compose("cave", 1, Controls(key=other, candidates=1), model, Sources(keep=parent))


def test_like_takes_instruments_and_no_notes(model: Model, parent: Score) -> None:
    """A piece like another has its tempo and instruments, and not its melody."""
    piece = compose("cave", 1, Controls(bars=4, candidates=1), model, Sources(like=parent))
    assert piece.groove == parent.groove
    assert piece.instruments[: len(parent.instruments)] == parent.instruments
    assert sound(piece, "P1") != sound(parent, "P1")
    assert piece.provenance["like"]["sha256"] == score_json.music_digest(parent)


def test_a_jingle_around_a_kept_voice_ends(model: Model, parent: Score) -> None:
    """What does not loop gets a bar in which the kept voice falls silent."""
    piece = compose("victory", 1, Controls(candidates=1), model, Sources(keep=parent, keep_voices="P1"))
    assert piece.loop is None
    assert piece.n_rows == parent.n_rows + 16
    assert piece.voices["P1"][parent.n_rows] is REST


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda parent, model: (Controls(bars=2), model, Sources(keep=parent)), r"has 4 bars, more than the 2 that"),
        (lambda parent, model: (Controls(bars=2), model, Sources(primer=parent, primer_mode="keep")), r"the primer has 4 bars, more than the 2"),
        (lambda parent, model: (Controls(), model, Sources(primer=parent, keep=parent, primer_mode="keep")), r"kept primer and with other kept music"),
        (lambda parent, model: (Controls(), model, Sources(primer=parent, primer_mode="inject")), r"primer_mode must be context or keep, not 'inject'"),
        (lambda parent, model: (Controls(), model, Sources(keep=parent, keep_voices="P1 XX")), r"voices must be some of"),
    ],
)
def test_what_does_not_go_together(make, message: str, model: Model, parent: Score) -> None:
    """Wishes that contradict the sources are refused in one sentence."""
    with pytest.raises(ControlError, match=message):
        compose("town", 1, *make(parent, model))


def test_voices_that_are_not_there(model: Model, parent: Score) -> None:
    """A voice that does not play cannot be kept, and the sentence says which do."""
    with pytest.raises(MaterialError, match="NO cannot be kept: in the score only P1, P2, TR plays"):
        compose("town", 1, Controls(), model, Sources(keep=parent, keep_voices="P1 NO"))
    silent = Score(dict.fromkeys(VOICES, (REST,) * 16), (Instrument("pulse"),))
    with pytest.raises(MaterialError, match="no notes"):
        compose("town", 1, Controls(), model, Sources(keep=silent))


def test_metres_that_do_not_fit(model: Model, parent: Score) -> None:
    """A primer of twelve rows a bar cannot lead into kept music of sixteen."""
    waltz = replace(parent, voices={voice: part[:48] for voice, part in parent.voices.items()}, bar_rows=12, loop=None)
    with pytest.raises(MaterialError, match="bars of 12 rows cannot lead into"):
        compose("town", 1, Controls(), model, Sources(keep=parent, primer=waltz))


@pytest.mark.parametrize("text", ["", "200", "x", "67,,H4", "-5"])
def test_pitches_that_are_none(text: str) -> None:
    """A word that is no pitch of pulse 1 is named."""
    with pytest.raises(ControlError, match="primer"):
        pitches_to_score(text)


def test_only_the_voices_that_are_asked_for(parent: Score) -> None:
    """The other voices are silent, the instruments stay."""
    score = only(parent, ("TR",))
    assert score.voices["TR"] == parent.voices["TR"]
    assert notes(score, "P1") == notes(score, "P2") == 0
    assert score.instruments == parent.instruments


def test_a_bass_is_consonant_with_a_given_melody(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a bass loses under given notes is the share of the next beat's that it would clash with; held hard, it never does."""
    writer, steering = (importlib.import_module(f"nesasset.compose.{name}") for name in ("writer", "steering"))
    request = resolve(theme("castle"), 4, Controls(bars=2), model.sidecar["sampling"])
    plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    plan = replace(plan, lags=np.zeros(2, dtype=np.int64), classes=np.full((2, 4), NEW), shifts=np.zeros(2, dtype=np.int64))
    rng = np.random.default_rng(3)
    cells = np.full((2 * plan.bar_rows, 4), -1, dtype=np.int64)
    cells[:, 0] = np.where(rng.random(len(cells)) < 0.6, ONSET_ID + rng.integers(40, 50, len(cells)), REST_ID)
    given = Given(cells, np.where(cells[:, :3] >= ONSET_ID, 0, -1))
    monkeypatch.setattr(steering, "CLASH", 1.0)
    desk = writer._Desk(model, request, plan, [generator((1,))], given)
    for row in range(len(cells)):
        notes = [int(cell) - ONSET_ID for cell in cells[row : row + 4, 0] if cell >= ONSET_ID]
        for bass in range(0, 88, 7):
            clashing = sum((note - bass) % 12 in (1, 2, 6, 10, 11) for note in notes)
            assert desk.steering.clash[row, bass] == pytest.approx(-clashing / max(1, len(notes)))
    cells[:, 0] = ONSET_ID + 45
    monkeypatch.setattr(steering, "CLASH", 1000.0)
    draft = writer.write(model, request, plan, [generator((1,))], Given(cells, np.where(cells[:, :3] >= ONSET_ID, 0, -1)))[0]
    basses = draft.cells[draft.cells[:, 2] >= ONSET_ID, 2] - ONSET_ID
    assert len(basses) and not np.isin((45 - basses) % 12, (1, 2, 6, 10, 11)).any()
    assert writer._Desk(model, request, plan, [generator((1,))]).steering.clash is None
