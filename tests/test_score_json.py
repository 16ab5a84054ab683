"""Score files: nothing is lost, equal scores give equal bytes, and broken files give one sentence with the place."""

from __future__ import annotations

import json
import random
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from idiom_strategies import idiom_scores
from strategies import scores

from nesasset.errors import FormatError, NesassetError, OutputError, ScoreError
from nesasset.formats import files, score_json
from nesasset.score import HOLD, MAX_ROWS, REST, Instrument, Note, Score, Vibrato

DOCS = Path(__file__).parent.parent / "docs" / "score-format.md"

SMALL = Score(
    voices={
        "P1": (Note(0, 60), HOLD, Note(0, 61, delay=2), REST),
        "P2": (HOLD, Note(0, 108), HOLD, HOLD),
        "TR": (Note(1, 21), HOLD, REST, HOLD),
        "NO": (Note(2), HOLD, Note(2, delay=1), HOLD),
    },
    instruments=(Instrument("pulse", (15, 8), duty=2), Instrument("triangle"), Instrument("noise", (9,), period=3)),
    bar_rows=3,
    loop=(1, 4),
    delays={"P2": 3},
    title="Höhle",
    provenance={"seed": 2**70, "nested": [1, 2.5, None, {"a": True}]},
)


def broken(**changes: Any) -> str:
    """Return SMALL's text with some keys replaced; ... removes one."""
    document = json.loads(score_json.dumps(SMALL)) | changes
    return json.dumps({key: value for key, value in document.items() if value is not ...})


@given(scores() | idiom_scores(provenance=True))
def test_out_and_back(score: Score) -> None:
    """Every valid score comes back equal, and writing it again gives the same bytes."""
    text = score_json.dumps(score)
    assert score_json.loads(text) == score
    assert score_json.dumps(score_json.loads(text)) == text


@given(scores() | idiom_scores())
@settings(max_examples=40)
def test_a_plain_reader_agrees(score: Score) -> None:
    """The text is JSON in which any reader finds every row: cell counts and notes are there without our parser."""
    document = json.loads(score_json.dumps(score))
    for index, voice in enumerate(("P1", "P2", "TR", "NO")):
        tokens = " ".join(bar[index] for bar in document["bars"]).split(" ")
        assert len(tokens) == score.n_rows
        for token, cell in zip(tokens, score.voices[voice], strict=True):
            if isinstance(cell, Note):
                assert int(re.split("[/+v~]", token)[1]) == cell.instrument
            else:
                assert token == {HOLD: ".", REST: "-"}[cell]


def test_text_is_pinned() -> None:
    """The text of a small score is exactly this: the format may not change without a new version."""
    assert score_json.dumps(SMALL) == (
        '{\n"format": "nesasset-score",\n"version": 1,\n"driver": 1,\n"title": "Höhle",\n"theme": "",\n"groove": [6],\n"bar_rows": 3,\n'
        '"beat_rows": 4,\n"loop": [1, 4],\n"delays": {"P2": 3},\n"instruments": [\n'
        '{"kind": "pulse", "name": "", "duty": 2, "volume": [15, 8]},\n'
        '{"kind": "triangle", "name": "", "volume": [15]},\n'
        '{"kind": "noise", "name": "", "period": 3, "mode": 0, "volume": [9]}\n],\n"bars": [\n'
        '["C-4/0 . C#4/0+2", ". C-8/0 .", "A-0/1 . -", "x/2 . x/2+1"],\n'
        '["-", ".", ".", "."]\n],\n'
        '"provenance": {"nested": [1, 2.5, null, {"a": true}], "seed": 1180591620717411303424}\n}\n'
    )


MOVING = Score(
    voices={
        "P1": (Note(0, 60, volume=9), Note(0, 62, slide=6), Note(0, 64, delay=2, volume=0, slide=1024)),
        "P2": (REST, HOLD, HOLD),
        "TR": (HOLD, Note(1, 45, delay=1, slide=3), HOLD),
        "NO": (Note(2, volume=4), HOLD, Note(2, delay=1, volume=14)),
    },
    instruments=(
        Instrument("pulse", (15, 8), 2, duties=(2, 0), arpeggio=(0, 4, 7), arpeggio_loop=0, vibrato=Vibrato(20, 12, 25)),
        Instrument("triangle", arpeggio=(0, -4)),
        Instrument("noise", (9,), period=3, arpeggio=(1,)),
    ),
    bar_rows=3,
)


def test_text_of_the_idioms_is_pinned() -> None:
    """Fields of idioms stand after the volume, and only where they are in use; a note's follow its instrument."""
    assert score_json.dumps(MOVING).splitlines()[11:20] == [
        '"instruments": [',
        '{"kind": "pulse", "name": "", "duty": 2, "volume": [15, 8], "duties": [2, 0], "arpeggio": [0, 4, 7], "arpeggio_loop": 0, "vibrato": {"delay": 20, "period": 12, "depth": 25}},',
        '{"kind": "triangle", "name": "", "volume": [15], "arpeggio": [0, -4]},',
        '{"kind": "noise", "name": "", "period": 3, "mode": 0, "volume": [9], "arpeggio": [1]}',
        "],",
        '"bars": [',
        '["C-4/0v9 D-4/0~6 E-4/0+2v0~1024", "- . .", ". A-2/1+1~3 .", "x/2v4 . x/2+1v14"]',
        "],",
        '"provenance": {}',
    ]
    assert score_json.loads(score_json.dumps(MOVING)) == MOVING


def test_a_file_may_say_what_is_the_default() -> None:
    """Empty lists, null and full volume in a file written by hand are what leaving them out is."""
    instrument = {"kind": "pulse", "duty": 2, "volume": [15, 8]}
    plain = {"duties": [], "arpeggio": [], "arpeggio_loop": None, "vibrato": None}
    others = json.loads(score_json.dumps(SMALL))["instruments"][1:]
    first, second = (
        score_json.loads(broken(instruments=[entry, *others])) for entry in (instrument, instrument | plain)
    )
    assert first == second
    assert score_json._token_to_cell("C-4/0+0v15~0", 1, "P1", 1) == Note(0, 60)


def test_order_of_mappings_does_not_matter() -> None:
    """Scores that are equal although their mappings were filled in another order give the same bytes."""
    one = Score(SMALL.voices, SMALL.instruments, delays={"P1": 1, "TR": 2}, provenance={"a": 1, "b": 2})
    two = Score(
        dict(reversed(SMALL.voices.items())), SMALL.instruments, delays={"TR": 2, "P1": 1}, provenance={"b": 2, "a": 1}
    )
    assert one == two
    assert score_json.dumps(one) == score_json.dumps(two)


def test_longest_score_fits() -> None:
    """A score of the greatest length, widest tokens and longest envelopes stays within the reader's bound."""
    cells = (Note(255, 61, delay=10, volume=10, slide=1024),) * MAX_ROWS
    pulse = (Instrument("pulse", (15,) * 1024, 0, 0, 0, "", (3,) * 1024, (-96,) * 1024, 1000, Vibrato(1000, 100, 1000)),) * 255
    score = Score(
        {"P1": cells, "P2": cells, "TR": (REST,) * MAX_ROWS, "NO": (HOLD,) * MAX_ROWS}, (*pulse, pulse[0]), groove=(64,)
    )
    assert score_json.loads(score_json.dumps(score)) == score


def test_save_and_load(tmp_path: Path) -> None:
    """A saved file loads as the same score."""
    path = tmp_path / "a.json"
    score_json.save(SMALL, path)
    assert score_json.load(path) == SMALL
    assert path.read_bytes().endswith(b"}\n")


def test_the_documented_example_loads() -> None:
    """The example in docs/score-format.md is a score, written exactly as the writer writes it."""
    (example,) = re.findall(r"```json\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    score = score_json.loads(example)
    assert (score.title, score.n_rows, score.loop) == ("Two bars", 12, (0, 12))
    assert score_json.dumps(score) == example


def test_optional_keys_may_be_missing() -> None:
    """A file written by hand may leave title, theme, delays and provenance out."""
    score = score_json.loads(broken(title=..., theme=..., delays=..., provenance=...))
    assert (score.title, score.delays, score.provenance) == ("", {}, {})
    assert score.voices == SMALL.voices


def test_windows_text_loads(tmp_path: Path) -> None:
    """A byte order mark and carriage returns, as Windows editors write them, do no harm."""
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + score_json.dumps(SMALL).replace("\n", "\r\n").encode())
    assert score_json.load(path) == SMALL


BARS = json.loads(score_json.dumps(SMALL))["bars"]
PULSE = {"kind": "pulse", "volume": [15]}
VIBRATO = {"delay": 0, "period": 8, "depth": 20}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"format": "midi"}, FormatError, 'format must be "nesasset-score", not "midi"'),
        ({"version": 2}, FormatError, "score version must be 1, not 2"),
        ({"version": True}, FormatError, "score version must be 1, not true"),
        ({"version": 1.0}, FormatError, "score version must be 1, not 1.0"),
        ({"titel": ""}, FormatError, 'unknown key "titel", did you mean title or theme?'),
        ({"groove": ...}, FormatError, "lacks the key groove"),
        ({"title": 3}, ScoreError, "title must be text"),
        ({"title": "\ud800"}, ScoreError, "title must be Unicode text"),
        ({"groove": 6}, ScoreError, "groove must be a list of whole numbers, not 6"),
        ({"groove": [6, True]}, ScoreError, "groove: number 2 must be a whole number in range, not true"),
        ({"groove": [0]}, ScoreError, "groove frames must be between 1 and 64, not 0"),
        ({"groove": []}, ScoreError, "groove length must be between"),
        ({"bar_rows": 0}, ScoreError, "bar_rows must be between 1 and 256, not 0"),
        ({"beat_rows": "4"}, ScoreError, 'beat_rows must be between 1 and 256, not "4"'),
        ({"loop": [1]}, ScoreError, "loop must be two rows"),
        ({"loop": [3, 9]}, ScoreError, "0 <= start < end <= 4"),
        ({"delays": {"P3": 1}}, FormatError, "delays has an unknown key"),
        ({"delays": {"P2": -1}}, ScoreError, "delay of P2 must be between 0 and 63, not -1"),
        ({"instruments": {}}, ScoreError, "instruments must be a list, not an object"),
        ({"instruments": [{"kind": "dmc", "volume": [1]}]}, ScoreError, "instrument 0: instrument kind must be"),
        ({"instruments": [{"kind": "pulse"}]}, FormatError, "instrument 0 lacks the key volume"),
        ({"instruments": [{"kind": "pulse", "volume": [16]}]}, ScoreError, "instrument 0: volume must be between 0 and"),
        ({"instruments": [PULSE | {"duties": 3}]}, ScoreError, "instrument 0: duties must be a list of whole numbers, not 3"),
        ({"instruments": [PULSE | {"duties": [0, 9]}]}, ScoreError, "instrument 0: duty of the sequence must be between 0 and 3"),
        ({"instruments": [PULSE | {"arpeggio": [0, "4"]}]}, ScoreError, "instrument 0: arpeggio: number 2 must be a whole"),
        ({"instruments": [PULSE | {"arpeggio": [99]}]}, ScoreError, "instrument 0: arpeggio step must be between -96 and 96"),
        ({"instruments": [PULSE | {"arpeggio_loop": 0}]}, ScoreError, "instrument 0: arpeggio_loop must be None where there"),
        ({"instruments": [PULSE | {"arpeggio_loop": "a"}]}, ScoreError, "instrument 0: arpeggio_loop must be a whole number"),
        ({"instruments": [PULSE | {"vibrato": 3}]}, ScoreError, "instrument 0: vibrato must be an object of delay, period"),
        ({"instruments": [PULSE | {"vibrato": {"dely": 3}}]}, FormatError, 'vibrato has an unknown key "dely", did you mean'),
        ({"instruments": [PULSE | {"vibrato": {"delay": 3}}]}, FormatError, "instrument 0: vibrato lacks the key period"),
        ({"instruments": [PULSE | {"vibrato": VIBRATO | {"depth": 0}}]}, ScoreError, "instrument 0: vibrato depth must be"),
        ({"instruments": [PULSE | {"vibrato": VIBRATO | {"depth": 2.5}}]}, ScoreError, "vibrato depth must be a whole number"),
        ({"bars": [BARS[0], ["C-4/0v16", ".", ".", "."]]}, ScoreError, "row 1: the note's volume must be between 0 and 15"),
        ({"bars": [BARS[0], ["C-4/0~2000", ".", ".", "."]]}, ScoreError, "row 1: the note's slide must be between 0 and 1024"),
        ({"bars": [BARS[0], ["C-4/0~2v9", ".", ".", "."]]}, ScoreError, "bar 2, pulse 1, row 1: a token must be"),
        ({"bars": [BARS[0], ["C-4/0v", ".", ".", "."]]}, ScoreError, "bar 2, pulse 1, row 1: a token must be"),
        ({"instruments": []}, ScoreError, "bar 1, pulse 1, row 1: instrument must be between"),
        ({"bars": []}, ScoreError, "bars must be a list of at least one bar"),
        ({"bars": [BARS[1], BARS[1]]}, ScoreError, "bar 1, pulse 1: must have 3 tokens, one a row, not 1"),
        ({"bars": [BARS[0], ["-", ". .", ".", "."]]}, ScoreError, "bar 2: all four voices must have the same number"),
        ({"bars": [BARS[0][:3]]}, ScoreError, "bar 1 must be a list of four texts"),
        ({"bars": [BARS[0], ["H-4/0", ".", ".", "."]]}, ScoreError, "bar 2, pulse 1, row 1: a token must be"),
        ({"bars": [BARS[0], ["E#4/0", ".", ".", "."]]}, ScoreError, "bar 2, pulse 1, row 1: a token must be"),
        ({"bars": [BARS[0], [".", ".", "C-0/1", "."]]}, ScoreError, "bar 2, triangle, row 1: pitch must be between 21"),
        ({"bars": [BARS[0], [".", ".", "x/1", "."]]}, ScoreError, "bar 2, triangle, row 1: pitch must be between 21"),
        ({"bars": [BARS[0], [".", ".", ".", "C-4/2"]]}, ScoreError, "bar 2, noise, row 1: a noise note has no pitch"),
        ({"bars": [BARS[0], [".", ".", "C-4/0", "."]]}, ScoreError, "instrument 0 is a pulse instrument"),
        ({"bars": [BARS[0], ["C-4/0+6", ".", ".", "."]]}, ScoreError, "row 1: the note's delay of 6 frames"),
        ({"provenance": []}, ScoreError, "provenance must be a JSON object"),
    ],
)  # fmt: skip
def test_broken_scores_name_the_place(changes: dict[str, Any], error: type[NesassetError], message: str) -> None:
    """A broken rule gives the right class and a sentence that says where."""
    with pytest.raises(error, match=re.escape(message)):
        score_json.loads(broken(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is not JSON"),
        ("{", "the text is not JSON"),
        ("[]", "must hold a JSON object, not a list of 0"),
        ("null", "must hold a JSON object, not null"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"format": "a", "format": "b"}', 'the key "format" stands twice'),
        ('{"x": NaN}', "finite, not NaN"),
        ('{"x": -Infinity}', "finite, not -Infinity"),
        ('{"x": 1e999}', "finite, not 1e999"),
        ('{"x": ' + "9" * 100_000 + "}", "at most 4000 digits"),
        ('{"x": -' + "9" * 4001 + "}", "at most 4000 digits"),
        (" " * (score_json.MAX_BYTES + 1), "at most 8388608 bytes"),
    ],
    ids=lambda value: value[:20],
)
def test_hostile_text(text: str, message: str) -> None:
    """Text that is no score file, or means harm, is a FormatError of one short sentence."""
    with pytest.raises(FormatError, match=re.escape(message)) as caught:
        score_json.loads(text)
    assert len(str(caught.value)) < 500


def test_load_names_the_file(tmp_path: Path) -> None:
    """An error in a file begins with the file's name."""
    path = tmp_path / "cave.json"
    path.write_text(broken(bar_rows=0))
    with pytest.raises(ScoreError, match=r"cave\.json: bar_rows must be"):
        score_json.load(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe{\0}\0", "must be UTF-8 text, but byte 0 is not"),
        (b" " * (score_json.MAX_BYTES + 1), "at most 8388608 bytes"),
    ],
    ids=["UTF-16", "large"],
)
def test_load_refuses_other_bytes(tmp_path: Path, data: bytes, message: str) -> None:
    """A file that is not UTF-8, or too large, is a FormatError."""
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        score_json.load(path)


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ({"a": float("nan")}, r"provenance\.a must be a finite number, not nan"),
        ({"a": [(1, 2)]}, r"provenance\.a\[0\] must be a JSON value"),
        ({1: 2}, "keys must be text"),
        ({"a": 10**5000}, "at most 3900 digits"),
        ({"a": "\udc00"}, "half of a surrogate pair"),
    ],
)
def test_provenance_must_be_json(provenance: dict[Any, Any], message: str) -> None:
    """What JSON cannot bring back is refused when writing, with its place."""
    with pytest.raises(ScoreError, match=message):
        score_json.dumps(Score(SMALL.voices, SMALL.instruments, provenance=provenance))


def test_bottomless_provenance_is_refused() -> None:
    """A mapping that holds itself ends at the depth bound."""
    provenance: dict[str, Any] = {}
    provenance["self"] = provenance
    with pytest.raises(ScoreError, match="nested too deeply"):
        score_json.dumps(Score(SMALL.voices, SMALL.instruments, provenance=provenance))


def test_provenance_has_a_bound() -> None:
    """More values than anybody writes by hand are refused, written and read."""
    provenance = {"a": [0] * (score_json.MAX_VALUES - 2)}  # with the object, its key and the list just as many
    score = Score(SMALL.voices, SMALL.instruments, provenance=provenance)
    with pytest.raises(ScoreError, match=r"^provenance must hold at most 65536 values; shorten it$"):
        score_json.dumps(score)
    with pytest.raises(ScoreError, match=r"^provenance must hold at most 65536 values; shorten it$"):
        score_json.loads(broken(provenance=provenance))
    provenance["a"].pop()
    assert score_json.loads(score_json.dumps(score)) == score


@pytest.mark.parametrize("score", [SMALL, MOVING], ids=["small", "moving"])
def test_mutated_files_raise_only_our_errors(score: Score) -> None:
    """600 damaged texts load or raise a NesassetError, nothing else."""
    generator = random.Random(1)
    text = score_json.dumps(score)
    pieces = [
        "null",
        "-1",
        "1e9",
        "[]",
        "{}",
        '"',
        "9" * 30,
        "true",
        "\\ud800",
        "/",
        "+99999",
        "x/0",
        "C-9/0",
        "\0",
        "٣",
    ]
    messages = []
    for _ in range(600):
        start = generator.randrange(len(text))
        stop = start + generator.choice((0, 1, 1, 5, 40))
        new = generator.choice([*pieces, generator.choice(string.printable), ""])
        try:
            score_json.loads(text[:start] + new + text[stop:])
        except NesassetError as error:
            messages.append(str(error))
    assert len(messages) > 300
    assert max(map(len, messages)) < 600
    assert not any("\n" in message for message in messages)


# Whole-file writing


def test_write_replaces_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    """A second write replaces the first; no temporary file stays."""
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"one")
    files.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("interrupt", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, interrupt: BaseException
) -> None:
    """Whatever stops a write, the old file stays as it was and the temporary one is gone."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise interrupt

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(OutputError if isinstance(interrupt, OSError) else type(interrupt)) as caught:
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(interrupt, OSError):
        assert "the disk is full" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "it is a folder"),
        ("missing/a.bin", "its folder does not exist"),
        ("plain/a.bin", "a part of the path is a file"),
        ("x" * 300, "the name is too long"),
        ("zero\0byte", "null byte"),
    ],
)
def test_where_nothing_can_be_written(tmp_path: Path, name: str, message: str) -> None:
    """A path that cannot be a file is an OutputError that says why."""
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(OutputError, match=message):
        files.write_bytes(f"{tmp_path}/{name}", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Writing through a symbolic link replaces the file it names."""
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    files.write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_devices_are_refused() -> None:
    """A device is neither replaced by a file nor read for ever."""
    with pytest.raises(OutputError, match="not a regular file"):
        files.write_bytes("/dev/null", b"")
    with pytest.raises(FormatError, match="not a regular file"):
        files.read_bytes("/dev/zero", 10)
