"""Hypothesis strategies for valid scores, for every test that wants any score at all. No test is in here."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from nesasset.score import HOLD, REST, Cell, Instrument, Note, Score, Vibrato
from nesasset.units import PITCH_RANGES, VOICE_KINDS, VOICES

texts = st.text(max_size=12)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
json_objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(texts, json_values, max_size=3)
vibratos = st.builds(Vibrato, st.integers(0, 12), st.integers(4, 24), st.integers(1, 200) | st.integers(1, 1200))
steps = st.integers(-12, 12) | st.integers(-96, 96)


@st.composite
def moves(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the fields of an instrument that change something while a note lasts."""
    arpeggio = tuple(draw(st.lists(steps, max_size=6)))
    return {
        "duties": tuple(draw(st.lists(st.integers(0, 3), max_size=6))),
        "arpeggio": arpeggio,
        "arpeggio_loop": draw(st.none() | st.integers(0, len(arpeggio) - 1)) if arpeggio else None,
        "vibrato": draw(st.none() | vibratos),
    }


@st.composite
def instruments(draw: st.DrawFn, kind: str | None = None, idioms: bool = False) -> Instrument:
    """Draw an instrument of a kind, or of any; fields that the kind does not use are at their defaults mostly."""
    kind = kind or draw(st.sampled_from(("pulse", "triangle", "noise")))
    unused = st.just(0) | st.integers(0, 1)
    return Instrument(
        kind=kind,
        volume=tuple(draw(st.lists(st.integers(0, 15), min_size=1, max_size=12))),
        duty=draw(st.integers(0, 3) if kind == "pulse" else unused),
        period=draw(st.integers(0, 15) if kind == "noise" else unused),
        mode=draw(st.integers(0, 1) if kind == "noise" else unused),
        name=draw(texts),
        **(draw(moves()) if idioms else {}),
    )


@st.composite
def scores(
    draw: st.DrawFn,
    max_rows: int = 24,
    max_row_frames: int = 12,
    loops: bool | None = None,
    provenance: bool = True,
    idioms: bool = False,
) -> Score:
    """Draw a valid score.

    Args:
        draw: Hypothesis's.
        max_rows: Longest score.
        max_row_frames: Longest row.
        loops: True for a loop, False for none, None for either.
        provenance: Whether to draw one; else it is empty.
        idioms: Whether instruments move (duties, arpeggios, vibratos) and notes have volumes and slides.
    """
    n_rows = draw(st.integers(1, max_rows))
    groove = tuple(draw(st.lists(st.integers(1, max_row_frames), min_size=1, max_size=4)))
    pool = tuple(draw(st.lists(instruments(idioms=idioms), max_size=6)))
    delays = draw(st.dictionaries(st.sampled_from(VOICES), st.integers(0, max_row_frames), max_size=4))
    voices = {
        voice: tuple(_fit(cell, groove[row % len(groove)], delays.get(voice, 0)) for row, cell in enumerate(cells))
        for voice in VOICES
        for cells in [draw(st.lists(_cells(voice, pool, idioms), min_size=n_rows, max_size=n_rows))]
    }
    loop = None
    if loops or (loops is None and draw(st.booleans())):
        start = draw(st.integers(0, n_rows - 1))
        loop = (start, draw(st.integers(start + 1, n_rows)))
    return Score(
        voices=voices,
        instruments=pool,
        groove=groove,
        bar_rows=draw(st.integers(1, 20)),
        beat_rows=draw(st.integers(1, 8)),
        loop=loop,
        delays=delays,
        title=draw(texts),
        theme=draw(texts),
        provenance=draw(json_objects) if provenance else {},
    )


def _cells(voice: str, pool: tuple[Instrument, ...], idioms: bool) -> st.SearchStrategy[Cell]:
    """Return the strategy of one voice's cells; without an instrument of its kind it only holds and rests."""
    usable = [index for index, instrument in enumerate(pool) if instrument.kind == VOICE_KINDS[voice]]
    gaps = st.sampled_from([HOLD, REST])
    if not usable:
        return gaps
    pitches = st.none() if voice == "NO" else st.integers(*PITCH_RANGES[voice])
    notes = [st.sampled_from(usable), pitches, st.integers(0, 3)]
    if idioms:
        notes += [st.just(15) | st.integers(0, 15), st.just(0) | st.integers(0, 30)]
    return gaps | st.builds(Note, *notes)


def _fit(cell: Cell, row_frames: int, lag: int) -> Cell:
    """Return the cell with its delay cut to what its row allows."""
    if not isinstance(cell, Note) or cell.delay + lag < row_frames:
        return cell
    return Note(cell.instrument, cell.pitch, max(0, row_frames - lag - 1), cell.volume, cell.slide)
