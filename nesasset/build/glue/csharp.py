"""Unity and MonoGame: C# classes with the tracks and their loop points."""

from __future__ import annotations

import re

from nesasset.build.engines import Export, Piece, Texts


def _name(piece: Piece) -> str:
    """Return a track's name in C#: OverworldOne for overworld_one."""
    words = "".join(word[:1].upper() + word[1:] for word in piece.stem.split("_") if word)
    return f"_{words}" if words[:1].isdigit() else words


def _text(text: str) -> str:
    """Return a text as a C# string literal."""
    return '"' + re.sub(r"[\r\n\t]+", " ", text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text)


def unity(export: Export) -> Texts:
    """Return NesassetMusic.cs: plays an intro and then its loop, on the sample."""
    rows = "\n".join(
        f"        new Track({_text(piece.id)}, {_text(_clip(piece, 'intro'))}, {_text(_clip(piece, 'loop') or _clip(piece, 'whole'))}, {'true' if piece.loop else 'false'}),"
        for piece in export.pieces
    )
    first = export.pieces[0].id
    return {
        "NesassetMusic.cs": f"""// Music of {_comment(export.pack["name"])}, written by nesasset build.
// Put the component on an object, drag all clips of this folder into Clips, then: music.Play("{first}");
using System;
using System.Linq;
using UnityEngine;

public sealed class NesassetMusic : MonoBehaviour
{{
    private const double Ahead = 0.1; // seconds between asking and hearing, so that both sources are ready

    [Serializable]
    private readonly struct Track
    {{
        public readonly string Id, Intro, Loop;
        public readonly bool Loops;

        public Track(string id, string intro, string loop, bool loops)
        {{
            Id = id;
            Intro = intro;
            Loop = loop;
            Loops = loops;
        }}
    }}

    private static readonly Track[] Tracks =
    {{
{rows}
    }};

    [SerializeField] private AudioClip[] clips;

    private AudioSource intro, loop;

    private void Awake()
    {{
        intro = gameObject.AddComponent<AudioSource>();
        loop = gameObject.AddComponent<AudioSource>();
        intro.playOnAwake = loop.playOnAwake = false;
    }}

    /// <summary>Plays a track: its intro once, then its loop for ever.</summary>
    public void Play(string id)
    {{
        Track track = Tracks.First(one => one.Id == id);
        Stop();
        double start = AudioSettings.dspTime + Ahead;
        if (track.Intro != "")
        {{
            intro.clip = Find(track.Intro);
            intro.PlayScheduled(start);
            start += (double)intro.clip.samples / intro.clip.frequency; // clip.length is a float, and too coarse
        }}
        loop.clip = Find(track.Loop);
        loop.loop = track.Loops;
        loop.PlayScheduled(start);
    }}

    public void Stop()
    {{
        intro.Stop();
        loop.Stop();
    }}

    private AudioClip Find(string name) => clips.First(clip => clip.name == name);
}}
"""
    }


def _clip(piece: Piece, role: str) -> str:
    """Return the name of a clip in Unity: its file's without the suffix."""
    return piece.files.get(role, "").rpartition("/")[2].rpartition(".")[0]


def monogame(export: Export) -> Texts:
    """Return NesassetMusic.cs: reads a WAV and makes a SoundEffect of it with its loop points."""
    rows = "\n".join(
        f"    public static readonly NesassetTrack {_name(piece)} = new NesassetTrack({_text(piece.files['whole'])}, {piece.loop[0] if piece.loop else 0}, {piece.loop[1] if piece.loop else 0});"
        for piece in export.pieces
    )
    return {
        "NesassetMusic.cs": f"""// Music of {_comment(export.pack["name"])}, written by nesasset build.
//     var playing = NesassetMusic.{_name(export.pieces[0])}.Load("Content/Music").CreateInstance();
//     playing.IsLooped = true;
//     playing.Play();
using System;
using System.IO;
using Microsoft.Xna.Framework.Audio;

public static class NesassetMusic
{{
{rows}
}}

/// <summary>A track: its file, and its loop in samples. A loop of no length belongs to a piece that is played once.</summary>
public sealed class NesassetTrack
{{
    public readonly string File;
    public readonly int LoopStart, LoopLength;

    public NesassetTrack(string file, int loopStart, int loopLength)
    {{
        File = file;
        LoopStart = loopStart;
        LoopLength = loopLength;
    }}

    /// <summary>Reads the WAV, 16 bits and one channel, and returns the sound with its loop points.</summary>
    public SoundEffect Load(string folder)
    {{
        byte[] wav = System.IO.File.ReadAllBytes(Path.Combine(folder, File));
        int rate = 0;
        for (int at = 12; at + 8 <= wav.Length;)
        {{
            string name = System.Text.Encoding.ASCII.GetString(wav, at, 4);
            int size = BitConverter.ToInt32(wav, at + 4);
            if (name == "fmt ")
                rate = BitConverter.ToInt32(wav, at + 12);
            if (name == "data")
                return new SoundEffect(wav, at + 8, size, rate, AudioChannels.Mono, LoopStart, LoopLength > 0 ? LoopLength : size / 2);
            at += 8 + size + (size & 1);
        }}
        throw new InvalidDataException(File + " holds no sound");
    }}
}}
"""
    }
