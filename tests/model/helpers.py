"""Small makers shared by the detector's tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model.anchors import coco_anchors
from model.weights import WeightsInfo, save_weights
from model.yolov3 import NECKS, YoloV3

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data"
DEFAULT_WEIGHTS = ROOT / "weights" / "default.safetensors"
NAMES = ("apple", "orange", "pear")


def info(
    names: tuple[str, ...] = NAMES, image_size: int = 96, neck: str = "slim", **more: object
) -> WeightsInfo:
    anchors = coco_anchors(len(NECKS[neck][0]))
    fields: dict = {
        "names": names,
        "anchors": tuple(tuple(map(tuple, scale)) for scale in anchors.tolist()),
        "image_size": image_size,
        "backbone": "efficientnet_lite0",
        "neck": neck,
        "mean": (127 / 255,) * 3,
        "std": (128 / 255,) * 3,
        "confidence": 0.5,
    }
    return WeightsInfo(**(fields | more))


def random_weights(folder: Path, seed: int = 0, **more: object) -> Path:
    """A weights file of an untrained network."""
    torch.manual_seed(seed)
    described = info(**more)
    path = folder / "random.safetensors"
    save_weights(
        path, YoloV3(len(described.classes), described.backbone, described.neck), described
    )
    return path


def lively_weights(path: Path, **more: object) -> Path:
    """A weights file whose maps vary as a trained network's: normalised, with strong heads."""
    torch.manual_seed(0)
    described = info(**more)
    model = YoloV3(len(described.classes), described.backbone, described.neck)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 64, 64))  # BatchNorm keeps this batch's statistics
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.weight.normal_(std=0.1)
                layer.bias.zero_()
    save_weights(path, model, replace(described, mean=model.backbone.mean, std=model.backbone.std))
    return path


def raw_maps(classes: int, image_size: int) -> list[np.ndarray]:
    """Three maps that say "nothing here" everywhere."""
    maps = []
    for stride in (8, 16, 32):
        grid = image_size // stride
        raw = np.zeros((3, 5 + classes, grid, grid), np.float32)
        raw[:, 4] = -10
        maps.append(raw)
    return maps
