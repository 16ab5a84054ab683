"""Engines and themes of other packages, found by their entry points. Asked only for names that are not our own.

[project.entry-points."nesasset.exporters"]
my-engine = "my_package:ENGINE"        # an Engine

[project.entry-points."nesasset.themes"]
my-game = "my_package:THEMES"          # a Theme, or several
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from nesasset.errors import PluginError

if TYPE_CHECKING:
    from nesasset.build.engines import Engine

EXPORTERS: Final = "nesasset.exporters"


def exporters() -> Mapping[str, Engine]:
    """Return the engines that other packages bring, by name.

    Raises:
        PluginError: An entry point cannot be loaded or is no engine.
    """
    from nesasset.build.engines import BUILT_IN, NAME_PATTERN, Engine

    found: dict[str, Engine] = {}
    for name, origin, value in _loaded(EXPORTERS):
        if not isinstance(value, Engine):
            raise PluginError(f"the exporter {name!r} of {origin} must be an Engine, not {type(value).__name__}; mend the package or remove it")
        if value.name != name or not NAME_PATTERN.fullmatch(name):
            raise PluginError(f"the exporter {name!r} of {origin} must have its entry point's name in a-z, 0-9 and -, not {value.name!r}")
        if name in BUILT_IN or name in found:
            raise PluginError(f"the exporter {name!r} of {origin} has the name of another engine; remove one of the packages")
        found[name] = value
    return found


def _loaded(group: str) -> Iterable[tuple[str, str, Any]]:
    """Yield name, package and value of each entry point of a group."""
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        origin = point.dist.name if point.dist else point.value
        try:
            yield point.name, origin, point.load()
        except Exception as error:  # whatever a foreign module does while it is imported
            raise PluginError(f"the plugin {point.name!r} of {origin} cannot be loaded ({type(error).__name__}: {error}); mend the package or remove it") from error
