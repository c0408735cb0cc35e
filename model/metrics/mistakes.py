"""What is wrong in a picture, in words: names, misses, doubles, and what they do to the basket.

Sources: the kinds of Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection
Errors" (ECCV 2020), and its lower overlap of 0.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.boxes import iou_xyxy
from model.metrics.matching import match_baskets
from model.metrics.results import PictureResult

NEAR_IOU = 0.1


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong.

    kind: "name" (found under another), "missed", "twice" (a second box on a fruit), "imagined"
    (nothing is there), "loose" (the right name, IoU between 0.1 and 0.5). truth and found are
    indices into the picture's true and found boxes, None where there is no such box.
    """

    kind: str
    truth: int | None
    found: int | None


@dataclass(frozen=True)
class PictureMistakes:
    """The mistakes in picture number ``picture``; harm: how many wrong counts in its basket."""

    picture: int
    harm: int
    kept: tuple[int, ...]
    mistakes: tuple[Mistake, ...]


def worst_pictures(results: Sequence[PictureResult], confidence: float) -> list[PictureMistakes]:
    """Every picture with a mistake at a confidence, the most wrong counts first.

    Among equals, the surer the wrong boxes the earlier.
    """
    found = [picture_mistakes(i, r, confidence) for i, r in enumerate(results)]

    def rank(page: PictureMistakes) -> tuple[int, float]:
        scores = results[page.picture].found_score
        return -page.harm, -sum(
            float(scores[m.found]) for m in page.mistakes if m.found is not None
        )

    return sorted((page for page in found if page.mistakes), key=rank)


def picture_mistakes(number: int, result: PictureResult, confidence: float) -> PictureMistakes:
    """Everything that is wrong in one picture at a confidence; no mistake gives an empty tuple."""
    kept, taken = match_baskets(result, confidence)
    free = np.ones(len(result.truth_class), bool)
    free[taken[taken >= 0]] = False
    overlaps = iou_xyxy(result.found_xyxy[kept], result.truth_xyxy)
    wrong = []
    for box, true, overlap in zip(kept, taken, overlaps, strict=True):
        if true < 0:
            wrong.append(_unmatched(result, int(box), overlap, free))
        elif result.truth_class[true] != result.found_class[box]:
            wrong.append(Mistake("name", int(true), int(box)))
    wrong += [Mistake("missed", int(true), None) for true in np.flatnonzero(free)]
    most = 1 + max([-1, *result.found_class[kept], *result.truth_class])
    difference = np.bincount(result.found_class[kept], minlength=most) - np.bincount(
        result.truth_class, minlength=most
    )
    return PictureMistakes(
        number, int(np.abs(difference).sum()), tuple(map(int, kept)), tuple(wrong)
    )


def _unmatched(result: PictureResult, box: int, overlap: np.ndarray, free: np.ndarray) -> Mistake:
    """Name a box that took no true one; a true box that it nearly meets is no longer ``free``."""
    near = np.where(free, overlap, 0)
    if near.max(initial=0) >= NEAR_IOU:
        true = int(near.argmax())
        free[true] = False
        same = result.truth_class[true] == result.found_class[box]
        return Mistake("loose" if same else "name", true, box)
    if overlap.max(initial=0) >= NEAR_IOU:
        return Mistake("twice", int(overlap.argmax()), box)
    return Mistake("imagined", None, box)


def describe(mistake: Mistake, result: PictureResult, names: Sequence[str]) -> str:
    """A mistake in words, without its score: "apple found as pear", "melon missed"."""
    truth = "" if mistake.truth is None else names[result.truth_class[mistake.truth]]
    found = "" if mistake.found is None else names[result.found_class[mistake.found]]
    if mistake.kind == "twice" and truth != found:
        return f"{truth} found twice, also as {found}"
    return {
        "name": f"{truth} found as {found}",
        "missed": f"{truth} missed",
        "twice": f"{found} found twice",
        "imagined": f"{found} imagined",
        "loose": f"{truth} boxed loosely",
    }[mistake.kind]


def mistake_counts(
    results: Sequence[PictureResult], names: Sequence[str], confidence: float
) -> dict[str, int]:
    """How often each mistake happens, the most frequent first."""
    said = Counter(
        describe(mistake, results[page.picture], names)
        for page in worst_pictures(results, confidence)
        for mistake in page.mistakes
    )
    return dict(said.most_common())
