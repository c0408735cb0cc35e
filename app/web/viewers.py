"""Who is connected, who is ready for a picture, and who asks too often. Pure, behind one lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

PICTURES = (150.0, 300.0)  # well over one a picture of a 60 fps camera, or a picture freezes
WISHES = (10.0, 100.0)  # more than a finger taps for long; many of them end in the journal
FPS_EVERY_S = 1.0


class Allowance:
    """How many events a browser may still send: a token bucket."""

    def __init__(self, per_s: float, most: float, now: float) -> None:
        self._per_s, self._most = per_s, most
        self._left, self._at = most, now

    def take(self, now: float) -> bool:
        """Count one event; False when the allowance is used up."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


@dataclass(slots=True)
class Viewer:
    """One connected browser; ``outstanding`` is the picture it has not shown yet."""

    language: str
    pictures: Allowance
    wishes: Allowance
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
            now = self._clock()
            self._viewers[sid] = Viewer(
                language, Allowance(*PICTURES, now), Allowance(*WISHES, now)
            )
            return True

    def knows(self, sid: str) -> bool:
        """Whether this browser was welcomed."""
        with self._lock:
            return sid in self._viewers

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

    def may_speak(self, sid: str, wish: bool) -> bool:
        """Count one event against the browser's allowance; False when it is used up.

        wish: it asks for something, other than the next picture.
        """
        with self._lock:
            viewer = self._viewers.get(sid)
            if viewer is None:
                return False
            return (viewer.wishes if wish else viewer.pictures).take(self._clock())

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
