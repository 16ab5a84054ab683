"""The stand-in model as composing with given music needs it: with edges between the classes of what is measured."""

from __future__ import annotations

from pathlib import Path

from nesasset.model import Model, load_model

STANDIN = Path(__file__).parent / "standin" / "standin.json"
EDGES = {"density": [0.2, 0.3, 0.4, 0.5], "noise_density": [0.3, 0.6], "pitch_entropy": [2.5, 3.0], "register": [66.0, 73.0]}


def standin() -> Model:
    """Return the stand-in; its edges are invented, like its weights."""
    model = load_model(STANDIN)
    model.sidecar = {**model.sidecar, "edges": EDGES}
    return model
