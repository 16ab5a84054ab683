"""NES-MDB's MIDI files, on files made here in the same form."""

from __future__ import annotations

import mido
import numpy as np
import pytest

from nesasset.errors import FormatError
from nesasset.formats.nesmdb_midi import FRAME_SAMPLES, frame_phase, load, to_frames, without_glitches


def write(path, voices, n_samples=44_100):
    """Write voices, each a list of (sample, "on" note volume | "off" note | "volume" v | "timbre" t)."""
    midi = mido.MidiFile(ticks_per_beat=22_050)
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("set_tempo", tempo=500_000))
    head.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
    head.append(mido.MetaMessage("time_signature", numerator=1, denominator=1, time=n_samples))
    midi.tracks.append(head)
    for channel, name in enumerate(("p1", "p2", "tr", "no")):
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("track_name", name=name))
        now = 0
        for sample, kind, *values in voices.get(name, []):
            wait, now = sample - now, sample
            if kind == "on":
                track.append(mido.Message("note_on", channel=channel, note=values[0], velocity=values[1], time=wait))
            elif kind == "off":
                track.append(mido.Message("note_on", channel=channel, note=values[0], velocity=0, time=wait))
            else:
                control = {"volume": 11, "timbre": 12}[kind]
                track.append(mido.Message("control_change", channel=channel, control=control, value=values[0], time=wait))
        midi.tracks.append(track)
    midi.save(str(path))
    return path


def test_every_change_is_read_at_its_sample(tmp_path):
    """Notes, volumes and duties come back at their exact samples."""
    events = [(0, "timbre", 2), (12, "on", 60, 9), (746, "volume", 7), (1480, "off", 60)]
    song = load(write(tmp_path / "song.mid", {"p1": events}))
    assert song.n_samples == 44_100
    assert song.states["P1"].tolist() == [[0, 0, 0, 2], [12, 60, 9, 2], [746, 60, 7, 2], [1480, 0, 0, 2]]
    assert len(song.states["P2"]) == 0


def test_triangle_is_full_or_silent(tmp_path):
    """The triangle's velocity means nothing: it sounds or it does not."""
    song = load(write(tmp_path / "song.mid", {"tr": [(5, "on", 45, 1), (3000, "off", 45)]}))
    assert song.states["TR"][:, 2].tolist() == [15, 0]


def test_frames_follow_the_console_clock(tmp_path):
    """Writes on the 733.79-sample clock fall into consecutive frames, however long the song."""
    n = 3000
    events = []
    for frame in range(0, n, 2):
        at = round(100 + frame * FRAME_SAMPLES)
        events += [(at, "on", 60 + frame % 12, 8), (round(at + FRAME_SAMPLES), "off", 60 + frame % 12)]
    song = load(write(tmp_path / "song.mid", {"p1": events}, n_samples=round(n * FRAME_SAMPLES) + 300))
    assert frame_phase(song) == pytest.approx(100, abs=2)
    frames = to_frames(song)[:n, 0, 0]
    expected = np.where(np.arange(n) % 2 == 0, 60 + np.arange(n) % 12, 0)
    assert (frames == expected).all()


def test_glitches_are_dropped():
    """A note of less than half a frame vanishes, the notes round it stay."""
    states = np.array([[0, 60, 9, 0], [1000, 72, 9, 0], [1100, 60, 9, 0], [5000, 0, 0, 0]], dtype=np.int32)
    assert without_glitches(states)[:, 1].tolist() == [60, 60, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", r"song\.mid: the file is no MIDI file"),
        (lambda data: data[: len(data) // 2], r"song\.mid: the MIDI file is cut off in track 1 of 5"),
        (lambda data: data.replace(b"p1", b"zz"), "tracks p1, p2, tr and no"),
        (lambda data: data.replace(bytes([0x56, 0x22]), bytes([0x01, 0xE0]), 1), "22050 ticks"),
    ],
)
def test_broken_and_foreign_files(tmp_path, change, message):
    """What is no NES-MDB file is refused in one sentence."""
    path = write(tmp_path / "song.mid", {"p1": [(0, "on", 60, 9), (900, "off", 60)]})
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FormatError, match=message):
        load(path)


def test_a_second_reader_finds_the_same(tmp_path):
    """Folding mido's messages one by one gives the states that are read, whatever follows what at whatever sample."""
    rng = np.random.default_rng(1)
    voices = {}
    for name in ("p1", "p2", "tr", "no"):
        samples = np.cumsum(rng.integers(0, 900, 60))
        kinds = [("on", 1 + int(rng.integers(16)), int(rng.integers(1, 16))) for _ in samples]
        voices[name] = [
            (int(sample), *kind) if rng.random() < 0.5 else (int(sample), str(rng.choice(["volume", "timbre"])), kind[2])
            for sample, kind in zip(samples, kinds, strict=True)
        ]
        voices[name] += [(int(samples[-1]) + 5, "off", note) for note in range(1, 17)]
    path = write(tmp_path / "song.mid", voices)
    found = load(path).states
    for track, (voice, states) in zip(mido.MidiFile(path).tracks[1:], found.items(), strict=True):
        now, note, volume, timbre, expected = 0, 0, 0, 0, {}
        for message in track:
            now += message.time
            if message.type == "control_change":
                volume, timbre = (message.value, timbre) if message.control == 11 else (volume, message.value)
            elif message.type == "note_on" and message.velocity:
                note, volume = message.note, 15 if voice == "TR" else message.velocity
            elif message.type == "note_on" and message.note == note:
                note = 0
            else:
                continue
            expected[now] = [note, volume if note else 0, timbre]
        assert {int(sample): [int(value) for value in state] for sample, *state in states} == expected


def test_changes_after_the_longest_song_are_not_looked_at(tmp_path):
    """A file may count to thousands of years; what lies behind its own end is left out."""
    path = write(tmp_path / "song.mid", {"p1": [(0, "on", 60, 9), *((n * 200_000_000, "volume", 3) for n in range(1, 16))]})
    assert load(path).states["P1"].tolist() == [[0, 60, 9, 0]]


def test_mutations_raise_only_our_error(tmp_path):
    """Whatever a byte says, the reader returns or raises FormatError."""
    data = write(tmp_path / "song.mid", {"p1": [(0, "on", 60, 9), (900, "off", 60)]}).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "mutated.mid"
    for _ in range(300):
        mutated = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            mutated[int(rng.integers(len(mutated)))] = int(rng.integers(256))
        path.write_bytes(bytes(mutated))
        try:
            load(path)
        except FormatError:
            continue
