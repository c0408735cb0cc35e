"""Worse cameras and lamps, to see what a detector makes of them.

After Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions" (ICLR
2019): the same pictures under one condition after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import albumentations as A  # noqa: N812
import cv2
import numpy as np
import yaml

from model.data.augment import build_all
from model.data.dataset import DataError

CONDITIONS = Path(__file__).with_suffix(".yaml")


def load_conditions(path: Path = CONDITIONS) -> dict[str, A.Compose]:
    """Names of conditions and what they do to a picture, in the file's order.

    path: YAML, a name to a list of albumentations' ImageOnlyTransforms. Raises DataError.
    """
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not a YAML file of conditions ({error})") from error
    if not isinstance(read, dict):
        raise DataError(f"{path}: expected lines 'name:' with transforms under each")
    return {str(name): _condition(steps, f"{path}: {name}") for name, steps in read.items()}


def _condition(steps: Any, where: str) -> A.Compose:
    transforms = build_all(steps, {}, where)
    for transform in transforms:
        if not isinstance(transform, A.ImageOnlyTransform):  # the boxes would stay behind
            kind = type(transform).__name__
            raise DataError(f"{where}: {kind} may move what is seen; take ImageOnlyTransforms")
    return A.Compose(transforms)


def under(
    condition: A.Compose, pictures: Iterable[tuple[np.ndarray, np.ndarray]], seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The pictures, uint8 (H, W, 3) BGR, and their boxes as a condition shows them."""
    condition.set_random_seed(seed)
    for image, boxes in pictures:
        seen = condition(image=cv2.cvtColor(image, cv2.COLOR_BGR2RGB))["image"]
        yield cv2.cvtColor(seen, cv2.COLOR_RGB2BGR), boxes
