"""What a training picture goes through before the network sees it.

A preset is a YAML list of albumentations transforms with their arguments; those that ship lie in
``augmentations/``. Mixing pictures with each other (mosaic, mixup, copy-paste) is in ``mix.py``.
"""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import albumentations as A  # noqa: N812
import cv2
import numpy as np
import yaml
from albumentations.augmentations.crops.transforms import CropSizeError

from model.boxes import Letterbox
from model.data.dataset import DataError

FOLDER = Path(__file__).with_name("augmentations")
PRESETS = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
Sides = dict[str, float]  # arguments given as shares of the input: of how many pixels


@dataclass(frozen=True)
class AugmentConfig:
    """How training pictures are changed.

    preset: name of a shipped preset or path of a YAML file of one's own. scene_preset: the same,
    for scenes that were composed. mosaic, mixup, copy_paste: chance that a picture is mixed with
    others in this way, in [0, 1].
    """

    preset: str = "default"
    scene_preset: str = "scene"
    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: float = 0.0


@lru_cache
def load_transform(preset: str, size: int, shape: tuple[int, int] = (1, 1)) -> A.Compose:
    """Build a preset for an input of at most ``size`` × ``size`` pixels; boxes go as pascal_voc.

    shape: width and height of the pictures that the input holds, as a ratio. One object a process,
    preset, size and shape, since building it costs more than using it; call ``set_random_seed``
    before each picture. Raises DataError, naming the file and the transform, for a preset that
    cannot be built.
    """
    path = FOLDER / f"{preset}.yaml" if preset in PRESETS else Path(preset)
    try:
        steps = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        known = ", ".join(PRESETS)
        raise DataError(f"{path}: neither a preset ({known}) nor a YAML file ({error})") from error
    boxes = A.BboxParams(
        "pascal_voc", label_fields=["class_ids"], min_visibility=0.3, min_area=36, clip=True
    )
    transforms = build_all(steps, _sides(size, shape), str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a preset may well move no box
        return A.Compose(transforms, bbox_params=boxes)


def _sides(size: int, shape: tuple[int, int]) -> Sides:
    width, height = Letterbox(*shape, size, tight=True).outer
    middle = (width * height) ** 0.5  # so that pictures of another shape fill as much of the input
    return {
        **dict.fromkeys(("height", "min_height"), height),
        **dict.fromkeys(("width", "min_width"), width),
        "max_size": middle,
    }


def build_all(steps: Any, sides: Sides, where: str) -> list[Any]:
    """Transforms from a preset's list. where: the file, for the DataError about a wrong one."""
    if not isinstance(steps, list):
        raise DataError(f"{where}: expected a list of '- Transform: {{argument: value}}'")
    return [_build(step, sides, where) for step in steps]


def _build(step: Any, sides: Sides, where: str) -> Any:
    """One transform from ``{Name: {argument: value}}`` or just ``Name``."""
    step = {step: {}} if isinstance(step, str) else step
    if not isinstance(step, dict) or len(step) != 1:
        raise DataError(f"{where}: expected '- Transform: {{argument: value}}', got {step!r}")
    [(name, arguments)] = step.items()
    kind = getattr(A, str(name), None)
    if not (inspect.isclass(kind) and issubclass(kind, (A.BasicTransform, A.BaseCompose))):
        raise DataError(f"{where}: albumentations has no transform {name!r}")
    arguments = _arguments(kind, arguments or {}, sides, f"{where}: {name}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what albumentations doubts, it does not do as asked
        try:
            return kind(**arguments)
        except (TypeError, ValueError, Warning) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{where}: {name}: {reason}") from error


def _arguments(kind: type, given: Any, sides: Sides, where: str) -> dict[str, Any]:
    """The arguments for an input of these sides; inner transforms built."""
    known = set(inspect.signature(kind).parameters)
    if not isinstance(given, dict) or not set(given) <= known:
        wrong = ", ".join(map(str, set(given) - known)) if isinstance(given, dict) else repr(given)
        raise DataError(f"{where}: does not know {wrong}; it takes {', '.join(sorted(known))}")
    try:
        scaled = {k: int(v * sides[k]) if k in sides else v for k, v in given.items()}
    except (TypeError, ValueError):
        sizes = ", ".join(sorted(set(sides) & set(given)))
        raise DataError(f"{where}: {sizes} must be a share of the input") from None
    scaled = {k: tuple(v) if isinstance(v, list) else v for k, v in scaled.items()}
    if "transforms" in given:
        scaled["transforms"] = build_all(given["transforms"], sides, where)
    return scaled


def augment(
    transform: A.Compose, image: np.ndarray, boxes: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Apply a transform to a BGR picture and its boxes (N, 5) of class and cxcywh in [0, 1].

    Returns what comes out in a tight input of at most ``size`` × ``size`` pixels, its boxes as
    ``letterbox`` gives them. Raises DataError where a transform cannot take the picture.
    """
    height, width = image.shape[:2]
    half = boxes[:, 3:] / 2
    corners = np.concatenate((boxes[:, 1:3] - half, boxes[:, 1:3] + half), axis=1)
    corners = np.clip(corners, 0, 1) * [width, height, width, height]
    rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)  # albumentations' lamps and JPEGs are RGB
    try:
        out = transform(image=rgb, bboxes=corners, class_ids=boxes[:, 0])
    except (CropSizeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"the preset cannot take a picture of {width}×{height}: {reason}"
        ) from error
    image = cv2.cvtColor(out["image"], cv2.COLOR_RGB2BGR)
    rows = _to_rows(out["bboxes"], out["class_ids"], *image.shape[1::-1])
    return letterbox(image, rows, size, tight=True)


def letterbox(
    image: np.ndarray, boxes: np.ndarray, size: int, *, tight: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a picture and its boxes (N, 5) into the input without any augmentation.

    The boxes become shares of ``size`` pixels; a tight input may be longer.
    """
    fit = Letterbox.of(image, size, tight=tight)
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
