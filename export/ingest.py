"""From a folder of any music to a corpus for export.train, in one command that may be killed and run again.

    python -m export.ingest my_music -o corpus
    python -m export.ingest my_music -o corpus --like models/nes-1.json --licence "CC-BY-4.0" --author "Ada"
    python -m export.ingest open -o corpus --allow CC0-1.0 --allow "CC-BY*" -j 2

Reads General MIDI, MusicXML, NES-MDB's MIDI and scores, VGM, FamiTracker text and our own scores, in folders of any depth. What
becomes of each file is in OUT/files.csv and OUT/files.json, what became of all in OUT/CARD.md. The arrays are laid out
as export.prepare's. Files that have been read stay in OUT/songs: a run that was killed goes on where it stopped.

`--like` takes volume shapes and edges of the controls from a model's sidecar: needed to go on from that model's weights.
"""

from __future__ import annotations

import csv
import fnmatch
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from export import licences, readers, song_files
from export.controls import control_edges, raw_controls
from export.dress import dress
from export.instruments import Library, learn_library
from export.licences import Licence
from export.prepare import training_notes, without_doubles, write_split
from export.songs import Song
from nesasset.errors import NesassetError

VERSION = 1  # counted up when the same file gives another song
LIMIT_S = 20.0  # CPU time a file
LIMIT_MIB = 1024  # memory a file, beyond what the process needs when idle
FEWEST_SONGS = 4  # below which there is nothing to split
COLUMNS = ("path", "source", "kind", "status", "reason", "split", "label", "rows", "bars", "loops", "licence", "author", "url", "note", "seconds", "reduced")
# Songs up to which a sentence holds; from the fine-tuning runs in export/LOG.md.
EXPECT = (
    (9, "so few songs are learnt by heart before their style is: expect pieces that quote them, and look at the memorisation report"),
    (29, "expect the instruments, tempos and density of the folder, and little of its melodies; train for minutes, not hours"),
    (99, "enough for a style: its rhythms, harmonies and instruments; the rest stays as the base model has it"),
    (999, "enough for a style of its own on top of the base model"),
    (10**9, "enough to train from scratch, too"),
)


@dataclass(frozen=True, slots=True)
class Job:
    """A file to read."""

    path: str
    name: str
    whole: bool
    label: str | None
    out: str
    """Where the song and its record go, without a suffix."""


def find_music(root: Path) -> tuple[list[Path], Counter[str]]:
    """Return the files of music below a folder, and how many of other kinds there are that might be taken for some."""
    found, passed = [], Counter[str]()
    for path in sorted(root.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        suffix = path.suffix.lower()
        if suffix in readers.NO_READER:
            passed[readers.NO_READER[suffix]] += 1
        elif readers.may_be_music(path):
            found.append(path)
    return found, passed


def expectation(count: int) -> str:
    """Return what a model of so many songs may be expected to learn."""
    return next(text for most, text in EXPECT if count <= most)


# The process that reads


def _limit(seconds: float, mib: int) -> None:
    """Bound the time and memory of this process' files, where the system can."""
    global _SECONDS  # noqa: PLW0603 - the process is this one's own
    _SECONDS = seconds
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        idle = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (idle + (mib << 20), resource.RLIM_INFINITY))
    except (OSError, ValueError):
        pass
    signal.signal(signal.SIGPROF, _too_slow)


_SECONDS = LIMIT_S


class TooSlowError(Exception):
    """A file has used its time up."""


def _too_slow(_number: int, _frame: object) -> None:
    raise TooSlowError


def _read(job: Job) -> None:
    """Read a file; leave its song, and then its record, which says that the file is done."""
    record: dict[str, Any] = {"kind": "", "reason": "", "reduced": [], "rows": 0, "bars": 0, "loops": False, "label": "", "seconds": 0.0}
    out, begun = Path(job.out), time.process_time()
    timed = hasattr(signal, "setitimer")
    try:
        if timed:
            signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        reading = readers.read_song(Path(job.path), job.name, whole=job.whole, label=job.label)
        if timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
        record.update(kind=reading.kind, reduced=list(reading.reduced))
        song = reading.result
        if isinstance(song, Song):
            song_files.save(song, out.with_suffix(".npz"))
            bars = -(-len(song.cells) // song.bar_rows)
            record.update(rows=len(song.cells), bars=bars, loops=song.loop is not None, label=song.label)
        else:
            record["reason"] = song
    except NesassetError as error:
        record["reason"] = readers.reason_of(error)
    except TooSlowError:
        record["reason"] = f"took more than {_SECONDS:g} s"
    except MemoryError:
        record["reason"] = "needs more memory than a file may have"
    except RecursionError:
        record["reason"] = "is nested too deeply"
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
    record["seconds"] = round(time.process_time() - begun, 3)
    _write_text(out.with_suffix(".json"), json.dumps(record))


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


# All files


def read_all(jobs: list[Job], processes: int, limit_s: float, limit_mib: int) -> Iterator[Job]:
    """Read files in processes of their own, and yield each that is done; a file that ends its process is done, too."""
    context = multiprocessing.get_context("spawn")

    def pool(count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(count, mp_context=context, initializer=_limit, initargs=(limit_s, limit_mib))

    waiting = list(reversed(jobs))
    while waiting:
        running: dict[Future[None], Job] = {}
        with pool(processes) as executor:
            try:
                while waiting or running:
                    while waiting and len(running) < 4 * processes:
                        job = waiting.pop()
                        running[executor.submit(_read, job)] = job
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                        yield running.pop(future)
            except BrokenProcessPool:
                suspects = list(running.values())
        for job in suspects if running else ():  # one of these ended its process: each for itself
            try:
                with pool(1) as alone:
                    alone.submit(_read, job).result()
            except BrokenProcessPool:
                record = {"kind": "", "reason": "ended the process that read it", "reduced": [], "rows": 0, "bars": 0, "loops": False, "label": "", "seconds": 0.0}
                _write_text(Path(job.out).with_suffix(".json"), json.dumps(record))
            yield job


def job_of(path: Path, root: Path, songs: Path, *, whole: bool, label: str | None) -> Job:
    """Return the job of a file; where its song goes says what file it was and how it was read."""
    stat = path.stat()
    name = path.relative_to(root).as_posix()
    what = f"{VERSION} {name} {stat.st_size} {stat.st_mtime_ns} {whole} {label}"
    return Job(str(path), name, whole, label, str(songs / hashlib.sha256(what.encode(errors="surrogateescape")).hexdigest()[:24]))


def split_of(name: str, ratio: float) -> str:
    """Return valid for a share of all names, the same ones each time."""
    number = int(hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:8], 16)
    return "valid" if number < ratio * 0x1_0000_0000 else "train"


def read_like(path: Path) -> tuple[Library, dict[str, list[float]]]:
    """Return volume shapes and edges of the controls of a model, from its sidecar."""
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        library = Library(np.array(sidecar["pulse_shapes"], dtype=np.uint8), np.array(sidecar["noise_shapes"], dtype=np.uint8))
        return library, {name: [float(edge) for edge in sidecar["edges"][name]] for name in control_edges([])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f"{path} is no sidecar of a model: it must have pulse_shapes, noise_shapes and edges ({error})") from error


def _csv_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "reduced": "; ".join(row["reduced"])} for row in rows]


def write_report(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write what became of each file."""
    _write_text(out / "files.json", json.dumps(rows, indent=1) + "\n")
    temporary = out / f"files.csv.{os.getpid()}.tmp"
    with temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_csv_rows(rows))
    temporary.replace(out / "files.csv")


def read_records(out: Path) -> list[dict[str, str]]:
    """Return the rows of a corpus' files.csv."""
    with (out / "files.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def card(rows: list[dict[str, Any]], summary: dict[str, Any], passed: Counter[str], title: str) -> str:
    """Return the corpus' card: counts by source, licences, what was dropped and what was reduced."""
    lines = [f"# {title}", "", f"{len(rows)} files were read. Songs: {summary['train']['songs']} for training, {summary['valid']['songs']} held out.", ""]
    lines += ["| source | licence | kept | dropped | rows | loops |", "|---|---|---|---|---|---|"]
    for source in sorted({row["source"] for row in rows}):
        mine = [row for row in rows if row["source"] == source]
        kept = [row for row in mine if row["status"] == "kept"]
        licence = ", ".join(sorted({row["licence"] for row in kept or mine}))
        lines.append(f"| {source} | {licence} | {len(kept)} | {len(mine) - len(kept)} | {sum(row['rows'] for row in kept)} | {sum(row['loops'] for row in kept)} |")
    lines += ["", "## Dropped", ""]
    reasons = Counter(f"{row['source']}: {row['reason']}" for row in rows if row["status"] == "dropped")
    lines += [f"- {why}: {count}" for why, count in reasons.most_common(200)] or ["Nothing."]
    lines += [f"- not music that can be read: {why}: {count}" for why, count in sorted(passed.items())]
    lines += ["", "## Reduced", "", "Songs in which something was moved, reduced or left out on the way to four voices:", ""]
    reduced = Counter(text.split(" (")[0] for row in rows if row["status"] == "kept" for text in row["reduced"])
    lines += [f"- {what}: {count} songs" for what, count in reduced.most_common()] or ["None."]
    lines += ["", "## What to expect", "", f"Of {summary['train']['songs']} songs: {expectation(summary['train']['songs'])}.", ""]
    return "\n".join(lines)


def ingest(
    root: Path,
    out: Path,
    *,
    ratio: float = 0.1,
    jobs: int = 2,
    like: Path | None = None,
    given: Licence | None = None,
    source: str | None = None,
    allow: tuple[str, ...] = (),
    whole: bool = True,
    label: str | None = None,
    limit_s: float = LIMIT_S,
    limit_mib: int = LIMIT_MIB,
    sources: Path | None = None,
    dressed: tuple[str, ...] = (),
    repeats: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Read a folder into a corpus; see the command. Return its summary.

    Raises:
        click.ClickException: There is no music, or too little that can be read.
    """
    from rich.console import Console
    from rich.progress import Progress

    paths, passed = find_music(root)
    if not paths:
        what = "; ".join(f"{why} ({count})" for why, count in sorted(passed.items())[:4])
        raise click.UsageError(f"{root}: no music was found{': ' + what if what else ''}; read are {', '.join(readers.SUFFIXES)}")
    like_shapes = read_like(like) if like is not None else None
    tables = licences.read_sources(sources) if sources is not None else None
    click.echo(f"{len(paths)} files: {expectation(len(paths))}", err=True)
    if len(paths) < FEWEST_SONGS:
        raise click.ClickException(f"{root}: {len(paths)} files are too few, at least {FEWEST_SONGS} are needed to train on some and hold out others")
    songs = out / "songs"
    songs.mkdir(parents=True, exist_ok=True)
    all_jobs = [job_of(path, root, songs, whole=whole, label=label) for path in paths]
    todo = [job for job in all_jobs if not Path(job.out).with_suffix(".json").is_file()]
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("files", total=len(all_jobs), completed=len(all_jobs) - len(todo))
        for count, _ in enumerate(read_all(todo, jobs, limit_s, limit_mib), start=1):
            progress.advance(task)
            if not sys.stderr.isatty() and count % 200 == 0:
                click.echo(f"{len(all_jobs) - len(todo) + count} of {len(all_jobs)} files", err=True)
    rows = []
    for path, job in zip(paths, all_jobs, strict=True):
        record = json.loads(Path(job.out).with_suffix(".json").read_text(encoding="utf-8"))
        found = _licence(path, root, record, given, tables)
        row = {
            "path": job.name,
            "source": source or (Path(job.name).parts[0] if len(Path(job.name).parts) > 1 else root.resolve().name),
            "status": "dropped" if record["reason"] else "kept",
            "split": "",
            **record,
            "licence": found.licence,
            "author": found.author,
            "url": found.source,
            "note": found.note,
        }
        if not row["reason"] and found.excluded:
            row.update(status="dropped", reason=f"{licences.FILE_NAME} excludes it")
        elif not row["reason"] and allow and not any(fnmatch.fnmatch(found.licence, pattern) for pattern in allow):
            row.update(status="dropped", reason=f"its licence, {found.licence}, is not among those allowed")
        rows.append(row)
    places = [Path(job.out) for job in all_jobs]
    return _collect(root, out, rows, places, passed, ratio, jobs, like_shapes, dressed, repeats or {})


def _repeat(text: str) -> tuple[str, int]:
    """Return source and number of SOURCE=N."""
    source, _, number = text.rpartition("=")
    if not source or not number.isdecimal() or not 1 <= int(number) <= 100:
        raise click.UsageError(f"--repeat must be SOURCE=N with N from 1 to 100, not {text!r}")
    return source, int(number)


def _licence(
    path: Path, root: Path, record: dict[str, Any], given: Licence | None, tables: dict[str, Mapping[str, Any]] | None
) -> Licence:
    found = licences.licence_of(path, root, given, tables)
    if record["kind"] == "FamiTracker text" and found.where != licences.FILE_NAME:
        with path.open("rb") as file:
            copyright_, author = licences.tracker_copyright(file.read(20_000))
        if copyright_:
            own = licences.from_copyright(copyright_)
            return Licence(own or f"{licences.UNKNOWN} ({copyright_[:60]})", author, note=copyright_[:120], where="the file", excluded=found.excluded)
    return found


def _collect(
    root: Path,
    out: Path,
    rows: list[dict[str, Any]],
    places: list[Path],
    passed: Counter[str],
    ratio: float,
    jobs: int,
    like: tuple[Library, dict[str, list[float]]] | None,
    dressed: tuple[str, ...],
    repeats: Mapping[str, int],
) -> dict[str, Any]:
    """Split, drop doubles and write the arrays."""
    songs: list[Song] = []
    by_name = {row["path"]: row for row in rows}
    for row, place in zip(rows, places, strict=True):
        if row["status"] == "kept":
            song = song_files.load(place.with_suffix(".npz"))
            song.split = split_of(song.name, ratio)
            if any(fnmatch.fnmatch(row["source"], pattern) for pattern in dressed):
                dress(song)
            songs.append(song)
    songs, doubles = without_doubles(songs)
    for name, why in doubles:
        by_name[name].update(status="dropped", reason=why)
    if len(songs) < FEWEST_SONGS:
        write_report(out, rows)
        reasons = "; ".join(f"{why} ({count})" for why, count in Counter(row["reason"] for row in rows if row["reason"]).most_common(3))
        raise click.ClickException(f"{root}: of {len(rows)} files {len(songs)} can be learnt from, at least {FEWEST_SONGS} are needed: {reasons}; {out / 'files.csv'} has all reasons")
    ranked = sorted(songs, key=lambda song: hashlib.sha256(song.name.encode(errors="surrogateescape")).hexdigest())
    for split in ("valid", "train"):  # a small folder's chance may leave one of them empty
        if not any(song.split == split for song in songs):
            (ranked[0] if split == "valid" else ranked[-1]).split = split
    for song in songs:
        by_name[song.name]["split"] = song.split
    train = [song for song in songs if song.split == "train"]
    more = [song for song in train for _ in range(repeats.get(by_name[song.name]["source"], 1) - 1)]
    if like is None:
        click.echo("learning the instrument library …", err=True)
        library = learn_library(training_notes(train, ("P1", "P2")), training_notes(train, ("NO",)))
        edges = control_edges([raw_controls(song) for song in train])
    else:
        library, edges = like
    library.save(out / "library.npz")
    summary: dict[str, Any] = {
        "edges": edges,
        "dropped": dict(sorted(Counter(row["reason"] for row in rows if row["status"] == "dropped").items())),
        "sources": {
            source: {
                "songs": sum(row["status"] == "kept" for row in rows if row["source"] == source),
                "licences": sorted({row["licence"] for row in rows if row["source"] == source and row["status"] == "kept"}),
            }
            for source in sorted({row["source"] for row in rows})
        },
        "dressed": list(dressed),
        "repeats": dict(repeats),
    }
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as executor:
        for split in ("train", "valid"):
            summary[split] = write_split(out / split, [song for song in (*songs, *more) if song.split == split], library, edges, executor)
    write_report(out, rows)
    _write_text(out / "CARD.md", card(rows, summary, passed, f"Corpus of {root.resolve().name}"))
    _write_text(out / "corpus.json", json.dumps(summary, indent=1) + "\n")
    return summary


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for the corpus.")
@click.option("--eval-ratio", type=click.FloatRange(0.0, 0.5), default=0.1, show_default=True, help="Share of the songs that are held out, by file.")
@click.option("--like", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Sidecar of the model whose weights training starts from: its volume shapes and edges are used.")
@click.option("--licence", default=None, help="Licence of files that have no paper. --licence CC-BY-4.0")
@click.option("--author", default="", help="Author of files that have no paper.")
@click.option("--url", default="", help="Where they came from.")
@click.option("--sources", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="TOML with licences by first folder; see export/licences.py.")
@click.option("--source", default=None, help="Name of all files' source; by default the first folder's.")
@click.option("--allow", multiple=True, help="Keep files under this licence only; may be given again. --allow 'CC-BY*'")
@click.option("--loops", type=click.Choice(["whole", "marked"]), default="whole", show_default=True, help="Whether a piece without loop marks loops as a whole.")
@click.option("--dress", "dressed", multiple=True, help="Sources whose songs get instruments and drums by rule; patterns, may be given again. --dress '*-lieder-*'")
@click.option("--repeat", "repeats", multiple=True, help="A source whose songs count so many times in training. --repeat freedoom=4")
@click.option("--label", default=None, help="Theme label of all files; by default what the names say. --label boss_battle")
@click.option("--limit-s", type=click.FloatRange(0.1), default=LIMIT_S, show_default=True, help="CPU seconds that a file may take.")
@click.option("--limit-mib", type=click.IntRange(64), default=LIMIT_MIB, show_default=True, help="Memory that a file may take.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
def main(
    folder: Path, out: Path, eval_ratio: float, like: Path | None, licence: str | None, author: str, url: str, source: str | None,
    sources: Path | None, allow: tuple[str, ...], loops: str, dressed: tuple[str, ...], repeats: tuple[str, ...], label: str | None, limit_s: float, limit_mib: int, jobs: int,
) -> None:  # fmt: skip
    """Turn a folder of music into a corpus to train on."""
    given = Licence(licence or licences.UNKNOWN, author, url, where="the command") if licence or author or url else None
    counts = dict(_repeat(text) for text in repeats)
    summary = ingest(
        folder, out, ratio=eval_ratio, jobs=jobs, like=like, given=given, source=source, allow=allow, whole=loops == "whole",
        label=label, limit_s=limit_s, limit_mib=limit_mib, sources=sources,
        dressed=dressed, repeats=counts,
    )  # fmt: skip
    click.echo(json.dumps({name: summary[name] for name in ("dropped", "sources", "train", "valid")}, indent=1))
    unknown = sorted(name for name, source in summary["sources"].items() if any(text.startswith(licences.UNKNOWN) for text in source["licences"]))
    if unknown:
        click.echo(f"no licence is known of: {', '.join(unknown)}; say it with --licence or a {licences.FILE_NAME}", err=True)


if __name__ == "__main__":
    main()
