"""Contact sheets: pages of pictures with their boxes drawn, so that labels can be seen."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from model.boxes import Letterbox
from model.data.dataset import DataError, Labelled, read_picture

TILE = 260  # pixels; six across fit a screen
CAPTION = 18
ACROSS = 6
FONT = cv2.FONT_HERSHEY_SIMPLEX


def class_colours(classes: int) -> list[tuple[int, int, int]]:
    """A BGR colour for each class: hues a golden angle apart, in turns light and dark."""
    colours = []
    for number in range(classes):
        rgb = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.9, (1.0, 0.75)[number % 2])
        colours.append(tuple(round(255 * v) for v in reversed(rgb)))
    return colours  # type: ignore[return-value]


def draw_boxes(image: np.ndarray, boxes: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A copy of a uint8 (H, W, 3) BGR picture with boxes (N, 5), class and cxcywh in [0, 1]."""
    out = image.copy()
    colours = class_colours(len(names))
    height, width = image.shape[:2]
    for class_id, cx, cy, w, h in boxes:
        colour, name = colours[int(class_id)], names[int(class_id)]
        x1, y1 = int((cx - w / 2) * width), int((cy - h / 2) * height)
        x2, y2 = int((cx + w / 2) * width) - 1, int((cy + h / 2) * height) - 1
        cv2.rectangle(out, (x1, y1), (x2, y2), colour, 2)
        (across, down), _ = cv2.getTextSize(name, FONT, 0.4, 1)
        x1, y1 = max(0, min(x1, width - across - 4)), max(0, y1)
        cv2.rectangle(out, (x1, y1), (x1 + across + 4, y1 + down + 6), colour, cv2.FILLED)
        text = (0, 0, 0) if sum(colour) > 300 else (255, 255, 255)
        cv2.putText(out, name, (x1 + 2, y1 + down + 3), FONT, 0.4, text, 1, cv2.LINE_AA)
    return out


def tile(sample: Labelled, names: Sequence[str]) -> np.ndarray:
    """A picture with its boxes over its file's name, uint8 (TILE + CAPTION, TILE, 3)."""
    try:
        image = read_picture(sample.path)
    except DataError:
        image = np.zeros((TILE, TILE, 3), np.uint8)
        cv2.putText(image, "unreadable", (80, TILE // 2), FONT, 0.6, (80, 80, 255), 1, cv2.LINE_AA)
    fit = Letterbox(image.shape[1], image.shape[0], TILE)
    shrunk = cv2.resize(image, fit.inner, interpolation=cv2.INTER_AREA)
    out = np.full((TILE + CAPTION, TILE, 3), 40, np.uint8)
    down, across = shrunk.shape[:2]
    out[fit.top : fit.top + down, fit.left : fit.left + across] = draw_boxes(
        shrunk, sample.boxes, names
    )
    name = sample.path.stem.encode("ascii", "replace").decode()[-40:]
    cv2.putText(out, name, (3, TILE + 13), FONT, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def contact_sheets(
    samples: Sequence[Labelled], names: Sequence[str], folder: Path, per_page: int = 30
) -> list[Path]:
    """Write ``page_001.jpg``… of the pictures, in order, into a folder; the pages' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(samples), per_page)
    pages = []
    for number, start in enumerate(tqdm(starts, unit="page", desc="sheets", disable=None), 1):
        tiles = [tile(sample, names) for sample in samples[start : start + per_page]]
        pages.append(folder / f"page_{number:03d}.jpg")
        cv2.imwrite(str(pages[-1]), sheet(tiles), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return pages


def sheet(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Tiles of one size, at least one, side by side in rows of ACROSS."""
    across = min(ACROSS, len(tiles))
    empty = [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    every = [*tiles, *empty]
    rows = [every[i : i + across] for i in range(0, len(every), across)]
    return np.vstack([np.hstack(row) for row in rows])
