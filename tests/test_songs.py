"""Grid, notes and songs on material whose rows are known: what was put in must come out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.grid import find_bar_rows, find_grid
from export.notes import find_notes
from export.roundtrip import score_to_frames
from export.songs import DATA_FRAME_RATE_HZ, to_song
from nesasset.articulation import articulate
from nesasset.score import HOLD, REST, Instrument, Note, Score
from nesasset.units import VOICES
from nesasset.vocabulary import HOLD_ID, ONSET_ID, REST_ID, pitch_to_id

PLUCK, TRIANGLE, HAT = 0, 1, 2
INSTRUMENTS = (
    Instrument("pulse", (12, 9, 5, 4), duty=2),
    Instrument("triangle"),
    Instrument("noise", (9, 4, 0), period=3),
)


def starts_of(groove, n_rows):
    lengths = np.resize(np.array(groove), n_rows)
    return np.concatenate([[0], np.cumsum(lengths)])


def frames_of(score, lead=0):
    played = score_to_frames(score, score.n_frames)
    return np.concatenate([np.zeros((lead, 4, 3), dtype=np.uint8), played])


@st.composite
def known_scores(draw, n_rows=48):
    """Draw a score with a drum on every row, so that its grid is beyond doubt, and anything above it."""
    cell = st.sampled_from(["hold", "rest", "note"])
    voices = {"NO": (Note(HAT),) * n_rows}
    for voice, instrument, low, high in (("P1", PLUCK, 50, 90), ("P2", PLUCK, 45, 80), ("TR", TRIANGLE, 30, 60)):
        cells = []
        for kind in draw(st.lists(cell, min_size=n_rows, max_size=n_rows)):
            pitch = draw(st.integers(low, high)) if kind == "note" else 0
            cells.append({"hold": HOLD, "rest": REST, "note": Note(instrument, pitch)}[kind])
        voices[voice] = tuple(cells)
    groove = draw(st.sampled_from([(3,), (4,), (5,), (6,), (7,), (8,), (9,), (6, 7), (5, 4)]))
    return articulate(Score(voices, INSTRUMENTS, groove))


def expected_cells(score):
    """Return the score's cells as ids, a rest of a voice that is silent anyway left out."""
    out = np.full((score.n_rows, 4), HOLD_ID)
    for column, voice in enumerate(VOICES):
        sounds = False
        for row, cell in enumerate(score.voices[voice]):
            if isinstance(cell, Note):
                out[row, column] = ONSET_ID if cell.pitch is None else pitch_to_id(cell.pitch)
                sounds = True
            elif cell is REST and sounds:
                out[row, column] = REST_ID
                sounds = False
    return out


@settings(max_examples=15, deadline=None)
@given(known_scores(), st.integers(0, 40))
def test_known_rows_are_recovered(score, lead):
    """A song made from known rows comes back with those rows, whatever its speed and the silence in front."""
    song = to_song(frames_of(score, lead), "known", "train", None)
    assert not isinstance(song, str)
    assert song.boundaries[: score.n_rows].tolist() == (lead + starts_of(score.groove, score.n_rows)[:-1]).tolist()
    assert song.row_frames == sum(score.groove) / len(score.groove)


@settings(max_examples=15, deadline=None)
@given(known_scores())
def test_known_cells_are_recovered(score):
    """Every note and rest of the melodic voices, and every drum's onset, comes back on its row with its pitch."""
    song = to_song(frames_of(score), "known", "train", None)
    assert not isinstance(song, str)
    found, expected = song.cells[: score.n_rows], expected_cells(score)
    assert (found[:, 3] >= ONSET_ID).all()
    np.testing.assert_array_equal(found[:, :3], expected[:, :3])


@settings(max_examples=10, deadline=None)
@given(known_scores())
def test_known_curves_are_recovered(score):
    """A note's volumes and duty come back frame by frame."""
    song = to_song(frames_of(score), "known", "train", None)
    assert not isinstance(song, str)
    for row, timbre, _, span, _ in song.notes["P1"].tolist():
        note = score.voices["P1"][row]
        volume = score.instruments[note.instrument].volume
        index = song.notes["P1"][:, 0].tolist().index(row)
        length = min(span, 3)  # behind that a rest may have come
        assert song.envelopes["P1"][index, :length].tolist() == list(volume[:length])
        assert timbre == 2


@pytest.mark.parametrize(("frames", "row"), [(10, 5), (12, 6), (14, 7), (16, 8)])
def test_long_rows_are_halved(frames, row):
    """Rows of ten frames or more are cut in two, so that a row is about a sixteenth."""
    onsets = np.arange(0, 40 * frames, frames, dtype=np.int32)
    grid = find_grid([onsets, onsets, onsets[::2], onsets[::4]], 40 * frames)
    assert grid is not None
    assert grid.row_frames == row
    assert set(onsets.tolist()) <= set(grid.boundaries.tolist())


def test_a_voice_that_lags_is_found():
    """A voice whose notes all come two frames late is a delay of the voice, not another grid."""
    onsets = np.arange(0, 480, 6, dtype=np.int32)
    grid = find_grid([onsets, onsets[::2] + 2, onsets, onsets[::2]], 490)
    assert grid is not None
    assert grid.delays == (0, 2, 0, 0)
    assert grid.boundaries[:80].tolist() == onsets.tolist()


def test_too_few_onsets_have_no_grid():
    """Three notes do not say what a row is."""
    few, none = np.array([0, 6, 12], dtype=np.int32), np.zeros(0, dtype=np.int32)
    assert find_grid([few, none, none, none], 60) is None


@pytest.mark.parametrize("bar", [12, 16])
def test_bar_length_is_where_the_song_repeats(bar):
    """The bar is the length at whose multiples the cells come back."""
    rng = np.random.default_rng(bar)
    cells = np.where(rng.random((bar, 4)) < 0.5, rng.integers(2, 60, (bar, 4)), 0)
    assert find_bar_rows(np.tile(cells, (8, 1)).astype(np.int32)) == bar


def voice(notes, volumes, timbre=0):
    rows = zip(notes, volumes, [timbre] * len(notes), strict=True)
    return np.array([(note if volume else 0, volume, kind) for note, volume, kind in rows], dtype=np.uint8)


def test_a_jump_of_the_volume_is_a_new_note():
    """A held pitch whose volume rises by three is struck again."""
    found = find_notes(voice([60] * 12, [10, 9, 8, 7, 6, 5, 8, 7, 6, 5, 4, 3]), "P1")
    assert found.start.tolist() == [0, 6]


def test_a_small_rise_of_the_volume_is_none():
    """A swell by two is part of the envelope."""
    assert find_notes(voice([60] * 8, [5, 6, 8, 10, 10, 12, 10, 9]), "P1").start.tolist() == [0]


def test_an_arpeggio_is_one_note():
    """Changes of pitch every two frames are an ornament of one note."""
    found = find_notes(voice([60, 60, 64, 64, 67, 67, 60, 60, 64, 64], [9] * 10), "P1")
    assert found.start.tolist() == [0]
    assert found.pitch.tolist() == [60]


def test_the_triangle_is_struck_again_after_a_gap_only():
    """The triangle has no volume: one silent frame sets two notes apart, nothing else does."""
    assert find_notes(voice([40] * 9, [15, 15, 15, 15, 0, 15, 15, 15, 15]), "TR").start.tolist() == [0, 5]
    assert find_notes(voice([40] * 9, [15] * 9), "TR").start.tolist() == [0]


def test_off_is_the_frame_after_the_last_sounding_one():
    """A note that dies before the next one begins ends where it falls silent."""
    found = find_notes(voice([60] * 6 + [62] * 4, [9, 5, 2, 0, 0, 0, 9, 5, 2, 1]), "P1")
    assert found.off.tolist() == [3, 10]
    assert found.end.tolist() == [6, 10]


def looping_frames(n_rows=64):
    rng = np.random.default_rng(3)
    melody = tuple(Note(PLUCK, int(pitch)) for pitch in np.resize(rng.integers(60, 80, 16), n_rows))
    rest = (REST,) * n_rows
    score = Score({"P1": melody, "P2": rest, "TR": rest, "NO": (Note(HAT),) * n_rows}, INSTRUMENTS, (6,))
    return frames_of(score)


def metadata(total_s, loop_s, title="A", file_title="A"):
    return {
        "theme": "water",
        "looping": "True",
        "meta_total": str(total_s),
        "meta_loop": str(loop_s),
        "title": title,
        "file_title": file_title,
    }


def test_a_file_that_loops_as_a_whole_loops_from_its_first_row():
    """Equal total and loop length mean that the file is the loop."""
    frames = looping_frames()
    seconds = int(np.ceil(len(frames) / DATA_FRAME_RATE_HZ))
    song = to_song(frames, "loop", "train", metadata(seconds, seconds))
    assert not isinstance(song, str)
    assert song.loop == (0, 64)
    assert song.label == "water"


def test_an_intro_is_left_out_of_the_loop():
    """A shorter loop ends with the file and begins on a bar line."""
    frames = looping_frames()
    seconds = int(np.ceil(len(frames) / DATA_FRAME_RATE_HZ))
    song = to_song(frames, "loop", "train", metadata(seconds, np.ceil(32 * 6 / DATA_FRAME_RATE_HZ)))
    assert not isinstance(song, str)
    assert song.loop == (32, 64)


@pytest.mark.parametrize("late", [-2, 1, 3])
def test_a_loop_ends_on_a_bar_line(late):
    """A file that is some rows too long or too short loops on the bar lines counted from its first row, its last notes held."""
    frames = looping_frames(64 + late)
    seconds = int(np.ceil(len(frames) / DATA_FRAME_RATE_HZ))
    song = to_song(frames, "loop", "train", metadata(seconds, np.ceil(32 * 6 / DATA_FRAME_RATE_HZ)))
    assert not isinstance(song, str)
    assert song.loop == (32, 64)
    assert len(song.cells) == len(song.note_delays) == len(song.boundaries) - 1 == 64
    assert not song.cells[64 + late :].any()
    assert set(np.diff(song.boundaries)) == {6}


def test_a_loop_on_no_bar_line_is_none():
    """Half a bar too much is no loop in bars of sixteen rows."""
    frames = looping_frames(64 + 7)
    seconds = int(np.ceil(len(frames) / DATA_FRAME_RATE_HZ))
    song = to_song(frames, "loop", "train", metadata(seconds, np.ceil(32 * 6 / DATA_FRAME_RATE_HZ)))
    assert not isinstance(song, str)
    assert song.loop is None or song.loop[1] % song.bar_rows == 0


def test_metadata_of_another_track_is_not_trusted():
    """A title that does not agree with the file's means that the row belongs to another track."""
    frames = looping_frames()
    seconds = int(np.ceil(len(frames) / DATA_FRAME_RATE_HZ))
    song = to_song(frames, "loop", "train", metadata(seconds, seconds, file_title="B"))
    assert not isinstance(song, str)
    assert song.loop is None


def test_silence_has_no_rows():
    """A song without a note says so."""
    assert to_song(np.zeros((100, 4, 3), dtype=np.uint8), "x", "train", None) == "silent"


def test_a_short_song_is_refused():
    """Fewer than 24 rows are too few to learn from."""
    assert to_song(looping_frames(12), "x", "train", None) == "fewer than 24 rows"
