"""Anchors: the nine COCO sizes of the YOLOv3 paper, as fractions of the input side.

The original fruit project measured COCO's anchors as better than k-means on its own boxes.
"""

from __future__ import annotations

import numpy as np

STRIDES = (8, 16, 32)

# Redmon & Farhadi, "YOLOv3" (2018), section 2.3, in pixels at 416
_COCO_AT_416 = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)


def coco_anchors() -> np.ndarray:
    """COCO's anchors, float32 (3 strides, 3 anchors, width and height), fractions of the input."""
    return np.array(_COCO_AT_416, np.float32) / 416
