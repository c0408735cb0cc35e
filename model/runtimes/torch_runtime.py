"""The detector on torch: channels_last, BatchNorm folded into the convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from model.boxes import to_tensor
from model.runtimes.base import BaseDetector, load_fused


class TorchDetector(BaseDetector):
    """Runs everywhere torch does; the reference for every other runtime."""

    runtime = "torch"

    def __init__(
        self, weights: Path, threads: int | None = None, image_size: int | None = None
    ) -> None:
        model, info = load_fused(weights, image_size)
        super().__init__(info)
        if threads:
            torch.set_num_threads(threads)
        self._model = convert_conv2d_weight_memory_format(model, torch.channels_last)
        self._mean = torch.tensor(info.mean).view(3, 1, 1) * 255
        self._std = torch.tensor(info.std).view(3, 1, 1) * 255

    def raw_maps(self, fitted: np.ndarray) -> Sequence[np.ndarray]:
        """See BaseDetector."""
        with torch.inference_mode():
            x: Tensor = (to_tensor(fitted) - self._mean) / self._std
            maps = self._model(x[None].contiguous(memory_format=torch.channels_last))
        return [m[0].contiguous().numpy() for m in maps]
