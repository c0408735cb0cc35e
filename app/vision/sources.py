"""Where pictures come from: opening a source by its name; webcams and network streams."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from app.errors import SourceError
from app.vision.capture import mask, open_capture, read_capture
from app.vision.recordings import PICTURE_SUFFIXES, PictureFolder, VideoFile

DEMO = Path(__file__).with_name("demo.mp4")
SCHEMES = ("rtsp://", "rtsps://", "rtmp://", "http://", "https://")
WEBCAM_SIZE = (1280, 720)
STREAM_OPEN_TIMEOUT_MS = 5000
STREAM_READ_TIMEOUT_MS = 5000  # Camera notices a silence sooner; this only ends the wait
RETRY_BAD_READ_S = 0.3  # a webcam may lose single pictures without being lost itself

Picture = tuple[np.ndarray, float]


class Source(Protocol):
    """A stream of pictures, used by one thread."""

    @property
    def label(self) -> str:
        """Its name, fit for a screen or a log: holds no password."""
        ...

    @property
    def rate_fps(self) -> float | None:
        """Pictures per second; None: live, read() itself waits for the next picture."""
        ...

    @property
    def loops(self) -> bool:
        """Whether it begins again after its last picture."""
        ...

    def read(self) -> Picture | None:
        """Return the next picture, uint8 (H, W, 3) BGR, and its time in s, always rising.

        The time is the source's own: seconds since the beginning of a recording (going on through
        its loops), the monotonic clock for live sources. None: the end, or the camera is lost.
        Raises SourceError when what is there cannot be read.
        """
        ...

    def close(self) -> None:
        """Let go of the device or file; a second call does nothing."""
        ...


def open_source(spec: str, loop: bool = True) -> Source:
    """Open a source by its name.

    spec: device index ("0") or node ("/dev/video0"), "webcam" (the first that opens), an
    rtsp://, rtsps://, rtmp://, http:// or https:// address, a video file, a picture, a folder of
    pictures, or "demo". loop: recordings begin again at their end; live sources ignore it.
    Raises SourceError with one line that says what to do.
    """
    spec = spec.strip()
    if not spec:
        raise SourceError("an empty camera source: give a device number, file, folder or address")
    if spec == "demo":
        return VideoFile(DEMO, loop, label="demo")
    if spec == "webcam":
        return first_webcam()
    if spec.isascii() and spec.isdigit():
        return LiveCapture.webcam(Path(f"/dev/video{int(spec)}"))
    if "://" in spec:
        return LiveCapture.stream(spec)
    return _open_path(Path(spec).expanduser(), loop)


def check_source(spec: str) -> None:
    """Raise SourceError now for a recording that cannot be played, so that a start can fail early.

    Devices and addresses may appear later: they are only checked for their form.
    """
    if is_live(spec):
        if "://" in spec and not spec.lower().startswith(SCHEMES):
            raise _unknown_scheme(spec)
        return
    source = open_source(spec, loop=False)
    try:
        source.read()
    finally:
        source.close()


def is_live(spec: str) -> bool:
    """Say whether a spec names a webcam or an address, which may come back after a loss."""
    spec = spec.strip()
    return (
        spec == "webcam"
        or (spec.isascii() and spec.isdigit())
        or "://" in spec
        or spec.startswith("/dev/")
    )


def first_webcam() -> Source:
    """Open the first webcam that opens; raises SourceError when none does."""
    nodes = Path("/dev").glob("video[0-9]*")
    for node in sorted(nodes, key=lambda path: int(re.sub(r"\D", "", path.name) or 0)):
        try:
            return LiveCapture.webcam(node)
        except SourceError:
            continue  # a webcam also has nodes that carry no pictures
    raise SourceError("no webcam found: plug one in, or set CHECKOUT_CAMERA")


def _open_path(path: Path, loop: bool) -> Source:
    if path.is_char_device() or path.parent == Path("/dev"):
        return LiveCapture.webcam(path)
    if path.is_dir():
        return PictureFolder(path, loop)
    if not path.is_file():
        raise SourceError(
            f"no camera source {mask(str(path))!r}: give a device number, an existing file or "
            "folder, an address (rtsp://…, http://…), or demo"
        )
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PictureFolder(path, loop)
    return VideoFile(path, loop, label=path.name)


class LiveCapture:
    """A webcam or network stream; lost once read() returns None."""

    rate_fps = None
    loops = False

    def __init__(self, capture: cv2.VideoCapture, label: str) -> None:
        self.label = label
        self._capture = capture

    @classmethod
    def webcam(cls, node: Path) -> LiveCapture:
        """Open a video device at 1280 × 720, 30 fps, MJPG, or what it has nearest to that."""
        if not node.exists():
            raise SourceError(f"no camera at {node}: plug it in, or set CHECKOUT_CAMERA")
        number = re.fullmatch(r"video(\d+)", node.resolve().name)
        capture = open_capture(int(number[1]) if number else str(node), cv2.CAP_ANY, [])
        if not capture.isOpened():
            raise SourceError(
                f"the camera at {node} does not open: is another program using it, "
                "and may this user read it (group video)?"
            )
        # MJPG first: many webcams give 720p at 30 fps only compressed.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, WEBCAM_SIZE[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, WEBCAM_SIZE[1])
        capture.set(cv2.CAP_PROP_FPS, 30)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return cls(capture, node.name)

    @classmethod
    def stream(cls, address: str) -> LiveCapture:
        """Open an RTSP, RTMP or HTTP (MJPEG, HLS) address, with timeouts on opening and reading."""
        if not address.lower().startswith(SCHEMES):
            raise _unknown_scheme(address)
        timeouts = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            STREAM_OPEN_TIMEOUT_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            STREAM_READ_TIMEOUT_MS,
        ]
        capture = open_capture(address, cv2.CAP_FFMPEG, timeouts)
        if not capture.isOpened():
            raise SourceError(
                f"{mask(address)} does not answer with a video: check the address, "
                "the password and the network"
            )
        return cls(capture, mask(address))

    def read(self) -> Picture | None:
        """Wait for the next picture; its time is the monotonic clock."""
        give_up_at = time.monotonic() + RETRY_BAD_READ_S
        while True:
            image = read_capture(self._capture)
            if image is not None:
                return image, time.monotonic()
            if time.monotonic() > give_up_at:
                return None
            time.sleep(0.02)

    def close(self) -> None:
        """Release the device or connection."""
        self._capture.release()


def _unknown_scheme(address: str) -> SourceError:
    return SourceError(
        f"{mask(address)!r} is no address of a camera: it must begin with {', '.join(SCHEMES)}"
    )
