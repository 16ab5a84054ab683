"""The command `nesasset`: finds the subcommand, turns errors into sentences and exit codes. Holds no subcommand.

    nesasset themes
    nesasset compose castle --seed 7 -o castle.json
    nesasset render castle.json -o castle.ogg
    nesasset build -m nesasset.toml -o pack

Exit codes: 0 done, 1 expected failure, 2 usage or manifest, 3 unexpected, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

import click

import nesasset
from nesasset.errors import ControlError, ManifestError, NesassetError, UnknownThemeError

COMMANDS: Final = (
    "init", "build", "compose", "vary", "play", "sfx", "render", "import", "diff", "preview", "report", "family", "bridge", "morph", "motif", "leitmotif", "originality", "info", "plot", "themes", "models", "schema", "cache",
)
_MODULES: Final = {"import": "import_score"}  # where a command cannot lend its name to a module
DONE, FAILED, USAGE, UNEXPECTED, INTERRUPTED = 0, 1, 2, 3, 130
_USAGE_ERRORS: Final = (ManifestError, UnknownThemeError, ControlError)  # what was typed, or stands in the manifest


class _Commands(click.Group):
    """A group whose subcommands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"nesasset.commands.{_MODULES.get(cmd_name, cmd_name)}").command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(nesasset.__version__, prog_name="nesasset", message="%(prog)s %(version)s")
def group() -> None:
    """Looping, level-themed NES music for games, composed on demand.

    Example: nesasset compose castle --seed 7 -o castle.json
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; no error but a mistake of ours prints a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")  # not assured on Windows
    try:
        code = group.main(arguments, prog_name="nesasset", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "nesasset"
        return _say(f"{error.format_message()} (see {path} --help)", USAGE)
    except click.ClickException as error:
        return _say(error.format_message(), FAILED)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", INTERRUPTED)
    except _USAGE_ERRORS as error:
        return _say(str(error), USAGE)
    except NesassetError as error:
        return _say(str(error), FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone; let Python's own flush at exit succeed
        return FAILED
    except OSError as error:  # the system's affair, not ours: standard output on a full disk, say
        place = f" {error.filename}" if error.filename else ""
        return _say(f"cannot read or write{place}: {error.strerror or error}", FAILED)
    except Exception as error:  # the outermost handler: everything that we did not foresee
        return _unexpected(error)


def _say(text: str, code: int) -> int:
    for line in text.splitlines() or [""]:
        click.echo(f"nesasset: {line}", err=True)
    return code


def _unexpected(error: Exception) -> int:
    """Print the traceback and the versions that a report of the fault needs."""
    import platform
    import traceback
    from importlib.metadata import PackageNotFoundError, version

    traceback.print_exception(error)
    versions = [f"nesasset {nesasset.__version__}", f"Python {platform.python_version()}", platform.platform()]
    for name in ("numpy", "onnxruntime", "soundfile", "click", "pydantic"):
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} missing")
    return _say(f"unexpected error, please report it with the lines above ({', '.join(versions)})", UNEXPECTED)
