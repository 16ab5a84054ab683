"""Rendering: plays a register log through the 2A03. The work is in stream.py (any log), loop.py (a loop's steady state) and stems.py."""

from nesasset.render.stems import STEM_GAIN, mix_stems, render_stems, stem_channels, stem_streams
from nesasset.render.stream import play_loops, render, render_stream

__all__ = [
    "STEM_GAIN",
    "mix_stems",
    "play_loops",
    "render",
    "render_stems",
    "render_stream",
    "stem_channels",
    "stem_streams",
]
