"""A scene in the making: what is seen, and who is on top at each pixel."""

from __future__ import annotations

import cv2
import numpy as np

from model.data.library import DISTRACTOR
from model.data.light import Light, shadow

LEAST_VISIBLE = 0.4  # a fruit hidden more than this gets no box: nobody could name it
NOBODY = -1
COARSE = 4  # spots are sought on every fourth pixel
TRIES = 20


class Scene:
    """A picture on which fruit is put down one after the other.

    canvas: uint8 (H, W, 3) BGR, changed in place. rows: (N, 5) boxes of what is in it already,
    which later fruit will not hide. light: falls on everything that is put down.
    """

    def __init__(self, canvas: np.ndarray, light: Light, rows: np.ndarray | None = None) -> None:
        self.canvas, self.light = canvas, light
        rows = np.empty((0, 5)) if rows is None else rows
        self.owner = np.full(canvas.shape[:2], NOBODY, np.int16)
        self.placed: list[tuple[int, int]] = []  # class id and whole area in pixels, by number
        self._rows = rows
        height, width = canvas.shape[:2]
        for class_id, cx, cy, w, h in rows:
            left, right = int((cx - w / 2) * width), int((cx + w / 2) * width)
            top, bottom = int((cy - h / 2) * height), int((cy + h / 2) * height)
            self.owner[top:bottom, left:right] = len(self.placed)
            self.placed.append((int(class_id), (right - left) * (bottom - top)))

    def find_spot(
        self, alpha: np.ndarray, most_overlap: float, rng: np.random.Generator
    ) -> tuple[int, int] | None:
        """Where a thing (uint8 (h, w) alpha) hides no more than a share of any other.

        Returns its upper left corner, up to a quarter outside of the picture; None when 20 tries
        find no such place.
        """
        owner, mask = self.owner[::COARSE, ::COARSE], alpha[::COARSE, ::COARSE] > 127
        (height, width), (h, w) = owner.shape, mask.shape
        areas = np.array([area / COARSE**2 for _, area in self.placed])
        hidden_before = areas - np.bincount(owner[owner >= 0], minlength=len(areas))
        touch = bool(self.placed) and rng.random() < 0.35
        for _ in range(TRIES):
            x = int(rng.integers(-w // 4, max(width - w + w // 4, 1 - w // 4)))
            y = int(rng.integers(-h // 4, max(height - h + h // 4, 1 - h // 4)))
            under, part = window(owner, mask, x, y)
            below = under[part]
            below = below[below >= 0]
            if part.sum() < 0.65 * mask.sum() or (touch and not len(below)):
                continue
            hidden = np.bincount(below, minlength=len(areas))
            too_much = (hidden > 0) & (hidden_before + hidden > most_overlap * areas)
            if len(below) <= 1.5 * most_overlap * mask.sum() and not too_much.any():
                return x * COARSE, y * COARSE
        return None

    def put(self, sprite: np.ndarray, spot: tuple[int, int], class_id: int) -> None:
        """Put a fruit, premultiplied uint8 (h, w, 4) BGRA, down at a spot."""
        self.cast(sprite, spot)
        self.lay(sprite, spot)
        top, mask = window(self.owner, sprite[:, :, 3] > 127, *spot)
        top[mask] = len(self.placed)
        self.placed.append((class_id, int((sprite[:, :, 3] > 127).sum())))

    def cast(self, sprite: np.ndarray, spot: tuple[int, int]) -> None:
        """Darken what lies around a thing."""
        light, border = shadow(sprite[:, :, 3], self.light)
        ground, light = window(self.canvas, light, spot[0] - border, spot[1] - border)
        if ground.size:
            ground[:] = _dimmed(ground, light)

    def lay(self, sprite: np.ndarray, spot: tuple[int, int]) -> None:
        """Blend a thing over the picture; boxes do not change."""
        ground, part = window(self.canvas, sprite, *spot)
        if ground.size:  # nothing of what lies beside the picture
            ground[:] = cv2.add(_dimmed(ground, 255 - part[:, :, 3]), part[:, :, :3].copy())

    def hide(self, sprite: np.ndarray) -> bool:
        """Cover fruit with something as large as the picture, unless it hides half of one.

        Returns whether it was laid: a fruit that is hidden whole would leave a box of nothing.
        """
        mask = sprite[:, :, 3] > 127
        areas = np.array([area for _, area in self.placed])
        covered = np.bincount(self.owner[mask & (self.owner >= 0)], minlength=len(areas))
        if (covered > areas / 2).any():
            return False
        self.cast(sprite, (0, 0))
        self.lay(sprite, (0, 0))
        self.owner[mask] = NOBODY
        return True

    def rows(self) -> np.ndarray:
        """float32 (N, 5) rows: those given, then what is visible of each fruit put down."""
        height, width = self.canvas.shape[:2]
        rows = [self._rows]
        for number, (class_id, area) in enumerate(self.placed):
            if number < len(self._rows) or class_id == DISTRACTOR:
                continue
            mask = (self.owner == number).view(np.uint8)
            if cv2.countNonZero(mask) >= LEAST_VISIBLE * area:
                x, y, w, h = cv2.boundingRect(mask)
                box = (x + w / 2) / width, (y + h / 2) / height, w / width, h / height
                rows.append(np.array([(class_id, *box)]))
        return np.concatenate(rows).astype(np.float32)


def _dimmed(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A uint8 (h, w, 3) picture in the light of uint8 (h, w), 255 for all of it."""
    return cv2.multiply(image.copy(), cv2.merge([light] * 3), scale=1 / 255)


def window(canvas: np.ndarray, sprite: np.ndarray, x: int, y: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of a canvas under a sprite at (x, y), and the part of the sprite inside it."""
    height, width = canvas.shape[:2]
    left, top = max(x, 0), max(y, 0)
    right = max(min(x + sprite.shape[1], width), left)
    bottom = max(min(y + sprite.shape[0], height), top)
    return canvas[top:bottom, left:right], sprite[top - y : bottom - y, left - x : right - x]
