"""Box formats, IoU and letterboxing. The format of a box is in its name: xyxy or cxcywh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

PAD_GREY = 114  # the grey that letterbox bars are filled with, here and inside the OpenVINO graph
STEP = 32  # pixels, the stride of the coarsest map: a network's input has sides of whole steps
SHAPES = (16, 9), (4, 3), (1, 1)  # of a tight input: what cameras deliver, and what holds the rest


def cxcywh_to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """Centre and size (..., 4) to corners (..., 4), in the same unit."""
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def iou_wh(sizes_a: Tensor, sizes_b: Tensor) -> Tensor:
    """IoU of boxes that share a centre: (N, 2) and (M, 2) sizes → (N, M) in [0, 1]."""
    overlap = torch.minimum(sizes_a[:, None], sizes_b[None]).prod(-1)
    union = sizes_a.prod(-1)[:, None] + sizes_b.prod(-1)[None] - overlap
    return overlap / union.clamp(min=1e-12)


def iou_xyxy(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """IoU of every pair: (N, 4) and (M, 4) corners → (N, M) in [0, 1]; empty inputs give (0, M)."""
    overlap, area_a, area_b = _overlaps(boxes_a, boxes_b)
    return overlap / np.maximum(area_a + area_b - overlap, 1e-12)


def nested_share(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Share of the smaller box of each pair inside the other: (N, 4), (M, 4) → (N, M) in [0, 1]."""
    overlap, area_a, area_b = _overlaps(boxes_a, boxes_b)
    return overlap / np.maximum(np.minimum(area_a, area_b), 1e-12)


def _overlaps(
    boxes_a: np.ndarray, boxes_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Common areas (N, M), and the boxes' own (N, 1) and (1, M)."""
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(-1)
    area_a = np.clip(boxes_a[:, 2:] - boxes_a[:, :2], 0, None).prod(-1)
    area_b = np.clip(boxes_b[:, 2:] - boxes_b[:, :2], 0, None).prod(-1)
    return overlap, area_a[:, None], area_b[None]


def paired_iou(
    predicted: Tensor, target: Tensor, kind: Literal["iou", "giou", "ciou"]
) -> tuple[Tensor, Tensor]:
    """How well pairs of boxes agree, (N, 4) cxcywh each → (N,) of the kind, and (N,) plain IoU.

    IoU lies in [0, 1], GIoU in (-1, 1], CIoU in (-1.5, 1]. Sources: Rezatofighi et al.,
    "Generalized IoU" (CVPR 2019); Zheng et al., "Distance-IoU Loss" (AAAI 2020).
    """
    a, b = cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(target)
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(0)
    shared = overlap.prod(-1)
    union = predicted[:, 2:].prod(-1) + target[:, 2:].prod(-1) - shared
    iou = shared / union.clamp(min=1e-9)
    if kind == "iou":
        return iou, iou
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    if kind == "giou":
        area = hull.prod(-1).clamp(min=1e-9)
        return iou - (area - union) / area, iou
    distance = ((predicted[:, :2] - target[:, :2]) ** 2).sum(-1)
    distance = distance / (hull**2).sum(-1).clamp(min=1e-9)
    aspect = torch.atan2(target[:, 2], target[:, 3]) - torch.atan2(predicted[:, 2], predicted[:, 3])
    penalty = 4 / torch.pi**2 * aspect**2
    with torch.no_grad():
        weight = penalty / (1 - iou + penalty).clamp(min=1e-9)
    return iou - distance - weight * penalty, iou


@cache
def tight_sides(size: int) -> tuple[tuple[int, int], ...]:
    """Long and short sides that a tight input may have, pixels, the longest first.

    size: the side of a square input, a multiple of 32. Of each shape the largest that takes no more
    work than the square. They are few since OpenVINO compiles a network for each.
    """
    found = []
    for long, short in SHAPES:
        lengths = range(size, 2 * size, STEP)
        sides = ((side, -(-side * short // (long * STEP)) * STEP) for side in lengths)
        found.append(max((a, b) for a, b in sides if a * b <= size**2))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture was fitted into the network's input, and the way back.

    A picture of ``width`` × ``height`` pixels is scaled by ``scale`` and put at
    (``left``, ``top``) of a square of ``size`` pixels, then a multiple of 32. ``tight``: of a
    rectangle of at most as many pixels, most of which are the picture's rather than grey.
    """

    width: int
    height: int
    size: int
    tight: bool = False

    @classmethod
    def of(cls, image: np.ndarray, size: int, *, tight: bool = False) -> Letterbox:
        """How a picture (H, W, 3) fits into an input of at most ``size`` × ``size`` pixels."""
        return cls(image.shape[1], image.shape[0], size, tight)

    @property
    def sides(self) -> tuple[int, int]:
        """Long and short side of the input, pixels."""
        if not self.tight:
            return self.size, self.size
        low, high = sorted((self.width, self.height))
        return next(s for s in tight_sides(self.size) if s[1] >= round(low * (s[0] / high)))

    @property
    def scale(self) -> float:
        """Input pixels per picture pixel."""
        return self.sides[0] / max(self.width, self.height)

    @property
    def inner(self) -> tuple[int, int]:
        """Width and height of the scaled picture, pixels, at least 1."""
        return max(1, round(self.width * self.scale)), max(1, round(self.height * self.scale))

    @property
    def outer(self) -> tuple[int, int]:
        """Width and height of the input, pixels."""
        long, short = self.sides
        return (long, short) if self.width > self.height else (short, long)

    @property
    def left(self) -> int:
        """Bar left of the picture, pixels."""
        return (self.outer[0] - self.inner[0]) // 2

    @property
    def top(self) -> int:
        """Bar above the picture, pixels."""
        return (self.outer[1] - self.inner[1]) // 2

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Fit a uint8 (H, W, 3) picture into the input, uint8 like it, with grey bars."""
        (width, height), (across, down) = self.inner, self.outer
        fitted = np.full((down, across, 3), PAD_GREY, np.uint8)
        fitted[self.top : self.top + height, self.left : self.left + width] = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_LINEAR
        )
        return fitted

    def to_picture(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) from input pixels to picture pixels, clipped to the picture."""
        width, height = self.inner
        offset = np.array([self.left, self.top] * 2, np.float32)
        factor = np.array([self.width / width, self.height / height] * 2, np.float32)
        limit = np.array([self.width, self.height] * 2, np.float32)
        return np.clip((boxes_xyxy - offset) * factor, 0, limit)


def to_tensor(image: np.ndarray) -> Tensor:
    """A uint8 (H, W, 3) BGR picture to a uint8 (3, H, W) RGB tensor."""
    return torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1)))
