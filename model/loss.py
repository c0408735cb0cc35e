"""The YOLOv3 loss as a named object, every choice of it a setting.

As it is by default: classes exclude each other, so naming is a cross-entropy; objectness is a
binary cross-entropy whose target at a positive is the IoU that the box has reached (so that the
score ranks boxes by how well they sit); boxes are pulled by CIoU; all terms are divided by the
number of positives. A cell that was not asked for a box and finds it well all the same is not
punished for it: NMS removes the double, and neighbours need not fight over a fruit between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from model.boxes import cxcywh_to_xyxy, paired_iou
from model.decode import MAX_LOG_SCALE
from model.targets import EMPTY, Targets, assign, rank_within


@dataclass(frozen=True)
class LossConfig:
    """What is minimised.

    box, objectness, no_object, classes: the four lambdas. box_loss: one minus IoU, GIoU or CIoU,
    or squared errors of the raw tx, ty, tw, th. objectness_loss: of the cells that have a box;
    "focal" weighs the empty cells too. objectness_target: the IoU reached, or 1. class_loss:
    cross-entropy, or BCE a class. ignore_iou: an anchor that fits a box better than this and was
    not chosen is not judged. forgive_iou: an empty cell whose find overlaps a box more than this
    is not punished; over 1 punishes all. one_scale: a box is given to its best scale only.
    label_smoothing: in [0, 1). hard_negatives: OHEM, only so many of the worst empty cells a
    positive count (Shrivastava et al., CVPR 2016); 0 counts all. focal_gamma: of Lin et al.,
    RetinaNet (ICCV 2017), with |target − p| as the weight (Li et al., NeurIPS 2020). reduction:
    divide sums by the positives or by the pictures, or take each term's mean in each scale.
    """

    box: float = 5.0
    objectness: float = 1.0
    no_object: float = 1.0
    classes: float = 2.0
    box_loss: Literal["ciou", "giou", "iou", "mse"] = "ciou"
    objectness_loss: Literal["bce", "mse", "focal"] = "bce"
    objectness_target: Literal["iou", "one"] = "iou"
    class_loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    ignore_iou: float = 0.5
    forgive_iou: float = 0.7
    one_scale: bool = False
    label_smoothing: float = 0.0
    hard_negatives: float = 0.0
    focal_gamma: float = 2.0
    reduction: Literal["positives", "pictures", "mean"] = "positives"


LOSS_PRESETS = {
    "default": LossConfig(),
    # the fruit project of 2021: its best lambdas, CE, MSE objectness, BCE elsewhere, MSE boxes
    "original": LossConfig(
        box=10,
        objectness=10,
        no_object=10,
        classes=1,
        box_loss="mse",
        objectness_loss="mse",
        forgive_iou=2,
        reduction="mean",
    ),
    # Redmon & Farhadi 2018, section 2, and yolov3.cfg (ignore_thresh .7)
    "paper": LossConfig(
        box=1,
        classes=1,
        box_loss="mse",
        objectness_target="one",
        class_loss="bce",
        one_scale=True,
        reduction="pictures",
    ),
}


class NonFiniteLoss(RuntimeError):
    """The loss became nan or infinite; training must stop, the weights are of no use."""


class YoloLoss(nn.Module):
    """Loss of raw maps against the boxes of their pictures."""

    anchors: Tensor

    def __init__(self, anchors: np.ndarray, config: LossConfig | None = None):
        super().__init__()
        self.config = config or LossConfig()
        self.register_buffer("anchors", torch.from_numpy(anchors))

    def forward(
        self, maps: tuple[Tensor, ...], rows: Tensor, anchor_scale: float = 1.0
    ) -> dict[str, Tensor]:
        """Raw maps and boxes → "loss" and its four parts, each a scalar tensor.

        maps: one (B, A·(5+C), G, G) a scale, finest first. rows: float32 (M, 6): picture index,
        class id, cxcywh in [0, 1]. anchor_scale: enlarges the anchors, as shares of the input,
        when the input is smaller than theirs (multi-scale training). Without any box only the
        no-object term remains. With torch.distributed, positives and pictures are counted over
        all processes, so that averaged gradients are those of one large batch (but for the
        reduction "mean").
        Raises NonFiniteLoss.
        """
        anchors = self.anchors * anchor_scale
        batch, grids = len(maps[0]), [m.shape[-1] for m in maps]
        targets = assign(rows, batch, anchors, grids, self.config.ignore_iou, self.config.one_scale)
        truth = boxes_by_picture(rows, batch)
        total = {k: maps[0].new_zeros(()) for k in ("box", "objectness", "no_object", "classes")}
        for raw, target, scale_anchors in zip(maps, targets, anchors, strict=True):
            for name, value in self._scale(raw.float(), target, scale_anchors, truth).items():
                total[name] = total[name] + value
        divisor = self._divisor(batch, sum(len(t.picture) for t in targets), maps[0].device)
        total = {name: value / divisor for name, value in total.items()}
        loss = torch.stack([getattr(self.config, k) * value for k, value in total.items()]).sum()
        if not torch.isfinite(loss):
            parts = ", ".join(f"{name} {value.item():g}" for name, value in total.items())
            raise NonFiniteLoss(f"the loss is not finite ({parts}); lower the learning rate")
        return {"loss": loss, **{name: value.detach() for name, value in total.items()}}

    def _divisor(self, pictures: int, positives: int, device: torch.device) -> Tensor | int:
        """What sums are divided by, averaged over the processes."""
        if self.config.reduction == "mean":
            return 1
        mine = pictures if self.config.reduction == "pictures" else positives
        count = torch.tensor(float(mine), device=device)
        if not (dist.is_available() and dist.is_initialized()):
            return count.clamp(min=1)
        dist.all_reduce(count)
        return count.clamp(min=1) / dist.get_world_size()

    def _scale(
        self, raw: Tensor, target: Targets, anchors: Tensor, truth: Tensor
    ) -> dict[str, Tensor]:
        """The terms of one scale, summed over their cells (or their mean)."""
        batch, _, grid, _ = raw.shape
        cells = raw.view(batch, len(anchors), -1, grid, grid).permute(0, 1, 3, 4, 2)
        hit = cells[target.picture, target.anchor, target.row, target.column]  # (P, 5 + C)
        box, iou = self._box(hit, target, anchors[target.anchor], grid)
        reached = best_overlap(cells.detach(), anchors, truth)
        empty = cells[..., 4][(target.state == EMPTY) & (reached < self.config.forgive_iou)]
        wanted = torch.ones_like(iou) if self.config.objectness_target == "one" else iou
        terms = {
            "box": box,
            "objectness": self._objectness(hit[:, 4], wanted),
            "no_object": self._no_object(empty, len(hit)),
            "classes": self._classes(hit[:, 5:], target.class_id),
        }
        if self.config.reduction == "mean":
            return {name: t.sum() / max(t.numel(), 1) for name, t in terms.items()}
        return {name: t.sum() for name, t in terms.items()}

    def _box(
        self, hit: Tensor, target: Targets, anchors: Tensor, grid: int
    ) -> tuple[Tensor, Tensor]:
        """Box loss of the positives (P,) or (P, 4), and the IoU they reach (P,), detached."""
        predicted = decode_cells(hit, anchors, target.column, target.row, grid)
        kind = self.config.box_loss
        similarity, iou = paired_iou(predicted, target.box_cxcywh, "iou" if kind == "mse" else kind)
        iou = iou.detach().clamp(0, 1)
        if kind != "mse":
            return 1 - similarity, iou
        offset = target.box_cxcywh[:, :2] * grid - torch.stack((target.column, target.row), dim=1)
        size = torch.log(target.box_cxcywh[:, 2:] / anchors)
        found = torch.cat((torch.sigmoid(hit[:, :2]), hit[:, 2:4]), dim=1)
        return (found - torch.cat((offset, size), dim=1)) ** 2, iou

    def _objectness(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Of the cells that have a box: logits (P,), wanted (P,) in [0, 1] → (P,)."""
        if self.config.objectness_loss == "mse":
            return (torch.sigmoid(logits) - wanted) ** 2
        loss = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return loss * self._focus(logits, wanted)

    def _no_object(self, logits: Tensor, positives: int) -> Tensor:
        """BCE of empty cells (N,) → (N,), or (k,) of the hardest alone."""
        loss = F.softplus(logits) * self._focus(logits, torch.zeros_like(logits))
        if self.config.hard_negatives:
            most = round(self.config.hard_negatives * max(positives, 1))
            loss = loss.topk(min(most, len(loss))).values
        return loss

    def _focus(self, logits: Tensor, wanted: Tensor) -> Tensor | float:
        if self.config.objectness_loss != "focal":
            return 1.0
        return (wanted - torch.sigmoid(logits)).abs().detach() ** self.config.focal_gamma

    def _classes(self, logits: Tensor, class_id: Tensor) -> Tensor:
        """Naming: logits (P, C), class_id (P,) → (P,) or, a class each, (P, C)."""
        smooth = self.config.label_smoothing
        if self.config.class_loss == "cross_entropy":
            return F.cross_entropy(logits, class_id, reduction="none", label_smoothing=smooth)
        wanted = F.one_hot(class_id, logits.shape[1]) * (1 - smooth) + smooth / logits.shape[1]
        return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


def decode_cells(cells: Tensor, anchors: Tensor, column: Tensor, row: Tensor, grid: int) -> Tensor:
    """Raw cells (P, 5+C) with their anchors (P, 2) and places → boxes (P, 4) cxcywh in [0, 1].

    Source: YOLOv3 section 2.1: b = σ(t) + cell, size = anchor · exp(t).
    """
    centre = (torch.sigmoid(cells[:, :2]) + torch.stack((column, row), dim=1)) / grid
    size = anchors * torch.exp(cells[:, 2:4].clamp(max=MAX_LOG_SCALE))
    return torch.cat((centre, size), dim=1)


def boxes_by_picture(rows: Tensor, batch: int) -> Tensor:
    """Rows (M, 6) → boxes of each picture (B, most, 4) cxcywh, filled up with boxes of no area."""
    picture = rows[:, 0].long()
    rank = rank_within(picture)
    truth = rows.new_zeros(batch, int(rank.max()) + 1 if len(rank) else 0, 4)
    truth[picture, rank] = rows[:, 2:]
    return truth


@torch.no_grad()
def best_overlap(cells: Tensor, anchors: Tensor, truth: Tensor) -> Tensor:
    """Largest IoU of every predicted box with a true one: (B, A, G, G), 0 without any.

    cells: (B, A, G, G, 5+C). anchors: (A, 2). truth: (B, M, 4) cxcywh.
    """
    batch, count, grid, _, channels = cells.shape
    if not truth.shape[1]:
        return cells.new_zeros(batch, count, grid, grid)
    index = torch.ones(count, grid, grid, dtype=torch.bool, device=cells.device).nonzero()
    anchor, row, column = (i.repeat(batch) for i in index.unbind(1))
    flat = decode_cells(cells.reshape(-1, channels), anchors[anchor], column, row, grid)
    boxes = cxcywh_to_xyxy(flat).view(batch, -1, 1, 4)
    others = cxcywh_to_xyxy(truth)[:, None]
    sides = torch.minimum(boxes[..., 2:], others[..., 2:])
    sides = (sides - torch.maximum(boxes[..., :2], others[..., :2])).clamp(0)
    shared = sides.prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).prod(-1) for b in (boxes, others)]
    iou = shared / (areas[0] + areas[1] - shared).clamp(min=1e-9)
    return iou.amax(-1).view(batch, count, grid, grid)
