"""The only cv2.VideoCapture of the project, opened and read so that it neither throws nor tells."""

from __future__ import annotations

import os
import re

import cv2
import numpy as np

from app.errors import SourceError

AV_LOG_QUIET = "-8"  # as FFmpeg numbers it


def mask(spec: str) -> str:
    """Hide what may be a secret in an address: user, password and query."""
    return re.sub(r"\?.*", "?***", re.sub(r":/+.*@", "://***@", spec))


def open_capture(what: int | str, backend: int, parameters: list[int]) -> cv2.VideoCapture:
    """Open a device (number or node), address or file with one of OpenCV's backends.

    parameters: pairs of cv2.CAP_PROP_… and value. The caller checks isOpened(). Raises SourceError
    when OpenCV throws.
    """
    # OpenCV and FFmpeg write to stderr whatever they cannot open, again and again, and the
    # address may hold a password. What went wrong is in the errors and the log.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", AV_LOG_QUIET)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        if isinstance(what, int):
            return cv2.VideoCapture(what, backend, parameters)
        return cv2.VideoCapture(what, backend, parameters)
    except cv2.error as error:
        shown = mask(what) if isinstance(what, str) else f"camera {what}"
        raise SourceError(f"{shown} cannot be opened: {error.err}") from error


def read_capture(capture: cv2.VideoCapture) -> np.ndarray | None:
    """Read the next picture, uint8 (H, W, 3) BGR; None when there is none, for whatever reason."""
    # After an unplug OpenCV may report success with no picture, or throw.
    try:
        success, image = capture.read()
    except cv2.error:
        return None
    return image if success and image is not None and image.ndim == 3 and image.size else None
