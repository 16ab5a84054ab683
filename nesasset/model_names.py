"""Which models there are, by name: those that come with nesasset and those that a user has added. Loads what is asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from nesasset import model as models
from nesasset.model import DEFAULT_MODEL, Model, load_model, models_dir
from nesasset.score import Score


def user_models_dir() -> Path:
    """Return the folder of the models that a user has added, in the system's place for a user's data; it may be missing."""
    from platformdirs import user_data_path

    return user_data_path("nesasset", appauthor=False) / "models"


def model_file(name: str, suffix: str) -> Path | None:
    """Return a file of a model, of this installation or added by the user; None if there is none."""
    return next((path for folder in (models_dir(), user_models_dir()) if (path := folder / f"{name}{suffix}").is_file()), None)


def model_names() -> list[str]:
    """Return the names of all models that are installed, this installation's first."""
    folders = [folder for folder in (models_dir(), user_models_dir()) if folder.is_dir()]
    found = [path.name.removesuffix(".json") for folder in folders for path in sorted(folder.glob("*.json")) if not path.name.endswith(".idioms.json")]
    return list(dict.fromkeys(found))


def named_model(name: str | None) -> Model:
    """Return the model of a name (or of the path of its sidecar), None for the default, loaded once a process.

    Raises:
        ModelMismatchError: There is no such model, or its files do not belong together.
    """
    if name is None or name == DEFAULT_MODEL:
        return models.default_model()
    if name.endswith((".json", ".onnx")):
        return load_model(name)
    return _load_once(sidecar_of(name))


def sidecar_of(name: str) -> Path:
    """Return the sidecar of an installed model; the model's other files are beside it.

    Raises:
        ModelMismatchError: There is no such model.
    """
    found = model_file(name, ".json")
    if found is None:
        from nesasset.errors import ModelMismatchError, did_you_mean

        known = model_names()
        raise ModelMismatchError(f"no model {name!r} is installed{did_you_mean(name, known) if known else ''}; nesasset models lists what there is")
    return found


def model_of(score: Score) -> Model:
    """Return the model that composed a score, where it is installed, else the default: what is made of a piece has no other training."""
    name = score.provenance.get("model")
    return named_model(name) if isinstance(name, str) and model_file(name, ".json") is not None else models.default_model()


@lru_cache(maxsize=2)
def _load_once(sidecar: Path) -> Model:
    return load_model(sidecar)
