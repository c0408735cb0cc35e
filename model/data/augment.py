"""What a training picture goes through before the network sees it.

The original project measured: geometry and brightness-contrast help; colour jitter and hue hurt,
because fruit is told apart by its colour. So hue stays, light changes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache

import albumentations as A  # noqa: N812
import cv2
import numpy as np

from model.boxes import PAD_GREY, Letterbox

GREY = (PAD_GREY,) * 3


@dataclass(frozen=True)
class AugmentConfig:
    """What happens to training pictures.

    preset: name of a shipped YAML of transforms, or a path. mosaic, mixup, copy_paste: chance of
    each a picture, in [0, 1].
    """

    preset: str = "default"
    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: float = 0.0


@lru_cache
def training_transform(size: int) -> A.Compose:
    """The training augmentation to a square of ``size`` pixels; boxes go along as pascal_voc.

    One object a process and size, since building it costs more than using it; call
    ``set_random_seed`` before each picture.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # albumentations warns of arguments of its own making
        return A.Compose(
            [
                A.LongestMaxSize(max_size=int(size * 1.1)),
                A.PadIfNeeded(
                    int(size * 1.1), int(size * 1.1), border_mode=cv2.BORDER_CONSTANT, fill=GREY
                ),
                A.D4(p=0.6),
                A.Affine(
                    scale=(0.45, 1.15),
                    rotate=(-20, 20),
                    shear=(-8, 8),
                    translate_percent=(-0.1, 0.1),
                    rotate_method="ellipse",
                    fill=GREY,
                    p=0.6,
                ),
                A.RandomCrop(size, size),
                A.RandomBrightnessContrast(0.25, 0.25, p=0.5),
                A.OneOf(
                    [
                        A.GaussianBlur(blur_limit=(3, 5)),
                        A.MotionBlur(blur_limit=(3, 7)),
                        A.GaussNoise(std_range=(0.01, 0.05)),
                    ],
                    p=0.15,
                ),
                A.ImageCompression(quality_range=(40, 90), p=0.15),
            ],
            bbox_params=A.BboxParams(
                "pascal_voc", label_fields=["class_ids"], min_visibility=0.3, min_area=36, clip=True
            ),
        )


def augment(
    transform: A.Compose, image: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Apply a transform to a picture and its boxes (N, 5) of class and cxcywh in [0, 1]."""
    height, width = image.shape[:2]
    half = boxes[:, 3:] / 2
    corners = np.concatenate((boxes[:, 1:3] - half, boxes[:, 1:3] + half), axis=1)
    corners = np.clip(corners, 0, 1) * [width, height, width, height]
    out = transform(image=image, bboxes=corners, class_ids=boxes[:, 0])
    return out["image"], _to_rows(out["bboxes"], out["class_ids"], *out["image"].shape[1::-1])


def letterbox(image: np.ndarray, boxes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit a picture and its boxes (N, 5) into the square input without any augmentation."""
    height, width = image.shape[:2]
    fit = Letterbox(width, height, size)
    rows = boxes.copy()
    rows[:, 1:3] = (rows[:, 1:3] * fit.inner + (fit.left, fit.top)) / size
    rows[:, 3:] = rows[:, 3:] * fit.inner / size
    return fit.apply(image), rows


def _to_rows(corners: np.ndarray, class_ids: np.ndarray, width: int, height: int) -> np.ndarray:
    corners = np.asarray(corners, np.float32).reshape(-1, 4) / [width, height, width, height]
    size = corners[:, 2:] - corners[:, :2]
    centre = corners[:, :2] + size / 2
    rows = np.concatenate((np.reshape(class_ids, (-1, 1)), centre, size), axis=1)
    return rows.astype(np.float32)
