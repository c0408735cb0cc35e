"""The averaged weights, which are measured and kept instead of the last ones."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn

from model.yolov3 import YoloV3

WARM_STEPS = 300  # at first the average follows quickly: the weights of the start are of no use


class Average:
    """Exponential moving average of a network's weights and BatchNorm statistics.

    Source: Polyak & Juditsky (1992); the growing decay as in Tarvainen & Valpola (NeurIPS 2017).
    """

    def __init__(self, model: YoloV3, decay: float) -> None:
        self.decay = decay
        self.module = deepcopy(model).requires_grad_(False)
        self._mine, self._theirs = _floats(self.module), _floats(model)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the network after its step number ``step``, the first being 1."""
        keep = self.decay * (1 - math.exp(-step / WARM_STEPS))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - keep)


def _floats(model: nn.Module) -> list[Tensor]:
    return [t for t in model.state_dict().values() if t.is_floating_point()]
