"""Detections of one frame → one observation per fruit, whatever it was called."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.vision.geometry import BoxXYXY, areas, overlaps
from app.vision.settle_config import SettleConfig
from model.detector import Detection


@dataclass(frozen=True, slots=True)
class Observation:
    """One fruit in one frame.

    box_xyxy: pixels. score: the best of its names, in [0, 1]. names: each name's best score.
    """

    box_xyxy: BoxXYXY
    score: float
    names: Mapping[str, float]


def fuse(detections: Sequence[Detection], config: SettleConfig) -> list[Observation]:
    """Make one observation of all boxes that mean the same fruit.

    Boxes without area are left out. A box around several separate fruits is dropped, a second or
    nested box of one fruit lends it its name; one below ``config.keep_score`` can do no more than
    that. Returns observations by falling score, whatever the order of the detections; empty for
    none.
    """
    found = sorted(
        (d for d in detections if d.score >= config.name_score and _has_area(d.box_xyxy)),
        key=lambda d: (-d.score, d.key, d.box_xyxy),
    )
    if not found:
        return []
    boxes = np.array([d.box_xyxy for d in found], dtype=float)  # (n, 4)
    iou, inside = overlaps(boxes, boxes)
    same, nested = _same_fruit(found, boxes, iou, inside, config)
    groups: list[list[int]] = []
    for i in range(len(found)):
        if _is_group(i, found, same, nested, config):
            continue
        home = next((g for g in groups if same[i, g[0]]), None)
        if home is not None:
            home.append(i)
        elif found[i].score >= config.keep_score:
            groups.append([i])
    return [_observe([found[i] for i in group]) for group in groups]


def _has_area(box_xyxy: BoxXYXY) -> bool:
    left, top, right, bottom = box_xyxy
    return all(map(math.isfinite, box_xyxy)) and right > left and bottom > top


def _same_fruit(
    found: Sequence[Detection],
    boxes: np.ndarray,
    iou: np.ndarray,
    inside: np.ndarray,
    config: SettleConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Two (n, n) masks: [i, j] mean one fruit; j is nested in the clearly larger i."""
    area = areas(boxes)
    ratio = area[None, :] / area[:, None]  # [i, j] = area j / area i
    keys = np.array([d.key for d in found])
    within = inside >= config.nested_share
    alike = np.minimum(ratio, ratio.T) >= config.nested_size
    part = (keys[:, None] == keys[None, :]) & (inside >= config.same_name_share)
    same = (iou >= config.same_iou) | (within & alike) | part
    return same, within & (iou < config.same_iou) & (ratio < 1.0)


def _is_group(
    i: int,
    found: Sequence[Detection],
    same: np.ndarray,
    nested: np.ndarray,
    config: SettleConfig,
) -> bool:
    """Whether box i surrounds two or more separate fruits that are about as sure as itself."""
    apart: list[int] = []
    for j in np.flatnonzero(nested[i] & same[i]).tolist():
        sure = found[j].score >= config.group_score * found[i].score
        if sure and not any(same[j, k] for k in apart):
            apart.append(j)
    return len(apart) >= 2


def _observe(members: Sequence[Detection]) -> Observation:
    names: dict[str, float] = {}
    for member in members:
        names[member.key] = max(member.score, names.get(member.key, 0.0))
    return Observation(members[0].box_xyxy, members[0].score, names)
