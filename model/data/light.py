"""The light of a scene: where shadows fall, how fruit is shaded, how the camera sees it all."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LOW_LAMPS = 0.3  # share of scenes lit from the side: shadows as long and as round as fruit
COARSE = 4  # shadows are soft: a quarter of the resolution is enough for them


@dataclass(frozen=True)
class Light:
    """One lamp for all that lies in a scene.

    away: (x, y) in the picture, length 1, where shadows fall. reach: their length and softness:
    their blur, as shares of a thing's size. depth: darkness of the shadow, contact: of the dark
    seam where a thing rests, shading: how much darker its far side is, all in [0, 1].
    """

    away: tuple[float, float]
    reach: float
    softness: float
    depth: float
    contact: float
    shading: float


def draw_light(rng: np.random.Generator) -> Light:
    """A lamp like those over counters, from straight above, or low at the side; hard to soft."""
    angle = rng.uniform(0, 2 * np.pi)
    low = rng.random() < LOW_LAMPS
    return Light(
        away=(float(np.cos(angle)), float(np.sin(angle))),
        reach=rng.uniform(0.18, 0.8) if low else rng.uniform(0.0, 0.18),
        softness=rng.uniform(0.015 if low else 0.03, 0.13),
        depth=rng.uniform(0.1, 0.5),
        contact=rng.uniform(0.2, 0.6),
        shading=rng.uniform(0.0, 0.22),
    )


def shadow(alpha: np.ndarray, light: Light) -> tuple[np.ndarray, int]:
    """How much light a thing leaves to its surroundings, and how far its shadow reaches.

    alpha: uint8 (h, w) of the thing. Returns uint8 (h + 2b, w + 2b), 255 for all light, and b in
    pixels.
    """
    size = max(alpha.shape)
    h, w = alpha.shape
    small = cv2.resize(alpha, (w // COARSE + 1, h // COARSE + 1), interpolation=cv2.INTER_AREA)
    border = 2 + int(size * (light.reach + 2 * light.softness)) // COARSE
    small = np.pad(small.astype(np.float32) / 255, border)
    shift = [light.reach * size / COARSE * part for part in light.away]
    cast = cv2.warpAffine(small, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), small.shape[::-1])
    cast = _blur(cast, light.softness * size / COARSE)
    seam = _blur(small, 0.03 * size / COARSE)
    left = 255 * (1 - light.depth * cast) * (1 - light.contact * seam)
    border *= COARSE
    whole = w + 2 * border, h + 2 * border
    return cv2.resize(left.astype(np.uint8), whole, interpolation=cv2.INTER_LINEAR), border


def _blur(image: np.ndarray, radius: float) -> np.ndarray:
    side = max(1, int(radius)) * 2 + 1
    return cv2.blur(cv2.blur(image, (side, side)), (side, side))


def shade(sprite: np.ndarray, light: Light, tint: np.ndarray) -> np.ndarray:
    """Light a premultiplied uint8 (h, w, 4) thing from the lamp's side and tint it (3,)."""
    h, w = sprite.shape[:2]
    across = np.linspace(-light.away[0], light.away[0], w, dtype=np.float32)
    down = np.linspace(-light.away[1], light.away[1], h, dtype=np.float32)
    gain = 1 - light.shading * (across + down[:, None])
    blue, green, red, alpha = cv2.split(sprite)
    lit = [
        # premultiplied colours are never brighter than their alpha
        cv2.min(cv2.multiply(channel, gain * np.float32(share), dtype=cv2.CV_8U), alpha)
        for channel, share in zip((blue, green, red), tint, strict=True)
    ]
    return cv2.merge([*lit, alpha])


def photograph(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A scene as a camera delivers it: uneven light, exposure, white balance, blur, noise."""
    # white balance stays within what keeps an orange from becoming a lemon
    balance = rng.uniform(0.75, 1.2) * rng.uniform(0.94, 1.06, 3)
    gain = _unevenness(canvas.shape[1], canvas.shape[0], rng)
    channels = [
        cv2.multiply(channel, gain * np.float32(share), dtype=cv2.CV_8U)
        for channel, share in zip(cv2.split(canvas), balance, strict=True)
    ]
    if rng.random() < 0.4:
        grain = rng.standard_normal(canvas.shape[:2], dtype=np.float32) * rng.uniform(1, 9)
        channels = [cv2.add(channel, grain, dtype=cv2.CV_8U) for channel in channels]
    image = cv2.merge(channels)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3))
    return image


def _unevenness(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Brightness over the picture, around 1: a gradient, a lamp's spot, a dark rim."""
    x = np.linspace(-1, 1, width // 16 + 2, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height // 16 + 2, dtype=np.float32)[:, None]
    gain = np.ones((y.size, x.size), np.float32)
    if rng.random() < 0.6:
        gain += rng.uniform(-0.2, 0.2) * x + rng.uniform(-0.15, 0.15) * y
    if rng.random() < 0.3:
        distance = (x - rng.uniform(-1, 1)) ** 2 + (y - rng.uniform(-1, 1)) ** 2
        gain += rng.uniform(0.1, 0.35) * np.exp(-distance / rng.uniform(0.1, 0.6))
    if rng.random() < 0.3:
        gain -= rng.uniform(0.05, 0.2) * (x**2 + y**2) / 2
    return cv2.resize(gain, (width, height), interpolation=cv2.INTER_LINEAR)
