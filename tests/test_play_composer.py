"""Composing beside a game: bar by bar, in a process that may die, in a thread, at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from nesasset.model import load_model
from nesasset.play import composer as composers
from nesasset.play.composer import InlineComposer, ProcessComposer, ThreadComposer, best_composer
from nesasset.play.worker import Desk, pieces
from nesasset.testing import SilentMusic

STANDIN = str(Path(__file__).parent / "standin" / "standin.json")
WAIT_S = 60


def order(name: str = "a", theme: str = "cave", seed: int = 1, **more) -> dict:
    return {"name": name, "theme": theme, "seed": seed, "controls": {"bars": 3}, "model": STANDIN, **more}


class Answers:
    """Keeps answers, and waits for the last of a name."""

    def __init__(self) -> None:
        self.got: list[dict] = []
        self.done = threading.Condition()

    def __call__(self, answer) -> None:
        """Take an answer."""
        with self.done:
            self.got.append(answer)
            self.done.notify_all()

    def wait(self, name: str) -> list[dict]:
        """Return the answers to an order once it is done."""
        with self.done:
            assert self.done.wait_for(lambda: any(a["name"] == name and ("error" in a or a.get("complete")) for a in self.got), WAIT_S)
            return [answer for answer in self.got if answer["name"] == name]


def test_a_piece_grows_bar_by_bar_and_its_beginning_stays() -> None:
    """Each version is the one before with a bar more; the last one loops, none before does."""
    versions = list(pieces(order()))
    assert [score.n_bars for score, _ in versions] == [1, 2, 3]
    assert [complete for _, complete in versions] == [False, False, True]
    last = versions[-1][0]
    assert last.loop == (0, last.n_rows)
    for score, _ in versions[:-1]:
        assert score.loop is None
        for voice, cells in score.voices.items():
            for cell, final in zip(cells, last.voices[voice], strict=False):
                assert getattr(cell, "pitch", cell) == getattr(final, "pitch", final)


def test_an_intro_comes_before_the_loop() -> None:
    """With an intro of one bar the loop begins in the second."""
    *_, (score, complete) = pieces({**order(), "controls": {"bars": 2, "intro_bars": 1}})
    assert complete
    assert score.loop == (score.bar_rows, score.n_rows)


def test_best_is_the_piece_that_compose_makes() -> None:
    """In one answer, with the same notes as the command's."""
    from nesasset import Controls, compose

    [(score, complete)] = pieces({**order(), "best": True})
    assert complete
    assert score == compose("cave", 1, Controls(bars=3), load_model(STANDIN))


def test_the_piece_with_the_fewest_bars_goes_first() -> None:
    """A new order is not kept waiting by the rest of an older one."""
    desk = Desk()
    desk.take(order("old"))
    done = [desk.work()["name"], desk.work()["name"]]
    desk.take(order("new"))
    while not desk.is_empty:
        answer = desk.work()
        if answer is not None:
            done.append(answer["name"])
    assert done[:4] == ["old", "old", "new", "new"]


@pytest.mark.parametrize("kind", [InlineComposer, ThreadComposer, ProcessComposer])
def test_every_composer_gives_the_same_answers(kind) -> None:
    """At once, in a thread or in a process: the same bars, and a sentence for what cannot be composed."""
    answers = Answers()
    composer = kind(answers)
    try:
        composer.order(order("a"))
        composer.order(order("b", theme="castel"))
        composer.order(order("c", model="nowhere.json"))
        got = answers.wait("a")
        assert [answer["score"] for answer in got] == [score for score, _ in pieces(order("a"))]
        assert "did you mean castle" in answers.wait("b")[-1]["error"]
        assert "no model" in answers.wait("c")[-1]["error"]
    finally:
        composer.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_process_that_dies_is_replaced_and_orders_are_kept(caplog) -> None:
    """Killed with an order open, another process answers it."""
    answers = Answers()
    composer = ProcessComposer(answers)
    try:
        composer.order(order("a"))
        os.kill(composer.pid, signal.SIGKILL)
        assert answers.wait("a")[-1]["complete"]
        assert "another takes over (1 of 3)" in caplog.text
    finally:
        composer.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_process_that_dies_again_and_again_is_given_up(monkeypatch) -> None:
    """Where every process ends at once, open orders fail with a sentence, and nothing waits."""
    answers = Answers()
    monkeypatch.setattr(composers.sys, "executable", "/bin/true")
    composer = ProcessComposer(answers)
    try:
        composer.order(order("a"))
        assert "ended again and again" in answers.wait("a")[-1]["error"]
        composer.order(order("b"))
        assert "ended again and again" in answers.wait("b")[-1]["error"]
    finally:
        composer.close()


def test_where_there_can_be_no_process_a_thread_composes(monkeypatch, caplog) -> None:
    """With one warning."""

    def refuse(*_, **__):
        raise OSError("no processes here")

    monkeypatch.setattr(composers.subprocess, "Popen", refuse)
    composer = best_composer(print)
    assert isinstance(composer, ThreadComposer)
    assert "no processes here" in caplog.text
    composer.close()


def test_a_theme_is_composed_and_heard() -> None:
    """From a theme's name to samples, with the stand-in model, for two sections."""
    music = SilentMusic(compose=True, model=STANDIN)
    music.play("cave", 2, controls={"bars": 2}, evolve=True)
    music.advance(9)
    begun = [event.facts["name"] for event in music.heard_events("begin")]
    assert len(begun) >= 2
    assert begun[0] == "cave 2 bars=2"
    assert abs(music.samples.astype(int)).max() > 500
