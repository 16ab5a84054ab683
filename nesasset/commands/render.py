"""`nesasset render`: scores and register logs as sound, MIDI, tracker text, or files that play on the console.

Sound goes from the chip to the files block by block, so that a log of ten hours needs no more memory than a short one; only
the endless loop of a score is held, because its certificate looks at all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nesasset.commands._shared import JSON_OPTION, print_facts, print_json, progress_bar
from nesasset.commands._sources import TRACKERS, read_music, suffix_of, title_of

if TYPE_CHECKING:
    from nesasset.audio import Audio
    from nesasset.formats.sound_stream import Block, SoundStream, Write
    from nesasset.register_log import RegisterLog
    from nesasset.score import Score

SOUND: Final = (".wav", ".ogg", ".flac")
SCORES: Final = (".mid", *TRACKERS)
CHIP: Final = (".nsf", ".nes", ".vgm", ".vgz", ".log")
PACKS: Final = (".nsf", ".nes")
FORMATS: Final = (*SOUND, *SCORES, *CHIP)
_RATE_HZ: Final = 44_100
_MIX: Final = ""  # where the voices have their keys


@click.command("render")
@click.argument("sources", metavar="SCORE.json...", nargs=-1, required=True)
@click.option("-o", "output", required=True, metavar="FILE", help=f"The suffix chooses: {', '.join(FORMATS)}. -o castle.ogg")
@click.option("--rate", type=int, metavar="HZ", help=f"Samples a second, 8000 to 96000; {_RATE_HZ} by default. --rate 48000")
@click.option("--loops", type=click.IntRange(1, 1000), metavar="N", help="Play the loop N times and end, without loop tags. --loops 2")
@click.option("--fade", type=float, metavar="S", help="Fade out over S seconds after the last loop; needs --loops. --fade 3")
@click.option("--voicing", type=click.Choice(("raw", "famicom", "nes")), help="Which console's output stage is heard. --voicing nes")
@click.option("--stems", is_flag=True, help="One more file a voice, castle.P1.wav …, whose sum is castle.wav, bit by bit.")
@click.option("--split", is_flag=True, help="Two files, castle.intro.wav and castle.loop.wav, instead of castle.wav.")
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
    stems: bool,
    split: bool,
    author: str,
    album: str,
    nesmdb: bool,
    as_json: bool,
) -> None:
    """Play a score and save it as sound, MIDI, tracker text or chip music.

    WAV, OGG and FLAC hold what the 2A03 plays from SCORE.json. Without --loops the file holds one pass and tags for an endless loop, which must pass its certificate. A register log (.vgm, .vgz, .log) can stand in a score's place. .nsf and .nes take several.

    Example: nesasset render castle.json -o castle.ogg

    Example: nesasset render castle.json -o castle.wav --stems --split
    """
    suffix = suffix_of(output, FORMATS)
    if suffix is None:
        raise click.UsageError(f"the suffix of {output!r} must be one of {', '.join(FORMATS)}")
    if suffix not in SOUND and (rate, loops, fade, voicing) != (None, None, None, None):
        raise click.UsageError(f"--rate, --loops, --fade and --voicing are for sound; a {suffix} file has none")
    if suffix not in SOUND and (stems or split):
        raise click.UsageError(f"--stems and --split are for sound; a {suffix} file has neither")
    if split and loops is not None:
        raise click.UsageError("--split keeps the endless loop and --loops plays it out; leave one of them out")
    if suffix not in CHIP and (author or album):
        raise click.UsageError(f"--author and --album are for chip files; a {suffix} file has neither")
    if len(sources) > 1 and suffix not in PACKS:
        raise click.UsageError(f"a {suffix} file holds one piece, not {len(sources)}; {' and '.join(PACKS)} hold several")
    if fade is not None and loops is None:
        raise click.UsageError("--fade needs --loops: an endless loop has no end to fade out at")
    if fade is not None and not 0 <= fade <= 60:
        raise click.UsageError(f"--fade must be between 0 and 60 seconds, not {fade:g}")

    music = [read_music(source, nesmdb) for source in sources]
    facts: dict[str, object] = {} if suffix in SOUND else {"file": output}
    if suffix in SCORES:
        facts |= _write_score(music[0], sources[0], output, suffix)
    elif suffix in CHIP:
        facts |= _write_chip(music, sources, output, suffix, author, album)
    else:
        sounds = _sounds(music[0], rate or _RATE_HZ, loops, fade or 0.0, voicing, stems)
        facts = _write_sounds(sounds, music[0], sources[0], output, suffix, split)
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


def _sounds(
    music: Score | RegisterLog, rate: int, loops: int | None, fade_s: float, voicing: str | None, stems: bool
) -> dict[str, SoundStream]:
    """Return what is to be heard: the mix alone, or the voices alone, whose sum is the mix."""
    from nesasset.apu.stream import DEFAULT_VOICING
    from nesasset.driver import drive
    from nesasset.errors import AudioError
    from nesasset.formats import sound_stream
    from nesasset.render import render_stream, stem_streams
    from nesasset.score import Score

    log = drive(music) if isinstance(music, Score) else music
    voicing = voicing or DEFAULT_VOICING
    sounds = stem_streams(log, rate, voicing) if stems else {_MIX: render_stream(log, rate, voicing)}
    if loops is not None:
        if log.loop is None:
            raise AudioError("the piece does not loop, so --loops has nothing to repeat; leave it out")
        return {name: sound_stream.play_out(sound, loops, fade_s) for name, sound in sounds.items()}
    if log.loop is None or not isinstance(music, Score):
        return sounds
    with _progress(sum(sound.n_samples for sound in sounds.values())) as advance:
        held = {name: sound_stream.hold(_watched(sound, advance)) for name, sound in sounds.items()}
    _certify(music, held)
    return {name: sound_stream.of(audio) for name, audio in held.items()}


def _certify(score: Score, held: Mapping[str, Audio]) -> None:
    from nesasset.certificate import certify
    from nesasset.errors import CertificateError
    from nesasset.render import mix_stems

    failures = certify(score, mix_stems(held)).failures
    if failures:
        reasons = "; ".join(f"{check.name}: {check.sentence}" for check in failures)
        raise CertificateError(f"the loop fails its certificate ({reasons}); mend the score or play it out with --loops 1")


def _write_sounds(
    sounds: Mapping[str, SoundStream], music: Score | RegisterLog, source: str, output: str, suffix: str, split: bool
) -> dict[str, object]:
    """Make all sounds once, in step, and write every file that is asked for as they come."""
    from nesasset.build.stages import tags
    from nesasset.errors import AudioError
    from nesasset.formats import flac, ogg, sound_stream, wav
    from nesasset.score import Score

    one = next(iter(sounds.values()))  # all have one length, rate and loop
    if split and one.loop is None:
        raise AudioError("the piece does not loop, so --split has nothing to part; leave it out")
    writing = {".wav": wav.writing, ".ogg": ogg.writing, ".flac": flac.writing}[suffix]
    title = title_of(music, source)
    known = tags(music) if isinstance(music, Score) else {"TITLE": title}
    written: list[str] = []
    with ExitStack() as files, _progress(one.n_samples) as advance:
        # The order in which files are listed: the mix, then the voices.
        writers: dict[str, list[tuple[int, int, Write]]] = {}
        for name in dict.fromkeys((_MIX, *sounds)):
            writers[name] = []
            for part, first, last, loop in _parts(one, split):
                labels = [label for label in (name, part) if label]
                path = ".".join([output[: -len(suffix)], *labels]) + output[-len(suffix) :]
                titled = known | {"TITLE": " ".join([title, *(f"({label})" for label in labels)])} if labels else known
                header = replace(one, n_samples=last - first, loop=loop)
                writers[name].append((first, last, files.enter_context(writing(header, path, titled))))
                written.append(path)
        at = 0
        for blocks in zip(*(sound.blocks() for sound in sounds.values()), strict=True):
            made = dict(zip(sounds, blocks, strict=True))
            made.setdefault(_MIX, sound_stream.sum_blocks(blocks))
            for name, block in made.items():
                _pass_on(block, at, writers[name])
            at += len(blocks[0])
            advance(len(blocks[0]))
    facts: dict[str, object] = {"file": written[0]} if len(written) == 1 else {"files": written}
    if split and one.loop and not one.loop[0]:
        facts["intro"] = "none: the piece begins with its loop"
    return facts | {
        "seconds": f"{one.n_samples / one.sample_rate_hz:.9f}",
        "rate": one.sample_rate_hz,
        "loop": None if one.loop is None else {"start": one.loop[0], "length": one.loop[1]},
    }


def _parts(sound: SoundStream, split: bool) -> list[tuple[str, int, int, tuple[int, int] | None]]:
    """Return the parts of a sound that get a file: label, first sample, sample after the last, loop within the part."""
    if not split or sound.loop is None:
        return [("", 0, sound.n_samples, sound.loop)]
    start, length = sound.loop
    intro = [("intro", 0, start, None)] if start else []
    return [*intro, ("loop", start, start + length, (0, length))]


def _pass_on(block: Block, at: int, writers: list[tuple[int, int, Write]]) -> None:
    """Give the samples of a block, which begins with sample at, to those who write them."""
    for first, last, write in writers:
        inside = block[max(0, first - at) : max(0, last - at)]
        if len(inside):
            write(inside)


@contextmanager
def _progress(n_samples: int) -> Iterator[Callable[[int], None]]:
    """Give a function that moves a progress bar by samples; `progress_bar` counts per cent."""
    done = shown = 0
    with progress_bar(100, "rendering") as step:

        def advance(count: int) -> None:
            nonlocal done, shown
            done += count
            while shown < 100 * done // max(1, n_samples):
                shown += 1
                step("rendering")

        yield advance


def _watched(sound: SoundStream, advance: Callable[[int], None]) -> SoundStream:
    """Return a sound that tells how many samples were made."""

    def blocks() -> Iterator[Block]:
        for block in sound.blocks():
            yield block
            advance(len(block))

    return replace(sound, blocks=blocks)


def _plain(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(value)
    return f"sample {value['start']}, {value['length']} samples" if isinstance(value, dict) else value
