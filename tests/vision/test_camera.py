from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SourceError
from app.vision.camera import Camera, CameraLimits, CameraState, Frame, LatestFrame, Source
from tests.vision.mjpeg import MjpegCamera

QUICK = CameraLimits(
    stale_after_s=0.1,
    down_after_s=0.2,
    frozen_after_s=0.15,
    read_s=0.5,
    open_s=0.5,
    backoff_s=(0.02, 0.05),
    watch_s=0.01,
    stop_s=0.3,
)


@pytest.fixture(autouse=True)
def _no_camera_thread_outlives_its_test() -> Iterator[None]:
    yield
    assert wait_for(lambda: not camera_threads()), camera_threads()


def camera_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("camera")]


def wait_for(condition: Callable[[], bool], timeout_s: float = 8.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def seconds_until(camera: Camera, state: CameraState) -> float:
    begin = time.monotonic()
    assert wait_for(lambda: camera.state == state), camera.status()
    return time.monotonic() - begin


def frame(seq: int) -> Frame:
    return Frame(seq, 0.0, np.zeros((1, 1, 3), np.uint8), 0.0)


# The one-slot holder


def test_the_newest_frame_wins_and_the_lost_one_is_counted() -> None:
    latest = LatestFrame()
    latest.put(frame(1))
    latest.put(frame(2))
    taken = latest.wait(0, timeout_s=0)
    assert taken is not None
    assert taken.seq == 2
    assert latest.dropped == 1


def test_a_taken_frame_is_not_dropped_and_not_given_twice() -> None:
    latest = LatestFrame()
    latest.put(frame(1))
    assert latest.wait(0, timeout_s=0) is not None
    assert latest.wait(1, timeout_s=0.01) is None
    latest.put(frame(2))
    assert latest.dropped == 0
    assert latest.latest is not None
    assert latest.latest.seq == 2


def test_nothing_comes_from_an_empty_holder() -> None:
    latest = LatestFrame()
    assert latest.latest is None
    assert latest.wait(0, timeout_s=0) is None


def test_a_waiting_thread_is_woken_by_the_next_frame() -> None:
    latest = LatestFrame()
    threading.Timer(0.05, latest.put, [frame(7)]).start()
    taken = latest.wait(6, timeout_s=5)
    assert taken is not None
    assert taken.seq == 7


@given(st.lists(st.booleans(), max_size=40))
def test_every_frame_is_taken_or_dropped_or_still_there(puts: list[bool]) -> None:
    latest, sequence, last_taken, taken = LatestFrame(), itertools.count(1), 0, 0
    for put in puts:
        if put:
            latest.put(frame(next(sequence)))
        elif (got := latest.wait(last_taken, timeout_s=0)) is not None:
            last_taken, taken = got.seq, taken + 1
    waiting = latest.latest is not None and latest.latest.seq > last_taken
    assert taken + latest.dropped + waiting == sum(puts)


# Recordings


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (160, 120))
    for number in range(15):
        writer.write(np.full((120, 160, 3), 16 * number, np.uint8))
    writer.release()
    return path


def collect(latest: LatestFrame, seconds: float) -> list[Frame]:
    frames: list[Frame] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seq = frames[-1].seq if frames else 0
        taken = latest.wait(seq, timeout_s=0.2)
        if taken is not None:
            frames.append(taken)
    return frames


def test_a_video_plays_at_its_own_rate_without_drift_and_loops(video: Path) -> None:
    latest = LatestFrame()
    camera = Camera(str(video), latest)
    camera.start()
    frames = collect(latest, 2.0)
    status = camera.status()
    camera.stop()
    assert [f.seq for f in frames] == list(range(1, len(frames) + 1))
    assert [f.source_t_s for f in frames] == pytest.approx([n / 25 for n in range(len(frames))])
    drift_s = (frames[-1].captured_at - frames[0].captured_at) - frames[-1].source_t_s
    assert len(frames) > 40  # more than two rounds of 15
    assert abs(drift_s) < 0.1
    assert status.fps == pytest.approx(25, rel=0.1)
    assert (status.state, status.label, status.problem) == ("ok", "clip.mp4", None)


def test_frames_that_nobody_takes_are_dropped_not_queued(video: Path) -> None:
    latest = LatestFrame()
    camera = Camera(str(video), latest)
    camera.start()
    assert wait_for(lambda: camera.status().frames >= 10)
    camera.stop()
    status = camera.status()
    assert status.dropped == status.frames - 1


def test_a_recording_that_does_not_exist_fails_at_the_start() -> None:
    camera = Camera("no-such-file.mp4", LatestFrame())
    with pytest.raises(SourceError, match="no-such-file"):
        camera.start()
    assert camera.state == "down"
    camera.stop()


def test_before_the_start_and_after_the_stop_the_camera_is_down(video: Path) -> None:
    camera = Camera(str(video), LatestFrame())
    assert camera.status().state == "down"
    assert camera.status().last_frame_age_s is None
    camera.start()
    seconds_until(camera, "ok")
    camera.stop()
    camera.stop()
    assert camera.status().problem == "stopped"
    assert camera.state == "down"


def test_a_stopped_camera_can_be_started_again(video: Path) -> None:
    latest = LatestFrame()
    camera = Camera(str(video), latest)
    for _ in range(2):
        camera.start()
        seconds_until(camera, "ok")
        camera.stop()
    camera.start()
    seconds_until(camera, "ok")
    times = [f.source_t_s for f in collect(latest, 0.3)]
    camera.stop()
    assert times == sorted(times)


# A real network camera


def test_a_network_camera_that_dies_is_down_within_two_seconds_and_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "checkout.camera")
    latest = LatestFrame()
    with MjpegCamera() as server:
        camera = Camera(server.address.replace("//", "//owner:secret@"), latest)
        camera.start()
        seconds_until(camera, "ok")
        assert wait_for(lambda: camera.status().fps > 15)
    assert seconds_until(camera, "down") < 2.0
    with MjpegCamera(port=server.port):
        seconds_until(camera, "ok")
        status = camera.status()
        camera.stop()
    assert status.restarts >= 1
    events = [record.getMessage() for record in caplog.records]
    assert [event.split()[0] for event in events] == ["opened", "lost", "recovered"]
    assert "secret" not in "".join(events) + status.label


def test_a_network_camera_that_sends_nothing_more_is_down_within_two_seconds() -> None:
    with MjpegCamera() as server:
        camera = Camera(server.address, LatestFrame())
        camera.start()
        seconds_until(camera, "ok")
        server.mode = "silent"
        assert seconds_until(camera, "down") < 2.0
        server.mode = "moving"
        seconds_until(camera, "ok")
        camera.stop()


def test_a_frozen_picture_is_down_within_two_seconds_and_stays_down() -> None:
    with MjpegCamera() as server:
        camera = Camera(server.address, LatestFrame())
        camera.start()
        seconds_until(camera, "ok")
        server.mode = "frozen"
        assert seconds_until(camera, "down") < 2.0
        assert wait_for(lambda: server.connections >= 2)  # opened again, still the same picture
        assert not wait_for(lambda: camera.state != "down", timeout_s=0.7)
        assert camera.status().problem == "the picture is frozen"
        server.mode = "moving"
        seconds_until(camera, "ok")
        camera.stop()


# Fakes for what no test can plug in


class FakeWebcam:
    """A live source whose read() does what its script says, then goes on with new pictures."""

    label = "fake"
    rate_fps = None
    loops = False

    def __init__(self, *script: Callable[[], np.ndarray | None]) -> None:
        self._script = iter(script)
        self._count = itertools.count(1)
        self.closed = threading.Event()

    def read(self) -> tuple[np.ndarray, float] | None:
        time.sleep(0.005)
        step = next(self._script, self.picture)
        image = step()
        return None if image is None else (image, time.monotonic())

    def picture(self) -> np.ndarray:
        return np.full((16, 16, 3), next(self._count) % 251, np.uint8)

    def close(self) -> None:
        self.closed.set()


def openings(*lives: Source | str) -> Callable[[str], Source]:
    """Open each given source once; a text is an opening that fails so; then only failures."""
    waiting = iter(lives)

    def opener(spec: str) -> Source:
        life = next(waiting, f"{spec} is gone")
        if isinstance(life, str):
            raise SourceError(life)
        return life

    return opener


def still() -> np.ndarray:
    return np.zeros((16, 16, 3), np.uint8)


def lost() -> None:
    return None


def test_a_camera_that_is_plugged_in_later_is_found() -> None:
    opener = openings("not there", "not there", FakeWebcam())
    camera = Camera("0", LatestFrame(), QUICK, opener)
    camera.start()
    seconds_until(camera, "ok")
    assert camera.status().restarts == 2
    camera.stop()


def test_a_camera_that_is_never_there_is_down_with_the_reason() -> None:
    camera = Camera("0", LatestFrame(), QUICK, openings())
    camera.start()
    assert wait_for(lambda: camera.status().restarts >= 3)
    assert (camera.state, camera.status().problem) == ("down", "0 is gone")
    camera.stop()


def test_a_short_gap_is_neither_stale_nor_down() -> None:
    camera = Camera("0", LatestFrame(), QUICK, openings(FakeWebcam(still, lost), FakeWebcam()))
    camera.start()
    assert wait_for(lambda: camera.status().frames > 3)
    camera.stop()
    assert camera.status().restarts == 1


def test_a_webcam_may_warm_up_before_its_first_picture() -> None:
    def warm_up() -> np.ndarray:
        time.sleep(0.5)
        return still()

    limits = replace(QUICK, read_s=0.2, open_s=5.0)
    camera = Camera("0", LatestFrame(), limits, openings(FakeWebcam(warm_up)))
    camera.start()
    seconds_until(camera, "ok")
    assert camera.status().restarts == 0
    camera.stop()


def test_a_read_that_hangs_is_abandoned_and_can_never_publish_again() -> None:
    release = threading.Event()

    def hang() -> np.ndarray:
        release.wait(10)
        return np.full((16, 16, 3), 255, np.uint8)

    first = FakeWebcam(still, lambda: still() + 1, hang)
    latest = LatestFrame()
    camera = Camera("0", latest, QUICK, openings(first, FakeWebcam()))
    camera.start()
    assert wait_for(lambda: camera.status().restarts == 1)
    seconds_until(camera, "ok")
    release.set()
    assert first.closed.wait(2)  # the abandoned thread lets go of the device
    frames = collect(latest, 0.2)
    camera.stop()
    assert all(f.image.max() < 255 for f in frames)
    assert [f.seq for f in frames] == sorted({f.seq for f in frames})


def test_hanging_threads_are_bounded() -> None:
    release = threading.Event()
    opened = itertools.count()

    def hang() -> None:
        release.wait(10)

    def opener(spec: str) -> Source:
        return FakeWebcam(hang) if next(opened) < 3 else FakeWebcam()

    camera = Camera("0", LatestFrame(), QUICK, opener)
    camera.start()
    assert wait_for(lambda: camera.status().restarts == 2)
    assert not wait_for(lambda: camera.status().restarts > 2, timeout_s=1.2)
    assert sum(name.startswith("camera-capture") for name in camera_threads()) == 3
    release.set()
    seconds_until(camera, "ok")
    camera.stop()


def test_an_opening_that_hangs_is_abandoned_too() -> None:
    release = threading.Event()
    sources = iter([release.wait, FakeWebcam])

    def opener(spec: str) -> Source:
        step = next(sources)
        if step is release.wait:
            release.wait(10)
            raise SourceError("too late")
        return FakeWebcam()

    camera = Camera("0", LatestFrame(), QUICK, opener)
    camera.start()
    seconds_until(camera, "ok")
    release.set()
    camera.stop()


def test_a_capture_error_inside_opencv_is_a_loss_not_a_crash() -> None:
    def fail() -> None:
        raise cv2.error("the driver failed")

    camera = Camera("0", LatestFrame(), QUICK, openings(FakeWebcam(fail), FakeWebcam()))
    camera.start()
    seconds_until(camera, "ok")
    assert camera.status().restarts == 1
    camera.stop()


def test_a_webcam_that_gives_one_picture_for_ever_never_becomes_ok() -> None:
    frozen = [FakeWebcam(*[still] * 1000) for _ in range(3)]
    camera = Camera("0", LatestFrame(), QUICK, openings(*frozen))
    camera.start()
    assert wait_for(lambda: camera.status().restarts >= 2)
    assert (camera.status().frames, camera.state) == (0, "down")
    camera.stop()


def test_without_a_webcam_the_demo_plays() -> None:
    asked: list[str] = []

    def opener(spec: str) -> Source:
        asked.append(spec)
        return openings("no webcam found" if spec == "webcam" else FakeWebcam())(spec)

    camera = Camera(None, LatestFrame(), QUICK, opener)
    camera.start()
    seconds_until(camera, "ok")
    camera.stop()
    assert asked == ["webcam", "demo"]


def test_a_webcam_whose_opening_hangs_is_never_replaced_by_the_demo() -> None:
    asked: list[str] = []
    release = threading.Event()

    def opener(spec: str) -> Source:
        asked.append(spec)
        if len(asked) == 1:
            release.wait(10)
            raise SourceError("too late")
        raise SourceError("device busy")

    camera = Camera(None, LatestFrame(), QUICK, opener)
    camera.start()
    assert wait_for(lambda: len(asked) >= 3)
    assert set(asked) == {"webcam"}
    release.set()
    camera.stop()


def test_a_webcam_that_is_lost_is_never_replaced_by_the_demo() -> None:
    asked: list[str] = []
    first = iter([FakeWebcam(still, lambda: still() + 1, lost)])

    def opener(spec: str) -> Source:
        asked.append(spec)
        return openings(*first)(spec)

    camera = Camera(None, LatestFrame(), QUICK, opener)
    camera.start()
    assert wait_for(lambda: len(asked) >= 4)
    camera.stop()
    assert set(asked) == {"webcam"}


def test_the_state_passes_from_ok_over_stale_to_down() -> None:
    source = FakeWebcam(still, lambda: still() + 1, *[lambda: still() + 1] * 1000)
    camera = Camera("0", LatestFrame(), QUICK, openings(source))
    camera.start()
    for state in ("ok", "stale", "down"):
        seconds_until(camera, state)
    camera.stop()
