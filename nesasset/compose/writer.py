"""The writer: rows from a plan, one after the other, several drafts abreast. A plan in, cells and slots out.

The loop's first bar is written without knowing how the loop ends. Then the piece starts anew with that bar in sight as its
future, so that the end is written towards its own beginning: what stands is read again and the rest composed. Parts that the
plan calls exact are copied, sequences copied and moved, silent ones silenced; they go through the model like all others, so
that it knows what sounds, a whole bar in one call where nothing in it is free. A bar that does not come out as the plan
has it, a variation that varies nothing, say, is written again, a few times at most.

Cells may be given: then the rest is written around them. The next bar that is given as a whole is in sight as the future of
those before it, and drafts compete for how well they foretell what is given; see given.py and swarm.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.calibration import DEFAULT, Calibration
from nesasset.compose.given import Given
from nesasset.compose.likeness import classify
from nesasset.compose.plan import Plan
from nesasset.compose.request import Request
from nesasset.compose.steering import FORBIDDEN, Steering
from nesasset.compose.swarm import Swarm
from nesasset.errors import ModelMismatchError
from nesasset.features import (
    CHORD,
    COLUMN,
    FEATURES,
    MAX_BAR_INDEX,
    NO_SLOT,
    NONE_CELL,
    PAST,
    SLOT_FEATURES,
    SLOT_VOICES,
    History,
    as_future,
    chord_features,
    forget_recall,
    history_features,
)
from nesasset.model import Cache, Model, Song
from nesasset.vocabulary import (
    CONTROLS,
    EXACT,
    FIXED_CLASSES,
    HALVES,
    HEAD_ORDER,
    HOLD_ID,
    MAX_BARS_REMAINING,
    MAX_LAG,
    MAX_SHIFT,
    NEW,
    ONSET_ID,
    PALETTE_SLOTS,
    REST_ID,
    RHYTHM,
    SEQUENCE,
    SILENT,
    VARIED,
    bar_rows_class,
    row_frames_class,
)

MODE_PULL: Final = 0.7  # towards the mode, in a new bar that is written again because what stands would be taken for the other
MODE_BARS: Final = 4  # of the beginning, in which that is done: all that follows goes back to these
JOIN_HEAT: Final = 0.65  # of the temperatures, in a bar that goes on from one that is given as a whole
BEGINNING_HEAT: Final = 0.85  # the same in a loop's first bars: what begins as expected can be led back to
BEGINNING_BARS: Final = 2
REDOS: Final = 2  # of a bar that disobeys its plan
LEAN: Final = 1.5  # what the referenced bar's cells gain or lose in log probability, each time, where a part was too unlike or like it
ALONE_ROWS: Final = 288  # of the context of a piece that is written whole: as far as the crops of training reach, beyond it voices clash more
KEPT_FREE: Final = 64  # rows of the context that a trimmed cache leaves empty, so that trimming is rare
ENDING_ROWS: Final = 2  # a piece that ends falls silent so many rows before its last bar's end


@dataclass(slots=True, eq=False)
class Draft:
    """The rows of one piece."""

    plan: Plan
    cells: NDArray[np.int64]
    """(n_rows, 4)."""
    slots: NDArray[np.int64]
    """(n_rows, 3), -1 where no note begins."""


def control_classes(plan: Plan, request: Request) -> NDArray[np.int64]:
    """Return the controls the model is told: the plan's own, and over them what was asked for."""
    controls = plan.controls.copy()
    wishes, own = request.wishes, dict(zip(CONTROLS, controls.tolist(), strict=True))
    asked = {
        "label": request.label,
        "row_frames": row_frames_class(min(max(request.row_frames, 3.0), 9.5)),
        "bar_rows": bar_rows_class(plan.bar_rows),
        "mode": request.mode or own["mode"],
        "density": own["density"] or request.density if request.onsets is None else request.density,
        "noise_density": request.noise_density or own["noise_density"],
        "register": request.register if wishes.register else own["register"],
        "loop_bars": min(1 + request.bars, CONTROLS["loop_bars"] - 1) if request.loops else 1,
    }
    for index, name in enumerate(CONTROLS):
        controls[index] = asked.get(name, int(controls[index]))
        if name.startswith("active_") and name.removeprefix("active_") not in request.voices:
            controls[index] = 1
    return controls


def calibration_of(model: Model, request: Request) -> Calibration:
    """Return a model's calibration with that of the theme; where a density was asked for, that goes before where a theme's notes begin."""
    every = Calibration.of(model.sidecar, model.name)
    own = every.of_theme(request.label)
    return own if request.onsets is None else replace(own, onsets=every.onsets, rests=every.rests)


def song_vectors(model: Model, plan: Plan, request: Request) -> Song:
    """Return what the model makes of controls and palettes; with guidance beside what it makes of the palettes alone.

    Raises:
        ModelMismatchError: The piece is to be guided, and the model's files are of before there was guidance.
    """
    controls = control_classes(plan, request)[None]
    point = None if plan.point is None else plan.point[None]
    song = model.song(controls, plan.pulse[None], plan.noise[None], point)
    if request.guidance == 1:
        return song
    if not model.guides:
        raise ModelMismatchError(f"the model {model.name} cannot be guided; leave guidance out, or export it again with export.to_onnx")
    return song.guided(model.song(np.zeros_like(controls), plan.pulse[None], plan.noise[None]), request.guidance)


def write(
    model: Model,
    request: Request,
    plan: Plan,
    generators: list[np.random.Generator],
    given: Given | None = None,
    particles: int = 1,
) -> list[Draft]:
    """Write a draft with the chance of each generator.

    Args:
        model: The model.
        request: What was asked for.
        plan: The form; what it says of given voices is what the model is told of them.
        generators: The only sources of chance, one a draft.
        given: Cells that stand already; None for none.
        particles: Drafts that compete for each that is returned, 1 or more; more than one only has a use where cells are given.
    """
    *_, (_, drafts) = write_bars(model, request, plan, generators, given, particles)
    return drafts


def write_bars(
    model: Model,
    request: Request,
    plan: Plan,
    generators: list[np.random.Generator],
    given: Given | None = None,
    particles: int = 1,
) -> Iterator[tuple[int, list[Draft]]]:
    """Write a draft with the chance of each generator, and yield after every bar; arguments as for `write`.

    Yields:
        The number of bars that are finished, and the drafts: their rows up to there are final (with one particle; of more
        another may yet win), the rest is still empty.
    """
    desk = _Desk(model, request, plan, generators, given, particles)
    for first in range(0, desk.n_rows, plan.bar_rows):
        if desk.is_given(first):
            desk.go_along(first)
            yield first // plan.bar_rows + 1, desk.drafts()
            continue
        desk.look_ahead(first)
        if np.isin(plan.classes[first // plan.bar_rows], FIXED_CLASSES).all():
            desk.copy_bar(first)
        else:
            desk.lean[:] = desk.pull[:] = 0
            desk.swarm.mark()
            desk.write_bar(first)
            for _ in range(REDOS):
                good, lean = desk.obedient(first)
                if good.all():
                    break
                desk.write_again(first, good, lean)
            astray = desk.astray(first)
            if astray.any():
                desk.pull[astray] = MODE_PULL
                desk.write_again(first, np.repeat(~astray[:, None], 4, axis=1))
        desk.make_room()
        yield first // plan.bar_rows + 1, desk.drafts()


class _Desk:
    """The state of writing: rows so far, what the model has read, and where we are."""

    def __init__(
        self,
        model: Model,
        request: Request,
        plan: Plan,
        generators: list[np.random.Generator],
        given: Given | None = None,
        particles: int = 1,
    ) -> None:
        count, n_rows = len(generators) * particles, plan.n_bars * plan.bar_rows
        self.model, self.request, self.plan = model, request, plan
        self.generators = [generator for generator in generators for _ in range(particles)]
        self.swarm = Swarm(generators, particles)
        self.given = given or Given.nothing(n_rows)
        self.whole = self.given.bars(plan.bar_rows)
        self.count, self.n_rows, self.bar_rows, self.home = count, n_rows, plan.bar_rows, plan.home * plan.bar_rows
        self.song = song_vectors(model, plan, request).repeat(count)
        # Beside music that was there, its own bars say where notes begin and how long voices rest.
        calibration = calibration_of(model, request) if self.given.own else DEFAULT
        self.after_note = calibration.after_note()
        self.steering = Steering(request, plan, self.given, control_classes(plan, request), calibration)
        self.chords = chord_features(plan.chords, plan.lags, plan.home if request.loops else None)
        self.cells = np.repeat(np.where(self.given.cells >= 0, self.given.cells, HOLD_ID)[None], count, axis=0)
        self.slots = np.repeat(self.given.slots[None], count, axis=0)
        self.ids = np.zeros((count, n_rows, len(FEATURES)), dtype=np.int64)
        self.seen = np.zeros((count, n_rows, len(SLOT_FEATURES)), dtype=np.int64)
        forget_recall(self.ids, self.seen)  # shown what it did before, a piece repeats itself ever more; see export/LOG.md
        self.history = self.before = History(count)
        self.cache: Cache = model.cache(count, self.song.sides)
        self.context = model.context if given is not None else min(model.context, ALONE_ROWS)
        self.n_future = 0
        self.outlook = -1  # first row of the bar in sight
        self.unread = False  # whether there are rows before this one that the model has not read
        self.lean = np.zeros((count, 4), dtype=np.float32)
        self.pull = np.zeros(count)  # towards the mode, more than the steering has it
        self.turn = self._turn()
        self.temperatures = np.array([request.note_temperature, request.slot_temperature], dtype=np.float32)
        self.joins = ~self.whole & np.insert(self.whole[:-1], 0, False)  # bars that go on from one that is given as a whole

    def _turn(self) -> int:
        """Return the row before which the loop's beginning is put in sight; -1 for never.

        That is after the loop's first bar. A piece that outgrows the model's context does it half a context before its end: no
        farther away than in training.
        """
        if not self.request.loops or self.request.bars < 2:
            return -1
        known = self.home + self.bar_rows
        if self.n_rows + self.bar_rows <= self.context:
            return known
        return max(known, (self.n_rows - self.context // 2) // self.bar_rows * self.bar_rows)

    def token(self, row: int) -> None:
        """Put the features of the row to come into `ids` and `seen`."""
        bar, phase = divmod(row, self.bar_rows)
        lag = int(self.plan.lags[bar])
        since = row - self.home if row >= self.home else row
        ids, seen = self.ids[:, row], self.seen[:, row]
        ids[:, PAST], seen[:, :6] = self.history.ids, self.history.slots
        if lag:
            reference = row - lag * self.bar_rows
            ids[:, 15:19] = self.cells[:, reference]
            ids[:, 19:23] = self.cells[:, reference + 1]
            chosen = self.slots[:, reference]
            seen[:, 6:9] = np.where(chosen >= 0, chosen, NO_SLOT)
        else:
            ids[:, 15:23] = NONE_CELL
            seen[:, 6:9] = NO_SLOT
        ids[:, 23:27] = self.plan.classes[bar]
        ids[:, 27] = min(lag, MAX_LAG)
        ids[:, 28] = phase
        ids[:, 29] = min(since // self.bar_rows, MAX_BAR_INDEX)
        ids[:, 30] = min((self.n_rows - 1 - row) // self.bar_rows, MAX_BARS_REMAINING)
        ids[:, COLUMN["shift"]] = self.plan.shifts[bar] + MAX_SHIFT
        ids[:, CHORD : CHORD + 3] = self.chords[bar, 2 * phase // self.bar_rows]

    def forced(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return what the plan fixes in a row, cells (B, 4) and slots (B, 3), -1 for what is free."""
        bar = row // self.bar_rows
        kinds, reference = self.plan.classes[bar], row - int(self.plan.lags[bar]) * self.bar_rows
        silence = np.where(self.history.held != REST_ID, REST_ID, HOLD_ID)
        there = self.cells[:, reference]
        if self.request.sections and row % self.bar_rows == 0 and reference < row:  # a section that was asked for begins as silent as it did; in songs, what rings rings on
            there = np.where((there == HOLD_ID) & self._silent(reference), silence, there)
        cells = np.where(kinds == EXACT, there, -1)
        if self.plan.shifts[bar]:
            cells = np.where(kinds == SEQUENCE, self._moved(there, int(self.plan.shifts[bar])), cells)
        cells = np.where(kinds == SILENT, silence, cells)
        copied = (kinds == EXACT) | (kinds == SEQUENCE)
        slots = np.where(copied[list(SLOT_VOICES)], self.slots[:, reference], -1)
        if not self.request.loops and row >= self.n_rows - ENDING_ROWS:
            cells = silence
        given, played = self.given.cells[row], self.given.slots[row]
        cells = np.where(given >= 0, given, cells)
        there = given[list(SLOT_VOICES)]
        slots = np.where((there >= 0) & ((there < ONSET_ID) | (played >= 0)), np.maximum(played, 0), slots)
        return cells, slots

    def _silent(self, row: int) -> NDArray[np.bool_]:
        """Return whether a voice did not sound in a row that is written, (B, 4)."""
        event = self.cells[:, : row + 1] != HOLD_ID
        last = row - event[:, ::-1].argmax(axis=1)
        return np.asarray(~event.any(axis=1) | (np.take_along_axis(self.cells, last[:, None], axis=1)[:, 0] == REST_ID))

    def _moved(self, cells: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
        """Return cells (B, 4) with their notes moved by semitones, octaves back where that leaves the voice's range."""
        moved, (low, high) = cells + shift, self.steering.ranges.T
        moved = np.where(moved > high, moved - 12 * -((high - moved) // 12), moved)
        moved = np.where(moved < low, moved + 12 * -((moved - low) // 12), moved)
        return np.where(cells >= ONSET_ID, moved, cells)

    def _heat(self, first: int, again: bool) -> float:
        """Return by what the temperatures are multiplied in the bar that begins with a row; written again, it is to be another."""
        if self.joins[first // self.bar_rows]:
            return JOIN_HEAT
        begins = self.request.loops and 0 <= first - self.home < BEGINNING_BARS * self.bar_rows
        return BEGINNING_HEAT if begins and not again else 1.0

    def write_bar(self, first: int, keep: NDArray[np.bool_] | None = None) -> None:
        """Write a bar row by row.

        Args:
            first: The bar's first row.
            keep: (B, 4): voices that have their parts already and only go along; the others lean on the referenced bar.
        """
        self.before = self.history.copy()
        old_cells, old_slots = (array[:, first : first + self.bar_rows].copy() for array in (self.cells, self.slots))
        cooled = np.float32(self._heat(first, keep is not None))
        floors = cooled * self.temperatures * np.float32(np.log(self.request.min_p))
        event_noise, pitch_noise, slot_noise = (noise * cooled for noise in self._gumbel(self.bar_rows))
        event_noise[..., ONSET_ID] += self.steering.onset_push(self.cells[:, :first])
        event_noise[..., REST_ID] += self.steering.calibration.rests
        pitch_bias = self.steering.pitch_bias(self.cells[:, :first], self.pull)
        if self.steering.clash is not None:
            pitch_noise[:, :, 2] += self.steering.clash[first : first + self.bar_rows]
        for step in range(self.bar_rows):
            row = first + step
            self.token(row)
            pitch_noise[:, step] += self.after_note[np.arange(3), self.history.last]
            cells, fixed_slots = self.forced(row)
            if keep is not None:
                cells = np.where(keep, old_cells[:, step], cells)
                fixed_slots = np.where(keep[:, SLOT_VOICES], np.maximum(old_slots[:, step], 0), fixed_slots)
            push = event_noise[:, step].copy()
            push[:, :, REST_ID] += np.where(self.history.held == REST_ID, FORBIDDEN, 0)  # silence cannot fall silent
            if keep is not None:
                self._lean_on(row, push, pitch_noise[:, step])
            out = self.model.run(
                self.song,
                self.cache,
                self.ids[:, row, None],
                self.seen[:, row, None],
                np.full((self.count, 1), row),
                force_cells=cells[:, None],
                force_slots=fixed_slots[:, None],
                event_push=push[:, None],
                pitch_bias=pitch_bias[2 * step // self.bar_rows],
                pitch_push=pitch_noise[:, step, None],
                slot_push=slot_noise[:, step, None],
                floors=floors,
            )
            self.cells[:, row], self.slots[:, row] = out.cells[:, 0], out.slots[:, 0]
            self.history.add(out.cells[:, 0], out.slots[:, 0])
            order = self._compete(row, out.cell_bits[:, 0])
            if order is not None and keep is not None:
                keep, old_cells, old_slots = keep[order], old_cells[order], old_slots[order]

    def _compete(self, row: int, bits: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """Weigh the drafts by the bits, (B, 4), that a row's given cells have cost; at half bars let the fittest go on.

        Returns:
            Which draft goes on in each place, (B,); None where all do.
        """
        given = self.given.cells[row] >= 0
        if self.swarm.size == 1 or not given.any():
            return None
        self.swarm.weigh(bits[:, given].sum(axis=1))
        order = None if (row + 1) % (self.bar_rows // HALVES) else self.swarm.order()
        if order is None:
            return None
        self.cells, self.slots, self.ids, self.seen = (array[order] for array in (self.cells, self.slots, self.ids, self.seen))
        self.history, self.before, self.lean = self.history.take(order), self.before.take(order), self.lean[order]
        self.pull = self.pull[order]
        self.cache.take(order, self.song.sides)
        return order

    def astray(self, first: int) -> NDArray[np.bool_]:
        """Return of which drafts, (B,), what stands with the new bar at `first` is taken for a key of the other mode; of none where the bar is not new, or late."""
        bar = first // self.bar_rows
        kinds = self.plan.classes[bar, :3]
        new = np.isin(kinds, (NEW, SILENT)).all() and (self.given.cells[first : first + self.bar_rows, :3] < 0)[:, kinds == NEW].any()
        if self.steering.mode is None or bar >= MODE_BARS or not new:
            return np.zeros(self.count, dtype=bool)
        own, other = self.steering.mode_fits(self.cells[:, : first + self.bar_rows])
        return np.asarray(own < other)

    def _lean_on(self, row: int, event_push: NDArray[np.float32], pitch_push: NDArray[np.float32]) -> None:
        """Add to the pushes of a row, in place, what makes the referenced bar's cells likelier, or less likely."""
        there = self.cells[:, row - int(self.plan.lags[row // self.bar_rows]) * self.bar_rows]
        piece, voice = np.nonzero(self.lean)
        cell, lean = there[piece, voice], self.lean[piece, voice]
        event_push[piece, voice, np.minimum(cell, ONSET_ID)] += lean
        pitched = (cell >= ONSET_ID) & (voice < 3)
        pitch_push[piece[pitched], voice[pitched], cell[pitched] - ONSET_ID] += lean[pitched]

    def obedient(self, first: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return which voices' bars, (B, 4), are to the earlier bar what the plan says, and where to the others should lean.

        That is 1 for a part that should be more like the earlier bar's, -1 for one that should be less like it.
        """
        bar = first // self.bar_rows
        wanted, lag = self.plan.classes[bar], int(self.plan.lags[bar])
        if not lag:
            return np.ones((self.count, 4), dtype=bool), np.zeros((self.count, 4), dtype=np.float32)
        start = first - lag * self.bar_rows
        own, other = self.cells[:, first : first + self.bar_rows], self.cells[:, start : start + self.bar_rows]
        came = classify(own, other)
        unlike = (wanted == VARIED) & (came > VARIED)
        like = np.isin(wanted, (VARIED, RHYTHM)) & (came == EXACT) | (wanted == NEW) & (came < NEW)
        kept = (self.given.cells[first : first + self.bar_rows] >= 0).any(axis=0)  # no second try makes these any other
        return ~(unlike | like) | kept, (unlike.astype(np.float32) - like) * ~kept

    def write_again(self, first: int, good: NDArray[np.bool_], lean: NDArray[np.float32] | float = 0.0) -> None:
        """Take back the bar that was just written and write it anew from the first voice on that is wrong, in order of speaking.

        What was spoken before it stays: it did not know what came after.
        """
        keep = np.empty_like(good)
        keep[:, HEAD_ORDER] = np.logical_and.accumulate(good[:, HEAD_ORDER], axis=1)
        self.lean = np.where(good, self.lean, self.lean + LEAN * lean).astype(np.float32)
        self.cache.length -= self.bar_rows
        self.history = self.before
        self.swarm.take_back()
        self.write_bar(first, keep)

    def copy_bar(self, first: int) -> None:
        """Write a bar in which the plan leaves nothing free."""
        for row in range(first, first + self.bar_rows):
            self.token(row)
            cells, slots = self.forced(row)
            self.cells[:, row] = cells
            self.slots[:, row] = np.where(cells[:, list(SLOT_VOICES)] >= ONSET_ID, slots, -1)
            self.history.add(self.cells[:, row], self.slots[:, row])
        self._read(first, first + self.bar_rows, self.count)

    def _read(self, start: int, stop: int, count: int) -> None:
        """Let the model read rows that are known, of the first `count` drafts, in one call."""
        rows = np.arange(start, stop)
        self.model.run(
            self.song.repeat(count),
            self.cache,
            self.ids[:count, rows],
            self.seen[:count, rows],
            np.broadcast_to(rows, (count, len(rows))),
            force_cells=self.cells[:count, rows],
            force_slots=np.maximum(self.slots[:count, rows], 0),
        )

    def make_room(self) -> None:
        """Forget the oldest rows once the model's context is full."""
        if self.cache.length >= self.context + self.n_future:
            self.cache.trim(self.n_future, self.context - KEPT_FREE)

    def _gumbel(self, rows: int) -> list[NDArray[np.float32]]:
        """Return Gumbel noise for so many rows, times the temperatures: (B, rows, 4, 3), (B, rows, 3, 88), (B, rows, 3, 16)."""
        shapes = ((4, 3), (3, 88), (3, PALETTE_SLOTS))
        sizes = [a * b for a, b in shapes]
        uniform = np.stack([generator.random((rows, sum(sizes))) for generator in self.generators])
        noise = (-np.log(-np.log(np.maximum(uniform, 1e-12)))).astype(np.float32)
        parts = np.split(noise, np.cumsum(sizes)[:-1], axis=2)
        heat = (np.float32(self.request.event_temperature), *self.temperatures)
        return [
            part.reshape(self.count, rows, *shape) * warm for part, shape, warm in zip(parts, shapes, heat, strict=True)
        ]

    def is_given(self, first: int) -> bool:
        """Return whether the bar that begins in a row is given as a whole."""
        return bool(self.whole[first // self.bar_rows])

    def go_along(self, first: int) -> None:
        """Pass over a bar that is given as a whole; the model reads it when there is something to be written again."""
        for row in range(first, first + self.bar_rows):
            self.token(row)
            self.history.add(self.cells[:, row], self.slots[:, row])
        self.unread = True

    def _outlook(self, first: int) -> int:
        """Return the first row of the bar that should be in sight while the bar at `first` is written; -1 for none."""
        ahead = np.flatnonzero(self.whole[first // self.bar_rows :]) * self.bar_rows
        if len(ahead) and ahead[0] <= self.context - KEPT_FREE:
            return first + int(ahead[0])
        if self.turn < 0:
            return -1
        near = self.whole[self.plan.home] and self.n_rows - first <= self.context // 2
        return self.home if first >= self.turn or near else -1

    def look_ahead(self, first: int) -> None:
        """Put what follows in sight, a bar that is given or the loop's first, and read again the rows that lead to `first`.

        Nothing happens where it is in sight already.
        """
        outlook = self._outlook(first)
        if outlook == self.outlook and not self.unread:
            return
        self.outlook, self.unread = outlook, False
        self.n_future = 0 if outlook < 0 else self.bar_rows
        count = 1 if (self.cells[:, :first] == self.cells[:1, :first]).all() else self.count  # what all have in common is read once
        self.cache = self.model.cache(count, self.song.sides)
        if outlook >= 0:
            self._foresee(outlook, self.n_rows if outlook <= first else outlook, count)
        start = max(0, first - (self.context - KEPT_FREE))
        if first > start:
            self._read(start, first, count)
        if count < self.count:
            self.cache.take(np.zeros(self.count, dtype=np.int64), self.song.sides)

    def _foresee(self, start: int, end: int, count: int) -> None:
        """Show the model the bar at `start` as what follows the row before `end`, of the first `count` drafts."""
        rows = self.bar_rows
        future = []
        for cells, slots in zip(self.cells[:count, : start + rows], self.slots[:count, : start + rows], strict=True):
            past, past_slots = history_features(cells, slots)
            ids = np.zeros((rows, len(FEATURES)), dtype=np.int16)
            seen = np.full((rows, len(SLOT_FEATURES)), NO_SLOT, dtype=np.int8)
            ids[:, PAST], seen[:, :6] = past[start + 1 :], past_slots[start + 1 :]
            ids[:, COLUMN["row_in_bar"]] = (np.arange(rows) + 1) % rows
            as_future(ids, seen)
            future.append((ids, seen))
        self.model.run(
            self.song.repeat(count),
            self.cache,
            np.stack([ids for ids, _ in future]),
            np.stack([seen for _, seen in future]),
            np.broadcast_to(end + 1 + np.arange(rows), (count, rows)),
            force_cells=np.zeros((count, rows, 4), dtype=np.int64),
        )

    def drafts(self) -> list[Draft]:
        """Return the pieces so far, of those that compete the fittest."""
        return [Draft(self.plan, self.cells[best], self.slots[best]) for best in self.swarm.best()]
