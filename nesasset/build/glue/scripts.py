"""pygame, GameMaker, Ren'Py and Bevy: one module of names and loop points each."""

from __future__ import annotations

import json
import re

from nesasset.build.engines import Export, Piece, Texts, seconds


def _text(text: str) -> str:
    """Return a text as a string literal of Python, GML, Ren'Py and Rust alike: plain letters, escapes that all of them know."""
    return json.dumps(re.sub(r"[\x00-\x1f]+", " ", text), ensure_ascii=False)


def _comment(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text)


def _loop(piece: Piece) -> tuple[int, int]:
    return piece.loop or (0, 0)


def pygame(export: Export) -> Texts:
    """Return nesasset_music.py: a constant a track, with types."""
    rows = "\n".join(
        f"{piece.stem.upper()} = Track({_text(piece.files['whole'])}, {_text(piece.facts['title'])}, {piece.rate}, {piece.samples}, "
        f"{piece.loop!r}, {float(piece.facts['tempo_bpm'])!r}, {_by_rate(piece)})"
        for piece in export.pieces
    )
    names = ", ".join(piece.stem.upper() for piece in export.pieces)
    sounds = "".join(f"    {_text(name)}: _FOLDER / {_text(path)},\n" for name, path in export.effects.items())
    # Of the whole text only this depends on whether there are effects: without them it is as it always was.
    effects = f'\nEFFECTS: Final = {{\n{sounds}}}\n"""Sound effects by id, for pygame.mixer.Sound(music.EFFECTS["{next(iter(export.effects))}"])."""\n' if sounds else ""
    return {
        "nesasset_music.py": f'''"""Music of {_comment(export.pack["name"]).replace(chr(92), "/").replace('"', "'")}, written by nesasset build.

    import pygame
    import nesasset_music as music

    pygame.mixer.init()
    music.{export.pieces[0].stem.upper()}.play()
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Track:
    """One track; its file has the loop in tags that pygame's mixer reads."""

    file: str
    title: str
    rate: int
    """Samples a second."""
    samples: int
    """Length of intro and loop."""
    loop: tuple[int, int] | None
    """First sample of the loop and its length; None for a jingle."""
    tempo_bpm: float
    by_rate: dict[int, str]
    """The same sound at each rate that was built."""

    @property
    def path(self) -> Path:
        """The file, at the mixer's rate if there is one: pygame's mixer resamples music badly."""
        import pygame

        settings = pygame.mixer.get_init()
        return _FOLDER / self.by_rate.get(settings[0] if settings else self.rate, self.file)

    def play(self, fade_ms: int = 0) -> None:
        """Play the track: for ever if it loops, once if it is a jingle."""
        import pygame

        pygame.mixer.music.load(self.path)
        pygame.mixer.music.play(-1 if self.loop else 0, fade_ms=fade_ms)


{rows}

ALL: Final = ({names},)
{effects}'''
    }


def _by_rate(piece: Piece) -> str:
    rates = {piece.rate: piece.files["whole"]} | {int(role): path for role, path in piece.files.items() if role.isdigit()}
    return "{" + ", ".join(f"{rate}: {_text(path)}" for rate, path in rates.items()) + "}"


def gamemaker(export: Export) -> Texts:
    """Return nesasset_music.gml: a function that streams a track and sets its loop points."""
    cases = "\n".join(
        f'        case "{piece.stem}": return {{ file: {_text(piece.files["whole"])}, loops: {"true" if piece.loop else "false"}, '
        f"loop_start: {seconds(_loop(piece)[0], piece.rate, 'inside')}, loop_end: {seconds(sum(_loop(piece)), piece.rate, 'inside')} }};"
        for piece in export.pieces
    )
    return {
        "nesasset_music.gml": f"""// Music of {_comment(export.pack["name"])}, written by nesasset build. Put this into a script asset named nesasset_music.
//     nesasset_music_play("{export.pieces[0].stem}");
global.nesasset_stream = -1;

/// @param {{string}} name
function nesasset_music_track(name) {{
    switch (name) {{
{cases}
    }}
    show_error("no track is named " + name, true);
}}

/// Plays a track from the included files; returns what plays.
function nesasset_music_play(name, gain = 1) {{
    nesasset_music_stop();
    var track = nesasset_music_track(name);
    global.nesasset_stream = audio_create_stream({_text(export.below("datafiles"))} + track.file);
    var playing = audio_play_sound(global.nesasset_stream, 100, track.loops, gain);
    if (track.loops) {{
        audio_sound_loop_start(playing, track.loop_start);
        audio_sound_loop_end(playing, track.loop_end);
    }}
    return playing;
}}

function nesasset_music_stop() {{
    if (global.nesasset_stream != -1) {{
        audio_stop_sound(global.nesasset_stream);
        audio_destroy_stream(global.nesasset_stream);
        global.nesasset_stream = -1;
    }}
}}
"""
    }


def renpy(export: Export) -> Texts:
    """Return nesasset_music.rpy: a name for each track, with its loop."""
    rows = "\n".join(f"define audio.{piece.stem} = {_text(_played(piece, export.below('game')))}" for piece in export.pieces)
    first = export.pieces[0].stem
    return {
        "nesasset_music.rpy": f"""# Music of {_comment(export.pack["name"])}, written by nesasset build.
#     play music {first}
# Jingles end by themselves: play music victory noloop
{rows}
"""
    }


def _played(piece: Piece, folder: str) -> str:
    """Return what Ren'Py plays: from the start, and again from the loop's start."""
    path = folder + piece.files["whole"]
    return f"<loop {seconds(piece.loop[0], piece.rate, 'inside')}>{path}" if piece.loop and piece.loop[0] else path


def bevy(export: Export) -> Texts:
    """Return nesasset_music.rs: constants, and the loop region for kira."""
    rows = "\n".join(
        f"pub const {piece.stem.upper()}: Track = Track {{ file: {_text(export.below('assets') + piece.files['whole'])}, rate: {piece.rate}, samples: {piece.samples}, "
        f"loop_samples: {f'Some(({_loop(piece)[0]}, {sum(_loop(piece))}))' if piece.loop else 'None'}, tempo_bpm: {float(piece.facts['tempo_bpm'])!r} }};"
        for piece in export.pieces
    )
    names = ", ".join(piece.stem.upper() for piece in export.pieces)
    return {
        "nesasset_music.rs": f"""//! Music of {_comment(export.pack["name"])}, written by nesasset build. With kira:
//!
//!     let sound = StaticSoundData::from_file(path)?;
//!     let sound = match {export.pieces[0].stem.upper()}.loop_samples {{
//!         Some((start, end)) => sound.loop_region(Region {{ start: PlaybackPosition::Samples(start), end: EndPosition::Custom(PlaybackPosition::Samples(end)) }}),
//!         None => sound,
//!     }};
//!     manager.play(sound)?;

/// One track.
#[derive(Clone, Copy, Debug)]
pub struct Track {{
    /// Below the folder of assets.
    pub file: &'static str,
    /// Samples a second.
    pub rate: u32,
    /// Length of intro and loop.
    pub samples: usize,
    /// First sample of the loop and the sample after its last; None for a jingle.
    pub loop_samples: Option<(usize, usize)>,
    pub tempo_bpm: f64,
}}

{rows}

pub const ALL: &[Track] = &[{names}];
"""
    }
