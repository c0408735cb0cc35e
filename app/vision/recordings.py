"""Recordings: video files and folders of pictures, played by their own clock."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from app.errors import SourceError
from app.vision.capture import open_capture, read_capture

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
FOLDER_FPS = 10.0  # a folder repeats each picture at this rate …
SECONDS_PER_PICTURE = 4.0  # … longer than a hidden fruit is waited for, then settled on
DEFAULT_FPS = 30.0  # for recordings that do not say their rate

log = logging.getLogger("checkout.camera")


class VideoFile:
    """A recording, each picture at the time the file gives it."""

    def __init__(self, path: Path, loop: bool, label: str) -> None:
        self.label = label
        self.loops = loop
        self._path = path
        self._round_begins_s = 0.0
        self._last_t_s: float | None = None  # None: nothing read yet
        self._capture = self._open()
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_fps = rate if math.isfinite(rate) and 0.01 < rate < 1000 else DEFAULT_FPS

    def read(self) -> tuple[np.ndarray, float] | None:
        """Return the next picture of the file, or of its next round."""
        image = read_capture(self._capture)
        if image is None:
            if self._last_t_s is None:
                raise self._unreadable()
            if not self.loops:
                return None
            image = self._rewind()
        self._last_t_s = self._time_of_picture()
        return image, self._last_t_s

    def close(self) -> None:
        """Release the file."""
        self._capture.release()

    def _open(self) -> cv2.VideoCapture:
        if not self._path.is_file():
            raise SourceError(f"no video file {str(self._path)!r}: was it moved or deleted?")
        # A codec's threads, new ones each round, would scatter its pictures over the heaps.
        capture = open_capture(str(self._path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            raise self._unreadable()
        return capture

    def _rewind(self) -> np.ndarray:
        # Opening anew is exact; seeking is not, in files with few key frames.
        self._capture.release()
        self._capture = self._open()
        self._round_begins_s = (self._last_t_s or 0.0) + 1 / self.rate_fps
        image = read_capture(self._capture)
        if image is None:
            raise self._unreadable()
        return image

    def _time_of_picture(self) -> float:
        own_s = self._round_begins_s + self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._last_t_s is None:
            return own_s if math.isfinite(own_s) else 0.0
        # Broken files repeat or lack times; they then advance by one picture.
        return own_s if own_s > self._last_t_s else self._last_t_s + 1 / self.rate_fps

    def _unreadable(self) -> SourceError:
        return SourceError(
            f"no picture can be read from {str(self._path)!r}: "
            "give a video that plays (mp4, avi, mkv)"
        )


class PictureFolder:
    """Pictures by name, each shown for 4 s at 10 fps; unreadable ones are skipped and named."""

    rate_fps = FOLDER_FPS

    def __init__(self, path: Path, loop: bool) -> None:
        self.label = path.name
        self.loops = loop
        self.skipped: set[str] = set()  # names of pictures that could not be read
        self._paths = _pictures_in(path)
        self._next_path = 0
        self._image: np.ndarray | None = None
        self._shows_left = 0
        self._shown = 0

    def read(self) -> tuple[np.ndarray, float] | None:
        """Return the picture shown now; the same array as long as it is shown."""
        if self._shows_left == 0:
            self._image = self._load_next()
            self._shows_left = round(FOLDER_FPS * SECONDS_PER_PICTURE)
        if self._image is None:
            return None
        self._shows_left -= 1
        self._shown += 1
        return self._image, (self._shown - 1) / FOLDER_FPS

    def close(self) -> None:
        """Forget the picture."""
        self._image = None

    def _load_next(self) -> np.ndarray | None:
        for _ in range(len(self._paths)):
            if self._next_path == len(self._paths):
                if not self.loops:
                    return None
                self._next_path = 0
            path = self._paths[self._next_path]
            self._next_path += 1
            image = read_picture(path)
            if image is not None:
                return image
            self._skip(path.name)
        if len(self.skipped) == len(self._paths):
            raise SourceError(
                f"none of the {len(self._paths)} pictures in {self.label!r} can be read: "
                "put whole JPEG or PNG files there"
            )
        return None

    def _skip(self, name: str) -> None:
        if name not in self.skipped:
            self.skipped.add(name)
            log.warning("skipped picture=%s reason=unreadable", name)


def read_picture(path: Path) -> np.ndarray | None:
    """Read one picture file as uint8 (H, W, 3) BGR; None when it is missing or no picture."""
    try:
        data = np.fromfile(path, np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None


def _pictures_in(path: Path) -> Sequence[Path]:
    if path.is_file():
        return [path]
    try:
        paths = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as error:
        raise SourceError(f"the folder {str(path)!r} cannot be read: {error.strerror}") from error
    if not paths:
        raise SourceError(f"the folder {str(path)!r} holds no pictures: put JPEG or PNG into it")
    return paths
