"""The model that is shipped: its files are whole, it has its papers, and it composes loops that pass."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from nesasset.build.stages import Order, take
from nesasset.compose import compose
from nesasset.compose.controls import Controls
from nesasset.formats import score_json
from nesasset.model import DEFAULT_MODEL, load_model

MODELS = Path(__file__).parent.parent / "models"


@pytest.fixture(scope="module")
def model():
    return load_model(MODELS / f"{DEFAULT_MODEL}.json")


def test_sums_are_those_of_the_files() -> None:
    """SHA256SUMS names every model file with its hash."""
    listed = dict(line.split("  ")[::-1] for line in (MODELS / "SHA256SUMS").read_text().splitlines())
    files = {path.name for path in MODELS.iterdir() if path.name != "SHA256SUMS"}
    assert set(listed) == files
    for name, digest in listed.items():
        assert hashlib.sha256((MODELS / name).read_bytes()).hexdigest() == digest


def test_it_is_small() -> None:
    """The int8 file stays under 10 MB, so that the wheel stays light."""
    assert (MODELS / f"{DEFAULT_MODEL}.onnx").stat().st_size <= 10_000_000


def test_it_has_its_papers() -> None:
    """The sidecar says what it was trained on and how far int8 is from PyTorch; the card has figures and rights."""
    sidecar = json.loads((MODELS / f"{DEFAULT_MODEL}.json").read_text(encoding="utf-8"))
    assert "NES-MDB" in sidecar["training"]["data"]
    assert sidecar["training"]["config"]["model"]["width"] > 0
    assert sidecar["parity"]["passed"] is True
    card = (MODELS / f"{DEFAULT_MODEL}.md").read_text(encoding="utf-8")
    assert "no licence" in card or "given no licence" in card
    assert "## Figures" in card
    assert "FIGURES" not in card


@pytest.mark.parametrize("theme", ["overworld", "boss", "victory"])
def test_a_track_passes_its_certificate(theme: str) -> None:
    """A seed, or one of its successors, gives a track that passes."""
    made = take(Order("track", theme, 1, Controls(bars=4)))
    assert made.certificate.passed


def test_it_repeats(model) -> None:
    """Twice the same bytes in one process."""
    first, second = (score_json.dumps(compose("town", 5, Controls(bars=2), model)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("theme", "seed"), [("cave", 71), ("final-boss", 104), ("cave", 137)])
def test_sections_that_come_back_have_no_echo_of_others(theme: str, seed: int, model) -> None:
    """Where a form was asked for, pulse 2 stays silent where its sections are: an echo of what came before would make equal ones differ."""
    score = compose(theme, seed, Controls(bars=16, form="AABB", candidates=1), model)
    quarter = score.n_rows // 4
    for voice, cells in score.voices.items():
        pitches = [getattr(cell, "pitch", cell) for cell in cells]
        for first in (0, 2 * quarter):
            assert pitches[first + 1 : first + quarter] == pitches[first + quarter + 1 : first + 2 * quarter], voice
    assert "echo" not in score.provenance["ornaments"]
