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
from model.drawing import WHITE, labelled_box, write

TILE = 260  # pixels; six across fit a screen
CAPTION = 18
ACROSS = 6


def class_colours(classes: int) -> list[tuple[int, int, int]]:
    """A BGR colour for each class, dark enough for white text: hues a golden angle apart."""
    colours = []
    for number in range(classes):
        hue, value = number * 0.618034 % 1, (0.85, 0.6)[number % 2]
        red, green, blue = (round(255 * v) for v in colorsys.hsv_to_rgb(hue, 0.95, value))
        colours.append((blue, green, red))
    return colours


def draw_boxes(image: np.ndarray, boxes: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A copy of a uint8 (H, W, 3) BGR picture with boxes (N, 5), class and cxcywh in [0, 1]."""
    out = image.copy()
    colours = class_colours(len(names))
    for class_id, cx, cy, w, h in boxes * np.array([1, *image.shape[1::-1], *image.shape[1::-1]]):
        box_xyxy = (cx - w / 2, cy - h / 2, cx + w / 2 - 1, cy + h / 2 - 1)
        labelled_box(out, box_xyxy, names[int(class_id)], colours[int(class_id)])
    return out


def tile(sample: Labelled, names: Sequence[str]) -> np.ndarray:
    """A picture with its boxes over its file's name, uint8 (TILE + CAPTION, TILE, 3)."""
    try:
        image = read_picture(sample.path)
    except DataError:
        image = np.zeros((TILE, TILE, 3), np.uint8)
        write(image, "unreadable", (80, TILE // 2), colour=WHITE)
    fit = Letterbox.of(image, TILE)
    shrunk = cv2.resize(image, fit.inner, interpolation=cv2.INTER_AREA)
    out = np.full((TILE + CAPTION, TILE, 3), 40, np.uint8)
    down, across = shrunk.shape[:2]
    out[fit.top : fit.top + down, fit.left : fit.left + across] = draw_boxes(
        shrunk, sample.boxes, names
    )
    write(out, sample.path.stem[-34:], (3, TILE + 13), 12, WHITE)
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
