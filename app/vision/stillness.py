"""Whether a picture still shows what the last one did that was looked at."""

from __future__ import annotations

import numpy as np

LIMIT = 4.0  # of 255, by which a cell may differ: noise and compression leave under 2


class Stillness:
    """Remembers one picture, and how long one may go by it."""

    def __init__(self, longest_s: float = 1.0) -> None:
        """longest_s: so old may the picture be; slow changes are then looked at all the same."""
        self._longest_s = longest_s
        self._cells: np.ndarray | None = None
        self._at_s = 0.0

    def remember(self, cells: np.ndarray, at_s: float) -> None:
        """Take a picture's ``cells_of`` that is looked at now; at_s: its time in seconds."""
        self._cells, self._at_s = cells, at_s

    def holds(self, cells: np.ndarray, at_s: float) -> bool:
        """Whether a picture shows nothing that the remembered one does not; False without one."""
        if self._cells is None or not 0 <= at_s - self._at_s < self._longest_s:
            return False
        if cells.shape != self._cells.shape:
            return False
        return float(np.abs(cells - self._cells).max()) < LIMIT
