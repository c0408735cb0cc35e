"""What the runtimes share: checks of the picture, decode and NMS."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.boxes import Letterbox
from model.decode import fruits, to_detections
from model.detector import Detection
from model.weights import WeightsInfo, load_weights
from model.yolov3 import YoloV3

BATCHNORM = nn.BatchNorm2d, nn.SyncBatchNorm


class BaseDetector(ABC):
    """A detector whose runtime only has to turn a picture into raw maps."""

    runtime: str
    precision = "float32"  # what it computes in
    at_once = 1  # threads that may call ``detect`` at the same time

    def __init__(self, info: WeightsInfo) -> None:
        self.info = info
        self.names = info.names
        self.confidence = info.confidence
        self.image_size = info.image_size
        self.calibration = info.calibration
        self._anchors = info.anchor_array

    @property
    def calibrated(self) -> bool:
        """Whether scores are chances."""
        return self.calibration is not None

    @abstractmethod
    def raw_maps(self, fitted: np.ndarray) -> Sequence[np.ndarray]:
        """A letterboxed uint8 (H, W, 3) BGR picture → float32 (3·(5+C), rows, columns) maps.

        H and W are multiples of 32; the finest map comes first. OpenCV fits the picture, not the
        graph: there it would take several times as long.
        """

    def detect(self, image: np.ndarray, confidence: float | None = None) -> list[Detection]:
        """Find the fruit in one picture; see model.detector.Detector."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"a picture is uint8 (H, W, 3), got {image.dtype} {image.shape}")
        fit = Letterbox.of(image, self.image_size, tight=True)
        least = self.confidence if confidence is None else confidence
        found = self.find(self.raw_maps(fit.apply(image)), fit, least)
        return fruits(found) if confidence is None else found

    def find(
        self, maps: Sequence[np.ndarray], fit: Letterbox, confidence: float
    ) -> list[Detection]:
        """Raw maps to detections in the picture's pixels, best score first."""
        how = self.info.class_score, self.calibration
        return to_detections(maps, self._anchors, fit, self.names, confidence, *how)


def load_fused(weights: Path, image_size: int | None = None) -> tuple[YoloV3, WeightsInfo]:
    """Load a network for inference, every BatchNorm folded into its convolution.

    image_size: another input than its own, a multiple of 32, pixels; ValueError else.
    """
    model, info = load_weights(weights)
    fuse_batchnorm(model)
    return model, info.at_size(image_size) if image_size is not None else info


def fuse_batchnorm(module: nn.Module) -> None:
    """Fold every BatchNorm into the convolution just before it, in place (eval mode only)."""
    for child in module.children():
        fuse_batchnorm(child)
    if isinstance(module, nn.Sequential):
        for index in range(len(module) - 1):
            first, second = module[index], module[index + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, BATCHNORM):
                module[index] = fuse_conv_bn_eval(first, second)
                module[index + 1] = nn.Identity()
