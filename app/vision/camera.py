"""The camera thread: the newest picture in a one-slot holder, loss noticed, recovery by itself."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from app.errors import SourceError
from app.vision.capture import mask
from app.vision.frames import Frame, LatestFrame
from app.vision.sources import Source, check_source, open_source

__all__ = [
    "Camera",
    "CameraLimits",
    "CameraStatus",
    "Frame",
    "LatestFrame",
    "Source",
    "check_source",
    "open_source",
]

CameraState = Literal["ok", "stale", "down"]
Opener = Callable[[str], Source]
FPS_WINDOW = 60  # pictures over which the rate is measured

log = logging.getLogger("checkout.camera")


@dataclass(frozen=True, slots=True)
class CameraLimits:
    """How long the camera is waited for, in seconds."""

    stale_after_s: float = 1.0  # without a new picture
    down_after_s: float = 1.75  # must be shown within 2 s
    frozen_after_s: float = 1.5  # of identical pictures from a live source, before it is reopened
    read_s: float = 2.0  # a longer read() hangs
    open_s: float = 10.0  # a longer opening, or wait for the first picture, hangs
    backoff_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 5.0)  # before each try; the last repeats
    abandoned: int = 3  # hanging threads left behind at most; then no further is started
    watch_s: float = 0.1  # how often the capture thread is looked after
    stop_s: float = 3.0  # how long stop() waits for a read() that hangs


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """What the camera did so far.

    label: name of the source, without password. fps: measured over the last 60 pictures, 0.0 unless
    ok. frames: published so far. dropped: of these never taken. restarts: times the source was
    opened again. last_frame_age_s: None before the first. problem: why it is not ok.
    """

    state: CameraState
    label: str
    fps: float
    frames: int
    dropped: int
    restarts: int
    last_frame_age_s: float | None
    problem: str | None


class Camera:
    """Reads one source in a thread of its own and keeps it alive.

    A supervisor thread starts a capture thread per opening of the source (a life). A life that
    ends, freezes or hangs loses the right to publish; after a pause the next one begins. Only
    the current life's pictures reach ``latest``.
    """

    def __init__(
        self,
        spec: str | None,
        latest: LatestFrame,
        limits: CameraLimits | None = None,
        opener: Opener = open_source,
    ) -> None:
        """Touch nothing yet. spec: see open_source; None: first webcam that opens, else demo."""
        self._spec = spec
        self._latest = latest
        self._limits = limits or CameraLimits()
        self._opener = opener
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._abandoned: list[_Life] = []
        self._lock = threading.Lock()  # guards everything below
        self._life: _Life | None = None
        self._label = mask(spec or "webcam")
        self._problem: str | None = "not started"
        self._lost_at: float | None = None
        self._restarts = -1
        self._frames = 0
        self._last_source_t_s = float("-inf")
        self._arrivals: deque[float] = deque(maxlen=FPS_WINDOW)
        self._next_due_at: float | None = None

    def start(self) -> None:
        """Start the threads; raises SourceError for a file or folder that cannot be played."""
        if self._supervisor is not None:
            return
        if self._spec is not None:
            check_source(self._spec)
        self._stopping.clear()
        self._supervisor = threading.Thread(target=self._supervise, name="camera", daemon=True)
        self._supervisor.start()

    def stop(self) -> None:
        """Stop and join the threads; the state is down from then on. A second call does nothing."""
        if self._supervisor is None:
            return
        self._stopping.set()
        self._supervisor.join()
        self._supervisor = None
        with self._lock:
            self._next_due_at, self._problem = None, "stopped"

    @property
    def state(self) -> CameraState:
        """ "ok"; "stale" without a new picture for 1 s; "down" for 1.75 s, or before the first."""
        with self._lock:
            return self._state(time.monotonic())

    def status(self) -> CameraStatus:
        """Tell state and counters, all of one moment."""
        with self._lock:
            now = time.monotonic()
            state = self._state(now)
            return CameraStatus(
                state=state,
                label=self._label,
                fps=self._fps() if state == "ok" else 0.0,
                frames=self._frames,
                dropped=self._latest.dropped,
                restarts=max(self._restarts, 0),
                last_frame_age_s=now - self._arrivals[-1] if self._arrivals else None,
                problem=self._problem or (None if state == "ok" else "no new picture"),
            )

    def _state(self, now: float) -> CameraState:
        if self._next_due_at is None or now - self._next_due_at > self._limits.down_after_s:
            return "down"
        return "stale" if now - self._next_due_at > self._limits.stale_after_s else "ok"

    def _fps(self) -> float:
        span_s = self._arrivals[-1] - self._arrivals[0] if self._arrivals else 0.0
        # Streams begin with a burst of old pictures, which says nothing of their rate.
        return (len(self._arrivals) - 1) / span_s if span_s > 0.5 else 0.0

    def _supervise(self) -> None:
        tries = 0
        while not self._stopping.is_set():
            life = self._begin_life()
            if life is None:  # too many hang already: wait for one to return
                self._stopping.wait(self._limits.backoff_s[-1])
                continue
            self._watch(life)
            if self._stopping.is_set():
                return
            self._note_loss(life.reason)
            tries = 0 if life.delivered else tries + 1
            pauses = self._limits.backoff_s
            self._stopping.wait(pauses[min(tries, len(pauses) - 1)])

    def _begin_life(self) -> _Life | None:
        self._abandoned = [life for life in self._abandoned if life.is_alive()]
        if len(self._abandoned) >= self._limits.abandoned:
            return None
        with self._lock:
            self._restarts += 1
            name = f"camera-capture-{self._restarts}"
            self._life = _Life(name, self._open, self._publish, self._limits)
        self._life.start()
        return self._life

    def _watch(self, life: _Life) -> None:
        while life.is_alive() and not self._stopping.is_set():
            if time.monotonic() > life.overdue_at:
                life.reason = "the camera hangs"
                break
            life.join(self._limits.watch_s)
        life.over.set()
        with self._lock:
            self._life = None
        if self._stopping.is_set():
            life.join(self._limits.stop_s)
        if life.is_alive():
            self._abandoned.append(life)

    def _open(self) -> Source:
        if self._spec is not None:
            return self._opener(self._spec)
        # Decided once: a shop's webcam that is lost must never turn into the demo's fruit.
        for spec in ("webcam", "demo"):
            try:
                source = self._opener(spec)
            except SourceError as error:
                if self._abandoned:  # a webcam is there, only busy with what hangs
                    raise
                log.info("source=%s not used: %s", spec, error)
                continue
            self._spec = spec
            return source
        raise SourceError("neither a webcam nor the demo opens: set CHECKOUT_CAMERA")

    def _publish(self, life: _Life, source: Source, image: np.ndarray, t_s: float) -> None:
        now = time.monotonic()
        with self._lock:
            if life is not self._life:  # its read() came back after it had been given up
                return
            self._frames += 1
            if not life.delivered:
                self._note_opened(life, source, now, t_s)
            self._last_source_t_s = t_s + life.offset_s
            self._arrivals.append(now)
            self._next_due_at = now + (1 / source.rate_fps if source.rate_fps else 0.0)
            self._latest.put(Frame(self._frames, now, image, self._last_source_t_s))

    def _note_opened(self, life: _Life, source: Source, now: float, t_s: float) -> None:
        life.delivered = True
        if t_s <= self._last_source_t_s:  # a recording that was reopened begins at 0 again
            life.offset_s = self._last_source_t_s + 1.0 - t_s
        self._arrivals.clear()
        self._label, self._problem = source.label, None
        if self._lost_at is None:
            log.info("opened source=%s", source.label)
        else:
            log.info("recovered source=%s after_s=%.1f", source.label, now - self._lost_at)
            self._lost_at = None

    def _note_loss(self, reason: str) -> None:
        with self._lock:
            self._problem = reason
            if self._lost_at is None:  # once per loss, however often it is tried again
                self._lost_at = time.monotonic()
                log.warning("lost source=%s reason=%r", self._label, reason)


class _Life(threading.Thread):
    """One opening of the source, from its first picture to its loss."""

    def __init__(
        self,
        name: str,
        opener: Callable[[], Source],
        publish: Callable[[_Life, Source, np.ndarray, float], None],
        limits: CameraLimits,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.over = threading.Event()  # set from outside: close the source and go
        self.reason = "the capture thread failed"
        self.delivered = False
        self.offset_s = 0.0
        self.overdue_at = time.monotonic() + limits.open_s
        self._opener = opener
        self._publish = publish
        self._limits = limits

    def run(self) -> None:
        try:
            source = self._opener()
            try:
                self.reason = self._play(source)
            finally:
                source.close()
        except (SourceError, cv2.error, OSError) as error:
            self.reason = str(error)

    def _play(self, source: Source) -> str:
        pace, stillness = _Pace(), _Stillness()
        limit_s = self._limits.open_s  # webcams warm up, streams wait for their next key frame
        while not self.over.is_set():
            self.overdue_at = time.monotonic() + limit_s
            picture = source.read()
            limit_s = self._limits.read_s
            if picture is None:
                return "no more pictures arrive"
            if source.rate_fps is not None:
                self._wait_until(pace.due_at(picture[1]))
            elif (still_s := stillness.of(picture[0])) is not None:
                if still_s > self._limits.frozen_after_s:
                    return "the picture is frozen"
                continue
            self._publish(self, source, *picture)
        return "stopped"

    def _wait_until(self, due_at: float) -> None:
        self.overdue_at = due_at + self._limits.read_s
        self.over.wait(max(0.0, due_at - time.monotonic()))


class _Pace:
    """Plays a recording by its own times, each against the first, so that no drift adds up."""

    def __init__(self) -> None:
        self._begun_at: float | None = None

    def due_at(self, t_s: float) -> float:
        """Return the monotonic time for the picture of time t_s; begin anew when 1 s late."""
        now = time.monotonic()
        if self._begun_at is None or now > self._begun_at + t_s + 1.0:
            self._begun_at = now - t_s
        return self._begun_at + t_s


class _Stillness:
    """Tells a frozen picture from a living one: a sensor's noise never repeats itself."""

    def __init__(self) -> None:
        self._signature: int | None = None
        self._since = 0.0

    def of(self, image: np.ndarray) -> float | None:
        """Return for how many seconds the picture has been the same, None when it is new.

        The first picture counts as still: a source that was opened again must show that it lives.
        """
        # Every eighth row will do, and takes 0.1 ms at 720p.
        signature, before = zlib.crc32(image[::8].tobytes()), self._signature
        self._signature = signature
        if signature == before:
            return time.monotonic() - self._since
        self._since = time.monotonic()
        return 0.0 if before is None else None
