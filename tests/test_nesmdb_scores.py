"""NES-MDB's pickles: read as the dataset's readers would, written byte for byte, and never run."""

from __future__ import annotations

import os
import pickle
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import scores

from nesasset.errors import FormatError, NesassetError
from nesasset.formats import nesmdb_scores
from nesasset.formats.nesmdb_scores import NesmdbScore
from nesasset.formats.sounding import sounding_notes
from nesasset.score import REST, Score

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "nesmdb24_valid.tar.xz"


def any_score(n_slots: int, seed: int, expressive: bool = True) -> NesmdbScore:
    """Return a score of random allowed values."""
    generator = np.random.default_rng(seed)
    values = np.stack(
        [
            generator.integers(20, 109, (n_slots, 4)),
            generator.integers(0, 16, (n_slots, 4)),
            generator.integers(0, 4, (n_slots, 4)),
        ],
        axis=2,
    )
    values[:, :3, 0][values[:, :3, 0] == 20] = 0
    values[:, 3, 0] %= 17
    values = values.astype(np.uint8)
    return NesmdbScore(24.0, n_slots * 1837, values if expressive else values[:, :, 0])


@given(st.integers(0, 40), st.integers(0, 2**32), st.booleans())
@settings(max_examples=60)
def test_out_and_back(n_slots: int, seed: int, expressive: bool) -> None:
    """Every score comes back equal from its pickle."""
    score = any_score(n_slots, seed, expressive)
    assert nesmdb_scores.loads(nesmdb_scores.dumps(score)) == score


@pytest.mark.parametrize("expressive", [True, False])
def test_python_reads_what_we_write(expressive: bool) -> None:
    """Python's own unpickler with numpy gives the same rate, length and array, as nesmdb's users load it."""
    score = any_score(30, 1, expressive)
    rate, n_samples, values = pickle.loads(nesmdb_scores.dumps(score), encoding="latin1")
    assert (rate, n_samples) == (24.0, 30 * 1837)
    assert np.array_equal(values, score.values)


@pytest.mark.parametrize("protocol", range(5))
def test_reads_what_python_writes(protocol: int) -> None:
    """Pickles of every protocol that today's Python and numpy write are read."""
    score = any_score(30, 2)
    assert nesmdb_scores.loads(pickle.dumps((24.0, score.n_samples, score.values), protocol)) == score


def test_fortran_order_is_honoured() -> None:
    """An array that was pickled column by column has its values in the right places."""
    score = any_score(7, 3)
    data = pickle.dumps((24.0, score.n_samples, np.asfortranarray(score.values)), 2)
    assert nesmdb_scores.loads(data) == score


def test_bytes_are_pinned() -> None:
    """The pickle of one slot is Python 2's, opcode by opcode."""
    score = NesmdbScore(24.0, 1838, np.array([[60, 0, 48, 16]], dtype=np.uint8))
    assert (
        nesmdb_scores.dumps(score)
        == (
            b"(F24\nI1838\n"  # MARK, rate, samples
            b"cnumpy.core.multiarray\n_reconstruct\np1\n"
            b"(cnumpy\nndarray\np2\n(I0\ntS'b'\ntRp3\n"  # an empty array ...
            b"(I1\n(I1\nI4\ntcnumpy\ndtype\np4\n(S'u1'\nI0\nI1\ntRp5\n(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\n"  # ... of 1 x 4 uint8
            b"S'<\\x000\\x10'\ntbtp6\n."  # filled with 60, 0, 48, 16
        )
    )


def test_save_and_load(tmp_path: Path) -> None:
    """A saved file loads as the same score, and separated is the note column."""
    score = any_score(9, 4)
    nesmdb_scores.save(score, tmp_path / "a.exprsco.pkl")
    nesmdb_scores.save(score.separated, tmp_path / "a.seprsco.pkl")
    assert nesmdb_scores.load(tmp_path / "a.exprsco.pkl") == score
    separated = nesmdb_scores.load(tmp_path / "a.seprsco.pkl")
    assert not separated.is_expressive
    assert np.array_equal(separated.values, score.values[:, :, 0])


def test_name_and_kind_must_agree(tmp_path: Path) -> None:
    """A separated score in a file named expressive is refused, writing and reading."""
    score = any_score(9, 5, expressive=False)
    with pytest.raises(FormatError, match=r"a file named \*\.exprsco\.pkl must not hold a separated score"):
        nesmdb_scores.save(score, tmp_path / "a.exprsco.pkl")
    (tmp_path / "a.exprsco.pkl").write_bytes(nesmdb_scores.dumps(score))
    with pytest.raises(FormatError, match="must not hold a separated score"):
        nesmdb_scores.load(tmp_path / "a.exprsco.pkl")


class _Call:
    """Pickles as a call of whatever it is given."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> object:
        return self.call


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"cos\nsystem\n(S'touch pwned'\ntR.", r"os\.system"),
        (b"cposix\nsystem\n(S'touch pwned'\ntR.", r"posix\.system"),
        (b'c__builtin__\neval\n(S\'open("pwned", "w")\'\ntR.', r"__builtin__\.eval"),
        (b"cnumpy\nload\n(S'pwned'\ntR.", r"numpy\.load"),
        (b"cnumpy.testing._private.utils\nrunstring\n(S'x'\nS'y'\ntR.", r"numpy\.testing\._private\.utils\.runstring"),
        (b"cnumpy\ndtype.__class__\n(S'x'\ntR.", r"numpy\.dtype\.__class__"),
        (pickle.dumps(_Call(os.system, "touch pwned"), 4), r"(posix|nt)\.system"),
        (pickle.dumps((24.0, 1, _Call(eval, "open('pwned', 'w')")), 2), "eval"),
        (b"(i__main__\nX\n.", "opcode INST"),
        (b"}.", "opcode EMPTY_DICT"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"\x96\xff\xff\xff\xff\xff\x00\x00\x00.", "bytearray8"),
        (b"I1\nr\xff\xff\xff\x7f.", "memo index of 2147483647"),
        (b"I1\np99999999999999\n.", "memo index of 99999999999999"),
    ],
    ids=range(14),
)
def test_hostile_pickles(data: bytes, refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that asks for anything but an array is refused by name, and nothing of it runs."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match=refused):
        nesmdb_scores.loads(data)
    assert list(tmp_path.iterdir()) == []


def array_pickle(shape: str = "(I1\nI4\nt", code: str = "u1", raw: str = "<\\x000\\x10") -> bytes:
    """Return a separated score's pickle with one part changed."""
    good = nesmdb_scores.dumps(NesmdbScore(24.0, 1838, np.array([[60, 0, 48, 16]], dtype=np.uint8))).decode()
    return good.replace("(I1\nI4\nt", shape).replace("'u1'", f"'{code}'").replace("<\\x000\\x10", raw).encode("latin1")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no pickle or is damaged"),
        (b"hello", "opcode LIST at byte 2, which no score needs"),
        (b".", "damaged"),
        (b"I1\n.", "must be a tuple of rate, samples and array, not int"),
        (b"(F24\nI5\nN\nt.", "no pickle or is damaged"),
        (b"(F24\nI5\nNt.", "must be a number, a whole number and an array, not float, int, NoneType"),
        (b"(I01\nI5\nNt.", "must be a number, a whole number and an array, not bool"),
        (b"I1\n(tR.", "damaged"),
        (array_pickle(shape="(I1\nI5\nt"), "as many bytes as its shape"),
        (array_pickle(shape="(I99999999999999999999\nI4\nt"), "as many bytes as its shape"),
        (array_pickle(shape="(I-1\nI-4\nt"), "must have the shape"),
        (array_pickle(shape="(I4\nI1\nt"), r"of shape \(N, 4, 3\) or \(N, 4\), not uint8 of \(4, 1\)"),
        (array_pickle(code="O"), "must be of uint8"),
        (array_pickle(code="i8"), "must be of uint8"),
        (array_pickle(raw="<\\x000\\x11"), "slot 0, noise: note must be between 0 and 16, not 17"),
        (array_pickle(raw="\\x010\\x000"), "slot 0, pulse 1: note must be 0 or between 21 and 108, not 1"),
        (array_pickle().replace(b"F24", b"Fnan"), "rate must be between"),
        (array_pickle().replace(b"F24", b"I-" + b"9" * 400), "rate must be between"),
        (array_pickle().replace(b"I1838", b"I-1"), "length must be between"),
        (b"(" * 400 + b"t" * 400 + b".", "must be a tuple of rate"),
        (b"(" * 200_000 + b"t" * 200_000 + b".", "more than 1000 opcodes"),
    ],
    ids=range(21),
)
def test_broken_pickles(data: bytes, message: str, tmp_path: Path) -> None:
    """A damaged score is a FormatError that names the file and what is wrong."""
    path = tmp_path / "a.pkl"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.pkl: .*" + message):
        nesmdb_scores.load(path)


def test_an_array_by_name_only() -> None:
    """A pickle that only names numpy's array class does not get numpy's class, and a hostile BUILD changes nothing."""
    with pytest.raises(FormatError):
        nesmdb_scores.loads(b"cnumpy\nndarray\n(S'a'\ntb.")
    score = any_score(3, 6)
    assert nesmdb_scores.loads(nesmdb_scores.dumps(score)) == score


def test_mutated_pickles_raise_only_our_errors() -> None:
    """900 damaged pickles of three protocols load or raise a NesassetError, nothing else."""
    generator = random.Random(6)
    score = any_score(3, 7)
    refused = 0
    for data in (nesmdb_scores.dumps(score), *(pickle.dumps((24.0, 9, score.values), protocol) for protocol in (2, 4))):
        for _ in range(300):
            damaged = bytearray(data)
            for _ in range(generator.choice((1, 1, 2, 8))):
                damaged[generator.randrange(len(damaged))] = generator.choice(
                    b"(t.Rbc\n0129I" + bytes([generator.randrange(256)])
                )
            try:
                nesmdb_scores.loads(bytes(damaged))
            except NesassetError:
                refused += 1
    assert refused > 450


# From our scores


@given(scores(provenance=False))
@settings(max_examples=40, deadline=None)
def test_at_sixty_slots_nothing_is_lost(score: Score) -> None:
    """At a slot a frame, every frame has the note, volume and timbre of the score."""
    values = nesmdb_scores.score_to_nesmdb(score, 60.0).values
    expected = np.zeros((score.n_frames, 4, 2), dtype=np.uint8)
    for column, voice in enumerate(("P1", "P2", "TR", "NO")):
        for item in sounding_notes(score, voice):
            for frame, volume in enumerate(item.volumes(), start=item.onset_frame):
                note = item.note.pitch if item.note.pitch is not None else 16 - item.instrument.period
                if volume:
                    expected[frame, column] = note, 0 if voice == "TR" else volume
    assert len(values) == score.n_frames
    assert np.array_equal(values[:, :, :2], expected)


@pytest.mark.parametrize("frames", [1, 59, 123, 246, 1000])
def test_no_slot_is_lost_to_rounding(frames: int) -> None:
    """A score has as many slots at 60 a second as it has frames."""
    voices = dict.fromkeys(("P1", "P2", "TR", "NO"), (REST,) * frames)
    assert len(nesmdb_scores.score_to_nesmdb(Score(voices, (), groove=(1,)), 60.0).values) == frames


@given(scores(provenance=False))
@settings(max_examples=20, deadline=None)
def test_at_24_slots_a_sound_wins_over_silence(score: Score) -> None:
    """Each slot of 2.5 frames has a note that sounds within it, and is silent only when nothing does."""
    fine = nesmdb_scores.score_to_nesmdb(score, 60.0).values
    coarse = nesmdb_scores.score_to_nesmdb(score)
    assert (coarse.rate_hz, coarse.n_samples) == (24.0, score.n_frames * 735)
    for slot, values in enumerate(coarse.values):
        within = fine[slot * 5 // 2 : -(-(slot + 1) * 5 // 2)]
        for column in range(4):
            notes = set(within[:, column, 0].tolist())
            assert values[column, 0] in notes
            assert (values[column, 0] == 0) == (notes == {0})


# The published files, where they are at hand


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the published validation set; NESASSET_NESMDB24 names one, or the archive beside the project."""
    named = os.environ.get("NESASSET_NESMDB24")
    if named:
        return Path(named)
    if not ARCHIVE.exists():
        pytest.skip("NES-MDB's scores are not at hand; set NESASSET_NESMDB24 to a folder of them")
    folder = tmp_path_factory.mktemp("nesmdb24")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_published_files_out_and_back(published: Path) -> None:
    """Every published file loads as Python loads it, and is written again byte for byte."""
    paths = sorted(published.rglob("*sco.pkl"))
    assert paths
    for path in paths:
        score, data = nesmdb_scores.load(path), path.read_bytes()
        rate, n_samples, values = pickle.loads(data, encoding="latin1")  # the second reader
        assert (score.rate_hz, score.n_samples) == (rate, n_samples)
        assert np.array_equal(score.values, values)
        assert nesmdb_scores.dumps(score) == data


def test_published_pairs_agree(published: Path) -> None:
    """The separated file of a track is the note column of its expressive one."""
    pairs = {path.name.split(".")[0]: path for path in published.rglob("*.seprsco.pkl")}
    for path in published.rglob("*.exprsco.pkl"):
        assert nesmdb_scores.load(path).separated == nesmdb_scores.load(pairs[path.name.split(".")[0]])
