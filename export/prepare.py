"""From a folder of NES-MDB MIDI files to memory-mapped arrays for training, in one command.

    python -m export.prepare --midi nesmdb_midi --tracks tracks.csv -o corpus

The folder holds train/ and valid/ (the published split by game). Writes OUT/{train,valid}/*.npy, OUT/library.npz,
OUT/corpus.json (counts, what was dropped and why, control edges). Songs of valid whose first 64 rows stand in train as
well are dropped from valid; so are doubles within a split.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from export.controls import control_edges, measure_controls, raw_controls
from export.instruments import Library, learn_library, make_palette
from export.songs import Song, read_frames, to_song
from nesasset.compose.chord_mining import mine_chords
from nesasset.compose.form_mining import bar_starts, mine_plan
from nesasset.compose.harmony import Form, settle
from nesasset.errors import FormatError
from nesasset.recall import recall_song
from nesasset.vocabulary import HOLD_ID, PALETTE_SLOTS

SAME_ROWS = 64  # two songs whose first 64 rows agree are one song


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All songs of a split as flat arrays; open with `load_rows`."""

    cells: NDArray[np.int16]
    """(n_rows, 4): P1, P2, TR, NO."""
    slots: NDArray[np.int8]
    """(n_rows, 3): palette slot of an onset of P1, P2, NO; -1 where there is none."""
    pulse_palette: NDArray[np.int16]
    """(n_songs, 16, 4): duty, 0, shape, peak; -1 in unused slots."""
    noise_palette: NDArray[np.int16]
    """(n_songs, 16, 4): mode, period, shape, peak; -1 in unused slots."""
    offsets: NDArray[np.int64]
    """(n_songs + 1,): first row of each song."""
    controls: NDArray[np.int16]
    """(n_songs, n_controls), order of vocabulary.CONTROLS, without loop_bars' crop dependence."""
    bar_rows: NDArray[np.int16]
    """(n_songs,): 12 or 16."""
    loops: NDArray[np.int32]
    """(n_songs, 2): loop in rows of the song, -1 where it has none."""
    bar_offsets: NDArray[np.int64]
    """(n_songs + 1,): first bar of each song in lags and classes."""
    lags: NDArray[np.int8]
    """(n_bars,): bars back to the reference, 0 none."""
    classes: NDArray[np.int8]
    """(n_bars, 4): plan class of each voice."""
    shifts: NDArray[np.int8]
    """(n_bars,): semitones from the reference to the voices that are sequences, 0 where none is."""
    chords: NDArray[np.int8]
    """(n_bars, 2): chord of each half bar, ids of nesasset.vocabulary."""
    row_frames: NDArray[np.float32]
    """(n_songs,)."""
    recall: NDArray[np.int32]
    """(n_rows, 4): row of the song that each voice would go on with, -1 for none; see nesasset/recall.py."""
    strength: NDArray[np.int8]
    """(n_rows, 4): how surely."""


def load_rows(folder: Path) -> Rows:
    """Open a prepared split, memory-mapped."""
    return Rows(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in Rows.__slots__})


def _convert(job: tuple[str, str, str, dict[str, str] | None]) -> Song | tuple[str, str]:
    path, name, split, meta = job
    try:
        result = to_song(read_frames(Path(path)), name, split, meta)
    except FormatError as error:
        return name, f"unreadable: {error}"
    return result if isinstance(result, Song) else (name, result)


def convert_all(
    midi: Path, tracks: dict[str, dict[str, str]], splits: tuple[str, ...], executor: Executor
) -> Iterator[Song | tuple[str, str]]:
    """Yield every song of the splits, or its name and the reason why it has no rows."""
    jobs = [
        (str(path), path.stem, split, tracks.get(path.stem))
        for split in splits
        for path in sorted((midi / split).glob("*.mid"))
    ]
    if not jobs:
        raise click.UsageError(f"{midi}: no .mid files in {' or '.join(splits)}")
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(executor.map(_convert, jobs, chunksize=8), total=len(jobs), description="songs")


def load_tracks(path: Path) -> dict[str, dict[str, str]]:
    """Return tracks.csv as rows by song name."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def training_notes(songs: list[Song], voices: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return all envelopes and spans of the voices."""
    curves = np.concatenate([song.envelopes[voice] for song in songs for voice in voices])
    spans = np.concatenate([song.notes[voice][:, 3] for song in songs for voice in voices])
    return curves, spans.astype(np.int64)


def with_palettes(song: Song, library: Library) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
    """Return the song's pulse palette, noise palette (unused slots left out) and slots per row, shape (n_rows, 3)."""
    slots = np.full((len(song.cells), 3), -1, dtype=np.int8)
    both = [song.notes["P1"], song.notes["P2"]]
    curves = np.concatenate([song.envelopes["P1"], song.envelopes["P2"]])
    table = np.concatenate(both).astype(np.int64)
    pulse, chosen = make_palette(curves, table[:, 3], table[:, 1], None, library.pulse)
    slots[both[0][:, 0], 0] = chosen[: len(both[0])]
    slots[both[1][:, 0], 1] = chosen[len(both[0]) :]
    drums = song.notes["NO"].astype(np.int64)
    noise, chosen = make_palette(song.envelopes["NO"], drums[:, 3], drums[:, 1], drums[:, 2], library.noise)
    slots[drums[:, 0], 2] = chosen
    return pulse, noise, slots


def without_doubles(songs: list[Song]) -> tuple[list[Song], list[tuple[str, str]]]:
    """Drop songs whose first rows are another's: of two in one split the second, of two across splits valid's."""
    seen: dict[bytes, str] = {}
    kept, dropped = [], []
    for song in sorted(songs, key=lambda song: (song.split != "train", song.name)):
        key = song.cells[:SAME_ROWS].tobytes()
        if key in seen:
            dropped.append((song.name, "same rows as another song"))
        else:
            seen[key] = song.name
            kept.append(song)
    return kept, dropped


def write_split(
    folder: Path, songs: list[Song], library: Library, edges: dict[str, list[float]], executor: Executor
) -> dict[str, float]:
    """Write one split's arrays; return its counts."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list] = {name: [] for name in Rows.__slots__}  # type: ignore[type-arg]
    rows = bars = 0
    recalled = executor.map(recall_song, [song.cells for song in songs], [song.bar_rows for song in songs], chunksize=8)
    for song, (recall, strength) in zip(songs, recalled, strict=True):
        pulse, noise, slots = with_palettes(song, library)
        lags, classes, shifts = mine_plan(song.cells, song.bar_rows)
        parts["cells"].append(song.cells.astype(np.int16))
        parts["slots"].append(slots)
        for name, palette in (("pulse_palette", pulse), ("noise_palette", noise)):
            full = np.full((PALETTE_SLOTS, 4), -1, dtype=np.int16)
            full[: len(palette)] = palette
            parts[name].append(full)
        parts["offsets"].append(rows)
        parts["bar_offsets"].append(bars)
        parts["controls"].append(measure_controls(song, edges))
        parts["bar_rows"].append(song.bar_rows)
        parts["loops"].append(song.loop or (-1, -1))
        parts["lags"].append(lags)
        parts["classes"].append(classes)
        parts["shifts"].append(shifts)
        chords = mine_chords(song.cells, bar_starts(len(song.cells), song.bar_rows), song.bar_rows)
        parts["chords"].append(settle(chords, Form(lags, classes, shifts, minor=False)).astype(np.int8))
        parts["row_frames"].append(song.row_frames)
        parts["recall"].append(recall.astype(np.int32))
        parts["strength"].append(strength.astype(np.int8))
        rows += len(song.cells)
        bars += len(lags)
    types = {"controls": np.int16, "bar_rows": np.int16, "loops": np.int32, "row_frames": np.float32}
    for name, part in parts.items():
        if name in ("offsets", "bar_offsets"):
            array = np.array([*part, rows if name == "offsets" else bars], dtype=np.int64)
        elif name in ("cells", "slots", "lags", "classes", "shifts", "chords", "recall", "strength"):
            array = np.concatenate(part)
        else:
            array = np.array(part, dtype=types.get(name, np.int16))
        np.save(folder / f"{name}.npy", array)
    (folder / "names.txt").write_text("\n".join(song.name for song in songs) + "\n", encoding="utf-8")
    return {
        "songs": len(songs),
        "rows": rows,
        "bars": bars,
        "loops": sum(song.loop is not None for song in songs),
        "onsets_within_a_frame": float(np.mean([song.on_row for song in songs])),
        "onsets": int(sum((song.cells > HOLD_ID + 1).sum() for song in songs)),
    }


@click.command()
@click.option("--midi", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Folder with train/ and valid/.")
@click.option("--tracks", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="tracks.csv: loops and labels.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for the arrays.")
@click.option("--library", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Use this library.npz, learn none.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
def main(midi: Path, tracks: Path, out: Path, library: Path | None, jobs: int) -> None:
    """Turn NES-MDB MIDI files into training arrays."""
    table = load_tracks(tracks)
    songs: list[Song] = []
    dropped: list[tuple[str, str]] = []
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as executor:
        for result in convert_all(midi, table, ("train", "valid"), executor):
            if isinstance(result, Song):
                songs.append(result)
            else:
                dropped.append(result)
        songs, doubles = without_doubles(songs)
        dropped += doubles
        train = [song for song in songs if song.split == "train"]
        out.mkdir(parents=True, exist_ok=True)
        if library is None:
            click.echo("learning the instrument library …", err=True)
            shapes = learn_library(training_notes(train, ("P1", "P2")), training_notes(train, ("NO",)))
        else:
            shapes = Library.load(library)
        shapes.save(out / "library.npz")
        edges = control_edges([raw_controls(song) for song in train])
        summary: dict[str, object] = {"edges": edges, "dropped": dict(sorted(Counter(why for _, why in dropped).items()))}
        for split in ("train", "valid"):
            summary[split] = write_split(out / split, [song for song in songs if song.split == split], shapes, edges, executor)
    (out / "corpus.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    click.echo(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
