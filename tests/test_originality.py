"""How much of a melody stands in other music: the lines, the index, the command, and what composing does with it."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesasset.cli import main
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.errors import ModelMismatchError
from nesasset.formats import score_json
from nesasset.model import load_model
from nesasset.originality import (
    INDEX_BITS,
    WORD,
    Known,
    _index,
    compare,
    find_known,
    hashes,
    known_of,
    lines,
    load_index,
    melody_symbols,
    ngrams,
    repetitions,
    to_json,
    total_share,
)
from nesasset.score import HOLD, Instrument, Note, Score
from nesasset.vocabulary import pitch_to_id
from tests.pieces import loop_score

STANDIN = Path(__file__).parent / "standin"
TUNE = ((0, 60), (2, 64), (3, 67), (6, 65), (8, 62), (11, 60), (12, 71), (15, 69), (17, 60), (20, 66), (21, 67), (24, 59))


def line(*notes, n_rows=64):
    """Return cells of a line with notes (row, MIDI pitch)."""
    cells = np.zeros(n_rows, dtype=np.int64)
    for row, pitch in notes:
        cells[row] = pitch_to_id(pitch)
    return cells


def one_voice(*notes, n_rows=64):
    """Return a score in which pulse 1 has notes."""
    cells = [HOLD] * n_rows
    for row, pitch in notes:
        cells[row] = Note(0, pitch)
    rest = (HOLD,) * n_rows
    return Score({"P1": tuple(cells), "P2": rest, "TR": rest, "NO": rest}, (Instrument("pulse"),), loop=(0, n_rows))


def made_up(seed, notes=60):
    """Return symbols of a melody by chance."""
    rng = np.random.default_rng(seed)
    return melody_symbols(line(*zip(np.cumsum(rng.integers(1, 5, notes)).tolist(), rng.integers(40, 90, notes).tolist(), strict=True), n_rows=1000))


def test_a_line_is_the_same_in_every_key():
    """Moves and waits do not depend on the pitch nor on where the line begins; another rhythm is another line."""
    assert (melody_symbols(line(*TUNE)) == melody_symbols(line(*[(row + 9, pitch - 7) for row, pitch in TUNE]))).all()
    assert (melody_symbols(line(*TUNE)) != melody_symbols(line(*[(2 * row, pitch) for row, pitch in TUNE]))).all()


def test_a_score_and_its_cells_are_one_line():
    """Lines of a score are those of its rows, and tell the rows of the notes."""
    symbols, rows = lines(one_voice(*TUNE))["P1"]
    assert (symbols == melody_symbols(line(*TUNE))).all()
    assert rows.tolist() == [row for row, _ in TUNE]


def test_voices_without_notes_have_nothing():
    """A voice that is silent, or has one note, is no passage of any length."""
    findings = compare(one_voice((4, 60)), known_of([one_voice(*TUNE)]))
    assert {finding.longest for finding in findings.values()} == {0}
    assert all(finding.share(n) is None for finding in findings.values() for n in (8, 16))
    assert to_json(findings)["known_16"] == 0


def test_pure_repetitions_say_nothing():
    """A figure of a quarter of the n-gram again and again is none; a longer one is."""
    for period, count in ((1, 0), (2, 0), (3, 24)):
        symbols = melody_symbols(line(*[(row, 60 + row % period) for row in range(32)]))
        assert len(ngrams(symbols, 8)) == count
        assert repetitions(symbols, 8).sum() == 24 - count


@given(st.integers(0, 2**32), st.sampled_from([INDEX_BITS, 12]), st.integers(0, 200))
def test_an_index_comes_back_from_its_arrays(seed, bits, notes):
    """Known -> arrays -> Known gives the same keys."""
    known = Known.of([made_up(seed, max(2, notes))], bits)
    again = Known.from_arrays(known.to_arrays())
    assert again.bits == bits
    assert (again.keys == known.keys).all()
    assert again.keys.dtype == np.uint64


def test_every_word_of_a_set_is_known():
    """No word that was put in is missed, at any number of bits; with 64 nothing else is known."""
    inside, outside = made_up(1), made_up(2)
    for bits in (16, INDEX_BITS, 64):
        assert Known.of([inside], bits).knows(hashes(inside, WORD)).all()
    assert not Known.of([inside]).knows(hashes(outside, WORD)).any()
    assert not Known.of([]).knows(hashes(outside, WORD)).any()


def test_a_planted_passage_is_found_where_it_stands():
    """Ten notes of a tune, moved by a third and put between others, are the longest passage, at their row."""
    planted = [(40 + row, pitch + 4) for row, pitch in TUNE[:10]]
    around = [(row, 50 + row * row % 13) for row in range(0, 40, 3)]
    after = [(row, 50 + row * row % 11) for row in range(63, 100, 2)]
    finding = compare(one_voice(*around, *planted, *after, n_rows=128), known_of([one_voice(*TUNE)]))["P1"]
    assert (finding.longest, finding.row) == (10, 40)
    assert finding.known[8][0] == 2  # of the nine pairs among ten notes
    assert finding.known[16][0] == 0


def test_shares_count_what_says_something():
    """A tune against itself is known whole; repetitions at the ends do not lengthen a passage."""
    score = one_voice(*TUNE, *[(row, 59) for row in range(26, 60, 2)])
    finding = compare(score, known_of([score]))["P1"]
    assert finding.share(8) == 1.0
    assert finding.longest < len(TUNE) + 17
    assert finding.to_json()["known_8"] == 1.0
    assert total_share([finding, finding], 8) == 1.0


def with_index(folder, known):
    """Return a copy of the stand-in with an index."""
    for file in STANDIN.glob("standin.*"):
        shutil.copy(file, folder)
    np.savez(folder / "standin.originality.npz", **known.to_arrays())
    digest = hashlib.sha256((folder / "standin.originality.npz").read_bytes()).hexdigest()
    sidecar = json.loads((folder / "standin.json").read_text())
    (folder / "standin.json").write_text(json.dumps({**sidecar, "originality": {"sha256": digest}}))
    return folder / "standin.json"


def test_a_model_without_an_index_says_so():
    """The stand-in has none: it composes, and the score says that nothing is known."""
    model = load_model(STANDIN / "standin.json")
    assert load_index(STANDIN, "standin") is None
    assert compose("town", 1, Controls(bars=2, candidates=1), model).provenance["originality"] == {"index": None}


def test_what_is_known_is_composed_anew(tmp_path, monkeypatch):
    """A piece that stands in the index is thrown away; what comes instead says how much of it is known."""
    plain = load_model(STANDIN / "standin.json")
    first = compose("town", 5, Controls(candidates=1, ornaments=False), plain)
    known = Known.of([symbols for symbols, _ in lines(first).values()], INDEX_BITS)
    model = load_model(with_index(tmp_path, known))
    monkeypatch.setenv("NESASSET_MODEL_DIR", str(tmp_path))
    assert max(finding.share(16) or 0 for finding in compare(first, load_index(tmp_path, "standin")).values()) == 1.0
    second = compose("town", 5, Controls(candidates=1, ornaments=False), model)
    told = second.provenance["originality"]
    assert second.voices != first.voices
    assert told["known_16"] <= 0.2
    assert told["index"] == model.sidecar["originality"]["sha256"]
    assert score_json.dumps(second) == score_json.dumps(compose("town", 5, Controls(candidates=1, ornaments=False), model))


def test_what_is_new_stays_as_it_was(tmp_path, monkeypatch):
    """An index of other music changes nothing but the provenance."""
    monkeypatch.setenv("NESASSET_MODEL_DIR", str(tmp_path))
    controls = Controls(bars=4, candidates=2)
    model = load_model(with_index(tmp_path, Known.of([made_up(3)], INDEX_BITS)))
    with_one, without = (compose("castle", 2, controls, model) for model in (model, load_model(STANDIN / "standin.json")))
    assert replace(with_one, provenance={}) == replace(without, provenance={})


def test_an_index_that_does_not_belong_is_refused(tmp_path):
    """Another file in its place, a damaged one of the right hash, a missing one: one sentence each."""
    path = with_index(tmp_path, Known.of([made_up(3)], INDEX_BITS))
    assert len(load_index(tmp_path, "standin").keys)
    file = tmp_path / "standin.originality.npz"
    file.write_bytes(file.read_bytes()[:-1])
    _index.cache_clear()
    with pytest.raises(ModelMismatchError, match=r"standin\.originality\.npz does not belong to the model beside it"):
        load_index(tmp_path, "standin")
    sidecar = json.loads(path.read_text())
    path.write_text(json.dumps({**sidecar, "originality": {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}}))
    with pytest.raises(ModelMismatchError, match=r"standin\.originality\.npz is damaged"):
        load_index(tmp_path, "standin")
    file.unlink()
    _index.cache_clear()
    with pytest.raises(ModelMismatchError, match="cannot be read"):
        load_index(tmp_path, "standin")
    path.write_text(json.dumps({**sidecar, "originality": {}}))
    with pytest.raises(ModelMismatchError, match=r"does not say which index"):
        load_index(tmp_path, "standin")


# The command.


@pytest.fixture
def scores(tmp_path, monkeypatch):
    """A folder of two scores; the stand-in, without an index, is the model."""
    monkeypatch.setattr("nesasset.model.DEFAULT_MODEL", "standin")
    monkeypatch.setenv("NESASSET_MODEL_DIR", str(STANDIN))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores").mkdir()
    for seed in (1, 2):
        score_json.save(loop_score(seed), tmp_path / f"scores/{seed}.json")
    return tmp_path / "scores"


def test_the_command_compares_with_a_folder(scores, capsys):
    """Against a folder the score itself is left out; every other one has its table."""
    shutil.copy(scores / "1.json", scores / "copy.json")
    assert main(["originality", "scores/1.json", "--against", "scores"]) == 0
    out = capsys.readouterr().out
    assert "the model standin has no index of its training songs" in out
    assert "against scores/2.json" in out
    assert "against scores/1.json" not in out
    copied = out[out.index("against scores/copy.json") :].splitlines()
    assert [row.split()[-1] for row in copied[2:5]] == ["100.0%", "100.0%", "-"]  # the bass is a mere repetition


def test_the_command_for_programs(scores, tmp_path, monkeypatch, capsys):
    """--json has a finding for each voice, from the model's index too."""
    with_index(tmp_path, Known.of([lines(loop_score(1))["P1"][0]], INDEX_BITS))
    monkeypatch.setenv("NESASSET_MODEL_DIR", str(tmp_path))
    assert main(["originality", "scores/1.json", "--against", "scores/2.json", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["training"]["voices"]["P1"]["known_8"] == 1.0
    assert set(found["against"]) == {"scores/2.json"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json"], "missing.json"),
        (["scores/1.json", "--against", "empty"], "there is no score in empty"),
        (["scores/1.json", "--against", "bad.json"], "bad.json"),
    ],
)
def test_bad_input_of_the_command(scores, tmp_path, capsys, arguments, message):
    """A file that is missing or no score, an empty folder: one sentence, exit code 1."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text("{")
    assert main(["originality", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_finding_needs_words_in_a_row():
    """Of two known words with a new one between, each counts for itself."""
    symbols = made_up(4, 20)
    words = hashes(symbols, WORD)
    known = Known(np.unique(np.delete(words, 5)), 64)
    finding = find_known(symbols, np.arange(20), known)
    assert finding.known[8] == (len(words) - 1 - 2, len(words) - 1)
    assert finding.longest == len(words) - 6 + WORD
