"""Train the row transformer.

    python -m export.train --corpus corpus --config export/configs/main.toml --out runs/main
    python -m export.train --corpus corpus --config export/configs/main.toml --out runs/main --resume
    python -m export.train --corpus corpus --config export/configs/more.toml --out runs/more --start runs/main/best.ckpt
    python -m export.train --corpus corpus --config export/configs/main.toml --out runs/main --devices 2

Lightning does the loop: checkpoints, resume, precision, several processes, TensorBoard. A run ends after `minutes`, after
`steps`, or when valid has not improved for `patience` checks. OUT/best.ckpt holds the averaged weights of the best check.
Several processes (a graphics card each, or parts of one processor) take the steps that one would take: they share every batch.
"""

from __future__ import annotations

import math
import time
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from export.dataset import Corpus, CropConfig, Crops, take, to_batch, windows
from export.latent import Encoder
from export.model import ModelConfig, RowModel
from export.processes import place, total
from nesasset.features import FEATURES, forget_chords, forget_plan


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    rate: float = 1.5e-3
    warm_up: int = 150
    steps: int = 12_000
    decay: float = 0.05
    """Weight decay of matrices."""
    cool_down: float = 0.3
    """Share of the steps, at the end, over which the learning rate falls to 3 %. Before it the rate is constant, so that
    OUT/stable.ckpt, written as the fall begins, can be resumed later with more steps."""
    average: float = 0.999
    """Decay of the running average of the weights, from a tenth of the run on."""
    slot_weight: float = 0.7
    told: float = 0.5
    """Share of the crops that are told their latent, where the network has one."""
    divergence_weight: float = 0.3
    """Of the latent's nats, against those of the rows."""
    free_nats: float = 8.0
    """Of the latent of a crop, on average, which cost nothing."""
    long_from: float = 0.6
    """Share of the steps after which crops are twice as long and batches half as large."""
    check_every: int = 500
    check_songs: int = 60
    patience: int = 12
    seed: int = 1


def load_config(path: Path) -> TrainConfig:
    """Read a TOML file with the tables [model], [crops] and [train]; unknown keys are errors."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    return TrainConfig(ModelConfig(**raw.get("model", {})), CropConfig(**raw.get("crops", {})), **raw.get("train", {}))


def split_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a run's settings as the tables of its TOML file."""
    rest = dict(settings)
    return {"model": rest.pop("model"), "crops": rest.pop("crops"), "train": rest}


def build(config: ModelConfig) -> RowModel:
    """Return a fresh network of the configured kind."""
    if config.kind == "lstm":
        from export.baselines.lstm import RowLSTM

        return RowLSTM(config)
    if config.kind != "transformer":
        raise click.UsageError(f'[model] kind must be "transformer" or "lstm", not {config.kind!r}')
    return RowModel(config)


def rate_factor(step: int, config: TrainConfig) -> float:
    """Return the learning rate's factor: linear warm-up, constant, a half cosine down to 3 %."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    start = config.steps * (1 - config.cool_down)
    done = min(1.0, max(0.0, (step - start) / max(1.0, config.steps - start)))
    return 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * done))


class Run(L.LightningModule):
    """The row model with its loss, its optimiser and the running average of its weights."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self.net = build(config.model)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.average)
        )
        self.average.requires_grad_(False)
        self.bits: dict[str, float] = {}

    def on_train_start(self) -> None:
        if rank := place()[0]:  # else all processes would drop the same units
            torch.manual_seed(self.config.seed + rank)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        weight = batch["weight"].unsqueeze(-1)
        if self.config.model.latent:
            batch["told"] = (torch.rand(len(weight), device=weight.device) < self.config.told).to(weight.dtype)
        out = self.net(batch)
        own = [weight.sum(), (out["cells"] * weight).sum(), (out["slots"] * weight).sum()]
        if self.config.model.latent:
            own += [batch["told"].sum(), out["nats"].sum()]
        whole = total(torch.stack(own).detach())
        self.log_dict({"train/cells": whole[1] / whole[0], "train/instruments": whole[2] / whole[0]}, prog_bar=True)
        # The mean of the processes' gradients is that of the whole batch if each divides by the mean number of rows, not by its own.
        rows = whole[0] / place()[1]
        loss = (own[1] + self.config.slot_weight * own[2]) * math.log(2) / rows
        if self.config.model.latent:
            nats = whole[4] / whole[3].clamp(min=1)
            self.log("train/latent_nats", nats, prog_bar=True)
            beyond = (own[4] - self.config.free_nats * own[3]) * (nats > self.config.free_nats)
            loss = loss + self.config.divergence_weight * beyond / rows
        return loss / 4

    def on_train_batch_end(self, *_: object) -> None:
        if self.global_step < self.config.steps * 0.1:
            self.average.module.load_state_dict(self.net.state_dict())
        else:
            self.average.update_parameters(self.net)

    def validation_step(self, batch: dict[str, Tensor], number: int) -> None:
        rank, count = place()
        if number % count != rank:
            return
        out = self.average.module(batch)
        weight = batch["scored"].unsqueeze(-1)
        for name in ("cells", "slots"):
            self.bits[name] = self.bits.get(name, 0.0) + float((out[name] * weight).sum())
        self.bits["rows"] = self.bits.get("rows", 0.0) + float(batch["scored"].sum())

    def on_validation_epoch_end(self) -> None:
        sums = torch.tensor([self.bits.pop(name, 0.0) for name in ("rows", "cells", "slots")], dtype=torch.float64)
        rows, cells, slots = total(sums, self.device).tolist()
        cells, slots = cells / max(1.0, rows), slots / max(1.0, rows)
        self.log_dict(
            {"valid/cells": cells, "valid/instruments": slots, "valid/bits": cells + slots}, prog_bar=True, sync_dist=True
        )
        self.print(f"step {self.global_step}: valid {cells:.3f} cells + {slots:.3f} instruments = {cells + slots:.3f} bits a row")

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        checkpoint["features"] = dict(FEATURES)
        checkpoint["settings"] = split_settings(asdict(self.config))

    def configure_optimizers(self) -> dict[str, object]:
        matrices = [p for p in self.net.parameters() if p.dim() >= 2]
        rest = [p for p in self.net.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": self.config.decay}, {"params": rest, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self.config.rate, betas=(0.9, 0.95), foreach=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, self.config))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Deadline(Callback):
    """Stop a run after so many minutes, so that a schedule and a clock can both be kept."""

    def __init__(self, minutes: float) -> None:
        self.until = time.monotonic() + minutes * 60

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.strategy.reduce_boolean_decision(time.monotonic() > self.until, all=False):  # all processes stop, or none
            trainer.should_stop = True


class KeepStable(Callback):
    """Write OUT/stable.ckpt as the learning rate begins to fall: from there a longer run can go on."""

    def __init__(self, path: Path, config: TrainConfig) -> None:
        self.path, self.step = path, int(config.steps * (1 - config.cool_down))

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


class LongerCrops(Callback):
    """Double the crops' length and halve the batch for the last part of the run."""

    def __init__(self, loader: Crops, config: TrainConfig) -> None:
        self.loader, self.config = loader, config

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step >= self.config.steps * self.config.long_from and self.loader.config.rows == self.config.crops.rows:
            crops = asdict(self.config.crops)
            crops.update(rows=crops["rows"] * 2, batch=max(1, crops["batch"] // 2))
            self.loader.config = CropConfig(**crops)


class Pace(Callback):
    """Clocks the steps of a run, with the drawing of their batches and without checks and saving."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.rows = 0
        self._last: float | None = None

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs: object, batch: dict[str, Tensor], *_: object) -> None:
        now = time.monotonic()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last, self.rows = now, batch["weight"].numel() * trainer.world_size

    def on_validation_end(self, *_: object) -> None:
        self._last = None

    def on_save_checkpoint(self, *_: object) -> None:
        self._last = None

    def __str__(self) -> str:
        if not self.seconds:
            return "too short to be clocked"
        seconds = float(np.median(self.seconds))
        return f"{seconds:.3f} s a step, {self.rows / seconds:.0f} rows a second"


def check_shares(config: TrainConfig, processes: int) -> None:
    """Raise unless there can be so many processes, and each has its share of every batch of a run."""
    cards = torch.cuda.device_count()
    if 0 < cards < processes:
        raise click.UsageError(f"--devices must be at most {cards}, the number of graphics cards here, not {processes}; CUDA_VISIBLE_DEVICES= leaves them out")
    least = processes * (2 if config.long_from < 1 else 1)
    if processes > 1 and config.crops.batch % least:
        halved = "; longer crops halve it" if config.long_from < 1 else ""
        raise click.UsageError(f"[crops] batch must be a multiple of {least} for {processes} processes to share it{halved}, not {config.crops.batch}")


def steps_done(checkpoint: Path) -> int:
    """Return how many steps the run of a checkpoint had taken: what it goes on with is drawn by that, alike in all processes."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])


def valid_batches(corpus: Corpus, config: TrainConfig) -> list[dict[str, Tensor]]:
    """Return windows of every n-th song of valid, one a batch, with the rows that count in `scored`."""
    batches = []
    every = max(1, len(corpus) // config.check_songs)
    for song in range(0, len(corpus), every):
        for crop, context in windows(corpus, song, config.model.context):
            part = take(corpus, crop, crop.stop - crop.start)
            part["scored"] = part["weight"].copy()
            part["scored"][:context] = 0
            batch = to_batch([{k: v for k, v in part.items() if k != "scored"}])
            batch["scored"] = torch.from_numpy(part["scored"])[None]
            batches.append(batch)
    return batches


@click.command()
@click.option("--corpus", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Output of export.prepare.")
@click.option("--config", type=click.Path(path_type=Path, exists=True), required=True, help="TOML file, e.g. export/configs/main.toml.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for checkpoints and logs.")
@click.option("--resume", is_flag=True, help="Go on from OUT/last.ckpt.")
@click.option("--start", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Begin with the averaged weights of this checkpoint.")
@click.option("--encoder", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Output of export.train_latent: the latent's encoder, which then stays as it is.")
@click.option("--minutes", type=float, default=1e9, help="Stop after so long.")
@click.option("--devices", default="auto", help="How many processes share every batch, a graphics card each where there are cards; auto is one for each card.")
@click.option("--precision", type=click.Choice(["auto", "32-true", "bf16-mixed"]), default="auto", help="auto is bf16-mixed where this machine is faster with it.")
def main(
    corpus: Path, config: Path, out: Path, resume: bool, start: Path | None, encoder: Path | None, minutes: float, devices: str, precision: str
) -> None:
    """Train the row transformer."""
    if devices != "auto" and not (devices.isdecimal() and int(devices)):
        raise click.UsageError(f"--devices must be auto or a number from 1 on, not {devices!r}")
    processes = max(1, torch.cuda.device_count()) if devices == "auto" else int(devices)
    settings = load_config(config)
    check_shares(settings, processes)
    if resume and not (out / "last.ckpt").is_file():
        raise click.UsageError(f"--resume: there is no {out / 'last.ckpt'} to go on from; leave --resume out to begin")
    L.seed_everything(settings.seed)
    train, valid = Corpus(corpus / "train"), Corpus(corpus / "valid")
    if not settings.crops.plan:
        hide_plan(valid)
    if not (settings.crops.plan and settings.crops.chords):
        forget_chords(valid.ids)
    crops = Crops(train, settings.crops, settings.seed + (steps_done(out / "last.ckpt") if resume else 0))
    run = Run(settings)
    if start is not None and not resume:
        weights = averaged_weights(torch.load(start, map_location="cpu", weights_only=True))
        begin_with(run.net, weights)
    if encoder is not None:
        use_encoder(run, torch.load(encoder, map_location="cpu", weights_only=True)["encoder"])
    elif run.net.encoder is not None and not resume and (start is None or "encoder.out.weight" not in weights):
        spread_points(run.net.encoder, crops)
    pace = Pace()
    best = ModelCheckpoint(out, "best", monitor="valid/bits", mode="min", save_weights_only=True, enable_version_counter=False)
    last = ModelCheckpoint(out, "last", every_n_train_steps=settings.check_every, enable_version_counter=False)
    trainer = L.Trainer(
        accelerator="auto",
        devices=processes,
        precision=best_precision() if precision == "auto" else precision,
        max_steps=settings.steps,
        val_check_interval=settings.check_every,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        log_every_n_steps=min(50, max(1, settings.steps // 20)),
        use_distributed_sampler=False,  # crops and checks are shared out by ourselves
        logger=TensorBoardLogger(str(out), name="", version="log"),
        callbacks=[
            pace,
            best,
            last,
            EarlyStopping("valid/bits", patience=settings.patience),
            Deadline(minutes),
            LongerCrops(crops, settings),
            KeepStable(out / "stable.ckpt", settings),
            TQDMProgressBar(refresh_rate=50),
        ],
    )
    if trainer.is_global_zero:
        click.echo(f"{sum(p.numel() for p in run.net.parameters()) / 1e6:.2f} M parameters", err=True)
    trainer.fit(
        run,
        DataLoader(crops, batch_size=None),
        DataLoader(valid_batches(valid, settings), batch_size=None),
        ckpt_path=str(out / "last.ckpt") if resume else None,
    )
    if trainer.is_global_zero:
        click.echo(f"best valid {float(best.best_model_score or math.nan):.3f} bits a row, {best.best_model_path}; {pace}")


def use_encoder(run: Run, weights: dict[str, Tensor]) -> None:
    """Give a run a finished encoder, which it does not train."""
    for net in (run.net, run.average.module):
        if net.encoder is None:
            raise click.UsageError("--encoder: the configuration has no latent; set [model] latent to the encoder's")
        net.encoder.load_state_dict(weights)
        net.encoder.requires_grad_(False)


def spread_points(encoder: Encoder, crops: Crops, batches: int = 16) -> None:
    """Give a new encoder its start, from the first batches of a run's crops."""
    rng, found = np.random.default_rng(crops.seed), []
    while len(found) < batches:
        batch = crops.batch(rng)
        n = batch["cells"].shape[1]
        found.append((batch["ids"][:, -n:], batch["cells"], batch["weight"]))
    encoder.spread_out(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def has_bf16() -> bool:
    """Return whether this machine multiplies in bfloat16 faster than in single precision: GPUs of today, processors with AVX-512 BF16 or AMX."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # not in the oldest PyTorch that we take
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def best_precision() -> str:
    """Return bfloat16 where this machine multiplies in it faster, else single precision."""
    return "bf16-mixed" if has_bf16() else "32-true"


def hide_plan(corpus: Corpus) -> None:
    """Hide the plan of a whole corpus: for the baseline without one."""
    forget_plan(corpus.ids, corpus.slot_ids, np.ones(len(corpus.ids), dtype=bool), np.ones(4, dtype=bool))


def load_model(checkpoint: Path) -> tuple[RowModel, TrainConfig]:
    """Return the averaged network of a checkpoint, ready to evaluate, and the settings it was trained with."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    raw = saved["settings"]
    settings = TrainConfig(ModelConfig(**raw["model"]), CropConfig(**raw["crops"]), **raw["train"])
    net = build(settings.model)
    net.load_state_dict(averaged_weights(saved))
    return net.eval(), settings


def averaged_weights(saved: dict[str, Any]) -> dict[str, Tensor]:
    """Return the averaged network's tensors of a checkpoint."""
    prefix = "average.module."
    return {k[len(prefix) :]: v for k, v in saved["state_dict"].items() if k.startswith(prefix)}


@torch.no_grad()
def begin_with(net: RowModel, weights: dict[str, Tensor]) -> None:
    """Put the weights of a network that knew less into one that knows more, so that both say the same.

    New features stand behind the old ones in every table: what the old weights do not cover becomes zero. A new encoder keeps its
    random start: nothing hears it yet, and of zeros it would learn nothing.
    """
    for name, tensor in net.state_dict().items():
        if name.startswith("encoder.") and name not in weights:
            continue
        old = weights.get(name, tensor[:0])
        if old.dim() != tensor.dim() or any(a > b for a, b in zip(old.shape, tensor.shape, strict=True)):
            raise click.UsageError(
                f"--start: {name} is {tuple(old.shape)} there and {tuple(tensor.shape)} here; take the sizes of [model] from there"
            )
        tensor.zero_()
        tensor[tuple(slice(size) for size in old.shape)] = old


if __name__ == "__main__":
    main()
