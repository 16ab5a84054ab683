"""Every error a user can meet, one class per condition.

    NesassetError
    ├── ScoreError            (ValueError)   a score breaks a rule of the score format
    ├── RegisterLogError      (ValueError)   a write addresses no register, or time runs backwards
    ├── AudioError            (ValueError)   audio data or a loop in it is out of range
    ├── FormatError           (ValueError)   a file is not what its suffix says, or is damaged
    ├── ControlError          (ValueError)   a control of compose is out of range
    ├── MaterialError         (ValueError)   a score cannot be composed with
    ├── UnknownThemeError     (LookupError)  no theme has that name
    ├── ModelMismatchError    (ValueError)   model file and sidecar do not belong together
    ├── ManifestError         (ValueError)   nesasset.toml says something it may not say
    ├── LockError             (ValueError)   nesasset.lock is damaged, or the build would change it and may not
    ├── StaleError            (RuntimeError) files are not what the manifest asks for
    ├── QualityError          (RuntimeError) a gate of [quality] is not met
    ├── PluginError           (RuntimeError) another package's engine or theme cannot be used
    ├── CertificateError      (RuntimeError) no loop that passes its certificate was found
    └── OutputError           (OSError)      a file could not be written

Every message is one sentence: what was wrong, the value, what is allowed, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


class NesassetError(Exception):
    """Any expected failure; its text is meant for the user."""


class ScoreError(NesassetError, ValueError):
    """A score breaks a rule of the score format."""


class RegisterLogError(NesassetError, ValueError):
    """A register write addresses no APU register, or time runs backwards."""


class AudioError(NesassetError, ValueError):
    """Audio data, a sample rate or a loop in samples is out of range."""


class FormatError(NesassetError, ValueError):
    """A file is not what its suffix says, or it is damaged."""


class ControlError(NesassetError, ValueError):
    """A control of compose is out of range."""


class MaterialError(NesassetError, ValueError):
    """A score that is to be kept, varied or continued is none that the composer can work with."""


class UnknownThemeError(NesassetError, LookupError):
    """No theme has that name."""


class ModelMismatchError(NesassetError, ValueError):
    """A model file and its sidecar do not belong together, or the model is not one of ours."""


class ManifestError(NesassetError, ValueError):
    """A manifest says something it may not say."""


class LockError(NesassetError, ValueError):
    """A lock is damaged, or the build would change it and may not."""


class StaleError(NesassetError, RuntimeError):
    """Files are not what the manifest asks for."""


class QualityError(NesassetError, RuntimeError):
    """A gate of [quality] is not met."""


class PluginError(NesassetError, RuntimeError):
    """Another package's engine or theme cannot be used."""


class CertificateError(NesassetError, RuntimeError):
    """No loop that passes its certificate was found."""


class OutputError(NesassetError, OSError):
    """A file could not be written."""


def out_of_range(name: str, value: object, low: object, high: object) -> str:
    """Return the one sentence that every range error uses."""
    return f"{name} must be between {low} and {high}, not {value!r}"


def did_you_mean(word: str, known: Iterable[str], count: int = 3) -> str:
    """Return ", did you mean X or Y?" for the known words nearest to word, or an empty string."""
    from difflib import get_close_matches  # only needed once something is already wrong

    near = get_close_matches(word, list(known), n=count, cutoff=0.4)
    return f", did you mean {' or '.join(near)}?" if near else ""
