"""Damaged files of every kind of music through export.ingest, in one folder: no traceback, nothing slow, memory bounded.

python tests/benchmarks/hostile_ingest.py --files 500
python tests/benchmarks/hostile_ingest.py --files 100 --seed 7 --keep found

The folder holds so many mutated MIDI, VGM, FamiTracker and MusicXML files, the largest files of each kind, and oddities: 10 000 tracks,
type 2, tempo 0, notes without length, a karaoke file, archive bombs. A second folder within it has songs that are whole, so that
there is something to learn from. Counted as a fault: a traceback, a file without a record, one that took more than 5 s of
CPU time, a process of more than 1.5 GiB, whole songs that were not kept, a temporary file left behind.

The last line is JSON; the exit status is 1 if there is any fault.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

import hostile_files  # noqa: E402 - after the path is told
import test_musicxml  # noqa: E402
from made_up_music import made_up_midi, write_folder  # noqa: E402

LIMIT_S, LIMIT_MIB = 5.0, 1536
SUFFIXES = (".mid", ".vgm", ".vgz", ".ftm.txt", ".json")


def meta(kind: int, content: bytes) -> bytes:
    return b"\x00\xff" + bytes([kind, len(content)]) + content


def midi_file(kind: int, tracks: list[bytes], division: int = 480, count: int | None = None) -> bytes:
    head = kind.to_bytes(2, "big") + (len(tracks) if count is None else count).to_bytes(2, "big") + division.to_bytes(2, "big")
    return b"MThd\x00\x00\x00\x06" + head + b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)


def oddities() -> dict[str, bytes]:
    """Return files that are whole but strange, by name."""
    end = b"\x00\xff\x2f\x00"
    note = b"\x00\x90\x3c\x64\x83\x60\x80\x3c\x00"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("score.xml", b"<a>" + b" " * (256 << 20))
    nested = b"<score-partwise>" + b"<part>" * 200_000
    words = b"".join(meta(5, b"la") + b"\x60\x90\x3c\x64\x60\x80\x3c\x00" for _ in range(200))
    return {
        "tracks.mid": midi_file(1, [note + end] * 10_000),
        "type2.mid": midi_file(2, [note + end] * 4),
        "tempo0.mid": midi_file(1, [meta(0x51, b"\x00\x00\x00") + note * 20 + end]),
        "slow.mid": midi_file(1, [meta(0x51, b"\xff\xff\xff") + note * 20 + end]),
        "length0.mid": midi_file(1, [b"\x00\x90\x3c\x64\x00\x80\x3c\x00" * 500 + end]),
        "karaoke.mid": midi_file(0, [words + end]),
        "far.mid": midi_file(1, [note + b"\xff\xff\xff\x7f\x90\x3c\x64" + end], division=1),
        "bar.mid": midi_file(1, [meta(0x58, b"\xff\x07\x18\x08") + note * 40 + end]),
        "empty.mid": b"",
        "bomb.mxl": bomb.getvalue(),
        "bomb.vgz": gzip.compress(bytes(512 << 20), 9),
        "nested.musicxml": nested,
        "laughs.musicxml": b"<!DOCTYPE a [<!ENTITY b 'b'><!ENTITY c '&b;&b;&b;'>]><score-partwise>&c;</score-partwise>",
        "pickle.pkl": b"cos\nsystem\n(S'touch /tmp/owned'\ntR.",
    }


def write_files(folder: Path, count: int, seed: int) -> None:
    """Write the hostile files."""
    folder.mkdir(parents=True)
    whole = hostile_files.whole_files(with_model=False)
    whole[".mid"].append(("made up", made_up_midi(99)))
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        if number % 10 == 9:
            data = bytearray(test_musicxml.SONG)
            for _ in range(rng.choice((1, 3, 9))):
                data[rng.randrange(len(data))] = rng.randrange(256)
            (folder / f"{number}.musicxml").write_bytes(data)
            continue
        found = hostile_files.damaged(rng, whole)
        while found.suffix not in SUFFIXES:
            found = hostile_files.damaged(rng, whole)
        (folder / f"{number}{found.suffix}").write_bytes(found.data)
    for number, found in enumerate(hostile_files.largest()):
        if found.suffix in SUFFIXES:
            (folder / f"largest_{number}{found.suffix}").write_bytes(found.data)
    for name, data in oddities().items():
        (folder / name).write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep the files here")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="hostile"))
    try:
        music, out = root / "music", root / "corpus"
        write_files(music / "hostile", options.files, options.seed)
        write_folder(music / "whole", 8)
        line = [sys.executable, "-m", "export.ingest", str(music), "-o", str(out), "-j", str(options.jobs), "--limit-s", str(LIMIT_S)]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
        faults: Counter[str] = Counter()
        if done.returncode or "Traceback" in done.stderr + done.stdout:
            faults["traceback"] += 1
            print(done.stderr[-3000:])
        rows = json.loads((out / "files.json").read_text()) if (out / "files.json").is_file() else []
        given = sum(1 for path in music.rglob("*") if path.is_file())
        for row in rows:
            if row["seconds"] > LIMIT_S + 0.5 or row["reason"].startswith("took more"):
                faults["slow"] += 1
                print(f"slow: {row['path']} {row['seconds']} s: {row['reason']}")
            if "ended the process" in row["reason"] or "\n" in row["reason"]:
                faults["unclear"] += 1
                print(f"unclear: {row['path']}: {row['reason'][:200]!r}")
        faults["lost"] += sum(row["status"] != "kept" for row in rows if row["source"] == "whole")
        faults["stray"] += len(list(out.rglob("*.tmp")))
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        faults["memory"] += memory > LIMIT_MIB
        if Path("/tmp/owned").exists():
            faults["code was run"] += 1
        outcomes = Counter(row["status"] for row in rows)
        slowest = max((row["seconds"] for row in rows), default=0.0)
        for reason, number in Counter(row["reason"][:90] for row in rows if row["reason"]).most_common(12):
            print(f"{number:5} {reason}")
        if options.keep:
            shutil.copytree(root, options.keep, dirs_exist_ok=True)
        print(json.dumps({"files": given, "records": len(rows), **outcomes, "slowest_s": slowest, "peak_mib": memory, "faults": {k: v for k, v in faults.items() if v}}))
        sys.exit(1 if any(faults.values()) or not rows else 0)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
