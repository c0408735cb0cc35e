"""Frames and how they go from one thread to another: one slot, the newest wins."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture with its times.

    seq: 1, 2, 3, … without gaps, over all restarts. captured_at: time.monotonic() when the picture
    arrived. image: uint8 (H, W, 3) BGR, shared: not to be written to. source_t_s: the source's
    own time in s, always rising, over loops and restarts as well.
    """

    seq: int
    captured_at: float
    image: np.ndarray
    source_t_s: float


class LatestFrame:
    """A holder for one frame between two threads: the newest wins, what it replaces is counted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._taken = True
        self._dropped = 0

    @property
    def latest(self) -> Frame | None:
        """The newest frame, without taking it; None before the first."""
        with self._changed:
            return self._frame

    @property
    def dropped(self) -> int:
        """How many frames were replaced before anyone took them."""
        with self._changed:
            return self._dropped

    def put(self, frame: Frame) -> None:
        """Hand over a frame; never blocks."""
        with self._changed:
            self._dropped += not self._taken
            self._frame, self._taken = frame, False
            self._changed.notify_all()

    def wait(self, after_seq: int, timeout_s: float) -> Frame | None:
        """Take the newest frame whose seq is above after_seq (0: any); None after timeout_s."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._newer(after_seq), timeout_s):
                return None
            self._taken = True
            return self._frame

    def _newer(self, after_seq: int) -> bool:
        return self._frame is not None and self._frame.seq > after_seq
