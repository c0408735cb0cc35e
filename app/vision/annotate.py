"""Boxes and names on a picture, and the picture as JPEG."""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from app.vision.settle import TrackView

Colour = tuple[int, int, int]  # BGR, 0…255
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels

DARK: Colour = (24, 24, 24)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotate(
    image: np.ndarray,
    tracks: Sequence[TrackView],
    names: Mapping[str, str],
    max_width: int | None = None,
) -> np.ndarray:
    """Draw boxes and labels on a copy of a picture, made smaller where it is wider than max_width.

    image: uint8 (H, W, 3) BGR, left as it is. tracks: boxes in pixels of the picture, clipped to
    it. A confirmed track gets a whole box, its name and score in percent, or its name and "?"
    while it is in doubt; one that is not yet confirmed only thin corners. names: key → name to show
    (Korean too: OpenCV 5 brings the letters); the key itself where absent. Without tracks: a plain
    copy.
    """
    picture = _copy(image, max_width or image.shape[1])
    scale = picture.shape[1] / image.shape[1]
    scaled = ((track, [scale * edge for edge in track.box_xyxy]) for track in tracks)
    boxes = [(track, box) for track, xyxy in scaled if (box := _clip(xyxy, picture.shape))]
    for track, box in boxes:
        (_draw_box if track.confirmed else _draw_corners)(picture, box, colour_of(track.key))
    for track, box in boxes:  # after all boxes, so that no line crosses a name
        if track.confirmed:
            how_sure = "?" if track.doubted else f" {track.score:.0%}"
            text = names.get(track.key, track.key) + how_sure
            _draw_label(picture, box, text, colour_of(track.key))
    return picture


def _copy(image: np.ndarray, max_width: int) -> np.ndarray:
    height, width = image.shape[:2]
    if width <= max_width:
        return image.copy()
    size = (max_width, max(1, round(height * max_width / width)))
    # Averaging costs five times more and shows only from a half on.
    how = cv2.INTER_AREA if width >= 2 * max_width else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=how)


def encode_jpeg(image: np.ndarray, quality: int = 80) -> bytes:
    """Encode a picture as JPEG: uint8 (H, W, 3) BGR, not empty (else cv2.error); 1…100."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


@cache
def colour_of(key: str) -> Colour:
    """Return a class's colour: always the same, and light, so that dark text on it is legible."""
    hue = zlib.crc32(key.encode()) / 2**32
    red, green, blue = colorsys.hls_to_rgb(hue, 0.76, 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)


def _clip(box_xyxy: Sequence[float], shape: Sequence[int]) -> Box | None:
    height, width = shape[:2]
    left, right = (min(max(round(x), 0), width - 1) for x in box_xyxy[0::2])
    top, bottom = (min(max(round(y), 0), height - 1) for y in box_xyxy[1::2])
    return (left, top, right, bottom) if right > left and bottom > top else None


def _line_width(picture: np.ndarray) -> int:
    return max(1, round(min(picture.shape[:2]) / 280))


def _draw_box(picture: np.ndarray, box: Box, colour: Colour) -> None:
    width = _line_width(picture)
    # A dark edge under the light line keeps it visible on white and on yellow.
    cv2.rectangle(picture, box[:2], box[2:], DARK, width + 2)
    cv2.rectangle(picture, box[:2], box[2:], colour, width)


def _draw_corners(picture: np.ndarray, box: Box, colour: Colour) -> None:
    left, top, right, bottom = box
    arm = max(2, min(right - left, bottom - top) // 6)
    width = max(1, _line_width(picture) // 2)
    for x, towards_x in ((left, arm), (right, -arm)):
        for y, towards_y in ((top, arm), (bottom, -arm)):
            cv2.line(picture, (x, y), (x + towards_x, y), colour, width)
            cv2.line(picture, (x, y), (x, y + towards_y), colour, width)


def _draw_label(picture: np.ndarray, box: Box, text: str, colour: Colour) -> None:
    height, width = picture.shape[:2]
    scale = max(0.4, min(height, width) / 900)
    stroke = max(1, round(scale * 1.6))
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, scale, stroke)
    pad = max(2, text_height // 3)
    tall, wide = text_height + baseline + pad, text_width + 2 * pad
    left = max(0, min(box[0], width - wide))
    top = box[1] - tall if box[1] >= tall else box[1]  # inside the box at the upper edge
    top = max(0, min(top, height - tall))
    cv2.rectangle(picture, (left, top), (left + wide, top + tall), colour, cv2.FILLED)
    at = (left + pad, top + text_height + pad // 2)
    cv2.putText(picture, text, at, FONT, scale, DARK, stroke, cv2.LINE_AA)
