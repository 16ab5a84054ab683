"""Whether the compiled hot path is used. Holds neither of the two implementations.

`nesasset.apu._fast` is optional: a wheel built without a C compiler lacks it, and `NESASSET_NO_EXTENSION=1` leaves it
alone. Both ways make the same samples, so nothing but the time a render takes depends on it.
"""

from __future__ import annotations

import importlib
import os
from functools import lru_cache
from types import ModuleType
from typing import Any

VERSION = 2  # of the functions' arguments and of the chip's state; a compiled file of another version is left alone


@lru_cache(maxsize=1)
def fast() -> Any:
    """Return the compiled module, or None."""
    if os.environ.get("NESASSET_NO_EXTENSION", "") not in ("", "0"):
        return None
    try:
        module: ModuleType = importlib.import_module("nesasset.apu._fast")
    except ImportError:
        return None
    return module if getattr(module, "VERSION", None) == VERSION else None
