"""YOLOv3: neck and head on any backbone.

Source: Redmon & Farhadi, "YOLOv3: An Incremental Improvement" (2018), section 2.3. At each scale
five alternating 1×1 / 3×3 convolutions, a 1×1 and upsampling down to the finer scale, where the
backbone's features are joined; a 3×3 and a linear 1×1 convolution give the raw map. The slim neck
keeps that shape with fewer channels and depthwise-separable 3×3 convolutions; the tiny one is that
of the authors' ``yolov3-tiny.cfg``, with two scales. The modules stand in the order of Darknet's
configurations, in which its files hold them (model.darknet).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.backbones import build_backbone
from model.backbones.base import conv

Trunk = Callable[[Tensor], tuple[Tensor, ...]]

ANCHORS_PER_SCALE = 3
NECKS = {  # channels of each scale, finest first; whether the 3×3 are depthwise-separable
    "full": ((128, 256, 512), False),
    "slim": ((96, 128, 192), True),
    "light": ((64, 80, 96), True),
    "tiny": ((128, 256), False),
}


def wide(channels: int, separable: bool) -> nn.Sequential:
    """The 3×3 step from ``channels`` to twice as many; separable keeps it in two cheap steps."""
    if separable:
        return nn.Sequential(
            conv(channels, channels, 3, groups=channels), conv(channels, 2 * channels, 1)
        )
    return conv(channels, 2 * channels, 3)


def five(c_in: int, channels: int, separable: bool) -> nn.Sequential:
    """The paper's neck of one scale: (B, c_in, G, G) → (B, channels, G, G)."""
    return nn.Sequential(
        conv(c_in, channels, 1),
        wide(channels, separable),
        conv(2 * channels, channels, 1),
        wide(channels, separable),
        conv(2 * channels, channels, 1),
    )


def up(channels: int) -> nn.Sequential:
    """On to the finer scale: (B, channels, G, G) → (B, channels/2, 2G, 2G)."""
    return nn.Sequential(conv(channels, channels // 2, 1), nn.Upsample(scale_factor=2))


class Scale(nn.Module):
    """Neck and head of one scale; the head begins with the 3×3 ``step``."""

    def __init__(self, five: nn.Module, step: nn.Module, channels: int, outputs: int):
        super().__init__()
        self.five = five
        self.head = nn.Sequential(step, nn.Conv2d(2 * channels, outputs, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, c_in, G, G) → route (B, channels, G, G), raw map (B, 3·(5+C), G, G)."""
        route = self.five(x)
        return route, self.head(route)


class YoloV3(nn.Module):
    """The whole network; ``forward`` gives the raw maps, at strides 8, 16 and 32 or (tiny) 16, 32.

    Each map is (B, 3·(5+C), S/stride, S/stride): per anchor tx, ty, tw, th, objectness logit and
    C class logits. model.decode turns maps into boxes, model.loss into a number to minimise.
    ``scales`` says how many maps there are.
    """

    def __init__(self, classes: int, backbone: str = "efficientnet_lite0", neck: str = "slim"):
        super().__init__()
        if neck not in NECKS:
            raise ValueError(f"unknown neck {neck!r}; choose one of {', '.join(sorted(NECKS))}")
        channels, separable = NECKS[neck]
        self.scales = len(channels)
        self.backbone = build_backbone(backbone)
        outputs = ANCHORS_PER_SCALE * (5 + classes)
        if self.scales == 3:
            self._three_scales(channels, separable, outputs)
        else:
            self._two_scales(channels, outputs)
        self._start_quiet(classes)

    def _three_scales(self, channels: tuple[int, ...], separable: bool, outputs: int) -> None:
        """The paper's: each scale has its neck and passes half of its channels on."""
        c8, c16, c32 = channels
        b8, b16, b32 = self.backbone.channels
        self.scale32 = Scale(five(b32, c32, separable), wide(c32, separable), c32, outputs)
        self.up32 = up(c32)
        b16 += c32 // 2
        self.scale16 = Scale(five(b16, c16, separable), wide(c16, separable), c16, outputs)
        self.up16 = up(c16)
        b8 += c16 // 2
        self.scale8 = Scale(five(b8, c8, separable), wide(c8, separable), c8, outputs)

    def _two_scales(self, channels: tuple[int, ...], outputs: int) -> None:
        """yolov3-tiny's: one 1×1 before the coarse head, nothing but the join before the fine."""
        c16, c32 = channels
        _, b16, b32 = self.backbone.channels
        self.scale32 = Scale(conv(b32, c32, 1), conv(c32, 2 * c32, 3), c32, outputs)
        self.up32 = up(c32)
        b16 += c32 // 2
        self.scale16 = Scale(nn.Identity(), conv(b16, 2 * c16, 3), c16, outputs)

    def _start_quiet(self, classes: int) -> None:
        """Objectness starts at 1 %: nearly all cells are empty (Lin et al., RetinaNet, 4.1)."""
        for scale in self.children():
            if isinstance(scale, Scale):
                head = scale.head[-1]
                assert isinstance(head, nn.Conv2d)
                assert head.bias is not None
                nn.init.normal_(head.weight, std=0.01)
                bias = torch.zeros(ANCHORS_PER_SCALE, 5 + classes)
                bias[:, 4] = -4.6
                head.bias.data.copy_(bias.flatten())

    def forward(self, x: Tensor, trunk: Trunk | None = None) -> tuple[Tensor, ...]:
        """(B, 3, S, S) normalised RGB, S a multiple of 32 → raw maps, finest first.

        ``trunk`` stands in for the backbone, as a faster form of it does in training.
        """
        p8, p16, p32 = (trunk or self.backbone)(x)
        route, map32 = self.scale32(p32)
        route, map16 = self.scale16(torch.cat((self.up32(route), p16), dim=1))
        if self.scales == 2:
            return map16, map32
        _, map8 = self.scale8(torch.cat((self.up16(route), p8), dim=1))
        return map8, map16, map32
