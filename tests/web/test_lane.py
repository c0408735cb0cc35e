"""The detect thread with a camera, a detector and a settler that do as they are told."""

import threading
import time
from collections.abc import Iterator
from unittest.mock import Mock

import numpy as np
import pytest

from app.errors import CannotPay
from app.shop.catalog import Catalog, Item
from app.shop.checkout import Checkout
from app.vision.camera import Frame, LatestFrame
from app.vision.lane import (
    STILL_SHOWN_S,
    AnnotatedFrame,
    Lane,
    LaneObserver,
    LaneState,
    percentile_ms,
)
from app.vision.settle import Settler
from model.detector import Detection
from tests.shop.fakes import MemoryOrders
from tests.web.server import wait_until

APPLE = Detection("apple", 0.9, (10.0, 10.0, 50.0, 50.0))


class FakeCamera:
    state = "ok"


class FakeDetector:
    names = ("apple",)
    confidence = 0.4
    image_size = 320
    calibrated = False
    runtime = "fake"

    def __init__(self) -> None:
        self.finds: list[Detection] = [APPLE]
        self.error: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()

    def detect(self, image: np.ndarray, confidence: float | None = None) -> list[Detection]:
        self.answers.wait()
        if self.error:
            raise self.error
        return self.finds


class TwoEyes(FakeDetector):
    """Looks at two frames at a time, and takes longer over every other one."""

    at_once = 2

    def __init__(self) -> None:
        super().__init__()
        self.looking = self.most = self.looked = 0
        self._lock = threading.Lock()

    def detect(self, image: np.ndarray, confidence: float | None = None) -> list[Detection]:
        with self._lock:
            self.looking, self.looked = self.looking + 1, self.looked + 1
            self.most, slow = max(self.most, self.looking), self.looked % 2
        time.sleep(0.08 if slow else 0.01)
        with self._lock:
            self.looking -= 1
        return super().detect(image, confidence)


class Bench:
    """A lane, and everything around it."""

    def __init__(self, detector: FakeDetector | None) -> None:
        self.camera, self.latest, self.detector = FakeCamera(), LatestFrame(), detector
        catalog = Catalog({"apple": Item("apple", "사과", "Apple", 1500)}, version=1)
        self.checkout = Checkout("1", catalog, MemoryOrders())
        self.published: list[AnnotatedFrame] = []
        self.states: list[LaneState] = []
        self.wanted = True
        self.lane = Lane(
            self.camera,  # type: ignore[arg-type]
            self.latest,
            detector,
            Settler(),
            self.checkout,
            self.published.append,
            lambda: self.wanted,
            observer=LaneObserver(state=self.states.append),
        )
        self.seq, self.still = 0, False

    def show(self, frames: int = 1) -> None:
        for _ in range(frames):
            self.seq += 1
            colour = 90 if self.still else 20 + self.seq * 50 % 230
            image = np.full((60, 80, 3), colour, np.uint8)
            self.latest.put(Frame(self.seq, time.monotonic(), image, self.seq / 30))
            time.sleep(0.02)

    def shows_until(self, basket: dict[str, int]) -> None:
        def filled() -> bool:
            self.show()
            lines = self.checkout.snapshot().lines
            return {line.key: line.quantity for line in lines} == basket and self.states[-1].settled

        wait_until(filled)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(FakeDetector())
    bench.lane.start()
    yield bench
    bench.detector.answers.set()
    bench.lane.stop()
    assert "lane" not in [thread.name for thread in threading.enumerate()]


def test_fruit_that_is_seen_comes_into_the_basket(bench: Bench) -> None:
    bench.shows_until({"apple": 1})

    stats = bench.lane.stats()
    assert stats.detections > 0
    assert stats.emitted == len(bench.published) > 0
    assert stats.capture_to_emit_p50_ms is not None
    assert 0 < stats.capture_to_emit_p50_ms <= stats.capture_to_emit_p95_ms < 1000
    assert bench.published[-1].jpeg.startswith(b"\xff\xd8")


def test_no_picture_is_made_that_nobody_wants(bench: Bench) -> None:
    bench.wanted = False
    bench.show(10)

    assert bench.published == []
    assert bench.lane.stats().capture_to_emit_p95_ms is None


def test_the_newest_frame_is_looked_at_once(bench: Bench) -> None:
    bench.show(3)
    wait_until(lambda: bench.lane.stats().detections == 3)
    time.sleep(0.3)

    assert bench.lane.stats().detections == 3
    assert [frame.seq for frame in bench.published] == [1, 2, 3]


def test_a_still_scene_is_looked_at_once_a_second_and_followed_all_the_time(bench: Bench) -> None:
    bench.still = True
    bench.shows_until({"apple": 1})
    before, began_s = bench.lane.stats(), time.monotonic()
    wait_until(lambda: bench.show() or bench.lane.stats().still >= before.still + 20)

    after, seconds = bench.lane.stats(), time.monotonic() - began_s
    assert after.detections - before.detections <= seconds + 1
    drawn = after.emitted - before.emitted
    assert 2 <= drawn <= seconds / STILL_SHOWN_S + 2  # of at least 20 frames, 50 a second
    assert bench.states[-1].settled


def test_a_change_is_looked_at_at_once(bench: Bench) -> None:
    bench.still = True
    bench.shows_until({"apple": 1})
    bench.detector.finds = []
    bench.still = False
    bench.shows_until({})


def test_a_fruit_that_is_not_found_is_looked_for_in_every_frame(bench: Bench) -> None:
    bench.still = True
    bench.shows_until({"apple": 1})
    bench.detector.finds = []
    wait_until(lambda: bench.show() or not bench.states[-1].settled, 2.0)
    before = bench.lane.stats()
    bench.show(10)
    wait_until(lambda: bench.lane.stats().detections >= before.detections + 8)
    assert bench.lane.stats().still == before.still


def test_a_lane_that_cannot_follow_what_it_sees_is_not_sure(bench: Bench) -> None:
    bench.shows_until({"apple": 1})
    follow = bench.lane._settler.update
    bench.lane._settler.update = Mock(side_effect=MemoryError)  # type: ignore[method-assign]
    wait_until(lambda: bench.show() or not bench.checkout._settled)
    assert [line.key for line in bench.checkout.snapshot().lines] == ["apple"]
    bench.lane._settler.update = follow  # type: ignore[method-assign]
    bench.shows_until({"apple": 1})


def test_a_name_that_a_person_told_is_followed_at_once(bench: Bench) -> None:
    pear = Detection("pear", 0.8, APPLE.box_xyxy)
    bench.detector.finds = [APPLE, pear]
    bench.still = True
    bench.shows_until({"apple": 1})
    wait_until(lambda: bench.show() or bench.checkout.snapshot().questions != ())
    [question] = bench.checkout.snapshot().questions

    bench.checkout.name_fruit(question.fruit, "pear")

    bench.show(2)
    wait_until(lambda: [line.key for line in bench.checkout.snapshot().lines] == ["pear"], 1.0)


def test_one_failed_detection_changes_nothing_in_the_basket(bench: Bench) -> None:
    bench.shows_until({"apple": 1})
    bench.detector.error = RuntimeError("once")
    bench.show()
    wait_until(lambda: bench.lane.stats().failures == 1)
    bench.detector.error = None

    assert [line.key for line in bench.checkout.snapshot().lines] == ["apple"]
    assert not bench.lane.failing
    bench.shows_until({"apple": 1})


def test_a_detector_that_goes_on_failing_counts_as_no_camera(bench: Bench) -> None:
    bench.shows_until({"apple": 1})
    bench.detector.error = RuntimeError("always")

    wait_until(lambda: bench.show() or not bench.states[-1].counting)
    assert bench.lane.failing
    assert not bench.states[-1].settled
    assert bench.states[-1].camera == "ok"
    bench.detector.error = None
    bench.shows_until({"apple": 1})
    assert bench.states[-1].counting


def test_a_detector_that_does_not_answer_counts_as_no_camera(bench: Bench) -> None:
    bench.shows_until({"apple": 1})
    bench.detector.answers.clear()
    bench.show()

    wait_until(lambda: not bench.states[-1].counting)
    assert bench.lane.failing
    assert not bench.states[-1].settled
    assert bench.checkout.snapshot().lines != ()
    with pytest.raises(CannotPay):
        bench.checkout.pay(bench.checkout.snapshot().version, "cash", "key")

    bench.detector.finds = []
    told = len(bench.states)
    bench.detector.answers.set()  # what it says now is of a picture from before
    wait_until(lambda: len(bench.states) >= told + 2)
    assert not any(state.settled for state in bench.states[told:])
    assert bench.checkout.snapshot().lines != ()
    bench.shows_until({})
    assert bench.states[-1].counting


def test_the_watch_outlasts_whom_it_tells(bench: Bench) -> None:
    bench.shows_until({"apple": 1})
    tell = Mock(side_effect=[RuntimeError("once"), None, None])
    bench.lane._observer = LaneObserver(state=tell)
    bench.detector.answers.clear()
    bench.show()
    wait_until(lambda: tell.call_count == 3)


def test_latencies_are_those_of_the_last_ten_seconds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.shows_until({"apple": 1})
    bench.wanted = False
    bench.show()
    assert bench.lane.stats().capture_to_emit_p50_ms is not None
    monkeypatch.setattr("app.vision.lane.LATENCY_S", 0.0)
    assert bench.lane.stats().capture_to_emit_p50_ms is None


@pytest.mark.parametrize("state", ["stale", "down"])
def test_a_lost_camera_is_told_within_two_seconds(bench: Bench, state: str) -> None:
    bench.shows_until({"apple": 1})
    bench.camera.state = state

    wait_until(lambda: bench.states[-1].camera == state, 2.0)
    assert not bench.states[-1].settled


def test_without_a_detector_pictures_are_shown_but_nothing_is_counted() -> None:
    bench = Bench(None)
    bench.lane.start()
    bench.show(5)
    wait_until(lambda: len(bench.published) > 0)
    bench.lane.stop()

    assert bench.states[-1].camera == "ok"
    assert not bench.states[-1].counting
    assert bench.checkout.snapshot().lines == ()


def test_two_frames_are_looked_at_side_by_side_and_followed_in_their_order() -> None:
    detector = TwoEyes()
    bench = Bench(detector)
    bench.lane.start()
    bench.shows_until({"apple": 1})
    for _ in range(20):  # some of them fail: nobody may wait for a frame that will not come
        bench.show()
        detector.error = RuntimeError("now and then") if bench.seq % 5 == 0 else None
    detector.error = None
    bench.shows_until({"apple": 1})
    bench.lane.stop()

    shown = [frame.seq for frame in bench.published]
    assert detector.most == 2
    assert shown == sorted(set(shown))
    assert bench.lane.stats().failures > 0
    assert "lane" not in [thread.name for thread in threading.enumerate()]


def test_stopping_a_lane_that_never_started_is_harmless() -> None:
    Bench(None).lane.stop()


@pytest.mark.parametrize(
    ("seconds", "share", "expected"),
    [
        ([], 0.5, None),
        ([0.010], 0.5, 10.0),
        ([0.010], 0.95, 10.0),
        ([0.010, 0.020], 0.5, 10.0),
        ([0.010, 0.020], 0.51, 20.0),
        ([n / 1000 for n in range(1, 101)], 0.95, 95.0),
    ],
)
def test_percentiles_are_those_of_the_nearest_rank(
    seconds: list[float], share: float, expected: float | None
) -> None:
    assert percentile_ms(seconds, share) == pytest.approx(expected)
