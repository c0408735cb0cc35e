"""Threads that work side by side and hand in one after the other."""

from __future__ import annotations

import threading


class Turns:
    """Numbers as at a counter: whoever holds the next one is served, the others wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._given = self._served = 0

    def take(self) -> int:
        """Take a number; each must be ended, or those after it wait for ever."""
        with self._changed:
            self._given += 1
            return self._given - 1

    def wait(self, number: int) -> None:
        """Wait until all numbers before this one have ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._served == number)

    def end(self, number: int) -> None:
        """Let the next one come, once it is this one's turn at all."""
        self.wait(number)
        with self._changed:
            self._served += 1
            self._changed.notify_all()
