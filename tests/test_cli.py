"""The command line: exit codes and exact sentences, results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pieces
import pytest
import soundfile

import nesasset
from nesasset import cli
from nesasset.build import facts, stages
from nesasset.compose.controls import Controls
from nesasset.driver import drive
from nesasset.formats import files, flac, midi, ogg, score_json, wav
from nesasset.score import Score
from nesasset.themes import THEMES

MANIFEST = "schema = 1\n[pack]\nname = 'tests'\n[track.town]\ntheme = 'town'\nseed = 3\n[track.item]\ntheme = 'item'\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch) -> Path:
    """Run every test in an empty folder, with pieces instead of the model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages, "compose_score", pieces.compose)
    return tmp_path


@pytest.fixture
def score(place: Path) -> Score:
    score = pieces.loop_score()
    score_json.save(score, place / "score.json")
    return score


# The command itself.


def test_version(run) -> None:
    """--version prints name and version."""
    assert run("--version") == (0, f"nesasset {nesasset.__version__}\n", "")


def test_help_names_every_command(run) -> None:
    """--help lists all commands."""
    code, output, errors = run("--help")
    assert (code, errors) == (0, "")
    assert all(f"\n  {name} " in output for name in cli.COMMANDS)


def test_no_command_prints_help(run) -> None:
    """Without a command the help is shown and the code is that of wrong usage."""
    code, _, errors = run()
    assert code == 2
    assert "Commands:" in errors


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["bake"], "No such command 'bake'. (see nesasset --help)"),
        (["--loud"], "No such option '--loud'. (see nesasset --help)"),
        (["compose"], "Missing argument 'THEME'. (see nesasset compose --help)"),
        (["compose", "town"], "Missing option '-o'. (see nesasset compose --help)"),
        (["compose", "town", "-o", "x.json", "--bar", "3"], None),
        (["compose", "town", "-o", "x.json", "--seed", "x"], None),
        (["compose", "castel", "-o", "x.json"], "unknown theme 'castel', did you mean castle or chase or cave?"),
        (["compose", "town", "-o", "x.json", "--tempo", "900"], "tempo_bpm must be between 30 and 300, not 900.0"),
        (["compose", "town", "-o", "x.json", "--bars", "0"], "bars must be between 1 and 512, not 0"),
        (["compose", "town", "-o", "x.json", "--key", "H"], "key must be a note name such as C, F# or Bb, not 'H'"),
        (["compose", "town", "-o", "x.json", "--mode", "blue"], "mode must be major or minor, not 'blue'"),
        (["compose", "town", "-o", "x.json", "--density", "7"], "density must be between 0 and 1, not 7.0"),
        (["compose", "town", "-o", "x.json", "--candidates", "0"], "candidates must be between 1 and 64, not 0"),
        (["compose", "town", "-o", "x.json", "--seed", "-1"], "seed must be between 0 and 9223372036854775807, not -1"),
        (
            ["compose", "town", "-o", "x.wav"],
            "a score is saved as FILE.json, not 'x.wav'; nesasset render makes other formats (see nesasset compose --help)",
        ),
        (
            ["compose", "town", "-o", "-", "--json"],
            "-o - prints the score on standard output, so --json cannot print there too (see nesasset compose --help)",
        ),
        (
            ["render", "score.json", "-o", "x.mp3"],
            "the suffix of 'x.mp3' must be one of .wav, .ogg, .flac, .mid, .ftm.txt, .fms.txt, .nsf, .nes, .vgm, .vgz, .log (see nesasset render --help)",
        ),
        (
            ["render", "score.json", "-o", "x.mid", "--rate", "48000"],
            "--rate, --loops, --fade and --voicing are for sound; a .mid file has none (see nesasset render --help)",
        ),
        (
            ["render", "score.json", "-o", "x.ogg", "--fade", "2"],
            "--fade needs --loops: an endless loop has no end to fade out at (see nesasset render --help)",
        ),
        (
            ["render", "score.json", "-o", "x.ogg", "--fade", "99", "--loops", "1"],
            "--fade must be between 0 and 60 seconds, not 99 (see nesasset render --help)",
        ),
        (["render", "score.json", "-o", "x.ogg", "--loops", "0"], None),
        (["build", "-m", "none.toml"], "no manifest: cannot read 'none.toml': No such file or directory; check the path"),
        (["build", "-j", "0"], None),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(run, place: Path, score: Score, arguments: list[str], sentence: str | None) -> None:
    """What was typed wrongly ends with 2 and a sentence, and makes no file."""
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("nesasset: ")
    assert errors.count("\n") == 1
    assert sentence is None or errors == f"nesasset: {sentence}\n"
    assert [path.name for path in place.iterdir()] == ["score.json"]


def test_unexpected_errors_show_traceback_and_versions(run, monkeypatch) -> None:
    """A fault of ours ends with 3 and says what a report needs."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(stages, "take", broken)
    code, output, errors = run("compose", "town", "-o", "x.json")
    assert (code, output) == (3, "")
    assert "Traceback" in errors
    assert "ZeroDivisionError: oh" in errors
    assert f"nesasset {nesasset.__version__}" in errors.splitlines()[-1]


def test_interrupts_are_130(run, monkeypatch) -> None:
    """Ctrl-C ends with 130 and one word."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "take", interrupted)
    code, output, errors = run("compose", "town", "-o", "x.json")
    assert (code, output, errors.strip()) == (130, "", "nesasset: interrupted")


def test_a_closed_pipe_is_quiet() -> None:
    """`nesasset themes | head -1` prints no traceback."""
    command = f"{sys.executable} -m nesasset themes --json | head -c 1"
    environment = os.environ | {"PYTHONPATH": str(Path(nesasset.__file__).parent.parent)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.stderr) == ("[", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_a_pipe_is_one_sentence() -> None:
    """Results that cannot be written to standard output are an expected failure."""
    environment = os.environ | {"PYTHONPATH": str(Path(nesasset.__file__).parent.parent)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nesasset", "themes"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "nesasset: cannot read or write: No space left on device\n")


# themes


def test_themes_lists_all(run) -> None:
    """The table has a line for each theme, and its sentence."""
    code, output, _ = run("themes")
    assert code == 0
    for entry in THEMES.values():
        assert any(line.startswith(f"{entry.name} ") and line.endswith(entry.sentence) for line in output.splitlines())


def test_themes_json(run) -> None:
    """The JSON form has every field of every theme."""
    listed = json.loads(run("themes", "--json")[1])
    assert [entry["name"] for entry in listed] == list(THEMES)
    assert listed[0].keys() == set(type(THEMES["title"]).__dataclass_fields__)


# compose


def test_compose_saves_a_score(run, place: Path) -> None:
    """The score is the composer's for these arguments."""
    code, output, errors = run("compose", "town", "--seed", "7", "--bars", "2", "--tempo", "180", "-o", "town.json")
    assert (code, errors) == (0, "")
    score = score_json.load(place / "town.json")
    assert (score.n_bars, score.tempo_bpm, score.provenance["seed"]) == (2, 180, 7)
    assert "certificate  passed (7 checks of the loop)" in output


def test_compose_json(run) -> None:
    """The summary for programs names file, seeds and certificate."""
    result = json.loads(run("compose", "item", "--seed", "7", "-o", "a.json", "--json")[1])
    assert (result["file"], result["seed_used"], result["certificate"]["kind"]) == ("a.json", 7, "ending")


def test_compose_to_a_pipe(run, place: Path) -> None:
    """`-o -` prints the score and nothing else."""
    code, output, errors = run("compose", "town", "-o", "-")
    assert (code, errors) == (0, "")
    score, composed = score_json.loads(output), pieces.compose("town", 0, Controls())
    assert score.voices == composed.voices
    assert set(score.provenance) == set(composed.provenance) | {"controls", "seal"}
    assert not list(place.iterdir())


def test_compose_twice_is_the_same(run, place: Path) -> None:
    """The same arguments give the same bytes."""
    run("compose", "cave", "--seed", "3", "-o", "a.json")
    run("compose", "cave", "--seed", "3", "-o", "b.json")
    assert (place / "a.json").read_bytes() == (place / "b.json").read_bytes()


def test_compose_that_never_passes_is_1(run, place: Path, monkeypatch) -> None:
    """When no seed closes the loop, nothing is written."""
    monkeypatch.setattr(stages, "compose_score", pieces.compose_broken)
    code, output, errors = run("compose", "town", "-o", "a.json")
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert "none of 8 seeds from 0 gave a town that passes its certificate" in errors
    assert not list(place.iterdir())


def test_compose_into_a_missing_folder_is_1(run) -> None:
    """A place that cannot be written is an expected failure."""
    sentence = "cannot write 'no/a.json': its folder does not exist; make the folder first"
    assert run("compose", "town", "-o", "no/a.json") == (1, "", f"nesasset: {sentence}\n")


# render


@pytest.mark.parametrize(("suffix", "module"), [(".wav", wav), (".ogg", ogg), (".flac", flac)])
def test_render_writes_sound_with_its_loop(run, place: Path, score: Score, suffix: str, module) -> None:
    """Each format carries rate and loop."""
    assert run("render", "score.json", "-o", f"a{suffix}", "--rate", "48000")[0] == 0
    info = module.describe(place / f"a{suffix}")
    assert (info.sample_rate_hz, info.loop) == (48_000, (0, score.n_frames * 800))


def test_render_writes_midi(run, place: Path, score: Score) -> None:
    """The suffix .mid gives MIDI of the same tempo."""
    assert run("render", "score.json", "-o", "a.MID")[0] == 0
    assert midi.describe(place / "a.MID").tempo_bpm == pytest.approx(score.tempo_bpm, rel=1e-5)


def test_render_plays_loops_out(run, place: Path, score: Score) -> None:
    """--loops and --fade give a piece of that length without loop tags."""
    result = json.loads(run("render", "score.json", "-o", "a.wav", "--loops", "2", "--fade", "1.5", "--json")[1])
    info = wav.describe(place / "a.wav")
    assert info.loop is None
    assert result["loop"] is None
    assert info.n_samples == 2 * score.n_frames * 735 + 66_150


def test_render_twice_is_the_same(run, place: Path, score: Score) -> None:
    """The same score gives the same bytes in every format."""
    for suffix in (".wav", ".ogg", ".flac", ".mid"):
        run("render", "score.json", "-o", f"a{suffix}")
        run("render", "score.json", "-o", f"b{suffix}")
        assert (place / f"a{suffix}").read_bytes() == (place / f"b{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot read 'bad.json': No such file or directory; check the path"),
        ("{", None),
        ("[]", None),
        ('{"format": "nesasset-score"}', None),
        ("[" * 100_000, None),
        ("\x00\x01", None),
    ],
)
def test_broken_scores_are_1(run, place: Path, text: str | None, sentence: str | None) -> None:
    """A file that is no score ends with 1 and one sentence, and nothing is written."""
    if text is not None:
        (place / "bad.json").write_text(text)
    code, output, errors = run("render", "bad.json", "-o", "a.wav")
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert sentence is None or errors == f"nesasset: {sentence}\n"
    assert not (place / "a.wav").exists()


def test_render_refuses_a_loop_that_fails(run, place: Path) -> None:
    """An endless loop that fails its certificate is not written; played out, it is."""
    score_json.save(pieces.broken_loop_score(), place / "bad.json")
    code, _, errors = run("render", "bad.json", "-o", "a.ogg")
    assert code == 1
    assert errors.startswith("nesasset: the loop fails its certificate (held notes: triangle would go on otherwise")
    assert errors.endswith("; mend the score or play it out with --loops 1\n")
    assert not (place / "a.ogg").exists()
    assert run("render", "bad.json", "-o", "a.ogg", "--loops", "1")[0] == 0


def test_render_rate_out_of_range_is_1(run, score: Score) -> None:
    """A rate that the chip cannot be heard at is refused with its range."""
    sentence = "sample_rate_hz must be between 8000 and 96000, not 5"
    assert run("render", "score.json", "-o", "a.wav", "--rate", "5") == (1, "", f"nesasset: {sentence}\n")


def test_loops_of_a_jingle_are_refused(run, place: Path) -> None:
    """A piece that ends has no loop to repeat."""
    score_json.save(pieces.jingle_score(), place / "jingle.json")
    sentence = "the piece does not loop, so --loops has nothing to repeat; leave it out"
    assert run("render", "jingle.json", "-o", "a.wav", "--loops", "2") == (1, "", f"nesasset: {sentence}\n")


# build


def test_build_prints_a_line_a_track(run, place: Path) -> None:
    """The summary names track, theme, bars, tempo, length, seed and certificate, and the time."""
    (place / "nesasset.toml").write_text(MANIFEST)
    code, output, errors = run("build", "-j", "1")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].split() == ["track", "theme", "bars", "tempo", "length", "LUFS", "seed", "certificate"]
    assert lines[1].split()[:6] == ["town", "town", "4", "150.0", "6.4", "s"]
    assert lines[1].split()[7:] == ["3", "loop", "passed"]
    assert lines[3].startswith("2 tracks in pack, made in ")
    assert (place / "pack" / "pack.json").exists()


def test_build_json(run, place: Path) -> None:
    """The JSON form holds pack.json."""
    (place / "nesasset.toml").write_text(MANIFEST)
    result = json.loads(run("build", "-j", "1", "-o", "out", "--json")[1])
    assert result["pack"] == json.loads((place / "out/pack.json").read_bytes())


def test_build_with_a_faulty_manifest_is_2(run, place: Path) -> None:
    """All faults are printed, a line each, and no folder is made."""
    (place / "nesasset.toml").write_text(MANIFEST.replace("seed", "sead").replace("'item'", "'itm'"))
    code, output, errors = run("build")
    assert (code, output) == (2, "")
    assert errors.splitlines() == [
        "nesasset: nesasset.toml:6: unknown key track.town.sead, did you mean seed or scale?",
        "nesasset: nesasset.toml:8: track.item.theme: unknown theme 'itm', did you mean item or title or victory?",
    ]
    assert not (place / "pack").exists()


def test_build_into_a_file_is_1(run, place: Path) -> None:
    """A folder that cannot be made is an expected failure."""
    (place / "nesasset.toml").write_text(MANIFEST)
    (place / "pack").write_text("")
    assert run("build", "-j", "1") == (1, "", "nesasset: cannot write to the folder pack: File exists\n")


# info


@pytest.fixture
def built(run, place: Path) -> Path:
    (place / "nesasset.toml").write_text(MANIFEST)
    run("build", "-j", "1")
    return place / "pack"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("town.json", "score"),
        ("town.ogg", "audio"),
        ("town.mid", "midi"),
        ("town.track.json", "track"),
        ("item.track.json", "track"),
        ("pack.json", "pack"),
    ],
)
def test_info_knows_every_file_of_a_pack(run, built: Path, name: str, kind: str) -> None:
    """Every file of a pack is described, for people and for programs."""
    code, output, errors = run("info", str(built / name))
    assert (code, errors) == (0, "")
    assert output.startswith("file")
    assert json.loads(run("info", str(built / name), "--json")[1])["kind"] == kind


def test_info_of_a_score_shows_its_certificate(run, built: Path) -> None:
    """A score is played and certified; bars, tempo, loop and voices are named."""
    result = json.loads(run("info", str(built / "town.json"), "--json")[1])
    assert (result["bars"], result["tempo_bpm"], result["loop"]["rows"]) == (4, 150, {"start": 0, "end": 64})
    assert result["voices"]["P1"]["notes"] > 0
    assert result["certificate"] == json.loads((built / "town.track.json").read_bytes())["certificate"]


def test_info_finds_a_changed_file(run, built: Path) -> None:
    """A sidecar whose sound has been replaced does not match."""
    (built / "town.ogg").write_bytes((built / "item.ogg").read_bytes())
    for name in ("town.track.json", "pack.json"):
        code, output, errors = run("info", str(built / name))
        assert (code, output) == (1, "")
        assert f"town.ogg is not the file that {name} lists: its SHA-256 differs; build it again" in errors


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("files"),
        lambda value: value.update(files={"../town.ogg": {}}),
        lambda value: value.update(files={"town.ogg": 3}),
        lambda value: value.update(certificate={"checks": [1]}),
        lambda value: value.update(theme=3),
        lambda value: value.update(controls=json.loads("[" * 200 + "]" * 200)),
    ],
)
def test_info_refuses_a_damaged_sidecar(run, built: Path, change) -> None:
    """A sidecar that lacks something or holds something else is refused in one sentence."""
    value = json.loads((built / "town.track.json").read_bytes())
    change(value)
    (built / "town.track.json").write_text(json.dumps(value))
    code, output, errors = run("info", str(built / "town.track.json"))
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.endswith("build it again\n")


@pytest.mark.parametrize("name", ["none.json", "none.ogg", "a.xyz", "bad.json", "bad.ogg", "bad.mid", "bad.wav", "bad.flac"])
def test_info_of_no_file_of_ours_is_1(run, place: Path, name: str) -> None:
    """Anything else ends with 1 and one sentence."""
    if name.startswith("bad"):
        (place / name).write_bytes(b"OggS nothing" * 9)
    code, output, errors = run("info", name)
    assert (code, output, errors.count("\n")) == (1, "", 1)


def test_every_suffix_that_info_reads_is_documented_in_its_help(run) -> None:
    """The help of info names what it can read."""
    output = run("info", "--help")[1]
    assert all(word in output for word in ("score", "sidecar", "pack.json", "WAV", "OGG", "FLAC", "MIDI", "model"))
    assert len(facts._READERS) == 6


def test_files_are_written_whole(run, score: Score, place: Path, monkeypatch) -> None:
    """When the disk is full the old file stays."""
    (place / "a.wav").write_bytes(b"old")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    sentence = "cannot write 'a.wav': the disk is full; free some space and try again"
    assert run("render", "score.json", "-o", "a.wav") == (1, "", f"nesasset: {sentence}\n")
    assert (place / "a.wav").read_bytes() == b"old"


CHIP_SUFFIXES = (".nsf", ".nes", ".vgm", ".vgz", ".log")


@pytest.mark.parametrize("suffix", CHIP_SUFFIXES)
def test_render_writes_chip_files(run, place: Path, score: Score, suffix: str) -> None:
    """A score becomes every chip file, and the facts count its writes."""
    code, out, _ = run("render", "score.json", "-o", f"out{suffix}", "--album", "The Mole", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["songs"] == 1
    assert facts["writes"] == len(drive(score).frames)
    assert facts["bytes"] == (place / f"out{suffix}").stat().st_size


@pytest.mark.parametrize("suffix", [".vgm", ".vgz", ".log"])
def test_register_logs_sound_as_their_score(run, place: Path, score: Score, suffix: str) -> None:
    """Sound from a log that was written is sound from the score it was written from."""
    assert run("render", "score.json", "-o", f"out{suffix}")[0] == 0
    for source, sound in (("score.json", "a.wav"), (f"out{suffix}", "b.wav")):
        assert run("render", source, "-o", sound, "--voicing", "raw", "--loops", "1")[0] == 0
    first, second = (soundfile.read(place / name, dtype="int16")[0] for name in ("a.wav", "b.wav"))
    assert (first == second).all()


def test_render_packs_several_songs(run, place: Path, score: Score) -> None:
    """An NSF takes several scores; a sound file takes one."""
    code, out, _ = run("render", "score.json", "score.json", "-o", "pack.nsf", "--json")
    assert code == 0
    assert json.loads(out)["songs"] == 2
    assert (place / "pack.nsf").read_bytes()[6] == 2
    code, _, error = run("render", "score.json", "score.json", "-o", "pack.wav")
    assert code == 2
    assert "holds one piece" in error


@pytest.mark.parametrize("suffix", [".ftm.txt", ".mid"])
def test_what_is_written_for_other_programs_comes_back(run, place: Path, score: Score, suffix: str) -> None:
    """Score, file, score: the same notes in the same rows."""
    assert run("render", "score.json", "-o", f"out{suffix}")[0] == 0
    code, out, _ = run("import", f"out{suffix}", "-o", "back.json", "--json")
    assert code == 0
    back = score_json.load(place / "back.json")
    assert json.loads(out)["bars"] == back.n_bars == score.n_bars
    for voice in ("P1", "P2", "TR"):
        pitches = [[getattr(cell, "pitch", None) for cell in piece.voices[voice]] for piece in (back, score)]
        assert pitches[0] == pitches[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("render", "out.mid", "-o", "x.wav"), "nesasset import"),
        (("render", "out.ftm.txt", "-o", "x.wav"), "nesasset import"),
        (("render", "score.json", "-o", "x.nsf", "--rate", "44100"), "are for sound"),
        (("render", "score.json", "-o", "x.wav", "--author", "A"), "are for chip files"),
        (("import", "score.json", "-o", "x.json"), "must be one of"),
    ],
)
def test_what_does_not_go_together_is_2(run, score: Score, arguments: tuple[str, ...], sentence: str) -> None:
    """A wrong pair of file and option is one sentence that says what to do."""
    code, _, error = run(*arguments)
    assert code == 2
    assert sentence in error
