"""LÖVE and Defold: Lua modules that follow an intro by its loop."""

from __future__ import annotations

import re

from nesasset.build.engines import Export, Piece, Texts, seconds


def _text(text: str) -> str:
    """Return a text as a Lua string."""
    return '"' + re.sub(r"[\r\n]+", " ", text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text)


def _main(piece: Piece) -> str:
    return piece.files.get("loop") or piece.files["whole"]


def love(export: Export) -> Texts:
    """Return nesasset_music.lua for LÖVE: a queueable source is fed with the intro's and then the loop's samples."""
    rows = "\n".join(
        f"  {piece.stem} = {{ intro = {_text(piece.files['intro']) if 'intro' in piece.files else 'nil'}, loop = {_text(_main(piece))}, loops = {'true' if piece.loop else 'false'} }},"
        for piece in export.pieces
    )
    return {
        "nesasset_music.lua": f"""-- Music of {_comment(export.pack["name"])}, written by nesasset build.
--   local music = require("{export.below("").replace("/", ".")}nesasset_music")
--   music.play("{export.pieces[0].stem}")
--   function love.update() music.update() end
local music = {{ folder = {_text(export.below(""))} }}

music.tracks = {{
{rows}
}}

local CHUNK = 4096
local source, parts, part, at, loops

local function read(name)
  return love.sound.newSoundData(music.folder .. name)
end

function music.play(name)
  music.stop()
  local track = assert(music.tracks[name], "no track is named " .. tostring(name))
  parts = {{}}
  if track.intro then parts[1] = read(track.intro) end
  parts[#parts + 1] = read(track.loop)
  part, at, loops = 1, 0, track.loops
  local last = parts[#parts]
  source = love.audio.newQueueableSource(last:getSampleRate(), last:getBitDepth(), last:getChannelCount(), 8)
  music.update()
  source:play()
end

-- Fills the queue with what comes next: the intro, then the loop for ever. Call it in love.update.
function music.update()
  if not source then return end
  while parts[part] and source:getFreeBufferCount() > 0 do
    local data = parts[part]
    local count = math.min(CHUNK, data:getSampleCount() - at)
    local bytes = data:getBitDepth() / 8 * data:getChannelCount()
    source:queue(data:getPointer(), at * bytes, count * bytes, data:getSampleRate(), data:getBitDepth(), data:getChannelCount())
    at = at + count
    if at >= data:getSampleCount() then
      at = 0
      if part < #parts or not loops then part = part + 1 end
    end
  end
  if not source:isPlaying() and parts[part] then source:play() end -- the queue had run dry: a long frame
end

function music.stop()
  if source then source:stop() end
  source = nil
end

return music
"""
    }


def defold(export: Export) -> Texts:
    """Return a sound component for each file and nesasset_music.lua, which plays them."""
    texts: dict[str, str] = {}
    for piece in export.pieces:
        for role in ("intro", "loop", "whole"):
            if role in piece.files:
                looping = 1 if role == "loop" else 0
                name = piece.files[role].rpartition(".")[0]
                texts[f"{name}.sound"] = f'sound: "/{export.below("")}{piece.files[role]}"\nlooping: {looping}\ngroup: "music"\ngain: 1.0\n'
    rows = "\n".join(
        f"  {piece.stem} = {{ intro = {_text(_component(piece, 'intro')) if 'intro' in piece.files else 'nil'}, "
        f"loop = {_text(_component(piece, 'loop') if 'loop' in piece.files else _component(piece, 'whole'))}, "
        f"seconds = {seconds(piece.loop[0] if piece.loop else piece.samples, piece.rate)} }},"
        for piece in export.pieces
    )
    texts["nesasset_music.lua"] = f"""-- Music of {_comment(export.pack["name"])}, written by nesasset build.
-- Add the .sound files as components of one game object, then in its script:
--   local music = require("{export.below("").replace("/", ".")}nesasset_music")
--   music.play("{export.pieces[0].stem}")
local M = {{}}

-- seconds: of the intro, or of a piece that is played once
M.tracks = {{
{rows}
}}

local playing

function M.play(name)
  M.stop()
  local track = assert(M.tracks[name], "no track is named " .. tostring(name))
  playing = track
  if track.intro then
    sound.play("#" .. track.intro)
    sound.play("#" .. track.loop, {{ delay = track.seconds }})
  else
    sound.play("#" .. track.loop)
  end
end

function M.stop()
  if not playing then return end
  if playing.intro then sound.stop("#" .. playing.intro) end
  sound.stop("#" .. playing.loop)
  playing = nil
end

return M
"""
    return texts


def _component(piece: Piece, role: str) -> str:
    return piece.files[role].rpartition("/")[2].rpartition(".")[0]
