"""The player that goes on: pieces of any size are one piece, and what it knows can be copied, saved and compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pieces import loop_score

from nesasset.apu.filters import VOICINGS
from nesasset.apu.stream import LATENCY, Player
from nesasset.apu.tables import CONSOLES
from nesasset.apu.writes import cut_frames, unroll
from nesasset.driver import drive
from nesasset.errors import AudioError, FormatError, RegisterLogError
from nesasset.register_log import RegisterLog
from nesasset.render import render


def senseless_log(seed: int, n_frames: int = 24, cycles: bool = False, region: str = "ntsc", rate: float = 60.0):
    """Return a log of random writes with sample memory."""
    rng, count = np.random.default_rng(seed), 300
    clock_hz = CONSOLES[region].clock_hz
    times = np.sort(rng.integers(0, int(n_frames * clock_hz / rate), count))
    return RegisterLog(
        (times * rate / clock_hz).astype(np.int64),
        rng.choice([*range(0x4000, 0x4014), 0x4015, 0x4017], count).astype(np.uint16),
        rng.integers(0, 256, count).astype(np.uint8),
        n_frames,
        frame_rate_hz=rate,
        cycles=times if cycles else None,
        region=region,
        memory=rng.bytes(5_000),
    )


def in_pieces(log: RegisterLog, edges: list[int], **settings) -> np.ndarray:
    """Return what a player makes of a log in pieces that end at some frames."""
    player = Player(region=log.region, frame_rate_hz=log.frame_rate_hz, **settings)
    ends = sorted({edge for edge in edges if 0 < edge < log.n_frames} | {log.n_frames})
    parts = [player.play(cut_frames(log, start, end)) for start, end in zip([0, *ends], ends, strict=False)]
    return np.concatenate(parts)


@settings(max_examples=12)
@given(
    st.integers(0, 99),
    st.lists(st.integers(1, 23), max_size=24),
    st.booleans(),
    st.sampled_from(["ntsc", "pal", "dendy"]),
    st.sampled_from([60.0, 60.0988, 50.0]),
    st.sampled_from([(8_000, "raw"), (22_050, "famicom"), (44_100, "nes")]),
)
def test_pieces_of_any_size_are_one_piece(seed, edges, cycles, region, rate, sound) -> None:
    """Whatever the log, the console, the rates and the pieces, the samples are those of one piece, byte for byte."""
    log = senseless_log(seed, cycles=cycles, region=region, rate=rate)
    sample_rate_hz, voicing = sound
    arguments = {"sample_rate_hz": sample_rate_hz, "voicing": voicing}
    whole = in_pieces(log, [], **arguments)
    assert np.array_equal(in_pieces(log, edges, **arguments), whole)
    assert len(whole) == round(log.n_frames * sample_rate_hz / rate)


@pytest.mark.parametrize("voicing", sorted(VOICINGS))
def test_frame_by_frame_is_what_render_makes(voicing: str) -> None:
    """A composed piece, played out over two loops, frame by frame, is the rendered log, LATENCY samples late."""
    log = drive(loop_score(3, bars=1))
    played_out = unroll(log, 2 * log.n_frames)
    found = in_pieces(played_out, list(range(played_out.n_frames)), voicing=voicing)
    assert np.array_equal(found[LATENCY:], render(played_out, voicing=voicing).samples[:-LATENCY])


def test_flush_returns_the_end_and_changes_nothing() -> None:
    """What is still on its way comes out as often as it is asked for, and completes the rendered log."""
    log = senseless_log(4)
    player = Player()
    played = player.play(log)
    before = player.to_bytes()
    rest = player.flush()
    assert np.array_equal(np.concatenate([played, rest])[LATENCY:], render(log).samples)
    assert np.array_equal(player.flush(), rest)
    assert player.to_bytes() == before


def test_a_copy_goes_on_by_itself() -> None:
    """A copied player plays the same, and playing one leaves the other where it is."""
    log = senseless_log(5)
    first, second = cut_frames(log, 0, 10), cut_frames(log, 10, 24)
    player = Player()
    player.play(first)
    other = player.copy()
    assert other == player
    sound = player.play(second)
    assert other != player
    assert np.array_equal(other.play(second), sound)
    assert other == player


def test_a_saved_player_goes_on() -> None:
    """Bytes and back is the same player, in all its settings."""
    log = senseless_log(6, region="pal", rate=50.0)
    player = Player(22_050, "nes", 0.5, ("P1", "NO", "DM"), "pal", 50.0)
    player.play(cut_frames(log, 0, 7))
    again = Player.from_bytes(player.to_bytes())
    assert again == player
    rest = cut_frames(log, 7, 24)
    assert np.array_equal(again.play(rest), player.play(rest))


@given(st.data())
@settings(max_examples=150)
def test_damaged_bytes_are_refused_or_play(data) -> None:
    """A saved player with any byte changed, cut or added is refused in one sentence, or it plays."""
    player = Player(8_000)
    player.play(senseless_log(7, 5))
    saved = bytearray(player.to_bytes())
    kind = data.draw(st.sampled_from(["change", "cut", "add"]))
    if kind == "change":
        saved[data.draw(st.integers(0, len(saved) - 1))] = data.draw(st.integers(0, 255))
    elif kind == "cut":
        del saved[data.draw(st.integers(0, len(saved) - 1)) :]
    else:
        saved += b"\0"
    try:
        other = Player.from_bytes(bytes(saved))
    except FormatError as error:
        assert str(error) == "these bytes are no saved player: make a new one"  # noqa: PT017 - or none is raised
        return
    piece = replace(senseless_log(7, 2), region=other.region, frame_rate_hz=other.frame_rate_hz)
    if other.frame_rate_hz >= 10:  # else two frames are long
        other.play(piece)


def test_memory_does_not_grow_with_the_log() -> None:
    """After an hour of frames a player knows as much as after one: its saved state has the same size."""
    player = Player(8_000)
    empty = RegisterLog(np.zeros(0, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.uint8), 60 * 60)
    size = len(player.to_bytes())
    player.play(empty)
    assert len(player.to_bytes()) == size


def test_a_piece_for_another_console_is_refused() -> None:
    """Region and frame rate of a piece must be the player's."""
    with pytest.raises(RegisterLogError, match="the player runs as ntsc at 60 frames a second, not as pal at 50"):
        Player().play(senseless_log(1, region="pal", rate=50.0))


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        ({"region": "secam"}, RegisterLogError, "region must be one of ntsc, pal, dendy, not 'secam'"),
        ({"frame_rate_hz": 0.0}, RegisterLogError, "frame_rate_hz must be between 1.0 and 10000.0, not 0.0"),
        ({"tnd_trim": 3.0}, AudioError, "tnd_trim must be above 0 and at most 2, not 3.0"),
        ({"voicing": "tv"}, AudioError, "voicing must be one of raw, famicom, nes, not 'tv'"),
    ],
)
def test_a_bad_setting_is_named(arguments: dict, kind: type[Exception], sentence: str) -> None:
    """Each setting out of range gives one sentence with the value and what is allowed."""
    with pytest.raises(kind) as caught:
        Player(**arguments)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("edges", [(0, 0), (-1, 3), (2, 25)])
def test_cut_frames_names_a_bad_range(edges: tuple[int, int]) -> None:
    """Frames outside the log are named."""
    with pytest.raises(RegisterLogError, match=f"frames must lie within 0 to 24, not {edges[0]} to {edges[1]}"):
        cut_frames(senseless_log(1), *edges)
