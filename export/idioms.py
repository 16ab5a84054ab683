"""Mine what sound drivers do to notes, from a folder of NES-MDB MIDI files, in one command.

    python -m export.idioms --midi nesmdb_midi/train --library corpus/library.npz -o models/nes-1.idioms.json

Writes the small file that nesasset/compose/ornament.py draws from. Only what several games do is kept: these are
instruments, not melodies. Give it the training split and nothing else. Without -o it only prints the shares, of any folder.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from export.instruments import Library, make_palette
from export.notes import Notes, find_notes
from export.songs import read_frames
from nesasset.compose.ornament import FORMAT, ROOM_ROWS, ROOM_SHARE, VERSION, shapes_hash
from nesasset.errors import FormatError
from nesasset.formats.files import write_bytes
from nesasset.units import MAX_VOLUME, VOICES
from nesasset.vocabulary import ENVELOPE_FRAMES

Course = tuple[int, ...]

MIN_ONSETS: Final = 24  # in all voices: fewer are a sound effect
SAME_NOTES: Final = 16  # two songs that agree in so many notes of each voice are one
MIN_NOTES: Final = 4  # an instrument that plays fewer shows nothing
MIN_AGREE: Final = 0.6  # of an instrument's notes must play its course, as far as they last
LONG_NOTE: Final = 16  # frames: a course is read from notes of this length, or from the longest where there are none
MIN_SONGS, MIN_GAMES = 5, 3  # that have a course, for it to be kept
MIN_SLOTS: Final = 30  # instruments of one shape that its own row of the table needs; fewer share their timbre's
ROOM_FRAMES: Final = 6 * ROOM_ROWS  # at the commonest six frames a row
ECHO_NOTES: Final = 16  # of pulse 2, for a song to show an echo
ECHO_FRAMES: Final = (3, 40)  # delays that are looked for
ECHO_SHARE: Final = 0.6  # of pulse 2's notes repeat pulse 1's
UNISON_SHARE: Final = 0.4  # of them sound together with pulse 1: then it is a doubling
DROP_SEMITONES, DROP_STEP_FRAMES, DROPS = 4, 2, 4  # a triangle's drum falls so far, so fast; so many make a song's habit
SWING_FRAMES: Final = 30  # a note must last so long to show a delayed vibrato
SWING_PERIODS: Final = (4, 32)  # frames of a swing


@dataclass(frozen=True, slots=True)
class SongIdioms:
    """What one song does."""

    name: str
    first_notes: bytes
    """To know a song again that is in the folder twice."""
    duties: list[tuple[tuple[int, int], Course]] = field(default_factory=list)
    """For each pulse instrument duty and shape, and its sequence, () where it has none."""
    periods: list[tuple[tuple[int, int, int], Course]] = field(default_factory=list)
    """For each drum mode, period and shape, and its course of steps."""
    has_triangle: bool = False
    drops: int = 0
    room: bool = False
    """Pulse 2 leaves room for an echo."""
    echo: tuple[int, int] | None = None
    """Frames of delay and volume of 15, where pulse 2 is an echo."""
    vibratos: list[tuple[int, int]] = field(default_factory=list)
    """Delay and period in frames of swings of a semitone or two on the pulses."""


def song_idioms(frames: NDArray[np.uint8], name: str, library: Library) -> SongIdioms | None:
    """Return what a song does; None where it has too few notes.

    Nothing here needs rows: all of it is what a driver does frame by frame.

    Args:
        frames: Shape (n_frames, 4, 3).
        name: File name without suffix.
        library: The volume shapes, to tell instruments by.
    """
    notes = {voice: find_notes(frames[:, column], voice) for column, voice in enumerate(VOICES)}
    if sum(len(part.start) for part in notes.values()) < MIN_ONSETS:
        return None
    pulses = [_windows(frames[:, column], notes[voice]) for column, voice in enumerate(("P1", "P2"))]
    kinds = [notes[voice].timbre.astype(np.int64) for voice in ("P1", "P2")]
    volumes, spans = (np.concatenate([getattr(part, field_name) for part in pulses]) for field_name in ("volumes", "spans"))
    pulse, slots = make_palette(volumes, spans, np.concatenate(kinds), None, library.pulse)
    courses = [course for part in pulses for course in _courses(part.timbres, part.lengths)]
    drums, hits = notes["NO"], _windows(frames[:, 3], notes["NO"])
    periods = 16 - drums.pitch.astype(np.int64)  # NES-MDB writes 16 - period
    noise, drum_slots = make_palette(hits.volumes, hits.spans, drums.timbre.astype(np.int64), periods, library.noise)
    triangle = notes["TR"]
    return SongIdioms(
        name,
        b"".join(np.stack([part.start, part.pitch])[:, :SAME_NOTES].tobytes() for part in notes.values()),
        [((int(pulse[slot, 0]), int(pulse[slot, 2])), found) for slot, found in _played(slots, courses)],
        [
            ((int(noise[slot, 0]), int(noise[slot, 1]), int(noise[slot, 2])), found)
            for slot, found in _played(drum_slots, _courses(16 - hits.notes - periods[:, None], hits.lengths))
        ],
        bool(len(triangle.start)),
        sum(_is_drop(frames[a:b, 2, 0]) for a, b in zip(triangle.start.tolist(), triangle.off.tolist(), strict=True)),
        has_room(frames),
        find_echo(notes["P1"], notes["P2"], frames),
        [swing for column in (0, 1) for swing in _swings(frames[:, column])],
    )


# Courses: what an instrument does frame by frame.


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """The first frames of each note of a voice; the arrays have shape (n_notes, ENVELOPE_FRAMES)."""

    notes: NDArray[np.int64]
    """NES-MDB's notes; where it is silent, the last one before."""
    volumes: NDArray[np.uint8]
    timbres: NDArray[np.int64]
    """As the notes."""
    spans: NDArray[np.int64]
    """(n_notes,): frames to the next onset."""
    lengths: NDArray[np.int64]
    """(n_notes,): frames to the last that sounds."""


def _windows(frames: NDArray[np.uint8], notes: Notes) -> _Windows:
    width = np.arange(ENVELOPE_FRAMES)
    start = notes.start.astype(np.int64)[:, None]
    spans = np.minimum(notes.end - notes.start, ENVELOPE_FRAMES).astype(np.int64)
    table = frames[np.minimum(start + width, len(frames) - 1)].astype(np.int64)
    sounding = (table[..., 0] > 0) & (table[..., 1] > 0) & (width < spans[:, None])
    last = np.maximum.accumulate(np.where(sounding, width, 0), axis=1)
    held = np.take_along_axis(table, last[..., None], axis=1)
    lengths = np.minimum(notes.off - notes.start, spans)
    return _Windows(held[..., 0], np.where(sounding, table[..., 1], 0).astype(np.uint8), held[..., 2], spans, lengths)


def _courses(values: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[Course]:
    return [tuple(row[:length]) for row, length in zip(values.tolist(), lengths.tolist(), strict=True)]


def _played(slots: NDArray[np.integer], courses: Sequence[Course]) -> list[tuple[int, Course]]:
    """Return each instrument that plays enough notes, and the course that it plays, () for none."""
    notes: dict[int, list[Course]] = defaultdict(list)
    for slot, course in zip(slots.tolist(), courses, strict=True):
        notes[slot].append(course)
    return [(slot, common_course(found)) for slot, found in sorted(notes.items()) if len(found) >= MIN_NOTES]


def common_course(notes: Sequence[Course]) -> Course:
    """Return the course that most of an instrument's notes play as far as they last, its constant end cut off.

    A constant course, and one that too few notes agree on, is ().
    """
    length = min(LONG_NOTE, max(map(len, notes)))
    candidates = Counter(_trimmed(note) for note in notes if len(note) >= length)
    best = min(candidates, key=lambda course: (-candidates[course], course))
    agreeing = sum((best + best[-1:] * len(note))[: len(note)] == note for note in notes)
    return best if len(best) > 1 and agreeing >= MIN_AGREE * len(notes) else ()


def _trimmed(note: Course) -> Course:
    last = next((at for at in range(len(note) - 1, 0, -1) if note[at] != note[at - 1]), 0)
    return note[: last + 1]


# Triangle drums and vibratos.


def _is_drop(notes: NDArray[np.uint8]) -> bool:
    """Say whether a triangle note does nothing but fall, far and fast."""
    heard = notes[notes > 0].astype(np.int64)
    moves = np.diff(heard)
    falls = np.flatnonzero(moves)
    if len(falls) < 2 or (moves > 0).any() or heard[0] - heard[-1] < DROP_SEMITONES:
        return False
    return bool((np.diff(falls, prepend=-1) <= DROP_STEP_FRAMES).all())


def _swings(frames: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return delay and period of each long note that begins still and then swings by a semitone or two.

    One that does not begin still may as well be a trill of written notes.
    """
    notes = frames[:, 0].astype(np.int64) * (frames[:, 1] > 0)
    edges = np.flatnonzero(np.abs(np.diff(notes)) > 2) + 1  # a new note, or silence
    found = []
    for a, b in zip([0, *edges.tolist()], [*edges.tolist(), len(notes)], strict=True):
        part = notes[a:b]
        if b - a < SWING_FRAMES or not part[0]:
            continue
        moved = np.flatnonzero(np.diff(part)) + 1
        if len(moved) < 5 or len(set(part.tolist())) > 3:
            continue
        # The first move, again and again.
        returns = moved[(part[moved - 1] == part[moved[0] - 1]) & (part[moved] == part[moved[0]])]
        turns = np.diff(returns)
        if len(turns) < 2 or turns.max() - turns.min() > 2:
            continue
        delay, period = int(moved[0]), int(np.median(turns))
        if SWING_PERIODS[0] <= period <= SWING_PERIODS[1] and delay > period:
            found.append((delay, period))
    return found


# Echo.


def has_room(frames: NDArray[np.uint8]) -> bool:
    """Say whether pulse 1 sounds for long while pulse 2 is silent for a bar and more; see `nesasset.idioms.free_rows`."""
    first, second = ((frames[:, column, 0] > 0) & (frames[:, column, 1] > 0) for column in (0, 1))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ~second, [0]]).astype(np.int8)))
    room = sum(int(first[a:b].sum()) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= ROOM_FRAMES)
    return ROOM_SHARE[1] * room >= ROOM_SHARE[0] * len(frames)


def find_echo(first: Notes, second: Notes, frames: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Return delay in frames and volume of 15 of a pulse 2 that repeats pulse 1 more softly; None where it does not."""
    if len(second.start) < ECHO_NOTES:
        return None
    begun = np.zeros(len(frames) + 2, dtype=np.int64)  # the pitch of each onset of pulse 1, with a silent frame at either end
    begun[first.start + 1] = first.pitch

    def repeated(lag: int) -> tuple[float, float]:
        """Return the shares of notes that repeat one of pulse 1 that much earlier, within a frame and exactly."""
        early, exact, late = (
            begun[np.clip(second.start - lag + 1 + off, 0, len(frames) + 1)] == second.pitch for off in (-1, 0, 1)
        )
        return float((early | exact | late).mean()), float(exact.mean())

    lag = max(range(ECHO_FRAMES[0], min(ECHO_FRAMES[1], len(frames) - 1) + 1), key=repeated)
    if repeated(lag)[0] < ECHO_SHARE or repeated(0)[0] >= UNISON_SHARE:
        return None
    source, echo = frames[:-lag, 0].astype(float), frames[lag:, 1].astype(float)
    same = (source[:, 0] == echo[:, 0]) & (source[:, 1] > 0) & (echo[:, 1] > 0)
    ratio = float(np.median(echo[same, 1] / source[same, 1])) if same.any() else 1.0
    volume = round(MAX_VOLUME * ratio)
    return (lag, volume) if 1 <= volume < MAX_VOLUME else None


# All songs.


def summary(songs: Sequence[SongIdioms], shapes: str) -> dict[str, Any]:
    """Return what the file holds, as JSON values."""
    echoes = Counter(song.echo for song in songs if song.echo)
    swings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for song in songs:
        swings[_game(song.name)] += song.vibratos
    middles = np.array([np.median(found, axis=0) for found in swings.values() if found])  # a game's notes are one driver's
    triangles = [song for song in songs if song.has_triangle]
    return {
        "format": FORMAT,
        "version": VERSION,
        "shapes": shapes,
        "data": {"songs": len(songs), "games": len({_game(song.name) for song in songs})},
        "kept": {"songs": MIN_SONGS, "games": MIN_GAMES},
        "duties": _table([(song.name, song.duties) for song in songs]),
        "periods": _table([(song.name, song.periods) for song in songs]),
        "echo": {
            "songs": sum(song.room or song.echo is not None for song in songs),
            "found": [[*echo, count] for echo, count in sorted(echoes.items())],
        },
        "vibrato": {
            "songs": sum(bool(song.vibratos) for song in songs),
            "games": len(middles),
            "median_delay": float(np.median(middles[:, 0])) if len(middles) else None,
            "median_period": float(np.median(middles[:, 1])) if len(middles) else None,
        },
        "triangle_drums": {"songs": len(triangles), "users": sum(song.drops >= DROPS for song in triangles)},
    }


def _game(name: str) -> str:
    return name.split("_", 1)[0]


def _table(songs: Sequence[tuple[str, Sequence[tuple[tuple[int, ...], Course]]]]) -> dict[str, Any]:
    """Return the courses that several games have and how often each instrument of the songs that use any plays them."""
    owners: dict[Course, set[str]] = defaultdict(set)
    for name, slots in songs:
        for _, course in slots:
            if course:
                owners[course].add(name)
    kept = [c for c, names in owners.items() if len(names) >= MIN_SONGS and len({_game(name) for name in names}) >= MIN_GAMES]
    kept.sort(key=lambda course: (-len(owners[course]), course))
    number = {course: index for index, course in enumerate(kept)}
    exact: dict[str, list[Course]] = defaultdict(list)
    alike: dict[str, list[Course]] = defaultdict(list)  # of one timbre (and period), whatever the shape
    for _, slots in songs:
        if any(course for _, course in slots):
            for key, course in slots:
                exact["/".join(map(str, key))].append(course)
                alike["/".join(map(str, key[:-1]))].append(course)

    def counts(played: list[Course]) -> list[list[int]]:
        found = Counter(number[course] for course in played if course in number)
        return [[index, found[index]] for index in sorted(found)]

    # A row of its own needs enough instruments, and courses to choose from if any of them plays one.
    own = {key: played for key, played in exact.items() if len(played) >= MIN_SLOTS and (counts(played) or not any(played))}
    rows = {
        key: {"of": len(played), "players": sum(map(bool, played)), "courses": counts(played)}
        for key, played in sorted({**alike, **own}.items())
    }
    return {
        "songs": sum(bool(slots) for _, slots in songs),
        "users": sum(any(course for _, course in slots) for _, slots in songs),
        "courses": [list(course) for course in kept],
        "slots": rows,
    }


def dumps(value: dict[str, Any]) -> str:
    """Return JSON with one course, and one instrument, a line."""
    lines = []
    for key, entry in value.items():
        text = json.dumps(entry)
        if key in ("duties", "periods"):
            courses = ",\n   ".join(json.dumps(course) for course in entry["courses"])
            slots = ",\n   ".join(f"{json.dumps(name)}: {json.dumps(slot)}" for name, slot in entry["slots"].items())
            text = f'{{\n  "songs": {entry["songs"]}, "users": {entry["users"]},\n  "courses": [\n   {courses}\n  ],\n'
            text += f'  "slots": {{\n   {slots}\n  }}\n }}'
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _mine(path: Path, library: Library) -> SongIdioms | None:
    try:
        return song_idioms(read_frames(path), path.stem, library)
    except FormatError as error:
        click.echo(f"{path.name} left out: {error}", err=True)
        return None


def mine(midi: Path, library: Library, jobs: int) -> list[SongIdioms]:
    """Return what each song of a folder does, doubles left out."""
    paths = sorted(midi.glob("*.mid"))
    if not paths:
        raise click.UsageError(f"{midi}: no .mid files")
    songs: dict[bytes, SongIdioms] = {}
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as executor:
        for song in executor.map(partial(_mine, library=library), paths, chunksize=8):
            if song is not None:
                songs.setdefault(song.first_notes, song)
    return list(songs.values())


def told(songs: Sequence[SongIdioms], table: dict[str, Any]) -> str:
    """Return the shares of songs that use each idiom, and the commonest courses, for people."""
    lines = [f"{len(songs)} songs"]
    for kind in ("duties", "periods"):
        part = table[kind]
        lines.append(f"{kind}: {part['users']} of {part['songs']} songs, {len(part['courses'])} courses kept")
        lines += [f"  {course}" for course in part["courses"][:8]]
    found = sum(count for *_, count in table["echo"]["found"])
    lines += [f"echo: {found} of {table['echo']['songs']} songs with room", f"vibrato: {table['vibrato']}"]
    lines.append(f"triangle drums: {table['triangle_drums']['users']} of {table['triangle_drums']['songs']} songs")
    return "\n".join(lines)


@click.command()
@click.option("--midi", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Folder of .mid files: train.")
@click.option("--library", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="library.npz of the model.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="NAME.idioms.json beside the model; without it nothing is written.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
def main(midi: Path, library: Path, out: Path | None, jobs: int) -> None:
    """Mine the idioms of sound drivers."""
    shapes = Library.load(library)
    songs = mine(midi, shapes, jobs)
    table = summary(songs, shapes_hash({"pulse": shapes.pulse, "noise": shapes.noise}))
    if out is not None:
        write_bytes(out, dumps(table).encode())
    click.echo(told(songs, table))


if __name__ == "__main__":
    main()
