"""MIDI: every frame sounds as the driver plays it, other libraries see what we wrote, and damaged files are refused."""

from __future__ import annotations

import io
import random
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from idiom_strategies import idiom_scores, one_note
from midi_player import play
from strategies import scores

from nesasset.apu.state import channel_frames
from nesasset.driver import drive
from nesasset.errors import FormatError, NesassetError
from nesasset.formats import midi
from nesasset.formats.sounding import sounding_notes
from nesasset.score import HOLD, REST, Instrument, Note, Score, Vibrato
from nesasset.units import CPU_CLOCK_HZ, VOICES

mido = pytest.importorskip("mido")


def piece(
    groove: tuple[int, ...] = (6,), bar_rows: int = 16, beat_rows: int = 4, n_rows: int = 32, **changes: Any
) -> Score:
    """Return a short piece with an intro of one bar, or what of it fits."""
    empty = (HOLD,) * n_rows
    voices = {
        "P1": (Note(0, 60), HOLD, HOLD, HOLD, Note(1, 64), HOLD, REST, HOLD, *empty)[:n_rows],
        "P2": empty,
        "TR": (Note(2, 36), HOLD, HOLD, HOLD, REST, *empty)[:n_rows],
        "NO": (Note(3), HOLD, HOLD, HOLD, Note(4), *empty)[:n_rows],
    }
    instruments = (
        Instrument("pulse", (15, 15, 12, 8), duty=2),
        Instrument("pulse", (9, 0, 5, 0), duty=1),
        Instrument("triangle"),
        Instrument("noise", (9, 4, 0), period=15),
        Instrument("noise", (9, 4, 0), period=0, mode=1),
    )
    loop = (min(bar_rows, n_rows - 1), n_rows)
    fields: dict[str, Any] = {"loop": loop, "title": "Höhle", **changes}
    return Score(voices, instruments, groove, bar_rows, beat_rows, **fields)


def messages(data: bytes, track: int) -> list[tuple[int, Any]]:
    """Return tick and message of one track, as mido reads them."""
    tick, found = 0, []
    for message in mido.MidiFile(file=io.BytesIO(data), charset="utf-8").tracks[track]:
        tick += message.time
        found.append((tick, message))
    return found


def described(data: bytes, folder: Path) -> midi.MidiInfo:
    """Return what our reader says about bytes."""
    (folder / "a.mid").write_bytes(data)
    return midi.describe(folder / "a.mid")


@given(scores(provenance=False))
@settings(max_examples=30, deadline=None)
def test_every_frame_by_another_reader(score: Score) -> None:
    """Played by mido, the file has in each frame the note, volume and timbre of the score in every voice."""
    data = midi.encode(score)
    ticks_per_frame, _ = midi.frame_clock(score)
    for track, voice in enumerate(("P1", "P2", "TR", "NO"), start=1):
        heard = [(0, 0, 0)] * score.n_frames
        state = [0, 0, 0]
        position = 0
        for tick, message in messages(data, track):
            frame, rest = divmod(tick, ticks_per_frame)
            assert rest == 0
            for index in range(position, frame):
                heard[index] = (state[0], state[1], state[2])
            position = frame
            if message.type == "note_on":
                state[:2] = message.note, message.velocity
            elif message.type == "note_off":
                assert message.note == state[0]
                state[:2] = 0, 0
            elif message.type == "control_change":
                state[{11: 1, 12: 2}[message.control]] = message.value
        assert position == score.n_frames
        expected = [(0, 0)] * score.n_frames
        for item in sounding_notes(score, voice):
            number = item.note.pitch if item.note.pitch is not None else 16 - item.instrument.period
            for frame, volume in enumerate(item.volumes(), start=item.onset_frame):
                if volume:
                    expected[frame] = (number, 1 if voice == "TR" else volume)
        assert [(note, level) for note, level, _ in heard] == expected
        for item in sounding_notes(score, voice):
            timbre = {"pulse": item.instrument.duty, "noise": item.instrument.mode, "triangle": 0}[item.instrument.kind]
            frames = range(item.onset_frame, item.end_frame)
            assert all(heard[frame][2] == timbre for frame in frames if heard[frame][0])


@given(scores(provenance=False))
@settings(max_examples=40, deadline=None)
def test_sounding_notes_row_by_row(score: Score) -> None:
    """The notes of a voice equal what a plain walk over frames finds."""
    for voice, cells in score.voices.items():
        starts: dict[int, Any] = {}
        for row, cell in enumerate(cells):
            if cell is not HOLD:
                delay = cell.delay if isinstance(cell, Note) else 0
                starts[score.row_frame(row) + score.delays.get(voice, 0) + delay] = cell
        expected, current = [], None
        for frame in range(score.n_frames):
            if frame in starts:
                current = (frame, starts[frame]) if isinstance(starts[frame], Note) else None
            expected.append(current)
        found: list[Any] = [None] * score.n_frames
        for item in sounding_notes(score, voice):
            assert len(item.volumes()) == item.end_frame - item.onset_frame
            for frame in range(item.onset_frame, item.end_frame):
                found[frame] = (item.onset_frame, item.note)
        assert found == expected


def expected_frames(score: Score, voice: str) -> list[tuple[int, ...] | None]:
    """Return for each frame period, volume and duty or mode as the driver's log has them, None for silence."""
    state = channel_frames(drive(score))[voice]
    volumes = state["on"] if voice == "TR" else state["volume"]
    timbres = state.get("duty", state.get("mode", np.zeros_like(volumes)))
    columns = (state["period"].tolist(), volumes.tolist(), timbres.tolist())
    return [(period, volume, timbre) if volume else None for period, volume, timbre in zip(*columns, strict=True)]


def is_settled(score: Score, voice: str) -> list[bool]:
    """Return in which frames a first pass sounds as the driver's steady loop: not before a voice's first cell in the loop."""
    settled = [True] * score.n_frames
    if score.loop is not None:
        start, end = score.loop
        cells = enumerate(score.voices[voice][start:end], start=start)
        row, delay = next(((row, getattr(cell, "delay", 0)) for row, cell in cells if cell is not HOLD), (end, 0))
        first = score.row_frame(row) + delay
        for frame in range(score.row_frame(start), first):
            settled[frame] = False
    return settled


def timer(heard: Any, voice: str) -> float:
    """Return the timer period of what is heard, as a broken number."""
    hz = 440 * 2 ** ((heard.key + heard.cents / 100 - 69) / 12)
    return CPU_CLOCK_HZ / ((32 if voice == "TR" else 16) * hz) - 1


@given(idiom_scores().map(lambda score: replace(score, delays={})))
@settings(max_examples=40, deadline=None)
def test_every_frame_sounds_as_the_driver_plays_it(score: Score) -> None:
    """By MIDI's rules pitch (within a timer step), volume, duty, mode and noise period of each frame are the driver's."""
    data = midi.encode(score)
    for track, voice in enumerate(VOICES, start=1):
        frames, expected, settled = play(data, track), expected_frames(score, voice), is_settled(score, voice)
        assert len(frames) == score.n_frames
        for heard, wanted, counts in zip(frames, expected, settled, strict=False):  # the log ends with the loop
            if not counts:
                continue
            assert (heard is None) == (wanted is None)
            if heard is None or wanted is None:
                continue
            period, volume, timbre = wanted
            assert heard.velocity == volume  # the triangle's is 1, as its state
            if voice == "NO":
                assert (16 - heard.key, heard.timbre) == (period, timbre)
            else:
                assert abs(timer(heard, voice) - period) < 1
                assert voice == "TR" or heard.timbre == timbre


@given(idiom_scores())
@settings(max_examples=20, deadline=None)
def test_common_players_hear_the_volumes(score: Score) -> None:
    """For common players control change 11 is 8 times the volume in every frame, and a noise note has one key."""
    plain, louder = midi.encode(score), midi.encode(score, general_midi=True)
    for track, voice in enumerate(VOICES, start=1):
        for heard, other in zip(play(louder, track), play(plain, track), strict=True):
            assert (heard is None) == (other is None)
            if heard is not None and other is not None:
                assert voice == "TR" or heard.expression == 8 * other.velocity
                assert voice == "NO" or heard[:2] == other[:2]


def test_arpeggios_are_notes() -> None:
    """A turning arpeggio is a note a frame, without a bend."""
    heard = play(midi.encode(one_note(Instrument("pulse", arpeggio=(0, 4, 7), arpeggio_loop=0), 60, 5)), 1)
    assert [(frame.key, frame.cents, frame.begins) for frame in heard if frame] == [
        (60, 0, True),
        (64, 0, True),
        (67, 0, True),
        (60, 0, True),
        (64, 0, True),
    ]


def wheel_ranges(data: bytes, track: int) -> list[int]:
    """Return the bend ranges that a track sets."""
    return [m.value for _, m in messages(data, track) if m.type == "control_change" and m.control == 6]


def test_a_vibrato_is_one_note_that_bends() -> None:
    """A vibrato of half a semitone is one note, within the range that every player knows."""
    data = midi.encode(one_note(Instrument("pulse", vibrato=Vibrato(2, 8, 50)), 60, 12))
    heard = [frame for frame in play(data, 1) if frame]
    assert [frame.begins for frame in heard] == [True] + [False] * 11
    assert [round(frame.cents) for frame in heard[:9]] == [0, 0, 0, 35, 50, 35, 0, -35, -50]
    assert wheel_ranges(data, 1) == [2]


def test_slides_bend_as_far_as_players_go() -> None:
    """An octave is one bent note under a range of 12; five octaves pass over notes that lie two octaves apart."""
    voices = {
        **dict.fromkeys(VOICES, (HOLD,) * 12),
        "P1": (Note(0, 40), *(HOLD,) * 3, Note(0, 52, slide=4), *(HOLD,) * 7),
    }
    score = Score(voices, (Instrument("pulse"),), groove=(1,))
    data = midi.encode(score)
    heard = [frame for frame in play(data, 1) if frame]
    assert wheel_ranges(data, 1) == [12]
    assert [frame.begins for frame in heard] == [True, *[False] * 3, True, *[False] * 7]
    assert [round(frame.cents) for frame in heard[4:9]] == [-1200, -900, -600, -300, 0]
    voices["P1"] = (Note(0, 40), *(HOLD,) * 3, Note(0, 100, slide=6), *(HOLD,) * 7)
    data = midi.encode(Score(voices, (Instrument("pulse"),), groove=(1,)))
    heard = [frame for frame in play(data, 1) if frame]
    assert wheel_ranges(data, 1) == [20]
    assert [frame.key for frame in heard[4:11]] == [52, 52, 76, 76, 100, 100, 100]
    assert [round(100 * frame.key + frame.cents) for frame in heard[4:11]] == [4000 + 1000 * step for step in range(7)]


def test_a_loop_begins_with_its_own_bend() -> None:
    """Where the loop starts the wheel is set anew: a player that jumps there keeps the bend of the loop's end."""
    voices = {
        **dict.fromkeys(VOICES, (HOLD,) * 8),
        "P1": (Note(0, 60), *(HOLD,) * 3, Note(0, 62), HOLD, Note(0, 64, slide=9), HOLD),
    }
    score = Score(voices, (Instrument("pulse"),), groove=(1,), loop=(4, 8))
    wheels = [(tick // 120, m.pitch) for tick, m in messages(midi.encode(score), 1) if m.type == "pitchwheel"]
    assert (4, 8191) not in wheels
    assert [frame for frame, _ in wheels] == [4, 6, 7]


def test_voice_tracks_hold_no_text() -> None:
    """What notes cannot say stands in the first track; names and notes are all that NES-MDB's tools find in the others."""
    data = midi.encode(piece())
    kinds = {message.type for track in range(1, 5) for _, message in messages(data, track)}
    assert kinds <= {"track_name", "program_change", "control_change", "note_on", "note_off", "end_of_track"}
    texts = [(tick // 20, message.text) for tick, message in messages(data, 0) if message.type == "text"]
    assert [frame for frame, text in texts if text.startswith('["')] == [0, 96]
    assert (0, '"title": "H\\u00f6hle",') in texts


def test_tracks_and_events() -> None:
    """The pulse's track is named, has its program, duty, notes and volumes; volume 0 ends a note."""
    events = [(tick // 20, message) for tick, message in messages(midi.encode(piece()), 1)]
    assert [(frame, *re.findall(r"name='p1'|program=\d+|control=\d+ value=\d+|note_o[nf]+|velocity=\d+", str(message)))
            for frame, message in events] == [
        (0, "name='p1'"),
        (0, "program=80"),
        (0, "control=12 value=2"),
        (0, "note_on", "velocity=15"),
        (2, "control=11 value=12"),
        (3, "control=11 value=8"),
        (24, "note_off", "velocity=0"),
        (24, "control=12 value=1"),
        (24, "note_on", "velocity=9"),
        (25, "note_off", "velocity=0"),
        (26, "note_on", "velocity=5"),
        (27, "note_off", "velocity=0"),
        (192,),
    ]  # fmt: skip


def test_noise_notes_are_nesmdbs() -> None:
    """Period index 15, the lowest, is note 1; index 0 is note 16; the mode is control 12."""
    events = [message for _, message in messages(midi.encode(piece()), 4)]
    assert [message.note for message in events if message.type == "note_on"] == [1, 16]
    assert [message.value for message in events if message.type == "control_change" and message.control == 12] == [1]


@pytest.mark.parametrize(
    ("groove", "ticks", "frames_per_beat"),
    [((6,), 20, 24), ((6, 7), 18, 26), ((7, 6, 6), Fraction(480 // 76 * 3), Fraction(76, 3)), ((1,), 120, 4)],
)
def test_the_tempo_is_the_musics(
    groove: tuple[int, ...], ticks: int, frames_per_beat: Fraction, tmp_path: Path
) -> None:
    """Tempo and ticks follow from groove and beat, and the file lasts as long as the score."""
    score = piece(groove=groove)
    assert midi.frame_clock(score) == (ticks, frames_per_beat)
    info = described(midi.encode(score), tmp_path)
    assert info.tempo_bpm == pytest.approx(score.tempo_bpm, rel=1e-5)
    assert info.seconds == pytest.approx(score.n_frames / 60, rel=1e-5)


def test_a_groove_without_a_simple_beat_keeps_time(tmp_path: Path) -> None:
    """With a groove of hundreds of numbers, and beats longer than MIDI's slowest tempo, times stay exact in frames."""
    generator = random.Random(5)
    long_groove = tuple(generator.randrange(1, 65) for _ in range(997))
    for score in (piece(groove=long_groove), piece(groove=(64,), beat_rows=256, bar_rows=256)):
        ticks, beat = midi.frame_clock(score)
        assert beat.denominator == 1
        assert messages(midi.encode(score), 1)[-1][0] == score.n_frames * ticks
        assert described(midi.encode(score), tmp_path).seconds == pytest.approx(score.n_frames / 60, rel=3e-5)


@pytest.mark.parametrize(
    ("bar_rows", "beat_rows", "signature"),
    [
        (16, 4, (4, 4)),
        (12, 4, (3, 4)),
        (14, 4, (7, 8)),
        (24, 4, (6, 4)),
        (4, 3, (1, 4)),
        (256, 1, (64, 1)),
        (1, 256, (1, 1024)),
    ],
)
def test_time_signature(bar_rows: int, beat_rows: int, signature: tuple[int, int]) -> None:
    """The time signature tells rows a bar and a beat; what MIDI cannot say is rounded to beats."""
    events = messages(midi.encode(piece(bar_rows=bar_rows, beat_rows=beat_rows)), 0)
    found = [(message.numerator, message.denominator) for _, message in events if message.type == "time_signature"]
    assert found == [signature, (1, 1)]


def test_loop_marks(tmp_path: Path) -> None:
    """Markers stand at the loop's first frame and end, control 111 at its start; our reader finds them."""
    data = midi.encode(piece())
    events = [(tick // 20, message) for tick, message in messages(data, 0)]
    assert [(frame, message.text) for frame, message in events if message.type == "marker"] == [
        (96, "loopStart"),
        (192, "loopEnd"),
    ]
    assert [(frame, message.control) for frame, message in events if message.type == "control_change"] == [(96, 111)]
    assert described(data, tmp_path).loop_seconds == (1.6, 3.2)


def test_piece_that_ends_has_no_marks(tmp_path: Path) -> None:
    """Without a loop there is neither marker nor control 111."""
    data = midi.encode(piece(loop=None))
    assert not any(message.type in {"marker", "control_change"} for _, message in messages(data, 0))
    assert described(data, tmp_path).loop_seconds is None


def test_description(tmp_path: Path) -> None:
    """Title, tracks, notes and their range are told."""
    info = described(midi.encode(piece()), tmp_path)
    assert info.title == "Höhle"
    assert info.tracks == (
        midi.MidiTrack("p1", 3, 60, 64),
        midi.MidiTrack("tr", 1, 36, 36),
        midi.MidiTrack("no", 2, 1, 16),
    )


def test_pretty_midi_reads_the_piece() -> None:
    """Another library finds our four named tracks' notes at the right seconds, and the end where NES-MDB puts it."""
    pretty_midi = pytest.importorskip("pretty_midi")
    score = piece(groove=(6, 7))
    file = pretty_midi.PrettyMIDI(io.BytesIO(midi.encode(score)))
    starts = {instrument.name: [note.start for note in instrument.notes] for instrument in file.instruments}
    assert set(starts) == {"p1", "tr", "no"}
    assert starts["p1"] == pytest.approx([0, 26 / 60, 28 / 60], abs=1e-5)
    assert [round(change.time * 60) for change in file.time_signature_changes] == [0, score.n_frames]
    assert {change.number for instrument in file.instruments for change in instrument.control_changes} <= {11, 12}


def test_general_midi_can_be_heard() -> None:
    """For common players volumes reach 120 and noise lies on percussion keys."""
    data = midi.encode(piece(), general_midi=True)
    velocities = [message.velocity for _, message in messages(data, 1) if message.type == "note_on"]
    assert velocities == [120, 72, 40]
    assert [message.note for _, message in messages(data, 4) if message.type == "note_on"] == [36, 42]


def test_same_bytes_every_run() -> None:
    """Encoding twice gives the same bytes."""
    assert midi.encode(piece()) == midi.encode(piece())


# Reading


def file_of(track: bytes, division: bytes = b"\x01\xe0") -> bytes:
    """Return a file of one track."""
    return b"MThd\0\0\0\x06\0\0\0\x01" + division + b"MTrk" + len(track).to_bytes(4, "big") + track


END = b"\0\xff\x2f\0"


def test_running_status_and_old_loops(tmp_path: Path) -> None:
    """A track with running status, note-ons of velocity 0 and control 111 only is understood."""
    track = b"\0\x90\x3c\x40" + b"\x83\x60\x3c\0" + b"\0\xb0\x6f\0" + b"\0\x90\x40\x40" + b"\x83\x60\x40\0" + END
    info = described(file_of(track), tmp_path)
    assert info.tracks == (midi.MidiTrack("", 2, 60, 64),)
    assert info.loop_seconds == (0.5, 1.0)


def test_smpte_time(tmp_path: Path) -> None:
    """A file that counts in frames of 25 a second with 40 ticks lasts its ticks over 1000 seconds."""
    assert described(file_of(b"\x87\x68\x90\x3c\x40" + END, b"\xe7\x28"), tmp_path).seconds == 1.0


def test_tempo_changes_count(tmp_path: Path) -> None:
    """A tempo change in the middle counts from there on."""
    tempo = b"\x83\x60\xff\x51\x03\x0f\x42\x40"  # after one beat, a million microseconds a beat
    info = described(file_of(tempo + b"\x83\x60\xff\x2f\0"), tmp_path)
    assert info.seconds == 1.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin with MThd"),
        (b"RIFF" * 10, "does not begin with MThd"),
        (b"MThd\0\0\0\x06\0\x02\0\x01\x01\xe0", "must be of type 0 or 1, not 2"),
        (b"MThd\0\0\0\x06\0\0\0\0\x01\xe0", "must have between 1 and 256 tracks, not 0"),
        (b"MThd\0\0\0\x06\0\0\xff\xff\x01\xe0", "must have between 1 and 256 tracks, not 65535"),
        (b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0", "cut off in track 0 of 1"),
        (b"MThd\xff\xff\xff\xff\0\0\0\x01\x01\xe0", "cut off in track 0 of 1"),
        (file_of(END, b"\0\0"), "at least one tick a beat"),
        (file_of(b""), "lacks its end mark"),
        (file_of(b"\0\x90\x3c"), "breaks off in the midst of an event"),
        (file_of(b"\0\x3c\x3c" + END), "no event at byte"),
        (file_of(b"\0\x90\x3c\xff" + END), "data byte above 127"),
        (file_of(b"\xff\xff\xff\xff\xff\x7f\x90\x3c\x40" + END), "more than four bytes"),
        (file_of(b"\0\xff\x01\x8f\xff\xff\x7f"), "breaks off in the midst of an event"),
        (file_of(b"\xff\xff\xff\x7f\x90\x3c\x40" * 3 + END, b"\0\x01"), "must last at most 86400 seconds"),
        (file_of(b"\0\x90" + b"\x3c\x40\0" * 100_000), "breaks off in the midst of an event"),
    ],
    ids=range(16),
)
def test_broken_files(data: bytes, message: str, tmp_path: Path) -> None:
    """A file that is no MIDI, damaged, or would never end is a FormatError that names it."""
    with pytest.raises(FormatError, match=r"a\.mid: .*" + re.escape(message)):
        described(data, tmp_path)


def test_mutated_files_raise_only_our_errors(tmp_path: Path) -> None:
    """400 damaged files are described or raise a NesassetError, nothing else."""
    generator = random.Random(3)
    data = midi.encode(piece())
    refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(generator.choice((1, 2, 10))):
            damaged[generator.randrange(len(damaged))] = generator.choice((0, 127, 128, 255, generator.randrange(256)))
        try:
            described(bytes(damaged[: generator.choice((len(data), generator.randrange(len(data))))]), tmp_path)
        except NesassetError:
            refused += 1
    assert refused > 200
