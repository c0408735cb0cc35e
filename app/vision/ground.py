"""What the bare counter looks like: so a hand over it is noticed, and a place that is empty again.

The detector knows fruit only. Of two fruits that it no longer sees, one lies under a hand and one
was taken away; where the counter can be seen, the fruit cannot be. And what lies there for long,
apart from all fruit and every arm, may be one that it does not find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from app.vision.cells import CELLS_ACROSS
from app.vision.geometry import BoxXYXY

LIMIT = 18.0  # of 255, by which a cell of the counter may differ: shaken wood grain leaves 12
DARKEST_SHADOW = 0.5  # of the light that falls beside it
SHADOW_TINT = 0.06  # a shadow takes the same share of red, green and blue, within so much
LEARN_PER_S = 10.0  # of 255: what stays becomes counter in 10 to 20 s, a passing hand does not
HAND_SHARE = 0.002  # of the picture: two finger tips
BLOB = np.ones((2, 2), np.uint8)  # cells; single ones are a shaken edge
STAYS_S = 4.0  # what covers a cell for longer is no hand
SPARE_S = 1.0  # of staying, by which a thing outlasts a few noisy pictures
WHOLE = np.ones((3, 3), np.uint8)  # cells; what is thinner is an edge, a stain or a shadow's rim
FRUIT_CELLS = 4  # a side of the smallest fruit, in cells
FRUIT_LONG = 2.5  # one side of the other, at most
FRUIT_FULL = 0.5  # of its box, at least: a circle fills 0.79
DARK = 12.0  # of 255, the brightest of a picture in which nothing can be seen
LOST_SHARE = 0.5  # of the counter that differs: somebody leans over it …
LOST_S = 10.0  # … or, for so long, it is another one, or the mount was knocked
INNER = 0.7  # of a box: its corners show counter, round fruit or not
MARGIN = 0.1  # of a box's sides, and a cell: its edge and the darkest of its shadow


class Ground:
    """Remembers the counter's colours in cells; unknown where it was never seen bare.

    is_covered: whether something other than fruit, such as a hand, came or moved over it lately.
    strangers: boxes, in pixels, of things like fruit in size and shape that have stayed there, each
    until it is taken, found by the detector or accepted, whatever touches or hides it meanwhile.
    """

    def __init__(self) -> None:
        self.is_covered = False
        self._cell_px = 1.0
        self._forget((1, 1, 3))

    def _forget(self, shape: tuple[int, ...]) -> None:
        """Begin anew, with cells of a shape (rows, columns, 3)."""
        self._bare: np.ndarray = np.full(shape, np.nan, np.float32)  # NaN: unknown
        self._under: np.ndarray = self._bare.copy()  # the counter under what was accepted
        self._now: np.ndarray = self._bare
        self._unlike: np.ndarray = np.zeros(shape[:2], bool)
        self._strange: np.ndarray = self._unlike
        self._stays_s: np.ndarray = np.zeros(shape[:2], np.float32)
        self.strangers: list[BoxXYXY] = []
        self._is_lost = self._is_dark = False
        self._lost_s = 0.0

    def look(self, cells: np.ndarray, width: float) -> None:
        """Compare a picture's ``cells_of`` with the bare counter; width: the picture's, pixels."""
        self._cell_px = width / CELLS_ACROSS
        if self._bare.shape != cells.shape:
            self._forget(cells.shape)
        known = ~np.isnan(self._bare[..., 0])
        # Light and exposure change everywhere alike: what most of the counter does is taken out.
        gains = (cells[known] + 1) / (self._bare[known] + 1)  # (n, 3)
        self._now = cells / np.median(gains, axis=0) if known.any() else cells
        self._unlike = known & _unlike(self._now, self._bare)
        self._is_dark = bool(np.quantile(cells, 0.9) < DARK)
        differs = self._unlike.sum() > LOST_SHARE * self._unlike.size
        self._is_lost = self._is_dark or bool(differs)
        if not self._is_lost:
            self._uncover()

    def _uncover(self) -> None:
        """Where what was accepted is taken away, the counter is what it was before."""
        back = ~np.isnan(self._under[..., 0])
        back[back] = ~_unlike(self._now[back], self._under[back])
        self._bare[back], self._under[back], self._unlike[back] = self._under[back], np.nan, False

    def bare_share(self, box_xyxy: BoxXYXY) -> float:
        """Share of a box's inner part, in [0, 1], that is known to look like the bare counter."""
        part = self._part(box_xyxy, (INNER - 1) / 2, 0)
        bare = ~np.isnan(self._bare[part][..., 0]) & ~self._unlike[part]
        return float(bare.mean()) if bare.size and not self._is_lost else 0.0

    def unlike_share(self, box_xyxy: BoxXYXY) -> float:
        """Share of a box's inner part, in [0, 1], that is known to look like something else."""
        part = self._unlike[self._part(box_xyxy, (INNER - 1) / 2, 0)]
        return float(part.mean()) if part.size and not self._is_lost else 0.0

    def other_share(self, box_xyxy: BoxXYXY, fruits_xyxy: Iterable[BoxXYXY]) -> float:
        """Share of a box, in [0, 1], that shows neither the bare counter nor these fruits."""
        part = (self._unlike & self._beside(fruits_xyxy))[self._part(box_xyxy, 0, 0)]
        return float(part.mean()) if part.size else 0.0

    def watch(self, boxes_xyxy: Iterable[BoxXYXY], step_s: float) -> None:
        """Note what lies or moves beside the fruits in these boxes; call it for each picture.

        step_s: seconds since the last one.
        """
        learnt = self._is_lost and not self._is_dark  # in the dark there is nothing to learn
        self._lost_s = self._lost_s + step_s if learnt else 0.0
        if self._lost_s > LOST_S:
            self._forget(self._bare.shape)
        if self._is_lost:  # of what can be seen then nothing is sure
            self.is_covered = True
            return
        there = self._unlike & self._beside(boxes_xyxy)
        change = np.where(there, step_s, -2 * step_s)  # one noisy picture is soon made good
        self._stays_s = np.clip(self._stays_s + change, 0.0, STAYS_S + SPARE_S)
        stays = self._stays_s >= STAYS_S
        blobs = cv2.morphologyEx((there & ~stays).astype(np.uint8), cv2.MORPH_OPEN, BLOB)
        self.is_covered = int(blobs.sum()) > HAND_SHARE * blobs.size
        self._find_strange(there, stays)

    def _find_strange(self, there: np.ndarray, stays: np.ndarray) -> None:
        strange = self._strange & stays
        rows, columns = stays.shape
        for thing, (left, top, right, bottom) in _like_fruit(there | stays) if stays.any() else ():
            if left > 0 and top > 0 and right < columns and bottom < rows:
                strange |= thing & stays
        self._strange, self.strangers = np.zeros_like(stays), []
        px = self._cell_px
        for thing, (left, top, right, bottom) in _like_fruit(strange):
            self._strange |= thing
            self.strangers.append((px * left, px * top, px * right, px * bottom))

    def accept(self) -> None:
        """Take the strange things for the counter: somebody said that they are no fruit."""
        rim = cv2.dilate(self._strange.astype(np.uint8), WHOLE).astype(bool)
        first = rim & np.isnan(self._under[..., 0])
        self._under[first] = self._bare[first]
        self._bare[rim], self._stays_s[rim] = self._now[rim], 0.0

    def learn(self, boxes_xyxy: Iterable[BoxXYXY], step_s: float) -> None:
        """Take what lies beside these boxes and is not strange for the counter, slowly."""
        free = self._beside(boxes_xyxy) & ~self._strange
        most = LEARN_PER_S * step_s
        change = np.clip(self._now[free] - self._bare[free], -most, most)
        learnt = self._bare[free] + change
        self._bare[free] = np.where(np.isnan(learnt), self._now[free], learnt)

    def _beside(self, boxes_xyxy: Iterable[BoxXYXY]) -> np.ndarray:
        free = np.ones(self._unlike.shape, bool)
        for box_xyxy in boxes_xyxy:
            free[self._part(box_xyxy, MARGIN, 1)] = False
        return free

    def _part(self, box_xyxy: BoxXYXY, grow: float, cells: int) -> tuple[slice, slice]:
        """Cells of a box whose sides go outwards by a share of their length and whole cells."""
        left, top, right, bottom = (edge / self._cell_px for edge in box_xyxy)
        dx, dy = grow * (right - left) + cells, grow * (bottom - top) + cells
        rows = slice(max(0, int(top - dy)), max(0, int(np.ceil(bottom + dy))))
        return rows, slice(max(0, int(left - dx)), max(0, int(np.ceil(right + dx))))


def _unlike(now: np.ndarray, bare: np.ndarray) -> np.ndarray:
    """Which cells are neither the bare counter nor its shadow: (…, 3) twice → (…)."""
    light = (now + 8) / (bare + 8)  # 8: in the dark, noise is no colour
    mean = light.mean(axis=-1)
    tint = np.abs(light - mean[..., None]).max(axis=-1)
    shadow = (mean < 1) & (mean > DARKEST_SHADOW) & (tint < SHADOW_TINT)
    return (np.abs(now - bare).max(axis=-1) > LIMIT) & ~shadow


def _like_fruit(mask: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[int, int, int, int]]]:
    """The parts of a mask (h, w) that may be a fruit by size and shape, with their boxes."""
    if not mask.any():
        return
    whole = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, WHOLE)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(whole)
    for label in range(1, count):
        left, top, width, height, area = stats[label]
        short, long = sorted((width, height))
        solid = area >= FRUIT_FULL * width * height
        if solid and short >= FRUIT_CELLS and long <= FRUIT_LONG * short:
            yield labels == label, (left, top, left + width, top + height)
