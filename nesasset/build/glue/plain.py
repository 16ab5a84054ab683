"""Plain files: pack.json, which lists every track and file."""

from __future__ import annotations

import json
from typing import Final

import nesasset
from nesasset.build.engines import Export, Texts

PACK_FORMAT: Final = "nesasset-pack"
PACK_VERSION: Final = 1
PACK_FILE: Final = "pack.json"
_KEPT: Final = ("id", "title", "theme", "seed", "seed_used", "edited", "bars", "tempo_bpm", "seconds", "loop", "loudness")


def files(export: Export) -> Texts:
    """Return pack.json."""
    pack = export.pack
    summary = {
        "format": PACK_FORMAT,
        "version": PACK_VERSION,
        "generator": f"nesasset {nesasset.__version__}",
        "name": pack["name"],
        "author": pack["author"],
        "license": pack["license"],
        "rate": pack["rate"],
        "ai": {"pre_generated": any(piece.facts["ai"]["pre_generated"] for piece in export.pieces)},
        "tracks": [
            {
                **{name: piece.facts[name] for name in _KEPT},
                **({"family": piece.facts["family"]} if "family" in piece.facts else {}),
                "certificate": piece.facts["certificate"]["passed"],
                "sidecar": piece.files["track.json"],
            }
            for piece in export.pieces
        ],
        **({"effects": dict(export.effects)} if export.effects else {}),
        "files": dict(export.fingerprints),
    }
    return {PACK_FILE: json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"}
