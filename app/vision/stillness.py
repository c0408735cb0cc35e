"""Whether a picture still shows what the last one did that was looked at."""

from __future__ import annotations

import cv2
import numpy as np

CELL_PX = 16  # a lemon on a counter fills several; averaging takes out the sensor's noise
LIMIT = 4.0  # of 255, by which a cell may differ: noise and compression leave under 2


class Stillness:
    """Remembers one picture, and how long one may go by it."""

    def __init__(self, longest_s: float = 1.0) -> None:
        """longest_s: so old may the picture be; slow changes are then looked at all the same."""
        self._longest_s = longest_s
        self._cells: np.ndarray | None = None
        self._at_s = 0.0

    def remember(self, image: np.ndarray, at_s: float) -> None:
        """Take a picture, uint8 (H, W, 3), that is looked at now; at_s: its time in seconds."""
        self._cells, self._at_s = cells_of(image), at_s

    def holds(self, image: np.ndarray, at_s: float) -> bool:
        """Whether a picture shows nothing that the remembered one does not; False without one."""
        if self._cells is None or not 0 <= at_s - self._at_s < self._longest_s:
            return False
        cells = cells_of(image)
        if cells.shape != self._cells.shape:
            return False
        return float(np.abs(cells - self._cells).max()) < LIMIT


def cells_of(image: np.ndarray) -> np.ndarray:
    """Mean colours of a picture's cells: uint8 (H, W, 3) → float32 (H/16, W/16, 3)."""
    height, width = image.shape[:2]
    size = max(1, width // CELL_PX), max(1, height // CELL_PX)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
