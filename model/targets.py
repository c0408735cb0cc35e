"""Target assignment of the original project: who has to find which box.

Every box is given to the best free anchor of each scale in the cell that holds its centre. An
anchor that fits a box over the ignore threshold but was not chosen is neither asked to find it nor
punished for doing so. A cell's anchor belongs to the first box that claims it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.anchors import STRIDES
from model.boxes import iou_wh

EMPTY, IGNORED, POSITIVE = 0, -1, 1


@dataclass(frozen=True, slots=True)
class Targets:
    """What one raw map should say about one picture.

    state: int8 (3, G, G): 1 a box is here, 0 nothing, -1 not judged.
    box_cxcywh: float32 (3, G, G, 4), fractions of the input, where state is 1.
    class_id: int64 (3, G, G), where state is 1.
    """

    state: np.ndarray
    box_cxcywh: np.ndarray
    class_id: np.ndarray


def empty_targets(grid: int, anchors: int = 3) -> Targets:
    """Targets of a picture with nothing in it."""
    shape = (anchors, grid, grid)
    return Targets(
        np.zeros(shape, np.int8), np.zeros((*shape, 4), np.float32), np.zeros(shape, np.int64)
    )


def assign(
    boxes_cxcywh: np.ndarray,
    class_ids: np.ndarray,
    anchors: np.ndarray,
    image_size: int,
    ignore_iou: float = 0.5,
) -> list[Targets]:
    """Assign the boxes of one picture to the anchors of the three scales.

    boxes_cxcywh: float (N, 4), fractions of the input in [0, 1]; a box without area is passed
    over. class_ids: int (N,). anchors: (3, 3, 2) fractions of the input. Returns targets for
    strides 8, 16, 32. Source: the original project's data set class (best anchor per scale).
    """
    scales = [empty_targets(image_size // stride, anchors.shape[1]) for stride in STRIDES]
    fit = iou_wh(boxes_cxcywh[:, 2:], anchors.reshape(-1, 2)).reshape(-1, *anchors.shape[:2])
    for box, class_id, box_fit in zip(boxes_cxcywh, class_ids, fit, strict=True):
        if box[2] > 0 and box[3] > 0:
            for targets, anchor_fit in zip(scales, box_fit, strict=True):
                _claim(targets, box, int(class_id), anchor_fit, ignore_iou)
    return scales


def _claim(
    targets: Targets, box: np.ndarray, class_id: int, anchor_fit: np.ndarray, ignore_iou: float
) -> None:
    """Give the box to the best free anchor of its cell; ignore the others that fit well."""
    grid = targets.state.shape[-1]
    # a centre on the right or lower border belongs to the last cell
    column, row = np.minimum((box[:2] * grid).astype(int), grid - 1)
    claimed = False
    for anchor in np.argsort(-anchor_fit, kind="stable"):
        if targets.state[anchor, row, column] == POSITIVE:
            continue
        if not claimed:
            targets.state[anchor, row, column] = POSITIVE
            targets.box_cxcywh[anchor, row, column] = box
            targets.class_id[anchor, row, column] = class_id
            claimed = True
        elif anchor_fit[anchor] > ignore_iou:
            targets.state[anchor, row, column] = IGNORED
