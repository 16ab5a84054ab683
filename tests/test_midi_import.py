"""MIDI files as scores: our own come back whole, others frame by frame or arranged, damaged ones are refused."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from idiom_strategies import idiom_scores, one_note
from midi_player import frame_ticks, open_file, play, to_bytes
from pieces import jingle_score, loop_score
from strategies import scores

from nesasset.errors import FormatError
from nesasset.formats import midi, midi_import, midi_phrases
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, Vibrato
from nesasset.units import PITCH_RANGES, VOICES

mido = pytest.importorskip("mido")


# Our own files


def awkward() -> Score:
    """Return a piece of what is easily lost: unheard notes and fields, texts beyond ASCII, a late voice, cells after the loop."""
    instruments = (
        Instrument("pulse", (9, 0, 5, 0), duty=3, period=4, name="Höhle \u2028 \x85 😀", duties=(1, 1), arpeggio=(0,)),
        Instrument("triangle", (0,), duty=1, vibrato=Vibrato(0, 4, 1200), name="mute"),
        Instrument("noise", arpeggio=(96, -96), arpeggio_loop=1, vibrato=Vibrato(1, 5, 3)),
        Instrument("pulse", name="never played"),
    )
    rows = (REST,) * 6
    voices = {
        "P1": (*rows, Note(0, 33, 2, 7, 1024), Note(0, 108, volume=0)),
        "P2": (REST, REST, HOLD, Note(0, 60), Note(3, 60, volume=1), HOLD, REST, Note(3, 61)),
        "TR": (Note(1, 21), HOLD, Note(1, 108, 1, 3), REST, REST, HOLD, HOLD, HOLD),
        "NO": (*rows, Note(2), Note(2, slide=3)),
    }
    delays = {"P1": 0, "P2": 7}
    provenance = {"seed": 7, "parents": ["ä", {"": None}], "text": '{\n"'}
    return Score(voices, instruments, (6, 3), 5, 3, (1, 7), delays, "p1", "cave\n", provenance)


def high_slide() -> Score:
    """Return a note that slides down from two octaves beyond the highest key that MIDI has."""
    silent = (REST,) * 2
    voices = {"P1": silent, "P2": silent, "TR": (Note(0, 94), Note(0, 39, slide=12)), "NO": silent}
    return Score(voices, (Instrument("triangle", arpeggio=(45,)),))


@given(idiom_scores(provenance=True), st.booleans())
@settings(max_examples=40, deadline=None)
@example(score=awkward(), general_midi=False)
@example(score=awkward(), general_midi=True)
@example(score=Score(dict.fromkeys(VOICES, (REST, HOLD)), ()), general_midi=False)
@example(score=high_slide(), general_midi=False)
def test_out_and_back(score: Score, general_midi: bool) -> None:
    """Every score comes back whole from its file, in both forms, and nothing is reported."""
    assert midi_import.loads(midi.encode(score, general_midi)) == (score, ())


def changed(data: bytes, track: int, index: int, how: str) -> bytes | None:
    """Return a file in which one note of a track was raised, deleted or cut to half its frames; None if it cannot be."""
    edited = open_file(data)
    messages, ticks = edited.tracks[track], frame_ticks(edited)
    at = [place for place, message in enumerate(messages) if message.type == "note_on"][index]
    off = next(place for place in range(at, len(messages)) if messages[place].type == "note_off")
    if how == "raise":
        key = messages[at].note + 1
        if key > (16 if track == 4 else 108) or (track < 4 and key < PITCH_RANGES[VOICES[track - 1]][0]):
            return None
        messages[at].note = messages[off].note = key
    elif how == "delete":
        for place in (off, at):
            messages[place + 1].time += messages.pop(place).time
    else:
        length = sum(message.time for message in messages[at + 1 : off + 1]) // ticks
        if length < 2:
            return None
        end = messages.pop(off)
        messages[off].time += end.time
        end.time, place = length // 2 * ticks, at + 1
        while messages[place].time <= end.time:
            end.time -= messages[place].time
            place += 1
        messages[place].time -= end.time
        messages.insert(place, end)
    return to_bytes(edited)


HIGHEST_CENTS = {"P1": 12_684, "P2": 12_684, "TR": 13_386, "NO": 12_700}
"""Above MIDI pitch 0: timer period 8 of a pulse and 2 of the triangle, the shortest that are played; of noise, any key."""


def pulsing() -> Score:
    """Return noise that lags, and falls silent and comes back within each note: several MIDI notes."""
    voices = {**dict.fromkeys(VOICES, (REST,) * 6), "NO": (Note(0), HOLD, HOLD, Note(0), HOLD, REST)}
    return Score(voices, (Instrument("noise", (0, 1, 0, 1), period=5),), (4,), delays={"NO": 3})


@given(idiom_scores(), st.integers(1, 4), st.integers(0, 1000), st.sampled_from(("raise", "delete", "shorten")))
@settings(max_examples=40, deadline=None)
@example(score=pulsing(), track=4, index=1, how="delete")
def test_a_changed_note_is_heard_and_the_rest_stays(score: Score, track: int, index: int, how: str) -> None:
    """What was done to one note is heard; other voices, instruments and all that notes do not say are as they were."""
    data = midi.encode(score)
    count = sum(message.type == "note_on" for message in open_file(data).tracks[track])
    assume(count)
    data = changed(data, track, index % count, how) or data
    again, left_out = midi_import.loads(data)
    for name in ("groove", "bar_rows", "beat_rows", "loop", "title", "theme"):
        assert getattr(again, name) == getattr(score, name)
    assert again.instruments[: len(score.instruments)] == score.instruments
    for number, voice in enumerate(VOICES, start=1):
        assert number == track or again.voices[voice] == score.voices[voice]
    rough = any(
        "sound otherwise" in sentence for sentence in left_out
    )  # a bend that lost its slide is told in semitones
    for wanted, heard in zip(play(data, track), play(midi.encode(again), track), strict=True):
        assert (wanted is None) == (heard is None)
        if wanted is not None and heard is not None:
            assert (heard.velocity, heard.timbre) == (wanted.velocity, wanted.timbre)
            off = abs(100 * (heard.key - wanted.key) + heard.cents - wanted.cents)
            assert off <= (51 if rough else 1) or 100 * wanted.key + wanted.cents > HIGHEST_CENTS[VOICES[track - 1]]


def test_a_part_of_a_note_is_silenced() -> None:
    """Of a note that falls silent and comes back the second part is deleted: it alone gets an instrument of its own."""
    score = pulsing()
    again, left_out = midi_import.loads(changed(midi.encode(score), 4, 1, "delete") or b"")
    assert again.voices["NO"] == (Note(1), *score.voices["NO"][1:])
    assert again.instruments == (*score.instruments, replace(score.instruments[0], volume=(0, 1, 0)))
    assert (again.delays, left_out) == (score.delays, ())


def test_a_step_of_an_arpeggio_is_raised() -> None:
    """One step of a chord is raised: the rest of it, its vibrato and its loop stay."""
    chord = Instrument("pulse", (9, 7), arpeggio=(0, 4, 7), arpeggio_loop=0, vibrato=Vibrato(0, 8, 40), name="chord")
    score = one_note(chord, 60, 8)
    again, left_out = midi_import.loads(changed(midi.encode(score), 1, 4, "raise") or b"")
    steps = (0, 4, 7, 0, 5, 7, 0, 4, 7, 0, 4)
    assert again.instruments == (chord, replace(chord, arpeggio=steps, arpeggio_loop=8))
    assert again.voices["P1"] == (Note(1, 60), *score.voices["P1"][1:])
    assert left_out == ()


def test_a_volume_that_was_drawn_is_the_notes_own() -> None:
    """Another velocity is the first volume of an instrument that is else as it was; the note's own volume becomes full."""
    score = one_note(Instrument("pulse", (12, 8, 4), duties=(1, 2)), 60, 8, volume=8)
    edited = open_file(midi.encode(score))
    next(message for message in edited.tracks[1] if message.type == "note_on").velocity = 11
    again, left_out = midi_import.loads(to_bytes(edited))
    assert again.voices["P1"][0] == Note(1, 60)
    assert again.instruments[1] == replace(score.instruments[0], volume=(11, 4, 2))
    assert left_out == ()


@pytest.mark.parametrize(
    ("frames", "after"), [(6, (REST, REST, HOLD)), (18, (HOLD, HOLD, REST)), (24, (HOLD, HOLD, HOLD))]
)
def test_a_note_that_was_made_longer_or_shorter_ends_with_a_rest(frames: int, after: tuple[Cell, ...]) -> None:
    """A note of two rows that now ends with another row keeps its instrument, and a rest stands where it ends."""
    cells = (Note(0, 60), HOLD, REST, HOLD)
    score = Score({**dict.fromkeys(VOICES, (REST,) * 4), "P1": cells}, (Instrument("pulse", (12, 8, 4), name="lead"),))
    edited = open_file(midi.encode(score))
    ticks, messages = frame_ticks(edited), edited.tracks[1]
    at = next(place for place, message in enumerate(messages) if message.type == "note_off")
    messages[at].time += (frames - 12) * ticks
    for message in messages[at + 1 :]:
        message.time = 0
    again, left_out = midi_import.loads(to_bytes(edited))
    assert again == replace(score, voices={**score.voices, "P1": (Note(0, 60), *after)})
    assert left_out == ()


def test_what_a_slide_comes_from_stays() -> None:
    """A note that was deleted is silent, and one that was raised is raised by its instrument, if the next one slides from it."""
    voice = (Note(0, 60), HOLD, Note(0, 72, slide=6), HOLD)
    score = Score({**dict.fromkeys(VOICES, (REST,) * 4), "TR": voice}, (Instrument("triangle"),))
    deleted = midi_import.loads(changed(midi.encode(score), 3, 0, "delete") or b"")
    assert deleted == (replace(score, voices={**score.voices, "TR": (Note(0, 60, volume=0), *voice[1:])}), ())
    raised, left_out = midi_import.loads(changed(midi.encode(score), 3, 0, "raise") or b"")
    assert raised.voices["TR"] == (Note(1, 60), *voice[1:])
    assert raised.instruments[1] == replace(score.instruments[0], arpeggio=(1,))
    assert left_out == ()


@pytest.mark.parametrize("first", [2, 4, 7])
def test_a_voice_that_lags_keeps_its_lag(first: int) -> None:
    """A note is added to a voice with a lag, where a delay reaches and where none does: it stands in its row."""
    rows = (Note(0, 60), REST, REST, REST, Note(0, 62), HOLD)
    delays = {"P2": 2}
    score = Score({**dict.fromkeys(VOICES, (REST,) * 6), "P2": rows}, (Instrument("pulse", (9,)),), (6,), delays=delays)
    edited = open_file(midi.encode(score))
    ticks, messages = frame_ticks(edited), edited.tracks[2]
    at = next(place for place, message in enumerate(messages) if message.type == "note_off")
    added = [
        mido.Message("note_on", channel=1, note=70, velocity=5, time=(6 + first) * ticks),
        mido.Message("note_off", channel=1, note=70, time=4 * ticks),
    ]
    messages[at + 1].time -= (10 + first) * ticks
    messages[at + 1 : at + 1] = added
    data = to_bytes(edited)
    again, left_out = midi_import.loads(data)
    assert play(midi.encode(again), 2) == play(data, 2)
    assert (again.delays, left_out) == (delays, ())
    notes = [row for row, cell in enumerate(again.voices["P2"]) if isinstance(cell, Note)]
    assert notes == [0, 2 + first // 6, 4]


@pytest.mark.parametrize("track", [1, 2, 3])
def test_a_moved_note_keeps_its_instrument(track: int) -> None:
    """A note that was raised, and one that was deleted, change two cells and nothing else."""
    score = loop_score()
    score = replace(score, instruments=tuple(replace(entry, vibrato=Vibrato(3, 8, 30)) for entry in score.instruments))
    voice = VOICES[track - 1]
    places = [row for row, cell in enumerate(score.voices[voice]) if isinstance(cell, Note)]
    data = changed(changed(midi.encode(score), track, 5, "raise") or b"", track, 7, "delete") or b""
    cells = list(score.voices[voice])
    cells[places[5]] = replace(cells[places[5]], pitch=cells[places[5]].pitch + 1)
    cells[places[7]] = REST
    assert midi_import.loads(data) == (replace(score, voices={**score.voices, voice: tuple(cells)}), ())


def test_a_note_that_was_added_is_read_from_the_file() -> None:
    """A note put into a rest becomes one of a new instrument, and the voice's other cells stay."""
    score = jingle_score()
    edited = open_file(midi.encode(score))
    edited.tracks[2][-1:] = [
        mido.Message("note_on", channel=1, note=60, velocity=9, time=12 * frame_ticks(edited)),
        mido.Message("note_off", channel=1, note=60, time=9 * frame_ticks(edited)),
        mido.MetaMessage("end_of_track"),
    ]
    again, left_out = midi_import.loads(to_bytes(edited))
    new = len(score.instruments)
    assert again.voices["P2"] == (REST, REST, Note(new, 60), HOLD, *(REST,) * 28)
    assert again.instruments == (*score.instruments, Instrument("pulse", (9,) * 9 + (0,)))
    assert {**again.voices, "P2": score.voices["P2"]} == score.voices
    assert left_out == ()


def test_what_the_file_says_wins_over_the_text() -> None:
    """A new title, time signature and loop are taken from the file; theme and notes stay."""
    score = loop_score(intro_bars=1)
    edited = open_file(midi.encode(score))
    marks = edited.tracks[0]
    for message in marks:
        if message.type == "track_name":
            message.name = "Another"
        elif message.type == "time_signature" and message.numerator == 4:
            message.numerator = 3
        elif message.type == "marker":
            message.text = message.text.replace("loop", "bar")
    assert next(message for message in marks if message.type == "control_change").time == 0
    marks[:] = [message for message in marks if message.type != "control_change"]
    again, left_out = midi_import.loads(to_bytes(edited))
    assert again == replace(score, title="Another", bar_rows=12, loop=None)
    assert left_out == ()


def test_another_tempo_makes_other_rows() -> None:
    """At another tempo the text's rows do not hold; theme and provenance stay, and every beat has its new length."""
    score = loop_score()
    edited = open_file(midi.encode(score))
    next(message for message in edited.tracks[0] if message.type == "set_tempo").tempo = 500_000
    again, _ = midi_import.loads(to_bytes(edited))
    assert (again.theme, again.provenance) == (score.theme, score.provenance)
    assert again.tempo_bpm == pytest.approx(120)


# Files with our tracks, and no text


def without_texts(data: bytes) -> bytes:
    """Return a file of ours without its texts, as many programs save it."""
    bare = open_file(data)
    kept, waited = [], 0
    for message in bare.tracks[0]:
        waited += message.time
        if message.type != "text":
            kept.append(message.copy(time=waited))
            waited = 0
    bare.tracks[0][:] = kept
    return to_bytes(bare)


@given(scores(max_rows=16, provenance=False))
@settings(max_examples=30, deadline=None)
def test_files_without_text_come_back_frame_by_frame(score: Score) -> None:
    """Whatever the score, each frame of the one read back sounds as it did, and the title stays."""
    data = without_texts(midi.encode(score))
    again, left_out = midi_import.loads(data)
    for track in range(1, 5):
        wanted, heard = play(data, track), play(midi.encode(again), track)
        assert heard[: len(wanted)] == wanted
        assert not any(heard[len(wanted) :])  # the last row may reach beyond the end
    assert again.title == ("" if score.title.upper() in VOICES else score.title)
    assert not any("otherwise" in sentence for sentence in left_out)


def test_bends_without_text_are_told_in_semitones() -> None:
    """A vibrato of a semitone and more becomes steps of an arpeggio, and what is lost is reported."""
    score = one_note(Instrument("pulse", vibrato=Vibrato(0, 8, 160)), 60, 12)
    again, left_out = midi_import.loads(without_texts(midi.encode(score)))
    assert again.instruments[0].arpeggio[:8] == (0, 1, 2, 1, 0, -1, -2, -1)
    assert left_out == ("frames of pulse 1 that sound otherwise (11 times)",)


def swinging() -> Score:
    """Return a piece whose eighths are uneven, with a note in every row."""
    score = loop_score(4, groove=(9, 5))
    return replace(score, voices={**score.voices, "P2": tuple(Note(1, 60 + row % 7) for row in range(score.n_rows))})


@pytest.mark.parametrize("score", [loop_score(intro_bars=1), loop_score(3, groove=(6, 7)), swinging(), jingle_score()])
def test_files_without_text_keep_bars_grooves_and_loops(score: Score) -> None:
    """Rows, groove, bars, beats and loop of a plain piece come back as they were, and its MIDI file with them."""
    data = without_texts(midi.encode(score))
    again, left_out = midi_import.loads(data)
    for name in ("groove", "bar_rows", "beat_rows", "loop", "n_rows"):
        assert getattr(again, name) == getattr(score, name)
    assert left_out == ()
    assert without_texts(midi.encode(again)) == data
    assert len(again.instruments) <= len(score.instruments) + 8


def test_the_form_for_common_players_comes_back_without_text() -> None:
    """Volumes times eight are read as volumes; pulses and triangle are as before, and drums stand where they stood."""
    score = loop_score()
    again, _ = midi_import.loads(without_texts(midi.encode(score, general_midi=True)))
    ours, theirs = midi.encode(again), midi.encode(score)
    assert [play(ours, track) for track in (1, 2, 3)] == [play(theirs, track) for track in (1, 2, 3)]
    assert [frame is None for frame in play(ours, 4)] == [frame is None for frame in play(theirs, 4)]


def file(*tracks: list[Any], ticks_per_beat: int = 480) -> bytes:
    """Return a MIDI file of tracks of (tick, message)."""
    made = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat)
    for events in tracks:
        track = mido.MidiTrack()
        now = 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - now))
            now = tick
        made.tracks.append(track)
    buffer = io.BytesIO()
    made.save(file=buffer)
    return buffer.getvalue()


def line(*notes: tuple[int, int, int], channel: int = 0, velocity: int = 127) -> list[Any]:
    """Return the events of notes given as start and end in sixteenths of 120 ticks, and pitch."""
    events = []
    for start, end, pitch in notes:
        events.append((start * 120, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
        events.append((end * 120, mido.Message("note_off", channel=channel, note=pitch)))
    return events


TEMPO = [(0, mido.MetaMessage("set_tempo", tempo=400_000)), (0, mido.MetaMessage("track_name", name="Tune"))]


def names(score: Score, voice: str) -> dict[int, str]:
    """Return the names of the instruments of a voice's notes by row."""
    return {
        row: score.instruments[cell.instrument].name
        for row, cell in enumerate(score.voices[voice])
        if isinstance(cell, Note)
    }


def pitches(score: Score, voice: str) -> dict[int, int | None]:
    """Return the pitches of a voice's notes by row."""
    return {row: cell.pitch for row, cell in enumerate(score.voices[voice]) if isinstance(cell, Note)}


def test_three_tracks_go_by_pitch() -> None:
    """Of three lines the highest is pulse 1, the next pulse 2, the lowest the triangle; 150 beats a minute are 6 frames a row."""
    score, left_out = midi_import.loads(
        file(TEMPO, line((0, 4, 40)), line((0, 4, 76), (4, 6, 77)), line((0, 2, 60), velocity=64))
    )
    assert (score.groove, score.beat_rows, score.bar_rows, score.n_rows, score.title) == ((6,), 4, 16, 16, "Tune")
    assert [pitches(score, voice) for voice in VOICES] == [{0: 76, 4: 77}, {0: 60}, {0: 40}, {}]
    assert score.voices["P1"][6] is REST
    assert score.voices["P2"][2] is REST
    second = score.voices["P2"][0]
    assert isinstance(second, Note) and second.volume == 8
    assert left_out == ()


def test_chords_are_reduced_from_outside() -> None:
    """Of a chord in one track the top goes to pulse 1, the bottom to the triangle, the rest is pulse 2's arpeggio."""
    score, left_out = midi_import.loads(file(TEMPO, line(*((0, 4, pitch) for pitch in (48, 60, 64, 67, 72)))))
    assert [pitches(score, voice) for voice in VOICES] == [{0: 72}, {0: 60}, {0: 48}, {}]
    cell = score.voices["P2"][0]
    assert isinstance(cell, Note)
    assert score.instruments[cell.instrument].arpeggio == (0, 0, 4, 4, 7, 7)
    assert left_out == ("chords played as quick arpeggios",)


def test_of_short_chords_the_top_stays() -> None:
    """A chord shorter than a beat is no arpeggio: what no voice has room for is counted."""
    score, left_out = midi_import.loads(file(TEMPO, line(*((0, 2, pitch) for pitch in (48, 60, 64, 67, 72)))))
    assert [pitches(score, voice) for voice in VOICES] == [{0: 72}, {0: 67}, {0: 48}, {}]
    assert left_out == ("notes for which no voice is free (2 times)",)


def test_drums_become_noise() -> None:
    """Channel 10 plays the noise; a kick with another drum goes to the triangle that is free, else the deepest stays."""
    drums = line((0, 1, 36), (0, 1, 42), (2, 3, 42), (4, 5, 38), channel=9)
    score, left_out = midi_import.loads(file(TEMPO, drums))
    assert names(score, "NO") == {0: "hat", 2: "hat", 4: "snare"}
    assert names(score, "TR") == {0: "drum"}
    assert left_out == ("kicks and toms on the triangle",)
    score, left_out = midi_import.loads(file(TEMPO, line((0, 4, 72)), line((0, 4, 40)), drums))
    assert names(score, "NO") == {0: "kick", 2: "hat", 4: "snare"}
    assert left_out == ("drums that begin together with a deeper one",)


def test_what_is_off_the_grid_moves() -> None:
    """Notes between sixteenths move to the nearest one, notes out of a voice's range by octaves; both are told."""
    events = [(130, mido.Message("note_on", note=20)), (250, mido.Message("note_off", note=20))]
    score, left_out = midi_import.loads(file(TEMPO, events))
    assert pitches(score, "P1") == {1: 44}
    assert left_out == ("notes moved to the nearest sixteenth", "notes of pulse 1 moved by octaves into its range")


def test_rows_are_what_fits_the_notes() -> None:
    """Triplets get three rows a beat, thirty-seconds eight; what was played freely stays on sixteenths."""
    def notes(*ticks: int) -> list[Any]:
        found: list[Any] = []
        for tick in ticks:
            found += [(tick, mido.Message("note_on", note=60)), (tick + 50, mido.Message("note_off", note=60))]
        return found

    assert midi_import.loads(file(TEMPO, notes(*range(0, 3840, 160))))[0].beat_rows == 3
    assert midi_import.loads(file(TEMPO, notes(*range(0, 3840, 60))))[0].beat_rows == 8
    generator = random.Random(1)
    free = [at + generator.randrange(-50, 50) for at in range(60, 9600, 120)]
    assert midi_import.loads(file(TEMPO, notes(*free)))[0].beat_rows == 4


def test_other_tempos_and_bars() -> None:
    """A waltz at 140 has bars of 12 rows and a groove whose mean is 6.43 frames; a tempo change is followed row by row."""
    waltz = [(0, mido.MetaMessage("set_tempo", tempo=428_571)), (0, mido.MetaMessage("time_signature", numerator=3))]
    score, _ = midi_import.loads(file(waltz, line((0, 12, 60))))
    assert (score.bar_rows, len(score.groove)) == (12, 7)
    assert abs(score.tempo_bpm - 140) < 0.1
    faster = [*TEMPO, (480, mido.MetaMessage("set_tempo", tempo=200_000))]
    score, _ = midi_import.loads(file(faster, line((0, 16, 60))))
    assert score.groove == (6, 6, 6, 6, *[3] * 12)


def test_loop_marks_of_other_files() -> None:
    """Markers loopStart and loopEnd, or control change 111 alone, give the loop in rows."""
    marks = [(480, mido.MetaMessage("marker", text="loopStart")), (1920, mido.MetaMessage("marker", text="loopEnd"))]
    assert midi_import.loads(file(TEMPO + marks, line((0, 16, 60))))[0].loop == (4, 16)
    control = [(960, mido.Message("control_change", control=111, value=0))]
    assert midi_import.loads(file(TEMPO, line((0, 16, 60)) + control))[0].loop == (8, 16)
    upper = [(480, mido.MetaMessage("marker", text="LOOP START"))]
    assert midi_import.loads(file(TEMPO + upper, line((0, 16, 60))))[0].loop == (4, 16)
    pair = [(tick, mido.Message("control_change", control=control, value=0)) for tick, control in ((480, 116), (960, 117))]
    assert midi_import.loads(file(TEMPO, line((0, 16, 60)) + pair))[0].loop == (4, 8)


def test_names_and_programs_are_hints() -> None:
    """A part named melody is the tune even below another, a bass program the bass even above one."""
    low = [(0, mido.MetaMessage("track_name", name="Melody")), *line(*((row, row + 2, 60 + row % 5) for row in range(0, 16, 2)))]
    high = line(*((row, row + 2, 76 + row % 5) for row in range(0, 16, 2)), channel=1)
    bass = [(0, mido.Message("program_change", program=33, channel=2)), *line((0, 8, 50), (8, 16, 52), channel=2)]
    deep = line((0, 8, 45), (8, 16, 47), channel=3)
    score, _ = midi_import.loads(file(TEMPO, low, high, bass, deep))
    assert pitches(score, "P1")[0] == 60
    assert pitches(score, "TR")[0] == 50


def test_the_tune_may_change_hands() -> None:
    """Two parts take turns as the tune; pulse 1 follows, and their key is told."""
    first = line(*((row, row + 4, 72 + row % 7) for row in range(0, 64, 4)))
    other = line(*((row, row + 4, 74 + row % 5) for row in range(64, 128, 4)), channel=1)
    bass = line(*((row, row + 16, 40) for row in range(0, 128, 16)), channel=2)
    key = [(0, mido.MetaMessage("key_signature", key="Em"))]
    score, left_out = midi_import.loads(file(TEMPO + key, first, other, bass))
    assert set(pitches(score, "P1")) == set(range(0, 128, 4))
    assert set(pitches(score, "TR")) == set(range(0, 128, 16))
    assert score.provenance == {"key": "E minor"}
    assert left_out == ()


def test_doubled_parts_and_sound_effects_are_left_out() -> None:
    """A part that another one doubles needs no voice, and gunshots are no notes; both are counted."""
    tune = line((0, 4, 72), (4, 8, 74))
    shot = [(0, mido.Message("program_change", program=127, channel=2)), *line((0, 1, 60), channel=2)]
    _, left_out = midi_import.loads(file(TEMPO, tune, line((0, 4, 72), (4, 8, 74), channel=1), shot))
    assert left_out == ("notes of sound effects", "notes of parts that double another (2 times)")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it does not begin with MThd"),
        (midi.encode(loop_score())[:900], "is cut off in track"),
        (file(TEMPO), "has no notes"),
        (file([(2**27, mido.Message("note_on", note=60))], ticks_per_beat=1), "at most 65536 sixteenths"),
        (bytes(midi_import.MAX_BYTES + 1), "at most 4194304 bytes"),
        (file(line(*((0, 1, 60),) * (midi_phrases.MAX_NOTES + 1))), "at most 50000 notes to be made into a score"),
        (file([(0, mido.Message("control_change"))] * (midi.MAX_EVENTS + 1)), "at most 250000 events"),
    ],
)
def test_unusable_files(data: bytes, message: str) -> None:
    """What is no MIDI file, is cut off, silent or endless is refused by name, in one sentence."""
    with pytest.raises(FormatError, match=f"^a.mid: .*{message}"):
        midi_import.loads(data, "a.mid")


def test_files_are_read(tmp_path: Path) -> None:
    """A file is read by its path, and one that is not there refused."""
    midi.save(loop_score(), tmp_path / "a.mid")
    assert midi_import.load(tmp_path / "a.mid")[0].n_rows == 64
    with pytest.raises(FormatError, match="cannot read"):
        midi_import.load(tmp_path / "b.mid")


def test_mutated_files_raise_only_format_errors() -> None:
    """1000 damaged files, ours and another, become scores or are refused with a FormatError of one sentence."""
    generator = random.Random(6)
    small = loop_score(bars=1)
    chords = file(TEMPO, line(*((row, row + 3, 40 + 7 * row % 50) for row in range(12))), line((0, 1, 36), channel=9))
    originals = [midi.encode(small), midi.encode(small, general_midi=True), chords]
    originals += [midi.encode(awkward()), without_texts(midi.encode(awkward()))]
    messages = []
    for _ in range(1000):
        data = bytearray(generator.choice(originals))
        for _ in range(generator.choice((1, 1, 2, 8))):
            at = generator.randrange(len(data))
            if generator.random() < 0.7:
                data[at] = generator.choice((0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256)))
            else:
                data[at : at + generator.choice((1, 4))] = generator.randbytes(generator.choice((0, 1, 3)))
        try:
            midi_import.loads(bytes(data), "a.mid")
        except FormatError as error:
            messages.append(str(error))
    assert 100 < len(messages) < 950
    assert max(map(len, messages)) < 400
    assert not any("\n" in message for message in messages)
