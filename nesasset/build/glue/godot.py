"""Godot 4: import settings beside each OGG, and a script that plays tracks and builds AudioStreamInteractive.

The loop's end is the file's end, so only its start stands in the settings, as `loop_offset` in seconds. Godot truncates that to a
frame; `engines.seconds` with 'inside' gives a number that truncates to the right one. The editor adds keys of its own to
an .import file, the uid above all: an existing file keeps everything but the keys that say how the music loops.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

from nesasset.build.engines import Export, Piece, Texts, seconds

_OWN: Final = ("loop", "loop_offset", "bpm", "beat_count", "bar_beats")
_LINE: Final = re.compile(rf"^({'|'.join(_OWN)})=.*$", re.MULTILINE)


def files(export: Export) -> Texts:
    """Return the settings of each whole file and nesasset_music.gd."""
    texts: dict[str, str] = {}
    for piece in export.pieces:
        for role, path in piece.files.items():
            if path.endswith(".ogg"):
                loops = not any(word in role for word in ("fade", "outro"))
                texts[f"{path}.import"] = _settings(_params(piece, loops))
    return {**texts, "nesasset_music.gd": _script(export)}


def _params(piece: Piece, loops: bool) -> Mapping[str, str]:
    """Return our keys of the section [params]; beats are whole, and only told if the loop is a whole number of them."""
    loop = piece.loop if loops else None
    if loop is None:
        return {"loop": "false", "loop_offset": "0", "bpm": "0", "beat_count": "0", "bar_beats": "4"}
    bar_beats = Fraction(str(piece.facts["bar_beats"]))
    whole = bar_beats.denominator == 1
    # beat_count stays 0: with it Godot ends the loop by the tempo and fades 256 samples over its start.
    bpm = 3600 / Fraction(str(piece.facts["frames_per_beat"])) if whole else Fraction(0)
    return {
        "loop": "true",
        "loop_offset": seconds(loop[0], piece.rate, "inside") if loop[0] else "0",
        "bpm": repr(float(bpm)) if bpm else "0",
        "beat_count": "0",
        "bar_beats": str(bar_beats) if whole else "4",
    }


def _settings(params: Mapping[str, str]) -> str:
    lines = [f"{key}={value}" for key, value in params.items()]
    return "\n".join(["[remap]", "", 'importer="oggvorbisstr"', 'type="AudioStreamOggVorbis"', "", "[params]", "", *lines, ""])


def owned(text: str) -> str:
    """Return the lines of an .import file that are ours: what must be right whatever the editor has added."""
    found = {match[0].partition("=")[0]: match[0] for match in _LINE.finditer(text)}
    return "\n".join(found.get(key, "") for key in _OWN)


def merged(path: Path, text: str) -> str:
    """Return an .import file as it should be: the one that is there with our keys put right, else the new one."""
    try:
        old = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return text
    if "[params]" not in old:
        return text
    wanted = {match[0].partition("=")[0]: match[0] for match in _LINE.finditer(text)}
    seen: set[str] = set()

    def put(match: re.Match[str]) -> str:
        key = match[0].partition("=")[0]
        seen.add(key)
        return wanted[key]

    new = _LINE.sub(put, old)
    missing = [wanted[key] for key in _OWN if key not in seen]
    return new.replace("[params]\n", "[params]\n\n" + "\n".join(missing) + "\n", 1) if missing else new


def _script(export: Export) -> str:
    told, families, change = _family_parts(export)
    rows = ",\n".join(f'\t"{piece.stem}": preload("{piece.files["whole"]}")' for piece in export.pieces)
    return f"""# Music of {_plain(export.pack["name"])}, written by nesasset build. Add it as an autoload named Music, then:
#     Music.play("{export.pieces[0].stem}")
#     $Player.stream = Music.interactive(["{export.pieces[0].stem}"]){told}
extends Node

const TRACKS := {{
{rows},
}}

{families}var _player := AudioStreamPlayer.new()


func _ready() -> void:
	process_mode = Node.PROCESS_MODE_ALWAYS
	add_child(_player)


# Plays a track; the one that plays already goes on.
func play(track: String) -> void:
	if _player.stream != TRACKS[track] or not _player.playing:
		_player.stream = TRACKS[track]
		_player.play()


func stop() -> void:
	_player.stop()


# Builds a stream whose clips are tracks and which changes between them at the next bar, fading over half a beat.
# AudioStreamInteractive is there from Godot 4.3 on.
func interactive(tracks: Array[String]) -> AudioStreamInteractive:
	var stream := AudioStreamInteractive.new()
	stream.clip_count = tracks.size()
	stream.initial_clip = 0
	for index in tracks.size():
		stream.set_clip_name(index, tracks[index])
		stream.set_clip_stream(index, TRACKS[tracks[index]])
	stream.add_transition(
		AudioStreamInteractive.CLIP_ANY, AudioStreamInteractive.CLIP_ANY,
		AudioStreamInteractive.TRANSITION_FROM_TIME_NEXT_BAR, AudioStreamInteractive.TRANSITION_TO_TIME_START,
		AudioStreamInteractive.FADE_CROSS, 0.5)
	return stream
{change}"""


def _family_parts(export: Export) -> tuple[str, str, str]:
    """Return what the script says of families: a line of its head, a table, and functions; nothing where there is none."""
    stems = {piece.id: piece.stem for piece in export.pieces}
    told = {piece.stem: [stems[member] for member in piece.facts.get("family", {}).get("members", ()) if member in stems] for piece in export.pieces}
    families = {stem: members for stem, members in told.items() if members}
    if not families:
        return "", "", ""
    stem, members = next(iter(families.items()))
    lines = [f'\t"{name}": [{", ".join(json.dumps(other) for other in (name, *others))}]' for name, others in families.items()]
    lengths = [f'\t"{piece.stem}": {seconds(piece.samples, piece.rate)}' for piece in export.pieces if piece.stem in {name for pair in families.items() for name in (pair[0], *pair[1])}]
    table = "# Versions of one piece on one grid of bars, and the seconds of each: bar 5 of one is bar 5 of all.\nconst FAMILIES := {\n" + ",\n".join(lines) + ",\n}\n"
    table += "const SECONDS := {\n" + ",\n".join(lengths) + ",\n}\n\n"
    return f'\n#     Music.change("{members[0]}")  # to the same place in a version of what plays\n#     $Player.stream = Music.family("{stem}")', table, _CHANGE


_CHANGE: Final = """

# Goes over to another version of the track that plays, at the same bar and beat, whatever the tempos; else plays it.
func change(track: String) -> void:
	var now: Variant = TRACKS.find_key(_player.stream)
	var at := 0.0
	for members: Array in FAMILIES.values():
		if _player.playing and now in members and track in members and now != track:
			at = _player.get_playback_position() * SECONDS[track] / SECONDS[now]
	if now != track or not _player.playing:
		_player.stream = TRACKS[track]
		_player.play(at)


# Builds a stream of all versions of a track, which changes at the next bar to the beginning of another.
func family(track: String) -> AudioStreamInteractive:
	var members: Array[String] = []
	members.assign(FAMILIES[track])
	return interactive(members)
"""


def _plain(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text)
