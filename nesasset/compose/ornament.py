"""Ornaments: what a sound driver does to the notes of a composed piece. Adds no melody, moves no note of one.

Duty sequences, courses of the noise's period and echoes come from NAME.idioms.json beside the model, which
export/idioms.py makes: how often songs of NES-MDB's training split use them, and which, each seen in several games. A
piece first draws whether it uses a kind at all, as its driver would or would not, then what each instrument plays for the
whole piece. The vibrato is our own choice. docs/driver.md has the rules and the figures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.request import generator
from nesasset.errors import ModelMismatchError
from nesasset.idioms import DELAYED_VIBRATO, free_rows, with_echo, with_vibrato
from nesasset.model_names import model_file
from nesasset.score import Instrument, Score
from nesasset.units import MAX_VOLUME, NOISE_PERIODS
from nesasset.vocabulary import ENVELOPE_FRAMES

FORMAT: Final = "nesasset-idioms"
VERSION: Final = 1
MAX_FILE_BYTES: Final = 1_000_000
MAX_COUNT: Final = 10**9
MAX_ECHO_FRAMES: Final = 64

# The depth of a shallow vibrato cannot be seen in semitones, so how often it is used is our choice, not the data's.
VIBRATO_SHARE: Final = (1, 2)  # of the pieces that are slow enough
VIBRATO_MAX_BPM: Final = 150.0  # six frames a row; faster pieces are boss fights, chases and fanfares: they get none

# An echo stands in for a part: a piece is open to one if pulse 2 leaves room for it, and so was a song when it was counted.
ROOM_ROWS: Final = 16  # rows of silence in which an echo may begin
ROOM_SHARE: Final = (1, 4)  # of the rows: in so many pulse 1 must sound while pulse 2 is silent that long


@dataclass(frozen=True, slots=True)
class Courses:
    """Sequences that instruments play frame by frame, and how often."""

    songs: int
    """Songs that were looked at."""
    users: int
    """Of those: songs with a sequence on an instrument at least."""
    courses: tuple[tuple[int, ...], ...]
    """The sequences: duties, or steps of the noise's period index beside the drum's own."""
    slots: Mapping[str, tuple[int, int, tuple[tuple[int, int], ...]]]
    """By instrument, in the users' songs: how many there were, how many of them play a sequence, and index and count of
    each sequence that is in the table; the others belong to one game or two."""

    def draw_use(self, chance: np.random.Generator) -> bool:
        """Draw whether a piece uses such sequences at all."""
        return int(chance.integers(self.songs)) < self.users if self.songs else False

    def draw(self, keys: Sequence[str], chance: np.random.Generator) -> tuple[int, ...]:
        """Draw an instrument's sequence, () for none, from the first of the keys that the table has."""
        key = next((key for key in keys if key in self.slots), None)
        if key is None:
            return ()
        total, players, counts = self.slots[key]
        if int(chance.integers(total)) >= players or not counts:
            return ()
        ends = np.cumsum([count for _, count in counts])
        at = int(np.searchsorted(ends, int(chance.integers(ends[-1])), side="right"))
        return self.courses[counts[at][0]]


@dataclass(frozen=True, slots=True)
class Idioms:
    """What export/idioms.py has found in the training songs."""

    shapes: str
    """`shapes_hash` of the model's volume shapes, to which the keys of the sequences refer."""
    duties: Courses
    """Keys DUTY/SHAPE and DUTY."""
    periods: Courses
    """Keys MODE/PERIOD/SHAPE and MODE/PERIOD."""
    echo_songs: int
    """Songs with room for an echo, filled or not."""
    echoes: tuple[tuple[int, int, int], ...]
    """Frames of delay, volume of 15 and number of songs of each echo that was found."""


def shapes_hash(shapes: Mapping[str, NDArray[np.integer]]) -> str:
    """Return a SHA-256 over the volume shapes "pulse" and "noise" of a model."""
    text = json.dumps({kind: np.asarray(shapes[kind]).tolist() for kind in ("pulse", "noise")}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def find_idioms(model: object, shapes: Mapping[str, NDArray[np.integer]]) -> Idioms | None:
    """Return the idioms that belong to a model; None if it has none: the file is optional, and may be another model's.

    Args:
        model: Its name, as in the provenance of a score.
        shapes: Its volume shapes.

    Raises:
        ModelMismatchError: The file is damaged.
    """
    path = model_file(str(model), ".idioms.json")
    if path is None:
        return None
    found = load_idioms(path)
    return found if found.shapes == shapes_hash(shapes) else None


@lru_cache(maxsize=2)
def load_idioms(path: Path) -> Idioms:
    """Read a file of idioms, once a process.

    Raises:
        ModelMismatchError: It cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelMismatchError(f"{path.name} is larger than a file of idioms may be ({MAX_FILE_BYTES} bytes)")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, ModelMismatchError):
            raise
        raise ModelMismatchError(f"{path.name} is no readable file of idioms ({error}); install the model's files again") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("version") != VERSION:
        raise ModelMismatchError(f"{path.name} is no file of idioms: its format must be {FORMAT!r}, version {VERSION}")
    try:
        return _idioms(value)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelMismatchError(f"{path.name} is damaged ({error!r}); install the model's files again") from error


def _idioms(value: Mapping[str, Any]) -> Idioms:
    echoes = tuple(
        (_whole(frames, 1, MAX_ECHO_FRAMES), _whole(volume, 1, MAX_VOLUME), _whole(songs, 1, MAX_COUNT))
        for frames, volume, songs in value["echo"]["found"]
    )
    return Idioms(
        shapes=str(value["shapes"]),
        duties=_courses(value["duties"], 0, 3),
        periods=_courses(value["periods"], 1 - NOISE_PERIODS, NOISE_PERIODS - 1),
        echo_songs=_whole(value["echo"]["songs"], sum(songs for _, _, songs in echoes), MAX_COUNT),
        echoes=echoes,
    )


def _courses(value: Mapping[str, Any], low: int, high: int) -> Courses:
    courses = tuple(tuple(_whole(step, low, high) for step in course) for course in value["courses"])
    if not all(1 <= len(course) <= ENVELOPE_FRAMES for course in courses):
        raise ValueError(f"a course must have 1 to {ENVELOPE_FRAMES} frames")
    slots = {}
    for key, entry in dict(value["slots"]).items():
        counts = tuple((_whole(index, 0, len(courses) - 1), _whole(count, 1, MAX_COUNT)) for index, count in entry["courses"])
        players = _whole(entry["players"], sum(count for _, count in counts), MAX_COUNT)
        slots[str(key)] = (_whole(entry["of"], max(1, players), MAX_COUNT), players, counts)
    songs = _whole(value["songs"], 0, MAX_COUNT)
    return Courses(songs, _whole(value["users"], 0, songs), courses, slots)


def _whole(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"a number must be between {low} and {high}, not {value!r}")
    return value


def ornament(
    score: Score, palette: Mapping[int, tuple[int, int, int]], idioms: Idioms, seed: int, *, echo: bool = True
) -> Score:
    """Let a piece be played as a sound driver would play it.

    Every decision has a generator of its own, from theme, seed and what is decided, so that none depends on another.

    Args:
        score: A composed piece; its rows and notes stay as they are, but pulse 2 may get an echo where it is silent.
        palette: Timbre, noise period and shape of the instruments, by their index; see `Plan.pulse`.
        idioms: Of the model that the palette's shapes are from.
        seed: The piece's.
        echo: Whether pulse 2 may be used for one; not where the caller keeps it free.

    Returns:
        The score; its provenance says under `ornaments` what was done.
    """

    def chance(*words: object) -> np.random.Generator:
        return generator(("ornament", score.theme, seed, *words))

    done: dict[str, Any] = {}
    instruments = list(score.instruments)
    duties, periods = (table.draw_use(chance(kind)) for table, kind in ((idioms.duties, "duties"), (idioms.periods, "periods")))
    for index, (timbre, period, shape) in palette.items():
        plain = instruments[index]
        changed = plain
        if plain.kind == "pulse" and duties:
            course = idioms.duties.draw((f"{timbre}/{shape}", f"{timbre}"), chance("duties", plain.name))
            changed = replace(plain, duties=course)
        elif plain.kind == "noise" and periods:
            keys = (f"{timbre}/{period}/{shape}", f"{timbre}/{period}")
            changed = replace(plain, arpeggio=_within(idioms.periods.draw(keys, chance("periods", plain.name)), period))
        if changed != plain:
            instruments[index] = changed
            done.setdefault("duties" if plain.kind == "pulse" else "periods", {})[plain.name] = _told(changed)
    score = replace(score, instruments=tuple(instruments))
    score = _with_vibrato(score, chance("vibrato"), done)
    if echo and score.loop is not None:  # an echo would ring on after an ending
        score = _with_echo(score, idioms, chance("echo"), done)
    return replace(score, provenance={**score.provenance, "ornaments": done})


def _told(instrument: Instrument) -> list[int]:
    return list(instrument.duties or instrument.arpeggio)


def _within(course: tuple[int, ...], period: int) -> tuple[int, ...]:
    """Return a course whose steps stay within the chip's periods."""
    return tuple(min(max(step, -period), NOISE_PERIODS - 1 - period) for step in course)


def _with_vibrato(score: Score, chance: np.random.Generator, done: dict[str, Any]) -> Score:
    share, whole = VIBRATO_SHARE
    if int(chance.integers(whole)) >= share or score.tempo_bpm > VIBRATO_MAX_BPM:
        return score
    vibrato = DELAYED_VIBRATO
    frames = vibrato.delay + vibrato.period  # a note has one swing at least
    rows = -(-frames * len(score.groove) // sum(score.groove))
    swung = with_vibrato(score, rows, vibrato)
    if swung != score:
        done["vibrato"] = {"delay": vibrato.delay, "period": vibrato.period, "depth": vibrato.depth, "min_rows": rows}
    return swung


def _with_echo(score: Score, idioms: Idioms, chance: np.random.Generator, done: dict[str, Any]) -> Score:
    share, whole = ROOM_SHARE
    if not idioms.echo_songs or whole * free_rows(score, ROOM_ROWS) < share * score.n_rows:
        return score
    ends = np.cumsum([songs for _, _, songs in idioms.echoes])
    at = int(np.searchsorted(ends, int(chance.integers(idioms.echo_songs)), side="right"))
    if at == len(ends):
        return score
    frames, volume, _ = idioms.echoes[at]
    rows = min(score.n_rows, max(1, round(frames * len(score.groove) / sum(score.groove))))
    done["echo"] = {"rows": rows, "volume": volume}
    return with_echo(score, rows, volume, ROOM_ROWS)
