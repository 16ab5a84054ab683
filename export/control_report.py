"""What each control does to the music: asked for against measured, as a table for docs/controls.md.

    python -m export.control_report [--pieces 200] [--seed 0] [--json] [--docs docs/controls.md]

Every control is asked for alone, over several looping themes and seeds, the pieces one draft each and as they come, without
the certificate's second tries. Measured are the notes of the score, not what the composer was told. `--docs` rewrites
the table between its two marks in the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from export import docs_table
from export.measures import Piece, score_to_piece
from nesasset.chords import chord_tones
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.compose.key import find_key, pitch_class_weights
from nesasset.score import Note, Score
from nesasset.themes import THEMES
from nesasset.units import NOTE_NAMES, VOICES
from nesasset.vocabulary import LOWEST_PITCH, ONSET_ID

LOOPING: Final = tuple(name for name, theme in THEMES.items() if theme.loops)
HEARD: Final = 0.5  # share of a beat's sounding notes that belong to the chord, from which on it is heard


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    control: str
    asked: str
    measured: str
    """What of the score is measured."""
    figure: str
    value: float
    bar: float | None
    pieces: int

    @property
    def met(self) -> str:
        """Whether the value reaches the bar."""
        return "" if self.bar is None else "yes" if self.value >= self.bar else "no"


def spearman(asked: list[float], measured: list[float]) -> float:
    """Return Spearman's rank correlation, ties at their mean rank; 0 where either side is constant."""
    a, b = (_ranks(np.asarray(values, dtype=np.float64)) for values in (asked, measured))
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(((last - counts) + last - 1)[place] / 2.0)


# What is measured.


def tempo_is_met(score: Score, bpm: float) -> bool:
    """Return whether a bar's length is within half a frame of the tempo's."""
    return abs(score.row_frame(score.bar_rows) - score.bar_rows * 900 / bpm) <= 0.5


def key_is_met(score: Score, tonic: int) -> bool:
    """Return whether the key that the notes are in has the tonic."""
    return find_key(pitch_class_weights(score_to_piece(score).cells))[0] == tonic


def sections_are_equal(score: Score, letters: str) -> bool:
    """Return whether sections of one letter are one another in every voice, and those of different letters differ."""
    size = score.n_rows // len(letters)
    parts = [
        tuple(tuple(_cell(score, voice, row) for row in range(place * size, (place + 1) * size)) for voice in VOICES)
        for place in range(len(letters))
    ]
    first = {letter: parts[letters.index(letter)] for letter in letters}
    same = all(_alike(part, first[letter]) for part, letter in zip(parts, letters, strict=True))
    return same and len(set(first.values())) == len(first)


def _cell(score: Score, voice: str, row: int) -> object:
    cell = score.voices[voice][row]
    return ("note", cell.pitch) if isinstance(cell, Note) else cell


def _alike(one: tuple[tuple[object, ...], ...], other: tuple[tuple[object, ...], ...]) -> bool:
    """Return whether two parts are equal; whether a first row holds silence or rests makes no difference."""
    for mine, theirs in zip(one, other, strict=True):
        if mine[1:] != theirs[1:]:
            return False
        if mine[0] != theirs[0] and (isinstance(mine[0], tuple) or isinstance(theirs[0], tuple)):
            return False
    return True


def chords_heard(score: Score, chords: tuple[tuple[int, ...], ...]) -> tuple[int, int]:
    """Return in how many beats of the loop most of what the melodic voices sound belongs to the chord, and how many sound."""
    piece = score_to_piece(score)
    tones = chord_tones()
    heard = total = 0
    for beat in range(len(piece.cells) // piece.beat_rows):
        rows = piece.sounding[beat * piece.beat_rows : (beat + 1) * piece.beat_rows, :3]
        notes = rows[rows >= ONSET_ID]
        if not len(notes):
            continue
        bar, place = divmod(beat * piece.beat_rows, piece.bar_rows)
        bar_chords = chords[bar % len(chords)]
        chord = bar_chords[min(place * len(bar_chords) // piece.bar_rows, len(bar_chords) - 1)]
        heard += tones[chord, (notes - ONSET_ID + LOWEST_PITCH) % 12].mean() >= HEARD
        total += 1
    return heard, total


def onsets_a_row(piece: Piece) -> float:
    """Return onsets per row and melodic voice that plays at all."""
    onsets = piece.onsets[:, :3]
    playing = onsets.any(axis=0)
    return float(onsets[:, playing].mean()) if playing.any() else 0.0


def onsets_a_second(score: Score) -> float:
    """Return onsets of all voices per second."""
    return float(score_to_piece(score).onsets.sum() / (score.n_frames / 60))


def median_pitch(score: Score) -> float:
    """Return the median MIDI pitch of pulse 1's notes, 0 for none."""
    pitches = [cell.pitch for cell in score.voices["P1"] if isinstance(cell, Note) and cell.pitch is not None]
    return float(np.median(pitches)) if pitches else 0.0


def is_silent(score: Score, voices: tuple[str, ...]) -> bool:
    """Return whether the voices have no note."""
    return not any(isinstance(cell, Note) for voice in voices for cell in score.voices[voice])


# The table.


Pieces = Iterator[tuple[str, int]]


def measure_controls(pieces: int, seed: int, tick: Callable[[], None]) -> list[Row]:
    """Return the table, with about `pieces` pieces for each control."""
    rows: list[Row] = []

    def made(place: int, **wishes: Any) -> Score:
        tick()
        return compose(LOOPING[place % len(LOOPING)], seed + place, Controls(**{"candidates": 1, **wishes}))

    def share(control: str, asked: str, measured: str, bar: float | None, hits: list[bool]) -> None:
        rows.append(Row(control, asked, measured, "met in", float(np.mean(hits)), bar, len(hits)))

    short = {"bars": 8}
    tempos = [70.0, 90.0, 113.0, 128.0, 150.0, 187.5, 225.0]
    share(
        "tempo",
        "70 to 225 beats a minute",
        "a bar's length, to half a frame",
        1.0,
        [tempo_is_met(made(i, tempo_bpm=t, **short), t) for i, t in _pairs(pieces, tempos)],
    )
    share(
        "key",
        "all twelve tonics",
        "the key of the notes",
        1.0,
        [key_is_met(made(i, key=NOTE_NAMES[k], **short), k) for i, k in _pairs(pieces, list(range(12)))],
    )
    share(
        "bars",
        "1 to 24",
        "bars of the loop",
        1.0,
        [made(i, bars=n).n_bars == n for i, n in _pairs(pieces, [1, 2, 3, 4, 7, 12, 16, 24])],
    )
    forms = ["AABA", "ABAB", "ABAC", "AABB"]
    share(
        "form",
        ", ".join(forms),
        "sections equal, letters different",
        1.0,
        [sections_are_equal(made(i, form=f, bars=16), f) for i, f in _pairs(pieces, forms)],
    )
    modes = ["major", "minor"]
    share(
        "mode",
        "major, minor",
        "the mode of the key of the notes",
        None,
        [_mode(made(i, mode=m, **short)) == m for i, m in _pairs(pieces, modes)],
    )
    share(
        "intro",
        "1 to 3 bars",
        "bars before the loop",
        1.0,
        [
            (s := made(i, intro_bars=n, **short)).loop is not None and s.loop[0] == n * s.bar_rows
            for i, n in _pairs(pieces // 4, [1, 2, 3])
        ],
    )
    parts = [("P2",), ("NO",), ("P2", "NO"), ("TR",)]
    share(
        "voices",
        "all but P2, but NO, but both, but TR",
        "no note in the others",
        1.0,
        [
            is_silent(made(i, voices=" ".join(v for v in VOICES if v not in off), **short), off)
            for i, off in _pairs(pieces // 2, parts)
        ],
    )
    progressions = ["I vi IV V", "i VI III VII", "I V vi IV", "ii V I I", "C Am,F G"]
    found = [
        chords_heard(
            made(i, chords=p, key="C", mode=_mode_of(p), **short), Controls(chords=p).progression(0, _mode_of(p))
        )
        for i, p in _pairs(pieces, progressions)
    ]
    heard, total = np.array(found).sum(axis=0)
    rows.append(
        Row(
            "chords",
            ", ".join(progressions),
            "beats in which most of what sounds is in the chord",
            "heard in",
            heard / total,
            0.85,
            len(found),
        )
    )
    for control, measure, name in (
        ("density", lambda s: onsets_a_row(score_to_piece(s)), "onsets a row and melodic voice"),
        ("intensity", onsets_a_second, "onsets a second"),
    ):
        steps = [round(step / 8, 3) for step in range(9)]
        pairs = [(x, measure(made(i, **{control: x}, **short))) for i, x in _pairs(pieces, steps)]
        rows.append(
            Row(
                control,
                "0 to 1 in nine steps",
                name,
                "Spearman",
                spearman(*map(list, zip(*pairs, strict=True))),
                0.9,
                len(pairs),
            )
        )
        means = [float(np.mean([value for asked, value in pairs if asked == x])) for x in steps]
        rows.append(
            Row(control, "the same, means over pieces", name, "Spearman", spearman(steps, means), None, len(pairs))
        )
    places = ["low", "mid", "high"]
    pairs = [
        (float(places.index(p)), median_pitch(made(i, register=p, **short))) for i, p in _pairs(pieces // 2, places)
    ]
    rows.append(
        Row(
            "register",
            "low, mid, high",
            "median pitch of pulse 1",
            "Spearman",
            spearman(*map(list, zip(*pairs, strict=True))),
            None,
            len(pairs),
        )
    )
    return rows


def _pairs(pieces: int, values: list[Any]) -> list[tuple[int, Any]]:
    """Return so many numbers with the values in turn; every value meets every theme."""
    turn = cycle(values)
    return [(place + place // (len(values) * len(LOOPING)), next(turn)) for place in range(max(pieces, len(values)))]


def _mode(score: Score) -> str:
    return find_key(pitch_class_weights(score_to_piece(score).cells))[1]


def _mode_of(progression: str) -> str:
    return "minor" if progression.startswith("i ") else "major"


def to_markdown(rows: list[Row]) -> str:
    """Return the table as Markdown."""
    lines = ["| control | asked for | measured | figure | bar | met | pieces |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        value = f"{row.figure} {row.value:.3f}" if row.figure == "Spearman" else f"{row.figure} {100 * row.value:.1f} %"
        bar = "" if row.bar is None else f"{row.bar:g}" if row.figure == "Spearman" else f"{100 * row.bar:g} %"
        lines.append(f"| {row.control} | {row.asked} | {row.measured} | {value} | {bar} | {row.met} | {row.pieces} |")
    return "\n".join(lines)


@click.command()
@click.option("--pieces", type=click.IntRange(8), default=200, show_default=True, help="Pieces for each control.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first piece.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Write the table between its marks in this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(pieces: int, seed: int, docs: Path | None, as_json: bool) -> None:
    """Ask for every control and measure what comes."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("composing", total=None)
        rows = measure_controls(pieces, seed, lambda: progress.advance(task))
    table = to_markdown(rows)
    if docs is not None:
        docs_table.write(docs, "controls", table)
    if as_json:
        click.echo(
            json.dumps([{name: getattr(row, name) for name in (*Row.__slots__, "met")} for row in rows], indent=1)
        )
    else:
        click.echo(table)


if __name__ == "__main__":
    main()
