"""Raw maps to detections: decode and class-aware non-maximum suppression, for every runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from model.anchors import strides_of
from model.boxes import Letterbox, iou_xyxy, nested_share
from model.calibration import Calibration
from model.detector import Detection

NMS_IOU = 0.45  # the original project's choice
SAME_FRUIT_IOU = 0.5  # touching or half-hidden fruits stay below
PART_SHARE = 0.7  # of a box inside another of its name: fruits that hide so much are rare
MAX_DETECTIONS = 300
MAX_CANDIDATES = 3000  # before NMS; only low thresholds on crowded pictures come near it
MAX_LOG_SCALE = 4.0  # exp(4) = 55 anchors: a box can never overflow


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def _softmax(x: np.ndarray) -> np.ndarray:
    power = np.exp(x - x.max(axis=1, keepdims=True)) if len(x) else x
    return power / power.sum(axis=1, keepdims=True)


# class logits (P, C) to probabilities: of names that exclude each other, or of each on its own
CLASS_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": _softmax,
    "sigmoid": _sigmoid,
}


def decode(
    maps: Sequence[np.ndarray],
    anchors: np.ndarray,
    image_size: int,
    confidence: float,
    class_score: str = "softmax",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raw maps of one picture to candidate boxes over a confidence.

    maps: float32 (3·(5+C), rows, columns) of each scale, finest first. anchors: (scales, 3, 2)
    fractions of image_size, the side of a square input. class_score: the key of CLASS_SCORES that
    the network was trained for.
    Returns boxes (N, 4) xyxy in input pixels, scores (N,) in [0, 1], class ids (N,). A box whose
    second name also reaches the confidence is returned under both. Nothing found gives N = 0.
    Source: YOLOv3 section 2.1; the score is objectness × class probability.
    """
    parts = [
        _decode_scale(
            raw, scale_anchors * image_size, stride, confidence, CLASS_SCORES[class_score]
        )
        for raw, scale_anchors, stride in zip(maps, anchors, strides_of(anchors), strict=True)
    ]
    boxes, scores, class_ids = (np.concatenate(column) for column in zip(*parts, strict=True))
    if len(scores) > MAX_CANDIDATES:
        best = np.argpartition(-scores, MAX_CANDIDATES)[:MAX_CANDIDATES]
        boxes, scores, class_ids = boxes[best], scores[best], class_ids[best]
    return boxes, scores, class_ids


def _decode_scale(
    raw: np.ndarray,
    anchors: np.ndarray,
    stride: int,
    confidence: float,
    class_score: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One map; cells are dropped by objectness alone first, since no score can exceed it."""
    cells = raw.reshape(len(anchors), -1, *raw.shape[-2:])
    least = np.log(confidence / (1 - confidence)) if 0 < confidence < 1 else -np.inf
    anchor, row, column = np.nonzero(cells[:, 4] >= least)
    kept = cells[anchor, :, row, column].astype(np.float32)  # (P, 5 + C)
    centre = (_sigmoid(kept[:, :2]) + np.stack((column, row), axis=1)) * stride
    half = anchors[anchor] * np.exp(np.minimum(kept[:, 2:4], MAX_LOG_SCALE)) / 2
    boxes = np.concatenate((centre - half, centre + half), axis=1).astype(np.float32)
    scores = _sigmoid(kept[:, 4:5]) * class_score(kept[:, 5:])
    index, class_id = np.nonzero(scores >= confidence)
    return boxes[index], scores[index, class_id], class_id


def suppress(
    boxes_xyxy: np.ndarray,
    scores: np.ndarray,
    class_ids: np.ndarray,
    iou: float = NMS_IOU,
    most: int = MAX_DETECTIONS,
) -> np.ndarray:
    """Class-aware NMS: indices of the boxes that stay, best score first.

    boxes_xyxy (N, 4), scores (N,), class_ids (N,); N = 0 gives an empty index array.
    """
    if not len(scores):
        return np.zeros(0, np.int64)
    boxes_xywh = boxes_xyxy.copy()
    boxes_xywh[:, 2:] -= boxes_xywh[:, :2]
    found = cv2.dnn.NMSBoxesBatched(
        boxes_xywh.tolist(), scores.tolist(), class_ids.tolist(), 0.0, iou
    )
    kept = np.asarray(found, np.int64).reshape(-1)
    return kept[np.argsort(-scores[kept], kind="stable")][:most]


def one_per_fruit(
    boxes_xyxy: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, confidence: float = 0.0
) -> np.ndarray:
    """Indices of the boxes over a confidence, best first, without those on a better box's fruit.

    boxes_xyxy (N, 4), scores (N,), class_ids (N,). On the same fruit are boxes of any names from an
    IoU of 0.5 on, and one of the same name that lies mostly inside the other: a half, a crown, a
    part of a bunch. What stays at a confidence is what stays at a lower one and reaches the higher:
    a box can only be covered by a better one.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= confidence]
    boxes, named = boxes_xyxy[order], class_ids[order]
    same = iou_xyxy(boxes, boxes) >= SAME_FRUIT_IOU
    same |= (named[:, None] == named) & (nested_share(boxes, boxes) >= PART_SHARE)
    kept: list[int] = []
    for index in range(len(order)):
        if not same[index, kept].any():
            kept.append(index)
    return order[kept]


def to_detections(
    maps: Sequence[np.ndarray],
    anchors: np.ndarray,
    letterbox: Letterbox,
    names: Sequence[str],
    confidence: float,
    class_score: str = "softmax",
    calibration: Calibration | None = None,
) -> list[Detection]:
    """Raw maps of one picture to detections in that picture's pixels, best score first.

    names: of the classes that are told, the first ones of the maps. confidence: the lowest score, a
    calibrated one if there is a calibration, that is returned.
    """
    least = calibration.least_raw(confidence) if calibration else confidence
    boxes, scores, class_ids = decode(maps, anchors, letterbox.size, least, class_score)
    kept = suppress(boxes, scores, class_ids)
    boxes, scores, class_ids = letterbox.to_picture(boxes[kept]), scores[kept], class_ids[kept]
    scores = shared_with_others(boxes, scores, class_ids, len(names))
    told = class_ids < len(names)
    boxes, scores, class_ids = boxes[told], scores[told], class_ids[told]
    if calibration:  # it keeps the order within a class, all that suppress looks at
        scores = calibration.apply(scores, class_ids)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= confidence]
    return as_detections(boxes[order], scores[order], class_ids[order], names)


def shared_with_others(
    boxes_xyxy: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, told: int
) -> np.ndarray:
    """Scores (N,) of which boxes keep a share where a thing that is not told is found more surely.

    boxes_xyxy (N, 4), scores (N,) in [0, 1], class_ids (N,), those from ``told`` on never told. A
    peach at 0.6 leaves an apple of 0.4 in its place 0.4 of its score. One that is as likely an
    apple keeps its score: none is lowered for what is found less surely, so that what is not found
    at a confidence changes nothing over it.
    """
    other = class_ids >= told
    same = iou_xyxy(boxes_xyxy, boxes_xyxy[other]) >= SAME_FRUIT_IOU
    rival = (same * scores[other]).max(axis=1, initial=0)
    lowered = ~other & (rival > scores)
    return np.where(lowered, scores * scores / np.maximum(scores + rival, 1e-12), scores)


def fruits(detections: Sequence[Detection]) -> list[Detection]:
    """The detections that are a fruit each, best first; see one_per_fruit."""
    boxes = np.array([d.box_xyxy for d in detections], np.float64).reshape(-1, 4)
    scores = np.array([d.score for d in detections], np.float64)
    keys = np.array([d.key for d in detections], str)
    return [detections[index] for index in one_per_fruit(boxes, scores, keys)]


def as_detections(
    boxes_xyxy: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, names: Sequence[str]
) -> list[Detection]:
    """Boxes (N, 4), scores (N,) and class ids (N,) as detections; without those that are empty."""
    return [
        Detection(names[class_id], score, (x1, y1, x2, y2))
        for (x1, y1, x2, y2), score, class_id in zip(
            boxes_xyxy.tolist(), scores.tolist(), class_ids.tolist(), strict=True
        )
        if x2 > x1 and y2 > y1
    ]
