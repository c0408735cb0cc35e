"""Training pictures made of several others: mosaic and mixup.

A picture is a pair of uint8 (H, W, 3) BGR and float32 (N, 5) rows of class and cxcywh in [0, 1].
What is left of a box at a cut is kept if it still shows enough of its fruit. Copy-paste, the third
way, puts cut-outs on photographs and is part of ``synthesize.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Picture = tuple[np.ndarray, np.ndarray]

LEAST_LEFT = 0.3  # share of a box that must be left after a cut, as in the transforms' BboxParams
LEAST_SIDE_PX = 6


def mosaic(pictures: Sequence[Picture], size: int, rng: np.random.Generator) -> Picture:
    """Four pictures in the quarters of one square of ``size`` pixels, parted at a random point.

    Source: Bochkovskiy et al., "YOLOv4" (2020), section 3.4.
    """
    split_x, split_y = rng.uniform(0.3, 0.7, 2) * size
    across, down = (0, int(split_x), size), (0, int(split_y), size)
    canvas = np.empty((size, size, 3), np.uint8)
    rows = []
    for number, picture in enumerate(pictures):
        column, row = number % 2, number // 2
        left, right = across[column : column + 2]
        top, bottom = down[row : row + 2]
        canvas[top:bottom, left:right], boxes = cover(picture, right - left, bottom - top, rng)
        boxes[:, 1:] *= np.array([right - left, bottom - top] * 2) / size
        boxes[:, 1:3] += np.array([left, top]) / size
        rows.append(boxes)
    return canvas, np.concatenate(rows)


def mixup(first: Picture, second: Picture, rng: np.random.Generator) -> Picture:
    """The second picture shining through the first, with the boxes of both.

    The share of the first is drawn from Beta(8, 8), near a half, so that no box names a fruit that
    cannot be seen. Source: Zhang et al., "Bag of Freebies for Training Object Detection Neural
    Networks" (2019), section 3.1.
    """
    image, boxes = first
    other, more = cover(second, image.shape[1], image.shape[0], rng)
    share = float(rng.beta(8, 8))
    blended = cv2.addWeighted(image, share, other, 1 - share, 0)
    return blended, np.concatenate((boxes, more)).astype(np.float32)


def cover(picture: Picture, width: int, height: int, rng: np.random.Generator) -> Picture:
    """Scale a picture until it covers width × height pixels and cut that size out of it."""
    image, boxes = picture
    scale = max(width / image.shape[1], height / image.shape[0])
    wide = max(width, round(image.shape[1] * scale))
    high = max(height, round(image.shape[0] * scale))
    x, y = int(rng.integers(wide - width + 1)), int(rng.integers(high - height + 1))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    cut = cv2.resize(image, (wide, high), interpolation=method)[y : y + height, x : x + width]
    return cut, _cut_boxes(boxes, (wide, high), (x, y), (width, height))


def _cut_boxes(
    boxes: np.ndarray, whole: tuple[int, int], corner: tuple[int, int], part: tuple[int, int]
) -> np.ndarray:
    """Rows of a whole picture (width, height) as rows of a part of it that begins at a corner."""
    centre = boxes[:, 1:3] * whole - corner
    half = boxes[:, 3:] * whole / 2
    low, high = np.clip(centre - half, 0, part), np.clip(centre + half, 0, part)
    sides = high - low
    enough = sides.prod(-1) >= LEAST_LEFT * (4 * half.prod(-1))
    kept = enough & (sides >= LEAST_SIDE_PX).all(-1)
    rows = np.concatenate((boxes[:, :1], (low + high) / 2 / part, sides / part), axis=1)
    return rows[kept].astype(np.float32)
