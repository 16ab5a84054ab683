"""Form plans: what becomes of each bar, drawn before any note. Holds the library's look-up and forms, no composing.

A plan says per bar how many bars back its model lies and per voice what happens to that bar's part: exact, varied, same
rhythm, moved, new or silent; and it has a chord for each half bar. Plans come from real songs (the model's plan library,
which holds no notes), each with the palette and the measured controls of its song; a long plan is several songs' beginnings one
after the other, a form that the caller wrote down is filled with parts of them. Chords are drawn from counts over all songs, or are
the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.chords import chord_name, chord_quality, chord_root, chord_tones, transpose_chords
from nesasset.compose.form import Section
from nesasset.compose.harmony import Form, HarmonyModel
from nesasset.compose.key import find_key
from nesasset.compose.request import Request
from nesasset.compose.scales import chord_weights
from nesasset.units import VOICES
from nesasset.vocabulary import CONTROLS, EXACT, HALVES, NEW, PLAN_CLASSES, RHYTHM, SEQUENCE, SILENT, VARIED

_COLUMN: Final = {name: index for index, name in enumerate(CONTROLS)}
SHARPNESS: Final = 1.5  # of the draw: a plan that fits worse by this much is e times rarer
EQUALS: Final = 8  # best-fitting entries that are drawn alike, unless a density or register was asked for: the best by far would make of a theme always the same
CHORD_FLOOR: Final = 0.07  # of the likeliest chord's probability, below which none is drawn: rare chords lead astray
CHORD_DRAWS: Final = 6  # of a progression, until its notes are in its key
KEY_BARS: Final = 32  # of a long progression that are drawn at a time: as a whole it would wander from key to key
LABEL_FIT: Final = 4.0  # what a plan of a song of the theme gains over others; the units are those of SHARPNESS
TYPICAL_FIT: Final = 1.2  # what a plan gains for each factor of e by which its song's character speaks for the theme
ROW_FIT: Final = 0.25  # what a plan loses for each frame that its song's rows are longer or shorter, up to four
DENSITY_FIT: Final = 0.2  # what a plan loses for each class of density that its song is away from the theme's
MODE_FIT: Final = 1.0  # how much less likely a form whose song is in the other mode than the theme
UNTAUGHT_DENSITY_FIT: Final = 0.8  # the same where the model knows no songs of the theme: then density is what tells themes apart
ASKED_DENSITY_FIT: Final = 3.6  # the same from a density that was asked for
ACTIVE_FIT: Final = 0.1  # what a plan loses for each melodic voice that rests in two of five bars
ASKED_ACTIVE_FIT: Final = 1.0  # the same where a density was asked for, in which rests are heard
TYPICAL: Final = ("mode", "density", "noise_density", "register", "active_P1", "active_P2", "active_TR")  # whether drums play is in their density
FEWEST_SONGS: Final = 16  # of a theme's label from which a model can have learnt it; NES-MDB's rarest has 32
TYPICAL_PRIOR: Final = 20.0  # songs of no theme that are counted with a theme's own
LONGEST_BARS: Final = 64  # of a plan that is one song's
MOVEMENT_BARS: Final = (24, 32, 48)  # of the parts of a longer one
DRAWS: Final = 200  # of plans that turn out unusable, before the best-suited one is taken as it is
OTHER_METRE: Final = 1000.0  # what plans of bars of another length lose: they are not taken
LIKENESS_FIT: Final = 6.0  # what a plan loses whose form has nothing in common with the one that it should be like
BEGINNING_FIT: Final = 8.0  # what a plan loses none of whose first bars is as the one that it should begin with
LAG_EDGES: Final = (1, 2, 4, 8)  # between lags that are counted together: 0, 1, 2 to 3, 4 to 7, 8 and more
MIDDLE_FIT: Final = 1.5  # what a loop's plan loses whose second half has the middle of the first again: its end leads there rather than home
MIN_DISTINCT_BARS: Final = 3  # of every eight bars: fewer make a loop that tires


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A form with the instruments and the measured character that belong to it."""

    bar_rows: int
    lags: NDArray[np.int64]
    """(n_bars,): bars back to the reference, 0 none."""
    classes: NDArray[np.int64]
    """(n_bars, 4): plan class of P1, P2, TR, NO."""
    shifts: NDArray[np.int64]
    """(n_bars,): semitones from the reference to the voices that are sequences."""
    chords: NDArray[np.int64]
    """(n_bars, 2): chord of each half bar."""
    pulse: NDArray[np.int64]
    """(16, 4): duty, 0, shape, peak; -1 in unused slots."""
    noise: NDArray[np.int64]
    """(16, 4): mode, period, shape, peak."""
    controls: NDArray[np.int64]
    """(n_controls,): classes of the song that the plan comes from."""
    tonic: int = 0
    """Pitch class of the key that the harmony is in, 0 for C."""
    home: int = 0
    """The bar that follows the last one: 0, or the first after an intro."""
    point: NDArray[np.float32] | None = None
    """(latent,): what the piece is to be like, a point of the model's latent; None leaves it open."""

    @property
    def n_bars(self) -> int:
        """Length in bars."""
        return len(self.lags)


_LETTERS: Final = "EVRQNS"  # of PLAN_CLASSES: exact, varied, rhythm, sequence, new, silent


def plan_to_json(plan: Plan, semitones: int = 0) -> dict[str, list[str]]:
    """Return form and chords as texts, one a bar, for a score's provenance: '4 EEQN +2' and 'C' or 'C,Am'.

    The number is the lag in bars, 0 for none; the letters say what becomes of P1, P2, TR and NO: exact, varied, rhythm only,
    sequence (moved by the semitones at the end), new, silent.

    Args:
        plan: The plan.
        semitones: By how much the piece was moved after it was composed, and its chords with it.
    """
    bars = []
    for lag, classes, shift in zip(plan.lags.tolist(), plan.classes.tolist(), plan.shifts.tolist(), strict=True):
        word = "".join(_LETTERS[kind] for kind in classes)
        bars.append(f"{lag} {word}{f' {shift:+d}' if shift else ''}")
    chords = [[chord_name(chord) for chord in bar] for bar in transpose_chords(plan.chords, semitones).tolist()]
    return {"form": bars, "chords": [bar[0] if bar[0] == bar[1] else ",".join(bar) for bar in chords]}


def draw_plan(
    library: dict[str, NDArray[Any]], harmony: HarmonyModel, request: Request, rng: np.random.Generator
) -> Plan:
    """Draw a plan that suits a request, the likelier the better it suits.

    Args:
        library: The model's plan library.
        harmony: The model's counts of chords.
        request: What is wanted.
        rng: The only source of chance.
    """
    return with_chords(draw_form(library, request, rng), harmony, request, rng)


def draw_form(
    library: dict[str, NDArray[Any]],
    request: Request,
    rng: np.random.Generator,
    bar_rows: int | None = None,
    like: Plan | None = None,
    begins: Plan | None = None,
) -> Plan:
    """Draw a plan that suits a request and has no chords yet.

    Args:
        library: The model's plan library.
        request: What is wanted.
        rng: The only source of chance.
        bar_rows: Rows that a bar must have, 12 or 16; None for either.
        like: Bars of the plan should come back as those of this one do; None for no such wish.
        begins: The plan should begin as this one does; None for no such wish.
    """
    sizes = np.diff(library["bars"])
    fit = _fit(library, request, sizes)
    metre = library["bar_rows"] == bar_rows
    if metre.any():  # else a form of the other metre will do: its bars are bars
        fit[~metre] -= OTHER_METRE
    if like is not None:
        fit -= LIKENESS_FIT * _form_distance(library, like)
    if begins is not None:
        fit -= BEGINNING_FIT * _beginning_distance(library, begins)
    plan = _formed(library, request, rng, fit) if request.sections else _found(library, request, rng, fit, sizes)
    if request.intro_bars:
        plan = _with_intro(plan, _found(library, replace(request, bars=request.intro_bars), rng, fit, sizes))
    return _with_voices(plan if bar_rows is None else replace(plan, bar_rows=bar_rows), request)


def _form_distance(library: dict[str, NDArray[Any]], like: Plan) -> NDArray[np.float64]:
    """Return how far each entry's shares of plan classes, voice by voice, and of lags are from a plan's, (n_entries,), 0 to 2."""

    def shares(lags: NDArray[np.integer], classes: NDArray[np.integer]) -> NDArray[np.float64]:
        kinds = (classes[:, :, None] == np.arange(len(PLAN_CLASSES))).reshape(len(lags), -1) / classes.shape[1]
        near = np.searchsorted(LAG_EDGES, lags, side="right")[:, None] == np.arange(len(LAG_EDGES) + 1)
        return np.concatenate([kinds, near], axis=1).astype(np.float64)

    starts, sizes = library["bars"][:-1], np.diff(library["bars"])
    found = np.add.reduceat(shares(library["lags"], library["classes"]), starts, axis=0) / sizes[:, None]
    return np.asarray(np.abs(found - shares(like.lags, like.classes).mean(axis=0)).sum(axis=1) / 2)


def _beginning_distance(library: dict[str, NDArray[Any]], begins: Plan) -> NDArray[np.float64]:
    """Return in what share of its first bars' lags and classes each entry differs from a plan, (n_entries,); 1 for what is shorter."""
    count = begins.n_bars
    starts, sizes = library["bars"][:-1], np.diff(library["bars"])
    long_enough = np.flatnonzero(sizes >= count)
    at = starts[long_enough, None] + np.arange(count)
    other = (library["lags"][at] != begins.lags).mean(axis=1) + (library["classes"][at] != begins.classes).mean(axis=(1, 2))
    distance = np.ones(len(sizes))
    distance[long_enough] = other / 2
    return distance


def _found(
    library: dict[str, NDArray[Any]],
    request: Request,
    rng: np.random.Generator,
    fit: NDArray[np.float64],
    sizes: NDArray[np.integer],
) -> Plan:
    """Draw an entry of the library, or several one after the other for a long piece, or where none is long enough."""
    long_enough = (sizes >= request.bars) & (fit > -OTHER_METRE / 2)
    if request.bars > LONGEST_BARS or not long_enough.any():
        return _movements(library, request, rng, fit, sizes)
    alike = 1 if request.picks_form else EQUALS
    best = np.sort(fit[long_enough])[-alike:][0]
    weights = np.where(long_enough, np.exp(SHARPNESS * np.minimum(fit - best, 0.0)), 0.0)
    for _ in range(DRAWS):
        plan = _cut(library, int(rng.choice(len(weights), p=weights / weights.sum())), request.bars)
        if _is_usable(plan):
            return plan
    return _cut(library, int(weights.argmax()), request.bars)


def _fit(library: dict[str, NDArray[Any]], request: Request, sizes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return how well each entry suits a request, higher is better; the units are those of SHARPNESS."""
    controls = library["controls"].astype(np.int64)
    fit = np.zeros(len(sizes))
    if request.label:
        fit += LABEL_FIT * (controls[:, _COLUMN["label"]] == request.label) + TYPICAL_FIT * _typical(controls, request.label)
    loops = controls[:, _COLUMN["loop_bars"]] != 1
    fit += 4.0 * (loops == request.loops)
    fit += 1.0 * (sizes == request.bars) + 0.4 * ((sizes % request.bars) == 0)
    if not request.loops:
        fit -= 0.7 * np.minimum(np.abs(sizes - request.bars), 6)  # the beginning of a longer piece is no jingle
    else:
        fit += 1.0 * (library["bar_rows"] == 16)  # four-four is what a level's loop is expected to be in
        if not request.picks_form:
            fit -= MIDDLE_FIT * _middle_returns(library, request.bars)
    fit -= ROW_FIT * np.minimum(np.abs(library["row_frames"] - request.row_frames), 4)
    density = ASKED_DENSITY_FIT if request.onsets is not None else DENSITY_FIT if request.label else UNTAUGHT_DENSITY_FIT
    fit -= density * np.abs(controls[:, _COLUMN["density"]] - request.density)
    if request.noise_density:
        fit -= 0.5 * request.steering * np.abs(controls[:, _COLUMN["noise_density"]] - request.noise_density)
    if request.mode:
        mode = controls[:, _COLUMN["mode"]]
        fit -= MODE_FIT * ((mode != 0) & (mode != request.mode))
    register = controls[:, _COLUMN["register"]]
    fit -= 0.3 * np.where(register == 0, 2, np.abs(register - request.register))
    active = ACTIVE_FIT if request.onsets is None else ASKED_ACTIVE_FIT
    for voice in ("P1", "P2", "TR"):
        fit -= active * (controls[:, _COLUMN[f"active_{voice}"]] < 3)
    return fit


def _middle_returns(library: dict[str, NDArray[Any]], bars: int) -> NDArray[np.bool_]:
    """Return which entries, cut to so many bars, have in their second half what the first half has behind its first two bars, (n_entries,)."""
    starts, sizes = library["bars"][:-1], np.diff(library["bars"])
    found = np.zeros(len(sizes), dtype=bool)
    if not 4 < bars <= LONGEST_BARS:
        return found
    long_enough = np.flatnonzero(sizes >= bars)
    at = starts[long_enough, None] + np.arange(bars)
    lags = library["lags"][at].astype(np.int64)
    kept = (lags > 0) & np.isin(library["classes"][at][:, :, :3], (EXACT, VARIED, SEQUENCE)).any(axis=2)
    origin = np.tile(np.arange(bars), (len(lags), 1))
    for bar in range(1, bars):
        origin[:, bar] = np.where(kept[:, bar], origin[np.arange(len(lags)), bar - lags[:, bar]], bar)
    late = origin[:, bars // 2 :]
    found[long_enough] = ((late >= 2) & (late < bars // 2)).any(axis=1)
    return found


def has_learnt(library: dict[str, NDArray[Any]], label: int) -> bool:
    """Return whether a model, by its plan library, was trained on songs of a label."""
    return int((library["controls"][:, _COLUMN["label"]] == label).sum()) >= FEWEST_SONGS


def _typical(controls: NDArray[np.int64], label: int) -> NDArray[np.float64]:
    """Return how much each entry's character speaks for a label, (n_entries,): the logarithm of how much more common it is there."""
    own = controls[:, _COLUMN["label"]] == label
    found = np.zeros(len(controls))
    for name in TYPICAL:
        values = controls[:, _COLUMN[name]]
        everywhere = (np.bincount(values, minlength=CONTROLS[name]) + 1) / (len(values) + CONTROLS[name])
        here = (np.bincount(values[own], minlength=CONTROLS[name]) + TYPICAL_PRIOR * everywhere) / (own.sum() + TYPICAL_PRIOR)
        found += np.log(here / everywhere)[values]
    return found


def _cut(library: dict[str, NDArray[Any]], entry: int, bars: int) -> Plan:
    """Return the first bars of an entry: references point back, so that every beginning of a plan is a plan."""
    first = int(library["bars"][entry])
    return Plan(
        int(library["bar_rows"][entry]),
        library["lags"][first : first + bars].astype(np.int64),
        library["classes"][first : first + bars].astype(np.int64),
        library["shifts"][first : first + bars].astype(np.int64),
        np.zeros((bars, HALVES), dtype=np.int64),  # drawn later
        library["pulse_palette"][entry].astype(np.int64),
        library["noise_palette"][entry].astype(np.int64),
        library["controls"][entry].astype(np.int64),
    )


def _is_usable(plan: Plan) -> bool:
    """Refuse plans that make no piece: nothing sounds, the first bar is empty, or everything is one bar again and again."""
    if (plan.classes[0, :3] == SILENT).all() or (plan.classes[:, :3] == SILENT).all(axis=1).mean() > 0.25:
        return False
    repeated = np.isin(plan.classes, (EXACT, SILENT)).all(axis=1) & (plan.lags > 0)
    fresh = int((~repeated).sum())
    return fresh >= min(plan.n_bars, max(1, MIN_DISTINCT_BARS * plan.n_bars // 8))


def _movements(
    library: dict[str, NDArray[Any]],
    request: Request,
    rng: np.random.Generator,
    fit: NDArray[np.float64],
    sizes: NDArray[np.integer],
) -> Plan:
    """Join the beginnings of several entries to a long plan; palette and controls are the first one's, a bar has its rows.

    Songs of that length are few, and go round in the same bars for minutes.
    """
    parts: list[Plan] = []
    left = request.bars
    while left:
        bars = left if left <= LONGEST_BARS else int(rng.choice(MOVEMENT_BARS))
        bars = min(bars, int(sizes[fit > -OTHER_METRE / 2].max()))
        parts.append(_found(library, replace(request, bars=bars), rng, fit, sizes))
        fit = np.where(library["bar_rows"] == parts[0].bar_rows, fit, fit - OTHER_METRE)
        left -= bars
    lags, classes, shifts, chords = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("lags", "classes", "shifts", "chords")
    )
    return replace(parts[0], lags=lags, classes=classes, shifts=shifts, chords=chords)


# A form that the caller wrote down.


def _formed(
    library: dict[str, NDArray[Any]], request: Request, rng: np.random.Generator, fit: NDArray[np.float64]
) -> Plan:
    """Fill a form: each new letter gets bars of one drawn entry, with what they refer to outside them forgotten."""
    sections = request.sections
    size = request.bars // len(sections)
    letters = list(dict.fromkeys(section.letter for section in sections))
    sizes = np.diff(library["bars"])
    source = _found(library, replace(request, bars=min(size * len(letters), int(sizes.max()))), rng, fit, sizes)
    blocks = {letter: _block(source, place * size, size) for place, letter in enumerate(letters)}
    first = {section.letter: place for place, section in reversed(list(enumerate(sections)))}
    parts = [
        blocks[section.letter] if first[section.letter] == place else _again(section, blocks[section.letter], place - first[section.letter])
        for place, section in enumerate(sections)
    ]
    lags, classes, shifts = (np.concatenate(part) for part in zip(*parts, strict=True))
    return replace(source, lags=lags, classes=classes, shifts=shifts, chords=np.zeros((len(lags), HALVES), dtype=np.int64))


_Block = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _block(source: Plan, start: int, size: int) -> _Block:
    """Return lags, classes and shifts of `size` bars of a plan that goes round, as a piece of their own."""
    at = (start + np.arange(size)) % source.n_bars
    lags, classes, shifts = source.lags[at].copy(), source.classes[at].copy(), source.shifts[at].copy()
    outside = lags > np.minimum(np.arange(size), at)
    lags[outside] = 0
    classes[lags == 0] = np.where(classes[lags == 0] < NEW, NEW, classes[lags == 0])
    shifts[lags == 0] = 0
    if (classes[0, :3] == SILENT).all():
        classes[0, 0] = NEW
    return lags, classes, shifts


def _again(section: Section, block: _Block, distance: int) -> _Block:
    """Return a section that comes back, so many sections after its first time."""
    size = len(block[0])
    silent = block[1] == SILENT
    classes = np.full((size, 4), EXACT)
    if section.shift:
        classes[:, :3] = SEQUENCE
    changed = RHYTHM if section.shift else VARIED
    late = np.arange(size) >= size // 2
    if section.strokes == 1:
        classes[late, 0] = changed
    elif section.strokes == 2:
        classes[:, :2] = changed
    elif section.strokes == 3:
        classes[:, 0], classes[:, 1], classes[late, 2] = NEW, changed, changed
    classes[silent] = SILENT
    moved = (classes == SEQUENCE).any(axis=1)
    return np.full(size, distance * size), classes, np.where(moved, section.shift, 0)


def _with_intro(plan: Plan, intro: Plan) -> Plan:
    """Return a plan with the bars of another in front; nothing refers across."""
    return replace(
        plan,
        lags=np.concatenate([intro.lags, plan.lags]),
        classes=np.concatenate([intro.classes, plan.classes]),
        shifts=np.concatenate([intro.shifts, plan.shifts]),
        chords=np.concatenate([intro.chords, plan.chords]),
        home=intro.n_bars,
    )


def _with_voices(plan: Plan, request: Request) -> Plan:
    """Return a plan in which the voices that are not asked for, or have no instrument, are silent, and some melodic one plays.

    A voice without an instrument comes with an intro, or a section, from a song of other voices.
    """
    palettes = (plan.pulse, plan.pulse, None, plan.noise)
    mute = [palette is not None and not (palette[:, 0] >= 0).any() for palette in palettes]
    off = [voice for voice, name in enumerate(VOICES) if name not in request.voices or mute[voice]]
    if not off:
        return plan
    classes, lags, shifts = plan.classes.copy(), plan.lags.copy(), plan.shifts.copy()
    classes[:, off] = SILENT
    lead = next((voice for voice in range(3) if voice not in off), 2)
    if (classes[:, :3] == SILENT).all(axis=1).mean() > 0.25:  # the voices that are left rest for long: let one play
        classes[(classes[:, :3] == SILENT).all(axis=1), lead] = NEW
    unused = (classes >= NEW).all(axis=1)
    lags[unused] = 0
    shifts[~(classes == SEQUENCE).any(axis=1)] = 0
    return replace(plan, classes=classes, lags=lags, shifts=shifts)


# Chords.


def with_chords(
    plan: Plan, harmony: HarmonyModel, request: Request, rng: np.random.Generator, known: NDArray[np.int64] | None = None
) -> Plan:
    """Return a plan with its key and harmony: the caller's chords, or drawn ones in the key asked for, or in any.

    Args:
        plan: What there is.
        harmony: The model's counts of chords.
        request: What is wanted.
        rng: The only source of chance.
        known: (n_bars, 2), chords that are settled where the caller asks for none, -1 for those to draw; None for none.
    """
    own_mode = int(plan.controls[_COLUMN["mode"]])
    scale = request.wishes.scale
    minor = (request.mode or own_mode or 1 + int(rng.random() < 0.5)) == 2
    tonic = int(rng.integers(12)) if request.tonic is None else request.tonic
    plan = replace(plan, tonic=tonic)
    if scale:
        plan = _without_moves(plan)
    progression = request.wishes.progression(tonic, "minor" if minor else "major")
    given = np.full((plan.n_bars, HALVES), -1)
    if progression:
        for bar in range(plan.n_bars):
            chords = progression[(bar - plan.home) % len(progression)]
            given[bar] = chords[0], chords[-1]
        plan = _following(plan, given)
        return replace(plan, chords=given)
    degrees = np.array(given if known is None else transpose_chords(known, -tonic))
    at_once = LONGEST_BARS if plan.n_bars <= LONGEST_BARS else KEY_BARS
    for first in range(0, plan.n_bars, at_once):
        stop = min(first + at_once, plan.n_bars)
        form = Form(plan.lags[:stop], plan.classes[:stop], plan.shifts[:stop], minor, 0 if request.wishes.mode else request.label)
        home = plan.home if request.loops and stop == plan.n_bars else None
        for _ in range(CHORD_DRAWS):
            drawn = harmony.sample(rng, form, degrees[:stop], CHORD_FLOOR, chord_weights(scale) if scale else None, home)
            if find_key(chord_tones()[drawn[first:]].sum(axis=(0, 1)).astype(np.float64))[:2] == (0, "minor" if minor else "major"):
                break  # most draws stay in their key; one that wanders would be heard in another
        degrees[:stop] = drawn
    return replace(plan, chords=transpose_chords(degrees, tonic).astype(np.int64))


def _without_moves(plan: Plan) -> Plan:
    """Return a plan whose sequences keep their rhythm only: moved by semitones, a part leaves its scale."""
    classes = np.where((plan.classes == SEQUENCE) & (plan.shifts % 12 != 0)[:, None], RHYTHM, plan.classes)
    return replace(plan, classes=classes, shifts=np.where((classes == SEQUENCE).any(axis=1), plan.shifts, 0))


def _following(plan: Plan, chords: NDArray[np.int64]) -> Plan:
    """Return a plan that the caller's chords allow: a part is not repeated over other chords, but moved, or only its rhythm is."""
    classes, shifts = plan.classes.copy(), plan.shifts.copy()
    for bar in np.flatnonzero(plan.lags > 0).tolist():
        there = chords[bar - int(plan.lags[bar])]
        copied = np.isin(classes[bar, :3], (EXACT, SEQUENCE))
        if not copied.any():
            continue
        steps = {(chord_root(int(b)) - chord_root(int(a)) + 5) % 12 - 5 for a, b in zip(there, chords[bar], strict=True)}
        alike = all(chord_quality(int(a)) == chord_quality(int(b)) for a, b in zip(there, chords[bar], strict=True))
        step = steps.pop() if len(steps) == 1 and alike else None
        if step == 0:
            classes[bar, :3][copied] = EXACT
        else:
            classes[bar, :3][copied] = RHYTHM if step is None else SEQUENCE
        shifts[bar] = step or 0
    shifts[~(classes == SEQUENCE).any(axis=1)] = 0
    return replace(plan, classes=classes, shifts=shifts)
