"""NES-MDB's songs as register logs: what the registers say at each sample is what the MIDI file says."""

from __future__ import annotations

import tarfile
from pathlib import Path

import mido
import numpy as np
import pytest

from nesasset.apu.chip import run
from nesasset.apu.state import period_pitches
from nesasset.apu.tables import NOISE_PERIOD_CYCLES
from nesasset.apu.writes import Writes
from nesasset.errors import FormatError
from nesasset.formats import nesmdb_log, nesmdb_midi, vgm
from nesasset.units import CPU_CLOCK_HZ, VOICES

ARCHIVE = Path(__file__).parents[2] / "shared/data/nesmdb_midi_train_valid.tar.xz"
FRAME = nesmdb_midi.FRAME_SAMPLES
CONTROLS = {"volume": 11, "timbre": 12}


def write_midi(path, voices, n_samples=44_100):
    """Write a file in NES-MDB's form; voices hold (sample, message, values of the message)."""
    midi = mido.MidiFile(ticks_per_beat=22_050)
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
    head.append(mido.MetaMessage("time_signature", numerator=1, denominator=1, time=n_samples))
    midi.tracks.append(head)
    for name in ("p1", "p2", "tr", "no"):
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("track_name", name=name))
        now = 0
        for sample, kind, *values in voices.get(name, []):
            wait, now = sample - now, sample
            if kind in CONTROLS:
                track.append(mido.Message("control_change", control=CONTROLS[kind], value=values[0], time=wait))
            else:
                velocity = values[1] if kind == "on" else 0
                track.append(mido.Message("note_on", note=values[0], velocity=velocity, time=wait))
        midi.tracks.append(track)
    midi.save(str(path))
    return nesmdb_midi.load(path)


def registers_at(log):
    """Return for each sample at which something is written what the registers hold after it.

    Written for this test alone: an interpreter of registers that knows nothing of the chip's timing.
    """
    held = dict.fromkeys(range(0x4000, 0x4018), 0)
    found = {}
    samples = vgm.cycle_samples(log.cycles, CPU_CLOCK_HZ).tolist()
    for sample, address, value in zip(samples, log.addresses.tolist(), log.values.tolist(), strict=True):
        held[address] = value
        found[sample] = dict(held)
    return found


def sounds(held, voice):
    """Return (note, volume, timbre) that registers describe, as NES-MDB counts them; a silent voice is (0, 0, 0)."""
    if voice == "NO":
        volume = held[0x400C] & 15
        return (16 - (held[0x400E] & 15), volume, held[0x400E] >> 7) if volume else (0, 0, 0)
    first = {"P1": 0x4000, "P2": 0x4004, "TR": 0x4008}[voice]
    period = held[first + 2] | (held[first + 3] & 7) << 8
    hz = 1_789_773 / ((32 if voice == "TR" else 16) * (period + 1))
    note = round(69 + 12 * np.log2(hz / 440))
    if voice == "TR":
        return (note, 15, 0) if held[0x4008] & 0x7F else (0, 0, 0)
    volume = held[first] & 15
    return (note, volume, held[first] >> 6) if volume else (0, 0, 0)


def told(states, voice):
    """Return a song's states by sample in the form of `sounds`."""
    return {
        sample: (note, volume, 0 if voice == "TR" else timbre) if note and volume else (0, 0, 0)
        for sample, note, volume, timbre in states.tolist()
    }


def changes(by_sample):
    """Return only the samples at which something changes."""
    before, found = (0, 0, 0), {}
    for sample, state in by_sample.items():
        if state != before:
            found[sample] = before = state
    return found


SONG = {
    "p1": [(0, "timbre", 2), (12, "on", 60, 9), (746, "volume", 7), (1480, "on", 64, 8), (2214, "off", 64)],
    "p2": [(13, "on", 33, 15), (14, "on", 108, 1), (800, "volume", 0), (1600, "volume", 3), (1700, "timbre", 3)],
    "tr": [(14, "on", 45, 1), (747, "on", 21, 1), (3000, "off", 21), (5000, "on", 108, 1)],
    "no": [(12, "on", 16, 12), (400, "volume", 4), (1480, "timbre", 1), (1481, "on", 1, 15), (9000, "off", 1)],
}


@pytest.fixture
def song(tmp_path):
    return write_midi(tmp_path / "song.mid", SONG)


@pytest.mark.parametrize("voice", VOICES)
def test_registers_say_what_the_song_says(song, voice):
    """Note, volume and duty or mode change at exactly the samples of the MIDI file, to its values."""
    said = {sample: sounds(held, voice) for sample, held in registers_at(nesmdb_log.to_log(song)).items()}
    assert changes(said) == changes(told(song.states[voice], voice))


@pytest.mark.parametrize("period", range(16))
def test_every_noise_note_is_its_period(tmp_path, period):
    """Note 16 is period 0, the highest hiss, and note 1 is period 15."""
    log = nesmdb_log.to_log(write_midi(tmp_path / "song.mid", {"no": [(5, "on", 16 - period, 9)]}))
    assert log.values[log.addresses == 0x400E].tolist()[-1] == period


def test_the_high_byte_is_written_only_when_it_changes(tmp_path):
    """A glide within one high byte restarts the pulse once, at its first note."""
    events = [(100 * number, "on", note, 9) for number, note in enumerate((69, 70, 71, 72, 71, 70))]
    log = nesmdb_log.to_log(write_midi(tmp_path / "song.mid", {"p1": events}))
    high = log.values[log.addresses == 0x4003]
    assert len(high) == len(np.unique(high))
    assert (log.addresses == 0x4002).sum() == 7


def test_sweeps_are_off_and_lengths_are_halted(song):
    """The registers that no song touches are set as the driver sets them."""
    held = registers_at(nesmdb_log.to_log(song))[0]
    assert [held[address] for address in (0x4015, 0x4001, 0x4005, 0x400F)] == [0x0F, 0x08, 0x08, 0x08]
    assert held[0x4000] & held[0x4004] & held[0x400C] & 0x30 == 0x30


def test_frames_follow_the_console(tmp_path):
    """The writes of one run of a music routine, early or late by a few samples, are one frame: none shared, none empty."""
    rng = np.random.default_rng(5)
    for offset in (0, 3, 367, 730, -2):
        at = [max(0, round(offset + number * FRAME + rng.integers(0, 4))) for number in range(300)]
        events = [(sample, "on", 60 + number % 12, 9) for number, sample in enumerate(at)]
        log = nesmdb_log.to_log(write_midi(tmp_path / "song.mid", {"p1": events}, n_samples=round(301 * FRAME)))
        frames = log.frames[log.addresses == 0x4002][1:]  # without the one that sets up
        assert (np.diff(frames) == 1).all()
        assert log.frame_rate_hz == pytest.approx(60.0988)


def test_the_length_is_the_song_s(song):
    """A song of a second is a second and at most one frame more."""
    log = nesmdb_log.to_log(song)
    assert 0 <= log.n_frames - 44_100 / FRAME < 1
    assert log.loop is None


def test_a_silent_song_is_a_silent_log(tmp_path):
    """A song without a note sets the chip up and nothing more."""
    log = nesmdb_log.to_log(write_midi(tmp_path / "song.mid", {}))
    assert log.frames.tolist() == [0] * 16
    assert {voice: sounds(registers_at(log)[0], voice) for voice in VOICES} == dict.fromkeys(VOICES, (0, 0, 0))


@pytest.mark.parametrize(
    ("voices", "message"),
    [
        ({"p1": [(7, "on", 109, 9)]}, "P1 at sample 7: the note must be between 33 and 108, not 109"),
        ({"tr": [(7, "on", 20, 9)]}, "TR at sample 7: the note must be between 21 and 108, not 20"),
        ({"no": [(7, "on", 17, 9)]}, "NO at sample 7: the note must be between 1 and 16, not 17"),
        ({"p2": [(7, "on", 60, 127)]}, "P2 at sample 7: the volume must be between 0 and 15, not 127"),
        ({"p2": [(7, "timbre", 4)]}, "P2 at sample 7: the timbre must be between 0 and 3, not 4"),
        ({"no": [(9, "timbre", 2)]}, "NO at sample 9: the timbre must be between 0 and 1, not 2"),
        ({"p1": [(44_101, "on", 60, 9)]}, "P1 at sample 44101: the sample must be between 0 and 44100, not 44101"),
    ],
)
def test_what_the_chip_has_not_is_refused(tmp_path, voices, message):
    """A note, volume or timbre out of range is told with its voice and sample."""
    song = write_midi(tmp_path / "song.mid", voices)
    with pytest.raises(FormatError, match=message):
        nesmdb_log.to_log(song)


def chip_states(log, samples, voice):
    """Return what the chip plays in the last cycle of samples, in the form of `sounds`."""
    cycles = vgm.sample_cycles(np.array(samples, dtype=np.int64) + 1, CPU_CLOCK_HZ) - 1
    trace = run(Writes(log.cycles, log.addresses, log.values, (0, int(cycles[-1]) + 1)))
    channel = trace[voice]
    at = np.searchsorted(channel.starts, cycles, side="right") - 1
    volumes, timbres, periods = channel.amplitudes[at], channel.sequences[at], channel.periods[at].astype(np.int64)
    if voice == "NO":
        notes, timbres = 16 - np.searchsorted(NOISE_PERIOD_CYCLES, periods), np.minimum(timbres, 1)
    elif voice == "TR":
        notes, volumes, timbres = period_pitches(voice)[periods - 1], 15 * volumes, 0 * timbres
    else:
        notes = period_pitches(voice)[periods // 2 - 1]
    rows = zip(notes.tolist(), volumes.tolist(), timbres.tolist(), strict=True)
    return {sample: row if row[1] else (0, 0, 0) for sample, row in zip(samples, rows, strict=True)}


@pytest.mark.parametrize("voice", VOICES)
def test_the_chip_plays_the_song_at_its_samples(song, voice):
    """Played by the chip, each change is heard within its sample, the triangle's too."""
    states = told(song.states[voice], voice)
    assert chip_states(nesmdb_log.to_log(song), list(states), voice) == states


@pytest.mark.skipif(not ARCHIVE.exists(), reason="NES-MDB is not here")
def test_songs_of_the_data_are_played_at_their_samples(tmp_path):
    """Real songs: every onset, change and end of every voice is in the registers and in the chip at its sample."""
    n_songs, n_states = 0, 0
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            if not member.name.endswith(".mid") or member.size > 40_000:
                continue
            path = tmp_path / "song.mid"
            path.write_bytes(archive.extractfile(member).read())
            song = nesmdb_midi.load(path)
            log = nesmdb_log.to_log(song)
            registers = registers_at(log)
            for voice in VOICES:
                states = told(song.states[voice], voice)
                said = {sample: sounds(held, voice) for sample, held in registers.items()}
                assert changes(said) == changes(states), (member.name, voice)
                inside = [sample for sample in states if sample < song.n_samples]
                if inside:
                    assert chip_states(log, inside, voice) == {at: states[at] for at in inside}, (member.name, voice)
                n_states += len(states)
            n_songs += 1
            if n_songs == 12:
                break
    assert n_states > 3000
