"""The two graphs that become ONNX files: what a song says once, and rows one after the other.

`SongGraph` turns controls and palettes into vectors, once a piece. `RowGraph` takes T tokens and the cache of the rows before
them: with T = 1 it composes, sampling inside and randomness from outside; with T > 1 and every symbol forced it reads
rows that are known (a primer, exact repeats, a loop to be judged) in one call and says how surprising each was.

Everything keeps a time axis, so that each linear layer stays a matrix product which int8 can replace.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.latent import BEAT_ROWS
from export.model import ROTARY_BASE, SLOT_COLUMN, VOICE_CELLS, RowModel
from export.relations import RELATIONS, Related
from nesasset.features import CHORD, COLUMN, N_IDS, NO_SLOT, RECALL, SLOT_FEATURES, STRENGTH
from nesasset.recall import N_STRENGTHS
from nesasset.vocabulary import (
    FIXED_CLASSES,
    HEAD_ORDER,
    HOLD_ID,
    N_CELLS,
    N_CHORDS,
    ONSET_ID,
    PALETTE_SLOTS,
    PLAN_CLASSES,
)

BLOCKED = -1e9
SLOT_VOICE_NAMES = ("P1", "P2", "NO")  # of the columns of slots

SONG_INPUTS = (
    "controls",  # (B, n_controls) int64
    "pulse",  # (B, 16, 4) int64, -1 unused
    "noise",  # (B, 16, 4) int64, -1 unused
)
LATENT_INPUT = "latent"  # (B, latent) float32, 0 for a piece that is told none: the song graph's fourth, of models that have one
SONG_OUTPUTS = (
    "song",  # (B, width)
    "slot_vectors",  # (B, 12 * 17, width): what each slot feature adds for each instrument, or for none
    "slot_keys",  # (B, entry_width, 3 * 16): what P1, P2 and NO choose their instrument by
    "slot_words",  # (B, 2 * 17, width): what a pulse or noise instrument, once spoken, tells the voices after it
    "unused",  # (B, 1, 3 * 16): 0 for a slot in use, a large negative number for one that is not
)
# The cache is two tensors a layer, PAST: (B, heads, S, width / heads) float32, the keys (rotated) and the values of the rows
# so far, of which the first `length` count: room that is not used yet costs little, copying the cache would cost much.
# PRESENT, (1, B, heads, T, width / heads), is the T new rows alone; the caller writes them behind the others.
INPUTS = (
    "ids",  # (B, T, n_features) int64
    "slots",  # (B, T, n_slot_features) int64
    "positions",  # (B, T) int64, rows
    *SONG_OUTPUTS,
    # What decides, each an addition to log probabilities. A symbol is forced by adding far more to it than to the others.
    "event_push",  # (B, T, 4 * 3): Gumbel noise of hold, rest, onset; voices in order
    "pitch_bias",  # (B, T, 3 * 88): before the filter
    "pitch_push",  # (B, T, 3 * 88): Gumbel noise times the temperature, which is the same as a division of the logits
    "slot_push",  # (B, T, 3 * 16): the same for the instruments
    "floors",  # (2,): how far below the best a pitch, an instrument may lie in log probability: temperature * log(min-p)
    "guidance",  # (B, B): by how much of each piece's log probabilities a piece's row is drawn; the identity is each by its own
    "length",  # (1,) int64: rows of the cache that count, 0 to S
    # then past_0 (keys of layer 0), past_1 (its values), past_2 …
)
OUTPUTS = (
    "cells",  # (B, T, 4) int64
    "chosen_slots",  # (B, T, 3) int64, -1 where no note begins
    "cell_bits",  # (B, T, 4): -log2 of each cell under the model, 0 where the plan fixes it
    "slot_bits",  # (B, T, 3): the same for the instruments
    # then present_0, present_1 …
)


def names(layers: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return all input and output names of the row graph."""
    return (
        (*INPUTS, *(f"past_{layer}" for layer in range(2 * layers))),
        (*OUTPUTS, *(f"present_{layer}" for layer in range(2 * layers))),
    )


class SongGraph(nn.Module):
    """Controls and palettes to everything that depends on nothing else."""

    def __init__(self, net: RowModel) -> None:
        super().__init__()
        self.net = net

    def forward(self, controls: Tensor, pulse: Tensor, noise: Tensor, latent: Tensor | None = None) -> tuple[Tensor, ...]:
        """See SONG_INPUTS, LATENT_INPUT and SONG_OUTPUTS."""
        net, head = self.net, self.net.head
        song, pulse_entries, noise_entries = net.song_vector(controls, pulse, noise)
        if latent is not None:
            assert net.point is not None
            song = song + net.point(latent)
        parts = net.slots.weight.chunk(len(SLOT_FEATURES), dim=1)
        vectors = [(noise_entries if column % 3 == 2 else pulse_entries) @ part.T for column, part in enumerate(parts)]
        keys = [
            head.key[column]((noise_entries if column == 2 else pulse_entries)[:, :PALETTE_SLOTS]) * head.scale
            for column in range(3)
        ]
        used = torch.stack([pulse[..., 0], pulse[..., 0], noise[..., 0]], dim=1) >= 0
        return (
            song,
            torch.cat(vectors, dim=1),
            torch.cat(keys, dim=1).transpose(1, 2),
            head.spoken(torch.cat([pulse_entries, noise_entries], dim=1)),
            ((~used).to(song.dtype) * BLOCKED).flatten(1).unsqueeze(1),
        )


class RowGraph(nn.Module):
    """A trained RowModel as a step over T rows.

    The sums are RowModel's, arranged for few and large graph nodes, since at one row a node costs more than its arithmetic:
    what the head knows beforehand is looked up for all voices at once from tables that stand below one another, and
    every tensor of one number a row keeps its last axis.
    """

    def __init__(self, net: RowModel) -> None:
        super().__init__()
        self.net, config = net, net.config
        width = config.width // config.heads
        self.project = nn.ModuleList(_scaled(block.qkv, width) for block in net.blocks)
        self.speak = nn.ModuleList(
            _with_relations(net.head.cell[v], net.head.related[str(v)]) if v in RELATIONS else net.head.cell[v] for v in range(4)
        )
        self.register_buffer("slot_starts", torch.arange(len(SLOT_FEATURES)) * (PALETTE_SLOTS + 1), persistent=False)
        rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(ROTARY_BASE) / width))
        self.register_buffer("rate", rate, persistent=False)
        for name, tensor in _tables(net).items():
            self.register_buffer(name, tensor, persistent=False)

    def embed(self, ids: Tensor, slots: Tensor, song: Tensor, slot_vectors: Tensor) -> Tensor:
        """Return the input vectors (B, T, W); the same sum as RowModel.embed."""
        B, T, _ = ids.shape
        W, told = song.shape[-1], self.net.told
        pair = ids.index_select(2, told.upper) * (N_CELLS + 1) + ids.index_select(2, told.lower) + told.starts
        words = torch.cat([ids + self.net.offsets, F.embedding(pair, self.told_words).squeeze(3).long()], dim=2)
        x = F.embedding(words, self.words).sum(2)
        index = (slots + self.slot_starts).reshape(B, -1, 1).expand(-1, -1, W)
        return x + torch.gather(slot_vectors, 1, index).reshape(B, T, -1, W).sum(2) + song.unsqueeze(1)

    def trunk(
        self, x: Tensor, positions: Tensor, length: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the trunk's vectors (B, T, W) and keys and values of the new rows."""
        net, heads = self.net, self.net.config.heads
        B, T, W = x.shape
        S, C = past[0].shape[2], W // heads
        angle = positions.to(torch.float32).unsqueeze(-1) * self.rate  # (B, T, C / 2)
        cos, sin = angle.cos(), angle.sin()
        empty = (torch.arange(S, device=x.device) >= length).to(x.dtype) * BLOCKED  # (S,)
        later = torch.ones(T, T, device=x.device).triu(1) * BLOCKED
        mask = torch.cat([empty.expand(T, -1), later], dim=1)
        present = []
        for layer, block in enumerate(net.blocks):
            turned, value = self.project[layer](block.norm1(x)).split([2 * W, W], dim=2)
            turned = torch.onnx.ops.rotary_embedding(turned, cos, sin, num_heads=2 * heads)
            y = torch.cat([turned, value], dim=2).view(B, T, 3, heads, C).permute(2, 0, 3, 1, 4)
            q, k, v = y.split(1)  # (1, B, heads, T, C), its first axis kept: taking it off is a node
            scores = torch.cat([q @ past[2 * layer].transpose(2, 3), q @ k.transpose(3, 4)], dim=4)
            weight = (scores + mask).softmax(dim=-1)  # the scale is in the projection
            attended = weight[..., :S] @ past[2 * layer + 1] + weight[..., S:] @ v
            x = x + block.out(attended.permute(0, 1, 3, 2, 4).reshape(B, T, W))
            x = x + block.down(F.gelu(block.up(block.norm2(x))))
            present += [k, v]
        return net.norm(x), present

    def cell_hints(self, ids: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return what reference, plan, recall and chord add for each voice: to its logits (B, T, 90), to its state (B, T, W)."""
        B, T, _ = ids.shape
        classes = ids.index_select(2, self.class_columns)  # plan class and strength of the recall, of each voice
        cells = torch.minimum(ids.index_select(2, self.cell_columns), self.cell_tops)  # reference; event of the recall; chord
        bias = F.embedding(classes * self.class_steps + cells + self.bias_starts, self.bias_table)  # (B, T, 12, N_CELLS)
        recall, strength = ids[..., RECALL : RECALL + 4], ids[..., STRENGTH : STRENGTH + 4]
        same = F.embedding(recall, self.same) * F.embedding(strength + self.strength_starts, self.same_weights)
        bias = bias.view(B, T, 3, -1).sum(2) + same.view(B, T, -1)
        context = F.embedding(ids.index_select(2, self.context_columns) + self.context_starts, self.context_table)
        context = context.view(B, T, 2, -1).sum(2)
        return bias.split(N_CELLS, dim=2), context.split(self.net.config.width, dim=2)

    def related_logits(self, voice: int, hidden: Tensor, references: Tensor) -> Tensor:
        """Return a melodic voice's logits (B, T, N_CELLS) of pitches and relations; references (B, T, n_relations)."""
        place = references + self.get_buffer(f"related_starts_{voice}")
        place = F.embedding(place, self.get_buffer(f"related_{voice}")).long()  # (B, T, relations, N_CELLS)
        logits = self.speak[voice](hidden)
        return logits[..., :N_CELLS] + logits.gather(2, place.flatten(2)).view(place.shape).sum(2)

    def slot_hints(self, ids: Tensor, slots: Tensor, unused: Tensor) -> tuple[Tensor, ...]:
        """Return what plan, recall and the last instrument add to each column's logits, (B, T, 16)."""
        B, T, _ = ids.shape
        place = ids.index_select(2, self.slot_class_columns) * (PALETTE_SLOTS + 1) + slots[..., 6:]  # reference, recall
        place = torch.cat([place, slots[..., 3:6]], dim=2) + self.rank_starts
        rank = F.embedding(place, self.rank_table).view(B, T, 3, -1).sum(2) + unused
        return rank.split(PALETTE_SLOTS, dim=2)

    def forward(
        self,
        ids: Tensor,
        slots: Tensor,
        positions: Tensor,
        song: Tensor,
        slot_vectors: Tensor,
        slot_keys: Tensor,
        slot_words: Tensor,
        unused: Tensor,
        event_push: Tensor,
        pitch_bias: Tensor,
        pitch_push: Tensor,
        slot_push: Tensor,
        floors: Tensor,
        guidance: Tensor,
        length: Tensor,
        *past: Tensor,
    ) -> tuple[Tensor, ...]:
        """See INPUTS and OUTPUTS."""
        head, width = self.net.head, song.shape[-1]
        state, present = self.trunk(self.embed(ids, slots, song, slot_vectors), positions, length, past)
        bias, context = self.cell_hints(ids)
        rank = self.slot_hints(ids, slots, unused)
        first = COLUMN["held_P1"]
        held = (ids[..., first : first + 4] + N_CELLS).split(1, dim=2)
        events = event_push.split(3, dim=2)
        biases, pushes = (tensor.split(N_CELLS - ONSET_ID, dim=2) for tensor in (pitch_bias, pitch_push))
        slot_pushes = slot_push.split(PALETTE_SLOTS, dim=2)
        known = ids.index_select(2, self.known_columns).split(2, dim=2)
        heard: list[Tensor] = []
        keys = slot_keys.split(PALETTE_SLOTS, dim=2)
        words = slot_words.split(PALETTE_SLOTS + 1, dim=1)
        pitch_floor, slot_floor = floors.split(1)
        cells: list[Tensor] = [positions] * 4
        chosen: list[Tensor] = [positions] * 3
        cell_bits: list[Tensor] = [state] * 4
        slot_bits: list[Tensor] = [state] * 3
        for voice in HEAD_ORDER:
            hidden = F.gelu(head.hidden[voice](head.norm[voice](state + context[voice])))
            if voice == 3:
                log_p = (self.speak[voice](hidden) + bias[voice][..., : VOICE_CELLS[voice]]).log_softmax(-1)
                cell = (guided(log_p, guidance) + events[voice]).argmax(-1, keepdim=True)
            else:
                references = torch.cat([known[len(heard)], *heard], dim=2)
                log_p = (self.related_logits(voice, hidden, references) + bias[voice]).log_softmax(-1)
                cell = sample_cell(guided(log_p, guidance), events[voice], biases[voice], pushes[voice], pitch_floor)
            cells[voice] = cell
            cell_bits[voice] = log_p.gather(2, cell)
            spoken = torch.where(cell == HOLD_ID, held[voice], cell)  # rows of cell_words
            heard.append(spoken)
            state = state + F.embedding(spoken, self.get_buffer(f"cell_words_{voice}")).squeeze(2)
            if voice in SLOT_COLUMN:
                column = SLOT_COLUMN[voice]
                query = head.query[column](hidden) + F.embedding(cell, self.get_buffer(f"cell_queries_{column}")).squeeze(2)
                log_p = (query @ keys[column] + rank[column]).log_softmax(-1)
                slot = sample_slot(guided(log_p, guidance), slot_pushes[column], slot_floor)
                onset = cell >= ONSET_ID
                slot_bits[column] = log_p.gather(2, slot)
                chosen[column] = torch.where(onset, slot, -1)
                index = torch.where(onset, slot, NO_SLOT).expand(-1, -1, width)
                state = state + torch.gather(words[int(voice == 3)], 1, index)
        slots_chosen = torch.cat(chosen, dim=2)
        begun = (slots_chosen >= 0).to(state.dtype) * (-1 / math.log(2))
        kind = ids[..., COLUMN["class_P1"] : COLUMN["class_P1"] + 4]
        return (
            torch.cat(cells, dim=2),
            slots_chosen,
            torch.cat(cell_bits, dim=2) * self.free[kind],
            torch.cat(slot_bits, dim=2) * begun,
            *present,
        )


def _scaled(qkv: nn.Linear, width: int) -> nn.Linear:
    """Return a projection with the scale of attention in its queries."""
    out = nn.Linear(qkv.in_features, qkv.out_features, bias=False)
    with torch.no_grad():
        weight = qkv.weight.detach().clone()
        weight[: qkv.out_features // 3] *= width**-0.5
        out.weight.copy_(weight)
    return out


def _with_relations(cell: nn.Linear, related: Related) -> nn.Linear:
    """Return one layer for the logits of pitches, those of relations, and a last one that is always 0."""
    out = nn.Linear(cell.in_features, cell.out_features + related.count + 1)
    with torch.no_grad():
        for name in ("weight", "bias"):
            parts = [getattr(cell, name), getattr(related.logits, name)]
            getattr(out, name).copy_(torch.cat([*parts, torch.zeros_like(parts[0][:1])]))
    return out


def _related_tables(net: RowModel) -> dict[str, Tensor]:
    """Return for each melodic voice where its logits by relation stand, in the numbering of cell_words, and where relations begin."""
    tables = {}
    for voice, relations in RELATIONS.items():
        related = net.head.related[str(voice)]
        ends = [*related.starts[1:].tolist(), len(related.index)]
        parts = [related.index[a:b] for a, b in zip(related.starts.tolist(), ends, strict=True)]
        for place, relation in enumerate(relations):
            if relation.startswith(("over", "beside")):  # a cell, or a hold of what was held
                parts[place] = torch.cat([parts[place][:N_CELLS], parts[place]])
        tables[f"related_{voice}"] = (torch.cat(parts) + N_CELLS).to(torch.int16)
        tables[f"related_starts_{voice}"] = torch.tensor([0, *(len(part) for part in parts)][:-1]).cumsum(0)
    return tables


@torch.no_grad()
def _tables(net: RowModel) -> dict[str, Tensor]:
    """Return the head's look-up tables, those of all voices below one another, and where each begins."""
    head = net.head
    kinds, cells, slots = len(PLAN_CLASSES) + 1, N_CELLS + 1, PALETTE_SLOTS
    kind, cell = torch.arange(kinds).repeat_interleave(cells), torch.arange(cells).repeat(kinds)
    strength, event = torch.arange(N_STRENGTHS).repeat_interleave(3), torch.arange(3).repeat(N_STRENGTHS)
    group = torch.clamp(torch.arange(N_CELLS), max=ONSET_ID)
    bias = [head.reference_bias(voice, cell, kind) for voice in range(4)]
    bias = [F.pad(part, (0, N_CELLS - part.shape[-1])) for part in bias]
    bias += [head.recalled_event[voice][strength, event][:, group] for voice in range(4)]
    # Nothing to recall is class 0, which never meets an event while training: its rows are those of the first weights, zero.
    for part in bias[4:]:
        part[:3] = 0
    chord = torch.arange(N_CHORDS + 1)
    bias += [head.chord_bias(voice, chord) for voice in range(3)]
    bias.append(torch.zeros(N_CHORDS + 1, N_CELLS))  # the noise
    index = torch.arange(slots)
    slot_kind = torch.zeros(3, kinds, slots + 1, slots)
    slot_kind[:, :, index, index] = head.slot_reference[..., None]
    slot_recall = torch.zeros(3, N_STRENGTHS, slots + 1, slots)
    slot_recall[:, :, index, index] = head.recalled_slot[..., None]
    slot_last = torch.zeros(3, slots + 1, slots)
    slot_last[:, index, index] = head.slot_last[:, None]
    slot_last += head.slot_rank[:, None]
    rank = [*slot_kind.flatten(1, 2), *slot_recall.flatten(1, 2), *slot_last]
    context = [table.weight for table in head.reference] + [table.weight for table in head.kind]
    voices = ("P1", "P2", "TR", "NO")

    def columns(*names: str, of: tuple[str, ...] = voices) -> Tensor:
        return torch.tensor([COLUMN[f"{name}_{voice}"] for name in names for voice in of])

    def starts(parts: list[Tensor]) -> Tensor:
        return torch.tensor([0, *(len(part) for part in parts)][:-1]).cumsum(0)

    free = torch.full((kinds,), -1 / math.log(2))
    free[list(FIXED_CLASSES)] = 0
    tables = {
        "class_columns": torch.cat([columns("class", "strength"), torch.full((4,), CHORD)]),
        "cell_columns": torch.cat([columns("reference", "recall"), torch.full((4,), CHORD)]),
        "cell_tops": torch.tensor([N_CELLS] * 4 + [ONSET_ID] * 4 + [N_CHORDS] * 4),
        "class_steps": torch.tensor([cells] * 4 + [3] * 4 + [0] * 4),
        "bias_table": torch.cat(bias),  # (4 * kinds * cells + 4 * strengths * 3 + 4 * (N_CHORDS + 1), N_CELLS)
        "bias_starts": starts(bias),
        "same": F.pad(torch.eye(N_CELLS), (0, 0, 0, 1)),  # a cell, or none, to (N_CELLS,)
        "same_weights": head.recalled_cell.detach().reshape(-1, 1),
        "strength_starts": torch.arange(4) * N_STRENGTHS,
        "context_columns": columns("reference", "class"),
        "context_table": torch.cat(context),  # (4 * cells + 4 * kinds, W)
        "context_starts": starts(context),
        "slot_class_columns": columns("class", "strength", of=SLOT_VOICE_NAMES),
        "rank_table": torch.cat(rank),  # (3 * kinds * 17 + 3 * strengths * 17 + 3 * 17, 16)
        "rank_starts": starts(rank),
        "free": free,
        "words": torch.cat([net.table.weight, net.told.words.weight]),
        "told_words": (net.told.table + N_IDS).to(torch.int16).unsqueeze(1),
        "known_columns": torch.tensor([column for v in HEAD_ORDER[:3] for column in (COLUMN[RELATIONS[v][0]], CHORD)]),
        **_related_tables(net),
    }
    for voice in range(4):  # a cell spoken and what sounds after it; from N_CELLS on: a hold of what was held
        said, sounds = head.said[voice].weight, head.sounds[voice].weight
        room = (0, 0, 0, N_CELLS - len(said))
        tables[f"cell_words_{voice}"] = torch.cat([F.pad(said + sounds, room), said[HOLD_ID] + sounds])
    for column in range(3):
        tables[f"cell_queries_{column}"] = head.pitch_query[column].weight @ head.query[column].weight.T
    return tables


def guided(log_p: Tensor, guidance: Tensor) -> Tensor:
    """Return for each piece the sum of all pieces' log probabilities (B, T, n), times its row of guidance (B, B)."""
    return (guidance @ log_p.transpose(0, 1)).transpose(0, 1)


def sample_cell(log_p: Tensor, event_push: Tensor, pitch_bias: Tensor, pitch_push: Tensor, floor: Tensor) -> Tensor:
    """Draw hold, rest or onset as the model says, then the pitch among the onsets, cooler and filtered; (B, T, 1).

    A filter on the cell as a whole would be wrong: hold is so likely that onsets would fall under it.
    """
    gaps, onsets = log_p.split([ONSET_ID, N_CELLS - ONSET_ID], dim=2)
    onsets = onsets + pitch_bias
    event = (torch.cat([gaps, onsets.logsumexp(-1, keepdim=True)], dim=-1) + event_push).argmax(-1, keepdim=True)
    keep = onsets >= onsets.amax(-1, keepdim=True) + floor
    pitch = (torch.where(keep, onsets, BLOCKED) + pitch_push).argmax(-1, keepdim=True)
    return torch.where(event == ONSET_ID, pitch + ONSET_ID, event)


def sample_slot(log_p: Tensor, push: Tensor, floor: Tensor) -> Tensor:
    """Draw an instrument, cooler and filtered; (B, T, 1)."""
    keep = log_p >= log_p.amax(-1, keepdim=True) + floor
    return (torch.where(keep, log_p, BLOCKED) + push).argmax(-1, keepdim=True)


def song_inputs(net: RowModel) -> tuple[str, ...]:
    """Return the song graph's input names."""
    return (*SONG_INPUTS, LATENT_INPUT) if net.config.latent else SONG_INPUTS


def encoder_example(batch: int = 2, beats: int = 3) -> dict[str, Tensor]:
    """Return inputs of the encoder of the right shapes and types."""
    rows = BEAT_ROWS * beats
    return {
        "ids": torch.zeros(batch, rows, len(COLUMN), dtype=torch.int64),
        "cells": torch.zeros(batch, rows, 4, dtype=torch.int64),
        "weight": torch.ones(batch, rows),
    }


def song_example(net: RowModel, batch: int = 2) -> dict[str, Tensor]:
    """Return inputs of the song graph of the right shapes and types."""
    latent = {LATENT_INPUT: torch.zeros(batch, net.config.latent)} if net.config.latent else {}
    return {
        **latent,
        "controls": torch.zeros(batch, len(net.control_offsets), dtype=torch.int64),
        "pulse": torch.zeros(batch, PALETTE_SLOTS, 4, dtype=torch.int64),
        "noise": torch.zeros(batch, PALETTE_SLOTS, 4, dtype=torch.int64),
    }


def row_example(net: RowModel, batch: int = 2, rows: int = 3, past: int = 5) -> dict[str, Tensor]:
    """Return inputs of the row graph of the right shapes and types."""
    config = net.config
    shape = (batch, config.heads, past, config.width // config.heads)
    return {
        "ids": torch.zeros(batch, rows, len(COLUMN), dtype=torch.int64),
        "slots": torch.full((batch, rows, len(SLOT_FEATURES)), NO_SLOT, dtype=torch.int64),
        "positions": (past + torch.arange(rows)).expand(batch, -1).clone(),
        "song": torch.zeros(batch, config.width),
        "slot_vectors": torch.zeros(batch, len(SLOT_FEATURES) * (PALETTE_SLOTS + 1), config.width),
        "slot_keys": torch.zeros(batch, config.entry_width, 3 * PALETTE_SLOTS),
        "slot_words": torch.zeros(batch, 2 * (PALETTE_SLOTS + 1), config.width),
        "unused": torch.zeros(batch, 1, 3 * PALETTE_SLOTS),
        "event_push": torch.zeros(batch, rows, 4 * 3),
        "pitch_bias": torch.zeros(batch, rows, 3 * 88),
        "pitch_push": torch.zeros(batch, rows, 3 * 88),
        "slot_push": torch.zeros(batch, rows, 3 * PALETTE_SLOTS),
        "floors": torch.tensor([-3.0, -3.0]),
        "guidance": torch.eye(batch),
        "length": torch.tensor([past]),
        **{f"past_{layer}": torch.zeros(shape) for layer in range(2 * config.layers)},
    }
