"""A picture in few cells: what the counter and what has changed are told by."""

from __future__ import annotations

import cv2
import numpy as np

CELLS_ACROSS = 80  # a lemon fills eight by eight; averaging takes out noise and a shaking mount


def cells_of(image: np.ndarray) -> np.ndarray:
    """Mean colours of a picture's square cells: uint8 (H, W, 3) → float32 (rows, 80, 3)."""
    rows = max(1, round(CELLS_ACROSS * image.shape[0] / image.shape[1]))
    fine = 4 * CELLS_ACROSS, 4 * rows
    if fine[0] < image.shape[1]:  # sixteen points of each cell will do, at a third of the time
        image = cv2.resize(image, fine, interpolation=cv2.INTER_LINEAR)
    cells = cv2.resize(image, (CELLS_ACROSS, rows), interpolation=cv2.INTER_AREA)
    return cells.astype(np.float32)
