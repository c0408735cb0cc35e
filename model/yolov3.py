"""YOLOv3: neck and three-scale head on any backbone.

Source: Redmon & Farhadi, "YOLOv3: An Incremental Improvement" (2018), section 2.3. At each scale
five alternating 1×1 / 3×3 convolutions, a 1×1 and upsampling down to the finer scale, where the
backbone's features are joined; a 3×3 and a linear 1×1 convolution give the raw map. The slim neck
keeps that shape with fewer channels and depthwise-separable 3×3 convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.backbones import build_backbone

ANCHORS_PER_SCALE = 3
NECKS = {  # channels at strides 8, 16, 32; whether the 3×3 are depthwise-separable
    "full": ((128, 256, 512), False),
    "slim": ((96, 128, 192), True),
}


def conv(c_in: int, c_out: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, LeakyReLU 0.1, as everywhere in YOLOv3."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out),
        nn.LeakyReLU(0.1, inplace=True),
    )


def wide(channels: int, separable: bool) -> nn.Sequential:
    """The 3×3 step from ``channels`` to twice as many; separable keeps it in two cheap steps."""
    if separable:
        return nn.Sequential(
            conv(channels, channels, 3, groups=channels), conv(channels, 2 * channels, 1)
        )
    return conv(channels, 2 * channels, 3)


class Scale(nn.Module):
    """Neck and head of one scale."""

    def __init__(self, c_in: int, channels: int, outputs: int, separable: bool):
        super().__init__()
        self.five = nn.Sequential(
            conv(c_in, channels, 1),
            wide(channels, separable),
            conv(2 * channels, channels, 1),
            wide(channels, separable),
            conv(2 * channels, channels, 1),
        )
        self.head = nn.Sequential(wide(channels, separable), nn.Conv2d(2 * channels, outputs, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, c_in, G, G) → route (B, channels, G, G), raw map (B, 3·(5+C), G, G)."""
        route = self.five(x)
        return route, self.head(route)


class YoloV3(nn.Module):
    """The whole network; ``forward`` gives the raw maps at strides 8, 16 and 32.

    Each map is (B, 3·(5+C), S/stride, S/stride): per anchor tx, ty, tw, th, objectness logit and
    C class logits. model.decode turns maps into boxes, model.loss into a number to minimise.
    """

    def __init__(self, classes: int, backbone: str = "efficientnet_lite0", neck: str = "slim"):
        super().__init__()
        if neck not in NECKS:
            raise ValueError(f"unknown neck {neck!r}; choose one of {', '.join(sorted(NECKS))}")
        (c8, c16, c32), separable = NECKS[neck]
        outputs = ANCHORS_PER_SCALE * (5 + classes)
        self.backbone = build_backbone(backbone)
        b8, b16, b32 = self.backbone.channels
        self.scale32 = Scale(b32, c32, outputs, separable)
        self.up32 = nn.Sequential(conv(c32, c32 // 2, 1), nn.Upsample(scale_factor=2))
        self.scale16 = Scale(b16 + c32 // 2, c16, outputs, separable)
        self.up16 = nn.Sequential(conv(c16, c16 // 2, 1), nn.Upsample(scale_factor=2))
        self.scale8 = Scale(b8 + c16 // 2, c8, outputs, separable)
        self._start_quiet(classes)

    def _start_quiet(self, classes: int) -> None:
        """Objectness starts at 1 %: nearly all cells are empty (Lin et al., RetinaNet, 4.1)."""
        for scale in (self.scale8, self.scale16, self.scale32):
            head = scale.head[-1]
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            bias = torch.zeros(ANCHORS_PER_SCALE, 5 + classes)
            bias[:, 4] = -4.6
            head.bias.data.copy_(bias.flatten())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) normalised RGB, S a multiple of 32 → three raw maps, finest first."""
        p8, p16, p32 = self.backbone(x)
        route, map32 = self.scale32(p32)
        route, map16 = self.scale16(torch.cat((self.up32(route), p16), dim=1))
        _, map8 = self.scale8(torch.cat((self.up16(route), p8), dim=1))
        return map8, map16, map32
