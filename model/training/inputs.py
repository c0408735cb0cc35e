"""From a batch of pictures to what the network is shown."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model.training.settings import TrainConfig


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

    def __call__(self, images: Tensor, epoch: int, batch: int) -> tuple[Tensor, float]:
        """uint8 (B, 3, S, S) → normalised (B, 3, T, T), and S / T; T is S without multi-scale."""
        x = images.to(self.device, non_blocking=True)
        x = x.contiguous(memory_format=torch.channels_last).float()
        x = x.sub_(self.mean).div_(self.std)
        size, now = self.config.image_size, self.size(epoch, batch)
        if now == size:
            return x, 1.0
        return F.interpolate(x, (now, now), mode="bilinear", antialias=now < size), size / now

    def size(self, epoch: int, batch: int) -> int:
        """The side of a batch's input, pixels."""
        size, spread = self.config.image_size, self.config.multi_scale
        low, high = round(size * (1 - spread) / 32), round(size * (1 + spread) / 32)
        chance = np.random.default_rng((self.config.seed, epoch, batch))
        return 32 * int(chance.integers(max(low, 1), high + 1))
