"""Damaged files of every format, fed to the command line: none may give a traceback, hang, or leave half a file behind.

python tests/benchmarks/hostile.py --files 5000
python tests/benchmarks/hostile.py --files 300 --seed 7 --keep found --json
python tests/benchmarks/hostile.py --one 1234

Each file goes through the commands that a user would try on it, in a process of its own that is started anew when it dies.
What is counted as a fault:

- traceback: exit code 3, a warning, or a process that died;
- unclear: a refusal (exit 1 or 2) that is not one sentence;
- slow: more than 2 s of CPU time, playing not counted;
- memory: more than 1 GiB of address space beyond what the program needs when idle;
- stray: a file after a refusal, a temporary file, or none after success.

What playing costs depends on how long the music is and not on the file, so it is kept out: the time within the driver, the
chip, the certificate and the picture is not counted, and what lasts more than 30 s is read but not played. Every other
second is: reading, checking, converting, writing.

The last line is JSON; the exit status is 1 if there is any fault. A file follows from --seed and its number, so --one makes
it again. The files of the largest sizes come first and are the same for every seed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 2.0
LIMIT_BYTES = 1 << 30
LIMIT_MESSAGE = 1000  # characters of a sentence, the file's name included
LONGEST_PLAYED_S = 30
INTERRUPT_S = 12.0  # CPU time after which a command is interrupted, as Ctrl-C would
SILENCE_S = 120.0  # without an answer for so long, the process is ended
FAULTS = ("traceback", "unclear", "slow", "memory", "stray")
OUTCOMES = ("accepted", "refused", *FAULTS)

Command = tuple[str, ...]


def commands_for(suffix: str, rng: random.Random) -> list[Command]:
    """Return what a user would try on a file, `IN` standing for its name; the first ones are tried on every file."""
    sound = ("render", "IN", "-o", "out.wav")
    chip = ("render", "IN", "-o", rng.choice(("out.nsf", "out.nes", "out.vgm", "out.vgz", "out.log")))
    score = ("render", "IN", "-o", rng.choice(("out.mid", "out.ftm.txt", "out.fms.txt")))
    picture = ("plot", "IN", "-o", "out.png")
    imported = ("import", "IN", "-o", "out.json")
    info = ("info", "IN")
    some = [picture] if rng.random() < 0.1 else []
    if suffix in (".vgm", ".vgz", ".log"):
        return [rng.choice((sound, chip)), *([info] if rng.random() < 0.3 else some)]
    if suffix == ".nsf":
        return [info, sound]
    if suffix == ".mid":
        return [info, imported, ("render", "IN", "--nesmdb", "-o", rng.choice(("out.wav", "out.log")))]
    if suffix == ".ftm.txt":
        return [imported]
    if suffix == ".fms.txt":
        return [imported, score]
    return [info, score, rng.choice((sound, chip)), *some]


# The process that runs the commands


class Stopwatch:
    """CPU seconds that do not count."""

    def __init__(self) -> None:
        self.playing_s = 0.0
        self._depth = 0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop while something is played."""
        self._depth += 1
        begin = time.process_time()
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.playing_s += time.process_time() - begin


def leave_playing_out(watch: Stopwatch) -> None:
    """Put a stopwatch round what plays, and refuse to play what is long."""
    import importlib

    from nesasset.errors import AudioError

    def timed_blocks(sound: Any) -> Iterator[Any]:
        made = sound.blocks()
        while True:
            with watch.stopped():
                block = next(made, None)
            if block is None:
                return
            yield block

    def wrap(place: str, name: str, seconds: Any) -> None:
        module = importlib.import_module(place)  # by name: nesasset.render, say, is also a function
        original = getattr(module, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            if seconds(args[0]) > LONGEST_PLAYED_S:
                raise AudioError("too long to be played here")
            with watch.stopped():
                played = original(*args, **kwargs)
            if name == "render_stream":  # which plays while it is written
                return replace(played, blocks=lambda: timed_blocks(played))
            return played

        setattr(module, name, timed)

    wrap("nesasset.driver", "drive", lambda score: score.n_frames / 60)
    wrap("nesasset.render", "render", lambda log: log.n_frames / log.frame_rate_hz)
    wrap("nesasset.render", "render_stream", lambda log: log.n_frames / log.frame_rate_hz)
    wrap("nesasset.certificate", "certify", lambda score: 0)
    wrap("nesasset.formats.plot", "draw", lambda audio: 0)


def _statm_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def run_commands(folder: Path, name: str, commands: list[Command], watch: Stopwatch) -> list[dict[str, Any]]:
    """Run commands on a file, each in the folder as the one before left it, and return what happened."""
    import contextlib
    import io
    import resource
    import signal
    import traceback

    from nesasset import cli

    os.chdir(folder)
    where = ""

    def interrupt(number: int, frame: Any) -> None:
        nonlocal where
        where = "".join(traceback.format_stack(frame, limit=-6))
        raise KeyboardInterrupt

    signal.signal(signal.SIGPROF, interrupt)
    found = []
    for command in commands:
        arguments = [name if word == "IN" else word for word in command]
        before = set(os.listdir())
        where, watch.playing_s = "", 0.0
        out, err = io.StringIO(), io.StringIO()
        base = _statm_bytes()
        resource.setrlimit(resource.RLIMIT_AS, (base + LIMIT_BYTES, resource.RLIM_INFINITY))
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, INTERRUPT_S)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.main(arguments)
        except KeyboardInterrupt:  # it came outside the command's own handler
            code = cli.INTERRUPTED
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        seconds = time.process_time() - begin - watch.playing_s
        new = sorted(set(os.listdir()) - before)
        wanted = [command[-1]] if code == 0 and "-o" in command else []
        stray = [entry for entry in new if entry not in wanted]
        stray += [entry for entry in wanted if not os.path.isfile(entry) or not os.path.getsize(entry)]
        found.append(
            {"command": list(command), "code": code, "seconds": seconds, "stray": stray, "err": err.getvalue(), "where": where}
        )
        for entry in new:
            with contextlib.suppress(OSError):
                os.unlink(entry)
    return found


def serve() -> None:
    """Answer a line of JSON for each line of JSON, until there is no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints itself is no answer
    watch = Stopwatch()
    leave_playing_out(watch)
    warm_up(watch)
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        found = run_commands(Path(task["folder"]), task["name"], [tuple(command) for command in task["commands"]], watch)
        print(json.dumps(found), file=answers, flush=True)


def warm_up(watch: Stopwatch) -> None:
    """Import what the commands import when they run, so that no file pays for it."""
    from nesasset.formats import score_json
    from nesasset.score import REST, Score

    with tempfile.TemporaryDirectory() as folder:
        score_json.save(Score(dict.fromkeys(("P1", "P2", "TR", "NO"), (REST,) * 4), ()), Path(folder) / "a.json")
        suffixes = ("wav", "mid", "ftm.txt", "fms.txt", "nsf", "nes", "vgz", "log")
        commands: list[Command] = [("info", "IN"), ("plot", "IN", "-o", "out.png")]
        commands += [("render", "IN", "-o", f"out.{suffix}") for suffix in suffixes]
        run_commands(Path(folder), "a.json", commands, watch)
        os.chdir("/")


# The process that judges


@dataclass(slots=True)
class Finding:
    """What became of a file."""

    outcome: str
    seconds: float
    """CPU time of its slowest command."""
    details: list[str] = field(default_factory=list)


class Runner:
    """A process that runs commands, started anew when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="nesasset-hostile-"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "default", __file__, "--serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        if self._answer() != "ready":
            raise SystemExit("the process that runs the commands does not start: try it with --serve")
        return self._process

    def _answer(self) -> Any:
        """Return the process's next answer; None if it has died, 'silent' if it says nothing for long."""
        assert self._process is not None and self._process.stdout is not None
        pipe: IO[str] = self._process.stdout
        if not select.select([pipe], [], [], SILENCE_S)[0]:
            return "silent"
        line = pipe.readline()
        return json.loads(line) if line else None

    def run(self, suffix: str, data: bytes, commands: list[Command]) -> Finding:
        """Run commands on a file and say what became of it."""
        process = self._process or self._start()
        name = f"in{suffix}"
        (self._folder / name).write_bytes(data)
        assert process.stdin is not None
        print(json.dumps({"folder": str(self._folder), "name": name, "commands": commands}), file=process.stdin, flush=True)
        answer = self._answer()
        left = sorted(set(os.listdir(self._folder)) - {name})
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        if isinstance(answer, list):
            return judge(answer)
        self._stop()
        outcome = "traceback" if answer is None else "slow"
        return Finding(outcome, SILENCE_S if outcome == "slow" else 0.0, [f"the process {'died' if answer is None else 'fell silent'}", *left])


def judge(answers: list[dict[str, Any]]) -> Finding:
    """Return the worst that happened in some commands."""
    found = Finding("refused", max(answer["seconds"] for answer in answers))
    seen: set[str] = set()
    for answer in answers:
        code, err = answer["code"], answer["err"]
        shown = " ".join(answer["command"])
        if code not in (0, 1, 2, 130):
            outcome = "memory" if "MemoryError" in err else "traceback"
            found.details.append(f"{shown}: exit {code}: ...{err[-1500:]}")
        elif answer["stray"]:
            outcome = "stray"
            found.details.append(f"{shown}: exit {code} and {answer['stray']}")
        elif answer["seconds"] > LIMIT_S or code == 130:
            outcome = "slow"
            found.details.append(f"{shown}: {answer['seconds']:.1f} s, exit {code}: {err[:300]}{answer['where']}")
        elif "Warning: " in err:
            outcome = "traceback"
            found.details.append(f"{shown}: {err[:500]}")
        elif code and not (err.startswith("nesasset: ") and err.count("\n") == 1 and len(err) <= LIMIT_MESSAGE):
            outcome = "unclear"
            found.details.append(f"{shown}: {len(err)} characters: {err[:1500]}")
        else:
            outcome = "refused" if code else "accepted"
        seen.add(outcome)
    order = ("traceback", "memory", "stray", "slow", "unclear", "accepted", "refused")
    found.outcome = next(outcome for outcome in order if outcome in seen)
    return found


def files_of_a_run(count: int, seed: int, with_largest: bool, with_model: bool) -> Iterator[tuple[int, Any]]:
    """Yield numbers and files: the largest, then damaged ones."""
    import hostile_files

    number = 0
    if with_largest:
        for entry in islice(hostile_files.largest(), count):
            yield number, entry
            number += 1
    whole = hostile_files.whole_files(with_model)
    for index in range(number, count):
        yield index, hostile_files.damaged(random.Random(f"{seed} {index}"), whole)


def table(counts: dict[str, Counter[str]], slowest: dict[str, tuple[float, int]]) -> str:
    """Return the counts by format for people."""
    head = f"{'format':10}{'files':>7}" + "".join(f"{outcome:>11}" for outcome in OUTCOMES) + f"{'slowest':>10}  of file"
    lines = [head]
    total: Counter[str] = Counter()
    for suffix, found in sorted(counts.items()):
        total += found
        seconds, number = slowest[suffix]
        lines.append(
            f"{suffix:10}{found.total():7}" + "".join(f"{found[outcome]:11}" for outcome in OUTCOMES) + f"{seconds:8.2f} s  {number}"
        )
    lines.append(f"{'all':10}{total.total():7}" + "".join(f"{total[outcome]:11}" for outcome in OUTCOMES))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500, help="how many, e.g. 5000")
    parser.add_argument("--seed", type=int, default=0, help="other files, e.g. 7")
    parser.add_argument("--one", type=int, metavar="N", help="only file N of the run, its messages in full, e.g. 1234")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy faulty files there, e.g. found")
    parser.add_argument("--no-largest", action="store_true", help="leave the files of the largest sizes out")
    parser.add_argument("--no-model", action="store_true", help="damage no composed piece")
    parser.add_argument("--minutes", type=float, default=60.0, help="end after so long, however many files are done, e.g. 15")
    parser.add_argument("--json", action="store_true", help="print nothing but the last line")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    begin = time.monotonic()
    counts: dict[str, Counter[str]] = {}
    slowest: dict[str, tuple[float, int]] = {}
    faults: list[dict[str, Any]] = []
    count = options.files if options.one is None else max(options.files, options.one + 1)
    with Runner() as runner:
        for number, entry in files_of_a_run(count, options.seed, not options.no_largest, not options.no_model):
            if options.one is not None and number != options.one:
                continue
            if time.monotonic() - begin > 60 * options.minutes:
                print(f"ended before file {number}: {options.minutes:g} minutes are over", file=sys.stderr)
                break
            commands = commands_for(entry.suffix, random.Random(f"{options.seed} {number} commands"))
            finding = runner.run(entry.suffix, entry.data, commands)
            counts.setdefault(entry.suffix, Counter())[finding.outcome] += 1
            slowest[entry.suffix] = max(slowest.get(entry.suffix, (0.0, 0)), (finding.seconds, number))
            if finding.outcome in FAULTS:
                faults.append({"number": number, "format": entry.suffix, "outcome": finding.outcome, "story": entry.story})
                if options.keep is not None:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{options.seed}-{number}{entry.suffix}").write_bytes(entry.data)
            if options.json:
                continue
            if finding.outcome in FAULTS or options.one is not None:
                print(f"file {number} ({entry.suffix}, {len(entry.data)} bytes; {entry.story}): {finding.outcome}", flush=True)
                for line in finding.details:
                    print(f"    {line}", flush=True)
            if number % 100 == 99 or number + 1 == count:
                print(f"{number + 1} of {count} files, {time.monotonic() - begin:.0f} s, {len(faults)} faults", file=sys.stderr, flush=True)
    if not options.json:
        print(table(counts, slowest))
    result = {
        "files": sum(found.total() for found in counts.values()),
        "seed": options.seed,
        "seconds": round(time.monotonic() - begin, 1),
        "formats": {suffix: {outcome: found[outcome] for outcome in OUTCOMES} for suffix, found in sorted(counts.items())},
        "slowest_s": {suffix: round(seconds, 3) for suffix, (seconds, _) in sorted(slowest.items())},
        "faults": faults,
    }
    print(json.dumps(result))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
