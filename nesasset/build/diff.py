"""What differs between two scores, as a musician would say it: tempo, key, loop, and per voice which bars and how. Compares; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score
from nesasset.units import VOICE_NAMES, VOICES, pitch_to_name

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_SHOWN: Final = 3  # notes that a sentence names
_SYSTEM_BARS: Final = 8
_MAX_SYSTEMS: Final = 8
_MARK: Final = (255, 96, 96)

Heard = tuple[Note, Instrument] | Cell
"""A cell with its instrument itself instead of a number: numbers differ between scores that sound alike."""
Bar = tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference."""

    kind: str
    """'tempo', 'swing', 'key', 'bars', 'loop', 'title', 'driver', 'metre', 'delay' or 'notes'."""
    sentence: str
    voice: str = ""
    bars: tuple[int, int] | None = None
    """First and last bar, from 1, as the second score counts."""

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {**asdict(self), "bars": None if self.bars is None else list(self.bars)}


def compare(before: Score, after: Score) -> list[Change]:
    """Return what differs between two scores, in the order in which a person would tell it; empty if they sound alike."""
    changes = list(_whole(before, after))
    if before.bar_rows != after.bar_rows:
        return [*changes, Change("metre", f"bars of {before.bar_rows} rows → {after.bar_rows} rows: notes are not compared")]
    old, new = _bars(before), _bars(after)
    pairs, moves = _aligned(old, new)
    changes += moves
    for voice_number, voice in enumerate(VOICES):
        told = [(number, _bar_words(old[here][voice_number], new[number][voice_number])) for here, number in pairs]
        changed = [(number, words) for number, words in told if words]
        for words, run in groupby(_runs(changed), key=lambda entry: entry[2]):
            for first, last, _ in run:
                changes.append(Change("notes", f"{VOICE_NAMES[voice]}, {_span(first, last)}: {words}", voice, (first, last)))
    return changes


def words(changes: Sequence[Change]) -> list[str]:
    """Return the sentences of changes; one that says so if there are none."""
    return [change.sentence for change in changes] or ["nothing that is heard differs"]


def _whole(before: Score, after: Score) -> Iterator[Change]:
    """Yield what differs in the piece as a whole."""
    old, new = f"{before.tempo_bpm:.1f}".removesuffix(".0"), f"{after.tempo_bpm:.1f}".removesuffix(".0")
    if old != new:
        yield Change("tempo", f"tempo {old} → {new}")
    elif before.groove != after.groove:
        yield Change("swing", f"swing: rows of {_frames(before)} → {_frames(after)} frames")
    keys = [score.provenance.get("key") for score in (before, after)]
    if keys[0] != keys[1] and all(isinstance(key, str) for key in keys):
        yield Change("key", f"key {keys[0]} → {keys[1]}")
    if before.n_bars != after.n_bars:
        yield Change("bars", f"{before.n_bars} bars → {after.n_bars}")
    loops = [None if score.loop is None else tuple(row / score.bar_rows for row in score.loop) for score in (before, after)]
    if loops[0] != loops[1]:
        yield Change("loop", f"loop {_loop(before)} → {_loop(after)}")
    for voice in VOICES:
        if before.delays.get(voice, 0) != after.delays.get(voice, 0):
            yield Change("delay", f"{VOICE_NAMES[voice]} lags by {before.delays.get(voice, 0)} → {after.delays.get(voice, 0)} frames", voice)
    if before.title != after.title:
        yield Change("title", f"title {before.title!r} → {after.title!r}")
    if before.driver != after.driver:
        yield Change("driver", f"played by driver {before.driver} → {after.driver}")


def _frames(score: Score) -> str:
    return " ".join(map(str, score.groove[:8])) + (" …" if len(score.groove) > 8 else "")


def _loop(score: Score) -> str:
    if score.loop is None:
        return "none"
    first, last = score.loop[0] // score.bar_rows + 1, -(-score.loop[1] // score.bar_rows)
    return _span(first, last)


def _span(first: int, last: int) -> str:
    return f"bar {first}" if first == last else f"bars {first}-{last}"


def _bars(score: Score) -> list[tuple[Bar, ...]]:
    """Return each bar's four voices."""
    heard: dict[str, tuple[Heard, ...]] = {}
    plain = {instrument: replace(instrument, name="") for instrument in score.instruments}
    for voice in VOICES:
        heard[voice] = tuple(
            (replace(cell, instrument=0), plain[score.instruments[cell.instrument]]) if isinstance(cell, Note) else cell
            for cell in score.voices[voice]
        )
    return [tuple(heard[voice][start : start + score.bar_rows] for voice in VOICES) for start in range(0, score.n_rows, score.bar_rows)]


def _aligned(old: list[tuple[Bar, ...]], new: list[tuple[Bar, ...]]) -> tuple[list[tuple[int, int]], list[Change]]:
    """Return which bars are to be compared, as indices from 0 in the first and from 1 shown by the second, and what came or went."""
    if len(old) == len(new):
        return [(index, index) for index in range(len(new))], []
    pairs: list[tuple[int, int]] = []
    changes: list[Change] = []
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        common = min(j - i, m - k)
        if kind in ("equal", "replace"):
            pairs += [(i + step, k + step) for step in range(common)]
        if m - k > common:
            changes.append(Change("bars", f"{_span(k + common + 1, m)} {'is' if m - k - common == 1 else 'are'} new", bars=(k + common + 1, m)))
        if j - i > common:
            changes.append(Change("bars", f"{_span(i + common + 1, j)} of before {'is' if j - i - common == 1 else 'are'} gone"))
    return pairs, changes


def _runs(changed: Sequence[tuple[int, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield first bar, last bar (from 1) and words of neighbouring bars of which the same is to be said; else of each.

    What is said of single notes is joined over neighbours too: 'bars 5-8: 9 notes differ'.
    """
    at = 0
    while at < len(changed):
        end = at + 1
        while end < len(changed) and changed[end][0] == changed[end - 1][0] + 1 and _mergeable(changed[at][1], changed[end][1]):
            end += 1
        group = changed[at:end]
        text = group[0][1]
        if text.startswith("#"):
            counts = [int(entry[1][1:].partition(" ")[0]) for entry in group]
            named = [entry[1].partition(": ")[2] for entry in group]
            total = sum(counts)
            text = f"{total} note{'s' * (total != 1)} differ{'s' * (total == 1)}" + (f" ({named[0]})" if len(group) == 1 else "")
        yield group[0][0] + 1, group[-1][0] + 1, text
        at = end


def _mergeable(one: str, other: str) -> bool:
    return one == other or (one.startswith("#") and other.startswith("#"))


def _bar_words(old: Bar, new: Bar) -> str:
    """Return what differs in a voice's bar; '' if nothing does, and '#N differ: …' if it must be said note by note."""
    if old == new:
        return ""
    was, now = _notes(old), _notes(new)
    if not was and not now:
        return "its rests moved"
    if not now:
        return "falls silent"
    if not was:
        return "was silent and plays"
    if len(old) == len(new) and [row for row, _, _ in was] == [row for row, _, _ in now]:
        steps = {b.pitch - a.pitch for (_, a, _), (_, b, _) in zip(was, now, strict=True) if a.pitch is not None and b.pitch is not None}
        if len(steps) == 1 and steps != {0} and len(was) > 1:
            step = steps.pop()
            return f"moved {'up' if step > 0 else 'down'} by {abs(step)} semitone{'s' * (abs(step) != 1)}"
        if steps <= {0}:
            if [note for _, note, _ in was] == [note for _, note, _ in now] and [sound for _, _, sound in was] != [sound for _, _, sound in now]:
                return "other instruments"
            if [(note.pitch, sound) for _, note, sound in was] == [(note.pitch, sound) for _, note, sound in now] and was != now:
                return "other volumes, delays or slides"
            if was == now:
                return "notes end elsewhere"
    differing = [row for row in range(max(len(old), len(new))) if _at(old, row) != _at(new, row)]
    shown = ", ".join(f"row {row + 1} {_pair(_at(old, row), _at(new, row))}" for row in differing[:_MAX_SHOWN])
    return f"#{len(differing)} differ: {shown}{' …' if len(differing) > _MAX_SHOWN else ''}"


def _notes(bar: Bar) -> list[tuple[int, Note, Instrument]]:
    return [(row, cell[0], cell[1]) for row, cell in enumerate(bar) if isinstance(cell, tuple)]


def _at(bar: Bar, row: int) -> Heard | None:
    return bar[row] if row < len(bar) else None


def _pair(old: Heard | None, new: Heard | None) -> str:
    names = _cell(old), _cell(new)
    return f"{names[0]} sounds otherwise" if names[0] == names[1] else f"{names[0]} → {names[1]}"


def _cell(cell: Heard | None) -> str:
    if cell is None:
        return "no row"
    if cell is HOLD:
        return "hold"
    if cell is REST:
        return "rest"
    assert isinstance(cell, tuple)
    note, instrument = cell
    return f"noise {instrument.period}" if note.pitch is None else pitch_to_name(note.pitch)


def _in_font(sentence: str) -> str:
    """Return a sentence in letters that the pictures' font has."""
    return sentence.replace("→", "to").replace("…", "...")


def picture(before: Score, after: Score, changes: Sequence[Change]) -> Image:
    """Return the bars that differ as piano rolls, before above after, with a frame around each change; the first bars if none do."""
    from PIL import Image as Images
    from PIL import ImageDraw

    from nesasset.formats import canvas
    from nesasset.formats.piano_roll import LABEL_WIDTH, RULER_HEIGHT, Roll

    rolls = (Roll(before), Roll(after))
    touched = {bar for change in changes if change.bars for bar in range(change.bars[0], change.bars[1] + 1)} or {1}
    systems = sorted({(bar - 1) // _SYSTEM_BARS for bar in touched})[:_MAX_SYSTEMS]
    row_width = max(1, 1120 // (_SYSTEM_BARS * after.bar_rows))
    wide = _SYSTEM_BARS * after.bar_rows * row_width
    gap, label = 14, 22
    height = canvas.HEADER_HEIGHT + len(systems) * sum(roll.height + gap + label for roll in rolls) + canvas.MARGIN
    image = Images.new("RGB", (2 * canvas.MARGIN + LABEL_WIDTH + wide, height), canvas.BACKGROUND)
    pen = ImageDraw.Draw(image)
    canvas.draw_header(pen, image.width, canvas.plain(after.title or after.theme or "Untitled", 60), [_in_font(sentence) for sentence in words(changes)[:3]], voices=True)
    left, top = canvas.MARGIN + LABEL_WIDTH, canvas.HEADER_HEIGHT
    for system in systems:
        for name, roll in zip(("before", "after"), rolls, strict=True):
            score = roll.score
            first = system * _SYSTEM_BARS * score.bar_rows
            rows = range(first, min(first + _SYSTEM_BARS * score.bar_rows, score.n_rows))
            pen.text((left, top + 2), f"{name}, from bar {system * _SYSTEM_BARS + 1}", fill=canvas.FAINT_TEXT, font=canvas.font(13))
            top += label
            if rows:
                unit = wide / (_SYSTEM_BARS * score.bar_rows)
                starts = roll.starts

                def place(frame: int, first: int = first, unit: float = unit, starts: list[int] = starts) -> int:
                    row = min(max(sum(1 for start in starts if start <= frame) - 1, 0), len(starts) - 2)
                    part = (frame - starts[row]) / (starts[row + 1] - starts[row])
                    return left + round((row + part - first) * unit)

                roll.draw(pen, rows, top, place, unit)
                for change in changes:
                    if change.bars is None:
                        continue
                    begin, end = (max(0, min(bar, _SYSTEM_BARS)) for bar in (change.bars[0] - 1 - system * _SYSTEM_BARS, change.bars[1] - system * _SYSTEM_BARS))
                    if begin < end:
                        edges = [left + round(bar * wide / _SYSTEM_BARS) for bar in (begin, end)]
                        pen.rectangle((edges[0], top + RULER_HEIGHT - 2, edges[1] - 1, top + roll.height - 1), outline=_MARK)
            top += roll.height + gap
    return image
