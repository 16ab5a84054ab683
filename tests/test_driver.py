"""The driver: golden logs, an endless player written twice, and the rules of when a register is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor, log2, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from idiom_strategies import idiom_scores, one_note, still

from nesasset.apu.state import channel_frames
from nesasset.apu.writes import unroll
from nesasset.driver import CENT, CENT_BITS, drive, period_table, pitch_to_period
from nesasset.errors import RegisterLogError
from nesasset.register_log import RegisterLog
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, Vibrato, scale_volume
from nesasset.units import VOICES, pitch_to_hz

LEAD = Instrument("pulse", (15, 12, 9), duty=2)
THIN = Instrument("pulse", (8,), duty=0)
BASS = Instrument("triangle", (1, 1, 1, 0))
HAT = Instrument("noise", (10, 4, 0), period=2)
BELL = Instrument("noise", (12,), period=9, mode=1)
INSTRUMENTS = (LEAD, THIN, BASS, HAT, BELL)


def small_score(loop: tuple[int, int] | None = (1, 4)) -> Score:
    """Return four rows of four frames in which every kind of cell occurs."""
    voices: dict[str, tuple[Cell, ...]] = {
        "P1": (Note(0, 69), HOLD, Note(0, 45), REST),
        "P2": (HOLD, Note(1, 72, delay=2), HOLD, HOLD),
        "TR": (Note(2, 33), Note(2, 33), HOLD, Note(2, 57)),
        "NO": (Note(3), REST, Note(4), Note(3)),
    }
    return Score(voices, INSTRUMENTS, groove=(4,), loop=loop)


def as_text(log: RegisterLog) -> str:
    """Return a log in lines of frame and writes."""
    lines: dict[int, list[str]] = {}
    for frame, address, value in zip(log.frames.tolist(), log.addresses.tolist(), log.values.tolist(), strict=True):
        lines.setdefault(frame, []).append(f"{address:04X}={value:02X}")
    return "\n".join(f"{frame}: {' '.join(writes)}" for frame, writes in lines.items())


GOLDEN = """
0: 4015=0F 4017=40 4000=BF 4001=08 4002=FD 4003=08 4004=30 4005=08 4006=00 4007=08 4008=FF 400A=F8 400B=0B 400C=3A 400E=02 400F=08
1: 4000=BC 400C=34
2: 4000=B9 400C=30
3: 4008=80
4: 4015=0F 4017=40 4000=B0 4001=08 4002=F8 4003=0B 4004=38 4005=08 4006=D5 4007=08 4008=FF 400A=F8 400B=0B 400C=30 400E=02 400F=08
7: 4008=80
8: 4000=BF 400C=3C 400E=89
9: 4000=BC
10: 4000=B9
12: 4000=B0 4008=FF 400A=FD 400B=08 400C=3A 400E=02
13: 400C=34
14: 400C=30
15: 4008=80
"""  # fmt: skip


def test_a_small_score_gives_its_golden_log() -> None:
    """The log of a small looping score is known write for write."""
    assert as_text(drive(small_score())) == GOLDEN.strip()


def test_a_score_that_ends_has_no_second_statement() -> None:
    """Without a loop the registers are stated once, at frame 0."""
    log = drive(small_score(loop=None))
    assert log.loop is None
    assert np.flatnonzero(log.addresses == 0x4015).tolist() == [0]


def test_a_high_byte_is_written_only_when_it_changes() -> None:
    """Repeated notes with one high byte write it once: each write to $4003 restarts the wave and clicks."""
    score = replace(
        small_score(None), voices={**small_score().voices, "P1": (Note(0, 69), Note(0, 70), Note(0, 69), REST)}
    )
    log = drive(score)
    assert log.frames[log.addresses == 0x4003].tolist() == [0]


def test_a_groove_gives_rows_their_frames() -> None:
    """With a groove of 4 and 5 frames the third row begins at frame 9."""
    log = drive(replace(small_score(None), groove=(4, 5)))
    assert log.n_frames == 18
    assert channel_frames(log)["P1"]["volume"].tolist()[8:11] == [9, 15, 12]


def test_a_voice_delay_carries_the_end_of_the_loop_into_its_start() -> None:
    """A note pushed past the loop's end begins in the next pass, and the loop's own first note follows later."""
    voices = dict.fromkeys(VOICES, (REST, HOLD, HOLD, HOLD))
    voices["NO"] = (Note(4), HOLD, HOLD, Note(3))
    score = Score(voices, INSTRUMENTS, groove=(4,), loop=(0, 4), delays={"NO": 6})
    periods = channel_frames(drive(score))["NO"]["period"].tolist()
    # Row 3 is frame 12, sounds at 18, which is frame 2 of the next pass; row 0 sounds at frame 6.
    assert periods == [9, 9, 2, 2, 2, 2, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]


def test_the_last_volume_of_an_envelope_holds() -> None:
    """After its last entry an envelope stays where it is, to the end of the note."""
    log = drive(replace(small_score(None), voices={**small_score().voices, "P1": (Note(0, 60), HOLD, HOLD, HOLD)}))
    assert channel_frames(log)["P1"]["volume"].tolist() == [15, 12] + [9] * 14


def test_more_frames_of_a_score_that_ends_are_silent() -> None:
    """Asked for more frames than the score has, every voice rests."""
    frames = channel_frames(drive(small_score(None), frame_count=30))
    assert frames["P2"]["volume"].tolist()[15:18] == [8, 0, 0]
    assert not frames["TR"]["on"][16:].any()


def test_fewer_frames_cut_the_log() -> None:
    """Asked for fewer frames, the log is the beginning of the whole one."""
    whole, part = drive(small_score(None)), drive(small_score(None), frame_count=10)
    kept = whole.frames < 10
    assert part.n_frames == 10
    assert np.array_equal(part.values, whole.values[kept])


def test_frame_count_of_a_loop_plays_the_loop_on() -> None:
    """More frames of a looping score are the loop again, without a loop of their own."""
    log = drive(small_score(), frame_count=40)
    assert log == unroll(drive(small_score()), 40)
    assert log.loop is None


@pytest.mark.parametrize("count", [0, -1, 1.5, True, 10**9])
def test_an_impossible_frame_count_is_refused(count: int) -> None:
    """A frame count out of range names the range."""
    with pytest.raises(RegisterLogError, match="frame_count must be between 1 and 4194304, not"):
        drive(small_score(), frame_count=count)


@pytest.mark.parametrize(("voice", "steps"), [("P1", 16), ("TR", 32)])
def test_no_other_period_is_nearer_to_a_pitch(voice: str, steps: int) -> None:
    """The period of a pitch is the one whose frequency divides the clock most nearly."""
    for pitch in range(33, 109):
        period = pitch_to_period(voice, pitch)
        wanted = 1_789_773 / (steps * pitch_to_hz(pitch))
        assert abs(period + 1 - wanted) <= 0.5
    assert pitch_to_period("P1", 69) == 253


# Pitch in cents.


def test_the_literal_cent_is_the_root_of_two() -> None:
    """The literal is the largest number whose 1200th power is no more than two, in units of 2 ** -96."""
    assert CENT**1200 <= 2 << (1200 * CENT_BITS) < (CENT + 1) ** 1200


@pytest.mark.parametrize("voice", ["P1", "TR"])
def test_the_table_of_periods_is_the_nearest_period_of_every_cent(voice: str) -> None:
    """All 14 001 entries agree with floating point, and a lower pitch never has a shorter period."""
    table = period_table("triangle" if voice == "TR" else "pulse")
    assert table.tolist() == [nearest_period(voice, cents) for cents in range(14_001)]
    assert (np.diff(table) <= 0).all()


# Idioms: what a note does while it lasts.


def frames_of(score: Score, voice: str, column: str) -> list[int]:
    """Return a column of a voice for each frame of one pass."""
    return channel_frames(drive(score))[voice][column].tolist()


IDIOMS = Score(
    voices={
        "P1": (Note(0, 69), HOLD, Note(0, 71, slide=3, volume=8), REST),
        "P2": (Note(1, 60), HOLD, HOLD, HOLD),
        "TR": (Note(2, 45), HOLD, REST, HOLD),
        "NO": (Note(3), Note(3, volume=3), HOLD, HOLD),
    },
    instruments=(
        Instrument("pulse", (15, 12), duties=(2, 2, 0), vibrato=Vibrato(2, 4, 30)),
        Instrument("pulse", (9,), duty=1, arpeggio=(0, 4, 7), arpeggio_loop=0),
        Instrument("triangle", (1, 1, 1, 0), arpeggio=(0, -4, -8)),
        Instrument("noise", (12, 6, 2, 0), period=5, arpeggio=(0, 1, 2, 20)),
    ),
    groove=(4,),
    loop=(0, 4),
)
GOLDEN_IDIOMS = """
0: 4015=0F 4017=40 4000=BF 4001=08 4002=FD 4003=08 4004=79 4005=08 4006=AB 4007=09 4008=FF 400A=FB 400B=09 400C=3C 400E=05 400F=08
1: 4000=BC 4006=52 400A=80 400B=0A 400C=36 400E=06
2: 4000=3C 4006=1C 400A=26 400B=0B 400C=32 400E=07
3: 4002=F9 4006=AB 4008=80 400C=30 400E=0F
4: 4002=FD 4006=52 400C=32 400E=05
5: 4002=FF 4006=1C 400C=31 400E=06
6: 4002=FD 4006=AB 400E=07
7: 4002=F9 4006=52 400C=30 400E=0F
8: 4000=B8 4002=FD 4006=1C
9: 4000=B6 4002=F4 4006=AB
10: 4000=36 4002=EA 4006=52
11: 4002=DE 4006=1C
12: 4000=30 4006=AB
13: 4006=52
14: 4006=1C
15: 4006=AB
"""  # fmt: skip


def test_a_score_of_idioms_gives_its_golden_log() -> None:
    """The log of a small score with every idiom is known write for write."""
    assert as_text(drive(IDIOMS)) == GOLDEN_IDIOMS.strip()


def test_duties_run_and_the_last_one_holds() -> None:
    """Entry k of a duty sequence sounds k frames after the onset; the last entry stays."""
    assert frames_of(one_note(Instrument("pulse", duties=(2, 0, 1)), 60, 5), "P1", "duty") == [2, 0, 1, 1, 1]


def test_an_arpeggio_adds_semitones_and_loops() -> None:
    """After its last step an arpeggio goes on at its loop."""
    chord = Instrument("pulse", arpeggio=(12, 0, 4, 7), arpeggio_loop=1)
    expected = [pitch_to_period("P1", 60 + step) for step in (12, 0, 4, 7, 0, 4, 7, 0)]
    assert frames_of(one_note(chord, 60, 8), "P1", "period") == expected


def test_an_arpeggio_without_a_loop_holds_its_last_step() -> None:
    """Without a loop the last step stays."""
    drop = Instrument("triangle", arpeggio=(0, -5, -10))
    expected = [pitch_to_period("TR", 50 + step) for step in (0, -5, -10, -10, -10)]
    assert frames_of(one_note(drop, 50, 5), "TR", "period") == expected


def test_noise_steps_are_steps_of_the_period() -> None:
    """On the noise an arpeggio moves the period index, up being lower, and stops at both ends of the table."""
    fall = Instrument("noise", period=13, arpeggio=(0, 1, 2, 3, -13, -14))
    assert frames_of(one_note(fall, None, 6), "NO", "period") == [13, 14, 15, 15, 0, 0]


@pytest.mark.parametrize(
    ("kind", "pitch", "step", "period"),
    [("pulse", 34, -12, 2047), ("pulse", 108, 96, 8), ("triangle", 22, -12, 2047), ("triangle", 108, 96, 2)],
)
def test_arpeggios_stop_at_the_nearest_playable_period(kind: str, pitch: int, step: int, period: int) -> None:
    """A step beyond what the timer can play sounds at the end of its range, and is not silent."""
    voice = "TR" if kind == "triangle" else "P1"
    score = one_note(Instrument(kind, arpeggio=(0, step)), pitch, 3)
    assert frames_of(score, voice, "period")[1:] == [period, period]
    assert all(frames_of(score, voice, "on" if voice == "TR" else "volume"))


def test_a_vibrato_is_a_sine_of_its_depth() -> None:
    """Where the timer is fine enough a vibrato follows the sine within two cents of a hundred."""
    depth, period, delay = 100, 40, 7
    periods = frames_of(one_note(Instrument("triangle", vibrato=Vibrato(delay, period, depth)), 24, 100), "TR", "period")
    heard = [1200 * log2(1_789_773 / 32 / (at + 1) / pitch_to_hz(24)) for at in periods]
    wanted = [0.0] * delay + [depth * sin(2 * pi * frame / period) for frame in range(100 - delay)]
    assert max(abs(a - b) for a, b in zip(heard, wanted, strict=True)) < 2


def test_a_vibrato_goes_up_first_and_comes_to_its_depth() -> None:
    """A quarter of its period after its delay a vibrato is at its full depth above the note."""
    periods = frames_of(one_note(Instrument("pulse", vibrato=Vibrato(3, 8, 100)), 60, 12), "P1", "period")
    assert periods[:4] == [pitch_to_period("P1", 60)] * 4
    assert (periods[5], periods[9]) == (pitch_to_period("P1", 61), pitch_to_period("P1", 59))


def test_a_vibrato_writes_the_high_byte_of_a_pulse_once() -> None:
    """A4 has period 253: its vibrato is cut at 255, where the high bits would change and the pulse click."""
    score = one_note(Instrument("pulse", vibrato=Vibrato(0, 12, 100)), 69, 60)
    log, periods = drive(score), frames_of(score, "P1", "period")
    assert log.frames[log.addresses == 0x4003].tolist() == [0]
    assert (min(periods), max(periods)) == (pitch_to_period("P1", 70), 255)


def test_a_vibrato_of_the_triangle_is_not_cut() -> None:
    """The triangle's high byte does not click, so its vibrato swings to both sides."""
    periods = frames_of(one_note(Instrument("triangle", vibrato=Vibrato(0, 12, 100)), 57, 60), "TR", "period")
    assert (min(periods), max(periods)) == (pitch_to_period("TR", 58), pitch_to_period("TR", 56))
    assert max(periods) > 255


@settings(max_examples=30, deadline=None)
@given(idiom_scores())
def test_a_vibrato_never_writes_the_high_byte_of_a_pulse(score: Score) -> None:
    """$4003 and $4007 are written when and as they are without any vibrato."""

    def high_bytes(log: RegisterLog) -> list[tuple[int, ...]]:
        rows = zip(log.frames.tolist(), log.addresses.tolist(), log.values.tolist(), strict=True)
        return [row for row in rows if row[1] in (0x4003, 0x4007)]

    assert high_bytes(drive(score)) == high_bytes(drive(still(score)))


def slide_score(*cells: Cell, loop: tuple[int, int] | None = None) -> Score:
    """Return pulse 1 alone, a frame a row."""
    voices = {**dict.fromkeys(VOICES, (REST,) * len(cells)), "P1": cells}
    return Score(voices, (Instrument("pulse"),), groove=(1,), loop=loop)


def test_a_slide_is_a_straight_line_in_cents() -> None:
    """The first frame has the old pitch, frame k the k-th part of the way, frame `slide` the new pitch."""
    score = slide_score(Note(0, 60), Note(0, 64, slide=4), *(HOLD,) * 5)
    assert frames_of(score, "P1", "period") == [pitch_to_period("P1", pitch) for pitch in (60, 60, 61, 62, 63, 64, 64)]


def test_a_slide_begins_at_the_note_before_a_rest_too() -> None:
    """A rest between two notes does not make the voice forget where it was."""
    score = slide_score(Note(0, 64), REST, Note(0, 62, slide=2), HOLD, HOLD)
    assert frames_of(score, "P1", "period")[2:] == [pitch_to_period("P1", pitch) for pitch in (64, 63, 62)]


def test_a_slide_cut_short_leaves_the_next_one_where_it_is_written() -> None:
    """The next slide begins at the pitch that the note before has in the score, not at what it had come to."""
    score = slide_score(Note(0, 60), Note(0, 72, slide=12), HOLD, Note(0, 70, slide=2), HOLD)
    assert frames_of(score, "P1", "period")[3:] == [pitch_to_period("P1", pitch) for pitch in (72, 71)]


def test_the_first_slide_of_a_piece_has_nowhere_to_come_from() -> None:
    """A voice's first note has its own pitch at once."""
    assert frames_of(slide_score(Note(0, 60, slide=9), HOLD), "P1", "period") == [pitch_to_period("P1", 60)] * 2


def test_the_first_slide_of_a_loop_comes_from_its_last_note() -> None:
    """After an intro the loop plays what its every pass plays: a slide from the loop's end, not from the intro's."""
    score = slide_score(Note(0, 50), Note(0, 64, slide=2), HOLD, Note(0, 60), loop=(1, 4))
    expected = [pitch_to_period("P1", pitch) for pitch in (50, 60, 62, 60)]
    assert frames_of(score, "P1", "period") == expected


def test_the_volume_of_a_note_scales_its_envelope() -> None:
    """Volumes are scaled by a fifteenth part a step, rounded half up, and what sounds stays at 1 at least."""
    score = one_note(Instrument("pulse", (15, 7, 3, 1, 0)), 60, 5, volume=5)
    assert frames_of(score, "P1", "volume") == [5, 2, 1, 1, 0]
    assert scale_volume(5, 6) == 2
    assert not any(frames_of(one_note(Instrument("pulse"), 60, 5, volume=0), "P1", "volume"))


def test_scaled_volumes_are_fractions_of_fifteen() -> None:
    """Over the whole table a scaled volume is the nearest one, full volume changes nothing, and none comes from nothing."""
    for volume in range(16):
        assert (scale_volume(volume, 15), scale_volume(volume, 0), scale_volume(0, volume)) == (volume, 0, 0)
        for level in range(1, 16):
            exact = volume * level / 15
            assert abs(scale_volume(volume, level) - exact) <= 0.5 or (scale_volume(volume, level) == 1 and exact > 0)


def test_the_triangle_sounds_at_any_volume_of_a_note_but_0() -> None:
    """The triangle has no loudness: a note's volume of 1 is as loud as 15, and 0 is silent."""
    assert frames_of(one_note(Instrument("triangle"), 60, 3, volume=1), "TR", "on") == [1, 1, 1]
    assert frames_of(one_note(Instrument("triangle"), 60, 3, volume=0), "TR", "on") == [0, 0, 0]


def test_a_rest_stops_everything_that_moves() -> None:
    """From the frame of a rest on only the volume's register is written."""
    moving = Instrument("pulse", duties=(0, 1, 2, 3) * 9, arpeggio=(0, 3, 7), arpeggio_loop=0, vibrato=Vibrato(0, 5, 90))
    drums = Instrument("noise", arpeggio=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
    voices = dict.fromkeys(VOICES, (REST,) * 30)
    voices["P1"] = (Note(0, 60), HOLD, HOLD, Note(0, 72, slide=20), HOLD, REST, *(HOLD,) * 12, REST, *(HOLD,) * 11)
    voices["NO"] = (Note(1), HOLD, REST, *(HOLD,) * 27)
    log = drive(Score(voices, (moving, drums), groove=(1,)))
    late = log.frames >= 5
    assert log.addresses[late].tolist() == [0x4000]
    assert log.addresses[(log.frames >= 2) & np.isin(log.addresses, [0x400C, 0x400E])].tolist() == [0x400C]


def test_an_arpeggio_held_over_the_seam_goes_on_with_its_age() -> None:
    """A note held over the seam has in the loop's first frame the step that follows its last."""
    chord = Instrument("pulse", arpeggio=(0, 4, 7), arpeggio_loop=0)
    voices = dict.fromkeys(VOICES, (REST,) * 8)
    voices["P1"] = (HOLD, HOLD, HOLD, HOLD, Note(0, 60), HOLD, HOLD, HOLD)
    periods = frames_of(Score(voices, (chord,), groove=(1,), loop=(0, 8)), "P1", "period")
    assert periods == [pitch_to_period("P1", 60 + step) for step in (4, 7, 0, 4, 0, 4, 7, 0)]


# A second player, row by row and frame by frame, that plays on for ever. It keeps a few counters and knows no tables.


def cell_at_frames(score: Score, voice: str, n_frames: int) -> dict[int, Cell]:
    """Return the cells of an endless performance by the frame at which they begin."""
    row, frame = 0, 0
    cells: dict[int, Cell] = {}
    while frame < n_frames:
        if row == (score.loop[1] if score.loop else score.n_rows):
            if score.loop is None:
                cells[frame + score.delays.get(voice, 0)] = REST
                break
            row = score.loop[0]
        cell = score.voices[voice][row]
        if cell is not HOLD:
            cells[frame + score.delays.get(voice, 0) + (cell.delay if isinstance(cell, Note) else 0)] = cell
        frame += score.groove[row % len(score.groove)]
        row += 1
    return cells


@dataclass
class Player:
    """One voice's state in one frame."""

    note: Note | None = None
    before: int | None = None
    """Pitch of the note before this one."""
    sounding: bool = False
    age: int = 0
    volume_at: int = 0
    duty_at: int = 0
    step_at: int = 0

    def begin(self, cell: Cell) -> None:
        """Take up a note or a rest in its first frame."""
        if isinstance(cell, Note):
            self.before = None if self.note is None else self.note.pitch
            self.note, self.sounding = cell, True
            self.age = self.volume_at = self.duty_at = self.step_at = 0
        else:
            self.sounding = False

    def advance(self, instrument: Instrument) -> None:
        """Go on by a frame."""
        self.age += 1
        self.volume_at = min(self.volume_at + 1, len(instrument.volume) - 1)
        self.duty_at = min(self.duty_at + 1, max(0, len(instrument.duties) - 1))
        if self.step_at + 1 < len(instrument.arpeggio):
            self.step_at += 1
        elif instrument.arpeggio_loop is not None:
            self.step_at = instrument.arpeggio_loop


def play_on(score: Score, voice: str, n_frames: int) -> list[dict[str, int] | None]:
    """Return what a voice does in each frame of an endless performance; None where it is silent."""
    cells = cell_at_frames(score, voice, n_frames)
    player = Player()
    result: list[dict[str, int] | None] = []
    for frame in range(n_frames):
        if frame in cells:
            player.begin(cells[frame])
        elif player.note is not None:
            player.advance(score.instruments[player.note.instrument])
        result.append(sound(score, voice, player))
    return result


def sound(score: Score, voice: str, player: Player) -> dict[str, int] | None:
    note = player.note
    if note is None or not player.sounding:
        return None
    instrument = score.instruments[note.instrument]
    envelope = instrument.volume[player.volume_at]
    volume = max(int(Fraction(envelope * note.volume, 15) + Fraction(1, 2)), 1 if envelope and note.volume else 0)
    if volume == 0:
        return None
    step = instrument.arpeggio[player.step_at] if instrument.arpeggio else 0
    if voice == "NO":
        return {"volume": volume, "period": max(0, min(15, instrument.period + step)), "mode": instrument.mode}
    cents = 100 * note.pitch
    if player.before is not None and player.age < note.slide:
        way = 100 * (note.pitch - player.before)
        cents = 100 * player.before + floor(Fraction(way * player.age, note.slide) + Fraction(1, 2))
    cents += 100 * step
    period = nearest_period(voice, cents)
    vibrato = instrument.vibrato
    if vibrato is not None and player.age >= vibrato.delay:
        turn = Fraction((player.age - vibrato.delay) % vibrato.period, vibrato.period)
        swung = nearest_period(voice, cents + bend(turn, vibrato.depth))
        if voice != "TR":
            while swung // 256 != period // 256:
                swung += 1 if swung < period else -1
        period = swung
    if voice == "TR":
        return {"on": 1, "period": period}
    duty = instrument.duties[player.duty_at] if instrument.duties else instrument.duty
    return {"volume": volume, "period": period, "duty": duty}


def nearest_period(voice: str, cents: int) -> int:
    hz = 440 * 2 ** ((cents - 6900) / 1200)
    period = round(1_789_773 / ((32 if voice == "TR" else 16) * hz)) - 1
    return max(2 if voice == "TR" else 8, min(2047, period))


def bend(turn: Fraction, depth: int) -> int:
    """Return the cents of a vibrato, given the part of its swing that has gone by."""
    if turn >= Fraction(1, 2):
        return -bend(turn - Fraction(1, 2), depth)
    hump = 4 * (2 * turn) * (1 - 2 * turn)  # a parabola, 1 at the top
    return floor(depth * 4 * hump / (5 - hump) + Fraction(1, 2))


def compare(score: Score, voice: str, log: RegisterLog, offset: int, frames: range) -> None:
    """Check a voice in a log's frames against the endless performance, `offset` frames later there."""
    seen = channel_frames(log)[voice]
    played = play_on(score, voice, frames.stop + offset)
    for frame in frames:
        expected = played[frame + offset]
        if expected is None:
            assert seen["on" if voice == "TR" else "volume"][frame] == 0, (voice, frame)
        else:
            assert {key: int(column[frame]) for key, column in seen.items()} == expected, (voice, frame)


@settings(max_examples=40, deadline=None)
@given(idiom_scores(loops=False))
def test_any_score_that_ends_is_played_frame_by_frame(score: Score) -> None:
    """Every frame's volume, pitch, duty, period and mode are those of the second player, and of its silence after."""
    for voice in VOICES:
        compare(score, voice, drive(score, score.n_frames + 9), 0, range(score.n_frames + 9))


@settings(max_examples=60, deadline=None)
@given(idiom_scores(loops=True))
def test_any_loop_is_the_steady_state_of_the_endless_player(score: Score) -> None:
    """Two passes of the loop are those that the second player reaches after many, and the intro is its first."""
    log = drive(score)
    assert score.loop is not None and score.loop_frames is not None
    start, end = score.loop_frames
    assert (log.loop, log.n_frames) == ((start, end), end)
    passes = -(-30 // (end - start)) + 2  # enough for every delay to have come round, and two notes more
    twice = unroll(log, 2 * end - start)
    for voice in VOICES:
        compare(score, voice, log, 0, range(start))
        if any(cell is not HOLD for cell in score.voices[voice][slice(*score.loop)]):
            compare(score, voice, twice, passes * (end - start), range(start, 2 * end - start))


@settings(max_examples=25, deadline=None)
@given(idiom_scores(loops=True, max_rows=6))
def test_a_loop_that_only_holds_is_the_pass_in_which_all_has_settled(score: Score) -> None:
    """A voice without a cell in the loop plays its first pass in which the held note is 1024 frames old and more."""
    assert score.loop is not None
    voices = dict(score.voices)
    for voice in VOICES:
        first, stop = score.loop
        voices[voice] = (*voices[voice][:first], *(HOLD,) * (stop - first), *voices[voice][stop:])
    score = replace(score, voices=voices)
    log = drive(score)
    assert score.loop_frames is not None
    start, end = score.loop_frames
    for voice in VOICES:
        onset = max(cell_at_frames(score, voice, end), default=0)
        passes = 0
        while start + passes * (end - start) - onset < 1024:
            passes += 1
        compare(score, voice, log, passes * (end - start), range(start, end))


@settings(max_examples=40, deadline=None)
@given(idiom_scores(loops=True))
def test_every_pass_of_a_loop_sounds_like_the_first(score: Score) -> None:
    """Played on, the chip's state in each frame of the second pass is that of the first."""
    log = drive(score)
    assert log.loop is not None
    start, end = log.loop
    seen = channel_frames(unroll(log, end + (end - start)))
    for columns in seen.values():
        for column in columns.values():
            assert np.array_equal(column[start:end], column[end:])


@settings(max_examples=30, deadline=None)
@given(idiom_scores())
def test_no_write_repeats_a_value_but_at_the_loop(score: Score) -> None:
    """Outside the frames that state everything, a register is written only with a new value."""
    log = drive(score)
    stated = {0} | ({log.loop[0]} if log.loop else set())
    values: dict[int, int] = {}
    for frame, address, value in zip(log.frames.tolist(), log.addresses.tolist(), log.values.tolist(), strict=True):
        assert frame in stated or values[address] != value
        values[address] = value


def test_the_loop_start_states_every_register() -> None:
    """The loop's first frame writes all sixteen registers, once each."""
    log = drive(small_score())
    assert len(set(log.addresses[log.frames == 4].tolist())) == np.count_nonzero(log.frames == 4) == 16


@settings(max_examples=20, deadline=None)
@given(idiom_scores(max_rows=8))
def test_driving_twice_gives_the_same_log(score: Score) -> None:
    """The same score gives the same writes."""
    assert drive(score) == drive(score)
