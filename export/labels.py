"""The theme of a song by its file's name and folder: one ordered list of words, the first match wins. See data's tracks.csv."""

from __future__ import annotations

import re

# The order matters: "boss clear" is clear, "stage boss" boss.
RULES = (
    ("victory_clear", "victory|victor|clear|fanfare|win|jingle|success|levelup|level_up|item"),
    ("gameover_death", "game.?over|death|dead|die|miss|lose|defeat"),
    ("ending_credits", "ending|credits|staff|epilogue|finale|outro"),
    ("title_menu", "title|menu|opening|intro|select|main.?theme|story|inter(mission)?$|prologue"),
    ("boss_battle", "boss|battle|fight|combat|duel"),
    ("town_shop_indoor", "town|village|shop|house|inn|room|city|home"),
    ("castle_fortress", "castle|fortress|tower|palace|temple"),
    ("dungeon_underground", "dungeon|cave|underground|maze|crypt|mine"),
    ("powerup_invincible", "invincib|power.?up|hurry|star"),
    ("water", "water|sea|ocean|ship|island|river|lake"),
    ("bonus_minigame", "bonus|mini.?game|slot|casino"),
    ("map", "world.?map|map$|travel"),
    ("overworld_stage", "stage|level|overworld|field|forest|desert|wood|race|map\\d|e\\dm\\d|dm\\d|area|zone|adventure"),
)
_COMPILED = tuple((label, re.compile(rf"(?:^|[^a-z])(?:{words})", re.IGNORECASE)) for label, words in RULES)


def label_of(name: str) -> str:
    """Return the label that a file's name, with its folders, asks for, "" for none."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ")
    return next((label for label, pattern in _COMPILED if pattern.search(words)), "")
