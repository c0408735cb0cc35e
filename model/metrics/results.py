"""One picture's truth beside what was found in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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

    def where(self, truth: np.ndarray, found: np.ndarray) -> PictureResult:
        """The same picture with the boxes that two boolean masks (N,) and (M,) pick."""
        return PictureResult(
            self.width,
            self.height,
            self.truth_xyxy[truth],
            self.truth_class[truth],
            self.found_xyxy[found],
            self.found_class[found],
            self.found_score[found],
        )
