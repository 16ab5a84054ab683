"""Controls: what a caller may ask of a composition beside its theme and seed. Holds the ranges, not their effect."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from nesasset.chords import parse_chord
from nesasset.compose.form import form_text, parse_form
from nesasset.compose.motif import motif_text, parse_motif, pitch_text
from nesasset.compose.scales import SCALES, scale_mode
from nesasset.errors import ControlError, out_of_range
from nesasset.themes import MODES, REGISTERS
from nesasset.units import NOTE_NAMES, PITCH_RANGES, VOICES

BARS_RANGE: Final = (1, 512)  # ten minutes at 200 beats a minute are 500
INTRO_RANGE: Final = (0, 16)
TEMPO_RANGE_BPM: Final = (30.0, 300.0)  # 30 down to 3 frames a row at four rows a beat
SHARE_RANGE: Final = (0.0, 1.0)
SWING_RANGE: Final = (0.5, 0.75)
GUIDANCE_RANGE: Final = (0.0, 4.0)
CANDIDATES_RANGE: Final = (1, 64)
TEMPERATURE_RANGE: Final = (0.1, 2.0)
SEED_RANGE: Final = (0, 2**63 - 1)
MAX_CHORDS: Final = 256
MODEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_FLATS: Final = {"DB": "C#", "EB": "D#", "FB": "E", "GB": "F#", "AB": "G#", "BB": "A#", "CB": "B", "E#": "F", "B#": "C"}
_RANGE: Final = re.compile(r"([A-Ga-g][#b]?)(\d)\s*-\s*([A-Ga-g][#b]?)(\d)")
# For voices: short names beside the chip's.
_VOICE_NAMES: Final = {"PULSE1": "P1", "PULSE2": "P2", "TRIANGLE": "TR", "NOISE": "NO", "DRUMS": "NO", "BASS": "TR", "LEAD": "P1"}


@dataclass(frozen=True, slots=True)
class Controls:
    """Wishes for one composition; None everywhere means the theme's or the model's default."""

    bars: int | None = None
    """Length of the loop, or of a piece that ends, in bars, 1 to 512."""
    tempo_bpm: float | None = None
    """Beats a minute, 30 to 300."""
    key: str | None = None
    """Tonic: C, C#, D … B; flats (Db, Eb …) are taken and kept as sharps."""
    mode: str | None = None
    """'major' or 'minor'."""
    scale: str | None = None
    """The only notes there are, over the tonic: one of scales.SCALES, such as 'dorian'."""
    density: float | None = None
    """How busy the melodic voices are: 0 the sparsest of the training songs, 1 the busiest."""
    intensity: float | None = None
    """How much is going on, 0 to 1: moves density, drums and tempo together; what else is asked for goes before."""
    register: str | None = None
    """Where the melody lies: 'low', 'mid' or 'high'."""
    melody_range: str | None = None
    """Lowest and highest note of pulse 1, as in 'C4-C6' (C4 is middle C, MIDI 60): an octave at least."""
    swing: float | None = None
    """Share of a pair of rows that its first has: 0.5 even, 0.67 like triplets, up to 0.75."""
    intro_bars: int | None = None
    """Bars before the loop that are played once, 0 to 16."""
    voices: str | None = None
    """The voices that play, as in 'P1 TR NO'; the others stay free, for effects say."""
    form: str | None = None
    """Sections, as in AABA or A A' B A; see compose/form.py."""
    chords: str | None = None
    """A progression, one chord a bar: 'I vi IV V' or 'C Am F G'; two in a bar as 'C,Am F,G'. It repeats to the end."""
    motif: str | None = None
    """A tune that the piece is to have, as in 'C5/4 D5/4 Eb5/2 -/2 G5/8', written in C; see compose/motif.py."""
    guidance: float | None = None
    """How strongly theme and controls are felt, 0 not at all, 1 as in the training songs, up to 4; other than 1 takes two fifths more time."""
    candidates: int | None = None
    """How many pieces are composed, of which the best is kept, 1 to 64."""
    temperature: float | None = None
    """How daring the choice of notes is, 0.1 to 2."""
    ornaments: bool | None = None
    """Whether instruments get what drivers do: duty sequences, drum courses, vibrato, echo. None: they do."""
    model: str | None = None
    """Name of an installed model; None is the one that comes with nesasset."""

    def __post_init__(self) -> None:
        for name, limits in (("bars", BARS_RANGE), ("intro_bars", INTRO_RANGE), ("candidates", CANDIDATES_RANGE)):
            _check_int(name, getattr(self, name), limits)
        for name, span in (
            ("tempo_bpm", TEMPO_RANGE_BPM),
            ("density", SHARE_RANGE),
            ("intensity", SHARE_RANGE),
            ("swing", SWING_RANGE),
            ("guidance", GUIDANCE_RANGE),
            ("temperature", TEMPERATURE_RANGE),
        ):
            _check_number(name, getattr(self, name), span)
        for name, known in (("mode", MODES), ("register", REGISTERS), ("scale", tuple(SCALES))):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise ControlError(f"{name} must be {', '.join(known[:-1])} or {known[-1]}, not {value!r}")
        if self.ornaments not in (None, True, False):
            raise ControlError(f"ornaments must be true or false, not {self.ornaments!r}")
        if self.model is not None and not (isinstance(self.model, str) and MODEL_NAME.fullmatch(self.model)):
            raise ControlError(f"model must be the name of an installed model, 1 to 64 of a-z, 0-9, . - and _, not {self.model!r}; nesasset models lists them")
        if self.key is not None:
            object.__setattr__(self, "key", _sharp_key(self.key))
        if self.melody_range is not None:
            object.__setattr__(self, "melody_range", "-".join(map(_note_name, _parse_range(self.melody_range))))
        if self.voices is not None:
            object.__setattr__(self, "voices", voice_list(self.voices))
            if self.voices == "NO":
                raise ControlError("voices must hold at least one of P1, P2 and TR: drums alone are no piece")
        if self.form is not None:
            if not isinstance(self.form, str):
                raise ControlError(f"form must be a text such as AABA, not {self.form!r}")
            object.__setattr__(self, "form", form_text(parse_form(self.form)))
        if self.chords is not None:
            _check_chords(self.chords)
        if self.motif is not None:
            if not isinstance(self.motif, str):
                raise ControlError(f"motif must be a text such as 'C5/4 D5/4 Eb5/2 G5/8', not {self.motif!r}")
            object.__setattr__(self, "motif", motif_text(parse_motif(self.motif)))
        self._check_together()

    def _check_together(self) -> None:
        if self.scale and self.mode and scale_mode(self.scale) != self.mode:
            raise ControlError(f"mode {self.mode} contradicts the scale {self.scale}, which is {scale_mode(self.scale)}; leave one of them out")
        if self.melody_range and self.register:
            raise ControlError(f"register {self.register} and melody_range {self.melody_range} say the same thing; leave one of them out")
        sections = len(parse_form(self.form)) if self.form else 0
        if self.bars and sections > self.bars:
            raise ControlError(f"the form {self.form} has {sections} sections, which do not fit {self.bars} bars; ask for more bars")
        if self.bars and sections and self.bars % sections:
            raise ControlError(
                f"{self.bars} bars cannot be shared evenly by the {sections} sections of the form {self.form}; "
                f"ask for {self.bars // sections * sections} or {-(-self.bars // sections) * sections} bars"
            )
        if self.motif:
            self._check_motif(self.motif)

    def _check_motif(self, text: str) -> None:
        """Refuse what leaves the motif no place."""
        if self.voices and "P1" not in self.voices.split():
            raise ControlError(f"a motif is played by P1, which is not among the voices {self.voices}; add P1, or leave the motif out")
        mode = scale_mode(self.scale) if self.scale else self.mode
        tunes = [parse_motif(text).in_mode(minor) for minor in ((False, True) if mode is None else (mode == "minor",))]
        if self.scale:
            outside = [pitch_text(pitch) for pitch in tunes[0].pitches if pitch % 12 not in SCALES[self.scale]]
            if outside:
                raise ControlError(f"the motif, written in C, has {outside[0]}, which is not in the scale {self.scale}; leave one of them out")
        if self.melody_pitches:
            tonics = range(12) if self.tonic is None else (self.tonic,)
            if not any(all(tune.moves(tonic, *self.melody_pitches) for tune in tunes) for tonic in tonics):
                key = "" if self.key is None else f" in the key of {self.key}"
                raise ControlError(
                    f"the motif spans {max(tune.span for tune in tunes)} semitones and has no place within {self.melody_range}{key}; ask for a wider melody_range or another key"
                )

    @property
    def tonic(self) -> int | None:
        """The key's pitch class, 0 for C to 11 for B; None where no key is asked for."""
        return None if self.key is None else NOTE_NAMES.index(self.key)

    @property
    def melody_pitches(self) -> tuple[int, int] | None:
        """Lowest and highest MIDI pitch of melody_range; None where none is asked for."""
        return None if self.melody_range is None else _parse_range(self.melody_range)

    def progression(self, tonic: int, mode: str) -> tuple[tuple[int, ...], ...]:
        """Return the chord ids of each bar of the progression, one or two a bar; empty where none is asked for."""
        return _parse_chords(self.chords or "", tonic, mode)

    def to_json(self) -> dict[str, Any]:
        """Return the controls that were given, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def check_seed(seed: int) -> int:
    """Return the seed, a whole number from 0 to 2**63 - 1; raise ControlError otherwise."""
    _check_int("seed", seed, SEED_RANGE)
    return seed


def _sharp_key(key: str) -> str:
    name = key.strip().upper() if isinstance(key, str) else ""
    name = _FLATS.get(name, name)
    if name not in NOTE_NAMES:
        raise ControlError(f"key must be a note name such as C, F# or Bb, not {key!r}")
    return name


def _parse_range(text: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ControlError(f"melody_range must be two notes, as in C4-C6, not {text!r}")
    low, high = (12 * (int(octave) + 1) + NOTE_NAMES.index(_sharp_key(name)) for name, octave in (found.groups()[:2], found.groups()[2:]))
    lowest, highest = PITCH_RANGES["P1"]
    if low < lowest or high > highest:
        raise ControlError(f"melody_range must lie between {_note_name(lowest)} and {_note_name(highest)}, which pulse 1 can play, not {text!r}")
    if high - low < 12:
        raise ControlError(f"melody_range must span an octave at least, as in C4-C5, not {text!r}")
    return low, high


def _note_name(pitch: int) -> str:
    return f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}"


def voice_list(voices: str) -> str:
    """Return the voices that a text names, in their order and by their keys, as in 'P1 TR'; raise ControlError if it names none."""
    words = re.split(r"[\s,+]+", voices.strip().upper()) if isinstance(voices, str) else [""]
    names = {_VOICE_NAMES.get(word, word) for word in words}
    if not names <= set(VOICES) or not names:
        raise ControlError(f"voices must be some of {', '.join(VOICES)}, as in 'P1 TR NO', not {voices!r}")
    return " ".join(voice for voice in VOICES if voice in names)


def _parse_chords(chords: str, tonic: int, mode: str) -> tuple[tuple[int, ...], ...]:
    bars = chords.replace("|", " ").split()
    return tuple(tuple(parse_chord(name, tonic, mode) for name in bar.split(",") if name) for bar in bars)


def _check_chords(chords: str) -> None:
    if not isinstance(chords, str):
        raise ControlError(f"chords must be a text such as 'I vi IV V', not {chords!r}")
    bars = _parse_chords(chords, 0, "major")
    if not 1 <= len(bars) <= MAX_CHORDS:
        raise ControlError(f"chords must name 1 to {MAX_CHORDS} bars, as in 'I vi IV V', not {len(bars)}")
    if any(not 1 <= len(bar) <= 2 for bar in bars):
        raise ControlError(f"a bar has one chord or two, as in 'C Am,F G', not {chords!r}")


def _check_int(name: str, value: int | None, limits: tuple[int, int]) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not limits[0] <= value <= limits[1]):
        raise ControlError(out_of_range(name, value, *limits))


def _check_number(name: str, value: float | None, limits: tuple[float, float]) -> None:
    if value is None:
        return
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or not limits[0] <= value <= limits[1]:
        raise ControlError(out_of_range(name, value, *(f"{limit:g}" for limit in limits)))
