"""Scores as JSON text: lossless, the same bytes for equal scores, an instrument a line and a bar a line.

The format is described in docs/score-format.md. Holds reading, writing and the sentences about broken files;
the rules of a score itself are in score.py.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Final

from nesasset.errors import FormatError, ScoreError, did_you_mean, out_of_range
from nesasset.score import HOLD, MAX_ROWS, REST, Cell, Gap, Instrument, Note, Score, Vibrato
from nesasset.units import MAX_VOLUME, NOTE_NAMES, VOICE_NAMES, VOICES, name_to_pitch, pitch_to_name

FORMAT: Final = "nesasset-score"
VERSION: Final = 1
MAX_BYTES: Final = 8 * 1024 * 1024  # the longest score of 65 536 rows and the fullest instruments need about 7 MiB
MAX_VALUES: Final = 65_536  # in provenance
MAX_DEPTH: Final = 64  # of provenance; far below Python's own limit, so that none of our recursions meets it

_KEYS: Final = (
    "format", "version", "driver", "title", "theme", "groove", "bar_rows", "beat_rows", "loop", "delays", "instruments",
    "bars", "provenance",
)  # fmt: skip
_OPTIONAL: Final = {"driver", "title", "theme", "delays", "provenance"}
_FIRST_DRIVER: Final = 1  # of files that name none: they are older than the key
_INSTRUMENT_KEYS: Final = (
    "kind", "name", "duty", "period", "mode", "volume", "duties", "arpeggio", "arpeggio_loop", "vibrato",
)  # fmt: skip
_VIBRATO_KEYS: Final = ("delay", "period", "depth")
_TOKEN: Final = re.compile(
    r"(x|[A-G][-#]-?[0-9]{1,2})/([0-9]{1,4})(?:\+([0-9]{1,4}))?(?:v([0-9]{1,4}))?(?:~([0-9]{1,4}))?"
)
_PITCHES: Final[dict[str, int | None]] = {"x": None} | {pitch_to_name(pitch): pitch for pitch in range(128)}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MAX_DIGITS: Final = 4000  # Python's own limit is 4300, and changeable
_LONG_NUMBER: Final = re.compile(rf"(?<![0-9])[0-9]{{{_MAX_DIGITS + 1}}}")
_SCORE_PLACE: Final = re.compile(r"^(P1|P2|TR|NO) row (\d+): ")


def dumps(score: Score) -> str:
    """Return the JSON text of a score; `loads` gives the score back.

    Raises:
        ScoreError: The score holds something JSON cannot: provenance that is no JSON value, text that is no
            Unicode, or more than 16 MiB.
    """
    for label, text in (("title", score.title), ("theme", score.theme)):
        _check_json(label, text, str)
    for index, instrument in enumerate(score.instruments):
        _check_json(f"instrument {index}: name", instrument.name, str)
    provenance = dict(score.provenance)
    _check_json("provenance", provenance, dict)
    head = {
        "format": FORMAT,
        "version": VERSION,
        "driver": score.driver,
        "title": score.title,
        "theme": score.theme,
        "groove": list(score.groove),
        "bar_rows": score.bar_rows,
        "beat_rows": score.beat_rows,
        "loop": None if score.loop is None else list(score.loop),
        "delays": {voice: score.delays[voice] for voice in VOICES if voice in score.delays},
    }
    lines = [f"{_json(key)}: {_json(value)}," for key, value in head.items()]
    lines += _block("instruments", [_json(_instrument_to_json(instrument)) for instrument in score.instruments])
    rows = {voice: [_cell_to_token(cell) for cell in score.voices[voice]] for voice in VOICES}
    lines += _block(
        "bars",
        [
            _json([" ".join(rows[voice][start : start + score.bar_rows]) for voice in VOICES])
            for start in range(0, score.n_rows, score.bar_rows)
        ],
    )
    lines.append(f'"provenance": {_json(provenance, sort_keys=True)}')
    text = "{\n" + "\n".join(lines) + "\n}\n"
    size = len(text.encode())
    if size > MAX_BYTES:
        raise ScoreError(f"a score file must have at most {MAX_BYTES} bytes, not {size}; shorten its provenance")
    return text


def music_digest(score: Score) -> str:
    """Return the SHA-256 of what is heard of a score: all but its title, theme and provenance."""
    return hashlib.sha256(dumps(replace(score, title="", theme="", provenance={})).encode()).hexdigest()


def loads(text: str) -> Score:
    """Return the score that a JSON text holds. Inverse of `dumps`.

    Raises:
        FormatError: The text is no JSON or no score file of this version.
        ScoreError: The score breaks a rule; the sentence names the place, bars and rows counted from 1.
    """
    if len(text) > MAX_BYTES:
        raise FormatError(f"a score file must have at most {MAX_BYTES} bytes, and this one has more")
    from nesasset.formats import files

    with files.collector_paused():
        return _to_score(_parse(text))


def load(path: str | os.PathLike[str]) -> Score:
    """Read a score file. Inverse of `save`.

    Raises:
        FormatError: The file cannot be read or is no score file of this version.
        ScoreError: The score in it breaks a rule. Both name the file.
    """
    from nesasset.formats import files

    data = files.read_bytes(path, MAX_BYTES)
    try:
        return loads(data.decode("utf-8-sig"))  # Windows editors put a byte order mark before the text
    except UnicodeDecodeError as error:
        raise FormatError(f"{os.fspath(path)}: must be UTF-8 text, but byte {error.start} is not") from error
    except (FormatError, ScoreError) as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error


def save(score: Score, path: str | os.PathLike[str]) -> None:
    """Write a score file, whole or not at all.

    Raises:
        ScoreError: As `dumps`.
        OutputError: The file cannot be written.
    """
    from nesasset.formats import files

    files.write_bytes(path, dumps(score).encode())


# Writing


def _json(value: object, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys)


def _block(key: str, items: list[str]) -> list[str]:
    """Return a JSON list as lines, one item a line, so that a diff shows the bars that changed."""
    if not items:
        return [f'"{key}": [],']
    return [f'"{key}": [', *(f"{item}," for item in items[:-1]), items[-1], "],"]


def _instrument_to_json(instrument: Instrument) -> dict[str, object]:
    """Return the fields that this kind uses, and any other that is not at its default: nothing is lost."""
    used = {"pulse": {"duty"}, "triangle": set[str](), "noise": {"period", "mode"}}[instrument.kind]
    values = {key: getattr(instrument, key) for key in ("duty", "period", "mode")}
    numbers = {key: value for key, value in values.items() if key in used or value != 0}
    moves: dict[str, object] = {
        key: list(steps) for key in ("duties", "arpeggio") if (steps := getattr(instrument, key))
    }
    if instrument.arpeggio_loop is not None:
        moves["arpeggio_loop"] = instrument.arpeggio_loop
    if instrument.vibrato is not None:
        moves["vibrato"] = {key: getattr(instrument.vibrato, key) for key in _VIBRATO_KEYS}
    return {"kind": instrument.kind, "name": instrument.name, **numbers, "volume": list(instrument.volume), **moves}


def _cell_to_token(cell: Cell) -> str:
    """Return '.', '-', 'C-4/0', 'x/3' or, with all that a note may have, 'C-4/0+2v9~6'. Inverse of `_token_to_cell`."""
    if isinstance(cell, Gap):
        return cell.value
    name = "x" if cell.pitch is None else pitch_to_name(cell.pitch)
    delay = f"+{cell.delay}" if cell.delay else ""
    volume = f"v{cell.volume}" if cell.volume != MAX_VOLUME else ""
    slide = f"~{cell.slide}" if cell.slide else ""
    return f"{name}/{cell.instrument}{delay}{volume}{slide}"


# Reading


class _Shown:
    """A value of the file that shows itself shortened: a hostile file must not fill the screen."""

    def __init__(self, value: object) -> None:
        self._text = _show(value)

    def __repr__(self) -> str:
        return self._text


def _show(value: object, limit: int = 60) -> str:
    """Return a value as a short piece of JSON for an error message."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):  # cut first: the text may have eight million letters
        text = json.dumps(value[: limit + 1])
    else:
        text = json.dumps(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _parse(text: str) -> object:
    """Parse strict JSON: no NaN, no infinity, no duplicate keys, no lone surrogates, no bottomless nesting."""

    def pairs_to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise FormatError(f"the key {_show(key)} stands twice in one object; remove one")
                seen.add(key)
        return found

    def refuse(constant: str) -> float:
        raise FormatError(f"a number must be finite, not {constant}")

    def to_float(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse(digits[:40])

    def to_int(digits: str) -> int:
        if len(digits) > _MAX_DIGITS:
            raise FormatError(f"a number must have at most {_MAX_DIGITS} digits, not {len(digits)}")
        return int(digits)

    parse_int = to_int if _LONG_NUMBER.search(text) else None  # a call for every number takes its time
    try:
        return json.loads(
            text, object_pairs_hook=pairs_to_dict, parse_constant=refuse, parse_float=to_float, parse_int=parse_int
        )
    except json.JSONDecodeError as error:
        raise FormatError(f"the text is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise FormatError(f"the JSON is nested too deeply; at most {MAX_DEPTH} levels are allowed") from error


def _to_score(document: object) -> Score:
    if not isinstance(document, dict):
        raise FormatError(f"a score file must hold a JSON object, not {_show(document)}")
    # Format and version come first: the other keys of another version mean nothing to us.
    if document.get("format") != FORMAT:
        raise FormatError(f'format must be "{FORMAT}", not {_show(document.get("format"))}; is this a score file?')
    version = document.get("version")
    if not _is_int(version) or version != VERSION:
        raise FormatError(
            f"score version must be {VERSION}, not {_show(version)}; a newer version of nesasset may read it"
        )
    _check_keys("the score", document, _KEYS, _OPTIONAL)
    for label in ("title", "theme"):
        _check_json(label, document.get(label, ""), str)
    _check_json("provenance", document.get("provenance", {}), dict)
    groove = _integers("groove", document["groove"])
    loop = None if document["loop"] is None else _integers("loop", document["loop"])
    if loop is not None and len(loop) != 2:
        raise ScoreError(f"loop must be two rows, first and end, or null, not {_show(document['loop'])}")
    delays = document.get("delays", {})
    if not isinstance(delays, dict):
        raise ScoreError(f"delays must be an object of voice and frames, not {_show(delays)}")
    _check_keys("delays", delays, VOICES, set(VOICES))
    bar_rows, beat_rows = document["bar_rows"], document["beat_rows"]
    for label, value in (("bar_rows", bar_rows), ("beat_rows", beat_rows)):
        if not _is_int(value) or not 1 <= value <= 256:  # before the bars are cut by it
            raise ScoreError(out_of_range(label, _Shown(value), 1, 256))
    driver = document.get("driver", _FIRST_DRIVER)
    if not _is_int(driver):
        raise ScoreError(f"driver must be a whole number, not {_show(driver)}")
    instruments = _instruments_from_json(document["instruments"])
    voices = _bars_to_voices(document["bars"], bar_rows)
    try:
        return Score(
            voices=voices,
            instruments=instruments,
            groove=groove,
            bar_rows=bar_rows,
            beat_rows=beat_rows,
            loop=None if loop is None else (loop[0], loop[1]),
            delays=delays,
            title=document.get("title", ""),
            theme=document.get("theme", ""),
            provenance=document.get("provenance", {}),
            driver=driver,
        )
    except ScoreError as error:
        raise ScoreError(_with_bar(str(error), bar_rows)) from error


def _check_json(where: str, value: object, kind: type[str | dict[str, Any]]) -> None:
    """Raise ScoreError unless value is of that kind and a JSON value through and through."""
    if not isinstance(value, kind):
        name = "text" if kind is str else "a JSON object"
        raise ScoreError(f"{where} must be {name}, not {_name(value)}")
    _check_json_value(where, value, 0, count(1))


def _check_json_value(where: str, value: object, depth: int, numbers: Iterator[int]) -> None:
    """Raise ScoreError unless value is a JSON value; numbers counts all that have been looked at."""
    if next(numbers) > MAX_VALUES:
        raise ScoreError(f"{where.partition('.')[0].partition('[')[0]} must hold at most {MAX_VALUES} values; shorten it")
    where = where if len(where) <= 120 else where[:117] + "..."
    if depth > MAX_DEPTH:
        raise ScoreError(f"{where} is nested too deeply; at most {MAX_DEPTH} levels are allowed")
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise ScoreError(f"{where} must be Unicode text, but it holds half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ScoreError(f"{where}: keys must be text, not {_name(key)}")
            _check_json_value(f"{where}: key", key, depth + 1, numbers)
            _check_json_value(f"{where}.{key[:40]}", item, depth + 1, numbers)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_json_value(f"{where}[{index}]", item, depth + 1, numbers)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ScoreError(f"{where} must be a finite number, not {value}")
    elif isinstance(value, int):
        if value.bit_length() > 13_000:  # 10 ** 4000 has 13 288 bits; the reader's limit is 4000 digits
            raise ScoreError(f"{where} must be a number of at most 3900 digits")
    elif value is not None:
        # Tuples too: they would come back as lists, and the score would no longer equal itself.
        raise ScoreError(
            f"{where} must be a JSON value (object, list, text, number, true, false, null), not {_name(value)}"
        )


def _name(value: object) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}" if not isinstance(value, (dict, list)) else _show(value)


def _check_keys(where: str, found: Mapping[str, object], known: Iterable[str], optional: Iterable[str]) -> None:
    known = tuple(known)
    for key in found:
        if key not in known:
            hint = did_you_mean(key[:40], known) or f"; known keys are {', '.join(known)}"
            raise FormatError(f"{where} has an unknown key {_show(key)}{hint}")
    missing = [key for key in known if key not in found and key not in optional]
    if missing:
        raise FormatError(f"{where} lacks the key {missing[0]}; add it")


def _integers(where: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ScoreError(f"{where} must be a list of whole numbers, not {_show(value)}")
    for index, item in enumerate(value):
        if type(item) is not int or not -(10**9) <= item <= 10**9:  # ranges are the score's business, sizes are ours
            raise ScoreError(f"{where}: number {index + 1} must be a whole number in range, not {_show(item)}")
    return tuple(value)


def _instruments_from_json(value: object) -> tuple[Instrument, ...]:
    if not isinstance(value, list):
        raise ScoreError(f"instruments must be a list, not {_show(value)}")
    instruments = []
    for index, item in enumerate(value):
        where = f"instrument {index}"
        if not isinstance(item, dict):
            raise ScoreError(f"{where} must be an object, not {_show(item)}")
        _check_keys(where, item, _INSTRUMENT_KEYS, set(_INSTRUMENT_KEYS) - {"kind", "volume"})
        _check_json(f"{where}: kind", item["kind"], str)
        _check_json(f"{where}: name", item.get("name", ""), str)
        for label in ("duty", "period", "mode"):
            if not _is_int(item.get(label, 0)):
                raise ScoreError(f"{where}: {label} must be a whole number, not {_show(item[label])}")
        back = item.get("arpeggio_loop")
        if not (back is None or _is_int(back)):
            raise ScoreError(f"{where}: arpeggio_loop must be a whole number or null, not {_show(back)}")
        try:
            lists = {key: _integers(key, item[key]) for key in ("volume", "duties", "arpeggio") if key in item}
            vibrato = _vibrato_from_json(where, item.get("vibrato"))
            instruments.append(Instrument(**{**item, **lists, "vibrato": vibrato}))
        except ScoreError as error:
            raise ScoreError(f"{where}: {_cut(str(error))}") from error
    return tuple(instruments)


def _vibrato_from_json(where: str, value: object) -> Vibrato | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ScoreError(f"vibrato must be an object of delay, period and depth, or null, not {_show(value)}")
    _check_keys(f"{where}: vibrato", value, _VIBRATO_KEYS, ())
    for key in _VIBRATO_KEYS:
        if not _is_int(value[key]):
            raise ScoreError(f"vibrato {key} must be a whole number, not {_show(value[key])}")
    return Vibrato(**value)


def _bars_to_voices(bars: object, bar_rows: int) -> dict[str, tuple[Cell, ...]]:
    """Return the cells of each voice; every bar has bar_rows tokens, the last may have fewer."""
    if not isinstance(bars, list) or not bars:
        raise ScoreError(f"bars must be a list of at least one bar, not {_show(bars)}")
    if len(bars) > -(-MAX_ROWS // bar_rows):
        raise ScoreError(f"a score must have at most {MAX_ROWS} rows, not {len(bars)} bars of {bar_rows}")
    cells: dict[str, list[Cell]] = {voice: [] for voice in VOICES}
    known: dict[str, Cell] = {HOLD.value: HOLD, REST.value: REST}
    for number, bar in enumerate(bars, start=1):
        if not isinstance(bar, list) or len(bar) != len(VOICES):
            raise ScoreError(f"bar {number} must be a list of four texts ({', '.join(VOICES)}), not {_show(bar)}")
        lengths = set()
        last = number == len(bars)
        for voice, line in zip(VOICES, bar, strict=True):
            if not isinstance(line, str):
                raise ScoreError(f"{_bar_place(number, voice)}: must be text with a token for each row, not {_show(line)}")
            tokens = line.split()
            n_tokens = len(tokens)
            lengths.add(n_tokens)
            if n_tokens != bar_rows and not (last and 1 <= n_tokens <= bar_rows):
                allowed = f"1 to {bar_rows} tokens" if last else f"{bar_rows} tokens"
                raise ScoreError(f"{_bar_place(number, voice)}: must have {allowed}, one a row, not {n_tokens}")
            for row, token in enumerate(tokens, start=1):
                if token not in known:
                    known[token] = _token_to_cell(token, number, voice, row)
            cells[voice] += [known[token] for token in tokens]
        if len(lengths) != 1:
            raise ScoreError(
                f"bar {number}: all four voices must have the same number of tokens, not {sorted(lengths)}"
            )
    return {voice: tuple(cells[voice]) for voice in VOICES}


def _bar_place(number: int, voice: str) -> str:
    return f"bar {number}, {VOICE_NAMES[voice]}"


def _token_to_cell(token: str, bar: int, voice: str, row: int) -> Cell:
    """Return the cell of a token with a note. Inverse of `_cell_to_token`."""
    match = _TOKEN.fullmatch(token)
    if match is None or (token[0] != "x" and match[1][:2].rstrip("-") not in NOTE_NAMES):
        raise ScoreError(
            f"{_bar_place(bar, voice)}, row {row}: a token must be . (hold), - (rest), C-4/0 (note and instrument) or x/3 (noise), and after "
            f"these +2 (delay), v9 (volume), ~6 (slide) in this order, not {_show(token)}"
        )
    name, instrument, delay, volume, slide = match.groups()
    pitch = _PITCHES[name] if name in _PITCHES else name_to_pitch(name)
    return Note(int(instrument), pitch, int(delay or 0), MAX_VOLUME if volume is None else int(volume), int(slide or 0))


def _with_bar(message: str, bar_rows: int) -> str:
    """Return a score's error message with 'TR row 36' said as 'bar 3, triangle, row 5', as the file shows it."""

    def place(match: re.Match[str]) -> str:
        bar, row = divmod(int(match[2]), bar_rows)
        return f"bar {bar + 1}, {VOICE_NAMES[match[1]]}, row {row + 1}: "

    return _cut(_SCORE_PLACE.sub(place, message))


def _cut(message: str) -> str:
    return message if len(message) <= 400 else message[:397] + "..."
