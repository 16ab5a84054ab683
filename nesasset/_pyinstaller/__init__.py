"""What PyInstaller needs to freeze a game that uses nesasset; found by it through an entry point. Nothing here runs in a game."""

from __future__ import annotations

import os


def get_hook_dirs() -> list[str]:
    """Return the folder of the hooks."""
    return [os.path.dirname(__file__)]
