"""Calibrate a model: count what it composes beside the songs it was trained on, and write the difference into its sidecar.

    python -m export.calibrate --corpus corpus/train --model models/nes-1.json [--rounds 3] [--pieces 220] [--seed 20000]

Counted are, over windows of 16 bars, how often a voice that plays begins a note at each place of the bar, how often it falls silent, how
far its notes are from the ones before, and how much of what sounds lies on each degree of the key. What composed loops have too little
of becomes likelier by a part of the difference of log odds, round after round, of the same seeds; degrees by little, or the key blurs,
and those outside the key's scale not at all. Each theme with enough songs gets a table of its own besides: what these have more or less
of than all songs do. Only training songs are looked at, so that the judge's are as unknown as before. nesasset/compose/calibration.py
says where the numbers act.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from export.judge import draw_windows
from export.judging.sides import Item, song_windows
from export.measures import Piece, score_to_piece
from export.to_onnx import dumps_sidecar, write_sums
from nesasset.compose import Controls, compose
from nesasset.compose.calibration import BAR_ROWS, KEY, MODES, MOVES, PLACES, Calibration, places
from nesasset.compose.key import find_key
from nesasset.compose.scales import SCALES
from nesasset.errors import NesassetError
from nesasset.formats import files
from nesasset.model import Model, load_model
from nesasset.themes import THEMES
from nesasset.units import VOICES
from nesasset.vocabulary import LABELS, LOWEST_PITCH, ONSET_ID, REST_ID

BARS: Final = 16
WINDOWS: Final = 800  # of songs, as many games as possible
PART: Final = 0.5  # of a difference that is made up for in one round: the servo of density makes of what is rarer here more there
LIMIT: Final = 1.0  # of what onsets and rests gain
DEGREE_LIMIT: Final = 0.3  # of what a degree gains: with a tonic rarer by 0.5 a tenth more of the pieces left their theme's mode
MOVE_LIMIT: Final = 0.6  # of what a move gains
FEWEST_MOVES: Final = 8  # of a voice in a piece that counts
SCALE_OF: Final = {"major": SCALES["major"], "minor": (*SCALES["minor"], 11)}  # minor with its leading note
FEWEST_WINDOWS: Final = 30  # of songs of a theme, from which it has a table of its own
THEME_PRIOR: Final = 40.0  # windows like all others that are counted with a theme's own
LEAST: Final = 1e-4  # a share below which counts say nothing


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What pieces have, on average."""

    onsets: NDArray[np.float64]
    """(n_places, 4): share of rows in which a voice begins a note, of the bars in which it begins any."""
    rests: NDArray[np.float64]
    """(4,): share of rows in which it falls silent, of these bars."""
    degrees: NDArray[np.float64]
    """(n_modes, 12): share of the melodic voices' sounding rows, by semitones above the tonic."""
    in_mode: NDArray[np.float64]
    """(n_modes,): pieces in major and in minor."""
    moves: NDArray[np.float64]
    """(3, n_moves): share of a melodic voice's moves, by MOVES."""


def count(pieces: Sequence[Piece]) -> Counts:
    """Count pieces in bars of 16 rows; a mode that none is in has its degrees alike."""
    onsets, rests, bars = np.zeros((BAR_ROWS, 4)), np.zeros(4), np.zeros(4)
    degrees, found, moves = np.zeros((len(MODES), 12)), np.zeros(len(MODES)), np.zeros((3, len(MOVES)))
    for piece in pieces:
        cells = piece.cells.reshape(-1, BAR_ROWS, 4)
        begins = cells >= ONSET_ID
        plays = begins.any(axis=1)
        onsets += begins.sum(axis=0)
        rests += ((cells == REST_ID) & plays[:, None]).sum(axis=(0, 1))
        bars += plays.sum(axis=0)
        heard = piece.sounding[:, :3]
        classes = np.bincount((heard[heard >= ONSET_ID] - ONSET_ID + LOWEST_PITCH) % 12, minlength=12)
        tonic, mode, _ = find_key(classes.astype(np.float64))
        if classes.any():
            degrees[MODES.index(mode)] += np.roll(classes, -tonic) / classes.sum()
            found[MODES.index(mode)] += 1
        for voice in range(3):
            far = np.abs(np.diff(piece.cells[piece.onsets[:, voice], voice]))
            if len(far) >= FEWEST_MOVES:
                moves[voice] += np.bincount(np.searchsorted(MOVES, far, side="right") - 1, minlength=len(MOVES)) / len(far)
    bars = np.maximum(bars, 1)
    degrees = np.where(found[:, None] > 0, degrees / np.maximum(found, 1)[:, None], 1 / 12)
    return Counts(places(onsets / bars), rests / (bars * BAR_ROWS), degrees, found, shares(moves))


def shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row of counts as shares; alike where nothing was counted."""
    sums = counts.sum(axis=1, keepdims=True)
    return np.where(sums > 0, counts / np.maximum(sums, LEAST), 1 / counts.shape[1])


def corrected(calibration: Calibration, real: Counts, composed: Counts) -> Calibration:
    """Return a calibration that makes up for a part of what composed pieces have too much or too little of."""

    def step(old: NDArray[np.float32], wanted: NDArray[np.float64], came: NDArray[np.float64], limit: float = LIMIT) -> NDArray[np.float32]:
        return np.clip(old + PART * log_odds(wanted, came), -limit, limit).astype(np.float32)

    inside = np.stack([np.isin(np.arange(12), SCALE_OF[mode]) for mode in MODES])
    return replace(
        calibration,
        onsets=step(calibration.onsets, real.onsets, composed.onsets),
        rests=step(calibration.rests, real.rests, composed.rests),
        moves=step(calibration.moves, real.moves, composed.moves, MOVE_LIMIT),
        degrees=np.where(inside, step(calibration.degrees, real.degrees, composed.degrees, DEGREE_LIMIT), calibration.degrees).astype(np.float32),
    )


def log_odds(wanted: NDArray[np.float64], came: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much the log odds of shares differ."""
    wanted, came = (np.clip(share, LEAST, 1 - LEAST) for share in (wanted, came))
    return np.asarray(np.log(wanted / (1 - wanted)) - np.log(came / (1 - came)))


def of_themes(windows: Sequence[Item]) -> dict[str, Calibration]:
    """Return what symbols gain in each theme that has enough songs, by label: the difference of log odds between its songs and all.

    Of the degrees those outside the key's scale as well: they are what makes a dungeon. The fewer songs, the less. The model is told
    the theme besides, but hardly hears it.
    """
    every = count([window.piece for window in windows])
    tables = {}
    for label in filter(None, LABELS):
        own = [window.piece for window in windows if window.label == label]
        if len(own) < FEWEST_WINDOWS:
            continue
        found = count(own)
        sure = len(own) / (len(own) + THEME_PRIOR)
        by_mode = (found.in_mode / (found.in_mode + THEME_PRIOR))[:, None]
        pushes = (
            sure * log_odds(found.onsets, every.onsets),
            sure * log_odds(found.rests, every.rests),
            by_mode * log_odds(found.degrees, every.degrees),
            sure * log_odds(found.moves, every.moves),
        )
        tables[label] = Calibration(*(np.clip(push, -LIMIT, LIMIT).astype(np.float32) for push in pushes))
    return tables


def apart(real: Counts, composed: Counts) -> float:
    """Return the mean difference of shares, absolute, over all that is calibrated."""
    pairs = ((real.onsets, composed.onsets), (real.rests, composed.rests), (real.degrees, composed.degrees), (real.moves, composed.moves))
    return float(np.mean(np.concatenate([np.abs(a - b).ravel() for a, b in pairs])))


def compose_pieces(model: Model, pieces: int, seed: int) -> list[Piece]:
    """Compose loops of 16 bars, themes in turn, as they come: without ornaments; those of other metres are left out."""
    names = [theme.name for theme in THEMES.values() if theme.loops]
    made = []
    for number in track(range(pieces), "composing", console=Console(stderr=True), transient=True):
        piece = score_to_piece(compose(names[number % len(names)], seed + number, Controls(bars=BARS, ornaments=False), model))
        if piece.bar_rows == BAR_ROWS:
            made.append(piece)
    return made


def calibrated(path: Path, calibration: Calibration) -> Model:
    """Return the model of a sidecar with a calibration that is not in its file yet."""
    model = load_model(path)
    model.sidecar = {**model.sidecar, KEY: calibration.to_json()}
    return model


@click.command()
@click.option("--corpus", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Prepared training split: corpus/train.")
@click.option("--model", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="NAME.json of the model; rewritten.")
@click.option("--rounds", type=click.IntRange(1, 10), default=3, show_default=True)
@click.option("--pieces", type=click.IntRange(8), default=220, show_default=True, help="Loops composed each round.")
@click.option("--seed", type=int, default=20000, show_default=True)
def main(corpus: Path, path: Path, rounds: int, pieces: int, seed: int) -> None:
    """Calibrate a model by its training songs."""
    if not (corpus / "cells.npy").is_file():
        raise click.UsageError(f"{corpus} is not a prepared split: give e.g. corpus/train")
    windows = song_windows(corpus, BARS)
    if not windows:
        raise click.ClickException(f"{corpus} has no song of {BARS} bars of {BAR_ROWS} rows to compare with; prepare longer songs")
    real = count([window.piece for window in draw_windows(windows, WINDOWS, np.random.default_rng(seed))])
    try:
        calibration = replace(Calibration.of(load_model(path).sidecar, path.stem), themes=of_themes(windows))
        for number in range(rounds):
            composed = count(compose_pieces(calibrated(path, calibration), pieces, seed))
            click.echo(f"round {number + 1}: {apart(real, composed):.4f} apart on average, {pieces} pieces")
            show(real, composed)
            calibration = corrected(calibration, real, composed)
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        files.write_bytes(path, dumps_sidecar({**sidecar, KEY: calibration.to_json()}).encode())
    except NesassetError as error:
        raise click.ClickException(str(error)) from error
    write_sums(path.parent)
    click.echo(f"{path}: calibrated; what the last round's table would give has not been composed")


def show(real: Counts, composed: Counts) -> None:
    """Print both sides."""
    click.echo("| | " + " | ".join(VOICES) + " |")
    for row, place in enumerate(PLACES):
        click.echo(f"| {place} | " + " | ".join(f"{a:.3f} ({b:.3f})" for a, b in zip(composed.onsets[row], real.onsets[row], strict=True)) + " |")
    click.echo("| rests | " + " | ".join(f"{a:.3f} ({b:.3f})" for a, b in zip(composed.rests, real.rests, strict=True)) + " |")
    for row, voice in enumerate(VOICES[:3]):
        click.echo(f"{voice} moves: " + " ".join(f"{a:.3f} ({b:.3f})" for a, b in zip(composed.moves[row], real.moves[row], strict=True)))
    for row, mode in enumerate(MODES):
        click.echo(f"{mode}, above the tonic: " + " ".join(f"{a:.3f} ({b:.3f})" for a, b in zip(composed.degrees[row], real.degrees[row], strict=True)))


if __name__ == "__main__":
    main()
