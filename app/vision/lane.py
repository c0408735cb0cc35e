"""The detect threads: newest frame → detector → settle → checkout → picture for those who look.

As many frames are looked at side by side as the detector can; what was found is followed one frame
after the other, in their order. The lane never waits for a browser: a picture is drawn and encoded
only when somebody has shown the last one, and handed over without blocking.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol

import numpy as np

from app.shop.cart import Doubt
from app.shop.checkout import Checkout
from app.vision.annotate import annotate, encode_jpeg
from app.vision.camera import Frame, LatestFrame
from app.vision.cells import cells_of
from app.vision.settle import Scene, Settler
from app.vision.stillness import Stillness
from app.vision.turns import Turns
from model.detector import Detection, Detector

log = logging.getLogger("checkout.lane")

CameraState = Literal["ok", "stale", "down"]
POLL_S = 0.2  # how often the camera's state is looked at when no frame comes
FAILING_AFTER = 5  # failed detections in a row before the detector counts as failing
FAILURE_PAUSE_S = 0.1  # a detector that always fails must not eat a core
STUCK_AFTER_S = 1.5  # a look that takes longer shows what was, not what is
LATENCY_S = 10.0  # how far back latencies are told
LATENCIES_KEPT = 2048  # pictures: more than a camera gives in that time
FOLLOWED_KEPT = 512  # frames: two seconds of the fastest camera
SHOWN_WIDTH = 960  # at most, pixels
STILL_SHOWN_S = 0.1  # a scene that stays as it is need not be drawn anew more often


class CameraLike(Protocol):
    """What the lane needs of a camera."""

    @property
    def state(self) -> CameraState:
        """Whether frames come: "ok", "stale" or "down"."""
        ...


@dataclass(frozen=True, slots=True)
class AnnotatedFrame:
    """A picture ready for a browser.

    seq: number of the camera's frame. captured_at: monotonic seconds. jpeg: JPEG with boxes drawn.
    """

    seq: int
    captured_at: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class LaneState:
    """What a customer must know of the lane: the camera, whether the scene is at rest, the pace.

    fps: frames followed per second over the last two seconds. counting: whether fruit is
    recognised; False without camera or detector, then only people can fill the basket.
    """

    camera: CameraState
    settled: bool
    fps: float
    counting: bool


@dataclass(frozen=True, slots=True)
class LaneStats:
    """Counters since the start, and the latency of the last pictures.

    still: frames that needed no detection, since a scene at rest had not changed.
    capture_to_emit_p50_ms, _p95_ms: from capture to hand-over to the sockets, over the last ten
    seconds; None without a picture in them.
    """

    detections: int
    still: int
    failures: int
    failing: bool
    emitted: int
    fps: float
    capture_to_emit_p50_ms: float | None
    capture_to_emit_p95_ms: float | None


def nobody(_news: object) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True)
class LaneObserver:
    """Who wants to know what the lane did; called on the detect threads, must be quick.

    detect_seconds may be called from several at a time.
    """

    state: Callable[[LaneState], None] = nobody
    detect_seconds: Callable[[float], None] = nobody
    capture_to_emit_seconds: Callable[[float], None] = nobody


class _Sight(NamedTuple):
    """What one thread took to look at, with its turn; nothing when no frame came in time."""

    turn: int
    frame: Frame | None = None
    cells: np.ndarray | None = None
    still: bool = False


class Lane:
    """Runs one counter's detect threads between ``start`` and ``stop``.

    detector: None when there is none; frames then come without boxes and the scene never settles,
    so that nothing the camera sees becomes money. settler: used by one thread at a time.
    publish_frame: takes a picture without blocking. wants_frames: True when a browser is ready
    for one. names: the label of each key on the picture, ASCII.
    """

    def __init__(
        self,
        camera: CameraLike,
        latest: LatestFrame,
        detector: Detector | None,
        settler: Settler,
        checkout: Checkout,
        publish_frame: Callable[[AnnotatedFrame], None],
        wants_frames: Callable[[], bool],
        names: Callable[[], Mapping[str, str]] = dict,
        observer: LaneObserver | None = None,
    ) -> None:
        self._camera = camera
        self._latest = latest
        self._detector = detector
        self._settler = settler
        self._checkout = checkout
        self._publish_frame = publish_frame
        self._wants_frames = wants_frames
        self._names = names
        self._observer = observer or LaneObserver()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._taking = threading.Lock()  # one thread waits for the camera: frames keep their order
        self._turns = Turns()
        self._seq = -1
        self._looked_at = math.inf  # when the last look came to its end, monotonic seconds
        self._telling = threading.Lock()  # of the camera's state: by the lane or by its watch
        self._lock = threading.Lock()  # guards what stats() reads
        self._stillness = Stillness()
        self._detections = self._still = self._failures = self._failures_in_a_row = 0
        self._emitted = 0
        self._shown_at = -math.inf
        self._followed_at: deque[float] = deque(maxlen=FOLLOWED_KEPT)
        self._latencies_s: deque[tuple[float, float]] = deque(maxlen=LATENCIES_KEPT)
        self._camera_state: CameraState = "down"
        self._counting = False
        self._scene = Scene(settled=False, counts={}, tracks=())

    def start(self) -> None:
        """Start a detect thread for each frame that the detector can look at; once only."""
        self._checkout.camera_state(self._camera_state)
        self._looked_at = time.monotonic()
        # a detector that does not say is asked by one thread at a time
        for _ in range(getattr(self._detector, "at_once", 1)):
            self._threads.append(threading.Thread(target=self._run, name="lane", daemon=True))
            self._threads[-1].start()
        self._threads.append(threading.Thread(target=self._watch, name="lane watch", daemon=True))
        self._threads[-1].start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ask the threads to end and wait for them; harmless when they never started."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout_s)

    @property
    def failing(self) -> bool:
        """Whether the detector failed on each of the last five frames, or does not answer."""
        return self._failures_in_a_row >= FAILING_AFTER or self._stuck

    @property
    def _stuck(self) -> bool:
        return time.monotonic() - self._looked_at > STUCK_AFTER_S

    def stats(self) -> LaneStats:
        """Counters and latencies now; may be called from any thread."""
        with self._lock:
            since = time.monotonic() - LATENCY_S
            ordered = sorted(latency_s for at, latency_s in self._latencies_s if at > since)
            return LaneStats(
                detections=self._detections,
                still=self._still,
                failures=self._failures,
                failing=self.failing,
                emitted=self._emitted,
                fps=self._fps(),
                capture_to_emit_p50_ms=percentile_ms(ordered, 0.50),
                capture_to_emit_p95_ms=percentile_ms(ordered, 0.95),
            )

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                sight = self._take()
                try:
                    self._look_at(sight)
                finally:
                    self._turns.end(sight.turn)
            except Exception:  # whatever one frame does to it, the lane must go on
                log.exception("frame_failed seq=%d", self._seq)
                self._distrust()
                self._stopping.wait(FAILURE_PAUSE_S)

    def _watch(self) -> None:
        """Say so when the lane itself cannot: it hangs in the detector, or in what it tells."""
        while not self._stopping.wait(POLL_S):
            if not self._stuck:
                continue
            try:
                self._follow_camera()
                self._observer.state(self._state())
            except Exception:  # the next time that the lane hangs needs this thread, too
                log.exception("lane_watch_failed")
                with self._lock:
                    self._failures += 1

    def _distrust(self) -> None:
        """Nobody is sure of the basket until a picture was looked at to the end again."""
        self._scene = replace(self._scene, settled=False, calm=False)
        try:
            self._checkout.see(self._scene.counts, settled=False)
        except Exception:
            log.exception("basket_not_told seq=%d", self._seq)

    def _take(self) -> _Sight:
        """Wait for a frame, and say whether a calm scene has not changed: spares the power."""
        with self._taking:
            frame = self._latest.wait(self._seq, POLL_S)
            if frame is None:
                return _Sight(self._turns.take())
            self._seq = frame.seq
            cells = cells_of(frame.image)
            still = self._scene.calm and self._stillness.holds(cells, frame.captured_at)
            if not still:
                self._stillness.remember(cells, frame.captured_at)
            return _Sight(self._turns.take(), frame, cells, still)

    def _look_at(self, sight: _Sight) -> None:
        frame, detections = sight.frame, None
        if frame is not None and not sight.still:
            detections = self._detect(frame)
        self._turns.wait(sight.turn)
        self._looked_at = time.monotonic()
        self._follow_camera()
        if frame is not None:
            self._take_names()
            late = self._looked_at - frame.captured_at > STUCK_AFTER_S
            if late or not sight.still:
                self._scene = self._settle(frame, sight.cells, None if late else detections)
            self._follow(frame, sight.still)
        self._observer.state(self._state())

    def _follow_camera(self) -> None:
        """Pass the camera's state on; pictures that nobody can look at are worth no camera."""
        with self._telling:
            state = self._camera.state
            counting = self._detector is not None and not self.failing
            if (state, counting) == (self._camera_state, self._counting):
                return
            log.info("lane_state camera=%s detector=%s", state, "ok" if counting else "missing")
            self._camera_state, self._counting = state, counting
            self._checkout.camera_state(state if counting else "down")

    def _follow(self, frame: Frame, still: bool) -> None:
        scene = self._scene
        with self._lock:
            self._still += still
            self._followed_at.append(time.monotonic())
        doubts = tuple(Doubt(fruit, names) for fruit, names in scene.doubts.items())
        self._checkout.see(scene.counts, scene.settled, doubts)
        soon = still and frame.captured_at - self._shown_at < STILL_SHOWN_S
        if not soon and self._wants_frames():
            self._show(frame, scene)

    def _take_names(self) -> None:
        """Pass on what people said that fruits are; the next frame is then looked at anew."""
        for fruit, key in self._checkout.take_names().items():
            self._settler.tell(fruit, key)
            self._stillness = Stillness()

    def _settle(
        self, frame: Frame, cells: np.ndarray | None, detections: list[Detection] | None
    ) -> Scene:
        if detections is None:  # what lay there may lie there still, but nobody is sure
            return replace(self._scene, settled=False, calm=False, tracks=())
        height, width = frame.image.shape[:2]
        return self._settler.update(detections, frame.captured_at, width, height, cells)

    def _detect(self, frame: Frame) -> list[Detection] | None:
        """What the detector finds; None without one, or when it fails on this frame."""
        if self._detector is None:
            return None
        began = time.monotonic()
        try:
            detections = self._detector.detect(frame.image, self._settler.config.name_score)
        except Exception:  # noqa: BLE001 - logged there; one bad frame must not end the lane
            self._count_failure()
            return None
        now = time.monotonic()
        self._observer.detect_seconds(now - began)
        with self._lock:
            self._detections += 1
            self._failures_in_a_row = 0
        return detections

    def _show(self, frame: Frame, scene: Scene) -> None:
        picture = annotate(frame.image, scene.tracks, self._names(), SHOWN_WIDTH)
        self._publish_frame(AnnotatedFrame(frame.seq, frame.captured_at, encode_jpeg(picture)))
        self._shown_at = frame.captured_at
        now = time.monotonic()
        latency_s = now - frame.captured_at
        self._observer.capture_to_emit_seconds(latency_s)
        with self._lock:
            self._emitted += 1
            self._latencies_s.append((now, latency_s))

    def _count_failure(self) -> None:
        with self._lock:
            self._failures += 1
            self._failures_in_a_row += 1
            failed = self._failures_in_a_row
        if failed & (failed - 1) == 0:  # 1, 2, 4, 8 …: a broken detector must not fill the log
            log.exception("detect_failed in_a_row=%d", failed)
        if failed >= FAILING_AFTER:
            self._stopping.wait(FAILURE_PAUSE_S)

    def _state(self) -> LaneState:
        counting = self._counting and self._camera_state == "ok"
        settled = counting and self._scene.settled
        return LaneState(self._camera_state, settled, self._fps(), counting)

    def _fps(self) -> float:
        """Frames followed per second over the last two seconds."""
        since = time.monotonic() - 2.0
        # a copy: another thread may add to it meanwhile
        return sum(at > since for at in tuple(self._followed_at)) / 2.0


def percentile_ms(ordered_s: list[float], share: float) -> float | None:
    """The nearest-rank percentile of sorted seconds, in ms; None when there are none."""
    if not ordered_s:
        return None
    rank = max(1, math.ceil(share * len(ordered_s)))
    return ordered_s[rank - 1] * 1000.0
