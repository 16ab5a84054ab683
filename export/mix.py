"""Mix two runs' weights: a network whose averaged weights are a weighted mean of two networks', of which one went on from the other.

    python -m export.mix runs/latent/best.ckpt runs/without_dropout/best.ckpt --share 0.25 -o runs/mixed.ckpt

Wortsman et al., "Model soups", 2022: weights from one start that were trained apart are often better between than at either end. The
encoder of the latent is the second's. What comes out is for `export.to_onnx` and `--start`, not for `--resume`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import torch
from torch import Tensor

from export.evaluate import open_checkpoint
from export.train import split_settings
from nesasset.errors import NesassetError
from nesasset.features import FEATURES
from nesasset.formats import files

KEPT = "encoder."  # nothing hears another encoder's points


def mix(first: dict[str, Tensor], second: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return weights of which `share` are the first's, the rest and the encoder the second's.

    Raises:
        click.UsageError: The two networks are not of one shape.
    """
    shapes = [{name: tuple(tensor.shape) for name, tensor in weights.items()} for weights in (first, second)]
    if shapes[0] != shapes[1]:
        odd = min(set(shapes[0].items()) ^ set(shapes[1].items()))[0]
        raise click.UsageError(f"the two networks differ in {odd}: {shapes[0].get(odd)} and {shapes[1].get(odd)}; mix runs of one [model]")
    return {
        name: share * first[name] + (1 - share) * tensor if tensor.is_floating_point() and not name.startswith(KEPT) else tensor
        for name, tensor in second.items()
    }


@click.command()
@click.argument("first", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("second", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--share", type=click.FloatRange(0, 1), default=0.25, show_default=True, help="Of the first in the mean.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(first: Path, second: Path, share: float, out: Path) -> None:
    """Mix two checkpoints."""
    (theirs, _), (own, settings) = open_checkpoint(first), open_checkpoint(second)
    mixed = mix(theirs.state_dict(), own.state_dict(), share)
    checkpoint = {
        "state_dict": {f"average.module.{name}": tensor for name, tensor in mixed.items()},
        "features": dict(FEATURES),
        "settings": split_settings(asdict(settings)),
    }
    try:
        with files.whole_file(out) as file, files.telling(out):
            torch.save(checkpoint, file)
    except NesassetError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {share:g} of {first}, the rest {second}")


if __name__ == "__main__":
    main()
