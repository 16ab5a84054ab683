"""A piece in one picture: what its panels measure, where they draw it, what is refused, and the command."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pieces
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from idiom_strategies import idiom_scores
from numpy.typing import NDArray

from nesasset import cli
from nesasset.audio import Audio
from nesasset.driver import drive
from nesasset.errors import AudioError, FormatError
from nesasset.formats import audio_reader, canvas, flac, ogg, piano_roll, plot, register_text, score_json, vgm, wav
from nesasset.render import render
from nesasset.score import Score

PIL_Image = pytest.importorskip("PIL.Image")

RATE = 44_100
LEFT = plot._LEFT


def tone(hz: float, seconds: float, amplitude: float = 0.5, rate: int = RATE, loop: tuple[int, int] | None = None) -> Audio:
    """Return a sine."""
    at = np.arange(round(seconds * rate)) / rate
    return Audio(np.rint(amplitude * 32_767 * np.sin(2 * np.pi * hz * at)).astype(np.int16), rate, loop)


def row_hz(row: int, rows: int) -> float:
    """Return the middle frequency of a row of a spectrogram."""
    return plot.LOW_HZ * (plot.HIGH_HZ / plot.LOW_HZ) ** (1 - (row + 0.5) / rows)


# The waveform.


@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=200), st.integers(1, 60))
@settings(deadline=None)
def test_each_column_has_its_least_and_greatest_sample(samples: list[int], columns: int) -> None:
    """Column c covers samples from c n / columns to the next column's first, one at least."""
    low, high = plot.wave_bounds(np.array(samples, dtype=np.int16), columns)
    for column in range(columns):
        first = column * len(samples) // columns
        here = samples[first : max(first + 1, (column + 1) * len(samples) // columns)]
        assert (low[column], high[column]) == (min(here), max(here))


def wave_pixels(audio: Audio, score: Score | None = None) -> NDArray[np.bool_]:
    """Return where the waveform's panel has the waveform's color; shape (height, width)."""
    image = plot.draw(audio, score)
    pixels = np.asarray(image)
    captioned = (pixels == plot._BEFORE).all(axis=2)
    top = canvas.HEADER_HEIGHT + plot._CAPTION
    if score is not None:
        top += piano_roll.Roll(score).height + plot._GAP
    elif audio.loop is not None:
        top += piano_roll.RULER_HEIGHT
    return captioned[top : top + plot._WAVE_HEIGHT, LEFT : image.width - plot._RIGHT]


def test_the_waveform_is_where_it_sounds() -> None:
    """A sound that is loud in its second half fills the panel's second half, and lies on the middle before."""
    samples = np.zeros(16_000, dtype=np.int16)
    samples[8000:] = np.where(np.arange(8000) % 2, 16_000, -16_000)
    heights = wave_pixels(Audio(samples, 8000)).sum(axis=0)
    assert (heights[:599] == 1).all()
    assert (heights[601:] > 100).all()


def test_the_axis_reaches_to_the_next_round_share_of_full_scale() -> None:
    """A peak of 0.35 needs an axis to 0.4, silence the shortest one, full scale the longest."""
    peaks = {0: 0.01, 11_468: 0.4, -32_768: 1.0}
    assert {peak: plot._scale_of(np.array([0, peak], dtype=np.int16)) for peak in peaks} == peaks


# The spectrogram.


@pytest.mark.parametrize("hz", [110.0, 440.0, 3000.0, 12_000.0])
def test_a_tone_has_its_frequency_and_level(hz: float) -> None:
    """The strongest row is the one that holds the tone's frequency, at its level: a sine of full scale has 0 dB."""
    found = plot.levels(tone(hz, 1.0, 0.25), 50, 320)[:, 25]
    row = int(found.argmax())
    bin_hz = RATE / 4096
    assert abs(row_hz(row, 320) - hz) < max(bin_hz, 0.02 * hz)
    assert found[row] == pytest.approx(20 * math.log10(0.25), abs=1.5)  # a tone between two bins loses up to 1.42 dB


def test_levels_are_those_of_a_plain_transform() -> None:
    """Every row is what an explicit Fourier sum over the column's middle gives."""
    audio = Audio(np.random.default_rng(5).integers(-9000, 9000, 2048).astype(np.int16), 8000)
    found = plot.levels(audio, 5, 40)[:, 2]  # one window a column
    size = 1024
    around = audio.samples[1024 - size // 2 : 1024 + size // 2].astype(np.float64)
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * at / size) for at in range(size)]

    def power(number: int) -> float:
        turns = np.exp(-2j * np.pi * number * np.arange(size) / size)
        return float(abs((around * hann * turns).sum() / (32_768 * sum(hann) / 2)) ** 2)

    for row in range(40):
        low, high = (plot.LOW_HZ * (plot.HIGH_HZ / plot.LOW_HZ) ** ((40 - row - part) / 40) for part in (1, 0))
        if low >= 4000:
            assert math.isnan(found[row])
            continue
        inside = [number for number in range(size // 2) if low <= number * 8000 / size < high]
        if inside:
            wanted = max(map(power, inside))
        else:
            middle = math.sqrt(low * high) * size / 8000
            part = middle % 1
            wanted = power(int(middle)) * (1 - part) + power(int(middle) + 1) * part
        assert found[row] == pytest.approx(10 * math.log10(wanted), abs=1e-6)


def test_the_spectrogram_is_on_the_axis_of_time() -> None:
    """A tone that sets in at a third of the time is loud after a third of the columns, not before."""
    samples = np.concatenate([np.zeros(RATE, dtype=np.int16), tone(1000, 2.0).samples])
    loudest = plot.levels(Audio(samples, RATE), 300, 320).max(axis=0)
    assert (loudest[:94] < -60).all()
    assert (loudest[106:] > -20).all()


def test_columns_of_a_long_piece_average() -> None:
    """A column that is longer than a window hears all of itself: a tone in half of it counts half its power."""
    half = np.concatenate([tone(1000, 1.0).samples, np.zeros(RATE, dtype=np.int16)])
    whole = plot.levels(tone(1000, 10.0), 5, 320).max(axis=0)
    found = plot.levels(Audio(np.tile(half, 5), RATE), 5, 320).max(axis=0)
    assert np.allclose(whole - found, 3.01, atol=0.7)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 700])
@pytest.mark.parametrize("rate", [8000, 96_000])
def test_no_sound_is_too_short(n_samples: int, rate: int) -> None:
    """A single sample has a picture, at any rate."""
    audio = Audio(np.full(n_samples, 1000, dtype=np.int16), rate, (0, n_samples))
    assert plot.draw(audio).width > 1200
    assert not np.isnan(plot.levels(audio, 10, 320)[-1]).any()


def lab(color: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a color of sRGB in CIELAB (D65); formulas of IEC 61966-2-1 and CIE 15."""
    shares = np.array(color) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    x, y, z = to_xyz @ linear / np.array([0.95047, 1.0, 1.08883])
    fx, fy, fz = (share ** (1 / 3) if share > (6 / 29) ** 3 else share / (3 * (6 / 29) ** 2) + 4 / 29 for share in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def test_the_colors_are_even_to_the_eye() -> None:
    """From one to the next, lightness rises by 11 and the color moves by 26, in CIELAB."""
    places = np.array([lab(color) for color in canvas.LEVEL_COLORS])
    assert np.diff(places[:, 0]) == pytest.approx(11, abs=0.6)
    assert np.linalg.norm(np.diff(places, axis=0), axis=1) == pytest.approx(26, abs=1)


# The seam.


def test_the_seam_joins_the_loop_s_end_to_its_start() -> None:
    """Before the line come the loop's last samples, after it its first, the intro nowhere."""
    audio = Audio(np.arange(1000, dtype=np.int16), 8000, (300, 700))
    assert plot.around(audio, 300, 3).tolist() == [997, 998, 999, 300, 301, 302]


def test_the_seam_of_a_short_loop_goes_round() -> None:
    """A loop shorter than the close-up is shown as often as it fits."""
    audio = Audio(np.arange(5, dtype=np.int16), 8000, (2, 3))
    assert plot.around(audio, 2, 5).tolist() == [3, 4, 2, 3, 4, 2, 3, 4, 2, 3]


@pytest.mark.parametrize(
    ("score", "line"),
    [
        (pieces.loop_score(bars=4), (2 * 96 * 735, "bar line 3")),
        (pieces.loop_score(bars=4, intro_bars=2), (4 * 96 * 735, "bar line 5")),
        (pieces.loop_score(bars=1, intro_bars=1), (96 * 735 * 3 // 2, "middle of the loop")),
        (None, (48_000, "middle of the loop")),
    ],
    ids=["loop", "after an intro", "one bar", "no score"],
)
def test_the_seam_is_compared_with_a_bar_line_inside(score: Score | None, line: tuple[int, str]) -> None:
    """It is the bar line nearest to the loop's middle, or the middle where there is none."""
    audio = Audio(np.zeros(96_000, dtype=np.int16), RATE, (0, 96_000)) if score is None else render(drive(score))
    assert plot.inner_line(audio, score) == line


def test_a_close_up_shows_every_sample_in_its_place() -> None:
    """Samples before the line and after it are drawn at their heights, in their colors."""
    image = PIL_Image.new("RGB", (400, 200))
    samples = np.repeat(np.array([16_384, -16_384], dtype=np.int16), 100)
    plot._draw_close_up(image, samples, (50, 10, 301), 1.0, canvas.LOOP)
    quarter = (plot._SEAM_HEIGHT - 1) / 4
    pixels = np.asarray(image).astype(int)
    for x, y, color in ((100, 10 + quarter, plot._BEFORE), (300, 10 + 3 * quarter, plot._AFTER)):
        column = np.abs(pixels[:, x] - color).sum(axis=1)
        assert abs(int(column.argmin()) - y) <= 1
        assert column.min() < 250
    assert image.getpixel((200, 12)) == canvas.LOOP


# The whole.


@given(idiom_scores())
@settings(max_examples=12, deadline=None)
def test_any_score_has_a_picture(score: Score) -> None:
    """Every valid score can be drawn with its sound."""
    image = plot.draw(render(drive(score), 8000), score)
    assert 1200 < image.width <= plot.MAX_WIDTH


def test_all_panels_share_one_axis_of_time() -> None:
    """Bar lines stand in the piano roll and in the waveform at the same places, which are those of their times."""
    score = pieces.loop_score(bars=4, groove=(6, 7))
    audio = render(drive(score), 8000)
    quiet = Audio(np.zeros_like(audio.samples), 8000, audio.loop)
    pixels = np.asarray(plot.draw(quiet, score))
    roll = piano_roll.Roll(score)
    in_roll = canvas.HEADER_HEIGHT + roll.height - 1
    in_wave = canvas.HEADER_HEIGHT + roll.height + plot._GAP + plot._CAPTION + 2
    wide = pixels.shape[1] - LEFT - plot._RIGHT
    wanted = [LEFT + round(score.row_frame(row) / score.n_frames * wide) for row in (16, 32, 48)]
    for y, color in ((in_roll, canvas.BAR_LINE), (in_wave, canvas.BEAT_LINE)):
        found = np.flatnonzero((pixels[y] == color).all(axis=1))
        assert [x for x in found.tolist() if LEFT + 1 < x < LEFT + wide - 2] == wanted


def test_the_loop_is_marked_in_every_panel() -> None:
    """The loop's start is a line through waveform and spectrogram, at its time."""
    audio = Audio(np.zeros(80_000, dtype=np.int16), 8000, (20_000, 60_000))
    pixels = np.asarray(plot.draw(audio))
    marked = np.flatnonzero((pixels[:, LEFT + 300] == canvas.LOOP).all(axis=1))
    assert len(marked) >= plot._WAVE_HEIGHT + plot._SPECTROGRAM_HEIGHT


def test_what_does_not_loop_has_no_seam() -> None:
    """The picture of a sound that ends is that much lower, and has no loop's color."""
    samples = np.zeros(8000, dtype=np.int16)
    ends, loops = plot.draw(Audio(samples, 8000)), plot.draw(Audio(samples, 8000, (0, 8000)))
    assert loops.height - ends.height > plot._SEAM_HEIGHT
    assert not (np.asarray(ends) == canvas.LOOP).all(axis=2).any()


@pytest.mark.parametrize("seconds", [60.0, 75.0, 900.0])
def test_width_is_bounded(seconds: float) -> None:
    """A minute has a pixel a frame; from there on pictures stay at the largest width."""
    image = plot.draw(Audio(np.zeros(round(seconds * 8000), dtype=np.int16), 8000))
    assert image.width == min(plot.MAX_WIDTH, round(60 * seconds) + LEFT + plot._RIGHT)


def test_more_than_an_hour_is_refused() -> None:
    """An hour is drawn, a second more is one sentence."""
    plot.check_length(3600)
    with pytest.raises(AudioError, match=r"^a picture shows at most 3600 seconds, and the piece lasts 3601; cut a part"):
        plot.check_length(3601)


def test_an_empty_sound_is_refused() -> None:
    """Without a sample there is nothing to draw."""
    with pytest.raises(AudioError, match="there is nothing to show"):
        plot.draw(Audio(np.zeros(0, dtype=np.int16), 8000))


def test_score_and_audio_must_belong_together() -> None:
    """A loop's score with a sound that ends is refused."""
    with pytest.raises(AudioError, match="must both loop or both end"):
        plot.draw(Audio(np.zeros(800, dtype=np.int16), 8000), pieces.loop_score())


@given(st.floats(1e-5, 3600), st.floats(2, 50))
def test_an_axis_of_time_has_as_many_ticks_as_there_is_room_for(seconds: float, room: float) -> None:
    """Ticks begin at 0, lie within the axis, evenly, have names of their own, and are not more than fit."""
    ticks = list(canvas.second_ticks(seconds, room))
    times = np.array([at for at, _ in ticks])
    assert times[0] == 0
    assert times[-1] <= seconds * (1 + 1e-6)
    assert 1 <= len(ticks) <= room + 1 + 1e-6
    assert np.allclose(np.diff(times), times[1] if len(times) > 1 else 0)
    assert len({name for _, name in ticks}) == len(ticks)


# Reading sound.


@pytest.mark.parametrize(("suffix", "module"), [(".wav", wav), (".flac", flac)])
def test_lossless_sound_comes_back(tmp_path: Path, suffix: str, module) -> None:
    """Samples, rate and loop of a WAV or FLAC are what was written."""
    audio = tone(440, 0.5, 0.9, loop=(100, 2000))
    module.save(audio, tmp_path / f"a{suffix}")
    _, back = audio_reader.load(tmp_path / f"a{suffix}")
    assert np.array_equal(back.samples, audio.samples)
    assert (back.sample_rate_hz, back.loop) == (RATE, (100, 2000))


def test_ogg_comes_back_nearly(tmp_path: Path) -> None:
    """An OGG has its length and loop, and nearly its samples."""
    audio = tone(440, 0.5, 0.5, loop=(100, 2000))
    ogg.save(audio, tmp_path / "a.OGG")
    info, back = audio_reader.load(tmp_path / "a.OGG")
    assert (len(back.samples), back.loop, info.format) == (len(audio.samples), (100, 2000), "OGG")
    assert np.abs(back.samples.astype(int) - audio.samples)[2000:-2000].max() < 1000


def test_channels_are_mixed(tmp_path: Path) -> None:
    """Two channels become their mean; floats beyond the range are cut off, what is no number is silence."""
    left = np.array([0.5, 0.25, 4.0, math.nan, -9.0], dtype=np.float32)
    right = np.array([0.25, -0.25, 4.0, 0.0, -9.0], dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 8000, subtype="FLOAT")
    _, back = audio_reader.load(tmp_path / "a.wav")
    assert back.samples.tolist() == [12_288, 0, 32_767, 0, -32_768]


@pytest.mark.parametrize("suffix", audio_reader.SUFFIXES)
@pytest.mark.parametrize("part", [0, 3, 40, 0.5, 0.98])
def test_damaged_sound_is_one_sentence(tmp_path: Path, suffix: str, part: float) -> None:
    """A file that is cut off anywhere is a FormatError."""
    path = tmp_path / f"a{suffix}"
    {".wav": wav, ".ogg": ogg, ".flac": flac}[suffix].save(tone(440, 1.0), path)
    data = path.read_bytes()
    path.write_bytes(data[: round(part if part >= 1 else part * len(data))])
    with pytest.raises(FormatError):
        audio_reader.load(path)


def test_a_header_that_promises_too_much_is_one_sentence(tmp_path: Path) -> None:
    """An OGG whose last page counts far more samples than there are is cut off, and takes no memory for them."""
    pages = ogg._pages(ogg.encode(tone(440, 1.0)))
    data = [
        ogg._page_to_bytes(page.flags, page.granule << 40 * (page is pages[-1]), page.serial, page.number, page.lacing, page.body)
        for page in pages
    ]
    (tmp_path / "a.ogg").write_bytes(b"".join(data))
    with pytest.raises(FormatError, match=r"samples can"):
        audio_reader.load(tmp_path / "a.ogg")


def test_a_rate_out_of_range_is_refused(tmp_path: Path) -> None:
    """A rate that sound of ours cannot have is named with its range."""
    soundfile.write(tmp_path / "a.wav", np.zeros(9), 4000)
    with pytest.raises(AudioError, match=r"a\.wav: sample_rate_hz must be between 8000 and 96000, not 4000"):
        audio_reader.load(tmp_path / "a.wav")


def test_the_length_is_checked_before_decoding(tmp_path: Path) -> None:
    """What the caller refuses by the header is not decoded."""
    wav.save(tone(440, 1.0), tmp_path / "a.wav")

    def refuse(info) -> None:
        raise AudioError(f"{info.n_samples} samples")

    with pytest.raises(AudioError, match=r"^44100 samples$"):
        audio_reader.load(tmp_path / "a.wav", refuse)


def test_other_sound_is_refused(tmp_path: Path) -> None:
    """A suffix that is none of ours is named with those that are."""
    with pytest.raises(FormatError, match=r"the suffix must be one of \.wav, \.ogg, \.flac"):
        audio_reader.load(tmp_path / "a.mp3")


# The command.


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capsys):
    """Run the command line in an empty folder with a score in it, and return code, output and errors."""
    monkeypatch.chdir(tmp_path)
    score_json.save(pieces.loop_score(bars=2), tmp_path / "a.json")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(("plot", *arguments))
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def test_plot_writes_a_png(run, tmp_path: Path) -> None:
    """The picture has the size that is printed, and no date or name in it."""
    code, output, errors = run("a.json", "-o", "a.PNG", "--json")
    facts = json.loads(output)
    image = PIL_Image.open(io.BytesIO((tmp_path / "a.PNG").read_bytes()))
    assert (code, errors, image.info) == (0, "", {})
    assert (facts["width"], facts["height"]) == image.size
    assert facts["loop"] == {"start": 0, "length": 2 * 96 * 735}


def test_plot_prints_facts(run) -> None:
    """Without --json the facts are lines."""
    lines = run("a.json", "-o", "a.png")[1].splitlines()
    assert lines[0].split() == ["file", "a.png"]
    assert lines[2] == "loop     sample 0, 141120 samples"


def test_plot_twice_is_the_same(run, tmp_path: Path) -> None:
    """The same score gives the same bytes."""
    run("a.json", "-o", "a.png")
    run("a.json", "-o", "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("suffix", [".log", ".vgm", ".vgz"])
def test_a_register_log_has_its_score_s_waveform(run, tmp_path: Path, suffix: str) -> None:
    """Score and log sound alike, so their waveforms are the same pixels; the log has no piano roll."""
    score = pieces.loop_score(bars=2)
    log = drive(score)
    data = {".log": register_text.dumps(log).encode(), ".vgm": vgm.dumps(log), ".vgz": vgm.dumps_vgz(log)}[suffix]
    (tmp_path / f"a{suffix}").write_bytes(data)
    assert run(f"a{suffix}", "-o", "log.png")[0] == 0
    assert run("a.json", "-o", "score.png")[0] == 0
    roll = piano_roll.Roll(score).height + plot._GAP - piano_roll.RULER_HEIGHT
    of_log, of_score = (np.asarray(PIL_Image.open(tmp_path / name)) for name in ("log.png", "score.png"))
    assert len(of_score) - len(of_log) == roll
    top = canvas.HEADER_HEIGHT + piano_roll.RULER_HEIGHT + plot._CAPTION
    waves = [(part == plot._BEFORE).all(axis=2)[: plot._WAVE_HEIGHT, LEFT:-plot._RIGHT] for part in (of_log[top:], of_score[top + roll :])]
    # VGM counts 44 100ths of a second, so writes may move by a part of a sample.
    assert (waves[0] != waves[1]).mean() < (0.002 if suffix == ".log" else 0.05)


@pytest.mark.parametrize(("suffix", "module"), [(".wav", wav), (".ogg", ogg), (".flac", flac)])
def test_a_sound_file_has_its_loop(run, tmp_path: Path, suffix: str, module) -> None:
    """The loop of a sound file comes from its tags."""
    module.save(tone(440, 0.5, loop=(100, 2000)), tmp_path / f"a{suffix}", {"TITLE": "A tone"})
    code, output, _ = run(f"a{suffix}", "-o", "x.png", "--json")
    assert (code, json.loads(output)["loop"]) == (0, {"start": 100, "length": 2000})


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("a.json", "-o", "x.jpg"), 2, "a picture is saved as FILE.png, not 'x.jpg' (see nesasset plot --help)"),
        (("a.json",), 2, "Missing option '-o'. (see nesasset plot --help)"),
        (
            ("a.mp3", "-o", "x.png"), 1,
            "cannot tell what 'a.mp3' is: the suffix must be one of .json, .vgm, .vgz, .log, .wav, .ogg, .flac",
        ),
        (("b.json", "-o", "x.png"), 1, "cannot read 'b.json': No such file or directory; check the path"),
        (("b.flac", "-o", "x.png"), 1, "b.flac: the file is no FLAC: it does not begin with fLaC"),
        (("a.json", "-o", "no/x.png"), 1, "cannot write 'no/x.png': its folder does not exist; make the folder first"),
        (("long.json", "-o", "x.png"), 1, None),
        (("long.log", "-o", "x.png"), 1, None),
        (("b.mid", "-o", "x.png"), 2, "b.mid is MIDI: make a score of it with nesasset import (see nesasset plot --help)"),
        (("b.ftm.txt", "-o", "x.png"), 2, None),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_sentence(run, tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str | None) -> None:
    """A wrong file, place or length ends with its exit code and a sentence, and leaves nothing."""
    (tmp_path / "b.flac").write_bytes(b"nothing")
    if "long" in arguments[0]:
        long = Score(dict.fromkeys(("P1", "P2", "TR", "NO"), pieces.jingle_score().voices["NO"] * 400), (), groove=(17,))
        score_json.save(long, tmp_path / "long.json")
        (tmp_path / "long.log").write_text(register_text.dumps(drive(long)))
    before = sorted(path.name for path in tmp_path.iterdir())
    found, output, errors = run(*arguments)
    assert (found, output, errors.count("\n")) == (code, "", 1)
    assert sentence is None or errors == f"nesasset: {sentence}\n"
    if "long" in arguments[0]:
        assert "a picture shows at most 3600 seconds, and the piece lasts 3627" in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == before
