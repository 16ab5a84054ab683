"""PyInstaller's hook: the models, and the modules that are imported by name only when they are needed."""

from pathlib import Path

from PyInstaller.utils.hooks import collect_submodules, get_package_paths

# All but the commands' own machinery and the tests' helpers is small; what is left out here is never imported by a game.
hiddenimports = [
    name
    for name in collect_submodules("nesasset")
    if not name.startswith(("nesasset._pyinstaller", "nesasset.commands", "nesasset.build", "nesasset.apu._build", "nesasset.cli"))
]
hiddenimports.append("onnxruntime")
_package = Path(get_package_paths("nesasset")[1])
_models = _package / "models" if (_package / "models").is_dir() else _package.parent / "models"
datas = [(str(path), "nesasset/models") for path in sorted(_models.iterdir()) if path.is_file()]
excludedimports = ["torch", "soundfile", "matplotlib", "PIL.ImageTk"]
