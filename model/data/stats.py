"""What a data set is made of: classes, sizes, colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from model.boxes import Letterbox
from model.data.dataset import Labelled, read_picture

SMALL_PX2, MEDIUM_PX2 = 32**2, 96**2  # COCO: small below, medium below, large from there


@dataclass(frozen=True)
class Stats:
    """A data set in figures.

    pictures, backgrounds: how many there are, and how many of them have no box. boxes,
    pictures_with: (C,) of each class. sizes: (C, 3) boxes of each class that are small, medium and
    large in pixels of their pictures, as COCO counts. mean_rgb, std_rgb: of the pixels, in [0, 1],
    every picture counting the same, as every picture is shown to the network at the same size.
    """

    pictures: int
    backgrounds: int
    boxes: np.ndarray
    pictures_with: np.ndarray
    sizes: np.ndarray
    mean_rgb: tuple[float, ...]
    std_rgb: tuple[float, ...]


def measure(samples: Sequence[Labelled], classes: int) -> Stats:
    """Look at every picture, at least one, and count; DataError on one that is unreadable."""
    sizes = np.zeros((classes, 3), int)
    pictures_with = np.zeros(classes, int)
    first, second = np.zeros(3), np.zeros(3)  # moments of the pixels' values
    for sample in tqdm(samples, unit="img", desc="stats", disable=None):
        image = read_picture(sample.path)
        mean, std = (moment.ravel() / 255 for moment in cv2.meanStdDev(image))
        first += mean
        second += std**2 + mean**2
        class_ids = sample.boxes[:, 0].astype(int)
        area_px2 = sample.boxes[:, 3:].prod(1) * image.shape[0] * image.shape[1]
        np.add.at(sizes, (class_ids, np.digitize(area_px2, (SMALL_PX2, MEDIUM_PX2))), 1)
        pictures_with[np.unique(class_ids)] += 1
    mean_bgr = first / len(samples)
    std_bgr = np.sqrt(np.maximum(second / len(samples) - mean_bgr**2, 0))
    return Stats(
        len(samples),
        sum(not len(sample.boxes) for sample in samples),
        sizes.sum(1),
        pictures_with,
        sizes,
        tuple(mean_bgr[::-1].tolist()),
        tuple(std_bgr[::-1].tolist()),
    )


def input_sizes(samples: Sequence[Labelled]) -> np.ndarray:
    """The boxes' widths and heights as the network sees them, float32 (N, 2).

    They are fractions of the square input that each picture is fitted into.
    """
    found: list[np.ndarray] = [np.zeros((0, 2), np.float32)]
    for sample in tqdm(samples, unit="img", desc="sizes", disable=None):
        height, width = read_picture(sample.path).shape[:2]
        inner = np.array(Letterbox(width, height, 1000).inner, np.float32)
        found.append(sample.boxes[:, 3:] * inner / 1000)
    return np.concatenate(found)


def as_table(stats: Stats, names: Sequence[str]) -> str:
    """The figures as an aligned text table, one row a class."""
    titles = ("boxes", "pictures", "small", "medium", "large")
    lines = [f"{'class':<20}" + "".join(f"{title:>10}" for title in titles)]
    total = np.array([stats.boxes.sum(), stats.pictures, *stats.sizes.sum(0)])
    rows = np.column_stack((stats.boxes, stats.pictures_with, stats.sizes))
    for name, row in zip((*names, "all"), (*rows, total), strict=True):
        lines.append(f"{name:<20}" + "".join(f"{value:>10}" for value in row))
    mean, std = (",".join(f"{v:.4f}" for v in rgb) for rgb in (stats.mean_rgb, stats.std_rgb))
    lines.append(f"pictures without a box: {stats.backgrounds}")
    lines.append(f"mean and deviation of R, G, B in [0, 1]: --normalisation {mean}/{std}")
    return "\n".join(lines)
