"""Fits the arranger's weights to songs whose parts are named, and measures what an arrangement keeps of tune and bass.

    python -m export.arranger fit open -o weights.json
    python -m export.arranger measure open
    python -m export.arranger draw song.mid -o pictures

Which part is the tune and which the bass is told by names: in songs with a piano the part that is no piano, and the piano's
second staff; in four-part chorales the first and the last part; elsewhere parts named melody, lead or solo, and parts
named bass. When measuring, names are hidden from the arranger, and with --programs no the programs, too. Every other song
is fitted, the rest is measured.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nesasset.arranging.arrange import arrange
from nesasset.arranging.lines import FEATURES, features, outline, part_lines
from nesasset.arranging.metre import Metre, find_metre, to_rows
from nesasset.arranging.piece import Part, PartNote, Piece
from nesasset.errors import FormatError
from nesasset.formats import files, midi_notes, musicxml
from nesasset.formats.canvas import VOICE_COLORS
from nesasset.formats.midi_pieces import midi_to_piece
from nesasset.score import HOLD, Note, Score

TUNES = ("melod", "lead", "solo")
BASSES = ("bass",)
PIANOS = ("piano", "klav", "pianoforte")
PANEL_HEIGHT, LOWEST_DRAWN = 290, 21  # pixels; MIDI pitch
PART_COLORS = ((235, 90, 90), (90, 170, 240), (240, 190, 80), (120, 220, 120), (200, 120, 240), (120, 220, 220), (240, 140, 200), (180, 180, 110))


@dataclass(frozen=True, slots=True, eq=False)
class NamedSong:
    """A piece and which of its parts are tune and bass."""

    path: Path
    piece: Piece
    tunes: tuple[int, ...]
    basses: tuple[int, ...]


def read_piece(path: Path) -> Piece:
    """Return the piece of a MIDI or MusicXML file."""
    if path.suffix.lower() in musicxml.SUFFIXES:
        return musicxml.read(files.read_bytes(path, musicxml.MAX_BYTES), Counter())
    return midi_to_piece(midi_notes.parse(files.read_bytes(path, 4 << 20)), Counter())


def named_songs(folder: Path) -> Iterator[NamedSong]:
    """Yield the songs of a folder in which names tell a tune or a bass."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi", *musicxml.SUFFIXES)):
        try:
            piece = read_piece(path)
        except FormatError:
            continue
        piece.parts = [part for part in piece.parts if part.notes]
        tuned = [(index, part.name.lower()) for index, part in enumerate(piece.parts) if not part.is_drums]
        if len(tuned) < 2:
            continue
        pianos = [index for index, name in tuned if any(word in name for word in PIANOS)]
        others = [index for index, _ in tuned if index not in pianos]
        if len(pianos) == 2 and len(others) == 1:
            yield NamedSong(path, piece, tuple(others), tuple(pianos[1:]))
        elif len(tuned) == 4 and len(piece.parts) == 4 and not any(name for _, name in tuned):
            yield NamedSong(path, piece, (tuned[0][0],), (tuned[3][0],))
        else:
            tunes = tuple(
                index
                for index, name in tuned
                if any(word in name for word in TUNES) and not any(word in name for word in (*BASSES, "support"))
            )
            basses = tuple(
                index
                for index, name in tuned
                if index not in tunes and any(word in name for word in BASSES) and "lead" not in name
            )
            if tunes or basses:
                yield NamedSong(path, piece, tunes, basses)


def sections(song: NamedSong, role: str) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield the features of the lines that may play a role, and which of them do, section by section."""
    tuned = [index for index, part in enumerate(song.piece.parts) if not part.is_drums]
    metre = find_metre(song.piece, Counter())
    rows = [to_rows(song.piece.parts[index], metre, Counter()) for index in tuned]
    lines = [line for number, notes in enumerate(rows) for line in part_lines(number, notes)]
    bars = 2 if metre.bar_rows <= 4 * metre.beat_rows else 1
    found = features(lines, rows, metre.n_rows, bars * metre.bar_rows, metre.beat_rows)
    split = {line.part for line in lines if line.kind == "bottom"}
    truth = song.tunes if role == "tune" else song.basses
    can = [
        index
        for index, line in enumerate(lines)
        if (line.kind == "top" and (role == "tune" or line.part not in split)) or (role == "bass" and line.kind == "bottom")
    ]
    for section in found:
        here = [index for index in can if not np.isnan(section[index, 0])]
        right = np.array([tuned[lines[index].part] in truth for index in here], dtype=bool)
        if right.any() and not right.all():
            yield section[here], right


def fit_weights(songs: list[NamedSong], role: str) -> dict[str, float]:
    """Return weights by logistic regression; each section counts once, half for what plays the role and half for the rest."""
    from sklearn.linear_model import LogisticRegression

    parts = [part for song in songs for part in sections(song, role)]
    values = np.concatenate([section for section, _ in parts])
    truth = np.concatenate([right for _, right in parts])
    weight = np.concatenate([np.where(right, 0.5 / right.sum(), 0.5 / (~right).sum()) for _, right in parts])
    names = [name for name in FEATURES if role == "bass" or name != "loudness"]
    columns = [FEATURES.index(name) for name in names]
    spread = values[:, columns].std(axis=0)
    model = LogisticRegression(C=0.05, max_iter=2000).fit(values[:, columns] / spread, truth, sample_weight=weight)
    return {name: round(float(value), 2) for name, value in zip(names, model.coef_[0] / spread, strict=True)}


def kept(song: NamedSong, score: Score, metre: Metre) -> dict[str, tuple[int, int]]:
    """Return notes of tune and bass and how many of them the arrangement plays, in the same row, octaves ignored.

    The tune in pulse 1, and in either pulse; the bass on the triangle.
    """
    def played(*voices: str) -> set[tuple[int, int]]:
        return {
            (row, (cell.pitch or 0) % 12)
            for voice in voices
            for row, cell in enumerate(score.voices[voice])
            if isinstance(cell, Note)
        }

    def wanted(parts: tuple[int, ...], sign: int) -> list[PartNote]:
        notes = [note for index in parts for note in to_rows(song.piece.parts[index], metre, Counter())]
        return outline(notes, sign)[0]

    found = {}
    for label, parts, sign, voices in (
        ("tune in pulse 1", song.tunes, 1, ("P1",)),
        ("tune in a pulse", song.tunes, 1, ("P1", "P2")),
        ("bass on the triangle", song.basses, -1, ("TR",)),
    ):
        notes = wanted(parts, sign)
        here = played(*voices)
        found[label] = (len(notes), sum((note.start, note.pitch % 12) in here for note in notes))
    return found


def hidden(piece: Piece, programs: bool) -> Piece:
    """Return a piece whose parts have no names, and if so wanted no programs."""
    return replace(piece, parts=[Part(part.notes, "", part.program if programs else None, part.is_drums) for part in piece.parts])


@click.group()
def main() -> None:
    """Fit the arranger's weights, or measure what arrangements keep."""


@main.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Where the weights go, JSON.")
def fit(folders: tuple[Path, ...], out: Path) -> None:
    """Fit the weights to every other song of the folders; the same number of songs counts from each."""
    songs = [song for folder in folders for song in list(named_songs(folder))[::2][:200]]
    weights = {
        role: fit_weights([song for song in songs if (song.tunes if role == "tune" else song.basses)], role)
        for role in ("tune", "bass")
    }
    out.write_text(json.dumps(weights, indent=1) + "\n", encoding="utf-8")
    click.echo(json.dumps(weights, indent=1))


@main.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--programs", type=bool, default=True, show_default=True, help="Whether the arranger sees General MIDI's programs.")
@click.option("--names", type=bool, default=False, show_default=True, help="Whether it sees the names.")
@click.option("--worst", type=click.IntRange(0), default=0, help="List so many songs that keep least of their tune.")
def measure(folders: tuple[Path, ...], programs: bool, names: bool, worst: int) -> None:
    """Print which share of tune and bass is kept, over the songs of each folder that were not fitted."""
    for folder in folders:
        totals: dict[str, list[tuple[int, int]]] = {}
        poor = []
        for song in list(named_songs(folder))[1::2]:
            score = arrange(song.piece if names else hidden(song.piece, programs), Counter())
            result = kept(song, score, find_metre(song.piece, Counter()))
            for label, pair in result.items():
                if pair[0]:
                    totals.setdefault(label, []).append(pair)
            n, n_kept = result["tune in a pulse"]
            if n:
                poor.append((n_kept / n, song.path.name))
        for label, pairs in totals.items():
            share = sum(done for _, done in pairs) / sum(n for n, _ in pairs)
            each = float(np.mean([done / n for n, done in pairs]))
            click.echo(f"{folder.name:28}{label:24}{len(pairs):5} songs  {share:6.1%} of all notes  {each:6.1%} mean of songs")
        for share, name in sorted(poor)[:worst]:
            click.echo(f"    {share:6.1%} {name}")


def picture(piece: Piece, bars: int) -> Image.Image:
    """Return the first bars of a piece, all parts above the four voices, on one axis of time."""
    metre = find_metre(piece, Counter())
    score = arrange(piece, Counter())
    n_rows = min(score.n_rows, bars * score.bar_rows)
    step = max(1, min(12, 1800 // n_rows))
    image = Image.new("RGB", (60 + step * n_rows, 2 * (PANEL_HEIGHT + 24)), (13, 15, 22))
    pen = ImageDraw.Draw(image)

    def panel(top: int, title: str, bars_of: list[tuple[int, int, int, tuple[int, int, int]]]) -> None:
        pen.text((4, top), title, fill=(220, 220, 220))
        for row in range(0, n_rows, score.bar_rows):
            pen.line((60 + row * step, top + 18, 60 + row * step, top + PANEL_HEIGHT), fill=(60, 64, 80))
        for pitch in range(24, 108, 12):
            y = top + PANEL_HEIGHT - (pitch - LOWEST_DRAWN) * 3
            pen.line((60, y, image.width, y), fill=(40, 44, 60))
            pen.text((4, y - 6), f"C{pitch // 12 - 1}", fill=(120, 124, 140))
        for first, end, pitch, color in bars_of:
            y = top + PANEL_HEIGHT - (pitch - LOWEST_DRAWN) * 3
            pen.rectangle((60 + first * step, y - 2, 60 + max(first + 1, end) * step - 2, y), fill=color)

    above = []
    for index, part in enumerate(piece.parts):
        shade = PART_COLORS[index % len(PART_COLORS)] if not part.is_drums else (90, 90, 90)
        above += [(note.start, min(note.end, n_rows), note.pitch, shade) for note in to_rows(part, metre, Counter()) if note.start < n_rows]
    names = ", ".join(f"{part.name or 'part'}{'' if part.program is None else f' ({part.program})'}" for part in piece.parts[:12])
    panel(4, f"{piece.title or 'original'}: {names}"[:220], above)
    below = []
    for voice, color in VOICE_COLORS.items():
        events = [(row, cell) for row, cell in enumerate(score.voices[voice][:n_rows]) if cell is not HOLD]
        ends = [*(row for row, _ in events[1:]), n_rows]
        for (row, cell), after in zip(events, ends, strict=False):
            if isinstance(cell, Note):
                pitch = LOWEST_DRAWN + score.instruments[cell.instrument].period // 2 if voice == "NO" else cell.pitch or 0
                chord = sorted(set(score.instruments[cell.instrument].arpeggio)) or [0]
                below += [(row, min(after, row + 1) if voice == "NO" else after, pitch + tone, color) for tone in (chord if voice == "P2" else [0])]
    panel(PANEL_HEIGHT + 24, f"pulse 1, pulse 2, triangle, noise: {score.tempo_bpm:.0f} beats a minute, {score.bar_rows} rows a bar", below)
    return image


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder of the pictures.")
@click.option("--bars", type=click.IntRange(1, 64), default=12, show_default=True, help="How many bars are drawn.")
def draw(paths: tuple[Path, ...], out: Path, bars: int) -> None:
    """Draw pieces above their arrangements."""
    out.mkdir(parents=True, exist_ok=True)
    for path in paths:
        place = out / f"{path.stem}.png"
        picture(read_piece(path), bars).save(place)
        click.echo(place)


if __name__ == "__main__":
    main()
