"""The compiled hot path, built from the source of this checkout: for its tests and for benchmarks. Not the installed one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

from nesasset.apu import extension

SOURCE = Path(extension.__file__).with_name("_fast.c")
# Those of nesasset/apu/_build.py, which cannot be imported without hatchling.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-trapping-math")


def build(folder: Path, *more: str) -> ModuleType | None:
    """Compile the extension into a folder and load it; None without a C compiler or Python's headers.

    Args:
        folder: Where the compiled file is written.
        more: Further options of the compiler.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    include = Path(sysconfig.get_paths()["include"])
    if os.name == "nt" or compiler is None or not (include / "Python.h").exists():
        return None
    target = folder / "_fast.abi3.so"
    flags = [*FLAGS, *more, "-fPIC", "-shared"]
    if sys.platform == "darwin":
        flags += ["-undefined", "dynamic_lookup"]
    subprocess.run([compiler, *flags, f"-I{include}", str(SOURCE), "-o", str(target)], check=True)
    spec = importlib.util.spec_from_file_location("nesasset.apu._fast", target)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.VERSION == extension.VERSION
    return module
