"""The training loop: one run in its folder."""

from __future__ import annotations

import csv
import math
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model.anchors import coco_anchors
from model.data.dataset import DataError, data_hash, read_config, read_split
from model.data.synthesize import SceneConfig, compose, load_library
from model.data.trainset import TrainSet, collate
from model.evaluate import evaluate, from_files
from model.loss import NonFiniteLoss, YoloLoss
from model.metrics import best_confidence
from model.plots import confusion, plot_confusion, plot_curves, plot_labels, plot_results
from model.runtimes.torch_runtime import TorchDetector
from model.weights import WeightsInfo, load_weights, save_weights
from model.yolov3 import YoloV3

COLUMNS = (
    "epoch",
    "lr",
    "loss",
    "box",
    "objectness",
    "no_object",
    "classes",
    "map50",
    "map",
    "cacc",
)


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run; saved as args.yaml.

    image_size: pixels, a multiple of 32. lr: of the head at its peak; trunk_lr: its share for the
    trunk. frozen_epochs: the whole trunk rests; frozen_stages: its first stages rest for good.
    composed: composed scenes per real picture. ema: decay of the averaged weights.
    """

    data: str
    scenes: str = ""
    weights: str = ""
    backbone: str = "efficientnet_lite0"
    neck: str = "slim"
    image_size: int = 416
    epochs: int = 30
    frozen_epochs: int = 5
    frozen_stages: int = 0
    batch: int = 16
    lr: float = 1e-3
    trunk_lr: float = 0.1
    weight_decay: float = 5e-4
    composed: float = 1.0
    val_scenes: int = 120
    ema: float = 0.999
    workers: int = 2
    seed: int = 0
    device: str = "cpu"


class Trainer:
    """One run in its folder; ``run`` trains to the end from wherever it stands."""

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        torch.manual_seed(config.seed)
        data = read_config(Path(config.data))
        self.names = data.names
        samples = read_split(data, "train")
        library = load_library(Path(config.scenes), data.names, "train") if config.scenes else None
        model, anchors = self._build()
        self.dataset = TrainSet(
            samples,
            config.image_size,
            config.seed,
            library,
            round(len(samples) * config.composed),
        )
        self.validation = read_split(data, "val")
        self.scenes = self._val_scenes()
        self.device = torch.device(config.device)
        self.model = convert_conv2d_weight_memory_format(model.to(self.device), torch.channels_last)
        self.average = deepcopy(self.model).requires_grad_(False)
        self.loss = YoloLoss(anchors).to(self.device)
        self.optimizer = self._optimizer()
        self.info = WeightsInfo(
            names=data.names,
            anchors=tuple(tuple(map(tuple, scale)) for scale in anchors.tolist()),
            image_size=config.image_size,
            backbone=config.backbone,
            neck=config.neck,
            mean=self.model.backbone.mean,
            std=self.model.backbone.std,
            data_hash=data_hash(samples),
        )
        self.epoch, self.step, self.best = 0, 0, -1.0

    def _build(self) -> tuple[YoloV3, np.ndarray]:
        """The network and its anchors: ImageNet's trunk and COCO's sizes, or a trained file's.

        A trained network keeps its anchors in pixels when the input grows, as in the paper's
        multi-scale training: what it has learnt about sizes stays true.
        """
        if self.config.weights:
            model, info = load_weights(Path(self.config.weights))
            if info.names == self.names:
                return model, info.anchor_array * info.image_size / self.config.image_size
            raise DataError(f"{self.config.weights}: trained on other classes, {info.names}")
        model = YoloV3(len(self.names), self.config.backbone, self.config.neck)
        model.backbone.load_imagenet()
        return model, coco_anchors()

    def _val_scenes(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Fixed scenes of fruit and surfaces that training never shows; none without --scenes."""
        if not self.config.scenes:
            return []
        library = load_library(Path(self.config.scenes), self.names, "val")
        rng = np.random.default_rng(7)
        return [
            compose(library, SceneConfig(), rng, 640, 480) for _ in range(self.config.val_scenes)
        ]

    def _optimizer(self) -> torch.optim.AdamW:
        """Head and trunk at their own rates; no weight decay on BatchNorm and biases."""
        groups = []
        trunk = {id(p) for p in self.model.backbone.parameters()}
        for in_trunk in (False, True):
            rate = self.config.lr * (self.config.trunk_lr if in_trunk else 1)
            mine = [p for p in self.model.parameters() if (id(p) in trunk) == in_trunk]
            for decays in (False, True):
                groups.append(
                    {
                        "params": [p for p in mine if (p.ndim > 1) == decays],
                        "lr": rate,
                        "peak": rate,
                        "weight_decay": self.config.weight_decay * decays,
                    }
                )
        return torch.optim.AdamW(groups)

    def run(self) -> None:
        """Train from the current epoch to the last, writing everything into the folder."""
        loader = DataLoader(
            self.dataset,
            self.config.batch,
            shuffle=True,
            num_workers=self.config.workers,
            drop_last=True,
            collate_fn=collate,
            generator=torch.Generator().manual_seed(self.config.seed + self.epoch),
        )
        steps = max(1, len(loader))
        with SummaryWriter(self.folder) as board:
            while self.epoch < self.config.epochs:
                self.dataset.epoch = self.epoch
                row = self._train_epoch(loader, steps) | self._validate()
                self.epoch += 1
                self._record(row, board)
        self.report()

    def _train_epoch(self, loader: DataLoader, steps: int) -> dict[str, float]:
        self._freeze()
        sums: dict[str, float] = {}
        bar = tqdm(loader, desc=f"epoch {self.epoch + 1}/{self.config.epochs}", mininterval=5)
        for number, (images, rows) in enumerate(bar):
            self._set_rate(self.epoch + number / steps)
            try:
                parts = self._step(images, rows)
            except NonFiniteLoss as error:
                raise NonFiniteLoss(
                    f"epoch {self.epoch + 1}, batch {number + 1}: {error}"
                ) from None
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            bar.set_postfix_str(f"loss {sums['loss'] / (number + 1):.3f}", refresh=False)
        return {"lr": self.optimizer.param_groups[0]["lr"]} | {
            k: v / steps for k, v in sums.items()
        }

    def _freeze(self) -> None:
        """Rest the trunk, or its first stages; its BatchNorm keeps ImageNet's statistics."""
        resting = self.epoch < self.config.frozen_epochs
        self.model.train()
        self.model.backbone.eval()
        for number, stage in enumerate(self.model.backbone.stages):
            stage.requires_grad_(not resting and number >= self.config.frozen_stages)

    def _set_rate(self, progress: float) -> None:
        """Linear warm-up over the first half epoch, then a half cosine to 1 %."""
        warm = min(1.0, (progress + 0.01) / 0.5)
        cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * progress / self.config.epochs)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * warm * cosine

    def _step(self, images: Tensor, rows: Tensor) -> dict[str, Tensor]:
        backbone = self.model.backbone
        mean = torch.tensor(backbone.mean, device=self.device).view(3, 1, 1) * 255
        std = torch.tensor(backbone.std, device=self.device).view(3, 1, 1) * 255
        x = ((images.to(self.device) - mean) / std).contiguous(memory_format=torch.channels_last)
        parts = self.loss(self.model(x), rows.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return {name: value.detach() for name, value in parts.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        """Exponential moving average of the weights, quick at first."""
        keep = self.config.ema * (1 - math.exp(-self.step / 300))
        for mine, theirs in zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)

    def _validate(self) -> dict[str, float]:
        """Measure the averaged weights as they will be used: from their file, on torch."""
        last = self.folder / "weights" / "last.safetensors"
        save_weights(last, self.average, self.info)
        detector = TorchDetector(last)
        photos = evaluate(detector, from_files(self.validation, quiet=True)).summary
        summaries = [photos]
        if self.scenes:
            summaries.append(evaluate(detector, self.scenes).summary)
            print(
                "scenes:",
                {k: round(summaries[1][k], 4) for k in ("map50", "map", "cacc")},
                flush=True,
            )
        return {k: float(np.mean([s[k] for s in summaries])) for k in ("map50", "map", "cacc")}

    def _record(self, row: dict[str, float], board: SummaryWriter) -> None:
        """Append to results.csv and TensorBoard, keep the best weights, save the state."""
        row = {"epoch": self.epoch} | row
        path = self.folder / "results.csv"
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow({key: f"{row[key]:.6g}" for key in COLUMNS})
        for key in COLUMNS[1:]:
            board.add_scalar(key, row[key], self.epoch)
        metrics = {key: row[key] for key in ("map50", "map", "cacc")}
        print(
            f"epoch {self.epoch}: loss {row['loss']:.3f}",
            *(f"{k} {v:.4f}" for k, v in metrics.items()),
            flush=True,
        )
        if row["map"] > self.best:
            self.best = row["map"]
            info = replace(self.info, metrics=metrics)
            save_weights(
                self.folder / "weights" / "best.safetensors", self.average, info, half=True
            )
        self.save()

    def report(self) -> None:
        """Draw the run: curves, and the best weights on the validation photographs."""
        best = self.folder / "weights" / "best.safetensors"
        self._fix_confidence(best)
        detector = TorchDetector(best)
        evaluation = evaluate(detector, from_files(self.validation))
        matrix = confusion(evaluation.results, len(self.names), detector.confidence)
        plot_results(self.folder / "results.csv", self.folder / "results.png")
        plot_labels([s.boxes for s in self.dataset.samples], self.names, self.folder / "labels.png")
        plot_curves(evaluation.results, self.names, self.folder)
        plot_confusion(matrix, self.names, self.folder / "confusion_matrix.png", False)
        plot_confusion(matrix, self.names, self.folder / "confusion_matrix_normalized.png", True)
        with (self.folder / "per_class.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("class", "ap50", "ap", "precision", "recall"))
            for name, row in evaluation.summary["per_class"].items():
                writer.writerow((name, *row.values()))

    def _fix_confidence(self, weights: Path) -> None:
        """Store the confidence with the most right baskets in what training shows, never in val."""
        rng = np.random.default_rng(self.config.seed)
        picked = rng.choice(len(self.dataset), min(300, len(self.dataset)), replace=False)
        seen = (self.dataset.picture(int(index), rng) for index in picked)
        results = evaluate(TorchDetector(weights), seen).results
        model, info = load_weights(weights)
        confidence = best_confidence(results, len(self.names))
        save_weights(weights, model, replace(info, confidence=confidence), half=True)

    def save(self) -> None:
        """Write all that ``load`` needs to go on after a crash."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "best": self.best,
        }
        partial = self.folder / "state.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "state.pt")

    def load(self) -> None:
        """Go on where the run in this folder stopped; a run without a state starts anew."""
        path = self.folder / "state.pt"
        if path.exists():
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
