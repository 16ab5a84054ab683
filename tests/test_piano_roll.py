"""The piano roll: the same picture every run, notes where they sound, and no score that breaks it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pieces
import pytest
from hypothesis import given, settings
from idiom_strategies import idiom_scores, one_note, still
from strategies import scores

from nesasset.driver import drive, pitch_to_period
from nesasset.errors import OutputError
from nesasset.formats import canvas, piano_roll
from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, scale_volume

PIL_Image = pytest.importorskip("PIL.Image")


def piece(n_bars: int = 3, **changes: object) -> Score:
    """Return a piece with one note a voice in its first bar and silence after."""
    rows = 16 * n_bars
    voices = {
        voice: (*(HOLD,) * 4, Note(index, pitch), *(HOLD,) * 3, REST, *(HOLD,) * rows)[:rows]
        for index, (voice, pitch) in enumerate({"P1": 72, "P2": 64, "TR": 40, "NO": None}.items())
    }
    instruments = (Instrument("pulse"), Instrument("pulse"), Instrument("triangle"), Instrument("noise", period=8))
    return Score(voices, instruments, **{"title": "Höhle", "theme": "cave", **changes})  # type: ignore[arg-type]


def pixels_of(score: Score, color: tuple[int, int, int]) -> Iterator[tuple[int, int]]:
    """Yield the places of a color below the header."""
    image = piano_roll.draw(score)
    data = image.load()
    for y in range(canvas.HEADER_HEIGHT, image.height):
        for x in range(image.width):
            if data[x, y] == color:
                yield x, y


@given(scores())
@settings(max_examples=25, deadline=None)
def test_any_score_can_be_drawn(score: Score) -> None:
    """Every valid score gives a picture of a sensible size."""
    image = piano_roll.draw(score)
    assert 560 < image.width < 3500
    assert 100 < image.height < 20_000


@pytest.mark.parametrize("voice", ["P1", "P2", "TR", "NO"])
def test_a_note_is_drawn_where_it_sounds(voice: str) -> None:
    """A voice's color fills rows 4 to 7 of the first bar and nothing else."""
    score = piece()
    _, row_width = piano_roll._layout(score)
    left = canvas.MARGIN + piano_roll.LABEL_WIDTH
    color = canvas.VOICE_COLORS[voice]
    if voice == "TR":
        color = canvas.mix(color, canvas.PANEL, 0.45 + 0.55 * 12 / 15)
    columns = {(x - left) // row_width for x, _ in pixels_of(score, color)}
    assert columns == {4, 5, 6, 7}


def test_higher_notes_lie_higher() -> None:
    """Pulse 1's C5 is drawn eight semitones above pulse 2's E4."""
    tops = [min(y for _, y in pixels_of(piece(), canvas.VOICE_COLORS[voice])) for voice in ("P1", "P2")]
    assert tops[1] - tops[0] == 8 * piano_roll.SEMITONE - 1  # pulse 1 is a pixel slimmer


def test_loop_is_marked() -> None:
    """A loop draws its bracket from its first row to its last, and a piece that ends has none."""
    score = piece(loop=(16, 48))
    _, row_width = piano_roll._layout(score)
    left = canvas.MARGIN + piano_roll.LABEL_WIDTH
    columns = {x for x, _ in pixels_of(score, canvas.LOOP)}
    assert (min(columns), max(columns)) == (left + 16 * row_width, left + 48 * row_width)
    assert not list(pixels_of(piece(), canvas.LOOP))


def test_same_bytes_every_run(tmp_path: Path) -> None:
    """Saving twice gives the same bytes, a PNG without a date."""
    for name in ("a.png", "b.png"):
        piano_roll.save(piece(loop=(0, 48)), tmp_path / name)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    assert PIL_Image.open(io.BytesIO(data)).info == {}


def test_provenance_may_name_the_key() -> None:
    """A key in provenance, or among its controls, changes the header; anything else there does not."""
    plain = piano_roll.draw(piece()).tobytes()
    assert piano_roll.draw(piece(provenance={"key": "C minor"})).tobytes() != plain
    assert piano_roll.draw(piece(provenance={"controls": {"key": "C minor"}})).tobytes() != plain
    assert piano_roll.draw(piece(provenance={"key": 3, "controls": []})).tobytes() == plain


@pytest.mark.parametrize("title", ["", "x" * 5000, "line\nbreak\0", "\ud800", "日本語 \u202e \U0001f600"])
def test_any_title_can_be_drawn(title: str) -> None:
    """No title breaks the picture."""
    assert piano_roll.draw(piece(title=title)).width > 560


def test_a_long_score_stays_bounded() -> None:
    """Four thousand bars fit into the bounds of the picture."""
    cells = (HOLD,) * 65_536
    image = piano_roll.draw(Score(dict.fromkeys(("P1", "P2", "TR", "NO"), cells), (), loop=(0, 65_536)))
    assert image.width < 3500
    assert image.height < 20_000


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    """A picture in a folder that is not there is an OutputError."""
    with pytest.raises(OutputError, match="its folder does not exist"):
        piano_roll.save(piece(), tmp_path / "missing" / "a.png")


# What a score without idioms looks like must not change: packs are rebuilt byte by byte.


@pytest.mark.parametrize(
    ("score", "digest"),
    [
        (piece(loop=(16, 48)), "8bfde40190bbdbb2"),
        (pieces.loop_score(3, 9, 1, (6, 7)), "96f5244272beb24d"),
        (pieces.loop_score(3, 180, 1, (5,)), "91670ccef6fb5d22"),
        (pieces.jingle_score(), "362659a8d54d42eb"),
    ],
    ids=["piece", "two systems", "narrow rows", "jingle"],
)
def test_lines_and_blocks_are_where_they_were(score: Score, digest: str, monkeypatch) -> None:
    """All but the lettering, which is Pillow's affair, is the same as ever for scores without idioms."""
    monkeypatch.setattr(pytest.importorskip("PIL.ImageDraw").ImageDraw, "text", lambda *_, **__: None)
    image = piano_roll.draw(score)
    assert hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()[:16] == digest


# The idioms.


def line_of(score: Score, pitch: int) -> range:
    """Return the rows of pixels of a pitch in the first system."""
    roll = piano_roll.Roll(score)
    top = canvas.HEADER_HEIGHT + piano_roll.RULER_HEIGHT + (roll.high - pitch) * piano_roll.SEMITONE
    return range(top, top + piano_roll.SEMITONE)


def column_of(score: Score, frame: int) -> int:
    """Return the place of a frame in the first system of a score of one frame a row."""
    return canvas.MARGIN + piano_roll.LABEL_WIDTH + frame * piano_roll._layout(score)[1]


def lit(score: Score, frame: int) -> set[int]:
    """Return the rows of pixels, of a score's first system, that are as red as pulse 1 and nothing else, behind a frame's start."""
    image = piano_roll.draw(score)
    x = column_of(score, frame) + 1
    bottom = canvas.HEADER_HEIGHT + piano_roll.Roll(score).height
    pixels = ((y, image.getpixel((x, y))) for y in range(canvas.HEADER_HEIGHT + piano_roll.RULER_HEIGHT, bottom))
    return {y for y, (red, _, blue) in pixels if red > 1.7 * blue and red > 100}


@given(idiom_scores())
@settings(max_examples=25, deadline=None)
def test_any_score_with_idioms_can_be_drawn(score: Score) -> None:
    """Every valid score gives a picture of a sensible size, whatever its instruments do."""
    image = piano_roll.draw(score)
    assert 560 < image.width < 3500
    assert 100 < image.height < 20_000


def test_a_note_s_volume_scales_its_brightness() -> None:
    """A note at volume 7 is as bright as an envelope at what that scales to."""
    score = one_note(Instrument("pulse", (12,)), 60, 16, volume=7)
    wanted = canvas.mix(canvas.VOICE_COLORS["P1"], canvas.PANEL, 0.45 + 0.55 * scale_volume(12, 7) / 15)
    assert piano_roll.draw(score).getpixel((column_of(score, 8), line_of(score, 60)[2])) == wanted


def sliding(first: int, second: int, slide: int, loop: tuple[int, int] | None = None) -> Score:
    """Return a pulse that plays one pitch for 16 frames and slides to another for 16."""
    voices: dict[str, tuple[Cell, ...]] = dict.fromkeys(("P1", "P2", "TR", "NO"), (REST,) * 32)
    voices["P1"] = (Note(0, first), *(HOLD,) * 15, Note(0, second, slide=slide), *(HOLD,) * 15)
    return Score(voices, (Instrument("pulse"),), groove=(1,), loop=loop)


def test_a_slide_begins_slanted() -> None:
    """A slide leaves from the pitch before, is half way after half its frames, and then stays where it arrives."""
    score = sliding(60, 66, 8)
    middle = {pitch: line_of(score, pitch)[piano_roll.SEMITONE // 2] for pitch in (60, 63, 66)}
    assert middle[60] in lit(score, 16)
    assert middle[63] in lit(score, 20)
    for frame in (24, 30):
        assert lit(score, frame) == set(line_of(score, 66)[1:-1])


def test_without_a_slide_a_note_begins_on_its_pitch() -> None:
    """The same notes without a slide change at once."""
    score = sliding(60, 66, 0)
    assert lit(score, 17) == set(line_of(score, 66)[1:-1])


def test_a_slide_longer_than_its_note_does_not_arrive() -> None:
    """A slide of 32 frames in a note of 16 ends half way."""
    score = sliding(60, 72, 32)
    assert line_of(score, 66)[piano_roll.SEMITONE // 2] in lit(score, 31)
    assert not lit(score, 31) & set(line_of(score, 72))


@given(idiom_scores(max_rows=24, loops=None))
@settings(max_examples=40, deadline=None)
def test_slides_begin_where_the_driver_begins_them(score: Score) -> None:
    """At a slide's first frame the register log has the pitch that the picture shows, loops included."""
    plain = tuple(replace(entry, arpeggio=(), arpeggio_loop=None) for entry in score.instruments)
    score = still(replace(score, instruments=plain, delays={}))
    log = drive(score)
    for voice, base in (("P1", 0x4002), ("P2", 0x4006), ("TR", 0x400A)):
        for sound, source in piano_roll._parts(score, voice):
            if sound.onset_frame >= log.n_frames:
                continue
            shown = sound.note.pitch if source is None else source
            before = log.frames <= sound.onset_frame
            low, high = (int(log.values[before & (log.addresses == base + byte)][-1]) for byte in (0, 1))
            assert (high & 7) << 8 | low == pitch_to_period(voice, shown)


def test_an_arpeggio_is_thin_steps_over_the_written_note() -> None:
    """Each frame has a step of two pixels where it sounds; the written pitch stays there, pale."""
    score = one_note(Instrument("pulse", arpeggio=(0, 4, 7), arpeggio_loop=0), 60, 12)
    image = piano_roll.draw(score)
    for frame in (3, 4, 5, 10):
        here = line_of(score, 60 + (0, 4, 7)[frame % 3])
        assert lit(score, frame) == set(here[2:4])
        pale = canvas.mix(canvas.VOICE_COLORS["P1"], canvas.PANEL, piano_roll._WRITTEN_SHARE)
        assert image.getpixel((column_of(score, frame) + 1, line_of(score, 60)[1])) == pale


def test_an_arpeggio_that_ends_holds_its_last_step() -> None:
    """Without a loop the last step stays."""
    score = one_note(Instrument("pulse", arpeggio=(0, 12)), 60, 12)
    assert lit(score, 9) == set(line_of(score, 72)[2:4])


def test_steps_of_the_noise_stop_at_its_lowest_period() -> None:
    """A drum that falls is drawn line by line down to the last, and no further."""
    score = one_note(Instrument("noise", period=13, arpeggio=(0, 1, 2, 3, 4)), None, 5)
    image = piano_roll.draw(score)
    bottom = canvas.HEADER_HEIGHT + piano_roll.Roll(score).height
    color = canvas.VOICE_COLORS["NO"]
    found = []
    for frame in range(1, 5):
        x = column_of(score, frame) + 1
        found.append([y for y in range(bottom - 64, bottom) if image.getpixel((x, y)) == color])
    lines = [[bottom - 64 + line * 4 + 1, bottom - 64 + line * 4 + 2] for line in (14, 15, 15, 15)]
    assert found == lines


def test_the_picture_has_room_for_every_step() -> None:
    """The pitches shown span what arpeggios reach, clamped to the voice's range."""
    roll = piano_roll.Roll(one_note(Instrument("pulse", arpeggio=(0, 96, -5)), 60, 12))
    assert (roll.low, roll.high) == (54, 109)
