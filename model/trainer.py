"""The training loop: one run in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model.cli import SettingsError
from model.data.dataset import data_hash, read_config, read_split
from model.data.library import load_library
from model.data.trainset import TrainSet, collate
from model.loss import NonFiniteLoss, YoloLoss
from model.training.average import Average
from model.training.meter import Meter, timed
from model.training.optimizer import build_optimizer
from model.training.order import Keyed, Order
from model.training.processes import Place, alone
from model.training.records import Row, show, write_rows
from model.training.report import report
from model.training.schedule import Patience, Schedule
from model.training.settings import TrainConfig
from model.training.start import start
from model.training.state import (
    folder_hash,
    load_state,
    random_state,
    save_state,
    set_random_state,
)
from model.training.validation import Validation
from model.weights import WeightsInfo, save_weights

Batches = Iterator[tuple[tuple[Tensor, Tensor], float]]
MAY_CHANGE = {"epochs", "patience", "workers", "save_minutes", "device"}  # when a run goes on


class Trainer:
    """One run in its folder; ``run`` trains to the end from wherever it stands.

    ``load`` first goes on where the run in that folder stopped. The order of pictures, their
    augmentation and the sizes of batches follow from the seed and the place in the run alone, so a
    run that was killed and resumed ends with the weights of one that was not. Several processes
    (``place``) each take their share of every step; the first one measures and writes.
    """

    def __init__(self, config: TrainConfig, folder: Path, place: Place | None = None) -> None:
        self.config, self.folder = config, folder
        self.place = place or alone(config.device)
        torch.manual_seed(config.seed)
        torch.use_deterministic_algorithms(config.deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self._read_data()
        self._build()
        self.epoch, self.batch, self.step = 0, 0, 0
        self.patience, self.meter = Patience(), Meter()
        self.rows: list[Row] = []
        self._saved_s = monotonic()

    def _read_data(self) -> None:
        config, data = self.config, read_config(Path(self.config.data))
        self.names = data.names
        samples, val = read_split(data, "train"), read_split(data, "val")
        library = load_library(Path(config.scenes), data.names, "train") if config.scenes else None
        composed = round(len(samples) * config.composed)
        self.items = TrainSet(
            samples, config.image_size, config.seed, library, composed, config.augment
        )
        self.order = Order(
            len(self.items),
            config.batch,
            config.seed,
            config.epochs,
            self.place.rank,
            self.place.world,
        )
        scenes = config.scenes if self.place.first else ""
        self.validation = Validation(val, data.names, scenes, config.val_scenes)
        self.data_hash = data_hash([*samples, *val]) + folder_hash(config.scenes)

    def _build(self) -> None:
        config, device = self.config, self.place.device
        begun = start(config, self.names, self.items)
        self.model = begun.model.to(device)
        if self.place.world > 1 and device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        convert_conv2d_weight_memory_format(self.model, torch.channels_last)
        self.average = Average(self.model, config.ema)
        self.loss = YoloLoss(begun.anchors, config.loss).to(device)
        self.optimizer = build_optimizer(self.model, config)
        self.schedule = Schedule(config)
        self.half = self.place.half(config.amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half is torch.float16)
        self.mean, self.std = (
            torch.tensor(v, device=device).view(3, 1, 1) * 255 for v in (begun.mean, begun.std)
        )
        self.info = WeightsInfo(
            names=self.names,
            anchors=tuple(tuple(map(tuple, scale)) for scale in begun.anchors.tolist()),
            image_size=config.image_size,
            backbone=begun.backbone,
            neck=begun.neck,
            mean=begun.mean,
            std=begun.std,
            data_hash=data_hash(self.items.samples),
        )
        self.said = begun.said

    def __str__(self) -> str:
        learnt, config = len(self.items), self.config
        line = (
            f"training {self.info.backbone} + {self.info.neck} at {config.image_size} px on "
            f"{learnt} pictures of {len(self.names)} classes, {self.place.device}, epoch "
            f"{self.epoch + 1} to {config.epochs}, into {self.folder}"
        )
        return f"{line}\n{self.said}" if self.said else line

    @property
    def best(self) -> float:
        """The best score so far, in [0, 1]; minus infinity before the first epoch's end."""
        return self.patience.best

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or patience has ended."""
        patience = self.config.patience
        return self.epoch >= self.config.epochs or bool(
            patience and self.patience.waited >= patience
        )

    def run(self) -> None:
        """Train from where the run stands to its end, and write everything into the folder."""
        batches = self._batches()
        writes = self.place.first
        with (
            SummaryWriter(self.folder, purge_step=self.epoch + 1) if writes else nullcontext() as b
        ):
            while not self.finished:
                self._train_epoch(batches)
                self._end_epoch(b)
        if writes:
            report(self.folder, self.items, self.validation.samples, self.config.seed)

    def _batches(self) -> Batches:
        """All batches from here to the last epoch's end, with the seconds each was waited for."""
        self.order.start = self.epoch, self.batch
        loader = DataLoader(
            Keyed(self.items),
            batch_sampler=self.order,
            num_workers=self.config.workers,
            collate_fn=collate,
            pin_memory=self.place.device.type == "cuda",
            generator=torch.Generator(),  # of its own: torch's random numbers stay untouched
        )
        return timed(loader)

    def _train_epoch(self, batches: Batches) -> None:
        self._freeze()
        model = self.place.shared(self.model)
        bar = tqdm(
            desc=f"epoch {self.epoch + 1}/{self.config.epochs}",
            total=self.order.steps,
            initial=self.batch,
            mininterval=5,
            disable=not self.place.first,
        )
        while self.batch < self.order.steps:
            (images, rows), wait_s = next(batches)
            began = perf_counter()
            losses = self._batch(model, images, rows)
            self.meter.add(losses, len(images), wait_s, perf_counter() - began)
            bar.set_postfix_str(str(self.meter), refresh=False)
            bar.update()
            self._save_sometimes()
        bar.close()

    def _freeze(self) -> None:
        """Let the trunk rest, or its first stages, and its BatchNorm keep its statistics."""
        resting = self.epoch < self.config.frozen_epochs
        trains_bn = self.config.trunk_bn == "trainable"
        self.model.train()
        for number, stage in enumerate(self.model.backbone.stages):
            learns = not resting and number >= self.config.frozen_stages
            stage.requires_grad_(learns).train(learns and trains_bn)

    def _batch(self, model: nn.Module, images: Tensor, rows: Tensor) -> dict[str, float]:
        """Go back from one batch's loss, and take a step when enough are gathered."""
        first = self.batch // self.config.accumulate * self.config.accumulate
        gathered = min(self.config.accumulate, self.order.steps - first)
        steps = self.batch == first + gathered - 1
        x, scale = self._input(images.to(self.place.device, non_blocking=True))
        with nullcontext() if steps else self.place.unshared(model):
            with torch.autocast(self.place.device.type, self.half, enabled=self.half is not None):
                maps = model(x)
            parts = self._losses(maps, rows.to(self.place.device, non_blocking=True), scale)
            self.scaler.scale(parts["loss"] / gathered).backward()
        if steps:
            self._step(self.epoch + self.batch / self.order.steps)
        self.batch += 1
        return dict(zip(parts, torch.stack(list(parts.values())).tolist(), strict=True))

    def _input(self, images: Tensor) -> tuple[Tensor, float]:
        """uint8 (B, 3, S, S) → normalised (B, 3, T, T), and S / T; T = S without multi-scale."""
        x = images.contiguous(memory_format=torch.channels_last).float()
        x = x.sub_(self.mean).div_(self.std)
        size, spread = self.config.image_size, self.config.multi_scale
        if not spread:
            return x, 1.0
        low, high = round(size * (1 - spread) / 32), round(size * (1 + spread) / 32)
        chance = np.random.default_rng((self.config.seed, self.epoch, self.batch))
        now = 32 * int(chance.integers(max(low, 1), high + 1))
        return F.interpolate(x, (now, now), mode="bilinear", antialias=now < size), size / now

    def _losses(self, maps: tuple[Tensor, ...], rows: Tensor, scale: float) -> dict[str, Tensor]:
        try:
            parts = self.loss(maps, rows, scale)
        except NonFiniteLoss as error:
            where = f"epoch {self.epoch + 1}, batch {self.batch + 1}"
            raise NonFiniteLoss(f"{where}: {error}; what was saved before is kept") from None
        return {name: value if name == "loss" else value.detach() for name, value in parts.items()}

    def _step(self, epochs: float) -> None:
        factor = self.schedule.factor(epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self.scaler.unscale_(self.optimizer)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.average.update(self.step)

    def _end_epoch(self, board: SummaryWriter | None) -> None:
        """Measure the averaged weights from their file, keep the best, save the state."""
        weights, scores = self.folder / "weights", [0.0] * 3
        if self.place.first:
            save_weights(weights / "last.safetensors", self.average.module, self.info)
            scores = list(self.validation.scores(weights / "last.safetensors").values())
        metrics = dict(zip(("map50", "map", "cacc"), self.place.agree(scores), strict=True))
        row = {"epoch": self.epoch + 1, "lr": self.optimizer.param_groups[0]["lr"]}
        self.rows.append(row | self.place.together(self.meter.row()) | metrics)
        self.epoch, self.batch, self.meter = self.epoch + 1, 0, Meter()
        self.schedule.epoch_ended(metrics[self.config.best])
        improved = self.patience.improves(metrics[self.config.best])
        if board is not None:
            if improved:
                info = replace(self.info, metrics=metrics)
                save_weights(weights / "best.safetensors", self.average.module, info)
            self.save()
            write_rows(self.folder, self.rows)
            show(self.rows[-1], board)

    def _save_sometimes(self) -> None:
        """Save within an epoch when it is time, never between batches whose gradients add up."""
        whole = self.batch % self.config.accumulate == 0
        due = monotonic() - self._saved_s >= self.config.save_minutes * 60
        if whole and due and self.place.first:
            self.save()

    def save(self) -> None:
        """Write all that ``load`` needs to go on after a crash."""
        save_state(self.folder, self._parts_state() | {
            "settings": asdict(self.config),
            "data_hash": self.data_hash,
            "processes": self.place.world,
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "patience": asdict(self.patience),
            "meter": asdict(self.meter),
            "rows": self.rows,
            "random": random_state(),
        })  # fmt: skip
        self._saved_s = monotonic()

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "average": self.average.module,
            "optimizer": self.optimizer,
            "scaler": self.scaler,
            "schedule": self.schedule,
        }

    def _parts_state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load(self) -> None:
        """Go on where the run in this folder stopped; a run without a state starts anew.

        Raises SettingsError when its data or settings are not what they were.
        """
        state = load_state(self.folder)
        if state is None:
            return
        self._check_same(state)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epoch, self.batch, self.step = state["epoch"], state["batch"], state["step"]
        self.patience, self.meter = Patience(**state["patience"]), Meter(**state["meter"])
        self.rows = state["rows"]
        set_random_state(state["random"])
        if self.rows and self.place.first:
            write_rows(self.folder, self.rows)

    def _check_same(self, state: dict[str, Any]) -> None:
        now = asdict(self.config)
        changed = [k for k, v in state["settings"].items() if k not in MAY_CHANGE and now[k] != v]
        if changed:
            raise SettingsError(
                f"{self.folder}: began with another {', '.join(changed)}; start a new run for that"
            )
        if state["data_hash"] != self.data_hash:
            raise SettingsError(f"{self.folder}: the data has changed since; start a new run")
        if state["processes"] != self.place.world:
            raise SettingsError(
                f"{self.folder}: began with {state['processes']} processes, now {self.place.world}"
            )
