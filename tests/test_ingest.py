"""Folders of any music become a corpus: every kind is read, nothing stops the batch, a killed run goes on, papers are kept."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click")
from made_up_music import write_folder
from pieces import jingle_score, loop_score

from export import ingest as command
from export import licences, readers, song_files
from export.dress import dress
from export.from_score import score_to_song
from export.ingest import ingest
from export.labels import label_of
from export.prepare import load_rows
from export.songs import Song
from nesasset.driver import drive
from nesasset.errors import NesassetError
from nesasset.formats import famitracker, midi, nesmdb_scores, score_json, vgm
from nesasset.score import HOLD, REST, Instrument, Note, Score
from nesasset.vocabulary import HOLD_ID, ONSET_ID, REST_ID, pitch_to_id

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of songs of every kind, in folders with and without papers, and what is none."""
    root = tmp_path_factory.mktemp("music") / "mine"
    write_folder(root / "tunes", 8)
    other = root / "deep" / "er"
    other.mkdir(parents=True)
    score = loop_score(bars=4)
    famitracker.save(score, other / "song.ftm.txt")
    score_json.save(replace(score, title="ours"), other / "ours.json")
    midi.save(jingle_score(), other / "jingle.mid")
    vgm_score = transposed(loop_score(bars=6), 3)
    (other / "log.vgm").write_bytes(vgm.dumps(drive(vgm_score)))
    (other / "score.pkl").write_bytes(nesmdb_scores.dumps(nesmdb_scores.score_to_nesmdb(transposed(loop_score(bars=6), 5))))
    (other / "broken.mid").write_bytes(b"MThd broken")
    (other / "notes.txt").write_text("buy milk")
    (other / "old.ftm").write_bytes(b"FamiTracker Module")
    (root / "deep" / "LICENSE").write_text("Creative Commons Legal Code\n\nCC0 1.0 Universal\n")
    (root / "tunes" / "licence.toml").write_text('licence = "CC-BY-4.0"\nauthor = "Ada"\nexclude = ["song_3.mid"]\n')
    return root


def transposed(score: Score, semitones: int) -> Score:
    voices = {
        voice: tuple(replace(c, pitch=c.pitch + semitones) if isinstance(c, Note) and c.pitch is not None else c for c in cells)
        for voice, cells in score.voices.items()
    }
    return replace(score, voices=voices)


@pytest.fixture(scope="module")
def corpus(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "corpus"
    ingest(folder, out, ratio=0.2, jobs=1)
    return out


def records(corpus: Path) -> dict[str, dict[str, str]]:
    with (corpus / "files.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


# A score on the model's rows


def test_a_score_keeps_its_rows() -> None:
    """Cells, loop, bars and envelopes are the score's own; a rest while nothing sounds is no event."""
    score = loop_score(bars=4)
    song = score_to_song(score, "a")
    assert isinstance(song, Song)
    assert (song.bar_rows, song.row_frames, len(song.cells)) == (16, score.groove[0], score.n_rows)
    for column, voice in enumerate(("P1", "P2", "TR", "NO")):
        for row, cell in enumerate(score.voices[voice]):
            if isinstance(cell, Note):
                assert song.cells[row, column] == (ONSET_ID if voice == "NO" else pitch_to_id(cell.pitch))
    assert song.loop == score.loop
    first = next(cell for cell in score.voices["P1"] if isinstance(cell, Note))
    volume = score.instruments[first.instrument].volume
    span = int(song.notes["P1"][0, 3])
    assert song.envelopes["P1"][0, :span].tolist() == [*volume, *[volume[-1]] * 40][:span]


def one_voice(cells, groove=(6,), bar_rows=16, loop=None) -> Score:
    silent = (REST,) * len(cells)
    return Score({"P1": tuple(cells), "P2": silent, "TR": silent, "NO": silent}, (Instrument("pulse"),), groove, bar_rows, 4, loop)


def test_long_rows_are_halved_and_short_ones_joined() -> None:
    """Rows of 12 frames become two of 6, rows of 2 frames one of 4; the music keeps its time."""
    cells = [Note(0, 60), HOLD, Note(0, 64), REST] * 8
    slow = score_to_song(one_voice(cells, (12,), 8), "a")
    assert isinstance(slow, Song)
    assert (slow.row_frames, slow.bar_rows, len(slow.cells)) == (6, 16, 64)
    assert slow.cells[:8, 0].tolist() == [pitch_to_id(60), HOLD_ID, HOLD_ID, HOLD_ID, pitch_to_id(64), HOLD_ID, REST_ID, HOLD_ID]
    quick = score_to_song(one_voice([Note(0, 60), HOLD, HOLD, HOLD] * 32, (2,), 32), "a")
    assert isinstance(quick, Song)
    assert (quick.row_frames, quick.bar_rows, len(quick.cells)) == (4, 16, 64)
    assert quick.cells[:4, 0].tolist() == [pitch_to_id(60), HOLD_ID, pitch_to_id(60), HOLD_ID]


def test_silent_bars_around_the_music_go() -> None:
    """Empty bars before the first note and behind the last are no part of the song; a loop mark moves along."""
    cells = [*[HOLD] * 32, *[Note(0, 60), HOLD, HOLD, REST] * 12]
    song = score_to_song(one_voice(cells, loop=(48, 80)), "a")
    assert isinstance(song, Song)
    assert (len(song.cells), song.loop) == (48, (16, 48))
    assert score_to_song(one_voice([HOLD] * 64), "a") == "silent"
    assert score_to_song(one_voice([Note(0, 60)] + [REST] * 15), "a") == "fewer than 24 rows"


def test_a_piece_without_marks_loops_as_a_whole_if_asked() -> None:
    """64 bars at most, and only where that is asked for."""
    cells = [Note(0, 60), HOLD, HOLD, REST] * 12
    whole, marked = (score_to_song(one_voice(cells), "a", whole=flag) for flag in (True, False))
    assert isinstance(whole, Song) and isinstance(marked, Song)
    assert (whole.loop, marked.loop) == ((0, 48), None)


def test_songs_are_kept_in_files(tmp_path) -> None:
    """A song comes back as it was."""
    song = score_to_song(loop_score(bars=4), "ä", "train", "water")
    assert isinstance(song, Song)
    song_files.save(song, tmp_path / "a.npz")
    again = song_files.load(tmp_path / "a.npz")
    for name in ("name", "split", "row_frames", "delays", "bar_rows", "loop", "label"):
        assert getattr(again, name) == getattr(song, name)
    assert np.array_equal(again.cells, song.cells)
    assert all(np.array_equal(again.envelopes[voice], song.envelopes[voice]) for voice in ("P1", "P2", "NO"))


# The command


def test_every_kind_is_read(corpus) -> None:
    """Each kind of file gives a song, and what is none is told with its reason."""
    found = records(corpus)
    kinds = {row["kind"] for row in found.values() if row["status"] == "kept" or "same rows" in row["reason"]}
    assert kinds >= {"General MIDI", "FamiTracker text", "score", "VGM", "NES-MDB score"}
    assert found["deep/er/broken.mid"]["status"] == "dropped"
    assert "MThd" in found["deep/er/broken.mid"]["reason"]
    assert "deep/er/notes.txt" not in found
    card = (corpus / "CARD.md").read_text()
    assert "export it as text: 1" in card
    assert "| tunes | CC-BY-4.0 |" in card


def test_the_corpus_is_export_prepares(corpus) -> None:
    """The arrays are those that export.train reads: songs, bars and chords fit each other."""
    summary = json.loads((corpus / "corpus.json").read_text())
    for split in ("train", "valid"):
        rows = load_rows(corpus / split)
        assert len(rows.offsets) - 1 == summary[split]["songs"] > 0
        assert len(rows.chords) == rows.bar_offsets[-1]
        assert len(rows.cells) == rows.offsets[-1]
    names = [(corpus / split / "names.txt").read_text().split() for split in ("train", "valid")]
    assert not set(names[0]) & set(names[1])


def test_papers_are_kept(corpus, tmp_path) -> None:
    """Licences come from licence.toml and from a licence's own text, and go into an attribution file."""
    found = records(corpus)
    assert found["tunes/song_0.mid"]["licence"] == "CC-BY-4.0"
    assert found["tunes/song_0.mid"]["author"] == "Ada"
    assert found["tunes/song_3.mid"]["reason"] == "licence.toml excludes it"
    assert found["deep/er/log.vgm"]["licence"] == "CC0-1.0"
    assert licences.write_attributions(list(found.values()), tmp_path / "a.md") > 4
    text = (tmp_path / "a.md").read_text()
    assert "**CC-BY-4.0** (Ada)" in text and "song_0.mid" in text and "song_3.mid" not in text


def test_a_file_may_say_its_own_licence() -> None:
    """The copyright line of a FamiTracker text counts before the folder's licence."""
    assert licences.from_copyright("Copyright 2025 under CC BY 4.0") == "CC-BY-4.0"
    assert licences.from_copyright("No") == ""
    assert licences.from_copyright("CC-BY-NC 4.0") == ""


def test_licences_may_be_asked_for(folder, tmp_path) -> None:
    """Files under another licence are dropped, with the licence in the reason."""
    ingest(folder, tmp_path / "c", jobs=1, allow=("CC-BY*",))
    reasons = Counter(row["reason"] for row in records(tmp_path / "c").values())
    assert reasons["its licence, CC0-1.0, is not among those allowed"] >= 2


def test_doubles_are_dropped(folder, tmp_path) -> None:
    """A file that is there twice counts once."""
    root = tmp_path / "twice"
    shutil.copytree(folder / "tunes", root)
    shutil.copy(root / "song_0.mid", root / "copy.mid")
    ingest(root, tmp_path / "c", jobs=1)
    assert [row["reason"] for row in records(tmp_path / "c").values() if "song_0" in row["path"] or "copy" in row["path"]].count("same rows as another song") == 1


def test_too_little_is_said_at_once(tmp_path, capsys) -> None:
    """An empty folder, one file and a thousand broken ones are refused in a sentence with the reasons."""
    import click

    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(click.UsageError, match="no music was found"):
        ingest(empty, tmp_path / "c", jobs=1)
    assert not (tmp_path / "c").exists()
    midi.save(loop_score(), empty / "a.mid")
    with pytest.raises(click.ClickException, match="1 files are too few"):
        ingest(empty, tmp_path / "c", jobs=1)
    broken = tmp_path / "broken"
    broken.mkdir()
    for index in range(1000):
        (broken / f"{index}.mid").write_bytes(b"MThd" + bytes([index % 256]) * 20)
    with pytest.raises(click.ClickException, match="of 1000 files 0 can be learnt from"):
        ingest(broken, tmp_path / "d", jobs=1)
    assert len(records(tmp_path / "d")) == 1000


def test_a_model_lends_its_shapes(folder, tmp_path) -> None:
    """With --like, shapes and edges are the model's; a file that is no sidecar is refused."""
    import click

    sidecar = json.loads((ROOT / "models/nes-1.json").read_text())
    summary = ingest(folder / "tunes", tmp_path / "c", jobs=1, like=ROOT / "models/nes-1.json")
    assert summary["edges"] == sidecar["edges"]
    with np.load(tmp_path / "c" / "library.npz") as library:
        assert library["pulse"].tolist() == sidecar["pulse_shapes"]
    with pytest.raises(click.UsageError, match="is no sidecar"):
        ingest(folder / "tunes", tmp_path / "d", jobs=1, like=ROOT / "pyproject.toml")


def test_a_killed_run_goes_on(folder, corpus, tmp_path) -> None:
    """Killed while it reads, run again: the same corpus, and what was read is not read again."""
    out = tmp_path / "c"
    line = [sys.executable, "-m", "export.ingest", str(folder), "-o", str(out), "--eval-ratio", "0.2", "-j", "1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        until = time.monotonic() + 120
        while len(list((out / "songs").glob("*.json"))) < 3 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, 9)
    before = {path: path.stat().st_mtime_ns for path in (out / "songs").glob("*.json")}
    assert before
    subprocess.run(line, cwd=ROOT, env=env, check=True, capture_output=True)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    for split in ("train", "valid"):
        assert np.array_equal(load_rows(out / split).cells, load_rows(corpus / split).cells)


def test_slow_and_deadly_files_are_told(tmp_path, monkeypatch) -> None:
    """A file that takes too long, needs too much memory or ends its process is dropped, and the others are read."""
    job = command.job_of(ROOT / "pyproject.toml", ROOT, tmp_path, whole=True, label=None)

    def slow(*_, **__):
        while True:
            pass

    def large(*_, **__):
        raise MemoryError

    import signal

    before = signal.signal(signal.SIGPROF, command._too_slow)
    monkeypatch.setattr(command, "_SECONDS", 0.2)
    try:
        for reader, reason in ((slow, "took more than 0.2 s"), (large, "more memory")):
            monkeypatch.setattr(readers, "read_song", reader)
            command._read(job)
            assert reason in json.loads(Path(job.out).with_suffix(".json").read_text())["reason"]
    finally:
        signal.signal(signal.SIGPROF, before)


def test_songs_are_dressed_by_rule() -> None:
    """Notes stay, instruments and drums come, the same ones each time; some songs stay without drums."""
    silent = (REST,) * 256
    drummed = 0
    for index in range(20):
        score = replace(loop_score(bars=16), voices={**loop_score(bars=16).voices, "NO": silent})
        songs = [score_to_song(score, f"song {index}") for _ in range(2)]
        before = songs[0].cells.copy()
        for song in songs:
            dress(song)
        song = songs[0]
        assert np.array_equal(song.cells[:, :3], before[:, :3])
        assert np.array_equal(song.cells, songs[1].cells)
        assert len(set(song.notes["P1"][:, 1].tolist())) == 1
        onsets = song.cells[:, 3] >= ONSET_ID
        drummed += onsets.any()
        assert len(song.notes["NO"]) == len(song.envelopes["NO"]) == onsets.sum()
    assert 5 < drummed < 20


def test_sources_may_count_more(folder, tmp_path) -> None:
    """--repeat writes the training songs of a source again, not those held out."""
    once = ingest(folder, tmp_path / "a", ratio=0.2, jobs=1)
    thrice = ingest(folder, tmp_path / "b", ratio=0.2, jobs=1, repeats={"tunes": 3}, dressed=("tunes",))
    tunes = sum(row["split"] == "train" for row in records(tmp_path / "a").values() if row["source"] == "tunes")
    assert thrice["train"]["songs"] == once["train"]["songs"] + 2 * tunes
    assert thrice["valid"]["songs"] == once["valid"]["songs"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("d_map01.mid", "overworld_stage"),
        ("Boss Clear.mid", "victory_clear"),
        ("StageBoss.mid", "boss_battle"),
        ("music/town_theme.mid", "town_shop_indoor"),
        ("opus 7.mid", ""),
    ],
)
def test_names_tell_labels(name, label) -> None:
    """The first word that matches decides."""
    assert label_of(name) == label


def test_hostile_papers_are_refused(folder, tmp_path) -> None:
    """A licence.toml that is damaged or has unknown keys stops the run in a sentence."""
    root = tmp_path / "m"
    shutil.copytree(folder / "tunes", root)
    for text, message in (("licence = ", "cannot be read"), ('license = "MIT"', "'license' is no key")):
        (root / "licence.toml").write_text(text)
        licences._table.cache_clear()
        with pytest.raises(licences.LicenceError, match=message):
            ingest(root, tmp_path / "c", jobs=1)
    licences._table.cache_clear()


def test_mutated_files_are_read_or_dropped(folder) -> None:
    """200 damaged files of every kind give a song, a reason or one of our errors."""
    generator = random.Random(3)
    files = [path for path in folder.rglob("*") if readers.may_be_music(path)]
    outcomes: Counter[str] = Counter()
    for _ in range(200):
        path = generator.choice(files)
        data = bytearray(path.read_bytes())
        for _ in range(generator.choice((1, 2, 8))):
            data[generator.randrange(len(data))] = generator.randrange(256)
        broken = path.with_name(f"broken{path.suffix}") if path.suffix != ".txt" else path.with_name("broken.ftm.txt")
        broken = Path(str(folder.parent / broken.name))
        broken.write_bytes(data)
        try:
            reading = readers.read_song(broken, "a")
            outcomes["song" if isinstance(reading.result, Song) else "reason"] += 1
        except NesassetError:
            outcomes["refused"] += 1
    assert outcomes["song"] and outcomes["refused"]




def test_the_arranger_is_measured_and_drawn(folder, tmp_path) -> None:
    """What is kept of a named tune and bass is counted, names hidden, and a picture shows both."""
    from click.testing import CliRunner

    from export import arranger
    from nesasset.arranging.piece import Part, PartNote, Piece

    tune = Part([PartNote(480 * beat, 480 * beat + 240, 72 + beat % 5, 100) for beat in range(32)], "Melody", 80)
    bass = Part([PartNote(1920 * bar, 1920 * bar + 1800, 40, 100) for bar in range(8)], "Bass", 33)
    song = arranger.NamedSong(tmp_path / "a.mid", Piece(480, [tune, bass]), (0,), (1,))
    hidden = arranger.hidden(song.piece, programs=False)
    assert {part.name for part in hidden.parts} == {""} and {part.program for part in hidden.parts} == {None}
    score = arranger.arrange(hidden, Counter())
    figures = arranger.kept(song, score, arranger.find_metre(song.piece, Counter()))
    assert figures == {"tune in pulse 1": (32, 32), "tune in a pulse": (32, 32), "bass on the triangle": (8, 8)}
    result = CliRunner().invoke(arranger.main, ["draw", str(folder / "tunes" / "song_0.mid"), "-o", str(tmp_path / "p"), "--bars", "4"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "p" / "song_0.png").stat().st_size > 1000
