"""Mix two runs' weights: a network whose averaged weights are a weighted mean of two networks', of which one went on from the other.

    python -m export.mix runs/latent/best.ckpt runs/without_dropout/best.ckpt --share 0.25 -o runs/mixed.ckpt

Wortsman et al., "Model soups", 2022: weights from one start that were trained apart are often better between than at either end. The
encoder of the latent is the second's. What comes out is for `export.to_onnx` and `--start`, not for `--resume`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import torch

from export.train import averaged_weights

PREFIX = "average.module."
KEPT = "encoder."  # nothing hears another encoder's points


def mix(first: dict[str, Any], second: dict[str, Any], share: float) -> dict[str, Any]:
    """Return the second checkpoint with averaged weights of which `share` are the first's.

    Raises:
        click.UsageError: The two networks are not of one shape.
    """
    theirs, own = averaged_weights(first), averaged_weights(second)
    shapes = [{name: tuple(tensor.shape) for name, tensor in weights.items()} for weights in (theirs, own)]
    if shapes[0] != shapes[1]:
        odd = min(set(shapes[0].items()) ^ set(shapes[1].items()))[0]
        raise click.UsageError(f"the two networks differ in {odd}: {shapes[0].get(odd)} and {shapes[1].get(odd)}; mix runs of one [model]")
    mixed = {name: share * theirs[name] + (1 - share) * own[name] for name in own if own[name].is_floating_point() and not name.startswith(KEPT)}
    state = {name: tensor for name, tensor in second["state_dict"].items() if name.startswith(PREFIX)}
    return {
        "features": second["features"],
        "settings": second["settings"],
        "state_dict": state | {PREFIX + name: tensor for name, tensor in mixed.items()},
    }


@click.command()
@click.argument("first", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("second", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--share", type=click.FloatRange(0, 1), default=0.25, show_default=True, help="Of the first in the mean.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(first: Path, second: Path, share: float, out: Path) -> None:
    """Mix two checkpoints."""
    mixed = mix(*(torch.load(path, map_location="cpu", weights_only=True) for path in (first, second)), share)
    temporary = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    torch.save(mixed, temporary)
    os.replace(temporary, out)
    click.echo(f"{out}: {share:g} of {first}, the rest {second}")


if __name__ == "__main__":
    main()
