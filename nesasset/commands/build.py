"""`nesasset build`: everything that a manifest asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nesasset.commands._shared import JSON_OPTION, print_json, print_table

if TYPE_CHECKING:
    from nesasset.build.builder import Events, Result, Settings
    from nesasset.build.cache import Cache
    from nesasset.build.plan import Plan
    from nesasset.build.project import Project

MANIFEST_OPTION = click.option("-m", "manifest_path", metavar="FILE", help="The manifest; by default nesasset.toml, or pyproject.toml with [tool.nesasset], here or above. -m music/nesasset.toml")


@click.command("build")
@MANIFEST_OPTION
@click.option("-o", "folder", metavar="DIR", help="Folder for the files, instead of the manifest's; pack beside it where it has no exports. -o assets/music")
@click.option("-j", "jobs", type=click.IntRange(1, 256), metavar="N", help="Processes; one a processor by default. -j 4")
@click.option("--only", multiple=True, metavar="PATTERN", help="Only tracks of such names; may be repeated. --only 'boss*'")
@click.option("--locked", is_flag=True, help="Fail if nesasset.lock or a score would change.")
@click.option("--frozen", is_flag=True, help="Compose nothing, leave the lock alone: files from the kept scores.")
@click.option("--check", is_flag=True, help="Build nothing; say what is not as it should be and why, and end with 1.")
@click.option("--dry-run", is_flag=True, help="Build nothing; say what would be made and why.")
@click.option("--explain", is_flag=True, help="Say of everything that is made why.")
@click.option("--recompose", multiple=True, metavar="ID", help="Compose a track anew, even one that was edited by hand. --recompose boss")
@click.option("--watch", is_flag=True, help="Build again whenever manifest, maps or scores change, until Ctrl-C.")
@click.option("--report", metavar="FILE", help="Write what was done, as JSON; - is standard output. --report build.json")
@click.option("--format", "style", type=click.Choice(("text", "json", "github")), default="text", show_default=True, help="How to tell the result; github gives annotations and a summary. --format github")
@click.option("--cache-dir", metavar="DIR", help="Where results are kept for later builds. --cache-dir .cache")
@click.option("--no-cache", is_flag=True, help="Keep no results and use none.")
@click.option("--dask", metavar="ADDRESS", help="Build on a Dask cluster. --dask tcp://10.0.0.1:8786")
@JSON_OPTION
def command(folder: str | None, as_json: bool, style: str, manifest_path: str | None, watch: bool, **options: Any) -> None:
    """Build everything that a manifest asks for, and nothing that is as it should be already.

    Scores are kept beside the manifest and pinned in nesasset.lock; commit both. The result does not depend on the number of processes, and no network is used but for --dask.

    Example: nesasset build

    Example: nesasset build -m nesasset.toml -o assets/music --locked
    """
    _refuse(options, watch)
    style = "json" if as_json else style
    if watch:
        from nesasset.commands._watch import watch as keep_watching

        keep_watching(manifest_path, folder, lambda: _run(manifest_path, folder, style, options))
        return
    _run(manifest_path, folder, style, options)


def _refuse(options: dict[str, Any], watch: bool) -> None:
    """Raise UsageError for options that do not go together."""
    chosen = [f"--{name.replace('_', '-')}" for name in ("locked", "frozen", "check", "dry_run") if options[name]]
    if len(chosen) > 1 and set(chosen) != {"--check", "--locked"}:
        raise click.UsageError(f"{' and '.join(chosen)} do not go together; leave all but one out")
    if options["recompose"] and (options["locked"] or options["frozen"]):
        raise click.UsageError("--recompose changes scores, which --locked and --frozen forbid; leave one of them out")
    if watch and (options["check"] or options["dry_run"]):
        raise click.UsageError("--watch builds, and --check and --dry-run do not; leave one of them out")
    if options["no_cache"] and options["cache_dir"]:
        raise click.UsageError("--cache-dir names a cache and --no-cache uses none; leave one of them out")


def _run(manifest_path: str | None, folder: str | None, style: str, options: dict[str, Any]) -> None:
    """Build once and tell about it."""
    from nesasset.errors import NesassetError

    try:
        _build(manifest_path, folder, style, options)
    except NesassetError as error:
        if style == "github":
            from nesasset.build import report

            for line in report.github_lines(str(error)):
                click.echo(line)
        raise


def _build(manifest_path: str | None, folder: str | None, style: str, options: dict[str, Any]) -> None:
    from nesasset.build import plan, project, report

    cache = cache_of(options["cache_dir"], options["no_cache"])
    found = project.load(project.find(manifest_path), folder, cache)
    _check_names(found, options)
    if options["check"] or options["dry_run"]:
        todo = plan.make(found, recompose=options["recompose"], cache=cache)
        told = report.of_plan(found, todo)
        _write_report(options["report"], told)
        _tell_plan(found, todo, told, style, check=options["check"])
        return

    from nesasset.build import builder

    with ExitStack() as stack:
        folder_of_stages = stack.enter_context(_stages(style, bool(options["dask"])))
        settings = _settings(options, stack, folder_of_stages)
        events = stack.enter_context(_events(style, options["explain"], folder_of_stages))
        result = builder.build(found, settings, events)
    told = report.of_build(found, result)
    _write_report(options["report"], told)
    _tell_build(found, result, told, style)


def _check_names(found: Project, options: dict[str, Any]) -> None:
    from nesasset.errors import ManifestError, did_you_mean

    for track_id in options["recompose"]:
        if track_id not in found.orders:
            raise ManifestError(f"--recompose: no track is named {track_id!r}{did_you_mean(track_id, found.orders)}")
    for pattern in options["only"]:
        if not any(fnmatchcase(track_id, pattern) for track_id in found.orders):
            raise ManifestError(f"--only: no track is named {pattern!r}{did_you_mean(pattern, found.orders)}")


def cache_of(cache_dir: str | None, no_cache: bool) -> Cache | None:
    """Return the cache that options ask for."""
    from nesasset.build.cache import Cache, default_folder

    return None if no_cache else Cache(Path(cache_dir).absolute() if cache_dir else default_folder())


def _settings(options: dict[str, Any], stack: ExitStack, progress: Path | None) -> Settings:
    """Return how to build."""
    from nesasset.build import builder, workers

    mode = builder.LOCKED if options["locked"] else builder.FROZEN if options["frozen"] else builder.FREE
    patterns = options["only"]

    def only(track_id: str) -> bool:
        return not patterns or any(fnmatchcase(track_id, pattern) for pattern in patterns)

    cache = cache_of(options["cache_dir"], options["no_cache"])
    if options["dask"]:
        executor = stack.enter_context(workers.dask(options["dask"]))
        return builder.Settings(mode, only, tuple(options["recompose"]), cache, share_cache=False, executor=executor)
    processes = options["jobs"] or workers.usable_processors()
    return builder.Settings(mode, only, tuple(options["recompose"]), cache, processes=processes, progress=progress)


@contextmanager
def _stages(style: str, remote: bool) -> Iterator[Path | None]:
    """Give a folder in which workers tell their stages, if a person looks on and workers share our disk."""
    if style == "github" or remote or not sys.stderr.isatty():
        yield None
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="nesasset-") as folder:
        yield Path(folder)


@contextmanager
def _events(style: str, explain: bool, stages: Path | None) -> Iterator[Events]:
    """Give events that show progress: lines where a program reads, a table on a terminal, nothing elsewhere."""
    from nesasset.build.builder import Events

    def waiting() -> None:
        click.echo("waiting for another build of this project", err=True)

    def planned(todo: Plan) -> None:
        if explain:
            for what, why in todo.reasons:
                click.echo(f"{what}: {why}", err=True)

    if style == "github":
        yield Events(waiting, planned, finished=lambda made: click.echo(f"made {made.id}, {made.facts['bars']} bars"))
        return
    if not sys.stderr.isatty():
        yield Events(waiting, planned)
        return
    from nesasset.commands._progress import progress

    with progress(stages) as shown:

        def told(todo: Plan) -> None:
            planned(todo)
            shown.planned(todo)

        yield Events(waiting, told, shown.started, shown.finished)


def _write_report(path: str | None, told: dict[str, Any]) -> None:
    if path is None:
        return
    if path == "-":
        print_json(told)
        return
    import json

    from nesasset.formats.files import write_bytes

    write_bytes(path, (json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def _tell_plan(found: Project, todo: Plan, told: dict[str, Any], style: str, check: bool) -> None:
    """Tell what a build would do; a check that finds something ends with 1."""
    from nesasset.build import report
    from nesasset.errors import StaleError

    notes = [(track_id, note) for track_id, track in todo.tracks.items() for note in track.notes]
    if style == "json":
        print_json(told)
    elif style == "github":
        for what, why in todo.reasons:
            for line in report.github_lines(f"{what}: {why}", "error" if check else "notice", found.path.name):
                click.echo(line)
        _summarise(told)
    else:
        for what, why in [*todo.reasons, *notes]:
            click.echo(f"{what}: {why}")
        _tell_edits(found, todo)
    if todo.fresh:
        if style == "text":
            click.echo(f"{len(todo.tracks)} tracks are as {found.path.name} asks")
    elif check:
        count = len({what for what, _ in todo.reasons})
        raise StaleError(f"{count} thing{'s' if count > 1 else ''} not as {found.path.name} asks; nesasset build makes them so")


def _tell_edits(found: Project, todo: Plan) -> None:
    """Say what a person has changed in scores since the lock was written, where the scores before are to be had."""
    from nesasset.build import history

    for track_id, words in history.edits(found, todo):
        for line in words:
            click.echo(f"{track_id}: {line}")


def _tell_build(found: Project, result: Result, told: dict[str, Any], style: str) -> None:
    from nesasset.build import report

    if style == "json":
        pack = next((target.folder / "pack.json" for target in found.targets if target.engine.name == "plain"), None)
        print_json({**told, "folder": report.shown(found.targets[0].folder, found), "pack": _read_json(pack)})
        return
    if style == "github":
        _summarise(told)
        _outputs({"changed": "true" if result.written else "false"})
    made = [result.made[track_id] for track_id in found.orders if track_id in result.made and result.made[track_id].files]
    if made:
        print_table(
            ("track", "theme", "bars", "tempo", "length", "LUFS", "seed", "certificate"),
            (
                (
                    entry.id,
                    entry.facts["theme"],
                    entry.facts["bars"],
                    f"{entry.facts['tempo_bpm']:.1f}",
                    f"{float(entry.facts['seconds']):.1f} s",
                    f"{entry.facts['loudness']['lufs']:.1f}",
                    "edited" if entry.facts["edited"] else entry.facts["seed_used"],
                    f"{entry.facts['certificate']['kind']} passed",
                )
                for entry in made
            ),
        )
    n_tracks, places = len(found.orders), ", ".join(dict.fromkeys(_shown(target.folder) for target in found.targets))
    if len(made) == n_tracks:
        click.echo(f"{n_tracks} tracks in {places}, made in {result.seconds:.1f} s")
    elif made or result.written:
        click.echo(f"{n_tracks} tracks in {places}, {len(made)} of them made in {result.seconds:.1f} s")
    else:
        click.echo(f"{n_tracks} tracks in {places}, nothing to do")
    for track_id, track in result.plan.tracks.items():
        for note in track.notes:
            click.echo(f"{track_id}: {note}")


def _shown(folder: Path) -> str:
    import os

    relative = os.path.relpath(folder)
    return str(folder) if relative.startswith("..") else relative


def _read_json(path: Path | None) -> Any:
    import json

    return json.loads(path.read_bytes()) if path is not None and path.exists() else None


def _summarise(told: dict[str, Any]) -> None:
    """Add the summary to the page of the job that we run in."""
    from nesasset.build import report

    _append("GITHUB_STEP_SUMMARY", report.summary(told))


def _outputs(values: dict[str, str]) -> None:
    """Hand values to the next steps of the job."""
    _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in values.items()))


def _append(variable: str, text: str) -> None:
    import os

    path = os.environ.get(variable)
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)


