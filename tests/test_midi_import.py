"""MIDI files as scores: our own come back frame by frame, others are arranged by the stated rule, damaged ones refused."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from pieces import jingle_score, loop_score
from strategies import scores

from nesasset.errors import FormatError
from nesasset.formats import midi, midi_import
from nesasset.formats.sounding import sounding_notes
from nesasset.score import HOLD, REST, Note, Score
from nesasset.units import VOICES

mido = pytest.importorskip("mido")


def frames(score: Score) -> dict[str, list[tuple[int, ...]]]:
    """Return for each voice and frame pitch (of noise the period), volume and duty or mode; nothing where it is silent."""
    shown: dict[str, list[tuple[int, ...]]] = {}
    for voice in VOICES:
        shown[voice] = [()] * score.n_frames
        for note in sounding_notes(score, voice):
            instrument = note.instrument
            timbre = {"pulse": instrument.duty, "triangle": 0, "noise": instrument.mode}[instrument.kind]
            height = instrument.period if note.note.pitch is None else note.note.pitch
            for offset, volume in enumerate(note.volumes()):
                if volume:
                    level = 15 if voice == "TR" else volume
                    shown[voice][note.onset_frame + offset] = (height, level, timbre)
    return shown


def onsets(score: Score) -> dict[str, list[int]]:
    """Return the frames in which a sound begins after silence or a note begins that is heard."""
    return {
        voice: [
            note.onset_frame + offset
            for note in sounding_notes(score, voice)
            for offset, volume in enumerate(note.volumes())
            if volume and (offset == 0 or not note.volumes()[offset - 1])
        ]
        for voice in VOICES
    }


def without_tail(parts: dict[str, list[tuple[int, ...]]], n_frames: int) -> dict[str, list[tuple[int, ...]]]:
    """Return the first frames; what is behind them must be silent."""
    assert all(not state for part in parts.values() for state in part[n_frames:])
    return {voice: part[:n_frames] for voice, part in parts.items()}


@given(scores(max_rows=16, provenance=False))
@settings(max_examples=60)
def test_our_own_files_come_back_frame_by_frame(score: Score) -> None:
    """Whatever the score, each frame of the one read back sounds as it did, notes begin where they did, and the title stays."""
    again, _ = midi_import.loads(midi.encode(score))
    assert without_tail(frames(again), score.n_frames) == frames(score)
    assert onsets(again) == onsets(score)
    assert again.title == score.title


def swinging() -> Score:
    """Return a piece whose eighths are uneven, with a note in every row."""
    score = loop_score(4, groove=(9, 5))
    return replace(score, voices={**score.voices, "P2": tuple(Note(1, 60 + row % 7) for row in range(score.n_rows))})


@pytest.mark.parametrize("score", [loop_score(intro_bars=1), loop_score(3, groove=(6, 7)), swinging(), jingle_score()])
def test_our_own_files_keep_bars_grooves_and_loops(score: Score) -> None:
    """Rows, groove, bars, beats and loop of a plain piece come back as they were, and its MIDI file with them."""
    data = midi.encode(score)
    again, left_out = midi_import.loads(data)
    for name in ("groove", "bar_rows", "beat_rows", "loop", "n_rows"):
        assert getattr(again, name) == getattr(score, name)
    assert left_out == ()
    assert midi.encode(again) == data
    assert len(again.instruments) <= len(score.instruments) + 8


def test_the_form_for_common_players_comes_back() -> None:
    """Volumes times eight are read as volumes; pulses and triangle are as before."""
    score = loop_score()
    again, _ = midi_import.loads(midi.encode(score, general_midi=True))
    ours, theirs = frames(again), frames(score)
    assert {voice: ours[voice] for voice in ("P1", "P2", "TR")} == {
        voice: theirs[voice] for voice in ("P1", "P2", "TR")
    }
    assert [len(state) for state in ours["NO"]] == [len(state) for state in theirs["NO"]]


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


def test_three_tracks_go_by_pitch() -> None:
    """Of three lines the highest is pulse 1, the next pulse 2, the lowest the triangle; 150 beats a minute are 6 frames a row."""
    score, left_out = midi_import.loads(
        file(TEMPO, line((0, 4, 40)), line((0, 4, 76), (4, 6, 77)), line((0, 2, 60), velocity=64))
    )
    assert (score.groove, score.beat_rows, score.bar_rows, score.n_rows, score.title) == ((6,), 4, 16, 16, "Tune")
    assert score.voices["P1"][:7] == (Note(0, 76), HOLD, HOLD, HOLD, Note(0, 77), HOLD, REST)
    assert score.voices["P2"][:3] == (Note(1, 60, volume=8), HOLD, REST)
    assert score.voices["TR"][:5] == (Note(2, 40), HOLD, HOLD, HOLD, REST)
    assert left_out == ()


def test_chords_are_reduced_from_outside() -> None:
    """Of a chord in one track the top goes to pulse 1, the bottom to the triangle, the next from the top to pulse 2."""
    score, left_out = midi_import.loads(file(TEMPO, line(*((0, 4, pitch) for pitch in (48, 60, 64, 67, 72)))))
    assert [score.voices[voice][0] for voice in VOICES] == [Note(0, 72), Note(1, 67), Note(2, 48), HOLD]
    assert left_out == ("notes for which no voice is free (2 times)",)


def test_drums_become_noise() -> None:
    """Channel 10 plays the noise; of drums that begin together the deepest stays, and the others are counted."""
    score, left_out = midi_import.loads(file(TEMPO, line((0, 1, 36), (0, 1, 42), (2, 3, 42), (4, 5, 38), channel=9)))
    names = {
        row: score.instruments[cell.instrument].name
        for row, cell in enumerate(score.voices["NO"])
        if isinstance(cell, Note)
    }
    assert names == {0: "kick", 2: "hat", 4: "snare"}
    assert left_out == ("drums that begin together with a deeper one",)


def test_what_is_off_the_grid_moves() -> None:
    """Notes between sixteenths move to the nearest one, notes out of a voice's range by octaves; both are told."""
    events = [(130, mido.Message("note_on", note=20)), (250, mido.Message("note_off", note=20))]
    score, left_out = midi_import.loads(file(TEMPO, events))
    assert score.voices["P1"][1] == Note(0, 44, volume=8)
    assert left_out == ("notes moved to the nearest sixteenth", "notes of pulse 1 moved by octaves into its range")


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


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it does not begin with MThd"),
        (midi.encode(loop_score())[:900], "is cut off in track"),
        (file(TEMPO), "has no notes"),
        (file([(2**27, mido.Message("note_on", note=60))], ticks_per_beat=1), "at most 65536 sixteenths"),
        (bytes(midi_import.MAX_BYTES + 1), "at most 4194304 bytes"),
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
    """2000 damaged files, ours and another, become scores or are refused with a FormatError of one sentence."""
    generator = random.Random(6)
    small = loop_score(bars=1)
    chords = file(TEMPO, line(*((row, row + 3, 40 + 7 * row % 50) for row in range(12))), line((0, 1, 36), channel=9))
    originals = [midi.encode(small), midi.encode(small, general_midi=True), chords]
    messages = []
    for _ in range(2000):
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
    assert 200 < len(messages) < 1900
    assert max(map(len, messages)) < 400
    assert not any("\n" in message for message in messages)
