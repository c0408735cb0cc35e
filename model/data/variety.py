"""Other individuals: no two fruits of a kind look alike, and cut-outs are few."""

from __future__ import annotations

import cv2
import numpy as np

from model.data.surfaces import noise

LONGER = 0.07  # a fruit becomes so much longer or wider, and less so the other way
LEANING = 0.05  # of a shear
HUE = 2.5  # of OpenCV's 180: an orange and a lemon lie ten apart
BLUSH = 3.0  # the same, of patches
PALE, RICH = 0.8, 1.25  # of the saturation
MOTTLE = 0.2  # patches brighter and darker than the rest


def shaped(rng: np.random.Generator) -> np.ndarray:
    """Another build: float64 (2, 2), to be applied to a cut-out about its middle."""
    longer = np.exp(rng.uniform(-LONGER, LONGER))
    lean = rng.uniform(-LEANING, LEANING, 2)
    return np.array([[longer, lean[0]], [lean[1], 1 / longer]])


def coloured(image: np.ndarray, mate: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Another skin: premultiplied uint8 (h, w, 4) BGRA of the same outline.

    mate: a cut-out of the same kind, of any size, upright as this one is: patches of its skin are
    taken over.
    """
    if mate is not None:
        image = _crossed(image, mate, rng)
    h, w = image.shape[:2]
    hue, saturation, value = cv2.split(cv2.cvtColor(image[:, :, :3], cv2.COLOR_BGR2HSV))
    patches = 2 * _patches(rng, w, h) - 1
    turn = rng.uniform(-HUE, HUE) + rng.uniform(0, BLUSH) * patches
    hue = np.mod(np.rint(hue + turn), 180).astype(np.uint8)
    saturation = cv2.convertScaleAbs(saturation, alpha=rng.uniform(PALE, RICH))
    bright = 1 + rng.uniform(0, MOTTLE) * (2 * _patches(rng, w, h) - 1)
    alpha = image[:, :, 3]
    # premultiplied colours are never brighter than their alpha
    value = cv2.min(cv2.multiply(value, bright, dtype=cv2.CV_8U), alpha)
    return np.dstack((cv2.cvtColor(cv2.merge((hue, saturation, value)), cv2.COLOR_HSV2BGR), alpha))


def _crossed(image: np.ndarray, mate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Patches of a mate's skin where both are opaque."""
    h, w = image.shape[:2]
    method = cv2.INTER_AREA if mate.shape[0] > h else cv2.INTER_LINEAR
    mate = cv2.resize(mate, (w, h), interpolation=method)
    both = ((image[:, :, 3] > 250) & (mate[:, :, 3] > 250)).astype(np.float32)
    rim = max(3, max(h, w) // 12 | 1)
    inside = cv2.blur(cv2.erode(both, np.ones((rim, rim), np.uint8)), (rim, rim)) * both
    share = rng.uniform(0.1, 0.8) + rng.uniform(0, 2) * (_patches(rng, w, h) - 0.5)
    share = (share.clip(0, 1) * inside)[:, :, None]
    colours = image[:, :, :3] * (1 - share) + mate[:, :, :3] * share
    return np.dstack((colours.astype(np.uint8), image[:, :, 3]))


def _patches(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Smooth noise in [0, 1], float32 (height, width), with two to six patches across."""
    cell = max(2, int(max(width, height) / rng.uniform(2, 6)))
    return noise(rng, width, height, (cell, cell))
