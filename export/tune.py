"""Fine-tunes a network on a small corpus: the loop that export.style runs. No command of its own.

Differs from export.train in what a folder of music on a laptop needs: the number of steps follows from the time that there is and
the size of the corpus; the run goes on after a kill from a checkpoint that is never half written; piano rolls and sound of
composed pieces are put beside the curves as training goes.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from export import train as training
from export.dataset import Corpus, CropConfig, Crops
from export.evaluate import torch_bits
from export.model import RowModel
from export.train import Run, TrainConfig, begin_with, valid_batches

MOST_ROUNDS = 40.0  # through the corpus: after so many a small folder is known by heart
CLOCKED_STEPS = 4
USED = 0.85  # of the time that there is goes into steps; the rest into checks, samples and saving
SAVE_EVERY = 25  # steps that a kill may cost


def settings_for(base: TrainConfig, corpus: Corpus, steps: int, seed: int = 1, rate: float = 5e-4) -> TrainConfig:
    """Return the settings of a fine-tuning run of so many steps."""
    crops = replace(base.crops, plan=True, chords=True, forget_plan=0.15, forget_recall=0.5)
    if not len(Crops(corpus, CropConfig()).loop_songs):
        crops = replace(crops, loops=0.0)
    return replace(
        base,
        crops=crops,
        rate=rate,
        warm_up=min(30, max(1, steps // 10)),
        steps=steps,
        cool_down=0.5,
        average=0.99 if steps > 300 else 0.95,
        long_from=2.0,
        check_every=max(1, steps // 8),
        check_songs=40,
        patience=3,
        seed=seed,
    )


def steps_for(run: Run, crops: Crops, minutes: float, rows: int, devices: int = 1) -> tuple[int, float]:
    """Return how many steps fit the time and the corpus, and seconds a step, by taking a few that are undone.

    Args:
        run: The network.
        crops: Its batches.
        minutes: Time that there is.
        rows: Of the corpus.
        devices: Processes that share each batch: a step takes as long as one's share does.
    """
    weights = {name: tensor.clone() for name, tensor in run.net.state_dict().items()}
    optimizer = torch.optim.SGD(run.net.parameters(), lr=0.0)
    batches = iter(crops)
    clock = []
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    run.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    run.log = lambda *_, **__: None  # type: ignore[method-assign]
    for _ in range(CLOCKED_STEPS):
        batch, begun = {name: tensor[::devices] for name, tensor in next(batches).items()}, time.monotonic()
        with torch.autocast(kind, torch.bfloat16, enabled=training.best_precision() == "bf16-mixed"):
            loss = run.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        clock.append(time.monotonic() - begun)
    del run.log_dict, run.log
    run.net.load_state_dict(weights)
    seconds = float(np.median(clock[1:]))
    by_time = USED * 60 * minutes / seconds
    by_size = MOST_ROUNDS * rows / (crops.config.rows * crops.config.batch)
    return max(8, int(min(by_time, by_size))), seconds


def bits_a_row(net: RowModel, folder: Path, most: int = 40) -> float:
    """Return the mean bits a row of a network over songs of a prepared split, plan and harmony told."""
    corpus = Corpus(folder)
    songs = np.unique(np.linspace(0, len(corpus) - 1, min(most, len(corpus))).round().astype(np.int64))
    cells, slots = torch_bits(net.eval(), corpus, songs, lambda _: None, plan=True)
    return float((cells.sum() + slots.sum()) / len(cells))


class Keep(Callback):
    """Saves OUT/last.ckpt often and OUT/best.ckpt at each better check, whole or not at all; stops a run that gets no better."""

    def __init__(self, out: Path, every: int, patience: int) -> None:
        self.out, self.every, self.patience = out, every, patience
        self.best, self.waited, self.curve = math.inf, 0, []

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "curve": self.curve}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.waited, self.curve = state_dict["best"], state_dict["waited"], list(state_dict["curve"])

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step % self.every == 0:
            self._save(trainer, "last.ckpt")

    def on_validation_end(self, trainer: L.Trainer, *_: object) -> None:
        bits = float(trainer.callback_metrics["valid/bits"])
        self.curve.append((trainer.global_step, bits))
        if bits < self.best:
            self.best, self.waited = bits, 0
            self._save(trainer, "best.ckpt", weights_only=True)
        else:
            self.waited += 1
            trainer.should_stop = trainer.should_stop or self.waited >= self.patience
        self._save(trainer, "last.ckpt")

    def _save(self, trainer: L.Trainer, name: str, *, weights_only: bool = False) -> None:
        temporary = self.out / f"{name}.{os.getpid()}.tmp"
        try:
            trainer.save_checkpoint(temporary, weights_only=weights_only)  # called by all processes, written by the first
            if trainer.is_global_zero:
                os.replace(temporary, self.out / name)
        except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError
            temporary.unlink(missing_ok=True)
            reason = str(error).splitlines()[0]
            raise click.ClickException(f"{self.out / name} cannot be written ({reason}); make room and run the same command again, it goes on from the last one") from error


class Samples(Callback):
    """Puts piano rolls and sound of composed pieces beside the curves, at some of the checks."""

    def __init__(self, make: Callable[[Path], list[Any]], out: Path, steps: int) -> None:
        self.make, self.out, self.marks = make, out, [steps // 3, 2 * steps // 3]

    def on_validation_end(self, trainer: L.Trainer, *_: object) -> None:
        if not trainer.is_global_zero or not self.marks or trainer.global_step < self.marks[0]:
            return
        self.marks = [mark for mark in self.marks if mark > trainer.global_step]
        if not (self.out / "best.ckpt").is_file() or trainer.logger is None:
            return
        show(trainer.logger.experiment, self.make(self.out / "best.ckpt"), trainer.global_step)


def show(writer: Any, scores: list[Any], step: int) -> None:
    """Put scores on a TensorBoard page: a picture and the sound of each."""
    from nesasset.driver import drive
    from nesasset.formats import piano_roll
    from nesasset.render import render

    for index, score in enumerate(scores):
        writer.add_image(f"piece {index}", np.asarray(piano_roll.draw(score).convert("RGB")), step, dataformats="HWC")
        audio = render(drive(score))
        samples = torch.from_numpy(audio.samples.astype(np.float32) / 32768)[None]
        writer.add_audio(f"piece {index}", samples, step, sample_rate=audio.sample_rate_hz)
    writer.flush()


def tune(
    corpus: Path,
    start: Path,
    out: Path,
    *,
    minutes: float,
    rate: float = 5e-4,
    seed: int = 1,
    devices: int = 1,
    make_samples: Callable[[Path], list[Any]] | None = None,
) -> dict[str, Any]:
    """Fine-tune, or go on with what was begun; return what came of it.

    With several devices the program's own command is begun again, once for each of the others: they come to this place, take their
    share of the steps, and end here.

    Args:
        corpus: Prepared, with train and valid.
        start: A checkpoint of export.train.
        out: Folder for checkpoints and curves.
        minutes: Time that there is.
        rate: Learning rate.
        seed: Of the crops.
        devices: Processes that share every batch, a graphics card each where there are cards.
        make_samples: Composes pieces with a checkpoint, for TensorBoard.
    """
    out.mkdir(parents=True, exist_ok=True)
    plan_path, done_path = out / "tune.json", out / "tuned.json"
    if done_path.is_file():
        return dict(json.loads(done_path.read_text(encoding="utf-8")))
    train, valid = Corpus(corpus / "train"), Corpus(corpus / "valid")
    saved = torch.load(start, map_location="cpu", weights_only=True)
    base_net, base = training.load_model(start)
    training.check_shares(settings_for(base, train, 1000), devices)
    weights = training.averaged_weights(saved)
    if plan_path.is_file():
        plan = json.loads(plan_path.read_text(encoding="utf-8"))
    else:
        settings = settings_for(base, train, 1000, seed, rate)
        run = Run(settings)
        begin_with(run.net, weights)
        if devices > 1 and not torch.cuda.is_available():  # each will have its share of the processor
            torch.set_num_threads(max(1, torch.get_num_threads() // devices))
        steps, seconds = steps_for(run, Crops(train, settings.crops, seed), minutes, len(train.cells), devices)
        plan = {"steps": steps, "seconds_a_step": seconds, "precision": training.best_precision(), "before": bits_a_row(base_net, corpus / "valid")}
        _write(plan_path, plan)
    settings = settings_for(base, train, plan["steps"], seed, rate)
    L.seed_everything(settings.seed)
    run = Run(settings)
    begin_with(run.net, weights)
    last = out / "last.ckpt"
    resume = str(last) if last.is_file() else None
    crops = Crops(train, settings.crops, settings.seed + (0 if resume is None else training.steps_done(last)))
    keep = Keep(out, SAVE_EVERY, settings.patience)
    trainer = L.Trainer(
        accelerator="auto",
        devices=devices,
        precision=plan["precision"],
        max_steps=settings.steps,
        val_check_interval=settings.check_every,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        log_every_n_steps=5,
        use_distributed_sampler=False,
        logger=TensorBoardLogger(str(out), name="", version="log"),
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[keep, *([Samples(make_samples, out, settings.steps)] if make_samples else []), TQDMProgressBar(refresh_rate=10)],
    )
    begun, computed = time.monotonic(), time.process_time()
    trainer.fit(run, DataLoader(crops, batch_size=None), DataLoader(valid_batches(valid, settings), batch_size=None), ckpt_path=resume)
    best = out / "best.ckpt"
    if keep.best == math.inf:  # fewer steps than a check
        keep._save(trainer, "best.ckpt", weights_only=True)  # noqa: SLF001 - the same file, the same way
    if not trainer.is_global_zero:
        sys.exit(0)
    net, _ = training.load_model(best)
    result = {
        **plan,
        "steps_done": trainer.global_step,
        "minutes": (time.monotonic() - begun) / 60,
        "processor_minutes": (time.process_time() - computed) / 60,
        "after": bits_a_row(net, corpus / "valid"),
        "curve": keep.curve,
        "rate": rate,
        "settings": asdict(settings),
    }
    _write(done_path, result)
    return result


def _write(path: Path, value: Any) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
