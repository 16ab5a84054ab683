"""The judge's report as tables, for a terminal and for a model card, and the bars. Holds no measuring."""

from __future__ import annotations

from typing import Any, Final

from export.judging.features import FEATURES
from export.judging.obedience import LETTERS

WANTED_LABELS: Final = ("boss_battle", "dungeon_underground", "town_shop_indoor", "ending_credits")
# The bars for a model that is to be published: lowest and highest value that meets each, None for no limit.
BARS: Final[dict[str, tuple[float | None, float | None]]] = {
    "exact_bar_repeat_rate": (0.15, 0.25),
    "best_lag_similarity": (0.52, 0.66),
    "scale_consistency": (0.90, 0.94),
    "consonance": (0.77, None),
    "empty_beat_rate": (None, 0.02),
    "degenerate": (None, 0),
    "frechet_distance": (None, 1.7),
    "overlapping_area": (0.84, None),
    "seam_less_interior_bits": (None, 0.2),
    "wrap_beats_random_cut": (0.92, None),
    "discriminator_bars": (None, 0.70),
    "discriminator_windows": (None, 0.70),
    **{f"theme_{label}": (0.75, None) for label in WANTED_LABELS},
    "obedience_E": (1.0, None),
    "obedience_V": (0.75, None),
    "obedience_N": (0.85, None),
    "obedience_S": (1.0, None),
}
OBEDIENCE_NAMES: Final = dict(zip(LETTERS, ("exact", "varied", "rhythm", "sequence", "new", "silent"), strict=True))


def verdict(name: str, value: float | None) -> dict[str, Any]:
    low, high = BARS[name]
    limits = f">= {low:g}" if high is None else f"<= {high:g}" if low is None else f"{low:g} to {high:g}"
    met = None if value is None else (low is None or value >= low) and (high is None or value <= high)
    return {"bar": limits, "met": met}


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) >= 0.0005 else "0"


_WORDS: Final = {True: "met", False: "MISSED", None: "not measured"}


def _title(name: str) -> str:
    kind, _, rest = name.partition("_")
    if kind == "obedience":
        return f"obedience, {OBEDIENCE_NAMES[rest]}"
    if kind in ("theme", "discriminator"):
        return f"{kind} AUC, {rest.replace('_', ' ')}"
    return name.replace("_", " ").replace("less", "-")


def lines(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the table: its head, and a row for each figure with its name, bar, verdict and a cell a column."""
    columns = report["columns"]
    head = ["", "bar", "", *columns]
    names = dict.fromkeys(name for figures in columns.values() for name in figures)
    rows = []
    for name in names:
        cells = []
        for column, figures in columns.items():
            interval = report["intervals"].get(column, {}).get(name)
            around = f" ({shown(interval[0])}-{shown(interval[1])})" if interval else ""
            cells.append(shown(figures.get(name)) + around)
        verdict = report["bars"].get(name)
        rows.append(
            [_title(name), verdict["bar"] if verdict else "", _WORDS[verdict["met"]] if verdict else "", *cells]
        )
    return head, rows


def _details(report: dict[str, Any]) -> list[tuple[list[str], list[list[str]]]]:
    """Return the tables below the first: percentiles, and what became of the plans."""
    head = ["10th, 50th, 90th percentile", "generated", "real", "generated is more in", "overlapping area"]
    sides = [report["spread"][name] for name in ("generated", "real")]
    rows = [
        [
            name.replace("_", " "),
            *(" ".join(map(shown, side[name])) if side[name] else "-" for side in sides),
            shown(report["feature_aucs"][name]),
            shown(report["overlapping_areas"][name]),
        ]
        for name in FEATURES
    ]
    found = [(head, rows)]
    telling = [
        [entry["name"], *(shown(entry[key]) for key in ("generated", "real", "area"))]
        for entry in report["most_telling"]
    ]
    found.append((["tells most, mean", "generated", "real", "generated is more in"], telling))
    if any(report["obedience"].values()):
        asked = [
            [
                OBEDIENCE_NAMES[letter],
                str(sum(counts.values())),
                *(f"{100 * counts.get(got, 0) / sum(counts.values()):.1f}" for got in LETTERS),
            ]
            for letter, counts in report["obedience"].items()
            if counts
        ]
        found.append((["asked for, became (%)", "parts", *OBEDIENCE_NAMES.values()], asked))
    return found


def _header(report: dict[str, Any]) -> str:
    counts = report["counts"]
    return (
        f"Model {report['model']} {report['model_sha256'][:12]}: {counts['generated']} loops beside {counts['real']} real windows "
        f"and {counts['real_loops']} real loops; {counts['reference']} training windows as reference."
    )


def table_text(report: dict[str, Any]) -> str:
    """Return the report for a terminal."""
    text = [_header(report)]
    for head, rows in (lines(report), *_details(report)):
        widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
        text.append("")
        text += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (head, *rows)
        ]
    missed = [_title(name) for name, verdict in report["bars"].items() if verdict["met"] is False]
    text += [
        "",
        f"{sum(verdict['met'] is True for verdict in report['bars'].values())} bars met, {len(missed)} missed: {', '.join(missed) or '-'}",
    ]
    return "\n".join([*text, *report["notes"]])


def table_markdown(report: dict[str, Any]) -> str:
    """Return the report as Markdown for a model card."""
    text = [_header(report)]
    for head, rows in (lines(report), *_details(report)):
        text += ["", *("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))]
    return "\n".join([*text, "", *(f"- {note}" for note in report["notes"]), ""])
