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

    blend: share in [0, 1] of the weights it begins with in those that are kept: drawn back towards
    what it was, a fine-tuned network is mostly better at what it has not seen.
    Sources: Polyak & Juditsky (1992); the growing decay as in Tarvainen & Valpola (NeurIPS 2017);
    Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022).
    """

    def __init__(self, model: YoloV3, decay: float, blend: float = 0.0) -> None:
        self.decay, self.blend = decay, blend
        self.module = deepcopy(model).requires_grad_(False)
        self._mine, self._theirs = _floats(self.module), _floats(model)
        self._begun = [t.clone() for t in self._mine] if blend else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the network after its step number ``step``, the first being 1."""
        keep = self.decay * (1 - math.exp(-step / WARM_STEPS))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - keep)

    @property
    def begun(self) -> list[float]:
        """Tells the weights it begins with from others; nothing where they have no part."""
        return [float(t.double().abs().sum()) for t in self._begun]

    @torch.no_grad()
    def kept(self) -> YoloV3:
        """The network that is measured and kept; do not change it."""
        if not self.blend:
            return self.module
        kept = deepcopy(self.module)
        torch._foreach_lerp_(_floats(kept), self._begun, self.blend)
        return kept


def _floats(model: nn.Module) -> list[Tensor]:
    return [t for t in model.state_dict().values() if t.is_floating_point()]
