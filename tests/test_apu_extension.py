"""The compiled hot path against the numpy one: the same segments, the same sums, the same samples, the same states."""

from __future__ import annotations

from dataclasses import replace

import compiled_apu
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pieces import loop_score
from strategies import scores

from nesasset.apu import extension, filters, synthesis
from nesasset.apu.chip import CHANNELS, power_on
from nesasset.apu.stream import Player
from nesasset.apu.tables import CONSOLES
from nesasset.apu.writes import Writes, cut_frames
from nesasset.driver import drive
from nesasset.register_log import RegisterLog
from nesasset.render import render


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return the compiled module, built from the source of this checkout."""
    module = compiled_apu.build(tmp_path_factory.mktemp("extension"), "-Wall", "-Wextra", "-Werror")
    if module is None:
        pytest.skip("no C compiler, or no headers of Python")
    return module


class Both:
    """Runs a call with the numpy and with the compiled implementation."""

    def __init__(self, compiled, patch) -> None:
        self.compiled, self.patch = compiled, patch

    def __call__(self, call):
        """Return both results, numpy's first."""
        results = []
        for module in (None, self.compiled):
            self.patch.setattr(extension, "fast", lambda module=module: module)
            results.append(call())
        return results


@pytest.fixture(scope="module")
def both(compiled):
    with pytest.MonkeyPatch.context() as patch:
        yield Both(compiled, patch)


addresses = st.sampled_from([*range(0x4000, 0x4014), 0x4015, 0x4015, 0x4017])
any_write = st.one_of(
    st.tuples(st.integers(0, 199_999), addresses, st.integers(0, 255)),
    st.tuples(st.integers(0, 199_999), st.sampled_from([0x4003, 0x4007, 0x400B, 0x400F]), st.integers(0, 9)),
    st.tuples(st.integers(0, 199_999), st.sampled_from([0x4012, 0x4013]), st.integers(0, 3)),
    st.tuples(st.just(70_000), addresses, st.integers(0, 255)),
)
any_writes = st.lists(any_write, max_size=80).map(lambda found: sorted([(0, 0x4015, 31), *found], key=lambda w: w[0]))
regions = st.sampled_from(sorted(CONSOLES))


def make_writes(found, region: str, memory: bytes) -> Writes:
    cycles, register, values = (np.array(column) for column in zip(*found, strict=True))
    return Writes(cycles, register.astype(np.uint16), values.astype(np.uint8), (0, 200_000), region, memory)


@given(any_writes, regions, st.binary(max_size=90), st.lists(st.integers(1, 199_999), max_size=4))
def test_the_control_pass_is_the_same(both, found, region: str, memory: bytes, splits: list[int]) -> None:
    """Whatever is written whenever, both give the same segments and end in the same state."""

    def call():
        state = power_on()
        segments = synthesis.advance(state, make_writes(found, region, memory), splits)
        columns = {
            name: [getattr(part, column).tolist() for column in type(part).__slots__ if column != "end"]
            for name, part in segments.items()
        }
        return columns, state.tolist()

    plain, fast = both(call)
    assert fast == plain


@given(any_writes, regions, st.binary(max_size=90), st.sampled_from([8_000, 44_100, 96_000]))
def test_the_sums_are_the_same(both, found, region: str, memory: bytes, rate: int) -> None:
    """Whatever is written whenever, both make the same differences of samples to the last bit."""

    def call():
        clock_hz, levels = CONSOLES[region].clock_hz, synthesis.resting_levels(CHANNELS)
        buffer = np.zeros(200_000 * rate // clock_hz + 40)
        writes = make_writes(found, region, memory)
        synthesis.play(power_on(), writes, CHANNELS, buffer, levels, rate / clock_hz, 0, -1)
        return buffer.tobytes(), levels.tolist()

    plain, fast = both(call)
    assert fast == plain


@pytest.mark.parametrize("voicing", sorted(filters.VOICINGS))
@pytest.mark.parametrize("sizes", [[1], [31, 1, 0, 700], [32, 64, 5], [33_000, 100]])
def test_the_filters_are_the_same(both, voicing: str, sizes: list[int]) -> None:
    """In pieces of any size, into silence too, both filters give the same bits and are left in the same state."""
    sound = np.random.default_rng(8).normal(size=sum(sizes))
    sound[sum(sizes) // 2 :] = 0.0

    def call():
        stages = filters.coefficients(filters.VOICINGS[voicing], 44_100)
        state, pieces = filters.at_rest(stages), np.split(sound.copy(), np.cumsum(sizes)[:-1])
        for piece in pieces:
            filters.run(piece, stages, state)
        return np.concatenate(pieces).tobytes(), state.tobytes()

    plain, fast = both(call)
    assert fast == plain


def test_samples_are_rounded_the_same(both) -> None:
    """Halves go to the even neighbour and what is too loud is cut off, in both."""
    values = np.concatenate([np.arange(-70, 70) / 4, [32_766.5, 32_767.5, 40_000.0, -32_768.5, -1e9, -0.0]])

    def call():
        from nesasset.apu.stream import FULL_SCALE, GAIN, to_16_bits

        return to_16_bits(values / 8, 8 / (GAIN * FULL_SCALE)).tolist()

    plain, fast = both(call)
    assert fast == plain


@given(scores(max_rows=8, max_row_frames=6, provenance=False), st.sampled_from(sorted(filters.VOICINGS)))
def test_any_score_renders_to_the_same_samples(both, score, voicing: str) -> None:
    """Scores, with and without a loop, have the same samples in both."""
    log = drive(score)
    plain, fast = both(lambda: render(log, 11_025, voicing))
    assert np.array_equal(plain.samples, fast.samples)
    assert plain.loop == fast.loop


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_piece_renders_to_the_same_samples(both, seed: int, rate: int) -> None:
    """A piece with an intro and a loop has the same samples in both."""
    log = drive(loop_score(seed, bars=2, intro_bars=1))
    plain, fast = both(lambda: render(log, rate))
    assert np.array_equal(plain.samples, fast.samples)


@pytest.mark.parametrize("seed", range(3))
def test_senseless_logs_render_to_the_same_samples(both, seed: int) -> None:
    """Writes without sense, with samples, cycles of their own and a loop, have the same samples in both."""
    rng, count = np.random.default_rng(seed), 500
    cycles = np.sort(rng.integers(0, 900_000, count))
    log = RegisterLog(
        cycles // 30_000,
        rng.choice([*range(0x4000, 0x4014), 0x4015, 0x4017], count).astype(np.uint16),
        rng.integers(0, 256, count).astype(np.uint8),
        30,
        (10, 30) if seed else None,
        cycles=cycles if seed < 2 else None,
        region="pal" if seed == 2 else "ntsc",
        memory=rng.bytes(9_000),
    )
    plain, fast = both(lambda: render(log, 22_050))
    assert np.array_equal(plain.samples, fast.samples)


def test_a_player_goes_on_with_the_other_implementation(both) -> None:
    """What one implementation leaves, the other goes on from: the states are the same bytes."""
    log = replace(drive(loop_score(3, bars=1)), loop=None)
    half = log.n_frames // 2

    def call():
        player = Player()
        player.play(cut_frames(log, 0, half))
        return player

    plain, fast = both(call)
    assert plain == fast
    rest = cut_frames(log, half, log.n_frames)
    first, second = both(lambda: plain.copy().play(rest))
    assert np.array_equal(first, second)


def test_broken_arguments_are_refused(compiled) -> None:
    """States out of range, cycles that fall and buffers too short are errors, not crashes."""
    none = (np.zeros(0, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.uint8))
    splits = np.zeros(0, np.int64)
    broken = power_on()
    broken[4] = 9
    with pytest.raises(ValueError, match="out of range"):
        compiled.advance(broken, *none, splits, 100, 0, b"")
    falling = (np.array([5, 4]), np.zeros(2, np.uint16), np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="out of range"):
        compiled.advance(power_on(), *falling, splits, 100, 0, b"")
    with pytest.raises(ValueError, match="state must have"):
        compiled.advance(power_on()[:-1].copy(), *none, splits, 100, 0, b"")
    with pytest.raises(ValueError, match="splits"):
        compiled.advance(power_on(), *none, np.array([200]), 100, 0, b"")
    with pytest.raises(ValueError, match="a level is out of range"):
        compiled.play(
            power_on(), *none, 100, 0, b"", 31, *synthesis._shared(1.0), np.zeros(99), np.full(5, 99), 0.02, 0, 0
        )
    nowhere = np.array([np.nan, 0, 1, 0, 0, 0, 9])
    with pytest.raises(ValueError, match="a segment is out of range"):
        compiled.add_rows(
            *[None] * 4, nowhere, *synthesis._shared(1.0), np.zeros(99), np.zeros(5, np.int64), 0.02, 0, 0
        )
    jump = (np.array([50]), np.array([0x4011], np.uint16), np.array([99], np.uint8))
    with pytest.raises(ValueError, match="outside the buffer"):
        compiled.play(
            power_on(), *jump, 100, 0, b"", 31, *synthesis._shared(1.0), np.zeros(9), np.zeros(5, np.int64), 0.02, 0, 0
        )


def test_the_variable_leaves_the_extension_alone(run_python) -> None:
    """NESASSET_NO_EXTENSION=1 keeps the compiled module from being loaded; any other state is no error."""
    program = "import os, sys; os.environ['NESASSET_NO_EXTENSION'] = '1'; from nesasset.apu import extension; "
    done = run_python(program + "print(extension.fast(), 'nesasset.apu._fast' in sys.modules)")
    assert done.stdout.split() == ["None", "False"]
