"""Telling others what changed, in order and without holding anybody's lock."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

KEPT = 64  # an event holds the whole state, so a slow listener may miss old ones

Event = TypeVar("Event")
Note = Callable[[str, str, Mapping[str, object]], None]  # actor, event, details
log = logging.getLogger("checkout.shop")


class Listeners(Generic[Event]):
    """Hands events to callbacks, one at a time in the order of ``add``. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._callbacks: list[Callable[[Event], None]] = []
        self._delivering = False
        self.failures = 0  # how often a callback raised

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        """Have ``callback`` called with each event; what it raises is logged and counted."""
        with self._lock:
            self._callbacks.append(callback)

    def add(self, event: Event) -> None:
        """Keep an event for the next ``deliver``."""
        with self._lock:
            self._events.append(event)

    def deliver(self) -> None:
        """Hand out what is waiting; returns at once while another thread is doing so."""
        while True:
            with self._lock:
                if self._delivering or not self._events:
                    return
                self._delivering = True
                event, callbacks = self._events.popleft(), tuple(self._callbacks)
            for callback in callbacks:
                try:
                    callback(event)
                except Exception:
                    self.failures += 1
                    log.exception("subscriber_failed")
            with self._lock:
                self._delivering = False


def keep_no_note(_actor: str, _event: str, _details: Mapping[str, object]) -> None:
    """Where no journal is kept."""
