"""`nesasset play`: listen from the terminal, with keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from nesasset.commands._shared import JSON_OPTION, asked_model, print_facts, print_json

if TYPE_CHECKING:
    from nesasset.play import Music
    from nesasset.play.jukebox import Jukebox

_FRAME_S = 1 / 60


@click.command("play")
@click.argument("music", metavar="THEME|FILE")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the composition. --seed 7")
@click.option("--best", is_flag=True, help="Compose as `nesasset compose` does, the same piece: begins seconds later.")
@click.option("--evolve", is_flag=True, help="Go on with new sections of the theme instead of repeating one.")
@click.option("--model", metavar="NAME", help="Another installed model than the default; nesasset models lists them. --model open")
@click.option("--intensity", type=float, metavar="X", help="From 0 to 1; as written by default. --intensity 0.4")
@click.option("--tempo", type=float, metavar="X", help="Factor on the tempo, 0.25 to 4. --tempo 1.2")
@click.option("--midi-out", "port", metavar="PORT", help="Send the notes to a MIDI port, in time; list names them. --midi-out list")
@click.option("--buffer", "margin_ms", type=float, default=100.0, show_default=True, metavar="MS", help="Sound made ahead, 20 to 1000. --buffer 200")
@click.option("--headless", type=float, metavar="SECONDS", help="Play so long without sound card and terminal, faster than time. --headless 30")
@click.option("--script", default="", metavar="TEXT", help="With --headless: keys at times. --script '2:n 4:+ 9:k'")
@click.option("-o", "output", metavar="FILE.wav", help="With --headless: what would be heard. -o heard.wav")
@JSON_OPTION
def command(
    music: str,
    seed: int,
    best: bool,
    evolve: bool,
    model: str | None,
    intensity: float | None,
    tempo: float | None,
    port: str | None,
    margin_ms: float,
    headless: float | None,
    script: str,
    output: str | None,
    as_json: bool,
) -> None:
    """Listen to a THEME, composed while it plays, or to a score's FILE.

    Keys: n p the next seed and the one before, t T themes, + - tempo, ] [ intensity, > < pitch, 1 2 3 4 voices, s a stinger, e an effect, x another section, space pause, k keep the score, 0 as written, q quit.

    Example: nesasset play castle --seed 7
    """
    from nesasset.compose.controls import check_seed
    from nesasset.errors import ControlError
    from nesasset.play.jukebox import parse_script
    from nesasset.themes import theme as find_theme

    if headless is None and (script or output):
        raise click.UsageError("--script and -o belong to --headless SECONDS")
    if headless is not None and not 0 < headless <= 3600:
        raise click.UsageError(f"--headless must be above 0 and at most 3600 seconds, not {headless:g}")
    if output is not None and not output.lower().endswith(".wav"):
        raise click.UsageError(f"what would be heard is saved as FILE.wav, not {output!r}")
    if not 20 <= margin_ms <= 1000:
        raise click.UsageError(f"--buffer must be between 20 and 1000 milliseconds, not {margin_ms:g}")
    keys = parse_script(script)
    check_seed(seed)
    asked_model(model)  # what is wrong is said now, not by the worker
    is_file = music.lower().endswith(".json")
    theme = "" if is_file else find_theme(music).name

    with _music(headless, margin_ms, model) as player:
        from nesasset.play.jukebox import Jukebox

        box = Jukebox(player, theme, seed, best)
        if intensity is not None:
            box.intensity = intensity
            player.intensity(intensity)
        if tempo is not None:
            box.tempo = tempo
            player.tempo(tempo)
        player.play(music, seed, best=best, evolve=evolve and not is_file)
        with _midi(port) as send:
            if headless is not None:
                facts = _listen_silently(box, headless, keys, send, output)
                if as_json:
                    print_json(facts)
                else:
                    print_facts(facts.items())
                return
            if not sys.stdin.isatty():
                raise ControlError("nesasset play wants a terminal for its keys; use --headless SECONDS without one")
            _listen(box, send)


@contextmanager
def _music(headless: float | None, margin_ms: float, model: str | None) -> Iterator[Music]:
    if headless is not None:
        from nesasset.testing import SilentMusic

        with SilentMusic(compose=True, model=model) as silent:
            yield silent
        return
    from nesasset.errors import NesassetError
    from nesasset.play import Music
    from nesasset.play.outputs import Silence, start_mixer

    try:
        start_mixer()
    except RuntimeError as error:
        raise NesassetError(f"nothing can be heard: {error}; --headless works without") from error
    with Music(margin_s=margin_ms / 1000, strict=True, model=model) as music:
        if isinstance(music.output, Silence):
            raise NesassetError("nothing can be heard: there is no sound card that pygame can use; --headless works without")
        yield music


@contextmanager
def _midi(port: str | None) -> Iterator[Any]:
    """Give a function that sends what changes with a frame, or one that does nothing."""
    if port is None:
        yield lambda sounds: None
        return
    from nesasset.play.midi_out import MidiNotes, open_port

    notes = MidiNotes()
    send, close = open_port(port)

    def pass_on(sounds: Any) -> None:
        for message in notes.messages(sounds):
            send(message)

    try:
        yield pass_on
    finally:
        for message in notes.off():
            send(message)
        close()


def _listen_silently(box: Jukebox, seconds: float, keys: list[tuple[float, str]], send: Any, output: str | None) -> dict[str, Any]:
    """Play without a clock, press keys at their times, and return what came of it."""
    import numpy as np

    from nesasset.audio import Audio
    from nesasset.formats import wav
    from nesasset.testing import SilentMusic

    music = box.music
    assert isinstance(music, SilentMusic)
    waiting = list(keys)
    for frame in range(round(60 * seconds)):
        while waiting and waiting[0][0] <= frame / 60:
            box.press(waiting.pop(0)[1])
        if not box.running:
            break
        music.advance(frames=1)
        if music.frame is not None:
            send(music.frame.sounds)
    samples = music.samples
    if output is not None:
        wav.save(Audio(samples, music.output.sample_rate_hz), output)
    place = music.position
    return {
        "theme": box.theme or place.theme,
        "seed": box.seed,
        "seconds": round(len(samples) / music.output.sample_rate_hz, 3),
        "bars": len(music.heard_events("bar")),
        "tempo_bpm": round(place.tempo_bpm, 3),
        "key": place.key,
        "peak": int(np.abs(samples.astype(np.int32)).max()) if len(samples) else 0,
        "said": box.said,
        **({"file": output} if output else {}),
    }


def _listen(box: Jukebox, send: Any) -> None:
    """Play until q, with keys and one line on the terminal."""
    import time

    last = None
    with _keys() as pressed:
        while box.running:
            for key in pressed():
                box.press(key)
            box.music.update()
            frame = box.music.frame
            if frame is not None and frame is not last:
                last = frame
                send(frame.sounds)
            sys.stderr.write(f"\r\x1b[K{box.line()[:110]}")
            sys.stderr.flush()
            time.sleep(_FRAME_S)
    sys.stderr.write("\r\x1b[K")


@contextmanager
def _keys() -> Iterator[Any]:
    """Give a function that returns the keys pressed since its last call, without waiting."""
    if sys.platform == "win32":
        import msvcrt

        def pressed() -> list[str]:
            found = []
            while msvcrt.kbhit():
                found.append(msvcrt.getwch())
            return found

        yield pressed
        return
    import os
    import select
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed_here() -> list[str]:
        ready, _, _ = select.select([descriptor], [], [], 0)
        return list(os.read(descriptor, 64).decode(errors="ignore")) if ready else []

    try:
        tty.setcbreak(descriptor)  # Ctrl-C still interrupts
        yield pressed_here
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
