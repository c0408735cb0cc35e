"""Fruit cut out of photographs with a plain ground, for scenes to be composed of.

Everything that is unlike the ground in colour is fruit. The ground is what the photograph's rim
shows, with a slow change of light across it; what is only darker than it is a shadow.
"""

from __future__ import annotations

import cv2
import numpy as np

PHOTO_PX = 1280  # longest side of a photograph that is kept: scenes show fruit smaller
WORK_PX = 480  # outlines are sought at this size
SHADOW_DEPTH = 0.6  # share of the ground's L that a shadow may take; anything darker is a thing
SHADOW_SHARE = 0.12  # what darkness up to that counts, beside a difference in colour
LEAST_DISTANCE = 9.0  # Lab units between fruit and ground; 2.3 is just noticeable
MOST_UNEVEN = 12.5  # Lab units: a rim that differs more from one smooth colour is no plain ground
LEAST_SHARE, MOST_SHARE = 0.006, 0.85  # of the photograph that a fruit covers
LEAST_OF_LARGEST = 0.25  # smaller pieces beside a fruit are leaves, labels, dirt
RIM = 0.03  # share of the photograph's sides that is taken for ground


class CannotCut(Exception):
    """A photograph without a fruit that could be cut out; the message says why."""


def cut_out(image: np.ndarray, trust_ground: bool = False) -> list[np.ndarray]:
    """Cut the fruits out of a uint8 (H, W, 3) BGR photograph on a plain ground.

    trust_ground: the ground is one colour all over, so that unlikeness to it decides alone, and no
    GrabCut (Rother et al., SIGGRAPH 2004) over where the outline runs. Returns uint8 (h, w, 4) BGRA
    pictures with soft edges, from left to right; a fruit that the photograph cuts off is left out.
    Raises CannotCut.
    """
    image = _at_most(image, PHOTO_PX)
    small = _at_most(image, WORK_PX)
    distance, threshold = ground_distance(small)
    mask = (distance > threshold).astype(np.uint8)
    if not trust_ground:
        mask = _grab(small, distance, threshold)
    pieces = _pieces(_tidied(mask))
    if not pieces:
        raise CannotCut("no whole fruit that stands out from the ground")
    return [_soft_cut(image, piece) for piece in pieces]


def _at_most(image: np.ndarray, longest_px: int) -> np.ndarray:
    scale = min(1.0, longest_px / max(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def ground_distance(image: np.ndarray) -> tuple[np.ndarray, float]:
    """How unlike the ground each pixel is, float32 (H, W) in Lab units, and where fruit begins.

    Raises CannotCut where the rim is no plain ground.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    rim = _rim(image.shape[0], image.shape[1])
    ground = _smooth_ground(lab, rim)
    lightness, lit = lab[:, :, 0], np.maximum(ground[:, :, 0], 0)
    darker = np.maximum(lit - lightness, 0)
    shadow = np.minimum(darker, SHADOW_DEPTH * lit)
    light = np.maximum(lightness - lit, 0) + (darker - shadow) + SHADOW_SHARE * shadow
    # Lab's axes are cube roots: less of the same light shrinks L + 16, a and b alike
    dimmed = 1 - shadow / (lit + 16)
    colour = lab[:, :, 1:] - ground[:, :, 1:] * dimmed[:, :, None]
    distance = np.sqrt(light**2 + (colour**2).sum(-1))
    distance = cv2.GaussianBlur(distance, (0, 0), 1.2)
    uneven = float(np.percentile(distance[rim], 75))
    if uneven > MOST_UNEVEN:
        raise CannotCut("the ground is not plain: use a sheet of one colour, without a pattern")
    return distance, max(LEAST_DISTANCE, 2.5 * uneven)


def _rim(height: int, width: int) -> np.ndarray:
    side = max(2, round(RIM * max(height, width)))
    rim = np.ones((height, width), bool)
    rim[side:-side, side:-side] = False
    return rim


def _smooth_ground(lab: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """The ground's colour at each pixel: a plane through the rim's, things on the rim left out."""
    height, width = rim.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack((np.ones_like(x), x, y), axis=-1)
    known, colours = terms[rim], lab[rim].astype(float)
    off = np.abs(colours - np.median(colours, axis=0)).sum(-1)
    for _ in range(3):
        usual = off <= max(float(np.percentile(off, 70)), 2.0)
        plane, *_ = np.linalg.lstsq(known[usual], colours[usual], rcond=None)
        off = np.abs(colours - known @ plane).sum(-1)
    return (terms @ plane).astype(np.float32)


def _grab(image: np.ndarray, distance: np.ndarray, threshold: float) -> np.ndarray:
    """GrabCut, begun with what is surely fruit and surely ground."""
    likely = (distance > threshold).astype(np.uint8)
    core = cv2.erode((distance > 1.6 * threshold).astype(np.uint8), _disc(9))
    near = cv2.dilate(likely, _disc(15))
    state = np.where(likely > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    state[core > 0] = cv2.GC_FGD
    state[(near == 0) | (distance < 0.8 * threshold)] = cv2.GC_BGD
    if not (core.any() and (state == cv2.GC_BGD).any()):
        return likely
    cv2.setRNGSeed(0)  # GrabCut's clusters begin by chance
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image, state, (0, 0, 0, 0), models[0], models[1], 3, cv2.GC_INIT_WITH_MASK)
    return np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)


def _disc(side: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _tidied(mask: np.ndarray) -> np.ndarray:
    """Without specks and thin rests of shadows, and without holes (highlights)."""
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disc(7))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _disc(5))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, cv2.FILLED)


def _pieces(mask: np.ndarray) -> list[np.ndarray]:
    """A mask for each whole fruit, uint8 (H, W) of 0 and 1, from left to right."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    height, width = mask.shape
    found = []
    largest = stats[1:, cv2.CC_STAT_AREA].max(initial=0)
    for number, (x, y, w, h, area) in enumerate(stats[1:], 1):
        inside = x > 0 and y > 0 and x + w < width and y + h < height
        share = area / mask.size
        if inside and LEAST_SHARE < share < MOST_SHARE and area >= LEAST_OF_LARGEST * largest:
            found.append((x, (labels == number).astype(np.uint8)))
    return [piece for _, piece in sorted(found, key=lambda f: f[0])]


def _soft_cut(image: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """One fruit, its edge soft and free of the ground's colour: uint8 (h, w, 4) BGRA."""
    x, y, w, h = cv2.boundingRect(piece)
    factor = image.shape[1] / piece.shape[1], image.shape[0] / piece.shape[0]
    left, top = int(max(x - 2, 0) * factor[0]), int(max(y - 2, 0) * factor[1])
    right, bottom = int((x + w + 2) * factor[0]), int((y + h + 2) * factor[1])
    alpha = cv2.resize(piece.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    alpha, part = alpha[top:bottom, left:right], image[top:bottom, left:right]
    soft = 1.2 * max(factor)
    # half a blur further in: the outermost pixels are mixed with the ground
    alpha = np.clip(cv2.GaussianBlur(alpha, (0, 0), soft) * 2 - 0.9, 0, 1)
    inner = (cv2.erode((alpha > 0.99).astype(np.uint8), _disc(3)) > 0).astype(np.float32)
    spread = 2.5 * soft
    weight = cv2.GaussianBlur(inner, (0, 0), spread)[:, :, None]
    inside = cv2.GaussianBlur(part * inner[:, :, None], (0, 0), spread) / np.maximum(weight, 1e-3)
    edge = (inner[:, :, None] == 0) & (weight > 1e-3)
    colour = np.where(edge, inside, part)
    return np.dstack((colour, 255 * alpha)).round().clip(0, 255).astype(np.uint8)
