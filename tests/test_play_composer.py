"""Composing beside a game: bar by bar, in a process that may die, in a thread, at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pieces import loop_score
from standin_model import EDGES

from nesasset.formats import score_json
from nesasset.model import load_model
from nesasset.play import composer as composers
from nesasset.play import replay
from nesasset.play.bridge import bridge_name, is_bridge
from nesasset.play.composer import InlineComposer, ProcessComposer, ThreadComposer, best_composer
from nesasset.play.worker import Desk, answers, pieces
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


# The model's bridges.


@pytest.fixture(scope="module")
def with_edges(tmp_path_factory) -> str:
    """Return the stand-in as composing with given music needs it, as a file that any process can load."""
    folder = tmp_path_factory.mktemp("model")
    for path in Path(STANDIN).parent.glob("standin.*"):
        shutil.copy(path, folder)
    sidecar = json.loads((folder / "standin.json").read_text())
    (folder / "standin.json").write_text(json.dumps({**sidecar, "edges": EDGES}))
    return str(folder / "standin.json")


def begun(music: SilentMusic) -> list[str]:
    return [event.facts["name"] for event in music.heard_events("begin")]


def cross(music: SilentMusic, at: str = "bar") -> None:
    """Go from a piece that is composed to one that is composed when it is wanted."""
    music.play("cave", 2, controls={"bars": 2})
    music.advance(0.5)
    music.to("boss", 3, controls={"bars": 2}, at=at, via="bridge")
    music.advance(12)


@pytest.mark.parametrize("at", ["bar", "end"])
def test_a_bridge_is_composed_for_the_place_where_the_music_is_left(at: str, with_edges: str) -> None:
    """Between two composed pieces the model's bridge is heard, of a bar, and a record of it is replayed to the byte."""
    music = SilentMusic(compose=True, model=with_edges, record=True)
    cross(music, at)
    row = 16 if at == "bar" else 32
    assert begun(music) == ["cave 2 bars=2", bridge_name("boss 3 bars=2", "cave 2 bars=2", row), "boss 3 bars=2"]
    [made] = [score_json.loads(told["score"]) for _, told in music.record if told["do"] == "add" and is_bridge(told["name"])]
    assert (made.n_bars, made.provenance["operation"], made.provenance["parents"]["from"]["bar"]) == (1, "bridge", row // 16)
    assert np.array_equal(replay(json.loads(json.dumps(music.record)), len(music.samples) // 735), music.samples)


def test_scores_of_the_games_own_have_bridges_too(with_edges: str) -> None:
    """Two scores that nobody composed here."""
    music = SilentMusic(compose=True, model=with_edges)
    music.play(loop_score(3))
    music.advance(0.5)
    music.to(loop_score(8), via="bridge")
    music.advance(5)
    assert [is_bridge(name) for name in begun(music)] == [False, True, False] and " from " in begun(music)[1]


class Held(InlineComposer):
    """Composes at once, and keeps bridges back until they are let go."""

    def __init__(self, answer) -> None:
        super().__init__(self._hold)
        self.say, self.held = answer, []

    def _hold(self, answer) -> None:
        if is_bridge(answer["name"]):
            self.held.append(answer)
        else:
            self.say(answer)


def test_a_bridge_that_is_late_is_not_waited_for(with_edges: str) -> None:
    """The bar by rule leads over on the place; the model's, when it comes, changes nothing."""
    made = []
    music = SilentMusic(composer=lambda answer: made.append(Held(answer)) or made[0], model=with_edges)
    music.play(loop_score(3))
    music.advance(0.5)
    music.to(loop_score(8), via="bridge")
    music.advance(1.5)  # the bar line was at 1.6
    [late] = made[0].held
    music.advance(0.2)
    made[0].say(late)
    music.advance(5)
    names = begun(music)
    assert len(names) == 3 and names[1] == f"bridge to {names[2]}"
    bar = music.heard_events("begin")[1].position.sample
    assert bar == 96 * 735


def test_a_bridge_from_the_end_of_a_piece_is_ordered_when_that_is_there() -> None:
    """Asked for while the piece grows, the bridge is for its last bar."""
    orders = []

    class Asked:
        def __init__(self, answer) -> None:
            self.say = answer

        def order(self, order) -> None:
            orders.append(order)

        def close(self) -> None:
            pass

    made = []
    music = SilentMusic(composer=lambda answer: made.append(Asked(answer)) or made[0])
    whole = loop_score(3)
    music.play("cave", 2)
    half = {voice: cells[:32] for voice, cells in whole.voices.items()}
    made[0].say({"name": "cave 2", "score": replace(whole, voices=half, loop=None), "complete": False})
    music.advance(0.5)
    music.to(loop_score(8), at="end", via="bridge")
    music.advance(0.1)
    assert not any("before" in order for order in orders)
    made[0].say({"name": "cave 2", "score": whole, "complete": True})
    music.advance(0.1)
    [order] = [order for order in orders if "before" in order]
    assert (order["bar"], order["before"].n_rows) == (4, 64)


@pytest.mark.parametrize("waiting", [True, False])
def test_a_saved_game_has_its_bridge(waiting: bool, with_edges: str) -> None:
    """Saved before the line, with the bridge there or still being composed, the music goes on to the byte."""
    kind = Held if waiting else InlineComposer
    made = []
    one = SilentMusic(composer=lambda answer: made.append(kind(answer)) or made[0], model=with_edges)
    one.play(loop_score(3))
    one.advance(0.5)
    one.to(loop_score(8), via="bridge")
    one.advance(0.2)
    two = SilentMusic(compose=True, model=with_edges)
    two.restore(one.save())
    for late in getattr(made[0], "held", []):
        made[0].say(late)
    assert np.array_equal(one.advance(6), two.advance(6))
    assert " from " in begun(two)[0]


def test_what_the_model_cannot_lead_between_has_the_bar_by_rule(with_edges: str, caplog) -> None:
    """A metre of five beats: no answer, no sentence, no silence."""
    five = loop_score(3)
    five = replace(five, voices={voice: cells[:60] for voice, cells in five.voices.items()}, bar_rows=20, loop=(0, 60))
    [answer] = answers({"name": "bridge", "before": five, "after": five, "bar": 1, "model": with_edges})
    assert answer == {"name": "bridge", "score": None, "complete": True}
    music = SilentMusic(compose=True, model=with_edges)
    music.play(five)
    music.advance(0.5)
    music.to(replace(five, title="other"), via="bridge")
    music.advance(5)
    assert begun(music)[1:] == ["bridge to score 2 other", "score 2 other"]
    assert not caplog.text


@pytest.mark.parametrize("kind", [ThreadComposer, ProcessComposer])
def test_every_composer_writes_bridges(kind, with_edges: str) -> None:
    """The same one."""
    told = {"name": "bridge", "before": loop_score(3), "after": loop_score(8), "bar": 2, "model": with_edges}
    [expected] = answers(told)
    got = Answers()
    composer = kind(got)
    try:
        composer.order(told)
        assert got.wait("bridge") == [expected]
    finally:
        composer.close()
