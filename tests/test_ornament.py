"""Ornaments: what a composed piece is given to play like a driver's, how often, and what of it stays as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pieces
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from export.idioms import SongIdioms, common_course, dumps, main, song_idioms, summary
from export.instruments import Library
from export.roundtrip import score_to_frames
from nesasset.apu.state import channel_frames
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.ornament import Courses, Idioms, find_idioms, load_idioms, ornament, shapes_hash
from nesasset.driver import drive
from nesasset.errors import ModelMismatchError
from nesasset.idioms import DELAYED_VIBRATO, drum_rise, triangle_drum, with_echo
from nesasset.model import DEFAULT_MODEL, load_model, models_dir
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, Vibrato
from nesasset.units import VOICES

ROOT = Path(__file__).parent.parent
SEEDS = range(150)
NEVER = Courses(1, 0, (), {})
ALWAYS_DUTIES = Courses(1, 1, ((2, 2, 1),), {"2": (1, 1, ((0, 1),)), "1": (1, 1, ((0, 1),))})
ALWAYS_PERIODS = Courses(1, 1, ((9, -9, 0),), {"0/2": (1, 1, ((0, 1),)), "0/7": (1, 1, ((0, 1),))})
PLAIN = Idioms("", NEVER, NEVER, 0, ())
PALETTE = {0: (2, 0, 5), 1: (1, 0, 6), 3: (0, 2, 0), 4: (0, 7, 1)}


def named(score: Score) -> Score:
    """Return a piece whose instruments have names of their own, as composed ones have."""
    return replace(score, instruments=tuple(replace(part, name=f"{part.kind} {n}") for n, part in enumerate(score.instruments)))


PIECE = named(pieces.loop_score(bars=4, groove=(5,)))
SLOW = replace(PIECE, groove=(9,))


def alone(score: Score) -> Score:
    """Return a piece in which pulse 2 never plays."""
    return replace(score, voices={**score.voices, "P2": (REST, *(HOLD,) * (score.n_rows - 1))})


# What is done.


def test_an_instrument_keeps_its_sequence_for_the_whole_piece() -> None:
    """Each pulse instrument of the palette plays the duties that were drawn, the others do not."""
    out = ornament(PIECE, PALETTE, replace(PLAIN, duties=ALWAYS_DUTIES), 1)
    assert [part.duties for part in out.instruments] == [(2, 2, 1), (2, 2, 1), (), (), (), ()]
    assert out.provenance["ornaments"] == {"duties": {"pulse 0": [2, 2, 1], "pulse 1": [2, 2, 1]}}
    assert out.voices == PIECE.voices


def test_a_drum_plays_its_course_within_the_chips_periods() -> None:
    """The steps of a drum are cut where the table of periods ends."""
    out = ornament(PIECE, PALETTE, replace(PLAIN, periods=ALWAYS_PERIODS), 1)
    assert [out.instruments[index].arpeggio for index in (3, 4)] == [(9, -2, 0), (8, -7, 0)]
    assert out.voices == PIECE.voices


def test_the_most_specific_row_of_the_table_is_drawn_from() -> None:
    """An instrument whose own shape has a row is not drawn from the row of its timbre."""
    duties = replace(ALWAYS_DUTIES, slots={"2": (1, 1, ((0, 1),)), "2/5": (1, 0, ())})
    assert ornament(PIECE, PALETTE, replace(PLAIN, duties=duties), 1).instruments == PIECE.instruments


def test_shares_are_those_of_the_table() -> None:
    """A kind is used by its share of the pieces, and then by its share of the instruments."""
    duties = Courses(2, 1, ((0, 2), (1, 2)), {"2": (4, 3, ((0, 2), (1, 1)))})
    drawn = [ornament(PIECE, PALETTE, replace(PLAIN, duties=duties), seed).instruments[0].duties for seed in SEEDS]
    for course, share in (((0, 2), 1 / 4), ((1, 2), 1 / 8), ((), 5 / 8)):
        assert abs(drawn.count(course) / len(drawn) - share) < 0.08


def test_decisions_do_not_hang_together() -> None:
    """What is known of drums and echoes has no say in what the pulses get."""
    duties = Courses(2, 1, ((0, 2), (1, 2)), {"2": (4, 3, ((0, 2), (1, 1)))})
    rich = Idioms("", duties, ALWAYS_PERIODS, 5, ((12, 9, 3),))
    for seed in range(30):
        one, other = (ornament(PIECE, PALETTE, found, seed) for found in (replace(PLAIN, duties=duties), rich))
        assert one.instruments[0] == other.instruments[0]


def test_the_same_seed_gives_the_same_ornaments() -> None:
    """Theme and seed fix everything; another seed differs somewhere."""
    idioms = Idioms("", Courses(2, 1, ((0, 2),), {"2": (2, 1, ((0, 1),))}), NEVER, 0, ())
    made = [[ornament(SLOW, PALETTE, idioms, seed) for seed in range(12)] for _ in range(2)]
    assert made[0] == made[1]
    assert len({json.dumps(score.provenance["ornaments"]) for score in made[0]}) > 1


# Vibrato.


def test_half_of_the_slow_pieces_swing() -> None:
    """A piece of six frames a row and more has a vibrato on its long notes in one case of two."""
    swung = ["vibrato" in ornament(SLOW, PALETTE, PLAIN, seed).provenance["ornaments"] for seed in SEEDS]
    assert 0.4 < np.mean(swung) < 0.6


def test_fast_pieces_do_not_swing() -> None:
    """Above 150 beats a minute there is no vibrato."""
    assert not any(ornament(PIECE, PALETTE, PLAIN, seed).provenance["ornaments"] for seed in range(30))


def test_a_swinging_note_has_one_swing_at_least() -> None:
    """The notes that swing last for the delay and one period, the others keep their instruments."""
    seed = next(seed for seed in range(30) if "vibrato" in ornament(SLOW, PALETTE, PLAIN, seed).provenance["ornaments"])
    out = ornament(SLOW, PALETTE, PLAIN, seed)
    rows = out.provenance["ornaments"]["vibrato"]["min_rows"]
    assert (rows - 1) * 9 < DELAYED_VIBRATO.delay + DELAYED_VIBRATO.period <= rows * 9
    onsets = [row for row, cell in enumerate(out.voices["P1"]) if isinstance(cell, Note)]
    lengths = np.diff([*onsets, out.n_rows])
    for row, length in zip(onsets, lengths.tolist(), strict=True):
        cell = out.voices["P1"][row]
        assert isinstance(cell, Note)
        assert (out.instruments[cell.instrument].vibrato is not None) == (length >= rows)


def test_a_vibrato_never_restarts_a_pulse() -> None:
    """Not one write more goes to $4003 and $4007, which would click."""
    seed = next(seed for seed in range(30) if "vibrato" in ornament(SLOW, PALETTE, PLAIN, seed).provenance["ornaments"])
    counts = []
    for score in (SLOW, ornament(SLOW, PALETTE, PLAIN, seed)):
        addresses = drive(score).addresses
        counts.append([int((addresses == address).sum()) for address in (0x4002, 0x4003, 0x4006, 0x4007)])
    assert counts[1][1::2] == counts[0][1::2]
    assert counts[1][0] > counts[0][0]


# Echo.


def test_an_echo_comes_with_its_share_where_there_is_room() -> None:
    """Of pieces in which pulse 2 is silent, the table's share gets an echo of the table's delay and volume."""
    idioms = replace(PLAIN, echo_songs=4, echoes=((10, 9, 1),))
    told = [ornament(alone(PIECE), PALETTE, idioms, seed).provenance["ornaments"] for seed in SEEDS]
    assert [entry for entry in told if entry] == [{"echo": {"rows": 2, "volume": 9}}] * sum(map(bool, told))
    assert 0.17 < np.mean([bool(entry) for entry in told]) < 0.33


def test_a_piece_without_room_has_no_echo() -> None:
    """Where pulse 2 has a part of its own, or the piece ends, nothing is added."""
    idioms = replace(PLAIN, echo_songs=1, echoes=((10, 9, 1),))
    for score in (PIECE, replace(alone(PIECE), loop=None)):
        assert ornament(score, PALETTE, idioms, 1).voices == score.voices
    assert ornament(alone(PIECE), PALETTE, idioms, 1).voices != alone(PIECE).voices


def test_a_slow_echo_fits_a_short_piece() -> None:
    """An echo is never later than the piece is long."""
    score = replace(alone(PIECE), groove=(1,), voices={voice: cells[:16] for voice, cells in alone(PIECE).voices.items()}, loop=(0, 16))
    out = ornament(score, PALETTE, replace(PLAIN, echo_songs=1, echoes=((40, 9, 1),)), 1)
    assert out.provenance["ornaments"]["echo"]["rows"] == 16


# What stays.


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from([3, 6, 9]), st.booleans())
def test_onsets_and_pitches_stay(seed: int, frames: int, room: bool) -> None:
    """Pulse 1, triangle and noise keep every onset, pitch and volume; pulse 2 keeps them where it plays."""
    score = replace(alone(PIECE) if room else PIECE, groove=(frames,))
    out = ornament(score, PALETTE, Idioms("", ALWAYS_DUTIES, ALWAYS_PERIODS, 2, ((10, 9, 1),)), seed)
    for voice in VOICES:
        for before, after in zip(score.voices[voice], out.voices[voice], strict=True):
            if voice != "P2" or isinstance(before, Note):
                assert replace(after, instrument=0) == replace(before, instrument=0) if isinstance(before, Note) else before is after
    played = [channel_frames(drive(part)) for part in (score, out)]
    for voice, column in (("P1", "volume"), ("TR", "on"), ("TR", "period"), ("NO", "volume")):
        assert (played[0][voice][column] == played[1][voice][column]).all()


# The file.


def good() -> dict[str, object]:
    table = {"songs": 4, "users": 2, "courses": [[0, 2]], "slots": {"0": {"of": 4, "players": 3, "courses": [[0, 2]]}}}
    return {
        "format": "nesasset-idioms",
        "version": 1,
        "shapes": "ab",
        "duties": table,
        "periods": table,
        "echo": {"songs": 9, "found": [[12, 9, 2]]},
    }


def write(folder: Path, value: object) -> Path:
    path = folder / "x.idioms.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    """What the file says is what is drawn from."""
    table = Courses(4, 2, ((0, 2),), {"0": (4, 3, ((0, 2),))})
    assert load_idioms(write(tmp_path, good())) == Idioms("ab", table, table, 9, ((12, 9, 2),))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "is no readable file of idioms"),
        ("[" * 100_000, "is no readable file of idioms"),
        ("[]", "its format must be 'nesasset-idioms', version 1"),
        ({**good(), "version": 2}, "its format must be 'nesasset-idioms', version 1"),
        ({**good(), "duties": 3}, "is damaged"),
        ({**good(), "echo": {"songs": 1, "found": [[12, 9, 2]]}}, "between 2 and 1000000000, not 1"),
        ({**good(), "echo": {"songs": 9, "found": [[12, 9]]}}, "is damaged"),
        ({**good(), "duties": {**good()["duties"], "courses": [[4]]}}, "between 0 and 3, not 4"),
        ({**good(), "duties": {**good()["duties"], "courses": [[]]}}, "must have 1 to 40 frames"),
        ({**good(), "duties": {**good()["duties"], "users": 5}}, "between 0 and 4, not 5"),
        ({**good(), "duties": {**good()["duties"], "slots": {"0": {"of": 1, "players": 1, "courses": [[0, 2]]}}}}, "between 2 and 1000000000, not 1"),
        ({**good(), "duties": {**good()["duties"], "slots": {"0": {"of": 3, "players": 2, "courses": [[1, 2]]}}}}, "between 0 and 0, not 1"),
        ({**good(), "duties": {**good()["duties"], "slots": {"0": {"of": 1, "players": 2, "courses": []}}}}, "between 2 and 1000000000, not 1"),
        ({**good(), "periods": {**good()["duties"], "slots": [1]}}, "is damaged"),
        ({**good(), "periods": {**good()["duties"], "courses": [[True]]}}, "not True"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, value: object, message: str) -> None:
    """What cannot be drawn from is named."""
    with pytest.raises(ModelMismatchError) as caught:
        load_idioms(write(tmp_path, value))
    assert str(caught.value).startswith("x.idioms.json ")
    assert message in str(caught.value)


def test_idioms_of_other_shapes_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without a file, or beside the file of another library of shapes, plays without ornaments."""
    monkeypatch.setenv("NESASSET_MODEL_DIR", str(tmp_path))
    shapes = {"pulse": np.zeros((2, 3), dtype=np.int64), "noise": np.ones((1, 3), dtype=np.int64)}
    assert find_idioms("x", shapes) is None
    write(tmp_path, {**good(), "shapes": shapes_hash(shapes)})
    assert find_idioms("x", shapes) is not None
    assert find_idioms("x", {**shapes, "pulse": shapes["pulse"] + 1}) is None


# Mining.


LIBRARY = Library(np.full((2, 40), 15, dtype=np.uint8), np.array([[15] * 40, [15, 8, 4] + [0] * 37], dtype=np.uint8))


def mined(score: Score, name: str = "7_Made_up"):
    """Return what is found in a song that plays a score."""
    return song_idioms(score_to_frames(score, score.n_frames), name, LIBRARY)


def song(instruments: tuple[Instrument, ...], rows: int = 64, **voices: tuple[Cell, ...]) -> Score:
    return Score({voice: voices.get(voice, (REST,) * rows) for voice in VOICES}, instruments, groove=(8,))


def test_the_duties_that_are_played_are_found() -> None:
    """An instrument's sequence comes back, and a plain one has none."""
    lead = Instrument("pulse", (12,), duties=(0, 0, 2))
    plain = Instrument("pulse", (12,), duty=1)
    tune = tuple(Note(0, 60 + row % 5) for row in range(64))
    found = mined(song((lead, plain), P1=tune, P2=tuple(replace(cell, instrument=1) for cell in tune)))
    assert sorted((key[0], course) for key, course in found.duties) == [(1, ()), (2, (0, 0, 2))]


def test_the_course_that_is_played_is_found() -> None:
    """A drum's steps are counted from its loudest period: one low frame before a hiss is two steps up, then none."""
    drum = drum_rise(6, 2)
    found = mined(song((drum,), NO=(Note(0), HOLD) * 32))
    assert [(key[:2], course) for key, course in found.periods] == [((0, 4), (2, 0))]


def test_an_echo_is_found_with_its_delay_and_volume() -> None:
    """A pulse 2 that repeats pulse 1 a row later, three fifths as loud, is one; pulse 1 alone is room for one."""
    tune = tuple(Note(0, 50 + row * 7 % 23) if row % 2 == 0 else HOLD for row in range(64))
    score = song((Instrument("pulse", (15, 12, 8)),), P1=tune)
    assert mined(score).room
    assert mined(with_echo(score, 1, 9)).echo == (8, 9)
    assert mined(score).echo is None


def test_drops_and_swings_are_found() -> None:
    """A triangle drum is a drop; a note that swings by a semitone after a while has a vibrato."""
    drum = triangle_drum(3, 5)
    lead = Instrument("pulse", (12,), vibrato=Vibrato(20, 10, 120))
    found = mined(song((drum, lead), TR=(Note(0, 55), HOLD) * 32, P1=(Note(1, 72), *(HOLD,) * 15, Note(1, 76), *(HOLD,) * 15) * 2))
    assert found.drops == 32
    assert {period for _, period in found.vibratos} == {10}
    assert all(20 <= delay <= 25 for delay, _ in found.vibratos)


def test_short_songs_are_left_out() -> None:
    """A sound effect of a few notes is no song."""
    assert mined(song((Instrument("pulse"),), P1=(Note(0, 60), REST) * 8 + (REST,) * 48)) is None


@pytest.mark.parametrize(
    ("notes", "course"),
    [
        ([(0, 2, 2, 2)] * 3, (0, 2)),
        ([(0, 2, 2, 2), (0, 2), (0,)], (0, 2)),
        ([(0, 2, 2, 2), (1, 2, 2), (1, 1, 2)], ()),
        ([(2, 2, 2)] * 3, ()),
    ],
)
def test_most_notes_must_agree(notes: list[tuple[int, ...]], course: tuple[int, ...]) -> None:
    """A course is what most notes play as far as they last."""
    assert common_course(notes) == course


def test_only_what_several_games_do_is_kept(tmp_path: Path) -> None:
    """A course of five songs of three games is kept, one of five songs of one game is not; the file can be read."""
    both = [SongIdioms(f"{n % 3}_x_{n}", b"", [((0, 7), (0, 2))] * 6) for n in range(5)]
    one = [SongIdioms(f"9_x_{n}", b"", [((0, 7), (0, 3)), ((0, 8), ())]) for n in range(5)]
    table = summary([*both, *one], "ab")
    path = tmp_path / "y.idioms.json"
    path.write_text(dumps(table))
    assert json.loads(path.read_text()) == table
    assert load_idioms(path).duties == Courses(10, 10, ((0, 2),), {"0": (40, 35, ((0, 30),)), "0/7": (35, 35, ((0, 30),))})


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without songs is refused, and nothing is written."""
    LIBRARY.save(tmp_path / "library.npz")
    arguments = ["--midi", str(tmp_path), "--library", str(tmp_path / "library.npz"), "-j", "1", "-o", str(tmp_path / "z.idioms.json")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "no .mid files" in done.output
    assert not (tmp_path / "z.idioms.json").exists()


# The model that is shipped.


@pytest.fixture(scope="module")
def shipped() -> Idioms:
    return load_idioms(ROOT / "models" / f"{DEFAULT_MODEL}.idioms.json")


def test_the_shipped_idioms_are_the_shipped_models(shipped: Idioms) -> None:
    """They were mined with the model's own library of shapes, are small, and hold what several games have."""
    path = ROOT / "models" / f"{DEFAULT_MODEL}.idioms.json"
    sidecar = json.loads((ROOT / "models" / f"{DEFAULT_MODEL}.json").read_text(encoding="utf-8"))
    shapes = {kind: np.array(sidecar[f"{kind}_shapes"]) for kind in ("pulse", "noise")}
    assert shipped.shapes == shapes_hash(shapes)
    assert path.stat().st_size < 200_000
    kept = json.loads(path.read_text(encoding="utf-8"))["kept"]
    assert kept["songs"] >= 5 and kept["games"] >= 3
    assert all(len(set(course)) > 1 for table in (shipped.duties, shipped.periods) for course in table.courses)


def test_a_piece_tells_its_ornaments() -> None:
    """What the shipped model composes says what its instruments were given, and they have it."""
    model = load_model(models_dir() / f"{DEFAULT_MODEL}.json")
    score = compose("town", 1, Controls(bars=2, candidates=1), model)
    told = score.provenance["ornaments"]
    assert set(told) <= {"duties", "periods", "vibrato", "echo"}
    for kind, field in (("duties", "duties"), ("periods", "arpeggio")):
        for part in score.instruments:
            assert list(getattr(part, field)) == told.get(kind, {}).get(part.name.removesuffix(" vibrato"), [])


def test_a_piece_can_be_had_without() -> None:
    """Without ornaments the same notes are played by plain instruments, and nothing is told."""
    model = load_model(models_dir() / f"{DEFAULT_MODEL}.json")
    plain, played = (compose("town", 1, Controls(bars=2, candidates=1, ornaments=wish), model) for wish in (False, None))
    assert "ornaments" not in plain.provenance
    assert not any(part.duties or part.arpeggio or part.vibrato for part in plain.instruments)
    for voice in ("P1", "TR"):
        pitches = [[getattr(cell, "pitch", cell) for cell in score.voices[voice]] for score in (plain, played)]
        assert pitches[0] == pitches[1]
