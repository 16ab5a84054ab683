"""How a pitch stands to others: the move from the voice's last note, the degree of the chord, the interval over another voice.

A network that knows pitches by number alone has to learn each interval once for every pair of notes. Here the trunk is told
degrees and intervals, and the head speaks them: besides logits for each pitch it has some for each move, degree and
interval, and a pitch gets the sum of what stands for it. Melodies are written in steps, so a step has to be one thing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nesasset.chords import chord_root
from nesasset.features import CHORD, COLUMN, MAX_MOVE, NO_MOVE
from nesasset.vocabulary import LOWEST_PITCH, N_CELLS, N_CHORDS, ONSET_ID

DEGREES = 13  # semitones over a root or a note, modulo 12, and 12 for none
MOVES = NO_MOVE  # -24 to 24

# What the head of a melodic voice relates a pitch to, by what is known when it speaks: TR, then P1, then P2.
RELATIONS = {
    2: ("last_TR", "chord"),
    0: ("last_P1", "chord", "over_TR"),
    1: ("last_P2", "chord", "over_TR", "beside_P1"),
}
# What the trunk is told of the row before: pairs of columns, the second a chord or the lower voice.
TOLD = (
    ("last_P1", "chord"),
    ("last_P2", "chord"),
    ("last_TR", "chord"),
    ("held_P1", "held_TR"),
    ("held_P2", "held_TR"),
    ("held_P2", "held_P1"),
)


def _interval(cells: Tensor, roots: Tensor) -> Tensor:
    """Return semitones of cells over cells modulo 12, DEGREES - 1 where one of them is no note."""
    known = (cells >= ONSET_ID) & (cells < N_CELLS) & (roots >= ONSET_ID) & (roots < N_CELLS)
    return torch.where(known, (cells - roots) % 12, DEGREES - 1)


def _root_cells() -> Tensor:
    """Return a cell id of each chord's root, 0 (no note) for no chord and for an unknown one."""
    roots = [(chord_root(chord) - LOWEST_PITCH) % 12 + ONSET_ID for chord in range(1, N_CHORDS)]
    return torch.tensor([0, *roots, 0])


def told_table() -> Tensor:
    """Return the embedding row for each pair, flat: first by the pairs of TOLD, then by the upper note, then by the lower or chord.

    Shape (len(TOLD) * (N_CELLS + 1) ** 2,); chords take the first places of the last axis.
    """
    notes = torch.arange(N_CELLS + 1)
    chords = F.pad(_root_cells(), (0, N_CELLS + 1 - (N_CHORDS + 1)))
    parts = []
    for number, (_, lower) in enumerate(TOLD):
        roots = chords if lower == "chord" else notes
        parts.append(number * DEGREES + _interval(notes[:, None], roots[None]).flatten())
    return torch.cat(parts)


class Told(nn.Module):
    """Adds what the notes of the row before are to each other and to this row's chord."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(len(TOLD) * DEGREES, width)
        table = told_table().to(torch.int32)  # not int16: gloo, which keeps processes alike, knows none
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("upper", torch.tensor([COLUMN[upper] for upper, _ in TOLD]), persistent=False)
        self.register_buffer("lower", torch.tensor([COLUMN[lower] for _, lower in TOLD]), persistent=False)
        self.register_buffer("starts", torch.arange(len(TOLD)) * (N_CELLS + 1) ** 2, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T, n_features) to (B, T, W)."""
        place = ids.index_select(2, self.upper) * (N_CELLS + 1) + ids.index_select(2, self.lower) + self.starts
        return self.words(self.table[place].long()).sum(2)


def related_index(voice: int) -> tuple[Tensor, Tensor, int]:
    """Return where a voice's relative logits stand for each pitch.

    Returns:
        index: (n_references, N_CELLS) places among the relative logits, the number of them for none; the references of all
            relations below one another.
        starts: (n_relations,) the first reference of each relation.
        count: How many relative logits there are.
    """
    pitch = torch.arange(N_CELLS)
    parts, starts, count, rows = [], [], 0, 0
    for relation in RELATIONS[voice]:
        references = _root_cells() if relation == "chord" else torch.arange(N_CELLS + 1)
        known = (references >= ONSET_ID) & (references < N_CELLS)
        difference = pitch - references[:, None]
        if relation == "chord" or relation.startswith("over"):
            size, place = DEGREES - 1, difference % (DEGREES - 1)
        else:
            size, place = MOVES, difference + MAX_MOVE
            place = torch.where((place >= 0) & (place < MOVES), place, -1)
        place = torch.where(known[:, None] & (pitch >= ONSET_ID) & (place >= 0), place + count, -1)
        parts.append(place)
        starts.append(rows)
        count, rows = count + size, rows + len(references)
    index = torch.cat(parts)
    return torch.where(index < 0, count, index), torch.tensor(starts), count


class Related(nn.Module):
    """The logits of a melodic voice by relation, summed for each pitch."""

    def __init__(self, voice: int, width: int) -> None:
        super().__init__()
        index, starts, count = related_index(voice)
        self.voice, self.count = voice, count
        self.logits = nn.Linear(width, count)
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("starts", starts, persistent=False)

    def references(self, ids: Tensor, heard: dict[int, Tensor]) -> Tensor:
        """Return what each relation refers to, (B, T, n_relations): ids of the token, and what sounds of voices that have spoken."""
        columns = []
        for relation in RELATIONS[self.voice]:
            if relation.startswith(("over", "beside")):
                columns.append(heard[2 if relation.endswith("TR") else 0])
            else:
                columns.append(ids[..., CHORD if relation == "chord" else COLUMN[relation]])
        return torch.stack(columns, dim=2)

    def forward(self, hidden: Tensor, ids: Tensor, heard: dict[int, Tensor]) -> Tensor:
        """Return what is added to the logits, (B, T, N_CELLS).

        Args:
            hidden: (B, T, H).
            ids: (B, T, n_features).
            heard: For voices that have spoken in this row, the onset id that sounds, (B, T); REST_ID for none.
        """
        place = self.index[self.references(ids, heard) + self.starts]  # (B, T, relations, N_CELLS)
        padded = F.pad(self.logits(hidden), (0, 1))
        return padded.gather(2, place.flatten(2)).view(place.shape).sum(2)
