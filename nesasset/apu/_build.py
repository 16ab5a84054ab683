"""The build hook that compiles `_fast.c` while a wheel or an editable install is made. Not part of the wheel.

Hatchling runs it, setuptools knows the compilers. The extension is optional: where it cannot be compiled, a line on
standard error says why and the build goes on as a wheel for every platform. `extension` finds out at run time.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME: Final = "nesasset.apu._fast"
FOLDER: Final = "nesasset/apu"
STABLE_ABI: Final = "0x030B0000"  # Python 3.11's; the file then works with every later one
# Without contraction: a fused multiplication rounds once where numpy rounds twice. Nobody asks for floating-point
# exceptions, and without them comparisons can be vectorised. No debug information: it names paths.
FLAGS: Final = (
    ["/O2", "/fp:precise"] if os.name == "nt" else ["-std=c11", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-g0"]
)


class FastHook(BuildHookInterface[BuilderConfig]):
    """Adds the compiled extension to what is built, if it can be compiled."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files are gathered: for a wheel aside, for an editable install beside the source."""
        self._aside = tempfile.TemporaryDirectory()
        folder = Path(self.root, FOLDER)
        try:
            if version == "editable":
                for old in folder.glob("_fast.*"):
                    if old.suffix in (".so", ".pyd"):
                        old.unlink()  # not overwritten: a program that has loaded it keeps what it has
            compiled = _compile(folder / "_fast.c", Path(self._aside.name))
            if version == "editable":
                shutil.copyfile(compiled, folder / compiled.name)
                return
            build_data["tag"] = f"cp311-abi3-{_platform(compiled.parent)}"
            build_data["pure_python"] = False
            build_data["force_include"][str(compiled)] = f"{FOLDER}/{compiled.name}"
        except Exception as error:  # no compiler, no headers, no setuptools, a compiler that fails: all the same to us
            reason = " ".join(str(error).split())
            self.app.display_warning(
                f"nesasset: built without {NAME}, which needs a C compiler and Python's headers ({reason}); "
                "sound is the same, only slower to make"
            )

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder that the wheel's file was compiled in."""
        self._aside.cleanup()


def _compile(source: Path, folder: Path) -> Path:
    """Compile the extension into a folder and return its file.

    Raises:
        Exception: It cannot be compiled; of what class is setuptools' and the compiler's affair.
    """
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise RuntimeError("this Python has no stable ABI")
    from setuptools import Distribution, Extension

    extension = Extension(
        NAME,
        [str(source)],
        define_macros=[("Py_LIMITED_API", STABLE_ABI)],
        py_limited_api=True,
        extra_compile_args=FLAGS,
    )
    command = Distribution({"name": "nesasset", "ext_modules": [extension]}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(NAME))


def _platform(folder: Path) -> str:
    """Return a wheel's name of this platform; on a Mac it depends on what was compiled into the folder."""
    from setuptools.command.bdist_wheel import get_platform

    return str(get_platform(str(folder))).lower().replace("-", "_").replace(".", "_")
