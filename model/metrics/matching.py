"""Found boxes against true ones at IoU 0.5: curves, confusion, first names, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.boxes import iou_xyxy
from model.metrics.baskets import counted
from model.metrics.results import PictureResult

HIT_IOU = 0.5


@dataclass(frozen=True)
class Hits:
    """Every found box of many pictures, best first, and whether it is right.

    score (M,), class_id (M,), right (M,) bool; truth (classes,): how many true boxes there are.
    """

    score: np.ndarray
    class_id: np.ndarray
    right: np.ndarray
    truth: np.ndarray

    def curve(self, class_id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Score, precision and recall of one class after each of its boxes, best first: (K,) each.

        The class must have truth. Boxes of one score enter together, so K counts distinct scores.
        """
        mine = self.class_id == class_id
        score, right = self.score[mine], np.cumsum(self.right[mine])
        last = np.flatnonzero(np.diff(score, append=-1))
        return score[last], right[last] / (last + 1), right[last] / self.truth[class_id]


def best_precision(precision: np.ndarray, recall: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """The best precision of a curve at each recall or a higher one, 0 beyond it: (recalls,).

    Its mean over 101 recalls from 0 to 1 is COCO's average precision.
    """
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return np.append(best, 0.0)[np.searchsorted(recall, recalls)]


def f1_over(
    confidences: np.ndarray, score: np.ndarray, precision: np.ndarray, recall: np.ndarray
) -> np.ndarray:
    """F1 of a curve's boxes that reach each confidence, (confidences,); 0 where none does."""
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    reached = np.searchsorted(-score, -confidences.astype(score.dtype), side="right")
    return np.append(0.0, f1)[reached]


def find_hits(results: Sequence[PictureResult], classes: int) -> Hits:
    """Match every found box: right when it meets, best first, a true box of its class still free.

    This is COCO's matching at IoU 0.5, without its limit on the number of boxes.
    """
    score = np.concatenate([np.zeros(0, np.float32), *(r.found_score for r in results)])
    class_id = np.concatenate([np.zeros(0, int), *(r.found_class for r in results)])
    right = np.concatenate([np.zeros(0, bool), *map(right_boxes, results)])
    truth = np.concatenate([np.zeros(0, int), *(r.truth_class for r in results)])
    order = np.argsort(-score, kind="stable")
    return Hits(score[order], class_id[order], right[order], np.bincount(truth, minlength=classes))


def right_boxes(result: PictureResult) -> np.ndarray:
    """Which found boxes of a picture (M,) meet a true box of their class at IoU 0.5, best first."""
    overlap = iou_xyxy(result.found_xyxy, result.truth_xyxy)
    overlap[result.found_class[:, None] != result.truth_class[None]] = 0
    return _assign(overlap, np.argsort(-result.found_score, kind="stable"), HIT_IOU) >= 0


def _assign(overlap: np.ndarray, order: np.ndarray, least_iou: float) -> np.ndarray:
    """Each found box, in order, takes the free true box it overlaps most: its index (M,), or -1."""
    overlap = overlap.copy()
    taken = np.full(len(overlap), -1)
    if not overlap.size:
        return taken
    for row in order[(overlap[order] >= least_iou).any(1)]:
        best = int(overlap[row].argmax())
        if overlap[row, best] >= least_iou:
            taken[row] = best
            overlap[:, best] = 0
    return taken


def precision_recall(hits: Hits, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall per class at a confidence and IoU 0.5; nan where undefined."""
    sure = hits.score >= confidence
    classes = len(hits.truth)
    found = np.bincount(hits.class_id[sure], minlength=classes)
    right = np.bincount(hits.class_id[sure & hits.right], minlength=classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        return right / found, right / hits.truth


def top_names(results: Sequence[PictureResult], most: int) -> float:
    """Share of the found true boxes whose right name is among the best ``most`` on that place.

    A true box is found where any box, of whatever name and score, meets it at IoU 0.5; each name
    there counts once. nan where nothing is found.
    """
    ranks = [rank for r in results for rank in _name_ranks(r)]
    return float(np.mean([rank < most for rank in ranks])) if ranks else float("nan")


def _name_ranks(result: PictureResult) -> list[float]:
    """For each found true box, how many other names score better there; inf without the right."""
    best_first = np.argsort(-result.found_score, kind="stable")
    meets = iou_xyxy(result.truth_xyxy, result.found_xyxy[best_first]) >= HIT_IOU
    names = result.found_class[best_first]
    ranks = []
    for class_id, row in zip(result.truth_class, meets, strict=True):
        if row.any():
            there = list(dict.fromkeys(names[row].tolist()))
            ranks.append(float(there.index(class_id)) if class_id in there else float("inf"))
    return ranks


def confusion(results: Sequence[PictureResult], classes: int, confidence: float) -> np.ndarray:
    """Counts (classes + 1, classes + 1): rows truth, columns found, the last of each background.

    Each fruit found (one name a fruit) takes, best first, the free true box it overlaps most.
    """
    matrix = np.zeros((classes + 1, classes + 1), int)
    for r in results:
        kept, taken = match_baskets(r, confidence)
        truth = np.append(r.truth_class, classes)[taken]
        np.add.at(matrix, (truth, r.found_class[kept]), 1)
        missed = np.delete(r.truth_class, taken[taken >= 0])
        matrix[:, classes] += np.bincount(missed, minlength=classes + 1)
    return matrix


def match_baskets(
    result: PictureResult, confidence: float, least_iou: float = HIT_IOU
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes that count at a confidence (K,), best first, and the true box of each, -1 for none.

    Names play no part: a pear found as an apple takes the pear's box.
    """
    kept = counted(result, confidence)
    overlap = iou_xyxy(result.found_xyxy[kept], result.truth_xyxy)
    return kept, _assign(overlap, np.arange(len(kept)), least_iou)


@dataclass(frozen=True)
class Reliability:
    """How true the scores are, in equal bins of [0, 1]; nan where a bin is empty.

    boxes (bins,): how many; score (bins,): their mean score; accuracy (bins,): the share that is
    right. ece: the expected calibration error, the boxes' mean of |accuracy − score| by bin.
    """

    boxes: np.ndarray
    score: np.ndarray
    accuracy: np.ndarray
    ece: float


def reliability(
    results: Sequence[PictureResult], bins: int = 10, confidence: float = 0.1
) -> Reliability:
    """Compare the scores of the boxes that would count at a low confidence with their truth.

    Nothing found: ece nan. Source: Guo et al., "On Calibration of Modern Neural Networks" (ICML
    2017).
    """
    score, _, right = named_boxes(results, confidence)
    index = np.minimum((score * bins).astype(int), bins - 1)
    boxes = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(index, score, bins) / boxes
        accuracy = np.bincount(index, right, bins) / boxes
        ece = np.nansum(boxes * np.abs(accuracy - mean)) / boxes.sum()
    return Reliability(boxes, mean, accuracy, float(ece))


def named_boxes(
    results: Sequence[PictureResult], confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The boxes that would count at a confidence: score (K,), class id (K,), right (K,) bool.

    A box is right when its name is and it meets its true box at IoU 0.5.
    """
    kept = [counted(r, confidence) for r in results]
    rows = list(zip(results, kept, strict=True))
    return (
        np.concatenate([np.zeros(0, np.float32), *(r.found_score[k] for r, k in rows)]),
        np.concatenate([np.zeros(0, int), *(r.found_class[k] for r, k in rows)]),
        np.concatenate([np.zeros(0, bool), *(right_boxes(r)[k] for r, k in rows)]),
    )
