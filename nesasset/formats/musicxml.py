"""MusicXML, plain (.musicxml, .xml) or packed (.mxl), read as a piece of parts and arranged. Writes none.

Read are parts, pitches, chords, ties, tempos, time and key signatures, transpositions and chord symbols. Repeats are
played once; grace notes and unpitched notes are left out. Both are counted. A packed file is unpacked into memory, up to a limit, and no entity is
expanded: what a file's bytes can cost is bounded by its size.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final
from xml.etree import ElementTree as ET

from nesasset.arranging.piece import Chord, Part, PartNote, Piece
from nesasset.errors import FormatError, ScoreError
from nesasset.score import Score

MAX_BYTES: Final = 8 * 1024 * 1024
"""Of a packed file; the longest song of the OpenScore corpus has less than 1 MiB."""
MAX_TEXT: Final = 32 * 1024 * 1024  # bytes unpacked
MAX_NOTES: Final = 200_000
SUFFIXES: Final = (".mxl", ".musicxml", ".xml")
_TICKS: Final = 10_080  # a quarter note: whole for all usual divisions
_STEPS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_LOUDNESS: Final = 90
_MAX_TICK: Final = _TICKS * 100_000
# Chord kinds of MusicXML as semitones above the root; a kind that is not named is a major triad.
_KINDS: Final = {
    "minor": (0, 3, 7),
    "augmented": (0, 4, 8),
    "diminished": (0, 3, 6),
    "dominant": (0, 4, 7, 10),
    "major-seventh": (0, 4, 7, 11),
    "minor-seventh": (0, 3, 7, 10),
    "diminished-seventh": (0, 3, 6, 9),
    "half-diminished": (0, 3, 6, 10),
    "major-minor": (0, 3, 7, 11),
    "major-sixth": (0, 4, 7, 9),
    "minor-sixth": (0, 3, 7, 9),
    "dominant-ninth": (0, 4, 7, 10),
    "minor-ninth": (0, 3, 7, 10),
    "suspended-second": (0, 2, 7),
    "suspended-fourth": (0, 5, 7),
    "power": (0, 7),
}


@dataclass(slots=True)
class _Reader:
    """What is gathered while the parts are walked."""

    left_out: Counter[str]
    tempos: dict[int, int] = field(default_factory=dict)
    signatures: dict[int, tuple[int, int]] = field(default_factory=dict)
    chords: dict[int, Chord] = field(default_factory=dict)
    key: tuple[int, bool] | None = None
    room: int = MAX_NOTES


def read(data: bytes, left_out: Counter[str]) -> Piece:
    """Return the piece that a file holds; what was passed over is counted.

    Raises:
        FormatError: The data are no MusicXML by parts, are damaged, or too large.
    """
    root = _root(_unpacked(data))
    names, programs = _heads(root)
    reader = _Reader(left_out)
    parts: list[Part] = []
    for element in root.findall("part"):
        label = element.get("id", "")
        for staff, notes in sorted(_read_part(element, reader, first=not parts).items()):
            name = names.get(label, "")
            parts.append(Part(sorted(notes), f"{name} {staff}" if staff > 1 else name, programs.get(label)))
    title = root.findtext("work/work-title") or root.findtext("movement-title") or ""
    return Piece(
        ticks_per_beat=_TICKS,
        parts=parts,
        tempos=sorted(reader.tempos.items()),
        signatures=[(tick, *signature) for tick, signature in sorted(reader.signatures.items())],
        chords=[chord for _, chord in sorted(reader.chords.items())],
        key=reader.key,
        title=" ".join(title.split())[:200],
    )


def loads(data: bytes, name: str = "the score") -> tuple[Score, tuple[str, ...]]:
    """Return a file's piece arranged for the four voices, and a sentence for each thing that was left out or changed.

    Args:
        data: The file.
        name: What error messages call it.

    Raises:
        FormatError: The data are no usable MusicXML, or longer than a score can be.
    """
    from nesasset.arranging.arrange import arrange

    left_out: Counter[str] = Counter()
    try:
        score = arrange(read(data, left_out), left_out)
    except (FormatError, ScoreError) as error:
        raise FormatError(f"{name}: {error}") from error
    return score, tuple(f"{what} ({count} times)" if count > 1 else what for what, count in left_out.items() if count)


def load(path: str | os.PathLike[str]) -> tuple[Score, tuple[str, ...]]:
    """Read a file as a score; see `loads`.

    Raises:
        FormatError: The file cannot be read or is no usable MusicXML.
    """
    from nesasset.formats import files

    return loads(files.read_bytes(path, MAX_BYTES), os.fspath(path))


def _unpacked(data: bytes) -> bytes:
    """Return the text of a packed file, or the data themselves."""
    if len(data) > MAX_BYTES:
        raise FormatError(f"a MusicXML file must have at most {MAX_BYTES} bytes, not {len(data)}")
    if data[:4] != b"PK\x03\x04":
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = [name for name in packed.namelist() if not name.startswith("META-INF/")]
            name = next((name for name in names if name.lower().endswith((".xml", ".musicxml"))), None)
            if name is None:
                raise FormatError("the packed file has no score in it")
            with packed.open(name) as file:
                text = file.read(MAX_TEXT + 1)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"the packed file is damaged ({error})") from error
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise FormatError(f"the packed file is damaged ({error})") from error
        raise
    if len(text) > MAX_TEXT:
        raise FormatError(f"the packed file holds more than {MAX_TEXT} bytes")
    return text


def _root(text: bytes) -> ET.Element:
    if b"<!ENTITY" in text:
        raise FormatError("the file defines entities, which no score needs")
    try:
        root = ET.fromstring(text)  # noqa: S314 - entities are refused above, and the size is bounded
    except (ET.ParseError, ValueError, LookupError) as error:
        raise FormatError(f"the file is no readable XML ({error})") from error
    if root.tag != "score-partwise":
        raise FormatError(f"the file must be a MusicXML score by parts (score-partwise), not {root.tag[:40]!r}")
    return root


def _heads(root: ET.Element) -> tuple[dict[str, str], dict[str, int]]:
    """Return names and programs of the parts, by id."""
    names, programs = {}, {}
    for head in root.findall("part-list/score-part"):
        label = head.get("id", "")
        names[label] = " ".join((head.findtext("part-name") or "").split())[:80]
        program = _whole(head.findtext("midi-instrument/midi-program"), 0)
        if 1 <= program <= 128:
            programs[label] = program - 1
    return names, programs


def _read_part(part: ET.Element, reader: _Reader, first: bool) -> dict[int, list[PartNote]]:
    """Return a part's notes by staff."""
    staves: dict[int, list[PartNote]] = {}
    held: dict[tuple[int, int], int] = {}  # start of a tied note by staff and pitch
    divisions, shift = Fraction(1), 0
    bar_start = 0
    for measure in part.findall("measure"):
        at = last = longest = bar_start
        for element in measure:
            tag = element.tag
            if tag == "attributes":
                divisions = Fraction(max(1, _whole(element.findtext("divisions"), 0))) if element.findtext("divisions") else divisions
                shift = _whole(element.findtext("transpose/chromatic"), shift)
                if first:
                    _read_attributes(element, reader, at)
            elif tag == "note":
                last, at = _read_note(element, reader, staves, held, at, last, divisions, shift)
            elif tag in ("backup", "forward"):
                length = _ticks(element.findtext("duration"), divisions)
                at = max(bar_start, at - length) if tag == "backup" else at + length
            elif tag == "harmony" and first:
                _read_harmony(element, reader, at)
            if first and tag in ("direction", "sound"):
                sound = element if tag == "sound" else element.find("sound")
                _read_tempo(sound, element, reader, at)
            if tag == "barline" and first and element.find("repeat") is not None:
                reader.left_out["repeats that are played once"] += 1
            longest = max(longest, at)
            if longest > _MAX_TICK:
                raise FormatError("the score is longer than a score can be")
        bar_start = longest
    return staves


def _read_attributes(element: ET.Element, reader: _Reader, at: int) -> None:
    beats, kind = element.findtext("time/beats"), _whole(element.findtext("time/beat-type"), 4)
    if beats and beats.isdecimal() and 1 <= int(beats[:4]) <= 99 and kind in (1, 2, 4, 8, 16, 32):
        reader.signatures[at] = (int(beats[:4]), kind.bit_length() - 1)
    fifths = element.findtext("key/fifths")
    if fifths is not None and reader.key is None and -7 <= _whole(fifths, 9) <= 7:
        reader.key = (_whole(fifths, 0), element.findtext("key/mode") == "minor")


def _read_note(
    element: ET.Element,
    reader: _Reader,
    staves: dict[int, list[PartNote]],
    held: dict[tuple[int, int], int],
    at: int,
    last: int,
    divisions: Fraction,
    shift: int,
) -> tuple[int, int]:
    """Add a note; return where it begins, and where the voice goes on."""
    reader.room -= 1
    if reader.room < 0:
        raise FormatError(f"a score must have at most {MAX_NOTES} notes, and this one has more")
    if element.find("grace") is not None:
        reader.left_out["grace notes"] += 1
        return last, at
    length = _ticks(element.findtext("duration"), divisions)
    start = last if element.find("chord") is not None else at
    after = max(at, start + length)
    step = element.findtext("pitch/step")
    if step in _STEPS:
        octave, alter = _whole(element.findtext("pitch/octave"), 4), _whole(element.findtext("pitch/alter"), 0)
        pitch = 12 * (octave + 1) + _STEPS[step] + alter + shift
        if length and 0 <= pitch <= 127:
            _add(element, staves.setdefault(min(9, max(1, _whole(element.findtext("staff"), 1))), []), held, start, start + length, pitch)
    elif element.find("unpitched") is not None:
        reader.left_out["notes without a pitch"] += 1
    return start, after


def _add(
    element: ET.Element, notes: list[PartNote], held: dict[tuple[int, int], int], start: int, end: int, pitch: int
) -> None:
    """Add a note to a staff, or what it is tied to."""
    ties = {tie.get("type") for tie in element.findall("tie")}
    key = (id(notes), pitch)
    if "stop" in ties and key in held:
        index = held[key]
        if notes[index].end == start:
            notes[index] = notes[index]._replace(end=end)
            if "start" not in ties:
                del held[key]
            return
    notes.append(PartNote(start, end, pitch, _LOUDNESS))
    if "start" in ties:
        held[key] = len(notes) - 1


def _read_harmony(element: ET.Element, reader: _Reader, at: int) -> None:
    step = element.findtext("root/root-step")
    kind = (element.findtext("kind") or "").strip()
    if kind == "none":
        reader.chords[at] = Chord(at, -1, ())
    elif step in _STEPS:
        root = (_STEPS[step] + _whole(element.findtext("root/root-alter"), 0)) % 12
        reader.chords[at] = Chord(at, root, _KINDS.get(kind, (0, 4, 7)))


def _read_tempo(sound: ET.Element | None, element: ET.Element, reader: _Reader, at: int) -> None:
    text = sound.get("tempo") if sound is not None else None
    try:
        bpm = float(text) if text else float(element.findtext("direction-type/metronome/per-minute") or 0)
    except ValueError:
        return
    if 5 <= bpm <= 1000:
        reader.tempos[at] = round(60_000_000 / bpm)


def _ticks(text: str | None, divisions: Fraction) -> int:
    """Return a duration in ticks, 0 for none."""
    try:
        value = float((text or "0").strip()[:20])
        return min(_MAX_TICK, max(0, round(value * _TICKS / divisions)))
    except (ValueError, OverflowError):
        return 0


def _whole(text: str | None, otherwise: int) -> int:
    """Return a whole number, or what stands for one that is missing or none."""
    try:
        return int(float((text or "").strip()[:12]))
    except (ValueError, OverflowError):
        return otherwise
