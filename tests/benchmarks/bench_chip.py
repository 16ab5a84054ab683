"""What people judge a chip by, each figure beside its bar: pitch, aliases, flatness, a console, Mesen2, apu_mixer.

python tests/benchmarks/bench_chip.py
python tests/benchmarks/bench_chip.py --only pitch,aliases,flatness
python tests/benchmarks/bench_chip.py --reference ../shared/data/synth_reference.tar.xz --only console,mesen,mixer

The last line is JSON. Ends with 1 if a bar is missed. What is compared with sound that is not ours needs the references,
which are not part of the project (see tests/chip_measures.py); without them it is left out and said so. About a minute of CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent))

import chip_measures as measure

MAX_PITCH_ERROR_CENTS: Final = 0.01
MAX_ALIAS_DB: Final = -95.0
MAX_DROOP_DB: Final = 0.1
MIN_TONE_DB: Final = 65.0
MIN_SONG_DB: Final = 50.0
MAX_TRIANGLE_ERROR_DB: Final = 0.6


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number and its bar."""

    group: str
    name: str
    value: float
    unit: str
    bar: float
    at_most: bool
    """Whether the bar is the highest good value; else the lowest. Errors have signs, the bar is for their size."""

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        if not self.at_most:
            return self.value >= self.bar
        return (abs(self.value) if self.bar > 0 else self.value) <= self.bar


def pitch(_folder: Path) -> Iterator[Figure]:
    """Yield the worst of ten periods of each oscillator at each rate."""
    for rate in measure.RATES:
        for kind in ("pulse", "triangle", "noise"):
            errors = [measure.pitch_error_cents(tone, rate) for tone in measure.PITCH_TONES if tone.kind == kind]
            name = f"{'short noise' if kind == 'noise' else kind}, worst of {len(errors)} periods, {rate} Hz"
            yield Figure("pitch", name, max(errors), "cent", MAX_PITCH_ERROR_CENTS, at_most=True)


def aliases(_folder: Path) -> Iterator[Figure]:
    """Yield what is no harmonic of nine tones at each rate."""
    for rate in measure.RATES:
        for tone in measure.ALIAS_TONES:
            found = measure.alias_db(tone, rate)
            yield Figure("aliases", f"{tone.name}, {rate} Hz", found, "dB", MAX_ALIAS_DB, at_most=True)


def flatness(_folder: Path) -> Iterator[Figure]:
    """Yield the largest error of a harmonic up to 16 kHz at each rate."""
    for rate in measure.RATES:
        yield Figure(
            "flatness", f"raw, to 16 kHz, {rate} Hz", measure.flatness_db(rate), "dB", MAX_DROOP_DB, at_most=True
        )


def console(folder: Path) -> Iterator[Figure]:
    """Yield the levels against the recording of a console."""
    recording = measure.console(folder)
    for which, (*_, bar_db) in measure.PULSE_RAMPS.items():
        name = f"{which}, volumes 15 to 1, worst"
        yield Figure("console", name, measure.ramp_error_db(recording, which), "dB", bar_db, at_most=True)
    for dmc in measure.TRIANGLES:
        error = measure.triangle_error_db(recording, dmc)
        yield Figure("console", f"triangle at $4011 = {dmc}", error, "dB", MAX_TRIANGLE_ERROR_DB, at_most=True)


def mesen(folder: Path) -> Iterator[Figure]:
    """Yield the agreement with Mesen2 on the same logs."""
    for name in measure.MESEN_TONES:
        found = measure.tone_agreement_db(folder, name)
        yield Figure("mesen", name, found, "dB", MIN_TONE_DB, at_most=False)
    for which in measure.MESEN_SONGS:
        found = measure.song_agreement_db(folder, which)
        yield Figure("mesen", f"a song: {which}", found, "dB", MIN_SONG_DB, at_most=False)


def mixer(folder: Path) -> Iterator[Figure]:
    """Yield what apu_mixer leaves."""
    for name, (_, bar_db) in measure.APU_MIXER.items():
        ours, theirs = measure.apu_mixer_db(folder, name)
        yield Figure("mixer", f"apu_mixer {name} (Mesen2 {theirs:.1f})", ours, "dB", bar_db, at_most=True)


GROUPS: Final[dict[str, Callable[[Path], Iterator[Figure]]]] = {
    "pitch": pitch,
    "aliases": aliases,
    "flatness": flatness,
    "console": console,
    "mesen": mesen,
    "mixer": mixer,
}
NEED_REFERENCES: Final = ("console", "mesen", "mixer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--reference", type=Path, default=measure.ARCHIVE, help="the references: a folder or the archive"
    )
    parser.add_argument("--only", default=",".join(GROUPS), help=f"some of {','.join(GROUPS)}, e.g. pitch,aliases")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if not set(chosen) <= set(GROUPS):
        parser.error(f"--only takes some of {', '.join(GROUPS)}, not {options.only}")
    needed = [group for group in chosen if group in NEED_REFERENCES]
    if needed and not options.reference.exists():
        print(f"left out for want of the references at {options.reference}: {', '.join(needed)}", file=sys.stderr)
        chosen = [group for group in chosen if group not in needed]
        needed = []
    figures: list[Figure] = []
    with measure.unpacked(options.reference) if needed else nullcontext(options.reference) as folder:
        for group in chosen:
            for figure in GROUPS[group](folder):
                figures.append(figure)
                digits = 4 if figure.group in {"pitch", "flatness"} else 2
                bar = f"{'at most' if figure.at_most else 'at least'} {figure.bar:g} {figure.unit}"
                verdict = "met" if figure.met else "MISSED"
                print(
                    f"{figure.group:9} {figure.name:44} {figure.value:9.{digits}f} {figure.unit:5} {bar:18} {verdict}",
                    flush=True,
                )
    missed = [figure for figure in figures if not figure.met]
    print(f"{len(figures) - len(missed)} of {len(figures)} bars met")
    print(json.dumps({"missed": len(missed), "figures": [asdict(figure) | {"met": figure.met} for figure in figures]}))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
