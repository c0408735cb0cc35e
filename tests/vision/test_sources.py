from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from app.errors import SourceError
from app.vision import recordings
from app.vision.capture import mask
from app.vision.recordings import PictureFolder, VideoFile
from app.vision.sources import Source, check_source, is_live, open_source


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", pictures=30, fps=20)


def write_video(path: Path, pictures: int, fps: float) -> Path:
    """Picture n is grey of level 8 n."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (160, 120))
    for number in range(pictures):
        writer.write(np.full((120, 160, 3), 8 * number, np.uint8))
    writer.release()
    return path


def write_picture(path: Path, level: int) -> Path:
    cv2.imwrite(str(path), np.full((40, 60, 3), level, np.uint8))
    return path


def read_all(source: Source) -> list[tuple[np.ndarray, float]]:
    pictures = []
    while (picture := source.read()) is not None:
        pictures.append(picture)
    source.close()
    return pictures


def take(source: Source, count: int) -> list[tuple[np.ndarray, float]]:
    pictures = [source.read() for _ in range(count)]
    source.close()
    return [picture for picture in pictures if picture is not None]


def test_a_video_gives_each_picture_once_at_its_own_time_and_ends(video: Path) -> None:
    pictures = read_all(open_source(str(video), loop=False))
    assert [round(t_s, 4) for _, t_s in pictures] == [round(n / 20, 4) for n in range(30)]
    assert [round(image.mean() / 8) for image, _ in pictures] == list(range(30))


def test_a_video_that_has_ended_stays_ended(video: Path) -> None:
    source = open_source(str(video), loop=False)
    take_until_end = read_all(source)
    assert len(take_until_end) == 30
    assert source.read() is None


def test_a_looping_video_begins_again_and_its_time_goes_on(video: Path) -> None:
    source = open_source(str(video))
    pictures = take(source, 75)
    assert source.loops
    assert source.rate_fps == pytest.approx(20)
    assert [round(t_s, 4) for _, t_s in pictures] == [round(n / 20, 4) for n in range(75)]
    assert round(pictures[60][0].mean() / 8) == 0


def test_a_film_starts_no_threads_so_that_its_rounds_do_not_scatter_memory() -> None:
    process = psutil.Process()
    before = process.num_threads()
    source = open_source("demo")
    pictures = [source.read() for _ in range(5)]
    assert process.num_threads() <= before
    assert all(pictures)
    source.close()


class ScriptedCapture:
    """Gives pictures at scripted times, as a file of uneven or broken timing would."""

    def __init__(self, times_ms: list[float], fps: float) -> None:
        self._times_ms = times_ms
        self._fps = fps
        self._next = 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self._next == len(self._times_ms):
            return False, None
        self._next += 1
        return True, np.zeros((2, 2, 3), np.uint8)

    def get(self, prop: int) -> float:
        return self._fps if prop == cv2.CAP_PROP_FPS else self._times_ms[self._next - 1]

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def release(self) -> None:
        return


@pytest.mark.parametrize(
    ("times_ms", "fps", "expected_s"),
    [
        ([0, 40, 140, 150], 25, [0, 0.04, 0.14, 0.15]),  # uneven: the file's own times
        ([0, 0, 0], 25, [0, 0.04, 0.08]),  # without times: by the rate
        ([0, 40, 20, 120], 25, [0, 0.04, 0.08, 0.12]),  # never backwards
        ([0, 0, 0], 0, [0, 1 / 30, 2 / 30]),  # not even a rate
        ([float("nan"), 0, 0], float("nan"), [0, 1 / 30, 2 / 30]),
    ],
)
def test_times_of_a_video_always_rise(
    monkeypatch: pytest.MonkeyPatch,
    video: Path,
    times_ms: list[float],
    fps: float,
    expected_s: list[float],
) -> None:
    monkeypatch.setattr(recordings, "open_capture", lambda *_: ScriptedCapture(times_ms, fps))
    pictures = read_all(VideoFile(video, loop=False, label="scripted"))
    assert [t_s for _, t_s in pictures] == pytest.approx(expected_s)


def test_a_video_that_vanishes_while_it_loops_is_an_error(video: Path) -> None:
    source = open_source(str(video))
    video.unlink()
    with pytest.raises(SourceError, match="moved or deleted"):
        take(source, 31)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, level in (("b.png", 100), ("a.jpg", 50), ("c.JPEG", 150)):
        write_picture(folder / name, level)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_folder_shows_its_pictures_by_name_for_four_seconds_each(folder: Path) -> None:
    source = open_source(str(folder), loop=False)
    pictures = read_all(source)
    assert [round(image.mean() / 50) for image, _ in pictures] == [1] * 40 + [2] * 40 + [3] * 40
    assert [t_s for _, t_s in pictures] == pytest.approx([n / 10 for n in range(120)])
    assert source.rate_fps == 10


def test_a_looping_folder_begins_again_and_its_time_goes_on(folder: Path) -> None:
    pictures = take(open_source(str(folder)), 121)
    assert round(pictures[120][0].mean()) == 50
    assert pictures[120][1] == pytest.approx(12.0)


@pytest.mark.parametrize("bad", ["0.jpg", "bb.jpg", "z.jpg"])
@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut off"])
def test_a_corrupt_picture_is_skipped_counted_and_named_once(
    folder: Path, caplog: pytest.LogCaptureFixture, bad: str, content: bytes
) -> None:
    (folder / bad).write_bytes(content)
    source = PictureFolder(folder, loop=True)
    with caplog.at_level(logging.INFO, "checkout.camera"):
        pictures = take(source, 250)
    assert [t_s for _, t_s in pictures] == pytest.approx([n / 10 for n in range(250)])
    assert source.skipped == {bad}
    assert [r.getMessage() for r in caplog.records] == [f"skipped picture={bad} reason=unreadable"]


def test_a_last_picture_that_is_corrupt_ends_a_folder_that_does_not_loop(folder: Path) -> None:
    (folder / "z.jpg").write_bytes(b"no picture")
    assert len(read_all(open_source(str(folder), loop=False))) == 120


@pytest.mark.parametrize("loop", [True, False])
def test_a_folder_of_corrupt_pictures_only_is_an_error(tmp_path: Path, loop: bool) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(SourceError, match="none of the 2 pictures"):
        open_source(str(tmp_path), loop).read()


def test_one_picture_is_a_source_too(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "one.png", 70)
    assert len(read_all(open_source(str(path), loop=False))) == 40


@pytest.fixture
def bad_video(tmp_path: Path) -> Path:
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"this is no video" * 100)
    return path


def test_an_unreadable_video_is_an_error(bad_video: Path) -> None:
    with pytest.raises(SourceError, match=r"bad\.mp4.*give a video that plays"):
        open_source(str(bad_video))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "empty"),
        ("no-such-file.mp4", "no camera source 'no-such-file.mp4'"),
        ("ftp://host/video", "must begin with rtsp://"),
        ("987", "no camera at /dev/video987: plug it in"),
        ("/dev/video987", "no camera at /dev/video987"),
    ],
)
def test_what_cannot_be_opened_gives_one_line_that_says_what_to_do(spec: str, says: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no pictures"):
        open_source(str(tmp_path))


def test_no_password_appears_in_errors_or_on_stderr() -> None:
    address = "http://owner:secret@127.0.0.1:9/video?token=secret"
    script = (
        "from app.vision.sources import SourceError, open_source\n"
        f"try: open_source({address!r})\n"
        "except SourceError as error: print(error)"
    )  # a process of its own: OpenCV and FFmpeg write past Python, and are set up only once
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "127.0.0.1:9/video?*** does not answer" in done.stdout
    assert "secret" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("rtsp://host/stream", "rtsp://host/stream"),
        ("rtsp://me:pw@host/stream", "rtsp://***@host/stream"),
        ("rtsp://me:p@w/x@host:554/stream", "rtsp://***@host:554/stream"),
        ("http://host/cgi?user=me&pwd=pw", "http://host/cgi?***"),
        ("rtsp:/me:pw@host/stream", "rtsp://***@host/stream"),  # mistyped
        ("0", "0"),
        ("C lips/fruit.mp4", "C lips/fruit.mp4"),
    ],
)
def test_addresses_are_shown_without_secrets(address: str, masked: str) -> None:
    assert mask(address) == masked


@pytest.mark.parametrize("spec", ["0", "webcam", "/dev/video0", "rtsp://host/s", "http://host/s"])
def test_cameras_that_may_appear_later_pass_the_early_check(spec: str) -> None:
    assert is_live(spec)
    check_source(spec)


def test_recordings_are_opened_by_the_early_check(video: Path, bad_video: Path) -> None:
    check_source(str(video))
    check_source("demo")
    for spec in (str(bad_video), "nothing-here.mp4", "ftp://host/video"):
        with pytest.raises(SourceError):
            check_source(spec)
