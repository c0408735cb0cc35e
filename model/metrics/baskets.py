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
    found = [r.found_class[counted(r, confidence)] for r in results]
    truth = [r.truth_class for r in results]
    return _by_class(found, classes), _by_class(truth, classes)


def _by_class(class_ids: Sequence[np.ndarray], classes: int) -> np.ndarray:
    rows = [np.bincount(ids.astype(int), minlength=classes) for ids in class_ids]
    return np.array(rows, int).reshape(-1, classes)
