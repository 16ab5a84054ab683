"""Train the encoder of the latent by itself, as a variational autoencoder with a decoder that knows nothing but the point.

    python -m export.train_latent --corpus corpus --config export/configs/latent.toml -o runs/encoder.ckpt
    python -m export.train --corpus corpus --config export/configs/latent.toml --out runs/latent --start … --encoder runs/encoder.ckpt

A row model that sees all rows before has no need of a point, and an encoder that is trained through it learns nothing (the
collapse of the posterior: Bowman et al., Generating sentences from a continuous space, 2016). Here the decoder says, for each
place in the bar, how likely each event, move, interval and octave of each voice is in this piece, and sees no rows. So a point
has to say how the piece goes. The row model is then told the points of a finished encoder.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.dataset import Corpus, Crops
from export.latent import PHASES, SIZES, Encoder, divergence, read_rows
from export.train import TrainConfig, load_config, spread_points

HIDDEN = 192
BETA = 1.5  # weight of the divergence: above 1 a point keeps what many rows have in common


class Bag(nn.Module):
    """The decoder: a point to log probabilities of what is read of a row at each place in the bar."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.sizes = SIZES[:-1]  # the place in the bar itself is given
        self.net = nn.Sequential(nn.Linear(latent, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, PHASES * sum(self.sizes)))

    def forward(self, point: Tensor, read: Tensor, weight: Tensor) -> Tensor:
        """Return the nats of the rows of each piece, (B,): point (B, latent), read (B, T, 13), weight (B, T)."""
        B, T, _ = read.shape
        table = self.net(point).view(B, PHASES, -1)
        phase = (read[..., -1] - sum(self.sizes)).unsqueeze(-1).expand(B, T, table.shape[-1])
        logits = table.gather(1, phase).split(self.sizes, dim=-1)
        nats = torch.zeros(B, T, device=read.device)
        start = 0
        for place, part in enumerate(logits):
            target = read[..., place] - start
            nats = nats + F.cross_entropy(part.flatten(0, 1), target.flatten(), reduction="none").view(B, T)
            start += self.sizes[place]
        return (nats * weight).sum(1)


def part_of(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch's own rows as the encoder takes them, future rows left out."""
    n = batch["cells"].shape[1]
    return batch["ids"][:, -n:], batch["cells"], batch["weight"]


@click.command()
@click.option("--corpus", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Output of export.prepare.")
@click.option("--config", type=click.Path(path_type=Path, exists=True), required=True, help="Of the row model: sizes and crops.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The checkpoint to write.")
@click.option("--steps", type=click.IntRange(1), default=3000, show_default=True)
@click.option("--batch", type=click.IntRange(2), default=32, show_default=True, help="Crops a step.")
@click.option("--rate", type=float, default=1.5e-3, show_default=True)
def main(corpus: Path, config: Path, out: Path, steps: int, batch: int, rate: float) -> None:
    """Train the encoder of the latent."""
    from rich.progress import track

    settings = load_config(config)
    torch.manual_seed(settings.seed)
    train, valid = (crops_of(Corpus(corpus / split), settings, batch) for split in ("train", "valid"))
    encoder, bag = Encoder(settings.model.latent, settings.model.encoder_width), Bag(settings.model.latent)
    held_out = [valid.batch(np.random.default_rng(number)) for number in range(12)]
    spread_points(encoder, train)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *bag.parameters()], lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    rng = np.random.default_rng(settings.seed)
    for step in track(range(steps), description="training the encoder"):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        ids, cells, weight = part_of(train.batch(rng))
        mean, spread = encoder(ids, cells, weight)
        point = mean + spread * torch.randn_like(spread)
        loss = (bag(point, read_rows(ids, cells), weight) + BETA * divergence(mean, spread)).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*encoder.parameters(), *bag.parameters()], 1.0)
        optimizer.step()
        if (step + 1) % 500 == 0 or step + 1 == steps:
            click.echo(f"step {step + 1}: {report(encoder, bag, held_out)}", err=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"encoder": encoder.state_dict(), "latent": settings.model.latent, "report": report(encoder, bag, held_out)}, out)


def crops_of(corpus: Corpus, settings: TrainConfig, batch: int) -> Crops:
    """Return crops of a corpus, so many a batch."""
    return Crops(corpus, replace(settings.crops, batch=batch), settings.seed)


@torch.no_grad()
def report(encoder: Encoder, bag: Bag, batches: list[dict[str, Tensor]]) -> str:
    """Return bits a row on held-out crops with their points and with the points of other crops, and the points' price."""
    sums = torch.zeros(4, dtype=torch.float64)
    for batch in batches:
        ids, cells, weight = part_of(batch)
        read = read_rows(ids, cells)
        mean, spread = encoder(ids, cells, weight)
        sums += torch.tensor([bag(mean, read, weight).sum(), bag(mean.roll(1, 0), read, weight).sum(), divergence(mean, spread).sum(), weight.sum()])
    own, other, price, rows = sums.tolist()
    scale = 1 / (math.log(2) * rows)
    return f"{own * scale:.3f} bits a row with the own point, {other * scale:.3f} with another's, the point {price * scale:.3f}"


if __name__ == "__main__":
    main()
