"""The detector on torch: channels_last, BatchNorm folded into the convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.boxes import Letterbox
from model.data.trainset import to_tensor
from model.runtimes.base import BaseDetector
from model.weights import load_weights


class TorchDetector(BaseDetector):
    """Runs everywhere torch does; the reference for every other runtime."""

    runtime = "torch"

    def __init__(self, weights: Path, threads: int | None = None) -> None:
        model, info = load_weights(weights)
        super().__init__(info)
        if threads:
            torch.set_num_threads(threads)
        fuse_batchnorm(model)
        self._model = convert_conv2d_weight_memory_format(model, torch.channels_last)
        self._mean = torch.tensor(info.mean).view(3, 1, 1) * 255
        self._std = torch.tensor(info.std).view(3, 1, 1) * 255

    def raw_maps(self, image: np.ndarray) -> Sequence[np.ndarray]:
        """See BaseDetector."""
        fit = Letterbox(image.shape[1], image.shape[0], self.image_size)
        with torch.inference_mode():
            x: Tensor = (to_tensor(fit.apply(image)) - self._mean) / self._std
            maps = self._model(x[None].contiguous(memory_format=torch.channels_last))
        return [m[0].contiguous().numpy() for m in maps]


def fuse_batchnorm(module: nn.Module) -> None:
    """Fold every BatchNorm into the convolution just before it, in place (eval mode only)."""
    for child in module.children():
        fuse_batchnorm(child)
    if isinstance(module, nn.Sequential):
        for index in range(len(module) - 1):
            first, second = module[index], module[index + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[index] = fuse_conv_bn_eval(first, second)
                module[index + 1] = nn.Identity()
