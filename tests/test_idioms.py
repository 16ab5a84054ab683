"""Idioms: what echo, vibrato and drums do, heard through the driver, and what they leave alone."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idiom_strategies import idiom_scores, one_note
from pieces import loop_score

from nesasset.apu.state import channel_frames
from nesasset.apu.writes import unroll
from nesasset.articulation import STRUCK_AGAIN, articulate
from nesasset.driver import drive, pitch_to_period
from nesasset.errors import ScoreError
from nesasset.idioms import DELAYED_VIBRATO, drum_fall, drum_rise, free_rows, triangle_drum, with_echo, with_vibrato
from nesasset.score import HOLD, MAX_INSTRUMENTS, REST, Cell, Instrument, Note, Score, Vibrato, scale_volume
from nesasset.units import VOICES

LEAD = Instrument("pulse", (15, 12, 9, 6, 3), duty=2, name="lead")
SHORT = Instrument("pulse", (9, 0), duty=1, name="short")


def pulses(one: tuple[Cell, ...], two: tuple[Cell, ...], loop: tuple[int, int] | None = None, frames: int = 4) -> Score:
    """Return a score of the two pulses alone."""
    rest = (REST,) * len(one)
    return Score({"P1": one, "P2": two, "TR": rest, "NO": rest}, (LEAD, SHORT), groove=(frames,), loop=loop)


def heard(score: Score, voice: str, n_frames: int | None = None) -> list[tuple[int, ...]]:
    """Return volume, period and duty of a pulse in each frame; period and duty are 0 where it is silent."""
    log = drive(score)
    columns = channel_frames(log if n_frames is None else unroll(log, n_frames))[voice]
    rows = zip(columns["volume"].tolist(), columns["period"].tolist(), columns["duty"].tolist(), strict=True)
    return [row if row[0] else (0, 0, 0) for row in rows]


# Echo.


def test_an_echo_repeats_later_and_quieter() -> None:
    """Two rows later pulse 2 has pulse 1's notes, a third as loud."""
    score = pulses((Note(0, 60), HOLD, Note(0, 64, volume=9), REST, HOLD, HOLD), (REST,) * 6)
    assert with_echo(score, 2, 5).voices["P2"] == (REST, REST, Note(0, 60, volume=5), HOLD, Note(0, 64, volume=3), REST)


def test_an_echo_leaves_what_pulse_2_plays() -> None:
    """Where pulse 2 sounds nothing changes, and its note ends the echo."""
    score = pulses((Note(0, 60), Note(0, 62), Note(0, 64), HOLD, HOLD, HOLD), (REST, HOLD, Note(0, 50), HOLD, REST, HOLD))
    assert with_echo(score, 1, 8).voices["P2"] == (REST, Note(0, 60, volume=8), Note(0, 50), HOLD, REST, HOLD)


def test_an_echo_does_not_begin_in_the_midst_of_a_note() -> None:
    """Pulse 2's silence begins while the echo would be holding: it waits for the next onset."""
    score = pulses((Note(0, 60), HOLD, HOLD, HOLD, Note(0, 67), HOLD), (Note(0, 50), HOLD, REST, HOLD, HOLD, HOLD))
    assert with_echo(score, 1, 8).voices["P2"] == (Note(0, 50), HOLD, REST, HOLD, HOLD, Note(0, 67, volume=8))


def test_a_note_that_has_died_away_makes_room_for_an_echo() -> None:
    """A note whose envelope has come to 0 is silence, too."""
    score = pulses((Note(0, 60), Note(0, 62), REST, HOLD), (Note(1, 50), HOLD, HOLD, HOLD))
    assert with_echo(score, 1, 15).voices["P2"] == (Note(1, 50), Note(0, 60), Note(0, 62), REST)


def test_an_echo_goes_round_a_loop() -> None:
    """The first rows of a loop without an intro repeat its last ones."""
    score = pulses((Note(0, 60), HOLD, Note(0, 64), HOLD), (REST,) * 4, loop=(0, 4))
    assert with_echo(score, 1, 8).voices["P2"] == (HOLD, Note(0, 60, volume=8), HOLD, Note(0, 64, volume=8))


def test_an_echo_is_cut_at_the_seam_after_an_intro() -> None:
    """After an intro the loop's first row rests or begins a note, so that both ways into it sound alike."""
    score = pulses((Note(0, 55), Note(0, 60), HOLD, Note(0, 64), HOLD), (REST, REST, HOLD, HOLD, HOLD), loop=(1, 5))
    assert with_echo(score, 1, 8).voices["P2"] == (REST, REST, Note(0, 60, volume=8), HOLD, Note(0, 64, volume=8))


def test_a_note_after_an_echo_loses_its_slide() -> None:
    """A slide of pulse 2 would begin at the echo's pitch, so it is left out; the next one stays."""
    score = pulses((Note(0, 60), HOLD, HOLD, HOLD), (REST, HOLD, Note(0, 50, slide=4), Note(0, 52, slide=4)))
    assert with_echo(score, 1, 8).voices["P2"][2:] == (Note(0, 50), Note(0, 52, slide=4))


def test_the_first_note_of_an_echo_does_not_slide() -> None:
    """Pulse 1's slide would begin at pulse 2's own note there; from the second note on the echo slides as pulse 1 does."""
    score = pulses((Note(0, 60, slide=4), Note(0, 62, slide=4), HOLD), (Note(1, 50), HOLD, HOLD))
    assert with_echo(score, 1, 15).voices["P2"][1:] == (Note(0, 60), Note(0, 62, slide=4))


def test_the_delay_of_an_echo_fits_its_row() -> None:
    """A note's delay is cut to what the later row and pulse 2's own delay leave."""
    score = pulses((Note(0, 60, delay=5), HOLD, HOLD, HOLD), (HOLD,) * 4, frames=6)
    score = replace(score, groove=(6, 3), delays={"P2": 1})
    assert with_echo(score, 1, 15).voices["P2"][1] == Note(0, 60, delay=1)


def test_an_echo_ends_a_note_where_the_rest_did() -> None:
    """In the place of a rest that ended a note of pulse 2 the echo has no delay: the note would sound on."""
    score = pulses((Note(0, 60, delay=2), HOLD), (Note(0, 50), REST))
    assert with_echo(score, 1, 15).voices["P2"][1] == Note(0, 60)


def test_a_late_silent_note_leaves_its_row_to_the_note_before() -> None:
    """A note of pulse 2 that sounds until a silent one cuts it, late in the row, is not cut earlier by an echo."""
    score = pulses((Note(0, 60, delay=1), HOLD, HOLD), (Note(0, 50), Note(0, 52, delay=2, volume=0), HOLD))
    assert with_echo(score, 1, 15) == score


@settings(max_examples=40, deadline=None)
@given(idiom_scores(loops=False), st.integers(1, 4), st.integers(1, 15))
def test_an_echo_is_heard_as_pulse_1_a_while_ago(score: Score, rows: int, volume: int) -> None:
    """Where pulse 2 is silent throughout, the driver plays it as pulse 1 that many frames earlier, each note quieter."""
    score = replace(score, groove=(5,), delays={}, voices=score.voices | {"P2": (HOLD,) * score.n_rows})
    rows = min(rows, score.n_rows)
    echoed = with_echo(score, rows, volume)
    quiet = [replace(c, volume=scale_volume(c.volume, volume)) if isinstance(c, Note) else c for c in score.voices["P1"]]
    source = heard(replace(score, voices=score.voices | {"P1": tuple(quiet)}), "P1")
    assert heard(echoed, "P2") == [(0, 0, 0)] * (5 * rows) + source[: score.n_frames - 5 * rows]


@settings(max_examples=40, deadline=None)
@given(idiom_scores(loops=False), st.integers(1, 9), st.integers(1, 15))
def test_an_echo_of_a_loop_is_heard_round_and_round(score: Score, rows: int, volume: int) -> None:
    """In a loop without an intro the same holds round the seam."""
    score = replace(score, groove=(5,), delays={}, voices=score.voices | {"P2": (HOLD,) * score.n_rows}, loop=(0, score.n_rows))
    rows = min(rows, score.n_rows)
    if all(cell is HOLD for cell in score.voices["P1"]):
        return
    echoed = with_echo(score, rows, volume)
    quiet = [replace(c, volume=scale_volume(c.volume, volume)) if isinstance(c, Note) else c for c in score.voices["P1"]]
    source = heard(replace(score, voices=score.voices | {"P1": tuple(quiet)}), "P1")
    turn = score.n_frames
    assert heard(echoed, "P2", 2 * turn)[turn:] == [source[(frame - 5 * rows) % turn] for frame in range(turn)]


@settings(max_examples=40, deadline=None)
@given(idiom_scores(), st.integers(1, 4))
def test_an_echo_changes_nothing_that_was_heard(score: Score, rows: int) -> None:
    """The other voices stay as they are, and pulse 2 plays in every frame what it played, if it did."""
    cells = tuple(replace(cell, slide=0) if isinstance(cell, Note) else cell for cell in score.voices["P2"])
    score = replace(score, voices=score.voices | {"P2": cells})
    echoed = with_echo(score, min(rows, score.n_rows), 7)
    assert all(echoed.voices[voice] == score.voices[voice] for voice in VOICES if voice != "P2")
    for before, after in zip(heard(score, "P2"), heard(echoed, "P2"), strict=True):
        assert before in (after, (0, 0, 0))


def test_an_echo_leaves_short_silences() -> None:
    """Where pulse 2 is silent for fewer rows than asked for it stays so."""
    score = pulses((Note(0, 60),) * 8, (Note(0, 50), REST, HOLD, Note(0, 52), REST, HOLD, HOLD, HOLD))
    assert with_echo(score, 1, 9, 4).voices["P2"] == (*score.voices["P2"][:4], *(Note(0, 60, volume=9),) * 4)


def test_a_silence_over_the_seam_is_one() -> None:
    """In a loop the rows before and after the seam count together, and both get the echo."""
    score = pulses((Note(0, 60),) * 6, (REST, HOLD, Note(0, 50), HOLD, REST, HOLD), loop=(0, 6))
    assert with_echo(score, 1, 9, 5) == score
    echo = Note(0, 60, volume=9)
    assert with_echo(score, 1, 9, 4).voices["P2"] == (echo, echo, Note(0, 50), HOLD, echo, echo)
    assert with_echo(replace(score, loop=None), 1, 9, 4) == replace(score, loop=None)


def test_the_room_for_an_echo_is_counted() -> None:
    """Rows count in which pulse 1 sounds and pulse 2 is silent for long."""
    score = pulses((Note(0, 60), HOLD, REST, HOLD, Note(0, 62), HOLD), (REST, HOLD, HOLD, HOLD, HOLD, Note(0, 50)))
    assert [free_rows(score, rows) for rows in (1, 5, 6)] == [3, 3, 0]


@settings(max_examples=30, deadline=None)
@given(idiom_scores(), st.integers(1, 12))
def test_a_shorter_silence_never_has_less_room(score: Score, rows: int) -> None:
    """The room shrinks as the silence must be longer, and an echo of no room changes nothing."""
    assert free_rows(score, rows) >= free_rows(score, rows + 1)
    assert with_echo(score, 1, 9, score.n_rows * 2 + 1).voices["P1"] == score.voices["P1"]


@pytest.mark.parametrize(
    ("rows", "volume", "message"),
    [
        (0, 8, "rows of the echo must be between 1 and 4, not 0"),
        (5, 8, "rows of the echo must be between 1 and 4, not 5"),
        (1, 0, "volume of the echo must be between 1 and 15, not 0"),
        (1, 16, "volume of the echo must be between 1 and 15, not 16"),
        (1.0, 8, "rows of the echo must be between 1 and 4, not 1.0"),
    ],
)
def test_an_echo_out_of_range_is_refused(rows: int, volume: int, message: str) -> None:
    """Numbers out of range name the range."""
    with pytest.raises(ScoreError, match=f"^{re.escape(message)}$"):
        with_echo(pulses((Note(0, 60),) * 4, (REST,) * 4), rows, volume)


# Vibrato.


def test_long_notes_get_a_twin_with_the_vibrato() -> None:
    """Notes of three rows and more change over to a twin of their instrument, shorter ones do not."""
    score = pulses((Note(0, 60), HOLD, HOLD, Note(0, 62), HOLD, REST), (REST,) * 6)
    changed = with_vibrato(score, 3)
    assert changed.voices["P1"] == (Note(2, 60), HOLD, HOLD, Note(0, 62), HOLD, REST)
    assert changed.instruments == (LEAD, SHORT, replace(LEAD, vibrato=DELAYED_VIBRATO, name="lead vibrato"))


def test_both_pulses_share_a_twin() -> None:
    """One twin an instrument, however many notes and voices play it."""
    part = (Note(0, 60), HOLD, Note(0, 62), HOLD)
    assert len(with_vibrato(pulses(part, part), 2).instruments) == 3


def test_a_note_over_the_seam_is_as_long_as_it_is_heard() -> None:
    """A note held from the loop's end into its start counts the rows of both."""
    score = pulses((HOLD, HOLD, Note(0, 60), HOLD), (REST,) * 4, loop=(0, 4))
    assert with_vibrato(score, 4).voices["P1"][2] == Note(2, 60)
    score = pulses((HOLD, REST, Note(0, 60), HOLD), (REST,) * 4, loop=(0, 4))
    assert with_vibrato(score, 4) == score


def test_a_note_held_through_a_whole_loop_is_long() -> None:
    """A note of the intro that the loop only holds never ends."""
    score = pulses((Note(0, 60), HOLD), (REST,) * 2, loop=(1, 2))
    assert with_vibrato(score, 2).voices["P1"][0] == Note(2, 60)


def test_an_instrument_keeps_the_vibrato_it_has() -> None:
    """A note whose instrument swings already stays with it."""
    score = replace(pulses((Note(0, 60), HOLD), (REST,) * 2), instruments=(replace(LEAD, vibrato=Vibrato(0, 8, 40)),))
    assert with_vibrato(score, 1) == score


def test_a_full_score_gets_no_twin() -> None:
    """Where 256 instruments are there already, the score stays as it is."""
    score = replace(pulses((Note(0, 60), HOLD), (REST,) * 2), instruments=(LEAD,) * MAX_INSTRUMENTS)
    assert with_vibrato(score, 1) == score


def test_a_vibrato_moves_nothing_before_its_delay() -> None:
    """The driver plays a piece with vibrato on long notes as before, but for the pulses' pitch."""
    score = loop_score(3, bars=2)
    before, after = (channel_frames(drive(part)) for part in (score, with_vibrato(score, 4, Vibrato(8, 6, 40))))
    for voice in VOICES:
        for column in before[voice]:
            same = (before[voice][column] == after[voice][column]).all()
            assert same == ((voice, column) != ("P1", "period")), (voice, column)


@pytest.mark.parametrize("rows", [0, 65_537, True])
def test_min_rows_out_of_range_is_refused(rows: int) -> None:
    """The shortest note to be changed is at least a row long."""
    with pytest.raises(ScoreError, match=f"^min_rows must be between 1 and 65536, not {rows}$"):
        with_vibrato(pulses((REST,) * 2, (REST,) * 2), rows)


# Drums.


@pytest.mark.parametrize("period", range(16))
def test_a_falling_drum_falls(period: int) -> None:
    """The period index grows frame by frame to the end of the table, and the drum ends in silence."""
    drum = drum_fall(period, step=3)
    frames = channel_frames(drive(one_note(drum, None, 10)))["NO"]
    assert frames["period"][frames["volume"] > 0].tolist() == [min(15, period + 3 * frame) for frame in range(6)]
    assert not frames["volume"][6:].any()


@pytest.mark.parametrize("period", range(16))
def test_a_rising_drum_has_one_low_frame(period: int) -> None:
    """After one frame the period index is smaller by the step, or 0, and stays."""
    frames = channel_frames(drive(one_note(drum_rise(period, step=4), None, 8)))["NO"]
    assert frames["period"][frames["volume"] > 0].tolist() == [period, *[max(0, period - 4)] * 3]


def test_a_triangle_drum_drops_and_stops() -> None:
    """Each frame is lower by the fall, and after its frames the triangle is silent."""
    frames = channel_frames(drive(one_note(triangle_drum(fall=3, frames=5), 60, 9)))["TR"]
    assert frames["on"].tolist() == [1] * 5 + [0] * 4
    assert frames["period"][:5].tolist() == [pitch_to_period("TR", 60 - 3 * frame) for frame in range(5)]
    assert all(a < b for a, b in pairwise(frames["period"][:5].tolist()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: drum_fall(step=0), "step must be between 1 and 15, not 0"),
        (lambda: drum_fall(period=16), "noise period must be between 0 and 15, not 16"),
        (lambda: drum_rise(period=-1), "noise period must be between 0 and 15, not -1"),
        (lambda: drum_rise(step=16), "step must be between 1 and 15, not 16"),
        (lambda: drum_rise(volume=()), "volume envelope length must be between 1 and 1024, not 0"),
        (lambda: triangle_drum(frames=0), "frames must be between 1 and 1023, not 0"),
        (lambda: triangle_drum(fall=20), "fall must be between 1 and 19, not 20"),
    ],
)
def test_drums_out_of_range_are_refused(make, message: str) -> None:
    """Numbers out of range name the range."""
    with pytest.raises(ScoreError, match=f"^{re.escape(message)}$"):
        make()


# Articulation.


def struck(score: Score, voice: str = "P1") -> list[int]:
    """Return the frames in which a note of a pulse is heard to begin: after silence, or louder by three and more."""
    volume = channel_frames(drive(score))[voice]["volume"].tolist()
    return [frame for frame, (a, b) in enumerate(pairwise([0, *volume])) if b and (not a or b - a >= STRUCK_AGAIN)]


@pytest.mark.parametrize("level", range(1, 16))
def test_quiet_repeated_notes_are_set_off(level: int) -> None:
    """What counts is the volume that is played, the note's own taken in."""
    even = Instrument("pulse", (15,))
    plain = replace(pulses((Note(0, 60, volume=level),) * 4, (REST,) * 4), instruments=(even,))
    assert struck(plain) == [0]
    assert struck(articulate(plain)) == [0, 4, 8, 12]


def test_a_louder_note_needs_no_gap() -> None:
    """A note that begins louder by three than its predecessor ends is heard without a change."""
    plain = replace(pulses((Note(0, 60, volume=9), Note(0, 60, volume=12)), (REST,) * 2), instruments=(Instrument("pulse", (15,)),))
    assert struck(plain) == [0, 4]
    assert articulate(plain) == plain


def test_a_silent_note_is_not_set_off() -> None:
    """Before a note of volume 0 there is nothing to be heard apart."""
    plain = replace(pulses((Note(0, 60), Note(0, 60, volume=0)), (REST,) * 2), instruments=(Instrument("pulse", (15,)),))
    assert articulate(plain) == plain
