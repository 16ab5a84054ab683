"""Each measure on a piece small enough to count by hand, and the report that puts them together."""

from __future__ import annotations

import numpy as np
import pieces
import pytest
from hypothesis import given, settings
from strategies import scores

from export.loop_report import BARS, examine, real_windows, summarise, table
from export.measures import (
    MEASURES,
    best_lag_similarity,
    cells_to_piece,
    consonance,
    empty_beat_rate,
    exact_bar_repeat_rate,
    fallen_silent,
    groove_consistency,
    is_degenerate,
    leap_rate,
    longest_held,
    longest_silence,
    measure,
    melodic_density,
    melody_key,
    noise_density,
    pitch_class_entropy,
    pulse_instruments,
    scale_consistency,
    score_to_piece,
    step_rate,
    stuck_voices,
)
from nesasset.compose.controls import Controls
from nesasset.errors import ControlError
from nesasset.score import HOLD, REST, Instrument, Note, Score
from nesasset.vocabulary import CONTROLS, ONSET_ID, REST_ID, pitch_to_id

P1, P2, TR, NO = range(4)


def piece(n_rows=16, *, loops=False, bar_rows=16, **voices):
    """Return a piece from pitches by voice and row: P1={0: 60}; None is a rest."""
    cells = np.zeros((n_rows, 4), dtype=np.int64)
    for name, events in voices.items():
        for row, pitch in events.items():
            column = "P1 P2 TR NO".split().index(name)
            cells[row, column] = REST_ID if pitch is None else ONSET_ID if name == "NO" else pitch_to_id(pitch)
    return cells_to_piece(cells, bar_rows, loops=loops)


def test_exact_bar_repeats():
    """Of four bars A B A A' the third alone repeats one exactly: one of the three that could."""
    bars = piece(64, P1={0: 60, 16: 62, 32: 60, 48: 60, 52: 64})
    assert exact_bar_repeat_rate(bars) == pytest.approx(1 / 3)


def test_one_bar_repeats_nothing():
    """A single bar has no rate."""
    assert exact_bar_repeat_rate(piece(16, P1={0: 60})) is None


def test_best_lag_similarity_counts_events_only():
    """At a lag of two bars 2 of 3 events agree; at one bar none does; holds do not count."""
    bars = piece(64, P1={0: 60, 16: 62, 32: 60, 48: 62, 52: 64})
    assert best_lag_similarity(bars) == pytest.approx(2 / 3)


def test_scale_consistency():
    """Seven notes of C major and one C sharp: seven of eight fit the best scale."""
    line = dict(enumerate([60, 62, 64, 65, 67, 69, 71, 61]))
    assert scale_consistency(piece(P1=line)) == pytest.approx(7 / 8)


def test_pitch_class_entropy():
    """Four pitch classes, each as often as the others, are two bits; octaves do not count."""
    line = dict(enumerate([60, 62, 64, 65, 72, 74, 76, 77]))
    assert pitch_class_entropy(piece(P1=line)) == pytest.approx(2.0)


def test_consonance_at_onsets_of_pulse_1():
    """Over a held C the onsets C, E, F sharp and A have three consonances; an onset after the bass's rest has no interval."""
    bars = piece(P1={0: 72, 2: 76, 4: 78, 6: 81, 12: 73}, TR={0: 48, 10: None})
    assert consonance(bars) == pytest.approx(3 / 4)


def test_consonance_is_counted_from_the_bass_upwards():
    """A fourth above the bass counts, and so does its inversion; a second and a seventh do not."""
    assert consonance(piece(P1={0: 65}, TR={0: 48})) == 1
    assert consonance(piece(P1={0: 50}, TR={0: 48})) == 0
    assert consonance(piece(P1={0: 58}, TR={0: 48})) == 0


def test_groove_consistency():
    """Two bars that differ in 3 of 16 rows in whether something starts."""
    bars = piece(32, P1={0: 60, 4: 62, 16: 65}, NO={16: 0, 18: 0, 20: 0, 22: 0, 24: 0})
    assert groove_consistency(bars) == pytest.approx(1 - 3 / 16)


def test_empty_beats():
    """A note held for two beats and rests for two: half of the beats are empty."""
    assert empty_beat_rate(piece(P1={0: 60, 8: None})) == pytest.approx(0.5)


def test_densities():
    """Onsets per row: melodic voices share theirs, the noise has its own."""
    bars = piece(P1={0: 60, 8: 62}, TR={0: 40}, NO={0: 0, 4: 0, 8: 0, 12: 0})
    assert melodic_density(bars) == pytest.approx(3 / 48)
    assert noise_density(bars) == pytest.approx(4 / 16)


def test_steps_and_leaps():
    """Of the moves 0, 2, 5, 13: one of three changes of pitch is a step, one of four moves is wider than an octave."""
    bars = piece(P1={0: 60, 1: 60, 2: 62, 3: 67, 4: 80})
    assert step_rate(bars) == pytest.approx(1 / 3)
    assert leap_rate(bars) == pytest.approx(1 / 4)


def test_instruments_of_one_name_count_once():
    """Two instruments that differ in their envelope only share a name and count as one."""
    instruments = (
        Instrument("pulse", (9,), name="lead"),
        Instrument("pulse", (9, 9, 0), name="lead"),
        Instrument("pulse", (5,), name="soft"),
        Instrument("triangle"),
    )
    rest = (REST,) * 4
    voices = {
        "P1": (Note(0, 60), Note(1, 60), HOLD, HOLD),
        "P2": (Note(2, 50), HOLD, HOLD, HOLD),
        "TR": rest,
        "NO": rest,
    }
    assert pulse_instruments(score_to_piece(Score(voices, instruments))) == 2


def test_few_notes_are_degenerate():
    """Seven notes are no loop, eight are one."""
    assert is_degenerate(piece(32, P1=dict.fromkeys(range(7), 60)))
    assert not is_degenerate(piece(32, P1=dict.fromkeys(range(8), 60)))


def test_a_note_held_for_eight_bars_is_stuck():
    """The bass holds one note for 128 rows while the melody moves: stuck; for 127 rows it is not."""
    melody = {row: 60 + row % 7 for row in range(0, 160, 2)}
    stuck = piece(160, P1=melody, TR={0: 40, 128: 41})
    assert stuck_voices(stuck) == ("TR",)
    assert is_degenerate(stuck)
    assert not is_degenerate(piece(160, P1=melody, TR={0: 40, 127: 41, 150: 42}))


def test_a_held_note_is_followed_over_the_seam():
    """In a loop a note that is held at the end goes on at the start."""
    notes = {16: 40, 40: 42}
    assert longest_held(piece(64, TR=notes), TR) == 24
    assert longest_held(piece(64, TR=notes, loops=True), TR) == 40


def test_silence_is_counted_once_a_voice_has_begun():
    """A voice that pauses for eight bars has fallen silent; one that never plays has not."""
    bars = piece(160, P1={0: 60, 4: None, 140: 62}, P2={})
    assert longest_silence(bars, P1) == 136
    assert fallen_silent(bars) == ("P1",)
    assert not is_degenerate(piece(160, P1={0: 60, 4: None, **dict.fromkeys(range(140, 150), 62)}))


def test_melodies_in_another_key_are_the_same_line():
    """A transposed melody has the same relative key and another absolute one; another rhythm differs in both."""
    one, other = piece(P1={0: 60, 4: 64, 8: 67}), piece(P1={0: 62, 4: 66, 8: 69})
    assert melody_key(one) == melody_key(other)
    assert melody_key(one, relative=False) != melody_key(other, relative=False)
    assert melody_key(one) != melody_key(piece(P1={0: 60, 5: 64, 8: 67}))


def test_silence_has_no_measures_but_rates_of_nothing():
    """A silent piece gives None where there is nothing to measure, and no error."""
    values = measure(piece(32))
    for name in ("consonance", "scale_consistency", "step_rate", "pulse_instruments"):
        assert values[name] is None
    assert values["empty_beat_rate"] == 1


@settings(max_examples=60, deadline=None)
@given(scores())
def test_any_score_can_be_measured(score):
    """Shares lie in 0 to 1 for every score there is."""
    for name, value in measure(score_to_piece(score)).items():
        assert value is None or value >= 0
        if name not in ("pitch_class_entropy", "pulse_instruments"):
            assert value is None or value <= 1


def test_a_loop_is_measured_without_its_intro():
    """The rows before the loop do not count, and what its end leaves sounds at its start."""
    score = pieces.loop_score(bars=2, intro_bars=1)
    loop = score_to_piece(score)
    assert len(loop.cells) == 32
    assert loop.loops


def test_a_voice_that_only_holds_keeps_what_the_intro_left():
    """A bass that the intro strikes and the loop never touches sounds throughout."""
    hold, rest = (HOLD,) * 16, (REST,) * 32
    voices = {"P1": rest, "P2": rest, "TR": (Note(0, 40), *(HOLD,) * 15, *hold), "NO": rest}
    loop = score_to_piece(Score(voices, (Instrument("triangle"),), loop=(16, 32)))
    assert (loop.sounding[:, TR] == pitch_to_id(40)).all()


def write_split(folder, n_bars=4):
    """Write two songs in 16-row metre, the second with half a bar before its loop, and one in 12-row metre."""
    rows = [n_bars * 16, n_bars * 16 + 8, n_bars * 12]
    rng = np.random.default_rng(1)
    cells = rng.integers(0, 60, (sum(rows), 4)).astype(np.int16)
    arrays = {
        "cells": cells,
        "slots": np.where(cells[:, [0, 1, 3]] >= ONSET_ID, 0, -1).astype(np.int8),
        "pulse_palette": np.full((3, 16, 4), -1, np.int16),
        "noise_palette": np.full((3, 16, 4), -1, np.int16),
        "offsets": np.cumsum([0, *rows]),
        "controls": np.zeros((3, len(CONTROLS)), np.int16),
        "bar_rows": np.array([16, 16, 12], np.int16),
        "loops": np.array([(0, rows[0]), (8, rows[1]), (-1, -1)], np.int32),
        "bar_offsets": np.array([0, 4, 9, 13]),
        "lags": np.zeros(13, np.int8),
        "classes": np.zeros((13, 4), np.int8),
        "shifts": np.zeros(13, np.int8),
        "chords": np.ones((13, 2), np.int8),
        "row_frames": np.full(3, 6, np.float32),
        "recall": np.full((sum(rows), 4), -1, np.int32),
        "strength": np.zeros((sum(rows), 4), np.int8),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return cells, rows


def test_real_windows_begin_on_bar_lines(tmp_path):
    """Windows are cut from songs in 16-row metre, counted from the song's first row, and know what sounds before them."""
    cells, rows = write_split(tmp_path)
    windows = real_windows(tmp_path, 2)
    assert len(windows) == 4
    np.testing.assert_array_equal(windows[2].cells, cells[rows[0] : rows[0] + 32])
    assert len(real_windows(tmp_path, 2, per_song=1)) == 2


def test_the_report_counts_what_its_bars_ask_for(tmp_path):
    """Loops that pass and differ are counted, real figures stand beside ours, and every bar has its verdict."""
    write_split(tmp_path)
    loops = [examine("town", seed, Controls(bars=4), pieces.compose) for seed in range(3)]
    summary = summarise(loops, real_windows(tmp_path, 2))
    assert summary["figures"]["certificates_passed"] == 3
    assert summary["figures"]["distinct_melodies"] == 3
    assert summary["bars"]["certificates_passed"] == {"bar": ">= 3", "met": True}
    assert summary["bars"]["seam_less_interior_bits"]["met"] is None
    assert set(MEASURES) <= set(summary["real"])
    assert set(BARS) <= set(summary["figures"])
    assert "certificates passed" in table(summary)


def test_a_loop_that_fails_is_reported(tmp_path):
    """A broken loop shows the rule that it breaks; one that was never made shows the error."""
    write_split(tmp_path)

    def refuse(theme, seed, controls):
        raise ControlError("bars must be between 1 and 64, not 99")

    loops = [
        examine("town", 1, Controls(), pieces.compose_broken),
        examine("cave", 2, Controls(), refuse),
    ]
    summary = summarise(loops, [])
    assert summary["figures"]["certificates_passed"] == 0
    assert "held notes" in summary["failures"]
    assert summary["failed"] == ["town 1", "cave 2"]
    assert "bars must be between 1 and 64" in table(summary)
