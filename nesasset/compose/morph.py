"""A morph: from one piece to another in steps, each of them a piece. Two Scores in, Scores out.

Both are put on one grid, in one key. On the way, parts of the first leave and parts of the second enter, a bar of a voice at a
time; what has left never comes back, what has entered stays, and repeats leave and enter with what they repeat. What is neither
is composed, round what is there, of the point of the latent that lies so far along the way. Key and tempo go along in even steps.
The first step is the first piece and the last one the second, as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.given import Given
from nesasset.compose.key import find_key, pitch_class_weights
from nesasset.compose.material import Material, cells_of, to_material
from nesasset.compose.plan import Plan
from nesasset.compose.point import between
from nesasset.compose.recast import finish, with_tempo
from nesasset.compose.request import generator
from nesasset.compose.rewrite import Rewrite, badness, carry_out, figures_of, parent_of
from nesasset.compose.vary import request_of
from nesasset.errors import ControlError, MaterialError, out_of_range
from nesasset.features import SLOT_VOICES
from nesasset.model import Model
from nesasset.model_names import model_of
from nesasset.score import HOLD, MAX_INSTRUMENTS, REST, Cell, Note, Score
from nesasset.units import VOICES, in_range
from nesasset.vocabulary import EXACT, HOLD_ID, ONSET_ID, PALETTE_SLOTS, SEQUENCE

STEPS_RANGE: Final = (3, 33)
CANDIDATES: Final = 2
ROUNDS: Final = 4  # of so many candidates, until one is no farther from the second piece than the step before
LEAVES: Final = (0.02, 0.6)  # where on the way the first part of the first piece leaves, and the last
ENTERS: Final = (0.4, 0.98)  # where on the way the first part of the second piece enters, and the last
OWN_SLOTS: Final = PALETTE_SLOTS // 2  # of a palette, for each piece


def morph(one: Score, other: Score, steps: int = 9, seed: int = 0, model: Model | None = None) -> list[Score]:
    """Compose the way from a score to another.

    Args:
        one: Any score that loops.
        other: Another, of the same metre.
        steps: How many scores, both ends included, 3 to 33.
        seed: Another seed, another way.
        model: A loaded model; None loads the one that composed the score, or the default.

    Returns:
        So many scores, each of which loops as a whole; the first is `one` and the last `other`. The provenance of those between
        names both parents.

    Raises:
        ControlError: Seed or number of steps are out of range.
        MaterialError: One of the scores does not loop, or cannot be composed with, or their metres differ.
        ModelMismatchError: The model cannot be loaded.
    """
    way = Way.between(one, other, model or model_of(one))
    check_steps(steps)
    made: list[Score] = []
    for place in range(steps):
        made.append(way.step(place, steps, seed, beyond=way.progress(made[-1], (place - 1) / (steps - 1)) if made else -1.0))
    return made


def check_steps(steps: int) -> None:
    """Raise ControlError unless a number of steps is one that a morph may have."""
    if isinstance(steps, bool) or not isinstance(steps, int) or not STEPS_RANGE[0] <= steps <= STEPS_RANGE[1]:
        raise ControlError(out_of_range("steps", steps, *STEPS_RANGE))


class Way:
    """Two scores on one grid and in one key, and the model that composes between them."""

    def __init__(self, ends: tuple[Score, Score], materials: tuple[Material, Material], semitones: int, model: Model) -> None:
        self.ends, self.materials, self.model = ends, materials, model
        self.semitones = semitones
        """From the first's key to the second's."""

    @staticmethod
    def between(one: Score, other: Score, model: Model) -> Way:
        """Put two scores on one grid; see `morph` for the errors."""
        for score in (one, other):
            if score.loop is None:
                raise MaterialError(f"a morph leads from loop to loop, and {score.title or score.theme or 'a score'!r} does not loop; choose one that does")
        loops = [_loop_of(one), _loop_of(other)]
        semitones = (_tonic(other) - _tonic(one) + 6) % 12 - 6
        loops[1] = _moved(loops[1], -semitones)
        first, second = (to_material(loop, model) for loop in loops)
        if first.plan.bar_rows != second.plan.bar_rows:
            raise MaterialError(
                f"a morph needs two scores of one metre: the bars of the first have {first.plan.bar_rows} rows, those of the second "
                f"{second.plan.bar_rows}"
            )
        bars = max(first.plan.n_bars, second.plan.n_bars)
        first, second = (to_material(_lengthened(m.score, bars * m.plan.bar_rows), model) for m in (first, second))
        return Way((one, other), (first, second), semitones, model)

    def progress(self, score: Score, share: float) -> float:
        """Return how much more a step, so far along the way, is the second score's than the first's: -1 to 1."""
        moved = round(share * self.semitones)
        return likeness(score, self.ends[1], moved - self.semitones) - likeness(score, self.ends[0], moved)

    def step(self, place: int, steps: int, seed: int, chance: int | None = None, beyond: float = -1.0) -> Score:
        """Return one score of the way.

        Args:
            place: 0 to steps - 1.
            steps: How many there are.
            seed: Of the way: which parts leave and enter when.
            chance: Seed of what is composed in between; None for the way's own.
            beyond: The progress of the step before, behind which this one is not to fall if a few tries can help it.
        """
        import nesasset

        if place in (0, steps - 1):
            return self.ends[place > 0]
        share = place / (steps - 1)
        parents = [parent_of(score) for score in self.ends]
        words = ("morph", *(parent["sha256"] for parent in parents), seed)
        lots = generator(words).random((self.materials[0].plan.n_bars, 4))
        work = self._work(share, lots, seed)
        chance = seed if chance is None else chance
        tempos = [material.score.tempo_bpm for material in self.materials]
        found: list[tuple[float, Score, dict[str, Any]]] = []
        for turn in range(ROUNDS):
            numbers = range(turn * CANDIDATES, (turn + 1) * CANDIDATES)
            for made, draft in carry_out(self.model, work, [generator((*words, chance, place, steps, number)) for number in numbers]):
                moved = with_tempo(finish(_moved(made, round(share * self.semitones))), (tempos[1] / tempos[0]) ** share)
                found.append((self.progress(moved, share), moved, figures_of(self.model, work, draft)))
            if max(progress for progress, _, _ in found) >= beyond:
                break
        enough = min(beyond, max(progress for progress, _, _ in found))
        _, score, figures = min((item for item in found if item[0] >= enough), key=lambda item: badness(item[2]))
        told: dict[str, Any] = {
            "generator": f"nesasset {nesasset.__version__}",
            "model": self.model.name,
            "model_sha256": self.model.sha256,
            "operation": "morph",
            "parents": parents,
            "seed": seed,
            **({} if chance == seed else {"chance": chance}),
            "share": round(share, 6),
            **figures,
        }
        names = [score.title or score.theme for score in self.ends]
        return replace(score, title=f"{names[0]} to {names[1]}, {share:.0%} of the way", provenance=told)

    def sources(self, share: float, lots: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return where each part of a step comes from, (n_bars, 4): 0 the first score, 1 the second, -1 neither.

        Args:
            share: How far along the way, 0 to 1.
            lots: (n_bars, 4), 0 to 1, the same for all steps: when a part leaves and enters.
        """
        first, second = (_shared(lots, material.plan) for material in self.materials)
        stays = LEAVES[0] + (LEAVES[1] - LEAVES[0]) * first > share
        enters = ENTERS[0] + (ENTERS[1] - ENTERS[0]) * second <= share
        if share < 0.5:
            return np.where(stays, 0, np.where(enters, 1, -1))
        return np.where(enters, 1, np.where(stays, 0, -1))

    def _work(self, share: float, lots: NDArray[np.float64], seed: int) -> Rewrite:
        """Return the writing of one step."""
        first, second = self.materials
        near = self.materials[share >= 0.5]
        bar_rows = near.plan.bar_rows
        source = np.repeat(self.sources(share, lots), bar_rows, axis=0)
        offset = len(first.score.instruments)
        if offset + len(second.score.instruments) > MAX_INSTRUMENTS:
            raise MaterialError(f"the two scores have {offset + len(second.score.instruments)} instruments, {MAX_INSTRUMENTS} are the most that a morph has room for")
        cells = [_restruck(material, source == number) for number, material in enumerate(self.materials)]
        given = np.where(source == 0, cells[0], np.where(source == 1, cells[1], -1))
        slots = np.full((len(given), 3), -1, dtype=np.int64)
        for number, material in enumerate(self.materials):
            own = np.minimum(material.slots, OWN_SLOTS - 1) + number * OWN_SLOTS
            mine = (source == number)[:, SLOT_VOICES] & (cells[number][:, SLOT_VOICES] >= ONSET_ID)
            slots = np.where(mine, own, slots)
        players = {}
        for number, material in enumerate(self.materials):
            for (kind, slot), (instrument, volume) in material.players.items():
                if kind != "triangle" and slot < OWN_SLOTS:
                    players[kind, slot + number * OWN_SLOTS] = (instrument + number * offset, volume)
                elif kind == "triangle" and (material is near or (kind, slot) not in players):
                    players[kind, slot] = (instrument + number * offset, volume)
        plan = self._plan(near.plan, share)
        voices = {}
        for column, voice in enumerate(VOICES):
            parts = [_sounding(material.score, voice, number * offset) for number, material in enumerate(self.materials)]
            voices[voice] = tuple(
                HOLD if source[row, column] < 0 else _cell(parts[source[row, column]], row, int(given[row, column])) for row in range(len(given))
            )
        base = replace(
            first.score,
            voices=voices,
            instruments=(*first.score.instruments, *second.score.instruments),
            delays={},
            theme=near.score.theme,
        )
        return Rewrite(base, source < 0, request_of(near, seed, self.model), plan, Given(given, slots), 0, players)

    def _plan(self, near: Plan, share: float) -> Plan:
        """Return the form of the nearer score, with both scores' instruments and the point on the way."""
        palettes = []
        for kind in ("pulse", "noise"):
            palette = np.full((PALETTE_SLOTS, 4), -1, dtype=np.int64)
            for number, material in enumerate(self.materials):
                palette[number * OWN_SLOTS : (number + 1) * OWN_SLOTS] = getattr(material.plan, kind)[:OWN_SLOTS]
            palettes.append(palette)
        points = [material.plan.point for material in self.materials]
        point = None if points[0] is None or points[1] is None else between(points[0], points[1], share)
        return replace(near, pulse=palettes[0], noise=palettes[1], point=point, home=0)


def likeness(made: Score, parent: Score, semitones: int) -> float:
    """Return how much of a step is a parent's, 0 to 1: of the rows of a voice in which either has a note, the share where both have the same.

    Args:
        made: A step, or a parent.
        parent: A parent; the shorter loop is repeated.
        semitones: By how much the parent has to be moved to be in the step's key.
    """
    pair = [cells_of(_loop_of(made)), cells_of(_loop_of(_moved(parent, semitones)))]
    rows = max(len(cells) for cells in pair)
    a, b = (np.resize(cells, (rows, 4)) for cells in pair)
    either = (a >= ONSET_ID) | (b >= ONSET_ID)
    return float(((a == b) & either).sum() / max(1, either.sum()))


def _tonic(score: Score) -> int:
    return find_key(pitch_class_weights(cells_of(score)))[0]


def _loop_of(score: Score) -> Score:
    """Return a score's loop alone, which begins by itself."""
    if score.loop is None:
        return score
    first, last = score.loop
    turn = first % len(score.groove)
    voices = {voice: tuple(part[first:last]) for voice, part in score.voices.items()}
    whole = replace(score, voices=voices, loop=(0, last - first), groove=(*score.groove[turn:], *score.groove[:turn]))
    return replace(whole, voices={voice: _begun(part) for voice, part in whole.voices.items()})


def _begun(part: tuple[Cell, ...]) -> tuple[Cell, ...]:
    return (REST, *part[1:]) if part[0] is HOLD else part


def _lengthened(score: Score, rows: int) -> Score:
    """Return a loop repeated to so many rows."""
    voices = {voice: tuple(part[row % len(part)] for row in range(rows)) for voice, part in score.voices.items()}
    return replace(score, voices=voices, loop=(0, rows))


def _moved(score: Score, semitones: int) -> Score:
    """Return a score transposed, notes that leave their voice's range an octave back."""
    if not semitones:
        return score
    voices = {}
    for voice in VOICES:
        voices[voice] = tuple(
            replace(cell, pitch=in_range(cell.pitch + semitones, voice)) if isinstance(cell, Note) and cell.pitch is not None else cell
            for cell in score.voices[voice]
        )
    return replace(score, voices=voices)


def _shared(lots: NDArray[np.float64], plan: Plan) -> NDArray[np.float64]:
    """Return the lots of the parts of a plan, (n_bars, 4): what repeats an earlier bar has that bar's."""
    out = lots.copy()
    for bar in range(plan.n_bars):
        lag = int(plan.lags[bar])
        same = np.isin(plan.classes[bar], (EXACT, SEQUENCE)) & (lag > 0)
        out[bar] = np.where(same, out[bar - lag], out[bar])
    return out


def _restruck(material: Material, mine: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return a material's cells in which a part that begins within a held note begins with that note, (n_rows, 4)."""
    cells = material.cells.copy()
    begins = mine & ~np.vstack([np.zeros((1, 4), dtype=bool), mine[:-1]])
    for column in range(4):
        sounding = HOLD_ID
        for row, cell in enumerate(material.cells[:, column].tolist()):
            if cell != HOLD_ID:
                sounding = cell
            elif begins[row, column] and sounding != HOLD_ID:
                cells[row, column] = sounding
    return cells


def _sounding(score: Score, voice: str, offset: int) -> list[tuple[Cell, Cell]]:
    """Return for each row of a voice its cell and what sounds then, instruments counted from an offset."""
    out: list[tuple[Cell, Cell]] = []
    last: Cell = REST
    for cell in score.voices[voice]:
        here = replace(cell, instrument=cell.instrument + offset) if isinstance(cell, Note) else cell
        last = last if here is HOLD else here
        out.append((here, last))
    return out


def _cell(part: list[tuple[Cell, Cell]], row: int, given: int) -> Cell:
    """Return a part's cell, or what sounds where it had to be struck again."""
    cell, sounding = part[row]
    return sounding if cell is HOLD and given != HOLD_ID else cell
