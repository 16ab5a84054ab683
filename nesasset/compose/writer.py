"""The writer: rows from a plan, one after the other, several drafts abreast. A plan in, cells and slots out.

The first bar is written alone. Then the piece starts anew with that bar in sight as its future, so that the end is
written towards its own beginning: the first bar is read again and the rest composed. Parts that the plan calls exact are
copied, silent ones silenced; they go through the model like all others, so that it knows what sounds, a whole bar in one
call where nothing in it is free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesasset.compose.plan import Plan
from nesasset.compose.request import Request
from nesasset.features import (
    COLUMN,
    FEATURES,
    MAX_BAR_INDEX,
    NO_SLOT,
    NONE_CELL,
    SLOT_FEATURES,
    SLOT_VOICES,
    History,
    as_future,
    forget_recall,
    history_features,
)
from nesasset.model import Cache, Model
from nesasset.units import PITCH_RANGES
from nesasset.vocabulary import (
    CONTROLS,
    EXACT,
    HOLD_ID,
    MAX_BARS_REMAINING,
    ONSET_ID,
    PALETTE_SLOTS,
    REST_ID,
    SILENT,
    bar_rows_class,
    pitch_to_id,
    row_frames_class,
)

FORBIDDEN: Final = np.float32(-1e9)
LOWEST_PULSE_ID: Final = pitch_to_id(PITCH_RANGES["P1"][0])
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
    asked = {
        "label": request.label,
        "row_frames": row_frames_class(min(max(request.row_frames, 3.0), 9.5)),
        "bar_rows": bar_rows_class(plan.bar_rows),
        "mode": request.mode or int(controls[list(CONTROLS).index("mode")]),
        "density": request.density,
        "register": request.register,
        "loop_bars": min(1 + request.bars, CONTROLS["loop_bars"] - 1) if request.loops else 1,
    }
    for index, name in enumerate(CONTROLS):
        controls[index] = asked.get(name, int(controls[index]))
    return controls


def write(model: Model, request: Request, plan: Plan, generators: list[np.random.Generator]) -> list[Draft]:
    """Write a draft with the chance of each generator."""
    desk = _Desk(model, request, plan, generators)
    for first in range(0, desk.n_rows, plan.bar_rows):
        if first == desk.turn:
            desk.look_ahead(first)
        kinds = plan.classes[first // plan.bar_rows]
        if ((kinds == EXACT) | (kinds == SILENT)).all():
            desk.copy_bar(first)
        else:
            desk.write_bar(first)
        desk.make_room()
    return desk.drafts()


class _Desk:
    """The state of writing: rows so far, what the model has read, and where we are."""

    def __init__(self, model: Model, request: Request, plan: Plan, generators: list[np.random.Generator]) -> None:
        count, n_rows = len(generators), request.bars * plan.bar_rows
        self.model, self.request, self.plan, self.generators = model, request, plan, generators
        self.count, self.n_rows, self.bar_rows = count, n_rows, plan.bar_rows
        controls = control_classes(plan, request)
        self.song = model.song(controls[None], plan.pulse[None], plan.noise[None]).repeat(count)
        self.cells = np.zeros((count, n_rows, 4), dtype=np.int64)
        self.slots = np.full((count, n_rows, 3), -1, dtype=np.int64)
        self.ids = np.zeros((count, n_rows, len(FEATURES)), dtype=np.int64)
        self.seen = np.zeros((count, n_rows, len(SLOT_FEATURES)), dtype=np.int64)
        forget_recall(self.ids, self.seen)  # shown what it did before, a piece repeats itself ever more; see export/LOG.md
        self.history = History(count)
        self.cache: Cache = model.cache(count)
        self.n_future = 0
        self.turn = self._turn()
        self.temperatures = np.array([request.note_temperature, request.slot_temperature], dtype=np.float32)
        self.floors = self.temperatures * np.float32(np.log(request.min_p))
        self.pitch_bias = np.zeros((count, 1, 3, 88), dtype=np.float32)
        self.pitch_bias[:, :, :2, : LOWEST_PULSE_ID - ONSET_ID] = FORBIDDEN

    def _turn(self) -> int:
        """Return the row before which the loop's beginning is put in sight; -1 for never.

        That is after the first bar. A piece that outgrows the model's context does it half a context before its end: no
        farther away than in training.
        """
        if not self.request.loops or self.request.bars < 2:
            return -1
        if self.n_rows + self.bar_rows <= self.model.context:
            return self.bar_rows
        return (self.n_rows - self.model.context // 2) // self.bar_rows * self.bar_rows

    def token(self, row: int) -> None:
        """Put the features of the row to come into `ids` and `seen`."""
        bar, phase = divmod(row, self.bar_rows)
        lag = int(self.plan.lags[bar])
        ids, seen = self.ids[:, row], self.seen[:, row]
        ids[:, :15], seen[:, :6] = self.history.ids, self.history.slots
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
        ids[:, 27] = lag
        ids[:, 28] = phase
        ids[:, 29] = min(bar, MAX_BAR_INDEX)
        ids[:, 30] = min((self.n_rows - 1 - row) // self.bar_rows, MAX_BARS_REMAINING)

    def forced(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return what the plan fixes in a row, cells (B, 4) and slots (B, 3), -1 for what is free."""
        bar = row // self.bar_rows
        kinds, reference = self.plan.classes[bar], row - int(self.plan.lags[bar]) * self.bar_rows
        silence = np.where(self.history.held != REST_ID, REST_ID, HOLD_ID)
        cells = np.where(kinds == EXACT, self.cells[:, reference], -1)
        cells = np.where(kinds == SILENT, silence, cells)
        slots = np.where(kinds[list(SLOT_VOICES)] == EXACT, self.slots[:, reference], -1)
        if not self.request.loops and row >= self.n_rows - ENDING_ROWS:
            cells = silence
        return cells, slots

    def write_bar(self, first: int) -> None:
        """Write a bar row by row."""
        event_noise, pitch_noise, slot_noise = self._gumbel(self.bar_rows)
        for step in range(self.bar_rows):
            row = first + step
            self.token(row)
            cells, fixed_slots = self.forced(row)
            push = event_noise[:, step].copy()
            push[:, :, REST_ID] += np.where(self.history.held == REST_ID, FORBIDDEN, 0)  # silence cannot fall silent
            out = self.model.run(
                self.song,
                self.cache,
                self.ids[:, row, None],
                self.seen[:, row, None],
                np.full((self.count, 1), row),
                force_cells=cells[:, None],
                force_slots=fixed_slots[:, None],
                event_push=push[:, None],
                pitch_bias=self.pitch_bias,
                pitch_push=pitch_noise[:, step, None],
                slot_push=slot_noise[:, step, None],
                floors=self.floors,
            )
            self.cells[:, row], self.slots[:, row] = out.cells[:, 0], out.slots[:, 0]
            self.history.add(out.cells[:, 0], out.slots[:, 0])

    def copy_bar(self, first: int) -> None:
        """Write a bar in which the plan leaves nothing free."""
        for row in range(first, first + self.bar_rows):
            self.token(row)
            cells, slots = self.forced(row)
            self.cells[:, row] = cells
            self.slots[:, row] = np.where(cells[:, list(SLOT_VOICES)] >= ONSET_ID, slots, -1)
            self.history.add(self.cells[:, row], self.slots[:, row])
        self._read(first, first + self.bar_rows)

    def _read(self, start: int, stop: int) -> None:
        """Let the model read rows that are known, in one call."""
        rows = np.arange(start, stop)
        self.model.run(
            self.song,
            self.cache,
            self.ids[:, rows],
            self.seen[:, rows],
            np.broadcast_to(rows, (self.count, len(rows))),
            force_cells=self.cells[:, rows],
            force_slots=np.maximum(self.slots[:, rows], 0),
        )

    def make_room(self) -> None:
        """Forget the oldest rows once the model's context is full."""
        if self.cache.length >= self.model.context + self.n_future:
            self.cache.trim(self.n_future, self.model.context - KEPT_FREE)

    def _gumbel(self, rows: int) -> list[NDArray[np.float32]]:
        """Return Gumbel noise for so many rows, times the temperatures: (B, rows, 4, 3), (B, rows, 3, 88), (B, rows, 3, 16)."""
        shapes = ((4, 3), (3, 88), (3, PALETTE_SLOTS))
        sizes = [a * b for a, b in shapes]
        uniform = np.stack([generator.random((rows, sum(sizes))) for generator in self.generators])
        noise = (-np.log(-np.log(np.maximum(uniform, 1e-12)))).astype(np.float32)
        parts = np.split(noise, np.cumsum(sizes)[:-1], axis=2)
        heat = (np.float32(1), *self.temperatures)
        return [
            part.reshape(self.count, rows, *shape) * warm for part, shape, warm in zip(parts, shapes, heat, strict=True)
        ]

    def look_ahead(self, row: int) -> None:
        """Put the first bar in sight as what follows the end, and read again the rows that lead to `row`."""
        rows = self.bar_rows
        future = []
        for cells, slots in zip(self.cells[:, :rows], self.slots[:, :rows], strict=True):
            past, past_slots = history_features(cells, slots)
            ids = np.zeros((rows, len(FEATURES)), dtype=np.int16)
            seen = np.full((rows, len(SLOT_FEATURES)), NO_SLOT, dtype=np.int8)
            ids[:, :15], seen[:, :6] = past[1:], past_slots[1:]
            ids[:, COLUMN["row_in_bar"]] = (np.arange(rows) + 1) % rows
            as_future(ids, seen)
            future.append((ids, seen))
        self.cache = self.model.cache(self.count)
        self.model.run(
            self.song,
            self.cache,
            np.stack([ids for ids, _ in future]),
            np.stack([seen for _, seen in future]),
            np.broadcast_to(self.n_rows + 1 + np.arange(rows), (self.count, rows)),
            force_cells=np.zeros((self.count, rows, 4), dtype=np.int64),
        )
        self.n_future = rows
        self._read(max(0, row - (self.model.context - KEPT_FREE)), row)

    def drafts(self) -> list[Draft]:
        """Return the finished pieces."""
        return [Draft(self.plan, cells, slots) for cells, slots in zip(self.cells, self.slots, strict=True)]
