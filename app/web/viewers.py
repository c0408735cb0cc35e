"""Who is connected, who is ready for a picture, and who asks too often. Pure, behind one lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

EVENTS_PER_S = 150.0  # well over one for each picture of a 60 fps camera, or a picture freezes
EVENTS_BURST = 300.0
FPS_EVERY_S = 1.0


@dataclass(slots=True)
class Viewer:
    """One connected browser; ``outstanding`` is the picture it has not shown yet."""

    language: str
    tokens: float
    refilled_at: float
    outstanding: int | None = None
    told_fps_at: float = 0.0


class Viewers:
    """The set of connected browsers, by Socket.IO session id.

    Every browser has a credit of one picture: it has it on connecting, loses it with each picture
    and gets it back by saying which one it has shown. So a browser that stalls has at most one
    picture waiting, and slows nobody else.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._lock = threading.Lock()
        self._viewers: dict[str, Viewer] = {}

    def add(self, sid: str, language: str) -> bool:
        """Welcome a browser; False when there is no room."""
        with self._lock:
            if len(self._viewers) >= self._limit:
                return False
            self._viewers[sid] = Viewer(language, EVENTS_BURST, self._clock())
            return True

    def remove(self, sid: str) -> None:
        """Forget a browser, if it was known."""
        with self._lock:
            self._viewers.pop(sid, None)

    def any_ready(self) -> bool:
        """Whether somebody has shown the last picture and wants another."""
        with self._lock:
            return any(viewer.outstanding is None for viewer in self._viewers.values())

    def take_ready(self, seq: int) -> list[str]:
        """All who are ready; each now owes the answer that picture ``seq`` was shown."""
        with self._lock:
            ready = [sid for sid, viewer in self._viewers.items() if viewer.outstanding is None]
            for sid in ready:
                self._viewers[sid].outstanding = seq
            return ready

    def shown(self, sid: str, seq: int) -> None:
        """Give the credit back; an answer for any other picture than the last gives nothing."""
        with self._lock:
            viewer = self._viewers.get(sid)
            if viewer is not None and viewer.outstanding == seq:
                viewer.outstanding = None

    def due_for_fps(self, sids: list[str]) -> list[str]:
        """Those of ``sids`` who have not been told the pace for a second."""
        with self._lock:
            now = self._clock()
            due = [sid for sid in sids if self._is_due(sid, now)]
            for sid in due:
                self._viewers[sid].told_fps_at = now
            return due

    def _is_due(self, sid: str, now: float) -> bool:
        return sid in self._viewers and now - self._viewers[sid].told_fps_at >= FPS_EVERY_S

    def may_speak(self, sid: str) -> bool:
        """Count one event against the browser's allowance; False when it is used up."""
        with self._lock:
            viewer = self._viewers.get(sid)
            if viewer is None:
                return False
            now = self._clock()
            refill = (now - viewer.refilled_at) * EVENTS_PER_S
            viewer.tokens = min(EVENTS_BURST, viewer.tokens + refill)
            viewer.refilled_at = now
            if viewer.tokens < 1.0:
                return False
            viewer.tokens -= 1.0
            return True

    def languages(self) -> dict[str, list[str]]:
        """Session ids by language, of those connected now."""
        with self._lock:
            groups: dict[str, list[str]] = {}
            for sid, viewer in self._viewers.items():
                groups.setdefault(viewer.language, []).append(sid)
            return groups

    def __len__(self) -> int:
        """How many browsers are connected."""
        with self._lock:
            return len(self._viewers)
