"""The original's target assignment written as it is told: one box after the other, in loops."""

from __future__ import annotations

import numpy as np

from model.targets import EMPTY, IGNORED, POSITIVE


def fit(width: float, height: float, anchor: np.ndarray) -> float:
    shared = min(width, anchor[0]) * min(height, anchor[1])
    return shared / (width * height + anchor[0] * anchor[1] - shared)


def assign_plainly(rows, batch, anchors, grids, ignore_iou=0.5, one_scale=False):
    """Per scale: state (B, A, G, G), and the row number by (picture, anchor, row, column)."""
    scales = []
    for scale, grid in enumerate(grids):
        state = np.full((batch, anchors.shape[1], grid, grid), EMPTY)
        owner: dict[tuple[int, int, int, int], int] = {}
        for number, (picture, _, x, y, width, height) in enumerate(rows):
            if width <= 0 or height <= 0:
                continue
            fits = [[fit(width, height, a) for a in group] for group in anchors]
            home = int(np.argmax([max(group) for group in fits]))
            claimed = one_scale and scale != home
            column, row = (min(int(np.float32(v) * np.float32(grid)), grid - 1) for v in (x, y))
            for anchor in sorted(range(len(fits[scale])), key=lambda a: -fits[scale][a]):
                place = (int(picture), anchor, row, column)
                if state[place] == POSITIVE:
                    continue
                if not claimed:
                    state[place], owner[place], claimed = POSITIVE, number, True
                elif fits[scale][anchor] > ignore_iou:
                    state[place] = IGNORED
        scales.append((state, owner))
    return scales
