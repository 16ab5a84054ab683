"""NES-MDB's expressive and separated scores (`*.exprsco.pkl`, `*.seprsco.pkl`), read and written without its package.

A score is a Python 2 pickle of (rate, number of samples, array): rate in slots a second (24.0 in the published set),
length in samples of 44 100 Hz, and uint8 values for each slot and voice P1, P2, TR, NO. Expressive: (note, velocity,
timbre), array (N, 4, 3). Separated: the note alone, array (N, 4).

A note is a MIDI number, 0 when silent. The noise note is 16 minus the index into the chip's period table: 1 is the
lowest hiss (index 15), 16 the highest (index 0); so nesmdb's score/rawsco.py computes it. Velocity is the volume, timbre
the duty of a pulse and the mode of the noise; the triangle has neither.

A pickle is a program that may call anything, so two gates stand before it. First its opcodes are read without being run:
only those that build numbers, strings and tuples, call and fill pass, with sizes that the file itself bears out. Then an
unpickler resolves the three names that a numpy array needs to stand-ins of ours, which only remember what they are given;
numpy itself never sees the file. Any other name is refused, and the error tells it.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesasset.errors import FormatError
from nesasset.formats import files
from nesasset.formats.sounding import sounding_notes
from nesasset.score import Score
from nesasset.units import FRAME_RATE_HZ, NOISE_PERIODS, VOICE_NAMES, VOICES

SAMPLE_RATE_HZ: Final = 44_100  # of n_samples, whatever the rate of the slots
MAX_BYTES: Final = 32 * 1024 * 1024  # the largest of the published set has under 1 MiB
MAX_SLOTS: Final = 4_000_000
_MAX_OPCODES: Final = 1000  # a score takes some sixty
_NOTE, _VELOCITY, _TIMBRE = 0, 1, 2

# Opcodes that make numbers, strings, tuples and the calls of a numpy array. Missing on purpose: everything of dicts,
# lists, sets and buffers, and sizes of eight bytes. Without a dict, BUILD cannot set an attribute of anything.
_OPCODES: Final = frozenset(
    {
        "MARK", "STOP", "PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET",
        "POP", "POP_MARK", "DUP", "INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "FLOAT", "BINFLOAT", "NONE",
        "NEWTRUE", "NEWFALSE", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE",
        "BINUNICODE", "SHORT_BINUNICODE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "GLOBAL",
        "STACK_GLOBAL", "REDUCE", "BUILD",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class NesmdbScore:
    """An expressive or separated score of NES-MDB."""

    rate_hz: float
    """Slots a second."""
    n_samples: int
    """Length in samples of 44 100 Hz."""
    values: NDArray[np.uint8]
    """Expressive: shape (n_slots, 4, 3), note, velocity, timbre. Separated: shape (n_slots, 4), note."""

    def __post_init__(self) -> None:
        _check(self)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, NesmdbScore)
            and (self.rate_hz, self.n_samples) == (other.rate_hz, other.n_samples)
            and np.array_equal(self.values, other.values)
        )

    __hash__ = None  # type: ignore[assignment]  # an array inside

    @property
    def is_expressive(self) -> bool:
        """Whether velocity and timbre are there."""
        return self.values.ndim == 3

    @property
    def separated(self) -> NesmdbScore:
        """The same score with notes only."""
        return NesmdbScore(self.rate_hz, self.n_samples, self.values[:, :, _NOTE]) if self.is_expressive else self


def loads(data: bytes) -> NesmdbScore:
    """Return the score that a pickle holds; nothing in the pickle is called. Inverse of `dumps`.

    Raises:
        FormatError: The bytes are no such pickle, ask for a name that a score does not need, or break a rule.
    """
    with warnings.catch_warnings():
        # A string with a wrong escape, in a damaged file, is told to the developer of the pickle module's caller.
        warnings.simplefilter("ignore", DeprecationWarning)
        _check_opcodes(data)
        found = _unpickle(data)
    if not (isinstance(found, tuple) and len(found) == 3):
        raise FormatError(f"a NES-MDB score must be a tuple of rate, samples and array, not {type(found).__name__}")
    rate_hz, n_samples, array = found
    if type(rate_hz) not in (int, float) or type(n_samples) is not int or not isinstance(array, _Array):
        kinds = ", ".join(type(item).__name__ for item in found)
        raise FormatError(f"a NES-MDB score must be a number, a whole number and an array, not {kinds}")
    return NesmdbScore(float(max(-1, min(rate_hz, 10**9))), n_samples, _to_array(array))


def dumps(score: NesmdbScore) -> bytes:
    """Return the pickle of a score, byte for byte as Python 2 wrote the published files. Inverse of `loads`."""
    shape = "".join(f"I{size}\n" for size in score.values.shape)
    raw = repr(score.values.tobytes())[1:]  # Python 2's repr of a str is Python 3's of bytes, less the b
    text = (
        f"(F{score.rate_hz:.17g}\nI{score.n_samples}\n"
        "cnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntS'b'\ntRp3\n"
        f"(I1\n({shape}tcnumpy\ndtype\np4\n(S'u1'\nI0\nI1\ntRp5\n(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS{raw}\ntbtp6\n."
    )
    return text.encode("ascii")


def load(path: str | os.PathLike[str]) -> NesmdbScore:
    """Read an expressive or separated score. Inverse of `save`.

    Raises:
        FormatError: As `loads`, or the file cannot be read, or its name says the other kind; names the file.
    """
    data = files.read_bytes(path, MAX_BYTES)
    try:
        score = loads(data)
        _check_name(score, path)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)}: {error}") from error
    return score


def save(score: NesmdbScore, path: str | os.PathLike[str]) -> None:
    """Write an expressive or separated score, whole or not at all.

    Raises:
        FormatError: The file's name says the other kind.
        OutputError: The file cannot be written.
    """
    _check_name(score, path)
    files.write_bytes(path, dumps(score))


def score_to_nesmdb(score: Score, rate_hz: float = 24.0) -> NesmdbScore:
    """Return one pass of a score as an expressive score.

    Each slot takes the note, velocity and timbre that sound for most of its time, silence only when nothing sounds: the
    rule by which the published set was made from finer data.

    Args:
        score: The score; its loop has no place in the format.
        rate_hz: Slots a second, 1 to 60.

    Raises:
        FormatError: rate_hz is out of range.
    """
    if not 1 <= rate_hz <= FRAME_RATE_HZ:
        raise FormatError(f"rate_hz must be between 1 and {FRAME_RATE_HZ}, not {rate_hz!r}")
    frames = np.zeros((score.n_frames, len(VOICES), 3), dtype=np.uint8)
    for column, voice in enumerate(VOICES):
        for sounding in sounding_notes(score, voice):
            instrument, pitch = sounding.instrument, sounding.note.pitch
            volumes = np.array(sounding.volumes(), dtype=np.uint8)
            span = frames[sounding.onset_frame : sounding.end_frame, column]
            span[:, _NOTE] = np.where(volumes > 0, NOISE_PERIODS - instrument.period if pitch is None else pitch, 0)
            span[:, _VELOCITY] = 0 if voice == "TR" else volumes
            span[:, _TIMBRE] = {"pulse": instrument.duty, "noise": instrument.mode, "triangle": 0}[instrument.kind]
    n_samples = score.n_frames * SAMPLE_RATE_HZ // FRAME_RATE_HZ
    n_slots = int(n_samples * rate_hz / SAMPLE_RATE_HZ)  # the product first: 123 frames at 60 slots are 123, not 122.99…
    values = np.zeros((n_slots, len(VOICES), 3), dtype=np.uint8)
    for slot in range(n_slots):
        first, end = slot * FRAME_RATE_HZ / rate_hz, (slot + 1) * FRAME_RATE_HZ / rate_hz
        for column in range(len(VOICES)):
            values[slot, column] = _most_heard(frames[:, column], first, end)
    return NesmdbScore(float(rate_hz), n_samples, values)


def _most_heard(frames: NDArray[np.uint8], first: float, end: float) -> tuple[int, ...]:
    """Return the values that hold for the longest part of [first, end) frames; a sounding one wins over silence."""
    time: dict[tuple[int, ...], float] = {}
    for frame in range(int(first), min(math.ceil(end), len(frames))):
        key = tuple(int(value) for value in frames[frame])
        time[key] = time.get(key, 0.0) + min(frame + 1, end) - max(frame, first)
    return max(time, key=lambda key: (key[_NOTE] > 0, time[key]))  # the first of equals


class _Array:
    """Stand-in for a numpy array: keeps the state that the pickle gives it and does nothing."""

    state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Dtype:
    """Stand-in for a numpy dtype."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Byte order and the like: one byte has none."""


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _encode(text: object, encoding: object) -> bytes:
    """Stand in for _codecs.encode, by which Python 3 writes bytes into pickles of protocol 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise FormatError("the pickle is damaged: bytes must be text in latin1")
    return text.encode("latin1")


class _ArrayClass:
    """Stand-in for the class numpy.ndarray, which the pickle only names."""


_STAND_INS: Final[dict[tuple[str, str], Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # numpy 2
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        found = _STAND_INS.get((module_name, global_name))
        if found is None:
            raise FormatError(
                f"the pickle asks for {module_name[:60]}.{global_name[:60]}, and a score needs numpy arrays, numbers and "
                "strings only; do not open this file elsewhere"
            )
        return found


def _unpickle(data: bytes) -> object:
    """Return what the pickle builds from numbers, strings, tuples and our stand-ins."""
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except FormatError:
        raise
    except (
        pickle.UnpicklingError,
        EOFError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        OverflowError,
    ) as error:
        # What the pickle module lets out for a damaged file ("may also raise AttributeError, EOFError, IndexError ...").
        raise FormatError(f"the pickle is damaged: {str(error)[:120]}") from error


def _check_opcodes(data: bytes) -> None:
    """Raise FormatError unless every opcode is on the list and no memo index is larger than the file."""
    if len(data) > MAX_BYTES:
        raise FormatError(f"a NES-MDB score must have at most {MAX_BYTES} bytes, and this one has more")
    try:
        opcodes = pickletools.genops(data)  # tests announced sizes against the data
        for number, (opcode, argument, position) in enumerate(opcodes):
            if number == _MAX_OPCODES:
                raise FormatError(f"the pickle has more than {_MAX_OPCODES} opcodes, and a score needs some sixty")
            if opcode.name not in _OPCODES:
                raise FormatError(f"the pickle has the opcode {opcode.name} at byte {position}, which no score needs")
            if isinstance(argument, int) and opcode.name.endswith("PUT") and not 0 <= argument <= len(data):
                # The unpickler's memo is an array up to the highest index: four bytes could ask for 64 GiB.
                raise FormatError(f"the pickle has a memo index of {argument} at byte {position}; the file is damaged")
    except (ValueError, EOFError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"the file is no pickle or is damaged: {str(error)[:120]}") from error


def _to_array(array: _Array) -> NDArray[np.uint8]:
    """Return the values of an array's state: (version, shape, dtype, Fortran order, bytes)."""
    state = array.state
    if not (isinstance(state, tuple) and len(state) == 5):
        raise FormatError("the array in the pickle is damaged: it must have five parts")
    _, shape, dtype, fortran, raw = state
    if not isinstance(dtype, _Dtype) or dtype.code not in ("u1", b"u1"):
        raise FormatError("the array in the pickle must be of uint8")
    if not (
        isinstance(shape, tuple) and len(shape) in (2, 3) and all(type(size) is int and size >= 0 for size in shape)
    ):
        raise FormatError("the array in the pickle must have the shape (N, 4, 3) or (N, 4)")
    if isinstance(raw, str):
        try:
            raw = raw.encode("latin1")
        except UnicodeEncodeError as error:
            raise FormatError("the array in the pickle is damaged: its bytes are text") from error
    if not isinstance(raw, bytes) or len(raw) != math.prod(shape):
        raise FormatError(
            f"the array in the pickle is damaged: it must have as many bytes as its shape {str(shape)[:60]} says"
        )
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape, order="F" if fortran else "C").copy(order="C")


def _check(score: NesmdbScore) -> None:
    """Raise FormatError naming the place of the first broken rule; ranges as measured over the published set."""
    values = score.values
    if not (math.isfinite(score.rate_hz) and 1 <= score.rate_hz <= SAMPLE_RATE_HZ):
        raise FormatError(f"the rate must be between 1 and {SAMPLE_RATE_HZ} slots a second, not {score.rate_hz!r}")
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or values.shape[1:] not in ((4, 3), (4,)):
        raise FormatError(f"the array must be uint8 of shape (N, 4, 3) or (N, 4), not {values.dtype} of {values.shape}")
    if len(values) > MAX_SLOTS:
        raise FormatError(f"a NES-MDB score must have at most {MAX_SLOTS} slots, not {len(values)}")
    if not 0 <= score.n_samples <= MAX_SLOTS * SAMPLE_RATE_HZ:
        raise FormatError(
            f"the length must be between 0 and {MAX_SLOTS * SAMPLE_RATE_HZ} samples, not {score.n_samples}"
        )
    notes = values[..., _NOTE] if values.ndim == 3 else values
    # nesmdb keeps notes 21 to 108 of any melodic voice; the chip's own ranges are in units.PITCH_RANGES.
    _check_range("note", notes[:, :3], 21, 108, or_zero=True)
    _check_range("note", notes[:, 3:], 0, NOISE_PERIODS, first_voice=3)
    if values.ndim == 3:
        _check_range("velocity", values[:, :, _VELOCITY], 0, 15)
        _check_range("timbre", values[:, :, _TIMBRE], 0, 3)


def _check_range(
    label: str, values: NDArray[np.uint8], low: int, high: int, or_zero: bool = False, first_voice: int = 0
) -> None:
    bad = ((values < low) | (values > high)) & ~((values == 0) & or_zero)
    if bad.any():
        slot, column = (int(index) for index in np.argwhere(bad)[0])
        allowed = f"{'0 or ' if or_zero else ''}between {low} and {high}"
        voice = VOICE_NAMES[VOICES[first_voice + column]]
        raise FormatError(f"slot {slot}, {voice}: {label} must be {allowed}, not {int(values[slot, column])}")


def _check_name(score: NesmdbScore, path: str | os.PathLike[str]) -> None:
    name = os.path.basename(os.fspath(path)).lower()
    for suffix, expressive in ((".exprsco.pkl", True), (".seprsco.pkl", False)):
        if name.endswith(suffix) and score.is_expressive is not expressive:
            kind = "an expressive" if score.is_expressive else "a separated"
            raise FormatError(f"a file named *{suffix} must not hold {kind} score; rename it")
