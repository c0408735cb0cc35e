"""The YOLOv3 loss as a named object.

Classes exclude each other, so naming is a cross-entropy; objectness is a binary cross-entropy
whose target at a positive is the IoU that the box has reached (so that the score ranks boxes by
how well they sit), boxes are pulled by CIoU. All terms are divided by the number of positives.
A cell that was not asked for a box and finds it well all the same is not punished for it (YOLOv3
section 2.1): NMS removes the double, and neighbours need not fight over a fruit between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from model.boxes import ciou_cxcywh, cxcywh_to_xyxy
from model.decode import MAX_LOG_SCALE
from model.targets import EMPTY, POSITIVE


@dataclass(frozen=True)
class LossConfig:
    """The weights of the four terms, and from which IoU with a box a find is not punished."""

    box: float = 5.0
    objectness: float = 1.0
    no_object: float = 1.0
    classes: float = 2.0
    forgive_iou: float = 0.7  # as in the paper's own configuration


class NonFiniteLoss(RuntimeError):
    """The loss became nan or infinite; training must stop, the weights are of no use."""


class YoloLoss(nn.Module):
    """Loss of three raw maps against their targets."""

    anchors: Tensor

    def __init__(self, anchors: np.ndarray, config: LossConfig | None = None):
        super().__init__()
        self.config = config or LossConfig()
        self.register_buffer("anchors", torch.from_numpy(anchors))

    def forward(
        self, maps: tuple[Tensor, ...], targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Three raw maps and three target dicts → "loss" and its parts, each a scalar tensor.

        maps: (B, 3·(5+C), G, G). targets per scale: "state" (B, 3, G, G), "box_cxcywh"
        (B, 3, G, G, 4), "class_id" (B, 3, G, G), as model.targets gives them, stacked.
        Without any positive only the no-object term remains. Raises NonFiniteLoss.
        """
        total = {
            name: maps[0].new_zeros(()) for name in ("box", "objectness", "no_object", "classes")
        }
        truth = true_boxes(targets[0])
        positives = sum(int((t["state"] == POSITIVE).sum()) for t in targets)
        for raw, target, anchors in zip(maps, targets, self.anchors, strict=True):
            for name, value in self._scale(raw, target, anchors, truth).items():
                total[name] = total[name] + value / max(positives, 1)
        loss = torch.stack(
            [getattr(self.config, name) * value for name, value in total.items()]
        ).sum()
        if not torch.isfinite(loss):
            parts = ", ".join(f"{name} {float(value):g}" for name, value in total.items())
            raise NonFiniteLoss(f"the loss is not finite ({parts}); lower the learning rate")
        return {"loss": loss, **{name: value.detach() for name, value in total.items()}}

    def _scale(
        self, raw: Tensor, target: dict[str, Tensor], anchors: Tensor, truth: Tensor
    ) -> dict[str, Tensor]:
        """Summed terms of one scale."""
        batch, _, grid, _ = raw.shape
        cells = raw.view(batch, len(anchors), -1, grid, grid).permute(0, 1, 3, 4, 2)
        found = target["state"] == POSITIVE
        empty = target["state"] == EMPTY
        _, anchor, row, column = found.nonzero(as_tuple=True)
        hit = cells[found]  # (P, 5 + C)
        predicted = decode_cells(hit, anchors[anchor], column, row, grid)
        ciou, iou = ciou_cxcywh(predicted, target["box_cxcywh"][found])
        empty &= best_overlap(cells.detach(), anchors, truth) < self.config.forgive_iou
        objectness = cells[..., 4]
        return {
            "box": (1 - ciou).sum(),
            "objectness": F.binary_cross_entropy_with_logits(
                hit[:, 4], iou.detach().clamp(0, 1), reduction="sum"
            ),
            "no_object": F.softplus(objectness[empty]).sum(),  # BCE with target 0
            "classes": F.cross_entropy(hit[:, 5:], target["class_id"][found], reduction="sum"),
        }


def decode_cells(cells: Tensor, anchors: Tensor, column: Tensor, row: Tensor, grid: int) -> Tensor:
    """Raw cells (P, 5+C) with their anchors (P, 2) and places → boxes (P, 4) cxcywh in [0, 1].

    Source: YOLOv3 section 2.1: b = σ(t) + cell, size = anchor · exp(t).
    """
    centre = (torch.sigmoid(cells[:, :2]) + torch.stack((column, row), dim=1)) / grid
    size = anchors * torch.exp(cells[:, 2:4].clamp(max=MAX_LOG_SCALE))
    return torch.cat((centre, size), dim=1)


def true_boxes(finest: dict[str, Tensor]) -> Tensor:
    """The boxes of each picture, read from the finest scale's targets: (B, M, 4) cxcywh.

    M is the most that a picture has; the others' rows are filled with boxes without area.
    """
    found = finest["state"] == POSITIVE
    counts = found.flatten(1).sum(1)
    truth = finest["box_cxcywh"].new_zeros(len(counts), int(counts.max()) if len(counts) else 0, 4)
    for picture, count in enumerate(counts.tolist()):
        truth[picture, :count] = finest["box_cxcywh"][picture][found[picture]]
    return truth


@torch.no_grad()
def best_overlap(cells: Tensor, anchors: Tensor, truth: Tensor) -> Tensor:
    """Largest IoU of every predicted box with a true one: (B, 3, G, G), 0 without any.

    cells: (B, 3, G, G, 5+C). anchors: (3, 2). truth: (B, M, 4) cxcywh.
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
