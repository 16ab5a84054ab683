"""`nesasset plot`: a piece in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nesasset.commands._shared import JSON_OPTION, busy, print_facts, print_json
from nesasset.commands._sources import LOGS, TRACKERS, read_music, suffix_of, title_of

if TYPE_CHECKING:
    from nesasset.audio import Audio
    from nesasset.score import Score

SOUND: Final = (".wav", ".ogg", ".flac")
READ: Final = (".json", *LOGS, *SOUND)
_RATE_HZ: Final = 44_100


@click.command("plot")
@click.argument("source", metavar="FILE")
@click.option("-o", "output", required=True, metavar="FILE.png", help="Where the picture goes. -o castle.png")
@JSON_OPTION
def command(source: str, output: str, as_json: bool) -> None:
    """Draw a piece: piano roll, waveform, spectrogram, seam.

    FILE is a score, a register log (.vgm, .vgz, .log), WAV, OGG or FLAC, at most an hour long. The piano roll is for scores only, the seam for what loops: its last and first 20 ms, beside the same at a bar line inside.

    Example: nesasset plot castle.json -o castle.png
    """
    from nesasset.formats import canvas, plot

    if suffix_of(output, (".png",)) is None:
        raise click.UsageError(f"a picture is saved as FILE.png, not {output!r}")
    with busy("drawing"):
        audio, score, title, facts = _load(source)
        image = plot.draw(audio, score, title, facts)
        canvas.save_png(image, output)
    loop = None if audio.loop is None else {"start": audio.loop[0], "length": audio.loop[1]}
    if as_json:
        print_json(
            {
                "file": output,
                "seconds": f"{audio.seconds:.9f}",
                "rate": audio.sample_rate_hz,
                "loop": loop,
                "width": image.width,
                "height": image.height,
            }
        )
    else:
        print_facts(
            (
                ("file", output),
                ("seconds", f"{audio.seconds:.9f}"),
                ("loop", "none" if loop is None else f"sample {loop['start']}, {loop['length']} samples"),
                ("size", f"{image.width} x {image.height} pixels"),
            )
        )


def _load(path: str) -> tuple[Audio, Score | None, str, list[str]]:
    """Return the sound of a file, its score if it has one, its title, and what is to be said of it."""
    from nesasset.driver import drive
    from nesasset.errors import FormatError
    from nesasset.formats import audio_reader, plot
    from nesasset.render import render
    from nesasset.score import Score
    from nesasset.units import FRAME_RATE_HZ

    if suffix_of(path, (".mid", ".midi")):
        raise click.UsageError(f"{path} is MIDI: make a score of it with nesasset import")
    suffix = suffix_of(path, (*READ, *TRACKERS))
    if suffix is None:
        raise FormatError(f"cannot tell what {path!r} is: the suffix must be one of {', '.join(READ)}")
    if suffix in SOUND:
        info, audio = audio_reader.load(path, lambda info: plot.check_length(info.seconds))
        channels = {1: "mono", 2: "stereo, mixed"}.get(info.n_channels, f"{info.n_channels} channels, mixed")
        title = info.tags.get("TITLE") or Path(path).name
        return audio, None, title, [info.format, f"{info.sample_rate_hz} Hz", channels]
    music = read_music(path, nesmdb=False)
    if isinstance(music, Score):
        frames = music.n_frames if music.loop_frames is None else music.loop_frames[1]
        plot.check_length(frames / FRAME_RATE_HZ)
        return render(drive(music), _RATE_HZ), music, title_of(music, path), ["score"]
    plot.check_length(music.n_frames / music.frame_rate_hz)
    facts = ["register log", f"{len(music.frames)} writes", f"{music.frame_rate_hz:g} frames a second"]
    return render(music, _RATE_HZ), None, title_of(music, path), facts
