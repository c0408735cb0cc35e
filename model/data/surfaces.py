"""Generated surfaces and textures, for tables that nobody has photographed."""

from __future__ import annotations

import cv2
import numpy as np

SURFACES = 32
SEEDS = {"train": 100, "val": 200, "test": 300}  # each split has its own tables


def plain_surfaces(split: str) -> list[np.ndarray]:
    """Empty tables, uint8 (480, 640, 3) BGR each; the same ones each time."""
    rng = np.random.default_rng(SEEDS.get(split, 0))
    return [surface(rng, 640, 480) for _ in range(SURFACES)]


def surface(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """One table: a muted colour, brushed, clouded or speckled; uint8 (height, width, 3) BGR."""
    grey = rng.uniform(30, 230)
    colour = grey * rng.uniform(0.9, 1.1, 3)
    if rng.random() < 0.4:
        colour = grey * np.array([0.55, 0.78, 1.05]) * rng.uniform(0.92, 1.08, 3)  # wood, cork
    cells = [(40, 40), (3, 90), (90, 3), (8, 8)][rng.integers(4)]
    pattern = noise(rng, width, height, cells) + 0.5 * noise(rng, width, height, (2, 2))
    gain = 1 + rng.uniform(0.02, 0.15) * (pattern - 0.75)
    return np.clip(colour * gain[:, :, None], 0, 255).astype(np.uint8)


def noise(rng: np.random.Generator, width: int, height: int, cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise in [0, 1], float32 (height, width), with cells of (width, height) pixels."""
    shape = height // cells[1] + 3, width // cells[0] + 3
    coarse = rng.random(shape, dtype=np.float32)
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def wrinkles(rng: np.random.Generator, width: int, height: int, cell: int) -> np.ndarray:
    """Sharp bright ridges as on foil or crumpled paper, float32 (height, width) in [0, 1]."""
    ridges = 1 - np.abs(2 * noise(rng, width, height, (cell, cell * 2)) - 1)
    finer = 1 - np.abs(2 * noise(rng, width, height, (max(cell // 2, 2),) * 2) - 1)
    return ridges**4 * (0.4 + 0.6 * finer)
