"""CSPDarknet-53, the backbone of YOLOv4: half of each stage's features pass its residuals by.

Source: Wang et al., "CSPNet: A New Backbone that can Enhance Learning Capability of CNN" (CVPRW
2020), section 3; Bochkovskiy, Wang & Liao, "YOLOv4: Optimal Speed and Accuracy of Object
Detection" (2020), section 3.4; Misra, "Mish" (2019). The stages' convolutions stand in the order of
Darknet's own configuration, in which its files hold them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.backbones.base import Backbone, conv

RESIDUALS = (1, 2, 8, 8, 4)  # of the stages at strides 2, 4, 8, 16, 32, as in Darknet-53


class Residual(nn.Module):
    """A 1×1 and a 3×3 convolution, added to what came in."""

    def __init__(self, channels: int, middle: int):
        super().__init__()
        self.layers = nn.Sequential(
            conv(channels, middle, 1, mish=True), conv(middle, channels, 3, mish=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) → the same shape."""
        return x + self.layers(x)


class CspStage(nn.Module):
    """Halve the picture; one half of the channels is worked on, the other joins them at the end.

    In the first stage both parts and the residuals' inside keep their whole width, as published.
    """

    def __init__(self, c_in: int, c_out: int, residuals: int, first: bool):
        super().__init__()
        part = c_out if first else c_out // 2
        middle = c_out // 2
        self.down = conv(c_in, c_out, 3, stride=2, mish=True)
        self.bypass = conv(c_out, part, 1, mish=True)
        self.work = nn.Sequential(
            conv(c_out, part, 1, mish=True),
            *(Residual(part, middle) for _ in range(residuals)),
            conv(part, part, 1, mish=True),
        )
        self.join = conv(2 * part, c_out, 1, mish=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) → (B, c_out, H/2, W/2)."""
        x = self.down(x)
        return self.join(torch.cat((self.work(x), self.bypass(x)), dim=1))


class CspDarknet53(Backbone):
    """The trunk without the classifier: 72 convolutions, 26.6 M parameters."""

    channels = (256, 512, 1024)
    taps = (3, 4, 5)

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = [conv(3, 32, 3, mish=True)]
        for number, residuals in enumerate(RESIDUALS):
            c_in, c_out = 32 << number, 64 << number
            stages.append(CspStage(c_in, c_out, residuals, first=number == 0))
        self.stages = nn.ModuleList(stages)
