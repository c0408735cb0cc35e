"""Customers who asked for a person, until somebody has come."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

log = logging.getLogger("checkout.calls")


class StaffCalls:
    """At most one open call per lane: pressing the button again changes nothing."""

    def __init__(self, lane: str) -> None:
        self.lane = lane
        self._lock = threading.Lock()
        self._since: datetime | None = None
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called after each change."""
        self._listeners.append(listener)

    @property
    def since(self) -> datetime | None:
        """When the open call was made (UTC); None when nobody waits."""
        return self._since

    def call(self) -> None:
        """Ask for a person."""
        self._change(None, datetime.now(UTC), "staff_called")

    def answer(self) -> None:
        """Note that somebody has come."""
        if self._since is not None:
            self._change(self._since, None, "staff_came")

    def _change(self, before: datetime | None, after: datetime | None, event: str) -> None:
        with self._lock:
            if self._since != before:
                return
            self._since = after
        log.info("%s lane=%s", event, self.lane)
        for listener in self._listeners:
            listener()
