"""Make the index by which passages of the training songs are known again, and check what it knows.

    python -m export.originality_index --corpus corpus --name nes-1 --out models
    python -m export.originality_index --corpus corpus --name nes-1 --out models --check

The index holds a hash of every passage of eight notes of both pulses and the triangle, cut to 27 bits, sorted: no order,
no song, no place. `--check` writes nothing and prints what it finds again, what it takes for known by mistake, what
somebody gets who tries to read a tune out of it, its size and its times. The last line is the whole report as JSON.
"""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from export.prepare import load_rows
from export.to_onnx import dumps_sidecar, index_entry, write_sums
from nesasset.originality import (
    INDEX_BITS,
    INDEX_SUFFIX,
    LONGEST_WAIT,
    MELODIC,
    SHARES,
    WIDEST_MOVE,
    WORD,
    Finding,
    Known,
    find_known,
    hash_each,
    hashes,
    load_index,
    melody_symbols,
    ngrams,
    repetitions,
)
from nesasset.vocabulary import ONSET_ID

PLANTED: Final = 5000
SURROUNDINGS: Final = 24  # pairs before and after a planted passage
WALKS: Final = 40
WALK_NOTES: Final = 8  # to be read on from eight notes that are known
MOST_CANDIDATES: Final = 20_000  # of one walk
WALK_SYMBOLS: Final = 0.99  # share of the training pairs that a reader would try

Lines = list[tuple[NDArray[np.uint64], NDArray[np.int64]]]


def song_lines(folder: Path) -> dict[str, Lines]:
    """Return symbols and rows of the notes of every song of a prepared split, by voice."""
    rows = load_rows(folder)
    cells, spans = np.asarray(rows.cells), list(pairwise(np.asarray(rows.offsets).tolist()))
    return {
        voice: [(melody_symbols(cells[a:b, at]), np.flatnonzero(cells[a:b, at] >= ONSET_ID)) for a, b in spans]
        for at, voice in enumerate(MELODIC)
    }


def write_index(lines: dict[str, Lines], out: Path, name: str) -> Path:
    """Write the index of some songs beside a model, and tell its sidecar and SHA256SUMS."""
    known = Known.of((symbols for part in lines.values() for symbols, _ in part), INDEX_BITS)
    path = out / f"{name}{INDEX_SUFFIX}"
    np.savez(path, allow_pickle=False, **known.to_arrays())  # hashes do not get smaller
    place = out / f"{name}.json"
    sidecar = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(dumps_sidecar({**sidecar, **index_entry(out, name)}), encoding="utf-8")
    write_sums(out)
    return path


# Checks.


def made_up_line(rng: np.random.Generator, pairs: int) -> NDArray[np.uint64]:
    """Return the symbols of a melody by chance: moves up to a fifth, waits up to two beats."""
    moves, waits = rng.integers(-7, 8, pairs), rng.integers(1, 9, pairs)
    return ((moves + WIDEST_MOVE) * (LONGEST_WAIT + 1) + waits).astype(np.uint64)


def find_planted(lines: dict[str, Lines], known: Known, rng: np.random.Generator) -> dict[str, Any]:
    """Plant passages of eight notes of the songs in made-up melodies, each in a key by chance, and look for them.

    A passage counts as found where a known passage of eight notes or more begins at its place or before and reaches its end.
    """
    pool = [symbols for part in lines.values() for symbols, _ in part if len(symbols) >= WORD]
    sizes = np.array([len(symbols) - WORD + 1 for symbols in pool], dtype=float)
    found = asked = 0
    while asked < PLANTED:
        symbols = pool[rng.choice(len(pool), p=sizes / sizes.sum())]
        start = int(rng.integers(0, len(symbols) - WORD + 1))
        passage = symbols[start : start + WORD]
        if repetitions(passage, WORD)[0]:
            continue
        asked += 1
        # As cells: eight pitches from a first one by chance, between the notes of two made-up melodies.
        line = np.concatenate([made_up_line(rng, SURROUNDINGS), passage, made_up_line(rng, SURROUNDINGS)])
        cells = _as_cells(line, int(rng.integers(30, 60)))
        again = melody_symbols(cells)
        found += bool(known.knows(hashes(again, WORD))[SURROUNDINGS])
    return {"planted": asked, "found": found / asked}


def _as_cells(symbols: NDArray[np.uint64], first: int) -> NDArray[np.int64]:
    """Return the cells of a line, whose pitches may be out of every range: only moves count."""
    waits = (symbols % np.uint64(LONGEST_WAIT + 1)).astype(np.int64)
    moves = (symbols // np.uint64(LONGEST_WAIT + 1)).astype(np.int64) - WIDEST_MOVE
    rows, pitches = np.cumsum([0, *waits]), np.cumsum([first, *moves])
    pitches += max(0, ONSET_ID - int(pitches.min()))
    cells = np.zeros(int(rows[-1]) + 1, dtype=np.int64)
    cells[rows] = pitches
    return cells


def false_alarms(lines: dict[str, Lines], known: Known, truth: Known, rng: np.random.Generator) -> dict[str, Any]:
    """Return how many words that were never in the songs are taken for known: of made-up and of shuffled melodies."""
    report = {}
    shuffled = [rng.permutation(symbols) for part in lines.values() for symbols, _ in part]
    for name, pool in (("made_up", [made_up_line(rng, 200) for _ in range(2000)]), ("shuffled", shuffled)):
        words = np.concatenate([hashes(symbols, WORD) for symbols in pool])
        new = words[~truth.knows(words)]
        report[name] = {"words": len(new), "taken_for_known": float(known.knows(new).mean())}
    return report


def unseen_songs(train: dict[str, Lines], valid: dict[str, Lines], known: Known) -> dict[str, Any]:
    """Return how much of songs that nothing was trained on is known, by the index and in truth: to the letter, in one song."""
    grams = {n: np.unique(np.concatenate([ngrams(symbols, n) for part in train.values() for symbols, _ in part])) for n in SHARES}
    report = {}
    for voice, part in valid.items():
        findings = [find_known(symbols, rows, known) for symbols, rows in part]
        report[voice] = {"median_longest": float(np.median([finding.longest for finding in findings]))}
        for n in SHARES:
            found = np.concatenate([ngrams(symbols, n) for symbols, _ in part])
            place = np.minimum(np.searchsorted(grams[n], found), len(grams[n]) - 1)
            report[voice] |= {f"known_{n}": _share(findings, n), f"truly_{n}": float((grams[n][place] == found).mean())}
    return report


def _share(findings: list[Finding], n: int) -> float:
    hits, count = (sum(finding.known[n][part] for finding in findings) for part in (0, 1))
    return hits / count if count else 0.0


def read_back(lines: dict[str, Lines], known: Known, rng: np.random.Generator) -> dict[str, Any]:
    """Try to read tunes out of the index: from eight notes of a song on, note by note, with every pair that songs like.

    Returns:
        How many continuations of eight notes fit the index, in the median walk; a walk ends where there are too many.
    """
    pool = [symbols for symbols, _ in lines["P1"] if len(symbols) >= WORD + WALK_NOTES]
    counts = np.unique(np.concatenate(pool), return_counts=True)
    order = np.argsort(-counts[1])
    tried = counts[0][order][: int(np.searchsorted(np.cumsum(counts[1][order]) / counts[1].sum(), WALK_SYMBOLS)) + 1]
    sizes, ended = [], 0
    for _ in range(WALKS):
        symbols = pool[int(rng.integers(len(pool)))]
        start = int(rng.integers(0, len(symbols) - WORD - WALK_NOTES + 1))
        tunes = symbols[None, start : start + WORD]
        for _ in range(WALK_NOTES):
            longer = np.concatenate([np.repeat(tunes, len(tried), axis=0), np.tile(tried, len(tunes))[:, None]], axis=1)
            tunes = longer[known.knows(hash_each(longer[:, -WORD:]))]
            if len(tunes) > MOST_CANDIDATES:
                ended += 1
                break
        sizes.append(len(tunes))
    return {"walks": WALKS, "pairs_tried": len(tried), "median_candidates": float(np.median(sizes)), "fewest": int(min(sizes)), "broken_off": ended}


def check(corpus: Path, out: Path, name: str, seed: int = 0) -> dict[str, Any]:
    """Return what an index is worth."""
    rng = np.random.default_rng(seed)
    path = out / f"{name}{INDEX_SUFFIX}"
    begun = time.process_time()
    known = load_index(out, name)
    loading = time.process_time() - begun
    if known is None:
        raise click.ClickException(f"{name}.json names no index; run this without --check first")
    train, valid = song_lines(corpus / "train"), song_lines(corpus / "valid")
    truth = Known.of(symbols for part in train.values() for symbols, _ in part)
    begun = time.process_time()
    for part in valid.values():
        for symbols, rows in part:
            find_known(symbols, rows, known)
    looking = (time.process_time() - begun) / sum(len(part) for part in valid.values())
    return {
        "bytes": path.stat().st_size,
        "words": len(truth.keys),
        "load_ms": 1000 * loading,
        "look_up_ms_a_voice": 1000 * looking,
        "planted": find_planted(train, known, rng),
        "false_alarms": false_alarms(valid, known, truth, rng),
        "reading": read_back(train, known, rng),
        "unseen": unseen_songs(train, valid, known),
    }


@click.command()
@click.option("--corpus", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Folder with train/ and valid/.")
@click.option("--name", default="nes-1", show_default=True, help="The model's.")
@click.option("--out", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path("models"), show_default=True)
@click.option("--check", "checked", is_flag=True, help="Write nothing; say what the index is worth.")
def main(corpus: Path, name: str, out: Path, checked: bool) -> None:
    """Make or check an index."""
    if not checked:
        path = write_index(song_lines(corpus / "train"), out, name)
        click.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
        return
    report = check(corpus, out, name)
    planted, alarms, walk = report["planted"], report["false_alarms"], report["reading"]
    click.echo(f"size                      {report['bytes'] / 1e6:.2f} MB for {report['words']} passages of eight notes")
    click.echo(f"loading                   {report['load_ms']:.1f} ms; {report['look_up_ms_a_voice']:.3f} ms a voice")
    click.echo(f"planted passages found    {planted['found']:.2%} of {planted['planted']}, transposed")
    for kind, found in alarms.items():
        click.echo(f"taken for known, {kind:9s} {found['taken_for_known']:.3%} of {found['words']} passages that no song has")
    click.echo(
        f"reading {WALK_NOTES} notes on        {walk['median_candidates']:.0f} candidates in the median walk, {walk['fewest']} at least, "
        f"{walk['broken_off']} of {walk['walks']} broken off beyond {MOST_CANDIDATES}"
    )
    for voice, found in report["unseen"].items():
        shares = ", ".join(f"{n}-grams {found[f'known_{n}']:.1%} (in truth {found[f'truly_{n}']:.1%})" for n in SHARES)
        click.echo(f"songs never trained on, {voice}  {shares}; longest {found['median_longest']:.0f} notes in the median")
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
