"""From a batch of pictures to what the network is shown, and from its maps to the loss's."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model.boxes import STEP
from model.training.settings import TrainConfig

NOTHING = -20.0  # a logit that says so, and gives no gradient


class Inputs:
    """Normalises batches on the device, and with multi-scale training changes their size.

    mean, std: of RGB in [0, 1]. The size, a multiple of 32 up to ``multi_scale`` away from the
    network's own, follows from the seed and the place in the run (YOLO9000, section 2).
    """

    def __init__(
        self,
        config: TrainConfig,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        device: torch.device,
    ) -> None:
        self.config, self.device = config, device
        self.mean = torch.tensor(mean, device=device).view(3, 1, 1) * 255
        self.std = torch.tensor(std, device=device).view(3, 1, 1) * 255

    def __call__(self, images: Tensor, epoch: int, batch: int) -> tuple[Tensor, float, float]:
        """uint8 (B, 3, H, W) → normalised, and what makes shares of its longer side.

        The first number does of boxes, the second of anchors: both are shares of the network's own
        size. Sides are multiples of 32; what multi-scale training shrinks or enlarges is filled up
        right and below.
        """
        x = images.to(self.device, non_blocking=True)
        x = x.contiguous(memory_format=torch.channels_last).float()
        x = x.sub_(self.mean).div_(self.std)
        size, now = self.config.image_size, self.size(epoch, batch)
        if now != size:
            sides = [max(1, round(side * now / size)) for side in x.shape[2:]]
            x = F.interpolate(x, sides, mode="bilinear", antialias=now < size)
            x = F.pad(x, (0, -sides[1] % STEP, 0, -sides[0] % STEP))
        long = max(x.shape[2:])
        return x, now / long, size / long

    def size(self, epoch: int, batch: int) -> int:
        """The side of a batch's input, pixels."""
        size, spread = self.config.image_size, self.config.multi_scale
        low, high = round(size * (1 - spread) / STEP), round(size * (1 + spread) / STEP)
        chance = np.random.default_rng((self.config.seed, epoch, batch))
        return STEP * int(chance.integers(max(low, 1), high + 1))


def squared(maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Maps (B, C, H, W) of an input that is a square's upper left part → those of the square.

    The cells of the rest find nothing and learn nothing.
    """
    side = [max(m.shape[2:]) for m in maps]
    return tuple(
        F.pad(m, (0, n - m.shape[3], 0, n - m.shape[2]), value=NOTHING)
        for m, n in zip(maps, side, strict=True)
    )
