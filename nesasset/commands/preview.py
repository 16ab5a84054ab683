"""`nesasset preview`: a page on which every track can be heard and seen."""

from __future__ import annotations

import click

from nesasset.commands.build import MANIFEST_OPTION


@click.command("preview")
@MANIFEST_OPTION
@click.option("-o", "output", default="preview.html", show_default=True, metavar="FILE.html", help="Where the page goes. -o build/music.html")
@click.option("--only", multiple=True, metavar="PATTERN", help="Only tracks of such names; may be repeated. --only 'boss*'")
def command(manifest_path: str | None, output: str, only: tuple[str, ...]) -> None:
    """Write one HTML page on which every track plays with its true loop.

    It shows piano roll, waveform, spectrogram, seam, loudness, certificate, origin and what has changed since the last commit. The page needs no server and no network. Build first.

    Example: nesasset preview -o preview.html
    """
    from fnmatch import fnmatchcase

    from nesasset.build import preview, project
    from nesasset.commands._shared import busy
    from nesasset.commands.build import cache_of
    from nesasset.errors import ManifestError
    from nesasset.formats.files import write_bytes

    if not output.lower().endswith((".html", ".htm")):
        raise click.UsageError(f"the page is HTML, so its name ends in .html, not {output!r}")
    found = project.load(project.find(manifest_path))
    chosen = [track_id for track_id in found.orders if not only or any(fnmatchcase(track_id, pattern) for pattern in only)]
    if not chosen:
        raise ManifestError(f"--only: no track is named {' or '.join(only)}; there are {', '.join(list(found.orders)[:8])}")
    with busy("drawing the page"):
        text = preview.page(found, chosen, cache_of(None, no_cache=False))
    write_bytes(output, text.encode())
    click.echo(f"{output}: {len(chosen)} tracks, {len(text) / 1e6:.1f} MB")
