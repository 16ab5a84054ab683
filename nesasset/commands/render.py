"""`nesasset render`: scores and register logs as sound, MIDI, tracker text, or files that play on the console."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nesasset.commands._shared import JSON_OPTION, busy, print_facts, print_json
from nesasset.commands._sources import TRACKERS, read_music, suffix_of, title_of

if TYPE_CHECKING:
    from nesasset.audio import Audio
    from nesasset.register_log import RegisterLog
    from nesasset.score import Score

SOUND: Final = (".wav", ".ogg", ".flac")
SCORES: Final = (".mid", *TRACKERS)
CHIP: Final = (".nsf", ".nes", ".vgm", ".vgz", ".log")
PACKS: Final = (".nsf", ".nes")
FORMATS: Final = (*SOUND, *SCORES, *CHIP)
_RATE_HZ: Final = 44_100


@click.command("render")
@click.argument("sources", metavar="SCORE.json...", nargs=-1, required=True)
@click.option("-o", "output", required=True, metavar="FILE", help=f"The suffix chooses: {', '.join(FORMATS)}. -o castle.ogg")
@click.option("--rate", type=int, metavar="HZ", help=f"Samples a second, 8000 to 96000; {_RATE_HZ} by default. --rate 48000")
@click.option("--loops", type=click.IntRange(1, 1000), metavar="N", help="Play the loop N times and end, without loop tags. --loops 2")
@click.option("--fade", type=float, metavar="S", help="Fade out over S seconds after the last loop; needs --loops. --fade 3")
@click.option("--voicing", type=click.Choice(("raw", "famicom", "nes")), help="Which console's output stage is heard. --voicing nes")
@click.option("--author", default="", help="Written into chip files. --author 'A. Composer'")
@click.option("--album", default="", help="Written into chip files: the game. --album 'The Mole'")
@click.option("--nesmdb", is_flag=True, help="Read MIDI files as NES-MDB writes them. song.mid --nesmdb -o song.wav")
@JSON_OPTION
def command(
    sources: tuple[str, ...],
    output: str,
    rate: int | None,
    loops: int | None,
    fade: float | None,
    voicing: str | None,
    author: str,
    album: str,
    nesmdb: bool,
    as_json: bool,
) -> None:
    """Play a score and save it as sound, MIDI, tracker text or chip music.

    WAV, OGG and FLAC hold what the 2A03 plays from SCORE.json. Without --loops the file holds one pass and tags for an endless loop, which must pass its certificate. A register log (.vgm, .vgz, .log) can stand in a score's place. .nsf and .nes take several.

    Example: nesasset render castle.json -o castle.ogg
    """
    suffix = suffix_of(output, FORMATS)
    if suffix is None:
        raise click.UsageError(f"the suffix of {output!r} must be one of {', '.join(FORMATS)}")
    if suffix not in SOUND and (rate, loops, fade, voicing) != (None, None, None, None):
        raise click.UsageError(f"--rate, --loops, --fade and --voicing are for sound; a {suffix} file has none")
    if suffix not in CHIP and (author or album):
        raise click.UsageError(f"--author and --album are for chip files; a {suffix} file has neither")
    if len(sources) > 1 and suffix not in PACKS:
        raise click.UsageError(f"a {suffix} file holds one piece, not {len(sources)}; {' and '.join(PACKS)} hold several")
    if fade is not None and loops is None:
        raise click.UsageError("--fade needs --loops: an endless loop has no end to fade out at")
    if fade is not None and not 0 <= fade <= 60:
        raise click.UsageError(f"--fade must be between 0 and 60 seconds, not {fade:g}")

    music = [read_music(source, nesmdb) for source in sources]
    facts: dict[str, object] = {"file": output}
    if suffix in SCORES:
        facts |= _write_score(music[0], sources[0], output, suffix)
    elif suffix in CHIP:
        facts |= _write_chip(music, sources, output, suffix, author, album)
    else:
        with busy("rendering"):
            audio = _sound(music[0], rate or _RATE_HZ, loops, fade or 0.0, voicing)
            _save(audio, music[0], sources[0], output, suffix)
        facts |= {
            "seconds": f"{audio.seconds:.9f}",
            "rate": audio.sample_rate_hz,
            "loop": None if audio.loop is None else {"start": audio.loop[0], "length": audio.loop[1]},
        }
    if as_json:
        print_json(facts)
    else:
        print_facts((name, _plain(value)) for name, value in facts.items())


def _write_score(music: Score | RegisterLog, source: str, output: str, suffix: str) -> dict[str, object]:
    from nesasset.formats import famistudio, famitracker, files, midi
    from nesasset.score import Score

    if not isinstance(music, Score):
        raise click.UsageError(f"{source} is a register log, and a {suffix} file is made from a score")
    if suffix == ".mid":
        files.write_bytes(output, midi.encode(music))
    else:
        {".ftm.txt": famitracker, ".fms.txt": famistudio}[suffix].save(music, output)
    return {"bars": music.n_bars, "tempo_bpm": round(music.tempo_bpm, 6)}


def _write_chip(
    music: list[Score | RegisterLog], sources: tuple[str, ...], output: str, suffix: str, author: str, album: str
) -> dict[str, object]:
    from nesasset.driver import drive
    from nesasset.formats import files, nsf, register_text, rom, vgm
    from nesasset.score import Score

    logs = [drive(piece) if isinstance(piece, Score) else piece for piece in music]
    titles = [title_of(piece, source) for piece, source in zip(music, sources, strict=True)]
    if suffix in PACKS:
        {".nsf": nsf, ".nes": rom}[suffix].save(logs, output, titles=titles, author=author, album=album)
    elif suffix == ".log":
        files.write_bytes(output, register_text.dumps(logs[0]).encode())
    else:
        dumps = vgm.dumps_vgz if suffix == ".vgz" else vgm.dumps
        files.write_bytes(output, dumps(logs[0], title=titles[0], author=author, game=album))
    return {
        "songs": len(logs),
        "seconds": round(sum(log.n_frames / log.frame_rate_hz for log in logs), 3),
        "writes": sum(len(log.frames) for log in logs),
        "bytes": Path(output).stat().st_size,
    }


def _sound(music: Score | RegisterLog, rate: int, loops: int | None, fade_s: float, voicing: str | None) -> Audio:
    from nesasset.apu.stream import DEFAULT_VOICING
    from nesasset.certificate import certify
    from nesasset.driver import drive
    from nesasset.errors import AudioError, CertificateError
    from nesasset.render import play_loops, render
    from nesasset.score import Score

    log = drive(music) if isinstance(music, Score) else music
    audio = render(log, rate, voicing or DEFAULT_VOICING)
    if loops is not None:
        if audio.loop is None:
            raise AudioError("the piece does not loop, so --loops has nothing to repeat; leave it out")
        return play_loops(audio, loops, fade_s)
    if audio.loop is not None and isinstance(music, Score):
        failures = certify(music, audio).failures
        if failures:
            reasons = "; ".join(f"{check.name}: {check.sentence}" for check in failures)
            raise CertificateError(f"the loop fails its certificate ({reasons}); mend the score or play it out with --loops 1")
    return audio


def _save(audio: Audio, music: Score | RegisterLog, source: str, output: str, suffix: str) -> None:
    from nesasset.build.stages import tags
    from nesasset.formats import flac, ogg, wav
    from nesasset.score import Score

    save = {".wav": wav.save, ".ogg": ogg.save, ".flac": flac.save}[suffix]
    save(audio, output, tags(music) if isinstance(music, Score) else {"TITLE": title_of(music, source)})


def _plain(value: object) -> object:
    return f"sample {value['start']}, {value['length']} samples" if isinstance(value, dict) else value
