"""Boxes and captions on pictures, in any script: OpenCV's own scalable font."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

BLUE, VERMILLION = (178, 114, 0), (0, 94, 213)  # BGR; told apart by the colour-blind (Okabe, Ito)
WHITE, GREY, BLACK = (255, 255, 255), (90, 90, 90), (0, 0, 0)


def write(
    image: np.ndarray,
    text: str,
    at: tuple[int, int],
    height: int = 15,
    colour: tuple[int, int, int] = BLACK,
) -> None:
    """Write one line into a picture, in place; ``at``: left end of its base line, pixels."""
    cv2.putText(image, text, at, colour, cv2.FontFace("uni"), height)


def text_width(text: str, height: int = 15) -> int:
    """Pixels that one written line takes."""
    return cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("uni"), height)[2]


def labelled_box(
    image: np.ndarray,
    box_xyxy: np.ndarray | tuple[float, float, float, float],
    label: str,
    colour: tuple[int, int, int] = BLUE,
) -> None:
    """Draw a box with its label on a plate of its colour, in place; the label stays inside."""
    rows, columns = image.shape[:2]
    x1, y1, x2, y2 = (round(float(v)) for v in box_xyxy)
    thick = max(2, round(max(rows, columns) / 400))
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, thick)
    height = max(13, round(max(rows, columns) / 45))
    across, down = text_width(label, height) + 6, round(1.35 * height)
    left = max(0, min(x1, columns - across))
    top = max(0, min(y1 - down, rows - down))
    cv2.rectangle(image, (left, top), (left + across, top + down), colour, cv2.FILLED)
    write(image, label, (left + 3, top + height), height, WHITE)


def save_jpeg(path: Path, image: np.ndarray) -> None:
    """Write a uint8 (H, W, 3) BGR picture; OSError where that cannot be done."""
    path.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
