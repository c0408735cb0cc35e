"""Boxes as the tracks need them: overlap, and motion that a hand over a fruit does not feign."""

from __future__ import annotations

import math

import numpy as np

BoxXYXY = tuple[float, float, float, float]
"""Left, top, right, bottom, pixels."""

Size = tuple[float, float]
"""Width, height, pixels."""

BORDER_SHARE = 0.01
"""Share of the frame's extent within which a side counts as cut off by the frame."""


def overlaps(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overlap of every box of one list with every box of another.

    a_xyxy: (n, 4), b_xyxy: (m, 4), any unit, each of positive area. Returns two (n, m) arrays in
    [0, 1]: intersection over union, and intersection over the smaller box.
    """
    left_top = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    right_bottom = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    shared = np.clip(right_bottom - left_top, 0.0, None).prod(axis=2)  # (n, m)
    area_a, area_b = areas(a_xyxy)[:, None], areas(b_xyxy)[None, :]
    return shared / (area_a + area_b - shared), shared / np.minimum(area_a, area_b)


def areas(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Area of each box: (n, 4) → (n,)."""
    return (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)


def box_side(box_xyxy: BoxXYXY) -> float:
    """Side of the square of equal area, pixels."""
    left, top, right, bottom = box_xyxy
    return math.sqrt((right - left) * (bottom - top))


def overlap_of(a_xyxy: BoxXYXY, b_xyxy: BoxXYXY) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(a_xyxy[2], b_xyxy[2]) - max(a_xyxy[0], b_xyxy[0])
    height = min(a_xyxy[3], b_xyxy[3]) - max(a_xyxy[1], b_xyxy[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (box_side(a_xyxy) ** 2 + box_side(b_xyxy) ** 2 - shared)


def share_inside(box_xyxy: BoxXYXY, other_xyxy: BoxXYXY) -> float:
    """Share of one box's area that lies inside another, in [0, 1]."""
    width = min(box_xyxy[2], other_xyxy[2]) - max(box_xyxy[0], other_xyxy[0])
    height = min(box_xyxy[3], other_xyxy[3]) - max(box_xyxy[1], other_xyxy[1])
    return max(width, 0.0) * max(height, 0.0) / box_side(box_xyxy) ** 2


def distance(a_xyxy: BoxXYXY, b_xyxy: BoxXYXY) -> float:
    """Distance of the boxes' centres, pixels."""
    dx = a_xyxy[0] + a_xyxy[2] - b_xyxy[0] - b_xyxy[2]
    dy = a_xyxy[1] + a_xyxy[3] - b_xyxy[1] - b_xyxy[3]
    return math.hypot(dx, dy) / 2


def shifted(box_xyxy: BoxXYXY, dx: float, dy: float) -> BoxXYXY:
    """The box moved by (dx, dy) pixels."""
    left, top, right, bottom = box_xyxy
    return left + dx, top + dy, right + dx, bottom + dy


def moved(old_xyxy: BoxXYXY, new_xyxy: BoxXYXY, frame: Size) -> float:
    """How far a box moved as a whole, pixels.

    On each axis the lesser shift of the two sides, or 0 when they go opposite ways or one stays:
    a hand that slides over a fruit shortens its box without moving it. A side at the frame's
    border tells nothing: a fruit that leaves the picture goes with its other side.
    """
    return math.hypot(*(_common(old_xyxy, new_xyxy, axis, frame[axis]) for axis in (0, 1)))


def _common(old: BoxXYXY, new: BoxXYXY, axis: int, extent: float) -> float:
    low, high = new[axis] - old[axis], new[axis + 2] - old[axis + 2]
    if new[axis] <= BORDER_SHARE * extent:
        low = high
    elif new[axis + 2] >= (1.0 - BORDER_SHARE) * extent:
        high = low
    return min(abs(low), abs(high)) if low * high > 0 else 0.0
