"""Which scores are as they were composed: a seal over the music stands in the provenance, and a hand that edits breaks it.

So a build can tell a score that it may compose anew from one that a person has worked on, with no lock and no cache at
hand: after a build that was killed, on another machine, in another branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from nesasset.formats.score_json import music_digest
from nesasset.score import Score

SEAL: Final = "seal"


def seal(score: Score) -> Score:
    """Return a score that says of its music that it is as it was composed."""
    return replace(score, provenance={**score.provenance, SEAL: music_digest(score)})


def is_edited(score: Score) -> bool:
    """Return whether somebody has changed the music since it was composed, or wrote it to begin with.

    So has whoever made it of another score, by `vary` say: no manifest asks for that, but for the members of families.
    """
    by_hand = "operation" in score.provenance and "family" not in score.provenance
    return by_hand or score.provenance.get(SEAL) != music_digest(score)


def asked_for(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return theme, seed and controls that a score says it was composed for, and of a member which it is; see Order.wishes."""
    told = {name: provenance.get(name) for name in ("theme", "seed", "controls")}
    return {**told, "family": provenance["family"]} if "family" in provenance else told
