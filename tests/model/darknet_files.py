"""Whole Darknet files made without this library, and the maps that another reader had from them.

``opencv_darknet.npz`` holds what OpenCV 4.10's own importer, ``cv2.dnn.readNetFromDarknet`` (which
OpenCV 5 no longer has), gave for these files with the layers of yolov3.cfg and yolov3-tiny.cfg at
one class, and for the picture below: the raw maps, finest first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SIDE = 64  # pixels
OUTPUTS = 3 * (5 + 1)  # of a head, at one class
Layers = Iterator[tuple[int, int, int, bool]]  # channels in and out, kernel, BatchNorm


def yolov3() -> Layers:
    """The convolutions of yolov3.cfg in their order."""
    yield 3, 32, 3, True
    for c, repeats in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        yield c // 2, c, 3, True
        for _ in range(repeats):
            yield c, c // 2, 1, True
            yield c // 2, c, 3, True
    for c_in, c in ((1024, 512), (256 + 512, 256), (128 + 256, 128)):
        if c < 512:
            yield 2 * c, c, 1, True  # up from the coarser scale
        for first in (c_in, 2 * c, 2 * c):
            yield first, c, 1, True
            yield c, 2 * c, 3, True
        yield 2 * c, OUTPUTS, 1, False


def yolov3_tiny() -> Layers:
    """The convolutions of yolov3-tiny.cfg in their order."""
    yield 3, 16, 3, True
    yield from ((c, 2 * c, 3, True) for c in (16, 32, 64, 128, 256, 512))
    yield 1024, 256, 1, True
    yield 256, 512, 3, True
    yield 512, OUTPUTS, 1, False
    yield 256, 128, 1, True
    yield 128 + 256, 256, 3, True
    yield 256, OUTPUTS, 1, False


def write(path: Path, layers: Layers) -> Path:
    """Random numbers as large as trained ones; the same on every machine."""
    random = np.random.RandomState(0).uniform  # NumPy never changes this generator
    with path.open("wb") as file:
        file.write(struct.pack("<iiiq", 0, 2, 0, 32_013_312))
        for c_in, c_out, kernel, normed in layers:
            bound = (6 / (c_in * kernel**2)) ** 0.5  # keeps the activations' size
            rest = [(0.5, 1.0), (-0.1, 0.1), (0.5, 1.5)] if normed else []
            for low, high in [(-0.1, 0.1), *rest]:
                file.write(random(low, high, c_out).astype("<f4").tobytes())
            size = c_out * c_in * kernel**2
            file.write(random(-bound, bound, size).astype("<f4").tobytes())
    return path


def picture() -> np.ndarray:
    """The input, float32 (1, 3, SIDE, SIDE) RGB in [0, 1]."""
    return np.random.RandomState(1).uniform(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
