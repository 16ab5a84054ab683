"""The process that composes, so that the game's own interpreter never does: orders on standard input, bars on standard output.

    python -c "from nesasset.play.worker import main; main()"

An order is a line of JSON. An answer is a length and a pickle: between two processes of one program, on a pipe that nobody
else can write to, it is the quickest way for some thousand cells. Imports of the model wait for the first order.
"""

from __future__ import annotations

import contextlib
import heapq
import importlib
import json
import os
import pickle
import queue
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from nesasset.model import Model
    from nesasset.score import Score

LENGTH: Final = struct.Struct("<I")
_LAST: Final = 1 << 30
MAX_ANSWER: Final = 1 << 28
NICENESS: Final = 5  # the game comes first
EAGER_ANSWERS: Final = 4  # but the first bars are waited for
BRIDGE_BARS: Final = 1
BRIDGE_CANDIDATES: Final = 1  # of each way: all three must be there within a bar

Answer = dict[str, Any]
"""name; score and complete, or error: a sentence."""


def answers(order: Mapping[str, Any]) -> Iterator[Answer]:
    """Compose what is ordered and yield it as it grows, or say why it cannot be.

    Args:
        order: name; theme, seed, controls (of `Controls`, as JSON values); best: the piece that `nesasset compose` makes, at
            once and complete; model: name or path, None for the default. Or warm: nothing but loading the model. Or before and
            after, scores or their JSON, and bar: the bridge that leaves the one after that bar for the other; no score is
            answered where the model can write none.
    """
    from nesasset.errors import NesassetError

    name = order.get("name", "")
    try:
        if order.get("warm"):
            _warm(order)
            yield {"name": name, "warm": True}
            return
        if "before" in order:
            yield {"name": name, "score": _bridge(order), "complete": True}
            return
        for score, complete in pieces(order):
            yield {"name": name, "score": score, "complete": complete}
    except NesassetError as error:
        yield {"name": name, "error": str(error)}
    except Exception as error:  # a fault of ours must not end the music either
        yield {"name": name, "error": f"composing failed unexpectedly, please report it ({error!r})"}


def pieces(order: Mapping[str, Any]) -> Iterator[tuple[Score, bool]]:
    """Yield a piece as far as it is composed, bar by bar, and whether that is all."""
    from nesasset.articulation import articulate
    from nesasset.compose import Controls, compose, compose_bars
    from nesasset.themes import theme as find_theme

    theme = find_theme(order["theme"])
    controls = Controls(**order.get("controls", {}))
    model, seed = _model(order.get("model") or controls.model), order.get("seed", 0)
    if order.get("best"):
        yield compose(theme.name, seed, controls, model), True
        return
    bars: list[Score] = []
    intro = controls.intro_bars or 0
    total = 0
    for bar in compose_bars(theme.name, seed, controls, model):
        bars.append(bar)
        total = total or _total_bars(theme.name, controls)
        complete = len(bars) == total
        joined = _join(bars)
        if complete and theme.loops:
            joined = replace(joined, loop=(intro * joined.bar_rows, joined.n_rows))
        yield articulate(joined), complete


def _bridge(order: Mapping[str, Any]) -> Score | None:
    """Return the bridge that is ordered, None for scores that the model cannot lead between."""
    from nesasset.compose.bridge import bridge
    from nesasset.errors import NesassetError
    from nesasset.formats import score_json

    before, after = (score_json.loads(score) if isinstance(score, str) else score for score in (order["before"], order["after"]))
    try:
        return bridge(before, after, order["bar"], BRIDGE_BARS, model=_model(order.get("model")), candidates=BRIDGE_CANDIDATES)
    except NesassetError:  # a metre that the model does not know, a model that cannot measure scores: there is always the bar by rule
        return None


def _total_bars(theme: str, controls: Any) -> int:
    """Return how many bars a piece will have."""
    from nesasset.compose.request import resolve
    from nesasset.themes import theme as find_theme

    defaults = {"candidates": 1, "note_temperature": 1.0, "slot_temperature": 1.0, "min_p": 0.0}
    return resolve(find_theme(theme), 0, controls, defaults).total_bars


def _join(bars: list[Score]) -> Score:
    voices = {voice: tuple(cell for bar in bars for cell in bar.voices[voice]) for voice in bars[0].voices}
    return replace(bars[0], voices=voices)


@lru_cache(maxsize=2)
def _model(name: str | None) -> Model:
    from nesasset.model_names import named_model

    return named_model(name)


def _warm(order: Mapping[str, Any]) -> None:
    """Load the model and compose a bar, so that the first real one finds everything in its place."""
    from nesasset.compose import Controls, compose_bars

    next(compose_bars("overworld", 0, Controls(bars=1), _model(order.get("model"))))


def _prepare() -> None:
    """Load what the first bar needs beside the model, in a thread, while onnxruntime, which lets go of the interpreter, makes its sessions."""
    with contextlib.suppress(ImportError):  # it is told where it is wanted
        for name in ("numpy.random", *(f"nesasset.compose.{part}" for part in ("assemble", "judge", "writer"))):
            importlib.import_module(name)


class Desk:
    """Works on several orders at once: the next bar is always written for the piece that has fewest.

    So a piece that is wanted now is not kept waiting by the end of another, and none is forgotten.
    """

    def __init__(self) -> None:
        self._open: list[tuple[int, int, Iterator[Answer]]] = []
        """Bars written, number of the order, what writes on."""
        self._taken = 0

    def take(self, order: Mapping[str, Any]) -> None:
        """Take an order."""
        self._taken += 1
        bars = _LAST if order.get("warm") else 0  # what somebody waits for goes before what nobody does
        heapq.heappush(self._open, (bars, self._taken, answers(order)))

    @property
    def is_empty(self) -> bool:
        """Whether everything is done."""
        return not self._open

    def work(self) -> Answer | None:
        """Write a bar and return it, or None for an order that has come to its end."""
        bars, number, writing = heapq.heappop(self._open)
        answer = next(writing, None)
        if answer is not None:
            heapq.heappush(self._open, (bars + 1, number, writing))
        return answer


def serve(orders: BinaryIO, out: BinaryIO) -> None:
    """Answer orders until there are no more, and nobody waits."""
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def read() -> None:
        for line in orders:
            waiting.put(line)
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    threading.Thread(target=_prepare, daemon=True).start()
    desk, more, answered = Desk(), True, 0
    while more:
        while more and (desk.is_empty or not waiting.empty()):
            line = waiting.get()
            more = line is not None
            if line is not None:
                desk.take(json.loads(line))
        answer = desk.work() if more else None
        if answer is not None:
            data = pickle.dumps(answer, protocol=5)
            out.write(LENGTH.pack(len(data)) + data)
            out.flush()
            answered += 1
            if answered == EAGER_ANSWERS and hasattr(os, "nice"):
                with contextlib.suppress(OSError):
                    os.nice(NICENESS)


def read_answer(stream: IO[bytes]) -> Answer | None:
    """Return the next answer of a worker, None at its end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    data = stream.read(size) if size <= MAX_ANSWER else b""
    if len(data) < size or not size:
        return None
    answer: Answer = pickle.loads(data)  # noqa: S301  # our own child process, see above
    return answer


def main() -> None:
    """Serve on standard input and output; whatever else is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(os.fdopen(os.dup(0), "rb"), out)  # sys.stdin is None in a frozen program without a console


