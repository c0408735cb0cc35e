"""Pictures of fruit and hands with soft edges and shadows, blended onto a counter quickly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

LONGEST_PX = {  # longest side of each fruit on a counter 80 cm wide, 1280 pixels across
    "apple": 132,
    "orange": 132,
    "peach": 125,
    "lime": 100,
    "lemon": 128,
    "pear": 165,
    "dragon_fruit": 190,
    "oriental_melon": 190,
    "grapes": 215,
    "melon": 255,
    "pineapple": 430,
    "watermelon": 340,
    "durian": 360,
}
SKINS_BGR = ((150, 180, 226), (120, 152, 205), (72, 98, 150))
SLEEVES_BGR = ((110, 74, 48), (70, 70, 76), (96, 120, 60))
SHADOW_STRENGTH = 0.5
PAD = 40  # room around a fruit for its shadow

Point = tuple[float, float]
Course = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Sprite:
    """A picture to lay over another.

    colour: uint8 (h, w, 3), already multiplied by alpha. keep: uint8 (h, w, 3), what share of the
    ground stays (255: all). shadow: the same for its shadow. anchor: the point of the sprite that
    goes to a given place, pixels. box_xyxy: its solid part, relative to the anchor.
    """

    colour: np.ndarray
    keep: np.ndarray
    shadow: np.ndarray | None
    anchor: tuple[int, int]
    box_xyxy: tuple[int, int, int, int]

    @property
    def radius(self) -> float:
        left, top, right, bottom = self.box_xyxy
        return max(right - left, bottom - top) / 2


def key_of(cutout: Path) -> str:
    """Return the class of "cutouts/oriental_melon_2.png" or "cutouts/oriental_melon/x.png"."""
    folder = cutout.parent.name
    return cutout.stem.rpartition("_")[0] if folder == "cutouts" else folder


@lru_cache(maxsize=64)
def fruit_sprite(cutout: Path, angle_deg: float, scale: float) -> Sprite:
    """Load a cut-out at its size on the counter, turned; scale 1 is a picture 1280 pixels wide."""
    bgra = cv2.imread(str(cutout), cv2.IMREAD_UNCHANGED)
    assert bgra is not None, cutout
    assert bgra.shape[2] == 4, cutout
    factor = LONGEST_PX.get(key_of(cutout), 150) * scale / max(bgra.shape[:2])
    if key_of(cutout) == "watermelon":
        bgra = _smooth_outline(bgra)
    bgra = _premultiply(bgra)  # before scaling, else the ground of the photo bleeds into the edge
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    bgra = cv2.resize(bgra, None, fx=factor, fy=factor, interpolation=how)
    return _sprite(_turn(bgra, angle_deg, round(PAD * scale)), with_shadow=True)


@lru_cache(maxsize=32)
def hand_sprite(angle_deg: float, scale: float, look: int) -> Sprite:
    """Draw a forearm and hand reaching up the picture; its anchor is where the fingers begin."""
    bgra = _draw_hand(look % 6)
    bgra = cv2.resize(bgra, None, fx=scale / 2, fy=scale / 2, interpolation=cv2.INTER_AREA)
    anchor = (HAND_ANCHOR[0] * scale / 2, HAND_ANCHOR[1] * scale / 2)
    height, width = bgra.shape[:2]
    turn = cv2.getRotationMatrix2D(anchor, -angle_deg, 1.0)
    side = round(abs(height * math.sin(math.radians(angle_deg)))) + 2
    turn[0, 2] += side
    size = (width + 2 * side, height)
    bgra = cv2.warpAffine(bgra, turn, size, flags=cv2.INTER_LINEAR)
    return _sprite(bgra, with_shadow=True, anchor=(round(anchor[0]) + side, round(anchor[1])))


def lay(picture: np.ndarray, sprite: Sprite, at: Point, lift: float = 0.0) -> None:
    """Blend a sprite and its shadow into a picture, in place; parts outside are cut off.

    lift: 0 lies on the counter … 1 is held high: the shadow goes further away.
    """
    if sprite.shadow is not None:
        away = (at[0] + 5 + 30 * lift, at[1] + 8 + 45 * lift)
        _multiply(picture, sprite.shadow, sprite.anchor, away)
    window, part = _overlap(picture, sprite.colour, sprite.anchor, at)
    if window.size:
        cv2.multiply(window, sprite.keep[part], dst=window, scale=1 / 255)
        cv2.add(window, sprite.colour[part], dst=window)


def share_covered(below: Sprite, at: Point, above: Sprite, above_at: Point) -> float:
    """Return which share of one sprite's solid part lies under another, in [0, 1]."""
    solid = below.keep[..., 0] < 128
    canvas = np.full(below.keep.shape, 255, np.uint8)
    origin = (at[0] - below.anchor[0], at[1] - below.anchor[1])
    moved = (above_at[0] - origin[0], above_at[1] - origin[1])
    _multiply(canvas, above.keep, above.anchor, moved)
    return float((canvas[..., 0][solid] < 128).mean())


def _smooth_outline(bgra: np.ndarray) -> np.ndarray:
    # These were cut out with pieces of what lay beside them; the fruit itself has no corners.
    side = max(bgra.shape[:2]) // 3
    margin = cv2.copyMakeBorder(bgra, side, side, side, side, cv2.BORDER_CONSTANT)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    margin[..., 3] = cv2.morphologyEx(margin[..., 3], cv2.MORPH_OPEN, disc)
    return margin[side:-side, side:-side]


def _premultiply(bgra: np.ndarray) -> np.ndarray:
    # A pixel less all round, then soft: photographs of fruit have no hard edge.
    alpha = cv2.erode(bgra[..., 3], np.ones((3, 3), np.uint8))
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.8).astype(np.float32)[..., None]
    colour = bgra[..., :3].astype(np.float32) * (alpha / 255)
    return np.dstack([colour, alpha])


def _turn(bgra: np.ndarray, angle_deg: float, pad: int) -> np.ndarray:
    height, width = bgra.shape[:2]
    side = math.ceil(math.hypot(height, width)) + 2 * pad
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1.0)
    turn[:, 2] += (side - width) / 2, (side - height) / 2
    return cv2.warpAffine(bgra, turn, (side, side), flags=cv2.INTER_LINEAR)


def _sprite(bgra: np.ndarray, with_shadow: bool, anchor: tuple[int, int] | None = None) -> Sprite:
    alpha = np.clip(bgra[..., 3], 0, 255)
    keep = (255 - alpha).round().astype(np.uint8)
    height, width = alpha.shape
    anchor = anchor or (width // 2, height // 2)
    left, top, wide, tall = cv2.boundingRect((keep < 128).astype(np.uint8))
    x, y = left - anchor[0], top - anchor[1]
    soft = cv2.GaussianBlur(alpha, (0, 0), max(3.0, width / 45))
    shadow = (255 - SHADOW_STRENGTH * soft).round().astype(np.uint8)
    return Sprite(
        colour=np.clip(bgra[..., :3], 0, 255).round().astype(np.uint8),
        keep=cv2.merge([keep] * 3),
        shadow=cv2.merge([shadow] * 3) if with_shadow else None,
        anchor=anchor,
        box_xyxy=(x, y, x + wide, y + tall),
    )


def _overlap(
    picture: np.ndarray, layer: np.ndarray, anchor: tuple[int, int], at: Point
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Return the window of the picture under a layer, and the part of the layer over it."""
    x, y = round(at[0]) - anchor[0], round(at[1]) - anchor[1]
    height, width = layer.shape[:2]
    left, right = max(x, 0), min(x + width, picture.shape[1])
    top, bottom = max(y, 0), min(y + height, picture.shape[0])
    if left >= right or top >= bottom:
        return picture[:0, :0], (slice(0), slice(0))
    return picture[top:bottom, left:right], (slice(top - y, bottom - y), slice(left - x, right - x))


def _multiply(picture: np.ndarray, layer: np.ndarray, anchor: tuple[int, int], at: Point) -> None:
    window, part = _overlap(picture, layer, anchor, at)
    if window.size:
        cv2.multiply(window, layer[part], dst=window, scale=1 / 255)


# The hand, drawn at twice its size. Lengths are half-pixels at 1280 across, fingers point up.
HAND_SIZE = (560, 2200)
HAND_ANCHOR = (280, 300)
FINGERS: tuple[tuple[Course, int], ...] = (  # from the back of the hand to the tip, thickness
    (((-70, 170), (-96, 20), (-122, -120)), 60),
    (((-26, 170), (-33, 0), (-44, -190)), 64),
    (((22, 170), (32, 2), (36, -180)), 64),
    (((62, 170), (92, 26), (106, -128)), 56),
)
THUMB: tuple[Course, int] = (((-50, 300), (-140, 150), (-196, 30)), 68)
BACK = ((-112, 70), (-110, 190), (-72, 340), (72, 340), (104, 190), (112, 70), (60, 30), (-60, 30))
FOREARM = (
    (-60, 200),
    (-74, 320),
    (-88, 600),
    (-112, 1900),
    (112, 1900),
    (88, 600),
    (74, 320),
    (60, 200),
)
SLEEVE = ((-112, 560), (-140, 900), (-160, 1900), (160, 1900), (140, 900), (112, 560))


@lru_cache(maxsize=6)
def _draw_hand(look: int) -> np.ndarray:
    shape = _height(_polygon(FOREARM), 80)
    shape = np.maximum(shape, _height(_polygon(BACK), 75))
    for course, thickness in (*FINGERS, THUMB):
        shape = np.maximum(shape, _height(_line(course, thickness), thickness / 2))
    bgra = np.zeros((*shape.shape, 4), np.float32)
    _paint(bgra, shape, SKINS_BGR[look % 3])
    _paint(bgra, _height(_polygon(SLEEVE), 120), SLEEVES_BGR[look % 3])
    return bgra[:, ::-1].copy() if look % 2 else bgra


def _polygon(points: Course) -> np.ndarray:
    mask = np.zeros(HAND_SIZE[::-1], np.uint8)
    cv2.fillPoly(mask, [np.add(points, HAND_ANCHOR).astype(np.int32)], 255)
    return cv2.GaussianBlur(mask, (0, 0), 16)  # rounds the corners


def _line(course: Course, thickness: int) -> np.ndarray:
    mask = np.zeros(HAND_SIZE[::-1], np.uint8)
    points = np.add(course, HAND_ANCHOR).astype(np.int32)
    cv2.polylines(mask, [points], False, 255, thickness)
    return mask


def _height(mask: np.ndarray, radius: float) -> np.ndarray:
    """Return a solid with the round cross-section of a limb, 0 outside … 1 in the middle."""
    inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 5)
    inside = np.clip(inside / radius, 0, 1)
    return np.sqrt(inside * (2 - inside))


def _paint(bgra: np.ndarray, height: np.ndarray, colour: tuple[int, int, int]) -> None:
    alpha = cv2.GaussianBlur((height > 0).astype(np.float32), (0, 0), 1.5)[..., None]
    height = cv2.GaussianBlur(height, (0, 0), 7)  # flesh has no sharp folds
    slope = (cv2.Sobel(height, cv2.CV_32F, 1, 0) + cv2.Sobel(height, cv2.CV_32F, 0, 1)) / 8
    # Light from the upper left, and less of it in the folds between the fingers.
    shade = np.clip(0.55 + 0.45 * height + 3.0 * slope, 0.3, 1.2)[..., None]
    warm = np.array([0.94, 0.98, 1.0], np.float32) ** (1 - height[..., None])
    bgra[..., :3] *= 1 - alpha
    bgra[..., :3] += np.array(colour, np.float32) * shade * warm * alpha
    bgra[..., 3:] = bgra[..., 3:] * (1 - alpha) + 255 * alpha
