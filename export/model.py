"""The row transformer: from the rows so far, the song's palette and controls, and the form plan, the next row.

A token is one row. A causal transformer with rotary positions reads the tokens; a small head speaks the seven symbols of
the row one after the other (TR, P1, its instrument, P2, its instrument, NO, its instrument), each seeing those before it
and the referenced bar's cell. Cells the plan fixes (exact and silent voices) are not predicted: they cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.latent import Encoder, divergence
from export.relations import RELATIONS, Related, Told
from nesasset.chords import chord_quality, chord_root
from nesasset.features import CHORD, COLUMN, FEATURES, N_IDS, NO_SLOT, OFFSETS, RECALL, SLOT_FEATURES, STRENGTH
from nesasset.recall import N_STRENGTHS
from nesasset.vocabulary import (
    CHORD_QUALITIES,
    CONTROLS,
    EXACT,
    HEAD_ORDER,
    HOLD_ID,
    LOWEST_PITCH,
    N_CELLS,
    N_CHORDS,
    N_NOISE_CELLS,
    NOISE_SHAPES,
    ONSET_ID,
    PALETTE_SLOTS,
    PLAN_CLASSES,
    PULSE_SHAPES,
    REST_ID,
    SEQUENCE,
    SILENT,
)

SLOT_COLUMN = {0: 0, 1: 1, 3: 2}  # voice → column of slot arrays
VOICE_CELLS = {0: N_CELLS, 1: N_CELLS, 2: N_CELLS, 3: N_NOISE_CELLS}
NEVER = -1e9
ROTARY_BASE = 10_000.0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of the network."""

    kind: str = "transformer"
    """Or "lstm", the baseline."""
    width: int = 256
    layers: int = 6
    heads: int = 4
    feed_forward: int = 1024
    head_width: int = 256
    entry_width: int = 64
    """Width of an instrument's embedding."""
    dropout: float = 0.15
    context: int = 512
    """Rows the runtime keeps."""
    latent: int = 0
    """Numbers of the latent; 0 for none."""
    encoder_width: int = 160


class Palette(nn.Module):
    """Instruments of a song as vectors: (timbre, period, shape, peak) to (entry_width,), one more for "none"."""

    def __init__(self, shapes: int, width: int) -> None:
        super().__init__()
        self.timbre = nn.Embedding(5, width)
        self.period = nn.Embedding(17, width)
        self.shape = nn.Embedding(shapes + 1, width)
        self.peak = nn.Embedding(17, width)
        self.mix = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.none = nn.Parameter(torch.zeros(width))

    def forward(self, palette: Tensor) -> Tensor:
        """(B, 16, 4) int64, -1 unused, to (B, 17, width); the last one is "none"."""
        used = palette + 1
        total = self.timbre(used[..., 0]) + self.period(used[..., 1]) + self.shape(used[..., 2]) + self.peak(used[..., 3])
        entries = total + self.mix(total)
        none = self.none.expand(palette.shape[0], 1, -1)
        return torch.cat([entries, none], dim=1)


class Block(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.up = nn.Linear(config.width, config.feed_forward)
        self.down = nn.Linear(config.feed_forward, config.width)
        self.drop = nn.Dropout(config.dropout)

    def split(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, C) to query, key, value of (B, heads, T, C / heads), the first two rotated."""
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return rotate(q, rotary), rotate(k, rotary), v

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add what attention found, (B, heads, T, C / heads), and the feed-forward part."""
        B, _, T, _ = attended.shape
        x = x + self.out(attended.transpose(1, 2).reshape(B, T, -1))
        return x + self.drop(self.down(F.gelu(self.up(self.norm2(x)))))

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """(B, T, C) to the same shape, causal."""
        q, k, v = self.split(x, rotary)
        return self.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=True))


def rotary_tables(positions: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of shape (..., width / 2) for positions in rows (Su et al., RoFormer, 2021)."""
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32, device=positions.device) * (-math.log(ROTARY_BASE) / width))
    angle = positions.float().unsqueeze(-1) * rate
    return angle.cos(), angle.sin()


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the two halves of each head by its position's angle."""
    cos, sin = rotary
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class RowHead(nn.Module):
    """Speaks the symbols of one row from the trunk's vector."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        W, H = config.width, config.head_width
        self.said = nn.ModuleList(nn.Embedding(VOICE_CELLS[v], W) for v in range(4))  # a cell spoken in this row
        self.sounds = nn.ModuleList(nn.Embedding(VOICE_CELLS[v], W) for v in range(4))  # what sounds after it
        for unheard in (self.said[HEAD_ORDER[-1]], self.sounds[HEAD_ORDER[-1]]):  # nothing is said after the last voice
            unheard.requires_grad_(False)  # processes that train together would wait for its gradient
        self.reference = nn.ModuleList(nn.Embedding(N_CELLS + 1, W) for _ in range(4))
        self.kind = nn.ModuleList(nn.Embedding(len(PLAN_CLASSES) + 1, W) for _ in range(4))
        self.norm = nn.ModuleList(nn.LayerNorm(W) for _ in range(4))
        self.hidden = nn.ModuleList(nn.Linear(W, H) for _ in range(4))
        self.cell = nn.ModuleList(nn.Linear(H, VOICE_CELLS[v]) for v in range(4))
        self.query = nn.ModuleList(nn.Linear(H, config.entry_width) for _ in range(3))
        self.key = nn.ModuleList(nn.Linear(config.entry_width, config.entry_width) for _ in range(3))
        self.spoken = nn.Linear(config.entry_width, W, bias=False)  # an instrument spoken in this row
        self.pitch_query = nn.ModuleList(nn.Embedding(VOICE_CELLS[v], H) for v in (0, 1, 3))
        self.slot_rank = nn.Parameter(torch.zeros(3, PALETTE_SLOTS))
        self.slot_last = nn.Parameter(torch.zeros(3))
        self.slot_reference = nn.Parameter(torch.zeros(3, len(PLAN_CLASSES) + 1))
        self.same_cell = nn.Parameter(torch.zeros(4, len(PLAN_CLASSES) + 1))
        self.same_event = nn.Parameter(torch.zeros(4, len(PLAN_CLASSES) + 1, 3, 3))
        self.recalled_cell = nn.Parameter(torch.zeros(4, N_STRENGTHS))
        self.recalled_event = nn.Parameter(torch.zeros(4, N_STRENGTHS, 3, 3))
        self.recalled_slot = nn.Parameter(torch.zeros(3, N_STRENGTHS))
        self.in_chord = nn.Parameter(torch.zeros(3, len(CHORD_QUALITIES), 12))
        self.register_buffer("chord_intervals", chord_intervals(), persistent=False)
        self.related = nn.ModuleDict({str(voice): Related(voice, H) for voice in RELATIONS})
        self.scale = config.entry_width**-0.5

    def context(self, voice: int, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return reference cell, plan class (both (B, T)) and their embedding (B, T, W)."""
        reference = ids[..., COLUMN["reference_P1"] + voice]
        kind = ids[..., COLUMN["class_P1"] + voice]
        return reference, kind, self.reference[voice](reference) + self.kind[voice](kind)

    def cell_logits(
        self, voice: int, state: Tensor, ids: Tensor, reference: Tensor, kind: Tensor, heard: dict[int, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, n_cells) and the hidden vector (B, T, H) of a voice; heard is what sounds of those before it."""
        hidden = F.gelu(self.hidden[voice](self.norm[voice](state)))
        bias = self.reference_bias(voice, reference, kind)
        bias = bias + self.recall_bias(voice, ids[..., RECALL + voice], ids[..., STRENGTH + voice])
        if voice < 3:
            bias = bias + self.chord_bias(voice, ids[..., CHORD]) + self.related[str(voice)](hidden, ids, heard)
        return self.cell[voice](hidden) + bias, hidden

    def reference_bias(self, voice: int, reference: Tensor, kind: Tensor) -> Tensor:
        """Return what the reference cell adds to the logits, (..., n_cells): more for the same cell and event, by class."""
        event = self.same_event[voice][kind, torch.clamp(reference, max=ONSET_ID)]
        return _copy_bias(reference, self.same_cell[voice][kind], event, VOICE_CELLS[voice])

    def recall_bias(self, voice: int, recall: Tensor, strength: Tensor) -> Tensor:
        """Return what the recalled cell adds to the logits, (..., n_cells), by the class of its certainty."""
        event = self.recalled_event[voice][strength, torch.clamp(recall, max=ONSET_ID)]
        return _copy_bias(recall, self.recalled_cell[voice][strength], event, VOICE_CELLS[voice])

    def chord_bias(self, voice: int, chord: Tensor) -> Tensor:
        """Return what the chord adds to the logits of a melodic voice, (..., 90): by quality and interval over its root."""
        table = F.pad(self.in_chord[voice].flatten(), (0, 1))[self.chord_intervals]  # (N_CHORDS + 1, 90)
        return F.embedding(chord, table)

    def slot_logits(
        self, column: int, hidden: Tensor, cell: Tensor, entries: Tensor, used: Tensor | None, slots: Tensor, kind: Tensor, strength: Tensor
    ) -> Tensor:
        """Return logits (B, T, 16) over the palette for an onset of a voice; slots (B, T, n_slot_features)."""
        query = self.query[column](hidden + self.pitch_query[column](cell))
        keys = self.key[column](entries[:, :PALETTE_SLOTS])
        logits = query @ keys.transpose(1, 2) * self.scale + self.slot_rank[column]
        index = torch.arange(PALETTE_SLOTS, device=logits.device)
        hints = (self.slot_last[column].expand(kind.shape), self.slot_reference[column][kind], self.recalled_slot[column][strength])
        for hint, weight in enumerate(hints, start=1):  # the slot columns of last, reference and recall
            slot = slots[..., 3 * hint + column].unsqueeze(-1)
            logits = logits + (index == slot).to(logits.dtype) * weight.unsqueeze(-1)
        return logits if used is None else logits.masked_fill(~used.unsqueeze(1), NEVER)


def chord_intervals() -> Tensor:
    """Return for each chord and cell the place in a flat (quality, 12) table, one past its end where there is none."""
    none = 12 * len(CHORD_QUALITIES)
    out = torch.full((N_CHORDS + 1, N_CELLS), none)
    pitch = torch.arange(N_CELLS - ONSET_ID) + LOWEST_PITCH
    for chord in range(1, N_CHORDS):
        out[chord, ONSET_ID:] = 12 * chord_quality(chord) + (pitch - chord_root(chord)) % 12
    return out


def _copy_bias(cell: Tensor, same: Tensor, event: Tensor, count: int) -> Tensor:
    """Return (..., count): `same` (...) at the cell, `event` (..., 3) at hold, rest and all onsets; 0 where there is no cell."""
    index = torch.arange(count, device=cell.device)
    here = (index == cell.unsqueeze(-1)).to(same.dtype) * same.unsqueeze(-1)
    known = (cell < N_CELLS).to(same.dtype).unsqueeze(-1)
    return here + event[..., torch.clamp(index, max=ONSET_ID)] * known


def sounding(cell: Tensor, held: Tensor) -> Tensor:
    """Return what sounds after a cell: what was held where the cell is a hold, else the cell."""
    return torch.where(cell == HOLD_ID, held, cell)


class RowModel(nn.Module):
    """The whole network; `forward` is for training, to_onnx.py has the one-row step."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Embedding(N_IDS, config.width)
        self.controls = nn.Embedding(sum(CONTROLS.values()), config.width)
        self.pulse = Palette(PULSE_SHAPES, config.entry_width)
        self.noise = Palette(NOISE_SHAPES, config.entry_width)
        self.told = Told(config.width)
        self.slots = nn.Linear(len(SLOT_FEATURES) * config.entry_width, config.width, bias=False)
        self.set = nn.Linear(2 * config.entry_width, config.width)
        self.encoder = Encoder(config.latent, config.encoder_width) if config.latent else None
        self.point = nn.Linear(config.latent, config.width, bias=False) if config.latent else None
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = RowHead(config)
        self.register_buffer("offsets", torch.tensor(OFFSETS), persistent=False)
        starts = [0]
        for size in CONTROLS.values():
            starts.append(starts[-1] + size)
        self.register_buffer("control_offsets", torch.tensor(starts[:-1]), persistent=False)
        self.apply(_initialise)
        for block in self.blocks:
            for linear in (block.out, block.down):
                nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * config.layers))

    def song_vector(self, controls: Tensor, pulse: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what holds for the whole song, (B, W), and both palettes' entries, (B, 17, E)."""
        pulse_entries, noise_entries = self.pulse(pulse), self.noise(noise)
        means = []
        for entries, palette in ((pulse_entries, pulse), (noise_entries, noise)):
            used = (palette[..., :1] >= 0).to(entries.dtype)
            means.append((entries[:, :PALETTE_SLOTS] * used).sum(1) / used.sum(1).clamp(min=1))
        vector = self.controls(controls + self.control_offsets).sum(-2) + self.set(torch.cat(means, dim=-1))
        return vector, pulse_entries, noise_entries

    def embed(self, ids: Tensor, slots: Tensor, song: Tensor, pulse_entries: Tensor, noise_entries: Tensor) -> Tensor:
        """Return the input vectors (B, T, W) of tokens: ids (B, T, n_features), slots (B, T, n_slot_features)."""
        B, T, _ = ids.shape
        flat = (ids + self.offsets).reshape(B * T, -1)
        x = F.embedding_bag(flat, self.table.weight, mode="sum").view(B, T, -1) if self.training else self.table(flat).sum(1).view(B, T, -1)
        parts = []
        for column in range(len(SLOT_FEATURES)):
            entries = noise_entries if column % 3 == 2 else pulse_entries
            index = slots[..., column].unsqueeze(-1).expand(-1, -1, entries.shape[-1])
            parts.append(torch.gather(entries, 1, index))
        return x + self.told(ids) + self.slots(torch.cat(parts, dim=-1)) + song.unsqueeze(1)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the bits of every cell (B, T, 4) and instrument (B, T, 3) of the rows, nothing for future rows, and nats (B,) of the latent.

        Args:
            batch: ids (B, N, n_features), slots (B, N, n_slot_features), positions (B, N), controls (B, n_controls), pulse and noise
                (B, 16, 4), and for the last T of the N tokens: cells (B, T, 4), targets (B, T, 3) with -1 for none, weight (B, T). With
                told (B,), 0 or 1, the pieces where it is 1 are read by the encoder, and the latent is told.
        """
        ids, cells, targets = batch["ids"], batch["cells"], batch["targets"]
        song, pulse, noise = self.song_vector(batch["controls"], batch["pulse"], batch["noise"])
        nats = torch.zeros(len(song), device=song.device)
        if self.encoder is not None and "told" in batch:
            mean, spread = self.encoder(ids[:, -cells.shape[1] :], cells, batch["weight"])
            drawn = mean + spread * torch.randn_like(spread) if self.training else mean
            song = song + self.point(drawn) * batch["told"].unsqueeze(-1)
            nats = divergence(mean, spread) * batch["told"]
        x = self.drop(self.embed(ids, batch["slots"], song, pulse, noise))
        width = self.config.width // self.config.heads
        cos, sin = rotary_tables(batch["positions"], width)
        rotary = (cos.unsqueeze(1), sin.unsqueeze(1))
        for block in self.blocks:
            x = block(x, rotary)
        T = cells.shape[1]
        state = self.norm(x)[:, -T:]
        ids, slots = ids[:, -T:], batch["slots"][:, -T:]
        cell_bits = torch.zeros(cells.shape, device=cells.device)
        slot_bits = torch.zeros(targets.shape, device=cells.device)
        head = self.head
        heard: dict[int, Tensor] = {}
        for voice in HEAD_ORDER:
            reference, kind, extra = head.context(voice, ids)
            logits, hidden = head.cell_logits(voice, state + extra, ids, reference, kind, heard)
            cell = cells[..., voice]
            fixed = (kind == EXACT) | (kind == SEQUENCE) | (kind == SILENT)
            bits = F.cross_entropy(logits.flatten(0, 1), cell.flatten(), reduction="none").view_as(cell) / math.log(2)
            cell_bits[..., voice] = bits.masked_fill(fixed, 0.0)
            held = torch.clamp(ids[..., COLUMN["held_P1"] + voice], max=VOICE_CELLS[voice] - 1)
            heard[voice] = sounding(cell, held)
            state = state + head.said[voice](cell) + head.sounds[voice](heard[voice])
            if voice in SLOT_COLUMN:
                column = SLOT_COLUMN[voice]
                entries, palette = (noise, batch["noise"]) if voice == 3 else (pulse, batch["pulse"])
                target = targets[..., column]
                slot_logits = head.slot_logits(
                    column, hidden, cell, entries, palette[..., 0] >= 0, slots, kind, ids[..., STRENGTH + voice]
                )
                onset = target >= 0
                bits = F.cross_entropy(slot_logits.flatten(0, 1), target.clamp(min=0).flatten(), reduction="none").view_as(target)
                slot_bits[..., column] = torch.where(onset, bits / math.log(2), 0.0)
                index = torch.where(onset, target, NO_SLOT).unsqueeze(-1).expand(-1, -1, entries.shape[-1])
                state = state + head.spoken(torch.gather(entries, 1, index))
        return {"cells": cell_bits, "slots": slot_bits, "nats": nats}


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def n_features() -> int:
    """Return the number of integer features of a token."""
    return len(FEATURES)


__all__ = ["REST_ID", "ModelConfig", "RowModel", "n_features", "rotary_tables", "rotate", "sounding"]
