"""Scores that were made once sound the same for ever: every version of the driver writes what it always wrote."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pieces
import pytest

from nesasset.driver import _VERSIONS, drive
from nesasset.errors import ScoreError
from nesasset.formats import register_text, score_json
from nesasset.render import render
from nesasset.score import DRIVERS, Score
from nesasset.units import SYNTH_VERSION

DOCUMENT = Path(__file__).parent.parent / "docs/score-format.md"


def written() -> Score:
    """Return the score of the document: vibrato, slides, volumes, a lagging voice, a swinging groove."""
    return score_json.loads(re.search(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[1])


SCORES = {
    "loop": lambda: pieces.loop_score(3),
    "intro": lambda: pieces.loop_score(8, bars=2, intro_bars=1, groove=(6, 7)),
    "jingle": lambda: pieces.jingle_score(5),
    "document": written,
}
# SHA-256 of the register text of each score, by version. Never changed: only a new version gets new lines.
FROZEN = {
    1: {
        "loop": "ce04bc5eeb20d9af056805a636c2eb5a423c786978152fdb5942cfcb76fa6634",
        "intro": "b1bea34a298232820737f284c495bf496c1880b778ca53b89a43e5d5bf6b1009",
        "jingle": "d01c6d85fc70f536d41d96a9604f6ea7a35f78ca5145c37c164ff079f74262c7",
        "document": "cc22469d6ab3dd5713dcd8b0be0db9167326b076f8f77ac554fa618fe7b12f58",
    },
}


def test_every_version_is_frozen() -> None:
    """Each version that a score may name has a player and its hashes."""
    assert set(DRIVERS) == set(_VERSIONS) == set(FROZEN)


@pytest.mark.parametrize(("version", "name"), [(version, name) for version in FROZEN for name in SCORES])
def test_a_version_writes_what_it_always_wrote(version: int, name: str) -> None:
    """The registers of a score are those of the day on which its driver came out."""
    text = register_text.dumps(drive(replace(SCORES[name](), driver=version)))
    assert hashlib.sha256(text.encode()).hexdigest() == FROZEN[version][name]


# SHA-256 of the 16-bit samples at 44.1 kHz, by version of the synth: a pinned score that sounds otherwise is a new version.
SOUND = {1: {"intro": "5e8f1c6d6f570af13ef92e3f86654635f8f780b100dda4d4ce4de4ac3a0e28ec", "jingle": "5a9fe97f73be9c14227f0118be3331e29ace66efeca0dc1530b5b46f2f05999a", "document": "1160749d0c50d04b3c04db77514db96ff882f96e303ad2e88436ccade16d805d"}}


@pytest.mark.parametrize("name", SOUND[1])
def test_the_synth_has_its_version(name: str) -> None:
    """What a score sounds like belongs to the synth's version, which locks and reports speak of."""
    samples = render(drive(SCORES[name]())).samples
    assert hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest() == SOUND[SYNTH_VERSION][name]


def test_a_score_keeps_its_driver() -> None:
    """The version stands in the file, and a file without one has the first."""
    document = json.loads(score_json.dumps(pieces.loop_score()))
    assert document["driver"] == DRIVERS[-1]
    del document["driver"]
    assert score_json.loads(json.dumps(document)).driver == 1


@pytest.mark.parametrize("driver", [0, 99, True, "1", None, 1.5])
def test_a_driver_that_nobody_has_is_refused(driver: object) -> None:
    """A score for another driver is refused, not played wrongly."""
    document = json.loads(score_json.dumps(pieces.loop_score())) | {"driver": driver}
    with pytest.raises(ScoreError, match="driver must be"):
        score_json.loads(json.dumps(document))
