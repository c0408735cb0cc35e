"""How good detections are: COCO's average precision and the checkout metrics of RPC.

AP comes from faster-coco-eval. cAcc, ACD, mCCD and mCIoU are defined in Wei et al., "RPC: A
Large-Scale Retail Product Checkout Dataset" (2019), section 4: they judge whole baskets.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.boxes import iou_xyxy


@dataclass(frozen=True)
class PictureResult:
    """Truth and findings of one picture.

    truth_xyxy (N, 4) and found_xyxy (M, 4) in pixels; truth_class (N,), found_class (M,) ids;
    found_score (M,) in [0, 1].
    """

    width: int
    height: int
    truth_xyxy: np.ndarray
    truth_class: np.ndarray
    found_xyxy: np.ndarray
    found_class: np.ndarray
    found_score: np.ndarray


@dataclass(frozen=True)
class AveragePrecision:
    """map50 and map in [0, 1]; ap50 and ap (classes,), nan for a class without truth."""

    map50: float
    map: float
    ap50: np.ndarray
    ap: np.ndarray


def average_precision(results: Sequence[PictureResult], classes: int) -> AveragePrecision:
    """COCO AP at IoU 0.5 and over 0.5…0.95, per class and over the classes that have truth."""
    from faster_coco_eval import COCO, COCOeval_faster

    images, annotations, found = _as_coco(results)
    dataset = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": str(i)} for i in range(classes)],
    }
    nothing = np.full(classes, np.nan)
    if not found or not annotations:
        ap = np.where(
            np.isin(np.arange(classes), [a["category_id"] - 1 for a in annotations]), 0.0, nothing
        )
        value = float(np.nan_to_num(np.nanmean(ap))) if annotations else 0.0
        return AveragePrecision(value, value, ap, ap)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(dataset)
        judge = COCOeval_faster(truth, truth.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, -1]  # (10 IoUs, 101 recalls, classes)
    precision = np.where(precision < 0, np.nan, precision)
    with np.errstate(invalid="ignore"):
        ap50, ap = _mean(precision[0], 0), _mean(_mean(precision, 1), 0)
    return AveragePrecision(float(np.nanmean(ap50)), float(np.nanmean(ap)), ap50, ap)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean over an axis where a class without truth is nan throughout."""
    empty = np.isnan(values).all(axis)
    return np.where(empty, np.nan, np.nan_to_num(values).mean(axis))


def _as_coco(results: Sequence[PictureResult]) -> tuple[list[dict], list[dict], list[dict]]:
    images: list[dict] = []
    annotations: list[dict] = []
    found: list[dict] = []
    for number, r in enumerate(results, 1):
        images.append({"id": number, "width": r.width, "height": r.height})
        for box, class_id in zip(r.truth_xyxy, r.truth_class, strict=True):
            annotations.append(
                {"id": len(annotations) + 1, "iscrowd": 0, **_coco_box(number, box, class_id)}
            )
        for box, class_id, score in zip(r.found_xyxy, r.found_class, r.found_score, strict=True):
            found.append({"score": float(score), **_coco_box(number, box, class_id)})
    return images, annotations, found


def _coco_box(image_id: int, box: np.ndarray, class_id: int) -> dict:
    x1, y1, x2, y2 = map(float, box)
    return {
        "image_id": image_id,
        "category_id": int(class_id) + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
    }


def checkout_metrics(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Basket metrics from two (pictures, classes) count matrices.

    cacc: share of pictures with every count right. acd: mean number of wrong counts a picture.
    mccd, mciou: means over the classes that occur (in truth; in either) of Σ|P−G|/ΣG and
    Σmin/Σmax. No picture at all gives cacc 1 and the others 0 but mciou 1.
    """
    if not len(truth):
        return {"cacc": 1.0, "acd": 0.0, "mccd": 0.0, "mciou": 1.0}
    wrong = np.abs(found - truth)
    occurs = truth.sum(0) > 0
    either = np.maximum(found, truth).sum(0)
    ciou = np.minimum(found, truth).sum(0)[either > 0] / either[either > 0]
    ccd = wrong.sum(0)[occurs] / truth.sum(0)[occurs]
    return {
        "cacc": float((wrong.sum(1) == 0).mean()),
        "acd": float(wrong.sum(1).mean()),
        "mccd": float(ccd.mean()) if len(ccd) else 0.0,
        "mciou": float(ciou.mean()) if len(ciou) else 1.0,
    }


def counts(
    results: Sequence[PictureResult], classes: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count matrices (pictures, classes): found over a confidence, and truth.

    One fruit found under two names (two boxes that overlap by more than half) counts once, under
    the better one, as in the basket.
    """
    found = np.zeros((len(results), classes), int)
    truth = np.zeros_like(found)
    for row, r in enumerate(results):
        for index in one_per_fruit(r.found_xyxy, r.found_score, confidence):
            found[row, r.found_class[index]] += 1
        np.add.at(truth[row], r.truth_class.astype(int), 1)
    return found, truth


def one_per_fruit(
    boxes: np.ndarray, scores: np.ndarray, confidence: float, iou: float = 0.6
) -> list[int]:
    """Indices of the boxes over a confidence, best first, without those on a better box."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if scores[index] < confidence:
            break
        if not kept or iou_xyxy(boxes[index : index + 1], boxes[kept]).max() < iou:
            kept.append(int(index))
    return kept


def best_confidence(results: Sequence[PictureResult], classes: int) -> float:
    """The confidence with the most right baskets: the middle of the best range of a 0.02 grid.

    To be used on pictures that are not reported afterwards; else the report flatters itself.
    """
    grid = np.round(np.arange(0.10, 0.91, 0.02), 2)
    right = np.array([checkout_metrics(*counts(results, classes, float(c)))["cacc"] for c in grid])
    return float(np.median(grid[right == right.max()]))


def precision_recall(
    results: Sequence[PictureResult], classes: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall per class at a confidence and IoU 0.5; nan where undefined."""
    hits, found, truth = np.zeros(classes), np.zeros(classes), np.zeros(classes)
    for r in results:
        np.add.at(truth, r.truth_class.astype(int), 1)
        for class_id in range(classes):
            mine = (r.found_class == class_id) & (r.found_score >= confidence)
            found[class_id] += mine.sum()
            hits[class_id] += _matches(r.found_xyxy[mine], r.truth_xyxy[r.truth_class == class_id])
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / found, hits / truth


def _matches(found: np.ndarray, truth: np.ndarray) -> int:
    """How many found boxes (best first) meet a truth box of their own at IoU 0.5."""
    if not len(found) or not len(truth):
        return 0
    iou = iou_xyxy(found, truth)
    hits = 0
    for row in iou:
        best = int(row.argmax())
        if row[best] >= 0.5:
            hits += 1
            iou[:, best] = 0
    return hits
