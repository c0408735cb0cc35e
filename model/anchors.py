"""Anchors: COCO's sizes of the YOLOv3 paper, or sizes fitted to a data set's own boxes.

The original fruit project measured COCO's anchors as better than k-means on its own boxes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from model.boxes import iou_wh

STRIDES = (8, 16, 32)

# Redmon & Farhadi, "YOLOv3" (2018), section 2.3, in pixels at 416
_COCO_AT_416 = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
# yolov3-tiny.cfg, in pixels at 416; it has no scale of stride 8
_TINY_AT_416 = (
    ((10, 14), (23, 27), (37, 58)),
    ((81, 82), (135, 169), (344, 319)),
)


def strides_of(anchors: np.ndarray) -> tuple[int, ...]:
    """The strides of (scales, A, 2) anchors, finest first: two scales have strides 16 and 32."""
    return STRIDES[-len(anchors) :]


def coco_anchors(scales: int = 3) -> np.ndarray:
    """COCO's anchors, float32 (scales, 3, width and height), fractions of the input."""
    return np.array({2: _TINY_AT_416, 3: _COCO_AT_416}[scales], np.float32) / 416


def anchor_fit(sizes: np.ndarray, anchors: np.ndarray) -> tuple[float, float]:
    """How well anchors fit boxes: mean IoU with the best one, and share whose best is over 0.5.

    sizes: (N, 2) and anchors (scales, A, 2), fractions of the input; boxes and anchors share their
    centre. Without boxes both are 0.
    """
    best = _best(np.asarray(sizes, np.float32), anchors.reshape(-1, 2))
    return (float(best.mean()), float((best > 0.5).mean())) if len(best) else (0.0, 0.0)


def fit_anchors(
    sizes: np.ndarray,
    scales: int = 3,
    method: Literal["kmeans", "genetic"] = "kmeans",
    seed: int = 0,
    per_scale: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """Anchors for boxes of these sizes, smallest first.

    sizes: (N, 2) fractions of the input, N at least the number of anchors, else ValueError.
    "kmeans" clusters by 1 − IoU (YOLO9000, section 2); "genetic" then keeps random changes of the
    result that raise the mean best IoU. Returns float32 (scales, per_scale, 2) and the mean best
    IoU after each round.
    """
    sizes = np.asarray(sizes, np.float32)
    sizes = sizes[(sizes > 0).all(1)]
    count = scales * per_scale
    if len(sizes) < count:
        raise ValueError(f"{count} anchors need at least as many boxes, got {len(sizes)}")
    rng = np.random.default_rng(seed)
    anchors, history = _kmeans(sizes, count, rng)
    if method == "genetic":
        anchors, more = _evolve(sizes, anchors, rng)
        history = history + more
    anchors = anchors[np.argsort(anchors.prod(1))]
    return anchors.reshape(scales, per_scale, 2), np.array(history)


def _best(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    if not len(sizes):
        return np.zeros(0, np.float32)
    return iou_wh(torch.from_numpy(sizes), torch.from_numpy(anchors)).amax(1).numpy()


def _kmeans(
    sizes: np.ndarray, count: int, rng: np.random.Generator, rounds: int = 100
) -> tuple[np.ndarray, list[float]]:
    """Lloyd's rounds with the median of each cluster, until nothing moves."""
    anchors = _spread(sizes, count, rng)
    history: list[float] = []
    nearest = np.full(len(sizes), -1)
    for _ in range(rounds):
        iou = iou_wh(torch.from_numpy(sizes), torch.from_numpy(anchors)).numpy()
        history.append(float(iou.max(1).mean()))
        previous, nearest = nearest, iou.argmax(1)
        if (nearest == previous).all():
            break
        for number in np.unique(nearest):
            anchors[number] = np.median(sizes[nearest == number], axis=0)
    return anchors, history


def _spread(sizes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """First anchors far from each other (k-means++, Arthur & Vassilvitskii 2007)."""
    chosen = [sizes[rng.integers(len(sizes))]]
    while len(chosen) < count:
        far = (1 - _best(sizes, np.stack(chosen)).astype(float)).clip(0) ** 2
        weights = far / far.sum() if far.sum() > 0 else None
        chosen.append(sizes[rng.choice(len(sizes), p=weights)])
    return np.stack(chosen)


def _evolve(
    sizes: np.ndarray, anchors: np.ndarray, rng: np.random.Generator, rounds: int = 1000
) -> tuple[np.ndarray, list[float]]:
    """Random changes of one anchor at a time; the better of parent and child lives on.

    k-means ends close to the best there is: larger steps were never better on the fruit data.
    """
    best = float(_best(sizes, anchors).mean())
    history = []
    for _ in range(rounds):
        child = anchors.copy()
        child[rng.integers(len(anchors))] *= np.exp(rng.normal(0, 0.03, 2)).astype(np.float32)
        score = float(_best(sizes, child).mean())
        if score > best:
            anchors, best = child, score
        history.append(best)
    return anchors, history
