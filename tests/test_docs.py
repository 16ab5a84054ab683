"""The documents say what the code does: help texts, themes, error classes, the file tree, the changelog.

`python tests/test_docs.py` writes the generated parts of docs/ anew.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import click  # noqa: E402

import nesasset  # noqa: E402
from nesasset import cli, errors  # noqa: E402
from nesasset.build.engines import BUILT_IN  # noqa: E402
from nesasset.build.manifest import (  # noqa: E402
    Effect,
    Export,
    Manifest,
    Pack,
    Quality,
    SoundtrackPlan,
    Sources,
    Track,
    Wishes,
    loads,
)
from nesasset.themes import THEMES  # noqa: E402

DOCS = ROOT / "docs"
GENERATED = re.compile(r"<!-- (help|table): ([a-z ]+) -->\n(?:.*?<!-- end -->\n)?", re.DOTALL)


def commands() -> dict[str, click.Command]:
    context = click.Context(cli.group, info_name="nesasset")
    found = {"nesasset": cli.group}
    for name in cli.COMMANDS:
        found[f"nesasset {name}"] = cli.group.get_command(context, name)
    return found


def help_text(name: str) -> str:
    command = commands()[name]
    parent = None if name == "nesasset" else click.Context(cli.group, info_name="nesasset")
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": 100, "max_content_width": 100}
    context = click.Context(command, info_name=name.rsplit(maxsplit=1)[-1], parent=parent, **settings)
    return f"```text\n$ {name} --help\n{command.get_help(context)}\n```\n"


def theme_table() -> str:
    lines = ["| theme | label | bars | tempo (range) | mode | density | register | for |", "|---|---|---|---|---|---|---|---|"]
    for entry in THEMES.values():
        slowest, fastest = entry.tempo_range_bpm
        tempo = f"{entry.tempo_bpm:.0f} ({slowest:.0f} to {fastest:.0f})"
        label = f"`{entry.label}`" if entry.label else "none"
        name = f"`{entry.name}`" + ("" if entry.loops else " (jingle)")
        lines.append(
            f"| {name} | {label} | {entry.bars} | {tempo} | {entry.mode or 'either'} | {entry.density:g} "
            f"| {entry.register} | {entry.sentence} |"
        )
    return "\n".join(lines) + "\n"


def engine_table() -> str:
    lines = ["| engine | `[export.…]` | folder | carriers | loop | unit |", "|---|---|---|---|---|---|"]
    for name, row in BUILT_IN.items():
        unit = f"{row.unit}, {row.rounding}" if row.unit else ""
        lines.append(f"| [{row.title}]({name}.md) | `{name}` | `{row.folder}` | {', '.join(row.carriers)} | {row.loop} | {unit} |")
    return "\n".join(lines) + "\n"


def generate(text: str) -> str:
    """Return a document with its generated parts as they should be."""

    def part(match: re.Match[str]) -> str:
        kind, name = match.groups()
        body = help_text(name) if kind == "help" else TABLES[name]()
        return f"<!-- {kind}: {name} -->\n{body}<!-- end -->\n"

    return GENERATED.sub(part, text)


TABLES = {"themes": theme_table, "engines": engine_table}
WRITTEN = ["cli.md", "themes.md", "engines/README.md"]


@pytest.mark.parametrize("name", WRITTEN)
def test_generated_parts_are_up_to_date(name: str) -> None:
    """Help texts and the table of themes in the documents are those of the code (`make docs` rewrites them)."""
    text = (DOCS / name).read_text(encoding="utf-8")
    assert GENERATED.search(text)
    assert text == generate(text)


def test_every_command_has_its_section() -> None:
    """docs/cli.md has a section with the help of each command."""
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    for name in commands():
        assert f"\n## {name}\n" in text
        assert f"<!-- help: {name} -->" in text


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_has_help_with_an_example(name: str) -> None:
    """Each command shows an example, each option a sentence and how it is typed."""
    command = commands()[name]
    assert "Example: nesasset " in command.help
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_flag:
            assert option.opts[0] in option.help, f"{name} {option.opts}"
        elif isinstance(option, click.Option):
            assert option.help


def test_every_error_class_is_documented() -> None:
    """docs/cli.md and the tree in errors.py name every error class, with the exit code that it really has."""
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.NesassetError) and value is not errors.NesassetError:
            code = cli.USAGE if issubclass(value, cli._USAGE_ERRORS) else cli.FAILED
            assert re.search(rf"\| `{name}` \| [^|]+ \| {code} \|", text), name
            assert name in errors.__doc__
            assert value.__doc__


def test_every_theme_is_documented() -> None:
    """docs/themes.md has a row for every theme."""
    text = (DOCS / "themes.md").read_text(encoding="utf-8")
    assert all(f"| `{name}`" in text for name in THEMES)


def test_every_key_of_the_manifest_is_documented() -> None:
    """Every key that a manifest may hold stands in docs/cli.md."""
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    for table in (Manifest, Pack, Track, Wishes, Export, Effect, Quality, SoundtrackPlan, Sources):
        for key, field in table.model_fields.items():
            assert (field.alias or key) in text, key


def test_the_manifest_in_the_document_is_one() -> None:
    """The example of a manifest is accepted."""
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1]
    assert loads(example).track["overworld-1"].seed == 7


def test_every_engine_has_its_page() -> None:
    """docs/engines has a page for each row of the table, with a manifest that is accepted."""
    for name, row in BUILT_IN.items():
        text = (DOCS / f"engines/{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {row.title}\n\n{row.sentence}\n")
        example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1]
        made = loads(f"schema = 1\n[pack]\nname = 'n'\n[track.a]\ntheme = 'cave'\n{example}")
        assert list(made.export) == [name]


def test_every_check_of_a_certificate_is_documented() -> None:
    """docs/certificate.md has a row for each check."""
    source = (ROOT / "nesasset/certificate.py").read_text(encoding="utf-8")
    text = (DOCS / "certificate.md").read_text(encoding="utf-8")
    names = set(re.findall(r'Check\("([a-z ]+)"', source)) | set(re.findall(r'name(?:, \w+)? = "([a-z ]+)"', source))
    assert len(names) == 9
    assert all(f"| {name} |" in text for name in names)


def test_links_in_the_documents_lead_somewhere() -> None:
    """Every relative link of the README and docs/ points to a file."""
    for document in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def tree() -> dict[str, str]:
    """Return the README's file tree: path and what it holds."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- tree -->\n```text\n(.*?)```", text, re.DOTALL)[1]
    found: dict[str, str] = {}
    folder = ""
    for line in block.splitlines():
        name, _, what = line.strip().partition("  ")
        if not line.startswith(" "):
            folder = name if name.endswith("/") else ""
            path = name
        else:
            path = folder + name
        assert path not in found, f"the tree has {path} twice"
        found[path] = what.strip()
    return found


def tracked() -> set[str]:
    """Return the first two levels of the files in the repository; folders end in a slash."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    if not listing:
        pytest.skip("not a git checkout")
    paths = set()
    for path in (Path(line) for line in listing if (ROOT / line).exists()):
        for depth in range(1, min(len(path.parts), 2) + 1):
            paths.add("/".join(path.parts[:depth]) + ("/" if depth < len(path.parts) else ""))
    return paths


def test_the_readme_has_the_whole_tree() -> None:
    """The README's tree has a line, or a pattern, for all files and folders of two levels, and for nothing that is not."""
    listed, real = tree(), tracked()
    assert not {path for path in real if not any(fnmatchcase(path, pattern) for pattern in listed)}
    assert not {pattern for pattern in listed if not any(fnmatchcase(path, pattern) for path in real)}
    assert all(listed.values())


def test_ci_runs_the_second_command_of_the_readme() -> None:
    """What the README says about running the tests is what the machine does that judges changes."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(r"<!-- command two -->\n```sh\n(.*?)\n```", text, re.DOTALL)[1]
    assert command in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


def test_python_in_the_readme_names_what_exists() -> None:
    """Every import of the README's Python finds its name."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    imports = re.findall(r"^from (nesasset[\w.]*) import (\w+)$", text, re.MULTILINE)
    verbs = set(re.findall(r"\bnesasset\.(\w+)\(", text))
    assert imports
    assert verbs >= {"compose", "drive", "render"}
    for verb in verbs:
        assert callable(getattr(nesasset, verb))
    for module, name in imports:
        found = importlib.import_module(module)
        assert hasattr(found, name) or importlib.import_module(f"{module}.{name}"), f"{module}.{name}"


def test_changelog_begins_with_this_version() -> None:
    """The newest version in the changelog is the package's."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[?([0-9.]+)", text, re.MULTILINE)[1] == nesasset.__version__
    assert all(len(line) <= 80 for line in text.splitlines())


def test_dependencies_have_their_reasons() -> None:
    """Every runtime dependency has a comment that says what it is for."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    for dependency in project["dependencies"]:
        assert re.search(rf'^    "{re.escape(dependency)}", +# \w+', text, re.MULTILINE), dependency


if __name__ == "__main__":
    for path in (DOCS / name for name in WRITTEN):
        path.write_text(generate(path.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
