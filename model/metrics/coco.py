"""COCO's average precision by faster-coco-eval: per class, by size of the boxes, by zone."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.metrics.results import PictureResult

MAX_DETECTIONS = 100  # COCO's own limit: the best boxes of a picture and class, others are dropped
COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10))
SIZES = ("small", "medium", "large")  # COCO: under 32², to 96², over 96² pixels of the picture


@dataclass(frozen=True)
class AveragePrecision:
    """map50 and map in [0, 1]; ap50 and ap (classes,), nan for a class without truth.

    by_size: AP at 0.5…0.95 of small, medium and large boxes, nan where there is no such truth.
    """

    map50: float
    map: float
    ap50: np.ndarray
    ap: np.ndarray
    by_size: dict[str, float]


def average_precision(results: Sequence[PictureResult], classes: int) -> AveragePrecision:
    """COCO AP at IoU 0.5 and over 0.5…0.95, per class and over the classes that have truth.

    No truth at all gives a map50 and map of 0.
    """
    precision = _precision(results, classes)  # (10 IoUs, 101 recalls, classes, 4 size ranges)
    with_truth = precision[0, 0, :, 0] >= 0
    ap = np.where(with_truth, precision[..., 0].mean((0, 1)), np.nan)
    ap50 = np.where(with_truth, precision[0, :, :, 0].mean(0), np.nan)
    sizes = {name: _mean(precision[..., i]) for i, name in enumerate(SIZES, 1)}
    return AveragePrecision(
        float(np.nan_to_num(_mean(precision[0, ..., 0]))),
        float(np.nan_to_num(_mean(precision[..., 0]))),
        ap50,
        ap,
        sizes,
    )


def zone_ap50(results: Sequence[PictureResult], classes: int) -> dict[str, float]:
    """AP50 in the centre and at the border of the pictures; nan for a zone without truth.

    The centre is the middle half of the width and of the height, the border the rest. Only boxes,
    true and found, whose centres lie in a zone count there.
    Source: Zheng et al., "Zone Evaluation" (TPAMI 2024), with the two zones parted at 0.25.
    """
    return {
        name: _mean(_precision([_zone(r, central) for r in results], classes, (0.5,))[..., 0])
        for name, central in (("border", False), ("centre", True))
    }


def _zone(result: PictureResult, central: bool) -> PictureResult:
    size = np.array([result.width, result.height])

    def inside(boxes_xyxy: np.ndarray) -> np.ndarray:
        centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 / size
        return (np.abs(centre - 0.5) <= 0.25).all(1) == central

    return result.where(inside(result.truth_xyxy), inside(result.found_xyxy))


def _mean(precision: np.ndarray) -> float:
    """Mean over what has truth (COCO marks the rest by -1); nan where nothing has."""
    valid = precision[precision >= 0]
    return float(valid.mean()) if valid.size else float("nan")


def _precision(
    results: Sequence[PictureResult], classes: int, ious: Sequence[float] = COCO_IOUS
) -> np.ndarray:
    """COCO's precision (IoUs, 101 recalls, classes, all + 3 sizes); -1 where is no truth."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth: list[dict] = []
    found: list[dict] = []
    for image, r in enumerate(results, 1):
        sure = np.ones(len(r.truth_class))
        truth += _annotations(image, r.truth_xyxy, r.truth_class, sure, len(truth) + 1)
        found += _annotations(image, r.found_xyxy, r.found_class, r.found_score, len(found) + 1)
    common = {
        "images": [{"id": image} for image in range(1, len(results) + 1)],
        "categories": [{"id": i + 1, "name": str(i)} for i in range(classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        both = [COCO(common | {"annotations": boxes}) for boxes in (truth, found)]
        judge = COCOeval_faster(*both, "bbox")
        judge.params.iouThrs = np.asarray(ious)
        judge.params.maxDets = [MAX_DETECTIONS]
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][..., -1]


def _annotations(
    image: int, boxes_xyxy: np.ndarray, class_ids: np.ndarray, scores: np.ndarray, first: int
) -> list[dict]:
    """One picture's boxes in COCO's form, with ids that count from ``first``."""
    boxes = np.asarray(boxes_xyxy, float)
    boxes_xywh = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)
    rows = zip(boxes_xywh.tolist(), class_ids.tolist(), scores.tolist(), strict=True)
    return [
        {
            "id": number,
            "image_id": image,
            "category_id": class_id + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "score": score,
            "iscrowd": 0,
        }
        for number, (box, class_id, score) in enumerate(rows, first)
    ]
