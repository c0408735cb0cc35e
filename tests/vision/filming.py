"""Light and camera: flicker, drifting exposure, a shaking mount, a noisy sensor."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np

from tests.vision.script import Episode, Point

FLICKER_HZ = 100 - 3 * 30.0  # mains light against 30 pictures a second beats at 10 Hz


class Filming:
    """Films the pictures of one episode, the same way each time for its seed."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._dice = random.Random(episode.seed)
        self._phase = self._dice.uniform(0, 2 * math.pi)
        if episode.noise > 0:
            # A tile larger than the picture, cut elsewhere each time: drawing noise is slow.
            shape = (episode.height + 64, episode.width + 64, 3)
            noise = np.random.default_rng(episode.seed).normal(0, episode.noise, shape)
            self._brighter = np.clip(noise, 0, 255).astype(np.uint8)
            self._darker = np.clip(-noise, 0, 255).astype(np.uint8)

    def shift(self, t_s: float) -> Point:
        """Return how far the shaking mount moves the picture now, pixels."""
        strength = self._episode.shake_px
        return (
            strength * math.sin(2 * math.pi * 7.3 * t_s + self._phase),
            strength * 0.7 * math.sin(2 * math.pi * 5.1 * t_s),
        )

    def film(self, picture: np.ndarray, t_s: float, shift: Point) -> np.ndarray:
        episode = self._episode
        if episode.shake_px > 0:
            move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
            size = (episode.width, episode.height)
            picture = cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REPLICATE)
        gain = 1 + episode.flicker * math.sin(2 * math.pi * FLICKER_HZ * t_s + self._phase)
        gain *= 1 + episode.drift * math.sin(2 * math.pi * t_s / 20)
        if gain != 1:
            picture = cv2.convertScaleAbs(picture, alpha=gain)
        if episode.noise > 0:
            y, x = self._dice.randrange(64), self._dice.randrange(64)
            cut = (slice(y, y + episode.height), slice(x, x + episode.width))
            picture = cv2.subtract(cv2.add(picture, self._brighter[cut]), self._darker[cut])
        return picture
