"""The training loop: one run in its folder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model.data.dataset import data_hash, leave_out, read_config, read_split
from model.data.library import load_library
from model.data.synthesize import TRAINING_APPLES, SceneConfig
from model.data.trainset import TrainSet, collate, one_thread
from model.loss import NonFiniteLoss, YoloLoss
from model.runtimes.torch_runtime import TorchDetector
from model.training.average import Average
from model.training.inputs import Inputs, squared
from model.training.meter import timed
from model.training.optimizer import build_optimizer
from model.training.order import Keyed, Order
from model.training.processes import Place, alone
from model.training.records import show, write_rows
from model.training.report import report
from model.training.schedule import Schedule
from model.training.settings import TrainConfig, settled
from model.training.start import Start, start
from model.training.state import (
    Identity,
    Progress,
    folder_hash,
    load_state,
    random_state,
    save_state,
    set_random_state,
)
from model.training.trunk import FoldedTrunk, resting_trunk
from model.training.validation import SCORES, Validation, some_training
from model.weights import WeightsInfo, save_weights
from model.yolov3 import Trunk

Batches = Iterator[tuple[tuple[Tensor, Tensor], float]]


class Trainer:
    """One run in its folder; ``run`` trains to the end from wherever it stands.

    ``load`` first goes on where the run in that folder stopped. The order of pictures, their
    augmentation and the sizes of batches follow from the seed and the place in the run alone, so a
    run that was killed and resumed ends with the weights of one that was not. Several processes
    (``place``) each take their share of every step; the first one measures and writes.
    """

    def __init__(self, config: TrainConfig, folder: Path, place: Place | None = None) -> None:
        self.config, self.folder = settled(config), folder
        self.place = place or alone(config.device)
        torch.manual_seed(config.seed)
        torch.use_deterministic_algorithms(config.deterministic)
        torch.backends.cudnn.benchmark = not config.deterministic
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        pictures = self._read_data()
        begun = start(self.config, self.names + self.others, self.items)
        self._build(begun)
        unlearnt = [*begun.anchors.ravel().tolist(), *begun.mean, *begun.std, *self.average.begun]
        names = list(self.names + self.others)
        self.identity = Identity(asdict(self.config), pictures, self.place.world, unlearnt, names)
        self.progress = Progress()
        self.trunk: Trunk | None = None
        self._saved_s = monotonic()

    def _read_data(self) -> str:
        """Set what is trained and validated on; returns what tells it from other data."""
        config, data = self.config, read_config(Path(self.config.data))
        self.names = data.names
        samples, val = (read_split(data, name, config.bad) for name in ("train", "val"))
        if config.without:
            samples = leave_out(samples, Path(config.without))
        chance = np.random.default_rng(config.seed)
        kept = chance.permutation(len(samples))[: math.ceil(len(samples) * config.share)]
        samples = [samples[i] for i in sorted(kept)]
        library = (
            load_library(Path(config.scenes), data.names, "train", others=True)
            if config.scenes
            else None
        )
        self.others = library.others if library else ()
        composed = round(len(samples) * config.composed)
        scenes = SceneConfig(
            apple_share=TRAINING_APPLES, distractors=config.distractors, variety=config.variety
        )
        self.items = TrainSet(
            samples, config.image_size, config.seed, library, composed, config.augment, scenes
        )
        rank, world = self.place.rank, self.place.world
        self.order = Order(len(self.items), config.batch, config.seed, config.epochs, rank, world)
        folder = config.scenes if self.place.first else ""
        self.validation = Validation(val, data.names, folder, config.val_scenes)
        return data_hash([*samples, *val]) + folder_hash(config.scenes)

    def _build(self, begun: Start) -> None:
        config, device = self.config, self.place.device
        self.model = begun.model.to(device)
        if self.place.world > 1 and device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        convert_conv2d_weight_memory_format(self.model, torch.channels_last)
        self.average = Average(self.model, config.ema, config.blend)
        self.inputs = Inputs(config, begun.mean, begun.std, device)
        self.loss = YoloLoss(begun.anchors, config.loss).to(device)
        self.optimizer = build_optimizer(self.model, config)
        self.schedule = Schedule(config)
        self.half = self.place.half(config.amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half is torch.float16)
        self.info = WeightsInfo(
            names=self.names,
            anchors=tuple(tuple(map(tuple, scale)) for scale in begun.anchors.tolist()),
            image_size=config.image_size,
            backbone=begun.backbone,
            neck=begun.neck,
            mean=begun.mean,
            std=begun.std,
            data_hash=data_hash(self.items.samples),
            class_score="sigmoid" if config.loss.class_loss == "bce" else "softmax",
            others=self.others,
        )
        self.said = begun.said

    def __str__(self) -> str:
        config, info = self.config, self.info
        line = (
            f"training {info.backbone} + {info.neck} at {config.image_size} px on "
            f"{len(self.items)} pictures of {len(self.names)} classes, {self.place.device}, epoch "
            f"{self.progress.epoch + 1} to {config.epochs}, into {self.folder}"
        )
        return f"{line}\n{self.said}" if self.said else line

    @property
    def best(self) -> float:
        """The best score so far, in [0, 1]; minus infinity before the first epoch's end."""
        return self.progress.patience.best

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or patience has ended."""
        borne = self.config.patience or self.config.epochs
        return self.progress.epoch >= self.config.epochs or self.progress.patience.waited >= borne

    def run(self) -> None:
        """Train from where the run stands to its end, and write everything into the folder."""
        batches, now = self._batches(), self.progress
        board = SummaryWriter(self.folder, purge_step=now.epoch + 1) if self.place.first else None
        while not self.finished:
            self._train_epoch(batches)
            self._end_epoch()
            if board:
                show(now.rows[-1], board)
        if board:
            board.close()
            report(self.folder, self.items.samples, self.validation, self._limits())

    def _limits(self) -> Validation | None:
        """Training pictures to measure int8's limits on, if the run is to end with it."""
        if not self.config.int8:
            return None
        return some_training(self.items.samples, self.names, self.config.scenes)

    def _batches(self) -> Batches:
        """All batches from here to the last epoch's end, with the seconds each was waited for."""
        self.order.start = self.progress.epoch, self.progress.batch
        loader = DataLoader(
            Keyed(self.items),
            batch_sampler=self.order,
            num_workers=self.config.workers,
            worker_init_fn=one_thread,
            collate_fn=collate,
            pin_memory=self.place.device.type == "cuda",
            generator=torch.Generator(),  # of its own: torch's random numbers stay untouched
        )
        return timed(loader)

    def _train_epoch(self, batches: Batches) -> None:
        self._freeze()
        model, now = self.place.shared(self.model), self.progress
        bar = tqdm(
            desc=f"epoch {now.epoch + 1}/{self.config.epochs}",
            total=self.order.steps,
            initial=now.batch,
            mininterval=5,
            disable=not self.place.first,
        )
        while now.batch < self.order.steps:
            (images, rows), wait_s = next(batches)
            began = perf_counter()
            losses = self._batch(model, images, rows)
            now.meter.add(losses, len(images), wait_s, perf_counter() - began)
            now.batch += 1
            bar.set_postfix_str(str(now.meter), refresh=False)
            bar.update()
            self._save_sometimes()
        bar.close()

    def _freeze(self) -> None:
        """Let the trunk rest, or its first stages, and its BatchNorm keep its statistics."""
        resting = self.progress.epoch < self.config.frozen_epochs
        trains_bn = self.config.trunk_bn == "trainable"
        self.model.train()
        for number, stage in enumerate(self.model.backbone.stages):
            learns = not resting and number >= self.config.frozen_stages
            stage.requires_grad_(learns).train(learns and trains_bn)
        if resting:
            self.trunk = resting_trunk(self.model.backbone, self.place.device)
        else:
            self.trunk = None if trains_bn else FoldedTrunk(self.model.backbone)

    def _batch(self, model: nn.Module, images: Tensor, rows: Tensor) -> dict[str, float]:
        """Add up the gradients of one batch, and take a step when enough are gathered."""
        now, size = self.progress, self.config.accumulate
        first = now.batch // size * size
        gathered = min(size, self.order.steps - first)
        last = now.batch == first + gathered - 1
        x, box_scale, anchor_scale = self.inputs(images, now.epoch, now.batch)
        rows = torch.cat((rows[:, :2], rows[:, 2:] * box_scale), dim=1)
        with nullcontext() if last else self.place.unshared(model):
            with torch.autocast(self.place.device.type, self.half, enabled=self.half is not None):
                maps = model(x, self.trunk)
            parts = self._losses(maps, rows.to(self.place.device, non_blocking=True), anchor_scale)
            self.scaler.scale(parts["loss"] / gathered).backward()
        if last:
            self._step(now.epoch + first / self.order.steps)
        values = torch.stack([value.detach() for value in parts.values()]).tolist()
        return dict(zip(parts, values, strict=True))

    def _losses(
        self, maps: tuple[Tensor, ...], rows: Tensor, anchor_scale: float
    ) -> dict[str, Tensor]:
        try:
            return self.loss(squared(maps), rows, anchor_scale)
        except NonFiniteLoss as error:
            where = f"epoch {self.progress.epoch + 1}, batch {self.progress.batch + 1}"
            raise NonFiniteLoss(f"{where}: {error}") from None

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
        self.progress.step += 1
        self.average.update(self.progress.step)

    def _end_epoch(self) -> None:
        """Measure the averaged weights, keep the best, save the state, write the epoch's row."""
        now, scores = self.progress, self._scores()
        row = {"epoch": now.epoch + 1, "lr": self.optimizer.param_groups[0]["lr"]}
        now.next_epoch(row | self.place.together(now.meter.row()) | scores)
        self.schedule.epoch_ended(scores[self.config.best])
        improved = now.patience.improves(scores[self.config.best])
        if self.place.first:
            if improved:
                best = self.folder / "weights" / "best.safetensors"
                save_weights(best, self.average.kept(), replace(self.info, metrics=scores))
            self.save()
            write_rows(self.folder, now.rows)

    def _scores(self) -> dict[str, float]:
        """What the averaged weights reach, read back from their file; the same in every process."""
        values = [0.0] * len(SCORES)
        if self.place.first:
            last = self.folder / "weights" / "last.safetensors"
            save_weights(last, self.average.kept(), self.info)
            values = list(self.validation.scores(TorchDetector(last)).values())
        return dict(zip(SCORES, self.place.agree(values), strict=True))

    def _save_sometimes(self) -> None:
        """Save within an epoch when it is time, never between batches whose gradients add up."""
        whole = self.progress.batch % self.config.accumulate == 0
        due = monotonic() - self._saved_s >= self.config.save_minutes * 60
        if whole and due and self.place.first:
            self.save()

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "average": self.average.module,
            "optimizer": self.optimizer,
            "scaler": self.scaler,
            "schedule": self.schedule,
        }

    def save(self) -> None:
        """Write all that ``load`` needs to go on after a crash."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"identity": asdict(self.identity), "progress": asdict(self.progress)}
        save_state(self.folder, state | {"random": random_state()})
        self._saved_s = monotonic()

    def load(self) -> None:
        """Go on where the run in this folder stopped; a run without a state starts anew.

        Raises SettingsError when its data or settings are not what they were.
        """
        state = load_state(self.folder)
        if state is None:
            return
        self.identity.check(self.folder, Identity(**state["identity"]))
        for name, part in self._parts().items():
            if state[name]:  # a scaler has no state where there is no need for one
                part.load_state_dict(state[name])
        self.progress = Progress.read(state["progress"])
        set_random_state(state["random"])
        if self.place.first:
            write_rows(self.folder, self.progress.rows)
