"""Relations of pitches: tables beside plain arithmetic, and that a relation means the same in every key."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from export.relations import DEGREES, RELATIONS, TOLD, Related, Told, related_index, told_table  # noqa: E402
from nesasset.chords import chord_root  # noqa: E402
from nesasset.features import CHORD, COLUMN, FEATURES, MAX_MOVE  # noqa: E402
from nesasset.vocabulary import N_CELLS, N_CHORDS, ONSET_ID, REST_ID, id_to_pitch, pitch_to_id  # noqa: E402

CELLS = st.integers(0, N_CELLS)
PITCHES = st.integers(ONSET_ID, N_CELLS - 1)
CHORDS = st.integers(0, N_CHORDS)


def degree(cell: int, root: int | None) -> int:
    """Return semitones of a note over a pitch class, one octave's worth, or the place for none."""
    return (id_to_pitch(cell) - root) % 12 if ONSET_ID <= cell < N_CELLS and root is not None else DEGREES - 1


def root_of(chord: int) -> int | None:
    """Return a chord's root, None for no chord and the unknown one."""
    return chord_root(chord) if 0 < chord < N_CHORDS else None


@given(CELLS, CELLS, CHORDS)
def test_what_is_told_is_the_interval(upper: int, lower: int, chord: int) -> None:
    """Each pair's word is the interval of its notes, or the degree of the chord."""
    table = told_table().view(len(TOLD), N_CELLS + 1, N_CELLS + 1)
    for number, (_, below) in enumerate(TOLD):
        if below == "chord":
            expected, found = degree(upper, root_of(chord)), table[number, upper, chord]
        else:
            known = ONSET_ID <= lower < N_CELLS
            expected, found = degree(upper, id_to_pitch(lower) if known else None), table[number, upper, lower]
        assert int(found) == number * DEGREES + expected


@given(st.sampled_from(sorted(RELATIONS)), PITCHES, CELLS, CHORDS)
def test_a_pitch_gets_what_stands_for_it(voice: int, pitch: int, other: int, chord: int) -> None:
    """A move of up to two octaves has a place of its own, a degree or interval one of twelve; what is unknown adds nothing."""
    index, starts, count = related_index(voice)
    first = 0
    for relation, start in zip(RELATIONS[voice], starts.tolist(), strict=True):
        if relation == "chord" or relation.startswith("over"):
            root = root_of(chord) if relation == "chord" else id_to_pitch(other) if ONSET_ID <= other < N_CELLS else None
            place = None if root is None else first + (id_to_pitch(pitch) - root) % 12
            found, size = index[start + (chord if relation == "chord" else other), pitch], DEGREES - 1
        else:
            move = pitch - other
            near = ONSET_ID <= other < N_CELLS and abs(move) <= MAX_MOVE
            place, found, size = (first + move + MAX_MOVE if near else None), index[start + other, pitch], 2 * MAX_MOVE + 1
        assert int(found) == (count if place is None else place)
        first += size
    assert first == count
    assert (index[:, :ONSET_ID] == count).all()  # hold and rest are no pitches


def token(semitones: int) -> torch.Tensor:
    """Return a token's features, all notes and the chord moved by semitones."""
    ids = torch.zeros(1, 1, len(FEATURES), dtype=torch.int64)
    for name, pitch in (("last_P1", 72), ("last_P2", 64), ("last_TR", 43), ("held_P1", 72), ("held_P2", 64), ("held_TR", 43)):
        ids[..., COLUMN[name]] = pitch_to_id(pitch + semitones)
    ids[..., CHORD] = 1 + semitones % 12
    return ids


@pytest.mark.parametrize("voice", sorted(RELATIONS))
def test_relations_are_the_same_in_every_key(voice: int) -> None:
    """Moved by a fourth, a token tells the same and gives each moved pitch the same logit."""
    torch.manual_seed(0)
    related, told = Related(voice, 8), Told(8)
    hidden = torch.randn(1, 1, 8)
    outs = []
    for semitones in (0, 5):
        heard = {v: torch.tensor([[pitch_to_id(p + semitones)]]) for v, p in ((2, 43), (0, 74))}
        outs.append(related(hidden, token(semitones), heard)[0, 0])
    assert torch.equal(told(token(0)), told(token(5)))
    low, high = pitch_to_id(50), pitch_to_id(80)
    assert torch.allclose(outs[0][low:high], outs[1][low + 5 : high + 5])
    assert outs[0][low:high].std() > 0


def test_silence_below_adds_nothing() -> None:
    """An interval over a voice that rests is no interval."""
    torch.manual_seed(0)
    related = Related(0, 8)
    with torch.no_grad():
        related.logits.weight[: 2 * MAX_MOVE + 1 + DEGREES - 1] = 0  # all but the intervals over the triangle
        related.logits.bias[: 2 * MAX_MOVE + 1 + DEGREES - 1] = 0
    out = related(torch.randn(1, 1, 8), token(0), {2: torch.tensor([[REST_ID]])})
    assert (out == 0).all()
