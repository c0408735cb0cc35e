"""The checkout metrics of RPC: whole baskets, right or wrong.

Source: Wei et al., "RPC: A Large-Scale Retail Product Checkout Dataset" (2019), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.decode import one_per_fruit
from model.metrics.results import PictureResult


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


def counted(result: PictureResult, confidence: float) -> np.ndarray:
    """Indices of the boxes of a picture that count at a confidence, best first."""
    return one_per_fruit(result.found_xyxy, result.found_score, result.found_class, confidence)


def counts(
    results: Sequence[PictureResult], classes: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count matrices (pictures, classes): found over a confidence, and truth.

    One fruit found twice counts once, under its better name (``one_per_fruit``).
    """
    picture, class_id, _ = _basket_boxes(results, confidence)
    found = np.zeros((len(results), classes), int)
    np.add.at(found, (picture, class_id), 1)
    return found, _true_counts(results, classes)


def best_confidence(results: Sequence[PictureResult], classes: int) -> float:
    """The lowest confidence, on a 0.02 grid, with as many right baskets as the best but one in 100.

    Of those that are about as good the lowest, since a doubtful fruit is asked about and a missed
    one goes unnoticed. To be used on pictures that are not reported afterwards; else the report
    flatters itself.
    """
    grid = np.round(np.arange(0.10, 0.91, 0.02), 2)
    picture, class_id, score = _basket_boxes(results, float(grid[0]))
    truth = _true_counts(results, classes)
    right = np.zeros(len(grid))
    for step, confidence in enumerate(grid):
        found = np.zeros_like(truth)
        sure = score >= float(confidence)
        np.add.at(found, (picture[sure], class_id[sure]), 1)
        right[step] = (found == truth).all(1).sum()
    return float(grid[right >= right.max() - 0.01 * len(results)][0])


def _basket_boxes(
    results: Sequence[PictureResult], confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture index, class id and score of every box that would count at a confidence."""
    kept = [counted(r, confidence) for r in results]
    rows = list(zip(results, kept, strict=True))
    return (
        np.repeat(np.arange(len(results)), [len(k) for k in kept]).astype(int),
        np.concatenate([np.zeros(0, int), *(r.found_class[k] for r, k in rows)]),
        np.concatenate([np.zeros(0, np.float32), *(r.found_score[k] for r, k in rows)]),
    )


def _true_counts(results: Sequence[PictureResult], classes: int) -> np.ndarray:
    rows = [np.bincount(r.truth_class.astype(int), minlength=classes) for r in results]
    return np.array(rows, int).reshape(-1, classes)
