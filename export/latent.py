"""The latent: a piece as a point among pieces. An encoder of a piece's rows to a Gaussian over a few dozen numbers.

What it reads of a row says nothing of the key: events, moves from note to note, intervals over the triangle, octaves, the place in
the bar. So a piece and its transposition are the same point, and the point says how the piece goes, not where it lies. The row model
is told a draw from the Gaussian in half of the crops (a variational bottleneck: Kingma and Welling, Auto-Encoding Variational
Bayes, 2014) and nothing in the others, so that it composes with and without.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.relations import DEGREES
from nesasset.features import COLUMN, MAX_MOVE, NO_MOVE
from nesasset.vocabulary import HOLD_ID, N_CELLS, ONSET_ID

BEAT_ROWS = 4
HEADS = 4
OCTAVES = 9  # eight, and one for none
PHASES = 17
START_SPREAD = 0.3
ONE = 0.5413  # softplus of it is 1
# What is read of a row, by where it begins among the rows of one table: events of four voices, moves of three melodic ones, intervals
# of two pulses over the triangle, octaves of three, the place in the bar.
SIZES = (*(3,) * 4, *(NO_MOVE + 1,) * 3, *(DEGREES,) * 2, *(OCTAVES,) * 3, PHASES)
ENCODER_INPUTS = (
    "ids",  # (B, T, n_features) int64, of rows in order; T is a multiple of BEAT_ROWS
    "cells",  # (B, T, 4) int64
    "weight",  # (B, T) float: 1 for rows that count, 0 for padding
)
ENCODER_OUTPUTS = (
    "mean",  # (B, latent)
    "spread",  # (B, latent): standard deviation
)


def read_rows(ids: Tensor, cells: Tensor) -> Tensor:
    """Return what the encoder reads of rows, (B, T, 13) places in its table; ids (B, T, n_features), cells (B, T, 4)."""
    parts = list(torch.clamp(cells, max=ONSET_ID).unbind(-1))
    triangle = torch.where(cells[..., 2] == HOLD_ID, ids[..., COLUMN["held_TR"]], cells[..., 2])
    moves, intervals, octaves = [], [], []
    for voice, name in enumerate(("P1", "P2", "TR")):
        cell, last = cells[..., voice], ids[..., COLUMN[f"last_{name}"]]
        onset = cell >= ONSET_ID
        follows = onset & (last >= ONSET_ID) & (last < N_CELLS)
        moves.append(torch.where(follows, torch.clamp(cell - last, -MAX_MOVE, MAX_MOVE) + MAX_MOVE, NO_MOVE))
        octaves.append(torch.where(onset, (cell - ONSET_ID) // 12, OCTAVES - 1))
        if voice < 2:
            both = onset & (triangle >= ONSET_ID) & (triangle < N_CELLS)
            intervals.append(torch.where(both, (cell - triangle) % 12, DEGREES - 1))
    phase = torch.clamp(ids[..., COLUMN["row_in_bar"]], max=PHASES - 1)
    read = torch.stack([*parts, *moves, *intervals, *octaves, phase], dim=-1)
    return read + torch.tensor([sum(SIZES[:place]) for place in range(len(SIZES))], device=ids.device)


class Encoder(nn.Module):
    """Rows to the Gaussian of their piece: beats by convolution, then what attention finds worth remembering of them."""

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        W = width
        self.table = nn.Embedding(sum(SIZES), W)
        self.beat = nn.Conv1d(W, W, BEAT_ROWS, stride=BEAT_ROWS)
        self.around = nn.Conv1d(W, W, 5, padding=2)
        self.norm = nn.LayerNorm(W)
        self.worth = nn.Linear(W, HEADS)
        self.value = nn.Linear(W, HEADS * W // 2)
        self.out = nn.Linear(HEADS * W // 2, 2 * latent)

    def forward(self, ids: Tensor, cells: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation, (B, latent) each; see ENCODER_INPUTS. T is whole beats."""
        x = self.table(read_rows(ids, cells)).sum(2) * weight.unsqueeze(-1)
        there = F.max_pool1d(weight.unsqueeze(1), BEAT_ROWS)  # (B, 1, beats)
        x = F.gelu(self.beat(x.transpose(1, 2))) * there
        x = self.norm((x + F.gelu(self.around(x))).transpose(1, 2))  # (B, beats, W)
        worth = self.worth(x).masked_fill(there.transpose(1, 2) == 0, -1e9).softmax(1)  # (B, beats, HEADS)
        value = self.value(x).view(*x.shape[:2], HEADS, -1)
        found = (value * worth.unsqueeze(-1)).sum(1).flatten(1)
        mean, spread = self.out(found).chunk(2, dim=-1)
        return mean, F.softplus(spread + ONE)


    @torch.no_grad()
    def spread_out(self, ids: Tensor, cells: Tensor, weight: Tensor) -> None:
        """Scale the last layer so that the points of some pieces lie about the origin like the standard Gaussian, each known to START_SPREAD.

        A start without which nothing is ever learnt: points that all lie at the origin are drowned by their own spread, nobody
        listens to them, and so they stay there.
        """
        self.out.weight[: len(self.out.bias) // 2] = torch.randn_like(self.out.weight[: len(self.out.bias) // 2])
        self.out.weight[len(self.out.bias) // 2 :] = 0
        self.out.bias.zero_()
        mean, _ = self(ids, cells, weight)
        scale = 1 / mean.std(0).clamp(min=1e-3)
        self.out.weight[: len(scale)] *= scale.unsqueeze(-1)
        self.out.bias[: len(scale)] = -mean.mean(0) * scale
        self.out.bias[len(scale) :] = math.log(math.expm1(START_SPREAD)) - ONE


def divergence(mean: Tensor, spread: Tensor) -> Tensor:
    """Return the nats of a Gaussian beyond the standard one, (B,)."""
    return 0.5 * (mean**2 + spread**2 - 1 - 2 * spread.log()).sum(-1)
