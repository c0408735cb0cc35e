"""Darknet-53, the backbone of YOLOv3: 52 convolutions, all but the first in residual stages.

Source: Redmon & Farhadi, "YOLOv3: An Incremental Improvement" (2018), section 2.4 and table 1.
"""

from __future__ import annotations

from torch import Tensor, nn

from model.backbones.base import Backbone, conv

RESIDUALS = (1, 2, 8, 8, 4)  # of the stages at strides 2, 4, 8, 16, 32


class Residual(nn.Module):
    """A 1×1 convolution to half the channels and a 3×3 back, added to what came in."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            conv(channels, channels // 2, 1), conv(channels // 2, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) → the same shape."""
        return x + self.layers(x)


class Darknet53(Backbone):
    """The trunk without the classifier, 40.6 M parameters."""

    channels = (256, 512, 1024)
    taps = (3, 4, 5)

    def __init__(self) -> None:
        super().__init__()
        stages = [conv(3, 32, 3)]
        for number, residuals in enumerate(RESIDUALS):
            c_in, c_out = 32 << number, 64 << number
            down = conv(c_in, c_out, 3, stride=2)
            stages.append(nn.Sequential(down, *(Residual(c_out) for _ in range(residuals))))
        self.stages = nn.ModuleList(stages)
